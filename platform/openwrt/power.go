// Power, firmware and the log: what procd and logd do for us.

package openwrt

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"path/filepath"
	"slices"
	"strings"
	"time"

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

// ErrImage says that an image is not one for this device.
var ErrImage = errors.New("not an image for this device")

// reading bounds how long procd may read an image.
const reading = 2 * time.Minute

// Validate asks procd whether an image is one for this device. What the tests
// of the image refuse is never forced.
func (b *backend) Validate(ctx context.Context, image string) error {
	t, err := b.bus.wait(ctx, reading, "system", "validate_firmware_image", ubus.Table{{Name: "path", Value: image}})
	if err != nil {
		return err
	}
	if flag(t, "valid") {
		return nil
	}
	var failed []string
	for _, f := range table(t, "tests") {
		if passed, ok := f.Value.(bool); ok && !passed {
			failed = append(failed, f.Name)
		}
	}
	slices.Sort(failed)
	return fmt.Errorf("%w: %s", ErrImage, strings.Join(failed, ", "))
}

// Apply writes a validated image and restarts; it returns when sysupgrade has
// taken over. The configuration is kept unless told otherwise.
func (b *backend) Apply(ctx context.Context, image string, keep bool) error {
	argv := []string{"/sbin/sysupgrade", "-q"}
	if !keep {
		argv = append(argv, "-n")
	}
	return b.run(ctx, append(argv, filepath.Clean(image))...)
}

// Logs implements platform.Logs: the files that there are. logd keeps the
// system's log in memory, and has no file.
func (b *backend) Logs(ctx context.Context) iter.Seq2[platform.Log, error] {
	return b.kernel.Logs.Logs(ctx)
}
