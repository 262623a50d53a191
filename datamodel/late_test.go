package datamodel

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"testing"
)

// A lamp is what late objects are declared for.
type lamp struct {
	name    string
	dims    bool
	defined int
}

type lampRow struct{ name string }

var lampParams = []Param[lampRow]{
	{Name: "Name", At: func(r *lampRow) any { return &r.name }, Access: ReadWrite},
	{Name: "Dim", At: func(r *lampRow) any { return &r.name }},
}

func (l *lamp) object() Object {
	l.defined++
	src := Source[lampRow]{
		Rows: One(func(context.Context, []Key) (lampRow, error) { return lampRow{l.name}, nil }),
		Stage: func(_ context.Context, tx *Tx, _ []Key, c Change[lampRow]) error {
			_, err := Enlist(tx, l, func() (*lampWrite, error) { return &lampWrite{l: l, name: c.New.name}, nil })
			return err
		},
	}
	if !l.dims {
		src.Without = []string{"Dim"}
	}
	return Define("Device.Lamp.", lampParams, src)
}

type lampWrite struct {
	l    *lamp
	name string
}

func (w *lampWrite) Prepare(context.Context) error        { return nil }
func (w *lampWrite) Commit(context.Context) (bool, error) { w.l.name = w.name; return false, nil }
func (w *lampWrite) Rollback(context.Context) error       { return nil }

func lateTree(t *testing.T, s *Schemas, l *lamp) *Tree {
	t.Helper()
	tree, err := New(Options{Schemas: s})
	if err == nil {
		_, err = tree.Add(Late(l, (*lamp).object))
	}
	if err != nil {
		t.Fatal(err)
	}
	return tree
}

// Trees of the same declarations have one schema, and each reads and writes what
// is its own.
func TestLateObjectsShareASchema(t *testing.T) {
	var s Schemas
	a, b, c := &lamp{name: "a"}, &lamp{name: "b"}, &lamp{name: "c", dims: true}
	ta, tb, tc := lateTree(t, &s, a), lateTree(t, &s, b), lateTree(t, &s, c)
	alone := lateTree(t, nil, &lamp{name: "d"})
	if ta.schema.Load() != tb.schema.Load() {
		t.Error("two schemas for the same declarations")
	}
	if ta.schema.Load() == tc.schema.Load() || ta.schema.Load() == alone.schema.Load() {
		t.Error("one schema for different declarations, or for trees that share none")
	}
	tx, err := tb.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := tx.Set(t.Context(), Assignment{Path: "Device.Lamp.Name", Value: "B"}); err != nil {
		t.Fatal(err)
	}
	if _, err := tx.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	equal(t, "names", []string{get(t, ta, "Device.Lamp.Name"), get(t, tb, "Device.Lamp.Name"), get(t, tc, "Device.Lamp.Name"), b.name},
		[]string{"a", "B", "c", "B"})
	if _, err := ta.Reader(ReadOptions{}).Get(t.Context(), "Device.Lamp.Dim"); !errors.Is(err, ErrNoName) {
		t.Errorf("a parameter that only another tree has: %v", err)
	}
}

// What is put into one tree later, and taken out of it, is of that tree alone.
func TestSharedSchemaStaysAsItIs(t *testing.T) {
	var s Schemas
	ta, tb := lateTree(t, &s, &lamp{name: "a"}), lateTree(t, &s, &lamp{name: "b"})
	other := &lamp{name: "other"}
	more := Define("Device.Other.", lampParams, Source[lampRow]{
		Rows:     One(func(context.Context, []Key) (lampRow, error) { return lampRow{other.name}, nil }),
		ReadOnly: []string{"Name"},
	})
	remove, err := ta.Add(more)
	if err != nil {
		t.Fatal(err)
	}
	if got := get(t, ta, "Device.Other.Name"); got != "other" {
		t.Error(got)
	}
	if _, err := tb.Reader(ReadOptions{}).Get(t.Context(), "Device.Other.Name"); !errors.Is(err, ErrNoName) {
		t.Errorf("it came to the other tree: %v", err)
	}
	remove()
	if _, err := ta.Reader(ReadOptions{}).Get(t.Context(), "Device.Other.Name"); !errors.Is(err, ErrNoName) {
		t.Errorf("it stayed: %v", err)
	}
	if got := get(t, ta, "Device.Lamp.Name"); got != "a" {
		t.Error(got)
	}
}

// A late object that is declared for somebody else than the rest of its tree is
// asked as any other.
func TestLateObjectOfAnotherEnvironment(t *testing.T) {
	a, b := &lamp{name: "a"}, &lamp{name: "b"}
	tree := lateTree(t, nil, a)
	object := func(l *lamp) Object {
		return Define("Device.Other.", lampParams, Source[lampRow]{
			Rows:     One(func(context.Context, []Key) (lampRow, error) { return lampRow{l.name}, nil }),
			ReadOnly: []string{"Name"},
		})
	}
	if _, err := tree.Add(Late(b, object)); err != nil {
		t.Fatal(err)
	}
	equal(t, "names", []string{get(t, tree, "Device.Lamp.Name"), get(t, tree, "Device.Other.Name")}, []string{"a", "b"})
}

// The sources of a late object are bound once for requests that overlap, and not
// kept for ever.
func TestLateSourcesAreForgotten(t *testing.T) {
	l := &lamp{name: "a", dims: true}
	tree := lateTree(t, nil, l)
	was := l.defined
	held := tree.bindings()
	for range 10 {
		get(t, tree, "Device.Lamp.Name")
	}
	if l.defined != was+1 {
		t.Errorf("bound %d times", l.defined-was)
	}
	runtime.KeepAlive(held)
	held = nil
	for i := 0; tree.bound.Value() != nil; i++ {
		if i == 10 {
			t.Fatal("still bound after ten collections")
		}
		runtime.GC()
	}
	if got := get(t, tree, "Device.Lamp.Dim"); got != "a" {
		t.Error(got)
	}
	if l.defined != was+2 {
		t.Errorf("bound %d times", l.defined-was)
	}
}

func BenchmarkLateGet(b *testing.B) {
	l := &lamp{name: "a"}
	tree, err := New(Options{})
	if err != nil {
		b.Fatal(err)
	}
	if _, err := tree.Add(Late(l, (*lamp).object)); err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if it, err := tree.Reader(ReadOptions{}).Get(b.Context(), "Device.Lamp.Name"); err != nil || it.Value != "a" {
			b.Fatal(fmt.Sprint(it, err))
		}
	}
}
