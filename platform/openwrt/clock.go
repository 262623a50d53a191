// The wall clock: the kernel's, with the zone and the time servers that the
// package system has, and the client that procd runs.

package openwrt

import (
	"context"
	"time"

	"gatehouse/internal/ubus"
	"gatehouse/internal/uci"
	"gatehouse/platform"
)

type clock struct{ *backend }

func (c clock) Now() time.Time { return c.kernel.Clock.Now() }

// Time implements platform.Clock. What the configuration does not say is as
// package linux finds it.
func (c clock) Time(ctx context.Context) (platform.TimeStatus, error) {
	t, err := c.kernel.Clock.Time(ctx)
	if err != nil {
		return t, err
	}
	p, err := uci.Load(c.paths.config + "/system")
	if err != nil {
		return t, nil // an unreadable file is told by the tables that it holds
	}
	for _, s := range p.Sections {
		switch {
		case s.Type == "system":
			over(&t.POSIX, s.Get("timezone"))
			over(&t.Zone, s.Get("zonename"))
		case s.Type == "timeserver" && s.Name == "ntp":
			if o := s.Option("server"); o != nil {
				t.Servers = o.Values
			}
		}
	}
	ntpd, err := c.running(ctx, "sysntpd")
	running := len(ntpd) > 0
	if err != nil {
		// The clock itself is too much needed to depend on procd.
		c.log.Debug("whether the time client runs is not known", "err", err)
		running = t.Synced
	}
	t.NTP = t.NTP || running
	return t, ctx.Err()
}

// running are the instances of a service that run.
func (b *backend) running(ctx context.Context, service string) (all []ubus.Table, err error) {
	t, err := b.bus.ask(ctx, "service", "list", "")
	for _, i := range table(table(t, service), "instances") {
		if instance, ok := i.Value.(ubus.Table); ok && flag(instance, "running") {
			all = append(all, instance)
		}
	}
	return all, err
}
