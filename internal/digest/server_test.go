package digest

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// clock is a clock that tests turn.
type clock struct{ t time.Time }

func (c *clock) now() time.Time { return c.t }

func newServer(t *testing.T, c Config) (*Server, *clock) {
	t.Helper()
	k := &clock{time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)}
	c.Now = k.now
	if c.Realm == "" {
		c.Realm = `the "realm", ours`
	}
	s, err := NewServer(c)
	if err != nil {
		t.Fatal(err)
	}
	return s, k
}

var get = Request{Method: "GET", Target: "/cr?a=1", Body: body("x")}

// answerTo returns what a client says to the server's challenge.
func answerTo(t *testing.T, s *Server, user, password string) (*Client, string) {
	t.Helper()
	c := NewClient(user, password, Options{})
	if ok, err := c.Challenge(asks(s.Challenge(false)...)); !ok {
		t.Fatal(err)
	}
	v, err := c.Authorize(get.Method, get.Target, get.Body)
	if err != nil {
		t.Fatal(err)
	}
	return c, v
}

// TestRoundTrip lets client and server meet in every form that both speak.
// S002-07.
func TestRoundTrip(t *testing.T) {
	for _, a := range []Algorithm{MD5, MD5Sess, SHA256, SHA256Sess, SHA512256, SHA512256Sess} {
		for _, integrity := range []bool{false, true} {
			for _, user := range []string{"u", `q"\`, "J\u00e4s\u00f8n"} {
				t.Run(fmt.Sprintf("%s/%v/%s", a, integrity, user), func(t *testing.T) {
					s, _ := newServer(t, Config{Algorithms: []Algorithm{a}, Integrity: integrity})
					c := NewClient(user, "p\u00e4", Options{Integrity: integrity})
					challenge(t, c, s.Challenge(false)...)
					for i := range 3 {
						v, err := c.Authorize(get.Method, get.Target, get.Body)
						if err != nil {
							t.Fatal(err)
						}
						if got := s.Check(v, get, user, "p\u00e4"); got != Accepted {
							t.Errorf("request %d: %v for %s", i, got, v)
						}
						c.Reconnected()
					}
				})
			}
		}
	}
}

func TestServerOffers(t *testing.T) {
	s, _ := newServer(t, Config{Realm: "r", Algorithms: []Algorithm{SHA256, MD5}})
	a, b := s.Challenge(false), s.Challenge(true)
	if len(a) != 2 || !strings.Contains(a[0], `qop="auth", algorithm=SHA-256`) || !strings.Contains(a[1], "algorithm=MD5") || strings.Contains(a[0], "stale") {
		t.Errorf("challenge %q", a)
	}
	if !strings.HasSuffix(b[0], ", stale=true") || strings.Contains(strings.Join(b, ""), `\`) {
		t.Errorf("stale challenge %q", b)
	}
	seen := map[string]bool{}
	for _, v := range append(a, b...) { // S002-15: every challenge has a new nonce
		seen[param1(v, "nonce")] = true
	}
	if len(seen) != 4 {
		t.Errorf("%d nonces in 4 challenges", len(seen))
	}
}

func TestCheck(t *testing.T) {
	s, _ := newServer(t, Config{Realm: "r"})
	other, _ := newServer(t, Config{Realm: "r"})
	_, good := answerTo(t, s, "u", "p")
	_, foreign := answerTo(t, other, "u", "p")
	_, foreignWrong := answerTo(t, other, "u", "x")
	_, wrongPassword := answerTo(t, s, "u", "P")
	_, wrongUser := answerTo(t, s, "U", "p")
	swap := func(old, new string) string { return strings.Replace(good, old, new, 1) }
	tests := map[string]struct {
		header string
		want   Verdict
	}{
		"none":            {"", Missing},
		"basic":           {"Basic dTpw", Missing},
		"garbage":         {"\x00\xff\"", Missing},
		"wrong password":  {wrongPassword, Refused},
		"wrong user":      {wrongUser, Refused},
		"foreign nonce":   {foreign, Stale},
		"foreign, wrong":  {foreignWrong, Refused},
		"other realm":     {swap(`realm="r"`, `realm="s"`), Malformed},
		"other algorithm": {swap("algorithm=MD5", "algorithm=SHA-256"), Malformed},
		"qop undefined":   {swap("qop=auth", "qop=undefined"), Malformed},
		"auth-int":        {swap("qop=auth", "qop=auth-int"), Malformed},
		"other path":      {swap("/cr", "/xx"), Malformed},
		"without query":   {swap("?a=1", ""), Malformed},
		"no nc":           {swap(", nc=00000001", ""), Malformed},
		"short nc":        {swap("nc=00000001", "nc=1"), Malformed},
		"nc twice":        {good + ", nc=00000002", Malformed},
		"two schemes":     {good + ", Basic dTpw", Malformed},
		"two user names":  {good + ", username*=UTF-8''u", Malformed},
		"open quote":      {good + `, x="`, Malformed},
		"changed nc":      {swap("nc=00000001", "nc=00000002"), Refused},
		"huge":            {good + strings.Repeat(" ", maxHeader), Malformed},
		"no algorithm":    {swap(", algorithm=MD5", ""), Accepted},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			if got := s.Check(tt.header, get, "u", "p"); got != tt.want {
				t.Errorf("%v, want %v: %s", got, tt.want, tt.header)
			}
		})
	}
	// A client may quote everything, or write the whole URI.
	_, good = answerTo(t, s, "u", "p")
	if got := s.Check(strings.NewReplacer("qop=auth", `qop="auth"`, "nc=00000001", `nc="00000001"`).Replace(good), get, "u", "p"); got != Accepted {
		t.Errorf("quoted qop and nc: %v", got)
	}
	c := NewClient("u", "p", Options{})
	challenge(t, c, s.Challenge(false)...)
	if v, _ := c.Authorize("GET", "http://[::1]:7547/cr?a=1", nil); s.Check(v, get, "u", "p") != Accepted {
		t.Errorf("absolute uri refused: %s", v)
	}
}

