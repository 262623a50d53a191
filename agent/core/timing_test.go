package core_test

import (
	"slices"
	"testing"
	"time"

	"gatehouse/agent/core"
)

func daily(t time.Time) core.Settings {
	s := settings()
	s.PeriodicEnable, s.PeriodicTime = true, t
	return s
}

// at returns the wall times of the sessions with 2 PERIODIC.
func (h *house) at() []string {
	var out []string
	for _, v := range h.visits {
		if slices.Contains(v.Events, core.Event{Code: core.Periodic}) {
			out = append(out, h.t0.Add(v.at+h.step).UTC().Format("2006-01-02 15:04:05"))
		}
	}
	h.visits = nil
	return out
}

func same(t *testing.T, what string, got, want []string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("%s: periodic at %q, want %q", what, got, want)
	}
}

// The bubble's clock starts at 2000-01-01 00:00:00 UTC.
func TestPeriodicPhase(t *testing.T) {
	for _, c := range []struct {
		name string
		ref  time.Time
		want []string
	}{
		{"in the past", time.Date(1999, 5, 1, 4, 30, 0, 0, time.UTC), []string{"2000-01-01 04:30:00", "2000-01-02 04:30:00", "2000-01-03 04:30:00"}},
		{"in the future", time.Date(2031, 5, 1, 4, 30, 0, 0, time.UTC), []string{"2000-01-01 04:30:00", "2000-01-02 04:30:00", "2000-01-03 04:30:00"}},
		{"centuries ago", time.Date(1215, 6, 15, 23, 59, 59, 0, time.UTC), []string{"2000-01-01 23:59:59", "2000-01-02 23:59:59", "2000-01-03 23:59:59"}},
		{"between two seconds", time.Date(1999, 5, 1, 4, 30, 0, 500e6, time.UTC), []string{"2000-01-01 04:30:00", "2000-01-02 04:30:00", "2000-01-03 04:30:00"}},
		{"less than a second on", time.Date(2000, 1, 1, 0, 0, 0, 500e6, time.UTC), []string{"2000-01-01 00:00:00", "2000-01-02 00:00:00", "2000-01-03 00:00:00"}},
		{"just now", time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC), []string{"2000-01-02 00:00:00", "2000-01-03 00:00:00", "2000-01-04 00:00:00"}},
	} {
		try(t, &house{set: daily(c.ref)}, func(h *house) {
			h.sleep(73 * time.Hour)
			same(t, c.name, h.at()[:3], c.want)
			h.writes(1) // that of BOOTSTRAP: a periodic session with nothing new writes nothing
			if n := h.run.saves; n > 10 {
				t.Errorf("%d writes to the file system in memory", n)
			}
		})
	}
}

func TestPeriodicAnyPhase(t *testing.T) {
	for _, ref := range []time.Time{{}, time.Date(1, 1, 1, 0, 0, 0, 0, time.UTC)} {
		h := &house{set: daily(ref)}
		h.rand = func(n int64) int64 { return n / 4 }
		try(t, h, func(h *house) {
			h.sleep(49 * time.Hour)
			same(t, "random phase", h.at(), []string{"2000-01-01 06:00:00", "2000-01-02 06:00:00"})
		})
	}
}

func TestPeriodicSettings(t *testing.T) {
	try(t, &house{set: daily(time.Date(2000, 1, 1, 0, 0, 30, 0, time.UTC))}, func(h *house) {
		h.sleep(time.Second)
		h.set.PeriodicInterval = 60
		h.ask(core.SettingsChanged{})
		h.sleep(2 * time.Minute)
		same(t, "interval", h.at(), []string{"2000-01-01 00:00:30", "2000-01-01 00:01:30"})
		h.set.PeriodicTime = h.set.PeriodicTime.Add(10 * time.Second)
		h.ask(core.SettingsChanged{})
		h.sleep(time.Minute)
		same(t, "time", h.at(), []string{"2000-01-01 00:02:40"})
		h.set.PeriodicEnable = false
		h.ask(core.SettingsChanged{})
		h.sleep(time.Hour)
		same(t, "off", h.at(), nil)
		h.set.PeriodicEnable, h.set.PeriodicInterval = true, 1
		h.ask(core.SettingsChanged{})
		h.sleep(10 * time.Second)
		if n := len(h.at()); n != 10 {
			t.Errorf("%d sessions in 10 s with an interval of 1 s", n)
		}
	})
}

func TestPeriodicOverClockSteps(t *testing.T) {
	ref := time.Date(2020, 1, 1, 6, 0, 0, 0, time.UTC)
	for _, told := range []bool{true, false} { // whether anybody tells of the step
		step := func(h *house, d time.Duration) {
			h.step += d
			if told {
				h.ask(core.ClockStepped{})
			}
		}
		try(t, &house{set: daily(ref)}, func(h *house) {
			h.sleep(7 * time.Hour) // 07:00
			same(t, "before", h.at(), []string{"2000-01-01 06:00:00"})
			step(h, -90*time.Minute) // 05:30; the slot of today has been fired
			h.sleep(2 * time.Hour)
			same(t, "small step back", h.at(), nil)
			h.sleep(24 * time.Hour)
			same(t, "the day after", h.at(), []string{"2000-01-02 06:00:00"})
			step(h, -10*365*24*time.Hour)
			h.sleep(24 * time.Hour)
			same(t, "ten years back", h.at(), []string{"1990-01-05 06:00:00"})
			step(h, 30*365*24*time.Hour+24*time.Hour)
			h.sleep(time.Hour)
			if n := len(h.at()); n != 1 {
				t.Errorf("%d sessions within an hour of a jump over thousands of slots, want 1", n)
			}
			h.sleep(24 * time.Hour)
			same(t, "thirty years on", h.at(), []string{"2019-12-31 06:00:00"})
		})
	}
}

