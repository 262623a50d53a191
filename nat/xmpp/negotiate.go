package xmpp

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"time"
)

// This file takes a connection from the first byte to a bound resource
// (RFC 6120 4 to 7), phase by phase, and reads like the exchange.

const (
	negotiateTime = 60 * time.Second // for all of it
	abortTime     = 5 * time.Second  // for a server to say yes to our giving up
	maxMechanisms = 3                // tried on one stream
	maxSteps      = 4                // challenges of one mechanism
)

// An AuthError is a server's refusal of our credentials (RFC 6120 6.5).
type AuthError struct {
	Mechanism, Condition, Text string
}

func (e *AuthError) Error() string {
	s := e.Mechanism + ": " + e.Condition
	if e.Text != "" {
		s += " (" + e.Text + ")"
	}
	return s
}

// A ConfigError says that no attempt can succeed until somebody changes a
// parameter here or a setting of the server.
type ConfigError struct{ Err error }

func (e *ConfigError) Error() string { return e.Err.Error() }

// Unwrap returns the cause.
func (e *ConfigError) Unwrap() error { return e.Err }

// errProof says that a server took our word and did not prove itself.
var errProof = errors.New("the server says that it knows us and does not prove that it knows the password")

// negotiation is one way from a connection to a JID.
type negotiation struct {
	l         *link
	p         Params
	direct    bool
	resource  string // to ask for; "": the server's choice
	trust     func() (Trust, error)
	mechanism string // by which we got in
}

// run returns the JID that the server gave us.
func (n *negotiation) run(ctx context.Context) (JID, error) {
	if n.direct {
		if err := n.tls(ctx); err != nil {
			return JID{}, err
		}
	}
	features, err := n.open()
	if err != nil {
		return JID{}, err
	}
	if n.l.secured == nil {
		if features, err = n.starttls(ctx, features); err != nil {
			return JID{}, err
		}
	}
	if err := n.authenticate(features); err != nil {
		return JID{}, err
	}
	if features, err = n.open(); err != nil {
		return JID{}, err
	}
	return n.bind(features)
}

// open opens a stream; we say who we are only when nobody else can read it.
func (n *negotiation) open() (*element, error) {
	from := ""
	if n.l.secured != nil {
		from = JID{Local: n.p.Username, Domain: n.p.Domain}.String()
	}
	return n.l.open(n.p.Domain, from)
}

func (n *negotiation) tls(ctx context.Context) error {
	trust, err := n.trust()
	if err != nil {
		return err
	}
	return n.l.secure(ctx, n.p.Domain, n.direct, trust)
}

// starttls secures the stream if we or the server want it (RFC 6120 5), or if
// we can authenticate in no other way.
func (n *negotiation) starttls(ctx context.Context, features *element) (*element, error) {
	offer := features.child(nsTLS, "starttls")
	must := offer.child(nsTLS, "required") != nil
	if !n.p.UseTLS && !must && (offer == nil || len(choose(mechanisms(features), n.p, nil, nil)) > 0) {
		return features, nil
	}
	if offer == nil {
		return nil, &ConfigError{errors.New("the server offers no TLS")}
	}
	if err := n.l.write(`<starttls xmlns="` + nsTLS + `"/>`); err != nil {
		return nil, err
	}
	e, err := n.l.next()
	if err != nil {
		return nil, err
	}
	if !e.is(nsTLS, "proceed") {
		return nil, errors.New("the server offers TLS and then refuses it")
	}
	if err := n.tls(ctx); err != nil {
		return nil, err
	}
	return n.open() // what was offered in clear is void
}

// mechanisms lists the SASL mechanisms of the features.
func mechanisms(features *element) []string {
	list := features.child(nsSASL, "mechanisms")
	if list == nil {
		return nil
	}
	var out []string
	for _, m := range list.children {
		if m.is(nsSASL, "mechanism") {
			out = append(out, strings.TrimSpace(m.text))
		}
	}
	return out
}

// bindings lists the channel bindings that the server knows (XEP-0440).
func bindings(features *element) []string {
	list := features.child(nsBinding, "sasl-channel-binding")
	if list == nil {
		return nil
	}
	var out []string
	for _, b := range list.children {
		if b.is(nsBinding, "channel-binding") {
			out = append(out, b.attr("type"))
		}
	}
	return out
}

// authenticate tries what the server offers, best first. It goes on only after
// a refusal of the mechanism, not of who we are: a wrong password is wrong in
// all of them.
func (n *negotiation) authenticate(features *element) error {
	var state *tls.ConnectionState
	if n.l.secured != nil {
		s := n.l.secured.ConnectionState()
		state = &s
	}
	offered := mechanisms(features)
	list := choose(offered, n.p, state, bindings(features))
	if len(list) == 0 {
		return &ConfigError{fmt.Errorf("the server offers no way to authenticate that we take: %s", short(strings.Join(offered, " ")))}
	}
	var refused *AuthError
	for _, name := range list[:min(len(list), maxMechanisms)] {
		before := refused
		err := n.exchange(name, begin(name, n.p, state, offered))
		switch {
		case err == nil:
			n.mechanism = name
			return nil
		case !errors.As(err, &refused) && before != nil:
			return before // the server has closed after its refusal: that is what to tell
		case refused == nil || !refused.ofMechanism():
			return err
		}
	}
	return refused
}

