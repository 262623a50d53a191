package digest

// The server: challenges, and the check of what comes back.

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"io"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// A Config tells how a Server challenges.
type Config struct {
	Realm      string
	Algorithms []Algorithm      // offered, best first; nil: MD5 alone, the one every ACS knows
	Integrity  bool             // offers auth-int besides auth
	Lifetime   time.Duration    // how long a nonce is good; 0: 300 s
	Nonces     int              // used nonces remembered at once; 0: 64
	Rand       io.Reader        // nil: crypto/rand
	Now        func() time.Time // nil: time.Now, whose monotonic part makes nonces outlive clock steps
}

// A Verdict is what a Server thinks of an Authorization header.
type Verdict uint8

// The verdicts. Only Accepted lets a request in; Stale means that the
// credentials are right but their nonce is old, foreign or used up, so the
// challenge says stale=true.
const (
	Missing   Verdict = iota // no Digest credentials at all
	Malformed                // they cannot be read, or do not fit the request
	Refused                  // wrong user name or password
	Stale
	Accepted
)

func (v Verdict) String() string {
	return [...]string{"missing", "malformed", "refused", "stale", "accepted"}[v]
}

// A Server challenges clients and checks their answers. Nonces carry their
// time and number under an HMAC, so nothing is kept for a challenge that is
// never answered; only nonces used with the right password are remembered.
// It may be used by several goroutines.
type Server struct {
	c      Config
	key    [32]byte
	opaque string
	start  time.Time
	used   replay
}

