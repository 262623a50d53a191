// The real kernel's NAT and real STUN servers, in network namespaces of their
// own. Skipped, with a word, where that cannot be; with GATEHOUSE_PEERS=must
// that is a failure.

package nat

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"testing"
	"time"

	"gatehouse/internal/endpoint"
	"gatehouse/internal/guard"
	"gatehouse/internal/store/storetest"
	"gatehouse/lab/rooms"
	"gatehouse/lab/stun"
)

// Addresses in the namespaces.
var (
	nsHome   = netip.MustParseAddr("10.11.0.2")
	nsServer = netip.MustParseAddrPort("203.0.113.1:3478")
	nsOther  = netip.MustParseAddrPort("203.0.113.2:3478")
)

// A street is a home with a client, behind a NAT.
type street struct {
	rooms.Street
	t      *testing.T
	knocks chan struct{}
	told   chan string
	client *Client
}

// newStreet builds one; the NAT is what the nftables rules make of it, and
// forgets after so many seconds.
func newStreet(t *testing.T, rules string, timeout, stream int) *street {
	t.Helper()
	rooms.Need(t, "nft", "conntrack")
	s := &street{Street: rooms.NewStreet(t, rules), t: t, knocks: make(chan struct{}, 100), told: make(chan string, 100)}
	s.NAT.Sysctl("net/netfilter/nf_conntrack_udp_timeout", fmt.Sprint(timeout))
	s.NAT.Sysctl("net/netfilter/nf_conntrack_udp_timeout_stream", fmt.Sprint(stream))
	return s
}

// Rules of nftables. Nothing comes in but answers; or, for the full cone, what
// goes to the port.
const (
	nftFilter = `
	chain forward { type filter hook forward priority 0; policy drop;
		ct state established,related accept
		iifname "lan0" accept
		%s
	}
}`
	nftPortRestricted = `table ip t {
	chain post { type nat hook postrouting priority 100; oifname "wan0" masquerade; }` + nftFilter
	nftSymmetric = `table ip t {
	chain post { type nat hook postrouting priority 100; oifname "wan0" masquerade fully-random; }` + nftFilter
	nftFullCone = `table ip t {
	chain pre { type nat hook prerouting priority -100; iifname "wan0" udp dport 7547 dnat to 10.11.0.2; }
	chain post { type nat hook postrouting priority 100; oifname "wan0" masquerade; }` + nftFilter
)

// server starts a STUN server of Debian's outside.
func (s *street) server(name string) {
	if name == "stund" {
		s.Stund()
	} else {
		s.Coturn()
	}
}

// bench starts the bench's own server outside.
func (s *street) bench(k stun.Knobs) *stun.Server {
	s.t.Helper()
	server := stun.New(k)
	var conn net.PacketConn
	if err := s.Outside.Within(func() (err error) { conn, err = net.ListenPacket("udp4", nsServer.String()); return err }); err != nil {
		s.t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() { _ = server.Serve(ctx, conn) })
	s.t.Cleanup(func() { stop(); wg.Wait() })
	return server
}

type literal struct{}

func (literal) Lookup(_ context.Context, host string) (endpoint.Addrs, error) {
	a, err := netip.ParseAddr(host)
	return endpoint.Addrs{Addrs: []netip.Addr{a}}, err
}

// agent starts the client at home, with a keep-alive period in seconds; -1: as
// it finds out.
func (s *street) agent(period int32, more ...func(*Settings)) {
	s.t.Helper()
	set := Settings{
		STUNEnable: true, STUNServerAddress: nsServer.Addr().String(), STUNMaximumKeepAlivePeriod: period, STUNMinimumKeepAlivePeriod: uint32(max(period, 1)),
		ConnectionRequestUsername: "cpe1", ConnectionRequestPassword: "s3cret", Port: 7547, Listen: true,
	}
	for _, f := range more {
		f(&set)
	}
	c, err := New(Config{
		Settings: func() Settings { return set },
		Local:    func() netip.Addr { return nsHome },
		Listen: func(ctx context.Context, network, address string) (conn Conn, err error) {
			err = s.Home.Within(func() error { conn, err = listen(ctx, network, address); return err })
			return conn, err
		},
		Resolver: literal{}, State: &storetest.File{},
		Guard:     guard.New(guard.Config{Accept: func(string) { s.knocks <- struct{}{} }}),
		OnAddress: func(_ bool, addr string) { s.told <- addr },
		Log:       slog.New(slog.NewTextHandler(s.t.Output(), nil)),
	})
	if err != nil {
		s.t.Fatal(err)
	}
	s.client = c
	ctx, stop := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() { _ = c.Run(ctx) })
	s.t.Cleanup(func() { stop(); wg.Wait() })
}

// until waits for something to become true.
func (s *street) until(what string, patience time.Duration, f func() bool) {
	s.t.Helper()
	deadline, tick := time.NewTimer(patience), time.NewTicker(20*time.Millisecond)
	defer deadline.Stop()
	defer tick.Stop()
	for !f() {
		select {
		case <-tick.C:
		case <-deadline.C:
			s.t.Fatalf("not within %v: %s; %+v", patience, what, s.client.Status())
		}
	}
}

