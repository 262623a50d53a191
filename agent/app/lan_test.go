package app_test

// The ACS configures the local network: DHCP and port mappings, whole.

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"gatehouse/internal/store/storetest"
	"gatehouse/lab/acs"
	"gatehouse/platform"
	"gatehouse/platform/fake"
)

const (
	natPath  = "Device.NAT."
	poolPath = "Device.DHCPv4.Server.Pool.1."
)

// talk is one session in which the ACS does what f says.
func (h *house) talk(f acs.Script) *acs.Session {
	h.t.Helper()
	n := len(h.acs.Sessions())
	h.acs.Queue("", f)
	h.knock()
	return h.session(n + 1)
}

// do is a talk that must go well.
func (h *house) do(f acs.Script) {
	h.t.Helper()
	if s := h.talk(f); s.Err != nil {
		h.t.Fatal(s.Err)
	}
}

// wants reads parameters, given as "name=value" below prefix, and says which
// differ.
func wants(c *acs.Conversation, prefix string, pairs ...string) error {
	var names []string
	for _, p := range pairs {
		name, _, _ := strings.Cut(p, "=")
		names = append(names, prefix+name)
	}
	values, err := c.GetParameterValues(names...)
	if err != nil {
		return err
	}
	got := values.Map()
	var errs []error
	for i, p := range pairs {
		if _, want, _ := strings.Cut(p, "="); got[names[i]] != want {
			errs = append(errs, fmt.Errorf("%s = %q, want %q", names[i], got[names[i]], want))
		}
	}
	return errors.Join(errs...)
}

// lanStory is a story after its first session, with the numbers of the router's
// rows given.
func lanStory(t *testing.T, f func(t *testing.T, h *house)) {
	t.Helper()
	story(t, acs.Options{}, config(), func(t *testing.T, h *house) {
		h.acs.Queue("", func(c *acs.Conversation) error {
			_, err := c.GetParameterValues("Device.")
			return err
		})
		h.start()
		if s := h.session(1); s.Err != nil {
			t.Fatal(s.Err)
		}
		f(t, h)
	})
}

// TestProvisionTheLAN: an address for the NAS and two ports that lead to it, in
// one request after the rows were made. Each service reloads once, afterwards.
func TestProvisionTheLAN(t *testing.T) {
	lanStory(t, func(t *testing.T, h *house) {
		var a, p, q string
		h.do(func(c *acs.Conversation) error {
			for path, table := range map[*string]string{&a: poolPath + "StaticAddress.", &p: natPath + "PortMapping.", &q: natPath + "PortMapping."} {
				n, status, err := c.AddObject(table, "")
				if err != nil || status != 1 {
					return fmt.Errorf("%s: status %d, %w", table, status, err)
				}
				*path = fmt.Sprintf("%s%d.", table, n)
			}
			values, err := c.GetParameterValues("Device.IP.Interface.")
			if err != nil {
				return err
			}
			wan := ""
			for name, v := range values.Map() {
				if strings.HasSuffix(name, ".Name") && v == "eth0" {
					wan = strings.TrimSuffix(name, ".Name")
				}
			}
			status, err := c.SetParameterValues("lan-1",
				acs.P(p+"Enable", "xsd:boolean", "1"), acs.P(q+"Enable", "xsd:boolean", "1"), acs.P(a+"Enable", "xsd:boolean", "true"),
				acs.P(a+"Yiaddr", "xsd:string", "192.168.1.110"), acs.P(a+"Chaddr", "xsd:string", "00:00:5E:00:53:44"), acs.P(a+"Alias", "xsd:string", "nas"),
				acs.P(p+"Interface", "xsd:string", wan), acs.P(q+"AllInterfaces", "xsd:boolean", "1"),
				acs.P(p+"ExternalPort", "xsd:unsignedInt", "443"), acs.P(p+"InternalPort", "xsd:unsignedInt", "5001"),
				acs.P(q+"ExternalPort", "xsd:unsignedInt", "6000"), acs.P(q+"ExternalPortEndRange", "xsd:unsignedInt", "6010"),
				acs.P(q+"InternalPort", "xsd:unsignedInt", "6000"), acs.P(q+"Protocol", "xsd:string", "UDP"),
				acs.P(p+"InternalClient", "xsd:string", "192.168.1.110"), acs.P(q+"InternalClient", "xsd:string", "nas.lan"),
				acs.P(p+"Description", "xsd:string", "Müllers <NAS>"),
			)
			if err != nil || status != 1 {
				return fmt.Errorf("set: status %d, %w", status, err)
			}
			if n := h.router.Reloads("dhcp") + h.router.Reloads("firewall"); n != 0 {
				return fmt.Errorf("%d reloads within the session", n)
			}
			// What was written reads back at once; it is not in effect yet.
			return errors.Join(
				wants(c, poolPath+"StaticAddress.", strings.TrimPrefix(a, poolPath+"StaticAddress.")+"Yiaddr=192.168.1.110"),
				wants(c, p, "Enable=true", "Interface="+wan, "Description=Müllers <NAS>", "Status=Disabled"),
				wants(c, q, "ExternalPortEndRange=6010", "Protocol=UDP", "Status=Disabled"))
		})
		synctest.Wait()
		if d, f := h.router.Reloads("dhcp"), h.router.Reloads("firewall"); d != 1 || f != 1 {
			t.Errorf("dhcp reloaded %d times, the firewall %d times", d, f)
		}
		h.do(func(c *acs.Conversation) error {
			return errors.Join(wants(c, p, "Status=Enabled"), wants(c, q, "Status=Enabled", "InternalClient=nas.lan"), wants(c, a, "Alias=nas"))
		})
		h.boot() // it is all still there, under the same numbers
		if got := h.get(p + "ExternalPort"); got != "443" {
			t.Errorf("after a reboot the port is %q", got)
		}
	})
}

