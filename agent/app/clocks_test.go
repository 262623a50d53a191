package app_test

// Clocks that jump by years, in a session and between two, grids that lie in the
// past and in the future, and the nights on which the hour changes.

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"gatehouse/lab/acs"
	"gatehouse/platform"
)

// everyHour is the configuration of an Inform each hour, on a grid.
func everyHour(grid string) string {
	return config("config acs 'more'", "\toption periodic_inform_enable '1'", "\toption periodic_inform_interval '3600'",
		"\toption periodic_inform_time '"+grid+"'")
}

// years is about that many years.
func years(n int) time.Duration { return time.Duration(n) * 8766 * time.Hour }

// TestClockJumpsInSession: while a session runs, the clock jumps by years. The
// session comes to its end, what was set in it stands. However many slots of the
// grid were jumped over, one Inform makes up for them; the next are on the grid
// by the new clock.
func TestClockJumpsInSession(t *testing.T) {
	for _, jump := range []int{20, -20} {
		t.Run(fmt.Sprint(jump, " years"), func(t *testing.T) {
			story(t, acs.Options{}, everyHour("2000-01-01T00:10:00Z"), func(t *testing.T, h *house) {
				h.router.Step(years(30)) // there is room to jump back
				h.router.SetTime(platform.TimeStatus{Set: true, Synced: true})
				h.acs.Queue("", func(c *acs.Conversation) error {
					if _, err := c.SetParameterValues("before", acs.P("Device.DeviceInfo.ProvisioningCode", "xsd:string", "a")); err != nil {
						return err
					}
					h.router.Step(years(jump))
					time.Sleep(2 * time.Second)
					_, err := c.SetParameterValues("after", acs.P("Device.DeviceInfo.ProvisioningCode", "xsd:string", "b"))
					return err
				})
				h.start()
				first := h.session(1)
				if first.Err != nil {
					t.Fatal(first.Err)
				}
				from := 2
				if jump > 0 {
					from = 3
					if s := h.session(2); s.Start.Sub(first.End) > time.Second {
						t.Errorf("made up for %v later", s.Start.Sub(first.End))
					}
				}
				for n := from; n < from+3; n++ {
					s := h.session(n)
					h.wantEvents(s, "2 PERIODIC")
					want := first.Inform.CurrentTime.Add(years(jump)).Year()
					if at := s.Inform.CurrentTime; at.Minute() != 10 || at.Second() != 0 || at.Year() != want {
						t.Errorf("session %d at %v, the year is %d", n, at, want)
					}
					if gap := s.Start.Sub(h.acs.Sessions()[n-2].End); gap > time.Hour+time.Second {
						t.Errorf("session %d after %v", n, gap)
					}
				}
				if got := h.get(ms + "ParameterKey"); got != "after" {
					t.Errorf("ParameterKey %q", got)
				}
			})
		})
	}
}

