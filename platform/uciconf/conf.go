// Package uciconf keeps the tables of [platform.Config] as UCI packages: those
// of OpenWrt where it runs, elsewhere files of our own with the same grammar.
//
// A row is a section, or a part of one. Reading never changes a file. A change
// writes what differs from what is there and nothing else, so that an option
// that says more than a row can (psk2+ccmp, 12h) stays as it is for as long as
// nobody asks for another value. What UCI has no option for is kept in options
// and sections of our own; their names begin with "gh_", and OpenWrt's services
// ignore them.
package uciconf

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"sync"

	"gatehouse/internal/uci"
	"gatehouse/platform"
)

// own begins the names of options, sections' types and names that are ours.
const own = "gh_"

// Options say where the packages are and what the backend knows of them.
type Options struct {
	Dir uci.Dir
	// Reload has services, named as their packages, take up what was committed.
	// Nil: nothing has to.
	Reload func(ctx context.Context, services []string) error
	// Uplink says whether the way to the ACS goes through an interface, by its
	// key. Nil: not known.
	Uplink func(key string) bool
	// MaxPower is what a radio, by its key, may send with, in dBm. Nil: 20.
	MaxPower func(radio string) int
	// Found are the sections that a package has for the hardware that is there.
	// Those that it lacks are rows all the same, and are written with the first
	// change. Nil: the system itself writes them.
	Found func(pkg string) []*uci.Section
}

// Conf is the configuration.
type Conf struct {
	o Options

	mu sync.Mutex
	// handed are the keys of sections without a name that were given out, with
	// the sums of the files that they were made from. See view.key.
	handed map[handedKey]uint64
	// known are the keys of rows that were read. One of them that no row has is
	// of a row that has gone; another, of one to come.
	known map[handedKey]bool
}

type handedKey struct{ pkg, key string }

var _ platform.Config = (*Conf)(nil)

// New returns the configuration under o.Dir. It reads nothing yet.
func New(o Options) *Conf {
	return &Conf{o: o, handed: map[handedKey]uint64{}, known: map[handedKey]bool{}}
}

// Fill gives a platform its configuration and all tables that are kept here.
func (c *Conf) Fill(p *platform.Platform) {
	p.Config = c
	p.WiFi.Radios, p.WiFi.SSIDs, p.WiFi.AccessPoints = c.Radios(), c.SSIDs(), c.AccessPoints()
	p.Interfaces.Table = c.Interfaces()
	p.DHCP.Server, p.DHCP.Pools, p.DHCP.Hosts, p.DHCP.Options = c.DHCPServer(), c.DHCPPools(), c.DHCPHosts(), c.DHCPOptions()
	p.NAT.Interfaces, p.NAT.Mappings = c.NATInterfaces(), c.PortMappings()
	p.Routing = c.Routes()
	p.Timing = c.Timing()
	p.Globals = c.Globals()
	p.Host, p.Naming, p.Forwards = c.Host(), c.Naming(), c.Forwards()
	p.Users = c.Users()
}

// managed are the types of the sections that are rows, by package, in the order
// in which services take their packages up.
var managed = []struct {
	pkg   string
	types []string
}{
	{"network", []string{"interface", "route", "route6"}},
	{"wireless", []string{"wifi-device", wifiIface, accessPoint}},
	{"dhcp", []string{"dhcp", "host", own + "host"}},
	{"firewall", []string{"zone", "redirect"}},
	{"system", nil},
	{"rpcd", []string{"login", own + "login"}},
}

func managedTypes(pkg string) []string {
	for _, m := range managed {
		if m.pkg == pkg {
			return m.types
		}
	}
	return nil
}

// Has says whether a package is there.
func (c *Conf) Has(pkg string) bool {
	_, err := c.o.Dir.Read(pkg)
	return err == nil || !errors.Is(err, fs.ErrNotExist)
}

// Pending names the packages of which somebody has set something that he has
// not committed yet. It is left alone.
func (c *Conf) Pending() []string { return c.o.Dir.Pending() }

