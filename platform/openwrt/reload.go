// Having services take up what was committed: procd is told which packages have
// changed, as reload_config does, and we look how those fare that read them.

package openwrt

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"gatehouse/internal/ubus"
	"gatehouse/platform"
	"gatehouse/platform/linux"
)

const (
	// settle is how long nothing must happen before we look: procd waits a
	// second before it begins.
	settle = 1500 * time.Millisecond
	// rounds bounds how long a service may take, in times of settle: half a
	// minute.
	rounds = 20
)

// reload implements Config.Reload. Services are named as the packages that they
// read.
func (b *backend) reload(ctx context.Context, packages []string) error {
	l, err := b.bus.connect(ctx)
	if err != nil {
		return &platform.Unavailable{Source: "ubus", Err: err}
	}
	defer l.close()
	defer b.bus.stale()
	heard := make(chan struct{}, 1)
	if err := l.hear(ctx, heard); err != nil {
		return err
	}
	b.bus.stale()
	before, err := b.look(ctx)
	if err != nil {
		return err
	}
	for _, p := range packages {
		_, err := l.call(ctx, "service", "event", ubus.Table{{Name: "type", Value: "config.change"},
			{Name: "data", Value: ubus.Table{{Name: "package", Value: p}}}})
		if err != nil {
			return &platform.Unavailable{Source: "ubus service", Err: err}
		}
	}
	if !before.anybody(packages) {
		return nil
	}
	return b.settled(ctx, l, packages, before, heard)
}

// hear pokes heard at each sign of life of a service.
func (l *line) hear(ctx context.Context, heard chan<- struct{}) error {
	tell := func(ubus.Event) { poke(heard) }
	s, err := l.conn.Subscriber(ctx, tell)
	if err == nil {
		err = l.conn.Listen(ctx, "ubus.object.*", tell) // hostapd's come and go with their networks
	}
	for _, path := range []string{"service", "network.interface"} {
		if err != nil {
			break
		}
		var found []ubus.Found
		if found, err = l.conn.Lookup(ctx, path); err == nil && len(found) == 1 {
			err = s.Add(ctx, found[0].ID)
		}
	}
	if err != nil {
		return &platform.Unavailable{Source: "ubus events", Err: err}
	}
	return nil
}

// settled waits until nothing happens any more and everybody is well, or until
// those who are not have had their time.
func (b *backend) settled(ctx context.Context, l *line, packages []string, before *scene, heard <-chan struct{}) error {
	deadline := time.NewTimer(rounds * b.settle)
	defer deadline.Stop()
	quiet := time.NewTimer(b.settle)
	defer quiet.Stop()
	for late := false; ; {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-l.conn.Ended():
			return &platform.Unavailable{Source: "ubus", Err: ubus.ErrClosed}
		case <-heard:
			quiet.Reset(b.settle)
			continue
		case <-quiet.C:
		case <-deadline.C:
			late = true
		}
		b.bus.stale()
		after, err := b.look(ctx)
		if err != nil {
			return err
		}
		failed, waiting := after.compare(before, packages)
		if failed == nil && !waiting {
			return nil
		}
		if late || failed != nil && !waiting {
			return errors.Join(failed...)
		}
	}
}

// A scene is how services are doing at one moment.
type scene struct {
	interfaces []ubus.Table
	wireless   ubus.Table
	services   ubus.Table
	rules      uint32 // generation of the packet filter's rules; 0 not known
}

func (b *backend) look(ctx context.Context) (s *scene, err error) {
	s = &scene{}
	if s.interfaces, err = b.interfaces(ctx); err != nil {
		return nil, err
	}
	if s.wireless, err = b.bus.ask(ctx, "network.wireless", "status", ""); err != nil && !isAbsent(err) {
		return nil, err
	}
	if s.services, err = b.bus.call(ctx, "service", "list", ubus.Table{{Name: "verbose", Value: true}}); err != nil || !b.fw4 {
		return s, err
	}
	if s.rules, err = linux.RuleGeneration(ctx, b.system); err != nil && ctx.Err() == nil {
		b.log.Debug("whether the firewall takes its rules up is not known", "err", err)
		err = nil
	}
	return s, err
}

