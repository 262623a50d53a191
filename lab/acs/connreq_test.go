package acs

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

const cpeAddr = "192.0.2.2:7547"

// gate is a connection request server with switches for doing it wrongly.
type gate struct {
	challenge string
	closes    bool // the connection, after the 401
	open      bool // lets everybody in
	body      string
	status    int
	hangs     bool
	requests  []*http.Request
}

const goodChallenge = `Digest realm="cpe", nonce="N1", qop="auth", algorithm=MD5, opaque="o"`

func (g *gate) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	g.requests = append(g.requests, r)
	if g.hangs {
		<-r.Context().Done()
		return
	}
	auth := r.Header.Get("Authorization")
	if auth == "" && !g.open {
		w.Header().Set("WWW-Authenticate", g.challenge)
		if g.closes {
			w.Header().Set("Connection", "close")
		}
		w.WriteHeader(401)
		return
	}
	if !g.open {
		a, err := parseAuthorization(auth)
		if err != nil {
			http.Error(w, err.Error(), 400)
			return
		}
		h := hashOf(a.get("algorithm"))
		ha1 := h("acs:" + a.get("realm") + ":pw")
		if strings.HasSuffix(a.get("algorithm"), "-sess") {
			ha1 = h(ha1 + ":N1:" + a.get("cnonce"))
		}
		want := h(ha1 + ":N1:" + h("GET:"+r.RequestURI))
		if a.get("qop") != "" {
			want = h(strings.Join([]string{ha1, "N1", a.get("nc"), a.get("cnonce"), a.get("qop"), h("GET:" + r.RequestURI)}, ":"))
		}
		if a.get("response") != want {
			w.WriteHeader(401)
			return
		}
	}
	w.WriteHeader(g.status)
	io.WriteString(w, g.body)
}

// knockAt sends a connection request to g in a bubble, twice: as each style.
func knockAt(t *testing.T, g func() *gate, check func(t *testing.T, got Reached, err error, g *gate)) {
	for _, style := range []Style{GenieACS, Curl} {
		bench(t, Options{}, func(t *testing.T, s *Server, c *cpe) {
			l, err := c.net.Listen("tcp", cpeAddr)
			if err != nil {
				t.Fatal(err)
			}
			g := g()
			if g.status == 0 {
				g.status = 204
			}
			srv := &http.Server{Handler: g}
			go srv.Serve(l)
			got, err := s.Knock(t.Context(), "0011AA-SN1", ConnectionRequest{
				URL: "http://" + cpeAddr + "/path?a=1&b=2", Username: "acs", Password: "pw", Style: style,
			})
			check(t, got, err, g)
			srv.Close()
			if want := len(got.Violations); len(s.Violations()) != want {
				t.Errorf("recorded %v, found %v", s.Violations(), got.Violations)
			}
		})
	}
}

func TestConnectionRequest(t *testing.T) {
	for _, challenge := range []string{
		goodChallenge,
		`Digest realm="cpe",nonce="N1",qop="auth",algorithm=SHA-256`,
		`Digest realm="cpe", nonce="N1", qop="auth", algorithm=MD5-sess`,
	} {
		knockAt(t, func() *gate { return &gate{challenge: challenge} }, func(t *testing.T, got Reached, err error, g *gate) {
			if err != nil || !got.OK() || got.Sockets != 1 || !equal(got.Statuses, []int{401, 204}) || len(got.Violations) > 0 {
				t.Errorf("%v %+v", err, got)
			}
			if nc := g.requests[1].Header.Get("Authorization"); !strings.Contains(nc, "nc=00000001") {
				t.Errorf("authorization %s", nc)
			}
			if g.requests[0].RequestURI != "/path?a=1&b=2" {
				t.Errorf("target %s", g.requests[0].RequestURI)
			}
		})
	}
}

