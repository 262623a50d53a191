// Device.IP.Interface.{i}.IPv6Prefix.

package tr181

import (
	"context"
	"iter"
	"net/netip"
	"slices"
	"time"

	"gatehouse/datamodel"
	"gatehouse/platform"
)

// Device.IP.Interface.{i}.IPv6Prefix.{i}.: the prefixes that are on the link
// because the interface has an address in them, or is about to have one, under the prefix as their key; and
// those that an ACS added, kept by us, so that it can give the link the first
// address in one. By itself such a prefix asks nothing of the system.
type ipv6Prefix struct {
	enable         bool
	status         string
	prefixStatus   string
	alias          datamodel.Alias
	prefix         string
	origin         string
	staticType     string
	onLink         bool
	autonomous     bool
	preferredUntil time.Time
	validUntil     time.Time

	kept bool
}

const ipv6PrefixPath = ipInterfacePath + "IPv6Prefix.{i}."

var ipv6PrefixParams = []datamodel.Param[ipv6Prefix]{
	{Name: "Enable", At: func(p *ipv6Prefix) any { return &p.enable }, Access: datamodel.ReadWrite},
	{Name: "Status", At: func(p *ipv6Prefix) any { return &p.status }, Check: ipStatuses},
	{Name: "PrefixStatus", At: func(p *ipv6Prefix) any { return &p.prefixStatus },
		Check: datamodel.Enum{"Preferred", "Deprecated", "Invalid", "Inaccessible", "Unknown"}},
	{Name: "Alias", At: func(p *ipv6Prefix) any { return &p.alias }, Access: datamodel.ReadWrite, Check: datamodel.Len{Max: 64}},
	{Name: "Prefix", At: func(p *ipv6Prefix) any { return &p.prefix }, Access: datamodel.ReadWrite, Check: datamodel.IPv6Prefix{}},
	{Name: "Origin", At: func(p *ipv6Prefix) any { return &p.origin },
		Check: datamodel.Enum{"AutoConfigured", "PrefixDelegation", "RouterAdvertisement", "WellKnown", "Static", "Child"}},
	{Name: "StaticType", At: func(p *ipv6Prefix) any { return &p.staticType },
		Check: datamodel.Enum{"Static", "Inapplicable", "PrefixDelegation", "Child"}},
	{Name: "OnLink", At: func(p *ipv6Prefix) any { return &p.onLink }},
	{Name: "Autonomous", At: func(p *ipv6Prefix) any { return &p.autonomous }},
	{Name: "PreferredLifetime", At: func(p *ipv6Prefix) any { return &p.preferredUntil }},
	{Name: "ValidLifetime", At: func(p *ipv6Prefix) any { return &p.validUntil }},
}

// freshIPv6Prefix is the row that AddObject makes.
var freshIPv6Prefix = ipv6Prefix{
	status: "Disabled", prefixStatus: "Invalid", origin: "Static", staticType: "Static",
	preferredUntil: infiniteTime, validUntil: infiniteTime, kept: true,
}

func (m *Model) ipv6Prefix() datamodel.Object {
	src := datamodel.Source[ipv6Prefix]{
		Topics: []datamodel.Topic{AddressChanged, LinkChanged},
		Rows:   m.ipv6PrefixRows,
		Unique: [][]string{{"Prefix"}},
		Check:  checkIPv6Prefix,
	}
	if m.canWrite() || m.logical() && m.a.Keep != nil {
		keep(m, &m.prefix6, "ipv6-prefixes", ipv6PrefixParams, &freshIPv6Prefix)
		src.New = m.prefix6.New
		src.Stage = func(ctx context.Context, tx *datamodel.Tx, at []datamodel.Key, c datamodel.Change[ipv6Prefix]) error {
			switch {
			case c.Old != nil && !c.Old.kept && c.New == nil && m.logical():
				return goesWithInterface(tx, at[0])
			case c.Old != nil && !c.Old.kept:
				return ofTheSystem(ipv6PrefixParams, c)
			}
			return m.prefix6.Stage(ctx, tx, at, c)
		}
	} else {
		src.ReadOnly = []string{"Enable", "Prefix"}
	}
	return datamodel.Define(ipv6PrefixPath, ipv6PrefixParams, src)
}

func (m *Model) ipv6PrefixRows(ctx context.Context, parent []datamodel.Key) iter.Seq2[datamodel.Row[ipv6Prefix], error] {
	return func(yield func(datamodel.Row[ipv6Prefix], error) bool) {
		have, err := m.addressesOf(ctx, parent[0], netip.Addr.Is6)
		if err != nil {
			yield(datamodel.Row[ipv6Prefix]{}, err)
			return
		}
		planned, err := m.plannedIPv6(ctx, parent[0])
		if err != nil {
			yield(datamodel.Row[ipv6Prefix]{}, err)
			return
		}
		groups := byPrefix(append(slices.Clone(have.all), planned...))
		for row, err := range keptRows(ctx, m.prefix6, parent) {
			if err == nil {
				groups = row.Value.live(groups, m.now())
			}
			if !yield(row, err) || err != nil {
				return
			}
		}
		for _, g := range groups {
			if !yield(datamodel.Row[ipv6Prefix]{Key: g[0].Prefix.Masked().String(), Value: new(prefixRow(g, m.now()))}, nil) {
				return
			}
		}
	}
}

