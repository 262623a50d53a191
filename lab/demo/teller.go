package demo

import (
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"gatehouse/lab/acs"
)

// A teller prints the story and keeps count of what was proved.
type teller struct {
	w     io.Writer
	color bool
	soap  bool

	mu               sync.Mutex
	checks, failures int
	wrong            []string
}

func (t *teller) paint(code, text string) string {
	if !t.color {
		return text
	}
	return "\x1b[" + code + "m" + text + "\x1b[0m"
}

func (t *teller) print(format string, args ...any) {
	t.mu.Lock()
	defer t.mu.Unlock()
	fmt.Fprintf(t.w, format+"\n", args...)
}

func (t *teller) chapter(n int, title string) {
	t.print("\n%s", t.paint("1", fmt.Sprintf("%d. %s", n, title)))
}

// say tells what goes on.
func (t *teller) say(format string, args ...any) { t.print("   "+format, args...) }

// prove tells what was checked, and how it came out.
func (t *teller) prove(ok bool, format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	t.mu.Lock()
	t.checks++
	if !ok {
		t.failures++
		t.wrong = append(t.wrong, text)
	}
	t.mu.Unlock()
	if ok {
		t.print("   %s %s", t.paint("32", "✓"), text)
		return
	}
	t.print("   %s %s", t.paint("31", "✗"), text)
}

// note tells one exchange, as the ACS saw it.
func (t *teller) note(n acs.Note) {
	if n.Summary == "" {
		return
	}
	at := t.paint("2", n.At.Format("15:04:05.000"))
	switch n.Direction {
	case acs.FromCPE:
		t.print("   %s router → ACS  %s", at, clip(n.Summary))
	case acs.ToCPE:
		t.print("   %s router ← ACS  %s", at, clip(n.Summary))
	default:
		return
	}
	if t.soap && n.XML != "" {
		t.print("%s", t.paint("2", indent(n.XML)))
	}
}

func clip(text string) string {
	line, _, _ := strings.Cut(text, "\n")
	if r := []rune(line); len(r) > 110 {
		return string(r[:109]) + "…"
	}
	return line
}

func indent(text string) string {
	return "      | " + strings.ReplaceAll(strings.TrimSpace(text), "\n", "\n      | ")
}

func (t *teller) summary(took time.Duration) {
	t.print("\n%s", t.paint("1", fmt.Sprintf("%d checks in %.1f s", t.checks, took.Seconds())))
	if t.failures == 0 {
		t.print("   %s all of them hold", t.paint("32", "✓"))
		return
	}
	for _, w := range t.wrong {
		t.print("   %s %s", t.paint("31", "✗"), w)
	}
}
