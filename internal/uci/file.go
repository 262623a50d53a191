package uci

// Files on disk: reading one, and changing one as "uci commit" does.

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// lockPoll is how often a lock that somebody else holds is tried.
const lockPoll = 20 * time.Millisecond

// Load reads a file. The package is named after it. Errors are *ParseError with
// the file's path, or those of the system (fs.ErrNotExist). No lock is needed:
// every writer replaces the file as a whole.
func Load(path string) (*Package, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return read(f, path)
}

func read(f *os.File, path string) (*Package, error) {
	text, err := io.ReadAll(io.LimitReader(f, MaxSize+1))
	if err != nil {
		return nil, err
	}
	return parse(path, filepath.Base(path), text)
}

// Edit changes a file under libuci's lock: it locks, reads the file afresh, lets
// edit change the package, and replaces the file (temporary file, sync, rename,
// sync of the folder) with its mode, owner and symbolic link kept. An edit that
// changes nothing writes nothing; comments do not survive one that does, as with
// "uci commit". A locked file is waited for until ctx ends.
func Edit(ctx context.Context, path string, edit func(*Package) error) error {
	path, err := filepath.EvalSymlinks(path)
	if err != nil {
		return err
	}
	f, err := lock(ctx, path)
	if err != nil {
		return err
	}
	defer f.Close() // and with it the lock
	p, err := read(f, path)
	if err != nil {
		return err
	}
	before := p.Export(false)
	if err := edit(p); err != nil {
		return err
	}
	after := p.Export(false)
	if slices.Equal(before, after) {
		return nil
	}
	// What was read may hold a type that cannot be written so that it is read
	// again; libuci would damage the file here.
	again, err := parse(path, p.Name, after)
	if err != nil {
		return fmt.Errorf("would be unreadable: %w", err)
	}
	if !slices.Equal(again.Export(false), after) {
		return fmt.Errorf("%s: would not be read back as it is written", path)
	}
	return replace(f, path, after)
}

// lock opens the file and takes libuci's exclusive lock on it. Whoever had the
// lock before may have replaced the file: then it is the new one that counts.
func lock(ctx context.Context, path string) (*os.File, error) {
	tick := time.NewTicker(lockPoll) // flock(2) cannot wait for a context
	defer tick.Stop()
	for {
		f, err := os.OpenFile(path, os.O_RDWR, 0)
		if err != nil {
			return nil, err
		}
		err = unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		if err == nil {
			held, err1 := f.Stat()
			now, err2 := os.Stat(path)
			if err1 == nil && err2 == nil && os.SameFile(held, now) {
				return f, nil
			}
			err = errors.Join(err1, err2)
			f.Close()
			if err == nil {
				continue
			}
			return nil, err
		}
		f.Close()
		if !errors.Is(err, unix.EWOULDBLOCK) && !errors.Is(err, unix.EINTR) {
			return nil, fmt.Errorf("%s: lock: %w", path, err)
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("%s: locked by another process: %w", path, ctx.Err())
		case <-tick.C:
		}
	}
}

// replace puts text in the place of the file that f is.
func replace(f *os.File, path string, text []byte) (err error) {
	info, err := f.Stat()
	if err != nil {
		return err
	}
	dir, name := filepath.Split(path)
	temp, err := os.CreateTemp(dir, "."+name+".uci-*")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			_ = os.Remove(temp.Name()) // the first error counts
		}
	}()
	_, err = temp.Write(text)
	if err == nil {
		err = keepOwner(temp, info)
	}
	if err == nil {
		err = temp.Chmod(info.Mode().Perm())
	}
	if err == nil {
		err = temp.Sync()
	}
	if cerr := temp.Close(); err == nil {
		err = cerr
	}
	if err == nil {
		err = os.Rename(temp.Name(), path)
	}
	if err != nil {
		return err
	}
	d, err := os.Open(filepath.Clean(dir))
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// keepOwner gives the new file the owner of the old one. Who may not do that
// owns the new file, which is what "uci commit" leads to, too.
func keepOwner(f *os.File, old fs.FileInfo) error {
	st, ok := old.Sys().(*syscall.Stat_t)
	if !ok {
		return nil
	}
	err := f.Chown(int(st.Uid), int(st.Gid))
	if errors.Is(err, fs.ErrPermission) {
		return nil
	}
	return err
}
