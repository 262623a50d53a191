// Rows that the platform keeps in configuration of its own, as a participant
// of a transaction: one batch for all of them, blamed on parameters, undone
// after a crash, and services reloaded once after the session.

package tr181

import (
	"context"
	"errors"
	"iter"
	"strings"

	"gatehouse/datamodel"
	"gatehouse/platform"
)

// undoConfig names the configuration's entries in the journal; reload is the
// action that is left for after the session, its argument a service.
const (
	undoConfig = "config"
	reload     = "reload"
)

// configBatch is a batch of the platform's configuration as a participant.
type configBatch struct {
	platform.ConfigBatch
	m     *Model
	tx    *datamodel.Tx
	blame map[int]string // item: path of the parameter
	last  []func()       // what asks only when everybody has had his say
}

// config returns the batch of the transaction.
func (m *Model) config(ctx context.Context, tx *datamodel.Tx) (*configBatch, error) {
	return datamodel.Enlist(tx, undoConfig, func() (*configBatch, error) {
		b, err := m.p.Config.Begin(ctx)
		if err != nil {
			return nil, lacking(err)
		}
		return &configBatch{ConfigBatch: b, m: m, tx: tx, blame: map[int]string{}}, nil
	})
}

// putRow asks the platform to keep row under key, which it creates when there
// is none. blame names the parameter that a refusal is laid on.
func putRow[T any](ctx context.Context, m *Model, tx *datamodel.Tx, t platform.Table[T], key string, row T, blame string) error {
	b, err := m.config(ctx, tx)
	if err != nil {
		return err
	}
	b.blame[t.Put(b.ConfigBatch, key, row)] = tx.Path(blame)
	return nil
}

// deleteRow asks the platform to take a row out.
func deleteRow[T any](ctx context.Context, m *Model, tx *datamodel.Tx, t platform.Table[T], key string) error {
	b, err := m.config(ctx, tx)
	if err != nil {
		return err
	}
	b.blame[t.Delete(b.ConfigBatch, key)] = tx.Path("")
	return nil
}

// A sharedRow is a row of the platform that several objects may change in one
// transaction (an interface and its addresses). It is put once, when all of
// them have had their say.
type sharedRow[T any] struct {
	row   T
	gone  bool   // the row is to be deleted
	blame string // path of the parameter that was set last
	said  map[string]string
}

// Prepare, Commit and Rollback make it a participant that does nothing: it
// lives as long as the transaction.
func (*sharedRow[T]) Prepare(context.Context) error        { return nil }
func (*sharedRow[T]) Commit(context.Context) (bool, error) { return false, nil }
func (*sharedRow[T]) Rollback(context.Context) error       { return nil }

// sharedKey names a shared row in its transaction.
type sharedKey struct {
	table string
	key   string
}

// share returns what the transaction makes of the row under key, which begins
// as load says, for the caller to change. blame names the parameter that asks.
func share[T any](ctx context.Context, m *Model, tx *datamodel.Tx, t platform.Table[T], table, key, blame string, load func() (T, error)) (*sharedRow[T], error) {
	b, err := m.config(ctx, tx)
	if err != nil {
		return nil, err
	}
	r, err := datamodel.Enlist(tx, sharedKey{table, key}, func() (*sharedRow[T], error) {
		row, err := load()
		if err != nil {
			return nil, err
		}
		r := &sharedRow[T]{row: row, said: map[string]string{}}
		b.last = append(b.last, func() {
			item := 0
			if r.gone {
				item = t.Delete(b.ConfigBatch, key)
			} else {
				item = t.Put(b.ConfigBatch, key, r.row)
			}
			b.blame[item] = r.blame
		})
		return r, nil
	})
	if err == nil {
		r.blame = tx.Path(blame)
	}
	return r, err
}

var errSaidOtherwise = errors.New("another parameter of the same request says otherwise")

// say notes what a parameter makes of a field that another one can set, too.
func (r *sharedRow[T]) say(field, value, param string) error {
	if was, ok := r.said[field]; ok && was != value {
		return &datamodel.FieldError{Name: param, Err: errSaidOtherwise}
	}
	r.said[field] = value
	return nil
}

// configured reads a table of the platform, once per request.
func configured[T any](ctx context.Context, m *Model, what string, t platform.Table[T]) ([]platform.Entry[T], error) {
	return dumpRows(ctx, dumpKey{m, what}, func(ctx context.Context) iter.Seq2[platform.Entry[T], error] { return t.Rows(ctx) })
}

// Prepare asks the platform whether it could, and leaves word which services
// have to be reloaded after the session.
func (b *configBatch) Prepare(ctx context.Context) error {
	for _, ask := range b.last {
		ask()
	}
	if err := b.ConfigBatch.Prepare(ctx); err != nil {
		return blamed(err, b.blame)
	}
	for _, s := range b.Reloads() {
		b.tx.After(reload, s)
	}
	return nil
}

// Commit writes the configuration. It takes effect with the reload.
func (b *configBatch) Commit(ctx context.Context) (deferred bool, err error) {
	deferred, err = b.ConfigBatch.Commit(ctx)
	return deferred, blamed(err, b.blame)
}

// Undo is what the journal keeps.
func (b *configBatch) Undo() (name string, data []byte) { return undoConfig, b.ConfigBatch.Undo() }

// Plan tells what Commit would write. Which of the values of a row a parameter
// has become only the platform knows: where there are several, they are the
// row's.
func (b *configBatch) Plan() (lines []datamodel.Line) {
	writes, values := b.Writes(), map[int]int{}
	for _, w := range writes {
		values[w.Item]++
	}
	for _, w := range writes {
		path := b.blame[w.Item]
		if values[w.Item] > 1 && !strings.HasSuffix(path, ".") {
			path = above(path, 1)
		}
		lines = append(lines, datamodel.Line{
			Path: path, Where: w.File, What: w.Place, Old: w.Old, New: w.New, Service: w.Service, Uplink: w.Uplink,
		})
	}
	return lines
}

// Uplink says whether taking the changes up interrupts the way to the ACS.
func (b *configBatch) Uplink() bool {
	for _, w := range b.Writes() {
		if w.Uplink {
			return true
		}
	}
	return false
}

// undoConfig takes back what a crash left half done, and has the services take
// up what there was before.
func (m *Model) undoConfig(ctx context.Context, data []byte) error {
	services, err := m.p.Config.Undo(ctx, data)
	if err != nil || len(services) == 0 {
		return err
	}
	if m.a.Reload != nil {
		m.a.Reload(services)
		return nil
	}
	return m.p.Config.Reload(ctx, services)
}
