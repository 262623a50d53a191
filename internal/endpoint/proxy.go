package endpoint

// Tunnels through an HTTP proxy by CONNECT (RFC 7231 4.3.6): TLS stays end to
// end, and the proxy resolves the name.

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"gatehouse/internal/digest"
)

// Limits on what a proxy may answer.
const (
	maxProxyHead  = 64 << 10 // bytes, with the body of a 407
	maxProxyTries = 5        // CONNECTs for one tunnel
)

// A ProxyError says that a proxy was reached and makes no tunnel.
type ProxyError struct {
	Proxy  string // its host and port
	Status int    // of its answer; 0: none that could be read
	Err    error
}

func (e *ProxyError) Error() string {
	if e.Status != 0 {
		return fmt.Sprintf("proxy %s answers %d: %v", e.Proxy, e.Status, e.Err)
	}
	return fmt.Sprintf("proxy %s: %v", e.Proxy, e.Err)
}

// Unwrap returns the cause.
func (e *ProxyError) Unwrap() error { return e.Err }

// UsesProxy reports whether connections to a host go by way of the proxy.
func (d *Dialer) UsesProxy(host string) bool { return d.Proxy != nil && !d.direct(host) }

// direct reports whether a host is reached without the proxy: NoProxy says so,
// or it is this host itself.
func (d *Dialer) direct(host string) bool {
	addr, err := netip.ParseAddr(host)
	if err == nil {
		addr = addr.Unmap()
	}
	name := strings.ToLower(strings.TrimSuffix(host, "."))
	if name == "localhost" || err == nil && addr.IsLoopback() {
		return true
	}
	for _, rule := range d.NoProxy {
		rule = strings.ToLower(strings.TrimSpace(rule))
		if rule == "*" || rule != "" && matches(rule, name, addr) {
			return true
		}
	}
	return false
}

// matches reports whether a rule of NoProxy covers a name or an address.
func matches(rule, name string, addr netip.Addr) bool {
	if addr.IsValid() {
		if p, err := netip.ParsePrefix(rule); err == nil {
			return p.Contains(addr)
		}
		a, err := netip.ParseAddr(rule)
		return err == nil && a.Unmap() == addr
	}
	rule = strings.TrimPrefix(rule, "*")
	return rule == name || strings.HasSuffix(name, "."+strings.TrimPrefix(rule, "."))
}

// tunnel connects through the proxy.
func (d *Dialer) tunnel(ctx context.Context, addr string, p *pins) (net.Conn, error) {
	if d.Proxy.Scheme != "http" {
		return nil, fmt.Errorf("proxy %s: only http:// proxies are supported", d.Proxy.Redacted())
	}
	port := uint64(80)
	if s := d.Proxy.Port(); s != "" {
		var err error
		if port, err = strconv.ParseUint(s, 10, 16); err != nil {
			return nil, fmt.Errorf("proxy %s: port is not a number", d.Proxy.Redacted())
		}
	}
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return nil, err
	}
	if _, err := cleanName(host); err != nil && net.ParseIP(host) == nil { // it goes into a request line
		return nil, fmt.Errorf("%.80q: %w", host, err)
	}
	var auth *digest.Client
	if u := d.Proxy.User; u != nil {
		password, _ := u.Password()
		auth = digest.NewClient(u.Username(), password, digest.Options{Proxy: true})
	}
	var c net.Conn
	for range maxProxyTries {
		if c == nil {
			var err error
			if c, err = d.reach(ctx, "tcp", d.Proxy.Hostname(), uint16(port), p); err != nil {
				return nil, fmt.Errorf("proxy: %w", err)
			}
			if auth != nil {
				auth.Reconnected()
			}
		}
		tunnel, again, err := d.ask(ctx, c, addr, auth)
		if err == nil && tunnel != nil {
			return tunnel, nil
		}
		if err != nil || !again {
			_ = c.Close() // useless now
			c = nil
		}
		if err != nil {
			return nil, err
		}
	}
	if c != nil {
		_ = c.Close()
	}
	return nil, &ProxyError{d.Proxy.Host, http.StatusProxyAuthRequired, digest.ErrRefused}
}

// ask sends one CONNECT. It returns the tunnel; or nil after a challenge that
// auth will answer, and whether that can go over the same connection.
func (d *Dialer) ask(ctx context.Context, c net.Conn, addr string, auth *digest.Client) (tunnel net.Conn, again bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, d.connectTimeout())
	defer cancel()
	stop := context.AfterFunc(ctx, func() { _ = c.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	res, r, err := request(c, addr, auth)
	switch {
	case err != nil && ctx.Err() != nil:
		return nil, false, &ProxyError{d.Proxy.Host, 0, ctx.Err()}
	case err != nil:
		return nil, false, &ProxyError{d.Proxy.Host, 0, err}
	case res.StatusCode/100 == 2 && !stop(): // the deadline strikes just now
		return nil, false, &ProxyError{d.Proxy.Host, 0, context.DeadlineExceeded}
	case res.StatusCode/100 == 2:
		rest, _ := r.Peek(r.Buffered())
		return &prefixed{c, rest}, false, nil
	case res.StatusCode != http.StatusProxyAuthRequired:
		return nil, false, &ProxyError{d.Proxy.Host, res.StatusCode, errors.New("no tunnel to " + addr)}
	case auth == nil:
		return nil, false, &ProxyError{d.Proxy.Host, res.StatusCode, errors.New("it wants a user name and a password")}
	}
	if _, err := auth.Challenge(res.Header); err != nil {
		return nil, false, &ProxyError{d.Proxy.Host, res.StatusCode, err}
	}
	_, err = io.Copy(io.Discard, res.Body)
	return nil, err == nil && !res.Close && r.Buffered() == 0, nil
}

// request writes a CONNECT and reads the head of its answer; what the reader
// holds besides belongs to the tunnel, or to the answer's body.
func request(c net.Conn, addr string, auth *digest.Client) (*http.Response, *bufio.Reader, error) {
	req := "CONNECT " + addr + " HTTP/1.1\r\nHost: " + addr + "\r\n"
	if auth != nil {
		v, err := auth.Authorize(http.MethodConnect, addr, nil)
		if err != nil {
			return nil, nil, err
		}
		if v != "" {
			req += auth.HeaderName() + ": " + v + "\r\n"
		}
	}
	if _, err := io.WriteString(c, req+"\r\n"); err != nil {
		return nil, nil, err
	}
	r := bufio.NewReader(&io.LimitedReader{R: c, N: maxProxyHead})
	res, err := http.ReadResponse(r, &http.Request{Method: http.MethodConnect})
	return res, r, err
}

// prefixed is a connection of which some bytes were read already.
type prefixed struct {
	net.Conn
	rest []byte
}

func (p *prefixed) Read(b []byte) (int, error) {
	if len(p.rest) == 0 {
		return p.Conn.Read(b)
	}
	n := copy(b, p.rest)
	p.rest = p.rest[n:]
	return n, nil
}
