package uciconf

// Logical interfaces: the interface sections of network, with their static
// addresses, and the zone of firewall that each of them is in.

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"gatehouse/internal/uci"
	"gatehouse/platform"
)

// Interfaces are the logical interfaces.
func (c *Conf) Interfaces() platform.Table[platform.Interface] {
	return kind[platform.Interface]{
		pkg: "network", types: []string{"interface"}, prefix: "if",
		blank: platform.Interface{Proto: "none", IPv4: true, PeerDNS: true},
		read:  readInterface, write: writeInterface,
		gone: func(e *edit, p *uci.Package, s *uci.Section) error {
			e.delete(p, s)
			if zoneOf(&e.view, s.Name) == nil {
				return nil
			}
			return e.setZone(s.Name, "")
		},
	}.table(c)
}

// only6 are the protocols that give no IPv4 address, only4 those that give no
// IPv6 one.
var only6, only4 = []string{"dhcpv6", "6in4", "6to4", "6rd"}, []string{"dhcp", "dslite", "map"}

func readInterface(v *view, s *uci.Section) platform.Interface {
	r := platform.Interface{
		Enabled: !isSet(s, "disabled", false),
		Proto:   s.Get("proto"),
		Device:  first(s, "device"),
		MTU:     number(s, "mtu"),
		DNS:     addrs(list(s, "dns")),
		PeerDNS: isSet(s, "peerdns", true),
		Zone:    zoneName(v, v.key(v.beside("network"), s)),
	}
	if r.Device == "" {
		r.Device = first(s, "ifname") // before 21.02
	}
	if r.Proto == "" {
		r.Proto = "none"
	}
	r.Loopback = r.Device == "lo"
	r.IPv4 = !slices.Contains(only6, r.Proto)
	r.IPv6 = !slices.Contains(only4, r.Proto) && isSet(s, "ipv6", true)
	r.Gateway, _ = netip.ParseAddr(s.Get("gateway"))
	for _, m := range addressRows(s) {
		prefix, _ := netip.ParsePrefix(m.value) // noValue is none
		r.Addrs = append(r.Addrs, platform.InterfaceAddr{Key: m.key, Enabled: !m.off, Prefix: prefix})
	}
	if s.Option("ip6assign") != nil && hasULA(v.beside("network")) {
		class := list(s, "ip6class")
		r.ULA = len(class) == 0 || slices.Contains(class, "local")
	}
	return r
}

func hasULA(p *uci.Package) bool {
	return slices.ContainsFunc(p.Sections, func(s *uci.Section) bool { return s.Type == "globals" && s.Get("ula_prefix") != "" })
}

// Globals is what netifd has for all interfaces.
func (c *Conf) Globals() platform.Table[platform.GlobalConfig] {
	return kind[platform.GlobalConfig]{
		pkg: "network", types: []string{"globals"}, only: "globals",
		read: func(_ *view, s *uci.Section) (r platform.GlobalConfig) {
			r.ULA, _ = netip.ParsePrefix(s.Get("ula_prefix"))
			return r
		},
		write: func(e *edit, _ *uci.Package, s *uci.Section, old, r *platform.GlobalConfig) error {
			if old.ULA != r.ULA {
				value := ""
				if r.ULA.IsValid() {
					value = r.ULA.String()
				}
				e.set(s, "ula_prefix", value)
			}
			return nil
		},
	}.table(c)
}

// addressKey is the key of an address that nothing else is known of.
func addressKey(prefix string) string {
	addr, _, _ := strings.Cut(prefix, "/")
	return addr
}

// addressRows are the static addresses: ipaddr with netmask, ipaddr with a
// length, ip6addr.
func addressRows(s *uci.Section) []mark {
	var values []string
	for _, option := range []string{"ipaddr", "ip6addr"} {
		for _, v := range list(s, option) {
			if p, ok := prefixOf(v, s.Get("netmask")); ok {
				values = append(values, p.String())
			}
		}
	}
	return marked(s, "addr", values, addressKey)
}

// prefixOf reads an address with its length, or with a mask beside it. One
// without either is a host.
func prefixOf(text, mask string) (netip.Prefix, bool) {
	if p, err := netip.ParsePrefix(text); err == nil {
		return p, true
	}
	a, err := netip.ParseAddr(text)
	if err != nil {
		return netip.Prefix{}, false
	}
	bits := a.BitLen()
	if n, ok := maskBits(mask); ok && a.Is4() {
		bits = n
	}
	return netip.PrefixFrom(a, bits), true
}

// maskBits is the length of a mask like 255.255.255.0, or of one written as a
// number.
func maskBits(mask string) (int, bool) {
	p, err := netip.ParsePrefix("0.0.0.0/" + mask)
	if err == nil {
		return p.Bits(), true
	}
	a, err := netip.ParseAddr(mask)
	if err != nil || !a.Is4() {
		return 0, false
	}
	b := a.As4()
	m := uint32(b[0])<<24 | uint32(b[1])<<16 | uint32(b[2])<<8 | uint32(b[3])
	n := 0
	for ; m&(1<<31) != 0; m <<= 1 {
		n++
	}
	return n, m == 0
}

// maskOf is the mask of a length.
func maskOf(bits int) string {
	m := ^uint32(0) << (32 - bits)
	return netip.AddrFrom4([4]byte{byte(m >> 24), byte(m >> 16), byte(m >> 8), byte(m)}).String()
}

