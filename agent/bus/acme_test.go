package bus_test

// A vendor for tests: an island of LEDs and a colour on each Ethernet
// interface, with knobs.

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/godbus/dbus/v5"
)

const (
	leds   = "Device.X_ACME_Led."
	ledT   = leds + "{i}."
	colour = "Device.Ethernet.Interface.{i}.X_ACME_"
)

type entry struct {
	Name, Type string
	Attrs      options
}

// opts makes a{sv} of pairs.
func opts(pairs ...any) options {
	o := options{}
	for i := 0; i < len(pairs); i += 2 {
		o[pairs[i].(string)] = dbus.MakeVariant(pairs[i+1])
	}
	return o
}

var ledSchema = []entry{
	{"", "object", opts("Add", true)},
	{"Alias", "alias", opts()},
	{"Enable", "boolean", opts("Access", "readWrite", "Default", true)},
	{"Brightness", "unsignedInt", opts("Access", "readWrite", "Min", uint32(0), "Max", uint32(100))},
	{"Mode", "string", opts("Access", "readWrite", "Enum", []string{"Solid", "Blink"}, "Default", "Solid")},
	{"Pattern", "list", opts("Access", "readWrite", "MaxItems", uint32(4))},
	{"Key", "string", opts("Access", "readWrite", "Hidden", true)},
	{"Test", "boolean", opts("Access", "command")},
	{"Stats.Blinks", "unsignedLong", opts()},
}

var colourSchema = []entry{{"Colour", "string", opts("Access", "readWrite", "MaxLength", uint32(16))}}

type keyed struct {
	Key    string
	Values options
}

type change struct {
	Kind, Table string
	Keys        []string
	Values      options
}

// An acme is the vendor's process.
type acme struct {
	*client
	mu      sync.Mutex
	rows    map[string]map[string]options // by table, by key
	undo    map[uint64]func()
	log     []string
	added   int
	counts  map[string]int
	answer  func() []keyed         // instead of rows
	refuse  map[string]*dbus.Error // by method
	during  map[string]func()      // what it does in a method
	hang    chan struct{}          // closed: it goes on
	hanging map[string]bool        // methods
	newRow  func() (string, options)
}

func (h *house) acme() *acme {
	h.Helper()
	a := &acme{client: h.dial(), undo: map[uint64]func(){}, counts: map[string]int{}, refuse: map[string]*dbus.Error{},
		during: map[string]func(){}, hang: make(chan struct{}), hanging: map[string]bool{},
		rows: map[string]map[string]options{
			ledT:                                {"power": opts("Brightness", uint32(50), "Stats.Blinks", uint64(7)), "wifi": opts("Brightness", uint32(10), "Mode", "Blink")},
			colour[:len(colour)-len("X_ACME_")]: {"eth0": opts("X_ACME_Colour", "red")},
		}}
	if err := a.Export(subtree{a}, "/org/gatehouse1/Subtree", "org.gatehouse1.Subtree"); err != nil {
		h.Fatal(err)
	}
	return a
}

func (a *acme) register(prefix string, schema any, options options) error {
	return a.call("Registry.Register", prefix, schema, options).Err
}

func (a *acme) enter(method string) *dbus.Error {
	a.mu.Lock()
	a.counts[method]++
	during, refuse, hanging := a.during[method], a.refuse[method], a.hanging[method]
	a.mu.Unlock()
	if during != nil {
		during()
	}
	if hanging {
		<-a.hang
	}
	return refuse
}

func (a *acme) knob(f func()) {
	a.mu.Lock()
	defer a.mu.Unlock()
	f()
}

func (a *acme) count(method string) int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.counts[method]
}

func (a *acme) changed() {
	if err := a.Emit("/org/gatehouse1/Subtree", "org.gatehouse1.Subtree.Changed", ""); err != nil {
		a.Error(err)
	}
}

// subtree is what the agent calls.
type subtree struct{ a *acme }

