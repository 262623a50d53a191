package xmpp

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/xml"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"gatehouse/internal/endpoint"
	"gatehouse/internal/guard"
	"gatehouse/lab/pki"
)

// These tests run against servers that we did not write, on loopback, with a
// second client as the ACS. They need Debian packages.

func need(t *testing.T, programs ...string) {
	t.Helper()
	for _, p := range programs {
		if _, err := exec.LookPath(p); err != nil {
			if os.Getenv("GATEHOUSE_PEERS") == "must" {
				t.Fatalf("%s is missing", p)
			}
			t.Skipf("needs %s: make check-peers installs it", p)
		}
	}
}

// peer is a server program and how to start it, again and again.
type peer struct {
	*testing.T
	addr    netAddr
	dir     string
	ca      *pki.CA
	command func() *exec.Cmd
	cmd     *exec.Cmd
	gone    chan error
	out     bytes.Buffer
}

type netAddr struct{ port uint16 }

func (a netAddr) String() string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(int(a.port))) }

// newPeer makes a folder with a certificate of localhost.
func newPeer(t *testing.T) *peer {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	p := &peer{T: t, dir: t.TempDir(), addr: netAddr{uint16(l.Addr().(*net.TCPAddr).Port)}}
	if p.ca, err = pki.New("peer"); err != nil {
		t.Fatal(err)
	}
	cert, err := p.ca.Server("localhost", "127.0.0.1")
	if err != nil {
		t.Fatal(err)
	}
	c, k, err := pki.Files(cert)
	if err != nil {
		t.Fatal(err)
	}
	p.file("cert.pem", string(c))
	p.file("key.pem", string(k))
	p.file("both.pem", string(c)+string(k))
	return p
}

func (p *peer) file(name, text string) string {
	p.Helper()
	path := filepath.Join(p.dir, name)
	text = strings.NewReplacer("$DIR", p.dir, "$PORT", strconv.Itoa(int(p.addr.port))).Replace(text)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		p.Fatal(err)
	}
	return path
}

// start starts the program and returns when it listens.
func (p *peer) start() {
	p.Helper()
	p.cmd = p.command()
	p.cmd.Stdout, p.cmd.Stderr = &p.out, &p.out
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	p.cmd.WaitDelay = time.Second
	if err := p.cmd.Start(); err != nil {
		p.Fatal(err)
	}
	p.gone = make(chan error, 1)
	go func(c *exec.Cmd, gone chan error) { gone <- c.Wait() }(p.cmd, p.gone)
	for end := time.Now().Add(30 * time.Second); ; {
		c, err := net.DialTimeout("tcp", p.addr.String(), time.Second)
		if err == nil {
			c.Close()
			return
		}
		select {
		case err := <-p.gone:
			p.gone <- err
			p.Fatalf("%s ended: %v\n%s", p.cmd.Path, err, p.out.String())
		case <-time.After(20 * time.Millisecond):
		}
		if time.Now().After(end) {
			p.kill()
			p.Fatalf("%s does not listen: %v\n%s", p.cmd.Path, err, p.out.String())
		}
	}
}

// kill ends the program without a word, as a power cut would.
func (p *peer) kill() {
	_ = syscall.Kill(-p.cmd.Process.Pid, syscall.SIGKILL) // its own group; it may be gone
	<-p.gone
}

const prosodyConf = `
pidfile = "$DIR/prosody.pid"
data_path = "$DIR/data"
interfaces = { "127.0.0.1" }
local_interfaces = { "127.0.0.1" }
c2s_ports = { $PORT }
modules_enabled = { "roster", "saslauth", "tls", "disco", "ping", "posix", "iq", "presence", "message" }
modules_disabled = { "s2s", "offline" }
s2s_ports = {}
http_ports = {}
https_ports = {}
c2s_require_encryption = REQUIRE
authentication = "internal_plain"
storage = "internal"
log = { info = "*console" }
run_as_root = true
certificates = "$DIR"
VirtualHost "localhost"
  ssl = { key = "$DIR/key.pem", certificate = "$DIR/cert.pem" }
`

func prosody(t *testing.T, requireTLS bool) *peer {
	t.Helper()
	need(t, "prosody", "prosodyctl")
	p := newPeer(t)
	conf := p.file("prosody.cfg.lua", strings.Replace(prosodyConf, "REQUIRE", strconv.FormatBool(requireTLS), 1))
	for _, user := range []string{"cpe1", "acs"} {
		if out, err := exec.Command("prosodyctl", "--config", conf, "register", user, "localhost", user+"pw").CombinedOutput(); err != nil {
			t.Fatalf("prosodyctl: %v\n%s", err, out)
		}
	}
	p.command = func() *exec.Cmd { return exec.Command("prosody", "--config", conf, "-F") }
	p.start()
	t.Cleanup(func() { p.kill() })
	return p
}

