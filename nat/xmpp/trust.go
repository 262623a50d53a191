package xmpp

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"net"
	"time"

	verify "gatehouse/internal/trust"
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
			}
			return verify.Verify([]string{domain}, s.PeerCertificates, roots.Roots, roots.Now, !roots.Now.IsZero())
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
