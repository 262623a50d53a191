package app

// This file counts what the agent does, and says in which way a session failed.

import (
	"context"
	"crypto/tls"
	"errors"
	"maps"
	"net"
	"slices"
	"sort"
	"sync"

	"gatehouse/agent/api"
	"gatehouse/agent/core"
	"gatehouse/cwmp"
	"gatehouse/internal/endpoint"
)

// counters are those that only the sessions can tell.
type counters struct {
	mu       sync.Mutex
	failures map[api.Kind]uint64
	retries  uint64
}

// begin counts the start of a session.
func (c *counters) begin(o core.Order) {
	if o.RetryCount > 0 {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.retries++
	}
}

// failed counts a session that failed.
func (c *counters) failed(k api.Kind) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.failures == nil {
		c.failures = map[api.Kind]uint64{}
	}
	c.failures[k]++
}

// fill adds the counters to a status. Core counts failures of its own beside
// those of the sessions, an ACS that ends before all is delivered: the rest.
func (a *Agent) fill(st *api.Status) {
	c := &st.Counters
	a.counters.mu.Lock()
	c.Failures, c.Retries = maps.Clone(a.counters.failures), a.counters.retries
	a.counters.mu.Unlock()
	if c.Failures == nil {
		c.Failures = map[api.Kind]uint64{}
	}
	known := uint64(0)
	for _, n := range c.Failures {
		known += n
	}
	if st.Failures > known {
		c.Failures[api.FailedOther] += st.Failures - known
	}
	c.ConnectionRequests = map[string]api.Requests{}
	for transport, n := range a.guard.Stats().Transports {
		c.ConnectionRequests[transport] = api.Requests{Accepted: n.Accepted, Limited: n.Limited, Refused: n.Failed}
	}
	notify := a.notify.Stats()
	c.Watched, c.Changed = notify.Watched, notify.Changed
	st.FlashWrites, c.FlashBytes = a.state.Writes()
	c.Blocked = []api.Endpoint{}
	if n := a.network.Load(); n != nil {
		for addr, until := range n.dialer.Pool.Blocked() {
			c.Blocked = append(c.Blocked, api.Endpoint{Address: addr.String(), Until: until.Round(0)})
		}
	}
	sort.Slice(c.Blocked, func(i, j int) bool { return c.Blocked[i].Address < c.Blocked[j].Address })
}

// errConfig marks what fails before anybody is called.
type errConfig struct{ error }

// Unwrap returns the cause.
func (e errConfig) Unwrap() error { return e.error }

// kindOf says in which way a session failed. The order counts: a silence within
// the handshake is a silence, an address that does not answer is no timeout of
// the ACS.
func kindOf(err error) api.Kind {
	var (
		config   errConfig
		noAnswer *endpoint.NoAnswerError
		dial     *endpoint.DialError
		proxy    *endpoint.ProxyError
		handled  *cwmp.TLSError
		alert    tls.AlertError
		status   *cwmp.HTTPError
		redirect *cwmp.RedirectError
		envelope *cwmp.EnvelopeError
		fault    *cwmp.Fault
		network  net.Error
	)
	is := func(targets ...error) bool {
		return slices.ContainsFunc(targets, func(t error) bool { return errors.Is(err, t) })
	}
	switch {
	case errors.As(err, &config):
		return api.FailedConfig
	case errors.As(err, &noAnswer), is(endpoint.ErrNoSuchName, endpoint.ErrBadName):
		return api.FailedDNS
	case errors.As(err, &dial), errors.As(err, &proxy):
		return api.FailedConnect
	case errors.As(err, &status) && status.Status == 401:
		return api.FailedAuth
	case errors.As(err, &status), errors.As(err, &redirect), is(cwmp.ErrTooLong):
		return api.FailedHTTP
	case errors.As(err, &fault):
		return api.FailedFault
	case errors.As(err, &envelope), is(cwmp.ErrUnexpected, cwmp.ErrNoAnswer, cwmp.ErrRetries):
		return api.FailedSOAP
	case is(context.DeadlineExceeded), errors.As(err, &network) && network.Timeout():
		return api.FailedTimeout
	case errors.As(err, &handled), errors.As(err, &alert):
		return api.FailedTLS
	}
	return api.FailedOther
}
