// The configuration of the router in memory: tables that one batch changes all
// or nothing, and services that take it up when they are told to.

package fake

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"maps"
	"reflect"
	"slices"
	"strconv"

	"gatehouse/platform"
)

// A store is a configuration: what each package holds, by table. Maps are
// replaced, never changed in place.
type store map[string][]entry

type entry struct {
	key   string
	value any
	fixed bool
}

// config is the configuration of a router.
type config struct {
	committed store
	batches   []*configBatch // that were committed, for Undo
	reloads   map[string]int
	failed    map[string]error // services that do not come up again
	prepare   error
	commit    error
	upstream  map[string]bool // packages whose reload interrupts the uplink
	onReload  map[string]func()
	gone      map[string]bool     // rows that a batch has met, by table and key: one that is not there has gone
	takeUp    map[string][]func() // what a service does with what was committed; called under the lock
}

// FailConfig lets the phases of a batch of configuration fail, until nil is
// given: prepare refuses, commit breaks off after half of its writes.
func (r *Router) FailConfig(prepare, commit error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.config.prepare, r.config.commit = prepare, commit
}

// FailReload lets a service ("wireless") not come up again, until nil is given.
func (r *Router) FailReload(service string, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.config.failed[service] = err
}

// OnReload calls f, outside all locks, when a service takes its configuration up.
func (r *Router) OnReload(service string, f func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.config.onReload[service] = f
}

// Reloads returns how often a service was told to take its configuration up.
func (r *Router) Reloads(service string) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.config.reloads[service]
}

// A table is one table of the configuration, kept in the package that its
// service is called after.
type table[T any] struct {
	r             *Router
	name, service string
	fresh         T
	clone         func(T) T          // nil: T holds no slices
	merge         func(old, new T) T // nil: new counts; what a write leaves as it was
}

// seed fills a table of a new router.
func seed[T any](t table[T], fixed bool, rows ...platform.Entry[T]) table[T] {
	for _, row := range rows {
		t.r.config.committed[t.name] = append(t.r.config.committed[t.name], entry{row.Key, row.Value, fixed})
	}
	return t
}

// Source names what [Router.FailRead] and [Router.Dumps] call the table.
func (t table[T]) source() Source { return Source("config " + t.name) }

func (t table[T]) Rows(ctx context.Context) iter.Seq2[platform.Entry[T], error] {
	return func(yield func(platform.Entry[T], error) bool) {
		if _, err := (backend{t.r}).read(ctx, t.source()); err != nil {
			yield(platform.Entry[T]{}, err)
			return
		}
		t.r.mu.Lock()
		rows := t.r.config.committed[t.name]
		t.r.mu.Unlock()
		for _, e := range rows {
			if err := ctx.Err(); err != nil {
				yield(platform.Entry[T]{}, err)
				return
			}
			if !yield(platform.Entry[T]{Key: e.key, Value: t.copy(e.value.(T)), Fixed: e.fixed}, nil) {
				return
			}
		}
	}
}

// committed returns the rows, for a caller that holds the lock.
func (t table[T]) committed() (rows []platform.Entry[T]) {
	for _, e := range t.r.config.committed[t.name] {
		rows = append(rows, platform.Entry[T]{Key: e.key, Value: e.value.(T), Fixed: e.fixed})
	}
	return rows
}

// takenUp has the service of the table call f, under the lock, whenever it
// takes its configuration up.
func (t table[T]) takenUp(f func()) {
	t.r.config.takeUp[t.service] = append(t.r.config.takeUp[t.service], f)
}

func (t table[T]) copy(v T) T {
	if t.clone == nil {
		return v
	}
	return t.clone(v)
}

func (t table[T]) Fresh(ctx context.Context) (string, T, error) {
	t.r.mu.Lock()
	defer t.r.mu.Unlock()
	t.r.fresh++
	return t.name + strconv.Itoa(t.r.fresh), t.copy(t.fresh), ctx.Err()
}

func (t table[T]) Put(b platform.ConfigBatch, key string, row T) int {
	row = t.copy(row)
	return b.(*configBatch).ask(t.service, t.name, key, func(rows []entry) ([]entry, error) {
		rows = slices.Clone(rows)
		if i := slices.IndexFunc(rows, func(e entry) bool { return e.key == key }); i >= 0 {
			if t.merge != nil {
				row = t.merge(rows[i].value.(T), row)
			}
			rows[i].value = row
			return rows, nil
		}
		if len(rows) > 0 && rows[0].fixed {
			return nil, platform.ErrUnsupported
		}
		if t.r.config.gone[t.name+" "+key] {
			return nil, platform.ErrGone
		}
		return append(rows, entry{key: key, value: row}), nil
	})
}

