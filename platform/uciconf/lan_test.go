package uciconf

import (
	"errors"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"gatehouse/platform"
)

func TestPools(t *testing.T) {
	type pool = platform.DHCPPool
	for _, f := range []struct {
		name string
		edit func(*pool)
		want string
	}{
		{"Enabled", func(p *pool) { p.Enabled = false }, "option dhcpv4 'disabled'"},
		{"Order", func(p *pool) { p.Order = 7 }, "option gh_order '7'"},
		{"Min", func(p *pool) { p.Min = addr("192.168.1.10") }, "option start '10'\n\toption limit '240'"},
		{"Max", func(p *pool) { p.Max = addr("192.168.1.100") }, "option limit '1'"},
		{"a range elsewhere", func(p *pool) { p.Max = addr("192.168.2.7") }, "list gh_range '192.168.2.7'"},
		{"a range backwards", func(p *pool) { p.Max = addr("192.168.1.7") }, "option dhcpv4 'disabled'"},
		{"half a range", func(p *pool) { p.Max = netip.Addr{} }, "list gh_range '-'"},
		{"a range of IPv6", func(p *pool) { p.Min = addr("::1") }, "option gh_enabled '1'"},
		{"Reserved", func(p *pool) { p.Reserved = []netip.Addr{addr("192.168.1.150")} }, "list gh_reserved '192.168.1.150'"},
		{"Mask", func(p *pool) { p.Mask = addr("255.255.255.0") }, "option netmask '255.255.255.0'"},
		{"DNS", func(p *pool) { p.DNS = []netip.Addr{addr("192.0.2.1"), addr("192.0.2.2")} }, "list dhcp_option '6,192.0.2.1,192.0.2.2'"},
		{"Domain", func(p *pool) { p.Domain = "home.example" }, "list dhcp_option '15,home.example'"},
		{"Routers", func(p *pool) { p.Routers = []netip.Addr{addr("192.168.1.2")} }, "list dhcp_option '3,192.168.1.2'"},
		{"LeaseTime", func(p *pool) { p.LeaseTime = 90 * time.Minute }, "option leasetime '90m'"},
		{"LeaseTime in seconds", func(p *pool) { p.LeaseTime = 125 * time.Second }, "option leasetime '125'"},
		{"LeaseTime for ever", func(p *pool) { p.LeaseTime = -1 }, "option leasetime 'infinite'"},
	} {
		t.Run(f.name, func(t *testing.T) {
			c := vanilla(t)
			before, text := row(t, c.DHCPPools(), "lan"), text1(t, c, "dhcp")
			change(t, c, c.DHCPPools(), "lan", f.edit)
			if after := text1(t, c, "dhcp"); !strings.Contains(after, f.want) || after == text {
				t.Errorf("no %s in\n%s", f.want, after)
			}
			change(t, c, c.DHCPPools(), "lan", func(p *pool) { *p = before })
			if f.name == "Order" {
				return // 1 is what it was, and now it says so
			}
			if back := text1(t, c, "dhcp"); !slices.Equal(lines(back), lines(text)) {
				t.Errorf("not as before:\n%s", back)
			}
		})
	}
	c := vanilla(t)
	if p := row(t, c.DHCPPools(), "lan"); p.Min != addr("192.168.1.100") || p.Max != addr("192.168.1.249") || p.LeaseTime != 12*time.Hour || !p.Enabled || p.Order != 1 {
		t.Errorf("%+v", p)
	}
	if p := row(t, c.DHCPPools(), "wan"); p.Enabled || p.Order != 2 {
		t.Errorf("%+v", p)
	}
	for _, f := range []func(*pool){
		func(p *pool) { p.LeaseTime = time.Second },
		func(p *pool) { p.Domain = "a,b" },
		func(p *pool) { p.Domain = "a\nb" },
	} {
		refused(t, c, c.DHCPPools(), "lan", f)
	}
}

