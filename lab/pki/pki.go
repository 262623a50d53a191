// Package pki makes certificates for tests and for the bench: a throw-away
// authority and what it signs. Everything is made at call time, so that inside
// a testing/synctest bubble the validity follows the bubble's clock.
package pki

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"time"
)

// CA is a certificate authority with its private key. It lives in memory only.
type CA struct {
	Cert *x509.Certificate
	der  []byte
	key  *ecdsa.PrivateKey

	above [][]byte // what signed it, as far as a server sends it along
}

// New makes an authority called name, valid from an hour ago for ten years.
func New(name string) (*CA, error) {
	now := time.Now()
	return newCA(name, now.Add(-time.Hour), now.AddDate(10, 0, 0))
}

func newCA(name string, from, until time.Time) (*CA, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("authority key: %w", err)
	}
	t := &x509.Certificate{
		Subject:               pkix.Name{CommonName: name},
		NotBefore:             from,
		NotAfter:              until,
		IsCA:                  true,
		BasicConstraintsValid: true,
		KeyUsage:              x509.KeyUsageCertSign | x509.KeyUsageCRLSign | x509.KeyUsageDigitalSignature,
	}
	der, err := sign(t, t, &key.PublicKey, key)
	if err != nil {
		return nil, err
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, fmt.Errorf("authority certificate: %w", err)
	}
	return &CA{Cert: cert, der: der, key: key}, nil
}

// sign gives t a random serial number and signs it.
func sign(t, parent *x509.Certificate, pub *ecdsa.PublicKey, key *ecdsa.PrivateKey) ([]byte, error) {
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	if err != nil {
		return nil, fmt.Errorf("serial number: %w", err)
	}
	t.SerialNumber = serial
	der, err := x509.CreateCertificate(rand.Reader, t, parent, pub, key)
	if err != nil {
		return nil, fmt.Errorf("certificate of %q: %w", t.Subject.CommonName, err)
	}
	return der, nil
}

// Leaf says what a certificate is for. The zero value is a server certificate
// without a name, valid from an hour ago for a year.
type Leaf struct {
	Names      []string                // DNS names and IP addresses of the subject alternative name
	CommonName string                  // the subject; the first name when empty
	Client     bool                    // for client authentication instead of server authentication
	Usages     []asn1.ObjectIdentifier // extended key usages of somebody's own, besides
	NotBefore  time.Time
	NotAfter   time.Time
}

// Server signs a server certificate for the DNS names and IP addresses given.
func (c *CA) Server(names ...string) (tls.Certificate, error) {
	return c.Issue(Leaf{Names: names})
}

// Client signs a client certificate whose subject is commonName (TR-069 3.3:
// `OUI-Serial` when it identifies a CPE).
func (c *CA) Client(commonName string) (tls.Certificate, error) {
	return c.Issue(Leaf{CommonName: commonName, Client: true})
}

// Issue signs what l describes.
func (c *CA) Issue(l Leaf) (tls.Certificate, error) { return l.signedBy(c) }

// signedBy makes the key and the certificate; nil signs it with itself.
func (l Leaf) signedBy(c *CA) (tls.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("leaf key: %w", err)
	}
	t := l.template(time.Now())
	parent, signer := t, key
	if c != nil {
		parent, signer = c.Cert, c.key
	}
	der, err := sign(t, parent, &key.PublicKey, signer)
	if err != nil {
		return tls.Certificate{}, err
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("leaf certificate: %w", err)
	}
	chain := [][]byte{der}
	if c != nil {
		chain = append(chain, c.der)
		chain = append(chain, c.above...)
	}
	return tls.Certificate{Certificate: chain, PrivateKey: key, Leaf: leaf}, nil
}

func (l Leaf) template(now time.Time) *x509.Certificate {
	t := &x509.Certificate{
		Subject:     pkix.Name{CommonName: l.CommonName},
		NotBefore:   l.NotBefore,
		NotAfter:    l.NotAfter,
		KeyUsage:    x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	if l.Client {
		t.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
	}
	t.UnknownExtKeyUsage = l.Usages
	if t.NotBefore.IsZero() {
		t.NotBefore = now.Add(-time.Hour)
	}
	if t.NotAfter.IsZero() {
		t.NotAfter = now.AddDate(1, 0, 0)
	}
	for _, n := range l.Names {
		if ip := net.ParseIP(n); ip != nil {
			t.IPAddresses = append(t.IPAddresses, ip)
		} else {
			t.DNSNames = append(t.DNSNames, n)
		}
	}
	if t.Subject.CommonName == "" && len(l.Names) > 0 {
		t.Subject.CommonName = l.Names[0]
	}
	return t
}

// Pool holds the authority as the only root.
func (c *CA) Pool() *x509.CertPool {
	p := x509.NewCertPool()
	p.AddCert(c.Cert)
	return p
}

// PEM is the authority's certificate as a file would hold it.
func (c *CA) PEM() []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.der})
}

// Files prints a signed certificate (with its chain) and its key as PEM.
func Files(cert tls.Certificate) (certPEM, keyPEM []byte, err error) {
	for _, der := range cert.Certificate {
		certPEM = append(certPEM, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})...)
	}
	key, err := x509.MarshalPKCS8PrivateKey(cert.PrivateKey)
	if err != nil {
		return nil, nil, fmt.Errorf("private key: %w", err)
	}
	return certPEM, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key}), nil
}
