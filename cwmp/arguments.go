package cwmp

// This file reads the arguments of a method one by one. The first thing that
// is wrong is kept, with the name of the element, and becomes fault 9003.
//
// Elements are found by local name and in any order; element names inside
// arrays and their arrayType counts are not looked at, for servers differ.

import (
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/beevik/etree"
)

// maxURL is what we take for a URL, more than the 256 of TR-069 A.3.2.8.
const maxURL = 2048

// args reads from one element.
type args struct {
	e    *etree.Element
	path string // "" or "ParameterList[3]."
	err  *Fault // the first thing wrong
}

func (a *args) fail(name, format string, v ...any) {
	if a.err == nil {
		a.err = Faultf(FaultInvalidArguments, "%s%s %s", a.path, name, fmt.Sprintf(format, v...))
	}
}

// find returns the one element of that name; nil when it is missing.
func (a *args) find(name string) *etree.Element {
	var found *etree.Element
	for _, t := range a.e.Child {
		c, ok := t.(*etree.Element)
		if !ok || c.Tag != name {
			continue
		}
		if found != nil {
			a.fail(name, "is there twice")
			return nil
		}
		found = c
	}
	return found
}

// simple returns the text of an element that must not hold others.
func (a *args) simple(name string, e *etree.Element) string {
	for _, t := range e.Child {
		if _, ok := t.(*etree.Element); ok {
			a.fail(name, "holds elements where a text is expected")
			return ""
		}
	}
	return text(e)
}

// optional returns a text as it is, "" when the element is missing. Longer than
// limit characters is wrong.
func (a *args) optional(name string, limit int) string {
	e := a.find(name)
	if e == nil {
		return ""
	}
	s := a.simple(name, e)
	if utf8.RuneCountInString(s) > limit {
		a.fail(name, "is longer than %d characters", limit)
		return ""
	}
	return s
}

// text is optional for an element that must be there.
func (a *args) text(name string, limit int) string {
	if a.find(name) == nil {
		a.fail(name, "is missing")
		return ""
	}
	return a.optional(name, limit)
}

// word is text without the white space around it: names, types, URLs.
func (a *args) word(name string, limit int) string {
	return strings.TrimSpace(a.text(name, limit+64))
}

// uint reads an unsignedInt; when it is missing it is 0, or wrong if required.
func (a *args) uint(name string, required bool) uint32 {
	s := strings.TrimSpace(a.optional(name, 64))
	if s == "" && !required {
		return 0
	}
	return uint32(a.number(name, s, 0, 1<<32-1))
}

// int reads a required int between two limits.
func (a *args) int(name string, low, high int64) int64 {
	return a.number(name, strings.TrimSpace(a.text(name, 64)), low, high)
}

func (a *args) number(name, s string, low, high int64) int64 {
	if a.err != nil {
		return 0
	}
	n, err := strconv.ParseInt(s, 10, 64)
	switch {
	case s == "" && a.find(name) == nil:
		a.fail(name, "is missing")
	case err != nil:
		a.fail(name, "is not a number: %.40q", s)
	case n < low || n > high:
		a.fail(name, "is %d, not %d to %d", n, low, high)
	default:
		return n
	}
	return 0
}

// bool reads a required boolean.
func (a *args) bool(name string) bool {
	s := a.text(name, 64)
	v, ok := parseBool(s)
	if !ok {
		a.fail(name, "is not a boolean: %.40q", s)
	}
	return v
}

// array returns the elements of a required array.
func (a *args) array(name string) []*etree.Element {
	e := a.find(name)
	if e == nil {
		a.fail(name, "is missing")
		return nil
	}
	return e.ChildElements()
}

// words reads a required array of names, each trimmed.
func (a *args) words(name string) []string {
	list := a.array(name)
	out := make([]string, 0, len(list))
	for _, e := range list {
		out = append(out, strings.TrimSpace(a.simple(name, e)))
	}
	return out
}

// each reads the structs of a required array; f must not keep its args.
func (a *args) each(name string, f func(*args)) {
	for i, e := range a.array(name) {
		in := &args{e: e, path: fmt.Sprintf("%s%s[%d].", a.path, name, i+1)}
		if f(in); in.err != nil {
			if a.err == nil {
				a.err = in.err
			}
			return
		}
	}
}

// xsiType returns the type that an element names, with the usual prefix when
// it is of XML Schema (or of SOAP's encoding, where the simple types are the
// same), else as sent.
func xsiType(e *etree.Element) string {
	for i := range e.Attr {
		at := &e.Attr[i]
		if at.Key != "type" || at.NamespaceURI() != nsInstance {
			continue
		}
		v := strings.TrimSpace(at.Value)
		prefix, local, ok := strings.Cut(v, ":")
		if !ok {
			prefix, local = "", v
		}
		switch lookup(e, prefix) {
		case nsSchema, nsEncoding:
			return "xsd:" + local
		}
		return v
	}
	return ""
}

// lookup resolves a prefix ("" for the default) as seen from e.
func lookup(e *etree.Element, prefix string) string {
	for ; e != nil; e = e.Parent() {
		for _, a := range e.Attr {
			if prefix == "" && a.Space == "" && a.Key == "xmlns" || prefix != "" && a.Space == "xmlns" && a.Key == prefix {
				return a.Value
			}
		}
	}
	return ""
}
