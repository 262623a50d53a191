package core_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"gatehouse/agent/core"
)

// S002-03: the first Inform carries 0 BOOTSTRAP and 1 BOOT together.
func TestFirstContact(t *testing.T) {
	try(t, &house{}, func(h *house) {
		h.saw("0 1")
		h.writes(1)
		if got := string(h.flash.text); got != "contacted \"http://acs.example/\"\n" {
			t.Errorf("flash holds %q", got)
		}
		h.stop()
		h.start()
		h.saw() // field.md row 34: neither BOOTSTRAP nor BOOT for a mere restart of the process
		h.reboot()
		h.saw("1")
		h.writes(0)
		if h.booted != 2 {
			t.Errorf("Booted was called %d times", h.booted)
		}
	})
}

func TestBootstrapAsLongAsNotAnswered(t *testing.T) {
	h := &house{answer: func(v visit, n int) core.Result {
		if n < 3 {
			return core.Result{Err: errRefused}
		}
		return core.Result{}
	}}
	try(t, h, func(h *house) {
		h.stop()
		h.start()
		h.reboot()
		h.sleep(time.Hour)
		h.saw("0 1", "0 1", "0 1", "0 1")
	})
}

func TestBootstrapForNewURL(t *testing.T) {
	down := true
	h := &house{answer: func(v visit, n int) core.Result {
		if v.URL != hub && down {
			return core.Result{Err: errRefused}
		}
		return core.Result{}
	}}
	try(t, h, func(h *house) {
		h.saw("0 1")
		h.ask(core.ScheduleInform{Delay: time.Hour, CommandKey: "old"})
		h.set.URL = "http://new.example/"
		h.ask(core.SettingsChanged{})
		h.saw("0")
		h.ask(core.Inform{Events: []core.Event{{Code: core.TransferComplete}}})
		h.saw("0 7") // after the occurrence: not discarded, and not by a restart either
		h.stop()
		h.start()
		h.saw("0 7")
		h.set.URL = hub // back before anybody at the new one was told
		h.ask(core.SettingsChanged{})
		h.saw("0")
		h.sleep(2 * time.Hour)
		h.saw()
	})
}

func TestURLFoundLate(t *testing.T) {
	h := &house{set: settings()}
	h.set.URL = ""
	try(t, h, func(h *house) {
		h.ask(core.ConnectionRequest{})
		h.saw()
		if s := h.agent.Status(); s.State != core.Idle || s.Reason == "" || !s.NextAttempt.IsZero() {
			t.Errorf("status %+v", s)
		}
		h.set.URL = hub
		h.ask(core.SettingsChanged{})
		h.saw("0 1")
	})
}

func TestDisabled(t *testing.T) {
	h := &house{set: settings()}
	h.set.EnableCWMP, h.set.PeriodicEnable, h.set.PeriodicInterval = false, true, 60
	try(t, h, func(h *house) {
		h.ask(core.ConnectionRequest{})
		h.ask(core.ValueChange{})
		h.sleep(time.Hour)
		h.saw()
		if s := h.agent.Status(); s.State != core.Disabled {
			t.Errorf("state %q", s.State)
		}
		h.set.EnableCWMP = true
		h.ask(core.SettingsChanged{})
		h.saw("0 1 4")
	})
}

func TestConnectionRequest(t *testing.T) {
	fail := false
	h := &house{last: 10 * time.Second, answer: func(v visit, n int) core.Result {
		if fail {
			return core.Result{Err: errRefused}
		}
		return core.Result{}
	}}
	try(t, h, func(h *house) {
		h.ask(core.ConnectionRequest{}) // during the session: one more afterwards
		h.ask(core.ConnectionRequest{})
		h.sleep(time.Minute)
		h.saw("0 1", "6")
		fail = true
		h.ask(core.ConnectionRequest{})
		h.sleep(24 * time.Hour)
		h.saw("6") // field.md row 15: never carried into a retry
		if s := h.agent.Status(); s.State != core.Idle || s.RetryCount != 1 || len(s.Pending) != 0 {
			t.Errorf("status %+v", s)
		}
		h.ask(core.ValueChange{})
		h.sleep(11 * time.Second)
		h.ask(core.ConnectionRequest{}) // ends the wait
		h.sleep(10500 * time.Millisecond)
		h.saw("4", "4 6")
		fail = false
		h.sleep(time.Hour)
		h.saw("4")
		h.writes(1)
	})
}