const ejabberdConf = `
hosts: [localhost]
loglevel: info
certfiles: [$DIR/both.pem]
ca_file: $DIR/cert.pem
auth_method: internal
auth_password_format: plain
disable_sasl_mechanisms: [WITHOUT]
listen:
  - {port: $PORT, ip: "127.0.0.1", module: ejabberd_c2s, starttls: true, starttls_required: false, access: c2s}
access_rules: {c2s: {allow: all}}
acl: {local: {user_regexp: ""}}
modules: {mod_disco: {}, mod_ping: {}, mod_roster: {}, mod_adhoc: {}}
`

// ejabberd runs without Erlang's distribution, so that no epmd stays behind.
func ejabberd(t *testing.T, without ...string) *peer {
	t.Helper()
	need(t, "ejabberdctl", "erl")
	p := newPeer(t)
	conf := p.file("ejabberd.yml", strings.Replace(ejabberdConf, "WITHOUT", strings.Join(append([]string{"X-OAUTH2"}, without...), ", "), 1))
	p.command = func() *exec.Cmd {
		c := exec.Command("erl", "-noinput", "-mnesia", "dir", strconv.Quote(filepath.Join(p.dir, "spool")), "-s", "ejabberd", "-eval",
			`ejabberd_auth:try_register(<<"cpe1">>,<<"localhost">>,<<"cpe1pw">>),ejabberd_auth:try_register(<<"acs">>,<<"localhost">>,<<"acspw">>),`+
				`file:write_file("`+p.dir+`/ready","")`)
		c.Env = append(os.Environ(), "HOME="+p.dir, "ERL_LIBS="+erlLibs, "EJABBERD_CONFIG_PATH="+conf,
			"EJABBERD_LOG_PATH="+filepath.Join(p.dir, "ejabberd.log"), "ERL_CRASH_DUMP="+filepath.Join(p.dir, "crash"))
		return c
	}
	p.start()
	t.Cleanup(func() { p.kill() })
	for end := time.Now().Add(30 * time.Second); ; time.Sleep(20 * time.Millisecond) { // it listens before the accounts are there
		if _, err := os.Stat(filepath.Join(p.dir, "ready")); err == nil {
			return p
		} else if time.Now().After(end) {
			t.Fatalf("no accounts: %s", p.out.String())
		}
	}
}

const erlLibs = "/usr/lib/x86_64-linux-gnu"

// cpe is our client against a peer.
type cpe struct {
	*testing.T
	client *Client
	told   chan Status

	mu       sync.Mutex
	allow    []string
	sessions int
}

// newCPE runs a client until the test ends.
func newCPE(t *testing.T, p *peer, edit func(*Params), roots *x509.CertPool) *cpe {
	t.Helper()
	params := defaults()
	params.Username, params.Password, params.Domain, params.Resource = "cpe1", "cpe1pw", "localhost", "cwmp"
	params.Algorithm, params.Servers = "ServerTable", []Server{{Enable: true, Address: "127.0.0.1", Port: p.addr.port}}
	params.RetryInitial = 1
	if edit != nil {
		edit(&params)
	}
	c := &cpe{T: t, told: make(chan Status, 1000)}
	g := guard.New(guard.Config{Accept: func(string) { c.lock(func() { c.sessions++ }) }})
	c.client = New(Config{
		Params:      func() Params { return params },
		Allowed:     func() (out []string) { c.lock(func() { out = c.allow }); return out },
		Credentials: func() (string, string) { return "u", "p<&>" },
		Trust:       func() (Trust, error) { return Trust{Roots: roots, Now: time.Now()}, nil },
		Guard:       g,
		Resolver:    &endpoint.Resolver{},
		Dial:        endpoint.Bound(""),
		Rand:        func(int64) int64 { return 0 },
		Changed:     func(s Status) { c.told <- s },
	})
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); _ = c.client.Run(ctx) }()
	t.Cleanup(func() { cancel(); <-done })
	return c
}

func (c *cpe) lock(f func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	f()
}

// await waits for one of the states; Connecting is passed over.
func (c *cpe) await(states ...State) Status {
	c.Helper()
	end := time.After(30 * time.Second)
	for {
		select {
		case s := <-c.told:
			if slices.Contains(states, s.State) {
				return s
			}
			if s.State != Connecting && s.State != ServerNotPresent {
				c.Fatalf("state %s (%s), want %v", s.State, s.LastError, states)
			}
		case <-end:
			c.Fatalf("state %+v, want %v", c.client.Status(), states)
		}
	}
}

// acsClient talks XMPP as GenieACS does: what one read gives is a document.
type acsClient struct {
	*testing.T
	conn net.Conn
	jid  string
}

