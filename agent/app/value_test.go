package app_test

import (
	"errors"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"gatehouse/lab/acs"
	"gatehouse/platform/fake"
)

func itoa(n uint32) string { return strconv.FormatUint(uint64(n), 10) }

const lan1 = "Device.Ethernet.Interface.2.Status" // eth1

// watch is a script that sets the notification of parameters.
func watch(notification int, names ...string) acs.Script {
	return func(c *acs.Conversation) error {
		var as []acs.SetAttribute
		for _, n := range names {
			as = append(as, acs.Notify(n, notification))
		}
		return c.SetParameterAttributes(as...)
	}
}

// TestActive: a cable is pulled, and the ACS hears of it at once.
func TestActive(t *testing.T) {
	story(t, acs.Options{}, config(), func(t *testing.T, h *house) {
		h.acs.Queue("", watch(2, lan1))
		h.start()
		if s := h.session(1); s.Err != nil {
			t.Fatal(s.Err)
		}
		pulled := time.Now()
		h.router.SetLink("eth1", false)
		s := h.session(2)
		h.wantEvents(s, "4 VALUE CHANGE")
		if v, _ := s.Inform.Parameters.Get(lan1); v == "Up" || v == "" {
			t.Errorf("%s is %q in the Inform", lan1, v)
		}
		if d := s.Start.Sub(pulled); d > time.Second {
			t.Errorf("it took %v", d)
		}
		h.none(2, 10*time.Minute)
	})
}

// TestPassive: a passive parameter waits for the next session, whatever that
// is for.
func TestPassive(t *testing.T) {
	story(t, acs.Options{}, config(), func(t *testing.T, h *house) {
		h.acs.Queue("", watch(1, lan1))
		h.acs.Queue("", func(c *acs.Conversation) error { // in the same session
			_, err := c.SetParameterValues("", acs.P(ms+"PeriodicInformInterval", "xsd:unsignedInt", "600"),
				acs.P(ms+"PeriodicInformEnable", "xsd:boolean", "1"))
			return err
		})
		h.start()
		h.session(1)
		h.router.SetLink("eth1", false)
		s := h.session(2)
		h.wantEvents(s, "2 PERIODIC", "4 VALUE CHANGE")
		if v, ok := s.Inform.Parameters.Get(lan1); !ok || v == "Up" {
			t.Errorf("%s is %q in the Inform", lan1, v)
		}
		s = h.session(3)
		h.wantEvents(s, "2 PERIODIC")
		if _, ok := s.Inform.Parameters.Get(lan1); ok {
			t.Error("told twice")
		}
	})
}

// TestOwnChange: what the ACS sets is no news to it; what somebody else sets
// is.
func TestOwnChange(t *testing.T) {
	story(t, acs.Options{}, config(), func(t *testing.T, h *house) {
		const name = "Device.DeviceInfo.ProvisioningCode"
		h.acs.Queue("", func(c *acs.Conversation) error {
			_, err := c.SetParameterValues("", acs.P(name, "xsd:string", "by the ACS"))
			return err
		})
		h.start()
		if s := h.session(1); s.Err != nil {
			t.Fatal(s.Err)
		}
		h.none(1, time.Hour)
		h.set(name, "by hand")
		s := h.session(2)
		h.wantEvents(s, "4 VALUE CHANGE")
		if v, _ := s.Inform.Parameters.Get(name); v != "by hand" {
			t.Errorf("in the Inform: %q", v)
		}
	})
}

