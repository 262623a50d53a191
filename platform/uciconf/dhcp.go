package uciconf

// DHCP: the pools of the package dhcp, and the server as a whole.

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"gatehouse/internal/uci"
	"gatehouse/platform"
)

// serverOff in the dnsmasq section says that no pool is served. dnsmasq has no
// such switch: each pool is off then, and wished says which would be on.
const serverOff = own + "dhcpv4_off"

// DHCPServer is dnsmasq's DHCPv4, all pools of it.
func (c *Conf) DHCPServer() platform.Table[platform.DHCPServer] {
	return kind[platform.DHCPServer]{
		pkg: "dhcp", types: []string{"dnsmasq"}, shows: isMain, only: "dnsmasq",
		read: func(_ *view, s *uci.Section) platform.DHCPServer {
			return platform.DHCPServer{Enabled: !isSet(s, serverOff, false)}
		},
		write: func(e *edit, p *uci.Package, s *uci.Section, old, r *platform.DHCPServer) error {
			e.flag(s, serverOff, !old.Enabled, !r.Enabled, false)
			if old.Enabled == r.Enabled {
				return nil
			}
			for _, pool := range p.Sections {
				if pool.Type == "dhcp" {
					e.serve(pool, served(pool), r.Enabled && settled(pool))
				}
			}
			return nil
		},
	}.table(c)
}

// ServesByOdhcpd says whether it is odhcpd that serves IPv4, and not dnsmasq.
func (c *Conf) ServesByOdhcpd() bool {
	return slices.ContainsFunc(c.view().beside("dhcp").Sections, func(s *uci.Section) bool {
		return s.Type == "odhcpd" && isSet(s, "maindhcp", false)
	})
}

// isMain says whether a dnsmasq section is the one of the device: others are
// further instances, and bound to interfaces.
func isMain(s *uci.Section) bool { return len(list(s, "interface")) == 0 }

// served says whether a pool is enabled, as if the server were.
func served(s *uci.Section) bool {
	off := isSet(s, "ignore", false) || s.Get("dhcpv4") == "disabled"
	return !off || isSet(s, wished, false)
}

// serve switches a pool. ignore would take IPv6 along, so it is dhcpv4 that says
// so; newer versions of dnsmasq's script want to see "server".
func (e *edit) serve(s *uci.Section, pool, server bool) {
	e.wish(s, pool && !server)
	off := isSet(s, "ignore", false) || s.Get("dhcpv4") == "disabled"
	switch on := pool && server; {
	case on && off:
		e.set(s, "ignore", "")
		e.set(s, "dhcpv4", "server")
	case !on && !off:
		e.set(s, "dhcpv4", "disabled")
	}
}

func serverOn(p *uci.Package) bool {
	return !slices.ContainsFunc(p.Sections, func(s *uci.Section) bool {
		return s.Type == "dnsmasq" && isMain(s) && isSet(s, serverOff, false)
	})
}

// DHCPPools are the ranges that are served.
func (c *Conf) DHCPPools() platform.Table[platform.DHCPPool] {
	return kind[platform.DHCPPool]{
		pkg: "dhcp", types: []string{"dhcp"}, prefix: "pool", blank: platform.DHCPPool{LeaseTime: 12 * time.Hour},
		read: readPool, write: writePool,
		gone: func(e *edit, p *uci.Package, s *uci.Section) error {
			e.arrange(p)
			e.delete(p, s)
			return nil
		},
	}.table(c)
}

const (
	orderOption    = own + "order"
	reservedOption = own + "reserved" // a list
	limitsOption   = own + "range"    // the addresses, while the interface has no network that holds them
)

