package nat

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"gatehouse/lab/stun"
	"gatehouse/lab/stun/udpnet"
)

// S002-20, S002-21, S002-22: bindings keep the mapping alive, the public
// address is the mapped one, and two parameters say so.
func TestBehindNAT(t *testing.T) {
	for name, kind := range map[string]udpnet.Kind{"port-restricted": udpnet.PortRestricted, "symmetric": udpnet.Symmetric, "full cone": udpnet.FullCone} {
		t.Run(name, func(t *testing.T) {
			story(t, kind, 60*time.Second, stun.Coturn(), func(w *world) {
				st := w.client.Status()
				want := "203.0.113.9:50007"
				if !st.NATDetected || st.UDPConnectionRequestAddress != want || st.State != Bound || st.Cookie {
					t.Fatalf("status %+v", st)
				}
				seen := w.seen()
				if len(seen) != 2 || !seen[0].Binding || seen[0].Change || !seen[1].Binding || !seen[1].Change {
					t.Fatalf("asked %+v, want a binding and its change", seen)
				}
				for range 20 { // ten minutes
					w.pass(30 * time.Second)
					w.knock(stun.Knock{ID: 1}, 3)
					w.wantSessions(1)
				}
				for _, r := range w.seen() {
					if r.Change || r.Integrity != stun.None || r.Response.IsValid() && r.Binding {
						t.Errorf("keep-alive %+v", r)
					}
				}
				if got := w.client.Status().UDPConnectionRequestAddress; got != want {
					t.Errorf("address %q, want still %q", got, want)
				}
			})
		})
	}
}

func TestNoNAT(t *testing.T) {
	story(t, udpnet.PortRestricted, time.Minute, stun.Coturn(), func(w *world) {
		w.mu.Lock()
		w.local = netip.MustParseAddr("198.51.100.77")
		w.mu.Unlock()
		w.client.Poke()
		w.pass(time.Second)
		st := w.client.Status()
		if st.NATDetected || st.UDPConnectionRequestAddress != "198.51.100.77:7547" || st.KeepAlive != 10*time.Minute {
			t.Errorf("status %+v", st)
		}
		w.seen()
		w.pass(time.Hour)
		if n := len(w.seen()); n < 6 || n > 7 {
			t.Errorf("%d questions in an hour, want 6 or 7", n)
		}
		w.set(func(s *Settings) { s.STUNEnable = false })
		w.wantState(Listening)
		w.knock(stun.Knock{ID: 1}, 1)
		w.wantSessions(1)
	})
}

// Minimum and maximum are honoured, -1 included.
func TestPeriods(t *testing.T) {
	tests := []struct {
		min           uint32
		max           int32
		atLeast, most time.Duration
	}{
		{10, -1, 27 * time.Second, 30 * time.Second},
		{60, 60, 60 * time.Second, 60 * time.Second},
		{5, 20, 18 * time.Second, 20 * time.Second},
		{45, -1, 45 * time.Second, 45 * time.Second},
		{0, 1, time.Second, time.Second},
		{40, 20, 40 * time.Second, 40 * time.Second}, // the minimum counts
		{0, 0, 27 * time.Second, 30 * time.Second},
	}
	for _, tt := range tests {
		story(t, udpnet.PortRestricted, 5*time.Minute, stun.Coturn(), func(w *world) {
			w.set(func(s *Settings) { s.STUNMinimumKeepAlivePeriod, s.STUNMaximumKeepAlivePeriod = tt.min, tt.max })
			w.pass(tt.most + time.Second)
			w.seen()
			const span = time.Hour
			w.pass(span)
			n := 0
			for _, r := range w.seen() {
				if r.Binding && !r.Change {
					n++
				}
			}
			if low, high := int(span/tt.most)-1, int(span/tt.atLeast)+1; n < low || n > high {
				t.Errorf("[%d, %d]: %d questions in an hour, want %d to %d", tt.min, tt.max, n, low, high)
			}
		})
	}
}

