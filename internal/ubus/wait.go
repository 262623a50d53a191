package ubus

import (
	"context"
	"time"
)

// Timed waits for time to pass: for where no file tells of a daemon.
type Timed struct{}

// Wait implements Waiter.
func (Timed) Wait(ctx context.Context, pause time.Duration) (appeared bool) {
	timer(ctx, pause)
	return false
}

// Watches implements Waiter.
func (Timed) Watches() bool { return false }

// Close implements Waiter.
func (Timed) Close() {}

func timer(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
	}
}
