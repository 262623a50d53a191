package doctor

// The checks of the way to the ACS, up to an open connection.

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"gatehouse/internal/endpoint"
)

// Limits of what is tried.
const (
	maxAddrs     = 8 // addresses of one name
	connectTime  = 5 * time.Second
	exchangeTime = 30 * time.Second // of a handshake, or of one answer
)

// A way is an open connection to the ACS.
type way struct {
	tcp  net.Conn
	conn net.Conn // with TLS, where it is spoken
	addr netip.AddrPort
}

func (p *patient) close() {
	if p.way.tcp != nil {
		p.way.tcp.Close()
	}
	p.way = way{}
}

// whom names who has to be reached first: the ACS, or the proxy.
func (p *patient) whom() (what, host string, port uint16) {
	if proxy := p.dialer.Proxy; proxy != nil && p.dialer.UsesProxy(p.url.Hostname()) {
		ap, err := netip.ParseAddrPort("0.0.0.0:" + proxy.Port())
		if err != nil {
			return "the proxy", proxy.Hostname(), 80
		}
		return "the proxy", proxy.Hostname(), ap.Port()
	}
	return "the ACS", p.url.Hostname(), p.port
}

func (p *patient) dns(ctx context.Context) Finding {
	d, err := p.Dialer()
	if err != nil {
		return wrong(err.Error(), "correct section proxy of "+p.ConfigFile)
	}
	p.dialer = d
	what, host, port := p.whom()
	found, err := d.Resolver.Lookup(ctx, host)
	var silent *endpoint.NoAnswerError
	switch {
	case errors.Is(err, endpoint.ErrBadName):
		return wrong(fmt.Sprintf("%q is no name that DNS knows of", host), "correct its spelling")
	case errors.Is(err, endpoint.ErrNoSuchName):
		return wrong("DNS answers that there is no address for "+host, "check its spelling; if it is right, a name server that knows it is missing")
	case errors.As(err, &silent):
		f := wrong("no name server gives an answer for "+host, "check the name servers below: are they reachable, and the right ones?")
		for _, s := range silent.Servers {
			f.Details = append(f.Details, s.Error())
		}
		return f
	case err != nil:
		return wrong("names cannot be looked up: "+err.Error(), "check /etc/resolv.conf")
	}
	for _, a := range found.Addrs[:min(len(found.Addrs), maxAddrs)] {
		p.addrs = append(p.addrs, netip.AddrPortFrom(a, port))
	}
	if _, err := netip.ParseAddr(strings.Trim(host, "[]")); err == nil {
		return ok(what + " is given as an address: nothing to look up")
	}
	f := ok(fmt.Sprintf("%s, %s, has %d addresses", what, host, len(found.Addrs)))
	if len(found.Addrs) == 1 {
		f.Found = what + ", " + host + ", is " + found.Addrs[0].String()
		return f
	}
	for _, a := range found.Addrs {
		f.Details = append(f.Details, a.String())
	}
	return f
}

// route asks the kernel where it would send to. A UDP socket that is connected
// sends nothing.
func (p *patient) route(ctx context.Context) Finding {
	var lines []string
	var good []netip.AddrPort
	from := ""
	for _, a := range p.addrs {
		conn, err := p.dialer.Base(ctx, "udp", a.String())
		if err != nil {
			lines = append(lines, a.Addr().String()+": "+reason(err))
			continue
		}
		if host, _, err := net.SplitHostPort(conn.LocalAddr().String()); err == nil && from == "" {
			from = host
		}
		good = append(good, a)
		conn.Close()
	}
	if len(good) == 0 {
		f := wrong("there is no route to any of the addresses", "check the default route (`ip route`, `ip -6 route`) and option interface in section cpe")
		f.Details = lines
		return f
	}
	p.addrs = good
	f := ok(fmt.Sprintf("there is one, and we send from %s", from))
	if from == "" {
		f.Found = "there is one"
	}
	if f.Details = lines; len(lines) > 0 {
		f.Verdict, f.Found = Note, f.Found+", but not to every address"
	}
	return f
}

// tcp tries every address, and keeps the first connection.
func (p *patient) tcp(ctx context.Context) Finding {
	what, _, _ := p.whom()
	if what == "the proxy" {
		return p.tunnel(ctx)
	}
	var lines []string
	failed, good := 0, netip.AddrPort{}
	var last error
	for _, a := range p.addrs {
		began := time.Now()
		conn, err := p.connect(ctx, a)
		if err != nil {
			failed, last = failed+1, err
			lines = append(lines, a.String()+": "+reason(err))
			continue
		}
		lines = append(lines, fmt.Sprintf("%s: %d ms", a, time.Since(began).Milliseconds()))
		if p.way.tcp != nil {
			conn.Close()
			continue
		}
		p.way, good = way{tcp: conn, conn: conn, addr: a}, a
	}
	var f Finding
	switch {
	case p.way.tcp == nil && errors.Is(last, unix.ECONNREFUSED):
		f = wrong(fmt.Sprintf("nothing listens on port %d of the ACS", p.port), "check the port in option url; if it is right, the ACS is down")
	case p.way.tcp == nil:
		f = wrong(fmt.Sprintf("no connection to port %d of the ACS comes about", p.port), "a firewall on the way may drop it, or the ACS is down: try from another network")
	case failed > 0:
		f = warning("connected to "+good.String()+", but not every address answers", "the agent passes over those that do not; the operator of the ACS should know")
	default:
		return ok("connected to " + good.String())
	}
	f.Details = lines
	return f
}

func (p *patient) connect(ctx context.Context, a netip.AddrPort) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, connectTime)
	defer cancel()
	return p.dialer.Base(ctx, "tcp", a.String())
}

// tunnel goes through the proxy.
func (p *patient) tunnel(ctx context.Context) Finding {
	conn, err := p.dialer.DialContext(ctx, "tcp", net.JoinHostPort(p.url.Hostname(), fmt.Sprint(p.port)))
	var refused *endpoint.ProxyError
	switch {
	case errors.As(err, &refused) && refused.Status == 407:
		return wrong("the proxy wants other credentials", "check options username and password in section proxy")
	case errors.As(err, &refused):
		return wrong(err.Error(), "the proxy must allow CONNECT to the ACS; `option except` in section proxy goes past it")
	case err != nil:
		return wrong("the proxy cannot be reached: "+err.Error(), "check option url in section proxy")
	}
	p.way = way{tcp: conn, conn: conn}
	return ok("connected to the ACS by way of the proxy " + p.dialer.Proxy.Host)
}

// again opens another connection of the same kind, for an ACS that closes them.
func (p *patient) again(ctx context.Context) error {
	at := p.way.addr
	p.close()
	var err error
	if at.IsValid() {
		p.way.tcp, err = p.connect(ctx, at)
	} else {
		p.way.tcp, err = p.dialer.DialContext(ctx, "tcp", net.JoinHostPort(p.url.Hostname(), fmt.Sprint(p.port)))
	}
	if err != nil {
		return err
	}
	p.way.conn, p.way.addr = p.way.tcp, at
	if p.url.Scheme == "https" {
		_, _, err = p.shake(ctx)
	}
	return err
}

// reason is what the system says, without what we say already.
func reason(err error) string {
	var op *net.OpError
	var timeout net.Error
	switch {
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &timeout) && timeout.Timeout():
		return "no answer"
	case errors.As(err, &op) && op.Err != nil:
		err = op.Err
	}
	var sys *net.DNSError
	if errors.As(err, &sys) {
		return sys.Err
	}
	return strings.TrimPrefix(err.Error(), "connect: ")
}
