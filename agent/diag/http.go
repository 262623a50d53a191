package diag

// DownloadDiagnostics and UploadDiagnostics (TR-143): one transaction over a
// connection that counts.

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/netip"
	"net/url"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"gatehouse/datamodel/tr181"
	"gatehouse/platform"
)

// Patience of one transaction.
const (
	connectTime = 30 * time.Second
	answerTime  = 60 * time.Second // until an answer begins, and between two of its bytes
)

// A meter is what is measured of one transaction. Its callbacks come from
// goroutines of net/http.
type meter struct {
	k     *Keeper
	link  string
	conn  *counted // set before the request is written
	begin func()   // notes the first byte of the data, once

	mu     sync.Mutex
	result tr181.TestResult
	at     platform.LinkStats // when the data began
}

// edit notes something.
func (m *meter) edit(f func(r *tr181.TestResult)) {
	m.mu.Lock()
	defer m.mu.Unlock()
	f(&m.result)
}

// transfer fetches a file, or sends one.
func (k *Keeper) transfer(ctx context.Context, t tr181.Test, upload bool) (tr181.TestResult, error) {
	u, err := url.Parse(t.Target)
	if err != nil || u.Hostname() == "" {
		return tr181.TestResult{}, &Error{"Error_CannotResolveHostName", errors.New("no URL was given")}
	}
	to, err := k.find(ctx, u.Hostname(), t.Protocol)
	if err != nil {
		return tr181.TestResult{}, err
	}
	port := u.Port()
	if port == "" {
		port = "80"
	}
	m := &meter{k: k, link: t.Device, result: tr181.TestResult{Address: to.String()}}
	m.begin = sync.OnceFunc(func() {
		m.at = m.stats(ctx)
		m.edit(func(r *tr181.TestResult) { r.Begin = k.now() })
	})
	if err := m.connect(ctx, t, netip.AddrPortFrom(to, number(port))); err != nil {
		return m.result, err
	}
	defer m.conn.Close()
	err = m.exchange(ctx, t, u, upload)
	m.finish(ctx, upload)
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.result, err
}

func number(port string) uint16 {
	n, _ := strconv.ParseUint(port, 10, 16) // net/url has seen to it; 0 refuses the connection
	return uint16(n)
}

// now is the wall clock to the microsecond, in UTC.
func (k *Keeper) now() time.Time { return k.Now().UTC().Truncate(time.Microsecond) }

// connect opens the connection.
func (m *meter) connect(ctx context.Context, t tr181.Test, to netip.AddrPort) error {
	ctx, cancel := context.WithTimeout(ctx, connectTime)
	defer cancel()
	m.edit(func(r *tr181.TestResult) { r.Opened = m.k.now() })
	conn, err := m.k.Dial(ctx, m.link, "tcp", to.String())
	if err != nil {
		if stateOf(err) == "Error_NoRouteToHost" || noRoute(err) {
			return &Error{"Error_NoRouteToHost", err}
		}
		return &Error{"Error_InitConnectionFailed", err}
	}
	m.edit(func(r *tr181.TestResult) { r.Accepted = m.k.now() })
	if err := mark(conn, uint8(t.DSCP), uint8(t.Priority)); err != nil {
		_ = conn.Close() // nothing was said on it
		return &Error{"Error_Internal", err}
	}
	m.conn = &counted{Conn: conn, meter: m}
	return nil
}

