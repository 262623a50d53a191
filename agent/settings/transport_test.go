package settings

import (
	"slices"
	"strings"
	"testing"
	"time"
)

// S003-01, S003-02: what a rule may say, as a file has it, and what is no rule:
// that is a mistake in the file, with its line.
func TestTransportRules(t *testing.T) {
	s := newHouse(t, "config transport\n list rule '* response=2  idle=60'\n list rule 'host.example keepalive=off'\n list rule 'https://acs.example/a,b response=90'\n").open()
	want := []TransportRule{
		{Response: 2 * time.Second, Idle: time.Minute}, {Match: "host.example", KeepAlive: "off"}, {Match: "https://acs.example/a,b", Response: 90 * time.Second},
	}
	if got := s.TransportRules(); !slices.Equal(got, want) {
		t.Errorf("%+v", got)
	}
	if got := newHouse(t, "").open().TransportRules(); got != nil {
		t.Errorf("without any: %+v", got)
	}
	for _, line := range []string{"rue", "rue response=0", "rue response=x", "rue keepalive=maybe", "rue idle", "rue speed=9", "rue response=70000", "rue response=1;x"} {
		if v, err := canonicalTransport(line); err == nil {
			t.Errorf("%q is taken as %q", line, v)
		}
	}
	set := &setting{name: TransportRules, kind: transport}
	if v, err := set.canonical(" "); err != nil || v != "" {
		t.Errorf("nothing at all is %q, %v", v, err)
	}
	if !strings.Contains(set.limits(), "MATCH") {
		t.Errorf("limits: %s", set.limits())
	}
}
