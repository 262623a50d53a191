package xmpp

import (
	"crypto/sha256"
	"crypto/subtle"
	"time"
)

// This file answers the stanzas that arrive on a bound stream. It has no
// connection and no clock: stanzas go in, answers come out.

// transport is our name with the guard.
const transport = "xmpp"

// Guard admits connection requests; [gatehouse/internal/guard.Guard] is one.
type Guard interface {
	Admit(transport, source string) (accepted func(), err error)
	Failed(transport, source string) (wait time.Duration)
}

// An answer is what one stanza calls for.
type answer struct {
	xml      string // "": nothing
	failure  bool   // it is of type error
	wait     time.Duration
	accepted func() // to be called when the answer is on the wire; may be nil
	request  Request
}

// responder knows who may ask and what to answer.
type responder struct {
	jid         JID
	allowed     func() []string
	credentials func() (username, password string)
	allowEmpty  bool
	guard       Guard
	serves      func() bool // nil: always
}

// handle answers one stanza: every iq of type get or set gets exactly one
// answer (RFC 6120 8.2.3), nothing else gets any.
func (r *responder) handle(e *element) answer {
	if kind := e.attr("type"); !e.is(nsClient, "iq") || kind != "get" && kind != "set" {
		return answer{}
	}
	var payload *element
	if len(e.children) > 0 {
		payload = e.children[0]
	}
	switch {
	case payload.is(nsPing, "ping"):
		return answer{xml: r.result(e)}
	case payload.is(nsConnReq, "connectionRequest"):
		return r.request(e, payload)
	}
	return r.refuse(e, "cancel", "503", "service-unavailable")
}

// request answers a connection request (TR-069 K.2.3). What it asks for happens
// once the answer is on the wire.
func (r *responder) request(e, payload *element) (a answer) {
	from := r.sender(e)
	source := from.Bare().String()
	outcome := Accepted
	defer func() { a.request = Request{From: source, Outcome: outcome} }()
	if r.serves != nil && !r.serves() {
		outcome = NotServed
		return r.refuse(e, "cancel", "503", "service-unavailable")
	}
	if !allowed(r.allowed(), from) {
		outcome = NotAllowed
		r.guard.Failed(transport, source)
		return r.refuse(e, "cancel", "503", "service-unavailable")
	}
	username, okUser := field(payload, "username")
	password, okPass := field(payload, "password")
	if !okUser || !okPass || !r.known(username, password) {
		outcome = WrongSecret
		a = r.refuse(e, "auth", "401", "not-authorized")
		a.wait = r.guard.Failed(transport, source)
		return a
	}
	accepted, err := r.guard.Admit(transport, source)
	if err != nil {
		outcome = TooMany
		return r.refuse(e, "cancel", "503", "service-unavailable")
	}
	return answer{xml: r.result(e), accepted: accepted}
}

// sender is who a stanza came from. Without from it is our own account
// (RFC 6120 8.1.2.1). What is no JID is nobody: no list names it.
func (r *responder) sender(e *element) JID {
	from := e.attr("from")
	if from == "" {
		return r.jid.Bare()
	}
	j, _ := ParseJID(from)
	return j
}

// field returns the text of a child, in the request's namespace or in none.
func field(payload *element, name string) (string, bool) {
	c := payload.child(nsConnReq, name)
	if c == nil {
		c = payload.child("", name)
	}
	return text(c), c != nil
}

// known compares in constant time, and both whatever the first says.
func (r *responder) known(username, password string) bool {
	wantUser, wantPass := r.credentials()
	if wantPass == "" && !r.allowEmpty {
		return false
	}
	same := func(a, b string) int {
		x, y := sha256.Sum256([]byte(a)), sha256.Sum256([]byte(b))
		return subtle.ConstantTimeCompare(x[:], y[:])
	}
	return same(username, wantUser)&same(password, wantPass) == 1
}

// head opens an answer: same id, from and to swapped.
func (r *responder) head(e *element, kind string) string {
	s := `<iq type="` + kind + `" id="` + escape(e.attr("id")) + `" from="` + escape(r.jid.String()) + `"`
	if from := e.attr("from"); from != "" {
		s += ` to="` + escape(from) + `"`
	}
	return s
}

func (r *responder) result(e *element) string { return r.head(e, "result") + "/>" }

// refuse does not repeat the request, which may hold a password. The error is
// the first child and its condition the error's: ACSes look there and no further.
func (r *responder) refuse(e *element, kind, code, condition string) answer {
	return answer{
		xml: r.head(e, "error") + `><error type="` + kind + `" code="` + code + `"><` + condition +
			` xmlns="` + nsStanzas + `"/></error></iq>`,
		failure: true,
	}
}
