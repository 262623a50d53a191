package core

import (
	"context"
	"fmt"
	"math"
	"time"
)

const (
	downFor    = 5 * time.Minute // a device that is still up after that did not restart
	restartMin = time.Minute     // between two attempts to restart the device
	restartMax = time.Hour
)

// launch starts what is next: the after-work of a session, a restart that was
// promised, a session.
func (a *Agent) launch() {
	if a.stopping && !a.cutAt.IsZero() && !a.now.Before(a.cutAt) {
		a.cutAt = time.Time{}
		a.cancel()
	}
	if a.phase == down && !a.now.Before(a.restartAt) {
		a.phase = none
		a.refused(fmt.Errorf("the device is still up after %v", downFor))
	}
	if a.phase != none {
		return
	}
	switch {
	case a.afterDue:
		a.runAfter()
	case a.stopping:
	case a.wantsRestart() && !a.now.Before(a.restartAt):
		a.runRestart()
	case a.open():
		a.runSession()
	}
}

// opening returns the earliest time at which a session may begin; zero when
// none is wanted. A session that broke off is tried again even when all of its
// events were delivered before that: the ACS had not come to its end (TR-069
// 3.2.1.1).
func (a *Agent) opening() time.Time {
	n, onlyChanges := a.waiting()
	if n == 0 && !a.brokeOff || !a.talks() {
		return time.Time{}
	}
	t := a.now
	later := func(u time.Time) {
		if u.After(t) {
			t = u
		}
	}
	if !a.hurry {
		later(a.retryAt)
	}
	if !a.urgent {
		later(a.notBefore)
	}
	if onlyChanges {
		later(a.quietUntil)
	}
	return t
}

func (a *Agent) open() bool {
	t := a.opening()
	return !t.IsZero() && !t.After(a.now)
}

func (a *Agent) runSession() {
	o := Order{
		ID:         fmt.Sprintf("%08x", a.cfg.Rand(math.MaxUint32+1)),
		URL:        a.set.URL,
		Events:     a.order(),
		RetryCount: a.r.retry,
	}
	if len(o.Events) == 0 {
		// The retry of a session that broke off once its events were delivered.
		// Some ACSes refuse an Inform without an event; to tell a boot or a
		// bootstrap twice would be a lie, and a 6 CONNECTION REQUEST must not be
		// told again (TR-069 3.7.1.5). 2 PERIODIC asks for nothing.
		o.Events = []Event{{Code: Periodic}}
	}
	a.hurry, a.urgent = false, false
	a.retryAt, a.notBefore = time.Time{}, time.Time{}
	a.status.Session, a.status.Started = o.ID, a.wall
	a.status.Sessions++
	a.log.Info("session begins", "session", o.ID, "events", codes(o.Events), "retry", o.RetryCount)
	ctx := a.begin(session)
	told := func() { _ = a.Ask(ctx, informed{o}) } // fails only when nobody is left to remember
	go func() { a.ended <- &ended{phase: session, order: o, result: a.cfg.Runner.Run(ctx, o, told)} }()
}

// begin enters a phase that a transient goroutine carries out.
func (a *Agent) begin(p phase) context.Context {
	a.phase = p
	return a.work
}

// runAfter does what waited for the end of the session.
func (a *Agent) runAfter() {
	a.afterDue = false
	ctx := a.begin(after)
	go func() { a.ended <- &ended{phase: after, result: Result{Err: a.cfg.After(ctx)}} }()
}

func (a *Agent) wantsRestart() bool {
	return a.cfg.Restart != nil && (a.d.restart || a.d.wipe || len(a.d.reboots) > 0)
}

