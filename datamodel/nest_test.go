package datamodel

// Rows below rows: a table in a fixed object in a table, all of them writable.

import (
	"context"
	"strings"
	"testing"
)

type leaf struct{ v string }

// nest declares Device.A.{i}.S.B.{i}. with one A and two B, and logs what is
// deleted.
type nest struct {
	log  []string
	a, b *Kept[leaf]
}

var leafParams = []Param[leaf]{{Name: "V", At: func(r *leaf) any { return &r.v }, Access: ReadWrite}}

func (n *nest) source(name string, k *Kept[leaf]) Source[leaf] {
	return Source[leaf]{Rows: k.Rows, Load: k.Load, New: k.New, Stage: func(ctx context.Context, tx *Tx, at []Key, c Change[leaf]) error {
		if c.New == nil && c.Old.v == "v" {
			n.log = append(n.log, name+strings.Join(at, "/"))
		}
		return k.Stage(ctx, tx, at, c)
	}}
}

func newNest(t *testing.T) (*nest, *Tree) {
	t.Helper()
	n := &nest{a: NewKept("a", leafParams, nil), b: NewKept("b", leafParams, nil)}
	for k, text := range map[*Kept[leaf]]string{n.a: "row p\n  V v\n", n.b: "row p c0\n  V v\nrow p c1\n  V v\n"} {
		if err := k.Recover(t.Context(), []byte(text)); err != nil {
			t.Fatal(err)
		}
	}
	single := Source[leaf]{
		Rows: One(func(context.Context, []Key) (leaf, error) { return leaf{"v"}, nil }),
		Stage: func(_ context.Context, _ *Tx, at []Key, c Change[leaf]) error {
			n.log = append(n.log, "single "+strings.Join(at, "/"))
			return nil
		},
	}
	tree, err := New(Options{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tree.Add(Define("Device.A.{i}.S.B.{i}.", leafParams, n.source("B ", n.b)), Define("Device.A.{i}.S.", leafParams, single),
		Define("Device.A.{i}.", leafParams, n.source("A ", n.a))); err != nil {
		t.Fatal(err)
	}
	return n, tree
}

func TestChildrenAreDeletedFirst(t *testing.T) {
	n, tree := newNest(t)
	tx := begin(t, tree)
	if err := tx.Set(t.Context(), assign("Device.A.1.S.B.2.V", "changed")...); err != nil {
		t.Fatal(err)
	}
	if err := tx.Delete(t.Context(), "Device.A.1."); err != nil {
		t.Fatal(err)
	}
	equal(t, "inside", values(t, tx.Reader(ReadOptions{}), "Device."), []string{"Device.ANumberOfEntries=0"})
	if _, err := tx.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	equal(t, "order", n.log, []string{"B p/c0", "B p/c1", "single p", "A p"})
	if len(n.b.rows) != 0 {
		t.Errorf("children left: %v", n.b.rows)
	}
}

// What hangs below a row that was just added reads as its default, and goes
// with it.
func TestBelowANewRow(t *testing.T) {
	_, tree := newNest(t)
	tx := begin(t, tree)
	defer tx.Abort()
	a, err := tx.Add(t.Context(), "Device.A.")
	if err != nil {
		t.Fatal(err)
	}
	c, err := tx.Add(t.Context(), a.Path+"S.B.")
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "values", values(t, tx.Reader(ReadOptions{}), a.Path), []string{a.Path + "V=", a.Path + "S.V=", c.Path + "V=", a.Path + "S.BNumberOfEntries=1"})
	equal(t, "names", names(t, tx.Reader(ReadOptions{}), a.Path+"S.", true), []string{a.Path + "S.V w", a.Path + "S.BNumberOfEntries", a.Path + "S.B. w"})
	if err := tx.Set(t.Context(), assign(a.Path+"S.V", "x", c.Path+"V", "y")...); err != nil {
		t.Fatal(err)
	}
	equal(t, "set", values(t, tx.Reader(ReadOptions{}), a.Path+"S.V"), []string{a.Path + "S.V=x"})
	if err := tx.Delete(t.Context(), a.Path); err != nil {
		t.Fatal(err)
	}
	if len(tx.order) != 0 {
		t.Errorf("added and deleted leaves %d edits", len(tx.order))
	}
}
