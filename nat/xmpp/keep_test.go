package xmpp

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"gatehouse/internal/endpoint"
	"gatehouse/lab/pipe"
	lab "gatehouse/lab/xmpp"
)

func TestCeiling(t *testing.T) {
	p := defaults()
	// xmpp.md 7: 1, 2, 4, … 512, 512 minutes
	for n, minutes := range []int{1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 512, 512} {
		if got := ceiling(p, n+1); got != time.Duration(minutes)*time.Minute {
			t.Errorf("ceiling %d is %v", n+1, got)
		}
	}
	p.RetryMultiplier = 1999 // is not 1
	if got := ceiling(p, 3); got != time.Duration(60*1.999*1.999*1e9) {
		t.Errorf("×1.999: %v", got)
	}
	p.RetryMultiplier = 65535
	if got := ceiling(p, 1<<30); got != 30720*time.Second {
		t.Errorf("huge: %v", got)
	}
	if got := ceiling(Params{}, 2); got != 2*time.Minute {
		t.Errorf("no parameters: %v", got)
	}
	p = defaults()
	for range 1000 {
		w := retry{func(n int64) int64 { return n / 2 }}.wait(p, 1, false)
		if w < 0 || w > time.Minute {
			t.Fatalf("waits %v", w)
		}
	}
}

// gone lets nobody answer at the server's address.
func gone(r *rig) {
	r.halt()
	synctest.Wait()
}

// back lets the server answer again.
func back(r *rig) { r.serve() }

// The server is killed and started again; our address stays what it was.
func TestServerRestart(t *testing.T) {
	started(t, nil, func(r *rig, s *lab.Session) {
		r.lock(func() { r.params.Resource = "" })
		time.Sleep(time.Hour)
		jid := r.client.Status().JID
		gone(r)
		if got := r.want(Connecting); got.JID != jid || got.NextTry.IsZero() {
			t.Errorf("status %+v", got)
		}
		time.Sleep(time.Minute + time.Second) // the first wait, all of it
		r.want(ServerNotPresent)
		back(r)
		time.Sleep(time.Minute) // the next one
		if got := r.want(Enabled); got.JID != jid || got.Tries != 0 {
			t.Errorf("JID %q, was %q", got.JID, jid)
		}
	})
}

// Cut in the middle of a stanza, half of it is no request.
func TestCutInTheMiddleOfAStanza(t *testing.T) {
	started(t, nil, func(r *rig, s *lab.Session) {
		raw := request("cr1", acsJID, "u", "p&lt;&amp;>")
		tell(r, s, raw[:len(raw)-3])
		s.Drop()
		r.want(Connecting)
		time.Sleep(2 * time.Minute)
		r.want(Enabled)
		if r.asked() != 0 {
			t.Error("half a request was served")
		}
	})
}

func TestRetries(t *testing.T) {
	bubble(t, nil, func(r *rig) {
		gone(r)
		r.params.Attempts = 3
		r.zone.a["host1.example.net"] = addrs("192.0.2.10", "2001:db8::10")
		begin := time.Now()
		var at []int
		r.client.cfg.Dial = noting(r, func() { at = append(at, int(time.Since(begin).Minutes())) })
		r.start()
		time.Sleep(30 * time.Hour)
		r.want(ServerNotPresent)
		// Three at one address with waits of 1 and 2 minutes, three at the
		// other, then the third wait, and so on.
		if want := []int{0, 1, 3, 3, 4, 6, 10, 11, 13, 13, 14, 16, 24}; !slices.Equal(at[:len(want)], want) {
			t.Errorf("attempts at minutes %v, want %v", at, want)
		}
		if d := r.dialled(); d[2] != "192.0.2.10:5222" || d[3] != "[2001:db8::10]:5222" || d[6] != "192.0.2.10:5222" {
			t.Errorf("dialled %v", d)
		}
	})
}

