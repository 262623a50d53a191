package rueconfig

// The way to the provider: two families of addresses, and a proxy.

import (
	"bufio"
	"context"
	"encoding/base64"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"gatehouse/internal/endpoint"
	"gatehouse/lab/pipe"
	"gatehouse/lab/provider"
)

// A household whose IPv6 leads nowhere loses a quarter of a second, and the
// conversation stays with the address that answered; a server that is dead by
// both of its addresses costs two seconds, not four.
func TestDeadIPv6(t *testing.T) {
	zone := []string{
		"_rueconfig._tcp.p.example 300 SRV 0 0 443 server.p.example", "_rueconfig._tcp.p.example 300 SRV 1 0 8443 second.p.example",
		"server.p.example 300 A 192.0.2.10", "server.p.example 300 AAAA 2001:db8::10", "second.p.example 300 A 192.0.2.11", "second.p.example 300 AAAA 2001:db8::11",
	}
	for name, row := range map[string]struct {
		dead  []string
		limit time.Duration
		from  string
		tcp   string // of the connections that carried requests
	}{
		"IPv6 of all":      {[]string{"2001:db8::10", "2001:db8::11"}, 300 * time.Millisecond, "https://server.p.example/v1", "192.0.2.10:443"},
		"IPv4 of all":      {[]string{"192.0.2.10", "192.0.2.11"}, 0, "https://server.p.example/v1", "[2001:db8::10]:443"},
		"the first server": {[]string{"192.0.2.10", "2001:db8::10", "2001:db8::11"}, 2300 * time.Millisecond, "https://second.p.example:8443/v1", "192.0.2.11:8443"},
	} {
		t.Run(name, func(t *testing.T) {
			house(t, func(t *testing.T, r *rig) {
				if err := r.dns.Set(zone...); err != nil {
					t.Fatal(err)
				}
				r.cfg.Rules = endpoint.Rules{{KeepAlive: "off"}} // each request dials
				for _, addr := range []string{"192.0.2.10:443", "[2001:db8::10]:443"} {
					r.serve(addr, "", "server.p.example")
				}
				for _, addr := range []string{"192.0.2.11:8443", "[2001:db8::11]:8443"} {
					r.serve(addr, "", "second.p.example")
				}
				for _, addr := range row.dead {
					r.network.Set(addr, pipe.Drop)
				}
				var reached []string
				r.cfg.Dial = func(ctx context.Context, network, addr string) (net.Conn, error) {
					c, err := r.network.Dial(ctx, network, addr)
					if err == nil {
						reached = append(reached, addr)
					}
					return c, err
				}
				began := time.Now()
				c, err := r.fetch()
				if err != nil || c.State().From != row.from {
					t.Fatalf("%v, from %s", err, c.State().From)
				}
				if took := time.Since(began); took > row.limit {
					t.Errorf("it took %v", took)
				}
				if !slices.Equal(reached, []string{row.tcp, row.tcp}) {
					t.Errorf("connections to %v", reached)
				}
			})
		})
	}
}

// A server that says 5xx is passed over by both of its addresses, and the log
// says by which of them it was asked.
func TestBusyByBothFamilies(t *testing.T) {
	for name, row := range map[string]struct {
		dead  []string
		asked string
	}{
		"both lead there": {nil, "[2001:db8::10]:443"},
		"IPv6 is dead":    {[]string{"2001:db8::10"}, "192.0.2.10:443"},
	} {
		t.Run(name, func(t *testing.T) {
			house(t, func(t *testing.T, r *rig) {
				if err := r.dns.Set("_rueconfig._tcp.p.example 300 SRV 0 0 443 server.p.example", "_rueconfig._tcp.p.example 300 SRV 1 0 8443 second.p.example",
					"server.p.example 300 A 192.0.2.10", "server.p.example 300 AAAA 2001:db8::10", "second.p.example 300 A 192.0.2.11"); err != nil {
					t.Fatal(err)
				}
				r.serve("192.0.2.10:443", "", "server.p.example")
				r.serve("[2001:db8::10]:443", "", "server.p.example")
				r.serve("192.0.2.11:8443", "", "second.p.example")
				for _, addr := range row.dead {
					r.network.Set(addr, pipe.Drop)
				}
				r.provider.Break(provider.Fault{Name: "status", Arg: "503"})
				c, err := r.fetch()
				if err != nil || c.State().From != "https://second.p.example:8443/v1" {
					t.Errorf("%v, from %s", err, c.State().From)
				}
				if blocked := c.Health().Blocked; len(blocked) != 2 {
					t.Errorf("blocked %v", blocked)
				}
				for l := range strings.Lines(r.log.String()) {
					if strings.Contains(l, "status=503") && !strings.Contains(l, "server="+row.asked+" ") {
						t.Errorf("asked at %s: %s", row.asked, l)
					}
				}
			})
		})
	}
}

