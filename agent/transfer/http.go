package transfer

// One file over HTTP: GET or PUT, with authentication and redirects.

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"time"

	"gatehouse/internal/digest"
)

// Patience and limits of one request.
const (
	handshakeTime = 20 * time.Second
	silence       = 60 * time.Second // without a byte, in either direction, and where no rule says more or less to an answer
	maxRedirects  = 5
	maxChallenges = 4
	maxAnswer     = 64 << 10 // of headers, and of an answer that is no file, before we hang up on it
)

// A web fetches and sends files for one transfer.
type web struct {
	transport *http.Transport
	agent     string
	check     func(url string) error
	rule      func(u *url.URL) Rule
	log       *slog.Logger
	auth      *digest.Client // for home alone: nobody else gets a password
	home      url.URL
}

// A Rule says how requests to a place are made.
type Rule struct {
	Response time.Duration // how long an answer may take, connecting included; 0: a minute
	Closes   bool          // each has a connection of its own
}

func newWeb(t *Transfer, dial func(ctx context.Context, network, addr string) (net.Conn, error), tlsConfig *tls.Config, c *Runner) *web {
	rule := c.Rule
	if rule == nil {
		rule = func(*url.URL) Rule { return Rule{} }
	}
	return &web{
		transport: &http.Transport{
			DialContext: dial, TLSClientConfig: tlsConfig, TLSHandshakeTimeout: handshakeTime,
			DisableCompression: true, MaxConnsPerHost: 1,
			MaxResponseHeaderBytes: maxAnswer,
			TLSNextProto:           map[string]func(string, *tls.Conn) http.RoundTripper{}, // HTTP/1.1
		},
		agent: c.UserAgent, check: c.CheckURL, rule: rule, log: c.Log.With("id", fmt.Sprintf("transfer-%d", t.ID)),
		auth: digest.NewClient(t.Username, string(t.Password), digest.Options{Latin1: true}),
	}
}

func (w *web) close() { w.transport.CloseIdleConnections() }

// get streams the file at a URL into to, at most limit bytes of it.
func (w *web) get(ctx context.Context, t *Transfer, to io.Writer, limit int64) error {
	ctx, dog := watch(ctx)
	defer dog.stop()
	resp, err := w.do(ctx, t, http.MethodGet, nil, dog)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.ContentLength > limit {
		return failed(Failed, "the file has %d bytes, and there is room for %d", resp.ContentLength, limit)
	}
	n, err := io.Copy(to, io.LimitReader(dog.reader(resp.Body), limit+1))
	var disk *os.PathError
	switch {
	case errors.As(err, &disk):
		return failed(Internal, "the file cannot be kept: %w", err)
	case err != nil:
		return incomplete(n, cause(ctx, err))
	case n > limit:
		return failed(Failed, "the file has more than the %d bytes that there is room for", limit)
	}
	return nil
}

// incomplete is what it means that a file broke off, unless its end has a
// meaning of its own.
func incomplete(n int64, err error) error {
	var f *Fault
	if errors.As(err, &f) {
		return err
	}
	return failed(Incomplete, "after %d bytes: %w", n, err)
}

// put sends a file.
func (w *web) put(ctx context.Context, t *Transfer, file *os.File, size int64) error {
	ctx, dog := watch(ctx)
	defer dog.stop()
	resp, err := w.do(ctx, t, http.MethodPut, io.NewSectionReader(file, 0, size), dog)
	if err != nil {
		return err
	}
	return resp.Body.Close()
}

// do sends a request until it is answered by a success: over redirects and
// challenges. body is sent anew each time.
func (w *web) do(ctx context.Context, t *Transfer, method string, body *io.SectionReader, dog *watchdog) (*http.Response, error) {
	at, err := url.Parse(t.URL)
	if err != nil {
		return nil, failed(Failed, "%q is no URL", t.URL)
	}
	w.home = *at
	redirects, challenges := 0, 0
	for {
		resp, err := w.send(ctx, at, t, method, body, dog)
		if err != nil {
			return nil, unreached(err)
		}
		if resp.StatusCode/100 == 2 && resp.StatusCode != http.StatusPartialContent {
			return resp, nil
		}
		// The connection is good for the next try: a nonce may belong to it.
		_, _ = io.CopyN(io.Discard, dog.reader(resp.Body), maxAnswer)
		resp.Body.Close()
		switch code := resp.StatusCode; {
		case code == http.StatusUnauthorized && challenges < maxChallenges && w.knows(at) && t.Username != "":
			challenges++
			if again, err := w.auth.Challenge(resp.Header); !again || err != nil {
				return nil, failed(Auth, "the file server refuses user %q", t.Username)
			}
		case redirected(code, method) && redirects < maxRedirects:
			redirects++
			if at, err = w.follow(at, resp); err != nil {
				return nil, err
			}
		default:
			return nil, refusal(code)
		}
	}
}

// knows says whether a place may ask for our password: home alone, and home
// over TLS, where many a server sends those who come without.
func (w *web) knows(at *url.URL) bool {
	if at.Scheme == w.home.Scheme && at.Host == w.home.Host {
		return true
	}
	return w.home.Scheme == "http" && at.Scheme == "https" && strings.EqualFold(at.Hostname(), w.home.Hostname()) &&
		slices.Contains([]string{"", "80"}, w.home.Port()) && slices.Contains([]string{"", "443"}, at.Port())
}

