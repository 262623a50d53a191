package app

import (
	"context"
	"errors"
	"net"
	"sync"

	"gatehouse/cwmp"
	"gatehouse/internal/endpoint"
)

// A line is the connections of one session. The first one is open before the
// session is made; of the addresses of an ACS it remembers which one failed.
type line struct {
	dialer *endpoint.Dialer
	dial   endpoint.DialFunc // keeps to one address of the ACS

	mu     sync.Mutex
	first  net.Conn // not taken yet
	addr   string   // that it leads to
	remote net.Addr // of the last connection
}

// open opens the first connection.
func (l *line) open(ctx context.Context, addr string) error {
	conn, err := l.dial(ctx, "tcp", addr)
	if err != nil {
		return err
	}
	l.first, l.addr, l.remote = conn, addr, conn.RemoteAddr()
	return nil
}

// next hands out the first connection, and later ones as they are asked for.
func (l *line) next(ctx context.Context, network, addr string) (net.Conn, error) {
	l.mu.Lock()
	conn := l.first
	if conn != nil && addr == l.addr {
		l.first = nil
		l.mu.Unlock()
		return conn, nil
	}
	l.mu.Unlock()
	conn, err := l.dial(ctx, network, addr)
	if err != nil {
		return nil, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.remote = conn.RemoteAddr()
	return conn, nil
}

// close closes the first connection if the session never came to take it.
func (l *line) close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.first != nil {
		l.first.Close()
		l.first = nil
	}
}

// judge notes how the session with the last address went, so that the next one
// tries another where there is one. An ACS that refuses us in so many words
// does so at all of its addresses.
func (l *line) judge(ctx context.Context, err error) {
	l.mu.Lock()
	remote := l.remote
	l.mu.Unlock()
	if l.dialer.Proxy != nil || ctx.Err() != nil {
		return // it was the proxy's address, or it was our decision
	}
	var (
		status   *cwmp.HTTPError
		redirect *cwmp.RedirectError
		fault    *cwmp.Fault
	)
	switch {
	case err == nil:
		l.dialer.Pool.Worked(remote.String())
	case errors.As(err, &status):
		if status.Status >= 500 {
			l.dialer.Pool.Block(remote.String(), status.RetryAfter)
		}
	case errors.As(err, &redirect), errors.As(err, &fault):
	default: // TLS, silence, a broken connection, nonsense
		l.dialer.Pool.Block(remote.String(), 0)
	}
}
