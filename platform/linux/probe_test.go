package linux

import (
	"errors"
	"net/netip"
	"os"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"gatehouse/platform"
)

// The host itself answers, over IPv4 and, where it has it, over IPv6. It needs
// root, or a system that lets everybody ping.
func TestProbeLoopback(t *testing.T) {
	p := newProber()
	if p == nil {
		if os.Geteuid() == 0 {
			t.Fatal("root cannot probe")
		}
		t.Skip("no ICMP socket without root here")
	}
	for _, to := range []string{"127.0.0.1", "::1"} {
		addr := netip.MustParseAddr(to)
		for _, size := range []int{0, 1, 1000} {
			r, err := p.Probe(t.Context(), platform.Probe{To: addr, Size: size, DSCP: 46, TTL: 5, Timeout: 5 * time.Second})
			if errors.Is(err, platform.ErrNoRoute) || errors.Is(err, unix.EAFNOSUPPORT) || errors.Is(err, unix.EADDRNOTAVAIL) {
				t.Logf("%s: %v", to, err)
				break
			}
			if err != nil || r.Kind != platform.Echoed || r.From != addr || r.RTT <= 0 || r.RTT > 5*time.Second {
				t.Errorf("%s, %d octets: %+v, %v", to, size, r, err)
			}
		}
	}
}

// Error messages as the kernel hands them over, from a router at 192.0.2.9.
func TestProbeErrors(t *testing.T) {
	message := func(level, typ int, data ...byte) []byte {
		b := make([]byte, unix.CmsgSpace(len(data)))
		h := (*unix.Cmsghdr)(unsafe.Pointer(&b[0]))
		h.Level, h.Type = int32(level), int32(typ)
		h.SetLen(unix.CmsgLen(len(data)))
		copy(b[unix.CmsgLen(0):], data)
		return b
	}
	v4 := func(origin, typ, code byte) []byte {
		return message(unix.IPPROTO_IP, unix.IP_RECVERR, 113, 0, 0, 0, origin, typ, code, 0, 0, 0, 0, 0, 0, 0, 0, 0,
			2, 0, 0, 0, 192, 0, 2, 9, 0, 0, 0, 0, 0, 0, 0, 0)
	}
	from := netip.MustParseAddr("192.0.2.9")
	for name, x := range map[string]struct {
		oob  []byte
		want platform.Reply
		ok   bool
	}{
		"expired":     {v4(unix.SO_EE_ORIGIN_ICMP, 11, 0), platform.Reply{Kind: platform.Expired, From: from, Type: 11}, true},
		"unreachable": {v4(unix.SO_EE_ORIGIN_ICMP, 3, 13), platform.Reply{Kind: platform.Unreachable, From: from, Type: 3, Code: 13}, true},
		"local":       {v4(unix.SO_EE_ORIGIN_LOCAL, 0, 0), platform.Reply{}, false},
		"short":       {message(unix.IPPROTO_IP, unix.IP_RECVERR, 1, 2), platform.Reply{}, false},
		"other":       {message(unix.SOL_SOCKET, 1, make([]byte, 32)...), platform.Reply{}, false},
		"nothing":     {nil, platform.Reply{}, false},
	} {
		if got, ok := parseError(x.oob); got != x.want || ok != x.ok {
			t.Errorf("%s: %+v, %t", name, got, ok)
		}
	}
}

// What Logs does not list cannot be opened, whatever name an ACS gives.
func TestOpenLog(t *testing.T) {
	root := t.TempDir()
	l := logs{layout(root)}
	for _, name := range []string{"/etc/passwd", root + "/var/log/../../etc/passwd", "", l.paths.logs[0]} {
		if f, err := l.OpenLog(t.Context(), name); !errors.Is(err, platform.ErrGone) {
			t.Errorf("%q: %v, %v", name, f, err)
		}
	}
	if err := os.MkdirAll(root+"/var/log", 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(l.paths.logs[0], []byte("line\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := l.OpenLog(t.Context(), l.paths.logs[0])
	if err != nil {
		t.Fatal(err)
	}
	f.Close()
}
