// Packets that find out about the way to somebody.

package platform

import (
	"context"
	"errors"
	"net/netip"
	"time"
)

// ErrNoRoute says that the system knows no way to a host.
var ErrNoRoute = errors.New("no route to host")

// A Prober sends ICMP echo requests, one at a time.
type Prober interface {
	// Probe sends one and waits for what comes back. An error means that it
	// could not be sent; silence is a Reply of kind NoReply.
	Probe(ctx context.Context, p Probe) (Reply, error)
}

// A Probe is one echo request.
type Probe struct {
	To      netip.Addr
	Link    string // to send it by; "": as the routes say
	Size    int    // octets of data
	DSCP    uint8
	TTL     uint8         // hops it may make; 0: as the system has it
	Timeout time.Duration // to wait for what comes back
}

// ReplyKind is what came back.
type ReplyKind uint8

// Kinds of replies.
const (
	NoReply     ReplyKind = iota
	Echoed                // the host answered
	Expired               // a router on the way did: too many hops
	Unreachable           // a router on the way did: it knows no way
)

// A Reply is what came back. Type and Code are those of the ICMP message.
type Reply struct {
	Kind       ReplyKind
	From       netip.Addr
	RTT        time.Duration
	Type, Code uint8
}
