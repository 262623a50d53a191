package xmpp

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"strings"
	"time"
)

// writeTime is how long a stanza may take to leave us. Nothing wakes a write, so
// it also bounds how long an end of the agent may take.
const writeTime = 10 * time.Second

// A link is one connection to a server and the stream on it. One goroutine
// owns it; a bell may end its reads.
type link struct {
	conn    net.Conn
	in      *reader
	stream  *stream
	bell    *bell
	count   func(edit func(*Stats))
	secured *tls.Conn           // nil: in clear
	unset   []*x509.Certificate // verified without a clock

	// until is when a read is to end and late what is done then; late returns
	// nil to go on reading. Both are the phase's: negotiation or bound.
	until func() time.Time
	late  func(now time.Time) error
	wrote func(now time.Time) // may be nil
}

func newLink(conn net.Conn, b *bell, count func(func(*Stats))) *link {
	l := &link{conn: conn, bell: b, count: count}
	l.in = &reader{fill: l.fill}
	return l
}

// fill reads, and lets the phase do what is due whenever there is nothing to
// read until its deadline, or somebody rings the bell.
func (l *link) fill(p []byte) (int, error) {
	for {
		if err := l.bell.reading(l.conn, l.until()); err != nil {
			return 0, err
		}
		n, err := l.conn.Read(p)
		if n > 0 {
			return n, nil
		}
		var late net.Error
		if !errors.As(err, &late) || !late.Timeout() {
			return 0, err
		}
		if err := l.late(time.Now()); err != nil {
			return 0, err
		}
	}
}

// write sends s whole in one write: there are peers that take what one read
// gives them for a document.
func (l *link) write(s string) error {
	now := time.Now()
	if err := l.conn.SetWriteDeadline(now.Add(writeTime)); err != nil {
		return err
	}
	if _, err := l.conn.Write([]byte(s)); err != nil {
		return fmt.Errorf("sending: %w", err)
	}
	if l.wrote != nil {
		l.wrote(now)
	}
	return nil
}

// send writes a stanza and counts it.
func (l *link) send(s string, failure bool) error {
	l.count(func(c *Stats) {
		c.Transmitted++
		if failure {
			c.TransmittedErrors++
		}
	})
	return l.write(s)
}

// next reads a child of the stream. A stream error is returned as one.
func (l *link) next() (*element, error) {
	e, err := l.stream.next()
	if err != nil {
		return nil, err
	}
	if e.is(nsStream, "error") {
		return nil, streamError(e)
	}
	if e.Space == nsClient {
		l.count(func(c *Stats) {
			c.Received++
			if e.attr("type") == "error" {
				c.ReceivedErrors++
			}
		})
	}
	return e, nil
}

// open opens a stream to the domain and returns the server's features
// (RFC 6120 4.2, 4.3). from is our address, for the time after TLS only.
func (l *link) open(domain, from string) (*element, error) {
	if from != "" {
		from = ` from="` + escape(from) + `"`
	}
	err := l.write(`<?xml version="1.0"?><stream:stream to="` + escape(domain) + `"` + from +
		` version="1.0" xml:lang="en" xmlns="` + nsClient + `" xmlns:stream="` + nsStream + `">`)
	if err != nil {
		return nil, err
	}
	l.stream = newStream(l.in)
	head, err := l.stream.header()
	if err != nil {
		return nil, err
	}
	switch {
	case !head.is(nsStream, "stream"):
		return nil, fmt.Errorf("no XMPP server: its document is a %.32q", head.Local)
	case head.attr("xmlns") != nsClient:
		return nil, fmt.Errorf("no server for clients: its namespace is %.64q", head.attr("xmlns"))
	}
	e, err := l.next() // an error comes before any complaint about the header
	switch {
	case err != nil:
		return nil, err
	case !strings.HasPrefix(head.attr("version"), "1."):
		return nil, fmt.Errorf("the server speaks version %.16q, not 1.0", head.attr("version"))
	case head.attr("id") == "":
		return nil, errors.New("the server's stream has no id")
	case !e.is(nsStream, "features"):
		return nil, fmt.Errorf("features expected, not %.32q", e.Local)
	}
	return e, nil
}

// secure puts TLS under what follows. Bytes that are here already would be
// taken for bytes that came through TLS: somebody has put them there.
func (l *link) secure(ctx context.Context, domain string, direct bool, trust Trust) error {
	if l.in.pending() {
		return errors.New("the server talks on in clear when TLS is to begin")
	}
	if err := l.conn.SetDeadline(time.Time{}); err != nil {
		return err
	}
	l.bell.gone() // ctx ends the handshake; a deadline of the bell must not
	conn, unset, err := secure(ctx, l.conn, domain, direct, trust)
	if err != nil {
		return fmt.Errorf("TLS: %w", err)
	}
	l.conn, l.secured, l.unset = conn, conn, unset
	return nil
}

// closing is how long the server may take to close its side.
const closing = 2 * time.Second

// close ends the stream with some last words, and lets the server have its own;
// without any there is nobody who would read them.
func (l *link) close(words string) {
	l.bell.gone()
	if words != "" {
		_ = l.conn.SetDeadline(time.Now().Add(closing)) // a dead line fails at the first write
		if _, err := l.conn.Write([]byte(words)); err == nil {
			drain(l.conn)
		}
	}
	_ = l.conn.Close() // nothing to be done about a failure
}

// drain reads to the end, but not without end.
func drain(c net.Conn) {
	var drop [512]byte
	for n := 0; n < maxStanza; {
		more, err := c.Read(drop[:])
		if n += more; err != nil {
			return
		}
	}
}

// A StreamError is what a server said when it closed the stream (RFC 6120 4.9).
type StreamError struct {
	Condition string // "conflict", "host-unknown", …
	Text      string
	Other     string // see-other-host: where
}

func (e *StreamError) Error() string {
	s := "the server has closed the stream: " + e.Condition
	if e.Other != "" {
		s += " " + e.Other
	}
	if e.Text != "" {
		s += " (" + e.Text + ")"
	}
	return s
}

func streamError(e *element) error {
	out := &StreamError{Condition: "undefined-condition"}
	for _, c := range e.children {
		if c.Space != nsStreams {
			continue
		}
		if c.Local == "text" {
			out.Text = short(c.text)
			continue
		}
		out.Condition = short(c.Local)
		if c.Local == "see-other-host" {
			out.Other = short(strings.TrimSpace(c.text))
		}
	}
	return out
}

// short bounds what a server says before it is shown or kept.
func short(s string) string {
	if len(s) <= 200 {
		return s
	}
	return strings.ToValidUTF8(s[:200], "")
}
