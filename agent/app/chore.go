package app

import (
	"context"
	"log/slog"
	"sync"
	"time"
)

// A chore is a task that holds no goroutine while it waits. Each turn of it runs
// in one of its own: soon after the start, when somebody pokes it, and when its
// time has come; never two at a time. One that fails has its next turn after a
// pause, which grows as that of any task does.
type chore struct {
	name string
	// turn does what is to be done. again is when to have another turn unasked;
	// 0: never.
	turn func(ctx context.Context) (again time.Duration, err error)

	first  time.Duration // from the start to the first turn
	settle time.Duration // from a poke to the turn: more of them may follow
	rude   bool          // a poke ends the context of a turn that runs

	mu     sync.Mutex
	ctx    context.Context // nil: not started, or ended
	log    *slog.Logger
	timer  *time.Timer // of the next turn; nil: when poked
	due    time.Time   // when that is
	poked  bool        // since the start of the turn that runs, or before all of them
	cancel func()      // of the turn that runs; nil: none does, or it is not to be disturbed
	runs   bool
	idle   chan struct{} // closed when the last turn is over; nil: nobody waits
	pause  time.Duration // after the next failure; 0: the first one
}

// whenPoked as first says that it has no turn before.
const whenPoked time.Duration = -1

// poke asks for a turn. It never blocks.
func (c *chore) poke() {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.runs || c.ctx == nil:
		c.poked = true
		if c.cancel != nil {
			c.cancel()
		}
	default:
		c.within(c.settle)
	}
}

// start lets it have turns until ctx ends. end has to be called after that.
func (c *chore) start(ctx context.Context, log *slog.Logger) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ctx, c.log = ctx, log
	switch {
	case c.poked:
		c.poked = false
		c.within(c.settle)
	case c.first >= 0:
		c.within(c.first)
	}
}

// end returns when there is no turn any more.
func (c *chore) end() {
	c.mu.Lock()
	c.ctx = nil
	if c.timer != nil {
		c.timer.Stop()
	}
	runs := c.runs
	if runs {
		c.idle = make(chan struct{})
	}
	c.mu.Unlock()
	if runs {
		<-c.idle
	}
}

// within makes the next turn be due in d at the latest. c.mu is held.
func (c *chore) within(d time.Duration) {
	at := time.Now().Add(d)
	switch {
	case c.timer == nil:
		c.timer = time.AfterFunc(d, c.run)
	case at.Before(c.due):
		c.timer.Reset(d)
	default:
		return
	}
	c.due = at
}

// run has one turn, or more when it was poked meanwhile.
func (c *chore) run() {
	for ctx, ok := c.begin(); ok; ctx, ok = c.begin() {
		began := time.Now()
		again, err := c.turn(ctx)
		if !c.finish(ctx, began, again, err) {
			return
		}
	}
}

// begin is the start of a turn; not ok: there is none to be had.
func (c *chore) begin() (ctx context.Context, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ctx == nil || c.ctx.Err() != nil || c.runs {
		return nil, false
	}
	if c.timer != nil { // one that is not needed is not kept
		c.timer.Stop()
		c.timer = nil
	}
	c.runs, c.poked, ctx = true, false, c.ctx
	if c.rude {
		ctx, c.cancel = context.WithCancel(ctx)
	}
	return ctx, true
}

// finish is the end of a turn. now says that the next one is to follow at once.
func (c *chore) finish(ctx context.Context, began time.Time, again time.Duration, err error) (now bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	disturbed := ctx.Err() != nil
	if c.cancel != nil {
		c.cancel()
	}
	c.runs, c.cancel = false, nil
	if c.idle != nil {
		close(c.idle)
	}
	if c.ctx == nil || c.ctx.Err() != nil {
		return false
	}
	if err == nil || disturbed || time.Since(began) >= steady {
		c.pause = 0
	}
	if err != nil && !disturbed {
		c.pause = max(c.pause, firstPause)
		c.log.Warn("task failed, will be run again", "task", c.name, "in", c.pause, "err", err)
		again = c.pause
		c.pause = min(2*c.pause, lastPause)
	}
	if again > 0 {
		c.within(again)
	}
	if c.poked && c.settle > 0 {
		c.within(c.settle)
	}
	return c.poked && c.settle == 0
}
