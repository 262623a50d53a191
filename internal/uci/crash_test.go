package uci

import (
	"context"
	"errors"
	"io/fs"
	"path"
	"strings"
	"syscall"
	"testing"

	"gatehouse/internal/store"
	"gatehouse/internal/store/storetest"
)

// memFS is the file system of storetest as this package wants one.
type memFS struct{ *storetest.FS }

func (m memFS) Resolve(path string) (string, error) {
	_, err := m.ReadFile(path, 0)
	return path, err
}

func (m memFS) Lock(path string) (func() error, error) {
	unlock, err := m.FS.Lock(path)
	if errors.Is(err, store.ErrLocked) {
		err = ErrLocked
	}
	return unlock, err
}

func (m memFS) Create(path, _ string) (Writer, error) { return m.FS.Create(path, 0o600) }

var t0 = context.Background()

// Three packages, and a change of every kind.
var before = map[string]string{
	"a": "# kept\nconfig x 'one'\n\toption o '1'\n\tlist l 'p'\n\tlist l 'q'\n\nconfig y\n\toption v 'anonymous'\n",
	"b": "config x 'gone'\n\toption o 'it'\\''s'\n\tlist l ''\n\nconfig x 'next'\n\nconfig x\n\toption o 'nameless and gone'\n\nconfig x 'last'\n",
	"c": "config x 'untouched'\n",
}

func setup(_ testing.TB, fsys *storetest.FS) {
	for name, text := range before {
		fsys.Put("/c/"+name, text)
	}
}

func changeAll(p map[string]*Package) error {
	a, b, d := p["a"], p["b"], p["d"]
	one := a.Section("one")
	added, err := a.Add("z", "added")
	fresh, err2 := d.Add("z", "fresh")
	if err = errors.Join(err, err2); err != nil {
		return err
	}
	b.Delete(b.Section("gone"))
	b.Delete(b.Section("@x[1]"))
	return errors.Join(one.Set("o", "\xff'2'"), one.SetList("l", "q"), one.Set("n", "3"), added.Set("o", "1"), fresh.Set("o", "1"),
		a.Rename(a.Section("@y[0]"), "named"), a.Section("named").Set("v", "w"), a.Retype(a.Section("named"), "yy"), b.Section("last").Set("o", "new"))
}

// commit does all of it as a transaction does: the record is safe before the
// first file is replaced, and an error is rolled back.
func commit(d *Dir, record *[]byte) error {
	c := d.Begin()
	err := func() error {
		packages := map[string]*Package{}
		for _, name := range []string{"a", "b", "c", "d"} {
			p, err := c.Package(t0, name)
			if err != nil {
				return err
			}
			packages[name] = p
		}
		if err := changeAll(packages); err != nil {
			return err
		}
		if err := c.Prepare(); err != nil {
			return err
		}
		*record = c.Undo()
		return c.Commit()
	}()
	if err != nil {
		err = errors.Join(err, c.Rollback(t0))
	}
	return err
}

// meaning is what all packages say, by name; the name that a section got stays.
func meaning(t testing.TB, fsys *storetest.FS) string {
	t.Helper()
	d := &Dir{Config: "/c", FS: memFS{fsys}, Create: true}
	var all strings.Builder
	for _, name := range []string{"a", "b", "c", "d"} {
		p, err := d.Read(name)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		text := string(p.Export(true))
		all.WriteString(strings.Replace(text, "config y 'named'", "config y", 1))
	}
	return all.String()
}

func wanted(t testing.TB) (old, now string) {
	fsys := storetest.New()
	setup(t, fsys)
	old = meaning(t, fsys)
	var record []byte
	if err := commit(&Dir{Config: "/c", FS: memFS{fsys}, Create: true}, &record); err != nil {
		t.Fatal(err)
	}
	return old, meaning(t, fsys)
}

// Whatever call is the last one before a crash, or fails: with the record the
// files say what they said before; and the next change leaves nothing behind.
func TestCrashOfAChange(t *testing.T) {
	old, now := wanted(t)
	var record []byte
	storetest.Matrix{
		Setup: setup,
		Act: func(fsys *storetest.FS) error {
			record = nil
			return commit(&Dir{Config: "/c", FS: memFS{fsys}, Create: true}, &record)
		},
		Check: func(t testing.TB, fsys *storetest.FS, done bool) {
			d := &Dir{Config: "/c", FS: memFS{fsys}, Create: true}
			if got := meaning(t, fsys); done && got != now {
				t.Errorf("%s\nwant\n%s", got, now)
			}
			for range 2 { // once more does no more
				if _, err := d.Undo(t.Context(), record); err != nil {
					t.Fatalf("undo: %v", err)
				}
				if got := meaning(t, fsys); got != old {
					t.Errorf("%s\nwant\n%s", got, old)
				}
			}
			for name := range before {
				if err := change(t.Context(), d, name, func(p *Package) error { return second(p.Add("x", "after")) }); err != nil {
					t.Fatal(err)
				}
			}
			for name := range fsys.Files("/c") {
				if strings.HasPrefix(name, ".") && !strings.HasPrefix(name, ".d.") {
					t.Errorf("%s is left over", name)
				}
			}
		},
	}.Run(t)
}

