package xmpp

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"time"
)

// Trust is whom to believe in one TLS handshake. It is asked for before each
// and dropped after it: a bundle of roots costs more memory than all the rest.
type Trust struct {
	Roots      *x509.CertPool // nil: the system's
	MinVersion uint16         // 0: TLS 1.2
	Insecure   bool           // any certificate will do: for the laboratory
	// Now is the wall time; zero: not known yet. Then certificates are verified
	// in full at the latest NotBefore of their chain, and again when
	// ClockStepped says that the clock is set.
	Now time.Time
}

// secure makes a TLS connection of conn with a server of domain (RFC 6120 13.7:
// the certificate is the domain's, wherever DNS has sent us). It returns the
// chain if it is to be verified again.
func secure(ctx context.Context, conn net.Conn, domain string, direct bool, trust Trust) (*tls.Conn, []*x509.Certificate, error) {
	var unset []*x509.Certificate
	roots := &trust
	config := &tls.Config{
		ServerName: domain,
		MinVersion: max(trust.MinVersion, tls.VersionTLS12),
		// VerifyConnection does what crypto/tls would: a connection keeps its
		// configuration for as long as it lives, and must not keep the roots.
		InsecureSkipVerify: true,
		VerifyConnection: func(s tls.ConnectionState) error {
			if roots.Insecure {
				return nil
			}
			if roots.Now.IsZero() {
				unset = s.PeerCertificates
				return verifyUnset(domain, s.PeerCertificates, roots.Roots)
			}
			return verifyAt(domain, s.PeerCertificates, roots.Roots, roots.Now)
		},
	}
	if direct {
		config.NextProtos = []string{"xmpp-client"} // XEP-0368
	}
	secured := tls.Client(conn, config)
	err := secured.HandshakeContext(ctx)
	*roots = Trust{} // the closure keeps the pointer, not the pool
	if err != nil {
		return nil, nil, err
	}
	return secured, unset, nil
}

func verifyAt(domain string, certs []*x509.Certificate, roots *x509.CertPool, at time.Time) error {
	if len(certs) == 0 {
		return &tls.CertificateVerificationError{Err: errors.New("there is none")}
	}
	o := x509.VerifyOptions{DNSName: domain, Roots: roots, CurrentTime: at, Intermediates: x509.NewCertPool()}
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
func verifyUnset(domain string, certs []*x509.Certificate, roots *x509.CertPool) error {
	var at time.Time
	for _, cert := range certs {
		if cert.NotBefore.After(at) {
			at = cert.NotBefore
		}
	}
	err := verifyAt(domain, certs, roots, at)
	var invalid x509.CertificateInvalidError
	if errors.As(err, &invalid) && invalid.Reason == x509.Expired && invalid.Cert != nil && invalid.Cert.NotBefore.After(at) {
		err = verifyAt(domain, certs, roots, invalid.Cert.NotBefore)
	}
	return err
}
