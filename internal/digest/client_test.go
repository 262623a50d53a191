package digest

import (
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"testing"
)

// asks makes the headers of a 401.
func asks(values ...string) http.Header { return http.Header{"Www-Authenticate": values} }

const plain = `Digest realm="r", nonce="n1", qop="auth", algorithm=MD5, opaque="o"`

// challenge hands a 401 to a client that is expected to try (again).
func challenge(t *testing.T, c *Client, values ...string) {
	t.Helper()
	if ok, err := c.Challenge(asks(values...)); !ok || err != nil {
		t.Fatalf("Challenge(%q) = %v, %v; want a retry", values, ok, err)
	}
}

// authorize returns the next header value.
func authorize(t *testing.T, c *Client) string {
	t.Helper()
	v, err := c.Authorize("POST", "/acs", body("x"))
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// TestStrictQuoting pins which values are quoted (RFC 7616 3.4): ACSes with
// strict parsers refuse the others. S002-13.
func TestStrictQuoting(t *testing.T) {
	c := NewClient(`us"er`, "p", Options{})
	if v := authorize(t, c); v != "" {
		t.Fatalf("credentials %q before any challenge", v)
	}
	challenge(t, c, plain)
	want := regexp.MustCompile(`^Digest username="us\\"er", realm="r", nonce="n1", uri="/acs", response="[0-9a-f]{32}", ` +
		`algorithm=MD5, cnonce="[0-9a-f]{32}", qop=auth, nc=00000001, opaque="o"$`)
	if v := authorize(t, c); !want.MatchString(v) {
		t.Errorf("wrote %s", v)
	}
}

// TestOldForm is RFC 2069: without qop there is no nc, cnonce or algorithm.
func TestOldForm(t *testing.T) {
	c := NewClient("u", "p", Options{})
	challenge(t, c, `Digest realm="r", nonce="n"`)
	want := regexp.MustCompile(`^Digest username="u", realm="r", nonce="n", uri="/acs", response="[0-9a-f]{32}"$`)
	if v := authorize(t, c); !want.MatchString(v) {
		t.Errorf("wrote %s", v)
	}
}

// TestNonceCount counts from 1 for each nonce, over connections. S002-16.
func TestNonceCount(t *testing.T) {
	c := NewClient("u", "p", Options{})
	challenge(t, c, plain)
	cnonces := map[string]bool{}
	for i, want := range []string{"nc=00000001", "nc=00000002", "nc=00000003"} {
		if i == 2 {
			c.Reconnected()
		}
		v := authorize(t, c)
		if !strings.Contains(v, want) {
			t.Errorf("request %d: %s, want %s", i, v, want)
		}
		cnonces[param1(v, "cnonce")] = true
		_ = c.Info(http.Header{})
	}
	if len(cnonces) != 2 {
		t.Errorf("%d cnonces on two connections, want 2", len(cnonces))
	}
	challenge(t, c, strings.Replace(plain, "n1", "n2", 1))
	if v := authorize(t, c); !strings.Contains(v, "nc=00000001") || !strings.Contains(v, `nonce="n2"`) {
		t.Errorf("new nonce: %s", v)
	}
}

// param1 reads one parameter of a header that we wrote.
func param1(value, name string) string {
	v, _ := parseSchemes(value)[0].get(name)
	return v
}

// TestRefused tells a refusal from a server that only wants a new nonce.
func TestRefused(t *testing.T) {
	stale := strings.Replace(plain, "n1", "n2", 1) + ", stale=true"
	tests := map[string]struct {
		o     Options
		run   func(t *testing.T, c *Client)
		last  string
		retry bool
		err   error
	}{
		"wrong password": {
			run:  func(t *testing.T, c *Client) { challenge(t, c, plain); authorize(t, c) },
			last: plain, err: ErrRefused,
		},
		"stale": {
			run:  func(t *testing.T, c *Client) { challenge(t, c, plain); authorize(t, c) },
			last: stale, retry: true,
		},
		"stale for ever": {
			run: func(t *testing.T, c *Client) {
				for range maxStale + 1 {
					challenge(t, c, stale)
					authorize(t, c)
				}
			},
			last: stale, err: ErrRefused,
		},
		"new nonce in mid session without stale": {
			run: func(t *testing.T, c *Client) {
				challenge(t, c, plain)
				authorize(t, c)
				_ = c.Info(http.Header{})
				authorize(t, c)
			},
			last: plain, retry: true,
		},
		// field: FRITZ!Box and GenieACS, nonces that belong to a connection
		"nonce bound to a lost connection": {
			run: func(t *testing.T, c *Client) {
				challenge(t, c, plain)
				c.Reconnected()
				authorize(t, c)
			},
			last: plain, retry: true,
		},
		"basic refused": {
			run:  func(t *testing.T, c *Client) { challenge(t, c, `Basic realm="r"`); authorize(t, c) },
			last: `Basic realm="r"`, err: ErrRefused,
		},
		"preemptive basic, then digest": {
			o:    Options{Preemptive: true},
			run:  func(t *testing.T, c *Client) { authorize(t, c) },
			last: plain, retry: true,
		},
		"preemptive basic refused": {
			o:    Options{Preemptive: true},
			run:  func(t *testing.T, c *Client) { authorize(t, c) },
			last: `Basic realm="r"`, err: ErrRefused,
		},
		"downgrade": {
			run: func(t *testing.T, c *Client) {
				challenge(t, c, plain)
				authorize(t, c)
				_ = c.Info(http.Header{})
				authorize(t, c)
			},
			last: `Basic realm="r"`, err: ErrBasicForbidden,
		},
		"downgrade allowed": {
			o: Options{AllowDowngrade: true},
			run: func(t *testing.T, c *Client) {
				challenge(t, c, plain)
				authorize(t, c)
			},
			last: `Basic realm="r"`, retry: true,
		},
		"basic forbidden": {
			o:    Options{NoBasic: true, Preemptive: true},
			run:  func(t *testing.T, c *Client) { authorize(t, c) },
			last: `Basic realm="r"`, err: ErrBasicForbidden,
		},
		"not a challenge": {run: func(*testing.T, *Client) {}, last: `Digest realm="r"`, err: ErrNoChallenge},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			c := NewClient("u", "p", tt.o)
			tt.run(t, c)
			if ok, err := c.Challenge(asks(tt.last)); ok != tt.retry || !errors.Is(err, tt.err) {
				t.Errorf("Challenge = %v, %v; want %v, %v", ok, err, tt.retry, tt.err)
			}
		})
	}
}

