// Package endpoint finds and reaches the servers that the agent talks to: it
// resolves names, keeps to time to live, spreads over several addresses,
// avoids those that failed, binds to an interface and goes through a proxy.
// Everything that dials uses it.
//
// Its resolver is a stub of its own because the agent must tell "there is no
// such name" from "nobody answered": the first moves on to the next way of
// finding a server, the second is tried again.
package endpoint

import (
	"errors"
	"net/netip"
	"strings"
	"time"
)

// Errors to match with errors.Is.
var (
	// ErrNoSuchName says that DNS has answered, and that there is no such name
	// or that it has no records of the type asked for.
	ErrNoSuchName = errors.New("no such name")
	// ErrNoService says that DNS has answered that the service is decidedly
	// not available at this domain (SRV target ".", RFC 2782): there is
	// nothing to fall back to.
	ErrNoService = errors.New("service decidedly not available")
	// ErrBadName says that a name cannot stand in DNS at all.
	ErrBadName = errors.New("not a valid DNS name")
)

// Addrs are the addresses of a name.
type Addrs struct {
	Addrs   []netip.Addr
	TTL     time.Duration // what is left of it; 0 for what does not come from DNS
	Expires time.Time     // when to ask again; zero: never (literals, /etc/hosts)
}

// An SRV is one place where a service is offered (RFC 2782).
type SRV struct {
	Target           string // without its trailing dot
	Port             uint16
	Priority, Weight uint16
}

// A ServerError says why one name server gave no usable answer.
type ServerError struct {
	Server string // address and port
	Err    error  // a timeout, a refused connection, an rcode…
}

func (e *ServerError) Error() string { return e.Server + ": " + plainError(e.Err).Error() }

// Unwrap returns the cause.
func (e *ServerError) Unwrap() error { return e.Err }

// A NoAnswerError says that nothing is known about a name because no server
// gave a usable answer.
type NoAnswerError struct {
	Name    string
	Servers []*ServerError // the last failure of each server
}

func (e *NoAnswerError) Error() string {
	why := make([]string, len(e.Servers))
	for i, s := range e.Servers {
		why[i] = s.Error()
	}
	return "no answer from DNS for " + e.Name + ": " + strings.Join(why, "; ")
}

// Unwrap returns the causes.
func (e *NoAnswerError) Unwrap() []error {
	out := make([]error, len(e.Servers))
	for i, s := range e.Servers {
		out[i] = s
	}
	return out
}
