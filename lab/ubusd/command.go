package ubusd

// The ubus command: what scripts call, with its exit status and its output.

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"net"
	"strings"
)

// Command is one run of the ubus command over a fresh connection, which it
// closes: "list [PATH]", "-v list", "call PATH METHOD [JSON]", "send EVENT
// [JSON]". It returns what the command prints, on either output, and its exit
// status.
func Command(conn net.Conn, args ...string) (output string, code int) {
	defer conn.Close()
	c := &command{conn: conn}
	if m, err := read(conn); err != nil || m.kind != hello {
		return "Failed to connect to ubus\n", 255
	}
	verbose := len(args) > 0 && args[0] == "-v"
	if verbose {
		args = args[1:]
	}
	for len(args) < 4 {
		args = append(args, "")
	}
	switch args[0] {
	case "list":
		code = c.list(args[1], verbose)
	case "call":
		code = c.call(args[1], args[2], args[3])
	case "send":
		code = c.sendEvent(args[1], args[2])
	default:
		code = invalidCommand
	}
	if code != 0 {
		fmt.Fprintf(&c.out, "Command failed: %s\n", outcome(code))
	}
	return c.out.String(), code
}

var outcomes = []string{"Success", "Invalid command", "Invalid argument", "Method not found", "Not found", "No response",
	"Permission denied", "Request timed out", "Operation not supported", "Unknown error", "Connection failed", "Out of memory", "Parsing message data failed", "System error"}

func outcome(code int) string {
	if code < len(outcomes) {
		return outcomes[code]
	}
	return fmt.Sprint(code)
}

type command struct {
	conn net.Conn
	seq  uint16
	out  strings.Builder
}

func (c *command) request(kind byte, peer uint32, each func(*message), attrs ...attribute) int {
	c.seq++
	if _, err := c.conn.Write((&message{kind: kind, seq: c.seq, peer: peer, attrs: attrs}).bytes()); err != nil {
		return 10
	}
	for {
		m, err := read(c.conn)
		if err != nil {
			return 10
		}
		if m.seq != c.seq || m.peer != peer {
			continue
		}
		if m.kind == status {
			n, _ := m.number(aStatus)
			return int(n)
		}
		each(m)
	}
}

func (c *command) lookup(path string, each func(*message)) int {
	if path == "" {
		return c.request(lookup, 0, each)
	}
	return c.request(lookup, 0, each, str(aPath, path))
}

func (c *command) list(path string, verbose bool) int {
	return c.lookup(path, func(m *message) {
		p, _ := m.str(aPath)
		if !verbose {
			fmt.Fprintln(&c.out, p)
			return
		}
		id, _ := m.number(aID)
		fmt.Fprintf(&c.out, "'%s' @%08x\n", p, id)
		methods, _ := members(m.get(aSignature))
		for _, method := range methods {
			args, _ := members(method.body)
			var list []string
			for _, a := range args {
				list = append(list, fmt.Sprintf("%q:%q", a.name, typeNames[binary.BigEndian.Uint32(a.body)]))
			}
			fmt.Fprintf(&c.out, "\t%q:{%s}\n", method.name, strings.Join(list, ","))
		}
	})
}

var typeNames = []string{"(unknown)", "Array", "Table", "String", "Integer64", "Integer", "Integer16", "Boolean", "Double"}

func (c *command) call(path, method, text string) int {
	body, err := packJSON(text)
	if err != nil {
		return invalidArgument
	}
	var id uint32
	if code := c.lookup(path, func(m *message) { id, _ = m.number(aID) }); code != 0 {
		return code
	}
	return c.request(invoke, id, func(m *message) {
		c.out.WriteString(JSON(m.get(aData)) + "\n")
	}, num(aID, id), str(aMethod, method), attribute{aData, body})
}

func (c *command) sendEvent(event, text string) int {
	body, err := packJSON(text)
	if err != nil {
		return invalidArgument
	}
	args := append(member{3, "id", append([]byte(event), 0)}.bytes(), member{2, "data", body}.bytes()...)
	return c.request(invoke, 1, func(*message) {}, num(aID, 1), str(aMethod, "send"), attribute{aData, args})
}

// packJSON makes a table of the text of an object, in its order.
func packJSON(text string) ([]byte, error) {
	if text == "" {
		return nil, nil
	}
	d := json.NewDecoder(strings.NewReader(text))
	d.UseNumber()
	if t, err := d.Token(); err != nil || t != json.Delim('{') {
		return nil, fmt.Errorf("not an object: %w", err)
	}
	return packAll(d, true)
}

