//go:build !no_stun && !no_xmpp

package app_test

import (
	"context"
	"fmt"
	"net"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"gatehouse/internal/store/storetest"
	"gatehouse/lab/acs"
	"gatehouse/lab/stun"
	"gatehouse/lab/xmpp"
)

const (
	xmppIP     = "198.51.100.40"
	xmppDomain = "xmpp.example.net"
	acsJID     = "acs@xmpp.example.net/4f2a"
	connection = "Device.XMPP.Connection."
)

// An xmppHouse is a house behind NAT, with an XMPP server outside.
type xmppHouse struct {
	*natHouse
	xmpp *xmpp.Server
	ids  int
}

func xmppStory(t *testing.T, conf string, f func(t *testing.T, h *xmppHouse)) {
	t.Helper()
	natStory(t, stun.Coturn(), conf, func(t *testing.T, below *natHouse) {
		h := &xmppHouse{natHouse: below, xmpp: xmpp.New(xmppDomain, map[string]string{"cpe1": "s3cret"})}
		write(t, filepath.Join(filepath.Dir(h.conf), "hosts"),
			acsIP+" acs.example.net\n"+stunIP+" stun.example.net\n"+xmppIP+" "+xmppDomain+"\n")
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan error, 1)
		l := h.listen()
		go func() { done <- h.xmpp.Serve(ctx, l) }()
		defer func() {
			if h.stop != nil {
				h.end()
			}
			stop()
			<-done
		}()
		f(t, h)
	})
}

func (h *xmppHouse) listen() net.Listener {
	h.t.Helper()
	l, err := h.net.Listen("tcp", xmppIP+":5222")
	if err != nil {
		h.t.Fatal(err)
	}
	return l
}

// account is a script that makes the connection and points to it.
func account(edit ...acs.Parameter) acs.Script {
	return func(c *acs.Conversation) error {
		if _, _, err := c.AddObject(connection, ""); err != nil {
			return err
		}
		at := connection + "1."
		_, err := c.SetParameterValues("", append([]acs.Parameter{
			acs.P(at+"Username", "xsd:string", "cpe1"), acs.P(at+"Password", "xsd:string", "s3cret"),
			acs.P(at+"Domain", "xsd:string", xmppDomain), acs.P(at+"Resource", "xsd:string", "cwmp"),
			acs.P(at+"ServerConnectAlgorithm", "xsd:string", "DNS"), acs.P(at+"Enable", "xsd:boolean", "1"),
			acs.P(ms+"ConnReqXMPPConnection", "xsd:string", connection+"1"),
			acs.P(ms+"ConnReqAllowedJabberIDs", "xsd:string", "acs@"+xmppDomain),
		}, edit...)...)
		return err
	}
}

// bound waits until the agent has bound a resource.
func (h *xmppHouse) bound() *xmpp.Session {
	h.t.Helper()
	select {
	case x := <-h.xmpp.Bound():
		synctest.Wait()
		return x
	case <-time.After(24 * time.Hour):
		h.t.Fatal("the agent does not come")
		return nil
	}
}

// ask sends a connection request and returns the answer's type.
func (h *xmppHouse) ask(x *xmpp.Session, from, password string) (answer string) {
	h.t.Helper()
	h.ids++
	id := fmt.Sprintf("cr%d", h.ids)
	err := x.Write(`<iq from="` + from + `" to="` + x.JID() + `" id="` + id + `" type="get">` +
		`<connectionRequest xmlns="urn:broadband-forum-org:cwmp:xmppConnReq-1-0"><username>acs</username><password>` +
		password + `</password></connectionRequest></iq>`)
	if err != nil {
		h.t.Fatal(err)
	}
	late := time.After(10 * time.Second)
	for {
		select {
		case s := <-h.xmpp.Stanzas():
			if s.Attr["id"] == id {
				return s.Attr["type"]
			}
		case <-late:
			h.t.Fatal("no answer")
		}
	}
}

// TestXMPPConnectionRequest: the ACS configures an account, hears the JID that
// the server gave, and is answered before the session that it asks for.
func TestXMPPConnectionRequest(t *testing.T) {
	xmppStory(t, config(), func(t *testing.T, h *xmppHouse) {
		h.acs.Queue("", account())
		h.start()
		if s := h.session(1); s.Err != nil {
			t.Fatal(s.Err)
		}
		x := h.bound()
		s := h.session(2)
		h.wantEvents(s, "4 VALUE CHANGE")
		if v, _ := s.Inform.Parameters.Get(ms + "ConnReqJabberID"); v != "cpe1@"+xmppDomain+"/cwmp" || v != x.JID() {
			t.Errorf("ConnReqJabberID %q", v)
		}
		for name, want := range map[string]string{connection + "1.Status": "Enabled", connection + "1.JabberID": x.JID(),
			ms + "SupportedConnReqMethods": "HTTP,STUN,XMPP"} {
			if got := h.get(name); got != want {
				t.Errorf("%s is %q", name, got)
			}
		}
		if got := h.ask(x, acsJID, "wrong"); got != "error" {
			t.Errorf("a wrong password: %s", got)
		}
		if got := h.ask(x, "mallory@"+xmppDomain+"/1", "knock"); got != "error" {
			t.Errorf("a stranger: %s", got)
		}
		h.none(2, time.Minute)
		if got := h.ask(x, acsJID, "knock"); got != "result" {
			t.Errorf("answered %s", got)
		}
		h.wantEvents(h.session(3), "6 CONNECTION REQUEST")
		h.none(3, time.Hour)
		if tr := h.transport("xmpp"); tr.State != "Enabled" || tr.Address != x.JID() || tr.LastRequest.IsZero() || tr.Refused != "not of the allowed JIDs" {
			t.Errorf("%+v", tr)
		}
	})
}

