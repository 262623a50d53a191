package app_test

// The ACS sets up networks: a guest network from the first AddObject to the
// last DeleteObject, what goes wrong on the way, and what it hears of stations.

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"gatehouse/agent/api"
	"gatehouse/lab/acs"
	"gatehouse/platform"
)

const (
	wifiPath   = "Device.WiFi."
	passphrase = "twelve monkeys"
)

// guestValues are a guest network's parameters, by the rows that AddObject made.
func guestValues(ssid, ap uint32) []acs.Parameter {
	s, a := fmt.Sprintf("%sSSID.%d.", wifiPath, ssid), fmt.Sprintf("%sAccessPoint.%d.", wifiPath, ap)
	return []acs.Parameter{
		acs.P(a+"Enable", "xsd:boolean", "1"),
		acs.P(a+"Security.ModeEnabled", "xsd:string", "WPA2-Personal"),
		acs.P(a+"Security.KeyPassphrase", "xsd:string", passphrase),
		acs.P(a+"IsolationEnable", "xsd:boolean", "1"),
		acs.P(a+"SSIDReference", "xsd:string", strings.TrimSuffix(s, ".")),
		acs.P(s+"LowerLayers", "xsd:string", wifiPath+"Radio.1"),
		acs.P(s+"SSID", "xsd:string", "  Guests\t"),
		acs.P(s+"Enable", "xsd:boolean", "1"),
	}
}

// addGuest adds a guest network in one session.
func addGuest(c *acs.Conversation, ssid, ap *uint32) error {
	var status int
	var err error
	if *ssid, status, err = c.AddObject(wifiPath+"SSID.", "guest"); err != nil || status != 1 {
		return fmt.Errorf("an SSID: status %d, %w", status, err)
	}
	if *ap, status, err = c.AddObject(wifiPath+"AccessPoint.", "guest"); err != nil || status != 1 {
		return fmt.Errorf("an access point: status %d, %w", status, err)
	}
	if status, err = c.SetParameterValues("guest", guestValues(*ssid, *ap)...); err != nil || status != 1 {
		return fmt.Errorf("its values: status %d, %w", status, err)
	}
	return nil
}

// valuesOf are all values below a path, as the ACS sees them.
func (h *house) valuesOf(path string) map[string]string {
	h.t.Helper()
	var all map[string]string
	h.do(func(c *acs.Conversation) error {
		values, err := c.GetParameterValues(path)
		all = values.Map()
		return err
	})
	return all
}

// TestGuestNetwork: three calls, Status 1, read back at once, one reload after
// the session; and gone again by two.
func TestGuestNetwork(t *testing.T) {
	lanStory(t, func(t *testing.T, h *house) {
		before := h.valuesOf(wifiPath)
		var ssid, ap uint32
		h.do(func(c *acs.Conversation) error {
			if err := addGuest(c, &ssid, &ap); err != nil {
				return err
			}
			return errors.Join(
				wants(c, fmt.Sprintf("%sSSID.%d.", wifiPath, ssid), "SSID=  Guests\t", "Enable=true", "Status=Down", "LowerLayers="+wifiPath+"Radio.1"),
				wants(c, fmt.Sprintf("%sAccessPoint.%d.", wifiPath, ap), "Enable=true", "Status=Disabled", "Security.KeyPassphrase=",
					"Security.ModeEnabled=WPA2-Personal", fmt.Sprintf("SSIDReference=%sSSID.%d", wifiPath, ssid)),
				wants(c, wifiPath, "SSIDNumberOfEntries=3", "AccessPointNumberOfEntries=3"),
				unless(h.router.Reloads("wireless") == 0, "a reload in mid-session"))
		})
		synctest.Wait()
		if n := h.router.Reloads("wireless"); n != 1 {
			t.Errorf("%d reloads", n)
		}
		h.do(func(c *acs.Conversation) error {
			return errors.Join(wants(c, fmt.Sprintf("%sSSID.%d.", wifiPath, ssid), "Status=Up", "Name=wlan1"),
				wants(c, fmt.Sprintf("%sAccessPoint.%d.", wifiPath, ap), "Status=Enabled"))
		})
		h.do(func(c *acs.Conversation) error {
			for _, row := range []string{fmt.Sprintf("%sAccessPoint.%d.", wifiPath, ap), fmt.Sprintf("%sSSID.%d.", wifiPath, ssid)} {
				if status, err := c.DeleteObject(row, ""); err != nil || status != 1 {
					return fmt.Errorf("%s: status %d, %w", row, status, err)
				}
			}
			return nil
		})
		if n := h.router.Reloads("wireless"); n != 2 {
			t.Errorf("%d reloads", n)
		}
		after := h.valuesOf(wifiPath)
		for _, values := range []map[string]string{before, after} {
			maps.DeleteFunc(values, func(name, _ string) bool { return strings.Contains(name, ".Stats.") })
		}
		if !maps.Equal(before, after) {
			t.Errorf("after the guests: %v, before: %v", after, before)
		}
	})
}