func packAll(d *json.Decoder, named bool) (b []byte, err error) {
	for d.More() {
		name := ""
		if named {
			t, err := d.Token()
			if err != nil {
				return nil, err
			}
			name, _ = t.(string)
		}
		m, err := packOne(d, name)
		if err != nil {
			return nil, err
		}
		b = append(b, m.bytes()...)
	}
	_, err = d.Token()
	return b, err
}

func packOne(d *json.Decoder, name string) (m member, err error) {
	m.name = name
	t, err := d.Token()
	if err != nil {
		return m, err
	}
	switch v := t.(type) {
	case json.Delim:
		m.typ = 1
		if v == '{' {
			m.typ = 2
		}
		m.body, err = packAll(d, v == '{')
	case string:
		m.typ, m.body = 3, append([]byte(v), 0)
	case bool:
		m.typ, m.body = 7, []byte{0}
		if v {
			m.body[0] = 1
		}
	case json.Number:
		n, ierr := v.Int64()
		switch f, _ := v.Float64(); {
		case ierr != nil:
			m.typ, m.body = 8, binary.BigEndian.AppendUint64(nil, math.Float64bits(f))
		case n == int64(int32(n)):
			m.typ, m.body = 5, binary.BigEndian.AppendUint32(nil, uint32(n))
		default:
			m.typ, m.body = 4, binary.BigEndian.AppendUint64(nil, uint64(n))
		}
	}
	return m, err
}

// JSON is a table as the ubus command prints it.
func JSON(table []byte) string {
	var b strings.Builder
	list, _ := members(table)
	printAll(&b, list, '{', '}', 1)
	return b.String()
}

func printAll(w *strings.Builder, list []member, left, right rune, depth int) {
	indent := "\n" + strings.Repeat("\t", depth)
	w.WriteString(string(left) + indent)
	for i, m := range list {
		if i > 0 {
			w.WriteString("," + indent)
		}
		if left == '{' {
			w.WriteString(quote(m.name) + ": ")
		}
		m.print(w, depth)
	}
	w.WriteString(indent[:len(indent)-1] + string(right))
}

func (m member) print(w *strings.Builder, depth int) {
	switch inner, _ := members(m.body); m.typ {
	case 1:
		printAll(w, inner, '[', ']', depth+1)
	case 2:
		printAll(w, inner, '{', '}', depth+1)
	case 3:
		s, _ := m.text()
		w.WriteString(quote(s))
	case 4:
		fmt.Fprint(w, int64(binary.BigEndian.Uint64(m.body)))
	case 5:
		fmt.Fprint(w, int32(binary.BigEndian.Uint32(m.body)))
	case 6:
		fmt.Fprint(w, int16(binary.BigEndian.Uint16(m.body)))
	case 7:
		fmt.Fprint(w, m.body[0] != 0)
	case 8:
		fmt.Fprintf(w, "%f", math.Float64frombits(binary.BigEndian.Uint64(m.body)))
	default:
		w.WriteString("null")
	}
}

func quote(s string) string {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(s); err != nil {
		return `""`
	}
	return strings.TrimSuffix(b.String(), "\n")
}

// A Subscriber is `ubus subscribe PATH`, or with events `ubus listen PATTERN`.
type Subscriber struct{ conn net.Conn }

// Subscribe subscribes over a fresh connection.
func Subscribe(conn net.Conn, path string) (*Subscriber, error) {
	c := &command{conn: conn}
	if _, err := read(conn); err != nil {
		return nil, err
	}
	var target, own uint32
	code := c.lookup(path, func(m *message) { target, _ = m.number(aID) })
	if code == 0 {
		code = c.request(addObject, 0, func(m *message) { own, _ = m.number(aID) })
	}
	if code == 0 {
		code = c.request(subscribe, 0, func(*message) {}, num(aID, own), num(aTarget, target))
	}
	if code != 0 {
		conn.Close()
		return nil, fmt.Errorf("subscribe to %s: %s", path, outcome(code))
	}
	return &Subscriber{conn}, nil
}

// Next waits for a notification: its name, and its data as JSON. io.EOF: the
// object has gone.
func (s *Subscriber) Next() (name, text string, err error) {
	for {
		m, err := read(s.conn)
		switch {
		case err != nil:
			return "", "", err
		case m.kind == unsubscribe:
			return "", "", io.EOF
		case m.kind == invoke:
			name, _ = m.str(aMethod)
			return name, JSON(m.get(aData)), nil
		}
	}
}

// Close ends the subscription.
func (s *Subscriber) Close() error { return s.conn.Close() }
