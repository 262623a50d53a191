package peers

import (
	"context"
	"errors"
	"net"
	"path/filepath"
	"strings"
	"testing"

	"gatehouse/agent/app"
	"gatehouse/internal/endpoint"
	"gatehouse/lab/acs"
	"gatehouse/lab/rooms"
)

const dnsmasqConf = `port={{.Port}}
listen-address=127.0.0.1
bind-interfaces
no-resolv
no-hosts
no-daemon
user=root
local=/acs.example/
local=/gone.example/
address=/down.acs.example/127.0.0.9
host-record=acs.example,127.0.0.1
host-record=two.acs.example,127.0.0.9,127.0.0.1
srv-host=_cwmp._tcp.acs.example,acs.example,7547,10,60
srv-host=_cwmp._tcp.acs.example,two.acs.example,7548,20,0
`

// startDNS runs dnsmasq and returns a resolver that asks it.
func startDNS(t *testing.T) *endpoint.Resolver {
	t.Helper()
	rooms.Need(t, "dnsmasq")
	dir := t.TempDir()
	port := freePort(t, "tcp")
	conf := fill(t, filepath.Join(dir, "dnsmasq.conf"), dnsmasqConf, map[string]string{"Port": port})
	run(t, "127.0.0.1:"+port, "dnsmasq", "-C", conf)
	return &endpoint.Resolver{Dial: redirect(port)}
}

// TestPeerDnsmasq: addresses, services, and the difference between "there is
// none" and "nobody knows".
func TestPeerDnsmasq(t *testing.T) {
	r := startDNS(t)
	ctx := t.Context()
	a, err := r.Lookup(ctx, "acs.example")
	if err != nil || len(a.Addrs) != 1 || a.Addrs[0].String() != "127.0.0.1" {
		t.Errorf("acs.example: %v, %v", a, err)
	}
	if _, err := r.Lookup(ctx, "nobody.acs.example"); !errors.Is(err, endpoint.ErrNoSuchName) {
		t.Errorf("nobody.acs.example: %v, want %v", err, endpoint.ErrNoSuchName)
	}
	// dnsmasq refuses what it has no upstream for: that is no answer.
	var nobody *endpoint.NoAnswerError
	if _, err := r.Lookup(ctx, "elsewhere.test"); !errors.As(err, &nobody) {
		t.Errorf("elsewhere.test: %v, want no answer", err)
	}
	srv, _, err := r.SRV(ctx, "cwmp", "tcp", "acs.example")
	if err != nil || len(srv) != 2 || srv[0].Port != 7547 || srv[1].Target != "two.acs.example" {
		t.Errorf("SRV: %v, %v", srv, err)
	}
}

// TestPeerNamedACS: an ACS by name, one of whose addresses is dead.
func TestPeerNamedACS(t *testing.T) {
	dns := startDNS(t)
	server, addr := startACS(t, acs.Options{Path: "/acs"})
	port := addr[strings.LastIndexByte(addr, ':')+1:]
	dir := t.TempDir()
	resolv := fill(t, filepath.Join(dir, "resolv.conf"), "nameserver 127.0.0.1\n", nil)
	startAgent(t, config("http://two.acs.example:"+port+"/acs", "", "", freePort(t, "tcp")), func(c *app.Config) {
		c.ResolvConf = resolv
		c.Dial = dns.Dial
	})
	waitFor(t, server, "0 BOOTSTRAP")
}

// redirect dials the test's name server where a resolver asks for port 53.
func redirect(port string) endpoint.DialFunc {
	var d net.Dialer
	return func(ctx context.Context, network, addr string) (net.Conn, error) {
		if host, p, _ := net.SplitHostPort(addr); p == "53" {
			addr = net.JoinHostPort(host, port)
		}
		return d.DialContext(ctx, network, addr)
	}
}
