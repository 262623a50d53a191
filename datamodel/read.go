package datamodel

// Reading: one streamed walk that reads each row once, when it gets there.

import (
	"context"
	"errors"
	"iter"
	"slices"
	"strconv"
)

// ReadOptions say how a Reader reads.
type ReadOptions struct {
	Aliases     bool                         // names carry aliases below what the caller wrote (InstanceMode InstanceAlias)
	Secrets     bool                         // show Hidden parameters: for the process itself, never for a peer
	Unavailable func(path string, err error) // called for what is left out; nil: it is logged
}

// A Reader reads the tree, or a transaction, with options.
type Reader struct {
	t  *Tree
	tx *Tx
	o  ReadOptions
}

// Reader returns a reader of what is committed.
func (t *Tree) Reader(o ReadOptions) *Reader { return &Reader{t, nil, o} }

// An Item is a parameter and its value.
type Item struct {
	Name           string
	Value          string // canonical text
	Type           Type
	Access         Access
	Notify         Notify
	Hidden, Inform bool
}

var errStop = errors.New("the caller has enough")

// A walker is one walk.
type walker struct {
	view
	ctx     context.Context
	o       ReadOptions
	partial bool
	inform  bool // only what goes into every Inform
	next    bool // names: one level only
	item    func(Item) bool
	name    func(Name) bool // names are wanted, and no rows
	refs    refCache
	warned  map[string]bool
}

// mood is where a walk stands to what was asked for.
type mood struct {
	below bool // under it: nobody has named this
	soft  bool // below, or met by a wildcard: what cannot be read is left out
}

// Values yields the parameters at or below path, each row being read when the
// walk gets there and forgotten behind it. A full name with wildcards is as
// good as a partial path. An error is the last thing yielded.
func (r *Reader) Values(ctx context.Context, path string) iter.Seq2[Item, error] {
	return func(yield func(Item, error) bool) {
		w := r.walker(ctx)
		w.item = func(it Item) bool { return yield(it, nil) }
		if err := w.run(path); err != nil && err != errStop {
			yield(Item{}, err)
		}
	}
}

// Inform yields the parameters that go into every Inform, and reads no other
// rows than theirs.
func (r *Reader) Inform(ctx context.Context) iter.Seq2[Item, error] {
	return func(yield func(Item, error) bool) {
		w := r.walker(ctx)
		w.inform = true
		w.item = func(it Item) bool { return yield(it, nil) }
		if err := w.run(Root); err != nil && err != errStop {
			yield(Item{}, err)
		}
	}
}

// Get returns one parameter.
func (r *Reader) Get(ctx context.Context, path string) (Item, error) {
	p, err := parsePath(path)
	if err != nil {
		return Item{}, err
	}
	if p.partial || slices.ContainsFunc(p.segs, func(s seg) bool { return s.any }) {
		return Item{}, noName(path, "not the name of one parameter")
	}
	for it, err := range r.Values(ctx, path) {
		return it, err
	}
	return Item{}, noName(path, "no longer there")
}

// Values is Reader(ReadOptions{}).Values.
func (t *Tree) Values(ctx context.Context, path string) iter.Seq2[Item, error] {
	return t.Reader(ReadOptions{}).Values(ctx, path)
}

// Inform is Reader(ReadOptions{}).Inform.
func (t *Tree) Inform(ctx context.Context) iter.Seq2[Item, error] {
	return t.Reader(ReadOptions{}).Inform(ctx)
}

func (r *Reader) walker(ctx context.Context) *walker {
	return &walker{view: r.t.view(r.tx), ctx: r.t.ensureMemo(ctx), o: r.o}
}

func (w *walker) run(text string) error {
	p, err := parsePath(text)
	if err != nil {
		return err
	}
	if w.partial = p.partial; !w.root.admits(p.segs, p.partial) {
		return noName(text, "nothing is called so")
	}
	err = w.object(&spot{n: w.root, prefix: Root}, p.segs, mood{})
	return err
}

// failed turns an error at path into what the walk makes of it: nil when that
// is left out.
func (w *walker) failed(path string, err error, soft bool) error {
	var pe *ParamError
	switch {
	case err == errStop || errors.As(err, &pe):
		return err
	case w.ctx.Err() != nil:
		return w.ctx.Err()
	case errors.Is(err, ErrGone) && soft:
		return nil
	case errors.Is(err, ErrGone) || errors.Is(err, ErrNoName):
		return noName(path, "no longer there")
	}
	var u *Unavailable
	once := err.Error()
	if errors.As(err, &u) {
		once = u.Source
	} else {
		err = &Unavailable{path, err}
	}
	if !soft {
		return &ParamError{path, err}
	}
	if w.warned[once] {
		return nil
	}
	if w.warned == nil {
		w.warned = make(map[string]bool)
	}
	w.warned[once] = true
	if w.o.Unavailable != nil {
		w.o.Unavailable(path, err)
	} else {
		w.t.o.Log.Warn("left out of the answer", "path", path, "err", err)
	}
	return nil
}