// Name gives the sections that are rows and have no name the one that they have
// been known by, each file in one write: from then on a key is right whatever
// happens to the file. A package that somebody is about to commit changes of is
// left for later, because such changes call sections by the names that libuci
// makes up. It is to be called at start and whenever a file has changed. Where
// it fails (a read-only disk) keys are right for as long as the file is the same.
func (c *Conf) Name(ctx context.Context) error {
	var errs []error
	pending := c.Pending()
	for _, m := range managed {
		p, err := c.o.Dir.Read(m.pkg)
		if err != nil || len(names(p)) == 0 || slices.Contains(pending, m.pkg) || c.o.Dir.Overridden(m.pkg) {
			continue // whoever reads the package is told what is wrong with it
		}
		if err := c.name(ctx, m.pkg); err != nil {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// Damaged tells which packages are there and cannot be read: with file and line.
func (c *Conf) Damaged() []error {
	var all []error
	for _, m := range managed {
		if _, err := c.o.Dir.Read(m.pkg); err != nil && !errors.Is(err, fs.ErrNotExist) {
			all = append(all, err)
		}
	}
	return all
}

func (c *Conf) name(ctx context.Context, pkg string) error {
	change := c.o.Dir.Begin()
	p, err := change.Package(ctx, pkg)
	if err == nil {
		err = nameAll(p)
	}
	if err == nil {
		err = change.Prepare()
	}
	if err == nil {
		err = change.Commit()
	}
	if err != nil {
		err = errors.Join(err, change.Rollback(context.WithoutCancel(ctx)))
	}
	return err
}

// names are the names that the sections of managed types without one are to
// have: made of the one that libuci makes up, which tells the place and the
// type, but not such a one: libuci would give it to another section, too, when
// the file has become shorter.
func names(p *uci.Package) map[*uci.Section]string {
	var all map[*uci.Section]string
	taken := map[string]bool{}
	for _, s := range p.Sections {
		taken[s.Name] = true
	}
	types := managedTypes(p.Name)
	for _, s := range p.Sections {
		if !s.Anonymous || !slices.Contains(types, s.Type) {
			continue
		}
		base := own + strings.TrimPrefix(s.Name, "cfg")
		name := base
		for n := 2; taken[name]; n++ {
			name = fmt.Sprintf("%s_%d", base, n)
		}
		if all == nil {
			all = map[*uci.Section]string{}
		}
		taken[name], all[s] = true, name
	}
	return all
}

func nameAll(p *uci.Package) error {
	for s, name := range names(p) {
		if err := p.Rename(s, name); err != nil {
			return err
		}
	}
	return nil
}

// hand remembers of which file the key of a section without a name was made.
func (c *Conf) hand(p *uci.Package, key string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.handed[handedKey{p.Name, key}] = p.Sum
}

// wasHanded says whether the key was made of this very file.
func (c *Conf) wasHanded(p *uci.Package, key string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	sum, ok := c.handed[handedKey{p.Name, key}]
	return ok && sum == p.Sum
}

// maxKnown bounds the keys that are remembered.
const maxKnown = 8192

// know remembers the key of a row that is there.
func (c *Conf) know(pkg, key string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.known) >= maxKnown {
		clear(c.known)
	}
	c.known[handedKey{pkg, key}] = true
}

// forget says that a row has never been.
func (c *Conf) forget(k handedKey) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.known, k)
}

// mayPut says whether a row may be written: one that is there, or is to come. Of
// one that has gone there is nothing to change. Where all have, the file was
// taken away, and begins anew.
func (e *edit) mayPut(p *uci.Package, key string, there bool) error {
	if there {
		e.conf.know(p.Name, key)
		return nil
	}
	e.conf.mu.Lock()
	defer e.conf.mu.Unlock()
	k := handedKey{p.Name, key}
	if e.conf.known[k] && len(p.Sections) > 0 {
		return fmt.Errorf("%s: %w", key, platform.ErrGone)
	}
	e.batch.created = append(e.batch.created, k)
	return nil
}

// Begin implements platform.Config.
func (c *Conf) Begin(context.Context) (platform.ConfigBatch, error) {
	return &Batch{conf: c, owner: map[place]int{}}, nil
}

// Undo implements platform.Config.
func (c *Conf) Undo(ctx context.Context, data []byte) ([]string, error) {
	return c.o.Dir.Undo(ctx, data)
}

// Reload implements platform.Config.
func (c *Conf) Reload(ctx context.Context, services []string) error {
	if c.o.Reload == nil || len(services) == 0 {
		return nil
	}
	return c.o.Reload(ctx, services)
}
