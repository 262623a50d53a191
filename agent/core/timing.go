package core

import (
	"math"
	"time"
)

const (
	maxStep       = 2 * time.Second // a wall clock that is off by more since the last turn was set
	maxSleep      = time.Hour       // look at the wall clock this often while waiting for it
	maxWait       = 100 * 365 * 24 * time.Hour
	maxRetryAfter = 24 * time.Hour
)

// retryMinimum is CWMPRetryMinimumWaitInterval with its default.
func (s Settings) retryMinimum() time.Duration {
	if s.RetryMinimum == 0 {
		return 5 * time.Second
	}
	return time.Duration(s.RetryMinimum) * time.Second
}

// span returns the shortest and the longest wait before the n-th retry, n
// from 1 (TR-069 3.2.1.1): m*(k/1000)^(n-1) and m*(k/1000)^n, where n grows
// to 10 and no further. Both are saturated: 65535 s * 65.535^10 is 10^15
// years.
func (s Settings) span(n uint32) (lo, hi time.Duration) {
	k := float64(s.RetryMultiplier) / 1000
	if s.RetryMultiplier == 0 {
		k = 2
	}
	n = min(max(n, 1), 10)
	wait := func(n uint32) time.Duration {
		return time.Duration(min(float64(s.retryMinimum())*math.Pow(k, float64(n)), float64(maxWait)))
	}
	lo = wait(n - 1)
	return lo, max(lo, wait(n))
}

// jitter returns a random duration in [0, d].
func (a *Agent) jitter(d time.Duration) time.Duration {
	return time.Duration(a.cfg.Rand(int64(d) + 1))
}

// backoff draws the wait before the n-th retry.
func (a *Agent) backoff(n uint32) time.Duration {
	lo, hi := a.set.span(n)
	return lo + a.jitter(hi-lo)
}

// NextSlot returns the first ref + z*interval after now, for any integer z,
// with floor division: ref may lie in the future, or centuries away, further
// than a time.Duration reaches.
func NextSlot(now, ref time.Time, interval uint32) time.Time {
	i := int64(max(interval, 1))
	elapsed := now.Unix() - ref.Unix()
	if now.Nanosecond() < ref.Nanosecond() {
		elapsed--
	}
	q := elapsed / i
	if elapsed%i < 0 {
		q--
	}
	return time.Unix(ref.Unix()+(q+1)*i, int64(ref.Nanosecond())).In(now.Location())
}

// tick reads the clocks. When the wall clock was set since the last turn,
// what hangs on it is planned anew.
func (a *Agent) tick(stepped bool) {
	now := time.Now()
	wall, known := a.cfg.Now()
	wall = wall.Round(0) // without the monotonic clock
	if !a.now.IsZero() {
		off := wall.Sub(a.wall) - now.Sub(a.now)
		stepped = stepped || known != a.known || off > maxStep || off < -maxStep
	}
	wasKnown := a.known
	a.now, a.wall, a.known = now, wall, known
	if stepped {
		a.replan(wasKnown)
	}
}

// replan follows a step of the wall clock. A slot that a clock jumps over is
// fired once, by due; not when the clock is set for the first time, because
// its slots meant nothing before.
func (a *Agent) replan(wasKnown bool) {
	if !a.periodic.IsZero() && (!wasKnown || a.wall.Before(a.periodic)) {
		a.planPeriodic(false)
	}
	for i := range a.d.schedules {
		a.d.schedules[i].step(a.now, a.wall, a.known)
	}
	a.planReboot()
}

// step keeps a deadline over a step of the wall clock. A delay counted by
// this process is the truth, and its wall time is corrected; one that comes
// from disk is what the first trustworthy clock says.
func (s *schedule) step(now, wall time.Time, known bool) {
	if !s.ours {
		left := min(max(s.wall.Sub(wall), 0), s.delay)
		s.due, s.ours = now.Add(left), known
		return
	}
	if w := wall.Add(s.due.Sub(now)); w.Sub(s.wall).Abs() > maxStep {
		s.wall = w
	}
}

