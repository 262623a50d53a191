// The real dnsmasq in a network namespace, and a real DHCP client (udhcpc) at the
// other end of a cable.

package linuxconf

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/vishvananda/netlink"

	"gatehouse/datamodel"
	"gatehouse/datamodel/tr181"
	"gatehouse/lab/rooms"
	"gatehouse/platform"
	"gatehouse/platform/linux"
)

// A butler starts dnsmasq in a room, with Debian's arguments, as systemd would.
type butler struct {
	r    rooms.Room
	root string

	mu      sync.Mutex
	process *exec.Cmd
	ended   chan struct{}
	said    *bytes.Buffer
	since   time.Time
}

func (b *butler) Present(context.Context, string) (bool, error) { return true, nil }

// Stop implements units.
func (b *butler) Stop(context.Context, string) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.process != nil {
		_ = b.process.Process.Kill()
		<-b.ended
		b.process, b.since = nil, time.Time{}
	}
	return nil
}

// Since implements units.
func (b *butler) Since(context.Context, string) (time.Time, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.process != nil {
		select {
		case <-b.ended:
			return time.Time{}, nil
		default:
		}
	}
	return b.since, nil
}

// Restart implements units: a start is done when dnsmasq has written its process
// id, as with Type=forking.
func (b *butler) Restart(ctx context.Context, unit string) error {
	if err := b.Stop(ctx, unit); err != nil {
		return err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	pid := filepath.Join(b.root, "dnsmasq.pid")
	_ = os.Remove(pid)
	b.process = exec.Command("dnsmasq", "-k", "-C", "/dev/null", "-x", pid, "-u", "root", "-7", filepath.Join(b.root, "etc/dnsmasq.d")+",.dpkg-dist,.dpkg-old,.dpkg-new",
		"-l", filepath.Join(b.root, "var/lib/misc/dnsmasq.leases"), "--no-resolv", "--no-hosts", "--no-ping", "--log-dhcp", "--log-facility=-")
	b.ended, b.said = make(chan struct{}), &bytes.Buffer{}
	b.process.Stderr = b.said
	if err := b.r.Within(b.process.Start); err != nil {
		b.process = nil
		return err
	}
	go func() {
		defer close(b.ended)
		_ = b.process.Wait()
	}()
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
		select {
		case <-b.ended:
			return fmt.Errorf("%s: it has ended: %s", unit, b.said)
		default:
		}
		if text, err := os.ReadFile(pid); err == nil && len(text) > 0 {
			b.since = time.Now()
			sockets := filepath.Join(b.root, "proc/net/udp")
			_ = os.Remove(sockets)
			return os.Symlink(fmt.Sprintf("/proc/%d/net/udp", b.process.Process.Pid), sockets)
		}
	}
	return fmt.Errorf("%s: it does not come up: %s", unit, b.said)
}

// A quarter is an office with a network: a home at the cable lan0.
type quarter struct {
	*office
	router, home rooms.Room
	butler       *butler
}

func newQuarter(t *testing.T) *quarter {
	rooms.Need(t, "dnsmasq", "busybox")
	q := &quarter{office: newOffice(t), router: rooms.New(t), home: rooms.New(t)}
	q.must(os.MkdirAll(filepath.Join(q.root, "var/lib/misc"), 0o700))
	q.wire("lan0", "192.168.1.1/24")
	q.butler = &butler{r: q.router, root: q.root}
	t.Cleanup(func() { _ = q.butler.Stop(context.Background(), "") })
	p, err := linux.New(linux.Options{Root: q.root, NetNS: q.router.File, Run: func(context.Context, ...string) error {
		return errors.New("this machine is not to be restarted")
	}})
	q.must(err)
	q.p = p
	q.p.Events, q.p.Power = watcher(func() {}), &q.power
	q.machine.p, q.machine.units = &q.p, q.butler
	attach(&q.machine)
	return q
}

