// Package linuxconf is the write side of a Linux that is not an OpenWrt: a Pi,
// a server. What is configured lies in UCI packages of our own, in one folder;
// services and the kernel are told of it, and the kernel is told again when the
// agent starts. A file that is not ours is never edited, and a role that this
// machine cannot serve is left nil.
//
// Each part of it is an area, in a file of its own. It reads its own folder. It
// writes there, one nftables table of its own, and files of the
// daemons that it starts.
package linuxconf

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"gatehouse/internal/nl80211"
	"gatehouse/internal/systembus"
	"gatehouse/internal/uci"
	"gatehouse/platform"
	"gatehouse/platform/uciconf"
)

// Options say where things are.
type Options struct {
	// Dir is the folder of our packages. It is made by the first change.
	Dir string
	// Root is the folder that /proc and /etc are below; "": /.
	Root string
	// DNSMasq is our part of dnsmasq's configuration; "": etc/dnsmasq.d/gatehouse.conf
	// below Root.
	DNSMasq string
	// Bus is where the system's D-Bus listens; "": where it usually does, below
	// Root. Another root is another machine: none of its settings is to reach the
	// daemons of this one.
	Bus string
	// NetNS is an open network namespace whose packets are meant; nil: the one
	// of the process.
	NetNS *os.File
	Log   *slog.Logger
}

// A machine is what areas are made of.
type machine struct {
	Options
	p      *platform.Platform
	conf   *uciconf.Conf // our packages
	kernel kernel        // nil: this process may not change it
	bus    system
	units  units
	past   *past
	netd   *netd           // nil: systemd-networkd has no links here
	air    *nl80211.Client // nil: the kernel has no 802.11
	wifi   *wifi           // nil: there is no radio that could be configured
	// Names of daemons: those that run, and those that the bus can start.
	running, startable []string
}

// reachable says whether a daemon answers when it is called.
func (m *machine) reachable(d daemon) bool {
	return slices.Contains(m.running, d.destination) || slices.Contains(m.startable, d.destination)
}

// runs says whether a daemon runs.
func (m *machine) runs(d daemon) bool { return slices.Contains(m.running, d.destination) }

// at is a path of the system.
func (m *machine) at(path string) string { return filepath.Join(cmp.Or(m.Root, "/"), path) }

// An area is a part of what is configured that this machine can take up.
type area interface {
	// apply has the system take up what is configured: after a change, and when
	// the agent starts. What is as it should be is left alone.
	apply(ctx context.Context) error
	// forget takes everything out that apply has put anywhere. Nothing is
	// configured any more.
	forget(ctx context.Context) error
}

// A follower is an area that has to look again when hosts of the local network
// come, go or move.
type follower interface {
	follow(ctx context.Context) error
}

// A teller is an area that writes files of the system: it says which, for a dry
// run, when a value of one of its packages is written.
type teller interface {
	also(w platform.Write) (more platform.Write, ok bool)
}

// areas are all that there are, in the order in which they take up their
// packages. open gives the platform the roles that the machine can serve; the
// error says why it can serve none.
func areas() []opening {
	return []opening{
		{"address translation", []string{firewall}, openNAT},
		{"the DHCP server", []string{lan}, openDHCP},
		{"WiFi", []string{wireless}, openWiFi},
		{"the device's name", []string{systemPackage}, openHost},
		{"the time", []string{systemPackage}, openClock},
		{"IP interfaces", []string{networkPackage}, openNetwork},
		{"name servers", []string{networkPackage}, openResolver},
	}
}

// A listener is an area that has hints of its own.
type listener interface {
	// listen reports them until ctx ends.
	listen(ctx context.Context, report func(platform.Event))
	// hint says that a network interface has changed.
	hint()
}

type opening struct {
	name     string
	packages []string // of which it reads
	open     func(*machine) (area, error)
}

// Attach gives p, which is a plain Linux, the roles that this machine and our
// privileges allow. It changes nothing: what is configured is put into effect
// when somebody begins to watch p's events, which is what a running agent does
// and a diagnosis does not.
func Attach(p *platform.Platform, o Options) {
	m := &machine{Options: o, p: p, bus: system{cmp.Or(o.Bus, systembus.Address(o.Root))}}
	if p.Network != nil { // there is CAP_NET_ADMIN
		m.kernel = nftables{ns: o.NetNS}
	}
	m.units = systemd{m.bus}
	ctx, stop := context.WithTimeout(context.Background(), patience)
	defer stop()
	var err error
	if m.running, m.startable, err = m.bus.names(ctx); err != nil && o.Log != nil {
		o.Log.Info("the system's daemons cannot be configured", "err", err)
	}
	if air, err := nl80211.Open(o.NetNS); err == nil {
		m.air = &air
	} else if !errors.Is(err, fs.ErrNotExist) && o.Log != nil {
		o.Log.Info("radios are not seen", "err", err)
	}
	attach(m)
}

