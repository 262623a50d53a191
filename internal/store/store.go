// Package store keeps the agent's state in a handful of small text files that
// are replaced atomically: a reader finds the old content or the new one, never
// a mixture, after a kill, a full disk or a power cut at any instant.
//
// Every file begins with a line "gatehouse <name> <version> <crc32>". A file of
// a newer version, or a damaged one, is set aside under another name with a
// warning; it is never overwritten and never stops the agent.
package store

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
)

// DefaultLimit is the size in bytes that a state file may have when Options
// names none. State is small; a larger file is damage or an accident.
const DefaultLimit = 1 << 20

const tempSuffix = ".tmp"

// ErrLocked says that another agent already works on the same folder.
var ErrLocked = errors.New("in use by another agent")

// ErrTooLarge says that a body exceeds the size limit of its folder.
var ErrTooLarge = errors.New("too large")

// Options of a folder. The zero value is the real file system, DefaultLimit and
// no log.
type Options struct {
	FS    FS           // nil: OS
	Limit int          // bytes per file; 0: DefaultLimit
	Log   *slog.Logger // warnings about files that were set aside; nil: silent
}

// Dir is one folder of state files.
type Dir struct {
	path  string
	fsys  FS
	limit int
	log   *slog.Logger

	writes atomic.Uint64
	bytes  atomic.Uint64

	mu    sync.Mutex
	files []*File
	loose []string // folders that have got an entry which is not on disk yet
}

// Open makes sure that the folder exists (mode 0700, its entry on disk) and
// returns it. It changes nothing inside: leftovers of a killed agent are removed
// by Lock, when it is certain that no other agent is in the middle of a Save.
//
// The folder is returned with an error, too, for who can do without what is in
// it: its files are read and written as far as that goes.
func Open(path string, o Options) (*Dir, error) {
	d := &Dir{path: filepath.Clean(path), fsys: o.FS, limit: o.Limit, log: o.Log}
	if d.fsys == nil {
		d.fsys = OS{}
	}
	if d.limit <= 0 {
		d.limit = DefaultLimit
	}
	if d.log == nil {
		d.log = slog.New(slog.DiscardHandler)
	}
	if err := d.mkdir(d.path); err != nil {
		return d, fmt.Errorf("state folder %s: %w", d.path, err)
	}
	if _, err := d.fsys.ReadDir(d.path); err != nil {
		return d, fmt.Errorf("state folder %s: %w", d.path, err)
	}
	return d, nil
}

// Unread returns an error for each file that Load could not read, and that is
// left alone since.
func (d *Dir) Unread() error {
	d.mu.Lock()
	files := slices.SortedFunc(slices.Values(d.files), func(a, b *File) int { return strings.Compare(a.name, b.name) })
	d.mu.Unlock()
	var errs []error
	for _, f := range files {
		f.mu.Lock()
		if f.unread != nil {
			errs = append(errs, fmt.Errorf("state file %s: %w", f.path(), f.unread))
		}
		f.mu.Unlock()
	}
	return errors.Join(errs...)
}

// mkdir creates a folder and what is missing above it, and puts each new entry
// on disk: a state file is worth nothing when its folder is lost.
func (d *Dir) mkdir(path string) error {
	err := d.fsys.Mkdir(path, 0o700)
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	parent := filepath.Dir(path)
	if errors.Is(err, fs.ErrNotExist) && parent != path {
		if err = d.mkdir(parent); err == nil {
			err = d.fsys.Mkdir(path, 0o700)
		}
	}
	if err != nil {
		return err
	}
	d.mu.Lock()
	d.loose = append(d.loose, parent)
	d.mu.Unlock()
	return d.settle()
}

// settle puts the entries of the folders that mkdir made on disk. One that
// could not be synced then is synced before the first Save succeeds: a folder
// that a power cut takes away takes all files with it.
func (d *Dir) settle() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	for len(d.loose) > 0 {
		if err := d.fsys.SyncDir(d.loose[0]); err != nil {
			return err
		}
		d.loose = d.loose[1:]
	}
	return nil
}

// Path is the folder's path.
func (d *Dir) Path() string { return d.path }

// Lock keeps other agents off the folder until unlock is called or the process
// ends; ErrLocked when another one is there already. The lock is on the folder
// itself, so it writes nothing and works on a read-only disk. Once it is held,
// what a killed agent left half written is removed.
func (d *Dir) Lock() (unlock func() error, err error) {
	unlock, err = d.fsys.Lock(d.path)
	if err != nil {
		return nil, fmt.Errorf("state folder %s: %w", d.path, err)
	}
	names, err := d.fsys.ReadDir(d.path)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("state folder %s: %w", d.path, err), unlock())
	}
	for _, name := range names {
		if !isTemp(name) {
			continue
		}
		if err := d.fsys.Remove(filepath.Join(d.path, name)); err != nil {
			// It costs a little room and nothing else.
			d.log.Warn("leftover state file stays", "file", name, "error", err)
		}
	}
	return unlock, nil
}

// Writes returns how many times this process replaced or removed a file of the
// folder, and how many bytes that took: what flash wear is measured by.
func (d *Dir) Writes() (count, bytes uint64) { return d.writes.Load(), d.bytes.Load() }

// File returns the state file of that name and format version. The same name
// gives the same File. older[i] turns a body of version i+1 into one of version
// i+2; a file that is too old to be turned is set aside like a damaged one. A
// name that is not made of letters, digits, '.', '_' and '-' is a programming
// error and panics.
func (d *Dir) File(name string, version int, older ...func(body []byte) ([]byte, error)) *File {
	if !validName(name) {
		panic("store: bad file name " + name)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if f := d.known(name); f != nil {
		return f
	}
	f := &File{dir: d, name: name, version: version, older: older}
	d.files = append(d.files, f)
	return f
}

// known returns the File of that name; nil when there is none. d.mu is held.
func (d *Dir) known(name string) *File {
	for _, f := range d.files {
		if f.name == name {
			return f
		}
	}
	return nil
}

// Clear removes every file of the folder except those named, as a factory reset
// does, copies that were set aside included. It goes on after an error and
// returns all of them.
func (d *Dir) Clear(keep ...string) error {
	names, err := d.fsys.ReadDir(d.path)
	if err != nil {
		return fmt.Errorf("state folder %s: %w", d.path, err)
	}
	var errs []error
	for _, name := range names {
		if slices.Contains(keep, name) {
			continue
		}
		if err := d.fsys.Remove(filepath.Join(d.path, name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			errs = append(errs, fmt.Errorf("state file %s: %w", name, err))
			continue
		}
		d.gone(name)
		d.writes.Add(1)
	}
	if err := d.fsys.SyncDir(d.path); err != nil {
		errs = append(errs, fmt.Errorf("state folder %s: %w", d.path, err))
	}
	return errors.Join(errs...)
}

// gone notes that a file was removed: there is nothing left that Save could
// destroy.
func (d *Dir) gone(name string) {
	d.mu.Lock()
	f := d.known(name)
	d.mu.Unlock()
	if f == nil {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.unread, f.synced = nil, false
}

func isTemp(name string) bool {
	return strings.HasPrefix(name, ".") && strings.HasSuffix(name, tempSuffix)
}

func validName(name string) bool {
	if name == "" || name[0] == '.' {
		return false
	}
	for _, c := range []byte(name) {
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '.', c == '_', c == '-':
		default:
			return false
		}
	}
	return true
}