// The same for taking it back.
func TestCrashOfAnUndo(t *testing.T) {
	old, _ := wanted(t)
	var record []byte
	storetest.Matrix{
		Setup: func(t testing.TB, fsys *storetest.FS) {
			setup(t, fsys)
			if err := commit(&Dir{Config: "/c", FS: memFS{fsys}, Create: true}, &record); err != nil {
				t.Fatal(err)
			}
		},
		Act: func(fsys *storetest.FS) error {
			_, err := (&Dir{Config: "/c", FS: memFS{fsys}, Create: true}).Undo(t0, record)
			return err
		},
		Check: func(t testing.TB, fsys *storetest.FS, done bool) {
			if !done {
				if _, err := (&Dir{Config: "/c", FS: memFS{fsys}, Create: true}).Undo(t.Context(), record); err != nil {
					t.Fatal(err)
				}
			}
			if got := meaning(t, fsys); got != old {
				t.Errorf("%s\nwant\n%s", got, old)
			}
		},
	}.Run(t)
}

// What somebody else has changed since stays.
func TestUndoLeavesOthersAlone(t *testing.T) {
	fsys := storetest.New()
	setup(t, fsys)
	d := &Dir{Config: "/c", FS: memFS{fsys}, Create: true}
	var record []byte
	if err := commit(d, &record); err != nil {
		t.Fatal(err)
	}
	err := change(t.Context(), d, "a", func(p *Package) error {
		return errors.Join(p.Section("one").Set("o", "theirs"), p.Section("added").Set("more", "theirs"))
	})
	if err == nil {
		err = change(t.Context(), d, "b", func(p *Package) error { return second(p.Add("other", "gone")) })
	}
	if err != nil {
		t.Fatal(err)
	}
	changed, err := d.Undo(t.Context(), record)
	if err != nil || strings.Join(changed, " ") != "a b d" {
		t.Errorf("%v %v", changed, err)
	}
	a, _ := d.Read("a")
	b, _ := d.Read("b")
	if one := a.Section("one"); one.Get("o") != "theirs" || one.Get("l") != "p q" || one.Get("n") != "" || a.Section("added").Get("o") != "1" {
		t.Errorf("%s", a.Export(false))
	}
	if b.Section("gone").Type != "other" || b.Section("last").Get("o") != "" {
		t.Errorf("%s", b.Export(false))
	}
	for _, bad := range []string{"x", "option \"a\"\n", "package\n", "package \"a\"\noption \"one\" \"o\" - x\n", "package \"a\"\nremoved \"x\"\n", "package \"../a\"\n"} {
		if _, err := d.Undo(t.Context(), []byte(bad)); err == nil {
			t.Errorf("%q is a record", bad)
		}
	}
}

// A rollback of what was committed restores the bytes, and where somebody was
// quicker only the values.
func TestRollbackAfterCommit(t *testing.T) {
	for _, busy := range []bool{false, true} {
		fsys := storetest.New()
		setup(t, fsys)
		d := &Dir{Config: "/c", FS: memFS{fsys}, Create: true}
		c := d.Begin()
		p, err := c.Package(t.Context(), "a")
		if err == nil {
			err = errors.Join(p.Section("one").Set("o", "2"), c.Prepare(), c.Commit())
		}
		if err == nil && busy {
			err = change(t.Context(), d, "a", func(p *Package) error { return p.Section("one").Set("theirs", "1") })
		}
		if err = errors.Join(err, c.Rollback(t.Context()), c.Rollback(t.Context())); err != nil {
			t.Fatal(err)
		}
		want := before["a"]
		if busy {
			want = strings.Replace(want, "\tlist l 'q'\n", "\tlist l 'q'\n\toption theirs '1'\n", 1)
		}
		if got := fsys.Files("/c")["a"]; got != want {
			t.Errorf("%s\nwant\n%s", got, want)
		}
	}
}

// What can refuse refuses in Prepare, and the files are as before.
func TestPrepareRefuses(t *testing.T) {
	for _, c := range []struct {
		name string
		set  func(*storetest.FS)
		want error
	}{
		{"full", func(f *storetest.FS) { f.SetFull(true) }, syscall.ENOSPC},
		{"read-only", func(f *storetest.FS) { f.SetReadOnly(true) }, syscall.EROFS},
	} {
		fsys := storetest.New()
		setup(t, fsys)
		c.set(fsys)
		d := &Dir{Config: "/c", FS: memFS{fsys}}
		err := change(t.Context(), d, "a", func(p *Package) error { return p.Section("one").Set("o", "2") })
		if !errors.Is(err, c.want) || !strings.Contains(err.Error(), "/c/a: ") {
			t.Errorf("%s: %v", c.name, err)
		}
		// Reading and asking for what is there go on.
		if err := change(t.Context(), d, "a", func(p *Package) error { return p.Section("one").Set("o", "1") }); err != nil {
			t.Errorf("%s: %v", c.name, err)
		}
		for name, text := range fsys.Files("/c") {
			if before[path.Base(name)] != text {
				t.Errorf("%s: %s became %q", c.name, name, text)
			}
		}
	}
	if _, err := (&Dir{Config: "/none"}).Begin().Package(t0, "a"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("%v", err)
	}
}
