package peers

import (
	"bytes"
	"context"
	"crypto/md5"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"gatehouse/internal/endpoint"
	"gatehouse/internal/store/storetest"
	"gatehouse/lab/dns"
	"gatehouse/lab/rooms"
	"gatehouse/rueconfig"
)

// lighttpd starts one server of the site on a port.
func (s *providerSite) lighttpd(t *testing.T, port string) (kill func()) {
	t.Helper()
	rooms.Need(t, "lighttpd")
	sum := sha256.Sum256([]byte("zoe:provider:secret"))
	fill(t, filepath.Join(s.dir, "digest.pw"), "zoe:provider:"+hex.EncodeToString(sum[:])+"\n", nil)
	conf := fill(t, filepath.Join(s.dir, "lighttpd-"+port+".conf"), providerLighttpd, map[string]string{"Port": port, "Dir": s.dir})
	return run(t, "127.0.0.1:"+port, "lighttpd", "-D", "-f", conf)
}

// TestPeerProviderServersKilled: three servers behind dnsmasq are killed in
// turn: each time the next one completes the request at once. When all are dead
// the copy serves; the one that comes back is found, and nothing was written
// meanwhile.
func TestPeerProviderServersKilled(t *testing.T) {
	s := providerFiles(t, "")
	ports := []string{freePort(t, "tcp"), freePort(t, "tcp"), freePort(t, "tcp")}
	zone := "port={{.Port}}\nlisten-address=127.0.0.1\nbind-interfaces\nno-resolv\nno-hosts\nno-daemon\nuser=root\nlocal=/p.example/\nhost-record=server.p.example,127.0.0.1\n"
	var kill []func()
	for i, port := range ports {
		zone += fmt.Sprintf("srv-host=_rueconfig._tcp.p.example,server.p.example,%s,%d,0\n", port, i)
		kill = append(kill, s.lighttpd(t, port))
	}
	s.names(t, zone, map[string]string{})
	cache := &storetest.File{}
	c := s.clientOf(t, rueconfig.Config{Domain: "p.example", Username: "zoe", Password: "secret", Cache: cache})
	from := func(i int) {
		t.Helper()
		began := time.Now()
		_, err := c.Fetch(t.Context())
		if want := "https://server.p.example:" + ports[i] + "/v1"; err != nil || c.State().From != want {
			t.Fatalf("from %s, %v; want %s", c.State().From, err, want)
		}
		if took := time.Since(began); took > 2*time.Second {
			t.Errorf("it took %v", took)
		}
	}
	from(0)
	from(0)
	kill[0]()
	from(1)
	kill[1]()
	from(2)
	kill[2]()
	var failed *endpoint.AttemptsError
	if _, err := c.Fetch(t.Context()); !errors.As(err, &failed) || len(failed.Tries) != 3 {
		t.Errorf("all are dead: %v", err)
	}
	if st, h := c.State(), c.Health(); st.Document == nil || st.Document.PhoneNumber == "" || h.Up || len(h.Blocked) != 3 {
		t.Errorf("all are dead: %+v, %+v", st, h)
	}
	next := s.clientOf(t, rueconfig.Config{Domain: "p.example", Username: "zoe", Password: "secret", Cache: cache})
	if err := next.Load(); err != nil || next.State().Source != rueconfig.Disk || next.State().Document.PhoneNumber == "" {
		t.Errorf("after a start without the provider: %v, %+v", err, next.State())
	}
	s.lighttpd(t, ports[1])
	from(1)
	if cache.Saves() != 1 {
		t.Errorf("%d times written, and nothing was new", cache.Saves())
	}
}

