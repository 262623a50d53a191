package cwmp

// This file verifies the certificates of an ACS, also when we do not know what
// time it is, and again when the clock is set.

import (
	"crypto/tls"
	"crypto/x509"
	"time"

	"gatehouse/internal/trust"
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
	if err := trust.Verify([]string{host}, s.PeerCertificates, roots, now, set); err != nil {
		return err
	}
	if !set && len(c.chains) < maxChains {
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
		if err := trust.Verify([]string{ch.host}, ch.certs, roots, now, true); err != nil {
			return c.explain(err)
		}
	}
	return nil
}
