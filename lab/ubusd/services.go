package ubusd

// What dnsmasq and the firewall make of their packages: the one a file that it
// is started with, the other rules in the kernel.

import (
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// dnsmasqFile is where its script writes, below the root.
const dnsmasqFile = "/var/etc/dnsmasq.conf.cfg01411c"

// writeDnsmasq writes what dnsmasq's script does for the pools of dhcp. mu is
// held.
func (r *Router) writeDnsmasq() {
	var text strings.Builder
	text.WriteString("# auto-generated config file from /etc/config/dhcp\nno-daemon\n")
	for _, s := range load(r.Root, "dhcp") {
		switch {
		case s.typ == "host" && s.get("ip") != "" && s.get("mac") != "":
			fmt.Fprintf(&text, "dhcp-host=%s,%s\n", s.get("mac"), s.get("ip"))
		case s.typ == "dhcp" && on(s.get("ignore")):
			fmt.Fprintf(&text, "no-dhcp-interface=%s\n", s.get("interface"))
		case s.typ == "dhcp" && s.get("dhcpv4") != "disabled":
			text.WriteString(r.dhcpRange(s))
		}
	}
	path := filepath.Join(r.Root, dnsmasqFile)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err == nil {
		_ = os.WriteFile(path, []byte(text.String()), 0o644) // who looks for it will miss it
	}
}

// dhcpRange is the line of a pool: of an interface that is up with a static
// address.
func (r *Router) dhcpRange(s section) string {
	number := func(option string, def int) int {
		if n, err := strconv.Atoi(s.get(option)); err == nil {
			return n
		}
		return def
	}
	for _, i := range r.nets {
		if i.name != s.get("interface") || i.proto != "static" || !i.up || len(i.addrs) == 0 || !i.addrs[0].Addr().Is4() {
			continue
		}
		length, mask := i.addrs[0].Bits(), s.get("netmask")
		if mask != "" {
			length = bits(mask)
		}
		low := netip.PrefixFrom(i.addrs[0].Addr(), length).Masked().Addr()
		for range number("start", 100) {
			low = low.Next()
		}
		high := low
		for range number("limit", 150) - 1 {
			high = high.Next()
		}
		tag := s.get("networkid")
		if tag == "" {
			tag = s.get("interface")
		}
		return fmt.Sprintf("dhcp-range=set:%s,%s,%s,%s,12h\n", tag, low, high, mask)
	}
	return ""
}

// A Rule is one of table inet fw4, as far as one can tell what it was made of.
type Rule struct{ Chain, Comment string }

// firewall are the rules of address translation that fw4 makes of its package.
func (r *Router) firewall() (rules []Rule) {
	redirects := 0
	for _, s := range load(r.Root, "firewall") {
		switch {
		case s.typ == "zone" && on(s.get("masq")):
			rules = append(rules, Rule{"srcnat_" + s.get("name"), "!fw4: Masquerade IPv4 " + s.get("name") + " traffic"})
		case s.typ == "redirect":
			name := s.get("name")
			if name == "" && strings.HasPrefix(s.name, "cfg") {
				name = fmt.Sprintf("@redirect[%d]", redirects)
			} else if name == "" {
				name = s.name
			}
			redirects++
			if s.get("src") != "" && !off(s.get("enabled")) {
				rules = append(rules, Rule{"dstnat_" + s.get("src"), "!fw4: " + name})
			}
		}
	}
	return rules
}
