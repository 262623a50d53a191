package uci

// Editing in place. libuci writes a file anew from what it has understood, and
// comments, blank lines and the order of options are lost. Here the lines that
// nothing has changed stay as they are, byte for byte: an administrator who
// looks at a file after the ACS wrote to it finds his own file with one line
// changed. It costs a list of which lines say what, and one more parse that
// proves the result. Where that does not work out (several commands on a line)
// the file is written as libuci does.

import (
	"bytes"
	"slices"
	"strings"
)

// A source is the text of a file, and what its lines say.
type source struct {
	text       []byte
	statements []statement
	ended      int // statements whose lines are known
}

// A statement is one command, and the lines that it fills.
type statement struct {
	section   *Section // nil: a command that means nothing ("option x ''")
	option    *Option  // nil: the config line itself
	typ, name string   // of a config line
	start     int      // of its first line
	end       int      // after its last line
	comment   int      // where the comment behind it begins; -1: none
	shared    bool     // there are other commands on its lines
}

// endOfLines gives the commands read since it was last called their lines.
func (src *source) endOfLines(start, end, comment int) {
	here := src.statements[src.ended:]
	for i := range here {
		s := &here[i]
		s.start, s.end, s.comment, s.shared = start, end, comment, len(here) > 1
	}
	src.ended = len(src.statements)
}

// An edit writes a package over the text that it was parsed from.
type edit struct {
	src     *source
	pkg     *Package
	kept    map[*Section]bool
	last    map[*Section]int  // the last statement of a section
	options map[*Option]bool  // those that the text has; true: written already
	added   map[*Section]bool // sections that the text does not have and that are not written yet
	out     []byte
}

// render returns the text with p's changes made in it; ok is false when they
// cannot be made in place.
func (src *source) render(p *Package) (text []byte, ok bool) {
	e := &edit{
		src: src, pkg: p, kept: map[*Section]bool{}, last: map[*Section]int{},
		options: map[*Option]bool{}, added: map[*Section]bool{},
	}
	for _, s := range p.Sections {
		e.kept[s], e.added[s] = true, true
	}
	for i, st := range src.statements {
		if st.section != nil {
			e.last[st.section] = i
			delete(e.added, st.section)
		}
		if st.option != nil {
			e.options[st.option] = false
		}
	}
	at := 0
	for i := range src.statements {
		st := &src.statements[i]
		if st.start > at {
			e.out = append(e.out, src.text[at:st.start]...)
		}
		if !e.statement(i, st) {
			return nil, false
		}
		at = max(at, st.end)
	}
	e.out = append(e.out, src.text[at:]...)
	return e.append(), true
}

// statement writes one statement as it is to be now; false when its lines
// cannot be changed.
func (e *edit) statement(i int, st *statement) bool {
	first := i == 0 || e.src.statements[i-1].start != st.start // of these lines
	switch {
	case st.section == nil:
		e.keep(st, first)
		return true
	case !e.kept[st.section]:
		if st.option == nil {
			e.closeGap()
		}
		return !st.shared
	}
	if st.option == nil {
		e.before(st.section)
	}
	ok := true
	switch {
	case st.option == nil && !st.renamed():
		e.keep(st, first)
	case st.option == nil:
		e.out = append(e.out, e.indent(st)+st.section.head()+e.comment(st)+"\n"...)
		ok = !st.shared
	case !slices.Contains(st.section.Options, st.option):
		ok = !st.shared
	case st.option.Line != 0:
		e.keep(st, first)
	default:
		if !e.options[st.option] {
			e.out = st.option.append(e.out, e.indent(st), e.comment(st))
		}
		e.options[st.option] = true
		ok = !st.shared
	}
	if e.last[st.section] == i {
		e.newOptions(st)
	}
	return ok
}

func (st *statement) renamed() bool {
	return st.typ != st.section.Type || st.name != st.section.Name && !(st.section.Anonymous && st.name == "")
}

// keep leaves lines as they are.
func (e *edit) keep(st *statement, first bool) {
	if first {
		e.out = append(e.out, e.src.text[st.start:st.end]...)
	}
}

// newOptions follow the last statement of their section.
func (e *edit) newOptions(st *statement) {
	for _, o := range st.section.Options {
		if _, known := e.options[o]; !known {
			e.endLine()
			e.out = o.append(e.out, "\t", "")
		}
	}
}

// before writes the new sections that come before an old one.
func (e *edit) before(old *Section) {
	if len(e.added) == 0 {
		return
	}
	at := slices.Index(e.pkg.Sections, old)
	from := at
	for from > 0 && e.added[e.pkg.Sections[from-1]] {
		from--
	}
	for _, s := range e.pkg.Sections[from:at] {
		e.section(s)
		e.out = append(e.out, '\n')
	}
}

func (e *edit) section(s *Section) {
	e.out = append(e.out, s.head()+"\n"...)
	for _, o := range s.Options {
		e.out = o.append(e.out, "\t", "")
	}
	delete(e.added, s)
}

// append writes the new sections at the end, and returns the text.
func (e *edit) append() []byte {
	if len(e.added) == 0 {
		return e.out
	}
	blank := bytes.HasSuffix(e.out, []byte("\n\n")) // as libuci ends a file
	e.out = bytes.TrimRight(e.out, " \t\r\n")
	blank = blank || len(e.out) == 0
	e.endLine()
	for _, s := range e.pkg.Sections {
		if e.added[s] {
			e.out = append(e.out, '\n')
			e.section(s)
		}
	}
	if blank {
		e.out = append(e.out, '\n')
	}
	return e.out
}

// closeGap takes out the blank line before a section that goes.
func (e *edit) closeGap() {
	if bytes.HasSuffix(e.out, []byte("\n\n")) {
		e.out = e.out[:len(e.out)-1]
	}
}

func (e *edit) endLine() {
	if n := len(e.out); n > 0 && e.out[n-1] != '\n' {
		e.out = append(e.out, '\n')
	}
}

func (e *edit) indent(st *statement) string {
	line := e.src.text[st.start:st.end]
	for i, c := range line {
		if c != ' ' && c != '\t' {
			return string(line[:i])
		}
	}
	return ""
}

func (e *edit) comment(st *statement) string {
	if st.comment < 0 {
		return ""
	}
	return " " + strings.TrimRight(string(e.src.text[st.comment:st.end]), "\r\n")
}

// same says whether two packages mean the same. The order of options in a
// section means nothing, and generated names follow from the rest.
func same(a, b *Package) bool {
	return slices.EqualFunc(a.Sections, b.Sections, func(s, t *Section) bool {
		if s.Type != t.Type || s.Anonymous != t.Anonymous || !s.Anonymous && s.Name != t.Name || len(s.Options) != len(t.Options) {
			return false
		}
		for _, o := range s.Options {
			if p := t.Option(o.Name); p == nil || p.List != o.List || !slices.Equal(p.Values, o.Values) {
				return false
			}
		}
		return true
	})
}
