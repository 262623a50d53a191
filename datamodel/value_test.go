package datamodel

// Values, checks, patterns and paths, with fuzz targets.

import (
	"math"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

// A parseCase is a text, what it is read as (nil: refused), and how that is
// printed where it is not the same text.
type parseCase struct {
	p    any
	typ  Type
	text string
	want any
	out  string
}

func parseCases(utc func(string) time.Time) []parseCase {
	return []parseCase{

		{new(bool), Boolean, "1", true, "true"},
		{new(bool), Boolean, "0", false, "false"},
		{new(bool), Boolean, "True", true, "true"},
		{new(bool), Boolean, " false\n", false, "false"},
		{new(bool), Boolean, "yes", nil, ""},
		{new(bool), Boolean, "", nil, ""},
		{new(int32), Int, "-2147483648", int32(math.MinInt32), ""},
		{new(int32), Int, "+5", int32(5), "5"},
		{new(int32), Int, "2147483648", nil, ""},
		{new(int32), Int, "1e3", nil, ""},
		{new(int32), Int, "", nil, ""},
		{new(uint32), UnsignedInt, "4294967295", uint32(math.MaxUint32), ""},
		{new(uint32), UnsignedInt, "-1", nil, ""},
		{new(uint32), UnsignedInt, "0x10", nil, ""},
		{new(uint32), UnsignedInt, "1_000", nil, ""},
		{new(int64), Long, "-9223372036854775808", int64(math.MinInt64), ""},
		{new(uint64), UnsignedLong, "18446744073709551615", uint64(math.MaxUint64), ""},
		{new(uint64), UnsignedLong, "18446744073709551616", nil, ""},
		{new(string), String, " \t a <&>\n", " \t a <&>\n", ""},
		{new(string), String, "a\xffb", nil, ""},
		{new(time.Time), DateTime, "2026-11-21T23:00:00Z", utc("2026-11-21T23:00:00Z"), ""},
		{new(time.Time), DateTime, "2026-11-21T23:00:00+02:00", utc("2026-11-21T21:00:00Z"), "2026-11-21T21:00:00Z"},
		{new(time.Time), DateTime, "2026-11-21T23:00:00.123Z", utc("2026-11-21T23:00:00.123Z"), ""},
		{new(time.Time), DateTime, "2026-11-21T23:00:00.000Z", utc("2026-11-21T23:00:00Z"), "2026-11-21T23:00:00Z"},
		{new(time.Time), DateTime, "2026-11-21T23:00:00", utc("2026-11-21T23:00:00Z"), "2026-11-21T23:00:00Z"},
		{new(time.Time), DateTime, UnknownTime, time.Time{}, ""},
		{new(time.Time), DateTime, "9999-12-31T23:59:59Z", utc("9999-12-31T23:59:59Z"), ""},
		{new(time.Time), DateTime, "0001-01-01T00:05:00Z", utc("0001-01-01T00:05:00Z"), ""},
		{new(time.Time), DateTime, "2026-11-21", nil, ""},
		{new(time.Time), DateTime, "", nil, ""},
		{new([]byte), HexBinary, "00aB", []byte{0, 0xab}, "00AB"},
		{new([]byte), HexBinary, "", []byte{}, ""},
		{new([]byte), HexBinary, "abc", nil, ""},
		{new([]byte), Base64Binary, "AQI=", []byte{1, 2}, ""},
		{new([]byte), Base64Binary, "AQ\r\nI=", []byte{1, 2}, "AQI="},
		{new([]byte), Base64Binary, "AQI", nil, ""},
		{new([]string), String, "a, b ,c", []string{"a", "b", "c"}, "a,b,c"},
		{new([]string), String, "a%2Cb,50%25,%zz", []string{"a,b", "50%", "%zz"}, "a%2Cb,50%25,%25zz"},
		{new([]string), String, "%20a%20", []string{" a "}, ""},
		{new([]string), String, "", []string(nil), ""},
		{new([]string), String, "a,,b", []string{"a", "", "b"}, ""},
	}
}

func TestParseAndFormat(t *testing.T) {
	utc := func(s string) time.Time {
		v, err := time.Parse(time.RFC3339Nano, s)
		if err != nil {
			t.Fatal(err)
		}
		return v.UTC()
	}
	for _, tt := range parseCases(utc) {
		err := parse(tt.p, tt.typ, tt.text)
		if tt.want == nil {
			if err == nil {
				t.Errorf("%s %q was taken", tt.typ, tt.text)
			}
			continue
		}
		got := reflect.ValueOf(tt.p).Elem().Interface()
		if err != nil || !reflect.DeepEqual(got, tt.want) {
			t.Errorf("%s %q: got %v, %v", tt.typ, tt.text, got, err)
		}
		out := tt.out
		if out == "" {
			out = tt.text
		}
		if s := format(tt.p, tt.typ); s != out && len(tt.text) > 0 {
			t.Errorf("%s %q prints %q", tt.typ, tt.text, s)
		}
	}
}

func FuzzValue(f *testing.F) {
	for _, s := range []string{"", "1", "true", "-5", "2026-11-21T23:00:00.123+02:00", "0aFF", "AQI=", "a,b%2C, c", "%"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		for _, p := range []func() (any, Type){
			func() (any, Type) { return new(string), String }, func() (any, Type) { return new(bool), Boolean },
			func() (any, Type) { return new(int32), Int }, func() (any, Type) { return new(uint64), UnsignedLong },
			func() (any, Type) { return new(time.Time), DateTime }, func() (any, Type) { return new([]byte), HexBinary },
			func() (any, Type) { return new([]byte), Base64Binary }, func() (any, Type) { return new([]string), String },
		} {
			v, typ := p()
			if parse(v, typ, text) != nil {
				continue
			}
			once := format(v, typ)
			again, _ := p()
			if err := parse(again, typ, once); err != nil || format(again, typ) != once {
				t.Fatalf("%T: %q prints %q, which reads as %q, %v", v, text, once, format(again, typ), err)
			}
		}
	})
}

