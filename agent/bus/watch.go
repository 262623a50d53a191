package bus

// Watches: each is a goroutine that lives as long as its sender, or until
// Unwatch.

import (
	"context"
	"errors"
	"sync"

	"github.com/godbus/dbus/v5"

	"gatehouse/agent/api"
)

// Watches of those who may only read are fewer: whoever they are, they do not
// take all of them from those who administer the router.
const (
	maxWatches       = 1000
	maxReaderWatches = 128 // of one user
)

type watchKey struct {
	sender string
	uid    uint32
	id     uint32
}

type watches struct {
	mu   sync.Mutex
	last uint32
	all  map[watchKey]context.CancelFunc
	by   map[string]int // senders that are followed
	uids map[uint32]int
}

func (w *watches) init() {
	w.all, w.by, w.uids = map[watchKey]context.CancelFunc{}, map[string]int{}, map[uint32]int{}
}

func (w *watches) add(sender string, uid uint32, limit int, stop context.CancelFunc) (key watchKey, first bool, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.all) >= maxWatches || w.uids[uid] >= limit {
		return watchKey{}, false, refuse(api.Full, "", "too many watches: %d for you, %d for all", limit, maxWatches)
	}
	w.last++
	key = watchKey{sender, uid, w.last}
	w.all[key] = stop
	w.uids[uid]++
	w.by[sender]++
	return key, w.by[sender] == 1, nil
}

// end stops a watch. last says that it was the last of its sender.
func (w *watches) end(key watchKey) (had, last bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	stop, ok := w.all[key]
	if !ok {
		return false, false
	}
	stop()
	delete(w.all, key)
	if w.uids[key.uid]--; w.uids[key.uid] == 0 {
		delete(w.uids, key.uid)
	}
	if w.by[key.sender]--; w.by[key.sender] == 0 {
		delete(w.by, key.sender)
		return true, true
	}
	return true, false
}

// gone stops the watches of a sender that has vanished.
func (w *watches) gone(sender string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for key, stop := range w.all {
		if key.sender == sender {
			stop()
		}
	}
}

func (d *Door) watch(c *call) ([]any, error) {
	paths, err := pathsOf(c.args[0])
	if err != nil {
		return nil, err
	}
	if _, err := options(c.args[1]); err != nil {
		return nil, err
	}
	limit := maxWatches
	if c.who.Rights&api.Write == 0 {
		limit = maxReaderWatches
	}
	ctx, stop := context.WithCancel(context.WithValue(d.ctx, senderKey{}, c.sender))
	key, first, err := d.watches.add(c.sender, c.uid, limit, stop)
	if err != nil {
		stop()
		return nil, err
	}
	if first {
		if err := d.follow(c.ctx, c.sender); err != nil {
			d.endWatch(key)
			return nil, err
		}
	}
	started := make(chan answer, 1)
	go d.runWatch(ctx, c.who, key, paths, started)
	select {
	case a := <-started:
		return []any{key.id, a.values}, a.err
	case <-c.ctx.Done():
		stop()
		return nil, refuse(api.Unavailable, "", "the first look takes too long")
	}
}

type answer struct {
	values map[string]dbus.Variant
	err    error
}

// runWatch answers started with the first look and tells the later ones.
func (d *Door) runWatch(ctx context.Context, who api.Caller, key watchKey, paths []string, started chan<- answer) {
	defer d.endWatch(key)
	for updates, err := range d.cfg.API.WatchLooks(ctx, who, paths) {
		switch {
		case started != nil:
			started <- answer{valuesOf(updates), err}
			started = nil
		case err != nil:
			d.tellEnd(key, err)
		default:
			if err = d.tellUpdates(key, updates); err != nil {
				d.log.Debug("a watch ends", "of", key.sender, "err", err)
			}
		}
		if err != nil {
			return
		}
	}
	if started != nil {
		started <- answer{err: refuse(api.Stopping, "", "the agent is about to end")}
	}
}

func (d *Door) tellEnd(key watchKey, err error) {
	var e *api.Error
	if !errors.As(err, &e) {
		e = api.Refuse(api.Failed, "", err.Error())
	}
	if err := d.tell(key.sender, ifaceModel, "WatchEnded", key.id, errorPrefix+e.Name(), valid(e.Error())); err != nil {
		d.log.Debug("the end of a watch is not told", "of", key.sender, "err", err)
	}
}

func (d *Door) endWatch(key watchKey) {
	if _, last := d.watches.end(key); last && d.ctx.Err() == nil {
		d.unfollow(key.sender)
	}
}

func valuesOf(updates []api.Update) map[string]dbus.Variant {
	values := make(map[string]dbus.Variant, len(updates))
	for _, u := range updates {
		if !u.Added && !u.Gone {
			values[u.Name] = variant(u.Type, u.Value)
		}
	}
	return values
}

// tellUpdates tells a look: instances that came, values, what is gone.
func (d *Door) tellUpdates(key watchKey, updates []api.Update) error {
	for _, u := range updates {
		if u.Added {
			if err := d.tell(key.sender, ifaceModel, "InstanceAdded", key.id, u.Name); err != nil {
				return err
			}
		}
	}
	if values := valuesOf(updates); len(values) > 0 {
		if err := d.tell(key.sender, ifaceModel, "ValuesChanged", key.id, values); err != nil {
			return err
		}
	}
	for _, u := range updates {
		if u.Gone {
			if err := d.tell(key.sender, ifaceModel, "InstanceRemoved", key.id, u.Name); err != nil {
				return err
			}
		}
	}
	return nil
}

func (d *Door) unwatch(c *call) ([]any, error) {
	id, _ := c.args[0].(uint32)
	had, last := d.watches.end(watchKey{c.sender, c.uid, id})
	if !had {
		return nil, refuse(api.InvalidArguments, "", "there is no watch %d", id)
	}
	if last {
		d.unfollow(c.sender)
	}
	return nil, nil
}
