// The configuration: UCI packages, and what the daemons know that packages do
// not say.

package openwrt

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"gatehouse/internal/uci"
	"gatehouse/platform"
	"gatehouse/platform/uciconf"
)

// config implements platform.Config: uciconf, with an eye on which changes of
// packages are our own.
type config struct {
	*uciconf.Conf
	b *backend
}

// configure gives p its configuration.
func (b *backend) configure(p *platform.Platform) {
	c := uciconf.New(uciconf.Options{
		Dir:      uci.Dir{Config: b.paths.config, Override: b.paths.override, Deltas: b.paths.deltas},
		Reload:   b.reload,
		Uplink:   b.uplink,
		MaxPower: b.maxPower,
	})
	c.Fill(p)
	p.Voice = c.Voice()
	b.config = config{c, b}
	p.Config = b.config
}

// Begin implements platform.Config.
func (c config) Begin(ctx context.Context) (platform.ConfigBatch, error) {
	b, err := c.Conf.Begin(ctx)
	return batch{b, c.b}, err
}

// Undo implements platform.Config.
func (c config) Undo(ctx context.Context, data []byte) ([]string, error) {
	reloads, err := c.Conf.Undo(ctx, data)
	c.b.wrotePackages(reloads...)
	return reloads, err
}

// batch notes which packages it has written.
type batch struct {
	platform.ConfigBatch
	b *backend
}

// Unwrap gives uciconf its own.
func (b batch) Unwrap() platform.ConfigBatch { return b.ConfigBatch }

func (b batch) Commit(ctx context.Context) (deferred bool, err error) {
	defer b.note()
	return b.ConfigBatch.Commit(ctx)
}

func (b batch) Rollback(ctx context.Context) error {
	defer b.note()
	return b.ConfigBatch.Rollback(ctx)
}

func (b batch) note() {
	for _, w := range b.Writes() {
		b.b.wrotePackages(filepath.Base(w.File))
	}
}

// wrotePackages remembers packages as they are now: as we have left them.
func (b *backend) wrotePackages(packages ...string) {
	b.written.Lock()
	defer b.written.Unlock()
	for _, p := range packages {
		if info, err := os.Stat(filepath.Join(b.paths.config, p)); err == nil {
			b.wrote[p] = info
		}
	}
}

// name gives rows without a name one, in the files: once, and whoever watches
// them may hear of it.
func (b *backend) name(ctx context.Context) {
	if err := b.config.Name(ctx); err != nil && ctx.Err() == nil {
		b.log.Info("sections of the configuration stay without a name", "err", err)
	}
	for _, err := range b.config.Damaged() {
		b.log.Warn("a file of the configuration cannot be read: what it says is left out, and it is not written", "err", err)
	}
}

// keyOf is the key of a section by the name that netifd has for it: one
// without a name is called by uciconf as it will be in the file.
func keyOf(section string) string {
	digits, made := strings.CutPrefix(section, "cfg")
	if made && len(digits) == 6 && strings.Trim(digits, "0123456789abcdef") == "" {
		return "gh_" + digits
	}
	return section
}

// uplink says whether the default route leaves by an interface. While that
// cannot be found out, any but the loopback may be the way to the ACS.
func (b *backend) uplink(key string) bool {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	all, err := b.interfaces(ctx)
	if err != nil {
		return key != "loopback"
	}
	links, err := wifi{b}.links(ctx)
	if err != nil {
		return key != "loopback"
	}
	for _, t := range all {
		if text(t, "interface") == key {
			return links[text(t, "l3_device")].Upstream || links[text(t, "device")].Upstream
		}
	}
	return false
}

// maxPower is what a radio may send with, in dBm; 0 not known.
func (b *backend) maxPower(key string) int {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	w := wifi{b}
	radios, err := w.radios(ctx)
	if err != nil {
		return 0
	}
	i := slices.IndexFunc(radios, func(r wifiRadio) bool { return r.key == key })
	if i < 0 {
		return 0
	}
	t, err := w.optional(ctx, "iwinfo", "txpowerlist", radios[i].device())
	if err != nil {
		return 0
	}
	most := 0
	for _, p := range tables(t, "results") {
		most = max(most, int(number(p, "dbm")))
	}
	return most
}