// TestBrokenOff: the ACS answered the Inform, and broke off when it was to say
// what it wants. Its turn is tried again (TR-069 3.2.1.1), with an event that says
// nothing: some refuse an Inform without one.
func TestBrokenOff(t *testing.T) {
	h := &house{answer: func(v visit, n int) core.Result {
		switch n {
		case 0:
			return core.Result{Err: errRefused, Informed: true}
		case 1:
			return core.Result{Err: errRefused}
		}
		return core.Result{}
	}}
	try(t, h, func(h *house) {
		h.sleep(24 * time.Hour)
		h.saw("0 1", "2", "2")
		if s := h.agent.Status(); s.State != core.Idle || s.RetryCount != 0 {
			t.Errorf("status %+v", s)
		}
	})
}

func TestRequestsAfterOutage(t *testing.T) { // field.md row 12
	h := &house{answer: func(v visit, n int) core.Result { return core.Result{Err: errRefused} }}
	try(t, h, func(h *house) {
		h.sleep(7 * 24 * time.Hour)
		n := len(h.visits)
		if s := h.agent.Status(); s.RetryCount != uint32(n) || s.State != core.Waiting || s.LastError != "Connection refused." {
			t.Errorf("status after a week and %d sessions: %+v", n, s)
		}
		if n < 9+600000/5120 || n > 10+604800/2560 {
			t.Errorf("%d sessions in a week of outage", n)
		}
		h.visits = nil
		h.ask(core.ConnectionRequest{})
		h.saw("0 1 6")
		h.answer = nil
		h.ask(core.ConnectionRequest{})
		h.saw("0 1 6")
		if s := h.agent.Status(); s.RetryCount != 0 || s.LastError != "" {
			t.Errorf("status %+v", s)
		}
		h.writes(1)
	})
}

func TestBackOff(t *testing.T) { // cwmp.md §11, field.md row 9
	for _, c := range []struct {
		m, k   uint32
		lo, hi [12]float64 // seconds
	}{
		{0, 0, [12]float64{5, 10, 20, 40, 80, 160, 320, 640, 1280, 2560, 2560, 2560}, [12]float64{10, 20, 40, 80, 160, 320, 640, 1280, 2560, 5120, 5120, 5120}},
		{7, 1000, [12]float64{7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7}, [12]float64{7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7}},
	} {
		for _, high := range []bool{false, true} {
			h := &house{set: settings(), answer: func(visit, int) core.Result { return core.Result{Err: errRefused} }}
			h.set.RetryMinimum, h.set.RetryMultiplier = c.m, c.k
			h.rand = func(n int64) int64 {
				if high {
					return n - 1
				}
				return 0
			}
			try(t, h, func(h *house) {
				h.sleep(10 * time.Hour)
				for i, want := range c.lo {
					if high {
						want = c.hi[i]
					}
					if got := (h.visits[i+1].at - h.visits[i].at).Seconds(); math.Abs(got-want) > 0.01 {
						t.Errorf("m %d k %d high %v: wait %d is %v s, want %v", c.m, c.k, high, i+1, got, want)
					}
					if h.visits[i].RetryCount != uint32(i) {
						t.Errorf("attempt %d has RetryCount %d", i, h.visits[i].RetryCount)
					}
				}
			})
		}
	}
}

func TestBackOffSaturates(t *testing.T) {
	h := &house{set: settings(), answer: func(visit, int) core.Result { return core.Result{Err: errRefused} }}
	h.set.RetryMinimum, h.set.RetryMultiplier = 65535, 65535
	h.run = file{there: true, text: []byte("boot \"boot-1\"\nretry 4294967295\n")}
	try(t, h, func(h *house) {
		h.sleep(time.Hour)
		h.saw("0 1")
		s := h.agent.Status()
		if s.RetryCount != math.MaxUint32 || s.NextAttempt.Before(time.Now().AddDate(50, 0, 0)) {
			t.Errorf("status %+v", s)
		}
	})
}

func TestMultiplierReadAtEachFailure(t *testing.T) {
	h := &house{answer: func(visit, int) core.Result { return core.Result{Err: errRefused} }, rand: func(int64) int64 { return 0 }}
	try(t, h, func(h *house) {
		h.set.RetryMinimum, h.set.RetryMultiplier = 100, 3000
		h.sleep(6 * time.Second) // the first wait was drawn before: 5 s
		if len(h.visits) != 2 {
			t.Fatalf("%v", h.visits)
		}
		h.sleep(299 * time.Second)
		if len(h.visits) != 3 || h.visits[2].at != 305*time.Second {
			t.Errorf("%v", h.visits)
		}
	})
}

