// Device.IP.Interface. and its addresses where the platform has logical
// interfaces: rows of its configuration.

package tr181

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"math"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"

	"gatehouse/datamodel"
	"gatehouse/platform"
)

// ethernetMTU is what an interface without a link and without an MTU of its own
// will have, most likely.
const ethernetMTU = 1500

// logicalInterfaces is the source where the platform has logical interfaces.
func (m *Model) logicalInterfaces() datamodel.Source[ipInterface] {
	src := datamodel.Source[ipInterface]{
		Topics: []datamodel.Topic{LinkChanged, InterfaceChanged, ConfigChanged},
		Rows:   m.logicalInterfaceRows,
		New: func(ctx context.Context, _ []datamodel.Key) (datamodel.Key, *ipInterface, error) {
			key, row, err := m.p.Interfaces.Table.Fresh(ctx)
			return key, new(m.logicalInterface(key, row, &interfaceTable{}, &linkTable{})), lacking(err)
		},
		Stage: m.stageLogicalInterface,
	}
	if _, _, err := m.p.Interfaces.Table.Fresh(context.Background()); errors.Is(err, platform.ErrUnsupported) {
		src.New = nil // each link has one, and there are no others
	}
	if m.p.Interfaces.Restart == nil {
		src.Without = []string{"Reset"}
	}
	return src
}

func (m *Model) logicalInterfaceRows(ctx context.Context, _ []datamodel.Key) iter.Seq2[datamodel.Row[ipInterface], error] {
	return func(yield func(datamodel.Row[ipInterface], error) bool) {
		t, err := m.dumpInterfaces(ctx)
		if err != nil {
			yield(datamodel.Row[ipInterface]{}, err)
			return
		}
		links, err := m.dumpLinks(ctx)
		if err != nil {
			yield(datamodel.Row[ipInterface]{}, err)
			return
		}
		for _, r := range t.rows {
			if !yield(datamodel.Row[ipInterface]{Key: r.Key, Value: new(m.logicalInterface(r.Key, r.Value, t, links))}, nil) {
				return
			}
		}
	}
}

// logicalInterface is a row: what is configured, and how it is doing.
func (m *Model) logicalInterface(key string, c platform.Interface, t *interfaceTable, links *linkTable) ipInterface {
	s := t.states[key]
	link, there := links.get(t.link(key))
	i := ipInterface{
		enable: c.Enabled, ipv4Enable: c.IPv4, ipv6Enable: c.IPv6, ulaEnable: c.ULA,
		status: logicalStatus(c, s, link, there), name: limit(key, 64), lowerLayers: t.under(key, links),
		lastChange: m.lastChange(platform.Link{Changed: s.Since}),
		maxMTUSize: min(c.MTU, math.MaxUint16), kind: "Normal", loopback: c.Loopback,
	}
	switch {
	case c.MTU == 0 && there:
		i.maxMTUSize = min(link.MTU, math.MaxUint16)
	case c.MTU == 0:
		i.maxMTUSize = ethernetMTU
	}
	if c.Loopback {
		i.kind = "Loopback"
	}
	if m.p.Routes != nil {
		i.router = datamodel.Ref{Table: routerPath, At: []datamodel.Key{mainRouter}}
	}
	return i
}

// logicalStatus: what keeps an interface from being up may be itself, its
// protocol, or the link.
func logicalStatus(c platform.Interface, s platform.InterfaceState, link platform.Link, there bool) string {
	switch {
	case s.Up:
		return "Up"
	case !c.Enabled:
		return "Down"
	case s.Error != "":
		return "Error"
	case !there && c.Device != "" && !strings.HasPrefix(c.Device, "@"):
		return "NotPresent"
	case there && !link.Running:
		return "LowerLayerDown"
	case s.Pending:
		return "Dormant"
	}
	return "Down"
}

// under is what a logical interface stands on.
func (t *interfaceTable) under(key string, links *linkTable) []datamodel.Ref {
	l, ok := links.get(t.lower(key))
	if !ok {
		return nil
	}
	return underIPInterface(l)
}

