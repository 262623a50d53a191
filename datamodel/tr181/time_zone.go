// Time zones: what a POSIX TZ string says, and whether it is one.

package tr181

import (
	"strings"
	"time"

	"gatehouse/platform"
)

// Zone is where the device is: Go's reading of its POSIX TZ string, for Go
// itself takes such a TZ for UTC; else the IANA zone; else UTC.
func Zone(s platform.TimeStatus) *time.Location {
	if s.POSIX != "" {
		if l, err := posixZone(s.POSIX); err == nil {
			return l
		}
	}
	if s.Zone != "" {
		if l, err := time.LoadLocation(s.Zone); err == nil {
			return l
		}
	}
	return time.UTC
}

// posixZone is the zone of a POSIX TZ string. It writes the string as the
// footer of an otherwise empty zone file (RFC 8536 §3.3), which Go can read:
// one type, and one transition far back, from which on the footer rules.
func posixZone(tz string) (*time.Location, error) {
	const (
		head1 = "TZif2\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00" // magic, version, 15 reserved
		// counts: isutc, isstd, leap, transitions, types, characters
		none  = "\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"
		one   = "\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01\x00\x00\x00\x01\x00\x00\x00\x04"
		start = "\xff\xff\xff\xff\x00\x00\x00\x00" // 1833
		kind  = "\x00" + "\x00\x00\x00\x00\x00\x00" + "UTC\x00"
	)
	return time.LoadLocationFromTZData(tz, []byte(head1+none+head1+one+start+kind+"\n"+tz+"\n"))
}

// validTZ says whether s is a POSIX TZ string (IEEE 1003.1 §8.3), with the
// quoted names and the hours up to 167 of RFC 8536 §3.3.1. The form ":path" is
// not for an ACS to write.
func validTZ(s string) bool {
	p := tzParser{s}
	if !p.name() || !p.clock(24) {
		return false
	}
	if p.rest == "" {
		return true
	}
	if !p.name() {
		return false
	}
	if p.rest != "" && p.rest[0] != ',' && !p.clock(24) {
		return false
	}
	if p.rest == "" {
		return true // the rules are left to the system
	}
	begins, ends := p.rule(), p.rule()
	return begins && ends && p.rest == ""
}

// A tzParser takes a TZ string apart from the front.
type tzParser struct{ rest string }

// skip takes one byte of those in set.
func (p *tzParser) skip(set string) bool {
	if p.rest == "" || !strings.Contains(set, p.rest[:1]) {
		return false
	}
	p.rest = p.rest[1:]
	return true
}

// name takes "CET" or "<+0330>", of three characters at least.
func (p *tzParser) name() bool {
	quoted := p.skip("<")
	n := 0
	for n < len(p.rest) && (isLetter(p.rest[n]) || quoted && strings.IndexByte("0123456789+-", p.rest[n]) >= 0) {
		n++
	}
	p.rest = p.rest[n:]
	return n >= 3 && (!quoted || p.skip(">"))
}

func isLetter(c byte) bool { return c|0x20 >= 'a' && c|0x20 <= 'z' }

// number takes a number of at most three digits.
func (p *tzParser) number(least, most int) bool {
	n, v := 0, 0
	for n < len(p.rest) && n < 3 && p.rest[n] >= '0' && p.rest[n] <= '9' {
		v = v*10 + int(p.rest[n]-'0')
		n++
	}
	p.rest = p.rest[n:]
	return n > 0 && v >= least && v <= most
}

// clock takes [+-]hh[:mm[:ss]].
func (p *tzParser) clock(hours int) bool {
	p.skip("+-")
	return p.number(0, hours) && (!p.skip(":") || p.number(0, 59) && (!p.skip(":") || p.number(0, 59)))
}

// rule takes ",M3.5.0/2", ",J60" or ",59".
func (p *tzParser) rule() bool {
	ok := p.skip(",")
	switch {
	case !ok:
	case p.skip("M"):
		ok = p.number(1, 12) && p.skip(".") && p.number(1, 5) && p.skip(".") && p.number(0, 6)
	case p.skip("J"):
		ok = p.number(1, 365)
	default:
		ok = p.number(0, 365)
	}
	return ok && (!p.skip("/") || p.clock(167))
}
