package app

import (
	"context"
	"errors"
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
func (a *Agent) serveMetrics(ctx context.Context) error {
	pause := firstPause
	for ctx.Err() == nil {
		where := a.settings.Get(settings.MetricsListen)
		if where == "" {
			a.otherMetrics(ctx, 0)
			continue
		}
		began := time.Now()
		err := a.serveMetricsAt(ctx, where)
		if err == nil {
			pause = firstPause
			continue
		}
		if time.Since(began) >= steady {
			pause = firstPause
		}
		a.log.Warn("the counters cannot be asked for", "listen", where, "again in", pause, "err", err)
		a.otherMetrics(ctx, pause)
		pause = min(2*pause, lastPause)
	}
	return nil
}

// otherMetrics waits until the settings change, or for a while if that is not 0.
func (a *Agent) otherMetrics(ctx context.Context, while time.Duration) {
	var passed <-chan time.Time
	if while > 0 {
		timer := time.NewTimer(while)
		defer timer.Stop()
		passed = timer.C
	}
	select {
	case <-ctx.Done():
	case <-a.measure:
	case <-passed:
	}
}

// serveMetricsAt serves until the settings change; that, and the end of ctx, is
// no error.
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
	serving, stop := context.WithCancel(ctx)
	defer stop()
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(serving, l) }()
	select {
	case <-a.measure:
		stop()
		return <-ended
	case err := <-ended:
		return err
	}
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
