package uci

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// change edits one package in dir, from Begin to Commit.
func change(ctx context.Context, d *Dir, name string, edit func(*Package) error) error {
	c := d.Begin()
	p, err := c.Package(ctx, name)
	if err == nil {
		err = edit(p)
	}
	if err == nil {
		err = c.Prepare()
	}
	if err == nil {
		err = c.Commit()
	}
	if err != nil {
		err = errors.Join(err, c.Rollback(ctx))
	}
	return err
}

// begin locks a package and lets it go.
func begin(ctx context.Context, d *Dir, name string) (*Package, error) {
	c := d.Begin()
	p, err := c.Package(ctx, name)
	return p, errors.Join(err, c.Rollback(ctx))
}

func files(t *testing.T, texts map[string]string) *Dir {
	t.Helper()
	dir := t.TempDir()
	for name, text := range texts {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return &Dir{Config: dir}
}

func text(t *testing.T, d *Dir, name string) string {
	t.Helper()
	b, err := os.ReadFile(d.Path(name))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// What an edit leaves of the text, byte for byte.
func TestEditInPlace(t *testing.T) {
	const file = "# my router\n\nconfig a x   # the first\n  option b  \"1\" # note\n\n\tlist\tl 'p'\n\tlist l q\n\n# second\nconfig c\n\toption d '2'\n"
	for _, c := range []struct {
		name string
		edit func(*Package) error
		want string
	}{
		{"a value", func(p *Package) error { return p.Sections[0].Set("b", "it's") },
			strings.Replace(file, "  option b  \"1\" # note", "  option b 'it'\\''s' # note", 1)},
		{"the value that is there", func(p *Package) error { return p.Sections[0].Set("b", "1") }, file},
		{"an option goes", func(p *Package) error { return p.Sections[0].Set("b", "") },
			strings.Replace(file, "  option b  \"1\" # note\n", "", 1)},
		{"a list grows", func(p *Package) error { return p.Sections[0].SetList("l", "p", "q", "r") },
			strings.Replace(file, "\tlist\tl 'p'\n\tlist l q\n", "\tlist l 'p'\n\tlist l 'q'\n\tlist l 'r'\n", 1)},
		{"an option comes", func(p *Package) error { return p.Sections[0].Set("n", "3") },
			strings.Replace(file, "list l q\n", "list l q\n\toption n '3'\n", 1)},
		{"a section gets a name", func(p *Package) error { return p.Rename(p.Sections[1], "mine") },
			strings.Replace(file, "config c\n", "config c 'mine'\n", 1)},
		{"and another type", func(p *Package) error { return p.Retype(p.Sections[0], "z") },
			strings.Replace(file, "config a x   # the first", "config z 'x' # the first", 1)},
		{"a section goes", func(p *Package) error { p.Delete(p.Sections[0]); return nil },
			"# my router\n\n\n# second\nconfig c\n\toption d '2'\n"},
		{"the last section goes", func(p *Package) error { p.Delete(p.Sections[1]); return nil },
			strings.Replace(file, "config c\n\toption d '2'\n", "", 1)},
		{"a section comes", func(p *Package) error {
			s, err := p.Add("e", "f")
			return errors.Join(err, s.Set("g", "h"))
		}, file + "\nconfig e 'f'\n\toption g 'h'\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := files(t, map[string]string{"p": file})
			if err := change(t.Context(), d, "p", c.edit); err != nil {
				t.Fatal(err)
			}
			if got := text(t, d, "p"); got != c.want {
				t.Errorf("%s\nwant\n%s", got, c.want)
			}
		})
	}
}

// Several commands on a line: then the file is written as libuci writes it.
func TestEditOfSharedLines(t *testing.T) {
	d := files(t, map[string]string{"p": "# lost\nconfig a 'x';option b 'c'\n"})
	if err := change(t.Context(), d, "p", func(p *Package) error { return p.Sections[0].Set("b", "d") }); err != nil {
		t.Fatal(err)
	}
	if got, want := text(t, d, "p"), "\nconfig a 'x'\n\toption b 'd'\n\n"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}

// Mode, symbolic link and inode of what an edit touches, and what it does not.
func TestChangeKeepsTheFile(t *testing.T) {
	d := files(t, map[string]string{"network": "# mine\nconfig a x\n"})
	path, link := d.Path("network"), d.Path("link")
	if err := errors.Join(os.Symlink(path, link), os.Chmod(path, 0o640)); err != nil {
		t.Fatal(err)
	}
	before, _ := os.Stat(path)
	nothing := func(p *Package) error { return p.Sections[0].Set("none", "") }
	if err := change(t.Context(), d, "network", nothing); err != nil {
		t.Fatal(err)
	}
	if after, _ := os.Stat(path); !os.SameFile(before, after) {
		t.Error("an edit without change replaced the file")
	}
	if err := change(t.Context(), d, "link", func(p *Package) error { return p.Sections[0].Set("b", "c") }); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Lstat(link); err != nil || info.Mode()&fs.ModeSymlink == 0 {
		t.Errorf("the link was replaced: %v %v", info, err)
	}
	if info, _ := os.Stat(path); info.Mode().Perm() != 0o640 {
		t.Errorf("mode %v", info.Mode())
	}
	if p, err := Load(path); err != nil || p.Name != "network" || p.Section("x").Get("b") != "c" {
		t.Errorf("%v %v", p, err)
	}
	if entries, _ := os.ReadDir(d.Config); len(entries) != 2 {
		t.Errorf("left over: %v", entries)
	}
}

func TestBeginErrors(t *testing.T) {
	d := files(t, map[string]string{"bad": "config a\nbad\n", "good": "config a x\n", "quote": "config a\"'\"b x\n"})
	if _, err := begin(t.Context(), d, "nope"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("%v", err)
	}
	if _, err := begin(t.Context(), d, "../good"); err == nil {
		t.Error("a path is not a package")
	}
	want := d.Path("bad") + ":2: "
	if _, err := begin(t.Context(), d, "bad"); err == nil || !strings.HasPrefix(err.Error(), want) {
		t.Errorf("%v", err)
	}
	if _, err := d.Read("bad"); err == nil || !strings.HasPrefix(err.Error(), want) {
		t.Errorf("%v", err)
	}
	// The others live, and the lock is free again.
	if err := change(t.Context(), d, "good", func(p *Package) error { return p.Sections[0].Set("b", "1") }); err != nil {
		t.Error(err)
	}
	// A type with a quote is read; written back by libuci it would be another
	// one. In place it stays what it is.
	if err := change(t.Context(), d, "quote", func(p *Package) error { return p.Sections[0].Set("c", "d") }); err != nil {
		t.Error(err)
	}
	if got, want := text(t, d, "quote"), "config a\"'\"b x\n\toption c 'd'\n"; got != want {
		t.Errorf("%q", got)
	}
	err := change(t.Context(), d, "quote", func(p *Package) error { return p.Rename(p.Sections[0], "y") })
	if err == nil || !strings.Contains(err.Error(), "read") {
		t.Errorf("%v", err)
	}
}

// A file that somebody holds locked, and replaces before letting go.
func TestBeginWaits(t *testing.T) {
	d := files(t, map[string]string{"a": "config a x\n"})
	unlock, err := OS{}.Lock(d.Path("a"))
	if err != nil {
		t.Fatal(err)
	}
	ended, cancel := context.WithDeadline(t.Context(), time.Now())
	defer cancel()
	if _, err := begin(ended, d, "a"); !errors.Is(err, ErrLocked) || !strings.Contains(err.Error(), d.Path("a")+": locked by another") {
		t.Errorf("%v", err)
	}
	done := make(chan error)
	go func() {
		done <- change(t.Context(), d, "a", func(p *Package) error { return p.Sections[0].Set("second", "2") })
	}()
	if err := errors.Join(os.WriteFile(d.Path("new"), []byte("config a x\n option first 1\n"), 0o600),
		os.Rename(d.Path("new"), d.Path("a")), unlock(), <-done); err != nil {
		t.Fatal(err)
	}
	p, err := d.Read("a")
	if err != nil || p.Sections[0].Get("first") != "1" || p.Sections[0].Get("second") != "2" {
		t.Errorf("an edit was lost: %s %v", p.Export(false), err)
	}
}

// What stands in for a package is read and not written; what nobody has
// committed is told, and left alone.
func TestOverrideAndPending(t *testing.T) {
	d := files(t, map[string]string{"network": "config a x\n option b 1\n", "system": "config s\n"})
	d.Override = t.TempDir()
	web := t.TempDir()
	d.Deltas = []string{t.TempDir(), web + "/uci-*", t.TempDir() + "/none"}
	delta := "network.x.b='2'\n"
	if err := errors.Join(os.WriteFile(filepath.Join(d.Override, "network"), []byte("config a x\n option b 9\n"), 0o600),
		os.WriteFile(filepath.Join(d.Deltas[0], "network"), []byte(delta), 0o600),
		os.Mkdir(web+"/uci-5eb63bbb", 0o700), os.Mkdir(web+"/other", 0o700),
		os.WriteFile(web+"/uci-5eb63bbb/network", []byte(delta), 0o600),
		os.WriteFile(web+"/uci-5eb63bbb/wireless", []byte("wireless.x.y='z'\n"), 0o600),
		os.WriteFile(web+"/other/dhcp", []byte(delta), 0o600),
		os.WriteFile(filepath.Join(d.Deltas[0], "system"), nil, 0o600)); err != nil {
		t.Fatal(err)
	}
	if p, err := d.Read("network"); err != nil || p.Sections[0].Get("b") != "9" {
		t.Errorf("%v %v", p, err)
	}
	if _, err := begin(t.Context(), d, "network"); !errors.Is(err, ErrOverridden) {
		t.Errorf("%v", err)
	}
	if got := d.Pending(); !slices.Equal(got, []string{"network", "wireless"}) {
		t.Errorf("%v", got)
	}
	if err := os.Remove(filepath.Join(d.Override, "network")); err != nil {
		t.Fatal(err)
	}
	if err := change(t.Context(), d, "network", func(p *Package) error { return p.Sections[0].Set("c", "3") }); err != nil {
		t.Fatal(err)
	}
	if got := text(t, d, "network"); got != "config a x\n option b 1\n\toption c '3'\n" {
		t.Errorf("%q", got)
	}
	if b, _ := os.ReadFile(filepath.Join(d.Deltas[0], "network")); string(b) != delta {
		t.Errorf("the delta was touched: %q", b)
	}
}

func TestCreate(t *testing.T) {
	d := files(t, nil)
	d.Create = true
	if p, err := d.Read("users"); err != nil || len(p.Sections) != 0 {
		t.Errorf("%v %v", p, err)
	}
	c := d.Begin()
	p, err := c.Package(t.Context(), "users")
	if err == nil {
		_, err = p.Add("user", "ann")
	}
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(c.Prepare(), c.Commit()); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(d.Path("users")); err != nil || info.Mode().Perm() != 0o600 || text(t, d, "users") != "\nconfig user 'ann'\n\n" {
		t.Errorf("%v %v", info, err)
	}
	if err := c.Rollback(t.Context()); err != nil {
		t.Fatal(err)
	}
	if entries, _ := os.ReadDir(d.Config); len(entries) != 0 {
		t.Errorf("left over: %v", entries)
	}
}

// Of two new packages in one change each would lock their folder.
func TestCreateTwo(t *testing.T) {
	d := files(t, nil)
	d.Create = true
	c := d.Begin()
	for _, name := range []string{"users", "hosts"} {
		p, err := c.Package(t.Context(), name)
		if err == nil {
			_, err = p.Add("row", "one")
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if _, err := (OS{}).Lock(d.Config); !errors.Is(err, ErrLocked) {
		t.Errorf("nobody holds the folder: %v", err)
	}
	if err := errors.Join(c.Prepare(), c.Commit()); err != nil {
		t.Fatal(err)
	}
	if err := c.Rollback(t.Context()); err != nil {
		t.Fatal(err)
	}
	if entries, _ := os.ReadDir(d.Config); len(entries) != 0 {
		t.Errorf("left over: %v", entries)
	}
}

// A lock that is never let go ends the wait, with an error that says what to do.
func TestLockWaitIsBounded(t *testing.T) {
	d := files(t, map[string]string{"a": "config a x\n"})
	unlock, err := OS{}.Lock(d.Path("a"))
	if err != nil {
		t.Fatal(err)
	}
	defer unlock()
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		if _, err := begin(context.Background(), d, "a"); !errors.Is(err, ErrLocked) {
			t.Errorf("%v", err)
		}
		if waited := time.Since(began); waited < LockWait || waited > LockWait+2*lockPoll {
			t.Errorf("waited %v", waited)
		}
	})
}
