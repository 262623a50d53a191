package uci

// The parser. Where libuci's grammar is odd the parser is odd in the same way,
// because a file means what libuci reads in it: each oddity has its comment.

import (
	"bytes"
	"fmt"
	"hash/fnv"
	"strings"
)

// MaxSize is the largest file in bytes that is read.
const MaxSize = 1 << 20

// ParseError is a mistake in a file, at a line counted from 1.
type ParseError struct {
	File   string
	Line   int
	Reason string
}

// Error prints it as editors like it: file:line: reason.
func (e *ParseError) Error() string { return fmt.Sprintf("%s:%d: %s", e.File, e.Line, e.Reason) }

// Parse reads the text of a file. The package gets the given name; a "package"
// line in the text is checked and ignored, as libuci does when it loads a file.
// Errors are *ParseError and name the package as the file.
func Parse(name string, text []byte) (*Package, error) {
	return parse(name, name, text, nil)
}

type optionKey struct {
	section *Section
	name    string
}

type parser struct {
	file string
	size int    // of the text
	rest []byte // lines not looked at yet
	line int    // number of the last line in buf
	from int    // number of the first line in buf
	buf  []byte // the line at hand, with those that continue it
	pos  int

	pkg      *Package
	section  *Section
	sections map[string]*Section
	options  map[optionKey]*Option

	source  *source // what is noted down for an edit in place; nil: nothing
	comment int     // where the comment in the lines at hand begins; -1: none
}

// parse notes down in src, unless it is nil, which lines say what.
func parse(file, name string, text []byte, src *source) (*Package, error) {
	p := &parser{
		file: file, size: len(text), rest: text, pkg: &Package{Name: name},
		sections: map[string]*Section{}, options: map[optionKey]*Option{}, source: src,
	}
	if len(text) > MaxSize {
		return nil, p.errorf(1, "file is larger than %d bytes", MaxSize)
	}
	if i := bytes.IndexByte(text, 0); i >= 0 {
		return nil, p.errorf(1+bytes.Count(text[:i], []byte("\n")), "NUL byte: this is not a text file")
	}
	for len(p.rest) > 0 {
		start := len(text) - len(p.rest)
		p.buf, p.pos, p.comment = nil, 0, -1
		p.more()
		p.from = p.line
		if err := p.commands(); err != nil {
			return nil, err
		}
		if src != nil {
			src.endOfLines(start, len(text)-len(p.rest), p.comment)
		}
	}
	if src != nil {
		src.text = text
	}
	h := fnv.New64a()
	h.Write(text)
	p.pkg.Sum = h.Sum64()
	return p.pkg, nil
}

func (p *parser) errorf(line int, format string, args ...any) error {
	return &ParseError{p.file, line, fmt.Sprintf(format, args...)}
}

// more puts the next line of the file at the current position, over what is
// left of the line at hand; false at the end of the file.
func (p *parser) more() bool {
	if len(p.rest) == 0 {
		p.buf = p.buf[:p.pos]
		return false
	}
	end := bytes.IndexByte(p.rest, '\n') + 1
	if end == 0 {
		end = len(p.rest)
	}
	p.buf = append(p.buf[:p.pos], p.rest[:end]...)
	p.rest = p.rest[end:]
	p.line++
	return true
}

// cur is the current byte, 0 at the end of the line at hand.
func (p *parser) cur() byte {
	if p.pos < len(p.buf) {
		return p.buf[p.pos]
	}
	return 0
}

// offset is where in the text the current byte stands: what follows it in buf
// is as it is in the text.
func (p *parser) offset() int { return p.size - len(p.rest) - (len(p.buf) - p.pos) }

// note says what the command at hand means.
func (p *parser) note(s statement) {
	if p.source != nil {
		p.source.statements[len(p.source.statements)-1] = s
	}
}

func isSpace(c byte) bool { return c == ' ' || '\t' <= c && c <= '\r' }

func (p *parser) skipSpace() {
	for isSpace(p.cur()) {
		p.pos++
	}
}

// commands reads the commands of one line; ';' separates them.
func (p *parser) commands() error {
	p.skipSpace()
	for {
		// A keyword ends at a blank or tab and nowhere else: neither quotes nor
		// ';' nor the newline end it, so "config" alone on a line is a mistake,
		// and so is a ';' at the end of one.
		for p.cur() == ' ' || p.cur() == '\t' {
			p.pos++
		}
		keyword := string(p.buf[p.pos:])
		if keyword == "" || keyword[0] == '#' {
			return nil
		}
		at := p.line
		end := strings.IndexAny(keyword, " \t")
		if end >= 0 {
			keyword = keyword[:end]
		}
		command := p.command(strings.TrimRight(keyword, "\r\n"))
		if command == nil {
			return p.errorf(at, "%q is not package, config, option or list", strings.TrimSpace(keyword))
		}
		if end < 0 {
			return p.errorf(at, "%s without anything after it", strings.TrimSpace(keyword))
		}
		p.pos += end + 1
		if p.source != nil {
			p.source.statements = append(p.source.statements, statement{})
		}
		if err := command(at); err != nil {
			return err
		}
	}
}

func (p *parser) command(keyword string) func(line int) error {
	switch keyword {
	case "package", "p":
		return p.packageLine
	case "config", "c":
		return p.configLine
	case "option", "o":
		return p.optionLine
	case "list", "l":
		return p.listLine
	}
	return nil
}