func TestChecks(t *testing.T) {
	str := func(s string) any { return &s }
	u := func(n uint64) any { return &n }
	i := func(n int32) any { return &n }
	for _, tt := range []struct {
		c         Check
		good, bad []any
	}{
		{Len{1, 3}, []any{str("a"), str("äöü")}, []any{str(""), str("abcd")}},
		{Range{-1, 5}, []any{i(-1), i(5), u(0)}, []any{i(-2), i(6), u(math.MaxUint64)}},
		{AtLeast(1), []any{i(1), u(math.MaxInt64)}, []any{i(0), u(0)}},
		{Spans{{-1, -1}, {4, 6}}, []any{i(-1), i(4), i(6), str("5")}, []any{i(0), i(3), i(7), str("x")}},
		{Enum{"a", "b"}, []any{str("a")}, []any{str("A"), str("")}},
		{Pattern{"", "[0-9A-F]{6}"}, []any{str(""), str("00AABB")}, []any{str("00aabb"), str("00AABBC")}},
		{All{Len{Max: 2}, Enum{"a", "bbb"}}, []any{str("a")}, []any{str("bbb"), str("b")}},
		{Written{Read: Enum{"None", "Requested", "Complete"}, Write: Enum{"Requested"}}, []any{str("Requested")}, []any{str("None"), str("Complete")}},
		{MACAddress{}, []any{str(""), str("02:00:00:00:00:0a")}, []any{str("02-00-00-00-00-0a"), str("02:00:00:00:00"), str("0g:00:00:00:00:00")}},
		{IPAddress{}, []any{str(""), str("192.0.2.1"), str("2001:db8::1")}, []any{str("192.0.2"), str("fe80::1%eth0"), str("x")}},
		{IPv4Address{}, []any{str("192.0.2.1")}, []any{str("::1"), str("::ffff:192.0.2.1")}},
		{IPv6Address{}, []any{str("::1")}, []any{str("192.0.2.1")}},
		{IPPrefix{}, []any{str("192.0.2.0/24"), str("2001:db8::/32")}, []any{str("192.0.2.0"), str("192.0.2.0/33")}},
		{IPv4Prefix{}, []any{str("192.0.2.0/24")}, []any{str("::/0")}},
		{IPv6Prefix{}, []any{str("::/0")}, []any{str("0.0.0.0/0")}},
		{Hex{1, 2}, []any{&[]byte{1}}, []any{&[]byte{}, &[]byte{1, 2, 3}}},
		{Base64{Max: 1}, []any{&[]byte{}}, []any{&[]byte{1, 2}}},
		{List{Of: Range{1, 3}, MinItems: 1, MaxItems: 2, MaxLen: 4}, []any{&[]string{"1", "3"}}, []any{&[]string{}, &[]string{"4"}, &[]string{"1", "2", "3"}, &[]string{"00001"}, &[]string{"x"}}},
		{Any{}, []any{str("x")}, nil},
	} {
		for _, v := range tt.good {
			if err := tt.c.check(v); err != nil {
				t.Errorf("%#v refuses %v: %v", tt.c, reflect.ValueOf(v).Elem(), err)
			}
		}
		for _, v := range tt.bad {
			if tt.c.check(v) == nil {
				t.Errorf("%#v takes %v", tt.c, reflect.ValueOf(v).Elem())
			}
		}
	}
	s := "Complete"
	if err := readable(Written{Read: Enum{"Complete"}, Write: Enum{"Requested"}}, &s); err != nil {
		t.Errorf("a state that may only be read: %v", err)
	}
}

