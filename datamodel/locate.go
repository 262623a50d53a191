package datamodel

// Finding the one thing that a path without wildcards names.

import (
	"context"
	"errors"
	"slices"
	"strconv"
)

// create makes the row of an unknown alias; nil: it is an error.
type create func(s *spot, alias string) (Key, uint32, error)

// locate follows p as far as there are objects; what is left in want is a
// parameter, or a fixed sub-object when p is partial. Prefixes are numbered.
// Rows on the way have been seen to be there.
func (v view) locate(ctx context.Context, p path, make create) (*spot, error) {
	s := &spot{n: v.root, prefix: Root, want: p.segs}
	if !s.n.admits(s.want, p.partial) {
		return nil, ErrNoName
	}
	for len(s.want) > 0 {
		k := s.n.kid(s.want[0].name)
		if k == nil || !p.partial && (len(s.want) == 1 || s.n.has(s.want[0].rest)) {
			break // what admits has let pass is a parameter, a count or a fixed sub-object
		}
		*s = spot{n: k, prefix: s.prefix + k.name + ".", at: s.at, fresh: s.fresh, want: s.want[1:]}
		if !k.table || len(s.want) == 0 {
			continue
		}
		if err := v.step(ctx, s, make); err != nil {
			return nil, err
		}
	}
	return s, nil
}

// step goes from a table to the instance that the path names next.
func (v view) step(ctx context.Context, s *spot, make create) error {
	id := &s.want[0]
	if id.any {
		return ErrNoName
	}
	key, num, sure, err := v.instance(ctx, s.n, s.at, s.fresh, id)
	at := append(slices.Clone(s.at), key)
	if err == nil && !sure {
		err = v.exists(ctx, s.n, at)
	}
	fresh := s.fresh
	if errors.Is(err, ErrGone) {
		if make == nil || id.alias == "" || defaultAlias(id.alias) > 0 {
			return ErrNoName
		}
		key, num, err = make(s, id.alias)
		at[len(at)-1] = key
	}
	if err != nil {
		return err
	}
	if e := v.tx.edit(s.n.obj, at); e != nil && e.old == nil {
		fresh = true
	}
	*s = spot{n: s.n, prefix: s.prefix + strconv.FormatUint(uint64(num), 10) + ".", at: at, isRow: true, num: num, fresh: fresh, want: s.want[1:]}
	return nil
}
