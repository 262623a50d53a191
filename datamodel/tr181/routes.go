// What the forwarding tables of both families have in common: which routes are
// ours, be it that the platform has them in its configuration or that we keep
// them, and which of the system's are equal to them. The system's
// routes are streamed: ten thousand of them cost no more than one, and only
// the few that are ours are held.

package tr181

import (
	"context"
	"iter"
	"net/netip"
	"strconv"

	"gatehouse/datamodel"
	"gatehouse/platform"
)

// sameRoute says whether the system's route is the kept one. Where ours names
// no gateway or link, the system has found one.
func sameRoute(kept, has platform.Route) bool {
	return kept.Dest.IsValid() && kept.Dest == has.Dest && kernelMetric(kept) == kernelMetric(has) &&
		(!kept.Gateway.IsValid() || kept.Gateway == has.Gateway.WithZone("")) &&
		(kept.Link == "" || kept.Link == has.Link)
}

// kernelMetric is what the kernel makes of a metric: where none is given, 0
// for IPv4 and 1024 for IPv6.
func kernelMetric(r platform.Route) int32 {
	switch {
	case r.Metric > 0:
		return r.Metric
	case r.Dest.Addr().Is6():
		return 1024
	}
	return 0
}

// routeKey names a route of the system.
func routeKey(r platform.Route) datamodel.Key {
	return r.Dest.String() + " via " + r.Gateway.WithZone("").String() + " dev " + r.Link + " metric " + strconv.Itoa(int(r.Metric))
}

// configuresRoutes says whether the platform keeps static routes itself. Where
// it does not, we do, unless its interfaces are not the kernel's.
func (m *Model) configuresRoutes() bool { return m.p.Config != nil && m.p.Routing != nil }

// keepsRoutes says whether we keep static routes.
func (m *Model) keepsRoutes() bool { return m.canWrite() && !m.configuresRoutes() && !m.logical() }

// routeNames are the names of interfaces that routes go by.
type routeNames struct {
	ref  interfaceRef
	link func(key string) string
}

func (m *Model) routeNames(ctx context.Context) (routeNames, error) {
	ref, err := m.ipInterfaceRefs(ctx)
	if err != nil {
		return routeNames{}, err
	}
	link, err := m.ipLinks(ctx)
	return routeNames{ref, link}, err
}

// onLink is the route with the link in place of the key of its interface. One
// whose interface has no link now keeps the key: no route of the system is on
// it.
func (n routeNames) onLink(r platform.Route) platform.Route {
	if link := n.link(r.Link); link != "" {
		r.Link = link
	}
	return r
}

// configuredRoutes are the rows of the platform's static routes of one family.
func configuredRoutes[T any](ctx context.Context, m *Model, ipv6 bool, row func(platform.StaticRoute) T) iter.Seq2[datamodel.Row[T], error] {
	return func(yield func(datamodel.Row[T], error) bool) {
		all, err := configured(ctx, m, "routing", m.p.Routing)
		if err != nil {
			yield(datamodel.Row[T]{}, err)
			return
		}
		for _, e := range all {
			if e.Value.Dest.Addr().Is6() == ipv6 && !yield(datamodel.Row[T]{Key: e.Key, Value: new(row(e.Value))}, nil) {
				return
			}
		}
	}
}

// stageConfiguredRoute has the platform keep a route, or no longer when want is
// nil. What the row asks of the system has its interface in Link.
func (m *Model) stageConfiguredRoute(ctx context.Context, tx *datamodel.Tx, key string, want *platform.Route, enable bool, blame string) error {
	if want == nil {
		return deleteRow(ctx, m, tx, m.p.Routing, key)
	}
	return putRow(ctx, m, tx, m.p.Routing, key, platform.StaticRoute{
		Enabled: enable, Dest: want.Dest, Gateway: want.Gateway, Interface: want.Link, Metric: want.Metric,
	}, blame)
}

// A wantedRoute is what the kept row at an index asks of the system.
type wantedRoute struct {
	platform.Route
	row int
}

