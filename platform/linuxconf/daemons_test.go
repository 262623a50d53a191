// The daemons of a plain Linux on a bus of their own, which a real dbus-daemon
// keeps: they refuse what the real ones refuse, and have knobs for worse.

package linuxconf

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/godbus/dbus/v5"

	"gatehouse/lab/rooms"
)

const busConfig = `<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN" "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig>
  <type>system</type>
  <listen>unix:path=%s/bus</listen>
  <auth>EXTERNAL</auth>
  <policy context="default">
    <allow user="*"/>
    <allow own="*"/>
    <allow send_type="method_call"/>
    <allow send_type="signal"/>
    <allow send_requested_reply="true" send_type="method_return"/>
    <allow send_requested_reply="true" send_type="error"/>
    <allow receive_type="method_call"/>
    <allow receive_type="method_return"/>
    <allow receive_type="error"/>
    <allow receive_type="signal"/>
  </policy>
</busconfig>
`

// startBus starts a bus, and returns where it listens and how to end it.
func startBus(t testing.TB) (address string, stop func()) {
	t.Helper()
	rooms.Need(t, "dbus-daemon")
	dir, err := os.MkdirTemp("", "gh-bus") // a short path: it is a socket's
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	conf := filepath.Join(dir, "bus.conf")
	if err := os.WriteFile(conf, fmt.Appendf(nil, busConfig, dir), 0o644); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("dbus-daemon", "--config-file="+conf, "--nofork", "--nopidfile", "--print-address=1")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	stop = sync.OnceFunc(func() {
		cmd.Process.Kill()
		cmd.Wait()
	})
	t.Cleanup(stop)
	if _, err := bufio.NewReader(out).ReadString('\n'); err != nil { // it listens by then
		t.Fatal("dbus-daemon does not start: ", err)
	}
	return "unix:path=" + dir + "/bus", stop
}

// daemons are those of one machine.
type daemons struct {
	testing.TB
	address string
	stopBus func()

	mu         sync.Mutex
	conns      map[string]*dbus.Conn // by the name on the bus
	properties map[string]any        // "org.freedesktop.timedate1.NTP"
	calls      []string              // what was asked, in words
	refuse     map[string]error      // by method: what it answers instead
	vanish     map[string]bool       // by method: the daemon ends in it
	results    map[string]string     // by unit: how its job ends; "": as "done"
	loaded     []string              // units that are there
	since      map[string]time.Time  // when units were started
	subscribed bool
	caller     string // who has subscribed last
	jobs       int
	reloaded   func() // of networkd
	liar       func(job dbus.ObjectPath, unit string)
}

func startDaemons(t testing.TB, names ...string) *daemons {
	d := &daemons{
		TB: t, conns: map[string]*dbus.Conn{}, refuse: map[string]error{}, vanish: map[string]bool{}, results: map[string]string{},
		properties: map[string]any{
			"org.freedesktop.hostname1.StaticHostname": "debian",
			"org.freedesktop.timedate1.Timezone":       "Etc/UTC",
			"org.freedesktop.timedate1.NTP":            true,
			"org.freedesktop.timedate1.CanNTP":         true,
		},
		since:  map[string]time.Time{},
		loaded: []string{timesyncd, resolvedUnit, networkdUnit},
	}
	d.address, d.stopBus = startBus(t)
	if len(names) == 0 {
		names = []string{hostnamed.destination, timedated.destination, resolved.destination, manager.destination, networkd.destination}
	}
	for _, name := range names {
		d.serve(name)
	}
	return d
}

