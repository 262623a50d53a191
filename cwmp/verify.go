package cwmp

// This file verifies the certificates of an ACS, also when we do not know what
// time it is: a router without a battery starts in 1970, and its first session
// may be what sets the clock. TR-069 3.3 lets a CPE skip the dates then; we
// verify everything at the latest moment at which a link of the chain became
// valid, and again when the clock is set.

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"time"
)

// A chain is what a server showed us while the clock was not set.
type chain struct {
	host  string
	certs []*x509.Certificate
}

// maxChains bounds the chains kept for Recheck: one per host of a session.
const maxChains = maxRedirects + 1

// tlsConfig makes our TLS configuration of the one given.
func (c *Client) tlsConfig() *tls.Config {
	t := &tls.Config{}
	if c.TLS != nil {
		t = c.TLS.Clone()
	}
	t.MinVersion = max(t.MinVersion, tls.VersionTLS12)
	t.NextProtos = nil
	if c.Clock == nil || t.InsecureSkipVerify {
		return t
	}
	// Verification is ours from here on: which time counts is known only when
	// the chain is.
	t.InsecureSkipVerify = true
	further := t.VerifyConnection
	t.VerifyConnection = func(s tls.ConnectionState) error {
		if err := c.verify(s, t.RootCAs); err != nil {
			return err
		}
		if further != nil {
			return further(s)
		}
		return nil
	}
	return t
}

// verify is what crypto/tls would do, at a time of our choice.
func (c *Client) verify(s tls.ConnectionState, roots *x509.CertPool) error {
	host := s.ServerName
	if host == "" {
		host = c.target.Hostname() // an address: crypto/tls sends no name for it
	}
	now, set := c.Clock()
	if set {
		return verifyAt(host, s.PeerCertificates, roots, now)
	}
	if err := verifyUnset(host, s.PeerCertificates, roots); err != nil {
		return err
	}
	if len(c.chains) < maxChains {
		c.chains = append(c.chains, chain{host, s.PeerCertificates})
	}
	return nil
}

// Recheck verifies what was accepted without a clock, now that it is set. An
// error means that the session was held with a server whose certificate is not
// good now. It forgets the chains.
func (c *Client) Recheck(now time.Time) error {
	chains := c.chains
	c.chains = nil
	var roots *x509.CertPool
	if c.TLS != nil {
		roots = c.TLS.RootCAs
	}
	for _, ch := range chains {
		if err := verifyAt(ch.host, ch.certs, roots, now); err != nil {
			return c.explain(err)
		}
	}
	return nil
}

func verifyAt(host string, certs []*x509.Certificate, roots *x509.CertPool, at time.Time) error {
	if len(certs) == 0 {
		return &tls.CertificateVerificationError{Err: errors.New("there is none")}
	}
	o := x509.VerifyOptions{DNSName: host, Roots: roots, CurrentTime: at, Intermediates: x509.NewCertPool()}
	for _, cert := range certs[1:] {
		o.Intermediates.AddCert(cert)
	}
	if _, err := certs[0].Verify(o); err != nil {
		return &tls.CertificateVerificationError{UnverifiedCertificates: certs, Err: err}
	}
	return nil
}

// verifyUnset verifies at the latest NotBefore of the chain. The root is not
// among what the server sends; when it is younger than the rest, the error of
// the first attempt tells.
func verifyUnset(host string, certs []*x509.Certificate, roots *x509.CertPool) error {
	var at time.Time
	for _, cert := range certs {
		if cert.NotBefore.After(at) {
			at = cert.NotBefore
		}
	}
	err := verifyAt(host, certs, roots, at)
	var invalid x509.CertificateInvalidError
	if errors.As(err, &invalid) && invalid.Reason == x509.Expired && invalid.Cert != nil && invalid.Cert.NotBefore.After(at) {
		err = verifyAt(host, certs, roots, invalid.Cert.NotBefore)
	}
	if err != nil {
		return fmt.Errorf("verified without a clock: %w", err)
	}
	return nil
}
