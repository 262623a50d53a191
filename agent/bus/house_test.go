package bus_test

// The house: the door over the real model of a router in memory, on a bus of
// its own that a real dbus-daemon keeps.

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/godbus/dbus/v5"

	"gatehouse/agent/api"
	"gatehouse/agent/bus"
	"gatehouse/agent/core"
	"gatehouse/agent/core/coretest"
	"gatehouse/agent/notify"
	"gatehouse/datamodel"
	"gatehouse/datamodel/tr181"
	"gatehouse/internal/store/storetest"
	"gatehouse/lab/rooms"
	"gatehouse/platform"
	"gatehouse/platform/fake"
)

const wan = "Device.IP.Interface.2." // eth0

// A daemon is a dbus-daemon with the shipped policy.
type daemon struct {
	testing.TB
	dir, address string
	cmd          *exec.Cmd
}

// The policies of a system bus, as Debian's and OpenWrt's system.conf have them.
const systemBus = `<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN" "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig>
  <type>system</type>
  <listen>unix:path=%s/bus</listen>
  <auth>EXTERNAL</auth>
  <policy context="default">
    <allow user="*"/>
    <deny own="*"/>
    <deny send_type="method_call"/>
    <allow send_type="signal"/>
    <allow send_requested_reply="true" send_type="method_return"/>
    <allow send_requested_reply="true" send_type="error"/>
    <allow receive_type="method_call"/>
    <allow receive_type="method_return"/>
    <allow receive_type="error"/>
    <allow receive_type="signal"/>
    <allow send_destination="org.freedesktop.DBus" send_interface="org.freedesktop.DBus"/>
    <allow send_destination="org.freedesktop.DBus" send_interface="org.freedesktop.DBus.Introspectable"/>
    <allow send_destination="org.freedesktop.DBus" send_interface="org.freedesktop.DBus.Properties"/>
  </policy>
  <include>%s</include>
  <limit name="max_connections_per_user">2000</limit>
  <limit name="max_match_rules_per_connection">4000</limit>
</busconfig>
`

func startBus(t testing.TB) *daemon {
	t.Helper()
	rooms.Need(t, "dbus-daemon")
	if os.Geteuid() != 0 {
		t.Skip("the shipped policy lets only root have the name")
	}
	dir, err := os.MkdirTemp("", "gh-bus") // a short path: it is a socket's
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	os.Chmod(dir, 0o755)
	policy, err := filepath.Abs("../../openwrt/dbus/org.gatehouse1.conf")
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(policy)
	if err != nil {
		t.Fatal(err)
	}
	shipped := filepath.Join(dir, "org.gatehouse1.conf")
	// The group of readers need not be on this machine; daemon is on all.
	write(t, shipped, strings.ReplaceAll(string(text), `group="gatehouse"`, `group="daemon"`))
	write(t, filepath.Join(dir, "system.conf"), fmt.Sprintf(systemBus, dir, shipped))
	d := &daemon{TB: t, dir: dir, address: "unix:path=" + dir + "/bus"}
	d.start()
	t.Cleanup(d.stop)
	return d
}

func write(t testing.TB, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

func (d *daemon) start() {
	d.Helper()
	os.Remove(d.dir + "/bus")
	d.cmd = exec.Command("dbus-daemon", "--config-file="+d.dir+"/system.conf", "--nofork", "--nopidfile", "--print-address=1")
	out, err := d.cmd.StdoutPipe()
	if err != nil {
		d.Fatal(err)
	}
	if err := d.cmd.Start(); err != nil {
		d.Fatal(err)
	}
	if _, err := bufio.NewReader(out).ReadString('\n'); err != nil { // it listens by then
		d.Fatal("dbus-daemon does not start: ", err)
	}
	os.Chmod(d.dir+"/bus", 0o777)
}

func (d *daemon) stop() {
	if d.cmd != nil {
		d.cmd.Process.Kill()
		d.cmd.Wait()
		d.cmd = nil
	}
}

// A house is the door with all that is behind it.
type house struct {
	testing.TB
	bus     *daemon
	router  *fake.Router
	tree    *datamodel.Tree
	numbers *storetest.File
	core    *coretest.Core
	api     *api.Service
	notify  *notify.Notifier
	told    chan bool // what notify tells core
	rights  atomic.Pointer[func(uid uint32, gids []uint32) api.Caller]
	stop    func()
	log     *slog.Logger
}

func build(t testing.TB) *house {
	t.Helper()
	h := &house{TB: t, bus: startBus(t), router: fake.New(), numbers: new(storetest.File), told: make(chan bool, 1000),
		core: coretest.New(core.Status{State: core.Idle})}
	h.allow(func(uid uint32, _ []uint32) api.Caller {
		if uid == 0 {
			return api.Caller{Name: "root", Rights: api.Everything}
		}
		return api.Caller{Name: fmt.Sprint("uid ", uid)}
	})
	h.log = slog.New(slog.DiscardHandler)
	if os.Getenv("BUS_LOG") != "" {
		h.log = slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelDebug}))
	}
	model := tr181.New(h.router.Platform(), tr181.Agent{
		Identity: func() platform.ID { return platform.ID{OUI: "00005E"} },
		Keep:     func(string) datamodel.Backing { return new(storetest.File) }, Version: "test", Start: time.Now(), Provider: provider{},
	})
	var err error
	if h.tree, err = datamodel.New(datamodel.Options{Log: h.log, Numbers: h.numbers}); err != nil {
		t.Fatal(err)
	}
	if _, err := h.tree.Add(model.Objects()...); err != nil {
		t.Fatal(err)
	}
	h.notify, err = notify.New(notify.Config{Tree: h.tree, Core: func(_ context.Context, changed bool) error {
		h.told <- changed
		return nil
	}})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	var tasks sync.WaitGroup
	h.notify.Start(ctx)
	h.api = api.New(api.Config{
		Tree: h.tree, Attributes: h.notify, Core: h.core, Statuses: h.core.Watch,
		Reload:  func(context.Context) ([]string, error) { return []string{"ManagementServer.URL"}, nil },
		Written: func(context.Context, []string) { h.resync() },
		Agent:   func(s *api.Status) { s.Version, s.ACS = "test", "https://acs.example/" },
		Log:     h.log, Provider: provider{},
	})
	go h.router.Platform().Events.Watch(ctx, func(e platform.Event) {
		if e.Topic == platform.Resync {
			h.resync()
		} else {
			h.hint(datamodel.Topic(e.Topic))
		}
	})
	t.Cleanup(func() {
		stop()
		tasks.Wait()
		if err := h.notify.Stop(); err != nil {
			t.Error(err)
		}
	})
	h.open()
	return h
}