// The three ways of signing, only after a challenge, with either kind of id.
func TestChallenge(t *testing.T) {
	flavours := map[string][]stun.Integrity{"any": nil, "rfc3489": {stun.RFC3489}, "variant": {stun.Variant}, "rfc5389": {stun.RFC5389}}
	for name, accept := range flavours {
		for _, modern := range []bool{false, true} {
			for _, user := range []string{"cpe1", "cpe12345-x"} {
				knobs := stun.Knobs{ModernOnly: modern, Challenge: true, Username: user, Password: "geheim", Accept: accept}
				story(t, udpnet.PortRestricted, time.Minute, knobs, func(w *world) {
					w.set(func(s *Settings) { s.STUNUsername, s.STUNPassword = user, "geheim" })
					w.pass(20 * time.Second)
					w.wantState(Bound)
					for _, r := range w.seen() {
						if r.Binding && r.Username != user && !(r.Username == "" && r.Integrity == stun.None) {
							t.Errorf("%s: user name %q", name, r.Username)
						}
					}
					w.pass(30 * time.Second)
					seen := w.seen()
					if len(seen) != 2 || seen[0].Integrity != stun.None || seen[1].Integrity == stun.None || seen[1].Integrity == stun.Wrong ||
						seen[0].Username != user || seen[0].Classic == modern {
						t.Errorf("%s, modern %v: keep-alive %+v, want one unsigned and one signed as it was liked before", name, modern, seen)
					}
				})
			}
		}
	}
}

// A challenge of BINDING-CHANGE alone (TR-069 G.2.1.3).
func TestChallengeOfChange(t *testing.T) {
	knobs := stun.Knobs{ChallengeChange: true, Username: "cpe1", Password: "geheim"}
	story(t, udpnet.PortRestricted, time.Minute, knobs, func(w *world) {
		w.set(func(s *Settings) { s.STUNUsername, s.STUNPassword = "cpe1", "geheim" })
		w.pass(time.Second)
		seen := w.seen()
		last := seen[len(seen)-1]
		if !last.Change || last.Integrity != stun.RFC3489 || w.client.Status().State != Bound {
			t.Errorf("last question %+v", last)
		}
	})
}

func TestCredentialsThatFail(t *testing.T) {
	tests := map[string]struct {
		knobs      stun.Knobs
		user       string
		password   Secret
		err        string
		neverSigns bool
	}{
		"none set":       {stun.Knobs{Challenge: true, Username: "a", Password: "b"}, "", "", errNoSecret.Error(), true},
		"wrong password": {stun.Knobs{Challenge: true, Username: "cpe1", Password: "b"}, "cpe1", "c", errCredentials.Error(), false},
		"wrong user":     {stun.Knobs{Challenge: true, Username: "a", Password: "b"}, "cpe1", "b", errCredentials.Error(), false},
		"long term":      {stun.Knobs{ModernOnly: true, LongTerm: true}, "cpe1", "b", errLongTerm.Error(), false},
		"not signed":     {stun.Knobs{Challenge: true, Username: "cpe1", Password: "b", Unsigned: true}, "cpe1", "b", errUnverified.Error(), false},
		"error 500":      {stun.Knobs{ErrorCode: 500}, "", "", `refused: 500 "so it is"`, true},
		"error 300":      {stun.Knobs{ErrorCode: 300}, "", "", `refused: 300 "so it is"`, true},
	}
	for name, tt := range tests {
		story(t, udpnet.PortRestricted, time.Minute, tt.knobs, func(w *world) {
			w.set(func(s *Settings) { s.STUNUsername, s.STUNPassword = tt.user, tt.password })
			w.pass(29 * time.Second)
			st := w.client.Status()
			if st.State != Failing || st.Err != tt.err || st.NATDetected {
				t.Errorf("%s: %+v", name, st)
			}
			w.seen()
			w.pass(time.Hour)
			seen := w.seen()
			if n := len(seen); n == 0 || n > 120 {
				t.Errorf("%s: %d questions in an hour", name, n)
			}
			for _, r := range seen {
				if tt.neverSigns && r.Integrity != stun.None {
					t.Errorf("%s: signed", name)
				}
			}
		})
	}
}

