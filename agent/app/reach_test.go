package app_test

import (
	"context"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"gatehouse/lab/acs"
	"gatehouse/lab/pipe"
	"gatehouse/platform"
)

// TestConnectionRequest: the ACS knocks at ConnectionRequestURL, is asked for
// Digest, is answered, and then gets its session.
func TestConnectionRequest(t *testing.T) { // S002-19
	story(t, acs.Options{}, config(), func(t *testing.T, h *house) {
		h.start()
		s := h.session(1)
		url, _ := s.Inform.Parameters.Get(ms + "ConnectionRequestURL")
		if !strings.HasPrefix(url, "http://"+wanIP+":7547/") || len(url) < len("http://:7547/")+len(wanIP)+16 {
			t.Errorf("ConnectionRequestURL %q", url)
		}
		asked := time.Now()
		r := h.knock()
		if !r.OK() || len(r.Statuses) != 2 || r.Statuses[0] != 401 || !strings.HasPrefix(r.Challenge, "Digest ") || r.Sockets != 1 || len(r.Violations) > 0 {
			t.Errorf("answered %+v", r)
		}
		s = h.session(2)
		h.wantEvents(s, "6 CONNECTION REQUEST")
		if d := s.Start.Sub(asked); d > time.Second {
			t.Errorf("the session came after %v", d)
		}
		for _, c := range []acs.ConnectionRequest{
			{URL: url, Username: "acs", Password: "wrong"},
			{URL: url + "x", Username: "acs", Password: "knock"},
			{URL: url + "?a=1&b=2", Username: "acs", Password: "knock"}, // field 14
		} {
			r, err := h.acs.Knock(context.Background(), cpe, c)
			if err != nil || r.OK() != strings.Contains(c.URL, "?") {
				t.Errorf("%s with %s: %+v, %v", c.URL, c.Password, r, err)
			}
		}
		h.none(3, time.Hour)
	})
}

// TestConnectionRequestNoRetry: a connection request dies with the session
// that fails (cwmp.md §10, field 15).
func TestConnectionRequestNoRetry(t *testing.T) {
	story(t, acs.Options{}, config(), func(t *testing.T, h *house) {
		h.start()
		h.session(1)
		h.acs.SetChaos(acs.Chaos{Inform: acs.Trouble{Status: 500, Times: 2}})
		h.knock()
		time.Sleep(time.Second)
		h.set("Device.DeviceInfo.ProvisioningCode", "news")
		good := h.good(1)
		h.wantEvents(good, "4 VALUE CHANGE")
		if good.Inform.RetryCount != 2 {
			t.Errorf("RetryCount %d", good.Inform.RetryCount)
		}
		// And the next one is heard: field 12.
		h.knock()
		h.wantEvents(h.session(good.Number+1), "6 CONNECTION REQUEST")
	})
}

// TestConnectionRequestDuringSession: the session goes on, the next one has
// the event.
func TestConnectionRequestDuringSession(t *testing.T) {
	story(t, acs.Options{}, config(), func(t *testing.T, h *house) {
		h.start()
		h.session(1)
		h.acs.Queue("", func(c *acs.Conversation) error {
			for range 3 {
				if r := h.knock(); !r.OK() {
					t.Errorf("refused: %+v", r)
				}
			}
			time.Sleep(time.Millisecond) // the agent answers first, and takes note then
			_, err := c.GetParameterValues("Device.DeviceInfo.UpTime")
			return err
		})
		h.knock()
		if s := h.session(2); s.Err != nil {
			t.Fatal(s.Err)
		}
		h.wantEvents(h.session(3), "6 CONNECTION REQUEST")
		h.none(3, time.Hour)
	})
}

// ownPorts is told where the agent listens.
type ownPorts struct {
	mu    sync.Mutex
	heard []uint16
}

func (o *ownPorts) OwnPort(_ context.Context, tcp uint16) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.heard = append(o.heard, tcp)
	return nil
}

func (o *ownPorts) all() []uint16 {
	o.mu.Lock()
	defer o.mu.Unlock()
	return slices.Compact(slices.Clone(o.heard))
}

// TestConnectionRequestDisabled: HTTPConnectionRequestEnable=false closes the
// port and empties the URL, and true brings both back.
// The platform hears of it, for a port mapping must not take the port.
func TestConnectionRequestDisabled(t *testing.T) {
	story(t, acs.Options{}, config(), func(t *testing.T, h *house) {
		var own ownPorts
		h.edit = func(c *appConfig) { c.Platform.NAT.Own = &own }
		enable := func(v string) acs.Script {
			return func(c *acs.Conversation) error {
				_, err := c.SetParameterValues("", acs.P(ms+"HTTPConnectionRequestEnable", "xsd:boolean", v))
				return err
			}
		}
		h.acs.Queue("", enable("0"))
		h.start()
		url, _ := h.session(1).Inform.Parameters.Get(ms + "ConnectionRequestURL")
		time.Sleep(time.Minute)
		if got := h.get(ms + "ConnectionRequestURL"); got != "" {
			t.Errorf("URL %q", got)
		}
		if _, err := h.net.Dial(context.Background(), "tcp", wanIP+":7547"); err == nil {
			t.Error("the port is open")
		}
		n := len(h.acs.Sessions())
		h.acs.Queue("", enable("1"))
		if err := h.agent.API().Inform(context.Background(), root, ""); err != nil {
			t.Fatal(err)
		}
		h.session(n + 1)
		time.Sleep(time.Minute)
		if got := h.get(ms + "ConnectionRequestURL"); got != url {
			t.Errorf("URL %q, was %q", got, url)
		}
		if r := h.knock(); !r.OK() {
			t.Errorf("%+v", r)
		}
		if got := own.all(); !slices.Equal(got, []uint16{7547, 0, 7547}) {
			t.Errorf("the platform heard of the ports %v", got)
		}
	})
}