func newACS(t *testing.T, p *peer) *acsClient {
	t.Helper()
	conn, err := net.Dial("tcp", p.addr.String())
	if err != nil {
		t.Fatal(err)
	}
	a := &acsClient{T: t, conn: conn}
	t.Cleanup(func() { a.conn.Close() })
	const head = `<?xml version="1.0"?><stream:stream to="localhost" version="1.0" xmlns="jabber:client" xmlns:stream="http://etherx.jabber.org/streams">`
	a.say(head, "</stream:features>")
	a.say(`<starttls xmlns="urn:ietf:params:xml:ns:xmpp-tls"/>`, "<proceed")
	a.conn = tls.Client(conn, &tls.Config{ServerName: "localhost", RootCAs: p.ca.Pool()})
	a.say(head, "</stream:features>")
	plain := base64.StdEncoding.EncodeToString([]byte("\x00acs\x00acspw"))
	a.say(`<auth xmlns="urn:ietf:params:xml:ns:xmpp-sasl" mechanism="PLAIN">`+plain+`</auth>`, "<success")
	a.say(head, "</stream:features>")
	bound := a.say(`<iq type="set" id="b"><bind xmlns="urn:ietf:params:xml:ns:xmpp-bind"/></iq>`, "</iq>")
	_, bound, _ = strings.Cut(bound, "<jid>")
	a.jid, _, _ = strings.Cut(bound, "</jid>")
	return a
}

// say writes, and reads until something has come.
func (a *acsClient) say(s, until string) string {
	a.Helper()
	_ = a.conn.SetDeadline(time.Now().Add(20 * time.Second))
	if _, err := a.conn.Write([]byte(s)); err != nil {
		a.Fatal(err)
	}
	var got strings.Builder
	for b := make([]byte, 4096); !strings.Contains(got.String(), until); {
		n, err := a.conn.Read(b)
		got.Write(b[:n])
		if err != nil {
			a.Fatalf("%v after %s", err, got.String())
		}
	}
	return got.String()
}

// request asks for a session and returns the iq's type and its error's first child.
func (a *acsClient) request(to, password string) (kind, condition string) {
	a.Helper()
	raw := a.say(`<iq type="get" id="cr" to="`+to+`"><connectionRequest xmlns="urn:broadband-forum-org:cwmp:xmppConnReq-1-0">`+
		`<username>u</username><password>`+escape(password)+`</password></connectionRequest></iq>`, ">")
	var iq struct {
		Type  string `xml:"type,attr"`
		ID    string `xml:"id,attr"`
		From  string `xml:"from,attr"`
		Error struct {
			Any []struct{ XMLName xml.Name } `xml:",any"`
		} `xml:"error"`
	}
	if err := xml.Unmarshal([]byte(raw), &iq); err != nil || iq.ID != "cr" || iq.From != to {
		a.Fatalf("answer %s: %v", raw, err)
	}
	if len(iq.Error.Any) > 0 {
		condition = iq.Error.Any[0].XMLName.Local
	}
	return iq.Type, condition
}

// requests runs a good and some bad requests from the ACS to the CPE.
func requests(t *testing.T, p *peer, c *cpe) {
	t.Helper()
	a := newACS(t, p)
	const to = "cpe1@localhost/cwmp"
	if kind, cond := a.request(to, "p<&>"); kind != "result" {
		t.Errorf("a good request: %s %s", kind, cond)
	}
	if kind, cond := a.request(to, "wrong"); kind != "error" || cond != "not-authorized" {
		t.Errorf("a wrong password: %s %s", kind, cond)
	}
	c.lock(func() { c.allow = []string{"other@localhost", a.jid + "x"} })
	if kind, cond := a.request(to, "p<&>"); kind != "error" || cond != "service-unavailable" {
		t.Errorf("not of the list: %s %s", kind, cond)
	}
	c.lock(func() { c.allow = []string{"other@localhost", "ACS@localhost"} })
	if kind, cond := a.request(to, "p<&>"); kind != "result" {
		t.Errorf("of the list: %s %s", kind, cond)
	}
	c.lock(func() {
		if c.sessions != 2 {
			t.Errorf("%d sessions, want 2", c.sessions)
		}
	})
}

// alive asks the peer for a pong.
func alive(t *testing.T, c *cpe) {
	t.Helper()
	before := c.client.Status().Stats.Received
	c.client.NetworkUp()
	for end := time.Now().Add(10 * time.Second); c.client.Status().Stats.Received == before; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("no answer to a ping")
		}
	}
}

