package core

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"time"
)

// phase is what the one transient goroutine of the agent is doing.
type phase uint8

const (
	none    phase = iota
	session       // Runner.Run
	after         // Config.After
	wiping        // Config.Wipe
	leaving       // Config.Restart
	down          // the restart was accepted; waiting for the end of the world
)

// ended is the last message of the transient goroutine.
type ended struct {
	phase  phase
	order  Order
	result Result
}

// informed is the message behind Runner's informed.
type informed struct{ order Order }

func (m informed) apply(a *Agent) error {
	if a.phase == session && a.status.Session == m.order.ID {
		a.delivered(m.order.URL)
	}
	return nil
}

// Run drives the agent until ctx ends, and then lets a running session come
// to its end within Config.Grace. It returns an error only when what runs
// would not stop.
func (a *Agent) Run(ctx context.Context) error {
	defer close(a.done)
	a.work, a.cancel = context.WithCancel(context.WithoutCancel(ctx))
	defer a.cancel()
	a.start(ctx)
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	stop := ctx.Done()
	for {
		a.due()
		a.launch()
		_ = a.save(false) // logged there, and tried again
		a.publish()
		if a.stopping {
			if a.idle() {
				a.keepAll()
				return nil
			}
			if !a.now.Before(a.leaveAt) {
				a.keepAll()
				return fmt.Errorf("the session did not end within %v of the stop", a.cfg.Grace)
			}
		}
		wake := timer.C
		if d := a.sleep(); d > 0 {
			timer.Reset(d)
		} else {
			timer.Stop()
			wake = nil
		}
		select {
		case c := <-a.inbox:
			a.tick(false)
			a.handle(c)
		case e := <-a.ended:
			a.tick(false)
			a.finish(e)
		case <-wake:
			a.tick(false)
		case <-stop:
			stop = nil
			a.tick(false)
			a.stop()
		}
	}
}

// start finds out what has happened while nobody looked.
func (a *Agent) start(ctx context.Context) {
	a.tick(false)
	a.afterDue = a.cfg.AfterLeft && a.cfg.After != nil
	var early []call
	if a.load() {
		a.r = volatile{}
		_ = a.save(false) // the marker of this boot, before anything else
		early = a.booted(ctx)
	}
	a.owe()
	if a.d.wipe && (a.cfg.Wipe == nil || a.cfg.Restart == nil) {
		a.log.Error("a factory reset was promised, and this device cannot")
		a.d.wipe = false
	}
	for i := range a.d.schedules {
		a.d.schedules[i].step(a.now, a.wall, a.known)
	}
	a.set = a.cfg.Settings()
	if a.flash.unread && a.d.bootstrap == "" {
		// There is a file, so there was a first contact. A second BOOTSTRAP would
		// have the ACS provision the device anew.
		a.d.contacted = a.set.URL
	}
	if left := a.r.notBefore.Sub(a.wall); left > 0 && a.r.busy == a.set.URL {
		a.notBefore = a.now.Add(min(left, maxRetryAfter))
	}
	a.contact()
	for _, c := range early {
		a.handle(c)
	}
}

// booted calls Config.Booted and meanwhile takes messages: Booted changes
// settings, and who hears of that posts SettingsChanged.
func (a *Agent) booted(ctx context.Context) (early []call) {
	if a.cfg.Booted == nil {
		return nil
	}
	done := make(chan error, 1)
	go func() { done <- a.cfg.Booted(ctx) }()
	for {
		select {
		case c := <-a.inbox:
			early = append(early, c)
		case err := <-done:
			if err != nil {
				// The device would restart for ever.
				a.r.spent = true
				a.log.Error("what a boot asks for failed; DelayReboot is not heeded until it changes", "err", err)
			}
			return early
		}
	}
}