// DNS gives addresses in another order each time: the attempts at one go on
// all the same.
func TestRetriesKeepToAnAddress(t *testing.T) {
	bubble(t, nil, func(r *rig) {
		gone(r)
		r.params.Attempts = 3
		r.client.cfg.Resolver = &turning{zone: r.zone, addrs: addrs("192.0.2.10", "192.0.2.11", "192.0.2.12")}
		r.start()
		time.Sleep(time.Hour)
		d := r.dialled()
		if len(d) < 9 {
			t.Fatalf("dialled %v", d)
		}
		for i := range 9 {
			if d[i] != d[i/3*3] || i%3 == 0 && i > 0 && d[i] == d[i-1] {
				t.Fatalf("dialled %v", d[:9])
			}
		}
	})
}

// turning is a zone whose addresses turn round with each question.
type turning struct {
	*zone
	addrs []netip.Addr
}

func (z *turning) Lookup(context.Context, string) (endpoint.Addrs, error) {
	z.addrs = append(z.addrs[1:], z.addrs[0])
	return endpoint.Addrs{Addrs: slices.Clone(z.addrs)}, nil
}

// A connection that does not stand for long does not count as good: the waits
// grow on. One that does begins them anew.
func TestFlapping(t *testing.T) {
	started(t, nil, func(r *rig, s *lab.Session) {
		for i := range 4 {
			time.Sleep(10 * time.Second)
			s.Drop()
			synctest.Wait()
			wait := time.Minute << i
			time.Sleep(wait - time.Second)
			r.want(Connecting)
			time.Sleep(2 * time.Second)
			s = r.bound()
		}
		time.Sleep(61 * time.Second)
		s.Drop()
		synctest.Wait()
		time.Sleep(61 * time.Second)
		r.want(Enabled)
	})
}

// A poke that comes just before a read ends it.
func TestBellBeforeARead(t *testing.T) {
	b := bell{ring: make(chan struct{}, 1)}
	b.poke(pokeUp)
	var line deadlines
	if err := b.reading(&line, time.Time{}); err != nil || line.IsZero() || line.After(time.Now()) {
		t.Errorf("deadline %v, %v", line, err)
	}
	if b.take() != pokeUp {
		t.Error("the poke is lost")
	}
	if err := b.reading(&line, time.Time{}); err != nil || !line.IsZero() {
		t.Errorf("deadline %v, %v", line, err)
	}
	cancelled := false
	b.attempting(func() { cancelled = true })
	if b.poke(pokeUp); cancelled {
		t.Error("the network coming up ended an attempt")
	}
	if b.poke(pokeChanged); !cancelled || line.IsZero() {
		t.Error("a change did not end it")
	}
}

type deadlines struct{ time.Time }

func (d *deadlines) SetReadDeadline(t time.Time) error { d.Time = t; return nil }

// With ServerConnectAttempts 0 each address has one try, then there is a wait.
func TestRetriesOfOurOwn(t *testing.T) {
	bubble(t, nil, func(r *rig) {
		gone(r)
		r.params.Attempts = 0
		r.zone.a["host1.example.net"] = addrs("192.0.2.10", "192.0.2.11")
		r.start()
		time.Sleep(10*time.Minute + 30*time.Second) // waits 1, 2, 4 minutes
		if got := r.dialled(); len(got) != 8 {
			t.Errorf("attempts: %v", got)
		}
	})
}

func noting(r *rig, f func()) endpoint.DialFunc {
	return func(ctx context.Context, network, addr string) (net.Conn, error) {
		r.lock(f)
		return r.dial(ctx, network, addr)
	}
}

