package datamodel

// Tables that the agent keeps by itself, as a text file that one can cat:
//
//	row 5f3a91c2
//	  Enable true
//	  Name "my row"

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"sync"
)

// A Kept is a table of rows that live in a Backing: the parameters that are
// ReadWrite, by name. Its methods are made for a Source; wrap Rows to add what
// comes from the system. Tables below others work, too: their rows carry the
// keys of their parents.
type Kept[T any] struct {
	Default *T                       // the row that New makes, of which each is a copy; nil: the zero row
	Init    func(parent []Key, v *T) // optional: what else New puts into it
	Max     int                      // rows; New and Stage return ErrResources beyond; 0: 1024
	kept
}

// kept is a Kept but for the type of its rows. They are never changed: who asks
// gets copies.
type kept struct {
	how     *Kept[row] // the Kept that it is part of
	typ     reflect.Type
	name    string
	params  []Param[row]
	backing Backing

	mu     sync.RWMutex
	loaded bool
	rows   []keptRow
}

type keptRow struct {
	at  []Key
	row *row
}

// all returns the rows, reading them on first use.
func (k *kept) all() ([]keptRow, error) {
	k.mu.RLock()
	rows, loaded := k.rows, k.loaded
	k.mu.RUnlock()
	if loaded || k.backing == nil {
		return rows, nil
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.loaded {
		return k.rows, nil
	}
	text, err := k.backing.Load()
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, &Unavailable{k.name, err}
	}
	k.rows, k.loaded = k.parse(text), true
	return k.rows, nil
}

func (k *kept) below(parent []Key) iter.Seq2[Row[row], error] {
	return func(yield func(Row[row], error) bool) {
		rows, err := k.all()
		if err != nil {
			yield(Row[row]{}, err)
			return
		}
		for _, r := range rows {
			last := len(r.at) - 1
			if slices.Equal(r.at[:last], parent) && !yield(Row[row]{r.at[last], copyRow(k.typ, r.row)}, nil) {
				return
			}
		}
	}
}

// Keys is Source.Keys.
func (k *kept) Keys(_ context.Context, parent []Key) iter.Seq2[Key, error] {
	return func(yield func(Key, error) bool) {
		for r, err := range k.below(parent) {
			if !yield(r.Key, err) {
				return
			}
		}
	}
}

func (k *kept) load(at []Key) (*row, error) {
	rows, err := k.all()
	if err != nil {
		return nil, err
	}
	i := find(rows, at)
	if i < 0 {
		return nil, ErrGone
	}
	return copyRow(k.typ, rows[i].row), nil
}

func find(rows []keptRow, at []Key) int {
	return slices.IndexFunc(rows, func(r keptRow) bool { return slices.Equal(r.at, at) })
}

// blank returns a copy of Default.
func (k *kept) blank() *row {
	if k.how.Default == nil {
		return newRow(k.typ)
	}
	return copyRow(k.typ, k.how.Default)
}

func (k *kept) fresh(parent []Key) (Key, *row, error) {
	rows, err := k.all()
	if err != nil {
		return "", nil, err
	}
	if err := k.room(rows); err != nil {
		return "", nil, err
	}
	r := k.blank()
	if k.how.Init != nil {
		k.how.Init(parent, r)
	}
	return fmt.Sprintf("%08x", rand.Uint32()), r, nil
}

// room returns ErrResources when there is none for another row.
func (k *kept) room(rows []keptRow) error {
	most := k.how.Max
	if most == 0 {
		most = 1024
	}
	if len(rows) >= most {
		return fmt.Errorf("%w: %s holds %d rows", ErrResources, k.name, len(rows))
	}
	return nil
}

