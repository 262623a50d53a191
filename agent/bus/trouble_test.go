package bus_test

// Vendors that hang, crash, lie, flood and claim what is not theirs.

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/godbus/dbus/v5"
)

// eventually waits for what another process does in its own time.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	deadline := time.Now().Add(20 * time.Second)
	for !ok() {
		if time.Now().After(deadline) {
			t.Fatal("it never came about: ", what)
		}
		wait := make(chan struct{})
		time.AfterFunc(2*time.Millisecond, func() { close(wait) })
		<-wait
	}
}

// TestPeerHangingVendor costs its time once; then it is down, asked again
// later, and its values come back with a word to those who watch.
func TestPeerHangingVendor(t *testing.T) {
	h := build(t)
	a, c := h.acme(), h.dial()
	power, _ := a.leds()
	var id uint32
	var now options
	c.must("DataModel.Watch", []any{[]string{power + "Brightness"}, options{}}, &id, &now)
	a.knob(func() { a.hanging["Rows"] = true })
	asked := a.count("Rows")
	c.refused(c.call("DataModel.GetValues", []string{power}, options{}).Err, "Unavailable", "D-Bus")
	began := time.Now()
	for range 20 {
		c.refused(c.call("DataModel.GetValues", []string{power}, options{}).Err, "Unavailable", "asked again")
	}
	var values options
	var out map[string]string
	c.must("DataModel.GetValues", []any{[]string{"Device."}, options{}}, &values, &out)
	if len(values) < 50 || len(out) == 0 {
		t.Errorf("the rest of the tree has %d values, left out: %v", len(values), out)
	}
	if took := time.Since(began); took > 400*time.Millisecond || a.count("Rows") > asked+2 {
		t.Errorf("it cost %v more, and was asked %d times", took, a.count("Rows")-asked)
	}
	c.refused(c.set(power+"Brightness", uint32(3)), "Unavailable")
	a.knob(func() {
		a.hanging["Rows"] = false
		a.rows[ledT]["power"]["Brightness"] = dbus.MakeVariant(uint32(51))
	})
	close(a.hang)
	eventually(t, "its values", func() bool { return c.call("DataModel.GetValues", []string{power}, options{}).Err == nil })
	if s := c.next("org.gatehouse1.DataModel.ValuesChanged"); s.Body[1].(options)[power+"Brightness"].Value() != uint32(51) {
		t.Error(s.Body)
	}
}

// TestPeerVendorRestarts: what it had goes and comes along with it, and keeps
// its numbers and aliases, also over a restart of the bus.
func TestPeerVendorRestarts(t *testing.T) {
	h := build(t)
	a, c := h.acme(), h.dial()
	power, wifi := a.leds()
	if err := c.set(wifi+"Alias", "wlan"); err != nil {
		t.Fatal(err)
	}
	a.Close()
	eventually(t, "that it is gone", func() bool { return c.call("DataModel.GetValues", []string{power}, options{}).Err != nil })
	c.refused(c.call("DataModel.GetValues", []string{leds}, options{}).Err, "InvalidName", leds)
	again := h.acme()
	again.knob(func() { delete(again.rows[ledT], "power") })
	again.leds()
	if got := c.get(leds); got[wifi+"Alias"] != "wlan" || len(got) != 8 {
		t.Error(got)
	}
	h.bus.stop()
	h.stop()
	h.bus.start()
	h.open()
	third, c := h.acme(), h.dial()
	third.leds()
	if got := c.get(leds); got[wifi+"Brightness"] != uint32(10) || got[power+"Brightness"] != uint32(50) {
		t.Error(got)
	}
}

// TestPeerCrashInTransaction: the others are rolled back.
func TestPeerCrashInTransaction(t *testing.T) {
	for _, method := range []string{"Validate", "Apply"} {
		t.Run(method, func(t *testing.T) {
			h := build(t)
			a, c := h.acme(), h.dial()
			power, _ := a.leds()
			other := h.acme()
			if err := other.register("Device.X_B_", []entry{{"Name", "string", opts("Access", "readWrite")}}, opts()); err != nil {
				t.Fatal(err)
			}
			other.knob(func() { other.rows["Device."] = map[string]options{"": opts("X_B_Name", "old")} })
			a.knob(func() { a.during[method] = func() { a.Close() } })
			// The parts commit in the order of the names: the other one is first.
			c.refused(c.set("Device.X_B_Name", "new", power+"Brightness", uint32(1)), "Unavailable")
			if got := c.get("Device.X_B_Name"); got["Device.X_B_Name"] != "old" {
				t.Error("half of it was done: ", got)
			}
			if err := c.set("Device.X_B_Name", "newer"); err != nil {
				t.Error(err)
			}
		})
	}
}

