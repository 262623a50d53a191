// The DHCP server's tables, and its leases.

package platformtest

import (
	"net/netip"
	"slices"
	"testing"
	"time"

	"gatehouse/platform"
)

func testDHCPServer(t *testing.T, w world) {
	table := w.DHCP.Server
	if w.Config == nil || table == nil {
		t.Skip("this platform has no DHCP server")
	}
	rows := all(t, table.Rows(t.Context()))
	if len(rows) != 1 || !rows[0].Fixed {
		t.Fatalf("the server has the rows %+v, want a fixed one", rows)
	}
	for range 2 {
		row := rows[0].Value
		row.Enabled = !row.Enabled
		if err := w.write(t, func(b platform.ConfigBatch) { table.Put(b, rows[0].Key, row) }); err != nil {
			t.Fatal(err)
		}
		if rows = all(t, table.Rows(t.Context())); len(rows) != 1 || rows[0].Value != row {
			t.Fatalf("kept %+v, want %+v", rows, row)
		}
	}
}

func testDHCPPools(t *testing.T, w world) {
	runTable(t, w, tableSuite[platform.DHCPPool]{
		table: w.DHCP.Pools,
		whole: func(p *platform.DHCPPool) {
			p.Interface, p.Min, p.Max, p.Mask = w.inside(), addr("192.168.1.20"), addr("192.168.1.30"), addr("255.255.255.0")
			p.LeaseTime, p.Order = time.Hour, 9
		},
		edits: map[string]func(*platform.DHCPPool){
			"Enabled":   func(p *platform.DHCPPool) { p.Enabled = !p.Enabled },
			"Order":     func(p *platform.DHCPPool) { p.Order = 7 },
			"Min, Max":  func(p *platform.DHCPPool) { p.Min, p.Max = addr("192.168.1.40"), addr("192.168.1.40") },
			"Mask":      func(p *platform.DHCPPool) { p.Mask = addr("255.255.255.128") },
			"Reserved":  func(p *platform.DHCPPool) { p.Reserved = []netip.Addr{addr("192.168.1.41"), addr("192.168.1.42")} },
			"DNS":       func(p *platform.DHCPPool) { p.DNS = []netip.Addr{addr("192.168.1.1"), addr("9.9.9.9")} },
			"Routers":   func(p *platform.DHCPPool) { p.Routers = []netip.Addr{addr("192.168.1.2")} },
			"Domain":    func(p *platform.DHCPPool) { p.Domain = "guests.example" },
			"LeaseTime": func(p *platform.DHCPPool) { p.LeaseTime = 90*time.Minute + time.Second },
			"for ever":  func(p *platform.DHCPPool) { p.LeaseTime = -1 },
		},
		texts: map[string]func(*platform.DHCPPool) any{"Domain": func(p *platform.DHCPPool) any { return &p.Domain }},
	})
}

func testDHCPHosts(t *testing.T, w world) {
	pool := w.pool(t)
	last := addr("192.168.1.190")
	unused := func() netip.Addr { // an address is kept for one client
		last = last.Next()
		return last
	}
	runTable(t, w, tableSuite[platform.DHCPHost]{
		table: w.DHCP.Hosts,
		whole: func(h *platform.DHCPHost) {
			h.Pool, h.MAC, h.Addr = pool, "00:00:5e:00:53:91", unused()
		},
		edits: map[string]func(*platform.DHCPHost){
			"Enabled": func(h *platform.DHCPHost) { h.Enabled = !h.Enabled },
			"MAC":     func(h *platform.DHCPHost) { h.MAC = "00:00:5e:00:53:92" },
			"Addr":    func(h *platform.DHCPHost) { h.Addr = unused() },
			"Name":    func(h *platform.DHCPHost) { h.Name = "tv" },
		},
		texts: map[string]func(*platform.DHCPHost) any{"Name": func(h *platform.DHCPHost) any { return &h.Name }},
	})
}

func testDHCPOptions(t *testing.T, w world) {
	pool := w.pool(t)
	every := make([]byte, 255)
	for i := range every {
		every[i] = byte(i)
	}
	runTable(t, w, tableSuite[platform.DHCPOption]{
		table: w.DHCP.Options,
		whole: func(o *platform.DHCPOption) { o.Pool, o.Tag, o.Value = pool, 43, []byte("acs") },
		edits: map[string]func(*platform.DHCPOption){
			"Enabled": func(o *platform.DHCPOption) { o.Enabled = !o.Enabled },
			"Tag":     func(o *platform.DHCPOption) { o.Tag = 125 },
			"Value":   func(o *platform.DHCPOption) { o.Value = every },
		},
	})
}

func testLeases(t *testing.T, w world) {
	if w.DHCP.Leases == nil {
		t.Skip("this platform knows no leases")
	}
	for _, l := range all(t, w.DHCP.Leases.Leases(t.Context())) {
		if !l.Addr.IsValid() || l.MAC == "" {
			t.Errorf("lease %+v", l)
		}
	}
}

// testApplied: what was configured is in effect once it was taken up.
func testApplied(t *testing.T, w world) {
	t.Run("port mapping", func(t *testing.T) {
		testTakenUp(t, w, w.NAT.Mappings, w.NAT.Applied, func(m *platform.PortMapping, on bool) {
			w.mapping(m)
			m.Enabled = on
		})
	})
	t.Run("DHCP pool", func(t *testing.T) {
		testTakenUp(t, w, w.DHCP.Pools, w.DHCP.Applied, func(p *platform.DHCPPool, on bool) {
			p.Enabled, p.Interface, p.Min, p.Max, p.LeaseTime = on, w.inside(), addr("192.168.1.50"), addr("192.168.1.60"), time.Hour
		})
	})
}

func testTakenUp[T any](t *testing.T, w world, table platform.Table[T], applied platform.Applied, fill func(row *T, on bool)) {
	if w.Config == nil || table == nil || applied == nil {
		t.Skip("this platform does not know what is in effect")
	}
	key, row, err := table.Fresh(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, on := range []bool{true, false} {
		fill(&row, on)
		b := w.configure(t)
		table.Put(b, key, row)
		prepared(t, b)
		services := b.Reloads()
		if _, err := b.Commit(t.Context()); err != nil {
			t.Fatal(err)
		}
		if slices.Contains(all(t, applied.Applied(t.Context())), key) == on {
			t.Errorf("in effect, %v, before anybody has taken it up", on)
		}
		if err := w.Config.Reload(t.Context(), services); err != nil {
			t.Fatal(err)
		}
		if slices.Contains(all(t, applied.Applied(t.Context())), key) != on {
			t.Errorf("in effect, %v, it is not after the reload", on)
		}
	}
}

// pool is the key of the pool on the bridge.
func (w world) pool(t *testing.T) string {
	t.Helper()
	if w.Config == nil || w.DHCP.Pools == nil {
		return ""
	}
	for _, e := range all(t, w.DHCP.Pools.Rows(t.Context())) {
		if e.Value.Interface == w.inside() {
			return e.Key
		}
	}
	t.Fatalf("there is no pool on %s", w.inside())
	return ""
}
