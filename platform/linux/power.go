// Power: the only commands that the agent runs, and the only place where it
// can.

package linux

import (
	"bytes"
	"context"
	"fmt"
	"os/exec"
)

type power struct {
	paths paths
	run   func(ctx context.Context, argv ...string) error
}

// Reboot restarts the device in good order: by systemd, which asks polkit when
// we are not root, else by init's reboot.
func (p power) Reboot(ctx context.Context) error {
	if exists(p.paths.systemd) {
		return p.run(ctx, "systemctl", "--no-ask-password", "reboot")
	}
	return p.run(ctx, "reboot")
}

// FactoryReset restarts the device: a plain Linux has no settings but the
// agent's, which are gone already.
func (p power) FactoryReset(ctx context.Context) error { return p.Reboot(ctx) }

// run runs a command, and quotes the first line of what it said when it fails.
func run(ctx context.Context, argv ...string) error {
	out, err := exec.CommandContext(ctx, argv[0], argv[1:]...).CombinedOutput()
	if err != nil {
		said, _, _ := bytes.Cut(bytes.TrimSpace(out), []byte("\n"))
		return fmt.Errorf("%s: %w: %.200s", argv[0], err, said)
	}
	return nil
}