// A pool as an ACS makes it: first a row that says nothing, then what it is.
func TestPoolLife(t *testing.T) {
	c := vanilla(t)
	before := text1(t, c, "dhcp")
	key := create(t, c, c.DHCPPools(), func(p *platform.DHCPPool) { p.Order = 3 })
	change(t, c, c.DHCPPools(), key, func(p *platform.DHCPPool) { p.Min, p.Max = addr("10.9.0.10"), addr("10.9.0.20") })
	change(t, c, c.DHCPPools(), key, func(p *platform.DHCPPool) { p.Enabled, p.Interface = true, "lan" })
	if text := text1(t, c, "dhcp"); strings.Contains(text, "10.9.0.10'\n\toption start") || !strings.Contains(text, "config dhcp '"+key+"'\n\toption dhcpv4 'disabled'\n") {
		t.Errorf("a pool for another network is served:\n%s", text)
	}
	// The interface gets an address there, in the same batch as another pool's
	// range that hangs on it: both are served.
	lan, second := row(t, c.Interfaces(), "lan"), row(t, c.DHCPPools(), "lan")
	lan.Addrs[0].Prefix = netip.MustParsePrefix("10.9.0.1/24")
	second.Min, second.Max = addr("10.9.0.100"), addr("10.9.0.109")
	if _, err := do(t, c, func(b platform.ConfigBatch) {
		c.DHCPPools().Put(b, "lan", second)
		c.Interfaces().Put(b, "lan", lan)
	}); err != nil {
		t.Fatal(err)
	}
	if text := text1(t, c, "dhcp"); strings.Contains(text, "gh_range") || strings.Contains(text, "gh_enabled") || row(t, c.DHCPPools(), "lan").Min != second.Min {
		t.Errorf("%s", text)
	}
	change(t, c, c.Interfaces(), "lan", func(r *platform.Interface) { r.Addrs[0].Prefix = netip.MustParsePrefix("192.168.1.1/24") })
	change(t, c, c.DHCPPools(), "lan", func(p *platform.DHCPPool) { p.Min, p.Max = addr("192.168.1.100"), addr("192.168.1.249") })
	change(t, c, c.DHCPPools(), key, func(p *platform.DHCPPool) { p.Min, p.Max = addr("192.168.1.20"), addr("192.168.1.29") })
	if text := text1(t, c, "dhcp"); !strings.Contains(text, "\toption dhcpv4 'server'\n\toption interface 'lan'\n\toption networkid '"+key+"'\n\toption start '20'\n\toption limit '10'\n") {
		t.Errorf("%s", text)
	}
	remove(t, c, c.DHCPPools(), key)
	if text := text1(t, c, "dhcp"); text != before {
		t.Errorf("left over:\n%s", text)
	}
}

// The server has one switch and its pools have theirs: each keeps its own.
func TestServerSwitch(t *testing.T) {
	c := vanilla(t)
	before := text1(t, c, "dhcp")
	key := slices.Collect(maps.Keys(rows(t, c.DHCPServer())))[0]
	change(t, c, c.DHCPServer(), key, func(s *platform.DHCPServer) { s.Enabled = false })
	if text := text1(t, c, "dhcp"); !row(t, c.DHCPPools(), "lan").Enabled || !strings.Contains(text, "option dhcpv4 'disabled'") || row(t, c.DHCPPools(), "wan").Enabled {
		t.Errorf("%s", text)
	}
	change(t, c, c.DHCPPools(), "lan", func(p *platform.DHCPPool) { p.Enabled = false })
	change(t, c, c.DHCPPools(), "lan", func(p *platform.DHCPPool) { p.Enabled = true })
	change(t, c, c.DHCPServer(), key, func(s *platform.DHCPServer) { s.Enabled = true })
	if text := text1(t, c, "dhcp"); text != before {
		t.Errorf("%s", text)
	}
}

