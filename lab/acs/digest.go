package acs

import (
	"crypto/md5"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"fmt"
	"hash"
	"net/http"
	"strconv"
	"strings"
)

// Digest configures Digest authentication. The zero value is one MD5 challenge
// with qop="auth", whose nonce is good for its connection only.
type Digest struct {
	Realm      string   // "gatehouse lab" when empty
	Algorithms []string // one challenge each: MD5, MD5-sess, SHA-256, SHA-256-sess; MD5 when empty
	QOP        string   // "auth" when empty; "auth-int", "auth,auth-int"
	RFC2069    bool     // neither qop nor algorithm in the challenge
	Opaque     string   // left out when empty
	NonceUses  int      // uses of a nonce before it is stale; 0: any number
	NextNonce  bool     // every answer carries Authentication-Info with a nextnonce
	FreeNonce  bool     // a nonce is good on every connection
	UTF8       bool     // the challenge carries charset=UTF-8

	// Challenge is the whole challenge, with {realm} and {nonce} to be filled
	// in, instead of one made of the above; several lines make several
	// WWW-Authenticate fields. What the above say is still what is checked.
	Challenge string
}

func (d *Digest) defaults() {
	if d.Realm == "" {
		d.Realm = "gatehouse lab"
	}
	if len(d.Algorithms) == 0 {
		d.Algorithms = []string{"MD5"}
	}
	if d.QOP == "" {
		d.QOP = "auth"
	}
}

// nonce is what the server knows about a nonce that it has given.
type nonce struct {
	sock    *socket
	last    uint64  // the highest nc used
	at      *socket // where
	uses    int
	retired bool   // a nextnonce has taken its place
	first   string // the first cnonce used with it, for -sess
	origin  *nonce // the nonce of the 401 that this nextnonce descends from
	text    string
}

// newNonce makes a nonce for a connection; origin is set for a nextnonce.
func (s *Server) newNonce(k *socket, origin *nonce) *nonce {
	n := &nonce{sock: k, text: token(), origin: origin}
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.nonces) > 10000 {
		clear(s.nonces) // a bound: everybody is challenged anew
	}
	s.nonces[n.text] = n
	return n
}

// challenge answers 401 with one header line per algorithm. Each 401 has a
// nonce of its own (RFC 7616 3.3).
func (p *post) challenge(stale bool) {
	d := p.s.o.Digest
	if d.Challenge != "" {
		fill := strings.NewReplacer("{realm}", quote(d.Realm), "{nonce}", p.s.newNonce(p.sock, nil).text)
		for line := range strings.Lines(fill.Replace(d.Challenge)) {
			p.w.Header().Add("WWW-Authenticate", strings.TrimSuffix(line, "\n"))
		}
		return
	}
	for _, alg := range d.Algorithms {
		n := p.s.newNonce(p.sock, nil)
		v := fmt.Sprintf(`Digest realm=%s, nonce="%s"`, quote(d.Realm), n.text)
		if !d.RFC2069 {
			v += fmt.Sprintf(`, qop="%s", algorithm=%s`, d.QOP, alg)
		}
		if d.Opaque != "" {
			v += ", opaque=" + quote(d.Opaque)
		}
		if d.UTF8 {
			v += ", charset=UTF-8"
		}
		if stale {
			v += ", stale=true"
		}
		p.w.Header().Add("WWW-Authenticate", v)
		if d.RFC2069 {
			break
		}
	}
}

// digest checks the Authorization of a request. It tells whether the request
// is let in and, if not, whether only the nonce was too old.
func (p *post) digest(value string) (ok, stale bool) {
	p.s.auth.Lock()
	defer p.s.auth.Unlock()
	d := p.s.o.Digest
	a, err := parseAuthorization(value)
	if err == nil {
		err = a.complete(d)
	}
	if err != nil {
		p.authFault("RFC 7616 3.4", "%v", err)
		return false, false
	}
	if a.get("uri") != p.r.RequestURI {
		p.authFault("RFC 7616 3.4.6", "uri %q is not the request target %q", a.get("uri"), p.r.RequestURI)
		return false, false
	}
	password, known := p.s.o.Credentials(a.get("username"))
	p.s.mu.Lock()
	n := p.s.nonces[a.get("nonce")]
	p.s.mu.Unlock()
	if n == nil {
		p.authFault("RFC 7616 3.3", "nonce %q was never given", a.get("nonce"))
		return false, true
	}
	want, valid := a.matches(password, p.r.Method, p.body, n)
	if !known || !valid {
		return false, false // wrong credentials are no violation
	}
	if !p.nonceUse(a, n) {
		return false, true
	}
	p.acknowledge(a, want, n)
	return true, false
}

