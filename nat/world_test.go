package nat

import (
	"context"
	"errors"
	"log/slog"
	"net/netip"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"gatehouse/internal/endpoint"
	"gatehouse/internal/guard"
	"gatehouse/internal/store/storetest"
	"gatehouse/lab/stun"
	"gatehouse/lab/stun/udpnet"
)

// Addresses of the worlds below.
var (
	home    = netip.MustParseAddr("192.168.1.1") // the agent, behind a NAT
	home2   = netip.MustParseAddr("192.168.1.77")
	inside  = netip.MustParsePrefix("192.168.0.0/16")
	outside = netip.MustParseAddr("203.0.113.9") // of the NAT
	first   = netip.MustParseAddrPort("198.51.100.1:3478")
	second  = netip.MustParseAddrPort("198.51.100.2:3478")
	third   = netip.MustParseAddrPort("198.51.100.3:3478")
)

// A world is a client, an internet and what the client is given, in a bubble.
type world struct {
	t        *testing.T
	net      *udpnet.Network
	nat      *udpnet.NAT
	client   *Client
	guard    *guard.Guard
	servers  map[netip.AddrPort]*stun.Server
	state    *storetest.File
	ctx      context.Context
	stop     context.CancelFunc
	halt     func() // ends the client
	wg       sync.WaitGroup
	listened func(netip.AddrPort) (Conn, error)

	mu       sync.Mutex
	settings Settings
	local    netip.Addr
	names    map[string][]netip.Addr
	failure  error         // of look-ups
	slow     time.Duration // of them
	ttl      time.Duration
	lookups  int
	sessions int
	told     []string
	conns    []*udpnet.Conn
}

// story runs a whole life in virtual time, behind a NAT of that kind, with one
// STUN server "stun.example".
func story(t *testing.T, kind udpnet.Kind, timeout time.Duration, knobs stun.Knobs, live func(*world)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.nat = w.net.NAT(inside, outside, kind, timeout)
		w.serve(first, knobs)
		w.start()
		live(w)
		w.close()
	})
}

func newWorld(t *testing.T) *world {
	w := &world{
		t: t, net: udpnet.New(), servers: map[netip.AddrPort]*stun.Server{}, state: &storetest.File{}, local: home,
		names: map[string][]netip.Addr{"stun.example": {first.Addr()}, "acs.example": {second.Addr()}},
		settings: Settings{
			STUNEnable: true, STUNServerAddress: "stun.example", STUNMaximumKeepAlivePeriod: -1, STUNMinimumKeepAlivePeriod: 10,
			ConnectionRequestUsername: "cpe1", ConnectionRequestPassword: "s3cret", ACSHost: "acs.example", Port: 7547, Listen: true,
		},
	}
	w.ctx, w.stop = context.WithCancel(t.Context())
	return w
}

func (w *world) serve(at netip.AddrPort, k stun.Knobs) {
	w.t.Helper()
	conn, err := w.net.Listen(at)
	if err != nil {
		w.t.Fatal(err)
	}
	s := stun.New(k)
	w.servers[at] = s
	w.wg.Go(func() { _ = s.Serve(w.ctx, conn) })
}

// start starts the client.
func (w *world) start() {
	w.t.Helper()
	w.guard = guard.New(guard.Config{Accept: func(string) {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.sessions++
	}})
	c, err := New(w.config())
	if err != nil {
		w.t.Fatal(err)
	}
	w.client = c
	ctx, stop := context.WithCancel(w.ctx)
	ended := make(chan struct{})
	w.halt = func() { stop(); <-ended }
	go func() { _ = c.Run(ctx); close(ended) }()
	synctest.Wait()
}

// reboot stops the client and starts another one with the same state.
func (w *world) reboot() {
	w.halt()
	w.start()
}

