package xmpp

import (
	"context"
	"crypto/tls"
	"io"
	"net"
	"runtime"
	"testing"
	"time"
	"weak"

	"gatehouse/lab/pki"
)

// A connection lives for months, and a bundle of roots has megabytes: it must
// not be kept.
func TestRootsAreDropped(t *testing.T) {
	ca, err := pki.New("test")
	if err != nil {
		t.Fatal(err)
	}
	cert, err := ca.Server(domain)
	if err != nil {
		t.Fatal(err)
	}
	ours, theirs := net.Pipe()
	defer theirs.Close()
	go func() {
		_, _ = io.Copy(io.Discard, tls.Server(theirs, &tls.Config{Certificates: []tls.Certificate{cert}}))
	}()
	trust := Trust{Roots: ca.Pool(), Now: time.Now()}
	roots := weak.Make(trust.Roots)
	conn, _, err := secure(context.Background(), ours, domain, false, trust)
	if err != nil {
		t.Fatal(err)
	}
	trust = Trust{}
	for range 5 {
		runtime.GC()
	}
	if roots.Value() != nil {
		t.Error("the connection keeps its roots")
	}
	_ = conn.Close() // nothing to be done about a failure
}