// The network comes up: an attempt at once, however long the wait would be.
func TestNetworkUpTriesAtOnce(t *testing.T) {
	bubble(t, nil, func(r *rig) {
		r.network.Set(address, pipe.Refuse)
		r.start()
		time.Sleep(5 * time.Hour)
		r.want(ServerNotPresent)
		r.network.Set(address, pipe.Open)
		r.client.NetworkUp()
		r.want(Enabled)
	})
	t.Run("during an attempt", func(t *testing.T) {
		bubble(t, nil, func(r *rig) {
			r.network.Set(address, pipe.Drop)
			r.start()
			time.Sleep(5 * time.Second)
			r.network.Set(address, pipe.Open)
			r.client.NetworkUp() // the attempt under way goes nowhere; the next comes right after it
			time.Sleep(connectTime)
			r.want(Enabled)
		})
	})
	t.Run("again and again", func(t *testing.T) {
		bubble(t, nil, func(r *rig) {
			r.network.Set(address, pipe.Refuse)
			r.start()
			before := len(r.dialled())
			for range 1000 {
				r.client.NetworkUp()
				time.Sleep(10 * time.Millisecond)
			}
			if n := len(r.dialled()) - before; n > 6 {
				t.Errorf("%d attempts in 10 s", n)
			}
		})
	})
}

func TestChanges(t *testing.T) {
	tests := []struct {
		name  string
		edit  func(p *Params)
		fresh bool // the connection is made anew
	}{
		{"nothing", func(*Params) {}, false},
		{"how to retry", func(p *Params) { p.RetryMax, p.Attempts = 600, 2 }, false},
		{"keep-alive", func(p *Params) { p.KeepAlive = 100 }, false},
		{"resource", func(p *Params) { p.Resource = "other" }, true},
		{"TLS", func(p *Params) { p.UseTLS = true }, true},
		{"server", func(p *Params) { p.Servers = []Server{{Enable: true}} }, true},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			started(t, withTLS, func(r *rig, s *lab.Session) {
				time.Sleep(10 * time.Second)
				r.written()
				r.set(test.edit)
				if test.fresh {
					if w := r.written(); len(w) < 2 || w[0] != "</stream:stream>" || !strings.HasPrefix(w[1], "<?xml") {
						t.Errorf("wrote %q", w)
					}
				}
				if got := r.want(Enabled); (r.server.Logins() == 2) != test.fresh {
					t.Errorf("%d connections, status %+v", r.server.Logins(), got)
				}
				if test.name == "keep-alive" {
					time.Sleep(101 * time.Second)
					if w := r.written(); len(w) != 1 {
						t.Errorf("wrote %q", w)
					}
				}
			})
		})
	}
}

// Parameters that are changed while we wait count at once; news without a
// change do not.
func TestChangesInAWait(t *testing.T) {
	bubble(t, nil, func(r *rig) {
		gone(r)
		r.start()
		time.Sleep(24 * time.Hour)
		n := len(r.dialled())
		r.set(func(*Params) {})
		if got := len(r.dialled()); got != n {
			t.Errorf("%d attempts more", got-n)
		}
		r.set(func(p *Params) { p.RetryMax = 60 })
		if got := len(r.dialled()); got != n+1 {
			t.Errorf("%d attempts more, want 1", got-n)
		}
		time.Sleep(10*time.Minute + time.Second)
		if got := len(r.dialled()); got != n+11 {
			t.Errorf("%d attempts in 10 minutes", got-n-1)
		}
	})
}

// A server that goes away says where to.
func TestSentOnLater(t *testing.T) {
	started(t, nil, func(r *rig, s *lab.Session) {
		time.Sleep(time.Hour)
		tell(r, s, `<stream:error><see-other-host xmlns="urn:ietf:params:xml:ns:xmpp-streams">[2001:db8::1]:5269</see-other-host></stream:error></stream:stream>`)
		if d := r.dialled(); len(d) != 2 || d[1] != "[2001:db8::1]:5269" {
			t.Errorf("dialled %v", d)
		}
		time.Sleep(2 * time.Minute) // nobody is there
		r.want(Enabled)
	})
}

// The address of an account that is not ours any more is not told to the ACS.
func TestAnotherAccount(t *testing.T) {
	started(t, nil, func(r *rig, s *lab.Session) {
		time.Sleep(time.Minute)
		r.set(func(p *Params) { p.Username = "cpe2" })
		if got := r.want(AuthFailure); got.JID != "" {
			t.Errorf("JID %q", got.JID)
		}
	})
}

