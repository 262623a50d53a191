package doctor

// The checks of the way back: by which transports an ACS could ask for a session
// now. What can be known of that from here is what a STUN server sees of us; the
// agent that runs asks one, so it is the agent that is asked.

import (
	"context"
	"fmt"
	"iter"
	"net/netip"
	"net/url"
	"strings"
	"time"

	"gatehouse/agent/api"
	"gatehouse/agent/settings"
)

// natSteps look at one transport each; the last sums up.
var natSteps = [...]step{
	{"running", true, (*patient).running},
	{"stun", false, (*patient).outside},
	{"http", false, (*patient).byHTTP},
	{"udp", false, (*patient).byUDP},
	{"xmpp", false, (*patient).byXMPP},
	{"reach", false, (*patient).reached},
}

// NAT yields what stands between the ACS and the agent that runs here. Only an
// agent that no transport reaches is wrong.
func NAT(ctx context.Context, c Config) iter.Seq[Finding] { return run(ctx, c, natSteps[:]) }

// running asks the agent how it is doing.
func (p *patient) running(ctx context.Context) (f Finding) {
	if p.Agent != nil {
		p.status, p.NoAgent = p.Agent.Status(ctx)
	}
	if p.status == nil || p.NoAgent != nil {
		f = wrong("no agent answers here, so none can be asked for a session", "start it: `gatehouse run`, or by the system's service")
		if p.NoAgent != nil {
			f.Details = []string{p.NoAgent.Error()}
		}
		return f
	}
	if p.status.SafeMode {
		return warning("it is in safe mode: only HTTP is left", "a good session ends safe mode")
	}
	return ok("it is " + p.status.State)
}

// transport is what the agent tells of one; false: it has no such thing.
func (p *patient) transport(name string) (api.Transport, bool) {
	for _, t := range p.status.Transports {
		if t.Name == name {
			return t, true
		}
	}
	return api.Transport{}, false
}

// carrierNAT is the space between a provider's NAT and its customers (RFC 6598).
var carrierNAT = netip.MustParsePrefix("100.64.0.0/10")

// local is where we listen for HTTP.
func (p *patient) local() netip.Addr {
	t, _ := p.transport("http")
	u, err := url.Parse(t.Address)
	if err != nil {
		return netip.Addr{}
	}
	addr, _ := netip.ParseAddr(u.Hostname())
	return addr.Unmap()
}

// outside compares our address with the one that the STUN server sees.
func (p *patient) outside(context.Context) Finding {
	t, have := p.transport("udp")
	here := p.local()
	private := here.IsValid() && (here.IsPrivate() || here.IsLinkLocalUnicast() || carrierNAT.Contains(here))
	switch {
	case !have, t.State == "off", t.State == "listening":
		f := Finding{Verdict: Note, Found: "STUN is off: nobody outside says how we are seen"}
		if private {
			p.nat = true
			f = warning(fmt.Sprintf("STUN is off, and %s is an address that is not seen from outside", here), "set option enable '1' in section stun, or have the ACS use XMPP")
		}
		return f
	case t.State != "bound":
		p.nat = private
		f := warning("the STUN server does not tell how it sees us: the binding is "+t.State, "check options server_address and server_port in section stun; a firewall may drop UDP")
		f.Details = reasons(t)
		return f
	}
	if seen, err := netip.ParseAddrPort(t.Address); err == nil && seen.Addr().Unmap() == here {
		return ok(fmt.Sprintf("the STUN server %s sees us as we are, at %s: there is no NAT", t.Server, here))
	}
	p.nat = true
	return ok(fmt.Sprintf("the STUN server %s sees us at %s: there is a NAT on the way", t.Server, t.Address))
}

func (p *patient) byHTTP(context.Context) Finding {
	t, _ := p.transport("http")
	f := ok("an ACS can ask at " + t.Address)
	switch {
	case t.Address == "" && p.Settings != nil && !p.Settings.Bool(settings.HTTPConnectionRequestEnable):
		return Finding{Verdict: Note, Found: "it is switched off"}
	case t.Address == "":
		return warning("the agent does not listen, or has no address yet", "look for the reason in its log (logread, journalctl)")
	case p.barred():
		return noPassword()
	case p.nat:
		f = Finding{Verdict: Note, Found: t.Address + " is behind the NAT: an ACS outside reaches it only where a port is forwarded"}
	default:
		p.ways = append(p.ways, "HTTP")
	}
	f.Details = asked(t)
	return f
}

func (p *patient) byUDP(context.Context) Finding {
	t, have := p.transport("udp")
	switch {
	case !have, t.State == "off":
		return Finding{Verdict: Note, Found: "it is switched off"}
	case t.State != "bound" && t.State != "listening":
		f := warning("an ACS cannot ask by UDP now", "see stun above")
		f.Details = reasons(t)
		return f
	case p.barred():
		return noPassword()
	}
	p.ways = append(p.ways, "UDP")
	f := ok("an ACS can ask at " + t.Address)
	if p.nat {
		f.Found += ", from the address and port of the STUN server"
	}
	f.Details = asked(t)
	return f
}

func (p *patient) byXMPP(context.Context) Finding {
	t, have := p.transport("xmpp")
	switch {
	case !have, t.State == "Disabled":
		return Finding{Verdict: Note, Found: "there is no connection: the ACS makes one in Device.XMPP.Connection."}
	case t.State != "Enabled":
		f := warning("the connection does not stand: "+t.State, "check its parameters below Device.XMPP.Connection.")
		f.Details = reasons(t)
		return f
	case p.barred():
		return noPassword()
	}
	p.ways = append(p.ways, "XMPP")
	f := ok("an ACS can ask " + t.Address)
	f.Details = asked(t)
	return f
}

// reached sums up.
func (p *patient) reached(context.Context) Finding {
	switch {
	case len(p.ways) > 0:
		return ok("an ACS could ask for a session now by " + strings.Join(p.ways, ", "))
	case p.nat:
		return wrong("no ACS outside can ask for a session: this device is behind NAT", "have the operator set up STUN or XMPP; until then the ACS waits for periodic sessions")
	}
	return wrong("no ACS can ask for a session", "see above; until then the ACS waits for periodic sessions")
}

// barred says that every request is refused, for want of a password. Where not
// every file could be read, nobody knows.
func (p *patient) barred() bool {
	return p.Settings != nil && len(p.Warnings) == 0 && p.Settings.Get(settings.ConnectionRequestPassword) == "" && !p.Settings.Bool(settings.ConnectionRequestOpen)
}

func noPassword() Finding {
	return warning("every request is refused, because there is no password", "let the ACS set ConnectionRequestPassword, or set option passwd in section cpe")
}

// reasons say why a transport does not work.
func reasons(t api.Transport) (lines []string) {
	if t.Server != "" {
		lines = append(lines, "by way of "+t.Server)
	}
	if t.Error != "" {
		lines = append(lines, t.Error)
	}
	return lines
}

// asked tells of the last requests.
func asked(t api.Transport) (lines []string) {
	if !t.LastRequest.IsZero() {
		lines = append(lines, "last asked at "+t.LastRequest.Format(time.RFC3339))
	}
	if !t.LastRefused.IsZero() {
		lines = append(lines, "last refused at "+t.LastRefused.Format(time.RFC3339)+": "+t.Refused)
	}
	return lines
}
