package core_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"gatehouse/agent/core"
)

func TestReboot(t *testing.T) {
	h := &house{last: 10 * time.Second}
	h.inside = func(ctx context.Context, n int) {
		if n == 0 {
			h.say(core.Reboot{CommandKey: "one"})
			h.say(core.Reboot{CommandKey: "two"})
			h.say(core.Reboot{CommandKey: "two"})
		}
	}
	try(t, h, func(h *house) {
		h.sleep(9 * time.Second)
		if len(h.restarts) > 0 {
			t.Error("restart before the end of the session")
		}
		h.sleep(2 * time.Second)
		if !slices.Equal(h.restarts, []bool{false}) || h.agent.Status().State != core.Rebooting {
			t.Errorf("restarts %v, status %+v", h.restarts, h.agent.Status())
		}
		h.ask(core.ConnectionRequest{})
		h.saw("0 1")
		h.reboot()
		h.sleep(time.Minute)
		h.saw("1 MReboot:one MReboot:two MReboot:two")
		h.writes(5) // BOOTSTRAP, three promises, their delivery
		if len(h.restarts) != 1 {
			t.Errorf("restarts %v", h.restarts)
		}
	})
}

// What has happened during the last session is not lost with the file system
// in memory.
func TestRebootKeepsWhatIsNew(t *testing.T) {
	h := &house{set: daily(time.Date(2000, 1, 1, 0, 0, 5, 0, time.UTC)), last: 10 * time.Second}
	h.inside = func(_ context.Context, n int) {
		if n == 0 {
			h.say(core.Reboot{CommandKey: "k"})
		}
	}
	try(t, h, func(h *house) {
		h.sleep(11 * time.Second)
		flash := h.flash
		h.stop()
		h.flash, h.run, h.boot = flash, file{}, "next" // nothing was written on the way down
		h.start()
		h.saw("0 1", "1 2 MReboot:k")
	})
}

// The process dies after the promise, before the device restarts: the boot id
// tells, and the promise is kept.
func TestRebootPromisedAndKilled(t *testing.T) {
	h := &house{}
	h.flash = file{there: true, text: []byte("contacted \"" + hub + "\"\nreboot \"boot-1\" \"k\"\n")}
	h.run = file{there: true, text: []byte("boot \"boot-1\"\ntold\n")}
	try(t, h, func(h *house) {
		h.saw()
		if len(h.restarts) != 1 {
			t.Errorf("restarts %v", h.restarts)
		}
		h.reboot()
		h.saw("1 MReboot:k")
	})
}

// A container that keeps its boot id must not restart for ever.
func TestRebootWithoutNewBootID(t *testing.T) {
	for _, keep := range []bool{true, false} {
		h := &house{}
		try(t, h, func(h *house) {
			h.ask(core.Reboot{CommandKey: "k"})
			for range 10 {
				h.stop()
				if !keep {
					h.run = file{}
				}
				h.start()
			}
			var all []string
			for _, v := range h.visits {
				all = append(all, list(v.Events))
			}
			if n := len(h.restarts); n > 3 || strings.Count(fmt.Sprint(all), "MReboot:k") != 1 {
				t.Errorf("keep %v: %d restarts, sessions %q", keep, n, all)
			}
		})
	}
}

func TestRestartRefused(t *testing.T) {
	h := &house{refuse: errors.New("no way")}
	try(t, h, func(h *house) {
		h.ask(core.Reboot{CommandKey: "k"})
		h.sleep(30 * time.Second)
		h.ask(core.ConnectionRequest{}) // life goes on
		h.saw("0 1", "6")
		h.sleep(10 * time.Hour)
		if n := len(h.restarts); n < 10 || n > 20 {
			t.Errorf("%d attempts in ten hours", n)
		}
		h.refuse = nil
		for n := len(h.restarts); len(h.restarts) == n && h.agent.Status().RetryCount == 0; {
			h.sleep(time.Minute)
		}
		if h.agent.Status().State != core.Rebooting {
			t.Errorf("status %+v", h.agent.Status())
		}
	})
}

