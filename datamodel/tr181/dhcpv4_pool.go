// Device.DHCPv4.Server.Pool.

package tr181

import (
	"context"
	"errors"
	"iter"
	"math"
	"net/netip"
	"slices"
	"sort"
	"time"

	"gatehouse/datamodel"
	"gatehouse/platform"
)

// Device.DHCPv4.Server.Pool.{i}.: ranges of addresses. The platform keeps them.
type dhcpPool struct {
	enable    bool
	status    string
	alias     datamodel.Alias
	order     uint32 // 1: the first that is asked
	iface     datamodel.Ref
	min, max  string
	reserved  []string
	mask      string
	dns       []string
	domain    string
	routers   []string
	leaseTime int32 // seconds; -1: for ever

	row   platform.DHCPPool // as the platform has it
	shown string            // the mask that was read
}

const (
	dhcpPoolPath = "Device.DHCPv4.Server.Pool.{i}."
	maxDHCPPools = 32
)

var dhcpPoolParams = []datamodel.Param[dhcpPool]{
	{Name: "Enable", At: func(p *dhcpPool) any { return &p.enable }, Access: datamodel.ReadWrite},
	{Name: "Status", At: func(p *dhcpPool) any { return &p.status }, Check: configStatuses},
	{Name: "Alias", At: func(p *dhcpPool) any { return &p.alias }, Access: datamodel.ReadWrite, Check: datamodel.Len{Max: 64}},
	{Name: "Order", At: func(p *dhcpPool) any { return &p.order }, Access: datamodel.ReadWrite, Check: datamodel.AtLeast(1)},
	{Name: "Interface", At: func(p *dhcpPool) any { return &p.iface }, Access: datamodel.ReadWrite,
		Check: datamodel.Len{Max: 256}, Refs: []string{ipInterfacePath}},
	{Name: "MinAddress", At: func(p *dhcpPool) any { return &p.min }, Access: datamodel.ReadWrite, Check: datamodel.IPv4Address{}},
	{Name: "MaxAddress", At: func(p *dhcpPool) any { return &p.max }, Access: datamodel.ReadWrite, Check: datamodel.IPv4Address{}},
	{Name: "ReservedAddresses", At: func(p *dhcpPool) any { return &p.reserved }, Access: datamodel.ReadWrite,
		Check: datamodel.List{Of: datamodel.IPv4Address{}, MaxItems: 32}},
	{Name: "SubnetMask", At: func(p *dhcpPool) any { return &p.mask }, Access: datamodel.ReadWrite, Check: datamodel.IPv4Address{}},
	{Name: "DNSServers", At: func(p *dhcpPool) any { return &p.dns }, Access: datamodel.ReadWrite,
		Check: datamodel.List{Of: datamodel.IPv4Address{}, MaxItems: 4}},
	{Name: "DomainName", At: func(p *dhcpPool) any { return &p.domain }, Access: datamodel.ReadWrite, Check: datamodel.Len{Max: 64}},
	{Name: "IPRouters", At: func(p *dhcpPool) any { return &p.routers }, Access: datamodel.ReadWrite,
		Check: datamodel.List{Of: datamodel.IPv4Address{}, MaxItems: 4}},
	{Name: "LeaseTime", At: func(p *dhcpPool) any { return &p.leaseTime }, Access: datamodel.ReadWrite, Check: datamodel.AtLeast(-1)},
}

// Order is unique too, but who writes one that is taken moves the others: see
// poolOrder.
func (m *Model) dhcpPool() datamodel.Object {
	return datamodel.Define(dhcpPoolPath, dhcpPoolParams, datamodel.Source[dhcpPool]{
		Topics: []datamodel.Topic{ConfigChanged, AddressChanged, InterfaceChanged},
		Rows:   m.dhcpPoolRows,
		New: func(ctx context.Context, _ []datamodel.Key) (datamodel.Key, *dhcpPool, error) {
			key, row, err := m.p.DHCP.Pools.Fresh(ctx)
			if err != nil {
				return "", nil, lacking(err)
			}
			all, err := m.rankedPools(ctx)
			p := poolRow(rankedPool{key, row, row.Mask})
			p.status, p.order = rowStatus(p.enable, false, "", nil), uint32(len(all)+1)
			return key, &p, err
		},
		Check: checkDHCPPool,
		Stage: m.stageDHCPPool,
	})
}

