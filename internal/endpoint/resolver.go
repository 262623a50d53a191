package endpoint

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/net/dns/dnsmessage"
)

// Patience of the resolver where resolv.conf says nothing.
const (
	defaultTimeout = 3 * time.Second
	defaultTries   = 2
	// grace is how long one address family waits for the other: there are
	// servers that never answer AAAA questions.
	grace = 500 * time.Millisecond
	// partialTTL is how long an answer holds that lacks a family.
	partialTTL = time.Minute
)

// A Resolver asks the name servers of resolv.conf. The zero value is ready and
// reads no files. It may be used by several goroutines.
type Resolver struct {
	Config  string                  // resolv.conf, read again for each question; "": 127.0.0.1
	Hosts   string                  // hosts file; "": none
	Servers func() []netip.AddrPort // go before those of Config, unless empty
	Dial    DialFunc                // udp and tcp to literal addresses; nil: the system's
	Rand    func(n int) int         // in [0,n), for SRV weights; nil: math/rand

	mu    sync.Mutex
	good  netip.AddrPort // the server that answered last is asked first
	cache cache
}

// Lookup returns the addresses of a host: a literal, a name in the hosts file
// or in DNS. Its error is an ErrNoSuchName (DNS has said so), a *NoAnswerError
// (nothing is known), ErrBadName, or that of reading resolv.conf.
func (r *Resolver) Lookup(ctx context.Context, host string) (Addrs, error) {
	if addr, err := netip.ParseAddr(strings.TrimSuffix(strings.TrimPrefix(host, "["), "]")); err == nil {
		return Addrs{Addrs: []netip.Addr{addr.Unmap()}}, nil
	}
	name, err := cleanName(host)
	if err != nil {
		return Addrs{}, fmt.Errorf("%.80q: %w", host, err)
	}
	if r.Hosts != "" {
		if addrs := readHosts(r.Hosts, name); addrs != nil {
			return Addrs{Addrs: addrs}, nil
		}
	}
	if name == "localhost" || strings.HasSuffix(name, ".localhost") { // RFC 6761 6.3
		return Addrs{Addrs: []netip.Addr{netip.MustParseAddr("127.0.0.1"), netip.IPv6Loopback()}}, nil
	}
	c, err := r.config()
	if err != nil {
		return Addrs{}, err
	}
	var out Addrs
	for _, candidate := range candidates(host, name, c.search) {
		if out, err = r.addrs(ctx, &c, candidate); !errors.Is(err, ErrNoSuchName) {
			return out, err
		}
	}
	return Addrs{}, err
}

// candidates are the names to try: one without a dot is one of the search list
// first.
func candidates(host, name string, search []string) []string {
	if strings.Contains(name, ".") || strings.HasSuffix(host, ".") {
		return []string{name}
	}
	var out []string
	for _, s := range search {
		out = append(out, name+"."+s)
	}
	return append(out, name)
}

// SRV returns where a service is offered, _service._proto.name, ordered by
// priority and at random by weight (RFC 2782): each call draws anew. Errors
// are those of Lookup and ErrNoService.
func (r *Resolver) SRV(ctx context.Context, service, proto, name string) ([]SRV, time.Duration, error) {
	full, err := cleanName("_" + service + "._" + proto + "." + name)
	if err != nil {
		return nil, 0, fmt.Errorf("%.80q: %w", name, err)
	}
	c, err := r.config()
	if err != nil {
		return nil, 0, err
	}
	a, err := r.records(ctx, &c, full, dnsmessage.TypeSRV)
	if err != nil {
		return nil, 0, err
	}
	if a.refuse {
		return nil, a.ttl, fmt.Errorf("%s: %w", full, ErrNoService)
	}
	pick := r.Rand
	if pick == nil {
		pick = rand.IntN
	}
	return orderSRV(a.srvs, pick), a.ttl, nil
}

// Flush forgets all answers: the network has changed.
func (r *Resolver) Flush() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.cache = cache{}
	r.good = netip.AddrPort{}
}

// config returns servers, search list and patience.
func (r *Resolver) config() (config, error) {
	c := parseConfig(strings.NewReader(""))
	if r.Config != "" {
		var err error
		if c, err = readConfig(r.Config); err != nil {
			return config{}, fmt.Errorf("name servers: %w", err)
		}
	}
	if r.Servers != nil {
		if s := r.Servers(); len(s) > 0 {
			c.servers = s[:min(len(s), maxServers)]
		}
	}
	if c.timeout == 0 {
		c.timeout = defaultTimeout
	}
	if c.tries == 0 {
		c.tries = defaultTries
	}
	return c, nil
}

