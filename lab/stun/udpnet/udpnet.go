// Package udpnet is an internet of UDP in memory: hosts, and NATs with hosts
// behind them. Nothing of it is a socket, so that clients and servers run in a
// testing/synctest bubble and a mapping expires in no time.
package udpnet

import (
	"net"
	"net/netip"
	"os"
	"sync"
	"syscall"
	"time"
)

// backlog is how many datagrams wait in a socket before more are lost.
const backlog = 256

// A Network delivers datagrams. Use one per test.
type Network struct {
	mu    sync.Mutex
	conns map[netip.AddrPort]*Conn
	nats  []*NAT
	ports uint16 // the next ephemeral one
	lose  func(from, to netip.AddrPort, pkt []byte) bool
	sent  int
}

// New makes an empty network.
func New() *Network {
	return &Network{conns: map[netip.AddrPort]*Conn{}, ports: 40000}
}

// Lose sets what is lost on the way: it sees the addresses as the receiver
// would. nil: nothing.
func (n *Network) Lose(f func(from, to netip.AddrPort, pkt []byte) bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.lose = f
}

// Sent is how many datagrams were sent so far.
func (n *Network) Sent() int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.sent
}

// Listen opens a socket; port 0 is any. One in use is syscall.EADDRINUSE.
func (n *Network) Listen(at netip.AddrPort) (*Conn, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if at.Port() == 0 {
		n.ports++
		at = netip.AddrPortFrom(at.Addr(), n.ports)
	}
	if n.conns[at] != nil {
		return nil, &net.OpError{Op: "listen", Net: "udp", Err: syscall.EADDRINUSE}
	}
	c := &Conn{n: n, at: at, in: make(chan datagram, backlog), closed: make(chan struct{}), moved: make(chan struct{})}
	n.conns[at] = c
	return c, nil
}

// Send sends a datagram from any address, as an attacker can.
func (n *Network) Send(from, to netip.AddrPort, pkt []byte) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.route(from, to, pkt)
}

// route carries a datagram through the NATs at both ends.
func (n *Network) route(from, to netip.AddrPort, pkt []byte) {
	n.sent++
	now := time.Now()
	for _, nat := range n.nats {
		if nat.inside.Contains(from.Addr()) && !nat.inside.Contains(to.Addr()) {
			from = nat.outward(from, to, now)
		}
	}
	for _, nat := range n.nats {
		if nat.public != to.Addr() {
			continue
		}
		in, ok := nat.inward(from, to, now)
		if !ok {
			return
		}
		to = in
	}
	c := n.conns[to]
	if c == nil || n.lose != nil && n.lose(from, to, pkt) {
		return
	}
	select {
	case c.in <- datagram{from, append([]byte(nil), pkt...)}:
	default: // as a socket buffer that is full
	}
}

type datagram struct {
	from netip.AddrPort
	pkt  []byte
}

// A Conn is a socket of the network: a net.PacketConn, with the calls of
// *net.UDPConn that do not allocate.
type Conn struct {
	n    *Network
	at   netip.AddrPort
	in   chan datagram
	once sync.Once

	closed chan struct{}

	mu       sync.Mutex
	deadline time.Time
	moved    chan struct{} // closed when the deadline is another one
	broken   error
}

// Break lets reads fail with err from now on, as those of a socket whose
// interface is gone.
func (c *Conn) Break(err error) {
	c.mu.Lock()
	c.broken = err
	c.mu.Unlock()
	_ = c.SetReadDeadline(time.Time{})
}

// ReadFromUDPAddrPort waits for a datagram.
func (c *Conn) ReadFromUDPAddrPort(b []byte) (int, netip.AddrPort, error) {
	for {
		c.mu.Lock()
		deadline, moved, broken := c.deadline, c.moved, c.broken
		c.mu.Unlock()
		if broken != nil {
			return 0, netip.AddrPort{}, c.failed("read", broken)
		}
		select {
		case <-c.closed:
			return 0, netip.AddrPort{}, c.failed("read", net.ErrClosed)
		default:
		}
		if !deadline.IsZero() && !deadline.After(time.Now()) {
			return 0, netip.AddrPort{}, c.failed("read", os.ErrDeadlineExceeded)
		}
		if d, ok := c.next(deadline, moved); ok {
			return copy(b, d.pkt), d.from, nil
		}
	}
}

// next waits for a datagram, or for anything else to happen.
func (c *Conn) next(deadline time.Time, moved chan struct{}) (d datagram, ok bool) {
	var expired <-chan time.Time
	if !deadline.IsZero() {
		timer := time.NewTimer(time.Until(deadline))
		defer timer.Stop()
		expired = timer.C
	}
	select {
	case d = <-c.in:
		return d, true
	case <-expired:
	case <-moved:
	case <-c.closed:
	}
	return d, false
}

// WriteToUDPAddrPort sends a datagram; it never waits.
func (c *Conn) WriteToUDPAddrPort(b []byte, to netip.AddrPort) (int, error) {
	select {
	case <-c.closed:
		return 0, c.failed("write", net.ErrClosed)
	default:
	}
	c.n.mu.Lock()
	defer c.n.mu.Unlock()
	c.n.route(c.at, to, b)
	return len(b), nil
}

// ReadFrom implements net.PacketConn.
func (c *Conn) ReadFrom(b []byte) (int, net.Addr, error) {
	n, from, err := c.ReadFromUDPAddrPort(b)
	if err != nil {
		return n, nil, err
	}
	return n, net.UDPAddrFromAddrPort(from), nil
}

// WriteTo implements net.PacketConn.
func (c *Conn) WriteTo(b []byte, to net.Addr) (int, error) {
	ap, err := netip.ParseAddrPort(to.String())
	if err != nil {
		return 0, c.failed("write", err)
	}
	return c.WriteToUDPAddrPort(b, ap)
}

// LocalAddr implements net.PacketConn.
func (c *Conn) LocalAddr() net.Addr { return net.UDPAddrFromAddrPort(c.at) }

// Close implements net.PacketConn.
func (c *Conn) Close() error {
	c.once.Do(func() {
		c.n.mu.Lock()
		delete(c.n.conns, c.at)
		c.n.mu.Unlock()
		close(c.closed)
	})
	return nil
}

// SetReadDeadline implements net.PacketConn.
func (c *Conn) SetReadDeadline(t time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.deadline = t
	close(c.moved)
	c.moved = make(chan struct{})
	return nil
}

// SetWriteDeadline implements net.PacketConn; writes never wait.
func (c *Conn) SetWriteDeadline(time.Time) error { return nil }

// SetDeadline implements net.PacketConn.
func (c *Conn) SetDeadline(t time.Time) error { return c.SetReadDeadline(t) }

func (c *Conn) failed(op string, err error) error {
	return &net.OpError{Op: op, Net: "udp", Source: c.LocalAddr(), Err: err}
}
