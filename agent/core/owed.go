package core

import (
	"fmt"
	"slices"
)

// Occurred says that Events have happened: reason enough for a session. What
// must not be lost of them with the process is kept by who says it, and so is
// how many of them there are that go with calls of their own.
type Occurred struct{ Events []Event }

func (m Occurred) apply(a *Agent) error {
	for _, e := range m.Events {
		if e.Code == "" || len(e.Code) > 64 {
			return fmt.Errorf("event code %q: %w", e.Code, ErrRange)
		}
		if k := kindOf(e.Code); k.keyed && !k.answer && !a.d.room() {
			return ErrFull
		}
		a.occur(entry{Event: e})
	}
	return nil
}

// owe makes the events that calls of their own deliver (7 TRANSFER COMPLETE,
// M Download) those that Config.Owed names: a crash between two files must not
// leave an event without its call, or a call without its event.
func (a *Agent) owe() {
	if a.cfg.Owed == nil {
		return
	}
	owed := a.cfg.Owed()
	a.d.events = slices.DeleteFunc(a.d.events, func(e entry) bool {
		return kindOf(e.Code).answer && !slices.Contains(owed, e.Event)
	})
	for _, e := range owed {
		a.d.add(entry{Event: e, stuck: true})
	}
}
