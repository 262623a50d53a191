package app

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"

	"gatehouse/agent/control"
	"gatehouse/agent/settings"
	"gatehouse/cwmp/connreq"
	"gatehouse/datamodel/tr181"
)

// SocketName is the control socket's name in the run directory.
const SocketName = "control"

// serveControl is the door of the command line.
func (a *Agent) serveControl(ctx context.Context) error {
	path := filepath.Join(a.cfg.Run, SocketName)
	// What a killed agent left behind; the lock on the directory says that none
	// is running.
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	l, err := a.cfg.Listen(ctx, "unix", path)
	if err != nil {
		return err
	}
	if err := os.Chmod(path, 0o660); err != nil && !errors.Is(err, os.ErrNotExist) {
		l.Close()
		return err
	}
	s := &control.Server{API: a.api, Who: a.cfg.Who, Log: a.log.With("component", "control")}
	return s.Serve(ctx, l)
}

// serveConnectionRequests listens for the ACS as the settings want it, and
// starts over when they change.
func (a *Agent) serveConnectionRequests(ctx context.Context) error {
	for {
		err := a.serveOnce(ctx)
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// serveOnce listens until the settings change.
func (a *Agent) serveOnce(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() {
		select {
		case <-ctx.Done():
		case <-a.rebind:
			cancel()
		}
	}()
	s := a.settings
	if !s.Bool(settings.HTTPConnectionRequestEnable) {
		a.listening(0, "")
		<-ctx.Done()
		return nil
	}
	l, err := a.listen(ctx, s.Get(settings.Interface), s.Number(settings.ConnectionRequestPort))
	if err != nil {
		a.listening(0, "")
		return err
	}
	defer a.listening(0, "")
	path := s.Get(settings.ConnectionRequestPath)
	a.listening(portOf(l.Addr()), path)
	server := &connreq.Server{
		Path: func() string { return path },
		Credentials: func() (string, string) {
			return s.Get(settings.ConnectionRequestUsername), s.Get(settings.ConnectionRequestPassword)
		},
		Guard: a.guard,
		Log:   a.log.With("component", "connreq"),
	}
	return server.Serve(ctx, l)
}

// listening makes ConnectionRequestURL true, and says so when it is another.
func (a *Agent) listening(port uint16, path string) {
	before := a.reach.ConnectionRequestURL()
	a.reach.listening(port, path)
	if a.reach.ConnectionRequestURL() != before {
		a.hint(tr181.ReachChanged)
	}
}

func portOf(addr net.Addr) uint16 {
	ap, err := netip.ParseAddrPort(addr.String())
	if err != nil {
		return 0
	}
	return ap.Port()
}

// listen binds to all addresses, of one interface when the settings name it.
func (a *Agent) listen(ctx context.Context, ifname string, port int64) (net.Listener, error) {
	addr := ":" + strconv.FormatInt(port, 10)
	if ifname == "" {
		return a.cfg.Listen(ctx, "tcp", addr)
	}
	lc := net.ListenConfig{Control: func(_, _ string, c syscall.RawConn) error {
		var err error
		if cerr := c.Control(func(fd uintptr) { err = unix.BindToDevice(int(fd), ifname) }); cerr != nil {
			return cerr
		}
		return err
	}}
	return lc.Listen(ctx, "tcp", addr)
}
