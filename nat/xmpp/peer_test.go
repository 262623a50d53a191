package xmpp

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/xml"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"gatehouse/internal/endpoint"
	"gatehouse/internal/guard"
)

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
		t.Parallel()
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
		t.Parallel()
		p := prosody(t, false)
		c := newCPE(t, p, nil, p.ca.Pool())
		if s := c.await(Enabled); s.TLS || !strings.HasPrefix(s.Mechanism, "SCRAM-SHA-") {
			t.Errorf("status %+v", s)
		}
		requests(t, p, c)
	})
	t.Run("TLS optional and wanted", func(t *testing.T) {
		t.Parallel()
		p := prosody(t, false)
		c := newCPE(t, p, func(p *Params) { p.UseTLS, p.Resource = true, "" }, p.ca.Pool())
		s := c.await(Enabled)
		if !s.TLS {
			t.Errorf("status %+v", s)
		}
		restarted(p, c, s.JID) // the server chose the resource, and we keep to it
	})
	t.Run("wrong certificate", func(t *testing.T) {
		t.Parallel()
		p := prosody(t, true)
		other := newPeer(t)
		s := newCPE(t, p, nil, other.ca.Pool()).await(Failed)
		if !strings.Contains(s.LastError, "unknown authority") {
			t.Errorf("error %q", s.LastError)
		}
	})
	t.Run("wrong password", func(t *testing.T) {
		t.Parallel()
		p := prosody(t, true)
		newCPE(t, p, func(p *Params) { p.Password = "wrong" }, p.ca.Pool()).await(AuthFailure)
	})
	t.Run("resource taken by another", func(t *testing.T) {
		t.Parallel()
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
	// It offers SCRAM-…-PLUS, does not say with which binding, and refuses the
	// exporter of TLS 1.3: we are not to try.
	t.Run("SCRAM", func(t *testing.T) {
		t.Parallel()
		p := ejabberd(t)
		c := newCPE(t, p, func(p *Params) { p.UseTLS = true }, p.ca.Pool())
		s := c.await(Enabled)
		if !s.TLS || s.Mechanism != "SCRAM-SHA-256" {
			t.Errorf("status %+v", s)
		}
		if log := p.log(); strings.Contains(log, "Failed c2s") {
			t.Error(log)
		}
		requests(t, p, c)
		alive(t, c)
		restarted(p, c, s.JID)
	})
	scram := []string{"SCRAM-SHA-1", "SCRAM-SHA-256", "SCRAM-SHA-512", "SCRAM-SHA-1-PLUS", "SCRAM-SHA-256-PLUS", "SCRAM-SHA-512-PLUS"}
	for _, secured := range []bool{false, true} {
		t.Run(fmt.Sprintf("DIGEST-MD5 TLS %v", secured), func(t *testing.T) {
			t.Parallel()
			p := ejabberd(t, scram...)
			c := newCPE(t, p, func(p *Params) { p.UseTLS, p.DigestMD5 = secured, true }, p.ca.Pool())
			if s := c.await(Enabled); s.TLS != secured || s.Mechanism != "DIGEST-MD5" {
				t.Errorf("status %+v", s)
			}
			requests(t, p, c)
		})
	}
	t.Run("wrong passwords", func(t *testing.T) {
		t.Parallel()
		p := ejabberd(t, scram...)
		newCPE(t, p, func(p *Params) { p.Password, p.DigestMD5 = "wrong", true }, p.ca.Pool()).await(AuthFailure)
		newCPE(t, p, func(p *Params) { p.Password, p.UseTLS = "wrong", true }, p.ca.Pool()).await(AuthFailure) // PLAIN
	})
	t.Run("wrong certificate", func(t *testing.T) {
		t.Parallel()
		p := ejabberd(t)
		s := newCPE(t, p, func(p *Params) { p.UseTLS = true }, newPeer(t).ca.Pool()).await(Failed)
		if !strings.Contains(s.LastError, "unknown authority") {
			t.Errorf("error %q", s.LastError)
		}
	})
}