// A rankedPool is a pool with the mask that counts: its own, or that of its
// interface.
type rankedPool struct {
	key  string
	row  platform.DHCPPool
	mask netip.Addr
}

// rankedPools are the pools in their order of precedence.
func (m *Model) rankedPools(ctx context.Context) ([]rankedPool, error) {
	all, err := configured(ctx, m, "DHCP pools", m.p.DHCP.Pools)
	if err != nil {
		return nil, err
	}
	interfaces, err := m.ipInterfaces(ctx)
	if err != nil {
		return nil, err
	}
	ranked := make([]rankedPool, len(all))
	for i, e := range all {
		ranked[i] = rankedPool{e.Key, e.Value, e.Value.Mask}
		for _, n := range interfaces[e.Value.Interface] {
			if !e.Value.Mask.IsValid() && n.Masked().Contains(e.Value.Min) {
				ranked[i].mask = addrOf(maskOf(n.Bits()))
			}
		}
	}
	sort.SliceStable(ranked, func(i, j int) bool { return byOrder(&ranked[i].row, &ranked[j].row) < 0 })
	return ranked, nil
}

// poolOf is the key of the pool that an address is of: the first whose range it
// is in, else the first in whose subnet; "" none.
func poolOf(ranked []rankedPool, a netip.Addr) string {
	near := ""
	for _, p := range ranked {
		if !a.Is4() || !p.row.Min.IsValid() || !p.row.Max.IsValid() {
			continue
		}
		if !a.Less(p.row.Min) && !p.row.Max.Less(a) {
			return p.key
		}
		if bits, ok := maskBits(addrText(p.mask)); ok && near == "" && netip.PrefixFrom(p.row.Min, bits).Masked().Contains(a) {
			near = p.key
		}
	}
	return near
}

// byOrder sorts pools; those of which the platform knows no order come last.
func byOrder(a, b *platform.DHCPPool) int {
	known := func(o uint32) int64 {
		if o == 0 {
			return math.MaxInt64
		}
		return int64(o)
	}
	switch x, y := known(a.Order), known(b.Order); {
	case x < y:
		return -1
	case x > y:
		return 1
	}
	return 0
}

func (m *Model) dhcpPoolRows(ctx context.Context, _ []datamodel.Key) iter.Seq2[datamodel.Row[dhcpPool], error] {
	return func(yield func(datamodel.Row[dhcpPool], error) bool) {
		state, err := m.dhcpState(ctx)
		if err != nil {
			yield(datamodel.Row[dhcpPool]{}, err)
			return
		}
		for i, e := range state.pools {
			p := poolRow(e)
			p.order = uint32(i + 1)
			p.status = rowStatus(p.enable && state.on, p.complete(state.interfaces), e.key, state.taken)
			if !yield(datamodel.Row[dhcpPool]{Key: e.key, Value: &p}, nil) {
				return
			}
		}
	}
}

// dhcpState is what one has to know to say how pools are doing.
type dhcpState struct {
	pools      []rankedPool
	on         bool // the server as a whole
	interfaces ipInterfaces
	taken      []string
}

func (m *Model) dhcpState(ctx context.Context) (s dhcpState, err error) {
	if s.pools, err = m.rankedPools(ctx); err != nil {
		return s, err
	}
	server, err := m.readDHCPServer(ctx)
	if err != nil {
		return s, err
	}
	s.on = server.enable
	if s.interfaces, err = m.ipInterfaces(ctx); err != nil {
		return s, err
	}
	s.taken, err = m.takenUp(ctx, "DHCP pools in effect", m.p.DHCP.Applied)
	return s, err
}

// poolRow is a pool of the platform as a row, without its order and status.
func poolRow(r rankedPool) dhcpPool {
	e := r.row
	p := dhcpPool{
		enable: e.Enabled, min: addrText(e.Min), max: addrText(e.Max), reserved: addrTexts(e.Reserved), mask: addrText(r.mask),
		dns: addrTexts(e.DNS), domain: limit(e.Domain, 64), routers: addrTexts(e.Routers),
		leaseTime: -1, row: e, shown: addrText(r.mask),
	}
	if e.Interface != "" {
		p.iface = ipInterfaceRef(e.Interface)
	}
	if e.LeaseTime >= 0 {
		p.leaseTime = int32(min(e.LeaseTime/time.Second, math.MaxInt32))
	}
	return p
}

