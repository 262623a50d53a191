package datamodel

// Define: from a declaration to an Object.

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"reflect"
	"slices"
	"strings"
)

// An Object is a declaration that is ready for a Tree.
type Object struct {
	def *object
	env any // of a Late one: what it is declared for
}

// Path returns the path as declared: "Device.IP.Interface.{i}.".
func (o Object) Path() string { return o.def.path }

// Params yields the parameters that this platform has, as templates, without
// the counts that the engine adds.
func (o Object) Params() iter.Seq[Info] {
	o.def.settle()
	return func(yield func(Info) bool) {
		for i := range o.def.kinds {
			if o.def.kinds[i].typ != 0 && !yield(o.def.info(o.def.path, i)) {
				return
			}
		}
	}
}

// Writable reports whether rows can be added and deleted.
func (o Object) Writable() bool { return o.def.settle().canAdd }

// Extends reports whether the rows are somebody else's.
func (o Object) Extends() bool { return o.def.extends }

// Count returns the name of the parameter of the parent that counts the rows;
// "" without one.
func (o Object) Count() string {
	parts := strings.Split(o.def.path, ".")
	if !o.def.settle().table {
		return ""
	}
	return o.def.countName(parts[len(parts)-3])
}

// object is the part of a declaration that does not depend on its row type. All
// of it but rows is the same for every environment that declares the same, and
// nothing of it changes once it is settled.
type object struct {
	path     string
	params   []Param[row]
	kinds    []kind // one for each parameter; nil: not settled yet
	table    bool
	volatile bool
	extends  bool
	canAdd   bool // Source.New on a table
	canStage bool
	canLoad  bool
	canKeys  bool
	canRows  bool
	clones   bool
	inform   bool
	alias    int // index of the Alias parameter, -1
	enable   int // index of the Enable parameter, -1
	rename   string
	unique   [][]string
	topics   []Topic
	typ      reflect.Type // of a row

	readOnly, without []string // until it is settled
	rows              *rows    // nil: bound for each request, by again
	again             func(env any) Object
}

// kind is what the engine has to know of a parameter besides its declaration.
type kind struct {
	typ      Type // 0: this platform lacks it
	list     bool
	readOnly bool
}

// param is the part of a Param that does not depend on the row type.
type param struct {
	name           string
	access         Access
	notify         Notify
	hidden, inform bool
	check          Check
	refs           []string
}

func (o *object) name(i int) string { return o.params[i].Name }

func (o *object) param(i int) param {
	p := &o.params[i]
	return param{p.Name, p.Access, p.Notify, p.Hidden, p.Inform, p.Check, p.Refs}
}

func (o *object) at(r *row, i int) any { return o.params[i].At(r) }

func (o *object) zero() *row { return newRow(o.typ) }

// rows is the other part of a declaration: the functions of its source.
type rows struct {
	all      func(ctx context.Context, parent []Key) iter.Seq2[Row[row], error]
	keys     func(ctx context.Context, parent []Key) iter.Seq2[Key, error]
	load     func(ctx context.Context, at []Key) (*row, error)
	fresh    func(ctx context.Context, parent []Key) (Key, *row, error) // nil: the zero row
	checkRow func(c Change[row]) error
	stageRow func(ctx context.Context, tx *Tx, at []Key, c Change[row]) error
	clone    func(r *row) // nil: a plain copy is one
}

// each calls f with every row; the row is only lent.
func (d *rows) each(ctx context.Context, parent []Key, f func(key Key, r *row) bool) (err error) {
	d.all(ctx, parent)(func(r Row[row], e error) bool {
		if e != nil {
			err = past(e)
			return err == nil
		}
		return f(r.Key, r.Value)
	})
	return err
}

func (d *rows) check(old, new *row, set func(string) bool) error {
	if d.checkRow == nil {
		return nil
	}
	return d.checkRow(Change[row]{old, new, set})
}

func (d *rows) stage(ctx context.Context, tx *Tx, at []Key, old, new *row, set func(string) bool) error {
	return d.stageRow(ctx, tx, at, Change[row]{old, new, set})
}

// past is the error that ends a pass: a row that has gone does not.
func past(err error) error {
	if errors.Is(err, ErrGone) {
		return nil
	}
	return err
}

// define is what Define does whatever the row type is.
func define(path string, params []Param[row], src *Source[row], typ reflect.Type) Object {
	rows := &rows{src.Rows, src.Keys, src.Load, src.New, src.Check, src.Stage, src.Clone}
	return Object{def: &object{
		path: path, params: params, rows: rows, typ: typ,
		volatile: src.Volatile, extends: src.Extends, canAdd: src.New != nil, canStage: src.Stage != nil,
		canLoad: src.Load != nil, canKeys: src.Keys != nil, canRows: src.Rows != nil, clones: src.Clone != nil,
		rename: src.Rename, unique: src.Unique, topics: src.Topics, readOnly: src.ReadOnly, without: src.Without,
	}}
}