var (
	errLower    = errors.New("an IP interface stands on one Ethernet.Link or Ethernet.VLANTermination here")
	errProtocol = errors.New("the addresses of this interface come by its protocol")
)

func (m *Model) stageLogicalInterface(ctx context.Context, tx *datamodel.Tx, at []datamodel.Key, c datamodel.Change[ipInterface]) error {
	t, err := m.dumpInterfaces(ctx)
	if err != nil {
		return err
	}
	if i, ok := t.by[at[0]]; ok && i >= t.own {
		return ofTheSystem(ipInterfaceParams, c)
	}
	r, err := m.shareInterface(ctx, tx, at[0], changedSwitch(c))
	if err != nil {
		return err
	}
	if c.New == nil {
		if r.row.Loopback {
			return fmt.Errorf("%w: %v", datamodel.ErrDenied, errLoopback)
		}
		r.gone = true
		own, err := going(tx)
		own.gone[at[0]] = true
		return err
	}
	if r.row.Loopback && !c.New.enable {
		return &datamodel.FieldError{Name: "Enable", Err: errLoopback}
	}
	if c.Set("Reset") && c.New.reset {
		tx.After(ResetInterface, at[0])
	}
	r.row.Enabled, r.row.IPv4, r.row.IPv6, r.row.ULA = c.New.enable, c.New.ipv4Enable, c.New.ipv6Enable, c.New.ulaEnable
	if c.Set("MaxMTUSize") && (c.Old == nil || c.New.maxMTUSize != c.Old.maxMTUSize) {
		r.row.MTU, r.blame = c.New.maxMTUSize, tx.Path("MaxMTUSize")
	}
	if c.Set("LowerLayers") && (c.Old == nil || datamodel.Text(ipInterfaceParams, c.Old, "LowerLayers") != datamodel.Text(ipInterfaceParams, c.New, "LowerLayers")) {
		device, ok := deviceOf(c.New.lowerLayers)
		if !ok {
			return &datamodel.FieldError{Name: "LowerLayers", Err: errLower}
		}
		r.row.Device, r.blame = device, tx.Path("LowerLayers")
	}
	return nil
}

// changedSwitch is the switch that a change turns, to be blamed when the
// platform has none.
func changedSwitch(c datamodel.Change[ipInterface]) string {
	if c.Old == nil || c.New == nil {
		return "Enable"
	}
	for _, name := range []string{"IPv4Enable", "IPv6Enable", "ULAEnable"} {
		if c.Set(name) && datamodel.Text(ipInterfaceParams, c.Old, name) != datamodel.Text(ipInterfaceParams, c.New, name) {
			return name
		}
	}
	return "Enable"
}

// A departure holds together what goes with an interface: addresses and
// prefixes of the system cannot be deleted, but with it, and they are staged
// before it.
type departure struct {
	gone map[datamodel.Key]bool
	with map[string]datamodel.Key // path of a row: the interface that it goes with
}

func going(tx *datamodel.Tx) (*departure, error) {
	return datamodel.Enlist(tx, "departure", func() (*departure, error) {
		return &departure{map[datamodel.Key]bool{}, map[string]datamodel.Key{}}, nil
	})
}

// goesWithInterface lets a row of the system be deleted if its interface is.
func goesWithInterface(tx *datamodel.Tx, key datamodel.Key) error {
	d, err := going(tx)
	d.with[tx.Path("")] = key
	return err
}

// Prepare refuses what was to go alone.
func (d *departure) Prepare(context.Context) error {
	var errs []error
	for path, key := range d.with {
		if !d.gone[key] {
			errs = append(errs, &datamodel.ParamError{Path: path, Err: fmt.Errorf("%w: %v", datamodel.ErrDenied, errOfTheSystem)})
		}
	}
	return errors.Join(errs...)
}

// Commit and Rollback have nothing to do.
func (*departure) Commit(context.Context) (bool, error) { return false, nil }
func (*departure) Rollback(context.Context) error       { return nil }

