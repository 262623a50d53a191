package rueconfig

import (
	"crypto/tls"
	"errors"
	"slices"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"gatehouse/internal/digest"
	"gatehouse/internal/endpoint"
	"gatehouse/lab/dns"
	"gatehouse/lab/pipe"
	"gatehouse/lab/pki"
	"gatehouse/lab/provider"
)

// S000-01, S000-02, S000-03, S000-04, S000-06, S000-07, S000-08, S000-10,
// S000-11, S000-12, S000-13, S000-14, S000-15, S000-16, S000-17: the ladder of
// the founding diagram, step by step.
func TestLadder(t *testing.T) {
	house(t, func(t *testing.T, r *rig) {
		r.serve("192.0.2.10:443", "", "server.p.example")
		c, err := r.fetch()
		if err != nil {
			t.Fatal(err)
		}
		if asked := r.dns.Asked(); !slices.Equal(asked[:1], []string{"SRV _rueconfig._tcp.p.example."}) || !slices.Contains(asked, "A server.p.example.") {
			t.Errorf("asked DNS: %v", asked)
		}
		if want := []int{12, 13, 14, 15, 16, 17, 18, 19}; !slices.Equal(r.ladder, want) {
			t.Errorf("steps %v, want %v", r.ladder, want)
		}
		reqs := r.provider.Requests()
		if len(reqs) != 2 || reqs[0].Authorization != "" || reqs[0].Path != "/v1" || reqs[0].Host != "server.p.example" {
			t.Fatalf("requests: %+v", reqs)
		}
		if a := reqs[1].Authorization; !strings.Contains(a, "qop=auth,") || !strings.Contains(a, `uri="/v1"`) || !strings.Contains(a, "nc=00000001") {
			t.Errorf("authorization: %s", a)
		}
		s := c.State()
		if s.Source != Live || s.From != "https://server.p.example/v1" || s.Document.PhoneNumber != "+12025550143" || s.Document.MWI != "sip:zoe@p.example" {
			t.Errorf("state: %+v", s)
		}
		if len(r.applied) != 1 || r.cache.Saves() != 1 {
			t.Errorf("applied %d times, saved %d times", len(r.applied), r.cache.Saves())
		}
		// S003-15, S003-16, S003-17, S003-20: only what is on our list goes out, with
		// our name; no Content-Type and no SOAPAction, which nobody has set.
		if got := reqs[0].Header.Get("User-Agent"); got != "gatehouse/test" {
			t.Errorf("User-Agent %s", got)
		}
		for name := range reqs[0].Header {
			if name != "User-Agent" && name != "Accept" {
				t.Errorf("the request has %s", name)
			}
		}
	})
}

// S000-05: without an SRV record it is config.DOMAIN.
func TestWithoutSRV(t *testing.T) {
	house(t, func(t *testing.T, r *rig) {
		r.serve("192.0.2.12:443", "", "config.p.example")
		if err := r.dns.Set("config.p.example 300 A 192.0.2.12"); err != nil {
			t.Fatal(err)
		}
		if _, err := r.fetch(); err != nil {
			t.Fatal(err)
		}
		if reqs := r.provider.Requests(); reqs[0].Host != "config.p.example" {
			t.Errorf("host %s", reqs[0].Host)
		}
	})
}

// Silence and SERVFAIL are no reason to go elsewhere.
func TestNoFallback(t *testing.T) {
	for _, f := range []dns.Failure{dns.Silent, dns.ServFail, dns.Refused} {
		house(t, func(t *testing.T, r *rig) {
			r.serve("192.0.2.12:443", "", "config.p.example")
			r.dns.Fail("_rueconfig._tcp.p.example", f)
			_, err := r.fetch()
			var silent *endpoint.NoAnswerError
			if !errors.As(err, &silent) || len(r.provider.Requests()) != 0 {
				t.Errorf("failure %d: %v", f, err)
			}
		})
	}
}

