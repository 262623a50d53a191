package endpoint

import (
	"math/rand/v2"
	"net/netip"
	"sync"
	"time"
)

// defaultBlock is how long an address that failed is passed over.
const defaultBlock = time.Minute

// maxBlocked bounds the block list.
const maxBlocked = 256

// A Pool decides which of a server's addresses to try, and in what order: from
// a random start (TR-069 3.1), without those that failed lately. When all have
// failed they are tried all the same, in random order. Each channel has a pool
// of its own, so that one cannot spoil an address for another. The zero value
// is ready; it may be used by several goroutines.
type Pool struct {
	First    bool            // start with the first address, not with a random one
	BlockFor time.Duration   // 0: one minute
	Rand     func(n int) int // in [0,n); nil: math/rand

	mu      sync.Mutex
	blocked map[netip.AddrPort]time.Time // until
}

// Order returns the addresses to try, best first.
func (p *Pool) Order(addrs []netip.AddrPort) []netip.AddrPort {
	p.mu.Lock()
	defer p.mu.Unlock()
	pick := p.Rand
	if pick == nil {
		pick = rand.IntN
	}
	now := time.Now()
	var open, shut []netip.AddrPort
	for _, a := range addrs {
		if now.Before(p.blocked[a]) {
			shut = append(shut, a)
		} else {
			open = append(open, a)
		}
	}
	if len(open) == 0 {
		for i := len(shut) - 1; i > 0; i-- {
			j := pick(i + 1)
			shut[i], shut[j] = shut[j], shut[i]
		}
		return shut
	}
	if p.First || len(open) == 1 {
		return open
	}
	start := pick(len(open))
	return append(open[start:len(open):len(open)], open[:start]...)
}

// Block passes over an address ("192.0.2.1:443", as net.Addr prints it) for
// BlockFor, or for longer if its server has asked for that (Retry-After). What
// is no address is ignored.
func (p *Pool) Block(addr string, atLeast time.Duration) {
	if a, err := netip.ParseAddrPort(addr); err == nil {
		p.block(unmapped(a), atLeast)
	}
}

func (p *Pool) block(a netip.AddrPort, atLeast time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	d := p.BlockFor
	if d <= 0 {
		d = defaultBlock
	}
	now := time.Now()
	if p.blocked == nil {
		p.blocked = make(map[netip.AddrPort]time.Time)
	}
	for b, until := range p.blocked {
		if !now.Before(until) {
			delete(p.blocked, b)
		}
	}
	if _, known := p.blocked[a]; known || len(p.blocked) < maxBlocked {
		p.blocked[a] = now.Add(max(d, atLeast))
	}
}

// Worked ends the block of an address that has answered.
func (p *Pool) Worked(addr string) {
	if a, err := netip.ParseAddrPort(addr); err == nil {
		p.unblock(unmapped(a))
	}
}

func (p *Pool) unblock(a netip.AddrPort) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.blocked, a)
}

// forget ends every block.
func (p *Pool) forget() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.blocked = nil
}

// Blocked returns the addresses that are passed over now, and until when.
func (p *Pool) Blocked() map[netip.AddrPort]time.Time {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := time.Now()
	out := make(map[netip.AddrPort]time.Time)
	for a, until := range p.blocked {
		if now.Before(until) {
			out[a] = until
		}
	}
	return out
}

func unmapped(a netip.AddrPort) netip.AddrPort {
	return netip.AddrPortFrom(a.Addr().Unmap(), a.Port())
}
