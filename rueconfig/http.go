// One conversation with one server: GET, authentication, redirects, limits.

package rueconfig

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"mime"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"gatehouse/internal/digest"
	"gatehouse/internal/endpoint"
	"gatehouse/internal/trust"
)

// Patience and bounds of a conversation.
const (
	maxRedirects   = 5
	maxChallenges  = 4
	defaultAnswer  = 2 * time.Second  // to an open connection, and to the first byte of an answer
	wholeRequest   = 30 * time.Second // with the body
	maxHeaderBytes = 32 << 10
)

// Errors to match with errors.Is.
var (
	// ErrAuth says that the server does not take the name and password.
	ErrAuth = errors.New("the provider refuses the name or password")
	// ErrNotJSON says that something else than JSON came: often the page of a
	// hotel's or a captive network.
	ErrNotJSON = errors.New("not a JSON document")
	// ErrTooLarge says that an answer is larger than MaxSize.
	ErrTooLarge = errors.New("too large")
)

// A conversation is with one server, over one connection that is kept while
// it lasts.
type conversation struct {
	c       *Client
	target  endpoint.Target
	base    *url.URL // what target is called
	names   []string // that its certificate may be for
	trust   Trust
	rule    endpoint.Rule
	id      string                    // for the log
	cookies map[string][]*http.Cookie // by host
	auth    map[string]*digest.Client // by host:port
	login   credentials
	http    *http.Transport

	pinned atomic.Pointer[netip.AddrPort] // of target, once it has been reached
}

// credentials are what a challenge is answered with.
type credentials struct {
	username string
	password Secret
	token    Secret // instead: a bearer token
	basic    bool   // Basic may be answered, too
}

// converse opens a conversation. Its certificate may be for one of names.
func (c *Client) converse(t endpoint.Target, base *url.URL, names []string, login credentials) (*conversation, error) {
	tr, err := c.cfg.Trust()
	if err != nil {
		return nil, err
	}
	if tr.Now.IsZero() {
		c.clockless.Store(true)
	}
	v := &conversation{
		c: c, target: t, base: base, names: names, trust: tr, rule: c.cfg.Rules.For(c.cfg.Channel, base), id: c.correlation(),
		cookies: map[string][]*http.Cookie{}, auth: map[string]*digest.Client{}, login: login,
	}
	if v.rule.Response <= 0 {
		v.rule.Response = defaultAnswer
	}
	var protocols http.Protocols
	protocols.SetHTTP1(true)
	v.http = &http.Transport{
		DialContext: v.dial, DialTLSContext: v.dialTLS, Protocols: &protocols, ResponseHeaderTimeout: v.rule.Response,
		DisableCompression: true, DisableKeepAlives: v.rule.KeepAlive == "off", IdleConnTimeout: v.rule.Idle,
		MaxIdleConnsPerHost: 1, MaxResponseHeaderBytes: maxHeaderBytes,
	}
	return v, nil
}

func (v *conversation) close() { v.http.CloseIdleConnections() }

// dial connects to the server that was picked, or to where it sent us. Once an
// address has answered the conversation stays with it.
func (v *conversation) dial(ctx context.Context, network, addr string) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, v.rule.Response)
	defer cancel()
	if route := v.c.cfg.Route; route != nil {
		host, _, err := net.SplitHostPort(addr)
		if err != nil {
			return nil, err
		}
		if by := route(host); by != nil {
			return by(ctx, network, addr)
		}
	}
	if addr != hostPort(v.base) {
		return v.c.cfg.Dial(ctx, network, addr)
	}
	if at := v.pinned.Load(); at != nil {
		return v.c.cfg.Dial(ctx, network, at.String())
	}
	conn, at, err := v.target.Dial(ctx, network, v.c.cfg.Dial)
	if err == nil {
		v.pinned.Store(&at)
	}
	return conn, err
}

// server is the address of target that was reached, or is to be tried first.
func (v *conversation) server() netip.AddrPort {
	if at := v.pinned.Load(); at != nil {
		return *at
	}
	return v.target.Addr
}

// refused says whether err is a proxy's that will not have us: no other server
// would change its mind.
func refused(err error) bool {
	var proxy *endpoint.ProxyError
	return errors.As(err, &proxy) && proxy.Status == http.StatusProxyAuthRequired
}

