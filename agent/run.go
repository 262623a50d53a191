package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"path/filepath"
	"runtime/debug"
	"strings"
	"syscall"
	"time"

	"gatehouse/agent/app"
)

func daemonFlags(f *flag.FlagSet, c *invocation) {
	f.StringVar(&c.options.logLevel, "log", "", "the log `level`: debug, info, warn, error (default: what the configuration says)")
	f.BoolVar(&c.options.soap, "soap", false, "print every envelope, secrets masked, to standard error")
}

// runAgent is the daemon. It ends on SIGTERM and SIGINT, and reads its
// configuration anew on SIGHUP.
func runAgent(ctx context.Context, c *invocation) error {
	if len(c.args) > 0 {
		return usageError("run takes no arguments")
	}
	for name, path := range map[string]string{"--config": c.dirs.config, "--factory": c.dirs.factory} {
		if err := readable(path); err != nil {
			return fmt.Errorf("%s %s: %w", name, path, err)
		}
	}
	// A garbage collector that waits until the heap has doubled costs a router
	// with 64 MB more than it saves: what lives for long here is small.
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(50)
	}
	if _, err := c.dirs.socket(); err != nil {
		return err
	}
	var level slog.LevelVar
	if c.options.logLevel != "" {
		if err := level.UnmarshalText([]byte(c.options.logLevel)); err != nil {
			return usageError("--log " + c.options.logLevel + " is no level: debug, info, warn or error")
		}
	}
	log := slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: &level, ReplaceAttr: timeless(os.Stderr)}))

	reload := make(chan struct{}, 1)
	hup := make(chan os.Signal, 1)
	signal.Notify(hup, syscall.SIGHUP)
	defer signal.Stop(hup)
	go forward(ctx, hup, reload)

	router, err := openPlatform(c.dirs.root, c.dirs.state, log.With("component", "platform"))
	if err != nil {
		return err
	}
	cfg := app.Config{
		Platform:    router,
		Version:     version,
		ConfigFile:  c.dirs.config,
		FactoryFile: c.dirs.factory,
		State:       c.dirs.state,
		Run:         c.dirs.run,
		ResolvConf:  filepath.Join(c.dirs.root, "etc/resolv.conf"),
		Hosts:       filepath.Join(c.dirs.root, "etc/hosts"),
		UBus:        filepath.Join(c.dirs.root, "var/run/ubus/ubus.sock"),
		Built:       built(),
		Reload:      reload,
		Rest:        debug.FreeOSMemory,
		Log:         log,
	}
	if c.options.logLevel == "" {
		cfg.Level = &level
	}
	if c.options.soap {
		cfg.Dump = dumpTo(c.stderr)
	}
	cfg.Ready = func(*app.Agent) { log.Info("gatehouse is running", "version", version, "state", c.dirs.state) }
	return app.Run(ctx, cfg)
}

// dumpTo prints the envelopes of a session, with an arrow before each line.
func dumpTo(w io.Writer) func(sent bool, envelope string) {
	return func(sent bool, envelope string) {
		arrow := "<"
		if sent {
			arrow = ">"
		}
		fmt.Fprintln(w, arrow, strings.ReplaceAll(strings.TrimSpace(envelope), "\n", "\n"+arrow+" "))
	}
}

// readable sees that a file that somebody named is there: only a file that
// nobody asked for may be missing.
func readable(path string) error {
	if path == "" {
		return nil
	}
	f, err := os.Open(path)
	if err == nil {
		return f.Close()
	}
	var pe *os.PathError
	if errors.As(err, &pe) {
		return pe.Err
	}
	return err
}

// forward turns signals into one flag.
func forward(ctx context.Context, hup <-chan os.Signal, reload chan<- struct{}) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-hup:
			select {
			case reload <- struct{}{}:
			default: // it is about to be read anyway
			}
		}
	}
}

// timeless leaves the time out where the lines go through a pipe or a socket to
// the system's log (procd, journald), which has its own.
func timeless(f *os.File) func([]string, slog.Attr) slog.Attr {
	info, err := f.Stat()
	if err != nil || info.Mode()&(os.ModeNamedPipe|os.ModeSocket) == 0 {
		return nil
	}
	return func(groups []string, a slog.Attr) slog.Attr {
		if len(groups) == 0 && a.Key == slog.TimeKey {
			return slog.Attr{}
		}
		return a
	}
}

// built is when this binary was built from its commit: the wall clock cannot
// be earlier.
func built() time.Time {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return time.Time{}
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.time" {
			t, err := time.Parse(time.RFC3339, s.Value)
			if err == nil {
				return t
			}
		}
	}
	return time.Time{}
}
