package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"
)

// A task is one goroutine of the agent, with a name and a restart rule. One that
// mostly waits is a chore.
type task struct {
	name string
	run  func(ctx context.Context) error

	// An essential task that ends early ends the process, and procd or systemd
	// starts it again. Any other is run again after a pause.
	essential bool
}

// Pauses before an optional task that failed is run again. One that held out
// for steady starts over with the first.
const (
	firstPause = time.Second
	lastPause  = 5 * time.Minute
	steady     = 10 * time.Minute
)

// errEndedEarly is the error of an essential task that returned nil while the
// agent was still to run.
var errEndedEarly = errors.New("ended by itself")

// runTasks runs all of them until ctx ends or an essential one fails, and
// returns when every one has ended. stop ends ctx.
func runTasks(ctx context.Context, stop context.CancelFunc, log *slog.Logger, tasks []task, chores []*chore) error {
	failed := make(chan error, len(tasks))
	var all sync.WaitGroup
	for _, t := range tasks {
		all.Go(func() {
			if err := t.keep(ctx, log); err != nil {
				failed <- t.named(err)
				stop()
			}
		})
	}
	for _, c := range chores {
		c.start(ctx, log)
	}
	<-ctx.Done()
	all.Wait()
	for _, c := range chores {
		c.end()
	}
	select {
	case err := <-failed: // the first: others may have failed because of it
		return err
	default:
		return nil
	}
}

// keep runs the task by its rule. It returns an error only for an essential
// one. It lies at the bottom of the stack of each task as long as the agent
// lives, and so it is small.
func (t *task) keep(ctx context.Context, log *slog.Logger) error {
	pause := firstPause
	for {
		began := time.Now()
		err := t.run(ctx)
		if ctx.Err() != nil || t.essential {
			return t.ended(ctx, log, err)
		}
		if time.Since(began) >= steady {
			pause = firstPause
		}
		t.rest(ctx, log, pause, err)
		if ctx.Err() != nil {
			return nil
		}
		pause = min(2*pause, lastPause)
	}
}

// named puts the name of the task on its error.
func (t *task) named(err error) error { return fmt.Errorf("%s: %w", t.name, err) }

// ended is what is to be said of the last end of the task.
func (t *task) ended(ctx context.Context, log *slog.Logger, err error) error {
	switch {
	case ctx.Err() == nil && err == nil:
		return errEndedEarly
	case ctx.Err() == nil:
		return err
	case err != nil && !errors.Is(err, ctx.Err()):
		log.Warn("task ended badly", "task", t.name, "err", err)
	}
	return nil
}

// rest is the pause before a task that failed is run again, or less when ctx
// ends.
func (t *task) rest(ctx context.Context, log *slog.Logger, pause time.Duration, err error) {
	if err == nil {
		err = errEndedEarly
	}
	log.Warn("task failed, will be run again", "task", t.name, "in", pause, "err", err)
	timer := time.NewTimer(pause)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}
