package datamodel

// References: keys inside, numbered paths outside.

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// refCache holds the paths of the instances that one walk has met in
// references: a thousand routes point to the same few interfaces.
type refCache map[string]string

const maxRefs = 512

// ref prints a reference: "" when it points to nothing (any more).
func (w *walker) ref(r Ref) string {
	if r.Table == "" {
		return ""
	}
	id := rowID(r.Table, r.At)
	if text, ok := w.refs[id]; ok {
		return text
	}
	text := w.point(w.ctx, r)
	if w.refs == nil {
		w.refs = make(refCache)
	}
	if len(w.refs) < maxRefs {
		w.refs[id] = text
	}
	return text
}

func (w *walker) refList(list []Ref) string {
	items := make([]string, 0, len(list))
	for _, r := range list {
		if text := w.ref(r); text != "" {
			items = append(items, text)
		}
	}
	return strings.Join(items, ",")
}

// point returns the numbered path of r without its last dot, or "".
func (v view) point(ctx context.Context, r Ref) string {
	n := v.root.find(r.Table)
	if n == nil || strings.Count(r.Table, "{i}") != len(r.At) {
		return ""
	}
	if !v.alive(ctx, n, r.At) {
		return ""
	}
	var b strings.Builder
	b.WriteString(strings.TrimSuffix(Root, "."))
	up, depth := v.root, 0
	for part := range strings.SplitSeq(strings.TrimSuffix(strings.TrimPrefix(r.Table, Root), "."), ".") {
		if part != "{i}" {
			b.WriteByte('.')
			b.WriteString(part)
			up = up.kid(part)
			continue
		}
		num := uint32(0)
		if e := v.tx.edit(up.obj, r.At[:depth+1]); e != nil && e.old == nil {
			num = e.num
		} else {
			num = v.t.numbers.table(up, r.At[:depth]).number(r.At[depth], 0)
		}
		depth++
		b.WriteByte('.')
		b.WriteString(strconv.FormatUint(uint64(num), 10))
	}
	return b.String()
}

// alive reports whether a row that is pointed to is there, and those above it.
// When its source does not answer, one that has a number is thought to be.
func (v view) alive(ctx context.Context, n *node, at []Key) bool {
	if v.tx != nil && v.tx.deletedAbove(n, at) {
		return false
	}
	if !n.table {
		if n.obj == nil {
			return true
		}
		return !errors.Is(v.present(ctx, &spot{n: n, at: at}), ErrGone)
	}
	err := v.exists(ctx, n, at)
	if err == nil || errors.Is(err, ErrGone) {
		return err == nil
	}
	_, ok := v.t.numbers.table(n, at[:len(at)-1]).peek(at[len(at)-1])
	return ok
}

// parseRef finds what a path written by somebody points to. refs are the
// tables that it may be in; nil: any.
func (v view) parseRef(ctx context.Context, text string, refs []string) (Ref, error) {
	text = strings.Trim(text, " \t\r\n")
	if text == "" {
		return Ref{}, nil
	}
	p, err := parsePath(strings.TrimSuffix(text, ".") + ".")
	if err != nil {
		return Ref{}, fmt.Errorf("%w: %q is no path", ErrValue, clip(text))
	}
	s, err := v.locate(ctx, p, nil)
	if err != nil && !errors.Is(err, ErrNoName) {
		return Ref{}, err
	}
	if err != nil || len(s.want) > 0 || s.n.table && !s.isRow {
		return Ref{}, fmt.Errorf("%w: %s: there is no such instance", ErrValue, clip(text))
	}
	if refs != nil && !slices.Contains(refs, s.n.path) {
		return Ref{}, fmt.Errorf("%w: %s is none of %s", ErrValue, clip(text), strings.Join(refs, ", "))
	}
	return Ref{Table: s.n.path, At: s.at}, nil
}

func (v view) parseRefs(ctx context.Context, text string, refs []string) ([]Ref, error) {
	var out []Ref
	for _, item := range splitList(text) {
		r, err := v.parseRef(ctx, item, refs)
		if err != nil {
			return nil, err
		}
		if r.Table != "" {
			out = append(out, r)
		}
	}
	return out, nil
}

// keyText and parseKeyText are how our own files write a reference: the
// template, and the keys.
func (r Ref) keyText() string {
	b := []byte(r.Table)
	for _, k := range r.At {
		b = appendWord(append(b, ' '), k)
	}
	return string(b)
}

func parseKeyText(text string) (Ref, error) {
	w, err := words(text)
	if err != nil || len(w) == 0 {
		return Ref{}, err
	}
	if err := checkTemplate(w[0]); err != nil || strings.Count(w[0], "{i}") != len(w)-1 {
		return Ref{}, fmt.Errorf("%q points nowhere", clip(text))
	}
	return Ref{Table: w[0], At: slices.Clip(w[1:])}, nil
}
