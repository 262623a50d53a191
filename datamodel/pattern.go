package datamodel

// XML Schema patterns, as far as TR-181 uses them: literals, classes, \d,
// groups, alternatives and counts. Package regexp would be 300 KB for a dozen
// patterns.

import (
	"strconv"
	"strings"
)

// matchPattern reports whether pattern matches all of text. A pattern that
// this little matcher cannot read matches nothing. The work is bounded.
func matchPattern(pattern, text string) bool {
	m := matcher{pattern: pattern, text: text, steps: 20000}
	return m.alternatives(0, len(pattern), 0, func(at int) bool { return at == len(text) })
}

type matcher struct {
	pattern, text string
	steps         int
}

// alternatives matches pattern[from:to], which may hold bars, at text[at:].
func (m *matcher) alternatives(from, to, at int, then func(int) bool) bool {
	depth, start := 0, from
	for i := from; i < to; i++ {
		switch m.pattern[i] {
		case '\\':
			i++
		case '[':
			i = m.classEnd(i, to) - 1
		case '(':
			depth++
		case ')':
			depth--
		case '|':
			if depth == 0 {
				if m.sequence(start, i, at, then) {
					return true
				}
				start = i + 1
			}
		}
	}
	return m.sequence(start, to, at, then)
}

// sequence matches pattern[from:to] without bars at its top.
func (m *matcher) sequence(from, to, at int, then func(int) bool) bool {
	if m.steps--; m.steps < 0 {
		return false
	}
	if from >= to {
		return then(at)
	}
	end := m.atomEnd(from, to)
	if end < 0 {
		return false
	}
	lo, hi, next := m.count(end, to)
	if next < 0 {
		return false
	}
	return m.repeat(from, end, lo, hi, at, func(at int) bool { return m.sequence(next, to, at, then) })
}

// repeat matches the atom pattern[from:end] lo to hi times (hi < 0: any), as
// often as it can first.
func (m *matcher) repeat(from, end, lo, hi, at int, then func(int) bool) bool {
	if m.steps--; m.steps < 0 {
		return false
	}
	if hi != 0 && m.atom(from, end, at, func(next int) bool {
		if next == at {
			return false // an empty match repeated leads nowhere
		}
		return m.repeat(from, end, max(lo-1, 0), hi-1, next, then)
	}) {
		return true
	}
	return lo <= 0 && then(at)
}

func (m *matcher) atom(from, end, at int, then func(int) bool) bool {
	if m.pattern[from] == '(' {
		return m.alternatives(from+1, end-1, at, then)
	}
	if at >= len(m.text) || !m.octet(from, end, m.text[at]) {
		return false
	}
	return then(at + 1)
}

func (m *matcher) octet(from, end int, c byte) bool {
	switch m.pattern[from] {
	case '.':
		return c != '\n' && c != '\r'
	case '\\':
		return escaped(m.pattern[from+1], c)
	case '[':
		return inClass(m.pattern[from+1:end-1], c)
	}
	return m.pattern[from] == c
}

func escaped(e, c byte) bool {
	switch e {
	case 'd':
		return '0' <= c && c <= '9'
	case 's':
		return strings.IndexByte(" \t\r\n", c) >= 0
	case 'w':
		return c == '_' || '0' <= c && c <= '9' || 'a' <= c|0x20 && c|0x20 <= 'z'
	}
	return e == c
}

func inClass(class string, c byte) bool {
	not := strings.HasPrefix(class, "^")
	if not {
		class = class[1:]
	}
	in := false
	for i := 0; i < len(class); i++ {
		switch {
		case class[i] == '\\' && i+1 < len(class):
			i++
			in = in || escaped(class[i], c)
		case i+2 < len(class) && class[i+1] == '-':
			in = in || class[i] <= c && c <= class[i+2]
			i += 2
		default:
			in = in || class[i] == c
		}
	}
	return in != not
}

// atomEnd returns where the atom at from ends, or -1 when it does not.
func (m *matcher) atomEnd(from, to int) int {
	switch m.pattern[from] {
	case '\\':
		if from+2 > to {
			return -1
		}
		return from + 2
	case '[':
		end := m.classEnd(from, to)
		if end > to || m.pattern[end-1] != ']' {
			return -1
		}
		return end
	case '(':
		return m.groupEnd(from, to)
	case ')', '*', '+', '?', '{':
		return -1
	}
	return from + 1
}

func (m *matcher) classEnd(from, to int) int {
	for i := from + 1; i < to; i++ {
		if m.pattern[i] == '\\' {
			i++
		} else if m.pattern[i] == ']' {
			return i + 1
		}
	}
	return to
}

func (m *matcher) groupEnd(from, to int) int {
	depth := 0
	for i := from; i < to; i++ {
		switch m.pattern[i] {
		case '\\':
			i++
		case '[':
			i = m.classEnd(i, to) - 1
		case '(':
			depth++
		case ')':
			if depth--; depth == 0 {
				return i + 1
			}
		}
	}
	return -1
}

// count reads a quantifier at i: lo, hi (-1: no bound), and what follows.
func (m *matcher) count(i, to int) (lo, hi, next int) {
	if i >= to {
		return 1, 1, i
	}
	switch m.pattern[i] {
	case '?':
		return 0, 1, i + 1
	case '*':
		return 0, -1, i + 1
	case '+':
		return 1, -1, i + 1
	case '{':
		return m.braces(i, to)
	}
	return 1, 1, i
}

func (m *matcher) braces(i, to int) (lo, hi, next int) {
	end := strings.IndexByte(m.pattern[i:to], '}')
	if end < 0 {
		return 0, 0, -1
	}
	from, upto, both := strings.Cut(m.pattern[i+1:i+end], ",")
	lo, err := strconv.Atoi(from)
	if err != nil || lo > 1000 {
		return 0, 0, -1
	}
	hi = lo
	if both && upto == "" {
		hi = -1
	} else if both {
		if hi, err = strconv.Atoi(upto); err != nil || hi < lo || hi > 1000 {
			return 0, 0, -1
		}
	}
	return lo, hi, i + end + 1
}
