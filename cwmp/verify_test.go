package cwmp

// TLS: what is accepted, what is refused and in which words, and what happens
// without a clock.

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// A ca issues certificates for tests.
type ca struct {
	t    *testing.T
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newCA(t *testing.T, from, to time.Time) *ca {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c := &ca{t: t, key: key}
	c.cert = c.sign(&x509.Certificate{
		Subject: pkix.Name{CommonName: "Test Root"}, NotBefore: from, NotAfter: to,
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}, key)
	return c
}

func (c *ca) sign(template *x509.Certificate, key *ecdsa.PrivateKey) *x509.Certificate {
	c.t.Helper()
	template.SerialNumber = big.NewInt(time.Now().UnixNano())
	parent := c.cert
	if parent == nil {
		parent = template
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, key.Public(), c.key)
	if err != nil {
		c.t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		c.t.Fatal(err)
	}
	return cert
}

func (c *ca) pool() *x509.CertPool {
	p := x509.NewCertPool()
	p.AddCert(c.cert)
	return p
}

// issue makes a server (or client) certificate for names and 127.0.0.1.
func (c *ca) issue(from, to time.Time, usage x509.ExtKeyUsage, names ...string) tls.Certificate {
	c.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		c.t.Fatal(err)
	}
	template := &x509.Certificate{
		Subject: pkix.Name{CommonName: names[0]}, NotBefore: from, NotAfter: to, DNSNames: names,
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{usage},
	}
	if names[0] == "127.0.0.1" {
		template.DNSNames, template.IPAddresses = nil, []net.IP{net.IPv4(127, 0, 0, 1)}
	}
	return tls.Certificate{Certificate: [][]byte{c.sign(template, key).Raw}, PrivateKey: key}
}

func tlsServer(t *testing.T, cfg *tls.Config, h http.Handler) *httptest.Server {
	t.Helper()
	srv := httptest.NewUnstartedServer(h)
	srv.TLS = cfg
	srv.Config.ErrorLog = log.New(io.Discard, "", 0)
	srv.StartTLS()
	t.Cleanup(srv.Close)
	return srv
}

func day(n int) time.Time { return time.Now().AddDate(0, 0, n) }

// TestCertificates: each case is a server with something about it.
func TestCertificates(t *testing.T) {
	const server = x509.ExtKeyUsageServerAuth
	root := newCA(t, day(-100), day(100))
	stranger := newCA(t, day(-100), day(100))
	now := func() (time.Time, bool) { return time.Now(), true }
	in1970 := func() (time.Time, bool) { return time.Unix(60, 0), false }
	in1970set := func() (time.Time, bool) { return time.Unix(60, 0), true }
	youngRoot := newCA(t, day(-1), day(100))
	tests := map[string]struct {
		cert  tls.Certificate
		roots *x509.CertPool
		clock func() (time.Time, bool)
		word  string // of the error, "" for none
	}{
		"good":                      {root.issue(day(-9), day(9), server, "acs.test"), root.pool(), nil, ""},
		"good_with_clock":           {root.issue(day(-9), day(9), server, "acs.test"), root.pool(), now, ""},
		"other_name":                {root.issue(day(-9), day(9), server, "other.test", "more.test"), root.pool(), nil, "is for other.test, more.test, not for acs.test"},
		"other_name_with_clock":     {root.issue(day(-9), day(9), server, "other.test"), root.pool(), now, "not for acs.test"},
		"unknown_authority":         {stranger.issue(day(-9), day(9), server, "acs.test"), root.pool(), nil, "authority that we do not trust"},
		"expired":                   {root.issue(day(-9), day(-3), server, "acs.test"), root.pool(), nil, "is good from " + day(-9).UTC().Format("2006-01-02")},
		"expired_with_clock":        {root.issue(day(-9), day(-3), server, "acs.test"), root.pool(), now, "is good from"},
		"not_yet":                   {root.issue(day(3), day(9), server, "acs.test"), root.pool(), now, "is good from"},
		"for_clients_only":          {root.issue(day(-9), day(9), x509.ExtKeyUsageClientAuth, "acs.test"), root.pool(), nil, "not good"},
		"1970_field_18":             {root.issue(day(-9), day(9), server, "acs.test"), root.pool(), in1970, ""},
		"1970_believed":             {root.issue(day(-9), day(9), server, "acs.test"), root.pool(), in1970set, "is good from"},
		"1970_other_name":           {root.issue(day(-9), day(9), server, "other.test"), root.pool(), in1970, "not for acs.test"},
		"1970_unknown_authority":    {stranger.issue(day(-9), day(9), server, "acs.test"), root.pool(), in1970, "authority"},
		"1970_for_clients_only":     {root.issue(day(-9), day(9), x509.ExtKeyUsageClientAuth, "acs.test"), root.pool(), in1970, "not good"},
		"1970_root_younger":         {youngRoot.issue(day(-9), day(9), server, "acs.test"), youngRoot.pool(), in1970, ""},
		"1970_dead_before_its_root": {youngRoot.issue(day(-9), day(-3), server, "acs.test"), youngRoot.pool(), in1970, "is good from"},
		"1970_wider_than_its_root":  {root.issue(day(-200), day(200), server, "acs.test"), root.pool(), in1970, ""},
		"1970_by_address":           {root.issue(day(-9), day(9), server, "127.0.0.1"), root.pool(), in1970, ""},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			srv := tlsServer(t, &tls.Config{Certificates: []tls.Certificate{tt.cert}}, noContent.handler())
			c := newClient("https://acs.test/")
			if name == "1970_by_address" {
				c.URL = srv.URL
			}
			c.Dial = func(ctx context.Context, network, _ string) (net.Conn, error) {
				return (&net.Dialer{}).DialContext(ctx, network, srv.Listener.Addr().String())
			}
			c.TLS, c.Clock = &tls.Config{RootCAs: tt.roots}, tt.clock
			_, err := exchange(t, c, nil)
			c.Close()
			var te *TLSError
			if tt.word == "" && err != nil || tt.word != "" && (!errors.As(err, &te) || !strings.Contains(err.Error(), tt.word)) {
				t.Errorf("error %v, want a word of %q", err, tt.word)
			}
		})
	}
}

