package linuxconf

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"gatehouse/platform"
	"gatehouse/platform/platformtest"
)

// An office is a machine with dnsmasq as a service, on folders.
type office struct {
	t       *testing.T
	root    string
	units   *services
	p       platform.Platform
	power   restarts
	machine machine
}

func newOffice(t *testing.T) *office {
	o := &office{t: t, root: t.TempDir(), units: &services{known: []string{dnsmasqUnit}}}
	o.write("etc/dnsmasq.d/README", "")
	o.write("proc/net/udp", "  sl  local_address rem_address   st\n   7: 00000000:0043 00000000:0000 07\n")
	o.start()
	return o
}

// start is a new process on the same machine.
func (o *office) start() {
	o.p = platform.Platform{Power: &o.power, Events: watcher(func() {})}
	o.machine = machine{p: &o.p, running: []string{}, units: o.units,
		Options: Options{Root: o.root, Dir: filepath.Join(o.root, "state"), Log: discard}}
	attach(&o.machine)
}

func (o *office) write(name, text string) {
	o.t.Helper()
	name = filepath.Join(o.root, name)
	if err := errors.Join(os.MkdirAll(filepath.Dir(name), 0o700), os.WriteFile(name, []byte(text), 0o600)); err != nil {
		o.t.Fatal(err)
	}
}

// file is what dnsmasq would read, "" when it is not there.
func (o *office) file() string {
	o.t.Helper()
	b, err := os.ReadFile(filepath.Join(o.root, dnsmasqFile))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		o.t.Fatal(err)
	}
	return string(b)
}

// keep has a pool kept and taken up.
func (o *office) keep(row platform.DHCPPool) error {
	o.t.Helper()
	return o.p.Config.Reload(o.t.Context(), put(o.t, &o.p, o.p.DHCP.Pools, "pool1", row))
}

func (o *office) must(err error) {
	o.t.Helper()
	if err != nil {
		o.t.Fatal(err)
	}
}

// ordered fails the test unless these are the orders that systemd had since.
func (o *office) ordered(when string, orders ...string) {
	o.t.Helper()
	if got := o.units.orders(); !slices.Equal(got, orders) {
		o.t.Errorf("%s: systemd was told %q, want %q", when, got, orders)
	}
}

// applied fails the test unless these pools are in effect.
func (o *office) applied(when string, keys ...string) {
	o.t.Helper()
	var got []string
	for key, err := range o.p.DHCP.Applied.Applied(o.t.Context()) {
		o.must(err)
		got = append(got, key)
	}
	if !slices.Equal(got, keys) {
		o.t.Errorf("%s: in effect are %q, want %q", when, got, keys)
	}
}

const again = "restart " + dnsmasqUnit

// TestDHCPAbsent: without a dnsmasq that systemd starts, and its folder, there is
// no DHCP server to configure.
func TestDHCPAbsent(t *testing.T) {
	for name, break1 := range map[string]func(*office, *machine){
		"no bus":    func(_ *office, m *machine) { m.running = nil },
		"no unit":   func(o *office, _ *machine) { o.units.known = nil },
		"no folder": func(o *office, _ *machine) { o.must(os.RemoveAll(filepath.Join(o.root, "etc"))) },
	} {
		t.Run(name, func(t *testing.T) {
			o := newOffice(t)
			m := o.machine
			m.p = &platform.Platform{}
			break1(o, &m)
			if attach(&m); m.p.DHCP.Pools != nil || m.p.Config != nil || m.p.DHCP.Applied != nil {
				t.Errorf("there are %+v", m.p.DHCP)
			}
		})
	}
	if o := newOffice(t); o.p.DHCP.Pools == nil || o.p.DHCP.Server == nil || o.p.DHCP.Hosts == nil || o.p.DHCP.Options == nil {
		t.Errorf("there are %+v", o.p.DHCP)
	}
}

