package notify

import (
	"context"
	"errors"
	"slices"
	"sort"
	"strings"
	"time"

	"gatehouse/datamodel"
)

// manyWatches is from where on one walk of the tree costs less than so many
// reads of one parameter each.
const manyWatches = 256

// A watch is one parameter to look at, or with "*" a column of them that are
// watched because they are declared so.
type watch struct {
	path   string
	active bool
	column bool // parameters with attributes of their own are not meant
	known  bool // topics were looked up
	topics bool // a hint will tell of changes; else it is polled when active
}

// rebuild makes the watches from the attributes and the declarations.
func (n *Notifier) rebuild() {
	attrs := *n.attrs.Load()
	n.watches = nil
	for path, at := range attrs {
		if at.reports() {
			n.watches = append(n.watches, watch{path: path, active: at.notification == 2})
		}
	}
	for info := range n.cfg.Defaults() {
		w := watch{path: strings.ReplaceAll(info.Path, "{i}", "*"), active: true, column: true, known: true, topics: len(info.Topics) > 0}
		if _, own := attrs[w.path]; !own {
			n.watches = append(n.watches, w)
		}
	}
	sort.Slice(n.watches, func(i, j int) bool { return n.watches[i].path < n.watches[j].path })
	n.light.rebuild(attrs)
	n.planPoll()
}

// under tells whether w is, or may be, at one of paths or below it.
func (w watch) under(paths []string) bool {
	head, _, column := strings.Cut(w.path, "*")
	if !column {
		return under(w.path, paths)
	}
	return slices.ContainsFunc(paths, func(p string) bool { return strings.HasPrefix(p, head) || strings.HasPrefix(head, p) })
}

// under tells whether name is one of paths or below it. A table's count goes
// with its rows.
func under(name string, paths []string) bool {
	for _, p := range paths {
		if name == p || p == "" || strings.HasSuffix(p, ".") && strings.HasPrefix(name, p) {
			return true
		}
		if up, ok := strings.CutSuffix(name, "NumberOfEntries"); ok && strings.HasPrefix(p, up[:strings.LastIndexByte(up, '.')+1]) {
			return true
		}
	}
	return false
}

// heed compares what the hints since the last time concern.
func (n *Notifier) heed(ctx context.Context) {
	topics, all := n.hints.take()
	if all {
		n.rebuild()
	}
	n.compare(ctx, n.concerned(n.watches, topics, all))
	n.compareLight(ctx, n.concerned(n.light.watches, topics, all))
}

// planPoll plans the next poll, if anything needs one.
func (n *Notifier) planPoll() {
	n.pollAt = time.Time{}
	mute := func(w watch) bool { return w.active && !w.topics }
	if slices.ContainsFunc(n.watches, mute) || slices.ContainsFunc(n.light.watches, mute) {
		n.pollAt = time.Now().Add(n.cfg.Poll)
	}
}

// poll compares the active parameters that no hint tells of.
func (n *Notifier) poll(ctx context.Context) {
	n.compare(ctx, n.silent(ctx, n.watches))
	n.compareLight(ctx, n.silent(ctx, n.light.watches))
	n.planPoll()
}

// compare asks core for a VALUE CHANGE when an active parameter is neither
// what the ACS was told, nor what it is being told, nor what core was asked
// for already; and takes that back when all is as told again.
func (n *Notifier) compare(ctx context.Context, some []watch) {
	news := false
	n.read(ctx, some, func(it datamodel.Item, active bool) {
		was, ok := n.told.hashes[it.Name]
		if !ok || !active {
			return
		}
		if n.report != nil {
			if telling, ok := n.report.hashes[it.Name]; ok {
				was = telling
			}
		}
		switch h := n.told.hash(it.Value); {
		case h == was:
			delete(n.seen, it.Name)
		case n.seen[it.Name] != h:
			n.seen[it.Name] = h
			news = true
		}
	})
	switch {
	case news:
		n.ask(ctx, true)
	case n.asked && len(n.seen) == 0:
		n.ask(ctx, false)
	}
}

func (n *Notifier) ask(ctx context.Context, changed bool) {
	if err := n.cfg.Core(ctx, changed); err != nil {
		if ctx.Err() == nil {
			n.log.Warn("a change of a value cannot be reported", "err", err)
		}
		clear(n.seen) // so that the next comparison asks again
		changed = false
	}
	n.asked = changed
}

// read reads the parameters of some, and tells of each whether it is watched
// actively. What is not there, or cannot be read now, is left out: nothing is
// known of it.
func (n *Notifier) read(ctx context.Context, some []watch, each func(it datamodel.Item, active bool)) {
	if len(some) == 0 {
		return
	}
	ctx = datamodel.WithMemo(ctx)
	if len(some) > manyWatches {
		some = n.walk(ctx, some, each)
	}
	attrs := *n.attrs.Load()
	for _, w := range some {
		for it, err := range n.cfg.Tree.Values(ctx, w.path) {
			if err != nil {
				n.unread(w.path, err)
				break
			}
			if _, own := attrs[it.Name]; own && w.column {
				continue
			}
			each(it, w.active)
		}
	}
}

// walk reads by one walk of the whole tree, and returns the columns, which
// are left to read.
func (n *Notifier) walk(ctx context.Context, some []watch, each func(it datamodel.Item, active bool)) (columns []watch) {
	wanted := make(map[string]bool, len(some))
	for _, w := range some {
		if w.column {
			columns = append(columns, w)
		} else {
			wanted[w.path] = w.active
		}
	}
	for it, err := range n.cfg.Tree.Values(ctx, datamodel.Root) {
		if err != nil {
			n.unread(datamodel.Root, err)
			break
		}
		if active, ok := wanted[it.Name]; ok {
			each(it, active)
		}
	}
	return columns
}

func (n *Notifier) unread(path string, err error) {
	if !errors.Is(err, datamodel.ErrNoName) && !errors.Is(err, datamodel.ErrGone) {
		n.log.Debug("a watched value cannot be read", "path", path, "err", err)
	}
}
