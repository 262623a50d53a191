package endpoint

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"gatehouse/internal/digest"
)

func ports(addrs ...string) []netip.AddrPort {
	out := make([]netip.AddrPort, len(addrs))
	for i, a := range addrs {
		out[i] = netip.MustParseAddrPort(a)
	}
	return out
}

// TestPool is discovery B5 to B7: who failed is passed over for a while, and
// tried in random order when all have failed.
func TestPool(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		all := ports("192.0.2.1:1", "192.0.2.2:1", "192.0.2.3:1")
		turn := 0
		p := &Pool{Rand: func(n int) int { turn++; return turn % n }}
		for _, want := range [][]netip.AddrPort{{all[1], all[2], all[0]}, {all[2], all[0], all[1]}, {all[0], all[1], all[2]}} {
			if got := p.Order(all); !slices.Equal(got, want) { // TR-069 3.1: a random start
				t.Errorf("order %v, want %v", got, want)
			}
		}
		p.First = true
		p.Block("192.0.2.1:1", 0)
		p.Block("[::ffff:192.0.2.2]:1", 2*time.Minute)
		p.Block("rubbish", 0)
		if got := p.Order(all); !slices.Equal(got, all[2:]) {
			t.Errorf("with two blocked: %v", got)
		}
		p.Block("192.0.2.3:1", 0)
		if got := p.Order(all); len(got) != 3 || slices.Equal(got, all) {
			t.Errorf("with all blocked: %v", got)
		}
		p.Worked("192.0.2.3:1")
		time.Sleep(defaultBlock)
		if got := p.Order(all); !slices.Equal(got, []netip.AddrPort{all[0], all[2]}) {
			t.Errorf("after a minute: %v", got)
		}
		if b := p.Blocked(); len(b) != 1 || b[all[1]].IsZero() {
			t.Errorf("blocked: %v", b)
		}
		for i := range 2 * maxBlocked {
			p.Block(fmt.Sprintf("10.0.%d.%d:1", i/256, i%256), 0)
		}
		if n := len(p.blocked); n > maxBlocked {
			t.Errorf("%d addresses blocked", n)
		}
	})
}

// host is a Base in which some addresses answer; it notes what was tried.
type host struct {
	up    map[string]func(net.Conn) // nil function: the connection stays open
	hang  map[string]bool
	mu    sync.Mutex
	tried []string
	wg    sync.WaitGroup
}

func (h *host) dial(ctx context.Context, network, addr string) (net.Conn, error) {
	h.mu.Lock()
	h.tried = append(h.tried, network+" "+addr)
	h.mu.Unlock()
	if h.hang[addr] {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	serve, ok := h.up[addr]
	if !ok {
		return nil, &net.OpError{Op: "dial", Net: network, Err: syscall.ECONNREFUSED}
	}
	here, there := net.Pipe()
	if serve != nil {
		h.wg.Go(func() { defer func() { _ = there.Close() }(); serve(there) })
	}
	return here, nil
}

func (h *host) attempts() []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	out := h.tried
	h.tried = nil
	return out
}

// dialer returns a Dialer in which acs.example has three addresses.
func dialer(t *testing.T, h *host) *Dialer {
	t.Helper()
	r, _ := resolver(t, zone("acs.example. 60 A 192.0.2.11", "acs.example. 60 A 192.0.2.12", "acs.example. 60 AAAA 2001:db8::13", "one.example. 60 A 192.0.2.11", "proxy.example. 60 A 192.0.2.20"))
	t.Cleanup(h.wg.Wait)
	return &Dialer{Resolver: r, Base: h.dial, Pool: Pool{First: true}}
}

func TestDialerRotation(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := &host{up: map[string]func(net.Conn){"192.0.2.12:443": nil}, hang: map[string]bool{"192.0.2.11:443": true}}
		d := dialer(t, h)
		start := time.Now()
		c, err := d.DialContext(t.Context(), "tcp", "acs.example:443")
		if err != nil || time.Since(start) != defaultConnect {
			t.Fatalf("%v after %v", err, time.Since(start))
		}
		_ = c.Close()
		want := []string{"tcp [2001:db8::13]:443", "tcp 192.0.2.11:443", "tcp 192.0.2.12:443"}
		if diff := cmp.Diff(want, h.attempts()); diff != "" {
			t.Error(diff)
		}
		// The next one goes straight to the address that works.
		if c, err = d.DialContext(t.Context(), "tcp", "acs.example:443"); err != nil {
			t.Fatal(err)
		}
		_ = c.Close()
		if diff := cmp.Diff(want[2:], h.attempts()); diff != "" {
			t.Error(diff)
		}
		if c, err = d.DialContext(t.Context(), "tcp6", "one.example:443"); !errors.Is(err, ErrNoSuchName) {
			t.Errorf("no address of the family: %v, %v", c, err)
		}
	})
}

