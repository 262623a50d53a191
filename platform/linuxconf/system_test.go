package linuxconf

import (
	"context"
	"errors"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"gatehouse/lab/rooms"
	"gatehouse/platform"
	"gatehouse/platform/platformtest"
)

// A board is a Linux on a folder, with daemons and nobody who watches it yet.
type board struct {
	*daemons
	root, dir string
	p         platform.Platform
	power     restarts
	log       strings.Builder
}

// kernelName is what the kernel says; systemd-hostnamed tells it.
type kernelName struct {
	platform.System
	d *daemons
}

func (k kernelName) Hostname(context.Context) (string, error) {
	name, _ := k.d.property("org.freedesktop.hostname1.StaticHostname").(string)
	return name, nil
}

// wallClock is what platform/linux tells of timedated's files.
type wallClock struct {
	platform.Clock
	d *daemons
}

func (w wallClock) Time(context.Context) (platform.TimeStatus, error) {
	zone, _ := w.d.property("org.freedesktop.timedate1.Timezone").(string)
	on, _ := w.d.property("org.freedesktop.timedate1.NTP").(bool)
	rule := (&clock{zoneinfo: "/usr/share/zoneinfo"}).rule(zone)
	return platform.TimeStatus{Zone: zone, POSIX: rule, NTP: on, Servers: []string{"0.debian.pool.ntp.org"}}, nil
}

