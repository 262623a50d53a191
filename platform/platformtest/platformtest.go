// Package platformtest is what every backend must do: the suite that the fake
// router and the real ones pass alike. A difference between them is an error
// here or a sentence in the documentation of package platform.
package platformtest

import (
	"cmp"
	"context"
	"iter"
	"net/netip"
	"slices"
	"testing"
	"time"

	"gatehouse/platform"
)

// Knobs is the world around a router that the suite is run on. The router has
//
//   - a WAN port with 192.0.2.2/24 and 2001:db8::2/64, and the IPv4 default
//     route via 192.0.2.1,
//   - a bridge with 192.168.1.1/24 and one port,
//   - a spare Ethernet port, enabled, with its cable in and without addresses,
//     except a link-local one,
//   - where it has logical interfaces, one for the bridge.
type Knobs struct {
	WAN, Bridge, Port, Spare string
	// The keys of the IP interfaces on Bridge and WAN, where they are not
	// called after these. A platform with a DHCP server has a pool on the one.
	Inside, Outside string

	SetLink       func(name string, up bool) // the cable of a port
	SetAddress    func(platform.Address)     // somebody else adds an address
	RemoveAddress func(platform.Address)
	AddRoutes     func(...platform.Route) // somebody else adds routes
}

// A part of the suite.
type part struct {
	name string
	test func(*testing.T, world)
}

// Run runs the suite. start makes a fresh router for each test.
func Run(t *testing.T, start func(t *testing.T) (platform.Platform, Knobs)) {
	run(t, start, []part{
		{"machine", testMachine},
		{"links", testLinks},
		{"addresses and routes", testAddresses},
		{"stops when told", testStops},
		{"many routes", testManyRoutes},
		{"cable", testCable},
		{"hints", testHints},
		{"flapping", testFlapping},
		{"watch ends", testWatchEnds},
		{"batch refuses", testRefusals},
		{"batch applies and rolls back", testBatch},
		{"IPv6 of a link", testIPv6},
		{"batch fails half way", testHalfWay},
		{"batch misused", testMisuse},
		{"first address of a network", testPrimary},
		{"readers beside a writer", testConcurrent},
	})
	Tables(t, start)
}

// Tables runs the part of the suite that is about configuration. It needs no
// links, and of the knobs only the names.
func Tables(t *testing.T, start func(t *testing.T) (platform.Platform, Knobs)) {
	run(t, start, []part{
		{"wireless", testWiFi},
		{"logical interfaces", testInterfaces},
		{"what interfaces share", testGlobals},
		{"static routes", testStaticRoutes},
		{"time", testTiming},
		{"host name", testHost},
		{"names", testNaming},
		{"name servers", testForwards},
		{"users", testUsers},
		{"DHCP server", testDHCPServer},
		{"DHCP pools", testDHCPPools},
		{"DHCP hosts", testDHCPHosts},
		{"DHCP options", testDHCPOptions},
		{"leases", testLeases},
		{"NAT interfaces", testNATInterfaces},
		{"port mappings", testPortMappings},
		{"in effect", testApplied},
	})
}

func run(t *testing.T, start func(t *testing.T) (platform.Platform, Knobs), parts []part) {
	for _, c := range parts {
		t.Run(c.name, func(t *testing.T) {
			p, k := start(t)
			c.test(t, world{p, k})
		})
	}
}

type world struct {
	platform.Platform
	Knobs
}

// inside and outside are the keys of the IP interfaces of the home and of the
// provider.
func (w world) inside() string  { return cmp.Or(w.Inside, w.Bridge) }
func (w world) outside() string { return cmp.Or(w.Outside, w.WAN) }

// all collects a sequence, and fails the test on an error.
func all[T any](t *testing.T, seq iter.Seq2[T, error]) (rows []T) {
	t.Helper()
	for row, err := range seq {
		if err != nil {
			t.Fatal(err)
		}
		rows = append(rows, row)
	}
	return rows
}

func (w world) link(t *testing.T, name string) platform.Link {
	t.Helper()
	for _, l := range all(t, w.Links.Links(t.Context())) {
		if l.Name == name {
			return l
		}
	}
	t.Fatalf("link %s is missing", name)
	panic("unreachable")
}

func prefix(s string) netip.Prefix { return netip.MustParsePrefix(s) }
func addr(s string) netip.Addr     { return netip.MustParseAddr(s) }

// patience is how long the suite waits for what must come.
const patience = 20 * time.Second