// TestClockJumpsBetweenSessions: one Inform makes up for all that a jump forward
// left out, and one back brings no silence of years. A ScheduleInform runs by
// the time that passes (its DelaySeconds), not by the clock, and
// so does the wait of a retry.
func TestClockJumpsBetweenSessions(t *testing.T) {
	story(t, acs.Options{}, everyHour("2000-01-01T00:10:00Z"), func(t *testing.T, h *house) {
		h.router.Step(years(30))
		h.router.SetTime(platform.TimeStatus{Set: true, Synced: true})
		h.start()
		h.session(1)
		for _, jump := range []time.Duration{years(15), -years(25), years(1), -years(1)} {
			n := len(h.acs.Sessions())
			h.router.Step(jump)
			synctest.Wait()
			began := time.Now()
			if jump > 0 {
				n++
				h.wantEvents(h.session(n), "2 PERIODIC")
			}
			s := h.session(n + 1)
			h.wantEvents(s, "2 PERIODIC")
			if at := s.Inform.CurrentTime; at.Minute() != 10 || s.Start.Sub(began) > time.Hour {
				t.Errorf("after a jump of %v: at %v, %v later", jump, at, s.Start.Sub(began))
			}
			h.acs.Queue("", func(c *acs.Conversation) error { return c.ScheduleInform(600, "ten minutes") })
			h.knock()
			asked := h.session(n + 2)
			h.router.Step(-jump / 2)
			s = h.session(n + 3)
			for !s.Inform.Has("M ScheduleInform") { // a grid may have come first
				s = h.session(s.Number + 1)
			}
			if d := s.Start.Sub(asked.End).Round(time.Second); d != 10*time.Minute {
				t.Errorf("ScheduleInform of ten minutes came after %v", d)
			}
			h.router.Step(jump / 2)
			synctest.Wait()
		}
		h.acs.SetChaos(acs.Chaos{Inform: acs.Trouble{Status: 500, Times: 2}})
		n := len(h.acs.Sessions())
		h.set("Device.DeviceInfo.ProvisioningCode", "news")
		failed := h.session(n + 1)
		h.router.Step(-years(10)) // one forward would bring an event, and that does not wait
		if wait := h.session(n + 2).Start.Sub(failed.Start); wait < 5*time.Second || wait > 11*time.Second {
			t.Errorf("the retry came after %v", wait)
		}
	})
}

// TestPeriodicInformTime: the grid may have its origin long ago or far ahead;
// both name the same instants (TR-181 ManagementServer.PeriodicInformTime).
func TestPeriodicInformTime(t *testing.T) {
	for _, origin := range []string{"1970-01-01T00:25:00Z", "1999-12-31T23:25:00Z", "2000-01-01T00:25:00Z", "2099-06-01T12:25:00Z", "2099-06-01T14:25:00+02:00", "9999-12-31T23:25:00Z"} {
		t.Run(origin, func(t *testing.T) {
			story(t, acs.Options{}, everyHour(origin), func(t *testing.T, h *house) {
				h.start()
				h.session(1)
				for n := 2; n < 5; n++ {
					s := h.session(n)
					h.wantEvents(s, "2 PERIODIC")
					if at := s.Inform.CurrentTime.UTC(); at.Minute() != 25 || at.Second() != 0 || at.Hour() != n-2 {
						t.Errorf("session %d at %v", n, at)
					}
				}
			})
		})
	}
}

// TestDaylightSaving: on the nights on which the hour changes, the grid of the
// Informs, which is UTC, does not move; CurrentTime has the offset of that hour.
func TestDaylightSaving(t *testing.T) {
	const berlin = "CET-1CEST,M3.5.0,M10.5.0/3"
	for _, tt := range []struct {
		night       time.Time // two hours before the change
		before, now int       // offset in hours
	}{
		{time.Date(2027, 3, 27, 23, 0, 0, 0, time.UTC), 1, 2},
		{time.Date(2027, 10, 30, 23, 0, 0, 0, time.UTC), 2, 1},
	} {
		t.Run(tt.night.Format("January"), func(t *testing.T) {
			story(t, acs.Options{}, everyHour("2000-01-01T00:10:00Z"), func(t *testing.T, h *house) {
				h.router.Step(time.Until(tt.night))
				h.router.SetTime(platform.TimeStatus{Set: true, Synced: true, POSIX: berlin})
				h.start()
				h.session(1)
				for n := range 5 {
					s := h.session(n + 2)
					h.wantEvents(s, "2 PERIODIC")
					at := s.Inform.CurrentTime
					if want := tt.night.Add(time.Duration(n)*time.Hour + 10*time.Minute); !at.Equal(want) {
						t.Errorf("session %d at %v, want %v", s.Number, at, want)
					}
					want := tt.before
					if n >= 2 { // 01:00 UTC
						want = tt.now
					}
					if _, offset := at.Zone(); offset != want*3600 {
						t.Errorf("CurrentTime %v, want an offset of %d h", at, want)
					}
				}
			})
		})
	}
}
