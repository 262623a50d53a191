package linuxconf

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/godbus/dbus/v5"

	"gatehouse/platform"
	"gatehouse/platform/platformtest"
)

// rowsIn are rows in memory.
type rowsIn[T any] []T

func (r rowsIn[T]) each(ctx context.Context) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		for _, row := range r {
			if !yield(row, ctx.Err()) {
				return
			}
		}
	}
}

type linksIn struct{ rowsIn[platform.Link] }

func (l linksIn) Links(ctx context.Context) iter.Seq2[platform.Link, error] { return l.each(ctx) }

type addressesIn struct{ rowsIn[platform.Address] }

func (a addressesIn) Addresses(ctx context.Context) iter.Seq2[platform.Address, error] {
	return a.each(ctx)
}

type routesIn struct{ rowsIn[platform.Route] }

func (r routesIn) Routes(ctx context.Context, ipv6 bool) iter.Seq2[platform.Route, error] {
	if ipv6 {
		return rowsIn[platform.Route](nil).each(ctx)
	}
	return r.each(ctx)
}

// wired is a board with links that its networkd manages.
type wired struct {
	*board
	state string // of the links after a reload; "": configured
	deaf  bool   // networkd does not take up what it reads
}

// The files of others. /run is where netplan writes.
const (
	bridgeFile = "/etc/systemd/network/20-bridge.network"
	wanFile    = "/run/systemd/network/10-netplan-wan0.network"
	bridgeText = "# the home\n[Match]\nName=br* \\\n  lan*\n\n[Network]\nAddress=192.168.1.1/24\nConfigureWithoutCarrier=yes\nIPForward=yes\n[Address]\nAddress=169.254.7.7/16\nScope=link\n"
	wanText    = "[Match]\nType=ether\n[Network]\nDHCP=yes\nVLAN=wan0.7\n[DHCP]\nRouteMetric=100\n"
)

var wiredLinks = []platform.Link{
	{Name: "lo", Index: 1, Kind: platform.LinkLoopback, Enabled: true, Running: true},
	{Name: "wan0", Index: 2, Enabled: true, Running: true, Upstream: true},
	{Name: "br0", Index: 3, Kind: platform.LinkBridge, Enabled: true, Running: true},
	{Name: "lan0", Index: 4, Enabled: true, Running: true, Master: "br0"},
	{Name: "spare0", Index: 5, Enabled: true, Running: true},
	{Name: "br-guest", Index: 6, Kind: platform.LinkBridge, Enabled: true},
}

func newWired(t testing.TB) *wired {
	t.Helper()
	w := &wired{board: newBoard(t, startDaemons(t))}
	w.write(bridgeFile, bridgeText)
	w.write(wanFile, wanText)
	w.write("/run/systemd/netif/leases/2", "# private\nSERVER_ADDRESS=192.0.2.1\nDNS=192.0.2.53 192.0.2.54\n")
	w.read()
	w.mu.Lock()
	w.reloaded = w.read
	w.mu.Unlock()
	w.restart()
	return w
}

func (w *wired) write(path, text string) {
	w.Helper()
	path = filepath.Join(w.root, path)
	if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(text), 0o644)); err != nil {
		w.Fatal(err)
	}
}

// restart is a new process.
func (w *wired) restart() {
	w.p = platform.Platform{
		System: kernelName{d: w.daemons}, Clock: wallClock{d: w.daemons}, Power: &w.power, Events: watcher(func() {}),
		Links: linksIn{wiredLinks},
		Addresses: addressesIn{rowsIn[platform.Address]{
			{Link: "wan0", Prefix: netip.MustParsePrefix("192.0.2.2/24"), Dynamic: true}, {Link: "br0", Prefix: netip.MustParsePrefix("192.168.1.1/24"), Permanent: true},
			{Link: "br-guest", Prefix: netip.MustParsePrefix("192.168.2.1/24"), Permanent: true},
		}},
		Routes: routesIn{rowsIn[platform.Route]{{Dest: netip.MustParsePrefix("0.0.0.0/0"), Gateway: netip.MustParseAddr("192.0.2.1"), Link: "wan0"}}},
	}
	w.attach()
	if t, ok := w.p.Interfaces.Table.(interfaceTable); ok {
		t.n.settle = 20 * time.Millisecond
	}
}

