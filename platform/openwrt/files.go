// Files that change: packages that somebody commits, and dnsmasq's leases.

package openwrt

import (
	"context"
	"encoding/binary"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"gatehouse/platform"
)

// files is one inotify descriptor.
type files struct {
	*backend
	tell func(...platform.Event)

	mu     sync.Mutex
	notify *os.File // nil: there is none
	raw    int
	config map[int32]bool // the folders of packages
	leases int32          // the watch of the file
}

const (
	folderMask = unix.IN_CLOSE_WRITE | unix.IN_MOVED_TO | unix.IN_MOVED_FROM | unix.IN_DELETE
	fileMask   = unix.IN_MODIFY | unix.IN_CLOSE_WRITE | unix.IN_DELETE_SELF
)

// openFiles begins to watch. Hints that are missing cost time, not truth.
func openFiles(b *backend, tell func(...platform.Event)) *files {
	f := &files{backend: b, tell: tell, config: map[int32]bool{}, leases: -1}
	fd, err := unix.InotifyInit1(unix.IN_CLOEXEC | unix.IN_NONBLOCK)
	if err != nil {
		b.log.Info("files are not watched", "err", os.NewSyscallError("inotify_init1", err))
		return f
	}
	f.raw, f.notify = fd, os.NewFile(uintptr(fd), "inotify")
	f.arm()
	return f
}

// arm watches what is there now: a file that is not cannot be.
func (f *files) arm() {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.notify == nil {
		return
	}
	for _, dir := range []string{f.paths.config, f.paths.override} {
		if wd, err := unix.InotifyAddWatch(f.raw, dir, folderMask); err == nil {
			f.config[int32(wd)] = true
		}
	}
	if wd, err := unix.InotifyAddWatch(f.raw, f.paths.leases, fileMask); err == nil {
		f.leases = int32(wd)
	}
}

// watch reports until ctx ends, and closes the descriptor.
func (f *files) watch(ctx context.Context) error {
	if f.notify == nil {
		<-ctx.Done()
		return nil
	}
	defer func() {
		f.mu.Lock()
		defer f.mu.Unlock()
		f.notify.Close()
		f.notify = nil
	}()
	notify := f.notify
	defer context.AfterFunc(ctx, func() { notify.SetReadDeadline(time.Unix(1, 0)) })()
	buf := make([]byte, 4096)
	for {
		n, err := notify.Read(buf)
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return err
		}
		if events := f.events(buf[:n]); len(events) > 0 {
			f.tell(events...)
		}
	}
}

// events reads struct inotify_event (inotify(7)): each hint once.
func (f *files) events(b []byte) (events []platform.Event) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for len(b) >= unix.SizeofInotifyEvent {
		wd, mask := int32(binary.NativeEndian.Uint32(b)), binary.NativeEndian.Uint32(b[4:])
		end := unix.SizeofInotifyEvent + int(min(binary.NativeEndian.Uint32(b[12:]), 4096))
		if end > len(b) {
			break
		}
		name := unix.ByteSliceToString(b[unix.SizeofInotifyEvent:end])
		b = b[end:]
		var e platform.Event
		switch {
		case mask&unix.IN_Q_OVERFLOW != 0:
			e.Topic = platform.Resync
		case wd == f.leases:
			e.Topic = platform.LeaseChanged
		case f.config[wd] && !strings.HasPrefix(name, ".") && !f.ours(name): // libuci's temporary files begin with a dot
			e = platform.Event{Topic: platform.ConfigChanged, Key: name}
		default:
			continue
		}
		if !slices.Contains(events, e) {
			events = append(events, e)
		}
	}
	return events
}

// ours says whether a package is as we have left it.
func (f *files) ours(pkg string) bool {
	now, err := os.Stat(filepath.Join(f.paths.config, pkg))
	f.written.Lock()
	defer f.written.Unlock()
	was := f.wrote[pkg]
	return err == nil && was != nil && os.SameFile(now, was) && now.ModTime().Equal(was.ModTime())
}
