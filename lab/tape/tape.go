// Package tape keeps CWMP sessions as text files that people can read and
// programs can play: what went over the wire, with secrets masked. A Player
// plays the ACS's side of a tape against an agent and tells where the agent
// answers otherwise.
//
// A tape looks like this: a head, then what was posted and what was answered.
// Lines of a body begin with a bar; one that cannot be shown as it is stands in
// Go's quotes behind a tilde. A backslash line says that the body's last line
// has no end.
//
//	gatehouse-lab session 1
//	device: 00005E-00005E005301
//	began: 2026-11-21T23:00:00Z
//	ended: well
//
//	> POST /acs
//	> at: 0s, connection 1
//	> Content-Type: text/xml; charset="utf-8"
//	| <?xml version="1.0"?>
//	| <soap-env:Envelope …
//	< 200
//	< Set-Cookie: session=***
//	| <soap-env:Envelope …
package tape

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"gatehouse/lab/acs"
)

// Tape is a recorded session.
type Tape struct {
	Session   int
	Device    string // OUI-Serial
	Began     time.Time
	Ended     string // "well", or why not
	Exchanges []Exchange
}

// Exchange is one HTTP request with its answer.
type Exchange struct {
	At         time.Duration // since Began
	Connection int           // counted from 1
	Target     string
	Header     http.Header
	Body       string
	Status     int // 0: it was never answered
	Reply      http.Header
	ReplyBody  string
}

// Of makes a tape of a session's record, with secrets masked.
func Of(s *acs.Session) *Tape {
	t := &Tape{Session: s.Number, Device: s.Device.Key(), Began: s.Start, Ended: "well"}
	if s.Err != nil {
		t.Ended = s.Err.Error()
	}
	if len(s.Exchanges) > 0 && s.Exchanges[0].At.Before(t.Began) {
		t.Began = s.Exchanges[0].At
	}
	numbers := map[uint64]int{}
	for _, x := range s.Exchanges {
		if numbers[x.Socket] == 0 {
			numbers[x.Socket] = len(numbers) + 1
		}
		body := string(x.Body)
		if plain, err := acs.Unpack(x.Header.Get("Content-Encoding"), x.Body); err == nil {
			body = string(plain)
		}
		t.Exchanges = append(t.Exchanges, Exchange{
			At: x.At.Sub(t.Began), Connection: numbers[x.Socket], Target: x.Target,
			Header: maskHeader(x.Header), Body: acs.MaskXML(body),
			Status: x.Status, Reply: maskHeader(x.ReplyHeader), ReplyBody: acs.MaskXML(string(x.Reply)),
		})
	}
	return t
}

// maskHeader hides credentials and session tokens, and leaves out what would
// only be noise.
func maskHeader(h http.Header) http.Header {
	out := http.Header{}
	for name, values := range h {
		for _, v := range values {
			switch name {
			case "Content-Length", "Date":
				continue
			case "Authentication-Info":
				v = "***"
			case "Authorization", "Proxy-Authorization":
				scheme, _, _ := strings.Cut(v, " ")
				v = scheme + " ***"
			case "Cookie":
				v = maskCookies(v)
			case "Set-Cookie":
				pair, rest, some := strings.Cut(v, ";")
				v = maskCookies(pair)
				if some {
					v += ";" + rest
				}
			}
			out[name] = append(out[name], v)
		}
	}
	return out
}

func maskCookies(list string) string {
	var out []string
	for pair := range strings.SplitSeq(list, ";") {
		name, _, _ := strings.Cut(pair, "=")
		out = append(out, strings.TrimSpace(name)+"=***")
	}
	return strings.Join(out, "; ")
}

// magic begins the first line.
const magic = "gatehouse-lab session "

// WriteTo prints the tape.
func (t *Tape) WriteTo(w io.Writer) (int64, error) {
	var b strings.Builder
	fmt.Fprintf(&b, "%s%d\ndevice: %s\nbegan: %s\nended: %s\n", magic, t.Session, oneLine(t.Device), t.Began.UTC().Format(time.RFC3339Nano), oneLine(t.Ended))
	for _, x := range t.Exchanges {
		fmt.Fprintf(&b, "\n> POST %s\n> at: %v, connection %d\n", oneLine(x.Target), x.At, x.Connection)
		writePart(&b, '>', x.Header, x.Body)
		fmt.Fprintf(&b, "< %d\n", x.Status)
		writePart(&b, '<', x.Reply, x.ReplyBody)
	}
	n, err := io.WriteString(w, b.String())
	return int64(n), err
}

func writePart(b *strings.Builder, sign byte, h http.Header, body string) {
	var names []string
	for name := range h {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		for _, v := range h[name] {
			fmt.Fprintf(b, "%c %s: %s\n", sign, name, oneLine(v))
		}
	}
	if body == "" {
		return
	}
	for line := range strings.Lines(body) {
		text := strings.TrimSuffix(line, "\n")
		if printable(text) {
			b.WriteString("| " + text + "\n")
		} else {
			b.WriteString("~ " + strconv.Quote(text) + "\n")
		}
	}
	if !strings.HasSuffix(body, "\n") {
		b.WriteString("\\\n")
	}
}

