// The reading half of the suite.

package platformtest

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"net/netip"
	"runtime"
	"slices"
	"testing"

	"gatehouse/platform"
)

func testMachine(t *testing.T, w world) {
	ctx := t.Context()
	if w.System != nil {
		if d, err := w.System.Uptime(ctx); err != nil || d <= 0 {
			t.Errorf("Uptime: %v, %v", d, err)
		}
		first, err := w.System.BootID(ctx)
		if again, _ := w.System.BootID(ctx); err != nil || first == "" || again != first {
			t.Errorf("BootID: %q, then %q, %v", first, again, err)
		}
		if c, err := w.TCP.TCP(ctx); err != nil || c.MaxWindow == 0 || c.Congestion == "" {
			t.Errorf("TCP: %+v, %v", c, err)
		}
		if m, err := w.System.Memory(ctx); err != nil || m.Total == 0 || m.Free > m.Total || m.Available > m.Total {
			t.Errorf("Memory: %+v, %v", m, err)
		}
		if h, err := w.System.Hostname(ctx); err != nil || h == "" {
			t.Errorf("Hostname: %q, %v", h, err)
		}
	}
	if w.Identity != nil {
		if id, err := w.Identity.ID(ctx); err != nil || id.OUI != "" && len(id.OUI) != 6 {
			t.Errorf("ID: %+v, %v", id, err)
		}
	}
	if w.Processes != nil {
		states := []string{"Running", "Sleeping", "Stopped", "Idle", "Uninterruptible", "Zombie"}
		for _, p := range all(t, w.Processes.Processes(ctx)) {
			if p.PID == 0 || p.Command == "" || p.Priority > 99 || !slices.Contains(states, p.State) {
				t.Errorf("process %+v", p)
			}
		}
		if n, err := w.Processes.CPUUsage(ctx); err != nil || n > 100 {
			t.Errorf("CPUUsage: %d, %v", n, err)
		}
	}
	if w.Clock != nil {
		if _, err := w.Clock.Time(ctx); err != nil || w.Clock.Now().IsZero() {
			t.Errorf("Clock: %v, %v", w.Clock.Now(), err)
		}
	}
	if w.Resolver != nil {
		if _, err := w.Resolver.DNS(ctx); err != nil {
			t.Errorf("DNS: %v", err)
		}
	}
}

func testLinks(t *testing.T, w world) {
	states := []string{"Up", "Down", "Unknown", "Dormant", "NotPresent", "LowerLayerDown", "Error"}
	links := all(t, w.Links.Links(t.Context()))
	names, indexes := map[string]bool{}, map[int]bool{}
	for _, l := range links {
		if names[l.Name] || indexes[l.Index] || l.Index <= 0 || l.MTU == 0 || !slices.Contains(states, l.State) {
			t.Errorf("link %+v", l)
		}
		if l.Running && !l.Enabled {
			t.Errorf("%s runs but is not enabled", l.Name)
		}
		names[l.Name], indexes[l.Index] = true, true
	}
	if lo := w.link(t, "lo"); lo.Kind != platform.LinkLoopback || !lo.Running || lo.State != "Up" || lo.MAC != "" {
		t.Errorf("lo is %+v", lo)
	}
	wan, bridge, port := w.link(t, w.WAN), w.link(t, w.Bridge), w.link(t, w.Port)
	if wan.Kind != platform.LinkEthernet || !wan.Upstream || len(wan.MAC) != 17 || wan.Master != "" {
		t.Errorf("WAN is %+v", wan)
	}
	if bridge.Kind != platform.LinkBridge || bridge.Upstream {
		t.Errorf("bridge is %+v", bridge)
	}
	if port.Kind != platform.LinkEthernet || port.Master != w.Bridge || port.PortState == "" {
		t.Errorf("port is %+v", port)
	}
	w.AddRoutes(platform.Route{Dest: prefix("::/0"), Gateway: addr("fe80::1"), Link: w.Spare})
	if !w.link(t, w.Spare).Upstream || w.link(t, w.Bridge).Upstream {
		t.Error("the IPv6 default route leaves by another link")
	}
	if w.IPv6 != nil {
		configured := all(t, w.IPv6.IPv6Links(t.Context()))
		if !slices.ContainsFunc(configured, func(l platform.IPv6Link) bool { return l.Link == w.WAN && l.Enabled }) {
			t.Errorf("IPv6 on %s is missing in %+v", w.WAN, configured)
		}
		if on, err := w.IPv6.IPEnabled(t.Context(), false); err != nil || !on {
			t.Errorf("IPv4: %v, %v", on, err)
		}
	}
}

