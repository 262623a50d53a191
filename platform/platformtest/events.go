// Hints: that they come, that they do not pile up, that they end.

package platformtest

import (
	"context"
	"errors"
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"gatehouse/platform"
)

func testCable(t *testing.T, w world) {
	h := w.watch(t)
	h.await(t, "the cable is in", func() bool { return w.link(t, w.Spare).Running })
	began := time.Now()
	w.SetLink(w.Spare, false)
	h.await(t, "cable out", func() bool { return !w.link(t, w.Spare).Running })
	h.await(t, "state follows", func() bool {
		s := w.link(t, w.Spare).State
		return s == "Down" || s == "LowerLayerDown"
	})
	l := w.link(t, w.Spare)
	if !l.Enabled {
		t.Error("a cable pulled has switched the link off")
	}
	if l.Changed.Before(began.Round(0)) || l.Changed.After(time.Now()) {
		t.Errorf("changed at %v, the cable went at %v", l.Changed, began)
	}
	w.SetLink(w.Spare, true)
	h.await(t, "cable in again", func() bool {
		again := w.link(t, w.Spare)
		return again.Running && again.State == "Up" && again.Changed.After(l.Changed)
	})
}

func testHints(t *testing.T, w world) {
	h := w.watch(t)
	w.SetLink(w.Spare, false)
	h.saw(t, platform.LinkChanged, w.Spare)
	w.SetLink(w.Spare, true)
	a := platform.Address{Link: w.Bridge, Prefix: prefix("10.1.1.1/24")}
	w.SetAddress(a)
	h.saw(t, platform.AddressChanged, w.Bridge)
	w.RemoveAddress(a)
	h.saw(t, platform.AddressChanged, w.Bridge)
	w.AddRoutes(platform.Route{Dest: prefix("10.2.0.0/16"), Gateway: addr("192.0.2.1"), Link: w.WAN})
	h.saw(t, platform.RouteChanged, "")
	if w.Network != nil {
		b, err := w.Network.Begin(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		b.SetMTU(w.Spare, 1400)
		commit(t, b)
		h.saw(t, platform.LinkChanged, w.Spare)
	}
}

// testFlapping: a link that goes up and down as fast as it can; in the end the
// last state is what is read, and nothing has grown.
func testFlapping(t *testing.T, w world) {
	const flaps = 3000
	var heard atomic.Int64
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	wake := make(chan struct{}, 1)
	done := make(chan error, 1)
	go func() {
		done <- w.Events.Watch(ctx, func(platform.Event) {
			heard.Add(1)
			select {
			case wake <- struct{}{}:
			default:
			}
		})
	}()
	heap := func() uint64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	flap := func(n int) {
		for i := range n {
			w.SetLink(w.Spare, i%2 == 1) // the last is up
		}
	}
	flap(100)
	before := heap()
	flap(flaps)
	timeout := time.NewTimer(patience)
	defer timeout.Stop()
	for w.link(t, w.Spare).State != "Up" {
		select {
		case <-wake:
		case <-timeout.C:
			t.Fatalf("after %d flaps the link is %+v", flaps, w.link(t, w.Spare))
		}
	}
	if after := heap(); after > before+1<<20 {
		t.Errorf("%d flaps have grown the heap by %d KiB", flaps, (after-before)>>10)
	}
	if n := heard.Load(); n == 0 || n > 20*flaps {
		t.Errorf("%d hints of %d flaps", n, flaps)
	}
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Errorf("Watch ended with %v", err)
	}
}

// testWatchEnds: after Watch has returned, nothing is reported, and nothing of
// it is left.
func testWatchEnds(t *testing.T, w world) {
	goroutines := runtime.NumGoroutine()
	for range 20 {
		ctx, cancel := context.WithCancel(t.Context())
		var ended atomic.Bool
		done := make(chan error, 1)
		go func() {
			done <- w.Events.Watch(ctx, func(platform.Event) {
				if ended.Load() {
					t.Error("reported after the end")
				}
			})
		}()
		w.SetLink(w.Spare, false)
		cancel()
		select {
		case err := <-done:
			ended.Store(true)
			if !errors.Is(err, context.Canceled) {
				t.Errorf("Watch ended with %v", err)
			}
		case <-time.After(patience):
			t.Fatal("Watch does not end")
		}
		w.SetLink(w.Spare, true)
	}
	until := time.Now().Add(patience)
	for runtime.NumGoroutine() > goroutines {
		if runtime.Gosched(); time.Now().After(until) {
			t.Fatalf("%d goroutines, at first %d", runtime.NumGoroutine(), goroutines)
		}
	}
}
