package datamodel

// Transactions: what they refuse, what they show, what they leave.

import (
	"context"
	"errors"
	"slices"
	"testing"
)

// wants looks for one error on each path, in any order.
func wants(t *testing.T, err error, want map[string]error) {
	t.Helper()
	var errs Errors
	if !errors.As(err, &errs) {
		t.Fatalf("got %v, want Errors", err)
	}
	if len(errs) != len(want) {
		t.Errorf("%d errors, want %d: %v", len(errs), len(want), err)
	}
	for _, e := range errs {
		if !errors.Is(e, want[e.Path]) || want[e.Path] == nil {
			t.Errorf("%s: got %v, want %v", e.Path, e.Err, want[e.Path])
		}
	}
}

func TestSet(t *testing.T) {
	r := newRouter()
	tree := r.tree(t)
	err := set(t, tree, "Device.Box.Name", " a b\t", "Device.Port.1.MTU", " 1280 ", "Device.Port.[cpe-2].Enable", "False",
		"Device.Port.2.Tags", "x, y%2C ,z", "Device.Port.2.Key", "0aFF", "Device.Port.1.Speed", "-1", "Device.Port.1.LowerLayers", "Device.Port.2,Device.Port.[cpe-3].")
	if err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{"Device.Box.Name": " a b\t", "Device.Port.1.MTU": "1280", "Device.Port.2.Enable": "false", "Device.Port.2.Tags": "x,y%2C,z",
		"Device.Port.2.Key": "0AFF", "Device.Port.1.Speed": "-1", "Device.Port.1.LowerLayers": "Device.Port.2,Device.Port.3"} {
		if got := get(t, tree, path); got != want {
			t.Errorf("%s: %q, want %q", path, got, want)
		}
	}
	if !r.ports["lo"].changed || r.ports["eth0"].changed {
		t.Error("Change.Set does not tell what was assigned")
	}
}

func TestSetCollectsEveryError(t *testing.T) {
	r := newRouter()
	tree := r.tree(t)
	before := values(t, tree.Reader(ReadOptions{}), "")
	bad := map[string]struct {
		value string
		err   error
	}{
		"Device.Box.Name":                   {"123456789", ErrValue},
		"Device.Box.SerialNumber":           {"x", ErrReadOnly},
		"Device.Nope":                       {"x", ErrNoName},
		"Device.Port.":                      {"x", ErrNoName},
		"Device.Port.*.MTU":                 {"1500", ErrNoName},
		"Device.Port.9.MTU":                 {"1500", ErrNoName},
		"Device.Port.1.MTU":                 {"63", ErrValue},
		"Device.Port.2.MTU":                 {"many", ErrValue},
		"Device.Port.3.MTU":                 {"4294967296", ErrValue},
		"Device.Port.1.Enable":              {"yes", ErrValue},
		"Device.Port.1.Tags":                {"12345", ErrValue},
		"Device.Port.2.Tags":                {"a,b,c,d", ErrValue},
		"Device.Port.1.Key":                 {"0102030405", ErrValue},
		"Device.Port.2.Key":                 {"0x", ErrValue},
		"Device.Port.1.Speed":               {"9", ErrValue},
		"Device.Port.1.LowerLayers":         {"Device.Port.9", ErrValue},
		"Device.Port.2.LowerLayers":         {"Device.Box", ErrValue},
		"Device.Port.3.LowerLayers":         {"nonsense", ErrValue},
		"Device.Port.1.Alias":               {"", ErrValue},
		"Device.Port.2.Alias":               {"a]b", ErrValue},
		"Device.PortNumberOfEntries":        {"3", ErrReadOnly},
		"Device.Port.1.Name":                {"\xff", ErrReadOnly},
		"Device.Box.Password":               {"\xff", ErrValue},
		"Device.Port.2.Address.1.IPAddress": {"1.2.3.4.5", ErrValue},
	}
	var as []Assignment
	want := map[string]error{}
	for path, b := range bad {
		as = append(as, Assignment{path, b.value, ""})
		want[path] = b.err
	}
	as = append(as, Assignment{"Device.Box.Reset", "1", ""})
	tx := begin(t, tree)
	wants(t, tx.Set(t.Context(), as...), want)
	tx.Abort()
	tx.Abort()
	equal(t, "nothing changed", values(t, tree.Reader(ReadOptions{}), ""), before)
}

