// What the address tables of both families have in common: which addresses an
// interface has, which of them are ours, and how ours are changed.

package tr181

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"

	"gatehouse/datamodel"
	"gatehouse/platform"
)

// linkAddresses are the addresses of one family on one interface, less those
// that configured or kept rows have claimed.
type linkAddresses struct {
	all     []platform.Address
	claimed []bool
}

func (m *Model) addressesOf(ctx context.Context, key string, family func(netip.Addr) bool) (*linkAddresses, error) {
	h := &linkAddresses{}
	if m.logical() {
		t, err := m.dumpInterfaces(ctx)
		if err != nil {
			return nil, err
		}
		for _, a := range t.states[key].Addrs {
			if family(a.Prefix.Addr()) {
				h.all = append(h.all, a)
			}
		}
		h.claimed = make([]bool, len(h.all))
		return h, nil
	}
	all, err := m.dumpAddresses(ctx)
	if err != nil {
		return nil, err
	}
	for _, a := range all {
		if a.Link == key && family(a.Prefix.Addr()) {
			h.all = append(h.all, a)
		}
	}
	h.claimed = make([]bool, len(h.all))
	return h, nil
}

// find returns the address that the system has for a kept one.
func (h *linkAddresses) find(p netip.Prefix) (platform.Address, bool) {
	i := slices.IndexFunc(h.all, func(a platform.Address) bool { return sameAddress(a.Prefix, p) })
	if i < 0 {
		return platform.Address{}, false
	}
	return h.all[i], true
}

// sameAddress: the kernel has an IPv4 address once per length, an IPv6 one
// only once.
func sameAddress(a, b netip.Prefix) bool {
	return a.IsValid() && b.IsValid() && a.Addr() == b.Addr() && (a.Addr().Is6() || a.Bits() == b.Bits())
}

// claim says how a kept address is doing, and takes the system's equal out of
// rest.
func (h *linkAddresses) claim(enable bool, p netip.Prefix) (status string) {
	switch {
	case !enable:
		return "Disabled"
	case !p.IsValid():
		return "Error_Misconfigured"
	}
	for i := range h.all {
		if sameAddress(h.all[i].Prefix, p) {
			h.claimed[i] = true
			return "Enabled"
		}
	}
	return "Error"
}

// rest are the addresses of the system.
func (h *linkAddresses) rest() []platform.Address {
	var rest []platform.Address
	for i, a := range h.all {
		if !h.claimed[i] {
			rest = append(rest, a)
		}
	}
	return rest
}

// stageAddress enlists the way from old to next, either of which may be
// invalid: there is none. What the system lost by itself is not deleted.
func (m *Model) stageAddress(ctx context.Context, tx *datamodel.Tx, link string, old, next netip.Prefix) error {
	if old == next {
		return nil
	}
	have, err := m.addressesOf(ctx, link, func(netip.Addr) bool { return true })
	if err != nil {
		return err
	}
	b, err := m.network(ctx, tx)
	if err != nil {
		return err
	}
	if was, there := have.find(old); there {
		undo := static(link, was.Prefix)
		b.ask(step{do: change{Address: &was, Delete: true}, undo: change{Address: &undo}, path: tx.Path("IPAddress")})
	}
	if !next.IsValid() {
		return nil
	}
	a := static(link, next)
	s := step{do: change{Address: &a}, undo: change{Address: &a, Delete: true}, path: tx.Path("IPAddress")}
	if has, there := have.find(next); there {
		s.there.Address = &has
	}
	b.ask(s)
	return nil
}

// static is an address as an administrator gives it.
func static(link string, p netip.Prefix) platform.Address {
	return platform.Address{Link: link, Prefix: p, Permanent: true, Preferred: -1, Valid: -1}
}

var errOfTheSystem = errors.New("this row belongs to the system")

// ofTheSystem refuses to change a row that is not ours. To write what it has is
// no change; its Alias is kept by the engine.
func ofTheSystem[T any](params []datamodel.Param[T], c datamodel.Change[T]) error {
	if c.New == nil {
		return fmt.Errorf("%w: %v", datamodel.ErrDenied, errOfTheSystem)
	}
	for i := range params {
		name := params[i].Name
		if name != "Alias" && c.Set(name) && datamodel.Text(params, c.Old, name) != datamodel.Text(params, c.New, name) {
			return &datamodel.FieldError{Name: name, Err: fmt.Errorf("%w: %v", datamodel.ErrReadOnly, errOfTheSystem)}
		}
	}
	return nil
}
