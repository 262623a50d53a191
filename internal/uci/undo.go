package uci

// What a change has done, option by option: for a dry run, and as a record that
// takes it back after a crash.

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strconv"
	"strings"
)

// A Delta is one value that a change writes. Old and New are nil where there is
// none. For a section that comes, goes, or gets another type or name, Option is
// "" and the values are its type and, if it has one, its name; for one that gets
// another place, what they say of it.
type Delta struct {
	Package  string
	Section  *Section // as it is now, or was when it went
	Option   string
	Old, New *Option
}

// A snapshot is a section as it was read.
type snapshot struct {
	at  *Section
	was Section // Options are copies
}

func snapshots(p *Package) []snapshot {
	all := make([]snapshot, len(p.Sections))
	for i, s := range p.Sections {
		all[i] = snapshot{at: s, was: *s}
		all[i].was.Options = make([]*Option, len(s.Options))
		for j, o := range s.Options {
			copied := *o
			all[i].was.Options[j] = &copied
		}
	}
	return all
}

// Deltas tells what Commit writes; legal after Prepare.
func (c *Change) Deltas() []Delta {
	var all []Delta
	for _, f := range c.files {
		for _, d := range f.diffs() {
			at := len(all)
			switch {
			case d.now == nil:
				all = append(all, Delta{Old: d.was.headOption()})
			case d.was == nil:
				all = append(all, Delta{New: d.now.headOption()})
			case d.renamed():
				all = append(all, Delta{Old: d.was.headOption(), New: d.now.headOption()})
			}
			all = append(all, d.options()...)
			for i := range all[at:] {
				all[at+i].Package, all[at+i].Section = f.pkg.Name, d.at
			}
		}
		for _, m := range f.moved() {
			all = append(all, m.delta(f.pkg.Name))
		}
	}
	return all
}

// headOption tells a section itself as if it were a value.
func (s *Section) headOption() *Option {
	if s.Anonymous {
		return &Option{Values: []string{s.Type}}
	}
	return &Option{Values: []string{s.Type, s.Name}}
}

// A diff is a section that is not as it was; nil: it was not there, or is not.
type diff struct {
	at       *Section // what is edited
	was, now *Section
	before   string // for one that is gone: the next one that is still there
}

func (d *diff) renamed() bool {
	return d.was.Type != d.now.Type || d.was.givenName() != d.now.givenName()
}

func (f *file) diffs() []diff {
	var all []diff
	old := map[*Section]bool{}
	now := map[*Section]bool{}
	for _, s := range f.pkg.Sections {
		now[s] = true
	}
	for i := range f.before {
		b := &f.before[i]
		old[b.at] = true
		d := diff{at: b.at, was: &b.was, now: b.at}
		if !now[b.at] {
			d.now = nil
			for _, next := range f.before[i+1:] {
				if now[next.at] {
					d.before = next.at.Name
					break
				}
			}
		}
		if d.now == nil || d.renamed() || len(d.options()) > 0 {
			all = append(all, d)
		}
	}
	for _, s := range f.pkg.Sections {
		if !old[s] {
			all = append(all, diff{at: s, now: s})
		}
	}
	return all
}

// options lists what is different within the section.
func (d *diff) options() []Delta {
	var all []Delta
	if d.was != nil {
		for _, o := range d.was.Options {
			var now *Option
			if d.now != nil {
				now = d.now.Option(o.Name)
			}
			if !equal(o, now) {
				all = append(all, Delta{Option: o.Name, Old: o, New: now})
			}
		}
	}
	if d.now != nil {
		for _, o := range d.now.Options {
			if d.was == nil || d.was.Option(o.Name) == nil {
				all = append(all, Delta{Option: o.Name, New: o})
			}
		}
	}
	return all
}

func equal(a, b *Option) bool {
	if a == nil || b == nil {
		return a == b
	}
	return a.List == b.List && slices.Equal(a.Values, b.Values)
}

// Undo returns a record of what Commit changes, for [Dir.Undo]. It is text, one
// line for each fact, and holds the values, secrets as well; legal after
// Prepare.
func (c *Change) Undo() []byte {
	var b []byte
	for _, f := range c.files {
		if f.text != nil {
			b = f.undo(b)
		}
	}
	return b
}

