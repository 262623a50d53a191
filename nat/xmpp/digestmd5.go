package xmpp

import (
	"crypto/md5"
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"strings"
)

// DIGEST-MD5 (RFC 2831), for servers that have nothing better. It is historic
// (RFC 6331), off by default, and never chosen where SCRAM is on offer.

// digest is one exchange: a challenge, our response, the server's proof.
type digest struct {
	username, password, domain string
	cnonce                     string
	authzid                    string

	rspauth string // what the server must prove, once we have answered
	proven  bool
}

func newDigest(username, password, domain string) *digest {
	var b [18]byte
	_, _ = rand.Read(b[:]) // never fails (crypto/rand)
	return &digest{username: username, password: password, domain: domain, cnonce: base64.StdEncoding.EncodeToString(b[:])}
}

// start: there is no initial response; the server speaks first.
func (d *digest) start() ([]byte, error) { return nil, nil }

// step answers the challenge, and then the server's proof with nothing.
func (d *digest) step(challenge []byte) ([]byte, error) {
	dirs, err := directives(string(challenge))
	if err != nil {
		return nil, err
	}
	switch {
	case d.proven:
		return nil, errSteps
	case d.rspauth == "":
		return d.respond(dirs)
	}
	got := dirs["rspauth"]
	if len(got) != 1 || subtle.ConstantTimeCompare([]byte(strings.ToLower(got[0])), []byte(d.rspauth)) != 1 {
		return nil, errors.New("the server does not know the password: its rspauth is wrong")
	}
	d.proven = true
	return []byte{}, nil
}

func (d *digest) trusted() bool { return d.proven }

// respond makes the digest-response (RFC 2831 2.1.2).
func (d *digest) respond(dirs map[string][]string) ([]byte, error) {
	one := func(name string) (string, bool) {
		v := dirs[name]
		return strings.Join(v, ""), len(v) == 1
	}
	nonce, ok := one("nonce")
	if !ok || nonce == "" {
		return nil, errors.New("a challenge needs one nonce")
	}
	if alg, ok := one("algorithm"); !ok || !strings.EqualFold(alg, "md5-sess") {
		return nil, errors.New("a challenge needs algorithm=md5-sess")
	}
	if qop, some := dirs["qop"]; some && !listed(qop[0], "auth") {
		return nil, errors.New("the server wants more than authentication (qop)")
	}
	utf8 := len(dirs["charset"]) == 1 && strings.EqualFold(dirs["charset"][0], "utf-8")
	realm := d.realm(dirs["realm"])
	uri := "xmpp/" + d.domain
	h := d.hash(realm, nonce, utf8)
	d.rspauth = h.proof("", uri)

	var b strings.Builder
	put := func(name, value string) {
		b.WriteString(name + `="` + quote(value) + `",`)
	}
	put("username", d.username)
	put("realm", realm)
	put("nonce", nonce)
	put("cnonce", d.cnonce)
	b.WriteString("nc=00000001,qop=auth,")
	put("digest-uri", uri)
	b.WriteString("response=" + h.proof("AUTHENTICATE", uri))
	if utf8 {
		b.WriteString(",charset=utf-8")
	}
	if d.authzid != "" {
		b.WriteString(`,authzid="` + quote(d.authzid) + `"`)
	}
	return []byte(b.String()), nil
}

// realm chooses among those offered: the one that is the domain, else the
// first; the domain where none is offered.
func (d *digest) realm(offered []string) string {
	for _, r := range offered {
		if strings.EqualFold(r, d.domain) {
			return r
		}
	}
	if len(offered) > 0 {
		return offered[0]
	}
	return d.domain
}

// session is HEX(H(A1)) with what goes into each proof.
type session struct{ a1, nonce, cnonce string }

func (d *digest) hash(realm, nonce string, utf8 bool) session {
	form := func(s string) string { return s }
	if utf8 { // 2.1.2.1: what ISO 8859-1 can say is hashed in it
		form = latin1
	}
	x := md5.Sum([]byte(form(d.username) + ":" + form(realm) + ":" + form(d.password)))
	a1 := string(x[:]) + ":" + nonce + ":" + d.cnonce
	if d.authzid != "" {
		a1 += ":" + d.authzid
	}
	return session{a1: md5Hex(a1), nonce: nonce, cnonce: d.cnonce}
}

// proof is the response value; with an empty method, the server's rspauth.
func (s session) proof(method, uri string) string {
	return md5Hex(s.a1 + ":" + s.nonce + ":00000001:" + s.cnonce + ":auth:" + md5Hex(method+":"+uri))
}

func md5Hex(s string) string {
	sum := md5.Sum([]byte(s))
	return hex.EncodeToString(sum[:])
}

// latin1 returns s in ISO 8859-1, or as it is if it has other characters.
func latin1(s string) string {
	b := make([]byte, 0, len(s))
	for _, r := range s {
		if r > 0xFF {
			return s
		}
		b = append(b, byte(r))
	}
	return string(b)
}

func quote(s string) string {
	return strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(s)
}

// listed reports whether a comma list names a token.
func listed(list, token string) bool {
	for t := range strings.SplitSeq(list, ",") {
		if strings.EqualFold(strings.TrimSpace(t), token) {
			return true
		}
	}
	return false
}

// maxChallenge bounds a challenge (RFC 2831 2.1.1: "must be less than 2048").
const maxChallenge = 2048

// directives reads name=value pairs, quoted or not, between commas. Blanks
// around them and at the end are forgiven: servers end their lines.
func directives(s string) (map[string][]string, error) {
	bad := errors.New("not a list of directives")
	if len(s) >= maxChallenge {
		return nil, errors.New("a challenge that is too long")
	}
	out := make(map[string][]string)
	for {
		s = strings.TrimLeft(s, ", \t\r\n")
		if s == "" {
			return out, nil
		}
		name, rest, ok := strings.Cut(s, "=")
		name = strings.ToLower(strings.TrimSpace(name))
		if !ok || name == "" || strings.ContainsAny(name, ",\" \t\r\n") {
			return nil, bad
		}
		rest = strings.TrimLeft(rest, " \t\r\n")
		var value string
		if strings.HasPrefix(rest, `"`) {
			if value, rest, ok = unquote(rest[1:]); !ok {
				return nil, bad
			}
			rest = strings.TrimLeft(rest, " \t\r\n")
			if rest != "" && rest[0] != ',' {
				return nil, bad
			}
		} else {
			value, rest, _ = strings.Cut(rest, ",")
			value = strings.TrimSpace(value)
		}
		out[name] = append(out[name], value)
		s = rest
	}
}

// unquote reads to the closing quote.
func unquote(s string) (value, rest string, ok bool) {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		switch s[i] {
		case '"':
			return b.String(), s[i+1:], true
		case '\\':
			if i++; i == len(s) {
				return "", "", false
			}
		}
		b.WriteByte(s[i])
	}
	return "", "", false
}
