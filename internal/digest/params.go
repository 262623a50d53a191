package digest

// The grammar of WWW-Authenticate and Authorization (RFC 7235 2.1), read as
// leniently as the field needs.

import (
	"errors"
	"strings"
)

// Limits on what a peer may send in its authentication headers.
const (
	maxHeader = 16 << 10 // bytes, all headers of one message together
	maxParams = 64       // parameters in one message
)

var errTooLong = errors.New("authentication header is too long")

// A param is one name=value; the name is in lower case, the value unquoted.
type param struct{ name, value string }

// A scheme is one challenge or one set of credentials.
type scheme struct {
	name   string // lower case
	token  string // token68, as Basic credentials have it
	params []param
	broken string // why it cannot be trusted; "" if it can
}

// get returns the first value of a parameter.
func (s *scheme) get(name string) (string, bool) {
	for _, p := range s.params {
		if p.name == name {
			return p.value, true
		}
	}
	return "", false
}

// scanner walks over one header.
type scanner struct {
	s string
	i int
}

// parseSchemes splits one header into its schemes. What it cannot read marks
// the scheme it belongs to as broken; the others stay usable.
func parseSchemes(header string) []scheme {
	var out []scheme
	sc := scanner{s: header}
	for sc.blanks(true); sc.i < len(sc.s); sc.blanks(true) {
		name := sc.token()
		if name == "" { // nothing we know starts like this: skip a byte
			if len(out) > 0 && out[len(out)-1].broken == "" {
				out[len(out)-1].broken = "stray " + quote(sc.s[sc.i:sc.i+1])
			}
			sc.i++
			continue
		}
		if len(out) > 0 && sc.equals() {
			sc.param(&out[len(out)-1], name)
			continue
		}
		if len(out) > 0 && out[len(out)-1].lateQOP(name) {
			continue
		}
		next := scheme{name: strings.ToLower(name)}
		if next.name != "digest" { // "Digest realm=, ..." is no token68
			next.token = sc.token68()
		}
		out = append(out, next)
	}
	return out
}

// lateQOP takes the bare words of an unquoted qop=auth,auth-int, which look
// like the names of schemes.
func (s *scheme) lateQOP(word string) bool {
	if !strings.EqualFold(word, Auth) && !strings.EqualFold(word, AuthInt) || len(s.params) == 0 {
		return false
	}
	last := &s.params[len(s.params)-1]
	if last.name != "qop" {
		return false
	}
	last.value += "," + word
	return true
}

// blanks skips white space, and commas where they only separate.
func (sc *scanner) blanks(commas bool) {
	for sc.i < len(sc.s) {
		switch c := sc.s[sc.i]; {
		case c == ' ' || c == '\t' || c == '\r' || c == '\n':
		case c == ',' && commas:
		default:
			return
		}
		sc.i++
	}
}

// token reads a token (RFC 7230 3.2.6); it is empty where none stands.
func (sc *scanner) token() string {
	start := sc.i
	for sc.i < len(sc.s) && isToken(sc.s[sc.i]) {
		sc.i++
	}
	return sc.s[start:sc.i]
}

// isToken reports whether c is a tchar.
func isToken(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'A' && c <= 'Z' || c >= 'a' && c <= 'z' || strings.IndexByte("!#$%&'*+-.^_`|~", c) >= 0
}

// equals reports whether an equals sign follows, without blanks counted, and
// steps over it.
func (sc *scanner) equals() bool {
	at := sc.i
	sc.blanks(false)
	if sc.i < len(sc.s) && sc.s[sc.i] == '=' {
		sc.i++
		return true
	}
	sc.i = at
	return false
}

// param reads the value of a parameter into s.
func (sc *scanner) param(s *scheme, name string) {
	sc.blanks(false)
	var value string
	if sc.i < len(sc.s) && sc.s[sc.i] == '"' {
		var ok bool
		if value, ok = sc.quoted(); !ok {
			s.broken = "unterminated quoted value of " + name
		}
	} else {
		value = sc.bare()
	}
	if len(s.params) == maxParams {
		s.broken = "too many parameters"
		return
	}
	s.params = append(s.params, param{strings.ToLower(name), value})
}

// quoted reads a quoted-string and undoes its escapes. Without a closing quote
// it takes the rest.
func (sc *scanner) quoted() (string, bool) {
	sc.i++
	start := sc.i
	end := strings.IndexAny(sc.s[start:], `"\`)
	if end >= 0 && sc.s[start+end] == '"' { // the usual case copies nothing
		sc.i = start + end + 1
		return sc.s[start : start+end], true
	}
	var b strings.Builder
	for sc.i < len(sc.s) {
		c := sc.s[sc.i]
		sc.i++
		switch {
		case c == '"':
			return b.String(), true
		case c == '\\' && sc.i < len(sc.s):
			c = sc.s[sc.i]
			sc.i++
		}
		b.WriteByte(c)
	}
	return b.String(), false
}

// bare reads a value that should have been a token. It ends at a comma, or at
// a blank that is followed by another parameter: realm=My ACS, and nonces with
// "=" in them are seen unquoted.
func (sc *scanner) bare() string {
	start := sc.i
	for sc.i < len(sc.s) && sc.s[sc.i] != ',' {
		if c := sc.s[sc.i]; c == ' ' || c == '\t' {
			ahead := scanner{sc.s, sc.i}
			ahead.blanks(false)
			if ahead.token() != "" && ahead.equals() {
				break
			}
		}
		sc.i++
	}
	return strings.Trim(sc.s[start:sc.i], " \t\r\n")
}

// token68 reads the credentials of Basic, which follow the scheme's name with
// nothing but a blank; it is empty where parameters follow instead.
func (sc *scanner) token68() string {
	at := sc.i
	sc.blanks(false)
	start := sc.i
	for sc.i < len(sc.s) && (isToken(sc.s[sc.i]) || sc.s[sc.i] == '/') {
		sc.i++
	}
	body := sc.i
	for sc.i < len(sc.s) && sc.s[sc.i] == '=' {
		sc.i++
	}
	end := sc.i
	sc.blanks(false)
	if start > at && body > start && (sc.i == len(sc.s) || sc.s[sc.i] == ',') {
		return sc.s[start:end]
	}
	sc.i = at
	return ""
}

// quote writes a quoted-string (RFC 7230 3.2.6). Control characters, which no
// header may carry, are left out.
func quote(s string) string {
	var b strings.Builder
	b.WriteByte('"')
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == '"' || c == '\\':
			b.WriteByte('\\')
			b.WriteByte(c)
		case c < ' ' && c != '\t' || c == 0x7f:
		default:
			b.WriteByte(c)
		}
	}
	b.WriteByte('"')
	return b.String()
}
