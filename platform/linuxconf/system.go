package linuxconf

// The device's name: systemd-hostnamed keeps it (org.freedesktop.hostname1(5)).

import (
	"context"
	"errors"
	"fmt"
	"iter"

	"gatehouse/platform"
)

// systemPackage holds the device's name and the time.
const systemPackage = "system"

var hostnamed = daemon{"systemd-hostnamed", "org.freedesktop.hostname1", "/org/freedesktop/hostname1", "org.freedesktop.hostname1"}

// hostname implements area.
type hostname struct {
	table platform.Table[platform.HostConfig] // as it is configured
	name  platform.System                     // as the kernel has it
	bus   system
	past  *past
}

func openHost(m *machine) (area, error) {
	switch {
	case !m.reachable(hostnamed):
		return nil, errors.New("systemd-hostnamed is not there")
	case m.p.System == nil:
		return nil, errors.New("the name cannot be read")
	}
	h := &hostname{table: m.conf.Host(), name: m.p.System, bus: m.bus, past: m.past}
	m.p.Host = hostTable{h.table, h}
	return h, nil
}

// apply implements area.
func (h *hostname) apply(ctx context.Context) error {
	row, err := only(ctx, h.table)
	if err != nil {
		return err
	}
	return h.past.keep(ctx, h.setting(), row.Name)
}

// forget implements area.
func (h *hostname) forget(ctx context.Context) error { return h.past.keep(ctx, h.setting(), "") }

const hostSetting = "host name"

func (h *hostname) setting() setting {
	return setting{
		name: hostSetting,
		get: func(ctx context.Context) (name string, err error) {
			err = h.bus.ask(ctx, func(l *line) error { return l.property(ctx, hostnamed, "StaticHostname", &name) })
			return name, err
		},
		set: func(ctx context.Context, name string) error {
			return h.bus.ask(ctx, func(l *line) error {
				// false: nobody is there whom polkit could ask for a password.
				return l.call(ctx, hostnamed, "SetStaticHostname", []any{name, false})
			})
		},
	}
}

// also implements teller.
func (h *hostname) also(w platform.Write) (platform.Write, bool) {
	if w.Place != "system.hostname" {
		return w, false
	}
	w.File, w.Place, w.Service = "/etc/hostname", "", "systemd-hostnamed"
	return w, true
}

// hostTable tells the name that the device has while none is configured, and when
// somebody has given it another one since.
type hostTable struct {
	platform.Table[platform.HostConfig]
	h *hostname
}

// Rows implements platform.Table.
func (t hostTable) Rows(ctx context.Context) iter.Seq2[platform.Entry[platform.HostConfig], error] {
	return func(yield func(platform.Entry[platform.HostConfig], error) bool) {
		for e, err := range t.Table.Rows(ctx) {
			if err == nil {
				var now string
				now, err = t.h.name.Hostname(ctx)
				if e.Value.Name == "" || t.h.past.moved(hostSetting, e.Value.Name, now) {
					e.Value.Name = now
				}
			}
			if !yield(e, err) || err != nil {
				return
			}
		}
	}
}

// only is the row of a table that has one.
func only[T any](ctx context.Context, t platform.Table[T]) (row T, err error) {
	for e, err := range t.Rows(ctx) {
		return e.Value, err
	}
	return row, fmt.Errorf("a table without its row: %w", platform.ErrGone)
}