// TestPeerReentrance: a call from within Apply gets Busy at once, in any
// thread, and Apply comes to its good end.
func TestPeerReentrance(t *testing.T) {
	h := build(t)
	a, c := h.acme(), h.dial()
	power, _ := a.leds()
	said := make(chan error, 3)
	a.knob(func() {
		a.during["Apply"] = func() {
			said <- a.set(wan+"Enable", true)
			said <- a.call("DataModel.GetValues", []string{power}, options{}).Err
			said <- a.call("DataModel.GetValues", []string{wan}, options{}).Err
		}
	})
	if err := c.set(power+"Brightness", uint32(1)); err != nil {
		t.Fatal(err)
	}
	c.refused(<-said, "Busy")
	c.refused(<-said, "Busy")
	if err := <-said; err != nil {
		t.Error(err)
	}
	c.refused(a.set(power+"Brightness", uint32(2)), "Busy")

	// It waits for its turn behind a transaction that comes to need it.
	waits := make(chan error, 1)
	a.knob(func() {
		delete(a.during, "Apply")
		a.during["Validate"] = func() {
			go func() { waits <- a.set(wan+"Enable", true) }()
		}
	})
	if err := c.set(power+"Brightness", uint32(3)); err != nil {
		t.Fatal(err)
	}
	if err := <-waits; err != nil {
		c.refused(err, "Busy")
	}
	if err := a.set(wan+"Enable", true); err != nil {
		t.Error("it cannot write any more: ", err)
	}
}

