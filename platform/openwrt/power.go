// Power: procd restarts the device, firstboot resets it.

package openwrt

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"gatehouse/internal/ubus"
	"gatehouse/platform"
)

// Reboot restarts the device in good order: procd stops every service.
func (b *backend) Reboot(ctx context.Context) error {
	_, err := b.bus.call(ctx, "system", "reboot", ubus.Table{})
	if errors.Is(err, ubus.ErrClosed) {
		return nil // it was quicker than its answer
	}
	return err
}

// FactoryReset empties the overlay, where all that was ever changed is, and
// restarts. An image without an overlay (ext4) has nothing to go back to.
func (b *backend) FactoryReset(ctx context.Context) error {
	if !b.overlay() {
		return fmt.Errorf("factory reset: %w: the root file system has no overlay", platform.ErrUnsupported)
	}
	return b.run(ctx, "firstboot", "-r", "-y")
}

// overlay says whether the root is an overlay over the image.
func (b *backend) overlay() bool {
	for l := range strings.Lines(string(small(b.paths.mounts))) {
		if f := strings.Fields(l); len(f) > 2 && f[1] == "/" && f[2] == "overlay" {
			return true
		}
	}
	return false
}
