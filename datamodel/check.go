package datamodel

// Checks: limits on a value, written as literals in a parameter table and laid
// down by the compiler. Each can also say what it demands (Limits), so that
// dmtest compares it with the BBF table and tests know its edges.

import (
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// A Check is a limit on the value of a parameter. The checks are the ones of
// this package: literals like Len{Max: 64}.
type Check interface {
	check(v any) error // v points to the parsed value
	limit(*Limits)
}

// Len bounds the length of a string in characters, or of a binary in octets.
// Max 0 means no bound.
type Len struct{ Min, Max int }

// A Span is a closed interval of numbers.
type Span struct{ Min, Max int64 }

// Range bounds a number.
type Range Span

// Spans are the intervals that a number must be in one of.
type Spans []Span

// AtLeast bounds a number from below only. (Range needs both ends.)
type AtLeast int64

// Enum lists the values that a string may have.
type Enum []string

// Pattern holds XML Schema patterns, one of which must match the whole string.
type Pattern []string

// Hex makes a []byte a hexBinary of Min to Max octets; Max 0 means no bound.
type Hex struct{ Min, Max int }

// Base64 makes a []byte a base64Binary (which it is without a check, too) of
// Min to Max octets; Max 0 means no bound.
type Base64 struct{ Min, Max int }

// List bounds a list: Of is asked about each item, MinItems and MaxItems count
// them, MaxLen bounds the whole text. Zero means no bound.
type List struct {
	Of                 Check
	MinItems, MaxItems int
	MaxLen             int
}

// All demands all of its checks.
type All []Check

// Written tells what may be written from what may be read: a diagnostics
// state reads as one of Read, and accepts only one of Write.
type Written struct {
	Read  Check
	Write Enum
}

// The address types of TR-106. The empty string is valid, as it is there.
type (
	MACAddress  struct{} // "02:00:00:00:00:01"
	IPAddress   struct{} // either family
	IPv4Address struct{}
	IPv6Address struct{}
	IPPrefix    struct{} // either family, "192.0.2.0/24"
	IPv4Prefix  struct{}
	IPv6Prefix  struct{}
)

// Any is a check that passes everything: the place holder for "as the type".
type Any struct{}

func (l Len) check(v any) error {
	switch p := v.(type) {
	case *[]byte:
		return bounds("octets", len(*p), l.Min, l.Max)
	case *string:
		return bounds("characters", utf8.RuneCountInString(*p), l.Min, l.Max)
	case *Alias:
		return bounds("characters", utf8.RuneCountInString(string(*p)), l.Min, l.Max)
	case *[]string:
		return bounds("characters", utf8.RuneCountInString(joinList(*p)), l.Min, l.Max)
	}
	return nil
}

func bounds(what string, n, lo, hi int) error {
	if n < lo {
		return fmt.Errorf("%d %s, fewer than %d", n, what, lo)
	}
	if hi > 0 && n > hi {
		return fmt.Errorf("%d %s, more than %d", n, what, hi)
	}
	return nil
}

func (r Range) check(v any) error { return Spans{Span(r)}.check(v) }
func (a AtLeast) check(v any) error {
	return inSpans(v, func(n int64) bool { return n >= int64(a) }, "less than "+strconv.FormatInt(int64(a), 10))
}

func (s Spans) check(v any) error {
	return inSpans(v, func(n int64) bool {
		for _, one := range s {
			if one.Min <= n && n <= one.Max {
				return true
			}
		}
		return false
	}, "not in "+s.String())
}

func inSpans(v any, in func(int64) bool, problem string) error {
	n, big, ok := number(v)
	if !ok {
		return errors.New("not a number")
	}
	if big || !in(n) {
		return errors.New(problem)
	}
	return nil
}

// number returns the value of a number, or of a string that is the item of a
// list of numbers. big says that it is above every int64.
func number(v any) (n int64, big, ok bool) {
	switch p := v.(type) {
	case *int32:
		return int64(*p), false, true
	case *uint32:
		return int64(*p), false, true
	case *int64:
		return *p, false, true
	case *uint64:
		return int64(*p), int64(*p) < 0, true
	case *string:
		n, err := strconv.ParseInt(*p, 10, 64)
		return n, false, err == nil
	}
	return 0, false, false
}

// String returns "1..5 or 7..9".
func (s Spans) String() string {
	var b strings.Builder
	for i, one := range s {
		if i > 0 {
			b.WriteString(" or ")
		}
		fmt.Fprintf(&b, "%d..%d", one.Min, one.Max)
	}
	return b.String()
}

func (e Enum) check(v any) error {
	s, _ := v.(*string)
	if s == nil {
		return errors.New("not a string")
	}
	for _, x := range e {
		if x == *s {
			return nil
		}
	}
	return fmt.Errorf("%q is none of %s", clip(*s), strings.Join(e, ", "))
}

func (x Pattern) check(v any) error {
	s, _ := v.(*string)
	if s == nil {
		return errors.New("not a string")
	}
	for _, p := range x {
		if matchPattern(p, *s) {
			return nil
		}
	}
	return fmt.Errorf("%q does not look like %s", clip(*s), strings.Join(x, " or "))
}

func (h Hex) check(v any) error    { return Len(h).check(v) }
func (b Base64) check(v any) error { return Len(b).check(v) }
func (Any) check(any) error        { return nil }

func (l List) check(v any) error {
	n := 0
	switch p := v.(type) {
	case *[]string:
		n = len(*p)
		if l.MaxLen > 0 {
			if err := (Len{Max: l.MaxLen}).check(p); err != nil {
				return err
			}
		}
		for i := range *p {
			if l.Of == nil {
				break
			}
			if err := l.Of.check(&(*p)[i]); err != nil {
				return err
			}
		}
	case *[]Ref:
		n = len(*p)
	}
	return bounds("items", n, l.MinItems, l.MaxItems)
}

func (a All) check(v any) error {
	for _, c := range a {
		if err := c.check(v); err != nil {
			return err
		}
	}
	return nil
}

func (w Written) check(v any) error { return w.Write.check(v) }

// An address is checked as a string; parse must take the whole of it.
func address(v any, what string, ok func(string) bool) error {
	s, _ := v.(*string)
	if s == nil {
		return errors.New("not a string")
	}
	if *s == "" || ok(*s) {
		return nil
	}
	return fmt.Errorf("%q is no %s", clip(*s), what)
}

func isAddr(s string, v4, v6 bool) bool {
	a, err := netip.ParseAddr(s)
	return err == nil && a.Zone() == "" && (v4 && a.Is4() || v6 && a.Is6())
}

func isPrefix(s string, v4, v6 bool) bool {
	p, err := netip.ParsePrefix(s)
	return err == nil && (v4 && p.Addr().Is4() || v6 && p.Addr().Is6())
}

func isMAC(s string) bool {
	if len(s) != 17 {
		return false
	}
	for i := range len(s) {
		if i%3 == 2 {
			if s[i] != ':' {
				return false
			}
		} else if unhex(s[i]) < 0 {
			return false
		}
	}
	return true
}

func (MACAddress) check(v any) error { return address(v, "MAC address", isMAC) }
func (IPAddress) check(v any) error {
	return address(v, "IP address", func(s string) bool { return isAddr(s, true, true) })
}
func (IPv4Address) check(v any) error {
	return address(v, "IPv4 address", func(s string) bool { return isAddr(s, true, false) })
}
func (IPv6Address) check(v any) error {
	return address(v, "IPv6 address", func(s string) bool { return isAddr(s, false, true) })
}
func (IPPrefix) check(v any) error {
	return address(v, "IP prefix", func(s string) bool { return isPrefix(s, true, true) })
}
func (IPv4Prefix) check(v any) error {
	return address(v, "IPv4 prefix", func(s string) bool { return isPrefix(s, true, false) })
}
func (IPv6Prefix) check(v any) error {
	return address(v, "IPv6 prefix", func(s string) bool { return isPrefix(s, false, true) })
}

// readable asks a check about a value that was read, not written.
func readable(c Check, v any) error {
	if w, ok := c.(Written); ok {
		if w.Read == nil {
			return nil
		}
		return w.Read.check(v)
	}
	if c == nil {
		return nil
	}
	if t, ok := v.(*time.Time); ok && t.IsZero() {
		return nil
	}
	return c.check(v)
}