func TestBlankCredentials(t *testing.T) {
	c := NewClient("", "", Options{})
	challenge(t, c, plain)
	if v := authorize(t, c); !strings.HasPrefix(v, `Digest username="", `) {
		t.Errorf("wrote %s", v)
	}
}

func TestUserNames(t *testing.T) {
	tests := map[string]struct{ user, extra, want string }{
		"utf-8 server":   {"J\u00e4s\u00f8n Doe", `, charset="UTF-8"`, "username*=UTF-8''J%C3%A4s%C3%B8n%20Doe"},
		"old server":     {"J\u00e4s\u00f8n", "", "username=\"J\u00e4s\u00f8n\""},
		"ascii":          {"00-A B'*%_1", `, charset="UTF-8"`, `username="00-A B'*%_1"`},
		"line break":     {"a\r\nb'%", "", "username*=UTF-8''a%0D%0Ab%27%25"},
		"hashed":         {"u", ", userhash=true", `username="` + MD5.sum("u", "r") + `"`},
		"quote and back": {`a"\b`, "", `username="a\"\\b"`},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			c := NewClient(tt.user, "p", Options{})
			challenge(t, c, plain+tt.extra)
			v := authorize(t, c)
			if !strings.HasPrefix(v, "Digest "+tt.want+", ") {
				t.Errorf("wrote %s, want %s", v, tt.want)
			}
			if strings.Contains(tt.extra, "userhash") != strings.HasSuffix(v, ", userhash=true") {
				t.Errorf("userhash in %s", v)
			}
		})
	}
}