// wire leads a cable from the router to the home.
func (q *quarter) wire(name, addr string) {
	rooms.Cable(rooms.End{Room: q.router, Name: name, Addr: addr}, rooms.End{Room: q.home, Name: name})
}

// An offer is what a client was given, as udhcpc tells its script.
type offer map[string]string

// ask has a client with a MAC address ask for an address until it has one.
func (q *quarter) ask(link, mac string, args ...string) offer {
	q.t.Helper()
	return q.asks(20, link, mac, args...)
}

// asksInVain has a client ask once that is to get none.
func (q *quarter) asksInVain(what, link, mac string, args ...string) {
	q.t.Helper()
	if got := q.asks(1, link, mac, args...); got != nil {
		q.t.Errorf("%s: it gets %v\n%s", what, got, q.file())
	}
}

// asks has a client ask so many times; nil when it gets no address.
func (q *quarter) asks(times int, link, mac string, args ...string) offer {
	q.t.Helper()
	q.home.Links(func(h *netlink.Handle) error {
		l, err := h.LinkByName(link)
		if err != nil {
			return err
		}
		address, err := net.ParseMAC(mac)
		return errors.Join(err, h.LinkSetHardwareAddr(l, address))
	})
	out := filepath.Join(q.t.TempDir(), "offer")
	script := filepath.Join(filepath.Dir(out), "script")
	q.must(os.WriteFile(script, []byte("#!/bin/sh\n[ \"$1\" = bound ] && env > "+out+"\nexit 0\n"), 0o700))
	args = append([]string{"udhcpc", "-f", "-q", "-n", "-t", fmt.Sprint(times), "-T", "1", "-i", link, "-s", script, "-O", "43", "-O", "42", "-O", "66"}, args...)
	q.must(q.home.Within(func() error {
		_ = exec.Command("busybox", args...).Run() // it fails when it gets nothing
		return nil
	}))
	text, err := os.ReadFile(out)
	if err != nil {
		return nil
	}
	given := offer{}
	for line := range strings.Lines(string(text)) {
		name, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), "=")
		given[name] = value
	}
	return given
}

// gets fails the test unless the client is given all of want.
func (q *quarter) gets(what string, got offer, want string) {
	q.t.Helper()
	for _, word := range strings.Split(want, ";") {
		name, value, _ := strings.Cut(strings.TrimSpace(word), "=")
		if got[name] != value {
			q.t.Errorf("%s: %s is %q, want %q: %v\n%s\n%s", what, name, got[name], value, got, q.file(), q.butler.said)
		}
	}
}

// pool is one on lan0 with what is to be there.
func pool(low, high string, change func(*platform.DHCPPool)) platform.DHCPPool {
	p := platform.DHCPPool{Enabled: true, Order: 1, Interface: "lan0", Min: ip(low), Max: ip(high), Mask: ip("255.255.255.0"), LeaseTime: time.Hour}
	if change != nil {
		change(&p)
	}
	return p
}

const (
	macC = "00:00:5e:00:53:0c"
	macD = "00:00:5e:00:53:0d"
)

// configure keeps rows in one batch, and has dnsmasq take them up.
func (q *quarter) configure(fill func(b platform.ConfigBatch)) {
	q.t.Helper()
	b, err := q.p.Config.Begin(q.t.Context())
	q.must(err)
	fill(b)
	q.must(b.Prepare(q.t.Context()))
	services := b.Reloads()
	_, err = b.Commit(q.t.Context())
	q.must(err)
	q.must(q.p.Config.Reload(q.t.Context(), services))
}

func (q *quarter) pools(pools ...platform.DHCPPool) {
	q.t.Helper()
	q.configure(func(b platform.ConfigBatch) {
		for i, p := range pools {
			q.p.DHCP.Pools.Put(b, fmt.Sprintf("pool%d", i+1), p)
		}
	})
}

