package ubus

// The inner encoding, of libubox' blobmsg.h: typed values with names.

import (
	"encoding/binary"
	"fmt"
	"math"
)

// A Table is a list of named values in their order. A Value is nil, a string, a
// bool, an int16, int32, int64, a float64, an Array or a Table. An int is sent
// as the ubus command does: with 32 bits where these suffice, else with 64.
type Table []Field

// A Field is a value with its name.
type Field struct {
	Name  string
	Value any
}

// An Array is a list of values.
type Array []any

// Get returns the first value of a name.
func (t Table) Get(name string) (v any, ok bool) {
	for _, f := range t {
		if f.Name == name {
			return f.Value, true
		}
	}
	return nil, false
}

// Types of values, as they stand in a message and in a signature.
const (
	TypeAny    = 0
	TypeArray  = 1
	TypeTable  = 2
	TypeString = 3
	TypeInt64  = 4
	TypeInt32  = 5
	TypeInt16  = 6
	TypeBool   = 7 // int8
	TypeDouble = 8
)

const (
	maxDepth  = 32     // of arrays and tables within each other
	maxValues = 16_384 // in one message of somebody who calls us
	maxReply  = 65_536 // in one answer to a call of ours
)

func appendTable(b []byte, t Table) []byte {
	for _, f := range t {
		b = appendValue(b, f.Name, f.Value)
	}
	return b
}

func appendValue(b []byte, name string, v any) []byte {
	typ := typeOf(v)
	b, start := openAttr(b, typ, true)
	if len(name) > math.MaxUint16 {
		name = name[:math.MaxUint16]
	}
	b = binary.BigEndian.AppendUint16(b, uint16(len(name)))
	b = append(append(b, name...), 0)
	for (len(b)-start)%4 != 0 {
		b = append(b, 0)
	}
	switch x := v.(type) {
	case string:
		b = append(append(b, x...), 0)
	case bool:
		if x {
			b = append(b, 1)
		} else {
			b = append(b, 0)
		}
	case int16:
		b = binary.BigEndian.AppendUint16(b, uint16(x))
	case int32:
		b = binary.BigEndian.AppendUint32(b, uint32(x))
	case int64:
		b = binary.BigEndian.AppendUint64(b, uint64(x))
	case int:
		if typ == TypeInt32 {
			b = binary.BigEndian.AppendUint32(b, uint32(x))
		} else {
			b = binary.BigEndian.AppendUint64(b, uint64(x))
		}
	case float64:
		b = binary.BigEndian.AppendUint64(b, math.Float64bits(x))
	case Table:
		b = appendTable(b, x)
	case Array:
		for _, e := range x {
			b = appendValue(b, "", e)
		}
	}
	return closeAttr(b, start)
}

// typeOf is what a value is sent as; what no message can hold is sent as
// nothing.
func typeOf(v any) byte {
	switch x := v.(type) {
	case string:
		return TypeString
	case bool:
		return TypeBool
	case int16:
		return TypeInt16
	case int32:
		return TypeInt32
	case int64:
		return TypeInt64
	case int:
		if int64(x) == int64(int32(x)) {
			return TypeInt32
		}
		return TypeInt64
	case float64:
		return TypeDouble
	case Table:
		return TypeTable
	case Array:
		return TypeArray
	}
	return TypeAny
}

// A decoder counts what it has decoded: eight bytes of a message can cost forty
// of memory.
type decoder struct{ left int }

// decodeTable reads a table of at most limit values, counted through all of its
// depth.
func decodeTable(b []byte, limit int) (Table, error) {
	d := decoder{left: limit}
	return d.table(b, maxDepth)
}

func (d *decoder) table(b []byte, depth int) (Table, error) {
	var t Table
	for len(b) > 0 {
		var f Field
		var err error
		if f, b, err = d.field(b, depth); err != nil {
			return nil, err
		}
		t = append(t, f)
	}
	return t, nil
}

func (d *decoder) array(b []byte, depth int) (Array, error) {
	var list Array
	for len(b) > 0 {
		var f Field
		var err error
		if f, b, err = d.field(b, depth); err != nil {
			return nil, err
		}
		list = append(list, f.Value)
	}
	return list, nil
}

func (d *decoder) field(b []byte, depth int) (f Field, rest []byte, err error) {
	if depth == 0 {
		return f, nil, fmt.Errorf("%w: more than %d tables within each other", errBlob, maxDepth)
	}
	if d.left--; d.left < 0 {
		return f, nil, fmt.Errorf("%w: too many values", errBlob)
	}
	a, rest, err := nextAttr(b)
	if err != nil {
		return f, nil, err
	}
	name, value, err := split(a)
	if err != nil {
		return f, nil, err
	}
	f.Name = name
	f.Value, err = d.value(a.id, value, depth)
	return f, rest, err
}

// split takes the name off a value.
func split(a attr) (name string, value []byte, err error) {
	if !a.ext || len(a.data) < 3 {
		return "", nil, fmt.Errorf("%w: a value without a name's place", errBlob)
	}
	n := int(binary.BigEndian.Uint16(a.data))
	head := padded(2 + n + 1)
	if head > len(a.data) || a.data[2+n] != 0 {
		return "", nil, fmt.Errorf("%w: a name of %d bytes in a value of %d", errBlob, n, len(a.data))
	}
	name, _ = text(a.data[2 : 2+n+1])
	return name, a.data[head:], nil
}

var widths = [...]int{TypeInt64: 8, TypeInt32: 4, TypeInt16: 2, TypeBool: 1, TypeDouble: 8}

func (d *decoder) value(typ byte, b []byte, depth int) (any, error) {
	if typ > TypeDouble {
		return nil, fmt.Errorf("%w: a value of type %d", errBlob, typ)
	}
	if n := widths[typ]; n != 0 && len(b) != n {
		return nil, fmt.Errorf("%w: a number of %d bytes, not %d", errBlob, len(b), n)
	}
	switch typ {
	case TypeString:
		s, ok := text(b)
		if !ok {
			return nil, fmt.Errorf("%w: a string without its end", errBlob)
		}
		return s, nil
	case TypeInt64:
		return int64(binary.BigEndian.Uint64(b)), nil
	case TypeInt32:
		return int32(binary.BigEndian.Uint32(b)), nil
	case TypeInt16:
		return int16(binary.BigEndian.Uint16(b)), nil
	case TypeBool:
		return b[0] != 0, nil
	case TypeDouble:
		return math.Float64frombits(binary.BigEndian.Uint64(b)), nil
	case TypeTable:
		return d.table(b, depth-1)
	case TypeArray:
		return d.array(b, depth-1)
	}
	return nil, nil
}