func TestPeerFiftyVendors(t *testing.T) {
	h := build(t)
	c := h.dial()
	var all sync.WaitGroup
	vendors := make([]*acme, 50)
	for i := range vendors {
		vendors[i] = h.acme()
		all.Go(func() {
			a := vendors[i]
			table := fmt.Sprintf("Device.X_V%d_Led.{i}.", i)
			a.knob(func() { a.rows[table] = a.rows[ledT] })
			if err := a.register(table, ledSchema, opts()); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	for i := range vendors {
		all.Go(func() {
			c := h.dial()
			name := fmt.Sprintf("Device.X_V%d_Led.1.Brightness", i)
			if err := c.set(name, uint32(i)); err != nil {
				t.Error(err)
			}
			if got := c.get(name); got[name] != uint32(i) {
				t.Error(got)
			}
		})
	}
	all.Wait()
	pairs := []any{}
	for i := range vendors {
		pairs = append(pairs, fmt.Sprintf("Device.X_V%d_Led.1.Brightness", i), uint32(100-i))
	}
	if err := c.set(pairs...); err != nil {
		t.Error("all in one transaction: ", err)
	}
	for _, v := range vendors {
		v.Close()
	}
	eventually(t, "that all are gone", func() bool {
		var list []struct{ A, B, C string }
		c.must("Registry.List", nil, &list)
		return len(list) == 0
	})
}

// TestPeerLies: an answer that makes no sense is left out, and named where it
// was asked for; the rest of the tree stands.
func TestPeerLies(t *testing.T) {
	h := build(t)
	a, c := h.acme(), h.dial()
	power, _ := a.ledsWithin(10 * time.Second) // it answers, however busy this machine is
	row := func(pairs ...any) func() []keyed { return func() []keyed { return []keyed{{"power", opts(pairs...)}} } }
	many := make([]keyed, aMillion)
	for i := range many {
		many[i] = keyed{fmt.Sprint(i), nil}
	}
	for name, answer := range map[string]func() []keyed{
		"a string for a number": row("Brightness", "dark"),
		"a flag for a number":   row("Brightness", true),
		"beyond its limits":     row("Brightness", uint32(101)),
		"no such mode":          row("Mode", "Dance"),
		"not declared":          row("Colour", "red"),
		"negative":              row("Brightness", int32(-1)),
		"a key twice":           func() []keyed { return []keyed{{"power", nil}, {"power", nil}} },
		"a long key":            func() []keyed { return []keyed{{strings.Repeat("k", 200), nil}} },
		"too many rows":         func() []keyed { return many[:5000] },
	} {
		a.knob(func() { a.answer = answer })
		c.refused(c.call("DataModel.GetValues", []string{power}, options{}).Err, "Unavailable", "makes no sense")
		var values options
		var out map[string]string
		c.must("DataModel.GetValues", []any{[]string{"Device."}, options{}}, &values, &out)
		if len(values) < 50 || out[leds] == "" {
			t.Errorf("%s: %d values, %v", name, len(values), out)
		}
	}
	a.knob(func() { a.answer = func() []keyed { return many } })
	c.refused(c.call("DataModel.GetValues", []string{power}, options{}).Err, "Unavailable") // it may have been too slow, too
	a.knob(func() { a.answer = nil })
	eventually(t, "that it is heard again", func() bool { return c.call("DataModel.GetValues", []string{power}, options{}).Err == nil })
	a.knob(func() { a.newRow = func() (string, options) { return "", nil } })
	c.refused(c.call("DataModel.AddObject", leds, options{}, options{}).Err, "Unavailable")
	a.knob(func() { a.newRow = func() (string, options) { return "power", nil } }) // which is there
	c.refused(c.call("DataModel.AddObject", leds, options{}, options{}).Err, "Unavailable", "another")
}

func TestPeerClaims(t *testing.T) {
	h := build(t)
	a, b, c := h.acme(), h.acme(), h.dial()
	a.leds()
	for prefix, name := range map[string]string{
		"Device.ManagementServer.":               "InvalidName",
		"Device.ManagementServer.URL":            "InvalidName",
		"Device.":                                "InvalidName",
		"Internet.X_ACME_":                       "InvalidName",
		"Device.MoCA.Interface.{i}.X_ACME_":      "InvalidName", // there is none
		"Device.X_":                              "InvalidName",
		"Device.X_ACME":                          "InvalidName",
		"Device.X_ACME_Led.{i}.":                 "Denied",
		"Device.X_ACME_":                         "Denied",
		"Device.X_ACME_Led.{i}.Zone.{i}.":        "Denied",
		"Device.Ethernet.Interface.1.X_ACME_":    "InvalidName",
		"Device.X_ACMEE_ \n.":                    "InvalidArguments",
		"Device.X_B_" + strings.Repeat("a", 300): "InvalidName",
	} {
		if err := b.register(prefix, colourSchema, opts()); err == nil {
			t.Errorf("%s was given", prefix)
		} else {
			c.refused(err, name)
		}
	}
	for what, schema := range map[string][]entry{
		"nothing":               {},
		"no type":               {{"A", "float", nil}},
		"twice":                 {{"A", "string", nil}, {"A", "int", nil}},
		"a param and an object": {{"A", "string", nil}, {"A.B", "string", nil}},
		"unknown attr":          {{"A", "string", opts("Colour", "red")}},
		"bad access":            {{"A", "string", opts("Access", "mine")}},
		"bad min":               {{"A", "int", opts("Min", "low")}},
		"bad default":           {{"A", "int", opts("Default", "low")}},
		"beyond default":        {{"A", "int", opts("Default", int32(9), "Max", int32(3))}},
		"empty name":            {{"", "string", nil}},
		"a bad name":            {{"A..B", "string", nil}},
		"a misplaced i":         {{"{i}.A", "string", nil}},
		"a count":               {{"T.{i}.A", "string", nil}, {"TNumberOfEntries", "int", nil}},
		"its unique":            {{"T.{i}.", "object", opts("Unique", []string{"B"})}, {"T.{i}.A", "string", nil}},
	} {
		if err := b.register("Device.X_B_", schema, opts()); err == nil {
			t.Errorf("%s: taken", what)
		} else {
			c.refused(err, "InvalidArguments")
		}
	}
	big := make([]entry, 1000)
	for i := range big {
		big[i] = entry{fmt.Sprint("P", i), "string", nil}
	}
	c.refused(b.register("Device.X_B_", big, opts()), "InvalidArguments")
	c.refused(b.register("Device.X_B_", colourSchema, opts("Timeout", uint32(1e6))), "InvalidArguments")
	c.refused(b.call("Registry.Unregister", ledT).Err, "InvalidArguments")
	c.refused(b.call("Registry.Register", "Device.X_B_", "schema", options{}).Err, "org.freedesktop.DBus.Error.InvalidArgs")
	if err := b.register("Device.X_B_", colourSchema, opts()); err != nil {
		t.Error("after all that: ", err)
	}
}

// TestPeerSchemaChanges: who registers its own prefix anew replaces the
// schema; rows keep their numbers.
func TestPeerSchemaChanges(t *testing.T) {
	h := build(t)
	a, c := h.acme(), h.dial()
	power, _ := a.leds()
	a.knob(func() { a.rows[ledT] = map[string]options{"power": opts("Brightness", "dim")} })
	schema := []entry{{"Brightness", "string", opts()}, {"Zone.{i}.Name", "string", opts()}}
	if err := a.register(ledT, schema, opts()); err != nil {
		t.Fatal(err)
	}
	if got := c.get(leds); got[power+"Brightness"] != "dim" || len(got) != 2 {
		t.Error(got)
	}
	c.refused(a.register(ledT, []entry{{"A", "float", nil}}, opts()), "InvalidArguments")
	if got := c.get(leds); got[power+"Brightness"] != "dim" {
		t.Error("a schema that was refused has taken the old one away: ", got)
	}
}

// TestPeerFlood: Changed without end costs next to nothing.
func TestPeerFlood(t *testing.T) {
	h := build(t)
	a, c := h.acme(), h.dial()
	power, _ := a.leds()
	var id uint32
	var now options
	c.must("DataModel.Watch", []any{[]string{power}, options{}}, &id, &now)
	asked := a.count("Rows")
	began := time.Now()
	for range 20_000 {
		a.changed()
	}
	c.get(wan)
	took := time.Since(began)
	if n := a.count("Rows") - asked; n > int(took/(100*time.Millisecond))+5 {
		t.Errorf("it was asked %d times in %v", n, took)
	}
}

// TestPeerChanged: a change is told within the time that a watch lets things
// settle, and 20 ms.
func TestPeerChanged(t *testing.T) {
	h := build(t)
	a, c := h.acme(), h.dial()
	power, wifi := a.leds()
	c.must("DataModel.SetAttributes", []any{[]string{wifi + "Mode"}, opts("Notification", int32(2)), options{}})
	var id uint32
	var now options
	c.must("DataModel.Watch", []any{[]string{leds}, options{}}, &id, &now)
	a.knob(func() {
		a.rows[ledT]["power"]["Brightness"] = dbus.MakeVariant(uint32(51))
		a.rows[ledT]["wifi"]["Mode"] = dbus.MakeVariant("Solid")
		a.rows[ledT]["dsl"] = opts()
	})
	began := time.Now()
	a.changed()
	if s := c.next("org.gatehouse1.DataModel.InstanceAdded"); s.Body[1] != leds+"3." {
		t.Error(s.Body)
	}
	s := c.next("org.gatehouse1.DataModel.ValuesChanged")
	if took := time.Since(began); took > 120*time.Millisecond {
		t.Logf("told after %v", took) // a busy machine
	}
	if v := s.Body[1].(options); v[power+"Brightness"].Value() != uint32(51) || v[wifi+"Mode"].Value() != "Solid" {
		t.Error(s.Body)
	}
	select {
	case changed := <-h.told:
		if !changed {
			t.Error("nothing is to be told to the ACS")
		}
	case <-time.After(10 * time.Second):
		t.Error("the ACS is not told")
	}
}

// TestPeerNameTaken: two agents, or no bus at all: there is a word for it.
func TestPeerNameTaken(t *testing.T) {
	h := build(t)
	h.stop()
	c := h.dial()
	if _, err := c.RequestName("org.gatehouse1", dbus.NameFlagDoNotQueue); err != nil {
		t.Fatal(err)
	}
	if err := h.serve(); err == nil || !strings.Contains(err.Error(), "another process") {
		t.Error(err)
	}
	h.bus.stop()
	if err := h.serve(); !errors.Is(err, errNoBus) {
		t.Error(err)
	}
}

// TestPeerHangingApply: what may or may not have been done is taken back.
func TestPeerHangingApply(t *testing.T) {
	h := build(t)
	a, c := h.acme(), h.dial()
	power, _ := a.leds()
	a.knob(func() { a.hanging["Apply"] = true })
	c.refused(c.set(power+"Brightness", uint32(1)), "Unavailable", "Apply has taken longer")
	eventually(t, "that Revert was called", func() bool { return a.count("Revert") == 1 })
	a.knob(func() { a.hanging["Apply"] = false })
	close(a.hang)
	a.leds() // who registers again is alive
	eventually(t, "that it can be written", func() bool { return c.set(power+"Brightness", uint32(2)) == nil })
}

// TestPeerNotificationsStay: an attribute that the ACS has set waits for a
// vendor that restarts, and a value that is another then is told.
func TestPeerNotificationsStay(t *testing.T) {
	h := build(t)
	a, c := h.acme(), h.dial()
	_, wifi := a.leds()
	c.must("DataModel.SetAttributes", []any{[]string{wifi + "Mode"}, opts("Notification", int32(2)), options{}})
	a.Close()
	eventually(t, "that it is gone", func() bool { return c.call("DataModel.GetValues", []string{leds}, options{}).Err != nil })
	again := h.acme()
	again.knob(func() { again.rows[ledT]["wifi"]["Mode"] = dbus.MakeVariant("Solid") })
	again.leds()
	var got []struct {
		Name         string
		Notification int32
		AccessList   []string
	}
	c.must("DataModel.GetAttributes", []any{[]string{wifi + "Mode"}, options{}}, &got)
	if len(got) != 1 || got[0].Notification != 2 {
		t.Error(got)
	}
	select {
	case <-h.told:
	case <-time.After(20 * time.Second):
		t.Error("the ACS is not told")
	}
}