// dialTLS verifies against all the names that are good for the server we began
// with, and against its own for another one.
func (v *conversation) dialTLS(ctx context.Context, network, addr string) (net.Conn, error) {
	conn, err := v.dial(ctx, network, addr)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, v.rule.Response)
	defer cancel()
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return nil, err
	}
	names := v.names
	if addr != hostPort(v.base) {
		names = []string{host}
	}
	t := v.trust.TLS.Clone()
	t.MinVersion = max(t.MinVersion, tls.VersionTLS12)
	t.ServerName, t.NextProtos = host, nil
	if roots := t.RootCAs; !t.InsecureSkipVerify {
		t.InsecureSkipVerify = true // VerifyConnection does it: for several names, and without a clock
		t.VerifyConnection = func(s tls.ConnectionState) error {
			return trust.Verify(names, s.PeerCertificates, roots, v.trust.Now, !v.trust.Now.IsZero())
		}
	}
	secured := tls.Client(conn, t)
	if err := secured.HandshakeContext(ctx); err != nil {
		_ = conn.Close()
		return nil, fmt.Errorf("TLS with %s: %w", host, err)
	}
	return secured, nil
}

// An answer is a document that came, or word that ours is still good.
type answer struct {
	status int
	body   []byte
	etag   string
}

// get asks for u until there is an answer that is not about authentication or
// another place. Errors that no other server would mend are [endpoint.Final].
func (v *conversation) get(ctx context.Context, u *url.URL, etag string) (*answer, error) {
	ctx, cancel := context.WithTimeout(ctx, wholeRequest)
	defer cancel()
	for challenges, redirects := 0, 0; ; {
		resp, err := v.ask(ctx, u, etag)
		if err != nil {
			return nil, err
		}
		switch s := resp.StatusCode; {
		case s == http.StatusUnauthorized:
			if challenges++; challenges > maxChallenges {
				return nil, final(ErrAuth)
			}
			if err := v.challenged(u, resp.Header); err != nil {
				return nil, final(err)
			}
		case s == 301 || s == 302 || s == 303 || s == 307 || s == 308:
			if redirects++; redirects > maxRedirects {
				return nil, final(errors.New("one redirect too many"))
			}
			if u, err = v.redirected(u, resp.Header.Get("Location")); err != nil {
				return nil, final(err)
			}
		case s == http.StatusRequestTimeout || s == http.StatusTooManyRequests || s >= 500:
			return nil, &endpoint.StatusError{Status: s, RetryAfter: retryAfter(resp.Header)}
		case s == http.StatusNotModified && etag != "":
			return &answer{status: s, etag: etag}, nil
		case s == http.StatusOK:
			return v.document(resp)
		default:
			return nil, final(&StatusError{s})
		}
	}
}

// A StatusError is an answer that is no document, and final.
type StatusError struct{ Status int }

func (e *StatusError) Error() string {
	return "the provider answers with HTTP status " + strconv.Itoa(e.Status) + " " + http.StatusText(e.Status)
}

func final(err error) error { return &endpoint.Final{Err: err} }

func local(err error) error { return &endpoint.Local{Err: err} }

// A response was read to its end, or to one byte over the limit.
type response struct {
	*http.Response
	body []byte
}

// ask makes one request, with nothing in it but what is listed here.
func (v *conversation) ask(ctx context.Context, u *url.URL, etag string) (*response, error) {
	req := (&http.Request{
		Method: http.MethodGet, URL: u, Host: u.Host, Header: http.Header{}, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
	}).WithContext(ctx)
	req.Header["User-Agent"] = []string{v.c.cfg.UserAgent}
	req.Header["Accept"] = []string{"application/json"}
	if etag != "" {
		req.Header["If-None-Match"] = []string{etag}
	}
	for _, cookie := range v.cookies[u.Host] {
		req.AddCookie(cookie)
	}
	if err := v.authorize(req); err != nil {
		return nil, local(err)
	}
	began := time.Now()
	log := v.c.log.With("id", v.id, "url", place(u))
	log.Debug("request", "server", v.server(), "authorized", req.Header["Authorization"] != nil)
	resp, err := v.http.RoundTrip(req)
	if err != nil {
		log.Info("no answer", "server", v.server(), "after", time.Since(began).Round(time.Millisecond), "timeout", endpoint.IsTimeout(err), "err", err)
		if refused(err) {
			err = local(err)
		}
		return nil, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, MaxSize+1))
	log.Info("answer", "server", v.server(), "status", resp.StatusCode, "bytes", len(body), "after", time.Since(began).Round(time.Millisecond))
	if err != nil && resp.StatusCode == http.StatusOK {
		return nil, fmt.Errorf("the answer breaks off: %w", err)
	}
	v.remember(u.Host, resp.Header)
	return &response{resp, body}, nil
}

// authorize adds what the server has asked for.
func (v *conversation) authorize(req *http.Request) error {
	if v.login.token != "" && hostPort(req.URL) == hostPort(v.base) {
		req.Header["Authorization"] = []string{"Bearer " + string(v.login.token)}
		return nil
	}
	a := v.auth[hostPort(req.URL)]
	if a == nil {
		return nil
	}
	header, err := a.Authorize(http.MethodGet, req.URL.RequestURI(), nil)
	if header != "" {
		req.Header["Authorization"] = []string{header}
	}
	return err
}

