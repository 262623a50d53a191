package uciconf

// Address translation: the zones and redirects of firewall. A zone is a set of
// interfaces; what TR-181 asks of one interface is done to its zone.

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"gatehouse/internal/uci"
	"gatehouse/platform"
)

// zoneOf is the zone that an interface is in, nil when it is in none.
func zoneOf(v *view, key string) *uci.Section {
	for _, s := range v.beside("firewall").Sections {
		if s.Type == "zone" && slices.Contains(list(s, "network"), key) {
			return s
		}
	}
	return nil
}

func zoneName(v *view, key string) string {
	if z := zoneOf(v, key); z != nil {
		return z.Get("name")
	}
	return ""
}

// setZone moves an interface to another zone; "" takes it out of its own.
func (e *edit) setZone(key, name string) error {
	p, err := e.open("firewall")
	if err != nil {
		return err
	}
	var target *uci.Section
	for _, s := range p.Sections {
		if s.Type == "zone" && s.Get("name") == name {
			target = s
		}
	}
	if name != "" && target == nil {
		return fmt.Errorf("there is no firewall zone %q", name)
	}
	if z := zoneOf(&e.view, key); z != nil {
		was := list(z, "network")
		e.list(z, "network", was, slices.DeleteFunc(slices.Clone(was), func(n string) bool { return n == key }))
	}
	if target != nil {
		was := list(target, "network")
		e.list(target, "network", was, append(slices.Clone(was), key))
	}
	return nil
}

// NATInterfaces are the zones, each under the first of its interfaces. A new one
// is a zone of its own, for an interface that is in none.
func (c *Conf) NATInterfaces() platform.Table[platform.NATInterface] {
	return kind[platform.NATInterface]{
		pkg: "firewall", types: []string{"zone"}, prefix: "nat",
		read: func(_ *view, s *uci.Section) platform.NATInterface {
			return platform.NATInterface{Enabled: isSet(s, "masq", false), Interface: first(s, "network")}
		},
		write: writeNAT,
		gone: func(e *edit, p *uci.Package, s *uci.Section) error {
			if !isSet(s, own+"zone", false) {
				return fmt.Errorf("zone %q has rules that hang on it: %w", s.Get("name"), platform.ErrUnsupported)
			}
			e.delete(p, s)
			return nil
		},
	}.table(c)
}

func writeNAT(e *edit, _ *uci.Package, s *uci.Section, old, r *platform.NATInterface) error {
	if e.isNew(s) {
		e.set(s, "name", s.Name)
		e.set(s, own+"zone", "1")
	}
	if old.Interface != r.Interface {
		if !isSet(s, own+"zone", false) {
			return fmt.Errorf("the interfaces of zone %q: %w", s.Get("name"), platform.ErrUnsupported)
		}
		if z := zoneOf(&e.view, r.Interface); r.Interface != "" && z != nil && z != s {
			return fmt.Errorf("interface %q is in zone %q, whose row is %q", r.Interface, z.Get("name"), z.Name)
		}
		var members []string
		if r.Interface != "" {
			members = []string{r.Interface}
		}
		e.list(s, "network", list(s, "network"), members)
	}
	e.flag(s, "masq", old.Enabled, r.Enabled, false)
	return nil
}

// PortMappings are the redirects that lead inside.
func (c *Conf) PortMappings() platform.Table[platform.PortMapping] {
	return kind[platform.PortMapping]{
		pkg: "firewall", types: []string{"redirect"}, prefix: "map", blank: platform.PortMapping{Protocol: "TCP"},
		shows: func(s *uci.Section) bool { t := s.Get("target"); return t == "" || strings.EqualFold(t, "DNAT") },
		read:  readMapping, write: writeMapping,
	}.table(c)
}

// The options that say of a mapping what a redirect cannot.
const (
	allInterfaces = own + "all"
	expiresOption = own + "expires" // seconds since 1970
	leaseOption   = own + "lease"   // seconds
	clientOption  = own + "client"  // the name whose address dest_ip is
	textOption    = own + "description"
	portOption    = own + "port" // inside, while all ports are mapped, or 0: none yet
)