func TestHosts(t *testing.T) {
	c := vanilla(t)
	before := text1(t, c, "dhcp")
	key := create(t, c, c.DHCPHosts(), func(h *platform.DHCPHost) { h.Pool = "lan" })
	change(t, c, c.DHCPHosts(), key, func(h *platform.DHCPHost) {
		*h = platform.DHCPHost{Enabled: true, Pool: "lan", MAC: "02:00:00:00:00:01", Addr: addr("192.168.1.7"), Name: "tv"}
	})
	if text := text1(t, c, "dhcp"); !strings.Contains(text, "config host '"+key+"'\n") {
		t.Errorf("%s", text)
	}
	change(t, c, c.DHCPHosts(), key, func(h *platform.DHCPHost) { h.Pool = "wan" })
	change(t, c, c.DHCPHosts(), key, func(h *platform.DHCPHost) { h.Enabled, h.Pool = false, "lan" })
	for _, f := range []func(*platform.DHCPHost){
		func(h *platform.DHCPHost) { h.MAC = "02:00" },
		func(h *platform.DHCPHost) { h.Name = "a,b" },
		func(h *platform.DHCPHost) { h.Name = "a\nb" },
	} {
		refused(t, c, c.DHCPHosts(), key, f)
	}
	change(t, c, c.DHCPHosts(), key, func(h *platform.DHCPHost) { h.Enabled, h.MAC = true, "" })
	if text := text1(t, c, "dhcp"); !strings.Contains(text, "config gh_host") {
		t.Errorf("a host without MAC address is dnsmasq's:\n%s", text)
	}
	remove(t, c, c.DHCPHosts(), key)
	if text := text1(t, c, "dhcp"); text != before {
		t.Errorf("left over:\n%s", text)
	}
}

func TestDHCPOptions(t *testing.T) {
	c := vanilla(t)
	const lists = "\tlist dhcp_option '6,192.0.2.1'\n\tlist dhcp_option '42,192.0.2.2'\n\tlist dhcp_option '252,http://x/, y'\n\tlist dhcp_option '119'\n\tlist dhcp_option '43,01:02:ff'\n\tlist dhcp_option 'option:ntp-server,0.0.0.0'\n"
	write(t, c, "dhcp", "config dhcp 'lan'\n\toption interface 'lan'\n"+lists+"\nconfig dhcp 'guest'\n\toption interface 'guest'\n")
	all := rows(t, c.DHCPOptions())
	if len(all) != 4 || string(all["lan_43"].Value) != "\x01\x02\xff" || string(all["lan_42"].Value) != "\xc0\x00\x02\x02" ||
		string(all["lan_252"].Value) != "http://x/, y" || all["lan_119"].Value != nil {
		t.Errorf("%+v", all)
	}
	key := create(t, c, c.DHCPOptions(), func(o *platform.DHCPOption) { o.Pool = "lan" })
	change(t, c, c.DHCPOptions(), key, func(o *platform.DHCPOption) { o.Enabled, o.Tag, o.Value = true, 160, []byte("\x00\"'$(x)\n") })
	change(t, c, c.DHCPOptions(), key, func(o *platform.DHCPOption) { o.Value = []byte{7} })
	change(t, c, c.DHCPOptions(), key, func(o *platform.DHCPOption) { o.Pool = "guest" })
	change(t, c, c.DHCPOptions(), key, func(o *platform.DHCPOption) { o.Enabled = false })
	// The tag of one that was there before: its key stays.
	change(t, c, c.DHCPOptions(), "lan_43", func(o *platform.DHCPOption) { o.Tag = 46 })
	change(t, c, c.DHCPOptions(), "lan_43", func(o *platform.DHCPOption) { o.Tag = 43 })
	remove(t, c, c.DHCPOptions(), key)
	if text := text1(t, c, "dhcp"); !strings.Contains(text, lists) || strings.Contains(text, "gh_") {
		t.Errorf("%s", text)
	}
	for _, f := range []func(*platform.DHCPOption){
		func(o *platform.DHCPOption) { o.Tag = 6 },
		func(o *platform.DHCPOption) { o.Tag = 255 },
		func(o *platform.DHCPOption) { o.Pool = "nowhere" },
	} {
		refused(t, c, c.DHCPOptions(), "lan_43", f)
	}
	if _, err := do(t, c, func(b platform.ConfigBatch) { c.DHCPOptions().Delete(b, "lan_77") }); !errors.Is(err, platform.ErrGone) {
		t.Errorf("%v", err)
	}
}

