// Package connreq is the HTTP connection request server (TR-069 3.2.2): the
// port through which an ACS asks for a session.
//
// It is written by hand instead of standing on net/http because the port is
// open to the whole Internet and does one thing: a bounded table of
// connections, a bounded head, no body ever read, and the answer on the wire
// before the session starts.
package connreq

import (
	"context"
	"crypto/subtle"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	"gatehouse/internal/digest"
	"gatehouse/internal/guard"
)

// A Server answers connection requests. Its fields are set before Serve and
// not changed after; the functions are called for each request.
type Server struct {
	// Path is the path of ConnectionRequestURL, with its slash. A query is the
	// client's business. "" answers every request with 404.
	Path func() string
	// Credentials are ConnectionRequestUsername and ConnectionRequestPassword.
	Credentials func() (username, password string)
	// AllowEmpty lets requests in without a password when none is configured.
	// Otherwise an empty password refuses them all.
	AllowEmpty bool
	// Guard admits the authenticated requests.
	Guard *guard.Guard
	// Algorithms are the Digest algorithms on offer; nil: MD5 alone, for ACSes
	// that read one challenge only.
	Algorithms []digest.Algorithm
	Realm      string       // "": "connection request"
	MaxConns   int          // 0: 128
	Log        *slog.Logger // nil: silent

	warnEmpty sync.Once
}

// How long a client may take. A connection that is silent for longer is
// closed; one that is needed for somebody else may be closed before.
const (
	idleTime  = 30 * time.Second // before a request's first byte
	headTime  = 10 * time.Second // from there to the end of the head
	writeTime = 5 * time.Second
	drainTime = 1 * time.Second // to let a client read the answer before a reset

	maxDrain    = 64 << 10 // bytes of an unwanted body
	maxRequests = 100      // on one connection
	acceptTries = 10       // failures to accept in a row before Serve gives up
)

// Serve answers the connections of l until ctx ends, which is no error, or l
// fails. It closes l, and returns when every connection has ended.
func (s *Server) Serve(ctx context.Context, l net.Listener) error {
	auth, err := digest.NewServer(digest.Config{Realm: orElse(s.Realm, "connection request"), Algorithms: s.Algorithms})
	if err != nil {
		_ = l.Close()
		return err
	}
	log := s.Log
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	t := &table{max: s.MaxConns}
	if t.max <= 0 {
		t.max = 128
	}
	var clients sync.WaitGroup
	stop := context.AfterFunc(ctx, func() { _ = l.Close(); t.close() })
	defer clients.Wait()
	defer t.close()
	defer func() { stop(); _ = l.Close() }()

	for failed := 0; ; {
		c, err := l.Accept()
		switch {
		case err == nil:
			failed = 0
		case ctx.Err() != nil:
			return nil
		case errors.Is(err, net.ErrClosed), failed == acceptTries:
			return fmt.Errorf("connection request listener: %w", err)
		default: // out of file descriptors, most likely: the clients that have them will end
			failed++
			log.Warn("cannot accept a connection", "err", err)
			wait(ctx, 10*time.Millisecond<<failed)
			continue
		}
		e := t.add(c)
		if e == nil {
			_ = c.Close()
			return nil
		}
		clients.Go(func() {
			defer t.remove(e)
			(&client{s: s, entry: e, table: t, auth: auth, log: log}).run(ctx)
		})
	}
}

// A client is one connection and what has been read of it.
type client struct {
	*entry
	s     *Server
	table *table
	auth  *digest.Server
	log   *slog.Logger
	buf   []byte
}

// run answers request after request.
func (c *client) run(ctx context.Context) {
	for range maxRequests {
		r, err := c.read()
		if err != nil {
			c.refuse(err)
			return
		}
		if !c.answer(ctx, &r) {
			return
		}
		if r.close || r.body {
			c.drain()
			return
		}
	}
}

// read reads one request. The error is an *errHead, or the connection's.
func (c *client) read() (request, error) {
	head, err := c.readHead()
	if err != nil {
		return request{}, err
	}
	return parseHead(head)
}

// refuse answers what is no request, if the client is still there.
func (c *client) refuse(err error) {
	var e *errHead
	if errors.As(err, &e) {
		c.log.Debug("bad connection request", "source", c.source(), "err", err)
		c.write(e.status, "", nil, true)
		c.drain()
	}
}