// TestPeerProviderDNS: dnsmasq before a name server that fails, is silent or
// slow, and an answer that does not fit into a datagram.
func TestPeerProviderDNS(t *testing.T) {
	s := providerFiles(t, "")
	s.lighttpd(t, s.port)
	zone := []string{"server.slow.example 60 A 127.0.0.1", "_rueconfig._tcp.slow.example 60 SRV 0 0 " + s.port + " server.slow.example",
		"config.broken.example 60 A 127.0.0.1", "config.silent.example 60 A 127.0.0.1"}
	above, err := dns.New(zone...)
	if err != nil {
		t.Fatal(err)
	}
	above.Fail("_rueconfig._tcp.broken.example", dns.ServFail)
	above.Fail("_rueconfig._tcp.silent.example", dns.Silent)
	above.Slow("_rueconfig._tcp.slow.example", 700*time.Millisecond)
	udp, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	tcp, err := net.Listen("tcp", udp.LocalAddr().String())
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() { defer close(done); above.Serve(udp, tcp) }()
	defer func() { udp.Close(); tcp.Close(); <-done }()

	conf := "port={{.Port}}\nlisten-address=127.0.0.1\nbind-interfaces\nno-resolv\nno-hosts\nno-daemon\nuser=root\nlocal=/many.example/\n" +
		"server=127.0.0.1#{{.Above}}\nhost-record=server.many.example,127.0.0.1\nhost-record=dead.many.example,127.0.0.9\n"
	for i := range 40 {
		target, port := "dead.many.example", fmt.Sprint(20000+i)
		if i == 2 {
			target, port = "server.many.example", s.port
		}
		conf += fmt.Sprintf("srv-host=_rueconfig._tcp.many.example,%s,%s,%d,0\n", target, port, i)
	}
	_, port, err := net.SplitHostPort(udp.LocalAddr().String())
	if err != nil {
		t.Fatal(err)
	}
	s.names(t, conf, map[string]string{"Above": port})

	// What is asked for is there: DNS was believed. The certificate is for
	// another name, and so the story ends before any password is sent.
	reach := func(domain string) error {
		_, err := s.client(t, domain, "zoe", "secret").Fetch(t.Context())
		return err
	}
	var silent *endpoint.NoAnswerError
	for _, domain := range []string{"broken.example", "silent.example"} {
		if err := reach(domain); !errors.As(err, &silent) || strings.Contains(err.Error(), " config.") {
			t.Errorf("%s: %v", domain, err)
		}
	}
	if err := reach("slow.example"); err == nil || !strings.Contains(err.Error(), "TLS with server.slow.example") {
		t.Errorf("a name server that takes its time: %v", err)
	}
	if err := reach("many.example"); err == nil || !strings.Contains(err.Error(), "TLS with server.many.example") || strings.Count(err.Error(), "dead.many.example") != 2 {
		t.Errorf("many servers: %v", err)
	}
	found, err := s.resolver.Find(t.Context(), endpoint.Search{Service: "rueconfig", Domain: "many.example"})
	if err != nil || len(found.Targets) < 3 || len(found.Targets) > 32 {
		t.Errorf("%d targets, %v", len(found.Targets), err)
	}
}

// apache starts one server of the site on a port.
func (s *providerSite) apache(t *testing.T, port, more string) {
	t.Helper()
	rooms.Need(t, "apache2")
	dir := filepath.Join(s.dir, "apache-"+port)
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	sum := md5.Sum([]byte("zoe:provider:secret"))
	fill(t, filepath.Join(s.dir, "digest.pw"), "zoe:provider:"+hex.EncodeToString(sum[:])+"\n", nil)
	conf := strings.ReplaceAll(strings.ReplaceAll(providerApache, "PidFile {{.Dir}}", "PidFile "+dir), "ErrorLog {{.Dir}}", "ErrorLog "+dir)
	conf = strings.NewReplacer("DefaultRuntimeDir {{.Dir}}", "DefaultRuntimeDir "+dir, "Mutex file:{{.Dir}}", "Mutex file:"+dir).Replace(conf) + more
	run(t, "127.0.0.1:"+port, "apache2", "-f", fill(t, filepath.Join(dir, "httpd.conf"), conf, map[string]string{"Port": port, "Dir": s.dir}), "-D", "FOREGROUND")
}

// TestPeerProviderBalancer: two Apaches behind a balancer that keeps nobody: the
// second does not know the nonce of the first and calls it stale. The password
// is right all the same, and the document comes.
func TestPeerProviderBalancer(t *testing.T) {
	s := providerFiles(t, "")
	first, second := freePort(t, "tcp"), freePort(t, "tcp")
	s.apache(t, first, "KeepAlive Off\n")
	s.apache(t, second, "KeepAlive Off\n")
	l, err := net.Listen("tcp", "127.0.0.1:"+s.port)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	var n atomic.Int32
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			port := second
			if n.Add(1) == 1 {
				port = first
			}
			there, err := net.Dial("tcp", "127.0.0.1:"+port)
			if err != nil {
				c.Close()
				continue
			}
			go func() { _, _ = io.Copy(there, c); there.Close() }()
			go func() { _, _ = io.Copy(c, there); c.Close() }()
		}
	}()
	c := s.client(t, "p.example", "zoe", "secret")
	if _, err := c.Fetch(t.Context()); err != nil || c.State().Document.PhoneNumber == "" {
		t.Errorf("got %v", err)
	}
	if n.Load() != 3 { // asked, stale, taken
		t.Errorf("%d connections", n.Load())
	}
}

// TestPeerProviderNextNonce: both resources of RFC 9248 behind Apache's Digest,
// whose every answer names the next nonce: the second resource is had with it
// at once.
func TestPeerProviderNextNonce(t *testing.T) {
	s := providerFiles(t, "")
	if err := os.MkdirAll(filepath.Join(s.dir, "www", "rum", "v1"), 0o755); err != nil {
		t.Fatal(err)
	}
	fill(t, filepath.Join(s.dir, "www", "rum", "v1", "ProviderConfig"), `{"mwi":"sip:all@p.example"}`, nil)
	fill(t, filepath.Join(s.dir, "www", "rum", "v1", "RueConfig"), document, nil)
	s.apache(t, s.port, "")
	var log bytes.Buffer
	c := s.clientOf(t, rueconfig.Config{Log: slog.New(slog.NewTextHandler(&log, nil)), Domain: "server.p.example", Form: rueconfig.Resources, Username: "zoe", Password: "secret", Instance: "7"})
	if _, err := c.Fetch(t.Context()); err != nil || c.State().Document.MWI != "sip:all@p.example" {
		t.Fatalf("got %v", err)
	}
	var got []string
	for _, m := range regexp.MustCompile(`msg=answer .*/rum/v1/(\w+) .*status=(\d+)`).FindAllStringSubmatch(log.String(), -1) {
		got = append(got, m[1]+" "+m[2])
	}
	if want := []string{"ProviderConfig 401", "ProviderConfig 200", "RueConfig 200"}; !slices.Equal(got, want) {
		t.Errorf("answers %q", got)
	}
}

