package linuxconf

import (
	"context"
	"errors"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"gatehouse/platform"
	"gatehouse/platform/platformtest"
)

// memory is a kernel with one knob.
type memory struct {
	rules ruleset
	puts  int
	fail  error
}

func (m *memory) replace(rules ruleset) error {
	m.puts++
	if m.fail == nil {
		m.rules = rules
	}
	return m.fail
}

func (m *memory) present() (keys []string, err error) {
	for _, i := range m.rules.in {
		if i.key != "" {
			keys = append(keys, i.key)
		}
	}
	for _, o := range m.rules.out {
		keys = append(keys, o.key)
	}
	return keys, m.fail
}

// restarts counts how often the device was restarted.
type restarts int

func (r *restarts) Reboot(context.Context) error       { *r++; return nil }
func (r *restarts) FactoryReset(context.Context) error { *r++; return nil }

// watcher is told when somebody watches.
type watcher func()

func (w watcher) Watch(ctx context.Context, _ func(platform.Event)) error { w(); return nil }

var names = platformtest.Knobs{WAN: "wan0", Bridge: "br0", Port: "lan0", Spare: "spare0"}

// TestSuite runs the suite of the tables that every backend passes.
func TestSuite(t *testing.T) {
	platformtest.Tables(t, func(t *testing.T) (platform.Platform, platformtest.Knobs) {
		var p platform.Platform
		attach(&machine{p: &p, Options: Options{Dir: filepath.Join(t.TempDir(), "config")}, kernel: &memory{}})
		return p, names
	})
}

// bench is a platform on a folder and a kernel in memory.
type bench struct {
	t      *testing.T
	dir    string
	kernel *memory
	p      platform.Platform
	power  restarts
	seen   bool // somebody watches
}

func newBench(t *testing.T) *bench {
	b := &bench{t: t, dir: filepath.Join(t.TempDir(), "state", "config"), kernel: &memory{}}
	b.start()
	return b
}

// start is a new process on the same folder.
func (b *bench) start() {
	b.p = platform.Platform{Power: &b.power, Events: watcher(func() { b.seen = true })}
	attach(&machine{p: &b.p, Options: Options{Dir: b.dir}, kernel: b.kernel})
}

// put keeps a row and returns what has to take it up.
func put[T any](t *testing.T, p *platform.Platform, table platform.Table[T], key string, row T) (services []string) {
	t.Helper()
	b, err := p.Config.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	table.Put(b, key, row)
	if err := b.Prepare(t.Context()); err != nil {
		t.Fatal(err)
	}
	services = b.Reloads()
	if deferred, err := b.Commit(t.Context()); err != nil || deferred != (len(services) > 0) {
		t.Fatalf("deferred %v, for %v (%v)", deferred, services, err)
	}
	return services
}

// reload has services take up what they have to.
func reload(t *testing.T, p *platform.Platform, services []string) {
	t.Helper()
	if err := p.Config.Reload(t.Context(), services); err != nil {
		t.Fatal(err)
	}
}

// TestEveryOptionCounts: an interface without NAT is written in an option of our
// own, of which OpenWrt's firewall would not have to hear. Here it has to.
func TestEveryOptionCounts(t *testing.T) {
	b := newBench(t)
	row := camera
	reload(t, &b.p, put(t, &b.p, b.p.NAT.Mappings, "map1", row))
	row.Interface = "wan1"
	reload(t, &b.p, put(t, &b.p, b.p.NAT.Mappings, "map1", row))
	if !strings.Contains(b.kernel.rules.String(), `iifname "wan1"`) {
		t.Errorf("the mapping has not moved:\n%s", b.kernel.rules)
	}
	row.Expires = row.Expires.Add(3600)
	row.Lease = 3600e9
	if services := put(t, &b.p, b.p.NAT.Mappings, "map1", row); len(services) != 0 {
		t.Errorf("%v hears of a lease, which is the agent's", services)
	}
}

func TestPutBackAtStart(t *testing.T) {
	b := newBench(t)
	put(t, &b.p, b.p.NAT.Interfaces, "nat1", platform.NATInterface{Enabled: true, Interface: "wan0"})
	if b.start(); b.kernel.puts != 0 {
		t.Error("whoever only opens the platform changes the kernel")
	}
	if err := b.p.Events.Watch(t.Context(), nil); err != nil || !b.seen || len(b.kernel.rules.out) != 1 {
		t.Errorf("the events are watched: %v; the rules are\n%s (%v)", b.seen, b.kernel.rules, err)
	}
	// A kernel that refuses keeps nobody from watching.
	b.start()
	b.kernel.fail, b.seen = errors.New("no"), false
	if err := b.p.Events.Watch(t.Context(), nil); err != nil || !b.seen {
		t.Errorf("the events are watched: %v (%v)", b.seen, err)
	}
}

