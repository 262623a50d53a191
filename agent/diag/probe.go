package diag

// IPPing and TraceRoute.

import (
	"context"
	"net/netip"
	"time"

	"gatehouse/datamodel/tr181"
	"gatehouse/platform"
)

// pause is between the starts of two echo requests.
const pause = time.Second

func probe(t tr181.Test, to netip.Addr) platform.Probe {
	return platform.Probe{
		To: to, Link: t.Device, Size: int(t.Size), DSCP: uint8(t.DSCP),
		Timeout: time.Duration(t.Timeout) * time.Millisecond,
	}
}

// ping sends echo requests and counts the answers. That none came is a result,
// not an error; that nothing could be sent, or every router said that there is
// no way, is one.
func (k *Keeper) ping(ctx context.Context, t tr181.Test) (r tr181.TestResult, err error) {
	to, err := k.find(ctx, t.Target, t.Protocol)
	if err != nil {
		return r, err
	}
	r.Address = to.String()
	var sum time.Duration
	unreachable := uint32(0)
	for n := range t.Count {
		began := time.Now()
		reply, err := k.Prober.Probe(ctx, probe(t, to))
		switch {
		case ctx.Err() != nil:
			return r, ctx.Err()
		case err != nil && n == 0:
			return r, err
		case err == nil && reply.Kind == platform.Echoed:
			r.Success++
			sum += reply.RTT
			if r.Minimum == 0 || reply.RTT < r.Minimum {
				r.Minimum = reply.RTT
			}
			r.Maximum = max(r.Maximum, reply.RTT)
			r.Average = sum / time.Duration(r.Success)
		default:
			r.Failure++
			if reply.Kind == platform.Unreachable {
				unreachable++
			}
		}
		if n+1 < t.Count && !sleep(ctx, pause-time.Since(began)) {
			return r, ctx.Err()
		}
	}
	if unreachable == t.Count {
		return r, &Error{"Error_NoRouteToHost", platform.ErrNoRoute}
	}
	return r, nil
}

// trace asks hop after hop, by letting echo requests expire on the way.
func (k *Keeper) trace(ctx context.Context, t tr181.Test) (r tr181.TestResult, err error) {
	to, err := k.find(ctx, t.Target, t.Protocol)
	if err != nil {
		return r, err
	}
	r.Address = to.String()
	for ttl := uint32(1); ttl <= t.MaxHops; ttl++ {
		var hop tr181.Hop
		last := platform.NoReply
		for range t.Count {
			p := probe(t, to)
			p.TTL = uint8(ttl)
			reply, err := k.Prober.Probe(ctx, p)
			switch {
			case ctx.Err() != nil:
				return r, ctx.Err()
			case err != nil:
				return r, err
			}
			hop.Times = append(hop.Times, reply.RTT) // none for silence
			if reply.Kind == platform.NoReply {
				continue
			}
			hop.From, hop.Code, last = reply.From.String(), uint32(reply.Code), reply.Kind
			r.ResponseTime = reply.RTT
		}
		r.Hops = append(r.Hops, hop)
		switch last {
		case platform.Echoed:
			return r, nil
		case platform.Unreachable:
			return r, &Error{"Error_NoRouteToHost", platform.ErrNoRoute}
		}
	}
	return r, &Error{State: "Error_MaxHopCountExceeded"}
}

// sleep waits, and tells whether ctx is still good.
func sleep(ctx context.Context, d time.Duration) bool {
	if d <= 0 {
		return ctx.Err() == nil
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
