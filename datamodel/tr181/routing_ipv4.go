// Device.Routing.Router.{i}.IPv4Forwarding.

package tr181

import (
	"context"
	"errors"
	"iter"
	"net/netip"

	"gatehouse/datamodel"
	"gatehouse/platform"
)

// Device.Routing.Router.{i}.IPv4Forwarding.{i}.: the main routing table. The
// static routes are in the platform's configuration or kept by us; those of the
// system cannot be written. Both destinations empty means the default route.
type ipv4Route struct {
	enable  bool
	status  string
	alias   datamodel.Alias
	static  bool
	dest    string
	mask    string
	policy  int32
	gateway string
	iface   datamodel.Ref
	origin  string
	metric  int32 // -1: none
	kept    bool
}

const ipv4ForwardingPath = routerPath + "IPv4Forwarding.{i}."

var ipv4ForwardingParams = []datamodel.Param[ipv4Route]{
	{Name: "Enable", At: func(r *ipv4Route) any { return &r.enable }, Access: datamodel.ReadWrite},
	{Name: "Status", At: func(r *ipv4Route) any { return &r.status }, Check: configStatuses},
	{Name: "Alias", At: func(r *ipv4Route) any { return &r.alias }, Access: datamodel.ReadWrite, Check: datamodel.Len{Max: 64}},
	{Name: "StaticRoute", At: func(r *ipv4Route) any { return &r.static }},
	{Name: "DestIPAddress", At: func(r *ipv4Route) any { return &r.dest }, Access: datamodel.ReadWrite, Check: datamodel.IPv4Address{}},
	{Name: "DestSubnetMask", At: func(r *ipv4Route) any { return &r.mask }, Access: datamodel.ReadWrite, Check: datamodel.IPv4Address{}},
	{Name: "ForwardingPolicy", At: func(r *ipv4Route) any { return &r.policy }, Check: datamodel.AtLeast(-1)},
	{Name: "GatewayIPAddress", At: func(r *ipv4Route) any { return &r.gateway }, Access: datamodel.ReadWrite, Check: datamodel.IPv4Address{}},
	{Name: "Interface", At: func(r *ipv4Route) any { return &r.iface }, Access: datamodel.ReadWrite,
		Check: datamodel.Len{Max: 256}, Refs: []string{ipInterfacePath}},
	{Name: "Origin", At: func(r *ipv4Route) any { return &r.origin },
		Check: datamodel.Enum{"DHCPv4", "OSPF", "IPCP", "RIP", "3GPP-NAS", "Static"}},
	{Name: "ForwardingMetric", At: func(r *ipv4Route) any { return &r.metric }, Access: datamodel.ReadWrite, Check: datamodel.AtLeast(-1)},
}

func (m *Model) ipv4Forwarding() datamodel.Object {
	src := datamodel.Source[ipv4Route]{
		Topics: []datamodel.Topic{RouteChanged, LinkChanged},
		Rows:   m.ipv4RouteRows,
		Unique: [][]string{{"DestIPAddress", "DestSubnetMask", "ForwardingPolicy", "GatewayIPAddress", "Interface", "ForwardingMetric"}},
		Check:  checkIPv4Route,
	}
	switch {
	case m.configuresRoutes():
		src.New = func(ctx context.Context, _ []datamodel.Key) (datamodel.Key, *ipv4Route, error) {
			key, _, err := m.p.Routing.Fresh(ctx)
			return key, new(freshIPv4Route), lacking(err)
		}
		src.Stage = m.stageConfiguredIPv4Route
	case m.keepsRoutes():
		keep(m, &m.route4, "ipv4-routes", ipv4ForwardingParams, &freshIPv4Route)
		src.New = m.route4.New
		src.Stage = m.stageIPv4Route
	default:
		src.ReadOnly = []string{"Enable", "DestIPAddress", "DestSubnetMask", "GatewayIPAddress", "Interface", "ForwardingMetric"}
	}
	return datamodel.Define(ipv4ForwardingPath, ipv4ForwardingParams, src)
}

var freshIPv4Route = ipv4Route{status: "Disabled", static: true, policy: -1, metric: -1, origin: "Static", kept: true}

func (m *Model) ipv4RouteRows(ctx context.Context, parent []datamodel.Key) iter.Seq2[datamodel.Row[ipv4Route], error] {
	return func(yield func(datamodel.Row[ipv4Route], error) bool) {
		names, err := m.routeNames(ctx)
		if err != nil {
			yield(datamodel.Row[ipv4Route]{}, err)
			return
		}
		ours := keptRows(ctx, m.route4, parent)
		if m.configuresRoutes() {
			ours = configuredRoutes(ctx, m, false, configuredIPv4Route)
		}
		mergedRoutes(m.p.Routes.Routes(ctx, false), ours,
			func(r *ipv4Route) (platform.Route, bool) { return names.onLink(r.route()), r.enable },
			func(r *ipv4Route) *string { return &r.status },
			func(r platform.Route) ipv4Route { return systemIPv4Route(r, names.ref) })(yield)
	}
}

