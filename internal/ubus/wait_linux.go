package ubus

import (
	"context"
	"encoding/binary"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
)

// folder watches the folder of a file by inotify.
type folder struct {
	file *os.File
	name string
}

// watchFolder watches the folder of path; nil where there is none, or no inotify.
func watchFolder(_ context.Context, path string) Waiter {
	fd, err := unix.InotifyInit1(unix.IN_CLOEXEC | unix.IN_NONBLOCK)
	if err != nil {
		return nil
	}
	if _, err := unix.InotifyAddWatch(fd, filepath.Dir(path), unix.IN_CREATE|unix.IN_MOVED_TO|unix.IN_DELETE_SELF|unix.IN_MOVE_SELF|unix.IN_ONLYDIR); err != nil {
		unix.Close(fd)
		return nil
	}
	return &folder{os.NewFile(uintptr(fd), "inotify"), filepath.Base(path)}
}

// Close implements Waiter.
func (w *folder) Close() { w.file.Close() }

// settle is how long a daemon may take from making its socket to listening at
// it.
const settle = 100 * time.Millisecond

// Wait implements Waiter.
func (w *folder) Wait(ctx context.Context, pause time.Duration) (appeared bool) {
	if pause > 0 {
		w.file.SetReadDeadline(time.Now().Add(pause))
	}
	defer context.AfterFunc(ctx, func() { w.file.SetReadDeadline(time.Unix(1, 0)) })()
	for b := make([]byte, 4096); ; {
		n, err := w.file.Read(b)
		if err != nil {
			return false
		}
		if w.mine(b[:n]) {
			timer(ctx, settle)
			return true
		}
	}
}

// mine reports whether some of the events are about the file, or the folder is
// no more.
func (w *folder) mine(b []byte) bool {
	for len(b) >= unix.SizeofInotifyEvent {
		mask := binary.NativeEndian.Uint32(b[4:])
		end := unix.SizeofInotifyEvent + int(binary.NativeEndian.Uint32(b[12:]))
		if mask&(unix.IN_IGNORED|unix.IN_DELETE_SELF|unix.IN_MOVE_SELF|unix.IN_Q_OVERFLOW) != 0 || end > len(b) {
			return true
		}
		if unix.ByteSliceToString(b[unix.SizeofInotifyEvent:end]) == w.name {
			return true
		}
		b = b[end:]
	}
	return false
}
