package peers

import (
	"crypto/md5"
	"crypto/sha256"
	"encoding/hex"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"gatehouse/lab/acs"
	"gatehouse/lab/rooms"
)

// apacheConf is a web server that asks for Digest before it passes requests to
// the ACS, as many operators have it. Nonces live for a second, so that every
// answer carries a nextnonce.
const apacheConf = `ServerRoot /usr/lib/apache2
Listen 127.0.0.1:{{.Port}}
ServerName localhost
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
LoadModule proxy_module modules/mod_proxy.so
LoadModule proxy_http_module modules/mod_proxy_http.so
<Location /acs>
  AuthType Digest
  AuthName CWMP
  AuthDigestProvider file
  AuthUserFile {{.Dir}}/digest.pw
  AuthDigestQop auth
  AuthDigestAlgorithm MD5
  AuthDigestNonceLifetime 1
  Require valid-user
  ProxyPass http://{{.ACS}}/acs
</Location>
`

// TestPeerApache: a session through Apache's mod_auth_digest, with a user name
// and a password that are no ASCII.
func TestPeerApache(t *testing.T) {
	rooms.Need(t, "apache2")
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	server, addr := startACS(t, acs.Options{Path: "/acs"})
	server.Script(func(c *acs.Conversation) error {
		_, err := c.GetParameterValues("Device.DeviceInfo.")
		return err
	})
	const user, password = "röuter", "gehéim:1"
	port := freePort(t, "tcp")
	sum := md5.Sum([]byte(user + ":CWMP:" + password))
	fill(t, filepath.Join(dir, "digest.pw"), user+":CWMP:"+hex.EncodeToString(sum[:])+"\n", nil)
	conf := fill(t, filepath.Join(dir, "httpd.conf"), apacheConf, map[string]string{"Port": port, "Dir": dir, "ACS": addr})
	run(t, "127.0.0.1:"+port, "apache2", "-f", conf, "-D", "FOREGROUND")

	startAgent(t, config("http://127.0.0.1:"+port+"/acs", user, password, freePort(t, "tcp")), nil)
	s := waitFor(t, server, "0 BOOTSTRAP")
	if !s.Called("GetParameterValues") {
		t.Error("the ACS could not ask for anything")
	}
}

const lighttpdConf = `server.modules = ("mod_auth","mod_authn_file","mod_proxy")
server.bind = "127.0.0.1"
server.port = {{.Port}}
server.document-root = "{{.Dir}}"
server.errorlog = "{{.Dir}}/error.log"
auth.backend = "htdigest"
auth.backend.htdigest.userfile = "{{.Dir}}/digest.pw"
auth.require = ( "/acs" => ("method"=>"digest","realm"=>"CWMP","require"=>"valid-user","algorithm"=>"{{.Algorithm}}") )
proxy.server = ( "/acs" => ( ( "host" => "127.0.0.1", "port" => {{.ACSPort}} ) ) )
`

// TestPeerLighttpd: SHA-256 alone, and offered together with MD5 in two
// headers, of which the stronger one must be taken.
func TestPeerLighttpd(t *testing.T) {
	rooms.Need(t, "lighttpd")
	for _, algorithm := range []string{"MD5", "SHA-256", "MD5|SHA-256"} {
		t.Run(strings.ReplaceAll(algorithm, "|", "_or_"), func(t *testing.T) {
			dir := t.TempDir()
			server, addr := startACS(t, acs.Options{Path: "/acs"})
			port := freePort(t, "tcp")
			a1 := []byte("cpe:CWMP:secret")
			weak, strong := md5.Sum(a1), sha256.Sum256(a1)
			lines := map[string]string{
				"MD5":     "cpe:CWMP:" + hex.EncodeToString(weak[:]) + "\n",
				"SHA-256": "cpe:CWMP:" + hex.EncodeToString(strong[:]) + "\n",
				// Where both are offered only the strong one is known.
				"MD5|SHA-256": "cpe:CWMP:" + hex.EncodeToString(strong[:]) + "\n",
			}
			fill(t, filepath.Join(dir, "digest.pw"), lines[algorithm], nil)
			conf := fill(t, filepath.Join(dir, "lighttpd.conf"), lighttpdConf, map[string]string{
				"Port": port, "Dir": dir, "Algorithm": algorithm, "ACSPort": addr[strings.LastIndexByte(addr, ':')+1:],
			})
			run(t, "127.0.0.1:"+port, "lighttpd", "-D", "-f", conf)
			startAgent(t, config("http://127.0.0.1:"+port+"/acs", "cpe", "secret", freePort(t, "tcp")), nil)
			waitFor(t, server, "0 BOOTSTRAP")
		})
	}
}

// TestPeerCurl: curl as an ACS that knocks, first with a wrong password.
func TestPeerCurl(t *testing.T) {
	rooms.Need(t, "curl")
	server, addr := startACS(t, acs.Options{Path: "/acs"})
	startAgent(t, config("http://"+addr+"/acs", "", "", freePort(t, "tcp")), nil)
	url, _ := waitFor(t, server, "0 BOOTSTRAP").Inform.Parameters.Get("Device.ManagementServer.ConnectionRequestURL")
	for _, c := range []struct{ password, want string }{{"nobody", "401"}, {"who is there", "200"}} {
		out, err := exec.Command("curl", "-s", "-o", "/dev/null", "-w", "%{http_code}", "--digest", "-u", "knock:"+c.password, url+"?a=1&b=2").CombinedOutput()
		if err != nil || string(out) != c.want {
			t.Fatalf("curl with password %q: %s, %v; want %s", c.password, out, err, c.want)
		}
	}
	waitFor(t, server, "6 CONNECTION REQUEST")
}
