package datamodel

import (
	"context"
	"iter"
)

// A Participant is a backend that takes part in a transaction. What can refuse
// refuses in Prepare, which changes nothing. Rollback is legal after Prepare
// and after a failed or a successful Commit.
type Participant interface {
	Prepare(ctx context.Context) error
	Commit(ctx context.Context) (deferred bool, err error)
	Rollback(ctx context.Context) error
}

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

// An Assignment is one parameter to be set. Type is the xsi:type as sent, or
// "" when nobody said.
type Assignment struct{ Path, Value, Type string }

// Added says which instance Add made.
type Added struct {
	Number uint32
	Path   string // numbered, with the last dot
}

// An Action is what is left to do after the session: reload a service.
type Action struct {
	Name string
	Run  func(context.Context) error
}

// A Result is what Commit leaves behind.
type Result struct {
	Deferred bool     // committed, but not yet in effect (Status 1)
	After    []Action // one for each name, in the order in which they were asked for
}

// A Tx is a set of changes that take effect together or not at all. It belongs
// to one goroutine.
type Tx struct {
	AutoCreate bool // Set makes the rows of unknown aliases
	Lenient    bool // Set overlooks a wrong xsi:type when the value can be read
}

// Begin starts a transaction. There is one at a time: it waits, and returns
// ErrBusy inside a callback of the one under way. End it by Commit or Abort.
func (t *Tree) Begin(ctx context.Context) (*Tx, error) { return &Tx{}, nil }

// Set assigns parameters in the transaction. It goes through all of them and
// returns every error, as Errors.
func (tx *Tx) Set(ctx context.Context, as ...Assignment) error { return errSoon }

// Add makes a row in the table at path ("Device.IP.Interface.", or
// "Device.IP.Interface.[wan]." to give it an alias).
func (tx *Tx) Add(ctx context.Context, table string) (Added, error) { return Added{}, errSoon }

// Delete deletes the instance at path, and what is below it.
func (tx *Tx) Delete(ctx context.Context, path string) error { return errSoon }

// Reader reads the tree as it would be after Commit.
func (tx *Tx) Reader(o ReadOptions) *Reader { return &Reader{} }

// Values is Reader(ReadOptions{}).Values.
func (tx *Tx) Values(ctx context.Context, path string) iter.Seq2[Item, error] {
	return tx.Reader(ReadOptions{}).Values(ctx, path)
}

// After asks for f once the session is over; the last f of a name wins.
func (tx *Tx) After(name string, f func(context.Context) error) {}

// Rekey says, from a Stage, that the row at of table ("Device.X.{i}.") will be
// called new instead of old; it keeps its number, alias and children. at holds
// the keys of its parents.
func (tx *Tx) Rekey(table string, at []Key, old, new Key) {}

// Path returns, inside a Stage, the numbered path of a parameter of the row
// being staged, for a participant that wants to blame it with a ParamError.
func (tx *Tx) Path(name string) string { return name }

// DryRun checks, stages and prepares, then aborts.
func (tx *Tx) DryRun(ctx context.Context) error { return errSoon }

// Commit makes the changes, or none. It ends the transaction either way.
func (tx *Tx) Commit(ctx context.Context) (Result, error) { return Result{}, errSoon }

// Abort ends the transaction without a trace; after Commit it does nothing.
func (tx *Tx) Abort() {}

// Enlist returns the participant known by key, making it on first use.
func Enlist[P Participant](tx *Tx, key any, begin func() (P, error)) (P, error) { return begin() }

// Recover undoes the transaction that a crash left half done, if there is one.
// It is called once, at start, before anything is read.
func (t *Tree) Recover(ctx context.Context, undo map[string]func(ctx context.Context, data []byte) error) error {
	return nil
}

// A Kept is a table of rows that the agent keeps by itself, as text in a
// Backing: the writable parameters by name. Its methods are for a Source.
type Kept[T any] struct{ Default T }

// NewKept returns the table called name (in the journal) in backing.
func NewKept[T any](name string, params []Param[T], backing Backing) *Kept[T] { return &Kept[T]{} }

// Rows, Keys, Load, New and Stage are those of a Source.
func (k *Kept[T]) Rows(ctx context.Context, parent []Key) iter.Seq2[Row[T], error] { return nil }
func (k *Kept[T]) Keys(ctx context.Context, parent []Key) iter.Seq2[Key, error]    { return nil }
func (k *Kept[T]) Load(ctx context.Context, at []Key) (T, error)                   { return k.Default, nil }
func (k *Kept[T]) New(ctx context.Context, parent []Key) (Key, T, error)           { return "", k.Default, nil }
func (k *Kept[T]) Stage(ctx context.Context, tx *Tx, at []Key, c Change[T]) error  { return nil }

// Recover is the function for Tree.Recover, under the name of the table.
func (k *Kept[T]) Recover(ctx context.Context, data []byte) error { return nil }

// Fill parses texts into a row: for each parameter for which get has one. It
// returns the error of the first that does not parse or is out of its limits,
// as a FieldError, and leaves that field alone; the others are filled.
func Fill[T any](params []Param[T], row *T, get func(name string) (text string, ok bool)) error {
	return nil
}

// Text returns the canonical text of one parameter of a row.
func Text[T any](params []Param[T], row *T, name string) string { return "" }
