package linuxconf

import (
	"context"
	"iter"
	"log/slog"
	"net/netip"
	"strings"
	"testing"

	"gatehouse/platform"
)

// camera is a mapping that is complete.
var camera = platform.PortMapping{
	Enabled: true, Interface: "wan0", ExternalPort: 8443, InternalPort: 443, Protocol: "TCP", InternalClient: "192.168.1.50",
}

var discard = slog.New(slog.DiscardHandler)

// with returns camera as change leaves it.
func with(change func(*platform.PortMapping)) platform.PortMapping {
	m := camera
	change(&m)
	return m
}

func entries[T any](rows map[string]T, keys ...string) (all []platform.Entry[T]) {
	for _, k := range keys {
		all = append(all, platform.Entry[T]{Key: k, Value: rows[k]})
	}
	return all
}

func TestMappingRule(t *testing.T) {
	hosts := map[string]netip.Addr{"camera": netip.MustParseAddr("192.168.1.51")}
	for name, c := range map[string]struct {
		m    platform.PortMapping
		want string // "" none
	}{
		"whole":     {camera, `iifname "wan0" fib daddr type local tcp dport 8443 dnat to 192.168.1.50:443 comment "m"`},
		"UDP":       {with(func(m *platform.PortMapping) { m.Protocol = "UDP" }), `iifname "wan0" fib daddr type local udp dport 8443 dnat to 192.168.1.50:443 comment "m"`},
		"a range":   {with(func(m *platform.PortMapping) { m.ExternalPort, m.ExternalPortLast = 8000, 8010 }), `iifname "wan0" fib daddr type local tcp dport 8000-8010 dnat to 192.168.1.50:443 comment "m"`},
		"no range":  {with(func(m *platform.PortMapping) { m.ExternalPortLast = 8443 }), `iifname "wan0" fib daddr type local tcp dport 8443 dnat to 192.168.1.50:443 comment "m"`},
		"all ports": {with(func(m *platform.PortMapping) { m.ExternalPort = 0 }), `iifname "wan0" fib daddr type local meta l4proto tcp dnat to 192.168.1.50 comment "m"`},
		"from one":  {with(func(m *platform.PortMapping) { m.RemoteHost = netip.MustParsePrefix("198.51.100.7/32") }), `iifname "wan0" fib daddr type local ip saddr 198.51.100.7 tcp dport 8443 dnat to 192.168.1.50:443 comment "m"`},
		"from many": {with(func(m *platform.PortMapping) { m.RemoteHost = netip.MustParsePrefix("198.51.100.0/24") }), `iifname "wan0" fib daddr type local ip saddr 198.51.100.0/24 tcp dport 8443 dnat to 192.168.1.50:443 comment "m"`},
		"from all":  {with(func(m *platform.PortMapping) { m.RemoteHost = netip.MustParsePrefix("0.0.0.0/0") }), `iifname "wan0" fib daddr type local tcp dport 8443 dnat to 192.168.1.50:443 comment "m"`},
		"all links": {with(func(m *platform.PortMapping) { m.AllInterfaces, m.Interface = true, "" }), `iifname @outside fib daddr type local tcp dport 8443 dnat to 192.168.1.50:443 comment "m"`},
		"by name":   {with(func(m *platform.PortMapping) { m.InternalClient = "Camera." }), `iifname "wan0" fib daddr type local tcp dport 8443 dnat to 192.168.1.51:443 comment "m"`},

		"off":            {with(func(m *platform.PortMapping) { m.Enabled = false }), ""},
		"no interface":   {with(func(m *platform.PortMapping) { m.Interface = "" }), ""},
		"no link's name": {with(func(m *platform.PortMapping) { m.Interface = "sixteen-letters-" }), ""},
		"no client":      {with(func(m *platform.PortMapping) { m.InternalClient = "" }), ""},
		"unknown client": {with(func(m *platform.PortMapping) { m.InternalClient = "printer" }), ""},
		"IPv6 client":    {with(func(m *platform.PortMapping) { m.InternalClient = "2001:db8::50" }), ""},
		"broadcast":      {with(func(m *platform.PortMapping) { m.Protocol, m.InternalClient = "UDP", "255.255.255.255" }), ""},
		"no port":        {with(func(m *platform.PortMapping) { m.InternalPort = 0 }), ""},
		"IPv6 remote":    {with(func(m *platform.PortMapping) { m.RemoteHost = netip.MustParsePrefix("2001:db8::7/128") }), ""},
	} {
		t.Run(name, func(t *testing.T) {
			rule, ok := mappingRule(platform.Entry[platform.PortMapping]{Key: "m", Value: c.m}, hosts)
			if ok != (c.want != "") || ok && rule.text(true) != c.want {
				t.Errorf("got %v\n%s\nwant\n%s", ok, rule.text(true), c.want)
			}
		})
	}
}

