// Batches that really change the state, and can be let fail in every phase.

package fake

import (
	"context"
	"errors"
	"slices"

	"gatehouse/platform"
	"gatehouse/platform/plan"
)

// FailPrepare lets every Prepare refuse with err, until nil is given.
func (r *Router) FailPrepare(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.failPrepare = err
}

// FailCommit lets Commit fail with err when it comes to that item, after the
// ones before it were applied, until nil is given.
func (r *Router) FailCommit(item int, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.failItem, r.failCommit = item, err
}

// FailRollback lets every Rollback fail with err, until nil is given.
func (r *Router) FailRollback(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.failUndo = err
}

// Defer lets Commit say that a reload is due before the changes show.
func (r *Router) Defer(on bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.deferred = on
}

// Commits returns how many batches were committed without an error.
func (r *Router) Commits() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.commits
}

type batch struct {
	plan.Batch
	r        *Router
	prepared bool
	undo     []func(*state)
}

// Begin opens a batch.
func (b backend) Begin(ctx context.Context) (platform.NetworkBatch, error) {
	return &batch{r: b.Router}, ctx.Err()
}

var errNotPrepared = errors.New("batch: Commit without Prepare")

func (b *batch) Prepare(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	b.r.mu.Lock()
	defer b.r.mu.Unlock()
	if b.r.failPrepare != nil {
		return b.r.failPrepare
	}
	err := plan.Check(b.r.planState(), b.Changes())
	b.prepared = err == nil
	return err
}

func (r *Router) planState() plan.State {
	ipv6 := map[string]bool{}
	for _, l := range r.state.links {
		ipv6[l.Name] = !r.state.noFamily[1]
	}
	for _, l := range r.state.ipv6 {
		ipv6[l.Link] = l.Enabled && !r.state.noFamily[1]
	}
	return plan.State{
		Links: r.state.links, Addresses: r.state.addresses, Routes: r.state.routes,
		MTURange: func(string) (uint32, uint32) { return plan.MinMTU, 9000 },
		IPv6:     ipv6,
	}
}

func (b *batch) Commit(ctx context.Context) (deferred bool, err error) {
	if err := ctx.Err(); err != nil {
		return false, err
	}
	if !b.prepared {
		return false, errNotPrepared
	}
	r := b.r
	r.mu.Lock()
	defer r.mu.Unlock()
	defer func() { r.tell(append(r.settle(), hints(b.Changes())...)...) }()
	for i, c := range b.Changes() {
		if r.failCommit != nil && i == r.failItem {
			return false, &platform.ItemError{Item: i, Err: r.failCommit}
		}
		// Somebody may have been faster since Prepare.
		if err := errors.Unwrap(plan.Check(r.planState(), []plan.Change{c})); err != nil {
			return false, &platform.ItemError{Item: i, Err: err}
		}
		b.apply(c)
		r.settle()
	}
	r.commits++
	return r.deferred, nil
}

func (b *batch) Rollback(context.Context) error {
	r := b.r
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.failUndo != nil {
		return r.failUndo
	}
	if len(b.undo) == 0 {
		return nil
	}
	for _, undo := range slices.Backward(b.undo) {
		undo(&r.state)
		r.settle()
	}
	b.undo = nil
	r.tell(hints(b.Changes())...)
	return nil
}

// apply makes one change and remembers what it replaced.
func (b *batch) apply(c plan.Change) {
	s := &b.r.state
	switch c.Op {
	case plan.AddAddress:
		a := c.Address
		a.Permanent = a.Valid <= 0
		if a.Permanent {
			a.Valid, a.Preferred = -1, -1
		}
		s.addresses = swap(b, func(s *state) *[]platform.Address { return &s.addresses }, nil, a)
		if !a.Prefix.IsSingleIP() {
			s.routes = swap(b, tableRoutes, nil, connected(a))
		}
	case plan.DeleteAddress:
		s.addresses = swap(b, func(s *state) *[]platform.Address { return &s.addresses },
			func(o platform.Address) bool { return plan.SameAddress(c.Address, o) })
		s.routes = swap(b, tableRoutes, func(o platform.Route) bool {
			return o.Protocol == "kernel" && o.Link == c.Address.Link && o.Dest == c.Address.Prefix.Masked() &&
				(o.Dest.Addr().Is6() || o.Source == c.Address.Prefix.Addr())
		})
	case plan.AddRoute:
		x := c.Route
		x.Metric, x.Static, x.Gateway = plan.Metric(x), true, x.Gateway.WithZone("")
		if x.Protocol == "" {
			x.Protocol = "static"
		}
		if x.Link == "" {
			x.Link = s.linkTo(x)
		}
		s.routes = swap(b, tableRoutes, nil, x)
	case plan.DeleteRoute:
		s.routes = swap(b, tableRoutes, func(o platform.Route) bool { return plan.SameRoute(c.Route, o) })
	case plan.SetLink:
		b.edit(c.Link, func(l *platform.Link) { l.Enabled = c.Enabled })
		if !c.Enabled {
			s.routes = swap(b, tableRoutes, func(o platform.Route) bool { return o.Link == c.Link })
		} else {
			for _, a := range s.addresses {
				x := connected(a)
				if a.Link == c.Link && !a.Prefix.IsSingleIP() && !slices.Contains(s.routes, x) {
					s.routes = swap(b, tableRoutes, nil, x)
				}
			}
		}
	case plan.SetMTU:
		b.edit(c.Link, func(l *platform.Link) { l.MTU = c.MTU })
	case plan.SetIPv6:
		s.ipv6 = swapIPv6(b, c.Link, c.Enabled)
		if !c.Enabled {
			s.addresses = swap(b, func(s *state) *[]platform.Address { return &s.addresses },
				func(o platform.Address) bool { return o.Link == c.Link && o.Prefix.Addr().Is6() })
			s.routes = swap(b, tableRoutes, func(o platform.Route) bool { return o.Link == c.Link && o.Dest.Addr().Is6() })
		}
	}
}

