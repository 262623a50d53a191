package app

import (
	"context"
	"sync/atomic"
	"time"

	"gatehouse/platform"
)

// wall is the wall clock of the agent. A router without a battery wakes up in
// 1970: a time before the floor (the day this agent was built, or what the
// newest state file says) cannot be true, so the clock counts as not set.
type wall struct {
	clock platform.Clock // nil: that of the process
	floor time.Time
	set   atomic.Bool
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
	if t.Before(w.floor) {
		return w.floor, false
	}
	return t, w.set.Load()
}
