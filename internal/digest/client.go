package digest

// The client: the state of one HTTP session towards one server.

import (
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"strings"
	"unicode/utf8"
)

// Options tell how a Client behaves. The zero value answers Digest, answers
// Basic from a server that has never offered Digest, and sends nothing before
// it is challenged.
type Options struct {
	// Proxy makes it read Proxy-Authenticate and Proxy-Authentication-Info.
	Proxy bool
	// Preemptive sends Basic before any challenge, which saves a round trip.
	// For TLS only (TR-069 3.4.4).
	Preemptive bool
	// NoBasic never sends Basic: for channels that others can read.
	NoBasic bool
	// AllowDowngrade answers Basic even after the server has offered Digest in
	// this session. Who strips the Digest offer would get the password, so it
	// is off.
	AllowDowngrade bool
	// Integrity prefers auth-int where both are offered.
	Integrity bool
	// Latin1 tries non-ASCII credentials once more in ISO-8859-1 when a server
	// that does not announce UTF-8 refuses them.
	Latin1 bool
	// Rand makes client nonces; nil means crypto/rand.
	Rand io.Reader
}

// maxStale is how many times in a row a server may call our nonce stale.
const maxStale = 3

// A Client answers the challenges of one server in one session. It is not safe
// for use by several goroutines; requests of a session follow each other.
type Client struct {
	o        Options
	username string
	password secret

	current   *Challenge // nil: nothing learned yet
	preempt   bool       // Basic goes out unasked
	sawDigest bool
	latin1    bool

	nonce  string // of current, or the nextnonce that replaced it
	cnonce string
	key    string // H(A1); "" until the first request after a challenge
	nc     uint32 // uses of nonce

	answered int  // challenges answered since the last success
	sent     bool // credentials went out since the last challenge
	moved    bool // the connection changed since the last challenge
	last     exchange
}

// NewClient returns the state for a new session. Blank credentials are
// credentials: a challenge is answered with them.
func NewClient(username, password string, o Options) *Client {
	if o.Rand == nil {
		o.Rand = rand.Reader
	}
	return &Client{o: o, username: username, password: hide(password), preempt: o.Preemptive && !o.NoBasic}
}

// String names the client without its password.
func (c *Client) String() string { return fmt.Sprintf("digest client for %q", c.username) }

// HeaderName is the request header that Authorize is for.
func (c *Client) HeaderName() string {
	if c.o.Proxy {
		return "Proxy-Authorization"
	}
	return "Authorization"
}

// Authorize returns the value of the Authorization header for the next
// request; it is "" when the server has asked for nothing so far. The uri is
// the request target exactly as it stands in the request line. Every call uses
// up a nonce count, so call it once for each request that is sent. The error
// is that of body, of Options.Rand, or of a user name Basic cannot carry.
func (c *Client) Authorize(method, uri string, body Body) (string, error) {
	switch {
	case c.current == nil && !c.preempt:
		return "", nil
	case c.current == nil || c.current.Basic:
		c.sent = true
		return Basic(c.encode(c.username), c.encode(c.password()))
	}
	ch := c.current
	user := c.encode(c.username)
	if c.cnonce == "" {
		if err := c.newCnonce(); err != nil {
			return "", err
		}
	}
	if c.key == "" {
		c.key = ch.Algorithm.key(user, ch.Realm, c.encode(c.password()), c.nonce, c.cnonce)
	}
	e := exchange{algorithm: ch.Algorithm, method: method, uri: uri, nonce: c.nonce, qop: ch.qop(c.o.Integrity), body: body}
	if e.qop != "" {
		c.nc++
		e.nc, e.cnonce = fmt.Sprintf("%08x", c.nc), c.cnonce
	}
	response, err := e.response(c.key)
	if err != nil {
		return "", fmt.Errorf("digest auth-int: %w", err)
	}
	c.last, c.sent = e, true
	return credentials(ch, &e, user, response), nil
}

// credentials writes the header value with every parameter quoted, or not, as
// RFC 7616 3.4 has it: strict servers count on both.
func credentials(ch *Challenge, e *exchange, user, response string) string {
	var b strings.Builder
	b.WriteString("Digest ")
	switch {
	case ch.UserHash:
		b.WriteString("username=" + quote(e.algorithm.sum(user, ch.Realm)))
	case needsExtended(user, ch.UTF8):
		b.WriteString("username*=UTF-8''" + percent(user))
	default:
		b.WriteString("username=" + quote(user))
	}
	b.WriteString(", realm=" + quote(ch.Realm) + ", nonce=" + quote(e.nonce) + ", uri=" + quote(e.uri))
	b.WriteString(`, response="` + response + `"`)
	if ch.Named {
		b.WriteString(", algorithm=" + string(ch.Algorithm))
	}
	if e.qop != "" {
		b.WriteString(", cnonce=" + quote(e.cnonce) + ", qop=" + e.qop + ", nc=" + e.nc)
	}
	if ch.HasOpaque {
		b.WriteString(", opaque=" + quote(ch.Opaque))
	}
	if ch.UserHash {
		b.WriteString(", userhash=true")
	}
	return b.String()
}

