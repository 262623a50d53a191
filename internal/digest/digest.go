// Package digest is HTTP authentication as TR-069 needs it, from both sides:
// Digest (RFC 7616, RFC 2617 and the RFC 2069 form without qop) and Basic
// (RFC 7617).
//
// A [Client] holds what one HTTP session knows of its server's challenges and
// writes Authorization headers; a [Server] hands out nonces, checks what comes
// back and refuses replays within bounded memory. Reading is lenient, because
// the field is not; writing is strict.
package digest

import (
	"crypto/md5"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/hex"
	"errors"
	"hash"
	"io"
	"strings"
)

// Errors of this package. Match them with errors.Is.
var (
	// ErrRefused says that the server has seen the credentials and does not
	// want them: trying again is no use until they change.
	ErrRefused = errors.New("the credentials were refused")
	// ErrNoChallenge says that no challenge could be answered: none was sent,
	// all were broken, or none is of a kind we know.
	ErrNoChallenge = errors.New("no usable authentication challenge")
	// ErrBasicForbidden says that only Basic was offered where the policy, or
	// an earlier offer of Digest, forbids sending the password itself.
	ErrBasicForbidden = errors.New("the server asks for Basic authentication, which is not allowed here")
	// ErrProof says that the server's rspauth is wrong: whoever answered does
	// not know the password.
	ErrProof = errors.New("the server does not prove that it knows the password (rspauth)")
)

// An Algorithm is a Digest algorithm as RFC 7616 spells it. The empty one is
// what a challenge without the parameter means: MD5.
type Algorithm string

// The algorithms known here, as they are written on the wire.
const (
	MD5           Algorithm = "MD5"
	MD5Sess       Algorithm = "MD5-sess"
	SHA256        Algorithm = "SHA-256"
	SHA256Sess    Algorithm = "SHA-256-sess"
	SHA512256     Algorithm = "SHA-512-256"
	SHA512256Sess Algorithm = "SHA-512-256-sess"
)

// algorithmOf returns the algorithm that a peer means by text, and whether we
// know it. Names are compared without case (RFC 7235 2.1 leaves that to the
// scheme; the field sends "md5").
func algorithmOf(text string) (Algorithm, bool) {
	if text == "" {
		return MD5, true
	}
	for _, a := range [...]Algorithm{MD5, MD5Sess, SHA256, SHA256Sess, SHA512256, SHA512256Sess} {
		if strings.EqualFold(text, string(a)) {
			return a, true
		}
	}
	return "", false
}

// sess reports whether the algorithm works with a session key.
func (a Algorithm) sess() bool { return strings.HasSuffix(string(a), "-sess") }

// rank orders algorithms by strength. SHA-512-256 stands behind SHA-256
// because the example in RFC 7616 is computed with another function (erratum
// 4897), so that peers disagree about it.
func (a Algorithm) rank() int {
	switch a {
	case SHA256, SHA256Sess:
		return 3
	case SHA512256, SHA512256Sess:
		return 2
	default:
		return 1
	}
}

// hash returns a new hash of the algorithm.
func (a Algorithm) hash() hash.Hash {
	switch a {
	case SHA256, SHA256Sess:
		return sha256.New()
	case SHA512256, SHA512256Sess:
		return sha512.New512_256()
	default:
		return md5.New()
	}
}

// sum returns the lower-case hexadecimal hash of the parts joined by colons.
func (a Algorithm) sum(parts ...string) string {
	h := a.hash()
	for i, p := range parts {
		if i > 0 {
			_, _ = io.WriteString(h, ":")
		}
		_, _ = io.WriteString(h, p)
	}
	return hex.EncodeToString(h.Sum(nil))
}

// The values of qop (RFC 7616 3.3).
const (
	Auth    = "auth"
	AuthInt = "auth-int"
)

// A Body writes an entity body for auth-int, which hashes it. A nil Body is an
// empty one. It may be called several times and must write the same each time.
type Body func(io.Writer) error

// sum returns the hash of the body.
func (b Body) sum(a Algorithm) (string, error) {
	h := a.hash()
	if b != nil {
		if err := b(h); err != nil {
			return "", err
		}
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// exchange is what both sides hash (RFC 7616 3.4.1).
type exchange struct {
	algorithm Algorithm
	method    string // "" in a server's rspauth
	uri       string
	nonce     string
	nc        string // eight hexadecimal digits; unused without qop
	cnonce    string
	qop       string // "", Auth or AuthInt
	body      Body
}

// key returns H(A1) (RFC 7616 3.4.2). For a -sess algorithm nonce and cnonce
// are those of the first request after the challenge.
func (a Algorithm) key(user, realm, password, nonce, cnonce string) string {
	ha1 := a.sum(user, realm, password)
	if a.sess() {
		return a.sum(ha1, nonce, cnonce)
	}
	return ha1
}

// response returns the value of response or rspauth for H(A1).
func (e *exchange) response(key string) (string, error) {
	a := e.algorithm
	a2 := []string{e.method, e.uri}
	if e.qop == AuthInt {
		sum, err := e.body.sum(a)
		if err != nil {
			return "", err
		}
		a2 = append(a2, sum)
	}
	if e.qop == "" {
		return a.sum(key, e.nonce, a.sum(a2...)), nil
	}
	return a.sum(key, e.nonce, e.nc, e.cnonce, e.qop, a.sum(a2...)), nil
}

// secret is a password in a function, so that %+v of whatever holds it prints
// an address.
type secret func() string

func hide(s string) secret { return func() string { return s } }
