package app_test

import (
	"testing"
	"testing/synctest"
	"time"

	"gatehouse/lab/acs"
	"gatehouse/platform"
)

// TestPeriodic: 73 hours of periodic Informs stay on their grid, over steps of
// the clock in both directions.
func TestPeriodic(t *testing.T) {
	conf := config("config acs 'more'", "\toption periodic_inform_enable '1'", "\toption periodic_inform_interval '3600'",
		"\toption periodic_inform_time '2000-01-01T00:10:00Z'")
	story(t, acs.Options{}, conf, func(t *testing.T, h *house) {
		h.start()
		h.session(1)
		clock := h.router.Platform().Clock
		grid := func(s *acs.Session) {
			t.Helper()
			h.wantEvents(s, "2 PERIODIC")
			if at := s.Inform.CurrentTime; at.Minute() != 10 || at.Second() != 0 {
				t.Errorf("session %d at %v by the clock of the router", s.Number, at)
			}
		}
		for n := range 73 {
			grid(h.session(n + 2))
		}
		h.router.Step(25 * time.Minute) // 00:10 → 00:35
		grid(h.session(75))
		h.router.Step(-7 * time.Minute)
		synctest.Wait()
		grid(h.session(76))
		h.router.Step(-3 * time.Hour)
		grid(h.session(77))
		if now := clock.Now(); now.Minute() != 10 {
			t.Errorf("now %v", now)
		}
		h.none(77, 59*time.Minute)
	})
}

// TestScheduleInform: the ACS asks to be called, twice.
func TestScheduleInform(t *testing.T) {
	story(t, acs.Options{}, config(), func(t *testing.T, h *house) {
		h.acs.Queue("", func(c *acs.Conversation) error {
			if err := c.ScheduleInform(600, "second  key"); err != nil {
				return err
			}
			if err := c.ScheduleInform(60, "first"); err != nil {
				return err
			}
			if f := acs.FaultOf(c.ScheduleInform(0, "none")); f == nil || f.Code != 9003 {
				t.Errorf("no delay: %v", f)
			}
			return nil
		})
		h.start()
		first := h.session(1)
		h.boot() // the second survives this
		s := h.session(2)
		h.wantEvents(s, "1 BOOT")
		s = h.session(3)
		h.wantEvents(s, "3 SCHEDULED", "M ScheduleInform [first]")
		s = h.session(4)
		h.wantEvents(s, "3 SCHEDULED", "M ScheduleInform [second  key]")
		if d := s.Start.Sub(first.End).Round(time.Second); d != 600*time.Second {
			t.Errorf("after %v", d)
		}
	})
}

// TestNoClock: a router wakes up in 1970. It talks all the same, says that its
// time is only the time since boot, and its timers run.
func TestNoClock(t *testing.T) {
	conf := config("config acs 'more'", "\toption periodic_inform_enable '1'", "\toption periodic_inform_interval '3600'",
		"\toption periodic_inform_time '2000-01-01T00:10:00Z'")
	story(t, acs.Options{}, conf, func(t *testing.T, h *house) {
		now := time.Now()
		h.router.Step(time.Unix(0, 0).Sub(now))
		h.router.SetTime(platform.TimeStatus{})
		h.start()
		s := h.session(1)
		if y := s.Inform.CurrentTime.Year(); y != 1 {
			t.Errorf("CurrentTime %v", s.Inform.CurrentTime)
		}
		h.wantEvents(h.session(2), "2 PERIODIC")
		h.router.SetTime(platform.TimeStatus{Set: true, Synced: true})
		h.router.Step(now.Sub(time.Unix(0, 0)))
		s = h.session(3)
		h.wantEvents(s, "2 PERIODIC")
		if at := s.Inform.CurrentTime; at.Minute() != 10 || at.Year() < 2000 {
			t.Errorf("with a clock: %v", at)
		}
	})
}

// TestClockBeforeBuild: a clock that says it is set, and stands before the day
// on which the agent was built, is not believed; and does not stand still.
func TestClockBeforeBuild(t *testing.T) {
	conf := config("config acs 'more'", "\toption periodic_inform_enable '1'", "\toption periodic_inform_interval '3600'")
	story(t, acs.Options{}, conf, func(t *testing.T, h *house) {
		h.edit = func(c *appConfig) { c.Built = time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC) }
		h.start()
		if s := h.session(1); s.Inform.CurrentTime.Year() != 1 {
			t.Errorf("CurrentTime %v", s.Inform.CurrentTime)
		}
		for n := 2; n < 6; n++ {
			h.wantEvents(h.session(n), "2 PERIODIC")
		}
	})
}
