package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// told is what the command says, line by line.
type told struct {
	mu   sync.Mutex
	text string
	more chan struct{}
}

func (l *told) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.text += string(p)
	select {
	case l.more <- struct{}{}:
	default:
	}
	return len(p), nil
}

// wait returns what was said once it holds a text.
func (l *told) wait(t *testing.T, want string) string {
	t.Helper()
	for {
		l.mu.Lock()
		text := l.text
		l.mu.Unlock()
		if strings.Contains(text, want) {
			return text
		}
		select {
		case <-l.more:
		case <-time.After(5 * time.Second):
			t.Fatalf("it never says %q:\n%s", want, text)
		}
	}
}

// TestProvide: the zone leads to the server, whose certificate the written
// authority vouches for, and which wants Digest; the steps are told.
func TestProvide(t *testing.T) {
	dir := t.TempDir()
	o, err := parseProvide([]string{"--listen", "127.0.0.1:0", "--dns", "127.0.0.1:0", "--ca", filepath.Join(dir, "ca.pem")}, os.Stderr)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	out, done := &told{more: make(chan struct{}, 1)}, make(chan error)
	go func() { done <- provide(ctx, o, out) }()
	first := out.wait(t, "authority in")
	_, at, _ := strings.Cut(first, "DNS at ")
	at, _, _ = strings.Cut(at, ",")
	resolver := &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network, at)
	}}
	_, records, err := resolver.LookupSRV(ctx, "rueconfig", "tcp", "provider.example")
	if err != nil || len(records) != 1 || records[0].Target != "server.provider.example." {
		t.Fatalf("%v, %v", records, err)
	}
	pem, err := os.ReadFile(o.ca)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(pem)
	_, web, _ := strings.Cut(first, "example at ")
	web, _, _ = strings.Cut(web, ",")
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots, ServerName: "server.provider.example"}}
	defer transport.CloseIdleConnections()
	resp, err := (&http.Client{Transport: transport}).Get("https://" + web + "/v1")
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != 401 || !strings.HasPrefix(resp.Header.Get("WWW-Authenticate"), "Digest ") {
		t.Errorf("%s %s", resp.Status, resp.Header.Get("WWW-Authenticate"))
	}
	text := out.wait(t, "13 401")
	for _, step := range []string{" 2 DNS: SRV", " 3 DNS", " 7 TCP", " 8 TLS", "11 TLS", "12 GET"} {
		if !strings.Contains(text, "\n"+step) {
			t.Errorf("step %q is not told:\n%s", step, text)
		}
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// TestProvideOptions: what makes no sense is said before anything is served.
func TestProvideOptions(t *testing.T) {
	if _, err := parseProvide([]string{"x"}, &told{more: make(chan struct{}, 1)}); err == nil {
		t.Error("an argument is taken")
	}
	for _, args := range [][]string{{"--listen", "0.0.0.0:0"}, {"--address", "here"}, {"--document", "/nowhere"}} {
		o, err := parseProvide(append([]string{"--listen", "127.0.0.1:0", "--dns", "127.0.0.1:0", "--ca", filepath.Join(t.TempDir(), "ca")}, args...), os.Stderr)
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if err := provide(ctx, o, &told{more: make(chan struct{}, 1)}); err == nil {
			t.Errorf("%v is taken", args)
		}
	}
}
