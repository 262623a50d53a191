package app_test

import (
	"context"
	"crypto/tls"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"gatehouse/agent/api"
	"gatehouse/lab/acs"
	"gatehouse/lab/pki"
	"gatehouse/platform"
)

// TestTroubleInEachPhase: whatever an ACS does in any phase, the agent says
// what was wrong, comes back, and delivers what it had promised.
func TestTroubleInEachPhase(t *testing.T) {
	troubles := map[string]acs.Trouble{
		"hangs":            {Hang: true},
		"closes":           {Cut: acs.CutBefore},
		"closes in header": {Cut: acs.CutHeader},
		"closes in body":   {Cut: acs.CutBody},
		"500":              {Status: 500},
		"503":              {Status: 503, RetryAfter: "20"},
		"garbage":          {Body: "<html>It works!</html>"},
		"truncated":        {Body: `<?xml version="1.0"?><soap:Envelope xmlns:soap="http://schemas.xmlsoap.org/soap/envelope/"><soap:Body>`},
		"bombs":            {Body: `<?xml version="1.0"?><!DOCTYPE l [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]><l>&b;</l>`},
		"faults":           {Fault: 8002},
	}
	phases := map[string]func(*acs.Chaos, acs.Trouble){
		"Inform": func(c *acs.Chaos, t acs.Trouble) { c.Inform = t },
		"empty":  func(c *acs.Chaos, t acs.Trouble) { c.Empty = t },
		"answer": func(c *acs.Chaos, t acs.Trouble) { c.Answer = t },
	}
	for name, trouble := range troubles {
		for phase, put := range phases {
			t.Run(name+" at "+phase, func(t *testing.T) { inTrouble(t, trouble, phase, put) })
		}
	}
}

func inTrouble(t *testing.T, trouble acs.Trouble, phase string, put func(*acs.Chaos, acs.Trouble)) {
	story(t, acs.Options{}, config(), func(t *testing.T, h *house) {
		// After nonsense it may hang up; what died with a connection is sent again
		// over another one, which our ACS takes for an old cookie.
		h.broken = []string{string(acs.RuleConnection), string(acs.RuleCookie)}
		trouble.Times = 2 // a dead connection is tried once more
		if trouble.Cut == acs.CutNone {
			trouble.Times = 1
		}
		var chaos acs.Chaos
		put(&chaos, trouble)
		h.acs.SetChaos(chaos)
		h.acs.Script(func(c *acs.Conversation) error {
			_, err := c.SetParameterValues("key", acs.P("Device.DeviceInfo.ProvisioningCode", "xsd:string", "set"))
			return err
		})
		h.start()
		s := h.good(0)
		if phase == "Inform" && !s.Inform.Has("0 BOOTSTRAP") && len(h.acs.Sessions()) > 1 {
			t.Errorf("BOOTSTRAP was not delivered: %s", events(s))
		}
		if st := h.status(); st.RetryCount != 0 {
			t.Errorf("%+v", st)
		}
		if got := h.get(ms + "ParameterKey"); got != "key" {
			t.Errorf("ParameterKey %q", got)
		}
		time.Sleep(time.Hour)
		synctest.Wait()
		if n := len(h.acs.Sessions()); n > 6 {
			t.Errorf("%d sessions", n)
		}
	})
}

// TestRedirect: 302 and 307 take the whole session elsewhere, with the same
// Inform, and the URL stays what it was.
func TestRedirect(t *testing.T) {
	for _, status := range []int{301, 302, 307, 308} {
		o := acs.Options{Chaos: acs.Chaos{Inform: acs.Trouble{Redirect: "http://other.example.net:8080/there", Status: status}}}
		story(t, o, config(), func(t *testing.T, h *house) {
			other := h.server(otherIP+":8080", acs.Options{Auth: acs.AuthDigest, Username: "cpe", Password: "secret"})
			defer other.Close()
			h.start()
			s := h.sessionAt(other, 1)
			h.wantEvents(s, "0 BOOTSTRAP", "1 BOOT")
			if s.Err != nil || s.Exchanges[0].Target != "/there" {
				t.Errorf("%v at %s", s.Err, s.Exchanges[0].Target)
			}
			if got := h.get(ms + "URL"); got != acsURL {
				t.Errorf("URL %q", got)
			}
			h.boot() // a redirect is no new URL: no BOOTSTRAP
			h.wantEvents(h.sessionAt(other, 2), "1 BOOT")
			if v := other.Violations(); len(v) > 0 {
				t.Errorf("%v", v)
			}
			// It waits for the Inform after the redirect to come back to itself.
			h.broken = []string{string(acs.RuleReplay)}
		})
	}
}

