// What a person is told about Annex G, and the counters behind it.

package nat

import (
	"net/netip"
	"sync/atomic"
	"time"
)

// State is how the binding stands, in a word.
type State string

// States.
const (
	Off       State = "off"        // neither STUN nor UDP connection requests
	NoAddress State = "no address" // no local address, or no socket there
	Listening State = "listening"  // UDP connection requests only
	Resolving State = "resolving"  // the STUN server's name is being looked up
	Binding   State = "binding"    // asked, no answer yet
	Bound     State = "bound"      // the last question was answered
	Failing   State = "failing"    // the last question was not answered well
)

// Status tells how it stands. The zero value is a client that is off.
type Status struct {
	State  State
	Local  netip.AddrPort // where we listen; not valid: nowhere
	Server netip.AddrPort // STUN server in use
	Cookie bool           // it was last asked as RFC 5389 has it, not RFC 3489
	Mapped netip.AddrPort // our address as the server last saw it

	// The values of the two parameters. They outlive a server that falls
	// silent.
	NATDetected                 bool
	UDPConnectionRequestAddress string

	KeepAlive  time.Duration // between two questions
	Lifetime   time.Duration // of a mapping, as measured; 0: not known
	Measuring  bool          // the lifetime is being measured
	LastAnswer time.Time     // zero: never
	Err        string        // why the last question failed; "": it did not

	Requests Requests
}

// Requests counts the datagrams that came to be UDP connection requests.
type Requests struct {
	Accepted  uint64
	Copies    uint64 // of an accepted one: three are usual
	Stale     uint64 // well signed, and older than one we had
	Limited   uint64 // refused by the guard
	Forged    uint64 // another user name, or not signed with our password
	Malformed uint64 // neither STUN nor a connection request

	Last        time.Time // last accepted one; zero: never
	LastRefused time.Time
	Refused     string         // why that one was; "" without one
	LastFrom    netip.AddrPort // sender of the last accepted one
}

// counts are written by the owner and read by anybody.
type counts struct {
	accepted, copies, stale, limited, forged, malformed atomic.Uint64
	last, lastRefused                                   atomic.Int64 // Unix nanoseconds; 0: never
	lastFrom                                            atomic.Pointer[netip.AddrPort]
	refusedAs                                           atomic.Pointer[atomic.Uint64] // one of the counters
}

func (c *counts) snapshot() Requests {
	r := Requests{
		Accepted: c.accepted.Load(), Copies: c.copies.Load(), Stale: c.stale.Load(),
		Limited: c.limited.Load(), Forged: c.forged.Load(), Malformed: c.malformed.Load(),
		Last: instant(c.last.Load()), LastRefused: instant(c.lastRefused.Load()),
	}
	if from := c.lastFrom.Load(); from != nil {
		r.LastFrom = *from
	}
	switch c.refusedAs.Load() {
	case &c.stale:
		r.Refused = "older than one before"
	case &c.limited:
		r.Refused = "too many"
	case &c.forged:
		r.Refused = "wrong username or password"
	case &c.malformed:
		r.Refused = "not understood"
	}
	return r
}

func instant(ns int64) time.Time {
	if ns == 0 {
		return time.Time{}
	}
	return time.Unix(0, ns)
}

// refuse counts one that is not taken.
func (c *counts) refuse(n *atomic.Uint64, now time.Time) {
	n.Add(1)
	c.lastRefused.Store(now.UnixNano())
	c.refusedAs.Store(n)
}