// knock sends a UDP connection request with that sender to where we say we
// are, and tells whether it reached the agent.
func (s *street) knock(from netip.AddrPort) bool {
	s.t.Helper()
	to, err := netip.ParseAddrPort(s.client.Status().UDPConnectionRequestAddress)
	if err != nil {
		s.t.Fatal(err)
	}
	pkt := stun.Knock{At: time.Now(), ID: uint32(time.Now().UnixNano()), Username: "cpe1", Password: "s3cret", To: to}.Datagram()
	for range 3 {
		s.Forge(from, to, pkt)
	}
	patience := time.Second
	if from != nsServer { // it should not arrive
		patience /= 4
	}
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case <-s.knocks:
		return true
	case <-timer.C:
		return false
	}
}

// Behind a real NAT, with real servers: the request from the server's address
// and port arrives, a stranger's does not; conntrack is flushed, and one
// keep-alive later it arrives again.
func TestNetNS(t *testing.T) {
	nats := map[string]string{"port-restricted": nftPortRestricted, "symmetric": nftSymmetric, "full cone": nftFullCone}
	for name, rules := range nats {
		for _, server := range []string{"turnserver", "stund"} {
			t.Run(name+"/"+server, func(t *testing.T) {
				t.Parallel()
				allow := ""
				if name == "full cone" {
					allow = `iifname "wan0" udp dport 7547 accept`
				}
				s := newStreet(t, fmt.Sprintf(rules, allow), 20, 60)
				s.server(server)
				s.agent(2)
				s.until("bound", 20*time.Second, func() bool { return s.client.Status().State == Bound })
				st := s.client.Status()
				if !st.NATDetected || st.Mapped.Addr().String() != "203.0.113.9" || st.Cookie {
					t.Fatalf("%+v", st)
				}
				if !s.knock(nsServer) {
					t.Error("a request from the server's address does not arrive")
				}
				if got := s.knock(nsOther); got != (name == "full cone") {
					t.Errorf("a request from a stranger arrives: %v", got)
				}
				if name == "symmetric" == (st.Mapped.Port() == 7547) {
					t.Errorf("mapped to %v behind a %s NAT", st.Mapped, name)
				}
				answer := s.client.Status().LastAnswer
				s.Forget()
				s.until("another answer", 3*time.Second, func() bool { return s.client.Status().LastAnswer.After(answer) })
				if !s.knock(nsServer) {
					t.Error("no request arrives after conntrack was flushed")
				}
				if r := s.client.Status().Requests; r.Accepted < 2 {
					t.Errorf("%+v", r)
				}
			})
		}
	}
}

// The challenge of Annex G, which neither of Debian's servers has, through a
// real NAT.
func TestNetNSChallenge(t *testing.T) {
	t.Parallel()
	s := newStreet(t, fmt.Sprintf(nftPortRestricted, ""), 20, 60)
	server := s.bench(stun.Knobs{Challenge: true, Username: "cpe1", Password: "geheim", Accept: []stun.Integrity{stun.Variant}})
	s.agent(2, func(set *Settings) { set.STUNUsername, set.STUNPassword = "cpe1", "geheim" })
	s.until("bound", 20*time.Second, func() bool { return s.client.Status().State == Bound })
	for i, r := range server.Seen() {
		if len(r.Violations) > 0 || i == 0 && r.Integrity != stun.None {
			t.Errorf("question %d: %+v", i, r)
		}
	}
	if to := server.Binding("cpe1"); to != s.client.Status().Mapped || !s.knock(nsServer) {
		t.Errorf("the server knows %v, we say %v", to, s.client.Status().Mapped)
	}
}

// A mapping is kept for as long as we ask soon enough: NATs that forget after
// 20 and 60 s (seconds scaled down unless everything is to run).
func TestNetNSKeepAlive(t *testing.T) {
	timeouts := []int{3}
	if rooms.Must() {
		timeouts = []int{20, 60}
	}
	for _, timeout := range timeouts {
		t.Run(fmt.Sprint(timeout), func(t *testing.T) {
			t.Parallel()
			s := newStreet(t, fmt.Sprintf(nftSymmetric, ""), timeout, timeout)
			s.server("turnserver")
			s.agent(int32(timeout) * 2 / 3)
			s.until("bound", 20*time.Second, func() bool { return s.client.Status().State == Bound })
			port, began := s.client.Status().Mapped.Port(), time.Now()
			life := time.Duration(timeout) * time.Second
			s.until("two lifetimes", 3*life, func() bool { return time.Since(began) > 2*life })
			if !s.knock(nsServer) || s.client.Status().Mapped.Port() != port {
				t.Errorf("after two lifetimes: port %d, then %+v", port, s.client.Status())
			}
		})
	}
}

// stund answers to RESPONSE-ADDRESS: the lifetime is measured.
func TestNetNSLifetime(t *testing.T) {
	if !rooms.Must() {
		t.Skip("takes two minutes: GATEHOUSE_PEERS=must")
	}
	t.Parallel()
	s := newStreet(t, fmt.Sprintf(nftPortRestricted, ""), 20, 20)
	s.server("stund")
	s.agent(-1)
	s.until("measured", 4*time.Minute, func() bool { return s.client.Status().Lifetime > 0 })
	if st := s.client.Status(); st.Lifetime < 14*time.Second || st.Lifetime > 20*time.Second || st.KeepAlive > 18*time.Second {
		t.Errorf("%+v", st)
	}
	if !s.knock(nsServer) {
		t.Error("no request arrives")
	}
}