// TestDHCPTakenUp: dnsmasq is restarted when, and only when, it has to hear of
// something.
func TestDHCPTakenUp(t *testing.T) {
	o := newOffice(t)
	o.must(o.p.Events.Watch(t.Context(), nil))
	o.ordered("nothing is configured")
	o.must(o.keep(platform.DHCPPool{Interface: "lan0", LeaseTime: time.Hour}))
	o.ordered("a pool that is off")
	if text := o.file(); text != "" {
		t.Errorf("dnsmasq is told of nothing:\n%s", text)
	}
	o.must(o.keep(guests))
	o.ordered("a pool", again)
	o.applied("a pool", "pool1")
	info, err := os.Stat(filepath.Join(o.root, dnsmasqFile))
	if text := o.file(); err != nil || info.Mode().Perm() != 0o644 || !strings.Contains(text, head+"192.168.1.20,192.168.1.30,3600\n") {
		t.Errorf("mode %v (%v):\n%s", info.Mode(), err, text)
	}
	o.must(o.p.Config.Reload(t.Context(), []string{lan}))
	o.ordered("the same once more")
	o.must(o.p.Config.Reload(t.Context(), []string{firewall}))
	o.ordered("another package")

	reload(t, &o.p, put(t, &o.p, o.p.DHCP.Server, "dnsmasq", platform.DHCPServer{}))
	o.ordered("the server is off", again)
	o.applied("the server is off")
	reload(t, &o.p, put(t, &o.p, o.p.DHCP.Server, "dnsmasq", platform.DHCPServer{Enabled: true}))
	o.ordered("the server is on", again)
	o.applied("the server is on", "pool1")
	for _, name := range []string{"state/" + lan, dnsmasqFile} {
		if matches, _ := filepath.Glob(filepath.Join(o.root, filepath.Dir(name), ".*")); len(matches) > 0 {
			t.Errorf("left over: %q", matches)
		}
	}
}

// TestDHCPAtStart: dnsmasq keeps its file over a reboot, so at start there is work
// only after somebody has stopped half way, or has taken the file away.
func TestDHCPAtStart(t *testing.T) {
	o := newOffice(t)
	begin := func() {
		t.Helper()
		o.start()
		o.ordered("opened only")
		o.must(o.p.Events.Watch(t.Context(), nil))
	}
	put(t, &o.p, o.p.DHCP.Pools, "pool1", guests)
	begin()
	o.ordered("committed, and never taken up", again)
	begin()
	o.ordered("all is as it was")
	o.applied("as dnsmasq says that it was started", "pool1")

	o.units.last = time.Now().Add(-time.Hour)
	o.applied("dnsmasq runs longer than the file is there")
	begin()
	o.ordered("it was written, and dnsmasq not restarted", again)

	o.must(o.units.Stop(t.Context(), dnsmasqUnit))
	o.units.orders()
	o.applied("dnsmasq was stopped")
	begin()
	o.ordered("dnsmasq was stopped", again)

	o.must(os.Remove(filepath.Join(o.root, dnsmasqFile)))
	o.applied("the file was taken away")
	begin()
	o.ordered("the file was taken away", again)

	o.write("proc/net/udp", "  sl  local_address rem_address   st\n   7: 00000000:0035 00000000:0043 07\n")
	o.applied("nobody listens where clients ask")
}

// TestDHCPForeignFile: a file of our name that is somebody else's stays.
func TestDHCPForeignFile(t *testing.T) {
	const theirs = "dhcp-range=192.168.7.2,192.168.7.9\n"
	for name, make := range map[string]func(o *office){
		"a file":   func(o *office) { o.write(dnsmasqFile, theirs) },
		"an empty": func(o *office) { o.write(dnsmasqFile, "") },
		"a link": func(o *office) {
			o.write("elsewhere", ours)
			o.must(os.Symlink(filepath.Join(o.root, "elsewhere"), filepath.Join(o.root, dnsmasqFile)))
		},
		"a folder": func(o *office) { o.must(os.Mkdir(filepath.Join(o.root, dnsmasqFile), 0o700)) },
	} {
		t.Run(name, func(t *testing.T) {
			o := newOffice(t)
			make(o)
			before, _ := os.Lstat(filepath.Join(o.root, dnsmasqFile))
			o.must(o.p.Events.Watch(t.Context(), nil))
			var failed *platform.ServiceError
			if err := o.keep(guests); !errors.As(err, &failed) || failed.Service != lan || !errors.Is(err, errForeign) || !strings.Contains(err.Error(), dnsmasqFile) {
				t.Errorf("taken up: %v", err)
			}
			o.applied("refused")
			o.must(o.p.Power.FactoryReset(t.Context()))
			after, err := os.Lstat(filepath.Join(o.root, dnsmasqFile))
			if err != nil || !os.SameFile(before, after) || !before.ModTime().Equal(after.ModTime()) {
				t.Errorf("it was touched (%v)", err)
			}
			o.ordered("nothing was taken up")
		})
	}
}

