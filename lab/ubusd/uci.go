package ubusd

// UCI as far as the lab's daemons need it: files that a libuci has written.
// Nothing here is the agent's.

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

type section struct {
	typ, name string
	options   map[string][]string
}

func (s section) get(option string) string {
	if v := s.options[option]; len(v) > 0 {
		return v[len(v)-1]
	}
	return ""
}

// off says whether a flag says no.
func off(s string) bool {
	return s == "0" || s == "off" || s == "false" || s == "no" || s == "disabled"
}

// on says whether a flag says yes.
func on(s string) bool { return s != "" && !off(s) }

// load reads a package; one that is not there is empty.
func load(root, pkg string) (all []section) {
	text, err := os.ReadFile(filepath.Join(root, "etc/config", pkg))
	if err != nil {
		return nil
	}
	for _, words := range commands(string(text)) {
		switch {
		case words[0] == "config" && len(words) > 1:
			s := section{typ: words[1], options: map[string][]string{}}
			if len(words) > 2 {
				s.name = words[2]
			} else { // libuci names it before it has read what is in it
				s.name = fmt.Sprintf("cfg%02x%04x", len(all)+1, djb(5381, words[1])%(1<<16))
			}
			all = append(all, s)
		case len(words) < 3 || len(all) == 0:
		case words[0] == "option":
			all[len(all)-1].options[words[1]] = []string{words[2]}
		case words[0] == "list":
			o := all[len(all)-1].options
			o[words[1]] = append(o[words[1]], words[2])
		}
	}
	return all
}

// djb is the hash that libuci names anonymous sections by.
func djb(h uint32, s string) uint32 {
	for i := range len(s) {
		h = h<<5 + h + uint32(s[i])
	}
	return h & 0x7fffffff
}

// commands splits a file into the words of its commands.
func commands(text string) (all [][]string) {
	var words []string
	var word strings.Builder
	quote, open := byte(0), false
	end := func(command bool) {
		if open {
			words, open = append(words, word.String()), false
			word.Reset()
		}
		if command && len(words) > 0 {
			all, words = append(all, words), nil
		}
	}
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case quote == '\'' && c != '\'', quote == '"' && c != '"' && c != '\\':
			word.WriteByte(c)
		case quote != 0 && c == quote:
			quote = 0
		case c == '\\' && i+1 < len(text):
			i++
			word.WriteByte(text[i])
			open = true
		case c == '\'' || c == '"':
			quote, open = c, true
		case c == '#':
			for i+1 < len(text) && text[i+1] != '\n' {
				i++
			}
		case c == '\n' || c == ';':
			end(true)
		case c == ' ' || c == '\t' || c == '\r':
			end(false)
		default:
			word.WriteByte(c)
			open = true
		}
	}
	end(true)
	return all
}
