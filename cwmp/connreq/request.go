package connreq

// Reading one HTTP/1.x request head within bounds. The rest of HTTP is left
// out on purpose: this port is open to the Internet.

import (
	"bytes"
	"net/http"
	"strings"
)

// Limits on what a client may send.
const (
	maxHead    = 8 << 10 // bytes of request line and header fields
	maxFields  = 64      // header fields
	firstBytes = 512     // what a connection costs before it says much
)

// A request is what matters of a request's head.
type request struct {
	method        string
	target        string // as in the request line
	authorization string
	close         bool // the client, or HTTP/1.0, does not keep the connection
	body          bool // a body follows, which nobody will read
}

// errHead is a head that is no HTTP/1.x request; the status says how.
type errHead struct {
	status int
	why    string
}

func (e *errHead) Error() string { return e.why }

func bad(why string) error { return &errHead{http.StatusBadRequest, why} }

// endOfHead returns the length of the head at the start of b with the empty
// line that ends it, or 0 if it is not complete. Bare line feeds are accepted
// (RFC 7230 3.5), as are empty lines before the request.
func endOfHead(b []byte) int {
	start := 0
	for start < len(b) && (b[start] == '\r' || b[start] == '\n') {
		start++
	}
	for i := start; ; {
		nl := bytes.IndexByte(b[i:], '\n')
		if nl < 0 {
			return 0
		}
		i += nl + 1
		switch {
		case i < len(b) && b[i] == '\n':
			return i + 1
		case i+1 < len(b) && b[i] == '\r' && b[i+1] == '\n':
			return i + 2
		}
	}
}

// parseHead reads a complete head. The error is an *errHead.
func parseHead(head []byte) (request, error) {
	lines := strings.Split(strings.Trim(string(head), "\r\n"), "\n")
	var r request
	if err := r.requestLine(strings.TrimSuffix(lines[0], "\r")); err != nil {
		return request{}, err
	}
	if len(lines)-1 > maxFields {
		return request{}, &errHead{http.StatusRequestHeaderFieldsTooLarge, "too many header fields"}
	}
	for _, line := range lines[1:] {
		name, value, ok := strings.Cut(strings.TrimSuffix(line, "\r"), ":")
		if !ok || !isToken(name) { // this includes obs-fold and "Name :" (RFC 7230 3.2.4)
			return request{}, bad("malformed header field")
		}
		if err := r.field(name, strings.Trim(value, " \t")); err != nil {
			return request{}, err
		}
	}
	return r, nil
}

// requestLine reads method, target and version.
func (r *request) requestLine(line string) error {
	parts := strings.Split(line, " ")
	if len(parts) != 3 || !isToken(parts[0]) || parts[1] == "" || !isText(parts[1]) {
		return bad("malformed request line")
	}
	r.method, r.target = parts[0], parts[1]
	major, minor, ok := strings.Cut(strings.TrimPrefix(parts[2], "HTTP/"), ".")
	if !ok || !strings.HasPrefix(parts[2], "HTTP/") || len(major) != 1 || len(minor) != 1 {
		return bad("malformed HTTP version")
	}
	if major != "1" {
		return &errHead{http.StatusHTTPVersionNotSupported, "HTTP version is not 1.x"}
	}
	r.close = minor == "0"
	return nil
}

// field takes what we need of one header field.
func (r *request) field(name, value string) error {
	if !isText(value) {
		return bad("control character in a header field")
	}
	switch strings.ToLower(name) {
	case "authorization":
		if r.authorization != "" {
			return bad("Authorization twice")
		}
		r.authorization = value
	case "connection":
		for option := range strings.SplitSeq(value, ",") {
			r.close = r.close || strings.EqualFold(strings.Trim(option, " \t"), "close")
		}
	case "content-length":
		r.body = r.body || strings.Trim(value, "0") != ""
	case "transfer-encoding":
		r.body = true
	}
	return nil
}

// isToken reports whether s is a token (RFC 7230 3.2.6).
func isToken(s string) bool {
	for i := 0; i < len(s); i++ {
		c := s[i]
		if !(c >= '0' && c <= '9' || c >= 'A' && c <= 'Z' || c >= 'a' && c <= 'z' || strings.IndexByte("!#$%&'*+-.^_`|~", c) >= 0) {
			return false
		}
	}
	return s != ""
}

// isText reports whether s has no control characters but tabs.
func isText(s string) bool {
	for i := 0; i < len(s); i++ {
		if c := s[i]; c < ' ' && c != '\t' || c == 0x7f {
			return false
		}
	}
	return true
}
