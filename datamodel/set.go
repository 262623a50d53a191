package datamodel

// Set and Delete: what they put into the overlay.

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Set assigns parameters in the transaction. It goes through all of them and
// returns every error, as Errors; the transaction is then only good for Abort.
// What concerns rows as wholes (Check, Unique) comes up in DryRun or Commit,
// and, after an error, here: the caller hears of everything at once.
func (tx *Tx) Set(ctx context.Context, as ...Assignment) error {
	ctx = tx.callback(ctx)
	var errs Errors
	var failed []string
	seen := make(map[string]bool, len(as))
	for _, a := range as {
		name, err := tx.assign(ctx, a)
		if err == nil && seen[name] {
			err = ErrDuplicate
		}
		seen[name] = true
		var pe *ParamError
		if errors.As(err, &pe) {
			err = pe.Err
		}
		if err != nil {
			errs = append(errs, &ParamError{a.Path, err})
			failed = append(failed, name)
		}
	}
	if errs != nil {
		return append(errs, tx.also(ctx, failed)...)
	}
	return nil
}

// also finds what else of the transaction would be refused; failed are the
// names of what already was.
func (tx *Tx) also(ctx context.Context, failed []string) Errors {
	wrong := map[*edit]bool{}
	for _, name := range failed {
		var row *edit
		for _, e := range tx.order {
			if strings.HasPrefix(name, e.prefix) && (row == nil || len(e.prefix) > len(row.prefix)) {
				row = e
			}
		}
		if row != nil {
			wrong[row] = true
		}
	}
	errs := tx.stage(ctx, wrong)
	if err := tx.rollback(ctx); err != nil {
		tx.t.o.Log.Error("rolling back failed", "err", err)
	}
	clear(tx.by)
	tx.after, tx.rekeys = nil, nil
	return errs
}

// assign returns the numbered name of what it has set.
func (tx *Tx) assign(ctx context.Context, a Assignment) (string, error) {
	p, err := parsePath(a.Path)
	if err != nil {
		return "", err
	}
	if p.partial {
		return "", fmt.Errorf("%w: not a full name", ErrNoName)
	}
	var auto create
	if tx.AutoCreate {
		auto = func(s *spot, alias string) (Key, uint32, error) {
			e, err := tx.add(ctx, s, alias)
			if err != nil {
				return "", 0, err
			}
			return e.at[len(e.at)-1], e.num, nil
		}
	}
	s, err := tx.view().locate(ctx, p, auto)
	if errors.Is(err, ErrGone) {
		err = ErrNoName
	}
	if err != nil {
		return "", err
	}
	name := s.want[0].rest
	o, i := s.n.param(name)
	if i < 0 || o.kinds[i].readOnly {
		return s.prefix + name, ErrReadOnly
	}
	if a.Type != "" && !tx.Lenient && !o.kinds[i].typ.is(a.Type) {
		return s.prefix + name, fmt.Errorf("%w: %s, not %s", ErrType, o.kinds[i].typ.XSD(), clip(a.Type))
	}
	e, err := tx.change(ctx, s, o)
	if err != nil {
		return s.prefix + name, err
	}
	if err := tx.write(ctx, e, i, a.Value); err != nil {
		if o.param(i).hidden {
			err = ErrValue // whose text would repeat the secret
		}
		return s.prefix + name, err
	}
	e.asked = append(e.asked, asked{a.Path, name})
	return s.prefix + name, nil
}

// write parses and checks text in a row of its own first, so that a value that
// is refused leaves no trace.
func (tx *Tx) write(ctx context.Context, e *edit, i int, text string) error {
	p, typ := e.o.param(i), e.o.kinds[i].typ
	try := e.o.at(e.o.zero(), i)
	switch f := try.(type) {
	case *Ref:
		r, err := tx.view().parseRef(ctx, text, p.refs)
		if err != nil {
			return err
		}
		*e.o.at(e.new, i).(*Ref) = r
		return nil
	case *[]Ref:
		list, err := tx.view().parseRefs(ctx, text, p.refs)
		if err != nil {
			return err
		}
		if p.check != nil {
			if err := p.check.check(&list); err != nil {
				return asValue(err)
			}
			if err := (Len{Max: LimitsOf(p.check).MaxList}).check(&text); err != nil {
				return asValue(err)
			}
		}
		*e.o.at(e.new, i).(*[]Ref) = list
		return nil
	case *Alias:
		if err := checkAlias(text); err != nil {
			return asValue(err)
		}
		*f = Alias(text)
		e.alias = &text
	}
	if err := parse(try, typ, text); err != nil {
		return asValue(err)
	}
	if p.check != nil {
		if err := p.check.check(try); err != nil {
			return asValue(err)
		}
	}
	return parse(e.o.at(e.new, i), typ, text)
}