// hints runs Watch until the test ends, and wakes whoever waits.
type hints struct {
	events chan platform.Event
}

// watch starts Watch and returns when it listens.
func (w world) watch(t *testing.T) *hints {
	t.Helper()
	h := &hints{events: make(chan platform.Event, 1<<16)}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		err := w.Events.Watch(ctx, func(e platform.Event) {
			select {
			case h.events <- e:
			default:
				t.Error("the suite does not keep up")
			}
		})
		if ctx.Err() == nil {
			t.Errorf("Watch ended by itself: %v", err)
		}
	}()
	t.Cleanup(func() {
		cancel()
		<-done
	})
	// It listens when a change is heard.
	probe := platform.Address{Link: w.Spare, Prefix: prefix("198.51.100.9/32")}
	until := time.Now().Add(patience)
	for {
		w.SetAddress(probe)
		select {
		case <-h.events:
			w.RemoveAddress(probe)
			return h
		case <-time.After(10 * time.Millisecond):
			w.RemoveAddress(probe)
		}
		if time.Now().After(until) {
			t.Fatal("Watch hears nothing")
		}
	}
}

// await reads again at each hint until it is as wanted: as every consumer does.
func (h *hints) await(t *testing.T, what string, as func() bool) {
	t.Helper()
	timeout := time.NewTimer(patience)
	defer timeout.Stop()
	for !as() {
		select {
		case <-h.events:
		case <-timeout.C:
			t.Fatalf("%s: no hint led there", what)
		}
	}
}

// saw waits for a hint of that topic for that key, or for one that includes it.
func (h *hints) saw(t *testing.T, topic platform.Topic, key string) {
	t.Helper()
	timeout := time.NewTimer(patience)
	defer timeout.Stop()
	for {
		select {
		case e := <-h.events:
			if e.Topic == platform.Resync || e.Topic == topic && (e.Key == key || e.Key == "") {
				return
			}
		case <-timeout.C:
			t.Fatalf("no hint of topic %d for %q", topic, key)
		}
	}
}

// picture is the state as far as a batch can change it.
type picture struct {
	links     []platform.Link
	addresses []platform.Address
	routes    []platform.Route
}

func (w world) picture(t *testing.T) (p picture) {
	t.Helper()
	for _, l := range all(t, w.Links.Links(t.Context())) {
		p.links = append(p.links, platform.Link{Name: l.Name, Enabled: l.Enabled, MTU: l.MTU})
	}
	for _, a := range all(t, w.Addresses.Addresses(t.Context())) {
		a.Tentative, a.Preferred, a.Valid = false, 0, 0 // these go by themselves
		p.addresses = append(p.addresses, a)
	}
	for _, ipv6 := range []bool{false, true} {
		for _, r := range all(t, w.Routes.Routes(t.Context(), ipv6)) {
			r.Expires = 0
			p.routes = append(p.routes, r)
		}
	}
	slices.SortStableFunc(p.addresses, func(a, b platform.Address) int {
		if c := a.Prefix.Addr().Compare(b.Prefix.Addr()); a.Prefix.Addr().Is6() || a.Prefix.Masked() != b.Prefix.Masked() {
			return c
		}
		return 0 // the order of the addresses of an IPv4 network counts
	})
	slices.SortStableFunc(p.routes, func(a, b platform.Route) int {
		if c := a.Dest.Addr().Compare(b.Dest.Addr()); c != 0 {
			return c
		}
		if c := a.Dest.Bits() - b.Dest.Bits(); c != 0 {
			return c
		}
		if c := int(a.Metric - b.Metric); c != 0 {
			return c
		}
		return slices.Compare([]byte(a.Link), []byte(b.Link))
	})
	return p
}

// same compares two pictures and tells what differs.
func same(t *testing.T, what string, before, after picture) {
	t.Helper()
	differs(t, what+": links", before.links, after.links)
	differs(t, what+": addresses", before.addresses, after.addresses)
	differs(t, what+": routes", before.routes, after.routes)
}

func differs[T comparable](t *testing.T, what string, before, after []T) {
	t.Helper()
	if slices.Equal(before, after) {
		return
	}
	for _, row := range before {
		if !slices.Contains(after, row) {
			t.Errorf("%s: missing %+v", what, row)
		}
	}
	for _, row := range after {
		if !slices.Contains(before, row) {
			t.Errorf("%s: extra %+v", what, row)
		}
	}
	if !t.Failed() {
		t.Errorf("%s: the order changed:\n%+v\n%+v", what, before, after)
	}
}
