package notify

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"log/slog"
	"maps"
	"slices"
	"strings"

	"gatehouse/datamodel"
)

// Subscriber is the one entity of an access list that TR-069 knows. Others
// that an ACS names are ignored.
const Subscriber = "Subscriber"

// An Attribute is what GetParameterAttributes tells of one parameter.
type Attribute struct {
	Name         string
	Notification int      // 0 off, 1 passive, 2 active, 3..6 with lightweight ones (TR-069 A.3.2.4)
	AccessList   []string // who on the LAN may write it, besides the ACS
}

// A Change is one SetParameterAttributesStruct. Name is a parameter or a
// partial path, which stands for the parameters that are there now.
type Change struct {
	Name               string
	NotificationChange bool // else Notification is not looked at
	Notification       int
	AccessListChange   bool // else AccessList is not looked at
	AccessList         []string
}

// attribute is what an ACS has set for one parameter.
type attribute struct {
	notification uint8
	noSubscriber bool
}

// reports tells whether a change is to be told in an Inform: actively,
// passively, or passively and by a lightweight notification.
func (a attribute) reports() bool {
	switch a.notification {
	case 1, 2, 4, 6:
		return true
	}
	return false
}

// attributes holds what differs from what a parameter has by declaration.
type attributes map[string]attribute

// declared returns what a parameter has when nobody has set anything.
func declared(d datamodel.Notify) attribute {
	if d == datamodel.NotifyForced || d == datamodel.NotifyDefaultOn {
		return attribute{notification: 2}
	}
	return attribute{}
}

func (a attributes) of(path string, d datamodel.Notify) attribute {
	if have, ok := a[path]; ok {
		return have
	}
	return declared(d)
}

// encode returns one line for each parameter: notification, access, path.
func (a attributes) encode() []byte {
	var b bytes.Buffer
	for _, path := range slices.Sorted(maps.Keys(a)) {
		access := Subscriber
		if a[path].noSubscriber {
			access = "-"
		}
		fmt.Fprintf(&b, "%d %s %s\n", a[path].notification, access, path)
	}
	return b.Bytes()
}

func (a attributes) save(b datamodel.Backing) error { return save(b, a.encode()) }

// loadAttributes reads what encode has written. Lines that are not understood
// are left out with a warning.
func loadAttributes(b datamodel.Backing, log *slog.Logger) (attributes, error) {
	a := attributes{}
	if b == nil {
		return a, nil
	}
	text, err := b.Load()
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return a, fmt.Errorf("attributes: %w", err)
	}
	for line := range strings.Lines(string(text)) {
		f := strings.Fields(line)
		if len(f) != 3 || len(f[0]) != 1 || f[0] < "0" || f[0] > "6" || f[1] != Subscriber && f[1] != "-" {
			log.Warn("an attribute is not understood", "line", line)
			continue
		}
		a[f[2]] = attribute{f[0][0] - '0', f[1] == "-"}
	}
	return a, nil
}

// Attributes yields the attributes of the parameters at or below paths, which
// are called as the caller calls them. An error is the last thing yielded. It
// may be called at any time, from anywhere.
func (n *Notifier) Attributes(ctx context.Context, paths []string) iter.Seq2[Attribute, error] {
	attrs := *n.attrs.Load()
	return func(yield func(Attribute, error) bool) {
		for _, path := range paths {
			for p, err := range n.params(ctx, path) {
				if err != nil {
					yield(Attribute{}, err)
					return
				}
				at := attrs.of(p.path, p.Notify)
				out := Attribute{Name: p.Name, Notification: int(at.notification)}
				if !at.noSubscriber {
					out.AccessList = []string{Subscriber}
				}
				if !yield(out, nil) {
					return
				}
			}
		}
	}
}

// A param is a parameter as the caller names it, and its numbered path.
type param struct {
	datamodel.Item
	path string
}

// params yields the parameters at or below path: a full name that is a
// parameter's, or a partial path. The value of a full name is not read.
func (n *Notifier) params(ctx context.Context, path string) iter.Seq2[param, error] {
	return func(yield func(param, error) bool) {
		info, err := n.cfg.Tree.Describe(ctx, path)
		switch {
		case err != nil:
			yield(param{}, err)
			return
		case !info.Object:
			yield(param{datamodel.Item{Name: path, Notify: info.Notify}, info.Path}, nil)
			return
		case path != "" && !strings.HasSuffix(path, "."):
			yield(param{}, fmt.Errorf("%s: %w", path, datamodel.ErrNoName))
			return
		}
		for it, err := range n.cfg.Tree.Values(ctx, info.Path) {
			if err != nil {
				yield(param{}, err)
				return
			}
			numbered := it.Name
			if rest, ok := strings.CutPrefix(numbered, info.Path); ok && path != "" {
				it.Name = path + rest
			}
			if !yield(param{it, numbered}, nil) {
				return
			}
		}
	}
}

