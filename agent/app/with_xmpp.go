//go:build !no_xmpp

package app

import (
	"context"
	"crypto/tls"
	"errors"
	"io/fs"
	"net"
	"strings"
	"sync/atomic"
	"time"

	"gatehouse/agent/api"
	"gatehouse/agent/settings"
	"gatehouse/datamodel"
	"gatehouse/datamodel/tr181"
	"gatehouse/nat/xmpp"
)

// jabber is Annex K of TR-069 in the agent: the XMPP connection by which the ACS
// asks for sessions.
type jabber struct {
	agent  *Agent
	client atomic.Pointer[xmpp.Client] // nil before a connection was enabled for the first time
	chore  *chore
	kept   datamodel.Backing      // the JID that the server gave
	last   atomic.Pointer[string] // what kept holds
}

// withXMPP adds Annex K to the agent, and returns what the data model tells of
// it.
func (a *Agent) withXMPP() tr181.XMPP {
	j := &jabber{agent: a, kept: a.state.File("jid", 1)}
	last := ""
	text, err := j.kept.Load()
	switch {
	case err == nil:
		last = strings.TrimSpace(string(text))
	case !errors.Is(err, fs.ErrNotExist):
		a.log.Warn("the last JID is not known: the ACS may be told of a new one", "err", err)
	}
	j.last.Store(&last)
	j.chore = &chore{name: "xmpp", turn: j.run}
	a.extras = append(a.extras, extra{
		chore: j.chore, settings: j.changed, network: j.networkUp, clock: j.clockStepped, status: j.status,
	})
	return j
}

func (j *jabber) run(ctx context.Context) (again time.Duration, err error) {
	a := j.agent
	if !j.params().Enable { // most agents never need what a client weighs
		return 0, nil
	}
	client := xmpp.New(xmpp.Config{
		Params:  j.params,
		Allowed: a.model.AllowedJabberIDs,
		Credentials: func() (string, string) {
			return a.settings.Get(settings.ConnectionRequestUsername), a.settings.Get(settings.ConnectionRequestPassword)
		},
		AllowEmpty: a.settings.Bool(settings.ConnectionRequestOpen),
		Guard:      a.guard,
		Resolver:   names{a},
		Dial:       j.dial,
		Trust:      j.trust,
		Rand:       a.cfg.Rand,
		Log:        a.log.With("component", "xmpp"),
		Changed:    j.statusChanged,
		JID:        *j.last.Load(),
	})
	j.client.Store(client)
	return 0, client.Run(ctx)
}

// params is the row that ConnReqXMPPConnection points to; without one there is
// no connection.
func (j *jabber) params() xmpp.Params {
	row, ok := j.agent.model.XMPPAccount(context.Background())
	if !ok {
		return xmpp.Params{}
	}
	p := xmpp.Params{
		Enable: row.Enable, Username: row.Username, Password: xmpp.Secret(row.Password),
		Domain: row.Domain, Resource: row.Resource, Algorithm: row.Algorithm, UseTLS: row.UseTLS,
		KeepAlive: row.KeepAlive, Attempts: row.Attempts,
		RetryInitial: row.RetryInitial, RetryMultiplier: row.RetryMultiplier, RetryMax: row.RetryMax,
		DigestMD5: j.agent.settings.Bool(settings.XMPPDigestMD5),
	}
	for _, s := range row.Servers {
		p.Servers = append(p.Servers, xmpp.Server(s))
	}
	return p
}

// dial connects as sessions do, but for the proxy: that is for HTTP.
func (j *jabber) dial(ctx context.Context, network, address string) (net.Conn, error) {
	d, err := j.agent.dialer(j.agent.log)
	if err != nil {
		return nil, err
	}
	return d.Base(ctx, network, address)
}

// trust is made for each handshake, as for each session.
func (j *jabber) trust() (t xmpp.Trust, err error) {
	s := j.agent.settings
	t.Insecure = s.Bool(settings.TLSInsecure)
	if s.Get(settings.TLSMinVersion) == "1.3" {
		t.MinVersion = tls.VersionTLS13
	}
	if now, known := j.agent.wall.Now(); known {
		t.Now = now
	}
	if !t.Insecure {
		t.Roots, err = j.agent.roots(s.Get(settings.TLSCA))
	}
	return t, err
}

// statusChanged must not wait: it runs on the goroutine of the client.
func (j *jabber) statusChanged(now xmpp.Status) {
	if now.JID != "" && now.JID != *j.last.Load() {
		j.last.Store(&now.JID)
		if err := j.kept.Save([]byte(now.JID + "\n")); err != nil {
			j.agent.log.Warn("the JID may be another one after a restart", "err", err)
		}
	}
	j.agent.hint(tr181.ReachChanged)
}

func (j *jabber) changed() {
	if c := j.client.Load(); c != nil {
		c.ParamsChanged()
		return
	}
	j.chore.poke()
}

func (j *jabber) networkUp() {
	if c := j.client.Load(); c != nil {
		c.NetworkUp()
	}
}

func (j *jabber) clockStepped() {
	if c := j.client.Load(); c != nil {
		c.ClockStepped()
	}
}

// Connection implements tr181.XMPP.
func (j *jabber) Connection(key datamodel.Key) (s tr181.XMPPStatus, ok bool) {
	row, ok := j.agent.model.XMPPAccount(context.Background())
	if !ok || row.Key != key {
		return s, false
	}
	c := j.client.Load()
	switch {
	case c == nil && row.Enable:
		return tr181.XMPPStatus{Status: string(xmpp.Connecting), JabberID: *j.last.Load()}, true
	case c == nil:
		return tr181.XMPPStatus{Status: string(xmpp.Disabled)}, true
	}
	now := c.Status()
	return tr181.XMPPStatus{
		JabberID: now.JID, Status: string(now.State), Since: now.Since, TLS: now.TLS,
		ReceivedMessages: now.Stats.Received, TransmittedMessages: now.Stats.Transmitted,
		ReceivedErrorMessages: now.Stats.ReceivedErrors, TransmittedErrorMessages: now.Stats.TransmittedErrors,
	}, true
}

func (j *jabber) status(st *api.Status) {
	now := xmpp.Status{State: xmpp.Disabled}
	if c := j.client.Load(); c != nil {
		now = c.Status()
	}
	t := j.agent.admitted("xmpp")
	t.State, t.Server = string(now.State), now.Server
	if r := now.Stats.Refused; !r.At.IsZero() { // the client knows better why
		t.LastRefused, t.Refused = r.At, string(r.Outcome)
	}
	if now.State == xmpp.Enabled {
		t.Address = now.JID
	} else if now.State != xmpp.Disabled {
		t.Error = now.LastError
	}
	st.Transports = append(st.Transports, t)
}
