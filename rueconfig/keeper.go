// Keeping the document: in memory, on disk, fresh.

package rueconfig

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"strconv"
	"strings"
	"sync"
	"time"

	"gatehouse/internal/digest"
	"gatehouse/internal/endpoint"
)

// How long to wait.
const (
	defaultLifetime = 24 * time.Hour // where the document does not say
	shortest        = time.Minute    // between two fetches, whatever the document says
	longest         = 30 * 24 * time.Hour
	afterRefusal    = 15 * time.Minute // of the name or password
	afterAnswer     = time.Hour        // that is no document, where none says how long it is good
	firstRetry      = 5 * time.Second  // doubled up to ten times, as TR-069 3.2.1.1 has it
	retries         = 10
)

// Where a document is from.
const (
	Live    = "live"
	Disk    = "disk"
	Factory = "factory"
)

// A State is the document that counts, and what is known of it. It is never
// changed.
type State struct {
	Document *Document // nil: there is none
	Source   string    // Live, Disk, Factory, "" none
	From     string    // URL, without what was asked for
	Fetched  time.Time // zero: not known
	Next     time.Time // of the next fetch
	Err      error     // of the last fetch
	Failures int       // in a row
	raw      fetched
}

// Stale says whether the document is older than its lifetime. It goes on
// serving: an old configuration is better than none, emergency calls above all.
func (s *State) Stale(now time.Time) bool {
	return s.Document != nil && s.Source != Factory && now.After(s.Fetched.Add(lifetimeOf(s.Document)))
}

func lifetimeOf(d *Document) time.Duration {
	if d == nil || d.Lifetime == 0 {
		return defaultLifetime
	}
	return min(max(d.Lifetime, shortest), longest)
}

// keeper is the state of a client, and the one fetch that may be under way.
type keeper struct {
	mu    sync.Mutex
	state State
	turn  uint64 // counts what has replaced the document besides a fetch: Load, Reset
	busy  *call
	wake  chan struct{} // made by Run

	disk     sync.Mutex // the copy on disk and state.Document change together
	applying sync.Mutex // one after the other, the newest last
}

// A call is one fetch; whoever asks meanwhile waits for it.
type call struct {
	done    chan struct{}
	changed bool
	err     error
}

// State returns the document that counts.
func (c *Client) State() State {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.state
}

// Load takes the copy on disk, or else the factory's, without asking anybody.
// The error says why the copy is no good; there may be a document all the same,
// and where neither is any good, the one that serves goes on serving.
func (c *Client) Load() error {
	c.disk.Lock()
	before := c.State().Document
	err := c.load()
	c.disk.Unlock()
	if err == nil || c.State().Document != before {
		c.apply()
	}
	return err
}