func testAddresses(t *testing.T, w world) {
	w.SetAddress(platform.Address{Link: w.Spare, Prefix: prefix("10.9.9.9/24")})
	addresses := all(t, w.Addresses.Addresses(t.Context()))
	for link, want := range map[string]netip.Prefix{
		"lo": prefix("127.0.0.1/8"), w.WAN: prefix("192.0.2.2/24"), w.Bridge: prefix("192.168.1.1/24"), w.Spare: prefix("10.9.9.9/24"),
	} {
		if !slices.ContainsFunc(addresses, func(a platform.Address) bool { return a.Link == link && a.Prefix == want }) {
			t.Errorf("%v on %s is missing", want, link)
		}
	}
	for _, a := range addresses {
		origins := 0
		for _, is := range []bool{a.Permanent, a.Dynamic, a.Auto} {
			if is {
				origins++
			}
		}
		if origins != 1 || a.Permanent && a.Valid >= 0 && a.Valid < a.Preferred {
			t.Errorf("address %+v: permanent, dynamic or automatic", a)
		}
	}
	for _, ipv6 := range []bool{false, true} {
		for _, r := range all(t, w.Routes.Routes(t.Context(), ipv6)) {
			if r.Dest.Addr().Is6() != ipv6 || r.Dest != r.Dest.Masked() || r.Link == "" {
				t.Errorf("route %+v", r)
			}
		}
	}
	if !slices.ContainsFunc(all(t, w.Routes.Routes(t.Context(), false)), func(r platform.Route) bool {
		return r.Dest.Bits() == 0 && r.Gateway == addr("192.0.2.1") && r.Link == w.WAN
	}) {
		t.Error("the default route is missing")
	}
}

// testStops: a sequence may be left at any row, and ends with the context.
func testStops(t *testing.T, w world) {
	stops(t, "links", w.Links.Links)
	stops(t, "addresses", w.Addresses.Addresses)
	stops(t, "routes", func(ctx context.Context) iter.Seq2[platform.Route, error] { return w.Routes.Routes(ctx, false) })
	if w.Processes != nil {
		stops(t, "processes", w.Processes.Processes)
	}
	if w.Neighbors != nil {
		for range w.Neighbors.Neighbors(t.Context()) {
			break
		}
	}
}

func stops[T any](t *testing.T, name string, seq func(context.Context) iter.Seq2[T, error]) {
	t.Helper()
	for _, err := range seq(t.Context()) {
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		break
	}
	for range seq(t.Context()) {
		for range seq(t.Context()) { // one inside another does not wait for it
		}
		break
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	rows, errs := 0, 0
	for _, err := range seq(ctx) {
		if err == nil {
			rows++
			cancel()
			continue
		}
		if errs++; !errors.Is(err, context.Canceled) {
			t.Errorf("%s: after cancel: %v", name, err)
		}
	}
	if rows != 1 || errs != 1 {
		t.Errorf("%s: after cancel %d more rows and %d errors, want one error", name, rows-1, errs)
	}
}

// testManyRoutes: the budget of design §10 is for the whole answer; the dump
// may have its share.
func testManyRoutes(t *testing.T, w world) {
	const count, budget = 10_000, 1 << 20
	routes := make([]platform.Route, count)
	for i := range routes {
		routes[i] = platform.Route{
			Dest: prefix(fmt.Sprintf("10.%d.%d.0/24", i/250, i%250)), Gateway: addr("192.0.2.1"), Link: w.WAN, Protocol: "static", Static: true,
		}
	}
	w.AddRoutes(routes...)
	live := func() uint64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	before, most, n := live(), uint64(0), 0
	for r, err := range w.Routes.Routes(t.Context(), false) {
		if err != nil {
			t.Fatal(err)
		}
		if r.Static {
			n++
		}
		if n == count/2 || n == count {
			most = max(most, live())
		}
	}
	if n < count {
		t.Errorf("%d routes, want %d", n, count)
	}
	if most > before+budget {
		t.Errorf("the dump keeps %d KiB, want at most %d", (most-before)>>10, budget>>10)
	}
}