func TestRestartThatDoesNotHappen(t *testing.T) {
	try(t, &house{}, func(h *house) {
		h.ask(core.Reboot{})
		h.sleep(5*time.Minute + time.Second)
		if s := h.agent.Status(); s.State == core.Rebooting || !strings.Contains(s.LastError, "still up") {
			t.Errorf("status %+v", s)
		}
		h.sleep(time.Minute)
		if len(h.restarts) != 2 {
			t.Errorf("restarts %v", h.restarts)
		}
	})
}

func TestFactoryReset(t *testing.T) {
	h := &house{last: time.Second}
	h.inside = func(ctx context.Context, n int) {
		if n == 0 {
			h.say(core.ScheduleInform{Delay: time.Hour, CommandKey: "gone"})
			h.say(core.Reboot{CommandKey: "gone"})
			h.say(core.FactoryReset{})
		}
	}
	try(t, h, func(h *house) {
		h.sleep(10 * time.Second)
		if h.wipes != 1 || !slices.Equal(h.restarts, []bool{true}) {
			t.Errorf("wipes %d, restarts %v", h.wipes, h.restarts)
		}
		h.saw("0 1")
		h.reboot()
		h.sleep(2 * time.Hour)
		h.saw("0 1")
		if h.wipes != 1 || len(h.restarts) != 1 {
			t.Errorf("wipes %d, restarts %v", h.wipes, h.restarts)
		}
	})
}

func TestFactoryResetInterrupted(t *testing.T) {
	h := &house{}
	h.flash = file{there: true, text: []byte("contacted \"" + hub + "\"\nwipe\n")}
	try(t, h, func(h *house) {
		if h.wipes != 1 || !slices.Equal(h.restarts, []bool{true}) {
			t.Errorf("wipes %d, restarts %v", h.wipes, h.restarts)
		}
		h.reboot()
		h.saw("0 1")
	})
}

func TestDelayReboot(t *testing.T) {
	h := &house{set: settings()}
	h.inside = func(ctx context.Context, n int) {
		if n == 0 {
			h.set.DelayReboot = 60
			h.say(core.SettingsChanged{})
		}
	}
	h.last = 5 * time.Minute
	try(t, h, func(h *house) {
		h.sleep(5*time.Minute + 59*time.Second)
		if len(h.restarts) != 0 {
			t.Error("too early")
		}
		h.sleep(2 * time.Second)
		if len(h.restarts) != 1 {
			t.Error("not in time")
		}
		h.set.DelayReboot = -1
		h.reboot()
		h.sleep(time.Hour)
		h.saw("0 1", "1")
	})
}

func TestScheduleReboot(t *testing.T) {
	h := &house{set: settings(), unset: true}
	h.set.ScheduleReboot = time.Date(2026, 1, 1, 3, 0, 0, 0, time.UTC)
	try(t, h, func(h *house) {
		h.sleep(time.Hour)
		h.step, h.unset = time.Until(time.Date(2026, 1, 1, 2, 30, 0, 0, time.UTC)), false
		h.ask(core.ClockStepped{})
		h.sleep(29 * time.Minute)
		if len(h.restarts) != 0 {
			t.Error("too early")
		}
		h.last = 10 * time.Minute
		h.sleep(50 * time.Second)
		h.ask(core.ConnectionRequest{})
		h.sleep(9 * time.Minute)
		if len(h.restarts) != 0 {
			t.Error("during a session")
		}
		h.sleep(2 * time.Minute)
		if len(h.restarts) != 1 {
			t.Error("not after the session")
		}
		h.reboot()
		h.sleep(48 * time.Hour)
		if len(h.restarts) != 1 {
			t.Error("again")
		}
	})
}

