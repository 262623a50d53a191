package rueconfig

// Servers and clocks that are not as they should be.

import (
	"crypto/tls"
	"errors"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"gatehouse/internal/endpoint"
	"gatehouse/lab/pipe"
	"gatehouse/lab/pki"
	"gatehouse/lab/provider"
)

// A hundred megabytes are read as far as a document may go, and one byte more
// to know that it is too long.
func TestFloodIsCut(t *testing.T) {
	house(t, func(t *testing.T, r *rig) {
		r.serve("192.0.2.10:443", "", "server.p.example")
		r.network.Set("192.0.2.11", pipe.Refuse)
		r.provider.Break(provider.Fault{Name: "large", Arg: "100000000"})
		if _, err := r.fetch(); !errors.Is(err, ErrTooLarge) {
			t.Errorf("got %v", err)
		}
		if !strings.Contains(r.log.String(), "status=200 bytes=262145 ") {
			t.Errorf("it was not cut at the limit:\n%s", r.log)
		}
	})
}

// A server that gives the same nonce out again sees it counted on, or it would
// take the second request for a replay of the first.
func TestReusedNonce(t *testing.T) {
	house(t, func(t *testing.T, r *rig) {
		r.serve("192.0.2.10:443", "", "server.p.example")
		r.network.Set("192.0.2.11", pipe.Refuse)
		r.provider.Break(provider.Fault{Name: "same-nonce", All: true})
		c, err := r.fetch()
		if err != nil {
			t.Fatal(err)
		}
		r.provider.Requests()
		if _, err := c.Fetch(t.Context()); err != nil {
			t.Errorf("the second time: %v", err)
		}
		var counts []string
		for _, q := range r.provider.Requests() {
			_, nc, _ := strings.Cut(q.Authorization, "nc=")
			nc, _, _ = strings.Cut(nc, ",")
			counts = append(counts, nc)
		}
		if got := strings.Join(counts, " "); got != " 00000001 00000002" {
			t.Errorf("counted %q", got)
		}
	})
}

// A document that comes again without an entity tag is compared: it is not
// new, not applied again, and the flash stays as it is.
func TestSameWithoutETag(t *testing.T) {
	house(t, func(t *testing.T, r *rig) {
		r.serve("192.0.2.10:443", "", "server.p.example")
		r.provider.Break(provider.Fault{Name: "no-etag", All: true})
		c, err := r.fetch()
		if err != nil {
			t.Fatal(err)
		}
		for range 3 {
			if changed, err := c.Fetch(t.Context()); err != nil || changed || r.cache.Saves() != 1 || len(r.applied) != 1 {
				t.Fatalf("changed %v, %v, saved %d times, applied %d times", changed, err, r.cache.Saves(), len(r.applied))
			}
		}
		for _, q := range r.provider.Requests() {
			if q.Header.Get("If-None-Match") != "" {
				t.Error("asked by a tag that was never given")
			}
		}
	})
}

// What was fetched before the clock was set is fetched again once it is: then
// the certificate has to be good now. A document that came with a certificate
// which has ended stays in force all the same, and the status says why.
func TestClockIsSet(t *testing.T) {
	house(t, func(t *testing.T, r *rig) {
		cert, err := r.ca.Issue(pki.Leaf{Names: []string{"server.p.example"}, NotAfter: time.Now().Add(24 * time.Hour)})
		if err != nil {
			t.Fatal(err)
		}
		r.serveTLS("192.0.2.10:443", &tls.Config{Certificates: []tls.Certificate{cert}})
		r.network.Set("192.0.2.11", pipe.Refuse)
		var ahead atomic.Int64 // of the real time; 0: no clock
		r.now = func() time.Time {
			if ahead.Load() == 0 {
				return time.Time{}
			}
			return time.Now().Add(time.Duration(ahead.Load()))
		}
		r.cfg.Clock = func() time.Time { return r.now() }
		c, stop := r.run()
		defer stop()
		synctest.Wait()
		if s := c.State(); s.Source != Live {
			t.Fatalf("without a clock: %+v", s)
		}
		r.provider.Requests()
		ahead.Store(int64(240 * time.Hour))
		c.ClockSet()
		time.Sleep(time.Second)
		if s := c.State(); s.Err == nil || !strings.Contains(s.Err.Error(), "expired") || s.Document == nil {
			t.Errorf("ten days later: %v", s.Err)
		}
		ahead.Store(int64(time.Hour))
		time.Sleep(2 * time.Minute)
		if s := c.State(); s.Err != nil || s.Stale(r.now()) || !s.Fetched.After(time.Now()) {
			t.Errorf("an hour later: %+v", s)
		}
		r.provider.Requests()
		c.ClockSet()
		synctest.Wait()
		if n := len(r.provider.Requests()); n != 0 {
			t.Errorf("%d requests for a clock that was set before", n)
		}
	})
}

// Retry-After as a date is measured by the server's clock, for ours may stand in
// 1970; nobody can ask for eternity, and the other servers are not asked for
// patience.
func TestRetryAfterByServersClock(t *testing.T) {
	for _, row := range []struct {
		after, date string
		want        time.Duration
	}{
		{"120", "", 2 * time.Minute},
		{"Fri, 31 Dec 2049 23:59:59 GMT", "Fri, 31 Dec 2049 23:57:59 GMT", 2 * time.Minute},
		{"Fri, 31 Dec 2049 23:59:59 GMT", "", 0},
		{"Fri, 31 Dec 2049 23:59:59 GMT", "Sat, 01 Jan 2050 00:00:00 GMT", 0},
		{"-1", "", 0}, {"soon", "", 0}, {"", "", 0}, {"99999999999999", "", 0},
	} {
		if got := retryAfter(http.Header{"Retry-After": {row.after}, "Date": {row.date}}); got != row.want {
			t.Errorf("%q, %q: %v, want %v", row.after, row.date, got, row.want)
		}
	}
	house(t, func(t *testing.T, r *rig) {
		r.serve("192.0.2.10:443", "", "server.p.example")
		r.serve("192.0.2.11:8443", "", "second.p.example")
		r.provider.Break(provider.Fault{Name: "status", Arg: "503"}, provider.Fault{Name: "retry-after", Arg: "600"})
		c, err := r.fetch()
		if err != nil || c.State().From != "https://second.p.example:8443/v1" {
			t.Fatalf("%v, from %s", err, c.State().From)
		}
		for a, until := range c.Health().Blocked {
			if d := time.Until(until); a.String() != "192.0.2.10:443" || d != 10*time.Minute {
				t.Errorf("%s is passed over for %v", a, d)
			}
		}
		r.provider.Break(provider.Fault{Name: "status", Arg: "503", All: true}, provider.Fault{Name: "retry-after", Arg: "900", All: true})
		_, err = c.Fetch(t.Context())
		var busy *endpoint.StatusError
		if !errors.As(err, &busy) || time.Until(c.State().Next) < 15*time.Minute {
			t.Errorf("%v, again in %v", err, time.Until(c.State().Next))
		}
	})
}