// TestRecheck: when the clock is set, what was accepted without it is looked
// at again.
func TestRecheck(t *testing.T) {
	root := newCA(t, day(-100), day(100))
	cert := root.issue(day(-9), day(-3), x509.ExtKeyUsageServerAuth, "127.0.0.1")
	srv := tlsServer(t, &tls.Config{Certificates: []tls.Certificate{cert}}, noContent.handler())
	c := newClient(srv.URL)
	c.TLS, c.Clock = &tls.Config{RootCAs: root.pool()}, func() (time.Time, bool) { return time.Time{}, false }
	if _, err := exchange(t, c, nil); err != nil {
		t.Fatal(err)
	}
	c.Close()
	var te *TLSError
	if err := c.Recheck(time.Now()); !errors.As(err, &te) {
		t.Errorf("expired: %v", err)
	}
	if err := c.Recheck(time.Now()); err != nil {
		t.Errorf("asked again: %v", err)
	}
	if _, err := exchange(t, c, nil); err != nil {
		t.Fatal(err)
	}
	c.Close()
	if err := c.Recheck(day(-5)); err != nil {
		t.Errorf("good then: %v", err)
	}
}

// TestTLSVersions: nothing before 1.2; HTTP/1.1 even where h2 is on offer.
func TestTLSVersions(t *testing.T) {
	root := newCA(t, day(-9), day(9))
	cert := root.issue(day(-9), day(9), x509.ExtKeyUsageServerAuth, "127.0.0.1")
	for version, good := range map[uint16]bool{tls.VersionTLS11: false, tls.VersionTLS12: true, tls.VersionTLS13: true} {
		a := &acs{t: t, steps: []step{noContent}}
		srv := tlsServer(t, &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS10, MaxVersion: version, NextProtos: []string{"h2", "http/1.1"}}, a)
		c := newClient(srv.URL)
		c.TLS = &tls.Config{RootCAs: root.pool(), MinVersion: tls.VersionTLS10}
		_, err := exchange(t, c, nil)
		c.Close()
		if (err == nil) != good || good && a.seen()[0].proto != "HTTP/1.1" {
			t.Errorf("version %x: %v", version, err)
		}
		var te *TLSError
		if !good && (!errors.As(err, &te) || !strings.Contains(te.Problem, "refuses the handshake")) {
			t.Errorf("version %x: %v", version, err)
		}
	}
}

// TestNotTLS: https to a server that speaks plain HTTP.
func TestNotTLS(t *testing.T) {
	srv := httptest.NewServer(noContent.handler())
	defer srv.Close()
	srv.Config.ErrorLog = log.New(io.Discard, "", 0)
	_, err := exchange(t, newClient(strings.Replace(srv.URL, "http:", "https:", 1)), nil)
	if err == nil || !strings.Contains(err.Error(), "TLS") && !strings.Contains(err.Error(), "HTTPS") {
		t.Errorf("error %v", err)
	}
}

// TestClientCertificateAndBasic: both over TLS, Basic without being asked.
func TestClientCertificateAndBasic(t *testing.T) {
	root := newCA(t, day(-9), day(9))
	a := &acs{t: t, steps: []step{informed, noContent}}
	defer a.done()
	srv := tlsServer(t, &tls.Config{
		Certificates: []tls.Certificate{root.issue(day(-9), day(9), x509.ExtKeyUsageServerAuth, "127.0.0.1")},
		ClientAuth:   tls.RequireAndVerifyClientCert, ClientCAs: root.pool(),
	}, a)
	s, c, _ := testSession(srv.URL)
	c.TLS = &tls.Config{RootCAs: root.pool(), Certificates: []tls.Certificate{root.issue(day(-9), day(9), x509.ExtKeyUsageClientAuth, "0011AA-SN1")}}
	if _, err := s.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	for i, p := range a.seen() {
		if got := p.header.Get("Authorization"); got != "Basic Y3BlOnNlY3JldA==" {
			t.Errorf("POST %d: %q", i, got)
		}
	}
	if c.LocalAddr() == nil || c.LocalAddr().String() != a.seen()[0].remote || c.RemoteAddr().String() != srv.Listener.Addr().String() {
		t.Errorf("addresses %v, %v", c.LocalAddr(), c.RemoteAddr())
	}

	s, c, _ = testSession(srv.URL)
	c.TLS = &tls.Config{RootCAs: root.pool()}
	if _, err := s.Run(t.Context()); err == nil {
		t.Error("the ACS let us in without a certificate")
	}
}
