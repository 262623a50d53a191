package uciconf

// Rows that are values of a list. UCI gives them no name: a row is known by
// what its value says (its address, its tag), and once that changes, or while
// the row is switched off and cannot be in the list, by a mark in an option of
// ours beside it.

import (
	"slices"
	"strings"

	"gatehouse/internal/uci"
)

// noValue begins the value of a row that has none yet.
const noValue = "-"

// A mark is one such row. In a file it reads "KEY on VALUE" or "KEY off VALUE".
type mark struct {
	key, value string
	off        bool
}

// listed says whether the row is in the list.
func (m mark) listed() bool { return !m.off && !strings.HasPrefix(m.value, noValue) }

// marked reads the rows of a list: values are what it holds, derive gives the
// key that a value has without a mark, "" for one that is no row.
func marked(s *uci.Section, option string, values []string, derive func(value string) string) []mark {
	var kept []mark
	for _, text := range list(s, own+option) {
		w := strings.SplitN(text, " ", 3)
		if len(w) == 3 {
			kept = append(kept, mark{w[0], w[2], w[1] == "off"})
		}
	}
	used := map[string]bool{}
	var rows []mark
	for _, v := range values {
		if derive(v) == "" {
			continue
		}
		i := slices.IndexFunc(kept, func(m mark) bool { return m.listed() && m.value == v && !used[m.key] })
		row := mark{value: v}
		if i >= 0 {
			row.key = kept[i].key
			used[row.key] = true
		}
		rows = append(rows, row)
	}
	for _, m := range kept {
		if !m.listed() && !used[m.key] {
			used[m.key] = true
			rows = append(rows, m)
		}
	}
	for i := range rows {
		r := &rows[i]
		if r.key != "" {
			continue
		}
		r.key = derive(r.value)
		for used[r.key] {
			r.key += "+"
		}
		used[r.key] = true
	}
	return rows
}

// setMarks writes which rows are not known by their values.
func (e *edit) setMarks(s *uci.Section, option string, rows []mark, derive func(value string) string) {
	var kept []string
	for _, r := range rows {
		switch {
		case r.off:
			kept = append(kept, r.key+" off "+r.value)
		case !r.listed() || r.key != derive(r.value):
			kept = append(kept, r.key+" on "+r.value)
		}
	}
	e.list(s, own+option, list(s, own+option), kept)
}

// put replaces the row with m's key, or adds m.
func put(rows []mark, m mark) []mark {
	if i := slices.IndexFunc(rows, func(r mark) bool { return r.key == m.key }); i >= 0 {
		rows[i] = m
		return rows
	}
	return append(rows, m)
}

// take takes the row with a key out; ok is false when there is none.
func take(rows []mark, key string) (left []mark, ok bool) {
	left = slices.DeleteFunc(slices.Clone(rows), func(r mark) bool { return r.key == key })
	return left, len(left) < len(rows)
}

// setMarked writes the rows of a list whose other values stay where they are.
func (e *edit) setMarked(s *uci.Section, option string, old, now []mark, derive func(value string) string) {
	current := map[string]mark{}
	for _, r := range now {
		current[r.key] = r
	}
	before := map[string][]string{} // keys of the rows of a value, in order
	for _, r := range old {
		if r.listed() {
			before[r.value] = append(before[r.value], r.key)
		}
	}
	var values []string
	for _, v := range list(s, option) {
		keys := before[v]
		if derive(v) == "" || len(keys) == 0 {
			values = append(values, v)
			continue
		}
		before[v] = keys[1:]
		if r, ok := current[keys[0]]; ok && r.listed() {
			values = append(values, r.value)
			delete(current, keys[0])
		}
	}
	for _, r := range now {
		if _, left := current[r.key]; left && r.listed() {
			values = append(values, r.value)
		}
	}
	e.list(s, option, list(s, option), values)
	e.setMarks(s, option, now, derive)
}
