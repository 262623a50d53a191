package bus

// org.gatehouse1.Subtree from our side: rows that are asked for, and changes
// that a vendor takes part in.

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"strings"
	"time"

	"github.com/godbus/dbus/v5"

	"gatehouse/datamodel"
	"gatehouse/internal/systembus"
)

const (
	maxRows = 4096 // of a table below one parent
	maxKey  = 128
)

// define makes the object of a shape. grafted: it hangs below somebody else's
// rows.
func (s *shape) define(grafted bool) datamodel.Object {
	src := datamodel.Source[row]{
		Load: s.load, Stage: s.stage, Clone: clone, Unique: s.unique,
		Topics: []datamodel.Topic{s.reg.topic}, Volatile: s.volatile, Extends: s.extends || grafted,
	}
	if s.extends {
		src.New = func(context.Context, []datamodel.Key) (datamodel.Key, *row, error) {
			r, err := s.row(nil)
			return "", &r, err
		}
	} else {
		src.Rows = s.rows
		if s.add {
			src.New = s.fresh
		}
	}
	return datamodel.Define(s.path, s.params, src)
}

func (s *shape) wrong(format string, args ...any) error {
	return &datamodel.Unavailable{Source: s.reg.v.source(s.path), Err: fmt.Errorf("its answer makes no sense: "+format, args...)}
}

// row is the row of these values, and the defaults for the rest.
func (s *shape) row(values map[string]dbus.Variant) (row, error) {
	var r row
	var bad error
	err := datamodel.Fill(s.params, &r, func(name string) (string, bool) {
		v, ok := values[name]
		typ := s.typeOf(name)
		if !ok || typ == "alias" {
			text, ok := s.defaults[name]
			return text, ok
		}
		text, ok := plain(typ, v.Value())
		if !ok && bad == nil {
			bad = fmt.Errorf("%s is declared as %s, and was given as %s", name, typ, v.Signature())
		}
		return text, ok
	})
	return r, errors.Join(bad, err)
}

func (s *shape) typeOf(name string) string {
	for i := range s.params {
		if s.params[i].Name == name {
			return s.types[i]
		}
	}
	return ""
}

// declared sees that a vendor tells of nothing that it has not declared.
func (s *shape) declared(values map[string]dbus.Variant) error {
	for name := range values {
		if s.typeOf(name) == "" {
			return fmt.Errorf("%.64q is not declared", name)
		}
	}
	return nil
}

// A rowsKey is under which the rows of a table are remembered within a request.
type rowsKey struct {
	s      *shape
	parent string
}

// all asks the vendor for the rows below a parent, once for each request.
func (s *shape) all(ctx context.Context, parent []datamodel.Key) ([]datamodel.Row[row], error) {
	return datamodel.Once(ctx, rowsKey{s, strings.Join(parent, "\x00")}, s.size, func(ctx context.Context) ([]datamodel.Row[row], error) {
		if parent == nil {
			parent = []datamodel.Key{}
		}
		body, err := s.reg.v.call(ctx, s.reg, "Rows", s.path, parent)
		var no *refusal
		if errors.As(err, &no) {
			return nil, &datamodel.Unavailable{Source: s.reg.v.source(s.path), Err: err}
		}
		if err != nil {
			return nil, err
		}
		rows, err := s.parse(body)
		if err != nil {
			s.reg.v.d.log.Warn("a vendor's answer makes no sense", "sender", s.reg.v.sender, "table", s.path, "err", err)
			return nil, s.wrong("%w", err)
		}
		return rows, nil
	})
}

// size is about what rows weigh: an interface and a pointer for each cell. An
// extension is asked for row by row, so that its rows must be remembered; a
// message bounds them.
func (s *shape) size(rows []datamodel.Row[row]) int {
	size := len(rows) * (32 + 24*len(s.params))
	if s.extends {
		return min(size, 16<<10)
	}
	return size
}

var errNoRows = fmt.Errorf("rows are a(sa{sv}) in at most %d bytes", systembus.MaxBody)

func (s *shape) parse(body []any) ([]datamodel.Row[row], error) {
	if len(body) != 1 {
		return nil, errNoRows
	}
	list, ok := body[0].([][]any)
	if !ok {
		return nil, errNoRows
	}
	if len(list) > maxRows {
		return nil, fmt.Errorf("%d rows are more than %d", len(list), maxRows)
	}
	rows, seen := make([]datamodel.Row[row], len(list)), make(map[string]bool, len(list))
	for i, e := range list {
		if len(e) != 2 {
			return nil, errNoRows
		}
		key, isKey := e[0].(string)
		values, isMap := e[1].(map[string]dbus.Variant)
		if !isKey || !isMap {
			return nil, errNoRows
		}
		if len(key) > maxKey || seen[key] {
			return nil, fmt.Errorf("the key %.64q is there twice, or longer than %d bytes", key, maxKey)
		}
		seen[key] = true
		if err := s.declared(values); err != nil {
			return nil, err
		}
		r, err := s.row(values)
		if err != nil {
			return nil, fmt.Errorf("row %.64q: %w", key, err)
		}
		rows[i] = datamodel.Row[row]{Key: key, Value: &r}
	}
	return rows, nil
}

func (s *shape) rows(ctx context.Context, parent []datamodel.Key) iter.Seq2[datamodel.Row[row], error] {
	return func(yield func(datamodel.Row[row], error) bool) {
		rows, err := s.all(ctx, parent)
		if err != nil {
			yield(datamodel.Row[row]{}, err)
			return
		}
		for _, r := range rows {
			if !yield(datamodel.Row[row]{Key: r.Key, Value: new(*r.Value)}, nil) { // cells are made when they are looked at
				return
			}
		}
	}
}

