package uci

// The seam to the operating system: the few calls that reading and replacing
// files makes, so that a test can let each of them fail or be the last one.

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"golang.org/x/sys/unix"

	"gatehouse/internal/store"
)

// ErrLocked says that another process holds the lock on a file.
var ErrLocked = errors.New("locked by another process")

// FS is what this package asks of a file system. Errors satisfy errors.Is for
// fs.ErrExist and fs.ErrNotExist.
type FS interface {
	// ReadFile reads a file, at most limit bytes of it.
	ReadFile(path string, limit int) ([]byte, error)
	// ReadDir lists the names in a folder.
	ReadDir(path string) ([]string, error)
	// Resolve follows symbolic links.
	Resolve(path string) (string, error)
	// Lock takes libuci's exclusive lock on a file, or one on a folder;
	// ErrLocked if it is taken.
	Lock(path string) (unlock func() error, err error)
	// Create makes a new file that is to stand in for the file old: with its
	// mode and owner, or 0600 when there is no such file.
	Create(path, old string) (Writer, error)
	// Rename replaces newpath, atomically for whoever reads it.
	Rename(oldpath, newpath string) error
	Remove(path string) error
	// SyncDir puts the folder's entries on disk.
	SyncDir(path string) error
}

// Writer is a file being written.
type Writer = store.Writer

// OS is the real file system.
type OS struct{ store.OS }

var _ FS = OS{}

// Resolve implements FS.
func (OS) Resolve(path string) (string, error) { return filepath.EvalSymlinks(path) }

// Lock implements FS by flock(2), so that a killed process leaves nothing
// behind. Whoever had the lock before may have replaced the file: then it is
// the new one that counts.
func (OS) Lock(path string) (func() error, error) {
	for {
		f, err := os.Open(path)
		if err != nil {
			return nil, err
		}
		err = unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		if err == nil {
			held, err1 := f.Stat()
			now, err2 := os.Stat(path)
			if err1 == nil && err2 == nil && os.SameFile(held, now) {
				return f.Close, nil
			}
			err = errors.Join(err1, err2)
		}
		f.Close()
		switch {
		case errors.Is(err, unix.EWOULDBLOCK):
			return nil, ErrLocked
		case err != nil && !errors.Is(err, unix.EINTR):
			return nil, err
		}
	}
}

// Create implements FS. Who may not give the file the old one's owner owns it,
// which is what "uci commit" leads to, too.
func (OS) Create(path, old string) (Writer, error) {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, err // not f: a nil *os.File is not a nil Writer
	}
	info, err := os.Stat(old)
	if errors.Is(err, fs.ErrNotExist) {
		return f, nil
	}
	if err == nil {
		if st, ok := info.Sys().(*syscall.Stat_t); ok {
			err = f.Chown(int(st.Uid), int(st.Gid))
		}
		if errors.Is(err, fs.ErrPermission) {
			err = nil
		}
	}
	if err == nil {
		err = f.Chmod(info.Mode().Perm())
	}
	if err != nil {
		_ = f.Close()
		_ = os.Remove(path) // the first error counts
		return nil, err
	}
	return f, nil
}