func TestPeriodicWithoutClock(t *testing.T) {
	h := &house{set: daily(time.Date(2020, 1, 1, 6, 0, 0, 0, time.UTC)), unset: true}
	h.rand = func(n int64) int64 { return n / 8 }
	try(t, h, func(h *house) {
		h.sleep(28 * time.Hour)
		same(t, "random phase", h.at(), []string{"2000-01-01 03:00:00", "2000-01-02 03:00:00"})
		h.step, h.unset = 26*365*24*time.Hour, false
		h.ask(core.ClockStepped{})
		h.saw() // the slots of a clock that was never set mean nothing
		h.sleep(24 * time.Hour)
		same(t, "after the first setting", h.at(), []string{"2025-12-26 06:00:00"})
	})
}

func TestPeriodicUndeliveredSurvives(t *testing.T) {
	fail := false
	h := &house{set: daily(time.Date(2000, 1, 1, 1, 0, 0, 0, time.UTC)), answer: func(visit, int) core.Result {
		if fail {
			return core.Result{Err: errRefused}
		}
		return core.Result{}
	}}
	try(t, h, func(h *house) {
		h.writes(1)
		fail = true
		h.sleep(7 * 24 * time.Hour)
		h.writes(1) // a week of outage
		fail = false
		h.reboot()
		if got := list(h.visits[len(h.visits)-1].Events); got != "1 2" {
			t.Errorf("after the reboot: %q", got)
		}
		h.writes(1)
	})
}

func TestScheduleInform(t *testing.T) {
	try(t, &house{}, func(h *house) {
		h.saw("0 1")
		for _, d := range []time.Duration{0, -1, time.Millisecond, 1 << 62} {
			if err := h.request(core.ScheduleInform{Delay: d}); err == nil {
				t.Errorf("a delay of %v was accepted", d)
			}
		}
		h.ask(core.ScheduleInform{Delay: time.Hour, CommandKey: " a \"b\"\n"})
		h.ask(core.ScheduleInform{Delay: 30 * time.Minute, CommandKey: "ü"})
		h.ask(core.ScheduleInform{Delay: time.Hour, CommandKey: "c"})
		h.writes(4)
		h.sleep(30 * time.Minute)
		h.saw("3 MScheduleInform:ü")
		h.writes(1)
		h.sleep(10 * time.Minute)
		h.reboot()
		h.sleep(20*time.Minute - time.Second)
		h.saw("1")
		h.sleep(2 * time.Second)
		h.saw("3 MScheduleInform: a \"b\"\n MScheduleInform:c")
		h.writes(1)
		h.sleep(24 * time.Hour)
		h.saw()
	})
}

func TestScheduleInformOverClockSteps(t *testing.T) {
	for _, c := range []struct {
		name   string
		unset  bool
		step   time.Duration // 20 minutes after the call
		reboot time.Duration // off time of a power cut after the step; 0: none
		after  time.Duration // the step of the first setting of the clock after the boot
		want   time.Duration // after the power cut or the step
	}{
		{name: "step on", step: 1000 * time.Hour, want: 40 * time.Minute},
		{name: "step back", step: -1000 * time.Hour, want: 40 * time.Minute},
		{name: "clock set for the first time", unset: true, step: 100000 * time.Hour, want: 40 * time.Minute},
		{name: "step and power cut", step: -1000 * time.Hour, reboot: 10 * time.Minute, want: 30 * time.Minute},
		{name: "power cut, clock lost", reboot: 10 * time.Minute, after: -100000 * time.Hour, want: time.Hour},
		{name: "long power cut", reboot: 100 * time.Hour, want: 0},
	} {
		try(t, &house{unset: c.unset}, func(h *house) {
			h.ask(core.ScheduleInform{Delay: time.Hour, CommandKey: "k"})
			h.sleep(20 * time.Minute)
			h.step += c.step
			h.unset = false
			h.ask(core.ClockStepped{})
			if c.reboot > 0 {
				h.stop()
				h.sleep(c.reboot)
				h.run, h.boot = file{}, "next"
				h.step += c.after
				h.start()
			}
			h.visits = nil
			if c.want > 0 {
				h.sleep(c.want - 2*time.Second)
				for _, v := range h.visits {
					t.Errorf("%s: too early: %v", c.name, v)
				}
			}
			h.sleep(4 * time.Second)
			if s := h.agent.Status(); len(h.visits) == 0 && c.want > 0 || len(s.Pending) > 0 {
				t.Errorf("%s: not in time: %+v", c.name, s)
			}
		})
	}
}

func TestScheduledKeptOverOutage(t *testing.T) {
	fail := true
	h := &house{answer: func(visit, int) core.Result {
		if fail {
			return core.Result{Err: errRefused}
		}
		return core.Result{}
	}}
	h.flash = file{there: true, text: []byte("contacted \"" + hub + "\"\n")}
	try(t, h, func(h *house) {
		h.ask(core.ScheduleInform{Delay: time.Minute, CommandKey: "k"})
		h.sleep(time.Hour)
		h.reboot()
		h.sleep(time.Hour)
		h.writes(1)
		fail, h.visits = false, nil
		h.reboot()
		h.saw("1 3 MScheduleInform:k")
		h.writes(1)
	})
}
