package xmpp

import (
	"context"
	"errors"
	"net/netip"
	"time"

	verify "gatehouse/internal/trust"
)

// This file keeps the connection: attempt after attempt, with the waits between
// them that the model's parameters ask for.

// gap is the least time between the beginnings of two attempts, whoever pokes.
const gap = 2 * time.Second

// upWait is how long after a change of the network the end of a connection is
// its doing.
const upWait = maxMissed*probeWait + 5*time.Second

var errSlow = errors.New("the server takes too long to let us in")

// outage is what we know of the time since the connection last was good.
type outage struct {
	search
	lost    int    // times that it was lost, or that no address was found
	refused int    // times that the server did not take what we are
	logged  string // the last error, so that the same is logged once
}

// keep attempts and waits until the parameters are others or ctx ends.
func (c *Client) keep(ctx context.Context, p Params) {
	var o outage
	if j, ok := ParseJID(c.board.read().JID); ok && !mine(p, j) { // of another account: nobody answers there any more
		c.board.write(func(s *Status) { s.JID = "" })
	}
	for {
		if c.pause(p, time.Until(c.began.Add(gap)), false) == ended {
			return
		}
		c.began = time.Now()
		n, full := c.once(ctx, &p, &o)
		if c.taken&urgent != 0 {
			if p = c.adopt(p); c.taken&urgent != 0 {
				return
			}
		}
		if n == 0 {
			continue
		}
		wait := c.retry.wait(p, n, full)
		c.board.write(func(s *Status) { s.NextTry, s.Tries = time.Now().Add(wait), s.Tries+1 })
		switch c.pause(p, wait, o.refused == 0) {
		case ended:
			return
		case cutShort: // everything may be better now
			o = outage{}
		}
	}
}

// adopt answers a poke that parameters may have changed: when they have not,
// it is forgotten.
func (c *Client) adopt(p Params) Params {
	if c.taken&pokeChanged == 0 {
		return p
	}
	if q := c.cfg.Params(); p.same(q) {
		c.taken &^= pokeChanged
		return q
	}
	return p
}

// How a pause came to its end.
type waited uint8

const (
	elapsed  waited = iota
	cutShort        // the network came up
	ended           // parameters are others, or Run is to end
)

// pause waits. The network coming up cuts it short where it may.
func (c *Client) pause(p Params, wait time.Duration, short bool) waited {
	until := time.Now().Add(wait)
	for {
		c.sleep(until)
		if c.taken&pokeChanged != 0 {
			if q := c.cfg.Params(); p.same(q) && p.pace() == q.pace() {
				c.taken &^= pokeChanged
			}
		}
		up := c.taken&pokeUp != 0
		if c.taken&urgent != 0 {
			return ended
		}
		c.taken = 0
		switch {
		case up && short:
			return cutShort
		case !time.Now().Before(until):
			return elapsed
		}
	}
}

// once makes one attempt and returns which wait comes next (0: none), and
// whether all of it is to be waited.
func (c *Client) once(ctx context.Context, p *Params, o *outage) (n int, full bool) {
	c.board.write(func(s *Status) { s.State, s.NextTry = Connecting, time.Time{} })
	t, err := c.find(ctx, *p, o)
	c.taken |= c.bell.take()
	switch {
	case err != nil && c.taken&urgent != 0:
		return 0, false
	case errors.Is(err, errSpent):
		c.board.write(func(s *Status) { s.State = ServerNotPresent })
		return o.round(*p), false
	case err != nil:
		o.lost++
		o.moved = host{}
		c.failed(o, stateOf(err, ServerNotPresent), err)
		return o.lost, false
	}
	c.board.write(func(s *Status) { s.Server = t.String() })
	held, err := c.attempt(ctx, p, t)
	if c.taken |= c.bell.take(); c.taken&urgent != 0 {
		return 0, false
	}
	if held > 0 {
		return c.dropped(*p, o, held, err)
	}
	return c.rejected(*p, o, t, err)
}

