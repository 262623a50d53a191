package app_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"gatehouse/agent/api"
	"gatehouse/internal/store/storetest"
	"gatehouse/lab/acs"
	"gatehouse/platform"
)

// home is a story of a router with such services, after its first session.
func home(t *testing.T, f func(t *testing.T, h *house, s *services)) {
	t.Helper()
	story(t, acs.Options{}, config(), func(t *testing.T, h *house) {
		s := newServices()
		h.edit = func(c *appConfig) { c.Platform.Config = s }
		h.start()
		s.graft(h)
		if one := h.session(1); one.Err != nil {
			t.Fatal(one.Err)
		}
		f(t, h, s)
	})
}

// sets writes strings in one session of the ACS, one call each; pairs of path
// and value. Each must be answered by Status 1.
func (h *house) sets(pairs ...string) *acs.Session {
	h.t.Helper()
	n := len(h.acs.Sessions())
	h.acs.Queue("", func(c *acs.Conversation) error {
		for i := 0; i < len(pairs); i += 2 {
			status, err := c.SetParameterValues(fmt.Sprint("key", i/2), acs.P(pairs[i], "xsd:string", pairs[i+1]))
			if err != nil || status != 1 {
				return fmt.Errorf("%s: status %d, %w", pairs[i], status, err)
			}
		}
		return nil
	})
	h.knock()
	s := h.session(n + 1)
	if s.Err != nil {
		h.t.Fatalf("the session of the sets: %v", s.Err)
	}
	return s
}

// Ten sets in one session reload the service once, after it.
func TestTenSetsReloadOnce(t *testing.T) {
	home(t, func(t *testing.T, h *house, s *services) {
		var pairs []string
		for i := range 10 {
			pairs = append(pairs, ssidPath, fmt.Sprint("ssid", i))
		}
		h.sets(pairs...)
		if got := s.reloaded(); got != "wireless" {
			t.Errorf("reloaded %q", got)
		}
		if h.get(ssidPath) != "ssid9" || s.running["wireless.ssid"] != "ssid9" {
			t.Errorf("reads %q, runs %q", h.get(ssidPath), s.running["wireless.ssid"])
		}
		h.none(2, 10*time.Minute) // what the ACS has set is no news to it
		if files := h.ram.Files("/run"); files["after"] != "" {
			t.Errorf("still remembered: %q", files["after"])
		}
	})
}

// At a door there is no session to wait for.
func TestSetAtADoorReloadsAtOnce(t *testing.T) {
	home(t, func(t *testing.T, h *house, s *services) {
		deferred, err := h.agent.API().Set(context.Background(), root, []api.Assignment{{Name: ssidPath, Value: "lan"}}, false)
		if err != nil || !deferred {
			t.Fatalf("%v %v", deferred, err)
		}
		synctest.Wait()
		if got := s.reloaded(); got != "wireless" {
			t.Errorf("reloaded %q", got)
		}
	})
}