// addrs asks for both families of a name at once and merges what comes.
func (r *Resolver) addrs(ctx context.Context, c *config, name string) (Addrs, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	type result struct {
		v6  bool
		a   *answer
		err error
	}
	results := make(chan result, 2)
	for _, v6 := range []bool{false, true} {
		t := dnsmessage.TypeA
		if v6 {
			t = dnsmessage.TypeAAAA
		}
		go func() {
			a, err := r.records(ctx, c, name, t)
			results <- result{v6, a, err}
		}()
	}
	first := <-results
	if first.err == nil { // the other one may take its time, but not much
		timer := time.AfterFunc(grace, cancel)
		defer timer.Stop()
	}
	second := <-results
	v4, v6 := first, second
	if first.v6 {
		v4, v6 = second, first
	}
	switch {
	case v4.err == nil && v6.err == nil:
		return merge(v4.a, v6.a, min(v4.a.ttl, v6.a.ttl)), nil
	case v4.err == nil:
		return merge(v4.a, &answer{}, partial(v4.a.ttl, v6.err)), nil
	case v6.err == nil:
		return merge(&answer{}, v6.a, partial(v6.a.ttl, v4.err)), nil
	case errors.Is(v4.err, errNoName) || !errors.Is(v4.err, ErrNoSuchName): // it does not exist for any type, or nothing is known
		return Addrs{}, v4.err
	}
	return Addrs{}, v6.err
}

// partial is the TTL of an answer whose other family failed with err: short,
// unless DNS said that there is none.
func partial(ttl time.Duration, err error) time.Duration {
	if errors.Is(err, ErrNoSuchName) {
		return ttl
	}
	return min(ttl, partialTTL)
}

// merge puts two answers into one list, turn about, so that neither family
// stands behind all of the other.
func merge(v4, v6 *answer, ttl time.Duration) Addrs {
	out := Addrs{TTL: ttl, Expires: time.Now().Add(ttl)}
	for i := range max(len(v4.addrs), len(v6.addrs)) {
		for _, a := range []*answer{v6, v4} {
			if i < len(a.addrs) && !slices.Contains(out.Addrs, a.addrs[i]) {
				out.Addrs = append(out.Addrs, a.addrs[i])
			}
		}
	}
	return out
}

// errNoName is an ErrNoSuchName that holds for every type of record.
var errNoName = fmt.Errorf("%w (NXDOMAIN)", ErrNoSuchName)

// records returns the records of one type, from the cache or from a server,
// and follows CNAMEs that the server did not follow.
func (r *Resolver) records(ctx context.Context, c *config, name string, t dnsmessage.Type) (*answer, error) {
	at, ttl := name, maxTTL
	for range maxChain {
		a, err := r.ask(ctx, c, at, t)
		if err != nil {
			return nil, err
		}
		ttl = min(ttl, a.ttl)
		switch {
		case !a.empty():
			out := *a
			out.ttl = ttl
			return &out, nil
		case a.next != "":
			at = a.next
		case !a.exists:
			return nil, fmt.Errorf("%s: %w", name, errNoName)
		default:
			return nil, fmt.Errorf("%s has no %s records: %w", name, strings.TrimPrefix(t.String(), "Type"), ErrNoSuchName)
		}
	}
	return nil, &NoAnswerError{Name: name, Servers: []*ServerError{{Server: "DNS", Err: errors.New("CNAME loop, or a chain that is too long")}}}
}

// ask returns one answer. Servers are asked in turn, all of them before any is
// asked again.
func (r *Resolver) ask(ctx context.Context, c *config, name string, t dnsmessage.Type) (*answer, error) {
	key := cacheKey{name, t}
	servers, cached := r.start(c.servers, key)
	if cached != nil {
		return cached, nil
	}
	dial := r.Dial
	if dial == nil {
		dial = (&net.Dialer{}).DialContext
	}
	failed := make([]*ServerError, len(servers))
	for range c.tries {
		for i, s := range servers {
			a, err := exchange(ctx, dial, s, name, t, c.timeout)
			if err == nil {
				r.keep(key, a, s)
				return a, nil
			}
			failed[i] = &ServerError{Server: s.String(), Err: err}
			if ctx.Err() != nil {
				return nil, &NoAnswerError{Name: name, Servers: slices.DeleteFunc(failed, func(e *ServerError) bool { return e == nil })}
			}
		}
	}
	return nil, &NoAnswerError{Name: name, Servers: failed}
}

// start returns what the cache knows, or the order in which to ask.
func (r *Resolver) start(servers []netip.AddrPort, key cacheKey) ([]netip.AddrPort, *answer) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if a := r.cache.get(key, time.Now()); a != nil {
		return servers, a
	}
	if i := slices.Index(servers, r.good); i > 0 {
		servers = slices.Concat(servers[i:i+1], servers[:i], servers[i+1:])
	}
	return servers, nil
}

// keep remembers an answer and who gave it.
func (r *Resolver) keep(key cacheKey, a *answer, from netip.AddrPort) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.good = from
	r.cache.put(key, a, time.Now())
}
