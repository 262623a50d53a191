package bus

// One vendor: calls to it, and what happens when it does not answer.

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/godbus/dbus/v5"

	"gatehouse/datamodel"
)

const (
	maxPause = 5 * time.Minute // before a vendor that is down is asked again

	// Changed is passed on at most every changedGap. Who sends more than
	// maxChanged in changedWindow is not heard for mutedFor.
	changedGap    = 200 * time.Millisecond
	changedWindow = 10 * time.Second
	maxChanged    = 500
	mutedFor      = 30 * time.Second
)

type vendor struct {
	d      *Door
	sender string
	slot   chan struct{} // one call at a time: one that hangs is waited for once

	mu      sync.Mutex
	until   time.Time // down until then
	pause   time.Duration
	inTx    int // calls of a transaction under way
	waiting map[*context.CancelCauseFunc]struct{}
	ended   bool

	hinting, muted   bool
	hinted           time.Time
	counted          time.Time // when the window of count began
	count            int
	timer, muteTimer *time.Timer
}

func newVendor(d *Door, sender string) *vendor {
	return &vendor{d: d, sender: sender, slot: make(chan struct{}, 1), waiting: map[*context.CancelCauseFunc]struct{}{}}
}

// end is called once it has gone.
func (v *vendor) end() {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.ended = true
	for _, t := range []*time.Timer{v.timer, v.muteTimer} {
		if t != nil {
			t.Stop()
		}
	}
}

// isDown returns an error while it is not to be asked.
func (v *vendor) isDown() error {
	v.mu.Lock()
	defer v.mu.Unlock()
	if left := time.Until(v.until); left > 0 {
		return fmt.Errorf("it did not answer, and is asked again in %v", left.Round(time.Second))
	}
	return nil
}

// answered notes whether it did. One that comes back may have news.
func (v *vendor) answered(ok bool) {
	v.mu.Lock()
	was := v.pause
	if ok {
		v.pause, v.until = 0, time.Time{}
	} else {
		v.pause = min(max(2*v.pause, v.d.cfg.Retry), maxPause)
		v.until = time.Now().Add(v.pause)
	}
	v.mu.Unlock()
	switch {
	case !ok:
		v.d.log.Warn("a vendor does not answer", "sender", v.sender, "again in", v.pause)
	case was > 0:
		v.d.log.Info("a vendor answers again", "sender", v.sender)
		go v.d.vendors.hint(v)
	}
}

// source names it in errors.
func (v *vendor) source(prefix string) string { return "D-Bus " + v.sender + " " + prefix }

// call calls a method of Subtree. The error is a *refusal when the vendor says
// no, and else Unavailable or ErrBusy.
func (v *vendor) call(ctx context.Context, reg *registration, method string, args ...any) ([]any, error) {
	missing := func(err error) error { return &datamodel.Unavailable{Source: v.source(reg.prefix), Err: err} }
	if ctx.Value(senderKey{}) == v.sender {
		return nil, missing(fmt.Errorf("%w: it is your own to answer for", datamodel.ErrBusy))
	}
	if err := v.isDown(); err != nil {
		return nil, missing(err)
	}
	select {
	case v.slot <- struct{}{}:
		defer func() { <-v.slot }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	if err := v.isDown(); err != nil { // by now
		return nil, missing(err)
	}
	if v.d.inTransaction(ctx) {
		v.needed(+1)
		defer v.needed(-1)
	}
	calling, cancel := context.WithTimeout(ctx, reg.timeout)
	defer cancel()
	c := v.d.conn.Object(v.sender, reg.path).CallWithContext(calling, ifaceSubtree+"."+method, dbus.FlagNoAutoStart, args...)
	var said dbus.Error
	switch {
	case c.Err == nil:
		v.answered(true)
		return c.Body, nil
	case ctx.Err() != nil:
		return nil, ctx.Err()
	case errors.Is(c.Err, context.DeadlineExceeded):
		v.answered(false)
		return nil, missing(fmt.Errorf("%s has taken longer than %v", method, reg.timeout))
	case errors.As(c.Err, &said) && !strings.HasPrefix(said.Name, theBus):
		v.answered(true)
		return nil, &refusal{said.Name, said.Error()}
	}
	return nil, missing(c.Err)
}

// send calls a method without waiting for its end.
func (v *vendor) send(reg *registration, method string, args ...any) {
	v.d.conn.Object(v.sender, reg.path).Go(ifaceSubtree+"."+method, dbus.FlagNoAutoStart|dbus.FlagNoReplyExpected, nil, args...)
}

// inTransaction reports whether ctx belongs to a callback of the transaction
// under way: there, and only there, Begin says so instead of waiting.
func (d *Door) inTransaction(ctx context.Context) bool {
	ctx, cancel := context.WithCancel(ctx)
	cancel()
	tx, err := d.cfg.Tree.Begin(ctx)
	if err == nil {
		tx.Abort()
	}
	return errors.Is(err, datamodel.ErrBusy)
}

// needed notes that a transaction begins (+1) or ceases (-1) to wait for it.
// Writes of its own that wait their turn behind that transaction end.
func (v *vendor) needed(n int) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.inTx += n
	if n > 0 {
		for cancel := range v.waiting {
			(*cancel)(errReentered)
		}
	}
}

