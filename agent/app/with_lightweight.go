//go:build !no_stun

package app

import (
	"context"
	"errors"
	"net/url"
	"slices"
	"sync/atomic"
	"time"

	"gatehouse/agent/core"
	"gatehouse/agent/settings"
	"gatehouse/datamodel"
	"gatehouse/nat"
)

const (
	lightGap   = time.Second // between two notifications, however often a value changes
	firstLight = time.Minute // to the next try after one that could not leave; doubles
	lastLight  = time.Hour
)

// lightweight is Annex M of TR-069 in the agent: it tells of changes by
// datagrams, those of active attributes at once, those of passive ones with
// them or when the trigger is due.
type lightweight struct {
	agent  *Agent
	sender nat.Notifier

	look, news, way atomic.Bool // since the last turn: settings or the clock; an active change; the network

	on     bool          // a protocol is used
	slot   time.Time     // when the trigger is due; zero: never
	due    time.Time     // when to send what has changed; zero: nothing is known to have
	last   time.Time     // when one was sent
	failed time.Duration // how long to wait for the next try; 0: the last did not fail
}

// withLightweight adds Annex M to the agent.
func (a *Agent) withLightweight() bool {
	l := &lightweight{
		agent: a,
		sender: nat.Notifier{
			Resolver: names{a}, Listen: a.listenUDP(), Local: a.reach.local,
			Now: func() time.Time { now, _ := a.wall.Now(); return now },
		},
	}
	l.look.Store(true)
	c := &chore{name: "lightweight notifications", turn: l.run}
	hear := func(what *atomic.Bool) func() {
		return func() {
			what.Store(true)
			c.poke()
		}
	}
	a.extras = append(a.extras, extra{
		chore: c, settings: hear(&l.look), clock: hear(&l.look), network: hear(&l.way), light: hear(&l.news),
	})
	return true
}

// run heeds what was heard, and does what is due.
func (l *lightweight) run(ctx context.Context) (again time.Duration, err error) {
	if l.look.Swap(false) {
		if err := l.configure(ctx, time.Now()); err != nil {
			l.look.Store(true)
			return 0, err
		}
	}
	if l.news.Swap(false) {
		l.soon(time.Now())
	}
	if l.way.Swap(false) && l.failed > 0 {
		l.failed = 0
		l.soon(time.Now())
	}
	if err := l.turn(ctx, time.Now()); err != nil {
		return 0, err
	}
	if d, ok := l.sleep(time.Now()); ok {
		return max(d, time.Millisecond), nil
	}
	return 0, nil
}

// sleep is how long nothing is due.
func (l *lightweight) sleep(now time.Time) (d time.Duration, ok bool) {
	for _, t := range [...]time.Time{l.slot, l.due} {
		if left := t.Sub(now); !t.IsZero() && (!ok || left < d) {
			d, ok = max(left, 0), true
		}
	}
	return d, ok
}

// configure takes in what the settings and the clock are now.
func (l *lightweight) configure(ctx context.Context, now time.Time) error {
	on := slices.Contains(l.agent.settings.List(settings.LightweightProtocols), "UDP")
	if on != l.on {
		if err := l.agent.notify.Lightweight(ctx, on); err != nil {
			return l.ended(ctx, err)
		}
		l.on, l.due, l.failed = on, time.Time{}, 0
	}
	l.plan(now)
	return nil
}

// plan finds the next trigger: TriggerTime plus or minus any number of
// TriggerIntervals. Without a time, or without a clock, any phase will do.
func (l *lightweight) plan(now time.Time) {
	s := l.agent.settings
	interval := uint32(s.Number(settings.LightweightTriggerInterval))
	if !l.on || interval == 0 {
		l.slot = time.Time{}
		return
	}
	every := time.Duration(interval) * time.Second
	ref := s.Time(settings.LightweightTriggerTime)
	wall, known := l.agent.wall.Now()
	switch {
	case known && ref.Year() > 1:
		l.slot = now.Add(core.NextSlot(wall, ref, interval).Sub(wall))
	case l.slot.IsZero() || !l.slot.After(now) || l.slot.Sub(now) > every:
		l.slot = now.Add(every)
	}
}

// soon makes a notification due, not too close to the one before.
func (l *lightweight) soon(now time.Time) {
	if at := l.last.Add(lightGap); l.on && l.failed == 0 {
		l.due = now
		if at.After(now) {
			l.due = at
		}
	}
}

// turn does what is due.
func (l *lightweight) turn(ctx context.Context, now time.Time) error {
	reached := func(t time.Time) bool { return !t.IsZero() && !now.Before(t) }
	fire := reached(l.due)
	if reached(l.slot) {
		l.plan(now)
		fire = true
	}
	if !fire {
		return nil
	}
	l.due = time.Time{}
	items, err := l.agent.notify.Unsent(ctx)
	if err != nil || len(items) == 0 {
		return l.ended(ctx, err)
	}
	log := l.agent.log.With("component", "lightweight")
	err = l.sender.Send(ctx, l.target(), notification(items))
	switch {
	case errors.Is(err, nat.ErrTooLong):
		log.Warn("not everything fits into a lightweight notification", "err", err)
	case err != nil:
		l.failed = min(max(2*l.failed, firstLight), lastLight)
		l.due = now.Add(l.failed)
		log.Warn("a lightweight notification has not left", "again in", l.failed, "err", err)
		return nil
	}
	l.last, l.failed = now, 0
	log.Debug("sent", "parameters", len(items))
	return l.ended(ctx, l.agent.notify.Sent(ctx, items))
}

// ended passes on an error that is not the end of the agent.
func (l *lightweight) ended(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return nil
	}
	return err
}

// target is who is told, and who tells.
func (l *lightweight) target() nat.NotificationTarget {
	s, id := l.agent.settings, l.agent.id
	to := nat.NotificationTarget{
		Host: s.Get(settings.LightweightHost), Port: uint16(s.Number(settings.LightweightPort)),
		Username: s.Get(settings.Username), Password: nat.Secret(s.Get(settings.Password)),
		OUI: id.OUI, ProductClass: id.ProductClass, SerialNumber: id.SerialNumber,
	}
	if to.Host == "" {
		if u, err := url.Parse(s.Get(settings.URL)); err == nil {
			to.Host = u.Hostname()
		}
	}
	return to
}

func notification(items []datamodel.Item) (params []nat.NotificationParam) {
	for _, it := range items {
		params = append(params, nat.NotificationParam{Name: it.Name, Value: it.Value, Type: it.Type.XSD()})
	}
	return params
}
