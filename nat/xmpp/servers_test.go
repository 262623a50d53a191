package xmpp

import (
	"errors"
	"slices"
	"testing"
	"time"

	"gatehouse/internal/endpoint"
)

func TestServers(t *testing.T) {
	table := []Server{
		{Enable: true, Priority: 20, Weight: -1, Address: "192.0.2.20", Port: 5222},
		{Enable: false, Priority: 1, Address: "192.0.2.21", Port: 5222},
		{Enable: true, Priority: 10, Weight: 5, Address: "host2.example.net", Port: 5333},
		{Enable: true, Priority: 10, Weight: 0, Address: "192.0.2.10", Port: 5222},
	}
	none := func(*zone) {}
	tests := []struct {
		name  string
		edit  func(p *Params)
		zone  func(z *zone)
		dials []string // the first, each tried once
		state State
		err   string
	}{
		{"SRV", nil, none, []string{"192.0.2.10:5222"}, Enabled, ""},
		{"several SRV and addresses", nil, func(z *zone) {
			z.srv["_xmpp-client._tcp."+domain] = []endpoint.SRV{{Target: "host2.example.net", Port: 5333}, {Target: "host1.example.net", Port: 5222, Priority: 1}}
			z.a["host2.example.net"] = addrs("192.0.2.31", "192.0.2.32")
		}, []string{"192.0.2.31:5333", "192.0.2.32:5333", "192.0.2.10:5222"}, Enabled, ""},
		{"a target without an address is passed over", nil, func(z *zone) {
			z.srv["_xmpp-client._tcp."+domain] = []endpoint.SRV{{Target: "nowhere.example.net", Port: 1}, {Target: "host1.example.net", Port: 5222}}
		}, []string{"192.0.2.10:5222"}, Enabled, ""},
		{"no SRV: the domain itself", nil, func(z *zone) {
			z.srv = nil
			z.a[domain] = addrs(address)
		}, []string{"192.0.2.10:5222"}, Enabled, ""},
		{"decidedly absent: no falling back", nil, func(z *zone) {
			z.srv["_xmpp-client._tcp."+domain] = nil
			z.a[domain] = addrs(address)
		}, nil, ServerNotPresent, "decidedly not available"},
		{"DNS", func(p *Params) { p.Algorithm = "DNS" }, func(z *zone) { z.a[domain] = addrs(address) }, []string{"192.0.2.10:5222"}, Enabled, ""},
		{"DNS without the name", func(p *Params) { p.Algorithm = "DNS" }, none, nil, ServerNotPresent, "no server found: xmpp.example.com: no such name"},
		{"nobody answers", nil, func(z *zone) { z.fail = errors.New("timeout") }, nil, ServerNotPresent, "timeout"},
		{"table", func(p *Params) { p.Algorithm, p.Servers = "ServerTable", table }, func(z *zone) { z.a["host2.example.net"] = addrs("192.0.2.33") },
			[]string{"192.0.2.33:5333", "192.0.2.10:5222"}, Enabled, ""},
		{"an empty table", func(p *Params) { p.Algorithm = "ServerTable" }, none, nil, ServerNotPresent, "no server of the table"},
		{"WebSocket", func(p *Params) { p.Algorithm = "WebSocket" }, none, nil, Misconfigured, "no such ServerConnectAlgorithm"},
		{"direct TLS comes first where it says so", func(p *Params) { p.UseTLS = true }, func(z *zone) {
			z.srv["_xmpp-client._tcp."+domain] = []endpoint.SRV{{Target: "host1.example.net", Port: 5222, Priority: 10}}
			z.srv["_xmpps-client._tcp."+domain] = []endpoint.SRV{{Target: "192.0.2.34", Port: 5223, Priority: 5}}
		}, []string{"192.0.2.34:5223", "192.0.2.10:5222"}, Misconfigured, "offers no TLS"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			bubble(t, nil, func(r *rig) {
				r.params.Attempts = 0
				test.zone(r.zone)
				if test.edit != nil {
					test.edit(&r.params)
				}
				r.start()
				time.Sleep(10 * time.Second)
				if d := r.dialled(); !slices.Equal(d, test.dials) {
					t.Errorf("dialled %v, want %v", d, test.dials)
				}
				r.want(test.state)
				r.wantError(test.err)
			})
		})
	}
}

// RFC 2782: within a priority, by weight.
func TestTableWeights(t *testing.T) {
	servers := []Server{
		{Enable: true, Weight: 10, Address: "a", Port: 1}, {Enable: true, Weight: 30, Address: "b", Port: 1},
		{Enable: true, Weight: -1, Address: "c", Port: 1}, {Enable: true, Priority: 1, Address: "z", Port: 1},
	}
	first := map[string]int{}
	for i := range int64(41) {
		calls := 0
		got := table(servers, func(n int64) int64 {
			if calls++; calls == 1 {
				return i % n
			}
			return 0
		})
		if len(got) != 4 || got[3].name != "z" {
			t.Fatalf("order %v", got)
		}
		first[got[0].name]++
	}
	if first["a"] != 10 || first["b"] != 30 || first["c"] != 1 {
		t.Errorf("first of 41 draws: %v", first)
	}
}
