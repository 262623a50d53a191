package store

// The seam to the operating system: the few calls that Save and its friends
// make, so that a test can let each of them fail or be the last one.

import (
	"errors"
	"io"
	"io/fs"
	"os"

	"golang.org/x/sys/unix"
)

// FS is what this package asks of a file system. Errors satisfy errors.Is for
// fs.ErrExist and fs.ErrNotExist.
type FS interface {
	Mkdir(path string, perm fs.FileMode) error
	// ReadDir lists the names in a folder.
	ReadDir(path string) ([]string, error)
	// ReadFile reads a file, at most limit bytes of it.
	ReadFile(path string, limit int) ([]byte, error)
	// Create makes a new file for writing; one that exists is an error.
	Create(path string, perm fs.FileMode) (Writer, error)
	// Rename replaces newpath, atomically for whoever reads it.
	Rename(oldpath, newpath string) error
	Remove(path string) error
	// SyncDir puts the folder's entries on disk.
	SyncDir(path string) error
	// Lock takes an exclusive lock on the folder, ErrLocked if it is taken.
	Lock(path string) (unlock func() error, err error)
}

// Writer is a file being written.
type Writer interface {
	io.Writer
	Sync() error // its content is on disk
	Close() error
}

// OS is the real file system.
type OS struct{}

var _ FS = OS{}

// Mkdir implements FS.
func (OS) Mkdir(path string, perm fs.FileMode) error { return os.Mkdir(path, perm) }

// ReadDir implements FS.
func (OS) ReadDir(path string) ([]string, error) {
	d, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer d.Close()
	return d.Readdirnames(-1)
}

// ReadFile implements FS.
func (OS) ReadFile(path string, limit int) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, int64(limit)))
}

// Create implements FS.
func (OS) Create(path string, perm fs.FileMode) (Writer, error) {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, perm)
	if err != nil {
		return nil, err // not f: a nil *os.File is not a nil Writer
	}
	return f, nil
}

// Rename implements FS.
func (OS) Rename(oldpath, newpath string) error { return os.Rename(oldpath, newpath) }

// Remove implements FS.
func (OS) Remove(path string) error { return os.Remove(path) }

// SyncDir implements FS.
func (OS) SyncDir(path string) error {
	d, err := os.Open(path)
	if err != nil {
		return err
	}
	err = d.Sync()
	if errors.Is(err, unix.EINVAL) {
		err = nil // some file systems cannot sync a folder and do not need to
	}
	return errors.Join(err, d.Close())
}

// Lock implements FS by flock(2) on the folder, so that a killed process leaves
// nothing behind.
func (OS) Lock(path string) (func() error, error) {
	d, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	for {
		err = unix.Flock(int(d.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		if !errors.Is(err, unix.EINTR) {
			break
		}
	}
	if err != nil {
		d.Close()
		if errors.Is(err, unix.EWOULDBLOCK) {
			return nil, ErrLocked
		}
		return nil, err
	}
	return d.Close, nil
}
