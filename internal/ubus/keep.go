package ubus

// Open, use, close, and open again.

import (
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"net"
	"time"
)

// Socket is where OpenWrt's daemon listens.
const Socket = "/var/run/ubus/ubus.sock"

// Config is what Keep needs; Up must be given.
type Config struct {
	Path string // of the daemon's socket; "": Socket
	// Up publishes, listens and subscribes on each new connection. Its context
	// ends with the connection.
	Up func(ctx context.Context, c *Conn) error
	// Dial opens the socket; nil: the real one.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
	// Wait makes what waits for the socket; nil: inotify.
	Wait func(ctx context.Context, path string) Waiter
	Log  *slog.Logger
}

// A Waiter waits for a file to appear. It is made before the file is looked
// for, so that nothing is missed.
type Waiter interface {
	// Wait returns when the file may have appeared, after pause, or when ctx
	// ends. 0: there is nothing to wait for but the file, if Watches.
	Wait(ctx context.Context, pause time.Duration) (appeared bool)
	Watches() bool // somebody tells when the file appears
	Close()
}

// Pauses between two tries. A connection that held for steady starts over with
// the first.
const (
	firstPause = time.Second
	lastPause  = 5 * time.Minute
	steady     = time.Minute
	upWithin   = 30 * time.Second // for Up: a daemon may greet, and then be silent
)

// Keep serves a connection to the daemon, and waits for the daemon while there
// is none, until ctx ends. While it waits where inotify watches the folder of
// the socket, nothing wakes up.
func Keep(ctx context.Context, cfg Config) {
	if cfg.Path == "" {
		cfg.Path = Socket
	}
	if cfg.Dial == nil {
		cfg.Dial = new(net.Dialer).DialContext
	}
	if cfg.Wait == nil {
		cfg.Wait = watchFolder
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	pause, said := firstPause, false
	for ctx.Err() == nil {
		w := cfg.Wait(ctx, cfg.Path)
		began := time.Now()
		up, err := cfg.once(ctx)
		if up {
			said = false
			if time.Since(began) >= steady {
				pause = firstPause
			}
		}
		if ctx.Err() == nil {
			cfg.say(err, up, said)
			said = true
			wait := pause
			if errors.Is(err, fs.ErrNotExist) && w.Watches() {
				wait = 0
			}
			if pause = min(2*pause, lastPause); w.Wait(ctx, wait) {
				pause = firstPause
			}
		}
		w.Close()
	}
}

func (cfg *Config) say(err error, up, said bool) {
	switch {
	case said:
		cfg.Log.Debug("still no ubus", "at", cfg.Path, "err", err)
	case up:
		cfg.Log.Warn("ubus has gone, and is waited for", "at", cfg.Path, "err", err)
	default:
		cfg.Log.Info("no ubus here", "at", cfg.Path, "err", err)
	}
}

// once is one connection. up says that it could be used.
func (cfg *Config) once(ctx context.Context) (up bool, err error) {
	raw, err := cfg.Dial(ctx, "unix", cfg.Path)
	if err != nil {
		return false, err
	}
	stop := context.AfterFunc(ctx, func() { raw.Close() })
	c, err := Open(raw, cfg.Log)
	stop()
	if err != nil {
		return false, err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	served := make(chan error, 1)
	go func() { served <- c.Serve(ctx) }()
	patience := time.AfterFunc(upWithin, cancel)
	err = cfg.Up(ctx, c)
	patience.Stop()
	if err != nil {
		cancel()
		return false, errors.Join(err, <-served)
	}
	return true, <-served
}
