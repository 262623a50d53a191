package ubus

// Watches. Who wants to hear of changes subscribes to the object, and then says
// what to watch. ubus does not tell who its subscribers are, nor when a caller
// has gone: everybody hears of every watch whom ubusd lets subscribe, and the
// watches end with the last subscriber.

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"

	"gatehouse/agent/api"
	"gatehouse/internal/ubus"
)

// maxWatches bounds those of all callers.
const maxWatches = 32

type watches struct {
	mu     sync.Mutex
	active bool
	stop   context.CancelFunc // of what lasts as long as there are subscribers
	ctx    context.Context
	last   int32
	all    map[int32]*watch
}

// A watch is shared by those who have the same rights to the same paths.
type watch struct {
	id    int32
	key   string
	users int
	stop  context.CancelFunc
}

// subscribed is told by the daemon that there are subscribers now, or none any
// more.
func (d *door) subscribed(active bool) {
	w := &d.watches
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.stop != nil {
		w.stop()
	}
	w.active, w.stop = active, nil
	clear(w.all)
	if active {
		w.ctx, w.stop = context.WithCancel(d.ctx)
		ctx := w.ctx
		d.tasks.Go(func() { d.followStatus(ctx) })
	}
}

func (d *door) tell(what string, data ubus.Table) error {
	select {
	case <-d.published:
	case <-d.ctx.Done():
		return d.ctx.Err()
	}
	return d.conn.Notify(d.object, what, data)
}

// join takes part in a watch, or begins one, whose context is returned.
func (d *door) join(key string) (id int32, begin context.Context, err error) {
	w := &d.watches
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.active {
		return 0, nil, refuse(api.InvalidArguments, "nobody would hear of it: subscribe to %s first", Object)
	}
	for _, one := range w.all {
		if one.key == key {
			one.users++
			return one.id, nil, nil
		}
	}
	if len(w.all) >= maxWatches {
		return 0, nil, refuse(api.Busy, "too many watches: %d", maxWatches)
	}
	ctx, stop := context.WithCancel(w.ctx)
	w.last++
	w.all[w.last] = &watch{w.last, key, 1, stop}
	return w.last, ctx, nil
}

// leave gives a watch up. Whoever was the last ends it, and so does its end.
func (d *door) leave(id int32, all bool) (had bool) {
	w := &d.watches
	w.mu.Lock()
	defer w.mu.Unlock()
	one := w.all[id]
	if one == nil {
		return false
	}
	if one.users--; one.users <= 0 || all {
		one.stop()
		delete(w.all, id)
	}
	return true
}

func (d *door) watch(c *call) (ubus.Table, error) {
	paths, err := c.paths()
	if err != nil {
		return nil, err
	}
	if err := c.who.May(api.Read); err != nil {
		return nil, err
	}
	slices.Sort(paths)
	id, begin, err := d.join(fmt.Sprint(c.who, strings.Join(paths, "\x00")))
	if err != nil {
		return nil, err
	}
	if begin == nil {
		out, err := d.get(c)
		return append(ubus.Table{{Name: "watch", Value: id}}, out...), err
	}
	started := make(chan look, 1)
	d.tasks.Go(func() { d.runWatch(begin, c.who, id, paths, started) })
	select {
	case l := <-started:
		if l.err != nil {
			d.leave(id, false)
			return nil, l.err
		}
		return ubus.Table{{Name: "watch", Value: id}, {Name: "values", Value: l.values}}, nil
	case <-c.ctx.Done():
		d.leave(id, false)
		return nil, refuse(api.Unavailable, "the first look takes too long")
	}
}

type look struct {
	values ubus.Table
	err    error
}

// runWatch answers started with the first look and tells the later ones.
func (d *door) runWatch(ctx context.Context, who api.Caller, id int32, paths []string, started chan<- look) {
	defer d.leave(id, true)
	for updates, err := range d.cfg.API.WatchLooks(ctx, who, paths) {
		switch {
		case started != nil:
			if err == nil {
				err = fits(updates)
			}
			started <- look{valuesOf(updates), err}
			started = nil
		case err != nil:
			err = d.tell("ended", append(ubus.Table{{Name: "watch", Value: id}}, problems(err)...))
			if err != nil {
				d.cfg.Log.Debug("the end of a watch is not told", "err", err)
			}
			return
		default:
			err = d.tell("changed", changes(id, updates))
		}
		if err != nil {
			return
		}
	}
	if started != nil {
		started <- look{err: refuse(api.Stopping, "there are no subscribers any more")}
	}
}

// fits refuses a first look that no message could hold.
func fits(updates []api.Update) error {
	left := room(maxAnswer)
	for _, u := range updates {
		if err := left.take(u.Name, u.Value); err != nil {
			return err
		}
	}
	return nil
}

func valuesOf(updates []api.Update) ubus.Table {
	values := ubus.Table{}
	for _, u := range updates {
		if !u.Added && !u.Gone {
			values = append(values, ubus.Field{Name: u.Name, Value: typed(u.Type, u.Value)})
		}
	}
	return values
}

// changes is a look: values, instances that came, and what is gone.
func changes(id int32, updates []api.Update) ubus.Table {
	var added, removed ubus.Array
	for _, u := range updates {
		switch {
		case u.Added:
			added = append(added, u.Name)
		case u.Gone:
			removed = append(removed, u.Name)
		}
	}
	t := ubus.Table{{Name: "watch", Value: id}, {Name: "values", Value: valuesOf(updates)}}
	if added != nil {
		t = append(t, ubus.Field{Name: "added", Value: added})
	}
	if removed != nil {
		t = append(t, ubus.Field{Name: "removed", Value: removed})
	}
	return t
}

func (d *door) unwatch(c *call) (ubus.Table, error) {
	if id := arg[int32](c, "watch"); !d.leave(id, false) {
		return nil, refuse(api.InvalidArguments, "there is no watch %d", id)
	}
	return nil, nil
}

// followStatus tells the subscribers of sessions.
func (d *door) followStatus(ctx context.Context) {
	var was api.Status
	first := true
	for st, err := range d.cfg.API.Statuses(ctx, api.Caller{Name: "ubus", Rights: api.Read}) {
		if err != nil {
			d.cfg.Log.Error("the status cannot be followed", "err", err)
			return
		}
		if !first && d.tellSession(was, st) != nil {
			return
		}
		was, first = st, false
	}
}

func (d *door) tellSession(was, is api.Status) error {
	if is.Session == "" {
		return nil
	}
	name := ubus.Table{{Name: "session", Value: clean(is.Session)}}
	if is.Session != was.Session {
		if err := d.tell("session.started", name); err != nil {
			return err
		}
	}
	if is.Ended.IsZero() || is.Ended.Equal(was.Ended) && is.Sessions == was.Sessions || is.Ended.Before(is.Started) {
		return nil
	}
	return d.tell("session.ended", append(name, ubus.Field{Name: "succeeded", Value: is.LastError == ""}, ubus.Field{Name: "error", Value: clean(is.LastError)}))
}
