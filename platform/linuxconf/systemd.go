package linuxconf

// The daemons on the system's D-Bus, and systemd among them: what they are asked,
// and what their refusals say. A connection lives as long as one question.

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/godbus/dbus/v5"

	"gatehouse/internal/systembus"
)

// units starts and stops services.
type units interface {
	// Restart starts a unit, or restarts it, and waits until that is done. The
	// error names the unit, and says why where systemd knows.
	Restart(ctx context.Context, unit string) error
	// Stop stops a unit, and waits until that is done.
	Stop(ctx context.Context, unit string) error
	// Present says whether systemd knows the unit, and may start it.
	Present(ctx context.Context, unit string) (bool, error)
	// Since says when a unit began to run, by the wall clock; zero: it does not.
	Since(ctx context.Context, unit string) (time.Time, error)
}

const (
	// patience is how long a daemon may think about an answer. It may have to be
	// started for it first.
	patience = 25 * time.Second
	// slowest is how long a job may take: a little more than systemd gives a
	// service to start (DefaultTimeoutStartSec), so that it says itself what is
	// wrong.
	slowest = 100 * time.Second
)

// system is the system's D-Bus.
type system struct{ address string }

// A line is a connection to the bus, open for one question.
type line struct {
	*dbus.Conn
	signals chan *dbus.Signal
	manager string // the name of systemd's connection: anybody may send us a signal
}

// ask opens a connection for as long as f runs.
func (s system) ask(ctx context.Context, f func(*line) error) error {
	conn, err := systembus.Connect(ctx, s.address, nil, dbus.WithSignalHandler(dbus.NewSequentialSignalHandler()))
	if err != nil {
		return fmt.Errorf("no D-Bus: %w", err)
	}
	defer conn.Close()
	return f(&line{Conn: conn})
}

// names are those of the daemons that run, and of those that the bus can start.
func (s system) names(ctx context.Context) (running, startable []string, err error) {
	err = s.ask(ctx, func(l *line) error {
		bus := daemon{"D-Bus", dbusName, "/org/freedesktop/DBus", dbusName}
		err := l.call(ctx, bus, "ListNames", nil, &running)
		if err == nil {
			err = l.call(ctx, bus, "ListActivatableNames", nil, &startable)
		}
		return err
	})
	return running, startable, err
}

// dbusName is that of the bus itself, and of its interface.
const dbusName = "org.freedesktop.DBus"

// A daemon is one object of a process on the bus.
type daemon struct {
	name        string // what its manual calls it: "systemd-hostnamed"
	destination string
	path        dbus.ObjectPath
	iface       string
}

// call calls a method of a daemon, and stores what it answers in out. Other
// types than those of out are an error, as is a daemon that leaves in between.
func (l *line) call(ctx context.Context, d daemon, method string, args []any, out ...any) error {
	ctx, stop := context.WithTimeout(ctx, patience)
	defer stop()
	err := l.Object(d.destination, d.path).CallWithContext(ctx, d.iface+"."+method, 0, args...).Store(out...)
	if err != nil {
		return fmt.Errorf("%s: %s: %w", d.name, method, plainly(err))
	}
	return nil
}

// property reads a property of a daemon.
func (l *line) property(ctx context.Context, d daemon, name string, out any) error {
	var v dbus.Variant
	properties := d
	properties.iface = "org.freedesktop.DBus.Properties"
	err := l.call(ctx, properties, "Get", []any{d.iface, name}, &v)
	if err != nil {
		return err
	}
	if err := dbus.Store([]any{v.Value()}, out); err != nil {
		return fmt.Errorf("%s: %s: %w", d.name, name, err)
	}
	return nil
}

// A refusal is what a daemon answers instead.
type refusal struct {
	name string // of the error, as D-Bus has it
	text string
}

func (r *refusal) Error() string { return r.text }

// longest bounds what is told of a daemon's words.
const longest = 200

// plainly makes an error of the bus fit for a log and an ACS: one line of no great
// length, and in words where a name is all that there is.
func plainly(err error) error {
	var e dbus.Error
	switch {
	case errors.Is(err, dbus.ErrClosed):
		return errors.New("D-Bus has closed the connection")
	case errors.Is(err, context.DeadlineExceeded):
		return fmt.Errorf("no answer in %s: %w", patience, err)
	case !errors.As(err, &e):
		return err
	}
	r := &refusal{name: e.Name, text: e.Error()}
	switch e.Name {
	case "org.freedesktop.DBus.Error.ServiceUnknown", "org.freedesktop.DBus.Error.NameHasNoOwner":
		r.text = "it does not run"
	case "org.freedesktop.DBus.Error.NoReply":
		r.text = "it has ended without an answer"
	case "org.freedesktop.DBus.Error.InteractiveAuthorizationRequired", "org.freedesktop.DBus.Error.AccessDenied",
		"org.freedesktop.PolicyKit1.Error.NotAuthorized":
		r.text = "we are not allowed to (polkit, or the policy of D-Bus): " + r.text
	}
	r.text = strings.Map(func(c rune) rune {
		if c < ' ' || c == 0x7f || c == 0xfffd {
			return ' '
		}
		return c
	}, strings.ToValidUTF8(r.text, " "))
	if letters := []rune(r.text); len(letters) > longest {
		r.text = string(letters[:longest]) + "…"
	}
	return r
}

// systemd is the service manager (org.freedesktop.systemd1(5)). It implements
// units.
type systemd struct{ system }

