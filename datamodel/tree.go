package datamodel

// The tree: an immutable schema behind one atomic pointer, the instance
// numbers, and the lock of the one transaction.

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"weak"
)

// A Backing keeps one small text: *store.File is one. Load returns an error
// that is fs.ErrNotExist when there is none; Save replaces it as a whole.
type Backing interface {
	Load() ([]byte, error)
	Save([]byte) error
}

// Options are what a Tree needs. Without a Backing it lives in RAM only.
type Options struct {
	Numbers Backing // instance numbers and aliases
	Journal Backing // how to undo the transaction under way
	// Committing hears of each transaction before its first participant commits,
	// and refuses it by an error. What it returns is told once how that went, and
	// what is left to do, which Commit may have added to.
	Committing func(Commitment) (settled func(committed bool, after []Action), err error)
	Log        *slog.Logger
	MemoBytes  int      // cap of what one request keeps by Once; 0: 256 KiB
	Schemas    *Schemas // shared with other trees of the process; nil: this one has a schema of its own
}

// A Tree is the data model. All its methods may be called at the same time.
type Tree struct {
	o       Options
	schema  atomic.Pointer[node]
	adding  sync.Mutex
	numbers *numbers
	unread  error         // why the numbers given so far are not known
	write   chan struct{} // capacity 1: held for a whole transaction

	binding sync.Mutex // of env and bound
	env     any        // of the late objects
	bound   weak.Pointer[bindings]

	// Of the journal; they belong to who holds write.
	undo map[string]func(ctx context.Context, data []byte) error
	owed bool // it holds what could not be undone
}

// New returns an empty tree. It reads the numbers given so far; damaged lines are
// logged and left out. When they cannot be read at all the tree is returned with
// the error: it numbers its rows anew, and what needs a number on disk is refused.
func New(o Options) (*Tree, error) {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	t := &Tree{o: o, numbers: newNumbers(), write: make(chan struct{}, 1)}
	t.schema.Store(&node{name: "Device", path: Root})
	t.unread = t.loadNumbers()
	return t, t.unread
}

// Add puts objects into the tree, all or none, in any order, and returns what
// takes them out again (once; more calls do nothing). Walks and transactions
// that are under way keep the schema they began with.
func (t *Tree) Add(objs ...Object) (remove func(), err error) {
	t.adding.Lock()
	defer t.adding.Unlock()
	root := t.schema.Load()
	objs, late := t.unbind(objs)
	if late && t.o.Schemas != nil && root.obj == nil && root.kids == nil {
		root, objs, err = t.o.Schemas.graft(root, objs)
	} else {
		root, err = graft(root, objs)
	}
	if err != nil {
		return nil, err
	}
	t.schema.Store(root)
	return sync.OnceFunc(func() { t.remove(objs) }), nil
}

func (t *Tree) remove(objs []Object) {
	t.adding.Lock()
	defer t.adding.Unlock()
	root := t.schema.Load()
	for _, o := range objs {
		root = root.without(o.def)
	}
	t.schema.Store(root)
}

// Objects yields the declarations in the tree, parents before children.
func (t *Tree) Objects() iter.Seq[Object] {
	return func(yield func(Object) bool) { t.schema.Load().each(yield) }
}

func (n *node) each(yield func(Object) bool) bool {
	if !n.visible() {
		return true
	}
	ok := true
	n.objects(func(o *object) bool {
		ok = yield(Object{def: o})
		return ok
	})
	for _, k := range n.kids {
		ok = ok && k.each(yield)
	}
	return ok
}

// Concerns reports whether a hint about topic may mean a change of the
// parameter at path, or of anything below the partial path. Instances are not
// looked up.
func (t *Tree) Concerns(path string, topic Topic) bool {
	p, err := parsePath(path)
	if err != nil {
		return false
	}
	return t.schema.Load().concerns(p.segs, p.partial, topic)
}

func (n *node) concerns(want []seg, partial bool, topic Topic) bool {
	hit := false
	n.objects(func(o *object) bool {
		hit = o.wants(want, partial) && slices.Contains(o.topics, topic)
		return !hit
	})
	for _, k := range n.kids {
		switch {
		case hit || !k.visible():
		case len(want) == 0:
			hit = k.concerns(nil, partial, topic)
		case k.count != "" && !partial && k.count == want[0].rest:
			hit = slices.Contains(k.obj.topics, topic)
		case k.name == want[0].name && (partial || len(want) > 1):
			rest := want[1:]
			if k.table && len(rest) > 0 {
				rest = rest[1:]
			}
			hit = k.concerns(rest, partial, topic)
		}
	}
	return hit
}

// Describe says what is known of the parameter or object at path without
// reading it, and that the instances on the way are there. The path in the
// answer is numbered.
func (t *Tree) Describe(ctx context.Context, path string) (Info, error) {
	v := t.view(nil)
	p, err := parsePath(path)
	if err != nil {
		return Info{}, err
	}
	ctx = t.ensureMemo(ctx)
	s, err := v.locate(ctx, p, nil)
	if err != nil {
		return Info{}, blamePath(path, err)
	}
	if !s.n.table && s.n.obj != nil {
		if err := v.present(ctx, s); err != nil {
			return Info{}, notThere(path, err)
		}
	}
	switch {
	case len(s.want) == 0:
		info := Info{Path: s.prefix, Object: true}
		info.Writable = s.n.obj != nil && s.n.obj.canAdd
		if s.n.obj != nil {
			info.Topics = s.n.obj.topics
		}
		return info, nil
	case p.partial:
		return Info{Path: s.prefix + s.want[0].rest, Object: true, Topics: s.n.obj.topics}, nil
	}
	if k := s.n.counted(s.want[0].rest); k != nil {
		return Info{Path: s.prefix + k.count, Type: UnsignedInt, Topics: k.obj.topics}, nil
	}
	o, i := s.n.param(s.want[0].rest)
	return o.info(s.prefix, i), nil
}

// counted returns the table whose count is called name.
func (n *node) counted(name string) *node {
	for _, k := range n.kids {
		if k.count != "" && k.count == name {
			return k
		}
	}
	return nil
}

func (n *node) has(name string) bool {
	_, i := n.param(name)
	return i >= 0
}

// param returns the declaration of a parameter; the index is -1 without one.
func (n *node) param(name string) (*object, int) {
	var in *object
	at := -1
	n.objects(func(o *object) bool {
		for i := range o.kinds {
			if o.kinds[i].typ != 0 && o.name(i) == name {
				in, at = o, i
				return false
			}
		}
		return true
	})
	return in, at
}

// blamePath puts path on an error that carries none.
func blamePath(path string, err error) error {
	if _, ok := err.(*ParamError); ok {
		return err
	}
	return &ParamError{path, err}
}

// notThere is blamePath for an error of a source about a row that was named.
func notThere(path string, err error) error {
	if errors.Is(err, ErrGone) {
		return noName(path, "no longer there")
	}
	return blamePath(path, err)
}

func noName(path, format string, args ...any) error {
	return &ParamError{path, fmt.Errorf("%w: %s", ErrNoName, fmt.Sprintf(format, args...))}
}