// TestDialerGivesUp: three attempts, also of one address, with a breath between
// them; the error tells all of them.
func TestDialerGivesUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := &host{}
		d := dialer(t, h)
		start := time.Now()
		_, err := d.DialContext(t.Context(), "tcp", "one.example:443")
		var all *DialError
		if !errors.As(err, &all) || len(all.Tries) != 3 || !errors.Is(err, syscall.ECONNREFUSED) || time.Since(start) > 2*sameAgain {
			t.Errorf("%v after %v", err, time.Since(start))
		}
		want := "cannot connect to one.example:443: 192.0.2.11:443: connection refused; 192.0.2.11:443: connection refused; 192.0.2.11:443: connection refused"
		if err.Error() != want {
			t.Errorf("error %q", err)
		}
		h.attempts()
		// A caller that gives up proves nothing against the address.
		d = dialer(t, &host{hang: map[string]bool{"192.0.2.11:443": true}})
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err = d.DialContext(ctx, "tcp", "one.example:443"); !errors.Is(err, context.DeadlineExceeded) || len(d.Pool.Blocked()) != 0 {
			t.Errorf("%v, blocked %v", err, d.Pool.Blocked())
		}
		for _, addr := range []string{"one.example", "one.example:https"} {
			if _, err = d.DialContext(t.Context(), "tcp", addr); err == nil {
				t.Errorf("%s was dialled", addr)
			}
		}
	})
}

// TestSessionStays: within a session a server keeps its address, even when it
// fails; the next session is free again.
func TestSessionStays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := &host{up: map[string]func(net.Conn){"192.0.2.11:443": nil, "192.0.2.12:443": nil}}
		d := dialer(t, h)
		session := d.Session()
		for range 2 {
			c, err := session(t.Context(), "tcp", "acs.example:443")
			if err != nil {
				t.Fatal(err)
			}
			_ = c.Close()
		}
		h.attempts()
		delete(h.up, "192.0.2.11:443")
		if _, err := session(t.Context(), "tcp", "acs.example:443"); err == nil {
			t.Error("the session moved to another address")
		}
		if slices.ContainsFunc(h.attempts(), func(s string) bool { return s != "tcp 192.0.2.11:443" }) {
			t.Error("the session tried another address")
		}
		if c, err := d.Session()(t.Context(), "tcp", "acs.example:443"); err != nil {
			t.Errorf("the next session: %v", err)
		} else {
			_ = c.Close()
		}
	})
}

// proxyServer answers CONNECTs as it is told and then echoes one line.
func proxyServer(answers ...string) func(net.Conn) {
	return func(c net.Conn) {
		r := bufio.NewReader(c)
		for _, a := range answers {
			req, err := http.ReadRequest(r)
			if err != nil {
				return
			}
			if _, err := io.WriteString(c, strings.NewReplacer("{uri}", req.RequestURI, "{auth}", req.Header.Get("Proxy-Authorization")).Replace(a)); err != nil {
				return
			}
		}
		line, _ := r.ReadString('\n')
		_, _ = io.WriteString(c, line)
	}
}

const (
	established = "HTTP/1.1 200 OK\r\n\r\n"
	wantsBasic  = "HTTP/1.1 407 No\r\nProxy-Authenticate: Basic realm=\"p\"\r\nContent-Length: 4\r\n\r\nbody"
	wantsDigest = "HTTP/1.1 407 No\r\nProxy-Authenticate: Digest realm=\"p\", nonce=\"n\", qop=\"auth\"\r\nContent-Length: 0\r\n"
)

