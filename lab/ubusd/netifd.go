package ubusd

// netifd: logical interfaces, as the package network and the provider have
// them.

import (
	"net/netip"
	"reflect"
	"strconv"
	"strings"
	"time"
)

// An iface is a logical interface and how it is doing.
type iface struct {
	name, proto, device string
	auto, up, pending   bool
	since               time.Time
	addrs               []netip.Prefix
	gateway             netip.Addr
	dns                 []netip.Addr
	leased              int // seconds
	failed              string
}

func (i *iface) same(o *iface) bool {
	a, b := *i, *o
	a.since, b.since = time.Time{}, time.Time{}
	return reflect.DeepEqual(a, b)
}

// readNetwork reads the package; what has not changed goes on as it was. mu is
// held.
func (r *Router) readNetwork(old []*iface) {
	r.nets = nil
	for _, s := range load(r.Root, "network") {
		if s.typ != "interface" || on(s.get("disabled")) {
			continue
		}
		i := &iface{name: s.name, proto: s.get("proto"), device: s.get("device"), auto: !off(s.get("auto")) && !r.down[s.name], since: time.Now()}
		if i.device == "" {
			i.device = s.get("ifname")
		}
		r.configure(i, s)
		for _, o := range old {
			if o.name == i.name && o.same(i) {
				i.since = o.since
			}
		}
		r.nets = append(r.nets, i)
	}
}

func (r *Router) configure(i *iface, s section) {
	for _, d := range s.options["dns"] {
		for _, f := range strings.Fields(d) {
			if a, err := netip.ParseAddr(f); err == nil {
				i.dns = append(i.dns, a)
			}
		}
	}
	switch i.proto {
	case "static":
		for _, o := range append(s.options["ipaddr"], s.options["ip6addr"]...) {
			for _, f := range strings.Fields(o) {
				if !strings.Contains(f, "/") {
					f += "/" + strconv.Itoa(bits(s.get("netmask")))
				}
				if p, err := netip.ParsePrefix(f); err == nil {
					i.addrs = append(i.addrs, p)
				}
			}
		}
		i.gateway, _ = netip.ParseAddr(s.get("gateway"))
		i.up = i.auto
	case "dhcp":
		if i.up = i.auto && r.WAN.Addr.IsValid(); i.up {
			i.addrs, i.gateway, i.leased = []netip.Prefix{r.WAN.Addr}, r.WAN.Gateway, r.WAN.Seconds
			if !off(s.get("peerdns")) {
				i.dns = append(i.dns, r.WAN.DNS...)
			}
		} else {
			i.pending = i.auto
		}
	case "none":
		i.up = i.auto
	default: // there is nobody out there
		i.pending = i.auto
	}
	if i.addrs == nil && i.proto == "static" && i.up && s.get("ipaddr") != "" {
		i.up, i.failed = false, "INVALID_ADDRESS"
	}
}

// bits is the length of a mask; netifd takes 255.255.255.255 where there is
// none.
func bits(mask string) int {
	a, err := netip.ParseAddr(mask)
	if err != nil {
		return 32
	}
	n := 0
	for _, b := range a.AsSlice() {
		for ; b&0x80 != 0; b <<= 1 {
			n++
		}
	}
	return n
}

// reloadNetwork reads the package again, and tells what has changed.
func (r *Router) reloadNetwork(b *life) {
	fails := r.fails("network")
	r.mu.Lock()
	old := r.nets
	r.readNetwork(old)
	var down, up []*iface
	for _, i := range r.nets {
		was := find(old, i.name)
		if was != nil && was.same(i) {
			continue
		}
		if fails {
			i.up, i.pending, i.failed = false, false, "DEVICE_CLAIM_FAILED"
		}
		if was != nil && was.up {
			down = append(down, i)
		}
		if i.up {
			up = append(up, i)
		}
	}
	for _, o := range old {
		if find(r.nets, o.name) == nil {
			down = append(down, o)
		}
	}
	now := r.nets
	r.mu.Unlock()
	for _, i := range down {
		r.tell(b, i.name, "ifdown", "interface.down")
		if find(now, i.name) == nil {
			b.netifd.withdraw("network.interface." + i.name)
		}
	}
	for _, i := range now {
		if find(old, i.name) == nil {
			r.offerInterface(b, i.name)
		}
	}
	for _, i := range up {
		r.tell(b, i.name, "ifup", "interface.update")
	}
}