func (c *Client) load() error {
	s, err := c.fromDisk()
	if s.Document == nil && c.cfg.Factory != nil {
		if data := c.cfg.Factory(); data != nil {
			d, also := Parse(nil, data)
			if s = (State{Document: d, Source: Factory}); also != nil {
				s, err = State{}, errors.Join(err, fmt.Errorf("factory's copy: %w", also))
			}
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if s.Document == nil && c.state.Document != nil {
		return err
	}
	s.Next, s.Err, s.Failures = c.state.Next, c.state.Err, c.state.Failures
	c.state = s
	c.turn++
	return err
}

// apply tells of the document that counts now; of two at the same time, the
// newer one stays.
func (c *Client) apply() {
	c.applying.Lock()
	defer c.applying.Unlock()
	if d := c.State().Document; d != nil && c.cfg.Apply != nil {
		c.cfg.Apply(d)
	}
}

// Fetch gets the document now. Nothing changes in memory or on disk unless all
// of it went well; and nothing is written when nothing has changed. Calls at
// the same time are one.
func (c *Client) Fetch(ctx context.Context) (changed bool, err error) {
	for {
		b, mine := c.join()
		if mine {
			return c.fetchNow(ctx, b)
		}
		select {
		case <-b.done:
			if errors.Is(b.err, context.Canceled) && ctx.Err() == nil {
				continue // who asked first has given up; we have not
			}
			return b.changed, b.err
		case <-ctx.Done():
			return false, ctx.Err()
		}
	}
}

// join returns the fetch that is under way, or one that the caller is to do.
func (c *Client) join() (b *call, mine bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.busy == nil {
		c.busy, mine = &call{done: make(chan struct{})}, true
	}
	return c.busy, mine
}

func (c *Client) fetchNow(ctx context.Context, b *call) (changed bool, err error) {
	began := time.Now()
	c.clockless.Store(false)
	again := true
	for range 2 {
		if changed, again, err = c.refresh(ctx); !again {
			break
		}
	}
	c.mu.Lock()
	if !errors.Is(err, context.Canceled) || ctx.Err() == nil {
		c.state.Next = time.Now().Add(c.wait(&c.state, err))
	}
	s := c.state
	c.busy, b.changed, b.err = nil, changed, err
	close(b.done)
	c.poke()
	c.mu.Unlock()
	if err != nil {
		c.log.Warn("the provider's configuration was not fetched", "err", err, "again", s.Next.Format(time.RFC3339))
		return false, err
	}
	c.log.Info("the provider's configuration is here", "changed", changed, "from", s.From, "after", time.Since(began).Round(time.Millisecond),
		"again", s.Next.Format(time.RFC3339))
	if changed {
		c.apply()
	}
	return changed, nil
}

// poke has Run look at the time of the next fetch again; c.mu is held.
func (c *Client) poke() {
	if c.wake != nil {
		select {
		case c.wake <- struct{}{}:
		default:
		}
	}
}

// refresh fetches, reads and saves. again: what there was is gone meanwhile,
// and the provider has only said that it is still good.
func (c *Client) refresh(ctx context.Context) (changed, again bool, err error) {
	c.mu.Lock()
	have, turn := c.state, c.turn
	c.mu.Unlock()
	got, err := c.fetchWith(ctx, have)
	c.disk.Lock()
	defer c.disk.Unlock()
	c.mu.Lock()
	same := c.turn == turn
	c.mu.Unlock()
	s := State{Document: have.Document, Source: Live, From: got.from, Fetched: c.cfg.Clock(), Next: have.Next, raw: got}
	changed = have.Document == nil || !same ||
		!got.unchanged && (!bytes.Equal(got.provider, have.raw.provider) || !bytes.Equal(got.subscriber, have.raw.subscriber))
	switch {
	case err != nil:
	case got.unchanged && !same:
		return false, true, nil
	case changed:
		if s.Document, err = Parse(got.provider, got.subscriber); err == nil {
			err = c.ours(s.Document)
		}
		if err == nil {
			err = c.save(&s)
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case err == nil:
		c.state = s
	case !errors.Is(err, context.Canceled) || ctx.Err() == nil:
		c.state.Err = err
		c.state.Failures++
	}
	return changed && err == nil, false, err
}

// fetchWith uses the password that the last document gave for this fetch, and
// the configured one when there is none or it is refused.
func (c *Client) fetchWith(ctx context.Context, have State) (fetched, error) {
	if d := have.Document; d != nil && d.ConfigPassword != "" && have.Source != Factory {
		got, err := c.fetch(ctx, d.ConfigPassword, have.raw)
		if !errors.Is(err, ErrAuth) {
			return got, err
		}
		c.log.Warn("the password that the last document gave is refused, trying the configured one")
	}
	return c.fetch(ctx, c.cfg.Password, have.raw)
}

// ours refuses the document of another provider.
func (c *Client) ours(d *Document) error {
	a, b := strings.ToLower(d.ProviderDomain), strings.ToLower(c.domain())
	if a == "" || b == "" || a == b || strings.HasSuffix(a, "."+b) || strings.HasSuffix(b, "."+a) {
		return nil
	}
	return wrong("provider-domain", "it is for %s, not %s", a, b)
}

// wait is how long to leave the provider alone after a fetch.
func (c *Client) wait(s *State, err error) time.Duration {
	random := c.cfg.Rand
	if random == nil {
		random = rand.Int64N
	}
	var refused *StatusError
	var busy *endpoint.StatusError
	var bad *Error
	switch {
	case err == nil:
		// 80 to 95 % of the lifetime, so that the homes of one provider spread.
		l := lifetimeOf(s.Document)
		return l*80/100 + time.Duration(random(int64(l*15/100)+1))
	case errors.Is(err, ErrAuth), errors.Is(err, digest.ErrBasicForbidden), errors.Is(err, digest.ErrNoChallenge):
		return afterRefusal
	case errors.As(err, &refused), errors.As(err, &bad), errors.Is(err, ErrNotJSON), errors.Is(err, ErrTooLarge):
		if s.Document != nil && s.Document.Lifetime > 0 {
			return min(lifetimeOf(s.Document), afterAnswer)
		}
		return afterAnswer
	}
	least := firstRetry << min(max(s.Failures-1, 0), retries)
	d := least + time.Duration(random(int64(least)+1))
	if errors.As(err, &busy) {
		d = max(d, min(busy.RetryAfter, longest))
	}
	return d
}

// Run keeps the document fresh until ctx ends. It begins with what is on disk.
func (c *Client) Run(ctx context.Context) error {
	c.mu.Lock()
	c.wake = make(chan struct{}, 1)
	c.mu.Unlock()
	if err := c.Load(); err != nil {
		c.log.Warn("no use of the copy on disk", "err", err)
	}
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-timer.C:
			_, _ = c.Fetch(ctx) // it has logged the error, and set the time of the next
		case <-c.wake:
		}
		timer.Reset(time.Until(c.State().Next))
	}
}

// Network tells that the way to the provider may be another one: what failed
// is tried again soon.
func (c *Client) Network() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.state.Err != nil && !errors.Is(c.state.Err, ErrAuth) {
		c.state.Next, c.state.Failures = time.Now().Add(time.Second), 0
		c.poke()
	}
}