func (t table[T]) Delete(b platform.ConfigBatch, key string) int {
	return b.(*configBatch).ask(t.service, t.name, key, func(rows []entry) ([]entry, error) {
		i := slices.IndexFunc(rows, func(e entry) bool { return e.key == key })
		switch {
		case i < 0:
			return nil, platform.ErrGone
		case rows[i].fixed:
			return nil, platform.ErrUnsupported
		}
		return slices.Delete(slices.Clone(rows), i, i+1), nil
	})
}

// A configBatch is a batch of configuration. Its asks are applied to a copy by
// Prepare, which Commit puts in place.
type configBatch struct {
	r         *Router
	asks      []ask
	was, next store
	committed bool
}

type ask struct {
	service, table, key string
	edit                func([]entry) ([]entry, error)
}

func (b *configBatch) ask(service, table, key string, edit func([]entry) ([]entry, error)) int {
	b.asks = append(b.asks, ask{service, table, key, edit})
	return len(b.asks) - 1
}

// configuration has the role of platform.Config.
type configuration struct{ *Router }

// Begin opens a batch.
func (c configuration) Begin(ctx context.Context) (platform.ConfigBatch, error) {
	return &configBatch{r: c.Router}, ctx.Err()
}

// Prepare applies the asks to a copy.
func (b *configBatch) Prepare(ctx context.Context) error {
	b.r.mu.Lock()
	defer b.r.mu.Unlock()
	if err := b.r.config.prepare; err != nil {
		return err
	}
	b.was, b.next = store{}, store{}
	for i, a := range b.asks {
		rows, ok := b.next[a.table]
		if !ok {
			rows = b.r.config.committed[a.table]
			b.was[a.table] = rows
		}
		edited, err := a.edit(rows)
		if err != nil {
			return &platform.ItemError{Item: i, Err: err}
		}
		b.next[a.table] = edited
	}
	return ctx.Err()
}

// Commit puts the copy in place.
func (b *configBatch) Commit(ctx context.Context) (deferred bool, err error) {
	if b.next == nil && len(b.asks) > 0 {
		return false, errNotPrepared
	}
	b.r.mu.Lock()
	defer b.r.mu.Unlock()
	names := slices.Sorted(maps.Keys(b.next))
	if b.r.config.gone == nil {
		b.r.config.gone = map[string]bool{}
	}
	for i, name := range names {
		if b.r.config.commit != nil && i >= len(names)/2 {
			return false, b.r.config.commit
		}
		for _, e := range b.r.config.committed[name] {
			b.r.config.gone[name+" "+e.key] = true
		}
		b.r.config.committed[name] = b.next[name]
	}
	b.committed = true
	b.r.config.batches = append(b.r.config.batches, b)
	return len(names) > 0, nil
}

// Rollback puts back what was there.
func (b *configBatch) Rollback(context.Context) error {
	b.r.mu.Lock()
	defer b.r.mu.Unlock()
	maps.Copy(b.r.config.committed, b.was)
	b.was = nil
	return nil
}

// Undo names the batch by the number that it will have.
func (b *configBatch) Undo() []byte {
	b.r.mu.Lock()
	defer b.r.mu.Unlock()
	return strconv.AppendInt(nil, int64(len(b.r.config.batches)), 10)
}

func (b *configBatch) Reloads() []string {
	var names []string
	for _, a := range b.asks {
		if !slices.Contains(names, a.service) && !reflect.DeepEqual(b.was[a.table], b.next[a.table]) {
			names = append(names, a.service)
		}
	}
	return names
}

func (b *configBatch) Writes() []platform.Write {
	var ws []platform.Write
	for i, a := range b.asks {
		ws = append(ws, platform.Write{Item: i, File: "/etc/config/" + a.service, Place: a.key, Service: a.service,
			New: a.table, Uplink: b.r.config.upstream[a.service]})
	}
	return ws
}

// Undo takes a committed batch back.
func (c configuration) Undo(ctx context.Context, data []byte) (reloads []string, err error) {
	n, err := strconv.Atoi(string(data))
	if err != nil {
		return nil, fmt.Errorf("undo of the configuration: %w", err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if n >= len(c.config.batches) {
		return nil, nil // it was never committed
	}
	b := c.config.batches[n]
	if !b.committed {
		return nil, nil
	}
	maps.Copy(c.config.committed, b.was)
	b.committed = false
	return b.Reloads(), ctx.Err()
}

// Reload has services take their configuration up.
func (c configuration) Reload(ctx context.Context, services []string) error {
	var errs []error
	for _, s := range services {
		c.mu.Lock()
		c.config.reloads[s]++
		err, f := c.config.failed[s], c.config.onReload[s]
		if err == nil {
			for _, take := range c.config.takeUp[s] {
				take()
			}
			c.tell(c.settle()...)
		}
		c.mu.Unlock()
		if f != nil {
			f()
		}
		if err != nil {
			errs = append(errs, &platform.ServiceError{Service: s, Err: err})
		}
	}
	return errors.Join(errs...)
}