// challenged takes a 401. Credentials are for the provider's domain alone, and
// Basic is not answered, for whoever strips the offer of Digest would have the
// password.
func (v *conversation) challenged(u *url.URL, h http.Header) error {
	if v.login.token != "" || v.login.username == "" && v.login.password == "" {
		return ErrAuth
	}
	a := v.auth[hostPort(u)]
	if a == nil {
		a = digest.NewClient(v.login.username, string(v.login.password), digest.Options{NoBasic: !v.login.basic, Latin1: true})
		v.auth[hostPort(u)] = a
	}
	again, err := a.Challenge(h)
	if err == nil && !again || errors.Is(err, digest.ErrRefused) {
		return ErrAuth
	}
	return err
}

// redirected follows a Location, by https and within the provider's domain.
func (v *conversation) redirected(from *url.URL, location string) (*url.URL, error) {
	u, err := from.Parse(location)
	switch {
	case location == "" || err != nil:
		return nil, errors.New("a redirect without a usable Location")
	case u.Scheme != "https":
		return nil, fmt.Errorf("a redirect to %s, which is not https", place(u))
	case u.Hostname() == "" || !v.home(u.Hostname()):
		return nil, fmt.Errorf("a redirect to %s, out of the provider's domain", place(u))
	}
	u.User, u.Fragment = nil, ""
	return u, nil
}

// home says whether a host belongs to the provider.
func (v *conversation) home(host string) bool {
	host = strings.ToLower(host)
	d := strings.ToLower(v.c.domain())
	if d != "" && (host == d || strings.HasSuffix(host, "."+d)) {
		return true
	}
	return strings.EqualFold(host, v.base.Hostname())
}

// document takes a 200.
func (v *conversation) document(r *response) (*answer, error) {
	if a := v.auth[hostPort(r.Request.URL)]; a != nil {
		if err := a.Info(r.Header); err != nil {
			return nil, final(err) // whoever sends this does not know the password
		}
	}
	kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	switch {
	case len(r.body) > MaxSize:
		return nil, final(fmt.Errorf("%w: over %d bytes", ErrTooLarge, MaxSize))
	case r.Header.Get("Content-Encoding") != "" && !strings.EqualFold(r.Header.Get("Content-Encoding"), "identity"):
		return nil, final(fmt.Errorf("%w: it is compressed, which was not asked for", ErrNotJSON))
	case r.Header.Get("Content-Type") == "":
	case err != nil || kind != "application/json" && !strings.HasSuffix(kind, "+json"):
		return nil, final(fmt.Errorf("%w: it is %.60q", ErrNotJSON, r.Header.Get("Content-Type")))
	}
	etag := r.Header.Get("ETag")
	if len(etag) > 256 || strings.ContainsFunc(etag, func(c rune) bool { return c < 0x21 || c > 0x7e }) {
		etag = ""
	}
	return &answer{status: r.StatusCode, body: r.body, etag: etag}, nil
}

// maxCookies bounds what one host may have us keep.
const maxCookies = 16

// remember keeps what leads to the same server behind a balancer, for as long
// as the conversation lasts. A later cookie takes the place of one of its name.
func (v *conversation) remember(host string, h http.Header) {
	for _, line := range h["Set-Cookie"] {
		c, err := http.ParseSetCookie(line)
		if err != nil || len(c.Name)+len(c.Value) > 4<<10 {
			continue
		}
		kept := slices.DeleteFunc(v.cookies[host], func(old *http.Cookie) bool { return old.Name == c.Name })
		if c.MaxAge >= 0 && len(kept) < maxCookies {
			kept = append(kept, &http.Cookie{Name: c.Name, Value: c.Value, Quoted: c.Quoted})
		}
		v.cookies[host] = kept
	}
}

// retryAfter reads RFC 9110 10.2.3: seconds, or a date, which is measured by the
// server's own Date, for our clock may not be set.
func retryAfter(h http.Header) time.Duration {
	s := h.Get("Retry-After")
	if n, err := strconv.ParseUint(s, 10, 31); err == nil {
		return time.Duration(n) * time.Second
	}
	then, err := http.ParseTime(s)
	now, also := http.ParseTime(h.Get("Date"))
	if err != nil || also != nil {
		return 0
	}
	return max(0, then.Sub(now))
}

// place is a URL as it may stand in a log: without its query, which may hold
// keys.
func place(u *url.URL) string { return u.Scheme + "://" + u.Host + u.EscapedPath() }

// hostPort is the server of a URL.
func hostPort(u *url.URL) string {
	port := u.Port()
	if port == "" {
		port = "443"
	}
	return net.JoinHostPort(strings.ToLower(u.Hostname()), port)
}
