package datamodel

// The engine's own record in the journal: aliases and keys.

import (
	"context"
	"maps"
	"slices"
	"strings"
	"testing"
)

// beforeClear is a journal that remembers what lay on the disk when all had
// committed and the journal was still there: a power cut leaves that.
type beforeClear struct {
	*memory
	numbers           *memory
	journal, numbered []byte
}

func (b *beforeClear) Save(data []byte) error {
	if len(data) == 0 {
		b.journal, b.numbered = slices.Clone(b.data), slices.Clone(b.numbers.data)
	}
	return b.memory.Save(data)
}

// TestPowerCutTakesNumbersBack: a transaction that gave aliases and keys is
// undone at the next start, with the rows that it was about: each has its number
// and its alias again, whatever else happens to the journal.
func TestPowerCutTakesNumbersBack(t *testing.T) {
	r := newRouter()
	disk := &beforeClear{memory: r.journal, numbers: r.numbers}
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
	if slices.Equal(before, after) || !strings.HasPrefix(string(disk.journal), numbersName+" ") {
		t.Fatalf("nothing to undo: %q, journal %q", after, disk.journal)
	}
	again := start() // once all is done, nothing is taken back
	again.Recover(t.Context(), nil)
	equal(t, "done", look(again), after)

	r.numbers.data, r.journal.data = disk.numbered, disk.journal
	again = start()
	again.Recover(t.Context(), map[string]func(context.Context, []byte) error{"batch": func(context.Context, []byte) error {
		r.addrs = addrs
		return nil
	}})
	equal(t, "after a power cut", look(again), before)
	equal(t, "at the start after that", look(start()), before)
	if len(r.journal.data) != 0 {
		t.Errorf("the journal still holds %q", r.journal.data)
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
