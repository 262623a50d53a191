package uci

import (
	"errors"
	"slices"
	"strings"
	"testing"
)

// Names that every OpenWrt user has seen in "uci show".
func TestGeneratedNames(t *testing.T) {
	for _, c := range []struct{ in, want string }{
		{"config dnsmasq", "cfg01411c"},
		{"config system", "cfg01e48a"},
		{"config defaults\nconfig zone\nconfig zone", "cfg01e63d cfg02dc81 cfg03dc81"},
		{"config wifi-device radio0\nconfig wifi-device radio1\nconfig wifi-iface", "radio0 radio1 cfg033579"},
		{"config a x\nconfig a x\nconfig dnsmasq\n", "x cfg02411c"}, // a merged section is not counted
	} {
		p, err := Parse("t", []byte(c.in))
		if err != nil {
			t.Fatal(err)
		}
		var names []string
		for _, s := range p.Sections {
			names = append(names, s.Name)
		}
		if got := strings.Join(names, " "); got != c.want {
			t.Errorf("%q: %s, want %s", c.in, got, c.want)
		}
	}
}

func TestParseErrors(t *testing.T) {
	for _, c := range []struct{ in, want string }{
		{"config acs 'acs'\n\n\toption\n", `t:3: option without anything`},
		{"config acs 'acs'\n\toptoin url 'x'\n", `t:2: "optoin" is not package, config, option or list`},
		{"# c\n\noption url 'x'\n", "t:3: option before the first section"},
		{"config acs a-b\n", `t:1: bad section name "a-b"`},
		{"config acs\n option a.b c\n", `t:2: bad option name "a.b"`},
		{"config acs\n option a b c\n", `t:2: "c" is too much here`},
		{"config 'a b'\n", `t:1: bad section type "a b"`},
		{"config ''\n", `t:1: bad section type ""`},
		{"config acs x\n\nconfig cpe x\n", `t:3: section "x" is a "acs" already, in line 1`},
		{"config acs\n option a 'b\n\n\n", "t:2: no closing '"},
		{"config acs\n option a \"b\n\n\n", `t:2: no closing "`},
		{"config acs\n option a 'b\nc' d\n", `t:3: "d" is too much`},
		{"config a\n\x00", "t:2: NUL"},
		{"package 'a b'\n", "t:1: bad package name"},
		{strings.Repeat("#", MaxSize+1), "t:1: file is larger"},
		{"config a;\n", ""}, // an unquoted word eats the rest of the line
		{"config a ; option b c\n", "t:1: \"option\" is too much"},
		{"config a b ;\n", `t:1: "" is not package`}, // nothing may follow, not even the newline
	} {
		p, err := Parse("t", []byte(c.in))
		var pe *ParseError
		switch {
		case c.want == "" && err != nil:
			t.Errorf("%q: %v", c.in, err)
		case c.want != "" && (!errors.As(err, &pe) || !strings.HasPrefix(err.Error(), c.want)):
			t.Errorf("%.50q: %v, want %s (%v)", c.in, err, c.want, p)
		}
	}
}

