// Device.DHCPv4.Server.Pool.{i}.StaticAddress. and Option.

package tr181

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"strings"

	"gatehouse/datamodel"
	"gatehouse/platform"
)

// Device.DHCPv4.Server.Pool.{i}.StaticAddress.{i}.: addresses that are kept for
// one client each. Disabling one does not give the address back to the pool, by
// the standard; what the server makes of it is the platform's.
type staticAddress struct {
	enable bool
	alias  datamodel.Alias
	chaddr string
	yiaddr string

	row platform.DHCPHost // as the platform has it
}

const (
	staticAddressPath  = dhcpPoolPath + "StaticAddress.{i}."
	maxStaticAddresses = 256 // of one pool
)

var staticAddressParams = []datamodel.Param[staticAddress]{
	{Name: "Enable", At: func(a *staticAddress) any { return &a.enable }, Access: datamodel.ReadWrite},
	{Name: "Alias", At: func(a *staticAddress) any { return &a.alias }, Access: datamodel.ReadWrite, Check: datamodel.Len{Max: 64}},
	{Name: "Chaddr", At: func(a *staticAddress) any { return &a.chaddr }, Access: datamodel.ReadWrite, Check: datamodel.MACAddress{}},
	{Name: "Yiaddr", At: func(a *staticAddress) any { return &a.yiaddr }, Access: datamodel.ReadWrite, Check: datamodel.IPv4Address{}},
}

func (m *Model) staticAddress() datamodel.Object {
	return datamodel.Define(staticAddressPath, staticAddressParams, datamodel.Source[staticAddress]{
		Topics: []datamodel.Topic{ConfigChanged},
		Rows:   m.staticAddressRows,
		New: func(ctx context.Context, parent []datamodel.Key) (datamodel.Key, *staticAddress, error) {
			key, row, err := m.p.DHCP.Hosts.Fresh(ctx)
			row.Pool = parent[0]
			return key, new(staticRow(row)), lacking(err)
		},
		Unique: [][]string{{"Chaddr"}},
		Check: func(c datamodel.Change[staticAddress]) error {
			if a := c.New; a != nil && c.Set("Chaddr") && groupMAC(a.chaddr) {
				return &datamodel.FieldError{Name: "Chaddr", Err: errGroupMAC}
			}
			return nil
		},
		Stage: m.stageStaticAddress,
	})
}

func (m *Model) staticAddressRows(ctx context.Context, parent []datamodel.Key) iter.Seq2[datamodel.Row[staticAddress], error] {
	return func(yield func(datamodel.Row[staticAddress], error) bool) {
		pools, err := m.rankedPools(ctx)
		if err != nil {
			yield(datamodel.Row[staticAddress]{}, err)
			return
		}
		hosts, err := configured(ctx, m, "DHCP hosts", m.p.DHCP.Hosts)
		if err != nil {
			yield(datamodel.Row[staticAddress]{}, err)
			return
		}
		for _, e := range hosts {
			pool := e.Value.Pool
			if pool == "" {
				pool = poolOf(pools, e.Value.Addr)
			}
			if pool == parent[0] && !yield(datamodel.Row[staticAddress]{Key: e.Key, Value: new(staticRow(e.Value))}, nil) {
				return
			}
		}
	}
}

func staticRow(h platform.DHCPHost) staticAddress {
	a := staticAddress{enable: h.Enabled, yiaddr: addrText(h.Addr), row: h}
	if isMAC(h.MAC) {
		a.chaddr = h.MAC
	}
	return a
}

// isMAC says whether s is a MAC address as TR-106 prints it. A platform may keep
// others for a client, or a pattern, which have no place here.
func isMAC(s string) bool {
	for i, c := range []byte(s) {
		if sep := i%3 == 2; sep != (c == ':') || !sep && !strings.ContainsRune("0123456789abcdefABCDEF", rune(c)) {
			return false
		}
	}
	return len(s) == 17
}

// groupMAC says whether a MAC address is that of many: no client has it.
func groupMAC(s string) bool {
	return len(s) == 17 && strings.IndexByte("13579bdfBDF", s[1]) >= 0
}

var (
	errGroupMAC = errors.New("a group address is no client's")
	errNotInIt  = errors.New("not within MinAddress and MaxAddress of its pool")
	errTwice    = errors.New("another row of the pool has this address")
)

func (m *Model) stageStaticAddress(ctx context.Context, tx *datamodel.Tx, at []datamodel.Key, c datamodel.Change[staticAddress]) error {
	if c.New == nil {
		return deleteRow(ctx, m, tx, m.p.DHCP.Hosts, at[1])
	}
	pool := above(tx.Path(""), 2)
	if c.Old == nil {
		if err := room(ctx, tx, pool+"StaticAddressNumberOfEntries", maxStaticAddresses); err != nil {
			return err
		}
	}
	if c.New.enable && setAny(c, "Enable", "Yiaddr") {
		if err := fitsPool(ctx, tx, pool, c.New.yiaddr); err != nil {
			return err
		}
	}
	row := c.New.row
	row.Enabled, row.Addr = c.New.enable, addrOf(c.New.yiaddr)
	if c.New.chaddr != "" || isMAC(row.MAC) {
		row.MAC = c.New.chaddr
	}
	return putRow(ctx, m, tx, m.p.DHCP.Hosts, at[1], row, "Yiaddr")
}

// fitsPool sees that an address is "within the pool", and no other client's, as
// the standard has it. A pool that is moved afterwards leaves its static
// addresses behind: the server does not give away what is not in its network.
func fitsPool(ctx context.Context, tx *datamodel.Tx, pool, yiaddr string) error {
	a := addrOf(yiaddr)
	if !a.IsValid() {
		return nil
	}
	r := tx.Reader(datamodel.ReadOptions{})
	lo, err := r.Get(ctx, pool+"MinAddress")
	if err != nil {
		return err
	}
	hi, err := r.Get(ctx, pool+"MaxAddress")
	if err != nil {
		return err
	}
	static, on := map[string]string{}, map[string]bool{} // by the path of the row
	for item, err := range r.Values(ctx, pool+"StaticAddress.") {
		if err != nil {
			return err
		}
		switch row := above(item.Name, 1); strings.TrimPrefix(item.Name, row) {
		case "Yiaddr":
			static[row] = item.Value
		case "Enable":
			on[row] = item.Value == "true"
		}
	}
	same := 0
	for row, have := range static {
		if on[row] && addrOf(have) == a {
			same++
		}
	}
	switch first, last := addrOf(lo.Value), addrOf(hi.Value); {
	case first.IsValid() && a.Less(first), last.IsValid() && last.Less(a):
		err = errNotInIt
	case same > 1:
		err = fmt.Errorf("%w: %s", errTwice, yiaddr)
	default:
		return nil
	}
	return &datamodel.FieldError{Name: "Yiaddr", Err: err}
}