// TestDHCPFails: a dnsmasq that does not come up is its own failure, and with what
// was there before it comes up again.
func TestDHCPFails(t *testing.T) {
	o := newOffice(t)
	o.must(o.keep(guests))
	before := o.file()
	o.ordered("at first", again)
	b, err := o.p.Config.Begin(t.Context())
	o.must(err)
	worse := guests
	worse.Max = ip("192.168.1.60")
	o.p.DHCP.Pools.Put(b, "pool1", worse)
	o.must(b.Prepare(t.Context()))
	undo, services := b.Undo(), b.Reloads()
	ours := func(w platform.Write) bool {
		return w.File == filepath.Join(o.root, dnsmasqFile) && w.Service == dnsmasqUnit && strings.Contains(w.New, "192.168.1.60")
	}
	if writes := b.Writes(); !slices.ContainsFunc(writes, ours) || !slices.Equal(services, []string{lan}) || o.file() != before {
		t.Errorf("a dry run writes %+v, for %q", writes, services)
	}
	_, err = b.Commit(t.Context())
	o.must(err)
	o.units.fail = map[string]error{dnsmasqUnit: errors.New("the job has ended as failed")}
	var failed *platform.ServiceError
	if err := o.p.Config.Reload(t.Context(), services); !errors.As(err, &failed) || failed.Service != lan {
		t.Errorf("taken up: %v", err)
	}
	o.applied("it does not run")
	o.units.fail = nil
	services, err = o.p.Config.Undo(t.Context(), undo)
	o.must(err)
	reload(t, &o.p, services)
	o.ordered("taken back", again, again)
	if o.applied("taken back", "pool1"); o.file() != before {
		t.Errorf("it was\n%s and is\n%s", before, o.file())
	}

	o.units.fail = map[string]error{dnsmasqUnit: errors.New("again")}
	if err := o.keep(worse); err == nil {
		t.Error("taken up by nobody")
	}
	o.units.fail = nil
	reload(t, &o.p, []string{lan})
	o.ordered("the same file, which nobody has read", again, again)
}

func TestDHCPFactoryReset(t *testing.T) {
	o := newOffice(t)
	o.must(o.keep(guests))
	o.ordered("at first", again)
	o.must(o.p.Power.FactoryReset(t.Context()))
	o.ordered("reset", again)
	if o.file() != "" || o.power != 1 {
		t.Errorf("restarted %d times; left:\n%s", o.power, o.file())
	}
	o.must(o.p.Power.FactoryReset(t.Context()))
	o.ordered("nothing is left to take out")

	// A dnsmasq that somebody has stopped is not started for that.
	o.must(o.keep(guests))
	o.must(o.units.Stop(t.Context(), dnsmasqUnit))
	o.units.orders()
	o.must(o.p.Power.FactoryReset(t.Context()))
	o.ordered("stopped")
}

// deaf is a service manager that does not answer.
type deaf struct{ units }

func (deaf) Since(context.Context, string) (time.Time, error) {
	return time.Time{}, errors.New("no answer")
}

func TestDHCPSystemdGone(t *testing.T) {
	o := newOffice(t)
	o.must(o.keep(guests))
	o.machine.units = deaf{o.units}
	attach(&o.machine)
	var gone *platform.Unavailable
	for key, err := range o.p.DHCP.Applied.Applied(t.Context()) {
		if !errors.As(err, &gone) || gone.Source != "systemd" {
			t.Errorf("%q is in effect: %v", key, err)
		}
	}
	if gone == nil {
		t.Error("whether the pool is in effect is known")
	}
}

