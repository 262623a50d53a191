// The binding of P: which server is asked, when, and what follows from its
// answers (TR-069 G.2.1).

package nat

import (
	"fmt"
	"net/netip"
	"slices"
	"time"
)

// active tells whether there is somebody to ask and something to ask with.
func (m *machine) active() bool {
	return m.host != "" && m.local.IsValid() && m.local.Addr().Is4()
}

// server is who is asked now.
func (m *machine) server() netip.AddrPort {
	port := m.set.STUNServerPort
	if port == 0 {
		port = defaultPort
	}
	return netip.AddrPortFrom(m.servers[m.current], port)
}

// knownOf is what is remembered of a server.
func (m *machine) knownOf(server netip.AddrPort) *manners {
	k := m.manners[server]
	if k == nil {
		if len(m.manners) >= maxManners {
			clear(m.manners)
		}
		k = new(manners)
		m.manners[server] = k
	}
	return k
}

// dueBinding asks, asks again, and gives up.
func (m *machine) dueBinding(now time.Time) {
	if !m.active() {
		return
	}
	if m.question == nil && !m.next.IsZero() && !now.Before(m.next) && !m.resolving {
		m.askNow(now)
	}
	// Giving up may lead to the next question at once, at most one per server.
	for range 2 * maxServers {
		if m.question == nil {
			return
		}
		pkt, err := m.question.due(now)
		if pkt != nil {
			m.todo.send = append(m.todo.send, datagram{primary, m.question.server, pkt})
		}
		if err == nil {
			return
		}
		m.giveUp(err, now)
	}
}

// askNow begins the next question, or the look-up that must come before it. An
// address that has expired is good enough while a new one is looked up.
func (m *machine) askNow(now time.Time) {
	if len(m.servers) == 0 || !m.expires.IsZero() && !now.Before(m.expires) {
		m.resolving, m.todo.resolve = true, m.host
	}
	if len(m.servers) == 0 {
		return
	}
	m.ask(m.oweChange, now)
}

// ask puts the question. One with BINDING-CHANGE does not wait for the minimum
// period, and does not count for it.
func (m *machine) ask(change bool, now time.Time) {
	server := m.server()
	m.oweChange = change
	if !change {
		m.lastAsked = now
	}
	m.question = newQuestion(server, m.knownOf(server), ask{binding: true, change: change},
		m.set.STUNUsername, m.set.STUNPassword, true, now)
	m.next = time.Time{}
	m.status.Server = server
	if m.status.State == Resolving {
		m.status.State = Binding
	}
}

// looked takes the end of a look-up.
func (m *machine) looked(r resolution, now time.Time) {
	m.resolving = false
	if r.host != m.host || !m.active() {
		return // asked for something else meanwhile; Due looks again
	}
	var addrs []netip.Addr
	for _, a := range r.addrs.Addrs {
		if a = a.Unmap(); a.Is4() && len(addrs) < maxServers && !slices.Contains(addrs, a) {
			addrs = append(addrs, a)
		}
	}
	if r.err == nil && len(addrs) == 0 {
		r.err = fmt.Errorf("%s has no IPv4 address", r.host)
	}
	if r.err != nil {
		if len(m.servers) > 0 {
			m.expires = now.Add(resolveAgain)
			return
		}
		m.fail(r.err, now)
		return
	}
	m.expires = time.Time{}
	if !r.addrs.Expires.IsZero() {
		m.expires = now.Add(max(r.addrs.TTL, minTTL))
	}
	var old netip.Addr
	if len(m.servers) > 0 {
		old = m.servers[m.current]
	}
	m.servers = addrs
	m.current = slices.Index(addrs, old)
	if m.current < 0 {
		m.current, m.question, m.failed = 0, nil, 0
		m.ask(m.oweChange, now)
	}
}

// answered takes what the server says.
func (m *machine) answered(pkt []byte, now time.Time) {
	q := m.question
	mapped, done, err := q.receive(pkt, now)
	switch {
	case err != nil:
		m.giveUp(err, now)
	case done && !believable(mapped, m.local):
		m.giveUp(fmt.Errorf("%w: %s", errHostile, mapped), now)
	case done:
		m.question = nil
		m.mapped(q, mapped, now)
	}
}

