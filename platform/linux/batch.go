// Batches of changes: checked against what is there, applied in order, undone
// in reverse.

package linux

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net"
	"net/netip"
	"slices"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"gatehouse/platform"
	"gatehouse/platform/plan"
)

// batch is a plan, and the way back from what is done of it.
type batch struct {
	plan.Batch
	b        *backend
	prepared bool
	links    map[string]rawLink
	ipv6     map[string]bool
	undo     []func(context.Context, *netlink.Handle) error
}

// Begin opens a batch. Nothing is read before Prepare.
func (b *backend) Begin(ctx context.Context) (platform.NetworkBatch, error) {
	return &batch{b: b}, ctx.Err()
}

// Prepare reads what the changes meet and refuses what cannot be.
func (b *batch) Prepare(ctx context.Context) error {
	raw, err := b.b.rawLinks(ctx, skipStats)
	if err != nil {
		return err
	}
	b.links = map[string]rawLink{}
	for _, l := range raw {
		b.links[l.name] = l
	}
	s := plan.State{MTURange: func(name string) (uint32, uint32) { return b.links[name].minMTU, b.links[name].maxMTU }}
	if s.Links, err = b.b.links(ctx); err != nil {
		return err
	}
	if s.Addresses, err = b.b.addresses(ctx); err != nil {
		return err
	}
	if s.IPv6, err = b.b.ipv6On(ctx); err != nil {
		return err
	}
	if s.Routes, err = b.routes(ctx); err != nil {
		return err
	}
	if err := plan.Check(s, b.Changes()); err != nil {
		return err
	}
	if err := b.multipath(s.Routes); err != nil {
		return err
	}
	for i, c := range b.Changes() {
		if c.Op != plan.SetIPv6 {
			continue
		}
		if err := b.b.setIPv6(c.Link, ""); err != nil { // a container's /proc/sys is read-only
			return &platform.ItemError{Item: i, Err: fmt.Errorf("%w: %w", platform.ErrUnsupported, err)}
		}
	}
	b.ipv6, b.prepared = s.IPv6, true
	return nil
}

// routes reads the few routes that concern the batch.
func (b *batch) routes(ctx context.Context) (found []platform.Route, err error) {
	if !slices.ContainsFunc(b.Changes(), func(c plan.Change) bool { return c.Op == plan.AddRoute || c.Op == plan.DeleteRoute }) {
		return nil, nil
	}
	for _, ipv6 := range []bool{false, true} {
		for r, err := range b.b.Routes(ctx, ipv6) {
			if err != nil {
				return nil, err
			}
			if b.Concerns(r) {
				found = append(found, r)
			}
		}
	}
	return found, nil
}

// multipath refuses to take one way out of several: the kernel would delete
// the whole IPv4 route.
func (b *batch) multipath(routes []platform.Route) error {
	for i, c := range b.Changes() {
		if c.Op != plan.DeleteRoute {
			continue
		}
		ways := 0
		for _, r := range routes {
			if r.Dest == c.Route.Dest && plan.Metric(r) == plan.Metric(c.Route) {
				ways++
			}
		}
		if ways > 1 {
			return &platform.ItemError{Item: i, Err: fmt.Errorf("deleting one way of a route with %d: %w", ways, platform.ErrUnsupported)}
		}
	}
	return nil
}

var errNotPrepared = errors.New("batch: Commit without Prepare")

// handle opens sockets of the library in our namespace.
func (b *backend) handle() (h *netlink.Handle, err error) {
	err = b.inside(func() error {
		h, err = netlink.NewHandle(unix.NETLINK_ROUTE)
		return err
	})
	if err != nil {
		return nil, &platform.Unavailable{Source: "netlink", Err: err}
	}
	return h, nil
}

// Commit applies the changes in order, and stops at the first that fails.
func (b *batch) Commit(ctx context.Context) (deferred bool, err error) {
	if !b.prepared {
		return false, errNotPrepared
	}
	h, err := b.b.handle()
	if err != nil {
		return false, err
	}
	defer h.Close()
	for i, c := range b.Changes() {
		if err := ctx.Err(); err != nil {
			return false, err
		}
		if err := b.apply(ctx, h, c); err != nil {
			return false, &platform.ItemError{Item: i, Err: err}
		}
	}
	return false, nil
}