func unless(ok bool, text string) error {
	if ok {
		return nil
	}
	return errors.New(text)
}

// TestGuestNetworkFails: whatever goes wrong in the third call leaves the two
// empty rows and nothing else, and no half of it reaches the radios.
func TestGuestNetworkFails(t *testing.T) {
	for name, story := range map[string]struct {
		spoil func(h *house, ps []acs.Parameter) []acs.Parameter
		fault string
	}{
		"a mode without its key": {func(_ *house, ps []acs.Parameter) []acs.Parameter { return append(ps[:2:2], ps[3:]...) }, "Security.ModeEnabled"},
		"no such radio": {func(_ *house, ps []acs.Parameter) []acs.Parameter {
			ps[5].Value = wifiPath + "Radio.9"
			return ps
		}, "LowerLayers"},
		"a file that does not parse": {func(h *house, ps []acs.Parameter) []acs.Parameter {
			h.router.FailConfig(&platform.Unavailable{Source: "uci wireless", Err: errors.New("line 7")}, nil)
			return ps
		}, ""},
		"a full disk": {func(h *house, ps []acs.Parameter) []acs.Parameter {
			h.router.FailConfig(nil, errors.New("no space left on device"))
			return ps
		}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			lanStory(t, func(t *testing.T, h *house) {
				h.do(func(c *acs.Conversation) error {
					ssid, _, err := c.AddObject(wifiPath+"SSID.", "")
					if err != nil {
						return err
					}
					ap, _, err := c.AddObject(wifiPath+"AccessPoint.", "")
					if err != nil {
						return err
					}
					_, err = c.SetParameterValues("", story.spoil(h, guestValues(ssid, ap))...)
					var fault *acs.Fault
					if !errors.As(err, &fault) {
						return fmt.Errorf("no fault: %w", err)
					}
					if text := fmt.Sprint(fault); story.fault != "" && !strings.Contains(text, story.fault) || strings.Contains(text, passphrase) {
						return fmt.Errorf("the fault is %s", text)
					}
					h.router.FailConfig(nil, nil)
					return errors.Join(
						wants(c, fmt.Sprintf("%sSSID.%d.", wifiPath, ssid), "SSID=", "Enable=false", "LowerLayers="),
						wants(c, fmt.Sprintf("%sAccessPoint.%d.", wifiPath, ap), "Enable=false", "SSIDReference=", "Security.ModeEnabled=None", "IsolationEnable=false"))
				})
				h.do(func(c *acs.Conversation) error {
					return wants(c, wifiPath, "Radio.1.Status=Up", "SSID.1.Status=Up", "AccessPoint.1.Status=Enabled", "SSID.3.Status=Down")
				})
			})
		})
	}
}

// TestTenWiFiSetsReloadOnce: the radios go off the air once, however the ACS
// cuts its changes.
func TestTenWiFiSetsReloadOnce(t *testing.T) {
	lanStory(t, func(t *testing.T, h *house) {
		h.do(func(c *acs.Conversation) error {
			for i, set := range []string{"Radio.1.Channel=6", "Radio.2.Channel=44", "SSID.1.SSID=a", "SSID.1.SSID=b", "SSID.2.SSID=c", "SSID.2.Enable=1",
				"AccessPoint.1.IsolationEnable=1", "AccessPoint.1.Security.KeyPassphrase=another one", "AccessPoint.2.UAPSDEnable=1", "Radio.1.RegulatoryDomain=AT "} {
				name, value, _ := strings.Cut(set, "=")
				values, err := c.GetParameterValues(wifiPath + name)
				if err != nil {
					return err
				}
				if status, err := c.SetParameterValues(fmt.Sprint(i), acs.P(wifiPath+name, values[0].Type, value)); err != nil || status != 1 {
					return fmt.Errorf("%s: status %d, %w", set, status, err)
				}
			}
			return unless(h.router.Reloads("wireless") == 0, "a reload in mid-session")
		})
		h.do(func(c *acs.Conversation) error {
			return wants(c, wifiPath, "Radio.1.ChannelsInUse=6", "Radio.2.ChannelsInUse=44", "SSID.2.Status=Up")
		})
		if n := h.router.Reloads("wireless"); n != 1 {
			t.Errorf("%d reloads", n)
		}
	})
}

