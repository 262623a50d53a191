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
	// Wait makes what waits for the socket; nil: inotify. It returns nil where
	// nobody tells of a socket: then only time passes.
	Wait func(ctx context.Context, path string) Waiter
	Log  *slog.Logger
}

// A Waiter waits for a file to appear. It is made before the file is looked
// for, so that nothing is missed.
type Waiter interface {
	// Wait returns when the file may have appeared, after pause, or when ctx
	// ends. 0: there is nothing to wait for but the file.
	Wait(ctx context.Context, pause time.Duration) (appeared bool)
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
	for k := NewKeeper(cfg); ctx.Err() == nil; {
		if again := k.Turn(ctx); again > 0 {
			timer(ctx, again)
		}
	}
}

// A Keeper is Keep for who has something else than a goroutine to wait in.
type Keeper struct {
	cfg   Config
	pause time.Duration // after the next turn
	said  bool          // that there is no ubus
}

// NewKeeper returns a Keeper that has not looked for a daemon yet.
func NewKeeper(cfg Config) *Keeper {
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
	return &Keeper{cfg: cfg, pause: firstPause}
}

// Turn is one connection, and the wait after it where somebody tells of the next
// one; else it returns after how long to look again.
func (k *Keeper) Turn(ctx context.Context) (again time.Duration) {
	w := k.cfg.Wait(ctx, k.cfg.Path)
	if w != nil {
		defer w.Close()
	}
	began := time.Now()
	up, err := k.cfg.once(ctx)
	if up {
		k.said = false
		if time.Since(began) >= steady {
			k.pause = firstPause
		}
	}
	if ctx.Err() != nil {
		return 0
	}
	k.cfg.say(err, up, k.said)
	k.said = true
	wait := k.pause
	k.pause = min(2*k.pause, lastPause)
	if w == nil {
		return wait
	}
	if errors.Is(err, fs.ErrNotExist) {
		wait = 0
	}
	if w.Wait(ctx, wait) {
		k.pause = firstPause
	}
	return time.Nanosecond // at once
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