func readPool(v *view, s *uci.Section) platform.DHCPPool {
	r := platform.DHCPPool{
		Enabled:   served(s),
		Order:     orderOf(v.beside("dhcp"), s),
		Interface: s.Get("interface"),
		Reserved:  addrs(list(s, reservedOption)),
		DNS:       addrs(optionWords(s, 6)),
		Routers:   addrs(optionWords(s, 3)),
		LeaseTime: leaseTime(s.Get("leasetime")),
	}
	if words := optionWords(s, 15); len(words) > 0 {
		r.Domain = words[0]
	}
	r.Mask, _ = netip.ParseAddr(s.Get("netmask"))
	if limits := list(s, limitsOption); len(limits) == 2 {
		r.Min, _ = netip.ParseAddr(limits[0])
		r.Max, _ = netip.ParseAddr(limits[1])
	} else if net, ok := subnet(v, r.Interface); ok {
		r.Min, r.Max = poolRange(s, net)
	}
	return r
}

// poolRange reads start and limit: how far from the network's address the range
// begins, and how many addresses it has; 100 and 150 when nobody says.
func poolRange(s *uci.Section, net netip.Prefix) (low, high netip.Addr) {
	start, limit := number(s, "start"), number(s, "limit")
	if s.Get("start") == "" {
		start = 100
	}
	if s.Get("limit") == "" {
		limit = 150
	}
	base := toUint(net.Masked().Addr())
	last := base | ^uint32(0)>>net.Bits()
	from := base + start
	to := uint64(from) + uint64(limit) - 1
	if limit == 0 || from > last || from < base {
		return low, high
	}
	return fromUint(from), fromUint(uint32(min(to, uint64(last)-1)))
}

func toUint(a netip.Addr) uint32 {
	b := a.As4()
	return uint32(b[0])<<24 | uint32(b[1])<<16 | uint32(b[2])<<8 | uint32(b[3])
}

func fromUint(n uint32) netip.Addr {
	return netip.AddrFrom4([4]byte{byte(n >> 24), byte(n >> 16), byte(n >> 8), byte(n)})
}

// leaseTime reads 12h, 45m, 30 (seconds), infinite.
func leaseTime(text string) time.Duration {
	if text == "" {
		return 12 * time.Hour
	}
	if text == "infinite" {
		return -1
	}
	unit := time.Second
	for suffix, u := range map[string]time.Duration{"s": time.Second, "m": time.Minute, "h": time.Hour, "d": 24 * time.Hour, "w": 7 * 24 * time.Hour} {
		if number, ok := strings.CutSuffix(text, suffix); ok {
			text, unit = number, u
		}
	}
	n, err := strconv.ParseUint(text, 10, 32)
	if err != nil {
		return 12 * time.Hour
	}
	return time.Duration(n) * unit
}

func leaseText(d time.Duration) string {
	switch {
	case d < 0:
		return "infinite"
	case d%time.Hour == 0:
		return strconv.Itoa(int(d/time.Hour)) + "h"
	case d%time.Minute == 0:
		return strconv.Itoa(int(d/time.Minute)) + "m"
	}
	return strconv.Itoa(int(d / time.Second))
}

func writePool(e *edit, p *uci.Package, s *uci.Section, old, r *platform.DHCPPool) error {
	e.arrange(p)
	if e.isNew(s) {
		e.serve(s, false, false)
		*old = readPool(&e.view, s)
		old.Min, old.Max = netip.Addr{}, netip.Addr{}
	}
	if old.Order != r.Order {
		e.num(s, orderOption, number(s, orderOption), r.Order)
	}
	e.str(s, "interface", old.Interface, r.Interface)
	if !slices.Equal(old.Reserved, r.Reserved) {
		e.list(s, reservedOption, texts(old.Reserved), texts(r.Reserved))
	}
	if old.Min != r.Min || old.Max != r.Max || old.Interface != r.Interface || old.Enabled != r.Enabled {
		moved := old.Min != r.Min || old.Max != r.Max || old.Interface != r.Interface
		e.afterAll(func(e *edit) error { // the interface may get its address in this batch
			if moved {
				e.writeRange(s, r.Interface, r.Min, r.Max)
				if old.Mask == r.Mask && !e.maskFits(s) {
					e.set(s, "netmask", "")
				}
			}
			e.serve(s, r.Enabled, serverOn(p) && settled(s))
			return nil
		})
	}
	if old.Mask != r.Mask {
		e.set(s, "netmask", text(r.Mask))
	}
	if !slices.Equal(old.DNS, r.DNS) {
		e.setOption(s, 6, strings.Join(texts(r.DNS), ","))
	}
	if !slices.Equal(old.Routers, r.Routers) {
		e.setOption(s, 3, strings.Join(texts(r.Routers), ","))
	}
	if old.Domain != r.Domain {
		if strings.ContainsAny(r.Domain, ", ") {
			return fmt.Errorf("domain name %q", r.Domain)
		}
		e.setOption(s, 15, r.Domain)
	}
	if old.LeaseTime != r.LeaseTime {
		if r.LeaseTime >= 0 && r.LeaseTime < 2*time.Minute {
			return fmt.Errorf("lease time %s: dnsmasq has two minutes at least", r.LeaseTime)
		}
		e.set(s, "leasetime", leaseText(r.LeaseTime))
	}
	return nil
}

