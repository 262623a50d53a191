package app_test

import (
	"context"
	"errors"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"gatehouse/agent/api"
	"gatehouse/agent/app"
	"gatehouse/internal/store/storetest"
	"gatehouse/lab/acs"
)

// TestUnreadableAtTheStart: each file of the state in turn cannot be read when
// the agent starts. It starts without it, says so, refuses what needs it, and
// leaves alone what lies there: with the next start all is as it was.
func TestUnreadableAtTheStart(t *testing.T) {
	for _, file := range []string{"instances", "journal", "attributes", "settings", "configuration", "events", "told", "undo", "kept-ipv4-routes", "udp", "jid"} {
		t.Run(file, func(t *testing.T) { unreadable(t, file) })
	}
}

func unreadable(t *testing.T, file string) {
	story(t, acs.Options{}, config(), func(t *testing.T, h *house) {
		h.acs.Queue("", func(c *acs.Conversation) error {
			_, _, err1 := c.AddObject(route, "one")
			_, err2 := c.SetParameterValues("two", acs.P("Device.DeviceInfo.ProvisioningCode", "xsd:string", "kept"))
			return errors.Join(err1, err2, watch(2, lan1)(c), c.ScheduleInform(7200, "promised"))
		})
		h.start()
		if s := h.session(1); s.Err != nil {
			t.Fatal(s.Err)
		}
		h.end()
		if file == "journal" || file == "undo" || file == "udp" || file == "jid" {
			h.state.Put("/state/"+file, "gatehouse "+file+" 1\n\n")
		}
		before := h.state.Files("/state")
		if before[file] == "" {
			t.Fatalf("there is no %s among %v", file, before)
		}
		h.state.FailReads(syscall.EIO, file)
		h.ram = storetest.New()
		h.start()
		s := h.session(2)
		if !s.Inform.Has("1 BOOT") || s.Err != nil {
			t.Errorf("session with %s: %v", events(s), s.Err)
		}
		if s.Inform.Has("0 BOOTSTRAP") {
			t.Error("a BOOTSTRAP: the ACS would provision the device anew")
		}
		untold := strings.HasPrefix(file, "kept-") || file == "configuration" || file == "udp" // which is read once STUN is on
		if st := h.status(); !strings.Contains(st.StoreError, "/state/"+file) && !untold {
			t.Errorf("status says %q", st.StoreError)
		}
		h.acs.Queue("", func(c *acs.Conversation) error { return writesWithout(t, c, file) })
		h.knock()
		h.session(3)
		if now := h.state.Files("/state")[file]; now != before[file] {
			t.Errorf("written over:\n%s\nwas\n%s", now, before[file])
		}
		h.state.FailReads(nil, file)
		h.kill(storetest.PowerCut)
		h.start()
		h.acs.Queue("", func(c *acs.Conversation) error {
			if v, err := c.GetParameterValues("Device.DeviceInfo.ProvisioningCode"); err != nil || v[0].Value != "kept" && v[0].Value != "new" {
				t.Errorf("afterwards: %v %v", v, err)
			}
			if at, err := c.GetParameterAttributes(lan1); err != nil || at[0].Notification != 2 {
				t.Errorf("afterwards: %+v %v", at, err)
			}
			n, _, err := c.AddObject(route, "")
			if err != nil || n == 1 {
				t.Errorf("afterwards: row %d, %v", n, err)
			}
			return nil
		})
		h.session(4)
		h.knock()
		h.session(5)
		if s := h.session(6); !s.Inform.Has("M ScheduleInform") {
			t.Errorf("the promise of before: %s", events(s))
		}
	})
}

