// Package datamodel is the engine of the data model: a tree of declared
// objects whose rows are read from their sources when somebody asks, and
// written in transactions. It knows no parameter of TR-181 and nothing of the
// system.
//
// A declaration is a table of parameters over a row type, and a Source that
// reads and stages rows (object.go). A Tree joins declarations; the engine adds
// instance numbers, aliases, counts, wildcards and XSD types.
package datamodel

import (
	"context"
	"iter"
)

// A Key names a row in terms of the system: an interface name, a MAC address,
// a configuration section. It is stable; the engine maps it to an instance
// number. The row of an object that is no table has the key "".
type Key = string

// Access says who may write a parameter.
type Access uint8

// Access levels. A Command reads as false, 0 or "" whatever its field says; a
// write acts, and is never stored or compared.
const (
	ReadOnly Access = iota
	ReadWrite
	Command
)

// Notify says which notifications a parameter admits.
type Notify uint8

// Notification policies: Any; none worth having, so it may be refused
// (canDeny); always active (forceEnabled); active until somebody says
// otherwise (forceDefaultEnabled).
const (
	NotifyAny Notify = iota
	NotifyNever
	NotifyForced
	NotifyDefaultOn
)

// A Param declares one parameter of an object whose rows are T. Tables of them
// are kept as they are: declare each once, as a package variable.
type Param[T any] struct {
	// Name may reach into a fixed sub-object: "Stats.BytesSent" declares the
	// object "Stats." too.
	Name string
	// At returns a pointer into the row, which is getter, setter and type in
	// one: *string *bool *int32 *uint32 *int64 *uint64 *time.Time *[]byte
	// *[]string *Ref *[]Ref *Alias. It must work on the zero T.
	At     func(*T) any
	Access Access
	Check  Check
	Notify Notify
	Hidden bool     // reads as "" (passwords)
	Inform bool     // goes into every Inform
	Refs   []string // tables ("Device.IP.Interface.{i}.") that a Ref may point to; nil: any object
}

// A Row is one row as a Source reads it. The engine changes nothing of it, and
// is done with it when it asks for the next one, whose Value may be the same.
type Row[T any] struct {
	Key   Key
	Value *T
}

// A Source connects an object to what it is about. parent and at hold keys,
// outermost first, one for each {i} of the path; the engine gives each call
// slices of its own.
//
// Any error but ErrGone means that nothing is known of the row, as if it were
// Unavailable: it is left out of a walk with a warning, and is an error where
// it was named.
type Source[T any] struct {
	// Rows is one streamed pass over the rows. An object that is no table
	// yields one row with the key "", or none while it is absent.
	Rows func(ctx context.Context, parent []Key) iter.Seq2[Row[T], error]
	// Keys (optional) is the same pass without the values. Always is the
	// one for an object that is no table and never absent.
	Keys func(ctx context.Context, parent []Key) iter.Seq2[Key, error]
	// Load (optional) reads one row; ErrGone when there is none. With Extends
	// it may stand in for Rows.
	Load func(ctx context.Context, at []Key) (*T, error)
	// New returns a fresh key, different each time, and a row for AddObject to
	// make; it must have no effect. nil: rows cannot be added or deleted. On
	// an object that is no table it is what the object holds below a row that
	// was just added (else the zero T), and the key is not used.
	New func(ctx context.Context, parent []Key) (Key, *T, error)
	// Check looks at a changed row as a whole, before anything is staged.
	Check func(c Change[T]) error
	// Stage enlists participants for the change and tells them what to do; it
	// must have no effect itself. nil: nothing here can be written.
	Stage func(ctx context.Context, tx *Tx, at []Key, c Change[T]) error
	// Clone gives a copy of a row its own of what it points to. It is required of
	// a writable T that holds maps or pointers. Slices need it only when Check or Stage change
	// them in place: the engine replaces them whole.
	Clone func(*T)
	// Unique holds unique keys as parameter names. Rows whose Enable is false
	// do not count (TR-106's functional keys). An Alias is always unique.
	Unique [][]string
	// ReadOnly and Without name parameters that this platform cannot write, or
	// lacks; "Stats." names all of a fixed sub-object.
	ReadOnly, Without []string
	// Extends says that the rows are somebody else's: either the path is that
	// of another declaration, whose rows then get these parameters as well
	// (Load is given the key of the row; its ErrGone leaves them out); or it is
	// a table below one. Adding it without the other one is an error.
	Extends bool
	// Topics are the hints that may mean a change in these rows.
	Topics []Topic
	// Volatile says that rows come and go by themselves (hosts, leases, routes,
	// processes): their numbers live in RAM under a cap, not on disk.
	Volatile bool
	// Rename is the name of the count on the parent when it is not
	// <Table>NumberOfEntries; NoCount when there is none.
	Rename string
}

// NoCount as Source.Rename leaves out the count of a table.
const NoCount = "-"

// A Topic names a kind of hint that something may have changed. What the
// numbers mean is between the declarations and those who pass hints on.
type Topic uint16

// A Change is the change of one row. Old nil: created. New nil: deleted (its
// children were staged before it).
type Change[T any] struct {
	Old, New *T
	set      func(name string) bool
}

// Set reports whether somebody assigned the parameter, maybe the value that it
// had before.
func (c Change[T]) Set(name string) bool { return c.set != nil && c.set(name) }

// Always is Source.Keys for an object that is no table and never absent: its
// names can be listed without reading it.
func Always(context.Context, []Key) iter.Seq2[Key, error] {
	return func(yield func(Key, error) bool) { yield("", nil) }
}

// One makes the Rows of an object that is no table from a function that reads
// its row. ErrGone means that the object is absent.
func One[T any](load func(ctx context.Context, parent []Key) (T, error)) func(context.Context, []Key) iter.Seq2[Row[T], error] {
	return func(ctx context.Context, parent []Key) iter.Seq2[Row[T], error] {
		return func(yield func(Row[T], error) bool) {
			v, err := load(ctx, parent)
			yield(Row[T]{Value: &v}, err)
		}
	}
}

// Info is what is known of a parameter or an object without reading it.
type Info struct {
	Path     string // numbered, ending in a dot for an object; a template ("{i}") from Object.Params
	Object   bool
	Type     Type
	List     bool // a string that holds a list
	Access   Access
	Writable bool // a parameter can be set, a table added to, an instance deleted
	Notify   Notify
	Hidden   bool
	Inform   bool
	Check    Check
	Refs     []string
	Topics   []Topic // hints that may mean a change of it
}
