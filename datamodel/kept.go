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

	name    string
	params  []Param[T]
	backing Backing

	mu     sync.RWMutex
	loaded bool
	rows   []keptRow[T]
}

type keptRow[T any] struct {
	at    []Key
	value T
}

// NewKept returns the table called name (in the journal, in messages) that is
// kept in backing; nil keeps it in RAM.
func NewKept[T any](name string, params []Param[T], backing Backing) *Kept[T] {
	return &Kept[T]{name: name, params: params, backing: backing}
}

// all returns the rows, reading them on first use.
func (k *Kept[T]) all() ([]keptRow[T], error) {
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

// Rows is Source.Rows.
func (k *Kept[T]) Rows(_ context.Context, parent []Key) iter.Seq2[Row[T], error] {
	return func(yield func(Row[T], error) bool) {
		rows, err := k.all()
		if err != nil {
			yield(Row[T]{}, err)
			return
		}
		for _, r := range rows {
			last := len(r.at) - 1
			if slices.Equal(r.at[:last], parent) && !yield(Row[T]{r.at[last], r.value}, nil) {
				return
			}
		}
	}
}

// Keys is Source.Keys.
func (k *Kept[T]) Keys(ctx context.Context, parent []Key) iter.Seq2[Key, error] {
	return func(yield func(Key, error) bool) {
		for r, err := range k.Rows(ctx, parent) {
			if !yield(r.Key, err) {
				return
			}
		}
	}
}

// Load is Source.Load.
func (k *Kept[T]) Load(_ context.Context, at []Key) (T, error) {
	rows, err := k.all()
	if err == nil {
		if i := find(rows, at); i >= 0 {
			return rows[i].value, nil
		}
		err = ErrGone
	}
	var zero T
	return zero, err
}

func find[T any](rows []keptRow[T], at []Key) int {
	return slices.IndexFunc(rows, func(r keptRow[T]) bool { return slices.Equal(r.at, at) })
}

// New is Source.New: a random key, and Default.
func (k *Kept[T]) New(_ context.Context, parent []Key) (Key, T, error) {
	v := k.fresh()
	rows, err := k.all()
	if err != nil {
		return "", v, err
	}
	if err := k.room(rows); err != nil {
		return "", v, err
	}
	if k.Init != nil {
		k.Init(parent, &v)
	}
	return fmt.Sprintf("%08x", rand.Uint32()), v, nil
}

func (k *Kept[T]) fresh() (v T) {
	if k.Default != nil {
		v = *k.Default
	}
	return v
}

// room returns ErrResources when there is none for another row.
func (k *Kept[T]) room(rows []keptRow[T]) error {
	most := k.Max
	if most == 0 {
		most = 1024
	}
	if len(rows) >= most {
		return fmt.Errorf("%w: %s holds %d rows", ErrResources, k.name, len(rows))
	}
	return nil
}

// Stage is Source.Stage, of the same object or of one that shares its rows.
func (k *Kept[T]) Stage(_ context.Context, tx *Tx, at []Key, c Change[T]) error {
	b, err := Enlist(tx, k, func() (*keptBatch[T], error) {
		rows, err := k.all()
		return &keptBatch[T]{k: k, was: rows, rows: slices.Clone(rows), by: map[string]*edit{}}, err
	})
	if err != nil {
		return err
	}
	if tx.staging != nil {
		b.by[rowID("", at)] = tx.staging
	}
	i := find(b.rows, at)
	switch {
	case c.New == nil && i >= 0:
		b.rows = slices.Delete(b.rows, i, i+1)
	case c.New == nil:
	case i >= 0:
		b.rows[i].value = *c.New
	default:
		if err := k.room(b.rows); err != nil {
			return err // New does not see the others of the same transaction
		}
		b.rows = append(b.rows, keptRow[T]{slices.Clone(at), *c.New})
	}
	return nil
}

// Recover is the function for Tree.Recover, under the name of the table.
func (k *Kept[T]) Recover(_ context.Context, data []byte) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	err := k.save(data)
	k.rows, k.loaded = k.parse(data), true // as in Rollback
	return err
}

func (k *Kept[T]) save(text []byte) error {
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
type keptBatch[T any] struct {
	k         *Kept[T]
	was, rows []keptRow[T]
	by        map[string]*edit // who asked for a row, by its keys
	tried     bool
}

func (b *keptBatch[T]) Prepare(context.Context) error { return nil }

func (b *keptBatch[T]) Commit(context.Context) (bool, error) {
	b.tried = true // a Save that fails may have come half way
	err := b.k.save(b.k.text(b.rows))
	if err == nil {
		b.k.use(b.rows)
	}
	return false, err
}

// Rollback puts the old rows back, in memory in any case: what was refused is
// not read, though the disk may have it until the journal is undone.
func (b *keptBatch[T]) Rollback(context.Context) error {
	if !b.tried {
		return nil
	}
	err := b.k.save(b.k.text(b.was))
	b.k.use(b.was)
	return err
}

func (k *Kept[T]) use(rows []keptRow[T]) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.rows, k.loaded = rows, true
}

// Undo makes the batch Durable, and Atomic spares it the journal when it is
// alone.
func (b *keptBatch[T]) Undo() (string, []byte) { return b.k.name, b.k.text(b.was) }

// Atomic says that the commit is one replacement of one file.
func (b *keptBatch[T]) Atomic() bool { return true }

// Uplink says that a file of ours changes nothing of the system by itself.
func (b *keptBatch[T]) Uplink() bool { return false }

func (k *Kept[T]) text(rows []keptRow[T]) []byte {
	var b []byte
	for _, r := range rows {
		b = append(b, "row"...)
		for _, key := range r.at {
			b = appendWord(append(b, ' '), key)
		}
		b = append(b, '\n')
		for i := range k.params {
			p := &k.params[i]
			f := p.At(&r.value)
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
func (k *Kept[T]) parse(text []byte) []keptRow[T] {
	var rows []keptRow[T]
	good := false
	for line := range bytes.Lines(text) {
		s := strings.TrimRight(string(line), "\r\n")
		w, err := words(s)
		if !strings.HasPrefix(s, " ") {
			if good = err == nil && len(w) > 1 && w[0] == "row"; good {
				rows = append(rows, keptRow[T]{w[1:], k.fresh()})
			}
			continue
		}
		if !good || err != nil || len(w) != 2 {
			continue
		}
		row := &rows[len(rows)-1].value
		_ = Fill(k.params, row, func(name string) (string, bool) { return w[1], name == w[0] }) // left out, as said
	}
	return rows
}
