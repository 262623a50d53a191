// How long the NAT keeps a mapping that nobody uses (TR-069 G.2.1.2, RFC 3489
// 10.2), measured on a pair of scratch sockets, so that connection requests
// reach P meanwhile. One of them, P', asks the server and is then silent; the
// other, S, asks the server to answer to the mapping of P'. If the answer
// arrives at P', the mapping still lived.

package nat

import (
	"net/netip"
	"time"
)

const (
	measureEvery = 24 * time.Hour
	measureFor   = 2 * time.Hour    // at most
	firstTrial   = 15 * time.Second // or the minimum period: no NAT is known to forget sooner
	resolutionOf = 5 * time.Second  // of the result
)

type phase uint8

const (
	idle    phase = iota
	opening       // waiting for the sockets
	mapping       // P' asks
	silent        // P' lets its mapping age
	probing       // S asks
)

// A lifetime is the search for it.
type lifetime struct {
	phase     phase
	low, high time.Duration // longest that held, shortest that did not; 0: none
	trial     time.Duration // of now; the first, 0, shows whether the server plays along
	result    time.Duration // 0: not known
	began     time.Time
	ended     time.Time // zero: never
	server    netip.AddrPort
	question  *question
	mapped    netip.AddrPort // of P'
	until     time.Time
}

// measured is the longest silence that a mapping outlived; 0: not known.
func (l *lifetime) measured() time.Duration { return l.result }

// forget starts over: another NAT, another server, other bounds.
func (l *lifetime) forget(m *machine) {
	m.todo.close = m.todo.close || l.phase != idle
	m.todo.open = false
	*l = lifetime{}
	m.status.Measuring, m.status.Lifetime = false, 0
}

// consider begins a search when there is something to find: a NAT, room
// between the bounds, and a server that may know RESPONSE-ADDRESS, which RFC
// 5389 took out.
func (l *lifetime) consider(m *machine, now time.Time) {
	shortest, longest := m.bounds()
	server := m.server()
	known := m.knownOf(server)
	if l.phase != idle || shortest == longest || !m.status.NATDetected || known.cookie || known.deaf ||
		!l.ended.IsZero() && now.Sub(l.ended) < measureEvery {
		return
	}
	*l = lifetime{phase: opening, result: l.result, server: server, began: now}
	m.todo.open, m.status.Measuring = true, true
}

// opened says that the sockets are there.
func (l *lifetime) opened(m *machine, err error, now time.Time) {
	if l.phase != opening {
		return
	}
	if err != nil {
		l.end(m, now)
		return
	}
	l.try(m, 0, now)
}

// try begins a trial: P' asks, without CONNECTION-REQUEST-BINDING, for it is
// not where requests should go.
func (l *lifetime) try(m *machine, trial time.Duration, now time.Time) {
	l.phase, l.trial = mapping, trial
	l.question = newQuestion(l.server, m.knownOf(l.server), ask{changeRequest: true},
		m.set.STUNUsername, m.set.STUNPassword, false, now)
}

// probe lets S ask.
func (l *lifetime) probe(m *machine, now time.Time) {
	l.phase = probing
	l.question = newQuestion(l.server, m.knownOf(l.server), ask{changeRequest: true, response: l.mapped},
		m.set.STUNUsername, m.set.STUNPassword, false, now)
}

// due does what is due and returns when there is more; zero: nothing.
func (l *lifetime) due(m *machine, now time.Time) time.Time {
	if l.phase == silent && !now.Before(l.until) {
		l.probe(m, now)
	}
	if l.phase == mapping || l.phase == probing {
		pkt, err := l.question.due(now)
		at := scratch
		if l.phase == probing {
			at = prober
		}
		if pkt != nil {
			m.todo.send = append(m.todo.send, datagram{at, l.server, pkt})
		}
		if err != nil {
			l.unanswered(m, err, now)
			return l.due(m, now)
		}
		return l.question.next
	}
	if l.phase == silent {
		return l.until
	}
	return time.Time{}
}

// unanswered ends a question without an answer: for a probe that is one, too.
func (l *lifetime) unanswered(m *machine, err error, now time.Time) {
	if l.phase == probing && l.trial > 0 && err == errSilent {
		l.high = l.trial
		l.more(m, now)
		return
	}
	if l.phase == probing {
		m.knownOf(l.server).deaf = true
	}
	l.end(m, now)
}

// receive takes what came to P' or S, and tells whether it was meant.
func (l *lifetime) receive(m *machine, at place, pkt []byte, id transactionID, from netip.AddrPort, now time.Time) bool {
	q := l.question
	if l.phase != mapping && l.phase != probing || q == nil || from != l.server || id != q.what.id || l.phase == mapping && at != scratch {
		return false
	}
	mapped, done, err := q.receive(pkt, now)
	switch {
	case err != nil:
		l.unanswered(m, err, now)
	case !done:
	case l.phase == mapping && !believable(mapped, m.local):
		l.end(m, now)
	case l.phase == mapping:
		l.mapped, l.question = mapped, nil
		l.phase, l.until = silent, now.Add(l.trial)
	case at == prober: // the server answers to who asks, as coturn does
		m.knownOf(l.server).deaf = true
		l.end(m, now)
	default:
		l.low = l.trial
		l.more(m, now)
	}
	return true
}

// more begins the next trial, or ends with a result.
func (l *lifetime) more(m *machine, now time.Time) {
	shortest, longest := m.bounds()
	next, ok := l.nextTrial(shortest, longest)
	if ok && now.Sub(l.began)+next <= measureFor {
		l.try(m, next, now)
		return
	}
	// When even the minimum is too long there is nothing better.
	l.result = max(l.low, shortest)
	m.log.Info("the NAT keeps a silent mapping", "for", l.result, "too long", l.high)
	l.end(m, now)
}

// nextTrial doubles until it is too long, and then halves the gap.
func (l *lifetime) nextTrial(shortest, longest time.Duration) (time.Duration, bool) {
	low := max(l.low, shortest)
	switch {
	case l.high == 0 && l.low == 0:
		return min(max(shortest, firstTrial), longest), true
	case l.high == 0:
		return min(2*low, longest), low < longest
	}
	return low + (l.high-low)/2, l.high-low > resolutionOf
}

// end closes the sockets and lets the keep-alive follow what was found.
func (l *lifetime) end(m *machine, now time.Time) {
	l.phase, l.question, l.ended = idle, nil, now
	m.todo.open, m.todo.close, m.status.Measuring = false, true, false
	if m.question == nil && !m.next.IsZero() && m.failed == 0 {
		m.next = m.earliest(m.lastAsked.Add(m.jitter(m.interval())), now)
	}
}