func writeInterface(e *edit, p *uci.Package, s *uci.Section, old, r *platform.Interface) error {
	if old.Proto != r.Proto || e.isNew(s) {
		e.set(s, "proto", r.Proto)
	}
	e.flag(s, "disabled", !old.Enabled, !r.Enabled, false)
	if old.Device != r.Device {
		e.set(s, "device", r.Device)
		e.set(s, "ifname", "")
	}
	e.num(s, "mtu", old.MTU, r.MTU)
	if old.Gateway != r.Gateway {
		e.set(s, "gateway", text(r.Gateway))
	}
	if e.isNew(s) { // else the rows of Forwards, of which one may be put in this batch
		e.list(s, "dns", list(s, "dns"), texts(r.DNS))
	}
	e.flag(s, "peerdns", old.PeerDNS, r.PeerDNS, true)
	now := readInterface(&e.view, s) // with another protocol come other families
	if r.IPv6 == old.IPv6 {
		r.IPv6 = now.IPv6
	}
	if r.IPv4 == old.IPv4 {
		r.IPv4 = now.IPv4
	}
	if now.IPv6 != r.IPv6 && !slices.Contains(only4, r.Proto) {
		e.flag(s, "ipv6", now.IPv6, r.IPv6, true)
		now.IPv6 = r.IPv6
	}
	fixed(e, "IPv4", now.IPv4, r.IPv4)
	fixed(e, "IPv6", now.IPv6, r.IPv6)
	fixed(e, "ULA", old.ULA, r.ULA)
	if !slices.Equal(old.Addrs, r.Addrs) {
		if err := e.writeAddrs(s, r.Addrs); err != nil {
			return err
		}
		e.afterAll(func(e *edit) error { return e.settlePools(s.Name) })
	}
	if r.Enabled && (!old.Enabled || old.Proto != r.Proto || !slices.Equal(old.Addrs, r.Addrs)) {
		e.afterAll(func(e *edit) error { return e.apart(p, s) })
	}
	if old.Zone != r.Zone {
		return e.setZone(s.Name, r.Zone)
	}
	return nil
}

func (e *edit) writeAddrs(s *uci.Section, all []platform.InterfaceAddr) error {
	var v4, v6 []netip.Prefix
	var rows []mark
	for _, a := range all {
		if a.Key == "" || strings.ContainsAny(a.Key, " \t\n") {
			return fmt.Errorf("bad key %q of an address", a.Key)
		}
		if slices.ContainsFunc(rows, func(m mark) bool { return m.key == a.Key }) {
			return fmt.Errorf("two addresses with the key %q", a.Key)
		}
		value := noValue
		if a.Prefix.IsValid() {
			value = a.Prefix.String()
		}
		rows = append(rows, mark{key: a.Key, value: value, off: !a.Enabled})
		switch {
		case !a.Enabled || !a.Prefix.IsValid():
		case a.Prefix.Addr().Is4():
			v4 = append(v4, a.Prefix)
		default:
			v6 = append(v6, a.Prefix)
		}
	}
	e.write4(s, v4)
	e.list(s, "ip6addr", list(s, "ip6addr"), prefixes(v6))
	e.setMarks(s, "addr", rows, addressKey)
	return nil
}

// write4 writes one address as it is written now, with a mask or with a length;
// several are a list.
func (e *edit) write4(s *uci.Section, all []netip.Prefix) {
	if o := s.Option("ipaddr"); len(all) == 1 && o != nil && !o.List && s.Get("netmask") != "" {
		e.str(s, "ipaddr", s.Get("ipaddr"), all[0].Addr().String())
		e.str(s, "netmask", s.Get("netmask"), maskOf(all[0].Bits()))
		return
	}
	e.set(s, "netmask", "")
	if o := s.Option("ipaddr"); o != nil && !o.List {
		e.set(s, "ipaddr", "")
	}
	e.list(s, "ipaddr", list(s, "ipaddr"), prefixes(all))
}

func prefixes(all []netip.Prefix) []string {
	var words []string
	for _, p := range all {
		words = append(words, p.String())
	}
	return words
}

// static4 are the IPv4 networks that an interface has by its configuration
// alone. A host address makes none.
func static4(s *uci.Section) (all []netip.Prefix) {
	if s.Type != "interface" || s.Get("proto") != "static" || isSet(s, "disabled", false) {
		return nil
	}
	for _, text := range list(s, "ipaddr") {
		if p, ok := prefixOf(text, s.Get("netmask")); ok && p.Addr().Is4() && !p.IsSingleIP() {
			all = append(all, p)
		}
	}
	return all
}

// apart refuses an interface in the network of another one: the device would
// look for the hosts of the one behind the other. Several on one link may share
// theirs.
func (e *edit) apart(p *uci.Package, s *uci.Section) error {
	for _, other := range p.Sections {
		if link := first(other, "device"); other == s || link != "" && (link == first(s, "device") || link == "@"+s.Name || first(s, "device") == "@"+other.Name) {
			continue
		}
		for _, there := range static4(other) {
			for _, here := range static4(s) {
				if here.Overlaps(there) {
					return fmt.Errorf("address %s is in the network of interface %q, %s", here, other.Name, there)
				}
			}
		}
	}
	return nil
}

// subnet is the first IPv4 network of an interface.
func subnet(v *view, key string) (netip.Prefix, bool) {
	p := v.beside("network")
	for _, s := range p.Sections {
		if s.Type != "interface" || v.key(p, s) != key {
			continue
		}
		for _, text := range list(s, "ipaddr") {
			if prefix, ok := prefixOf(text, s.Get("netmask")); ok && prefix.Addr().Is4() {
				return prefix, true
			}
		}
	}
	return netip.Prefix{}, false
}
