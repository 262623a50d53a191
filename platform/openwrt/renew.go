// What netifd does with an interface when it is asked: to set it up anew, or to
// renew its lease.

package openwrt

import (
	"context"

	"gatehouse/internal/ubus"
	"gatehouse/platform"
)

// RestartInterface implements platform.InterfaceRestart. An interface that was
// taken down stays down, also with its cable plugged in anew, until somebody
// says up: so nothing that ends the caller comes between the two, and an error
// of the first does not spare the second.
func (b *backend) RestartInterface(ctx context.Context, key string) error {
	ctx = context.WithoutCancel(ctx)
	_, down := b.tellInterface(ctx, key, "down")
	if isAbsent(down) {
		return down
	}
	_, up := b.tellInterface(ctx, key, "up")
	if up == nil {
		return down
	}
	return up
}

// Renew implements platform.Renewer. netifd knows of protocols without a lease
// that there is nothing to renew.
func (b *backend) Renew(ctx context.Context, key string) error {
	_, err := b.tellInterface(ctx, key, "renew")
	return err
}

func (b *backend) tellInterface(ctx context.Context, key, method string) (ubus.Table, error) {
	defer b.bus.stale()
	return b.bus.call(ctx, "network.interface."+key, method, ubus.Table{})
}

var (
	_ platform.InterfaceRestart = (*backend)(nil)
	_ platform.Renewer          = (*backend)(nil)
)