// runRestart carries out a factory reset or a restart. A wipe that a power
// cut has interrupted is done again, whole.
func (a *Agent) runRestart() {
	if a.d.wipe && a.cfg.Wipe != nil {
		a.log.Info("factory reset")
		ctx := a.begin(wiping)
		go func() { a.ended <- &ended{phase: wiping, result: Result{Err: a.cfg.Wipe(ctx)}} }()
		return
	}
	a.r.leaves++
	a.keepAll() // the file system in memory will be gone
	a.log.Info("the device restarts", "factory", a.d.factory)
	factory := a.d.factory
	ctx := a.begin(leaving)
	go func() { a.ended <- &ended{phase: leaving, result: Result{Err: a.cfg.Restart(ctx, factory)}} }()
}

// refused plans another attempt to restart. Sessions go on meanwhile.
func (a *Agent) refused(err error) {
	a.restartAt = a.now.Add(min(restartMin<<min(a.restartTry, 6), restartMax))
	a.restartTry++
	a.status.LastError = "The restart of the device failed: " + err.Error() + "."
	a.log.Error("the restart failed", "err", err, "again", a.restartAt.Sub(a.now))
}

// finish takes in how a phase ended.
func (a *Agent) finish(e *ended) {
	a.phase = none
	switch e.phase {
	case session:
		a.finishSession(e.order, e.result)
	case after:
		if err := e.result.Err; err != nil {
			a.status.LastError = sentence(err)
			a.log.Error("work after the session failed", "err", err)
		}
	case wiping:
		if e.result.Err != nil {
			a.refused(fmt.Errorf("factory reset: %w", e.result.Err))
			return
		}
		a.d = durable{restart: true, factory: true}
		a.set = a.cfg.Settings()
		if a.set.URL != "" {
			a.bootstrap(false)
		}
	case leaving:
		if e.result.Err != nil {
			a.r.leaves--
			a.refused(e.result.Err)
			return
		}
		a.phase = down
		a.restartAt = a.now.Add(downFor)
	}
}

func (a *Agent) finishSession(o Order, r Result) {
	if r.Informed || r.Err == nil {
		a.delivered(o.URL)
	}
	a.status.Ended = a.wall
	err := r.Err
	if left := a.undelivered(); err == nil && left != "" {
		err = fmt.Errorf("the ACS ended the session before %q was delivered", left)
	}
	a.restore()
	if err != nil {
		if a.work.Err() == nil { // else we cut it ourselves
			a.failed(o, r, err)
		}
		return
	}
	a.r.retry, a.r.notBefore, a.brokeOff = 0, time.Time{}, false
	a.quietUntil = a.now.Add(time.Duration(a.set.Throttle) * time.Second)
	a.status.Succeeded, a.status.LastError = a.wall, ""
	a.log.Info("session ended", "session", o.ID)
}

// undelivered returns an event that the session should have delivered.
func (a *Agent) undelivered() string {
	for _, e := range a.d.events {
		if e.sent {
			return e.Code
		}
	}
	return ""
}

// failed plans the next attempt. Settings are asked again, because m and k
// count as they are at this failure.
func (a *Agent) failed(o Order, r Result, err error) {
	a.settings(a.cfg.Settings())
	if a.r.retry < math.MaxUint32 {
		a.r.retry++
	}
	a.brokeOff = a.brokeOff || r.Informed
	a.status.Failures++
	a.status.LastError = sentence(err)
	wait := a.backoff(a.r.retry)
	a.retryAt = a.now.Add(wait)
	a.r.notBefore = time.Time{}
	if r.RetryAfter > 0 {
		// Not earlier than asked for, and not all at once: an ACS that was
		// overrun has told everybody the same.
		lo, hi := a.set.span(a.r.retry)
		left := min(r.RetryAfter, maxRetryAfter)
		left += a.jitter(min(left, hi-lo))
		a.notBefore = a.now.Add(left)
		a.r.notBefore, a.r.busy = a.wall.Add(left), o.URL
	}
	a.log.Warn("session failed", "session", o.ID, "err", err, "informed", r.Informed, "retries", a.r.retry, "wait", wait)
}