func (s subtree) Rows(table string, parent []string) ([]keyed, *dbus.Error) {
	if err := s.a.enter("Rows"); err != nil {
		return nil, err
	}
	s.a.mu.Lock()
	defer s.a.mu.Unlock()
	if s.a.answer != nil {
		return s.a.answer(), nil
	}
	list := []keyed{}
	for _, k := range slices.Sorted(maps.Keys(s.a.rows[table])) {
		list = append(list, keyed{k, maps.Clone(s.a.rows[table][k])})
	}
	return list, nil
}

func (s subtree) New(table string, parent []string) (string, options, *dbus.Error) {
	if err := s.a.enter("New"); err != nil {
		return "", nil, err
	}
	s.a.mu.Lock()
	defer s.a.mu.Unlock()
	if s.a.newRow != nil {
		k, v := s.a.newRow()
		return k, v, nil
	}
	s.a.added++
	return fmt.Sprint("new", s.a.added), opts("Brightness", uint32(1)), nil
}

func (s subtree) Validate(id uint64, changes []change) *dbus.Error { return s.a.enter("Validate") }

func (s subtree) Apply(id uint64, changes []change) (bool, *dbus.Error) {
	if err := s.a.enter("Apply"); err != nil {
		return false, err
	}
	s.a.mu.Lock()
	defer s.a.mu.Unlock()
	before := map[string]map[string]options{}
	for t, rows := range s.a.rows {
		before[t] = map[string]options{}
		for k, v := range rows {
			before[t][k] = maps.Clone(v)
		}
	}
	s.a.undo[id] = func() { s.a.rows = before }
	for _, c := range changes {
		key := strings.Join(c.Keys, "/") // "" where there is no table
		switch c.Kind {
		case "delete":
			delete(s.a.rows[c.Table], key)
		case "add":
			s.a.rows[c.Table][key] = c.Values
		default:
			for n, v := range c.Values {
				s.a.log = append(s.a.log, fmt.Sprint(n, "=", v.Value()))
				if n != "Test" && n != "Key" {
					s.a.rows[c.Table][key][n] = v
				}
			}
		}
	}
	return false, nil
}

func (s subtree) Revert(id uint64) *dbus.Error {
	if err := s.a.enter("Revert"); err != nil {
		return err
	}
	s.a.mu.Lock()
	defer s.a.mu.Unlock()
	if f := s.a.undo[id]; f != nil {
		f()
		delete(s.a.undo, id)
	}
	return nil
}

// leds registers the LEDs and returns the paths of power and wifi. A call that
// is not answered fails soon.
func (a *acme) leds() (power, wifi string) { return a.ledsWithin(500 * time.Millisecond) }

func (a *acme) ledsWithin(timeout time.Duration) (power, wifi string) {
	a.Helper()
	if err := a.register(ledT, ledSchema, opts("Timeout", uint32(timeout.Milliseconds()))); err != nil {
		a.Fatal(err)
	}
	return leds + "1.", leds + "2."
}

func TestPeerIsland(t *testing.T) {
	h := build(t)
	a, c := h.acme(), h.dial()
	power, wifi := a.leds()
	got := c.get("Device.X_ACME_Led.", "Device.X_ACME_LedNumberOfEntries")
	want := map[string]any{
		power + "Alias": "cpe-1", power + "Enable": true, power + "Brightness": uint32(50), power + "Mode": "Solid", power + "Pattern": "",
		power + "Key": "", power + "Test": false, power + "Stats.Blinks": uint64(7),
		wifi + "Alias": "cpe-2", wifi + "Enable": true, wifi + "Brightness": uint32(10), wifi + "Mode": "Blink", wifi + "Pattern": "",
		wifi + "Key": "", wifi + "Test": false, wifi + "Stats.Blinks": uint64(0), "Device.X_ACME_LedNumberOfEntries": uint32(2),
	}
	if !maps.Equal(got, want) {
		t.Errorf("got %v\nwant %v", got, want)
	}
	if err := c.set(power+"Brightness", uint32(99), power+"Test", true, power+"Key", "secret", wifi+"Pattern", []string{"a,b", "c"}, wifi+"Alias", "wlan"); err != nil {
		t.Fatal(err)
	}
	a.mu.Lock()
	slices.Sort(a.log)
	if want := []string{"Brightness=99", "Key=secret", "Pattern=[a,b c]", "Test=true"}; !slices.Equal(a.log, want) {
		t.Errorf("it was told %q", a.log)
	}
	a.mu.Unlock()
	if got := c.get(leds + "[wlan].Pattern"); got[leds+"[wlan].Pattern"] != "a%2Cb,c" {
		t.Error(got)
	}
	c.refused(c.set(power+"Brightness", uint32(101)), "InvalidValue", power+"Brightness")
	c.refused(c.set(power+"Mode", "Dance"), "InvalidValue", power+"Mode")
	c.refused(c.set(power+"Stats.Blinks", uint32(1)), "NotWritable", power+"Stats.Blinks")
	c.refused(c.set(power+"Enable", uint32(1)), "InvalidType", power+"Enable")

	var path string
	c.must("DataModel.AddObject", []any{leds, opts("Mode", "Blink"), options{}}, &path)
	if got := c.get(path); path != leds+"3." || got[path+"Mode"] != "Blink" || got[path+"Brightness"] != uint32(1) {
		t.Error(path, got)
	}
	c.must("DataModel.DeleteObject", []any{[]string{path}, options{}})
	c.refused(c.call("DataModel.GetValues", []string{path}, options{}).Err, "InvalidName", path)
}

