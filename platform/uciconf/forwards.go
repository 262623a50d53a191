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
	t := &table[platform.DNSForward]{core: core{conf: c, pkg: "dhcp", prefix: "dns"}}
	t.rows = func(v *view, p *uci.Package, emit func(key string, row any, fixed bool) bool) {
		for _, l := range nameLists(v, p, v.beside("network")) {
			for _, m := range l.rows() {
				row := l.forward(v, m)
				if !emit(m.key, &row, false) {
					return
				}
			}
		}
	}
	t.put = func(e *edit, p *uci.Package, key string, row any) error {
		return e.putForward(p, key, row.(*platform.DNSForward))
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

// A nameList is a list of name servers: the relay's, or the device's own with an
// interface. Those that belong to no interface in particular are the loopback's,
// which is always up.
type nameList struct {
	section *uci.Section
	option  string
	key     string // what the keys of its rows begin with
	iface   string // of its rows
	relay   bool
}

// anybody is the section of servers without an interface where there is no
// loopback: on a device without netifd.
const anybody = own + "client"

func nameLists(v *view, dhcp, network *uci.Package) []nameList {
	var all []nameList
	if s := mainDNS(dhcp); s != nil {
		all = append(all, relayList(s))
	}
	for _, s := range network.Sections {
		if s.Type != "interface" && s.Type != anybody || s.Option("dns") == nil && s.Option(own+"dns") == nil {
			continue
		}
		all = append(all, clientList(v, network, s))
	}
	return all
}

func relayList(s *uci.Section) nameList {
	return nameList{section: s, option: "server", key: "relay", relay: true}
}

func clientList(v *view, network *uci.Package, s *uci.Section) nameList {
	key := v.key(network, s)
	l := nameList{section: s, option: "dns", key: key, iface: key}
	if isLoopback(s) {
		l.iface = ""
	}
	return l
}

func isLoopback(s *uci.Section) bool { return s.Type == anybody || first(s, "device") == "lo" }

func (l nameList) rows() []mark {
	return marked(l.section, l.option, list(l.section, l.option), l.derive)
}

// derive is the key of a server that nothing else is known of. What says more
// than a server ("/lan/192.0.2.1", "::1#5353") is no row.
func (l nameList) derive(text string) string {
	addr, _, bound := strings.Cut(text, "@")
	if _, err := netip.ParseAddr(addr); err != nil || bound && !l.relay {
		return ""
	}
	return l.key + "_" + text
}

func (l nameList) forward(v *view, m mark) platform.DNSForward {
	addr, link, _ := strings.Cut(m.value, "@")
	r := platform.DNSForward{Enabled: !m.off, Interface: l.iface, Relay: l.relay}
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
	there := false
	for _, l := range nameLists(&e.view, p, network) {
		for _, m := range l.rows() {
			if m.key == key && l.forward(&e.view, m) == *row {
				return nil
			}
			there = there || m.key == key
		}
	}
	if err := e.mayPut(p, key, there); err != nil {
		return err
	}
	value := text(row.Server)
	if value == "" {
		value = noValue
	}
	var target nameList
	if row.Relay {
		relay, err := e.relay(p)
		if err != nil {
			return err
		}
		target = relayList(relay)
		if link := linkOf(network, row.Interface); link != "" {
			value += "@" + link
		}
	} else {
		s := e.clientSection(network, row.Interface)
		if s == nil {
			return notYet{fmt.Errorf("there is no interface %q", row.Interface)}
		}
		target = clientList(&e.view, network, s)
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

// clientSection is where the device's own servers of an interface are, nil when
// there is no such interface.
func (e *edit) clientSection(network *uci.Package, iface string) *uci.Section {
	for _, s := range network.Sections {
		if s.Type == "interface" && s.Name == iface || iface == "" && isLoopback(s) {
			return s
		}
	}
	if iface != "" {
		return nil
	}
	return e.add(network, anybody, anybody)
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
