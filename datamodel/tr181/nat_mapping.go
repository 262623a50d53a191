// Device.NAT.PortMapping.

package tr181

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"

	"gatehouse/datamodel"
	"gatehouse/platform"
)

// Device.NAT.PortMapping.{i}.: what comes in from outside and goes to a host
// inside. The platform keeps them. One with a LeaseDuration counts down, and is
// deleted when its time is over: see nat_lease.go.
type portMapping struct {
	enable                bool
	status                string
	alias                 datamodel.Alias
	iface                 datamodel.Ref // "" with all
	all                   bool
	lease, remaining      uint32 // seconds left; 0: for ever
	remoteHost            string
	external, externalEnd uint32
	internal              uint32
	protocol              string
	client                string
	description           string

	row platform.PortMapping // as the platform has it
}

const (
	portMappingPath = "Device.NAT.PortMapping.{i}."
	maxPortMappings = 256
)

var portMappingParams = []datamodel.Param[portMapping]{
	{Name: "Enable", At: func(p *portMapping) any { return &p.enable }, Access: datamodel.ReadWrite},
	{Name: "Status", At: func(p *portMapping) any { return &p.status },
		Check: datamodel.Enum{"Disabled", "Enabled", "Inactive", "Error_Misconfigured", "Error"}},
	{Name: "Alias", At: func(p *portMapping) any { return &p.alias }, Access: datamodel.ReadWrite, Check: datamodel.Len{Max: 64}},
	{Name: "Interface", At: func(p *portMapping) any { return &p.iface }, Access: datamodel.ReadWrite,
		Check: datamodel.Len{Max: 256}, Refs: []string{ipInterfacePath}},
	{Name: "AllInterfaces", At: func(p *portMapping) any { return &p.all }, Access: datamodel.ReadWrite},
	{Name: "LeaseDuration", At: func(p *portMapping) any { return &p.lease }, Access: datamodel.ReadWrite, Notify: datamodel.NotifyNever},
	{Name: "RemainingLeaseTime", At: func(p *portMapping) any { return &p.remaining }, Notify: datamodel.NotifyNever},
	{Name: "RemoteHost", At: func(p *portMapping) any { return &p.remoteHost }, Access: datamodel.ReadWrite},
	{Name: "ExternalPort", At: func(p *portMapping) any { return &p.external }, Access: datamodel.ReadWrite, Check: datamodel.Range{Max: 65535}},
	{Name: "ExternalPortEndRange", At: func(p *portMapping) any { return &p.externalEnd }, Access: datamodel.ReadWrite,
		Check: datamodel.Range{Max: 65535}},
	{Name: "InternalPort", At: func(p *portMapping) any { return &p.internal }, Access: datamodel.ReadWrite, Check: datamodel.Range{Max: 65535}},
	{Name: "Protocol", At: func(p *portMapping) any { return &p.protocol }, Access: datamodel.ReadWrite, Check: datamodel.Enum{"TCP", "UDP"}},
	{Name: "InternalClient", At: func(p *portMapping) any { return &p.client }, Access: datamodel.ReadWrite, Check: datamodel.Len{Max: 256}},
	{Name: "Description", At: func(p *portMapping) any { return &p.description }, Access: datamodel.ReadWrite, Check: datamodel.Len{Max: 256}},
}

func (m *Model) portMapping() datamodel.Object {
	return datamodel.Define(portMappingPath, portMappingParams, datamodel.Source[portMapping]{
		Topics: []datamodel.Topic{ConfigChanged, LinkChanged, InterfaceChanged},
		Rows:   m.portMappingRows,
		New: func(ctx context.Context, _ []datamodel.Key) (datamodel.Key, *portMapping, error) {
			key, row, err := m.p.NAT.Mappings.Fresh(ctx)
			p := mappingRow(row, 0)
			p.status = rowStatus(p.enable, false, "", nil)
			return key, &p, lacking(err)
		},
		Unique: [][]string{{"RemoteHost", "ExternalPort", "Protocol"}},
		Check:  checkPortMapping,
		Stage:  m.stagePortMapping,
	})
}

