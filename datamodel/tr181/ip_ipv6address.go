// Device.IP.Interface.{i}.IPv6Address.

package tr181

import (
	"context"
	"errors"
	"iter"
	"net/netip"
	"time"

	"gatehouse/datamodel"
	"gatehouse/platform"
)

// Device.IP.Interface.{i}.IPv6Address.{i}.: as IPv4Address. A static address
// is on the link that its Prefix names, and alone (/128, RFC 5942 §4) without.
type ipv6Address struct {
	enable         bool
	status         string
	addressStatus  string
	alias          datamodel.Alias
	address        string
	origin         string
	prefix         datamodel.Ref
	preferredUntil time.Time
	validUntil     time.Time

	bits int32 // prefix length of a kept address, as its Prefix said when it was set
	kept bool
}

const ipv6AddressPath = ipInterfacePath + "IPv6Address.{i}."

var ipv6AddressParams = []datamodel.Param[ipv6Address]{
	{Name: "Enable", At: func(a *ipv6Address) any { return &a.enable }, Access: datamodel.ReadWrite},
	{Name: "Status", At: func(a *ipv6Address) any { return &a.status }, Check: configStatuses},
	{Name: "IPAddressStatus", At: func(a *ipv6Address) any { return &a.addressStatus },
		Check: datamodel.Enum{"Preferred", "Deprecated", "Invalid", "Inaccessible", "Unknown", "Tentative", "Duplicate", "Optimistic"}},
	{Name: "Alias", At: func(a *ipv6Address) any { return &a.alias }, Access: datamodel.ReadWrite, Check: datamodel.Len{Max: 64}},
	{Name: "IPAddress", At: func(a *ipv6Address) any { return &a.address }, Access: datamodel.ReadWrite, Check: datamodel.IPv6Address{}},
	{Name: "Origin", At: func(a *ipv6Address) any { return &a.origin },
		Check: datamodel.Enum{"AutoConfigured", "DHCPv6", "IKEv2", "MAP", "WellKnown", "3GPP-NAS", "Static"}},
	{Name: "Prefix", At: func(a *ipv6Address) any { return &a.prefix }, Access: datamodel.ReadWrite, Refs: []string{ipv6PrefixPath}},
	{Name: "PreferredLifetime", At: func(a *ipv6Address) any { return &a.preferredUntil }},
	{Name: "ValidLifetime", At: func(a *ipv6Address) any { return &a.validUntil }},
}

// keptIPv6Params is what we keep of an address of ours. The prefix length is
// among it, for the prefix may go before the address does.
var keptIPv6Params = []datamodel.Param[ipv6Address]{
	{Name: "Enable", At: func(a *ipv6Address) any { return &a.enable }, Access: datamodel.ReadWrite},
	{Name: "IPAddress", At: func(a *ipv6Address) any { return &a.address }, Access: datamodel.ReadWrite, Check: datamodel.IPv6Address{}},
	{Name: "Prefix", At: func(a *ipv6Address) any { return &a.prefix }, Access: datamodel.ReadWrite},
	{Name: "PrefixLength", At: func(a *ipv6Address) any { return &a.bits }, Access: datamodel.ReadWrite, Check: datamodel.Range{Max: 128}},
}

func (m *Model) ipv6Address() datamodel.Object {
	src := datamodel.Source[ipv6Address]{
		Topics: []datamodel.Topic{AddressChanged, LinkChanged},
		Rows:   m.ipv6AddressRows,
		Unique: [][]string{{"IPAddress"}},
	}
	switch {
	case m.logical():
		src.New = func(context.Context, []datamodel.Key) (datamodel.Key, *ipv6Address, error) {
			return newAddressKey(), new(freshIPv6Address), nil
		}
		src.Stage = m.stageConfiguredIPv6
	case m.canWrite():
		keep(m, &m.ipv6, "ipv6-addresses", keptIPv6Params, &freshIPv6Address)
		src.New = m.ipv6.New
		src.Stage = m.stageIPv6Address
	default:
		src.ReadOnly = []string{"Enable", "IPAddress", "Prefix"}
	}
	return datamodel.Define(ipv6AddressPath, ipv6AddressParams, src)
}

var freshIPv6Address = ipv6Address{
	status: "Disabled", addressStatus: "Invalid", origin: "Static", preferredUntil: infiniteTime, validUntil: infiniteTime, bits: 128, kept: true,
}

func (m *Model) ipv6AddressRows(ctx context.Context, parent []datamodel.Key) iter.Seq2[datamodel.Row[ipv6Address], error] {
	return func(yield func(datamodel.Row[ipv6Address], error) bool) {
		have, err := m.addressesOf(ctx, parent[0], netip.Addr.Is6)
		if err != nil {
			yield(datamodel.Row[ipv6Address]{}, err)
			return
		}
		prefixRef, err := m.prefixRefs(ctx, parent[0])
		if err != nil {
			yield(datamodel.Row[ipv6Address]{}, err)
			return
		}
		now := m.now()
		ours := keptRows(ctx, m.ipv6, parent)
		if m.logical() {
			ours = configuredAddresses(ctx, m, parent[0], netip.Addr.Is6, func(a platform.InterfaceAddr) ipv6Address {
				return configuredIPv6(a, prefixRef)
			})
		}
		for row, err := range ours {
			if err == nil {
				p := row.Value.netip()
				row.Value.status = have.claim(row.Value.enable, p)
				if a, ok := have.find(p); ok && row.Value.enable {
					row.Value.live(a, now)
				}
			}
			if !yield(row, err) || err != nil {
				return
			}
		}
		for _, a := range have.rest() {
			r := ipv6Address{
				enable: true, status: "Enabled", address: a.Prefix.Addr().WithZone("").String(), origin: addressOrigin(a),
				prefix: prefixRef(a),
			}
			r.live(a, now)
			if !yield(datamodel.Row[ipv6Address]{Key: a.Prefix.String(), Value: &r}, nil) {
				return
			}
		}
	}
}

