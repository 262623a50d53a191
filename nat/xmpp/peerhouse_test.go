package xmpp

import (
	"bytes"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"gatehouse/lab/pki"
	"gatehouse/lab/rooms"
)

// These tests run against servers that we did not write, on loopback, with a
// second client as the ACS. They need Debian packages.

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

// log is what ejabberd has logged.
func (p *peer) log() string {
	b, _ := os.ReadFile(filepath.Join(p.dir, "ejabberd.log"))
	return string(b)
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
	rooms.Need(t, "prosody", "prosodyctl")
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
	rooms.Need(t, "ejabberdctl", "erl")
	p := newPeer(t)
	libs := erlLibs(t)
	conf := p.file("ejabberd.yml", strings.Replace(ejabberdConf, "WITHOUT", strings.Join(append([]string{"X-OAUTH2"}, without...), ", "), 1))
	p.command = func() *exec.Cmd {
		c := exec.Command("erl", "-noinput", "-mnesia", "dir", strconv.Quote(filepath.Join(p.dir, "spool")), "-s", "ejabberd", "-eval",
			`ejabberd_auth:try_register(<<"cpe1">>,<<"localhost">>,<<"cpe1pw">>),ejabberd_auth:try_register(<<"acs">>,<<"localhost">>,<<"acspw">>),`+
				`file:write_file("`+p.dir+`/ready","")`)
		c.Env = append(os.Environ(), "HOME="+p.dir, "ERL_LIBS="+libs, "EJABBERD_CONFIG_PATH="+conf,
			"EJABBERD_LOG_PATH="+filepath.Join(p.dir, "ejabberd.log"), "ERL_CRASH_DUMP="+filepath.Join(p.dir, "crash"))
		return c
	}
	p.start()
	t.Cleanup(func() {
		p.kill()
		if t.Failed() {
			t.Log(p.log())
		}
	})
	for end := time.Now().Add(30 * time.Second); ; time.Sleep(20 * time.Millisecond) { // it listens before the accounts are there
		if _, err := os.Stat(filepath.Join(p.dir, "ready")); err == nil {
			return p
		} else if time.Now().After(end) {
			t.Fatalf("no accounts: %s", p.out.String())
		}
	}
}

// erlLibs is where Debian has put ejabberd's modules; its own script knows.
func erlLibs(t *testing.T) string {
	t.Helper()
	script, err := exec.LookPath("ejabberdctl")
	if err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(script)
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(b), "\nERL_LIBS='")
	libs, _, _ := strings.Cut(rest, "'")
	return libs
}
