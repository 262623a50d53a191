package xmpp

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"sort"
	"strconv"
	"time"

	"gatehouse/internal/endpoint"
)

// A Resolver finds servers; [endpoint.Resolver] is one.
type Resolver interface {
	SRV(ctx context.Context, service, proto, name string) ([]endpoint.SRV, time.Duration, error)
	Lookup(ctx context.Context, host string) (endpoint.Addrs, error)
}

// Limits of a search: the names that we look at, and the addresses of each.
const (
	maxHosts = 16
	maxAddrs = 16
	// clientPort is where servers listen for clients (RFC 6120 14.7).
	clientPort = 5222
)

// A host is where a server may be, in the order to try them.
type host struct {
	name   string
	port   uint16
	direct bool // TLS from the first byte (XEP-0368)
}

// A target is one address of a host.
type target struct {
	host
	addr netip.Addr
}

func (t target) String() string {
	name := net.JoinHostPort(t.name, strconv.Itoa(int(t.port)))
	if t.name == t.addr.String() || !t.addr.IsValid() {
		return name
	}
	return name + " (" + t.addr.String() + ")"
}

// errUnknownAlgorithm says that ServerConnectAlgorithm is none that we have.
var errUnknownAlgorithm = errors.New("no such ServerConnectAlgorithm")

// hosts returns where the connection's server may be.
func (c *Client) hosts(ctx context.Context, p Params) ([]host, error) {
	switch p.Algorithm {
	case "DNS-SRV", "":
		return c.srv(ctx, p)
	case "DNS":
		return []host{{name: p.Domain, port: clientPort, direct: p.DirectTLS}}, nil
	case "ServerTable":
		out := table(p.Servers, c.cfg.Rand)
		for i := range out {
			out[i].direct = p.DirectTLS
		}
		if len(out) == 0 {
			return nil, errors.New("no server of the table is enabled")
		}
		return out, nil
	}
	return nil, fmt.Errorf("%w: %s", errUnknownAlgorithm, p.Algorithm)
}

// srv asks DNS (RFC 6120 3.2.1). Servers with TLS from the first byte are looked
// for only where TLS is wanted, or nothing else is there. A domain that says it
// has no such service is believed; one that says nothing is itself the server.
func (c *Client) srv(ctx context.Context, p Params) ([]host, error) {
	plain, _, err := c.cfg.Resolver.SRV(ctx, "xmpp-client", "tcp", p.Domain)
	if err != nil && !errors.Is(err, endpoint.ErrNoSuchName) && !errors.Is(err, endpoint.ErrNoService) {
		return nil, err
	}
	var direct []endpoint.SRV
	if p.UseTLS || err != nil {
		found, _, e := c.cfg.Resolver.SRV(ctx, "xmpps-client", "tcp", p.Domain)
		if e == nil {
			direct = found
		}
	}
	type record struct {
		endpoint.SRV
		direct bool
	}
	var all []record
	for _, s := range plain {
		all = append(all, record{s, false})
	}
	for _, s := range direct {
		all = append(all, record{s, true})
	}
	sort.SliceStable(all, func(i, j int) bool { return all[i].Priority < all[j].Priority })
	var out []host
	for _, r := range all[:min(len(all), maxHosts)] {
		out = append(out, host{name: r.Target, port: r.Port, direct: r.direct})
	}
	switch {
	case len(out) > 0:
		return out, nil
	case errors.Is(err, endpoint.ErrNoService):
		return nil, fmt.Errorf("%s: %w", p.Domain, err)
	}
	return []host{{name: p.Domain, port: clientPort, direct: p.DirectTLS}}, nil
}

