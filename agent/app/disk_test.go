package app_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"gatehouse/internal/store/storetest"
	"gatehouse/lab/acs"
)

const route = "Device.Routing.Router.1.IPv4Forwarding."

// TestBadDisk: the flash becomes read-only, or full. The agent lives and
// answers, refuses what it cannot keep, and what it had promised is there when
// the disk is good again.
func TestBadDisk(t *testing.T) {
	for name, bad := range map[string]struct {
		set  func(*storetest.FS, bool)
		code int
	}{
		"read-only": {(*storetest.FS).SetReadOnly, 9002},
		"full":      {(*storetest.FS).SetFull, 9004},
	} {
		t.Run(name, func(t *testing.T) {
			story(t, acs.Options{}, config(), func(t *testing.T, h *house) {
				h.acs.Queue("", func(c *acs.Conversation) error {
					return errors.Join(watch(2, lan1)(c), c.ScheduleInform(7200, "promised"))
				})
				h.start()
				if s := h.session(1); s.Err != nil {
					t.Fatal(s.Err)
				}
				bad.set(h.state, true)
				h.acs.Queue("", func(c *acs.Conversation) error { return onBadDisk(t, c, bad.code) })
				h.knock()
				if s := h.session(2); s.Err != nil {
					t.Errorf("%v", s.Err)
				}
				h.router.SetLink("eth1", false) // and news are told
				h.wantEvents(h.session(3), "4 VALUE CHANGE")
				if got := h.get("Device.DeviceInfo.ProvisioningCode"); got != "" {
					t.Errorf("refused, and there: %q", got)
				}
				bad.set(h.state, false)
				h.kill(storetest.PowerCut)
				h.start()
				if s := h.session(4); !s.Inform.Has("1 BOOT") || s.Inform.Has("0 BOOTSTRAP") {
					t.Errorf("after the power cut: %s", events(s))
				}
				h.wantEvents(h.session(5), "3 SCHEDULED", "M ScheduleInform [promised]")
			})
		})
	}
}

func onBadDisk(t *testing.T, c *acs.Conversation, code int) error {
	v, err := c.GetParameterValues("Device.DeviceInfo.", "Device.Ethernet.")
	if err != nil || len(v) < 20 {
		t.Errorf("reading: %d values, %v", len(v), err)
	}
	_, err1 := c.SetParameterValues("lost", acs.P("Device.DeviceInfo.ProvisioningCode", "xsd:string", "lost"))
	_, _, err2 := c.AddObject(route, "lost")
	err3 := c.SetParameterAttributes(acs.Notify("Device.Ethernet.Interface.3.Status", 2))
	err4 := c.ScheduleInform(60, "lost")
	err5 := c.Reboot("lost")
	for i, err := range []error{err1, err2, err3, err4, err5} {
		f := acs.FaultOf(err)
		if f == nil {
			t.Errorf("write %d: %v", i+1, err)
			continue
		}
		got := f.Code
		if got == 9003 && len(f.Parameters) > 0 {
			got = f.Parameters[0].Code
		}
		if got != code {
			t.Errorf("write %d: fault %+v, want %d", i+1, f, code)
		}
	}
	return nil
}

// TestBadDiskFromTheStart: a flash that can never be written. The agent lives
// with what it has in memory.
func TestBadDiskFromTheStart(t *testing.T) {
	story(t, acs.Options{}, config(), func(t *testing.T, h *house) {
		h.state.Put("/state/x", "")
		h.state.SetReadOnly(true)
		h.acs.Queue("", func(c *acs.Conversation) error {
			v, err := c.GetParameterValues("Device.")
			if len(v) < 300 {
				t.Errorf("%d values", len(v))
			}
			return err
		})
		h.start()
		s := h.session(1)
		h.wantEvents(s, "0 BOOTSTRAP", "1 BOOT")
		if s.Err != nil {
			t.Error(s.Err)
		}
		if r := h.knock(); !r.OK() {
			t.Errorf("%+v", r)
		}
		h.wantEvents(h.session(2), "6 CONNECTION REQUEST")
		if st := h.status(); st.StoreError == "" {
			t.Errorf("%+v", st)
		}
	})
}

// TestKillAtEachWrite: kill -9 and power cuts before and after every single
// write of a session that sets, adds and changes attributes. What the ACS was
// answered is there afterwards, and what it was not answered is there whole or
// not at all.
func TestKillAtEachWrite(t *testing.T) {
	calls := killedAt(t, -1, storetest.Fault{}, storetest.PowerCut)
	if calls == 0 {
		t.Fatal("nothing was written")
	}
	// internal/store tries every combination at every call of one Save.
	for _, c := range []struct {
		loss  storetest.Loss
		fault storetest.Fault
		every int
	}{
		{storetest.Kill, storetest.Fault{}, 1},
		{storetest.Kill, storetest.Fault{Torn: true}, 4},
		{storetest.PowerCut, storetest.Fault{}, 1},
		{storetest.PowerCut, storetest.Fault{After: true}, 2},
		{storetest.EntryFirst, storetest.Fault{}, 3},
		{storetest.EntryTorn, storetest.Fault{After: true}, 3},
	} {
		for n := 0; n < calls; n += c.every {
			killedAt(t, n, c.fault, c.loss)
			if t.Failed() {
				t.Fatalf("%v at call %d, fault %+v", c.loss, n, c.fault)
			}
		}
	}
}

