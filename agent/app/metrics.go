package app

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"strings"
	"time"

	"gatehouse/agent/api"
	"gatehouse/agent/metrics"
	"gatehouse/agent/settings"
)

// serveMetrics serves the counters where the settings want them, which is
// nowhere by default, and starts over when they change. A place that cannot be
// had is tried again.
func (a *Agent) serveMetrics(ctx context.Context) (again time.Duration, err error) {
	where := a.settings.Get(settings.MetricsListen)
	if where == "" {
		return 0, nil
	}
	if err := a.serveMetricsAt(ctx, where); err != nil {
		return 0, fmt.Errorf("the counters cannot be asked for at %s: %w", where, err)
	}
	return 0, nil
}

// serveMetricsAt serves until ctx ends, which is no error.
func (a *Agent) serveMetricsAt(ctx context.Context, where string) error {
	network, address := "tcp", where
	path, unix := strings.CutPrefix(where, "unix:")
	if unix {
		network, address = "unix", path
		if err := removeSocket(path); err != nil {
			return err
		}
	}
	listen := a.cfg.Listen
	if listen == nil {
		listen = new(net.ListenConfig).Listen
	}
	l, err := listen(ctx, network, address)
	if err != nil {
		return err
	}
	if unix {
		if _, err := admitReaders(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			l.Close()
			return err
		}
	}
	server := &metrics.Server{Port: !unix, Status: func() api.Status {
		st, _ := a.api.Status(api.Caller{Name: "metrics", Rights: api.Read}) // who may read is not refused
		return st
	}}
	return server.Serve(ctx, l)
}

// removeSocket removes what a killed agent left behind, and nothing that is no
// socket.
func removeSocket(path string) error {
	info, err := os.Lstat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return err
	case info.Mode().Type() != fs.ModeSocket:
		return errors.New(path + " is there, and is no socket")
	}
	return os.Remove(path)
}
