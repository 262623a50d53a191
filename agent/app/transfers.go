package app

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"gatehouse/agent/core"
	"gatehouse/agent/rpc"
	"gatehouse/agent/transfer"
)

// startTransfers opens the queue of transfers and finds out what became of an
// image that the last process was installing. Safe mode has them, too: by one
// of them the ACS mends the device.
func (a *Agent) startTransfers(ctx context.Context) {
	p, log := a.cfg.Platform, a.log.With("component", "transfer")
	boot, random := a.bootID, a.cfg.Rand
	if random == nil {
		random = rand.Int64N
	}
	queue := transfer.Open(a.state.File("transfers", 1), boot, a.softwareVersion(ctx), a.wall.Now, random, log)
	spool := a.cfg.Spool
	if spool == "" {
		spool = a.cfg.Run
	}
	a.runner = &transfer.Runner{
		Queue: queue, Firmware: p.Firmware, ConfigFile: p.ConfigFile, Logs: p.Logs, System: p.System,
		Spool: spool, Dial: a.dialFile, TLS: a.fileTLS, CheckURL: a.settings.CheckURL, Rule: a.transferRule, UserAgent: "Gatehouse/" + a.cfg.Version,
		Quiet: a.quiet, Ended: a.transferEnded,
		Boot: boot, Version: a.softwareVersion, OwnLog: a.writeSessions, LogName: a.logName,
		Log: log,
	}
	a.queued = &chore{name: "transfers", turn: a.runner.Turn}
	queue.Wake = a.queued.poke
	a.transfers = &rpc.Transfers{
		Queue: queue, Uploads: []transfer.Kind{transfer.Log},
		Room: a.runner.Room, LogName: a.logName, CheckURL: a.settings.CheckURL,
	}
	if p.Firmware != nil {
		a.transfers.Downloads = append(a.transfers.Downloads, transfer.Firmware)
	}
	if p.ConfigFile != nil {
		a.transfers.Downloads = append(a.transfers.Downloads, transfer.Config)
		a.transfers.Uploads = append(a.transfers.Uploads, transfer.Config)
	}
}

// softwareVersion is what the system says that it runs, whatever the
// configuration calls it.
func (a *Agent) softwareVersion(ctx context.Context) string {
	if a.cfg.Platform.Identity == nil {
		return ""
	}
	id, err := a.cfg.Platform.Identity.ID(ctx)
	if err != nil {
		a.log.Warn("the version of the firmware is not known", "err", err)
	}
	return id.SoftwareVersion
}

// dialFile connects to a file server as sessions do to the ACS.
func (a *Agent) dialFile(ctx context.Context, network, addr string) (net.Conn, error) {
	d, err := a.dialer(a.log)
	if err != nil {
		return nil, err
	}
	return d.DialContext(ctx, network, addr)
}

// fileTLS trusts whom the sessions trust. The clock is that of the device, and
// never earlier than the agent.
func (a *Agent) fileTLS(scheme string) (*tls.Config, error) {
	config, err := a.tlsConfig(scheme)
	if err != nil {
		return nil, err
	}
	config.Time = func() time.Time {
		now, _ := a.wall.Now()
		return now
	}
	return config, nil
}

// quiet runs f while no session does: core holds the next one back until f has
// ended.
func (a *Agent) quiet(ctx context.Context, f func(context.Context) error) error {
	var taken atomic.Bool // by f, or by who will not wait for it any longer
	done := make(chan error, 1)
	a.pauses.add(func(ctx context.Context) {
		if taken.CompareAndSwap(false, true) {
			done <- f(ctx)
		}
	})
	if err := a.core.Post(ctx, core.After{}); err != nil {
		if taken.CompareAndSwap(false, true) {
			return err
		}
		return <-done
	}
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
	}
	if taken.CompareAndSwap(false, true) {
		return ctx.Err()
	}
	return <-done
}

// pauses are what is to be done between two sessions.
type pauses struct {
	mu   sync.Mutex
	work []func(context.Context)
}

func (p *pauses) add(f func(context.Context)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.work = append(p.work, f)
}

// run does it.
func (p *pauses) run(ctx context.Context) {
	p.mu.Lock()
	work := p.work
	p.work = nil
	p.mu.Unlock()
	for _, f := range work {
		f(ctx)
	}
}

// afterSession does what waited for the end of a session: what a commit has
// left behind first, for a transfer may stand on it.
func (a *Agent) afterSession(ctx context.Context) error {
	err := a.after.do(ctx)
	a.pauses.run(ctx)
	return err
}

// transferEnded asks for the session that tells of it.
func (a *Agent) transferEnded(t transfer.Transfer) {
	a.post(core.Occurred{Events: []core.Event{{Code: core.TransferComplete}, rpc.EventOf(t)}})
}

// logName is the name of a log by its instance in the data model.
func (a *Agent) logName(ctx context.Context, instance uint32) (string, error) {
	for it, err := range a.tree.Values(ctx, fmt.Sprintf("Device.DeviceInfo.VendorLogFile.%d.Name", instance)) {
		return it.Value, err
	}
	return "", errNoLog
}

var errNoLog = errors.New("there is no such log")

// writeSessions writes what is remembered of the last sessions, as text.
func (a *Agent) writeSessions(w io.Writer) error {
	if _, err := fmt.Fprintf(w, "==> sessions of Gatehouse %s <==\n", a.cfg.Version); err != nil {
		return err
	}
	for _, s := range a.recent.sessions() {
		outcome := s.Error
		if outcome == "" {
			outcome = "went well"
		}
		_, err := fmt.Fprintf(w, "%s %s to %s, retry %d: %s\n", s.Started.UTC().Format(time.RFC3339), s.ID, s.ACS, s.RetryCount, outcome)
		for _, x := range s.Steps {
			if err != nil {
				return err
			}
			result := x.Result
			if x.Fault != "" {
				result = "fault " + x.Fault
			}
			_, err = fmt.Fprintf(w, "  %6d ms %s %s %s %s\n", x.At, x.From, x.Method, x.About, result)
		}
		if err != nil {
			return err
		}
	}
	return nil
}
