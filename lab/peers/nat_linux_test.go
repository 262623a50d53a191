package peers

import (
	"context"
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"gatehouse/agent/api"
	"gatehouse/agent/app"
	"gatehouse/lab/acs"
	"gatehouse/lab/stun"
	"gatehouse/platform"
	"gatehouse/platform/fake"
)

// A street has three network namespaces: the agent's home, a NAT that lets
// nothing in but answers, and outside, where the ACS and the STUN server are.
type street struct {
	t                  *testing.T
	home, nat, outside string
	agent              chan *app.Agent // says when it is up
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
	need(t, "ip", "nft", "conntrack", "sysctl")
	id := fmt.Sprintf("ghp%d-", os.Getpid())
	s := &street{t: t, home: id + "home", nat: id + "nat", outside: id + "out", agent: make(chan *app.Agent, 1)}
	for _, ns := range []string{s.home, s.nat, s.outside} {
		if out, err := exec.Command("ip", "netns", "add", ns).CombinedOutput(); err != nil {
			if os.Getenv("GATEHOUSE_PEERS") == "must" {
				t.Fatalf("no network namespace: %v: %s", err, out)
			}
			t.Skipf("needs network namespaces: %v: %s", err, out)
		}
		t.Cleanup(func() { _ = exec.Command("ip", "netns", "del", ns).Run() })
		s.run(ns, "ip link set lo up")
	}
	rules := filepath.Join(t.TempDir(), "rules")
	if err := os.WriteFile(rules, []byte(natRules), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, line := range [][2]string{
		{s.nat, "ip link add lan0 type veth peer name eth0 netns " + s.home},
		{s.nat, "ip link add wan0 type veth peer name eth0 netns " + s.outside},
		{s.nat, "ip addr add 10.11.0.1/24 dev lan0"}, {s.nat, "ip addr add 203.0.113.9/24 dev wan0"},
		{s.nat, "ip link set lan0 up"}, {s.nat, "ip link set wan0 up"},
		{s.nat, "sysctl -qw net.ipv4.ip_forward=1"}, {s.nat, "nft -f " + rules},
		{s.nat, "sysctl -qw net.netfilter.nf_conntrack_udp_timeout=20 net.netfilter.nf_conntrack_udp_timeout_stream=60"},
		{s.home, "ip addr add 10.11.0.2/24 dev eth0"}, {s.home, "ip link set eth0 up"}, {s.home, "ip route add default via 10.11.0.1"},
		{s.outside, "ip addr add 203.0.113.1/24 dev eth0"}, {s.outside, "ip link set eth0 up"},
	} {
		s.run(line[0], line[1])
	}
	return s
}

func (s *street) run(ns, line string) {
	s.t.Helper()
	out, err := exec.Command("ip", append([]string{"netns", "exec", ns}, strings.Fields(line)...)...).CombinedOutput()
	if err != nil {
		s.t.Fatalf("%s: %v: %s", line, err, out)
	}
}

// within calls f on a thread that is in a namespace: the sockets that it opens
// stay there.
func within(ns string, f func() error) error {
	ended := make(chan error)
	go func() {
		runtime.LockOSThread() // never unlocked: the thread ends with us
		file, err := os.Open("/var/run/netns/" + ns)
		if err == nil {
			err = unix.Setns(int(file.Fd()), unix.CLONE_NEWNET)
			file.Close()
		}
		if err == nil {
			err = f()
		}
		ended <- err
	}()
	return <-ended
}

// network has the agent live at home, where it has one address.
func (s *street) network(c *app.Config) {
	router := fake.New()
	router.RemoveAddress(platform.Address{Link: "eth0", Prefix: netip.MustParsePrefix("203.0.113.17/24")})
	router.SetAddress(platform.Address{Link: "eth0", Prefix: netip.MustParsePrefix("10.11.0.2/24"), Dynamic: true, Preferred: time.Hour, Valid: time.Hour})
	c.Platform = router.Platform()
	c.Ready = func(a *app.Agent) { s.agent <- a }
	c.Dial = func(ctx context.Context, network, address string) (conn net.Conn, err error) {
		err = within(s.home, func() error { conn, err = new(net.Dialer).DialContext(ctx, network, address); return err })
		return conn, err
	}
	c.Listen = func(ctx context.Context, network, address string) (l net.Listener, err error) {
		err = within(s.home, func() error { l, err = new(net.ListenConfig).Listen(ctx, network, address); return err })
		return l, err
	}
	c.ListenUDP = func(ctx context.Context, network, address string) (app.UDPConn, error) {
		var conn net.PacketConn
		err := within(s.home, func() (err error) { conn, err = new(net.ListenConfig).ListenPacket(ctx, network, address); return err })
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
	if err := within(s.outside, func() (err error) { l, err = net.Listen("tcp", "203.0.113.1:80"); return err }); err != nil {
		s.t.Fatal(err)
	}
	server := acs.New(acs.Options{})
	go server.Serve(l)
	s.t.Cleanup(func() { server.Close() })
	return server
}

// coturn runs outside, at its usual port.
func (s *street) coturn() {
	s.t.Helper()
	need(s.t, "turnserver")
	dir := s.t.TempDir()
	cmd := exec.Command("ip", append([]string{"netns", "exec", s.outside}, strings.Fields("turnserver -n --listening-ip=203.0.113.1 --relay-ip=203.0.113.1"+
		" --listening-port=3478 --no-auth --stun-only --no-tls --no-dtls --no-tcp --no-cli --log-file=stdout --simple-log --pidfile="+dir+"/pid --userdb="+dir+"/db")...)...)
	cmd.Dir = dir
	if err := cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
}

// knock sends three copies of a UDP connection request from coturn's address
// and port, which an ACS beside it does, too.
func (s *street) knock(id uint32, to netip.AddrPort) {
	s.t.Helper()
	body := stun.Knock{At: time.Now(), ID: id, Username: "knock", Password: "who is there", To: to}.Datagram()
	from := netip.MustParseAddrPort("203.0.113.1:3478")
	for range 3 {
		if err := within(s.outside, func() error { return sendRaw(from, to, body) }); err != nil {
			s.t.Fatal(err)
		}
	}
}

// sendRaw sends a UDP datagram from an address and port that a server has.
func sendRaw(from, to netip.AddrPort, body []byte) error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_RAW, unix.IPPROTO_RAW)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	src, dst := from.Addr().As4(), to.Addr().As4()
	p := []byte{0x45, 0, 0, 0, 0, 0, 0, 0, 64, unix.IPPROTO_UDP, 0, 0} // the kernel adds length, id and checksum
	p = append(append(p, src[:]...), dst[:]...)
	p = binary.BigEndian.AppendUint16(p, from.Port())
	p = binary.BigEndian.AppendUint16(p, to.Port())
	p = binary.BigEndian.AppendUint16(p, uint16(8+len(body)))
	p = append(append(p, 0, 0), body...) // no checksum
	return unix.Sendto(fd, p, 0, &unix.SockaddrInet4{Addr: dst})
}

// TestPeerNAT: the agent is behind a symmetric NAT of nftables, the ACS and
// coturn outside. The ACS hears the address by an active notification, its UDP
// connection request becomes a session; the NAT forgets everything, and one
// keep-alive later the agent has the next address, which works as well.
func TestPeerNAT(t *testing.T) { // S002-20 S002-21 S002-23
	s := newStreet(t)
	s.coturn()
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
	told, _ := sessionAfter(t, server, 0, "4 VALUE CHANGE").Inform.Parameters.Get(ms + "UDPConnectionRequestAddress")
	first, err := netip.ParseAddrPort(told)
	if err != nil || first.Addr().String() != "203.0.113.9" {
		t.Fatalf("UDPConnectionRequestAddress %q", told)
	}
	s.knock(1, first)
	asked := sessionAfter(t, server, 0, "6 CONNECTION REQUEST")
	s.run(s.nat, "conntrack -F")
	second := s.anotherAddress(agent, first, 4*time.Second)
	s.knock(2, second)
	sessionAfter(t, server, asked.Number, "6 CONNECTION REQUEST")
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
