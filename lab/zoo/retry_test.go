package zoo

import (
	"strings"
	"testing"
	"time"

	"gatehouse/lab/acs"
	"gatehouse/platform"
)

func retries() []exhibit {
	return []exhibit{
		{9, "genieacs_55_retry_storm", retryStorm},
		{12, "icwmp_8608_connection_request_after_an_outage", requestAfterOutage},
		{18, "boot_in_1970_with_a_good_certificate", bootIn1970},
		{18, "expired_certificate_is_noticed_when_the_clock_is_set", expiredLater},
		{19, "genieacs_266_http_500_ends_the_session", brokenOff("inform.status=500,inform.times=3")},
		{19, "http_400_already_in_session", brokenOff("already,times=2")},
		{19, "http_500_to_the_empty_post", brokenOff("empty.status=500,empty.times=2")},
		{19, "http_400_to_an_answer", brokenOff("answer.status=400,answer.times=2")},
		{19, "connection_cut_before_the_answer", brokenOff("cut=before,times=2")},
		{19, "connection_cut_in_the_status_line", brokenOff("empty.cut=header,empty.times=2")},
		{19, "connection_cut_in_the_body", brokenOff("cut=body,times=2")},
		{19, "silence", brokenOff("hang,times=2")},
		{19, "garbage_instead_of_an_answer", brokenOff("body=<html>Login</html>,times=2")},
		{19, "fault_8005_repeats_the_inform", copes(plan{chaos: "fault=8005,times=2"})},
		{19, "fault_8005_for_ever", brokenOff("fault=8005,times=60")},
		{19, "fault_8001_to_the_inform", brokenOff("fault=8001,times=2")},
		{19, "fault_8899_to_the_inform", brokenOff("fault=8899,times=2")},
		{19, "http_503_with_retry_after", retryAfter},
	}
}

// retryStorm: the waits grow as TR-069 table 3 says, RetryCount counts, and
// both are forgotten after a success.
func retryStorm(t *testing.T) {
	story(t, plan{chaos: "status=500"}, func(t *testing.T, h *house) {
		h.start()
		last := h.session(1)
		low, high := 5*time.Second, 10*time.Second
		for n := uint32(1); n <= 13; n++ {
			s := h.session(int(n) + 1)
			if wait := s.Start.Sub(last.End); wait < low-time.Second || wait > high+time.Second {
				t.Errorf("retry %d after %v, want %v to %v", n, wait, low, high)
			}
			if s.Inform.RetryCount != n {
				t.Errorf("RetryCount %d at retry %d", s.Inform.RetryCount, n)
			}
			if n < 10 {
				low, high = high, 2*high
			}
			last = s
		}
		h.acs.SetChaos(acs.Chaos{})
		if s := h.good(15); s.Inform.RetryCount != 14 {
			t.Errorf("RetryCount %d", s.Inform.RetryCount)
		}
		h.knock()
		if s := h.good(16); s.Inform.RetryCount != 0 {
			t.Errorf("RetryCount %d after a success", s.Inform.RetryCount)
		}
	})
}

// brokenOff tells that a session which ends badly is tried again, with its
// events, soon and not at once, and that all is well when the ACS is.
func brokenOff(chaos string) func(t *testing.T) {
	return func(t *testing.T) {
		story(t, plan{chaos: chaos}, func(t *testing.T, h *house) {
			h.acs.Script(ordinary)
			h.start()
			first := h.session(1)
			if first.Err == nil {
				t.Fatal("the first session went well")
			}
			var s *acs.Session
			for n := 2; s == nil || s.Err != nil; n++ {
				if n > 70 {
					t.Fatal("it never went well")
				}
				s = h.session(n)
			}
			if !s.Inform.Has("1 BOOT") && !first.Inform.Has("1 BOOT") {
				t.Errorf("the event is lost: %s", events(s))
			}
			if wait := s.Start.Sub(first.Start); wait < 5*time.Second {
				t.Errorf("tried again after %v", wait)
			}
			h.none(s.Number, time.Hour)
			if st := h.status(); st.RetryCount != 0 || len(st.Pending) != 0 {
				t.Errorf("afterwards: %d retries, pending %v", st.RetryCount, st.Pending)
			}
		})
	}
}

// retryAfter: never earlier than the ACS asks.
func retryAfter(t *testing.T) {
	story(t, plan{chaos: "busy,times=1"}, func(t *testing.T, h *house) {
		h.start()
		first := h.session(1)
		if wait := h.good(2).Start.Sub(first.End); wait < 60*time.Second || wait > 75*time.Second {
			t.Errorf("again after %v", wait)
		}
	})
}

// requestAfterOutage: whatever went wrong before, a connection request is taken.
func requestAfterOutage(t *testing.T) {
	story(t, plan{}, func(t *testing.T, h *house) {
		h.start()
		h.good(1)
		h.acs.SetChaos(acs.Chaos{Inform: acs.Trouble{Hang: true}})
		h.knock()
		time.Sleep(time.Second)
		if r := h.knock(); !r.OK() && r.Status != 503 { // while the session hangs
			t.Errorf("in a session: %v", r.Statuses)
		}
		h.session(2)
		h.acs.SetChaos(acs.Chaos{})
		time.Sleep(10 * time.Minute)
		for range 3 {
			time.Sleep(20 * time.Second)
			n := len(h.acs.Sessions())
			if r := h.knock(); !r.OK() {
				t.Errorf("after the outage: %v", r.Statuses)
			}
			h.good(n + 1)
		}
	})
}

// bootIn1970: no time source, yet a session, with a certificate that looks as
// if it came from the future; what else is wrong with one is still wrong.
func bootIn1970(t *testing.T) {
	story(t, plan{url: secure}, func(t *testing.T, h *house) {
		h.router.SetTime(platform.TimeStatus{})
		h.router.Step(-25 * 365 * 24 * time.Hour)
		h.start()
		h.good(1)
	})
}

// expiredLater: what nobody could see at first is seen when the clock is set.
func expiredLater(t *testing.T) {
	story(t, plan{url: secure}, func(t *testing.T, h *house) {
		h.router.SetTime(platform.TimeStatus{})
		h.router.Step(-25 * 365 * 24 * time.Hour)
		h.start()
		h.good(1)
		h.router.SetTime(platform.TimeStatus{Set: true, Synced: true})
		h.router.Step(28 * 365 * 24 * time.Hour)
		time.Sleep(time.Minute)
		if !h.log.has("whose certificate is not good") {
			t.Error("nobody looked again when the clock was set")
		}
		n := len(h.acs.Sessions())
		h.knock()
		h.none(n, time.Minute)
		if st := h.status(); !strings.Contains(st.LastError, "certificate") {
			t.Errorf("status %q", st.LastError)
		}
	})
}