// TestInEffect: the ACS that watches a Status hears when the service has taken
// its configuration up, and only then.
func TestInEffect(t *testing.T) {
	lanStory(t, func(t *testing.T, h *house) {
		const row = natPath + "PortMapping.1."
		h.do(func(c *acs.Conversation) error {
			_, err := c.SetParameterValues("", acs.P(row+"Enable", "xsd:boolean", "0"))
			return err
		})
		h.do(func(c *acs.Conversation) error {
			if err := c.SetParameterAttributes(acs.Notify(row+"Status", 2)); err != nil {
				return err
			}
			_, err := c.SetParameterValues("", acs.P(row+"Enable", "xsd:boolean", "1"))
			return errors.Join(err, wants(c, row, "Status=Disabled"))
		})
		n, began := len(h.acs.Sessions()), time.Now()
		s := h.session(n + 1)
		h.wantEvents(s, "4 VALUE CHANGE")
		if d := time.Since(began); d > 10*time.Second {
			t.Errorf("told after %v", d)
		}
		if v, _ := s.Inform.Parameters.Get(row + "Status"); v != "Enabled" {
			t.Errorf("told %q", v)
		}
		h.none(n+1, time.Hour)
	})
}

// TestHalfAProvisioning: one bad value, and nothing of the request was done; a
// disk that fails half way leaves as little.
func TestHalfAProvisioning(t *testing.T) {
	lanStory(t, func(t *testing.T, h *house) {
		try := func() (fault *acs.Fault, before, after acs.Values) {
			h.talk(func(c *acs.Conversation) (err error) {
				if before, err = c.GetParameterValues("Device.DHCPv4.", natPath); err != nil {
					return err
				}
				_, err = c.SetParameterValues("half",
					acs.P(poolPath+"LeaseTime", "xsd:int", "600"),
					acs.P(natPath+"PortMapping.1.InternalPort", "xsd:unsignedInt", "9100"),
					acs.P(natPath+"PortMapping.1.InternalClient", "xsd:string", map[bool]string{true: "192.168.1.104", false: "the printer"}[fault != nil]))
				if !errors.As(err, &fault) {
					return fmt.Errorf("no fault: %v", err)
				}
				after, err = c.GetParameterValues("Device.DHCPv4.", natPath)
				return err
			})
			return fault, before, after
		}
		check := func(what string, before, after acs.Values) {
			t.Helper()
			if len(before) == 0 || len(after) != len(before) {
				t.Errorf("%s: %d values, then %d", what, len(before), len(after))
			}
			is := after.Map()
			for name, v := range before.Map() {
				if is[name] != v {
					t.Errorf("%s: %s was %q and is %q", what, name, v, is[name])
				}
			}
		}
		fault, before, after := try()
		if fault == nil || len(fault.Parameters) != 1 || fault.Parameters[0].Name != natPath+"PortMapping.1.InternalClient" || fault.Parameters[0].Code != 9007 {
			t.Errorf("fault %+v", fault)
		}
		check("a bad value", before, after)
		h.router.FailConfig(nil, errors.New("no space left on device"))
		_, before, after = try()
		check("a full disk", before, after)
		if n := h.router.Reloads("dhcp") + h.router.Reloads("firewall"); n != 0 {
			t.Errorf("%d reloads of what did not change", n)
		}
	})
}

