package app

// This file remembers what the last sessions were about, for `gatehouse log
// --session`: who asked for what, how it was answered, how long it took. Names
// and counts, never values: nothing in it needs to be kept secret.

import (
	"slices"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"gatehouse/agent/api"
	"gatehouse/agent/core"
	"gatehouse/agent/transfer"
)

// Limits of what is remembered.
const (
	maxRecent      = 16       // sessions
	maxRecentBytes = 64 << 10 // of all of them
	maxOneSession  = 16 << 10 // of one
	maxAbout       = 160      // of one text
)

// Of what a session or a step takes beside its texts, in bytes.
const (
	sessionSize = 256
	stepSize    = 136
)

// recent are the last sessions, the running one among them.
type recent struct {
	now func() (time.Time, bool)

	mu   sync.Mutex
	all  []*api.SessionLog // oldest first
	size int               // of all of them, in bytes
}

// sessions returns a copy.
func (r *recent) sessions() []api.SessionLog {
	r.mu.Lock()
	defer r.mu.Unlock()
	out := make([]api.SessionLog, len(r.all))
	for i, s := range r.all {
		out[i] = *s
		out[i].Steps = slices.Clone(s.Steps)
	}
	return out
}

// begin remembers a session from its start on.
func (r *recent) begin(o core.Order) *record {
	now, _ := r.now()
	s := &api.SessionLog{
		ID: o.ID, ACS: clip(transfer.WithoutSecrets(o.URL)), Started: now, RetryCount: o.RetryCount,
		Events: []string{}, Steps: []api.SessionStep{},
	}
	for _, e := range o.Events {
		s.Events = append(s.Events, e.Code)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.all = append(r.all, s)
	rec := &record{all: r, log: s, began: time.Now()}
	rec.grow(weight(s))
	return rec
}

// A record is what is being remembered of one session.
type record struct {
	all   *recent
	log   *api.SessionLog
	began time.Time
	size  int // of log
	open  bool
	start time.Time // of the step that is open
}

// grow makes room for n bytes: the oldest sessions are forgotten for it, and of
// one long session the steps after the first. The caller holds the lock.
func (r *record) grow(n int) {
	r.size += n
	r.all.size += n
	for r.size > maxOneSession && len(r.log.Steps) > 2 {
		left := weigh(r.log.Steps[1])
		r.log.Steps = slices.Delete(r.log.Steps, 1, 2)
		r.log.LeftOut++
		r.size -= left
		r.all.size -= left
	}
	for len(r.all.all) > 1 && (len(r.all.all) > maxRecent || r.all.size > maxRecentBytes) {
		r.all.size -= weight(r.all.all[0])
		r.all.all = slices.Delete(r.all.all, 0, 1)
	}
}

func weigh(s api.SessionStep) int {
	return stepSize + len(s.Method) + len(s.About) + len(s.Result) + len(s.Fault)
}

func weight(s *api.SessionLog) int {
	n := sessionSize + len(s.ACS) + len(s.Error) + len(strings.Join(s.Events, ""))
	for _, step := range s.Steps {
		n += weigh(step)
	}
	return n
}

// step begins a step; the one before is over.
func (r *record) step(from, method, about string) {
	r.all.mu.Lock()
	defer r.all.mu.Unlock()
	r.start, r.open = time.Now(), true
	s := api.SessionStep{At: r.start.Sub(r.began).Milliseconds(), From: from, Method: clip(method), About: clip(about)}
	r.log.Steps = append(r.log.Steps, s)
	r.grow(weigh(s))
}

// edit changes the last step, if it is still open.
func (r *record) edit(f func(s *api.SessionStep)) {
	r.all.mu.Lock()
	defer r.all.mu.Unlock()
	if !r.open || len(r.log.Steps) == 0 {
		return
	}
	s := &r.log.Steps[len(r.log.Steps)-1]
	before := weigh(*s)
	f(s)
	s.Result, s.Fault = clip(s.Result), clip(s.Fault)
	r.grow(weigh(*s) - before)
}

// reached notes which address of the ACS was reached.
func (r *record) reached(addr string) {
	r.all.mu.Lock()
	defer r.all.mu.Unlock()
	r.log.Address = clip(addr)
}

// end notes how the session ended.
func (r *record) end(err error) {
	now, _ := r.all.now()
	r.all.mu.Lock()
	defer r.all.mu.Unlock()
	r.log.Ended, r.open = now, false
	if err == nil {
		return
	}
	r.log.Kind, r.log.Error = kindOf(err), clip(err.Error())
	r.grow(len(r.log.Error))
}

// clip bounds a text, and takes out what could drive a terminal.
func clip(text string) string {
	text = strings.Join(strings.Fields(strings.ToValidUTF8(text, "?")), " ")
	if len(text) <= maxAbout {
		return text
	}
	n := maxAbout - len("…")
	for !utf8.RuneStart(text[n]) {
		n--
	}
	return text[:n] + "…"
}