func TestPeerExtension(t *testing.T) {
	h := build(t)
	a, c := h.acme(), h.dial()
	if err := a.register(colour, colourSchema, opts()); err != nil {
		t.Fatal(err)
	}
	got := c.get("Device.Ethernet.Interface.*.X_ACME_Colour")
	if len(got) != 1 {
		t.Fatal(got)
	}
	for name := range got {
		if err := c.set(name, "blue"); err != nil {
			t.Error(err)
		}
		if got := c.get(name); got[name] != "blue" {
			t.Error(got)
		}
		c.refused(c.set(name, "of a colour that is too long"), "InvalidValue", name)
	}
	c.must("Registry.List", nil, new([]struct{ A, B, C string }))
	a.must("Registry.Unregister", []any{colour})
	c.refused(c.call("DataModel.GetValues", []string{"Device.Ethernet.Interface.*.X_ACME_Colour"}, options{}).Err, "InvalidName")
}

// TestPeerRollback: a transaction that another part refuses is taken back at
// the vendor, and the other way round.
func TestPeerRollback(t *testing.T) {
	h := build(t)
	a, c := h.acme(), h.dial()
	power, _ := a.leds()
	var path string
	c.must("DataModel.AddObject", []any{wan + "IPv4Address.", opts("Enable", false), options{}}, &path)
	h.router.FailCommit(0, errors.New("no"))
	for range 2 { // the order of the parts is that of the names
		if err := c.set(power+"Brightness", uint32(1), path+"IPAddress", "192.0.2.9", path+"SubnetMask", "255.255.255.0", path+"Enable", true); err == nil {
			t.Fatal("it was to fail")
		}
		if got := c.get(power + "Brightness"); got[power+"Brightness"] != uint32(50) {
			t.Error("the vendor was not reverted: ", got)
		}
	}
	h.router.FailCommit(0, nil)
	a.knob(func() {
		a.refuse["Apply"] = dbus.NewError("org.gatehouse1.Error.InvalidValue", []any{"Brightness: the lamp is too old"})
	})
	c.refused(c.set(power+"Brightness", uint32(2), path+"IPAddress", "192.0.2.9"), "InvalidValue", power+"Brightness", "too old")
	if got := c.get(path + "IPAddress"); got[path+"IPAddress"] == "192.0.2.9" {
		t.Error("half of it was done: ", got)
	}
	a.knob(func() { delete(a.refuse, "Apply") })
	a.knob(func() { a.refuse["Validate"] = dbus.NewError("org.acme.Broken", []any{"fuse"}) })
	c.refused(c.set(power+"Brightness", uint32(2)), "Failed", "fuse")
	if err := c.call("DataModel.DryRun", opts(power+"Brightness", uint32(3)), options{}).Err; err == nil {
		t.Error("a dry run does not ask it")
	}
}
