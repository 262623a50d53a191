package datamodel

// What one request remembers: the small dumps (links, addresses) that many of
// its rows come from.

import (
	"context"
	"sync"
)

const defaultMemo = 256 << 10

type memoKey struct{}

type memo struct {
	mu   sync.Mutex
	left int // bytes
	m    map[any]*remembered
}

type remembered struct {
	done  chan struct{}
	value any
	err   error
}

func withMemo(ctx context.Context, bytes int) context.Context {
	if bytes <= 0 {
		bytes = defaultMemo
	}
	return context.WithValue(ctx, memoKey{}, &memo{left: bytes, m: make(map[any]*remembered)})
}

// WithMemo returns a context in which Once remembers, up to the tree's cap.
// Readers make one of their own for each call that has none.
func (t *Tree) WithMemo(ctx context.Context) context.Context { return withMemo(ctx, t.o.MemoBytes) }

// WithMemo is Tree.WithMemo with the default cap of 256 KiB.
func WithMemo(ctx context.Context) context.Context { return withMemo(ctx, 0) }

func (t *Tree) ensureMemo(ctx context.Context) context.Context {
	if ctx.Value(memoKey{}) != nil {
		return ctx
	}
	return t.WithMemo(ctx)
}

// forgetAll makes the request see what a transaction has changed.
func forgetAll(ctx context.Context) {
	if m, _ := ctx.Value(memoKey{}).(*memo); m != nil {
		m.mu.Lock()
		clear(m.m)
		m.mu.Unlock()
	}
}

// Once calls load once for each key and request (WithMemo) and remembers what
// it returned when size says that it fits under what is left of the cap;
// larger values go to those who wait for them and are forgotten. So are errors
// of the context; other errors are remembered, so that a source that times out
// does so once. Without a memo in ctx it calls load.
//
// The key must be comparable; a private type with the platform in it keeps two
// platforms apart. load must not ask for its own key.
func Once[V any](ctx context.Context, key any, size func(V) int, load func(context.Context) (V, error)) (V, error) {
	value, err := once(ctx, key, func(ctx context.Context) (any, int, error) {
		v, err := load(ctx)
		if err != nil {
			return v, 0, err
		}
		return v, size(v), nil
	})
	v, _ := value.(V)
	return v, err
}

// once is Once but for the type; load returns the size as well.
func once(ctx context.Context, key any, load func(context.Context) (value any, size int, err error)) (any, error) {
	m, _ := ctx.Value(memoKey{}).(*memo)
	if m == nil {
		v, _, err := load(ctx)
		return v, err
	}
	m.mu.Lock()
	r, ok := m.m[key]
	if ok {
		m.mu.Unlock()
		<-r.done
		return r.value, r.err
	}
	r = &remembered{done: make(chan struct{})}
	m.m[key] = r
	m.mu.Unlock()

	keep := false
	defer func() { // also when load panics
		if !keep {
			m.mu.Lock()
			if m.m[key] == r {
				delete(m.m, key)
			}
			m.mu.Unlock()
		}
		close(r.done)
	}()
	v, n, err := load(ctx)
	r.value, r.err = v, err
	if err != nil {
		keep = ctx.Err() == nil
		return v, err
	}
	m.mu.Lock()
	if keep = n <= m.left; keep {
		m.left -= n
	}
	m.mu.Unlock()
	return v, nil
}
