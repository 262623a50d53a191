package store_test

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"gatehouse/internal/store"
	"gatehouse/internal/store/storetest"
)

func open(t testing.TB, fsys store.FS, path string, log *slog.Logger) *store.Dir {
	t.Helper()
	d, err := store.Open(path, store.Options{FS: fsys, Log: log, Limit: 1000})
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func load(t testing.TB, f *store.File) string {
	t.Helper()
	body, err := f.Load()
	if errors.Is(err, fs.ErrNotExist) {
		return "none"
	}
	if err != nil {
		t.Error(err)
	}
	return string(body)
}

// Every crash point of a first and of a second Save: the old content, or the
// new one, and the new one for certain once Save has returned.
func TestSaveCrash(t *testing.T) {
	for _, old := range []string{"none", "old\n"} {
		t.Run(strings.TrimSpace(old), func(t *testing.T) {
			storetest.Matrix{
				Setup: func(t testing.TB, fsys *storetest.FS) {
					if old == "none" {
						return
					}
					if err := storetest.Open(t, fsys, "/var/state").File("s", 1).Save([]byte(old)); err != nil {
						t.Fatal(err)
					}
				},
				Act: func(fsys *storetest.FS) error {
					d, err := store.Open("/var/state", store.Options{FS: fsys})
					if err != nil {
						return err
					}
					return d.File("s", 1).Save([]byte("new content\n"))
				},
				Check: func(t testing.TB, fsys *storetest.FS, done bool) {
					d := storetest.Open(t, fsys, "/var/state")
					got := load(t, d.File("s", 1))
					if got != "new content\n" && (done || got != old) {
						t.Errorf("got %q", got)
					}
					for name := range fsys.Files("/var/state") {
						if name != "s" {
							t.Errorf("%s is left over", name)
						}
					}
				},
			}.Run(t)
		})
	}
}

// A second process that saves what a killed one wrote must not promise it
// without having the folder on disk.
func TestSaveSameAfterKill(t *testing.T) {
	storetest.Matrix{
		Setup: func(t testing.TB, fsys *storetest.FS) {
			d := storetest.Open(t, fsys, "/s")
			fsys.Inject(len(fsys.Calls())+5, storetest.Fault{Err: syscall.EIO})
			if err := d.File("a", 1).Save([]byte("x")); !errors.Is(err, syscall.EIO) {
				t.Fatalf("the folder's sync did not fail: %v", err)
			}
		},
		Act: func(fsys *storetest.FS) error {
			d, err := store.Open("/s", store.Options{FS: fsys})
			if err != nil {
				return err
			}
			return d.File("a", 1).Save([]byte("x"))
		},
		Check: func(t testing.TB, fsys *storetest.FS, done bool) {
			d := storetest.Open(t, fsys, "/s")
			if got := load(t, d.File("a", 1)); done && got != "x" {
				t.Errorf("promised content is gone: %q", got)
			}
		},
	}.Run(t)
}

func TestSaveWritesOnlyDifferences(t *testing.T) {
	fsys := storetest.New()
	d := open(t, fsys, "/s", nil)
	f := d.File("a", 1)
	for _, body := range []string{"one", "one", "two", "two", "two"} {
		if err := f.Save([]byte(body)); err != nil {
			t.Fatal(err)
		}
	}
	if n, bytes := d.Writes(); n != 2 || bytes == 0 || f.Writes() != 2 {
		t.Errorf("%d writes of %d bytes, want 2", n, bytes)
	}
	calls := len(fsys.Calls())
	if err := f.Save([]byte("two")); err != nil || len(fsys.Calls()) != calls {
		t.Errorf("identical content touched the disk: %v %v", fsys.Calls()[calls:], err)
	}
	if d.File("a", 1) != f {
		t.Error("two Files of one name would not wait for each other")
	}
}

func TestSetAside(t *testing.T) {
	const ours = "gatehouse a 2 "
	for _, c := range []struct {
		name, text, want, aside, reason string
	}{
		{"newer version is kept", "gatehouse a 3 whatever it means\nfuture", "none", "a.v3", "newer"},
		{"empty file", "", "none", "a.damaged", "no header"},
		{"cut header", "gatehouse a", "none", "a.damaged", "no header"},
		{"endless first line", strings.Repeat("x", 900) + "\n", "none", "a.damaged", "no header"},
		{"another file's header", "gatehouse b 2\nx", "none", "a.damaged", "not a header"},
		{"no version", "gatehouse a x\nx", "none", "a.damaged", "no format version"},
		{"version zero", "gatehouse a 0\nx", "none", "a.damaged", "no format version"},
		{"flipped bit", ours + "00000000\nbody", "none", "a.damaged", "checksum"},
		{"too large", ours + "\n" + strings.Repeat("x", 1001), "none", "a.damaged", "larger than"},
		{"made by hand", ours + "\nbody", "body", "", ""},
		{"older version is turned", "gatehouse a 1\nbody", "BODY", "", ""},
		{"older version that cannot be turned", "gatehouse a 1\nbad", "none", "a.damaged", "cannot"},
	} {
		t.Run(c.name, func(t *testing.T) {
			fsys := storetest.New()
			fsys.Put("/s/a", c.text)
			var log bytes.Buffer
			d := open(t, fsys, "/s", slog.New(slog.NewTextHandler(&log, nil)))
			f := d.File("a", 2, func(b []byte) ([]byte, error) {
				if string(b) == "bad" {
					return nil, errors.New("cannot")
				}
				return bytes.ToUpper(b), nil
			})
			if got := load(t, f); got != c.want {
				t.Errorf("Load: %q, want %q", got, c.want)
			}
			if err := f.Save([]byte("fresh")); err != nil {
				t.Fatal(err)
			}
			if got := load(t, f); got != "fresh" {
				t.Errorf("after Save: %q", got)
			}
			files := fsys.Files("/s")
			if c.aside != "" && files[c.aside] != c.text {
				t.Errorf("not set aside as %s: %q", c.aside, files)
			}
			if c.aside == "" && len(files) != 1 {
				t.Errorf("more files than one: %q", files)
			}
			if !strings.Contains(log.String(), c.reason) || c.reason == "" && log.Len() > 0 {
				t.Errorf("log does not say %q: %s", c.reason, log.String())
			}
		})
	}
}

// Save meets a foreign file that nobody has loaded: it must not replace it
// either, and must fail if it cannot be moved.
func TestSaveNeverOverwritesForeign(t *testing.T) {
	fsys := storetest.New()
	fsys.Put("/s/a", "gatehouse a 9\nfuture")
	fsys.Put("/s/a.v9", "an earlier one")
	d := open(t, fsys, "/s", nil)
	fsys.SetReadOnly(true)
	if _, err := d.File("a", 1).Load(); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a foreign file on a read-only disk stops the agent: %v", err)
	}
	if err := d.File("a", 1).Save([]byte("x")); !errors.Is(err, syscall.EROFS) {
		t.Errorf("Save: %v", err)
	}
	fsys.SetReadOnly(false)
	if err := d.File("a", 1).Save([]byte("x")); err != nil {
		t.Fatal(err)
	}
	files := fsys.Files("/s")
	if files["a.v9.1"] != "gatehouse a 9\nfuture" || files["a.v9"] != "an earlier one" {
		t.Errorf("%q", files)
	}
}