// configuredIPv4Route is a route of the platform's configuration as a row.
func configuredIPv4Route(r platform.StaticRoute) ipv4Route {
	row := freshIPv4Route
	row.enable, row.iface = r.Enabled, ipInterfaceRef(r.Interface)
	if r.Dest.Bits() > 0 {
		row.dest, row.mask = r.Dest.Addr().String(), maskOf(r.Dest.Bits())
	}
	if r.Gateway.Is4() {
		row.gateway = r.Gateway.String()
	}
	if r.Metric > 0 { // 0 is what the system makes of none
		row.metric = r.Metric
	}
	return row
}

var errPair = errors.New("a destination and its mask go together")

func (m *Model) stageConfiguredIPv4Route(ctx context.Context, tx *datamodel.Tx, at []datamodel.Key, c datamodel.Change[ipv4Route]) error {
	switch {
	case c.Old != nil && !c.Old.kept:
		return ofTheSystem(ipv4ForwardingParams, c)
	case c.New == nil:
		return m.stageConfiguredRoute(ctx, tx, at[1], nil, false, "")
	}
	want := c.New.route()
	if !want.Dest.IsValid() {
		return &datamodel.FieldError{Name: "DestSubnetMask", Err: errPair}
	}
	return m.stageConfiguredRoute(ctx, tx, at[1], &want, c.New.enable, "GatewayIPAddress")
}

// systemIPv4Route is a route of the system as a row.
func systemIPv4Route(r platform.Route, ref interfaceRef) ipv4Route {
	row := ipv4Route{
		enable: true, status: "Enabled", static: r.Static, policy: -1, metric: -1,
		iface: ref(r.Link, false), origin: ipv4Origin(r.Protocol),
	}
	if r.Dest.Bits() > 0 {
		row.dest, row.mask = r.Dest.Addr().String(), maskOf(r.Dest.Bits())
	}
	if r.Gateway.Is4() { // it may be an IPv6 one (RFC 8950), for which TR-181 has no place
		row.gateway = r.Gateway.String()
	}
	if r.Metric > 0 {
		row.metric = r.Metric
	}
	return row
}

// ipv4Origin is who made a route, as far as TR-181 has a name for it.
func ipv4Origin(protocol string) string {
	switch protocol {
	case "dhcp":
		return "DHCPv4"
	case "ospf":
		return "OSPF"
	case "rip":
		return "RIP"
	}
	return "Static"
}

// route is what the row asks of the system; its Dest is invalid while the row
// makes no sense.
func (r ipv4Route) route() platform.Route {
	out := platform.Route{Gateway: addrOf(r.gateway), Link: linkOf(r.iface), Metric: max(r.metric, 0), Static: true, Protocol: "static"}
	dest, mask := r.dest, r.mask
	if dest == "" {
		dest = "0.0.0.0"
	}
	if mask == "" && addrOf(dest).IsValid() {
		return out
	}
	if mask == "" {
		mask = "0.0.0.0"
	}
	ip, err := netip.ParseAddr(dest)
	bits, ok := maskBits(mask)
	if err != nil || !ok {
		return out
	}
	out.Dest = netip.PrefixFrom(ip, bits)
	if out.Dest != out.Dest.Masked() {
		out.Dest = netip.Prefix{}
	}
	return out
}

var errHostBits = errors.New("the destination has bits set that the mask does not cover")

func checkIPv4Route(c datamodel.Change[ipv4Route]) error {
	if c.New == nil || c.New.mask == "" {
		return nil
	}
	bits, ok := maskBits(c.New.mask)
	if !ok {
		return &datamodel.FieldError{Name: "DestSubnetMask", Err: errMask}
	}
	if ip, err := netip.ParseAddr(c.New.dest); err == nil && netip.PrefixFrom(ip, bits).Masked().Addr() != ip {
		return &datamodel.FieldError{Name: "DestIPAddress", Err: errHostBits}
	}
	return nil
}

func (m *Model) stageIPv4Route(ctx context.Context, tx *datamodel.Tx, at []datamodel.Key, c datamodel.Change[ipv4Route]) error {
	if c.Old != nil && !c.Old.kept {
		return ofTheSystem(ipv4ForwardingParams, c)
	}
	if err := m.route4.Stage(ctx, tx, at, c); err != nil {
		return err
	}
	var old, next platform.Route
	if c.Old != nil && c.Old.enable {
		old = c.Old.route()
	}
	if c.New != nil && c.New.enable {
		next = c.New.route()
	}
	return m.stageRoute(ctx, tx, old, next, "GatewayIPAddress")
}
