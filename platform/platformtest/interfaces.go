// Logical interfaces and static routes.

package platformtest

import (
	"errors"
	"slices"
	"testing"

	"gatehouse/platform"
)

// testInterfaces needs a logical interface on the bridge with the static address of the
// bridge.
func testInterfaces(t *testing.T, w world) {
	tab := w.Interfaces.Table
	if w.Config == nil || tab == nil {
		t.Skip("links are the interfaces here")
	}
	testRows(t, tab)
	if w.Interfaces.State != nil {
		testStates(t, w)
	}
	lan, ok := rowOf(t, tab, w.inside())
	if !ok || lan.Value.Device != w.Bridge || lan.Value.Proto != "static" || len(lan.Value.Addrs) == 0 || lan.Value.Loopback {
		t.Fatalf("lan is %+v (%v)", lan.Value, ok)
	}
	first := lan.Value.Addrs[0].Key

	// Addresses keep their keys through every change, and stay while they are
	// off or not complete.
	testChange(t, w, tab, w.inside(), func(i *platform.Interface) {
		i.Addrs = slices.Clone(i.Addrs)
		i.Addrs[0].Prefix = prefix("10.7.0.1/16")
		i.Addrs = append(i.Addrs, platform.InterfaceAddr{Key: "gh1", Enabled: true, Prefix: prefix("10.8.0.1/24")})
	})
	testChange(t, w, tab, w.inside(), func(i *platform.Interface) {
		i.Addrs = slices.Clone(i.Addrs)
		n := slices.IndexFunc(i.Addrs, func(a platform.InterfaceAddr) bool { return a.Key == "gh1" })
		i.Addrs[n].Enabled = false
	})
	testChange(t, w, tab, w.inside(), func(i *platform.Interface) {
		i.Addrs = append(slices.Clone(i.Addrs), platform.InterfaceAddr{Key: "gh2", Prefix: prefix("0.0.0.0/0")},
			platform.InterfaceAddr{Key: "gh3", Prefix: prefix("::/128")})
	})
	testChange(t, w, tab, w.inside(), func(i *platform.Interface) {
		i.Addrs = slices.DeleteFunc(slices.Clone(i.Addrs), func(a platform.InterfaceAddr) bool { return a.Key != first })
	})
	testChange(t, w, tab, w.inside(), func(i *platform.Interface) { i.MTU = 1400 })

	if _, _, err := tab.Fresh(t.Context()); errors.Is(err, platform.ErrUnsupported) {
		return // each link has one
	}
	testLife(t, w, tab, func(i *platform.Interface) {
		i.Enabled, i.Device, i.Proto = true, w.Spare, "static"
		i.Addrs = []platform.InterfaceAddr{{Key: "gh1", Enabled: true, Prefix: prefix("192.168.9.1/24")}}
	}, func(i *platform.Interface) { i.Enabled = false })
}

// testStates holds what interfaces are against how they are doing.
func testStates(t *testing.T, w world) {
	states := map[string]platform.InterfaceState{}
	for _, s := range all(t, w.Interfaces.State.InterfaceStates(t.Context())) {
		states[s.Key] = s
		if !s.Up && len(s.Addrs) > 0 {
			t.Errorf("%s is down, with addresses %v", s.Key, s.Addrs)
		}
	}
	for _, e := range all(t, w.Interfaces.Table.Rows(t.Context())) {
		if s := states[e.Key]; e.Value.Enabled && s.Up && s.Device == "" {
			t.Errorf("%s is up on no link", e.Key)
		}
	}
	s := states[w.inside()]
	if !s.Up || s.Device != w.Bridge || !slices.ContainsFunc(s.Addrs, func(a platform.Address) bool { return a.Prefix == prefix("192.168.1.1/24") }) {
		t.Errorf("lan is doing so: %+v", s)
	}
}

func testStaticRoutes(t *testing.T, w world) {
	if w.Config == nil || w.Routing == nil {
		t.Skip("static routes are the kernel's only")
	}
	via := "" // interfaces are links
	if w.Interfaces.Table != nil {
		via = w.inside()
	}
	testLife(t, w, w.Routing, func(r *platform.StaticRoute) {
		r.Enabled, r.Dest, r.Gateway, r.Interface = true, prefix("198.51.100.128/25"), addr("192.168.1.2"), via
	}, func(r *platform.StaticRoute) { r.Metric, r.Gateway = 7, addr("192.168.1.3") })
	testLife(t, w, w.Routing, func(r *platform.StaticRoute) {
		r.Dest, r.Gateway, r.Interface = prefix("2001:db8:9::/48"), addr("fe80::9"), via
	}, func(r *platform.StaticRoute) { r.Enabled = true })
	// The default route of either family, which is also what is not complete yet.
	for _, p := range []string{"0.0.0.0/0", "::/0"} {
		testLife(t, w, w.Routing, func(r *platform.StaticRoute) { r.Dest = prefix(p) },
			func(r *platform.StaticRoute) { r.Interface = via; r.Metric = 9 })
	}
}

func testGlobals(t *testing.T, w world) {
	if w.Config == nil || w.Globals == nil {
		t.Skip("this platform has nothing that all interfaces share")
	}
	testFixed(t, w, w.Globals, func(c *platform.GlobalConfig) { c.ULA = prefix("fd12:3456:789a::/48") })
	key := all(t, w.Globals.Rows(t.Context()))[0].Key
	testChange(t, w, w.Globals, key, func(c *platform.GlobalConfig) { *c = platform.GlobalConfig{} })
}