// A process that dies between the commit and the end of the session has left
// word of what is to be reloaded.
func TestKilledBeforeTheReload(t *testing.T) {
	home(t, func(t *testing.T, h *house, s *services) {
		h.broken = []string{string(acs.RuleConnection), string(acs.RuleCookie)}
		h.acs.Queue("", func(c *acs.Conversation) error {
			if _, err := c.SetParameterValues("k", acs.P(ssidPath, "xsd:string", "new")); err != nil {
				return err
			}
			time.Sleep(20 * time.Second) // it is killed meanwhile
			return nil
		})
		h.knock()
		time.Sleep(10 * time.Second)
		synctest.Wait()
		if got := s.reloaded(); got != "" {
			t.Fatalf("reloaded %q within the session", got)
		}
		h.kill(storetest.Kill)
		s.forget() // what the process did after its death
		h.start()
		if got := s.reloaded(); got != "wireless" {
			t.Errorf("the next process reloaded %q", got)
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		if got := s.reloaded(); got != "wireless" {
			t.Errorf("and then %q", got)
		}
	})
}

// A service that does not come up gets its last good configuration back: the
// newest transaction goes first, and what it can live with stays. The ACS hears
// that it went back.
func TestServiceThatFailsToReload(t *testing.T) {
	home(t, func(t *testing.T, h *house, s *services) {
		s.refuse = func(name string, f map[string]string) error {
			if name == "wireless" && f["wireless.ssid"] == "bad" { // line 3 of its file
				return errors.New("hostapd: line 3")
			}
			return nil
		}
		h.sets(ssidPath, "better", protoPath, "static", ssidPath, "bad", protoPath, "pppoe")
		if s.get("wireless.ssid") != "better" || s.running["wireless.ssid"] != "better" || s.get("network.proto") != "static" || s.running["network.proto"] != "static" {
			t.Errorf("files %v\nrunning %v", s.files, s.running)
		}
		if got := s.reloaded(); got != "wireless network network wireless" {
			t.Errorf("reloaded %q", got)
		}
		told := h.session(3)
		h.wantEvents(told, "4 VALUE CHANGE")
		if got := h.get(ms + "ParameterKey"); got != "key1" {
			t.Errorf("ParameterKey %q is not that of the last change that holds", got)
		}
		if st := h.status(); !strings.Contains(st.TakenBack, "Wireless did not reload: hostapd: line 3") {
			t.Errorf("status %q", st.TakenBack)
		}
		if !h.log.has("level=ERROR") {
			t.Error("no error in the log")
		}
		h.none(3, time.Hour)
		h.sets(ssidPath, "fine")
		if st := h.status(); st.TakenBack != "" {
			t.Errorf("status after a change that went well: %q", st.TakenBack)
		}
	})
}

// What the ACS watches it is told with its value.
func TestTakenBackValueIsTold(t *testing.T) {
	home(t, func(t *testing.T, h *house, s *services) {
		h.acs.Queue("", watch(2, ssidPath))
		h.knock()
		h.session(2)
		s.refuse = func(_ string, f map[string]string) error {
			if f["wireless.ssid"] != "home" {
				return errors.New("no")
			}
			return nil
		}
		h.sets(ssidPath, "bad")
		told := h.session(4)
		h.wantEvents(told, "4 VALUE CHANGE")
		if v, _ := told.Inform.Parameters.Get(ssidPath); v != "home" {
			t.Errorf("told %q", v)
		}
		h.none(4, time.Hour)
	})
}

// A service that fails whatever it gets: nothing is undone beyond the session,
// and the agent goes on.
func TestServiceThatAlwaysFails(t *testing.T) {
	home(t, func(t *testing.T, h *house, s *services) {
		h.sets(ssidPath, "before")
		s.refuse = func(string, map[string]string) error { return errors.New("gone mad") }
		h.sets(ssidPath, "one", ssidPath, "two")
		if got := s.get("wireless.ssid"); got != "before" {
			t.Errorf("the file holds %q", got)
		}
		if st := h.status(); !strings.Contains(st.TakenBack, "gone mad") {
			t.Errorf("status %q", st.TakenBack)
		}
		if r := h.knock(); !r.OK() {
			t.Errorf("%+v", r)
		}
	})
}

// Nobody is there to tell the services: the bus is being restarted. What was
// changed stays, and is taken up as soon as somebody is there; a service that
// refuses it then has it taken back as ever.
func TestNobodyToReload(t *testing.T) {
	home(t, func(t *testing.T, h *house, s *services) {
		s.away(&platform.Unavailable{Source: "ubus", Err: errors.New("connection refused")})
		h.sets(ssidPath, "better")
		time.Sleep(5 * time.Second)
		synctest.Wait()
		if st := h.status(); !strings.Contains(st.TakenBack, "Ubus is not available") || s.get("wireless.ssid") != "better" {
			t.Errorf("status %q, the file holds %q", st.TakenBack, s.get("wireless.ssid"))
		}
		s.away(nil)
		time.Sleep(time.Minute)
		synctest.Wait()
		if got := s.reloaded(); got != "wireless" || s.running["wireless.ssid"] != "better" || h.status().TakenBack != "" {
			t.Errorf("reloaded %q, runs %q, status %q", got, s.running["wireless.ssid"], h.status().TakenBack)
		}
		h.none(2, 10*time.Minute) // nothing was taken back

		s.away(errors.New("still gone"))
		h.sets(ssidPath, "bad")
		s.refuse = func(_ string, f map[string]string) error {
			if f["wireless.ssid"] == "bad" {
				return errors.New("no")
			}
			return nil
		}
		s.away(nil)
		told := h.session(4)
		h.wantEvents(told, "4 VALUE CHANGE")
		if s.get("wireless.ssid") != "better" {
			t.Errorf("the file holds %q", s.get("wireless.ssid"))
		}
	})
}

// Who never comes is not waited for without end, and the log says so once.
func TestNobodyToReloadEver(t *testing.T) {
	home(t, func(t *testing.T, h *house, s *services) {
		s.away(errors.New("gone for good"))
		h.sets(ssidPath, "better")
		h.none(2, time.Hour)
		if n := strings.Count(h.log.String(), "is not in effect yet"); n != 6 {
			t.Errorf("%d times put off", n)
		}
		if n := strings.Count(h.log.String(), "is not tried again"); n != 1 {
			t.Errorf("%d times given up", n)
		}
		if files := h.ram.Files("/run"); files["after"] != "" {
			t.Errorf("still remembered: %q", files["after"])
		}
	})
}

// A dry run tells what would be written where, with secrets masked, and changes
// nothing.
func TestDryRunTells(t *testing.T) {
	home(t, func(t *testing.T, h *house, s *services) {
		plan := func(e api.Edit) api.Plan {
			t.Helper()
			p, err := h.agent.API().Plan(context.Background(), root, e)
			if err != nil {
				t.Fatal(err)
			}
			return p
		}
		find := func(p api.Plan, name, what string) api.PlannedWrite {
			t.Helper()
			for _, w := range p.Writes {
				if w.Name == name && strings.Contains(w.What, what) {
					return w
				}
			}
			t.Fatalf("no %s %s in %+v", name, what, p)
			return api.PlannedWrite{}
		}
		before, calls := h.get("Device."), len(h.state.Calls())
		p := plan(api.Edit{Set: []api.Assignment{{Name: "Device.IP.Interface.2.Enable", Value: "0"}, {Name: ms + "Password", Value: "hush"},
			{Name: ms + "PeriodicInformInterval", Value: "77"}, {Name: ssidPath, Value: "x"}}})
		if w := find(p, "Device.IP.Interface.2.Enable", "link eth0"); w.Where != "kernel" || w.Old != "up" || w.New != "down" || !w.Uplink {
			t.Errorf("%+v", w)
		}
		if w := find(p, ms+"Password", ""); w.Old != "***" || w.New != "***" || w.Where != "/state/settings" {
			t.Errorf("%+v", w)
		}
		if w := find(p, ms+"PeriodicInformInterval", ""); w.New != "77" || w.Old == "77" || w.Old == "" {
			t.Errorf("%+v", w)
		}
		find(p, ssidPath, "")
		if !p.Uplink || fmt.Sprint(p.Reloads) != "[wireless]" {
			t.Errorf("%+v", p)
		}
		p = plan(api.Edit{Add: "Device.Routing.Router.1.IPv4Forwarding.", Set: []api.Assignment{{Name: "DestIPAddress", Value: "192.0.2.0"}}})
		found := false
		for _, w := range p.Writes {
			found = found || strings.HasSuffix(w.Where, "/state/kept-ipv4-routes") && strings.HasSuffix(w.Name, ".DestIPAddress") && w.New == "192.0.2.0" && w.Old == ""
		}
		if !found || p.Uplink {
			t.Errorf("%+v", p)
		}
		if now := h.get("Device."); now != before || s.reloaded() != "" || len(h.state.Calls()) != calls {
			t.Errorf("something has changed: %q", h.state.Calls()[calls:])
		}
	})
}