func TestDamagedCopiesAreBounded(t *testing.T) {
	fsys := storetest.New()
	d := open(t, fsys, "/s", nil)
	for i := range 20 {
		fsys.Put("/s/a", fmt.Sprint("junk ", i))
		load(t, d.File("a", 1))
	}
	files := fsys.Files("/s")
	if len(files) != 4 || files["a.damaged"] != "junk 0" || files["a.damaged.3"] != "junk 19" {
		t.Errorf("%q", files)
	}
}

func TestSaveErrors(t *testing.T) {
	fsys := storetest.New()
	d := open(t, fsys, "/s", nil)
	f := d.File("a", 1)
	if err := f.Save([]byte("old")); err != nil {
		t.Fatal(err)
	}
	if err := f.Save(make([]byte, 1001)); !errors.Is(err, store.ErrTooLarge) {
		t.Errorf("too large: %v", err)
	}
	fsys.SetFull(true)
	if err := f.Save([]byte("new")); !errors.Is(err, syscall.ENOSPC) || !strings.Contains(err.Error(), "/s/a") {
		t.Errorf("full disk: %v", err)
	}
	fsys.SetFull(false)
	fsys.FailReads(syscall.EIO)
	if err := f.Save([]byte("new")); !errors.Is(err, syscall.EIO) {
		t.Errorf("unreadable: %v", err)
	}
	if _, err := f.Load(); !errors.Is(err, syscall.EIO) || errors.Is(err, fs.ErrNotExist) {
		t.Errorf("an unreadable file is not an absent one: %v", err)
	}
	fsys.FailReads(nil)
	if got := load(t, f); got != "old" {
		t.Errorf("%q", got)
	}
	if files := fsys.Files("/s"); len(files) != 1 {
		t.Errorf("a failed Save leaves %q", files)
	}
}