func TestNewEventEndsTheWait(t *testing.T) {
	h := &house{set: settings(), answer: func(visit, int) core.Result { return core.Result{Err: errRefused} }}
	h.set.RetryMinimum = 1000
	try(t, h, func(h *house) {
		h.saw("0 1")
		h.ask(core.ValueChange{})
		for range 500 {
			h.ask(core.ValueChange{}) // nothing new any more
		}
		h.sleep(time.Minute)
		if len(h.visits) != 1 || h.visits[0].RetryCount != 1 {
			t.Errorf("%v", h.visits)
		}
		h.saw("0 1 4")
	})
}

func TestNetworkUp(t *testing.T) {
	h := &house{set: settings(), answer: func(visit, int) core.Result { return core.Result{Err: errRefused} }}
	h.set.RetryMinimum, h.set.RetryMultiplier = 10, 65535
	try(t, h, func(h *house) {
		h.sleep(20 * time.Minute)
		h.visits = nil
		h.ask(core.NetworkUp{})
		h.sleep(10 * time.Second)
		h.saw("0 1")
		for range 40 {
			h.ask(core.NetworkUp{}) // a link that flaps is no reason for a storm
			h.sleep(time.Second)
		}
		h.saw()
		h.sleep(30 * time.Second)
		h.ask(core.NetworkUp{})
		h.sleep(10 * time.Second)
		h.saw("0 1")
	})
}

func TestSameEventDuringTheSession(t *testing.T) {
	h := &house{last: 10 * time.Second}
	h.inside = func(_ context.Context, n int) {
		if n == 1 {
			h.say(core.ValueChange{})
		}
	}
	try(t, h, func(h *house) {
		h.sleep(time.Minute)
		h.ask(core.ValueChange{})
		h.sleep(15 * time.Second)
		h.saw("0 1", "4", "4")
	})
	fail := func(visit, int) core.Result { return core.Result{Err: errRefused} }
	h = &house{last: 10 * time.Second, answer: fail}
	h.inside = func(context.Context, int) { h.say(core.ValueChange{}) }
	try(t, h, func(h *house) {
		h.sleep(25 * time.Second) // new at first, and a retry after that
		h.saw("0 1", "0 1 4")
	})
}

func TestThrottle(t *testing.T) { // cwmp.md §12
	h := &house{set: settings()}
	h.set.Throttle = 300
	try(t, h, func(h *house) {
		h.saw("0 1")
		h.sleep(time.Minute)
		h.ask(core.ValueChange{})
		h.sleep(239 * time.Second)
		h.saw()
		if s := h.agent.Status(); s.State != core.Waiting || s.Reason == "" {
			t.Errorf("status %+v", s)
		}
		h.sleep(2 * time.Second)
		h.saw("4")
		h.ask(core.ValueChange{})
		h.ask(core.ConnectionRequest{}) // other reasons pass, and carry it
		h.saw("4 6")
		h.ask(core.ValueChange{})
		h.ask(core.ValueChange{Withdrawn: true})
		h.sleep(time.Hour)
		h.saw()
	})
}

func TestNotAllDelivered(t *testing.T) {
	h := &house{}
	try(t, h, func(h *house) {
		h.saw("0 1")
		transfer := []core.Event{{Code: core.TransferComplete}, {Code: core.MDownload, CommandKey: "k"}}
		h.ask(core.Inform{Events: transfer})
		h.saw("7 MDownload:k")
		if s := h.agent.Status(); s.RetryCount != 1 || !strings.Contains(s.LastError, "7 TRANSFER COMPLETE") {
			t.Errorf("status %+v", s)
		}
		h.inside = func(ctx context.Context, n int) {
			if err := h.request(core.Delivered{Events: transfer}); err != nil {
				t.Error(err)
			}
		}
		h.sleep(20 * time.Second)
		h.saw("7 MDownload:k")
		h.sleep(time.Hour)
		h.saw()
	})
}