// NewServer returns a server with a key of its own: nonces do not outlive it.
// The error is that of Config.Rand.
func NewServer(c Config) (*Server, error) {
	if c.Algorithms == nil {
		c.Algorithms = []Algorithm{MD5}
	}
	if c.Lifetime <= 0 {
		c.Lifetime = 300 * time.Second
	}
	if c.Nonces <= 0 {
		c.Nonces = 64
	}
	if c.Rand == nil {
		c.Rand = rand.Reader
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	s := &Server{c: c, start: c.Now(), used: replay{max: c.Nonces, lifetime: c.Lifetime}}
	var opaque [8]byte
	for _, b := range [][]byte{s.key[:], opaque[:]} {
		if _, err := io.ReadFull(c.Rand, b); err != nil {
			return nil, fmt.Errorf("digest server key: %w", err)
		}
	}
	s.opaque = hex.EncodeToString(opaque[:])
	return s, nil
}

// Challenge returns the values of the WWW-Authenticate headers of a 401, one
// for each algorithm. Each has a new nonce. qop is always offered, and is one
// quoted word unless auth-int is on: GenieACS and others stumble otherwise.
func (s *Server) Challenge(stale bool) []string {
	qop := Auth
	if s.c.Integrity {
		qop += "," + AuthInt
	}
	var out []string
	for _, a := range s.c.Algorithms {
		v := fmt.Sprintf(`Digest realm=%s, nonce="%s", qop="%s", algorithm=%s, opaque="%s"`, quote(s.c.Realm), s.nonce(), qop, a, s.opaque)
		if stale {
			v += ", stale=true"
		}
		out = append(out, v)
	}
	return out
}

// A Request is what the client's response must fit.
type Request struct {
	Method string
	Target string // as in the request line
	Body   Body   // read for auth-int only
}

// Check judges the value of an Authorization header. It computes the expected
// response whatever the user name, and compares in constant time.
func (s *Server) Check(header string, r Request, username, password string) Verdict {
	if header == "" {
		return Missing
	}
	if len(header) > maxHeader {
		return Malformed
	}
	schemes := parseSchemes(header)
	if len(schemes) == 0 || schemes[0].name != "digest" {
		return Missing
	}
	a, ok := s.answerOf(&schemes[0], r)
	if len(schemes) != 1 || !ok {
		return Malformed
	}
	number, issued, ours := s.open(a.nonce)
	cnonces := []string{a.cnonce}
	if first := s.used.first(number); a.algorithm.sess() && ours && first != "" && first != a.cnonce {
		cnonces = append(cnonces, first) // RFC 7616 3.4.2: the session key keeps the first cnonce
	}
	right := false
	for _, cnonce := range cnonces {
		want, err := a.response(a.algorithm.key(username, s.c.Realm, password, a.nonce, cnonce))
		if err != nil {
			return Malformed
		}
		right = equal(want, a.claim) || right
	}
	switch named := equal(a.user, s.name(a, username)); {
	case !right || !named:
		return Refused
	case !ours || !s.used.admit(number, a.count, issued, s.now(), a.cnonce):
		return Stale
	}
	return Accepted
}

// An answer is what a client claims.
type answer struct {
	exchange
	user   string // its name, or the hash of it
	hashed bool
	claim  string // response, lower case
	count  uint32 // nc
}

// answerOf reads and checks the form of a client's credentials.
func (s *Server) answerOf(c *scheme, r Request) (answer, bool) {
	get := make(map[string]string, len(c.params))
	for _, p := range c.params {
		if _, twice := get[p.name]; twice {
			return answer{}, false
		}
		get[p.name] = p.value
	}
	algorithm, known := algorithmOf(get["algorithm"])
	a := answer{
		exchange: exchange{
			algorithm: algorithm, method: r.Method, uri: get["uri"], nonce: get["nonce"],
			nc: get["nc"], cnonce: get["cnonce"], qop: strings.ToLower(get["qop"]), body: r.Body,
		},
		claim: strings.ToLower(get["response"]), hashed: strings.EqualFold(get["userhash"], "true"),
	}
	var named bool
	a.user, named = userName(get)
	if c.broken != "" || !known || !slices.Contains(s.c.Algorithms, algorithm) || !named ||
		get["realm"] != s.c.Realm || a.nonce == "" || !sameTarget(a.uri, r.Target) {
		return answer{}, false
	}
	switch a.qop {
	case "": // RFC 2069; its nonce is good for one request
		return a, true
	case Auth:
	case AuthInt:
		if !s.c.Integrity {
			return answer{}, false
		}
	default:
		return answer{}, false
	}
	n, err := strconv.ParseUint(a.nc, 16, 32)
	a.count = uint32(n)
	return a, err == nil && len(a.nc) == 8 && a.cnonce != ""
}

// userName returns the user name of username or username* (RFC 5987), of
// which there must be one.
func userName(get map[string]string) (string, bool) {
	plain, has := get["username"]
	ext, extended := get["username*"]
	if has == extended {
		return "", false
	}
	if has {
		return plain, true
	}
	charset, rest, _ := strings.Cut(ext, "'")
	_, value, ok := strings.Cut(rest, "'")
	if !ok || !strings.EqualFold(charset, "UTF-8") {
		return "", false
	}
	name, err := url.PathUnescape(value)
	return name, err == nil
}

// name returns what a client that means username writes.
func (s *Server) name(a answer, username string) string {
	if a.hashed {
		return a.algorithm.sum(username, s.c.Realm)
	}
	return username
}

// sameTarget reports whether the digest-uri names the request target. Clients
// may write it with scheme and host (RFC 7616 3.4.6 asks for "the same").
func sameTarget(uri, target string) bool { return originForm(uri) == originForm(target) }

// originForm cuts scheme and authority off an absolute URI.
func originForm(uri string) string {
	_, rest, absolute := strings.Cut(uri, "://")
	if strings.HasPrefix(uri, "/") || !absolute {
		return uri
	}
	if i := strings.IndexAny(rest, "/?"); i < 0 {
		return "/"
	} else if rest[i] == '?' {
		return "/" + rest[i:]
	} else {
		return rest[i:]
	}
}

// now is the age of the server: nonces are dated by it, so a clock that is set
// does not touch them.
func (s *Server) now() time.Duration { return s.c.Now().Sub(s.start) }

// nonce issues a nonce: number and time of issue under an HMAC.
func (s *Server) nonce() string {
	var b [32]byte
	binary.BigEndian.PutUint64(b[:], s.used.next())
	binary.BigEndian.PutUint64(b[8:], uint64(s.now()))
	copy(b[16:], s.mac(b[:16]))
	return base64.RawURLEncoding.EncodeToString(b[:])
}

// open returns number and time of a nonce of ours.
func (s *Server) open(nonce string) (number uint64, issued time.Duration, ours bool) {
	b, err := base64.RawURLEncoding.DecodeString(nonce)
	if err != nil || len(b) != 32 || !hmac.Equal(b[16:], s.mac(b[:16])[:16]) {
		return 0, 0, false
	}
	return binary.BigEndian.Uint64(b), time.Duration(binary.BigEndian.Uint64(b[8:])), true
}

func (s *Server) mac(b []byte) []byte {
	m := hmac.New(sha256.New, s.key[:])
	_, _ = m.Write(b)
	return m.Sum(nil)
}
