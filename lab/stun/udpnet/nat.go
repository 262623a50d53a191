// Network address translation, as RFC 4787 sorts it.

package udpnet

import (
	"net/netip"
	"time"
)

// Kind is how a NAT maps and filters.
type Kind int

const (
	// PortRestricted maps one inside port to one outside port; only who was
	// sent something may answer, from the very port.
	PortRestricted Kind = iota
	// FullCone maps so as well, and lets everybody in.
	FullCone
	// Symmetric maps one inside port to another outside port for each peer.
	Symmetric
)

// A NAT is the only way between the hosts of a prefix and everybody else.
type NAT struct {
	n       *Network
	inside  netip.Prefix
	public  netip.Addr
	kind    Kind
	timeout time.Duration
	ports   uint16
	byIn    map[key]*entry
	byOut   map[uint16]*entry
}

// key is what a mapping is found by on the way out; peer only when symmetric.
type key struct{ in, peer netip.AddrPort }

type entry struct {
	key   key
	port  uint16
	peers map[netip.AddrPort]time.Time // who was sent something, and when something last passed
	used  time.Time
}

// NAT puts the hosts of a prefix behind one public address. A mapping that
// nothing passes for longer than timeout is gone, and its successor has
// another port.
func (n *Network) NAT(inside netip.Prefix, public netip.Addr, kind Kind, timeout time.Duration) *NAT {
	n.mu.Lock()
	defer n.mu.Unlock()
	nat := &NAT{n: n, inside: inside, public: public, kind: kind, timeout: timeout, ports: 50000}
	nat.flush()
	n.nats = append(n.nats, nat)
	return nat
}

// Flush forgets all mappings, as a restart does.
func (t *NAT) Flush() {
	t.n.mu.Lock()
	defer t.n.mu.Unlock()
	t.flush()
}

func (t *NAT) flush() {
	t.byIn, t.byOut = map[key]*entry{}, map[uint16]*entry{}
}

// SetPublic gives it another public address and forgets all mappings.
func (t *NAT) SetPublic(addr netip.Addr) {
	t.n.mu.Lock()
	defer t.n.mu.Unlock()
	t.public = addr
	t.flush()
}

// outward returns the address outside, made new when there is none.
func (t *NAT) outward(from, to netip.AddrPort, now time.Time) netip.AddrPort {
	k := key{in: from}
	if t.kind == Symmetric {
		k.peer = to
	}
	e := t.byIn[k]
	if e != nil && now.Sub(e.used) >= t.timeout {
		delete(t.byIn, k)
		delete(t.byOut, e.port)
		e = nil
	}
	if e == nil {
		t.ports += 7
		e = &entry{key: k, port: t.ports, peers: map[netip.AddrPort]time.Time{}}
		t.byIn[k], t.byOut[e.port] = e, e
	}
	e.used, e.peers[to] = now, now
	return netip.AddrPortFrom(t.public, e.port)
}

// inward returns the address inside, if there is a way in.
func (t *NAT) inward(from, to netip.AddrPort, now time.Time) (netip.AddrPort, bool) {
	e := t.byOut[to.Port()]
	if e == nil || now.Sub(e.used) >= t.timeout {
		return netip.AddrPort{}, false
	}
	if at, known := e.peers[from]; t.kind != FullCone && (!known || now.Sub(at) >= t.timeout) {
		return netip.AddrPort{}, false
	}
	if t.kind != FullCone {
		e.peers[from] = now
	}
	e.used = now
	return e.key.in, true
}