// officeProxy is a forward proxy that wants a password and tunnels to one port.
const officeProxy = `ServerRoot /usr/lib/apache2
Listen 127.0.0.1:{{.Port}}
ServerName proxy.example
PidFile {{.Dir}}/proxy.pid
DefaultRuntimeDir {{.Dir}}
Mutex file:{{.Dir}} default
ErrorLog {{.Dir}}/proxy.log
LogLevel info
LoadModule mpm_event_module modules/mod_mpm_event.so
LoadModule authn_core_module modules/mod_authn_core.so
LoadModule authn_file_module modules/mod_authn_file.so
LoadModule authz_core_module modules/mod_authz_core.so
LoadModule authz_user_module modules/mod_authz_user.so
LoadModule auth_digest_module modules/mod_auth_digest.so
LoadModule proxy_module modules/mod_proxy.so
LoadModule proxy_connect_module modules/mod_proxy_connect.so
LogFormat "%r %>s" short
CustomLog {{.Dir}}/tunnels.log short
ProxyRequests On
AllowCONNECT {{.Server}}
<Proxy "*">
  AuthType Digest
  AuthName office
  AuthUserFile {{.Dir}}/office.pw
  Require valid-user
</Proxy>
`

// TestPeerProviderThroughProxy: a fetch by way of Apache's forward proxy, which
// looks names up by itself, wants a password by Digest and does not lead to
// every port (S001-13).
func TestPeerProviderThroughProxy(t *testing.T) {
	rooms.Need(t, "apache2", "unshare")
	if os.Geteuid() != 0 {
		t.Skip("needs root: the proxy has its own hosts file")
	}
	s := providerFiles(t, "")
	s.lighttpd(t, s.port)
	sum := md5.Sum([]byte("office:office:way out"))
	fill(t, filepath.Join(s.dir, "office.pw"), "office:office:"+hex.EncodeToString(sum[:])+"\n", nil)
	hosts := fill(t, filepath.Join(s.dir, "hosts"), "127.0.0.1 server.p.example dead.p.example\n", nil)
	port := freePort(t, "tcp")
	conf := fill(t, filepath.Join(s.dir, "proxy.conf"), officeProxy, map[string]string{"Port": port, "Dir": s.dir, "Server": s.port})
	run(t, "127.0.0.1:"+port, "unshare", "-m", "sh", "-c", `mount --bind "$1" /etc/hosts && exec apache2 -f "$2" -D FOREGROUND`, "sh", hosts, conf)

	fetch := func(user *url.Userinfo, noProxy ...string) error {
		by := &endpoint.Dialer{Proxy: &url.URL{Scheme: "http", Host: "127.0.0.1:" + port, User: user}, NoProxy: noProxy}
		_, err := s.clientOf(t, rueconfig.Config{
			Domain: "p.example", Username: "zoe", Password: "secret",
			Route: func(host string) endpoint.DialFunc {
				if by.UsesProxy(host) {
					return by.DialContext
				}
				return nil
			},
			Dial: func(ctx context.Context, network, addr string) (net.Conn, error) {
				if len(noProxy) == 0 {
					t.Errorf("past the proxy to %s", addr)
				}
				return new(net.Dialer).DialContext(ctx, network, addr)
			},
		}).Fetch(t.Context())
		return err
	}
	if err := fetch(url.UserPassword("office", "way out")); err != nil {
		t.Errorf("with the password: %v", err)
	}
	var tunnels []byte
	for end := time.Now().Add(5 * time.Second); len(tunnels) == 0 && time.Now().Before(end); { // it is written after the answer
		tunnels, _ = os.ReadFile(filepath.Join(s.dir, "tunnels.log"))
	}
	if !strings.Contains(string(tunnels), "CONNECT dead.p.example:") {
		t.Errorf("the proxy saw:\n%s", tunnels)
	}
	var refused *endpoint.ProxyError
	if err := fetch(url.UserPassword("office", "wrong")); !errors.As(err, &refused) || refused.Status != 407 {
		t.Errorf("with a wrong password: %v", err)
	}
	if err := fetch(nil); !errors.As(err, &refused) || refused.Status != 407 {
		t.Errorf("without a password: %v", err)
	}
	if err := fetch(nil, "p.example"); err != nil {
		t.Errorf("excepted: %v", err)
	}
	other := freePort(t, "tcp")
	by := &endpoint.Dialer{Proxy: &url.URL{Scheme: "http", Host: "127.0.0.1:" + port, User: url.UserPassword("office", "way out")}}
	if _, err := by.DialContext(t.Context(), "tcp", "server.p.example:"+other); !errors.As(err, &refused) || refused.Status != 403 {
		t.Errorf("to another port: %v", err)
	}
}
