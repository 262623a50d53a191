package uciconf

import (
	"maps"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"gatehouse/platform"
)

func TestInterfaceFields(t *testing.T) {
	type iface = platform.Interface
	for _, f := range []struct {
		name string
		edit func(*iface)
		want string
	}{
		{"Enabled", func(r *iface) { r.Enabled = false }, "option disabled '1'"},
		{"Proto", func(r *iface) { r.Proto = "none" }, "option proto 'none'"},
		{"Device", func(r *iface) { r.Device = "br-guest" }, "option device 'br-guest'"},
		{"MTU", func(r *iface) { r.MTU = 1400 }, "option mtu '1400'"},
		{"Gateway", func(r *iface) { r.Gateway = addr("192.168.1.254") }, "option gateway '192.168.1.254'"},
		{"PeerDNS", func(r *iface) { r.PeerDNS = false }, "option peerdns '0'"},
		{"IPv6", func(r *iface) { r.IPv6 = false }, "option ipv6 '0'"},
		{"Zone", func(r *iface) { r.Zone = "wan" }, ""},
		{"no Zone", func(r *iface) { r.Zone = "" }, ""},
		{"another address", func(r *iface) { r.Addrs[0].Prefix = netip.MustParsePrefix("10.0.0.1/16") },
			"option ipaddr '10.0.0.1'\n\toption netmask '255.255.0.0'\n\toption ip6assign '60'\n\tlist gh_addr '192.168.1.1 on 10.0.0.1/16'"},
		{"two addresses", func(r *iface) {
			r.Addrs = append(r.Addrs, platform.InterfaceAddr{Key: "a1", Enabled: true, Prefix: netip.MustParsePrefix("10.0.0.1/8")})
		}, "list ipaddr '192.168.1.1/24'\n\tlist ipaddr '10.0.0.1/8'"},
		{"one switched off", func(r *iface) {
			r.Addrs = append(r.Addrs, platform.InterfaceAddr{Key: "a1", Prefix: netip.MustParsePrefix("10.0.0.1/8")})
		}, "list gh_addr 'a1 off 10.0.0.1/8'"},
		{"one that is none yet", func(r *iface) { r.Addrs = append(r.Addrs, platform.InterfaceAddr{Key: "a1"}) }, "list gh_addr 'a1 off -'"},
		{"one that is none", func(r *iface) { r.Addrs[0].Prefix = netip.Prefix{} }, "list gh_addr '192.168.1.1 on -'"},
		{"IPv6 address", func(r *iface) {
			r.Addrs = append(r.Addrs, platform.InterfaceAddr{Key: "a6", Enabled: true, Prefix: netip.MustParsePrefix("2001:db8::1/64")})
		}, "list ip6addr '2001:db8::1/64'"},
		{"no address", func(r *iface) { r.Addrs = nil }, ""},
	} {
		t.Run(f.name, func(t *testing.T) {
			c := vanilla(t)
			before, was := row(t, c.Interfaces(), "lan"), sums(t, c)
			change(t, c, c.Interfaces(), "lan", f.edit)
			if after := text1(t, c, "network"); !strings.Contains(after, f.want) || maps.Equal(was, sums(t, c)) {
				t.Errorf("no %s in\n%s", f.want, after)
			}
			change(t, c, c.Interfaces(), "lan", func(r *iface) { *r = before })
		})
	}
}

func TestInterfaceRefusals(t *testing.T) {
	type iface = platform.Interface
	c := vanilla(t)
	for _, f := range []func(*iface){
		func(r *iface) { r.Zone = "dmz" },
		func(r *iface) { r.IPv4 = false },
		func(r *iface) { r.ULA = false },
		func(r *iface) { r.Addrs[0].Key = "a b" },
		func(r *iface) { r.Addrs = append(r.Addrs, r.Addrs[0]) },
		func(r *iface) { r.Proto = "static\nconfig x" },
	} {
		refused(t, c, c.Interfaces(), "lan", f)
	}
}

func TestInterfaceLife(t *testing.T) {
	c := vanilla(t)
	before := sums(t, c)
	key := create(t, c, c.Interfaces(), func(r *platform.Interface) {
		r.Enabled, r.Proto, r.Device, r.Zone, r.IPv6 = true, "static", "eth5", "lan", true
		r.Addrs = []platform.InterfaceAddr{{Key: "10.1.0.1", Enabled: true, Prefix: netip.MustParsePrefix("10.1.0.1/24")}}
	})
	if len("pppoe-"+key) > 15 {
		t.Errorf("the link of %s would have too long a name", key)
	}
	remove(t, c, c.Interfaces(), key)
	// A list that was put in order stays so; what it means is what it meant.
	if after := sums(t, c); before["network"] != after["network"] || row(t, c.Interfaces(), "lan").Zone != "lan" {
		t.Errorf("%s", text1(t, c, "network"))
	}
	if got := row(t, c.Interfaces(), "wan"); got.Proto != "dhcp" || !got.IPv4 || got.IPv6 || got.Zone != "wan" || got.Device != "wan" {
		t.Errorf("%+v", got)
	}
	if got := row(t, c.Interfaces(), "wan6"); got.IPv4 || !got.IPv6 {
		t.Errorf("%+v", got)
	}
	if got := row(t, c.Interfaces(), "loopback"); !got.Loopback || got.Addrs[0].Prefix != netip.MustParsePrefix("127.0.0.1/8") {
		t.Errorf("%+v", got)
	}
	if got := row(t, c.Interfaces(), "lan"); !got.ULA {
		t.Errorf("%+v", got)
	}
}

