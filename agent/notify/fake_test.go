package notify_test

import (
	"context"
	"fmt"
	"iter"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"gatehouse/agent/notify"
	"gatehouse/datamodel"
	"gatehouse/internal/store/storetest"
)

// Topics of the fake tree. A parameter under Device.Quiet. has none.
const (
	links datamodel.Topic = iota + 1
	routes
)

// fake is a tree of plain values, with knobs.
type fake struct {
	mu     sync.Mutex
	values map[string]string
	notify map[string]datamodel.Notify // by template
	down   string                      // what begins so is not available
	reads  int
	walks  int
}

func newFake() *fake {
	return &fake{
		values: map[string]string{
			"Device.DeviceInfo.SoftwareVersion":            "1.0",
			"Device.DeviceInfo.UpTime":                     "5",
			"Device.ManagementServer.ConnectionRequestURL": "http://192.0.2.1:7547/x",
			"Device.Ethernet.Interface.1.Status":           "Up",
			"Device.Ethernet.Interface.2.Status":           "Down",
			"Device.Ethernet.InterfaceNumberOfEntries":     "2",
			"Device.Routing.Router.1.Gateway":              "192.0.2.254",
			"Device.Quiet.Level":                           "3",
			"Device.Unit.1.Status":                         "Idle",
		},
		notify: map[string]datamodel.Notify{
			"Device.DeviceInfo.SoftwareVersion":            datamodel.NotifyForced,
			"Device.DeviceInfo.UpTime":                     datamodel.NotifyNever,
			"Device.ManagementServer.ConnectionRequestURL": datamodel.NotifyDefaultOn,
			"Device.Unit.{i}.Status":                       datamodel.NotifyDefaultOn,
		},
	}
}

func (f *fake) set(name, value string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.values[name] = value
}

func (f *fake) del(name string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.values, name)
}

// fail makes what begins with prefix unavailable; "": nothing.
func (f *fake) fail(prefix string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.down = prefix
}

// count returns how many parameters, and how often the whole tree, were read
// since the last call.
func (f *fake) count() (reads, walks int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	reads, walks, f.reads, f.walks = f.reads, f.walks, 0, 0
	return reads, walks
}

func template(name string) string {
	s := strings.Split(name, ".")
	for i := range s {
		if s[i] != "" && s[i][0] >= '0' && s[i][0] <= '9' {
			s[i] = "{i}"
		}
	}
	return strings.Join(s, ".")
}

func topicOf(path string) []datamodel.Topic {
	switch {
	case strings.HasPrefix(path, "Device.Ethernet."), strings.HasPrefix(path, "Device.ManagementServer."):
		return []datamodel.Topic{links}
	case strings.HasPrefix(path, "Device.Routing."):
		return []datamodel.Topic{routes}
	}
	return nil
}

func matches(path, name string) bool {
	if strings.HasSuffix(path, ".") || path == "" {
		return strings.HasPrefix(name, path)
	}
	p, n := strings.Split(path, "."), strings.Split(name, ".")
	return slices.EqualFunc(p, n, func(a, b string) bool { return a == b || a == "*" })
}

func (f *fake) Values(ctx context.Context, path string) iter.Seq2[datamodel.Item, error] {
	f.mu.Lock()
	values, down := maps.Clone(f.values), f.down
	if path == datamodel.Root {
		f.walks++
	} else {
		f.reads++
	}
	f.mu.Unlock()
	return func(yield func(datamodel.Item, error) bool) {
		partial := strings.HasSuffix(path, ".") || strings.Contains(path, "*")
		found := false
		for _, name := range slices.Sorted(maps.Keys(values)) {
			if !matches(path, name) {
				continue
			}
			found = true
			if down != "" && strings.HasPrefix(name, down) {
				if partial {
					continue
				}
				yield(datamodel.Item{}, &datamodel.Unavailable{Source: "knob", Err: context.DeadlineExceeded})
				return
			}
			if !yield(datamodel.Item{Name: name, Value: values[name], Notify: f.notify[template(name)]}, nil) {
				return
			}
		}
		if !found && !partial {
			yield(datamodel.Item{}, fmt.Errorf("%s: %w", path, datamodel.ErrNoName))
		}
	}
}

