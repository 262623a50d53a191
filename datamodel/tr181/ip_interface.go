// Device.IP.Interface.

package tr181

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"math"

	"gatehouse/datamodel"
	"gatehouse/platform"
)

// Device.IP.Interface.{i}.: whatever can have addresses, by the name of the
// link or, where the platform has them, of the logical interface
// (ip_logical.go). Of a link Linux switches IPv4 on and off with the link only, and
// IPv6 by itself.
type ipInterface struct {
	enable      bool
	ipv4Enable  bool
	ipv6Enable  bool
	status      string
	alias       datamodel.Alias
	name        string
	lastChange  uint32 // seconds
	lowerLayers []datamodel.Ref
	router      datamodel.Ref
	reset       bool
	ulaEnable   bool
	maxMTUSize  uint32 // bytes
	kind        string
	loopback    bool
}

var ipInterfaceParams = []datamodel.Param[ipInterface]{
	{Name: "Enable", At: func(i *ipInterface) any { return &i.enable }, Access: datamodel.ReadWrite},
	{Name: "IPv4Enable", At: func(i *ipInterface) any { return &i.ipv4Enable }, Access: datamodel.ReadWrite},
	{Name: "IPv6Enable", At: func(i *ipInterface) any { return &i.ipv6Enable }, Access: datamodel.ReadWrite},
	{Name: "ULAEnable", At: func(i *ipInterface) any { return &i.ulaEnable }, Access: datamodel.ReadWrite},
	{Name: "Status", At: func(i *ipInterface) any { return &i.status }, Check: statuses},
	{Name: "Alias", At: func(i *ipInterface) any { return &i.alias }, Access: datamodel.ReadWrite, Check: datamodel.Len{Max: 64}},
	{Name: "Name", At: func(i *ipInterface) any { return &i.name }, Check: datamodel.Len{Max: 64}},
	{Name: "LastChange", At: func(i *ipInterface) any { return &i.lastChange }, Notify: datamodel.NotifyNever},
	{Name: "LowerLayers", At: func(i *ipInterface) any { return &i.lowerLayers }, Access: datamodel.ReadWrite},
	{Name: "Router", At: func(i *ipInterface) any { return &i.router }, Check: datamodel.Len{Max: 256}, Refs: []string{routerPath}},
	{Name: "Reset", At: func(i *ipInterface) any { return &i.reset }, Access: datamodel.Command},
	{Name: "MaxMTUSize", At: func(i *ipInterface) any { return &i.maxMTUSize }, Access: datamodel.ReadWrite,
		Check: datamodel.Range{Min: 64, Max: math.MaxUint16}},
	{Name: "Type", At: func(i *ipInterface) any { return &i.kind }, Check: datamodel.Enum{"Normal", "Loopback", "Tunnel", "Tunneled"}},
	{Name: "Loopback", At: func(i *ipInterface) any { return &i.loopback }},
}

func (m *Model) ipInterface() datamodel.Object {
	src := m.linkInterfaces()
	if m.logical() {
		src = m.logicalInterfaces()
	}
	return datamodel.Define(ipInterfacePath, ipInterfaceParams, src)
}

// linkInterfaces is the source where links are the interfaces.
func (m *Model) linkInterfaces() datamodel.Source[ipInterface] {
	src := datamodel.Source[ipInterface]{
		Topics:   []datamodel.Topic{LinkChanged, AddressChanged},
		Rows:     m.ipInterfaceRows,
		ReadOnly: []string{"IPv4Enable", "LowerLayers"},
		Without:  []string{"ULAEnable"},
		Stage:    m.stageLinkInterface,
	}
	if m.p.IPv6 == nil {
		src.Without = append(src.Without, "IPv6Enable")
	}
	if !m.canWrite() {
		src.ReadOnly = append(src.ReadOnly, "Enable", "IPv6Enable", "MaxMTUSize")
		src.Without = append(src.Without, "Reset")
		src.Stage = nil
	}
	return src
}

