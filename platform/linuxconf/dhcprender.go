package linuxconf

// dnsmasq's configuration (dnsmasq(8)), made of the rows of the DHCP server and of
// the relay. What reaches a line is an address, a number, or a word of letters that
// mean nothing to dnsmasq: no row can say more than it is meant to.

import (
	"bytes"
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"gatehouse/platform"
	"gatehouse/platform/uciconf"
)

type dhcpTables struct {
	server   platform.Table[platform.DHCPServer]
	pools    platform.Table[platform.DHCPPool]
	hosts    platform.Table[platform.DHCPHost]
	options  platform.Table[platform.DHCPOption]
	naming   platform.Table[platform.DNSConfig]
	forwards platform.Table[platform.DNSForward]
}

// dhcpRows are all that dnsmasq is to know.
type dhcpRows struct {
	serves   bool // the DHCP server is on
	relays   bool // so is the relay
	pools    []platform.Entry[platform.DHCPPool]
	hosts    []platform.Entry[platform.DHCPHost]
	options  []platform.Entry[platform.DHCPOption]
	forwards []platform.Entry[platform.DNSForward]
}

func (t dhcpTables) read(ctx context.Context) (dhcpRows, error) {
	server, err := rowsOf(ctx, t.server)
	naming, err2 := rowsOf(ctx, t.naming)
	pools, err3 := rowsOf(ctx, t.pools)
	hosts, err4 := rowsOf(ctx, t.hosts)
	options, err5 := rowsOf(ctx, t.options)
	forwards, err6 := rowsOf(ctx, t.forwards)
	if err := cmp.Or(err, err2, err3, err4, err5, err6); err != nil {
		return dhcpRows{}, err
	}
	off := slices.ContainsFunc(server, func(e platform.Entry[platform.DHCPServer]) bool { return !e.Value.Enabled })
	mute := slices.ContainsFunc(naming, func(e platform.Entry[platform.DNSConfig]) bool { return !e.Value.RelayEnabled })
	return dhcpRows{!off, !mute, pools, hosts, options, forwards}, nil
}

func rowsOf[T any](ctx context.Context, t platform.Table[T]) (all []platform.Entry[T], err error) {
	for e, err := range t.Rows(ctx) {
		if err != nil {
			return nil, err
		}
		all = append(all, e)
	}
	return all, nil
}

// A leftOut is a row that is on and not in the file.
type leftOut struct {
	key string
	why error
}

const poolLine = "# pool " // and the key

// A script is a file in the making.
type script struct {
	bytes.Buffer
	left []leftOut
}

func (s *script) line(format string, args ...any) { fmt.Fprintf(s, format+"\n", args...) }

func (s *script) leave(key string, why error) { s.left = append(s.left, leftOut{key, why}) }

// render makes the file. dnsmasq asks its ranges in their order, so that is the
// order of the pools; of several addresses that are kept for one client in a
// network it takes the last, so the hosts come in the opposite one.
func (r dhcpRows) render() (text string, left []leftOut) {
	var s script
	s.WriteString(ours)
	if !r.relays {
		s.line("port=0")
	}
	for _, e := range r.forwards {
		s.forward(e)
	}
	pools := r.served(&s)
	kept := r.kept(pools)
	for _, e := range pools {
		r.pool(&s, e, kept)
	}
	var hosts []string
	for _, e := range pools {
		for _, h := range r.hosts {
			if h.Value.Pool == e.Key && told(h.Value) {
				hosts = append(hosts, hostLine(h.Value))
			}
		}
	}
	for _, h := range slices.Backward(hosts) {
		s.line("%s", h)
	}
	return s.String(), s.left
}

