// What may refuse a batch: one function per kind of change, each looking at
// the state as the changes before it will have left it.

package plan

import (
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"slices"

	"gatehouse/platform"
)

// ErrExists says that what should be added is there already.
var ErrExists = errors.New("exists already")

// MinMTU is the least MTU that IPv4 (RFC 791) and MinMTU6 the least that IPv6
// (RFC 8200) can live with.
const (
	MinMTU  = 68
	MinMTU6 = 1280
)

// A State is what the system has now.
type State struct {
	Links     []platform.Link
	Addresses []platform.Address
	Routes    []platform.Route // at least those that Batch.Concerns names
	// MTURange tells the limits of a link's driver. Nil: not known.
	MTURange func(link string) (lo, hi uint32)
	// IPv6 tells of the links that have IPv6 whether it is switched on.
	IPv6 map[string]bool
}

// Check goes through the changes in order, as if each one before had been
// made, and returns the first refusal as an [*platform.ItemError].
func Check(s State, changes []Change) error {
	s.Links = slices.Clone(s.Links)
	s.Addresses = slices.Clone(s.Addresses)
	s.Routes = slices.Clone(s.Routes)
	s.IPv6 = maps.Clone(s.IPv6)
	for i, c := range changes {
		if err := s.apply(c); err != nil {
			return &platform.ItemError{Item: i, Err: err}
		}
	}
	return nil
}

func (s *State) apply(c Change) error {
	switch c.Op {
	case AddAddress:
		return s.addAddress(c.Address)
	case DeleteAddress:
		return s.deleteAddress(c.Address)
	case AddRoute:
		return s.addRoute(c.Route)
	case DeleteRoute:
		return s.deleteRoute(c.Route)
	case SetLink:
		return s.setLink(c.Link, c.Enabled)
	case SetMTU:
		return s.setMTU(c.Link, c.MTU)
	case SetIPv6:
		return s.setIPv6(c.Link, c.Enabled)
	}
	return platform.ErrUnsupported
}

func (s *State) link(name string) (*platform.Link, error) {
	i := slices.IndexFunc(s.Links, func(l platform.Link) bool { return l.Name == name })
	if i < 0 {
		return nil, fmt.Errorf("link %q: %w", name, platform.ErrGone)
	}
	return &s.Links[i], nil
}

// SameAddress says whether the kernel takes the two for one address: the same
// IPv4 address may be there with several prefix lengths, an IPv6 one only once.
func SameAddress(a, b platform.Address) bool {
	return a.Link == b.Link && a.Prefix.Addr() == b.Prefix.Addr() &&
		(a.Prefix.Addr().Is6() || a.Prefix.Bits() == b.Prefix.Bits())
}

func (s *State) addAddress(a platform.Address) error {
	l, err := s.link(a.Link)
	if err != nil {
		return err
	}
	ip := a.Prefix.Addr()
	switch {
	case !a.Prefix.IsValid() || ip.IsUnspecified() || ip.IsMulticast() || a.Prefix.Bits() == 0 || ip.Is4In6():
		return fmt.Errorf("%v cannot be an address of a link", a.Prefix)
	case ip.IsLoopback() && l.Kind != platform.LinkLoopback:
		return fmt.Errorf("%v belongs on the loopback link", ip)
	case ip.Is4() && a.Prefix.Bits() < 31 && (ip == a.Prefix.Masked().Addr() || ip == broadcast(a.Prefix)):
		return fmt.Errorf("%v is the address of the network, not of a host", a.Prefix)
	case ip.Is6() && l.MTU < MinMTU6:
		return fmt.Errorf("%s has an MTU of %d, IPv6 needs %d", l.Name, l.MTU, MinMTU6)
	case ip.Is6() && !s.IPv6[a.Link]:
		return fmt.Errorf("IPv6 is switched off on %s", l.Name)
	case a.Peer.IsValid() && a.Peer.BitLen() != ip.BitLen():
		return fmt.Errorf("%v and its peer %v are of different families", ip, a.Peer)
	}
	if slices.ContainsFunc(s.Addresses, func(b platform.Address) bool { return SameAddress(a, b) }) {
		return fmt.Errorf("%v on %s %w", a.Prefix, a.Link, ErrExists)
	}
	s.Addresses = append(s.Addresses, a)
	return nil
}