// Rollback undoes what was done, in reverse, and goes on where one step fails.
func (b *batch) Rollback(ctx context.Context) error {
	undo := b.undo
	if b.undo = nil; len(undo) == 0 {
		return nil
	}
	h, err := b.b.handle()
	if err != nil {
		b.undo = undo
		return err
	}
	defer h.Close()
	var errs []error
	for _, step := range slices.Backward(undo) {
		errs = append(errs, step(context.WithoutCancel(ctx), h))
	}
	return errors.Join(errs...)
}

func (b *batch) apply(ctx context.Context, h *netlink.Handle, c plan.Change) error {
	switch c.Op {
	case plan.AddAddress:
		return b.addAddress(h, c.Address)
	case plan.DeleteAddress:
		return b.deleteAddress(ctx, c.Address)
	case plan.AddRoute:
		return b.addRoute(h, c.Route)
	case plan.DeleteRoute:
		return b.deleteRoute(ctx, c.Route)
	case plan.SetLink:
		return b.setLink(ctx, h, c.Link, c.Enabled)
	case plan.SetMTU:
		return b.setMTU(h, c.Link, c.MTU)
	case plan.SetIPv6:
		return b.setIPv6(ctx, c.Link, c.Enabled)
	}
	return platform.ErrUnsupported
}

func (b *batch) link(name string) netlink.Link {
	return &netlink.GenericLink{LinkAttrs: netlink.LinkAttrs{Name: name, Index: int(b.links[name].index)}}
}

func ipNet(p netip.Prefix) *net.IPNet {
	return &net.IPNet{IP: p.Addr().AsSlice(), Mask: net.CIDRMask(p.Bits(), p.Addr().BitLen())}
}

func (b *batch) addAddress(h *netlink.Handle, a platform.Address) error {
	addr := &netlink.Addr{IPNet: ipNet(a.Prefix), ValidLft: seconds(a.Valid), PreferedLft: seconds(a.Preferred)}
	if a.Prefix.Addr().IsLoopback() {
		// As ip(8) does: the kernel refuses two scopes in one network.
		addr.Scope = unix.RT_SCOPE_HOST
	}
	if a.Peer.IsValid() {
		addr.Peer = ipNet(netip.PrefixFrom(a.Peer, a.Prefix.Bits()))
	}
	if err := h.AddrAdd(b.link(a.Link), addr); err != nil {
		return fmt.Errorf("add %v to %s: %w", a.Prefix, a.Link, err)
	}
	b.undo = append(b.undo, func(_ context.Context, h *netlink.Handle) error {
		return ignore(h.AddrDel(b.link(a.Link), addr), unix.EADDRNOTAVAIL)
	})
	return nil
}

// seconds is a lifetime for the library, where 0 is for ever.
func seconds(d time.Duration) int {
	if d <= 0 {
		return 0
	}
	return int(min(int64(d/time.Second), math.MaxInt32))
}

// deleteAddress also keeps the other addresses of the same network: the kernel
// takes them along with the first.
func (b *batch) deleteAddress(ctx context.Context, a platform.Address) error {
	before, err := b.b.snapshot(ctx, b.links[a.Link].index)
	if err != nil {
		return err
	}
	at := slices.IndexFunc(before.addresses, func(m []byte) bool {
		o, _, ok := decodeAddress(unix.RTM_NEWADDR, m)
		o.Link = a.Link
		return ok && plan.SameAddress(a, o)
	})
	if at < 0 {
		return fmt.Errorf("%v on %s is %w", a.Prefix, a.Link, platform.ErrGone)
	}
	if err := b.b.change(ctx, unix.RTM_DELADDR, 0, before.addresses[at]); err != nil {
		return fmt.Errorf("delete %v from %s: %w", a.Prefix, a.Link, err)
	}
	b.undo = append(b.undo, func(ctx context.Context, _ *netlink.Handle) error { return b.b.restore(ctx, before) })
	rest := before
	rest.addresses = slices.Delete(slices.Clone(before.addresses), at, at+1)
	return b.b.keep(ctx, rest)
}

