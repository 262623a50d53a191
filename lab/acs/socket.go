package acs

import (
	"bytes"
	"context"
	"crypto/tls"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"sync"
	"time"
)

// sockets gives each accepted connection an identity, and TLS when wanted.
type sockets struct {
	net.Listener
	s *Server
}

func (l *sockets) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return l.s.newSocket(c), nil
}

// socket is one TCP connection of a CPE: what nonces and sessions are bound to,
// and who closed it.
type socket struct {
	net.Conn
	s      *Server
	number uint64
	tls    *tls.Conn // nil without TLS

	mu         sync.Mutex
	waiting    bool // a request has been read whole and has no answer yet
	early      bool // bytes arrived while waiting: pipelining
	stale      bool // nothing has arrived since the latest answer
	leftByPeer bool
	closed     bool // by us
	released   bool // we said `Connection: close`, or cut it

	// The following are used by the requests of this connection only, which
	// follow each other.
	before     []Exchange // until the session that they belong to begins
	challenged bool       // a 401 was sent here
	again      []byte     // the body that the 401 answered: it must come again
	cookie     string     // the session cookie that the 401 set already
}

func (s *Server) newSocket(c net.Conn) *socket {
	s.mu.Lock()
	s.lastSocket++
	k := &socket{Conn: c, s: s, number: s.lastSocket}
	s.mu.Unlock()
	if s.o.TLS != nil {
		k.tls = tls.Server(c, s.o.TLS)
		k.Conn = k.tls
	}
	return k
}

func (k *socket) Read(p []byte) (int, error) {
	n, err := k.Conn.Read(p)
	k.mu.Lock()
	if n > 0 {
		k.early = k.early || k.waiting
		k.stale = false
	}
	left := err == io.EOF && !k.closed && !k.leftByPeer
	if left {
		k.leftByPeer = true
	}
	k.mu.Unlock()
	if left {
		k.s.left(k)
	}
	return n, err
}

func (k *socket) Close() error {
	k.mu.Lock()
	k.closed = !k.leftByPeer // closing after the CPE did is no doing of ours
	k.mu.Unlock()
	return k.Conn.Close()
}

// asked marks that a whole request has arrived. It tells whether that was sent
// before the answer to the one before: its bytes came together with that one's,
// or while we were busy.
func (k *socket) asked() (pipelined bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	pipelined = k.early || k.stale
	k.early, k.waiting = false, true
	return pipelined
}

// answered marks that an answer is about to go out.
func (k *socket) answered() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.waiting = false
	k.stale = k.Conn != nil
}

// release tells that the CPE may close the connection or find it closed.
func (k *socket) release() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.released = true
}

// state tells whether the connection is gone, and whether that was the CPE's
// own doing.
func (k *socket) state() (gone, itsFault bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.leftByPeer || k.closed || k.released, k.leftByPeer && !k.released
}

type socketKey struct{}

func withSocket(ctx context.Context, c net.Conn) context.Context {
	if k, ok := c.(*socket); ok {
		return context.WithValue(ctx, socketKey{}, k)
	}
	return ctx
}

// socketOf is the socket of a request. A Server that is used as a mere
// http.Handler knows its sockets by the peer's address only.
func (s *Server) socketOf(r *http.Request) *socket {
	if k, ok := r.Context().Value(socketKey{}).(*socket); ok {
		return k
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	k := s.strangers[r.RemoteAddr]
	if k == nil {
		if len(s.strangers) > 10000 {
			clear(s.strangers) // a bound
		}
		s.lastSocket++
		k = &socket{s: s, number: s.lastSocket}
		s.strangers[r.RemoteAddr] = k
	}
	return k
}

// left is called when a CPE has closed a connection. The session there is lost
// unless the CPE comes back within the grace.
func (s *Server) left(k *socket) {
	s.mu.Lock()
	r := s.bySocket[k.number]
	s.mu.Unlock()
	if r == nil {
		return
	}
	time.AfterFunc(s.o.Grace, func() {
		s.mu.Lock()
		still := s.bySocket[k.number] == r
		s.mu.Unlock()
		if still {
			r.finish(ErrLeft)
		}
	})
}

// quiet drops net/http's remarks about cut connections, which the bench causes
// on purpose. A panic of ours is printed all the same.
func quiet() *log.Logger { return log.New(panicsOnly{}, "", log.LstdFlags) }

type panicsOnly struct{}

func (panicsOnly) Write(p []byte) (int, error) {
	if bytes.Contains(p, []byte("panic serving")) {
		return os.Stderr.Write(p)
	}
	return len(p), nil
}
