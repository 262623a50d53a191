package uciconf

// A batch: changes of rows, made in the packages once all of them are known.

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"gatehouse/internal/uci"
	"gatehouse/platform"
)

// Batch implements platform.ConfigBatch.
type Batch struct {
	conf   *Conf
	items  []func(*edit) error
	change *uci.Change
	owner  map[place]int // which item wrote what
	deltas []uci.Delta
	// created are the keys of the rows that the batch makes.
	created []handedKey
}

var _ platform.ConfigBatch = (*Batch)(nil)

// A place is an option of a section, or the section itself.
type place struct {
	section *uci.Section
	option  string
}

// batchOf finds the batch of this package in b, which a backend may have
// wrapped in one of its own.
func batchOf(b platform.ConfigBatch) *Batch {
	for {
		switch x := b.(type) {
		case *Batch:
			return x
		case interface{ Unwrap() platform.ConfigBatch }:
			b = x.Unwrap()
		default:
			panic(fmt.Sprintf("uciconf: a batch of another platform: %T", b))
		}
	}
}

func (b *Batch) add(f func(*edit) error) (item int) {
	b.items = append(b.items, f)
	return len(b.items) - 1
}

// Prepare implements platform.ConfigBatch. The locks of the files that change
// are held from here to Commit or Rollback.
func (b *Batch) Prepare(ctx context.Context) error {
	b.change = b.conf.o.Dir.Begin()
	e := &edit{view: view{conf: b.conf, packages: map[string]*uci.Package{}, editing: true}, ctx: ctx, batch: b, doubtful: map[*uci.Section]bool{}, made: map[*uci.Section]int{},
		found: map[*uci.Package][]*uci.Section{}}
	if err := e.run(b.items); err != nil {
		return err
	}
	e.settle()
	if err := b.change.Prepare(); err != nil {
		return err
	}
	b.deltas = b.change.Deltas()
	return nil
}

// A notYet is an error that may be none once the other items are done: what an
// item refers to may be another's to create.
type notYet struct{ error }

// run does the items in their order, those that have to wait once more, and last
// what depends on all of them.
func (e *edit) run(items []func(*edit) error) error {
	var waiting []int
	do := func(i int, f func(*edit) error, last bool) error {
		e.item, e.err = i, nil
		err := f(e)
		if err == nil {
			err = e.err
		}
		var wait notYet
		switch {
		case err == nil:
			return nil
		case errors.As(err, &wait) && !last:
			waiting = append(waiting, i)
			return nil
		}
		return &platform.ItemError{Item: i, Err: err}
	}
	for i, f := range items {
		if err := do(i, f, false); err != nil {
			return err
		}
	}
	for _, i := range slices.Clone(waiting) {
		if err := do(i, items[i], true); err != nil {
			return err
		}
	}
	for len(e.late) > 0 {
		l := e.late[0]
		e.late = e.late[1:]
		if err := do(l.item, l.do, true); err != nil {
			return err
		}
	}
	return nil
}

// settle writes what was found of the hardware together with the first change of
// its package, and not without one.
func (e *edit) settle() {
	for p, found := range e.found {
		by := -1
		for at, item := range e.batch.owner {
			if slices.Contains(p.Sections, at.section) && (by < 0 || item < by) {
				by = item
			}
		}
		for _, s := range found {
			if by < 0 {
				p.Delete(s)
				continue
			}
			if _, owned := e.batch.owner[place{s, ""}]; !owned {
				e.batch.owner[place{s, ""}] = by
			}
		}
	}
}

// Refuse has a batch fail, by an item of its own: for tables that can only be
// read.
func Refuse(batch platform.ConfigBatch, err error) (item int) {
	return batchOf(batch).add(func(*edit) error { return err })
}

// afterAll puts off what depends on the other items of the batch.
func (e *edit) afterAll(do func(*edit) error) { e.late = append(e.late, lateItem{e.item, do}) }

type lateItem struct {
	item int
	do   func(*edit) error
}

// Commit implements platform.ConfigBatch. The files are replaced one after the
// other; what they mean is deferred to the reload of Reloads.
func (b *Batch) Commit(context.Context) (deferred bool, err error) {
	return len(b.Reloads()) > 0, b.change.Commit()
}

// Rollback implements platform.ConfigBatch.
func (b *Batch) Rollback(ctx context.Context) error {
	if b.change == nil {
		return nil
	}
	for _, k := range b.created {
		b.conf.forget(k)
	}
	return b.change.Rollback(ctx)
}

// Undo implements platform.ConfigBatch.
func (b *Batch) Undo() []byte { return b.change.Undo() }

// Reloads implements platform.ConfigBatch: services are named as the packages
// that they read.
func (b *Batch) Reloads() []string {
	var all []string
	for _, m := range managed {
		if slices.ContainsFunc(b.deltas, func(d uci.Delta) bool { return d.Package == m.pkg && service(d) != "" }) {
			all = append(all, m.pkg)
		}
	}
	return all
}

// Writes implements platform.ConfigBatch.
func (b *Batch) Writes() []platform.Write {
	var all []platform.Write
	for _, d := range b.deltas {
		w := platform.Write{
			Item: b.itemOf(d), File: b.conf.o.Dir.Path(d.Package), Place: d.Section.Name,
			Old: shown(d.Option, d.Old), New: shown(d.Option, d.New), Service: service(d),
		}
		if d.Option != "" {
			w.Place += "." + d.Option
		}
		w.Uplink = w.Service != "" && b.conf.uplink(d)
		all = append(all, w)
	}
	return all
}