// turns changes what networkd makes of the files that it reads.
func (w *wired) turns(state string, deaf bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.state, w.deaf = state, deaf
}

// read is networkd reading its files: the first that matches counts.
func (w *wired) read() {
	w.mu.Lock()
	become, deaf := w.state, w.deaf
	w.mu.Unlock()
	base := map[string]string{"wan0": wanFile, "br0": bridgeFile, "spare0": wanFile, "br-guest": bridgeFile}
	for _, l := range wiredLinks {
		text := "# This is private data. Do not parse.\nADMIN_STATE=unmanaged\n"
		if file := base[l.Name]; file != "" {
			ours := (&netd{}).fileOf(l.Name)
			if _, err := os.Stat(filepath.Join(w.root, ours)); err == nil && !deaf {
				file = ours
			}
			text = "ADMIN_STATE=" + cmp.Or(become, "configured") + "\nNETWORK_FILE=" + file + "\n"
		}
		w.write("/run/systemd/netif/links/"+strconv.Itoa(l.Index), text)
	}
	if conn := w.conns[networkd.destination]; conn != nil {
		conn.Emit("/org/freedesktop/network1/link/_32", "org.freedesktop.DBus.Properties.PropertiesChanged", "org.freedesktop.network1.Link", map[string]dbus.Variant{}, []string{})
	}
}

func (w *wired) row(key string) platform.Interface {
	w.Helper()
	for e, err := range w.p.Interfaces.Table.Rows(w.Context()) {
		if err != nil {
			w.Fatal(err)
		}
		if e.Key == key {
			return e.Value
		}
	}
	w.Fatalf("there is no %s", key)
	panic("unreachable")
}

// keep has a row of an interface kept, and returns what taking it up leads to.
func (w *wired) keep(t *testing.T, key string, edit func(*platform.Interface)) error {
	t.Helper()
	row := w.row(key)
	row.Addrs, row.DNS = slices.Clone(row.Addrs), slices.Clone(row.DNS)
	edit(&row)
	return w.p.Config.Reload(t.Context(), put(t, &w.p, w.p.Interfaces.Table, key, row))
}

// TestNetworkSuite runs the suite of the tables that every backend passes.
func TestNetworkSuite(t *testing.T) {
	platformtest.Tables(t, func(t *testing.T) (platform.Platform, platformtest.Knobs) { return newWired(t).p, names })
}

// TestNetworkRows: what the files of others say is what there is.
func TestNetworkRows(t *testing.T) {
	w := newWired(t)
	var keys []string
	for e, err := range w.p.Interfaces.Table.Rows(t.Context()) {
		if err != nil || !e.Fixed {
			t.Errorf("%+v (%v)", e, err)
		}
		keys = append(keys, e.Key)
	}
	if want := []string{"lo", "wan0", "br0", "spare0", "br-guest"}; !slices.Equal(keys, want) {
		t.Errorf("interfaces %q, want %q", keys, want)
	}
	if r := w.row("wan0"); r.Proto != "dhcp" || r.Addrs != nil || !r.Enabled {
		t.Errorf("wan0 is %+v", r)
	}
	if r := w.row("br0"); r.Proto != "static" || len(r.Addrs) != 1 || r.Addrs[0].Prefix.String() != "192.168.1.1/24" {
		t.Errorf("br0 is %+v", r)
	}
	states := map[string]platform.InterfaceState{}
	for s, err := range w.p.Interfaces.State.InterfaceStates(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		states[s.Key] = s
	}
	if s := states["wan0"]; !s.Up || len(s.Addrs) != 1 || fmt.Sprint(s.Routers, s.Server, s.DNS) != "[192.0.2.1] 192.0.2.1 [192.0.2.53 192.0.2.54]" {
		t.Errorf("wan0 is doing so: %+v", s)
	}
	if s := states["br-guest"]; s.Up || s.Addrs != nil {
		t.Errorf("br-guest is doing so: %+v", s)
	}
	if _, _, err := w.p.Interfaces.Table.Fresh(t.Context()); !errors.Is(err, platform.ErrUnsupported) {
		t.Errorf("an interface without a link: %v", err)
	}
}

