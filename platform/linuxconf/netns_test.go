// Address translation on the real kernel, with packets: outside, a router and a
// home, each in a network namespace of its own.

package linuxconf

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/vishvananda/netlink"

	"gatehouse/lab/rooms"
	"gatehouse/platform"
	"gatehouse/platform/platformtest"
)

// A town has a client outside and a server inside. The router's addresses are
// 203.0.113.1 outside and 192.168.1.1 inside.
type town struct {
	t                       *testing.T
	outside, router, inside rooms.Room
	p                       platform.Platform
	dir                     string
}

func newTown(t *testing.T) *town {
	w := &town{t: t, outside: rooms.New(t), router: rooms.New(t), inside: rooms.New(t), dir: filepath.Join(t.TempDir(), "config")}
	rooms.Cable(rooms.End{Room: w.router, Name: "wan0", Addr: "203.0.113.1/24"}, rooms.End{Room: w.outside, Name: "wan0", Addr: "203.0.113.9/24"})
	rooms.Cable(rooms.End{Room: w.router, Name: "lan0", Addr: "192.168.1.1/24"}, rooms.End{Room: w.inside, Name: "lan0", Addr: "192.168.1.50/24"})
	w.inside.Links(func(h *netlink.Handle) error {
		return h.RouteAdd(&netlink.Route{Gw: net.IPv4(192, 168, 1, 1)})
	})
	w.router.Sysctl("net/ipv4/ip_forward", "1")
	w.p = open(t, w.router, w.dir)
	return w
}

// wayBack lets those outside answer the addresses inside.
func (w *town) wayBack() {
	w.t.Helper()
	w.outside.Links(func(h *netlink.Handle) error {
		return h.RouteAdd(&netlink.Route{Gw: net.IPv4(203, 0, 113, 1)})
	})
}

// networking says only that one may change the network.
type networking struct{ platform.Network }

func open(t *testing.T, r rooms.Room, dir string) platform.Platform {
	t.Helper()
	p := platform.Platform{Network: networking{}, Events: watcher(func() {})}
	Attach(&p, Options{Dir: dir, NetNS: r.File, Log: discard})
	if p.NAT.Mappings == nil {
		rooms.Lacking(t, "this kernel has no nftables for us")
	}
	return p
}

// serve answers everybody with the address that he seems to come from.
func (w *town) serve(r rooms.Room, at string) {
	w.t.Helper()
	var l net.Listener
	if err := r.Within(func() (err error) { l, err = net.Listen("tcp4", at); return err }); err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			from := netip.MustParseAddrPort(c.RemoteAddr().String())
			io.WriteString(c, from.Addr().String())
			c.Close()
		}
	}()
}

// ask connects from a room, and returns what the server says.
func (w *town) ask(r rooms.Room, to string) (said string, err error) {
	w.t.Helper()
	err = r.Within(func() error {
		ctx, cancel := context.WithTimeout(w.t.Context(), 10*time.Second)
		defer cancel()
		c, err := new(net.Dialer).DialContext(ctx, "tcp4", to)
		if err != nil {
			return err
		}
		defer c.Close()
		b, err := io.ReadAll(c)
		said = string(b)
		return err
	})
	return said, err
}

// wants says what a client has to hear; "" that nobody takes his call.
func (w *town) wants(what string, r rooms.Room, to, want string) {
	w.t.Helper()
	said, err := w.ask(r, to)
	if want == "" && !errors.Is(err, syscall.ECONNREFUSED) || want != "" && (err != nil || said != want) {
		w.t.Errorf("%s: %s says %q (%v), want %q\n%s", what, to, said, err, want, w.router.Run("nft list ruleset"))
	}
}

func (w *town) keep(key string, m platform.PortMapping) {
	w.t.Helper()
	reload(w.t, &w.p, put(w.t, &w.p, w.p.NAT.Mappings, key, m))
}

// TestNetNSPortMapping: a mapping, what it leads to, and who is left alone.
func TestNetNSPortMapping(t *testing.T) {
	w := newTown(t)
	w.router.Run("nft add table ip other; add chain ip other c { type nat hook prerouting priority -90 ; }; add rule ip other c counter")
	others := w.router.Run("nft list table ip other")
	w.serve(w.inside, "192.168.1.50:443")
	w.serve(w.router, "203.0.113.1:7547")
	const at = "203.0.113.1:8443"
	w.wants("before", w.outside, at, "")
	w.keep("map1", camera)
	w.wants("mapped", w.outside, at, "203.0.113.9")
	w.wants("from inside it is no business of wan0", w.inside, "192.168.1.1:8443", "")

	off := with(func(m *platform.PortMapping) { m.Enabled = false })
	w.keep("map1", off)
	w.wants("off", w.outside, at, "")
	if text := w.router.Run("nft list tables"); strings.Contains(text, tableName) {
		t.Errorf("a table without rules stays: %s", text)
	}

	w.keep("map1", with(func(m *platform.PortMapping) { m.RemoteHost = netip.MustParsePrefix("203.0.113.8/32") }))
	w.wants("for somebody else", w.outside, at, "")
	w.keep("map1", with(func(m *platform.PortMapping) { m.RemoteHost = netip.MustParsePrefix("203.0.113.8/31") }))
	w.wants("for his network", w.outside, at, "203.0.113.9")
	w.keep("map1", with(func(m *platform.PortMapping) { m.ExternalPort, m.ExternalPortLast = 8440, 8450 }))
	w.wants("a range", w.outside, at, "203.0.113.9")

	// Everything to one host, but the port where the ACS asks for sessions.
	if err := w.p.NAT.Own.OwnPort(t.Context(), 7547); err != nil {
		t.Fatal(err)
	}
	w.keep("map1", with(func(m *platform.PortMapping) { m.ExternalPort, m.AllInterfaces, m.Interface = 0, true, "" }))
	w.wants("all ports", w.outside, "203.0.113.1:443", "203.0.113.9")
	w.wants("our own port", w.outside, "203.0.113.1:7547", "203.0.113.9")
	w.serve(w.outside, "203.0.113.9:443")
	w.wayBack()
	w.wants("what only passes through", w.inside, "203.0.113.9:443", "192.168.1.50")
	row := platform.NATInterface{Enabled: true, Interface: "wan0"}
	reload(t, &w.p, put(t, &w.p, w.p.NAT.Interfaces, "nat1", row))
	w.wants("from outside", w.outside, "203.0.113.1:443", "203.0.113.9")
	w.wants("not from inside", w.inside, "203.0.113.1:443", "")
	if now := w.router.Run("nft list table ip other"); counterless(now) != counterless(others) {
		t.Errorf("somebody else's table was\n%s\nand is\n%s", others, now)
	}
}