// swapIPv6 switches IPv6 of a link.
func swapIPv6(b *batch, link string, on bool) []platform.IPv6Link {
	row := platform.IPv6Link{Link: link}
	for _, l := range b.r.state.ipv6 {
		if l.Link == link {
			row = l
		}
	}
	row.Enabled = on
	return swap(b, func(s *state) *[]platform.IPv6Link { return &s.ipv6 }, func(l platform.IPv6Link) bool { return l.Link == link }, row)
}

func tableRoutes(s *state) *[]platform.Route { return &s.routes }

// connected is the route that comes with an address.
func connected(a platform.Address) platform.Route {
	r := platform.Route{Dest: a.Prefix.Masked(), Link: a.Link, Protocol: "kernel"}
	if a.Prefix.Addr().Is6() {
		r.Metric = 256
	} else {
		r.Source = a.Prefix.Addr()
	}
	return r
}

// linkTo finds the link by which a gateway is reached; plan has seen to it
// that there is one.
func (s *state) linkTo(r platform.Route) string {
	for _, a := range s.addresses {
		if a.Prefix.Masked().Contains(r.Gateway) {
			return a.Link
		}
	}
	for _, o := range s.routes {
		if !o.Gateway.IsValid() && o.Dest.Contains(r.Gateway) {
			return o.Link
		}
	}
	return ""
}

// swap returns the rows without the first that matches and with the added
// ones, and enlists the opposite for Rollback: exact, and blind to what others
// have changed meanwhile.
func swap[T comparable](b *batch, at func(*state) *[]T, match func(T) bool, add ...T) []T {
	old := *at(&b.r.state)
	rows := slices.Clone(old)
	type taken struct {
		row T
		at  int
	}
	var gone []taken
	for i := 0; match != nil && i < len(rows); i++ {
		if match(rows[i]) {
			gone = append(gone, taken{rows[i], i})
			rows = slices.Delete(rows, i, i+1)
			i--
		}
	}
	rows = append(rows, add...)
	b.undo = append(b.undo, func(s *state) {
		p := at(s)
		rows := slices.Clone(*p)
		for _, row := range add {
			if i := slices.Index(rows, row); i >= 0 {
				rows = slices.Delete(rows, i, i+1)
			}
		}
		for _, g := range slices.Backward(gone) {
			if !slices.Contains(rows, g.row) {
				rows = slices.Insert(rows, min(g.at, len(rows)), g.row)
			}
		}
		*p = rows
	})
	return rows
}

// edit changes a link and enlists the return to what it was.
func (b *batch) edit(name string, change func(*platform.Link)) {
	set := func(s *state, f func(*platform.Link)) {
		s.links = slices.Clone(s.links)
		for i := range s.links {
			if s.links[i].Name == name {
				f(&s.links[i])
			}
		}
	}
	set(&b.r.state, func(l *platform.Link) {
		old := *l
		b.undo = append(b.undo, func(s *state) {
			set(s, func(l *platform.Link) { l.Enabled, l.MTU = old.Enabled, old.MTU })
		})
		change(l)
	})
}

// hints are the events of a batch.
func hints(changes []plan.Change) (events []platform.Event) {
	for _, c := range changes {
		switch c.Op {
		case plan.AddAddress, plan.DeleteAddress:
			events = append(events, platform.Event{Topic: platform.AddressChanged, Key: c.Address.Link})
		case plan.AddRoute, plan.DeleteRoute:
			events = append(events, platform.Event{Topic: platform.RouteChanged})
		case plan.SetLink, plan.SetMTU:
			events = append(events, platform.Event{Topic: platform.LinkChanged, Key: c.Link})
		case plan.SetIPv6:
			events = append(events, platform.Event{Topic: platform.AddressChanged, Key: c.Link})
		}
	}
	return events
}