func readMapping(v *view, s *uci.Section) platform.PortMapping {
	r := platform.PortMapping{
		Enabled:        isSet(s, "enabled", true) || isSet(s, wished, false),
		AllInterfaces:  isSet(s, allInterfaces, false),
		Lease:          time.Duration(number(s, leaseOption)) * time.Second,
		Protocol:       protocol(s),
		InternalClient: s.Get("dest_ip"),
		Description:    s.Get("name"),
	}
	if text := s.Get(textOption); text != "" && remark(text) == r.Description {
		r.Description = text
	}
	if name := s.Get(clientOption); name != "" {
		r.InternalClient = name
	}
	if !r.AllInterfaces {
		r.Interface = s.Get(own + "interface")
		for _, z := range v.beside("firewall").Sections {
			if z.Type == "zone" && z.Get("name") == s.Get("src") {
				r.Interface = mappingInterface(s, z)
			}
		}
	}
	if n, err := strconv.ParseInt(s.Get(expiresOption), 10, 64); err == nil {
		r.Expires = time.Unix(n, 0).UTC()
	}
	r.RemoteHost, _ = prefixOf(s.Get("src_ip"), "")
	r.ExternalPort, r.ExternalPortLast = ports(s.Get("src_dport"))
	r.InternalPort, _ = ports(s.Get("dest_port"))
	switch kept := s.Option(portOption); {
	case r.InternalPort != 0:
	case kept != nil:
		r.InternalPort, _ = ports(kept.Value())
	default: // fw4 leads to the port that was asked for
		r.InternalPort = r.ExternalPort
	}
	return r
}

// mappingInterface is the interface of a zone that a mapping is of: the one it
// was made for, or the first.
func mappingInterface(s, zone *uci.Section) string {
	members := list(zone, "network")
	if name := s.Get(own + "interface"); slices.Contains(members, name) {
		return name
	}
	if len(members) > 0 {
		return members[0]
	}
	return ""
}

// protocol is what is mapped. A redirect of both, which is the default, counts
// as one of TCP: TR-181 has no word for it.
func protocol(s *uci.Section) string {
	if words := list(s, "proto"); len(words) == 1 && words[0] == "udp" {
		return "UDP"
	}
	return "TCP"
}

// ports reads "80" or "80-90" ("80:90" in old files); last is 0 for one port.
func ports(text string) (from, last uint16) {
	a, b, many := strings.Cut(strings.ReplaceAll(text, ":", "-"), "-")
	n, err := strconv.ParseUint(a, 10, 16)
	if err != nil {
		return 0, 0
	}
	if m, err := strconv.ParseUint(b, 10, 16); many && err == nil && m != n {
		return uint16(n), uint16(m)
	}
	return uint16(n), 0
}

func portText(from, last uint16) string {
	switch {
	case from == 0:
		return ""
	case last == 0 || last == from:
		return strconv.Itoa(int(from))
	}
	return strconv.Itoa(int(from)) + "-" + strconv.Itoa(int(last))
}

func writeMapping(e *edit, p *uci.Package, s *uci.Section, old, r *platform.PortMapping) error {
	if e.isNew(s) {
		e.set(s, "target", "DNAT")
		e.set(s, "enabled", "0")
		e.setList(s, "proto", []string{"tcp"}) // without it, it is both
		*old = readMapping(&e.view, s)
	}
	if old.Interface != r.Interface || old.AllInterfaces != r.AllInterfaces {
		e.writeSource(p, s, r)
	}
	if old.Protocol != r.Protocol {
		if r.Protocol != "TCP" && r.Protocol != "UDP" {
			return fmt.Errorf("protocol %q: %w", r.Protocol, platform.ErrUnsupported)
		}
		e.setList(s, "proto", []string{strings.ToLower(r.Protocol)})
	}
	if old.RemoteHost != r.RemoteHost {
		e.set(s, "src_ip", prefixText(r.RemoteHost))
	}
	if old.ExternalPort != r.ExternalPort || old.ExternalPortLast != r.ExternalPortLast {
		if r.ExternalPortLast != 0 && r.ExternalPortLast < r.ExternalPort {
			return fmt.Errorf("ports %d to %d", r.ExternalPort, r.ExternalPortLast)
		}
		e.set(s, "src_dport", portText(r.ExternalPort, r.ExternalPortLast))
	}
	if old.InternalPort != r.InternalPort || old.ExternalPort != r.ExternalPort || old.ExternalPortLast != r.ExternalPortLast {
		port, kept := portText(r.InternalPort, 0), ""
		switch {
		case r.ExternalPort == 0: // all are led each to itself: with dest_port all would lead to one
			port, kept = "", port
		case r.InternalPort == 0:
			kept = "0"
		}
		e.str(s, "dest_port", s.Get("dest_port"), port)
		e.str(s, portOption, s.Get(portOption), kept)
	}
	if old.InternalClient != r.InternalClient {
		e.writeClient(s, r.InternalClient)
	}
	if old.Description != r.Description {
		e.describe(s, r.Description)
	}
	e.num(s, leaseOption, uint32(old.Lease/time.Second), uint32(r.Lease/time.Second))
	if !old.Expires.Equal(r.Expires) {
		e.set(s, expiresOption, "")
		if !r.Expires.IsZero() {
			e.set(s, expiresOption, strconv.FormatInt(r.Expires.Unix(), 10))
		}
	}
	e.switchMapping(s, old, r)
	return nil
}