// nonceUse checks where and how often a nonce is used.
func (p *post) nonceUse(a *authorization, n *nonce) bool {
	d := p.s.o.Digest
	if n.sock != p.sock && !d.FreeNonce {
		gone, itsFault := n.sock.state()
		if n.uses == 0 && (itsFault || !gone) {
			p.authFault("TR-069 3.4.5", "the 401 of connection %d is answered on connection %d", n.sock.number, p.sock.number)
		}
		return false
	}
	if n.retired {
		p.authFault("RFC 7616 3.5", "a nonce is used although a nextnonce has replaced it")
		return false
	}
	if nc := a.get("nc"); nc != "" {
		count, err := strconv.ParseUint(nc, 16, 32)
		switch {
		case err != nil || len(nc) != 8:
			p.authFault("RFC 7616 3.4", "nc %q is not 8 hexadecimal digits", nc)
			return false
		case count <= n.last:
			p.authFault("RFC 7616 3.4", "nc %s after %08x: replayed", nc, n.last)
			return false
		case count != n.last+1 && (n.at == nil || n.at == p.sock): // what a dead connection swallowed was counted too
			p.authFault("RFC 7616 3.4", "nc %s after %08x: it counts the requests with this nonce", nc, n.last)
		}
		n.last, n.at = count, p.sock
		p.cnonce(a.get("cnonce"))
	}
	n.uses++
	return d.NonceUses == 0 || n.uses <= d.NonceUses
}

// cnonce checks that each connection has a cnonce of its own (TR-069 3.4.5).
func (p *post) cnonce(value string) {
	p.s.mu.Lock()
	if len(p.s.cnonces) > 10000 {
		clear(p.s.cnonces)
	}
	other, used := p.s.cnonces[value]
	p.s.cnonces[value] = p.sock.number
	p.s.mu.Unlock()
	if used && other != p.sock.number {
		p.authFault("TR-069 3.4.5", "the cnonce of connection %d is used again on connection %d", other, p.sock.number)
	}
}

// acknowledge sends Authentication-Info (RFC 7616 3.5).
func (p *post) acknowledge(a *authorization, ha1 string, n *nonce) {
	d := p.s.o.Digest
	if d.RFC2069 {
		return
	}
	h := hashOf(a.get("algorithm"))
	rspauth := h(strings.Join([]string{ha1, n.text, a.get("nc"), a.get("cnonce"), a.get("qop"), h(":" + a.get("uri"))}, ":"))
	v := fmt.Sprintf(`qop=%s, rspauth="%s", cnonce="%s", nc=%s`, a.get("qop"), rspauth, a.get("cnonce"), a.get("nc"))
	if a.get("qop") == "auth-int" {
		v = "" // rspauth would have to cover a body that is not made yet
	}
	if d.NextNonce {
		origin := n
		if n.origin != nil {
			origin = n.origin
		}
		n.retired = true
		v = strings.TrimPrefix(v+`, nextnonce="`+p.s.newNonce(p.sock, origin).text+`"`, ", ")
	}
	if v != "" {
		p.w.Header().Set("Authentication-Info", v)
	}
}

// authorization is a parsed Authorization header.
type authorization struct {
	value  map[string]string
	quoted map[string]bool
}

func (a *authorization) get(name string) string { return a.value[name] }