// Delete deletes the instance at path, and what is below it: children are
// staged before their parents.
func (tx *Tx) Delete(ctx context.Context, path string) error {
	ctx = tx.callback(ctx)
	p, err := parsePath(path)
	if err != nil {
		return err
	}
	if !p.partial {
		return noName(path, "an instance ends in a dot")
	}
	s, err := tx.view().locate(ctx, p, nil)
	if err == nil && len(s.want) > 0 {
		err = ErrNoName
	}
	if err != nil {
		return notThere(path, err)
	}
	if !s.isRow || !s.n.obj.canAdd {
		return &ParamError{path, fmt.Errorf("%w: this cannot be deleted", ErrDenied)}
	}
	if err := tx.remove(ctx, s); err != nil {
		return notThere(path, err)
	}
	return nil
}

// remove deletes what is at s and below, the lowest first.
func (tx *Tx) remove(ctx context.Context, s *spot) error {
	for _, k := range slices.Backward(s.n.kids) {
		if !k.visible() || !k.staged() {
			continue
		}
		below := &spot{n: k, prefix: s.prefix + k.name + ".", at: s.at, fresh: s.fresh}
		var err error
		if k.table {
			err = tx.removeRows(ctx, below)
		} else {
			err = tx.remove(ctx, below)
		}
		if err != nil {
			return err
		}
	}
	for _, o := range slices.Backward(s.n.ext) {
		if err := tx.removeRow(ctx, s, o); err != nil && !errors.Is(err, ErrGone) {
			return err
		}
	}
	err := tx.removeRow(ctx, s, s.n.obj)
	if errors.Is(err, ErrGone) && !s.isRow {
		return nil
	}
	return err
}

// staged reports whether anything at n or below can be written.
func (n *node) staged() bool {
	hit := false
	n.objects(func(o *object) bool {
		hit = hit || o.canStage
		return !hit
	})
	return hit || slices.ContainsFunc(n.kids, (*node).staged)
}

func (tx *Tx) removeRows(ctx context.Context, s *spot) error {
	var keys []Key
	v := tx.view()
	err := v.each(ctx, s.n, s.at, s.fresh, false, func(k Key, _ *row) error {
		keys = append(keys, k)
		return nil
	})
	if err != nil {
		return err
	}
	tab := tx.t.numbers.table(s.n, s.at)
	for _, k := range keys {
		at := append(slices.Clone(s.at), k)
		row := &spot{n: s.n, at: at, isRow: true, fresh: s.fresh}
		if e := tx.edit(s.n.obj, at); e != nil && e.old == nil {
			row.num, row.fresh = e.num, true
		} else {
			row.num = tab.number(k, 0)
		}
		row.prefix = fmt.Sprintf("%s%d.", s.prefix, row.num)
		if err := tx.remove(ctx, row); err != nil && !errors.Is(err, ErrGone) {
			return err
		}
	}
	return nil
}

// removeRow deletes the row of one declaration, at the end of the order. A row
// that the transaction itself has added has never been.
func (tx *Tx) removeRow(ctx context.Context, s *spot, o *object) error {
	if o == nil || !o.canStage {
		return nil
	}
	e := tx.edit(o, s.at)
	if e == nil && s.fresh {
		return nil
	}
	if e == nil {
		old, err := tx.view().load(ctx, o, s.at, false)
		if err != nil {
			return err
		}
		e = tx.put(&edit{n: s.n, o: o, at: s.at, prefix: s.prefix, num: s.num, old: tx.view().clone(o, old)})
		tx.fillAlias(e)
		return nil
	}
	tx.order = slices.DeleteFunc(tx.order, func(x *edit) bool { return x == e })
	if e.old == nil {
		delete(tx.edits, editKey{e.o, rowID("", e.at)})
		return nil
	}
	e.new, e.alias, e.asked = nil, nil, nil
	tx.order = append(tx.order, e)
	return nil
}
