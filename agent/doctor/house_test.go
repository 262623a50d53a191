package doctor_test

import (
	"context"
	"crypto/md5"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"gatehouse/agent/api"
	"gatehouse/agent/app"
	"gatehouse/agent/doctor"
	"gatehouse/lab/pipe"
	"gatehouse/lab/pki"
	"gatehouse/platform/fake"
)

const (
	acsIP   = "198.51.100.10"
	otherIP = "198.51.100.20"
	wanIP   = "203.0.113.17"
	host    = "acs.example.net"
)

// A ward is a router in memory with a configuration, and whatever is at the
// address of the ACS. Nothing of the agent's protocol is shared with that.
type ward struct {
	*testing.T
	dir    string
	net    *pipe.Network
	router *fake.Router
	ca     *pki.CA
	conf   string // options of section acs, besides the URL
	url    string
	more   string // further sections
	hosts  string
	routed func(addr string) error // what the kernel says of a route
	agent  *door
	edit   func(*doctor.Config)

	mu       sync.Mutex
	requests []*http.Request // that the ACS got; to be read after see
}

// examine runs f in a bubble with a ward where all is well.
func examine(t *testing.T, f func(w *ward)) {
	t.Helper()
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		ca, err := pki.New("Test Authority")
		if err != nil {
			t.Fatal(err)
		}
		w := &ward{T: t, dir: dir, net: pipe.New(), router: fake.New(), ca: ca, url: "https://" + host + "/cwmp",
			conf:  "\toption userid 'cpe'\n\toption passwd 'secret'\n",
			hosts: acsIP + " " + host + "\n"}
		f(w)
	})
}

// serve is an ACS at addr: with f, wrong in that way; answer is what it says.
func (w *ward) serve(addr string, f pki.Fault, answer http.HandlerFunc) {
	w.Helper()
	config, err := w.ca.Config(f, host)
	if err != nil {
		w.Fatal(err)
	}
	w.serveTLS(addr, config, answer)
}

func (w *ward) serveTLS(addr string, config *tls.Config, answer http.HandlerFunc) {
	w.Helper()
	l, err := w.net.Listen("tcp", addr)
	if err != nil {
		w.Fatal(err)
	}
	if config != nil {
		l = tls.NewListener(l, config)
	}
	s := &http.Server{
		Handler: http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
			w.mu.Lock()
			w.requests = append(w.requests, r)
			w.mu.Unlock()
			answer(rw, r)
		}),
		ErrorLog: log.New(io.Discard, "", 0),
	}
	go s.Serve(l)
	w.Cleanup(func() { s.Close(); synctest.Wait() })
}

// strict is what GenieACS says to a GET.
func strict(rw http.ResponseWriter, r *http.Request) {
	rw.Header().Set("Allow", "POST")
	rw.WriteHeader(http.StatusMethodNotAllowed)
}

// guarded asks for cpe/secret by Digest, as RFC 2617 has it.
func guarded(rw http.ResponseWriter, r *http.Request) {
	h := func(text string) string { return fmt.Sprintf("%x", md5.Sum([]byte(text))) }
	auth := r.Header.Get("Authorization")
	part := func(name string) string {
		m := regexp.MustCompile(name + `="?([^",]*)`).FindStringSubmatch(auth)
		if m == nil {
			return ""
		}
		return m[1]
	}
	want := h(h("cpe:r:secret") + ":n0:" + part("nc") + ":" + part("cnonce") + ":auth:" + h(r.Method+":"+r.URL.RequestURI()))
	if strings.HasPrefix(auth, "Digest ") && part(" response") == want {
		strict(rw, r)
		return
	}
	rw.Header().Set("WWW-Authenticate", `Digest realm="r", qop="auth", nonce="n0"`)
	rw.WriteHeader(http.StatusUnauthorized)
}

// dial is the network; of UDP only the route is asked for.
func (w *ward) dial(ctx context.Context, network, addr string) (net.Conn, error) {
	if network == "udp" {
		if w.routed != nil {
			if err := w.routed(addr); err != nil {
				return nil, err
			}
		}
		ours, theirs := net.Pipe()
		theirs.Close()
		return ours, nil
	}
	return w.net.From(wanIP).Dial(ctx, network, addr)
}