// TestRedirectLoop: an ACS that sends the agent round in circles.
func TestRedirectLoop(t *testing.T) {
	o := acs.Options{Chaos: acs.Chaos{Inform: acs.Trouble{Redirect: acsURL}}}
	story(t, o, config(), func(t *testing.T, h *house) {
		h.start()
		time.Sleep(3 * time.Second)
		synctest.Wait()
		if st := h.status(); !strings.Contains(st.LastError, "one redirect too many") || st.RetryCount != 1 {
			t.Errorf("%+v", st)
		}
	})
}

// TestRedirectIntoTheClear: an ACS on this very host may be talked to in clear;
// where it redirects to may not.
func TestRedirectIntoTheClear(t *testing.T) {
	conf := strings.Replace(strings.Replace(config(), "allow_http '1'", "allow_http '0'", 1), acsURL, "http://127.0.0.1:8000/", 1)
	story(t, acs.Options{}, conf, func(t *testing.T, h *house) {
		local := h.server("127.0.0.1:8000", acs.Options{Chaos: acs.Chaos{Inform: acs.Trouble{Redirect: acsURL}}})
		defer local.Close()
		h.start()
		time.Sleep(3 * time.Second)
		synctest.Wait()
		if st := h.status(); !strings.Contains(st.LastError, "allow_http") || len(h.acs.Sessions()) != 0 {
			t.Errorf("%d sessions, %q", len(h.acs.Sessions()), st.LastError)
		}
	})
}

// secure runs f with an ACS behind TLS at 443 whose certificate is made by
// issue, and an agent that trusts the authority.
func secure(t *testing.T, issue func(ca *pki.CA) (tls.Certificate, error), f func(t *testing.T, h *house, s *acs.Server)) {
	t.Helper()
	ca := filepath.Join(t.TempDir(), "ca.pem")
	conf := strings.Replace(config("config tls 'tls'", "\toption ca '"+ca+"'"), acsURL, "https://acs.example.net/cwmp", 1)
	story(t, acs.Options{}, conf, func(t *testing.T, h *house) {
		authority, err := pki.New("house CA")
		if err != nil {
			t.Fatal(err)
		}
		write(t, ca, string(authority.PEM()))
		cert, err := issue(authority)
		if err != nil {
			t.Fatal(err)
		}
		s := h.server(acsIP+":443", acs.Options{
			TLS:  &tls.Config{Certificates: []tls.Certificate{cert}},
			Auth: acs.AuthBasic, Username: "cpe", Password: "secret",
		})
		defer func() {
			s.Close()
			for _, v := range s.Violations() {
				t.Errorf("the ACS complains: %v", v)
			}
		}()
		f(t, h, s)
	})
}

// TestTLS: an own authority, and Basic unasked.
func TestTLS(t *testing.T) {
	secure(t, func(ca *pki.CA) (tls.Certificate, error) { return ca.Server("acs.example.net") }, func(t *testing.T, h *house, s *acs.Server) {
		h.start()
		got := h.sessionAt(s, 1)
		if got.Err != nil || len(got.Exchanges) != 2 {
			t.Errorf("%v, %d exchanges", got.Err, len(got.Exchanges))
		}
		h.wantEvents(got, "0 BOOTSTRAP", "1 BOOT")
	})
}

// TestTLSRefused: whoever is not the ACS gets nothing, and the operator reads
// why.
func TestTLSRefused(t *testing.T) {
	for _, c := range []struct {
		name  string
		issue func(ca *pki.CA) (tls.Certificate, error)
		why   string
	}{
		{"wrong name", func(ca *pki.CA) (tls.Certificate, error) { return ca.Server("evil.example.net") }, "is for evil.example.net"},
		{"other authority", func(*pki.CA) (tls.Certificate, error) {
			other, err := pki.New("somebody")
			if err != nil {
				return tls.Certificate{}, err
			}
			return other.Server("acs.example.net")
		}, "authority that we do not trust"},
		{"expired", func(ca *pki.CA) (tls.Certificate, error) {
			return ca.Issue(pki.Leaf{Names: []string{"acs.example.net"}, NotBefore: time.Now().Add(-48 * time.Hour), NotAfter: time.Now().Add(-24 * time.Hour)})
		}, "is good from"},
		{"not yet", func(ca *pki.CA) (tls.Certificate, error) {
			return ca.Issue(pki.Leaf{Names: []string{"acs.example.net"}, NotBefore: time.Now().Add(48 * time.Hour), NotAfter: time.Now().Add(72 * time.Hour)})
		}, "is good from"},
	} {
		t.Run(c.name, func(t *testing.T) {
			secure(t, c.issue, func(t *testing.T, h *house, s *acs.Server) {
				h.start()
				time.Sleep(3 * time.Second)
				synctest.Wait()
				if st := h.status(); !strings.Contains(st.LastError, c.why) || len(s.Sessions()) != 0 {
					t.Errorf("%d sessions, %q", len(s.Sessions()), st.LastError)
				}
			})
		})
	}
}

