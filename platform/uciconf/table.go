package uciconf

// Tables: rows of a package, read in one pass and changed through a batch.

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"slices"

	"gatehouse/internal/uci"
	"gatehouse/platform"
)

// A view reads packages, each of them once.
type view struct {
	conf     *Conf
	packages map[string]*uci.Package
	derived  map[*uci.Section]string
	editing  bool // what is read is for nobody else to see
}

// get returns a package; one whose file is not there has no sections.
func (v *view) get(pkg string) (*uci.Package, error) {
	if p := v.packages[pkg]; p != nil {
		return p, nil
	}
	p, err := v.conf.o.Dir.Read(pkg)
	if errors.Is(err, fs.ErrNotExist) {
		p, err = &uci.Package{Name: pkg}, nil
	}
	if err != nil {
		return nil, err
	}
	v.conf.find(p)
	v.packages[pkg] = p
	return p, nil
}

// find adds the sections of the hardware that a package lacks, and returns them.
func (c *Conf) find(p *uci.Package) (added []*uci.Section) {
	if c.o.Found == nil {
		return nil
	}
	for _, f := range c.o.Found(p.Name) {
		s, err := p.Add(f.Type, f.Name)
		if err != nil {
			continue // it has the section
		}
		s.Options = f.Options
		added = append(added, s)
	}
	return added
}

// beside returns a package that rows of another one are completed from. When it
// is damaged the rows go without.
func (v *view) beside(pkg string) *uci.Package {
	p, err := v.get(pkg)
	if err != nil {
		return &uci.Package{Name: pkg}
	}
	return p
}

// need is for a change that follows from what another package says: when that is
// damaged, it would follow from nothing.
func (e *edit) need(pkg string) {
	if _, err := e.get(pkg); err != nil {
		e.fail(unavailable(e.conf, pkg, err))
	}
}

// key names a row. A section that has no name is known by the one that it is
// going to have (see names). That one tells its place in the file, so it is
// right only as long as the file is the same: a batch that finds another file
// refuses to use it. [Conf.Name] ends that state soon, except on a read-only
// disk, where the file stays the same anyway.
func (v *view) key(p *uci.Package, s *uci.Section) string {
	if !s.Anonymous {
		return s.Name
	}
	if _, ok := v.derived[s]; !ok {
		if v.derived == nil {
			v.derived = map[*uci.Section]string{}
		}
		for s, name := range names(p) {
			v.derived[s] = name
		}
	}
	if !v.editing {
		v.conf.hand(p, v.derived[s])
	}
	return v.derived[s]
}

// A core is a table but for the type of its rows, which it holds as pointers to
// them: a build has it once, and not once for each table.
type core struct {
	conf   *Conf
	pkg    string
	prefix string // of the keys of new rows; "": there can be none
	rows   func(v *view, p *uci.Package, emit func(key string, row any, fixed bool) bool)
	put    func(e *edit, p *uci.Package, key string, row any) error
	del    func(e *edit, p *uci.Package, key string) error // nil: rows are fixed
}

// each reads the rows.
func (c *core) each(ctx context.Context, yield func(key string, row any, fixed bool, err error) bool) {
	v := c.conf.view()
	p, err := v.get(c.pkg)
	if err == nil {
		err = ctx.Err()
	}
	if err != nil {
		yield("", nil, false, unavailable(c.conf, c.pkg, err))
		return
	}
	c.rows(v, p, func(key string, row any, fixed bool) bool {
		c.conf.know(c.pkg, key)
		return yield(key, row, fixed, nil)
	})
}

func (c *core) ask(batch platform.ConfigBatch, key string, row any) int {
	return batchOf(batch).add(func(e *edit) error {
		p, err := e.open(c.pkg)
		if err != nil {
			return err
		}
		return c.put(e, p, key, row)
	})
}

// Delete implements platform.Table.
func (c *core) Delete(batch platform.ConfigBatch, key string) int {
	return batchOf(batch).add(func(e *edit) error {
		if c.del == nil {
			return fmt.Errorf("%s cannot be deleted: %w", key, platform.ErrUnsupported)
		}
		p, err := e.open(c.pkg)
		if err != nil {
			return err
		}
		return c.del(e, p, key)
	})
}

// A table is one kind of rows.
type table[T any] struct {
	core
	blank T // what a new row begins as
}

// Rows implements platform.Table.
func (t *table[T]) Rows(ctx context.Context) iter.Seq2[platform.Entry[T], error] {
	return func(yield func(platform.Entry[T], error) bool) {
		t.each(ctx, func(key string, row any, fixed bool, err error) bool {
			e := platform.Entry[T]{Key: key, Fixed: fixed}
			if err == nil {
				e.Value = *row.(*T)
			}
			return yield(e, err)
		})
	}
}

// Fresh implements platform.Table.
func (t *table[T]) Fresh(context.Context) (string, T, error) {
	key, err := t.conf.fresh(t.pkg, t.prefix)
	return key, t.blank, err
}

// Put implements platform.Table.
func (t *table[T]) Put(batch platform.ConfigBatch, key string, row T) int {
	return t.ask(batch, key, &row)
}

