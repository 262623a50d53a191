package peers

import (
	"crypto/md5"
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"gatehouse/internal/endpoint"
	"gatehouse/lab/pki"
	"gatehouse/lab/rooms"
	"gatehouse/rueconfig"
)

const document = `{"version":1,"lifetime":3600,"display-name":"Zoë Example","phone-number":"+12025550143","provider-domain":"p.example"}`

// The provider's servers are found by SRV; the first of them is not there.
const providerDNS = `port={{.Port}}
listen-address=127.0.0.1
bind-interfaces
no-resolv
no-hosts
no-daemon
user=root
local=/p.example/
local=/q.example/
host-record=dead.p.example,127.0.0.9
host-record=server.p.example,127.0.0.1
host-record=config.q.example,127.0.0.1
srv-host=_rueconfig._tcp.p.example,dead.p.example,{{.Server}},0,0
srv-host=_rueconfig._tcp.p.example,server.p.example,{{.Server}},1,0
`

const providerApache = `ServerRoot /usr/lib/apache2
Listen 127.0.0.1:{{.Port}}
ServerName server.p.example
PidFile {{.Dir}}/httpd.pid
DefaultRuntimeDir {{.Dir}}
Mutex file:{{.Dir}} default
ErrorLog {{.Dir}}/error.log
LoadModule mpm_event_module modules/mod_mpm_event.so
LoadModule authn_core_module modules/mod_authn_core.so
LoadModule authn_file_module modules/mod_authn_file.so
LoadModule authz_core_module modules/mod_authz_core.so
LoadModule authz_user_module modules/mod_authz_user.so
LoadModule auth_digest_module modules/mod_auth_digest.so
LoadModule socache_shmcb_module modules/mod_socache_shmcb.so
LoadModule ssl_module modules/mod_ssl.so
DocumentRoot {{.Dir}}/www
SSLEngine on
SSLCertificateFile {{.Dir}}/cert.pem
SSLCertificateKeyFile {{.Dir}}/key.pem
<Directory {{.Dir}}/www>
  ForceType application/json
  AuthType Digest
  AuthName provider
  AuthDigestProvider file
  AuthUserFile {{.Dir}}/digest.pw
  AuthDigestQop auth
  AuthDigestNonceLifetime 1
  Require valid-user
</Directory>
`

const providerLighttpd = `server.modules = ("mod_openssl","mod_auth","mod_authn_file")
server.bind = "127.0.0.1"
server.port = {{.Port}}
server.document-root = "{{.Dir}}/www"
server.errorlog = "{{.Dir}}/error.log"
mimetype.assign = ("" => "application/json")
ssl.engine = "enable"
ssl.pemfile = "{{.Dir}}/cert.pem"
ssl.privkey = "{{.Dir}}/key.pem"
auth.backend = "htdigest"
auth.backend.htdigest.userfile = "{{.Dir}}/digest.pw"
auth.require = ( "/" => ("method"=>"digest","realm"=>"provider","require"=>"valid-user","algorithm"=>"SHA-256") )
`

// A providerSite is a web server with a document, behind dnsmasq.
type providerSite struct {
	dir, port string
	ca        *pki.CA
	resolver  *endpoint.Resolver
}