func (s *State) deleteAddress(a platform.Address) error {
	if _, err := s.link(a.Link); err != nil {
		return err
	}
	i := slices.IndexFunc(s.Addresses, func(b platform.Address) bool { return SameAddress(a, b) })
	if i < 0 {
		return fmt.Errorf("%v on %s is %w", a.Prefix, a.Link, platform.ErrGone)
	}
	s.Addresses = slices.Delete(s.Addresses, i, i+1)
	s.Routes = slices.DeleteFunc(s.Routes, func(r platform.Route) bool { // its own route goes with it
		return r.Protocol == "kernel" && r.Link == a.Link && r.Dest == a.Prefix.Masked()
	})
	return nil
}

// Metric is what the kernel makes of a metric: 0 where none is given, and 1024
// for that in IPv6.
func Metric(r platform.Route) int32 {
	switch {
	case r.Metric > 0:
		return r.Metric
	case r.Dest.Addr().Is6():
		return 1024
	}
	return 0
}

func (s *State) addRoute(r platform.Route) error {
	switch {
	case !r.Dest.IsValid() || r.Dest.Addr().Is4In6():
		return errors.New("a route needs a destination")
	case r.Dest != r.Dest.Masked():
		return fmt.Errorf("%v has bits set beyond its prefix length", r.Dest)
	case !r.Gateway.IsValid() && r.Link == "":
		return errors.New("a route needs a gateway or a link")
	case r.Source.IsValid() && !s.own(r.Source):
		return fmt.Errorf("%v is not an address of this device", r.Source)
	}
	if r.Link != "" {
		l, err := s.link(r.Link)
		if err != nil {
			return err
		}
		if !l.Enabled {
			return fmt.Errorf("link %s is down", l.Name)
		}
	}
	if r.Gateway.IsValid() {
		if err := s.reachable(r); err != nil {
			return err
		}
	}
	if slices.ContainsFunc(s.Routes, func(o platform.Route) bool {
		return o.Dest == r.Dest && Metric(o) == Metric(r)
	}) {
		return fmt.Errorf("a route to %v with metric %d %w", r.Dest, Metric(r), ErrExists)
	}
	s.Routes = append(s.Routes, r)
	return nil
}

func (s *State) own(a netip.Addr) bool {
	return slices.ContainsFunc(s.Addresses, func(o platform.Address) bool { return o.Prefix.Addr() == a })
}

// reachable says whether a gateway is a neighbour: only then does the kernel
// accept it.
func (s *State) reachable(r platform.Route) error {
	g := r.Gateway.WithZone("")
	switch {
	case g.BitLen() != r.Dest.Addr().BitLen() || g.Is4In6():
		return fmt.Errorf("gateway %v is not of the family of %v", g, r.Dest)
	case g.IsUnspecified() || g.IsMulticast() || g.IsLoopback():
		return fmt.Errorf("%v cannot be a gateway", g)
	case s.own(g):
		return fmt.Errorf("gateway %v is an address of this device", g)
	case g.Is6() && g.IsLinkLocalUnicast():
		if r.Link == "" {
			return fmt.Errorf("gateway %v needs a link", g)
		}
		return nil
	}
	for _, a := range s.Addresses {
		net := a.Prefix
		if a.Peer.IsValid() {
			net = netip.PrefixFrom(a.Peer, a.Prefix.Bits())
		}
		if net.Masked().Contains(g) && s.leads(r.Link, a.Link) {
			return nil
		}
	}
	for _, o := range s.Routes {
		if !o.Gateway.IsValid() && o.Dest.Contains(g) && s.leads(r.Link, o.Link) {
			return nil
		}
	}
	if r.Link != "" {
		return fmt.Errorf("gateway %v cannot be reached by %s", g, r.Link)
	}
	return fmt.Errorf("gateway %v cannot be reached", g)
}