func (c *Conf) view() *view { return &view{conf: c, packages: map[string]*uci.Package{}} }

func unavailable(c *Conf, pkg string, err error) error {
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	return &platform.Unavailable{Source: c.o.Dir.Path(pkg), Err: err}
}

// fresh makes a key. It is random, so that none is ever used for two rows, and
// short, because keys of interfaces become names of links.
func (c *Conf) fresh(pkg, prefix string) (string, error) {
	if prefix == "" {
		return "", fmt.Errorf("rows of %s cannot be created: %w", c.o.Dir.Path(pkg), platform.ErrUnsupported)
	}
	p, err := c.o.Dir.Read(pkg)
	if err != nil {
		return "", err
	}
	for {
		var b [3]byte
		if _, err := rand.Read(b[:]); err != nil {
			return "", err
		}
		key := prefix + hex.EncodeToString(b[:])
		if p.Section(key) == nil {
			return key, nil
		}
	}
}

// A kind is a table whose rows are sections.
type kind[T any] struct {
	pkg    string
	types  []string // of the sections; a new row is of the first
	prefix string
	blank  T
	fixed  bool
	// only is the key of the one row that there is. In a folder of our own it is
	// there before anything is written.
	only string
	// shows says whether the section is a row; nil: it is.
	shows func(s *uci.Section) bool
	// key overrides the name of the section as the key of the row; nil: it is.
	key   func(v *view, p *uci.Package, s *uci.Section) string
	read  func(v *view, s *uci.Section) T
	write func(e *edit, p *uci.Package, s *uci.Section, old, row *T) error
	// gone is done instead of taking the section out; nil: nothing else is.
	gone func(e *edit, p *uci.Package, s *uci.Section) error
}

func (k kind[T]) table(c *Conf) platform.Table[T] {
	s := &ofSections{
		types: k.types, prefix: k.prefix, fixed: k.fixed, only: k.only, shows: k.shows, key: k.key, gone: k.gone,
		read: func(v *view, s *uci.Section) any {
			row := k.read(v, s)
			return &row
		},
		write: func(e *edit, p *uci.Package, s *uci.Section, old, row any) error {
			return k.write(e, p, s, old.(*T), row.(*T))
		},
	}
	return &table[T]{s.core(c, k.pkg), k.blank}
}

// ofSections is the core of a kind.
type ofSections struct {
	types  []string
	prefix string
	fixed  bool
	only   string
	shows  func(s *uci.Section) bool
	key    func(v *view, p *uci.Package, s *uci.Section) string
	read   func(v *view, s *uci.Section) any
	write  func(e *edit, p *uci.Package, s *uci.Section, old, row any) error
	gone   func(e *edit, p *uci.Package, s *uci.Section) error
}

func (k *ofSections) core(c *Conf, pkg string) core {
	switch {
	case k.only != "":
		k.fixed = true
		k.key = func(*view, *uci.Package, *uci.Section) string { return k.only }
	case k.key == nil:
		k.key = (*view).key
	}
	t := core{conf: c, pkg: pkg, prefix: k.prefix, rows: k.rows, put: k.put}
	if !k.fixed {
		t.del = k.del
	}
	return t
}

// made says whether the only row is there before anything is written.
func (k *ofSections) made(v *view) bool { return k.only != "" && v.conf.o.Dir.Create }

func (k *ofSections) has(s *uci.Section) bool {
	return slices.Contains(k.types, s.Type) && (k.shows == nil || k.shows(s))
}

func (k *ofSections) rows(v *view, p *uci.Package, emit func(key string, row any, fixed bool) bool) {
	for _, s := range p.Sections {
		if k.has(s) && (!emit(k.key(v, p, s), k.read(v, s), k.fixed) || k.only != "") {
			return
		}
	}
	if k.made(v) {
		emit(k.only, k.read(v, &uci.Section{}), true)
	}
}

// find returns the section of a row, nil when there is none.
func (k *ofSections) find(e *edit, p *uci.Package, key string) (*uci.Section, error) {
	for _, s := range p.Sections {
		if k.has(s) && k.key(&e.view, p, s) == key {
			return s, e.trust(p, s)
		}
	}
	return nil, nil
}

func (k *ofSections) put(e *edit, p *uci.Package, key string, row any) error {
	s, err := k.find(e, p, key)
	switch {
	case err != nil:
		return err
	case s != nil:
		e.conf.know(p.Name, key)
	case k.made(&e.view) && key == k.only:
		s = e.add(p, k.types[0], k.types[0])
	case k.prefix == "":
		return fmt.Errorf("%s: %w", key, platform.ErrGone)
	default:
		if err := e.mayPut(p, key, false); err != nil {
			return err
		}
		s = e.add(p, k.types[0], key)
	}
	return k.write(e, p, s, k.read(&e.view, s), row)
}

func (k *ofSections) del(e *edit, p *uci.Package, key string) error {
	s, err := k.find(e, p, key)
	switch {
	case err != nil:
		return err
	case s == nil:
		return fmt.Errorf("%s: %w", key, platform.ErrGone)
	case k.gone != nil:
		return k.gone(e, p, s)
	}
	e.delete(p, s)
	return nil
}
