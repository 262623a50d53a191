package app_test

// A fleet: many agents in one process, each with a router and disks of its own,
// over a network in memory and in virtual time. What one of them weighs, and
// how they come back when the power does.

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"gatehouse/agent/api"
	"gatehouse/agent/app"
	"gatehouse/agent/settings"
	"gatehouse/datamodel"
	"gatehouse/datamodel/tr181"
	"gatehouse/internal/store/storetest"
	"gatehouse/platform"
	"gatehouse/platform/fake"
)

// A fleet is what many agents live in.
type fleet struct {
	t     testing.TB
	conf  string
	began time.Time
	stop  context.CancelFunc
	ctx   context.Context
	ends  sync.WaitGroup

	schemas datamodel.Schemas

	mu    sync.Mutex
	dials [][]attempt // by agent: when it tried to reach the ACS
}

// An attempt is the first and the last dial of a session that did not come about.
type attempt struct{ first, last time.Duration }

// member is an agent that is not started yet, with all that is not the agent.
type member struct {
	n          int
	router     *fake.Router
	state, ram *storetest.FS
}

func newFleet(t testing.TB, dir string, n int) (*fleet, []*member) {
	f := &fleet{t: t, conf: filepath.Join(dir, "gatehouse"), began: time.Now(), dials: make([][]attempt, n)}
	f.ctx, f.stop = context.WithCancel(context.Background())
	all := make([]*member, n)
	for i := range all {
		all[i] = newMember(i)
	}
	return f, all
}

func newMember(n int) *member {
	m := &member{n: n, router: fake.New(), state: storetest.New(), ram: storetest.New()}
	m.router.SetID(platform.ID{
		Manufacturer: "Example Networks", OUI: "00005E", ProductClass: "HG-1", SerialNumber: fmt.Sprintf("%012d", n),
	})
	return m
}

// start starts an agent and returns when it is up.
func (f *fleet) start(m *member) {
	ready := make(chan *app.Agent, 4)
	r := rand.New(rand.NewPCG(1, uint64(m.n)))
	var mu sync.Mutex
	c := app.Config{
		Platform: m.router.Platform(), Version: "1.2.3", ConfigFile: f.conf,
		State: "/state", StateFS: m.state, Run: "/run", RunFS: m.ram, Schemas: &f.schemas,
		ResolvConf: "/nonexistent/resolv.conf", Hosts: filepath.Join(filepath.Dir(f.conf), "hosts"),
		Dial:   func(_ context.Context, network, _ string) (net.Conn, error) { return nil, f.dialled(m.n, network) },
		Listen: func(context.Context, string, string) (net.Listener, error) { return newDeaf(), nil },
		Who:    func(net.Conn) api.Caller { return root },
		Rand:   func(n int64) int64 { mu.Lock(); defer mu.Unlock(); return r.Int64N(n) },
		Ready:  func(a *app.Agent) { ready <- a },
	}
	f.ends.Go(func() {
		if err := app.Run(f.ctx, c); err != nil {
			f.t.Errorf("agent %d: %v", m.n, err)
			ready <- nil
		}
	})
	<-ready
}