// A tunnelling proxy in memory.
type tunnels struct {
	network *pipe.Network
	login   string            // "user:password" that it wants; "": none
	answer  string            // instead of a tunnel; "": it makes one
	instead map[string]string // where it leads a place in truth
	asked   []string          // places, in order
}

func (p *tunnels) listen(r *rig, addr string) {
	r.Helper()
	p.network, p.instead = r.network, map[string]string{}
	l, err := r.network.Listen("tcp", addr)
	if err != nil {
		r.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go p.tunnel(c)
		}
	}()
	r.servers = append(r.servers, func() { _ = l.Close(); <-done })
}

func (p *tunnels) tunnel(c net.Conn) {
	defer c.Close()
	in := bufio.NewReader(c)
	for {
		req, err := http.ReadRequest(in)
		if err != nil {
			return
		}
		p.asked = append(p.asked, req.Method+" "+req.RequestURI)
		want := "Basic " + base64.StdEncoding.EncodeToString([]byte(p.login))
		switch {
		case p.login != "" && req.Header.Get("Proxy-Authorization") != want:
			_, _ = io.WriteString(c, "HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Basic realm=\"office\"\r\nContent-Length: 0\r\n\r\n")
			continue
		case p.answer != "":
			_, _ = io.WriteString(c, "HTTP/1.1 "+p.answer+"\r\nContent-Length: 0\r\n\r\n")
			return
		}
		break
	}
	name, _, _ := strings.Cut(strings.TrimPrefix(p.asked[len(p.asked)-1], "CONNECT "), ":")
	to, known := p.instead[name]
	if !known {
		_, _ = io.WriteString(c, "HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n")
		return
	}
	there, err := p.network.Dial(context.Background(), "tcp", to)
	if err != nil {
		_, _ = io.WriteString(c, "HTTP/1.1 504 Gateway Timeout\r\nContent-Length: 0\r\n\r\n")
		return
	}
	defer there.Close()
	_, _ = io.WriteString(c, "HTTP/1.1 200 Connection established\r\n\r\n")
	go func() { _, _ = io.Copy(there, in); _ = there.Close() }()
	_, _ = io.Copy(c, there)
}

