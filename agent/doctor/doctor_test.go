package doctor_test

import (
	"context"
	"errors"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"gatehouse/agent/api"
	"gatehouse/agent/doctor"
	"gatehouse/lab/acs"
	"gatehouse/lab/pipe"
	"gatehouse/lab/pki"
)

// TestHealthy: nothing is wrong, and nobody was disturbed: one GET, and one
// more with credentials.
func TestHealthy(t *testing.T) {
	examine(t, func(w *ward) {
		w.serve(acsIP+":443", "", guarded)
		w.want(w.see(), "configuration ok: https://acs.example.net/cwmp", "state note: no state", "agent warning: nobody",
			"clock ok: UTC", "link ok: leads out", "dns ok: is 198.51.100.10", "route ok: there is one", "tcp ok: 198.51.100.10:443",
			"tls ok: good until", "http ok: 401", "authentication ok: takes user cpe .Digest", "soap note: --inform")
		for _, r := range w.requests {
			if r.Method != http.MethodGet {
				w.Errorf("the ACS got a %s", r.Method)
			}
		}
		if len(w.requests) != 2 {
			w.Errorf("the ACS got %d requests", len(w.requests))
		}
	})
}

// TestStrictACS: the bench's ACS sees a GET, and no session begins.
func TestStrictACS(t *testing.T) {
	examine(t, func(w *ward) {
		s := acs.New(acs.Options{})
		l, err := w.net.Listen("tcp", acsIP+":80")
		if err != nil {
			w.Fatal(err)
		}
		go s.Serve(l)
		defer s.Close()
		w.url = "http://" + host + "/"
		w.conf += "\toption allow_http '1'\n"
		w.want(w.see(), "configuration warning: plain http", "tls note: plain", "http ok: 405", "authentication note: does not ask")
		if n := len(s.Sessions()); n != 0 {
			w.Errorf("%d sessions", n)
		}
	})
}

func TestConfiguration(t *testing.T) {
	for name, tt := range map[string]struct {
		change func(w *ward)
		want   string
	}{
		"no url":      {func(w *ward) { w.url = "" }, "configuration wrong: set option url"},
		"plain http":  {func(w *ward) { w.url = "http://" + host }, "configuration wrong: conf:2: .*allow_http"},
		"bad number":  {func(w *ward) { w.conf = "\toption periodic_inform_interval 'often'\n" }, "configuration wrong: conf:3: .*often"},
		"no identity": {func(w *ward) { w.edit = func(c *doctor.Config) { c.Identity = failing } }, "configuration wrong: no serial"},
		"no roots":    {func(w *ward) { w.more = "config tls\n\toption ca '/nonexistent'\n" }, "configuration wrong: trusted certificates"},
		"insecure":    {func(w *ward) { w.more = "config tls\n\toption insecure '1'\n" }, "configuration warning: not verified"},
		"disabled":    {func(w *ward) { w.more = "config cpe\n\toption enable '0'\n" }, "configuration warning: switched off"},
		"no password": {func(w *ward) { w.conf = "\toption userid 'cpe'\n" }, "configuration warning: no password"},
		"a remark":    {func(w *ward) { w.edit = func(c *doctor.Config) { c.Warnings = []string{"unknown option x"} } }, "configuration warning: unknown option x"},
		"not readable": {func(w *ward) { w.edit = func(c *doctor.Config) { c.Settings, c.Mistakes = nil, os.ErrPermission } },
			"configuration wrong: try as root"},
	} {
		t.Run(name, func(t *testing.T) {
			examine(t, func(w *ward) {
				tt.change(w)
				found := w.see()
				w.want(found, tt.want)
				if found["configuration"].Verdict == doctor.Wrong {
					w.want(found, "dns skipped: because of configuration", "soap skipped: ")
				}
			})
		})
	}
}

func failing(context.Context) error { return errors.New("no serial") }

func TestState(t *testing.T) {
	examine(t, func(w *ward) {
		dir := filepath.Join(w.dir, "state")
		if err := errors.Join(os.Mkdir(dir, 0o700), os.WriteFile(filepath.Join(dir, "told.damaged"), nil, 0o600)); err != nil {
			w.Fatal(err)
		}
		w.want(w.see(), "state warning: told.damaged was set aside")
		if err := os.Symlink("events", filepath.Join(dir, "events")); err != nil {
			w.Fatal(err)
		}
		w.want(w.see(), "state wrong: events cannot be read")
		if err := errors.Join(os.RemoveAll(dir), os.WriteFile(dir, nil, 0o600)); err != nil {
			w.Fatal(err)
		}
		w.want(w.see(), "state wrong: not a directory")
	})
}