// The lines of a record. A value is "-" (none), "o" with one string or "l" with
// several.
//
//	package "wireless"
//	section "old name" "old type" "now" "type now"   renamed; an anonymous one has no old name
//	option  "section now" "name" OLD NEW
//	added   "name" "type" ["option" VALUE]…
//	removed "name" "type" "followed by" ["option" VALUE]…
//	order   "name"…                                  those that are elsewhere now
func (f *file) undo(b []byte) []byte {
	b = appendLine(b, "package", f.pkg.Name)
	for _, d := range f.diffs() {
		switch {
		case d.now == nil:
			b = appendOptions(appendWords(append(b, "removed"...), d.was.givenName(), d.was.Type, d.before), d.was)
		case d.was == nil:
			b = appendOptions(appendWords(append(b, "added"...), d.now.Name, d.now.Type), d.now)
		default:
			if d.renamed() {
				b = appendLine(b, "section", d.was.givenName(), d.was.Type, d.now.Name, d.now.Type)
			}
			for _, o := range d.options() {
				b = appendWords(append(b, "option"...), d.now.Name, o.Option)
				b = append(appendValue(appendValue(b, o.Old), o.New), '\n')
			}
		}
	}
	return f.undoOrder(b)
}

func (s *Section) givenName() string {
	if s.Anonymous {
		return ""
	}
	return s.Name
}

func appendLine(b []byte, keyword string, words ...string) []byte {
	return append(appendWords(append(b, keyword...), words...), '\n')
}

func appendWords(b []byte, words ...string) []byte {
	for _, w := range words {
		b = strconv.AppendQuote(append(b, ' '), w)
	}
	return b
}

func appendOptions(b []byte, s *Section) []byte {
	for _, o := range s.Options {
		b = appendValue(appendWords(b, o.Name), o)
	}
	return append(b, '\n')
}

func appendValue(b []byte, o *Option) []byte {
	switch {
	case o == nil:
		return append(b, " -"...)
	case o.List:
		b = append(b, " l"...)
		b = strconv.AppendInt(b, int64(len(o.Values)), 10)
	default:
		b = append(b, " o"...)
	}
	return appendWords(b, o.Values...)
}

// Undo takes back what a change has done, from its record. What somebody else
// has changed since stays, and doing it twice does no more than once. It
// returns the packages that it changed.
func (d *Dir) Undo(ctx context.Context, record []byte) ([]string, error) {
	byPackage := map[string][]string{}
	var names []string
	for line := range strings.Lines(string(record)) {
		r := words{rest: line}
		if r.keyword() == "package" {
			names = append(names, r.word())
			if r.bad {
				return nil, fmt.Errorf("undo record: %q", line)
			}
			continue
		}
		if len(names) == 0 {
			return nil, errors.New("undo record: no package")
		}
		name := names[len(names)-1]
		byPackage[name] = append(byPackage[name], line)
	}
	var err error
	c := d.Begin()
	for _, name := range names {
		p, e := c.Package(ctx, name)
		if errors.Is(e, fs.ErrNotExist) {
			continue // its file has gone: nothing to take back
		}
		if err = e; err == nil {
			err = p.undoLines(byPackage[name])
		}
		if err != nil {
			break
		}
	}
	if err == nil {
		err = c.Prepare()
	}
	changed := c.Changed()
	if err == nil {
		err = c.Commit()
	}
	if err != nil {
		return nil, errors.Join(err, c.Rollback(context.WithoutCancel(ctx)))
	}
	return changed, nil
}

// undoLines takes back what the lines of a record say, the last one first. Only
// sections that were removed come back in their order, each before the one that
// followed it; and then all get their order.
func (p *Package) undoLines(lines []string) error {
	last := func(line string) bool { return strings.HasPrefix(line, "removed") || strings.HasPrefix(line, "order") }
	for _, line := range slices.Backward(lines) {
		if !last(line) {
			if err := p.undo(line); err != nil {
				return err
			}
		}
	}
	for _, line := range lines {
		if last(line) {
			if err := p.undo(line); err != nil {
				return err
			}
		}
	}
	return nil
}

