// The watch on the real kernel: lost messages, noisy neighbours, files, steps
// of the clock, the host name.

package linux

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"gatehouse/platform"
)

const patience = 20 * time.Second

// until repeats do until a hint of that topic comes.
func until(t *testing.T, events <-chan platform.Event, topic platform.Topic, do func()) {
	t.Helper()
	end := time.NewTimer(patience)
	defer end.Stop()
	for {
		do()
		again := time.NewTimer(50 * time.Millisecond)
		for waiting := true; waiting; {
			select {
			case e := <-events:
				if e.Topic == topic {
					again.Stop()
					return
				}
			case <-again.C:
				waiting = false
			case <-end.C:
				t.Fatalf("no hint of topic %d", topic)
			}
		}
	}
}

// background runs one half of the watch until the test ends.
func background(t *testing.T, watch func(context.Context, func(platform.Event)) error) <-chan platform.Event {
	t.Helper()
	events := make(chan platform.Event, 1<<14)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- watch(ctx, func(e platform.Event) { events <- e }) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Errorf("the watch ended with %v", err)
		}
	})
	return events
}

// TestLostMessages: a consumer that is too slow is told to look at everything,
// and the same subscription goes on.
func TestLostMessages(t *testing.T) {
	b := newBench(t)
	be := newBackend(Options{NetNS: b.ns, Log: slog.New(slog.DiscardHandler)})
	listening, release := make(chan struct{}, 1), make(chan struct{})
	events := background(t, func(ctx context.Context, report func(platform.Event)) error {
		return be.watchNetlink(ctx, func(e platform.Event) {
			select {
			case listening <- struct{}{}:
			default:
			}
			<-release
			report(e)
		})
	})
	flip := 0
	toggle := func() {
		flip++
		b.must(b.h.LinkSetAlias(b.link("spare0"), map[bool]string{true: "a", false: "b"}[flip%2 == 0]))
	}
	for heard := false; !heard; {
		toggle()
		select {
		case <-listening:
			heard = true
		case <-time.After(10 * time.Millisecond):
		}
	}
	for range 3000 {
		toggle()
	}
	close(release)
	until(t, events, platform.Resync, func() {})
	until(t, events, platform.LinkChanged, toggle)
}

// TestNoisyNeighbors: hosts that come and go all the time are not followed
// one by one, but the last change is not lost.
func TestNoisyNeighbors(t *testing.T) {
	b := newBench(t)
	be := newBackend(Options{NetNS: b.ns, Log: slog.New(slog.DiscardHandler)})
	be.deaf = 200 * time.Millisecond
	events := background(t, be.watchNetlink)
	index := b.link("wan0").Attrs().Index
	var change byte // setting what is set already is not heard of
	set := func(last byte) {
		change++
		b.must(b.h.NeighSet(&netlink.Neigh{
			LinkIndex: index, State: netlink.NUD_REACHABLE, IP: net.IPv4(192, 0, 2, last),
			HardwareAddr: net.HardwareAddr{0, 0, 0x5e, 0, change, last},
		}))
	}
	until(t, events, platform.NeighborChanged, func() { set(9) })
	began := time.Now()
	for i := range 2000 {
		set(byte(10 + i%200))
	}
	set(77)
	until(t, events, platform.NeighborChanged, func() {})
	windows := int(time.Since(began)/be.deaf) + 2
	count := 0
	for len(events) > 0 {
		if (<-events).Topic == platform.NeighborChanged {
			count++
		}
	}
	if count > 2*windows {
		t.Errorf("%d hints in %d windows", count, windows)
	}
	for n, err := range be.Neighbors(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		if n.MAC == fmt.Sprintf("00:00:5e:00:%02x:4d", change) && n.Active && n.Link == "wan0" {
			return
		}
	}
	t.Error("the last neighbour is missing")
}

