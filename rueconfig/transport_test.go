package rueconfig

import (
	"encoding/base64"
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"gatehouse/internal/endpoint"
	"gatehouse/lab/pipe"
	"gatehouse/lab/provider"
)

// S001-44, S001-49, S001-58: what a balancer has set goes along with every
// later request of the conversation, the newest value of each name, to that
// host alone; the next conversation begins without.
func TestCookies(t *testing.T) {
	house(t, func(t *testing.T, r *rig) {
		r.serve("192.0.2.10:443", "", "server.p.example")
		r.provider.Break(provider.Fault{Name: "stale"})
		c, err := r.fetch()
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, q := range r.provider.Requests() {
			got = append(got, q.Cookie)
		}
		if want := []string{"", "server=1", "server=2"}; !slices.Equal(got, want) {
			t.Errorf("cookies %q", got)
		}
		if _, err := c.Fetch(t.Context()); err != nil {
			t.Fatal(err)
		}
		if q := r.provider.Requests(); q[0].Cookie != "" {
			t.Errorf("the next conversation begins with %q", q[0].Cookie)
		}
	})
	v := &conversation{cookies: map[string][]*http.Cookie{}}
	v.remember("a", http.Header{"Set-Cookie": {"s=1; Path=/", "t=2", "bad cookie", "s=3", "t=; Max-Age=-1"}})
	if got := v.cookies["a"]; len(got) != 1 || got[0].Name != "s" || got[0].Value != "3" || v.cookies["b"] != nil {
		t.Errorf("kept %v", v.cookies)
	}
	for i := range 40 {
		v.remember("a", http.Header{"Set-Cookie": {string(rune('A'+i)) + "=1"}})
	}
	if n := len(v.cookies["a"]); n > maxCookies {
		t.Errorf("%d cookies", n)
	}
}

// S003-14, S003-21, S003-25, S003-32: the rules make the requests: closed after
// each when keep-alive is off, and given up on in the time that they say.
func TestRulesOfRequests(t *testing.T) {
	for _, keep := range []string{"", "on", "off"} {
		house(t, func(t *testing.T, r *rig) {
			r.cfg.Rules = endpoint.Rules{{Match: "https://server.p.example/v1", KeepAlive: keep, Response: 5 * time.Second}}
			r.serve("192.0.2.10:443", "", "server.p.example")
			r.network.Set("192.0.2.11", pipe.Refuse)
			c, err := r.fetch()
			if err != nil {
				t.Fatal(err)
			}
			for _, q := range r.provider.Requests() {
				if closes := q.Header.Get("Connection") == "close"; closes != (keep == "off") {
					t.Errorf("keep-alive %q: Connection: %s", keep, q.Header.Get("Connection"))
				}
			}
			r.provider.Break(provider.Fault{Name: "slow", Arg: "4s"})
			if _, err := c.Fetch(t.Context()); err != nil {
				t.Errorf("4 s are too long: %v", err)
			}
			r.provider.Break(provider.Fault{Name: "slow", Arg: "6s", All: true})
			if _, err := c.Fetch(t.Context()); !endpoint.IsTimeout(err) {
				t.Errorf("6 s are not too long: %v", err)
			}
		})
	}
}

// S001-11: names and passwords are UTF-8, in Basic, too, where it is allowed.
func TestBasicIsUTF8(t *testing.T) {
	house(t, func(t *testing.T, r *rig) {
		r.cfg.Basic = true
		r.serve("192.0.2.10:443", "", "server.p.example")
		r.provider.Break(provider.Fault{Name: "basic", All: true})
		_, _ = r.fetch()
		want := "Basic " + base64.StdEncoding.EncodeToString([]byte(user+":"+password))
		var sent []string
		for _, q := range r.provider.Requests() {
			sent = append(sent, q.Authorization)
		}
		if len(sent) < 2 || sent[0] != "" || sent[1] != want {
			t.Errorf("sent %q, want %q", sent, want)
		}
	})
}

// S001-54, S001-55: the registry has the last word on where a provider is:
// another place begins with a new discovery, the same one does not, and a
// registry that is silent leaves it as it was. S003-34: both resources, or
// nothing.
func TestEntryPointMoves(t *testing.T) {
	house(t, func(t *testing.T, r *rig) {
		r.provider = provider.New(provider.Options{}, map[string]any{"mwi": "sip:all@p.example"})
		r.provider.Subscribe(user, provider.Subscriber{Password: password, Settings: map[string]any{"display-name": "Zoe"}})
		r.cfg.Form, r.cfg.Registry, r.cfg.Provider, r.cfg.Domain = Resources, "rum.example", "Provider A", ""
		if err := r.dns.Set("rum.example 300 A 192.0.2.20", "moved.example 300 A 192.0.2.21"); err != nil {
			t.Fatal(err)
		}
		r.serve("192.0.2.20:443", "", "rum.example")
		r.serve("192.0.2.21:443", "", "moved.example")
		c, err := r.fetch()
		if err != nil || !strings.HasPrefix(c.State().From, "https://rum.example/") {
			t.Fatalf("%v, from %s", err, c.State().From)
		}
		r.provider.Requests()
		c.entry.Store(&entryPoint{domain: "moved.example"})
		r.provider.Break(provider.Fault{Name: "status", Arg: "503"}, provider.Fault{Name: "status", Arg: "503"}, provider.Fault{Name: "status", Arg: "503"})
		c.channel.Reset()
		if _, err := c.Fetch(t.Context()); err != nil || !strings.HasPrefix(c.State().From, "https://moved.example/") {
			t.Errorf("with a registry that fails: %v, from %s", err, c.State().From)
		}
		if _, err := c.Fetch(t.Context()); err != nil || !strings.HasPrefix(c.State().From, "https://rum.example/") {
			t.Errorf("the registry names another place: %v, from %s", err, c.State().From)
		}
		before := c.State().Document
		r.provider.Subscribe(user, provider.Subscriber{Password: "another"})
		if _, err := c.Fetch(t.Context()); !errors.Is(err, ErrAuth) || c.State().Document != before {
			t.Errorf("half of it was taken: %v", err)
		}
	})
}
