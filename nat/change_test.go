package nat

import (
	"net/netip"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"gatehouse/lab/stun"
	"gatehouse/lab/stun/udpnet"
)

// A NAT that restarts: the next keep-alive finds the new mapping, and the
// server hears BINDING-CHANGE at once.
func TestNATForgets(t *testing.T) {
	for name, kind := range map[string]udpnet.Kind{"port-restricted": udpnet.PortRestricted, "symmetric": udpnet.Symmetric} {
		story(t, kind, 60*time.Second, stun.Coturn(), func(w *world) {
			w.pass(40 * time.Second)
			before := w.client.Status().UDPConnectionRequestAddress
			w.seen()
			w.nat.Flush()
			w.pass(30 * time.Second)
			after := w.client.Status().UDPConnectionRequestAddress
			seen := w.seen()
			if before == after || len(seen) != 2 || seen[0].Change || !seen[1].Change {
				t.Errorf("%s: %s, then %s; asked %+v", name, before, after, seen)
			}
			w.knock(stun.Knock{ID: 7}, 3)
			w.wantSessions(1)
		})
	}
}

// A NAT that forgets sooner than we ask, with a server that cannot help to
// measure: ask more often.
func TestImpatientNAT(t *testing.T) {
	story(t, udpnet.PortRestricted, 20*time.Second, stun.Coturn(), func(w *world) {
		w.pass(2 * time.Minute)
		before := w.client.Status()
		w.pass(10 * time.Minute)
		after := w.client.Status()
		if after.KeepAlive >= 20*time.Second || before.UDPConnectionRequestAddress != after.UDPConnectionRequestAddress {
			t.Errorf("first %+v, then %+v", before, after)
		}
	})
}

// The lifetime of a mapping is measured where the server plays along, and
// requests arrive meanwhile.
func TestLifetime(t *testing.T) {
	kinds := map[string]udpnet.Kind{"port-restricted": udpnet.PortRestricted, "symmetric": udpnet.Symmetric, "full cone": udpnet.FullCone}
	for name, kind := range kinds {
		for _, lifetime := range []time.Duration{20 * time.Second, 60 * time.Second, 300 * time.Second} {
			story(t, kind, lifetime, stun.Stund(), func(w *world) {
				w.set(func(s *Settings) { s.STUNUsername, s.STUNPassword = "cpe1", "x" })
				if !w.client.Status().Measuring {
					t.Errorf("%s: nothing is measured", name)
				}
				for id := range uint32(60) {
					w.pass(time.Minute)
					w.knock(stun.Knock{ID: id}, 1)
				}
				st := w.client.Status()
				if st.Measuring || st.Lifetime > lifetime || st.Lifetime < lifetime-6*time.Second || st.KeepAlive > lifetime*9/10 {
					t.Errorf("%s, %v: measured %v, keep-alive %v", name, lifetime, st.Lifetime, st.KeepAlive)
				}
				w.mu.Lock()
				served := w.sessions
				w.mu.Unlock()
				if lifetime > unmeasured && served != 60 {
					t.Errorf("%s, %v: %d of 60 requests were served", name, lifetime, served)
				}
				// Not again before a day has passed.
				before := len(w.servers[first].Seen())
				w.servers[first].Forget()
				w.pass(22 * time.Hour)
				for _, r := range w.servers[first].Seen() {
					if !r.Binding {
						t.Fatalf("%s: measured again; %d questions before", name, before)
					}
				}
			})
		}
	}
}

// Losses look like expiry; a question is sent nine times.
func TestLifetimeWithLosses(t *testing.T) {
	story(t, udpnet.PortRestricted, 60*time.Second, stun.Stund(), func(w *world) {
		n := 0
		w.net.Lose(func(_, _ netip.AddrPort, _ []byte) bool { n++; return n%3 == 0 })
		w.pass(time.Hour)
		if st := w.client.Status(); st.Lifetime < 54*time.Second || st.Lifetime > time.Minute {
			t.Errorf("%+v", st)
		}
	})
}

// A server that ignores, refuses or cannot know RESPONSE-ADDRESS; and no room
// between the bounds.
func TestNoLifetime(t *testing.T) {
	for name, k := range map[string]stun.Knobs{
		"ignores": stun.Coturn(), "refuses": {RefuseResponse: true}, "silent": stun.Freeacs(), "modern": {ModernOnly: true},
	} {
		story(t, udpnet.PortRestricted, 60*time.Second, k, func(w *world) {
			w.pass(5 * time.Minute)
			w.servers[first].Forget()
			w.pass(12 * time.Hour)
			for _, r := range w.servers[first].Seen() {
				if !r.Binding {
					t.Fatalf("%s: still measuring: %+v", name, r)
				}
			}
			if st := w.client.Status(); st.Lifetime != 0 || st.KeepAlive != unmeasured || st.Measuring || st.State != Bound {
				t.Errorf("%s: %+v", name, st)
			}
		})
	}
	story(t, udpnet.PortRestricted, 60*time.Second, stun.Stund(), func(w *world) {
		w.set(func(s *Settings) { s.STUNMinimumKeepAlivePeriod, s.STUNMaximumKeepAlivePeriod = 45, 45 })
		w.pass(5 * time.Minute)
		w.servers[first].Forget()
		w.pass(time.Hour)
		for _, r := range w.servers[first].Seen() {
			if !r.Binding {
				t.Fatalf("equal bounds: measuring: %+v", r)
			}
		}
	})
}