// 420 to USERNAME: asked without, and remembered.
func TestNameRefused(t *testing.T) {
	story(t, udpnet.PortRestricted, time.Minute, stun.Knobs{RefuseName: true}, func(w *world) {
		w.set(func(s *Settings) { s.STUNUsername, s.STUNPassword = "cpe1", "x" })
		w.pass(time.Second)
		w.wantState(Bound)
		w.seen()
		w.pass(31 * time.Second)
		if seen := w.seen(); len(seen) != 1 || seen[0].Username != "" {
			t.Errorf("keep-alive %+v", seen)
		}
	})
}

// A server that is silent to classic ids is asked with the cookie, and that is
// remembered until it falls silent.
func TestModernServer(t *testing.T) {
	for name, k := range map[string]stun.Knobs{
		"modern": {ModernOnly: true}, "only XOR": {ModernOnly: true, OnlyXOR: true}, "old XOR": {ModernOnly: true, OnlyXOR: true, OldXOR: true},
	} {
		story(t, udpnet.PortRestricted, time.Minute, k, func(w *world) {
			w.pass(9 * time.Second)
			if w.client.Status().State == Bound {
				t.Errorf("%s: bound before the cookie was tried", name)
			}
			if n := len(w.seen()); n != 9 {
				t.Errorf("%s: classic question was sent %d times, want 9", name, n)
			}
			w.pass(time.Second)
			if st := w.client.Status(); st.State != Bound || !st.Cookie || st.UDPConnectionRequestAddress != "203.0.113.9:50007" {
				t.Errorf("%s: %+v", name, st)
			}
			w.seen()
			w.pass(31 * time.Second)
			if seen := w.seen(); len(seen) != 1 || seen[0].Classic {
				t.Errorf("%s: keep-alive %+v", name, seen)
			}
			w.servers[first].Turn(func(k *stun.Knobs) { *k = stun.Stund() }) // another one behind the same address
			w.pass(10 * time.Minute)
			w.wantState(Bound)
		})
	}
}

// S002-25: jstun writes attributes without padding; and the quirks of the
// others, as interop.md has measured them.
func TestServersOfTheField(t *testing.T) {
	for name, k := range map[string]stun.Knobs{
		"coturn": stun.Coturn(), "stund": stun.Stund(), "freeacs": stun.Freeacs(), "jstun": {ClassicOnly: true, Unpadded: true},
	} {
		story(t, udpnet.PortRestricted, time.Minute, k, func(w *world) {
			w.set(func(s *Settings) { s.STUNUsername, s.STUNPassword = "00D09E-Igd-1234567", "x" })
			w.pass(2 * time.Minute)
			st := w.client.Status()
			if st.State != Bound || !strings.HasPrefix(st.UDPConnectionRequestAddress, "203.0.113.9:") {
				t.Errorf("%s: %+v", name, st)
			}
			known := w.servers[first].Binding("00D09E-Igd-1234567")
			for _, r := range w.seen() {
				if r.Integrity != stun.None || r.Size >= 200 || r.Padding != "" && r.Padding != "  " {
					t.Errorf("%s: asked %+v", name, r)
				}
			}
			if known.String() != st.UDPConnectionRequestAddress {
				t.Errorf("%s: the server knows %s, we say %s", name, known, st.UDPConnectionRequestAddress)
			}
		})
	}
}

// A server that maps us to where we cannot be is not believed.
func TestHostileServer(t *testing.T) {
	for _, lie := range []string{"127.0.0.1:7547", "224.0.0.1:7547", "255.255.255.255:1", "0.0.0.0:7547", "169.254.1.1:7547", "203.0.113.9:0", "240.0.0.1:9"} {
		story(t, udpnet.PortRestricted, time.Minute, stun.Knobs{Silent: true}, func(w *world) {
			w.servers[first].Turn(func(k *stun.Knobs) {
				k.Silent, k.Mapped = false, func(netip.AddrPort) netip.AddrPort { return netip.MustParseAddrPort(lie) }
			})
			w.pass(20 * time.Second)
			if st := w.client.Status(); st.State != Failing || st.NATDetected || st.UDPConnectionRequestAddress != "192.168.1.1:7547" {
				t.Errorf("%s: %+v", lie, st)
			}
			w.servers[first].Turn(func(k *stun.Knobs) { k.Mapped = nil })
			w.pass(time.Minute)
			w.wantState(Bound)
		})
	}
}