// TestJabberIDStays: neither a lost stream nor a restart of the process nor a
// reboot is news, as long as the server gives the same JID; another one is.
func TestJabberIDStays(t *testing.T) {
	xmppStory(t, config(), func(t *testing.T, h *xmppHouse) {
		h.acs.Queue("", account())
		h.start()
		x := h.bound()
		jid := x.JID()
		h.session(2)
		x.Drop()
		if h.get(ms+"ConnReqJabberID") != jid {
			t.Error("a lost stream changes the JID")
		}
		h.bound()
		h.none(2, time.Hour)
		h.end()
		h.start()
		if h.get(ms+"ConnReqJabberID") != jid {
			t.Error("a restart changes the JID")
		}
		h.bound()
		h.none(2, time.Hour)
		h.kill(storetest.Kill)
		h.start()
		h.bound()
		h.none(2, time.Hour)
		h.boot()
		h.wantEvents(h.session(3), "1 BOOT")
		x = h.bound()
		h.none(3, time.Hour)

		h.xmpp.Set(func(k *xmpp.Knobs) { k.Resource = "other" })
		x.Drop()
		h.bound()
		s := h.session(4)
		h.wantEvents(s, "4 VALUE CHANGE")
		if v, _ := s.Inform.Parameters.Get(ms + "ConnReqJabberID"); !strings.HasSuffix(v, "/other") {
			t.Errorf("ConnReqJabberID %q", v)
		}
	})
}

// TestOneDoor: copies of one request by HTTP, UDP and XMPP, here while a session
// is held so that none comes before the others, make one session.
func TestOneDoor(t *testing.T) {
	xmppStory(t, behindNAT(), func(t *testing.T, h *xmppHouse) {
		h.acs.Queue("", account())
		h.start()
		x := h.bound()
		h.session(2)
		time.Sleep(time.Minute)
		at, pkt := h.known(), h.request(stun.GenieACS, "knock")
		h.acs.Queue("", func(c *acs.Conversation) error {
			h.send(at, 3, pkt)
			if got := h.ask(x, acsJID, "knock"); got != "result" {
				t.Errorf("XMPP: %s", got)
			}
			if r := h.knock(); !r.OK() {
				t.Errorf("HTTP: %+v", r)
			}
			time.Sleep(time.Second)
			_, err := c.GetParameterValues(ms + "URL")
			return err
		})
		h.set("Device.DeviceInfo.ProvisioningCode", "news")
		if s := h.session(3); s.Err != nil {
			t.Fatal(s.Err)
		}
		h.wantEvents(h.session(4), "6 CONNECTION REQUEST")
		h.none(4, time.Hour)
		for _, name := range []string{"http", "udp", "xmpp"} {
			if tr := h.transport(name); tr.LastRequest.IsZero() || !tr.LastRefused.IsZero() && name != "udp" {
				t.Errorf("%+v", tr)
			}
		}
	})
}

// TestConnectionTakenAway: a connection that the ACS disables, deletes or no
// longer points to is closed.
func TestConnectionTakenAway(t *testing.T) {
	for name, script := range map[string]acs.Script{
		"disabled": setting(connection+"1.Enable", "xsd:boolean", "0"),
		"unlinked": setting(ms+"ConnReqXMPPConnection", "xsd:string", ""),
		"deleted": func(c *acs.Conversation) error {
			_, err := c.DeleteObject(connection+"1.", "")
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			xmppStory(t, config(), func(t *testing.T, h *xmppHouse) {
				h.acs.Queue("", account())
				h.start()
				x := h.bound()
				h.session(2)
				h.acs.Queue("", script)
				if got := h.ask(x, acsJID, "knock"); got != "result" {
					t.Fatal(got)
				}
				if s := h.session(3); s.Err != nil {
					t.Fatal(s.Err)
				}
				time.Sleep(time.Minute)
				synctest.Wait()
				if err := x.Write(" "); err == nil {
					t.Error("the stream is still open")
				}
				if got := h.get(ms + "ConnReqJabberID"); got != "" {
					t.Errorf("ConnReqJabberID %q", got)
				}
				s := h.session(4) // nobody asked for this one value to change
				h.wantEvents(s, "4 VALUE CHANGE")
				if v, ok := s.Inform.Parameters.Get(ms + "ConnReqJabberID"); v != "" || !ok {
					t.Errorf("ConnReqJabberID %q in the Inform", v)
				}
				logins := h.xmpp.Logins()
				h.none(4, time.Hour)
				if n := h.xmpp.Logins() - logins; n != 0 {
					t.Errorf("came back %d times", n)
				}
			})
		})
	}
}

// TestXMPPServerRestarts: the server is away for ten minutes, also while a
// session is held; the agent comes back by itself.
func TestXMPPServerRestarts(t *testing.T) {
	xmppStory(t, config(), func(t *testing.T, h *xmppHouse) {
		h.acs.Queue("", account())
		h.start()
		h.bound()
		h.session(2)
		h.acs.Queue("", func(c *acs.Conversation) error {
			h.xmpp.Kick("<message><bo") // in the middle of a stanza
			time.Sleep(time.Second)
			_, err := c.GetParameterValues(connection)
			return err
		})
		h.knock()
		if s := h.session(3); s.Err != nil {
			t.Fatal(s.Err)
		}
		x := h.bound()
		if got := h.ask(x, acsJID, "knock"); got != "result" {
			t.Errorf("answered %s", got)
		}
		h.session(4)
		h.none(4, time.Hour)
	})
}
