// The real systemd-networkd and systemd-hostnamed, without a systemd: in namespaces
// of their own, on a bus of their own. The real systemd-timedated is not among them:
// there is one clock for all namespaces, and the kernel moves it when it is first
// told a time zone (settimeofday(2)).

package linuxconf

import (
	"context"
	"errors"
	"log/slog"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/vishvananda/netlink"

	"gatehouse/lab/rooms"
	"gatehouse/platform"
	"gatehouse/platform/linux"
)

// theirDaemons starts the daemons in the folder $1, which is their /etc and /run. With
// a /sys that is read-only networkd does not wait for udev.
const theirDaemons = `
set -e
mount --make-rprivate /
mount --bind "$1/etc" /etc
mount --bind "$1/run" /run
mount -t sysfs -o ro sysfs /sys
mount -t proc proc /proc
for file in /run/host/container-manager /run/systemd/container; do mkdir -p $(dirname $file); echo gatehouse > $file; done
dbus-daemon --system --nofork --nopidfile &
while ! [ -S /run/dbus/system_bus_socket ]; do sleep 0.02; done
for daemon in hostnamed networkd; do /lib/systemd/systemd-$daemon & done
wait
`

// A realm is a machine with those daemons.
type realm struct {
	t    *testing.T
	root string
	room rooms.Room
	p    platform.Platform
	log  strings.Builder
}

func newRealm(t *testing.T) *realm {
	t.Helper()
	rooms.Need(t, "/lib/systemd/systemd-networkd", "/lib/systemd/systemd-hostnamed", "dbus-daemon", "unshare", "setpriv")
	r := &realm{t: t, room: rooms.New(t)}
	var err error
	if r.root, err = os.MkdirTemp("", "gh-realm"); err != nil { // short: there is a socket in it
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(r.root) })
	os.Chmod(r.root, 0o755) // networkd is a user of its own
	for _, file := range []string{"passwd", "group", "nsswitch.conf"} {
		text, err := os.ReadFile("/etc/" + file)
		if err != nil {
			t.Fatal(err)
		}
		r.write("etc/"+file, string(text))
	}
	r.write("etc/hostname", "debian\n")
	r.write("etc/machine-id", strings.Repeat("0123456789abcdef", 2)+"\n")
	r.write("etc/systemd/network/20-bridge.network", "[Match]\nName=br*\n[Network]\nAddress=192.168.1.1/24\nLinkLocalAddressing=no\nConfigureWithoutCarrier=yes\n")
	if err := os.MkdirAll(filepath.Join(r.root, "run/dbus"), 0o755); err != nil {
		t.Fatal(err)
	}
	r.room.Links(func(h *netlink.Handle) error {
		return errors.Join(h.LinkAdd(&netlink.Bridge{LinkAttrs: netlink.LinkAttrs{Name: "br0"}}),
			h.LinkAdd(&netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: "wan0"}, PeerName: "isp0"}))
	})
	r.start()
	return r
}

func (r *realm) write(path, text string) {
	r.t.Helper()
	path = filepath.Join(r.root, path)
	if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(text), 0o644)); err != nil {
		r.t.Fatal(err)
	}
}

// start starts the daemons, and waits until networkd has set up the bridge.
func (r *realm) start() {
	r.t.Helper()
	cmd := exec.Command("setpriv", "--bounding-set=-sys_time,-sys_boot,-sys_module", "unshare", "--mount", "--uts", "--pid", "--fork", "--kill-child", "sh", "-c", theirDaemons, "sh", r.root)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	var said strings.Builder
	cmd.Stderr = &said
	started := make(chan error)
	ended := make(chan struct{})
	go r.room.Within(func() error { // the thread lives as long as the daemons, which die with it
		err := cmd.Start()
		started <- err
		if err == nil {
			cmd.Wait()
		}
		close(ended)
		return nil
	})
	if err := <-started; err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() {
		cmd.Process.Kill()
		<-ended
		if r.t.Failed() && !r.t.Skipped() {
			r.t.Logf("the daemons said:\n%s\nand we:\n%s", &said, &r.log)
		}
	})
	r.await("networkd has the bridge", func() bool {
		select {
		case <-ended:
			rooms.Lacking(r.t, "the daemons do not run here: %s", &said)
		default:
		}
		return slices.Contains(r.addresses("br0"), "192.168.1.1/24") && r.attach() == nil
	})
}

// await waits for what another process does.
func (r *realm) await(what string, as func() bool) {
	r.t.Helper()
	for until := time.Now().Add(20 * time.Second); !as(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(until) {
			r.t.Fatalf("%s: not in time", what)
		}
	}
}

// addresses are those of a link, from the kernel.
func (r *realm) addresses(link string) (all []string) {
	r.t.Helper()
	r.room.Links(func(h *netlink.Handle) error {
		l, err := h.LinkByName(link)
		if err != nil {
			return err
		}
		have, err := h.AddrList(l, netlink.FAMILY_ALL)
		for _, a := range have {
			all = append(all, a.IPNet.String())
		}
		return err
	})
	return all
}

