// The router in memory by itself: knobs, events and time. What it has in
// common with the other backends is tested by platformtest.

package fake

import (
	"context"
	"errors"
	"net/netip"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"gatehouse/platform"
)

func TestCablePulled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := New()
		p := r.Platform()
		ctx, cancel := context.WithCancel(t.Context())
		var got []platform.Event
		done := make(chan error)
		go func() { done <- p.Events.Watch(ctx, func(e platform.Event) { got = append(got, e) }) }()
		synctest.Wait()
		time.Sleep(time.Minute)
		r.SetLink("eth0", false)
		synctest.Wait()
		cancel()
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Errorf("Watch ended with %v", err)
		}
		if !slices.Contains(got, platform.Event{Topic: platform.LinkChanged, Key: "eth0"}) {
			t.Errorf("events %v do not tell of eth0", got)
		}
		l := find(t, p.Links.Links(t.Context()), func(l platform.Link) bool { return l.Name == "eth0" })
		if l.Running || l.State != "Down" || !l.Enabled || !l.Changed.Equal(p.Clock.Now()) {
			t.Errorf("eth0 is %+v", l)
		}
		if r.Watchers() != 0 {
			t.Error("a watcher is left")
		}
	})
}

func TestOverflowBecomesResync(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := New()
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		block := make(chan struct{})
		var got []platform.Event
		go r.Platform().Events.Watch(ctx, func(e platform.Event) {
			if got == nil {
				<-block
			}
			got = append(got, e)
		})
		synctest.Wait()
		for i := range 1000 {
			r.SetLink("eth0", i%2 == 0)
			synctest.Wait()
		}
		close(block)
		synctest.Wait()
		if len(got) > 2*queueLimit || !slices.Contains(got, platform.Event{Topic: platform.Resync}) {
			t.Errorf("%d events, Resync is missing", len(got))
		}
	})
}

func TestFailDelayAndCount(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := New()
		p := r.Platform()
		cause := errors.New("netlink is on holiday")
		r.FailRead(Links, cause)
		var un *platform.Unavailable
		for _, err := range p.Links.Links(t.Context()) {
			if !errors.As(err, &un) || !errors.Is(err, cause) {
				t.Errorf("error is %v", err)
			}
		}
		r.FailRead(Links, nil)
		r.Delay(Links, time.Minute)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		for _, err := range p.Links.Links(ctx) {
			if !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("error is %v", err)
			}
		}
		if n := r.Dumps(Links); n != 2 {
			t.Errorf("%d dumps, want 2", n)
		}
	})
}

func TestRowGoneBetweenDumps(t *testing.T) {
	r := New()
	r.OnDump(Links, func(n int) {
		if n == 2 {
			r.RemoveLink("eth4")
		}
	})
	for n, want := range []int{8, 7} {
		count := 0
		for range r.Platform().Links.Links(t.Context()) {
			count++
		}
		if count != want {
			t.Errorf("dump %d has %d links, want %d", n+1, count, want)
		}
	}
}

func TestCommitFailsHalfWayAndIsUndone(t *testing.T) {
	r := New()
	p := r.Platform()
	before := r.state
	b, _ := p.Network.Begin(t.Context())
	b.AddAddress(platform.Address{Link: "br-lan", Prefix: netip.MustParsePrefix("10.9.0.1/24")})
	b.SetLink("eth1", false)
	b.AddRoute(platform.Route{Dest: netip.MustParsePrefix("10.77.0.0/16"), Gateway: netip.MustParseAddr("10.9.0.9")})
	boom := errors.New("no more memory")
	r.FailCommit(2, boom)
	if err := b.Prepare(t.Context()); err != nil {
		t.Fatal(err)
	}
	_, err := b.Commit(t.Context())
	var item *platform.ItemError
	if !errors.As(err, &item) || item.Item != 2 || !errors.Is(err, boom) {
		t.Fatalf("Commit: %v", err)
	}
	if slices.Equal(before.addresses, r.state.addresses) {
		t.Error("nothing was applied before the failure")
	}
	if err := b.Rollback(t.Context()); err != nil {
		t.Fatal(err)
	}
	for i := range r.state.links {
		r.state.links[i].Changed = before.links[i].Changed
	}
	if !slices.Equal(before.addresses, r.state.addresses) || !slices.Equal(before.routes, r.state.routes) ||
		!slices.Equal(before.links, r.state.links) {
		t.Error("Rollback left something")
	}
}

func TestRestart(t *testing.T) {
	r := New()
	p := r.Platform()
	first, _ := p.System.BootID(t.Context())
	called := false
	r.OnReboot(func(reset bool) { called = reset })
	if err := errors.Join(p.Power.Reboot(t.Context()), p.Power.FactoryReset(t.Context())); err != nil {
		t.Fatal(err)
	}
	second, _ := p.System.BootID(t.Context())
	reboots, resets := r.Restarts()
	if reboots != 1 || resets != 1 || !called || first == second {
		t.Errorf("reboots %d, resets %d, called %v, boots %s %s", reboots, resets, called, first, second)
	}
}

func TestClockStep(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := New()
		p := r.Platform()
		before := p.Clock.Now()
		up, _ := p.System.Uptime(t.Context())
		r.Step(-30 * 365 * 24 * time.Hour)
		if d := p.Clock.Now().Sub(before); d > -time.Hour {
			t.Errorf("the clock moved by %v", d)
		}
		if again, _ := p.System.Uptime(t.Context()); again != up {
			t.Errorf("uptime went from %v to %v", up, again)
		}
	})
}

func find[T any](t *testing.T, seq func(func(T, error) bool), match func(T) bool) T {
	t.Helper()
	for row, err := range seq {
		if err != nil {
			t.Fatal(err)
		}
		if match(row) {
			return row
		}
	}
	t.Fatal("no such row")
	panic("unreachable")
}
