package rueconfig

import (
	"bytes"
	"crypto/tls"
	"net"
	"net/netip"
	"strconv"
	"testing"
	"time"

	"gatehouse/internal/endpoint"
	"gatehouse/internal/store"
	"gatehouse/internal/store/storetest"
	"gatehouse/lab/provider"
)

// loopback is a client and its provider on the loopback interface.
func loopback(b *testing.B) (*Client, *provider.Site) {
	b.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	site, err := provider.NewSite("p.example", netip.MustParseAddrPort(l.Addr().String()), provider.Options{}, map[string]any{"version": 1, "lifetime": 3600})
	if err != nil {
		b.Fatal(err)
	}
	site.Subscribe("zoe", provider.Subscriber{Password: "secret", Settings: map[string]any{"display-name": "Zoe"}})
	done := make(chan struct{})
	go func() { defer close(done); _ = site.Serve(l) }()
	b.Cleanup(func() { _ = site.Close(); <-done; site.DNS.Wait() })
	roots := site.CA.Pool()
	flash, err := store.Open(b.TempDir(), store.Options{})
	if err != nil {
		b.Fatal(err)
	}
	c, err := New(Config{
		Domain: "p.example", Username: "zoe", Password: "secret", UserAgent: "gatehouse/bench", Dial: new(net.Dialer).DialContext,
		Resolver: &endpoint.Resolver{Servers: func() []netip.AddrPort { return []netip.AddrPort{netip.MustParseAddrPort("192.0.2.53:53")} }, Dial: site.DNS.Dial},
		Trust:    func() (Trust, error) { return Trust{TLS: &tls.Config{RootCAs: roots}, Now: time.Now()}, nil },
		Cache:    flash.File("provider", 1), Apply: func(*Document) {},
	})
	if err != nil {
		b.Fatal(err)
	}
	return c, site
}

// BenchmarkFetch is discovery, both requests, reading, keeping on disk and
// applying a document that is new each time; what of it is beyond the handshake
// is told apart, and is 25 ms at most.
func BenchmarkFetch(b *testing.B) {
	c, site := loopback(b)
	shake := handshake(b, c)
	began, n := time.Now(), 0
	for b.Loop() {
		n++
		site.Subscribe("zoe", provider.Subscriber{Password: "secret", Settings: map[string]any{"display-name": strconv.Itoa(n)}})
		c.channel.Reset()
		if changed, err := c.Fetch(b.Context()); err != nil || !changed {
			b.Fatal(changed, err)
		}
	}
	beyond := time.Since(began)/time.Duration(n) - shake
	b.ReportMetric(float64(beyond.Microseconds())/1000, "ms-beyond-handshake")
	if beyond > 25*time.Millisecond {
		b.Errorf("%v beyond the handshake", beyond)
	}
}

// handshake is how long connecting takes, with TLS.
func handshake(b *testing.B, c *Client) time.Duration {
	b.Helper()
	found, err := c.find(b.Context())
	if err != nil {
		b.Fatal(err)
	}
	t, err := c.cfg.Trust()
	if err != nil {
		b.Fatal(err)
	}
	t.TLS.ServerName = found.Targets[0].Name
	const times = 50
	began := time.Now()
	for range times {
		conn, err := tls.Dial("tcp", found.Targets[0].Addr.String(), t.TLS)
		if err != nil {
			b.Fatal(err)
		}
		_ = conn.Close() // nothing was said
	}
	return time.Since(began) / times
}

// FuzzCopy: whatever is in the copy on disk, reading it ends with a document
// or an error, and what was read can be written and read again.
func FuzzCopy(f *testing.F) {
	f.Add([]byte("for \"zoe at p.example\"\nfrom https://server.p.example/v1\nfetched 2026-01-31T03:00:00Z\nprovider-etag \"a\"\netag \"b\"\nprovider 2\nsubscriber 14\n\n{}{\"lifetime\":1}"))
	f.Add([]byte("for \"zoe at p.example\"\nprovider -1\nsubscriber 3\n\n{}"))
	f.Add([]byte("\n\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		kept := &storetest.File{}
		kept.Write(string(text))
		c := &Client{cfg: Config{Domain: "p.example", Username: "zoe", Cache: kept}}
		s, err := c.fromDisk()
		if err != nil || s.Document == nil {
			if s.Document != nil {
				t.Errorf("a document and %v", err)
			}
			return
		}
		again := &storetest.File{}
		c.cfg.Cache = again
		if err := c.save(&s); err != nil {
			t.Fatal(err)
		}
		if got, err := c.fromDisk(); err != nil || !bytes.Equal(got.raw.subscriber, s.raw.subscriber) || !bytes.Equal(got.raw.provider, s.raw.provider) {
			t.Errorf("written and read again: %v", err)
		}
	})
}
