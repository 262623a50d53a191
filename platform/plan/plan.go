// Package plan checks a batch of network changes against what the system has
// now, before anything is touched. Every backend collects its changes in a
// [Batch] and refuses by [Check], so that all of them refuse alike.
package plan

import (
	"slices"

	"gatehouse/platform"
)

// An Op is a kind of change.
type Op uint8

// Kinds of changes.
const (
	AddAddress Op = iota + 1
	DeleteAddress
	AddRoute
	DeleteRoute
	SetLink
	SetMTU
	SetIPv6
)

// A Change is one change of a batch. Its item number is its place.
type Change struct {
	Op      Op
	Address platform.Address // AddAddress, DeleteAddress
	Route   platform.Route   // AddRoute, DeleteRoute
	Link    string           // SetLink, SetMTU, SetIPv6
	Enabled bool             // SetLink, SetIPv6
	MTU     uint32           // SetMTU
}

// A Batch collects changes: the half of [platform.NetworkBatch] that acts on
// nothing.
type Batch struct{ changes []Change }

// Changes returns what was collected, in order.
func (b *Batch) Changes() []Change { return b.changes }

func (b *Batch) add(c Change) (item int) {
	b.changes = append(b.changes, c)
	return len(b.changes) - 1
}

// AddAddress asks for an address.
func (b *Batch) AddAddress(a platform.Address) int {
	return b.add(Change{Op: AddAddress, Address: a})
}

// DeleteAddress asks for an address to go.
func (b *Batch) DeleteAddress(a platform.Address) int {
	return b.add(Change{Op: DeleteAddress, Address: a})
}

// AddRoute asks for a route.
func (b *Batch) AddRoute(r platform.Route) int { return b.add(Change{Op: AddRoute, Route: r}) }

// DeleteRoute asks for a route to go. A zero Gateway or Link means any.
func (b *Batch) DeleteRoute(r platform.Route) int { return b.add(Change{Op: DeleteRoute, Route: r}) }

// SetLink asks for a link to be switched on or off.
func (b *Batch) SetLink(name string, enabled bool) int {
	return b.add(Change{Op: SetLink, Link: name, Enabled: enabled})
}

// SetMTU asks for the MTU of a link.
func (b *Batch) SetMTU(name string, mtu uint32) int {
	return b.add(Change{Op: SetMTU, Link: name, MTU: mtu})
}

// SetIPv6 asks for IPv6 of a link to be switched on or off.
func (b *Batch) SetIPv6(name string, enabled bool) int {
	return b.add(Change{Op: SetIPv6, Link: name, Enabled: enabled})
}

// Concerns says whether [Check] has to know of this route: of a big routing
// table, the few that a batch touches or that lead to one of its gateways.
func (b *Batch) Concerns(r platform.Route) bool {
	return slices.ContainsFunc(b.changes, func(c Change) bool {
		if c.Op != AddRoute && c.Op != DeleteRoute {
			return false
		}
		return c.Route.Dest == r.Dest ||
			!r.Gateway.IsValid() && c.Route.Gateway.IsValid() && r.Dest.Contains(c.Route.Gateway)
	})
}