func TestAgent(t *testing.T) {
	well := api.Status{State: "idle", ACS: "https://" + host + "/cwmp", Succeeded: time.Unix(1e9, 0)}
	for name, tt := range map[string]struct {
		change func(d *door)
		want   []string
	}{
		"well":     {func(*door) {}, []string{"agent ok: went well", "soap ok: went well"}},
		"disabled": {func(d *door) { d.status.State = "disabled" }, []string{"agent warning: enable"}},
		"failing": {func(d *door) {
			d.status.LastError, d.last = "No.", &api.SessionLog{Kind: api.FailedAuth}
		}, []string{"agent warning: No.*\n.*userid", "soap warning: No"}},
		"safe mode":  {func(d *door) { d.status.SafeMode = true }, []string{"agent wrong: safe mode"}},
		"full disk":  {func(d *door) { d.status.StoreError = "No space left." }, []string{"agent wrong: No space"}},
		"not loaded": {func(d *door) { d.status.ACS = "https://old/" }, []string{"agent warning: (?s)reload.*https://old/"}},
		"blocked": {func(d *door) { d.status.Counters.Blocked = []api.Endpoint{{Address: "192.0.2.1:443"}} },
			[]string{"agent ok: 192.0.2.1:443 did not answer"}},
		"gone": {func(d *door) { d.err = errors.New("gone") }, []string{"agent warning: gone"}},
	} {
		t.Run(name, func(t *testing.T) {
			examine(t, func(w *ward) {
				w.serve(acsIP+":443", "", guarded)
				w.agent = &door{status: well}
				tt.change(w.agent)
				w.want(w.see(), tt.want...)
			})
		})
	}
}

// TestLearned: the ACS that the agent has learned elsewhere is the one.
func TestLearned(t *testing.T) {
	examine(t, func(w *ward) {
		w.serve(acsIP+":443", "", guarded)
		w.url = ""
		w.agent = &door{status: api.Status{State: "idle", ACS: "https://" + host + "/cwmp"}}
		w.want(w.see(), "configuration ok: learned", "tcp ok: connected")
	})
}

func TestClockAndLink(t *testing.T) {
	examine(t, func(w *ward) {
		cert, err := w.ca.Issue(pki.Leaf{Names: []string{host}, NotBefore: time.Now().Add(-50 * time.Minute), NotAfter: time.Now().Add(-10 * time.Minute)})
		if err != nil {
			w.Fatal(err)
		}
		w.serveTLS(acsIP+":443", serverTLS(cert), guarded)
		w.edit = func(c *doctor.Config) { c.Clock = func() (time.Time, bool) { return time.Unix(0, 0), false } }
		w.want(w.see(), "clock warning: never set; it says 1970", "tls note: clock is set")
	})
	examine(t, func(w *ward) {
		w.serve(acsIP+":443", "", guarded)
		w.edit = func(c *doctor.Config) { c.Clock = func() (time.Time, bool) { return time.Now().Add(time.Hour), true } }
		w.want(w.see(), "http warning: 1h0m0s apart")
		w.more = "config cpe\n\toption interface 'wan9'\n"
		w.want(w.see(), "link wrong: no interface wan9", "dns skipped: ")
		w.more = "config cpe\n\toption interface 'eth0'\n"
		w.router.SetLink("eth0", false)
		w.want(w.see(), "link wrong: eth0 is switched off|eth0 has no carrier")
		w.edit = func(c *doctor.Config) { c.Links = nil }
		w.want(w.see(), "link note: cannot be asked")
	})
}

