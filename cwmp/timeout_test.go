package cwmp

// An ACS that hangs, hangs up or breaks, in each phase of a session; in
// virtual time, over pipes.

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

// A piped ACS takes connections from a client's Dial and does with each
// request what its script says; "hang" and the like are for the last one.
type piped struct {
	steps []func(conn net.Conn, id string) bool // false: leave the connection
	dials int
	ended chan struct{}
	conns []net.Conn
}

func (p *piped) dial(context.Context, string, string) (net.Conn, error) {
	p.dials++
	ours, theirs := net.Pipe()
	p.conns = append(p.conns, theirs)
	go p.serve(theirs)
	return ours, nil
}

func (p *piped) serve(conn net.Conn) {
	defer func() { p.ended <- struct{}{} }()
	r := bufio.NewReader(conn)
	for len(p.steps) > 0 {
		req, err := http.ReadRequest(r)
		if err != nil {
			return
		}
		body, err := io.ReadAll(req.Body)
		if err != nil {
			return
		}
		next := p.steps[0]
		p.steps = p.steps[1:]
		if !next(conn, post{body: string(body)}.id()) {
			return
		}
	}
}

func (p *piped) stop() {
	for _, c := range p.conns {
		c.Close()
	}
	for range p.dials {
		<-p.ended
	}
}

func send(s string) func(net.Conn, string) bool {
	return func(c net.Conn, id string) bool {
		s := strings.ReplaceAll(s, "%ID%", id)
		fmt.Fprintf(c, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", len(s), s)
		return true
	}
}

func rawly(parts ...string) func(net.Conn, string) bool {
	return func(c net.Conn, _ string) bool {
		for _, s := range parts {
			io.WriteString(c, s)
		}
		return false // and stay silent
	}
}

// phase is a way to fail, in every phase of a session.
var failures = map[string]struct {
	step  func(net.Conn, string) bool
	after time.Duration
	check func(error) bool
}{
	"hangs":           {rawly(), 30 * time.Second, isTimeout},
	"hangs_in_header": {rawly("HTTP/1.1 200 OK\r\nContent-"), 30 * time.Second, isTimeout},
	"hangs_in_body":   {rawly("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n", "<a"), 30 * time.Second, isTimeout},
	"trickles": {func(c net.Conn, _ string) bool {
		io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
		for {
			if _, err := io.WriteString(c, " "); err != nil {
				return false
			}
			time.Sleep(29 * time.Second)
		}
	}, 300 * time.Second, isTimeout},
	"cuts_its_answer": {func(c net.Conn, _ string) bool {
		io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n<a")
		c.Close()
		return false
	}, 0, func(err error) bool { return errors.Is(err, io.ErrUnexpectedEOF) }},
	"answers_500": {rawly("HTTP/1.1 500 Oops\r\nContent-Length: 0\r\n\r\n"), 0, func(err error) bool {
		var he *HTTPError
		return errors.As(err, &he) && he.Status == 500
	}},
}

func isTimeout(err error) bool {
	var ne interface{ Timeout() bool }
	return errors.Is(err, context.DeadlineExceeded) && errors.As(err, &ne) && ne.Timeout() && strings.Contains(err.Error(), "has not answered within")
}

func TestFailuresInEachPhase(t *testing.T) {
	good := []struct {
		phase string
		step  func(net.Conn, string) bool
	}{
		{"inform", send(mine(rInformed))},
		{"call", send(mine("<c:TransferCompleteResponse/>"))},
		{"empty_post", send(theirs(rReboot))},
		{"response", send("")},
	}
	for name, f := range failures {
		for n := range good {
			t.Run(name+"/"+good[n].phase, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					p := &piped{ended: make(chan struct{}, 9)}
					for i := range n {
						p.steps = append(p.steps, good[i].step)
					}
					p.steps = append(p.steps, f.step)
					s, c, _ := testSession("http://acs.test/")
					c.Dial = p.dial
					once := true
					s.Calls = func() (Call, bool) {
						defer func() { once = false }()
						return TransferComplete{}, once
					}
					answered := 0
					s.Answered = func(Call, Answer, error) { answered++ }
					start := time.Now()
					report, err := s.Run(t.Context())
					if !f.check(err) {
						t.Errorf("error %v", err)
					}
					if took := time.Since(start); took != f.after {
						t.Errorf("took %s, want %s", took, f.after)
					}
					if report.Informed != (n > 0) || report.Calls != answered || (answered == 1) != (n > 1) {
						t.Errorf("report %+v, %d answers", report, answered)
					}
					p.stop()
				})
			})
		}
	}
}

