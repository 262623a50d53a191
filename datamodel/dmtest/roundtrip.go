package dmtest

// What must hold of any tree, whatever is in it.

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"testing"

	"gatehouse/datamodel"
)

// RoundTrip reads the whole tree, and checks that
//
//   - names and values agree: every parameter that is listed can be read by its
//     name, and what is read was listed, with the same access (field.md 22);
//   - every value reads back as itself, and is within the limits of Device2;
//   - what was read can be written back (in a dry run), parameter by parameter;
//   - a value at each edge of a limit is taken, and one beyond it refused.
//
// The last two look at the first instance of each table. skip names templates
// ("Device.IP.Interface.{i}.MTU", or "Device.IP." for all below) that they
// leave out. Nothing is changed.
func RoundTrip(t testing.TB, tree *datamodel.Tree, skip ...string) {
	t.Helper()
	rd := tree.Reader(datamodel.ReadOptions{Unavailable: func(path string, err error) { t.Errorf("%s is left out: %v", path, err) }})
	listed := make(map[string]datamodel.Name)
	for n, err := range rd.Names(t.Context(), "", false) {
		if err != nil {
			t.Fatal(err)
		}
		if _, twice := listed[n.Path]; twice {
			t.Errorf("%s is listed twice", n.Path)
		}
		listed[n.Path] = n
	}
	items := readAll(t, rd, listed)
	seen := make(map[string]bool)
	for _, it := range items {
		checkValue(t, it)
		template := Template(it.Name)
		if it.Access == datamodel.ReadOnly || seen[template] || skipped(template, skip) {
			continue
		}
		seen[template] = true
		writeBack(t, tree, it)
		edges(t, tree, it)
	}
	for path := range listed {
		object := path[:strings.LastIndexByte(strings.TrimSuffix(path, "."), '.')+1]
		if _, ok := listed[object]; !ok && object != "" {
			t.Errorf("%s is listed, and %s is not", path, object)
		}
	}
}

func readAll(t testing.TB, rd *datamodel.Reader, listed map[string]datamodel.Name) []datamodel.Item {
	t.Helper()
	var items []datamodel.Item
	for it, err := range rd.Values(t.Context(), "") {
		if err != nil {
			t.Fatal(err)
		}
		n, ok := listed[it.Name]
		if !ok || n.Object || n.Type != it.Type || n.Writable != (it.Access != datamodel.ReadOnly) {
			t.Errorf("%s: read as %+v, listed as %+v", it.Name, it, n)
		}
		delete(listed, it.Name)
		items = append(items, it)
	}
	for path, n := range listed {
		if !n.Object {
			t.Errorf("%s is listed, and not read", path)
		}
	}
	for _, it := range items {
		listed[it.Name] = datamodel.Name{Path: it.Name}
		if _, err := rd.Get(t.Context(), it.Name); err != nil {
			t.Errorf("by its own name: %v", err)
		}
	}
	return items
}

// Template turns the path of an instance into that of its declaration.
func Template(path string) string {
	parts := strings.Split(path, ".")
	for i, p := range parts {
		if p != "" && p[0] >= '0' && p[0] <= '9' {
			parts[i] = "{i}"
		}
	}
	return strings.Join(parts, ".")
}

func skipped(template string, skip []string) bool {
	for _, s := range skip {
		if template == s || strings.HasSuffix(s, ".") && strings.HasPrefix(template, s) {
			return true
		}
	}
	return false
}

// checkValue holds a value that was read against the table.
func checkValue(t testing.TB, it datamodel.Item) {
	t.Helper()
	row := Device2()[Template(it.Name)]
	if row == nil || it.Hidden || it.Access == datamodel.Command {
		return
	}
	values := []string{it.Value}
	if row.List {
		if values = strings.Split(it.Value, ","); it.Value == "" {
			return
		}
	}
	for _, v := range values {
		if err := row.Admits(v); err != nil {
			t.Errorf("%s reads as %q: %v", it.Name, it.Value, err)
		}
	}
}

// Admits says why the table does not let a parameter, or an item of a list,
// read as v.
func (row *Row) Admits(v string) error {
	if row.Enum != nil && !slices.Contains(row.Enum, v) && !strings.HasPrefix(v, "X_") {
		return fmt.Errorf("not one of %s", strings.Join(row.Enum, "|"))
	}
	if len(row.Range) > 0 {
		n, err := strconv.ParseInt(v, 10, 64)
		if err != nil || !inSpans(row.Range, n) {
			return fmt.Errorf("not in %v", row.Range)
		}
	}
	if n := len([]rune(v)); row.Type == "string" && len(row.Sizes) > 0 && !inSpans(row.Sizes, int64(n)) {
		return fmt.Errorf("%d characters, not %v", n, row.Sizes)
	}
	return nil
}

