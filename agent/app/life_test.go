package app_test

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"gatehouse/agent/app"
	"gatehouse/internal/store"
	"gatehouse/internal/store/storetest"
	"gatehouse/lab/acs"
	"gatehouse/lab/pipe"
)

// TestReboot: the ACS asks for two reboots in one session. The device restarts
// once, and reports 1 BOOT with one M Reboot for each; no BOOTSTRAP.
func TestReboot(t *testing.T) {
	story(t, acs.Options{}, config(), func(t *testing.T, h *house) {
		h.acs.Queue("", func(c *acs.Conversation) error {
			return errors.Join(c.Reboot("with  two spaces"), c.Reboot("again"))
		})
		h.start()
		if s := h.session(1); s.Err != nil {
			t.Fatal(s.Err)
		}
		if n, _ := h.router.Restarts(); n != 1 {
			t.Fatalf("%d reboots", n)
		}
		h.boot()
		h.wantEvents(h.session(2), "1 BOOT", "M Reboot [again]", "M Reboot [with  two spaces]")
		h.boot()
		h.wantEvents(h.session(3), "1 BOOT")
		h.none(3, time.Hour)
	})
}

// TestRestart: the process starts anew within the same boot of the device. The
// ACS hears nothing of it.
func TestRestart(t *testing.T) {
	story(t, acs.Options{}, config(), func(t *testing.T, h *house) {
		h.start()
		h.session(1)
		for range 3 {
			h.end()
			h.start()
			h.none(1, time.Hour)
		}
		h.kill(storetest.Kill)
		h.start()
		h.none(1, time.Hour)
	})
}

// TestRestartWithNews: what changed while no agent ran is told.
func TestRestartWithNews(t *testing.T) {
	story(t, acs.Options{}, config(), func(t *testing.T, h *house) {
		h.acs.Queue("", watch(2, lan1))
		h.start()
		h.session(1)
		h.end()
		h.router.SetLink("eth1", false)
		h.start()
		s := h.session(2)
		h.wantEvents(s, "4 VALUE CHANGE")
		if v, ok := s.Inform.Parameters.Get(lan1); !ok || v == "Up" {
			t.Errorf("%q", v)
		}
	})
}

// TestFactoryReset: everything is forgotten, and the ACS gets a BOOTSTRAP. What the
// platform keeps beside the state goes with the platform's own part.
func TestFactoryReset(t *testing.T) {
	story(t, acs.Options{}, config(), func(t *testing.T, h *house) {
		h.acs.Queue("", func(c *acs.Conversation) error {
			if err := watch(2, lan1)(c); err != nil {
				return err
			}
			if _, err := c.SetParameterValues("key", acs.P("Device.DeviceInfo.ProvisioningCode", "xsd:string", "x")); err != nil {
				return err
			}
			return errors.Join(c.ScheduleInform(3600, "dies"), c.FactoryReset())
		})
		h.state.Put("/state/"+app.PlatformDir, "the platform's")
		h.start()
		s := h.session(1)
		if s.Err != nil {
			t.Fatal(s.Err)
		}
		url, _ := s.Inform.Parameters.Get(ms + "ConnectionRequestURL")
		if reboots, resets := h.router.Restarts(); reboots != 0 || resets != 1 {
			t.Fatalf("%d reboots, %d resets", reboots, resets)
		}
		if kept := h.state.Files("/state")[app.PlatformDir]; kept != "the platform's" {
			t.Errorf("the platform has %q", kept)
		}
		h.boot()
		s = h.session(2)
		h.wantEvents(s, "0 BOOTSTRAP", "1 BOOT")
		for _, name := range []string{ms + "ParameterKey", "Device.DeviceInfo.ProvisioningCode"} {
			if v, _ := s.Inform.Parameters.Get(name); v != "" {
				t.Errorf("%s is %q", name, v)
			}
		}
		if again, _ := s.Inform.Parameters.Get(ms + "ConnectionRequestURL"); again == url || again == "" {
			t.Errorf("the path of connection requests is the same: %q", again)
		}
		h.router.SetLink("eth1", false)
		h.none(2, 2*time.Hour)
	})
}

// TestFactoryResetRefused: the platform cannot restart; the agent goes on with
// nothing of its past, and can be reached.
func TestFactoryResetRefused(t *testing.T) {
	story(t, acs.Options{}, config(), func(t *testing.T, h *house) {
		h.router.FailPower(errors.New("no power"))
		h.acs.Queue("", func(c *acs.Conversation) error { return c.FactoryReset() })
		h.start()
		h.session(1)
		s := h.session(2)
		if !s.Inform.Has("0 BOOTSTRAP") {
			t.Errorf("events %s", events(s))
		}
		time.Sleep(10 * time.Second)
		synctest.Wait()
		if r := h.knock(); !r.OK() {
			t.Errorf("connection request: %+v", r)
		}
	})
}

