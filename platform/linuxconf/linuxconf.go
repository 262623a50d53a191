// Package linuxconf is the write side of a Linux that is not an OpenWrt: a Pi,
// a server. What is configured lies in UCI packages of our own, in one folder;
// services and the kernel are told of it, and the kernel is told again when the
// agent starts. A file that is not ours is never edited, and a role that this
// machine cannot serve is left nil.
//
// It reads its own folder. It writes there, and one nftables table of its own.
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

	"gatehouse/internal/uci"
	"gatehouse/platform"
	"gatehouse/platform/uciconf"
)

// Options say where things are.
type Options struct {
	// Dir is the folder of our packages. It is made by the first change.
	Dir string
	// Root is the folder that /proc is read below; "": /.
	Root string
	// NetNS is an open network namespace whose packets are meant; nil: the one
	// of the process.
	NetNS *os.File
	Log   *slog.Logger
}

// The packages, which are the services as well.
const firewall = "firewall"

// Attach gives p, which is a plain Linux, the roles that this machine and our
// privileges allow. It changes nothing: what is configured is put into the
// kernel when somebody begins to watch p's events, which is what a running agent
// does and a diagnosis does not.
func Attach(p *platform.Platform, o Options) {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if p.Network == nil {
		return // without CAP_NET_ADMIN nothing of this can be done
	}
	k := nftables{ns: o.NetNS}
	if _, err := k.present(); err != nil {
		o.Log.Info("address translation cannot be configured: the kernel has no nftables for us", "err", err)
		return
	}
	attach(p, o, k)
}

func attach(p *platform.Platform, o Options, k kernel) {
	c := &config{dir: o.Dir}
	c.Conf = uciconf.New(uciconf.Options{Dir: uci.Dir{Config: o.Dir, Create: true}, Reload: c.reload})
	c.nat = &nat{
		interfaces: c.NATInterfaces(), mappings: c.PortMappings(), neighbors: p.Neighbors, kernel: k,
		forwarding: filepath.Join(cmp.Or(o.Root, "/"), "proc/sys/net/ipv4/ip_forward"), log: o.Log,
	}
	p.Config = c
	p.NAT = platform.NAT{Interfaces: c.nat.interfaces, Mappings: c.nat.mappings, Applied: c.nat, Own: c.nat}
	if p.Events != nil {
		p.Events = events{p.Events, c, o.Log}
	}
	if p.Power != nil {
		p.Power = power{p.Power, c}
	}
}

// config implements platform.Config.
type config struct {
	*uciconf.Conf
	dir string
	nat *nat
}

func (c *config) makeDir() error { return os.MkdirAll(c.dir, 0o700) }

// Begin implements platform.Config.
func (c *config) Begin(ctx context.Context) (platform.ConfigBatch, error) {
	b, err := c.Conf.Begin(ctx)
	return batch{b, c}, err
}

// Undo implements platform.Config.
func (c *config) Undo(ctx context.Context, data []byte) ([]string, error) {
	if err := c.makeDir(); err != nil {
		return nil, err
	}
	return c.Conf.Undo(ctx, data)
}

func (c *config) reload(ctx context.Context, services []string) error {
	if !slices.Contains(services, firewall) {
		return nil
	}
	if err := c.nat.apply(ctx); err != nil {
		return &platform.ServiceError{Service: firewall, Err: err}
	}
	return nil
}

// A batch knows that here, other than with OpenWrt's services, the options of our
// own count as well.
type batch struct {
	platform.ConfigBatch
	c *config
}

// Unwrap gives uciconf its own.
func (b batch) Unwrap() platform.ConfigBatch { return b.ConfigBatch }

// Prepare implements platform.ConfigBatch.
func (b batch) Prepare(ctx context.Context) error {
	if err := b.c.makeDir(); err != nil {
		return err
	}
	return b.ConfigBatch.Prepare(ctx)
}

// Commit implements platform.ConfigBatch.
func (b batch) Commit(ctx context.Context) (deferred bool, err error) {
	_, err = b.ConfigBatch.Commit(ctx)
	return len(b.Reloads()) > 0, err
}

// Writes implements platform.ConfigBatch.
func (b batch) Writes() []platform.Write {
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
func (b batch) Reloads() (services []string) {
	for _, w := range b.Writes() {
		if w.Service != "" && !slices.Contains(services, w.Service) {
			services = append(services, w.Service)
		}
	}
	return services
}

// events puts what is configured where the kernel has forgotten it before
// somebody begins to watch, and follows the hosts that mappings name.
type events struct {
	platform.Events
	c   *config
	log *slog.Logger
}

// Watch implements platform.Events.
func (e events) Watch(ctx context.Context, report func(platform.Event)) error {
	if err := e.c.reload(ctx, []string{firewall}); err != nil && ctx.Err() == nil {
		e.log.Warn("not everything that is configured is in effect", "err", err)
	}
	ctx, stop := context.WithCancel(ctx)
	moved := make(chan struct{}, 1)
	var following sync.WaitGroup
	following.Go(func() { e.follow(ctx, moved) })
	defer following.Wait()
	defer stop()
	return e.Events.Watch(ctx, func(ev platform.Event) {
		switch ev.Topic {
		case platform.NeighborChanged, platform.LeaseChanged, platform.Resync:
			select {
			case moved <- struct{}{}:
			default: // it is about to look anyway
			}
		}
		report(ev)
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
		if err := e.c.nat.follow(ctx); err != nil && ctx.Err() == nil {
			e.log.Warn("port mappings may lead to addresses that their hosts have lost", "err", err)
		}
	}
}

// power forgets what is configured at a factory reset.
type power struct {
	platform.Power
	c *config
}

// FactoryReset implements platform.Power. The rules go as well: a restart that
// fails must not leave the door open that the customer wants closed.
func (p power) FactoryReset(ctx context.Context) error {
	if err := p.c.forget(); err != nil {
		return fmt.Errorf("factory reset: %w", err)
	}
	return p.Power.FactoryReset(ctx)
}

// forget removes every file of the folder, which is ours, and what it has led to.
func (c *config) forget() error {
	err := os.RemoveAll(c.dir)
	if errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	return errors.Join(err, c.nat.remove())
}
