package ubusd

// Values of tables, for the objects that the lab publishes itself.

import (
	"encoding/binary"
	"math"
)

// A Table is a list of named values in their order. A value is a string, a
// bool, an int (of 32 bits on the wire), an int64, an int16, a float64, a List
// or a Table.
type Table []Pair

// A Pair is a value with its name.
type Pair struct {
	Name  string
	Value any
}

// A List is a list of values.
type List []any

// T makes a table of names and values in turn.
func T(pairs ...any) Table {
	t := Table{}
	for i := 0; i+1 < len(pairs); i += 2 {
		t = append(t, Pair{pairs[i].(string), pairs[i+1]})
	}
	return t
}

// Get returns a value, nil when there is none of that name.
func (t Table) Get(name string) any {
	for _, p := range t {
		if p.Name == name {
			return p.Value
		}
	}
	return nil
}

func (t Table) str(name string) string {
	s, _ := t.Get(name).(string)
	return s
}

func (t Table) bytes() (b []byte) {
	for _, p := range t {
		b = append(b, toMember(p.Name, p.Value).bytes()...)
	}
	return b
}

func toMember(name string, v any) member {
	m := member{name: name}
	switch x := v.(type) {
	case List:
		m.typ = 1
		for _, e := range x {
			m.body = append(m.body, toMember("", e).bytes()...)
		}
	case Table:
		m.typ, m.body = 2, x.bytes()
	case string:
		m.typ, m.body = 3, append([]byte(x), 0)
	case int64:
		m.typ, m.body = 4, binary.BigEndian.AppendUint64(nil, uint64(x))
	case int:
		m.typ, m.body = 5, binary.BigEndian.AppendUint32(nil, uint32(x))
	case int16:
		m.typ, m.body = 6, binary.BigEndian.AppendUint16(nil, uint16(x))
	case bool:
		m.typ, m.body = 7, []byte{0}
		if x {
			m.body[0] = 1
		}
	case float64:
		m.typ, m.body = 8, binary.BigEndian.AppendUint64(nil, math.Float64bits(x))
	}
	return m
}

// fromMembers reads the values of a table.
func fromMembers(b []byte) (t Table, good bool) {
	list, good := members(b)
	for _, m := range list {
		v, ok := m.value()
		good = good && ok
		t = append(t, Pair{m.name, v})
	}
	return t, good
}

var memberWidths = map[int]int{4: 8, 5: 4, 6: 2, 7: 1, 8: 8}

func (m member) value() (v any, good bool) {
	if n := memberWidths[m.typ]; n != 0 && len(m.body) != n {
		return nil, false
	}
	switch m.typ {
	case 1:
		t, ok := fromMembers(m.body)
		l := List{}
		for _, p := range t {
			l = append(l, p.Value)
		}
		return l, ok
	case 2:
		t, ok := fromMembers(m.body)
		return t, ok
	case 3:
		return m.text()
	case 4:
		return int64(binary.BigEndian.Uint64(m.body)), true
	case 5:
		return int(int32(binary.BigEndian.Uint32(m.body))), true
	case 6:
		return int16(binary.BigEndian.Uint16(m.body)), true
	case 7:
		return m.body[0] != 0, true
	case 8:
		return math.Float64frombits(binary.BigEndian.Uint64(m.body)), true
	}
	return nil, false
}
