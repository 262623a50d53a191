// Package trust verifies certificates, also when nobody knows what time it is:
// a router without a battery starts in 1970, and its first connection may be
// what sets the clock. TR-069 3.3 lets a CPE skip the dates then; we verify
// everything at the latest moment at which a link of the chain became valid,
// and leave it to the caller to verify again once the clock is set.
package trust

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"time"
)

// Verify checks that certs, a server's chain with the leaf first, leads to one
// of roots (nil: the system's) and is for one of names. With set it is checked
// at now, else at the latest NotBefore of the chain. The error is a
// *tls.CertificateVerificationError; it is that of the first name.
func Verify(names []string, certs []*x509.Certificate, roots *x509.CertPool, now time.Time, set bool) error {
	first := error(&tls.CertificateVerificationError{UnverifiedCertificates: certs, Err: errors.New("no name to verify it for")})
	for i, name := range names {
		err := verify(name, certs, roots, now, set)
		if err == nil {
			return nil
		}
		if i == 0 {
			first = err
		}
	}
	return first
}

func verify(name string, certs []*x509.Certificate, roots *x509.CertPool, now time.Time, set bool) error {
	if set {
		return at(name, certs, roots, now)
	}
	return unset(name, certs, roots)
}

func at(name string, certs []*x509.Certificate, roots *x509.CertPool, at time.Time) error {
	if len(certs) == 0 {
		return &tls.CertificateVerificationError{Err: errors.New("there is none")}
	}
	o := x509.VerifyOptions{DNSName: name, Roots: roots, CurrentTime: at, Intermediates: x509.NewCertPool()}
	for _, cert := range certs[1:] {
		o.Intermediates.AddCert(cert)
	}
	if _, err := certs[0].Verify(o); err != nil {
		return &tls.CertificateVerificationError{UnverifiedCertificates: certs, Err: err}
	}
	return nil
}

// unset verifies at the latest NotBefore of the chain. The root is not among
// what the server sends; when it is younger than the rest, the error of the
// first attempt tells.
func unset(name string, certs []*x509.Certificate, roots *x509.CertPool) error {
	var latest time.Time
	for _, cert := range certs {
		if cert.NotBefore.After(latest) {
			latest = cert.NotBefore
		}
	}
	err := at(name, certs, roots, latest)
	var invalid x509.CertificateInvalidError
	if errors.As(err, &invalid) && invalid.Reason == x509.Expired && invalid.Cert != nil && invalid.Cert.NotBefore.After(latest) {
		err = at(name, certs, roots, invalid.Cert.NotBefore)
	}
	if err != nil {
		return fmt.Errorf("verified without a clock: %w", err)
	}
	return nil
}