// mergedRoutes yields the kept rows and, but for their equals, the routes of
// the system. route tells what a kept row asks of the system (invalid: nothing
// yet) and whether it is on.
func mergedRoutes[T any](has iter.Seq2[platform.Route, error], kept iter.Seq2[datamodel.Row[T], error],
	route func(*T) (platform.Route, bool), status func(*T) *string, system func(platform.Route) T,
) iter.Seq2[datamodel.Row[T], error] {
	return func(yield func(datamodel.Row[T], error) bool) {
		var ours []datamodel.Row[T]
		wants := map[netip.Prefix][]wantedRoute{}
		for row, err := range kept {
			if err != nil {
				yield(row, err)
				return
			}
			want, on := route(row.Value)
			*status(row.Value) = routeStatus(want, on)
			if on {
				wants[want.Dest] = append(wants[want.Dest], wantedRoute{want, len(ours)})
			}
			ours = append(ours, row)
		}
		var lent T // one for all of the system's
		for r, err := range has {
			if err != nil {
				yield(datamodel.Row[T]{}, lacking(err))
				return
			}
			claimed := false
			for _, w := range wants[r.Dest] {
				if sameRoute(w.Route, r) {
					*status(ours[w.row].Value), claimed = "Enabled", true
				}
			}
			if claimed {
				continue
			}
			lent = system(r)
			if !yield(datamodel.Row[T]{Key: routeKey(r), Value: &lent}, nil) {
				return
			}
		}
		for _, row := range ours {
			if !yield(row, nil) {
				return
			}
		}
	}
}

// routeStatus is the Status of a kept route that the system does not have.
func routeStatus(want platform.Route, on bool) string {
	switch {
	case !on:
		return "Disabled"
	case !want.Dest.IsValid() || !want.Gateway.IsValid() && want.Link == "":
		return "Error_Misconfigured"
	}
	return "Error"
}

// stageRoute enlists the way from old to next, either of which may be invalid:
// there is none. What the system lost by itself is not deleted.
func (m *Model) stageRoute(ctx context.Context, tx *datamodel.Tx, old, next platform.Route, blame string) error {
	if old == next {
		return nil
	}
	was, err := m.hasRoute(ctx, old)
	if err != nil {
		return err
	}
	there, err := m.hasRoute(ctx, next)
	if err != nil {
		return err
	}
	b, err := m.network(ctx, tx)
	if err != nil {
		return err
	}
	if was != nil {
		b.ask(step{do: change{Route: was, Delete: true}, undo: change{Route: was}, path: tx.Path(blame)})
	}
	if complete(next) {
		b.ask(step{do: change{Route: &next}, undo: change{Route: &next, Delete: true}, path: tx.Path(blame), there: change{Route: there}})
	}
	return nil
}

// complete says whether a route can be asked for at all.
func complete(r platform.Route) bool {
	return r.Dest.IsValid() && (r.Gateway.IsValid() || r.Link != "")
}

// hasRoute returns the system's equal of a kept route, or nil.
func (m *Model) hasRoute(ctx context.Context, want platform.Route) (*platform.Route, error) {
	if !complete(want) {
		return nil, nil
	}
	for r, err := range m.p.Routes.Routes(ctx, want.Dest.Addr().Is6()) {
		if err != nil {
			return nil, lacking(err)
		}
		if sameRoute(want, r) {
			return &r, nil
		}
	}
	return nil, nil
}

// linkOf is the key of the IP interface that r points to, which is the name of
// its link where links are the interfaces.
func linkOf(r datamodel.Ref) string {
	if len(r.At) != 1 {
		return ""
	}
	return r.At[0]
}

// addrOf parses an address that may be empty.
func addrOf(s string) netip.Addr {
	a, err := netip.ParseAddr(s)
	if err != nil || a.IsUnspecified() {
		return netip.Addr{}
	}
	return a
}

// keptRows are the rows that we keep, if we keep any.
func keptRows[T any](ctx context.Context, k *datamodel.Kept[T], parent []datamodel.Key) iter.Seq2[datamodel.Row[T], error] {
	if k == nil {
		return func(func(datamodel.Row[T], error) bool) {}
	}
	return k.Rows(ctx, parent)
}