// values reads the data model below a path.
func (q *quarter) values(path string) map[string]string {
	q.t.Helper()
	tree, err := datamodel.New(datamodel.Options{})
	q.must(err)
	_, err = tree.Add(tr181.New(q.p, tr181.Agent{}).Objects()...)
	q.must(err)
	all := map[string]string{}
	for item, err := range tree.Values(q.t.Context(), path) {
		q.must(err)
		all[strings.TrimPrefix(item.Name, path)] = item.Value
	}
	return all
}

// leases are those that are known of a MAC address.
func (q *quarter) leases(mac string) (all []platform.Lease) {
	q.t.Helper()
	for l, err := range q.p.DHCP.Leases.Leases(q.t.Context()) {
		q.must(err)
		if l.MAC == mac {
			all = append(all, l)
		}
	}
	return all
}

// TestNetNSDHCP: a pool with an address that is reserved and one that is kept for a
// client, what the clients are told, and what the model tells of them.
func TestNetNSDHCP(t *testing.T) {
	t.Parallel()
	q := newQuarter(t)
	q.applied("nothing is configured")
	options := []platform.DHCPOption{
		{Tag: 43, Value: []byte("\x01\x04acs\n")}, {Tag: 42, Value: []byte{192, 0, 2, 7}}, {Tag: 66, Value: []byte("tftp.example")},
	}
	q.configure(func(b platform.ConfigBatch) {
		q.p.DHCP.Pools.Put(b, "pool1", pool("192.168.1.20", "192.168.1.23", func(p *platform.DHCPPool) {
			p.Reserved, p.Routers, p.DNS, p.Domain = ips("192.168.1.21"), ips("192.168.1.2"), ips("192.168.1.3", "9.9.9.9"), "home.example"
		}))
		for i, o := range options {
			o.Enabled, o.Pool = true, "pool1"
			q.p.DHCP.Options.Put(b, fmt.Sprintf("opt%d", i), o)
		}
		q.p.DHCP.Hosts.Put(b, "host1", platform.DHCPHost{Enabled: true, Pool: "pool1", MAC: macC, Addr: ip("192.168.1.22")})
	})
	q.applied("a pool", "pool1")
	const told = "subnet=255.255.255.0; router=192.168.1.2; dns=192.168.1.3 9.9.9.9; domain=home.example; lease=3600; opt43=01046163730a; ntpsrv=192.0.2.7; tftp=tftp.example"
	a, b := q.ask("lan0", macA), q.ask("lan0", macB, "-r", "192.168.1.21")
	q.gets("the first", a, told)
	q.gets("the second", b, told)
	if pair := a["ip"] + " " + b["ip"]; pair != "192.168.1.20 192.168.1.23" && pair != "192.168.1.23 192.168.1.20" {
		t.Errorf("the pool gave %s", pair)
	}
	q.asksInVain("one too many, who asks for what is reserved", "lan0", macD, "-r", "192.168.1.21")
	q.asksInVain("one too many, who asks for another's", "lan0", macD, "-r", "192.168.1.22")
	q.gets("the one for whom it is kept", q.ask("lan0", macC), "ip=192.168.1.22; "+told)

	model := q.values("Device.DHCPv4.Server.Pool.1.")
	for name, want := range map[string]string{
		"Status": "Enabled", "ClientNumberOfEntries": "3", client(model, macA) + "IPv4Address.1.IPAddress": a["ip"],
		client(model, macB) + "IPv4Address.1.IPAddress": b["ip"], client(model, macC) + "IPv4Address.1.IPAddress": "192.168.1.22",
		"Option.1.Value": hex.EncodeToString(options[0].Value), "StaticAddress.1.Yiaddr": "192.168.1.22",
	} {
		if !strings.EqualFold(model[name], want) {
			t.Errorf("%s is %q, want %q", name, model[name], want)
		}
	}

	q.configure(func(b platform.ConfigBatch) {
		q.p.DHCP.Hosts.Put(b, "host1", platform.DHCPHost{Pool: "pool1", MAC: macC, Addr: ip("192.168.1.22")})
	})
	q.asksInVain("one who was switched off has no address, nor has his", "lan0", macC)
	q.configure(func(b platform.ConfigBatch) { q.p.DHCP.Server.Put(b, "dnsmasq", platform.DHCPServer{}) })
	q.applied("switched off")
	q.asksInVain("the server is off", "lan0", macA)
	q.must(q.p.Power.FactoryReset(t.Context()))
	if q.file() != "" {
		t.Errorf("after a reset there is\n%s", q.file())
	}
}

