package main

import (
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"gatehouse/lab/acs"
)

// Colours, used on a terminal only.
const (
	red    = "\x1b[31m"
	green  = "\x1b[32m"
	yellow = "\x1b[33m"
	blue   = "\x1b[34m"
	dim    = "\x1b[2m"
	plain  = "\x1b[0m"
)

// screen prints the story. Its methods may be called from any goroutine.
type screen struct {
	w      io.Writer
	colour bool

	mu   sync.Mutex
	soap bool
}

// showSOAP switches the envelopes on and off.
func (s *screen) showSOAP(on bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.soap = on
}

// line prints one line with the time and a sign in front.
func (s *screen) line(colour, sign, text string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.print(time.Now(), colour, sign, text)
}

// print does it; the caller holds mu.
func (s *screen) print(at time.Time, colour, sign, text string) {
	fmt.Fprintf(s.w, "%s %s %s\n", s.paint(dim, at.Format("15:04:05.000")), s.paint(colour, fmt.Sprintf("%-1s", sign)), s.paint(colour, clean(text)))
}

func (s *screen) paint(colour, text string) string {
	if !s.colour || colour == "" || text == "" {
		return text
	}
	return colour + text + plain
}

// clean keeps what a CPE sends from steering the terminal.
func clean(text string) string {
	return strings.Map(func(r rune) rune {
		if r < 0x20 || r >= 0x7f && r < 0xa0 {
			return '·'
		}
		return r
	}, text)
}

// note tells one event: > from the CPE, < to it, ! against the rules.
func (s *screen) note(n acs.Note) {
	s.mu.Lock()
	defer s.mu.Unlock()
	colour, sign, text := "", " ", n.Summary
	switch {
	case n.Violation != nil:
		colour, sign = red, "!"
	case n.Ended != nil:
		if colour = green; n.Ended.Err != nil {
			colour = yellow
		}
		sign = "="
	case n.Direction == acs.FromCPE:
		colour, sign = blue, ">"
	case n.Direction == acs.ToCPE:
		sign = "<"
		text = strings.TrimSpace(fmt.Sprintf("%d %s", n.Status, n.Summary))
	}
	if n.Fault != nil {
		colour = yellow
	}
	if n.Session > 0 && n.Ended == nil {
		text = fmt.Sprintf("#%d %s", n.Session, text)
	}
	s.print(n.At, colour, sign, text)
	if s.soap && n.XML != "" {
		for _, l := range indent(n.XML) {
			fmt.Fprintf(s.w, "      %s\n", s.paint(dim, clean(l)))
		}
	}
}

// table prints rows in columns.
func (s *screen) table(rows [][]string) {
	var width []int
	for _, row := range rows {
		for i, cell := range row {
			if i == len(width) {
				width = append(width, 0)
			}
			width[i] = max(width[i], len([]rune(clean(cell))))
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, row := range rows {
		var b strings.Builder
		for i, cell := range row {
			cell = clean(cell)
			b.WriteString("  " + cell + strings.Repeat(" ", width[i]-len([]rune(cell))))
		}
		fmt.Fprintln(s.w, strings.TrimRight(b.String(), " "))
	}
}

// indent breaks an envelope into lines for reading. It only looks at tags: what
// is between them stays as it is.
func indent(xml string) []string {
	var lines []string
	depth, leaf := 0, false
	for rest := strings.TrimSpace(xml); rest != ""; {
		end := strings.IndexByte(rest, '>')
		if rest[0] != '<' || end < 0 { // text: belongs to the tag before it
			next := strings.IndexByte(rest, '<')
			if next < 0 {
				next = len(rest)
			}
			if text := rest[:next]; strings.TrimSpace(text) != "" && len(lines) > 0 {
				lines[len(lines)-1] += text
			}
			rest = rest[next:]
			continue
		}
		tag := rest[:end+1]
		rest = rest[end+1:]
		switch {
		case strings.HasPrefix(tag, "</"):
			depth--
			if leaf && len(lines) > 0 {
				lines[len(lines)-1] += tag
			} else {
				lines = append(lines, strings.Repeat("  ", max(depth, 0))+tag)
			}
			leaf = false
		default:
			lines = append(lines, strings.Repeat("  ", max(depth, 0))+tag)
			leaf = !strings.HasSuffix(tag, "/>") && !strings.HasPrefix(tag, "<?")
			if leaf {
				depth++
			}
		}
	}
	return lines
}