// TestNetworkFile: our file says what the one that it stands in for says, but for
// what is configured.
func TestNetworkFile(t *testing.T) {
	w := newWired(t)
	const file = "/etc/systemd/network/10-gatehouse-br0.network"
	if err := w.keep(t, "br0", func(i *platform.Interface) {
		i.Addrs = append(i.Addrs, platform.InterfaceAddr{Key: "gh1", Enabled: true, Prefix: netip.MustParsePrefix("10.8.0.1/24")},
			platform.InterfaceAddr{Key: "gh2", Prefix: netip.MustParsePrefix("10.9.0.1/24")})
		i.MTU = 1400
	}); err != nil {
		t.Fatal(err)
	}
	w.want("the file", w.file(file), ours+inThePlaceOf+bridgeFile+"\n\n[Match]\nName=br0\n\n[Network]\nConfigureWithoutCarrier=yes\nIPForward=yes\nAddress=192.168.1.1/24\nAddress=10.8.0.1/24\n\n"+
		"[Address]\nAddress=169.254.7.7/16\nScope=link\n\n[Link]\nMTUBytes=1400\n")
	w.want("their file", w.file(bridgeFile), bridgeText)
	// Again it stands in for theirs, and not for itself.
	if err := w.keep(t, "br0", func(i *platform.Interface) { i.Enabled = false }); err != nil {
		t.Fatal(err)
	}
	if text := w.file(file); !strings.HasPrefix(text, ours+inThePlaceOf+bridgeFile+"\n") || !strings.Contains(text, "ActivationPolicy=always-down") || strings.Count(text, "IPForward") != 1 {
		t.Errorf("the file is\n%s", text)
	}
	if r := w.row("br0"); r.Enabled || r.MTU != 1400 || len(r.Addrs) != 3 {
		t.Errorf("read back: %+v", r)
	}
	// A name that UCI cannot have, and a DHCP client's link.
	if err := w.keep(t, "br-guest", func(i *platform.Interface) { i.MTU = 1300 }); err != nil {
		t.Fatal(err)
	}
	if text := w.file("/etc/systemd/network/10-gatehouse-br_2dguest.network"); !strings.Contains(text, "Name=br-guest\n") || !strings.Contains(text, "MTUBytes=1300") {
		t.Errorf("the file is\n%s", text)
	}
	if err := w.keep(t, "wan0", func(i *platform.Interface) { i.IPv6 = true; i.MTU = 1492 }); err != nil {
		t.Fatal(err)
	}
	if text := w.file("/etc/systemd/network/10-gatehouse-wan0.network"); !strings.Contains(text, "DHCP=yes\nVLAN=wan0.7\n") || !strings.Contains(text, "[DHCP]\nRouteMetric=100\n") {
		t.Errorf("the file is\n%s", text)
	}
	reload(t, &w.p, put(t, &w.p, w.p.Routing, "route1", platform.StaticRoute{
		Enabled: true, Dest: netip.MustParsePrefix("198.51.100.0/24"), Gateway: netip.MustParseAddr("192.168.1.9"), Interface: "spare0", Metric: 7,
	}))
	if text := w.file("/etc/systemd/network/10-gatehouse-spare0.network"); !strings.Contains(text, "[Route]\nDestination=198.51.100.0/24\nGateway=192.168.1.9\nMetric=7\n") {
		t.Errorf("the file is\n%s", text)
	}
	reload(t, &w.p, put(t, &w.p, w.p.Forwards, "dns1", platform.DNSForward{Enabled: true, Server: netip.MustParseAddr("192.0.2.99"), Interface: "spare0"}))
	if text := w.file("/etc/systemd/network/10-gatehouse-spare0.network"); !strings.Contains(text, "DNS=192.0.2.99\n") || w.file(resolvedFile) != "" {
		t.Errorf("the file is\n%s", text)
	}
	// A start does not know whether the one before came as far as telling networkd,
	// which makes nothing of what it knows. A factory reset leaves theirs alone.
	w.said()
	w.restart()
	if err := w.p.Events.Watch(t.Context(), nil); err != nil || !slices.Equal(w.said(), []string{"Reload"}) {
		t.Errorf("what was written before a crash is not taken up (%v)", err)
	}
	if reload(t, &w.p, []string{networkPackage}); len(w.said()) != 0 {
		t.Error("networkd is told again of what it knows")
	}
	if err := w.p.Power.FactoryReset(t.Context()); err != nil {
		t.Error(err)
	}
	left, _ := filepath.Glob(filepath.Join(w.root, networkFolder, "*"))
	if len(left) != 1 || w.file(bridgeFile) != bridgeText || !slices.Equal(w.said(), []string{"Reload"}) {
		t.Errorf("left: %q", left)
	}
}

