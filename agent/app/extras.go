package app

import (
	"context"
	"net"
	"net/netip"
	"net/url"
	"time"

	"gatehouse/agent/api"
	"gatehouse/datamodel/tr181"
	"gatehouse/internal/endpoint"
)

// An extra is an optional part of the agent. Each is one file, with_NAME.go,
// that a build tag no_NAME leaves out. What it hears are hints; nil: it does not
// care.
type extra struct {
	chore    *chore
	settings func() // settings, or rows that the agent keeps, may have other values now
	network  func() // links, addresses, the way to the ACS
	clock    func() // the wall clock was set
	session  func() // a session went well
	light    func() // a parameter with an active lightweight attribute has changed
	status   func(st *api.Status)
}

// A provider is the extra that keeps the provider's configuration.
type provider interface {
	tr181.Provider
	api.Provider
	// ForgetProvider takes back all that the document did; where it is still
	// configured it is fetched anew.
	ForgetProvider()
}

// tell passes a hint to every extra that cares.
func (a *Agent) tell(which func(extra) func()) {
	for _, e := range a.extras {
		if f := which(e); f != nil {
			f()
		}
	}
}

func ofSettings(e extra) func() { return e.settings }
func ofNetwork(e extra) func()  { return e.network }
func ofClock(e extra) func()    { return e.clock }
func ofSession(e extra) func()  { return e.session }
func ofLight(e extra) func()    { return e.light }

// A UDPConn is the part of *net.UDPConn that STUN uses.
type UDPConn interface {
	ReadFromUDPAddrPort(b []byte) (int, netip.AddrPort, error)
	WriteToUDPAddrPort(b []byte, to netip.AddrPort) (int, error)
	SetReadDeadline(t time.Time) error
	LocalAddr() net.Addr
	Close() error
}

// names resolves for the extras by the resolver of the present settings, which
// the sessions use, too.
type names struct{ agent *Agent }

// Lookup implements nat.Resolver and xmpp.Resolver.
func (n names) Lookup(ctx context.Context, host string) (endpoint.Addrs, error) {
	d, err := n.agent.dialer(n.agent.log)
	if err != nil {
		return endpoint.Addrs{}, err
	}
	return d.Resolver.Lookup(ctx, host)
}

// SRV implements xmpp.Resolver.
func (n names) SRV(ctx context.Context, service, proto, name string) ([]endpoint.SRV, time.Duration, error) {
	d, err := n.agent.dialer(n.agent.log)
	if err != nil {
		return nil, 0, err
	}
	return d.Resolver.SRV(ctx, service, proto, name)
}

// local is our address on the way to the ACS, not valid while there is none.
func (r *reach) local() netip.Addr {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.host
}

// transports tells how the ACS can ask for a session by HTTP; the extras add
// theirs.
func (a *Agent) transports(st *api.Status) {
	t := a.admitted("http")
	t.State, t.Address = "listening", a.reach.ConnectionRequestURL()
	if t.Address == "" {
		t.State = "off"
	}
	st.Transports = append(st.Transports, t)
	for _, e := range a.extras {
		if e.status != nil {
			e.status(st)
		}
	}
}

// acsChannel is the conversation with the ACS, as the last session left it.
func (a *Agent) acsChannel(st *api.Status) {
	u, err := url.Parse(st.ACS)
	if err != nil || u.Host == "" {
		return
	}
	c := api.Channel{Name: "cwmp", Up: st.LastError == "" && !st.Succeeded.IsZero(), LastOK: st.Succeeded, LastError: st.LastError, Without: "word from the ACS"}
	for _, e := range st.Counters.Blocked {
		c.Servers = append(c.Servers, api.Server{Name: u.Hostname(), Address: e.Address, BlockedUntil: e.Until})
	}
	st.Channels = append(st.Channels, c)
}

// admitted is what the guard knows of the requests by a transport.
func (a *Agent) admitted(transport string) api.Transport {
	n := a.guard.Stats().Transports[transport]
	t := api.Transport{Name: transport, LastRequest: n.Last, LastRefused: n.LastRefused}
	switch {
	case n.Busy:
		t.Refused = "too many"
	case !n.LastRefused.IsZero():
		t.Refused = "wrong username or password"
	}
	return t
}
