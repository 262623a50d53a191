// Putting back what an ACS configured and the kernel forgets: at the start of
// the agent, and when a link comes back.

package tr181

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"net/netip"

	"gatehouse/datamodel"
	"gatehouse/platform"
)

// Reapply puts enabled kept rows back into the system. It is called at start
// and whenever links may have changed, and does something only for links that
// have appeared since the last call or were switched on: whoever takes an
// address away by hand does not have it put back. No transaction runs
// meanwhile. Each row goes by itself; the error joins those of all that could
// not be put back.
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
	r := reapply{m: m, fresh: map[string]bool{}, up: map[string]bool{}}
	now := make(map[string]platform.Link, len(links.all))
	for _, l := range links.all {
		was, met := m.seen[l.Name]
		fresh := !met || was.Index != l.Index
		if fresh {
			r.fresh[l.Name] = true
		}
		if fresh || l.Enabled && !was.Enabled {
			r.up[l.Name] = true
		}
		now[l.Name] = platform.Link{Index: l.Index, Enabled: l.Enabled}
	}
	m.seen = now
	if len(r.up) == 0 {
		return nil
	}
	r.links(ctx, links)
	r.addresses(ctx, links)
	r.routes(ctx)
	return errors.Join(r.errs...)
}

// reapply is one run of Reapply.
type reapply struct {
	m         *Model
	fresh, up map[string]bool // links that are new, or new or switched on
	errs      []error
}

// put makes one change, or notes why not.
func (r *reapply) put(ctx context.Context, what any, c change) {
	if err := r.m.apply(ctx, c); err != nil {
		r.failed(what, err)
	}
}

func (r *reapply) failed(what any, err error) {
	r.errs = append(r.errs, fmt.Errorf("putting back %v: %w", what, err))
}

func (r *reapply) links(ctx context.Context, links *linkTable) {
	for row, err := range r.m.links.Rows(ctx, nil) {
		if err != nil {
			r.failed("links", err)
			return
		}
		l, ok := links.get(row.Key)
		if !ok || !r.fresh[l.Name] {
			continue
		}
		if row.Value.mtu != 0 && row.Value.mtu != l.MTU {
			r.put(ctx, l.Name, change{Link: l.Name, MTU: row.Value.mtu})
		}
		if on := row.Value.enable == "true"; row.Value.enable != "" && on != l.Enabled {
			r.put(ctx, l.Name, change{Link: l.Name, Enabled: &on})
		}
	}
}

func (r *reapply) addresses(ctx context.Context, links *linkTable) {
	if r.m.ipv4 == nil {
		return
	}
	for _, l := range links.all {
		if !r.up[l.Name] {
			continue
		}
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
			if _, ok := have.find(p); !ok && p.IsValid() {
				a := static(l.Name, p)
				r.put(ctx, fmt.Sprint(p, " on ", l.Name), change{Address: &a})
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
			if w.Gateway.IsValid() == direct || !complete(w) || w.Link != "" && !r.up[w.Link] {
				continue
			}
			switch there, err := r.m.hasRoute(ctx, w); {
			case err != nil:
				r.failed(w.Dest, err)
			case there == nil:
				r.put(ctx, w.Dest, change{Route: &w})
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
		if v, on := value(&row.Value); on {
			all = append(all, v)
		}
	}
	return all, nil
}