// settle checks the declaration and works out the rest of o from it, once. It
// is not done by Define, for a Late object is defined again at each request.
func (o *object) settle() *object {
	if o.kinds != nil {
		return o
	}
	o.kinds, o.table = make([]kind, len(o.params)), strings.HasSuffix(o.path, ".{i}.")
	o.alias, o.enable = -1, -1
	o.canAdd = o.canAdd && o.table && o.canRows
	if !o.canRows && !(o.extends && o.canLoad) {
		o.broken("has no Rows")
	}
	zero := o.zero()
	for i := range o.kinds {
		o.kinds[i].typ, o.kinds[i].list = typeOf(o.at(zero, i))
	}
	o.finish(o.readOnly, o.without)
	if o.canStage && !o.clones && points(o.typ, 0) {
		o.broken("is writable, its rows hold maps or pointers, and it has no Clone")
	}
	o.readOnly, o.without = nil, nil
	return o
}

func (o *object) broken(format string, args ...any) {
	panic("datamodel: " + o.path + " " + fmt.Sprintf(format, args...))
}

// finish is the part of settle that goes by names.
func (o *object) finish(readOnly, without []string) {
	if err := checkTemplate(o.path); err != nil {
		o.broken("%v", err)
	}
	if o.canAdd && !o.canStage {
		o.broken("has New, but no Stage")
	}
	seen := make(map[string]bool, len(o.kinds))
	o.groups()
	for i := range o.kinds {
		p := o.param(i)
		if !validName(p.name) || seen[p.name] {
			o.broken("declares %q: misspelt, or declared twice", p.name)
		}
		seen[p.name] = true
		if o.kinds[i].typ == 0 {
			o.broken("%s: At returns no pointer to a value type", p.name)
		}
		o.special(i, p)
		o.kinds[i].readOnly = p.access == ReadOnly || named(readOnly, p.name)
		if named(without, p.name) {
			o.kinds[i].typ = 0
			continue
		}
		if !o.kinds[i].readOnly && !o.canStage && i != o.alias {
			o.broken("%s is writable, but there is no Stage", p.name)
		}
		o.inform = o.inform || p.inform
	}
	for _, list := range append([][]string{readOnly, without}, o.unique...) {
		for _, name := range list {
			if !o.declares(name) {
				o.broken("%q is named, but not declared", name)
			}
		}
	}
}

// groups sees that the parameters of a fixed sub-object stand together.
func (o *object) groups() {
	done := make(map[string]bool)
	last := ""
	for i := range o.kinds {
		name := o.name(i)
		for j := range len(name) {
			if sub := name[:j+1]; name[j] == '.' && !strings.HasPrefix(last, sub) {
				if done[sub] {
					o.broken("%s stands apart from the others of %s", name, sub)
				}
				done[sub] = true
			}
		}
		last = name
	}
}

// special notes what a parameter is besides a value.
func (o *object) special(i int, p param) {
	k := &o.kinds[i]
	if k.typ == Base64Binary && LimitsOf(p.check).Hex {
		k.typ = HexBinary
	}
	switch o.at(o.zero(), i).(type) {
	case *Alias:
		if !o.table || o.alias >= 0 {
			o.broken("%s: an Alias belongs to a table, once", p.name)
		}
		o.alias = i
	case *bool:
		if p.name == "Enable" {
			o.enable = i
		}
	}
}

func (o *object) declares(name string) bool {
	for i := range o.kinds {
		if have := o.name(i); have == name || strings.HasSuffix(name, ".") && strings.HasPrefix(have, name) {
			return true
		}
	}
	return false
}

// named reports whether list has name, or a fixed sub-object around it.
func named(list []string, name string) bool {
	return slices.ContainsFunc(list, func(l string) bool {
		return l == name || strings.HasSuffix(l, ".") && strings.HasPrefix(name, l)
	})
}

func (o *object) info(prefix string, i int) Info {
	p := o.param(i)
	if o.kinds[i].readOnly {
		p.access = ReadOnly
	}
	return Info{
		Path: prefix + p.name, Type: o.kinds[i].typ, List: o.kinds[i].list, Access: p.access, Writable: p.access != ReadOnly,
		Notify: p.notify, Hidden: p.hidden, Inform: p.inform, Check: p.check, Refs: p.refs, Topics: o.topics,
	}
}

// points reports whether a value of type t reaches something that a plain copy
// would share: a map or a pointer. Times, addresses and strings are immutable.
func points(t reflect.Type, depth int) bool {
	switch t.Kind() {
	case reflect.Map, reflect.Pointer, reflect.Interface, reflect.Chan:
		return true
	case reflect.Array:
		return points(t.Elem(), depth)
	case reflect.Struct:
		if t.PkgPath() == "time" || t.PkgPath() == "net/netip" || depth > 8 {
			return false
		}
		for i := range t.NumField() {
			if points(t.Field(i).Type, depth+1) {
				return true
			}
		}
	}
	return false
}