func (k *kept) stage(tx *Tx, at []Key, next *row) error {
	b, err := Enlist(tx, k, func() (*keptBatch, error) {
		rows, err := k.all()
		return &keptBatch{k: k, was: rows, rows: slices.Clone(rows), by: map[string]*edit{}}, err
	})
	if err != nil {
		return err
	}
	if tx.staging != nil {
		b.by[rowID("", at)] = tx.staging
	}
	i := find(b.rows, at)
	if next == nil {
		if i >= 0 {
			b.rows = slices.Delete(b.rows, i, i+1)
		}
		return nil
	}
	next = copyRow(k.typ, next)
	if i >= 0 {
		b.rows[i].row = next
		return nil
	}
	if err := k.room(b.rows); err != nil {
		return err // New does not see the others of the same transaction
	}
	b.rows = append(b.rows, keptRow{slices.Clone(at), next})
	return nil
}

// Recover is the function for Tree.Recover, under the name of the table.
func (k *kept) Recover(_ context.Context, data []byte) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	err := k.save(data)
	k.rows, k.loaded = k.parse(data), true // as in Rollback
	return err
}

func (k *kept) save(text []byte) error {
	if k.backing == nil {
		return nil
	}
	if err := k.backing.Save(text); err != nil {
		return fmt.Errorf("%s: %w", k.name, err)
	}
	return nil
}

// A keptBatch is what one transaction does to a Kept: its commit is one atomic
// replacement.
type keptBatch struct {
	k         *kept
	was, rows []keptRow
	by        map[string]*edit // who asked for a row, by its keys
	tried     bool
}

func (b *keptBatch) Prepare(context.Context) error { return nil }

func (b *keptBatch) Commit(context.Context) (bool, error) {
	b.tried = true // a Save that fails may have come half way
	err := b.k.save(b.k.text(b.rows))
	if err == nil {
		b.k.use(b.rows)
	}
	return false, err
}

// Rollback puts the old rows back, in memory in any case: what was refused is
// not read, though the disk may have it until the journal is undone.
func (b *keptBatch) Rollback(context.Context) error {
	if !b.tried {
		return nil
	}
	err := b.k.save(b.k.text(b.was))
	b.k.use(b.was)
	return err
}

func (k *kept) use(rows []keptRow) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.rows, k.loaded = rows, true
}

// Undo makes the batch Durable, and Atomic spares it the journal when it is
// alone.
func (b *keptBatch) Undo() (string, []byte) { return b.k.name, b.k.text(b.was) }

// Atomic says that the commit is one replacement of one file.
func (b *keptBatch) Atomic() bool { return true }

// Uplink says that a file of ours changes nothing of the system by itself.
func (b *keptBatch) Uplink() bool { return false }

func (k *kept) text(rows []keptRow) []byte {
	var b []byte
	for _, r := range rows {
		b = append(b, "row"...)
		for _, key := range r.at {
			b = appendWord(append(b, ' '), key)
		}
		b = append(b, '\n')
		for i := range k.params {
			p := &k.params[i]
			f := p.At(r.row)
			if _, alias := f.(*Alias); alias || p.Access != ReadWrite {
				continue
			}
			b = append(append(append(b, "  "...), p.Name...), ' ')
			b = append(appendWord(b, fieldText(f, p.Check)), '\n')
		}
	}
	return b
}

// parse reads what text wrote. Names that are no longer declared and values
// that are out of their limits are left out; so is a row whose line is
// damaged, with its values.
func (k *kept) parse(text []byte) []keptRow {
	var rows []keptRow
	good := false
	for line := range bytes.Lines(text) {
		s := strings.TrimRight(string(line), "\r\n")
		w, err := words(s)
		if !strings.HasPrefix(s, " ") {
			if good = err == nil && len(w) > 1 && w[0] == "row"; good {
				rows = append(rows, keptRow{w[1:], k.blank()})
			}
			continue
		}
		if !good || err != nil || len(w) != 2 {
			continue
		}
		row := rows[len(rows)-1].row
		_ = fillRow(k.typ, k.params, row, func(name string) (string, bool) { return w[1], name == w[0] }) // left out, as said
	}
	return rows
}
