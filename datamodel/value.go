package datamodel

// The closed set of value types: their names on the wire, their text, and how
// lenient we are when we read it (cwmp.md §6, §9, §20; TR-106 3.2).

import (
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// A Type is a TR-106 data type. Lists and references are strings.
type Type uint8

// Types.
const (
	String Type = iota + 1
	Boolean
	Int
	UnsignedInt
	Long
	UnsignedLong
	DateTime
	Base64Binary
	HexBinary
)

var xsd = [...]string{"", "xsd:string", "xsd:boolean", "xsd:int", "xsd:unsignedInt", "xsd:long", "xsd:unsignedLong",
	"xsd:dateTime", "xsd:base64Binary", "xsd:hexBinary"}

// XSD returns the name that the type has in an envelope: "xsd:unsignedInt".
func (t Type) XSD() string {
	if int(t) >= len(xsd) {
		return ""
	}
	return xsd[t]
}

// String returns the name without its prefix: "unsignedInt".
func (t Type) String() string { return strings.TrimPrefix(t.XSD(), "xsd:") }

// is reports whether a peer's xsi:type names t, whatever its prefix.
func (t Type) is(sent string) bool {
	if i := strings.LastIndexByte(sent, ':'); i >= 0 {
		sent = sent[i+1:]
	}
	sent = strings.TrimSpace(sent)
	return sent == t.String() || t == Base64Binary && sent == "base64"
}

// UnknownTime is how TR-106 3.2.2 spells a time that is not known. In Go it
// is the zero time.Time.
const UnknownTime = "0001-01-01T00:00:00Z"

// An Alias is the Alias parameter of a row. The engine keeps it with the
// instance number: it is "cpe-<number>" until somebody writes another one, and
// unique in its table. A Source never has to fill or to store it.
type Alias string

// A Ref points to an instance by the keys of its rows: Table is the path of
// the object as it was declared ("Device.IP.Interface.{i}."). Its text is the
// numbered path without the last dot, and "" when it is the zero Ref or when
// there is no such row (any more).
type Ref struct {
	Table string
	At    []Key
}

func typeOf(p any) (t Type, list bool) {
	switch p.(type) {
	case *string, *Ref, *Alias:
		return String, false
	case *[]string, *[]Ref:
		return String, true
	case *bool:
		return Boolean, false
	case *int32:
		return Int, false
	case *uint32:
		return UnsignedInt, false
	case *int64:
		return Long, false
	case *uint64:
		return UnsignedLong, false
	case *time.Time:
		return DateTime, false
	case *[]byte:
		return Base64Binary, false
	}
	return 0, false
}

// format returns the canonical text of a value that needs no tree to print.
func format(p any, t Type) string {
	switch p := p.(type) {
	case *string:
		return *p
	case *Alias:
		return string(*p)
	case *bool:
		if *p {
			return "true"
		}
		return "false"
	case *int32:
		return strconv.FormatInt(int64(*p), 10)
	case *uint32:
		return strconv.FormatUint(uint64(*p), 10)
	case *int64:
		return strconv.FormatInt(*p, 10)
	case *uint64:
		return strconv.FormatUint(*p, 10)
	case *time.Time:
		return formatTime(*p)
	case *[]byte:
		if t == HexBinary {
			return strings.ToUpper(hex.EncodeToString(*p))
		}
		return base64.StdEncoding.EncodeToString(*p)
	case *[]string:
		return joinList(*p)
	}
	return ""
}

// zeroText is what a Command parameter reads as.
func zeroText(t Type) string {
	switch t {
	case Boolean:
		return "false"
	case Int, UnsignedInt, Long, UnsignedLong:
		return "0"
	case DateTime:
		return UnknownTime
	}
	return ""
}

// formatTime keeps the zone: a local time is told with its offset from UTC.
func formatTime(t time.Time) string {
	if t.IsZero() {
		return UnknownTime
	}
	t = t.Truncate(time.Microsecond)
	if t.Nanosecond() == 0 {
		return t.Format("2006-01-02T15:04:05Z07:00")
	}
	return t.Format("2006-01-02T15:04:05.999999Z07:00")
}

// parse writes text into p, which is not a reference. Blanks around a number,
// a boolean, a time or a binary do not count (XML Schema, whiteSpace=collapse);
// those of a string do.
func parse(p any, t Type, text string) error {
	switch p := p.(type) {
	case *string:
		return parseString(p, text)
	case *Alias:
		return parseString((*string)(p), text)
	case *[]string:
		if !utf8.ValidString(text) {
			return errors.New("not UTF-8")
		}
		*p = splitList(text)
		return nil
	}
	text = strings.Trim(text, " \t\r\n")
	var err error
	switch p := p.(type) {
	case *bool:
		*p, err = parseBool(text)
	case *int32:
		var n int64
		n, err = strconv.ParseInt(text, 10, 32)
		*p = int32(n)
	case *uint32:
		var n uint64
		n, err = strconv.ParseUint(strings.TrimPrefix(text, "+"), 10, 32)
		*p = uint32(n)
	case *int64:
		*p, err = strconv.ParseInt(text, 10, 64)
	case *uint64:
		*p, err = strconv.ParseUint(strings.TrimPrefix(text, "+"), 10, 64)
	case *time.Time:
		*p, err = parseTime(text)
	case *[]byte:
		*p, err = parseBinary(t, text)
	default:
		return fmt.Errorf("%T has no text", p)
	}
	var num *strconv.NumError
	if errors.As(err, &num) {
		return fmt.Errorf("%q is no %s: %w", clip(text), t, num.Err)
	}
	return err
}

func parseString(p *string, text string) error {
	if !utf8.ValidString(text) {
		return errors.New("not UTF-8")
	}
	*p = text
	return nil
}

func parseBool(text string) (bool, error) {
	switch text {
	case "1", "true", "True", "TRUE":
		return true, nil
	case "0", "false", "False", "FALSE":
		return false, nil
	}
	return false, fmt.Errorf("%q is no boolean", clip(text))
}

// parseTime reads ISO 8601 with a zone, with or without a fraction; without a
// zone it is UTC (TR-106 3.2.1).
func parseTime(text string) (time.Time, error) {
	for _, layout := range []string{"2006-01-02T15:04:05Z07:00", "2006-01-02T15:04:05"} {
		if t, err := time.Parse(layout, text); err == nil {
			return t.UTC(), nil
		}
	}
	return time.Time{}, fmt.Errorf("%q is no dateTime", clip(text))
}

func parseBinary(t Type, text string) ([]byte, error) {
	if t == HexBinary {
		b, err := hex.DecodeString(text)
		if err != nil {
			return nil, errors.New("not hexadecimal")
		}
		return b, nil
	}
	text = strings.Map(func(r rune) rune {
		if r == ' ' || r == '\t' {
			return -1
		}
		return r
	}, text)
	b, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		return nil, errors.New("not base64")
	}
	return b, nil
}

// clip keeps what a peer sent short enough for a message.
func clip(s string) string {
	if len(s) > 64 {
		return s[:64] + "…"
	}
	return s
}
