package rooms

import (
	"encoding/binary"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// A Street is a home behind a NAT. Home is 10.11.0.2 on eth0; the NAT has lan0,
// and 203.0.113.9 on wan0; Outside is 203.0.113.1 and 203.0.113.2.
type Street struct {
	Home, NAT, Outside Room
	t                  testing.TB
}

// NewStreet builds one whose NAT is what nftables' rules make of it. It needs
// root and nft.
func NewStreet(t testing.TB, rules string) Street {
	t.Helper()
	s := Street{New(t), New(t), New(t), t}
	Cable(End{s.NAT, "lan0", "10.11.0.1/24"}, End{s.Home, "eth0", "10.11.0.2/24"})
	Cable(End{s.NAT, "wan0", "203.0.113.9/24"}, End{s.Outside, "eth0", "203.0.113.1/24"})
	s.Outside.Links(func(h *netlink.Handle) error { return up(h, "eth0", "203.0.113.2/24") })
	s.Home.Links(func(h *netlink.Handle) error { return h.RouteAdd(&netlink.Route{Gw: net.IPv4(10, 11, 0, 1)}) })
	file := filepath.Join(t.TempDir(), "rules")
	if err := os.WriteFile(file, []byte(rules), 0o600); err != nil {
		t.Fatal(err)
	}
	s.NAT.Run("nft -f " + file)
	s.NAT.Sysctl("net/ipv4/ip_forward", "1")
	return s
}

// Forget has the NAT forget all its mappings.
func (s Street) Forget() {
	s.t.Helper()
	s.NAT.Run("conntrack -F")
}

// Coturn runs a STUN server outside, at 203.0.113.1:3478.
func (s Street) Coturn() {
	s.t.Helper()
	dir := s.t.TempDir()
	s.program(dir, "turnserver -n --listening-ip=203.0.113.1 --relay-ip=203.0.113.1 --listening-port=3478 --no-auth --stun-only --no-tls --no-dtls --no-tcp"+
		" --no-cli --log-file=stdout --simple-log --pidfile="+dir+"/pid --userdb="+dir+"/db")
}

// Stund runs one of RFC 3489 outside, at both addresses, ports 3478 and 3479.
func (s Street) Stund() {
	s.t.Helper()
	s.program(s.t.TempDir(), "stund -h 203.0.113.1 -a 203.0.113.2 -p 3478 -o 3479")
}

func (s Street) program(dir, line string) {
	s.t.Helper()
	words := strings.Fields(line)
	Need(s.t, words[0])
	cmd := exec.Command(words[0], words[1:]...)
	cmd.Dir = dir
	s.Outside.Start(cmd)
}

// Forge sends a UDP datagram from outside, with the address and port of
// whomever: a server's, beside which the sender stands.
func (s Street) Forge(from, to netip.AddrPort, body []byte) {
	s.t.Helper()
	if err := s.Outside.Within(func() error { return forge(from, to, body) }); err != nil {
		s.t.Fatal(err)
	}
}

func forge(from, to netip.AddrPort, body []byte) error {
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