// TestAddressChanges: the provider gives another address; the ACS hears of the
// other ConnectionRequestURL, which leads to us, without having asked (field 17,
// S003-26).
func TestAddressChanges(t *testing.T) {
	story(t, acs.Options{}, config(), func(t *testing.T, h *house) {
		h.start()
		before, _ := h.session(1).Inform.Parameters.Get(ms + "ConnectionRequestURL")
		const other = "203.0.113.99"
		h.wan = other
		h.router.RemoveAddress(platform.Address{Link: "eth0", Prefix: netip.MustParsePrefix(wanIP + "/24")})
		h.router.SetAddress(platform.Address{Link: "eth0", Prefix: netip.MustParsePrefix(other + "/24"), Dynamic: true, Preferred: time.Hour, Valid: time.Hour})
		s := h.session(2)
		h.wantEvents(s, "4 VALUE CHANGE")
		after, _ := s.Inform.Parameters.Get(ms + "ConnectionRequestURL")
		if after != strings.Replace(before, wanIP, other, 1) {
			t.Errorf("%q after %q", after, before)
		}
		if r := h.knock(); !r.OK() {
			t.Errorf("%+v", r)
		}
		h.session(3)
		h.none(3, time.Hour)
	})
}

// TestPortTaken: somebody else has the port; the agent works without it and
// gets it when it is free.
func TestPortTaken(t *testing.T) {
	story(t, acs.Options{}, config(), func(t *testing.T, h *house) {
		l, err := h.net.Listen("tcp", ":7547")
		if err != nil {
			t.Fatal(err)
		}
		h.start()
		s := h.session(1)
		if url, _ := s.Inform.Parameters.Get(ms + "ConnectionRequestURL"); url != "" {
			t.Errorf("URL %q", url)
		}
		l.Close()
		s = h.session(2)
		h.wantEvents(s, "4 VALUE CHANGE")
		if r := h.knock(); !r.OK() {
			t.Errorf("%+v", r)
		}
		h.session(3)
	})
}

// TestWeekWithoutACS: nobody answers for a week. The attempts spread out to the
// longest wait, RetryCount counts them all, and one good session clears it.
func TestWeekWithoutACS(t *testing.T) {
	story(t, acs.Options{}, config(), func(t *testing.T, h *house) {
		h.net.Set(acsIP, pipe.Refuse)
		h.start()
		began := time.Now()
		time.Sleep(time.Hour)
		synctest.Wait()
		written := h.status().FlashWrites
		time.Sleep(7*24*time.Hour - time.Hour)
		synctest.Wait()
		st := h.status()
		if st.FlashWrites != written {
			t.Errorf("%d writes to flash in a week of nothing", st.FlashWrites-written)
		}
		// 10 steps up to 5120 s take 1.5 h, and then 2560 to 5120 s each.
		if st.RetryCount < 7*24*3600/5120 || st.RetryCount > 10+7*24*3600/2560 || st.LastError == "" {
			t.Errorf("after a week: %+v", st)
		}
		if left := st.NextAttempt.Sub(began.Add(7 * 24 * time.Hour)); left <= 0 || left > 5120*time.Second {
			t.Errorf("next attempt in %v", left)
		}
		h.net.Set(acsIP, pipe.Open)
		s := h.session(1)
		h.wantEvents(s, "0 BOOTSTRAP", "1 BOOT")
		if s.Inform.RetryCount != st.RetryCount {
			t.Errorf("RetryCount %d in the Inform, %d before", s.Inform.RetryCount, st.RetryCount)
		}
		if st := h.status(); st.RetryCount != 0 || st.LastError != "" {
			t.Errorf("after a good session: %+v", st)
		}
	})
}

// TestBackOff: the waits are those of TR-069 3.2.1.1, and Retry-After is a
// lower bound.
func TestBackOff(t *testing.T) {
	story(t, acs.Options{}, config(), func(t *testing.T, h *house) {
		h.acs.SetChaos(acs.Chaos{Inform: acs.Trouble{Status: 500, Times: 4}})
		h.start()
		var starts []time.Time
		for n := range 5 {
			s := h.session(n + 1)
			starts = append(starts, s.Start)
			if s.Inform.RetryCount != uint32(n) {
				t.Errorf("attempt %d has RetryCount %d", n+1, s.Inform.RetryCount)
			}
		}
		lo := 5 * time.Second
		for i := 1; i < len(starts); i++ {
			if wait := starts[i].Sub(starts[i-1]); wait < lo || wait > 2*lo+time.Second {
				t.Errorf("wait %d: %v, want %v to %v", i, wait, lo, 2*lo)
			}
			lo *= 2
		}
		h.acs.SetChaos(acs.Chaos{Inform: acs.Trouble{Status: 503, RetryAfter: "600", Times: 1}})
		h.set("Device.DeviceInfo.ProvisioningCode", "news")
		busy := h.session(6)
		if wait := h.session(7).Start.Sub(busy.Start); wait < 600*time.Second || wait > 606*time.Second { // and somewhere in the first span, 5 to 10 s
			t.Errorf("came back after %v", wait)
		}
	})
}