// S001-28: another server completes the request. S000-03: the port is that of the SRV record. A dead first server costs no
// more than two seconds.
func TestSecondServer(t *testing.T) {
	for name, path := range map[string]pipe.Path{"refuses": pipe.Refuse, "silent": pipe.Drop} {
		house(t, func(t *testing.T, r *rig) {
			r.network.Set("192.0.2.10", path)
			r.serve("192.0.2.11:8443", "", "second.p.example")
			began := time.Now()
			c, err := r.fetch()
			if err != nil {
				t.Fatal(err)
			}
			if d := time.Since(began); d > 2*time.Second {
				t.Errorf("%s: it took %v", name, d)
			}
			if s := c.State(); s.From != "https://second.p.example:8443/v1" {
				t.Errorf("%s: from %s", name, s.From)
			}
			if h := c.Health(); !h.Up || len(h.Blocked) != 1 {
				t.Errorf("%s: %+v", name, h)
			}
		})
	}
}

// S000-08, S001-14: certificates that are wrong in each way, self-signed ones
// among them.
func TestCertificates(t *testing.T) {
	for _, f := range pki.Faults() {
		house(t, func(t *testing.T, r *rig) {
			r.serve("192.0.2.10:443", f, "server.p.example")
			r.network.Set("192.0.2.11", pipe.Refuse)
			_, err := r.fetch()
			if err == nil || len(r.provider.Requests()) != 0 || !strings.Contains(err.Error(), "TLS with server.p.example") {
				t.Errorf("%s: %v", f, err)
			}
		})
	}
}

// S000-07, S000-09, S001-14: TLS 1.2 with a ServerKeyExchange, 1.3 without one,
// and nothing older.
func TestTLSVersions(t *testing.T) {
	for version, good := range map[uint16]bool{tls.VersionTLS11: false, tls.VersionTLS12: true, tls.VersionTLS13: true} {
		house(t, func(t *testing.T, r *rig) {
			config, err := r.ca.Config("", "server.p.example")
			if err != nil {
				t.Fatal(err)
			}
			config.MinVersion, config.MaxVersion = version, version
			r.serveTLS("192.0.2.10:443", config)
			r.network.Set("192.0.2.11", pipe.Refuse)
			if _, err := r.fetch(); (err == nil) != good {
				t.Errorf("%s: %v", tls.VersionName(version), err)
			}
		})
	}
}

// S001-20, S001-21, S001-22: whether it is the server's or that of a proxy
// before it, the certificate has the public name. Which name a server that SRV names may present is a setting.
func TestServerNames(t *testing.T) {
	for _, row := range []struct {
		name       string
		domainOnly bool
		good       bool
	}{
		{"server.p.example", false, true},
		{"config.p.example", false, true},
		{"server.p.example", true, false},
		{"config.p.example", true, true},
		{"p.example", true, true},
		{"other.example", false, false},
	} {
		house(t, func(t *testing.T, r *rig) {
			r.cfg.DomainOnly = row.domainOnly
			r.serve("192.0.2.10:443", "", row.name)
			r.network.Set("192.0.2.11", pipe.Refuse)
			if _, err := r.fetch(); (err == nil) != row.good {
				t.Errorf("%s, domain only %v: %v", row.name, row.domainOnly, err)
			}
		})
	}
}

// A router without a clock verifies everything but the dates.
func TestNoClock(t *testing.T) {
	house(t, func(t *testing.T, r *rig) {
		r.now = func() time.Time { return time.Time{} }
		r.serve("192.0.2.10:443", "", "server.p.example")
		if _, err := r.fetch(); err != nil {
			t.Error(err)
		}
	})
}

