// Package fake is a router in memory, with knobs: every role of the platform,
// without a kernel. It lives in tests, the lab and the demo, works inside a
// testing/synctest bubble, and is never linked into the agent.
package fake

import (
	"context"
	"iter"
	"maps"
	"slices"
	"sync"
	"time"

	"gatehouse/platform"
)

// A Source is one thing that the router can be asked, and so one thing that a
// test can let fail, count or delay.
type Source string

// Sources.
const (
	Identity  Source = "identity"
	System    Source = "system"
	Processes Source = "processes"
	Sensors   Source = "sensors"
	Logs      Source = "logs"
	Links     Source = "links"
	Addresses Source = "addresses"
	Routes    Source = "routes"
	Neighbors Source = "neighbors"
	IPv6      Source = "ipv6"
	DNS       Source = "dns"
	Time      Source = "time"
	States    Source = "interfaces" // of logical interfaces
	Answers   Source = "answers"    // of DHCP servers
)

// A Router is a router in memory. Its methods are the knobs; [Router.Platform]
// gives the roles. All are safe for concurrent use.
type Router struct {
	mu sync.Mutex
	// state holds slices which are replaced, never changed in place: a dump
	// that is under way goes on over what it began with.
	state    state
	watchers map[*watcher]bool
	muted    bool

	fail  map[Source]error
	delay map[Source]time.Duration
	dumps map[Source]int
	hooks map[Source]func(n int)

	failPrepare error
	failCommit  error
	failItem    int
	failUndo    error
	failPower   error
	deferred    bool
	commits     int

	offset          time.Duration // of the wall clock, by Step
	boot            time.Time     // on the clock that is never stepped
	boots           int
	reboots, resets int
	onReboot        func(factoryReset bool)
	files           files

	config  config
	network *network // nil: links are the interfaces
	fresh   int      // keys that were given to new rows
	tables  platform.Platform
}

type state struct {
	id        platform.ID
	hostname  string
	memory    platform.Memory
	cpu       uint32
	links     []platform.Link
	carrier   map[string]bool // the cable is in; replaced as well
	addresses []platform.Address
	routes    []platform.Route
	neighbors []platform.Neighbor
	leases    []platform.Lease
	answers   []platform.DHCPAnswer
	ipv6      []platform.IPv6Link
	noFamily  [2]bool // IPv4, IPv6 switched off
	dns       platform.DNS
	time      platform.TimeStatus
	processes []platform.Process
	sensors   []platform.Sensor
	logs      []platform.Log
	wifi      wifi
}

// New returns a home router: a WAN port with addresses by DHCP and SLAAC, a
// bridge of four ports and a radio, three hosts behind it.
func New() *Router {
	r := &Router{
		watchers: map[*watcher]bool{},
		fail:     map[Source]error{},
		delay:    map[Source]time.Duration{},
		dumps:    map[Source]int{},
		hooks:    map[Source]func(int){},
		boot:     time.Now().Add(-90 * time.Second),
		boots:    1,
		files:    homeFiles(),
		state:    home(),
		config: config{committed: store{}, reloads: map[string]int{}, failed: map[string]error{},
			upstream: map[string]bool{"network": true}, onReload: map[string]func(){},
			takeUp: map[string][]func(){}},
	}
	r.homeTables()
	r.settle()
	return r
}

// Platform returns all the roles. The caller may set some to nil.
func (r *Router) Platform() platform.Platform {
	b := backend{r}
	p := r.tables
	p.Name, p.Identity, p.System, p.TCP, p.Processes, p.Sensors, p.Logs = "fake", b, b, b, b, b, b
	p.Links, p.Addresses, p.Routes, p.Neighbors, p.IPv6, p.Resolver, p.Clock = b, b, b, b, b, b, b
	p.Network, p.Power, p.Events = b, b, b
	p.Firmware, p.ConfigFile, p.Prober = b, b, b
	p.Config = configuration{r}
	p.DHCPClient = b
	return p
}

// homeTables fills the configuration of a home router: one method for each
// area, which sets its part of r.tables.
func (r *Router) homeTables() {
	r.homeTiming()
	r.homeNaming()
	r.homeUsers()
	r.homeWiFi()
	r.homeDHCP()
	r.homeNAT()
}

// FailRead lets a source be unavailable because of err, until nil is given.
func (r *Router) FailRead(s Source, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.fail[s] = err
}

// Delay lets a source take so long to answer.
func (r *Router) Delay(s Source, d time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.delay[s] = d
}

// OnDump calls f at the start of each reading of a source, with its number
// from 1 on, outside all locks: rows can be let go between two readings.
func (r *Router) OnDump(s Source, f func(n int)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.hooks[s] = f
}

// Dumps returns how often a source was read.
func (r *Router) Dumps(s Source) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.dumps[s]
}

// AllDumps returns how often each source was read that was read at all.
func (r *Router) AllDumps() map[Source]int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return maps.Clone(r.dumps)
}

// ResetDumps begins to count anew.
func (r *Router) ResetDumps() {
	r.mu.Lock()
	defer r.mu.Unlock()
	clear(r.dumps)
}

// backend has the roles, so that they do not mix with the knobs.
type backend struct{ *Router }

// read counts, delays and fails a reading, then takes a picture of the state.
func (b backend) read(ctx context.Context, s Source) (state, error) {
	r := b.Router
	r.mu.Lock()
	r.dumps[s]++
	n, hook, delay := r.dumps[s], r.hooks[s], r.delay[s]
	r.mu.Unlock()
	if hook != nil {
		hook(n)
	}
	if err := sleep(ctx, delay); err != nil {
		return state{}, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if err := r.fail[s]; err != nil {
		return state{}, &platform.Unavailable{Source: "fake " + string(s), Err: err}
	}
	return r.state, nil
}

// sleep waits for d or for the end of ctx.
func sleep(ctx context.Context, d time.Duration) error {
	if d > 0 {
		t := time.NewTimer(d)
		defer t.Stop()
		select {
		case <-t.C:
		case <-ctx.Done():
		}
	}
	return ctx.Err()
}

// stream yields the rows that pick finds, until ctx ends.
func stream[T any](ctx context.Context, b backend, s Source, pick func(state) []T, want func(T) bool) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		var none T
		st, err := b.read(ctx, s)
		if err != nil {
			yield(none, err)
			return
		}
		for _, row := range pick(st) {
			if err := ctx.Err(); err != nil {
				yield(none, err)
				return
			}
			if want != nil && !want(row) {
				continue
			}
			if !yield(row, nil) {
				return
			}
		}
	}
}

// replaced returns a copy of rows with those that match gone, and row (when
// there is one) added.
func replaced[T any](rows []T, match func(T) bool, row ...T) []T {
	return append(slices.DeleteFunc(slices.Clone(rows), match), row...)
}
