// Putting back what an ACS configured and the kernel forgets: at the start of
// the agent, and when a link comes back.

package tr181

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"net/netip"
	"strconv"
	"time"

	"gatehouse/datamodel"
	"gatehouse/platform"
)

// Reapply puts enabled kept rows back into the system. It is called at start
// and whenever the network may have changed, and does something only for links
// that have appeared since the last call, were switched on or have changed
// their state, and for what it owes: whoever takes an address away by hand does
// not have it put back.
//
// Each row goes by itself, with no transaction under way. What cannot be put
// back is owed and tried again by the next call; the error joins what is owed
// for the first time.
func (m *Model) Reapply(ctx context.Context, t *datamodel.Tree) error {
	if !m.canWrite() {
		return nil
	}
	tx, err := t.Begin(ctx)
	if err != nil {
		return err
	}
	defer tx.Abort()
	links, err := m.dumpLinks(ctx)
	if err != nil {
		return err
	}
	if m.anew.Swap(false) {
		m.seen = nil
	}
	r := reapply{m: m, fresh: map[string]bool{}, up: map[string]bool{}, owed: map[string]bool{}}
	if m.p.IPv6 != nil && !m.logical() {
		all, err := m.dumpIPv6Links(ctx)
		if err != nil {
			return err
		}
		r.ipv6 = map[string]bool{}
		for _, l := range all {
			r.ipv6[l.Link] = l.Enabled
		}
	}
	now := make(map[string]linkSeen, len(links.all))
	for _, l := range links.all {
		was, met := m.seen[l.Name]
		fresh := !met || was.index != l.Index
		if fresh {
			r.fresh[l.Name] = true
		}
		// It may have been down and up again between two looks.
		if fresh || l.Enabled && (!was.enabled || r.ipv6[l.Name] && !m.seen6[l.Name] || !l.Changed.Equal(was.changed)) {
			r.up[l.Name] = true
		}
		now[l.Name] = linkSeen{l.Index, l.Enabled, l.Changed}
	}
	m.seen, m.seen6 = now, r.ipv6
	if len(r.up) == 0 && len(m.owed) == 0 {
		return nil
	}
	r.links(ctx, links)
	r.addresses(ctx, links)
	r.routes(ctx)
	m.owed = r.owed
	return errors.Join(r.errs...)
}

// linkSeen is what Reapply remembers of a link.
type linkSeen struct {
	index   int
	enabled bool
	changed time.Time
}

// Reloaded says that services of the system have set up the network anew: to the
// next Reapply all links are new ones.
func (m *Model) Reloaded() { m.anew.Store(true) }

// reapply is one run of Reapply.
type reapply struct {
	m         *Model
	fresh, up map[string]bool // links that are new; or new, switched on or moved
	ipv6      map[string]bool // links that have it: whether it is on; nil: nobody can say
	owed      map[string]bool // what this run could not put back
	errs      []error
}

// due says whether the thing called what, on link or on any (""), is to be put
// back now.
func (r *reapply) due(what, link string) bool {
	return r.m.owed[what] || r.up[link] || link == "" && len(r.up) > 0
}

// put makes one change, or notes why not.
func (r *reapply) put(ctx context.Context, what string, c change) {
	if err := r.m.apply(ctx, c); err != nil {
		r.failed(what, err)
	}
}

func (r *reapply) failed(what string, err error) {
	r.owed[what] = true
	if !r.m.owed[what] {
		r.errs = append(r.errs, fmt.Errorf("putting back %s: %w", what, err))
	}
}

func (r *reapply) links(ctx context.Context, links *linkTable) {
	for row, err := range r.m.links.Rows(ctx, nil) {
		if err != nil {
			r.failed("links", err)
			return
		}
		l, ok := links.get(row.Key)
		if !ok || !r.fresh[l.Name] && !r.m.owed["link "+l.Name] {
			continue
		}
		if row.Value.mtu != 0 && row.Value.mtu != l.MTU {
			r.put(ctx, "link "+l.Name, change{Link: l.Name, MTU: row.Value.mtu})
		}
		if on := row.Value.enable == "true"; row.Value.enable != "" && on != l.Enabled {
			r.put(ctx, "link "+l.Name, change{Link: l.Name, Enabled: &on})
		}
		if on := row.Value.ipv6 == "true"; r.ipv6 != nil && row.Value.ipv6 != "" && on != r.ipv6[l.Name] {
			r.put(ctx, "link "+l.Name, change{Link: l.Name, IPv6: &on})
			r.ipv6[l.Name] = on
		}
	}
}

func (r *reapply) addresses(ctx context.Context, links *linkTable) {
	if r.m.ipv4 == nil {
		return
	}
	for _, l := range links.all {
		parent := []datamodel.Key{l.Name}
		want, err := wanted(r.m.ipv4.Rows(ctx, parent), func(a *ipv4Address) (netip.Prefix, bool) { return a.prefix(), a.enable })
		if err != nil {
			r.failed("addresses of "+l.Name, err)
			return
		}
		want6, err := wanted(r.m.ipv6.Rows(ctx, parent), func(a *ipv6Address) (netip.Prefix, bool) { return a.netip(), a.enable })
		if err != nil {
			r.failed("addresses of "+l.Name, err)
			return
		}
		if want = append(want, want6...); len(want) == 0 {
			continue
		}
		have, err := r.m.addressesOf(ctx, l.Name, netip.Addr.IsValid)
		if err != nil {
			r.failed("addresses of "+l.Name, err)
			return
		}
		for _, p := range want {
			if r.ipv6 != nil && p.Addr().Is6() && !r.ipv6[l.Name] {
				continue // until IPv6 is switched on
			}
			what := p.String() + " on " + l.Name
			if _, ok := have.find(p); !ok && p.IsValid() && r.due(what, l.Name) {
				a := static(l.Name, p)
				r.put(ctx, what, change{Address: &a})
			}
		}
	}
}

// routes puts those without a gateway first: the others may need them.
func (r *reapply) routes(ctx context.Context) {
	if r.m.route4 == nil {
		return
	}
	parent := []datamodel.Key{mainRouter}
	want, err := wanted(r.m.route4.Rows(ctx, parent), func(a *ipv4Route) (platform.Route, bool) { return a.route(), a.enable })
	if err != nil {
		r.failed("routes", err)
		return
	}
	want6, err := wanted(r.m.route6.Rows(ctx, parent), func(a *ipv6Route) (platform.Route, bool) { return a.route(), a.enable })
	if err != nil {
		r.failed("routes", err)
		return
	}
	want = append(want, want6...)
	for _, direct := range []bool{true, false} {
		for _, w := range want {
			what := "route to " + w.Dest.String() + " metric " + strconv.Itoa(int(w.Metric))
			if w.Gateway.IsValid() == direct || !complete(w) || !r.due(what, w.Link) {
				continue
			}
			switch there, err := r.m.hasRoute(ctx, w); {
			case err != nil:
				r.failed(what, err)
			case there == nil:
				r.put(ctx, what, change{Route: &w})
			}
		}
	}
}

// wanted are the values of the rows that are on.
func wanted[T, V any](rows iter.Seq2[datamodel.Row[T], error], value func(*T) (V, bool)) ([]V, error) {
	var all []V
	for row, err := range rows {
		if err != nil {
			return nil, err
		}
		if v, on := value(row.Value); on {
			all = append(all, v)
		}
	}
	return all, nil
}