func (f *fleet) dialled(n int, network string) error {
	if network == "unix" { // there is no bus
		return &net.OpError{Op: "dial", Net: network, Err: syscall.ENOENT}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	now := time.Since(f.began)
	d := f.dials[n]
	if len(d) > 0 && now < d[len(d)-1].last+time.Second { // one attempt dials twice
		d[len(d)-1].last = now
	} else {
		f.dials[n] = append(d, attempt{now, now})
	}
	return &net.OpError{Op: "dial", Net: "tcp", Err: syscall.ECONNREFUSED}
}

// end stops all agents.
func (f *fleet) end() {
	f.stop()
	f.ends.Wait()
}

// deaf is a listener to which nobody comes.
type deaf struct {
	done chan struct{}
	once sync.Once
}

func newDeaf() *deaf { return &deaf{done: make(chan struct{})} }

func (d *deaf) Accept() (net.Conn, error) { <-d.done; return nil, net.ErrClosed }
func (d *deaf) Close() error              { d.once.Do(func() { close(d.done) }); return nil }
func (d *deaf) Addr() net.Addr            { return &net.TCPAddr{IP: net.IPv4zero, Port: 7547} }

// A weight is what a process holds, in bytes after a collection.
type weight struct{ heap, stacks, goroutines int }

func weigh() weight {
	for range 3 { // stacks are halved by each
		runtime.GC()
	}
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return weight{int(m.HeapAlloc), int(m.StackInuse), runtime.NumGoroutine()}
}

// each is how much of the growth from before to w each of n has.
func (w weight) each(before weight, n int) weight {
	return weight{(w.heap - before.heap) / n, (w.stacks - before.stacks) / n, (w.goroutines - before.goroutines) / n}
}

// model builds the data model of an agent, and nothing else of it.
func model(t testing.TB, m *member, set *settings.Settings, schemas *datamodel.Schemas) *datamodel.Tree {
	tree, err := datamodel.New(datamodel.Options{Schemas: schemas})
	if err == nil {
		ours := tr181.Agent{ // parts that are never asked: only what is declared counts
			Settings: set, NAT: struct{ tr181.NAT }{}, XMPP: struct{ tr181.XMPP }{}, Provider: struct{ tr181.Provider }{},
			Transfers: struct{ tr181.Transfers }{}, Diagnostics: able{}, Reach: struct{ tr181.Reach }{}, Voice: struct{ tr181.Voice }{},
			Lightweight: true, Identity: func() platform.ID { return platform.ID{} }, Keep: func(string) datamodel.Backing { return nil },
		}
		_, err = tree.Add(tr181.New(m.router.Platform(), ours).Objects()...)
	}
	if err != nil {
		t.Fatal(err)
	}
	return tree
}

// schema returns what the schema weighs that the agents share, and what the data
// model of each has besides.
func schema(t testing.TB, all []*member, conf string) (shared, own int) {
	set, err := settings.Open(settings.Options{Config: conf})
	if err != nil {
		t.Fatal(err)
	}
	var schemas datamodel.Schemas
	var models []*datamodel.Tree
	none := weigh()
	models = append(models, model(t, all[0], set, &schemas))
	one := weigh()
	for _, m := range all[1:] {
		models = append(models, model(t, m, set, &schemas))
	}
	own = weigh().each(one, len(all)-1).heap
	runtime.KeepAlive(models)
	return one.heap - none.heap - own, own
}

// besides ends the fleet, and returns by how much the disks of each member, and
// the fake of its router, have grown. The last words of the agents are not heard.
func (f *fleet) besides(all []*member) int {
	for _, m := range all {
		m.state.Restart(storetest.Kill)
		m.ram.Restart(storetest.Kill)
	}
	f.end()
	time.Sleep(24 * time.Hour) // timers that were stopped are forgotten when they would have been due
	full := weigh()
	for _, m := range all {
		*m = *newMember(m.n)
	}
	return full.each(weigh(), len(all)).heap
}

// able is diagnostics of every kind.
type able struct{ tr181.Diagnostics }

func (able) CanProbe() bool { return true }

// What an agent may weigh. The aim is 60 KB; what the runtime leaves unused between
// stacks differs by 3 KB from run to run.
const (
	heaviest       = 64 << 10
	mostGoroutines = 5
)

// fleetSize is how many agents TestFleet has: GATEHOUSE_FLEET, or as many as fit
// into a check. `make fleet` takes 10,000.
func fleetSize(t testing.TB) int {
	text := os.Getenv("GATEHOUSE_FLEET")
	switch {
	case text == "" && racing:
		return 150
	case text == "":
		return 1000
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// TestFleet: the power comes back in a town, and the ACS is not up to it. Each
// agent weighs little, and their retries are spread over the whole of each
// window of TR-069 3.2.1.1: no second sees a crowd.
func TestFleet(t *testing.T) {
	n := fleetSize(t)
	dir := t.TempDir()
	write(t, filepath.Join(dir, "hosts"), acsIP+" acs.example.net\n")
	synctest.Test(t, func(t *testing.T) {
		f, all := newFleet(t, dir, n)
		write(t, f.conf, config())
		defer f.stop()
		shared, own := schema(t, all[:min(n, 100)], f.conf)
		before := weigh()
		for _, m := range all {
			f.start(m)
		}
		time.Sleep(48 * time.Second) // three attempts of everybody, at least
		f.spread(1, 5*time.Second)
		f.spread(2, 10*time.Second)
		synctest.Wait()
		each := weigh().each(before, n)
		besides := f.besides(all)
		heap := each.heap - besides
		t.Logf("%d agents, each %d bytes: heap %d (of which data model %d), stacks of %d goroutines %d; besides, disks and router in memory %d",
			n, heap+each.stacks, heap, own, each.goroutines, each.stacks, besides)
		t.Logf("the schema that they share: %d bytes", shared)
		if racing { // whose frames are larger
			each.stacks = 0
		}
		if heap+each.stacks > heaviest || each.goroutines > mostGoroutines {
			t.Errorf("each agent weighs %d bytes, with %d goroutines", heap+each.stacks, each.goroutines)
		}
	})
}

// spread looks at how the waits before one attempt lie within their window, from
// low to twice that: in each tenth of it there are as many as chance allows.
func (f *fleet) spread(k int, low time.Duration) {
	f.t.Helper()
	f.mu.Lock()
	defer f.mu.Unlock()
	const tenths = 10
	var bins [tenths]int
	at := map[time.Duration]int{}
	crowd := 0
	for n, d := range f.dials {
		if len(d) <= k {
			f.t.Fatalf("agent %d made %d attempts", n, len(d))
		}
		wait := d[k].first - d[k-1].last
		if wait < low || wait > 2*low {
			f.t.Errorf("agent %d waited %v before attempt %d", n, wait, k+1)
			continue
		}
		bins[min(tenths-1, int(tenths*(wait-low)/low))]++
		second := d[k].first.Truncate(time.Second)
		at[second]++
		crowd = max(crowd, at[second])
	}
	n := float64(len(f.dials))
	f.t.Logf("attempt %d, waits from %v to %v in tenths: %v; most in one second: %d", k+1, low, 2*low, bins, crowd)
	for i, count := range bins {
		if off := math.Abs(float64(count) - n/tenths); off > 4.5*math.Sqrt(n/tenths) {
			f.t.Errorf("attempt %d: %d waits in tenth %d of %v", k+1, count, i+1, bins)
		}
	}
	if share := float64(crowd) / n; share > 1.5/low.Seconds()+4.5/math.Sqrt(n*low.Seconds()) {
		f.t.Errorf("attempt %d: %d of %v came within one second", k+1, crowd, n)
	}
}
