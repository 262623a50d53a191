package xmpp

import (
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	lab "gatehouse/lab/xmpp"
)

// started runs a rig that is bound, with nothing noted yet.
func started(t *testing.T, knobs func(*rig, *lab.Knobs), f func(r *rig, s *lab.Session)) {
	t.Helper()
	bubble(t, knobs, func(r *rig) {
		r.start()
		s := r.bound()
		r.written()
		f(r, s)
	})
}

// tell sends bytes to the client.
func tell(r *rig, s *lab.Session, raw string) {
	r.Helper()
	if err := s.Write(raw); err != nil {
		r.Fatal(err)
	}
	synctest.Wait()
}

const (
	resultFor  = `<iq type="result" id="cr1" from="cpe1@xmpp.example.com/cwmp" to="acs@xmpp.example.com/4f2a"/>`
	noService  = `<error type="cancel" code="503"><service-unavailable xmlns="urn:ietf:params:xml:ns:xmpp-stanzas"/></error></iq>`
	notAllowed = `<error type="auth" code="401"><not-authorized xmlns="urn:ietf:params:xml:ns:xmpp-stanzas"/></error></iq>`
	errorTo    = `<iq type="error" id="cr1" from="cpe1@xmpp.example.com/cwmp" to="acs@xmpp.example.com/4f2a">`
)

func TestRequests(t *testing.T) {
	good := request("cr1", acsJID, "u", "p&lt;&amp;>")
	tests := []struct {
		name  string
		allow []string
		sent  string
		want  string // the one write that answers; "": none
		asked int
		said  Outcome
	}{
		{"good", nil, good, resultFor, 1, Accepted},
		{"of type set", nil, strings.Replace(good, `type="get"`, `type="set"`, 1), resultFor, 1, Accepted},
		{"password in CDATA", nil, request("cr1", acsJID, "u", "<![CDATA[p<&>]]>"), resultFor, 1, Accepted},
		{"wrong password", nil, request("cr1", acsJID, "u", "p"), errorTo + notAllowed, 0, WrongSecret},
		{"wrong username", nil, request("cr1", acsJID, "U", "p&lt;&amp;>"), errorTo + notAllowed, 0, WrongSecret},
		{"no password", nil, strings.Replace(good, "<password>p&lt;&amp;></password>", "", 1), errorTo + notAllowed, 0, WrongSecret},
		{"from one of the list", []string{"other@example.com", "acs@xmpp.example.com"}, good, resultFor, 1, Accepted},
		{"from none of the list", []string{"other@example.com"}, good, errorTo + noService, 0, NotAllowed},
		{"from a resource not of the list", []string{acsJID + "x"}, good, errorTo + noService, 0, NotAllowed},
		{"without from, anybody allowed", nil, strings.Replace(good, `from="`+acsJID+`" `, "", 1),
			`<iq type="result" id="cr1" from="cpe1@xmpp.example.com/cwmp"/>`, 1, Accepted},
		{"without from, not allowed", []string{"acs@xmpp.example.com"}, strings.Replace(good, `from="`+acsJID+`" `, "", 1),
			`<iq type="error" id="cr1" from="cpe1@xmpp.example.com/cwmp">` + noService, 0, NotAllowed},
		{"another namespace", nil, strings.Replace(good, "xmppConnReq-1-0", "xmppConnReq-2-0", 1), errorTo + noService, 0, ""},
		{"nothing in it", nil, `<iq from="` + acsJID + `" id="cr1" type="get"/>`, errorTo + noService, 0, ""},
		{"a ping", []string{"other@example.com"}, `<iq from="` + acsJID + `" id="cr1" type="get"><ping xmlns="urn:xmpp:ping"/></iq>`, resultFor, 0, ""},
		{"an id with marks", nil, strings.Replace(good, "cr1", "a&lt;'&quot;", 1),
			`<iq type="result" id="a&lt;&#39;&#34;" from="cpe1@xmpp.example.com/cwmp" to="acs@xmpp.example.com/4f2a"/>`, 1, Accepted},
		{"a result", nil, strings.Replace(good, `type="get"`, `type="result"`, 1), "", 0, ""},
		{"an error", nil, strings.Replace(good, `type="get"`, `type="error"`, 1), "", 0, ""},
		{"a message", nil, `<message from="` + acsJID + `" type="get"><body>hello</body></message>`, "", 0, ""},
		{"presence", nil, `<presence from="` + acsJID + `"/>`, "", 0, ""},
		{"with a prefix", nil, `<iq from="` + acsJID + `" id="cr1" type="get"><c:connectionRequest xmlns:c="urn:broadband-forum-org:cwmp:xmppConnReq-1-0">` +
			`<c:username>u</c:username><c:password>p&lt;&amp;></c:password></c:connectionRequest></iq>`, resultFor, 1, Accepted},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			started(t, nil, func(r *rig, s *lab.Session) {
				r.lock(func() { r.allow = test.allow })
				tell(r, s, test.sent)
				w := r.written()
				if test.want == "" && len(w) != 0 || test.want != "" && !slices.Equal(w, []string{test.want}) {
					t.Errorf("wrote %q\nwant %q in one write", w, test.want)
				}
				if got := r.client.Status().Stats.Request; got.Outcome != test.said || test.said != "" && (got.From == "" || got.At.IsZero()) {
					t.Errorf("last request %+v, want %q", got, test.said)
				}
				if n := r.asked(); n != test.asked {
					t.Errorf("%d sessions asked for, want %d", n, test.asked)
				}
			})
		})
	}
}