// table orders Device.XMPP.Connection.{i}.Server. by priority, and within one
// at random by weight; no weight (-1) counts as 0 (RFC 2782).
func table(servers []Server, rand func(n int64) int64) []host {
	var rest []Server
	for _, s := range servers {
		if s.Enable && s.Address != "" && s.Port != 0 {
			s.Weight = max(s.Weight, 0)
			rest = append(rest, s)
		}
	}
	sort.SliceStable(rest, func(i, j int) bool {
		return cmp.Or(cmp.Compare(rest[i].Priority, rest[j].Priority), cmp.Compare(rest[i].Weight, rest[j].Weight)) < 0
	})
	var out []host
	for len(rest) > 0 && len(out) < maxHosts {
		n, sum := 0, int64(0)
		for n < len(rest) && rest[n].Priority == rest[0].Priority {
			sum += int64(rest[n].Weight)
			n++
		}
		at, running := 0, int64(rest[0].Weight)
		if sum == 0 {
			at = int(rand(int64(n)))
		} else {
			for pick := rand(sum + 1); running < pick; running += int64(rest[at].Weight) {
				at++
			}
		}
		out = append(out, host{name: rest[at].Address, port: rest[at].Port})
		rest = slices.Delete(rest, at, at+1)
	}
	return out
}

// search is where the attempts of one outage stand: each address is tried as
// often as ServerConnectAttempts says before the next one is.
type search struct {
	tries  map[target]int
	last   target
	moved  host // where a server has sent us (see-other-host); "": nowhere
	moves  int  // how often in a row
	rounds int  // how often all addresses have had their attempts
}

// maxMoves bounds how often servers may send us on before it counts as a failure.
const maxMoves = 3

// errSpent says that every address has had its attempts.
var errSpent = errors.New("all servers have been tried")

// limit is how often to try one address in a row.
func (s *search) limit(p Params) int { return max(int(min(p.Attempts, 1<<16)), 1) }

// failure notes that the last target failed, and returns which wait comes
// next: 0 for none, because another address is to be tried first.
func (s *search) failure(p Params) int {
	if s.tries == nil {
		s.tries = make(map[target]int)
	}
	if s.tries[s.last]++; s.tries[s.last] < s.limit(p) {
		return s.tries[s.last]
	}
	return 0
}

// round begins the attempts anew and returns which wait comes first: it goes on
// growing from round to round.
func (s *search) round(p Params) int {
	s.tries, s.moved = nil, host{}
	s.rounds++
	return s.limit(p) + s.rounds - 1
}

// pick returns the address to try now: the last one again, or the first that
// has attempts left; errSpent if none has. Names are resolved anew each time:
// an outage may last for days.
func (c *Client) pick(ctx context.Context, p Params, s *search) (target, error) {
	all := []host{s.moved}
	if s.moved.name == "" {
		var err error
		if all, err = c.hosts(ctx, p); err != nil {
			return target{}, err
		}
	}
	var failed error
	var fresh []target
	spent := false
	for _, h := range all {
		addrs, err := c.lookup(ctx, h)
		if err != nil {
			failed = cmp.Or(failed, err)
			continue
		}
		for _, a := range addrs {
			t := target{h, a}
			n := s.tries[t]
			switch {
			case n >= s.limit(p):
				spent = true
			case n > 0 && t == s.last:
				return t, nil
			default:
				fresh = append(fresh, t)
			}
		}
		if len(fresh) > 0 && s.tries[s.last] == 0 {
			break // nothing to go on with: no need to ask for the other names
		}
	}
	switch {
	case len(fresh) > 0:
		s.last = fresh[0]
		return fresh[0], nil
	case spent:
		return target{}, errSpent
	}
	return target{}, fmt.Errorf("no server found: %w", failed)
}

func (c *Client) lookup(ctx context.Context, h host) ([]netip.Addr, error) {
	if a, err := netip.ParseAddr(h.name); err == nil {
		return []netip.Addr{a}, nil
	}
	found, err := c.cfg.Resolver.Lookup(ctx, h.name)
	if err != nil {
		return nil, err
	}
	if len(found.Addrs) == 0 {
		return nil, fmt.Errorf("%s has no address", h.name)
	}
	return found.Addrs[:min(len(found.Addrs), maxAddrs)], nil
}
