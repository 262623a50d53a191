package endpoint

// One host, two families: RFC 8305 in a small form.

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"time"
)

// headStart is how long an address is alone before one of the other family
// begins beside it (RFC 8305 5): a household whose IPv6 leads nowhere must not
// wait for a connection that times out.
const headStart = 250 * time.Millisecond

// race connects to the first of addrs and, when that has had its head start or
// has failed, to the next beside it. The first connection counts and is to at,
// the others are closed; failed are those that failed before.
func race(ctx context.Context, addrs []netip.AddrPort, one func(ctx context.Context, a netip.AddrPort) (net.Conn, error)) (c net.Conn, at netip.AddrPort, failed []DialTry) {
	if len(addrs) == 1 {
		if c, err := one(ctx, addrs[0]); err != nil {
			return nil, at, []DialTry{{addrs[0], err}}
		} else {
			return c, addrs[0], nil
		}
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	type end struct {
		DialTry
		conn net.Conn
	}
	ends, running := make(chan end, len(addrs)), 0
	begin := func() {
		if len(addrs) == 0 {
			return
		}
		a := addrs[0]
		addrs, running = addrs[1:], running+1
		go func() {
			c, err := one(ctx, a)
			ends <- end{DialTry{a, err}, c}
		}()
	}
	timer := time.NewTimer(headStart)
	defer timer.Stop()
	for begin(); running > 0; {
		select {
		case <-timer.C:
			begin()
		case e := <-ends:
			running--
			if e.Err == nil {
				go func() {
					for range running {
						if late := <-ends; late.conn != nil {
							_ = late.conn.Close() // nobody has used it
						}
					}
				}()
				return e.conn, e.Addr, failed
			}
			failed = append(failed, e.DialTry)
			begin()
		}
	}
	return nil, at, failed
}

// Dial connects to the target, by whichever of its two addresses answers first,
// and says which that was. The error is a *DialError where both have failed.
func (t Target) Dial(ctx context.Context, network string, dial DialFunc) (net.Conn, netip.AddrPort, error) {
	addrs := []netip.AddrPort{t.Addr}
	if t.Other.IsValid() {
		addrs = append(addrs, t.Other)
	}
	c, at, failed := race(ctx, addrs, func(ctx context.Context, a netip.AddrPort) (net.Conn, error) {
		c, err := dial(ctx, network, a.String())
		var inner *DialError
		if errors.As(err, &inner) && len(inner.Tries) == 1 { // a Dialer says the address, and so do we
			err = inner.Tries[0].Err
		}
		return c, err
	})
	switch {
	case c != nil:
		return c, at, nil
	case len(failed) == 1:
		return nil, at, failed[0].Err
	}
	return nil, at, &DialError{t.Name, failed}
}