// printable tells whether a line survives an editor: no control bytes, no
// blank at the end.
func printable(s string) bool {
	if !utf8.ValidString(s) || strings.HasSuffix(s, " ") {
		return false
	}
	return !strings.ContainsFunc(s, func(r rune) bool { return r != '\t' && !unicode.IsPrint(r) }) && !strings.HasSuffix(s, "\t")
}

func oneLine(s string) string {
	if printable(s) && !strings.HasPrefix(s, `"`) || s == "" {
		return s
	}
	return strconv.Quote(s)
}

// maxTape bounds what Read takes in.
const maxTape = 64 << 20

// Read reads a tape. Errors name the line.
func Read(r io.Reader) (*Tape, error) {
	in := bufio.NewScanner(io.LimitReader(r, maxTape))
	in.Buffer(make([]byte, 0, 64<<10), maxTape)
	p := &parser{t: &Tape{}}
	for in.Scan() {
		p.line++
		if err := p.take(strings.TrimSuffix(in.Text(), "\r")); err != nil {
			return nil, fmt.Errorf("line %d: %w", p.line, err)
		}
	}
	if err := in.Err(); err != nil {
		return nil, err
	}
	p.flush()
	if len(p.t.Exchanges) == 0 {
		return nil, errors.New("no exchange in it")
	}
	return p.t, nil
}

type parser struct {
	t     *Tape
	line  int
	body  strings.Builder
	reply bool // the part of an exchange that is being read
}

// take reads one line.
func (p *parser) take(line string) error {
	if p.line == 1 {
		n, ok := strings.CutPrefix(line, magic)
		var err error
		if p.t.Session, err = strconv.Atoi(n); !ok || err != nil {
			return fmt.Errorf("a tape begins with %q and a number", magic)
		}
		return nil
	}
	if line == "" || line[0] == '#' {
		return nil
	}
	rest := strings.TrimPrefix(line[1:], " ")
	switch {
	case line[0] == '|' && len(p.t.Exchanges) > 0:
		p.body.WriteString(rest + "\n")
	case line[0] == '~' && len(p.t.Exchanges) > 0:
		text, err := strconv.Unquote(rest)
		if err != nil {
			return fmt.Errorf("%s: %w", rest, err)
		}
		p.body.WriteString(text + "\n")
	case line == `\`:
		text := strings.TrimSuffix(p.body.String(), "\n")
		p.body.Reset()
		p.body.WriteString(text)
	case line[0] == '>':
		return p.request(rest)
	case line[0] == '<' && len(p.t.Exchanges) > 0:
		return p.answer(rest)
	case len(p.t.Exchanges) == 0:
		return p.head(line)
	default:
		return fmt.Errorf("what is %q?", line)
	}
	return nil
}

func (p *parser) head(line string) error {
	name, value, ok := strings.Cut(line, ": ")
	value = unquote(value)
	var err error
	switch {
	case !ok:
		return fmt.Errorf("%q is no field of the head", line)
	case name == "device":
		p.t.Device = value
	case name == "began":
		p.t.Began, err = time.Parse(time.RFC3339Nano, value)
	case name == "ended":
		p.t.Ended = value
	}
	return err
}

func unquote(s string) string {
	if strings.HasPrefix(s, `"`) {
		if text, err := strconv.Unquote(s); err == nil {
			return text
		}
	}
	return s
}

func (p *parser) request(text string) error {
	if target, ok := strings.CutPrefix(text, "POST "); ok {
		p.flush()
		p.reply = false
		p.t.Exchanges = append(p.t.Exchanges, Exchange{Target: unquote(target), Header: http.Header{}, Reply: http.Header{}})
		return nil
	}
	if len(p.t.Exchanges) == 0 || p.reply {
		return errors.New("a request begins with POST")
	}
	x := &p.t.Exchanges[len(p.t.Exchanges)-1]
	if at, ok := strings.CutPrefix(text, "at: "); ok {
		when, number, _ := strings.Cut(at, ", connection ")
		var err, err2 error
		x.At, err = time.ParseDuration(when)
		x.Connection, err2 = strconv.Atoi(number)
		return errors.Join(err, err2)
	}
	return field(x.Header, text)
}

func (p *parser) answer(text string) error {
	x := &p.t.Exchanges[len(p.t.Exchanges)-1]
	if !p.reply {
		p.flush()
		p.reply = true
		var err error
		x.Status, err = strconv.Atoi(text)
		return err
	}
	return field(x.Reply, text)
}

func field(h http.Header, text string) error {
	name, value, ok := strings.Cut(text, ":")
	if !ok || name == "" || strings.ContainsAny(name, " \t\"") {
		return fmt.Errorf("%q is no header field", text)
	}
	h[name] = append(h[name], unquote(strings.TrimPrefix(value, " ")))
	return nil
}

// flush gives the body that was read to its part.
func (p *parser) flush() {
	if len(p.t.Exchanges) > 0 {
		x := &p.t.Exchanges[len(p.t.Exchanges)-1]
		if p.reply {
			x.ReplyBody = p.body.String()
		} else {
			x.Body = p.body.String()
		}
	}
	p.body.Reset()
}
