package uci

// Changing packages, all of them or none: lock, read afresh, edit, write beside,
// rename.

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// lockPoll is how often a lock that somebody else holds is tried: flock(2)
// cannot wait for a context.
const lockPoll = 20 * time.Millisecond

// LockWait bounds how long a change waits for a lock. Whoever holds one only
// writes a small file. It is also what ends the wait of two changes for each
// other.
const LockWait = 3 * time.Second

// A Change is a set of packages that are locked and being edited. It ends with
// Commit or Rollback, and either lets the locks go. Until Commit nothing that
// anybody reads has changed.
type Change struct {
	dir   *Dir
	files []*file // in the order in which they were asked for
}

// A file is one package of a change.
type file struct {
	path    string // no symbolic link
	missing bool   // it was not there
	pkg     *Package
	src     source
	before  []snapshot
	text    []byte // what it is to be; nil: as it is
	temp    string // where that is; "" not yet, or not any more
	done    bool   // renamed
	unlock  func() error
}

// Begin starts a change. It locks nothing yet.
func (d *Dir) Begin() *Change { return &Change{dir: d} }

// Package locks a package and reads it afresh from Config, or returns the one
// that is being edited. A lock that somebody holds is waited for, at most
// [LockWait]; then the error is [ErrLocked]. The others are those of [Load] and
// [ErrOverridden].
func (c *Change) Package(ctx context.Context, name string) (*Package, error) {
	for _, f := range c.files {
		if f.pkg.Name == name {
			return f.pkg, nil
		}
	}
	ctx, cancel := context.WithTimeout(ctx, LockWait)
	defer cancel()
	f, err := c.dir.begin(ctx, name, c.files)
	if err != nil {
		return nil, err
	}
	c.files = append(c.files, f)
	return f.pkg, nil
}

// begin locks a package beside those that the change has already.
func (d *Dir) begin(ctx context.Context, name string, beside []*file) (*file, error) {
	if !validPackage(name) {
		return nil, fmt.Errorf("uci: bad package name %q", name)
	}
	f := &file{path: d.Path(name)}
	if d.Overridden(name) {
		return nil, fmt.Errorf("%s: %w", f.path, ErrOverridden)
	}
	path, err := d.fs().Resolve(f.path)
	switch {
	case err == nil:
		f.path = path
	case d.Create && errors.Is(err, fs.ErrNotExist):
		f.missing, err = true, nil
	default:
		return nil, err
	}
	if f.missing && slices.ContainsFunc(beside, func(other *file) bool { return other.missing }) {
		f.unlock = func() error { return nil } // the other holds the lock on their folder
	} else if err := f.lock(ctx, d.fs()); err != nil {
		return nil, err
	}
	var text []byte
	if !f.missing {
		text, err = d.fs().ReadFile(f.path, MaxSize+1)
	}
	if err == nil {
		f.pkg, err = parse(f.path, name, text, &f.src)
	}
	if err != nil {
		return nil, errors.Join(err, f.unlock())
	}
	f.before = snapshots(f.pkg)
	return f, nil
}

// lock takes libuci's lock on the file; one that is not there yet is guarded by
// a lock on its folder.
func (f *file) lock(ctx context.Context, fsys FS) error {
	path := f.path
	if f.missing {
		path = filepath.Dir(path)
	}
	for {
		unlock, err := fsys.Lock(path)
		if err == nil {
			f.unlock = unlock
			return nil
		}
		if !errors.Is(err, ErrLocked) {
			return fmt.Errorf("lock: %w", err)
		}
		pause := time.NewTimer(lockPoll)
		select {
		case <-ctx.Done():
			pause.Stop()
			if err = ctx.Err(); errors.Is(err, context.DeadlineExceeded) {
				return fmt.Errorf("%s: %w", path, ErrLocked) // that time is over is how one finds out
			}
			return fmt.Errorf("%s: %w: %w", path, ErrLocked, err)
		case <-pause.C:
		}
	}
}

// Changed names the packages that Commit replaces; legal after Prepare.
func (c *Change) Changed() []string {
	var names []string
	for _, f := range c.files {
		if f.text != nil {
			names = append(names, f.pkg.Name)
		}
	}
	return names
}

// Prepare writes the packages that are not as they were beside their files, and
// on disk. What can refuse refuses here: a full disk, a read-only one, a file
// that would not be read back as it was meant. After an error only Rollback is
// legal.
func (c *Change) Prepare() error {
	for _, f := range c.files {
		if err := f.render(); err != nil {
			return err
		}
		if f.text == nil {
			continue
		}
		if err := f.write(c.dir.fs()); err != nil {
			return fmt.Errorf("%s: %w", f.path, err)
		}
	}
	return nil
}

