// Power that records instead of cutting the current.

package fake

import (
	"context"
	"time"
)

// Reboot records, begins a new boot and calls OnReboot.
func (b backend) Reboot(ctx context.Context) error { return b.restart(ctx, false) }

// FactoryReset does the same; the state of the router stays as it is.
func (b backend) FactoryReset(ctx context.Context) error { return b.restart(ctx, true) }

func (b backend) restart(ctx context.Context, reset bool) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	b.mu.Lock()
	if b.failPower != nil {
		defer b.mu.Unlock()
		return b.failPower
	}
	b.boots++
	b.boot = time.Now()
	if reset {
		b.resets++
	} else {
		b.reboots++
	}
	f := b.onReboot
	b.mu.Unlock()
	if f != nil {
		f(reset)
	}
	return nil
}

// OnReboot calls f when the router restarts, outside all locks: a harness
// ends the agent there and starts a new one.
func (r *Router) OnReboot(f func(factoryReset bool)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.onReboot = f
}

// FailPower lets reboots and factory resets fail with err, until nil is given.
func (r *Router) FailPower(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.failPower = err
}

// Restarts returns how often the router was rebooted and factory reset.
func (r *Router) Restarts() (reboots, resets int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.reboots, r.resets
}

// Twin returns a router that is what r is now, with nobody who watches it and
// nothing that fails. A harness that kills an agent starts the next one on it:
// what the old one still does in its last moments is lost with r.
func (r *Router) Twin() *Router {
	twin := New()
	r.mu.Lock()
	defer r.mu.Unlock()
	twin.state, twin.offset = r.state, r.offset
	twin.boot, twin.boots = r.boot, r.boots
	return twin
}