func (m *Model) portMappingRows(ctx context.Context, _ []datamodel.Key) iter.Seq2[datamodel.Row[portMapping], error] {
	return func(yield func(datamodel.Row[portMapping], error) bool) {
		all, err := configured(ctx, m, "port mappings", m.p.NAT.Mappings)
		if err != nil {
			yield(datamodel.Row[portMapping]{}, err)
			return
		}
		interfaces, taken, err := m.natState(ctx)
		if err != nil {
			yield(datamodel.Row[portMapping]{}, err)
			return
		}
		wall, err := m.wallClock(ctx)
		if err != nil {
			yield(datamodel.Row[portMapping]{}, err)
			return
		}
		for _, e := range all {
			left, over := m.mappingLeases.left(e.Key, e.Value, wall)
			if over {
				continue // it is about to be deleted
			}
			p := mappingRow(e.Value, left)
			p.status = rowStatus(p.enable, p.complete(interfaces), e.Key, taken)
			if !yield(datamodel.Row[portMapping]{Key: e.Key, Value: &p}, nil) {
				return
			}
		}
	}
}

// mappingRow is a mapping of the platform as a row, without its status. left is
// what remains of its lease, 0 when it has none.
func mappingRow(e platform.PortMapping, left time.Duration) portMapping {
	if e.Lease > 0 {
		left = min(left, e.Lease) // ends are whole seconds
	}
	p := portMapping{
		enable: e.Enabled, all: e.AllInterfaces, lease: seconds(left + time.Second - 1), remoteHost: remoteText(e.RemoteHost),
		external: uint32(e.ExternalPort), externalEnd: uint32(e.ExternalPortLast), internal: uint32(e.InternalPort),
		protocol: e.Protocol, client: limit(e.InternalClient, 256), description: limit(e.Description, 256), row: e,
	}
	p.remaining = p.lease
	if p.protocol != "UDP" {
		p.protocol = "TCP"
	}
	if e.Interface != "" && !e.AllInterfaces {
		p.iface = ipInterfaceRef(e.Interface)
	}
	return p
}

// remoteText prints a source: an address, or a network where somebody else has
// configured one.
func remoteText(p netip.Prefix) string {
	switch {
	case !p.IsValid() || p.Bits() == 0:
		return ""
	case p.IsSingleIP():
		return p.Addr().String()
	}
	return p.String()
}

// remoteHost parses a RemoteHost. The standard has addresses only; a network is
// what firewalls can do besides.
func remoteHost(s string) (netip.Prefix, error) {
	if s == "" {
		return netip.Prefix{}, nil
	}
	if a, err := netip.ParseAddr(s); err == nil && a.Is4() && !a.IsUnspecified() {
		return netip.PrefixFrom(a, 32), nil
	}
	if p, err := netip.ParsePrefix(s); err == nil && p.Addr().Is4() && p.Bits() > 0 && p == p.Masked() {
		return p, nil
	}
	return netip.Prefix{}, errors.New("neither an IPv4 address nor a network")
}

// complete says whether a mapping leads from somewhere to somewhere.
func (p *portMapping) complete(interfaces ipInterfaces) bool {
	_, there := interfaces[linkOf(p.iface)]
	return (there || p.all) && p.client != "" && (p.internal != 0 || p.external == 0)
}

var (
	errPortRange = errors.New("ExternalPortEndRange is below ExternalPort")
	errClient    = errors.New("neither the IPv4 address of a host nor its name")
	errBroadcast = errors.New("255.255.255.255 is for UDP only")
)

// checkPortMapping looks at what was written. What is only missing makes the
// mapping misconfigured, not the request.
func checkPortMapping(c datamodel.Change[portMapping]) error {
	if c.New == nil {
		return nil
	}
	p := c.New
	var errs []error
	refuse := func(name string, err error) {
		if err != nil && c.Set(name) {
			errs = append(errs, &datamodel.FieldError{Name: name, Err: err})
		}
	}
	if p.external != 0 && p.externalEnd != 0 && p.externalEnd < p.external {
		refuse("ExternalPortEndRange", errPortRange)
		if !c.Set("ExternalPortEndRange") {
			refuse("ExternalPort", errPortRange)
		}
	}
	_, err := remoteHost(p.remoteHost)
	refuse("RemoteHost", err)
	err = checkClient(p.client)
	if p.client == broadcast && p.protocol != "UDP" {
		err = errBroadcast
		if !c.Set("InternalClient") {
			refuse("Protocol", err)
		}
	}
	refuse("InternalClient", err)
	if strings.ContainsFunc(p.description, unicode.IsControl) {
		refuse("Description", errControl)
	}
	return errors.Join(errs...)
}

