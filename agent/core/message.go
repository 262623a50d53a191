package core

import (
	"fmt"
	"math"
	"slices"
	"time"
)

// A Message is something that happened outside, or that somebody wants.
type Message interface {
	// apply runs on the goroutine of the agent. When it returns nil, what the
	// message promises is on disk.
	apply(*Agent) error
}

// ConnectionRequest says that a connection request passed its checks. It is
// a flag: several before a session are one, and it dies with a session that
// fails.
type ConnectionRequest struct{}

// ValueChange says that the value of a parameter with active notification is
// not what the ACS was last told. Withdrawn takes that back: by now all are.
type ValueChange struct{ Withdrawn bool }

// SettingsChanged says that Config.Settings has news.
type SettingsChanged struct{}

// Reboot asks for a restart of the device after the session; one restart,
// and one M Reboot for each Reboot (TR-069 A.3.2.9).
type Reboot struct{ CommandKey string }

// FactoryReset asks for a factory reset after the session (A.4.1.6).
type FactoryReset struct{}

// ScheduleInform asks for a session after Delay (A.4.1.3).
type ScheduleInform struct {
	Delay      time.Duration
	CommandKey string
}

// ClockStepped says that the wall clock was set.
type ClockStepped struct{}

// Inform asks for a session with Events, or with 2 PERIODIC when there are
// none. Who sits at the command line is not made to wait for Retry-After.
type Inform struct{ Events []Event }

// Delivered says that the ACS has answered the calls that deliver Events
// (TransferComplete delivers "7 TRANSFER COMPLETE" and "M Download").
type Delivered struct{ Events []Event }

// NetworkUp says that a way to the ACS may have come back.
type NetworkUp struct{}

// After says that there is work for Config.After, which must wait for the end of
// the session. Without a session it is done at once.
type After struct{}

func (ConnectionRequest) apply(a *Agent) error {
	if a.set.EnableCWMP && a.set.URL != "" {
		a.occur(entry{Event: Event{Code: ConnectionRequested}})
		a.urgent = true
	}
	return nil
}

func (m ValueChange) apply(a *Agent) error {
	if !m.Withdrawn {
		a.occur(entry{Event: Event{Code: ValueChanged}})
		return nil
	}
	a.d.events = slices.DeleteFunc(a.d.events, func(e entry) bool { return e.Code == ValueChanged && !e.sent })
	return nil
}

func (SettingsChanged) apply(a *Agent) error {
	a.settings(a.cfg.Settings())
	return nil
}

func (m Reboot) apply(a *Agent) error {
	if a.cfg.Restart == nil {
		return ErrUnsupported
	}
	if !a.d.room() {
		return ErrFull
	}
	a.d.reboots = append(a.d.reboots, m.CommandKey)
	return nil
}

func (FactoryReset) apply(a *Agent) error {
	if a.cfg.Restart == nil || a.cfg.Wipe == nil {
		return ErrUnsupported
	}
	a.d.wipe = true
	return nil
}

func (m ScheduleInform) apply(a *Agent) error {
	if m.Delay < time.Second || m.Delay/time.Second > math.MaxUint32 {
		return fmt.Errorf("a delay of %v: %w", m.Delay, ErrRange)
	}
	if !a.d.room() {
		return ErrFull
	}
	a.d.schedules = append(a.d.schedules, schedule{
		key: m.CommandKey, delay: m.Delay, wall: a.wall.Add(m.Delay), due: a.now.Add(m.Delay), ours: true,
	})
	return nil
}

func (ClockStepped) apply(a *Agent) error {
	a.tick(true)
	return nil
}

func (m Inform) apply(a *Agent) error {
	events := m.Events
	if len(events) == 0 {
		events = []Event{{Code: Periodic}}
	}
	for _, e := range events {
		if e.Code == "" || len(e.Code) > 64 {
			return fmt.Errorf("event code %q: %w", e.Code, ErrRange)
		}
		if !a.d.room() {
			return ErrFull
		}
		a.occur(entry{Event: e})
	}
	a.hurry, a.urgent = true, true
	return nil
}

func (m Delivered) apply(a *Agent) error {
	a.answered(m.Events)
	return nil
}

// NetworkUp shortens a wait to less than the minimum one, at most once a
// minute, so that a link that flaps does not become a storm of sessions.
func (NetworkUp) apply(a *Agent) error {
	if a.retryAt.IsZero() || !a.lastNudge.IsZero() && a.now.Sub(a.lastNudge) < time.Minute {
		return nil
	}
	a.lastNudge = a.now
	if t := a.now.Add(a.jitter(a.set.retryMinimum())); t.Before(a.retryAt) {
		a.retryAt = t
	}
	return nil
}

func (After) apply(a *Agent) error {
	a.afterDue = a.cfg.After != nil
	return nil
}

// promises tells whether who asked must be told when m could not be kept on
// disk; then all of m is undone. The rest has happened, whatever a disk says.
func promises(m Message) bool {
	switch m.(type) {
	case Reboot, FactoryReset, ScheduleInform, Inform:
		return true
	}
	return false
}