// A request in pieces, and two requests in one piece.
func TestRequestSegments(t *testing.T) {
	started(t, nil, func(r *rig, s *lab.Session) {
		raw := request("cr1", acsJID, "u", "p&lt;&amp;>")
		for _, piece := range []string{raw[:7], raw[7:150], raw[150:]} {
			tell(r, s, piece)
			time.Sleep(time.Second)
		}
		if w := r.written(); !slices.Equal(w, []string{resultFor}) {
			t.Errorf("wrote %q", w)
		}
		tell(r, s, " \n"+raw+"  "+strings.Replace(raw, "cr1", "cr2", 1))
		if w := r.written(); !slices.Equal(w, []string{resultFor, strings.Replace(resultFor, "cr1", "cr2", 1)}) {
			t.Errorf("wrote %q", w)
		}
		if got := r.client.Status().Stats; got.Received != 1+3 || got.Transmitted != 1+3 { // bind, three requests
			t.Errorf("stats %+v", got)
		}
	})
}

// The session is asked for when the answer is on the wire, not before.
func TestAnswerComesFirst(t *testing.T) {
	r := &responder{guard: admit(func() { t.Fatal("asked for before the answer was written") })}
	r.allowed = func() []string { return nil }
	r.credentials = func() (string, string) { return "u", "p" }
	a := r.request(parse(t, request("x", acsJID, "u", "p")))
	if a.accepted == nil || !strings.Contains(a.xml, "result") {
		t.Errorf("answer %+v", a)
	}
}

type admit func()

func (a admit) Admit(string, string) (func(), error)       { return a, nil }
func (a admit) Failed(string, string) (wait time.Duration) { return 0 }

// Requests that come too fast are refused; wrong ones get slower answers, and
// the right one in between does not wait.
func TestTooManyRequests(t *testing.T) {
	started(t, nil, func(r *rig, s *lab.Session) {
		for range 20 {
			tell(r, s, request("cr1", acsJID, "u", "p&lt;&amp;>"))
		}
		w := r.written()
		if w[9] != resultFor || w[10] != errorTo+noService || len(w) != 20 {
			t.Errorf("wrote %q", w)
		}
		time.Sleep(time.Minute)
		r.written()
		for range 6 {
			tell(r, s, request("cr1", acsJID, "u", "wrong"))
		}
		if w := r.written(); len(w) != 3 {
			t.Errorf("%d answers to 6 wrong passwords at once, want 3", len(w))
		}
		tell(r, s, request("cr1", acsJID, "u", "p&lt;&amp;>"))
		if w := r.written(); !slices.Equal(w, []string{resultFor}) {
			t.Errorf("the right one: %q", w)
		}
		time.Sleep(2 * time.Second)
		if w := r.written(); len(w) != 3 || w[0] != errorTo+notAllowed {
			t.Errorf("later: %q", w)
		}
	})
}

