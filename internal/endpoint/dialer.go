package endpoint

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Patience of a Dialer where its fields say nothing.
const (
	defaultConnect  = 10 * time.Second
	defaultAttempts = 3
	// sameAgain is the longest pause before an address is tried twice.
	sameAgain = 200 * time.Millisecond
)

// A Dialer opens connections by name: it resolves, tries one address after the
// other, of two families both at nearly the same time, and remembers in its
// Pool which ones failed. Its fields are set before use and not changed after;
// it may be used by several goroutines.
type Dialer struct {
	Resolver  *Resolver
	Pool      Pool     // of this channel
	Interface string   // bind to it; ignored when Base is set
	Base      DialFunc // connects to a literal address; nil: Bound(Interface)

	Proxy   *url.URL // http://[user:password@]host[:port] for CONNECT; nil: none
	NoProxy []string // names (with all below them), .suffixes, addresses, prefixes, or "*"

	ConnectTimeout time.Duration // for one address, and for a proxy's consent; 0: 10 s
	Attempts       int           // connections tried in all, before DialContext gives up; 0: 3
}

// A DialError says what was tried to reach a server, in order.
type DialError struct {
	Host  string
	Tries []DialTry
}

// A DialTry is one address that could not be reached.
type DialTry struct {
	Addr netip.AddrPort
	Err  error
}

func (e *DialError) Error() string {
	var b strings.Builder
	b.WriteString("cannot connect to " + e.Host + ": ")
	for i, t := range e.Tries {
		if i > 0 {
			b.WriteString("; ")
		}
		fmt.Fprintf(&b, "%s: %v", t.Addr, plainError(t.Err))
	}
	return b.String()
}

// plainError takes the "dial tcp 192.0.2.1:80:" off, which we say already.
func plainError(err error) error {
	var op *net.OpError
	if errors.As(err, &op) && op.Err != nil {
		return op.Err
	}
	return err
}

// Unwrap returns the causes.
func (e *DialError) Unwrap() []error {
	out := make([]error, len(e.Tries))
	for i, t := range e.Tries {
		out[i] = t.Err
	}
	return out
}

// DialContext connects to host:port, by way of the proxy if there is one. Its
// errors are those of Resolver.Lookup, a *DialError or a *ProxyError.
func (d *Dialer) DialContext(ctx context.Context, network, addr string) (net.Conn, error) {
	return d.dial(ctx, network, addr, nil)
}

// Session returns a DialFunc for one session: once it has reached an address
// of a server it keeps to it, for the session's state lives there and must not
// be looked for elsewhere.
func (d *Dialer) Session() DialFunc {
	p := &pins{at: make(map[string]netip.AddrPort)}
	return func(ctx context.Context, network, addr string) (net.Conn, error) {
		return d.dial(ctx, network, addr, p)
	}
}

// pins are the addresses that a session has settled on, by host:port.
type pins struct {
	mu sync.Mutex
	at map[string]netip.AddrPort
}

func (p *pins) get(host string) (netip.AddrPort, bool) {
	if p == nil {
		return netip.AddrPort{}, false
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	a, ok := p.at[host]
	return a, ok
}

func (p *pins) set(host string, a netip.AddrPort) {
	if p != nil {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.at[host] = a
	}
}

// dial connects directly or through the proxy.
func (d *Dialer) dial(ctx context.Context, network, addr string, p *pins) (net.Conn, error) {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return nil, err
	}
	if d.Proxy != nil && strings.HasPrefix(network, "tcp") && !d.direct(host) {
		return d.tunnel(ctx, addr, p)
	}
	n, err := strconv.ParseUint(port, 10, 16)
	if err != nil {
		return nil, fmt.Errorf("%s: port is not a number", addr)
	}
	return d.reach(ctx, network, host, uint16(n), p)
}

// reach connects to a host without a proxy.
func (d *Dialer) reach(ctx context.Context, network, host string, port uint16, p *pins) (net.Conn, error) {
	name := net.JoinHostPort(host, strconv.Itoa(int(port)))
	order, attempts := []netip.AddrPort(nil), d.Attempts
	if attempts <= 0 {
		attempts = defaultAttempts
	}
	if a, ok := p.get(name); ok {
		order = append(order, a)
	} else {
		found, err := d.lookup(ctx, network, host)
		if err != nil {
			return nil, err
		}
		addrs := make([]netip.AddrPort, len(found))
		for i, a := range found {
			addrs[i] = netip.AddrPortFrom(a, port)
		}
		order = d.Pool.Order(addrs)
	}
	failed := &DialError{Host: name}
	for len(failed.Tries) < attempts {
		i := len(failed.Tries)
		next := []netip.AddrPort{order[i%len(order)]}
		switch {
		case i >= len(order):
			pause(ctx, rand.N(sameAgain))
		case i+1 < min(len(order), attempts) && order[i].Addr().Is4() != order[i+1].Addr().Is4():
			next = order[i : i+2]
		}
		c, at, tries := race(ctx, next, func(ctx context.Context, a netip.AddrPort) (net.Conn, error) { return d.one(ctx, network, a) })
		if ctx.Err() == nil { // else it proves nothing against them
			for _, t := range tries {
				d.Pool.block(t.Addr, 0)
			}
		}
		if c != nil {
			d.Pool.unblock(at)
			p.set(name, at)
			return c, nil
		}
		failed.Tries = append(failed.Tries, tries...)
		if ctx.Err() != nil {
			break
		}
	}
	return nil, failed
}

// lookup returns the addresses of a host in the family of the network.
func (d *Dialer) lookup(ctx context.Context, network, host string) ([]netip.Addr, error) {
	r := d.Resolver
	if r == nil {
		r = &Resolver{}
	}
	found, err := r.Lookup(ctx, host)
	if err != nil {
		return nil, err
	}
	var out []netip.Addr
	for _, a := range found.Addrs {
		if strings.HasSuffix(network, "4") && !a.Is4() || strings.HasSuffix(network, "6") && a.Is4() {
			continue
		}
		out = append(out, a)
	}
	if out == nil {
		return nil, fmt.Errorf("%s has no address for %s: %w", host, network, ErrNoSuchName)
	}
	return out, nil
}

// one makes one attempt.
func (d *Dialer) one(ctx context.Context, network string, a netip.AddrPort) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, d.connectTimeout())
	defer cancel()
	base := d.Base
	if base == nil {
		base = Bound(d.Interface)
	}
	return base(ctx, network, a.String())
}

func (d *Dialer) connectTimeout() time.Duration {
	if d.ConnectTimeout > 0 {
		return d.ConnectTimeout
	}
	return defaultConnect
}

// Bound returns the system's way to connect, bound to an interface ("" to
// none). What goes to this host itself is not bound: a resolver on the
// loopback address stays within reach.
func Bound(iface string) DialFunc {
	return func(ctx context.Context, network, addr string) (net.Conn, error) {
		var d net.Dialer
		if a, err := netip.ParseAddrPort(addr); iface != "" && (err != nil || !a.Addr().IsLoopback()) {
			d.Control = bindTo(iface)
		}
		return d.DialContext(ctx, network, addr)
	}
}

// pause waits, or until ctx ends.
func pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}
