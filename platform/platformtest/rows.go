// Tables of configuration: what is put can be read again, what refuses changes
// nothing, what is done can be undone.

package platformtest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"gatehouse/platform"
)

// A tableSuite is what the suite does with one table.
type tableSuite[T any] struct {
	table platform.Table[T]
	whole func(*T)                // makes a fresh row a complete one
	edits map[string]func(*T)     // changes of a complete row, by the field
	texts map[string]func(*T) any // fields that hold free text: *string
}

// hostile are texts that break files, shells and lists. A table may refuse one;
// it may not keep another.
var hostile = []string{
	"it's", `"quoted"`, `back\slash`, "$(reboot)", "`reboot`", "; reboot #", "two  spaces ", "\ttab", "line\nconfig redirect\n", "nul\x00",
	"\x1b[2J", "\xff\xfe", "äöü", "日本", strings.Repeat("x", 256), "", "-", "*", "%s%n", "../../etc/passwd",
}

// runTable runs all of it; a platform without the table skips it.
func runTable[T any](t *testing.T, w world, s tableSuite[T]) {
	t.Helper()
	if w.Config == nil || s.table == nil {
		t.Skip("this platform has no such table")
	}
	t.Run("fields", func(t *testing.T) { s.fields(t, w) })
	t.Run("hostile texts", func(t *testing.T) { s.hostile(t, w) })
	t.Run("all or nothing", func(t *testing.T) { s.atomic(t, w) })
	t.Run("fixed rows", func(t *testing.T) { s.fixed(t, w) })
	t.Run("deleted", func(t *testing.T) { s.deleted(t, w) })
}

// write prepares and commits one batch.
func (w world) write(t *testing.T, edit func(platform.ConfigBatch)) error {
	t.Helper()
	b, err := w.Config.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	edit(b)
	if err := b.Prepare(t.Context()); err != nil {
		if err := b.Rollback(context.WithoutCancel(t.Context())); err != nil {
			t.Errorf("Rollback after a refusal: %v", err)
		}
		return err
	}
	_, err = b.Commit(t.Context())
	return err
}

// rows prints all rows, in order, so that they can be compared.
func (s tableSuite[T]) rows(t *testing.T) (keys, rows []string) {
	t.Helper()
	for _, e := range all(t, s.table.Rows(t.Context())) {
		if slices.Contains(keys, e.Key) || e.Key == "" {
			t.Errorf("the key %q twice, or none", e.Key)
		}
		keys = append(keys, e.Key)
		rows = append(rows, fmt.Sprintf("%s %+v", e.Key, e.Value))
	}
	return keys, rows
}

// row returns the row under key.
func (s tableSuite[T]) row(t *testing.T, key string) (row T, ok bool) {
	t.Helper()
	for _, e := range all(t, s.table.Rows(t.Context())) {
		if e.Key == key {
			return e.Value, true
		}
	}
	return row, false
}