// readHead reads up to the end of a head. The error is an *errHead for a head
// that is too long, else of the connection.
func (c *client) readHead() ([]byte, error) {
	started := len(c.buf) > 0
	deadline := idleTime
	if started {
		deadline = headTime
	}
	_ = c.SetReadDeadline(time.Now().Add(deadline)) // a connection without deadlines is closed by its eviction
	for {
		if n := endOfHead(c.buf); n > 0 {
			head := c.buf[:n]
			c.buf = append([]byte(nil), c.buf[n:]...) // what is left, on its own
			return head, nil
		}
		if len(c.buf) >= maxHead {
			return nil, &errHead{http.StatusRequestHeaderFieldsTooLarge, "request head is too long"}
		}
		if len(c.buf) == cap(c.buf) {
			c.buf = append(make([]byte, 0, min(maxHead, max(firstBytes, 2*cap(c.buf)))), c.buf...)
		}
		n, err := c.Read(c.buf[len(c.buf):cap(c.buf)])
		c.buf = c.buf[:len(c.buf)+n]
		if err != nil && n == 0 {
			return nil, err
		}
		if !started && n > 0 {
			started = true
			_ = c.SetReadDeadline(time.Now().Add(headTime))
		}
	}
}

// answer answers one request and reports whether the connection still works.
func (c *client) answer(ctx context.Context, r *request) bool {
	last := r.close || r.body
	if !samePath(r.target, c.s.Path()) {
		return c.write(http.StatusNotFound, "", nil, last)
	}
	if r.method != http.MethodGet {
		return c.write(http.StatusMethodNotAllowed, "Allow: GET\r\n", nil, last)
	}
	switch c.check(r) {
	case digest.Accepted:
	case digest.Stale:
		return c.write(http.StatusUnauthorized, "", c.auth.Challenge(true), last)
	case digest.Missing:
		return c.write(http.StatusUnauthorized, "", c.auth.Challenge(false), last)
	default:
		wait(ctx, c.s.Guard.Failed("http", c.source()))
		return c.write(http.StatusUnauthorized, "", c.auth.Challenge(false), last)
	}
	c.table.authenticated(c.entry)
	accepted, err := c.s.Guard.Admit("http", c.source())
	if err != nil {
		return c.write(http.StatusServiceUnavailable, "", nil, last)
	}
	ok := c.write(http.StatusOK, "", nil, last)
	// Also when the answer did not get through: who knew the password wants a
	// session, and may not be able to ask again.
	accepted()
	return ok
}

// check judges the credentials of a request.
func (c *client) check(r *request) digest.Verdict {
	username, password := c.s.Credentials()
	if password == "" {
		if !c.s.AllowEmpty {
			c.s.warnEmpty.Do(func() {
				c.log.Warn("connection requests are refused: no ConnectionRequestPassword is set")
			})
			return digest.Missing
		}
		if username == "" {
			return digest.Accepted
		}
	}
	return c.auth.Check(r.authorization, digest.Request{Method: r.method, Target: r.target}, username, password)
}

// write sends an answer without a body and reports whether that worked.
func (c *client) write(status int, fields string, challenges []string, last bool) bool {
	var b strings.Builder
	fmt.Fprintf(&b, "HTTP/1.1 %d %s\r\n%sContent-Length: 0\r\n", status, http.StatusText(status), fields)
	for _, v := range challenges {
		b.WriteString("WWW-Authenticate: " + v + "\r\n")
	}
	if last {
		b.WriteString("Connection: close\r\n")
	}
	b.WriteString("\r\n")
	_ = c.SetWriteDeadline(time.Now().Add(writeTime))
	_, err := io.WriteString(c, b.String())
	return err == nil
}

// drain ends a connection on which the client may still be sending: closed at
// once, the unread bytes would make the kernel reset it and the answer be lost.
func (c *client) drain() {
	if half, ok := c.Conn.(interface{ CloseWrite() error }); ok && half.CloseWrite() == nil {
		_ = c.SetReadDeadline(time.Now().Add(drainTime))
		_, _ = io.CopyN(io.Discard, c.Conn, maxDrain)
	}
}

// source is the address of the client.
func (c *client) source() string { return c.RemoteAddr().String() }

// samePath compares the path of a request target with ours in a time that does
// not tell how much of it was right. A target may come with scheme and host.
func samePath(target, path string) bool {
	if _, rest, absolute := strings.Cut(target, "://"); absolute && !strings.HasPrefix(target, "/") {
		_, after, _ := strings.Cut(rest, "/")
		target = "/" + after
	}
	target, _, _ = strings.Cut(target, "?")
	return path != "" && subtle.ConstantTimeCompare([]byte(target), []byte(path)) == 1
}

// wait waits, or until ctx ends.
func wait(ctx context.Context, d time.Duration) {
	if d <= 0 {
		return
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}

func orElse(s, other string) string {
	if s == "" {
		return other
	}
	return s
}
