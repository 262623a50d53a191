// The router in memory as OpenWrt has it: logical interfaces above its links,
// and static routes, in a configuration of their own.

package fake

import (
	"context"
	"iter"
	"net/netip"
	"slices"
	"strconv"
	"time"

	"gatehouse/platform"
)

// NewLogical is [New] with logical interfaces: "lan" on the bridge, "wan" and
// "wan6" on the WAN port, and the loopback, with their addresses and the static
// route in configuration. What they are told reaches the system when "network"
// is reloaded.
func NewLogical() *Router {
	r := New()
	n := &network{
		interfaces: seed(table[platform.Interface]{r: r, name: "interfaces", service: "network", clone: cloneInterface,
			fresh: platform.Interface{Proto: "none", IPv4: true, IPv6: true}}, false, homeInterfaces()...),
		routes: seed(table[platform.StaticRoute]{r: r, name: "routing", service: "network"}, false,
			platform.Entry[platform.StaticRoute]{Key: "route0", Value: platform.StaticRoute{
				Enabled: true, Interface: "lan", Metric: 10,
				Dest: netip.MustParsePrefix("198.51.100.0/24"), Gateway: netip.MustParseAddr("192.168.1.254"),
			}}),
		restarts: map[string]int{}, renewals: map[string]int{},
	}
	n.addresses, n.given = n.wantedAddresses(), n.wantedRoutes()
	n.interfaces.takenUp(n.apply)
	b := backend{r}
	r.network = n
	r.tables.Interfaces = platform.Interfaces{Table: n.interfaces, State: b, Restart: b, Renew: b}
	r.tables.Routing = n.routes
	r.tables.Globals = seed(table[platform.GlobalConfig]{r: r, name: "globals", service: "network"}, true,
		platform.Entry[platform.GlobalConfig]{Key: "globals", Value: platform.GlobalConfig{ULA: netip.MustParsePrefix("fd00:db8:1::/48")}})
	r.standOn("lan", "wan")
	return r
}

// network is the service that brings logical interfaces about.
type network struct {
	interfaces table[platform.Interface]
	routes     table[platform.StaticRoute]
	addresses  []platform.Address // that it gave to links
	given      []platform.Route
	restarts   map[string]int
	renewals   map[string]int
}

func homeInterfaces() []platform.Entry[platform.Interface] {
	on := func(key, proto, device, zone string, addrs ...string) platform.Entry[platform.Interface] {
		i := platform.Interface{Enabled: true, Proto: proto, Device: device, IPv4: true, IPv6: true, Zone: zone, PeerDNS: true, Loopback: device == "lo"}
		for n, a := range addrs {
			i.Addrs = append(i.Addrs, platform.InterfaceAddr{Key: key + strconv.Itoa(n), Enabled: true, Prefix: netip.MustParsePrefix(a)})
		}
		return platform.Entry[platform.Interface]{Key: key, Value: i}
	}
	return []platform.Entry[platform.Interface]{
		on("loopback", "static", "lo", "", "127.0.0.1/8", "::1/128"),
		on("lan", "static", "br-lan", "lan", "192.168.1.1/24", "2001:db8:100::1/64"),
		on("wan", "dhcp", "eth0", "wan"),
		on("wan6", "dhcpv6", "eth0", "wan"),
	}
}

func cloneInterface(i platform.Interface) platform.Interface {
	i.Addrs, i.DNS = slices.Clone(i.Addrs), slices.Clone(i.DNS)
	return i
}

// InterfaceRestarts returns how often the interface called key was restarted.
func (r *Router) InterfaceRestarts(key string) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.network.restarts[key]
}

// RestartInterface counts.
func (b backend) RestartInterface(ctx context.Context, key string) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !slices.ContainsFunc(b.network.interfaces.committed(), func(e platform.Entry[platform.Interface]) bool { return e.Key == key }) {
		return platform.ErrGone
	}
	b.network.restarts[key]++
	return ctx.Err()
}