// parseAuthorization reads `Digest a="b", c=d`, strictly.
func parseAuthorization(header string) (*authorization, error) {
	rest, ok := strings.CutPrefix(header, "Digest ")
	if !ok {
		return nil, fmt.Errorf("%.20q is not Digest", header)
	}
	a := &authorization{value: map[string]string{}, quoted: map[string]bool{}}
	for {
		rest = strings.TrimLeft(rest, " \t")
		name, after, found := strings.Cut(rest, "=")
		if !found || name == "" || strings.ContainsAny(name, " \t,\"") {
			return nil, fmt.Errorf("no parameter at %.20q", rest)
		}
		value, after, quoted, err := authValue(after)
		if err != nil {
			return nil, fmt.Errorf("parameter %s: %w", name, err)
		}
		if _, twice := a.value[name]; twice {
			return nil, fmt.Errorf("parameter %s twice", name)
		}
		a.value[name], a.quoted[name] = value, quoted
		rest = strings.TrimLeft(after, " \t")
		if rest == "" {
			return a, nil
		}
		if rest[0] != ',' {
			return nil, fmt.Errorf("no comma at %.20q", rest)
		}
		rest = rest[1:]
	}
}

// authValue reads one token or quoted string off the front of s.
func authValue(s string) (value, rest string, quoted bool, err error) {
	if !strings.HasPrefix(s, `"`) {
		end := strings.IndexAny(s, ", \t")
		if end < 0 {
			end = len(s)
		}
		if end == 0 {
			return "", "", false, fmt.Errorf("no value")
		}
		return s[:end], s[end:], false, nil
	}
	var b strings.Builder
	for i := 1; i < len(s); i++ {
		switch {
		case s[i] == '"':
			return b.String(), s[i+1:], true, nil
		case s[i] == '\\' && i+1 < len(s):
			i++
		}
		b.WriteByte(s[i])
	}
	return "", "", true, fmt.Errorf("the quoted string does not end")
}

// complete checks which parameters are there and how they are written
// (RFC 7616 3.4: all but algorithm, qop and nc are quoted strings).
func (a *authorization) complete(d Digest) error {
	need := []string{"username", "realm", "nonce", "uri", "response"}
	if !d.RFC2069 {
		need = append(need, "qop", "nc", "cnonce")
	}
	for _, n := range need {
		if _, ok := a.value[n]; !ok {
			return fmt.Errorf("parameter %s is missing", n)
		}
	}
	for n, quoted := range a.quoted {
		bare := n == "algorithm" || n == "qop" || n == "nc"
		if quoted == bare && n != "stale" && n != "userhash" {
			return fmt.Errorf("parameter %s: quoted is %t", n, quoted)
		}
	}
	switch {
	case a.get("realm") != d.Realm:
		return fmt.Errorf("realm %q is not ours", a.get("realm"))
	case a.get("opaque") != d.Opaque:
		return fmt.Errorf("opaque %q is not ours", a.get("opaque"))
	case d.RFC2069:
		return nil
	}
	if !contains(strings.Split(d.QOP, ","), a.get("qop")) {
		return fmt.Errorf("qop %q was not offered", a.get("qop"))
	}
	alg := a.get("algorithm")
	if alg == "" {
		alg = "MD5"
	}
	if !contains(d.Algorithms, alg) {
		return fmt.Errorf("algorithm %q was not offered", alg)
	}
	return nil
}

func contains(list []string, s string) bool {
	for _, l := range list {
		if strings.EqualFold(strings.TrimSpace(l), s) {
			return true
		}
	}
	return false
}

// matches computes the response and compares. It returns HA1 for rspauth. For
// the -sess algorithms HA1 may be made of the nonce in use or of the one that
// the session began with: RFC 7616 3.4.2 says the latter, most do the former.
func (a *authorization) matches(password, method string, body []byte, n *nonce) (ha1 string, ok bool) {
	h := hashOf(a.get("algorithm"))
	plain := h(a.get("username") + ":" + a.get("realm") + ":" + password)
	candidates := []string{plain}
	if strings.HasSuffix(strings.ToLower(a.get("algorithm")), "-sess") {
		if n.first == "" {
			n.first = a.get("cnonce")
		}
		candidates = []string{h(plain + ":" + n.text + ":" + a.get("cnonce"))}
		if n.origin != nil {
			candidates = append(candidates, h(plain+":"+n.origin.text+":"+n.origin.first))
		}
	}
	a2 := method + ":" + a.get("uri")
	if a.get("qop") == "auth-int" {
		a2 += ":" + h(string(body))
	}
	for _, ha1 = range candidates {
		parts := []string{ha1, a.get("nonce"), h(a2)}
		if a.get("qop") != "" {
			parts = []string{ha1, a.get("nonce"), a.get("nc"), a.get("cnonce"), a.get("qop"), h(a2)}
		}
		want := h(strings.Join(parts, ":"))
		if subtle.ConstantTimeCompare([]byte(want), []byte(a.get("response"))) == 1 {
			return ha1, true
		}
	}
	return "", false
}