var manager = daemon{"systemd", "org.freedesktop.systemd1", "/org/freedesktop/systemd1", "org.freedesktop.systemd1.Manager"}

// Restart implements units.
func (s systemd) Restart(ctx context.Context, unit string) error {
	return s.job(ctx, "RestartUnit", unit)
}

// Stop implements units.
func (s systemd) Stop(ctx context.Context, unit string) error {
	return s.job(ctx, "StopUnit", unit)
}

// Present implements units.
func (s systemd) Present(ctx context.Context, unit string) (present bool, err error) {
	err = s.ask(ctx, func(l *line) error {
		u, err := l.unit(ctx, unit)
		if err != nil {
			return err
		}
		var state string
		if err := l.property(ctx, u, "LoadState", &state); err != nil {
			return err
		}
		present = state == "loaded"
		return nil
	})
	return present, err
}

// Since implements units.
func (s systemd) Since(ctx context.Context, unit string) (since time.Time, err error) {
	err = s.ask(ctx, func(l *line) error {
		u, err := l.unit(ctx, unit)
		if err != nil {
			return err
		}
		var state string
		var micros uint64
		if err := l.property(ctx, u, "ActiveState", &state); err != nil {
			return err
		}
		if err := l.property(ctx, u, "ActiveEnterTimestamp", &micros); err != nil {
			return err
		}
		if state == "active" || state == "reloading" {
			since = time.UnixMicro(int64(micros))
		}
		return nil
	})
	return since, err
}

// unit is the object of a unit, whether systemd has a file for it or not.
func (l *line) unit(ctx context.Context, unit string) (daemon, error) {
	u := manager
	u.iface = "org.freedesktop.systemd1.Unit"
	err := l.call(ctx, manager, "LoadUnit", []any{unit}, &u.path)
	return u, err
}

// job has systemd do something with a unit, and waits for the end of it.
func (s systemd) job(ctx context.Context, method, unit string) error {
	ctx, stop := context.WithTimeout(ctx, slowest)
	defer stop()
	return s.ask(ctx, func(l *line) error {
		if err := l.listen(ctx); err != nil {
			return fmt.Errorf("%s: %w", unit, err)
		}
		var job dbus.ObjectPath
		// "replace": what somebody else has ordered for the unit gives way, as
		// with systemctl.
		if err := l.call(ctx, manager, method, []any{unit, "replace"}, &job); err != nil {
			return fmt.Errorf("%s: %w", unit, err)
		}
		result, err := l.outcome(ctx, job)
		if err != nil {
			return fmt.Errorf("%s: %s: %w", unit, method, err)
		}
		if result != "done" && result != "skipped" { // skipped: it was so already
			return fmt.Errorf("%s: %s: %s", unit, method, l.why(ctx, unit, result))
		}
		return nil
	})
}

// listen hears of the ends of jobs, and of systemd's.
func (l *line) listen(ctx context.Context) error {
	l.signals = make(chan *dbus.Signal, 16)
	l.Signal(l.signals)
	err := l.AddMatchSignalContext(ctx, dbus.WithMatchSender(manager.destination), dbus.WithMatchInterface(manager.iface), dbus.WithMatchMember("JobRemoved"))
	if err == nil {
		err = l.AddMatchSignalContext(ctx, dbus.WithMatchSender(dbusName), dbus.WithMatchMember("NameOwnerChanged"), dbus.WithMatchArg(0, manager.destination))
	}
	if err != nil {
		return fmt.Errorf("D-Bus: %w", plainly(err))
	}
	bus := daemon{"D-Bus", dbusName, "/org/freedesktop/DBus", dbusName}
	if err := l.call(ctx, bus, "GetNameOwner", []any{manager.destination}, &l.manager); err != nil {
		return err
	}
	// Without somebody who has subscribed systemd tells nobody. It forgets us
	// with the connection.
	return l.call(ctx, manager, "Subscribe", nil)
}

// outcome waits for the end of a job, and returns its result.
func (l *line) outcome(ctx context.Context, job dbus.ObjectPath) (string, error) {
	for {
		select {
		case <-ctx.Done():
			return "", fmt.Errorf("systemd has not said how it ended: %w", ctx.Err())
		case s, ok := <-l.signals:
			switch {
			case !ok:
				return "", errors.New("D-Bus has closed the connection")
			case s.Sender == dbusName && s.Name == dbusName+".NameOwnerChanged":
				return "", errors.New("systemd has left D-Bus")
			case s.Sender != l.manager, len(s.Body) != 4 || !slices.Contains(s.Body, any(job)): // id, job, unit, result
				continue
			}
			result, _ := s.Body[3].(string)
			return result, nil
		}
	}
}

// why tells how a job ended that has not done what it was for, with what systemd
// knows of the service.
func (l *line) why(ctx context.Context, unit, result string) string {
	said := "the job has ended as " + fmt.Sprintf("%.20q", result)
	u, err := l.unit(ctx, unit)
	if err != nil {
		return said
	}
	u.iface = "org.freedesktop.systemd1.Service"
	var cause string
	var status int32
	if l.property(ctx, u, "Result", &cause) != nil || l.property(ctx, u, "ExecMainStatus", &status) != nil || cause == "success" {
		return said
	}
	return fmt.Sprintf("%s: %.40q, status %d (journalctl -u %s)", said, cause, status, unit)
}
