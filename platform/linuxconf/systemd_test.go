package linuxconf

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/godbus/dbus/v5"
)

func TestUnits(t *testing.T) {
	d := startDaemons(t, manager.destination)
	s := systemd{system{d.address}}
	for unit, want := range map[string]bool{timesyncd: true, "dnsmasq.service": false} {
		if there, err := s.Present(t.Context(), unit); err != nil || there != want {
			t.Errorf("%s is there: %v (%v)", unit, there, err)
		}
	}
	runs := func(want bool) {
		t.Helper()
		since, err := s.Since(t.Context(), timesyncd)
		if now := time.Now(); err != nil || want != (!since.IsZero() && since.After(now.Add(-time.Minute)) && !since.After(now)) || since.IsZero() == want {
			t.Errorf("it runs since %v (%v), want %v", since, err, want)
		}
	}
	runs(false)
	if err := s.Restart(t.Context(), timesyncd); err != nil {
		t.Error(err)
	}
	runs(true)
	if err := s.Stop(t.Context(), timesyncd); err != nil {
		t.Error(err)
	}
	runs(false)
	if said := strings.Join(d.said(), "; "); said != "RestartUnit systemd-timesyncd.service; StopUnit systemd-timesyncd.service" {
		t.Errorf("systemd was asked: %s", said)
	}
}

// TestUnitTrouble: whatever goes wrong, the error names the unit and says what.
func TestUnitTrouble(t *testing.T) {
	for name, c := range map[string]struct {
		spoil func(d *daemons)
		unit  string
		want  []string
	}{
		"unknown":  {func(*daemons) {}, "dnsmasq.service", []string{"dnsmasq.service", "not found"}},
		"fails":    {func(d *daemons) { d.ends(timesyncd, "failed") }, timesyncd, []string{timesyncd, `"failed"`, `"exit-code", status 3`}},
		"canceled": {func(d *daemons) { d.ends(timesyncd, "canceled") }, timesyncd, []string{timesyncd, `"canceled"`}},
		"hostile":  {func(d *daemons) { d.ends(timesyncd, "\x1b[2J"+strings.Repeat("x", 999)) }, timesyncd, []string{timesyncd, `\x1b`}},
		"leaves":   {func(d *daemons) { d.ends(timesyncd, "leaves") }, timesyncd, []string{timesyncd, "systemd has left"}},
		"polkit":   {func(d *daemons) { d.refuses("RestartUnit", errPolkit) }, timesyncd, []string{timesyncd, "systemd", "polkit"}},
		"vanishes": {func(d *daemons) { d.vanishes("RestartUnit") }, timesyncd, []string{timesyncd, "systemd", "without an answer"}},
		"chatters": {func(d *daemons) { d.refuses("RestartUnit", errHostile) }, timesyncd, []string{timesyncd, "not your"}},
		"no bus":   {func(d *daemons) { d.stopBus() }, timesyncd, []string{"no D-Bus"}},
	} {
		t.Run(name, func(t *testing.T) {
			d := startDaemons(t, manager.destination)
			c.spoil(d)
			err := systemd{system{d.address}}.Restart(t.Context(), c.unit)
			if err == nil {
				t.Fatal("it is done")
			}
			for _, w := range c.want {
				if !strings.Contains(err.Error(), w) {
					t.Errorf("%q does not say %q", err, w)
				}
			}
			if text := err.Error(); len(text) > 600 || strings.ContainsAny(text, "\n\x1b\x00") {
				t.Errorf("not a line for a log: %q", text)
			}
		})
	}
}

// TestLiarOnTheBus: whoever may use the bus may send us signals, and is not believed.
func TestLiarOnTheBus(t *testing.T) {
	d := startDaemons(t, manager.destination)
	d.ends(timesyncd, "failed")
	liar, err := dbus.Connect(d.address)
	if err != nil {
		t.Fatal(err)
	}
	defer liar.Close()
	d.mu.Lock()
	d.liar = func(job dbus.ObjectPath, unit string) {
		send := func(path dbus.ObjectPath, iface, member string, body ...any) {
			m := &dbus.Message{Type: dbus.TypeSignal, Body: body, Headers: map[dbus.HeaderField]dbus.Variant{
				dbus.FieldDestination: dbus.MakeVariant(d.caller), dbus.FieldPath: dbus.MakeVariant(path), dbus.FieldInterface: dbus.MakeVariant(iface),
				dbus.FieldMember: dbus.MakeVariant(member), dbus.FieldSignature: dbus.MakeVariant(dbus.SignatureOf(body...)),
			}}
			if call := liar.Send(m, nil); call != nil && call.Err != nil {
				t.Error(call.Err)
			}
		}
		send(manager.path, manager.iface, "JobRemoved", uint32(1), job, unit, "done")
		send("/org/freedesktop/DBus", dbusName, "NameOwnerChanged", manager.destination, ":1.1", "")
		if err := liar.BusObject().Call(dbusName+".GetId", 0).Err; err != nil { // the bus has passed both on
			t.Error(err)
		}
	}
	d.mu.Unlock()
	err = systemd{system{d.address}}.Restart(t.Context(), timesyncd)
	if err == nil || !strings.Contains(err.Error(), `"failed"`) {
		t.Errorf("the liar is believed: %v", err)
	}
}

// TestNobodyAnswers: a job without an end ends with its context.
func TestNobodyAnswers(t *testing.T) {
	d := startDaemons(t, manager.destination)
	address := d.address
	d.refuses("Get LoadState", errHostile)
	if _, err := (systemd{system{address}}).Present(t.Context(), timesyncd); err == nil || !strings.HasPrefix(err.Error(), "systemd: Get: ") {
		t.Errorf("it is known: %v", err)
	}
	// A name without anybody who answers.
	mute, err := dbus.Connect(address)
	if err != nil {
		t.Fatal(err)
	}
	defer mute.Close()
	ctx, stop := context.WithCancel(t.Context())
	silence := make(chan struct{})
	defer close(silence)
	wait := func() *dbus.Error { stop(); <-silence; return nil }
	if err := mute.ExportMethodTable(map[string]any{"Wait": wait}, "/x", "org.example.Mute"); err != nil {
		t.Fatal(err)
	}
	if _, err := mute.RequestName("org.example.Mute", 0); err != nil {
		t.Fatal(err)
	}
	err = system{address}.ask(ctx, func(l *line) error {
		return l.call(ctx, daemon{"muted", "org.example.Mute", "/x", "org.example.Mute"}, "Wait", nil)
	})
	if !errors.Is(err, context.Canceled) || !strings.HasPrefix(err.Error(), "muted: Wait: ") {
		t.Errorf("%v", err)
	}
	if err := plainly(context.DeadlineExceeded); !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), patience.String()) {
		t.Errorf("%v", err)
	}
}
