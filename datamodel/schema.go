package datamodel

// The schema: an immutable tree of nodes, copied along the path to each
// change, so that readers hold on to the one they began with.

import (
	"errors"
	"fmt"
	"slices"
	"sort"
	"strings"
	"unique"
)

// A node is one object of the schema, or one that others imply.
type node struct {
	name     string
	path     string // template: "Device.IP.Interface.{i}."
	count    string // "InterfaceNumberOfEntries", "" without one
	table    bool
	volatile bool
	inform   bool // it or what is below has a parameter for every Inform
	obj      *object
	ext      []*object // Extends on the same path
	kids     []*node
}

// objects returns the declarations of n: its own first.
func (n *node) objects(f func(*object) bool) {
	if n.obj != nil && !f(n.obj) {
		return
	}
	for _, o := range n.ext {
		if !f(o) {
			return
		}
	}
}

// visible: a table whose declaration has been removed from under its
// extensions is not.
func (n *node) visible() bool { return n.obj != nil || !n.table }

func (n *node) kid(name string) *node {
	for _, k := range n.kids {
		if k.name == name && k.visible() {
			return k
		}
	}
	return nil
}

// find returns the node of a template, or nil.
func (n *node) find(template string) *node {
	rest, ok := strings.CutPrefix(template, Root)
	if !ok {
		return nil
	}
	for n != nil && rest != "" {
		var name string
		name, rest, _ = strings.Cut(rest, ".")
		if name == "{i}" {
			continue
		}
		n = n.kid(name)
	}
	if n == nil || n.path != template {
		return nil
	}
	return n
}

// with returns a copy of n in which o is declared, whose path goes on with rest
// below n. below says that a declared object is above. Names and paths of nodes
// are parts of the declared path: a schema holds no texts of its own.
func (n *node) with(rest string, o *object, below bool) (*node, error) {
	c := *n
	if rest == "" {
		return c.declare(o, below)
	}
	if n.table && n.obj == nil {
		return nil, fmt.Errorf("nothing declares %s", n.path)
	}
	name, rest, _ := strings.Cut(rest, ".")
	k := node{name: name, volatile: n.volatile}
	if after, ok := strings.CutPrefix(rest, "{i}."); ok {
		k.table, rest = true, after
	}
	k.path = o.path[:len(o.path)-len(rest)]
	i := slices.IndexFunc(n.kids, func(k *node) bool { return k.name == name })
	if i >= 0 && n.kids[i].table != k.table {
		return nil, fmt.Errorf("%s is declared as a table, and as none", k.path)
	}
	c.kids = n.kids
	if i >= 0 {
		k = *n.kids[i]
		c.kids = slices.Clone(n.kids)
	}
	kid, err := k.with(rest, o, below || n.obj != nil)
	if err != nil {
		return nil, err
	}
	if i >= 0 {
		c.kids[i] = kid
	} else { // room for this one, and no more
		c.kids = append(append(make([]*node, 0, len(n.kids)+1), n.kids...), kid)
	}
	c.settle()
	return &c, c.clash()
}

func (n *node) declare(o *object, below bool) (*node, error) {
	switch {
	case n.obj == nil && o.extends && (!below || !o.canRows):
		return nil, errors.New("extends what nothing declares")
	case n.obj == nil:
		n.obj = o
		n.volatile = n.volatile || o.volatile
		n.count = o.countName(n.name)
	case o.extends:
		n.ext = append(slices.Clone(n.ext), o)
	default:
		return nil, errors.New("declared twice")
	}
	n.settle()
	return n, n.clash()
}

func (o *object) countName(table string) string {
	switch {
	case !o.table || o.rename == NoCount:
		return ""
	case o.rename != "":
		return o.rename
	}
	return unique.Make(table + "NumberOfEntries").Value() // one text for all trees
}

// without returns a copy of n that has lost o, or nil when nothing is left.
func (n *node) without(o *object) *node {
	c := *n
	if c.obj == o {
		c.obj, c.count = nil, ""
	}
	c.ext = slices.DeleteFunc(slices.Clone(n.ext), func(e *object) bool { return e == o })
	c.kids = nil
	for _, k := range n.kids {
		if strings.HasPrefix(o.path, k.path) {
			k = k.without(o)
		}
		if k != nil {
			c.kids = append(c.kids, k)
		}
	}
	if c.obj == nil && len(c.ext) == 0 && len(c.kids) == 0 && c.path != Root {
		return nil
	}
	c.settle()
	return &c
}

func (n *node) settle() {
	n.inform = false
	n.objects(func(o *object) bool {
		n.inform = n.inform || o.inform
		return true
	})
	for _, k := range n.kids {
		n.inform = n.inform || k.inform
	}
}

// clash reports a name that stands for two things right below n.
func (n *node) clash() error {
	seen := make(map[string]string)
	var err error
	take := func(name, what string) {
		if other, ok := seen[name]; ok && err == nil {
			err = fmt.Errorf("%s%s is declared as %s and as %s", n.path, name, other, what)
		}
		seen[name] = what
	}
	n.objects(func(o *object) bool {
		for i := range o.kinds {
			if o.kinds[i].typ != 0 {
				take(o.name(i), "a parameter")
			}
		}
		return true
	})
	for _, k := range n.kids {
		take(k.name, "an object")
		if k.count != "" {
			take(k.count, "the count that the engine supplies")
		}
	}
	return err
}

// graft returns root with every object, parents before children and
// extensions last.
func graft(root *node, objs []Object) (*node, error) {
	order := slices.Clone(objs)
	rank := func(o *object) int {
		r := strings.Count(o.path, ".")
		if o.extends {
			r += 1000
		}
		return r
	}
	sort.SliceStable(order, func(i, j int) bool { return rank(order[i].def) < rank(order[j].def) })
	for _, o := range order {
		r, err := root.with(strings.TrimPrefix(o.def.path, Root), o.def, false)
		if err != nil {
			return nil, fmt.Errorf("datamodel: %s: %w", o.def.path, err)
		}
		root = r
	}
	return root, nil
}

// wanted reports whether the rest of a path asks for the parameter name.
func wanted(name string, want []seg, partial bool) bool {
	switch {
	case len(want) == 0:
		return true
	case partial:
		return strings.HasPrefix(name, want[0].rest)
	}
	return name == want[0].rest
}

// wants reports whether want asks for any parameter of o.
func (o *object) wants(want []seg, partial bool) bool {
	for i := range o.kinds {
		if o.kinds[i].typ != 0 && wanted(o.name(i), want, partial) {
			return true
		}
	}
	return false
}

// admits reports whether the schema has what want asks for below n, whatever
// the rows. What it refuses need not be looked for.
func (n *node) admits(want []seg, partial bool) bool {
	if len(want) == 0 {
		return partial
	}
	hit := false
	n.objects(func(o *object) bool {
		hit = o.wants(want, partial)
		return !hit
	})
	if hit {
		return true
	}
	for _, k := range n.kids {
		if !partial && k.count != "" && k.count == want[0].rest {
			return true
		}
	}
	k := n.kid(want[0].name)
	want = want[1:]
	if k == nil || !partial && len(want) == 0 {
		return false
	}
	if k.table && len(want) > 0 {
		if !want[0].instance() || want[0].alias != "" && k.obj.alias < 0 {
			return false
		}
		want = want[1:]
	}
	return k.admits(want, partial)
}
