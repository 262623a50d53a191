package app

import (
	"context"
	"errors"
	"runtime"
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

// chores runs some for a while in virtual time, and f beside them.
func chores(t *testing.T, lasts time.Duration, f func(), all ...*chore) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), lasts)
	defer cancel()
	ended := make(chan error)
	go func() { ended <- run(ctx, nil, all) }()
	synctest.Wait()
	f()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

// diary notes when turns are had.
type diary struct {
	began time.Time
	at    []time.Duration
}

func (d *diary) note() { d.at = append(d.at, time.Since(d.began)) }

// TestChoreTurns: at the start, when its time has come, and when it is poked:
// once for all pokes within its time to settle.
func TestChoreTurns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := diary{began: time.Now()}
		c := &chore{settle: time.Second, turn: func(context.Context) (time.Duration, error) {
			if d.note(); len(d.at) == 2 {
				return time.Hour, nil
			}
			return 0, nil
		}}
		poked := &diary{began: time.Now()}
		late := &chore{first: whenPoked, turn: func(context.Context) (time.Duration, error) { poked.note(); return 0, nil }}
		late.poke() // before the start is not too early
		chores(t, 3*time.Hour, func() {
			time.Sleep(time.Minute)
			for range 3 {
				c.poke()
				late.poke()
				time.Sleep(400 * time.Millisecond)
			}
		}, c, late)
		m, ms := time.Minute, time.Millisecond
		if want := []time.Duration{0, m + time.Second, m + time.Second + time.Hour}; !slices.Equal(d.at, want) {
			t.Errorf("turns at %v, want %v", d.at, want)
		}
		if want := []time.Duration{0, m, m + 400*ms, m + 800*ms}; !slices.Equal(poked.at, want) {
			t.Errorf("turns when poked at %v, want %v", poked.at, want)
		}
	})
}

// TestChorePokedDuringATurn: there is another one after it, and one is enough.
// A rude poke ends the turn.
func TestChorePokedDuringATurn(t *testing.T) {
	for _, rude := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			var d diary
			d.began = time.Now()
			c := &chore{rude: rude, turn: func(ctx context.Context) (time.Duration, error) {
				d.note()
				return 0, sleep(ctx, time.Minute)
			}}
			chores(t, time.Hour, func() {
				time.Sleep(10 * time.Second)
				c.poke()
				c.poke()
			}, c)
			second := time.Minute
			if rude {
				second = 10 * time.Second
			}
			if want := []time.Duration{0, second}; !slices.Equal(d.at, want) {
				t.Errorf("rude %v: turns at %v, want %v", rude, d.at, want)
			}
		})
	}
}

// TestChoreThatFails: its turns follow after longer and longer pauses, and a poke
// does not wait for one.
func TestChoreThatFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := diary{began: time.Now()}
		c := &chore{turn: func(context.Context) (time.Duration, error) {
			if d.note(); len(d.at) == 5 {
				return 0, nil
			}
			return 0, errBroken
		}}
		chores(t, time.Hour, func() {
			time.Sleep(4 * time.Second)
			c.poke()
			time.Sleep(time.Minute)
			c.poke()
		}, c)
		s := time.Second
		// 0, then after 1 and 2 s; poked in the pause of 4 s, then 8 s; then it is well.
		want := []time.Duration{0, 1 * s, 3 * s, 4 * s, 12 * s, 64 * s, 65 * s, 67 * s, 71 * s}
		if len(d.at) < len(want) || !slices.Equal(d.at[:len(want)], want) {
			t.Errorf("turns at %v, want %v", d.at, want)
		}
	})
}

// TestChoreEnds: the last turn is waited for, and there is none after it.
func TestChoreEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		over, turns := false, 0
		c := &chore{turn: func(ctx context.Context) (time.Duration, error) {
			turns++
			<-ctx.Done()
			time.Sleep(time.Minute)
			over = true
			return time.Second, errors.Join(ctx.Err(), errBroken)
		}}
		chores(t, time.Minute, func() {}, c)
		if !over {
			t.Error("the agent ended before its chore")
		}
		c.poke()
		time.Sleep(time.Hour)
		if turns != 1 {
			t.Errorf("%d turns", turns)
		}
	})
}

// TestChoreHoldsNoGoroutine while it waits.
func TestChoreHoldsNoGoroutine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		before := runtime.NumGoroutine()
		all := make([]*chore, 100)
		for i := range all {
			all[i] = &chore{turn: func(context.Context) (time.Duration, error) { return time.Hour, nil }}
		}
		chores(t, time.Minute, func() {
			if n := runtime.NumGoroutine() - before; n > 5 {
				t.Errorf("%d goroutines for %d chores", n, len(all))
			}
		}, all...)
	})
}

// TestChoreHasNoTurnAfterTheEnd: who is poked, or is due, when the agent ends has
// no turn, however long the others take to end.
func TestChoreHasNoTurnAfterTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		late := 0
		turn := func(ctx context.Context) (time.Duration, error) {
			if ctx.Err() != nil {
				late++
			}
			return 90 * time.Second, nil
		}
		due, poked := &chore{turn: turn}, &chore{turn: turn, first: whenPoked}
		slow := task{name: "slow", run: func(ctx context.Context) error {
			<-ctx.Done()
			poked.poke() // as the end of the last session does
			time.Sleep(time.Hour)
			return nil
		}}
		if err := run(ctx, []task{slow}, []*chore{due, poked}); err != nil {
			t.Error(err)
		}
		if late != 0 {
			t.Errorf("%d turns after the end", late)
		}
	})
}
