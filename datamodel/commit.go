package datamodel

// The commit rule: validate everything, stage, prepare everybody, journal,
// commit, and roll back in reverse if anybody refuses. It is compensation, not
// atomicity: another process may see the middle of it.

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// An Action is what is left to do after the session, and with what: "reload",
// "network".
type Action struct{ Name, Arg string }

// A Result is what Commit leaves behind.
type Result struct {
	Deferred bool     // committed, but not yet in effect (Status 1): so says a participant, or something is left to do
	After    []Action // each once, in the order in which they were asked for
}

// A Commitment is what a transaction is about to do: everybody is prepared, and
// nobody has committed.
type Commitment struct {
	After  []Action
	Undo   []byte // how to take it back later, for [Tree.Undo]; nil: nothing can be
	Uplink bool   // it may change the way out; so does what does not say otherwise
}

// DryRun checks, stages and prepares, then aborts. It tells what would have been
// written, and what would have been left to do.
func (tx *Tx) DryRun(ctx context.Context) (plan []Line, after []Action, err error) {
	if tx.done {
		return nil, nil, errors.New("datamodel: the transaction has ended")
	}
	defer tx.Abort()
	ctx = tx.callback(ctx)
	defer forgetAll(ctx)
	if err := tx.prepare(ctx); err != nil {
		return nil, nil, tx.undo(ctx, err)
	}
	plan = tx.plan()
	return plan, tx.after, tx.undo(ctx, nil)
}

// Commit makes the changes, or none, and ends the transaction either way. A
// refusal is Errors where it can be laid on parameters. New instance numbers
// are on disk when it returns.
func (tx *Tx) Commit(ctx context.Context) (Result, error) {
	if tx.done {
		return Result{}, errors.New("datamodel: the transaction has ended")
	}
	defer tx.Abort()
	ctx = tx.callback(ctx)
	defer forgetAll(ctx)
	if err := tx.prepare(ctx); err != nil {
		return Result{}, tx.undo(ctx, err)
	}
	deferred, err := tx.commit(ctx)
	if err != nil {
		return Result{}, tx.undo(ctx, err)
	}
	tx.join = nil // nothing is left to roll back
	return Result{Deferred: deferred || len(tx.after) > 0, After: tx.after}, nil
}

// undo rolls everybody back, and keeps err the error it was.
func (tx *Tx) undo(ctx context.Context, err error) error {
	if also := tx.rollback(ctx); also != nil {
		tx.t.o.Log.Error("rolling back failed", "err", also, "after", err)
	}
	return err
}

// rollback rolls everybody back, once, in reverse.
func (tx *Tx) rollback(ctx context.Context) error {
	ctx = context.WithoutCancel(ctx)
	join := tx.join
	tx.join = nil
	var errs []error
	for _, j := range slices.Backward(join) {
		errs = append(errs, j.p.Rollback(ctx))
	}
	return errors.Join(errs...)
}

// prepare goes as far as one can go without changing anything.
func (tx *Tx) prepare(ctx context.Context) error {
	errs := tx.stage(ctx, nil)
	if errs != nil {
		return errs
	}
	for _, j := range tx.join {
		if err := j.p.Prepare(ctx); err != nil {
			errs = append(errs, j.blame(err)...)
		}
	}
	if errs != nil {
		return errs
	}
	return nil
}

// stage validates and stages every row, and goes on after an error: who sent
// twenty values wants to hear of all that are bad at once. Rows in which an
// assignment has failed are not what the caller meant them to be: of these only
// what Stage says of a parameter that was assigned counts.
func (tx *Tx) stage(ctx context.Context, wrong map[*edit]bool) (errs Errors) {
	refused, v := map[*edit]bool{}, tx.view()
	for _, e := range tx.order {
		if wrong[e] {
			continue
		}
		found := tx.validate(ctx, e)
		refused[e] = found != nil
		errs = append(errs, found...)
	}
	for _, e := range slices.Clone(tx.order) {
		if !e.o.canStage || refused[e] {
			continue // canStage: only its alias has changed
		}
		tx.staging = e
		err := v.rows(e.o).stage(ctx, tx, e.at, e.old, e.new, e.set)
		tx.staging = nil
		for _, one := range flat(err) {
			var fe *FieldError
			if wrong[e] && (!errors.As(one, &fe) || !e.set(fe.Name)) {
				continue
			}
			errs = append(errs, e.blame(one)...)
		}
	}
	return errs
}

