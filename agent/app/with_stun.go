//go:build !no_stun

package app

import (
	"context"
	"net/url"
	"sync/atomic"
	"time"

	"gatehouse/agent/api"
	"gatehouse/agent/settings"
	"gatehouse/datamodel/tr181"
	"gatehouse/nat"
)

// stun is Annex G of TR-069 in the agent: STUN bindings, and connection
// requests by UDP.
type stun struct {
	agent  *Agent
	client atomic.Pointer[nat.Client] // nil before STUN was enabled for the first time
	chore  *chore
}

// withSTUN adds Annex G to the agent, and returns what the data model tells of
// it.
func (a *Agent) withSTUN() tr181.NAT {
	s := &stun{agent: a}
	s.chore = &chore{name: "stun", turn: s.run}
	a.extras = append(a.extras, extra{
		chore: s.chore, settings: s.poke, network: s.poke, session: s.sessionSucceeded, status: s.status,
	})
	return s
}

func (s *stun) run(ctx context.Context) (again time.Duration, err error) {
	a := s.agent
	if !a.settings.Bool(settings.STUNEnable) { // most agents never need what a client weighs
		return 0, nil
	}
	client, err := nat.New(nat.Config{
		Settings:  s.settings,
		Local:     a.reach.local,
		Listen:    a.listenUDP(),
		Resolver:  names{a},
		Guard:     a.guard,
		State:     a.state.File("udp", 1),
		OnAddress: s.onAddress,
		Rand:      a.cfg.Rand,
		Log:       a.log.With("component", "stun"),
	})
	if err != nil {
		return 0, err
	}
	s.client.Store(client)
	return 0, client.Run(ctx)
}

// listenUDP opens sockets of the network that the agent was given; nil: the
// real one.
func (a *Agent) listenUDP() func(ctx context.Context, network, address string) (nat.Conn, error) {
	open := a.cfg.ListenUDP
	if open == nil {
		return nil
	}
	return func(ctx context.Context, network, address string) (nat.Conn, error) {
		return open(ctx, network, address)
	}
}

// settings is asked by the client at its start and after every poke.
func (s *stun) settings() nat.Settings {
	get := s.agent.settings
	set := nat.Settings{
		STUNEnable:                 get.Bool(settings.STUNEnable),
		STUNServerAddress:          get.Get(settings.STUNServerAddress),
		STUNServerPort:             uint16(get.Number(settings.STUNServerPort)),
		STUNUsername:               get.Get(settings.STUNUsername),
		STUNPassword:               nat.Secret(get.Get(settings.STUNPassword)),
		STUNMaximumKeepAlivePeriod: int32(get.Number(settings.STUNMaximumKeepAlivePeriod)),
		STUNMinimumKeepAlivePeriod: uint32(get.Number(settings.STUNMinimumKeepAlivePeriod)),
		ConnectionRequestUsername:  get.Get(settings.ConnectionRequestUsername),
		ConnectionRequestPassword:  nat.Secret(get.Get(settings.ConnectionRequestPassword)),
		Port:                       uint16(get.Number(settings.UDPConnectionRequestPort)),
	}
	if u, err := url.Parse(get.Get(settings.URL)); err == nil {
		set.ACSHost = u.Hostname()
	}
	return set
}

func (s *stun) poke() {
	if c := s.client.Load(); c != nil {
		c.Poke()
		return
	}
	s.chore.poke()
}

func (s *stun) sessionSucceeded() {
	if c := s.client.Load(); c != nil {
		c.SessionSucceeded()
	}
}

// onAddress hears at most every 30 s that the values are others: the ACS is not
// to be told of a NAT that cannot make up its mind more often.
func (s *stun) onAddress(bool, string) { s.agent.hint(tr181.ReachChanged) }

// UDPAddress implements tr181.NAT.
func (s *stun) UDPAddress() (natDetected bool, address string) {
	c := s.client.Load()
	if c == nil {
		return false, ""
	}
	now := c.Status()
	return now.NATDetected, now.UDPConnectionRequestAddress
}

func (s *stun) status(st *api.Status) {
	now := nat.Status{State: nat.Off}
	if c := s.client.Load(); c != nil {
		now = c.Status()
	}
	t := api.Transport{
		Name: "udp", State: string(now.State), Address: now.UDPConnectionRequestAddress,
		LastRequest: now.Requests.Last, LastRefused: now.Requests.LastRefused, Refused: now.Requests.Refused, Error: now.Err,
	}
	if now.Server.IsValid() {
		t.Server = now.Server.String()
	}
	st.Transports = append(st.Transports, t)
}
