package xmpp

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"gatehouse/internal/endpoint"
	"gatehouse/internal/guard"
	"gatehouse/lab/pipe"
	"gatehouse/lab/pki"
	lab "gatehouse/lab/xmpp"
)

// The world of the tests: one domain, one server, one CPE, an ACS.
const (
	domain  = "xmpp.example.com"
	address = "192.0.2.10"
	acsJID  = "acs@xmpp.example.com/4f2a"
)

// rig is a client, a server and what both did.
type rig struct {
	*testing.T
	network *pipe.Network
	zone    *zone
	server  *lab.Server
	client  *Client
	ca      *pki.CA
	guard   *guard.Guard

	mu       sync.Mutex
	params   Params
	allow    []string
	trust    Trust
	writes   []string // of the client in clear or before TLS, one element a Write
	sessions int      // asked for through the guard
	states   []State
	dials    []string

	stop, halt context.CancelFunc
	done       sync.WaitGroup
}

// zone answers for DNS.
type zone struct {
	srv  map[string][]endpoint.SRV // "_service._proto.name"; an empty target alone: ErrNoService
	a    map[string][]netip.Addr
	fail error
}

func (z *zone) SRV(_ context.Context, service, proto, name string) ([]endpoint.SRV, time.Duration, error) {
	s, ok := z.srv["_"+service+"._"+proto+"."+name]
	switch {
	case z.fail != nil:
		return nil, 0, z.fail
	case !ok:
		return nil, 0, endpoint.ErrNoSuchName
	case len(s) == 0:
		return nil, 0, endpoint.ErrNoService
	}
	return s, time.Hour, nil
}

func (z *zone) Lookup(_ context.Context, host string) (endpoint.Addrs, error) {
	a, ok := z.a[host]
	switch {
	case z.fail != nil:
		return endpoint.Addrs{}, z.fail
	case !ok:
		return endpoint.Addrs{}, fmt.Errorf("%s: %w", host, endpoint.ErrNoSuchName)
	}
	return endpoint.Addrs{Addrs: a}, nil
}

func addrs(s ...string) (out []netip.Addr) {
	for _, a := range s {
		out = append(out, netip.MustParseAddr(a))
	}
	return out
}

// defaults are those of TR-181, with an account.
func defaults() Params {
	return Params{
		Enable: true, Username: "cpe1", Password: "s3cret", Domain: domain, Resource: "cwmp",
		Algorithm: "DNS-SRV", KeepAlive: -1, Attempts: 16, RetryInitial: 60, RetryMultiplier: 2000, RetryMax: 30720,
	}
}

// newRig runs a server in the bubble; start runs the client.
func newRig(t *testing.T, knobs func(r *rig, k *lab.Knobs)) *rig {
	t.Helper()
	r := &rig{T: t, network: pipe.New(), params: defaults(), zone: &zone{
		srv: map[string][]endpoint.SRV{"_xmpp-client._tcp." + domain: {{Target: "host1.example.net", Port: 5222}}},
		a:   map[string][]netip.Addr{"host1.example.net": addrs(address)},
	}}
	ca, err := pki.New("test")
	if err != nil {
		t.Fatal(err)
	}
	r.ca = ca
	r.trust = Trust{Roots: ca.Pool(), Now: time.Now()}
	r.server = lab.New(domain, map[string]string{"cpe1": "s3cret", "acs": "acspw"})
	if knobs != nil {
		r.server.Set(func(k *lab.Knobs) { knobs(r, k) })
	}
	r.serve()
	r.guard = guard.New(guard.Config{Accept: func(string) { r.lock(func() { r.sessions++ }) }})
	r.client = New(Config{
		Params:      func() Params { r.mu.Lock(); defer r.mu.Unlock(); return r.params },
		Allowed:     func() []string { r.mu.Lock(); defer r.mu.Unlock(); return r.allow },
		Credentials: func() (string, string) { return "u", "p<&>" },
		Trust:       func() (Trust, error) { r.mu.Lock(); defer r.mu.Unlock(); return r.trust, nil },
		Guard:       r.guard,
		Resolver:    r.zone,
		Dial:        r.dial,
		Rand:        func(n int64) int64 { return n - 1 },
		Changed:     func(s Status) { r.lock(func() { r.states = append(r.states, s.State) }) },
	})
	return r
}