func newBoard(t testing.TB, d *daemons) *board {
	t.Helper()
	if _, err := os.Stat("/usr/share/zoneinfo/zone1970.tab"); err != nil {
		rooms.Lacking(t, "needs tzdata: %v", err)
	}
	b := &board{daemons: d, root: t.TempDir()}
	b.dir = filepath.Join(b.root, "state", "config")
	if err := os.MkdirAll(filepath.Join(b.root, "usr/share"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("/usr/share/zoneinfo", filepath.Join(b.root, "usr/share/zoneinfo")); err != nil {
		t.Fatal(err)
	}
	b.start()
	return b
}

// start is a new process on the same machine.
func (b *board) start() {
	b.p = platform.Platform{System: kernelName{d: b.daemons}, Clock: wallClock{d: b.daemons}, Power: &b.power, Events: watcher(func() {})}
	b.attach()
}

func (b *board) attach() {
	Attach(&b.p, Options{Dir: b.dir, Root: b.root, Bus: b.address, Log: slog.New(slog.NewTextHandler(&b.log, nil))})
	b.said()
}

// file is what a file of the system holds, "" when it is not there.
func (b *board) file(path string) string {
	b.Helper()
	text, err := os.ReadFile(filepath.Join(b.root, path))
	if errors.Is(err, os.ErrNotExist) {
		return ""
	}
	if err != nil {
		b.Fatal(err)
	}
	return string(text)
}

// change changes the only row of a table, and has it taken up.
func change[T any](t *testing.T, b *board, table platform.Table[T], edit func(*T)) {
	t.Helper()
	var services []string
	for e, err := range table.Rows(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		edit(&e.Value)
		services = put(t, &b.p, table, e.Key, e.Value)
	}
	reload(t, &b.p, services)
}

// refused tries to put a row and returns why it cannot be.
func refused[T any](t *testing.T, b *board, table platform.Table[T], key string, row T) error {
	t.Helper()
	batch, err := b.p.Config.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	item := table.Put(batch, key, row)
	err = batch.Prepare(t.Context())
	var blamed *platform.ItemError
	if !errors.As(err, &blamed) || blamed.Item != item {
		t.Errorf("%+v: %v blames nobody", row, err)
	}
	if err := batch.Rollback(t.Context()); err != nil {
		t.Error(err)
	}
	return err
}

func (b *board) want(what string, got, want any) {
	b.Helper()
	if got != want {
		b.Errorf("%s is %q, want %q", what, got, want)
	}
}

const (
	staticHostname = "org.freedesktop.hostname1.StaticHostname"
	timezone       = "org.freedesktop.timedate1.Timezone"
	ntpOn          = "org.freedesktop.timedate1.NTP"
)

// TestSystemSuite runs the suite of the tables that every backend passes.
func TestSystemSuite(t *testing.T) {
	platformtest.Tables(t, func(t *testing.T) (platform.Platform, platformtest.Knobs) {
		return newBoard(t, startDaemons(t)).p, names
	})
}

func TestHostName(t *testing.T) {
	b := newBoard(t, startDaemons(t))
	name := func() string {
		row, err := only(t.Context(), b.p.Host)
		if err != nil {
			t.Fatal(err)
		}
		return row.Name
	}
	b.want("the name", name(), "debian")
	change(t, b, b.p.Host, func(h *platform.HostConfig) { h.Name = "gw-1" })
	b.want("the name", name(), "gw-1")
	b.want("the system's name", b.property(staticHostname), "gw-1")
	b.said()

	// Another start leaves alone what is as it should be, and what somebody else has
	// made of it.
	start := func() {
		t.Helper()
		b.start()
		if err := b.p.Events.Watch(t.Context(), nil); err != nil {
			t.Fatal(err)
		}
	}
	if start(); len(b.said()) != 0 {
		t.Error("what is as it should be is written again")
	}
	b.set(staticHostname, "the-administrators")
	start()
	b.want("the name", name(), "the-administrators")
	b.want("the system's name", b.property(staticHostname), "the-administrators")
	change(t, b, b.p.Host, func(h *platform.HostConfig) { h.Name = "gw-2" })
	b.want("the name", name(), "gw-2")
	b.want("the system's name", b.property(staticHostname), "gw-2")

	for _, bad := range []string{"", "a b", "-", "a\nb", strings.Repeat("a", 65)} {
		refused(t, b, b.p.Host, "host", platform.HostConfig{Name: bad})
	}
	if err := b.p.Power.FactoryReset(t.Context()); err != nil || b.power != 1 {
		t.Errorf("restarted %d times (%v)", b.power, err)
	}
	b.want("the system's name after a factory reset", b.property(staticHostname), "debian")
	if _, err := os.Stat(b.dir); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("left: %v", err)
	}
}

// TestResetTriedAgain: a reset that a daemon stood in the way of still knows how
// things were when it is tried again.
func TestResetTriedAgain(t *testing.T) {
	b := newBoard(t, startDaemons(t))
	change(t, b, b.p.Host, func(h *platform.HostConfig) { h.Name = "gw-1" })
	b.refuses("SetStaticHostname", errPolkit)
	if err := b.p.Power.FactoryReset(t.Context()); err == nil || b.power != 0 {
		t.Errorf("restarted %d times, with a name that stays (%v)", b.power, err)
	}
	b.refuses("SetStaticHostname", nil)
	if err := b.p.Power.FactoryReset(t.Context()); err != nil || b.power != 1 {
		t.Errorf("restarted %d times (%v)", b.power, err)
	}
	b.want("the system's name", b.property(staticHostname), "debian")
}

// TestTakenBack: an undo brings back what there was, in the system as well.
func TestTakenBack(t *testing.T) {
	b := newBoard(t, startDaemons(t))
	batch, err := b.p.Config.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	b.p.Host.Put(batch, "host", platform.HostConfig{Name: "gw-1"})
	b.p.Timing.Put(batch, "system", platform.TimeConfig{Enabled: false, Zone: "CET-1CEST,M3.5.0,M10.5.0/3", Servers: []string{"ntp.example"}})
	if err := batch.Prepare(t.Context()); err != nil {
		t.Fatal(err)
	}
	var says []string
	for _, w := range batch.Writes() {
		if strings.HasPrefix(w.File, "/etc/") {
			says = append(says, w.File+" "+w.Place+"="+w.New)
		}
	}
	slices.Sort(says)
	want := []string{"/etc/hostname =gw-1", "/etc/localtime =CET-1CEST,M3.5.0,M10.5.0/3",
		"/etc/systemd/system/sysinit.target.wants/systemd-timesyncd.service =0", "/etc/systemd/timesyncd.conf.d/gatehouse.conf Time.NTP=ntp.example"}
	if !slices.Equal(says, want) {
		t.Errorf("a dry run tells\n%q, want\n%q", says, want)
	}
	undo := batch.Undo()
	if _, err := batch.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	reload(t, &b.p, batch.Reloads())
	b.want("the name", b.property(staticHostname), "gw-1")
	zone, _ := b.property(timezone).(string)
	b.want("the rule of "+zone, (&clock{zoneinfo: "/usr/share/zoneinfo"}).rule(zone), "CET-1CEST,M3.5.0,M10.5.0/3")
	b.want("the time client", b.property(ntpOn), false)
	b.want("the servers", b.file(timesyncFile), ours+"[Time]\nNTP=\nNTP=ntp.example\n")

	services, err := b.p.Config.Undo(t.Context(), undo)
	if err != nil {
		t.Fatal(err)
	}
	b.said()
	reload(t, &b.p, services)
	b.want("the name", b.property(staticHostname), "debian")
	b.want("the zone", b.property(timezone), "Etc/UTC")
	b.want("the time client", b.property(ntpOn), true)
	b.want("the servers", b.file(timesyncFile), "")
	if said := b.said(); !slices.Contains(said, "RestartUnit systemd-timesyncd.service") {
		t.Errorf("timesyncd goes on with the servers that it had: %q", said)
	}
	b.want("what there was before", b.file("state/config/"+pastName), "")
}

func TestTime(t *testing.T) {
	b := newBoard(t, startDaemons(t))
	row, err := only(t.Context(), b.p.Timing)
	if want := (platform.TimeConfig{Enabled: true, Zone: "UTC0", Name: "Etc/UTC", Servers: []string{"0.debian.pool.ntp.org"}}); err != nil || row.Zone != want.Zone || row.Name != want.Name || !row.Enabled {
		t.Errorf("nothing is configured, and the time is %+v (%v)", row, err)
	}
	// The rule may be written in more than one way, and more than one place may
	// have it: the one where we are stays.
	b.set(timezone, "Europe/Vienna")
	change(t, b, b.p.Timing, func(c *platform.TimeConfig) { c.Zone, c.Name = "CET-1CEST,M3.5.0/2,M10.5.0/03:00:00", "" })
	b.want("the zone", b.property(timezone), "Europe/Vienna")
	change(t, b, b.p.Timing, func(c *platform.TimeConfig) { c.Zone, c.Name = "EST5EDT,M3.2.0,M11.1.0", "America/New_York" })
	b.want("the zone", b.property(timezone), "America/New_York")
	b.said()
	change(t, b, b.p.Timing, func(c *platform.TimeConfig) { c.Servers = []string{"192.0.2.1", "ntp.example", "2001:db8::1"} })
	b.want("the servers", b.file(timesyncFile), ours+"[Time]\nNTP=\nNTP=192.0.2.1 ntp.example 2001:db8::1\n")
	if said := b.said(); !slices.Equal(said, []string{"RestartUnit " + timesyncd}) {
		t.Errorf("for servers %q were asked", said)
	}
	info, err := os.Stat(filepath.Join(b.root, timesyncFile))
	if err != nil || info.Mode().Perm() != 0o644 {
		t.Errorf("timesyncd, which is a user of its own, cannot read it: %v (%v)", info.Mode(), err)
	}
	for _, bad := range []platform.TimeConfig{
		{Zone: "XYZ7"}, {Zone: "UTC0", Name: "Europe/Atlantis"}, {Zone: "UTC0", Name: "../../../etc/passwd"}, {Zone: "UTC0", Name: "/etc/passwd"}, {Zone: "UTC0", Name: "zone1970.tab"},
		{Zone: "UTC0", Servers: []string{`x\`}}, {Zone: "UTC0", Servers: []string{"a b"}}, {Zone: "UTC0", Servers: []string{"a\n[Time]"}}, {Zone: "UTC0", Serves: true},
	} {
		refused(t, b, b.p.Timing, "system", bad)
	}
	change(t, b, b.p.Timing, func(c *platform.TimeConfig) { c.Enabled = false })
	b.want("the time client", b.property(ntpOn), false)
	b.said()
	change(t, b, b.p.Timing, func(c *platform.TimeConfig) { c.Servers = []string{"192.0.2.9"} })
	if said := b.said(); len(said) != 0 {
		t.Errorf("a time client that is off is started by %q", said)
	}
	b.set("org.freedesktop.timedate1.CanNTP", false)
	row, _ = only(t.Context(), b.p.Timing)
	row.Enabled = true
	if err := refused(t, b, b.p.Timing, "system", row); !errors.Is(err, platform.ErrUnsupported) {
		t.Errorf("a client that is not there is switched on: %v", err)
	}
}

func TestNameServers(t *testing.T) {
	b := newBoard(t, startDaemons(t))
	add := func(key, server string) {
		t.Helper()
		reload(t, &b.p, put(t, &b.p, b.p.Forwards, key, platform.DNSForward{Enabled: true, Server: netip.MustParseAddr(server)}))
	}
	add("dns1", "192.0.2.53")
	add("dns2", "2001:db8::53")
	b.want("the servers", b.file(resolvedFile), ours+"[Resolve]\nDNS=192.0.2.53 2001:db8::53\n")
	if said := b.said(); !slices.Equal(said, []string{"RestartUnit " + resolvedUnit, "RestartUnit " + resolvedUnit}) {
		t.Errorf("%q were asked", said)
	}
	for _, bad := range []platform.DNSForward{{Relay: true}, {Interface: "eth0"}, {Server: netip.MustParseAddr("fe80::1%eth0")}} {
		refused(t, b, b.p.Forwards, "dns3", bad)
	}
	// A restart that fails is made up for.
	b.ends(resolvedUnit, "failed")
	services := put(t, &b.p, b.p.Forwards, "dns1", platform.DNSForward{Server: netip.MustParseAddr("192.0.2.53")})
	var failed *platform.ServiceError
	if err := b.p.Config.Reload(t.Context(), services); !errors.As(err, &failed) || failed.Service != "network" || !strings.Contains(err.Error(), resolvedUnit) {
		t.Errorf("%v", err)
	}
	b.ends(resolvedUnit, "")
	b.said()
	if reload(t, &b.p, services); !slices.Equal(b.said(), []string{"RestartUnit " + resolvedUnit}) {
		t.Error("it is not tried again")
	}
	if err := b.p.Power.FactoryReset(t.Context()); err != nil {
		t.Error(err)
	}
	b.want("the servers after a factory reset", b.file(resolvedFile), "")
}

// TestPartWrittenBeforeACrash: a service that has run since before its file was
// written is told of it at the next start, and one that has read it is left alone.
func TestPartWrittenBeforeACrash(t *testing.T) {
	b := newBoard(t, startDaemons(t))
	reload(t, &b.p, put(t, &b.p, b.p.Forwards, "dns1", platform.DNSForward{Enabled: true, Server: netip.MustParseAddr("192.0.2.53")}))
	for _, c := range []struct {
		runs time.Duration // after the file was written
		want []string
	}{
		{-time.Hour, []string{"RestartUnit " + resolvedUnit}},
		{time.Hour, nil},
	} {
		turn(b.daemons, b.since, resolvedUnit, time.Now().Add(c.runs))
		b.start()
		if err := b.p.Events.Watch(t.Context(), nil); err != nil {
			t.Error(err)
		}
		reload(t, &b.p, []string{networkPackage})
		if said := b.said(); !slices.Equal(said, c.want) {
			t.Errorf("started %s after the file was written, and asked: %q", c.runs, said)
		}
	}
}

// TestForeignPart: a file that somebody else has put there is left alone.
func TestForeignPart(t *testing.T) {
	b := newBoard(t, startDaemons(t))
	path := filepath.Join(b.root, resolvedFile)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	const theirs = "[Resolve]\nDNS=198.51.100.1\n"
	if err := os.WriteFile(path, []byte(theirs), 0o600); err != nil {
		t.Fatal(err)
	}
	services := put(t, &b.p, b.p.Forwards, "dns1", platform.DNSForward{Enabled: true, Server: netip.MustParseAddr("192.0.2.53")})
	if err := b.p.Config.Reload(t.Context(), services); err == nil || !strings.Contains(err.Error(), resolvedFile) {
		t.Errorf("%v", err)
	}
	b.want("the file", b.file(resolvedFile), theirs)
}

// TestDaemonTrouble: whoever refuses, leaves or talks nonsense is named.
func TestDaemonTrouble(t *testing.T) {
	for name, c := range map[string]struct {
		spoil func(b *board)
		want  string
	}{
		"polkit":   {func(b *board) { b.refuses("SetStaticHostname", errPolkit) }, "systemd-hostnamed: SetStaticHostname: we are not allowed to"},
		"vanishes": {func(b *board) { b.vanishes("SetStaticHostname") }, "systemd-hostnamed: SetStaticHostname: it has ended without an answer"},
		"gone":     {func(b *board) { b.leaves(hostnamed) }, "systemd-hostnamed: Get: it does not run"},
		"nonsense": {func(b *board) { b.set(staticHostname, []int32{7}) }, "systemd-hostnamed: StaticHostname: "},
		"endless":  {func(b *board) { b.set(staticHostname, strings.Repeat("x", 4<<20)) }, "systemd-hostnamed: Get: "},
		"no bus":   {func(b *board) { b.stopBus() }, "no D-Bus"},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBoard(t, startDaemons(t, hostnamed.destination, manager.destination))
			if b.p.Timing != nil || b.p.Forwards != nil || !strings.Contains(b.log.String(), "systemd-timedated is not there") || !strings.Contains(b.log.String(), "systemd-resolved does not run") {
				t.Errorf("without timedated and resolved there are %v and %v:\n%s", b.p.Timing, b.p.Forwards, &b.log)
			}
			services := put(t, &b.p, b.p.Host, "host", platform.HostConfig{Name: "gw-1"})
			c.spoil(b)
			err := b.p.Config.Reload(t.Context(), services)
			var failed *platform.ServiceError
			if !errors.As(err, &failed) || failed.Service != "system" || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%v, want %s", err, c.want)
			}
		})
	}
}

// TestNoSystemd: where systemd has not started the machine, timedated's first change
// of the zone shifts the clock by hours.
func TestNoSystemd(t *testing.T) {
	b := newBoard(t, startDaemons(t, hostnamed.destination, timedated.destination))
	if b.p.Timing != nil || b.p.Host == nil || !strings.Contains(b.log.String(), "systemd does not run") {
		t.Errorf("%v\n%s", b.p.Timing, &b.log)
	}
}

// TestOtherRoot: with another root nothing is asked of this machine's daemons.
func TestOtherRoot(t *testing.T) {
	d := startDaemons(t)
	t.Setenv("DBUS_SYSTEM_BUS_ADDRESS", d.address)
	for _, root := range []string{"", "/", t.TempDir()} {
		ours := root != "" && root != "/"
		b := &board{daemons: d, root: t.TempDir(), dir: t.TempDir()}
		b.p = platform.Platform{System: kernelName{d: d}}
		Attach(&b.p, Options{Dir: b.dir, Root: root, Log: slog.New(slog.NewTextHandler(&b.log, nil))})
		if there := b.p.Host != nil; there == ours {
			t.Errorf("root %q: the daemons are asked: %v\n%s", root, there, &b.log)
		}
	}
}

// TestNothingThere: without a bus every role is nil, and the log says why.
func TestNothingThere(t *testing.T) {
	b := &board{daemons: &daemons{TB: t, address: "unix:path=" + t.TempDir() + "/bus"}, root: t.TempDir()}
	if b.start(); b.p.Config != nil || b.p.Host != nil || b.p.Timing != nil || b.p.Forwards != nil {
		t.Errorf("%+v", b.p)
	}
	if n := strings.Count(b.log.String(), "cannot be configured"); n < 4 {
		t.Errorf("the log says\n%s", &b.log)
	}
}