// serve has a daemon take its name.
func (d *daemons) serve(name string) {
	d.Helper()
	conn, err := dbus.Connect(d.address)
	if err != nil {
		d.Fatal(err)
	}
	d.Cleanup(func() { conn.Close() })
	methods := map[string]map[string]any{
		hostnamed.destination: {"SetStaticHostname": d.setStaticHostname},
		timedated.destination: {"SetTimezone": d.setTimezone, "SetNTP": d.setNTP},
		networkd.destination:  {"Reload": d.reload},
		manager.destination:   {"Subscribe": d.subscribe, "LoadUnit": d.loadUnit, "RestartUnit": d.restartUnit, "StopUnit": d.stopUnit},
	}
	paths := map[string]daemon{hostnamed.destination: hostnamed, timedated.destination: timedated, networkd.destination: networkd, manager.destination: manager}
	if at, ok := paths[name]; ok {
		if err := conn.ExportMethodTable(methods[name], at.path, at.iface); err != nil {
			d.Fatal(err)
		}
		get := map[string]any{"Get": d.get}
		if err := conn.ExportMethodTable(get, at.path, "org.freedesktop.DBus.Properties"); err != nil {
			d.Fatal(err)
		}
		if err := conn.ExportSubtreeMethodTable(get, dbus.ObjectPath(strings.TrimSuffix(unitPath, "/")), "org.freedesktop.DBus.Properties"); err != nil {
			d.Fatal(err)
		}
	}
	if got, err := conn.RequestName(name, dbus.NameFlagDoNotQueue); err != nil || got != dbus.RequestNameReplyPrimaryOwner {
		d.Fatalf("%s: %v (%v)", name, got, err)
	}
	d.mu.Lock()
	d.conns[name] = conn
	d.mu.Unlock()
}

// called notes a call, and returns the error that it is to be answered with.
func (d *daemons) called(name, method string, args ...any) *dbus.Error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.calls = append(d.calls, strings.TrimSpace(method+" "+strings.Trim(fmt.Sprint(args...), "[]")))
	if d.vanish[method] {
		d.conns[name].Close()
	}
	return asError(d.refuse[method])
}

func asError(err error) *dbus.Error {
	switch e := err.(type) {
	case nil:
		return nil
	case *dbus.Error:
		return e
	default:
		return dbus.MakeFailedError(err)
	}
}

// said are the calls since the last time.
func (d *daemons) said() []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	calls := d.calls
	d.calls = nil
	return calls
}

func (d *daemons) set(property string, value any) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.properties[property] = value
}

// leaves has a daemon leave the bus.
func (d *daemons) leaves(who daemon) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.conns[who.destination].Close()
}

// turn turns a knob. The daemons answer on goroutines of their own.
func turn[V any](d *daemons, knobs map[string]V, name string, to V) {
	d.mu.Lock()
	defer d.mu.Unlock()
	knobs[name] = to
}

// refuses has a method answer with an error.
func (d *daemons) refuses(method string, err error) { turn(d, d.refuse, method, err) }

// vanishes has a daemon end when it is asked for a method.
func (d *daemons) vanishes(method string) { turn(d, d.vanish, method, true) }

// ends says how the jobs of a unit end.
func (d *daemons) ends(unit, result string) { turn(d, d.results, unit, result) }

func (d *daemons) property(name string) any {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.properties[name]
}

// Errors as the real ones answer.
var (
	errPolkit  = dbus.NewError("org.freedesktop.DBus.Error.InteractiveAuthorizationRequired", []any{"Interactive authentication required."})
	errHostile = dbus.NewError("org.example.Error", []any{"\x1b[2Jnot\nyour business " + strings.Repeat("x", 5000)})
)

func invalid(format string, args ...any) *dbus.Error {
	return dbus.NewError("org.freedesktop.DBus.Error.InvalidArgs", []any{fmt.Sprintf(format, args...)})
}

func (d *daemons) get(m dbus.Message, iface, name string) (dbus.Variant, *dbus.Error) {
	path, _ := m.Headers[dbus.FieldPath].Value().(dbus.ObjectPath)
	d.mu.Lock()
	defer d.mu.Unlock()
	if e := asError(d.refuse["Get "+name]); e != nil {
		return dbus.Variant{}, e
	}
	if unit, ok := strings.CutPrefix(string(path), unitPath); ok {
		return d.getUnit(unit, name)
	}
	v, ok := d.properties[iface+"."+name]
	if !ok {
		return dbus.Variant{}, dbus.NewError("org.freedesktop.DBus.Error.UnknownProperty", []any{"Unknown interface or property"})
	}
	return dbus.MakeVariant(v), nil
}

