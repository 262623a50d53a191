package pipe

import (
	"io"
	"net"
	"os"
	"sync"
	"syscall"
	"time"
)

// window is how many bytes one direction holds before a writer waits, as a
// TCP window would.
const window = 64 << 10

// conn is one end of a connection: it reads from in and writes to out, the
// peer the other way round.
type conn struct {
	in, out       *stream
	local, remote net.Addr
}

// newPair connects two ends.
func newPair(client, server net.Addr) (a, b *conn) {
	up, down := newStream(), newStream()
	return &conn{in: down, out: up, local: client, remote: server},
		&conn{in: up, out: down, local: server, remote: client}
}

func (c *conn) Read(p []byte) (int, error) {
	n, err := c.in.read(p)
	return n, c.wrap("read", err)
}

func (c *conn) Write(p []byte) (int, error) {
	n, err := c.out.write(p)
	return n, c.wrap("write", err)
}

// Close ends both directions: the peer reads what was written and then EOF,
// and its writes fail.
func (c *conn) Close() error {
	c.out.closeWrite()
	c.in.closeRead()
	return nil
}

// CloseWrite ends our direction only, as shutdown(SHUT_WR) does.
func (c *conn) CloseWrite() error {
	c.out.closeWrite()
	return nil
}

func (c *conn) LocalAddr() net.Addr  { return c.local }
func (c *conn) RemoteAddr() net.Addr { return c.remote }

func (c *conn) SetDeadline(t time.Time) error {
	c.in.readBy.set(c.in, t)
	c.out.writeBy.set(c.out, t)
	return nil
}

func (c *conn) SetReadDeadline(t time.Time) error {
	c.in.readBy.set(c.in, t)
	return nil
}

func (c *conn) SetWriteDeadline(t time.Time) error {
	c.out.writeBy.set(c.out, t)
	return nil
}

// wrap gives errors the shape that the net package gives them, except io.EOF.
func (c *conn) wrap(op string, err error) error {
	if err == nil || err == io.EOF {
		return err
	}
	return &net.OpError{Op: op, Net: "tcp", Source: c.local, Addr: c.remote, Err: err}
}

// stream is one direction: bytes on their way. The condition variable counts
// as blocked for testing/synctest, so virtual time advances while ends wait.
type stream struct {
	mu      sync.Mutex
	moved   *sync.Cond
	buf     []byte
	ended   bool // the writer closed: EOF after buf
	gone    bool // the reader closed: writes fail
	readBy  deadline
	writeBy deadline
}

// deadline is the time limit of one side of a stream.
type deadline struct {
	timer  *time.Timer
	passed bool
}

func newStream() *stream {
	s := &stream{}
	s.moved = sync.NewCond(&s.mu)
	return s
}

// set arms the deadline; a zero t takes it away.
func (d *deadline) set(s *stream, t time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if d.timer != nil {
		d.timer.Stop()
		d.timer = nil
	}
	d.passed = false
	if t.IsZero() {
		return
	}
	wait := time.Until(t)
	if wait <= 0 {
		d.passed = true
		s.moved.Broadcast()
		return
	}
	var mine *time.Timer
	mine = time.AfterFunc(wait, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		if d.timer == mine {
			d.passed = true
			s.moved.Broadcast()
		}
	})
	d.timer = mine
}

// stop forgets the timer, so that a closed connection leaves nothing running.
func (d *deadline) stop() {
	if d.timer != nil {
		d.timer.Stop()
		d.timer = nil
	}
}

func (s *stream) read(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for {
		switch {
		case s.gone:
			return 0, net.ErrClosed
		case s.readBy.passed:
			return 0, os.ErrDeadlineExceeded
		case len(p) == 0:
			return 0, nil
		case len(s.buf) > 0:
			n := copy(p, s.buf)
			if s.buf = s.buf[n:]; len(s.buf) == 0 {
				s.buf = nil
			}
			s.moved.Broadcast()
			return n, nil
		case s.ended:
			return 0, io.EOF
		}
		s.moved.Wait()
	}
}

func (s *stream) write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	done := 0
	for {
		switch {
		case s.ended:
			return done, net.ErrClosed
		case s.gone:
			return done, syscall.EPIPE
		case s.writeBy.passed:
			return done, os.ErrDeadlineExceeded
		}
		room := min(window-len(s.buf), len(p)-done)
		s.buf = append(s.buf, p[done:done+room]...)
		done += room
		if room > 0 {
			s.moved.Broadcast()
		}
		if done == len(p) {
			return done, nil
		}
		if room == 0 {
			s.moved.Wait()
		}
	}
}

func (s *stream) closeWrite() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ended = true
	s.writeBy.stop()
	s.moved.Broadcast()
}

func (s *stream) closeRead() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.gone = true
	s.buf = nil
	s.readBy.stop()
	s.moved.Broadcast()
}