// live says how a kept prefix is doing, and takes the group of addresses in it
// out of those that are left for the system.
func (p *ipv6Prefix) live(groups [][]platform.Address, now time.Time) (left [][]platform.Address) {
	prefix, err := netip.ParsePrefix(p.prefix)
	if !p.enable {
		return groups
	}
	if err != nil {
		p.status = "Error"
		return groups
	}
	p.status, p.prefixStatus = "Enabled", "Preferred"
	i := slices.IndexFunc(groups, func(g []platform.Address) bool { return g[0].Prefix.Masked() == prefix })
	if i < 0 {
		return groups
	}
	has := prefixRow(groups[i], now)
	p.prefixStatus, p.onLink = has.prefixStatus, true
	return slices.Delete(groups, i, i+1)
}

func checkIPv6Prefix(c datamodel.Change[ipv6Prefix]) error {
	if c.New == nil {
		return nil
	}
	if p, err := netip.ParsePrefix(c.New.prefix); err == nil && p != p.Masked() {
		return &datamodel.FieldError{Name: "Prefix", Err: errPrefixBits}
	}
	return nil
}

// hasPrefix: an address that is not alone on the link.
func hasPrefix(a platform.Address) bool {
	return a.Prefix.Addr().Is6() && (a.Prefix.Bits() < 128 || a.Prefix.Addr().IsLoopback())
}

// prefixRefs gives the prefix of an address on link as a reference: to the
// kept row, if there is one, else to that of the system.
func (m *Model) prefixRefs(ctx context.Context, link string) (func(platform.Address) datamodel.Ref, error) {
	kept := map[netip.Prefix]datamodel.Key{}
	for row, err := range keptRows(ctx, m.prefix6, []datamodel.Key{link}) {
		if err != nil {
			return nil, err
		}
		if p, err := netip.ParsePrefix(row.Value.prefix); err == nil && row.Value.enable {
			kept[p] = row.Key
		}
	}
	return func(a platform.Address) datamodel.Ref {
		if !hasPrefix(a) {
			return datamodel.Ref{}
		}
		p := a.Prefix.Masked()
		key, ok := kept[p]
		if !ok {
			key = p.String()
		}
		return datamodel.Ref{Table: ipv6PrefixPath, At: []datamodel.Key{link, key}}
	}, nil
}

// prefixOf is the prefix that r points to, and invalid when there is none.
func (m *Model) prefixOf(ctx context.Context, r datamodel.Ref) (netip.Prefix, error) {
	if len(r.At) != 2 {
		return netip.Prefix{}, nil
	}
	if p, err := netip.ParsePrefix(r.At[1]); err == nil {
		return p, nil
	}
	row, err := m.prefix6.Load(ctx, r.At)
	if err != nil {
		return netip.Prefix{}, err
	}
	return netip.ParsePrefix(row.prefix)
}

// byPrefix groups addresses by their prefix, in the order they come.
func byPrefix(all []platform.Address) (groups [][]platform.Address) {
	at := map[netip.Prefix]int{}
	for _, a := range all {
		if !hasPrefix(a) {
			continue
		}
		p := a.Prefix.Masked()
		i, ok := at[p]
		if !ok {
			i = len(groups)
			at[p] = i
			groups = append(groups, nil)
		}
		groups[i] = append(groups[i], a)
	}
	return groups
}

// prefixRow is the prefix of a group of addresses. It lasts as long as the
// address that lasts longest.
func prefixRow(group []platform.Address, now time.Time) ipv6Prefix {
	p := ipv6Prefix{
		enable: true, status: "Enabled", prefixStatus: "Deprecated", prefix: group[0].Prefix.Masked().String(),
		origin: "Static", staticType: "Inapplicable", onLink: true,
	}
	for _, a := range group {
		if !a.Deprecated {
			p.prefixStatus = "Preferred"
		}
		p.autonomous = p.autonomous || a.Auto && !a.Prefix.Addr().IsLinkLocalUnicast()
		if t := ends(now, a.Preferred); t.After(p.preferredUntil) {
			p.preferredUntil = t
		}
		if t := ends(now, a.Valid); t.After(p.validUntil) {
			p.validUntil = t
		}
	}
	switch ip := group[0].Prefix.Addr(); {
	case ip.IsLoopback(), ip.IsLinkLocalUnicast():
		p.origin = "WellKnown"
	case p.autonomous:
		p.origin = "RouterAdvertisement"
	default:
		p.staticType = "Static"
	}
	return p
}