// render sets text, unless nothing has changed.
func (f *file) render() error {
	if len(f.diffs()) == 0 && len(f.moved()) == 0 {
		return nil
	}
	if text, ok := f.src.render(f.pkg); ok {
		if again, err := parse(f.path, f.pkg.Name, text, nil); err == nil && same(again, f.pkg) {
			f.set(text, again)
			return nil
		}
	}
	// What was read may hold a type that cannot be written so that it is read
	// again; libuci would damage the file here.
	text := f.pkg.Export(false)
	again, err := parse(f.path, f.pkg.Name, text, nil)
	if err != nil {
		return fmt.Errorf("would be unreadable: %w", err)
	}
	if !same(again, f.pkg) {
		return fmt.Errorf("%s: would not be read back as it is written", f.path)
	}
	f.set(text, again)
	return nil
}

// set takes the text, and from its parse the generated names as the next reader
// will see them: the undo record speaks of those.
func (f *file) set(text []byte, again *Package) {
	f.text = text
	for i, s := range again.Sections {
		f.pkg.Sections[i].Name = s.Name
	}
}

// write puts the text into a file beside, named as libuci names it. What a
// crash left there of an earlier attempt goes: nobody else writes such a file
// without the lock.
func (f *file) write(fsys FS) error {
	dir, base := filepath.Split(f.path)
	prefix := "." + base + ".uci-"
	names, err := fsys.ReadDir(filepath.Clean(dir))
	if err != nil {
		return err
	}
	for _, name := range names {
		if strings.HasPrefix(name, prefix) {
			if err := fsys.Remove(dir + name); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return err
			}
		}
	}
	temp := dir + prefix + random(6)
	w, err := fsys.Create(temp, f.path)
	if err != nil {
		return err
	}
	f.temp = temp
	_, err = w.Write(f.text)
	if err == nil {
		err = w.Sync()
	}
	if cerr := w.Close(); err == nil {
		err = cerr
	}
	return err
}

func random(n int) string {
	const letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
	b := make([]byte, n)
	for i := range b {
		b[i] = letters[rand.IntN(len(letters))]
	}
	return string(b)
}

// Commit puts the prepared files in place and lets the locks go. After an error
// the locks are still held, and Rollback takes back what was replaced.
func (c *Change) Commit() error {
	fsys := c.dir.fs()
	var dirs []string
	for _, f := range c.files {
		if f.temp == "" {
			continue
		}
		if err := fsys.Rename(f.temp, f.path); err != nil {
			return fmt.Errorf("%s: %w", f.path, err)
		}
		f.temp, f.done = "", true
		if dir := filepath.Dir(f.path); !slices.Contains(dirs, dir) {
			dirs = append(dirs, dir)
		}
	}
	for _, dir := range dirs {
		if err := fsys.SyncDir(dir); err != nil {
			return fmt.Errorf("%s: %w", dir, err)
		}
	}
	return c.end()
}

// Rollback takes back what Commit has done, removes what Prepare has written
// and lets the locks go. A file that somebody has changed since gets back only
// what is still as this change left it.
func (c *Change) Rollback(ctx context.Context) error {
	fsys := c.dir.fs()
	var errs []error
	for _, f := range c.files {
		if f.temp == "" {
			continue
		}
		if err := fsys.Remove(f.temp); err != nil && !errors.Is(err, fs.ErrNotExist) {
			errs = append(errs, err)
		}
		f.temp = ""
	}
	errs = append(errs, c.end())
	for _, f := range slices.Backward(c.files) {
		if !f.done {
			continue
		}
		if err := c.dir.restore(ctx, f); err != nil {
			errs = append(errs, fmt.Errorf("%s: not restored: %w", f.path, err))
			continue
		}
		f.done = false
	}
	return errors.Join(errs...)
}

// restore puts a file back as it was before the change.
func (d *Dir) restore(ctx context.Context, was *file) error {
	ctx, cancel := context.WithTimeout(ctx, LockWait)
	defer cancel()
	fsys := d.fs()
	f := &file{path: was.path, pkg: was.pkg, text: was.src.text}
	if err := f.lock(ctx, fsys); err != nil {
		return err
	}
	now, err := fsys.ReadFile(f.path, MaxSize+1)
	if err != nil || !bytes.Equal(now, was.text) {
		if err := errors.Join(err, f.unlock()); err != nil {
			return err
		}
		_, err := d.Undo(ctx, was.undo(nil))
		return err
	}
	if was.missing {
		err = fsys.Remove(f.path)
	} else if err = f.write(fsys); err == nil {
		err = fsys.Rename(f.temp, f.path)
	}
	if err == nil {
		err = fsys.SyncDir(filepath.Dir(f.path))
	}
	return errors.Join(err, f.unlock())
}

// end lets the locks go.
func (c *Change) end() error {
	var errs []error
	for _, f := range c.files {
		if f.unlock != nil {
			errs = append(errs, f.unlock())
			f.unlock = nil
		}
	}
	return errors.Join(errs...)
}