// find looks for the address of the next attempt.
func (c *Client) find(ctx context.Context, p Params, o *outage) (target, error) {
	ctx, cancel := context.WithTimeout(ctx, negotiateTime)
	defer cancel()
	c.bell.attempting(cancel)
	defer c.bell.attempting(nil)
	return c.pick(ctx, p, &o.search)
}

// dropped deals with the end of a connection that stood. One that stood long
// enough begins a new outage.
func (c *Client) dropped(p Params, o *outage, held time.Duration, err error) (n int, full bool) {
	if held > ceiling(p, 1) {
		*o = outage{}
	}
	o.lost++
	if h, ok := sentOn(err, o.search.last.direct); ok && o.moves < maxMoves {
		o.moved = h
		o.moves++
		return 0, false
	}
	o.moved = host{}
	c.failed(o, Connecting, err)
	if time.Since(c.up) < upWait { // not the server's trouble: all others are still with it
		return 0, false
	}
	var said *StreamError
	// Who took our resource wants it as much as we do: no hurry.
	return o.lost, errors.As(err, &said) && said.Condition == "conflict"
}

// rejected deals with an attempt that did not end bound.
func (c *Client) rejected(p Params, o *outage, t target, err error) (n int, full bool) {
	if h, ok := sentOn(err, t.direct); ok && o.moves < maxMoves {
		o.moved = h
		o.moves++
		return 0, false
	}
	o.moved, o.moves = host{}, 0
	state := stateOf(err, Failed)
	var unreachable *dialError
	if errors.As(err, &unreachable) {
		state = ServerNotPresent
	}
	c.failed(o, state, err)
	if state == AuthFailure || state == Misconfigured { // other addresses will say the same
		o.refused++
		return authStart - 1 + o.refused, false
	}
	return o.failure(p), false
}

// sentOn returns where a server sends us.
func sentOn(err error, direct bool) (host, bool) {
	var said *StreamError
	if !errors.As(err, &said) || said.Condition != "see-other-host" {
		return host{}, false
	}
	return hostPort(said.Other, direct)
}

// stateOf says in TR-181's words what an error means.
func stateOf(err error, otherwise State) State {
	var auth *AuthError
	var config *ConfigError
	var said *StreamError
	switch {
	case errors.As(err, &auth) && auth.Condition != "temporary-auth-failure" && auth.Condition != "aborted":
		return AuthFailure
	case errors.As(err, &config), errors.Is(err, errUnknownAlgorithm):
		return Misconfigured
	case errors.As(err, &said) && (said.Condition == "host-unknown" || said.Condition == "host-gone"):
		return Misconfigured
	}
	return otherwise
}

// failed notes and logs what went wrong, the same once.
func (c *Client) failed(o *outage, state State, err error) {
	c.board.write(func(s *Status) {
		s.State = state
		s.fail(err)
	})
	if text := err.Error(); text != o.logged {
		o.logged = text
		c.cfg.Log.Warn("no XMPP connection", "state", string(state), "err", err)
	}
}

// A dialError says that an address does not answer at all.
type dialError struct{ err error }

func (e *dialError) Error() string { return e.err.Error() }
func (e *dialError) Unwrap() error { return e.err }

// attempt connects, negotiates and stays. held is how long it was bound; 0:
// never. The error is why it ended.
func (c *Client) attempt(ctx context.Context, p *Params, t target) (held time.Duration, err error) {
	ctx, cancel := context.WithTimeout(ctx, negotiateTime)
	defer cancel()
	c.bell.attempting(cancel)
	defer c.bell.attempting(nil)
	l, err := c.connect(ctx, t)
	if err != nil {
		return 0, err
	}
	defer func() { l.close(farewell(err)) }()
	n := &negotiation{l: l, p: *p, direct: t.direct, resource: c.resource(*p), trust: c.cfg.Trust}
	jid, err := n.run(ctx)
	if err != nil {
		return 0, err
	}
	c.bell.attempting(nil) // from here on the bell ends a read
	began := time.Now()
	c.board.write(func(s *Status) {
		s.State, s.JID, s.TLS, s.Mechanism, s.Tries = Enabled, jid.String(), l.secured != nil, n.mechanism, 0
	})
	c.cfg.Log.Info("XMPP connection", "jid", jid, "server", t.String(), "tls", l.secured != nil, "mechanism", n.mechanism)
	err = c.stay(p, l, jid)
	c.board.write(func(s *Status) { s.State, s.TLS, s.Mechanism = Connecting, false, "" })
	return max(time.Since(began), 1), err
}

