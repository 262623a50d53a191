package cwmp

// This file codes what we send and decodes what we get, within bounds, and
// watches that the other side keeps moving.

import (
	"bytes"
	"compress/flate"
	"compress/gzip"
	"compress/zlib"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"
)

// A codedBody is what goes over the wire: the envelope itself, or compressed.
type codedBody struct {
	coding string // "", "gzip", "deflate"
	size   int64
	open   func() io.Reader // nil: nothing at all
}

// writeTo is the entity body as auth-int of Digest hashes it.
func (b codedBody) writeTo(w io.Writer) error {
	if b.open == nil {
		return nil
	}
	_, err := io.Copy(w, b.open())
	return err
}

// encodeBody applies the content coding that is configured (TR-069 3.4.7). The
// compressed form is kept: it is small, and it may have to go out again.
func (c *Client) encodeBody(body *Body) (codedBody, error) {
	if body == nil {
		return codedBody{}, nil
	}
	coding := strings.ToLower(c.Compression)
	if c.plain || coding != "gzip" && coding != "deflate" {
		return codedBody{size: body.Size(), open: body.Open}, nil
	}
	var out bytes.Buffer
	var w io.WriteCloser = zlib.NewWriter(&out) // HTTP's deflate is zlib (RFC 9110 8.4.1.2)
	if coding == "gzip" {
		w = gzip.NewWriter(&out)
	}
	if _, err := io.Copy(w, body.Open()); err != nil {
		return codedBody{}, err
	}
	if err := w.Close(); err != nil {
		return codedBody{}, err
	}
	return codedBody{
		coding: coding, size: int64(out.Len()),
		open: func() io.Reader { return bytes.NewReader(out.Bytes()) },
	}, nil
}

// readBody reads a response to its end, so that the connection can be used
// again, and decodes it. Both forms are bounded.
func (c *Client) readBody(resp *http.Response, w *watchdog) ([]byte, error) {
	// Bodies of redirects and refusals are read for the connection's sake only.
	good := resp.StatusCode >= 200 && resp.StatusCode <= 299
	w.reading()
	raw, err := readAll(w.reader(resp.Body), c.MaxReply)
	if !good {
		return raw, nil
	}
	if err != nil {
		return nil, fmt.Errorf("the reply broke off: %w", err)
	}
	return decodeBody(resp.Header.Get("Content-Encoding"), raw, c.MaxReply)
}

// readAll reads at most limit bytes.
func readAll(r io.Reader, limit int) ([]byte, error) {
	b, err := io.ReadAll(io.LimitReader(r, int64(limit)+1))
	if len(b) > limit {
		return b[:limit], fmt.Errorf("%w: more than %d bytes", ErrTooLong, limit)
	}
	return b, err
}

// decodeBody undoes the codings of Content-Encoding, the last one first.
func decodeBody(codings string, b []byte, limit int) ([]byte, error) {
	list := strings.Split(codings, ",")
	if len(list) > 2 {
		return nil, fmt.Errorf("the reply has %d content codings", len(list))
	}
	for i := len(list) - 1; i >= 0 && len(b) > 0; i-- {
		var r io.Reader
		var err error
		switch coding := strings.ToLower(strings.TrimSpace(list[i])); coding {
		case "", "identity":
			continue
		case "gzip", "x-gzip":
			r, err = gzip.NewReader(bytes.NewReader(b))
		case "deflate":
			r, err = zlib.NewReader(bytes.NewReader(b))
			if errors.Is(err, zlib.ErrHeader) { // raw, as some servers misread the RFC
				r, err = flate.NewReader(bytes.NewReader(b)), nil
			}
		default:
			return nil, fmt.Errorf("the reply has the content coding %.40q, which we do not know", coding)
		}
		if err == nil {
			b, err = readAll(r, limit)
		}
		if err != nil {
			return nil, fmt.Errorf("content coding of the reply: %w", err)
		}
	}
	return b, nil
}

// A watchdog ends an exchange when nothing moves for a while: not our request,
// not the answer. It sleeps until the connection is there, and it does not let
// a reply trickle for longer than ten times its patience.
type watchdog struct {
	patience time.Duration
	cancel   context.CancelCauseFunc
	timer    *time.Timer
	last     *time.Timer
}

// A silentError is the cause of an exchange that the watchdog has ended.
type silentError struct{ after time.Duration }

func (e silentError) Error() string {
	return fmt.Sprintf("the ACS has not answered within %s", e.after)
}

// Timeout makes it a net.Error of its kind.
func (e silentError) Timeout() bool { return true }

// Is makes it a context.DeadlineExceeded.
func (e silentError) Is(target error) bool { return target == context.DeadlineExceeded }

func watch(ctx context.Context, patience time.Duration) (context.Context, *watchdog) {
	ctx, cancel := context.WithCancelCause(ctx)
	w := &watchdog{patience: patience, cancel: cancel}
	w.timer = time.AfterFunc(patience, func() { cancel(silentError{patience}) })
	w.timer.Stop()
	return ctx, w
}

// progress says that something moved.
func (w *watchdog) progress() { w.timer.Reset(w.patience) }

// reading says that the answer begins to arrive.
func (w *watchdog) reading() {
	w.last = time.AfterFunc(10*w.patience, func() { w.cancel(silentError{10 * w.patience}) })
}

func (w *watchdog) stop() {
	w.timer.Stop()
	if w.last != nil {
		w.last.Stop()
	}
	w.cancel(nil)
}

// cause prefers the watchdog's word, or the caller's, to what the network made
// of it.
func (w *watchdog) cause(ctx context.Context, err error) error {
	if cause := context.Cause(ctx); cause != nil {
		return cause
	}
	return err
}

// reader watches over a stream, ours or theirs.
func (w *watchdog) reader(r io.Reader) io.ReadCloser { return &watched{r: r, w: w} }

type watched struct {
	r io.Reader
	w *watchdog
}

func (r *watched) Read(p []byte) (int, error) {
	n, err := r.r.Read(p)
	r.w.progress()
	return n, err
}

// Close does nothing: the transport reads a request's body to its end or drops it.
func (r *watched) Close() error { return nil }