func (h *house) allow(f func(uid uint32, gids []uint32) api.Caller) { h.rights.Store(&f) }

func (h *house) hint(topic datamodel.Topic) { h.notify.Hint(topic); h.api.Hint(topic) }
func (h *house) resync()                    { h.notify.Resync(); h.api.Resync() }

var errNoBus = bus.ErrNoBus

func (h *house) config() bus.Config {
	return bus.Config{
		API: h.api, Tree: h.tree, Address: h.bus.address,
		Caller: func(uid uint32, gids []uint32) api.Caller { return (*h.rights.Load())(uid, gids) },
		Hint:   h.hint, Resync: h.resync, Topics: 0x8000, Retry: 300 * time.Millisecond, Log: h.log,
	}
}

// serve is a door that is expected not to open.
func (h *house) serve() error { return bus.Serve(h.Context(), h.config(), nil) }

// open opens the door, and returns once it is.
func (h *house) open() {
	h.Helper()
	ctx, stop := context.WithCancel(context.Background())
	ready, done := make(chan struct{}), make(chan error, 1)
	go func() { done <- bus.Serve(ctx, h.config(), func() { close(ready) }) }()
	select {
	case <-ready:
	case err := <-done:
		h.Fatal("the door does not open: ", err)
	}
	var once sync.Once
	h.stop = func() {
		once.Do(func() {
			stop()
			if err := <-done; err != nil && !errors.Is(err, bus.ErrNoBus) {
				h.Error(err)
			}
		})
	}
	h.Cleanup(h.stop)
}

// A client is a connection of a test to the bus.
type client struct {
	testing.TB
	*dbus.Conn
	signals chan *dbus.Signal
}

func (h *house) dial() *client {
	h.Helper()
	conn, err := dbus.Connect(h.bus.address)
	if err != nil {
		h.Fatal(err)
	}
	c := &client{h.TB, conn, make(chan *dbus.Signal, 10_000)}
	conn.Signal(c.signals)
	h.Cleanup(func() { conn.Close() })
	return c
}

type options = map[string]dbus.Variant

func (c *client) call(method string, args ...any) *dbus.Call {
	ctx, stop := context.WithTimeout(context.Background(), 30*time.Second)
	defer stop()
	return c.Object(bus.Name, bus.Path).CallWithContext(ctx, bus.Name+"."+method, 0, args...)
}

// must stores the answer of a call that goes well.
func (c *client) must(method string, args []any, out ...any) {
	c.Helper()
	if err := c.call(method, args...).Store(out...); err != nil {
		c.Fatalf("%s%v: %v", method, args, err)
	}
}

func (c *client) get(paths ...string) map[string]any {
	c.Helper()
	var values options
	var out map[string]string
	c.must("DataModel.GetValues", []any{paths, options{}}, &values, &out)
	all := map[string]any{}
	for n, v := range values {
		all[n] = v.Value()
	}
	return all
}

func (c *client) set(pairs ...any) error {
	c.Helper()
	values := options{}
	for i := 0; i < len(pairs); i += 2 {
		values[pairs[i].(string)] = dbus.MakeVariant(pairs[i+1])
	}
	return c.call("DataModel.SetValues", values, options{}).Err
}

// refused checks the name of an error, and that its text names what is to
// blame.
func (c *client) refused(err error, name string, blamed ...string) {
	c.Helper()
	var e dbus.Error
	if !errors.As(err, &e) {
		c.Errorf("%v is no error of D-Bus, want %s", err, name)
		return
	}
	if !strings.Contains(name, ".") {
		name = "org.gatehouse1.Error." + name
	}
	text, _ := e.Body[0].(string)
	if e.Name != name {
		c.Errorf("got %s: %s, want %s", e.Name, text, name)
	}
	for _, b := range blamed {
		if !strings.Contains(text, b) {
			c.Errorf("%s: %q does not name %s", e.Name, text, b)
		}
	}
}

// next is the next signal of the name.
func (c *client) next(name string) *dbus.Signal {
	c.Helper()
	timeout := time.After(10 * time.Second)
	for {
		select {
		case s := <-c.signals:
			if s.Name == name {
				return s
			}
		case <-timeout:
			c.Fatalf("no %s has come", name)
		}
	}
}

// provider is a provider's configuration whose fetches succeed.
type provider struct{}

func (provider) ProviderState() tr181.ProviderState {
	return tr181.ProviderState{Status: "Enabled", Source: "live", LastError: "none of late"}
}
func (provider) FetchProvider() {}
func (provider) Provider(_ context.Context, call string) (bool, error) {
	if call == "reload" {
		return false, errors.New("the copy on disk is damaged")
	}
	return call == "fetch", nil
}