func TestNetwork(t *testing.T) {
	for name, tt := range map[string]struct {
		change func(w *ward)
		want   []string
	}{
		"bad name":       {func(w *ward) { w.url = "https://a..b/" }, []string{"dns wrong: spelling"}},
		"silent servers": {func(w *ward) { w.hosts = "" }, []string{"dns wrong: (?s)no name server.*127.0.0.1:53", "tcp skipped: because of dns"}},
		"literal":        {func(w *ward) { w.url = "https://" + acsIP + "/" }, []string{"dns ok: nothing to look up"}},
		"no route":       {func(w *ward) { w.routed = func(string) error { return unreachable } }, []string{"route wrong: (?s)no route.*network is unreachable"}},
		"refused":        {func(w *ward) { w.url = "https://" + host + ":444/" }, []string{"tcp wrong: no connection|nothing listens", "tls skipped: "}},
		"dropped":        {func(w *ward) { w.net.Set(acsIP, pipe.Drop) }, []string{"tcp wrong: (?s)firewall.*no answer"}},
		"one of two": {func(w *ward) { w.hosts += otherIP + " " + host + "\n"; w.net.Set(otherIP, pipe.Drop) },
			[]string{"dns ok: has 2 addresses", "tcp warning: not every address", "authentication ok: "}},
	} {
		t.Run(name, func(t *testing.T) {
			examine(t, func(w *ward) {
				w.serve(acsIP+":443", "", guarded)
				tt.change(w)
				w.want(w.see(), tt.want...)
			})
		})
	}
}

var unreachable = &net.OpError{Op: "dial", Net: "udp", Err: os.NewSyscallError("connect", syscall.ENETUNREACH)}

// TestCertificates: each fault of a certificate in plain words.
func TestCertificates(t *testing.T) {
	for fault, want := range map[pki.Fault]string{
		pki.WrongName:  "is for somewhere.else.invalid, and not for acs.example.net",
		pki.CommonName: "names acs.example.net in its subject only",
		pki.Expired:    "expired on 1999-12-31 .the clock here says 2000-01-01",
		pki.NotYet:     "is not valid before 2000-01-02, and the clock here says 2000-01-01 00:00 UTC",
		pki.Untrusted:  "is issued by CN=Test Authority, whom we do not trust",
		pki.SelfSigned: "is signed by itself",
		pki.WrongUse:   "is not meant for a server",
		pki.NotACA:     "is signed by one that is no authority",
		pki.TLS11:      "no TLS that is still safe",
	} {
		t.Run(string(fault), func(t *testing.T) {
			examine(t, func(w *ward) {
				w.serve(acsIP+":443", fault, guarded)
				w.want(w.see(), "tls wrong: "+want, "http skipped: because of tls")
				if len(w.requests) > 0 {
					w.Error("it was asked all the same")
				}
			})
		})
	}
	t.Run("all of it at once", func(t *testing.T) {
		examine(t, func(w *ward) {
			other, err := pki.New("Other")
			if err != nil {
				w.Fatal(err)
			}
			cert, err := other.Issue(pki.Leaf{Names: []string{"x.example"}, NotBefore: time.Now().Add(-50 * time.Minute), NotAfter: time.Now().Add(-10 * time.Minute)})
			if err != nil {
				w.Fatal(err)
			}
			w.serveTLS(acsIP+":443", serverTLS(cert), guarded)
			w.want(w.see(), "tls wrong: expired on", "tls wrong: it is for x.example", "tls wrong: it is issued by CN=Other")
		})
	})
	t.Run("insecure", func(t *testing.T) {
		examine(t, func(w *ward) {
			w.serve(acsIP+":443", pki.Expired, guarded)
			w.more = "config tls\n\toption insecure '1'\n"
			w.want(w.see(), "tls warning: expired on .*takes it all the same", "authentication ok: ")
		})
	})
	t.Run("about to expire", func(t *testing.T) {
		examine(t, func(w *ward) {
			cert, err := w.ca.Issue(pki.Leaf{Names: []string{host}, NotAfter: time.Now().Add(72 * time.Hour)})
			if err != nil {
				w.Fatal(err)
			}
			w.serveTLS(acsIP+":443", serverTLS(cert), guarded)
			w.want(w.see(), "tls warning: expires on 2000-01-04")
		})
	})
	t.Run("no TLS", func(t *testing.T) {
		examine(t, func(w *ward) {
			w.serveTLS(acsIP+":443", nil, guarded)
			w.want(w.see(), "tls wrong: does not speak TLS")
		})
	})
	t.Run("client certificate", func(t *testing.T) {
		examine(t, func(w *ward) {
			config, err := w.ca.Config("", host)
			if err != nil {
				w.Fatal(err)
			}
			config.ClientAuth = requireCert
			w.serveTLS(acsIP+":443", config, guarded)
			w.want(w.see(), "http wrong: wants a certificate of ours")
		})
	})
}

