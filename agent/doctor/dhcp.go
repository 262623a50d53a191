package doctor

// What DHCP says of the ACS, and what the agent makes of it.

import (
	"context"

	"gatehouse/agent/discovery"
	"gatehouse/agent/settings"
)

// dhcp tells of each lease that has something to say. It is beside the chain: an
// ACS can be configured as well.
func (p *patient) dhcp(ctx context.Context) Finding {
	if p.Offers == nil || p.Settings == nil {
		return Finding{Verdict: Skipped, Found: "not tested: the leases of this device cannot be read"}
	}
	offers, err := p.Offers(ctx)
	if err != nil {
		return Finding{Verdict: Note, Found: "the leases cannot be read: " + err.Error(), Advice: "try as root"}
	}
	var refused, named []string
	for _, o := range offers {
		switch text := o.Interface + ": " + p.offer(o); {
		case o.Refused != nil:
			refused = append(refused, text)
		case o.Told.URL != "":
			named = append(named, text)
		}
	}
	switch all := append(refused, named...); {
	case len(refused) > 0:
		f := warning(all[0], "if nobody there should name an ACS, somebody tries to; else correct the server, or see dhcp_domains and allow_http in section acs, interface in section cpe")
		f.Details = all[1:]
		return f
	case len(named) > 0:
		return Finding{Verdict: OK, Found: named[0], Details: named[1:]}
	case p.Settings.Get(settings.URL) == "":
		return Finding{Verdict: Note, Found: "no DHCP server names an ACS",
			Advice: "for a server to do so, the client on the WAN asks for option 43 or 125, or by IPv6 for 17"}
	}
	return ok("no DHCP server names an ACS")
}

// offer is what became of one.
func (p *patient) offer(o discovery.Offer) string {
	s := p.Settings
	names := "DHCP names " + o.Told.URL
	switch origin := s.Origin(settings.URL); {
	case o.Refused != nil:
		return "what DHCP says of the ACS is refused: " + o.Refused.Error()
	case !s.Bool(settings.DHCPDiscovery):
		return names + ", which does not count: dhcp_discovery is off"
	case origin == settings.DHCP && s.Get(settings.URL) == o.Told.URL, p.status != nil && p.status.ACS == o.Told.URL:
		return names + ", and that is where the agent goes"
	case origin == settings.BuiltIn:
		return names + ", which an agent that runs takes up"
	default:
		return names + ", which does not count: there is another URL, by " + origin.String()
	}
}
