package pki_test

import (
	"context"
	"crypto/tls"
	"net"
	"testing"

	"gatehouse/lab/pipe"
	"gatehouse/lab/pki"
)

// A client that checks what it should takes the good one and none of the others.
func TestFaults(t *testing.T) {
	ca, err := pki.New("lab")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range append([]pki.Fault{""}, pki.Faults()...) {
		config, err := ca.Config(f, "acs.example", "192.0.2.1")
		if err != nil {
			t.Fatal(f, err)
		}
		here, there := join(t)
		go tls.Server(there, config).HandshakeContext(context.Background())
		err = tls.Client(here, &tls.Config{RootCAs: ca.Pool(), ServerName: "acs.example"}).HandshakeContext(t.Context())
		here.Close()
		there.Close()
		if (err == nil) != (f == "") {
			t.Errorf("%q: %v", f, err)
		}
	}
	if _, err := ca.Config("sideways", "acs.example"); err == nil {
		t.Error("a fault that there is not")
	}
}

// join makes a connection with room for what nobody reads.
func join(t *testing.T) (client, server net.Conn) {
	t.Helper()
	n := pipe.New()
	l, err := n.Listen("tcp", "192.0.2.1:443")
	if err != nil {
		t.Fatal(err)
	}
	if client, err = n.Dial(t.Context(), "tcp", "192.0.2.1:443"); err != nil {
		t.Fatal(err)
	}
	if server, err = l.Accept(); err != nil {
		t.Fatal(err)
	}
	return client, server
}
