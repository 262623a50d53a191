// Refusals that depend on what no kernel of a test machine has: VLANs, limits
// of drivers. The others are in platformtest, for every backend.

package plan

import (
	"errors"
	"net/netip"
	"strings"
	"testing"

	"gatehouse/platform"
)

func TestCheck(t *testing.T) {
	p, a := netip.MustParsePrefix, netip.MustParseAddr
	state := State{
		Links: []platform.Link{
			{Name: "eth0", Enabled: true, MTU: 1500},
			{Name: "eth0.7", Kind: platform.LinkVLAN, Parent: "eth0", Enabled: true, MTU: 1500},
			{Name: "small0", Enabled: true, MTU: 576},
			{Name: "down0", MTU: 1500},
			{Name: "ppp0", Kind: platform.LinkPPP, Enabled: true, MTU: 1492},
		},
		Addresses: []platform.Address{
			{Link: "eth0", Prefix: p("192.0.2.2/24")}, {Link: "down0", Prefix: p("10.1.0.1/24")},
			{Link: "ppp0", Prefix: p("198.51.100.9/32"), Peer: a("198.51.100.1")},
		},
		Routes: []platform.Route{
			{Dest: p("203.0.113.1/32"), Link: "eth0"}, {Dest: p("::/0"), Gateway: a("fe80::1"), Link: "eth0", Metric: 1024},
		},
		MTURange: func(link string) (uint32, uint32) { return 68, map[string]uint32{"eth0": 9000, "eth0.7": 65535}[link] },
		IPv6:     map[string]bool{"lo": true, "eth0": true, "eth0.7": true, "ppp0": false},
	}
	for _, c := range []struct {
		name    string
		changes []Change
		refuse  string // part of the sentence; "": accepted
	}{
		{"VLAN larger than its parent", []Change{{Op: SetMTU, Link: "eth0.7", MTU: 1600}}, "outside 68..1500"},
		{"VLAN after its parent", []Change{{Op: SetMTU, Link: "eth0", MTU: 1600}, {Op: SetMTU, Link: "eth0.7", MTU: 1600}}, ""},
		{"beyond the driver", []Change{{Op: SetMTU, Link: "eth0", MTU: 9001}}, "outside 68..9000"},
		{"no IPv6 that could be switched", []Change{{Op: SetIPv6, Link: "small0", Enabled: true}}, "small0 has no IPv6"},
		{"address on IPv6 that comes", []Change{{Op: SetIPv6, Link: "ppp0", Enabled: true}, {Op: AddAddress, Address: platform.Address{Link: "ppp0", Prefix: p("2001:db8::9/64")}}}, ""},
		{"driver without a limit", []Change{{Op: SetMTU, Link: "small0", MTU: 9001}}, ""},
		{"IPv6 on a small link", []Change{{Op: AddAddress, Address: platform.Address{Link: "small0", Prefix: p("2001:db8::1/64")}}}, "IPv6 needs 1280"},
		{"IPv6 where it is off", []Change{{Op: AddAddress, Address: platform.Address{Link: "ppp0", Prefix: p("2001:db8::1/64")}}}, "switched off"},
		{"peer of the other family", []Change{{Op: AddAddress, Address: platform.Address{Link: "eth0", Prefix: p("10.9.0.1/32"), Peer: a("fe80::1")}}}, "different families"},
		{"both ends of a /31", []Change{{Op: AddAddress, Address: platform.Address{Link: "eth0", Prefix: p("10.9.0.0/31")}}}, ""},
		{"IPv4 inside IPv6", []Change{{Op: AddAddress, Address: platform.Address{Link: "eth0", Prefix: p("::ffff:10.0.0.1/120")}}}, "cannot be an address"},
		{"gateway is the peer", []Change{{Op: AddRoute, Route: platform.Route{Dest: p("10.0.0.0/8"), Gateway: a("198.51.100.1")}}}, ""},
		{"gateway by a host route", []Change{{Op: AddRoute, Route: platform.Route{Dest: p("10.0.0.0/8"), Gateway: a("203.0.113.1")}}}, ""},
		{"gateway on a link that is off", []Change{{Op: AddRoute, Route: platform.Route{Dest: p("10.0.0.0/8"), Gateway: a("10.1.0.9")}}}, "cannot be reached"},
		{"gateway once the link is on", []Change{{Op: SetLink, Link: "down0", Enabled: true}, {Op: AddRoute, Route: platform.Route{Dest: p("10.0.0.0/8"), Gateway: a("10.1.0.9")}}}, ""},
		{"link that is off", []Change{{Op: AddRoute, Route: platform.Route{Dest: p("10.0.0.0/8"), Link: "down0"}}}, "is down"},
		{"gateway by a link that the batch switches off", []Change{{Op: SetLink, Link: "eth0"}, {Op: AddRoute, Route: platform.Route{Dest: p("10.0.0.0/8"), Gateway: a("192.0.2.1")}}}, "cannot be reached"},
		{"gateway of an address that the batch adds", []Change{{Op: AddAddress, Address: platform.Address{Link: "eth0", Prefix: p("10.9.0.1/24")}}, {Op: AddRoute, Route: platform.Route{Dest: p("10.0.0.0/8"), Gateway: a("10.9.0.9")}}}, ""},
		{"IPv6 metric 0 is 1024", []Change{{Op: AddRoute, Route: platform.Route{Dest: p("::/0"), Gateway: a("fe80::2"), Link: "eth0"}}}, "exists already"},
		{"IPv6 with another metric", []Change{{Op: AddRoute, Route: platform.Route{Dest: p("::/0"), Gateway: a("fe80::2"), Link: "eth0", Metric: 7}}}, ""},
		{"replace a route", []Change{{Op: DeleteRoute, Route: platform.Route{Dest: p("::/0")}}, {Op: AddRoute, Route: platform.Route{Dest: p("::/0"), Gateway: a("fe80::2"), Link: "eth0"}}}, ""},
		{"gateway with a zone", []Change{{Op: AddRoute, Route: platform.Route{Dest: p("2001:db8::/32"), Gateway: a("fe80::2%eth0"), Link: "eth0"}}}, ""},
		{"multicast gateway", []Change{{Op: AddRoute, Route: platform.Route{Dest: p("2001:db8::/32"), Gateway: a("ff02::2"), Link: "eth0"}}}, "cannot be a gateway"},
		{"no such kind of change", []Change{{}}, "not supported"},
	} {
		t.Run(c.name, func(t *testing.T) {
			before := len(state.Addresses) + len(state.Routes)
			err := Check(state, c.changes)
			if len(state.Addresses)+len(state.Routes) != before || state.Links[0].MTU != 1500 || !state.Links[0].Enabled {
				t.Fatal("Check has changed the state")
			}
			if c.refuse == "" {
				if err != nil {
					t.Errorf("refused: %v", err)
				}
				return
			}
			var blame *platform.ItemError
			if !errors.As(err, &blame) || blame.Item != len(c.changes)-1 || !strings.Contains(err.Error(), c.refuse) {
				t.Errorf("says %v, want %q", err, c.refuse)
			}
		})
	}
}

func TestConcerns(t *testing.T) {
	p, a := netip.MustParsePrefix, netip.MustParseAddr
	var b Batch
	b.AddRoute(platform.Route{Dest: p("10.0.0.0/8"), Gateway: a("192.0.2.1")})
	b.SetMTU("eth0", 1400)
	for dest, want := range map[string]bool{"10.0.0.0/8": true, "192.0.2.0/24": true, "198.51.100.0/24": false, "10.1.0.0/16": false} {
		if got := b.Concerns(platform.Route{Dest: p(dest), Link: "eth0"}); got != want {
			t.Errorf("%s: %v", dest, got)
		}
	}
	if b.Concerns(platform.Route{Dest: p("0.0.0.0/0"), Gateway: a("192.0.2.9")}) {
		t.Error("a route with a gateway does not lead to a gateway")
	}
}
