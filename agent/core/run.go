package core

import (
	"context"
	"fmt"
	"time"
)

// phase is what the one transient goroutine of the agent is doing.
type phase uint8

const (
	none    phase = iota
	session       // Runner.Run
	after         // actions that waited for the end of the session
	wiping        // Config.Wipe
	leaving       // Config.Restart
	down          // the restart was accepted; waiting for the end of the world
)

// ended is the last message of the transient goroutine.
type ended struct {
	phase  phase
	order  Order
	result Result
	errs   []error
}

// informed is the message behind Runner's informed.
type informed struct{ order Order }

func (m informed) apply(a *Agent) error {
	a.delivered(m.order.URL)
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
		a.save()
		a.publish()
		if a.stopping {
			if a.idle() {
				return nil
			}
			if !a.now.Before(a.leaveAt) {
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
	booted := a.load()
	if booted {
		a.r = volatile{}
		a.save() // the marker of this boot, before anything else
		if a.cfg.Booted != nil {
			if err := a.cfg.Booted(ctx); err != nil {
				a.log.Error("what a boot asks for failed", "err", err)
			}
		}
	}
	for i := range a.d.schedules {
		a.d.schedules[i].step(a.now, a.wall, a.known)
	}
	if left := a.r.notBefore.Sub(a.wall); left > 0 {
		a.notBefore = a.now.Add(min(left, maxRetryAfter))
	}
	a.set = a.cfg.Settings()
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
	a.hurry = true
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
		a.delayFrom = time.Time{}
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
	before, hurry, urgent := a.d.clone(), a.hurry, a.urgent
	err := c.m.apply(a)
	if err == nil {
		err = a.save()
		if err != nil && c.ack != nil && promises(c.m) {
			err = fmt.Errorf("cannot be kept on disk: %w", err)
		} else {
			err = nil
		}
	}
	if err != nil {
		a.d, a.hurry, a.urgent = before, hurry, urgent
	}
	if c.ack != nil {
		c.ack <- err
	}
}

// save writes what has changed. A disk that is full or read-only is tried
// again every minute; nothing is lost as long as the process lives.
func (a *Agent) save() error {
	err := a.flash.save(a.d.encode(a.cfg.BootID))
	if err2 := a.run.save(a.encodeRun()); err == nil {
		err = err2
	}
	switch {
	case err == nil:
		a.saveAt, a.status.StoreError = time.Time{}, ""
	case a.saveAt.IsZero() || !a.now.Before(a.saveAt):
		if a.saveAt.IsZero() {
			a.log.Error("the state cannot be saved, trying again every minute", "err", err)
		}
		a.saveAt = a.now.Add(time.Minute)
		a.status.StoreError = err.Error()
	}
	return err
}

// stop begins the end: no new session, and a running one has its grace.
func (a *Agent) stop() {
	a.stopping = true
	a.cutAt = a.now.Add(a.cfg.Grace)
	a.leaveAt = a.cutAt.Add(2 * time.Second)
	a.stick()
}

// stick makes what has not been delivered survive a power cut from now on.
func (a *Agent) stick() {
	for i := range a.d.events {
		a.d.events[i].stuck = true
	}
}

// idle tells whether nothing runs and no after-work is left.
func (a *Agent) idle() bool {
	return (a.phase == none || a.phase == down) && len(a.actions) == 0
}