func TestRemoveAndClear(t *testing.T) {
	fsys := storetest.New()
	d := open(t, fsys, "/s", nil)
	for _, name := range []string{"a", "b", "keep"} {
		if err := d.File(name, 1).Save([]byte(name)); err != nil {
			t.Fatal(err)
		}
	}
	if err := d.File("a", 1).Remove(); err != nil {
		t.Fatal(err)
	}
	if err := d.File("a", 1).Remove(); err != nil {
		t.Errorf("removing twice: %v", err)
	}
	if err := d.Clear("keep"); err != nil {
		t.Fatal(err)
	}
	after := fsys.Restart(storetest.PowerCut).Files("/s")
	if len(after) != 1 || after["keep"] == "" {
		t.Errorf("after a power cut: %q", after)
	}
}

func TestRealDisk(t *testing.T) {
	path := filepath.Join(t.TempDir(), "etc", "gatehouse", "state")
	d := open(t, nil, path, nil)
	if err := os.WriteFile(filepath.Join(path, ".a.tmp"), []byte("left over"), 0o600); err != nil {
		t.Fatal(err)
	}
	unlock, err := d.Lock()
	if err != nil {
		t.Fatal(err)
	}
	second := open(t, nil, path, nil)
	if _, err := second.Lock(); !errors.Is(err, store.ErrLocked) || !strings.Contains(err.Error(), path) {
		t.Errorf("a second agent gets %v", err)
	}
	f := d.File("a", 1)
	if err := f.Save([]byte("one\n")); err != nil {
		t.Fatal(err)
	}
	if err := f.Save([]byte("two\n")); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(path, "a"))
	if err != nil || !strings.HasPrefix(string(text), "gatehouse a 1 ") || !strings.HasSuffix(string(text), "\ntwo\n") {
		t.Errorf("%q %v", text, err)
	}
	info, err := os.Stat(filepath.Join(path, "a"))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	if entries, _ := os.ReadDir(path); len(entries) != 1 {
		t.Errorf("%v", entries)
	}
	if err := unlock(); err != nil {
		t.Fatal(err)
	}
	unlock, err = second.Lock()
	if err != nil {
		t.Fatalf("the lock was not given back: %v", err)
	}
	if err := errors.Join(f.Remove(), unlock()); err != nil {
		t.Error(err)
	}
}

func TestOpenErrors(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{file, filepath.Join(file, "below")} {
		if _, err := store.Open(path, store.Options{}); err == nil || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: %v", path, err)
		}
	}
	defer func() {
		if recover() == nil {
			t.Error("a name with a slash is accepted")
		}
	}()
	open(t, nil, dir, nil).File("../a", 1)
}

func TestLines(t *testing.T) {
	records := [][]string{
		{"a", "b"}, {"", ""}, {"tab\t", "line\nfeed\r", `back\slash`, "bell\a\x00\x7f", "ünï"}, {"x"}, {"", "last"},
	}
	var body []byte
	for _, r := range records {
		body = store.AppendLine(body, r...)
	}
	var got [][]string
	for r, err := range store.Lines(append(body, "\n\n"...)) {
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, r)
	}
	if fmt.Sprintf("%q", got) != fmt.Sprintf("%q", records) {
		t.Errorf("%q", got)
	}
	n := 0
	for r, err := range store.Lines([]byte("ok\nbad\\\n\\q\n\\x1\n\\xzz\n\\x+1\nok")) {
		if (err == nil) != (r != nil && r[0] == "ok") {
			t.Errorf("%q %v", r, err)
		}
		if err != nil {
			n++
		}
	}
	if n != 5 {
		t.Errorf("%d errors", n)
	}
}

