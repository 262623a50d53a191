package app_test

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"gatehouse/lab/acs"
	"gatehouse/platform"
	"gatehouse/platform/fake"
)

// undecided is a configuration that says nothing of the ACS.
func undecided(more ...string) string {
	return "config acs 'acs'\n\toption periodic_inform_enable '0'\n" + strings.Join(more, "\n") + "\nconfig cpe 'cpe'\n\toption userid 'acs'\n\toption passwd 'knock'\n"
}

const allowHTTP = "\toption allow_http '1'"

const otherURL = "http://other.example.net:8080/"

// option43 has sub-options of one byte code, in order from 1 on; "" is left out.
func option43(values ...string) []byte {
	var b []byte
	for i, v := range values {
		if v != "" {
			b = append(append(b, byte(i+1), byte(len(v))), v...)
		}
	}
	return b
}

// lease has a DHCP server answer on a link.
func (h *house) lease(link string, option43 []byte) {
	h.router.SetDHCPAnswer(platform.DHCPAnswer{Link: link, Vendor: option43})
}

// origin says who decided a parameter.
func (h *house) origin(path string) string {
	h.t.Helper()
	for v, err := range h.agent.API().Get(h.t.Context(), root, []string{path}) {
		if err != nil {
			h.t.Fatal(err)
		}
		return v.Origin
	}
	return ""
}

// TestDiscovery: a router that knows no ACS is told by DHCP where it is, after a
// while, and knows it after a restart without that lease.
func TestDiscovery(t *testing.T) {
	story(t, acs.Options{}, undecided(allowHTTP), func(t *testing.T, h *house) {
		h.start()
		h.none(0, time.Hour)
		h.lease("eth0", option43(acsURL, "home-7", "30", "1500"))
		s := h.session(1)
		h.wantEvents(s, "0 BOOTSTRAP", "1 BOOT")
		if code, _ := s.Inform.Parameters.Get("Device.DeviceInfo.ProvisioningCode"); code != "home-7" {
			t.Errorf("ProvisioningCode %q", code)
		}
		if h.get(ms+"CWMPRetryMinimumWaitInterval") != "30" || h.get(ms+"CWMPRetryIntervalMultiplier") != "1500" {
			t.Errorf("retry values %s, %s", h.get(ms+"CWMPRetryMinimumWaitInterval"), h.get(ms+"CWMPRetryIntervalMultiplier"))
		}
		if o := h.origin(ms + "URL"); o != "dhcp" {
			t.Errorf("the URL is by %q", o)
		}
		// A renewed lease that has lost the option does not lose the ACS.
		h.lease("eth0", nil)
		h.none(1, time.Hour)
		h.boot()
		h.wantEvents(h.session(2), "1 BOOT")
		h.none(2, time.Hour)
	})
}

// TestDiscoveryBadValues: a server that is wrong about one thing may be right
// about the others; the log says so once.
func TestDiscoveryBadValues(t *testing.T) {
	story(t, acs.Options{}, undecided(allowHTTP), func(t *testing.T, h *house) {
		h.lease("eth0", option43(acsURL, strings.Repeat("x", 65), "0", "many"))
		h.start()
		h.session(1)
		if h.get(ms+"CWMPRetryMinimumWaitInterval") != "5" || h.get(ms+"CWMPRetryIntervalMultiplier") != "2000" || h.get("Device.DeviceInfo.ProvisioningCode") != "" {
			t.Error("a bad value counts")
		}
		writes := h.state.Calls()
		for range 3 {
			h.router.SetLink("eth4", false)
			h.router.SetLink("eth4", true)
			h.lease("eth0", option43(acsURL, strings.Repeat("x", 65), "0", "many"))
			h.none(1, time.Hour)
		}
		if n := strings.Count(h.log.String(), "not everything that DHCP says counts"); n != 1 {
			t.Errorf("said %d times", n)
		}
		if again := h.state.Calls()[len(writes):]; len(again) > 0 {
			t.Errorf("written for nothing: %v", again)
		}
	})
}

