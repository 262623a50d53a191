// Package notify knows which parameters the ACS wants to hear of, and tells
// core when one of them is not what the ACS was last told.
//
// What the system says is a hint, never a value: a hint names a topic, notify
// waits a moment for more of them, reads again the watched parameters that
// the topic concerns, and compares. A hint that comes twice costs nothing; when
// hints were lost, Resync compares everything. So the memory it needs does
// not grow with what happens, only with what is watched: a 64-bit hash for
// each parameter.
//
// The told values and the watches belong to whoever has the turn: a caller, or a
// timer. There is no goroutine while nothing is due. Attributes are an immutable
// map behind an atomic pointer, and can be read by anybody.
package notify

import (
	"context"
	"errors"
	"iter"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"gatehouse/datamodel"
)

// A Tree is what notify needs of the data model. *datamodel.Tree is one.
type Tree interface {
	Values(ctx context.Context, path string) iter.Seq2[datamodel.Item, error]
	Describe(ctx context.Context, path string) (datamodel.Info, error)
	Concerns(path string, topic datamodel.Topic) bool
}

// Defaults yields the parameters of the declarations in t that the ACS hears
// of without asking (activeNotify forceEnabled and forceDefaultEnabled).
func Defaults(t interface {
	Objects() iter.Seq[datamodel.Object]
}) iter.Seq[datamodel.Info] {
	return func(yield func(datamodel.Info) bool) {
		for o := range t.Objects() {
			for info := range o.Params() {
				if info.Notify != datamodel.NotifyForced && info.Notify != datamodel.NotifyDefaultOn {
					continue
				}
				if !yield(info) {
					return
				}
			}
		}
	}
}

// Config is what New needs.
type Config struct {
	Tree     Tree
	Defaults func() iter.Seq[datamodel.Info] // asked at start and at Resync; nil: none

	Attributes datamodel.Backing // flash: what the ACS has set
	Told       datamodel.Backing // flash: what it was told, on a clean stop and at most every six hours
	Run        datamodel.Backing // memory: the same, after each delivery

	// Core posts ValueChange to core: changed, or all is told after all.
	Core func(ctx context.Context, changed bool) error
	// Light is called when a parameter with an active lightweight attribute has
	// changed: Unsent tells which. It must not wait. nil: nobody sends them.
	Light func()

	Debounce time.Duration // from the first hint to the comparison; 0: 200 ms
	Poll     time.Duration // for active parameters without a topic; 0: 60 s
	Max      int           // attributes kept; 0: 4096
	Log      *slog.Logger
}

// ErrStopped is returned by calls after Stop.
var ErrStopped = errors.New("notifications are stopped")

// ErrRejected is a refused notification: fault 9009.
var ErrRejected = errors.New("notification request rejected")

// maxColumns bounds what is watched without attributes of its own.
const maxColumns = 1024

// flashEvery bounds the wear of the flash by values that keep changing.
const flashEvery = 6 * time.Hour

// Notifier watches parameters. Only who has the turn touches its fields, but for
// turn, hints, attrs, counts and done.
type Notifier struct {
	cfg   Config
	log   *slog.Logger
	turn  chan struct{} // capacity 1: held by who has it, and while it is not started or stopped
	hints hints
	done  chan struct{}
	attrs atomic.Pointer[attributes]

	work   context.Context // ends by Stop
	cancel context.CancelFunc
	timer  *time.Timer // for what is due next; nil: nothing was yet

	attrsLost bool // the attributes could not be read, and are not written over
	watches   []watch
	told      *told
	report    *Report           // handed out by Collect, and its fate not known yet
	seen      map[string]uint64 // what core was asked to report
	asked     bool              // core holds a VALUE CHANGE of ours
	light     light
	counts    counts

	pollAt  time.Time
	flashAt time.Time // when told values are next worth the flash; zero: nothing new
	flashed time.Time // when they were last written
}