// OpenWrt 25.12 writes addresses as a list with lengths, and old files name
// servers in one option.
func TestInterfaceForms(t *testing.T) {
	c := vanilla(t)
	write(t, c, "network", "config interface 'lan'\n\toption ifname 'eth0 eth1'\n\tlist ipaddr '192.168.1.1/24'\n\tlist ipaddr '10.0.0.1/8'\n\toption dns '192.0.2.1 192.0.2.2'\n")
	r := row(t, c.Interfaces(), "lan")
	if len(r.Addrs) != 2 || r.Addrs[1].Key != "10.0.0.1" || len(r.DNS) != 2 || r.Device != "eth0" || r.Proto != "none" {
		t.Errorf("%+v", r)
	}
	change(t, c, c.Interfaces(), "lan", func(r *platform.Interface) { r.Addrs = r.Addrs[1:] })
	if got := text1(t, c, "network"); !strings.Contains(got, "option dns '192.0.2.1 192.0.2.2'\n") || !strings.Contains(got, "\tlist ipaddr '10.0.0.1/8'\n") || strings.Contains(got, "192.168") {
		t.Errorf("%s", got)
	}
}

func TestRoutes(t *testing.T) {
	c := vanilla(t)
	before := text1(t, c, "network")
	key := create(t, c, c.Routes(), func(*platform.StaticRoute) {})
	change(t, c, c.Routes(), key, func(r *platform.StaticRoute) {
		*r = platform.StaticRoute{Enabled: true, Dest: netip.MustParsePrefix("10.0.0.0/8"), Gateway: addr("192.168.1.9"), Interface: "lan", Metric: 5}
	})
	change(t, c, c.Routes(), key, func(r *platform.StaticRoute) { r.Enabled = false })
	change(t, c, c.Routes(), key, func(r *platform.StaticRoute) {
		r.Dest, r.Gateway, r.Metric = netip.MustParsePrefix("2001:db8::/32"), addr("fe80::1"), 0
	})
	if got := text1(t, c, "network"); !strings.Contains(got, "config route6 '"+key+"'\n") {
		t.Errorf("%s", got)
	}
	change(t, c, c.Routes(), key, func(r *platform.StaticRoute) { r.Dest = netip.MustParsePrefix("0.0.0.0/0") })
	remove(t, c, c.Routes(), key)
	if got := text1(t, c, "network"); got != before {
		t.Errorf("left over:\n%s", got)
	}
	// Sections without a name, in other words.
	write(t, c, "network", "config route\n\toption interface 'lan'\n\toption target '10.0.0.0'\n\toption netmask '255.0.0.0'\n\nconfig route6\n\toption target 'default'\n")
	got := slices.Sorted(maps.Keys(rows(t, c.Routes())))
	if len(got) != 2 {
		t.Fatal(got)
	}
	for key, r := range rows(t, c.Routes()) {
		switch r.Dest.String() {
		case "::/0":
		case "10.0.0.0/8":
			change(t, c, c.Routes(), key, func(r *platform.StaticRoute) { r.Dest = netip.MustParsePrefix("10.0.0.0/9") })
			if text := text1(t, c, "network"); !strings.Contains(text, "config route '"+key+"'\n\toption interface 'lan'\n\toption target '10.0.0.0'\n\toption netmask '255.128.0.0'\n") {
				t.Errorf("%s", text)
			}
		default:
			t.Errorf("%+v", r)
		}
	}
}

// TestServerBesideItsInterface: both are put in one batch, in either order; the
// interface is put as it was read, without the server.
func TestServerBesideItsInterface(t *testing.T) {
	for _, serverFirst := range []bool{true, false} {
		c := vanilla(t)
		lan := row(t, c.Interfaces(), "lan")
		lan.MTU = 1400
		_, err := do(t, c, func(b platform.ConfigBatch) {
			server := func() {
				c.Forwards().Put(b, "dns1", platform.DNSForward{Enabled: true, Server: addr("192.0.2.99"), Interface: "lan"})
			}
			if serverFirst {
				server()
			}
			c.Interfaces().Put(b, "lan", lan)
			if !serverFirst {
				server()
			}
		})
		if err != nil {
			t.Fatal(err)
		}
		if got := row(t, c.Interfaces(), "lan"); got.MTU != 1400 || !slices.Equal(got.DNS, []netip.Addr{addr("192.0.2.99")}) {
			t.Errorf("server first %t: %+v", serverFirst, got)
		}
	}
}
