package app

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"gatehouse/datamodel"
	"gatehouse/platform"
)

// What is left of a transaction once it is committed: services that have to
// take it up when the session is over, and how to take it back if they do not
// or if the way to the ACS is gone with it (design §3).

// reload is the action of a service that has to take its configuration up.
const reload = "reload"

// reloadLasts bounds the work after one session.
const reloadLasts = 2 * time.Minute

// A reload that nobody was there to do (ubusd is being restarted) is tried again
// after a pause, each twice as long as the one before.
const (
	firstAgain = 30 * time.Second
	againTimes = 6
)

// What may be kept to take transactions back. Beyond it nothing can be, for to
// refuse a long provisioning would be worse.
const (
	maxCommitments = 256
	maxUndo        = 512 << 10 // bytes
)

// A commitment is a transaction that is not over.
type commitment struct {
	after  []datamodel.Action // to be done yet
	undo   []byte             // for Tree.Undo; empty: nothing to take back
	uplink bool               // on trial: the ACS has to be reached again
	done   bool               // committed, and in effect
	seq    uint64             // its place among all
}

// An aftermath keeps the commitments, in a file in memory from before the
// commit on: when the process dies, the next one does what is left. A reboot
// starts every service anew; what is on trial survives it on flash.
//
// Commits call it with the lock of the tree held, so it asks for that lock only
// while it holds none of its own but working.
type aftermath struct {
	run, flash file
	bootID     string
	log        *slog.Logger

	work  map[string]func(ctx context.Context, args []string) error // by the name of the action
	undo  func(ctx context.Context, commitments iter.Seq[[]byte]) error
	good  func() bool          // the way to the ACS is good
	after func(takenBack bool) // work was done, or something taken back; must not wait
	trial func()               // something may be on trial now; must not wait
	again func(time.Duration)  // has do called after a pause; must not wait

	working sync.Mutex // held while work is done or taken back

	mu      sync.Mutex
	list    []*commitment      // oldest first
	owed    []datamodel.Action // reloads that an undo asks for
	seq     uint64
	lost    int    // how often in a row there was nobody to do a reload
	onFlash bool   // there may be something on flash
	trouble string // one sentence: what was taken back last, and why
}

// A file can be taken away: *store.File is one.
type file interface {
	datamodel.Backing
	Remove() error
}

// committing is [datamodel.Options.Committing]. A transaction that leaves
// nothing to do is kept only on top of one that may have to be taken back:
// what came later has to go first.
func (m *aftermath) committing(c datamodel.Commitment) (settled func(bool, []datamodel.Action), err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.seq++
	own := &commitment{after: c.After, undo: c.Undo, uplink: c.Uplink && len(c.Undo) > 0 && m.good(), seq: m.seq}
	if len(m.list) > 0 || len(own.after) > 0 || own.uplink {
		m.list = append(m.list, own)
		m.limit()
		if err := m.save(); err != nil {
			m.drop(own)
			return nil, fmt.Errorf("how to take it back: %w", err)
		}
	}
	return func(committed bool, after []datamodel.Action) { m.settle(own, committed, after) }, nil
}

// settle takes in how a commit went.
func (m *aftermath) settle(c *commitment, committed bool, after []datamodel.Action) {
	m.mu.Lock()
	defer m.mu.Unlock()
	known := slices.Contains(m.list, c)
	switch {
	case !committed && !known:
		return
	case !committed:
		m.drop(c)
	default:
		c.done = len(after) == 0
		if c.uplink {
			m.trial()
		}
		if len(after) == len(c.after) {
			return // it lies in the file already
		}
		c.after = after
		if !known {
			m.list = append(m.list, c)
		}
	}
	m.saveOrWarn()
}

func (m *aftermath) drop(c *commitment) {
	m.list = slices.DeleteFunc(m.list, func(have *commitment) bool { return have == c })
}

