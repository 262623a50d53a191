// Configuration: what every table of a platform does, whatever is in it.

package platformtest

import (
	"context"
	"errors"
	"reflect"
	"slices"
	"testing"

	"gatehouse/platform"
)

// configure begins a batch of configuration.
func (w world) configure(t *testing.T) platform.ConfigBatch {
	t.Helper()
	b, err := w.Config.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// prepared prepares a batch that has something to do. Whether a service has to
// hear of it is the platform's matter.
func prepared(t *testing.T, b platform.ConfigBatch) {
	t.Helper()
	if err := b.Prepare(t.Context()); err != nil {
		t.Fatalf("Prepare: %v", err)
	}
	if len(b.Writes()) == 0 || len(b.Undo()) == 0 {
		t.Errorf("a change writes %v, and is undone by %q", b.Writes(), b.Undo())
	}
}

// keep runs a batch from Begin to Commit, and returns how to undo it.
func (w world) keep(t *testing.T, fill func(platform.ConfigBatch)) (undo []byte) {
	t.Helper()
	b := w.configure(t)
	fill(b)
	prepared(t, b)
	undo = b.Undo()
	if _, err := b.Commit(t.Context()); err != nil {
		t.Fatalf("Commit: %v", err)
	}
	return undo
}

func rowOf[T any](t *testing.T, tab platform.Table[T], key string) (platform.Entry[T], bool) {
	t.Helper()
	for _, e := range all(t, tab.Rows(t.Context())) {
		if e.Key == key {
			return e, true
		}
	}
	return platform.Entry[T]{}, false
}

// holds fails the test unless the row under key is want; nil: unless there is
// none.
func holds[T any](t *testing.T, when string, tab platform.Table[T], key string, want *T) {
	t.Helper()
	switch e, ok := rowOf(t, tab, key); {
	case ok && want == nil:
		t.Errorf("%s: %s is there: %+v", when, key, e.Value)
	case !ok && want != nil:
		t.Errorf("%s: %s is not there", when, key)
	case ok && !reflect.DeepEqual(e.Value, *want):
		t.Errorf("%s: %s is\n%+v, want\n%+v", when, key, e.Value, *want)
	}
}

// testRows reads a table, and stops when it is told to.
func testRows[T any](t *testing.T, tab platform.Table[T]) []platform.Entry[T] {
	t.Helper()
	rows := all(t, tab.Rows(t.Context()))
	var keys []string
	for i, e := range all(t, tab.Rows(t.Context())) {
		if e.Key == "" || slices.Contains(keys, e.Key) || i >= len(rows) || rows[i].Key != e.Key {
			t.Errorf("row %d has the key %q, the rows before it %q", i, e.Key, keys)
		}
		keys = append(keys, e.Key)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for _, err := range tab.Rows(ctx) {
		if err == nil {
			t.Error("it reads on after the end of its context")
		}
	}
	return rows
}

// testChange changes a row that is there and puts it back, by Rollback and by
// Undo.
func testChange[T any](t *testing.T, w world, tab platform.Table[T], key string, change func(*T)) {
	t.Helper()
	e, ok := rowOf(t, tab, key)
	if !ok {
		t.Fatalf("%s is not there", key)
	}
	old, _ := rowOf(t, tab, key)
	was := old.Value
	change(&e.Value)
	want := e.Value

	b := w.configure(t)
	tab.Put(b, key, want)
	prepared(t, b)
	holds(t, "prepared only", tab, key, &was)
	if _, err := b.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	holds(t, "committed", tab, key, &want)
	if err := b.Rollback(t.Context()); err != nil {
		t.Fatalf("Rollback: %v", err)
	}
	holds(t, "rolled back", tab, key, &was)

	undo := w.keep(t, func(b platform.ConfigBatch) { tab.Put(b, key, want) })
	holds(t, "committed again", tab, key, &want)
	for range 2 { // it may be called more than once
		if _, err := w.Config.Undo(t.Context(), undo); err != nil {
			t.Fatalf("Undo: %v", err)
		}
		holds(t, "undone", tab, key, &was)
	}
	w.keep(t, func(b platform.ConfigBatch) { tab.Put(b, key, want) })
}

// testLife makes a row, changes it and takes it out again. What fill makes of
// a fresh row is one that can be read back as it is.
func testLife[T any](t *testing.T, w world, tab platform.Table[T], fill, change func(*T)) {
	t.Helper()
	before := testRows(t, tab)
	key, row, err := tab.Fresh(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if other, _, err := tab.Fresh(t.Context()); err != nil || other == key {
		t.Errorf("the next fresh key is %q, as well (%v)", other, err)
	}
	if slices.ContainsFunc(before, func(e platform.Entry[T]) bool { return e.Key == key }) || len(all(t, tab.Rows(t.Context()))) != len(before) {
		t.Errorf("the fresh key %q is taken, or a row was made by asking for it", key)
	}
	// As AddObject leaves it: nothing is known of it yet.
	w.keep(t, func(b platform.ConfigBatch) { tab.Put(b, key, row) })
	if _, ok := rowOf(t, tab, key); !ok {
		t.Errorf("a fresh row is not kept: %+v", row)
	}
	fill(&row)
	b := w.configure(t)
	tab.Put(b, key, row)
	prepared(t, b)
	if _, err := b.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	holds(t, "made", tab, key, &row)
	if err := w.Config.Reload(t.Context(), b.Reloads()); err != nil {
		t.Errorf("Reload: %v", err)
	}
	holds(t, "taken up", tab, key, &row)
	testChange(t, w, tab, key, change)
	if after := all(t, tab.Rows(t.Context())); len(after) != len(before)+1 {
		t.Errorf("%d rows, with one more than %d", len(after), len(before))
	}

	w.keep(t, func(b platform.ConfigBatch) { tab.Delete(b, key) })
	holds(t, "deleted", tab, key, nil)
	rest := all(t, tab.Rows(t.Context()))
	if !reflect.DeepEqual(before, rest) {
		t.Errorf("the other rows were %+v and are %+v", before, rest)
	}
	b = w.configure(t)
	item := tab.Delete(b, key)
	var blame *platform.ItemError
	if err := b.Prepare(t.Context()); !errors.As(err, &blame) || blame.Item != item || !errors.Is(err, platform.ErrGone) {
		t.Errorf("deleting what is gone: %v", err)
	}
	if err := b.Rollback(t.Context()); err != nil {
		t.Errorf("Rollback: %v", err)
	}
}

// testFixed sees to it that a table has one row, which stays.
func testFixed[T any](t *testing.T, w world, tab platform.Table[T], change func(*T)) {
	t.Helper()
	rows := testRows(t, tab)
	if len(rows) != 1 || !rows[0].Fixed {
		t.Fatalf("not one fixed row: %+v", rows)
	}
	testChange(t, w, tab, rows[0].Key, change)
	b := w.configure(t)
	item := tab.Delete(b, rows[0].Key)
	var blame *platform.ItemError
	if err := b.Prepare(t.Context()); !errors.As(err, &blame) || blame.Item != item {
		t.Errorf("deleting it: %v", err)
	}
	if err := b.Rollback(t.Context()); err != nil {
		t.Errorf("Rollback: %v", err)
	}
	if len(all(t, tab.Rows(t.Context()))) != 1 {
		t.Error("it is gone")
	}
}