// anybody says whether a service has asked to be told of one of the packages.
func (s *scene) anybody(packages []string) bool {
	for _, p := range packages {
		for _, f := range s.services {
			if reads(f.Value, p) {
				return true
			}
		}
	}
	return false
}

// reads says whether a service is reloaded when a package changes: one of its
// triggers has ["eq", "package", NAME] in it.
func reads(service any, pkg string) bool {
	t, _ := service.(ubus.Table)
	return condition(array(t, "triggers"), pkg)
}

func condition(list ubus.Array, pkg string) bool {
	if len(list) == 3 && list[0] == "eq" && list[1] == "package" {
		return list[2] == pkg
	}
	for _, v := range list {
		if inner, ok := v.(ubus.Array); ok && condition(inner, pkg) {
			return true
		}
	}
	return false
}

// compare says who did well before and does not now, and whether somebody is
// still at it.
func (s *scene) compare(before *scene, packages []string) (failed []error, waiting bool) {
	for _, p := range packages {
		var ill []string
		var busy bool
		switch p {
		case "network":
			ill, busy = s.illInterfaces(before)
		case "wireless":
			ill, busy = s.illRadios(before)
		case "firewall":
			ill, busy = s.illFirewall(before)
		default:
			ill, busy = s.illServices(before, p)
		}
		waiting = waiting || busy
		if ill != nil {
			failed = append(failed, &platform.ServiceError{Service: p, Err: errors.New(strings.Join(ill, "; "))})
		}
	}
	return failed, waiting
}

// illInterfaces: those that were up, or have a new complaint. One that waits
// for an answer of the provider is at it, and ill when time is over.
func (s *scene) illInterfaces(before *scene) (ill []string, busy bool) {
	was := map[string]ubus.Table{}
	for _, t := range before.interfaces {
		was[text(t, "interface")] = t
	}
	for _, t := range s.interfaces {
		old := was[text(t, "interface")]
		complaint := interfaceState(t, time.Time{}).Error
		switch {
		case flag(t, "up") || !flag(t, "autostart"):
			continue
		case !flag(old, "up") && (complaint == "" || complaint == interfaceState(old, time.Time{}).Error):
			continue // it was no better before
		}
		busy = busy || flag(t, "pending")
		if complaint == "" {
			complaint = "it does not come up"
		}
		ill = append(ill, text(t, "interface")+": "+complaint)
	}
	return ill, busy
}

func (s *scene) illRadios(before *scene) (ill []string, busy bool) {
	for _, f := range s.wireless {
		t, _ := f.Value.(ubus.Table)
		old := table(before.wireless, f.Name)
		switch {
		case flag(t, "disabled"):
		case flag(t, "pending"):
			busy = true
			ill = append(ill, f.Name+": its setup does not end")
		case flag(t, "retry_setup_failed") && !flag(old, "retry_setup_failed"):
			ill = append(ill, f.Name+": its setup failed")
		case flag(old, "up") && !flag(t, "up"):
			ill = append(ill, f.Name+": it does not come up")
		}
	}
	return ill, busy
}

// illFirewall: fw4 has no instance that could end. It replaces all of its rules,
// or, where one of them is refused, none.
func (s *scene) illFirewall(before *scene) (ill []string, busy bool) {
	if s.rules == 0 || s.rules != before.rules || !before.anybody([]string{"firewall"}) {
		return nil, false
	}
	return []string{"fw4: the rules were not loaded"}, true
}

// illServices: those whose instances ran. procd starts an instance again some
// seconds after it has ended, so all of them get their time.
func (s *scene) illServices(before *scene, pkg string) (ill []string, busy bool) {
	for _, f := range s.services {
		if !reads(f.Value, pkg) {
			continue
		}
		t, _ := f.Value.(ubus.Table)
		old := table(table(before.services, f.Name), "instances")
		for _, i := range table(t, "instances") {
			now, _ := i.Value.(ubus.Table)
			was := table(old, i.Name)
			if flag(now, "running") || was != nil && !flag(was, "running") {
				continue
			}
			busy = true
			ill = append(ill, fmt.Sprintf("%s: it ended with exit code %d", f.Name, number(now, "exit_code")))
		}
	}
	return ill, busy
}
