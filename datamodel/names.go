package datamodel

// GetParameterNames (cwmp.md §9): a walk that reads keys, and no rows where it
// can do without.

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"strings"
)

// A Name is one line of a GetParameterNames answer.
type Name struct {
	Path     string // an object's ends in a dot
	Writable bool   // a parameter can be set, a table added to, an instance deleted
	Object   bool
	Type     Type // of a parameter
}

// Names yields what GetParameterNames asks for. Without nextLevel that is the
// object at path and all that is below it, or the one parameter; with it, what
// is right below the object, for "" the root. A full name with nextLevel is
// ErrArguments. An error is the last thing yielded.
func (r *Reader) Names(ctx context.Context, path string, nextLevel bool) iter.Seq2[Name, error] {
	return func(yield func(Name, error) bool) {
		if path == "" && nextLevel {
			yield(Name{Path: Root, Object: true}, nil)
			return
		}
		w := r.walker(ctx)
		w.next = nextLevel
		w.name = func(n Name) bool { return yield(n, nil) }
		if err := w.run(path); err != nil && err != errStop {
			yield(Name{}, err)
		}
	}
}

// Names is Reader(ReadOptions{}).Names.
func (t *Tree) Names(ctx context.Context, path string, nextLevel bool) iter.Seq2[Name, error] {
	return t.Reader(ReadOptions{}).Names(ctx, path, nextLevel)
}

func (w *walker) nameObject(path string, writable bool) error {
	if !w.name(Name{Path: path, Writable: writable, Object: true}) {
		return errStop
	}
	return nil
}

func (w *walker) nameLeaf(n Name) error {
	if w.next && !w.partial {
		return &ParamError{n.Path, fmt.Errorf("%w: NextLevel of a parameter", ErrArguments)}
	}
	if !w.name(n) {
		return errStop
	}
	return nil
}

// nameParams names s itself, if it is asked for, and the parameters of s and
// of its extensions.
func (w *walker) nameParams(s *spot, want []seg, m mood) error {
	if len(want) == 0 && (m.below || !w.next) && !s.twin {
		if err := w.nameObject(s.prefix, s.isRow && s.n.obj.canAdd); err != nil {
			return err
		}
	}
	if w.next && m.below {
		return nil
	}
	var err error
	s.n.objects(func(o *object) bool {
		if !o.wants(want, w.partial) {
			return true
		}
		var there bool
		if there, err = w.nameable(s, o, want, m); err == nil && there {
			err = w.nameOf(s, o, want)
		}
		return err == nil
	})
	return err
}

// nameable sees whether the rows behind names are there, where the walk has
// not seen it yet.
func (w *walker) nameable(s *spot, o *object, want []seg, m mood) (bool, error) {
	if o == s.n.obj {
		if s.isRow || len(want) == 0 {
			return true, nil
		}
		return w.appear(s, m)
	}
	_, err := w.load(w.ctx, o, s.at, s.fresh)
	if err == nil || !errors.Is(err, ErrGone) && m.soft {
		return true, nil
	}
	return false, w.failed(s.path(want), err, m.soft)
}

func (w *walker) nameOf(s *spot, o *object, want []seg) error {
	base := ""
	if len(want) > 0 && w.partial {
		base = want[0].rest
		if !w.next && (o == s.n.obj || !s.n.obj.declares(base)) {
			if err := w.nameObject(s.prefix+base, false); err != nil {
				return err
			}
		}
	}
	last := ""
	for i := range o.kinds {
		k := &o.kinds[i]
		name := o.name(i)
		if k.typ == 0 || !wanted(name, want, w.partial) {
			continue
		}
		rel := name[len(base):]
		direct, err := w.nameSubs(s, o, base, rel, last)
		last = rel
		if err == nil && (direct || !w.next || !w.partial) {
			err = w.nameLeaf(Name{Path: s.prefix + name, Writable: !k.readOnly, Type: k.typ})
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// nameSubs names the fixed sub-objects that rel, a name below base, implies
// and last, the one before it, did not. direct: it implies none.
func (w *walker) nameSubs(s *spot, o *object, base, rel, last string) (direct bool, err error) {
	direct = true
	if !w.partial {
		return direct, nil
	}
	for j := range len(rel) {
		if rel[j] != '.' {
			continue
		}
		sub := rel[:j+1]
		first := direct
		direct = false
		known := strings.HasPrefix(last, sub) || o != s.n.obj && s.n.obj.declares(base+sub)
		if known || w.next && !first {
			continue
		}
		if err := w.nameObject(s.prefix+base+sub, false); err != nil {
			return false, err
		}
	}
	return direct, nil
}

// implies reports whether a parameter of n declares the fixed sub-object name.
func (n *node) implies(name string) bool {
	found := false
	n.objects(func(o *object) bool {
		found = o.declares(name + ".")
		return !found
	})
	return found
}

// nameTable names the count of a table on its parent, and the table.
func (w *walker) nameTable(up, s *spot, want []seg, m mood) error {
	if len(want) > 0 {
		return nil
	}
	if m.below && s.n.count != "" {
		if err := w.nameLeaf(Name{Path: up.prefix + s.n.count, Type: UnsignedInt}); err != nil {
			return err
		}
	}
	if !m.below && w.next {
		return nil
	}
	return w.nameObject(s.prefix, s.n.obj.canAdd)
}
