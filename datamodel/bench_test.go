package datamodel

// What a tree of 20,000 parameters costs.

import (
	"context"
	"fmt"
	"iter"
	"runtime"
	"testing"
)

// wide is a tree of 20,000 parameters: 1,000 rows of 19 with references and
// counters, and 1,000 counts and more besides.
func wide(tb testing.TB) *Tree {
	tree, err := New(Options{})
	if err != nil {
		tb.Fatal(err)
	}
	rows := make([]port, 1000)
	for i := range rows {
		rows[i] = port{enable: true, name: fmt.Sprint("port", i), mtu: 1500, rx: uint64(i) << 32, tags: []string{"a", "b"}, lower: []Ref{{"Device.Port.{i}.", []Key{"port1"}}}}
	}
	params := append([]Param[port](nil), portParams...)
	for i := range 9 {
		params = append(params, Param[port]{Name: fmt.Sprint("X_Counter", i), At: func(p *port) any { return &p.rx }})
	}
	obj := Define("Device.Port.{i}.", params, Source[port]{
		Rows: func(context.Context, []Key) iter.Seq2[Row[port], error] {
			return func(yield func(Row[port], error) bool) {
				for i := range rows {
					if !yield(Row[port]{rows[i].name, &rows[i]}, nil) {
						return
					}
				}
			}
		},
		Load:  func(context.Context, []Key) (*port, error) { return &rows[1], nil },
		Stage: func(context.Context, *Tx, []Key, Change[port]) error { return nil },
	})
	sub := Define("Device.Port.{i}.Sub.{i}.", addrParams[1:], Source[addr]{Rows: func(context.Context, []Key) iter.Seq2[Row[addr], error] {
		return func(func(Row[addr], error) bool) {}
	}})
	if _, err := tree.Add(obj, sub); err != nil {
		tb.Fatal(err)
	}
	return tree
}

func BenchmarkValues20000(b *testing.B) {
	tree := wide(b)
	b.ReportAllocs()
	for b.Loop() {
		n := 0
		for _, err := range tree.Values(b.Context(), "") {
			if err != nil {
				b.Fatal(err)
			}
			n++
		}
		if n < 20000 {
			b.Fatal(n)
		}
	}
}

func BenchmarkNames20000(b *testing.B) {
	tree := wide(b)
	b.ReportAllocs()
	for b.Loop() {
		for _, err := range tree.Names(b.Context(), "", false) {
			if err != nil {
				b.Fatal(err)
			}
		}
	}
}

func BenchmarkGetOne(b *testing.B) {
	tree := wide(b)
	for range tree.Values(b.Context(), "") {
	}
	rd := tree.Reader(ReadOptions{})
	b.ReportAllocs()
	for b.Loop() {
		if _, err := rd.Get(b.Context(), "Device.Port.2.MTU"); err != nil {
			b.Fatal(err)
		}
	}
}

// A walk keeps nothing of what it has yielded.
func TestWalkStaysSmall(t *testing.T) {
	tree := wide(t)
	heap := func() uint64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	for range tree.Values(t.Context(), "") { // numbers are given once
	}
	before, n, most := heap(), 0, uint64(0)
	for range tree.Values(t.Context(), "") {
		if n++; n%5000 == 0 {
			if h := heap(); h > before {
				most = max(most, h-before)
			}
		}
	}
	if most > 256<<10 {
		t.Errorf("a walk of %d parameters holds %d KiB", n, most>>10)
	}
	if len(tree.numbers.tables) != 1 {
		t.Errorf("%d tables of numbers for one table with rows", len(tree.numbers.tables))
	}
}
