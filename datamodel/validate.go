package datamodel

// What a transaction checks of whole rows, and whom it blames.

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"reflect"
	"slices"
	"strings"
)

// validate checks a row that was added or edited: its alias, its unique keys,
// and what the Source says.
func (tx *Tx) validate(ctx context.Context, e *edit) Errors {
	var errs Errors
	if e.new != nil {
		if e.alias != nil {
			errs = append(errs, tx.uniqueAlias(e)...)
		}
		for _, key := range e.o.unique {
			errs = append(errs, tx.uniqueKey(ctx, e, key)...)
		}
	}
	if err := tx.view().rows(e.o).check(e.old, e.new, e.set); err != nil {
		errs = append(errs, e.blame(asValueAll(err))...)
	}
	return errs
}

// uniqueAlias sees that no other row of the table has the alias of e, or will
// have it by default.
func (tx *Tx) uniqueAlias(e *edit) Errors {
	last := len(e.at) - 1
	tab := tx.t.numbers.table(e.n, e.at[:last])
	num := e.num
	if e.old != nil {
		num = tab.number(e.at[last], 0)
	}
	taken := false
	if n := defaultAlias(*e.alias); n > 0 {
		taken = n != num
	} else if key, ok := tab.byAlias(*e.alias); ok && key != e.at[last] {
		other := tx.edit(e.o, append(slices.Clone(e.at[:last]), key))
		taken = other == nil || other.new != nil && other.alias == nil
	}
	for x := range tx.edited(e.o, e.at[:last]) {
		taken = taken || x != e && x.alias != nil && *x.alias == *e.alias
	}
	if !taken {
		return nil
	}
	return Errors{{e.path(e.o.name(e.o.alias)), fmt.Errorf("%w: the alias is taken", ErrValue)}}
}

// uniqueKey compares a row with all others of its table. It does nothing when
// neither the key nor Enable was touched.
func (tx *Tx) uniqueKey(ctx context.Context, e *edit, names []string) Errors {
	o := e.o
	touched := e.old == nil || e.set("Enable")
	for _, n := range names {
		touched = touched || e.set(n)
	}
	if !touched || !o.table || !o.enabled(e.new) || o != e.n.obj {
		return nil
	}
	w := tx.Reader(ReadOptions{}).walker(ctx)
	parent, own := e.at[:len(e.at)-1], e.at[len(e.at)-1]
	mine := w.keyOf(e.n, e.at, e.new, names)
	clash := false
	err := w.each(ctx, e.n, parent, false, true, func(k Key, r *row) error {
		if k == own || !o.enabled(r) {
			return nil
		}
		at := append(parent[:len(parent):len(parent)], k)
		if w.keyOf(e.n, at, r, names) == mine {
			clash = true
			return errStop
		}
		return nil
	})
	if !clash && (err == nil || errors.Is(err, ErrGone)) {
		return nil
	}
	if clash {
		err = fmt.Errorf("%w: another row has the same %s", ErrValue, strings.Join(names, " and "))
	}
	var errs Errors
	for _, n := range names {
		if e.set(n) {
			errs = append(errs, &ParamError{e.path(n), err})
		}
	}
	if errs == nil {
		errs = e.blame(err)
	}
	return errs
}

func (o *object) enabled(r *row) bool {
	return o.enable < 0 || *o.at(r, o.enable).(*bool)
}

func (w *walker) keyOf(n *node, at []Key, r *row, names []string) string {
	s := &spot{n: n, at: at, row: r, isRow: true}
	var b strings.Builder
	for _, name := range names {
		for i := range n.obj.kinds {
			if n.obj.name(i) == name {
				b.WriteString(plain(n.obj.param(i).check, w.text(s, n.obj.at(r, i), n.obj.kinds[i].typ)))
				b.WriteByte(0)
			}
		}
	}
	return b.String()
}

// plain is the one spelling of an address that has many: it stays as it was
// written, but 2001:DB8::1 and 2001:db8:0::1 are one key.
func plain(c Check, text string) string {
	switch c.(type) {
	case IPAddress, IPv6Address:
		if a, err := netip.ParseAddr(text); err == nil {
			return a.String()
		}
	case IPPrefix, IPv6Prefix:
		if p, err := netip.ParsePrefix(text); err == nil {
			return p.String()
		}
	case MACAddress:
		return strings.ToLower(text)
	}
	return text
}

// flat takes a tree of joined errors apart. What fmt.Errorf makes of several
// is one error, and stays one.
func flat(err error) []error {
	if err == nil {
		return nil
	}
	if errs, ok := err.(Errors); ok {
		return errs.Unwrap()
	}
	joined, ok := err.(interface{ Unwrap() []error })
	if !ok || reflect.TypeOf(err) != reflect.TypeOf(errors.Join(err)) {
		return []error{err}
	}
	var out []error
	for _, e := range joined.Unwrap() {
		out = append(out, flat(e)...)
	}
	return out
}

// asValueAll makes what Check says, when it does not say of what kind it is,
// an ErrValue.
func asValueAll(err error) error {
	var out []error
	for _, e := range flat(err) {
		out = append(out, asValue(e))
	}
	return errors.Join(out...)
}

// blame lays an error of a Check or a Stage on parameters of the row: on the
// one that it names, else on those that were assigned, else on the row.
func (e *edit) blame(err error) Errors {
	var errs Errors
	for _, one := range flat(err) {
		var pe *ParamError
		var fe *FieldError
		switch {
		case errors.As(one, &pe):
			errs = append(errs, pe)
		case errors.As(one, &fe):
			errs = append(errs, &ParamError{e.path(fe.Name), asValue(fe.Err)})
		case len(e.asked) == 0:
			errs = append(errs, &ParamError{e.prefix, one})
		default:
			for _, a := range e.asked {
				errs = append(errs, &ParamError{a.path, one})
			}
		}
	}
	return errs
}

// blame lays an error of a Prepare on the rows that enlisted the participant.
// A field that it names is looked for where it was assigned first, then where
// it is declared.
func (j *joined) blame(err error) Errors {
	var errs Errors
	for _, one := range flat(err) {
		var fe *FieldError
		var at *edit
		if errors.As(one, &fe) {
			for _, e := range j.rows {
				if e.set(fe.Name) || at == nil && e.o.declares(fe.Name) {
					at = e
				}
			}
		}
		var pe *ParamError
		switch {
		case errors.As(one, &pe):
			errs = append(errs, pe)
		case at != nil:
			errs = append(errs, at.blame(one)...)
		case len(j.rows) == 0:
			errs = append(errs, &ParamError{Root, one})
		default:
			for _, e := range j.rows {
				errs = append(errs, e.blame(one)...)
			}
		}
	}
	return errs
}