// add makes a complete row.
func (s tableSuite[T]) add(t *testing.T, w world) (key string, row T) {
	t.Helper()
	key, row, err := s.table.Fresh(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	s.whole(&row)
	if err := w.write(t, func(b platform.ConfigBatch) { s.table.Put(b, key, row) }); err != nil {
		t.Fatalf("a new row: %v", err)
	}
	return key, row
}

func (s tableSuite[T]) fields(t *testing.T, w world) {
	before, _ := s.rows(t)
	first, _, err := s.table.Fresh(t.Context())
	second, _, err2 := s.table.Fresh(t.Context())
	if err != nil || err2 != nil || first == second || slices.Contains(before, first) {
		t.Errorf("fresh keys %q (%v), %q (%v) beside %q", first, err, second, err2, before)
	}
	if keys, _ := s.rows(t); !slices.Equal(keys, before) {
		t.Errorf("Fresh wrote: %q", keys)
	}
	key, want := s.add(t, w)
	same := func(what string) {
		t.Helper()
		got, ok := s.row(t, key)
		if g, w := fmt.Sprintf("%+v", got), fmt.Sprintf("%+v", want); !ok || g != w {
			t.Errorf("%s (there: %v): kept\n%s, want\n%s", what, ok, g, w)
			want = got
		}
	}
	same("a new row")
	for field, edit := range s.edits {
		edit(&want)
		if err := w.write(t, func(b platform.ConfigBatch) { s.table.Put(b, key, want) }); err != nil {
			t.Errorf("%s: %v", field, err)
			want, _ = s.row(t, key)
			continue
		}
		same(field)
	}
	if keys, _ := s.rows(t); !slices.Equal(keys, append(before, key)) {
		t.Errorf("the rows %q became %q", before, keys)
	}
}

func (s tableSuite[T]) hostile(t *testing.T, w world) {
	for field, at := range s.texts {
		key, row := s.add(t, w)
		for _, text := range hostile {
			keys, before := s.rows(t)
			*at(&row).(*string) = text
			err := w.write(t, func(b platform.ConfigBatch) { s.table.Put(b, key, row) })
			_, after := s.rows(t)
			at := slices.Index(keys, key)
			if err != nil {
				if !slices.Equal(before, after) {
					t.Errorf("%s = %q was refused (%v), and changed\n%q to\n%q", field, text, err, before, after)
				}
				continue
			}
			if len(after) != len(before) || after[at] != fmt.Sprintf("%s %+v", key, row) {
				t.Errorf("%s = %q: kept %q", field, text, after)
				return
			}
			before[at] = after[at]
			if !slices.Equal(before, after) {
				t.Errorf("%s = %q changed other rows:\n%q to\n%q", field, text, before, after)
			}
		}
	}
}

// atomic: a batch in which one thing cannot be done does nothing, and one that
// was committed can be taken back.
func (s tableSuite[T]) atomic(t *testing.T, w world) {
	key, row := s.add(t, w)
	_, before := s.rows(t)
	for _, edit := range s.edits {
		edit(&row)
	}
	bad := 0
	err := w.write(t, func(b platform.ConfigBatch) {
		s.table.Put(b, key, row)
		bad = s.table.Delete(b, "nosuchrow")
	})
	var item *platform.ItemError
	if !errors.As(err, &item) || item.Item != bad || !errors.Is(err, platform.ErrGone) {
		t.Errorf("deleting what is not there: %v", err)
	}
	if _, after := s.rows(t); !slices.Equal(before, after) {
		t.Errorf("half of a batch was done:\n%q to\n%q", before, after)
	}

	b, err := w.Config.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	s.table.Put(b, key, row)
	if err := b.Prepare(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, now := s.rows(t); !slices.Equal(before, now) {
		t.Error("Prepare wrote")
	}
	undo := b.Undo()
	if _, err := b.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, now := s.rows(t); slices.Equal(before, now) {
		t.Error("Commit wrote nothing")
	}
	for range 2 {
		if _, err := w.Config.Undo(t.Context(), undo); err != nil {
			t.Errorf("Undo: %v", err)
		}
		if _, now := s.rows(t); !slices.Equal(before, now) {
			t.Errorf("Undo left\n%q, want\n%q", now, before)
		}
	}
}

// fixed: such a row can be changed, and not be deleted.
func (s tableSuite[T]) fixed(t *testing.T, w world) {
	for _, e := range all(t, s.table.Rows(t.Context())) {
		if !e.Fixed {
			continue
		}
		item := 0
		err := w.write(t, func(b platform.ConfigBatch) { item = s.table.Delete(b, e.Key) })
		var refused *platform.ItemError
		if !errors.As(err, &refused) || refused.Item != item {
			t.Errorf("deleting the fixed row %q: %v", e.Key, err)
		}
		if err := w.write(t, func(b platform.ConfigBatch) { s.table.Put(b, e.Key, e.Value) }); err != nil {
			t.Errorf("writing the fixed row %q: %v", e.Key, err)
		}
	}
}

func (s tableSuite[T]) deleted(t *testing.T, w world) {
	before, _ := s.rows(t)
	key, row := s.add(t, w)
	drop := func(b platform.ConfigBatch) { s.table.Delete(b, key) }
	if err := w.write(t, drop); err != nil {
		t.Fatal(err)
	}
	if keys, _ := s.rows(t); !slices.Equal(keys, before) {
		t.Errorf("%q are left, want %q", keys, before)
	}
	if err := w.write(t, drop); !errors.Is(err, platform.ErrGone) {
		t.Errorf("deleting it again: %v", err)
	}
	// Somebody deletes a row that somebody else is about to change: it does not
	// come back, and nothing else is done either.
	key, row = s.add(t, w)
	change := func(b platform.ConfigBatch) { s.table.Put(b, key, row) }
	if err := w.write(t, change); err != nil {
		t.Errorf("changing it: %v", err)
	}
	late, err := w.Config.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, edit := range s.edits {
		edit(&row)
	}
	change(late)
	if err := w.write(t, drop); err != nil {
		t.Fatal(err)
	}
	if err := late.Prepare(t.Context()); !errors.Is(err, platform.ErrGone) {
		t.Errorf("changing what has gone: %v", err)
	}
	if err := late.Rollback(t.Context()); err != nil {
		t.Error(err)
	}
	if keys, _ := s.rows(t); !slices.Equal(keys, before) {
		t.Errorf("%q are left, want %q", keys, before)
	}
	// Made and deleted in one batch, it has never been.
	if key, row, err = s.table.Fresh(t.Context()); err != nil {
		t.Fatal(err)
	}
	s.whole(&row)
	if err := w.write(t, func(b platform.ConfigBatch) { s.table.Put(b, key, row); s.table.Delete(b, key) }); err != nil {
		t.Errorf("made and deleted: %v", err)
	}
	if keys, _ := s.rows(t); !slices.Equal(keys, before) {
		t.Errorf("%q are left, want %q", keys, before)
	}
}