// hashOf is the hash of an algorithm, printed in hexadecimal. Unknown ones are
// taken for MD5; complete has refused them before.
func hashOf(algorithm string) func(string) string {
	var h func() hash.Hash = md5.New
	if strings.HasPrefix(strings.ToUpper(algorithm), "SHA-256") {
		h = sha256.New
	}
	return func(s string) string {
		sum := h()
		sum.Write([]byte(s))
		return hex.EncodeToString(sum.Sum(nil))
	}
}

func quote(s string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(s) + `"`
}

// authFault records a violation of the authentication rules.
func (p *post) authFault(clause, format string, args ...any) {
	p.s.fault(p.s.sessionOn(p), RuleAuth, clause, format, args...)
}

// authorize checks credentials; false means that the request has its 401.
func (p *post) authorize() bool {
	values := p.r.Header["Authorization"]
	if len(values) > 1 {
		p.authFault("RFC 9110 11.6.2", "%d Authorization headers", len(values))
	}
	value := ""
	if len(values) > 0 {
		value = values[0]
	}
	scheme, _, _ := strings.Cut(value, " ")
	p.checkLeak(scheme)
	ok, stale := false, false
	switch p.s.o.Auth {
	case AuthNone:
		return true
	case AuthBasic:
		user, pass, basic := p.r.BasicAuth()
		want, known := p.s.o.Credentials(user)
		ok = basic && known && subtle.ConstantTimeCompare([]byte(pass), []byte(want)) == 1
	case AuthDigest:
		if strings.EqualFold(scheme, "Digest") {
			ok, stale = p.digest(value)
		}
	}
	if ok {
		return true
	}
	if value == "" && p.sock.challenged {
		p.authFault("TR-069 3.4.5", "no Authorization although this connection was challenged")
	}
	p.unauthorized(stale)
	return false
}

// checkLeak records credentials that nobody has asked for. Basic without a
// challenge is right over TLS, and there only (TR-069 3.4.4).
func (p *post) checkLeak(scheme string) {
	if scheme == "" {
		return
	}
	secure := p.sock.tls != nil || p.r.TLS != nil
	basic := strings.EqualFold(scheme, "Basic")
	switch {
	case basic && p.s.o.Auth == AuthDigest:
		p.authFault("TR-069 3.4.4", "Basic credentials although Digest was asked for")
	case basic && !secure && !p.asked():
		p.authFault("TR-069 3.4.4", "Basic credentials in the clear, without a challenge")
	case !basic && p.s.o.Auth != AuthDigest:
		p.authFault("TR-069 3.4.4", "%s credentials although nobody asked for them", scheme)
	}
}

// asked tells whether a challenge was sent on this connection or in the
// session that the request belongs to.
func (p *post) asked() bool {
	if p.sock.challenged || p.s.o.Auth == AuthNone {
		return p.sock.challenged
	}
	cookies := sentCookies(p.r)
	p.s.mu.Lock()
	defer p.s.mu.Unlock()
	for _, v := range cookies {
		if p.s.live[v] != nil {
			return true
		}
	}
	return false
}

// unauthorized answers 401.
func (p *post) unauthorized(stale bool) {
	p.sock.challenged = true
	p.sock.again = p.body
	if p.s.o.Auth == AuthBasic {
		p.w.Header().Set("WWW-Authenticate", "Basic realm="+quote(p.s.o.Digest.Realm))
	} else {
		p.challenge(stale)
	}
	if p.s.o.CookieEarly && p.sock.cookie == "" && p.s.sessionOn(p) == nil {
		p.sock.cookie = token()
		setCookies(p.w, p.s.o.SetCookie, p.sock.cookie)
	}
	p.reply(http.StatusUnauthorized, "text/plain", "who are you?\n", "wants credentials")
}