func (m *Model) stageLinkInterface(ctx context.Context, tx *datamodel.Tx, at []datamodel.Key, c datamodel.Change[ipInterface]) error {
	var want linkChange
	if c.Set("Enable") {
		want.enable = &c.New.enable
	}
	if c.Set("IPv6Enable") {
		want.ipv6, want.has6 = &c.New.ipv6Enable, c.Old.ipv6Enable
	}
	// The standard's largest MTU also stands for those above it.
	if c.Set("MaxMTUSize") && (c.New.maxMTUSize < math.MaxUint16 || c.Old.maxMTUSize < math.MaxUint16) {
		want.mtu = &c.New.maxMTUSize
	}
	if c.Set("Reset") && c.New.reset {
		if c.Old.loopback {
			return &datamodel.FieldError{Name: "Reset", Err: errLoopback}
		}
		tx.After(ResetInterface, at[0])
	}
	if want == (linkChange{}) {
		return nil
	}
	return m.stageLink(ctx, tx, at[0], want)
}

// ResetInterface is the name of what is left to do after the session for an IP
// interface that is to be reset, by its key: [Model.ResetInterfaces].
const ResetInterface = "reset interface"

var errLoopback = errors.New("the loopback interface stays as it is")

// ResetInterfaces tears the connections of IP interfaces down and sets them up
// anew, for as many of them as can be.
func (m *Model) ResetInterfaces(ctx context.Context, keys []string) error {
	var errs []error
	for _, key := range keys {
		if err := m.resetInterface(ctx, key); err != nil {
			errs = append(errs, fmt.Errorf("resetting %s: %w", key, err))
		}
	}
	return errors.Join(errs...)
}

func (m *Model) resetInterface(ctx context.Context, key string) error {
	if m.logical() {
		return m.p.Interfaces.Restart.RestartInterface(ctx, key)
	}
	b, err := m.p.Network.Begin(ctx)
	if err != nil {
		return err
	}
	b.SetLink(key, false)
	if err := b.Prepare(ctx); err != nil {
		return err
	}
	_, err = b.Commit(ctx)
	// To roll back brings the link up with the addresses and routes that went
	// down with it, which nobody else would do for those set by hand.
	return errors.Join(err, b.Rollback(context.WithoutCancel(ctx)))
}

func (m *Model) ipInterfaceRows(ctx context.Context, parent []datamodel.Key) iter.Seq2[datamodel.Row[ipInterface], error] {
	return func(yield func(datamodel.Row[ipInterface], error) bool) {
		v6 := map[string]bool{}
		if m.p.IPv6 != nil {
			all, err := m.dumpIPv6Links(ctx)
			if err != nil {
				yield(datamodel.Row[ipInterface]{}, err)
				return
			}
			for _, l := range all {
				v6[l.Link] = l.Enabled
			}
		}
		linkRows(m, hasIPInterface, func(l platform.Link, _ *linkTable) ipInterface {
			i := ipInterface{
				enable: l.Enabled, ipv4Enable: true, ipv6Enable: v6[l.Name], status: l.State, name: l.Name,
				lastChange: m.lastChange(l), lowerLayers: underIPInterface(l),
				maxMTUSize: min(l.MTU, math.MaxUint16), kind: "Normal",
			}
			if m.p.Routes != nil {
				i.router = datamodel.Ref{Table: routerPath, At: []datamodel.Key{mainRouter}}
			}
			if l.Kind == platform.LinkLoopback {
				i.kind, i.loopback = "Loopback", true
			}
			return i
		})(ctx, parent)(yield)
	}
}

// lastChange is how long l has been in its state. Where the system does not
// know it, it is at least as long as we have been watching.
func (m *Model) lastChange(l platform.Link) uint32 {
	if l.Changed.IsZero() {
		l.Changed = m.a.Start
	}
	if l.Changed.IsZero() {
		return 0
	}
	return since(m.now(), l.Changed)
}