func (r *rig) lock(f func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	f()
}

// serve runs the server until halt.
func (r *rig) serve() {
	r.Helper()
	l, err := r.network.Listen("tcp", address+":5222")
	if err != nil {
		r.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	r.halt = cancel
	r.done.Go(func() { _ = r.server.Serve(ctx, l) })
}

// certificate is what the server shows, for the names given.
func (r *rig) certificate(names ...string) *tls.Config {
	r.Helper()
	c, err := r.ca.Server(names...)
	if err != nil {
		r.Fatal(err)
	}
	return &tls.Config{Certificates: []tls.Certificate{c}}
}

// dial notes what the client writes.
func (r *rig) dial(ctx context.Context, network, addr string) (net.Conn, error) {
	r.lock(func() { r.dials = append(r.dials, addr) })
	c, err := r.network.Dial(ctx, network, addr)
	if err != nil {
		return nil, err
	}
	return &tapped{c, r}, nil
}

type tapped struct {
	net.Conn
	r *rig
}

func (c *tapped) Write(p []byte) (int, error) {
	c.r.lock(func() { c.r.writes = append(c.r.writes, string(p)) })
	return c.Conn.Write(p)
}

func (r *rig) start() {
	ctx, cancel := context.WithCancel(context.Background())
	r.stop = cancel
	r.done.Go(func() { _ = r.client.Run(ctx) })
	synctest.Wait()
}

func (r *rig) end() {
	if r.stop != nil {
		r.stop()
	}
	r.halt()
	r.done.Wait()
}

// set changes the parameters and says so.
func (r *rig) set(edit func(p *Params)) {
	r.lock(func() { edit(&r.params) })
	r.client.ParamsChanged()
	synctest.Wait()
}

// bound returns the session that the server has just bound.
func (r *rig) bound() *lab.Session {
	r.Helper()
	synctest.Wait()
	select {
	case s := <-r.server.Bound():
		return s
	default:
		r.Fatalf("not bound: %+v", r.client.Status())
		return nil
	}
}

// want fails unless the client is in a state, and returns its status.
func (r *rig) want(state State) Status {
	r.Helper()
	synctest.Wait()
	s := r.client.Status()
	if s.State != state {
		r.Fatalf("state %s, want %s; last error %q", s.State, state, s.LastError)
	}
	return s
}

// wantError fails unless the last error says something.
func (r *rig) wantError(part string) {
	r.Helper()
	synctest.Wait()
	if s := r.client.Status(); !strings.Contains(s.LastError, part) {
		r.Fatalf("last error %q, want one with %q", s.LastError, part)
	}
}

// written returns and forgets what the client has written.
func (r *rig) written() []string {
	synctest.Wait()
	r.mu.Lock()
	defer r.mu.Unlock()
	w := r.writes
	r.writes = nil
	return w
}

// dialled returns the addresses dialled so far.
func (r *rig) dialled() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.dials)
}

// asked returns how often a session was asked for.
func (r *rig) asked() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.sessions
}

// bubble runs a test with a rig in a synctest bubble.
func bubble(t *testing.T, knobs func(r *rig, k *lab.Knobs), f func(r *rig)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, knobs)
		defer r.end()
		f(r)
	})
}

// request is a connection request of the ACS, as GenieACS writes it.
func request(id, from, user, password string) string {
	return `<iq from="` + from + `" to="cpe1@xmpp.example.com/cwmp" id="` + id + `" type="get">` +
		`<connectionRequest xmlns="urn:broadband-forum-org:cwmp:xmppConnReq-1-0"><username>` + user + `</username><password>` +
		password + `</password></connectionRequest></iq>`
}