// S001-29: behind a balancer the next server may not know a nonce ("stale").
func TestAuthentication(t *testing.T) {
	for _, row := range []struct {
		name   string
		o      provider.Options
		faults []provider.Fault
		user   string
		want   error
		n      int // requests
	}{
		{name: "MD5", n: 2},
		{name: "SHA-256", o: provider.Options{Algorithms: []string{"MD5", "SHA-256"}}, n: 2},
		{name: "auth-int only", o: provider.Options{QOP: "auth-int"}, n: 2},
		{name: "stale", faults: []provider.Fault{{Name: "stale"}}, n: 3},
		{name: "wrong user", user: "nobody", want: ErrAuth, n: 2},
		{name: "Basic", faults: []provider.Fault{{Name: "basic", All: true}}, want: digest.ErrBasicForbidden, n: 1},
		{name: "Basic after Digest", faults: []provider.Fault{{Name: "stale"}}, user: "nobody", want: ErrAuth, n: 3},
		{name: "forged answer", faults: []provider.Fault{{Name: "no-proof"}}, want: digest.ErrProof, n: 2},
	} {
		t.Run(row.name, func(t *testing.T) {
			house(t, func(t *testing.T, r *rig) {
				if row.o.Algorithms != nil || row.o.QOP != "" {
					r.provider = provider.New(row.o, map[string]any{"lifetime": 60})
					r.provider.Subscribe(user, provider.Subscriber{Password: password})
				}
				r.provider.Break(row.faults...)
				if row.user != "" {
					r.cfg.Username = row.user
				}
				r.serve("192.0.2.10:443", "", "server.p.example")
				c, err := r.fetch()
				if !errors.Is(err, row.want) || (err != nil) != (row.want != nil) {
					t.Errorf("got %v", err)
				}
				reqs := r.provider.Requests()
				if len(reqs) != row.n {
					t.Errorf("%d requests", len(reqs))
				}
				for _, q := range reqs {
					if strings.HasPrefix(q.Authorization, "Basic") {
						t.Error("the password was sent")
					}
				}
				if wait := time.Until(c.State().Next); row.want == ErrAuth && wait != 15*time.Minute {
					t.Errorf("tries again in %v", wait)
				}
			})
		})
	}
}

// S001-02: nothing goes in the clear. What is wrong leaves memory and disk as they were.
func TestBadAnswers(t *testing.T) {
	for _, row := range []struct {
		name   string
		faults []provider.Fault
		want   string
	}{
		{"404", []provider.Fault{{Name: "status", Arg: "404"}}, "HTTP status 404"},
		{"503 everywhere", []provider.Fault{{Name: "status", Arg: "503", All: true}}, "HTTP status 503"},
		{"not JSON", []provider.Fault{{Name: "body", Arg: "<html>"}}, "not JSON"},
		{"HTML", []provider.Fault{{Name: "type", Arg: "text/html"}}, "not a JSON document"},
		{"wrong type", []provider.Fault{{Name: "body", Arg: `{"lifetime":"x"}`}}, "lifetime"},
		{"cut", []provider.Fault{{Name: "cut", All: true}}, "breaks off"},
		{"gzip", []provider.Fault{{Name: "gzip"}}, "compressed"},
		{"100 MB", []provider.Fault{{Name: "large", Arg: "100000000"}}, "too large"},
		{"gzip bomb", []provider.Fault{{Name: "large", Arg: "10000000"}, {Name: "gzip"}}, "compressed"},
		{"another provider's", []provider.Fault{{Name: "body", Arg: `{"provider-domain":"q.example"}`}}, "q.example"},
		{"redirect in the clear", []provider.Fault{{Name: "redirect", Arg: "http://server.p.example/v1"}}, "not https"},
		{"redirect elsewhere", []provider.Fault{{Name: "redirect", Arg: "https://evil.example/v1"}}, "out of the provider's domain"},
		{"redirect to a lookalike", []provider.Fault{{Name: "redirect", Arg: "https://evilp.example/v1"}}, "out of the provider's domain"},
		{"redirect loop", []provider.Fault{{Name: "redirect", Arg: "/v1", All: true}}, "one redirect too many"},
	} {
		t.Run(row.name, func(t *testing.T) {
			house(t, func(t *testing.T, r *rig) {
				r.serve("192.0.2.10:443", "", "server.p.example")
				r.serve("192.0.2.11:8443", "", "second.p.example")
				c, err := r.fetch()
				if err != nil {
					t.Fatal(err)
				}
				before, saved := c.State(), r.cache.Text()
				r.provider.Subscribe(user, provider.Subscriber{Password: password, Settings: map[string]any{"display-name": "changed"}})
				r.provider.Break(row.faults...)
				if _, err = c.Fetch(t.Context()); err == nil || !strings.Contains(err.Error(), row.want) {
					t.Errorf("got %v", err)
				}
				if s := c.State(); s.Document != before.Document || r.cache.Text() != saved || len(r.applied) != 1 || s.Err == nil {
					t.Errorf("what was there is not: %+v", s)
				}
				if wait := time.Until(c.State().Next); wait < 5*time.Second {
					t.Errorf("tries again in %v", wait)
				}
				r.provider.Mend()
				if changed, err := c.Fetch(t.Context()); err != nil || !changed {
					t.Errorf("afterwards: %v, %v", changed, err)
				}
			})
		})
	}
}

