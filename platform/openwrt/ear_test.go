package openwrt

import (
	"context"
	"log/slog"
	"os"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"gatehouse/internal/ubus"
	"gatehouse/lab/pipe"
	"gatehouse/lab/ubusd"
	"gatehouse/platform"
)

// TestProbes: strangers who look for networks do not wake us more than twice a
// minute, and stations that come meanwhile are hinted at when we listen again.
func TestProbes(t *testing.T) {
	root := t.TempDir()
	if err := os.CopyFS(root, os.DirFS("testdata/root")); err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) {
		const address = "10.0.0.1:1"
		network := pipe.New()
		l, err := network.Listen("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		router := &ubusd.Router{Root: root}
		ctx, cancel := context.WithCancel(t.Context())
		go router.Serve(ctx, l)
		synctest.Wait()
		raw, err := network.Dial(ctx, "tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		conn, err := ubus.Open(raw, nil)
		if err != nil {
			t.Fatal(err)
		}
		go conn.Serve(ctx)
		var mu sync.Mutex
		var events []platform.Event
		told := func() []platform.Event { // since the last time
			synctest.Wait()
			mu.Lock()
			defer mu.Unlock()
			defer func() { events = nil }()
			return events
		}
		e := &ear{
			ctx: ctx, conn: conn, hostapd: map[uint32]bool{}, files: &files{backend: &backend{log: slog.New(slog.DiscardHandler)}},
			tell: func(e ...platform.Event) {
				mu.Lock()
				defer mu.Unlock()
				events = append(events, e...)
			},
		}
		if err := e.up(ctx); err != nil {
			t.Fatal(err)
		}
		router.Probe("phy0-ap0")
		told()
		for range 200 { // nothing of this is sent to us
			router.Probe("phy0-ap0")
			router.Probe("phy1-ap0")
		}
		router.Join("phy0-ap0", ubusd.Station{MAC: "02:00:00:00:00:aa"})
		time.Sleep(deafness - time.Second)
		if got := told(); got != nil {
			t.Errorf("told while deaf: %v", got)
		}
		again := []platform.Event{{Topic: platform.StationChanged}}
		time.Sleep(2 * time.Second)
		if got := told(); !slices.Equal(got, again) {
			t.Errorf("after it: %v", got)
		}
		router.Leave("phy0-ap0", "02:00:00:00:00:aa")
		if got := told(); !slices.Equal(got, again) {
			t.Errorf("it does not hear again: %v", got)
		}
		cancel()
	})
}
