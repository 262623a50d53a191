package linuxconf

// Files of systemd-networkd (systemd.network(5)): what one says of addresses, and
// how it reads with other ones.

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"gatehouse/platform"
)

// A networkFile is a file taken apart, in its order, without comments.
type networkFile []networkSection

type networkSection struct {
	name    string
	entries []networkEntry
}

type networkEntry struct{ key, value string }

// parseNetwork reads systemd.syntax(7): a line that ends with a backslash goes on
// in the next one. What is no line of a section is left out, as networkd does.
func parseNetwork(text string) (f networkFile) {
	carried := ""
	for line := range strings.Lines(text) {
		line = carried + strings.TrimSpace(line)
		carried = ""
		trimmed := strings.TrimSpace(line)
		if trimmed == "" || trimmed[0] == '#' || trimmed[0] == ';' {
			continue
		}
		if whole, more := strings.CutSuffix(line, "\\"); more {
			carried = whole + " "
			continue
		}
		if name, ok := strings.CutPrefix(trimmed, "["); ok {
			f = append(f, networkSection{name: strings.TrimSuffix(name, "]")})
			continue
		}
		key, value, ok := strings.Cut(trimmed, "=")
		if !ok || len(f) == 0 {
			continue
		}
		s := &f[len(f)-1]
		s.entries = append(s.entries, networkEntry{strings.TrimSpace(key), strings.TrimSpace(value)})
	}
	return f
}

func (f networkFile) String() string {
	var b strings.Builder
	for _, s := range f {
		if len(s.entries) == 0 {
			continue
		}
		fmt.Fprintf(&b, "\n[%s]\n", s.name)
		for _, e := range s.entries {
			fmt.Fprintf(&b, "%s=%s\n", e.key, e.value)
		}
	}
	return b.String()
}

// values are those of a key in the sections of a name.
func (f networkFile) values(section, key string) (all []string) {
	for _, s := range f {
		for _, e := range s.entries {
			if s.name == section && e.key == key {
				all = append(all, e.value)
			}
		}
	}
	return all
}

func (f networkFile) last(section, key string) string {
	if all := f.values(section, key); len(all) > 0 {
		return all[len(all)-1]
	}
	return ""
}

// without is the file without what drop picks.
func (f networkFile) without(drop func(s networkSection, e networkEntry) bool) (left networkFile) {
	for _, s := range f {
		s.entries = slices.DeleteFunc(slices.Clone(s.entries), func(e networkEntry) bool { return drop(s, e) })
		left = append(left, s)
	}
	return left
}

// with is the file with a value more, in the first section of the name.
func (f networkFile) with(section, key, value string) networkFile {
	i := slices.IndexFunc(f, func(s networkSection) bool { return s.name == section })
	if i < 0 {
		i, f = len(f), append(f, networkSection{name: section})
	}
	f[i].entries = append(f[i].entries, networkEntry{key, value})
	return f
}

// replace puts values in the place of those of a key.
func (f networkFile) replace(section, key string, values ...string) networkFile {
	f = f.without(func(s networkSection, e networkEntry) bool { return s.name == section && e.key == key })
	for _, v := range values {
		f = f.with(section, key, v)
	}
	return f
}

// isAddress says whether an entry is an address that a row can be: one of [Network],
// or one of a section of its own that says no more.
func isAddress(s networkSection, e networkEntry) bool {
	return e.key == "Address" && (s.name == "Network" || s.name == "Address" && len(s.entries) == 1)
}

