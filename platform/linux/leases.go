// DHCP leases that this machine has given, from the files of dnsmasq, odhcpd
// and ISC dhcpd: they tell the names of hosts.

package linux

import (
	"context"
	"iter"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"gatehouse/platform"
)

// A lease is what a file says of one address.
type lease struct {
	addr netip.Addr
	mac  string // "" where the file does not tell (DHCPv6)
	name string
	link string
	ends time.Time // zero: for ever
}

// maxLeases bounds what is kept while neighbours are read.
const maxLeases = 4096

// Leases implements platform.Leases: what dnsmasq has given. Any host of the
// network can ask for leases, so there are no more than maxLeases.
func (b *backend) Leases(ctx context.Context) iter.Seq2[platform.Lease, error] {
	return func(yield func(platform.Lease, error) bool) {
		now, n := time.Now(), 0
		for _, name := range b.paths.dnsmasqLeases {
			text, err := readFile(name, fileLimit)
			if err != nil {
				continue // there is no such dnsmasq, or it has given nothing yet
			}
			for _, l := range parseDnsmasq(text) {
				if ctx.Err() != nil {
					yield(platform.Lease{}, ctx.Err())
					return
				}
				ended := !l.Ends.IsZero() && !l.Ends.After(now)
				if ended || !l.Addr.Is4() || n == maxLeases {
					continue
				}
				if n++; !yield(l, nil) {
					return
				}
			}
		}
	}
}

// leases reads all files that exist. Those which have ended are left out.
func (b *backend) leases(now time.Time) []lease {
	var all []lease
	for _, source := range []struct {
		files []string
		parse func([]byte) []lease
	}{
		{b.paths.dnsmasqLeases, dnsmasqHosts}, {b.paths.odhcpdLeases, parseOdhcpd}, {b.paths.dhcpdLeases, parseDhcpd},
	} {
		for _, name := range source.files {
			text, err := readFile(name, fileLimit)
			if err != nil {
				continue
			}
			for _, l := range source.parse(text) {
				if (l.ends.IsZero() || l.ends.After(now)) && len(all) < maxLeases {
					all = append(all, l)
				}
			}
		}
	}
	return all
}

// unixTime reads seconds since 1970; 0 and -1 mean for ever.
func unixTime(s string) (time.Time, bool) {
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil {
		return time.Time{}, false
	}
	if n <= 0 {
		return time.Time{}, true
	}
	return time.Unix(n, 0), true
}

// hostName takes a name as the files have it, where "*" and "-" mean none.
func hostName(s string) string {
	if s == "*" || s == "-" {
		return ""
	}
	return strings.ToValidUTF8(s, "?")
}

// parseDnsmasq reads "expiry mac ip name client-id" and, after a "duid" line,
// "expiry iaid ip6 name duid". A name or an identifier that is not known is a star.
func parseDnsmasq(b []byte) (all []platform.Lease) {
	for l := range strings.Lines(string(b)) {
		f := strings.Fields(l)
		if len(f) < 4 {
			continue
		}
		ends, ok := unixTime(f[0])
		addr, err := netip.ParseAddr(f[2])
		if !ok || err != nil {
			continue
		}
		x := platform.Lease{Addr: addr, Ends: ends}
		if f[3] != "*" {
			x.Name = f[3]
		}
		if addr.Is4() {
			x.MAC = strings.ToLower(f[1])
			if i := strings.IndexByte(x.MAC, '-'); i >= 0 { // "06-aa:bb…": hardware type first
				x.MAC = x.MAC[i+1:]
			}
			if len(f) > 4 && f[4] != "*" {
				x.ClientID = f[4]
			}
		}
		all = append(all, x)
	}
	return all
}

// dnsmasqHosts is what dnsmasq's leases say of hosts.
func dnsmasqHosts(b []byte) (all []lease) {
	for _, l := range parseDnsmasq(b) {
		all = append(all, lease{addr: l.Addr, mac: l.MAC, name: hostName(l.Name), ends: l.Ends})
	}
	return all
}

// parseOdhcpd reads "# link duid iaid name expiry id length ip/length …"; of
// IPv4 the duid is the MAC and the iaid "ipv4".
func parseOdhcpd(b []byte) (all []lease) {
	for l := range strings.Lines(string(b)) {
		f := strings.Fields(l)
		if len(f) < 9 || f[0] != "#" {
			continue
		}
		ends, ok := unixTime(f[5])
		if !ok {
			continue
		}
		for _, s := range f[8:] {
			p, err := netip.ParsePrefix(s)
			if err != nil || !p.IsSingleIP() { // a delegated prefix is not a host
				continue
			}
			x := lease{addr: p.Addr(), name: hostName(f[4]), link: f[1], ends: ends}
			if f[3] == "ipv4" && len(f[2]) == 12 {
				x.mac = colons(f[2])
			}
			all = append(all, x)
		}
	}
	return all
}

func colons(hex string) string {
	var parts []string
	for i := 0; i+2 <= len(hex); i += 2 {
		parts = append(parts, hex[i:i+2])
	}
	return strings.ToLower(strings.Join(parts, ":"))
}

// parseDhcpd reads dhcpd.leases(5). The file is a log: the last entry of an
// address counts, and one that is not "active" takes it away.
func parseDhcpd(b []byte) (all []lease) {
	at := map[netip.Addr]lease{}
	var order []netip.Addr
	var now lease
	active := false
	for l := range strings.Lines(string(b)) {
		f := strings.Fields(strings.TrimRight(strings.TrimSpace(l), ";{"))
		if len(f) == 0 {
			continue
		}
		switch {
		case f[0] == "lease" && len(f) == 2:
			now, active = lease{}, true
			now.addr, _ = netip.ParseAddr(f[1])
		case f[0] == "ends" && len(f) == 4: // "ends 4 2026/01/01 12:00:00", in UTC
			now.ends, _ = time.Parse("2006/01/02 15:04:05", f[2]+" "+f[3])
		case f[0] == "binding" && len(f) == 3:
			active = f[2] == "active"
		case f[0] == "hardware" && len(f) == 3:
			now.mac = strings.ToLower(f[2])
		case f[0] == "client-hostname" && len(f) == 2:
			now.name = hostName(strings.Trim(f[1], `"`))
		case f[0] == "}" && now.addr.IsValid():
			if _, seen := at[now.addr]; !seen && len(order) < maxLeases {
				order = append(order, now.addr)
			}
			if delete(at, now.addr); active {
				at[now.addr] = now
			}
			now = lease{}
		}
	}
	for _, a := range order {
		if l, ok := at[a]; ok {
			all = append(all, l)
		}
	}
	return all
}