// ofMechanism reports whether another mechanism may do better. Binding to the
// TLS channel may fail in more ways than its servers have words for.
func (e *AuthError) ofMechanism() bool {
	switch e.Condition {
	case "invalid-mechanism", "mechanism-too-weak", "malformed-request", "incorrect-encoding":
		return true
	}
	return strings.HasSuffix(e.Mechanism, "-PLUS")
}

// exchange runs one mechanism (RFC 6120 6.4).
func (n *negotiation) exchange(name string, m mechanism) error {
	first, err := m.start()
	if err != nil {
		return err
	}
	if err := n.l.write(`<auth xmlns="` + nsSASL + `" mechanism="` + name + `">` + encode(first) + `</auth>`); err != nil {
		return err
	}
	for range maxSteps {
		e, err := n.l.next()
		if err != nil {
			return err
		}
		switch {
		case e.is(nsSASL, "failure"):
			return failure(name, e)
		case e.is(nsSASL, "success"):
			return finish(m, e)
		case !e.is(nsSASL, "challenge"):
			return fmt.Errorf("%s: challenge expected, not %.32q", name, e.Local)
		}
		data, err := decode(e.text)
		var answer []byte
		if err == nil {
			answer, err = m.step(data)
		}
		if err != nil {
			return n.abort(fmt.Errorf("%s: %w", name, err))
		}
		response := ""
		if len(answer) > 0 { // empty data is an empty element here (6.4.3)
			response = encode(answer)
		}
		if err := n.l.write(`<response xmlns="` + nsSASL + `">` + response + `</response>`); err != nil {
			return err
		}
	}
	return n.abort(fmt.Errorf("%s: %w", name, errSteps))
}

// finish takes the server's success, which may carry its last word.
func finish(m mechanism, e *element) error {
	if !m.trusted() && strings.TrimSpace(e.text) != "" {
		data, err := decode(e.text)
		if err == nil {
			_, err = m.step(data)
		}
		if err != nil {
			return err
		}
	}
	if !m.trusted() {
		return errProof
	}
	return nil
}

// abort says that we give up and lets the server agree; why is what we return.
func (n *negotiation) abort(why error) error {
	if err := n.l.write(`<abort xmlns="` + nsSASL + `"/>`); err != nil {
		return why
	}
	end := time.Now().Add(abortTime)
	n.l.until = func() time.Time { return end }
	n.l.late = func(time.Time) error { return why }
	_, _ = n.l.next() // <failure><aborted/></failure>, or the end of the stream: the same to us
	return why
}

func failure(name string, e *element) error {
	out := &AuthError{Mechanism: name, Condition: "not-authorized"}
	for _, c := range e.children {
		switch {
		case c.Space != nsSASL:
		case c.Local == "text":
			out.Text = short(c.text)
		default:
			out.Condition = short(c.Local)
		}
	}
	return out
}

// bind asks for a resource (RFC 6120 7), and for another one if ours is taken.
func (n *negotiation) bind(features *element) (JID, error) {
	if features.child(nsBind, "bind") == nil {
		return JID{}, &ConfigError{errors.New("the server lets clients bind no resource")}
	}
	want := n.resource
	for {
		inner := ""
		if want != "" {
			inner = "<resource>" + escape(want) + "</resource>"
		}
		e, err := n.ask(`<bind xmlns="` + nsBind + `">` + inner + `</bind>`)
		if err != nil {
			return JID{}, err
		}
		if e.attr("type") == "result" {
			jid, ok := ParseJID(text(e.child(nsBind, "bind").child(nsBind, "jid")))
			if !ok || jid.Resource == "" {
				return JID{}, errors.New("the server's answer to bind has no JID")
			}
			return jid, n.session(features)
		}
		condition := stanzaError(e)
		if want == "" || condition == "not-allowed" || condition == "resource-constraint" {
			return JID{}, fmt.Errorf("the server gives us no resource: %s", condition)
		}
		want = "" // conflict, or it does not like the name: its own choice, then
	}
}

// session is a relic of RFC 3921; old servers insist on it.
func (n *negotiation) session(features *element) error {
	s := features.child(nsSession, "session")
	if s == nil || s.child(nsSession, "optional") != nil {
		return nil
	}
	e, err := n.ask(`<session xmlns="` + nsSession + `"/>`)
	if err == nil && e.attr("type") != "result" {
		err = fmt.Errorf("the server opens no session: %s", stanzaError(e))
	}
	return err
}

// ask sends an iq of type set and returns its result or error.
func (n *negotiation) ask(payload string) (*element, error) {
	id := newID()
	if err := n.l.send(`<iq type="set" id="`+id+`">`+payload+`</iq>`, false); err != nil {
		return nil, err
	}
	for {
		e, err := n.l.next()
		if err != nil {
			return nil, err
		}
		if t := e.attr("type"); e.is(nsClient, "iq") && e.attr("id") == id && (t == "result" || t == "error") {
			return e, nil
		}
	}
}

// stanzaError names the condition of an iq of type error.
func stanzaError(e *element) string {
	if c := e.child(nsClient, "error"); c != nil {
		for _, c := range c.children {
			if c.Space == nsStanzas && c.Local != "text" {
				return short(c.Local)
			}
		}
	}
	return "undefined-condition"
}

func text(e *element) string {
	if e == nil {
		return ""
	}
	return e.text
}

// newID is an id that nobody guesses, so that nobody else can answer.
func newID() string {
	var b [8]byte
	_, _ = rand.Read(b[:]) // never fails (crypto/rand)
	return hex.EncodeToString(b[:])
}