// S003-35: a disk that takes nothing leaves the old document in force.
func TestFullDisk(t *testing.T) {
	house(t, func(t *testing.T, r *rig) {
		r.serve("192.0.2.10:443", "", "server.p.example")
		r.cache.Refuse(syscall.ENOSPC)
		c, err := r.fetch()
		if !errors.Is(err, syscall.ENOSPC) || c.State().Document != nil || len(r.applied) != 0 {
			t.Errorf("got %v, %+v", err, c.State())
		}
	})
}

// Nothing new: 304, and no flash write.
func TestNotModified(t *testing.T) {
	house(t, func(t *testing.T, r *rig) {
		r.serve("192.0.2.10:443", "", "server.p.example")
		c, err := r.fetch()
		if err != nil {
			t.Fatal(err)
		}
		r.provider.Requests()
		time.Sleep(time.Hour)
		if changed, err := c.Fetch(t.Context()); err != nil || changed || r.cache.Saves() != 1 {
			t.Errorf("changed %v, %v, saved %d times", changed, err, r.cache.Saves())
		}
		if reqs := r.provider.Requests(); reqs[len(reqs)-1].Status != 304 {
			t.Errorf("the answer was %d", reqs[len(reqs)-1].Status)
		}
		if s := c.State(); s.Stale(time.Now()) || s.Source != Live {
			t.Errorf("state: %+v", s)
		}
	})
}

// S003-33, S003-35: at the start live, else disk, else the factory's copy.
func TestStart(t *testing.T) {
	house(t, func(t *testing.T, r *rig) {
		r.cfg.Factory = func() []byte { return []byte(`{"display-name":"factory"}`) }
		c, stop := r.run()
		synctest.Wait()
		if s := c.State(); s.Source != Factory || s.Document.DisplayName != "factory" {
			t.Errorf("without anything: %+v", s)
		}
		stop()

		r.serve("192.0.2.10:443", "", "server.p.example")
		c, stop = r.run()
		time.Sleep(time.Second)
		if s := c.State(); s.Source != Live {
			t.Errorf("with a server: %+v", s)
		}
		stop()

		r.servers[0]()
		time.Sleep(24 * time.Hour)
		c, stop = r.run()
		synctest.Wait()
		if s := c.State(); s.Source != Disk || s.Document.PhoneNumber == "" || !s.Stale(time.Now()) {
			t.Errorf("offline: %+v", s)
		}
		stop()

		r.cfg.Username = "somebody else"
		c, stop = r.run()
		synctest.Wait()
		if s := c.State(); s.Source != Factory {
			t.Errorf("another subscriber got the copy: %+v", s)
		}
		stop()
	})
}

// The lifetime drives the refresh; an outage backs off, and what is there
// serves on.
func TestRefresh(t *testing.T) {
	house(t, func(t *testing.T, r *rig) {
		r.serve("192.0.2.10:443", "", "server.p.example")
		c, stop := r.run()
		defer stop()
		time.Sleep(time.Second)
		r.provider.Requests()
		time.Sleep(47 * time.Minute)
		if n := len(r.provider.Requests()); n != 0 {
			t.Errorf("%d requests before 80 %% of the lifetime", n)
		}
		time.Sleep(2 * time.Minute)
		if n := len(r.provider.Requests()); n == 0 {
			t.Error("no request after 80 % of the lifetime")
		}
		r.provider.Break(provider.Fault{Name: "status", Arg: "500", All: true})
		time.Sleep(24 * time.Hour)
		if n := len(r.provider.Requests()); n < 20 || n > 150 {
			t.Errorf("%d requests on a day of 500", n)
		}
		if s := c.State(); s.Document == nil || !s.Stale(time.Now()) || s.Failures < 5 {
			t.Errorf("state: %+v", s)
		}
		r.provider.Mend()
		time.Sleep(2 * time.Hour)
		if s := c.State(); s.Stale(time.Now()) || s.Failures != 0 || s.Err != nil {
			t.Errorf("after it: %+v", s)
		}
	})
}