// ConnReqXMPPConnection points at another connection.
func TestServesNoRequests(t *testing.T) {
	started(t, nil, func(r *rig, s *lab.Session) {
		var serves atomic.Bool
		r.client.cfg.Serves = serves.Load
		s.Drop()
		time.Sleep(2 * time.Minute)
		s = r.bound()
		r.written()
		tell(r, s, request("cr1", acsJID, "u", "p&lt;&amp;>"))
		if w := r.written(); !slices.Equal(w, []string{errorTo + noService}) || r.asked() != 0 {
			t.Errorf("wrote %q", w)
		}
		serves.Store(true)
		tell(r, s, request("cr1", acsJID, "u", "p&lt;&amp;>"))
		if w := r.written(); !slices.Equal(w, []string{resultFor}) {
			t.Errorf("wrote %q", w)
		}
	})
}

// Without a configured password nobody gets in, unless that is allowed.
func TestNoPasswordConfigured(t *testing.T) {
	for _, open := range []bool{false, true} {
		r := &responder{allowEmpty: open, credentials: func() (string, string) { return "", "" }}
		if r.known("", "") != open {
			t.Errorf("open %v", open)
		}
	}
}

// What the server passes on from others is skipped, however large; what only
// the server itself can send ends the stream.
func TestAttacks(t *testing.T) {
	for _, name := range []string{"large", "attribute", "deep", "wide", "attributes"} {
		t.Run(name, func(t *testing.T) {
			started(t, nil, func(r *rig, s *lab.Session) {
				go func() { _ = s.Write(lab.Attack(name) + request("cr1", acsJID, "u", "p&lt;&amp;>")) }()
				r.want(Enabled)
				if w := r.written(); !slices.Equal(w, []string{resultFor}) {
					t.Errorf("wrote %q", w)
				}
				if n := r.client.Status().Stats.Skipped; n != 1 {
					t.Errorf("%d stanzas skipped", n)
				}
			})
		})
	}
	for name, condition := range map[string]string{
		"endless": "policy-violation", "doctype": "restricted-xml", "instruction": "restricted-xml", "comment": "restricted-xml",
		"text": "bad-format", "entity": "", "unbalanced": "", "binary": "",
	} {
		t.Run(name, func(t *testing.T) {
			started(t, nil, func(r *rig, s *lab.Session) {
				go func() { _ = s.Write(lab.Attack(name)) }()
				r.want(Connecting)
				w := r.written()
				want := "<stream:error><" + condition + ` xmlns="urn:ietf:params:xml:ns:xmpp-streams"/></stream:error></stream:stream>`
				if condition != "" && !slices.Equal(w, []string{want}) || condition == "" && len(w) != 0 {
					t.Errorf("wrote %q", w)
				}
				time.Sleep(2 * time.Minute) // and is back
				r.want(Enabled)
			})
		})
	}
}

// A stanza that never ends is no sign of life.
func TestEndlessStanza(t *testing.T) {
	started(t, nil, func(r *rig, s *lab.Session) {
		r.server.Set(func(k *lab.Knobs) { k.Mute = true })
		go func() {
			for err := s.Write("<message>"); err == nil; err = s.Write("drip ") {
				time.Sleep(time.Second)
			}
		}()
		time.Sleep(240*time.Second + 2*pongWait + time.Second)
		r.want(Connecting)
		time.Sleep(2 * time.Minute)
	})
}

// White space between stanzas, however much, is no stanza.
func TestWhiteSpace(t *testing.T) {
	started(t, nil, func(r *rig, s *lab.Session) {
		for range 40 {
			tell(r, s, strings.Repeat(" \n", 2000))
		}
		tell(r, s, request("cr1", acsJID, "u", "p&lt;&amp;>"))
		if w := r.written(); !slices.Equal(w, []string{resultFor}) {
			t.Errorf("wrote %q", w)
		}
	})
}