// see has the doctor look, and returns its findings by check.
func (w *ward) see() map[string]doctor.Finding {
	w.Helper()
	file := func(name, text string) string {
		path := filepath.Join(w.dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			w.Fatal(err)
		}
		return path
	}
	ca := file("ca.pem", string(w.ca.PEM()))
	conf := "config acs 'acs'\n"
	if w.url != "" {
		conf += "\toption url '" + w.url + "'\n"
	}
	conf = file("conf", conf+w.conf+"config tls 'tls'\n\toption ca '"+ca+"'\nconfig cpe 'cpe'\n\toption passwd 'knock'\n"+w.more)
	view, err := app.Look(w.Context(), app.Config{
		Platform: w.router.Platform(), ConfigFile: conf, State: filepath.Join(w.dir, "state"),
		ResolvConf: filepath.Join(w.dir, "resolv.conf"), Hosts: file("hosts", w.hosts), Dial: w.dial,
	})
	cfg := doctor.Config{
		ConfigFile: conf, State: filepath.Join(w.dir, "state"), Mistakes: err, Identity: view.Identity, TLS: view.TLS,
		Dialer: view.Dialer, Clock: view.Clock, Links: view.Links(), Offers: view.Offers, NoAgent: errors.New("nobody"), UserAgent: "doctor",
	}
	if err == nil {
		cfg.Settings = view.Settings()
	}
	if w.agent != nil {
		cfg.Agent = w.agent
	}
	if w.edit != nil {
		w.edit(&cfg)
	}
	found := map[string]doctor.Finding{}
	defer synctest.Wait()
	for f := range doctor.Run(w.Context(), cfg) {
		found[f.Check] = f
		for _, text := range append([]string{f.Found, f.Advice}, f.Details...) {
			if strings.Contains(text, "secret") || strings.Contains(text, "knock") {
				w.Errorf("%s tells a secret: %s", f.Check, text)
			}
		}
		if (f.Verdict == doctor.Wrong || f.Verdict == doctor.Warning) && f.Advice == "" {
			w.Errorf("%s: %s, and no advice", f.Check, f.Found)
		}
	}
	return found
}

// want fails the test unless a check went so: "tls wrong: expired on".
func (w *ward) want(found map[string]doctor.Finding, wants ...string) {
	w.Helper()
	for _, text := range wants {
		head, pattern, _ := strings.Cut(text, ": ")
		check, verdict, _ := strings.Cut(head, " ")
		f := found[check]
		all := strings.Join(append([]string{f.Found, f.Advice}, f.Details...), "\n")
		if string(f.Verdict) != verdict || !regexp.MustCompile(pattern).MatchString(all) {
			w.Errorf("%s: %s\nwant %s", check, f.Verdict+": "+doctor.Verdict(all), text)
		}
	}
}

// A door is a running agent, with knobs.
type door struct {
	status  api.Status
	err     error
	refused error
	last    *api.SessionLog
	// session is what a session makes of the status.
	session func(st *api.Status)
	due     time.Time
}

func (d *door) Status(context.Context) (*api.Status, error) {
	if !d.due.IsZero() && time.Now().After(d.due) {
		d.due = time.Time{}
		d.session(&d.status)
	}
	st := d.status
	return &st, d.err
}

func (d *door) Inform(context.Context) error {
	if d.refused == nil {
		d.status.Sessions++
		d.status.Started = time.Now()
		d.due = d.status.Started.Add(time.Second)
	}
	return d.refused
}

func (d *door) Last(context.Context) (*api.SessionLog, error) { return d.last, nil }

const requireCert = tls.RequireAnyClientCert

func serverTLS(cert tls.Certificate) *tls.Config {
	return &tls.Config{Certificates: []tls.Certificate{cert}}
}

// basic asks for cpe/secret.
func basic(rw http.ResponseWriter, r *http.Request) {
	if user, password, ok := r.BasicAuth(); ok && user == "cpe" && password == "secret" {
		strict(rw, r)
		return
	}
	rw.Header().Set("WWW-Authenticate", `Basic realm="r"`)
	rw.WriteHeader(http.StatusUnauthorized)
}
