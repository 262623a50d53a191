// Device.DHCPv4.Server.Pool.{i}.Client.: who has been given an address.

package tr181

import (
	"context"
	"encoding/hex"
	"iter"
	"slices"
	"strings"
	"time"

	"gatehouse/datamodel"
	"gatehouse/platform"
)

// Device.DHCPv4.Server.Pool.{i}.Client.{i}.: one for each MAC address that has a
// lease of the pool. Its alias is the ACS's, and lasts as long as the lease.
type leaseClient struct {
	alias  datamodel.Alias
	chaddr string
	active bool
}

const leaseClientPath = dhcpPoolPath + "Client.{i}."

var leaseClientParams = []datamodel.Param[leaseClient]{
	{Name: "Alias", At: func(c *leaseClient) any { return &c.alias }, Access: datamodel.ReadWrite, Check: datamodel.Len{Max: 64}},
	{Name: "Chaddr", At: func(c *leaseClient) any { return &c.chaddr }, Check: datamodel.MACAddress{}},
	{Name: "Active", At: func(c *leaseClient) any { return &c.active }},
}

// Device.DHCPv4.Server.Pool.{i}.Client.{i}.IPv4Address.{i}.: its leases.
type leasedAddress struct {
	address string
	until   time.Time
}

var leasedAddressParams = []datamodel.Param[leasedAddress]{
	{Name: "IPAddress", At: func(a *leasedAddress) any { return &a.address }, Check: datamodel.IPv4Address{}},
	{Name: "LeaseTimeRemaining", At: func(a *leasedAddress) any { return &a.until }},
}

// Device.DHCPv4.Server.Pool.{i}.Client.{i}.Option.{i}.: what the client sent of
// itself, as far as the server remembers: its name and its identifier.
type leaseOption struct {
	tag   uint32
	value []byte
}

var leaseOptionParams = []datamodel.Param[leaseOption]{
	{Name: "Tag", At: func(o *leaseOption) any { return &o.tag }, Check: datamodel.Range{Max: 255}},
	{Name: "Value", At: func(o *leaseOption) any { return &o.value }, Check: datamodel.Hex{Max: 255}},
}

// A leaseKey names a client of a pool.
type leaseKey struct{ pool, mac string }

// A leaseTable is the leases by client; order is that of the server's list.
type leaseTable struct {
	order []leaseKey
	by    map[leaseKey][]platform.Lease
}

// maxLeases bounds what is kept of the leases for one request: more than that
// no pool of a home has.
const maxLeases = 4096

// leases reads the leases once per request, and finds out of which pool each is.
func (m *Model) leases(ctx context.Context) (*leaseTable, error) {
	return datamodel.Once(ctx, dumpKey{m, "leases"},
		func(t *leaseTable) int { return len(t.order) * 512 },
		func(ctx context.Context) (*leaseTable, error) {
			pools, err := m.rankedPools(ctx)
			if err != nil {
				return nil, err
			}
			t := &leaseTable{by: map[leaseKey][]platform.Lease{}}
			n := 0
			for l, err := range m.p.DHCP.Leases.Leases(ctx) {
				if err != nil {
					return nil, lacking(err)
				}
				key := leaseKey{poolOf(pools, l.Addr), upMAC(l.MAC)}
				if key.pool == "" || !isMAC(l.MAC) {
					continue // of a network that is no pool's; of a client that is no Ethernet's
				}
				if n++; n > maxLeases {
					break
				}
				if t.by[key] == nil {
					t.order = append(t.order, key)
				}
				t.by[key] = append(t.by[key], l)
			}
			return t, nil
		})
}