// limit gives up taking back when too much has come together.
func (m *aftermath) limit() {
	size := 0
	for _, c := range m.list {
		size += len(c.undo)
	}
	if len(m.list) <= maxCommitments && size <= maxUndo {
		return
	}
	m.log.Warn("too much was changed at once to be taken back", "transactions", len(m.list), "bytes", size)
	m.list, m.owed = nil, m.due()
}

// due is the work that is left, each piece once.
func (m *aftermath) due() []datamodel.Action {
	work := slices.Clone(m.owed)
	for _, c := range m.list {
		work = union(work, c.after)
	}
	return work
}

func union(a, b []datamodel.Action) []datamodel.Action {
	for _, act := range b {
		if !slices.Contains(a, act) {
			a = append(a, act)
		}
	}
	return a
}

// reload asks for the reload of services at the next opportunity: after an undo.
func (m *aftermath) reload(services []string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, s := range services {
		m.owed = union(m.owed, []datamodel.Action{{Name: reload, Arg: s}})
	}
	m.saveOrWarn()
}

// told is what the status says, "" when all is well.
func (m *aftermath) told() string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.trouble
}

// left reports whether there is work to do.
func (m *aftermath) left() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.due()) > 0
}

// do does what waited for the end of the session, each kind of work once
// ([core.Config.After]). What a service does not take up is taken back, the
// newest transaction first, until it does.
func (m *aftermath) do(ctx context.Context) error {
	m.working.Lock()
	defer m.working.Unlock()
	limited, cancel := context.WithTimeout(ctx, reloadLasts)
	defer cancel()
	r := m.begin()
	if len(r.todo) == 0 {
		return nil
	}
	undone, first := m.perform(limited, r.todo)
	if ctx.Err() != nil {
		return first // it was cut short, and is left for the next process
	}
	last := first
	for failed := refused(last); len(failed) > 0; failed = refused(last) {
		again, err := m.takeBack(limited, r, failed)
		if err != nil || len(again) == 0 {
			last = errors.Join(last, err)
			break
		}
		undone, last = m.perform(limited, union(again, undone))
	}
	m.end(r, undone, first, last)
	return errors.Join(first, last)
}

// A round is the work after one session.
type round struct {
	todo []datamodel.Action
	from uint64          // the oldest of its commitments
	work map[uint64]bool // those that it does the work of
}

func (m *aftermath) begin() round {
	m.mu.Lock()
	defer m.mu.Unlock()
	r := round{todo: m.due(), from: m.seq + 1, work: map[uint64]bool{}}
	m.owed = nil
	for _, c := range m.list {
		if len(c.after) > 0 {
			r.from = min(r.from, c.seq)
			r.work[c.seq] = true
		}
	}
	return r
}

// end says that the work of a round is done, as well as it could be, except for
// the reloads that there was nobody to do.
func (m *aftermath) end(r round, undone []datamodel.Action, first, last error) {
	m.mu.Lock()
	undone = m.patient(undone)
	for _, c := range m.list {
		if r.work[c.seq] {
			c.after = slices.DeleteFunc(c.after, func(act datamodel.Action) bool { return !slices.Contains(undone, act) })
			c.done = len(c.after) == 0
		}
	}
	for _, act := range undone {
		if !slices.Contains(m.due(), act) {
			m.owed = append(m.owed, act)
		}
	}
	switch {
	case first == nil:
		m.trouble = ""
	case len(refused(first)) == 0:
		m.trouble = sentence(first.Error())
	case last == nil:
		m.trouble = sentence(first.Error() + "; what was changed is taken back")
	default:
		m.trouble = sentence(last.Error() + "; nothing that can be taken back helps")
	}
	m.tidy()
	m.saveOrWarn()
	m.mu.Unlock()
	m.after(len(refused(first)) > 0)
	m.trial()
}

