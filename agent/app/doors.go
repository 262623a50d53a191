package app

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

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
	listen := a.cfg.Listen
	if listen == nil {
		listen = new(net.ListenConfig).Listen
	}
	l, err := listen(ctx, "unix", path)
	if err != nil {
		return err
	}
	if err := a.admitGroup(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		l.Close()
		return err
	}
	s := &control.Server{API: a.api, Who: a.cfg.Who, Log: a.log.With("component", "control")}
	return s.Serve(ctx, l)
}

// readersGroup is the group whose members may read through the control socket.
const readersGroup = "gatehouse"

// admitGroup lets the group through the run directory, which is otherwise its
// owner's alone, to the socket: not to the files beside it, whose mode is 0600.
// Without such a group, or without the right to give it anything, nobody but
// the owner and root gets in.
func (a *Agent) admitGroup(socket string) error {
	admitted, err := admitReaders(socket)
	if err != nil || !admitted {
		return err
	}
	return admit(a.cfg.Run, 0o710)
}

// admitReaders opens a socket to the group if that can be, and reports whether
// it could.
func admitReaders(socket string) (admitted bool, err error) {
	if _, err := user.LookupGroup(readersGroup); err != nil || os.Geteuid() != 0 {
		return false, os.Chmod(socket, 0o600)
	}
	return true, admit(socket, 0o660)
}

// admit gives a file to the group, with a mode.
func admit(path string, mode os.FileMode) error {
	g, err := user.LookupGroup(readersGroup)
	if err != nil {
		return err
	}
	gid, err := strconv.Atoi(g.Gid)
	if err != nil {
		return fmt.Errorf("group %s: %w", readersGroup, err)
	}
	if err := os.Chown(path, -1, gid); err != nil {
		return err
	}
	return os.Chmod(path, mode)
}

// serveConnectionRequests listens for the ACS as the settings want it, and starts
// over when they change. A port that cannot be had is tried again.
func (a *Agent) serveConnectionRequests(ctx context.Context) (again time.Duration, err error) {
	s := a.settings
	if !s.Bool(settings.HTTPConnectionRequestEnable) {
		a.listening(ctx, 0, "")
		return 0, nil
	}
	if s.Get(settings.ConnectionRequestPath) == "" { // after a factory reset
		if err := s.Generate(); err != nil {
			a.log.Warn("the path of connection requests will be another one after a restart", "err", err)
		}
	}
	path := s.Get(settings.ConnectionRequestPath)
	l, err := a.listen(ctx, s.Get(settings.Interface), s.Number(settings.ConnectionRequestPort))
	if err == nil {
		a.listening(ctx, portOf(l.Addr()), path)
		server := &connreq.Server{
			Path: func() string { return path },
			Credentials: func() (string, string) {
				return s.Get(settings.ConnectionRequestUsername), s.Get(settings.ConnectionRequestPassword)
			},
			AllowEmpty: s.Bool(settings.ConnectionRequestOpen),
			Guard:      a.guard,
			Log:        a.log.With("component", "connreq"),
		}
		err = server.Serve(ctx, l)
	}
	if err != nil && ctx.Err() == nil {
		a.listening(ctx, 0, "")
		return 0, fmt.Errorf("no connection requests can be taken: %w", err)
	}
	return 0, nil
}

// listening makes ConnectionRequestURL true, and says so when it is another.
func (a *Agent) listening(ctx context.Context, port uint16, path string) {
	if own := a.cfg.Platform.NAT.Own; own != nil {
		if err := own.OwnPort(ctx, port); err != nil && port != 0 && ctx.Err() == nil {
			a.log.Warn("port mappings may take the port of connection requests", "port", port, "err", err)
		}
	}
	before := a.reach.ConnectionRequestURL()
	a.reach.listening(port, path)
	if a.reach.ConnectionRequestURL() != before {
		a.hint(tr181.ReachChanged)
	}
	a.tried.Do(func() { close(a.answering) })
}

func portOf(addr net.Addr) uint16 {
	_, port, err := net.SplitHostPort(addr.String())
	if err != nil {
		return 0
	}
	n, err := strconv.ParseUint(port, 10, 16)
	if err != nil {
		return 0
	}
	return uint16(n)
}

// listen binds to all addresses, of one interface when the settings name it.
func (a *Agent) listen(ctx context.Context, ifname string, port int64) (net.Listener, error) {
	addr := ":" + strconv.FormatInt(port, 10)
	if a.cfg.Listen != nil {
		return a.cfg.Listen(ctx, "tcp", addr)
	}
	if ifname == "" {
		return new(net.ListenConfig).Listen(ctx, "tcp", addr)
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
