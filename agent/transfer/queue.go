package transfer

// The queue: what is known of each transfer, on disk before anybody is told.

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"slices"
	"sync"
	"time"
)

// A Backing is one small file that is replaced as a whole; *store.File is one.
type Backing interface {
	Load() ([]byte, error)
	Save([]byte) error
}

// A Queue is the transfers that are not over. Its methods may be called from
// several goroutines.
type Queue struct {
	Wake func() // hears that something is due at another time; it must not wait

	file Backing
	wall func() (now time.Time, known bool)
	rand func(n int64) int64
	log  *slog.Logger

	mu      sync.Mutex
	all     []*Transfer // in the order of their results, then of their orders
	lastID  uint32
	applied time.Time // when a configuration file was last put in place
}

// Open reads the queue. boot and version are those of now: by them it knows
// what became of an image that was being applied. rand is uniform in [0, n).
func Open(file Backing, boot, version string, wall func() (time.Time, bool), rand func(n int64) int64, log *slog.Logger) *Queue {
	q := &Queue{file: file, wall: wall, rand: rand, log: log}
	text, err := file.Load()
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		log.Error("the queue of transfers cannot be read, starting without it", "err", err)
	}
	q.parse(text)
	now, changed := time.Now(), false
	wallNow, set := wall()
	for _, t := range slices.Clone(q.all) {
		// The clock may have been wrong then or be so now: never wait longer
		// than was asked for. Where it was not set, the wait begins anew: the
		// windows must not seem to have passed long ago.
		t.base = now
		if t.Asked.IsZero() {
			changed = changed || set // save notes that it began now
		} else {
			t.base = now.Add(-max(wallNow.Sub(t.Asked), 0))
		}
		changed = q.resume(t, boot, version) || changed
		q.plan(t, now)
	}
	if changed {
		q.keep()
	}
	return q
}

// resume finds out what became of a transfer that the last process left.
func (q *Queue) resume(t *Transfer, boot, version string) (changed bool) {
	switch {
	case t.State == Applying:
		err := judge(t, boot, version)
		q.finish(t, err)
	case t.State == Running && t.Begun >= maxBegun && t.Windows == nil:
		q.finish(t, failed(Failed, "it was begun %d times, and the device or its agent ended each time", t.Begun))
	case t.State == Running:
		t.State = Waiting
	default:
		return false
	}
	return true
}

// judge tells whether the image runs now. Where its version is known, that
// decides. Where it is not, another version or another boot counts as success:
// the same image may have been ordered twice. An image that is not running had
// passed its checks, so that it is not the file that is to blame: Internal.
func judge(t *Transfer, boot, version string) error {
	switch {
	case t.Image != "" && version == t.Image && boot != t.Boot, version != t.Version && t.Image == "":
		return nil
	case boot == t.Boot:
		return failed(Internal, "the device did not restart to install the image")
	case t.Image == "":
		return nil
	}
	return failed(Internal, "version %s runs, not %s: the image was not installed, or the device went back", version, t.Image)
}

// Add takes an order. When it returns nil the order survives a power cut.
func (q *Queue) Add(o Order) error {
	if err := checkWindows(o.Windows); err != nil {
		return err
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.all) >= maxQueue {
		return ErrFull
	}
	now := time.Now()
	q.lastID++
	t := &Transfer{Order: o, ID: q.lastID, State: Waiting, Asked: q.now(), base: now}
	q.plan(t, now)
	q.all = append(q.all, t)
	if err := q.save(); err != nil {
		q.all = q.all[:len(q.all)-1]
		return fmt.Errorf("the order cannot be kept on disk: %w", err)
	}
	q.nudge()
	return nil
}

// checkWindows demands that windows follow each other (TR-069 A.4.1.8).
func checkWindows(ws []Window) error {
	for i, w := range ws {
		if w.Start >= w.End || i > 0 && w.Start < ws[i-1].End {
			return ErrWindows
		}
	}
	return nil
}

// plan says when a waiting transfer is due. In a window that leaves the time to
// us it is a random one of the first half: a fleet is given the same window.
func (q *Queue) plan(t *Transfer, now time.Time) {
	if t.State != Waiting {
		return
	}
	t.due = t.base.Add(t.Delay)
	if t.Windows == nil {
		return
	}
	for t.Window < len(t.Windows) && !t.ends().After(now) {
		t.Window++
		t.Begun = 0
	}
	if t.Window == len(t.Windows) {
		t.due = now // to be told that it was missed
		return
	}
	w := t.Windows[t.Window]
	t.due = t.base.Add(w.Start)
	if w.AnyTime {
		half := (w.End - w.Start) / 2
		t.due = t.due.Add(time.Duration(q.rand(int64(half) + 1)))
	}
}

// ends is when the present window closes.
func (t *Transfer) ends() time.Time { return t.base.Add(t.Windows[t.Window].End) }

// missed says that no window is left.
func (t *Transfer) missed() bool { return t.Windows != nil && t.Window >= len(t.Windows) }

// Cancel drops the transfers with a key that wait (TR-069 A.4.1.9); ErrBegun
// when one is past that, and then none is dropped. They are not told of.
func (q *Queue) Cancel(key string) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	match := func(t *Transfer) bool { return t.CommandKey == key }
	if slices.ContainsFunc(q.all, func(t *Transfer) bool { return match(t) && t.State != Waiting }) {
		return ErrBegun
	}
	before := q.all
	if q.all = slices.DeleteFunc(slices.Clone(q.all), match); len(q.all) == len(before) {
		return nil
	}
	if err := q.save(); err != nil {
		q.all = before
		return fmt.Errorf("that it was dropped cannot be kept on disk: %w", err)
	}
	q.nudge()
	return nil
}

