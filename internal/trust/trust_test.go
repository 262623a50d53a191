package trust

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"math/big"
	"testing"
	"time"
)

// made returns a root, and a certificate of it for names, valid for a year from
// the given times on.
func made(t *testing.T, rootFrom, from time.Time, names ...string) (*x509.CertPool, []*x509.Certificate) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	root := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "root"}, IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageCertSign, NotBefore: rootFrom, NotAfter: rootFrom.AddDate(10, 0, 0),
	}
	leaf := &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: "leaf"}, DNSNames: names,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}, NotBefore: from, NotAfter: from.AddDate(1, 0, 0),
	}
	var certs []*x509.Certificate
	for _, c := range []*x509.Certificate{root, leaf} {
		der, err := x509.CreateCertificate(rand.Reader, c, root, &key.PublicKey, key)
		if err != nil {
			t.Fatal(err)
		}
		cert, err := x509.ParseCertificate(der)
		if err != nil {
			t.Fatal(err)
		}
		certs = append(certs, cert)
	}
	pool := x509.NewCertPool()
	pool.AddCert(certs[0])
	return pool, certs[1:]
}

func TestVerify(t *testing.T) {
	y2024, y2025 := time.Date(2024, 1, 1, 0, 0, 0, 0, time.UTC), time.Date(2025, 1, 1, 0, 0, 0, 0, time.UTC)
	roots, certs := made(t, y2024, y2025, "config.p.example", "p.example")
	young, younger := made(t, y2025.AddDate(0, 1, 0), y2025, "p.example")
	stranger, _ := made(t, y2024, y2025, "p.example")
	for _, c := range []struct {
		name  string
		names []string
		certs []*x509.Certificate
		roots *x509.CertPool
		now   time.Time
		set   bool
		good  bool
	}{
		{"good", []string{"p.example"}, certs, roots, y2025.AddDate(0, 6, 0), true, true},
		{"second name", []string{"other.example", "config.p.example"}, certs, roots, y2025.AddDate(0, 6, 0), true, true},
		{"wrong name", []string{"other.example"}, certs, roots, y2025.AddDate(0, 6, 0), true, false},
		{"no name", nil, nil, roots, y2025, true, false},
		{"expired", []string{"p.example"}, certs, roots, y2025.AddDate(2, 0, 0), true, false},
		{"not yet", []string{"p.example"}, certs, roots, y2024, true, false},
		{"1970", []string{"p.example"}, certs, roots, time.Unix(0, 0), true, false},
		{"1970 and knows it", []string{"p.example"}, certs, roots, time.Unix(0, 0), false, true},
		{"1970, wrong name", []string{"other.example"}, certs, roots, time.Unix(0, 0), false, false},
		{"1970, a root that is younger", []string{"p.example"}, younger, young, time.Unix(0, 0), false, true},
		{"1970, a stranger", []string{"p.example"}, certs, stranger, time.Unix(0, 0), false, false},
		{"nothing shown", []string{"p.example"}, nil, roots, y2025, true, false},
	} {
		err := Verify(c.names, c.certs, c.roots, c.now, c.set)
		if (err == nil) != c.good {
			t.Errorf("%s: %v", c.name, err)
		}
	}
	err := Verify([]string{"other.example"}, certs, roots, y2025, true)
	var host x509.HostnameError
	if !errors.As(err, &host) {
		t.Errorf("a wrong name: %v", err)
	}
}
