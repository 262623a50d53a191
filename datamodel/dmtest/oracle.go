package dmtest

// The comparison of declarations with the table: type and limits are equal;
// access may be narrower and parameters absent, wider is an error.

import (
	"fmt"
	"iter"
	"slices"
	"strings"
	"testing"

	"gatehouse/datamodel"
)

// A Report is what a comparison found. Its lists are sorted templates.
type Report struct {
	Errors   []string // "path: what is wrong"
	ReadOnly []string // writable in the table, not here
	Absent   []string // current in the table below an object that is declared, not here
	Old      []string // declared, deprecated or deleted in the table
	Known    int      // parameters compared
}

// Oracle compares every declaration of the tree with Device2 and fails the test
// for each error. Extensions (X_) may be anything.
func Oracle(t testing.TB, tree *datamodel.Tree) Report {
	t.Helper()
	r := Device2().Compare(tree.Objects())
	for _, e := range r.Errors {
		t.Error(e)
	}
	return r
}

// Compare compares declarations with the table.
func (tb Table) Compare(objs iter.Seq[datamodel.Object]) Report {
	var r Report
	have := make(map[string]bool)
	for o := range objs {
		tb.object(&r, o, have)
	}
	for path, row := range tb {
		object := path[:strings.LastIndexByte(path, '.')+1]
		if !row.Object && row.Status == "" && have[object] && !have[path] {
			r.Absent = append(r.Absent, path)
		}
	}
	for _, list := range []*[]string{&r.Errors, &r.ReadOnly, &r.Absent, &r.Old} {
		slices.Sort(*list)
	}
	return r
}

func (r *Report) errorf(path, format string, args ...any) {
	r.Errors = append(r.Errors, path+": "+fmt.Sprintf(format, args...))
}

func (tb Table) object(r *Report, o datamodel.Object, have map[string]bool) {
	path := o.Path()
	if !vendor(path) {
		row := tb[path]
		switch {
		case row == nil || !row.Object:
			r.errorf(path, "the table has no such object")
		case row.Status != "":
			r.Old = append(r.Old, path)
		}
		if row != nil {
			if o.Writable() && !row.Writable {
				r.errorf(path, "rows can be added, which the table does not allow")
			}
			tb.count(r, o, row, have)
		}
	}
	have[path] = true
	for p := range o.Params() {
		have[p.Path] = true
		have[p.Path[:strings.LastIndexByte(p.Path, '.')+1]] = true
		if !vendor(p.Path) {
			tb.param(r, p)
		}
	}
}

// count compares the name of the count of a table.
func (tb Table) count(r *Report, o datamodel.Object, row *Row, have map[string]bool) {
	path, ok := strings.CutSuffix(o.Path(), ".{i}.")
	if !ok || o.Extends() {
		return
	}
	dot := strings.LastIndexByte(path, '.') + 1
	parent, want := path[:dot], row.Type
	switch want {
	case "-":
		want = ""
	case "":
		want = path[dot:] + "NumberOfEntries"
	}
	if o.Count() != want {
		r.errorf(o.Path(), "the count is called %q, in the table %q (Source.Rename)", o.Count(), want)
		return
	}
	if want == "" {
		return
	}
	r.Known++
	have[parent+want] = true
	if c := tb[parent+want]; c == nil || c.Type != "unsignedInt" {
		r.errorf(parent+want, "the table has no such count")
	}
}

func (tb Table) param(r *Report, p datamodel.Info) {
	row := tb[p.Path]
	if row == nil || row.Object {
		r.errorf(p.Path, "the table has no such parameter")
		return
	}
	r.Known++
	if row.Status != "" {
		r.Old = append(r.Old, p.Path)
	}
	if want := row.Type; p.List != row.List || !row.List && p.Type.String() != want {
		r.errorf(p.Path, "is %s, in the table %s", describe(p.List, p.Type.String()), describe(row.List, want))
	}
	switch {
	case p.Writable && !row.Writable:
		r.errorf(p.Path, "is writable, which the table does not allow")
	case !p.Writable && row.Writable:
		r.ReadOnly = append(r.ReadOnly, p.Path)
	}
	if row.Hidden && !p.Hidden {
		r.errorf(p.Path, "is hidden in the table")
	}
	if p.Inform != row.Forced {
		r.errorf(p.Path, "Inform is %v, in the table %v", p.Inform, row.Forced)
	}
	row.notify(r, p)
	row.limits(r, p)
}

