// Events with a bounded queue per watcher: who does not keep up is told to
// look at everything.

package fake

import (
	"context"

	"gatehouse/platform"
)

// queueLimit is how many events wait for a watcher before they become one
// Resync.
const queueLimit = 64

type watcher struct {
	queue []platform.Event // guarded by Router.mu
	wake  chan struct{}
	err   error
}

// Watch reports until ctx ends.
func (b backend) Watch(ctx context.Context, report func(platform.Event)) error {
	w := &watcher{wake: make(chan struct{}, 1), queue: []platform.Event{{Topic: platform.Resync}}}
	w.wake <- struct{}{}
	b.mu.Lock()
	b.watchers[w] = true
	b.mu.Unlock()
	defer func() {
		b.mu.Lock()
		delete(b.watchers, w)
		b.mu.Unlock()
	}()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-w.wake:
		}
		b.mu.Lock()
		queue, err := w.queue, w.err
		w.queue = nil
		b.mu.Unlock()
		for _, e := range queue {
			report(e)
		}
		if err != nil {
			return err
		}
	}
}

// tell queues events for every watcher. The lock is held.
func (r *Router) tell(events ...platform.Event) {
	if r.muted || len(events) == 0 {
		return
	}
	for w := range r.watchers {
		w.queue = append(w.queue, events...)
		if len(w.queue) > queueLimit {
			w.queue = append(w.queue[:0], platform.Event{Topic: platform.Resync})
		}
		w.poke()
	}
}

func (w *watcher) poke() {
	select {
	case w.wake <- struct{}{}:
	default: // it will wake up already
	}
}

// Mute loses all hints until it is switched off again: a consumer must live
// with that.
func (r *Router) Mute(on bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.muted = on
}

// Overflow tells the watchers that events were lost.
func (r *Router) Overflow() { r.Emit(platform.Event{Topic: platform.Resync}) }

// Emit sends events with nothing behind them.
func (r *Router) Emit(events ...platform.Event) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.tell(events...)
}

// FailWatch ends every Watch that runs now with err.
func (r *Router) FailWatch(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for w := range r.watchers {
		w.err = err
		w.poke()
	}
}

// Watchers returns how many Watch calls run.
func (r *Router) Watchers() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.watchers)
}
