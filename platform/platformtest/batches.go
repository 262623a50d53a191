// Batches: what refuses refuses in Prepare; what is done can be undone.

package platformtest

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"

	"gatehouse/platform"
)

func (w world) begin(t *testing.T) platform.NetworkBatch {
	t.Helper()
	if w.Network == nil {
		t.Skip("this platform changes nothing")
	}
	b, err := w.Network.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func commit(t *testing.T, b platform.NetworkBatch) {
	t.Helper()
	if err := b.Prepare(t.Context()); err != nil {
		t.Fatalf("Prepare: %v", err)
	}
	if _, err := b.Commit(t.Context()); err != nil {
		t.Fatalf("Commit: %v", err)
	}
}

// A refusal is a change that Prepare must not let pass.
type refusal struct {
	name string
	ask  func(platform.NetworkBatch) int
	is   error // what errors.Is has to find, nil: anything
}

// refusals are changes that the world of the suite makes impossible.
func refusals(w world) []refusal {
	address := func(link, p string) func(platform.NetworkBatch) int {
		return func(b platform.NetworkBatch) int {
			return b.AddAddress(platform.Address{Link: link, Prefix: prefix(p)})
		}
	}
	route := func(dest, gateway, link string, metric int32) func(platform.NetworkBatch) int {
		r := platform.Route{Dest: prefix(dest), Link: link, Metric: metric}
		if gateway != "" {
			r.Gateway = addr(gateway)
		}
		return func(b platform.NetworkBatch) int { return b.AddRoute(r) }
	}
	return []refusal{
		{"address on no link", address("nosuch0", "10.3.3.3/24"), platform.ErrGone},
		{"address exists", address(w.WAN, "192.0.2.2/24"), nil},
		{"IPv6 address exists with another length", address(w.WAN, "2001:db8::2/48"), nil},
		{"unspecified address", address(w.WAN, "0.0.0.0/24"), nil},
		{"multicast address", address(w.WAN, "224.0.0.5/24"), nil},
		{"loopback address on a port", address(w.WAN, "127.0.0.9/8"), nil},
		{"network address", address(w.WAN, "10.3.3.0/24"), nil},
		{"broadcast address", address(w.WAN, "10.3.3.255/24"), nil},
		{"delete no address", func(b platform.NetworkBatch) int {
			return b.DeleteAddress(platform.Address{Link: w.WAN, Prefix: prefix("10.3.3.3/24")})
		}, platform.ErrGone},
		{"route with host bits", route("10.3.3.3/24", "192.0.2.1", "", 0), nil},
		{"route to nowhere", route("10.3.3.0/24", "", "", 0), nil},
		{"route by no link", route("10.3.3.0/24", "192.0.2.1", "nosuch0", 0), platform.ErrGone},
		{"gateway out of reach", route("10.3.3.0/24", "10.200.0.1", "", 0), nil},
		{"gateway behind another link", route("10.3.3.0/24", "192.0.2.1", w.Bridge, 0), nil},
		{"gateway of the other family", route("10.3.3.0/24", "2001:db8::1", "", 0), nil},
		{"gateway is ourselves", route("10.3.3.0/24", "192.0.2.2", "", 0), nil},
		{"link-local gateway without a link", route("2001:db8:3::/48", "fe80::1", "", 0), nil},
		{"route exists", route("0.0.0.0/0", "192.0.2.9", "", 0), nil},
		{"source that is not ours", func(b platform.NetworkBatch) int {
			return b.AddRoute(platform.Route{Dest: prefix("10.3.3.0/24"), Gateway: addr("192.0.2.1"), Source: addr("10.66.6.6")})
		}, nil},
		{"delete no route", func(b platform.NetworkBatch) int {
			return b.DeleteRoute(platform.Route{Dest: prefix("10.3.3.0/24")})
		}, platform.ErrGone},
		{"loopback off", func(b platform.NetworkBatch) int { return b.SetLink("lo", false) }, nil},
		{"no link up", func(b platform.NetworkBatch) int { return b.SetLink("nosuch0", true) }, platform.ErrGone},
		{"IPv6 of the loopback off", func(b platform.NetworkBatch) int { return b.SetIPv6("lo", false) }, nil},
		{"IPv6 of no link", func(b platform.NetworkBatch) int { return b.SetIPv6("nosuch0", true) }, platform.ErrGone},
		{"address of the IPv6 that goes", func(b platform.NetworkBatch) int {
			b.SetIPv6(w.WAN, false)
			return b.DeleteAddress(platform.Address{Link: w.WAN, Prefix: prefix("2001:db8::2/64")})
		}, platform.ErrGone},
		{"MTU too small", func(b platform.NetworkBatch) int { return b.SetMTU(w.Spare, 60) }, nil},
		{"MTU too small for the IPv6 that is there", func(b platform.NetworkBatch) int { return b.SetMTU(w.WAN, 1000) }, nil},
		{"MTU too large", func(b platform.NetworkBatch) int { return b.SetMTU(w.Spare, 1<<31) }, nil},
		{"gateway by an address that goes in the same batch", func(b platform.NetworkBatch) int {
			b.DeleteAddress(platform.Address{Link: w.WAN, Prefix: prefix("192.0.2.2/24")})
			return b.AddRoute(platform.Route{Dest: prefix("10.3.3.0/24"), Gateway: addr("192.0.2.1")}) // the connected route goes with it
		}, nil},
		{"twice the same", func(b platform.NetworkBatch) int {
			b.AddAddress(platform.Address{Link: w.Spare, Prefix: prefix("10.3.3.3/24")})
			return b.AddAddress(platform.Address{Link: w.Spare, Prefix: prefix("10.3.3.3/24")})
		}, nil},
	}
}

func testRefusals(t *testing.T, w world) {
	before := w.picture(t)
	for _, c := range refusals(w) {
		t.Run(c.name, func(t *testing.T) {
			b := w.begin(t)
			b.AddAddress(platform.Address{Link: w.Spare, Prefix: prefix("10.44.0.1/24")}) // blameless
			item := c.ask(b)
			err := b.Prepare(t.Context())
			var blame *platform.ItemError
			if !errors.As(err, &blame) || blame.Item != item {
				t.Fatalf("Prepare says %v, want item %d refused", err, item)
			}
			if c.is != nil && !errors.Is(err, c.is) {
				t.Errorf("%v is not %v", err, c.is)
			}
			if _, err := b.Commit(t.Context()); err == nil {
				t.Error("Commit after a refusal")
			}
			if err := b.Rollback(t.Context()); err != nil {
				t.Errorf("Rollback: %v", err)
			}
		})
	}
	same(t, "after the refusals", before, w.picture(t))
}

func testBatch(t *testing.T, w world) {
	w.AddRoutes(platform.Route{Dest: prefix("10.6.0.0/16"), Gateway: addr("192.168.1.9"), Link: w.Bridge, Metric: 7, Protocol: "static", Static: true})
	w.SetAddress(platform.Address{Link: w.Bridge, Prefix: prefix("2001:db8:7::1/64")}) // the kernel forgets it when the bridge goes down
	before := w.picture(t)
	b := w.begin(t)
	b.AddAddress(platform.Address{Link: w.Spare, Prefix: prefix("10.5.0.1/24")})
	b.AddAddress(platform.Address{Link: w.Spare, Prefix: prefix("2001:db8:5::1/64")})
	b.AddRoute(platform.Route{Dest: prefix("10.50.0.0/16"), Gateway: addr("10.5.0.9"), Metric: 5})
	b.AddRoute(platform.Route{Dest: prefix("2001:db8:50::/48"), Gateway: addr("2001:db8:5::9"), Link: w.Spare})
	b.AddRoute(platform.Route{Dest: prefix("10.51.0.0/16"), Link: w.Bridge})
	b.DeleteRoute(platform.Route{Dest: prefix("0.0.0.0/0"), Gateway: addr("192.0.2.1")})
	b.SetMTU(w.Spare, 1400)
	b.DeleteAddress(platform.Address{Link: w.WAN, Prefix: prefix("2001:db8::2/64")})
	b.SetLink(w.Bridge, false)
	commit(t, b)

	if l := w.link(t, w.Spare); l.MTU != 1400 {
		t.Errorf("the MTU is %d", l.MTU)
	}
	if w.link(t, w.Bridge).Enabled || w.link(t, w.WAN).Upstream {
		t.Error("the bridge is up, or the default route is there")
	}
	addresses := all(t, w.Addresses.Addresses(t.Context()))
	for p, want := range map[string]bool{"10.5.0.1/24": true, "2001:db8:5::1/64": true, "2001:db8::2/64": false, "192.168.1.1/24": true} {
		i := slices.IndexFunc(addresses, func(a platform.Address) bool { return a.Prefix == prefix(p) })
		if (i >= 0) != want {
			t.Errorf("%s is there: %v", p, i >= 0)
		} else if want && (!addresses[i].Permanent || addresses[i].Valid >= 0) {
			t.Errorf("%s does not stay: %+v", p, addresses[i])
		}
	}
	routes := append(all(t, w.Routes.Routes(t.Context(), false)), all(t, w.Routes.Routes(t.Context(), true))...)
	for _, want := range []platform.Route{
		{Dest: prefix("10.50.0.0/16"), Gateway: addr("10.5.0.9"), Link: w.Spare, Metric: 5, Static: true, Protocol: "static"},
		{Dest: prefix("2001:db8:50::/48"), Gateway: addr("2001:db8:5::9"), Link: w.Spare, Metric: 1024, Static: true, Protocol: "static"},
	} {
		if !slices.Contains(routes, want) {
			t.Errorf("missing %+v", want)
		}
	}
	if slices.ContainsFunc(routes, func(r platform.Route) bool { return r.Link == w.Bridge || r.Dest == prefix("0.0.0.0/0") }) {
		t.Errorf("routes that had to go are in %+v", routes)
	}

	ctx, cancel := context.WithCancel(t.Context())
	cancel() // undoing is not ended by a session that has ended
	if err := b.Rollback(ctx); err != nil {
		t.Fatalf("Rollback: %v", err)
	}
	same(t, "after Rollback", before, w.picture(t))
	if err := b.Rollback(t.Context()); err != nil {
		t.Errorf("second Rollback: %v", err)
	}
	same(t, "after a second Rollback", before, w.picture(t))
}

// testIPv6: with the IPv6 of a link its addresses and routes go, and come back by
// Rollback.
func testIPv6(t *testing.T, w world) {
	on := func() bool {
		for _, l := range all(t, w.IPv6.IPv6Links(t.Context())) {
			if l.Link == w.WAN {
				return l.Enabled
			}
		}
		t.Fatalf("%s has no IPv6", w.WAN)
		return false
	}
	before := w.picture(t)
	b := w.begin(t)
	b.SetIPv6(w.WAN, false)
	commit(t, b)
	if on() {
		t.Error("it is on")
	}
	var v4 int
	for _, a := range all(t, w.Addresses.Addresses(t.Context())) {
		switch {
		case a.Link == w.WAN && a.Prefix.Addr().Is6():
			t.Errorf("%v is there", a.Prefix)
		case a.Link == w.WAN:
			v4++
		}
	}
	if v4 == 0 {
		t.Error("the IPv4 addresses went, too")
	}
	for _, r := range all(t, w.Routes.Routes(t.Context(), true)) {
		if r.Link == w.WAN {
			t.Errorf("the route to %v is there", r.Dest)
		}
	}

	again := w.begin(t)
	again.SetIPv6(w.WAN, true)
	again.AddAddress(platform.Address{Link: w.WAN, Prefix: prefix("2001:db8:6::1/64")})
	commit(t, again)
	if !on() {
		t.Error("it is off")
	}
	for _, b := range []platform.NetworkBatch{again, b} {
		if err := b.Rollback(t.Context()); err != nil {
			t.Fatal(err)
		}
		if b == again && on() {
			t.Error("on after Rollback")
		}
	}
	same(t, "after Rollback", before, w.picture(t))
}

// testHalfWay: somebody else is faster than Commit. What was done is undone,
// what the other did stays.
func testHalfWay(t *testing.T, w world) {
	before := w.picture(t)
	theirs := platform.Address{Link: w.Spare, Prefix: prefix("10.7.0.2/24")}
	b := w.begin(t)
	b.AddAddress(platform.Address{Link: w.Bridge, Prefix: prefix("10.8.0.1/24")})
	b.SetMTU(w.Spare, 1300)
	item := b.AddAddress(platform.Address{Link: w.Spare, Prefix: theirs.Prefix})
	b.AddAddress(platform.Address{Link: w.Bridge, Prefix: prefix("10.8.1.1/24")})
	if err := b.Prepare(t.Context()); err != nil {
		t.Fatal(err)
	}
	w.SetAddress(theirs)
	_, err := b.Commit(t.Context())
	var blame *platform.ItemError
	if !errors.As(err, &blame) || blame.Item != item {
		t.Fatalf("Commit says %v, want item %d to fail", err, item)
	}
	if err := b.Rollback(t.Context()); err != nil {
		t.Fatalf("Rollback: %v", err)
	}
	if !slices.ContainsFunc(all(t, w.Addresses.Addresses(t.Context())), func(a platform.Address) bool { return a.Prefix == theirs.Prefix }) {
		t.Error("the address of somebody else is gone")
	}
	w.RemoveAddress(theirs)
	same(t, "after Rollback", before, w.picture(t))
}

func testMisuse(t *testing.T, w world) {
	before := w.picture(t)
	b := w.begin(t)
	b.SetMTU(w.Spare, 1300)
	if _, err := b.Commit(t.Context()); err == nil {
		t.Error("Commit without Prepare")
	}
	if err := b.Prepare(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := b.Rollback(t.Context()); err != nil {
		t.Errorf("Rollback after Prepare: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := b.Prepare(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("Prepare after cancel: %v", err)
	}
	if _, err := b.Commit(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("Commit after cancel: %v", err)
	}
	empty := w.begin(t)
	commit(t, empty)
	same(t, "afterwards", before, w.picture(t))
}

// testPrimary: deleting the first address of a network leaves the others, and
// undoing puts it before them again.
func testPrimary(t *testing.T, w world) {
	for _, p := range []string{"10.4.0.1/24", "10.4.0.2/24", "10.4.0.3/24"} {
		w.SetAddress(platform.Address{Link: w.Spare, Prefix: prefix(p), Permanent: true, Preferred: -1, Valid: -1})
	}
	before := w.picture(t)
	b := w.begin(t)
	b.DeleteAddress(platform.Address{Link: w.Spare, Prefix: prefix("10.4.0.1/24")})
	commit(t, b)
	var left []string
	for _, a := range all(t, w.Addresses.Addresses(t.Context())) {
		if a.Link == w.Spare && a.Prefix.Addr().Is4() {
			left = append(left, a.Prefix.String())
		}
	}
	if !slices.Equal(left, []string{"10.4.0.2/24", "10.4.0.3/24"}) {
		t.Errorf("left are %v", left)
	}
	if err := b.Rollback(t.Context()); err != nil {
		t.Fatal(err)
	}
	same(t, "after Rollback", before, w.picture(t))
}

func testConcurrent(t *testing.T, w world) {
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range 20 {
				for _, err := range w.Links.Links(t.Context()) {
					if err != nil {
						t.Error(err)
					}
				}
				for _, err := range w.Addresses.Addresses(t.Context()) {
					if err != nil {
						t.Error(err)
					}
				}
				for _, err := range w.Routes.Routes(t.Context(), true) {
					if err != nil {
						t.Error(err)
					}
				}
			}
		})
	}
	for range 20 {
		b := w.begin(t)
		b.AddAddress(platform.Address{Link: w.Spare, Prefix: prefix("2001:db8:9::1/64")})
		b.SetMTU(w.Spare, 1380)
		commit(t, b)
		if err := b.Rollback(t.Context()); err != nil {
			t.Error(err)
		}
	}
	wg.Wait()
}
