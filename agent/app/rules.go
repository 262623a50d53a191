package app

import (
	"net/url"
	"time"

	"gatehouse/agent/transfer"
	"gatehouse/internal/endpoint"
)

// This file says what the rules of section transport change: the conversations
// with the provider's servers, as channel "cwmp" the sessions with the ACS, and
// as channel "transfer" the requests to file servers. The tests of
// Device.IP.Diagnostics. have one connection each and the times of TR-143: a
// rule would change what they measure.

// transportRules are those of section transport.
func (a *Agent) transportRules() (rules endpoint.Rules) {
	for _, r := range a.settings.TransportRules() {
		rules = append(rules, endpoint.Rule(r))
	}
	return rules
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

// transferRule is what the rules make of a request to a file server. How long a
// connection may be idle means nothing to it: it ends with the transfer.
func (a *Agent) transferRule(u *url.URL) transfer.Rule {
	rule := a.transportRules().For("transfer", u)
	return transfer.Rule{Response: rule.Response, Closes: rule.KeepAlive == "off"}
}
