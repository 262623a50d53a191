package datamodel

// The engine's own record in the journal: aliases and keys.

import (
	"context"
	"maps"
	"slices"
	"strings"
	"testing"

	"gatehouse/internal/store/storetest"
)

// beforeClear is a journal that remembers what lay on the disk when all had
// committed and the journal was still there: a power cut leaves that.
type beforeClear struct {
	*storetest.File
	numbers           *storetest.File
	journal, numbered string
}

func (b *beforeClear) Save(data []byte) error {
	if len(data) == 0 {
		b.journal, b.numbered = b.Text(), b.numbers.Text()
	}
	return b.File.Save(data)
}

// TestPowerCutTakesNumbersBack: a transaction that gave aliases and keys is
// undone at the next start, with the rows that it was about: each has its number
// and its alias again, whatever else happens to the journal.
func TestPowerCutTakesNumbersBack(t *testing.T) {
	r := newRouter()
	disk := &beforeClear{File: r.journal, numbers: r.numbers}
	start := func() *Tree {
		t.Helper()
		tree, err := New(Options{Numbers: r.numbers, Journal: disk})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := tree.Add(r.objects()...); err != nil {
			t.Fatal(err)
		}
		return tree
	}
	tree := start()
	if err := set(t, tree, "Device.Port.2.Alias", "was", "Device.Port.3.Alias", "swapped"); err != nil {
		t.Fatal(err)
	}
	look := func(tree *Tree) []string {
		t.Helper()
		return append(values(t, tree.Reader(ReadOptions{}), "Device.Port.*.Alias"), values(t, tree.Reader(ReadOptions{}), "Device.Port.2.Address.*.IPAddress")...)
	}
	before := look(tree)
	addrs := maps.Clone(r.addrs)
	addrs["eth0"] = slices.Clone(addrs["eth0"])

	if err := set(t, tree, "Device.Port.2.Alias", "swapped", "Device.Port.3.Alias", "was", "Device.Port.2.Address.1.IPAddress", "192.0.2.77"); err != nil {
		t.Fatal(err)
	}
	after := look(tree)
	if slices.Equal(before, after) || !strings.HasPrefix(disk.journal, numbersName+" ") {
		t.Fatalf("nothing to undo: %q, journal %q", after, disk.journal)
	}
	again := start() // once all is done, nothing is taken back
	again.Recover(t.Context(), nil)
	equal(t, "done", look(again), after)

	r.numbers.Write(disk.numbered)
	r.journal.Write(disk.journal)
	again = start()
	again.Recover(t.Context(), map[string]func(context.Context, []byte) error{"batch": func(context.Context, []byte) error {
		r.addrs = addrs
		return nil
	}})
	equal(t, "after a power cut", look(again), before)
	equal(t, "at the start after that", look(start()), before)
	if r.journal.Text() != "" {
		t.Errorf("the journal still holds %q", r.journal.Text())
	}
}

// TestRecordOfNumbers: a record that is not understood is not undone by half.
func TestRecordOfNumbers(t *testing.T) {
	tree := newRouter().tree(t)
	for _, text := range []string{"", "alias", "alias Device.Port.{i}. eth0", `alias "Device.Port.{i}. eth0 was`} {
		if err := tree.undoNumbers(t.Context(), []byte(text)); err == nil {
			t.Errorf("%q: no error", text)
		}
	}
	line := appendLine(nil, undoAlias, "Device.Port.{i}.", "eth0", "a  [b]\n", nil)
	if err := tree.undoNumbers(t.Context(), line); err != nil {
		t.Fatal(err)
	}
	if got := tree.numbers.tables[rowID("Device.Port.{i}.", nil)].aliasOf("eth0"); got != "a  [b]\n" {
		t.Errorf("%q", got)
	}
}

// TestRowTakenBackIsItself: a row that was deleted, and comes back because the
// transaction is taken back, has its number and its alias, in this process and
// in the next one (TR-069 §A.3.2.3: an instance number is never another row's).
func TestRowTakenBackIsItself(t *testing.T) {
	r := newRouter()
	var undo []byte
	start := func() *Tree {
		t.Helper()
		tree, err := New(Options{Numbers: r.numbers, Journal: r.journal, Committing: func(c Commitment) (func(bool, []Action), error) {
			undo = c.Undo
			return func(bool, []Action) {}, nil
		}})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := tree.Add(r.objects()...); err != nil {
			t.Fatal(err)
		}
		tree.Recover(t.Context(), map[string]func(context.Context, []byte) error{"rules": r.rules.Recover})
		return tree
	}
	tree := start()
	for _, alias := range []string{"web", "mail"} {
		add(t, tree, "Device.Rule.["+alias+"].")
	}
	if err := set(t, tree, "Device.Rule.2.Label", "it", "Device.Rule.1.ExternalPort", "80"); err != nil {
		t.Fatal(err)
	}
	look := func(tree *Tree) []string { return values(t, tree.Reader(ReadOptions{}), "Device.Rule.") }
	before := look(tree)
	tx := begin(t, tree)
	if err := tx.Delete(t.Context(), "Device.Rule.2."); err != nil {
		t.Fatal(err)
	}
	if _, err := tx.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	if slices.Equal(look(tree), before) {
		t.Fatal("nothing was deleted")
	}
	if err := start().Undo(t.Context(), slices.Values([][]byte{undo})); err != nil {
		t.Fatal(err)
	}
	equal(t, "taken back", look(start()), before)
	if a := add(t, start(), "Device.Rule."); a.Number != 3 {
		t.Errorf("the next row has number %d", a.Number)
	}
}

// TestTablesBelowComeBack: with a row that comes back come the numbers of the
// tables below it, and none of them is given again.
func TestTablesBelowComeBack(t *testing.T) {
	const ports, addresses = "Device.Port.{i}.", "Device.Port.{i}.Address.{i}."
	tree := newRouter().tree(t)
	table := func(template string, parent ...Key) *numTable {
		tree.numbers.mu.Lock()
		defer tree.numbers.mu.Unlock()
		return tree.numbers.tableLocked(template, parent, false)
	}
	port := table(ports).number("wan", 0)
	table(ports).setAlias("wan", "to the provider")
	for range 3 {
		table(addresses, "wan").reserve()
	}
	address := table(addresses, "wan").number("192.0.2.9", 0)
	var record []byte // as a transaction writes it: what is below first
	record = table(addresses, "wan").bury(record, "192.0.2.9", address)
	record = table(ports).bury(record, "wan", port)
	table(addresses, "wan").drop("192.0.2.9")
	table(ports).drop("wan")
	if n, ok := table(ports).peek("wan"); ok {
		t.Fatalf("it still has number %d", n)
	}
	if err := tree.undoNumbers(t.Context(), record); err != nil {
		t.Fatal(err)
	}
	if n, a := table(ports).number("wan", 0), table(ports).aliasOf("wan"); n != port || a != "to the provider" {
		t.Errorf("number %d, alias %q", n, a)
	}
	if n := table(addresses, "wan").number("192.0.2.9", 0); n != address {
		t.Errorf("below it: number %d, want %d", n, address)
	}
	if n := table(addresses, "wan").reserve(); n != address+1 {
		t.Errorf("the next one below it has number %d, want %d", n, address+1)
	}
	for _, text := range []string{`row Device.Port.{i}. wan ""`, `last Device.Port.{i}. "" x`} {
		if err := tree.undoNumbers(t.Context(), []byte(text)); err == nil {
			t.Errorf("%s: no error", text)
		}
	}
}