// settled says whether a pool has a range on an interface.
func settled(s *uci.Section) bool { return s.Get("interface") != "" && s.Option(limitsOption) == nil }

// writeRange writes start and limit. What cannot be said with them, because the
// interface has no address, or another one, is kept, and not served.
func (e *edit) writeRange(s *uci.Section, iface string, low, high netip.Addr) {
	e.need("network")
	net, ok := subnet(&e.view, iface)
	if ok && net.Contains(low) && net.Contains(high) && !high.Less(low) {
		base := toUint(net.Masked().Addr())
		e.set(s, limitsOption, "")
		e.str(s, "start", s.Get("start"), strconv.FormatUint(uint64(toUint(low)-base), 10))
		e.str(s, "limit", s.Get("limit"), strconv.FormatUint(uint64(toUint(high)-toUint(low))+1, 10))
		return
	}
	e.set(s, "start", "")
	e.set(s, "limit", "")
	e.setList(s, limitsOption, []string{orNone(low), orNone(high)})
}

// settlePools follows an interface into another network: pools that wait for it
// get their ranges, masks that were right for the old one go, and so do the
// addresses there that are given to nobody.
func (e *edit) settlePools(iface string) error {
	waits := func(s *uci.Section) bool { return s.Option(limitsOption) != nil }
	follows := func(s *uci.Section) bool {
		return s.Type == "dhcp" && s.Get("interface") == iface && (waits(s) || !e.maskFits(s) || s.Option(reservedOption) != nil)
	}
	if !slices.ContainsFunc(e.beside("dhcp").Sections, follows) {
		return nil
	}
	p, err := e.open("dhcp")
	if err != nil {
		return err
	}
	e.arrange(p)
	for _, s := range p.Sections {
		if !follows(s) {
			continue
		}
		if waits(s) {
			r := readPool(&e.view, s)
			e.writeRange(s, iface, r.Min, r.Max)
			e.serve(s, r.Enabled, serverOn(p) && settled(s))
		}
		if !e.maskFits(s) {
			e.set(s, "netmask", "")
		}
	}
	return nil
}

// maskFits says whether a pool's own mask, if it has one, makes a network of its
// interface's address in which the range is the same. dnsmasq's script counts
// start from there, and dnsmasq does not start with a range across two networks.
func (v *view) maskFits(s *uci.Section) bool {
	net, ok := subnet(v, s.Get("interface"))
	mask := s.Get("netmask")
	if !ok || mask == "" || !settled(s) {
		return true
	}
	bits, ok := maskBits(mask)
	low, high := poolRange(s, net)
	masked := netip.PrefixFrom(net.Addr(), bits).Masked()
	return ok && low.IsValid() && masked.Addr() == net.Masked().Addr() && masked.Contains(high)
}

// orNone keeps the place of an address that is not known yet.
func orNone(a netip.Addr) string {
	if !a.IsValid() {
		return "-"
	}
	return a.String()
}