// TestLatin1 is the one extra attempt for old servers.
func TestLatin1(t *testing.T) {
	c := NewClient("u", "p\u00e4ss", Options{Latin1: true})
	challenge(t, c, plain)
	first := authorize(t, c)
	challenge(t, c, plain)
	if second := authorize(t, c); param1(first, "response") == param1(second, "response") {
		t.Error("the second attempt did not change the character set")
	}
	if ok, err := c.Challenge(asks(plain)); ok || !errors.Is(err, ErrRefused) {
		t.Errorf("third attempt: %v, %v", ok, err)
	}
}

// TestInfo is what apache sends with each answer.
func TestInfo(t *testing.T) {
	proof := func(c *Client) string {
		e := c.last
		e.method = ""
		p, _ := e.response(c.key)
		return p
	}
	c := NewClient("u", "p", Options{})
	challenge(t, c, plain)
	authorize(t, c)
	h := http.Header{"Authentication-Info": {fmt.Sprintf(`rspauth="%s", nextnonce="n2", cnonce="%s", nc=00000001, qop=auth`, proof(c), c.cnonce)}}
	if err := c.Info(h); err != nil {
		t.Fatal(err)
	}
	if v := authorize(t, c); !strings.Contains(v, `nonce="n2"`) || !strings.Contains(v, "nc=00000001") {
		t.Errorf("after nextnonce: %s", v)
	}
	if err := c.Info(http.Header{"Authentication-Info": {`rspauth="00", nextnonce="n3"`}}); !errors.Is(err, ErrProof) {
		t.Errorf("wrong rspauth: %v", err)
	}
	if v := authorize(t, c); !strings.Contains(v, `nonce="n2"`) {
		t.Errorf("the nonce of an impostor was adopted: %s", v)
	}
}

// TestSessionKey: the key of a -sess algorithm outlives nextnonce (RFC 7616 3.4.2).
func TestSessionKey(t *testing.T) {
	c := NewClient("u", "p", Options{})
	challenge(t, c, strings.Replace(plain, "MD5", "MD5-sess", 1))
	authorize(t, c)
	key := MD5Sess.key("u", "r", "p", "n1", c.cnonce)
	_ = c.Info(http.Header{"Authentication-Info": {`nextnonce="n2"`}})
	c.Reconnected()
	e := exchange{algorithm: MD5Sess, method: "POST", uri: "/acs", nonce: "n2", nc: "00000001", cnonce: c.cnonce, qop: Auth}
	want, _ := e.response(key)
	if v := authorize(t, c); param1(v, "response") != want {
		t.Errorf("response %s, want %s", v, want)
	}
}

func TestProxy(t *testing.T) {
	c := NewClient("u", "p", Options{Proxy: true})
	if c.HeaderName() != "Proxy-Authorization" {
		t.Error(c.HeaderName())
	}
	if ok, err := c.Challenge(http.Header{"Proxy-Authenticate": {`Basic realm="p"`}}); !ok || err != nil {
		t.Fatal(ok, err)
	}
	if v := authorize(t, c); v != "Basic dTpw" {
		t.Error(v)
	}
}

func TestBasic(t *testing.T) {
	if _, err := Basic("a:b", "c"); err == nil {
		t.Error("a colon in the user name was accepted")
	}
	// The vector of RFC 7617 2.1.
	if v, err := Basic("test", "123\u00a3"); err != nil || v != "Basic dGVzdDoxMjPCow==" {
		t.Errorf("Basic = %q, %v", v, err)
	}
	if v, err := Basic("u", "a:b"); err != nil || v != "Basic dTphOmI=" {
		t.Errorf("Basic = %q, %v", v, err)
	}
}

// TestNoSecretPrinted: whatever prints a client prints no password.
func TestNoSecretPrinted(t *testing.T) {
	c := NewClient("u", "hush-hush", Options{Preemptive: true})
	challenge(t, c, plain)
	authorize(t, c)
	for _, s := range []string{fmt.Sprintf("%+v", c), fmt.Sprintf("%+v", *c), fmt.Sprintf("%#v", *c)} {
		if strings.Contains(s, "hush-hush") {
			t.Errorf("the password is in %s", s)
		}
	}
}
