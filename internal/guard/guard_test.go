package guard

import (
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// newGuard returns a guard and the transports that were asked for a session.
func newGuard(c Config) (*Guard, *[]string) {
	var got []string
	c.Accept = func(transport string) { got = append(got, transport) }
	return New(c), &got
}

// TestAcceptIsTheCallers: nothing starts before the transport has answered.
func TestAcceptIsTheCallers(t *testing.T) {
	g, got := newGuard(Config{})
	accepted, err := g.Admit("http", "192.0.2.1:5000")
	if err != nil || len(*got) != 0 {
		t.Fatalf("Admit: %v, accepted %v", err, *got)
	}
	accepted()
	if len(*got) != 1 || (*got)[0] != "http" {
		t.Errorf("accepted %v", *got)
	}
}

func TestRates(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, _ := newGuard(Config{Total: Rate{6, 6 * time.Second}, PerSource: Rate{3, 6 * time.Second}})
		admit := func(source string, want error) {
			t.Helper()
			if _, err := g.Admit("http", source); !errors.Is(err, want) {
				t.Errorf("%s: %v, want %v", source, err, want)
			}
		}
		for i := range 3 {
			admit(fmt.Sprintf("192.0.2.1:%d", i+1), nil) // one source, whatever its port
		}
		admit("192.0.2.1:9", ErrBusy)
		for range 3 {
			admit("192.0.2.2", nil)
		}
		admit("192.0.2.3", ErrBusy) // the total
		time.Sleep(time.Second)     // on the bubble's clock
		admit("192.0.2.3", nil)
		admit("192.0.2.3", ErrBusy)
		time.Sleep(6 * time.Second)
		for range 3 {
			admit("192.0.2.1", nil)
		}
		admit("192.0.2.1", ErrBusy)
		c := g.Stats().Transports["http"]
		if c.Accepted != 10 || c.Limited != 4 {
			t.Errorf("counts %+v", c)
		}
	})
}

// TestWrongPasswordsLockNobodyOut replays a brute-force attempt from the
// address of the ACS itself.
func TestWrongPasswordsLockNobodyOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log strings.Builder
		g, _ := newGuard(Config{Log: slog.New(slog.NewTextHandler(&log, nil))})
		var waits []time.Duration
		for range 1000 {
			waits = append(waits, g.Failed("http", "192.0.2.1:1"))
		}
		if waits[0] != 0 || waits[2] != 0 || waits[3] != 50*time.Millisecond || waits[4] != 100*time.Millisecond || waits[999] != slowestAnswer {
			t.Errorf("waits %v ... %v", waits[:6], waits[999])
		}
		if n := strings.Count(log.String(), "wrong credentials"); n != 1 {
			t.Errorf("%d lines in the log, want 1", n)
		}
		if _, err := g.Admit("http", "192.0.2.1:2"); err != nil {
			t.Errorf("right password after 1000 wrong ones: %v", err)
		}
		time.Sleep(logEvery)
		g.Failed("http", "192.0.2.1:1")
		if !strings.Contains(log.String(), "times=1000") {
			t.Errorf("the log does not count: %s", log.String())
		}
		time.Sleep(forgetAfter + 1)
		if w := g.Failed("http", "192.0.2.1:1"); w != 0 {
			t.Errorf("wait %v after a quiet time", w)
		}
		if c := g.Stats().Transports["http"]; c.Failed != 1002 || c.LastRefused.IsZero() || c.Last.IsZero() {
			t.Errorf("stats %+v", c)
		}
	})
}

// TestMemory: a botnet fills no memory.
func TestMemory(t *testing.T) {
	g, _ := newGuard(Config{Total: Rate{1 << 30, time.Hour}})
	for i := range 10 * maxSources {
		g.Failed("udp", fmt.Sprintf("10.0.%d.%d", i/256, i%256))
		if _, err := g.Admit("udp", fmt.Sprintf("10.1.%d.%d", i/256, i%256)); err != nil {
			t.Fatal(err)
		}
	}
	if a, b := len(g.failing.rows), len(g.sources.rows); a > maxSources || b > maxSources {
		t.Errorf("%d and %d sources remembered, want at most %d", a, b, maxSources)
	}
}

func TestSourceName(t *testing.T) {
	tests := map[string]string{
		"192.0.2.1":              "192.0.2.1",
		"192.0.2.1:80":           "192.0.2.1",
		"::ffff:192.0.2.1":       "192.0.2.1",
		"[2001:db8:1:2::9]:80":   "2001:db8:1:2::/64",
		"2001:db8:1:2:3::":       "2001:db8:1:2::/64",
		"fe80::1%eth0":           "fe80::/64",
		"acs@example.net/x":      "acs@example.net/x",
		strings.Repeat("a", 500): strings.Repeat("a", 128),
	}
	for in, want := range tests {
		if got := sourceName(in); got != want {
			t.Errorf("sourceName(%q) = %q, want %q", in, got, want)
		}
	}
}
