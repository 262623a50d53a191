package cwmp

// This file is the HTTP side of a session (TR-069 3.4): one POST after the
// other to one ACS, and what stands between a POST and its answer:
// authentication, redirects, a refused content coding.

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"strings"
	"sync/atomic"
	"time"

	"gatehouse/internal/digest"
)

// How often one exchange may go round before it fails.
const (
	maxRedirects  = 5 // in a row (TR-069 3.4.2)
	maxChallenges = 8 // over all of its hosts; internal/digest knows loops better
)

// A Client carries the envelopes of one session over HTTP/1.1. Fill it in, use
// it for one [Session], drop it: cookies, nonces and a redirected URL must not
// outlive the session (TR-069 3.4.2). It is not safe for use by several
// goroutines.
type Client struct {
	URL      string // of the ACS, http or https
	Username string // both may be empty: blank credentials answer a challenge
	Password Secret

	// Dial opens connections; nil means a net.Dialer. Proxies, interface
	// binding and the choice among addresses are its business.
	Dial func(ctx context.Context, network, addr string) (net.Conn, error)
	// TLS gives roots, client certificates and the like; nil means the system's
	// roots. Versions before 1.2 are never spoken.
	TLS *tls.Config
	// Clock tells the wall time and whether it can be trusted. While it cannot,
	// certificates are verified in full at the latest NotBefore of their chain;
	// see [Client.Recheck]. nil means time.Now, trusted.
	Clock func() (now time.Time, set bool)

	// Compression of what we send: "GZIP", "Deflate"; anything else is none
	// (ManagementServer.HTTPCompression). Replies are decoded in any case.
	Compression string
	// Timeout is the longest silence of the ACS that we bear, from an open
	// connection on; 0 means 30 s (TR-069 3.4.2).
	Timeout time.Duration
	// Closes has each POST say "Connection: close" and go over a connection of
	// its own; cookies then carry the session alone.
	Closes bool
	// MaxReply bounds a reply in bytes, before and after decoding; 0 means the
	// default of Limits.Bytes.
	MaxReply int
	// UserAgent names us; "" sends no User-Agent.
	UserAgent string
	// CheckURL says why a URL that a redirect leads to is not to be followed;
	// nil follows all but those that leave TLS.
	CheckURL func(url string) error
	// Log is told what a person may want to know; nil logs nothing.
	Log *slog.Logger

	transport *http.Transport
	target    *url.URL // where we post now
	home      origin   // of URL
	jar       jar
	auth      map[origin]*digest.Client
	plain     bool // the ACS does not take our content coding
	warned    bool // of a password in clear
	chains    []chain
	local     net.Addr
	remote    net.Addr
}

// String names the client without its password.
func (c *Client) String() string { return "CWMP client for " + c.URL }

// An origin is what credentials belong to.
type origin struct{ scheme, host string }

func originOf(u *url.URL) origin {
	port := u.Port()
	if port == "" {
		port = "80"
		if u.Scheme == "https" {
			port = "443"
		}
	}
	return origin{u.Scheme, net.JoinHostPort(strings.ToLower(u.Hostname()), port)}
}

// LocalAddr returns our address on the last connection, nil before the first:
// the address to put into ConnectionRequestURL.
func (c *Client) LocalAddr() net.Addr { return c.local }

// RemoteAddr returns the address of the ACS (or of a proxy) on the last
// connection, nil before the first.
func (c *Client) RemoteAddr() net.Addr { return c.remote }

// Close ends the connections. The next Exchange would open new ones.
func (c *Client) Close() error {
	if c.transport != nil {
		c.transport.CloseIdleConnections()
	}
	return nil
}

