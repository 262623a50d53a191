// Strict JSON: what a provider sends is taken whole, or not at all.

package rueconfig

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Limits of a document. Its values are counted, too, for a short text can
// hold a great many of them.
const (
	MaxSize   = 256 << 10 // bytes
	maxDepth  = 16
	maxValues = 4096
)

// A kind is what a JSON value is.
type kind uint8

const (
	null kind = iota
	boolean
	number
	text
	array
	object
)

func (k kind) String() string {
	return [...]string{"null", "a boolean", "a number", "a text", "an array", "an object"}[k]
}

// A value is one JSON value. Numbers keep their text.
type value struct {
	kind    kind
	text    string // of a text or number; "true" or "false"
	items   []value
	members []member
}

type member struct {
	name  string
	value value
}

// An Error says what is wrong in a document, and where.
type Error struct {
	Where string // "credentials[1].password"; "" the document as a whole
	Err   error
}

func (e *Error) Error() string {
	if e.Where == "" {
		return "configuration document: " + e.Err.Error()
	}
	return "configuration document: " + e.Where + ": " + e.Err.Error()
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

func wrong(where, format string, args ...any) error {
	return &Error{where, fmt.Errorf(format, args...)}
}

// parse reads one JSON object. Names that occur twice, texts that are not
// UTF-8 or hold half a surrogate pair, and all that follows the object are
// errors: two readers could make two things of them.
func parse(data []byte) (value, error) {
	switch {
	case len(data) > MaxSize:
		return value{}, wrong("", "%d bytes, and %d are allowed", len(data), MaxSize)
	case !utf8.Valid(data):
		return value{}, wrong("", "not UTF-8 (byte %d)", badByte(data))
	}
	data = bytes.TrimPrefix(data, []byte("\xef\xbb\xbf"))
	if len(bytes.TrimSpace(data)) == 0 {
		return value{}, wrong("", "empty")
	}
	r := reader{d: json.NewDecoder(bytes.NewReader(data))}
	r.d.UseNumber()
	v, err := r.value("", 0)
	if err != nil {
		return value{}, err
	}
	if _, err := r.d.Token(); err == nil || r.d.InputOffset() < int64(len(bytes.TrimSpace(data))) {
		return value{}, wrong("", "something follows the object (byte %d)", r.d.InputOffset())
	}
	if v.kind != object {
		return value{}, wrong("", "it is %s, not an object", v.kind)
	}
	return v, nil
}

// badByte is where data ceases to be UTF-8.
func badByte(data []byte) int {
	for i := 0; i < len(data); {
		r, n := utf8.DecodeRune(data[i:])
		if r == utf8.RuneError && n <= 1 {
			return i
		}
		i += n
	}
	return len(data)
}

// A reader makes values of tokens, so many and no deeper.
type reader struct {
	d *json.Decoder
	n int
}

func (r *reader) value(where string, depth int) (value, error) {
	if r.n++; r.n > maxValues {
		return value{}, wrong("", "more than %d values", maxValues)
	}
	if depth > maxDepth {
		return value{}, wrong(where, "nested deeper than %d", maxDepth)
	}
	token, err := r.d.Token()
	if err != nil {
		return value{}, r.broken(where, err)
	}
	switch t := token.(type) {
	case nil:
		return value{}, nil
	case bool:
		return value{kind: boolean, text: strconv.FormatBool(t)}, nil
	case json.Number:
		return value{kind: number, text: t.String()}, nil
	case string:
		return value{kind: text, text: t}, whole(where, t)
	case json.Delim:
		if t == '[' {
			return r.array(where, depth)
		}
		if t == '{' {
			return r.object(where, depth)
		}
	}
	return value{}, wrong(where, "a value is missing")
}

func (r *reader) array(where string, depth int) (value, error) {
	v := value{kind: array}
	for r.d.More() {
		item, err := r.value(where+"["+strconv.Itoa(len(v.items))+"]", depth+1)
		if err != nil {
			return value{}, err
		}
		v.items = append(v.items, item)
	}
	return v, r.end(where)
}

func (r *reader) object(where string, depth int) (value, error) {
	v := value{kind: object}
	seen := map[string]bool{}
	for r.d.More() {
		token, err := r.d.Token()
		if err != nil {
			return value{}, r.broken(where, err)
		}
		name, ok := token.(string)
		if !ok {
			return value{}, wrong(where, "a name is missing")
		}
		at := join(where, name)
		if err := whole(at, name); err != nil {
			return value{}, err
		}
		if seen[name] {
			return value{}, wrong(at, "stands there twice")
		}
		seen[name] = true
		item, err := r.value(at, depth+1)
		if err != nil {
			return value{}, err
		}
		v.members = append(v.members, member{name, item})
	}
	return v, r.end(where)
}

// end reads the bracket that ends an array or object.
func (r *reader) end(where string) error {
	if _, err := r.d.Token(); err != nil {
		return r.broken(where, err)
	}
	return nil
}

// broken says where the JSON itself is wrong.
func (r *reader) broken(where string, err error) error {
	var syntax *json.SyntaxError
	if errors.As(err, &syntax) {
		return wrong(where, "not JSON: %s (byte %d)", strings.TrimPrefix(syntax.Error(), "json: "), syntax.Offset)
	}
	return wrong(where, "not JSON: it breaks off (byte %d)", r.d.InputOffset())
}

// whole refuses a text with the replacement character: the decoder puts it
// where half a surrogate pair was, and a provider who sends it has lost what
// was there before.
func whole(where, s string) error {
	if strings.ContainsRune(s, utf8.RuneError) {
		return wrong(where, "a damaged character")
	}
	return nil
}

func join(where, name string) string {
	if len(name) > 64 {
		name = name[:64] + "…"
	}
	if where == "" {
		return name
	}
	return where + "." + name
}
