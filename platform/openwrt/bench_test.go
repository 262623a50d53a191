package openwrt_test

// A router on a table: a root file system as vanilla OpenWrt has it, a network
// namespace with its links, and the daemons of the lab behind a real socket.

import (
	"context"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/vishvananda/netlink"

	"gatehouse/internal/ubus"
	"gatehouse/lab/rooms"
	"gatehouse/lab/ubusd"
	"gatehouse/platform"
	"gatehouse/platform/openwrt"
)

type bench struct {
	*testing.T
	root     string
	ns       *os.File
	h        *netlink.Handle
	router   *ubusd.Router
	options  openwrt.Options
	platform platform.Platform
	log      *testLog
	ran      [][]string // commands
	stop     func()     // ends a life of ubusd
}

var offer = ubusd.Offer{
	Addr: netip.MustParsePrefix("192.0.2.2/24"), Gateway: netip.MustParseAddr("192.0.2.1"),
	DNS: []netip.Addr{netip.MustParseAddr("192.0.2.53"), netip.MustParseAddr("192.0.2.54")}, Seconds: 3600,
}

// newBench starts a router. Its links are those of a namespace when we may make
// one, and else whatever this machine has: most tests look at neither.
func newBench(t *testing.T) *bench {
	t.Helper()
	root, err := os.MkdirTemp("", "gho") // a short path: a socket is below it
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(root) })
	b := &bench{T: t, root: root, log: &testLog{t: t}}
	b.must(os.CopyFS(root, os.DirFS("testdata/root")))
	b.must(os.Symlink("/proc/sys/net", filepath.Join(root, "proc/sys/net")))
	b.must(os.MkdirAll(filepath.Join(root, "var/run/ubus"), 0o755))
	if os.Geteuid() == 0 {
		b.namespace()
	}
	b.router = &ubusd.Router{
		Root: root, Model: "Cudy WR1300 v1", BoardName: "cudy,wr1300-v1", Version: "24.10.4", Revision: "r28959-29397011cc",
		Hostname: "OpenWrt", WAN: offer,
	}
	if b.ns != nil {
		b.router.Load = b.load
		b.must(os.MkdirAll(filepath.Join(root, "sbin"), 0o755))
		b.write("sbin/fw4", "") // that it is there says which firewall it is
	}
	b.begin()
	b.options = openwrt.Options{Root: root, NetNS: b.ns, Settle: 100 * time.Millisecond, Run: b.run, Log: slog.New(slog.NewTextHandler(b.log, nil))}
	b.platform, err = openwrt.New(b.options)
	b.must(err)
	return b
}

// testLog shows what is said beside the test that fails, and keeps it.
type testLog struct {
	t  *testing.T
	mu sync.Mutex
	b  strings.Builder
}

func (l *testLog) Write(b []byte) (int, error) {
	l.t.Log(strings.TrimSpace(string(b)))
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(b)
}

func (l *testLog) has(text string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Contains(l.b.String(), text)
}

func (b *bench) run(_ context.Context, argv ...string) error {
	b.ran = append(b.ran, argv)
	return nil
}

func (b *bench) must(err error) {
	b.Helper()
	if err != nil {
		b.Fatal(err)
	}
}

func (b *bench) socket() string { return filepath.Join(b.root, ubus.Socket) }

// begin begins a life of ubusd, and waits until its peers are there.
func (b *bench) begin() {
	b.Helper()
	l, err := net.Listen("unix", b.socket())
	b.must(err)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() { defer close(ended); b.router.Serve(ctx, l) }()
	var once sync.Once
	b.stop = func() { once.Do(func() { cancel(); <-ended }) }
	b.Cleanup(b.stop)
	// A connection is answered when everything has been published.
	if out, code := b.command("list"); code != 0 {
		b.Fatal(out)
	}
}

func (b *bench) command(args ...string) (string, int) {
	b.Helper()
	c, err := net.Dial("unix", b.socket())
	b.must(err)
	return ubusd.Command(c, args...)
}

// namespace makes the links of the router.
func (b *bench) namespace() {
	b.Helper()
	room := rooms.New(b.T)
	b.ns, b.h = room.File, room.Handle()
	b.must(b.h.LinkAdd(&netlink.Bridge{LinkAttrs: netlink.LinkAttrs{Name: "br-lan"}}))
	for _, name := range []string{"lan1", "lan2", "wan", "phy0-ap0", "phy1-ap0"} {
		b.must(b.h.LinkAdd(&netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: name}, PeerName: "far-" + name}))
		b.must(b.h.LinkSetUp(b.link("far-" + name)))
		if name != "wan" {
			b.must(b.h.LinkSetMaster(b.link(name), b.link("br-lan")))
		}
		b.must(b.h.LinkSetUp(b.link(name)))
	}
	b.must(b.h.LinkSetUp(b.link("br-lan")))
	for link, p := range map[string]string{"br-lan": "192.168.1.1/24", "wan": "192.0.2.2/24"} {
		a, err := netlink.ParseAddr(p)
		b.must(err)
		b.must(b.h.AddrAdd(b.link(link), a))
	}
	b.must(b.h.RouteAdd(&netlink.Route{Gw: net.IPv4(192, 0, 2, 1), LinkIndex: b.link("wan").Attrs().Index}))
}

func (b *bench) link(name string) netlink.Link {
	b.Helper()
	l, err := b.h.LinkByName(name)
	b.must(err)
	return l
}

// write replaces a file below the root, as libuci does.
func (b *bench) write(name, text string) {
	b.Helper()
	path := filepath.Join(b.root, name)
	b.must(os.WriteFile(path+".new", []byte(text), 0o600))
	b.must(os.Rename(path+".new", path))
}

// edit replaces text in a file below the root.
func (b *bench) edit(name, old, new string) {
	b.Helper()
	text, err := os.ReadFile(filepath.Join(b.root, name))
	b.must(err)
	if !strings.Contains(string(text), old) {
		b.Fatalf("%s has no %q", name, old)
	}
	b.write(name, strings.ReplaceAll(string(text), old, new))
}

// mute listens in ubusd's place, greets, and says nothing more.
func (b *bench) mute() {
	b.Helper()
	l, err := net.Listen("unix", b.socket())
	b.must(err)
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			c.Write([]byte{0, 0, 0, 0, 0, 0, 16, 0, 0, 0, 0, 4}) // hello
			b.Cleanup(func() { c.Close() })
		}
	}()
	b.Cleanup(func() { l.Close() })
	b.stop = func() { l.Close() }
}
