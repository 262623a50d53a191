package pki_test

import (
	"crypto/tls"
	"crypto/x509"
	"testing"
	"testing/synctest"
	"time"

	"gatehouse/lab/pki"
)

// Certificates follow the clock of the bubble that they are made in.
func TestIssue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ca, err := pki.New("lab")
		if err != nil {
			t.Fatal(err)
		}
		old := pki.Leaf{Names: []string{"acs.example"}, NotBefore: time.Now().AddDate(-2, 0, 0), NotAfter: time.Now().AddDate(-1, 0, 0)}
		for _, row := range []struct {
			name string
			leaf pki.Leaf
			host string
			use  x509.ExtKeyUsage
			ok   bool
		}{
			{"server", pki.Leaf{Names: []string{"acs.example", "192.0.2.1"}}, "acs.example", x509.ExtKeyUsageServerAuth, true},
			{"by address", pki.Leaf{Names: []string{"192.0.2.1"}}, "192.0.2.1", x509.ExtKeyUsageServerAuth, true},
			{"another name", pki.Leaf{Names: []string{"acs.example"}}, "other.example", x509.ExtKeyUsageServerAuth, false},
			{"expired", old, "acs.example", x509.ExtKeyUsageServerAuth, false},
			{"client", pki.Leaf{CommonName: "0011AA-SN1", Client: true}, "", x509.ExtKeyUsageClientAuth, true},
			{"client as server", pki.Leaf{CommonName: "0011AA-SN1", Client: true}, "", x509.ExtKeyUsageServerAuth, false},
		} {
			cert, err := ca.Issue(row.leaf)
			if err != nil {
				t.Fatal(row.name, err)
			}
			_, err = cert.Leaf.Verify(x509.VerifyOptions{
				Roots: ca.Pool(), DNSName: row.host, CurrentTime: time.Now(), KeyUsages: []x509.ExtKeyUsage{row.use},
			})
			if (err == nil) != row.ok {
				t.Errorf("%s: %v", row.name, err)
			}
		}
	})
}

// What Files prints can be loaded again.
func TestFiles(t *testing.T) {
	ca, err := pki.New("lab")
	if err != nil {
		t.Fatal(err)
	}
	cert, err := ca.Server("acs.example")
	if err != nil {
		t.Fatal(err)
	}
	certPEM, keyPEM, err := pki.Files(cert)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tls.X509KeyPair(certPEM, keyPEM); err != nil {
		t.Error(err)
	}
	if !x509.NewCertPool().AppendCertsFromPEM(ca.PEM()) {
		t.Error("the authority's PEM holds no certificate")
	}
}
