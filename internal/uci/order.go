package uci

// The order of sections, where a service takes the first that fits.

import (
	"slices"
	"strconv"
)

// Order puts sections in the order given, into the places that they have now.
// Those of others stay.
func (p *Package) Order(sections ...*Section) {
	next := 0
	for i, s := range slices.Clone(p.Sections) {
		if slices.Contains(sections, s) {
			p.Sections[i] = sections[next]
			next++
		}
	}
}

// A move is a section that others of those that were there before it, or after
// it, are not any more. Places are counted among those that stay.
type move struct {
	at       *Section
	was, now int
}

func (f *file) moved() (all []move) {
	var was, now []*Section
	for _, b := range f.before {
		if slices.Contains(f.pkg.Sections, b.at) {
			was = append(was, b.at)
		}
	}
	for _, s := range f.pkg.Sections {
		if slices.Contains(was, s) {
			now = append(now, s)
		}
	}
	for i, s := range was {
		if now[i] != s {
			all = append(all, move{s, i, slices.Index(now, s)})
		}
	}
	return all
}

// delta tells a move as if it were a value.
func (m *move) delta(pkg string) Delta {
	place := func(n int) *Option { return &Option{Values: []string{"place " + strconv.Itoa(n+1)}} }
	return Delta{Package: pkg, Section: m.at, Old: place(m.was), New: place(m.now)}
}

// undoOrder appends to a record how the moved sections were ordered.
func (f *file) undoOrder(b []byte) []byte {
	var names []string
	for _, m := range f.moved() {
		names = append(names, m.at.Name)
	}
	if names == nil {
		return b
	}
	return appendLine(b, "order", names...)
}

// ordered reads such a line: those sections that are still there.
func (p *Package) ordered(r *words) (all []*Section) {
	for r.rest != "" && !r.bad {
		if s := p.Section(r.word()); s != nil && !slices.Contains(all, s) {
			all = append(all, s)
		}
	}
	return all
}
