package store

// One state file: its header, loading it, replacing it, setting it aside.

import (
	"bytes"
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
)

// maxAside bounds how many damaged copies of one file are kept on flash.
const maxAside = 4

// maxHeader bounds the header line in bytes.
const maxHeader = 256

// File is one state file. Its methods may be called from several goroutines;
// Load and Save of one File wait for each other.
type File struct {
	dir     *Dir
	name    string
	version int
	older   []func([]byte) ([]byte, error)
	writes  atomic.Uint64

	mu     sync.Mutex
	synced bool  // this process knows that the visible content is on disk
	unread error // why Load could not read what is there
}

// foreignError says why a file on disk is not content of ours, and under which
// name it is kept.
type foreignError struct {
	reason string
	suffix string // "v2", "damaged"
}

func (e *foreignError) Error() string { return e.reason }

// Name is the file's name in its folder.
func (f *File) Name() string { return f.name }

// Writes returns how many times this process replaced or removed the file.
func (f *File) Writes() uint64 { return f.writes.Load() }

// Load returns the body of the file without its header line; fs.ErrNotExist
// when there is none. A file of a newer version is set aside as <name>.v<N>, a
// damaged one as <name>.damaged, with a warning, and then there is none. Other
// errors are those of reading: from then on the file is left alone, by Save as
// well, until a Load has succeeded or it is removed, for who starts without it
// would put less in its place.
func (f *File) Load() ([]byte, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	raw, err := f.read()
	f.unread = nil
	if err != nil {
		if !errors.Is(err, fs.ErrNotExist) {
			f.unread = err
		}
		return nil, fmt.Errorf("state file %s: %w", f.path(), err)
	}
	body, err := f.parse(raw)
	if foreign, ok := errors.AsType[*foreignError](err); ok {
		// On a read-only disk it stays where it is; Save tries again before it
		// would overwrite it.
		_ = f.setAside(foreign)
		return nil, fmt.Errorf("state file %s: %s: %w", f.path(), foreign.reason, fs.ErrNotExist)
	}
	return body, err
}

// Save replaces the file's content. Content that is there already writes
// nothing. When it returns nil, the content survives a power cut; after an error
// the file holds the old content or, when only the last step failed, the new
// one.
func (f *File) Save(body []byte) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := f.save(body); err != nil {
		return fmt.Errorf("state file %s: %w", f.path(), err)
	}
	return nil
}

// Remove deletes the file; removing one that is not there succeeds.
func (f *File) Remove() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.synced = false
	err := f.dir.fsys.Remove(f.path())
	if err == nil {
		f.unread = nil
	}
	if err == nil {
		f.count(0)
	} else if errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	if err == nil {
		err = f.dir.fsys.SyncDir(f.dir.path)
	}
	if err != nil {
		return fmt.Errorf("state file %s: %w", f.path(), err)
	}
	return nil
}

// Path is where the file lies.
func (f *File) Path() string { return f.path() }

func (f *File) path() string { return filepath.Join(f.dir.path, f.name) }

func (f *File) count(bytes int) {
	f.writes.Add(1)
	f.dir.writes.Add(1)
	f.dir.bytes.Add(uint64(bytes))
}

// read returns the raw file; one byte more than is allowed tells parse that it
// is too large.
func (f *File) read() ([]byte, error) {
	return f.dir.fsys.ReadFile(f.path(), f.dir.limit+maxHeader+1)
}

func (f *File) save(body []byte) error {
	if f.unread != nil {
		return fmt.Errorf("left alone, because it could not be read: %w", f.unread)
	}
	if len(body) > f.dir.limit {
		return fmt.Errorf("%d bytes: %w", len(body), ErrTooLarge)
	}
	text := f.render(body)
	raw, err := f.read()
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return err // it could be a newer version's: do not replace it unread
	case bytes.Equal(raw, text):
		return f.sync()
	default:
		_, err := f.parse(raw)
		if foreign, ok := errors.AsType[*foreignError](err); ok {
			if err := f.setAside(foreign); err != nil {
				return err
			}
		}
	}
	f.synced = false
	if err := f.replace(text); err != nil {
		return err
	}
	f.count(len(text))
	return f.sync()
}

// sync puts the file's entry on disk, unless this process knows that it is:
// whoever wrote the same content before us may have been killed before it
// could.
func (f *File) sync() error {
	if f.synced {
		return nil
	}
	if err := f.dir.settle(); err != nil {
		return err
	}
	if err := f.dir.fsys.SyncDir(f.dir.path); err != nil {
		return err
	}
	f.synced = true
	return nil
}

