package datamodel

// The journal: how to undo the transaction under way, for the process that
// starts after a crash in the middle of it.

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"slices"
	"strconv"
	"strings"
)

// A Durable participant can be undone by another process: name and data go
// into the journal after everybody's Prepare and before the first Commit, and
// are handed to the function of that name by Recover.
//
// A Durable whose commit is one atomic replacement says so by a method
// Atomic() bool; alone in a transaction it needs no journal.
type Durable interface {
	Participant
	Undo() (name string, data []byte)
}

var errOwed = errors.New("an earlier change is half done and could not be undone yet")

type atomicDurable interface{ Atomic() bool }

// An uplinker says whether its change concerns the way out.
type uplinker interface{ Uplink() bool }

// announce tells Options.Committing what is about to be committed.
func (tx *Tx) announce() (settled func(committed bool, after []Action), err error) {
	if tx.t.o.Committing == nil {
		return func(bool, []Action) {}, nil
	}
	c := Commitment{After: slices.Clone(tx.after), Undo: tx.records(slices.Concat(tx.numbers, tx.buried))}
	for _, j := range tx.join {
		if _, ok := j.p.(Durable); ok {
			u, ok := j.p.(uplinker)
			c.Uplink = c.Uplink || !ok || u.Uplink()
		}
	}
	return tx.t.o.Committing(c)
}

// records renders how to undo what is about to be committed, as Recover and
// Undo read it. numbers is the engine's own part: rows that are deleted have
// their numbers until all is done, so the journal does without those.
func (tx *Tx) records(numbers []byte) (b []byte) {
	if len(numbers) > 0 {
		b = appendRecord(b, numbersName, numbers)
	}
	for _, j := range tx.join {
		if d, ok := j.p.(Durable); ok {
			name, data := d.Undo()
			b = appendRecord(b, name, data)
		}
	}
	return b
}

// appendRecord writes what parseRecord reads.
func appendRecord(b []byte, name string, data []byte) []byte {
	b = append(appendWord(b, name), ' ')
	return append(base64.StdEncoding.AppendEncode(b, data), "=\n"...)
}

// The record of the engine itself, for numbers, aliases and keys, and its lines.
const (
	numbersName = "instance-numbers"
	undoAlias   = "alias" // table, key, alias before, parent…
	undoRekey   = "rekey" // table, key now, key before, parent…
	undoDelete  = "row"   // table, key, number and alias, parent…
	undoTable   = "last"  // table below a row that was deleted, "", highest number given, parent…
)

func appendLine(b []byte, what, table, key, before string, parent []Key) []byte {
	b = append(b, what...)
	for _, w := range append([]string{table, key, before}, parent...) {
		b = appendWord(append(b, ' '), w)
	}
	return append(b, '\n')
}

// undoNumbers takes back what a record says, the last line first.
func (t *Tree) undoNumbers(_ context.Context, data []byte) error {
	for _, line := range slices.Backward(strings.Split(strings.TrimSuffix(string(data), "\n"), "\n")) {
		w, err := words(line)
		if err != nil || len(w) < 4 {
			return fmt.Errorf("%q: not understood", line)
		}
		table, key, before, parent := w[1], w[2], w[3], w[4:]
		if w[0] == undoRekey {
			t.numbers.rekey(table, parent, key, before, false)
			continue
		}
		t.numbers.mu.Lock()
		rows := t.numbers.tableLocked(table, parent, false)
		t.numbers.mu.Unlock()
		if w[0] == undoAlias {
			rows.setAlias(key, before)
			continue
		}
		digits, alias, _ := strings.Cut(before, " ")
		num, err := strconv.ParseUint(digits, 10, 32)
		if err != nil {
			return fmt.Errorf("%q: not understood", line)
		}
		rows.exhume(key, uint32(num), alias)
	}
	return t.Sync()
}

// journal writes how to undo what is about to be committed.
func (tx *Tx) journal() (written bool, err error) {
	if tx.t.o.Journal == nil {
		return false, nil
	}
	durable := func(j joined) bool { _, ok := j.p.(Durable); return ok }
	if tx.t.owed && slices.ContainsFunc(tx.join, durable) {
		return false, errOwed // the undo would take this with it, one day
	}
	if len(tx.join) == 0 {
		return false, nil // the file of numbers is one atomic replacement, too
	}
	if len(tx.join) == 1 && len(tx.numbers) == 0 {
		if a, ok := tx.join[0].p.(atomicDurable); ok && a.Atomic() {
			return false, nil
		}
	}
	b := tx.records(tx.numbers)
	if len(b) == 0 {
		return false, nil
	}
	if err := tx.t.o.Journal.Save(b); err != nil {
		return false, fmt.Errorf("journal: %w", err)
	}
	return true, nil
}

// clearJournal says that there is nothing to undo. Where the Backing can take
// its file away, that needs no room: on a full disk an empty journal has none,
// and what is done would be undone at the next start.
func (t *Tree) clearJournal() error {
	clear := func() error { return t.o.Journal.Save(nil) }
	if b, ok := t.o.Journal.(interface{ Remove() error }); ok {
		clear = b.Remove
	}
	if err := clear(); err != nil {
		return fmt.Errorf("journal: %w", err)
	}
	return nil
}

