package rueconfig

import (
	"context"
	"crypto/tls"
	"log"
	"log/slog"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"gatehouse/internal/endpoint"
	"gatehouse/internal/store/storetest"
	"gatehouse/lab/dns"
	"gatehouse/lab/pipe"
	"gatehouse/lab/pki"
	"gatehouse/lab/provider"
)

// The world of the tests: a provider with two servers, a subscriber.
const (
	providerDomain = "p.example"
	user, password = "Zoë", "pässwörd"
)

// rig is a client and its provider.
type rig struct {
	*testing.T
	network  *pipe.Network
	dns      *dns.Server
	ca       *pki.CA
	provider *provider.Server
	client   *Client
	cfg      Config
	cache    *storetest.File
	applied  []*Document
	log      *lockedBuffer
	servers  []func()
	now      func() time.Time // for certificates
	ladder   []int
}

type lockedBuffer struct {
	mu sync.Mutex
	b  strings.Builder
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// house runs a story in virtual time.
func house(t *testing.T, story func(t *testing.T, r *rig)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		r := &rig{T: t, network: pipe.New(), cache: &storetest.File{}, log: &lockedBuffer{}, now: time.Now}
		var err error
		if r.ca, err = pki.New("test root"); err != nil {
			t.Fatal(err)
		}
		if r.dns, err = dns.New(
			"_rueconfig._tcp.p.example 300 SRV 0 0 443 server.p.example",
			"_rueconfig._tcp.p.example 300 SRV 1 0 8443 second.p.example",
			"server.p.example 300 A 192.0.2.10",
			"second.p.example 300 A 192.0.2.11",
			"config.p.example 300 A 192.0.2.12",
		); err != nil {
			t.Fatal(err)
		}
		r.provider = provider.New(provider.Options{Step: func(n int, _ string) { r.ladder = append(r.ladder, n) }}, map[string]any{
			"version": 1, "lifetime": 3600, "provider-domain": "p.example", "outbound-proxies": []string{"sip:a.p.example"}, "mwi": "sip:all@p.example",
		})
		r.provider.Subscribe(user, provider.Subscriber{Password: password, Settings: map[string]any{"phone-number": "+12025550143", "mwi": "sip:zoe@p.example"}})
		r.cfg = Config{
			Domain: providerDomain, Username: user, Password: password, UserAgent: "gatehouse/test", Instance: "7", Cache: r.cache,
			Resolver: &endpoint.Resolver{Servers: func() []netip.AddrPort { return []netip.AddrPort{netip.MustParseAddrPort("192.0.2.53:53")} }, Dial: r.dns.Dial},
			Dial:     r.network.Dial,
			Trust: func() (Trust, error) {
				return Trust{TLS: &tls.Config{RootCAs: r.ca.Pool()}, Now: r.now()}, nil
			},
			Apply: func(d *Document) { r.applied = append(r.applied, d) },
			Rand:  func(int64) int64 { return 0 },
			Log:   slog.New(slog.NewTextHandler(r.log, &slog.HandlerOptions{Level: slog.LevelDebug})),
		}
		defer func() {
			for _, stop := range r.servers {
				stop()
			}
			if text := r.log.String(); strings.Contains(text, password) {
				t.Error("the log shows the password")
			}
			r.dns.Wait()
		}()
		story(t, r)
	})
}

// serve has the provider answer at an address, with a certificate for names.
func (r *rig) serve(addr string, f pki.Fault, names ...string) {
	r.Helper()
	config, err := r.ca.Config(f, names...)
	if err != nil {
		r.Fatal(err)
	}
	r.serveTLS(addr, config)
}

func (r *rig) serveTLS(addr string, config *tls.Config) {
	r.Helper()
	l, err := r.network.Listen("tcp", addr)
	if err != nil {
		r.Fatal(err)
	}
	config.NextProtos = []string{"http/1.1"}
	s := &http.Server{Handler: r.provider, ErrorLog: log.New(r.log, "", 0)}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = s.Serve(tls.NewListener(l, config))
	}()
	r.servers = append(r.servers, func() { _ = s.Close(); <-done })
}

// make returns the client of the configuration as it is now.
func (r *rig) make() *Client {
	r.Helper()
	c, err := New(r.cfg)
	if err != nil {
		r.Fatal(err)
	}
	r.client = c
	return c
}

// fetch makes a client and fetches once.
func (r *rig) fetch() (*Client, error) {
	r.Helper()
	c := r.make()
	_, err := c.Fetch(r.Context())
	return c, err
}

// run keeps a client fresh until the story ends.
func (r *rig) run() (*Client, context.CancelFunc) {
	r.Helper()
	c := r.make()
	ctx, cancel := context.WithCancel(r.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := c.Run(ctx); err != nil {
			r.Error(err)
		}
	}()
	return c, func() { cancel(); <-done }
}