var hostName = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9.-]{0,62}[A-Za-z0-9])?$`)

func (d *daemons) setStaticHostname(name string, interactive bool) *dbus.Error {
	if e := d.called(hostnamed.destination, "SetStaticHostname", name); e != nil {
		return e
	}
	if name != "" && !hostName.MatchString(name) {
		return invalid("Invalid static hostname '%s'", name)
	}
	d.set("org.freedesktop.hostname1.StaticHostname", name)
	return nil
}

func (d *daemons) setTimezone(zone string, interactive bool) *dbus.Error {
	if e := d.called(timedated.destination, "SetTimezone", zone); e != nil {
		return e
	}
	if _, err := os.Stat(filepath.Join("/usr/share/zoneinfo", zone)); err != nil || zone == "" {
		return invalid("Invalid or not installed time zone '%s'", zone)
	}
	d.set("org.freedesktop.timedate1.Timezone", zone)
	return nil
}

func (d *daemons) setNTP(on, interactive bool) *dbus.Error {
	if e := d.called(timedated.destination, "SetNTP", on); e != nil {
		return e
	}
	if d.property("org.freedesktop.timedate1.CanNTP") != true {
		return dbus.NewError("org.freedesktop.timedate1.NoNTPSupport", []any{"NTP not supported"})
	}
	d.set("org.freedesktop.timedate1.NTP", on)
	return nil
}

func (d *daemons) reload() *dbus.Error {
	if e := d.called(networkd.destination, "Reload"); e != nil {
		return e
	}
	d.mu.Lock()
	read := d.reloaded
	d.mu.Unlock()
	if read != nil {
		read()
	}
	return nil
}

const unitPath = "/org/freedesktop/systemd1/unit/"

func (d *daemons) subscribe(from dbus.Sender) *dbus.Error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.subscribed, d.caller = true, string(from)
	return nil
}

func (d *daemons) loadUnit(unit string) (dbus.ObjectPath, *dbus.Error) {
	return dbus.ObjectPath(unitPath + strings.NewReplacer(".", "_2e", "-", "_2d").Replace(unit)), nil
}

func (d *daemons) getUnit(path, name string) (dbus.Variant, *dbus.Error) {
	unit := strings.NewReplacer("_2e", ".", "_2d", "-").Replace(path)
	values := map[string]any{"LoadState": "not-found", "Result": "success", "ExecMainStatus": int32(0)}
	if slices.Contains(d.loaded, unit) {
		values["LoadState"] = "loaded"
	}
	since := d.since[unit]
	// One that was stopped goes on telling when it was started.
	values["ActiveState"], values["ActiveEnterTimestamp"] = "inactive", uint64(1)
	if !since.IsZero() {
		values["ActiveState"], values["ActiveEnterTimestamp"] = "active", uint64(since.UnixMicro())
	}
	if d.results[unit] == "failed" {
		values["Result"], values["ExecMainStatus"] = "exit-code", int32(3)
	}
	return dbus.MakeVariant(values[name]), nil
}

func (d *daemons) restartUnit(unit, mode string) (dbus.ObjectPath, *dbus.Error) {
	return d.job("RestartUnit", unit)
}

func (d *daemons) stopUnit(unit, mode string) (dbus.ObjectPath, *dbus.Error) {
	return d.job("StopUnit", unit)
}

// job tells of its end before the caller knows its name, as happens.
func (d *daemons) job(method, unit string) (dbus.ObjectPath, *dbus.Error) {
	if e := d.called(manager.destination, method, unit); e != nil {
		return "", e
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if !slices.Contains(d.loaded, unit) {
		return "", dbus.NewError("org.freedesktop.systemd1.NoSuchUnit", []any{"Unit " + unit + " not found."})
	}
	d.jobs++
	job := dbus.ObjectPath(fmt.Sprint("/org/freedesktop/systemd1/job/", d.jobs))
	conn := d.conns[manager.destination]
	if d.subscribed {
		conn.Emit(manager.path, manager.iface+".JobRemoved", uint32(9999), dbus.ObjectPath("/org/freedesktop/systemd1/job/9999"), "other.service", "failed")
		conn.Emit(manager.path, manager.iface+".JobRemoved", "nonsense")
	}
	if d.liar != nil {
		d.liar(job, unit)
	}
	switch result := d.results[unit]; result {
	case "leaves": // its answer still arrives
		go conn.ReleaseName(manager.destination)
	case "":
		delete(d.since, unit)
		if method == "RestartUnit" {
			d.since[unit] = time.Now()
		}
		result = "done"
		fallthrough
	default:
		if d.subscribed {
			conn.Emit(manager.path, manager.iface+".JobRemoved", uint32(d.jobs), job, unit, result)
		}
	}
	return job, nil
}