func TestNATInterfaces(t *testing.T) {
	c := vanilla(t)
	keys := map[string]string{}
	for key, r := range rows(t, c.NATInterfaces()) {
		keys[r.Interface] = key
		if r.Enabled != (r.Interface == "wan") {
			t.Errorf("%s %+v", key, r)
		}
	}
	change(t, c, c.NATInterfaces(), keys["lan"], func(n *platform.NATInterface) { n.Enabled = true })
	change(t, c, c.NATInterfaces(), keys["wan"], func(n *platform.NATInterface) { n.Enabled = false })
	refused(t, c, c.NATInterfaces(), keys["wan"], func(n *platform.NATInterface) { n.Interface = "lan" })
	if _, err := do(t, c, func(b platform.ConfigBatch) { c.NATInterfaces().Delete(b, keys["wan"]) }); !errors.Is(err, platform.ErrUnsupported) {
		t.Errorf("%v", err)
	}
	key := create(t, c, c.NATInterfaces(), func(n *platform.NATInterface) { n.Enabled, n.Interface = true, "vpn" })
	refused(t, c, c.NATInterfaces(), key, func(n *platform.NATInterface) { n.Interface = "wan6" })
	remove(t, c, c.NATInterfaces(), key)
}

func TestPortMappings(t *testing.T) {
	type mapping = platform.PortMapping
	for _, f := range []struct {
		name string
		edit func(*mapping)
		want string
	}{
		{"Enabled", func(m *mapping) { m.Enabled = false }, "option enabled '0'"},
		{"Interface", func(m *mapping) { m.Interface = "wan6" }, "option gh_interface 'wan6'"},
		{"AllInterfaces", func(m *mapping) { m.AllInterfaces, m.Interface = true, "" }, "option gh_all '1'"},
		{"Expires", func(m *mapping) { m.Expires, m.Lease = time.Unix(1800000000, 0).UTC(), time.Hour }, "option gh_expires '1800000000'"},
		{"RemoteHost", func(m *mapping) { m.RemoteHost = netip.MustParsePrefix("198.51.100.7/32") }, "option src_ip '198.51.100.7'"},
		{"RemoteHost net", func(m *mapping) { m.RemoteHost = netip.MustParsePrefix("198.51.100.0/24") }, "option src_ip '198.51.100.0/24'"},
		{"ExternalPort", func(m *mapping) { m.ExternalPort = 8081 }, "option src_dport '8081'"},
		{"all ports", func(m *mapping) { m.ExternalPort, m.InternalPort = 0, 0 }, ""},
		{"all ports and one inside", func(m *mapping) { m.ExternalPort = 0 }, "option gh_port '80'"},
		{"range", func(m *mapping) { m.ExternalPortLast = 8090 }, "option src_dport '8080-8090'"},
		{"InternalPort", func(m *mapping) { m.InternalPort = 81 }, "option dest_port '81'"},
		{"Protocol", func(m *mapping) { m.Protocol = "UDP" }, "list proto 'udp'"},
		{"InternalClient", func(m *mapping) { m.InternalClient = "192.168.1.8" }, "option dest_ip '192.168.1.8'"},
		{"by name", func(m *mapping) { m.InternalClient = "tv" }, "option dest_ip '192.168.1.9'"},
		{"Description", func(m *mapping) { m.Description = "a `b` $(c) 'd' \xff" }, `option name 'a `},
	} {
		t.Run(f.name, func(t *testing.T) {
			c := vanilla(t)
			write(t, c, "dhcp", text1(t, c, "dhcp")+"config host\n\toption name 'tv'\n\toption mac '02:00:00:00:00:01'\n\toption ip '192.168.1.9'\n")
			key := create(t, c, c.PortMappings(), func(m *mapping) {})
			change(t, c, c.PortMappings(), key, func(m *mapping) {
				m.Enabled, m.Interface, m.ExternalPort, m.InternalPort, m.InternalClient, m.Description = true, "wan", 8080, 80, "192.168.1.7", "web"
			})
			before, text := row(t, c.PortMappings(), key), text1(t, c, "firewall")
			if want := "\nconfig redirect '" + key + "'\n\toption target 'DNAT'\n\tlist proto 'tcp'\n\toption src 'wan'\n\toption src_dport '8080'\n\toption dest_port '80'\n" +
				"\toption dest_ip '192.168.1.7'\n\toption dest 'lan'\n\toption name 'web'\n"; !strings.HasSuffix(text, want) {
				t.Fatalf("%s", text)
			}
			change(t, c, c.PortMappings(), key, f.edit)
			after := text1(t, c, "firewall")
			if !strings.Contains(after, f.want) || after == text {
				t.Errorf("no %s in\n%s", f.want, after)
			}
			if !strings.Contains(after, "src_dport") && strings.Contains(after, "option dest_port") {
				t.Errorf("all ports lead to one:\n%s", after)
			}
			change(t, c, c.PortMappings(), key, func(m *mapping) { *m = before })
			// Options may have changed places; no other line has.
			if got, want := lines(text1(t, c, "firewall")), lines(text); !slices.Equal(got, want) {
				t.Errorf("%q, was %q", got, want)
			}
			remove(t, c, c.PortMappings(), key)
		})
	}
}