// client is the row of a client of a pool.
func client(model map[string]string, mac string) string {
	for name, value := range model {
		if row, ok := strings.CutSuffix(name, "Chaddr"); ok && strings.HasPrefix(name, "Client.") && strings.EqualFold(value, mac) {
			return row
		}
	}
	return "no client " + mac + " "
}

// TestNetNSDHCPOrder: of two pools that overlap the first that has an address
// counts, with all that it tells its clients.
func TestNetNSDHCPOrder(t *testing.T) {
	t.Parallel()
	q := newQuarter(t)
	small := pool("192.168.1.30", "192.168.1.30", func(p *platform.DHCPPool) { p.Domain, p.LeaseTime = "small.example", 2*time.Hour })
	large := pool("192.168.1.29", "192.168.1.31", func(p *platform.DHCPPool) { p.Order, p.Domain, p.LeaseTime = 2, "large.example", -1 })
	large.Reserved = ips("192.168.1.29")
	q.pools(small, large)
	q.gets("the first pool", q.ask("lan0", macA), "ip=192.168.1.30; domain=small.example; lease=7200")
	q.gets("the next has what is left", q.ask("lan0", macB), "ip=192.168.1.31; domain=large.example; lease=4294967295")
	if l := q.leases(macB); len(l) != 1 || !l[0].Ends.IsZero() {
		t.Errorf("a lease for ever is %+v", l)
	}
	small.Order, large.Order = 2, 1
	q.pools(small, large)
	q.gets("in the other order", q.ask("lan0", macA, "-r", "192.168.1.30"), "ip=192.168.1.30; domain=large.example; lease=4294967295")
}

// TestNetNSDHCPLinks: a pool is for the clients of its interface.
func TestNetNSDHCPLinks(t *testing.T) {
	t.Parallel()
	q := newQuarter(t)
	q.wire("guest0", "192.168.1.129/24") // the same network once more, as an evil twin
	q.wire("other0", "10.0.0.1/24")
	q.pools(pool("192.168.1.20", "192.168.1.29", nil), pool("10.0.0.20", "10.0.0.20", func(p *platform.DHCPPool) {
		p.Interface, p.Mask, p.Domain = "other0", netip.Addr{}, "other.example"
	}))
	if got := q.ask("lan0", macA); !strings.HasPrefix(got["ip"], "192.168.1.2") {
		t.Errorf("at lan0: %v", got)
	}
	q.gets("at other0", q.ask("other0", macB), "ip=10.0.0.20; subnet=255.255.255.0; router=10.0.0.1; domain=other.example")
	q.asksInVain("at guest0", "guest0", macC)
}

