// Device.Routing.Router.{i}.IPv6Forwarding.

package tr181

import (
	"context"
	"errors"
	"iter"
	"net/netip"
	"time"

	"gatehouse/datamodel"
	"gatehouse/platform"
)

// Device.Routing.Router.{i}.IPv6Forwarding.{i}.: as IPv4Forwarding. An empty
// destination is incomplete, ::/0 the default route.
type ipv6Route struct {
	enable  bool
	status  string
	alias   datamodel.Alias
	dest    string
	policy  int32
	nextHop string
	iface   datamodel.Ref
	origin  string
	metric  int32 // -1: none
	expires time.Time
	kept    bool
}

const ipv6ForwardingPath = routerPath + "IPv6Forwarding.{i}."

var ipv6ForwardingParams = []datamodel.Param[ipv6Route]{
	{Name: "Enable", At: func(r *ipv6Route) any { return &r.enable }, Access: datamodel.ReadWrite},
	{Name: "Status", At: func(r *ipv6Route) any { return &r.status }, Check: configStatuses},
	{Name: "Alias", At: func(r *ipv6Route) any { return &r.alias }, Access: datamodel.ReadWrite, Check: datamodel.Len{Max: 64}},
	{Name: "DestIPPrefix", At: func(r *ipv6Route) any { return &r.dest }, Access: datamodel.ReadWrite, Check: datamodel.IPv6Prefix{}},
	{Name: "ForwardingPolicy", At: func(r *ipv6Route) any { return &r.policy }, Check: datamodel.AtLeast(-1)},
	{Name: "NextHop", At: func(r *ipv6Route) any { return &r.nextHop }, Access: datamodel.ReadWrite, Check: datamodel.IPv6Address{}},
	{Name: "Interface", At: func(r *ipv6Route) any { return &r.iface }, Access: datamodel.ReadWrite,
		Check: datamodel.Len{Max: 256}, Refs: []string{ipInterfacePath}},
	{Name: "Origin", At: func(r *ipv6Route) any { return &r.origin },
		Check: datamodel.Enum{"DHCPv6", "OSPF", "RA", "RIPng", "3GPP-NAS", "Static"}},
	{Name: "ForwardingMetric", At: func(r *ipv6Route) any { return &r.metric }, Access: datamodel.ReadWrite, Check: datamodel.AtLeast(-1)},
	{Name: "ExpirationTime", At: func(r *ipv6Route) any { return &r.expires }},
}

func (m *Model) ipv6Forwarding() datamodel.Object {
	src := datamodel.Source[ipv6Route]{
		Topics: []datamodel.Topic{RouteChanged, LinkChanged},
		Rows:   m.ipv6RouteRows,
		Unique: [][]string{{"DestIPPrefix", "ForwardingPolicy", "NextHop", "Interface", "ForwardingMetric"}},
		Check:  checkIPv6Route,
	}
	switch {
	case m.configuresRoutes():
		src.New = func(ctx context.Context, _ []datamodel.Key) (datamodel.Key, *ipv6Route, error) {
			key, _, err := m.p.Routing.Fresh(ctx)
			return key, new(freshIPv6Route), lacking(err)
		}
		src.Stage = m.stageConfiguredIPv6Route
	case m.keepsRoutes():
		keep(m, &m.route6, "ipv6-routes", ipv6ForwardingParams, &freshIPv6Route)
		src.New = m.route6.New
		src.Stage = m.stageIPv6Route
	default:
		src.ReadOnly = []string{"Enable", "DestIPPrefix", "NextHop", "Interface", "ForwardingMetric"}
	}
	return datamodel.Define(ipv6ForwardingPath, ipv6ForwardingParams, src)
}

var freshIPv6Route = ipv6Route{status: "Disabled", policy: -1, metric: -1, origin: "Static", expires: infiniteTime, kept: true}

func (m *Model) ipv6RouteRows(ctx context.Context, parent []datamodel.Key) iter.Seq2[datamodel.Row[ipv6Route], error] {
	return func(yield func(datamodel.Row[ipv6Route], error) bool) {
		names, err := m.routeNames(ctx)
		if err != nil {
			yield(datamodel.Row[ipv6Route]{}, err)
			return
		}
		ours := keptRows(ctx, m.route6, parent)
		if m.configuresRoutes() {
			ours = configuredRoutes(ctx, m, true, configuredIPv6Route)
		}
		now := m.now()
		mergedRoutes(m.p.Routes.Routes(ctx, true), ours,
			func(r *ipv6Route) (platform.Route, bool) { return names.onLink(r.route()), r.enable },
			func(r *ipv6Route) *string { return &r.status },
			func(r platform.Route) ipv6Route { return systemIPv6Route(r, names.ref, now) })(yield)
	}
}

