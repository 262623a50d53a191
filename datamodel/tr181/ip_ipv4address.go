// Device.IP.Interface.{i}.IPv4Address.

package tr181

import (
	"context"
	"encoding/binary"
	"errors"
	"iter"
	"net/netip"

	"gatehouse/datamodel"
	"gatehouse/platform"
)

// Device.IP.Interface.{i}.IPv4Address.{i}.: the addresses of an interface.
// Those of a logical interface lie in its configuration; those that an ACS
// added to a link are kept by us under keys of our own. Those of the system have
// their prefix for a key, and cannot be written. A configured or kept address
// that the system has is one instance.
type ipv4Address struct {
	enable         bool
	status         string
	alias          datamodel.Alias
	address        string
	mask           string
	addressingType string

	kept bool
}

const ipv4AddressPath = ipInterfacePath + "IPv4Address.{i}."

var configStatuses = datamodel.Enum{"Disabled", "Enabled", "Error_Misconfigured", "Error"}

var ipv4AddressParams = []datamodel.Param[ipv4Address]{
	{Name: "Enable", At: func(a *ipv4Address) any { return &a.enable }, Access: datamodel.ReadWrite},
	{Name: "Status", At: func(a *ipv4Address) any { return &a.status }, Check: configStatuses},
	{Name: "Alias", At: func(a *ipv4Address) any { return &a.alias }, Access: datamodel.ReadWrite, Check: datamodel.Len{Max: 64}},
	{Name: "IPAddress", At: func(a *ipv4Address) any { return &a.address }, Access: datamodel.ReadWrite, Check: datamodel.IPv4Address{}},
	{Name: "SubnetMask", At: func(a *ipv4Address) any { return &a.mask }, Access: datamodel.ReadWrite, Check: datamodel.IPv4Address{}},
	{Name: "AddressingType", At: func(a *ipv4Address) any { return &a.addressingType },
		Check: datamodel.Enum{"DHCP", "IKEv2", "AutoIP", "IPCP", "Static", "3GPP-NAS"}},
}

func (m *Model) ipv4Address() datamodel.Object {
	src := datamodel.Source[ipv4Address]{
		Topics: []datamodel.Topic{AddressChanged, LinkChanged},
		Rows:   m.ipv4AddressRows,
		Unique: [][]string{{"IPAddress", "SubnetMask"}},
		Check:  checkIPv4Address,
	}
	switch {
	case m.logical():
		src.New = func(context.Context, []datamodel.Key) (datamodel.Key, *ipv4Address, error) {
			return newAddressKey(), new(freshIPv4Address), nil
		}
		src.Stage = m.stageConfiguredIPv4
	case m.canWrite():
		keep(m, &m.ipv4, "ipv4-addresses", ipv4AddressParams, &freshIPv4Address)
		src.New = m.ipv4.New
		src.Stage = m.stageIPv4Address
	default:
		src.ReadOnly = []string{"Enable", "IPAddress", "SubnetMask"}
	}
	return datamodel.Define(ipv4AddressPath, ipv4AddressParams, src)
}

var freshIPv4Address = ipv4Address{status: "Disabled", addressingType: "Static", kept: true}

func (m *Model) ipv4AddressRows(ctx context.Context, parent []datamodel.Key) iter.Seq2[datamodel.Row[ipv4Address], error] {
	return func(yield func(datamodel.Row[ipv4Address], error) bool) {
		have, err := m.addressesOf(ctx, parent[0], netip.Addr.Is4)
		if err != nil {
			yield(datamodel.Row[ipv4Address]{}, err)
			return
		}
		ours := keptRows(ctx, m.ipv4, parent)
		if m.logical() {
			ours = configuredAddresses(ctx, m, parent[0], netip.Addr.Is4, configuredIPv4)
		}
		for row, err := range ours {
			if err == nil {
				row.Value.status = have.claim(row.Value.enable, row.Value.prefix())
			}
			if !yield(row, err) || err != nil {
				return
			}
		}
		for _, a := range have.rest() {
			row := datamodel.Row[ipv4Address]{Key: a.Prefix.String(), Value: &ipv4Address{
				enable: true, status: "Enabled", address: a.Prefix.Addr().String(), mask: maskOf(a.Prefix.Bits()),
				addressingType: m.addressingType(ctx, a),
			}}
			if !yield(row, nil) {
				return
			}
		}
	}
}

