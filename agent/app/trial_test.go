package app_test

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"gatehouse/internal/store/storetest"
	"gatehouse/lab/acs"
	"gatehouse/lab/pipe"
)

// cut lets the network be gone when it has taken up another protocol than dhcp.
func (s *services) cut(h *house, how func()) {
	s.up = func(service string) {
		if service != "network" {
			return
		}
		h.net.Set(acsIP, pipe.Open)
		if s.get("network.proto") != "dhcp" {
			how()
		}
	}
}

func TestWanCutByASetComesBack(t *testing.T) {
	home(t, func(t *testing.T, h *house, s *services) {
		s.cut(h, func() { h.net.Set(acsIP, pipe.Drop) })
		h.sets(protoPath, "static", ssidPath, "with it")
		if h.state.Files("/state")["undo"] == "" {
			t.Error("nothing on flash to take it back by")
		}
		time.Sleep(2 * time.Minute)
		synctest.Wait()
		if s.get("network.proto") != "static" {
			t.Error("taken back too early")
		}
		told := h.session(3)
		h.wantEvents(told, "4 VALUE CHANGE")
		if s.get("network.proto") != "dhcp" || s.running["network.proto"] != "dhcp" || s.get("wireless.ssid") != "home" || s.running["wireless.ssid"] != "home" {
			t.Errorf("files %v\nrunning %v", s.files, s.running)
		}
		if got := h.get(ms + "ParameterKey"); got != "" {
			t.Errorf("ParameterKey %q", got)
		}
		if st := h.status(); !strings.Contains(st.TakenBack, "could not be reached") {
			t.Errorf("status %q", st.TakenBack)
		}
		if f := h.state.Files("/state"); f["undo"] != "" {
			t.Errorf("still on flash: %q", f["undo"])
		}
		h.none(3, 10*time.Minute)
	})
}

// Without a session under way the ACS is looked for soon, and then all is over.
func TestWanThatStaysIsNoReasonToUndo(t *testing.T) {
	home(t, func(t *testing.T, h *house, s *services) {
		h.sets(protoPath, "static")
		time.Sleep(5 * time.Second)
		synctest.Wait()
		if f := h.state.Files("/state"); f["undo"] != "" {
			t.Errorf("the ACS is there, and still on flash: %q", f["undo"])
		}
		h.net.Set(acsIP, pipe.Drop)
		time.Sleep(time.Hour)
		synctest.Wait()
		if s.get("network.proto") != "static" {
			t.Error("taken back, long after it had proved good")
		}
	})
}

func TestAcsDownIsNoReasonToUndo(t *testing.T) {
	for name, down := range map[string]func(h *house){
		"refuses": func(h *house) { h.net.Set(acsIP, pipe.Refuse) },
		"503":     func(h *house) { h.acs.SetChaos(acs.Chaos{Inform: acs.Trouble{Status: 503, Times: 100}}) },
	} {
		t.Run(name, func(t *testing.T) {
			home(t, func(t *testing.T, h *house, s *services) {
				s.cut(h, func() { down(h) })
				h.sets(protoPath, "static")
				time.Sleep(time.Hour)
				synctest.Wait()
				if s.get("network.proto") != "static" {
					t.Error("taken back")
				}
			})
		})
	}
}

// A way that was not good before a change proves nothing against it.
func TestNoWayBeforeTheChange(t *testing.T) {
	home(t, func(t *testing.T, h *house, s *services) {
		h.net.Set(acsIP, pipe.Drop)
		if err := h.agent.API().Inform(context.Background(), root, ""); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		h.set(protoPath, "static")
		time.Sleep(time.Hour)
		synctest.Wait()
		if s.get("network.proto") != "static" {
			t.Error("taken back")
		}
	})
}

// A cable that is pulled is no fault of the change.
func TestCablePulledWhileWaiting(t *testing.T) {
	home(t, func(t *testing.T, h *house, s *services) {
		s.cut(h, func() {
			h.net.Set(acsIP, pipe.Drop)
			h.router.SetLink("eth0", false)
		})
		h.sets(protoPath, "static")
		time.Sleep(time.Hour)
		synctest.Wait()
		if s.get("network.proto") != "static" {
			t.Error("taken back while the cable was out")
		}
		h.router.SetLink("eth0", true)
		time.Sleep(4 * time.Minute)
		synctest.Wait()
		if s.get("network.proto") != "dhcp" {
			t.Error("not taken back with the cable in")
		}
	})
}

// The memory of what cuts the router off outlives the power cut that a
// desperate customer makes.
func TestPowerCutWhileWaiting(t *testing.T) {
	home(t, func(t *testing.T, h *house, s *services) {
		h.broken = []string{string(acs.RuleConnection)}
		s.cut(h, func() { h.net.Set(acsIP, pipe.Drop) })
		h.sets(protoPath, "static")
		time.Sleep(time.Minute)
		n := len(h.acs.Sessions()) // one may have told of a change before the way was cut
		h.kill(storetest.PowerCut)
		h.start()
		s.graft(h)
		time.Sleep(4 * time.Minute)
		synctest.Wait()
		if s.get("network.proto") != "dhcp" {
			t.Error("not taken back")
		}
		if told := h.session(n + 1); !told.Inform.Has("1 BOOT") {
			t.Errorf("events %s", events(told))
		}
	})
}

// A change of the kernel's network counts as well, at once.
func TestAddressThatCutsTheWanComesBack(t *testing.T) {
	home(t, func(t *testing.T, h *house, s *services) {
		const wan = "Device.IP.Interface.2.Enable"
		if got := h.get("Device.IP.Interface.2.Name"); got != "eth0" {
			t.Fatalf("interface 2 is %s", got)
		}
		h.acs.Queue("", func(c *acs.Conversation) error {
			_, err := c.SetParameterValues("k", acs.P(wan, "xsd:boolean", "0"))
			return err
		})
		h.knock()
		h.session(2)
		h.net.Set(acsIP, pipe.Drop)
		time.Sleep(time.Minute)
		if h.get(wan) != "false" {
			t.Fatal("it was never switched off")
		}
		time.Sleep(4 * time.Minute)
		synctest.Wait()
		if h.get(wan) != "true" {
			t.Error("it stays off")
		}
	})
}
