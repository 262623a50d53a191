// Package xmpp keeps one connection to an XMPP server, so that an ACS can ask a
// CPE behind NAT for a session (TR-069 Annex K): a small client of RFC 6120 that
// binds a resource, stays connected, and answers connection requests.
//
// One goroutine owns the connection. It sleeps in a read whose deadline is the
// earliest thing that is due; others only ring a bell. Everything that a server
// sends is bounded before it is kept, and nothing of it starts a process, names
// a file or is logged when it may hold a secret.
package xmpp

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"net"
	"slices"
	"strconv"
	"strings"
	"time"

	"gatehouse/internal/endpoint"
)

// A Secret is not printed.
type Secret string

func (Secret) String() string       { return "***" }
func (Secret) GoString() string     { return "***" }
func (Secret) LogValue() slog.Value { return slog.StringValue("***") }

// A Server is a row of Device.XMPP.Connection.{i}.Server.
type Server struct {
	Enable   bool
	Priority uint32 // the lowest first
	Weight   int64  // -1: none
	Address  string // name or address
	Port     uint16
}

// Params are a row of Device.XMPP.Connection.{i}., and what of the agent's
// settings counts for it.
type Params struct {
	Enable    bool
	Username  string // of the account: the local part, and the name to authenticate with
	Password  Secret
	Domain    string
	Resource  string // to ask for; "": the one that we had before, else the server's choice
	Algorithm string // ServerConnectAlgorithm: DNS-SRV, DNS or ServerTable
	Servers   []Server
	UseTLS    bool // false: only where the server insists, or nothing else is safe

	KeepAlive       int64  // KeepAliveInterval in seconds; -1: 240, 0: none
	Attempts        uint32 // ServerConnectAttempts at one address; 0: once at each
	RetryInitial    uint32 // ServerRetryInitialInterval, seconds
	RetryMultiplier uint32 // ServerRetryIntervalMultiplier, thousandths
	RetryMax        uint32 // ServerRetryMaxInterval, seconds

	DirectTLS    bool // TLS from the first byte where DNS does not tell (XEP-0368)
	DigestMD5    bool // DIGEST-MD5 may be used where there is no SCRAM
	PlainInClear bool // PLAIN may be used without TLS
}

// same reports whether a connection made with p is good for q.
func (p Params) same(q Params) bool {
	return slices.Equal(p.Servers, q.Servers) && p.Enable == q.Enable && p.Username == q.Username && p.Password == q.Password && p.Domain == q.Domain &&
		p.Resource == q.Resource && p.Algorithm == q.Algorithm && p.UseTLS == q.UseTLS && p.DirectTLS == q.DirectTLS &&
		p.DigestMD5 == q.DigestMD5 && p.PlainInClear == q.PlainInClear
}

// pace is what of the parameters says how to wait.
func (p Params) pace() [4]uint32 {
	return [4]uint32{p.Attempts, p.RetryInitial, p.RetryMultiplier, p.RetryMax}
}

// check reports what makes any attempt useless.
func (p Params) check() error {
	j, ok := ParseJID(p.Username + "@" + p.Domain)
	switch {
	case p.Domain == "":
		return errors.New("no Domain is configured")
	case p.Username == "":
		return errors.New("no Username is configured")
	case !ok || j.Resource != "":
		return errors.New("the Username and Domain make no JID")
	}
	return nil
}

// age is how long we stay silent before a keep-alive.
func (p Params) age() time.Duration {
	if p.KeepAlive < 0 {
		return defaultAge
	}
	return time.Duration(min(p.KeepAlive, 1<<31-1)) * time.Second
}

// Config is what a Client needs of its agent. The functions are called on the
// goroutine of Run and must not block.
type Config struct {
	// Params returns the connection's parameters as they are now.
	Params func() Params
	// Allowed is ManagementServer.ConnReqAllowedJabberIDs, one JID an element.
	Allowed func() []string
	// Credentials are ConnectionRequestUsername and ConnectionRequestPassword.
	Credentials func() (username, password string)
	// AllowEmpty lets requests in without a password when none is configured.
	AllowEmpty bool
	// Serves reports whether ConnReqXMPPConnection points at this connection:
	// on others no request is taken. nil: always.
	Serves func() bool
	// Guard admits the authenticated requests.
	Guard Guard

	Resolver Resolver
	Dial     endpoint.DialFunc     // tcp to literal addresses
	Trust    func() (Trust, error) // for each TLS handshake
	Rand     func(n int64) int64   // in [0,n); nil: math/rand
	Log      *slog.Logger          // nil: silent
	Changed  func(now Status)      // the status is another one, counters apart; may be nil
	JID      string                // what we were bound to in the life before; "": nothing
}

