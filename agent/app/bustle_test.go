package app_test

import (
	"context"
	"fmt"
	"net/netip"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"gatehouse/agent/api"
	"gatehouse/lab/acs"
	"gatehouse/platform"
)

// TestBustle: everything at once for twelve seconds. Nothing stands still for ever, no
// answer is out of order, and in the end the ACS knows what is.
func TestBustle(t *testing.T) {
	conf := config("config acs 'more'", "\toption periodic_inform_enable '1'", "\toption periodic_inform_interval '7'")
	story(t, acs.Options{Auth: acs.AuthDigest, Username: "cpe", Password: "secret"}, conf, func(t *testing.T, h *house) {
		const code = "Device.DeviceInfo.ProvisioningCode"
		h.acs.Queue("", watch(2, lan1))
		h.acs.Script(busy)
		h.start()
		h.session(1)
		ctx, cancel := context.WithTimeout(context.Background(), 12*time.Second)
		defer cancel()
		var all sync.WaitGroup
		every := func(d time.Duration, f func(n int)) {
			all.Go(func() {
				for n := 0; ctx.Err() == nil; n++ {
					f(n)
					time.Sleep(d)
				}
			})
		}
		every(301*time.Millisecond, func(n int) { h.router.SetLink("eth1", n%2 == 0) })
		every(4*time.Second, func(n int) { h.router.Step(time.Duration(n%7-3) * time.Minute) })
		every(5*time.Second, func(int) { h.router.Overflow() })
		every(2*time.Second, func(n int) {
			as := []api.Assignment{{Name: code, Value: fmt.Sprint(n)}}
			if _, err := h.agent.API().Set(ctx, root, as, false); err != nil && ctx.Err() == nil {
				t.Errorf("set: %v", err)
			}
		})
		every(3*time.Second, func(int) {
			_, _ = h.acs.ConnectionRequest(ctx, cpe, "acs", "knock") // may fall into a change of address
		})
		every(7*time.Second, func(n int) {
			a := platform.Address{Link: "eth0", Prefix: netip.MustParsePrefix(wanIP + "/24"), Dynamic: true, Preferred: time.Hour, Valid: time.Hour}
			if n%2 == 0 {
				h.router.SetAddress(a)
			} else {
				h.router.RemoveAddress(a)
			}
		})
		every(9*time.Second, func(int) { h.reload <- struct{}{} })
		all.Wait()
		h.router.SetLink("eth1", false)
		h.set(code, "last")
		time.Sleep(time.Minute)
		synctest.Wait()
		told := map[string]string{}
		for _, s := range h.acs.Sessions() {
			if s.Err != nil {
				t.Errorf("session %d: %v", s.Number, s.Err)
			}
			for _, p := range s.Inform.Parameters {
				told[p.Name] = p.Value
			}
		}
		for _, name := range []string{lan1, code, ms + "ConnectionRequestURL"} {
			if got := h.get(name); told[name] != got {
				t.Errorf("%s: last told %q, is %q", name, told[name], got)
			}
		}
		if st := h.status(); st.Failures != 0 || st.Sessions < 10 {
			t.Errorf("%+v", st)
		}
	})
}

// busy is what the ACS does in each session.
func busy(c *acs.Conversation) error {
	n, _, err := c.AddObject(ms+"InformParameter.", "")
	if err != nil {
		return err
	}
	row := ms + "InformParameter." + itoa(n) + "."
	if _, err := c.SetParameterValues("", acs.P(row+"ParameterName", "xsd:string", "Device.DeviceInfo.ModelName")); err != nil {
		return err
	}
	if _, err := c.GetParameterValues("Device.Ethernet.Link.", row); err != nil {
		return err
	}
	_, err = c.DeleteObject(row, "")
	return err
}
