// Device.NeighborDiscovery.: RFC 4861 per link, read-only.

package tr181

import (
	"context"
	"iter"
	"math"
	"time"

	"gatehouse/datamodel"
	"gatehouse/platform"
)

// Device.NeighborDiscovery.: RFC 4861, which runs wherever IPv6 does.
type neighborDiscovery struct{ enable bool }

var neighborDiscoveryParams = []datamodel.Param[neighborDiscovery]{
	{Name: "Enable", At: func(n *neighborDiscovery) any { return &n.enable }},
}

func (m *Model) neighborDiscovery() datamodel.Object {
	return datamodel.Define("Device.NeighborDiscovery.", neighborDiscoveryParams, datamodel.Source[neighborDiscovery]{
		Topics: []datamodel.Topic{AddressChanged},
		Keys:   datamodel.Always,
		Rows: datamodel.One(func(ctx context.Context, _ []datamodel.Key) (neighborDiscovery, error) {
			v6, err := m.readFamily(ctx, true)
			return neighborDiscovery{v6.enabled}, err
		}),
	})
}

// Device.NeighborDiscovery.InterfaceSetting.{i}.: one per link with IPv6. The
// least RtrSolicitationInterval of the standard is 4 s; what the system uses is
// shown even where it is less.
type ndInterface struct {
	enable       bool
	status       string
	alias        datamodel.Alias
	iface        datamodel.Ref
	dadTransmits uint32
	retransTimer uint32 // ms
	rsInterval   uint32 // ms
	maxRS        uint32
	nudEnable    bool
	rsEnable     bool
}

var ndInterfaceParams = []datamodel.Param[ndInterface]{
	{Name: "Enable", At: func(n *ndInterface) any { return &n.enable }},
	{Name: "Status", At: func(n *ndInterface) any { return &n.status },
		Check: datamodel.Enum{"Disabled", "Enabled", "Error_Misconfigured", "Error"}},
	{Name: "Alias", At: func(n *ndInterface) any { return &n.alias }, Access: datamodel.ReadWrite, Check: datamodel.Len{Max: 64}},
	{Name: "Interface", At: func(n *ndInterface) any { return &n.iface }, Refs: []string{ipInterfacePath}},
	{Name: "DADTransmits", At: func(n *ndInterface) any { return &n.dadTransmits }},
	{Name: "RetransTimer", At: func(n *ndInterface) any { return &n.retransTimer }, Check: datamodel.AtLeast(1)},
	{Name: "RtrSolicitationInterval", At: func(n *ndInterface) any { return &n.rsInterval }, Check: datamodel.AtLeast(4000)},
	{Name: "MaxRtrSolicitations", At: func(n *ndInterface) any { return &n.maxRS }},
	{Name: "NUDEnable", At: func(n *ndInterface) any { return &n.nudEnable }},
	{Name: "RSEnable", At: func(n *ndInterface) any { return &n.rsEnable }},
}

func (m *Model) ndInterface() datamodel.Object {
	return datamodel.Define("Device.NeighborDiscovery.InterfaceSetting.{i}.", ndInterfaceParams, datamodel.Source[ndInterface]{
		Topics: []datamodel.Topic{LinkChanged},
		Rows: func(ctx context.Context, _ []datamodel.Key) iter.Seq2[datamodel.Row[ndInterface], error] {
			return func(yield func(datamodel.Row[ndInterface], error) bool) {
				links, err := m.dumpLinks(ctx)
				if err != nil {
					yield(datamodel.Row[ndInterface]{}, err)
					return
				}
				all, err := m.dumpIPv6Links(ctx)
				if err != nil {
					yield(datamodel.Row[ndInterface]{}, err)
					return
				}
				ref, err := m.ipInterfaceRefs(ctx)
				if err != nil {
					yield(datamodel.Row[ndInterface]{}, err)
					return
				}
				for _, s := range all {
					l, ok := links.get(s.Link)
					if !ok || !hasIPInterface(l) || l.Kind == platform.LinkLoopback {
						continue
					}
					if !yield(datamodel.Row[ndInterface]{Key: s.Link, Value: new(ndSetting(s, ref(s.Link, true)))}, nil) {
						return
					}
				}
			}
		},
	})
}

func ndSetting(s platform.IPv6Link, iface datamodel.Ref) ndInterface {
	return ndInterface{
		enable: s.Enabled, status: enabled(s.Enabled), iface: iface, dadTransmits: s.DADTransmits,
		retransTimer: milliseconds(s.RetransTimer), rsInterval: milliseconds(s.SolicitationInterval), maxRS: s.RouterSolicitations,
		// Linux solicits routers where it listens to them.
		nudEnable: s.NeighborUnreachable, rsEnable: s.AcceptRA && s.RouterSolicitations > 0,
	}
}

func milliseconds(d time.Duration) uint32 {
	return uint32(min(max(d/time.Millisecond, 0), math.MaxUint32))
}