func (b *Batch) itemOf(d uci.Delta) int {
	if item, ok := b.owner[place{d.Section, d.Option}]; ok {
		return item
	}
	// The section came, went or was named as a whole.
	return b.owner[place{d.Section, ""}]
}

// service says who has to take a change up: nobody what is ours, or a name.
func service(d uci.Delta) string {
	switch {
	case strings.HasPrefix(d.Option, own):
		return ""
	case d.Option == "" && d.Old != nil && d.New != nil && d.Old.Values[0] == d.New.Values[0]:
		return ""
	case strings.HasPrefix(d.Section.Type, own) && (d.Option != "" || d.Old == nil || d.New == nil):
		return ""
	}
	return d.Package
}

// uplink says whether taking up a change interrupts the way to the ACS: netifd
// sets up again those interfaces, and only those, whose sections have changed.
func (c *Conf) uplink(d uci.Delta) bool {
	if c.o.Uplink == nil {
		return false
	}
	switch d.Package + "." + d.Section.Type {
	case "network.interface":
		return c.o.Uplink(d.Section.Name)
	case "network.route", "network.route6":
		return c.o.Uplink(d.Section.Get("interface"))
	case "wireless.wifi-iface":
		return d.Section.Get("mode") == "sta" && c.o.Uplink(d.Section.Get("network"))
	}
	return false
}

// secret says whether an option is never shown, by what the options of OpenWrt's
// packages are called, and ours: a section that goes takes all of its options
// along, also those that are no business of ours (private_key of WireGuard).
func secret(option string) bool {
	if strings.HasPrefix(strings.TrimPrefix(option, own), "key") {
		return true
	}
	return slices.ContainsFunc([]string{"pass", "secret", "psk", "private_key", "preshared_key", "token", "pincode"}, func(word string) bool {
		return strings.Contains(option, word)
	})
}

func shown(option string, o *uci.Option) string {
	switch {
	case o == nil:
		return ""
	case secret(option):
		return "***"
	}
	return o.Value()
}

// An edit is what an item of a batch works on.
type edit struct {
	view
	ctx   context.Context // it lives as long as Prepare
	batch *Batch
	item  int
	err   error // the first of those that the setters met
	late  []lateItem
	// arranged: the sections of dhcp are looked at when all else is done.
	arranged bool
	// doubtful are sections that were named now, of a file that is not the one
	// whose rows were read.
	doubtful map[*uci.Section]bool
	made     map[*uci.Section]int            // by which item
	found    map[*uci.Package][]*uci.Section // of the hardware, and not yet written
}

// errPending is why a package is left alone for now: the changes call sections
// by names that tell their places, as libuci makes them up.
var errPending = errors.New("somebody has changes of sections without a name that are not committed")

// pending says whether somebody is about to commit changes of a package.
func (c *Conf) pending(pkg string) bool { return slices.Contains(c.Pending(), pkg) }

// open locks a package to be changed. All of its rows get names, because the
// change may move those behind it. That waits for changes that somebody has not
// committed: under other names than theirs, libuci would leave them out.
func (e *edit) open(pkg string) (*uci.Package, error) {
	p, err := e.batch.change.Package(e.ctx, pkg)
	if err != nil { // locked, overridden, damaged: not for what the row says
		return nil, unavailable(e.conf, pkg, err)
	}
	if e.packages[pkg] == p {
		return p, nil
	}
	unnamed := names(p)
	if len(unnamed) > 0 && e.conf.pending(pkg) {
		return nil, unavailable(e.conf, pkg, errPending)
	}
	e.packages[pkg] = p
	e.found[p] = e.conf.find(p)
	for s, name := range unnamed {
		e.doubtful[s] = !e.conf.wasHanded(p, name)
		if err := p.Rename(s, name); err != nil {
			return nil, err
		}
		e.own(s, "")
	}
	return p, nil
}

func (e *edit) own(s *uci.Section, option string) { e.batch.owner[place{s, option}] = e.item }

// trust refuses a section that may not be the one that was meant.
func (e *edit) trust(p *uci.Package, s *uci.Section) error {
	if e.doubtful[s] {
		return fmt.Errorf("%s: %s has changed since it was read: %w", e.conf.o.Dir.Path(p.Name), s.Name, platform.ErrGone)
	}
	return nil
}

func (e *edit) add(p *uci.Package, typ, key string) *uci.Section {
	s, err := p.Add(typ, key)
	if err != nil {
		e.fail(err)
		return &uci.Section{Type: typ, Name: key} // the edit has failed; nobody will see it
	}
	e.own(s, "")
	e.made[s] = e.item
	return s
}

// isNew says whether the item at hand has made the section.
func (e *edit) isNew(s *uci.Section) bool {
	item, ok := e.made[s]
	return ok && item == e.item
}

// delete takes a section out, unless that gives the names of those behind it,
// which somebody is changing, to others.
func (e *edit) delete(p *uci.Package, s *uci.Section) {
	behind := p.Sections[slices.Index(p.Sections, s)+1:]
	if slices.ContainsFunc(behind, func(s *uci.Section) bool { return s.Anonymous }) && e.conf.pending(p.Name) {
		e.fail(unavailable(e.conf, p.Name, errPending))
		return
	}
	e.own(s, "")
	p.Delete(s)
}

func (e *edit) fail(err error) {
	if e.err == nil {
		e.err = err
	}
}