// TestFileHints: files that are replaced, written in place, or written where a
// link leads.
func TestFileHints(t *testing.T) {
	root := tree(t, map[string]string{
		"etc/resolv.conf":                "-> ../run/net/resolv.conf",
		"run/net/resolv.conf":            "nameserver 192.0.2.1\n",
		"run/systemd/resolve/stub":       "",
		"tmp/dhcp.leases":                "",
		"tmp/hosts/odhcpd":               "",
		"proc/sys/kernel/hostname":       "router\n",
		"var/lib/misc/something-else.db": "",
	})
	be := newBackend(Options{Root: root, Log: slog.New(slog.DiscardHandler)})
	events := background(t, be.watchFiles)
	write := func(name string) func() {
		return func() {
			if err := os.WriteFile(filepath.Join(root, name), []byte("x\n"), 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
	replace := func(name string) func() {
		return func() {
			write(name + ".new")()
			if err := os.Rename(filepath.Join(root, name+".new"), filepath.Join(root, name)); err != nil {
				t.Fatal(err)
			}
		}
	}
	until(t, events, platform.ResolverChanged, replace("run/systemd/resolve/resolv.conf"))
	until(t, events, platform.ResolverChanged, write("run/net/resolv.conf"))
	until(t, events, platform.ResolverChanged, replace("etc/resolv.conf"))
	until(t, events, platform.NeighborChanged, write("tmp/dhcp.leases"))
	until(t, events, platform.NeighborChanged, replace("tmp/hosts/odhcpd"))
	for len(events) > 0 {
		<-events
	}
	write("var/lib/misc/something-else.db")()
	write("tmp/another")()
	until(t, events, platform.ResolverChanged, write("run/net/resolv.conf"))
	for len(events) > 0 {
		if e := <-events; e.Topic != platform.ResolverChanged {
			t.Errorf("a hint of topic %d from files that do not matter", e.Topic)
		}
	}
}

// TestClockStep sets the clock of the machine one nanosecond on and back.
func TestClockStep(t *testing.T) {
	step := func(sec, nsec int64) error {
		tx := unix.Timex{Modes: unix.ADJ_SETOFFSET | unix.ADJ_NANO}
		// Of tv_usec, ADJ_NANO makes nanoseconds: never negative.
		tx.Time.Sec, tx.Time.Usec = timeval(sec, nsec)
		_, err := unix.Adjtimex(&tx)
		return err
	}
	if err := step(0, 1); err != nil {
		t.Skipf("cannot set the clock: %v", err)
	}
	t.Cleanup(func() { step(-1, 999_999_999) })
	be := newBackend(Options{Log: slog.New(slog.DiscardHandler)})
	events := background(t, be.watchFiles)
	forward := false
	until(t, events, platform.ClockStepped, func() {
		if forward = !forward; forward {
			step(0, 1)
		} else {
			step(-1, 999_999_999)
		}
	})
	if forward {
		step(-1, 999_999_999)
	}
}

// timeval has the fields of a Timeval in the width of the machine.
func timeval(sec, nsec int64) (s, n timevalField) { return timevalField(sec), timevalField(nsec) }

// TestHostnameHint renames a UTS namespace of its own: the kernel tells all who
// poll.
func TestHostnameHint(t *testing.T) {
	rename, done := make(chan string), make(chan error)
	go func() {
		runtime.LockOSThread() // for good: the thread dies with the namespace
		err := unix.Unshare(unix.CLONE_NEWUTS)
		done <- err
		for name := range rename {
			done <- unix.Sethostname([]byte(name))
		}
	}()
	defer close(rename)
	if err := <-done; err != nil {
		t.Skipf("cannot make a UTS namespace: %v", err)
	}
	be := newBackend(Options{Log: slog.New(slog.DiscardHandler)})
	events := background(t, be.watchFiles)
	until(t, events, platform.HostnameChanged, func() {
		rename <- "other"
		if err := <-done; err != nil {
			t.Fatal(err)
		}
	})
}

// TestSubscriptionFails: a watch that cannot listen says so instead of trying
// for ever.
func TestSubscriptionFails(t *testing.T) {
	closed, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer closed.Close()
	be := newBackend(Options{NetNS: closed, Log: slog.New(slog.DiscardHandler)}) // not a namespace
	var un *platform.Unavailable
	if err := be.Watch(t.Context(), func(platform.Event) {}); !errors.As(err, &un) {
		t.Errorf("Watch: %v", err)
	}
	for _, err := range be.Links(t.Context()) {
		if !errors.As(err, &un) {
			t.Errorf("Links: %v", err)
		}
	}
	if _, err := New(Options{NetNS: closed}); err == nil {
		t.Error("New takes a file for a namespace")
	}
}