// List returns a copy of the queue.
func (q *Queue) List() []Transfer {
	q.mu.Lock()
	defer q.mu.Unlock()
	out := make([]Transfer, len(q.all))
	for i, t := range q.all {
		out[i] = *t
	}
	return out
}

// Results are the transfers whose result the ACS has not acknowledged, in the
// order in which they ended.
func (q *Queue) Results() []Transfer {
	return slices.DeleteFunc(q.List(), func(t Transfer) bool { return t.State != Done })
}

// Acknowledge forgets a result: the ACS knows it.
func (q *Queue) Acknowledge(id uint32) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.all = slices.DeleteFunc(q.all, func(t *Transfer) bool { return t.ID == id && t.State == Done })
	q.keep()
}

// Forget drops everything: another ACS has come, who ordered none of it
// (TR-069 3.7.1.5). What is on its way is not put in place.
func (q *Queue) Forget() {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.all) == 0 {
		return
	}
	q.all = nil
	q.keep()
	q.nudge()
}

// ConfigApplied is when a configuration file was last put in place; zero when
// none was, or the clock was not set.
func (q *Queue) ConfigApplied() time.Time {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.applied
}

// next returns what is to be begun now. When nothing is, due is when to ask
// again; zero: when the queue says so.
func (q *Queue) next(now time.Time) (t Transfer, due time.Time, ok bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, t := range q.all {
		switch {
		case t.State != Waiting:
		case !t.due.After(now):
			return *t, time.Time{}, true
		case due.IsZero() || t.due.Before(due):
			due = t.due
		}
	}
	return Transfer{}, due, false
}

// change edits a transfer that is still in the queue, and puts that on disk.
func (q *Queue) change(id uint32, edit func(t *Transfer)) (Transfer, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, t := range q.all {
		if t.ID == id {
			edit(t)
			return *t, q.save()
		}
	}
	return Transfer{}, errForgotten
}

var errForgotten = errors.New("the order was forgotten")

// begin marks a transfer as running.
func (q *Queue) begin(id uint32) (Transfer, error) {
	return q.change(id, func(t *Transfer) {
		t.State = Running
		t.Begun++
		t.Started = q.now()
	})
}

// applying is put on disk before an image may be written.
func (q *Queue) applying(id uint32, boot, version, image string) error {
	_, err := q.change(id, func(t *Transfer) { t.State, t.Boot, t.Version, t.Image = Applying, boot, version, image })
	return err
}

// end notes how an attempt went. It tells whether that is the result: within a
// window a download is tried again. A disk that is full costs the promise that
// the result survives, not the result.
func (q *Queue) end(id uint32, err error) (result Transfer, done bool) {
	t, saveErr := q.change(id, func(t *Transfer) {
		if err == nil && t.Kind == Config && t.Method != Upload {
			q.applied = q.now()
		}
		if err == nil || t.Windows == nil || !q.again(t) {
			q.finish(t, err)
		}
	})
	if saveErr != nil && !errors.Is(saveErr, errForgotten) {
		q.log.Error("the result of a transfer may be lost by a power cut", "err", saveErr)
	}
	q.nudge()
	return t, t.State == Done
}

// again plans another attempt at a scheduled download, where there may be one.
func (q *Queue) again(t *Transfer) bool {
	if t.missed() {
		return false
	}
	now := time.Now()
	limit := t.Windows[t.Window].Retries
	if limit < 0 {
		limit = maxWindowTries - 1
	}
	if t.Begun <= limit && now.Before(t.ends()) {
		t.State = Waiting
		t.due = now.Add(time.Minute << min(t.Begun-1, 6))
		if t.due.Before(t.ends()) {
			return true
		}
	}
	if t.Window+1 == len(t.Windows) {
		return false
	}
	t.State = Waiting
	t.Window++
	t.Begun = 0
	q.plan(t, now)
	return true
}

// finish makes t a result, behind those that were there before.
func (q *Queue) finish(t *Transfer, err error) {
	t.State, t.Failure, t.Text = Done, failureOf(err), ""
	t.Completed = q.now()
	t.Password = ""
	if err != nil {
		t.Text = err.Error()
	}
	q.all = slices.DeleteFunc(q.all, func(o *Transfer) bool { return o == t })
	i := slices.IndexFunc(q.all, func(o *Transfer) bool { return o.State != Done })
	if i < 0 {
		i = len(q.all)
	}
	q.all = slices.Insert(q.all, i, t)
}

// now is the wall clock, zero while it was never set.
func (q *Queue) now() time.Time {
	now, known := q.wall()
	if !known {
		return time.Time{}
	}
	return now.UTC().Truncate(time.Second)
}

func (q *Queue) nudge() {
	if q.Wake != nil {
		q.Wake()
	}
}

// save puts the queue on disk, and with it when each order came, as soon as the
// clock can tell.
func (q *Queue) save() error {
	if now := q.now(); !now.IsZero() {
		for _, t := range q.all {
			if t.Asked.IsZero() {
				t.Asked = now.Add(-time.Since(t.base)).Truncate(time.Second)
			}
		}
	}
	return q.file.Save(q.text())
}

// keep saves where nobody can be told that it failed.
func (q *Queue) keep() {
	if err := q.save(); err != nil {
		q.log.Error("the queue of transfers cannot be saved", "err", err)
	}
}