// contact notes the events of the start: 0 BOOTSTRAP when the ACS is not the
// one that was contacted last, 1 BOOT when nobody was told of this boot.
func (a *Agent) contact() {
	switch url := a.set.URL; {
	case url == "" || url == a.d.contacted:
	case url == a.d.bootstrap: // this occurrence has discarded what it had to
		a.d.add(entry{Event: Event{Code: Bootstrap}})
	default:
		a.bootstrap(true)
	}
	if !a.r.told {
		a.d.add(entry{Event: Event{Code: Boot}})
	}
	a.hurry, a.urgent = true, false
	a.planPeriodic(true)
	a.planReboot()
}

// settings takes over new settings.
func (a *Agent) settings(s Settings) {
	old := a.set
	a.set = s
	if s.URL != old.URL && s.URL != "" && s.URL != a.d.contacted {
		a.bootstrap(old.URL == "")
	}
	talked := old.EnableCWMP && old.URL != ""
	if a.talks() && !talked {
		a.hurry = true
	}
	if a.talks() != talked || s.PeriodicEnable != old.PeriodicEnable || s.PeriodicInterval != old.PeriodicInterval ||
		!s.PeriodicTime.Equal(old.PeriodicTime) {
		a.lastSlot = time.Time{}
		a.planPeriodic(true)
	}
	if s.DelayReboot != old.DelayReboot {
		a.delayFrom, a.r.spent = time.Time{}, false
	}
	if !s.ScheduleReboot.Equal(old.ScheduleReboot) {
		a.rebootAt = time.Time{}
		a.planReboot()
	}
}

// talks tells whether there is an ACS to talk to.
func (a *Agent) talks() bool { return a.set.EnableCWMP && a.set.URL != "" }

// handle applies a message. Who asked for a promise that cannot be kept on
// disk is told so, and nothing of it remains.
func (a *Agent) handle(c call) {
	if c.ack != nil && promises(c.m) {
		_ = a.reread(true) // else the promise is refused below
	}
	before, hurry, urgent := a.d.clone(), a.hurry, a.urgent
	err := c.m.apply(a)
	if err == nil && c.ack != nil && promises(c.m) && !bytes.Equal(a.d.encode(a.cfg.BootID), before.encode(a.cfg.BootID)) {
		if err = a.save(true); err != nil {
			err = fmt.Errorf("cannot be kept on disk: %w", err)
		}
	} else if err == nil {
		_ = a.save(false) // logged there, and tried again
	}
	if err != nil {
		a.d, a.hurry, a.urgent = before, hurry, urgent
	}
	if c.ack != nil {
		c.ack <- err
	}
}

// save writes what has changed, and returns the error of the flash. A disk
// that is full or read-only is tried again every minute: nothing is lost as
// long as the process lives. now: do not wait for that minute.
func (a *Agent) save(now bool) error {
	err := a.reread(false)
	if err == nil {
		err = a.flash.save(a.d.encode(a.cfg.BootID), a.now, now)
	}
	err2 := a.run.save(a.encodeRun(), a.now, now)
	if err := cmp.Or(err, err2); err != nil {
		if a.status.StoreError == "" {
			a.log.Error("the state cannot be saved, trying again every minute", "err", err)
		}
		a.status.StoreError = sentence(err)
	}
	if !a.flash.unsure && !a.run.unsure {
		a.status.StoreError = ""
	}
	return err
}

// stop begins the end: no new session, and a running one has its grace.
func (a *Agent) stop() {
	a.stopping = true
	a.cutAt = a.now.Add(a.cfg.Grace)
	a.leaveAt = a.cutAt.Add(2 * time.Second)
	a.keepAll()
}

// keepAll makes all that has not been delivered survive a power cut.
func (a *Agent) keepAll() {
	for i := range a.d.events {
		a.d.events[i].stuck = true
	}
	_ = a.save(true) // logged there
}

// idle tells whether nothing runs and no after-work is left.
func (a *Agent) idle() bool {
	return (a.phase == none || a.phase == down) && !a.afterDue
}
