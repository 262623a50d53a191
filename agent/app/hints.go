package app

import (
	"context"
	"errors"
	"strings"
	"time"

	"gatehouse/agent/core"
	"gatehouse/agent/settings"
	"gatehouse/datamodel"
	"gatehouse/datamodel/tr181"
	"gatehouse/platform"
)

// Hints say where to look: they carry no values, and one more or less does no
// harm. From here they go to those who look.

// hint tells everybody who watches that rows of a topic may have changed.
func (a *Agent) hint(topic datamodel.Topic) {
	a.notify.Hint(topic)
	a.api.Hint(topic)
}

func (a *Agent) resync() {
	a.notify.Resync()
	a.api.Resync()
}

// post hands core a message on a path that must not block for long; when core
// has ended there is nobody left to tell.
func (a *Agent) post(m core.Message) {
	if err := a.core.Post(context.Background(), m); err != nil && !errors.Is(err, core.ErrStopped) {
		a.log.Error("lost", "message", m, "err", err)
	}
}

// watchPlatform passes on what the platform reports.
func (a *Agent) watchPlatform(ctx context.Context) error {
	events := a.cfg.Platform.Events
	if events == nil {
		<-ctx.Done()
		return nil
	}
	return events.Watch(ctx, a.platformEvent)
}

// platformEvent must not block.
func (a *Agent) platformEvent(e platform.Event) {
	switch e.Topic {
	case platform.Resync:
		a.resync()
		a.networks.poke()
		a.clock.poke()
		a.mappings.poke()
		return
	case platform.LinkChanged, platform.AddressChanged, platform.RouteChanged, platform.ResolverChanged, platform.DHCPAnswered:
		a.networks.poke()
	case platform.ClockStepped:
		a.clock.poke()
		a.mappings.poke()
	case platform.ConfigChanged:
		a.mappings.poke()
	}
	a.hint(datamodel.Topic(e.Topic))
}

// networkSettles is how long the network may go on changing before we look.
const networkSettles = 500 * time.Millisecond

// relaySettings hands core the news of other settings. They come from goroutines
// which must not wait for it: a commit on core's own changes settings, too.
func (a *Agent) relaySettings(context.Context) (again time.Duration, err error) {
	a.post(core.SettingsChanged{})
	return 0, nil
}

// relayClock tells everybody that the wall clock was set.
func (a *Agent) relayClock(ctx context.Context) (again time.Duration, err error) {
	a.clockStepped(ctx)
	a.tell(ofClock)
	a.post(core.ClockStepped{})
	return 0, nil
}

// followNetwork puts rows that the agent keeps back into the kernel when their
// link is there again, keeps ConnectionRequestURL true, reads what DHCP says of
// the ACS, and tells core that a way to the ACS may have come back.
func (a *Agent) followNetwork(ctx context.Context) (again time.Duration, err error) {
	if n := a.network.Load(); n != nil {
		n.dialer.Resolver.Flush() // another network may have other answers
	}
	a.putBack(ctx)
	changed, newWay := a.reach.refresh(ctx)
	if a.reach.cut() {
		a.way.good.Store(false)
	}
	if changed {
		a.hint(tr181.ReachChanged)
	}
	a.tell(ofNetwork)
	gateway, again := a.discover(ctx)
	if gateway {
		a.hint(tr181.GatewayChanged)
	}
	a.renewLeases(ctx)
	if newWay {
		a.post(core.NetworkUp{})
		if !a.reach.listens() {
			a.requests.poke() // its interface may have come up
		}
	}
	return again, nil
}

// putBack makes the kernel have what the agent keeps for it.
func (a *Agent) putBack(ctx context.Context) {
	if err := a.model.Reapply(ctx, a.tree); err != nil && ctx.Err() == nil {
		a.log.Warn("not everything that is configured could be put back", "err", err)
	}
}

func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}

// settingsChanged hears from the settings which have another value now,
// whoever changed them.
func (a *Agent) settingsChanged(names []string) {
	a.hint(tr181.SettingsChanged)
	a.tell(ofSettings)
	a.changed.poke()
	for _, n := range names {
		switch {
		case n == settings.HTTPConnectionRequestEnable, strings.HasPrefix(n, "cpe."):
			a.requests.poke()
		case n == settings.MetricsListen:
			a.metrics.poke()
		case n == settings.LogLevel:
			a.logLevel()
		}
		switch n {
		case settings.DHCPDiscovery, settings.DHCPDomains, settings.Interface, settings.AllowHTTP:
			a.networks.poke() // what DHCP says is believed by these
		}
	}
}

// written hears which paths somebody at a door has changed: news for the ACS
// and for every watch.
func (a *Agent) written(ctx context.Context, paths []string) {
	a.resync()
	a.tell(ofSettings)
	a.pokeMappings(paths)
}

// writtenByACS hears which paths the ACS has changed: news for the watches.
func (a *Agent) writtenByACS(ctx context.Context, paths []string) {
	a.api.Resync()
	a.tell(ofSettings)
	a.networks.poke()
	a.pokeMappings(paths)
}