// What waits for the end of a session is done once, however often it was asked
// for, and before the device restarts or another session begins.
func TestAfter(t *testing.T) {
	h := &house{last: time.Second, failing: errors.New("dns: exit 1")}
	h.inside = func(ctx context.Context, n int) {
		if n > 0 {
			return
		}
		for range 10 {
			h.say(core.After{})
		}
		h.say(core.Reboot{})
	}
	try(t, h, func(h *house) {
		if len(h.after) != 0 {
			t.Error("before the end of the session")
		}
		h.sleep(2 * time.Second)
		if fmt.Sprint(h.after) != "[1s]" || len(h.restarts) != 1 || h.agent.Status().LastError != "Dns: exit 1." {
			t.Errorf("done at %v, restarts %v, %+v", h.after, h.restarts, h.agent.Status())
		}
	})
	try(t, &house{}, func(h *house) {
		h.ask(core.After{})
		if len(h.after) != 1 {
			t.Errorf("without a session: done at %v", h.after)
		}
	})
	try(t, &house{left: true, last: time.Second}, func(h *house) {
		if fmt.Sprint(h.after) != "[0s]" {
			t.Errorf("left by another process: done at %v", h.after)
		}
		h.sleep(time.Minute)
		h.saw("0 1")
	})
}

func TestFullDisk(t *testing.T) {
	try(t, &house{}, func(h *house) {
		h.flash.fail = errors.New("no space left on device")
		for _, m := range []core.Message{core.Reboot{CommandKey: "k"}, core.ScheduleInform{Delay: time.Second}, core.FactoryReset{},
			core.Inform{Events: []core.Event{{Code: core.TransferComplete}}}} {
			if err := h.request(m); !errors.Is(err, h.flash.fail) {
				t.Errorf("%T: %v", m, err)
			}
		}
		h.ask(core.ConnectionRequest{}) // promises nothing
		if s := h.agent.Status(); s.StoreError != "No space left on device." {
			t.Errorf("status %+v", s)
		}
		h.flash.tries = 0
		for range 100 {
			h.ask(core.ValueChange{})
		}
		if h.flash.tries > 0 {
			t.Errorf("%d attempts to save within an instant", h.flash.tries)
		}
		h.visits = h.visits[:2]
		h.flash.fail = nil
		h.sleep(time.Hour)
		h.saw("0 1", "6")
		if s := h.agent.Status(); s.StoreError != "" || len(h.restarts) > 0 || h.wipes > 0 {
			t.Errorf("status %+v", s)
		}
		h.stop()
		h.start()
		h.saw()
	})
}

func TestDamagedState(t *testing.T) {
	h := &house{}
	h.flash = file{there: true, text: []byte("contacted \"" + hub + "\"\nevent \"2\n\x00\xff\ninform x 1 \"\"\ninform 2000-01-01T00:00:00Z -1 \"\"\nnews\n\nevent \"2 PERIODIC\" \"\"\nreboot")}
	h.run = file{there: true, text: []byte("boot \"boot-1\"\ntold\nretry x\nnotbefore\n")}
	try(t, h, func(h *house) { h.saw("2") })
}