// TestPortMappingsFull: the 257th mapping is 9004, and the table stays.
func TestPortMappingsFull(t *testing.T) {
	lanStory(t, func(t *testing.T, h *house) {
		h.do(func(c *acs.Conversation) error {
			for i := 1; i < 256; i++ {
				if _, _, err := c.AddObject(natPath+"PortMapping.", ""); err != nil {
					return fmt.Errorf("mapping %d: %w", i+1, err)
				}
			}
			_, _, err := c.AddObject(natPath+"PortMapping.", "")
			var fault *acs.Fault
			if !errors.As(err, &fault) || fault.Code != 9004 {
				return fmt.Errorf("mapping 257: %v", err)
			}
			return wants(c, natPath, "PortMappingNumberOfEntries=256", "MaxNumberOfPortMappings=256")
		})
		synctest.Wait()
		if n := h.router.Reloads("firewall"); n != 1 {
			t.Errorf("%d reloads", n)
		}
	})
}

// TestPortMappingExpires: a mapping for an hour is gone after an hour, with one
// reload, whether the agent was restarted meanwhile or the clock unset; the ACS
// that watches the table is told.
func TestPortMappingExpires(t *testing.T) {
	lanStory(t, func(t *testing.T, h *house) {
		row := ""
		h.do(func(c *acs.Conversation) error {
			n, _, err := c.AddObject(natPath+"PortMapping.", "")
			if err != nil {
				return err
			}
			row = fmt.Sprintf("%sPortMapping.%d.", natPath, n)
			_, err = c.SetParameterValues("", acs.P(row+"LeaseDuration", "xsd:unsignedInt", "3600"), acs.P(row+"Enable", "xsd:boolean", "1"),
				acs.P(row+"AllInterfaces", "xsd:boolean", "1"), acs.P(row+"ExternalPort", "xsd:unsignedInt", "22"),
				acs.P(row+"InternalPort", "xsd:unsignedInt", "22"), acs.P(row+"InternalClient", "xsd:string", "192.168.1.101"))
			return errors.Join(err, wants(c, row, "LeaseDuration=3600", "RemainingLeaseTime=3600"),
				c.SetParameterAttributes(acs.Notify(natPath+"PortMappingNumberOfEntries", 2)))
		})
		reloads := h.router.Reloads("firewall")
		time.Sleep(20 * time.Minute)
		if got := h.get(row + "LeaseDuration"); got != "2400" {
			t.Errorf("after 20 minutes %s s are left", got)
		}
		h.end()
		time.Sleep(20 * time.Minute)
		h.start()
		n := len(h.acs.Sessions())
		time.Sleep(19 * time.Minute)
		if got := h.get(row + "Status"); got != "Enabled" || len(h.acs.Sessions()) != n {
			t.Errorf("a minute before the end: %q, %d sessions", got, len(h.acs.Sessions()))
		}
		s := h.session(n + 1)
		h.wantEvents(s, "4 VALUE CHANGE")
		if got := h.get(natPath + "PortMappingNumberOfEntries"); got != "1" {
			t.Errorf("%s mappings", got)
		}
		if got := h.router.Reloads("firewall"); got != reloads+1 {
			t.Errorf("%d reloads", got-reloads)
		}
		h.none(n+1, 24*time.Hour)
	})
}