// counterless is a listing without what its counters say.
func counterless(text string) string {
	var words []string
	f := strings.Fields(text)
	for i := 0; i < len(f); i++ {
		words = append(words, f[i])
		if f[i] == "packets" || f[i] == "bytes" {
			i++
		}
	}
	return strings.Join(words, " ")
}

// TestNetNSMasquerade: who leaves by the interface bears its address.
func TestNetNSMasquerade(t *testing.T) {
	w := newTown(t)
	w.wayBack()
	w.serve(w.outside, "203.0.113.9:80")
	w.wants("before", w.inside, "203.0.113.9:80", "192.168.1.50")
	row := platform.NATInterface{Enabled: true, Interface: "wan0"}
	reload(t, &w.p, put(t, &w.p, w.p.NAT.Interfaces, "nat1", row))
	w.wants("translated", w.inside, "203.0.113.9:80", "203.0.113.1")

	// Somebody flushes everything; it is known, and mended by the next reload.
	w.router.Run("nft flush ruleset")
	for key, err := range w.p.NAT.Applied.Applied(t.Context()) {
		t.Errorf("%q is in effect (%v)", key, err)
	}
	reload(t, &w.p, []string{"firewall"})
	w.wants("mended", w.inside, "203.0.113.9:80", "203.0.113.1")

	// The kernel forgets at a reboot; the next agent puts it back.
	w.router.Run("nft flush ruleset")
	w.p = open(t, w.router, w.dir)
	if err := w.p.Events.Watch(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	w.wants("put back", w.inside, "203.0.113.9:80", "203.0.113.1")
	row.Enabled = false
	reload(t, &w.p, put(t, &w.p, w.p.NAT.Interfaces, "nat1", row))
	w.wants("off", w.inside, "203.0.113.9:80", "192.168.1.50")
}

// TestNetNSListing: the kernel has what String says, by the word of nft(8), in the
// place of what it had, and as much as there can be.
func TestNetNSListing(t *testing.T) {
	r := rooms.New(t)
	k := nftables{r.File}
	rules := makeRules(entries(translating, "nat1", "nat2", "nat3", "nat4"), entries(order, "wild", "off", "port", "friend", "both"), nil, 7547)
	many := ruleset{outside: []string{"wan0"}, out: []outgoing{{"nat1", "wan0"}}}
	for i := range 256 {
		rule, _ := mappingRule(platform.Entry[platform.PortMapping]{Key: fmt.Sprintf("map%d", i), Value: order["both"]}, nil)
		rule.link = ""
		many.in = append(many.in, rule)
	}
	for range 2 {
		for _, set := range []ruleset{many, rules} {
			if err := k.replace(set); err != nil {
				t.Fatal(err)
			}
			if got := r.Run("nft list table ip " + tableName); got != set.String() {
				t.Fatalf("the kernel has\n%.2000s\nand is to have\n%.2000s", got, set)
			}
		}
	}
	keys, err := k.present()
	if got := strings.Join(keys, " "); err != nil || got != "both friend port wild nat1 nat2" {
		t.Errorf("present: %s (%v)", got, err)
	}
	// A batch that cannot be: what was there stays.
	bad := ruleset{out: []outgoing{{"x", "wan0"}}, in: []incoming{{key: strings.Repeat("x", 300), link: "wan0", to: netip.MustParseAddr("192.168.1.50")}}}
	if err := k.replace(bad); err == nil {
		t.Error("the kernel takes no more than 256 bytes with a rule, and took more")
	}
	if got := r.Run("nft list table ip " + tableName); got != rules.String() {
		t.Errorf("after a batch that failed the kernel has\n%s", got)
	}
}

// TestNetNSUnprivileged: who may not, has no such objects.
func TestNetNSUnprivileged(t *testing.T) {
	var p platform.Platform
	if Attach(&p, Options{Dir: t.TempDir(), Log: discard}); p.Config != nil || p.NAT.Mappings != nil {
		t.Error("without CAP_NET_ADMIN there are roles")
	}
}

// TestNetNSSuite runs the suite on the real kernel.
func TestNetNSSuite(t *testing.T) {
	platformtest.Tables(t, func(t *testing.T) (platform.Platform, platformtest.Knobs) {
		return open(t, rooms.New(t), filepath.Join(t.TempDir(), "config")), names
	})
}
