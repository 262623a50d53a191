package datamodel

// Words of our state files: bare where one can read them so, quoted as in Go
// otherwise.

import (
	"errors"
	"strconv"
	"strings"
)

func appendWord(b []byte, s string) []byte {
	if bare(s) {
		return append(b, s...)
	}
	return strconv.AppendQuote(b, s)
}

func bare(s string) bool {
	for i := range len(s) {
		if c := s[i]; c <= ' ' || c > '~' || c == '"' || c == '\\' {
			return false
		}
	}
	return s != ""
}

var errWord = errors.New("a word that is not closed")

// words splits a line.
func words(line string) ([]string, error) {
	var out []string
	for line = strings.TrimLeft(line, " "); line != ""; line = strings.TrimLeft(line, " ") {
		if line[0] == '"' {
			q, err := strconv.QuotedPrefix(line)
			if err != nil {
				return nil, errWord
			}
			s, err := strconv.Unquote(q)
			if err != nil {
				return nil, errWord
			}
			out, line = append(out, s), line[len(q):]
			if line != "" && line[0] != ' ' {
				return nil, errWord
			}
			continue
		}
		w, rest, _ := strings.Cut(line, " ")
		out, line = append(out, w), rest
	}
	return out, nil
}