// TestDiscoveryFickle: a server that says something else with each short lease
// wears no flash and leads to no ACS after the other. What it says last is heard
// in the end.
func TestDiscoveryFickle(t *testing.T) {
	story(t, acs.Options{}, undecided(allowHTTP), func(t *testing.T, h *house) {
		h.lease("eth0", option43(acsURL))
		h.start()
		h.session(1)
		before := len(h.state.Calls())
		for i := range 360 { // an hour
			h.lease("eth0", option43(acsURL, fmt.Sprint("code-", i)))
			time.Sleep(10 * time.Second)
		}
		written := 0
		for _, c := range h.state.Calls()[before:] {
			if strings.HasPrefix(c, "rename") && strings.Contains(c, "settings") {
				written++
			}
		}
		if written < 5 || written > 12 {
			t.Errorf("%d writes: %q", written, h.state.Calls()[before:])
		}
		if n := strings.Count(h.log.String(), "DHCP says something else again and again"); n < 1 || n > 2 {
			t.Errorf("said %d times", n)
		}
		time.Sleep(2 * time.Hour)
		if code := h.get("Device.DeviceInfo.ProvisioningCode"); code != "code-359" {
			t.Errorf("ProvisioningCode %q", code)
		}
		// What the configuration forbids is forgotten at once, all the same.
		write(t, h.conf, undecided(allowHTTP, "\toption dhcp_discovery '0'"))
		h.reload <- struct{}{}
		time.Sleep(time.Minute)
		if url := h.get(ms + "URL"); url != "" {
			t.Errorf("the URL is still %q", url)
		}
	})
}

// TestDiscoveryNewURL: another URL in a renewed lease is another ACS.
func TestDiscoveryNewURL(t *testing.T) {
	story(t, acs.Options{}, undecided(allowHTTP), func(t *testing.T, h *house) {
		other := h.server(otherIP+":8080", acs.Options{})
		defer other.Close()
		h.lease("eth0", []byte(acsURL+"\x00"))
		h.start()
		h.wantEvents(h.session(1), "0 BOOTSTRAP", "1 BOOT")
		h.lease("eth0", option43(otherURL))
		h.wantEvents(h.sessionAt(other, 1), "0 BOOTSTRAP")
		// Of two uplinks that do not agree, the one known so far counts.
		h.router.AddRoute(platform.Route{Dest: netip.MustParsePrefix("0.0.0.0/0"), Link: "eth4", Metric: 100})
		h.lease("eth4", option43(acsURL))
		h.none(1, time.Hour)
		if len(other.Sessions()) != 1 || len(other.Violations()) > 0 {
			t.Errorf("%d sessions, %v", len(other.Sessions()), other.Violations())
		}
	})
}

// TestDiscoveryRefused: what a rogue DHCP server says is refused, with its
// interface and a reason, and no session follows. field.md §3, rogue option 43.
func TestDiscoveryRefused(t *testing.T) {
	for name, c := range map[string]struct {
		conf, link string
		option     []byte
		reason     string
	}{
		"plain http":       {link: "eth0", option: option43(acsURL), reason: "is plain http"},
		"from the LAN":     {conf: allowHTTP, link: "br-lan", option: option43(acsURL), reason: "came in by br-lan, which does not lead to the ACS"},
		"from another WAN": {conf: allowHTTP + "\nconfig cpe\n\toption interface 'mgmt0'", link: "eth0", option: option43(acsURL), reason: "came in by eth0"},
		"javascript":       {conf: allowHTTP, link: "eth0", option: option43("javascript:alert(1)"), reason: "does not begin with http"},
		"an address":       {conf: allowHTTP, link: "eth0", option: option43("\xc0\x00\x02\x01"), reason: "control characters"},
		"a command":        {conf: allowHTTP, link: "eth0", option: option43("http://`reboot`/"), reason: "is not a URL"},
		"a header":         {conf: allowHTTP, link: "eth0", option: option43("http://acs.example.net/\r\nX: y"), reason: "control characters"},
		"a password":       {conf: allowHTTP, link: "eth0", option: option43("http://u:p@acs.example.net/"), reason: "contains a user name"},
		"too long":         {conf: allowHTTP, link: "eth0", option: []byte(acsURL + "?" + strings.Repeat("x", 300)), reason: "more than 256 characters"},
		"this device":      {conf: allowHTTP, link: "eth0", option: option43("http://127.0.0.1:7547/"), reason: "leads to no other host"},
		"its name":         {conf: allowHTTP, link: "eth0", option: option43("http://LOCALHOST./"), reason: "leads to no other host"},
		"another domain":   {conf: allowHTTP + "\n\tlist dhcp_domains 'example.com'\n\tlist dhcp_domains 'acs.example.net.example.org'", link: "eth0", option: option43(acsURL), reason: "dhcp_domains"},
		"cut":              {conf: allowHTTP, link: "eth0", option: []byte("\x01\x40http://"), reason: "option 43 ends within sub-option 1"},
		"a code of bells":  {conf: allowHTTP, link: "eth0", option: option43(acsURL, "\a\a"), reason: "ProvisioningCode"},
	} {
		t.Run(name, func(t *testing.T) {
			story(t, acs.Options{}, undecided(c.conf), func(t *testing.T, h *house) {
				h.start()
				h.lease(c.link, c.option)
				h.none(0, time.Hour)
				if url := h.get(ms + "URL"); url != "" {
					t.Errorf("the URL is %q", url)
				}
				if !h.log.has("what DHCP says of the ACS is refused\" interface="+c.link) || !h.log.has(c.reason) {
					t.Errorf("the log does not say %q", c.reason)
				}
				if strings.Count(h.log.String(), "is refused") != 1 {
					t.Error("the log says it again")
				}
				if h.log.has("u:p") {
					t.Error("a password in the log")
				}
			})
		})
	}
}

