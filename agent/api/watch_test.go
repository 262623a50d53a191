package api_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"gatehouse/agent/api"
	"gatehouse/datamodel"
	"gatehouse/platform"
	"gatehouse/platform/fake"
)

// A loop is an object whose Stage calls back, and whose commit is deferred.
type loop struct{ Go bool }

type later struct{}

func (*later) Prepare(context.Context) error        { return nil }
func (*later) Commit(context.Context) (bool, error) { return true, nil }
func (*later) Rollback(context.Context) error       { return nil }

// reentrant grafts it; inner is what the call from inside got.
func reentrant(h *house, inner *error) (remove func()) {
	h.Helper()
	params := []datamodel.Param[loop]{{Name: "Go", At: func(l *loop) any { return &l.Go }, Access: datamodel.ReadWrite}}
	remove, err := h.tree.Add(datamodel.Define("Device.X_TEST_Loop.", params, datamodel.Source[loop]{
		Rows: datamodel.One(func(context.Context, []datamodel.Key) (loop, error) { return loop{}, nil }),
		Stage: func(ctx context.Context, tx *datamodel.Tx, _ []datamodel.Key, _ datamodel.Change[loop]) error {
			_, *inner = h.api.Set(ctx, root, nil, false)
			tx.After("reload", "loop")
			_, err := datamodel.Enlist(tx, "later", func() (*later, error) { return &later{}, nil })
			return err
		},
	}))
	if err != nil {
		h.Fatal(err)
	}
	return remove
}

// A watch is a Watch that is read step by step.
type watch struct {
	*house
	got chan string
}

// watched runs story with a house, in virtual time.
func watched(t *testing.T, story func(h *house)) {
	synctest.Test(t, func(t *testing.T) {
		h := build(t)
		ctx, stop := context.WithCancel(t.Context())
		t.Cleanup(stop)
		go h.router.Platform().Events.Watch(ctx, func(e platform.Event) {
			if e.Topic == platform.Resync {
				h.api.Resync()
			} else {
				h.api.Hint(datamodel.Topic(e.Topic))
			}
		})
		synctest.Wait()
		story(h)
	})
}

// watch starts one and drops what it tells at first.
func (h *house) watch(paths ...string) *watch {
	h.Helper()
	w := &watch{house: h, got: make(chan string, 100_000)}
	w.start(h.api.Watch(h.Context(), reader, paths))
	w.news()
	return w
}

func (w *watch) start(seq iter.Seq2[api.Update, error]) {
	go func() {
		for u, err := range seq {
			switch {
			case err != nil:
				w.got <- err.Error()
			case u.Added:
				w.got <- "+" + u.Name
			case u.Gone:
				w.got <- "-" + u.Name
			default:
				w.got <- u.Name + "=" + u.Value
			}
		}
		close(w.got)
	}()
}

// news is what was told, some time later.
func (w *watch) news() (all []string) {
	time.Sleep(time.Second) // virtual: longer than a watch lets hints settle
	synctest.Wait()
	for {
		select {
		case u, ok := <-w.got:
			if !ok {
				return all
			}
			all = append(all, u)
		default:
			return all
		}
	}
}

func (w *watch) want(want ...string) {
	w.Helper()
	if got := w.news(); !slices.Equal(got, want) {
		w.Errorf("told %q, want %q", got, want)
	}
}

func TestWatchTellsChanges(t *testing.T) {
	watched(t, func(h *house) {
		w := h.watch(wan+"Status", wan+"Name")
		w.want()
		h.router.SetLink("eth0", false)
		w.want(wan + "Status=Down")
		h.api.Resync()
		w.want() // nothing is new
		for range 1000 {
			h.router.SetLink("eth0", true)
			h.router.SetLink("eth0", false)
		}
		w.want() // it flapped, and is as it was
		h.router.SetLink("eth0", true)
		w.want(wan + "Status=Up")
	})
}

func TestWatchWildcards(t *testing.T) {
	watched(t, func(h *house) {
		w := h.watch("Device.Ethernet.Interface.*.Status", "Device.Ethernet.Interface.1.Status")
		h.router.SetLink("eth0", false)
		got := w.news()
		if len(got) != 1 || !strings.HasSuffix(got[0], ".Status=Down") {
			t.Errorf("told %q, want one change, once", got)
		}
		h.router.EditLink("eth9", func(l *platform.Link) { l.MAC = "00:00:5e:00:53:99" })
		got = w.news()
		if len(got) != 2 || !strings.HasPrefix(got[0], "+Device.Ethernet.Interface.") || !strings.HasPrefix(got[1], got[0][1:]+"Status=") {
			t.Errorf("told %q, want a new instance and its Status", got)
		}
		row := got[0][1:]
		h.router.RemoveLink("eth9")
		w.want("-" + row)
	})
}

