package xmpp

import (
	"strings"
	"testing"
)

func TestParseJID(t *testing.T) {
	tests := []struct {
		in, want string // "": none
	}{
		{"acs@example.com/a/b@c", "acs@example.com/a/b@c"},
		{" ACS@Example.COM./Home ", "acs@example.com/Home"},
		{"example.com", "example.com"},
		{"example.com/x", "example.com/x"},
		{"Müller@example.com", "müller@example.com"},
		{"a@127.0.0.1", "a@127.0.0.1"},
		{"", ""}, {"@example.com", ""}, {"a@", ""}, {"a@b/", ""}, {"a@b@c", ""}, {"a b@c", ""}, {"/x", ""},
		{"a@" + strings.Repeat("b", maxPart+1), ""},
	}
	for _, test := range tests {
		j, ok := ParseJID(test.in)
		if ok != (test.want != "") || j.String() != test.want {
			t.Errorf("%q: %q, %v; want %q", test.in, j, ok, test.want)
		}
	}
}

func TestAllowed(t *testing.T) {
	tests := []struct {
		list []string
		who  string
		want bool
	}{
		{nil, "acs@example.com/x", true},
		{[]string{"", " "}, "acs@example.com/x", true},
		{[]string{"acs@example.com"}, "acs@example.com/x", true},
		{[]string{"acs@example.com"}, "acs@example.com", true},
		{[]string{" ACS@EXAMPLE.com "}, "acs@example.com/x", true},
		{[]string{"acs@example.com/x"}, "ACS@example.com/x", true},
		{[]string{"acs@example.com/x"}, "acs@example.com/X", false},
		{[]string{"acs@example.com/x"}, "acs@example.com", false},
		{[]string{"b@example.com", "acs@example.com"}, "acs@example.com/x", true}, // icwmp goes by the first one's length
		{[]string{"acs@example.com"}, "acs@example.com.evil.org/x", false},
		{[]string{"acs@example.com"}, "acs2@example.com/x", false},
		{[]string{"example.com"}, "acs@example.com/x", false},
		{[]string{"not a jid"}, "acs@example.com/x", false},
		{[]string{"acs@example.com"}, "not a jid", false},
		{[]string{"also not"}, "not a jid", false},
	}
	for _, test := range tests {
		who, _ := ParseJID(test.who)
		if got := allowed(test.list, who); got != test.want {
			t.Errorf("%q in %q: %v", test.who, test.list, got)
		}
	}
}