// patient asks for another time for the reloads that there was nobody to do, and
// returns those that are left for it: none after too many times.
func (m *aftermath) patient(undone []datamodel.Action) []datamodel.Action {
	switch {
	case len(undone) == 0:
		m.lost = 0
		return nil
	case m.lost == againTimes:
		m.log.Error("what was changed is not in effect, and is not tried again", "services", args(undone), "times", 1+againTimes)
		m.lost = 0
		return nil
	}
	pause := firstAgain << m.lost
	m.lost++
	m.log.Warn("what was changed is not in effect yet", "services", args(undone), "tried again in", pause)
	m.again(pause)
	return undone
}

// tidy forgets what is over: what neither has work left nor is on trial, nor
// came after one that is.
func (m *aftermath) tidy() {
	i := slices.IndexFunc(m.list, func(c *commitment) bool { return c.uplink || !c.done })
	if i < 0 {
		i = len(m.list)
	}
	m.list = slices.Delete(m.list, 0, i)
}

// args is what actions are about.
func args(of []datamodel.Action) (all []string) {
	for _, act := range of {
		all = append(all, act.Arg)
	}
	return all
}

// perform does the work, one call for each name. It returns the reloads that
// there was nobody to do. Other work is somebody's order, which is late by then.
func (m *aftermath) perform(ctx context.Context, todo []datamodel.Action) (undone []datamodel.Action, err error) {
	var names []string
	of := map[string][]datamodel.Action{}
	for _, act := range todo {
		if of[act.Name] == nil {
			names = append(names, act.Name)
		}
		of[act.Name] = append(of[act.Name], act)
	}
	var errs []error
	for _, name := range names {
		what := args(of[name])
		f := m.work[name]
		if f == nil {
			errs = append(errs, fmt.Errorf("nobody knows how to %s %v", name, what))
			continue
		}
		m.log.Info("after the session", "do", name, "what", what)
		err := f(ctx, what)
		errs = append(errs, err)
		if name == reload && err != nil && len(refused(err)) == 0 {
			undone = of[name]
		}
	}
	return undone, errors.Join(errs...)
}

// refused returns the services that did not take up their configuration.
func refused(err error) (services []datamodel.Action) {
	switch e := err.(type) {
	case *platform.ServiceError:
		return []datamodel.Action{{Name: reload, Arg: e.Service}}
	case interface{ Unwrap() []error }:
		for _, one := range e.Unwrap() {
			services = union(services, refused(one))
		}
	case interface{ Unwrap() error }:
		return refused(e.Unwrap())
	}
	return services
}

// takeBack takes back the newest transactions of a round, down to one that a
// service which failed had to take up. It returns what has to be done again;
// nothing when none is to blame.
func (m *aftermath) takeBack(ctx context.Context, r round, failed []datamodel.Action) (again []datamodel.Action, err error) {
	found := false
	err = m.undo(context.WithoutCancel(ctx), m.newest(func(c *commitment) bool {
		if found || c.seq < r.from {
			return false
		}
		found = r.work[c.seq] && slices.ContainsFunc(c.after, func(act datamodel.Action) bool { return slices.Contains(failed, act) })
		again = union(again, c.after)
		return true
	}))
	m.mu.Lock()
	defer m.mu.Unlock()
	again = union(again, m.owed)
	m.owed = nil
	if found {
		again = union(again, failed)
	}
	return again, err
}

// newest yields how to take back the transactions that want agrees to, the
// newest first, until it does not; who asks holds the lock of the tree. One that
// was taken back is over.
func (m *aftermath) newest(want func(*commitment) bool) iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		for {
			m.mu.Lock()
			var c *commitment
			if n := len(m.list); n > 0 {
				c = m.list[n-1]
			}
			m.mu.Unlock()
			if c == nil || !want(c) || !yield(c.undo) {
				return
			}
			m.mu.Lock()
			m.drop(c)
			m.mu.Unlock()
		}
	}
}

// sentence makes one of an error's text.
func sentence(text string) string {
	text = strings.Join(strings.Fields(text), " ")
	if text == "" {
		return ""
	}
	return strings.ToUpper(text[:1]) + strings.TrimRight(text[1:], ".") + "."
}
