package udpnet

import (
	"errors"
	"net"
	"net/netip"
	"os"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

var (
	host  = netip.MustParseAddrPort("192.168.1.2:1000")
	peerA = netip.MustParseAddrPort("198.51.100.1:1")
	peerB = netip.MustParseAddrPort("198.51.100.2:1")
)

func listen(t *testing.T, n *Network, at netip.AddrPort) *Conn {
	t.Helper()
	c, err := n.Listen(at)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// arrives tells who the next datagram is from; not valid: none has come.
func arrives(t *testing.T, c *Conn) netip.AddrPort {
	t.Helper()
	_ = c.SetReadDeadline(time.Now().Add(time.Microsecond))
	var b [10]byte
	_, from, err := c.ReadFromUDPAddrPort(b[:])
	if err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatal(err)
	}
	return from
}

func TestNATs(t *testing.T) {
	for kind, want := range map[Kind]struct{ samePort, stranger bool }{
		PortRestricted: {true, false}, FullCone: {true, true}, Symmetric: {false, false},
	} {
		synctest.Test(t, func(t *testing.T) {
			n := New()
			nat := n.NAT(netip.MustParsePrefix("192.168.0.0/16"), netip.MustParseAddr("203.0.113.9"), kind, time.Minute)
			in, a, b := listen(t, n, host), listen(t, n, peerA), listen(t, n, peerB)
			out := func(to netip.AddrPort, c *Conn) netip.AddrPort {
				_, _ = in.WriteToUDPAddrPort([]byte("x"), to)
				return arrives(t, c)
			}
			first := out(peerA, a)
			if first.Addr().String() != "203.0.113.9" {
				t.Fatalf("%d: from %v", kind, first)
			}
			_, _ = b.WriteToUDPAddrPort([]byte("x"), first)
			if got := arrives(t, in).IsValid(); got != want.stranger {
				t.Errorf("%d: a stranger gets in: %v", kind, got)
			}
			if got := out(peerB, b) == first; got != want.samePort {
				t.Errorf("%d: same port for another peer: %v", kind, got)
			}
			time.Sleep(59 * time.Second)
			_, _ = a.WriteToUDPAddrPort([]byte("x"), first)
			if arrives(t, in) != peerA {
				t.Errorf("%d: the mapping is gone too soon", kind)
			}
			time.Sleep(time.Minute)
			_, _ = a.WriteToUDPAddrPort([]byte("x"), first)
			if arrives(t, in).IsValid() {
				t.Errorf("%d: the mapping lives too long", kind)
			}
			if out(peerA, a) == first {
				t.Errorf("%d: the same port after it expired", kind)
			}
			nat.SetPublic(netip.MustParseAddr("203.0.113.10"))
			if got := out(peerA, a); got.Addr().String() != "203.0.113.10" {
				t.Errorf("%d: from %v", kind, got)
			}
		})
	}
}

func TestConn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := New()
		a := listen(t, n, peerA)
		if _, err := n.Listen(peerA); !errors.Is(err, syscall.EADDRINUSE) {
			t.Error(err)
		}
		b := listen(t, n, netip.AddrPortFrom(peerB.Addr(), 0))
		var pc net.PacketConn = b
		if _, err := pc.WriteTo([]byte("hello"), a.LocalAddr()); err != nil {
			t.Error(err)
		}
		buf := make([]byte, 3)
		if n, from, err := a.ReadFrom(buf); n != 3 || err != nil || from.String() != b.LocalAddr().String() {
			t.Error(n, from, err)
		}
		n.Lose(func(netip.AddrPort, netip.AddrPort, []byte) bool { return true })
		_, _ = pc.WriteTo([]byte("hello"), a.LocalAddr())
		if arrives(t, a).IsValid() {
			t.Error("nothing is lost")
		}
		_ = a.SetReadDeadline(time.Time{})
		ended := make(chan error, 1)
		read := func() { _, _, err := a.ReadFromUDPAddrPort(buf); ended <- err }
		go read()
		synctest.Wait()
		_ = a.SetReadDeadline(time.Unix(1, 0)) // cuts a read short
		if err := <-ended; !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Error(err)
		}
		_ = a.SetReadDeadline(time.Time{})
		go read()
		synctest.Wait()
		a.Close()
		if err := <-ended; !errors.Is(err, net.ErrClosed) {
			t.Error(err)
		}
	})
}