func attach(m *machine) {
	if m.Log == nil {
		m.Log = slog.New(slog.DiscardHandler)
	}
	c := &config{dir: m.Dir, log: m.Log}
	c.Conf = uciconf.New(uciconf.Options{Dir: uci.Dir{Config: m.Dir, Create: true}, Reload: c.reload, Found: m.found, MaxPower: m.maxPower, Uplink: m.uplink})
	m.conf, m.past = c.Conf, &past{path: filepath.Join(m.Dir, pastName)}
	for _, o := range areas() {
		a, err := o.open(m)
		if err != nil {
			m.Log.Info(o.name+" cannot be configured", "err", err)
			continue
		}
		c.areas = append(c.areas, opened{o, a})
	}
	if len(c.areas) == 0 {
		return
	}
	m.p.Config = c
	if m.p.Events != nil {
		m.p.Events = events{m.p.Events, c}
	}
	if m.p.Power != nil {
		m.p.Power = power{m.p.Power, c}
	}
}

// config implements platform.Config.
type config struct {
	*uciconf.Conf
	dir   string
	areas []opened
	log   *slog.Logger
	mu    sync.Mutex // held while areas apply
}

type opened struct {
	opening
	area
}

func (c *config) makeDir() error { return os.MkdirAll(c.dir, 0o700) }

// Begin implements platform.Config.
func (c *config) Begin(ctx context.Context) (platform.ConfigBatch, error) {
	b, err := c.Conf.Begin(ctx)
	return &batch{ConfigBatch: b, c: c}, err
}

// Undo implements platform.Config.
func (c *config) Undo(ctx context.Context, data []byte) ([]string, error) {
	if err := c.makeDir(); err != nil {
		return nil, err
	}
	return c.Conf.Undo(ctx, data)
}

// reload has the areas take up their packages, each once. One that fails keeps
// none of the others from it.
func (c *config) reload(ctx context.Context, packages []string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	var failed []error
	for _, a := range c.areas {
		i := slices.IndexFunc(a.packages, func(p string) bool { return slices.Contains(packages, p) })
		if i < 0 {
			continue
		}
		if err := a.apply(ctx); err != nil {
			failed = append(failed, &platform.ServiceError{Service: a.packages[i], Err: err})
		}
	}
	return errors.Join(failed...)
}

// start puts everything into effect that is configured.
func (c *config) start(ctx context.Context) error {
	var all []string
	for _, a := range c.areas {
		all = append(all, a.packages...)
	}
	return c.reload(ctx, all)
}

// follow has the areas that name hosts look where these are now.
func (c *config) follow(ctx context.Context) {
	for _, a := range c.areas {
		f, ok := a.area.(follower)
		if !ok {
			continue
		}
		if err := f.follow(ctx); err != nil && ctx.Err() == nil {
			c.log.Warn(a.name+" may be about addresses that their hosts have lost", "err", err)
		}
	}
}

// A batch knows that here, other than with OpenWrt's services, the options of our
// own count as well.
type batch struct {
	platform.ConfigBatch
	c      *config
	checks []check
	put    map[string]bool // interfaces that it changes
}

// A check refuses an item that this machine could not take up.
type check struct {
	item int
	do   func(ctx context.Context) error
}

// Unwrap gives uciconf its own.
func (b *batch) Unwrap() platform.ConfigBatch { return b.ConfigBatch }

// Prepare implements platform.ConfigBatch.
func (b *batch) Prepare(ctx context.Context) error {
	for _, c := range b.checks {
		if err := c.do(ctx); err != nil {
			return &platform.ItemError{Item: c.item, Err: err}
		}
	}
	if err := b.c.makeDir(); err != nil {
		return err
	}
	return b.ConfigBatch.Prepare(ctx)
}

// A strict table refuses rows that the machine could not take up: what cannot be
// kept is not to be promised.
type strict[T any] struct {
	platform.Table[T]
	check func(ctx context.Context, key string, row T) error
}

// Put implements platform.Table.
func (t strict[T]) Put(b platform.ConfigBatch, key string, row T) (item int) {
	item = t.Table.Put(b, key, row)
	mine := b.(*batch)
	mine.checks = append(mine.checks, check{item, func(ctx context.Context) error { return t.check(ctx, key, row) }})
	return item
}