// TestWiFiSecretsAtEveryDoor: what is secret is told by no door, no dry run and
// no log, at the most talkative level.
func TestWiFiSecretsAtEveryDoor(t *testing.T) {
	lanStory(t, func(t *testing.T, h *house) {
		var ssid, ap uint32
		h.do(func(c *acs.Conversation) error { return addGuest(c, &ssid, &ap) })
		if !h.log.has("SetParameterValues") || h.log.has(passphrase) {
			t.Error("the log tells too little, or too much")
		}
		name := fmt.Sprintf("%sAccessPoint.%d.Security.KeyPassphrase", wifiPath, ap)
		if got := h.get(name); got != "" {
			t.Errorf("the vendor's door reads %q", got)
		}
		for _, value := range []string{passphrase + "!", passphrase + "\x01"} {
			_, err := h.agent.API().Set(context.Background(), root, []api.Assignment{{Name: name, Value: value}}, true)
			if err != nil && strings.Contains(err.Error(), passphrase) {
				t.Errorf("a dry run tells: %v", err)
			}
		}
		for name, value := range h.valuesOf("Device.") {
			if strings.Contains(value, passphrase) || strings.Contains(value, "correct horse") {
				t.Errorf("%s is %q", name, value)
			}
		}
		if got := h.get(fmt.Sprintf("%sSSID.%d.SSID", wifiPath, ssid)); got != "  Guests\t" {
			t.Errorf("and the network is called %q", got)
		}
	})
}

// TestStationsAreTold: a station joins and leaves, and the network goes down;
// the ACS that watches hears each at once.
func TestStationsAreTold(t *testing.T) {
	lanStory(t, func(t *testing.T, h *house) {
		const count, status = wifiPath + "AccessPoint.1.AssociatedDeviceNumberOfEntries", wifiPath + "SSID.1.Status"
		h.do(watch(2, count, status))
		n := len(h.acs.Sessions())
		hears := func(name, want string) {
			t.Helper()
			began := time.Now()
			n++
			s := h.session(n)
			h.wantEvents(s, "4 VALUE CHANGE")
			if v, _ := s.Inform.Parameters.Get(name); v != want {
				t.Errorf("%s is %q in the Inform, want %q", name, v, want)
			}
			if d := s.Start.Sub(began); d > time.Minute {
				t.Errorf("%s after %v", name, d)
			}
		}
		h.router.Join("default_radio0", platform.Station{MAC: "02:00:00:00:00:01"})
		hears(count, "2")
		h.router.Leave("02:00:00:00:00:01")
		hears(count, "1")
		h.router.EditSSID("default_radio0", func(s *platform.SSID) { s.Enabled = false })
		hears(status, "Down")
		h.none(n, time.Hour)
	})
}

// TestHostileSSIDs: octets that the system has for a name reach the ACS as XML
// that can be read, and are the same afterwards.
func TestHostileSSIDs(t *testing.T) {
	lanStory(t, func(t *testing.T, h *house) {
		const octets = "\xff]]>\x00<&\x1b\xe9"
		h.router.EditSSID("default_radio0", func(s *platform.SSID) { s.Name = octets })
		h.do(func(c *acs.Conversation) error {
			if err := wants(c, wifiPath+"SSID.1.", "SSID=\ufffd]]>\ufffd<&\ufffd\ufffd"); err != nil {
				return err
			}
			_, err := c.SetParameterValues("", acs.P(wifiPath+"SSID.1.Enable", "xsd:boolean", "0"))
			return err
		})
		h.router.EditSSID("default_radio0", func(s *platform.SSID) {
			if s.Name != octets || s.Enabled {
				t.Errorf("the row is %+v", s)
			}
		})
	})
}

// TestWiFiNamesCanBeRead: every name below Device.WiFi. that the ACS is told of,
// it can ask for by itself.
func TestWiFiNamesCanBeRead(t *testing.T) {
	lanStory(t, func(t *testing.T, h *house) {
		h.do(func(c *acs.Conversation) error {
			infos, err := c.GetParameterNames(wifiPath, false)
			if err != nil {
				return err
			}
			read := 0
			for _, i := range infos {
				values, err := c.GetParameterValues(i.Name)
				if err != nil {
					return err
				}
				if !strings.HasSuffix(i.Name, ".") {
					if read++; len(values) != 1 || values[0].Name != i.Name {
						return fmt.Errorf("%s gives %v", i.Name, values)
					}
				}
			}
			return unless(read > 150, fmt.Sprint("only ", read, " parameters"))
		})
	})
}