// Where the grammar surprises; each of these follows libuci's parser.
func TestGrammar(t *testing.T) {
	for _, c := range []struct{ name, in, want string }{
		{"commands on one line", "config a 'x';option b 'c';list d 'e'", "config a 'x'|option b 'c'|list d 'e'"},
		{"an unquoted word before ; eats the line", "config a x;option b c", "config a 'x'"},
		{"comment inside a word", "config a x\noption b c#d e\n", "config a 'x'|option b 'c'"},
		{"hash in quotes", "config a x\noption b 'c#d'\n", "config a 'x'|option b 'c#d'"},
		{"pieces join", "config a x\noption b c'd e'\"f\"g\\ h\n", "config a 'x'|option b 'cd efg h'"},
		{"backslash joins lines", "config a x\noption b c\\\nd\n", "config a 'x'|option b 'cd'"},
		{"also with CR LF", "config a x\r\noption b c\\\r\nd\r\n", "config a 'x'|option b 'cd'"},
		{"double quotes join lines", "config a x\noption b \"c\\\nd\"\n", "config a 'x'|option b 'cd'"},
		{"double quotes keep newlines", "config a x\noption b \"c\nd\"\n", "config a 'x'|option b 'c\nd'"},
		{"single quotes keep backslashes", `config a x` + "\noption b 'c\\d'\n", `config a 'x'|option b 'c\d'`},
		{"backslash drops itself", "config a x\noption b \"c\\d\"\n", "config a 'x'|option b 'cd'"},
		{"empty option is ignored", "config a x\noption b 'c'\noption b ''\noption d\n", "config a 'x'|option b 'c'"},
		{"empty list item counts", "config a x\nlist b ''\n", "config a 'x'|list b ''"},
		{"list after option", "config a x\noption b 'c'\nlist b 'd'\n", "config a 'x'|list b 'c'|list b 'd'"},
		{"option after list", "config a x\nlist b 'c'\nlist b 'd'\noption b 'e'\n", "config a 'x'|option b 'e'"},
		{"sections merge", "config a x\noption b '1'\nconfig c y\nconfig a x\noption b '2'\noption d '3'\n",
			"config a 'x'|option b '2'|option d '3'||config c 'y'"},
		{"an empty argument too many", "config a x ''\noption b c ''\n", "config a 'x'|option b 'c'"},
		{"quotes in a value", "config a x\noption b 'it'\\''s'\n", `config a 'x'|option b 'it'\''s'`},
	} {
		t.Run(c.name, func(t *testing.T) {
			p, err := Parse("t", []byte(c.in))
			if err != nil {
				t.Fatal(err)
			}
			got := strings.Trim(strings.ReplaceAll(strings.ReplaceAll(string(p.Export(false)), "\n\t", "|"), "\n\n", "||"), "\n|")
			if got != c.want {
				t.Errorf("%q, want %q", got, c.want)
			}
		})
	}
}

// A generated name can be written like a given one and means the same section.
func TestGeneratedNameIsAName(t *testing.T) {
	p, err := Parse("t", []byte("config dnsmasq\nconfig dnsmasq cfg01411c\noption d e\n"))
	if err != nil {
		t.Fatal(err)
	}
	if len(p.Sections) != 1 || p.Sections[0].Get("d") != "e" || !p.Sections[0].Anonymous {
		t.Errorf("%s", p.Export(false))
	}
}

func TestLookUp(t *testing.T) {
	p, err := Parse("t", []byte("config rule\n option n 1\nconfig zone z\n\nconfig rule\n option n 2\n list l a\n list l b\n"))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ name, want string }{
		{"@rule[0]", "1"}, {"@rule[1]", "2"}, {"@rule[-1]", "2"}, {"@rule[-2]", "1"}, {"@[2]", "2"}, {"@[-3]", "1"},
		{p.Sections[2].Name, "2"}, {"z", ""},
	} {
		if s := p.Section(c.name); s == nil || s.Get("n") != c.want {
			t.Errorf("%s: %v, want %s", c.name, s, c.want)
		}
	}
	for _, name := range []string{"", "nope", "@rule[2]", "@rule[-3]", "@rule", "@rule[", "@rule[x]", "@rule[0]x", "@"} {
		if s := p.Section(name); s != nil {
			t.Errorf("%q finds %v", name, s)
		}
	}
	if s := p.Section("@rule[1]"); s.Get("l") != "a b" || s.Line != 5 || s.Option("l").Line != 8 || s.Option("n").Line != 6 {
		t.Errorf("%+v", s)
	}
}