// Whatever instant the power fails or the process is killed at, what was
// promised is delivered, and what was delivered does not come again.
func TestCrashBetweenAnyTwoSaves(t *testing.T) {
	type instant struct {
		flash, run file
		promised   []string // answered to the ACS
		arrived    []string // the InformResponse arrived
		told       []string // and informed has returned
	}
	var crashes []instant
	h := &house{set: daily(time.Date(2000, 1, 1, 0, 10, 0, 0, time.UTC)), last: time.Second}
	var promised, arrived, told []string
	snap := func() {
		crashes = append(crashes, instant{h.flash, h.run, slices.Clone(promised), slices.Clone(arrived), slices.Clone(told)})
	}
	h.flash.saved, h.run.saved = snap, snap
	h.answer = func(v visit, n int) core.Result {
		if n%3 == 1 {
			return core.Result{Err: errRefused}
		}
		return core.Result{}
	}
	promise := func(what string, m core.Message) {
		h.say(m)
		promised = append(promised, what)
		snap()
	}
	h.arrived = func(v visit) { arrived = append(arrived, strings.Fields(list(v.Events))...) }
	h.inside = func(ctx context.Context, n int) {
		if n%3 != 1 {
			told = slices.Clone(arrived)
			snap()
		}
		switch n {
		case 0:
			promise("MScheduleInform:s1", core.ScheduleInform{Delay: 5 * time.Minute, CommandKey: "s1"})
			promise("MScheduleInform:s2", core.ScheduleInform{Delay: 20 * time.Minute, CommandKey: "s2"})
		case 4:
			promise("8", core.Inform{Events: []core.Event{{Code: core.DiagnosticsComplete}}})
			promise("MReboot:r1", core.Reboot{CommandKey: "r1"})
			promise("MReboot:r2", core.Reboot{CommandKey: "r2"})
		}
	}
	try(t, h, func(h *house) { h.sleep(2 * time.Hour) })
	if len(crashes) < 15 {
		t.Fatalf("only %d instants", len(crashes))
	}
	for i, c := range crashes {
		for _, power := range []bool{false, true} {
			crash(t, fmt.Sprintf("instant %d, power cut %v", i, power), c.flash.text, c.run.text, power, c.promised, c.arrived, c.told)
		}
	}
}

// crash starts an agent on what lay on disk, restarts the device when it
// wants to, and checks what it tells the ACS from then on.
func crash(t *testing.T, name string, flash, run []byte, power bool, promised, arrived, told []string) {
	t.Helper()
	h := &house{set: daily(time.Date(2000, 1, 1, 0, 10, 0, 0, time.UTC))}
	h.flash = file{text: flash, there: flash != nil}
	h.run = file{text: run, there: run != nil}
	if power {
		h.run, h.boot = file{}, "other"
	}
	synctest.Test(t, func(t *testing.T) {
		h.t, h.t0 = t, time.Now()
		h.mu.Lock()
		defer h.mu.Unlock()
		if h.boot == "" {
			h.boot = "boot-1"
		}
		h.start()
		for range 4 {
			h.sleep(time.Hour)
			if h.agent.Status().State == core.Rebooting {
				h.reboot()
			}
		}
		h.stop()
	})
	var all []string
	for _, v := range h.visits {
		all = append(all, strings.Fields(list(v.Events))...)
	}
	for _, p := range promised {
		if p == "8" && power || slices.Contains(arrived, p) {
			continue
		}
		if !slices.Contains(all, p) {
			t.Errorf("%s: %s was promised and never delivered; told before %q, after %q", name, p, arrived, all)
		}
	}
	for _, k := range told {
		if (k[0] == 'M' || k == "0") && slices.Contains(all, k) {
			t.Errorf("%s: %s was delivered before, and again: %q", name, k, all)
		}
	}
}

// A DelayReboot that cannot be put back to -1 after its reboot, because the
// flash has become read-only, must not make the device restart for ever. A new
// one counts.
func TestDelayRebootThatStays(t *testing.T) {
	h := &house{set: settings(), stuck: errors.New("read-only file system")}
	h.set.DelayReboot = 60
	try(t, h, func(h *house) {
		h.sleep(time.Hour)
		h.stop() // the process, not the device
		h.start()
		h.sleep(time.Hour)
		if len(h.restarts) > 0 {
			t.Fatalf("%d restarts by what an earlier boot was asked for", len(h.restarts))
		}
		h.set.DelayReboot = 30
		h.ask(core.SettingsChanged{})
		h.sleep(31 * time.Second)
		if len(h.restarts) != 1 {
			t.Errorf("%d restarts, want 1", len(h.restarts))
		}
	})
}
