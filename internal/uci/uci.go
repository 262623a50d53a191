// Package uci reads and writes OpenWrt's configuration files as libuci does:
// the same files are accepted, the same bytes come out of an export, sections
// without a name get the same generated one. Our own configuration is such a
// file on every system.
package uci

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Package is the content of one configuration file.
type Package struct {
	Name     string
	Sections []*Section
	// Sum stands for the text that it was read from: as long as that is the
	// same, generated names mean the same sections.
	Sum uint64

	counter int // of sections ever made, part of generated names
}

// Section is one "config" with its options.
type Section struct {
	Type string
	// Name is the given name, or for an anonymous section the one libuci makes
	// up (cfg01411c). A generated name changes with the order of the file: good
	// for one look, not for keeping.
	Name      string
	Anonymous bool
	Options   []*Option
	Line      int // of its first appearance in the file, from 1; 0: added since
}

// Option is one "option", or all lines of one "list".
type Option struct {
	Name   string
	List   bool
	Values []string // exactly one unless List
	Line   int      // of the last line that set it, from 1; 0: changed since
}

// Value is the option's value; a list's values separated by spaces, as "uci get"
// prints them.
func (o *Option) Value() string { return strings.Join(o.Values, " ") }

// Section finds a section by its given or generated name, or by position as
// "@type[2]", "@type[-1]" (from the end) or "@[0]" (of any type); nil when there
// is none.
func (p *Package) Section(name string) *Section {
	at, extended := strings.CutPrefix(name, "@")
	if !extended {
		for _, s := range p.Sections {
			if s.Name == name {
				return s
			}
		}
		return nil
	}
	typ, index, ok := strings.Cut(at, "[")
	index, closed := strings.CutSuffix(index, "]")
	n, err := strconv.Atoi(index)
	if !ok || !closed || err != nil {
		return nil
	}
	var found []*Section
	for _, s := range p.Sections {
		if typ == "" || s.Type == typ {
			found = append(found, s)
		}
	}
	if n < 0 {
		n += len(found)
	}
	if n < 0 || n >= len(found) {
		return nil
	}
	return found[n]
}

// Option finds an option by name; nil when the section has none.
func (s *Section) Option(name string) *Option {
	for _, o := range s.Options {
		if o.Name == name {
			return o
		}
	}
	return nil
}

// Get returns an option's value, "" when there is none.
func (s *Section) Get(name string) string {
	if o := s.Option(name); o != nil {
		return o.Value()
	}
	return ""
}

// Export prints the package as "uci export" does; without the header line it is
// what "uci commit" writes into a file.
func (p *Package) Export(header bool) []byte {
	var b []byte
	if header {
		b = append(b, "package "+escape(p.Name)+"\n"...)
	}
	for _, s := range p.Sections {
		b = append(b, "\n"+s.head()+"\n"...)
		for _, o := range s.Options {
			b = o.append(b, "\t", "")
		}
	}
	return append(b, '\n')
}

// head is the line that a section begins with.
func (s *Section) head() string {
	if s.Anonymous {
		return "config " + escape(s.Type)
	}
	return "config " + escape(s.Type) + " '" + escape(s.Name) + "'"
}

// append adds the lines of an option to b, the first of them with a comment.
func (o *Option) append(b []byte, indent, comment string) []byte {
	keyword := "option "
	if o.List {
		keyword = "list "
	}
	for _, v := range o.Values {
		b = append(b, indent+keyword+escape(o.Name)+" '"+escape(v)+"'"+comment+"\n"...)
		comment = ""
	}
	return b
}

func escape(s string) string { return strings.ReplaceAll(s, "'", `'\''`) }

// Add appends a section. Without a name it is anonymous.
func (p *Package) Add(typ, name string) (*Section, error) {
	if !writableType(typ) {
		return nil, fmt.Errorf("uci: bad section type %q", typ)
	}
	if name != "" && !ValidName(name) {
		return nil, fmt.Errorf("uci: bad section name %q", name)
	}
	if name != "" && p.Section(name) != nil {
		return nil, fmt.Errorf("uci: section %q exists", name)
	}
	return p.add(typ, name, 0), nil
}

func (p *Package) add(typ, name string, line int) *Section {
	s := &Section{Type: typ, Name: name, Anonymous: name == "", Line: line}
	p.counter++
	if s.Anonymous {
		s.Name = fmt.Sprintf("cfg%02x%04x", p.counter, djb(typ)&0xffff)
	}
	p.Sections = append(p.Sections, s)
	return s
}

// djb is the hash in generated names. libuci takes bytes as signed chars.
func djb(s string) uint32 {
	h := uint32(5381)
	for _, c := range []byte(s) {
		h = h*33 + uint32(int32(int8(c)))
	}
	return h & 0x7fffffff
}

// Delete removes a section.
func (p *Package) Delete(s *Section) {
	p.Sections = slices.DeleteFunc(p.Sections, func(x *Section) bool { return x == s })
}

// Rename gives a section a name of its own; an anonymous one stops being so.
func (p *Package) Rename(s *Section, name string) error {
	if !ValidName(name) {
		return fmt.Errorf("uci: bad section name %q", name)
	}
	if other := p.Section(name); other != nil && other != s {
		return fmt.Errorf("uci: section %q exists", name)
	}
	s.Name, s.Anonymous = name, false
	return nil
}

// Retype gives a section another type.
func (p *Package) Retype(s *Section, typ string) error {
	if !writableType(typ) {
		return fmt.Errorf("uci: bad section type %q", typ)
	}
	s.Type = typ
	return nil
}

// Set gives an option one value in place; "" deletes the option, as in libuci.
func (s *Section) Set(name, value string) error {
	if value == "" {
		s.Options = slices.DeleteFunc(s.Options, func(o *Option) bool { return o.Name == name })
		return nil
	}
	return s.put(name, false, []string{value})
}

// SetList makes an option a list of the values in place; none deletes the
// option, because a file cannot say "empty list".
func (s *Section) SetList(name string, values ...string) error {
	if len(values) == 0 {
		return s.Set(name, "")
	}
	return s.put(name, true, slices.Clone(values))
}

func (s *Section) put(name string, list bool, values []string) error {
	if !ValidName(name) {
		return fmt.Errorf("uci: bad option name %q", name)
	}
	for _, v := range values {
		if !validText(v) {
			return fmt.Errorf("uci: option %s: control character in value", name)
		}
	}
	o := s.Option(name)
	if o == nil {
		o = &Option{Name: name}
		s.Options = append(s.Options, o)
	} else if o.List == list && slices.Equal(o.Values, values) {
		return nil
	}
	o.List, o.Values, o.Line = list, values, 0
	return nil
}

// ValidName says whether s can name a section or an option: letters, digits and
// '_'.
func ValidName(s string) bool {
	for _, c := range []byte(s) {
		if !isAlnum(c) && c != '_' {
			return false
		}
	}
	return s != ""
}

func validType(s string) bool {
	for _, c := range []byte(s) {
		if c < 33 || c > 126 {
			return false
		}
	}
	return s != ""
}

// writableType says whether what Export prints of a type is read as that type.
func writableType(s string) bool { return validType(s) && !strings.ContainsAny(s, `'"\;#`) }

// validText says whether a value can be written so that every reader gets it
// back: no control characters but tab, newline and carriage return.
func validText(s string) bool {
	for _, c := range []byte(s) {
		if c < ' ' && c != '\t' && c != '\n' && c != '\r' {
			return false
		}
	}
	return true
}

func isAlnum(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z'
}