// TestNewURL: the ACS sends the device to another one, which gets a BOOTSTRAP.
func TestNewURL(t *testing.T) {
	story(t, acs.Options{}, config(), func(t *testing.T, h *house) {
		other := h.server(otherIP+":8080", acs.Options{})
		defer other.Close()
		h.acs.Queue("", func(c *acs.Conversation) error {
			_, err := c.SetParameterValues("", acs.P(ms+"URL", "xsd:string", "http://other.example.net:8080/"))
			return err
		})
		h.start()
		if s := h.session(1); s.Err != nil {
			t.Fatal(s.Err)
		}
		s := h.sessionAt(other, 1)
		if !s.Inform.Has("0 BOOTSTRAP") {
			t.Errorf("events %s", events(s))
		}
		h.boot()
		h.wantEvents(h.sessionAt(other, 2), "1 BOOT")
		h.none(1, time.Hour)
		if v := other.Violations(); len(v) > 0 {
			t.Errorf("%v", v)
		}
	})
}

// TestReload: SIGHUP reads the configuration without dropping a session, and a
// typo in it changes nothing.
func TestReload(t *testing.T) {
	story(t, acs.Options{}, config(), func(t *testing.T, h *house) {
		h.start()
		h.session(1)
		h.acs.Queue("", func(c *acs.Conversation) error {
			write(t, h.conf, config("config acs 'more'", "\toption periodic_inform_enable '1'", "\toption periodic_inform_interval '77'"))
			h.reload <- struct{}{}
			time.Sleep(time.Second)
			v, err := c.GetParameterValues(ms + "PeriodicInformInterval")
			if got, _ := v.Get(ms + "PeriodicInformInterval"); got != "77" {
				t.Errorf("interval %q", got)
			}
			return err
		})
		h.knock()
		if s := h.session(2); s.Err != nil {
			t.Fatal(s.Err)
		}
		if s := h.session(3); !s.Inform.Has("2 PERIODIC") {
			t.Errorf("events %s", events(s))
		}
		write(t, h.conf, config("config acs 'more'", "\toption periodic_inform_interval 'often'"))
		h.reload <- struct{}{}
		time.Sleep(time.Second)
		if got := h.get(ms + "PeriodicInformInterval"); got != "77" || !h.log.has("everything stays as it was") {
			t.Errorf("interval %q after a typo", got)
		}
	})
}

// TestTypo: a configuration with a typo names file and line, and does not
// count as a crash.
func TestTypo(t *testing.T) {
	story(t, acs.Options{}, config(), func(t *testing.T, h *house) {
		write(t, h.conf, "config acs 'acs'\n\toption url 'http://acs.example.net/'\n\toption allow_http 'perhaps'\n")
		for range 4 {
			err := app.Run(context.Background(), h.cfg())
			if err == nil || !strings.Contains(err.Error(), h.conf) || !strings.Contains(err.Error(), "3") {
				t.Fatalf("%v", err)
			}
		}
		write(t, h.conf, config())
		h.start()
		h.session(1)
		if h.status().SafeMode {
			t.Error("a typo brought safe mode")
		}
	})
}

// TestSecondAgent: two agents on one state folder would undo each other.
func TestSecondAgent(t *testing.T) {
	story(t, acs.Options{}, config(), func(t *testing.T, h *house) {
		h.start()
		h.session(1)
		err := app.Run(context.Background(), h.cfg())
		if !errors.Is(err, store.ErrLocked) || !strings.Contains(err.Error(), "/state") {
			t.Errorf("%v", err)
		}
		if r := h.knock(); !r.OK() {
			t.Errorf("the first one: %+v", r)
		}
		h.session(2)
	})
}

// TestDisabled: EnableCWMP=false and there is no session, whatever happens.
func TestDisabled(t *testing.T) {
	story(t, acs.Options{}, config("\toption enable '0'"), func(t *testing.T, h *house) {
		h.start()
		time.Sleep(time.Hour)
		h.set("Device.DeviceInfo.ProvisioningCode", "x")
		time.Sleep(time.Hour)
		synctest.Wait()
		if n := len(h.acs.Sessions()); n != 0 || h.status().State != "disabled" {
			t.Errorf("%d sessions, %+v", n, h.status())
		}
		write(t, h.conf, config())
		h.reload <- struct{}{}
		h.wantEvents(h.session(1), "0 BOOTSTRAP", "1 BOOT")
	})
}