func (b *batch) addRoute(h *netlink.Handle, r platform.Route) error {
	route := &netlink.Route{
		Dst: ipNet(r.Dest), Priority: int(max(0, r.Metric)), Protocol: unix.RTPROT_STATIC,
		Table: unix.RT_TABLE_MAIN, Type: unix.RTN_UNICAST,
	}
	if r.Link != "" {
		route.LinkIndex = int(b.links[r.Link].index)
	}
	if r.Gateway.IsValid() {
		route.Gw = r.Gateway.WithZone("").AsSlice()
	} else {
		route.Scope = netlink.SCOPE_LINK
	}
	if r.Source.IsValid() {
		route.Src = r.Source.AsSlice()
	}
	if err := h.RouteAdd(route); err != nil {
		return fmt.Errorf("add a route to %v: %w", r.Dest, err)
	}
	b.undo = append(b.undo, func(_ context.Context, h *netlink.Handle) error {
		return ignore(h.RouteDel(route), unix.ESRCH)
	})
	return nil
}

func (b *batch) deleteRoute(ctx context.Context, r platform.Route) error {
	names, err := b.b.linkNames(ctx)
	if err != nil {
		return err
	}
	family := byte(unix.AF_INET)
	if r.Dest.Addr().Is6() {
		family = unix.AF_INET6
	}
	found, err := b.b.copies(ctx, unix.RTM_GETROUTE, routeRequest(family), func(_ uint16, m []byte) bool {
		raw, ok := decodeRoute(m)
		if !ok || raw.dest != r.Dest {
			return false
		}
		for _, row := range raw.rows(names) {
			return plan.SameRoute(r, row)
		}
		return false
	})
	if err != nil {
		return err
	}
	if len(found) == 0 {
		return fmt.Errorf("route to %v is %w", r.Dest, platform.ErrGone)
	}
	if err := b.b.change(ctx, unix.RTM_DELROUTE, 0, found[0]); err != nil {
		return fmt.Errorf("delete the route to %v: %w", r.Dest, err)
	}
	b.undo = append(b.undo, func(ctx context.Context, _ *netlink.Handle) error { return b.b.putRoute(ctx, found[0]) })
	return nil
}

// setLink remembers, when a link goes down, the addresses and routes that the
// kernel takes with it.
func (b *batch) setLink(ctx context.Context, h *netlink.Handle, name string, enabled bool) error {
	link := b.link(name)
	if enabled {
		if err := h.LinkSetUp(link); err != nil {
			return fmt.Errorf("switch %s on: %w", name, err)
		}
		if !b.was(name) {
			b.undo = append(b.undo, func(_ context.Context, h *netlink.Handle) error { return h.LinkSetDown(link) })
		}
		return nil
	}
	before, err := b.b.snapshot(ctx, b.links[name].index)
	if err != nil {
		return err
	}
	if err := h.LinkSetDown(link); err != nil {
		return fmt.Errorf("switch %s off: %w", name, err)
	}
	if b.was(name) {
		b.undo = append(b.undo, func(ctx context.Context, h *netlink.Handle) error {
			return errors.Join(h.LinkSetUp(link), b.b.restore(ctx, before))
		})
	}
	return nil
}

// was says whether a link was switched on when the batch was prepared.
func (b *batch) was(name string) bool { return b.links[name].flags&unix.IFF_UP != 0 }

func (b *batch) setMTU(h *netlink.Handle, name string, mtu uint32) error {
	link, old := b.link(name), int(b.links[name].mtu)
	if err := h.LinkSetMTU(link, int(mtu)); err != nil {
		return fmt.Errorf("set the MTU of %s: %w", name, err)
	}
	b.undo = append(b.undo, func(_ context.Context, h *netlink.Handle) error { return h.LinkSetMTU(link, old) })
	return nil
}

// setIPv6 remembers, as setLink does, what a link loses with its IPv6.
func (b *batch) setIPv6(ctx context.Context, name string, enabled bool) error {
	before, err := b.b.snapshot(ctx, b.links[name].index)
	if err != nil {
		return err
	}
	disable := map[bool]string{false: "1", true: "0"}
	if err := b.b.setIPv6(name, disable[enabled]); err != nil {
		return fmt.Errorf("switch IPv6 of %s: %w", name, err)
	}
	b.undo = append(b.undo, func(ctx context.Context, _ *netlink.Handle) error {
		return errors.Join(b.b.setIPv6(name, disable[b.ipv6[name]]), b.b.restore(ctx, before))
	})
	return nil
}

// ignore drops the errors which say that there was nothing to undo.
func ignore(err error, none ...error) error {
	for _, n := range none {
		if errors.Is(err, n) {
			return nil
		}
	}
	return err
}