func TestSetTwiceAndTypes(t *testing.T) {
	tree := newRouter().tree(t)
	tx := begin(t, tree)
	defer tx.Abort()
	wants(t, tx.Set(t.Context(), assign("Device.Port.1.MTU", "1500", "Device.Port.[cpe-1].MTU", "1501")...), map[string]error{"Device.Port.[cpe-1].MTU": ErrDuplicate})
	if !errors.Is(ErrDuplicate, ErrArguments) {
		t.Error("a duplicate is no invalid argument")
	}
	for typ, want := range map[string]error{"xsd:unsignedInt": nil, "unsignedInt": nil, "x:unsignedInt": nil, "xsd:int": ErrType, "xsd:string": ErrType, "": nil} {
		if err := tx.Set(t.Context(), Assignment{"Device.Port.1.MTU", "1500", typ}); !errors.Is(err, want) {
			t.Errorf("%s: %v", typ, err)
		}
	}
	tx.Lenient = true
	if err := tx.Set(t.Context(), Assignment{"Device.Port.1.MTU", "1500", "xsd:string"}); err != nil {
		t.Error(err)
	}
}

func TestRefusalsLeaveNothing(t *testing.T) {
	boom := errors.New("boom")
	for _, tt := range []struct {
		name string
		arm  func(*router)
		kv   []string
		want map[string]error
	}{
		{"field", nil, []string{"Device.Port.[cpe-2].MTU", "666", "Device.Port.2.Enable", "0"}, map[string]error{"Device.Port.[cpe-2].MTU": ErrValue}},
		{"row", nil, []string{"Device.Port.2.MTU", "667", "Device.Port.2.Enable", "0"}, map[string]error{"Device.Port.2.MTU": ErrValue, "Device.Port.2.Enable": ErrValue}},
		{"two rows", nil, []string{"Device.Port.1.MTU", "666", "Device.Port.2.MTU", "667"}, map[string]error{"Device.Port.1.MTU": ErrValue, "Device.Port.2.MTU": ErrValue}},
		{"prepare", func(r *router) { r.prepareErr = boom }, []string{"Device.Port.1.MTU", "1400", "Device.Box.Name", "x"}, map[string]error{"Device.Port.1.MTU": boom, "Device.Box.Name": boom}},
		{"prepare blames a field", func(r *router) { r.prepareErr = &FieldError{"Name", ErrResources} }, []string{"Device.Port.1.MTU", "1400", "Device.Box.Name", "x"}, map[string]error{"Device.Box.Name": ErrResources}},
		{"commit", func(r *router) { r.commitErr = boom }, []string{"Device.Port.1.MTU", "1400", "Device.Box.Name", "x"}, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := newRouter()
			tree := r.tree(t)
			before := values(t, tree.Reader(ReadOptions{}), "")
			if tt.arm != nil {
				tt.arm(r)
			}
			err := set(t, tree, tt.kv...)
			if tt.want != nil {
				wants(t, err, tt.want)
			} else if !errors.Is(err, boom) {
				t.Errorf("got %v", err)
			}
			equal(t, "nothing changed", values(t, tree.Reader(ReadOptions{}), ""), before)
			if r.journal.Text() != "" {
				t.Errorf("the journal holds %q", r.journal.Text())
			}
			tx := begin(t, tree) // the lock is free
			tx.Abort()
		})
	}
}

func TestCommitOrderAndAfter(t *testing.T) {
	r := newRouter()
	tree := r.tree(t)
	tx := begin(t, tree)
	if err := tx.Set(t.Context(), assign("Device.Box.Reset", "true", "Device.Port.1.MTU", "1400")...); err != nil {
		t.Fatal(err)
	}
	r.preparing = func() { tx.After("reload", "box"); tx.After("reload", "late") } // a participant knows it by then
	if got := values(t, tx.Reader(ReadOptions{}), "Device.Port.1.MTU"); got[0] != "Device.Port.1.MTU=1400" {
		t.Errorf("the transaction does not see itself: %v", got)
	}
	if got := get(t, tree, "Device.Port.1.MTU"); got != "65535" {
		t.Errorf("others see it too early: %v", got)
	}
	res, err := tx.Commit(t.Context())
	if want := []Action{{"reload", "box"}, {"reload", "late"}}; err != nil || !res.Deferred || !slices.Equal(res.After, want) {
		t.Fatalf("%+v %v, want what is left to do once, and Status 1", res, err)
	}
	equal(t, "order", r.log, []string{"prepare", "commit", "reset"})
	if got := get(t, tree, "Device.Box.Reset"); got != "false" {
		t.Errorf("a command reads %s", got)
	}
	if _, err := tx.Commit(t.Context()); err == nil {
		t.Error("committed twice")
	}
}