// ClockSet tells that the wall clock is another one: what was fetched without one,
// from a server whose certificate may have ended, is fetched again.
func (c *Client) ClockSet() {
	if c.clockless.Load() {
		c.Soon()
	}
}

// Soon has Run fetch at once; without Run, nobody does.
func (c *Client) Soon() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.state.Next = time.Now()
	c.poke()
}

// Reset forgets the document, in memory and on disk.
func (c *Client) Reset() error {
	c.disk.Lock()
	defer c.disk.Unlock()
	c.mu.Lock()
	c.state = State{Next: c.state.Next}
	c.turn++
	c.mu.Unlock()
	c.channel.Reset()
	if c.cfg.Cache == nil {
		return nil
	}
	if r, ok := c.cfg.Cache.(interface{ Remove() error }); ok {
		return r.Remove()
	}
	return c.cfg.Cache.Save(nil)
}

// The copy on disk: lines "name value", then an empty line and the two texts.
// It is for one subscriber of one provider.

func (c *Client) save(s *State) error {
	if c.cfg.Cache == nil {
		return nil
	}
	var b bytes.Buffer
	b.Grow(1<<10 + len(s.raw.provider) + len(s.raw.subscriber))
	fmt.Fprintf(&b, "for %s\n", c.subscriber())
	fmt.Fprintf(&b, "from %s\n", s.From)
	fmt.Fprintf(&b, "fetched %s\n", s.Fetched.UTC().Format(time.RFC3339))
	for i, name := range [...]string{"provider-etag", "etag"} {
		if s.raw.etags[i] != "" {
			fmt.Fprintf(&b, "%s %s\n", name, s.raw.etags[i])
		}
	}
	fmt.Fprintf(&b, "provider %d\nsubscriber %d\n\n", len(s.raw.provider), len(s.raw.subscriber))
	b.Write(s.raw.provider)
	b.Write(s.raw.subscriber)
	if err := c.cfg.Cache.Save(b.Bytes()); err != nil {
		return fmt.Errorf("the provider's configuration cannot be kept: %w", err)
	}
	return nil
}

// subscriber names who the copy is for.
func (c *Client) subscriber() string {
	who := c.cfg.Domain
	if c.device != nil {
		who = place(c.device)
	}
	if c.cfg.Registry != "" {
		who = c.cfg.Provider + " of " + c.cfg.Registry
	}
	return strconv.Quote(c.cfg.Username + " at " + who)
}

var errCopy = errors.New("the copy on disk is damaged")

// fromDisk reads the copy. That of somebody else is as good as none.
func (c *Client) fromDisk() (State, error) {
	if c.cfg.Cache == nil {
		return State{}, nil
	}
	text, err := c.cfg.Cache.Load()
	if errors.Is(err, fs.ErrNotExist) || err == nil && len(text) == 0 {
		return State{}, nil
	}
	if err != nil {
		return State{}, err
	}
	head, body, ok := bytes.Cut(text, []byte("\n\n"))
	if !ok {
		return State{}, errCopy
	}
	s := State{Source: Disk}
	var sizes [2]int
	for line := range strings.SplitSeq(string(head), "\n") {
		name, v, _ := strings.Cut(line, " ")
		switch name {
		case "for":
			if v != c.subscriber() {
				return State{}, fmt.Errorf("it is for %s", v)
			}
		case "from":
			s.From = v
		case "fetched":
			s.Fetched, err = time.Parse(time.RFC3339, v)
		case "provider-etag":
			s.raw.etags[0] = v
		case "etag":
			s.raw.etags[1] = v
		case "provider":
			sizes[0], err = strconv.Atoi(v)
		case "subscriber":
			sizes[1], err = strconv.Atoi(v)
		}
		if err != nil {
			return State{}, errCopy
		}
	}
	if sizes[0] < 0 || sizes[1] < 0 || sizes[0] > len(body) || sizes[1] != len(body)-sizes[0] {
		return State{}, errCopy
	}
	if sizes[0] > 0 {
		s.raw.provider = body[:sizes[0]]
	}
	if sizes[1] > 0 {
		s.raw.subscriber = body[sizes[0]:]
	}
	s.raw.from = s.From
	if s.Document, err = Parse(s.raw.provider, s.raw.subscriber); err != nil {
		return State{}, err
	}
	return s, nil
}
