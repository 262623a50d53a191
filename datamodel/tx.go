package datamodel

// A transaction: an overlay of rows that were added, edited or deleted. All
// that is read or referred to within it goes through the overlay first.

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
)

// A Participant is a backend that takes part in a transaction. What can refuse
// refuses in Prepare, which changes nothing. Rollback ends what did not come to
// a good end, once: after a failed or a successful Commit, after Prepare, and
// also when it never came to a Prepare.
type Participant interface {
	Prepare(ctx context.Context) error
	Commit(ctx context.Context) (deferred bool, err error)
	Rollback(ctx context.Context) error
}

// An Assignment is one parameter to be set. Type is the xsi:type as sent, or
// "" when nobody said.
type Assignment struct{ Path, Value, Type string }

// Added says which instance Add made.
type Added struct {
	Number uint32
	Path   string // numbered, with the last dot
}

// A Tx is a set of changes that take effect together or not at all. It belongs
// to one goroutine.
type Tx struct {
	AutoCreate bool // Set makes the rows of unknown aliases
	Lenient    bool // Set overlooks a wrong xsi:type when the value can be read

	t       *Tree
	root    *node
	late    *bindings
	done    bool
	edits   map[editKey]*edit
	order   []*edit // as they are staged
	staging *edit   // the row whose Stage is running
	join    []joined
	by      map[any]Participant
	after   []Action
	rekeys  []rekey
	numbers []byte // how to undo what became of keys and aliases, for the journal
	buried  []byte // how to undo that the deleted rows are forgotten, for who takes all back later
}

// An edit is what a transaction does to the row of one declaration.
type edit struct {
	n        *node
	o        *object
	at       []Key
	prefix   string // numbered
	num      uint32 // of the row; 0 where there is no table
	old, new *row   // nil: added; deleted
	alias    *string
	asked    []asked
}

// asked is one assignment: the path as the caller wrote it.
type asked struct{ path, name string }

// joined is a participant, and the rows that enlisted it.
type joined struct {
	p    Participant
	rows []*edit
}

type rekey struct {
	n        *node
	parent   []Key
	old, new Key
}

type txKey struct{}

