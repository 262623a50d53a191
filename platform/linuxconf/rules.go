package linuxconf

// The rules that rows come to, as data. How they reach the kernel is said in
// nftables.go; String writes them as nft(8) does.

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"gatehouse/platform"
)

// A ruleset is all that our table has. Of the rules of a list the first that fits
// a packet counts.
type ruleset struct {
	outside []string   // names of the links that all mappings of "all interfaces" are of; none: every link
	in      []incoming // chain prerouting
	out     []outgoing // chain postrouting
}

func (r ruleset) empty() bool { return len(r.in)+len(r.out) == 0 }

// An outgoing rule has what leaves by a link bear the link's own address.
type outgoing struct {
	key  string // of the row
	link string
}

// An incoming rule leads what comes in for an address of this machine to a host
// inside, or leaves it with the machine.
type incoming struct {
	key         string       // of the row; "": the machine's own port
	link        string       // "": see outside
	from        netip.Prefix // invalid: anybody
	udp         bool
	first, last uint16     // ports; first 0: all
	to          netip.Addr // invalid: this machine
	port        uint16     // 0: each port to itself
}

// maxLink is how long the name of a link can be (IFNAMSIZ, with a zero at its end).
const maxLink = 15

// makeRules makes the rules of rows. A row that is not complete has none. hosts
// are the addresses of those inside that are called by a name. own is a TCP port
// of the machine that mappings from anywhere never take; 0: there is none.
func makeRules(out []platform.Entry[platform.NATInterface], in []platform.Entry[platform.PortMapping], hosts map[string]netip.Addr, own uint16) (r ruleset) {
	for _, e := range out {
		if v := e.Value; v.Enabled && isLink(v.Interface) {
			r.out = append(r.out, outgoing{e.Key, v.Interface})
			if !slices.Contains(r.outside, v.Interface) {
				r.outside = append(r.outside, v.Interface)
			}
		}
	}
	ranked := slices.Clone(in)
	slices.SortStableFunc(ranked, func(a, b platform.Entry[platform.PortMapping]) int {
		return cmp.Compare(b.Value.Rank(), a.Value.Rank())
	})
	spared := own == 0
	for _, e := range ranked {
		rule, ok := mappingRule(e, hosts)
		if !ok {
			continue
		}
		// Who names a RemoteHost says that he means it.
		if !spared && !rule.from.IsValid() {
			spared = true
			r.in = append(r.in, incoming{first: own, last: own})
		}
		r.in = append(r.in, rule)
	}
	if !slices.ContainsFunc(r.in, func(i incoming) bool { return i.link == "" && i.key != "" }) {
		r.outside = nil
	}
	return r
}

func isLink(name string) bool { return name != "" && len(name) <= maxLink }

// mappingRule is the rule of a mapping; ok is false when it has none.
func mappingRule(e platform.Entry[platform.PortMapping], hosts map[string]netip.Addr) (rule incoming, ok bool) {
	m := e.Value
	to, err := netip.ParseAddr(m.InternalClient)
	if err != nil {
		to = hosts[hostKey(m.InternalClient)]
	}
	// A broadcast goes to nobody in particular, so there is nobody to translate
	// the answers of.
	if !m.Enabled || !to.Is4() || to == netip.AddrFrom4([4]byte{255, 255, 255, 255}) {
		return incoming{}, false
	}
	rule = incoming{key: e.Key, udp: m.Protocol == "UDP", to: to}
	if !m.AllInterfaces {
		if rule.link = m.Interface; !isLink(m.Interface) {
			return incoming{}, false
		}
	}
	if m.RemoteHost.IsValid() && m.RemoteHost.Bits() > 0 {
		if rule.from = m.RemoteHost.Masked(); !rule.from.Addr().Is4() {
			return incoming{}, false
		}
	}
	if m.ExternalPort != 0 {
		rule.first, rule.last, rule.port = m.ExternalPort, max(m.ExternalPort, m.ExternalPortLast), m.InternalPort
		if rule.port == 0 {
			return incoming{}, false
		}
	}
	return rule, true
}

// String is the table as `nft list table` prints it.
func (r ruleset) String() string {
	if r.empty() {
		return ""
	}
	var b strings.Builder
	b.WriteString("table ip " + tableName + " {\n")
	if len(r.outside) > 0 {
		fmt.Fprintf(&b, "\tset %s {\n\t\ttype ifname\n\t\telements = { \"%s\" }\n\t}\n\n", setName, strings.Join(slices.Sorted(slices.Values(r.outside)), "\",\n\t\t\t     \""))
	}
	b.WriteString("\tchain prerouting {\n\t\ttype nat hook prerouting priority dstnat; policy accept;\n")
	for _, i := range r.in {
		b.WriteString("\t\t" + i.text(len(r.outside) > 0) + "\n")
	}
	b.WriteString("\t}\n\n\tchain postrouting {\n\t\ttype nat hook postrouting priority srcnat; policy accept;\n")
	for _, o := range r.out {
		fmt.Fprintf(&b, "\t\toifname %q masquerade comment %q\n", o.link, o.key)
	}
	b.WriteString("\t}\n}\n")
	return b.String()
}

// text is one rule. outside says whether there is a set of links outside.
func (i incoming) text(outside bool) string {
	var w []string
	switch {
	case i.link != "":
		w = append(w, fmt.Sprintf("iifname %q", i.link))
	case outside && i.key != "":
		w = append(w, "iifname @"+setName)
	}
	w = append(w, "fib daddr type local")
	if i.from.IsSingleIP() {
		w = append(w, "ip saddr "+i.from.Addr().String())
	} else if i.from.IsValid() {
		w = append(w, "ip saddr "+i.from.String())
	}
	proto := "tcp"
	if i.udp {
		proto = "udp"
	}
	switch {
	case i.first == 0:
		w = append(w, "meta l4proto "+proto)
	case i.first == i.last:
		w = append(w, fmt.Sprintf("%s dport %d", proto, i.first))
	default:
		w = append(w, fmt.Sprintf("%s dport %d-%d", proto, i.first, i.last))
	}
	switch {
	case !i.to.IsValid():
		return strings.Join(append(w, "return"), " ")
	case i.port == 0:
		w = append(w, "dnat to "+i.to.String())
	default:
		w = append(w, fmt.Sprintf("dnat to %s:%d", i.to, i.port))
	}
	return strings.Join(append(w, fmt.Sprintf("comment %q", i.key)), " ")
}
