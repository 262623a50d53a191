package endpoint

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// A site answers calls by address: nil for well, or with an error.
type site struct {
	answers map[string]error
	calls   []string
}

func (s *site) call(_ context.Context, t Target) error {
	s.calls = append(s.calls, t.Name)
	return s.answers[t.Name]
}

func (s *site) seen() string {
	out := strings.Join(s.calls, " ")
	s.calls = nil
	return out
}

// targets are servers called a, b, c, …
func targets(n int) (f Found) {
	for i := range n {
		f.Targets = append(f.Targets, Target{Name: string(rune('a' + i)), Addr: netip.AddrPortFrom(netip.AddrFrom4([4]byte{198, 51, 100, byte(48 + i)}), 443)})
	}
	return f
}

func channel(p Policy, n int) (*Channel, *site) {
	return &Channel{
		Name: "test", Policy: p, BlockFor: time.Minute, Rand: func(int) int { return 0 },
		Find: func(context.Context) (Found, error) { return targets(n), nil },
	}, &site{answers: map[string]error{}}
}

var errRefused = errors.New("connection refused")

// S001-32, S001-33, S001-34, S001-36: errors, 5xx and time-outs block a server
// and lead to the next at once.
func TestPoolGoesOn(t *testing.T) {
	for _, failure := range []error{errRefused, &StatusError{Status: 503}, context.DeadlineExceeded, os.ErrDeadlineExceeded} {
		synctest.Test(t, func(t *testing.T) {
			c, s := channel(PolicyPool, 3)
			s.answers["a"] = failure
			began := time.Now()
			if err := c.Do(t.Context(), s.call); err != nil || s.seen() != "a b" || time.Since(began) != 0 {
				t.Errorf("%v: %v after %v", failure, err, time.Since(began))
			}
			if err := c.Do(t.Context(), s.call); err != nil || s.seen() != "b" {
				t.Errorf("%v: a blocked server was asked", failure)
			}
		})
	}
}

// S001-37: a block ends when its time is over, not before. S001-48: and then the
// first of the list is the first again.
func TestPoolUnblocks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, s := channel(PolicyPool, 2)
		s.answers["a"] = errRefused
		_ = c.Do(t.Context(), s.call)
		s.answers["a"] = nil
		time.Sleep(time.Minute - 1)
		s.seen()
		if _ = c.Do(t.Context(), s.call); s.seen() != "b" {
			t.Error("asked too early")
		}
		time.Sleep(1 * time.Nanosecond)
		if _ = c.Do(t.Context(), s.call); s.seen() != "a" {
			t.Error("not asked again")
		}
	})
}

// S001-17: what one channel has met with says nothing to another one.
func TestChannelsShareNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		one, s := channel(PolicyPool, 2)
		other, _ := channel(PolicyPool, 2)
		s.answers["a"] = errRefused
		_ = one.Do(t.Context(), s.call)
		s.answers["a"], s.calls = nil, nil
		if err := other.Do(t.Context(), s.call); err != nil || s.seen() != "a" || other.Health().LastError != "" {
			t.Errorf("%v, %+v", err, other.Health())
		}
		if _ = one.Do(t.Context(), s.call); s.seen() != "b" {
			t.Error("the block of the first channel is gone")
		}
	})
}

// S001-45, S001-57: heartbeats belong to the server that the channel stays
// with; one that misses two begins anew there.
func TestHeartbeatOfSelected(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, s := channel(PolicySticky, 3)
		s.answers["a"] = errRefused
		_ = c.Do(t.Context(), s.call)
		s.answers["a"] = nil
		s.seen()
		if selected := c.Health().Selected; selected != "b (198.51.100.49:443)" {
			t.Fatal(selected)
		}
		if c.Heartbeat(false) || !c.Heartbeat(false) {
			t.Error("two misses are not what begins anew")
		}
		if err := c.Do(t.Context(), s.call); err != nil || s.seen() != "b" {
			t.Errorf("it begins elsewhere: %v", err)
		}
	})
}