func TestPortMappingsRefusedAndIncomplete(t *testing.T) {
	type mapping = platform.PortMapping
	c := vanilla(t)
	key := create(t, c, c.PortMappings(), func(m *mapping) {})
	for _, f := range []func(*mapping){
		func(m *mapping) { m.Protocol = "SCTP" },
		func(m *mapping) { m.ExternalPort, m.ExternalPortLast = 90, 80 },
		func(m *mapping) { m.Description = "a\nconfig rule" },
	} {
		refused(t, c, c.PortMappings(), key, f)
	}
	// What is missing makes it misconfigured, not wrong: it waits, switched off.
	for _, f := range []func(*mapping){
		func(m *mapping) { m.Enabled = true },
		func(m *mapping) { m.Interface = "dmz" },
		func(m *mapping) { m.Interface, m.AllInterfaces = "", true },
		func(m *mapping) { m.InternalClient = "nobody" },
		func(m *mapping) {
			m.Interface, m.AllInterfaces, m.InternalClient, m.ExternalPort = "wan", false, "192.168.1.7", 80
		},
		func(m *mapping) { m.InternalClient, m.InternalPort = "", 80 },
	} {
		change(t, c, c.PortMappings(), key, f)
		if text := text1(t, c, "firewall"); !strings.Contains(text, "option enabled '0'") {
			t.Errorf("%s", text)
		}
	}
	change(t, c, c.PortMappings(), key, func(m *mapping) { m.InternalClient = "192.168.1.7" })
	if text := text1(t, c, "firewall"); strings.Contains(text, "enabled") {
		t.Errorf("%s", text)
	}
}

// nft refuses the whole ruleset for a comment with a quotation mark in it, or one
// of more than 127 bytes, of which fw4 takes 19: after a boot there would be no
// NAT.
func TestDescriptionsDoNotBreakTheRuleset(t *testing.T) {
	c := vanilla(t)
	key := create(t, c, c.PortMappings(), func(m *platform.PortMapping) { m.InternalClient = "192.168.1.7" })
	name := func() string {
		p, err := c.o.Dir.Read("firewall")
		if err != nil {
			t.Fatal(err)
		}
		return p.Section(key).Get("name")
	}
	for _, text := range []string{`"; flush ruleset; "`, `\"`, strings.Repeat("x", 256), strings.Repeat("ü", 100), "\xff" + strings.Repeat("y", 120), "web"} {
		change(t, c, c.PortMappings(), key, func(m *platform.PortMapping) { m.Description = text })
		if n := name(); n == "" || len(n) > 127-len("!fw4: ")-len(" (reflection)") || strings.ContainsAny(n, "\"\\") || !utf8.ValidString(n) {
			t.Errorf("%q becomes %q", text, n)
		}
	}
	if text := text1(t, c, "firewall"); strings.Contains(text, textOption) || name() != "web" {
		t.Errorf("the last description needs no second place:\n%s", text)
	}
	// Somebody else's word counts over ours.
	change(t, c, c.PortMappings(), key, func(m *platform.PortMapping) { m.Description = strings.Repeat("z", 101) })
	write(t, c, "firewall", strings.Replace(text1(t, c, "firewall"), "option name '"+name(), "option name 'other", 1))
	if m := row(t, c.PortMappings(), key); m.Description != "other" {
		t.Errorf("%q", m.Description)
	}
}

// What follows from a damaged package follows from nothing: the range of a pool
// is not taken for one that has no network.
func TestDamagedNeighbour(t *testing.T) {
	c := vanilla(t)
	key := create(t, c, c.PortMappings(), func(m *platform.PortMapping) { m.InternalClient = "192.168.1.7" })
	write(t, c, "network", "config interface 'lan\n")
	var gone *platform.Unavailable
	if err := refused(t, c, c.DHCPPools(), "lan", func(p *platform.DHCPPool) { p.Max = addr("192.168.1.120") }); !errors.As(err, &gone) {
		t.Errorf("%v", err)
	}
	change(t, c, c.DHCPPools(), "lan", func(p *platform.DHCPPool) { p.LeaseTime = time.Hour })
	write(t, c, "dhcp", "config dhcp 'lan\n")
	if err := refused(t, c, c.PortMappings(), key, func(m *platform.PortMapping) { m.InternalClient = "tv" }); !errors.As(err, &gone) {
		t.Errorf("%v", err)
	}
}