// commit is the part that changes things.
func (tx *Tx) commit(ctx context.Context) (deferred bool, err error) {
	// Numbers, keys and aliases are new in memory first, and on disk when the
	// journal knows how they were.
	undoNumbers := tx.renumber()
	settled, err := tx.announce()
	if err != nil {
		undoNumbers()
		return false, err
	}
	defer func() { settled(err == nil, tx.after) }()
	journalled, err := tx.journal()
	if err != nil {
		undoNumbers()
		return false, err
	}
	if err := tx.t.Sync(); err != nil {
		return false, tx.unjournal(ctx, undoNumbers, journalled, err)
	}
	for _, j := range tx.join {
		d, err := j.p.Commit(ctx)
		if err != nil {
			err = fmt.Errorf("commit: %w", err)
			return false, tx.unjournal(ctx, undoNumbers, journalled, err)
		}
		deferred = deferred || d
	}
	if journalled {
		if err := tx.t.clearJournal(); err != nil {
			// A crash now would undo what we are about to call done.
			return false, tx.unjournal(ctx, undoNumbers, journalled, err)
		}
	}
	tx.forgetDeleted()
	if err := tx.t.Sync(); err != nil {
		tx.t.o.Log.Error("instance numbers are not on disk", "err", err)
	}
	return deferred, nil
}

// unjournal rolls back at once, and clears the journal only when that went
// well: else the next transaction tries again, or the next start. Commit's own rollback then
// finds nothing left to do.
func (tx *Tx) unjournal(ctx context.Context, undoNumbers func(), journalled bool, err error) error {
	also := tx.rollback(ctx)
	undoNumbers()
	if also = errors.Join(also, tx.t.Sync()); also != nil {
		tx.t.o.Log.Error("rolling back failed", "err", also, "after", err)
		tx.t.owed = tx.t.owed || journalled
		return err
	}
	if journalled {
		if also := tx.t.clearJournal(); also != nil {
			tx.t.o.Log.Error("the journal cannot be cleared", "err", also)
			tx.t.owed = true
		}
	}
	return err
}

// renumber binds the numbers of new rows, before any source can list them and
// have them numbered anew; and writes aliases and new keys. It returns what
// takes that back here; the record for the journal is in tx.numbers. The
// numbers themselves stay burnt.
func (tx *Tx) renumber() (undo func()) {
	var undos []func()
	for _, r := range tx.rekeys {
		a := tx.t.numbers
		if _, ok := a.table(r.n, r.parent).peek(r.old); !ok {
			continue // a new row, which is bound to its last key below
		}
		a.rekey(r.n.path, r.parent, r.old, r.new, r.n.volatile)
		undos = append(undos, func() { a.rekey(r.n.path, r.parent, r.new, r.old, r.n.volatile) })
		if !r.n.volatile {
			tx.numbers = appendLine(tx.numbers, undoRekey, r.n.path, r.new, r.old, r.parent)
		}
	}
	for _, e := range tx.order {
		if !e.o.table || e.o != e.n.obj {
			continue
		}
		at := tx.final(e)
		last := len(at) - 1
		tab, key := tx.t.numbers.table(e.n, at[:last]), at[last]
		if e.new == nil {
			if !e.n.volatile {
				tx.buried = tab.bury(tx.buried, key, e.num)
			}
			continue
		}
		if e.old == nil {
			undos = append(undos, tab.replace(key, e.num))
		}
		if e.alias != nil {
			was := tab.aliasOf(key)
			if *e.alias == cpeAlias(tab.number(key, 0)) {
				tab.setAlias(key, "")
			} else {
				tab.setAlias(key, *e.alias)
			}
			undos = append(undos, func() { tab.setAlias(key, was) })
			if e.old != nil && !e.n.volatile { // a new row takes its alias with it
				tx.numbers = appendLine(tx.numbers, undoAlias, e.n.path, key, was, at[:last])
			}
		}
	}
	return func() {
		for _, f := range slices.Backward(undos) {
			f()
		}
	}
}

// final returns the keys of a row after every Rekey.
func (tx *Tx) final(e *edit) []Key {
	at := slices.Clone(e.at)
	for _, r := range tx.rekeys {
		depth := len(r.parent)
		if len(at) > depth && at[depth] == r.old && strings.HasPrefix(e.n.path, r.n.path) && slices.Equal(e.at[:depth], r.parent) {
			at[depth] = r.new
		}
	}
	return at
}

func (tx *Tx) forgetDeleted() {
	for _, e := range tx.order {
		if e.new == nil && e.o.table && e.o == e.n.obj {
			last := len(e.at) - 1
			tab := tx.t.numbers.table(e.n, e.at[:last])
			if num, ok := tab.peek(e.at[last]); ok && num == e.num {
				tab.drop(e.at[last])
			}
		}
	}
}
