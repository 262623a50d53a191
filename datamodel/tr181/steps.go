// What the rows of one transaction ask of the network, made into one batch:
// the order in which they asked carries no meaning (TR-069 A.3.2.1), and what
// one row gives up another may take.

package tr181

import (
	"cmp"
	"slices"
	"sort"
)

// A step is a change that a row asks for.
type step struct {
	do, undo change
	path     string // of the parameter to blame
	there    change // the Address or Route that the system has in its place already
	depth    int    // of a link: how many others it stands on
}

// settle puts steps into the order in which the system can take them. What is
// there and stays is not added; what one row gives up and another takes is left
// alone.
func settle(steps []step) []step {
	dropped := make([]bool, len(steps))
	for i, s := range steps {
		if s.do.Delete {
			dropped[i] = slices.ContainsFunc(steps[:i], func(o step) bool { return o.do.Delete && o.do.same(s.do) })
		}
	}
	for i, s := range steps {
		if s.there == (change{}) {
			continue
		}
		gone := slices.IndexFunc(steps, func(o step) bool { return o.do.Delete && o.do.same(s.there) })
		if dropped[i] = gone < 0 || s.kept(); dropped[i] && gone >= 0 {
			dropped[gone] = true
		}
	}
	var out []step
	for i, s := range steps {
		if !dropped[i] {
			out = append(out, s)
		}
	}
	sort.SliceStable(out, func(i, j int) bool {
		x, y := &out[i], &out[j]
		return cmp.Or(cmp.Compare(x.do.rank(), y.do.rank()), cmp.Compare(x.depth, y.depth)) < 0
	})
	return out
}

// kept says whether what is there is just what is to be added. An IPv6 address
// may have another length, and a route that named its link may no longer.
func (s *step) kept() bool {
	if s.do.Address != nil {
		return s.there.Address.Prefix == s.do.Address.Prefix
	}
	return s.there.Route.Link == s.do.Route.Link && s.there.Route.Gateway.WithZone("") == s.do.Route.Gateway
}

// same says whether two changes are of the same thing that the system has.
func (c change) same(o change) bool {
	return c.Address != nil && o.Address != nil && *c.Address == *o.Address ||
		c.Route != nil && o.Route != nil && *c.Route == *o.Route
}

// rank is the order of changes: what goes makes room, routes before the
// addresses that lead to their gateways; what comes needs its link and its
// address first. Of links, those that others stand on come first: a VLAN comes
// up on a link that is up, and its MTU is bounded by that of the link.
func (c change) rank() int {
	switch {
	case c.Route != nil && c.Delete:
		return 0
	case c.Address != nil && c.Delete:
		return 1
	case c.Address != nil:
		return 3
	case c.Route != nil && !c.Route.Gateway.IsValid():
		return 4
	case c.Route != nil:
		return 5
	}
	return 2 // links
}