func lines(text string) []string {
	all := strings.Split(text, "\n")
	slices.Sort(all)
	return all
}

func TestTimeAndNames(t *testing.T) {
	c := vanilla(t)
	before := map[string]string{"system": text1(t, c, "system"), "dhcp": text1(t, c, "dhcp")}
	timing, names := row(t, c.Timing(), "system"), row(t, c.Naming(), "dns")
	for _, f := range []func(*platform.TimeConfig){
		func(r *platform.TimeConfig) { r.Enabled = false },
		func(r *platform.TimeConfig) { r.Serves = true },
		func(r *platform.TimeConfig) { r.Servers = []string{"ntp.example"} },
		func(r *platform.TimeConfig) { r.Servers = nil },
		func(r *platform.TimeConfig) { r.Zone, r.Name = "CET-1CEST,M3.5.0,M10.5.0/3", "Europe/Berlin" },
		func(r *platform.TimeConfig) { *r = timing },
	} {
		change(t, c, c.Timing(), "system", f)
	}
	host := row(t, c.Host(), "host")
	for _, f := range []func(*platform.HostConfig){
		func(r *platform.HostConfig) { r.Name = "router" },
		func(r *platform.HostConfig) { r.Name = "r2.example-1.net" },
		func(r *platform.HostConfig) { *r = host },
	} {
		change(t, c, c.Host(), "host", f)
	}
	for _, name := range []string{"", "a b", "-a", "a-", "a..b", "a.", "a_b", "ä", "a\nb", strings.Repeat("a", 65)} {
		refused(t, c, c.Host(), "host", func(r *platform.HostConfig) { r.Name = name })
	}
	for _, f := range []func(*platform.DNSConfig){
		func(r *platform.DNSConfig) { r.RelayEnabled = false },
		func(r *platform.DNSConfig) { *r = names },
	} {
		change(t, c, c.Naming(), "dns", f)
	}
	refused(t, c, c.Naming(), "dns", func(r *platform.DNSConfig) { r.ClientEnabled = false })
	refused(t, c, c.Timing(), "system", func(r *platform.TimeConfig) { r.Servers = []string{"a b"} })
	// What says the default in words is gone; the rest is as before.
	for pkg, text := range before {
		text = strings.NewReplacer("\toption enabled '1'\n", "", "\toption enable_server '0'\n", "").Replace(text)
		if got := text1(t, c, pkg); !slices.Equal(lines(got), lines(text)) {
			t.Errorf("%s", got)
		}
	}
}

