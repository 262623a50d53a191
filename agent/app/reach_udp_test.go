//go:build !no_stun

package app_test

import (
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"gatehouse/agent/api"
	"gatehouse/internal/store/storetest"
	"gatehouse/lab/acs"
	"gatehouse/lab/stun"
)

// TestUDPConnectionRequest: STUN keeps a mapping, the model tells it, and a
// datagram from the STUN server's address and port becomes a session. What the
// ACS then does in it is what it does in any other.
func TestUDPConnectionRequest(t *testing.T) { // S002-20 S002-21 S002-22 S002-23 S002-24 S002-25
	for name, server := range map[string]struct {
		knobs  stun.Knobs
		manner stun.Manner
	}{
		"coturn":  {stun.Coturn(), stun.GenieACS},
		"stund":   {stun.Stund(), stun.Standard},
		"freeacs": {stun.Freeacs(), stun.FreeACS},
	} {
		t.Run(name, func(t *testing.T) {
			natStory(t, server.knobs, behindNAT(), func(t *testing.T, h *natHouse) {
				h.start()
				h.session(1)
				if got := h.get(ms + "NATDetected"); got != "true" {
					t.Errorf("NATDetected %q", got)
				}
				if got := h.get(ms + "SupportedConnReqMethods"); !strings.Contains(got, "STUN") {
					t.Errorf("SupportedConnReqMethods %q", got)
				}
				h.none(1, time.Hour) // the mapping has lived sixty times its time
				var got acs.Values
				h.acs.Queue("", func(c *acs.Conversation) (err error) {
					got, err = c.GetParameterValues(ms + "UDPConnectionRequestAddress")
					return err
				})
				asked := time.Now()
				h.send(h.known(), 3, h.request(server.manner, "knock")) // GenieACS sends three
				s := h.session(2)
				h.wantEvents(s, "6 CONNECTION REQUEST")
				if d := s.Start.Sub(asked); d > 100*time.Millisecond || s.Err != nil {
					t.Errorf("the session came after %v: %v", d, s.Err)
				}
				if v, _ := got.Get(ms + "UDPConnectionRequestAddress"); v != h.known().String() {
					t.Errorf("UDPConnectionRequestAddress %q", v)
				}
				h.none(2, time.Hour)
			})
		})
	}
}

// TestUDPRequestsRefused: what is forged, stale or a replay moves nothing, also
// not after a restart; nothing is ever answered.
func TestUDPRequestsRefused(t *testing.T) {
	natStory(t, stun.Coturn(), behindNAT(), func(t *testing.T, h *natHouse) {
		h.start()
		h.session(1)
		h.send(h.known(), 1, h.request(stun.GenieACS, "wrong"))
		h.none(1, time.Minute)
		genuine := h.request(stun.GenieACS, "knock")
		h.send(h.known(), 1, genuine)
		h.wantEvents(h.session(2), "6 CONNECTION REQUEST")
		time.Sleep(10 * time.Second)
		sent := h.udp.Sent()
		h.send(h.known(), 3, genuine)
		synctest.Wait()
		if n := h.udp.Sent() - sent; n != 3 {
			t.Errorf("%d datagrams answer a replay", n-3)
		}
		h.end()
		h.start()
		h.none(2, time.Minute)
		h.send(h.known(), 3, genuine)
		h.none(2, time.Minute)
		u := h.transport("udp")
		if u.State != "bound" || u.Address != h.known().String() || u.Server != stunIP+":3478" || u.Refused != "older than one before" {
			t.Errorf("%+v", u)
		}
		h.send(h.known(), 1, h.request(stun.GenieACS, "knock"))
		h.wantEvents(h.session(3), "6 CONNECTION REQUEST")
	})
}

// transport is what the status says of one way to ask for a session.
func (h *house) transport(name string) api.Transport {
	h.t.Helper()
	for _, t := range h.status().Transports {
		if t.Name == name {
			return t
		}
	}
	return api.Transport{}
}

// TestUDPDuringSession: a request that comes while a session is held is
// answered by another one after it.
func TestUDPDuringSession(t *testing.T) {
	natStory(t, stun.Coturn(), behindNAT(), func(t *testing.T, h *natHouse) {
		h.start()
		h.session(1)
		h.acs.Queue("", func(c *acs.Conversation) error {
			h.send(h.stun.Binding("cpe"), 3, stun.Knock{At: time.Now(), ID: 77, Username: "acs", Password: "knock"}.Datagram())
			time.Sleep(5 * time.Second)
			_, err := c.GetParameterValues(ms + "URL")
			return err
		})
		h.set("Device.DeviceInfo.ProvisioningCode", "news")
		if s := h.session(2); s.Err != nil {
			t.Fatal(s.Err)
		}
		h.wantEvents(h.session(3), "6 CONNECTION REQUEST")
		h.none(3, time.Hour)
	})
}

