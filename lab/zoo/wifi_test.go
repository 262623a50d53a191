package zoo

// What is known of the LAN and its radios is told, and its keys are not.

import (
	"context"
	"fmt"
	"regexp"
	"strings"
	"testing"

	"gatehouse/lab/acs"
)

// tables: the hosts and the stations that the router knows are rows, with what
// identifies them (ispagents.com's guide: the tables are there and empty). The
// counts agree (TP-181, statistics of DHCP and Wi-Fi).
func tables(t *testing.T) {
	story(t, plan{}, func(t *testing.T, h *house) {
		h.start()
		h.good(1)
		h.talk(func(c *acs.Conversation) error {
			all, err := c.GetParameterValues("Device.")
			if err != nil {
				return err
			}
			value := map[string]string{}
			for _, v := range all {
				value[v.Name] = v.Value
			}
			for table, mac := range map[string]string{
				"Device.Hosts.Host": "PhysAddress", "Device.WiFi.AccessPoint.1.AssociatedDevice": "MACAddress", "Device.DHCPv4.Server.Pool.1.Client": "Chaddr",
			} {
				row := regexp.MustCompile("^" + regexp.QuoteMeta(table) + `\.\d+\.` + mac + "$")
				n := 0
				for name, v := range value {
					if row.MatchString(name) {
						n++
						if len(v) != len("02:00:00:00:00:01") {
							t.Errorf("%s is %q", name, v)
						}
					}
				}
				if count := value[table+"NumberOfEntries"]; n == 0 || count != fmt.Sprint(n) {
					t.Errorf("%s has %d rows, and is counted %q", table, n, count)
				}
			}
			return nil
		})
	})
}

// secretOfWiFi are the parameters of Device.WiFi. that TR-181 hides.
var secretOfWiFi = regexp.MustCompile(`^Device\.WiFi\..*(KeyPassphrase|SAEPassphrase|PreSharedKey|WEPKey|Secret|PIN)$`)

// TestKeyPassphrase is the Eir D1000 row: whoever asked was told the key of the
// Wi-Fi. Here it can be set, and is read at no door, in no Inform, and in no log.
func TestKeyPassphrase(t *testing.T) {
	const key = "correct horse battery"
	p := plan{conf: []string{"config log 'log'", " option soap '1'", " option level 'debug'"}}
	story(t, p, func(t *testing.T, h *house) {
		h.start()
		h.good(1)
		set := 0
		h.talk(func(c *acs.Conversation) error {
			all, err := c.GetParameterValues("Device.WiFi.")
			if err != nil {
				return err
			}
			for _, v := range all {
				if !secretOfWiFi.MatchString(v.Name) {
					continue
				}
				if v.Value != "" {
					t.Errorf("%s reads as %q", v.Name, v.Value)
				}
				value := key
				if strings.HasSuffix(v.Name, "PreSharedKey") {
					value = strings.Repeat("c0ffee11", 8)
				}
				if _, err := c.SetParameterValues("", acs.P(v.Name, v.Type, value)); err != nil {
					wantParam(t, err, 9007, 9001, 9008)
					continue
				}
				set++
				if err := c.SetParameterAttributes(acs.Notify(v.Name, 2)); err != nil && acs.FaultOf(err) == nil {
					return err
				}
				now, err := c.GetParameterValues(v.Name)
				if err != nil || now[0].Value != "" {
					t.Errorf("%s became %q, %v", v.Name, now, err)
				}
			}
			return nil
		})
		if set == 0 {
			t.Error("no key could be set: this test proves nothing")
		}
		h.boot()
		seen := new(strings.Builder)
		for _, s := range h.acs.Sessions() {
			fmt.Fprintln(seen, s.Inform.Parameters)
		}
		for v, err := range h.agent.API().Get(context.Background(), root, []string{"Device."}) {
			if err == nil {
				fmt.Fprintln(seen, v.Name, v.Value)
			}
		}
		fmt.Fprintf(seen, "%+v", h.status())
		for name, text := range map[string]string{"log": h.log.String(), "dump": h.dumped.String(), "what was read": seen.String()} {
			if strings.Contains(text, key) || strings.Contains(text, "c0ffee11") {
				t.Errorf("a key is in the %s", name)
			}
		}
		if !strings.Contains(h.dumped.String(), "Passphrase") {
			t.Error("nothing was dumped: this test proves nothing")
		}
	})
}
