// A way to others in memory: hops that answer, or do not.

package fake

import (
	"context"
	"net/netip"
	"time"

	"gatehouse/platform"
)

// Probe answers as SetWay says. A host that no way leads to is silent; on a
// router without an upstream link nothing can be sent.
func (b backend) Probe(ctx context.Context, p platform.Probe) (platform.Reply, error) {
	b.mu.Lock()
	way, hook, n := b.files.ways[p.To], b.files.onProbe, b.files.probes
	b.files.probes++
	up := false
	for _, l := range b.state.links {
		up = up || l.Upstream && l.Running
	}
	b.mu.Unlock()
	if hook != nil {
		hook(n+1, p)
	}
	if !up {
		return platform.Reply{}, platform.ErrNoRoute
	}
	reply := platform.Reply{Kind: platform.NoReply}
	wait := p.Timeout
	hop := len(way)
	if p.TTL > 0 {
		hop = min(hop, int(p.TTL))
	}
	if hop > 0 && way[hop-1].RTT > 0 && way[hop-1].RTT <= p.Timeout {
		h := way[hop-1]
		reply = platform.Reply{Kind: platform.Expired, From: h.Addr, RTT: h.RTT, Type: 11}
		if hop == len(way) {
			reply.Kind, reply.Type = platform.Echoed, 0
		}
		wait = h.RTT
	}
	if err := sleep(ctx, wait); err != nil {
		return platform.Reply{}, err
	}
	return reply, nil
}

// A Hop is a router on the way, or the host at its end. One without RTT is
// silent.
type Hop struct {
	Addr netip.Addr
	RTT  time.Duration
}

// SetWay makes a host reachable over these hops; the last is the host itself.
func (r *Router) SetWay(to netip.Addr, hops ...Hop) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.files.ways == nil {
		r.files.ways = map[netip.Addr][]Hop{}
	}
	r.files.ways[to] = hops
}

// OnProbe calls f for each probe, with its number from 1 on, outside all locks.
func (r *Router) OnProbe(f func(n int, p platform.Probe)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.files.onProbe = f
}
