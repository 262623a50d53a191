// Putting back what the kernel takes along: its own messages are kept as they
// came and sent to it again, as `ip address restore` and `ip route restore`
// do, so that nothing of them is lost.

package linux

import (
	"context"
	"errors"
	"slices"

	"golang.org/x/sys/unix"
)

// A snapshot is what stands on one link.
type snapshot struct {
	index     int32
	addresses [][]byte // RTM_NEWADDR, in the kernel's order
	routes    [][]byte // RTM_NEWROUTE of the main table that lead by it
}

// copies collects the messages that match, all of one moment.
func (b *backend) copies(ctx context.Context, ask uint16, body []byte, match func(uint16, []byte) bool) ([][]byte, error) {
	return whole(ctx, b, "netlink", ask, body, func(kind uint16, m []byte) ([]byte, bool) {
		if !match(kind, m) {
			return nil, false
		}
		return slices.Clone(m), true
	})
}

func (b *backend) snapshot(ctx context.Context, index int32) (s snapshot, err error) {
	s.index = index
	if s.addresses, err = b.linkAddresses(ctx, index); err != nil {
		return s, err
	}
	for _, family := range []byte{unix.AF_INET, unix.AF_INET6} {
		routes, err := b.copies(ctx, unix.RTM_GETROUTE, routeRequest(family), func(_ uint16, m []byte) bool {
			r, ok := decodeRoute(m)
			return ok && slices.ContainsFunc(r.hops, func(h hop) bool { return h.index == index })
		})
		if err != nil {
			return s, err
		}
		s.routes = append(s.routes, routes...)
	}
	return s, nil
}

func (b *backend) linkAddresses(ctx context.Context, index int32) ([][]byte, error) {
	return b.copies(ctx, unix.RTM_GETADDR, make([]byte, unix.SizeofIfAddrmsg), func(kind uint16, m []byte) bool {
		_, at, ok := decodeAddress(kind, m)
		return ok && at == index
	})
}

// change sends one message and waits for its acknowledgement.
func (b *backend) change(ctx context.Context, kind, flags uint16, body []byte) error {
	return b.ask(ctx, question(kind, unix.NLM_F_ACK|flags, body), func(uint16, []byte) bool { return true })
}

// restore puts back what is missing: addresses, then routes.
func (b *backend) restore(ctx context.Context, s snapshot) error {
	if _, err := b.putAddresses(ctx, s); err != nil {
		return err
	}
	var errs []error
	for _, direct := range []bool{true, false} { // a gateway needs the way to it
		for _, m := range s.routes {
			if r, _ := decodeRoute(m); slices.ContainsFunc(r.hops, func(h hop) bool { return h.gateway.IsValid() }) == direct {
				continue
			}
			errs = append(errs, b.putRoute(ctx, m))
		}
	}
	return errors.Join(errs...)
}

// keep puts back what went with something else; routes only when addresses
// did, and those that cannot stand any more not at all.
func (b *backend) keep(ctx context.Context, s snapshot) error {
	lost, err := b.putAddresses(ctx, s)
	if err != nil || !lost {
		return err
	}
	if err := b.restore(ctx, s); err != nil {
		b.log.Debug("routes went with an address", "err", err)
	}
	return nil
}

// putAddresses adds the addresses that are missing, and says whether there were
// any. The order counts for IPv4, where the first of a network is the source
// of what is sent: those which stood behind a missing one are set anew.
func (b *backend) putAddresses(ctx context.Context, s snapshot) (lost bool, err error) {
	there, err := b.linkAddresses(ctx, s.index)
	if err != nil {
		return false, err
	}
	for i, m := range s.addresses {
		a, _, _ := decodeAddress(unix.RTM_NEWADDR, m)
		same := func(o []byte) bool {
			x, _, _ := decodeAddress(unix.RTM_NEWADDR, o)
			return x.Prefix == a.Prefix && x.Peer == a.Peer
		}
		if slices.ContainsFunc(there, same) {
			continue
		}
		lost = true
		for _, behind := range s.addresses[i+1:] {
			o, _, _ := decodeAddress(unix.RTM_NEWADDR, behind)
			if o.Prefix.Addr().Is4() && o.Prefix.Masked() == a.Prefix.Masked() {
				err := b.change(ctx, unix.RTM_DELADDR, 0, behind)
				if err := ignore(err, unix.EADDRNOTAVAIL); err != nil {
					return lost, err
				}
				there = slices.DeleteFunc(there, func(t []byte) bool {
					x, _, _ := decodeAddress(unix.RTM_NEWADDR, t)
					return x.Prefix == o.Prefix
				})
			}
		}
		err := b.change(ctx, unix.RTM_NEWADDR, unix.NLM_F_CREATE|unix.NLM_F_EXCL, m)
		if err := ignore(err, unix.EEXIST); err != nil {
			return lost, err
		}
	}
	return lost, nil
}

// putRoute adds a route that was there. One that ends would stand for ever if
// it were not told again when.
func (b *backend) putRoute(ctx context.Context, m []byte) error {
	if r, ok := decodeRoute(m); ok && r.expires > 0 {
		m = attribute(slices.Clone(m), rtaExpires, native.AppendUint32(nil, uint32(r.expires.Seconds())))
	}
	return ignore(b.change(ctx, unix.RTM_NEWROUTE, unix.NLM_F_CREATE|unix.NLM_F_EXCL, m), unix.EEXIST)
}

// rtaExpires is RTA_EXPIRES (linux/rtnetlink.h).
const rtaExpires = 23