// configuredIPv4 is an address in the configuration of a logical interface.
func configuredIPv4(a platform.InterfaceAddr) ipv4Address {
	row := freshIPv4Address
	row.enable = a.Enabled
	if ip := a.Prefix.Addr(); !ip.IsUnspecified() {
		row.address = ip.String()
	}
	if bits := a.Prefix.Bits(); bits > 0 {
		row.mask = maskOf(bits)
	}
	return row
}

var errIncomplete = errors.New("an address that is on needs its value and its mask")

func (m *Model) stageConfiguredIPv4(ctx context.Context, tx *datamodel.Tx, at []datamodel.Key, c datamodel.Change[ipv4Address]) error {
	switch {
	case c.Old != nil && !c.Old.kept && c.New == nil:
		return goesWithInterface(tx, at[0])
	case c.Old != nil && !c.Old.kept:
		return ofTheSystem(ipv4AddressParams, c)
	case c.New == nil:
		return m.stageConfiguredAddress(ctx, tx, at, nil)
	}
	ip, bits := addrOf(c.New.address), 0
	if c.New.mask != "" {
		bits, _ = maskBits(c.New.mask)
	}
	if !ip.IsValid() {
		ip = netip.IPv4Unspecified()
	}
	if c.New.enable && (ip.IsUnspecified() || bits == 0) {
		return &datamodel.FieldError{Name: "IPAddress", Err: errIncomplete}
	}
	return m.stageConfiguredAddress(ctx, tx, at, &platform.InterfaceAddr{
		Key: at[1], Enabled: c.New.enable, Prefix: netip.PrefixFrom(ip, bits),
	})
}

// addressingType says where an address of the system came from.
func (m *Model) addressingType(ctx context.Context, a platform.Address) string {
	l, _, err := m.linkNamed(ctx, a.Link)
	switch {
	case err == nil && l.Kind == platform.LinkPPP:
		return "IPCP"
	case a.Dynamic:
		return "DHCP"
	case a.Prefix.Addr().IsLinkLocalUnicast() && !a.Permanent:
		return "AutoIP"
	}
	return "Static"
}

// prefix is the address with its length, invalid while it is not complete.
func (a ipv4Address) prefix() netip.Prefix {
	ip, err := netip.ParseAddr(a.address)
	bits, ok := maskBits(a.mask)
	if err != nil || !ok || bits == 0 {
		return netip.Prefix{}
	}
	return netip.PrefixFrom(ip, bits)
}

var errMask = errors.New("not a subnet mask: its ones must come first")

var errNoHost = errors.New("not an address that a device can have in this subnet")

func checkIPv4Address(c datamodel.Change[ipv4Address]) error {
	if c.New == nil || c.New.mask == "" {
		return nil
	}
	if _, ok := maskBits(c.New.mask); !ok {
		return &datamodel.FieldError{Name: "SubnetMask", Err: errMask}
	}
	p := c.New.prefix()
	if c.New.enable && p.IsValid() && setAny(c, "Enable", "IPAddress", "SubnetMask") && !isHostIn(p) &&
		(c.Old == nil || c.Old.prefix() != p) {
		return &datamodel.FieldError{Name: "IPAddress", Err: errNoHost}
	}
	return nil
}

// isHostIn says whether a device can have an address in its network: not that of
// the network or of all in it (RFC 922, 7; networks of two and one have neither,
// RFC 3021), nor one of RFC 1122, 3.2.1.3 that nobody has, or many.
func isHostIn(p netip.Prefix) bool {
	b := p.Addr().As4()
	if b[0] == 0 || b[0] >= 224 {
		return false
	}
	host, ones := hostPart(p)
	return p.Bits() >= 31 || host != 0 && host != ones
}

// hostPart is the part of an IPv4 address that tells hosts apart, and what it is
// when all of its bits are set.
func hostPart(p netip.Prefix) (host, ones uint32) {
	b := p.Addr().As4()
	ones = uint32(1<<(32-p.Bits()) - 1)
	return binary.BigEndian.Uint32(b[:]) & ones, ones
}

func (m *Model) stageIPv4Address(ctx context.Context, tx *datamodel.Tx, at []datamodel.Key, c datamodel.Change[ipv4Address]) error {
	if c.Old != nil && !c.Old.kept {
		return ofTheSystem(ipv4AddressParams, c)
	}
	if err := m.ipv4.Stage(ctx, tx, at, c); err != nil {
		return err
	}
	var old, next netip.Prefix
	if c.Old != nil && c.Old.enable {
		old = c.Old.prefix()
	}
	if c.New != nil && c.New.enable {
		next = c.New.prefix()
	}
	return m.stageAddress(ctx, tx, at[0], old, next)
}