// live fills in what the system knows of an address that it has.
func (a *ipv6Address) live(has platform.Address, now time.Time) {
	a.preferredUntil, a.validUntil = ends(now, has.Preferred), ends(now, has.Valid)
	switch {
	case has.Duplicate:
		a.addressStatus = "Duplicate"
	case has.Tentative:
		a.addressStatus = "Tentative"
	case has.Deprecated:
		a.addressStatus = "Deprecated"
	default:
		a.addressStatus = "Preferred"
	}
}

func addressOrigin(a platform.Address) string {
	switch ip := a.Prefix.Addr(); {
	case ip.IsLoopback():
		return "WellKnown"
	case a.Auto, a.Temporary, ip.IsLinkLocalUnicast():
		return "AutoConfigured"
	case a.Dynamic:
		return "DHCPv6"
	}
	return "Static"
}

// netip is the address with its prefix length, invalid while there is no
// address.
func (a ipv6Address) netip() netip.Prefix {
	ip, err := netip.ParseAddr(a.address)
	if err != nil {
		return netip.Prefix{}
	}
	return netip.PrefixFrom(ip, int(a.bits))
}

var (
	errOutside = errors.New("the address is not in this prefix")
	errForeign = errors.New("a prefix of another interface")
	errNotYet  = errors.New("this prefix has no value yet")
)

// settlePrefix finds out the prefix length of a changed address. One whose
// Prefix has gone meanwhile keeps the length that it had.
func (m *Model) settlePrefix(ctx context.Context, link string, a *ipv6Address, set bool) error {
	if len(a.prefix.At) == 2 && a.prefix.At[0] != link {
		return &datamodel.FieldError{Name: "Prefix", Err: errForeign}
	}
	p, err := m.prefixOf(ctx, a.prefix)
	switch {
	case err != nil && set:
		return &datamodel.FieldError{Name: "Prefix", Err: errNotYet}
	case err != nil:
		return nil
	case !p.IsValid():
		a.bits = 128
		return nil
	}
	a.bits = int32(p.Bits())
	if ip, err := netip.ParseAddr(a.address); err == nil && !p.Contains(ip) {
		return &datamodel.FieldError{Name: "Prefix", Err: errOutside}
	}
	return nil
}

// configuredIPv6 is an address in the configuration of a logical interface.
func configuredIPv6(a platform.InterfaceAddr, prefixRef func(platform.Address) datamodel.Ref) ipv6Address {
	row := freshIPv6Address
	row.enable, row.bits = a.Enabled, int32(a.Prefix.Bits())
	if ip := a.Prefix.Addr(); !ip.IsUnspecified() {
		row.address, row.prefix = ip.String(), prefixRef(platform.Address{Prefix: a.Prefix})
	}
	return row
}

func (m *Model) stageConfiguredIPv6(ctx context.Context, tx *datamodel.Tx, at []datamodel.Key, c datamodel.Change[ipv6Address]) error {
	switch {
	case c.Old != nil && !c.Old.kept && c.New == nil:
		return goesWithInterface(tx, at[0])
	case c.Old != nil && !c.Old.kept:
		return ofTheSystem(ipv6AddressParams, c)
	case c.New == nil:
		return m.stageConfiguredAddress(ctx, tx, at, nil)
	}
	if c.Set("Prefix") || c.Set("IPAddress") {
		if err := m.settlePrefix(ctx, at[0], c.New, c.Set("Prefix")); err != nil {
			return err
		}
	}
	ip := addrOf(c.New.address)
	if !ip.IsValid() {
		ip = netip.IPv6Unspecified()
	}
	if c.New.enable && ip.IsUnspecified() {
		return &datamodel.FieldError{Name: "IPAddress", Err: errIncomplete}
	}
	return m.stageConfiguredAddress(ctx, tx, at, &platform.InterfaceAddr{
		Key: at[1], Enabled: c.New.enable, Prefix: netip.PrefixFrom(ip, int(c.New.bits)),
	})
}

func (m *Model) stageIPv6Address(ctx context.Context, tx *datamodel.Tx, at []datamodel.Key, c datamodel.Change[ipv6Address]) error {
	if c.Old != nil && !c.Old.kept {
		return ofTheSystem(ipv6AddressParams, c)
	}
	if c.New != nil && (c.Set("Prefix") || c.Set("IPAddress")) {
		if err := m.settlePrefix(ctx, at[0], c.New, c.Set("Prefix")); err != nil {
			return err
		}
	}
	if err := m.ipv6.Stage(ctx, tx, at, c); err != nil {
		return err
	}
	var old, next netip.Prefix
	if c.Old != nil && c.Old.enable {
		old = c.Old.netip()
	}
	if c.New != nil && c.New.enable {
		next = c.New.netip()
	}
	return m.stageAddress(ctx, tx, at[0], old, next)
}
