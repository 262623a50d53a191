package core_test

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"gatehouse/agent/core"
)

const hub = "http://acs.example/"

var errRefused = errors.New("connection refused")

// A file lies in memory, with a knob for a disk that is full.
type file struct {
	text  []byte
	there bool
	saves int
	tries int
	fail  error
	saved func()
}

// A disk is a file of a house, as core sees it.
type disk struct {
	mu *sync.Mutex
	*file
}

func (d disk) Load() ([]byte, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.load()
}

func (d disk) Save(b []byte) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.save(b)
}

func (f *file) load() ([]byte, error) {
	if !f.there {
		return nil, fs.ErrNotExist
	}
	return f.text, nil
}

func (f *file) save(b []byte) error {
	f.tries++
	if f.fail != nil {
		return f.fail
	}
	f.text, f.there = slices.Clone(b), true
	f.saves++
	if f.saved != nil {
		f.saved()
	}
	return nil
}

// A visit is one session that the ACS saw.
type visit struct {
	at time.Duration // since the start of the test
	core.Order
}

func (v visit) String() string {
	return fmt.Sprintf("%v %s retry=%d", v.at, list(v.Events), v.RetryCount)
}

func list(events []core.Event) string {
	var out []string
	for _, e := range events {
		s := strings.Fields(e.Code)[0]
		if s == "M" {
			s = strings.ReplaceAll(e.Code, " ", "") + ":" + e.CommandKey
		}
		out = append(out, s)
	}
	return strings.Join(out, " ")
}

// A house is a device with its agent, its clocks and its ACS. The story that a
// test tells holds mu, and lets go of it while it waits.
type house struct {
	mu         sync.Mutex
	t          *testing.T
	t0         time.Time
	flash, run file
	boot       string
	set        core.Settings
	step       time.Duration // how far the wall clock is off the monotonic one
	unset      bool          // the wall clock was never set

	last     time.Duration                    // how long a session takes
	answer   func(v visit, n int) core.Result // nil: all goes well
	inside   func(ctx context.Context, n int) // runs within session n, after the InformResponse
	mute     bool                             // the InformResponse does not come
	arrived  func(v visit)                    // called when an InformResponse arrives
	n        int                              // sessions so far
	visits   []visit
	restarts []bool
	refuse   error
	wipes    int
	booted   int
	stuck    error // what Booted fails with
	left     bool  // an earlier process left work for after the session
	after    []time.Duration
	failing  error // what that work fails with
	rand     func(n int64) int64

	agent *core.Agent
	ctx   context.Context
	kill  context.CancelFunc
	gone  chan error
}

func (h *house) Run(ctx context.Context, o core.Order, informed func()) core.Result {
	h.mu.Lock()
	v := visit{time.Since(h.t0), o}
	n := h.n
	h.n++
	h.visits = append(h.visits, v)
	var r core.Result
	if h.answer != nil {
		r = h.answer(v, n)
	}
	if r.Err == nil && !h.mute {
		if h.arrived != nil {
			h.arrived(v)
		}
		h.free(informed)
		r.Informed = true
	}
	if h.inside != nil {
		h.inside(ctx, n)
	}
	last := h.last
	h.mu.Unlock()
	select {
	case <-time.After(last):
	case <-ctx.Done():
		r.Err = cmp.Or(r.Err, ctx.Err())
	}
	return r
}

// try plays a story in a bubble of virtual time.
func try(t *testing.T, h *house, story func(h *house)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		h.t, h.t0 = t, time.Now()
		h.boot = cmp.Or(h.boot, "boot-1")
		if h.set == (core.Settings{}) {
			h.set = settings()
		}
		h.mu.Lock()
		defer h.mu.Unlock()
		h.start()
		story(h)
		h.stop()
	})
}

// free does f without holding mu.
func (h *house) free(f func()) {
	h.mu.Unlock()
	f()
	h.mu.Lock()
}

func settings() core.Settings {
	return core.Settings{EnableCWMP: true, URL: hub, PeriodicInterval: 86400, DelayReboot: -1}
}

func locked[T any](h *house, f func() T) T {
	h.mu.Lock()
	defer h.mu.Unlock()
	return f()
}

func (h *house) start() {
	h.t.Helper()
	a, err := core.New(core.Config{
		Runner:   h,
		Settings: func() core.Settings { return locked(h, func() core.Settings { return h.set }) },
		Flash:    disk{&h.mu, &h.flash},
		Run:      disk{&h.mu, &h.run},
		BootID:   h.boot,
		Now: func() (time.Time, bool) {
			h.mu.Lock()
			defer h.mu.Unlock()
			return time.Now().Add(h.step), !h.unset
		},
		Rand:   h.rand,
		Booted: func(context.Context) error { return locked(h, func() error { h.booted++; return h.stuck }) },
		Wipe:   func(context.Context) error { return locked(h, func() error { h.wipes++; return nil }) },
		Restart: func(_ context.Context, factory bool) error {
			return locked(h, func() error { h.restarts = append(h.restarts, factory); return h.refuse })
		},
		After: func(context.Context) error {
			return locked(h, func() error { h.after = append(h.after, time.Since(h.t0)); return h.failing })
		},
		AfterLeft: h.left,
	})
	if err != nil {
		h.t.Fatal(err)
	}
	h.agent, h.gone = a, make(chan error, 1)
	h.ctx, h.kill = context.WithCancel(h.t.Context())
	ctx, gone := h.ctx, h.gone
	go func() { gone <- a.Run(ctx) }()
	h.free(synctest.Wait)
}

func (h *house) stop() {
	h.t.Helper()
	h.kill()
	h.free(func() {
		if err := <-h.gone; err != nil {
			h.t.Errorf("Run: %v", err)
		}
	})
}

// reboot is a power cycle: the file system in memory is empty afterwards.
func (h *house) reboot() {
	h.stop()
	h.run = file{}
	h.boot += "'"
	h.start()
}

func (h *house) ask(m core.Message) {
	h.t.Helper()
	h.say(m)
	h.free(synctest.Wait)
}

// say is ask from within a session.
func (h *house) say(m core.Message) {
	h.t.Helper()
	if err := h.request(m); err != nil {
		h.t.Errorf("%T: %v", m, err)
	}
}

func (h *house) request(m core.Message) (err error) {
	h.free(func() { err = h.agent.Ask(h.ctx, m) })
	return err
}

// sleep lets d pass and everybody come to rest.
func (h *house) sleep(d time.Duration) {
	h.free(func() {
		time.Sleep(d)
		synctest.Wait()
	})
}

// saw checks the events of all visits since the last call.
func (h *house) saw(want ...string) {
	h.t.Helper()
	h.free(synctest.Wait)
	var got []string
	for _, v := range h.visits {
		got = append(got, list(v.Events))
	}
	if !slices.Equal(got, want) {
		h.t.Errorf("sessions with %q, want %q", got, want)
	}
	h.visits = nil
}

func (h *house) writes(want int) {
	h.t.Helper()
	if h.flash.saves != want {
		h.t.Errorf("flash was written %d times, want %d; it holds\n%s", h.flash.saves, want, h.flash.text)
	}
	h.flash.saves = 0
}
