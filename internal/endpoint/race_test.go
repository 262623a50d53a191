package endpoint

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"slices"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

const (
	six  = "[2001:db8::13]:443"
	four = "192.0.2.11:443"
)

// TestRace: of two families the first to answer counts, and one that is dead
// costs a quarter of a second, not a time-out (RFC 8305 5). What was begun and
// lost is closed.
func TestRace(t *testing.T) {
	for name, c := range map[string]struct {
		up, hang []string
		want     string // "" none
		after    time.Duration
		tried    int
		blocked  []string
	}{
		"both answer":        {up: []string{six, four}, want: six, tried: 1},
		"IPv6 is silent":     {up: []string{four}, hang: []string{six}, want: four, after: headStart, tried: 2},
		"IPv6 is refused":    {up: []string{four}, want: four, tried: 2, blocked: []string{six}},
		"IPv4 is silent":     {up: []string{six}, hang: []string{four}, want: six, tried: 1},
		"both are silent":    {hang: []string{six, four}, after: headStart + defaultConnect, tried: 2, blocked: []string{six, four}},
		"both are refused":   {tried: 2, blocked: []string{six, four}},
		"silent and refused": {hang: []string{six}, after: defaultConnect, tried: 2, blocked: []string{six, four}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := &host{up: map[string]func(net.Conn){}, hang: map[string]bool{}}
				for _, a := range c.up {
					h.up[a] = nil
				}
				for _, a := range c.hang {
					h.hang[a] = true
				}
				r, _ := resolver(t, zone("acs.example. 60 A 192.0.2.11", "acs.example. 60 AAAA 2001:db8::13"))
				d := &Dialer{Resolver: r, Base: h.dial, Pool: Pool{First: true}, Attempts: 2}
				session := &pins{at: map[string]netip.AddrPort{}}
				began := time.Now()
				conn, err := d.dial(t.Context(), "tcp", "acs.example:443", session)
				if took := time.Since(began); took != c.after || (err == nil) != (c.want != "") {
					t.Errorf("%v after %v, want %v", err, took, c.after)
				}
				if conn != nil {
					_ = conn.Close()
				}
				if at, _ := session.get("acs.example:443"); c.want != "" && at.String() != c.want {
					t.Errorf("the session stays with %v, want %s", at, c.want)
				}
				if got := h.attempts(); len(got) != c.tried {
					t.Errorf("tried %v", got)
				}
				var blocked []string
				for a := range d.Pool.Blocked() {
					blocked = append(blocked, a.String())
				}
				slices.Sort(blocked)
				slices.Sort(c.blocked)
				if diff := cmp.Diff(c.blocked, blocked); diff != "" {
					t.Errorf("blocked: %s", diff)
				}
				var all *DialError
				if err != nil && (!errors.As(err, &all) || len(all.Tries) != 2) {
					t.Errorf("error %v", err)
				}
			})
		})
	}
}

// closing notes that it was closed.
type closing struct {
	net.Conn
	closed chan<- string
	addr   string
}

func (c closing) Close() error { c.closed <- c.addr; return nil }

// A connection that comes too late is closed, for nobody will use it; and two
// servers of one family are not asked at the same time, which would double the
// load of a fleet that comes back.
func TestRaceIsSmall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		closed := make(chan string, 2)
		took := map[string]time.Duration{six: time.Second, four: time.Second / 2}
		late := func(_ context.Context, _, addr string) (net.Conn, error) { // it does not hear of the end
			time.Sleep(took[addr])
			return closing{addr: addr, closed: closed}, nil
		}
		target := Target{Name: "acs.example", Addr: netip.MustParseAddrPort(six), Other: netip.MustParseAddrPort(four)}
		c, at, err := target.Dial(t.Context(), "tcp", late)
		if err != nil || at.String() != four || c.(closing).addr != four {
			t.Fatalf("%v, %v", at, err)
		}
		if lost := <-closed; lost != six {
			t.Errorf("closed %s", lost)
		}

		h := &host{up: map[string]func(net.Conn){"192.0.2.12:443": nil}, hang: map[string]bool{four: true}}
		r, _ := resolver(t, zone("acs.example. 60 A 192.0.2.11", "acs.example. 60 A 192.0.2.12"))
		d := &Dialer{Resolver: r, Base: h.dial, Pool: Pool{First: true}, ConnectTimeout: 2 * time.Second}
		began := time.Now()
		if c, err = d.DialContext(t.Context(), "tcp", "acs.example:443"); err != nil || time.Since(began) != 2*time.Second {
			t.Fatalf("%v after %v", err, time.Since(began))
		}
		_ = c.Close()
	})
}