func (f *fake) Describe(ctx context.Context, path string) (datamodel.Info, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	numbered := strings.Replace(path, "[wan]", "1", 1)
	if numbered == "" {
		numbered = datamodel.Root
	}
	if _, ok := f.values[numbered]; ok {
		return datamodel.Info{Path: numbered, Notify: f.notify[template(numbered)], Topics: topicOf(numbered)}, nil
	}
	object := strings.TrimSuffix(numbered, ".") + "."
	for name := range f.values {
		if strings.HasPrefix(name, object) {
			return datamodel.Info{Path: object, Object: true}, nil
		}
	}
	return datamodel.Info{}, fmt.Errorf("%s: %w", path, datamodel.ErrNoName)
}

func (f *fake) Concerns(path string, topic datamodel.Topic) bool {
	return slices.Contains(topicOf(path), topic)
}

func (f *fake) defaults() iter.Seq[datamodel.Info] {
	return func(yield func(datamodel.Info) bool) {
		for path, n := range f.notify {
			if n != datamodel.NotifyNever && !yield(datamodel.Info{Path: path, Notify: n, Topics: topicOf(path)}) {
				return
			}
		}
	}
}

// A post is a notifier on a fake tree, and what it asked of core.
type post struct {
	*notify.Notifier
	t                *testing.T
	tree             *fake
	attrs, told, run storetest.File
	max              int
	light            func()

	mu    sync.Mutex
	asked []bool
	deaf  error // what core answers

	ctx  context.Context
	kill context.CancelFunc
}

func try(t *testing.T, p *post, story func(p *post)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		p.t = t
		if p.tree == nil {
			p.tree = newFake()
		}
		p.start()
		story(p)
		p.stop()
	})
}

func (p *post) start() {
	p.t.Helper()
	n, err := notify.New(notify.Config{
		Tree: p.tree, Defaults: p.tree.defaults,
		Attributes: &p.attrs, Told: &p.told, Run: &p.run,
		Core: p.core, Max: p.max, Light: p.light,
	})
	if err != nil {
		p.t.Fatal(err)
	}
	p.Notifier = n
	p.ctx, p.kill = context.WithCancel(p.t.Context())
	n.Start(p.ctx)
	time.Sleep(time.Second) // the comparison of the start
	synctest.Wait()
}

func (p *post) core(_ context.Context, changed bool) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.asked = append(p.asked, changed)
	return p.deaf
}

func (p *post) stop() {
	p.kill()
	if err := p.Stop(); err != nil {
		p.t.Errorf("Stop: %v", err)
	}
}

// wait lets d pass, and checks what core was asked since the last call: "+"
// for a change, "-" for one taken back.
func (p *post) wait(d time.Duration, want string) {
	p.t.Helper()
	if got := p.waited(d); got != want {
		p.t.Errorf("core was asked %q, want %q", got, want)
	}
}

func (p *post) waited(d time.Duration) (asked string) {
	time.Sleep(d)
	synctest.Wait()
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range p.asked {
		asked += map[bool]string{true: "+", false: "-"}[c]
	}
	p.asked = nil
	return asked
}

// session delivers an Inform, and checks what it reports.
func (p *post) session(want ...string) {
	p.t.Helper()
	r := p.collect(want...)
	if err := p.Delivered(p.ctx, r); err != nil {
		p.t.Error(err)
	}
}

func (p *post) collect(want ...string) *notify.Report {
	p.t.Helper()
	r, err := p.Collect(p.ctx, false)
	if err != nil {
		p.t.Fatal(err)
	}
	var got []string
	for _, it := range r.Items {
		got = append(got, it.Name+"="+it.Value)
	}
	if !slices.Equal(got, want) {
		p.t.Errorf("the Inform reports %q, want %q", got, want)
	}
	return r
}

// bootstrap is the first contact.
func (p *post) bootstrap() {
	p.t.Helper()
	r, err := p.Collect(p.ctx, true)
	if err != nil || len(r.Items) > 0 {
		p.t.Errorf("first contact: %v, %v", r, err)
	}
	if err := p.Delivered(p.ctx, r); err != nil {
		p.t.Error(err)
	}
}

func (p *post) notification(value int, paths ...string) {
	p.t.Helper()
	var cs []notify.Change
	for _, path := range paths {
		cs = append(cs, notify.Change{Name: path, NotificationChange: true, Notification: value})
	}
	if err := p.SetAttributes(p.ctx, cs); err != nil {
		p.t.Errorf("SetAttributes %v: %v", paths, err)
	}
}