// Exchange posts body, or nothing at all when it is nil, and returns the reply,
// empty for 204 and the like. The error is an *HTTPError for a status that is
// no success, a *TLSError for a certificate, a *RedirectError, ErrTooLong, or
// what the network says.
func (c *Client) Exchange(ctx context.Context, body *Body) ([]byte, error) {
	if err := c.start(); err != nil {
		return nil, err
	}
	coded, err := c.encodeBody(body)
	if err != nil {
		return nil, err
	}
	for challenges, redirects := 0, 0; ; {
		reply, err := c.send(ctx, coded)
		if err != nil {
			return nil, err
		}
		if reply.status != http.StatusUnauthorized {
			c.accepted(reply)
		}
		switch s := reply.status; {
		case s == http.StatusUnauthorized:
			if challenges++; challenges > maxChallenges {
				return nil, reply.error(digest.ErrRefused)
			}
			if err := c.challenged(reply); err != nil {
				return nil, err
			}
		case s == 301 || s == 302 || s == 307 || s == 308:
			if redirects++; redirects > maxRedirects {
				return nil, &RedirectError{To: reply.header.Get("Location"), Problem: "is one redirect too many"}
			}
			if err := c.redirect(reply); err != nil {
				return nil, err
			}
		case s == http.StatusUnsupportedMediaType && coded.coding != "":
			c.log().Info("the ACS does not take compressed requests", "coding", coded.coding)
			c.plain = true
			coded, _ = c.encodeBody(body) // plain now: cannot fail
		case s < 200 || s > 299:
			return nil, reply.error(nil)
		default:
			return reply.body, nil
		}
	}
}

func (c *Client) log() *slog.Logger {
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	return c.Log
}

// start checks the configuration and makes the transport, once.
func (c *Client) start() error {
	if c.transport != nil {
		return nil
	}
	u, err := url.Parse(c.URL)
	if err != nil {
		return fmt.Errorf("ACS URL: %w", errors.Unwrap(err))
	}
	if u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" {
		return fmt.Errorf("ACS URL %q is not an http or https URL", u.Redacted())
	}
	u.User, u.Fragment = nil, ""
	if c.Timeout <= 0 {
		c.Timeout = 30 * time.Second
	}
	if c.MaxReply <= 0 {
		c.MaxReply = Limits{}.MaxBytes()
	}
	dial := c.Dial
	if dial == nil {
		dial = (&net.Dialer{Timeout: c.Timeout}).DialContext
	}
	var protocols http.Protocols
	protocols.SetHTTP1(true)
	c.transport = &http.Transport{
		DialContext: dial, TLSClientConfig: c.tlsConfig(), TLSHandshakeTimeout: c.Timeout,
		Protocols: &protocols, DisableCompression: true, // we decode, bounded
		MaxIdleConnsPerHost: 1, MaxResponseHeaderBytes: 64 << 10, DisableKeepAlives: c.Closes,
	}
	c.target, c.home = u, originOf(u)
	c.auth = map[origin]*digest.Client{}
	return nil
}

// credentials returns the state of authentication towards where we post. Our
// own ACS gets Basic unasked over TLS (TR-069 3.4.4); a host that we were
// redirected to must ask, and gets no Basic in clear.
func (c *Client) credentials() *digest.Client {
	o := originOf(c.target)
	a := c.auth[o]
	if a == nil {
		secure, home := o.scheme == "https", o == c.home
		a = digest.NewClient(c.Username, string(c.Password), digest.Options{
			Preemptive: secure && home && (c.Username != "" || c.Password != ""),
			NoBasic:    !secure && !home,
			Latin1:     true,
		})
		c.auth[o] = a
	}
	return a
}

// challenged answers a 401, if it makes sense.
func (c *Client) challenged(r *reply) error {
	a := c.credentials()
	if r.fresh {
		a.Reconnected()
	}
	again, err := a.Challenge(r.header)
	if err == nil && !again {
		err = digest.ErrRefused
	}
	if err != nil {
		return r.error(err)
	}
	return nil
}

// accepted takes what an answer says about authentication. A wrong rspauth is
// no reason to stop: whoever wants to pass for the ACS just leaves it out.
func (c *Client) accepted(r *reply) {
	if err := c.credentials().Info(r.header); err != nil {
		c.log().Warn("the ACS does not prove that it knows our password", "error", err)
	}
}

// redirect follows a Location for the rest of the session (TR-069 3.4.2).
func (c *Client) redirect(r *reply) error {
	to := r.header.Get("Location")
	u, err := c.target.Parse(to)
	switch {
	case to == "":
		return &RedirectError{Problem: "has no Location"}
	case err != nil:
		return &RedirectError{To: truncate(to, 200), Problem: "is not a URL"}
	case u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "":
		return &RedirectError{To: u.Redacted(), Problem: "is not an http or https URL"}
	case c.target.Scheme == "https" && u.Scheme == "http":
		return &RedirectError{To: u.Redacted(), Problem: "leaves TLS, which is refused"}
	}
	u.User, u.Fragment = nil, ""
	if c.CheckURL != nil {
		if err := c.CheckURL(u.String()); err != nil {
			return &RedirectError{To: u.Redacted(), Problem: err.Error()}
		}
	}
	if originOf(u) != originOf(c.target) {
		c.transport.CloseIdleConnections()
	}
	c.log().Info("redirected for this session", "status", r.status, "to", u.Redacted())
	c.target = u
	return nil
}

