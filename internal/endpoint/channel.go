package endpoint

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// A Policy says which of several servers a request goes to.
type Policy uint8

const (
	// PolicyPool takes the first server that is not blocked, each time anew:
	// for requests that stand alone.
	PolicyPool Policy = iota
	// PolicySticky stays with the server that answered last, for it keeps
	// state; it goes on to the next when that one fails, from the last to the
	// first, and never back by itself.
	PolicySticky
)

// A Channel is one kind of conversation with servers that may fail: it finds
// them, picks one, goes on to the next, and knows how it went. Channels share
// nothing, so that one cannot spoil a server for another. Its fields are set
// before use and not changed after; it may be used by several goroutines.
type Channel struct {
	Name     string
	Policy   Policy
	Find     func(ctx context.Context) (Found, error)
	Attempts int              // of one request; 0: 3
	BlockFor time.Duration    // 0: one minute
	Rand     func(n int) int  // in [0,n); nil: math/rand
	Warn     func(msg string) // something is odd, and we cope; nil: nobody asks

	once     sync.Once // sets the pool up
	mu       sync.Mutex
	found    Found
	have     bool
	pool     Pool
	selected int // of found.Targets, where Policy is PolicySticky
	missed   int // heartbeats in a row
	lastOK   time.Time
	lastErr  string
	failing  bool
}

// A Final error is an answer: no other server would give another one.
type Final struct{ Err error }

func (e *Final) Error() string { return e.Err.Error() }

// Unwrap returns the cause.
func (e *Final) Unwrap() error { return e.Err }

// A Local error lies with us, or with a proxy that will not have us: it says
// nothing about any server, and ends the request.
type Local struct{ Err error }

func (e *Local) Error() string { return e.Err.Error() }

// Unwrap returns the cause.
func (e *Local) Unwrap() error { return e.Err }

// A StatusError is an answer of a server that cannot answer (5xx, or 429 and
// 408, which ask for patience).
type StatusError struct {
	Status     int
	RetryAfter time.Duration // 0: not said
}

func (e *StatusError) Error() string { return "HTTP status " + strconv.Itoa(e.Status) }

// An AttemptsError says what was tried, in order.
type AttemptsError struct {
	Channel string
	Tries   []Attempt
}

// An Attempt is one that failed.
type Attempt struct {
	Target Target
	Err    error
}

func (e *AttemptsError) Error() string {
	why := make([]string, len(e.Tries))
	for i, t := range e.Tries {
		err := t.Err
		if _, bare := err.(*net.OpError); bare {
			err = plainError(err)
		}
		why[i] = fmt.Sprintf("%s: %v", t.Target, err)
	}
	return e.Channel + ": " + strings.Join(why, "; ")
}

// Unwrap returns the causes.
func (e *AttemptsError) Unwrap() []error {
	out := make([]error, len(e.Tries))
	for i, t := range e.Tries {
		out[i] = t.Err
	}
	return out
}

// IsTimeout says whether err is, or comes from, a time-out: an answer that did
// not come, as opposed to one that was refused.
func IsTimeout(err error) bool {
	var n net.Error
	return errors.Is(err, context.DeadlineExceeded) || errors.As(err, &n) && n.Timeout()
}

// Do makes one request: call is told a server, and returns nil for any answer
// of it. A network or TLS error, a time-out and a [StatusError] block that
// server, and the next one is tried at once; [Final] and [Local] end it there.
// The error is call's own then, else an *AttemptsError, or says why no server
// was found.
//
// With PolicySticky a time-out ends the request, for the server may have acted
// on it; what follows goes to the next one.
func (c *Channel) Do(ctx context.Context, call func(ctx context.Context, t Target) error) error {
	if err := c.find(ctx); err != nil {
		c.note(ctx, err)
		return err
	}
	failed := &AttemptsError{Channel: c.Name}
	attempts := c.Attempts
	if attempts <= 0 {
		attempts = defaultAttempts
	}
	for range attempts {
		t, ok := c.pick(failed.Tries)
		if !ok {
			break
		}
		if n := len(failed.Tries); n > 0 && failed.Tries[n-1].Target == t {
			pause(ctx, rand.N(sameAgain))
		}
		err := call(ctx, t)
		var local *Local
		if errors.As(err, &local) {
			c.note(ctx, local.Err)
			return local.Err
		}
		var final *Final
		if err == nil || errors.As(err, &final) {
			c.worked(t)
			if final != nil {
				return final.Err
			}
			return nil
		}
		failed.Tries = append(failed.Tries, Attempt{t, err})
		if ctx.Err() != nil {
			break // it is not the server's fault
		}
		c.failed(t, err)
		if c.Policy == PolicySticky && IsTimeout(err) {
			break
		}
	}
	c.note(ctx, failed)
	return failed
}