// planPeriodic plans the next periodic Inform. Without a reference or a
// clock, any phase will do, and a random one spreads the load; fresh draws a
// new one.
func (a *Agent) planPeriodic(fresh bool) {
	if !a.set.PeriodicEnable || !a.talks() {
		a.periodic = time.Time{}
		return
	}
	interval := max(a.set.PeriodicInterval, 1)
	ref := a.set.PeriodicTime
	if !a.known || ref.Year() <= 1 {
		if fresh || a.ref.IsZero() {
			a.ref = a.wall.Add(a.jitter(time.Duration(interval) * time.Second))
		}
		ref = a.ref
	}
	a.periodic = NextSlot(a.wall, ref, interval)
	if a.periodic.Equal(a.lastSlot) { // a small step back must not fire a slot twice
		a.periodic = NextSlot(a.periodic, ref, interval)
	}
}

// planReboot plans ScheduleReboot: a time in the past asks for nothing, and
// without a clock nobody can tell.
func (a *Agent) planReboot() {
	t := a.set.ScheduleReboot
	switch {
	case t.Year() <= 1:
		a.rebootAt = time.Time{}
	case a.known && a.rebootAt.IsZero() && t.After(a.wall):
		a.rebootAt = t.Round(0)
	}
}

// due does what the clocks ask for.
func (a *Agent) due() {
	if !a.periodic.IsZero() && !a.wall.Before(a.periodic) {
		a.lastSlot = a.periodic
		a.occur(entry{Event: Event{Code: Periodic}})
		a.planPeriodic(false)
	}
	var left []schedule
	for _, s := range a.d.schedules {
		if a.now.Before(s.due) {
			left = append(left, s)
			continue
		}
		a.occur(entry{Event: Event{Code: Scheduled}})
		a.occur(entry{Event: Event{MScheduleInform, s.key}, line: s.line()})
	}
	a.d.schedules = left
	if a.phase == none {
		a.dueReboot()
	}
}

// dueReboot asks for the restart of DelayReboot and ScheduleReboot, which
// both wait for the end of a session.
func (a *Agent) dueReboot() {
	if a.cfg.Restart == nil || a.d.restart {
		return
	}
	if a.set.DelayReboot >= 0 && !a.r.spent && a.delayFrom.IsZero() {
		a.delayFrom = a.now
	}
	delayed := !a.delayFrom.IsZero() && a.now.Sub(a.delayFrom) >= a.delay()
	scheduled := !a.rebootAt.IsZero() && !a.wall.Before(a.rebootAt)
	if delayed || scheduled {
		a.d.restart = true
		a.rebootAt = time.Time{}
	}
}

func (a *Agent) delay() time.Duration { return time.Duration(a.set.DelayReboot) * time.Second }

// sleep returns how long nothing is due; 0: until somebody says something.
func (a *Agent) sleep() time.Duration {
	d := time.Duration(math.MaxInt64)
	mono := func(t time.Time) {
		if !t.IsZero() {
			d = min(d, max(t.Sub(a.now), 1))
		}
	}
	byWall := func(t time.Time) {
		if !t.IsZero() {
			d = min(d, max(t.Sub(a.wall), 1), maxSleep)
		}
	}
	byWall(a.periodic)
	for _, s := range a.d.schedules {
		mono(s.due)
	}
	mono(a.flash.again)
	mono(a.run.again)
	mono(a.cutAt)
	mono(a.leaveAt)
	if a.phase == none && !a.stopping {
		if !a.d.restart && a.cfg.Restart != nil {
			byWall(a.rebootAt)
		}
		if !a.d.restart && !a.delayFrom.IsZero() {
			mono(a.delayFrom.Add(a.delay()))
		}
		mono(a.opening())
	}
	if a.phase == down || a.phase == none && a.wantsRestart() && !a.stopping {
		mono(a.restartAt)
	}
	if d == math.MaxInt64 {
		return 0
	}
	return d
}
