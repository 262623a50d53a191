package core_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"gatehouse/agent/core"
)

func TestRetryAfter(t *testing.T) {
	h := &house{answer: func(v visit, n int) core.Result {
		if v.RetryCount == 0 {
			return core.Result{Err: errors.New("503"), RetryAfter: time.Hour}
		}
		return core.Result{}
	}}
	try(t, h, func(h *house) {
		h.ask(core.ValueChange{})
		h.sleep(time.Minute)
		h.stop() // a restart does not make the ACS less busy
		h.start()
		h.sleep(58 * time.Minute)
		h.saw("0 1")
		h.sleep(time.Minute + 5*time.Second)
		h.saw("0 1") // the change of a value is found again by who watches it
	})
	try(t, &house{answer: h.answer}, func(h *house) {
		h.sleep(time.Minute)
		h.ask(core.ConnectionRequest{}) // the ACS itself calls
		h.saw("0 1", "0 1 6")
	})
}

// An ACS that was overrun says the same Retry-After to everybody. They do not
// come back all at once, and the more often it has said so, the less.
func TestRetryAfterSpreads(t *testing.T) {
	visits := func(rand func(n int64) int64) (at []time.Duration) {
		h := &house{rand: rand, answer: func(visit, int) core.Result {
			return core.Result{Err: errors.New("503"), RetryAfter: time.Minute}
		}}
		try(t, h, func(h *house) {
			h.sleep(3 * time.Minute)
			for _, v := range h.visits {
				at = append(at, v.at)
			}
		})
		return at
	}
	first := visits(func(int64) int64 { return 0 })
	last := visits(func(n int64) int64 { return n - 1 })
	if got, want := fmt.Sprint(first), "[0s 1m0s 2m0s 3m0s]"; got != want {
		t.Errorf("the first comes at %s, want %s", got, want)
	}
	if got, want := fmt.Sprint(last), "[0s 1m5s 2m15s]"; got != want {
		t.Errorf("the last comes at %s, want %s", got, want)
	}
}

func TestRetryCountSurvivesTheProcess(t *testing.T) {
	down := true
	h := &house{answer: func(visit, int) core.Result {
		if down {
			return core.Result{Err: errRefused}
		}
		return core.Result{}
	}}
	try(t, h, func(h *house) {
		h.sleep(time.Minute)
		n := len(h.visits)
		h.stop()
		h.start()
		if got := h.visits[n].RetryCount; got != uint32(n) {
			t.Errorf("RetryCount %d after %d sessions and a restart", got, n)
		}
		h.visits = nil
		h.reboot()
		if got := h.visits[0].RetryCount; got != 0 {
			t.Errorf("RetryCount %d after a boot", got)
		}
		h.writes(0)
	})
}