// served are the pools that are on and can be, in their order. What is incomplete
// is left out without a word: its Status says so.
func (r dhcpRows) served(s *script) (pools []platform.Entry[platform.DHCPPool]) {
	for _, e := range r.pools {
		p := e.Value
		if !r.serves || !p.Enabled || p.Interface == "" || !p.Min.IsValid() || !p.Max.IsValid() {
			continue
		}
		_, err := spansOf(p, nil)
		if !isWord(p.Interface) || !isWord(e.Key) {
			err = errLink
		}
		if err != nil {
			s.leave(e.Key, err)
			continue
		}
		pools = append(pools, e)
	}
	slices.SortStableFunc(pools, func(a, b platform.Entry[platform.DHCPPool]) int {
		return cmp.Compare(a.Value.Order-1, b.Value.Order-1) // 0, not known, comes last
	})
	return pools
}

// kept are the addresses that no client gets who only asks. False are those that
// dnsmasq is not told of: a StaticAddress that is off does not go back to the pool
// (TR-181, StaticAddress.{i}.Enable).
func (r dhcpRows) kept(pools []platform.Entry[platform.DHCPPool]) map[netip.Addr]bool {
	kept := map[netip.Addr]bool{}
	for _, h := range r.hosts {
		of := func(e platform.Entry[platform.DHCPPool]) bool { return e.Key == h.Value.Pool }
		if h.Value.Addr.Is4() && slices.ContainsFunc(pools, of) {
			kept[h.Value.Addr] = kept[h.Value.Addr] || told(h.Value)
		}
	}
	return kept
}

func told(h platform.DHCPHost) bool {
	mac, err := net.ParseMAC(h.MAC)
	return h.Enabled && err == nil && len(mac) == 6 && h.Addr.Is4()
}

// forward has a name server asked by the relay.
func (s *script) forward(e platform.Entry[platform.DNSForward]) {
	f := e.Value
	switch {
	case !f.Relay || !f.Enabled || !f.Server.IsValid():
	case f.Server.Zone() != "" && !isWord(f.Server.Zone()), f.Interface != "" && !isWord(f.Interface):
		s.leave(e.Key, errLink)
	case f.Interface != "":
		s.line("server=%s@%s", f.Server, f.Interface)
	default:
		s.line("server=%s", f.Server)
	}
}

var (
	errLink   = errors.New("the name of its interface has letters that dnsmasq has a use for")
	errRange  = errors.New("its addresses are not a range of one subnet")
	errMask   = errors.New("its mask is none")
	errDomain = errors.New("its domain name has letters that no name has")
)

// isWord says whether dnsmasq takes a word of its configuration as it stands: no
// comma, colon, quote, wildcard or negation, and nothing that leaves the line.
func isWord(s string) bool {
	for _, c := range []byte(s) {
		if !('a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '.' || c == '-' || c == '_') {
			return false
		}
	}
	return s != "" && len(s) <= 255
}

// pool writes a pool: its ranges, and what its clients are told. A tag ties them
// together; that of the link, which dnsmasq sets, keeps clients of other links out.
func (r dhcpRows) pool(s *script, e platform.Entry[platform.DHCPPool], kept map[netip.Addr]bool) {
	p := e.Value
	tag := "gh_" + e.Key
	spans, _ := spansOf(p, kept) // served has looked
	rest := leaseWord(p.LeaseTime)
	if p.Mask.IsValid() {
		rest = p.Mask.String() + "," + rest
	}
	s.line("\n%s%s", poolLine, e.Key)
	for _, span := range spans {
		s.line("dhcp-range=tag:%s,set:%s,%s,%s,%s", p.Interface, tag, span.low, span.high, rest)
	}
	if len(spans) == 0 { // only those whom an address is kept for
		s.line("dhcp-range=tag:%s,set:%s,%s,static,%s", p.Interface, tag, p.Min, rest)
	}
	s.option(tag, 3, addrWords(p.Routers))
	s.option(tag, 6, addrWords(p.DNS))
	if isWord(p.Domain) {
		s.option(tag, 15, p.Domain)
	} else if p.Domain != "" {
		s.leave(e.Key, errDomain)
	}
	for _, o := range r.options {
		if o.Value.Pool != e.Key || !o.Value.Enabled || o.Value.Tag == 0 || o.Value.Tag == 255 {
			continue
		}
		text, err := uciconf.OptionText(o.Value.Tag, o.Value.Value)
		if err != nil {
			s.leave(o.Key, err)
			continue
		}
		s.line("dhcp-option=%s", strings.TrimSuffix(fmt.Sprintf("tag:%s,%d,%s", tag, o.Value.Tag, text), ","))
	}
}

