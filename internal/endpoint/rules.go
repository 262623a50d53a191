package endpoint

import (
	"net/url"
	"strings"
	"time"
)

// A Rule says how requests to some destinations are made. Zero fields say
// nothing: a less specific rule counts, and at last the default of who asks.
type Rule struct {
	// Match is a URL that a request's begins with, a host, or the name of a
	// channel; "" matches every request.
	Match     string
	Response  time.Duration // from the last byte of a request to the first of its answer
	Idle      time.Duration // how long a connection is kept without a request
	KeepAlive string        // "on", "off"; "" not said
}

// Rules are looked through from the most specific on: the longest URL, the
// host, the channel, the rest.
type Rules []Rule

// For returns what the rules say of a request to u over the channel.
func (rs Rules) For(channel string, u *url.URL) Rule {
	out := Rule{Match: u.Redacted()}
	best := [3]int{-1, -1, -1}
	for _, r := range rs {
		rank := r.rank(channel, u)
		if rank < 0 {
			continue
		}
		if r.Response > 0 && rank > best[0] {
			out.Response, best[0] = r.Response, rank
		}
		if r.Idle > 0 && rank > best[1] {
			out.Idle, best[1] = r.Idle, rank
		}
		if r.KeepAlive != "" && rank > best[2] {
			out.KeepAlive, best[2] = r.KeepAlive, rank
		}
	}
	return out
}

// rank says how specific r is to a request: negative, not at all.
func (r *Rule) rank(channel string, u *url.URL) int {
	const byHost, byURL = 2, 3
	switch {
	case r.Match == "":
		return 0
	case strings.Contains(r.Match, "://"):
		if m, err := url.Parse(r.Match); err == nil && strings.EqualFold(m.Scheme, u.Scheme) && strings.EqualFold(m.Host, u.Host) && below(u.EscapedPath(), m.EscapedPath()) {
			return byURL + len(m.EscapedPath())
		}
	case r.Match == channel:
		return 1
	case strings.EqualFold(r.Match, u.Host), strings.EqualFold(r.Match, u.Hostname()):
		return byHost
	}
	return -1
}

// below says whether path is prefix or lies below it: /a does not lead to /ab.
func below(path, prefix string) bool {
	rest, ok := strings.CutPrefix(path, prefix)
	return ok && (rest == "" || strings.HasSuffix(prefix, "/") || prefix == "" || rest[0] == '/')
}
