package peers

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"gatehouse/lab/acs"
	"gatehouse/lab/pki"
	"gatehouse/lab/rooms"
)

const prosodyConf = `
pidfile = "{{.Dir}}/prosody.pid"
data_path = "{{.Dir}}/data"
interfaces = { "127.0.0.1" }
local_interfaces = { "127.0.0.1" }
c2s_ports = { {{.Port}} }
modules_enabled = { "roster", "saslauth", "tls", "disco", "ping", "posix", "iq", "presence", "message" }
modules_disabled = { "s2s", "offline" }
s2s_ports = {}
http_ports = {}
https_ports = {}
c2s_require_encryption = true
authentication = "internal_hashed"
storage = "internal"
log = { info = "*console" }
run_as_root = true
certificates = "{{.Dir}}"
VirtualHost "localhost"
  ssl = { key = "{{.Dir}}/key.pem", certificate = "{{.Dir}}/cert.pem" }
`

// prosody runs a server of localhost with accounts cpe1 and acs, which wants
// TLS; the CA's certificate is in ca.pem of its folder.
func prosody(t *testing.T) (dir, port string, roots *x509.CertPool) {
	t.Helper()
	rooms.Need(t, "prosody", "prosodyctl")
	dir, port = t.TempDir(), freePort(t, "tcp")
	ca, err := pki.New("peer")
	if err != nil {
		t.Fatal(err)
	}
	pair, err := ca.Server("localhost")
	if err != nil {
		t.Fatal(err)
	}
	cert, key, err := pki.Files(pair)
	if err != nil {
		t.Fatal(err)
	}
	for name, pem := range map[string][]byte{"ca.pem": ca.PEM(), "cert.pem": cert, "key.pem": key} {
		if err := os.WriteFile(filepath.Join(dir, name), pem, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	conf := fill(t, filepath.Join(dir, "prosody.cfg.lua"), prosodyConf, map[string]string{"Dir": dir, "Port": port})
	for _, user := range []string{"cpe1", "acs"} {
		if out, err := exec.Command("prosodyctl", "--config", conf, "register", user, "localhost", user+"pw").CombinedOutput(); err != nil {
			t.Fatalf("prosodyctl: %v\n%s", err, out)
		}
	}
	run(t, "127.0.0.1:"+port, "prosody", "--config", conf, "-F")
	return dir, port, ca.Pool()
}

// xmppACS is a second client of the server, as GenieACS has one: PLAIN, and
// what one read gives is taken for a document.
type xmppACS struct {
	t    *testing.T
	conn net.Conn
}

func newXMPPACS(t *testing.T, port string, roots *x509.CertPool) *xmppACS {
	t.Helper()
	conn, err := net.Dial("tcp", "127.0.0.1:"+port)
	if err != nil {
		t.Fatal(err)
	}
	a := &xmppACS{t, conn}
	t.Cleanup(func() { a.conn.Close() })
	const head = `<?xml version="1.0"?><stream:stream to="localhost" version="1.0" xmlns="jabber:client" xmlns:stream="http://etherx.jabber.org/streams">`
	a.say(head, "</stream:features>")
	a.say(`<starttls xmlns="urn:ietf:params:xml:ns:xmpp-tls"/>`, "<proceed")
	a.conn = tls.Client(conn, &tls.Config{ServerName: "localhost", RootCAs: roots})
	a.say(head, "</stream:features>")
	a.say(`<auth xmlns="urn:ietf:params:xml:ns:xmpp-sasl" mechanism="PLAIN">`+
		base64.StdEncoding.EncodeToString([]byte("\x00acs\x00acspw"))+`</auth>`, "<success")
	a.say(head, "</stream:features>")
	a.say(`<iq type="set" id="b"><bind xmlns="urn:ietf:params:xml:ns:xmpp-bind"/></iq>`, "</iq>")
	return a
}

// say writes, and reads until something has come.
func (a *xmppACS) say(s, until string) string {
	a.t.Helper()
	_ = a.conn.SetDeadline(time.Now().Add(20 * time.Second))
	if _, err := a.conn.Write([]byte(s)); err != nil {
		a.t.Fatal(err)
	}
	var got strings.Builder
	for b := make([]byte, 4096); !strings.Contains(got.String(), until); {
		n, err := a.conn.Read(b)
		got.Write(b[:n])
		if err != nil {
			a.t.Fatalf("%v after %s", err, got.String())
		}
	}
	return got.String()
}

// TestPeerProsody: the ACS gives the agent an account of prosody, is told its
// JID, and asks for a session as another client of the server.
func TestPeerProsody(t *testing.T) {
	dir, port, roots := prosody(t)
	server, addr := startACS(t, acs.Options{})
	server.Queue("", func(c *acs.Conversation) error {
		const at, ms = "Device.XMPP.Connection.1.", "Device.ManagementServer."
		for _, table := range []string{"Device.XMPP.Connection.", at + "Server."} {
			if _, _, err := c.AddObject(table, ""); err != nil {
				return err
			}
		}
		_, err := c.SetParameterValues("",
			acs.P(at+"Username", "xsd:string", "cpe1"), acs.P(at+"Password", "xsd:string", "cpe1pw"),
			acs.P(at+"Domain", "xsd:string", "localhost"), acs.P(at+"Resource", "xsd:string", "cwmp"),
			acs.P(at+"ServerConnectAlgorithm", "xsd:string", "ServerTable"), acs.P(at+"UseTLS", "xsd:boolean", "1"),
			acs.P(at+"Server.1.ServerAddress", "xsd:string", "127.0.0.1"), acs.P(at+"Server.1.Port", "xsd:unsignedInt", port),
			acs.P(at+"Server.1.Enable", "xsd:boolean", "1"), acs.P(at+"Enable", "xsd:boolean", "1"),
			acs.P(ms+"ConnReqXMPPConnection", "xsd:string", at[:len(at)-1]),
			acs.P(ms+"ConnReqAllowedJabberIDs", "xsd:string", "acs@localhost"))
		return err
	})
	startAgent(t, config("http://"+addr+"/", "", "", freePort(t, "tcp"), "config tls\n\toption ca '"+dir+"/ca.pem'"), nil)
	s := waitFor(t, server, "4 VALUE CHANGE")
	jid, _ := s.Inform.Parameters.Get("Device.ManagementServer.ConnReqJabberID")
	if jid != "cpe1@localhost/cwmp" {
		t.Fatalf("ConnReqJabberID %q", jid)
	}
	a := newXMPPACS(t, port, roots)
	ask := func(password string) string {
		return a.say(`<iq type="get" id="cr" to="`+jid+`"><connectionRequest xmlns="urn:broadband-forum-org:cwmp:xmppConnReq-1-0">`+
			`<username>knock</username><password>`+password+`</password></connectionRequest></iq>`, ">")
	}
	if got := ask("wrong"); !strings.Contains(got, "<not-authorized") {
		t.Errorf("a wrong password: %s", got)
	}
	if got := ask("who is there"); !strings.Contains(got, "type='result'") {
		t.Errorf("the right one: %s", got)
	}
	waitFor(t, server, "6 CONNECTION REQUEST")
}
