// One question to a STUN server: sent again until it is answered, in other
// words when the server asks for that, and given up in the end.

package nat

import (
	"errors"
	"fmt"
	"net/netip"
	"time"
)

// Errors of a question.
var (
	errSilent      = errors.New("no answer")
	errNoSecret    = errors.New("the server wants credentials, and there are none")
	errLongTerm    = errors.New("the server wants long-term credentials, which TR-069 does not know")
	errCredentials = errors.New("the server does not take our credentials")
	errHostile     = errors.New("the server maps us to an impossible address")
	errUnverified  = errors.New("answers without a valid MESSAGE-INTEGRITY")
)

// A refusal is an error response that no other words help against.
type refusal struct {
	code   int
	reason string
}

func (r *refusal) Error() string { return fmt.Sprintf("refused: %d %.64q", r.code, r.reason) }

// When a question is sent again, and after the last time given up. Classic:
// RFC 3489 9.3, nine times in 7.9 s, over after 9.5 s. With the cookie RFC 5389
// 7.2.1 with Rc=5: there are other servers to be asked, and half a minute more
// patience finds nobody.
var (
	classicWaits = [...]time.Duration{100, 200, 400, 800, 1600, 1600, 1600, 1600, 1600}
	cookieWaits  = [...]time.Duration{500, 1000, 2000, 4000, 8000}
)

// maxWords is in how many different words one thing is asked at most.
const maxWords = 8

// manners are what is remembered of a server.
type manners struct {
	cookie bool    // answers to ids with the cookie only
	known  bool    // and we know it: it has answered
	sign   flavour // that it took last; unsigned: never needed one
	noName bool    // refuses USERNAME
	zero   bool    // wants it padded with zero bytes
	deaf   bool    // answers to the sender, whatever RESPONSE-ADDRESS says
}

// words is in which words something is asked.
type words struct {
	cookie, name, zero bool
	sign               flavour
}

// A question is one Binding Request under way.
type question struct {
	server   netip.AddrPort
	what     ask // without id and words
	username string
	key      Secret

	words      words
	manners    *manners
	tried      [flavours]bool
	asked      int  // in how many words
	otherMode  bool // the other kind of id has been tried, too
	unverified bool // answers came that were not signed well

	raw  []byte
	sent int
	next time.Time // when to send again, or to give up
}

// newQuestion prepares to ask. The name goes with it at once when it is to
// (TR-069 G.2.1.1); a signature only after a challenge, because one kills
// freeacs' receiver.
func newQuestion(server netip.AddrPort, m *manners, what ask, username string, key Secret, withName bool, now time.Time) *question {
	q := &question{server: server, what: what, username: username, key: key, manners: m}
	q.say(words{cookie: m.cookie, name: withName && username != "" && !m.noName, zero: m.zero}, now)
	return q
}

// say puts the question in other words, to be sent at once.
func (q *question) say(w words, now time.Time) {
	q.words = w
	q.asked++
	q.tried[w.sign] = true
	a := q.what
	a.id, a.zeroPad, a.sign, a.key = newID(w.cookie), w.zero, w.sign, q.key
	if w.name {
		a.username = q.username
	}
	q.what.id = a.id
	q.raw, q.sent, q.next = a.encode(), 0, now
}

// due returns what is to be sent now, if anything, or an error when it is time
// to give up.
func (q *question) due(now time.Time) (pkt []byte, err error) {
	if now.Before(q.next) {
		return nil, nil
	}
	waits := classicWaits[:]
	if q.words.cookie {
		waits = cookieWaits[:]
	}
	if q.sent < len(waits) {
		q.next = now.Add(waits[q.sent] * time.Millisecond)
		q.sent++
		return q.raw, nil
	}
	if q.unverified {
		return nil, errUnverified
	}
	if q.what.response.IsValid() { // silence is what such a question is about
		return nil, errSilent
	}
	if !q.manners.known && !q.otherMode {
		q.otherMode = true
		q.say(words{cookie: !q.words.cookie, name: q.words.name, zero: q.words.zero}, now)
		q.tried = [flavours]bool{}
		return q.due(now)
	}
	q.manners.known = false // it may be another server behind the same address
	return nil, errSilent
}

// receive takes a datagram from the server. It is done with a mapped address
// or an error, or not done: not an answer to this, or there are other words to
// be tried.
func (q *question) receive(pkt []byte, now time.Time) (mapped netip.AddrPort, done bool, err error) {
	a, err := decode(pkt, q.what.id, q.key)
	if errors.Is(err, errNotAnswer) {
		return mapped, false, nil
	}
	if err != nil && !errors.Is(err, errNoMapping) {
		return mapped, false, nil // damaged: the next copy may be better
	}
	if a.code != 0 {
		return mapped, false, q.refused(a, now)
	}
	if q.words.sign != unsigned && !a.verified { // RFC 3489 9.3: as if it had not come
		q.unverified = true
		return mapped, false, nil
	}
	if err != nil {
		return mapped, false, err
	}
	q.manners.known, q.manners.cookie, q.manners.zero = true, q.words.cookie, q.words.zero
	if q.words.sign != unsigned {
		q.manners.sign = q.words.sign
	}
	return a.mapped, true, nil
}

// refused finds other words after an error response; the error says that there
// are none.
func (q *question) refused(a answer, now time.Time) error {
	if q.asked >= maxWords {
		return &refusal{a.code, a.reason}
	}
	w := q.words
	named := w.name
	switch a.code {
	case 401, 430, 431, 432, 436:
		if q.username == "" || q.key == "" {
			return errNoSecret
		}
		if a.code == 436 && named && !w.cookie && !w.zero && len(q.username)%4 != 0 {
			w.zero = true // unknown user: it may not have expected blanks
			q.say(w, now)
			return nil
		}
		if a.code == 432 && !named {
			w.name = true
			q.say(w, now)
			return nil
		}
		if a.code == 430 || a.code == 432 || a.code == 436 {
			return errCredentials
		}
		return q.sign(a, now)
	case 420:
		if named && w.sign == unsigned && !q.what.response.IsValid() {
			w.name, q.manners.noName = false, true
			q.say(w, now)
			return nil
		}
	case 400:
		if w.sign != unsigned {
			return q.sign(a, now)
		}
	}
	return &refusal{a.code, a.reason}
}

// sign asks once more, signed: as the server liked it last, else as the id has
// it, else in the flavours that are left.
func (q *question) sign(a answer, now time.Time) error {
	likely := rfc3489
	if q.words.cookie {
		likely = rfc5389
	}
	for _, f := range [...]flavour{q.manners.sign, likely, rfc3489, variant, rfc5389} {
		if f != unsigned && !q.tried[f] {
			w := q.words
			w.name, w.sign = true, f
			q.say(w, now)
			return nil
		}
	}
	if a.longTerm {
		return errLongTerm
	}
	return errCredentials
}
