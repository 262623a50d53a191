package uciconf

// What holds between the sections of dhcp: which pool of an interface comes
// first, whose options are whose, and which addresses no client gets.

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"gatehouse/internal/uci"
)

// arrange sees to all of it when the rows of the batch are what they are to be,
// once.
func (e *edit) arrange(p *uci.Package) {
	if e.arranged {
		return
	}
	e.arranged = true
	e.afterAll(func(e *edit) error { // what others have put off comes before it
		e.afterAll(func(e *edit) error {
			e.sortPools(p)
			e.tagPools(p)
			return e.reserve(p)
		})
		return nil
	})
}

// together returns the pools of each interface, in the order of the file.
func together(p *uci.Package) (all [][]*uci.Section) {
	at := map[string]int{}
	for _, s := range p.Sections {
		name := s.Get("interface")
		if s.Type != "dhcp" || name == "" {
			continue
		}
		i, known := at[name]
		if !known {
			i, at[name], all = len(all), len(all), append(all, nil)
		}
		all[i] = append(all[i], s)
	}
	return all
}

// orderOf is the order of a pool: the place in the file where nobody wrote one.
func orderOf(p *uci.Package, s *uci.Section) uint32 {
	if n := number(s, orderOption); n > 0 {
		return n
	}
	n := uint32(0)
	for _, other := range p.Sections {
		if other.Type == "dhcp" {
			n++
		}
		if other == s {
			break
		}
	}
	return n
}

// sortPools puts the pools of an interface in their order: dnsmasq takes an
// address of the first range in its file that has one. Those of different
// interfaces have nothing to do with each other, and stay.
func (e *edit) sortPools(p *uci.Package) {
	for _, pools := range together(p) {
		order := map[*uci.Section]uint32{}
		for _, s := range pools {
			order[s] = orderOf(p, s)
		}
		sorted := slices.Clone(pools)
		slices.SortStableFunc(sorted, func(a, b *uci.Section) int { return cmp.Compare(order[a], order[b]) })
		if slices.Equal(pools, sorted) {
			continue
		}
		for _, s := range sorted { // what follows from the place is to stay
			e.num(s, orderOption, number(s, orderOption), order[s])
			e.own(s, "")
		}
		p.Order(sorted...)
	}
}

// tagPools gives every pool of an interface but one a tag of its own: dnsmasq's
// script calls those without one after the interface, so that each would send
// the options of all.
func (e *edit) tagPools(p *uci.Package) {
	const tag = "networkid"
	for _, pools := range together(p) {
		plain := false
		for _, s := range pools {
			switch have := s.Get(tag); {
			case have == s.Name && len(pools) == 1:
				e.set(s, tag, "")
			case have == "" && plain:
				e.set(s, tag, s.Name)
			case have == "":
				plain = true
			}
		}
	}
}

// dnsmasq has no word for an address that it shall not give away, but it gives
// none that is kept for a client: such an address is kept for nobody, by a
// section of ours. A group address is no client's (IEEE 802 §8.2).
const (
	reservation = own + "res_" // begins its name, the address in hexadecimal digits ends it
	nobody      = "01:00:00:00:00:00"
)

func isReservation(s *uci.Section) bool { return strings.HasPrefix(s.Name, reservation) }

// reserve keeps the reserved addresses of all pools for nobody, but for those
// that are kept for somebody: dnsmasq does not start with one that is kept twice.
func (e *edit) reserve(p *uci.Package) error {
	var wanted []netip.Addr
	for _, s := range p.Sections {
		if s.Type != "dhcp" || !settled(s) || len(list(s, reservedOption)) == 0 {
			continue
		}
		e.need("network")
		net, ok := subnet(&e.view, s.Get("interface"))
		if !ok {
			continue
		}
		low, high := poolRange(s, net)
		for _, a := range addrs(list(s, reservedOption)) {
			if low.IsValid() && !a.Less(low) && !high.Less(a) && !slices.Contains(wanted, a) {
				wanted = append(wanted, a)
			}
		}
	}
	for _, ours := range []bool{false, true} {
		for _, s := range slices.Clone(p.Sections) {
			a, err := netip.ParseAddr(s.Get("ip"))
			if s.Type != "host" || err != nil || isReservation(s) != ours {
				continue
			}
			if at := slices.Index(wanted, a); at >= 0 {
				wanted = slices.Delete(wanted, at, at+1)
			} else if ours {
				e.delete(p, s)
			}
		}
	}
	for _, a := range wanted {
		s := e.add(p, "host", fmt.Sprintf("%s%08x", reservation, toUint(a)))
		e.set(s, "mac", nobody)
		e.set(s, "ip", a.String())
	}
	return nil
}
