package zoo

import (
	"context"
	"net/netip"
	"strings"
	"testing"
	"time"

	"gatehouse/lab/acs"
	"gatehouse/platform"
)

func reaching() []exhibit {
	return []exhibit{
		{12, "icwmp_second_connection_request_while_a_session_runs", requestInSession},
		{12, "easycwmp_336_a_hundred_connection_requests", hundredRequests},
		{13, "qacafe_session_before_the_answer", answerFirst},
		{14, "rdkbdev_3374_extra_query_parameters", extraQuery},
		{15, "icwmp_8610_connection_request_is_not_retried", requestNotRetried},
		{16, "genieacs_573d38f_connection_stays_after_the_401", keepsConnection},
		{17, "easycwmp_104_wan_address_changes", addressChanges},
		{17, "icwmp_16053_one_address_in_the_url", oneAddress},
	}
}

// requestInSession: taken or put off, never lost when it was taken, and the
// running session is not cut.
func requestInSession(t *testing.T) {
	story(t, plan{chaos: "empty.delay=20s,empty.times=1"}, func(t *testing.T, h *house) {
		h.start()
		h.acs.Script(ordinary)
		time.Sleep(5 * time.Second)
		r := h.knock()
		h.good(1)
		switch {
		case r.OK():
			h.wantEvents(h.good(2), "6 CONNECTION REQUEST")
		case r.Status != 503:
			t.Errorf("answered %v", r.Statuses)
		}
	})
}

func hundredRequests(t *testing.T) {
	story(t, plan{}, func(t *testing.T, h *house) {
		h.start()
		h.good(1)
		taken := 0
		for range 100 {
			r := h.knock()
			if r.OK() {
				taken++
			} else if r.Status != 503 {
				t.Fatalf("answered %v", r.Statuses)
			}
			time.Sleep(100 * time.Millisecond)
		}
		time.Sleep(time.Minute)
		for _, s := range h.acs.Sessions() {
			if s.Err != nil {
				t.Errorf("session %d: %v", s.Number, s.Err)
			}
		}
		if n := len(h.acs.Sessions()) - 1; taken < 10 || n < 1 || n > taken {
			t.Errorf("%d taken, %d sessions", taken, n)
		}
		if r := h.knock(); !r.OK() {
			t.Errorf("after the burst: %v", r.Statuses)
		}
	})
}

// answerFirst: the answer has no body and is on the wire before the session
// begins; the bench complains otherwise.
func answerFirst(t *testing.T) {
	story(t, plan{}, func(t *testing.T, h *house) {
		h.start()
		h.good(1)
		r := h.knock()
		if !r.OK() || len(r.Violations) > 0 || r.Took > time.Second {
			t.Errorf("%+v", r)
		}
		s := h.good(2)
		h.wantEvents(s, "6 CONNECTION REQUEST")
		if wait := time.Since(s.Start); wait > 30*time.Second {
			t.Errorf("the session began %v ago", wait)
		}
	})
}

func extraQuery(t *testing.T) {
	story(t, plan{}, func(t *testing.T, h *house) {
		h.start()
		h.good(1)
		for i, q := range []string{"?a=1&b=2", "?", "?%00=;&&&="} {
			url := h.get(ms+"ConnectionRequestURL") + q
			r, err := h.acs.Knock(context.Background(), cpe, acs.ConnectionRequest{URL: url, Username: crUser, Password: crPass, Style: acs.Curl})
			if err != nil || !r.OK() {
				t.Fatalf("%s: %v, %v", q, r.Statuses, err)
			}
			h.wantEvents(h.good(i+2), "6 CONNECTION REQUEST")
		}
	})
}

func requestNotRetried(t *testing.T) {
	story(t, plan{}, func(t *testing.T, h *house) {
		h.start()
		h.good(1)
		h.acs.SetChaos(acs.Chaos{Inform: acs.Trouble{Status: 500, Times: 1}})
		h.knock()
		h.wantEvents(h.session(2), "6 CONNECTION REQUEST")
		time.Sleep(time.Hour)
		for _, s := range h.acs.Sessions()[2:] {
			if s.Inform.Has("6 CONNECTION REQUEST") {
				t.Errorf("again: %s", events(s))
			}
		}
		n := len(h.acs.Sessions())
		h.knock()
		h.wantEvents(h.good(n+1), "6 CONNECTION REQUEST")
	})
}

func keepsConnection(t *testing.T) {
	story(t, plan{}, func(t *testing.T, h *house) {
		h.start()
		h.good(1)
		r := h.knock()
		if r.Sockets != 1 || !strings.Contains(r.Challenge, `qop="auth"`) || len(r.Statuses) != 2 {
			t.Errorf("%d connections, statuses %v, challenge %s", r.Sockets, r.Statuses, r.Challenge)
		}
	})
}

// addressChanges: the new address is told in a session of its own, and the URL
// in it works.
func addressChanges(t *testing.T) {
	story(t, plan{}, func(t *testing.T, h *house) {
		h.start()
		h.good(1)
		before := h.get(ms + "ConnectionRequestURL")
		h.wan = "203.0.113.99"
		ctx := context.Background()
		for a, err := range h.router.Platform().Addresses.Addresses(ctx) {
			if err != nil {
				t.Fatal(err)
			}
			if a.Prefix.Addr() == netip.MustParseAddr(wanIP) {
				h.router.RemoveAddress(a)
				a.Prefix = netip.MustParsePrefix("203.0.113.99/24")
				h.router.SetAddress(a)
			}
		}
		s := h.good(2)
		url, _ := s.Inform.Parameters.Get(ms + "ConnectionRequestURL")
		if !s.Inform.Has("4 VALUE CHANGE") || url == before || !strings.Contains(url, "203.0.113.99") {
			t.Errorf("%s with %s, before %s", events(s), url, before)
		}
		h.knock()
		h.good(3)
	})
}

// oneAddress: whatever addresses there are, the URL has one, and it is the one
// that the session came from.
func oneAddress(t *testing.T) {
	story(t, plan{}, func(t *testing.T, h *house) {
		h.router.SetAddress(platform.Address{Link: "eth0", Prefix: netip.MustParsePrefix("203.0.113.40/24")},
			platform.Address{Link: "eth0", Prefix: netip.MustParsePrefix("2001:db8::40/64")})
		h.start()
		url, _ := h.good(1).Inform.Parameters.Get(ms + "ConnectionRequestURL")
		if !strings.HasPrefix(url, "http://"+wanIP+":7547/") || strings.ContainsAny(url, ", ") {
			t.Errorf("URL %q", url)
		}
	})
}