// TestDiscoveryDomains: one that is in the list is believed.
func TestDiscoveryDomains(t *testing.T) {
	story(t, acs.Options{}, undecided(allowHTTP, "\tlist dhcp_domains '.Example.NET'"), func(t *testing.T, h *house) {
		h.lease("eth0", option43(acsURL))
		h.start()
		h.wantEvents(h.session(1), "0 BOOTSTRAP", "1 BOOT")
		// What the configuration does not allow any more is forgotten.
		write(t, h.conf, undecided(allowHTTP, "\tlist dhcp_domains 'example.com'"))
		h.reload <- struct{}{}
		h.none(1, time.Minute)
		if url := h.get(ms + "URL"); url != "" {
			t.Errorf("the URL is still %q", url)
		}
	})
}

// TestDiscoveryIsLast: whoever else names an ACS is heard before DHCP, the
// factory unless the administrator wants it the other way round.
func TestDiscoveryIsLast(t *testing.T) {
	factory := "config acs\n\toption url '" + acsURL + "'\n"
	for name, c := range map[string]struct {
		conf, factory string
		dhcp          bool
	}{
		"file":                    {conf: config()},
		"file, DHCP over factory": {conf: config("config acs\n\toption dhcp_over_factory 1")},
		"factory":                 {conf: undecided(allowHTTP), factory: factory},
		"over factory":            {conf: undecided(allowHTTP, "\toption dhcp_over_factory '1'"), factory: factory, dhcp: true},
		"over factory, off":       {conf: undecided(allowHTTP, "\toption dhcp_over_factory '1'", "\toption dhcp_discovery 'disable'"), factory: factory},
	} {
		t.Run(name, func(t *testing.T) {
			story(t, acs.Options{}, c.conf, func(t *testing.T, h *house) {
				other := h.server(otherIP+":8080", acs.Options{})
				defer other.Close()
				if c.factory != "" {
					h.edit = func(cfg *appConfig) { cfg.FactoryFile = h.conf + ".factory" }
					write(t, h.conf+".factory", c.factory)
				}
				h.lease("eth0", option43(otherURL))
				h.start()
				time.Sleep(time.Hour)
				if there := len(other.Sessions()) == 1; there != c.dhcp || (len(h.acs.Sessions()) == 1) == c.dhcp {
					t.Errorf("%d sessions at the one, %d at that of DHCP", len(h.acs.Sessions()), len(other.Sessions()))
				}
			})
		})
	}
}

// TestDiscoveryAndTheACS: the URL that the ACS wrote is not given up for one by
// DHCP, until the factory reset.
func TestDiscoveryAndTheACS(t *testing.T) {
	story(t, acs.Options{}, undecided(allowHTTP), func(t *testing.T, h *house) {
		other := h.server(otherIP+":8080", acs.Options{})
		defer other.Close()
		h.acs.Queue("", func(c *acs.Conversation) error {
			_, err := c.SetParameterValues("", acs.P(ms+"URL", "xsd:string", otherURL))
			return err
		})
		h.lease("eth0", option43(acsURL))
		h.start()
		h.session(1)
		h.wantEvents(h.sessionAt(other, 1), "0 BOOTSTRAP")
		h.lease("eth0", option43("http://third.example.net/"))
		h.boot()
		h.wantEvents(h.sessionAt(other, 2), "1 BOOT")
		h.none(1, time.Hour)

		other.Queue("", func(c *acs.Conversation) error { return c.FactoryReset() })
		if _, err := other.ConnectionRequest(t.Context(), cpe, "acs", "knock"); err != nil {
			t.Fatal(err)
		}
		h.sessionAt(other, 3)
		h.lease("eth0", option43(acsURL))
		h.boot()
		h.wantEvents(h.session(2), "0 BOOTSTRAP", "1 BOOT")
	})
}