// TestSafeMode: three bad ends in a row soon after the start bring safe mode:
// the ACS finds DeviceInfo and ManagementServer. A good session ends it.
func TestSafeMode(t *testing.T) {
	story(t, acs.Options{}, config(), func(t *testing.T, h *house) {
		h.acs.SetChaos(acs.Chaos{Inform: acs.Trouble{Hang: true}})
		for range 3 {
			h.start()
			time.Sleep(5 * time.Second)
			if h.status().SafeMode {
				t.Fatal("too early")
			}
			h.kill(storetest.Kill)
		}
		h.broken = []string{string(acs.RuleConnection)} // a killed agent says no good-bye
		h.acs.SetChaos(acs.Chaos{})
		var names []acs.ParameterInfo
		h.acs.Queue("", func(c *acs.Conversation) (err error) {
			names, err = c.GetParameterNames("Device.", true)
			return err
		})
		h.start()
		if !h.status().SafeMode {
			t.Error("no safe mode")
		}
		h.good(0)
		var got []string
		for _, i := range names {
			if strings.HasSuffix(i.Name, ".") {
				got = append(got, i.Name)
			}
		}
		if strings.Join(got, " ") != "Device.DeviceInfo. Device.ManagementServer." {
			t.Errorf("in safe mode: %v", got)
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		h.agent = <-h.ready
		if h.status().SafeMode {
			t.Error("safe mode does not end")
		}
		if got := h.get(lan1); got != "Up" {
			t.Errorf("%s: %q", lan1, got)
		}
	})
}

// TestUnreachableIsNoCrash: an ACS that cannot be reached never brings safe
// mode, nor does an agent that is stopped.
func TestUnreachableIsNoCrash(t *testing.T) {
	story(t, acs.Options{}, config(), func(t *testing.T, h *house) {
		h.acs.SetChaos(acs.Chaos{Inform: acs.Trouble{Status: 500}})
		for range 5 {
			h.start()
			time.Sleep(5 * time.Second)
			h.end()
		}
		h.start()
		if h.status().SafeMode {
			t.Error("safe mode")
		}
	})
}

// TestStopInSession: SIGTERM in the middle of a session lets it come to its
// end; one that does not is cut within the grace.
func TestStopInSession(t *testing.T) {
	story(t, acs.Options{}, config(), func(t *testing.T, h *house) {
		midway := make(chan struct{})
		h.acs.Queue("", func(c *acs.Conversation) error {
			close(midway)
			time.Sleep(5 * time.Second)
			_, err := c.SetParameterValues("late", acs.P("Device.DeviceInfo.ProvisioningCode", "xsd:string", "late"))
			return err
		})
		h.start()
		<-midway
		h.end()
		if all := h.acs.Sessions(); len(all) != 1 || all[0].Err != nil {
			t.Fatalf("%d sessions, %v", len(all), all)
		}
		h.start()
		if got := h.get(ms + "ParameterKey"); got != "late" {
			t.Errorf("ParameterKey %q", got)
		}
		h.none(1, time.Hour)
		h.acs.SetChaos(acs.Chaos{Inform: acs.Trouble{Hang: true}})
		h.set("Device.DeviceInfo.ProvisioningCode", "news")
		time.Sleep(time.Second)
		h.end() // fails the test after 20 s
		h.broken = []string{string(acs.RuleConnection)}
	})
}

// TestSafeModeLastsADay: without any session, safe mode ends after a day.
func TestSafeModeLastsADay(t *testing.T) {
	story(t, acs.Options{}, config(), func(t *testing.T, h *house) {
		h.net.Set(acsIP, pipe.Refuse)
		for range 3 {
			h.start()
			h.kill(storetest.Kill)
		}
		h.start()
		time.Sleep(23 * time.Hour)
		if !h.status().SafeMode {
			t.Error("no safe mode")
		}
		time.Sleep(2 * time.Hour)
		synctest.Wait()
		h.agent = <-h.ready
		if h.status().SafeMode {
			t.Error("safe mode does not end")
		}
	})
}

// TestLogLevel: the log has the level that the configuration says, from the
// start on and after a reload.
func TestLogLevel(t *testing.T) {
	story(t, acs.Options{}, config("config log 'log'", "\toption level 'debug'"), func(t *testing.T, h *house) {
		var level slog.LevelVar
		h.edit = func(c *appConfig) { c.Level = &level }
		h.start()
		if level.Level() != slog.LevelDebug {
			t.Errorf("%v", level.Level())
		}
		write(t, h.conf, config("config log 'log'", "\toption level 'error'"))
		h.reload <- struct{}{}
		synctest.Wait()
		if level.Level() != slog.LevelError {
			t.Errorf("after the reload: %v", level.Level())
		}
	})
}

// TestLogSOAP: the log has the envelopes when it is asked to, without secrets.
func TestLogSOAP(t *testing.T) {
	story(t, acs.Options{}, config("config log 'log'", "\toption soap '1'"), func(t *testing.T, h *house) {
		h.start()
		h.session(1)
		if !h.log.has("component=soap") || !h.log.has("InformResponse") {
			t.Error("no envelopes in the log")
		}
		if h.log.has("secret") || h.log.has("knock") {
			t.Error("a secret in the log")
		}
	})
}
