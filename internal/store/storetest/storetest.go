// Package storetest is a file system in memory for tests of what must survive:
// it knows what is on disk and what is not yet, fails or stops at any call, and
// comes back after a kill or a power cut with what such a thing leaves behind.
package storetest

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"sync"
	"syscall"

	"gatehouse/internal/store"
)

// ErrCrashed is what every call returns once the machine is down.
var ErrCrashed = errors.New("storetest: crashed")

// Fault is what happens at one call.
type Fault struct {
	Err   error // the call fails with it; nil: the machine stops there (Restart goes on)
	After bool  // the call takes effect first, and fails or stops then
	Torn  bool  // a write takes effect by half
}

// Loss says what a crash leaves of what was not synced.
type Loss uint8

// The kinds of crash.
const (
	Kill       Loss = iota // kill -9: everything written is seen by the next process
	PowerCut               // only what was synced is left
	EntryFirst             // the folder's entries got to the disk, contents not: empty files
	EntryTorn              // the same with half of each content
)

// Losses lists every kind of crash.
var Losses = []Loss{Kill, PowerCut, EntryFirst, EntryTorn}

// String names the loss for test output.
func (l Loss) String() string {
	return [...]string{"kill", "power cut", "power cut, names first", "power cut, torn content"}[l]
}

type inode struct {
	seen, disk []byte // content as read back, content on disk
	synced     bool   // disk is seen
}

type folder struct {
	seen, disk map[string]*inode
	dirs       map[string]bool // sub-folders as seen
	diskDirs   map[string]bool
}

func newFolder() *folder {
	return &folder{seen: map[string]*inode{}, disk: map[string]*inode{}, dirs: map[string]bool{}, diskDirs: map[string]bool{}}
}

// FS is a file system in memory. The root "/" exists. It is safe for use by
// several goroutines.
type FS struct {
	mu      sync.Mutex
	folders map[string]*folder
	locked  map[string]bool
	calls   []string
	faults  map[int]Fault
	down    bool
	full    bool
	ro      bool
	readErr error
	bad     map[string]error // by name of the file
}

var _ store.FS = (*FS)(nil)

// New returns an empty file system.
func New() *FS {
	return &FS{folders: map[string]*folder{"/": newFolder()}, locked: map[string]bool{}, faults: map[int]Fault{}}
}

// Calls returns the calls so far that change or sync something, as text: "sync /s/.a.tmp".
// The index of a call here is its number for Inject.
func (f *FS) Calls() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.calls)
}

// Inject lets the n-th changing call, counted from 0 over the life of f, fail or
// be the last.
func (f *FS) Inject(n int, fault Fault) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.faults[n] = fault
}

// SetFull makes every creation and write fail with ENOSPC.
func (f *FS) SetFull(full bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.full = full
}

// SetReadOnly makes every change fail with EROFS.
func (f *FS) SetReadOnly(ro bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.ro = ro
}

// FailReads makes every read of a file fail with err, or only those of the files
// named; nil ends that.
func (f *FS) FailReads(err error, names ...string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(names) == 0 {
		f.readErr, f.bad = err, nil
		return
	}
	f.bad = map[string]error{}
	for _, name := range names {
		f.bad[name] = err
	}
}

// Restart returns the file system as it is found after a crash now. f itself is
// down from then on.
func (f *FS) Restart(loss Loss) *FS {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.down = true
	g := New()
	f.restart(g, "/", loss)
	return g
}

func (f *FS) restart(g *FS, dir string, loss Loss) {
	from, to := f.folders[dir], newFolder()
	g.folders[dir] = to
	files, dirs := from.seen, from.dirs
	if loss == PowerCut {
		files, dirs = from.disk, from.diskDirs
	}
	for name, node := range files {
		text := node.seen
		if loss != Kill && !node.synced {
			switch text = node.disk; loss {
			case EntryFirst:
				text = nil
			case EntryTorn:
				text = node.seen[:len(node.seen)/2]
			}
		}
		left := &inode{seen: slices.Clone(text), disk: slices.Clone(text), synced: true}
		to.seen[name], to.disk[name] = left, left
	}
	for name := range dirs {
		to.dirs[name], to.diskDirs[name] = true, true
		f.restart(g, path.Join(dir, name), loss)
	}
}

// Files returns what a folder shows: names and contents.
func (f *FS) Files(dir string) map[string]string {
	f.mu.Lock()
	defer f.mu.Unlock()
	files := map[string]string{}
	if d := f.folders[path.Clean(dir)]; d != nil {
		for name, node := range d.seen {
			files[name] = string(node.seen)
		}
	}
	return files
}

// Put places a file as if it had always been there; its folder is made if
// needed.
func (f *FS) Put(file, text string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	dir, name := path.Split(path.Clean(file))
	d := f.need(path.Clean(dir))
	node := &inode{seen: []byte(text), disk: []byte(text), synced: true}
	d.seen[name], d.disk[name] = node, node
}

func (f *FS) need(dir string) *folder {
	if d := f.folders[dir]; d != nil {
		return d
	}
	parent := f.need(path.Dir(dir))
	parent.dirs[path.Base(dir)], parent.diskDirs[path.Base(dir)] = true, true
	f.folders[dir] = newFolder()
	return f.folders[dir]
}

