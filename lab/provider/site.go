package provider

// The whole side of a provider: a zone, a server behind TLS, and the ladder of
// the founding diagram as it is climbed.

import (
	"crypto/tls"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync"

	"gatehouse/lab/dns"
	"gatehouse/lab/pki"
)

// A Site is a provider that can be found: _rueconfig._tcp.DOMAIN leads to
// server.DOMAIN, where the configuration is.
type Site struct {
	*Server
	DNS *dns.Server
	CA  *pki.CA

	domain string
	step   func(step int, what string)
	web    *http.Server

	mu      sync.Mutex
	secured map[string]bool // connections whose handshake was told
}

// NewSite makes the site of a domain whose server is at addr. step is told
// what happens, by the number of the founding diagram; 1, what the user
// chooses, and 5, the way without SRV, are not ours to see.
func NewSite(domain string, addr netip.AddrPort, o Options, global map[string]any) (*Site, error) {
	if o.Step == nil {
		o.Step = func(int, string) {}
	}
	s := &Site{domain: domain, step: o.Step, secured: map[string]bool{}}
	kind := "A"
	if addr.Addr().Is6() {
		kind = "AAAA"
	}
	var err error
	if s.DNS, err = dns.New(
		fmt.Sprintf("_rueconfig._tcp.%s 60 SRV 0 0 %d server.%s", domain, addr.Port(), domain),
		fmt.Sprintf("server.%s 60 %s %s", domain, kind, addr.Addr()),
	); err != nil {
		return nil, err
	}
	if s.CA, err = pki.New("provider " + domain); err != nil {
		return nil, err
	}
	s.DNS.Observe = s.asked
	s.Server = New(o, global)
	s.web = &http.Server{Handler: http.HandlerFunc(s.answer), ErrorLog: log.New(io.Discard, "", 0)}
	return s, nil
}

// asked tells the steps of DNS.
func (s *Site) asked(question string, answers []string) {
	kind, name, _ := strings.Cut(strings.TrimSuffix(question, "."), " ")
	switch {
	case kind == "SRV":
		s.step(2, "DNS: SRV "+name+"?")
		if len(answers) > 0 {
			s.step(3, "DNS: "+strings.Join(answers, ", "))
		}
	case strings.HasPrefix(name, "server.") && len(answers) > 0: // the other family asks in vain
		s.step(4, "DNS: "+kind+" "+name+"?")
		s.step(6, "DNS: "+strings.Join(answers, ", "))
	}
}

// Serve answers HTTPS on l until Close.
func (s *Site) Serve(l net.Listener) error {
	config, err := s.CA.Config("", "server."+s.domain)
	if err != nil {
		return err
	}
	config.NextProtos = []string{"http/1.1"}
	config.GetConfigForClient = func(h *tls.ClientHelloInfo) (*tls.Config, error) {
		s.step(7, "TCP, TLS: ClientHello for "+h.ServerName)
		return nil, nil
	}
	if err := s.web.Serve(tls.NewListener(l, config)); err != http.ErrServerClosed {
		return err
	}
	return nil
}

// Close ends Serve.
func (s *Site) Close() error { return s.web.Close() }

// answer tells of the handshake once it has brought a request: by then the
// client has verified the certificate.
func (s *Site) answer(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	told := s.secured[r.RemoteAddr]
	s.secured[r.RemoteAddr] = true
	s.mu.Unlock()
	if !told && r.TLS != nil {
		s.step(8, "TLS: ServerHello, "+tls.VersionName(r.TLS.Version)+", "+tls.CipherSuiteName(r.TLS.CipherSuite))
		s.step(9, "TLS: Certificate of server."+s.domain+", verified")
		keys := "TLS: ServerKeyExchange"
		if r.TLS.Version >= tls.VersionTLS13 {
			keys = "TLS: the key exchange is part of the hello, no ServerKeyExchange"
		}
		s.step(10, keys)
		s.step(11, "TLS: the handshake is done")
	}
	s.ServeHTTP(w, r)
}