// S001-13: a whole fetch by way of a proxy, which is told names and sees
// nothing of what is said; what it may not see goes past it. TLS is verified
// end to end, so that a proxy in the middle gains nothing.
func TestFetchThroughProxy(t *testing.T) {
	for _, row := range []struct {
		name    string
		login   string // that the proxy wants
		user    *url.Userinfo
		noProxy []string
		answer  string
		middle  bool // it leads to a server of its own
		want    string
		asked   []string
		up      bool
		blocked int
	}{
		{name: "open", asked: []string{"CONNECT server.p.example:443"}, up: true},
		{name: "with a password", login: "u:p", user: url.UserPassword("u", "p"), asked: []string{"CONNECT server.p.example:443", "CONNECT server.p.example:443"}, up: true},
		{name: "excepted", noProxy: []string{".p.example"}, up: true},
		{name: "excepted elsewhere", noProxy: []string{"q.example"}, asked: []string{"CONNECT server.p.example:443"}, up: true},
		// A password that a proxy refuses is not tried three times over.
		{name: "wrong password", login: "u:p", user: url.UserPassword("u", "x"), want: "answers 407",
			asked: []string{"CONNECT server.p.example:443", "CONNECT server.p.example:443"}},
		{name: "no password", login: "u:p", want: "wants a user name", asked: []string{"CONNECT server.p.example:443"}},
		// What it will not lead to, another name may be.
		{name: "refuses", answer: "403 Forbidden", want: "answers 403", blocked: 2,
			asked: []string{"CONNECT server.p.example:443", "CONNECT second.p.example:8443", "CONNECT server.p.example:443"}},
		{name: "in the middle", middle: true, want: "TLS with server.p.example", blocked: 2,
			asked: []string{"CONNECT server.p.example:443", "CONNECT second.p.example:8443", "CONNECT server.p.example:443"}},
	} {
		t.Run(row.name, func(t *testing.T) {
			house(t, func(t *testing.T, r *rig) {
				r.serve("192.0.2.10:443", "", "server.p.example")
				p := &tunnels{login: row.login, answer: row.answer}
				p.listen(r, "192.0.2.20:3128")
				p.instead["server.p.example"] = "192.0.2.10:443"
				if row.middle {
					r.serve("192.0.2.66:443", "untrusted", "server.p.example", "second.p.example")
					p.instead["server.p.example"], p.instead["second.p.example"] = "192.0.2.66:443", "192.0.2.66:443"
				}
				by := &endpoint.Dialer{Base: r.network.Dial, Proxy: &url.URL{Scheme: "http", Host: "192.0.2.20:3128", User: row.user}, NoProxy: row.noProxy}
				r.cfg.Route = func(host string) endpoint.DialFunc {
					if by.UsesProxy(host) {
						return by.DialContext
					}
					return nil
				}
				var past []string
				r.cfg.Dial = func(ctx context.Context, network, addr string) (net.Conn, error) {
					past = append(past, addr)
					return r.network.Dial(ctx, network, addr)
				}
				if row.noProxy == nil || row.noProxy[0] != ".p.example" {
					for _, addr := range []string{"192.0.2.10", "192.0.2.11"} {
						defer func() {
							if slices.ContainsFunc(past, func(a string) bool { return strings.HasPrefix(a, addr) }) {
								t.Errorf("past the proxy to %s", addr)
							}
						}()
					}
				}
				c := r.make()
				// The pause before one server is asked again is drawn; the server is, too.
				c.channel.Rand = func(n int) int { return n - 1 }
				_, err := c.Fetch(t.Context())
				if (err == nil) != (row.want == "") || err != nil && !strings.Contains(err.Error(), row.want) {
					t.Errorf("got %v", err)
				}
				if !slices.Equal(p.asked, row.asked) {
					t.Errorf("asked %q", p.asked)
				}
				if h := c.Health(); h.Up != row.up || len(h.Blocked) != row.blocked {
					t.Errorf("health: %+v", h)
				}
				for _, q := range r.provider.Requests() {
					if row.middle || q.Header.Get("Proxy-Authorization") != "" || strings.Contains(q.Authorization, "Basic") {
						t.Errorf("the server got %+v", q)
					}
				}
				if strings.Contains(r.log.String(), "u:p@") {
					t.Error("the log shows the proxy's password")
				}
			})
		})
	}
}

// A proxy that is silent is a time-out of two seconds for each attempt.
func TestSilentProxy(t *testing.T) {
	house(t, func(t *testing.T, r *rig) {
		r.network.Set("192.0.2.20", pipe.Drop)
		by := &endpoint.Dialer{Base: r.network.Dial, Proxy: &url.URL{Scheme: "http", Host: "192.0.2.20:3128"}}
		r.cfg.Route = func(string) endpoint.DialFunc { return by.DialContext }
		began := time.Now()
		_, err := r.fetch()
		if !endpoint.IsTimeout(err) || time.Since(began) > 3*(defaultAnswer+200*time.Millisecond) {
			t.Errorf("%v after %v", err, time.Since(began))
		}
	})
}

// What is wrong at home, here the roots that are missing, blames no server:
// none is asked, none passed over, and the channel is not green.
func TestNoRoots(t *testing.T) {
	house(t, func(t *testing.T, r *rig) {
		r.serve("192.0.2.10:443", "", "server.p.example")
		missing := errors.New("no trusted certificates")

		r.cfg.Trust = func() (Trust, error) { return Trust{}, missing }
		c, err := r.fetch()
		if !errors.Is(err, missing) || len(r.provider.Requests()) != 0 {
			t.Errorf("got %v", err)
		}
		if h := c.Health(); h.Up || !h.LastOK.IsZero() || len(h.Blocked) != 0 {
			t.Errorf("health: %+v", h)
		}

	})
}
