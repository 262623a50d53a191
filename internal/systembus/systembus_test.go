package systembus

import (
	"context"
	"errors"
	"net"
	"path/filepath"
	"testing"
)

// TestAddress: below another root is another machine, whatever our environment
// says of this one's bus.
func TestAddress(t *testing.T) {
	t.Setenv("DBUS_SYSTEM_BUS_ADDRESS", "")
	if got := Address(""); got != "unix:path=/var/run/dbus/system_bus_socket" {
		t.Error(got)
	}
	t.Setenv("DBUS_SYSTEM_BUS_ADDRESS", "unix:abstract=here")
	for _, root := range []string{"", "/", "//"} {
		if got := Address(root); got != "unix:abstract=here" {
			t.Errorf("%q: %s", root, got)
		}
	}
	for _, root := range []string{"/a/b", "rel", "/with,comma and;more%"} {
		called := ""
		_, err := Connect(t.Context(), Address(root), func(_ context.Context, _, path string) (net.Conn, error) {
			called = path
			return nil, errors.New("nobody there")
		})
		if want := filepath.Join(root, "var/run/dbus/system_bus_socket"); err == nil || called != want {
			t.Errorf("%q: %s, want %s (%v)", root, called, want, err)
		}
	}
}

// TestConnectEnds: a bus that accepts and says nothing is not waited for longer than
// the caller wants, and the error says that it was the caller.
func TestConnectEnds(t *testing.T) {
	ctx, stop := context.WithCancel(t.Context())
	ours, theirs := net.Pipe()
	defer theirs.Close()
	go func() {
		theirs.Read(make([]byte, 1)) // it has begun
		stop()
	}()
	_, err := Connect(ctx, "unix:path=/x", func(context.Context, string, string) (net.Conn, error) { return ours, nil })
	if !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}
