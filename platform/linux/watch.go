// Hints by netlink: one socket that hears all groups, one goroutine. A message
// says where to look; nothing of it but the state of a link is kept.

package linux

import (
	"context"
	"errors"
	"os"
	"slices"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"gatehouse/platform"
)

// groups are what the socket hears, besides the neighbours (see deafness).
const groups = unix.RTMGRP_LINK | unix.RTMGRP_IPV4_IFADDR | unix.RTMGRP_IPV6_IFADDR |
	unix.RTMGRP_IPV4_ROUTE | unix.RTMGRP_IPV6_ROUTE

// deafness is how long the neighbours are not listened to after one was heard:
// every host that is used changes its state twice a minute, and each change
// would wake us.
const deafness = 20 * time.Second

// short is a life of a subscription that is not worth a new one: whoever runs
// Watch should wait first.
const short = time.Second

// Watch reports until ctx ends. Calls of report do not overlap.
func (b *backend) Watch(ctx context.Context, report func(platform.Event)) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var mu sync.Mutex
	one := func(e platform.Event) {
		mu.Lock()
		defer mu.Unlock()
		report(e)
	}
	files := make(chan error, 1)
	go func() {
		err := b.watchFiles(ctx, one)
		if err != nil && ctx.Err() == nil {
			cancel()
		}
		files <- err
	}()
	err := b.watchNetlink(ctx, one)
	cancel()
	if ferr := <-files; ferr != nil && !errors.Is(ferr, context.Canceled) && !errors.Is(ferr, context.DeadlineExceeded) {
		err = ferr
	}
	return err
}

// watchNetlink listens, and subscribes anew when the socket fails.
func (b *backend) watchNetlink(ctx context.Context, report func(platform.Event)) error {
	for {
		began := time.Now()
		err := b.listen(ctx, report)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if time.Since(began) < short {
			return unavailable(ctx, "netlink events", err)
		}
		b.log.Warn("netlink subscription failed, subscribing anew", "err", err)
	}
}

// ear is one subscription.
type ear struct {
	*backend
	conn   *conn
	names  map[int32]string
	report func(platform.Event)
	hints  []platform.Event
	rejoin time.Time // when the neighbours are listened to again; zero: they are
}

// listen hears one socket until it fails or ctx ends.
func (b *backend) listen(ctx context.Context, report func(platform.Event)) error {
	c, err := b.dial(unix.NETLINK_ROUTE, groups)
	if err != nil {
		return err
	}
	defer c.file.Close()
	defer context.AfterFunc(ctx, func() { c.file.SetReadDeadline(time.Unix(1, 0)) })()
	e := &ear{backend: b, conn: c, report: report}
	if err := e.neighbors(true); err != nil {
		return err
	}
	if err := e.resync(ctx); err != nil {
		return err
	}
	report(platform.Event{Topic: platform.Resync}) // what happened before we listened
	buf := make([]byte, recvSize)
	for {
		c.file.SetReadDeadline(e.rejoin)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		data, err := c.recv(buf)
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case errors.Is(err, os.ErrDeadlineExceeded):
			if err := e.neighbors(true); err != nil {
				return err
			}
			report(platform.Event{Topic: platform.NeighborChanged})
		case errors.Is(err, unix.ENOBUFS), errors.Is(err, unix.EMSGSIZE): // messages were lost, the socket is fine
			if err := e.resync(ctx); err != nil {
				return err
			}
			report(platform.Event{Topic: platform.Resync})
		case err != nil:
			return err
		default:
			e.hear(data)
		}
	}
}

// neighbors joins or leaves the group of the neighbours.
func (e *ear) neighbors(join bool) error {
	option := unix.NETLINK_DROP_MEMBERSHIP
	e.rejoin = time.Now().Add(e.deaf)
	if join {
		option, e.rejoin = unix.NETLINK_ADD_MEMBERSHIP, time.Time{}
	}
	var err error
	if e := e.conn.raw.Control(func(fd uintptr) {
		err = unix.SetsockoptInt(int(fd), unix.SOL_NETLINK, option, unix.RTNLGRP_NEIGH)
	}); e != nil {
		return e
	}
	return os.NewSyscallError("setsockopt", err)
}

// resync looks at all links: their names, and their states for the tracker.
func (e *ear) resync(ctx context.Context) error {
	raw, err := e.rawLinks(ctx, skipStats)
	if err != nil {
		return err
	}
	e.names = map[int32]string{}
	now := time.Now()
	for _, l := range raw {
		e.names[l.index] = l.name
		e.track.note(l.name, l.state(), now)
	}
	return nil
}

// hear reports what a datagram hints at, each hint once.
func (e *ear) hear(data []byte) {
	e.hints = e.hints[:0]
	for h, msg := range messages(data) {
		e.message(h.kind, msg)
	}
	for _, hint := range e.hints {
		e.report(hint)
	}
}

func (e *ear) hint(topic platform.Topic, key string) {
	if hint := (platform.Event{Topic: topic, Key: key}); !slices.Contains(e.hints, hint) {
		e.hints = append(e.hints, hint)
	}
}

func (e *ear) message(kind uint16, m []byte) {
	switch kind {
	case unix.RTM_NEWLINK, unix.RTM_DELLINK:
		e.link(kind, m)
	case unix.RTM_NEWADDR, unix.RTM_DELADDR:
		if len(m) >= unix.SizeofIfAddrmsg {
			e.hint(platform.AddressChanged, e.names[int32(native.Uint32(m[4:]))])
		}
	case unix.RTM_NEWROUTE, unix.RTM_DELROUTE:
		r, ok := decodeRoute(m)
		if !ok {
			return
		}
		e.hint(platform.RouteChanged, "")
		if r.dest.Bits() == 0 { // Link.Upstream may have moved
			e.hint(platform.LinkChanged, "")
		}
	case unix.RTM_NEWNEIGH, unix.RTM_DELNEIGH:
		if len(m) >= unix.SizeofNdMsg {
			e.hint(platform.NeighborChanged, e.names[int32(native.Uint32(m[4:]))])
		}
		if e.rejoin.IsZero() {
			if err := e.neighbors(false); err != nil {
				e.log.Debug("cannot leave the group of the neighbours", "err", err)
			}
		}
	}
}

// link takes over names and states. Messages of family AF_BRIDGE tell of a
// port of a bridge, not of a link that comes or goes.
func (e *ear) link(kind uint16, m []byte) {
	if len(m) < unix.SizeofIfInfomsg {
		return
	}
	index := int32(native.Uint32(m[4:]))
	if m[0] != unix.AF_UNSPEC {
		e.hint(platform.LinkChanged, e.names[index])
		return
	}
	l, ok := decodeLink(unix.RTM_NEWLINK, m)
	if !ok {
		return
	}
	if kind == unix.RTM_DELLINK {
		delete(e.names, index)
		e.track.forget(l.name)
	} else {
		if was := e.names[index]; was != l.name {
			e.track.forget(was)
			e.names[index] = l.name
		}
		e.track.note(l.name, l.state(), time.Now())
	}
	e.hint(platform.LinkChanged, l.name)
}