// object walks one instance, of which want is asked.
func (w *walker) object(s *spot, want []seg, m mood) error {
	if err := w.ctx.Err(); err != nil {
		return err
	}
	if len(want) == 0 && s.row == nil && !s.isRow && s.n.obj != nil {
		ok, err := w.appear(s, m)
		if err != nil || !ok {
			return err
		}
	}
	var err error
	if w.name != nil {
		err = w.nameParams(s, want, m)
	} else {
		err = w.params(s, want, m)
	}
	if err != nil {
		if errors.Is(err, errAbsent) {
			return nil
		}
		return err
	}
	if w.next && m.below {
		return nil
	}
	return w.kids(s, want, m)
}

// errAbsent ends the walk of a row that turned out not to be there.
var errAbsent = errors.New("absent")

// appear sees whether an object that is no table is there at all.
func (w *walker) appear(s *spot, m mood) (bool, error) {
	if w.inform && !s.n.obj.inform {
		return true, nil
	}
	err := w.present(w.ctx, s)
	if err == nil {
		return true, nil
	}
	if !errors.Is(err, ErrGone) && m.soft {
		s.unread = true // which is not to say that it is not there, nor what is below it
		return true, w.failed(s.prefix, err, true)
	}
	return false, w.failed(s.prefix, err, m.soft)
}

// params yields the values of the own parameters of s and of its extensions.
func (w *walker) params(s *spot, want []seg, m mood) error {
	var err error
	s.n.objects(func(o *object) bool {
		if w.inform && !o.inform || !o.wants(want, w.partial) {
			return true
		}
		row := s.row
		own := o == s.n.obj
		if own && s.unread {
			return true
		}
		if !own || row == nil {
			row, err = w.load(w.ctx, o, s.at, s.fresh)
			if err != nil {
				gone := errors.Is(err, ErrGone)
				err = w.failed(s.path(want), err, m.soft)
				if err == nil && own && gone {
					err = errAbsent
				}
				return err == nil
			}
		}
		err = w.values(s, o, row, want)
		return err == nil
	})
	return err
}

func (s *spot) path(want []seg) string {
	if len(want) > 0 {
		return s.prefix + want[0].rest
	}
	return s.prefix
}

func (w *walker) values(s *spot, o *object, r *row, want []seg) error {
	for i := range o.kinds {
		k := &o.kinds[i]
		if k.typ == 0 {
			continue
		}
		p := o.param(i)
		if !wanted(p.name, want, w.partial) || w.inform && !p.inform {
			continue
		}
		it := Item{Name: s.prefix + p.name, Type: k.typ, Access: p.access, Notify: p.notify, Hidden: p.hidden, Inform: p.inform}
		if k.readOnly {
			it.Access = ReadOnly
		}
		switch {
		case p.hidden && !w.o.Secrets:
		case p.access == Command:
			it.Value = zeroText(k.typ)
		default:
			it.Value = w.text(s, o.at(r, i), k.typ)
		}
		if !w.item(it) {
			return errStop
		}
	}
	return nil
}

// text is format, for what it takes a tree to print, too.
func (w *walker) text(s *spot, p any, t Type) string {
	switch p := p.(type) {
	case *Alias:
		parent, key := s.at[:len(s.at)-1], s.at[len(s.at)-1]
		return w.alias(s.n, w.t.numbers.table(s.n, parent), parent, key, s.number(w.t))
	case *Ref:
		return w.ref(*p)
	case *[]Ref:
		return w.refList(*p)
	}
	return format(p, t)
}

func (s *spot) number(t *Tree) uint32 {
	if s.num == 0 {
		last := len(s.at) - 1
		s.num = t.numbers.table(s.n, s.at[:last]).number(s.at[last], 0)
	}
	return s.num
}