// connectTime bounds one attempt to connect to one address.
const connectTime = 10 * time.Second

// A Client keeps one connection. Its methods may be called by any goroutine.
type Client struct {
	cfg   Config
	bell  bell
	board board
	retry retry
	// Of the goroutine of Run:
	taken pokes     // from the bell, and not acted upon yet
	began time.Time // of the last attempt
	up    time.Time // when the network last came up under a connection
}

// New returns a client that does nothing before Run.
func New(c Config) *Client {
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.Rand == nil {
		c.Rand = rand.Int64N
	}
	x := &Client{cfg: c, bell: bell{ring: make(chan struct{}, 1)}, retry: retry{c.Rand}}
	x.board.changed = c.Changed
	x.board.s = Status{State: Disabled, Since: time.Now(), JID: c.JID}
	return x
}

// ParamsChanged says that Params may return something else. A connection that
// is not good for it any more is closed politely and made anew.
func (c *Client) ParamsChanged() { c.bell.poke(pokeChanged) }

// NetworkUp says that the network came up or is another one: an attempt is made
// at once, and a connection that stands is checked.
func (c *Client) NetworkUp() { c.bell.poke(pokeUp) }

// ClockStepped says that the wall clock was set: a certificate that was
// accepted without a clock is verified again.
func (c *Client) ClockStepped() { c.bell.poke(pokeClock) }

// Status says how the connection is doing.
func (c *Client) Status() Status { return c.board.read() }

// Run keeps the connection until ctx ends, and then closes it politely. Its
// error is always nil: whatever a server does, there is another try.
func (c *Client) Run(ctx context.Context) error {
	stop := context.AfterFunc(ctx, func() { c.bell.poke(pokeStop) })
	defer stop()
	for ctx.Err() == nil {
		c.taken = 0 // the parameters are about to be read
		p := c.cfg.Params()
		if !p.Enable {
			c.rest(Disabled, nil)
		} else if err := p.check(); err != nil {
			c.rest(Misconfigured, err)
		} else {
			c.keep(ctx, p)
		}
	}
	c.board.write(func(s *Status) { s.TLS, s.Mechanism, s.NextTry = false, "", time.Time{} })
	return nil
}

// rest waits for other parameters.
func (c *Client) rest(state State, why error) {
	c.board.write(func(s *Status) {
		s.State, s.NextTry, s.Server, s.TLS, s.Mechanism, s.Tries = state, time.Time{}, "", false, "", 0
		if state == Disabled {
			s.JID = ""
		}
		s.fail(why)
	})
	if why != nil {
		c.cfg.Log.Warn("XMPP connection cannot be made", "err", why)
	}
	for c.sleep(time.Time{})&urgent == 0 {
		c.taken = 0
	}
}

// fail notes an error.
func (s *Status) fail(err error) {
	if err != nil {
		s.LastError, s.ErrorAt = err.Error(), time.Now()
	}
}

// sleep waits until a time, zero for ever, or for a poke, and returns the pokes
// that nobody has acted upon.
func (c *Client) sleep(until time.Time) pokes {
	var due <-chan time.Time
	if !until.IsZero() {
		t := time.NewTimer(time.Until(until))
		defer t.Stop()
		due = t.C
	}
	for {
		if c.taken |= c.bell.take(); c.taken != 0 {
			return c.taken
		}
		select {
		case <-c.bell.ring:
		case <-due:
			return c.taken
		}
	}
}

// hostPort reads the text of see-other-host: a name or address, with or
// without port (RFC 6120 4.9.3.19).
func hostPort(s string, direct bool) (host, bool) {
	name, port, err := net.SplitHostPort(s)
	if err != nil {
		name, port = strings.Trim(s, "[]"), strconv.Itoa(clientPort)
	}
	n, err := strconv.ParseUint(port, 10, 16)
	if name == "" || strings.ContainsAny(name, " /@") || err != nil || n == 0 {
		return host{}, false
	}
	return host{name: name, port: uint16(n), direct: direct}, true
}