// Challenge takes the headers of a 401 (of a 407 for a proxy's client) and
// tells whether to send the request again with a new Authorize. When the
// answer is no the error says why: ErrRefused, ErrNoChallenge or
// ErrBasicForbidden.
func (c *Client) Challenge(h http.Header) (retry bool, err error) {
	name := "Www-Authenticate"
	if c.o.Proxy {
		name = "Proxy-Authenticate"
	}
	all, err := Parse(h[name])
	if err != nil {
		return false, err
	}
	ch := all[Choose(all)]
	if ch.Basic && (c.o.NoBasic || c.sawDigest && !c.o.AllowDowngrade) {
		return false, ErrBasicForbidden
	}
	if !c.mayAnswer(&ch) {
		return false, fmt.Errorf("%w by realm %.80q", ErrRefused, ch.Realm)
	}
	c.sawDigest = c.sawDigest || !ch.Basic
	c.preempt = false
	if ch.Nonce != c.nonce { // one that comes again is counted on (RFC 7616 3.4)
		c.nc = 0
	}
	c.current, c.nonce = &ch, ch.Nonce
	c.key, c.cnonce = "", ""
	c.sent, c.moved = false, false
	c.answered++
	return true, nil
}

// mayAnswer tells a server that wants to hear us again (its nonce grew stale,
// it never heard us, it is another one behind a balancer) from one that has
// refused what we said.
func (c *Client) mayAnswer(ch *Challenge) bool {
	switch {
	case !c.sent,
		ch.Stale && !ch.Basic,
		ch.Basic != (c.current == nil || c.current.Basic), // another scheme than the one that failed
		!ch.Basic && (c.answered == 0 || c.moved):         // the nonce was not from this request, or not from this connection
		return c.answered <= maxStale
	}
	if c.o.Latin1 && !c.latin1 && !ch.UTF8 && latin1able(c.username+c.password()) {
		c.latin1 = true
		return true
	}
	return false
}

// Reconnected says that the next request goes over a new connection: it gets
// a cnonce of its own (TR-069 3.4.5), and a challenge instead of an answer is
// then no refusal, for there are servers whose nonces belong to a connection.
// A session key keeps its cnonce, it is bound to it.
func (c *Client) Reconnected() {
	c.moved = true
	if c.current != nil && !c.current.Basic && !c.current.Algorithm.sess() {
		c.cnonce = ""
	}
}

// newCnonce draws a client nonce.
func (c *Client) newCnonce() error {
	var raw [16]byte
	if _, err := io.ReadFull(c.o.Rand, raw[:]); err != nil {
		return fmt.Errorf("client nonce: %w", err)
	}
	c.cnonce = hex.EncodeToString(raw[:])
	return nil
}

// Info takes the headers of an answer that was not a challenge: the server has
// accepted what we sent. It moves to the nextnonce and checks rspauth of what
// was not auth-int; the error is ErrProof, and then nothing was adopted.
func (c *Client) Info(h http.Header) error {
	c.answered, c.moved = 0, false
	name := "Authentication-Info"
	if c.o.Proxy {
		name = "Proxy-Authentication-Info"
	}
	if c.current == nil || c.current.Basic || len(h[name]) == 0 {
		return nil
	}
	// The value is a bare parameter list; give it a scheme to reuse the reader.
	text := strings.Join(h[name], ",")
	if len(text) > maxHeader {
		return fmt.Errorf("%w: %w", ErrProof, errTooLong)
	}
	info := parseSchemes("Digest " + text)[0]
	if info.broken != "" {
		return nil // an unreadable courtesy is none
	}
	if proof, ok := info.get("rspauth"); ok && c.last.uri != "" && c.last.qop != AuthInt {
		e := c.last
		e.method = ""
		if want, err := e.response(c.key); err != nil || !equal(want, strings.ToLower(proof)) {
			return ErrProof
		}
	}
	if next, ok := info.get("nextnonce"); ok && next != "" && next != c.nonce {
		c.nonce, c.nc = next, 0
	}
	return nil
}

// encode returns a name or password in the character set in use.
func (c *Client) encode(s string) string {
	if !c.latin1 {
		return s
	}
	b := make([]byte, 0, len(s))
	for _, r := range s {
		b = append(b, byte(r))
	}
	return string(b)
}

// latin1able reports whether s has characters beyond ASCII and ISO-8859-1 can
// express all of them.
func latin1able(s string) bool {
	beyond := false
	for _, r := range s {
		if r > 0xff {
			return false
		}
		beyond = beyond || r > 0x7e
	}
	return beyond && utf8.ValidString(s)
}

// needsExtended reports whether a user name must travel as username*
// (RFC 7616 3.4, RFC 5987): beyond ASCII where the server knows of UTF-8, and
// wherever a quoted-string cannot carry it.
func needsExtended(user string, utf8Server bool) bool {
	for i := 0; i < len(user); i++ {
		if c := user[i]; c < ' ' || c == 0x7f || c > 0x7f && utf8Server {
			return true
		}
	}
	return false
}

// percent writes the value-chars of RFC 5987.
func percent(s string) string {
	const digits = "0123456789ABCDEF"
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if c := s[i]; isToken(c) && c != '*' && c != '\'' && c != '%' {
			b.WriteByte(c)
		} else {
			b.Write([]byte{'%', digits[c>>4], digits[c&15]})
		}
	}
	return b.String()
}
