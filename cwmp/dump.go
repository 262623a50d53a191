package cwmp

// This file shows envelopes to people, without their secrets.

import (
	"bytes"
	"io"
	"strings"
)

// maxDump is what is shown of one envelope.
const maxDump = 64 << 10

func reader(b []byte) io.Reader { return bytes.NewReader(b) }

// dump gives an envelope to Dump, masked.
func (r *run) dump(sent bool, envelope io.Reader) {
	if r.Dump == nil {
		return
	}
	b, err := io.ReadAll(io.LimitReader(envelope, maxDump+1))
	if err != nil {
		return
	}
	more := len(b) > maxDump
	text := mask(string(b[:min(len(b), maxDump)]), r.secretName)
	if more {
		text += "\n… cut here …\n"
	}
	r.Dump(sent, text)
}

// secretName tells parameters whose values nobody should read.
func (r *run) secretName(name string) bool {
	if r.Secret != nil && r.Secret(name) {
		return true
	}
	last := strings.ToLower(name[strings.LastIndexByte(name, '.')+1:])
	for _, word := range []string{"password", "passphrase", "presharedkey", "psk", "wepkey", "secret", "privatekey", "pin"} {
		if strings.Contains(last, word) {
			return true
		}
	}
	return false
}

// mask replaces the content of Password elements, and of the Value that
// follows the Name of a secret parameter (or no Name at all), by "***". It
// reads tags only, so that it also works on envelopes that are not well formed.
func mask(s string, secret func(name string) bool) string {
	var out strings.Builder
	name, named := "", false
	for {
		tag, before, rest := nextTag(s)
		out.WriteString(before)
		if tag == "" {
			out.WriteString(rest)
			return out.String()
		}
		out.WriteString(tag)
		s = rest
		hide := false
		switch local := localName(tag); {
		case strings.HasSuffix(tag, "/>"):
		case local == "Name":
			name, named = strings.TrimSpace(s[:closing(s)]), true
		case local == "Value":
			hide = !named || secret(name)
		case local == "/ParameterValueStruct" || local == "/Value":
			name, named = "", false
		case local == "Password":
			hide = true
		}
		if hide {
			end := closing(s)
			if strings.TrimSpace(s[:end]) != "" {
				out.WriteString("***")
			}
			s = s[end:]
		}
	}
}

// nextTag splits s before and after its next tag; comments and CDATA sections
// count as text.
func nextTag(s string) (tag, before, rest string) {
	from := 0
	for {
		i := strings.IndexByte(s[from:], '<')
		if i < 0 {
			return "", "", s
		}
		i += from
		if end := section(s[i:]); end > 0 {
			from = i + end
			continue
		}
		j := strings.IndexByte(s[i:], '>')
		if j < 0 {
			return "", "", s
		}
		return s[i : i+j+1], s[:i], s[i+j+1:]
	}
}

// section returns the length of the comment or CDATA section that s begins
// with, 0 if it does not.
func section(s string) int {
	for _, pair := range [...][2]string{{"<![CDATA[", "]]>"}, {"<!--", "-->"}} {
		if strings.HasPrefix(s, pair[0]) {
			if i := strings.Index(s, pair[1]); i >= 0 {
				return i + len(pair[1])
			}
			return len(s)
		}
	}
	return 0
}

// closing returns where the next end tag begins.
func closing(s string) int {
	for from := 0; ; {
		i := strings.IndexByte(s[from:], '<')
		if i < 0 {
			return len(s)
		}
		from += i
		if n := section(s[from:]); n > 0 {
			from += n
			continue
		}
		if strings.HasPrefix(s[from:], "</") {
			return from
		}
		from++
	}
}

// localName of "<a:Name x='y'>" is "Name", of "</a:Name>" "/Name".
func localName(tag string) string {
	name := strings.Trim(tag, "<>")
	slash := strings.HasPrefix(name, "/")
	name = strings.TrimPrefix(name, "/")
	if i := strings.IndexAny(name, " \t\r\n/"); i >= 0 {
		name = name[:i]
	}
	name = name[strings.LastIndexByte(name, ':')+1:]
	if slash {
		return "/" + name
	}
	return name
}