// TestHangsUp: the ACS closes the connection instead of answering. Over a
// fresh connection that is the end; over a kept-alive one the POST goes again.
func TestHangsUpInEachPhase(t *testing.T) {
	hangUp := func(c net.Conn, _ string) bool { c.Close(); return false }
	run := func(t *testing.T, steps ...func(net.Conn, string) bool) (*piped, error) {
		p := &piped{ended: make(chan struct{}, 9), steps: steps}
		s, c, _ := testSession("http://acs.test/")
		c.Dial = p.dial
		_, err := s.Run(t.Context())
		p.stop()
		return p, err
	}
	synctest.Test(t, func(t *testing.T) {
		if p, err := run(t, hangUp); err == nil || p.dials != 1 {
			t.Errorf("at the Inform: %v after %d connections", err, p.dials)
		}
		if p, err := run(t, send(mine(rInformed)), hangUp, send("")); err != nil || p.dials != 2 {
			t.Errorf("at the empty POST: %v after %d connections", err, p.dials)
		}
		if p, err := run(t, send(mine(rInformed)), hangUp, hangUp); err == nil || p.dials != 2 {
			t.Errorf("again and again: %v after %d connections", err, p.dials)
		}
	})
}

// resetting is a connection that breaks some way into a later POST.
type resetting struct {
	net.Conn
	room int
}

func (r *resetting) Write(p []byte) (int, error) {
	if r.room -= len(p); r.room < 0 {
		r.Close()
		return 0, syscall.ECONNRESET
	}
	return r.Conn.Write(p)
}

// TestResetWhileSending: a kept-alive connection that takes part of a POST
// before it breaks is dead too; the POST goes again, whole.
func TestResetWhileSending(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		got := ""
		p := &piped{ended: make(chan struct{}, 9), steps: []func(net.Conn, string) bool{
			send(mine(rInformed)), func(c net.Conn, id string) bool { got = id; return send("")(c, id) }}}
		c := newClient("http://acs.test/")
		body := testBody(t)
		c.Dial = func(ctx context.Context, network, addr string) (net.Conn, error) {
			conn, err := p.dial(ctx, network, addr)
			room := int(body.Size()) * 2
			if p.dials == 1 {
				room = int(body.Size()) + 1500 // the second POST breaks
			}
			return &resetting{conn, room}, err
		}
		for range 2 {
			if _, err := c.Exchange(t.Context(), body); err != nil {
				t.Fatal(err)
			}
		}
		if p.dials != 2 || got != "1" {
			t.Errorf("%d connections, ID %q", p.dials, got)
		}
		c.Close()
		p.stop()
	})
}

// TestUnreadRequest: an ACS that stops reading what we send.
func TestUnreadRequest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ours, theirs := net.Pipe()
		c := newClient("http://acs.test/")
		c.Dial = func(context.Context, string, string) (net.Conn, error) { return ours, nil }
		go io.CopyN(io.Discard, theirs, 700)
		start := time.Now()
		_, err := c.Exchange(t.Context(), testBody(t))
		if took := time.Since(start); !isTimeout(err) || took != 30*time.Second {
			t.Errorf("%v after %s", err, took)
		}
		theirs.Close()
	})
}

// TestSilentHandshake: a server that takes the connection and says nothing.
func TestSilentHandshake(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ours, theirs := net.Pipe()
		c := newClient("https://acs.test/")
		c.Timeout = 10 * time.Second
		c.Dial = func(context.Context, string, string) (net.Conn, error) { return ours, nil }
		go io.Copy(io.Discard, theirs)
		start := time.Now()
		_, err := c.Exchange(t.Context(), nil)
		if took := time.Since(start); err == nil || took != 10*time.Second {
			t.Errorf("%v after %s", err, took)
		}
		theirs.Close()
	})
}

// TestSlowHandler: while we work for the ACS the connection stays.
func TestSlowHandler(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &piped{ended: make(chan struct{}, 9), steps: []func(net.Conn, string) bool{send(mine(rInformed)), send(theirs(rReboot)), send("")}}
		s, c, _ := testSession("http://acs.test/")
		c.Dial = p.dial
		s.Handler = HandlerFunc(func(context.Context, Request) (Response, error) {
			time.Sleep(time.Hour)
			return RebootResponse{}, nil
		})
		report, err := s.Run(t.Context())
		if err != nil || p.dials != 1 || report.Duration != time.Hour {
			t.Errorf("%v, %d connections, %+v", err, p.dials, report)
		}
		p.stop()
	})
}

// TestCancelWhileWaiting: the caller's reason comes back at once.
func TestCancelWhileWaiting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &piped{ended: make(chan struct{}, 9), steps: []func(net.Conn, string) bool{rawly()}}
		s, c, _ := testSession("http://acs.test/")
		c.Dial = p.dial
		ctx, cancel := context.WithCancelCause(t.Context())
		stop := errors.New("shutting down")
		time.AfterFunc(time.Second, func() { cancel(stop) })
		start := time.Now()
		if _, err := s.Run(ctx); !errors.Is(err, stop) || time.Since(start) != time.Second {
			t.Errorf("%v after %s", err, time.Since(start))
		}
		p.stop()
	})
}
