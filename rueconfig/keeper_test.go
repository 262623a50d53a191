package rueconfig

import (
	"context"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"gatehouse/lab/pipe"
	"gatehouse/lab/provider"
)

// S003-36: another process has put a copy there: it is read on command, without
// the network; one that is damaged leaves what serves.
func TestReload(t *testing.T) {
	house(t, func(t *testing.T, r *rig) {
		r.serve("192.0.2.10:443", "", "server.p.example")
		c, err := r.fetch()
		if err != nil {
			t.Fatal(err)
		}
		r.provider.Requests()
		r.cache.Write(strings.Replace(r.cache.Text(), "zoe@", "eve@", 1))
		if err := c.Load(); err != nil || c.State().Document.MWI != "sip:eve@p.example" || c.State().Source != Disk {
			t.Errorf("%v, %+v", err, c.State())
		}
		if n := len(r.provider.Requests()); n != 0 || len(r.applied) != 2 {
			t.Errorf("%d requests, applied %d times", n, len(r.applied))
		}
		for _, damaged := range []string{"x", "subscriber 9\n\n{}", "subscriber -1\n\n", "provider 1\nsubscriber 1\n\n{}"} {
			r.cache.Write(damaged)
			before := c.State().Document
			if err := c.Load(); err == nil || c.State().Document != before || len(r.applied) != 2 {
				t.Errorf("%q: %v, document %p, was %p", damaged, err, c.State().Document, before)
			}
		}
	})
}

// Forgotten while a fetch is under way: what that brings is new, in memory and
// on disk, even when the provider only says that nothing has changed; one that
// fails does not bring the old document back.
func TestResetDuringFetch(t *testing.T) {
	for _, fails := range []bool{false, true} {
		house(t, func(t *testing.T, r *rig) {
			r.serve("192.0.2.10:443", "", "server.p.example")
			r.network.Set("192.0.2.11", pipe.Refuse)
			c, err := r.fetch()
			if err != nil {
				t.Fatal(err)
			}
			r.provider.Break(provider.Fault{Name: "slow", Arg: "1s"})
			if fails {
				r.provider.Break(provider.Fault{Name: "status", Arg: "404"})
			}
			done := make(chan error)
			go func() { _, err := c.Fetch(t.Context()); done <- err }()
			time.Sleep(time.Second / 2)
			if err := c.Reset(); err != nil {
				t.Fatal(err)
			}
			err = <-done
			if has := c.State().Document != nil; (err != nil) != fails || has == fails || (len(r.cache.Text()) > 0) == fails {
				t.Errorf("%v, document %v, %d bytes on disk", err, has, len(r.cache.Text()))
			}
		})
	}
}

// Who asked first gives up: those who wait with him still get an answer, and
// his leaving is no failure.
func TestFirstGivesUp(t *testing.T) {
	house(t, func(t *testing.T, r *rig) {
		r.serve("192.0.2.10:443", "", "server.p.example")
		r.provider.Break(provider.Fault{Name: "slow", Arg: "1s"})
		c := r.make()
		ctx, cancel := context.WithCancel(t.Context())
		first, second := make(chan error), make(chan error)
		go func() { _, err := c.Fetch(ctx); first <- err }()
		synctest.Wait()
		go func() { _, err := c.Fetch(t.Context()); second <- err }()
		synctest.Wait()
		cancel()
		if err := <-first; err == nil {
			t.Error("it did not give up")
		}
		if err := <-second; err != nil {
			t.Error(err)
		}
		if s := c.State(); s.Failures != 0 || s.Err != nil || !c.Health().Up {
			t.Errorf("%+v, %+v", s, c.Health())
		}
	})
}

// S001-62: the fetch is vital and repeated with growing pauses; what is asked
// besides, which versions there are, is asked once.
func TestGrowingPauses(t *testing.T) {
	house(t, func(t *testing.T, r *rig) {
		r.serve("192.0.2.10:443", "", "server.p.example")
		r.network.Set("192.0.2.11", pipe.Refuse)
		r.provider.Break(provider.Fault{Name: "status", Arg: "500", All: true})
		c := r.make()
		var pauses []time.Duration
		for range 13 {
			_, _ = c.Fetch(t.Context())
			pauses = append(pauses, time.Until(c.State().Next))
		}
		for i, p := range pauses {
			if want := 5 * time.Second << min(i, 10); p != want {
				t.Errorf("pause %d is %v, want %v", i, p, want)
			}
		}
	})
	house(t, func(t *testing.T, r *rig) {
		r.cfg.Form, r.cfg.Domain = Resources, "server.p.example"
		r.serve("192.0.2.10:443", "", "server.p.example")
		r.provider.Break(provider.Fault{Name: "status", Arg: "404"}, provider.Fault{Name: "status", Arg: "503", All: true})
		_, err := r.fetch()
		var paths []string
		for _, q := range r.provider.Requests() {
			paths = append(paths, q.Path)
		}
		if want := []string{providerConfig, versionsPath}; err == nil || !slices.Equal(paths, want) {
			t.Errorf("%v: %v", err, paths)
		}
	})
}

// S003-09, S003-11, S003-22, S003-24: every request and every answer is one
// line of the log, under the id of its conversation, with how long it took; the
// next conversation has another id. S003-32: a time-out is called one.
func TestLog(t *testing.T) {
	house(t, func(t *testing.T, r *rig) {
		r.serve("192.0.2.10:443", "", "server.p.example")
		r.network.Set("192.0.2.11", pipe.Refuse)
		c := r.make()
		for range 2 {
			if _, err := c.Fetch(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		var got []string
		for line := range strings.Lines(r.log.String()) {
			if _, rest, ok := strings.Cut(line, " msg="); ok && strings.Contains(line, "id=rue-") {
				msg, _, _ := strings.Cut(rest, " ")
				_, id, _ := strings.Cut(line, "id=")
				id, _, _ = strings.Cut(id, " ")
				if msg == "answer" && !strings.Contains(line, " after=") {
					t.Errorf("no duration: %s", line)
				}
				got = append(got, msg+" "+id)
			}
		}
		want := []string{"request rue-1", "answer rue-1", "request rue-1", "answer rue-1", "request rue-2", "answer rue-2", "request rue-2", "answer rue-2"}
		if !slices.Equal(got, want) {
			t.Errorf("logged %q", got)
		}
		r.provider.Break(provider.Fault{Name: "slow", Arg: "10s", All: true})
		if _, _ = c.Fetch(t.Context()); !strings.Contains(r.log.String(), "timeout=true") {
			t.Error("a time-out is not called one")
		}
	})
}
