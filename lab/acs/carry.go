package acs

import (
	"bytes"
	"compress/flate"
	"compress/gzip"
	"compress/zlib"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"time"
)

// Wire is how our answers travel. The zero value is one write with a
// Content-Length on a connection that stays.
type Wire struct {
	Chunked   int           // in chunks of so many bytes instead of a Content-Length
	Coding    string        // gzip, deflate or raw-deflate, whether the CPE has asked for it or not
	Trickle   time.Duration // this long before each byte
	HalfClose bool          // after each answer our direction is shut down, theirs stays open
	Close     Cut           // CutAfter or CutPolitely after each answer
	Empty     int           // status of an answer without an envelope: 200, 202; 204 when 0
	Blank     string        // its body, such as white space
}

// code applies the content coding to a body and names it in the header.
func (w Wire) code(h http.Header, body string) string {
	if w.Coding == "" || body == "" {
		return body
	}
	var b bytes.Buffer
	var z io.WriteCloser
	switch name := w.Coding; name {
	case "gzip":
		z = gzip.NewWriter(&b)
		h.Set("Content-Encoding", "gzip")
	case "deflate":
		z = zlib.NewWriter(&b)
		h.Set("Content-Encoding", "deflate")
	default: // raw-deflate: what servers send that misread RFC 9110 8.4.1.2
		z, _ = flate.NewWriter(&b, flate.DefaultCompression) // a constant level: no error
		h.Set("Content-Encoding", "deflate")
	}
	io.WriteString(z, body) // a bytes.Buffer never fails
	z.Close()
	return b.String()
}

// carry writes an answer whose header is complete but for its length.
func (p *post) carry(w Wire, status int, body string) {
	h := p.w.Header()
	body = w.code(h, body)
	if status != http.StatusNoContent && w.Chunked == 0 {
		h.Set("Content-Length", strconv.Itoa(len(body)))
	}
	switch {
	case p.cut == CutAfter || w.HalfClose:
		p.byHand(status, body, w.HalfClose)
		return
	case w.Trickle > 0:
		p.pieces(status, body, 1, w.Trickle)
		return
	case w.Chunked > 0:
		p.pieces(status, body, w.Chunked, 0)
		return
	}
	p.w.WriteHeader(status)
	io.WriteString(p.w, body)
	http.NewResponseController(p.w).Flush() // on the wire before anybody is told that the session ended
}

// pieces writes the body bit by bit; without a Content-Length each bit is a
// chunk (net/http sees to that).
func (p *post) pieces(status int, body string, size int, pause time.Duration) {
	out := http.NewResponseController(p.w)
	p.w.WriteHeader(status)
	out.Flush()
	for len(body) > 0 {
		if pause > 0 && !p.sleep(pause) {
			return
		}
		n := min(size, len(body))
		if _, err := io.WriteString(p.w, body[:n]); err != nil {
			return
		}
		out.Flush()
		body = body[n:]
	}
}

// byHand writes the answer past net/http and closes the connection without
// having announced it: whole, or our direction of it.
func (p *post) byHand(status int, body string, half bool) {
	p.sock.release()
	h := p.w.Header()
	conn, buf, err := http.NewResponseController(p.w).Hijack()
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	h.Del("Transfer-Encoding")
	if status != http.StatusNoContent {
		h.Set("Content-Length", strconv.Itoa(len(body)))
	}
	fmt.Fprintf(buf, "HTTP/1.1 %d %s\r\n", status, http.StatusText(status))
	h.Write(buf)
	buf.WriteString("\r\n" + body)
	buf.Flush()
	if !half || !closeWrite(conn) {
		conn.Close()
		return
	}
	// Whatever else comes this way gets no answer. The CPE, or Close, ends it.
	p.s.busy.Go(func() {
		defer conn.Close()
		stop := make(chan struct{})
		go func() {
			defer close(stop)
			io.Copy(io.Discard, conn)
		}()
		select {
		case <-stop:
		case <-p.s.closing.Done():
			conn.Close()
			<-stop
		}
	})
}

// closeWrite shuts our direction of a connection down, where it can.
func closeWrite(c net.Conn) bool {
	if k, ok := c.(*socket); ok {
		c = k.Conn
	}
	half, ok := c.(interface{ CloseWrite() error })
	return ok && half.CloseWrite() == nil
}