// A reply is one HTTP response, read to its end.
type reply struct {
	status int
	header http.Header
	body   []byte
	fresh  bool // came over a new connection
	dead   bool // did not come, for the kept-alive connection was dead
}

// send does one HTTP transaction. A kept-alive connection that turns out dead
// before the first byte of an answer (an ACS that closes idle connections makes
// them) costs one repetition over a new one, whatever part of the POST had
// left; what fails over a new connection has failed.
func (c *Client) send(ctx context.Context, b codedBody) (*reply, error) {
	r, err := c.roundTrip(ctx, b)
	if err != nil && r.dead && ctx.Err() == nil {
		c.log().Debug("the connection was dead, sending again", "error", err)
		c.transport.CloseIdleConnections()
		r, err = c.roundTrip(ctx, b)
	}
	return r, err
}

// roundTrip makes one attempt at an HTTP transaction. The reply is there in
// any case; with an error it says what is known.
func (c *Client) roundTrip(ctx context.Context, b codedBody) (*reply, error) {
	ctx, w := watch(ctx, c.Timeout)
	defer w.stop()
	r := &reply{fresh: true}
	var begun atomic.Bool // set by the reading goroutine of the transport
	var req *http.Request
	ctx, give := context.WithCancelCause(ctx)
	defer give(nil)
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		// Called by RoundTrip itself, before anything is written: the first
		// moment at which we know whether the connection is a new one.
		GotConn: func(i httptrace.GotConnInfo) {
			r.fresh = !i.Reused
			c.local, c.remote = i.Conn.LocalAddr(), i.Conn.RemoteAddr()
			w.progress()
			if err := c.authorize(req, b, r.fresh); err != nil {
				give(err)
			}
		},
		GotFirstResponseByte: func() { begun.Store(true) },
	})
	req = c.request(ctx, b, w)
	resp, err := c.transport.RoundTrip(req)
	if err != nil {
		r.dead = !r.fresh && !begun.Load() && ctx.Err() == nil
		return r, c.explain(w.cause(ctx, err))
	}
	defer resp.Body.Close()
	c.jar.store(c.target.Hostname(), resp.Header)
	r.status, r.header = resp.StatusCode, resp.Header
	if r.body, err = c.readBody(resp, w); err != nil {
		return r, c.explain(w.cause(ctx, err))
	}
	return r, nil
}

// request makes the POST. The names written straight into the map keep their
// case, and SOAPAction its empty value (TR-069 3.4.1).
func (c *Client) request(ctx context.Context, b codedBody, w *watchdog) *http.Request {
	req := (&http.Request{
		Method: http.MethodPost, URL: c.target, Host: c.target.Host, Body: http.NoBody,
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Header: http.Header{},
		ContentLength: b.size,
	}).WithContext(ctx)
	if b.open != nil {
		req.GetBody = func() (io.ReadCloser, error) { return w.reader(b.open()), nil }
		req.Body, _ = req.GetBody()
		req.Header["Content-Type"] = []string{`text/xml; charset="utf-8"`}
		req.Header["SOAPAction"] = []string{""}
		if b.coding != "" {
			req.Header["Content-Encoding"] = []string{b.coding}
		}
	}
	req.Header["User-Agent"] = []string{c.UserAgent}
	if c.Compression != "" {
		req.Header["Accept-Encoding"] = []string{"gzip, deflate"}
	}
	if cookies := c.jar.header(c.target); cookies != "" {
		req.Header["Cookie"] = []string{cookies}
	}
	return req
}

// authorize adds our credentials to a request that is about to go out: over a
// new connection they have a cnonce of their own (TR-069 3.4.5).
func (c *Client) authorize(req *http.Request, b codedBody, fresh bool) error {
	a := c.credentials()
	if fresh {
		a.Reconnected()
	}
	auth, err := a.Authorize(http.MethodPost, c.target.RequestURI(), b.writeTo)
	if err != nil {
		return err
	}
	if auth != "" {
		req.Header["Authorization"] = []string{auth}
	}
	if c.target.Scheme == "http" && strings.HasPrefix(auth, "Basic ") && !c.warned {
		c.warned = true
		c.log().Warn("the ACS wants our password in clear", "host", c.target.Host)
	}
	return nil
}