// TestNetworkUplink: a change of the way to the ACS says so, for it is taken back
// when the ACS is gone after it.
func TestNetworkUplink(t *testing.T) {
	w := newWired(t)
	for key, want := range map[string]bool{"wan0": true, "br0": false} {
		b, err := w.p.Config.Begin(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		row := w.row(key)
		row.MTU = 1400
		w.p.Interfaces.Table.Put(b, key, row)
		if err := b.Prepare(t.Context()); err != nil {
			t.Fatal(err)
		}
		files := map[string]bool{}
		for _, x := range b.Writes() {
			if files[x.File] = true; x.Uplink != want {
				t.Errorf("%s: %+v", key, x)
			}
		}
		if ours := "/etc/systemd/network/10-gatehouse-" + key + ".network"; !files[ours] {
			t.Errorf("a dry run tells of %v, not of %s", files, ours)
		}
		if err := b.Rollback(t.Context()); err != nil {
			t.Error(err)
		}
	}
}

// TestNetworkRefuses: what networkd could not be told is not promised.
func TestNetworkRefuses(t *testing.T) {
	w := newWired(t)
	for key, edit := range map[string]func(*platform.Interface){
		"lo":     func(i *platform.Interface) { i.MTU = 1400 },
		"wan0":   func(i *platform.Interface) { i.Proto = "pppoe" },
		"br0":    func(i *platform.Interface) { i.Device = "spare0" },
		"spare0": func(i *platform.Interface) { i.Zone = "wan" },
	} {
		row := w.row(key)
		edit(&row)
		if err := refused(t, w.board, w.p.Interfaces.Table, key, row); !errors.Is(err, platform.ErrUnsupported) {
			t.Errorf("%s: %v", key, err)
		}
	}
	if err := refused(t, w.board, w.p.Interfaces.Table, "eth9", w.row("br0")); !errors.Is(err, platform.ErrGone) {
		t.Errorf("a link that is not there: %v", err)
	}
	for _, r := range []platform.StaticRoute{{Enabled: true, Dest: netip.MustParsePrefix("198.51.100.0/24")}, {Enabled: true, Interface: "lo"}} {
		refused(t, w.board, w.p.Routing, "route1", r)
	}
	w.write("/run/systemd/network/20-bridge.network.d/more.conf", "[Network]\nDomains=home\n")
	if err := refused(t, w.board, w.p.Interfaces.Table, "br0", w.row("br0")); !strings.Contains(err.Error(), "more.conf") {
		t.Errorf("what others have added is lost: %v", err)
	}
	w.write("/run/systemd/netif/links/5", "ADMIN_STATE=unmanaged\n")
	if err := refused(t, w.board, w.p.Interfaces.Table, "spare0", w.row("spare0")); !strings.Contains(err.Error(), "does not manage spare0") {
		t.Errorf("somebody else's link: %v", err)
	}
	batch, err := w.p.Config.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	item := w.p.Interfaces.Table.Delete(batch, "br0")
	var blamed *platform.ItemError
	if err := batch.Prepare(t.Context()); !errors.As(err, &blamed) || blamed.Item != item || !errors.Is(err, platform.ErrUnsupported) {
		t.Errorf("a link is deleted: %v", err)
	}
	if err := batch.Rollback(t.Context()); err != nil {
		t.Error(err)
	}
}

// TestNetworkTrouble: networkd is named, and so are the link and the file.
func TestNetworkTrouble(t *testing.T) {
	more := func(i *platform.Interface) { i.MTU = 1400 }
	for name, c := range map[string]struct {
		spoil func(w *wired)
		want  string
	}{
		"fails":    {func(w *wired) { w.turns("failed", false) }, "systemd-networkd cannot set up br0 as /etc/systemd/network/10-gatehouse-br0.network says"},
		"polkit":   {func(w *wired) { w.refuses("Reload", errPolkit) }, "systemd-networkd: Reload: we are not allowed to"},
		"vanishes": {func(w *wired) { w.vanishes("Reload") }, "systemd-networkd: Reload: it has ended without an answer"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWired(t)
			c.spoil(w)
			var failed *platform.ServiceError
			if err := w.keep(t, "br0", more); !errors.As(err, &failed) || failed.Service != "network" || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%v, want %s", err, c.want)
			}
		})
	}
	w := newWired(t)
	w.turns("", true)
	ctx, stop := context.WithTimeout(t.Context(), time.Second)
	defer stop()
	row := w.row("br0")
	more(&row)
	if err := w.p.Config.Reload(ctx, put(t, &w.p, w.p.Interfaces.Table, "br0", row)); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("networkd does not take the file up: %v", err)
	}
	n := w.p.Interfaces.Table.(interfaceTable).n
	l, err := n.link(t.Context(), "br0")
	if err != nil {
		t.Fatal(err)
	}
	if err, waiting := n.verdict([]networkLink{l}); !waiting || err == nil || !strings.Contains(err.Error(), "has not taken up") {
		t.Errorf("%v", err)
	}
}