// TestNATChanges: the NAT gets another address, and the ACS, which has asked
// for that, hears of it; flushed mappings are found again within one
// keep-alive.
func TestNATChanges(t *testing.T) {
	natStory(t, stun.Coturn(), behindNAT(), func(t *testing.T, h *natHouse) {
		h.start()
		h.none(1, time.Hour)
		h.acs.Queue("", watch(2, ms+"UDPConnectionRequestAddress", ms+"NATDetected"))
		h.knock()
		h.session(2)
		h.none(2, time.Hour)
		const other = "192.0.2.51"
		h.nat.SetPublic(netip.MustParseAddr(other))
		changed := time.Now()
		s := h.session(3)
		h.wantEvents(s, "4 VALUE CHANGE")
		v, _ := s.Inform.Parameters.Get(ms + "UDPConnectionRequestAddress")
		if !strings.HasPrefix(v, other+":") || v != h.stun.Binding("cpe").String() {
			t.Errorf("UDPConnectionRequestAddress %q, the STUN server knows %v", v, h.stun.Binding("cpe"))
		}
		if d := s.Start.Sub(changed); d > 2*time.Minute {
			t.Errorf("it took %v", d)
		}
		if _, ok := s.Inform.Parameters.Get(ms + "NATDetected"); ok {
			t.Error("NATDetected is told, and has not changed")
		}
	})
}

// TestSTUNOff: without STUN there is no socket, and the ACS opens and closes it
// by STUNEnable.
func TestSTUNOff(t *testing.T) {
	natStory(t, stun.Coturn(), behindNAT("config stun\n\toption enable '0'"), func(t *testing.T, h *natHouse) {
		h.start()
		h.session(1)
		h.none(1, time.Hour)
		if n := h.opens.Load(); n != 0 || h.get(ms+"NATDetected") != "false" || h.get(ms+"UDPConnectionRequestAddress") != "" {
			t.Errorf("%d sockets, NATDetected %s, address %q", n, h.get(ms+"NATDetected"), h.get(ms+"UDPConnectionRequestAddress"))
		}
		enable := func(on string) acs.Script {
			return func(c *acs.Conversation) error {
				_, err := c.SetParameterValues("", acs.P(ms+"STUNEnable", "xsd:boolean", on))
				return err
			}
		}
		h.acs.Queue("", enable("1"))
		h.knock()
		h.session(2)
		time.Sleep(time.Minute)
		to := h.known()
		if n := h.opens.Load(); n == 0 || h.get(ms+"NATDetected") != "true" {
			t.Errorf("%d sockets, NATDetected %s", n, h.get(ms+"NATDetected"))
		}
		late := h.request(stun.GenieACS, "knock")
		h.acs.Queue("", enable("0"))
		h.knock()
		h.session(3)
		time.Sleep(time.Minute)
		synctest.Wait()
		if h.get(ms+"NATDetected") != "false" {
			t.Error("NATDetected without STUN")
		}
		if c, err := h.udp.Listen(netip.MustParseAddrPort(wanIP + ":7547")); err != nil {
			t.Errorf("the socket is still there: %v", err)
		} else {
			c.Close()
		}
		h.send(to, 3, late)
		h.none(3, time.Hour)
	})
}

// TestSafeModeListensNowhere: in safe mode only HTTP is left.
func TestSafeModeListensNowhere(t *testing.T) {
	natStory(t, stun.Coturn(), behindNAT(), func(t *testing.T, h *natHouse) {
		h.acs.SetChaos(acs.Chaos{Inform: acs.Trouble{Hang: true}})
		for range 3 {
			h.start()
			time.Sleep(5 * time.Second)
			h.kill(storetest.Kill)
		}
		h.broken = []string{string(acs.RuleConnection)}
		opened := h.opens.Load()
		h.start()
		time.Sleep(time.Minute)
		synctest.Wait()
		st := h.status()
		if !st.SafeMode || h.opens.Load() != opened || len(st.Transports) != 1 || st.Transports[0].Name != "http" {
			t.Errorf("safe mode %t, %d sockets more, %+v", st.SafeMode, h.opens.Load()-opened, st.Transports)
		}
		h.acs.SetChaos(acs.Chaos{})
		h.good(0)
		time.Sleep(time.Minute)
		synctest.Wait()
		h.agent = <-h.ready
		time.Sleep(time.Minute)
		h.known()
	})
}