func TestDisabled(t *testing.T) {
	bubble(t, nil, func(r *rig) {
		r.params.Enable = false
		r.start()
		r.want(Disabled)
		time.Sleep(time.Hour)
		r.set(func(p *Params) { p.Enable = true })
		r.want(Enabled)
		time.Sleep(gap)
		r.set(func(p *Params) { p.Enable = false })
		time.Sleep(closing)
		if s := r.want(Disabled); s.JID != "" || s.TLS || s.Server != "" {
			t.Errorf("status %+v", s)
		}
		if d := r.dialled(); len(d) != 1 {
			t.Errorf("dialled %v", d)
		}
	})
}

func TestMisconfigured(t *testing.T) {
	for _, edit := range []func(p *Params){
		func(p *Params) { p.Domain = "" }, func(p *Params) { p.Username = "" },
		func(p *Params) { p.Username = "a@b" }, func(p *Params) { p.Username = "a/b" }, func(p *Params) { p.Domain = "a b" },
	} {
		bubble(t, nil, func(r *rig) {
			edit(&r.params)
			r.start()
			time.Sleep(time.Hour)
			r.want(Misconfigured)
			r.client.NetworkUp()
			r.set(func(p *Params) { *p = defaults() })
			r.want(Enabled)
		})
	}
}

// Somebody else binds our resource: no hurry to take it back.
func TestConflictWithAnother(t *testing.T) {
	started(t, nil, func(r *rig, s *lab.Session) {
		r.client.retry.rand = func(int64) int64 { return 0 } // else there would be no wait
		tell(r, s, `<stream:error><conflict xmlns="urn:ietf:params:xml:ns:xmpp-streams"/></stream:error></stream:stream>`)
		r.want(Connecting)
		time.Sleep(59 * time.Second)
		r.want(Connecting)
		time.Sleep(2 * time.Second)
		r.want(Enabled)
	})
}

// Run ends politely, and at once when the server does not answer.
func TestStop(t *testing.T) {
	started(t, nil, func(r *rig, s *lab.Session) {
		begin := time.Now()
		r.stop()
		if w := r.written(); !slices.Equal(w, []string{"</stream:stream>"}) {
			t.Errorf("wrote %q", w)
		}
		if time.Since(begin) > 0 {
			t.Errorf("took %v", time.Since(begin))
		}
	})
	t.Run("in a wait", func(t *testing.T) {
		bubble(t, nil, func(r *rig) {
			gone(r)
			r.start()
			time.Sleep(time.Hour)
		})
	})
	t.Run("in an attempt", func(t *testing.T) {
		bubble(t, nil, func(r *rig) {
			r.network.Set(address, pipe.Drop)
			r.start()
		})
	})
	t.Run("in a negotiation", func(t *testing.T) {
		bubble(t, func(_ *rig, k *lab.Knobs) { k.Silent = true }, func(r *rig) { r.start() })
	})
}

// The status changes when it should and is told; counters alone tell nobody.
func TestStatusIsTold(t *testing.T) {
	started(t, nil, func(r *rig, s *lab.Session) {
		r.lock(func() {
			if !slices.Equal(slices.Compact(r.states), []State{Connecting, Enabled}) {
				t.Errorf("states %v", r.states)
			}
			r.states = nil
		})
		since := r.client.Status().Since
		time.Sleep(time.Hour)
		if got := r.client.Status(); got.Stats.Transmitted < 10 || !got.Since.Equal(since) {
			t.Errorf("status %+v", got)
		}
		r.lock(func() {
			if len(r.states) != 0 {
				t.Errorf("told of %v", r.states)
			}
		})
	})
}

func TestSecretsAreNotPrinted(t *testing.T) {
	p := defaults()
	for _, text := range []string{fmt.Sprintf("%v %+v %#v %s", p, p, p, p.Password), p.Password.LogValue().String()} {
		if strings.Contains(text, "s3cret") {
			t.Error(text)
		}
	}
}