// undo takes back what one line of a record says.
func (p *Package) undo(line string) error {
	r := &words{rest: line}
	var act func() error
	switch keyword := r.keyword(); keyword {
	case "section":
		name, typ, now, typNow := r.word(), r.word(), r.word(), r.word()
		act = func() error { return p.undoHead(name, typ, now, typNow) }
	case "option":
		section, name := r.word(), r.word()
		old, now := r.value(name), r.value(name)
		act = func() error { return p.undoOption(section, old, now) }
	case "added":
		s := Section{Name: r.word(), Type: r.word()}
		s.Options = r.options()
		act = func() error { return p.undoAdded(&s) }
	case "removed":
		s, before := Section{Name: r.word(), Type: r.word()}, r.word()
		s.Options = r.options()
		act = func() error { return p.undoRemoved(&s, before) }
	case "order":
		sections := p.ordered(r)
		act = func() error { p.Order(sections...); return nil }
	default:
		r.bad = true
	}
	if r.bad {
		return fmt.Errorf("undo record: %q line", strings.SplitN(line, " ", 2)[0]) // no values: there are secrets
	}
	return act()
}

func (p *Package) undoHead(name, typ, now, typNow string) error {
	s := p.Section(now)
	if s == nil || s.Type != typNow {
		return nil
	}
	switch other := p.Section(name); {
	case name == "": // it had none; it keeps the one it got, which harms nobody
	case other != nil && other != s:
		return nil
	default:
		s.Name, s.Anonymous = name, false
	}
	if s.Type == typ {
		return nil
	}
	return p.Retype(s, typ)
}

func (p *Package) undoOption(section string, old, now *Option) error {
	s := p.Section(section)
	if s == nil || old == nil && now == nil {
		return nil
	}
	name := ""
	for _, o := range []*Option{old, now} {
		if o != nil {
			name = o.Name
		}
	}
	if !equal(s.Option(name), now) {
		return nil
	}
	if old == nil {
		return s.Set(name, "")
	}
	return s.put(name, old.List, old.Values)
}

func (p *Package) undoAdded(was *Section) error {
	s := p.Section(was.Name)
	if s == nil || s.Type != was.Type || len(s.Options) != len(was.Options) {
		return nil
	}
	for _, o := range was.Options {
		if !equal(o, s.Option(o.Name)) {
			return nil
		}
	}
	p.Delete(s)
	return nil
}

// undoRemoved puts a section back. An anonymous one cannot be told from others
// but by all that it holds.
func (p *Package) undoRemoved(was *Section, before string) error {
	for _, s := range p.Sections {
		if s.Type == was.Type && s.Anonymous && was.Name == "" && slices.EqualFunc(s.Options, was.Options, equal) {
			return nil
		}
	}
	if was.Name != "" && p.Section(was.Name) != nil {
		return nil
	}
	s, err := p.Add(was.Type, was.Name)
	if err != nil {
		return err
	}
	for _, o := range was.Options {
		if err := s.put(o.Name, o.List, o.Values); err != nil {
			return err
		}
	}
	if next := p.Section(before); before != "" && next != nil {
		p.Delete(s)
		p.Sections = slices.Insert(p.Sections, slices.Index(p.Sections, next), s)
	}
	return nil
}

// words reads a line of a record.
type words struct {
	rest string
	bad  bool
}

func (r *words) keyword() string {
	word, rest, _ := strings.Cut(strings.TrimSuffix(r.rest, "\n"), " ")
	r.rest = rest
	return word
}

func (r *words) word() string {
	r.rest = strings.TrimLeft(r.rest, " ")
	quoted, err := strconv.QuotedPrefix(r.rest)
	if err != nil {
		r.bad = true
		return ""
	}
	r.rest = r.rest[len(quoted):]
	s, err := strconv.Unquote(quoted)
	r.bad = r.bad || err != nil
	return s
}

func (r *words) value(name string) *Option {
	r.rest = strings.TrimLeft(r.rest, " ")
	kind := r.keyword()
	switch {
	case kind == "-":
		return nil
	case kind == "o":
		return &Option{Name: name, Values: []string{r.word()}}
	case strings.HasPrefix(kind, "l"):
		n, err := strconv.Atoi(kind[1:])
		o := &Option{Name: name, List: true}
		for range n {
			if o.Values = append(o.Values, r.word()); r.bad {
				break
			}
		}
		r.bad = r.bad || err != nil
		return o
	}
	r.bad = true
	return nil
}

func (r *words) options() []*Option {
	var all []*Option
	for strings.TrimSpace(r.rest) != "" && !r.bad {
		if o := r.value(r.word()); o != nil {
			all = append(all, o)
		} else {
			r.bad = true
		}
	}
	return all
}
