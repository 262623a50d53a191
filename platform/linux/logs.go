// Log files that exist.

package linux

import (
	"context"
	"iter"
	"os"

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
