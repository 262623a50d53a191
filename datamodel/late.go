package datamodel

// Late objects: declarations whose sources are bound while somebody asks, and
// forgotten after. What is the same for every environment is kept once.

import (
	"slices"
	"sync"
	"weak"
)

// Late is declare(env) as an Object of which a Tree keeps only what it declares:
// its source is bound to env again, by declare, for the requests that need it.
// What declare returns must depend on env alone, and not change. env must be
// comparable; a Tree has one.
func Late[E any](env E, declare func(E) Object) Object {
	o := declare(env)
	o.env, o.def.again = env, func(env any) Object { return declare(env.(E)) }
	return o
}

// bindings are the sources of the late objects of one tree. Requests that
// overlap share them; the tree holds them weakly, so that they go with the
// garbage of the last one.
type bindings struct {
	env any
	mu  sync.Mutex
	of  map[*object]*rows
}

// bindings returns those of t; nil when nothing of it is late.
func (t *Tree) bindings() *bindings {
	t.binding.Lock()
	defer t.binding.Unlock()
	if t.env == nil {
		return nil
	}
	b := t.bound.Value()
	if b == nil {
		b = &bindings{env: t.env, of: make(map[*object]*rows)}
		t.bound = weak.Make(b)
	}
	return b
}

// rows returns the source of o.
func (v view) rows(o *object) *rows {
	if o.rows != nil {
		return o.rows
	}
	b := v.late
	b.mu.Lock()
	defer b.mu.Unlock()
	r := b.of[o]
	if r == nil {
		r = o.again(b.env).def.rows
		b.of[o] = r
	}
	return r
}

// unbind settles objs and takes the sources off those that are late: they are
// made anew for requests. An object of another environment than the tree's
// keeps its own. all says that every one is late.
func (t *Tree) unbind(objs []Object) (out []Object, all bool) {
	t.binding.Lock()
	defer t.binding.Unlock()
	out, all = slices.Clone(objs), len(objs) > 0
	for i, o := range out {
		o.def.settle()
		if t.env == nil {
			t.env = o.env
		}
		if o.env == nil || o.env != t.env {
			all = false
			continue
		}
		def := *o.def
		def.rows = nil
		out[i] = Object{def: &def}
	}
	return out, all
}

// Schemas are what the trees of one process have in common: those whose objects
// are Late and declare the same share one schema (Options.Schemas).
type Schemas struct {
	mu    sync.Mutex
	known []schema
}

type schema struct {
	objs []Object
	root *node
}

// graft is graft on a bare root, or what an earlier one of the same objects has
// made. It returns the objects that are in it.
func (s *Schemas) graft(root *node, objs []Object) (*node, []Object, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, k := range s.known {
		if slices.EqualFunc(k.objs, objs, func(a, b Object) bool { return a.def.like(b.def) }) {
			return k.root, k.objs, nil
		}
	}
	root, err := graft(root, objs)
	if err == nil {
		s.known = append(s.known, schema{objs, root})
	}
	return root, objs, err
}

// like reports whether two settled declarations are the same to all but their
// sources. Tables of parameters are package variables, so that one is the same
// where it lies at the same place.
func (o *object) like(b *object) bool {
	return o.path == b.path && o.typ == b.typ && len(o.params) == len(b.params) &&
		(len(o.params) == 0 || &o.params[0] == &b.params[0]) && slices.Equal(o.kinds, b.kinds) &&
		o.volatile == b.volatile && o.extends == b.extends && o.canAdd == b.canAdd && o.canStage == b.canStage &&
		o.canLoad == b.canLoad && o.canKeys == b.canKeys && o.canRows == b.canRows && o.rename == b.rename &&
		slices.EqualFunc(o.unique, b.unique, slices.Equal) && slices.Equal(o.topics, b.topics)
}
