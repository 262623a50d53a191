package core

import (
	"context"
	"iter"
	"reflect"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// A State is what the agent is doing, in words for people and scripts.
type State string

// States.
const (
	Disabled  State = "disabled"   // EnableCWMP is false
	Idle      State = "idle"       // nothing to tell, or no ACS URL: see Reason
	Waiting   State = "waiting"    // there is something to tell, at NextAttempt
	InSession State = "in session" // a session is running, or its after-work
	Rebooting State = "rebooting"  // the device is about to restart
)

// Status is a snapshot of the agent.
type Status struct {
	State  State
	Reason string // one sentence when State does not speak for itself

	Session   string    // ID of the running or last session
	Started   time.Time // of the running or last session; zero: none yet
	Ended     time.Time // of the last session
	Succeeded time.Time // end of the last session that went well
	LastError string    // one sentence; "" after a session that went well

	NextAttempt time.Time // wall time of the next session; zero: none planned
	RetryCount  uint32
	Pending     []Event // not yet delivered; not to be changed
	Sessions    uint64  // since the process started
	Failures    uint64  // of them
	StoreError  string  // one sentence while the state cannot be saved
}

// snapshot is a Status and what tells that it is no longer the latest.
type snapshot struct {
	Status
	old chan struct{} // closed when a later one is there
}

// Status returns the latest snapshot. It never blocks.
func (a *Agent) Status() Status { return a.latest.Load().Status }

// Watch yields the present Status and then each later one, until ctx ends. A
// slow reader misses the ones in between, never the latest.
func (a *Agent) Watch(ctx context.Context) iter.Seq[Status] {
	return func(yield func(Status) bool) {
		for {
			s := a.latest.Load()
			if !yield(s.Status) {
				return
			}
			select {
			case <-s.old:
			case <-ctx.Done():
				return
			}
		}
	}
}

// publish makes the present state the latest snapshot, if it tells anything
// new.
func (a *Agent) publish() {
	s := a.status
	s.RetryCount = a.r.retry
	s.State, s.Reason = a.state()
	if s.State != Disabled && s.State != Rebooting {
		s.NextAttempt = a.nextAttempt()
	}
	for _, e := range a.d.events {
		s.Pending = append(s.Pending, e.Event)
	}
	last := a.latest.Load()
	if s.NextAttempt.Sub(last.NextAttempt).Abs() < time.Second {
		s.NextAttempt = last.NextAttempt // the same time by another reading of the clocks
	}
	if last.same(s) {
		return
	}
	a.latest.Store(&snapshot{Status: s, old: make(chan struct{})})
	close(last.old)
}

func (s Status) same(t Status) bool {
	if !slices.Equal(s.Pending, t.Pending) {
		return false
	}
	s.Pending, t.Pending = nil, nil
	return reflect.DeepEqual(s, t)
}

// state returns the state and, where it needs one, the reason.
func (a *Agent) state() (State, string) {
	n, onlyChanges := a.waiting()
	switch {
	case a.phase == session:
		return InSession, ""
	case a.phase == after:
		return InSession, "The work that waited for the end of the session is being done."
	case a.phase != none:
		return Rebooting, ""
	case !a.set.EnableCWMP:
		return Disabled, "ManagementServer.EnableCWMP is false."
	case a.set.URL == "":
		return Idle, "No ACS URL is known."
	case onlyChanges && a.quietUntil.After(a.now):
		return Waiting, "Changes of values are held back by DefaultActiveNotificationThrottle."
	case n > 0 && a.notBefore.After(a.now):
		return Waiting, "The ACS asked to be left alone for a while (Retry-After)."
	case n > 0:
		return Waiting, ""
	}
	return Idle, ""
}

// nextAttempt returns the wall time of the next session that is planned.
func (a *Agent) nextAttempt() time.Time {
	var next time.Time
	sooner := func(t time.Time) {
		if !t.IsZero() && (next.IsZero() || t.Before(next)) {
			next = t
		}
	}
	if !a.talks() {
		return next
	}
	sooner(a.periodic)
	for _, s := range a.d.schedules {
		sooner(a.wall.Add(s.due.Sub(a.now)))
	}
	if t := a.opening(); !t.IsZero() {
		sooner(a.wall.Add(t.Sub(a.now)))
	}
	return next
}

// sentence returns err as one sentence for people.
func sentence(err error) string {
	s := strings.Join(strings.Fields(err.Error()), " ")
	r, n := utf8.DecodeRuneInString(s)
	return string(unicode.ToUpper(r)) + strings.TrimRight(s[n:], ".") + "."
}

// codes returns the codes of events, for the log.
func codes(events []Event) string {
	var b strings.Builder
	for i, e := range events {
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString(e.Code)
	}
	return b.String()
}