// order is a table with a mapping of each rank, and one that is off.
var order = map[string]platform.PortMapping{
	"wild": with(func(m *platform.PortMapping) { m.ExternalPort, m.AllInterfaces, m.Interface = 0, true, "" }),
	"port": camera,
	"friend": with(func(m *platform.PortMapping) {
		m.ExternalPort, m.RemoteHost = 0, netip.MustParsePrefix("198.51.100.7/32")
	}),
	"both": with(func(m *platform.PortMapping) {
		m.ExternalPort, m.RemoteHost = 7547, netip.MustParsePrefix("198.51.100.0/24")
	}),
	"off": with(func(m *platform.PortMapping) { m.Enabled = false }),
}

var translating = map[string]platform.NATInterface{
	"nat1": {Enabled: true, Interface: "wan0"},
	"nat2": {Enabled: true, Interface: "wan1"},
	"nat3": {Interface: "wan2"},
	"nat4": {Enabled: true},
}

// TestMakeRules: the order is that of the ranks (TR-181 NAT.PortMapping.RemoteHost),
// and the agent's own port comes before those who do not say from where.
func TestMakeRules(t *testing.T) {
	rules := makeRules(entries(translating, "nat1", "nat2", "nat3", "nat4"), entries(order, "wild", "off", "port", "friend", "both"), nil, 7547)
	const want = `table ip gatehouse {
	set outside {
		type ifname
		elements = { "wan0",
			     "wan1" }
	}

	chain prerouting {
		type nat hook prerouting priority dstnat; policy accept;
		iifname "wan0" fib daddr type local ip saddr 198.51.100.0/24 tcp dport 7547 dnat to 192.168.1.50:443 comment "both"
		iifname "wan0" fib daddr type local ip saddr 198.51.100.7 meta l4proto tcp dnat to 192.168.1.50 comment "friend"
		fib daddr type local tcp dport 7547 return
		iifname "wan0" fib daddr type local tcp dport 8443 dnat to 192.168.1.50:443 comment "port"
		iifname @outside fib daddr type local meta l4proto tcp dnat to 192.168.1.50 comment "wild"
	}

	chain postrouting {
		type nat hook postrouting priority srcnat; policy accept;
		oifname "wan0" masquerade comment "nat1"
		oifname "wan1" masquerade comment "nat2"
	}
}
`
	if got := rules.String(); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	none := makeRules(nil, entries(order, "wild"), nil, 0)
	if text := none.String(); strings.Contains(text, "iifname") || strings.Contains(text, "return") {
		t.Errorf("where nothing translates, all are all, and nothing is spared:\n%s", text)
	}
	if off := makeRules(nil, entries(order, "off"), nil, 7547); !off.empty() || off.String() != "" {
		t.Errorf("nothing is on:\n%s", off)
	}
}

// home is a neighbourhood with hostile names in it.
type home []platform.Neighbor

func (h home) Neighbors(context.Context) iter.Seq2[platform.Neighbor, error] {
	return func(yield func(platform.Neighbor, error) bool) {
		for _, n := range h {
			if !yield(n, nil) {
				return
			}
		}
	}
}

func TestHosts(t *testing.T) {
	at := netip.MustParseAddr
	n := &nat{log: discard, neighbors: home{
		{Hostname: "", Addr: at("192.168.1.9")}, {Hostname: "camera", Addr: at("2001:db8::50")},
		{Hostname: "CAMERA", Addr: at("192.168.1.51")}, {Hostname: "camera", Addr: at("192.168.1.66")}, // an impostor
		{Hostname: "other\x00", Addr: at("192.168.1.10")},
	}}
	in := []platform.Entry[platform.PortMapping]{{Key: "m", Value: with(func(m *platform.PortMapping) { m.InternalClient = "Camera" })},
		{Key: "n", Value: with(func(m *platform.PortMapping) { m.InternalClient = "" })}}
	hosts, err := n.hosts(t.Context(), in)
	if err != nil || len(hosts) != 1 || hosts["camera"] != at("192.168.1.51") {
		t.Errorf("%v (%v)", hosts, err)
	}
}
