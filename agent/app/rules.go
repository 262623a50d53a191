package app

import (
	"errors"
	"net/url"
	"strconv"
	"strings"
	"time"

	"gatehouse/agent/settings"
	"gatehouse/internal/endpoint"
)

// This file says what the rules of section transport change: the conversations
// with the provider's servers and, as channel "cwmp", the sessions with the ACS.
// File transfers have times of their own.

// parseRules reads rules as the configuration has them: "MATCH response=2
// idle=60 keepalive=off", times in seconds; a MATCH of "*" is every request.
func parseRules(lines []string) (rules endpoint.Rules, err error) {
	for _, line := range lines {
		f := strings.Fields(line)
		if len(f) < 2 {
			return nil, errors.New("transport rule " + strconv.Quote(line) + ": say what it is for, and what it sets")
		}
		rule := endpoint.Rule{Match: f[0]}
		if rule.Match == "*" {
			rule.Match = ""
		}
		for _, word := range f[1:] {
			name, v, _ := strings.Cut(word, "=")
			seconds, bad := strconv.ParseUint(v, 10, 16)
			switch {
			case name == "response" && bad == nil && seconds > 0:
				rule.Response = time.Duration(seconds) * time.Second
			case name == "idle" && bad == nil && seconds > 0:
				rule.Idle = time.Duration(seconds) * time.Second
			case name == "keepalive" && (v == "on" || v == "off"):
				rule.KeepAlive = v
			default:
				return nil, errors.New("transport rule " + strconv.Quote(line) + ": " + strconv.Quote(word) + " is not response=, idle= (seconds) or keepalive=on|off")
			}
		}
		rules = append(rules, rule)
	}
	return rules, nil
}

// leastSilence is what an ACS may take to answer whatever a rule says (TR-069
// 3.4.2): a rule for all channels must not end its sessions.
const leastSilence = 30 * time.Second

// cwmpRule is what the rules make of a session with the ACS at u: how long it
// may be silent, which is timeout where they do not say, and whether each POST
// has a connection of its own. How long a connection may be idle means nothing
// to a session, which ends with its last answer.
func cwmpRule(rules endpoint.Rules, u *url.URL, timeout time.Duration) (silence time.Duration, closes bool) {
	rule := rules.For("cwmp", u)
	if rule.Response > 0 {
		timeout = max(rule.Response, leastSilence)
	}
	return timeout, rule.KeepAlive == "off"
}

// sessionRules are the rules for a session with the ACS at u.
func (a *Agent) sessionRules(u *url.URL) (silence time.Duration, closes bool, err error) {
	rules, err := parseRules(a.settings.List(settings.TransportRules))
	if err != nil {
		return 0, false, err
	}
	silence, closes = cwmpRule(rules, u, a.settings.Seconds(settings.Timeout))
	return silence, closes, nil
}
