package uciconf

// Fixed addresses: the host sections of dhcp. dnsmasq has no word for one that
// is switched off; such a section is of type gh_host.

import (
	"fmt"
	"net/netip"
	"strings"

	"gatehouse/internal/uci"
	"gatehouse/platform"
)

const poolOption = own + "pool"

// DHCPHosts are the addresses that are kept for clients.
func (c *Conf) DHCPHosts() platform.Table[platform.DHCPHost] {
	return kind[platform.DHCPHost]{
		pkg: "dhcp", types: []string{own + "host", "host"}, prefix: "host", read: readHost, write: writeHost,
		shows: func(s *uci.Section) bool { return !isReservation(s) },
		gone: func(e *edit, p *uci.Package, s *uci.Section) error {
			e.arrange(p)
			e.delete(p, s)
			return nil
		},
	}.table(c)
}

func readHost(v *view, s *uci.Section) platform.DHCPHost {
	r := platform.DHCPHost{Enabled: s.Type == "host" || isSet(s, wished, false), MAC: first(s, "mac"), Name: s.Get("name"), Pool: s.Get(poolOption)}
	r.Addr, _ = netip.ParseAddr(s.Get("ip"))
	if r.Pool == "" {
		r.Pool = poolOf(v, r.Addr)
	}
	return r
}

// poolOf is the pool whose network an address is of; else the first: dnsmasq
// keeps addresses for all of its networks.
func poolOf(v *view, addr netip.Addr) string {
	p := v.beside("dhcp")
	first := ""
	for _, s := range p.Sections {
		if s.Type != "dhcp" {
			continue
		}
		key := v.key(p, s)
		if net, ok := subnet(v, s.Get("interface")); ok && net.Contains(addr) {
			return key
		}
		if first == "" {
			first = key
		}
	}
	return first
}

func writeHost(e *edit, p *uci.Package, s *uci.Section, old, r *platform.DHCPHost) error {
	e.arrange(p)
	if old.MAC != r.MAC {
		if r.MAC != "" && !isMAC(r.MAC) {
			return fmt.Errorf("MAC address %q", r.MAC)
		}
		e.set(s, "mac", r.MAC)
	}
	if old.Addr != r.Addr {
		e.set(s, "ip", text(r.Addr))
	}
	if old.Name != r.Name {
		if strings.ContainsAny(r.Name, ", #") {
			return fmt.Errorf("host name %q", r.Name)
		}
		e.set(s, "name", r.Name)
	}
	if old.Pool != r.Pool || old.Addr != r.Addr {
		kept := r.Pool
		if poolOf(&e.view, r.Addr) == kept {
			kept = ""
		}
		e.str(s, poolOption, s.Get(poolOption), kept)
	}
	if old.Enabled == r.Enabled && old.MAC == r.MAC && old.Addr == r.Addr && !e.isNew(s) {
		return nil
	}
	complete := r.MAC != "" && r.Addr.IsValid()
	e.wish(s, r.Enabled && !complete)
	typ := own + "host"
	if r.Enabled && complete {
		typ = "host"
	}
	if typ == "host" {
		e.afterAll(func(e *edit) error { return e.onlyOf(s, r.Addr) })
	}
	if s.Type != typ {
		if err := p.Retype(s, typ); err != nil {
			return err
		}
		e.own(s, "")
	}
	return nil
}

// onlyOf refuses an address that is kept for two clients, of whatever pools:
// dnsmasq does not start with such a configuration.
func (e *edit) onlyOf(s *uci.Section, addr netip.Addr) error {
	for _, other := range e.beside("dhcp").Sections {
		if have, err := netip.ParseAddr(other.Get("ip")); err == nil && other.Type == "host" && other != s && !isReservation(other) && have == addr {
			return fmt.Errorf("address %s is kept for another client: %s", addr, e.key(e.beside("dhcp"), other))
		}
	}
	return nil
}
