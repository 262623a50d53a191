// Lightweight notifications (TR-069 Annex M): changes that are told by a
// datagram and not by a session. There is no answer to them, so nothing is
// known of what the ACS was told: a value counts as told when it was sent.

package notify

import (
	"context"
	"slices"
	"sort"

	"gatehouse/datamodel"
)

// light is what the lightweight half of the attributes needs. It lives in RAM:
// after a restart the values are compared with those that the agent found.
type light struct {
	on      bool
	watches []watch
	sent    map[string]uint64 // what each was when it was last sent, or first seen
}

// light tells whether changes are told by lightweight notifications, and
// whether at once or with the next (TR-069 A.3.2.4).
func (a attribute) light() (some, active bool) {
	return a.notification >= 3, a.notification >= 5
}

// Lightweight says whether anybody sends lightweight notifications. While
// nobody does, attributes that ask for them cost nothing. It begins with the
// values of this moment.
func (n *Notifier) Lightweight(ctx context.Context, on bool) error {
	return n.do(ctx, func(ctx context.Context) error {
		if n.light.on == on {
			return nil
		}
		n.light.on = on
		n.rebuild()
		n.unsent(ctx, n.light.watches, nil)
		return nil
	})
}

// Unsent reads the parameters with a lightweight attribute and returns those
// whose values are not the ones that were last sent.
func (n *Notifier) Unsent(ctx context.Context) (items []datamodel.Item, err error) {
	err = n.do(ctx, func(ctx context.Context) error {
		n.unsent(ctx, n.light.watches, func(it datamodel.Item) { items = append(items, it) })
		return ctx.Err()
	})
	return items, err
}

// Sent says that a notification with these values has left.
func (n *Notifier) Sent(ctx context.Context, items []datamodel.Item) error {
	return n.do(ctx, func(context.Context) error {
		for _, it := range items {
			if _, ok := n.light.sent[it.Name]; ok {
				n.light.sent[it.Name] = n.told.hash(it.Value)
			}
		}
		return nil
	})
}

// rebuild makes the watches from the attributes.
func (l *light) rebuild(attrs attributes) {
	l.watches = nil
	for path, at := range attrs {
		if some, active := at.light(); l.on && some {
			l.watches = append(l.watches, watch{path: path, active: active})
		}
	}
	sort.Slice(l.watches, func(i, j int) bool { return l.watches[i].path < l.watches[j].path })
	kept := map[string]uint64{}
	for _, w := range l.watches {
		if h, ok := l.sent[w.path]; ok {
			kept[w.path] = h
		}
	}
	l.sent = kept
}

// unsent reads some parameters and tells of those that are others than sent. A
// value that is seen for the first time is no change.
func (n *Notifier) unsent(ctx context.Context, some []watch, each func(datamodel.Item)) {
	n.read(ctx, some, func(it datamodel.Item, _ bool) {
		h := n.told.hash(it.Value)
		was, ok := n.light.sent[it.Name]
		switch {
		case !ok:
			n.light.sent[it.Name] = h
		case was != h && each != nil:
			each(it)
		}
	})
}

// compareLight calls for a notification when an active parameter is not what
// was last sent.
func (n *Notifier) compareLight(ctx context.Context, some []watch) {
	news := false
	n.unsent(ctx, some, func(datamodel.Item) { news = true })
	if news && n.cfg.Light != nil {
		n.cfg.Light()
	}
}

// knowLight makes the present values of what is at or below paths those that
// were sent: the ACS has made them so itself.
func (n *Notifier) knowLight(ctx context.Context, paths []string) {
	var some []watch
	for _, w := range n.light.watches {
		if under(w.path, paths) {
			some = append(some, w)
		}
	}
	n.read(ctx, some, func(it datamodel.Item, _ bool) { n.light.sent[it.Name] = n.told.hash(it.Value) })
}

// concerned returns the active watches that hints of these topics concern.
func (n *Notifier) concerned(watches []watch, topics []datamodel.Topic, all bool) (some []watch) {
	for _, w := range watches {
		if w.active && (all || slices.ContainsFunc(topics, func(t datamodel.Topic) bool { return n.cfg.Tree.Concerns(w.path, t) })) {
			some = append(some, w)
		}
	}
	return some
}

// silent returns the active watches that no hint tells of.
func (n *Notifier) silent(ctx context.Context, watches []watch) (some []watch) {
	for i := range watches {
		w := &watches[i]
		if !w.active || w.topics {
			continue
		}
		if !w.known {
			info, err := n.cfg.Tree.Describe(ctx, w.path)
			w.known, w.topics = err == nil, len(info.Topics) > 0
		}
		if !w.topics {
			some = append(some, *w)
		}
	}
	return some
}
