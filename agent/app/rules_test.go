package app

import (
	"net/url"
	"testing"
	"time"

	"gatehouse/internal/endpoint"
)

// S003-01, S003-02, S003-31: rules for sessions with the ACS: by URL, host and
// channel; none makes the agent less patient than TR-069 wants it.
func TestRulesOfSessions(t *testing.T) {
	for _, row := range []struct {
		rule    string
		silence time.Duration
		closes  bool
	}{
		{"", 40 * time.Second, false},
		{"* response=2", 30 * time.Second, false},
		{"rue response=60 keepalive=off", 40 * time.Second, false},
		{"cwmp response=90", 90 * time.Second, false},
		{"acs.example response=50 keepalive=off", 50 * time.Second, true},
		{"https://acs.example/cwmp keepalive=off idle=5", 40 * time.Second, true},
		{"https://acs.example/other keepalive=off", 40 * time.Second, false},
	} {
		var lines []string
		if row.rule != "" {
			lines = []string{row.rule}
		}
		rules, err := parseRules(lines)
		if err != nil {
			t.Fatal(err)
		}
		u := &url.URL{Scheme: "https", Host: "acs.example", Path: "/cwmp"}
		if silence, closes := cwmpRule(rules, u, 40*time.Second); silence != row.silence || closes != row.closes {
			t.Errorf("%q: %v, %v", row.rule, silence, closes)
		}
	}
}

// What a rule may say, and what is no rule.
func TestParseRules(t *testing.T) {
	rules, err := parseRules([]string{"* response=2 idle=60", "host.example keepalive=off"})
	want := endpoint.Rules{{Response: 2 * time.Second, Idle: time.Minute}, {Match: "host.example", KeepAlive: "off"}}
	if err != nil || len(rules) != 2 || rules[0] != want[0] || rules[1] != want[1] {
		t.Errorf("%+v, %v", rules, err)
	}
	for _, line := range []string{"", "rue", "rue response=0", "rue response=x", "rue keepalive=maybe", "rue idle", "rue speed=9", "rue response=70000"} {
		if _, err := parseRules([]string{line}); err == nil {
			t.Errorf("%q is taken", line)
		}
	}
}
