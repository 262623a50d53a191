package uciconf

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"gatehouse/internal/uci"
	"gatehouse/platform"
)

// Sections of the hardware that is there are rows before they are written, go
// into the file with the first change of it, and are nobody's change before.
func TestFoundHardware(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "wireless")
	found := []string{"radio_a", "radio_b"}
	c := New(Options{Dir: uci.Dir{Config: dir, Create: true}, Found: func(pkg string) (all []*uci.Section) {
		for _, name := range found {
			s := &uci.Section{Type: "wifi-device", Name: name}
			if err := s.Set("band", "2g"); err != nil {
				t.Error(err)
			}
			if pkg == "wireless" {
				all = append(all, s)
			}
		}
		return all
	}})
	rows := func() (keys []string) {
		for e, err := range c.Radios().Rows(t.Context()) {
			if err != nil || e.Value.Band != "2.4GHz" {
				t.Errorf("%+v (%v)", e, err)
			}
			keys = append(keys, e.Key)
		}
		return keys
	}
	batch := func(f func(platform.ConfigBatch)) (platform.ConfigBatch, error) {
		b, err := c.Begin(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		f(b)
		return b, b.Prepare(t.Context())
	}
	row := platform.Radio{}
	for e := range c.Radios().Rows(t.Context()) {
		row = e.Value
	}
	b, err := batch(func(b platform.ConfigBatch) { c.Radios().Put(b, "radio_b", row) })
	if err != nil || len(b.Writes()) != 0 || len(b.Reloads()) != 0 {
		t.Errorf("nothing changes: %v (%v)", b.Writes(), err)
	}
	if _, err := b.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(file); err == nil || len(rows()) != 2 {
		t.Errorf("a file, and the rows %v", rows())
	}
	b, err = batch(func(b platform.ConfigBatch) {
		c.SSIDs().Put(b, "wifi1", platform.SSID{Name: "Home", Radio: "radio_b"})
	})
	if err != nil {
		t.Fatal(err)
	}
	undo := b.Undo()
	if _, err := b.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(file)
	if err != nil || strings.Count(string(text), "wifi-device") != 2 {
		t.Errorf("%v\n%s", err, text)
	}
	found = []string{"radio_c"} // the others were unplugged, and one came
	if got := rows(); len(got) != 3 {
		t.Errorf("the rows %v", got)
	}
	found = []string{"radio_a"}
	for range 2 {
		if _, err := c.Undo(t.Context(), undo); err != nil {
			t.Fatal(err)
		}
		if got := rows(); len(got) != 1 {
			t.Errorf("undone, the rows are %v", got)
		}
	}
}

// An item that is refused is the one to blame.
func TestRefuse(t *testing.T) {
	c := New(Options{Dir: uci.Dir{Config: t.TempDir(), Create: true}})
	b, err := c.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	c.SSIDs().Put(b, "wifi1", platform.SSID{Name: "Home"})
	item := Refuse(b, platform.ErrUnsupported)
	var blame *platform.ItemError
	if err := b.Prepare(t.Context()); !errors.As(err, &blame) || blame.Item != item || !errors.Is(err, platform.ErrUnsupported) {
		t.Errorf("%v does not blame item %d", err, item)
	}
	if err := b.Rollback(t.Context()); err != nil {
		t.Error(err)
	}
}