func TestConnectionRequestViolations(t *testing.T) {
	for _, row := range []struct {
		name string
		gate gate
		part string
	}{
		{"let in without credentials", gate{open: true}, "without credentials"},
		{"closed after the 401", gate{challenge: goodChallenge, closes: true}, "closed after the 401"},
		{"two qops", gate{challenge: `Digest realm="cpe", nonce="N1", qop="auth,auth-int"`}, "invalid syntax"},
		{"no qop", gate{challenge: `Digest realm="cpe", nonce="N1"`}, "qop"},
		{"backslash", gate{challenge: `Digest realm="c\"pe", nonce="N1", qop="auth"`}, "backslash"},
		{"Basic", gate{challenge: `Basic realm="cpe"`}, "not Digest"},
		{"body", gate{challenge: goodChallenge, status: 200, body: "hello"}, "5 bytes"},
	} {
		t.Run(row.name, func(t *testing.T) {
			knockAt(t, func() *gate { g := row.gate; return &g }, func(t *testing.T, got Reached, err error, g *gate) {
				if !strings.Contains(strings.Join(got.Violations, "; "), row.part) {
					t.Errorf("not caught: %v", got.Violations)
				}
			})
		})
	}
}

// The client gives up after two seconds, as GenieACS does, and when its
// context ends.
func TestConnectionRequestTimeout(t *testing.T) {
	knockAt(t, func() *gate { return &gate{hangs: true} }, func(t *testing.T, got Reached, err error, g *gate) {
		if err == nil || got.Took != 2*time.Second {
			t.Errorf("%v after %v", err, got.Took)
		}
	})
	bench(t, Options{}, func(t *testing.T, s *Server, c *cpe) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := s.Knock(ctx, "", ConnectionRequest{URL: "http://" + cpeAddr}); !errors.Is(err, context.Canceled) {
			t.Errorf("error %v", err)
		}
		if _, err := s.ConnectionRequest(ctx, "nobody", "", ""); err == nil {
			t.Error("a device that never informed was reached")
		}
		if _, err := s.Knock(ctx, "", ConnectionRequest{URL: "https://x/"}); err == nil {
			t.Error("https is not for connection requests")
		}
	})
}

// A session that begins before the connection request is answered is told of
// (qacafe: tr-069 connection request timing bug).
func TestSessionBeforeAnswer(t *testing.T) {
	for _, early := range []bool{true, false} {
		bench(t, Options{}, func(t *testing.T, s *Server, c *cpe) {
			l, err := c.net.Listen("tcp", cpeAddr)
			if err != nil {
				t.Fatal(err)
			}
			defer l.Close()
			p := goodInform()
			p.events = eventList("6 CONNECTION REQUEST")
			p.params = strings.Replace(p.params, param("Device.ManagementServer.ConnectionRequestURL", "string", "x"),
				param("Device.ManagementServer.ConnectionRequestURL", "string", "http://"+cpeAddr+"/"), 1)
			first := goodInform()
			first.params = p.params
			c.want(200, first.String())
			c.want(204, "")
			c.bye()
			synctest.Wait()

			done := make(chan error, 1)
			go func() {
				_, err := s.ConnectionRequest(t.Context(), "0011AA-SN1", "", "")
				done <- err
			}()
			conn, err := l.Accept()
			if err != nil {
				t.Fatal(err)
			}
			answer := func(conn net.Conn) {
				io.WriteString(conn, "HTTP/1.1 503 busy\r\nContent-Length: 0\r\n\r\n")
				conn.Close()
			}
			if _, err := http.ReadRequest(bufio.NewReader(conn)); err != nil {
				t.Fatal(err)
			}
			if !early {
				answer(conn)
			}
			c.want(200, p.String())
			if early {
				answer(conn)
			}
			if err := <-done; err != nil {
				t.Error(err)
			}
			if early {
				caught(t, s, RuleReach, "before the connection request is answered")
			} else {
				clean(t, s)
			}
		})
	}
}
