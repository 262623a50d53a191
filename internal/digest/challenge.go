package digest

// Challenges: what a server asks for, and which of several we answer.

import (
	"fmt"
	"slices"
	"strings"
)

// A Challenge is one way in which a server lets us authenticate.
type Challenge struct {
	Basic bool // Basic; else Digest

	Realm     string
	Nonce     string
	Opaque    string
	HasOpaque bool // it must be echoed, even when it is empty
	Algorithm Algorithm
	Named     bool     // the challenge named its algorithm, so the answer does
	QOP       []string // of Auth and AuthInt; empty: the RFC 2069 form
	Stale     bool     // the credentials were right, only the nonce is old
	UserHash  bool     // the server wants the user name hashed
	UTF8      bool     // charset="UTF-8": names and passwords are UTF-8
}

// Parse reads the values of WWW-Authenticate (or Proxy-Authenticate) headers:
// several headers, or several challenges in one. It returns the challenges
// that can be answered, in their order. The error tells why there are none;
// it is nil when there is one.
func Parse(headers []string) ([]Challenge, error) {
	var out []Challenge
	var why []string
	room := maxHeader
	for _, h := range headers {
		if room -= len(h); room < 0 {
			why = append(why, errTooLong.Error())
			break
		}
		schemes := parseSchemes(h)
		for i := range schemes {
			switch c, err := challengeOf(&schemes[i]); {
			case err != nil:
				why = append(why, fmt.Sprintf("%.20s: %v", schemes[i].name, err))
			default:
				out = append(out, c)
			}
		}
	}
	if len(out) > 0 {
		return out, nil
	}
	if why == nil {
		return nil, ErrNoChallenge
	}
	return nil, fmt.Errorf("%w: %s", ErrNoChallenge, strings.Join(why, "; "))
}

// challengeOf reads one challenge; its error says why it cannot be answered.
func challengeOf(s *scheme) (Challenge, error) {
	switch {
	case s.broken != "":
		return Challenge{}, fmt.Errorf("%.60s", s.broken)
	case s.name == "basic":
		c := Challenge{Basic: true}
		c.Realm, _ = s.get("realm")
		c.UTF8 = s.is("charset", "UTF-8")
		return c, nil
	case s.name != "digest":
		return Challenge{}, fmt.Errorf("unknown scheme")
	}
	c := Challenge{Stale: s.is("stale", "true"), UserHash: s.is("userhash", "true"), UTF8: s.is("charset", "UTF-8")}
	var ok bool
	if c.Realm, ok = s.get("realm"); !ok {
		return Challenge{}, fmt.Errorf("no realm")
	}
	if c.Nonce, ok = s.get("nonce"); !ok {
		return Challenge{}, fmt.Errorf("no nonce")
	}
	c.Opaque, c.HasOpaque = s.get("opaque")
	name, named := s.get("algorithm")
	if c.Algorithm, ok = algorithmOf(name); !ok {
		return Challenge{}, fmt.Errorf("unknown algorithm %.20q", name)
	}
	c.Named = named && name != ""
	list, _ := s.get("qop")
	for q := range strings.FieldsFuncSeq(list, func(r rune) bool { return r == ',' || r == ' ' || r == '\t' }) {
		if q = strings.ToLower(q); q == Auth || q == AuthInt {
			c.QOP = append(c.QOP, q)
		}
	}
	if strings.TrimSpace(list) != "" && c.QOP == nil {
		return Challenge{}, fmt.Errorf("unknown qop %.20q", list)
	}
	return c, nil
}

// is reports whether a parameter has a value, without case.
func (s *scheme) is(name, value string) bool {
	v, _ := s.get(name)
	return strings.EqualFold(strings.TrimSpace(v), value)
}

// Choose returns the index of the challenge to answer, or -1 when there is
// none: the strongest Digest, first of equals; one with qop before one
// without; Basic only when there is no Digest (RFC 7616 5.1).
func Choose(cs []Challenge) int {
	best, score := -1, -1
	for i := range cs {
		s := 0
		if c := &cs[i]; !c.Basic {
			s = 2 * c.Algorithm.rank()
			if len(c.QOP) > 0 {
				s++
			}
		}
		if s > score {
			best, score = i, s
		}
	}
	return best
}

// qop returns the protection to use: Auth where it is offered, for auth-int
// costs a pass over the body and breaks behind proxies that touch it.
func (c *Challenge) qop(integrity bool) string {
	switch {
	case len(c.QOP) == 0:
		return ""
	case integrity && slices.Contains(c.QOP, AuthInt), !slices.Contains(c.QOP, Auth):
		return AuthInt
	default:
		return Auth
	}
}