// Another local address: bound again at once, at the same port.
func TestLocalAddressChanges(t *testing.T) {
	story(t, udpnet.PortRestricted, time.Minute, stun.Coturn(), func(w *world) {
		w.pass(3 * time.Second)
		w.seen()
		w.mu.Lock()
		w.local = home2
		w.mu.Unlock()
		w.client.Poke()
		w.pass(time.Millisecond)
		if st := w.client.Status(); st.Local != netip.AddrPortFrom(home2, 7547) || st.State != Bound || len(w.seen()) != 2 {
			t.Errorf("%+v", st)
		}
		w.knock(stun.Knock{ID: 1}, 1)
		w.wantSessions(1)

		w.mu.Lock()
		w.local = netip.Addr{} // the cable is out
		w.mu.Unlock()
		w.client.Poke()
		w.pass(time.Hour)
		w.wantState(NoAddress)
		if n := len(w.seen()); n != 0 {
			t.Errorf("%d questions without an address", n)
		}
		w.mu.Lock()
		w.local = netip.MustParseAddr("2001:db8::7")
		w.mu.Unlock()
		w.client.Poke()
		w.pass(time.Hour)
		if st := w.client.Status(); st.UDPConnectionRequestAddress != "[2001:db8::7]:7547" || st.State != Listening || st.NATDetected {
			t.Errorf("IPv6: %+v", st)
		}
	})
}

// The ISP gives the NAT another address every ten seconds: OnAddress tells at
// most every 30 s, and the last word is right.
func TestTellingIsLimited(t *testing.T) {
	story(t, udpnet.PortRestricted, time.Minute, stun.Coturn(), func(w *world) {
		w.set(func(s *Settings) { s.STUNMinimumKeepAlivePeriod, s.STUNMaximumKeepAlivePeriod = 5, 5 })
		w.pass(time.Minute)
		w.mu.Lock()
		w.told = nil
		w.mu.Unlock()
		for i := range 30 {
			w.nat.SetPublic(netip.AddrFrom4([4]byte{203, 0, 113, byte(100 + i)}))
			w.pass(10 * time.Second)
		}
		w.pass(31 * time.Second)
		w.mu.Lock()
		defer w.mu.Unlock()
		if len(w.told) < 9 || len(w.told) > 12 || !strings.HasPrefix(w.told[len(w.told)-1], "203.0.113.129:") {
			t.Errorf("told %q", w.told)
		}
	})
}

// STUN is switched off: the local address and no NAT; everything is off:
// nothing. The port comes back.
func TestSwitches(t *testing.T) {
	story(t, udpnet.PortRestricted, time.Minute, stun.Coturn(), func(w *world) {
		w.pass(time.Minute)
		w.set(func(s *Settings) { s.STUNEnable = false })
		if st := w.client.Status(); st.NATDetected || st.UDPConnectionRequestAddress != "192.168.1.1:7547" || st.State != Listening {
			t.Errorf("STUN off: %+v", st)
		}
		w.seen()
		sent := w.net.Sent()
		w.pass(24 * time.Hour)
		if n := w.net.Sent() - sent; n != 0 {
			t.Errorf("%d datagrams with STUN off", n)
		}
		w.set(func(s *Settings) { s.Listen = false })
		if st := w.client.Status(); st.UDPConnectionRequestAddress != "" || st.State != Off {
			t.Errorf("off: %+v", st)
		}
		w.set(func(s *Settings) { s.STUNEnable, s.Port = true, 80 })
		if st := w.client.Status(); st.Local.Port() != 80 || st.State != Bound || !st.NATDetected {
			t.Errorf("on again: %+v", st)
		}
		w.mu.Lock()
		told := slices.Clone(w.told)
		w.mu.Unlock()
		if len(told) < 2 || told[1] != "192.168.1.1:7547" {
			t.Errorf("told %q", told)
		}
	})
}

// A port that somebody else has: another one, and the same one again later.
func TestPortTaken(t *testing.T) {
	story(t, udpnet.PortRestricted, time.Minute, stun.Coturn(), func(w *world) {
		other, err := w.net.Listen(netip.AddrPortFrom(home, 9))
		if err != nil {
			t.Fatal(err)
		}
		w.set(func(s *Settings) { s.Port = 9 })
		port := w.client.Status().Local.Port()
		if port == 9 || port == 0 {
			t.Errorf("port %d", port)
		}
		w.set(func(s *Settings) { s.STUNUsername = "x" })
		w.pass(time.Minute)
		if got := w.client.Status().Local.Port(); got != port {
			t.Errorf("port %d, then %d", port, got)
		}
		other.Close()
	})
}

