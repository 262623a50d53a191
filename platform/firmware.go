// What an ACS can transfer to the device and from it: firmware, the
// configuration as one file, logs.

package platform

import (
	"context"
	"errors"
	"io"
)

// ErrCorrupt says that a file is not what it should be: not an image for this
// device, not a configuration.
var ErrCorrupt = errors.New("not a usable file")

// ErrSignature says that a file is not signed by whom the device trusts.
var ErrSignature = errors.New("the signature is missing or wrong")

// An Image is what a firmware file says of itself.
type Image struct {
	Version string // as Identity tells SoftwareVersion once it runs; "" when the file does not say
}

// Firmware installs images.
type Firmware interface {
	// Validate looks at the file and changes nothing. An error that is
	// ErrCorrupt or ErrSignature blames the file.
	Validate(ctx context.Context, path string) (Image, error)
	// Apply writes the image and restarts the device; keep: with the
	// configuration that it has. It returns nil when the restart is under way,
	// and an error when nothing was begun. Nothing the agent has written
	// before may be lost by it.
	Apply(ctx context.Context, path string, keep bool) error
}

// A ConfigFile is the configuration of the platform as one text that can be
// given back. Where a secret stands in it, Export writes [SecretMask], and
// Import leaves a secret that reads so as it is: the text may lie on a server.
type ConfigFile interface {
	Export(ctx context.Context, w io.Writer) error
	// Import replaces the configuration, all of it or nothing, and has the
	// services take it up. An error that is ErrCorrupt blames the text.
	Import(ctx context.Context, r io.Reader) error
}

// SecretMask stands for a secret in an exported configuration.
const SecretMask = "***"

// LogFiles is a [Logs] whose files can be read. It is an ability of its own:
// what a system logs to need not be a file.
type LogFiles interface {
	// OpenLog opens the log of that name; ErrGone when there is none.
	OpenLog(ctx context.Context, name string) (io.ReadCloser, error)
}