// replace puts the text in place, in a folder that may not have been there at
// the start.
func (f *File) replace(text []byte) error {
	err := put(f.dir.fsys, f.path(), text)
	if errors.Is(err, fs.ErrNotExist) {
		if err = f.dir.mkdir(f.dir.path); err == nil {
			err = put(f.dir.fsys, f.path(), text)
		}
	}
	return err
}

// Replace makes a file hold text, with mode 0600: whoever reads it sees the old
// content or the new one, and after a power cut there is either. It is for files
// that others read; those of state are a [File].
func Replace(fsys FS, path string, text []byte) error {
	if err := put(fsys, path, text); err != nil {
		return err
	}
	return fsys.SyncDir(filepath.Dir(path))
}

// put writes a temporary file, puts it on disk and renames it.
func put(fsys FS, path string, text []byte) (err error) {
	dir, name := filepath.Split(path)
	temp := filepath.Join(dir, "."+name+tempSuffix)
	if err := fsys.Remove(temp); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	w, err := fsys.Create(temp, 0o600)
	if err != nil {
		return err
	}
	_, err = w.Write(text)
	if err == nil {
		err = w.Sync()
	}
	if cerr := w.Close(); err == nil {
		err = cerr
	}
	if err == nil {
		err = fsys.Rename(temp, path)
	}
	if err != nil {
		// Best effort: a full disk needs the room, and Lock removes it otherwise.
		_ = fsys.Remove(temp)
	}
	return err
}

// setAside renames a file that is not ours to a free name.
func (f *File) setAside(foreign *foreignError) error {
	names, err := f.dir.fsys.ReadDir(f.dir.path)
	if err == nil {
		aside := f.name + "." + foreign.suffix
		for i := 1; slices.Contains(names, aside); i++ {
			if i == maxAside && foreign.suffix == "damaged" {
				break // the last damaged copy makes room for this one
			}
			aside = f.name + "." + foreign.suffix + "." + strconv.Itoa(i)
		}
		if err = f.dir.fsys.Rename(f.path(), filepath.Join(f.dir.path, aside)); err == nil {
			f.dir.log.Warn("state file set aside", "file", f.path(), "reason", foreign.reason, "kept_as", aside)
			f.synced = false
			return f.dir.fsys.SyncDir(f.dir.path)
		}
	}
	f.dir.log.Warn("state file cannot be set aside", "file", f.path(), "reason", foreign.reason, "error", err)
	return err
}

// render puts the header line before a body.
func (f *File) render(body []byte) []byte {
	text := fmt.Appendf(make([]byte, 0, len(body)+64), "gatehouse %s %d %08x\n", f.name, f.version, crc32.ChecksumIEEE(body))
	return append(text, body...)
}

// parse checks the header line and returns the body in the file's version, or
// a *foreignError. A header without checksum is accepted, for files made by
// hand.
func (f *File) parse(raw []byte) ([]byte, error) {
	damaged := func(format string, args ...any) ([]byte, error) {
		return nil, &foreignError{fmt.Sprintf(format, args...), "damaged"}
	}
	end := bytes.IndexByte(raw[:min(len(raw), maxHeader)], '\n')
	if end < 0 {
		return damaged("no header line")
	}
	words := strings.Fields(string(raw[:end]))
	body := raw[end+1:]
	if len(words) < 3 || words[0] != "gatehouse" || words[1] != f.name {
		return damaged("not a header of %q", f.name)
	}
	version, err := strconv.Atoi(words[2])
	if err != nil || version < 1 {
		return damaged("no format version")
	}
	if version > f.version {
		return nil, &foreignError{fmt.Sprintf("format version %d is newer than %d", version, f.version), "v" + strconv.Itoa(version)}
	}
	if len(body) > f.dir.limit {
		return damaged("larger than %d bytes", f.dir.limit)
	}
	if len(words) > 3 && words[3] != fmt.Sprintf("%08x", crc32.ChecksumIEEE(body)) {
		return damaged("content does not match its checksum")
	}
	for ; version < f.version; version++ {
		if version > len(f.older) {
			return damaged("format version %d is too old", version)
		}
		if body, err = f.older[version-1](body); err != nil {
			return damaged("format version %d: %v", version, err)
		}
	}
	return body, nil
}
