package rueconfig

import (
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"strings"
	"testing"
	"time"

	"gatehouse/internal/endpoint"
	"gatehouse/internal/store/storetest"
	"gatehouse/lab/dns"
	"gatehouse/lab/pki"
)

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

// TestMemoryOfFetch: a whole fetch of the largest document, from the first byte
// to the copy on disk, lives in 2 MB more than there was; with the server's side
// of it, which is in this process, too.
func TestMemoryOfFetch(t *testing.T) {
	text := largest()
	ca, err := pki.New("root")
	if err != nil {
		t.Fatal(err)
	}
	config, err := ca.Config("", "server.p.example")
	if err != nil {
		t.Fatal(err)
	}
	l, err := tls.Listen("tcp", "127.0.0.1:0", config)
	if err != nil {
		t.Fatal(err)
	}
	s := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write(text)
	})}
	done := make(chan struct{})
	go func() { defer close(done); _ = s.Serve(l) }()
	defer func() { _ = s.Close(); <-done }()
	_, port, err := net.SplitHostPort(l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	names, err := dns.New("_rueconfig._tcp.p.example 300 SRV 0 0 "+port+" server.p.example", "server.p.example 300 A 127.0.0.1")
	if err != nil {
		t.Fatal(err)
	}
	roots := ca.Pool()
	c, err := New(Config{
		Domain: "p.example", Dial: new(net.Dialer).DialContext, Cache: &storetest.File{},
		Resolver: &endpoint.Resolver{Servers: func() []netip.AddrPort { return []netip.AddrPort{netip.MustParseAddrPort("192.0.2.53:53")} }, Dial: names.Dial},
		Trust:    func() (Trust, error) { return Trust{TLS: &tls.Config{RootCAs: roots}, Now: time.Now()}, nil },
	})
	if err != nil {
		t.Fatal(err)
	}
	peak := peakOf(func() {
		if _, err := c.Fetch(context.Background()); err != nil {
			t.Error(err)
		}
	})
	names.Wait()
	t.Logf("%d KB at most", peak>>10)
	if peak > 2<<20 {
		t.Errorf("%d KB live at most", peak>>10)
	}
	runtime.KeepAlive(c)
}

// peakOf is how much more is live while f runs, as the collector finds it, which
// hardly ever rests.
func peakOf(f func()) uint64 {
	defer debug.SetGCPercent(debug.SetGCPercent(2))
	live := func() uint64 {
		sample := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
		metrics.Read(sample)
		return sample[0].Value.Uint64()
	}
	runtime.GC()
	before := live()
	peak := before
	stop, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		for {
			select {
			case <-stop:
				return
			default:
				peak = max(peak, live())
				runtime.Gosched()
			}
		}
	}()
	f()
	close(stop)
	<-done
	return peak - before
}