func (s *shape) load(ctx context.Context, at []datamodel.Key) (*row, error) {
	parent, key := at, ""
	if strings.HasSuffix(s.path, "{i}.") && len(at) > 0 {
		parent, key = at[:len(at)-1:len(at)-1], at[len(at)-1]
	}
	rows, err := s.all(ctx, parent)
	if err != nil {
		return nil, err
	}
	for _, r := range rows {
		if r.Key == key {
			return new(*r.Value), nil
		}
	}
	return nil, datamodel.ErrGone
}

// fresh asks the vendor for a row to add.
func (s *shape) fresh(ctx context.Context, parent []datamodel.Key) (datamodel.Key, *row, error) {
	if parent == nil {
		parent = []datamodel.Key{}
	}
	body, err := s.reg.v.call(ctx, s.reg, "New", s.path, parent)
	if err != nil {
		return "", nil, err
	}
	var key string
	values := map[string]dbus.Variant{}
	if err := dbus.Store(body, &key, &values); err != nil || key == "" || len(key) > maxKey {
		return "", nil, s.wrong("New returns a key and values, (sa{sv})")
	}
	if err := s.declared(values); err != nil {
		return "", nil, s.wrong("%w", err)
	}
	r, err := s.row(values)
	if err != nil {
		return "", nil, s.wrong("%w", err)
	}
	switch _, err := s.load(ctx, append(parent[:len(parent):len(parent)], key)); {
	case err == nil:
		return "", nil, s.wrong("the key %.64q of the new row is that of another", key)
	case !errors.Is(err, datamodel.ErrGone):
		return "", nil, err
	}
	return key, &r, nil
}

// A change is what happens to a row, as Validate and Apply are told it.
type change struct {
	Kind   string // "set", "add", "delete"
	Table  string
	Keys   []string
	Values map[string]dbus.Variant // of set: what was assigned
}

func (s *shape) stage(ctx context.Context, tx *datamodel.Tx, at []datamodel.Key, c datamodel.Change[row]) error {
	p, err := datamodel.Enlist(tx, s.reg, func() (*participant, error) {
		return &participant{reg: s.reg, id: s.reg.v.d.vendors.nextID(), paths: map[string]string{}}, nil
	})
	if err != nil {
		return err
	}
	ch := change{Kind: "set", Table: s.path, Keys: at, Values: map[string]dbus.Variant{}}
	switch {
	case c.New == nil:
		ch.Kind = "delete"
	case c.Old == nil:
		ch.Kind = "add"
	}
	for i := range s.params {
		name := s.params[i].Name
		if c.New != nil && s.types[i] != "alias" && (c.Old == nil && s.params[i].Access != datamodel.Command || c.Set(name)) {
			ch.Values[name] = s.variant(c.New, i)
		}
	}
	if ch.Keys == nil {
		ch.Keys = []string{}
	}
	p.changes = append(p.changes, ch)
	for i := range s.params {
		name := s.params[i].Name
		if _, had := p.paths[name]; !had || c.Set(name) {
			p.paths[name] = tx.Path(name)
		}
	}
	return nil
}

// variant is a cell as D-Bus carries it.
func (s *shape) variant(r *row, i int) dbus.Variant {
	switch p := s.params[i].At(r).(type) {
	case *string:
		return dbus.MakeVariant(valid(*p))
	case *bool:
		return dbus.MakeVariant(*p)
	case *int32:
		return dbus.MakeVariant(*p)
	case *uint32:
		return dbus.MakeVariant(*p)
	case *int64:
		return dbus.MakeVariant(*p)
	case *uint64:
		return dbus.MakeVariant(*p)
	case *time.Time:
		return dbus.MakeVariant(datamodel.Text(s.params, r, s.params[i].Name))
	case *[]byte:
		return dbus.MakeVariant(append([]byte{}, *p...))
	case *[]string:
		list := make([]string, len(*p))
		for i, item := range *p {
			list[i] = valid(item)
		}
		return dbus.MakeVariant(list)
	}
	return dbus.MakeVariant("")
}

// A participant is a vendor's part in one transaction.
type participant struct {
	reg     *registration
	id      uint64
	changes []change
	paths   map[string]string // of parameters that a refusal may blame, by name
	sent    bool              // Apply was
}

// Prepare implements datamodel.Participant.
func (p *participant) Prepare(ctx context.Context) error {
	_, err := p.reg.v.call(ctx, p.reg, "Validate", p.id, p.changes)
	return p.blame(err)
}

// Commit implements datamodel.Participant.
func (p *participant) Commit(ctx context.Context) (deferred bool, err error) {
	p.sent = true
	body, err := p.reg.v.call(ctx, p.reg, "Apply", p.id, p.changes)
	if err != nil {
		return false, p.blame(err)
	}
	if len(body) > 0 {
		deferred, _ = body[0].(bool)
	}
	return deferred, nil
}

// Rollback implements datamodel.Participant. A vendor that does not answer is
// told, and not waited for.
func (p *participant) Rollback(ctx context.Context) error {
	if !p.sent {
		return nil
	}
	if p.reg.v.isDown() != nil {
		p.reg.v.send(p.reg, "Revert", p.id)
		return nil
	}
	_, err := p.reg.v.call(ctx, p.reg, "Revert", p.id)
	return err
}

// blame lays a vendor's no on the parameter that its message begins with:
// "Brightness: the lamp is too old".
func (p *participant) blame(err error) error {
	var no *refusal
	if !errors.As(err, &no) {
		return err
	}
	name, text, _ := strings.Cut(no.text, ": ")
	if path, ok := p.paths[name]; ok {
		return &datamodel.ParamError{Path: path, Err: &refusal{no.name, text}}
	}
	return err
}