// TestWatchInstances: one that is gone is told once, with all that is in it.
func TestWatchInstances(t *testing.T) {
	watched(t, func(h *house) {
		w := h.watch(wan + "IPv4Address.")
		a := platform.Address{Link: "eth0", Prefix: netip.MustParsePrefix("198.51.100.7/24"), Permanent: true, Preferred: -1, Valid: -1}
		h.router.SetAddress(a)
		got := w.news()
		if len(got) < 3 || !strings.HasPrefix(got[0], "+"+wan+"IPv4Address.") || !slices.Contains(got, got[0][1:]+"IPAddress=198.51.100.7") {
			t.Fatalf("told %q", got)
		}
		h.router.RemoveAddress(a)
		w.want("-" + got[0][1:])
		h.router.RemoveLink("eth0")
		if got := w.news(); !slices.Contains(got, "-"+wan) || len(got) != 1 {
			t.Errorf("told %q, want that the interface is gone", got)
		}
	})
}

// TestWatchUnavailable: what cannot be asked for is not gone.
func TestWatchUnavailable(t *testing.T) {
	watched(t, func(h *house) {
		w := h.watch("Device.Ethernet.Interface.*.Name", "Device.Bridging.Bridge.*.Port.*.Name", wan+"Status")
		h.router.FailRead(fake.Links, errors.New("netlink is gone"))
		h.api.Resync()
		w.want()
		h.router.FailRead(fake.Links, nil)
		h.api.Resync()
		w.want()
		h.router.SetLink("eth0", false)
		if got := w.news(); !slices.Contains(got, wan+"Status=Down") {
			t.Errorf("told %q", got)
		}
	})
}

// TestWatchSlow: a watcher that does not read holds nobody up, and gets the
// latest when it does.
func TestWatchSlow(t *testing.T) {
	watched(t, func(h *house) {
		next, stop := iter.Pull2(h.api.Watch(h.Context(), reader, []string{"Device.Hosts."}))
		defer stop()
		if _, err, ok := next(); err != nil || !ok {
			t.Fatal(err)
		}
		for i := range 1000 {
			h.router.SetNeighbor(platform.Neighbor{Link: "br-lan", MAC: "00:00:5e:00:53:20", Addr: netip.MustParseAddr("192.168.1.101"),
				Active: true, Hostname: fmt.Sprint("laptop", i)})
		}
		time.Sleep(time.Hour)
		last := ""
		for last != "laptop999" {
			u, err, ok := next()
			if err != nil || !ok {
				t.Fatal(err)
			}
			if strings.HasSuffix(u.Name, ".HostName") {
				last = u.Value
			}
		}
	})
}

func TestWatchEnds(t *testing.T) {
	watched(t, func(h *house) {
		ctx, stop := context.WithCancel(h.Context())
		w := &watch{house: h, got: make(chan string, 1000)}
		w.start(h.api.Watch(ctx, reader, []string{wan + "Status"}))
		w.want(wan + "Status=Up")
		stop()
		synctest.Wait()
		if _, ok := <-w.got; ok {
			t.Error("it goes on")
		}
		w = &watch{house: h, got: make(chan string, 1)}
		w.start(h.api.Watch(h.Context(), reader, []string{"Device.Nope"}))
		if got := w.news(); len(got) != 1 || !strings.Contains(got[0], "Device.Nope") {
			t.Errorf("told %q", got)
		}
	})
}

// TestWatchBounds: one watch remembers only so much.
func TestWatchBounds(t *testing.T) {
	watched(t, func(h *house) {
		n := 1
		params := []datamodel.Param[loop]{{Name: "Go", At: func(l *loop) any { return &l.Go }}}
		if _, err := h.tree.Add(datamodel.Define("Device.X_TEST_Row.{i}.", params, datamodel.Source[loop]{
			Volatile: true,
			Rows: func(context.Context, []datamodel.Key) iter.Seq2[datamodel.Row[loop], error] {
				return func(yield func(datamodel.Row[loop], error) bool) {
					for i := 0; i < n && yield(datamodel.Row[loop]{Key: fmt.Sprint(i), Value: &loop{}}, nil); i++ {
					}
				}
			},
		})); err != nil {
			t.Fatal(err)
		}
		w := h.watch("Device.X_TEST_Row.")
		n = 20_000
		h.api.Resync()
		got := w.news()
		if last := got[len(got)-1]; !strings.Contains(last, "too much") || len(got) > 20_001 {
			t.Errorf("%d updates, the last one %q", len(got), last)
		}
	})
}

// TestWatchesAreCounted: there are only so many, and one that ends makes room.
func TestWatchesAreCounted(t *testing.T) {
	watched(t, func(h *house) {
		ctx, stop := context.WithCancel(h.Context())
		for range 1024 {
			w := &watch{house: h, got: make(chan string, 10)}
			w.start(h.api.Watch(ctx, reader, []string{"Device.RootDataModelVersion"}))
		}
		synctest.Wait()
		one := &watch{house: h, got: make(chan string, 10)}
		one.start(h.api.Watch(ctx, reader, []string{wan + "Name"}))
		if got := one.news(); len(got) != 1 || !strings.Contains(got[0], "too many") {
			t.Errorf("one more than allowed was told %q", got)
		}
		stop()
		synctest.Wait()
		h.watch(wan + "Name").want()
	})
}