// inFile is the system's name, which the kernel has in another namespace.
type inFile struct {
	platform.System
	path string
}

func (f inFile) Hostname(context.Context) (string, error) {
	text, err := os.ReadFile(f.path)
	return strings.TrimSpace(string(text)), err
}

// attach opens the machine anew; the error says that not all of it is there yet.
func (r *realm) attach() error {
	p, err := linux.New(linux.Options{Root: r.root, NetNS: r.room.File})
	if err != nil {
		return err
	}
	r.p = platform.Platform{System: inFile{path: r.root + "/etc/hostname"}, Links: p.Links, Addresses: p.Addresses, Routes: p.Routes}
	Attach(&r.p, Options{Root: r.root, Dir: r.root + "/state", Bus: "unix:path=" + r.root + "/run/dbus/system_bus_socket", NetNS: r.room.File, Log: slog.New(slog.NewTextHandler(&r.log, nil))})
	if r.p.Host == nil || r.p.Interfaces.Table == nil {
		return errors.New("not all daemons are there yet")
	}
	return nil
}

// TestNetNSNetworkd: what is configured is what the kernel has, and goes again.
func TestNetNSNetworkd(t *testing.T) {
	t.Parallel()
	r := newRealm(t)
	tables := r.p.Interfaces.Table
	var row platform.Interface
	for e, err := range tables.Rows(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		if e.Key == "br0" {
			row = e.Value
		}
	}
	if len(row.Addrs) != 1 || row.Addrs[0].Prefix.String() != "192.168.1.1/24" {
		t.Fatalf("br0 is %+v", row)
	}
	row.MTU = 1400
	row.Addrs = append(slices.Clone(row.Addrs), platform.InterfaceAddr{Key: "gh1", Enabled: true, Prefix: netip.MustParsePrefix("10.8.0.1/24")})
	batch, err := r.p.Config.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	tables.Put(batch, "br0", row)
	r.p.Routing.Put(batch, "route1", platform.StaticRoute{
		Enabled: true, Dest: netip.MustParsePrefix("198.51.100.0/24"), Gateway: netip.MustParseAddr("10.8.0.9"), Interface: "br0", Metric: 7})
	if err := batch.Prepare(t.Context()); err != nil {
		t.Fatal(err)
	}
	undo := batch.Undo()
	if _, err := batch.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	reload(t, &r.p, batch.Reloads())
	if have := r.addresses("br0"); !slices.Contains(have, "10.8.0.1/24") || !slices.Contains(have, "192.168.1.1/24") {
		t.Errorf("br0 has %q", have)
	}
	route := func() (there bool) {
		for x, err := range r.p.Routes.Routes(t.Context(), false) {
			there = there || err == nil && x.Dest.String() == "198.51.100.0/24" && x.Metric == 7 && x.Link == "br0"
		}
		return there
	}
	if !route() {
		t.Error("the route is not there")
	}
	r.room.Links(func(h *netlink.Handle) error {
		l, err := h.LinkByName("br0")
		if err == nil && l.Attrs().MTU != 1400 {
			t.Errorf("the MTU is %d", l.Attrs().MTU)
		}
		return err
	})
	// wan0 has no file: networkd leaves it to others.
	for e := range tables.Rows(t.Context()) {
		if e.Key == "wan0" {
			b, err := r.p.Config.Begin(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			tables.Put(b, "wan0", e.Value)
			if err := b.Prepare(t.Context()); !errors.Is(err, platform.ErrUnsupported) {
				t.Errorf("wan0 is somebody else's: %v", err)
			}
		}
	}
	services, err := r.p.Config.Undo(t.Context(), undo)
	if err != nil {
		t.Fatal(err)
	}
	reload(t, &r.p, services)
	r.await("taken back", func() bool { return !slices.Contains(r.addresses("br0"), "10.8.0.1/24") && !route() })
	if have := r.addresses("br0"); !slices.Contains(have, "192.168.1.1/24") {
		t.Errorf("br0 has %q", have)
	}
}

// TestNetNSHostName: as the real systemd-hostnamed keeps it.
func TestNetNSHostName(t *testing.T) {
	t.Parallel()
	r := newRealm(t)
	batch, err := r.p.Config.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	r.p.Host.Put(batch, "host", platform.HostConfig{Name: "gw-1"})
	if err := batch.Prepare(t.Context()); err != nil {
		t.Fatal(err)
	}
	undo := batch.Undo()
	if _, err := batch.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	called := func(when, name string) {
		t.Helper()
		if text, err := os.ReadFile(r.root + "/etc/hostname"); err != nil || strings.TrimSpace(string(text)) != name {
			t.Errorf("%s it is called %q (%v)", when, text, err)
		}
	}
	reload(t, &r.p, batch.Reloads())
	called("configured,", "gw-1")
	services, err := r.p.Config.Undo(t.Context(), undo)
	if err != nil {
		t.Fatal(err)
	}
	reload(t, &r.p, services)
	called("taken back,", "debian")
}