// TestTLSWithoutClock: 1970, and a good certificate is taken (field 18); when
// the clock is set and says that it had expired, the log does, too, and the
// next session is refused.
func TestTLSWithoutClock(t *testing.T) {
	issue := func(ca *pki.CA) (tls.Certificate, error) {
		return ca.Issue(pki.Leaf{Names: []string{"acs.example.net"}, NotBefore: time.Now().Add(-time.Minute), NotAfter: time.Now().Add(24 * time.Hour)})
	}
	secure(t, issue, func(t *testing.T, h *house, s *acs.Server) {
		back := time.Until(time.Unix(0, 0))
		h.router.SetTime(platform.TimeStatus{})
		h.router.Step(back)
		h.start()
		if got := h.sessionAt(s, 1); got.Err != nil {
			t.Fatal(got.Err)
		}
		h.router.SetTime(platform.TimeStatus{Set: true})
		h.router.Step(-back)
		time.Sleep(time.Second)
		synctest.Wait()
		if h.log.has("certificate is not good") {
			t.Error("a good certificate was refused afterwards")
		}

		h.router.SetTime(platform.TimeStatus{})
		h.router.Step(back)
		h.set("Device.DeviceInfo.ProvisioningCode", "news")
		h.sessionAt(s, 2)
		h.router.SetTime(platform.TimeStatus{Set: true})
		h.router.Step(-back + 48*time.Hour)
		time.Sleep(time.Second)
		synctest.Wait()
		if !h.log.has("the last session was held with a server whose certificate is not good") {
			t.Error("nobody noticed that the certificate had expired")
		}
		h.set("Device.DeviceInfo.ProvisioningCode", "more news")
		time.Sleep(time.Second)
		synctest.Wait()
		if n := len(s.Sessions()); n != 2 || !strings.Contains(h.status().LastError, "is good from") {
			t.Errorf("%d sessions, %q", n, h.status().LastError)
		}
	})
}

// TestSecondAddress: one of the ACS's addresses has a broken server; the next
// attempt goes to the other one.
func TestSecondAddress(t *testing.T) {
	story(t, acs.Options{}, config(), func(t *testing.T, h *house) {
		other := h.server(otherIP+":80", acs.Options{})
		defer other.Close()
		write(t, filepath.Join(filepath.Dir(h.conf), "hosts"), acsIP+" acs.example.net\n"+otherIP+" acs.example.net\n")
		h.edit = func(c *appConfig) { c.Rand = func(n int64) int64 { return 0 } }
		h.acs.SetChaos(acs.Chaos{Inform: acs.Trouble{Status: 500}})
		h.start()
		s := h.sessionAt(other, 1)
		h.wantEvents(s, "0 BOOTSTRAP", "1 BOOT")
		if s.Inform.RetryCount > 1 {
			t.Errorf("RetryCount %d", s.Inform.RetryCount)
		}
	})
}

// TestPlainHTTPRefused: an ACS that only the data model names is not talked to
// in clear, either.
func TestPlainHTTPRefused(t *testing.T) {
	conf := strings.Replace(config(), "allow_http '1'", "allow_http '0'", 1)
	story(t, acs.Options{}, strings.Replace(conf, "http://", "https://", 1), func(t *testing.T, h *house) {
		h.start()
		as := []api.Assignment{{Name: ms + "URL", Value: acsURL}}
		if _, err := h.agent.API().Set(context.Background(), root, as, false); err == nil || !strings.Contains(err.Error(), "allow_http") {
			t.Errorf("%v", err)
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		if n := len(h.acs.Sessions()); n != 0 {
			t.Errorf("%d sessions", n)
		}
	})
}

// An ACS that always has one more request, and answers slowly, does not hold the
// agent for ever.
func TestSessionWithoutAnEnd(t *testing.T) {
	story(t, acs.Options{SessionTimeout: 5 * time.Minute}, config(), func(t *testing.T, h *house) {
		h.broken = []string{string(acs.RuleConnection)}
		h.acs.Queue("", func(c *acs.Conversation) error {
			for {
				if _, err := c.GetParameterValues("Device.DeviceInfo.UpTime"); err != nil {
					return err
				}
				time.Sleep(20 * time.Second)
			}
		})
		began := time.Now()
		h.start()
		s := h.good(1)
		if d := time.Since(began); d < 50*time.Minute || d > 70*time.Minute {
			t.Errorf("the next session after %v", d)
		}
		h.wantEvents(s, "2 PERIODIC") // what was delivered is; an Inform without an event is refused by some
		if s.Inform.RetryCount != 1 {
			t.Errorf("RetryCount %d", s.Inform.RetryCount)
		}
		if n := h.status().Counters.Failures[api.FailedTimeout]; n != 1 {
			t.Errorf("counted %v", h.status().Counters.Failures)
		}
	})
}