// Begin starts a transaction. There is one at a time: it waits, and returns
// ErrBusy inside a callback of the one under way. End it by Commit or Abort.
func (t *Tree) Begin(ctx context.Context) (*Tx, error) {
	if ctx.Value(txKey{}) == t {
		return nil, ErrBusy
	}
	select {
	case t.write <- struct{}{}:
		t.undoOwed(context.WithValue(ctx, txKey{}, t))
		return &Tx{t: t, root: t.schema.Load(), late: t.bindings(), edits: make(map[editKey]*edit), by: make(map[any]Participant)}, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// callback marks a context that is handed to sources and participants.
func (tx *Tx) callback(ctx context.Context) context.Context {
	return context.WithValue(tx.t.ensureMemo(ctx), txKey{}, tx.t)
}

// Abort ends the transaction without a trace; after Commit it does nothing.
func (tx *Tx) Abort() {
	if tx.done {
		return
	}
	tx.done = true
	if err := tx.rollback(context.Background()); err != nil {
		tx.t.o.Log.Error("rolling back failed", "err", err)
	}
	<-tx.t.write
}

// Reader reads the tree as it would be after Commit.
func (tx *Tx) Reader(o ReadOptions) *Reader { return &Reader{tx.t, tx, o} }

// Values is Reader(ReadOptions{}).Values.
func (tx *Tx) Values(ctx context.Context, path string) iter.Seq2[Item, error] {
	return tx.Reader(ReadOptions{}).Values(ctx, path)
}

func (tx *Tx) view() view { return tx.t.view(tx) }

// edit returns what tx, which may be nil, does to a row.
func (tx *Tx) edit(o *object, at []Key) *edit {
	if tx == nil || len(tx.edits) == 0 {
		return nil
	}
	return tx.edits[editKey{o, rowID("", at)}]
}

// An editKey names a row of one declaration.
type editKey struct {
	o  *object
	at string
}

// edited yields the edits of rows of o below parent that are not deleted.
func (tx *Tx) edited(o *object, parent []Key) iter.Seq[*edit] {
	return func(yield func(*edit) bool) {
		if tx == nil {
			return
		}
		for _, e := range tx.order {
			if e.o == o && e.new != nil && slices.Equal(e.at[:len(e.at)-1], parent) && !yield(e) {
				return
			}
		}
	}
}

// added yields those among them that were not there before.
func (tx *Tx) added(o *object, parent []Key) iter.Seq[*edit] {
	return func(yield func(*edit) bool) {
		for e := range tx.edited(o, parent) {
			if e.old == nil && !yield(e) {
				return
			}
		}
	}
}

// aliasText returns the alias of an added row.
func (e *edit) aliasText() string {
	switch {
	case e.o.alias < 0:
		return ""
	case e.alias != nil:
		return *e.alias
	}
	return cpeAlias(e.num)
}

// deletedAbove reports whether a row at or above the one at the keys is
// deleted.
func (tx *Tx) deletedAbove(n *node, at []Key) bool {
	for _, e := range tx.order {
		if e.new == nil && e.o == e.n.obj && len(e.at) <= len(at) && e.n.table &&
			strings.HasPrefix(n.path, e.n.path) && slices.Equal(e.at, at[:len(e.at)]) {
			return true
		}
	}
	return false
}

func (tx *Tx) put(e *edit) *edit {
	tx.edits[editKey{e.o, rowID("", e.at)}] = e
	tx.order = append(tx.order, e)
	return e
}

// change returns the edit of the row of o at s, beginning it with a copy.
func (tx *Tx) change(ctx context.Context, s *spot, o *object) (*edit, error) {
	if e := tx.edit(o, s.at); e != nil {
		if e.new == nil {
			return nil, ErrNoName
		}
		return e, nil
	}
	v := tx.view()
	old, err := v.load(ctx, o, s.at, s.fresh)
	if errors.Is(err, ErrGone) {
		return nil, ErrNoName
	}
	if err != nil {
		return nil, err
	}
	e := &edit{n: s.n, o: o, at: s.at, prefix: s.prefix, num: s.num, new: v.clone(o, old)}
	if !s.fresh {
		e.old = v.clone(o, old)
		tx.fillAlias(e)
	}
	return tx.put(e), nil
}

// fillAlias puts the alias into the Alias field of a row that Check, Stage and
// the unique keys will see.
func (tx *Tx) fillAlias(e *edit) {
	if e.o.alias < 0 || len(e.at) == 0 {
		return
	}
	last := len(e.at) - 1
	v := tx.view()
	tab := tx.t.numbers.table(e.n, e.at[:last])
	alias := Alias(v.alias(e.n, tab, e.at[:last], e.at[last], tab.number(e.at[last], 0)))
	for _, r := range [...]*row{e.old, e.new} {
		if r != nil {
			*e.o.at(r, e.o.alias).(*Alias) = alias
		}
	}
}

// Add makes a row in the table at path ("Device.IP.Interface.", or
// "Device.IP.Interface.[wan]." to give it an alias). Its number is burnt if
// the transaction comes to nothing.
func (tx *Tx) Add(ctx context.Context, table string) (Added, error) {
	ctx = tx.callback(ctx)
	p, err := parsePath(table)
	if err != nil {
		return Added{}, err
	}
	alias := ""
	if n := len(p.segs); n > 0 && p.segs[n-1].alias != "" {
		alias, p.segs = p.segs[n-1].alias, p.segs[:n-1]
	}
	if !p.partial {
		return Added{}, noName(table, "a table ends in a dot")
	}
	v := tx.view()
	s, err := v.locate(ctx, p, nil)
	if err == nil && (!s.n.table || s.isRow || len(s.want) > 0) {
		err = ErrNoName
	}
	if err != nil {
		return Added{}, blamePath(table, err)
	}
	if alias != "" {
		if s.n.obj.alias < 0 {
			return Added{}, noName(table, "its rows have no alias")
		}
		_, _, _, err := v.instance(ctx, s.n, s.at, s.fresh, &seg{alias: alias})
		if err == nil || defaultAlias(alias) > 0 {
			return Added{}, &ParamError{table, fmt.Errorf("%w: the alias is taken", ErrArguments)}
		}
		if !errors.Is(err, ErrGone) {
			return Added{}, &ParamError{table, err}
		}
	}
	e, err := tx.add(ctx, s, alias)
	if err != nil {
		return Added{}, blamePath(table, err)
	}
	return Added{Number: e.num, Path: e.prefix}, nil
}

// add makes a row in the table s.
func (tx *Tx) add(ctx context.Context, s *spot, alias string) (*edit, error) {
	o := s.n.obj
	if !o.canAdd {
		return nil, fmt.Errorf("%w: rows cannot be added here", ErrDenied)
	}
	key, row, err := tx.view().fresh(ctx, o, s.at)
	if err != nil {
		return nil, err
	}
	at := append(slices.Clone(s.at), key)
	if tx.edit(o, at) != nil {
		return nil, fmt.Errorf("%w: the key %q is taken", ErrResources, key)
	}
	num := tx.t.numbers.table(s.n, s.at).reserve()
	e := &edit{n: s.n, o: o, at: at, num: num, prefix: fmt.Sprintf("%s%d.", s.prefix, num), new: row}
	if alias != "" {
		e.alias = &alias
	}
	if o.alias >= 0 {
		*o.at(row, o.alias).(*Alias) = Alias(e.aliasText())
	}
	return tx.put(e), nil
}

// After asks for work that has to wait for the end of the session, once for
// each name and arg: After("reload", "network"). It may be called from a Stage,
// and by a participant in its Prepare and Commit.
func (tx *Tx) After(name, arg string) {
	if a := (Action{name, arg}); !slices.Contains(tx.after, a) {
		tx.after = append(tx.after, a)
	}
}

// Rekey says, from a Stage, that a row of table ("Device.X.{i}.") will be
// called new instead of old; it keeps its number, its alias and its children.
// at holds the keys of its parents.
func (tx *Tx) Rekey(table string, at []Key, old, new Key) {
	if n := tx.root.find(table); n != nil && n.table && old != new {
		tx.rekeys = append(tx.rekeys, rekey{n, slices.Clone(at), old, new})
	}
}

// Path returns, inside a Stage, the path of a parameter of the row being
// staged, for a participant that wants to blame it later with a ParamError.
// It is spelled as the caller spelled it, where the caller did.
func (tx *Tx) Path(name string) string {
	if tx.staging == nil {
		return name
	}
	return tx.staging.path(name)
}

func (e *edit) path(name string) string {
	for _, a := range e.asked {
		if a.name == name {
			return a.path
		}
	}
	return e.prefix + name
}

// set reports whether somebody assigned the parameter.
func (e *edit) set(name string) bool {
	return slices.ContainsFunc(e.asked, func(a asked) bool { return a.name == name })
}

// Enlist returns the participant known by key, making it on first use. It is
// called from a Stage.
func Enlist[P Participant](tx *Tx, key any, begin func() (P, error)) (P, error) {
	p, ok := tx.by[key].(P)
	if !ok {
		var err error
		if p, err = begin(); err != nil {
			return p, err
		}
		tx.by[key] = p
		tx.join = append(tx.join, joined{p: p})
	}
	tx.touch(p)
	return p, nil
}

func (tx *Tx) touch(p Participant) {
	for i := range tx.join {
		if j := &tx.join[i]; j.p == p && tx.staging != nil && !slices.Contains(j.rows, tx.staging) {
			j.rows = append(j.rows, tx.staging)
		}
	}
}