// TestNetNSDHCPHostileNames: a client may call itself anything, and lay claim to
// anything.
func TestNetNSDHCPHostileNames(t *testing.T) {
	t.Parallel()
	q := newQuarter(t)
	q.pools(pool("192.168.1.20", "192.168.1.60", nil))
	before := q.file()
	for i, name := range []string{
		"it's", "\"quoted\"", "$(reboot)", "a\ndhcp-range=10.0.0.1,10.0.0.9", "a b\t* *", "4102444800 02:00:00:00:00:01 192.168.1.66 x *", "caf\xe9", "\xff\xfe\x00x",
		"\x1b[2J", "-", "*", "..", "localhost", strings.Repeat("x", 253), strings.Repeat("a.", 120), "äöü", "%s%n", "<script>",
	} {
		mac := fmt.Sprintf("00:00:5e:00:53:%02x", 0x20+i)
		got := q.ask("lan0", mac, "-x", "0x0c:"+hex.EncodeToString([]byte(name)))
		leases := q.leases(mac)
		if got == nil || len(leases) != 1 || leases[0].Addr.String() != got["ip"] {
			t.Fatalf("%.40q gets %v, and there is %+v\n%s", name, got, leases, q.butler.said)
		}
		for _, c := range []byte(leases[0].Name) {
			if c <= ' ' || c >= 0x7f {
				t.Errorf("%.40q has the name %q", name, leases[0].Name)
			}
		}
	}
	n := 0
	for l, err := range q.p.DHCP.Leases.Leases(t.Context()) {
		q.must(err)
		if n++; !strings.HasPrefix(l.MAC, "00:00:5e:00:53:") {
			t.Errorf("somebody has made up %+v", l)
		}
	}
	if model := q.values("Device.DHCPv4.Server.Pool.1."); model["ClientNumberOfEntries"] != fmt.Sprint(n) || q.file() != before {
		t.Errorf("the model has %s clients of %d; the file is\n%s", model["ClientNumberOfEntries"], n, q.file())
	}
	for _, err := range q.p.Neighbors.Neighbors(t.Context()) {
		q.must(err)
	}
}

// TestNetNSDHCPOptions: the bytes of an option reach the client as they are,
// whatever dnsmasq has to be told for that.
func TestNetNSDHCPOptions(t *testing.T) {
	t.Parallel()
	q := newQuarter(t)
	q.pools(pool("192.168.1.20", "192.168.1.60", nil))
	const all = "0123456789abcdef"
	for _, o := range []struct {
		tag   uint8
		value string
		want  string
	}{
		{43, all, "opt43=" + hex.EncodeToString([]byte(all))}, {43, "\x07", "opt43=07"}, {160, "\n", "opt160=0a"},
		{119, "\x01a\x07example\x00\x01b\x04home\x00", "search=a.example b.home"}, {121, "\x18\xc0\x00\x02\xc0\xa8\x01\x02", "staticroutes=192.0.2.0/24 192.168.1.2"},
		{26, "\x05\xdc", "mtu=1500"}, {23, "\x40", "ipttl=64"}, {100, "CET-1CEST,M3.5.0,M10.5.0/3", "tzstr=CET-1CEST,M3.5.0,M10.5.0/3"},
		{43, string(bytes.Repeat([]byte{0xff}, 180)), "opt43=" + strings.Repeat("ff", 180)}, // more does not fit a packet of 576 bytes
	} {
		q.configure(func(b platform.ConfigBatch) {
			q.p.DHCP.Options.Put(b, "opt1", platform.DHCPOption{Enabled: true, Pool: "pool1", Tag: o.tag, Value: []byte(o.value)})
		})
		q.gets(fmt.Sprintf("option %d %.20q", o.tag, o.value), q.ask("lan0", macA, "-O", fmt.Sprint(o.tag)), o.want)
	}
}

// TestNetNSDHCPBroken: a configuration with which dnsmasq does not start is told
// with the service, and no pool is in effect.
func TestNetNSDHCPBroken(t *testing.T) {
	t.Parallel()
	q := newQuarter(t)
	q.write("etc/dnsmasq.d/theirs.conf", "dhcp-host="+macB+",192.168.1.25\n")
	q.pools(pool("192.168.1.20", "192.168.1.60", nil))
	q.applied("theirs beside ours", "pool1")
	services := put(t, &q.p, q.p.DHCP.Hosts, "host1", platform.DHCPHost{Enabled: true, Pool: "pool1", MAC: macA, Addr: ip("192.168.1.25")})
	var failed *platform.ServiceError
	if err := q.p.Config.Reload(t.Context(), services); !errors.As(err, &failed) || !strings.Contains(err.Error(), "duplicate dhcp-host") {
		t.Errorf("taken up: %v", err)
	}
	q.applied("it does not start")
}