// TestPortMappingExpiresAfterABoot: the device was off when the time was up, and
// does not know the time when it is on again.
func TestPortMappingExpiresAfterABoot(t *testing.T) {
	lanStory(t, func(t *testing.T, h *house) {
		h.do(func(c *acs.Conversation) error {
			n, _, err := c.AddObject(natPath+"PortMapping.", "")
			if err != nil {
				return err
			}
			_, err = c.SetParameterValues("", acs.P(fmt.Sprintf("%sPortMapping.%d.LeaseDuration", natPath, n), "xsd:unsignedInt", "3600"))
			return err
		})
		h.kill(storetest.PowerCut)
		h.router.SetTime(platform.TimeStatus{})
		time.Sleep(2 * time.Hour)
		h.start()
		h.session(3)
		if got := h.get(natPath + "PortMappingNumberOfEntries"); got != "2" {
			t.Errorf("%s mappings while nobody knows the time", got)
		}
		h.router.SetTime(platform.TimeStatus{Set: true, Synced: true})
		h.router.Step(0)
		synctest.Wait()
		if got := h.get(natPath + "PortMappingNumberOfEntries"); got != "1" {
			t.Errorf("%s mappings when the time is known", got)
		}
	})
}

// TestRenew: the lease of the WAN is renewed once the session is over, however
// often the ACS asks within it.
func TestRenew(t *testing.T) {
	story(t, acs.Options{}, config(), func(t *testing.T, h *house) {
		h.router = fake.NewLogical()
		h.start()
		h.session(1)
		const renew = "Device.DHCPv4.Client.1.Renew"
		h.do(func(c *acs.Conversation) error {
			for range 2 {
				if status, err := c.SetParameterValues("", acs.P(renew, "xsd:boolean", "1")); err != nil || status != 1 {
					return fmt.Errorf("status %d, %w", status, err)
				}
			}
			if n := h.router.Renewals("wan"); n != 0 {
				return fmt.Errorf("%d renewals within the session", n)
			}
			return wants(c, "", renew+"=false")
		})
		synctest.Wait()
		if n := h.router.Renewals("wan"); n != 1 {
			t.Errorf("%d renewals", n)
		}
	})
}

// TestHostileClient: what a client calls itself reaches the ACS as text, in a
// well-formed envelope.
func TestHostileClient(t *testing.T) {
	lanStory(t, func(t *testing.T, h *house) {
		mac, ip := "00:00:5e:00:53:66", netip.MustParseAddr("192.168.1.120")
		h.router.SetNeighbor(platform.Neighbor{Link: "br-lan", MAC: mac, Addr: ip, Active: true})
		for _, name := range []string{"\x00\x1b]0;x\x07", "\xff\xfe\xc0\x80", "$(reboot)", "]]><a/>&amp;", strings.Repeat("ä", 300), "\u202e\ufffe"} {
			h.router.SetLease(platform.Lease{MAC: mac, Addr: ip, Name: name})
			h.do(func(c *acs.Conversation) error {
				values, err := c.GetParameterValues("Device.Hosts.", poolPath+"Client.")
				if err != nil {
					return err
				}
				hex := fmt.Sprintf("%X", name[:min(len(name), 255)])
				var errs []error
				seen := 0
				for path, v := range values.Map() {
					if strings.HasSuffix(path, ".Value") && v == hex {
						seen++
					}
					if strings.HasSuffix(path, ".HostName") && len([]rune(v)) > 64 {
						errs = append(errs, fmt.Errorf("%s = %q", path, v))
					}
				}
				if seen != 1 {
					errs = append(errs, fmt.Errorf("%q is shown %d times", name, seen))
				}
				return errors.Join(errs...)
			})
		}
	})
}
