package uciconf

// Configured name servers: those of the relay, in the list server of dnsmasq,
// and those of the device itself, in the list dns of an interface.

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"gatehouse/internal/uci"
	"gatehouse/platform"
)

// Forwards are the configured name servers.
func (c *Conf) Forwards() platform.Table[platform.DNSForward] {
	t := &table[platform.DNSForward]{conf: c, pkg: "dhcp", prefix: "dns"}
	t.rows = func(v *view, p *uci.Package, emit func(platform.Entry[platform.DNSForward]) bool) {
		for _, l := range nameLists(v, p, v.beside("network")) {
			for _, m := range l.rows() {
				if !emit(platform.Entry[platform.DNSForward]{Key: m.key, Value: l.forward(v, m)}) {
					return
				}
			}
		}
	}
	t.put = func(e *edit, p *uci.Package, key string, row *platform.DNSForward) error {
		return e.putForward(p, key, row)
	}
	t.del = func(e *edit, p *uci.Package, key string) error {
		network, err := e.open("network")
		if err != nil {
			return err
		}
		for _, l := range nameLists(&e.view, p, network) {
			if now, ok := take(l.rows(), key); ok {
				e.setMarked(l.section, l.option, l.rows(), now, l.derive)
				return nil
			}
		}
		return fmt.Errorf("%s: %w", key, platform.ErrGone)
	}
	return t
}

// A nameList is a list of name servers. Its interface is "" for the relay's.
type nameList struct {
	section     *uci.Section
	option, key string
}

func nameLists(v *view, dhcp, network *uci.Package) []nameList {
	var all []nameList
	if s := mainDNS(dhcp); s != nil {
		all = append(all, nameList{s, "server", ""})
	}
	for _, s := range network.Sections {
		if s.Type == "interface" && (s.Option("dns") != nil || s.Option(own+"dns") != nil) {
			all = append(all, nameList{s, "dns", v.key(network, s)})
		}
	}
	return all
}

func (l nameList) rows() []mark {
	return marked(l.section, l.option, list(l.section, l.option), l.derive)
}

// derive is the key of a server that nothing else is known of. What says more
// than a server ("/lan/192.0.2.1", "::1#5353") is no row.
func (l nameList) derive(text string) string {
	addr, _, _ := strings.Cut(text, "@")
	if _, err := netip.ParseAddr(addr); err != nil {
		return ""
	}
	if l.key == "" {
		return "relay_" + text
	}
	return l.key + "_" + text
}

func (l nameList) forward(v *view, m mark) platform.DNSForward {
	addr, link, _ := strings.Cut(m.value, "@")
	r := platform.DNSForward{Enabled: !m.off, Interface: l.key, Relay: l.key == ""}
	r.Server, _ = netip.ParseAddr(addr)
	if r.Relay && link != "" {
		r.Interface = link
		network := v.beside("network")
		for _, s := range network.Sections {
			if s.Type == "interface" && first(s, "device") == link {
				r.Interface = v.key(network, s)
			}
		}
	}
	return r
}

func (e *edit) putForward(p *uci.Package, key string, row *platform.DNSForward) error {
	network, err := e.open("network")
	if err != nil {
		return err
	}
	if row.Enabled && !row.Server.IsValid() {
		return fmt.Errorf("a name server needs an address")
	}
	value := text(row.Server)
	if value == "" {
		value = "-"
	}
	target := nameList{section: mainDNS(p), option: "server"}
	if row.Relay {
		if link := linkOf(network, row.Interface); link != "" {
			value += "@" + link
		}
	} else {
		s := network.Section(row.Interface)
		if s == nil || s.Type != "interface" {
			return fmt.Errorf("a name server of the device needs an interface: there is no %q", row.Interface)
		}
		target = nameList{s, "dns", row.Interface}
	}
	if target.section == nil {
		return fmt.Errorf("there is no relay: %w", platform.ErrUnsupported)
	}
	for _, l := range nameLists(&e.view, p, network) {
		if l.section == target.section {
			continue
		}
		if now, ok := take(l.rows(), key); ok {
			e.setMarked(l.section, l.option, l.rows(), now, l.derive)
		}
	}
	old := target.rows()
	now := put(slices.Clone(old), mark{key: key, value: value, off: !row.Enabled})
	e.setMarked(target.section, target.option, old, now, target.derive)
	return nil
}

// linkOf is the link below an interface, for a server that is asked by it only.
func linkOf(network *uci.Package, key string) string {
	if key == "" {
		return ""
	}
	if s := network.Section(key); s != nil && s.Type == "interface" && first(s, "device") != "" {
		return first(s, "device")
	}
	return key
}