// mapped takes our address as a server saw it.
func (m *machine) mapped(q *question, mapped netip.AddrPort, now time.Time) {
	st := &m.status
	before := st.Mapped
	known := m.via == q.server && before.IsValid()
	st.State, st.Mapped, st.Cookie, st.LastAnswer, st.Err = Bound, mapped, q.words.cookie, now, ""
	m.failed, m.pause, m.via, m.warnedAway = 0, 0, q.server, ""
	m.address(mapped != m.local, hostPort(mapped))
	m.next = m.earliest(now.Add(m.jitter(m.interval())), now)

	if mapped == before {
		if q.what.change {
			m.oweChange = false
		}
		m.lifetime.consider(m, now)
		return
	}
	m.log.Info("address seen by the STUN server", "mapped", mapped, "local", m.local, "server", q.server)
	if known && m.lifetime.measured() == 0 {
		// It expired while we were silent, as far as we can know: ask more often.
		m.guess = max(m.interval()/2, 10*time.Second)
		m.next = m.earliest(now.Add(m.jitter(m.interval())), now)
	}
	if before.IsValid() && before.Addr() != mapped.Addr() {
		m.lifetime.forget(m) // another NAT
	}
	if q.what.change { // again another one: the next question says so
		m.oweChange = true
		return
	}
	m.ask(true, now)
}

// giveUp ends a question that failed and turns to the next server, or waits
// when all have failed.
func (m *machine) giveUp(err error, now time.Time) {
	q := m.question
	m.question = nil
	if q.what.change {
		// It was said as often as anything is; the next question, without
		// BINDING-CHANGE, shows whether the server is still there.
		m.oweChange = false
		m.note(err)
		m.next = m.earliest(now.Add(m.interval()), now)
		return
	}
	if m.failed++; m.failed < len(m.servers) {
		m.note(err)
		m.current = (m.current + 1) % len(m.servers)
		m.ask(m.oweChange, now)
		return
	}
	if len(m.servers) > 0 {
		m.current = (m.current + 1) % len(m.servers)
	}
	m.expires = now // a server that failed may have moved
	m.fail(err, now)
}

// fail waits before the next question, longer each time up to the maximum
// period. What was last known of our address stays.
func (m *machine) fail(err error, now time.Time) {
	m.failed = 0
	m.note(err)
	m.status.State = Failing
	_, longest := m.bounds()
	m.pause = min(max(2*m.pause, firstPause), longest)
	m.next = m.earliest(now.Add(m.jitter(m.pause)), now)
}

// note keeps an error for the status, and logs the first of its kind.
func (m *machine) note(err error) {
	m.status.Err = err.Error()
	if m.warnedAway == m.status.Err {
		return
	}
	m.warnedAway = m.status.Err
	m.log.Warn("STUN server", "server", m.status.Server, "err", err)
}

// bounds are the two periods between which the keep-alive must lie; a maximum
// below the minimum does not count.
func (m *machine) bounds() (shortest, longest time.Duration) {
	shortest = time.Duration(m.set.STUNMinimumKeepAlivePeriod) * time.Second
	longest = noMaximum
	if m.set.STUNMaximumKeepAlivePeriod > 0 {
		longest = time.Duration(m.set.STUNMaximumKeepAlivePeriod) * time.Second
	}
	shortest = max(shortest, quickest)
	return shortest, max(longest, shortest)
}

// interval is how long to wait between two questions from P.
func (m *machine) interval() time.Duration {
	shortest, longest := m.bounds()
	want := unmeasured
	switch {
	case m.status.Mapped.IsValid() && m.status.Mapped == m.local:
		want = longest // no NAT: only a firewall's pinhole, and a change to be seen
	case m.lifetime.measured() > 0:
		want = m.lifetime.measured() * 9 / 10
	case m.guess > 0:
		want = m.guess
	}
	want = min(max(want, shortest), longest)
	m.status.KeepAlive, m.status.Lifetime = want, m.lifetime.measured()
	return want
}

// jitter takes up to a tenth off, so that a fleet that was switched on at once
// does not ask at once for ever.
func (m *machine) jitter(d time.Duration) time.Duration {
	return d - time.Duration(m.rand(int64(d/10)+1))
}

// earliest keeps a planned question behind the minimum period.
func (m *machine) earliest(at, now time.Time) time.Time {
	shortest, _ := m.bounds()
	for _, floor := range [...]time.Time{m.lastAsked.Add(shortest), now} {
		if at.Before(floor) {
			at = floor
		}
	}
	return at
}
