// The only commands that this backend runs, by their arguments and without a
// shell, and the only place where it can: firstboot and sysupgrade.

package openwrt

import (
	"bytes"
	"context"
	"fmt"
	"os/exec"
)

// run runs a command, and quotes the first line of what it said when it fails.
func run(ctx context.Context, argv ...string) error {
	out, err := exec.CommandContext(ctx, argv[0], argv[1:]...).CombinedOutput()
	if err != nil {
		said, _, _ := bytes.Cut(bytes.TrimSpace(out), []byte("\n"))
		return fmt.Errorf("%s: %w: %.200s", argv[0], err, said)
	}
	return nil
}
