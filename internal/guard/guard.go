// Package guard admits connection requests, whatever way they came: HTTP, UDP
// or XMPP (TR-069 3.2.2, Annexes G and K).
//
// Each transport checks credentials and replays in its own way and then asks
// here. Only requests that were authenticated count against the rate, so a
// flood of wrong passwords shuts nobody out; wrong passwords are counted,
// logged now and then, and answered more and more slowly to who sends them.
package guard

import (
	"errors"
	"log/slog"
	"net/netip"
	"sync"
	"time"
)

// ErrBusy says that authenticated requests come too fast. The transport
// refuses this one (HTTP: 503) and no session follows.
var ErrBusy = errors.New("too many connection requests")

// A Rate is a number of requests in a time. A burst of N passes at once.
type Rate struct {
	N   int
	Per time.Duration
}

// Config tells how a Guard behaves.
type Config struct {
	Total     Rate                   // zero: 50 in 5 s
	PerSource Rate                   // zero: 10 in 5 s
	Accept    func(transport string) // a session is wanted; must not be nil
	Log       *slog.Logger           // nil: silent
}

// Limits of what is remembered.
const (
	maxSources    = 128             // sources in each table
	forgetAfter   = 5 * time.Minute // a quiet source's failures are forgotten
	freeFailures  = 3               // failures before answers get slower
	slowestAnswer = 1500 * time.Millisecond
	logEvery      = time.Minute // failures of one source are logged this often
)

// Counts are what happened on one transport since the start.
type Counts struct {
	Accepted uint64 // requests that were admitted
	Limited  uint64 // authenticated, but too fast
	Failed   uint64 // wrong credentials or replays

	Last        time.Time // last admitted one; zero: never
	LastRefused time.Time // last one that was not
	Busy        bool      // that one came too fast; else it had wrong credentials
}

// Stats say how the guard is doing.
type Stats struct{ Transports map[string]Counts }

// A Guard admits connection requests. It may be used by several goroutines.
type Guard struct {
	c Config

	mu      sync.Mutex
	total   bucket
	sources table[bucket]
	failing table[failures]
	stats   Stats
}

// New returns a guard.
func New(c Config) *Guard {
	if c.Total.N <= 0 || c.Total.Per <= 0 {
		c.Total = Rate{50, 5 * time.Second}
	}
	if c.PerSource.N <= 0 || c.PerSource.Per <= 0 {
		c.PerSource = Rate{10, 5 * time.Second}
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	return &Guard{c: c, stats: Stats{Transports: make(map[string]Counts)}}
}

// Admit is asked once for each authenticated request. The source is where it
// came from: an address, with or without port, or a JID. It returns what asks
// for the session, to be called when the answer is on the wire and not before
// (an ACS that is called while it waits for the answer asks again), or ErrBusy.
func (g *Guard) Admit(transport, source string) (accepted func(), err error) {
	now, name := time.Now(), sourceName(source)
	g.mu.Lock()
	defer g.mu.Unlock()
	counts := g.stats.Transports[transport]
	defer func() { g.stats.Transports[transport] = counts }()

	total, ok := g.total.take(now, g.c.Total)
	mine, okToo := g.sources.get(name, now).take(now, g.c.PerSource)
	if !ok || !okToo { // neither is charged for what the other refuses
		counts.Limited++
		counts.LastRefused, counts.Busy = now, true
		g.c.Log.Debug("connection request refused, too many", "transport", transport, "source", name)
		return nil, ErrBusy
	}
	g.total = total
	g.sources.set(name, now, mine)
	counts.Accepted++
	counts.Last = now
	g.c.Log.Info("connection request", "transport", transport, "source", name)
	return func() { g.c.Accept(transport) }, nil
}

// failures are those of one source.
type failures struct {
	n      int
	logged time.Time
	quiet  int // failures since then
}

// Failed counts a request with wrong credentials and returns how long to wait
// before saying so. It never blocks and never refuses: the next request of the
// same source, with the right password, passes.
func (g *Guard) Failed(transport, source string) (wait time.Duration) {
	now, name := time.Now(), sourceName(source)
	g.mu.Lock()
	defer g.mu.Unlock()
	counts := g.stats.Transports[transport]
	counts.Failed++
	counts.LastRefused, counts.Busy = now, false
	g.stats.Transports[transport] = counts

	f := g.failing.get(name, now)
	f.n++
	f.quiet++
	if now.Sub(f.logged) >= logEvery {
		g.c.Log.Warn("connection request with wrong credentials", "transport", transport, "source", name, "times", f.quiet)
		f.logged, f.quiet = now, 0
	}
	g.failing.set(name, now, f)
	if f.n <= freeFailures {
		return 0
	}
	return min(slowestAnswer, 50*time.Millisecond<<min(f.n-freeFailures-1, 10))
}

// Stats returns the counters.
func (g *Guard) Stats() Stats {
	g.mu.Lock()
	defer g.mu.Unlock()
	s := g.stats
	s.Transports = make(map[string]Counts, len(g.stats.Transports))
	for k, v := range g.stats.Transports {
		s.Transports[k] = v
	}
	return s
}

// A bucket limits a rate: the time at which it is full again (the generic
// cell rate algorithm). The zero value is full.
type bucket struct{ full time.Time }

// take returns the bucket with one request taken, and whether there was one.
func (b bucket) take(now time.Time, r Rate) (bucket, bool) {
	if b.full.Before(now) {
		b.full = now
	}
	step := r.Per / time.Duration(r.N)
	if b.full.Sub(now) > r.Per-step {
		return b, false
	}
	b.full = b.full.Add(step)
	return b, true
}

// A table remembers something of the sources seen last.
type table[V any] struct{ rows map[string]row[V] }

type row[V any] struct {
	v    V
	seen time.Time
}

// get returns what is known of a source; nothing of one that was quiet long.
func (t *table[V]) get(name string, now time.Time) V {
	r := t.rows[name]
	if now.Sub(r.seen) > forgetAfter {
		var none V
		return none
	}
	return r.v
}

// set remembers; a full table forgets who was quiet longest.
func (t *table[V]) set(name string, now time.Time, v V) {
	if t.rows == nil {
		t.rows = make(map[string]row[V])
	}
	if _, known := t.rows[name]; !known && len(t.rows) >= maxSources {
		oldest := ""
		for n, r := range t.rows {
			if oldest == "" || r.seen.Before(t.rows[oldest].seen) {
				oldest = n
			}
		}
		delete(t.rows, oldest)
	}
	t.rows[name] = row[V]{v, now}
}

// sourceName is what counts as one source: an IPv4 address, the /64 of an IPv6
// address (whoever has one address there has them all), else the text itself.
func sourceName(source string) string {
	addr, err := netip.ParseAddr(source)
	if ap, errPort := netip.ParseAddrPort(source); errPort == nil {
		addr, err = ap.Addr(), nil
	}
	if err != nil {
		return source[:min(len(source), 128)]
	}
	if addr = addr.Unmap().WithZone(""); addr.Is4() {
		return addr.String()
	}
	p, _ := addr.Prefix(64) // cannot fail: an IPv6 address has 64 bits
	return p.String()
}