// A target that has both families is one server: two of its addresses that
// cannot be reached are both passed over, and one attempt is spent on them.
func TestTargetOfBothFamilies(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, w := resolver(t, zone(
			"_rueconfig._tcp.p.example. 300 SRV 0 0 443 one.p.example.", "_rueconfig._tcp.p.example. 300 SRV 1 0 443 two.p.example.",
			"one.p.example. 60 A 192.0.2.11", "one.p.example. 60 AAAA 2001:db8::13", "two.p.example. 60 A 192.0.2.12"))
		defer w.wg.Wait()
		f, err := r.Find(t.Context(), Search{Service: "rueconfig", Domain: "p.example"})
		if err != nil {
			t.Fatal(err)
		}
		want := []Target{
			{"one.p.example", netip.MustParseAddrPort(six), netip.MustParseAddrPort(four)},
			{"one.p.example", netip.MustParseAddrPort(four), netip.MustParseAddrPort(six)},
			{"two.p.example", netip.MustParseAddrPort("192.0.2.12:443"), netip.AddrPort{}},
		}
		if !slices.Equal(f.Targets, want) {
			t.Errorf("targets %v", f.Targets)
		}
		h := &host{up: map[string]func(net.Conn){"192.0.2.12:443": nil}, hang: map[string]bool{six: true, four: true}}
		c := &Channel{Name: "test", Attempts: 2, Find: func(context.Context) (Found, error) { return f, nil }}
		began := time.Now()
		err = c.Do(t.Context(), func(ctx context.Context, target Target) error {
			ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
			defer cancel()
			conn, _, err := target.Dial(ctx, "tcp", h.dial)
			if err == nil {
				_ = conn.Close()
			}
			return err
		})
		if err != nil || time.Since(began) != 2*time.Second || len(c.Health().Blocked) != 2 {
			t.Errorf("%v after %v, blocked %v", err, time.Since(began), c.Health().Blocked)
		}
	})
}

// Both addresses of one host are named in the error, once each.
func TestErrorOfBothFamilies(t *testing.T) {
	d := &Dialer{Base: (&host{}).dial, Attempts: 1}
	target := Target{Name: "acs.example", Addr: netip.MustParseAddrPort(six), Other: netip.MustParseAddrPort(four)}
	_, _, err := target.Dial(t.Context(), "tcp", d.DialContext)
	const want = "cannot connect to acs.example: [2001:db8::13]:443: connection refused; 192.0.2.11:443: connection refused"
	if !errors.Is(err, syscall.ECONNREFUSED) || err.Error() != want {
		t.Errorf("error %v", err)
	}
}

// S001-46, discovery A6: who must always meet the same server takes one
// address, and a host with one of each family is one server.
func TestSingleOfBothFamilies(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, w := resolver(t, zone("one.example. 60 A 192.0.2.11", "one.example. 60 AAAA 2001:db8::13",
			"more.example. 60 A 192.0.2.11", "more.example. 60 A 192.0.2.12", "more.example. 60 AAAA 2001:db8::13"))
		defer w.wg.Wait()
		for name, several := range map[string]int{"one.example": 0, "more.example": 1} {
			f, err := r.Find(t.Context(), Search{Domain: name, Port: 443, Single: true})
			if err != nil || len(f.Targets) != 2 || f.Targets[0].Addr.String() != six || f.Targets[0].Other.String() != four || len(f.Several) != several {
				t.Errorf("%s: %+v, %v", name, f, err)
			}
		}
	})
}

// A Local error says nothing of a server: none is blocked, none has answered,
// and no other one is asked.
func TestLocal(t *testing.T) {
	c, s := channel(PolicyPool, 3)
	no := errors.New("no trusted certificates")
	s.answers["a"] = &Local{no}
	if err := c.Do(t.Context(), s.call); !errors.Is(err, no) || s.seen() != "a" {
		t.Errorf("got %v", err)
	}
	if h := c.Health(); h.Up || !h.LastOK.IsZero() || len(h.Blocked) != 0 || h.LastError != no.Error() {
		t.Errorf("health %+v", h)
	}
}