// FuzzNetworkFile: a file of others, whatever it says, reads again as it was
// written, and says of a link what the row says.
func FuzzNetworkFile(f *testing.F) {
	f.Add(bridgeText)
	f.Add(wanText)
	f.Add("[Network\nAddress=1.2.3.4/5\\\n#x\n=\n[]\n[Address]\nAddress=::1/64")
	f.Fuzz(func(t *testing.T, text string) {
		file := parseNetwork(text)
		row := file.row("eth0")
		row.MTU, row.Enabled = 1400, true
		again := parseNetwork(file.render("eth0", row, nil))
		if got := again.row("eth0"); got.MTU != 1400 || got.Proto != row.Proto || !got.Enabled {
			t.Errorf("%q: %+v became %+v", text, row, got)
		}
		if got := again.values("Match", "Name"); !slices.Equal(got, []string{"eth0"}) || len(again.values("Match", "MACAddress")) != 0 {
			t.Errorf("%q is for %q", text, got)
		}
	})
}

func TestSectionNames(t *testing.T) {
	for _, link := range []string{"eth0", "br-lan", "eth0.100", "a_b", "_", "_2d", "wlp3s0@2", "ö"} {
		if s := sectionOf(link); linkOfSection(s) != link || strings.Trim(s, "abcdefghijklmnopqrstuvwxyz0123456789_") != "" {
			t.Errorf("%s is %s, which is %s", link, s, linkOfSection(s))
		}
	}
}