// Retry-After makes the block longer, but nobody can ask for eternity.
func TestRetryAfter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, s := channel(PolicyPool, 2)
		s.answers["a"] = &StatusError{503, 1000 * time.Hour}
		_ = c.Do(t.Context(), s.call)
		time.Sleep(59 * time.Minute)
		s.seen()
		if _ = c.Do(t.Context(), s.call); s.seen() != "b" {
			t.Error("asked too early")
		}
		time.Sleep(time.Minute)
		if _ = c.Do(t.Context(), s.call); s.seen() != "a b" {
			t.Error("not asked after an hour")
		}
	})
}

// S001-35: three attempts, then the error says what was tried. A single server
// gets them all.
func TestThreeAttempts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, n := range []int{1, 2, 5} {
			c, s := channel(PolicyPool, n)
			for _, name := range []string{"a", "b", "c", "d", "e"} {
				s.answers[name] = errRefused
			}
			err := c.Do(t.Context(), s.call)
			var failed *AttemptsError
			if !errors.As(err, &failed) || len(failed.Tries) != 3 || !errors.Is(err, errRefused) {
				t.Errorf("%d servers: %v", n, err)
			}
			if seen := s.seen(); n == 5 && seen != "a b c" || n == 1 && seen != "a a a" {
				t.Errorf("%d servers: %s", n, seen)
			}
			if h := c.Health(); h.Up || !strings.Contains(h.LastError, "a (198.51.100.48:443): connection refused") {
				t.Errorf("health: %+v", h)
			}
		}
	})
}

// S001-38: when all are blocked, any of them is tried, each as likely as the
// others; one that answers is free again, and only that one.
func TestAllBlocked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		count := map[string]int{}
		for i := range 300 {
			c, s := channel(PolicyPool, 3)
			c.Rand = nil
			for _, name := range []string{"a", "b", "c"} {
				s.answers[name] = errRefused
			}
			_ = c.Do(t.Context(), s.call)
			s.answers = map[string]error{}
			s.seen()
			_ = c.Do(t.Context(), s.call)
			first := s.seen()
			count[first]++
			if i == 0 && len(c.Health().Blocked) != 2 {
				t.Errorf("blocked after an answer of %s: %v", first, c.Health().Blocked)
			}
		}
		for _, name := range []string{"a", "b", "c"} {
			if count[name] < 50 {
				t.Errorf("%s was picked %d times of 300: %v", name, count[name], count)
			}
		}
	})
}

// When all are blocked a request meets each of them before it meets one twice:
// the one that is back is found at once.
func TestAllBlockedMeetsEach(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for range 50 {
			c, s := channel(PolicyPool, 3)
			c.Rand = nil
			s.answers["a"], s.answers["b"], s.answers["c"] = errRefused, errRefused, errRefused
			_ = c.Do(t.Context(), s.call)
			s.answers["b"] = nil
			if err := c.Do(t.Context(), s.call); err != nil {
				t.Fatal(err)
			}
		}
	})
}

// An answer is an answer: 401 and 404 do not send us to another server.
func TestFinal(t *testing.T) {
	c, s := channel(PolicyPool, 3)
	no := errors.New("no such subscriber")
	s.answers["a"] = &Final{no}
	if err := c.Do(t.Context(), s.call); !errors.Is(err, no) || s.seen() != "a" || len(c.Health().Blocked) != 0 || !c.Health().Up {
		t.Errorf("%v, %+v", err, c.Health())
	}
}

// S001-56, S001-59, S001-63, S001-64, S001-66: the app stays with the server
// that answers, goes on from the last to the first, and never back by itself.
func TestSticky(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, s := channel(PolicySticky, 3)
		do := func(want string) {
			t.Helper()
			if _ = c.Do(t.Context(), s.call); s.seen() != want {
				t.Errorf("want %q", want)
			}
		}
		do("a")
		s.answers["a"] = errRefused
		do("a b")
		s.answers["a"] = nil
		time.Sleep(time.Hour)
		do("b")
		s.answers["b"] = &StatusError{Status: 500} // S001-60
		do("b c")
		s.answers["c"] = errRefused
		do("c a")
		if h := c.Health(); h.Selected != "a (198.51.100.48:443)" {
			t.Errorf("selected %s", h.Selected)
		}
	})
}

