//go:build !no_ubus

package app_test

// The whole agent on OpenWrt's bus.

import (
	"context"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"gatehouse/agent/app"
	"gatehouse/lab/acs"
	"gatehouse/lab/ubusd"
)

// onUBus is the network of a house with a daemon in it, which is at an address
// that lab/pipe knows how to dial.
func (h *house) onUBus() (start func() (stop func()), command func(args ...string) (string, int)) {
	const address = "10.0.0.1:1"
	h.edit = func(c *app.Config) {
		c.UBus = "/root/ubus.sock"
		dial := c.Dial
		c.Dial = func(ctx context.Context, network, addr string) (net.Conn, error) {
			if network == "unix" && addr == c.UBus {
				return h.net.Dial(ctx, "tcp", address)
			}
			return dial(ctx, network, addr)
		}
	}
	start = func() (stop func()) {
		l, err := h.net.Listen("tcp", address)
		if err != nil {
			h.t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(h.t.Context())
		ended := make(chan struct{})
		go func() { defer close(ended); (&ubusd.Daemon{}).Serve(ctx, l) }()
		return func() { cancel(); <-ended }
	}
	return start, func(args ...string) (string, int) {
		conn, err := h.net.Dial(h.t.Context(), "tcp", address)
		if err != nil {
			h.t.Fatal(err)
		}
		return ubusd.Command(conn, args...)
	}
}

// TestUBus: a script asks for a session, as the init script does, before and
// after a restart of ubusd.
func TestUBus(t *testing.T) {
	story(t, acs.Options{}, config(), func(t *testing.T, h *house) {
		start, command := h.onUBus()
		stop := start()
		h.start()
		h.session(1)
		for round := range 2 {
			out, code := command("call", "tr069", "inform", `{"event":"6 CONNECTION REQUEST"}`)
			if code != 0 || !strings.Contains(out, "Session started") {
				t.Fatal(out)
			}
			h.wantEvents(h.session(2+round), "6 CONNECTION REQUEST")
			if out, code := command("call", "gatehouse", "get", `{"path":"Device.ManagementServer.URL"}`); code != 0 || !strings.Contains(out, acsURL) {
				t.Error(out)
			}
			stop()
			stop = start()
			time.Sleep(6 * time.Minute)
		}
		out, _ := command("list")
		if got := strings.Fields(out); !slices.Equal(got, []string{"gatehouse", "tr069"}) {
			t.Error(got)
		}
		h.end()
		stop()
	})
}