func TestAtMost64Events(t *testing.T) {
	try(t, &house{}, func(h *house) {
		h.set.EnableCWMP = false
		h.ask(core.SettingsChanged{})
		h.visits = nil
		full := 0
		for i := range 70 {
			e := core.Event{Code: "M X_EXAMPLE_Scan", CommandKey: fmt.Sprint(i)}
			if err := h.request(core.Inform{Events: []core.Event{e}}); errors.Is(err, core.ErrFull) {
				full++
			} else if err != nil {
				t.Error(err)
			}
		}
		for _, code := range []string{core.Boot, core.Periodic, core.Scheduled, core.ValueChanged, core.Kicked, core.ConnectionRequested,
			core.TransferComplete, core.DiagnosticsComplete, core.RequestDownload, core.AutonomousTransferComplete,
			core.DUStateChangeComplete, core.AutonomousDUStateChangeComplete, core.Wakeup, core.Heartbeat} {
			_ = h.request(core.Inform{Events: []core.Event{{Code: code}}})
		}
		if err := h.request(core.ScheduleInform{Delay: time.Second}); !errors.Is(err, core.ErrFull) {
			t.Errorf("ScheduleInform: %v", err)
		}
		if err := h.request(core.Reboot{}); !errors.Is(err, core.ErrFull) {
			t.Errorf("Reboot: %v", err)
		}
		// What was scheduled does not keep the ACS from hearing of a transfer.
		for i := range 16 {
			h.ask(core.Occurred{Events: []core.Event{{Code: core.TransferComplete}, {Code: core.MDownload, CommandKey: fmt.Sprint(i)}}})
		}
		h.set.EnableCWMP = true
		h.ask(core.SettingsChanged{})
		told := h.visits[0].Events
		if n := len(told); full == 0 || n > 64 || n < 49 {
			t.Errorf("%d refused, %d events in the Inform", full, n)
		}
		for i := range 16 {
			if !slices.Contains(told, core.Event{Code: core.MDownload, CommandKey: fmt.Sprint(i)}) {
				t.Errorf("transfer %d is not told", i)
			}
		}
	})
}

func TestStop(t *testing.T) {
	t.Run("a session may end", func(t *testing.T) {
		try(t, &house{last: 10 * time.Second}, func(h *house) {
			h.stop()
			if took := time.Since(h.t0); took != 10*time.Second {
				t.Errorf("the stop took %v", took)
			}
			if s := h.agent.Status(); s.LastError != "" {
				t.Errorf("status %+v", s)
			}
			if err := h.agent.Post(h.t.Context(), core.ValueChange{}); !errors.Is(err, core.ErrStopped) {
				t.Errorf("Post after the stop: %v", err)
			}
			h.start()
		})
	})
	t.Run("but not for ever", func(t *testing.T) {
		try(t, &house{last: time.Hour, mute: true}, func(h *house) {
			h.stop()
			if took := time.Since(h.t0); took != 15*time.Second {
				t.Errorf("the stop took %v", took)
			}
			h.last, h.mute = 0, false
			h.start()
			if h.visits[1].RetryCount != 0 {
				t.Errorf("our own stop counts as a failure")
			}
			h.saw("0 1", "0 1")
		})
	})
	t.Run("deaf session", func(t *testing.T) {
		h := &house{}
		h.inside = func(context.Context, int) { h.free(func() { time.Sleep(time.Minute) }) }
		synctest.Test(t, func(t *testing.T) {
			h.t, h.t0, h.boot, h.set = t, time.Now(), "b", settings()
			h.mu.Lock()
			h.start()
			h.kill()
			h.mu.Unlock()
			if err := <-h.gone; err == nil || time.Since(h.t0) != 17*time.Second {
				t.Errorf("Run returned %v after %v", err, time.Since(h.t0))
			}
			time.Sleep(time.Minute)
		})
	})
}

func TestWatch(t *testing.T) {
	try(t, &house{last: time.Second}, func(h *house) {
		ctx, cancel := context.WithCancel(h.ctx)
		var states []core.State
		done := make(chan bool)
		go func() {
			for s := range h.agent.Watch(ctx) {
				if n := len(states); n == 0 || states[n-1] != s.State {
					states = append(states, s.State)
				}
			}
			close(done)
		}()
		h.sleep(time.Minute)
		h.answer = func(visit, int) core.Result { return core.Result{Err: errRefused} }
		h.ask(core.ValueChange{})
		h.sleep(2 * time.Second)
		cancel()
		<-done
		if got := fmt.Sprint(states); got != "[in session idle in session waiting]" {
			t.Errorf("states %s", got)
		}
	})
}