// SetAttributes applies changes in order, all or none, and returns when they
// are on disk. It fails with ErrNoName, ErrArguments or ErrResources of
// datamodel, with ErrRejected, or with what the disk says. A request to
// change a forced notification is accepted and ignored.
func (n *Notifier) SetAttributes(ctx context.Context, changes []Change) error {
	return n.do(ctx, func(ctx context.Context) error {
		if err := n.heal(); err != nil {
			return err
		}
		attrs := n.snapshot()
		touched := map[string]attribute{}
		for _, c := range changes {
			if err := n.change(ctx, attrs, touched, c); err != nil {
				return err
			}
		}
		if maps.Equal(attrs, *n.attrs.Load()) {
			return nil
		}
		if err := attrs.save(n.cfg.Attributes); err != nil {
			return fmt.Errorf("attributes cannot be kept: %w", err)
		}
		n.attrs.Store(&attrs)
		n.rebuild()
		n.baseline(ctx, touched)
		if err := n.settle(ctx); err != nil {
			n.log.Warn("what the ACS was told cannot be kept", "err", err)
		}
		return nil
	})
}

// heal tries again to read attributes that could not be read at the start.
func (n *Notifier) heal() error {
	if !n.attrsLost {
		return nil
	}
	attrs, err := loadAttributes(n.cfg.Attributes, n.log)
	if err != nil {
		return err
	}
	n.attrsLost = false
	n.attrs.Store(&attrs)
	n.rebuild()
	return nil
}

// change applies one change to attrs and notes what it has touched.
func (n *Notifier) change(ctx context.Context, attrs attributes, touched map[string]attribute, c Change) error {
	if c.NotificationChange && (c.Notification < 0 || c.Notification > 6) {
		return fmt.Errorf("%s: notification %d: %w", c.Name, c.Notification, datamodel.ErrArguments)
	}
	for p, err := range n.params(ctx, c.Name) {
		if err != nil {
			return err
		}
		at := attrs.of(p.path, p.Notify)
		if c.NotificationChange && p.Notify != datamodel.NotifyForced {
			at.notification = uint8(c.Notification)
		}
		if c.AccessListChange {
			at.noSubscriber = !slices.Contains(c.AccessList, Subscriber)
		}
		if p.Notify == datamodel.NotifyNever && (at.notification == 2 || at.notification > 4) {
			return fmt.Errorf("%s: %w: its changes are told passively (1) or not at all", p.path, ErrRejected)
		}
		if at == declared(p.Notify) {
			delete(attrs, p.path)
		} else {
			attrs[p.path] = at
		}
		if len(attrs) > n.cfg.Max && n.prune(ctx, attrs) == 0 {
			return fmt.Errorf("%s: more than %d attributes: %w", c.Name, n.cfg.Max, datamodel.ErrResources)
		}
		touched[p.path] = at
	}
	return nil
}

// prune makes room: it removes the attributes of what is no longer there, and
// returns how many those were. What cannot be read now may still be there.
func (n *Notifier) prune(ctx context.Context, attrs attributes) int {
	had := len(attrs)
	maps.DeleteFunc(attrs, func(path string, _ attribute) bool {
		_, err := n.cfg.Tree.Describe(ctx, path)
		return errors.Is(err, datamodel.ErrNoName) || errors.Is(err, datamodel.ErrGone)
	})
	return had - len(attrs)
}

// baseline makes the present value of what is watched from now on the one
// that the next is compared with, and forgets what is not watched any more.
func (n *Notifier) baseline(ctx context.Context, touched map[string]attribute) {
	var some []watch
	for _, w := range n.watches {
		if _, ok := touched[w.path]; ok || w.column {
			some = append(some, w)
		}
	}
	n.read(ctx, some, func(it datamodel.Item, _ bool) {
		_, mine := touched[it.Name]
		if _, ok := n.told.hashes[it.Name]; mine && !ok {
			n.tell(it.Name, n.told.hash(it.Value))
		}
	})
	n.unsent(ctx, n.light.watches, nil)
	for path, at := range touched {
		if !at.reports() {
			n.told.forget(path)
			delete(n.seen, path)
		}
	}
}