// switchMapping: without a source fw4 leaves a redirect out, without a host
// inside it leads to the router itself, and without a port there to whatever
// port was asked for.
func (e *edit) switchMapping(s *uci.Section, old, r *platform.PortMapping) {
	if old.Enabled == r.Enabled && old.Interface == r.Interface && old.AllInterfaces == r.AllInterfaces &&
		old.InternalClient == r.InternalClient && old.InternalPort == r.InternalPort && old.ExternalPort == r.ExternalPort {
		return
	}
	complete := s.Get("src") != "" && s.Get("dest_ip") != "" && (r.InternalPort != 0 || r.ExternalPort == 0)
	e.flag(s, "enabled", isSet(s, "enabled", true), r.Enabled && complete, true)
	e.wish(s, r.Enabled && !complete)
}

// maxRemark is what fw4 can take of a name. It makes a comment of it, with
// "!fw4: " before and " (reflection)" behind, and nft refuses the whole ruleset,
// not only the rule, when a comment has more than 127 bytes.
const maxRemark = 100

// remark is what fw4 is told of a description. nft knows no way to quote a
// quotation mark: one would end the comment, and the ruleset would not load.
func remark(text string) string {
	text = strings.Map(func(r rune) rune {
		if r == '"' || r == '\\' {
			return '\''
		}
		return r
	}, strings.ToValidUTF8(text, "?"))
	for len(text) > maxRemark {
		_, size := utf8.DecodeLastRuneInString(text)
		text = text[:len(text)-size]
	}
	return text
}

// describe writes a description: as the name, and beside it where fw4 could not
// take all of it.
func (e *edit) describe(s *uci.Section, text string) {
	name, kept := remark(text), ""
	if name != text {
		kept = text
	}
	e.str(s, "name", s.Get("name"), name)
	e.str(s, textOption, s.Get(textOption), kept)
}

func prefixText(p netip.Prefix) string {
	switch {
	case !p.IsValid():
		return ""
	case p.IsSingleIP():
		return p.Addr().String()
	}
	return p.String()
}

// writeSource writes where the traffic comes from. fw4 refuses a redirect from
// everywhere; all interfaces are those whose addresses others see, the zone that
// translates. An interface in no zone is kept, and leads nowhere.
func (e *edit) writeSource(p *uci.Package, s *uci.Section, r *platform.PortMapping) {
	src, kept := "", ""
	switch {
	case r.AllInterfaces:
		for _, z := range p.Sections {
			if z.Type == "zone" && isSet(z, "masq", false) && src == "" {
				src = z.Get("name")
			}
		}
	case r.Interface != "":
		kept = r.Interface
		if z := zoneOf(&e.view, r.Interface); z != nil {
			src = z.Get("name")
			if first(z, "network") == r.Interface {
				kept = ""
			}
		}
	}
	e.str(s, "src", s.Get("src"), src)
	e.str(s, own+"interface", s.Get(own+"interface"), kept)
	e.flag(s, allInterfaces, isSet(s, allInterfaces, false), r.AllInterfaces, false)
}

// writeClient writes the host inside, and the zone that it is in. A name is one
// that a fixed address has; one that nobody has is kept, and leads nowhere.
func (e *edit) writeClient(s *uci.Section, client string) {
	ip, kept := client, ""
	addr, err := netip.ParseAddr(client)
	if err != nil && client != "" {
		ip, kept = "", client
		e.need("dhcp")
		for _, h := range e.beside("dhcp").Sections {
			if h.Type == "host" && strings.EqualFold(h.Get("name"), client) {
				ip = h.Get("ip")
			}
		}
		addr, err = netip.ParseAddr(ip)
	}
	e.str(s, "dest_ip", s.Get("dest_ip"), ip)
	e.str(s, clientOption, s.Get(clientOption), kept)
	if err != nil {
		return
	}
	for _, z := range e.beside("firewall").Sections {
		if z.Type != "zone" {
			continue
		}
		for _, member := range list(z, "network") {
			if net, ok := subnet(&e.view, member); ok && net.Contains(addr) {
				e.str(s, "dest", s.Get("dest"), z.Get("name"))
				return // else fw4 finds the zone when it knows the addresses
			}
		}
	}
}