func FuzzLoad(f *testing.F) {
	f.Add([]byte("gatehouse a 1 00000000\n"))
	f.Add([]byte("gatehouse a 2\nx"))
	f.Fuzz(func(t *testing.T, text []byte) {
		fsys := storetest.New()
		fsys.Put("/s/a", string(text))
		d := open(t, fsys, "/s", nil)
		load(t, d.File("a", 1))
		if err := d.File("a", 1).Save(text[:min(len(text), 1000)]); err != nil {
			t.Fatal(err)
		}
		if got := load(t, d.File("a", 1)); got != string(text[:min(len(text), 1000)]) {
			t.Errorf("%q", got)
		}
	})
}

func FuzzLines(f *testing.F) {
	f.Add("a\tb", "c")
	f.Fuzz(func(t *testing.T, a, b string) {
		for r, err := range store.Lines(store.AppendLine(nil, "k", a, b)) {
			if err != nil || len(r) != 3 || r[1] != a || r[2] != b {
				t.Errorf("%q %v", r, err)
			}
		}
		for range store.Lines([]byte(a)) {
		}
	})
}

// What could not be read is not written over, even when the disk has recovered:
// who starts without it has less to put there.
func TestUnreadIsLeftAlone(t *testing.T) {
	fsys := storetest.New()
	d, err := store.Open("/s", store.Options{FS: fsys})
	if err != nil {
		t.Fatal(err)
	}
	if err := d.File("a", 1).Save([]byte("all\n")); err != nil {
		t.Fatal(err)
	}
	before := fsys.Files("/s")["a"]
	if d, err = store.Open("/s", store.Options{FS: fsys}); err != nil {
		t.Fatal(err)
	}
	f := d.File("a", 1)
	fsys.FailReads(syscall.EIO, "a")
	if _, err := f.Load(); !errors.Is(err, syscall.EIO) {
		t.Fatal(err)
	}
	fsys.FailReads(nil)
	if err := f.Save([]byte("less\n")); !errors.Is(err, syscall.EIO) || fsys.Files("/s")["a"] != before {
		t.Errorf("%v, holds %q", err, fsys.Files("/s")["a"])
	}
	if err := d.Unread(); !errors.Is(err, syscall.EIO) {
		t.Errorf("unread: %v", err)
	}
	if body, err := f.Load(); err != nil || string(body) != "all\n" {
		t.Errorf("%q %v", body, err)
	}
	if err := errors.Join(d.Unread(), f.Save([]byte("more\n"))); err != nil {
		t.Error(err)
	}
	// A factory reset leaves nothing to be kept.
	fsys.FailReads(syscall.EIO, "a")
	if _, err := f.Load(); !errors.Is(err, syscall.EIO) {
		t.Fatal(err)
	}
	fsys.FailReads(nil)
	if err := errors.Join(d.Clear(), d.Unread(), f.Save([]byte("new\n"))); err != nil {
		t.Errorf("after a factory reset: %v", err)
	}
}

// TestFolderIsOnDiskBeforeItsFiles: the folder could be made and not be synced.
// Whoever goes on with it, and saves, may believe in what was saved.
func TestFolderIsOnDiskBeforeItsFiles(t *testing.T) {
	fsys := storetest.New()
	fsys.Inject(1, storetest.Fault{Err: syscall.EIO}) // mkdir /s, syncdir /
	d, err := store.Open("/s", store.Options{FS: fsys})
	if !errors.Is(err, syscall.EIO) {
		t.Fatalf("%v after %q", err, fsys.Calls())
	}
	fsys.Inject(len(fsys.Calls())+4, storetest.Fault{Err: syscall.EIO}) // create, write, sync, rename, syncdir /
	f := d.File("a", 1)
	if err := f.Save([]byte("lost\n")); !errors.Is(err, syscall.EIO) {
		t.Fatalf("%v after %q", err, fsys.Calls())
	}
	if err := f.Save([]byte("kept\n")); err != nil {
		t.Fatal(err)
	}
	fsys = fsys.Restart(storetest.PowerCut)
	if got := load(t, open(t, fsys, "/s", nil).File("a", 1)); got != "kept\n" {
		t.Errorf("after a power cut: %q", got)
	}
}
