package peers

import (
	"context"
	"net"
	"net/netip"
	"testing"
	"time"

	"gatehouse/agent/api"
	"gatehouse/agent/app"
	"gatehouse/lab/acs"
	"gatehouse/lab/rooms"
	"gatehouse/lab/stun"
	"gatehouse/platform"
	"gatehouse/platform/fake"
)

// A street is the agent's home behind a NAT that lets nothing in but answers,
// with the ACS and the STUN server outside.
type street struct {
	rooms.Street
	t     *testing.T
	agent chan *app.Agent // says when it is up
}

const natRules = `table ip t {
	chain post { type nat hook postrouting priority 100; oifname "wan0" masquerade fully-random; }
	chain forward { type filter hook forward priority 0; policy drop;
		ct state established,related accept
		iifname "lan0" accept
	}
}`

func newStreet(t *testing.T) *street {
	t.Helper()
	rooms.Need(t, "nft", "conntrack")
	s := &street{Street: rooms.NewStreet(t, natRules), t: t, agent: make(chan *app.Agent, 1)}
	s.NAT.Sysctl("net/netfilter/nf_conntrack_udp_timeout", "20")
	s.NAT.Sysctl("net/netfilter/nf_conntrack_udp_timeout_stream", "60")
	return s
}

// network has the agent live at home, where it has one address.
func (s *street) network(c *app.Config) {
	router := fake.New()
	router.RemoveAddress(platform.Address{Link: "eth0", Prefix: netip.MustParsePrefix("203.0.113.17/24")})
	router.SetAddress(platform.Address{Link: "eth0", Prefix: netip.MustParsePrefix("10.11.0.2/24"), Dynamic: true, Preferred: time.Hour, Valid: time.Hour})
	c.Platform = router.Platform()
	c.Ready = func(a *app.Agent) { s.agent <- a }
	c.Dial = func(ctx context.Context, network, address string) (conn net.Conn, err error) {
		err = s.Home.Within(func() error { conn, err = new(net.Dialer).DialContext(ctx, network, address); return err })
		return conn, err
	}
	c.Listen = func(ctx context.Context, network, address string) (l net.Listener, err error) {
		err = s.Home.Within(func() error { l, err = new(net.ListenConfig).Listen(ctx, network, address); return err })
		return l, err
	}
	c.ListenUDP = func(ctx context.Context, network, address string) (app.UDPConn, error) {
		var conn net.PacketConn
		err := s.Home.Within(func() (err error) { conn, err = new(net.ListenConfig).ListenPacket(ctx, network, address); return err })
		if err != nil {
			return nil, err
		}
		return conn.(*net.UDPConn), nil
	}
}

// acs runs the lab's ACS outside.
func (s *street) acs() *acs.Server {
	s.t.Helper()
	var l net.Listener
	if err := s.Outside.Within(func() (err error) { l, err = net.Listen("tcp", "203.0.113.1:80"); return err }); err != nil {
		s.t.Fatal(err)
	}
	server := acs.New(acs.Options{})
	go server.Serve(l)
	s.t.Cleanup(func() { server.Close() })
	return server
}

// knock sends three copies of a UDP connection request from coturn's address
// and port, which an ACS beside it does, too.
func (s *street) knock(id uint32, to netip.AddrPort) {
	s.t.Helper()
	body := stun.Knock{At: time.Now(), ID: id, Username: "knock", Password: "who is there", To: to}.Datagram()
	from := netip.MustParseAddrPort("203.0.113.1:3478")
	for range 3 {
		s.Forge(from, to, body)
	}
}

// TestPeerNAT: the agent is behind a symmetric NAT of nftables, the ACS and
// coturn outside. The ACS hears the address by an active notification, its UDP
// connection request becomes a session; the NAT forgets everything, and one
// keep-alive later the agent has the next address, which works as well.
func TestPeerNAT(t *testing.T) { // S002-20 S002-21 S002-23
	s := newStreet(t)
	s.Coturn()
	server := s.acs()
	const ms = "Device.ManagementServer."
	server.Queue("", func(c *acs.Conversation) error {
		if err := c.SetParameterAttributes(acs.Notify(ms+"UDPConnectionRequestAddress", 2)); err != nil {
			return err
		}
		_, err := c.SetParameterValues("", acs.P(ms+"STUNServerAddress", "xsd:string", "203.0.113.1"), acs.P(ms+"STUNUsername", "xsd:string", "cpe"),
			acs.P(ms+"STUNMinimumKeepAlivePeriod", "xsd:unsignedInt", "2"), acs.P(ms+"STUNMaximumKeepAlivePeriod", "xsd:int", "2"),
			acs.P(ms+"STUNEnable", "xsd:boolean", "1"))
		return err
	})
	startAgent(t, config("http://203.0.113.1/", "", "", "7547"), s.network)
	agent := <-s.agent
	first := toldAddress(t, server, ms+"UDPConnectionRequestAddress")
	s.knock(1, first)
	asked := sessionAfter(t, server, 0, "6 CONNECTION REQUEST")
	s.Forget()
	second := s.anotherAddress(agent, first, 4*time.Second)
	s.knock(2, second)
	sessionAfter(t, server, asked.Number, "6 CONNECTION REQUEST")
}

// toldAddress waits until the ACS has heard of an address outside. Before the
// STUN server has answered it may have heard of the one at home.
func toldAddress(t *testing.T, s *acs.Server, parameter string) netip.AddrPort {
	t.Helper()
	for n := 0; ; {
		session := sessionAfter(t, s, n, "4 VALUE CHANGE")
		told, _ := session.Inform.Parameters.Get(parameter)
		at, err := netip.ParseAddrPort(told)
		if err != nil {
			t.Fatalf("%s is %q", parameter, told)
		}
		if at.Addr().String() == "203.0.113.9" {
			return at
		}
		n = session.Number
	}
}

// anotherAddress waits for an address outside that is not the one before.
func (s *street) anotherAddress(agent *app.Agent, before netip.AddrPort, patience time.Duration) netip.AddrPort {
	s.t.Helper()
	deadline, tick := time.NewTimer(patience), time.NewTicker(20*time.Millisecond)
	defer deadline.Stop()
	defer tick.Stop()
	for {
		st, err := agent.API().Status(api.Caller{Name: "test", Rights: api.Everything})
		if err != nil {
			s.t.Fatal(err)
		}
		for _, t := range st.Transports {
			if at, err := netip.ParseAddrPort(t.Address); t.Name == "udp" && err == nil && at != before {
				return at
			}
		}
		select {
		case <-tick.C:
		case <-deadline.C:
			s.t.Fatalf("no other address than %v after %v: %+v", before, patience, st.Transports)
		}
	}
}

// sessionAfter returns the first session after the n-th that has the event.
func sessionAfter(t *testing.T, s *acs.Server, n int, event string) *acs.Session {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	got, err := s.WaitSession(ctx, func(s *acs.Session) bool { return s.Number > n && acs.WithEvent(event)(s) })
	if err != nil || got.Err != nil {
		t.Fatalf("no session with %q after session %d: %v", event, n, err)
	}
	return got
}