// leads says whether a route asked for on want may use a neighbour on have.
func (s *State) leads(want, have string) bool {
	if want != "" && want != have {
		return false
	}
	l, err := s.link(have)
	return err == nil && l.Enabled
}

// SameRoute says whether the asked route means the one that is there.
func SameRoute(asked, there platform.Route) bool {
	return asked.Dest == there.Dest && Metric(asked) == Metric(there) &&
		(!asked.Gateway.IsValid() || asked.Gateway.WithZone("") == there.Gateway.WithZone("")) &&
		(asked.Link == "" || asked.Link == there.Link)
}

func (s *State) deleteRoute(r platform.Route) error {
	i := slices.IndexFunc(s.Routes, func(o platform.Route) bool { return SameRoute(r, o) })
	if i < 0 {
		return fmt.Errorf("route to %v is %w", r.Dest, platform.ErrGone)
	}
	s.Routes = slices.Delete(s.Routes, i, i+1)
	return nil
}

func (s *State) setLink(name string, enabled bool) error {
	l, err := s.link(name)
	if err != nil {
		return err
	}
	if l.Kind == platform.LinkLoopback && !enabled {
		return errors.New("the loopback link cannot be switched off")
	}
	l.Enabled = enabled
	if !enabled { // its routes go with it
		s.Routes = slices.DeleteFunc(s.Routes, func(r platform.Route) bool { return r.Link == name })
	}
	return nil
}

func (s *State) setMTU(name string, mtu uint32) error {
	l, err := s.link(name)
	if err != nil {
		return err
	}
	lo, hi := uint32(MinMTU), uint32(1<<31-1)
	if s.MTURange != nil {
		if a, b := s.MTURange(name); b != 0 {
			lo, hi = max(lo, a), b
		}
	}
	if l.Kind == platform.LinkVLAN {
		if p, err := s.link(l.Parent); err == nil {
			hi = min(hi, p.MTU)
		}
	}
	if mtu < lo || mtu > hi {
		return fmt.Errorf("an MTU of %d is outside %d..%d of %s", mtu, lo, hi, name)
	}
	if mtu < MinMTU6 && slices.ContainsFunc(s.Addresses, func(a platform.Address) bool {
		return a.Link == name && a.Prefix.Addr().Is6()
	}) {
		return fmt.Errorf("%s has IPv6 addresses, which need an MTU of %d", name, MinMTU6)
	}
	l.MTU = mtu
	return nil
}

func broadcast(p netip.Prefix) netip.Addr {
	b := p.Masked().Addr().As4()
	for i := p.Bits(); i < 32; i++ {
		b[i/8] |= 0x80 >> (i % 8)
	}
	return netip.AddrFrom4(b)
}

func (s *State) setIPv6(name string, enabled bool) error {
	l, err := s.link(name)
	if err != nil {
		return err
	}
	if _, has := s.IPv6[name]; !has {
		return fmt.Errorf("%s has no IPv6: %w", name, platform.ErrUnsupported)
	}
	if l.Kind == platform.LinkLoopback && !enabled {
		return errors.New("IPv6 of the loopback link cannot be switched off")
	}
	if s.IPv6[name] = enabled; enabled {
		return nil
	}
	// Its addresses and routes go with it.
	s.Addresses = slices.DeleteFunc(s.Addresses, func(a platform.Address) bool { return a.Link == name && a.Prefix.Addr().Is6() })
	s.Routes = slices.DeleteFunc(s.Routes, func(r platform.Route) bool { return r.Link == name && r.Dest.Addr().Is6() })
	return nil
}
