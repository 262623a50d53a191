//go:build !no_dbus

package app

// The D-Bus door. A build with the tag no_dbus has none.

import (
	"context"
	"errors"

	"gatehouse/agent/bus"
	"gatehouse/agent/settings"
	"gatehouse/datamodel"
	"gatehouse/internal/systembus"
)

// vendorTopics is the first topic of vendors' objects; those of the platform
// and of datamodel/tr181 are far below.
const vendorTopics datamodel.Topic = 0x8000

// serveDBus is the door on the system bus. A machine without one is not worth
// more than a line: it is looked for again, less and less often.
func (a *Agent) serveDBus(ctx context.Context) error {
	log := a.log.With("component", "dbus")
	pause, said := firstPause, false
	for {
		served := false
		address := a.busAddress()
		err := bus.Serve(ctx, bus.Config{
			API: a.api, Tree: a.tree, Address: address, Dial: a.cfg.Dial, Caller: a.callerAt,
			Hint: a.hint, Resync: a.resync, Topics: vendorTopics, Log: log,
		}, func() { served = true })
		if ctx.Err() != nil {
			return nil
		}
		if served {
			pause, said = firstPause, false
		}
		switch {
		case said:
			log.Debug("still no D-Bus", "in", pause, "err", err)
		case errors.Is(err, bus.ErrNoBus) && !served:
			log.Info("no D-Bus here: vendors' processes cannot be served", "at", address, "err", err)
		default:
			log.Warn("the D-Bus door is closed, and will be opened again", "at", address, "err", err)
		}
		said = true
		if sleep(ctx, pause) != nil {
			return nil
		}
		pause = min(2*pause, lastPause)
	}
}

// busAddress is where the bus listens.
func (a *Agent) busAddress() string {
	if addr := a.settings.Get(settings.DBusAddress); addr != "" {
		return addr
	}
	return systembus.Address()
}
