package datamodel

// Crashes and full disks in the middle of a commit.

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"testing"

	"gatehouse/internal/store/storetest"
)

func TestJournal(t *testing.T) {
	r := newRouter()
	tree := r.tree(t)
	r.commitErr, r.rollbackErr = errors.New("power is failing"), errors.New("still failing")
	if err := set(t, tree, "Device.Box.Name", "x"); !errors.Is(err, r.commitErr) {
		t.Fatal(err)
	}
	if r.journal.Text() == "" {
		t.Fatal("a rollback that failed leaves no journal")
	}
	var undone []string
	undo := map[string]func(context.Context, []byte) error{"batch": func(_ context.Context, data []byte) error {
		undone = append(undone, string(data))
		return nil
	}}
	again, err := New(Options{Journal: r.journal})
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		again.Recover(t.Context(), undo)
	}
	if !slices.Equal(undone, []string{"how to undo\n\x00"}) {
		t.Errorf("undone %q", undone)
	}
	r.journal.Write("nobody AAAA==\nbatch !\nbatch =\n")
	undo["batch"] = func(context.Context, []byte) error { return errors.New("no") }
	again.Recover(t.Context(), undo)
	if r.journal.Text() == "" {
		t.Error("an undo that fails is forgotten")
	}
}

// What could not be undone is not overwritten by the next transaction, which
// tries again first. A device whose disk has gone read-only starts all the same.
func TestJournalIsOwed(t *testing.T) {
	r := newRouter()
	r.journal.Write("batch aG93=\n")
	tree := r.tree(t)
	disk := errors.New("read-only file system")
	undone := 0
	undo := map[string]func(context.Context, []byte) error{"batch": func(context.Context, []byte) error {
		if disk == nil {
			undone++
		}
		return disk
	}}
	tree.Recover(t.Context(), undo)
	if err := set(t, tree, "Device.Box.Name", "x"); !errors.Is(err, errOwed) || r.journal.Text() != "batch aG93=\n" {
		t.Errorf("%v; the journal holds %q", err, r.journal.Text())
	}
	disk = nil
	if err := set(t, tree, "Device.Box.Name", "x"); err != nil || undone != 1 || r.journal.Text() != "" {
		t.Errorf("%v; undone %d times, the journal holds %q", err, undone, r.journal.Text())
	}
}

func TestJournalOnlyWhereItHelps(t *testing.T) {
	r := newRouter()
	tree := r.tree(t)
	add(t, tree, "Device.Rule.")
	if r.journal.Saves() != 0 {
		t.Errorf("%d writes for one atomic file", r.journal.Saves())
	}
	if err := set(t, tree, "Device.Rule.1.Label", "x", "Device.Box.Name", "x"); err != nil {
		t.Fatal(err)
	}
	if r.journal.Saves() != 2 || r.journal.Text() != "" {
		t.Errorf("%d writes, left %q", r.journal.Saves(), r.journal.Text())
	}
}

func TestFullDisk(t *testing.T) {
	full := errors.New("no space left on device")
	for what, m := range map[string]func(*router) *storetest.File{"numbers": func(r *router) *storetest.File { return r.numbers }, "rules": func(r *router) *storetest.File { return r.rulesFile }} {
		r := newRouter()
		tree := r.tree(t)
		values(t, tree.Reader(ReadOptions{}), "")
		m(r).Refuse(full)
		tx := begin(t, tree)
		if _, err := tx.Add(t.Context(), "Device.Rule."); err != nil {
			t.Fatal(err)
		}
		if _, err := tx.Commit(t.Context()); !errors.Is(err, full) {
			t.Errorf("%s: %v", what, err)
		}
		m(r).Refuse(nil)
		equal(t, what, values(t, tree.Reader(ReadOptions{}), "Device.Rule."), nil)
		if a := add(t, tree, "Device.Rule."); a.Number != 2 {
			t.Errorf("%s: number %d", what, a.Number)
		}
	}
}

// A crowded disk has room for the journal once; taking it away needs none.
type crowded struct{ storetest.File }

func (c *crowded) Save(b []byte) error {
	if _, err := c.Load(); err == nil {
		return errors.New("no space left on device")
	}
	return c.File.Save(b)
}

func (c *crowded) Remove() error {
	c.Delete()
	return nil
}

// Found on a state folder of 16 KB: the commit was done, the empty journal had
// no room, nor had what rolls back, and at the next start it was undone.
func TestJournalIsClearedOnAFullDisk(t *testing.T) {
	r := newRouter()
	r.tree(t)
	journal := &crowded{}
	tree, err := New(Options{Numbers: r.numbers, Journal: journal})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tree.Add(r.objects()...); err != nil {
		t.Fatal(err)
	}
	add(t, tree, "Device.Rule.")
	if err := set(t, tree, "Device.Rule.1.Label", "x", "Device.Box.Name", "x"); err != nil {
		t.Errorf("commit: %v", err)
	}
	if _, err := journal.Load(); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the journal still holds %q", journal.Text())
	}
}

