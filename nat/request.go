// UDP connection requests (TR-069 G.2.2): a datagram that looks like an HTTP
// GET and is never answered. What is signed is the text that arrived: numbers
// are never printed anew, and values are tried as they stand and unescaped,
// because GenieACS does not escape and others do.

package nat

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha1"
	"crypto/subtle"
	"encoding/hex"
	"hash"
)

// Limits of a connection request. The whole datagram is bounded by the buffer
// that it is read into.
const (
	maxDigits = 15  // of ts: milliseconds for 30,000 years
	maxValue  = 768 // a name of 256 characters, escaped
)

// A request is what a datagram asks for; slices of the datagram.
type request struct{ ts, id, un, cn, sig []byte }

// parseRequest takes a datagram apart: a method GET, a target that is
// absolute, a path or only a query, an HTTP version; fields and a body do not
// matter. Each of the five values is there once. net/http refuses "GET ?ts=",
// and net/url a semicolon.
func parseRequest(pkt []byte) (r request, ok bool) {
	line, ok := bytes.CutPrefix(pkt, []byte("GET "))
	if !ok {
		return r, false
	}
	if end := bytes.IndexAny(line, "\r\n"); end >= 0 {
		line = line[:end]
	}
	// An unescaped name may have a blank in it, so the version is what comes
	// after the last.
	end := bytes.LastIndex(line, []byte(" HTTP/"))
	if end < 0 {
		return r, false
	}
	_, query, ok := bytes.Cut(line[:end], []byte("?"))
	if !ok {
		return r, false
	}
	for len(query) > 0 {
		var pair []byte
		pair, query, _ = bytes.Cut(query, []byte("&"))
		name, value, _ := bytes.Cut(pair, []byte("="))
		var at *[]byte
		switch string(name) { // no copy
		case "ts":
			at = &r.ts
		case "id":
			at = &r.id
		case "un":
			at = &r.un
		case "cn":
			at = &r.cn
		case "sig":
			at = &r.sig
		default:
			continue
		}
		if *at != nil || len(value) > maxValue {
			return r, false
		}
		*at = value
	}
	return r, digits(r.ts) && len(r.ts) <= maxDigits && len(r.id) > 0 && r.un != nil && r.cn != nil && len(r.sig) == 2*sha1.Size
}

func digits(b []byte) bool {
	for _, c := range b {
		if c < '0' || c > '9' {
			return false
		}
	}
	return len(b) > 0
}

// seconds is ts as Unix seconds. freeacs has milliseconds there, and no ACS of
// these days lives after the year 5138.
func (r request) seconds() int64 {
	var n int64
	for _, c := range r.ts { // digits, at most maxDigits
		n = 10*n + int64(c-'0')
	}
	if n > 1e11 {
		n /= 1000
	}
	return n
}

// A reading is how a value is taken: as it stands, with %XX unescaped, or as a
// form has it, with + for a blank as well.
type reading uint8

const (
	asItStands reading = iota
	percents
	form
	readings
)

// read appends the value to buf. It is not ok when the reading makes no
// difference to an earlier one, or the escapes are broken.
func (k reading) read(buf, value []byte) (out []byte, ok bool) {
	out = buf
	if k == asItStands {
		return append(out, value...), true
	}
	differs := false
	for i := 0; i < len(value); i++ {
		c := value[i]
		switch {
		case c == '+' && k == form:
			c, differs = ' ', true
		case c == '%':
			if i+2 >= len(value) {
				return out, false
			}
			hi, lo := nibble(value[i+1]), nibble(value[i+2])
			if hi > 15 || lo > 15 {
				return out, false
			}
			c, differs = hi<<4|lo, differs || k == percents
			i += 2
		}
		out = append(out, c)
	}
	return out, differs
}

func nibble(c byte) byte {
	switch {
	case c >= '0' && c <= '9':
		return c - '0'
	case c >= 'a' && c <= 'f':
		return c - 'a' + 10
	case c >= 'A' && c <= 'F':
		return c - 'A' + 10
	}
	return 255
}

// A verifier checks signatures with one user name and password. It allocates
// nothing per datagram.
type verifier struct {
	name     []byte
	key      Secret
	mac      hash.Hash // nil: nothing is ever verified
	scratch  [maxValue]byte
	sum, sig [sha1.Size]byte
}

// set takes a new name and password. An empty password signs nothing: anybody
// could.
func (v *verifier) set(name string, key Secret) {
	if v.mac != nil && string(v.name) == name && v.key == key {
		return
	}
	v.name, v.key, v.mac = []byte(name), key, nil
	if key != "" {
		v.mac = hmac.New(sha1.New, []byte(key))
	}
}

// verify tells whether the request is for our user name, and whether it is
// signed with our password: HMAC-SHA1 over ts, id, un and cn, joined with
// nothing between them. What it is signed with is in v.sig afterwards.
func (v *verifier) verify(r request) (ours, signed bool) {
	if v.mac == nil || !v.isName(r.un) {
		return false, false
	}
	if _, err := hex.Decode(v.sig[:], r.sig); err != nil {
		return true, false
	}
	for k := asItStands; k < readings; k++ {
		cn, ok := k.read(v.scratch[:0], r.cn)
		if !ok {
			continue
		}
		v.mac.Reset()
		v.mac.Write(r.ts)
		v.mac.Write(r.id)
		v.mac.Write(v.name)
		v.mac.Write(cn)
		if subtle.ConstantTimeCompare(v.mac.Sum(v.sum[:0]), v.sig[:]) == 1 {
			return true, true
		}
	}
	return true, false
}

// isName tells whether un is our user name, in any reading.
func (v *verifier) isName(un []byte) bool {
	for k := asItStands; k < readings; k++ {
		if name, ok := k.read(v.scratch[:0], un); ok && bytes.Equal(name, v.name) {
			return true
		}
	}
	return false
}