// S001-61: a request that nobody answered in time has failed, for it may have
// been acted on; the next one goes elsewhere.
func TestStickyTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, s := channel(PolicySticky, 2)
		s.answers["a"] = context.DeadlineExceeded
		if err := c.Do(t.Context(), s.call); !IsTimeout(err) || s.seen() != "a" {
			t.Errorf("got %v", err)
		}
		if err := c.Do(t.Context(), s.call); err != nil || s.seen() != "b" {
			t.Errorf("got %v", err)
		}
	})
}

// S001-65: two missed heartbeats in a row, not two in all.
func TestHeartbeat(t *testing.T) {
	c, _ := channel(PolicySticky, 1)
	var got []bool
	for _, ok := range []bool{false, true, false, false, false, false} {
		got = append(got, c.Heartbeat(ok))
	}
	if want := []bool{false, false, false, true, false, true}; !slices.Equal(got, want) {
		t.Errorf("got %v", got)
	}
}

// S001-67: the app looks its servers up once, the pool when their time to live
// is over; when nobody answers, the last ones serve on.
func TestChannelLookup(t *testing.T) {
	for _, p := range []Policy{PolicyPool, PolicySticky} {
		synctest.Test(t, func(t *testing.T) {
			c, s := channel(p, 1)
			n, fail := 0, error(nil)
			c.Find = func(context.Context) (Found, error) {
				n++
				f := targets(2)
				f.Expires = time.Now().Add(time.Minute)
				return f, fail
			}
			for range 5 {
				_ = c.Do(t.Context(), s.call)
				time.Sleep(30 * time.Second)
			}
			if want := map[Policy]int{PolicyPool: 3, PolicySticky: 1}[p]; n != want {
				t.Errorf("policy %d: looked up %d times, want %d", p, n, want)
			}
			fail = errRefused
			time.Sleep(time.Hour)
			if err := c.Do(t.Context(), s.call); err != nil {
				t.Errorf("policy %d: %v", p, err)
			}
			c.Reset()
			if err := c.Do(t.Context(), s.call); p == PolicyPool && !errors.Is(err, errRefused) {
				t.Errorf("policy %d after a reset: %v", p, err)
			}
		})
	}
}

// A caller who gives up blocks nobody.
func TestCanceled(t *testing.T) {
	c, _ := channel(PolicyPool, 2)
	ctx, cancel := context.WithCancel(t.Context())
	err := c.Do(ctx, func(context.Context, Target) error { cancel(); return context.Canceled })
	if !errors.Is(err, context.Canceled) || len(c.Health().Blocked) != 0 {
		t.Errorf("%v, blocked %v", err, c.Health().Blocked)
	}
}

// S003-01, S003-02, S003-31, S003-32: the most specific rule counts, field by
// field.
func TestRules(t *testing.T) {
	rules := Rules{
		{Match: "", Response: 30 * time.Second, Idle: time.Minute},
		{Match: "rue", Response: 2 * time.Second},
		{Match: "acs.example", KeepAlive: "off"},
		{Match: "https://acs.example/slow", Response: time.Minute},
		{Match: "https://acs.example/slow/er", Response: 2 * time.Minute, KeepAlive: "on"},
	}
	for _, c := range []struct{ channel, url, want string }{
		{"cwmp", "https://x.example/", "30s 1m0s "},
		{"rue", "https://x.example/", "2s 1m0s "},
		{"rue", "https://acs.example:8443/", "2s 1m0s off"},
		{"rue", "https://ACS.example/slow", "1m0s 1m0s off"},
		{"rue", "https://acs.example/slowly", "2s 1m0s off"},
		{"rue", "https://acs.example/slow/er/x?y", "2m0s 1m0s on"},
		{"rue", "http://acs.example/slow", "2s 1m0s off"},
	} {
		u, err := url.Parse(c.url)
		if err != nil {
			t.Fatal(err)
		}
		r := rules.For(c.channel, u)
		if got := fmt.Sprint(r.Response, " ", r.Idle, " ", r.KeepAlive); got != c.want {
			t.Errorf("%s %s: %s, want %s", c.channel, c.url, got, c.want)
		}
	}
}
