package app

import (
	"context"
	"os"
	"sync/atomic"
	"time"

	"gatehouse/cwmp"
	"gatehouse/platform"
)

// wall is the wall clock of the agent. A router without a battery wakes up in
// 1970: a time before the floor (when this agent was built, or last wrote its
// state) cannot be true, so the clock counts as not set, and runs from the floor
// until it is.
type wall struct {
	clock   platform.Clock // nil: that of the process
	built   time.Time      // no clock can be earlier
	newest  time.Time      // of the state files; a clock that is not set is not earlier
	started time.Time      // monotonic: when the floor was what time it is
	set     atomic.Bool
}

func newWall(clock platform.Clock, built, newest time.Time) *wall {
	return &wall{clock: clock, built: built.Round(0), newest: newest.Round(0), started: time.Now()}
}

// newestState is when the agent last wrote its state; zero when nobody knows.
// It is a hint: the clock may have been wrong then, so it never overrules one
// that has been set.
func (a *Agent) newestState() (newest time.Time) {
	if a.cfg.StateFS != nil {
		return newest // not a file system that knows times
	}
	files, err := os.ReadDir(a.cfg.State)
	if err != nil {
		return newest
	}
	for _, f := range files {
		if info, err := f.Info(); err == nil && info.ModTime().After(newest) {
			newest = info.ModTime()
		}
	}
	return newest
}

// refresh asks the platform whether the clock has been set. It is done at the
// start and at each step of the clock, not each time somebody wants the time.
func (w *wall) refresh(ctx context.Context) {
	if w.clock == nil {
		w.set.Store(true)
		return
	}
	st, err := w.clock.Time(ctx)
	w.set.Store(err != nil || st.Set)
}

// Now returns the time, and whether it can be trusted.
func (w *wall) Now() (t time.Time, known bool) {
	t = time.Now()
	if w.clock != nil {
		t = w.clock.Now()
	}
	known, floor := w.set.Load(), w.built
	if !known && w.newest.After(floor) {
		floor = w.newest
	}
	if t.Before(floor) {
		// It must go on all the same: deadlines by the wall clock hang on it.
		return floor.Add(time.Since(w.started)), false
	}
	return t, known
}

// clockStepped follows a step of the wall clock.
func (a *Agent) clockStepped(ctx context.Context) {
	a.wall.refresh(ctx)
	a.recheck()
}

// recheck verifies the certificate of the last session, if that was held
// without a clock and there is one by now.
func (a *Agent) recheck() {
	now, known := a.wall.Now()
	if !known {
		return
	}
	client := a.unchecked.Swap(nil)
	if client == nil {
		return
	}
	if err := client.Recheck(now); err != nil {
		a.log.Error("now that the clock is set: the last session was held with a server whose certificate is not good", "err", err)
	}
}

// keepUnchecked keeps what is needed to verify, once the clock is set, whom a
// session without a clock was held with.
func (a *Agent) keepUnchecked(client *cwmp.Client) {
	if _, known := a.wall.Now(); known {
		return
	}
	a.unchecked.Store(client)
	a.recheck() // the clock may have been set between the two
}