func (m *Model) leaseClient() datamodel.Object {
	return datamodel.Define(leaseClientPath, leaseClientParams, datamodel.Source[leaseClient]{
		Volatile: true,
		Topics:   []datamodel.Topic{LeaseChanged, NeighborChanged, ConfigChanged},
		Rows: func(ctx context.Context, parent []datamodel.Key) iter.Seq2[datamodel.Row[leaseClient], error] {
			return func(yield func(datamodel.Row[leaseClient], error) bool) {
				t, err := m.leases(ctx)
				if err != nil {
					yield(datamodel.Row[leaseClient]{}, err)
					return
				}
				present, err := m.presentHosts(ctx)
				if err != nil {
					yield(datamodel.Row[leaseClient]{}, err)
					return
				}
				for _, key := range t.order {
					c := leaseClient{chaddr: key.mac, active: present == nil || present(key.mac)}
					if key.pool == parent[0] && !yield(datamodel.Row[leaseClient]{Key: key.mac, Value: new(c)}, nil) {
						return
					}
				}
			}
		},
	})
}

// presentHosts tells who is on the local network now; nil where nobody knows:
// then who has a lease counts as there.
func (m *Model) presentHosts(ctx context.Context) (func(mac string) bool, error) {
	if m.p.Neighbors == nil {
		return nil, nil
	}
	hosts, err := m.hostTable(ctx)
	if err != nil {
		return nil, err
	}
	return func(mac string) bool {
		h := hosts.by[mac]
		return h != nil && h.active
	}, nil
}

func (m *Model) leasedAddress() datamodel.Object {
	return datamodel.Define(leaseClientPath+"IPv4Address.{i}.", leasedAddressParams, datamodel.Source[leasedAddress]{
		Volatile: true,
		Topics:   []datamodel.Topic{LeaseChanged, ConfigChanged},
		Rows: ofLeases(m, func(l platform.Lease, yield func(string, leasedAddress) bool) bool {
			until := infiniteTime
			if !l.Ends.IsZero() {
				until = l.Ends.UTC().Truncate(time.Second)
			}
			return yield(l.Addr.String(), leasedAddress{l.Addr.String(), until})
		}),
	})
}

func (m *Model) leaseOption() datamodel.Object {
	return datamodel.Define(leaseClientPath+"Option.{i}.", leaseOptionParams, datamodel.Source[leaseOption]{
		Volatile: true,
		Topics:   []datamodel.Topic{LeaseChanged, ConfigChanged},
		Rows: ofLeases(m, func(l platform.Lease, yield func(string, leaseOption) bool) bool {
			if l.Name != "" && !yield("12", leaseOption{12, []byte(l.Name[:min(len(l.Name), 255)])}) {
				return false
			}
			id, err := hex.DecodeString(strings.ReplaceAll(l.ClientID, ":", ""))
			return err != nil || len(id) == 0 || yield("61", leaseOption{61, id[:min(len(id), 255)]})
		}),
	})
}

// ofLeases gives the rows of a table below a client: what each makes of each of
// its leases, by key, once.
func ofLeases[T any](m *Model, each func(platform.Lease, func(string, T) bool) bool) func(context.Context, []datamodel.Key) iter.Seq2[datamodel.Row[T], error] {
	return func(ctx context.Context, parent []datamodel.Key) iter.Seq2[datamodel.Row[T], error] {
		return func(yield func(datamodel.Row[T], error) bool) {
			t, err := m.leases(ctx)
			if err != nil {
				yield(datamodel.Row[T]{}, err)
				return
			}
			var seen []string
			for _, l := range t.by[leaseKey{parent[0], parent[1]}] {
				if !each(l, func(key string, v T) bool {
					if slices.Contains(seen, key) {
						return true
					}
					seen = append(seen, key)
					return yield(datamodel.Row[T]{Key: key, Value: &v}, nil)
				}) {
					return
				}
			}
		}
	}
}

// clientOf finds the client that has a lease for a MAC address: the row that a
// host points to.
func (t *leaseTable) clientOf(mac string) (datamodel.Ref, []platform.Lease) {
	for _, key := range t.order {
		if key.mac == mac {
			return datamodel.Ref{Table: leaseClientPath, At: []datamodel.Key{key.pool, key.mac}}, t.by[key]
		}
	}
	return datamodel.Ref{}, nil
}
