package store

// A line format for state files that one can cat: one record a line, fields
// separated by tabs, whatever would break that escaped.

import (
	"errors"
	"fmt"
	"iter"
	"strconv"
	"strings"
)

// AppendLine appends one record. Backslashes, newlines, tabs and other control
// characters in fields are escaped; everything else, UTF-8 included, stays
// readable. A record of one empty field cannot be told from a blank line and is
// not read back.
func AppendLine(b []byte, fields ...string) []byte {
	for i, field := range fields {
		if i > 0 {
			b = append(b, '\t')
		}
		for _, c := range []byte(field) {
			switch {
			case c == '\\':
				b = append(b, `\\`...)
			case c == '\n':
				b = append(b, `\n`...)
			case c == '\t':
				b = append(b, `\t`...)
			case c == '\r':
				b = append(b, `\r`...)
			case c < ' ' || c == 0x7f:
				b = fmt.Appendf(b, `\x%02x`, c)
			default:
				b = append(b, c)
			}
		}
	}
	return append(b, '\n')
}

// Lines yields the records of a body in order, skipping blank lines. A line
// that AppendLine cannot have written yields an error with its number, and the
// walk goes on if the caller wants.
func Lines(body []byte) iter.Seq2[[]string, error] {
	return func(yield func([]string, error) bool) {
		n := 0
		for line := range strings.Lines(string(body)) {
			n++
			line = strings.TrimSuffix(line, "\n")
			if line == "" {
				continue
			}
			fields := strings.Split(line, "\t")
			var err error
			for i, field := range fields {
				if fields[i], err = unescape(field); err != nil {
					break
				}
			}
			if err != nil {
				fields, err = nil, fmt.Errorf("line %d: %w", n, err)
			}
			if !yield(fields, err) {
				return
			}
		}
	}
}

func unescape(s string) (string, error) {
	if !strings.Contains(s, `\`) {
		return s, nil
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] != '\\' {
			b.WriteByte(s[i])
			continue
		}
		i++
		if i == len(s) {
			return "", errors.New("backslash at the end of a field")
		}
		switch s[i] {
		case '\\':
			b.WriteByte('\\')
		case 'n':
			b.WriteByte('\n')
		case 't':
			b.WriteByte('\t')
		case 'r':
			b.WriteByte('\r')
		case 'x':
			if i+2 >= len(s) {
				return "", errors.New("short escape")
			}
			c, err := strconv.ParseUint(s[i+1:i+3], 16, 8)
			if err != nil {
				return "", fmt.Errorf("bad escape \\x%s", s[i+1:i+3])
			}
			b.WriteByte(byte(c))
			i += 2
		default:
			return "", fmt.Errorf("bad escape \\%c", s[i])
		}
	}
	return b.String(), nil
}