func (w *world) config() Config {
	return Config{
		Settings: func() Settings { w.mu.Lock(); defer w.mu.Unlock(); return w.settings },
		Local:    func() netip.Addr { w.mu.Lock(); defer w.mu.Unlock(); return w.local },
		Listen: func(_ context.Context, _, address string) (Conn, error) {
			at := netip.MustParseAddrPort(address)
			w.mu.Lock()
			listened := w.listened
			w.mu.Unlock()
			if listened != nil {
				return listened(at)
			}
			c, err := w.net.Listen(at)
			if err != nil {
				return nil, err
			}
			w.mu.Lock()
			w.conns = append(w.conns, c)
			w.mu.Unlock()
			return c, nil
		},
		Resolver: w, Guard: w.guard, State: w.state,
		OnAddress: func(nat bool, addr string) {
			w.mu.Lock()
			defer w.mu.Unlock()
			if nat {
				addr += " nat"
			}
			w.told = append(w.told, addr)
		},
		Rand: func(n int64) int64 { return n / 2 },
		Log:  slog.New(slog.DiscardHandler),
	}
}

// Lookup is the resolver.
func (w *world) Lookup(ctx context.Context, host string) (endpoint.Addrs, error) {
	w.mu.Lock()
	slow := w.slow
	w.lookups++
	w.mu.Unlock()
	if slow > 0 {
		timer := time.NewTimer(slow)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-ctx.Done():
			return endpoint.Addrs{}, ctx.Err()
		}
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.failure != nil {
		return endpoint.Addrs{}, w.failure
	}
	if a, err := netip.ParseAddr(host); err == nil {
		return endpoint.Addrs{Addrs: []netip.Addr{a}}, nil
	}
	addrs, ok := w.names[host]
	if !ok {
		return endpoint.Addrs{}, endpoint.ErrNoSuchName
	}
	a := endpoint.Addrs{Addrs: addrs, TTL: w.ttl}
	if w.ttl > 0 {
		a.Expires = time.Now().Add(w.ttl)
	}
	return a, nil
}

// set changes settings or anything else, and pokes the client.
func (w *world) set(f func(*Settings)) {
	w.mu.Lock()
	f(&w.settings)
	w.mu.Unlock()
	w.client.Poke()
	synctest.Wait()
}

// pass lets time pass.
func (w *world) pass(d time.Duration) {
	time.Sleep(d) // on the bubble's clock
	synctest.Wait()
}

func (w *world) close() {
	w.halt()
	w.stop()
	w.wg.Wait()
}

// seen returns what the first server was asked from the socket of requests
// since the last call.
func (w *world) seen() (binding []stun.Request) {
	for _, r := range w.servers[first].Seen() {
		for _, v := range r.Violations {
			w.t.Errorf("the STUN server complains: %s", v)
		}
		if r.Binding {
			binding = append(binding, r)
		}
	}
	w.servers[first].Forget()
	return binding
}

// knock sends a UDP connection request from the server to where the client
// can be reached as far as the server knows.
func (w *world) knock(k stun.Knock, copies int) {
	w.t.Helper()
	to, err := netip.ParseAddrPort(w.client.Status().UDPConnectionRequestAddress)
	if err != nil {
		w.t.Fatalf("UDPConnectionRequestAddress: %v", err)
	}
	k.To = to
	if k.Username == "" {
		k.Username, k.Password = "cpe1", "s3cret"
	}
	if k.At.IsZero() {
		k.At = time.Now()
	}
	for range copies {
		if err := w.servers[first].Send(to, k.Datagram()); err != nil {
			w.t.Fatal(err)
		}
	}
	synctest.Wait()
}

func (w *world) wantSessions(n int) {
	w.t.Helper()
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.sessions != n {
		w.t.Errorf("%d sessions, want %d", w.sessions, n)
	}
	w.sessions = 0
}

func (w *world) wantState(s State) {
	w.t.Helper()
	if st := w.client.Status(); st.State != s {
		w.t.Errorf("state %q (%s), want %q", st.State, st.Err, s)
	}
}

func noLog() *slog.Logger { return slog.New(slog.DiscardHandler) }

var errTest = errors.New("so it is")