// TestFlaps: a link that flaps 500 times a second for ten seconds. The ACS
// hears the last state, and the sessions are bounded by how long they take and
// by the debounce, not by the flaps.
func TestFlaps(t *testing.T) {
	story(t, acs.Options{}, config(), func(t *testing.T, h *house) {
		h.acs.Queue("", watch(2, lan1))
		h.start()
		h.session(1)
		h.router.ResetDumps()
		for i := range 5000 {
			h.router.SetLink("eth1", i%2 == 0)
			time.Sleep(2 * time.Millisecond)
		}
		h.router.SetLink("eth1", false)
		time.Sleep(time.Minute)
		all := h.acs.Sessions()
		told := ""
		for _, s := range all {
			if v, ok := s.Inform.Parameters.Get(lan1); ok {
				told = v
			}
		}
		if told != h.get(lan1) || told == "Up" {
			t.Errorf("last told %q, is %q", told, h.get(lan1))
		}
		if n := len(all); n > 60 {
			t.Errorf("%d sessions", n)
		}
		if n := h.router.Dumps("links"); n > 500 {
			t.Errorf("the links were read %d times", n)
		}
	})
}

// TestHintsLost: the platform's reports fail, and a cable is pulled while
// nobody watches. The ACS hears of it all the same.
func TestHintsLost(t *testing.T) {
	story(t, acs.Options{}, config(), func(t *testing.T, h *house) {
		h.acs.Queue("", watch(2, lan1))
		h.start()
		h.session(1)
		for n := range 3 {
			h.router.FailWatch(errors.New("netlink: no buffer space available"))
			synctest.Wait()
			if h.router.Watchers() != 0 {
				t.Fatal("somebody watches")
			}
			h.router.SetLink("eth1", n%2 == 1)
			s := h.session(n + 2)
			h.wantEvents(s, "4 VALUE CHANGE")
			if v, _ := s.Inform.Parameters.Get(lan1); v != h.get(lan1) {
				t.Errorf("told %q, is %q", v, h.get(lan1))
			}
			time.Sleep(10 * time.Minute) // it is watched again by now
		}
		if h.router.Watchers() != 1 {
			t.Errorf("%d watchers", h.router.Watchers())
		}
	})
}

// TestSourceAway: a source of information does not answer. The Inform goes
// out, reading says what is missing, and nobody takes it for a change.
func TestSourceAway(t *testing.T) {
	story(t, acs.Options{}, config(), func(t *testing.T, h *house) {
		h.acs.Queue("", watch(2, lan1))
		h.start()
		h.session(1)
		h.router.FailRead(fake.Links, errors.New("timeout"))
		h.router.Overflow()
		h.none(1, time.Hour)
		h.acs.Queue("", func(c *acs.Conversation) error {
			_, err := c.GetParameterValues(lan1)
			if f := acs.FaultOf(err); f == nil || f.Code != 9002 || !strings.Contains(f.Text, "links") {
				t.Errorf("%v", err)
			}
			v, err := c.GetParameterValues("Device.DeviceInfo.")
			if len(v) < 10 {
				t.Errorf("%d values", len(v))
			}
			return err
		})
		h.knock()
		if s := h.session(2); s.Err != nil {
			t.Error(s.Err)
		}
		h.router.FailRead(fake.Links, nil)
		h.router.Overflow()
		h.none(2, time.Hour)
	})
}

// TestThrottle: DefaultActiveNotificationThrottle spares the ACS.
func TestThrottle(t *testing.T) {
	story(t, acs.Options{}, config("\toption active_notif_throttle '300'"), func(t *testing.T, h *house) {
		h.acs.Queue("", watch(2, lan1))
		h.start()
		first := h.session(1)
		h.router.SetLink("eth1", false)
		s := h.session(2)
		if d := s.Start.Sub(first.End); d < 300*time.Second || d > 302*time.Second {
			t.Errorf("the change was told after %v", d)
		}
	})
}

// TestQuietFlash: a periodic session with nothing new writes nothing to flash.
func TestQuietFlash(t *testing.T) {
	conf := config("config acs 'more'\n\toption periodic_inform_enable '1'\n\toption periodic_inform_interval '300'")
	story(t, acs.Options{}, conf, func(t *testing.T, h *house) {
		h.start()
		h.session(2)
		before := h.status().FlashWrites
		last := h.session(102)
		h.wantEvents(last, "2 PERIODIC")
		if after := h.status().FlashWrites; after != before {
			t.Errorf("%d writes to flash in 100 periodic sessions", after-before)
		}
	})
}
