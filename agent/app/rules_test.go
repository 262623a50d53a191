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
		rule    endpoint.Rule
		silence time.Duration
		closes  bool
	}{
		{endpoint.Rule{}, 40 * time.Second, false},
		{endpoint.Rule{Response: 2 * time.Second}, 30 * time.Second, false},
		{endpoint.Rule{Match: "rue", Response: time.Minute, KeepAlive: "off"}, 40 * time.Second, false},
		{endpoint.Rule{Match: "cwmp", Response: 90 * time.Second}, 90 * time.Second, false},
		{endpoint.Rule{Match: "acs.example", Response: 50 * time.Second, KeepAlive: "off"}, 50 * time.Second, true},
		{endpoint.Rule{Match: "https://acs.example/cwmp", Idle: 5 * time.Second, KeepAlive: "off"}, 40 * time.Second, true},
		{endpoint.Rule{Match: "https://acs.example/other", KeepAlive: "off"}, 40 * time.Second, false},
	} {
		u := &url.URL{Scheme: "https", Host: "acs.example", Path: "/cwmp"}
		if silence, closes := cwmpRule(endpoint.Rules{row.rule}, u, 40*time.Second); silence != row.silence || closes != row.closes {
			t.Errorf("%+v: %v, %v", row.rule, silence, closes)
		}
	}
}
