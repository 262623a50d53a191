package datamodel

// Paths: "Device.IP.Interface.1.Enable", with a number, an [alias] or "*" where
// a template has {i}. A path that ends in a dot is partial: all that is below.

import (
	"fmt"
	"strconv"
	"strings"
)

// Root is the path of the root object.
const Root = "Device."

const (
	maxPath  = 1024 // TR-069 allows names of 256 octets; aliases make them longer
	maxAlias = 64   // characters, TR-069 3.6.1
)

// A seg is one part of a parsed path.
type seg struct {
	name  string // as written: "Interface", "1", "[wan]", "*"
	rest  string // the path from this part on
	alias string // of "[alias]"
	num   uint32 // of a number
	any   bool   // "*"
}

// instance reports whether s can stand where a template has {i}.
func (s *seg) instance() bool { return s.num > 0 || s.any || s.alias != "" }

// A path is the parts after "Device."; partial when it ended in a dot.
type path struct {
	segs    []seg
	partial bool
}

// parsePath parses text. "" is the whole tree. Every error is an ErrNoName.
func parsePath(text string) (path, error) {
	if text == "" || text == Root {
		return path{partial: true}, nil
	}
	if len(text) > maxPath {
		return path{}, badPath(text, "too long")
	}
	rest, ok := strings.CutPrefix(text, Root)
	if !ok {
		return path{}, badPath(text, "outside of "+Root)
	}
	p := path{segs: make([]seg, 0, strings.Count(rest, ".")+1)}
	for rest != "" {
		s, after, err := nextSeg(rest)
		if err != nil {
			return path{}, badPath(text, err.Error())
		}
		p.segs = append(p.segs, s)
		p.partial = len(after) > 0
		rest = strings.TrimPrefix(after, ".")
	}
	return p, nil
}

func badPath(text, why string) error {
	if len(text) > maxPath {
		text = text[:maxPath] + "…"
	}
	return &ParamError{text, fmt.Errorf("%w: %s", ErrNoName, why)}
}

// nextSeg cuts one part off text; after begins with a dot or is empty.
func nextSeg(text string) (s seg, after string, err error) {
	end := strings.IndexByte(text, '.')
	if text[0] == '[' {
		end = strings.IndexByte(text, ']') + 1
		if end == 0 || end < len(text) && text[end] != '.' {
			return s, "", fmt.Errorf("an alias without its bracket")
		}
		if end == len(text) {
			end = -1
		}
	}
	if end < 0 {
		end = len(text)
	}
	s.name, s.rest, after = text[:end], text, text[end:]
	switch {
	case s.name == "*":
		s.any = true
	case s.name == "":
		return s, "", fmt.Errorf("an empty part")
	case s.name[0] == '[':
		s.alias = s.name[1 : end-1]
		if err := checkAlias(s.alias); err != nil {
			return s, "", err
		}
	case s.name[0] >= '0' && s.name[0] <= '9':
		n, err := strconv.ParseUint(s.name, 10, 32)
		if err != nil || n == 0 || s.name[0] == '0' {
			return s, "", fmt.Errorf("%q is no instance number", clip(s.name))
		}
		s.num = uint32(n)
	case !validPart(s.name):
		return s, "", fmt.Errorf("%q is no name", clip(s.name))
	}
	return s, after, nil
}

// checkAlias: 1 to 64 characters, without brackets or control characters.
// TR-069 3.6.1 wants a letter first; we take what the ACS finds good.
func checkAlias(a string) error {
	if a == "" || len(a) > 4*maxAlias {
		return fmt.Errorf("an alias has 1 to %d characters", maxAlias)
	}
	n := 0
	for _, r := range a {
		n++
		if r < ' ' || r == '[' || r == ']' || r == 0x7f || r == 0xfffd {
			return fmt.Errorf("%q cannot be an alias", clip(a))
		}
	}
	if n > maxAlias {
		return fmt.Errorf("an alias has 1 to %d characters", maxAlias)
	}
	return nil
}

// validPart: a name as XML has it, without colons and dots.
func validPart(s string) bool {
	for i := range len(s) {
		c := s[i]
		letter := 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || c == '_'
		if !letter && (i == 0 || c != '-' && (c < '0' || c > '9')) {
			return false
		}
	}
	return s != ""
}

// validName: of a parameter, maybe in a fixed sub-object ("Stats.BytesSent").
func validName(s string) bool {
	for part := range strings.SplitSeq(s, ".") {
		if !validPart(part) {
			return false
		}
	}
	return true
}

// checkTemplate: the path of a declaration.
func checkTemplate(t string) error {
	rest, ok := strings.CutPrefix(t, Root)
	if !ok || t != Root && !strings.HasSuffix(rest, ".") {
		return fmt.Errorf("begins with no %q or ends with no dot", Root)
	}
	table := true // "Device.{i}." is none
	for part := range strings.SplitSeq(strings.TrimSuffix(rest, "."), ".") {
		if rest == "" {
			break
		}
		if part == "{i}" {
			if table {
				return fmt.Errorf("has a misplaced {i}")
			}
			table = true
			continue
		}
		if !validPart(part) {
			return fmt.Errorf("has a part %q", part)
		}
		table = false
	}
	return nil
}
