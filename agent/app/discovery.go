package app

import (
	"context"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"gatehouse/agent/discovery"
	"gatehouse/agent/settings"
	"gatehouse/datamodel/tr181"
	"gatehouse/platform"
)

// rediscovery is how long an ACS must have been out of reach before a lease is
// asked for anew, and how long until it is asked for again (TR-069 3.1).
const rediscovery = 300 * time.Second

// maxChanges is how often within changesFor DHCP is heard at once when it says
// something else. Each time is a write to flash, and may be another ACS: a short
// lease with a server that cannot decide, or means ill, would have many.
const (
	maxChanges = 6
	changesFor = time.Hour
)

// discovered is what the agent knows by DHCP, and has done about it.
type discovered struct {
	// Of who looks.
	said, warned string // last, of offers and of their values
	changes      int    // heard since
	since        time.Time

	mu      sync.Mutex
	gateway tr181.Gateway
	lost    time.Time // the first failure since the ACS was reached last; zero: none
	asked   time.Time // when leases were asked for last
	renew   bool      // they are to be asked for
}

// discover reads what DHCP servers say of the ACS, and makes it a layer of the
// settings. It reports whether the gateway is another one now, and when to look
// again unasked; 0: never.
func (a *Agent) discover(ctx context.Context) (gateway bool, again time.Duration) {
	d, s := &a.discovered, a.settings
	var offers []discovery.Offer
	learned := s.Learned()
	if s.Bool(settings.DHCPDiscovery) {
		var err error
		if offers, err = discovery.Look(ctx, a.cfg.Platform, s); err != nil {
			a.log.Debug("what DHCP says cannot be read", "err", err)
			return false, 0 // nothing is known: what was said may still be
		}
		if u := learned[settings.URL]; u != "" && discovery.Check(s, u) != nil {
			learned = nil // the configuration does not allow it any more
		}
	} else {
		learned = nil
	}
	outage := a.cutOff(ctx, offers)
	if outage {
		offers = nil
	}
	a.tellOffers(offers)
	again = a.heedOffers(offers, learned)
	if outage {
		return false, again
	}
	var g tr181.Gateway
	for _, o := range offers {
		if o.Uplink && g == (tr181.Gateway{}) {
			g = tr181.Gateway(o.Told.Gateway)
		}
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	gateway, d.gateway = d.gateway != g, g
	return gateway, again
}

// cutOff says whether offers have no way to the ACS because there is none at
// all: an outage, in which what was said neither changes nor is worth a warning.
func (a *Agent) cutOff(ctx context.Context, offers []discovery.Offer) bool {
	links := a.cfg.Platform.Links
	if len(offers) == 0 || links == nil || slices.ContainsFunc(offers, func(o discovery.Offer) bool { return o.Uplink }) {
		return false
	}
	up, err := discovery.Uplinks(ctx, links, a.settings)
	return err == nil && len(up) == 0
}

// heedOffers adds the offer that counts to what was learned before. A lease that
// says nothing any more changes nothing: the ACS has not moved because a server
// has lost a line of its configuration, and a router without a URL is one that
// nobody reaches. again is when to come back to an offer that was not heard.
func (a *Agent) heedOffers(offers []discovery.Offer, learned map[string]string) (again time.Duration) {
	d, s := &a.discovered, a.settings
	before, now := s.Learned(), learned
	if best := choose(offers, learned[settings.URL]); best != nil {
		now = best.Values()
		if u := learned[settings.URL]; now[settings.URL] == "" && u != "" {
			now[settings.URL] = u
		}
		if !maps.Equal(now, before) {
			if again = d.rest(time.Now()); again > 0 {
				now = learned
			}
		}
	}
	if maps.Equal(now, before) {
		return again
	}
	changed, err := s.SetLayer(settings.DHCP, now)
	if err != nil && err.Error() != d.warned {
		d.warned = err.Error()
		a.log.Warn("not everything that DHCP says counts", "err", err)
	}
	if len(changed) > 0 {
		a.log.Info("DHCP has changed settings of the agent", "settings", strings.Join(changed, " "))
	}
	if maps.Equal(s.Learned(), before) {
		return again // all that is new is no good
	}
	if d.changes++; d.changes == maxChanges {
		a.log.Warn("DHCP says something else again and again, and is not heard for a while", "changes", d.changes, "for", d.rest(time.Now()))
	}
	return again
}

// rest is how long DHCP is not to be heard.
func (d *discovered) rest(now time.Time) time.Duration {
	if now.Sub(d.since) >= changesFor {
		d.since, d.changes = now, 0
	}
	if d.changes < maxChanges {
		return 0
	}
	return changesFor - now.Sub(d.since)
}

// choose picks the offer that counts: one that names the ACS known so far, so
// that two servers do not take turns, else the first that names any, else the
// first that says anything.
func choose(offers []discovery.Offer, known string) (best *discovery.Offer) {
	for i := range offers {
		switch o := &offers[i]; {
		case o.Refused != nil, len(o.Values()) == 0:
		case o.Told.URL != "" && o.Told.URL == known:
			return o
		case best == nil, best.Told.URL == "" && o.Told.URL != "":
			best = o
		}
	}
	return best
}

// tellOffers logs what was offered and refused, once.
func (a *Agent) tellOffers(offers []discovery.Offer) {
	var said strings.Builder
	for _, o := range offers {
		said.WriteString(o.Interface + " " + o.Told.URL + " ")
		if o.Refused != nil {
			said.WriteString(o.Refused.Error())
		}
	}
	d := &a.discovered
	if said.String() == d.said {
		return
	}
	d.said = said.String()
	for _, o := range offers {
		switch {
		case o.Refused != nil:
			a.log.Warn("what DHCP says of the ACS is refused", "interface", o.Interface, "reason", o.Refused)
		case o.Told.URL != "":
			a.log.Info("DHCP names an ACS", "interface", o.Interface, "url", o.Told.URL)
		}
	}
}

// contacted hears whether a session reached its ACS. One that DHCP has named,
// and that has been out of reach for long, may have moved: the lease is asked
// for anew. What the ACS itself has written is not given up for that: whoever
// can keep us from it, and answer DHCP, would be the next ACS.
func (a *Agent) contacted(reached bool) {
	d, now := &a.discovered, time.Now()
	d.mu.Lock()
	defer d.mu.Unlock()
	switch {
	case reached:
		d.lost = time.Time{}
	case d.lost.IsZero():
		d.lost = now
	case now.Sub(d.lost) >= rediscovery && (d.asked.IsZero() || now.Sub(d.asked) >= rediscovery) && a.settings.Origin(settings.URL) == settings.DHCP:
		d.asked, d.renew = now, true
		a.networks.poke()
	}
}

// renewLeases has the clients on the way to the ACS ask their servers again, if
// that is due; what comes of it is a hint. Where nobody can be told to (a plain
// Linux), the lease is looked at when its client renews it.
func (a *Agent) renewLeases(ctx context.Context) {
	d, p := &a.discovered, a.cfg.Platform.Interfaces
	d.mu.Lock()
	due := d.renew
	d.renew = false
	d.mu.Unlock()
	if !due || p.Renew == nil || p.State == nil {
		return
	}
	up, err := discovery.Uplinks(ctx, a.cfg.Platform.Links, a.settings)
	if err != nil {
		return
	}
	var states []platform.InterfaceState
	for st, err := range p.State.InterfaceStates(ctx) {
		if err != nil {
			break
		}
		if up[st.Device] {
			states = append(states, st)
		}
	}
	for _, st := range states {
		a.log.Info("the ACS has been out of reach: asking DHCP for it", "interface", st.Key, "after", rediscovery)
		if err := p.Renew.Renew(ctx, st.Key); err != nil {
			a.log.Info("the lease is not renewed", "interface", st.Key, "err", err)
		}
	}
}

// gatewayInfo is tr181.Agent.Gateway.
func (a *Agent) gatewayInfo() tr181.Gateway {
	a.discovered.mu.Lock()
	defer a.discovered.mu.Unlock()
	return a.discovered.gateway
}