func inSpans(spans []datamodel.Span, n int64) bool {
	for _, s := range spans {
		if s.Min <= n && n <= s.Max {
			return true
		}
	}
	return false
}

func writeBack(t testing.TB, tree *datamodel.Tree, it datamodel.Item) {
	t.Helper()
	if it.Hidden || it.Access == datamodel.Command {
		return
	}
	info, err := tree.Describe(t.Context(), it.Name)
	if err != nil {
		t.Error(err)
		return
	}
	if l := datamodel.LimitsOf(info.Check); l.Write != nil && !slices.Contains(l.Write, it.Value) {
		return
	}
	if err := try(t, tree, it.Name, it.Value, it.Type.XSD(), true); err != nil {
		t.Errorf("writing back %q: %v", it.Value, err)
	}
}

// try assigns one value; dry goes on to a dry run.
func try(t testing.TB, tree *datamodel.Tree, path, value, typ string, dry bool) error {
	t.Helper()
	tx, err := tree.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer tx.Abort()
	err = tx.Set(t.Context(), datamodel.Assignment{Path: path, Value: value, Type: typ})
	if err != nil || !dry {
		return err
	}
	_, _, err = tx.DryRun(t.Context())
	return err
}

func edges(t testing.TB, tree *datamodel.Tree, it datamodel.Item) {
	t.Helper()
	info, err := tree.Describe(t.Context(), it.Name)
	if err != nil || info.Check == nil || info.Refs != nil || strings.HasSuffix(it.Name, ".Alias") {
		return
	}
	good, bad := Edges(info)
	for _, v := range good {
		if err := try(t, tree, it.Name, v, "", false); err != nil {
			t.Errorf("%q is within the limits: %v", short(v), err)
		}
	}
	for _, v := range bad {
		if err := try(t, tree, it.Name, v, "", false); !errors.Is(err, datamodel.ErrValue) {
			t.Errorf("%s: %q is beyond the limits: %v", it.Name, short(v), err)
		}
	}
}

func short(v string) string {
	if len(v) > 40 {
		return fmt.Sprintf("%s… (%d)", v[:40], len(v))
	}
	return v
}

// Edges returns values that a parameter just takes, and values that it just
// does not.
func Edges(info datamodel.Info) (good, bad []string) {
	l := datamodel.LimitsOf(info.Check)
	switch {
	case l.Write != nil:
		return l.Write, []string{"no such value"}
	case l.Enum != nil:
		return l.Enum, []string{"no such value"}
	case l.Patterns != nil:
		return nil, []string{"no such value\x01"}
	case l.Address != "":
		return []string{""}, []string{"no such value", "1.2.3.4.5", "::g"}
	case l.Spans != nil:
		return numberEdges(info.Type, l)
	}
	unit := "ä"
	switch {
	case info.Type == datamodel.HexBinary:
		unit = "0F"
	case info.Type != datamodel.String:
		return nil, nil
	}
	if l.MaxLen > 0 {
		good, bad = append(good, strings.Repeat(unit, l.MaxLen)), append(bad, strings.Repeat(unit, l.MaxLen+1))
	}
	if l.MinLen > 0 && l.MinItems == 0 && !l.List {
		good, bad = append(good, strings.Repeat(unit, l.MinLen)), append(bad, strings.Repeat(unit, l.MinLen-1))
	}
	if l.List && l.MinItems > 1 {
		good = nil
	}
	return good, bad
}

func numberEdges(typ datamodel.Type, l datamodel.Limits) (good, bad []string) {
	lo, hi := typeBounds(typ.String())
	for _, s := range l.Spans {
		from, to := max(s.Min, lo), min(s.Max, hi)
		good = append(good, strconv.FormatInt(from, 10), strconv.FormatInt(to, 10))
		if from > math.MinInt64 && (from == lo || !inSpans(l.Spans, from-1)) {
			bad = append(bad, strconv.FormatInt(from-1, 10))
		}
		if to < math.MaxInt64 && (to == hi || !inSpans(l.Spans, to+1)) {
			bad = append(bad, strconv.FormatInt(to+1, 10))
		}
	}
	if l.List && l.MinItems > 1 {
		good = nil
	}
	return good, bad
}