// TestReplay: a response is good once; lost time does not count against it.
func TestReplay(t *testing.T) {
	s, k := newServer(t, Config{Lifetime: time.Minute})
	c, v := answerTo(t, s, "u", "p")
	later, _ := c.Authorize(get.Method, get.Target, nil)
	latest, _ := c.Authorize(get.Method, get.Target, nil)
	for i, step := range []struct {
		header string
		want   Verdict
	}{{v, Accepted}, {v, Stale}, {latest, Accepted}, {later, Accepted}, {later, Stale}, {latest, Stale}} {
		if got := s.Check(step.header, get, "u", "p"); got != step.want {
			t.Errorf("step %d: %v, want %v", i, got, step.want)
		}
	}
	_, v = answerTo(t, s, "u", "p")
	k.t = k.t.Add(time.Minute)
	if got := s.Check(v, get, "u", "p"); got != Stale {
		t.Errorf("expired nonce: %v", got)
	}
	// The RFC 2069 form has no count, so its nonce is good for one request.
	old := NewClient("u", "p", Options{})
	challenge(t, old, strings.Replace(s.Challenge(false)[0], `qop="auth", `, "", 1))
	v, _ = old.Authorize(get.Method, get.Target, nil)
	if a, b := s.Check(v, get, "u", "p"), s.Check(v, get, "u", "p"); a != Accepted || b != Stale {
		t.Errorf("RFC 2069 form: %v, then %v", a, b)
	}
}

// TestReplayMemory: the memory is bounded, and forgetting never lets a replay in.
func TestReplayMemory(t *testing.T) {
	s, k := newServer(t, Config{Nonces: 4})
	var used []string
	_, early := answerTo(t, s, "u", "p")
	for range 20 {
		_, v := answerTo(t, s, "u", "p")
		if got := s.Check(v, get, "u", "p"); got != Accepted {
			t.Fatalf("honest request: %v", got)
		}
		used = append(used, v)
		_, wrong := answerTo(t, s, "u", "x") // costs nothing
		s.Check(wrong, get, "u", "p")
	}
	for i, v := range append(used, early) {
		if got := s.Check(v, get, "u", "p"); got != Stale {
			t.Errorf("replay %d: %v", i, got)
		}
	}
	if n := len(s.used.windows); n > 4 {
		t.Errorf("%d nonces remembered, want at most 4", n)
	}
	k.t = k.t.Add(time.Hour)
	_, v := answerTo(t, s, "u", "p")
	if got := s.Check(v, get, "u", "p"); got != Accepted || len(s.used.windows) != 1 {
		t.Errorf("after an hour: %v with %d remembered", got, len(s.used.windows))
	}
}

func TestWindow(t *testing.T) {
	w := window{high: 5, seen: 1}
	for i, step := range []struct {
		count uint32
		want  bool
	}{{5, false}, {4, true}, {4, false}, {6, true}, {5, false}, {200, true}, {6, false}, {137, true}, {136, false}, {137, false}, {0xffffffff, true}, {200, false}} {
		if got := w.take(step.count); got != step.want {
			t.Errorf("step %d: take(%d) = %v", i, step.count, got)
		}
	}
}

func TestServerUserHash(t *testing.T) {
	s, _ := newServer(t, Config{})
	c := NewClient("u", "p", Options{})
	challenge(t, c, s.Challenge(false)[0]+", userhash=true")
	v, _ := c.Authorize(get.Method, get.Target, nil)
	if got := s.Check(v, get, "u", "p"); got != Accepted {
		t.Errorf("%v for %s", got, v)
	}
}

func FuzzCheck(f *testing.F) {
	f.Add(`Digest username="u", realm="r", nonce="n", uri="/cr", response="00", qop=auth, nc=00000001, cnonce="c"`)
	f.Add(`Digest username*=UTF-8''%C3, realm="r"`)
	s, err := NewServer(Config{Realm: "r", Integrity: true})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, header string) {
		if v := s.Check(header, get, "u", "correct horse"); v == Accepted || v == Stale {
			t.Fatalf("%v without the password: %q", v, header)
		}
	})
}
