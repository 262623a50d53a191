package ubus

// Values: TR-106 types as those of blobmsg, and the texts of the data model.

import (
	"bytes"
	"encoding/json"
	"math"
	"strconv"
	"strings"
	"unicode/utf8"

	"gatehouse/internal/ubus"
)

// clean makes a text one that JSON carries, and a C string.
func clean(s string) string {
	if utf8.ValidString(s) && strings.IndexByte(s, 0) < 0 {
		return s
	}
	return strings.ReplaceAll(strings.ToValidUTF8(s, "\uFFFD"), "\x00", "\uFFFD")
}

// typed is the value that text stands for in the type of its parameter. ubus
// has no unsigned numbers: what needs the 64th bit is a text, and so is a text
// that is none of its type.
func typed(typ, text string) any {
	switch typ {
	case "boolean":
		switch text {
		case "true", "1":
			return true
		case "false", "0":
			return false
		}
	case "int", "unsignedInt", "long", "unsignedLong":
		if n, err := strconv.ParseInt(text, 10, 64); err == nil {
			return number(n)
		}
	}
	return clean(text)
}

func number(n int64) any {
	if n >= math.MinInt32 && n <= math.MaxInt32 {
		return int32(n)
	}
	return n
}

// plain is the text of a value that somebody has sent, as TR-106 writes it.
func plain(v any) (text string, ok bool) {
	switch x := v.(type) {
	case string:
		return x, true
	case bool:
		return strconv.FormatBool(x), true
	case int16:
		return strconv.FormatInt(int64(x), 10), true
	case int32:
		return strconv.FormatInt(int64(x), 10), true
	case int64:
		return strconv.FormatInt(x, 10), true
	case ubus.Array:
		items := make([]string, len(x))
		for i, e := range x {
			s, ok := plain(e)
			if _, nested := e.(ubus.Array); nested || !ok {
				return "", false
			}
			items[i] = listEscapes.Replace(s)
		}
		return strings.Join(items, ","), true
	}
	return "", false
}

// listEscapes is how TR-106 3.2.3 writes the items of a list.
var listEscapes = strings.NewReplacer("%", "%25", ",", "%2C")

// texts is an array of texts.
func texts(list []string) ubus.Array {
	out := make(ubus.Array, len(list))
	for i, s := range list {
		out[i] = clean(s)
	}
	return out
}

// table is what JSON says of v, in its order.
func table(v any) (ubus.Table, error) {
	text, err := json.Marshal(v)
	if err != nil {
		return nil, err
	}
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	out, err := next(d)
	t, _ := out.(ubus.Table)
	return t, err
}

func next(d *json.Decoder) (any, error) {
	t, err := d.Token()
	if err != nil {
		return nil, err
	}
	switch v := t.(type) {
	case json.Delim:
		return inside(d, v == '{')
	case string:
		return clean(v), nil
	case json.Number:
		if n, err := v.Int64(); err == nil {
			return number(n), nil
		}
		return v.Float64()
	}
	return t, nil
}

func inside(d *json.Decoder, named bool) (any, error) {
	t, list := ubus.Table{}, ubus.Array{}
	for d.More() {
		name := ""
		if named {
			key, err := d.Token()
			if err != nil {
				return nil, err
			}
			name, _ = key.(string)
		}
		v, err := next(d)
		if err != nil {
			return nil, err
		}
		if named {
			t = append(t, ubus.Field{Name: clean(name), Value: v})
		} else {
			list = append(list, v)
		}
	}
	_, err := d.Token()
	if named {
		return t, err
	}
	return list, err
}
