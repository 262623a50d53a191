package bus

// Values: TR-106 types as D-Bus types, and the texts of the data model.

import (
	"encoding/base64"
	"encoding/hex"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/godbus/dbus/v5"
)

// valid makes a text one that D-Bus carries: UTF-8 without NUL.
func valid(s string) string {
	if utf8.ValidString(s) && strings.IndexByte(s, 0) < 0 {
		return s
	}
	return strings.ReplaceAll(strings.ToValidUTF8(s, "\uFFFD"), "\x00", "\uFFFD")
}

// variant is the value that text stands for, in the type of its parameter
// ("boolean", "unsignedInt", …). Times and lists are the strings of TR-106. A
// text that is none of its type stays a string, rather than be told wrong.
func variant(typ, text string) dbus.Variant {
	switch typ {
	case "boolean":
		switch text {
		case "true", "1":
			return dbus.MakeVariant(true)
		case "false", "0":
			return dbus.MakeVariant(false)
		}
	case "int":
		if n, err := strconv.ParseInt(text, 10, 32); err == nil {
			return dbus.MakeVariant(int32(n))
		}
	case "unsignedInt":
		if n, err := strconv.ParseUint(text, 10, 32); err == nil {
			return dbus.MakeVariant(uint32(n))
		}
	case "long":
		if n, err := strconv.ParseInt(text, 10, 64); err == nil {
			return dbus.MakeVariant(n)
		}
	case "unsignedLong":
		if n, err := strconv.ParseUint(text, 10, 64); err == nil {
			return dbus.MakeVariant(n)
		}
	case "base64Binary":
		if b, err := base64.StdEncoding.DecodeString(text); err == nil {
			return dbus.MakeVariant(b)
		}
	case "hexBinary":
		if b, err := hex.DecodeString(text); err == nil {
			return dbus.MakeVariant(b)
		}
	}
	return dbus.MakeVariant(valid(text))
}

// integer is the text of an integer of any D-Bus type.
func integer(v any) (string, bool) {
	switch n := v.(type) {
	case byte:
		return strconv.FormatUint(uint64(n), 10), true
	case int16:
		return strconv.FormatInt(int64(n), 10), true
	case uint16:
		return strconv.FormatUint(uint64(n), 10), true
	case int32:
		return strconv.FormatInt(int64(n), 10), true
	case uint32:
		return strconv.FormatUint(uint64(n), 10), true
	case int64:
		return strconv.FormatInt(n, 10), true
	case uint64:
		return strconv.FormatUint(n, 10), true
	}
	return "", false
}

// plain is the text of a value for a parameter of a type, "list" among them. A
// string is taken as TR-106 writes the type; anything else must be of its kind.
func plain(typ string, v any) (text string, ok bool) {
	if s, is := v.(string); is {
		return s, true
	}
	switch typ {
	case "boolean":
		b, is := v.(bool)
		return strconv.FormatBool(b), is
	case "int", "unsignedInt", "long", "unsignedLong":
		return integer(v)
	case "base64Binary", "base64":
		b, is := v.([]byte)
		return base64.StdEncoding.EncodeToString(b), is
	case "hexBinary":
		b, is := v.([]byte)
		return strings.ToUpper(hex.EncodeToString(b)), is
	case "list":
		list, is := v.([]string)
		return joinList(list), is
	}
	return "", false
}

var listEscapes = strings.NewReplacer("%", "%25", ",", "%2C")

// joinList writes a list as TR-106 3.2.3 does.
func joinList(items []string) string {
	escaped := make([]string, len(items))
	for i, s := range items {
		escaped[i] = listEscapes.Replace(s)
	}
	return strings.Join(escaped, ",")
}