// The patterns of the BBF table, against package regexp.
func TestPatterns(t *testing.T) {
	texts := []string{"", "0", "7", "42", "63", "64", "255", "2.19", "2.", "12:34", "23:59", "24:00", "00AABB", "00aabb", "02:00:00:00:00:01", "0200:00:00:00:01",
		"192.0.2.1", "256.0.0.1", "1.2.3", "/24", "/33", "192.0.2.0/24", "Null", "Drop", ":7", "5:3", "12/34", "12345678", "1234", "123", "0,1,2,3,4,5,6,7,0,1,2,3,4,5,6,7",
		"a0b1c2d3-0000-1111-2222-333344445555", "1 Firmware Upgrade Image", "X 00AABB anything", "US ", "DEI", "123K", "K", "2026(01)", "1.2.3.4.5"}
	for _, p := range []string{
		`([0-9A-Fa-f][0-9A-Fa-f]:){5}([0-9A-Fa-f][0-9A-Fa-f])`, `((25[0-5]|2[0-4][0-9]|[01]?[0-9]?[0-9])\.){3}(25[0-5]|2[0-4][0-9]|[01]?[0-9]?[0-9])`,
		`[0-9A-F]{6}`, `[A-Fa-f0-9]{8}-[A-Fa-f0-9]{4}-[A-Fa-f0-9]{4}-[A-Fa-f0-9]{4}-[A-Fa-f0-9]{12}`, `[0-9]{14,15}`, `\d+(\.\d+)*`, `([01][0-9]|2[0-3]):[0-5][0-9]`,
		`[0-9]|[1-5][0-9]|6[0-3]`, `:[0-7]`, `([0-9]|[1-5][0-9]|6[0-3]):[0-7]`, `\d+/\d+`, `\d{4}|\d{8}`, `/(3[0-2]|[012]?[0-9])`, `2\.\d+`, `[A-Z][A-Z][ OI]`,
		`([0-7],){15}[0-7]`, `([0-9]{1,15}?[BKMGT])`, `X [0-9A-F]{6} .*`, `Null`, ``, `a*`, `(a|b)*c?`, `[^0-9]+`, `\w+\s?`, `[a-z\d]+`, `x{2,}`,
	} {
		if strings.Contains(p, "}?") {
			continue // not XML Schema, and lazy in regexp
		}
		re := regexp.MustCompile(`^(?:` + p + `)$`)
		for _, s := range texts {
			if got, want := matchPattern(p, s), re.MatchString(s); got != want {
				t.Errorf("%s on %q: %v", p, s, got)
			}
		}
	}
	for _, p := range []string{"(", "[", "a{", "a{x}", "a{3,2}", ")", "*", `\`, "(a", "a{2000}", "[a"} {
		if matchPattern(p, "a") {
			t.Errorf("%q is no pattern, and matches", p)
		}
	}
	if matchPattern("(a*)*b", strings.Repeat("a", 200)) {
		t.Error("matched")
	}
}

func FuzzPattern(f *testing.F) {
	f.Add(`([0-9]{1,3}\.){3}[0-9]|x?`, "1.2.3.4")
	f.Fuzz(func(t *testing.T, p, s string) { matchPattern(p, s) })
}

func FuzzPath(f *testing.F) {
	for _, s := range []string{"", "Device.", "Device.Port.1.MTU", "Device.Port.[a.b].Address.*.", "Device.Box.Boot.Detail.", "Device.Port.[", "Device.Port.*"} {
		f.Add(s)
	}
	tree := newRouter().tree(f)
	f.Fuzz(func(t *testing.T, text string) {
		p, err := parsePath(text)
		if err == nil && text != "" {
			var parts []string
			for _, s := range p.segs {
				parts = append(parts, s.name)
			}
			back := Root + strings.Join(parts, ".")
			if p.partial && len(parts) > 0 {
				back += "."
			}
			if back != text {
				t.Fatalf("%q was read as %q", text, back)
			}
		}
		if _, d := tree.Describe(t.Context(), text); err != nil && d == nil {
			t.Fatalf("%q is described, and no path", text)
		}
		for it, err := range tree.Values(t.Context(), text) {
			if err == nil && !strings.HasPrefix(it.Name, strings.SplitN(text, "*", 2)[0]) {
				t.Fatalf("%q yields %s", text, it.Name)
			}
		}
	})
}

func FuzzWords(f *testing.F) {
	f.Add("a \"b c\" d", "x")
	f.Fuzz(func(t *testing.T, line, word string) {
		_, _ = words(line)
		got, err := words(string(append(appendWord([]byte("k "), word), " z"...)))
		if err != nil || !slices.Equal(got, []string{"k", word, "z"}) {
			t.Fatalf("%q: %q %v", word, got, err)
		}
	})
}