// option writes an option of a pool's own fields; without a value dnsmasq tells its
// clients of itself.
func (s *script) option(tag string, number int, value string) {
	if value != "" {
		s.line("dhcp-option=tag:%s,%d,%s", tag, number, value)
	}
}

// hostLine keeps an address for a client, and gives it a name. One that dnsmasq
// would take for a time or for one of its words is left out.
func hostLine(h platform.DHCPHost) string {
	mac, _ := net.ParseMAC(h.MAC) // told has looked
	line := fmt.Sprintf("dhcp-host=%s,%s", mac, h.Addr)
	_, err := strconv.ParseUint(strings.TrimRight(h.Name, "wdhmsWDHMS"), 10, 64)
	if err == nil || !isWord(h.Name) || len(h.Name) > 63 || strings.ContainsAny(h.Name, "._") || h.Name[0] == '-' ||
		h.Name == "infinite" || h.Name == "ignore" {
		return line
	}
	return line + "," + h.Name
}

// A span is addresses from low to high.
type span struct{ low, high netip.Addr }

// spansOf are the addresses that a pool gives to whoever asks: from Min to Max
// without those that are reserved. An address that is kept for one client stays
// within: dnsmasq gives it to nobody else, and has to find it in this pool.
func spansOf(p platform.DHCPPool, kept map[netip.Addr]bool) (all []span, err error) {
	if !p.Min.Is4() || !p.Max.Is4() || p.Max.Less(p.Min) {
		return nil, errRange
	}
	var holes []netip.Addr
	for a, told := range kept {
		if !told {
			holes = append(holes, a)
		}
	}
	for _, a := range p.Reserved {
		if !kept[a] {
			holes = append(holes, a)
		}
	}
	if p.Mask.IsValid() {
		first, last, err := network(p.Min, p.Mask)
		if err != nil {
			return nil, err
		}
		if last.Less(p.Max) {
			return nil, errRange
		}
		if last != first.Next() && last != first { // RFC 3021: two alone are hosts
			holes = append(holes, first, last)
		}
	}
	slices.SortFunc(holes, netip.Addr.Compare)
	low := p.Min
	for _, h := range holes {
		if h.Less(low) || p.Max.Less(h) {
			continue
		}
		if low.Less(h) {
			all = append(all, span{low, h.Prev()})
		}
		low = h.Next()
	}
	if low.IsValid() && !p.Max.Less(low) {
		all = append(all, span{low, p.Max})
	}
	return all, nil
}

// network is the first and the last address of the network of an address.
func network(a, mask netip.Addr) (first, last netip.Addr, err error) {
	if !mask.Is4() {
		return first, last, errMask
	}
	bits := mask.As4()
	ones, size := net.IPMask(bits[:]).Size()
	if size == 0 {
		return first, last, errMask
	}
	first = netip.PrefixFrom(a, ones).Masked().Addr()
	b := first.As4()
	binary.BigEndian.PutUint32(b[:], binary.BigEndian.Uint32(b[:])|uint32(uint64(1)<<(32-ones)-1))
	return first, netip.AddrFrom4(b), nil
}

// leaseWord is a lease time. dnsmasq has two minutes at least, and what 32 bits
// cannot say is for ever (RFC 2131 §3.3).
func leaseWord(d time.Duration) string {
	seconds := max(int64(d/time.Second), 120)
	if d < 0 || seconds >= 1<<31 {
		return "infinite"
	}
	return strconv.FormatInt(seconds, 10)
}

// addrWords are the addresses of an option, as many as any client reads.
func addrWords(all []netip.Addr) string {
	var words []string
	for _, a := range all {
		if a.Is4() && len(words) < 63/2 {
			words = append(words, a.String())
		}
	}
	return strings.Join(words, ",")
}
