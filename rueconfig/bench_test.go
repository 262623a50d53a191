package rueconfig

import (
	"bytes"
	"crypto/tls"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"net/netip"
	"runtime"
	"strings"
	"testing"
	"time"

	"gatehouse/internal/endpoint"
	"gatehouse/lab/pki"
	"gatehouse/lab/provider"
)

// loopback is a client and its provider on the loopback interface.
func loopback(b *testing.B) *Client {
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
	c, err := New(Config{
		Domain: "p.example", Username: "zoe", Password: "secret", UserAgent: "gatehouse/bench", Dial: new(net.Dialer).DialContext,
		Resolver: &endpoint.Resolver{Servers: func() []netip.AddrPort { return []netip.AddrPort{netip.MustParseAddrPort("192.0.2.53:53")} }, Dial: site.DNS.Dial},
		Trust:    func() (Trust, error) { return Trust{TLS: &tls.Config{RootCAs: roots}, Now: time.Now()}, nil },
	})
	if err != nil {
		b.Fatal(err)
	}
	return c
}

// BenchmarkFetch is discovery, both requests, reading and applying, with the
// handshake; BenchmarkHandshake is what of it is TLS. The difference is at most
// 25 ms.
func BenchmarkFetch(b *testing.B) {
	c := loopback(b)
	for b.Loop() {
		c.channel.Reset()
		if _, err := c.Fetch(b.Context()); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkHandshake(b *testing.B) {
	ca, err := pki.New("root")
	if err != nil {
		b.Fatal(err)
	}
	config, err := ca.Config("", "server.p.example")
	if err != nil {
		b.Fatal(err)
	}
	l, err := tls.Listen("tcp", "127.0.0.1:0", config)
	if err != nil {
		b.Fatal(err)
	}
	s := &http.Server{Handler: http.NotFoundHandler()}
	done := make(chan struct{})
	go func() { defer close(done); _ = s.Serve(l) }()
	defer func() { _ = s.Close(); <-done }()
	for b.Loop() {
		conn, err := tls.Dial("tcp", l.Addr().String(), &tls.Config{RootCAs: ca.Pool(), ServerName: "server.p.example"})
		if err != nil {
			b.Fatal(err)
		}
		conn.Close()
	}
}

// largest is a document of nearly MaxSize, most of it in keys that nobody knows.
func largest() []byte {
	var b bytes.Buffer
	b.WriteString(`{"version":1,"lifetime":3600`)
	for i := 0; b.Len() < MaxSize-200; i++ {
		fmt.Fprintf(&b, `,"x-key-%d":%q`, i, strings.Repeat("v", 100))
	}
	b.WriteString("}")
	return b.Bytes()
}

// TestMemoryOfLargest: the largest document there may be lives in 2 MB.
func TestMemoryOfLargest(t *testing.T) {
	text := largest()
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	d, err := Parse(nil, text)
	if err != nil {
		t.Fatal(err)
	}
	kept := bytes.Clone(text) // the state has the text, too
	runtime.GC()
	runtime.ReadMemStats(&after)
	if grown := int64(after.HeapAlloc) - int64(before.HeapAlloc); grown > 2<<20 {
		t.Errorf("%d bytes live", grown)
	}
	runtime.KeepAlive(d)
	runtime.KeepAlive(kept)
}

// copied is a Backing with a text of somebody's.
type copied []byte

func (c copied) Load() ([]byte, error) {
	if c == nil {
		return nil, fs.ErrNotExist
	}
	return c, nil
}
func (copied) Save([]byte) error { return nil }

// FuzzCopy: whatever is in the copy on disk, reading it ends with a document
// or an error, and what was read can be written and read again.
func FuzzCopy(f *testing.F) {
	f.Add([]byte("for \"zoe at p.example\"\nfrom https://server.p.example/v1\nfetched 2026-01-31T03:00:00Z\nprovider-etag \"a\"\netag \"b\"\nprovider 2\nsubscriber 14\n\n{}{\"lifetime\":1}"))
	f.Add([]byte("for \"zoe at p.example\"\nprovider -1\nsubscriber 3\n\n{}"))
	f.Add([]byte("\n\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		kept := copied(text)
		c := &Client{cfg: Config{Domain: "p.example", Username: "zoe", Cache: kept}}
		s, err := c.fromDisk()
		if err != nil || s.Document == nil {
			if s.Document != nil {
				t.Errorf("a document and %v", err)
			}
			return
		}
		again := &file{}
		c.cfg.Cache = again
		if err := c.save(&s); err != nil {
			t.Fatal(err)
		}
		if got, err := c.fromDisk(); err != nil || !bytes.Equal(got.raw.subscriber, s.raw.subscriber) || !bytes.Equal(got.raw.provider, s.raw.provider) {
			t.Errorf("written and read again: %v", err)
		}
	})
}