// providerFiles writes what every server needs.
func providerFiles(t *testing.T, f pki.Fault) *providerSite {
	t.Helper()
	s := &providerSite{dir: t.TempDir(), port: freePort(t, "tcp")}
	for _, d := range []string{s.dir, filepath.Join(s.dir, "www")} {
		if err := os.MkdirAll(d, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	var err error
	if s.ca, err = pki.New("provider root"); err != nil {
		t.Fatal(err)
	}
	config, err := s.ca.Config(f, "server.p.example", "config.q.example")
	if err != nil {
		t.Fatal(err)
	}
	cert, key, err := pki.Files(config.Certificates[0])
	if err != nil {
		t.Fatal(err)
	}
	fill(t, filepath.Join(s.dir, "cert.pem"), string(cert), nil)
	fill(t, filepath.Join(s.dir, "key.pem"), string(key), nil)
	fill(t, filepath.Join(s.dir, "www", "v1"), document, nil)
	s.names(t, providerDNS, map[string]string{"Server": s.port})
	return s
}

// names has dnsmasq say what a template says of these values.
func (s *providerSite) names(t *testing.T, conf string, values map[string]string) {
	t.Helper()
	rooms.Need(t, "dnsmasq")
	port := freePort(t, "tcp")
	values["Port"] = port
	run(t, "127.0.0.1:"+port, "dnsmasq", "-C", fill(t, filepath.Join(s.dir, "dnsmasq.conf"), conf, values))
	s.resolver = &endpoint.Resolver{Dial: redirect(port)}
}

// client is what fetches from the site.
func (s *providerSite) client(t *testing.T, domain, user, password string) *rueconfig.Client {
	t.Helper()
	return s.clientOf(t, rueconfig.Config{Domain: domain, Username: user, Password: rueconfig.Secret(password)})
}

// clientOf is one with more to say.
func (s *providerSite) clientOf(t *testing.T, cfg rueconfig.Config) *rueconfig.Client {
	t.Helper()
	cfg.UserAgent, cfg.Resolver, cfg.Port = "gatehouse/test", s.resolver, portOf(t, s.port)
	if cfg.Dial == nil {
		cfg.Dial = new(net.Dialer).DialContext
	}
	cfg.Trust = func() (rueconfig.Trust, error) {
		return rueconfig.Trust{TLS: &tls.Config{RootCAs: s.ca.Pool()}, Now: time.Now()}, nil
	}
	c, err := rueconfig.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func portOf(t *testing.T, s string) uint16 {
	t.Helper()
	a, err := net.ResolveTCPAddr("tcp", "127.0.0.1:"+s)
	if err != nil {
		t.Fatal(err)
	}
	return uint16(a.Port)
}

// TestPeerProviderApache: SRV from dnsmasq, a dead first server, TLS, Digest
// with MD5 whose nonces live for a second, names that are no ASCII.
func TestPeerProviderApache(t *testing.T) {
	rooms.Need(t, "apache2")
	const user, password = "zoë", "gehéim"
	s := providerFiles(t, "")
	sum := md5.Sum([]byte(user + ":provider:" + password))
	fill(t, filepath.Join(s.dir, "digest.pw"), user+":provider:"+hex.EncodeToString(sum[:])+"\n", nil)
	conf := fill(t, filepath.Join(s.dir, "httpd.conf"), providerApache, map[string]string{"Port": s.port, "Dir": s.dir})
	run(t, "127.0.0.1:"+s.port, "apache2", "-f", conf, "-D", "FOREGROUND")

	c := s.client(t, "p.example", user, password)
	if changed, err := c.Fetch(t.Context()); err != nil || !changed {
		t.Fatalf("fetch: %v, %v", changed, err)
	}
	if d := c.State().Document; d.DisplayName != "Zoë Example" {
		t.Errorf("document: %+v", d)
	}
	if h := c.Health(); len(h.Blocked) != 1 || !h.Up {
		t.Errorf("health: %+v", h)
	}
	if changed, err := c.Fetch(t.Context()); err != nil || changed {
		t.Errorf("nothing is new: %v, %v", changed, err)
	}
	if _, err := s.client(t, "p.example", user, "wrong").Fetch(t.Context()); !errors.Is(err, rueconfig.ErrAuth) {
		t.Errorf("a wrong password: %v", err)
	}
	// S000-05: dnsmasq says that q.example has no such service.
	if _, err := s.client(t, "q.example", user, password).Fetch(t.Context()); err == nil || !strings.Contains(err.Error(), "p.example, not q.example") {
		t.Errorf("another provider's document: %v", err)
	}
	// REFUSED is no answer, and no reason to go to config.elsewhere.test.
	var silent *endpoint.NoAnswerError
	if _, err := s.client(t, "elsewhere.test", user, password).Fetch(t.Context()); !errors.As(err, &silent) {
		t.Errorf("a name server that refuses: %v", err)
	}
}

// TestPeerProviderLighttpd: Digest with SHA-256.
func TestPeerProviderLighttpd(t *testing.T) {
	rooms.Need(t, "lighttpd")
	s := providerFiles(t, "")
	sum := sha256.Sum256([]byte("zoe:provider:secret"))
	fill(t, filepath.Join(s.dir, "digest.pw"), "zoe:provider:"+hex.EncodeToString(sum[:])+"\n", nil)
	conf := fill(t, filepath.Join(s.dir, "lighttpd.conf"), providerLighttpd, map[string]string{"Port": s.port, "Dir": s.dir})
	run(t, "127.0.0.1:"+s.port, "lighttpd", "-D", "-f", conf)
	c := s.client(t, "p.example", "zoe", "secret")
	if _, err := c.Fetch(t.Context()); err != nil {
		t.Fatal(err)
	}
	if d := c.State().Document; d.PhoneNumber != "+12025550143" {
		t.Errorf("document: %+v", d)
	}
}

// TestPeerProviderCertificates: a real server with certificates that are wrong.
func TestPeerProviderCertificates(t *testing.T) {
	rooms.Need(t, "lighttpd")
	for _, f := range []pki.Fault{pki.WrongName, pki.Expired, pki.Untrusted} {
		t.Run(string(f), func(t *testing.T) {
			s := providerFiles(t, f)
			fill(t, filepath.Join(s.dir, "digest.pw"), "zoe:provider:0\n", nil)
			conf := fill(t, filepath.Join(s.dir, "lighttpd.conf"), providerLighttpd, map[string]string{"Port": s.port, "Dir": s.dir})
			run(t, "127.0.0.1:"+s.port, "lighttpd", "-D", "-f", conf)
			_, err := s.client(t, "p.example", "zoe", "secret").Fetch(t.Context())
			if err == nil || !strings.Contains(err.Error(), "TLS with server.p.example") {
				t.Errorf("got %v", err)
			}
		})
	}
}