func (c *Client) connect(ctx context.Context, t target) (*link, error) {
	dial, cancel := context.WithTimeout(ctx, connectTime)
	defer cancel()
	conn, err := c.cfg.Dial(dial, "tcp", netip.AddrPortFrom(t.addr, t.port).String())
	if err != nil {
		return nil, &dialError{err}
	}
	l := newLink(conn, &c.bell, c.board.count)
	end := time.Now().Add(negotiateTime)
	l.until = func() time.Time { return end }
	l.late = func(now time.Time) error {
		switch c.taken |= c.bell.take(); {
		case c.taken&urgent != 0:
			return errOver
		case !now.Before(end):
			return errSlow
		}
		return nil
	}
	return l, nil
}

// resource is what to ask for: the same as before, so that our address, which
// the ACS was told, stays what it is.
func (c *Client) resource(p Params) string {
	if p.Resource != "" {
		return p.Resource
	}
	had, _ := ParseJID(c.board.read().JID)
	if mine(p, had) {
		return had.Resource
	}
	return ""
}

// mine reports whether a JID is of the account that is configured.
func mine(p Params, j JID) bool {
	account, _ := ParseJID(p.Username + "@" + p.Domain)
	return j.Bare() == account
}

// stay answers on a bound connection until it ends.
func (c *Client) stay(p *Params, l *link, jid JID) error {
	b := &bound{
		l:      l,
		domain: p.Domain,
		alive:  keepalive{every: p.age()},
		r: responder{
			jid: jid, allowed: c.cfg.Allowed, credentials: c.cfg.Credentials,
			allowEmpty: c.cfg.AllowEmpty, guard: c.cfg.Guard, serves: c.cfg.Serves,
		},
	}
	b.poked = func() error { return c.poked(p, b) }
	return b.run()
}

// poked acts on what others want of a connection that stands.
func (c *Client) poked(p *Params, b *bound) error {
	if c.taken |= c.bell.take(); c.taken == 0 {
		return nil
	}
	*p = c.adopt(*p)
	if c.taken&urgent != 0 {
		return errOver
	}
	b.alive.every = p.age()
	if c.taken&pokeUp != 0 {
		b.alive.check()
		c.up = time.Now()
	}
	clock := c.taken&pokeClock != 0
	c.taken = 0
	if !clock || b.l.unset == nil {
		return nil
	}
	trust, err := c.cfg.Trust()
	if err != nil || trust.Now.IsZero() {
		return err
	}
	certs := b.l.unset
	b.l.unset = nil
	return verify.Verify([]string{p.Domain}, certs, trust.Roots, trust.Now, true)
}

// farewell is what to send at the end of a stream: "" when the server closed
// it, or there is nobody to read it.
func farewell(err error) string {
	const end = "</stream:stream>"
	condition := ""
	switch {
	case errors.Is(err, errOver), errors.Is(err, errClosed):
		return end
	case skipped(err), errors.Is(err, errEndless):
		condition = "policy-violation"
	case errors.Is(err, errForbid):
		condition = "restricted-xml"
	case errors.Is(err, errText):
		condition = "bad-format"
	default:
		var said *StreamError
		var auth *AuthError
		var config *ConfigError
		if errors.As(err, &said) || errors.As(err, &auth) || errors.As(err, &config) {
			return end
		}
		return ""
	}
	return "<stream:error><" + condition + ` xmlns="` + nsStreams + `"/></stream:error>` + end
}