// New returns a notifier that knows what its files hold.
func New(c Config) (*Notifier, error) {
	if c.Tree == nil || c.Core == nil {
		return nil, errors.New("notify: Tree and Core are needed")
	}
	if c.Defaults == nil {
		c.Defaults = func() iter.Seq[datamodel.Info] { return func(func(datamodel.Info) bool) {} }
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.Debounce == 0 {
		c.Debounce = 200 * time.Millisecond
	}
	if c.Poll == 0 {
		c.Poll = time.Minute
	}
	if c.Max == 0 {
		c.Max = 4096
	}
	n := &Notifier{
		cfg:  c,
		log:  c.Log,
		turn: make(chan struct{}, 1),
		done: make(chan struct{}),
		seen: map[string]uint64{},
	}
	n.turn <- struct{}{}
	n.hints = hints{wait: c.Debounce, look: func() { n.byItself(n.heed) }}
	attrs, err := loadAttributes(c.Attributes, c.Log)
	if err != nil {
		c.Log.Error("starting without notification attributes", "err", err)
	}
	n.attrsLost = err != nil
	n.attrs.Store(&attrs)
	n.told, err = loadTold(c.Run, c.Told, c.Log)
	return n, err
}

// Hint says that something of topic may have changed. It never blocks.
func (n *Notifier) Hint(topic datamodel.Topic) { n.hints.add(topic) }

// Resync says that hints were lost, or that the tree has other objects than
// before: all that is watched is compared. It never blocks.
func (n *Notifier) Resync() { n.hints.lost() }

// Start begins to watch. What it does has the values of ctx, and ends by Stop.
func (n *Notifier) Start(ctx context.Context) {
	n.work, n.cancel = context.WithCancel(context.WithoutCancel(ctx))
	n.rebuild()
	n.hints.start()
	n.Resync() // what has changed while nobody looked
	n.flashed = time.Now()
	n.leave()
}

// Stop ends it, and keeps what was told. It should come after the last session,
// so that what that session told is kept.
func (n *Notifier) Stop() error {
	n.cancel()
	n.turn <- struct{}{} // for good
	close(n.done)
	n.hints.stop()
	if n.timer != nil {
		n.timer.Stop()
	}
	return n.saveTold(true)
}

// leave gives the turn back, and sees that somebody has it when something is due.
func (n *Notifier) leave() {
	n.count()
	d, ok := n.sleep()
	switch {
	case ok && n.timer == nil:
		n.timer = time.AfterFunc(d, func() { n.byItself(n.due) })
	case ok:
		n.timer.Reset(d)
	case n.timer != nil:
		n.timer.Stop()
	}
	<-n.turn
}

// sleep returns how long nothing is due.
func (n *Notifier) sleep() (d time.Duration, ok bool) {
	now := time.Now()
	for _, t := range [...]time.Time{n.pollAt, n.flashAt} {
		if left := t.Sub(now); !t.IsZero() && (!ok || left < d) {
			d, ok = max(left, 0), true
		}
	}
	return d, ok
}

func (n *Notifier) due(ctx context.Context) {
	now := time.Now()
	reached := func(t time.Time) bool { return !t.IsZero() && !now.Before(t) }
	if reached(n.pollAt) {
		n.poll(ctx)
	}
	if reached(n.flashAt) {
		if err := n.saveTold(true); err != nil {
			n.log.Warn("what the ACS was told cannot be kept", "err", err)
		}
	}
}

// byItself runs what nobody waits for; after Stop there is nothing to be done.
func (n *Notifier) byItself(f func(ctx context.Context)) {
	_ = n.do(context.Background(), func(ctx context.Context) error { f(ctx); return nil })
}

// do runs f when it has the turn. The context of f ends with either, and carries
// nothing of the caller's: a memo of rows that were read before they were set
// would hide the change.
func (n *Notifier) do(ctx context.Context, f func(ctx context.Context) error) error {
	select {
	case n.turn <- struct{}{}:
	case <-n.done:
		return ErrStopped
	case <-ctx.Done():
		return ctx.Err()
	}
	defer n.leave()
	run, cancel := context.WithCancel(n.work)
	defer cancel()
	defer context.AfterFunc(ctx, cancel)()
	return f(run)
}

// Sync compares at once what the hints so far concern, and returns when core
// knows of it.
func (n *Notifier) Sync(ctx context.Context) error {
	return n.do(ctx, func(ctx context.Context) error { n.heed(ctx); return nil })
}

// Reset forgets all attributes and all that was told: the factory reset.
func (n *Notifier) Reset(ctx context.Context) error {
	return n.do(ctx, func(ctx context.Context) error {
		empty := attributes{}
		if err := empty.save(n.cfg.Attributes); err != nil {
			return err
		}
		n.attrs.Store(&empty)
		n.attrsLost = false
		clear(n.told.hashes)
		clear(n.seen)
		n.report = nil
		n.told.fresh, n.told.changed = true, true
		n.rebuild()
		return n.saveTold(true)
	})
}

// A Report is what Collect found for one Inform.
type Report struct {
	Items  []datamodel.Item  // changed since the ACS was last told, with present values
	hashes map[string]uint64 // of all that is watched
}

// Collect reads all that is watched, actively and passively, and returns what
// an Inform has to report. first: the ACS was never told anything (0 BOOTSTRAP),
// so nothing has changed for it. The caller says Delivered or Dropped later.
func (n *Notifier) Collect(ctx context.Context, first bool) (*Report, error) {
	var r *Report
	err := n.do(ctx, func(ctx context.Context) error {
		r = &Report{hashes: make(map[string]uint64, len(n.told.hashes))}
		n.read(ctx, n.watches, func(it datamodel.Item, _ bool) {
			h := n.told.hash(it.Value)
			if old, ok := n.told.hashes[it.Name]; ok && old != h && !first {
				r.Items = append(r.Items, it)
			}
			r.hashes[it.Name] = h
		})
		if ctx.Err() == nil {
			n.report = r
			// What core was asked to report is this report's now. Were it still
			// held for asked, a value that is back for a moment, here, would
			// never be asked for again.
			clear(n.seen)
		}
		return ctx.Err()
	})
	return r, err
}

// Delivered says that the Inform with r was answered: what it held is told.
// What has changed since is the next session's.
func (n *Notifier) Delivered(ctx context.Context, r *Report) error {
	return n.do(ctx, func(ctx context.Context) error {
		for name, h := range r.hashes {
			n.tell(name, h)
		}
		if n.report == r {
			n.report = nil
		}
		return n.settle(ctx)
	})
}

// Dropped says that nobody knows whether the ACS got r. It does nothing after
// Delivered.
func (n *Notifier) Dropped(ctx context.Context, r *Report) error {
	return n.do(ctx, func(ctx context.Context) error {
		if n.report == r {
			n.report = nil
			n.compare(ctx, n.watches)
		}
		return nil
	})
}

// Told says that the ACS itself has made the values at these paths, or below
// them, what they are now: it has set them, or added or deleted the object.
// They are no news to it. What an object had of attributes goes with it.
func (n *Notifier) Told(ctx context.Context, paths ...string) error {
	return n.do(ctx, func(ctx context.Context) error {
		paths := slices.Clone(paths)
		for i, path := range paths {
			info, err := n.cfg.Tree.Describe(ctx, path)
			switch {
			case err == nil:
				paths[i] = info.Path
			case errors.Is(err, datamodel.ErrNoName) && strings.HasSuffix(path, "."):
				n.deleted(path)
			}
		}
		var some []watch
		for _, w := range n.watches {
			if w.under(paths) {
				some = append(some, w)
			}
		}
		n.read(ctx, some, func(it datamodel.Item, _ bool) {
			if _, ok := n.told.hashes[it.Name]; ok && under(it.Name, paths) {
				n.tell(it.Name, n.told.hash(it.Value))
			}
		})
		n.knowLight(ctx, paths)
		return n.settle(ctx)
	})
}

// deleted forgets what is below an object that is gone for good: its number
// is never given again.
func (n *Notifier) deleted(object string) {
	attrs := n.snapshot()
	maps.DeleteFunc(attrs, func(path string, _ attribute) bool { return strings.HasPrefix(path, object) })
	for path := range n.told.hashes {
		if strings.HasPrefix(path, object) {
			n.told.forget(path)
			delete(n.seen, path)
		}
	}
	if len(attrs) == len(*n.attrs.Load()) {
		return
	}
	if err := attrs.save(n.cfg.Attributes); err != nil {
		n.log.Warn("attributes of a deleted object are kept on disk", "path", object, "err", err)
	}
	n.attrs.Store(&attrs)
	n.rebuild()
}

// tell notes that the ACS knows the value with hash h.
func (n *Notifier) tell(name string, h uint64) {
	if _, ok := n.told.hashes[name]; !ok && len(n.told.hashes) >= n.cfg.Max+maxColumns {
		n.log.Debug("too much is watched", "path", name)
		return
	}
	n.told.set(name, h)
	if n.seen[name] == h {
		delete(n.seen, name)
	}
}

// settle follows a change of what was told: on disk, and in core.
func (n *Notifier) settle(ctx context.Context) error {
	err := n.saveTold(false)
	if n.asked && len(n.seen) == 0 {
		n.ask(ctx, false)
	}
	return err
}

// saveTold keeps what was told: in memory each time, in flash when now is set,
// when other parameters than before are in it, or when six hours have passed.
func (n *Notifier) saveTold(now bool) error {
	var err error
	if n.told.fresh {
		if err = save(n.cfg.Run, n.told.encode()); err == nil {
			n.told.fresh = false
		}
	}
	if !n.told.changed {
		return err
	}
	if !now && !n.told.other && time.Since(n.flashed) < flashEvery {
		n.flashAt = n.flashed.Add(flashEvery)
		return err
	}
	n.flashed, n.flashAt = time.Now(), time.Time{}
	if err2 := save(n.cfg.Told, n.told.encode()); err2 != nil {
		n.flashAt = n.flashed.Add(flashEvery)
		return errors.Join(err, err2)
	}
	n.told.changed, n.told.other = false, false
	return err
}

func save(b datamodel.Backing, text []byte) error {
	if b == nil {
		return nil
	}
	return b.Save(text)
}

// snapshot returns a copy of the attributes that may be changed.
func (n *Notifier) snapshot() attributes { return maps.Clone(*n.attrs.Load()) }
