package app

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"gatehouse/agent/core"
	"gatehouse/agent/rpc"
	"gatehouse/agent/settings"
)

// schedule is what core goes by.
func (a *Agent) schedule() core.Settings {
	s := a.settings
	return core.Settings{
		EnableCWMP:       s.Bool(settings.EnableCWMP),
		URL:              s.Get(settings.URL),
		PeriodicEnable:   s.Bool(settings.PeriodicInformEnable),
		PeriodicInterval: uint32(s.Number(settings.PeriodicInformInterval)),
		PeriodicTime:     s.Time(settings.PeriodicInformTime),
		RetryMinimum:     uint32(s.Number(settings.RetryMinimumWaitInterval)),
		RetryMultiplier:  uint32(s.Number(settings.RetryIntervalMultiplier)),
		Throttle:         uint32(s.Number(settings.ActiveNotificationThrottle)),
		DelayReboot:      int32(s.Number(settings.DelayReboot)),
		ScheduleReboot:   s.Time(settings.ScheduleReboot),
	}
}

func (a *Agent) addressing() rpc.Addressing {
	return rpc.Addressing{
		Aliases:    a.settings.Get(settings.InstanceMode) == "InstanceAlias",
		AutoCreate: a.settings.Bool(settings.AutoCreateInstances),
	}
}

// bootedOnce runs once per boot of the device: DelayReboot is over by then
// (TR-181 ManagementServer.DelayReboot).
func (a *Agent) bootedOnce(ctx context.Context) error {
	if a.settings.Number(settings.DelayReboot) < 0 {
		return nil
	}
	return a.settings.Put(map[string]string{settings.DelayReboot: "-1"})
}

// PlatformDir is the folder within the state that belongs to the platform: it
// keeps there what the system has no place for.
const PlatformDir = "config"

// wipe is the agent's part of a factory reset: all state is forgotten but
// core's own, which core deals with itself, and the platform's, which goes with
// its own part. It may run twice.
func (a *Agent) wipe(ctx context.Context) error {
	a.transfers.Queue.Forget()
	if a.provider != nil {
		a.provider.ForgetProvider()
	}
	return errors.Join(
		a.settings.Reset(ctx),
		a.notify.Reset(ctx),
		a.state.Clear("events", PlatformDir),
		a.run.Clear("session", "starts", SocketName),
	)
}

// restart restarts the device.
func (a *Agent) restart(ctx context.Context, factory bool) error {
	power := a.cfg.Platform.Power
	if power == nil {
		return errNoPower
	}
	if err := a.health.end(); err != nil {
		a.log.Warn("this restart may count as a bad end", "err", err)
	}
	if factory {
		return power.FactoryReset(ctx)
	}
	return power.Reboot(ctx)
}

// startHealth counts bad ends and decides on safe mode.
func (a *Agent) startHealth(ctx context.Context) {
	a.health = &health{file: a.run.File("starts", 1)}
	var uptime time.Duration
	if sys := a.cfg.Platform.System; sys != nil {
		uptime, _ = sys.Uptime(ctx) // without it, every start looks recent: the careful side
	}
	var err error
	if a.safe, err = a.health.begin(uptime); err != nil {
		a.log.Warn("a bad end of this process will not be noticed", "err", err)
	}
}

// settlesAfter is how long the agent has to run, without a good session, until
// it counts as steady.
func (a *Agent) settlesAfter() time.Duration {
	if a.safe {
		return safeModeLasts
	}
	return soonAfterStart
}

// settled calls the agent steady, once: after a good session, or when it has been
// running for long enough. In safe mode it then starts over as a whole.
func (a *Agent) settled(context.Context) (again time.Duration, err error) {
	if a.steady {
		return 0, nil
	}
	a.steady = true
	if err := a.health.steady(); err != nil {
		a.log.Warn("a later end of this process may count as a bad one", "err", err)
	}
	if a.safe {
		a.log.Info("safe mode ends")
		a.leaveSafe()
	}
	return 0, nil
}

// logLevel puts the level of the log where the configuration wants it.
func (a *Agent) logLevel() {
	if a.cfg.Level == nil {
		return
	}
	var level slog.Level
	if err := level.UnmarshalText([]byte(a.settings.Get(settings.LogLevel))); err != nil {
		a.log.Warn("the log keeps its level", "err", err)
		return
	}
	a.cfg.Level.Set(level)
}

// watchReload reads the configuration anew when it is told to (SIGHUP). A
// session that is running goes on.
func (a *Agent) watchReload(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-a.cfg.Reload:
			changed, err := a.settings.Reload(ctx)
			if err != nil {
				a.log.Error("the configuration is not read: everything stays as it was", "err", err)
				continue
			}
			a.log.Info("configuration read", "changed", changed)
		}
	}
}