func TestEditing(t *testing.T) {
	p := &Package{Name: "t"}
	acs, err := p.Add("acs", "acs")
	if err != nil {
		t.Fatal(err)
	}
	anon, err := p.Add("rule", "")
	if err != nil || !anon.Anonymous || anon.Name == "" {
		t.Fatal(anon, err)
	}
	gone, _ := p.Add("gone", "gone")
	p.Delete(gone)
	if err := errors.Join(acs.Set("url", "it's"), acs.Set("x", "1"), acs.SetList("l", "a", "b"), acs.Set("x", ""),
		acs.SetList("none"), acs.Set("url", "it's"), p.Rename(anon, "mine")); err != nil {
		t.Fatal(err)
	}
	want := "\nconfig acs 'acs'\n\toption url 'it'\\''s'\n\tlist l 'a'\n\tlist l 'b'\n\nconfig rule 'mine'\n\n"
	if got := string(p.Export(false)); got != want {
		t.Errorf("%q", got)
	}
	for name, err := range map[string]error{
		"option name": acs.Set("a-b", "x"),
		"value":       acs.Set("a", "x\x01"),
		"rename":      p.Rename(anon, "acs"),
		"bad rename":  p.Rename(anon, "a b"),
		"same name":   second(p.Add("acs", "acs")),
		"bad name":    second(p.Add("acs", "a-b")),
		"bad type":    second(p.Add("a'b", "")),
	} {
		if err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	if got := string(p.Export(false)); got != want {
		t.Errorf("a refused change changed something: %q", got)
	}
}

func second(_ *Section, err error) error { return err }

// Whatever is read can be written, and reads the same again.
func FuzzParse(f *testing.F) {
	f.Add("config a 'b'\n\toption c 'd'\n\tlist e \"f\"\n")
	f.Add("config a;option b c\\\n# x\n")
	f.Fuzz(func(t *testing.T, text string) {
		p, err := Parse("t", []byte(text))
		if err != nil {
			var pe *ParseError
			if !errors.As(err, &pe) || pe.Line < 1 || pe.Line > 1+strings.Count(text, "\n") {
				t.Errorf("%v", err)
			}
			return
		}
		for _, s := range p.Sections {
			if strings.ContainsAny(s.Type, `'"\;#`) {
				return // cannot be written, and Edit says so
			}
		}
		out := p.Export(true)
		again, err := Parse("t", out)
		if err != nil || string(again.Export(true)) != string(out) {
			t.Errorf("%q\nwrites %q\nreads %v", text, out, err)
		}
	})
}

// An edit of whatever is read reads as it was meant, and touches no comment of a
// file whose lines say one thing each.
func FuzzEdit(f *testing.F) {
	f.Add("# c\nconfig a 'b' # d\n\toption c 'd' # e\n\tlist e \"f\"\n", uint8(0), uint8(0), "v'")
	f.Add("config a;option b c\\\n# x\n", uint8(1), uint8(1), "")
	f.Add("config a\nconfig a\n\n", uint8(4), uint8(1), "\xff")
	f.Add("config a x\nconfig b y\nconfig a x\n\toption c d\n", uint8(5), uint8(0), "n")
	f.Fuzz(func(t *testing.T, text string, op, at uint8, value string) {
		file := &file{path: "t"}
		var err error
		if file.pkg, err = parse("t", "t", []byte(text), &file.src); err != nil || len(file.pkg.Sections) == 0 {
			return
		}
		p := file.pkg
		s := p.Sections[int(at)%len(p.Sections)]
		name := "n"
		if len(s.Options) > 0 {
			name = s.Options[int(op/8)%len(s.Options)].Name
		}
		switch op % 8 {
		case 0:
			err = s.Set(name, value)
		case 1:
			err = s.SetList(name, value, "x", value)
		case 2:
			err = s.Set("added", value)
		case 3:
			p.Delete(s)
		case 4:
			s, err = p.Add("t", "")
			if err == nil {
				err = s.Set("o", value)
			}
		case 5:
			err = p.Rename(s, value)
		case 6:
			err = p.Retype(s, value)
		case 7:
			err = s.Set(name, "")
		}
		if err != nil {
			return // refused
		}
		if err := file.render(); err != nil {
			if odd := slices.ContainsFunc(p.Sections, func(s *Section) bool { return !writableType(s.Type) }); !odd {
				var pe *ParseError
				if !errors.As(err, &pe) { // another section has that name, with another type
					t.Errorf("%q: %v", text, err)
				}
			}
			return
		}
		if file.text == nil {
			return // nothing changed
		}
		again, err := Parse("t", file.text)
		if err != nil || !same(again, p) {
			t.Errorf("%q\nwrites %q\nreads %v", text, file.text, err)
		}
	})
}
