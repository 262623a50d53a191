package storetest_test

import (
	"errors"
	"io/fs"
	"syscall"
	"testing"

	"gatehouse/internal/store/storetest"
)

// TestFile: the file in memory answers as a real one does.
func TestFile(t *testing.T) {
	dir := storetest.Open(t, storetest.New(), "/state")
	for name, f := range map[string]interface {
		Load() ([]byte, error)
		Save([]byte) error
	}{"of store": dir.File("x", 1), "in memory": &storetest.File{}} {
		t.Run(name, func(t *testing.T) {
			want := func(want string) {
				t.Helper()
				if got, err := f.Load(); err != nil || string(got) != want {
					t.Errorf("%q, %v; want %q", got, err, want)
				}
			}
			if _, err := f.Load(); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("there is no file: %v", err)
			}
			if err := f.Save(nil); err != nil {
				t.Error(err)
			}
			want("")
			text := []byte("one\n")
			if err := f.Save(text); err != nil {
				t.Error(err)
			}
			text[0] = 'x'
			got, _ := f.Load()
			got[0] = 'y'
			want("one\n")
		})
	}
}

// TestFileKnobs: what a test does to the file is no Save, and what is refused
// changes nothing.
func TestFileKnobs(t *testing.T) {
	var f storetest.File
	f.Write("there\n")
	f.Refuse(syscall.ENOSPC)
	if err := f.Save([]byte("new\n")); !errors.Is(err, syscall.ENOSPC) || f.Text() != "there\n" || f.Saves() != 0 {
		t.Errorf("%v, %q, %d saves", err, f.Text(), f.Saves())
	}
	f.Refuse(nil)
	if err := f.Save([]byte("new\n")); err != nil || f.Text() != "new\n" || f.Saves() != 1 {
		t.Errorf("%v, %q, %d saves", err, f.Text(), f.Saves())
	}
	f.Delete()
	if _, err := f.Load(); !errors.Is(err, fs.ErrNotExist) || f.Text() != "" || f.Saves() != 1 {
		t.Errorf("%v, %q, %d saves", err, f.Text(), f.Saves())
	}
}