// writesWithout makes the write that needs the file, which must be refused, and
// another one, which need not be.
func writesWithout(t *testing.T, c *acs.Conversation, file string) error {
	var err error
	switch file {
	case "instances", "kept-ipv4-routes":
		_, _, err = c.AddObject(route, "x")
	case "journal":
		err = errOf(c.AddObject(route, "x"))
		if err == nil {
			_, err = c.SetParameterValues("x", acs.P("Device.IP.Interface.3.Enable", "xsd:boolean", "0"), acs.P("Device.DeviceInfo.ProvisioningCode", "xsd:string", "new"))
		}
	case "attributes":
		err = c.SetParameterAttributes(acs.Notify("Device.DeviceInfo.UpTime", 1))
	case "settings":
		_, err = c.SetParameterValues("x", acs.P("Device.DeviceInfo.ProvisioningCode", "xsd:string", "new"))
	case "events":
		err = c.ScheduleInform(60, "lost")
	default:
		return nil
	}
	f := acs.FaultOf(err)
	if f == nil {
		t.Errorf("what needs %s was not refused: %v", file, err)
		return nil
	}
	code := f.Code
	if code == 9003 && len(f.Parameters) > 0 {
		code = f.Parameters[0].Code
	}
	if code != 9002 && code != 9004 {
		t.Errorf("refused by %+v", f)
	}
	return nil
}

func errOf(_ uint32, _ int, err error) error { return err }

// What was unreadable for a while is taken up again when somebody writes.
func TestReadableAgain(t *testing.T) {
	story(t, acs.Options{}, config(), func(t *testing.T, h *house) {
		h.acs.Queue("", func(c *acs.Conversation) error {
			_, err := c.SetParameterValues("one", acs.P("Device.DeviceInfo.ProvisioningCode", "xsd:string", "kept"))
			return errors.Join(err, watch(2, lan1)(c), c.ScheduleInform(7200, "promised"))
		})
		h.start()
		h.session(1)
		h.end()
		h.state.FailReads(syscall.EIO, "settings", "attributes", "events")
		h.start()
		time.Sleep(time.Minute)
		h.state.FailReads(nil)
		h.acs.Queue("", func(c *acs.Conversation) error {
			_, err := c.SetParameterValues("two", acs.P(ms+"PeriodicInformInterval", "xsd:unsignedInt", "4711"))
			return errors.Join(err, c.SetParameterAttributes(acs.Notify("Device.DeviceInfo.UpTime", 1)), c.ScheduleInform(9000, "more"))
		})
		h.knock()
		if s := h.good(1); s.Err != nil {
			t.Fatal(s.Err)
		}
		h.end()
		h.boot()
		if got := h.get("Device.DeviceInfo.ProvisioningCode") + h.get(ms+"PeriodicInformInterval"); got != "kept4711" {
			t.Errorf("reads %q", got)
		}
		time.Sleep(3 * time.Hour)
		synctest.Wait()
		for _, want := range []string{"promised", "more"} {
			found := false
			for _, s := range h.acs.Sessions() {
				found = found || strings.Contains(events(s), "M ScheduleInform ["+want+"]")
			}
			if !found {
				t.Errorf("%q was not delivered", want)
			}
		}
	})
}

// A state folder that cannot even be made.
func TestNoStateFolder(t *testing.T) {
	story(t, acs.Options{}, config(), func(t *testing.T, h *house) {
		h.state.SetReadOnly(true)
		h.start()
		if s := h.session(1); s.Err != nil {
			t.Error(s.Err)
		}
		if st := h.status(); st.StoreError == "" {
			t.Error("the status says nothing")
		}
		_, err := h.agent.API().Set(context.Background(), root, []api.Assignment{{Name: "Device.DeviceInfo.ProvisioningCode", Value: "x"}}, false)
		if err == nil {
			t.Error("what cannot be kept was not refused")
		}
	})
}

// TestStartThatFails: it counts for safe mode like a crash, unless it is for the
// administrator to mend.
func TestStartThatFails(t *testing.T) {
	story(t, acs.Options{}, "config acs 'acs'\n\toption allow_http 'perhaps'\n", func(t *testing.T, h *house) {
		for range 5 {
			if err := app.Run(t.Context(), h.cfg()); err == nil {
				t.Fatal("it starts with a mistake in its configuration")
			}
		}
		write(t, h.conf, config())
		h.start()
		if h.status().SafeMode {
			t.Error("safe mode, because of a mistake in the configuration")
		}
	})
}
