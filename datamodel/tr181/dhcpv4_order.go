// The order of precedence of DHCP pools: who writes one Order moves others.

package tr181

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"gatehouse/datamodel"
	"gatehouse/platform"
)

// A poolOrder is the pools as a transaction leaves them. TR-181 of Pool.Order:
// a value that is taken increments the entry that has it and all lower ones;
// then the values are compacted. So a pool that is to come right after another
// takes a value above that one's: to write the value of the next entry lets a
// pool stay where it is. Of several that are written in one request, whose
// order carries no meaning, each counts as the value that it shall have.
type poolOrder struct {
	pools []*poolPlace // as they are asked now; new ones at the end
}

type poolPlace struct {
	key   string
	row   platform.DHCPPool
	value uint32 // of Order
	wish  bool   // somebody wrote it
	write bool
	fresh bool // a new row
	gone  bool

	order, blame string // paths: of Order, and of what else a refusal is laid on
}

func newPoolOrder(ranked []rankedPool) *poolOrder {
	o := &poolOrder{}
	for i, e := range ranked {
		o.pools = append(o.pools, &poolPlace{key: e.key, row: e.row, value: uint32(i + 1)})
	}
	return o
}

// Prepare, Commit and Rollback make it a participant that does nothing: it
// lives as long as the transaction.
func (*poolOrder) Prepare(context.Context) error        { return nil }
func (*poolOrder) Commit(context.Context) (bool, error) { return false, nil }
func (*poolOrder) Rollback(context.Context) error       { return nil }

// poolOrder returns the pools as the transaction has them so far.
func (m *Model) poolOrder(ctx context.Context, tx *datamodel.Tx) (*poolOrder, error) {
	b, err := m.config(ctx, tx)
	if err != nil {
		return nil, err
	}
	return datamodel.Enlist(tx, "DHCP pools", func() (*poolOrder, error) {
		ranked, err := m.rankedPools(ctx)
		o := newPoolOrder(ranked)
		b.last = append(b.last, func() { o.put(b) })
		return o, err
	})
}

func (o *poolOrder) find(key string) *poolPlace {
	i := slices.IndexFunc(o.pools, func(p *poolPlace) bool { return p.key == key })
	if i < 0 {
		return nil
	}
	return o.pools[i]
}

func (o *poolOrder) remove(key string) {
	if p := o.find(key); p != nil {
		p.gone = true
	}
}

// change notes a pool that was created or edited; wish is the Order that was
// written, 0 none.
func (o *poolOrder) change(key string, row platform.DHCPPool, wish uint32, order, blame string) error {
	p := o.find(key)
	if p == nil {
		p = &poolPlace{key: key, value: uint32(len(o.pools) + 1), fresh: true}
		o.pools = append(o.pools, p)
	}
	p.row, p.write, p.order, p.blame = row, true, order, blame
	if wish == 0 || wish == p.value {
		return nil
	}
	for _, other := range o.pools {
		if other.wish && other.value == wish {
			return errors.Join(other.refuse(), p.refuse())
		}
	}
	p.value, p.wish = wish, true
	return nil
}

// refuse blames the Order that a pool was given.
func (p *poolPlace) refuse() error {
	return &datamodel.ParamError{Path: p.order, Err: fmt.Errorf("%w: another pool is given the same Order", datamodel.ErrValue)}
}

// settle puts the pools that remain in their new order.
func (o *poolOrder) settle() {
	o.pools = slices.DeleteFunc(o.pools, func(p *poolPlace) bool { return p.gone })
	byValue := func(a, b *poolPlace) int { return cmp.Compare(a.value, b.value) }
	var wishes []*poolPlace
	for _, p := range o.pools {
		if p.wish {
			wishes = append(wishes, p)
		}
	}
	slices.SortStableFunc(wishes, byValue)
	for _, w := range wishes {
		if !slices.ContainsFunc(o.pools, func(p *poolPlace) bool { return !p.wish && p.value == w.value }) {
			continue
		}
		for _, p := range o.pools {
			if !p.wish && p.value >= w.value {
				p.value++
			}
		}
	}
	slices.SortStableFunc(o.pools, byValue)
}

// put asks for every pool that was changed. As long as nobody writes an Order,
// that of the platform stays, whatever gaps there are; a new pool is its last.
func (o *poolOrder) put(b *configBatch) {
	moved := slices.ContainsFunc(o.pools, func(p *poolPlace) bool { return p.wish })
	o.settle()
	last := uint32(0)
	for _, p := range o.pools {
		last = max(last, p.row.Order)
	}
	for i, p := range o.pools {
		switch place := uint32(i + 1); {
		case moved && p.row.Order != place:
			p.row.Order, p.write = place, true
		case !moved && p.fresh && last > 0:
			last++
			p.row.Order = last
		}
		if p.write {
			b.blame[b.m.p.DHCP.Pools.Put(b.ConfigBatch, p.key, p.row)] = p.blame
		}
	}
}