// switchInterface is ifup and ifdown: an interface that was taken down does not
// come up by itself until somebody says so.
func (r *Router) switchInterface(b *life, name string, up bool) int {
	r.mu.Lock()
	i := find(r.nets, name)
	if i == nil {
		r.mu.Unlock()
		return notFound
	}
	was := i.up
	if r.down == nil {
		r.down = map[string]bool{}
	}
	r.down[name] = !up
	now := r.nets
	r.readNetwork(now)
	i = find(r.nets, name)
	is := i != nil && i.up
	r.mu.Unlock()
	switch {
	case was && !is:
		r.tell(b, name, "ifdown", "interface.down")
	case !was && is:
		r.tell(b, name, "ifup", "interface.update")
	}
	return ok
}

// SetWAN changes what the provider gives, as when the lease is renewed.
func (r *Router) SetWAN(o Offer) {
	r.mu.Lock()
	r.WAN = o
	b := r.life
	r.mu.Unlock()
	r.reloadNetwork(b)
}

func find(list []*iface, name string) *iface {
	for _, i := range list {
		if i.name == name {
			return i
		}
	}
	return nil
}

func (r *Router) tell(b *life, name, action, notice string) {
	b.netifd.event("network.interface", T("action", action, "interface", name))
	t, code := r.status(T("interface", name))
	if code != ok {
		t = nil
	}
	b.netifd.notify("network.interface", notice, append(T("interface", name), t...))
}

func (r *Router) dump(Table) (Table, int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	list := List{}
	for _, i := range r.nets {
		list = append(list, append(T("interface", i.name), i.table()...))
	}
	return T("interface", list), ok
}

func (r *Router) status(args Table) (Table, int) {
	name, given := args.Get("interface").(string)
	if !given {
		return nil, invalidArgument
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if i := find(r.nets, name); i != nil {
		return i.table(), ok
	}
	return nil, notFound
}

func (i *iface) table() Table {
	t := T("up", i.up, "pending", i.pending, "available", true, "autostart", i.auto, "dynamic", false)
	if i.up {
		t = append(t, T("uptime", int(time.Since(i.since).Seconds())+60, "l3_device", i.device)...)
	}
	t = append(t, T("proto", i.proto, "device", i.device)...)
	if i.up {
		t = append(t, i.addresses()...)
	}
	data := Table{}
	if i.leased > 0 {
		data = T("dhcpserver", i.gateway.String(), "hostname", "OpenWrt", "leasetime", i.leased)
	}
	t = append(t, Pair{"data", data})
	if i.failed != "" {
		t = append(t, Pair{"errors", List{T("subsystem", i.proto, "code", i.failed)}})
	}
	return t
}

func (i *iface) addresses() Table {
	v4, v6, route, dns := List{}, List{}, List{}, List{}
	for _, p := range i.addrs {
		a := T("address", p.Addr().String(), "mask", p.Bits())
		if p.Addr().Is4() {
			v4 = append(v4, a)
		} else {
			v6 = append(v6, a)
		}
	}
	if i.gateway.IsValid() {
		route = List{T("target", "0.0.0.0", "mask", 0, "nexthop", i.gateway.String(), "source", i.addrs[0].Addr().String()+"/32")}
	}
	for _, d := range i.dns {
		dns = append(dns, d.String())
	}
	search := List{}
	if i.leased > 0 {
		search = List{"provider.example"}
	}
	return T("updated", List{"addresses"}, "metric", 0, "dns_metric", 0, "delegation", true,
		"ipv4-address", v4, "ipv6-address", v6, "ipv6-prefix", List{}, "ipv6-prefix-assignment", List{},
		"route", route, "dns-server", dns, "dns-search", search, "neighbors", List{},
		"inactive", T("ipv4-address", List{}, "ipv6-address", List{}, "route", List{}, "dns-server", List{}, "dns-search", List{}))
}

func (r *Router) devices(args Table) (Table, int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	all := Table{}
	for _, i := range r.nets {
		if i.device != "" && all.Get(i.device) == nil {
			all = append(all, Pair{i.device, T("external", false, "present", true, "type", "Network device", "up", i.up, "carrier", i.up,
				"mtu", 1500, "macaddr", mac(i.device), "statistics", T("rx_bytes", int64(1000), "tx_bytes", int64(2000)))})
		}
	}
	if name, given := args.Get("name").(string); given {
		t, found := all.Get(name).(Table)
		if !found {
			return nil, invalidArgument
		}
		return t, ok
	}
	return all, ok
}