// exchange does the transaction.
func (m *meter) exchange(ctx context.Context, t tr181.Test, u *url.URL, upload bool) error {
	transport := &http.Transport{
		DialContext:           func(context.Context, string, string) (net.Conn, error) { return m.conn, nil },
		ResponseHeaderTimeout: answerTime, DisableCompression: true, DisableKeepAlives: true,
		MaxResponseHeaderBytes: 64 << 10,
		TLSNextProto:           map[string]func(string, *tls.Conn) http.RoundTripper{}, // HTTP/1.1
	}
	defer transport.CloseIdleConnections()
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		GotConn: func(httptrace.GotConnInfo) { m.edit(func(r *tr181.TestResult) { r.Request = m.k.now() }) },
		GotFirstResponseByte: func() {
			if !upload {
				m.begin()
			}
		},
	})
	method, body := http.MethodGet, io.Reader(nil)
	if upload {
		method, body = http.MethodPut, &zeros{left: t.Length, begin: m.begin}
	}
	req, err := http.NewRequestWithContext(ctx, method, u.String(), body)
	if err != nil {
		return &Error{"Error_Internal", err}
	}
	if upload {
		req.ContentLength = int64(min(t.Length, 1<<62))
	}
	resp, err := transport.RoundTrip(req)
	if err != nil {
		return &Error{"Error_NoResponse", err}
	}
	defer resp.Body.Close()
	n, err := io.Copy(io.Discard, resp.Body)
	switch code := resp.StatusCode; {
	case code == http.StatusUnauthorized || code == http.StatusForbidden:
		return &Error{"Error_LoginFailed", errors.New(resp.Status)}
	case code/100 != 2 && upload:
		return &Error{"Error_NoTransferComplete", errors.New(resp.Status)}
	case code/100 != 2:
		return &Error{"Error_TransferFailed", errors.New(resp.Status)}
	case err != nil && silent(err):
		return &Error{"Error_Timeout", err}
	case err != nil && !upload:
		return &Error{"Error_TransferFailed", err}
	case !upload && resp.ContentLength >= 0 && n != resp.ContentLength:
		return &Error{State: "Error_IncorrectSize"}
	}
	return nil
}

func silent(err error) bool {
	var n net.Error
	return errors.As(err, &n) && n.Timeout()
}

// finish notes what was counted. What else passed the link between the first
// byte and the last counts in the totals.
func (m *meter) finish(ctx context.Context, upload bool) {
	now, end := m.k.now(), m.stats(ctx)
	m.edit(func(r *tr181.TestResult) {
		if r.Begin.IsZero() {
			return
		}
		r.End = now
		read, written := m.conn.read.Load(), m.conn.written.Load()
		r.TestBytes = read
		if upload {
			r.TestBytes = written
		}
		r.TotalReceived, r.TotalSent = max(read, end.BytesReceived-m.at.BytesReceived), max(written, end.BytesSent-m.at.BytesSent)
	})
}

// stats are the counters of the link: the one named, or the one upstream. They
// are zero where nobody knows.
func (m *meter) stats(ctx context.Context) (s platform.LinkStats) {
	if m.k.Links == nil {
		return s
	}
	for l, err := range m.k.Links.Links(ctx) {
		if err != nil {
			return platform.LinkStats{}
		}
		if l.Name == m.link || m.link == "" && l.Upstream {
			return l.Stats
		}
	}
	return s
}

// counted is a connection that counts, and whose peer may not fall silent.
type counted struct {
	net.Conn
	meter         *meter
	read, written atomic.Uint64
}

// Read implements net.Conn.
func (c *counted) Read(p []byte) (int, error) {
	if err := c.SetReadDeadline(time.Now().Add(answerTime)); err != nil {
		return 0, err
	}
	n, err := c.Conn.Read(p)
	c.read.Add(uint64(n))
	return n, err
}

// Write implements net.Conn. While we send, nobody has to answer.
func (c *counted) Write(p []byte) (int, error) {
	deadline := time.Now().Add(answerTime)
	if err := c.SetDeadline(deadline); err != nil {
		return 0, err
	}
	n, err := c.Conn.Write(p)
	c.written.Add(uint64(n))
	return n, err
}

// zeros is a file of that length.
type zeros struct {
	left  uint64
	begin func()
}

func (z *zeros) Read(p []byte) (int, error) {
	if z.left == 0 {
		return 0, io.EOF
	}
	z.begin()
	n := int(min(uint64(len(p)), z.left))
	clear(p[:n])
	z.left -= uint64(n)
	return n, nil
}