// find sees to it that there are targets. A failed search leaves those of the
// last one.
func (c *Channel) find(ctx context.Context) error {
	c.once.Do(func() { c.pool.First, c.pool.BlockFor, c.pool.Rand = true, c.BlockFor, c.Rand })
	c.mu.Lock()
	fresh := c.have && (c.Policy == PolicySticky || c.found.Expires.IsZero() || time.Now().Before(c.found.Expires))
	c.mu.Unlock()
	if fresh {
		return nil
	}
	f, err := c.Find(ctx)
	c.mu.Lock()
	defer c.mu.Unlock()
	if err != nil {
		if c.have && ctx.Err() == nil {
			c.warn("servers cannot be looked up anew, keeping to the last ones: " + err.Error())
			return nil
		}
		return err
	}
	for _, name := range f.Several {
		c.warn(name + " has several addresses, keeping to the first")
	}
	if !slices.Equal(f.Targets, c.found.Targets) {
		c.selected, c.missed = 0, 0
	}
	c.found, c.have = f, true
	return nil
}

func (c *Channel) warn(msg string) {
	if c.Warn != nil {
		c.Warn(c.Name + ": " + msg)
	}
}

// pick returns the server for the next attempt. Where all are blocked it is one
// that this request has not met yet, so that a server which is back is found.
func (c *Channel) pick(met []Attempt) (Target, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	all := c.found.Targets
	if len(all) == 0 {
		return Target{}, false
	}
	addrs := make([]netip.AddrPort, len(all))
	for i := range all {
		addrs[i] = all[(c.start()+i)%len(all)].Addr
	}
	order := c.pool.Order(addrs)
	best := order[max(0, slices.IndexFunc(order, func(a netip.AddrPort) bool {
		return !slices.ContainsFunc(met, func(m Attempt) bool { return m.Target.Addr == a })
	}))]
	return all[slices.IndexFunc(all, func(t Target) bool { return t.Addr == best })], true
}

// start is where the list begins.
func (c *Channel) start() int {
	if c.Policy == PolicySticky {
		return c.selected
	}
	return 0
}

// worked notes that a server has answered.
func (c *Channel) worked(t Target) {
	c.pool.unblock(t.Addr)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.lastOK, c.failing, c.missed = time.Now(), false, 0
	if i := slices.Index(c.found.Targets, t); i >= 0 {
		c.selected = i
	}
}

// failed blocks a server, by all the addresses that were tried, or by both of
// its own when it has answered, and leaves it where the channel sticks to one.
func (c *Channel) failed(t Target, err error) {
	var status *StatusError
	var wait time.Duration
	if errors.As(err, &status) {
		wait = min(status.RetryAfter, time.Hour)
		if t.Other.IsValid() {
			c.pool.block(t.Other, wait)
		}
	}
	c.mu.Lock()
	if i := slices.Index(c.found.Targets, t); i >= 0 && i == c.selected {
		c.selected = (i + 1) % len(c.found.Targets)
	}
	c.mu.Unlock()
	c.pool.block(t.Addr, wait)
	var dial *DialError
	if errors.As(err, &dial) {
		for _, try := range dial.Tries {
			c.pool.block(try.Addr, wait)
		}
	}
}

// note keeps what went wrong last; a caller who gives up is no fault of a server.
func (c *Channel) note(ctx context.Context, err error) {
	if errors.Is(ctx.Err(), context.Canceled) {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.lastErr, c.failing = err.Error(), true
}

// Heartbeat notes whether the server of a lasting connection gave a sign of
// life, and says whether to connect anew: after two misses in a row.
func (c *Channel) Heartbeat(ok bool) (reconnect bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if ok {
		c.missed = 0
		return false
	}
	if c.missed++; c.missed < 2 {
		return false
	}
	c.missed = 0
	return true
}

// Reset forgets servers, blocks and the selected one: the address that it all
// began with is another one, or the network is.
func (c *Channel) Reset() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.found, c.have, c.selected, c.missed = Found{}, false, 0, 0
	c.pool.forget()
}

// Health is how a channel is doing.
type Health struct {
	Channel   string
	Up        bool // a server answered, and not all have failed since
	LastOK    time.Time
	LastError string // "" none since the start
	Targets   []Target
	Selected  string                       // the one that PolicySticky stays with; "" none
	Blocked   map[netip.AddrPort]time.Time // until when
}

// Health returns how the channel is doing.
func (c *Channel) Health() Health {
	c.mu.Lock()
	defer c.mu.Unlock()
	h := Health{
		Channel: c.Name, Up: !c.failing && !c.lastOK.IsZero(), LastOK: c.lastOK, LastError: c.lastErr,
		Targets: slices.Clone(c.found.Targets), Blocked: c.pool.Blocked(),
	}
	if c.Policy == PolicySticky && c.selected < len(h.Targets) && !c.lastOK.IsZero() {
		h.Selected = h.Targets[c.selected].String()
	}
	return h
}