// S001-13: a tunnel through the proxy, end to end.
func TestProxy(t *testing.T) {
	tests := map[string]struct {
		answers []string
		user    *url.Userinfo
		conns   int
		status  int
		err     string
	}{
		"open":                        {[]string{established}, nil, 1, 0, ""},
		"greeting with the consent":   {[]string{established + "hello "}, nil, 1, 0, ""},
		"basic":                       {[]string{wantsBasic, established}, url.UserPassword("u", "p"), 1, 0, ""},
		"digest":                      {[]string{wantsDigest + "\r\n", established}, url.UserPassword("u", "p"), 1, 0, ""},
		"wrong password":              {[]string{wantsBasic, wantsBasic}, url.UserPassword("u", "p"), 1, 407, "refused"},
		"no password":                 {[]string{wantsBasic}, nil, 1, 407, "wants a user name"},
		"forbidden":                   {[]string{"HTTP/1.1 403 No\r\n\r\n"}, nil, 1, 403, "no tunnel to acs.example:443"},
		"rubbish":                     {[]string{"220 smtp ready\r\n"}, nil, 1, 0, "malformed HTTP"},
		"endless head":                {[]string{"HTTP/1.1 200 OK\r\nA: " + strings.Repeat("x", maxProxyHead) + "\r\n\r\n"}, nil, 1, 0, "EOF"},
		"closes after its challenge":  {[]string{wantsDigest + "Connection: close\r\n\r\n"}, url.UserPassword("u", "p"), 3, 407, "refused"},
		"unknown kind of credentials": {[]string{"HTTP/1.1 407 No\r\nProxy-Authenticate: NTLM\r\nContent-Length: 0\r\n\r\n"}, url.UserPassword("u", "p"), 1, 407, digest.ErrNoChallenge.Error()},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := &host{up: map[string]func(net.Conn){"192.0.2.20:3128": proxyServer(tt.answers...)}}
				d := dialer(t, h)
				d.Proxy = &url.URL{Scheme: "http", Host: "proxy.example:3128", User: tt.user}
				c, err := d.DialContext(t.Context(), "tcp", "acs.example:443")
				if tt.err == "" {
					if err != nil {
						t.Fatal(err)
					}
					go func() { _, _ = io.WriteString(c, "line\n") }()
					if got, err := bufio.NewReader(c).ReadString('\n'); err != nil || !strings.HasSuffix(got, "line\n") || strings.Contains(name, "greeting") != strings.HasPrefix(got, "hello ") {
						t.Errorf("through the tunnel: %q, %v", got, err)
					}
					_ = c.Close()
				} else if pe := (*ProxyError)(nil); !errors.As(err, &pe) || pe.Status != tt.status || !strings.Contains(err.Error(), tt.err) {
					t.Errorf("error %v, want status %d and %q", err, tt.status, tt.err)
				}
				want := slices.Repeat([]string{"tcp 192.0.2.20:3128"}, tt.conns)
				if got := h.attempts(); tt.conns < 3 && !slices.Equal(got, want) || len(got) > maxProxyTries {
					t.Errorf("connections %v", got)
				}
			})
		})
	}
}

// TestSilentProxy: its consent is waited for no longer than a connection.
func TestSilentProxy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := &host{up: map[string]func(net.Conn){"192.0.2.20:80": func(c net.Conn) { _, _ = io.Copy(io.Discard, c) }}}
		d := dialer(t, h)
		d.Proxy = &url.URL{Scheme: "http", Host: "proxy.example"}
		start := time.Now()
		if _, err := d.DialContext(t.Context(), "tcp", "acs.example:443"); !errors.Is(err, context.DeadlineExceeded) || time.Since(start) != defaultConnect {
			t.Errorf("%v after %v", err, time.Since(start))
		}
		if _, err := d.DialContext(t.Context(), "tcp", "x y:443"); !errors.Is(err, ErrBadName) {
			t.Errorf("a name that breaks the request line: %v", err)
		}
		d.Proxy = &url.URL{Scheme: "socks5", Host: "proxy.example", User: url.UserPassword("u", "hush")}
		if _, err := d.DialContext(t.Context(), "tcp", "acs.example:443"); err == nil || strings.Contains(err.Error(), "hush") {
			t.Errorf("socks: %v", err)
		}
	})
}

func TestNoProxy(t *testing.T) {
	d := &Dialer{NoProxy: []string{"corp.example", ".lab.example", "*.wild.example", "192.0.2.0/24", "2001:db8::1", " Spaced.example ", ""}}
	for host, want := range map[string]bool{
		"localhost": true, "127.0.0.9": true, "::1": true,
		"corp.example": true, "a.CORP.example.": true, "notcorp.example": false,
		"lab.example": false, "x.lab.example": true, "x.wild.example": true, "wild.example": false,
		"192.0.2.200": true, "192.0.3.1": false, "2001:db8::1": true, "2001:db8::2": false,
		"spaced.example": true, "acs.example": false,
	} {
		if got := d.direct(host); got != want {
			t.Errorf("direct(%s) = %v", host, got)
		}
	}
	if d.NoProxy = []string{"*"}; !d.direct("acs.example") {
		t.Error("* does not cover everything")
	}
}

// TestBound: a socket is bound to its interface, unless it goes to this host.
func TestBound(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("only Linux binds to interfaces")
	}
	dial := Bound("nosuchif0")
	if _, err := dial(t.Context(), "udp", "192.0.2.1:9"); err == nil || !strings.Contains(err.Error(), "bind to interface nosuchif0") {
		t.Errorf("bound to an interface that is not there: %v", err)
	}
	c, err := dial(t.Context(), "udp", "127.0.0.1:9")
	if err != nil {
		t.Fatalf("to this host: %v", err)
	}
	_ = c.Close()
}