func TestServiceError(t *testing.T) {
	b := newBench(t)
	services := put(t, &b.p, b.p.NAT.Mappings, "map1", camera)
	b.kernel.fail = errors.New("operation not supported")
	var failed *platform.ServiceError
	if err := b.p.Config.Reload(t.Context(), services); !errors.As(err, &failed) || failed.Service != "firewall" {
		t.Errorf("%v is not the firewall's", err)
	}
	var gone *platform.Unavailable
	for _, err := range b.p.NAT.Applied.Applied(t.Context()) {
		if !errors.As(err, &gone) {
			t.Errorf("what is in effect is known: %v", err)
		}
	}
}

func TestFactoryReset(t *testing.T) {
	b := newBench(t)
	reload(t, &b.p, put(t, &b.p, b.p.NAT.Mappings, "map1", camera))
	info, err := os.Stat(filepath.Join(b.dir, "firewall"))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v (%v)", info, err)
	}
	if err := b.p.Power.FactoryReset(t.Context()); err != nil || b.power != 1 {
		t.Errorf("restarted %d times (%v)", b.power, err)
	}
	if _, err := os.Stat(b.dir); !errors.Is(err, fs.ErrNotExist) || !b.kernel.rules.empty() {
		t.Errorf("left: %v, and\n%s", err, b.kernel.rules)
	}
	// The agent goes on for a moment, and the next one starts with nothing.
	if err := b.p.Events.Watch(t.Context(), nil); err != nil || !b.kernel.rules.empty() {
		t.Errorf("back: %v, and\n%s", err, b.kernel.rules)
	}
}

// street reports what a test wants, until the end.
type street chan platform.Event

func (s street) Watch(ctx context.Context, report func(platform.Event)) error {
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case e := <-s:
			report(e)
		}
	}
}

// TestHostMoves: the address that a host had may be somebody else's next, so a
// mapping to its name goes with it, and leads nowhere meanwhile.
func TestHostMoves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hints, kernel := make(street), &memory{}
		neighbors := &home{{Hostname: "camera", Addr: netip.MustParseAddr("192.168.1.51")}}
		p := platform.Platform{Events: hints, Neighbors: neighbors}
		attach(&machine{p: &p, Options: Options{Dir: filepath.Join(t.TempDir(), "config")}, kernel: kernel})
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan error)
		reported := 0
		go func() { ended <- p.Events.Watch(ctx, func(platform.Event) { reported++ }) }()
		synctest.Wait() // it has put back what there was: nothing
		put(t, &p, p.NAT.Mappings, "map1", with(func(m *platform.PortMapping) { m.InternalClient = "camera" }))
		reload(t, &p, []string{"firewall"})
		leads := func(when, to string) {
			t.Helper()
			if text := kernel.rules.String(); to == "" && text != "" || !strings.Contains(text, to) {
				t.Errorf("%s: not to %q:\n%s", when, to, text)
			}
		}
		leads("at first", "dnat to 192.168.1.51:443")
		hint := func(topic platform.Topic) {
			for range 3 { // a crowd
				hints <- platform.Event{Topic: topic}
			}
			time.Sleep(crowd)
			synctest.Wait()
		}
		before := kernel.puts
		if hint(platform.NeighborChanged); kernel.puts != before {
			t.Error("nobody has moved, and the rules are made anew")
		}
		*neighbors = home{{Hostname: "phone", Addr: netip.MustParseAddr("192.168.1.51")}}
		hint(platform.NeighborChanged)
		leads("it is gone", "")
		*neighbors = append(*neighbors, platform.Neighbor{Hostname: "camera", Addr: netip.MustParseAddr("192.168.1.52")})
		hint(platform.LeaseChanged)
		leads("it is back", "dnat to 192.168.1.52:443")
		stop()
		if err := <-ended; !errors.Is(err, context.Canceled) || reported != 9 {
			t.Errorf("%d hints were passed on (%v)", reported, err)
		}
	})
}

// TestOwnPort: whatever comes first, the port or the mapping, the ACS can ask for
// sessions.
func TestOwnPort(t *testing.T) {
	b := newBench(t)
	all := camera
	all.ExternalPort = 0
	own := func(port uint16) {
		t.Helper()
		if err := b.p.NAT.Own.OwnPort(t.Context(), port); err != nil {
			t.Fatal(err)
		}
	}
	own(7547)
	if b.kernel.puts != 0 {
		t.Error("without mappings there is nothing to spare")
	}
	reload(t, &b.p, put(t, &b.p, b.p.NAT.Mappings, "map1", all))
	spared := "dport 7547 return"
	if !strings.Contains(b.kernel.rules.String(), spared) {
		t.Errorf("the port came first:\n%s", b.kernel.rules)
	}
	own(8547)
	if !strings.Contains(b.kernel.rules.String(), "dport 8547 return") || strings.Contains(b.kernel.rules.String(), spared) {
		t.Errorf("the mapping came first:\n%s", b.kernel.rules)
	}
	before := b.kernel.puts
	if own(8547); b.kernel.puts != before {
		t.Error("what is in place is put there again")
	}
	if own(0); strings.Contains(b.kernel.rules.String(), "return") {
		t.Errorf("nobody listens:\n%s", b.kernel.rules)
	}
}
