package app

import (
	"context"
	"crypto/tls"
	"errors"
	"io/fs"
	"log/slog"
	"time"

	"gatehouse/agent/discovery"
	"gatehouse/agent/settings"
	"gatehouse/internal/endpoint"
	"gatehouse/internal/store"
	"gatehouse/platform"
)

// A View is what an agent with this configuration would see and trust, without
// an agent: for whoever wants to know why one does not work. It changes
// nothing: no folder is made, no file written or set aside, no lock taken.
type View struct{ a *Agent }

// Look reads the configuration and the state of an agent that may be running
// or not. The error says what is wrong with the files, one line for each
// mistake.
func Look(ctx context.Context, cfg Config) (*View, error) {
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	a := &Agent{cfg: cfg, log: cfg.Log}
	o := settings.Options{Config: cfg.ConfigFile, Factory: cfg.FactoryFile, Log: cfg.Log}
	below := cfg.StateFS
	if below == nil {
		below = store.OS{}
	}
	newest := time.Time{}
	dir, err := store.Open(cfg.State, store.Options{FS: untouched{below}, Log: slog.New(slog.DiscardHandler)})
	switch {
	case err == nil:
		a.state = dir
		o.State, newest = dir.File("settings", 1), a.newestState()
	case errors.Is(err, fs.ErrPermission):
		cfg.Log.Warn("what the ACS has set is not for you to read", "state", cfg.State)
	case !errors.Is(err, fs.ErrNotExist):
		cfg.Log.Warn("what the ACS has set cannot be read", "err", err)
	}
	a.wall = newWall(cfg.Platform.Clock, cfg.Built, newest)
	a.wall.refresh(ctx)
	if a.settings, err = settings.Open(o); err != nil {
		return &View{a}, err
	}
	return &View{a}, nil
}

// Settings are nil when they could not be read.
func (v *View) Settings() *settings.Settings { return v.a.settings }

// Identity says why the device has none, if it has none.
func (v *View) Identity(ctx context.Context) error {
	_, err := v.a.identify(ctx)
	return err
}

// TLS is what a session with a URL of that scheme would begin with.
func (v *View) TLS(scheme string) (*tls.Config, error) { return v.a.tlsConfig(scheme) }

// Dialer is what sessions would connect with.
func (v *View) Dialer() (*endpoint.Dialer, error) { return v.a.dialer(v.a.log) }

// Clock is the time, and whether it can be trusted.
func (v *View) Clock() (now time.Time, set bool) { return v.a.wall.Now() }

// Links are those of the platform; nil when it cannot tell.
func (v *View) Links() platform.Links { return v.a.cfg.Platform.Links }

// Offers are what DHCP servers say of the ACS.
func (v *View) Offers(ctx context.Context) ([]discovery.Offer, error) {
	return discovery.Look(ctx, v.a.cfg.Platform, v.a.settings)
}

// untouched is a file system on which nothing can be changed.
type untouched struct{ store.FS }

// Mkdir makes nothing; what is missing shows when it is read.
func (untouched) Mkdir(string, fs.FileMode) error { return fs.ErrExist }

// Create implements store.FS.
func (untouched) Create(string, fs.FileMode) (store.Writer, error) { return nil, fs.ErrPermission }

// Rename implements store.FS.
func (untouched) Rename(string, string) error { return fs.ErrPermission }

// Remove implements store.FS.
func (untouched) Remove(string) error { return fs.ErrPermission }

// SyncDir implements store.FS.
func (untouched) SyncDir(string) error { return fs.ErrPermission }
