package datamodel

// The rows of the tree as one reader sees them: those of the sources, and over
// them what a transaction has changed.

import (
	"context"
	"errors"
	"slices"
	"strconv"
)

// A view is the schema, with or without a transaction over it.
type view struct {
	t    *Tree
	tx   *Tx
	root *node
	late *bindings
}

func (t *Tree) view(tx *Tx) view {
	if tx != nil {
		return view{t, tx, tx.root, tx.late}
	}
	root := t.schema.Load()
	return view{t, nil, root, t.bindings()}
}

// A spot is one instance of a node; or the node itself, where it is a table.
type spot struct {
	n      *node
	prefix string // its path, with the last dot
	at     []Key
	row    *row // of n.obj; nil: not read
	isRow  bool // of a table
	num    uint32
	twin   bool  // a fixed sub-object of the same name has been walked already
	unread bool  // its source does not answer
	fresh  bool  // below a row that the transaction has added: no source knows of it
	want   []seg // what locate has not used
}

// read reads a row from its source. at names the row of a table; of another
// object it holds the keys of its parents.
func (v view) read(ctx context.Context, o *object, at []Key) (*row, error) {
	if o.canLoad {
		return v.rows(o).load(ctx, at)
	}
	parent, key := at, ""
	if o.table {
		parent, key = at[:len(at)-1:len(at)-1], at[len(at)-1]
	}
	var found *row
	err := v.rows(o).each(ctx, parent, func(k Key, r *row) bool {
		if !o.table || k == key {
			found = r
		}
		return found == nil
	})
	if err == nil && found == nil {
		err = ErrGone
	}
	if err != nil {
		return nil, err
	}
	return found, nil
}

// clone copies a row, for a transaction to change.
func (v view) clone(o *object, r *row) *row {
	c := copyRow(o.typ, r)
	if own := v.rows(o).clone; own != nil {
		own(c)
	}
	return c
}

// load returns the row of o at the keys: ErrGone when there is none.
func (v view) load(ctx context.Context, o *object, at []Key, fresh bool) (*row, error) {
	if e := v.tx.edit(o, at); e != nil {
		if e.new == nil {
			return nil, ErrGone
		}
		return e.new, nil
	}
	if fresh {
		_, row, err := v.fresh(ctx, o, at)
		return row, err
	}
	return v.read(ctx, o, at)
}

// fresh returns the row of o that comes into being below parent, and its key.
func (v view) fresh(ctx context.Context, o *object, parent []Key) (Key, *row, error) {
	if f := v.rows(o).fresh; f != nil {
		return f(ctx, parent)
	}
	return "", o.zero(), nil
}

// exists returns nil when the row is there, and else why it cannot be named.
func (v view) exists(ctx context.Context, n *node, at []Key) error {
	if e := v.tx.edit(n.obj, at); e != nil {
		if e.new == nil {
			return ErrGone
		}
		return nil
	}
	if n.obj.canLoad || !n.obj.canKeys {
		_, err := v.read(ctx, n.obj, at)
		return err
	}
	key := at[len(at)-1]
	for k, err := range v.rows(n.obj).keys(ctx, at[:len(at)-1:len(at)-1]) {
		if err != nil && !errors.Is(err, ErrGone) {
			return err
		}
		if err == nil && k == key {
			return nil
		}
	}
	return ErrGone
}

// present reports whether an object that is no table is there.
func (v view) present(ctx context.Context, s *spot) error {
	o := s.n.obj
	if s.fresh || !o.canKeys {
		row, err := v.load(ctx, o, s.at, s.fresh)
		s.row = row
		return err
	}
	for _, err := range v.rows(o).keys(ctx, s.at) {
		return err
	}
	return ErrGone
}

// each calls f with the key of every row of the table n below parent, and
// with the row itself when rows is set; the row is only lent.
func (v view) each(ctx context.Context, n *node, parent []Key, fresh, rows bool, f func(key Key, r *row) error) error {
	var stop error
	one := func(key Key, r *row) bool {
		if v.tx != nil {
			if e := v.tx.edit(n.obj, append(slices.Clone(parent), key)); e != nil {
				if r = e.new; r == nil || e.old == nil {
					return true // deleted, or added and yielded below
				}
			}
		}
		stop = f(key, r)
		return stop == nil
	}
	if !fresh {
		if err := v.pass(ctx, n.obj, parent, rows, one); err != nil {
			return err
		}
	}
	if stop != nil {
		return stop
	}
	for e := range v.tx.added(n.obj, parent) {
		if err := f(e.at[len(e.at)-1], e.new); err != nil {
			return err
		}
	}
	return nil
}

