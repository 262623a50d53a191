package cwmp

// This file holds what can go wrong in HTTP, in words that help.

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// ErrTooLong says that a reply is beyond MaxReply.
var ErrTooLong = errors.New("the reply is too long")

// An HTTPError is a status that is no success, after authentication and
// redirects.
type HTTPError struct {
	Status     int
	RetryAfter time.Duration // what the ACS asks for, 0 if nothing
	Text       string        // the beginning of what it says, one line
	Err        error         // for 401: why we did not answer it
}

// Error returns "the ACS answers 503 Service Unavailable (retry after 1m0s)".
func (e *HTTPError) Error() string {
	s := strings.TrimSpace(fmt.Sprintf("the ACS answers %d %s", e.Status, http.StatusText(e.Status)))
	if e.RetryAfter > 0 {
		s += fmt.Sprintf(" (retry after %s)", e.RetryAfter)
	}
	if e.Err != nil {
		s += ": " + e.Err.Error()
	}
	if e.Text != "" {
		s += fmt.Sprintf(": %q", e.Text)
	}
	return s
}

// Unwrap returns why a 401 was not answered.
func (e *HTTPError) Unwrap() error { return e.Err }

// maxRetryAfter bounds what we take for a Retry-After.
const maxRetryAfter = 7 * 24 * time.Hour

// error makes an HTTPError of a reply.
func (r *reply) error(cause error) *HTTPError {
	return &HTTPError{
		Status: r.status, RetryAfter: retryAfter(r.header), Err: cause,
		Text: firstLine(r.header.Get("Content-Type"), r.body),
	}
}

// retryAfter reads seconds or a date (RFC 9110 10.2.3); a date counts from the
// server's own Date, for our clock may not be set.
func retryAfter(h http.Header) time.Duration {
	v := strings.TrimSpace(h.Get("Retry-After"))
	if n, err := strconv.ParseUint(v, 10, 32); err == nil {
		return min(time.Duration(n)*time.Second, maxRetryAfter)
	}
	then, err := http.ParseTime(v)
	if err != nil {
		return 0
	}
	now, err := http.ParseTime(h.Get("Date"))
	if err != nil {
		return 0
	}
	return min(max(then.Sub(now), 0), maxRetryAfter)
}

// firstLine is a printable beginning of a text/plain body: servers say there
// what they miss.
func firstLine(contentType string, body []byte) string {
	if contentType != "" && !strings.HasPrefix(strings.ToLower(contentType), "text/plain") || !utf8.Valid(body) {
		return ""
	}
	s := strings.TrimSpace(string(body))
	if i := strings.IndexFunc(s, func(r rune) bool { return !unicode.IsPrint(r) }); i >= 0 {
		s = s[:i]
	}
	return truncate(s, 120)
}

// A RedirectError is a redirect that we do not follow.
type RedirectError struct{ To, Problem string }

// Error returns "redirect to … leaves TLS, which is refused".
func (e *RedirectError) Error() string {
	if e.To == "" {
		return "redirect " + e.Problem
	}
	return "redirect to " + e.To + " " + e.Problem
}

// A TLSError says what is wrong with the certificate of an ACS, or with the
// handshake.
type TLSError struct {
	Host    string
	Problem string
	Err     error
}

// Error returns "TLS to acs.example.net: the certificate is for other.net".
func (e *TLSError) Error() string { return "TLS to " + e.Host + ": " + e.Problem }

// Unwrap returns the error of crypto/tls or crypto/x509.
func (e *TLSError) Unwrap() error { return e.Err }

// explain turns what the TLS layer says into a TLSError.
func (c *Client) explain(err error) error {
	var (
		verify    *tls.CertificateVerificationError
		authority x509.UnknownAuthorityError
		host      x509.HostnameError
		invalid   x509.CertificateInvalidError
		remote    *net.OpError
		record    tls.RecordHeaderError
	)
	problem := ""
	switch {
	case errors.As(err, &host):
		problem = "the certificate is for " + names(host.Certificate) + ", not for " + host.Host
	case errors.As(err, &authority):
		problem = "the certificate was issued by an authority that we do not trust"
		if authority.Cert != nil {
			problem += " (" + authority.Cert.Issuer.String() + ")"
		}
	case errors.As(err, &invalid):
		problem = whyInvalid(invalid)
	case errors.As(err, &verify):
		problem = "the certificate is not good: " + verify.Err.Error()
	case errors.As(err, &remote) && remote.Op == "remote error":
		problem = "the ACS refuses the handshake: " + remote.Err.Error()
	case errors.As(err, &record):
		problem = "the ACS does not speak TLS there: " + record.Msg
	default:
		return err
	}
	return &TLSError{Host: c.target.Hostname(), Problem: problem, Err: err}
}

func whyInvalid(e x509.CertificateInvalidError) string {
	const day = "2006-01-02"
	if e.Reason == x509.Expired && e.Cert != nil {
		return fmt.Sprintf("the certificate of %s is good from %s to %s: %s", names(e.Cert),
			e.Cert.NotBefore.UTC().Format(day), e.Cert.NotAfter.UTC().Format(day), e.Detail)
	}
	return "the certificate is not good: " + e.Error()
}

// names lists who a certificate is for.
func names(c *x509.Certificate) string {
	if c == nil {
		return "nobody"
	}
	list := append([]string(nil), c.DNSNames...)
	for _, ip := range c.IPAddresses {
		list = append(list, ip.String())
	}
	if len(list) == 0 {
		return c.Subject.String()
	}
	const most = 4
	if len(list) > most {
		list = append(list[:most], "…")
	}
	return strings.Join(list, ", ")
}