// send makes one request.
func (w *web) send(ctx context.Context, at *url.URL, t *Transfer, method string, body *io.SectionReader, dog *watchdog) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, method, at.String(), nil)
	if err != nil {
		return nil, err
	}
	rule := w.rule(at)
	if rule.Response <= 0 {
		rule.Response = silence
	}
	req.Close = rule.Closes
	req.Header["User-Agent"] = []string{w.agent}
	if body != nil {
		open := func() (io.ReadCloser, error) {
			return io.NopCloser(&watched{io.NewSectionReader(body, 0, body.Size()), dog, rule.Response}), nil
		}
		req.GetBody, req.ContentLength = open, body.Size()
		req.Body, _ = open()
		if body.Size() == 0 {
			req.Body = http.NoBody
		}
		req.Header["Content-Type"] = []string{"application/octet-stream"}
	}
	if t.Username != "" && w.knows(at) {
		if auth, err := w.auth.Authorize(method, at.RequestURI(), nil); err != nil {
			return nil, err
		} else if auth != "" {
			req.Header["Authorization"] = []string{auth}
		}
	}
	began, log := time.Now(), w.log.With("url", WithoutSecrets(at.String()))
	log.Debug("request", "method", method, "authorized", req.Header["Authorization"] != nil)
	dog.wait(rule.Response)
	resp, err := w.transport.RoundTrip(req)
	dog.wait(silence) // the file may take its time after the headers have
	after := time.Since(began).Round(time.Millisecond)
	if err != nil {
		err = cause(ctx, err)
		log.Info("no answer", "after", after, "timeout", timedOut(err), "err", plain(err))
		return nil, err
	}
	log.Info("answer", "status", resp.StatusCode, "bytes", resp.ContentLength, "after", after)
	return resp, nil
}

// timedOut tells an answer that did not come from one that was refused.
func timedOut(err error) bool {
	var n net.Error
	return errors.Is(err, context.DeadlineExceeded) || errors.As(err, &n) && n.Timeout()
}

// redirected says whether a status sends the request elsewhere: a PUT goes
// only where it may stay one.
func redirected(code int, method string) bool {
	switch code {
	case http.StatusTemporaryRedirect, http.StatusPermanentRedirect:
		return true
	case http.StatusMovedPermanently, http.StatusFound, http.StatusSeeOther:
		return method == http.MethodGet
	}
	return false
}

func (w *web) follow(at *url.URL, resp *http.Response) (*url.URL, error) {
	to, err := at.Parse(resp.Header.Get("Location"))
	switch {
	case err != nil, resp.Header.Get("Location") == "":
		return nil, failed(Access, "a redirect to nowhere")
	case at.Scheme == "https" && to.Scheme != "https":
		return nil, failed(Access, "a redirect out of TLS, to %s", to.Host)
	}
	to.User, to.Fragment = nil, ""
	if err := w.check(to.String()); err != nil {
		return nil, failed(Access, "a redirect to %s: %w", to.Host, err)
	}
	return to, nil
}

// refusal is what a status means (TR-069 A.5.1).
func refusal(code int) error {
	text := fmt.Sprintf("the file server answers %d %s", code, http.StatusText(code))
	switch code {
	case http.StatusUnauthorized, http.StatusForbidden, http.StatusProxyAuthRequired:
		return failed(Auth, "%s", text)
	}
	return failed(Access, "%s", text)
}

// unreached is what it means that no answer came.
func unreached(err error) error {
	var f *Fault
	if errors.As(err, &f) {
		return err
	}
	return failed(Contact, "%w", plain(err))
}

// plain takes the method and the URL off, which may hold a token.
func plain(err error) error {
	var u *url.Error
	if errors.As(err, &u) {
		return u.Err
	}
	return err
}

// cause prefers why a context ended to what the network made of it.
func cause(ctx context.Context, err error) error {
	if c := context.Cause(ctx); c != nil {
		return c
	}
	return err
}

// errSilence ends a request that makes no progress.
var errSilence = fmt.Errorf("the file server is silent: %w", context.DeadlineExceeded)

// A watchdog ends a request when nothing moves.
type watchdog struct {
	timer  *time.Timer
	cancel context.CancelCauseFunc
}

func watch(ctx context.Context) (context.Context, *watchdog) {
	ctx, cancel := context.WithCancelCause(ctx)
	return ctx, &watchdog{time.AfterFunc(silence, func() { cancel(errSilence) }), cancel}
}

// wait allows so much silence from now on.
func (d *watchdog) wait(allowed time.Duration) { d.timer.Reset(allowed) }

func (d *watchdog) stop() {
	d.timer.Stop()
	d.cancel(nil)
}

func (d *watchdog) reader(r io.Reader) io.Reader { return &watched{r, d, silence} }

// watched is a file on its way, after the end of which so much silence is
// allowed.
type watched struct {
	r     io.Reader
	d     *watchdog
	after time.Duration
}

func (w *watched) Read(p []byte) (int, error) {
	n, err := w.r.Read(p)
	switch {
	case err != nil:
		w.d.wait(w.after)
	case n > 0:
		w.d.wait(silence)
	}
	return n, err
}
