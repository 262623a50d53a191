//go:build !no_dbus

package app

// The D-Bus door. A build with the tag no_dbus has none.

import (
	"context"
	"errors"
	"time"

	"gatehouse/agent/bus"
	"gatehouse/agent/settings"
	"gatehouse/datamodel"
	"gatehouse/internal/systembus"
)

// vendorTopics is the first topic of vendors' objects; those of the platform
// and of datamodel/tr181 are far below.
const vendorTopics datamodel.Topic = 0x8000

// dbusDoor is the door on the system bus. A machine without one is not worth
// more than a line: it is looked for again, less and less often.
type dbusDoor struct {
	agent *Agent
	pause time.Duration // before the next look
	said  bool          // that there is none
}

// withDBus adds the door to the agent.
func (a *Agent) withDBus() {
	d := &dbusDoor{agent: a, pause: firstPause}
	a.extras = append(a.extras, extra{chore: &chore{name: "dbus", turn: d.serve}})
}

// serve serves while there is a bus.
func (d *dbusDoor) serve(ctx context.Context) (again time.Duration, err error) {
	a, log := d.agent, d.agent.log.With("component", "dbus")
	served := false
	address := a.busAddress()
	err = bus.Serve(ctx, bus.Config{
		API: a.api, Tree: a.tree, Address: address, Dial: a.cfg.Dial, Caller: a.callerAt,
		Hint: a.hint, Resync: a.resync, Topics: vendorTopics, Log: log,
	}, func() { served = true })
	if ctx.Err() != nil {
		return 0, nil
	}
	if served {
		d.pause, d.said = firstPause, false
	}
	switch {
	case d.said:
		log.Debug("still no D-Bus", "in", d.pause, "err", err)
	case errors.Is(err, bus.ErrNoBus) && !served:
		log.Info("no D-Bus here: vendors' processes cannot be served", "at", address, "err", err)
	default:
		log.Warn("the D-Bus door is closed, and will be opened again", "at", address, "err", err)
	}
	again, d.said = d.pause, true
	d.pause = min(2*d.pause, lastPause)
	return again, nil
}

// busAddress is where the bus listens.
func (a *Agent) busAddress() string {
	if addr := a.settings.Get(settings.DBusAddress); addr != "" {
		return addr
	}
	return systembus.Address("")
}