// deviceOf is the link that LowerLayers asks for.
func deviceOf(lower []datamodel.Ref) (device string, ok bool) {
	switch {
	case len(lower) == 0:
		return "", true
	case len(lower) > 1 || lower[0].Table != ethernetLinkPath && lower[0].Table != vlanTerminationPath:
		return "", false
	}
	return lower[0].At[0], true
}

// shareInterface returns what the transaction makes of a logical interface.
func (m *Model) shareInterface(ctx context.Context, tx *datamodel.Tx, key, blame string) (*sharedRow[platform.Interface], error) {
	return share(ctx, m, tx, m.p.Interfaces.Table, "interfaces", key, blame, func() (platform.Interface, error) {
		t, err := m.dumpInterfaces(ctx)
		if err != nil {
			return platform.Interface{}, err
		}
		i, ok := t.by[key]
		if !ok { // a new one
			_, row, err := m.p.Interfaces.Table.Fresh(ctx)
			return row, lacking(err)
		}
		row := t.rows[i].Value
		row.Addrs, row.DNS = slices.Clone(row.Addrs), slices.Clone(row.DNS)
		return row, nil
	})
}

// configuredAddresses are the addresses of one family in the configuration of
// an interface, as rows.
func configuredAddresses[T any](ctx context.Context, m *Model, key string, family func(netip.Addr) bool, row func(platform.InterfaceAddr) T) iter.Seq2[datamodel.Row[T], error] {
	return func(yield func(datamodel.Row[T], error) bool) {
		t, err := m.dumpInterfaces(ctx)
		if err != nil {
			yield(datamodel.Row[T]{}, err)
			return
		}
		i, ok := t.by[key]
		if !ok {
			return
		}
		for _, a := range t.rows[i].Value.Addrs {
			if family(a.Prefix.Addr()) && !yield(datamodel.Row[T]{Key: a.Key, Value: new(row(a))}, nil) {
				return
			}
		}
	}
}

// plannedIPv6 are the IPv6 addresses that a logical interface has or will have
// once its configuration is taken up.
func (m *Model) plannedIPv6(ctx context.Context, key string) (all []platform.Address, err error) {
	if !m.logical() {
		return nil, nil
	}
	t, err := m.dumpInterfaces(ctx)
	if err != nil {
		return nil, err
	}
	if i, ok := t.by[key]; ok {
		for _, a := range t.rows[i].Value.Addrs {
			if a.Enabled && a.Prefix.Addr().Is6() {
				all = append(all, static(t.link(key), a.Prefix))
			}
		}
	}
	return all, nil
}

// newAddressKey names an address that is new. Configurations take it as a name.
func newAddressKey() datamodel.Key { return fmt.Sprintf("gh%08x", rand.Uint32()) }

// stageConfiguredAddress has the interface at[0] carry a under the key at[1],
// or no longer when a is nil.
func (m *Model) stageConfiguredAddress(ctx context.Context, tx *datamodel.Tx, at []datamodel.Key, a *platform.InterfaceAddr) error {
	r, err := m.shareInterface(ctx, tx, at[0], "IPAddress")
	if err != nil {
		return err
	}
	i := slices.IndexFunc(r.row.Addrs, func(have platform.InterfaceAddr) bool { return have.Key == at[1] })
	if a != nil && a.Enabled && (i < 0 || r.row.Addrs[i] != *a) {
		if ip := a.Prefix.Addr(); ip.IsMulticast() || ip.IsLoopback() && !r.row.Loopback {
			return &datamodel.FieldError{Name: "IPAddress", Err: errNoHost}
		}
	}
	switch {
	case a == nil && i >= 0:
		r.row.Addrs = slices.Delete(r.row.Addrs, i, i+1)
	case a == nil:
	case i >= 0:
		r.row.Addrs[i] = *a
	case r.row.Proto != "static" && r.row.Proto != "none":
		return fmt.Errorf("%w: %v (%s)", datamodel.ErrDenied, errProtocol, r.row.Proto)
	default:
		r.row.Proto = "static"
		r.row.Addrs = append(r.row.Addrs, *a)
	}
	return nil
}