// TestRelay: the relay's switch and its name servers are dnsmasq's as well.
func TestRelay(t *testing.T) {
	o := newOffice(t)
	tables := o.p
	row := platform.DNSForward{Enabled: true, Relay: true, Server: ip("192.0.2.53")}
	reload(t, &o.p, put(t, &o.p, tables.Forwards, "dns1", row))
	if text := o.file(); text != ours+"server=192.0.2.53\n" {
		t.Errorf("%s", text)
	}
	reload(t, &o.p, put(t, &o.p, tables.Naming, "dns", platform.DNSConfig{ClientEnabled: true}))
	if text := o.file(); text != ours+"port=0\nserver=192.0.2.53\n" {
		t.Errorf("%s", text)
	}
	o.ordered("both", again, again)
	reload(t, &o.p, put(t, &o.p, tables.Naming, "dns", platform.DNSConfig{ClientEnabled: true, RelayEnabled: true}))
	row.Enabled = false
	reload(t, &o.p, put(t, &o.p, tables.Forwards, "dns1", row))
	if text := o.file(); text != ours {
		t.Errorf("%s", text)
	}
	b, err := o.p.Config.Begin(t.Context())
	o.must(err)
	item := o.p.Forwards.Put(b, "dns2", platform.DNSForward{Server: ip("192.0.2.53")})
	var blame *platform.ItemError
	if err := b.Prepare(t.Context()); !errors.As(err, &blame) || blame.Item != item || !errors.Is(err, platform.ErrUnsupported) || !o.p.RelayOnly {
		t.Errorf("a name server of the device itself, whom nobody would ask: %v", err)
	}
	o.must(b.Rollback(t.Context()))
}

// TestRelayBesideResolver: with dnsmasq and systemd-resolved each has its servers,
// and systemd itself is asked.
func TestRelayBesideResolver(t *testing.T) {
	d := startDaemons(t)
	d.mu.Lock()
	d.loaded = append(d.loaded, dnsmasqUnit)
	d.mu.Unlock()
	b := newBoard(t, d)
	if err := os.MkdirAll(filepath.Join(b.root, filepath.Dir(dnsmasqFile)), 0o755); err != nil {
		t.Fatal(err)
	}
	b.start()
	if b.p.DHCP.Pools == nil || b.p.Naming == nil || b.p.RelayOnly {
		t.Fatalf("there are %+v, %v", b.p.DHCP, b.p.Naming)
	}
	reload(t, &b.p, put(t, &b.p, b.p.Forwards, "dns1", platform.DNSForward{Enabled: true, Relay: true, Server: ip("192.0.2.1"), Interface: "wan0"}))
	reload(t, &b.p, put(t, &b.p, b.p.Forwards, "dns2", platform.DNSForward{Enabled: true, Server: ip("192.0.2.2")}))
	b.want("the relay's", b.file(dnsmasqFile), ours+"server=192.0.2.1@wan0\n")
	b.want("the device's", b.file(resolvedFile), ours+"[Resolve]\nDNS=192.0.2.2\n")
	if said := b.said(); !slices.Equal(said, []string{"RestartUnit " + dnsmasqUnit, "RestartUnit " + resolvedUnit}) {
		t.Errorf("%q were asked", said)
	}
	if err := b.p.Events.Watch(t.Context(), nil); err != nil || len(b.said()) != 0 {
		t.Errorf("what is as it should be is restarted (%v)", err)
	}
}

// TestDHCPSuite runs the suite of the tables on a machine with dnsmasq.
func TestDHCPSuite(t *testing.T) {
	platformtest.Tables(t, func(t *testing.T) (platform.Platform, platformtest.Knobs) {
		o := newOffice(t)
		row := guests
		row.Interface, row.Min, row.Max = names.Bridge, ip("192.168.1.100"), ip("192.168.1.249")
		o.must(o.keep(row))
		return o.p, names
	})
}