const broadcast = "255.255.255.255"

// checkClient says why s is no InternalClient. What ends in a number is meant to
// be an address.
func checkClient(s string) error {
	if s == "" {
		return nil
	}
	if a, err := netip.ParseAddr(s); err == nil {
		if !a.Is4() || a.IsUnspecified() || a.IsLoopback() || a.IsMulticast() {
			return errClient
		}
		return nil
	}
	last := s[strings.LastIndexByte(strings.TrimSuffix(s, "."), '.')+1:]
	if _, err := strconv.Atoi(strings.TrimSuffix(last, ".")); err == nil || !isHostName(s) {
		return errClient
	}
	return nil
}

func (m *Model) stagePortMapping(ctx context.Context, tx *datamodel.Tx, at []datamodel.Key, c datamodel.Change[portMapping]) error {
	if c.New == nil {
		return deleteRow(ctx, m, tx, m.p.NAT.Mappings, at[0])
	}
	if c.Old == nil {
		if err := room(ctx, tx, "Device.NAT.PortMappingNumberOfEntries", maxPortMappings); err != nil {
			return err
		}
	}
	row, p := c.New.row, c.New
	row.Enabled, row.AllInterfaces, row.Interface = p.enable, p.all, linkOf(p.iface)
	if p.all {
		row.Interface = ""
	}
	if c.Set("RemoteHost") {
		row.RemoteHost, _ = remoteHost(p.remoteHost) // Check has seen it
	}
	row.ExternalPort, row.ExternalPortLast, row.InternalPort = uint16(p.external), uint16(p.externalEnd), uint16(p.internal)
	row.Protocol, row.InternalClient = p.protocol, p.client
	if c.Set("Description") {
		row.Description = p.description
	}
	if setAny(c, "Enable", "Interface", "AllInterfaces", "RemoteHost", "ExternalPort", "ExternalPortEndRange", "Protocol") {
		if err := m.sparesAgent(ctx, row); err != nil {
			return err
		}
	}
	if c.Set("LeaseDuration") {
		if err := m.startLease(ctx, tx, at[0], &row, time.Duration(p.lease)*time.Second); err != nil {
			return err
		}
	}
	return putRow(ctx, m, tx, m.p.NAT.Mappings, at[0], row, "InternalClient")
}

// sparesAgent refuses a mapping that would take the connection requests of the
// ACS away from us: that could be undone only by the next session, for which the
// ACS cannot ask any more. It may come from the ACS itself by mistake (a wildcard
// for the customer's server), so it is not let pass with a warning.
func (m *Model) sparesAgent(ctx context.Context, row platform.PortMapping) error {
	if !row.Enabled || row.Protocol != "TCP" || row.RemoteHost.IsValid() || m.a.Reach == nil {
		return nil
	}
	u, err := url.Parse(m.a.Reach.ConnectionRequestURL())
	if err != nil {
		return nil
	}
	port, err := strconv.ParseUint(u.Port(), 10, 16)
	if err != nil { // nobody listens
		return nil
	}
	if p := uint16(port); row.ExternalPort != 0 && (p < row.ExternalPort || p > max(row.ExternalPort, row.ExternalPortLast)) {
		return nil
	}
	interfaces, err := m.ipInterfaces(ctx)
	if err != nil {
		return err
	}
	host := addrOf(u.Hostname())
	nets := interfaces[row.Interface]
	elsewhere := len(nets) > 0 && !slices.ContainsFunc(nets, func(n netip.Prefix) bool { return n.Addr() == host })
	if !row.AllInterfaces && elsewhere {
		return nil
	}
	return &datamodel.FieldError{Name: "ExternalPort", Err: fmt.Errorf(
		"at port %d the ACS asks for sessions: leave it out, name a RemoteHost, or switch HTTPConnectionRequestEnable off", port)}
}
