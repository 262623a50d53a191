package connreq

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"gatehouse/internal/digest"
	"gatehouse/internal/guard"
)

// pipes is a listener whose connections are net.Pipes.
type pipes struct {
	conns chan net.Conn
	done  chan struct{}
	fail  error // what Accept says instead, once
}

func newPipes() *pipes { return &pipes{conns: make(chan net.Conn), done: make(chan struct{})} }

func (p *pipes) Accept() (net.Conn, error) {
	if err := p.fail; err != nil {
		p.fail = nil
		return nil, err
	}
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.done:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error {
	select {
	case <-p.done:
	default:
		close(p.done)
	}
	return nil
}

func (p *pipes) Addr() net.Addr { return &net.TCPAddr{} }

// dial returns the client's end of a new connection.
func (p *pipes) dial() net.Conn {
	here, there := net.Pipe()
	p.conns <- there
	return here
}

// bench is a running server.
type bench struct {
	*pipes
	*Server
	accepted atomic.Int32
	stop     func() error
}

// serve starts a server in a bubble; it ends with the test.
func serve(t *testing.T, edit func(*Server)) *bench {
	t.Helper()
	b := &bench{pipes: newPipes()}
	b.Server = &Server{
		Path:        func() string { return "/cr" },
		Credentials: func() (string, string) { return "acs", "secret" },
		Guard:       guard.New(guard.Config{Accept: func(string) { b.accepted.Add(1) }}),
	}
	if edit != nil {
		edit(b.Server)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- b.Serve(ctx, b.pipes) }()
	b.stop = func() error { cancel(); return <-ended }
	return b
}

// bubble runs a test on virtual time with a server.
func bubble(t *testing.T, edit func(*Server), f func(t *testing.T, b *bench)) {
	synctest.Test(t, func(t *testing.T) {
		b := serve(t, edit)
		f(t, b)
		if err := b.stop(); err != nil {
			t.Errorf("Serve: %v", err)
		}
	})
}

// browser is one client connection.
type browser struct {
	net.Conn
	r *bufio.Reader
}

func (b *bench) browser() *browser {
	c := b.dial()
	return &browser{c, bufio.NewReader(c)}
}

// send writes a request and reads the answer.
func (c *browser) send(t *testing.T, request string) *http.Response {
	t.Helper()
	if _, err := io.WriteString(c, request); err != nil {
		t.Fatalf("write: %v", err)
	}
	res, err := http.ReadResponse(c.r, nil)
	if err != nil {
		t.Fatalf("answer to %.40q: %v", request, err)
	}
	if res.ContentLength != 0 || res.Header.Get("Retry-After") != "" {
		t.Errorf("answer has length %d, headers %v", res.ContentLength, res.Header)
	}
	return res
}

func get(target, authorization string) string {
	if authorization != "" {
		authorization = "Authorization: " + authorization + "\r\n"
	}
	return "GET " + target + " HTTP/1.1\r\nHost: 192.0.2.1:7547\r\n" + authorization + "\r\n"
}

// login asks, answers the challenge and returns what it said and the answer.
func (c *browser) login(t *testing.T, target, user, password string) (string, *http.Response) {
	t.Helper()
	res := c.send(t, get(target, ""))
	if res.StatusCode != 401 || res.Close {
		t.Fatalf("without credentials: %d, close %v; want 401 on a connection that stays", res.StatusCode, res.Close)
	}
	d := digest.NewClient(user, password, digest.Options{NoBasic: true})
	if ok, err := d.Challenge(res.Header); !ok {
		t.Fatal(err)
	}
	v, err := d.Authorize("GET", target, nil)
	if err != nil {
		t.Fatal(err)
	}
	return v, c.send(t, get(target, v))
}

// TestConnectionRequest is the good case with its details: the connection
// stays after the challenge, a foreign query does no harm, a replay is told to
// be stale. S002-19; field rows 14 and 16.
func TestConnectionRequest(t *testing.T) {
	bubble(t, nil, func(t *testing.T, b *bench) {
		c := b.browser()
		said, res := c.login(t, "/cr?a=1&b=2", "acs", "secret")
		synctest.Wait()
		if res.StatusCode != 200 || b.accepted.Load() != 1 {
			t.Fatalf("status %d, %d sessions", res.StatusCode, b.accepted.Load())
		}
		res = c.send(t, get("/cr?a=1&b=2", said))
		if v := res.Header.Get("WWW-Authenticate"); res.StatusCode != 401 || !strings.Contains(v, "stale=true") {
			t.Errorf("replay: %d %s", res.StatusCode, v)
		}
		// GenieACS counts each nonce from 1 again; a new nonce makes that right.
		if _, res = c.login(t, "/cr", "acs", "secret"); res.StatusCode != 200 {
			t.Errorf("second request: %d", res.StatusCode)
		}
		synctest.Wait()
		if b.accepted.Load() != 2 {
			t.Errorf("%d sessions, want 2", b.accepted.Load())
		}
		_ = c.Close()
	})
}

// TestChallengeForGenieACS pins the form that GenieACS can read: it splits on
// commas and parses quoted values as JSON.
func TestChallengeForGenieACS(t *testing.T) {
	bubble(t, nil, func(t *testing.T, b *bench) {
		c := b.browser()
		all := c.send(t, get("/cr", "")).Header["Www-Authenticate"]
		if len(all) != 1 || strings.Contains(all[0], `\`) || !strings.Contains(all[0], `qop="auth"`) || strings.Count(all[0], ",") != 4 {
			t.Errorf("challenge %q", all)
		}
		_ = c.Close()
	})
}

// TestAnswerBeforeSession: an ACS that is called while it waits for the answer
// asks again (field row 13).
func TestAnswerBeforeSession(t *testing.T) {
	open := func(s *Server) {
		s.AllowEmpty = true
		s.Credentials = func() (string, string) { return "", "" }
	}
	bubble(t, open, func(t *testing.T, b *bench) {
		c := b.browser()
		if _, err := io.WriteString(c, get("/cr", "")); err != nil {
			t.Fatal(err)
		}
		synctest.Wait() // the server now waits for us to read
		if b.accepted.Load() != 0 {
			t.Error("the session was wanted before the answer was read")
		}
		if res, err := http.ReadResponse(c.r, nil); err != nil || res.StatusCode != 200 {
			t.Fatal(res, err)
		}
		synctest.Wait()
		if b.accepted.Load() != 1 {
			t.Error("no session")
		}
		_ = c.Close()
	})
}

func TestStatuses(t *testing.T) {
	mirai := "POST /UD/act?1 HTTP/1.1\r\nSOAPAction: urn:dslforum-org:service:Time:1#SetNTPServers\r\nContent-Length: 60\r\n\r\n"
	tests := map[string]struct {
		request string
		status  int
		close   bool
	}{
		"wrong path":       {get("/", ""), 404, false},
		"wrong method":     {"POST /cr HTTP/1.1\r\nContent-Length: 0\r\n\r\n", 405, false},
		"head":             {"HEAD /cr HTTP/1.1\r\n\r\n", 405, false},
		"mirai":            {mirai, 404, true},
		"get with a body":  {"GET /cr HTTP/1.1\r\nContent-Length: 5\r\n\r\n", 401, true},
		"close":            {"GET /cr HTTP/1.1\r\nConnection: close\r\n\r\n", 401, true},
		"http 1.0":         {"GET /cr HTTP/1.0\r\n\r\n", 401, true},
		"http 2":           {"PRI * HTTP/2.0\r\n\r\n", 505, true},
		"rubbish":          {"\x16\x03\x01\x02\x00\x01\n\n", 400, true},
		"misfortune":       {"GET /cr HTTP/1.1\r\nCookie: C107373883=/omg1337hax\r\n\r\n", 401, false},
		"basic":            {get("/cr", "Basic YWNzOnNlY3JldA=="), 401, false},
		"bad digest":       {get("/cr", "Digest x"), 401, false},
		"many fields":      {"GET /cr HTTP/1.1\r\n" + strings.Repeat("A: b\r\n", 100) + "\r\n", 431, true},
		"a very long head": {"GET /cr HTTP/1.1\r\nA: " + strings.Repeat("x", maxHead-len("GET /cr HTTP/1.1\r\nA: ")), 431, true},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			bubble(t, nil, func(t *testing.T, b *bench) {
				c := b.browser()
				res := c.send(t, tt.request)
				if res.StatusCode != tt.status || res.Close != tt.close {
					t.Errorf("status %d, close %v; want %d, %v", res.StatusCode, res.Close, tt.status, tt.close)
				}
				if tt.status == 405 && res.Header.Get("Allow") != "GET" {
					t.Errorf("Allow: %q", res.Header.Get("Allow"))
				}
				if tt.close {
					if _, err := c.r.ReadByte(); !errors.Is(err, io.EOF) {
						t.Errorf("after the answer: %v, want the end", err)
					}
				} else if res = c.send(t, get("/cr", "")); res.StatusCode != 401 {
					t.Errorf("next request on the connection: %d", res.StatusCode)
				}
				if b.accepted.Load() != 0 {
					t.Error("a session was wanted")
				}
				_ = c.Close()
			})
		})
	}
}

// TestWrongPassword is answered, counted and slowed down, and locks nobody out.
func TestWrongPassword(t *testing.T) {
	bubble(t, nil, func(t *testing.T, b *bench) {
		c := b.browser()
		start := time.Now()
		for range 10 {
			if _, res := c.login(t, "/cr", "acs", "wrong"); res.StatusCode != 401 {
				t.Fatalf("status %d", res.StatusCode)
			}
		}
		slow := time.Since(start)
		if _, res := c.login(t, "/cr", "acs", "secret"); res.StatusCode != 200 || time.Since(start) != slow {
			t.Errorf("the right password: %d after %v more", res.StatusCode, time.Since(start)-slow)
		}
		if n := b.Guard.Stats().Transports["http"].Failed; n != 10 || slow < time.Second {
			t.Errorf("%d failures counted, they took %v", n, slow)
		}
		_ = c.Close()
	})
}

func TestBusy(t *testing.T) {
	limit := func(s *Server) {
		s.Guard = guard.New(guard.Config{Total: guard.Rate{N: 1, Per: time.Minute}, Accept: func(string) {}})
	}
	bubble(t, limit, func(t *testing.T, b *bench) {
		c := b.browser()
		if _, res := c.login(t, "/cr", "acs", "secret"); res.StatusCode != 200 {
			t.Errorf("first: %d", res.StatusCode)
		}
		if _, res := c.login(t, "/cr", "acs", "secret"); res.StatusCode != 503 {
			t.Errorf("second: %d, want 503", res.StatusCode)
		}
		_ = c.Close()
	})
}

// TestEmptyPassword refuses everybody unless told otherwise.
func TestEmptyPassword(t *testing.T) {
	tests := map[string]struct {
		user  string
		allow bool
		want  int
	}{
		"refused":                    {"", false, 401},
		"refused with a user name":   {"acs", false, 401},
		"allowed":                    {"", true, 200},
		"digest with empty password": {"acs", true, 200},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			edit := func(s *Server) {
				s.AllowEmpty = tt.allow
				s.Credentials = func() (string, string) { return tt.user, "" }
			}
			bubble(t, edit, func(t *testing.T, b *bench) {
				c := b.browser()
				var res *http.Response
				if tt.allow && tt.user == "" {
					res = c.send(t, get("/cr", ""))
				} else {
					_, res = c.login(t, "/cr", tt.user, "")
				}
				if res.StatusCode != tt.want {
					t.Errorf("status %d, want %d", res.StatusCode, tt.want)
				}
				_ = c.Close()
			})
		})
	}
}

// TestFullTable: the oldest connection that has not authenticated goes.
func TestFullTable(t *testing.T) {
	bubble(t, func(s *Server) { s.MaxConns = 3 }, func(t *testing.T, b *bench) {
		acs := b.browser()
		acs.login(t, "/cr", "acs", "secret")
		first, second, third := b.browser(), b.browser(), b.browser()
		if _, err := first.r.ReadByte(); !errors.Is(err, io.EOF) {
			t.Errorf("the oldest silent connection: %v, want its end", err)
		}
		for _, c := range []*browser{acs, second, third} {
			if _, res := c.login(t, "/cr", "acs", "secret"); res.StatusCode != 200 {
				t.Errorf("status %d", res.StatusCode)
			}
			_ = c.Close()
		}
	})
}

// away is a connection from an address of its own.
type away struct {
	net.Conn
	from string
}

func (a away) RemoteAddr() net.Addr { return net.TCPAddrFromAddrPort(netip.MustParseAddrPort(a.from)) }

// TestFloodFromOneSource: who opens connection after connection closes their
// own, not that of an ACS which is about to answer its challenge. All the
// addresses of an IPv6 /64 are one source.
func TestFloodFromOneSource(t *testing.T) {
	bubble(t, func(s *Server) { s.MaxConns = 8 }, func(t *testing.T, b *bench) {
		dial := func(from string) *browser {
			here, there := net.Pipe()
			b.conns <- away{there, from}
			return &browser{here, bufio.NewReader(here)}
		}
		acs := dial("192.0.2.1:4711")
		challenge := acs.send(t, get("/cr", ""))
		for i := range 100 {
			dial(fmt.Sprintf("198.51.100.7:%d", 1000+i))
			dial(fmt.Sprintf("[2001:db8::%x]:1000", i+1))
		}
		d := digest.NewClient("acs", "secret", digest.Options{})
		if ok, err := d.Challenge(challenge.Header); !ok {
			t.Fatal(err)
		}
		v, err := d.Authorize("GET", "/cr", nil)
		if err != nil {
			t.Fatal(err)
		}
		if res := acs.send(t, get("/cr", v)); res.StatusCode != 200 {
			t.Errorf("status %d", res.StatusCode)
		}
		_ = acs.Close()
	})
}

// TestHonestAmongSilent: a thousand silent clients and a slow-loris cost their
// places only.
func TestHonestAmongSilent(t *testing.T) {
	bubble(t, nil, func(t *testing.T, b *bench) {
		var crowd []net.Conn
		for i := range 1000 {
			c := b.dial()
			if crowd = append(crowd, c); i%10 == 0 {
				go func() {
					for _, err := io.WriteString(c, "GET /cr HTTP/1.1\r\nA: "); err == nil; _, err = c.Write([]byte{'x'}) {
						time.Sleep(time.Second)
					}
				}()
			}
		}
		c := b.browser()
		start := time.Now()
		if _, res := c.login(t, "/cr", "acs", "secret"); res.StatusCode != 200 || time.Since(start) != 0 {
			t.Errorf("the honest one: %d after %v", res.StatusCode, time.Since(start))
		}
		time.Sleep(idleTime + 1) // all others have outstayed their welcome
		synctest.Wait()
		for i, c := range crowd {
			if _, err := c.Write([]byte{'x'}); err == nil {
				t.Fatalf("client %d is still connected", i)
			}
		}
	})
}

// TestSlowHead: a head must be complete ten seconds after its first byte.
func TestSlowHead(t *testing.T) {
	bubble(t, nil, func(t *testing.T, b *bench) {
		c := b.dial()
		time.Sleep(idleTime - time.Second)
		start := time.Now()
		var err error
		for _, err = io.WriteString(c, "GET /cr HTTP/1.1\r\nA: "); err == nil; _, err = c.Write([]byte{'x'}) {
			time.Sleep(700 * time.Millisecond)
		}
		if took := time.Since(start).Truncate(time.Second); took != headTime {
			t.Errorf("ended after %v, want %v", took, headTime)
		}
	})
}

// TestPieces: a head may come byte by byte, and two at once.
func TestPieces(t *testing.T) {
	bubble(t, nil, func(t *testing.T, b *bench) {
		c := b.browser()
		for _, x := range []byte(get("/cr", "")) {
			if _, err := c.Write([]byte{x}); err != nil {
				t.Fatal(err)
			}
		}
		go func() { _, _ = io.WriteString(c, get("/x", "")+get("/cr", "")) }()
		for _, want := range []int{401, 404, 401} {
			if res, err := http.ReadResponse(c.r, nil); err != nil || res.StatusCode != want {
				t.Errorf("answer %v, %v; want %d", res, err, want)
			}
		}
		_ = c.Close()
	})
}

// TestReaderGone: a client that does not read its answer does not hold us up.
func TestReaderGone(t *testing.T) {
	bubble(t, nil, func(t *testing.T, b *bench) {
		c := b.dial()
		if _, err := io.WriteString(c, get("/cr", "")); err != nil {
			t.Fatal(err)
		}
		time.Sleep(writeTime + 1)
		synctest.Wait()
		if _, err := c.Write([]byte{'x'}); !errors.Is(err, io.ErrClosedPipe) {
			t.Errorf("still connected: %v", err)
		}
	})
}

func TestAcceptErrors(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPipes()
		p.fail = errors.New("accept: too many open files")
		s := &Server{Path: func() string { return "/cr" }, Credentials: func() (string, string) { return "", "" }}
		ended := make(chan error)
		go func() { ended <- s.Serve(t.Context(), p) }()
		c := &browser{p.dial(), nil}
		c.r = bufio.NewReader(c)
		if res := c.send(t, get("/cr", "")); res.StatusCode != 401 {
			t.Errorf("after a failed accept: %d", res.StatusCode)
		}
		_ = p.Close()
		if err := <-ended; !errors.Is(err, net.ErrClosed) {
			t.Errorf("Serve on a closed listener: %v", err)
		}
	})
}
