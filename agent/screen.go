package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"unicode/utf8"

	"golang.org/x/sys/unix"
)

// A screen is where a command prints: columns and colour for a person on a
// terminal, plain text in a pipe, JSON when asked. What cannot be written
// shows in the error of flush.
type screen struct {
	out   *bufio.Writer
	json  bool
	color bool
	width int // columns of the terminal, 0 in a pipe
}

func newScreen(out *os.File, asJSON bool) *screen {
	s := &screen{out: bufio.NewWriter(out), json: asJSON}
	if ws, err := unix.IoctlGetWinsize(int(out.Fd()), unix.TIOCGWINSZ); err == nil && !asJSON {
		s.width = max(int(ws.Col), 1) // some terminals do not know
		s.color = os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb"
	}
	return s
}

func (s *screen) flush() error { return s.out.Flush() }

// The few colours that have a meaning here.
const (
	faint  = "2"
	red    = "31"
	green  = "32"
	yellow = "33"
	cyan   = "36"
)

func (s *screen) paint(code, text string) string {
	if !s.color || text == "" {
		return text
	}
	return "\x1b[" + code + "m" + text + "\x1b[0m"
}

// object prints v as one line of JSON.
func (s *screen) object(v any) error {
	enc := json.NewEncoder(s.out)
	enc.SetEscapeHTML(false)
	return enc.Encode(v)
}

// say prints one line of text.
func (s *screen) say(text string) { fmt.Fprintln(s.out, text) }

// table prints rows in columns that are as wide as their widest cell. The
// last column is never padded, and in a pipe a tab stands between two cells.
func (s *screen) table(rows [][]string, colors ...string) {
	var width []int
	for _, r := range rows {
		for i, c := range r {
			if r[i] = printable(c); i == len(width) {
				width = append(width, 0)
			}
			width[i] = max(width[i], utf8.RuneCountInString(r[i]))
		}
	}
	for _, r := range rows {
		for len(r) > 1 && s.width > 0 && r[len(r)-1] == "" {
			r = r[:len(r)-1]
		}
		for i, c := range r {
			text := c
			if i < len(colors) && colors[i] != "" {
				text = s.paint(colors[i], c)
			}
			s.out.WriteString(text)
			switch {
			case i == len(r)-1:
				s.out.WriteByte('\n')
			case s.width == 0:
				s.out.WriteByte('\t')
			default:
				s.out.WriteString(strings.Repeat(" ", width[i]-utf8.RuneCountInString(c)+2))
			}
		}
	}
}

// printable shows control bytes, so that a host name or an SSID cannot drive
// the terminal of whoever looks at it.
func printable(text string) string {
	clean := true
	for _, r := range text {
		if r < ' ' || r == 0x7f || r == utf8.RuneError || (r >= 0x80 && r < 0xa0) {
			clean = false
		}
	}
	if clean {
		return text
	}
	var b strings.Builder
	for i, r := range text {
		switch {
		case r == utf8.RuneError:
			fmt.Fprintf(&b, `\x%02x`, text[i])
		case r < ' ' || r == 0x7f || (r >= 0x80 && r < 0xa0):
			fmt.Fprintf(&b, `\x%02x`, r)
		default:
			b.WriteRune(r)
		}
	}
	return b.String()
}