// writes announces a write of its own.
func (v *vendor) writes(ctx context.Context) (context.Context, func(), error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.inTx > 0 {
		return nil, nil, refuse("Busy", "", "%v", errReentered)
	}
	ctx, cancel := context.WithCancelCause(ctx)
	v.waiting[&cancel] = struct{}{}
	return ctx, func() {
		v.mu.Lock()
		delete(v.waiting, &cancel)
		v.mu.Unlock()
		cancel(nil)
	}, nil
}

// changed passes on that it says that something has changed, as often as is
// good. It must not wait.
func (v *vendor) changed() {
	v.mu.Lock()
	defer v.mu.Unlock()
	now := time.Now()
	if now.Sub(v.counted) > changedWindow {
		v.counted, v.count = now, 0
	}
	v.count++
	switch {
	case v.ended || v.muted:
	case v.count > maxChanged:
		v.muted = true
		v.d.log.Warn("a vendor sends Changed without end, and is not heard for a while", "sender", v.sender, "for", mutedFor)
		v.d.drop(changedMatch(v.sender)...)
		v.muteTimer = time.AfterFunc(mutedFor, v.unmute)
	case !v.hinting:
		v.hinting = true
		v.timer = time.AfterFunc(max(0, changedGap-now.Sub(v.hinted)), func() {
			v.mu.Lock()
			v.hinting, v.hinted = false, time.Now()
			v.mu.Unlock()
			v.d.vendors.hint(v)
		})
	}
}

func (v *vendor) unmute() {
	v.mu.Lock()
	v.muted, v.counted, v.count = false, time.Now(), 0
	ended := v.ended
	v.mu.Unlock()
	if ended {
		return
	}
	if err := v.d.conn.AddMatchSignalContext(v.d.ctx, changedMatch(v.sender)...); err != nil {
		v.d.log.Warn("a vendor cannot be heard", "sender", v.sender, "err", err)
	}
	v.d.vendors.hint(v) // what was not heard
}

// A refusal is a vendor's no.
type refusal struct{ name, text string }

func (r *refusal) Error() string { return r.text }

// Unwrap gives it the meaning that its name has.
func (r *refusal) Unwrap() error {
	name, ours := strings.CutPrefix(r.name, errorPrefix)
	if !ours {
		return nil
	}
	switch name {
	case "InvalidValue":
		return datamodel.ErrValue
	case "InvalidType":
		return datamodel.ErrType
	case "InvalidName":
		return datamodel.ErrNoName
	case "InvalidArguments":
		return datamodel.ErrArguments
	case "NotWritable":
		return datamodel.ErrReadOnly
	case "Denied", "NotPermitted":
		return datamodel.ErrDenied
	case "Full", "Busy":
		return datamodel.ErrResources
	}
	return nil
}