// Who keeps what a transaction leaves behind hears of it before anything is
// changed, can refuse it, and can have it taken back later.
func TestCommitting(t *testing.T) {
	r := newRouter()
	r.tree(t)
	var heard []Commitment
	var told []string
	var refuse error
	tree, err := New(Options{Numbers: r.numbers, Journal: r.journal, Committing: func(c Commitment) (func(bool, []Action), error) {
		heard = append(heard, c)
		if slices.Contains(r.log, "commit") {
			t.Error("somebody has committed already")
		}
		return func(ok bool, after []Action) { told = append(told, fmt.Sprint(ok, after)) }, refuse
	}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tree.Add(r.objects()...); err != nil {
		t.Fatal(err)
	}
	var undone []string
	tree.Recover(t.Context(), map[string]func(context.Context, []byte) error{
		"batch": func(_ context.Context, data []byte) error { undone = append(undone, "batch"); return nil },
		"rules": func(ctx context.Context, data []byte) error {
			undone = append(undone, "rules")
			return r.rules.Recover(ctx, data)
		},
	})
	add(t, tree, "Device.Rule.") // a file of ours: nothing to reload, and not the way out
	if c := heard[0]; len(c.After) > 0 || len(c.Undo) == 0 || c.Uplink {
		t.Errorf("a row of ours: %+v", c)
	}
	if err := set(t, tree, "Device.Rule.1.Label", "x", "Device.Box.Name", "x"); err != nil {
		t.Fatal(err)
	}
	if c := heard[1]; !slices.Equal(c.After, []Action{{"reload", "box"}}) || !c.Uplink {
		t.Errorf("who does not say that it is not the way out: %+v", c)
	}
	if err := tree.Undo(t.Context(), slices.Values([][]byte{heard[1].Undo, nil, heard[0].Undo})); err != nil {
		t.Fatal(err)
	}
	if fmt.Sprint(undone) != "[batch rules rules]" {
		t.Errorf("undone %v", undone)
	}
	equal(t, "taken back", values(t, tree.Reader(ReadOptions{}), "Device.Rule."), nil)
	refuse, r.log = errors.New("no room to remember it"), nil
	if err := set(t, tree, "Device.Box.Name", "y"); !errors.Is(err, refuse) || slices.Contains(r.log, "commit") {
		t.Errorf("%v, %v", err, r.log)
	}
	refuse, r.log, r.commitErr = nil, nil, errors.New("no")
	_ = set(t, tree, "Device.Box.Name", "z")
	if want := []string{"true []", "true [{reload box}]", "false [{reload box}]"}; !slices.Equal(told, want) {
		t.Errorf("told %q, want %q", told, want)
	}
}

// Taking back is done whole, over a power cut in the middle of it, and what an
// earlier crash has left half done is undone before it.
func TestUndoSurvivesAPowerCut(t *testing.T) {
	r := newRouter()
	tree := r.tree(t)
	records := []byte("first Zg===\nsecond cw===\n")
	var undone []string
	var first error
	undo := func(name string, err *error) func(context.Context, []byte) error {
		return func(context.Context, []byte) error {
			if r.journal.Text() != string(records) {
				t.Errorf("a power cut at %s would find %q", name, r.journal.Text())
			}
			undone = append(undone, name)
			return *err
		}
	}
	var none error
	tree.Recover(t.Context(), map[string]func(context.Context, []byte) error{"first": undo("first", &first), "second": undo("second", &none)})
	if err := tree.Undo(t.Context(), slices.Values([][]byte{records})); err != nil || r.journal.Text() != "" {
		t.Errorf("%v, left %q", err, r.journal.Text())
	}
	first = errors.New("read-only")
	if err := tree.Undo(t.Context(), slices.Values([][]byte{records})); !errors.Is(err, first) || r.journal.Text() != string(records) {
		t.Errorf("one that fails: %v, left %q", err, r.journal.Text())
	}
	first = nil
	if err := tree.Undo(t.Context(), slices.Values([][]byte{})); err != nil || r.journal.Text() != "" {
		t.Errorf("again: %v, left %q", err, r.journal.Text())
	}
	if fmt.Sprint(undone) != "[second first second first second first]" {
		t.Errorf("undone %v", undone)
	}
	// On a disk that is full it is tried all the same.
	r.journal.Refuse(errors.New("full"))
	called := false
	tree.Recover(t.Context(), map[string]func(context.Context, []byte) error{"first": func(context.Context, []byte) error { called = true; return nil }})
	if err := tree.Undo(t.Context(), slices.Values([][]byte{[]byte("first Zg===\n")})); err != nil || !called {
		t.Errorf("on a full disk: %v", err)
	}
}