// configuredIPv6Route is a route of the platform's configuration as a row. One
// that has no destination yet is off, and kept as the default route.
func configuredIPv6Route(r platform.StaticRoute) ipv6Route {
	row := freshIPv6Route
	row.enable, row.dest, row.iface = r.Enabled, r.Dest.String(), ipInterfaceRef(r.Interface)
	if r.Gateway.IsValid() {
		row.nextHop = r.Gateway.WithZone("").String()
	}
	if r.Metric > 0 {
		row.metric = r.Metric
	}
	return row
}

var errNoDest = errors.New("a route that is on needs a destination")

func (m *Model) stageConfiguredIPv6Route(ctx context.Context, tx *datamodel.Tx, at []datamodel.Key, c datamodel.Change[ipv6Route]) error {
	switch {
	case c.Old != nil && !c.Old.kept:
		return ofTheSystem(ipv6ForwardingParams, c)
	case c.New == nil:
		return m.stageConfiguredRoute(ctx, tx, at[1], nil, false, "")
	}
	want := c.New.route()
	if !want.Dest.IsValid() {
		if c.New.enable {
			return &datamodel.FieldError{Name: "DestIPPrefix", Err: errNoDest}
		}
		want.Dest = netip.PrefixFrom(netip.IPv6Unspecified(), 0)
	}
	return m.stageConfiguredRoute(ctx, tx, at[1], &want, c.New.enable, "NextHop")
}

// systemIPv6Route is a route of the system as a row.
func systemIPv6Route(r platform.Route, ref interfaceRef, now time.Time) ipv6Route {
	row := ipv6Route{
		enable: true, status: "Enabled", dest: r.Dest.String(), policy: -1, metric: -1,
		iface: ref(r.Link, true), origin: ipv6Origin(r.Protocol), expires: infiniteTime,
	}
	if r.Gateway.IsValid() {
		row.nextHop = r.Gateway.WithZone("").String()
	}
	if r.Metric > 0 {
		row.metric = r.Metric
	}
	if r.Expires > 0 {
		row.expires = ends(now, r.Expires)
	}
	return row
}

// ipv6Origin is who made a route, as far as TR-181 has a name for it.
func ipv6Origin(protocol string) string {
	switch protocol {
	case "dhcp":
		return "DHCPv6"
	case "ra":
		return "RA"
	case "ospf":
		return "OSPF"
	case "rip":
		return "RIPng"
	}
	return "Static"
}

// route is what the row asks of the system; its Dest is invalid while the row
// makes no sense.
func (r ipv6Route) route() platform.Route {
	out := platform.Route{Gateway: addrOf(r.nextHop), Link: linkOf(r.iface), Metric: max(r.metric, 0), Static: true, Protocol: "static"}
	if p, err := netip.ParsePrefix(r.dest); err == nil && p == p.Masked() {
		out.Dest = p
	}
	return out
}

var errPrefixBits = errors.New("has bits set beyond its prefix length")

func checkIPv6Route(c datamodel.Change[ipv6Route]) error {
	if c.New == nil {
		return nil
	}
	if p, err := netip.ParsePrefix(c.New.dest); err == nil && p != p.Masked() {
		return &datamodel.FieldError{Name: "DestIPPrefix", Err: errPrefixBits}
	}
	return nil
}

func (m *Model) stageIPv6Route(ctx context.Context, tx *datamodel.Tx, at []datamodel.Key, c datamodel.Change[ipv6Route]) error {
	if c.Old != nil && !c.Old.kept {
		return ofTheSystem(ipv6ForwardingParams, c)
	}
	if err := m.route6.Stage(ctx, tx, at, c); err != nil {
		return err
	}
	var old, next platform.Route
	if c.Old != nil && c.Old.enable {
		old = c.Old.route()
	}
	if c.New != nil && c.New.enable {
		next = c.New.route()
	}
	return m.stageRoute(ctx, tx, old, next, "NextHop")
}
