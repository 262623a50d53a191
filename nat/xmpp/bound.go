package xmpp

import (
	"errors"
	"time"
)

// errDead says that the server does not answer any more.
var errDead = errors.New("the server has not answered two pings")

// errOver says that the connection is to end because somebody here wants it.
var errOver = errors.New("to be closed")

// maxDelayed bounds the answers to wrong passwords that wait for their time.
const maxDelayed = 8

// bound is a connection on which requests can arrive. It sleeps in a read
// until the server sends, a deadline comes or the bell rings.
type bound struct {
	l       *link
	r       responder
	alive   keepalive
	domain  string
	delayed []delayed
	// poked tells what others want, and returns errOver when that ends us.
	poked func() error
}

type delayed struct {
	at  time.Time
	xml string
}

// run returns why the connection ended.
func (b *bound) run() error {
	b.alive.sent = time.Now()
	b.l.until, b.l.late = b.next, b.tick
	b.l.wrote = func(now time.Time) { b.alive.sent = now }
	b.l.in.blank = b.alive.heard
	for {
		e, err := b.l.next()
		switch {
		case skipped(err):
			b.l.count(func(s *Stats) { s.Received, s.Skipped = s.Received+1, s.Skipped+1 })
		case err != nil:
			return err
		default:
			err = b.answer(b.r.handle(e))
		}
		if err != nil && !skipped(err) {
			return err
		}
		b.alive.heard()
		if err := b.tick(time.Now()); err != nil { // a server that never pauses is no reason to starve the rest
			return err
		}
	}
}

func (b *bound) answer(a answer) error {
	if a.xml == "" {
		return nil
	}
	if a.request.Outcome != "" {
		a.request.At = time.Now()
		b.l.count(func(s *Stats) {
			if s.Request = a.request; a.request.Outcome != Accepted {
				s.Refused = a.request
			}
		})
	}
	if a.wait > 0 && len(b.delayed) < maxDelayed {
		b.delayed = append(b.delayed, delayed{time.Now().Add(a.wait), a.xml})
		return nil
	}
	if err := b.l.send(a.xml, a.failure); err != nil {
		return err
	}
	if a.accepted != nil {
		a.accepted()
	}
	return nil
}

// next is when tick has something to do.
func (b *bound) next() time.Time {
	t := b.alive.next()
	for _, d := range b.delayed {
		if t.IsZero() || d.at.Before(t) {
			t = d.at
		}
	}
	return t
}

// tick does what is due.
func (b *bound) tick(now time.Time) error {
	if err := b.poked(); err != nil {
		return err
	}
	kept := b.delayed[:0]
	for _, d := range b.delayed {
		if d.at.After(now) {
			kept = append(kept, d)
			continue
		}
		if err := b.l.send(d.xml, true); err != nil {
			return err
		}
	}
	b.delayed = kept
	switch b.alive.due(now) {
	case dead:
		return errDead
	case space:
		return b.l.write(" ")
	case ping:
		return b.l.send(`<iq type="get" id="`+newID()+`" to="`+escape(b.domain)+`"><ping xmlns="`+nsPing+`"/></iq>`, false)
	}
	return nil
}