func TestDryRun(t *testing.T) {
	r := newRouter()
	tree := r.tree(t)
	tx := begin(t, tree)
	if err := tx.Set(t.Context(), assign("Device.Port.1.MTU", "1400")...); err != nil {
		t.Fatal(err)
	}
	if _, _, err := tx.DryRun(t.Context()); err != nil {
		t.Fatal(err)
	}
	equal(t, "order", r.log, []string{"prepare", "rollback"})
	if r.ports["lo"].mtu != 65535 {
		t.Error("a dry run changed something")
	}
	if err := set(t, tree, "Device.Port.1.MTU", "1400"); err != nil {
		t.Error(err)
	}
}

func TestBusyAndWaiting(t *testing.T) {
	tree := newRouter().tree(t)
	tx := begin(t, tree)
	if _, err := tree.Begin(tx.callback(t.Context())); !errors.Is(err, ErrBusy) {
		t.Errorf("inside a callback: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := tree.Begin(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("while another is under way: %v", err)
	}
	tx.Abort()
}

func TestAddSetDeleteRule(t *testing.T) {
	r := newRouter()
	tree := r.tree(t)
	a := add(t, tree, "Device.Rule.", "ExternalPort", "80", "Enable", "1", "Port", "Device.Port.2", "Label", "my web")
	if a.Number != 1 || a.Path != "Device.Rule.1." {
		t.Errorf("%+v", a)
	}
	want := []string{"Device.Rule.1.Alias=cpe-1", "Device.Rule.1.Enable=true", "Device.Rule.1.ExternalPort=80", "Device.Rule.1.Protocol=TCP", "Device.Rule.1.Port=Device.Port.2", "Device.Rule.1.Label=my web"}
	equal(t, "added", values(t, tree.Reader(ReadOptions{}), "Device.Rule."), want)

	// A restart: same file, same numbers.
	again := newRouter()
	again.numbers, again.rulesFile = r.numbers, r.rulesFile
	again.rules.backing = r.rulesFile
	equal(t, "after a restart", values(t, again.tree(t).Reader(ReadOptions{}), "Device.Rule."), want)

	tx := begin(t, tree)
	if err := tx.Delete(t.Context(), "Device.Rule.1."); err != nil {
		t.Fatal(err)
	}
	equal(t, "deleted inside", values(t, tx.Reader(ReadOptions{}), "Device.Rule."), nil)
	equal(t, "count inside", values(t, tx.Reader(ReadOptions{}), "Device.RuleNumberOfEntries"), []string{"Device.RuleNumberOfEntries=0"})
	if err := tx.Delete(t.Context(), "Device.Rule.1."); !errors.Is(err, ErrNoName) {
		t.Errorf("deleted twice: %v", err)
	}
	if err := tx.Set(t.Context(), assign("Device.Rule.1.Label", "x")...); !errors.Is(err, ErrNoName) {
		t.Errorf("set after delete: %v", err)
	}
	if _, err := tx.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	equal(t, "deleted", values(t, tree.Reader(ReadOptions{}), "Device.Rule."), nil)

	// Numbers are never given twice, and one of a transaction that comes to
	// nothing is burnt (field.md 32).
	if a := add(t, tree, "Device.Rule."); a.Number != 2 {
		t.Errorf("number %d after a deletion", a.Number)
	}
	tx = begin(t, tree)
	if a, err := tx.Add(t.Context(), "Device.Rule."); err != nil || a.Number != 3 {
		t.Errorf("%+v %v", a, err)
	}
	tx.Abort()
	if a := add(t, tree, "Device.Rule.", "Protocol", "UDP"); a.Number != 4 {
		t.Errorf("number %d after an abort", a.Number)
	}
}

func TestAddedWithinTransaction(t *testing.T) {
	tree := newRouter().tree(t)
	tx := begin(t, tree)
	defer tx.Abort()
	a, err := tx.Add(t.Context(), "Device.Rule.[web].")
	if err != nil {
		t.Fatal(err)
	}
	b, _ := tx.Add(t.Context(), "Device.Rule.")
	if err := tx.Set(t.Context(), assign("Device.Rule.[web].ExternalPort", "80", b.Path+"Port", a.Path, b.Path+"Label", "b")...); err != nil {
		t.Fatal(err)
	}
	rd := tx.Reader(ReadOptions{})
	equal(t, "reference to a new row", values(t, rd, b.Path+"Port"), []string{b.Path + "Port=Device.Rule.1"})
	equal(t, "both", values(t, rd, "Device.Rule.*.Alias"), []string{"Device.Rule.1.Alias=web", "Device.Rule.2.Alias=cpe-2"})
	if _, err := tx.Add(t.Context(), "Device.Rule.[web]."); !errors.Is(err, ErrArguments) {
		t.Errorf("an alias twice: %v", err)
	}
	if err := tx.Delete(t.Context(), "Device.Rule.[web]."); err != nil {
		t.Fatal(err)
	}
	equal(t, "dangling", values(t, rd, b.Path+"Port"), []string{b.Path + "Port="})
	if _, err := tx.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	equal(t, "one is left", values(t, tree.Reader(ReadOptions{}), "Device.Rule.*.Label"), []string{"Device.Rule.2.Label=b"})
}

func TestAddRefused(t *testing.T) {
	tree := newRouter().tree(t)
	tx := begin(t, tree)
	defer tx.Abort()
	for path, want := range map[string]error{
		"Device.Port.": ErrDenied, "Device.Nope.": ErrNoName, "Device.Rule": ErrNoName, "Device.Box.": ErrNoName, "Device.Rule.1.": ErrNoName,
		"Device.Port.9.Address.": ErrNoName, "Device.Port.*.Address.": ErrNoName, "": ErrNoName, "Device.Port.2.Address.[x].": ErrNoName,
	} {
		if _, err := tx.Add(t.Context(), path); !errors.Is(err, want) {
			t.Errorf("add %s: %v, want %v", path, err, want)
		}
	}
	for path, want := range map[string]error{
		"Device.Port.1.": ErrDenied, "Device.Port.": ErrDenied, "Device.Box.": ErrDenied, "Device.Rule.1.": ErrNoName, "Device.Rule.1": ErrNoName, "Device.": ErrDenied,
		"Device.Port.*.": ErrNoName, "Device.Port.1.Stats.": ErrNoName,
	} {
		if err := tx.Delete(t.Context(), path); !errors.Is(err, want) {
			t.Errorf("delete %s: %v, want %v", path, err, want)
		}
	}
}

func TestUniqueKeysHonourEnable(t *testing.T) {
	r := newRouter()
	tree := r.tree(t)
	a := add(t, tree, "Device.Rule.", "ExternalPort", "80", "Enable", "1")
	b := add(t, tree, "Device.Rule.", "ExternalPort", "80")
	wants(t, set(t, tree, b.Path+"Enable", "1"), map[string]error{b.Path + "Enable": ErrValue})
	wants(t, set(t, tree, b.Path+"Enable", "1", b.Path+"Protocol", "TCP"), map[string]error{b.Path + "Protocol": ErrValue})
	if err := set(t, tree, b.Path+"Enable", "1", b.Path+"Protocol", "UDP"); err != nil {
		t.Error(err)
	}
	if err := set(t, tree, a.Path+"ExternalPort", "81", b.Path+"Protocol", "TCP"); err != nil {
		t.Errorf("a key that becomes free in the same transaction: %v", err)
	}
	if err := set(t, tree, a.Path+"Label", "x"); err != nil {
		t.Error(err)
	}
}

func TestRekeyKeepsTheNumber(t *testing.T) {
	r := newRouter()
	tree := r.tree(t)
	equal(t, "before", values(t, tree.Reader(ReadOptions{}), "Device.Port.2.Address.2.IPAddress"), []string{"Device.Port.2.Address.2.IPAddress=192.0.2.2"})
	if err := set(t, tree, "Device.Port.2.Address.2.IPAddress", "192.0.2.9"); err != nil {
		t.Fatal(err)
	}
	equal(t, "after", values(t, tree.Reader(ReadOptions{}), "Device.Port.2.Address.*.IPAddress"),
		[]string{"Device.Port.2.Address.1.IPAddress=192.0.2.1", "Device.Port.2.Address.2.IPAddress=192.0.2.9"})
	a := add(t, tree, "Device.Port.2.Address.", "IPAddress", "192.0.2.7")
	if got := get(t, tree, a.Path+"IPAddress"); a.Number != 3 || got != "192.0.2.7" {
		t.Errorf("%+v %s", a, got)
	}
	wants(t, set(t, tree, a.Path+"IPAddress", "192.0.2.1"), map[string]error{a.Path + "IPAddress": ErrValue})
}

// The limit holds within a transaction, too: an ACS that makes rows by alias
// makes them all in one.
func TestKeptLimitInOneTransaction(t *testing.T) {
	r := newRouter()
	tree := r.tree(t)
	r.rules.Max = 3
	tx := begin(t, tree)
	defer tx.Abort()
	var err error
	for range 4 {
		if _, err = tx.Add(t.Context(), "Device.Rule."); err != nil {
			break
		}
	}
	if err == nil {
		_, err = tx.Commit(t.Context())
	}
	if !errors.Is(err, ErrResources) {
		t.Errorf("four rows where three are allowed: %v", err)
	}
}