func TestKeepAlive(t *testing.T) {
	tests := []struct {
		seconds int64
		after   time.Duration
		pings   int
		spaces  int
	}{
		{-1, 239 * time.Second, 0, 0},
		{-1, 241 * time.Second, 1, 0},
		{-1, time.Hour, 15, 0},
		{0, 24 * time.Hour, 0, 0},
		{300, time.Hour + time.Second, 12, 0},
		{20, time.Minute + time.Second, 1, 2}, // a ping is no closer to the next than a minute
		{1, time.Minute - time.Millisecond, 1, 58},
	}
	for _, test := range tests {
		t.Run(fmt.Sprint(test.seconds, "s for ", test.after), func(t *testing.T) {
			bubble(t, nil, func(r *rig) {
				r.params.KeepAlive = test.seconds
				r.start()
				r.bound()
				r.written()
				time.Sleep(test.after)
				pings, spaces := 0, 0
				for _, w := range r.written() {
					switch {
					case w == " ":
						spaces++
					case strings.Contains(w, `to="xmpp.example.com"><ping xmlns="urn:xmpp:ping"/></iq>`):
						pings++
					default:
						t.Errorf("wrote %q", w)
					}
				}
				if pings != test.pings || spaces != test.spaces {
					t.Errorf("%d pings, %d spaces; want %d, %d", pings, spaces, test.pings, test.spaces)
				}
				r.want(Enabled)
			})
		})
	}
}

// Two pings without an answer, and the connection is made anew.
func TestMissedPongs(t *testing.T) {
	started(t, nil, func(r *rig, s *lab.Session) {
		r.server.Set(func(k *lab.Knobs) { k.Mute = true })
		time.Sleep(240*time.Second + 2*pongWait - time.Second)
		r.want(Enabled)
		time.Sleep(2 * time.Second)
		r.want(Connecting)
		r.wantError("two pings")
		r.server.Set(func(k *lab.Knobs) { k.Mute = false })
		time.Sleep(time.Minute)
		r.want(Enabled)
	})
}

// An error, a request or a space is as good as a pong.
func TestAnySignOfLife(t *testing.T) {
	for _, sign := range []string{" ", `<message/>`, `<iq type="error" id="?"><error type="cancel"/></iq>`} {
		started(t, nil, func(r *rig, s *lab.Session) {
			r.server.Set(func(k *lab.Knobs) { k.Mute = true })
			for range 10 {
				time.Sleep(245 * time.Second)
				tell(r, s, sign)
			}
			r.want(Enabled)
		})
	}
}

// When the network has changed, a connection that is dead is found out at once.
func TestNetworkUpChecksTheConnection(t *testing.T) {
	started(t, nil, func(r *rig, s *lab.Session) {
		r.client.NetworkUp()
		if w := r.written(); len(w) != 1 || !strings.Contains(w[0], "urn:xmpp:ping") {
			t.Errorf("wrote %q", w)
		}
		time.Sleep(time.Minute)
		r.want(Enabled)
		r.server.Set(func(k *lab.Knobs) { k.Mute = true })
		r.client.NetworkUp()
		time.Sleep(2*probeWait - time.Second)
		r.want(Enabled)
		time.Sleep(2 * time.Second) // and is replaced at once
		r.want(Enabled)
		if n := r.server.Logins(); n != 2 {
			t.Errorf("%d connections", n)
		}
	})
}

func BenchmarkRequest(b *testing.B) {
	r := &responder{
		jid: JID{"cpe1", domain, "cwmp"}, guard: admit(func() {}),
		allowed: func() []string { return []string{"acs@xmpp.example.com"} }, credentials: func() (string, string) { return "u", "p" },
	}
	raw := request("cr1", acsJID, "u", "p")
	in := &reader{fill: func(p []byte) (int, error) { return copy(p, raw), nil }} // raw is shorter than any p
	s := newStream(&reader{fill: func(p []byte) (int, error) { return copy(p, `<s xmlns="jabber:client">`), nil }})
	if _, err := s.header(); err != nil {
		b.Fatal(err)
	}
	*s.in = *in
	b.ReportAllocs()
	for b.Loop() {
		e, err := s.next()
		if err != nil {
			b.Fatal(err)
		}
		if a := r.handle(e); a.accepted == nil {
			b.Fatal(a.xml)
		}
	}
}

func parse(t *testing.T, stanza string) (iq, payload *element) {
	t.Helper()
	s := newStream(from(`<s xmlns="jabber:client">` + stanza))
	if _, err := s.header(); err != nil {
		t.Fatal(err)
	}
	e, err := s.next()
	if err != nil {
		t.Fatal(err)
	}
	return e, e.children[0]
}