func TestHTTP(t *testing.T) {
	says := func(status int, headers ...string) http.HandlerFunc {
		return func(rw http.ResponseWriter, _ *http.Request) {
			for i := 0; i < len(headers); i += 2 {
				rw.Header().Set(headers[i], headers[i+1])
			}
			rw.WriteHeader(status)
		}
	}
	for name, tt := range map[string]struct {
		answer http.HandlerFunc
		change func(w *ward)
		want   []string
	}{
		"not found":      {says(404), nil, []string{"http note: POST only", "authentication note: "}},
		"forbidden":      {says(403), nil, []string{"http warning: refuse this device"}},
		"in trouble":     {says(503), nil, []string{"http warning: 503"}},
		"login page":     {says(511), nil, []string{"http wrong: login page"}},
		"redirect":       {says(307, "Location", "https://other.example/x"), nil, []string{"http note: 307. to https://other.example/x"}},
		"out of TLS":     {says(302, "Location", "http://other.example/"), nil, []string{"http wrong: out of TLS"}},
		"to nowhere":     {says(302), nil, []string{"http wrong: nowhere"}},
		"wrong password": {guarded, func(w *ward) { w.conf = "\toption userid 'cpe'\n\toption passwd 'guess'\n" }, []string{"authentication wrong: refuses user cpe"}},
		"no credentials": {guarded, func(w *ward) { w.conf = "" }, []string{"authentication wrong: there are none"}},
		"odd scheme":     {says(401, "WWW-Authenticate", "Negotiate"), nil, []string{"authentication wrong: cannot be answered"}},
		"basic":          {basic, nil, []string{"authentication ok: Basic"}},
		"closes": {func(rw http.ResponseWriter, r *http.Request) { rw.Header().Set("Connection", "close"); guarded(rw, r) }, nil,
			[]string{"authentication ok: Digest"}},
		"hangs up": {func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, nil, []string{"http warning: POST only"}},
		"silent":   {func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }, nil, []string{"http wrong: does not answer"}},
	} {
		t.Run(name, func(t *testing.T) {
			examine(t, func(w *ward) {
				w.serve(acsIP+":443", "", tt.answer)
				if tt.change != nil {
					tt.change(w)
				}
				w.want(w.see(), tt.want...)
				if len(w.requests) > 4 {
					w.Errorf("%d requests", len(w.requests))
				}
			})
		})
	}
}

// TestNoPasswordInClear: Basic without TLS is not answered.
func TestNoPasswordInClear(t *testing.T) {
	examine(t, func(w *ward) {
		w.serveTLS(acsIP+":80", nil, basic)
		w.url = "http://" + host + "/"
		w.conf += "\toption allow_http '1'\n"
		w.want(w.see(), "authentication wrong: cannot be answered")
		for _, r := range w.requests {
			if r.Header.Get("Authorization") != "" {
				w.Error("the password went out")
			}
		}
	})
}

func TestInform(t *testing.T) {
	good := func(st *api.Status) { st.Ended, st.LastError = time.Now(), "" }
	bad := func(st *api.Status) { st.Ended, st.LastError = time.Now(), "Inform: fault 8003." }
	steps := &api.SessionLog{Kind: api.FailedFault, Steps: []api.SessionStep{{From: "cpe", Method: "Inform", Fault: "8003: Invalid arguments"}}}
	for name, tt := range map[string]struct {
		agent *door
		want  string
	}{
		"good":    {&door{session: good}, "soap ok: went well"},
		"bad":     {&door{session: bad, last: steps}, "soap wrong: (?s)8003.*OUI and serial number.*cpe Inform 8003"},
		"refused": {&door{refused: errors.New("no session")}, "soap wrong: no session"},
		"endless": {&door{session: func(*api.Status) {}}, "soap warning: 3m0s"},
		"nobody":  {nil, "soap wrong: no agent"},
	} {
		t.Run(name, func(t *testing.T) {
			examine(t, func(w *ward) {
				w.serve(acsIP+":443", "", strict)
				w.edit = func(c *doctor.Config) { c.Inform = true }
				if w.agent = tt.agent; w.agent != nil {
					w.agent.status.ACS = w.url
				}
				w.want(w.see(), tt.want)
			})
		})
	}
}

// TestOffline looks at nothing but this device.
func TestOffline(t *testing.T) {
	examine(t, func(w *ward) {
		w.edit = func(c *doctor.Config) { c.Offline = true }
		w.routed = func(string) error { w.Error("it looks outside"); return nil }
		if found := w.see(); len(found) != 6 {
			w.Errorf("%d findings", len(found))
		}
	})
}
