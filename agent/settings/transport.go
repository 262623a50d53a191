package settings

// The rules of section transport: "MATCH response=5 idle=60 keepalive=off".

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// A TransportRule says how requests to some destinations are made. What it does
// not say is zero.
type TransportRule struct {
	Match          string // the beginning of a URL, a host, a channel; "" every request
	Response, Idle time.Duration
	KeepAlive      string // "on", "off"
}

// TransportRules returns the rules as they stand in the configuration.
func (s *Settings) TransportRules() (rules []TransportRule) {
	for text := range strings.SplitSeq(s.Get(TransportRules), ";") {
		if r, err := parseTransport(text); err == nil { // else there is none: they were checked when they were read
			rules = append(rules, r)
		}
	}
	return rules
}

// canonicalTransport checks rules, several with semicolons between them.
func canonicalTransport(v string) (string, error) {
	var all []string
	for text := range strings.SplitSeq(v, ";") {
		if strings.TrimSpace(text) == "" {
			continue
		}
		if _, err := parseTransport(text); err != nil {
			return "", err
		}
		all = append(all, strings.Join(strings.Fields(text), " "))
	}
	return strings.Join(all, ";"), nil
}

// parseTransport reads one rule, times in seconds; a MATCH of "*" is every
// request.
func parseTransport(text string) (r TransportRule, err error) {
	f := strings.Fields(text)
	if len(f) < 2 {
		return r, fmt.Errorf("does not say for what a rule is and what it sets: %q", text)
	}
	if r.Match = f[0]; r.Match == "*" {
		r.Match = ""
	}
	for _, word := range f[1:] {
		name, v, _ := strings.Cut(word, "=")
		seconds, bad := strconv.ParseUint(v, 10, 16)
		switch {
		case name == "response" && bad == nil && seconds > 0:
			r.Response = time.Duration(seconds) * time.Second
		case name == "idle" && bad == nil && seconds > 0:
			r.Idle = time.Duration(seconds) * time.Second
		case name == "keepalive" && (v == "on" || v == "off"):
			r.KeepAlive = v
		default:
			return r, fmt.Errorf("has a rule with %q, which is not response=, idle= (seconds) or keepalive=on|off", word)
		}
	}
	return r, nil
}