// Commit implements platform.ConfigBatch.
func (b *batch) Commit(ctx context.Context) (deferred bool, err error) {
	_, err = b.ConfigBatch.Commit(ctx)
	return len(b.Reloads()) > 0, err
}

// Writes implements platform.ConfigBatch.
func (b *batch) Writes() []platform.Write {
	all := b.writes()
	for _, w := range all {
		for _, a := range b.c.areas {
			if t, ok := a.area.(teller); ok && slices.Contains(a.packages, w.Service) {
				if more, ok := t.also(w); ok {
					all = append(all, more)
				}
			}
		}
	}
	return all
}

// writes are those of our packages.
func (b *batch) writes() []platform.Write {
	all := b.ConfigBatch.Writes()
	for i := range all {
		w := &all[i]
		w.Service = filepath.Base(w.File)
		if strings.HasSuffix(w.Place, ".gh_expires") || strings.HasSuffix(w.Place, ".gh_lease") {
			w.Service = "" // the agent itself sees to the end of a lease
		}
	}
	return all
}

// Reloads implements platform.ConfigBatch.
func (b *batch) Reloads() (services []string) {
	for _, w := range b.writes() {
		if w.Service != "" && !slices.Contains(services, w.Service) {
			services = append(services, w.Service)
		}
	}
	return services
}

// events puts what is configured where the system has forgotten it before
// somebody begins to watch, and follows the hosts that it names.
type events struct {
	platform.Events
	c *config
}

// Watch implements platform.Events.
func (e events) Watch(ctx context.Context, report func(platform.Event)) error {
	if err := e.c.start(ctx); err != nil && ctx.Err() == nil {
		e.c.log.Warn("not everything that is configured is in effect", "err", err)
	}
	ctx, stop := context.WithCancel(ctx)
	moved := make(chan struct{}, 1)
	var following sync.WaitGroup
	following.Go(func() { e.follow(ctx, moved) })
	defer following.Wait()
	defer stop()
	var mu sync.Mutex // calls of report do not overlap
	one := func(ev platform.Event) {
		mu.Lock()
		defer mu.Unlock()
		report(ev)
	}
	var listeners []listener
	for _, a := range e.c.areas {
		if l, ok := a.area.(listener); ok {
			listeners = append(listeners, l)
			following.Go(func() { l.listen(ctx, one) })
		}
	}
	return e.Events.Watch(ctx, func(ev platform.Event) {
		switch ev.Topic {
		case platform.NeighborChanged, platform.LeaseChanged, platform.Resync:
			select {
			case moved <- struct{}{}:
			default: // it is about to look anyway
			}
		case platform.LinkChanged:
			for _, l := range listeners {
				l.hint()
			}
		}
		one(ev)
	})
}

// crowd is how long hints are collected: neighbours come and go in crowds.
const crowd = 2 * time.Second

// follow looks after the hosts when they may have moved.
func (e events) follow(ctx context.Context, moved <-chan struct{}) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-moved:
		}
		pause := time.NewTimer(crowd)
		select {
		case <-ctx.Done():
			pause.Stop()
			return
		case <-pause.C:
		}
		select {
		case <-moved: // the rest of the crowd
		default:
		}
		e.c.follow(ctx)
	}
}

// power forgets what is configured at a factory reset.
type power struct {
	platform.Power
	c *config
}

// FactoryReset implements platform.Power. What is in effect goes as well: a restart
// that fails must not leave the door open that the customer wants closed.
func (p power) FactoryReset(ctx context.Context) error {
	if err := p.c.forget(ctx); err != nil {
		return fmt.Errorf("factory reset: %w", err)
	}
	return p.Power.FactoryReset(ctx)
}

// pastName is the file of past, in the folder of our packages.
const pastName = ".before"

// forget removes every file of the folder, which is ours, and what it has led to.
// How things were before goes last.
func (c *config) forget(ctx context.Context) error {
	files, err := os.ReadDir(c.dir)
	failed := []error{err}
	if errors.Is(err, fs.ErrNotExist) {
		failed = nil
	}
	for _, f := range files {
		if f.Name() != pastName {
			failed = append(failed, os.RemoveAll(filepath.Join(c.dir, f.Name())))
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, a := range c.areas {
		if err := a.area.forget(ctx); err != nil {
			failed = append(failed, fmt.Errorf("%s: %w", a.name, err))
		}
	}
	if err := errors.Join(failed...); err != nil {
		return err // who tries again still finds how things were
	}
	return os.RemoveAll(c.dir)
}
