// Package pipe is a network in memory: Listen and Dial join by address
// strings, connections are buffered as TCP's are, and nothing of it is a
// socket, so whole agents and servers run inside a testing/synctest bubble.
package pipe

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"sync"
	"syscall"
)

// backlog is how many connections wait to be accepted before more are refused.
const backlog = 128

// Network is a set of listeners and how they can be reached. Use one per test.
type Network struct {
	mu        sync.Mutex
	listeners map[string]*listener // "host:port", or ":port" for every host
	names     map[string]string    // host name → address
	paths     map[string]Path      // "host:port" or "host" → what a dial meets there
	next      uint16               // the ephemeral port of the next dial
}

// Path is what a dial meets on the way to an address.
type Path int

const (
	Open   Path = iota // the connection arrives
	Refuse             // somebody answers with a reset: connection refused
	Drop               // nobody answers: the dial waits for its context
)

// New makes an empty network.
func New() *Network {
	return &Network{
		listeners: map[string]*listener{},
		names:     map[string]string{},
		paths:     map[string]Path{},
		next:      40000,
	}
}

// Name lets a host name stand for an address, in Dial and Listen.
func (n *Network) Name(name, addr string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.names[name] = addr
}

// Set decides what dials to addr ("host:port", or "host" for all its ports)
// meet from now on. Connections that exist are not touched.
func (n *Network) Set(addr string, p Path) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.paths[n.resolve(addr)] = p
}

// Dial connects from a host at 192.0.2.254. Its errors have net's shape:
// ECONNREFUSED where nobody listens, the context's error where nobody answers.
func (n *Network) Dial(ctx context.Context, network, addr string) (net.Conn, error) {
	return n.From("192.0.2.254").Dial(ctx, network, addr)
}

// Listen listens on addr; an empty or unspecified host takes that port of
// every host. Port 0 picks a free one.
func (n *Network) Listen(network, addr string) (net.Listener, error) {
	return n.From("").Listen(network, addr)
}

// Host is the network as one of its hosts sees it.
type Host struct {
	n  *Network
	ip string
}

// From is the host at ip: its dials come from there and a Listen without a
// host is for that address only.
func (n *Network) From(ip string) *Host { return &Host{n: n, ip: ip} }

// Dial connects from this host.
func (h *Host) Dial(ctx context.Context, network, addr string) (net.Conn, error) {
	c, err := h.n.dial(ctx, h.ip, addr)
	if err != nil {
		return nil, &net.OpError{Op: "dial", Net: network, Addr: address(addr), Err: err}
	}
	return c, nil
}

// Listen listens on this host.
func (h *Host) Listen(network, addr string) (net.Listener, error) {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return nil, &net.OpError{Op: "listen", Net: network, Err: err}
	}
	if host == "" || host == "0.0.0.0" || host == "::" {
		host = h.ip
	}
	n := h.n
	n.mu.Lock()
	defer n.mu.Unlock()
	if port == "0" {
		port = strconv.Itoa(int(n.port()))
	}
	key := n.resolve(net.JoinHostPort(host, port))
	if n.listeners[key] != nil {
		return nil, &net.OpError{Op: "listen", Net: network, Addr: address(key), Err: syscall.EADDRINUSE}
	}
	l := &listener{n: n, key: key, queue: make(chan *conn, backlog), done: make(chan struct{})}
	n.listeners[key] = l
	return l, nil
}

func (n *Network) dial(ctx context.Context, from, addr string) (*conn, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	n.mu.Lock()
	to := n.resolve(addr)
	host, port, err := net.SplitHostPort(to)
	if err != nil {
		n.mu.Unlock()
		return nil, err
	}
	path := max(n.paths[to], n.paths[host])
	l := n.listeners[to]
	if l == nil {
		l = n.listeners[":"+port]
	}
	local := address(net.JoinHostPort(from, strconv.Itoa(int(n.port()))))
	n.mu.Unlock()

	switch {
	case path == Drop:
		<-ctx.Done()
		return nil, ctx.Err()
	case path == Refuse || l == nil:
		return nil, syscall.ECONNREFUSED
	}
	ours, theirs := newPair(local, address(to))
	select {
	case l.queue <- theirs:
		select {
		case <-l.done: // closed while we queued: nobody will accept it
			theirs.Close()
		default:
		}
		return ours, nil
	case <-l.done:
		return nil, syscall.ECONNREFUSED
	default:
		return nil, fmt.Errorf("backlog of %s: %w", to, syscall.ECONNREFUSED)
	}
}

// port hands out ephemeral ports; the caller holds mu.
func (n *Network) port() uint16 {
	if n.next++; n.next < 40000 {
		n.next = 40000
	}
	return n.next
}

// resolve replaces a known name in addr by its address; the caller holds mu.
func (n *Network) resolve(addr string) string {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		if ip, ok := n.names[addr]; ok {
			return ip
		}
		return addr
	}
	if ip, ok := n.names[host]; ok {
		host = ip
	}
	return net.JoinHostPort(host, port)
}

// address makes the net.Addr of addr: a *net.TCPAddr where it is literal, so
// that code which looks for an IP address finds one.
func address(addr string) net.Addr {
	if ap, err := netip.ParseAddrPort(addr); err == nil {
		return net.TCPAddrFromAddrPort(ap)
	}
	return name(addr)
}

// name is the net.Addr of a host that has a name only.
type name string

func (name) Network() string  { return "tcp" }
func (a name) String() string { return string(a) }

type listener struct {
	n     *Network
	key   string
	queue chan *conn
	done  chan struct{}
	once  sync.Once
}

func (l *listener) Accept() (net.Conn, error) {
	select {
	case <-l.done:
		return nil, l.closed()
	default:
	}
	select {
	case c := <-l.queue:
		return c, nil
	case <-l.done:
		return nil, l.closed()
	}
}

func (l *listener) closed() error {
	return &net.OpError{Op: "accept", Net: "tcp", Addr: l.Addr(), Err: net.ErrClosed}
}

// Close frees the address; connections that were not accepted are closed.
func (l *listener) Close() error {
	err := errors.New("closed twice")
	l.once.Do(func() {
		err = nil
		l.n.mu.Lock()
		delete(l.n.listeners, l.key)
		l.n.mu.Unlock()
		close(l.done)
		for {
			select {
			case c := <-l.queue:
				c.Close()
				continue
			default:
			}
			break
		}
	})
	if err != nil {
		return l.closed()
	}
	return nil
}

func (l *listener) Addr() net.Addr { return address(l.key) }