// Calls at the same time are one fetch.
func TestAtTheSameTime(t *testing.T) {
	house(t, func(t *testing.T, r *rig) {
		r.serve("192.0.2.10:443", "", "server.p.example")
		r.provider.Break(provider.Fault{Name: "slow", Arg: "1s"})
		c := r.make()
		done := make(chan error)
		for range 10 {
			go func() { _, err := c.Fetch(t.Context()); done <- err }()
		}
		for range 10 {
			if err := <-done; err != nil {
				t.Error(err)
			}
		}
		if n := len(r.provider.Requests()); n != 2 {
			t.Errorf("%d requests", n)
		}
	})
}

// A server that takes its time is a time-out, and its kind of error says so.
func TestTimeout(t *testing.T) {
	house(t, func(t *testing.T, r *rig) {
		r.serve("192.0.2.10:443", "", "server.p.example")
		r.network.Set("192.0.2.11", pipe.Refuse)
		r.provider.Break(provider.Fault{Name: "slow", Arg: "10s", All: true})
		began := time.Now()
		_, err := r.fetch()
		if !endpoint.IsTimeout(err) || time.Since(began) > 5*time.Second {
			t.Errorf("%v after %v", err, time.Since(began))
		}
	})
}

// RFC 9248: the list of providers, two resources, merged here.
func TestResources(t *testing.T) {
	house(t, func(t *testing.T, r *rig) {
		r.provider = provider.New(provider.Options{APIKey: "key"}, map[string]any{"signup": []any{map[string]any{"language": "en", "uri": "https://p.example/"}}, "mwi": "sip:all@p.example"})
		r.provider.Subscribe(user, provider.Subscriber{Password: password, Settings: map[string]any{"lifetime": 60, "mwi": "sip:zoe@p.example"}})
		r.cfg.Form, r.cfg.APIKey, r.cfg.Registry, r.cfg.Provider = Resources, "key", "rum.example", "Provider A"
		r.cfg.Domain = ""
		if err := r.dns.Set("rum.example 300 A 192.0.2.20"); err != nil {
			t.Fatal(err)
		}
		r.serve("192.0.2.20:443", "", "rum.example")
		c, err := r.fetch()
		if err != nil {
			t.Fatal(err)
		}
		d := c.State().Document
		if d.MWI != "sip:zoe@p.example" || len(d.SignUp) != 1 || d.Lifetime != time.Minute {
			t.Errorf("merged: %+v", d)
		}
		var paths []string
		for _, q := range r.provider.Requests() {
			paths = append(paths, q.Path)
			if strings.HasSuffix(q.Path, "Config") && !strings.Contains(q.Query, "instanceId=7") {
				t.Errorf("query %s", q.Query)
			}
			if strings.HasSuffix(q.Path, "ProviderConfig") && q.Authorization != "" {
				t.Error("the password went where none is asked for")
			}
		}
		if want := []string{"/rum/v1/Providers", "/rum/v1/ProviderConfig", "/rum/v1/RueConfig", "/rum/v1/RueConfig"}; !slices.Equal(paths, want) {
			t.Errorf("paths %v", paths)
		}
		if strings.Contains(r.log.String(), "apiKey") {
			t.Error("the log shows the key")
		}
	})
}

// The password that a document gives is for the next fetch.
func TestNextPassword(t *testing.T) {
	house(t, func(t *testing.T, r *rig) {
		r.serve("192.0.2.10:443", "", "server.p.example")
		r.provider.Subscribe(user, provider.Subscriber{Password: password, Settings: map[string]any{"configuration_auth_password": "next"}})
		c, err := r.fetch()
		if err != nil {
			t.Fatal(err)
		}
		r.provider.Subscribe(user, provider.Subscriber{Password: "next", Settings: map[string]any{"display-name": "Zoë"}})
		if changed, err := c.Fetch(t.Context()); err != nil || !changed {
			t.Errorf("with the new password: %v", err)
		}
		r.provider.Subscribe(user, provider.Subscriber{Password: password})
		if _, err := c.Fetch(t.Context()); err != nil {
			t.Errorf("with the old one again: %v", err)
		}
	})
}
