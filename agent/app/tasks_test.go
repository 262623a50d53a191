package app

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

var (
	errBroken = errors.New("broken")
	quiet     = slog.New(slog.DiscardHandler)
)

func run(ctx context.Context, tasks []task, chores []*chore) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	return runTasks(ctx, stop, quiet, tasks, chores)
}

// TestEssentialTask: its failure ends the agent.
func TestEssentialTask(t *testing.T) {
	waits := func(ctx context.Context) error { <-ctx.Done(); return nil }
	t.Run("fails", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			err := run(t.Context(), []task{
				{name: "patient", run: waits},
				{name: "heart", essential: true, run: func(context.Context) error { time.Sleep(time.Hour); return errBroken }},
			}, nil)
			if !errors.Is(err, errBroken) || err.Error() != "heart: broken" {
				t.Errorf("%v", err)
			}
		})
	})
	t.Run("ends by itself", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			err := run(t.Context(), []task{{name: "heart", essential: true, run: func(context.Context) error { return nil }}}, nil)
			if !errors.Is(err, errEndedEarly) {
				t.Errorf("%v", err)
			}
		})
	})
}

// TestOptionalTask: it is run again after longer and longer pauses.
func TestOptionalTask(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began, runs := time.Now(), []time.Duration{}
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Minute)
		defer cancel()
		err := run(ctx, []task{{name: "extra", run: func(context.Context) error {
			runs = append(runs, time.Since(began).Round(time.Second))
			return errBroken
		}}}, nil)
		s := time.Second
		want := []time.Duration{0, 1 * s, 3 * s, 7 * s, 15 * s, 31 * s, 63 * s, 127 * s, 255 * s, 511 * s, 811 * s, 1111 * s}
		if err != nil || !slices.Equal(runs, want) {
			t.Errorf("%v, runs at %v", err, runs)
		}
	})
}
