// Device.IP.Interface.{i}.IPv6Prefix.

package tr181

import (
	"context"
	"iter"
	"net/netip"
	"time"

	"gatehouse/datamodel"
	"gatehouse/platform"
)

// Device.IP.Interface.{i}.IPv6Prefix.{i}.: the prefixes that are on the link
// because the link has an address in them. Their key is the prefix.
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
}

const ipv6PrefixPath = ipInterfacePath + "IPv6Prefix.{i}."

var ipv6PrefixParams = []datamodel.Param[ipv6Prefix]{
	{Name: "Enable", At: func(p *ipv6Prefix) any { return &p.enable }},
	{Name: "Status", At: func(p *ipv6Prefix) any { return &p.status }, Check: ipStatuses},
	{Name: "PrefixStatus", At: func(p *ipv6Prefix) any { return &p.prefixStatus },
		Check: datamodel.Enum{"Preferred", "Deprecated", "Invalid", "Inaccessible", "Unknown"}},
	{Name: "Alias", At: func(p *ipv6Prefix) any { return &p.alias }, Access: datamodel.ReadWrite, Check: datamodel.Len{Max: 64}},
	{Name: "Prefix", At: func(p *ipv6Prefix) any { return &p.prefix }, Check: datamodel.IPv6Prefix{}},
	{Name: "Origin", At: func(p *ipv6Prefix) any { return &p.origin },
		Check: datamodel.Enum{"AutoConfigured", "PrefixDelegation", "RouterAdvertisement", "WellKnown", "Static", "Child"}},
	{Name: "StaticType", At: func(p *ipv6Prefix) any { return &p.staticType },
		Check: datamodel.Enum{"Static", "Inapplicable", "PrefixDelegation", "Child"}},
	{Name: "OnLink", At: func(p *ipv6Prefix) any { return &p.onLink }},
	{Name: "Autonomous", At: func(p *ipv6Prefix) any { return &p.autonomous }},
	{Name: "PreferredLifetime", At: func(p *ipv6Prefix) any { return &p.preferredUntil }},
	{Name: "ValidLifetime", At: func(p *ipv6Prefix) any { return &p.validUntil }},
}

func (m *Model) ipv6Prefix() datamodel.Object {
	return datamodel.Define(ipv6PrefixPath, ipv6PrefixParams, datamodel.Source[ipv6Prefix]{
		Topics: []datamodel.Topic{AddressChanged, LinkChanged},
		Rows: func(ctx context.Context, parent []datamodel.Key) iter.Seq2[datamodel.Row[ipv6Prefix], error] {
			return func(yield func(datamodel.Row[ipv6Prefix], error) bool) {
				have, err := m.addressesOf(ctx, parent[0], netip.Addr.Is6)
				if err != nil {
					yield(datamodel.Row[ipv6Prefix]{}, err)
					return
				}
				for _, g := range byPrefix(have.all) {
					if !yield(datamodel.Row[ipv6Prefix]{Key: g[0].Prefix.Masked().String(), Value: prefixRow(g, m.now())}, nil) {
						return
					}
				}
			}
		},
	})
}

// hasPrefix: an address that is not alone on the link.
func hasPrefix(a platform.Address) bool {
	return a.Prefix.Addr().Is6() && (a.Prefix.Bits() < 128 || a.Prefix.Addr().IsLoopback())
}

// ipv6PrefixRef points to the prefix of an address.
func ipv6PrefixRef(a platform.Address) datamodel.Ref {
	if !hasPrefix(a) {
		return datamodel.Ref{}
	}
	return datamodel.Ref{Table: ipv6PrefixPath, At: []datamodel.Key{a.Link, a.Prefix.Masked().String()}}
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