func describe(list bool, typ string) string {
	if list {
		return "a list"
	}
	return typ
}

func (row *Row) notify(r *Report, p datamodel.Info) {
	want := map[string]datamodel.Notify{"forceEnabled": datamodel.NotifyForced, "forceDefaultEnabled": datamodel.NotifyDefaultOn}[row.Notify]
	if p.Notify == want || p.Notify == datamodel.NotifyNever && row.Notify == "canDeny" {
		return
	}
	r.errorf(p.Path, "the notification policy is %d, in the table %q", p.Notify, row.Notify)
}

// limits compares what a check demands. A parameter that can only be read needs
// no check; if it has one, it is the right one. A list of values may be
// shorter than the table's.
func (row *Row) limits(r *Report, p datamodel.Info) {
	if p.Check == nil && !p.Writable {
		return
	}
	l := datamodel.LimitsOf(p.Check)
	for _, e := range slices.Concat(l.Enum, l.Write) {
		if row.Enum != nil && !slices.Contains(row.Enum, e) && !strings.HasPrefix(e, "X_") {
			r.errorf(p.Path, "the value %q is not in the table", e)
		}
	}
	if row.Enum != nil && l.Enum == nil && l.Write == nil {
		r.errorf(p.Path, "the table lists its values: %s", strings.Join(row.Enum, "|"))
	}
	if row.Address != l.Address {
		r.errorf(p.Path, "the check is %q, in the table %q", l.Address, row.Address)
	} else if l.Address == "" {
		row.sizes(r, p, l)
	}
	if l.Patterns != nil && !slices.Equal(l.Patterns, row.Patterns) || l.Patterns == nil && row.Patterns != nil {
		r.errorf(p.Path, "the patterns are %q, in the table %q", l.Patterns, row.Patterns)
	}
	row.numbers(r, p, l)
	if row.List && (l.MinItems != int(row.Items.Min) || l.MaxItems != bound(row.Items.Max) || l.MaxList != row.ListSize) {
		r.errorf(p.Path, "a list of %d to %d items, %d characters; in the table %d to %d, %d", l.MinItems, l.MaxItems, l.MaxList, row.Items.Min, row.Items.Max, row.ListSize)
	}
}

// bound: an end that the table leaves open is 0 in a check.
func bound(n int64) int {
	if n >= 1<<31-1 {
		return 0
	}
	return int(n)
}

// sizes compares lengths; several spans count as the one around them.
func (row *Row) sizes(r *Report, p datamodel.Info, l datamodel.Limits) {
	lo, hi := 0, 0
	if len(row.Sizes) > 0 {
		lo = int(row.Sizes[0].Min)
		for _, s := range row.Sizes {
			lo, hi = min(lo, int(s.Min)), max(hi, bound(s.Max))
		}
	}
	if l.MinLen != lo || l.MaxLen != hi {
		r.errorf(p.Path, "the size is %d:%d, in the table %d:%d", l.MinLen, l.MaxLen, lo, hi)
	}
}

func (row *Row) numbers(r *Report, p datamodel.Info, l datamodel.Limits) {
	lo, hi := typeBounds(row.Type)
	var have []datamodel.Span
	for _, s := range l.Spans {
		have = append(have, datamodel.Span{Min: max(s.Min, lo), Max: min(s.Max, hi)})
	}
	whole := []datamodel.Span{{Min: lo, Max: hi}}
	want := row.Range
	if len(have) == 0 {
		have = whole
	}
	if len(want) == 0 {
		want = whole
	}
	if !slices.Equal(have, want) {
		r.errorf(p.Path, "the range is %v, in the table %v", have, want)
	}
}