// TestRediscovery: an ACS by DHCP that is out of reach for long may have moved:
// the leases of the WAN are asked for anew, not more often than every 300 s. One
// that somebody has written is not.
func TestRediscovery(t *testing.T) {
	for _, dhcp := range []bool{true, false} {
		conf := config()
		if dhcp {
			conf = undecided(allowHTTP)
		}
		story(t, acs.Options{}, conf, func(t *testing.T, h *house) {
			h.router = fake.NewLogical()
			h.lease("eth0", option43(acsURL))
			h.start()
			h.session(1)
			h.acs.Close()
			if dhcp {
				h.acs = h.server(otherIP+":80", acs.Options{})
			}
			h.set("Device.DeviceInfo.ProvisioningCode", "news")
			asked := func() int { return h.router.Renewals("wan") }
			time.Sleep(299 * time.Second)
			if asked() > 0 {
				t.Errorf("asked %d times within 300 s", asked())
			}
			time.Sleep(24*time.Hour - 299*time.Second)
			switch n := asked(); {
			case !dhcp && n > 0:
				t.Errorf("asked %d times for what is written", n)
			case dhcp && (n < 2 || n > 24*12):
				t.Errorf("asked %d times in a day", n)
			case dhcp && h.router.Renewals("lan") > 0:
				t.Error("asked on the LAN")
			}
			if !dhcp {
				return
			}
			h.lease("eth0", option43("http://other.example.net/cwmp")) // what the renewal brought
			h.wantEvents(h.session(1), "0 BOOTSTRAP")
		})
	}
}

// routes are those by a link.
func (h *house) routes(link string) (all []platform.Route) {
	h.t.Helper()
	for r, err := range h.router.Platform().Routes.Routes(h.t.Context(), false) {
		if err != nil {
			h.t.Fatal(err)
		}
		if r.Link == link {
			all = append(all, r)
		}
	}
	return all
}

// TestGateway: a device behind a gateway tells the ACS which it is (TR-069
// Annex F), and that it is another one.
func TestGateway(t *testing.T) {
	story(t, acs.Options{}, config(), func(t *testing.T, h *house) {
		const path = "Device.GatewayInfo."
		answer := func(serial string) {
			subs := "\x04\x0600005E\x05" + string(rune(len(serial))) + serial + "\x06\x03box"
			h.router.SetDHCPAnswer(platform.DHCPAnswer{Link: "eth0", Identified: []byte("\x00\x00\x0d\xe9" + string(rune(len(subs))) + subs)})
		}
		answer("GW1")
		h.start()
		h.session(1)
		if h.get(path+"SerialNumber") != "GW1" || h.get(path+"ManufacturerOUI") != "00005E" || h.get(path+"ProductClass") != "box" {
			t.Errorf("gateway %s %s %s", h.get(path+"SerialNumber"), h.get(path+"ManufacturerOUI"), h.get(path+"ProductClass"))
		}
		answer("GW2")
		s := h.session(2)
		h.wantEvents(s, "4 VALUE CHANGE")
		if v, _ := s.Inform.Parameters.Get(path + "SerialNumber"); v != "GW2" {
			t.Errorf("SerialNumber %q", v)
		}
		// An outage is no other gateway, and nothing is wrong with what it says.
		h.router.SetLink("eth0", false)
		lost := h.routes("eth0")
		h.router.RemoveRoutes(func(r platform.Route) bool { return r.Link == "eth0" })
		time.Sleep(10 * time.Minute)
		if v := h.get(path + "SerialNumber"); v != "GW2" || h.log.has("is refused") {
			t.Errorf("without an uplink: SerialNumber %q, or a warning", v)
		}
		h.router.AddRoute(lost...)
		h.router.SetLink("eth0", true)
		time.Sleep(10 * time.Minute)
		if n := len(h.acs.Sessions()); n != 2 {
			t.Errorf("%d sessions", n)
		}
	})
}
