package xmpp

import (
	"time"
)

// How a connection is found dead.
const (
	pongWait   = 30 * time.Second // for the answer to a ping
	probeWait  = 10 * time.Second // the same, when the network has just changed
	maxMissed  = 2                // pings in a row without an answer
	pingPace   = 60 * time.Second // pings are no closer than this; a space fills in between
	defaultAge = 240 * time.Second
)

// keepalive decides when to send what, so that mappings of NATs on the way stay
// and a dead connection is noticed. It has no clock of its own.
//
// A ping (XEP-0199) proves that the server is there; a space (RFC 6120 4.6.1)
// costs a byte and no answer, and does where a short interval is asked for.
type keepalive struct {
	every  time.Duration // of silence on our side; 0: never
	sent   time.Time     // our last byte
	pinged time.Time     // our last ping
	asking bool          // it has no answer
	wait   time.Duration // for the answer
	missed int
	probe  bool // ping now
}

// A beat is what keepalive wants done.
type beat uint8

const (
	quiet beat = iota
	space
	ping
	dead
)

// next is when due has something to say; zero: never.
func (k *keepalive) next() time.Time {
	switch {
	case k.asking:
		return k.pinged.Add(k.wait)
	case k.probe:
		return k.sent
	case k.every > 0:
		return k.sent.Add(k.every)
	}
	return time.Time{}
}

// due says what to do at a time, and counts on it being done.
func (k *keepalive) due(now time.Time) beat {
	t := k.next()
	if t.IsZero() || now.Before(t) {
		return quiet
	}
	if k.asking {
		if k.missed++; k.missed >= maxMissed {
			return dead
		}
	} else {
		if !k.probe && k.every < pingPace && now.Sub(k.pinged) < pingPace {
			k.sent = now
			return space
		}
		k.wait = pongWait
		if k.probe {
			k.wait = probeWait
		}
	}
	k.asking, k.probe, k.pinged, k.sent = true, false, now, now
	return ping
}

// heard notes that the server is alive.
func (k *keepalive) heard() { k.asking, k.missed = false, 0 }

// check asks for a ping at once: the network may be another one.
func (k *keepalive) check() {
	k.probe, k.asking, k.missed = true, false, 0
}