// restarted kills the peer and starts it again: the CPE comes back by itself,
// under the address that the ACS knows.
func restarted(p *peer, c *cpe, jid string) {
	p.Helper()
	p.kill()
	c.await(ServerNotPresent)
	p.start()
	if s := c.await(Enabled); s.JID != jid {
		p.Errorf("JID %q, was %q", s.JID, jid)
	}
}

func TestPeerProsody(t *testing.T) {
	t.Run("TLS required", func(t *testing.T) {
		p := prosody(t, true)
		c := newCPE(t, p, nil, p.ca.Pool())
		s := c.await(Enabled)
		if !s.TLS || !strings.HasPrefix(s.Mechanism, "SCRAM-SHA-") || s.JID != "cpe1@localhost/cwmp" {
			t.Errorf("status %+v", s)
		}
		t.Logf("mechanism %s", s.Mechanism)
		requests(t, p, c)
		alive(t, c)
		restarted(p, c, s.JID)
	})
	t.Run("TLS optional", func(t *testing.T) {
		p := prosody(t, false)
		c := newCPE(t, p, nil, p.ca.Pool())
		if s := c.await(Enabled); s.TLS || !strings.HasPrefix(s.Mechanism, "SCRAM-SHA-") {
			t.Errorf("status %+v", s)
		}
		requests(t, p, c)
	})
	t.Run("TLS optional and wanted", func(t *testing.T) {
		p := prosody(t, false)
		c := newCPE(t, p, func(p *Params) { p.UseTLS, p.Resource = true, "" }, p.ca.Pool())
		s := c.await(Enabled)
		if !s.TLS {
			t.Errorf("status %+v", s)
		}
		restarted(p, c, s.JID) // the server chose the resource, and we keep to it
	})
	t.Run("wrong certificate", func(t *testing.T) {
		p := prosody(t, true)
		other := newPeer(t)
		s := newCPE(t, p, nil, other.ca.Pool()).await(Failed)
		if !strings.Contains(s.LastError, "unknown authority") {
			t.Errorf("error %q", s.LastError)
		}
	})
	t.Run("wrong password", func(t *testing.T) {
		p := prosody(t, true)
		newCPE(t, p, func(p *Params) { p.Password = "wrong" }, p.ca.Pool()).await(AuthFailure)
	})
	t.Run("resource taken by another", func(t *testing.T) {
		p := prosody(t, true)
		first := newCPE(t, p, nil, p.ca.Pool())
		first.await(Enabled)
		second := newCPE(t, p, nil, p.ca.Pool())
		if s := second.await(Enabled); s.JID != "cpe1@localhost/cwmp" {
			t.Errorf("JID %q", s.JID)
		}
		for s := range first.told { // prosody lets the newer one have it
			if strings.Contains(s.LastError, "conflict") {
				break
			}
		}
	})
}

func TestPeerEjabberd(t *testing.T) {
	t.Run("SCRAM bound to TLS", func(t *testing.T) {
		p := ejabberd(t)
		c := newCPE(t, p, func(p *Params) { p.UseTLS = true }, p.ca.Pool())
		s := c.await(Enabled)
		if !s.TLS || s.Mechanism != "SCRAM-SHA-256-PLUS" {
			t.Errorf("status %+v", s)
		}
		requests(t, p, c)
		alive(t, c)
		restarted(p, c, s.JID)
	})
	scram := []string{"SCRAM-SHA-1", "SCRAM-SHA-256", "SCRAM-SHA-512", "SCRAM-SHA-1-PLUS", "SCRAM-SHA-256-PLUS", "SCRAM-SHA-512-PLUS"}
	for _, secured := range []bool{false, true} {
		t.Run(fmt.Sprintf("DIGEST-MD5, TLS %v", secured), func(t *testing.T) {
			p := ejabberd(t, scram...)
			c := newCPE(t, p, func(p *Params) { p.UseTLS, p.DigestMD5 = secured, true }, p.ca.Pool())
			if s := c.await(Enabled); s.TLS != secured || s.Mechanism != "DIGEST-MD5" {
				t.Errorf("status %+v", s)
			}
			requests(t, p, c)
		})
	}
	t.Run("wrong passwords", func(t *testing.T) {
		p := ejabberd(t, scram...)
		newCPE(t, p, func(p *Params) { p.Password, p.DigestMD5 = "wrong", true }, p.ca.Pool()).await(AuthFailure)
		newCPE(t, p, func(p *Params) { p.Password, p.UseTLS = "wrong", true }, p.ca.Pool()).await(AuthFailure) // PLAIN
	})
	t.Run("wrong certificate", func(t *testing.T) {
		p := ejabberd(t)
		s := newCPE(t, p, func(p *Params) { p.UseTLS = true }, newPeer(t).ca.Pool()).await(Failed)
		if !strings.Contains(s.LastError, "unknown authority") {
			t.Errorf("error %q", s.LastError)
		}
	})
}