// row reads what a file says as a row.
func (f networkFile) row(link string) platform.Interface {
	r := platform.Interface{Enabled: true, Proto: "static", Device: link, IPv4: true, IPv6: true, PeerDNS: true}
	switch f.last("Network", "DHCP") {
	case "yes", "true", "1", "on", "ipv4", "v4", "both":
		r.Proto = "dhcp"
	case "ipv6", "v6":
		r.Proto = "dhcpv6"
	}
	if f.last("Network", "LinkLocalAddressing") == "no" && f.last("Network", "IPv6AcceptRA") == "no" {
		r.IPv6 = false
	}
	if p := f.last("Link", "ActivationPolicy"); p == "down" || p == "always-down" {
		r.Enabled = false
	}
	if mtu, err := strconv.ParseUint(f.last("Link", "MTUBytes"), 10, 32); err == nil {
		r.MTU = uint32(mtu)
	}
	r.Gateway, _ = netip.ParseAddr(f.last("Network", "Gateway"))
	for _, s := range f {
		for _, e := range s.entries {
			if p, err := netip.ParsePrefix(e.value); err == nil && isAddress(s, e) {
				r.Addrs = append(r.Addrs, platform.InterfaceAddr{Key: p.Addr().String(), Enabled: true, Prefix: p})
			}
		}
	}
	for _, words := range f.values("Network", "DNS") {
		for _, w := range strings.Fields(words) {
			if a, err := netip.ParseAddr(w); err == nil {
				r.DNS = append(r.DNS, a)
			}
		}
	}
	return r
}

// render is the file for one link, with what a row says in place of what it says
// itself, and with routes. What no row can say stays.
func (f networkFile) render(link string, r platform.Interface, routes []platform.StaticRoute) string {
	was := f.row(link)
	f = slices.DeleteFunc(slices.Clone(f), func(s networkSection) bool { return s.name == "Match" })
	f = slices.Insert(f, 0, networkSection{"Match", []networkEntry{{"Name", link}}})
	if r.MTU != was.MTU {
		f = f.replace("Link", "MTUBytes")
		if r.MTU != 0 {
			f = f.with("Link", "MTUBytes", strconv.FormatUint(uint64(r.MTU), 10))
		}
	}
	if r.Enabled != was.Enabled {
		f = f.replace("Link", "ActivationPolicy", map[bool]string{true: "up", false: "always-down"}[r.Enabled])
	}
	if r.Proto != was.Proto && (isDynamic(r.Proto) || isDynamic(was.Proto)) {
		f = f.replace("Network", "DHCP", map[string]string{"dhcp": "ipv4", "dhcpv6": "ipv6"}[r.Proto])
		if !isDynamic(r.Proto) {
			f = f.replace("Network", "DHCP", "no")
		}
	}
	if r.IPv6 != was.IPv6 {
		f = f.replace("Network", "LinkLocalAddressing").replace("Network", "IPv6AcceptRA")
		if !r.IPv6 {
			f = f.with("Network", "LinkLocalAddressing", "no").with("Network", "IPv6AcceptRA", "no")
		}
	}
	if r.Gateway != was.Gateway {
		f = f.replace("Network", "Gateway")
		if r.Gateway.IsValid() {
			f = f.with("Network", "Gateway", r.Gateway.String())
		}
	}
	f = f.without(isAddress)
	for _, a := range r.Addrs {
		if a.Enabled && a.Prefix.IsValid() && !a.Prefix.Addr().IsUnspecified() && (r.IPv6 || a.Prefix.Addr().Is4()) {
			f = f.with("Network", "Address", a.Prefix.String())
		}
	}
	if !slices.Equal(r.DNS, was.DNS) {
		f = f.replace("Network", "DNS")
		for _, a := range r.DNS {
			f = f.with("Network", "DNS", a.String())
		}
	}
	for _, route := range routes {
		f = append(f, routeSection(route))
	}
	return f.String()
}

func isDynamic(proto string) bool { return proto == "dhcp" || proto == "dhcpv6" }

func routeSection(r platform.StaticRoute) networkSection {
	s := networkSection{"Route", []networkEntry{{"Destination", r.Dest.String()}}}
	if r.Gateway.IsValid() {
		s.entries = append(s.entries, networkEntry{"Gateway", r.Gateway.WithZone("").String()})
	}
	if r.Metric > 0 {
		s.entries = append(s.entries, networkEntry{"Metric", strconv.Itoa(int(r.Metric))})
	}
	return s
}