// apply gives the links what is configured, and takes from them what was.
func (n *network) apply() {
	s := &n.interfaces.r.state
	for _, a := range n.addresses {
		s.addresses = replaced(s.addresses, sameAddress(a))
		s.routes = replaced(s.routes, func(x platform.Route) bool {
			return x.Protocol == "kernel" && x.Link == a.Link && x.Dest == a.Prefix.Masked()
		})
	}
	for _, x := range n.given {
		s.routes = replaced(s.routes, func(o platform.Route) bool { return o == x })
	}
	n.addresses, n.given = n.wantedAddresses(), nil
	for _, a := range n.addresses {
		s.addresses = replaced(s.addresses, sameAddress(a), a)
		if !a.Prefix.IsSingleIP() && !a.Prefix.Addr().IsLoopback() {
			s.routes = append(slices.Clone(s.routes), connected(a))
		}
	}
	n.given = n.wantedRoutes()
	s.routes = append(slices.Clone(s.routes), n.given...)
	n.interfaces.r.tell(platform.Event{Topic: platform.AddressChanged}, platform.Event{Topic: platform.RouteChanged},
		platform.Event{Topic: platform.InterfaceChanged})
}

func (n *network) wantedAddresses() (all []platform.Address) {
	for _, row := range n.interfaces.committed() {
		for _, a := range row.Value.Addrs {
			if row.Value.Enabled && row.Value.Proto == "static" && a.Enabled && a.Prefix.IsValid() {
				all = append(all, platform.Address{Link: row.Value.Device, Prefix: a.Prefix, Permanent: true, Preferred: -1, Valid: -1})
			}
		}
	}
	return all
}

// wantedRoutes are the static routes whose gateway can be reached.
func (n *network) wantedRoutes() (all []platform.Route) {
	devices := map[string]string{}
	for _, row := range n.interfaces.committed() {
		devices[row.Key] = row.Value.Device
	}
	for _, row := range n.routes.committed() {
		x := platform.Route{Dest: row.Value.Dest, Gateway: row.Value.Gateway, Link: devices[row.Value.Interface],
			Metric: row.Value.Metric, Static: true, Protocol: "static"}
		if x.Dest.Addr().Is6() && x.Metric == 0 {
			x.Metric = 1024
		}
		if x.Gateway.IsValid() && !x.Gateway.IsLinkLocalUnicast() {
			if x.Link = n.interfaces.r.state.linkTo(x); x.Link == "" {
				continue
			}
		}
		if row.Value.Enabled && x.Dest.IsValid() && x.Link != "" {
			all = append(all, x)
		}
	}
	return all
}

// InterfaceStates reads the logical interfaces. Link-local addresses are the
// kernel's, not theirs.
func (b backend) InterfaceStates(ctx context.Context) iter.Seq2[platform.InterfaceState, error] {
	b.mu.Lock()
	configured := b.network.interfaces.committed()
	b.mu.Unlock()
	return stream(ctx, b, States, func(s state) (all []platform.InterfaceState) {
		for _, row := range configured {
			all = append(all, interfaceState(s, row.Key, row.Value, b.boot))
		}
		return all
	}, nil)
}

func interfaceState(s state, key string, i platform.Interface, boot time.Time) platform.InterfaceState {
	out := platform.InterfaceState{Key: key, Device: i.Device, Since: boot}
	for _, l := range s.links {
		out.Up = out.Up || l.Name == i.Device && l.Running && i.Enabled
	}
	if !out.Up {
		return out
	}
	for _, a := range s.addresses {
		if a.Link == i.Device && carries(i.Proto, a.Prefix.Addr()) {
			out.Addrs = append(out.Addrs, a)
		}
	}
	for _, d := range s.dns.Servers {
		if d.Link == i.Device && carries(i.Proto, d.Addr) {
			out.DNS = append(out.DNS, d.Addr)
		}
	}
	for _, x := range s.routes {
		if x.Link == i.Device && x.Dest.Bits() == 0 && x.Gateway.IsValid() && carries(i.Proto, x.Dest.Addr()) {
			out.Routers = append(out.Routers, x.Gateway)
		}
	}
	return out
}

// carries says whether an address may come from a protocol.
func carries(proto string, a netip.Addr) bool {
	switch {
	case a.IsLinkLocalUnicast():
		return false
	case proto == "dhcp", proto == "pppoe":
		return a.Is4()
	case proto == "dhcpv6":
		return a.Is6()
	}
	return true
}