func (p *parser) packageLine(line int) error {
	name, err := p.argument()
	if err != nil {
		return err
	}
	if !ValidName(strings.ReplaceAll(name, "-", "_")) {
		return p.errorf(line, "bad package name %q", name)
	}
	return p.endOfCommand()
}

func (p *parser) configLine(line int) error {
	typ, err := p.argument()
	if err != nil {
		return err
	}
	if !validType(typ) {
		return p.errorf(line, "bad section type %q", typ)
	}
	name, err := p.argument()
	if err != nil {
		return err
	}
	if name != "" && !ValidName(name) {
		return p.errorf(line, "bad section name %q: letters, digits and _ only", name)
	}
	if err := p.endOfCommand(); err != nil {
		return err
	}
	if s := p.sections[name]; s != nil && name != "" {
		// The same section again: its options are merged.
		if s.Type != typ {
			return p.errorf(line, "section %q is a %q already, in line %d", name, s.Type, s.Line)
		}
		p.section = s
		p.note(statement{section: s, typ: typ, name: name})
		return nil
	}
	p.section = p.pkg.add(typ, name, line)
	p.note(statement{section: p.section, typ: typ, name: name})
	// A generated name can be addressed like a given one.
	if p.sections[p.section.Name] == nil {
		p.sections[p.section.Name] = p.section
	}
	return nil
}

func (p *parser) optionLine(line int) error { return p.setting(line, false) }

func (p *parser) listLine(line int) error { return p.setting(line, true) }

func (p *parser) setting(line int, list bool) error {
	if p.section == nil {
		return p.errorf(line, "option before the first section")
	}
	name, err := p.argument()
	if err != nil {
		return err
	}
	if !ValidName(name) {
		return p.errorf(line, "bad option name %q: letters, digits and _ only", name)
	}
	value, err := p.argument()
	if err != nil {
		return err
	}
	if err := p.endOfCommand(); err != nil {
		return err
	}
	key := optionKey{p.section, name}
	o := p.options[key]
	if value == "" && !list {
		return nil // neither stored nor does it delete
	}
	if o == nil {
		o = &Option{Name: name}
		p.options[key] = o
		p.section.Options = append(p.section.Options, o)
	}
	o.Line = line
	p.note(statement{section: p.section, option: o})
	if list {
		o.List, o.Values = true, append(o.Values, value) // an option before it becomes the first value
	} else {
		o.List, o.Values = false, []string{value}
	}
	return nil
}

// endOfCommand refuses a further argument. An empty one (”) is let through,
// and a command may follow it without ';'.
func (p *parser) endOfCommand() error {
	line := p.line
	extra, err := p.argument()
	if err == nil && extra != "" {
		err = p.errorf(line, "%q is too much here", extra)
	}
	return err
}

// argument reads the next argument of a command; "" when there is none.
func (p *parser) argument() (string, error) {
	p.skipSpace()
	if p.cur() == ';' {
		p.pos++
		return "", nil
	}
	return p.word()
}

// word reads pieces, quoted or not, up to the next white space outside quotes.
func (p *parser) word() (string, error) {
	var out []byte
	start := p.pos
	for {
		switch c := p.cur(); c {
		case 0:
			return string(out), nil
		case '#': // a comment begins even inside a word
			p.comment = p.offset()
			p.buf = p.buf[:p.pos]
			return string(out), nil
		case ';':
			// libuci ends the word by a NUL where it stands. If nothing was dropped
			// from it (no quote, no backslash), that is over the ';', and the rest
			// of the line is lost.
			if len(out) == p.pos-start {
				p.buf = p.buf[:p.pos]
			}
			return string(out), nil
		case '\'':
			piece, err := p.singleQuoted()
			if err != nil {
				return "", err
			}
			out = append(out, piece...)
		case '"':
			piece, err := p.doubleQuoted()
			if err != nil {
				return "", err
			}
			out = append(out, piece...)
		case '\\':
			if p.backslash() {
				out = append(out, p.cur())
				p.pos++
			}
		default:
			out = append(out, c)
			p.pos++
		}
		if c := p.cur(); c == 0 {
			return string(out), nil
		} else if isSpace(c) {
			p.pos++
			return string(out), nil
		}
	}
}

// backslash steps over a backslash and says whether it escapes a byte. At the
// end of a line it joins the next one instead.
func (p *parser) backslash() bool {
	p.pos++
	left := p.buf[p.pos:]
	if len(left) > 0 && left[0] != '\n' && string(left) != "\r\n" {
		return true
	}
	p.more()
	return false
}

func (p *parser) singleQuoted() ([]byte, error) {
	line := p.line
	p.pos++
	var out []byte
	for {
		c := p.cur()
		switch {
		case c == '\'':
			p.pos++
			return out, nil
		case c == 0:
			if !p.more() {
				return nil, p.errorf(line, "no closing ' for the one here")
			}
		default:
			out = append(out, c)
			p.pos++
		}
	}
}

func (p *parser) doubleQuoted() ([]byte, error) {
	line := p.line
	p.pos++
	var out []byte
	for {
		c := p.cur()
		switch {
		case c == '"':
			p.pos++
			return out, nil
		case c == 0:
			if !p.more() {
				return nil, p.errorf(line, "no closing \" for the one here")
			}
		case c == '\\' && !p.backslash():
		default:
			out = append(out, p.cur())
			p.pos++
		}
	}
}