func TestForwards(t *testing.T) {
	c := vanilla(t)
	write(t, c, "dhcp", "config dnsmasq\n\tlist server '/lan/192.0.2.9'\n\tlist server '192.0.2.1'\n\tlist server '192.0.2.2@wan'\n\tlist server '::1#5353'\n")
	write(t, c, "network", "config interface 'wan'\n\toption device 'wan'\n\toption dns '192.0.2.3'\n")
	before := []string{text1(t, c, "dhcp"), text1(t, c, "network")}
	all := rows(t, c.Forwards())
	if len(all) != 3 || all["relay_192.0.2.2@wan"].Interface != "wan" || !all["relay_192.0.2.1"].Relay || all["wan_192.0.2.3"].Relay {
		t.Errorf("%+v", all)
	}
	change(t, c, c.Forwards(), "relay_192.0.2.1", func(f *platform.DNSForward) { f.Server = addr("2001:db8::1") })
	change(t, c, c.Forwards(), "relay_192.0.2.1", func(f *platform.DNSForward) { f.Enabled = false })
	change(t, c, c.Forwards(), "relay_192.0.2.1", func(f *platform.DNSForward) { f.Relay, f.Interface, f.Enabled = false, "wan", true })
	change(t, c, c.Forwards(), "relay_192.0.2.1", func(f *platform.DNSForward) { f.Relay, f.Interface = true, "" })
	change(t, c, c.Forwards(), "relay_192.0.2.1", func(f *platform.DNSForward) { f.Server = addr("192.0.2.1") })
	key := create(t, c, c.Forwards(), func(f *platform.DNSForward) { f.Relay = true })
	change(t, c, c.Forwards(), key, func(f *platform.DNSForward) { f.Enabled, f.Server, f.Interface = true, addr("192.0.2.77"), "wan" })
	remove(t, c, c.Forwards(), key)
	if got := []string{text1(t, c, "dhcp"), text1(t, c, "network")}; !slices.Equal(lines(got[0]), lines(before[0])) || got[1] != before[1] {
		t.Errorf("%s", got)
	}
	change(t, c, c.Forwards(), "wan_192.0.2.3", func(f *platform.DNSForward) { f.Server = netip.Addr{} })
	change(t, c, c.Forwards(), "wan_192.0.2.3", func(f *platform.DNSForward) { f.Server, f.Interface = addr("192.0.2.8"), "" })
	change(t, c, c.Forwards(), "wan_192.0.2.3", func(f *platform.DNSForward) { f.Relay, f.Interface, f.Server = true, "wan", netip.Addr{} })
	if text := text1(t, c, "dhcp"); strings.Contains(text, "list server '-") {
		t.Errorf("%s", text)
	}
	refused(t, c, c.Forwards(), "wan_192.0.2.3", func(f *platform.DNSForward) { f.Relay, f.Interface = false, "dmz" })
}

func TestUsers(t *testing.T) {
	c := vanilla(t)
	before := text1(t, c, "rpcd")
	var root string
	for key, u := range rows(t, c.Users()) {
		if root = key; u.Name != "root" || !u.Enabled || u.Password != "" {
			t.Errorf("%+v", u)
		}
	}
	refused(t, c, c.Users(), root, func(u *platform.User) { u.Password = "x" })
	refused(t, c, c.Users(), root, func(u *platform.User) { u.Name = "x" })
	key := create(t, c, c.Users(), func(u *platform.User) { u.Name = "ann" })
	change(t, c, c.Users(), key, func(u *platform.User) { u.Enabled = true })
	if text := text1(t, c, "rpcd"); !strings.Contains(text, "config gh_login") {
		t.Errorf("a user without a password may log in:\n%s", text)
	}
	r := row(t, c.Users(), key)
	r.Enabled, r.Password = true, "it's $(secret)"
	b, err := do(t, c, func(b platform.ConfigBatch) { c.Users().Put(b, key, r) })
	if err != nil {
		t.Fatal(err)
	}
	for _, w := range b.Writes() {
		if strings.Contains(w.Place, "password") && (w.New != "***" || w.Old != "") {
			t.Errorf("%+v", w)
		}
	}
	if text := text1(t, c, "rpcd"); !strings.Contains(text, "config login '"+key+"'") || !strings.Contains(text, "option password '$5$") || strings.Contains(text, "secret") {
		t.Errorf("%s", text)
	}
	change(t, c, c.Users(), key, func(u *platform.User) { u.Enabled, u.Language = false, "de" })
	remove(t, c, c.Users(), key)
	if text := text1(t, c, "rpcd"); !slices.Equal(lines(text), lines(strings.Replace(before, "config login", "config login '"+root+"'", 1))) {
		t.Errorf("left over:\n%s", text)
	}
}

// As glibc's crypt(3) and "openssl passwd -5" have it.
func TestSHA256Crypt(t *testing.T) {
	for _, v := range [][2]string{
		{"Hello world!", "$5$saltstring$5B8vYYiY.CVt1RlTTf8KbXBH3hsxY/GNooZaBBGWEc5"},
		{"it's a rather long password, longer than thirty-two bytes $(x)", "$5$0123456789abcdef$J9pR/mtYMWq/eCCEkvDY.p8mEeTDapUMiMfUx5vLHu5"},
	} {
		salt := strings.Split(v[1], "$")[2]
		if got := sha256Crypt(v[0], salt); got != v[1] {
			t.Errorf("%s: %s, want %s", v[0], got, v[1])
		}
	}
	if _, err := hashPassword(strings.Repeat("x", maxPassword+1)); err == nil {
		t.Error("a password of any length is hashed")
	}
}