// Recover undoes the transaction that a crash left half done, if there is one,
// the last participant first. It is called once, at start, before anything is
// read. A record that nobody in undo knows is logged and dropped.
//
// A journal that cannot be read, or an undo that fails (the disk has gone
// read-only), is logged and owed, for a
// device that does not start at all is out of everybody's reach: the journal
// stays, each transaction tries again before it begins, and one that would
// change what can be undone is refused until then.
func (t *Tree) Recover(ctx context.Context, undo map[string]func(ctx context.Context, data []byte) error) {
	t.write <- struct{}{}
	defer func() { <-t.write }()
	t.undo = undo
	if t.o.Journal != nil {
		t.undoJournal(ctx)
	}
}

// undoOwed tries again what could not be undone. Its caller holds t.write.
func (t *Tree) undoOwed(ctx context.Context) {
	if !t.owed || t.undo == nil {
		return
	}
	t.undoJournal(ctx)
}

func (t *Tree) undoJournal(ctx context.Context) {
	t.owed = false
	text, err := t.o.Journal.Load()
	if errors.Is(err, fs.ErrNotExist) || err == nil && len(text) == 0 {
		return
	}
	if err != nil {
		t.o.Log.Error("the journal cannot be read", "err", err)
		t.owed = true
		return
	}
	t.o.Log.Warn("undoing what was left half done")
	if err := t.undoRecords(ctx, text); err != nil {
		t.o.Log.Error("what was left half done cannot be undone", "err", err)
		t.owed = true
		return
	}
	if err := t.clearJournal(); err != nil {
		t.o.Log.Error("the journal cannot be cleared", "err", err)
		t.owed = true
	}
}

// undoRecords undoes what records has rendered: the numbers first, so that no
// row comes back before it has its own, and then the last first. What nobody can
// read or undo is logged and left out.
func (t *Tree) undoRecords(ctx context.Context, text []byte) error {
	lines := strings.Split(strings.TrimSuffix(string(text), "\n"), "\n")
	if strings.HasPrefix(lines[0], numbersName+" ") {
		lines = append(lines[1:], lines[0])
	}
	var errs []error
	for _, line := range slices.Backward(lines) {
		name, data, err := parseRecord(line)
		f := t.undo[name]
		if name == numbersName {
			f = t.undoNumbers
		}
		switch {
		case err != nil:
			t.o.Log.Error("there is a record of what to undo that cannot be read", "err", err)
		case f == nil:
			t.o.Log.Error("there is a record that nobody can undo", "name", name)
		default:
			if err := f(ctx, data); err != nil {
				errs = append(errs, fmt.Errorf("%s: %w", name, err))
			}
		}
	}
	return errors.Join(errs...)
}

// Undo takes back transactions that have been committed, by the Undo of their
// [Commitment] and the functions that Recover was given: the newest first, for
// one that came later may stand on it. No transaction is under way while it asks
// for the next one; after one that failed it asks for no more. A row that comes
// back has its number and its alias again, also where somebody reads it before
// we are done.
func (t *Tree) Undo(ctx context.Context, commitments iter.Seq[[]byte]) error {
	if ctx.Value(txKey{}) == t {
		return ErrBusy
	}
	select {
	case t.write <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	}
	defer func() { <-t.write }()
	ctx = context.WithValue(ctx, txKey{}, t)
	t.undoOwed(ctx) // it came later than all of these
	for records := range commitments {
		if len(records) == 0 {
			continue
		}
		if err := t.takeBack(ctx, records); err != nil {
			return err
		}
	}
	return nil
}

// takeBack undoes one transaction, all of it, over a power cut. A journal that
// cannot be written does not keep it from being tried: it may be what cuts the
// device off.
func (t *Tree) takeBack(ctx context.Context, records []byte) error {
	if t.o.Journal == nil || t.owed {
		return t.undoRecords(ctx, records)
	}
	if err := t.o.Journal.Save(records); err != nil {
		t.o.Log.Warn("what is taken back would stay half done after a power cut", "err", err)
	}
	if err := t.undoRecords(ctx, records); err != nil {
		t.owed = true
		return err
	}
	if err := t.clearJournal(); err != nil {
		t.o.Log.Error("the journal cannot be cleared", "err", err)
		t.owed = true
	}
	return nil
}

// parseRecord reads a name and its data. The data ends in "=" more than base64
// wants, so that none at all is still a word.
func parseRecord(line string) (name string, data []byte, err error) {
	w, err := words(line)
	if err != nil {
		return "", nil, err
	}
	if len(w) != 2 || !strings.HasSuffix(w[1], "=") {
		return "", nil, errors.New("not a name and its data")
	}
	data, err = base64.StdEncoding.DecodeString(strings.TrimSuffix(w[1], "="))
	return w[0], data, err
}
