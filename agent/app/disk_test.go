package app_test

import (
	"errors"
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