// killedAt plays the session, stops the machine at the n-th call from its
// start on, and looks at what the next agent finds. It returns how many calls
// there were.
func killedAt(t *testing.T, n int, fault storetest.Fault, loss storetest.Loss) (calls int) {
	t.Helper()
	story(t, acs.Options{}, config(), func(t *testing.T, h *house) {
		h.broken = []string{string(acs.RuleConnection), string(acs.RuleCookie)}
		h.start()
		h.session(1)
		first := len(h.state.Calls())
		if n >= 0 {
			h.state.Inject(first+n, fault)
		}
		var done answers
		h.acs.Queue("", done.play)
		h.knock()
		h.session(2)
		calls = len(h.state.Calls()) - first
		h.kill(loss)
		var found finding
		h.acs.Queue("", found.look)
		h.start()
		if loss == storetest.Kill { // the same boot: nothing to tell, so somebody calls
			if err := h.agent.API().Inform(context.Background(), root, ""); err != nil {
				t.Fatal(err)
			}
		}
		s := h.good(2)
		if s.Inform.Has("1 BOOT") != (loss != storetest.Kill) || s.Inform.Has("0 BOOTSTRAP") {
			t.Errorf("events %s", events(s))
		}
		for _, problem := range found.against(done) {
			t.Error(problem)
		}
	})
	return calls
}

// answers is what the ACS was promised in the session that is cut short.
type answers struct {
	set, added, attribute, changed, scheduled bool
	row                                       uint32
}

func (a *answers) play(c *acs.Conversation) error {
	_, err := c.SetParameterValues("one", acs.P("Device.DeviceInfo.ProvisioningCode", "xsd:string", "one"),
		acs.P(ms+"PeriodicInformInterval", "xsd:unsignedInt", "4711"))
	if a.set = err == nil; !a.set {
		return err
	}
	a.row, _, err = c.AddObject(ms+"InformParameter.", "two")
	if a.added = err == nil; !a.added {
		return err
	}
	if err = c.SetParameterAttributes(acs.Notify(lan1, 2)); err != nil {
		return err
	}
	a.attribute = true
	row := fmt.Sprintf("%sInformParameter.%d.", ms, a.row)
	_, err = c.SetParameterValues("three", acs.P(row+"ParameterName", "xsd:string", lan1), acs.P(row+"Enable", "xsd:boolean", "1"))
	if a.changed = err == nil; !a.changed {
		return err
	}
	err = c.ScheduleInform(86400, "four")
	a.scheduled = err == nil
	return err
}

// finding is what the ACS reads from the next agent.
type finding struct {
	values    map[string]string
	attribute int
}

func (f *finding) look(c *acs.Conversation) error {
	v, err := c.GetParameterValues("Device.DeviceInfo.ProvisioningCode", ms)
	if err != nil {
		return err
	}
	f.values = v.Map()
	at, err := c.GetParameterAttributes(lan1)
	if err == nil {
		f.attribute = at[0].Notification
	}
	return err
}

func (f *finding) against(a answers) (problems []string) {
	wrong := func(format string, args ...any) { problems = append(problems, fmt.Sprintf(format, args...)) }
	key := f.values[ms+"ParameterKey"]
	code, interval := f.values["Device.DeviceInfo.ProvisioningCode"], f.values[ms+"PeriodicInformInterval"]
	switch {
	case a.set && (code != "one" || interval != "4711"):
		wrong("set: %q and %s, key %q", code, interval, key)
	case (code == "one") != (interval == "4711") || (code == "one") != (key != ""):
		wrong("set by half: %q and %s, key %q", code, interval, key)
	}
	row := fmt.Sprintf("%sInformParameter.%d.", ms, max(a.row, 1))
	_, there := f.values[row+"Enable"]
	switch {
	case a.added && !there:
		wrong("added row %d is gone, key %q", a.row, key)
	case there != (key == "two" || key == "three"):
		wrong("row there %v, key %q", there, key)
	}
	if a.attribute && f.attribute != 2 {
		wrong("attribute %d", f.attribute)
	}
	name, on := f.values[row+"ParameterName"] == lan1, f.values[row+"Enable"] == "true" || f.values[row+"Enable"] == "1"
	if a.changed && !name || name != on || name != (key == "three") {
		wrong("row named %v, enabled %v, key %q", name, on, key)
	}
	return problems
}

// TestDamagedState: state that cannot be read is set aside, and the agent
// begins without it.
func TestDamagedState(t *testing.T) {
	story(t, acs.Options{}, config(), func(t *testing.T, h *house) {
		h.start()
		h.session(1)
		h.end()
		for name := range h.state.Files("/state") {
			h.state.Put("/state/"+name, "gatehouse "+name+" 1 00000000\nrubbish\n")
		}
		h.start()
		s := h.session(2)
		h.wantEvents(s, "0 BOOTSTRAP")
		aside := 0
		for name := range h.state.Files("/state") {
			if strings.HasSuffix(name, ".damaged") {
				aside++
			}
		}
		if aside == 0 {
			t.Error("nothing was set aside")
		}
		synctest.Wait()
		time.Sleep(time.Second)
	})
}
