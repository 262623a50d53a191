package uci

// A folder of packages, as libuci finds them: what is committed, what stands in
// for it until the next boot, and what somebody has not committed yet.

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
)

// Dir says where packages are kept.
type Dir struct {
	// Config holds the committed packages: /etc/config.
	Config string
	// Override holds files that stand in for the committed ones until the next
	// boot: /var/run/uci. "" when there is no such place.
	Override string
	// Deltas hold changes that were set and not committed: /tmp/.uci, and
	// /var/run/rpcd/uci-* for the web; a '*' may be the last letter. The changes
	// belong to whoever is about to commit them (somebody in the middle of a web
	// form): they are not read as configuration, and never written.
	Deltas []string
	// Create says that a package whose file is not there is an empty one, and
	// that changing it makes the file. Without it changing such a package fails:
	// the program that it configures is not installed.
	Create bool
	// FS is the file system; nil is the real one.
	FS FS
}

// ErrOverridden says that a file in Dir.Override stands in for a package. What
// is written to the committed file would not be read by anybody before the next
// boot, and what is written to the other would be gone with it.
var ErrOverridden = errors.New("a run-time override stands in for it")

func (d *Dir) fs() FS {
	if d.FS != nil {
		return d.FS
	}
	return OS{}
}

// Load reads one file, of no folder in particular. The package is named after
// it. Errors are *ParseError with the file's path, or those of the system
// (fs.ErrNotExist). No lock is needed: every writer replaces the file as a
// whole.
func Load(path string) (*Package, error) {
	text, err := OS{}.ReadFile(path, MaxSize+1)
	if err != nil {
		return nil, err
	}
	return parse(path, filepath.Base(path), text, nil)
}

// Path is where a package is committed.
func (d *Dir) Path(name string) string { return filepath.Join(d.Config, name) }

// Read reads a package as libuci does without the changes that nobody has
// committed: from Override if there is such a file, else from Config. Errors are
// those of [Load].
func (d *Dir) Read(name string) (*Package, error) {
	if !validPackage(name) {
		return nil, fmt.Errorf("uci: bad package name %q", name)
	}
	path := d.Path(name)
	if d.Overridden(name) {
		path = filepath.Join(d.Override, name)
	}
	text, err := d.fs().ReadFile(path, MaxSize+1)
	if d.Create && errors.Is(err, fs.ErrNotExist) {
		return &Package{Name: name}, nil
	}
	if err != nil {
		return nil, err
	}
	return parse(path, name, text, nil)
}

// Overridden says whether a file in Override stands in for the package.
func (d *Dir) Overridden(name string) bool {
	if d.Override == "" {
		return false
	}
	_, err := d.fs().ReadFile(filepath.Join(d.Override, name), 1)
	return err == nil
}

// Pending lists the packages that have changes which somebody has set and not
// committed, in the order of their names.
func (d *Dir) Pending() []string {
	var pending []string
	for _, folder := range d.deltas() {
		names, err := d.fs().ReadDir(folder)
		if err != nil {
			continue // no folder, no changes
		}
		for _, name := range names {
			text, err := d.fs().ReadFile(filepath.Join(folder, name), 1)
			if err == nil && len(text) > 0 && validPackage(name) {
				pending = append(pending, name)
			}
		}
	}
	slices.Sort(pending)
	return slices.Compact(pending)
}

// deltas lists the folders that Deltas means.
func (d *Dir) deltas() []string {
	var all []string
	for _, folder := range d.Deltas {
		prefix, many := strings.CutSuffix(folder, "*")
		if !many {
			all = append(all, folder)
			continue
		}
		parent, base := filepath.Split(prefix)
		names, err := d.fs().ReadDir(filepath.Clean(parent))
		if err != nil {
			continue
		}
		for _, name := range names {
			if strings.HasPrefix(name, base) {
				all = append(all, parent+name)
			}
		}
	}
	return all
}

func validPackage(name string) bool { return ValidName(strings.ReplaceAll(name, "-", "_")) }