// Servers that fall silent: the next address, the next name, the next look-up.
func TestFailover(t *testing.T) {
	story(t, udpnet.Symmetric, time.Minute, stun.Coturn(), func(w *world) {
		w.serve(second, stun.Coturn())
		w.mu.Lock()
		w.names["stun.example"] = []netip.Addr{first.Addr(), second.Addr()}
		w.ttl = 5 * time.Minute
		w.mu.Unlock()
		w.set(func(s *Settings) { s.STUNServerAddress = "" }) // that of the ACS: second
		if got := w.client.Status().Server; got != second {
			t.Errorf("asks %v, want the ACS's host", got)
		}
		w.set(func(s *Settings) { s.STUNServerAddress = "stun.example" })
		if got := w.client.Status().Server; got != first {
			t.Errorf("asks %v, want %v", got, first)
		}
		w.servers[first].Turn(func(k *stun.Knobs) { k.Silent = true })
		w.pass(45 * time.Second)
		if st := w.client.Status(); st.Server != second || st.State != Bound {
			t.Errorf("after a silent server: %+v", st)
		}

		w.serve(third, stun.Coturn())
		w.servers[second].Turn(func(k *stun.Knobs) { k.ErrorCode = 500 })
		w.mu.Lock()
		w.names["stun.example"] = []netip.Addr{third.Addr()}
		w.mu.Unlock()
		w.pass(6 * time.Minute)
		if st := w.client.Status(); st.Server != third || st.State != Bound {
			t.Errorf("after DNS had another address: %+v", st)
		}
		w.mu.Lock()
		w.failure = errTest
		w.mu.Unlock()
		w.pass(time.Hour)
		if st := w.client.Status(); st.Server != third || st.State != Bound {
			t.Errorf("DNS fails, the address is good: %+v", st)
		}
	})
}

// A name server that does not answer holds up nothing else.
func TestSlowResolver(t *testing.T) {
	story(t, udpnet.FullCone, time.Minute, stun.Coturn(), func(w *world) {
		w.mu.Lock()
		w.slow, w.names["other.example"] = 25*time.Second, []netip.Addr{first.Addr()}
		w.mu.Unlock()
		w.set(func(s *Settings) { s.STUNServerAddress = "other.example" })
		w.wantState(Resolving)
		w.knock(stun.Knock{ID: 1}, 1)
		w.wantSessions(1)
		w.pass(26 * time.Second)
		w.wantState(Bound)
		w.set(func(s *Settings) { s.STUNServerAddress = "nowhere.example" })
		w.set(func(s *Settings) { s.STUNServerAddress = "stun.example" }) // while it is looked up
		w.pass(time.Minute)
		w.wantState(Bound)
		w.mu.Lock()
		w.slow, w.failure = 0, errTest
		w.mu.Unlock()
		w.set(func(s *Settings) { s.STUNServerAddress = "nowhere.example" })
		w.mu.Lock()
		before := w.lookups
		w.mu.Unlock()
		w.pass(24 * time.Hour)
		w.wantState(Failing)
		w.mu.Lock()
		if n := w.lookups - before; n < 100 || n > 200 {
			t.Errorf("%d look-ups in a day", n)
		}
		w.mu.Unlock()
	})
}

// A socket that breaks is opened again, without a busy loop.
func TestSocketBreaks(t *testing.T) {
	story(t, udpnet.PortRestricted, time.Minute, stun.Coturn(), func(w *world) {
		w.mu.Lock()
		conn := w.conns[0]
		w.mu.Unlock()
		conn.Break(errTest)
		w.pass(10 * time.Millisecond)
		w.wantState(NoAddress)
		w.pass(time.Second)
		w.wantState(Bound)
		var tries atomic.Int32
		w.mu.Lock()
		w.listened = func(netip.AddrPort) (Conn, error) { tries.Add(1); return nil, errTest }
		conn = w.conns[len(w.conns)-1]
		for _, c := range w.conns {
			c.Break(errTest)
		}
		w.mu.Unlock()
		conn.Break(errTest)
		w.pass(time.Hour)
		if n := tries.Load(); n < 50 || n > 80 {
			t.Errorf("%d tries to open a socket in an hour", n)
		}
		w.mu.Lock()
		w.listened = nil
		w.mu.Unlock()
		w.pass(2 * time.Minute)
		w.wantState(Bound)
	})
}

// Idle: one wake-up per keep-alive, seen as one datagram each way.
func TestIdle(t *testing.T) {
	story(t, udpnet.PortRestricted, 10*time.Minute, stun.Coturn(), func(w *world) {
		w.set(func(s *Settings) { s.STUNMinimumKeepAlivePeriod, s.STUNMaximumKeepAlivePeriod = 60, 60 })
		w.pass(time.Minute)
		before := w.net.Sent()
		w.pass(time.Hour)
		if n := w.net.Sent() - before; n != 120 {
			t.Errorf("%d datagrams in an hour, want 120", n)
		}
		if w.state.Saves() != 0 {
			t.Errorf("%d writes to flash while idle", w.state.Saves())
		}
	})
}
