package ubus

import (
	"bytes"
	"encoding/binary"
	"errors"
	"math"
	"reflect"
	"runtime"
	"strings"
	"testing"
)

func TestTable(t *testing.T) {
	in := Table{{"s", "text"}, {"", ""}, {"yes", true}, {"no", false}, {"i16", int16(-2)}, {"i32", int32(math.MinInt32)}, {"i64", int64(math.MaxInt64)},
		{"d", math.Inf(1)}, {"null", nil}, {"t", Table{{"a", Array{Table{{"x", "y"}}, "z"}}}}}
	out, err := decodeTable(appendTable(nil, in), 100)
	if err != nil || !reflect.DeepEqual(in, out) {
		t.Errorf("%v %v", out, err)
	}
	for n, typ := range map[int]any{1: int32(1), math.MaxInt32: int32(math.MaxInt32)} {
		if out, _ := decodeTable(appendTable(nil, Table{{"n", n}}), 1); out[0].Value != typ {
			t.Errorf("%d is %T", n, out[0].Value)
		}
	}
}

func nest(depth int) (b []byte) {
	for range depth {
		n, start := openAttr(nil, TypeArray, true)
		b = closeAttr(append(append(n, 0, 0, 0, 0), b...), start)
	}
	return b
}

// TestLies are tables that say what is not so.
func TestLies(t *testing.T) {
	good := appendTable(nil, Table{{"name", "value"}})
	with := func(at int, v ...byte) []byte { b := bytes.Clone(good); copy(b[at:], v); return b }
	for name, b := range map[string][]byte{
		"longer than there is":   with(1, 0, 1, 0),
		"longest":                with(1, 0xff, 0xff, 0xff),
		"shorter than a header":  with(1, 0, 0, 3),
		"no length":              with(1, 0, 0, 0),
		"no blobmsg":             with(0, 3),
		"unknown type":           with(0, 0x89),
		"name beyond the value":  with(4, 0, 200),
		"name without its end":   with(4, 0, 3),
		"string without its end": with(17, '!'),
		"half a number":          with(0, 0x80|TypeInt32),
		"cut":                    good[:len(good)-4],
		"three bytes":            {1, 2, 3},
		"too deep":               nest(maxDepth + 1),
		"a thousand deep":        nest(1000),
		"too many":               bytes.Repeat(appendValue(nil, "", nil), 101),
	} {
		if out, err := decodeTable(b, 100); !errors.Is(err, errBlob) {
			t.Errorf("%s: %v %v", name, out, err)
		}
	}
	if _, err := decodeTable(nest(maxDepth), 100); err != nil {
		t.Error(err)
	}
}

// TestCString: a C program sees a string end at its first NUL, and so do we.
func TestCString(t *testing.T) {
	out, err := decodeTable(appendTable(nil, Table{{"a\x00b", "c\x00d"}}), 1)
	if err != nil || out[0] != (Field{"a", "c"}) {
		t.Errorf("%q %v", out, err)
	}
}

func TestMessageLies(t *testing.T) {
	good := frame(msgInvoke, 1, 2, func(b []byte) []byte { return appendNumber(b, attrObjID, 7) })
	with := func(at int, v ...byte) []byte { b := bytes.Clone(good); copy(b[at:], v); return b }
	for name, b := range map[string][]byte{
		"version":             with(0, 1),
		"2 MB":                append(with(9, 0x20, 0, 0), make([]byte, 2<<20)...),
		"too short to be":     with(9, 0, 0, 1),
		"cut":                 good[:len(good)-1],
		"attribute too long":  with(13, 0, 1, 0),
		"attribute too short": with(13, 0, 0, 2),
	} {
		if m, err := readMessage(bytes.NewReader(b)); err == nil {
			t.Errorf("%s: %v", name, m)
		}
	}
	// A call of 1 MB is not kept, and yet can be answered; what follows is read.
	long := frame(msgInvoke, 1, 2, func(b []byte) []byte {
		return appendTableAttr(appendNumber(b, attrObjID, 7), attrData, Table{{"x", strings.Repeat("x", maxMessage-64)}})
	})
	r := bytes.NewReader(append(long, good...))
	m, err := readMessage(r)
	if id, _ := m.number(attrObjID); err != nil || m.whole || id != 7 || m.attrs[attrData] != nil {
		t.Errorf("%v %v", m, err)
	}
	if m, err := readMessage(r); err != nil || !m.whole {
		t.Errorf("%v %v", m, err)
	}
}

// TestLengthIsNotTrusted: a header that promises 1 MB, of which nothing comes,
// does not cost 1 MB.
func TestLengthIsNotTrusted(t *testing.T) {
	head := []byte{0, msgData, 0, 1, 0, 0, 0, 0}
	head = binary.BigEndian.AppendUint32(head, maxMessage)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	const rounds = 20
	for range rounds {
		if _, err := readMessage(bytes.NewReader(head)); err == nil {
			t.Fatal("read what is not there")
		}
	}
	runtime.ReadMemStats(&after)
	if n := (after.TotalAlloc - before.TotalAlloc) / rounds; n > 200<<10 {
		t.Errorf("%d bytes", n)
	}
}

func FuzzMessage(f *testing.F) {
	for _, steps := range recorded(f) {
		for _, s := range steps {
			f.Add(s.bytes(f))
		}
	}
	f.Add(frame(msgInvoke, 1, 2, func(b []byte) []byte { return appendTableAttr(b, attrData, Table{{"deep", Array{Table{}}}}) }))
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := readMessage(bytes.NewReader(b))
		if err != nil || !m.whole {
			return
		}
		table, err := m.table(maxValues)
		if err != nil {
			return
		}
		once := appendTable(nil, table)
		again, err := decodeTable(once, maxValues)
		if err != nil || !bytes.Equal(once, appendTable(nil, again)) {
			t.Errorf("%v is not what it was: %v %v", table, again, err)
		}
	})
}
