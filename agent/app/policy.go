package app

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/url"
	"os"
	"strings"
	"time"

	"gatehouse/agent/settings"
	"gatehouse/internal/endpoint"
)

// This file says whom the agent trusts and how it gets there.

// certificateWarning is how long before its end a client certificate is worth
// a warning with each use.
const certificateWarning = 30 * 24 * time.Hour

// maxBundle bounds a file of certificates; Debian's has 220 KB.
const maxBundle = 4 << 20

// bundles is where systems keep the roots they trust; the first that is there
// counts.
var bundles = []string{
	"/etc/ssl/certs/ca-certificates.crt", // Debian, OpenWrt
	"/etc/ssl/cert.pem",                  // OpenWrt's ca-bundle, Alpine
	"/etc/pki/tls/certs/ca-bundle.crt",   // Fedora
}

// tlsConfig is made for each session and dropped with it: a bundle of roots
// costs more memory than all the rest of an idle agent. An ACS without TLS may
// still redirect to one with it; for that rare case the system's own way to
// find its roots will do.
func (a *Agent) tlsConfig(scheme string) (*tls.Config, error) {
	s := a.settings
	return a.tlsFor(scheme, s.Get(settings.TLSCA), s.Get(settings.TLSCert), s.Get(settings.TLSKey))
}

// tlsFor is tlsConfig with files of a channel's own, read anew each time: what
// replaces them takes effect with the next connection.
func (a *Agent) tlsFor(scheme, ca, cert, key string) (*tls.Config, error) {
	s := a.settings
	c := &tls.Config{
		MinVersion:         tls.VersionTLS12,
		InsecureSkipVerify: s.Bool(settings.TLSInsecure),
	}
	if s.Get(settings.TLSMinVersion) == "1.3" {
		c.MinVersion = tls.VersionTLS13
	}
	if !c.InsecureSkipVerify && (ca != "" || scheme == "https") {
		var err error
		if c.RootCAs, err = a.roots(ca); err != nil {
			return nil, err
		}
	}
	switch {
	case cert == "" && key == "":
		return c, nil
	case key == "":
		key = cert // both in one file
	}
	pair, err := tls.LoadX509KeyPair(cert, key)
	if err != nil {
		return nil, fmt.Errorf("client certificate %s: %w", cert, err)
	}
	if now, known := a.wall.Now(); known && pair.Leaf != nil && now.After(pair.Leaf.NotAfter.Add(-certificateWarning)) {
		a.log.Warn("the client certificate ends soon, or has ended", "file", cert, "end", pair.Leaf.NotAfter)
	}
	c.Certificates = []tls.Certificate{pair}
	return c, nil
}

// roots reads the certificates that are trusted: those of path, or, when it is
// "", the system's.
func (a *Agent) roots(path string) (*x509.CertPool, error) {
	paths := bundles
	if path != "" {
		paths = []string{path}
	}
	for _, p := range paths {
		pem, err := readSome(p, maxBundle)
		if errors.Is(err, fs.ErrNotExist) && path == "" {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("trusted certificates: %w", err)
		}
		pool := x509.NewCertPool()
		if !pool.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("trusted certificates: %s holds none in PEM form", p)
		}
		return pool, nil
	}
	return nil, fmt.Errorf("no trusted certificates: install ca-bundle (Debian: ca-certificates), or set option ca in section tls of %s", a.cfg.ConfigFile)
}

func readSome(path string, limit int64) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if info.Size() > limit {
		return nil, fmt.Errorf("%s: over %d bytes", path, limit)
	}
	return os.ReadFile(path)
}

// network is how the ACS is reached. It lives as long as its settings, so that
// it remembers between sessions which addresses of the ACS did not answer.
type network struct {
	made   string // of which settings
	dialer *endpoint.Dialer
}

// dialer returns what connects to the ACS.
func (a *Agent) dialer(log *slog.Logger) (*endpoint.Dialer, error) {
	s := a.settings
	made := strings.Join([]string{s.Get(settings.Interface), s.Get(settings.ProxyURL), s.Get(settings.ProxyUsername),
		s.Get(settings.ProxyPassword), s.Get(settings.ProxyExcept)}, "\x00")
	if n := a.network.Load(); n != nil && n.made == made {
		return n.dialer, nil
	}
	base := endpoint.DialFunc(a.cfg.Dial)
	if base == nil {
		base = endpoint.Bound(s.Get(settings.Interface))
	}
	d := &endpoint.Dialer{
		Resolver: &endpoint.Resolver{Config: a.cfg.ResolvConf, Hosts: a.cfg.Hosts, Dial: base},
		Base:     base,
		NoProxy:  s.List(settings.ProxyExcept),
	}
	if r := a.cfg.Rand; r != nil {
		d.Pool.Rand = func(n int) int { return int(r(int64(n))) }
	}
	if p := s.Get(settings.ProxyURL); p != "" {
		u, err := url.Parse(p)
		if err != nil {
			return nil, fmt.Errorf("proxy: %w", err)
		}
		if name := s.Get(settings.ProxyUsername); name != "" {
			u.User = url.UserPassword(name, s.Get(settings.ProxyPassword))
		}
		d.Proxy = u
		log.Debug("by way of a proxy", "proxy", u.Redacted())
	}
	a.network.Store(&network{made: made, dialer: d})
	return d, nil
}

// dump returns what is to see the envelopes of a session: whoever was given in
// the configuration of this process, and the log where the settings want it.
func (a *Agent) dump(id string) func(sent bool, envelope string) {
	if !a.settings.Bool(settings.LogSOAP) {
		return a.cfg.Dump
	}
	log := a.log.With("component", "soap", "session", id)
	return func(sent bool, envelope string) {
		log.Info("envelope", "sent", sent, "xml", envelope)
		if a.cfg.Dump != nil {
			a.cfg.Dump(sent, envelope)
		}
	}
}

// secret names further parameters whose values no dump may show.
func (a *Agent) secret(name string) bool {
	info, err := a.tree.Describe(context.Background(), name)
	return err == nil && info.Hidden
}
