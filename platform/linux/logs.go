// Log files that exist.

package linux

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"iter"
	"os"
	"slices"

	"golang.org/x/sys/unix"

	"gatehouse/platform"
)

type logs struct{ paths paths }

// Logs yields the ordinary log files. What lies in RAM is not persistent.
func (l logs) Logs(ctx context.Context) iter.Seq2[platform.Log, error] {
	return func(yield func(platform.Log, error) bool) {
		for _, name := range l.paths.logs {
			if info, err := os.Stat(name); err != nil || !info.Mode().IsRegular() {
				continue
			}
			if ctx.Err() != nil || !yield(platform.Log{Name: name, Persistent: !inRAM(name)}, nil) {
				return
			}
		}
	}
}

// OpenLog implements platform.LogFiles: it opens what Logs lists, and nothing
// else.
func (l logs) OpenLog(_ context.Context, name string) (io.ReadCloser, error) {
	if !slices.Contains(l.paths.logs, name) {
		return nil, platform.ErrGone
	}
	f, err := os.Open(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, platform.ErrGone
	}
	return f, err
}

func inRAM(name string) bool {
	var fs unix.Statfs_t
	if err := unix.Statfs(name, &fs); err != nil {
		return false
	}
	switch uint32(fs.Type) {
	case unix.TMPFS_MAGIC, unix.RAMFS_MAGIC:
		return true
	}
	return false
}
