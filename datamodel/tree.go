package datamodel

// The tree: an immutable schema behind one atomic pointer.

import (
	"context"
	"errors"
	"iter"
	"log/slog"
)

// A Backing keeps one small text: *store.File is one. Load returns an error
// that is fs.ErrNotExist when there is none; Save replaces it as a whole.
type Backing interface {
	Load() ([]byte, error)
	Save([]byte) error
}

// Options are what a Tree needs. Without a Backing it lives in RAM only.
type Options struct {
	Numbers   Backing // instance numbers and aliases
	Journal   Backing // how to undo the transaction under way
	Log       *slog.Logger
	MemoBytes int // cap of what one request keeps by Once; 0: 256 KiB
}

// A Tree is the data model.
type Tree struct{ o Options }

// New returns an empty tree. It reads the numbers given so far.
func New(o Options) (*Tree, error) { return &Tree{o: o}, nil }

var errSoon = errors.New("the engine lands within the half hour")

// Add puts objects into the tree, all or none, and returns what takes them
// out again (once; more calls do nothing). A transaction that is under way
// keeps the schema it began with.
func (t *Tree) Add(objs ...Object) (remove func(), err error) { return func() {}, nil }

// ReadOptions say how a Reader reads.
type ReadOptions struct {
	Aliases     bool                         // names below what the caller wrote carry aliases (InstanceMode InstanceAlias)
	Secrets     bool                         // show Hidden parameters (for the process itself, never for a peer)
	Unavailable func(path string, err error) // called for what is left out; nil: logged
}

// A Reader reads the tree, or a transaction, with options.
type Reader struct{}

// Reader returns a reader of what is committed.
func (t *Tree) Reader(o ReadOptions) *Reader { return &Reader{} }

// An Item is a parameter and its value.
type Item struct {
	Name           string
	Value          string // canonical text
	Type           Type
	Access         Access
	Notify         Notify
	Hidden, Inform bool
}

// A Name is one line of a GetParameterNames answer.
type Name struct {
	Path     string // an object's ends in a dot
	Writable bool   // a parameter can be set, a table added to, an instance deleted
	Object   bool
	Type     Type // of a parameter
}

// Values yields the parameters at or below path, streaming.
func (r *Reader) Values(ctx context.Context, path string) iter.Seq2[Item, error] {
	return func(yield func(Item, error) bool) { yield(Item{}, errSoon) }
}

// Names yields what GetParameterNames asks for (cwmp.md §9); ErrArguments for
// a full name with nextLevel.
func (r *Reader) Names(ctx context.Context, path string, nextLevel bool) iter.Seq2[Name, error] {
	return func(yield func(Name, error) bool) { yield(Name{}, errSoon) }
}

// Get returns one parameter.
func (r *Reader) Get(ctx context.Context, path string) (Item, error) { return Item{}, errSoon }

// Inform yields the parameters that go into every Inform.
func (r *Reader) Inform(ctx context.Context) iter.Seq2[Item, error] {
	return func(yield func(Item, error) bool) { yield(Item{}, errSoon) }
}

// Values is Reader(ReadOptions{}).Values.
func (t *Tree) Values(ctx context.Context, path string) iter.Seq2[Item, error] {
	return t.Reader(ReadOptions{}).Values(ctx, path)
}

// Names is Reader(ReadOptions{}).Names.
func (t *Tree) Names(ctx context.Context, path string, nextLevel bool) iter.Seq2[Name, error] {
	return t.Reader(ReadOptions{}).Names(ctx, path, nextLevel)
}

// Inform is Reader(ReadOptions{}).Inform.
func (t *Tree) Inform(ctx context.Context) iter.Seq2[Item, error] {
	return t.Reader(ReadOptions{}).Inform(ctx)
}

// Describe says what is known of the parameter or object at path without
// reading it, and that the instances on the way are there.
func (t *Tree) Describe(ctx context.Context, path string) (Info, error) { return Info{}, errSoon }

// Objects yields the declarations in the tree.
func (t *Tree) Objects() iter.Seq[Object] { return func(func(Object) bool) {} }

// Concerns reports whether a hint about topic may mean a change of the
// parameter at path, or below the partial path.
func (t *Tree) Concerns(path string, topic Topic) bool { return false }

// Sync puts the instance numbers given since the last Sync on disk. Callers
// call it before they tell anybody the numbers.
func (t *Tree) Sync() error { return nil }

// WithMemo returns a context in which Once remembers, up to the tree's cap.
// Readers make one of their own for each call that has none.
func (t *Tree) WithMemo(ctx context.Context) context.Context { return ctx }

// WithMemo is Tree.WithMemo with the default cap.
func WithMemo(ctx context.Context) context.Context { return ctx }

// Once calls load once per key and request (WithMemo), and remembers what it
// returned if size says that it fits under the cap; larger values are returned
// to those who wait, and forgotten. An error is remembered, too.
func Once[V any](ctx context.Context, key any, size func(V) int, load func(context.Context) (V, error)) (V, error) {
	return load(ctx)
}