// kids walks what is below s.
func (w *walker) kids(s *spot, want []seg, m mood) error {
	for _, k := range s.n.kids {
		if !k.visible() || w.inform && !k.inform {
			continue
		}
		if len(want) > 0 {
			if !w.partial && k.count != "" && k.count == want[0].rest {
				return w.count(s, k, m)
			}
			if k.name != want[0].name || !w.partial && len(want) == 1 {
				continue
			}
		}
		km, rest := m, want
		if len(want) == 0 {
			km = mood{below: true, soft: true}
		} else {
			rest = want[1:]
		}
		below := &spot{n: k, prefix: s.prefix + k.name + ".", at: s.at, fresh: s.fresh}
		below.twin = w.name != nil && s.n.implies(k.name)
		var err error
		if k.table {
			err = w.table(s, below, rest, km)
		} else {
			err = w.object(below, rest, km)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// count yields the count of table k below s.
func (w *walker) count(s *spot, k *node, m mood) error {
	if w.name != nil {
		return w.nameLeaf(Name{Path: s.prefix + k.count, Type: UnsignedInt})
	}
	n, err := w.view.count(w.ctx, k, s.at, s.fresh)
	if err != nil {
		return w.failed(s.prefix+k.count, err, m.soft)
	}
	return w.yieldCount(s, k, n)
}

func (w *walker) yieldCount(s *spot, k *node, n int) error {
	if k.count == "" || w.inform {
		return nil
	}
	if !w.item(Item{Name: s.prefix + k.count, Value: strconv.Itoa(n), Type: UnsignedInt}) {
		return errStop
	}
	return nil
}

// table walks the rows of a table. Where all of the parent is asked for, the
// count comes out of the same pass.
func (w *walker) table(up, s *spot, want []seg, m mood) error {
	if len(want) > 0 && !want[0].any {
		return w.one(s, want, m)
	}
	if w.name != nil {
		if err := w.nameTable(up, s, want, m); err != nil || w.next && m.below {
			return err
		}
	}
	rest := want
	rm := mood{below: m.below || len(want) == 0, soft: true}
	if len(want) > 0 {
		rest = want[1:]
		rm.below = m.below
	}
	rows := w.name == nil && (len(rest) == 0 || s.n.obj.wants(rest, w.partial))
	live, err := w.tableRows(s, rows, func(row *spot) error { return w.object(row, rest, rm) })
	if err != nil {
		return w.failed(s.prefix, err, m.soft)
	}
	if m.below && w.name == nil {
		return w.yieldCount(up, s.n, live)
	}
	return nil
}

// tableRows calls f with each row of table s, numbered, and counts them.
// Numbers are kept for tables with rows only: most of those below a thousand
// rows are empty.
func (w *walker) tableRows(s *spot, rows bool, f func(*spot) error) (live int, err error) {
	tab, pass := w.t.numbers.known(s.n, s.at), uint32(0)
	if tab != nil {
		pass = tab.begin()
	}
	err = w.each(w.ctx, s.n, s.at, s.fresh, rows, func(key Key, r *row) error {
		if tab == nil {
			tab = w.t.numbers.table(s.n, s.at)
			pass = tab.begin()
		}
		one := &spot{n: s.n, at: append(s.at[:len(s.at):len(s.at)], key), row: r, isRow: true, fresh: s.fresh}
		if w.numberRow(one, tab, s.prefix, pass); one.num == 0 {
			return nil
		}
		live++
		return f(one)
	})
	if err == nil && tab != nil {
		tab.end(pass, live)
	}
	return live, err
}

// numberRow gives the spot of a row its number and its prefix.
func (w *walker) numberRow(s *spot, tab *numTable, prefix string, pass uint32) {
	last := len(s.at) - 1
	if e := w.tx.edit(s.n.obj, s.at); e != nil && e.old == nil {
		s.num, s.fresh = e.num, true
	} else {
		s.num = tab.number(s.at[last], pass)
	}
	if w.o.Aliases && s.n.obj.alias >= 0 {
		s.prefix = prefix + "[" + w.alias(s.n, tab, s.at[:last], s.at[last], s.num) + "]."
		return
	}
	var b [10]byte
	s.prefix = prefix + string(strconv.AppendUint(b[:0], uint64(s.num), 10)) + "."
}

// one walks the row that want names.
func (w *walker) one(s *spot, want []seg, m mood) error {
	id, rest := &want[0], want[1:]
	path := s.prefix + id.name + "."
	key, num, sure, err := w.instance(w.ctx, s.n, s.at, s.fresh, id)
	if err != nil {
		return w.failed(path, err, m.soft)
	}
	row := &spot{n: s.n, prefix: path, at: append(s.at[:len(s.at):len(s.at)], key), isRow: true, num: num, fresh: s.fresh}
	if e := w.tx.edit(s.n.obj, row.at); e != nil && e.old == nil {
		row.fresh = true
	}
	switch {
	case w.name == nil && s.n.obj.wants(rest, w.partial):
		row.row, err = w.load(w.ctx, s.n.obj, row.at, row.fresh)
	case !sure:
		err = w.exists(w.ctx, s.n, row.at)
	}
	if err != nil {
		return w.failed(path, err, m.soft)
	}
	return w.object(row, rest, m)
}