// platform is the row as the platform keeps it.
func (p *dhcpPool) platform() platform.DHCPPool {
	e := p.row
	e.Enabled, e.Interface = p.enable, linkOf(p.iface)
	e.Min, e.Max, e.Reserved = addrOf(p.min), addrOf(p.max), addrsOf(p.reserved)
	e.DNS, e.Routers = addrsOf(p.dns), addrsOf(p.routers)
	if p.mask != p.shown {
		e.Mask = addrOf(p.mask)
	}
	if p.domain != limit(e.Domain, 64) {
		e.Domain = p.domain
	}
	if e.LeaseTime = time.Duration(p.leaseTime) * time.Second; p.leaseTime < 0 {
		e.LeaseTime = -1
	}
	return e
}

// complete says whether a pool can serve: without a valid Interface, MinAddress,
// MaxAddress or SubnetMask it is inoperable, and so it is where its interface
// has addresses and none in its subnet.
func (p *dhcpPool) complete(interfaces ipInterfaces) bool {
	nets, there := interfaces[linkOf(p.iface)]
	lo, hi := addrOf(p.min), addrOf(p.max)
	bits, ok := maskBits(p.mask)
	if !there || !ok || !lo.IsValid() || !hi.IsValid() || hi.Less(lo) {
		return false
	}
	subnet := netip.PrefixFrom(lo, bits).Masked()
	return subnet.Contains(hi) &&
		(len(nets) == 0 || slices.ContainsFunc(nets, func(n netip.Prefix) bool { return subnet.Contains(n.Addr()) }))
}

var (
	errMinMax    = errors.New("MinAddress is above MaxAddress")
	errSubnet    = errors.New("MinAddress and MaxAddress are not in one subnet of SubnetMask")
	errLeaseTime = errors.New("a lease cannot last for no time; -1 is for ever")
)

// checkDHCPPool looks at what was written: a pool of the platform that was odd
// before may stay so.
func checkDHCPPool(c datamodel.Change[dhcpPool]) error {
	if c.New == nil {
		return nil
	}
	p := c.New
	var errs []error
	// One of names is blamed: the first that was written.
	refuse := func(err error, names ...string) {
		for _, n := range names {
			if c.Set(n) {
				errs = append(errs, &datamodel.FieldError{Name: n, Err: err})
				return
			}
		}
	}
	lo, hi := addrOf(p.min), addrOf(p.max)
	bits, ok := maskBits(p.mask)
	switch {
	case p.mask != "" && !ok:
		refuse(errMask, "SubnetMask")
	case !lo.IsValid() || !hi.IsValid():
	case hi.Less(lo):
		refuse(errMinMax, "MinAddress", "MaxAddress")
	case ok && !netip.PrefixFrom(lo, bits).Masked().Contains(hi):
		refuse(errSubnet, "MaxAddress", "MinAddress", "SubnetMask")
	}
	if p.domain != "" && !isHostName(p.domain) {
		refuse(errHostName, "DomainName")
	}
	if p.leaseTime == 0 {
		refuse(errLeaseTime, "LeaseTime")
	}
	return errors.Join(errs...)
}

func (m *Model) stageDHCPPool(ctx context.Context, tx *datamodel.Tx, at []datamodel.Key, c datamodel.Change[dhcpPool]) error {
	if c.Old == nil {
		if err := room(ctx, tx, "Device.DHCPv4.Server.PoolNumberOfEntries", maxDHCPPools); err != nil {
			return err
		}
	}
	pools, err := m.poolOrder(ctx, tx)
	if err != nil {
		return err
	}
	if c.New == nil {
		pools.remove(at[0])
		return deleteRow(ctx, m, tx, m.p.DHCP.Pools, at[0])
	}
	wish := uint32(0)
	if c.Set("Order") {
		wish = c.New.order
	}
	return pools.change(at[0], c.New.platform(), wish, tx.Path("Order"), tx.Path("Interface"))
}