// pass goes over the keys or the rows of o. A row that is gone is left out.
func (v view) pass(ctx context.Context, o *object, parent []Key, rows bool, f func(Key, *row) bool) error {
	if rows || !o.canKeys {
		return v.rows(o).each(ctx, parent, f)
	}
	for k, err := range v.rows(o).keys(ctx, parent) {
		if errors.Is(err, ErrGone) {
			continue
		}
		if err != nil {
			return err
		}
		if !f(k, nil) {
			return nil
		}
	}
	return nil
}

// count returns how many rows a table has.
func (v view) count(ctx context.Context, n *node, parent []Key, fresh bool) (int, error) {
	c := 0
	err := v.each(ctx, n, parent, fresh, false, func(Key, *row) error { c++; return nil })
	return c, err
}

// instance finds the row of table n that id names. sure says that it has just
// been met; else the caller still has to see whether it is there.
func (v view) instance(ctx context.Context, n *node, parent []Key, fresh bool, id *seg) (key Key, num uint32, sure bool, err error) {
	for e := range v.tx.added(n.obj, parent) {
		if id.num == e.num || id.alias != "" && id.alias == e.aliasText() {
			return e.at[len(e.at)-1], e.num, true, nil
		}
	}
	if fresh {
		return "", 0, false, ErrGone
	}
	tab := v.t.numbers.table(n, parent)
	num = id.num
	if id.alias != "" {
		if key, ok := v.aliased(n, tab, parent, id.alias); ok {
			return key, tab.number(key, 0), false, nil
		}
		if num = defaultAlias(id.alias); num == 0 {
			return "", 0, false, ErrGone
		}
	}
	key, ok, know := tab.key(num)
	if !ok && !know {
		key, ok, err = v.scan(ctx, n, tab, parent, num)
		sure = ok
	}
	if err == nil && (!ok || id.alias != "" && v.alias(n, tab, parent, key, num) != id.alias) {
		err = ErrGone
	}
	return key, num, sure, err
}

// scan looks for a number among the rows, numbering those it meets.
func (v view) scan(ctx context.Context, n *node, tab *numTable, parent []Key, num uint32) (key Key, ok bool, err error) {
	pass, live := tab.begin(), 0
	err = v.each(ctx, n, parent, false, false, func(k Key, _ *row) error {
		live++
		if tab.number(k, pass) == num {
			key, ok = k, true
			return errStop
		}
		return nil
	})
	switch {
	case ok:
		tab.met(num, key)
		return key, true, nil
	case err == nil:
		tab.end(pass, live)
	}
	return "", false, err
}

// aliased returns the key of the row that was given the alias.
func (v view) aliased(n *node, tab *numTable, parent []Key, alias string) (Key, bool) {
	for e := range v.tx.edited(n.obj, parent) {
		if e.alias != nil && *e.alias == alias {
			return e.at[len(e.at)-1], true
		}
	}
	key, ok := tab.byAlias(alias)
	if ok && v.tx != nil {
		if e := v.tx.edit(n.obj, append(slices.Clone(parent), key)); e != nil && e.alias != nil && *e.alias != alias {
			return "", false
		}
	}
	return key, ok
}

// alias returns the alias of a row.
func (v view) alias(n *node, tab *numTable, parent []Key, key Key, num uint32) string {
	if v.tx != nil {
		if e := v.tx.edit(n.obj, append(slices.Clone(parent), key)); e != nil && e.alias != nil {
			return *e.alias
		}
	}
	if a := tab.aliasOf(key); a != "" {
		return a
	}
	return cpeAlias(num)
}

// The alias of a row that nobody gave one begins with "cpe-" (TR-106).
func cpeAlias(num uint32) string { return "cpe-" + strconv.FormatUint(uint64(num), 10) }

func defaultAlias(alias string) uint32 {
	if len(alias) < 5 || alias[:4] != "cpe-" || alias[4] == '0' {
		return 0
	}
	n, _ := strconv.ParseUint(alias[4:], 10, 32)
	return uint32(n)
}