// change runs one numbered call under its fault, if it has one. do gets how
// much of the effect is wanted.
func (f *FS) change(call string, needsRoom bool, do func(torn bool) error) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.down {
		return ErrCrashed
	}
	n := len(f.calls)
	f.calls = append(f.calls, call)
	if f.ro {
		return &fs.PathError{Op: call, Path: "", Err: syscall.EROFS}
	}
	if f.full && needsRoom {
		return &fs.PathError{Op: call, Path: "", Err: syscall.ENOSPC}
	}
	fault, hit := f.faults[n]
	if !hit {
		return do(false)
	}
	if fault.After || fault.Torn {
		if err := do(fault.Torn); err != nil {
			return err
		}
	}
	if fault.Err != nil {
		return fmt.Errorf("%s: %w", call, fault.Err)
	}
	f.down = true
	return ErrCrashed
}

func (f *FS) folder(dir string) (*folder, error) {
	if d := f.folders[path.Clean(dir)]; d != nil {
		return d, nil
	}
	return nil, &fs.PathError{Op: "open", Path: dir, Err: fs.ErrNotExist}
}

func (f *FS) find(file string) (*folder, string, *inode, error) {
	d, err := f.folder(path.Dir(file))
	if err != nil {
		return nil, "", nil, err
	}
	name := path.Base(file)
	node := d.seen[name]
	if node == nil {
		return d, name, nil, &fs.PathError{Op: "open", Path: file, Err: fs.ErrNotExist}
	}
	return d, name, node, nil
}

// Mkdir implements store.FS.
func (f *FS) Mkdir(dir string, _ fs.FileMode) error {
	f.mu.Lock()
	_, exists := f.folders[path.Clean(dir)]
	f.mu.Unlock()
	if exists {
		return &fs.PathError{Op: "mkdir", Path: dir, Err: fs.ErrExist}
	}
	return f.change("mkdir "+dir, true, func(bool) error {
		parent, err := f.folder(path.Dir(dir))
		if err != nil {
			return err
		}
		parent.dirs[path.Base(dir)] = true
		f.folders[path.Clean(dir)] = newFolder()
		return nil
	})
}

// ReadDir implements store.FS.
func (f *FS) ReadDir(dir string) ([]string, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.down {
		return nil, ErrCrashed
	}
	d, err := f.folder(dir)
	if err != nil {
		return nil, err
	}
	var names []string
	for name := range d.seen {
		names = append(names, name)
	}
	for name := range d.dirs {
		names = append(names, name)
	}
	slices.Sort(names)
	return names, nil
}

// ReadFile implements store.FS.
func (f *FS) ReadFile(file string, limit int) ([]byte, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.down {
		return nil, ErrCrashed
	}
	if err := cmp.Or(f.bad[path.Base(file)], f.readErr); err != nil {
		return nil, &fs.PathError{Op: "read", Path: file, Err: err}
	}
	_, _, node, err := f.find(file)
	if err != nil {
		return nil, err
	}
	return slices.Clone(node.seen[:min(limit, len(node.seen))]), nil
}

// Create implements store.FS.
func (f *FS) Create(file string, _ fs.FileMode) (store.Writer, error) {
	node := &inode{}
	err := f.change("create "+file, true, func(bool) error {
		d, name, _, err := f.find(file)
		if err == nil {
			return &fs.PathError{Op: "create", Path: file, Err: fs.ErrExist}
		}
		if d == nil {
			return err
		}
		d.seen[name] = node
		return nil
	})
	if err != nil {
		return nil, err
	}
	return &writer{f, file, node}, nil
}

// Rename implements store.FS.
func (f *FS) Rename(oldpath, newpath string) error {
	return f.change("rename "+oldpath+" "+newpath, false, func(bool) error {
		from, oldname, node, err := f.find(oldpath)
		if err != nil {
			return err
		}
		to, err := f.folder(path.Dir(newpath))
		if err != nil {
			return err
		}
		delete(from.seen, oldname)
		to.seen[path.Base(newpath)] = node
		return nil
	})
}

// Remove implements store.FS.
func (f *FS) Remove(file string) error {
	f.mu.Lock()
	_, _, _, err := f.find(file)
	down := f.down
	f.mu.Unlock()
	if err != nil && !down {
		return err // nothing changes: not a call worth failing
	}
	return f.change("remove "+file, false, func(bool) error {
		d, name, _, err := f.find(file)
		if err == nil {
			delete(d.seen, name)
		}
		return err
	})
}

// SyncDir implements store.FS.
func (f *FS) SyncDir(dir string) error {
	return f.change("syncdir "+dir, false, func(bool) error {
		d, err := f.folder(dir)
		if err != nil {
			return err
		}
		clear(d.disk)
		for name, node := range d.seen {
			d.disk[name] = node
		}
		for name := range d.dirs {
			d.diskDirs[name] = true
		}
		return nil
	})
}

// Lock implements store.FS; a Restart forgets locks as the kernel does.
func (f *FS) Lock(dir string) (func() error, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.down {
		return nil, ErrCrashed
	}
	if f.locked[dir] {
		return nil, store.ErrLocked
	}
	f.locked[dir] = true
	return func() error {
		f.mu.Lock()
		defer f.mu.Unlock()
		delete(f.locked, dir)
		return nil
	}, nil
}

type writer struct {
	fs   *FS
	file string
	node *inode
}

func (w *writer) Write(p []byte) (int, error) {
	n := len(p)
	err := w.fs.change("write "+w.file, true, func(torn bool) error {
		if torn {
			n /= 2
		}
		w.node.seen = append(w.node.seen, p[:n]...)
		w.node.synced = false
		return nil
	})
	if err != nil {
		return 0, err
	}
	return n, nil
}

func (w *writer) Sync() error {
	return w.fs.change("sync "+w.file, false, func(bool) error {
		w.node.disk, w.node.synced = slices.Clone(w.node.seen), true
		return nil
	})
}

func (w *writer) Close() error {
	return w.fs.change("close "+w.file, false, func(bool) error { return nil })
}
