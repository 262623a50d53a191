package zoo

import (
	"bytes"
	"context"
	"crypto/tls"
	"log/slog"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"gatehouse/agent/api"
	"gatehouse/agent/app"
	"gatehouse/internal/store/storetest"
	"gatehouse/lab/acs"
	"gatehouse/lab/pipe"
	"gatehouse/lab/pki"
	"gatehouse/platform/fake"
)

// Where everybody lives (RFC 5737), and names that many stories use.
const (
	acsIP   = "198.51.100.10"
	otherIP = "198.51.100.20"
	wanIP   = "203.0.113.17"
	cpe     = "00005E-00005E005301"
	user    = "cpe"
	pass    = "s3cret-of-the-session"
	crUser  = "acs"
	crPass  = "kn0ck-kn0ck"

	ms = "Device.ManagementServer."
	di = "Device.DeviceInfo."
)

var root = api.Caller{Name: "test", Rights: api.Everything}

// house is a router with the agent on it, an ACS, and the network between them.
type house struct {
	t      *testing.T
	net    *pipe.Network
	router *fake.Router
	state  *storetest.FS // flash
	ram    *storetest.FS // the run directory
	acs    *acs.Server
	log    *logbook
	ca     *pki.CA
	dir    string // holds the configuration and other files of the image
	wan    string // where the agent dials from

	closers []func() error // of other servers

	quiet  []acs.Rule // rules that the agent is led to break
	dumped *logbook   // envelopes as `log soap` shows them
	agent  *app.Agent
	stop   context.CancelFunc
	done   chan error
}

// plan is what a story begins with.
type plan struct {
	o     acs.Options
	chaos string   // knobs by name, as for `gatehouse-lab serve --chaos`
	url   string   // of the ACS; http://acs.example.net/acs when ""
	conf  []string // more lines of configuration
	quiet []acs.Rule
	open  bool      // no credentials configured towards the ACS
	cert  pki.Fault // of the ACS, with https
}

// story runs f in a bubble, with an agent that is not started yet. The ACS must
// have had nothing to complain of.
func story(t *testing.T, p plan, f func(t *testing.T, h *house)) {
	t.Helper()
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		h := &house{
			t: t, net: pipe.New(), router: fake.New(), state: storetest.New(), ram: storetest.New(),
			log: new(logbook), dumped: new(logbook), dir: dir, wan: wanIP, quiet: p.quiet,
		}
		h.net.Name("acs.example.net", acsIP)
		h.net.Name("other.example.net", otherIP)
		h.write("hosts", acsIP+" acs.example.net\n"+otherIP+" other.example.net\n")
		if err := p.o.Apply(p.chaos); err != nil {
			t.Fatal(err)
		}
		port := ":80"
		if strings.HasPrefix(p.url, "https:") {
			port = ":443"
			p.o.TLS = h.certify(p.cert, "acs.example.net")
			p.conf = append(p.conf, "config tls 'tls'", " option ca '"+filepath.Join(dir, "ca.pem")+"'")
		}
		h.write("gatehouse", p.config())
		h.acs = h.server(acsIP+port, p.o)
		defer h.leave()
		f(t, h)
	})
}

func (p plan) config() string {
	if p.url == "" {
		p.url = "http://acs.example.net/acs"
	}
	text := "config acs 'acs'\n option url '" + p.url + "'\n option periodic_inform_enable '0'\n option allow_http '1'\n"
	if !p.open {
		text += " option userid '" + user + "'\n option passwd '" + pass + "'\n"
	}
	text += "config cpe 'cpe'\n option userid '" + crUser + "'\n option passwd '" + crPass + "'\n"
	return text + strings.Join(p.conf, "\n") + "\n"
}

// leave ends everything and reads the ACS's complaints.
func (h *house) leave() {
	if h.stop != nil {
		h.end()
	}
	h.acs.Close()
	for _, f := range h.closers {
		_ = f() // a server of the story
	}
	for _, v := range h.acs.Violations() {
		if !h.expected(v) {
			h.t.Errorf("the ACS complains: %v", v)
		}
	}
	synctest.Wait()
	if h.t.Failed() {
		h.t.Logf("log of the agent:\n%s", h.log.tail())
	}
}

func (h *house) expected(v acs.Violation) bool {
	for _, r := range h.quiet {
		if r == v.Rule {
			return true
		}
	}
	return false
}

// write puts a file next to the configuration.
func (h *house) write(name, text string) {
	h.t.Helper()
	if err := os.WriteFile(filepath.Join(h.dir, name), []byte(text), 0o600); err != nil {
		h.t.Fatal(err)
	}
}

// certify makes the TLS of a server, by an authority that the agent trusts.
func (h *house) certify(f pki.Fault, names ...string) *tls.Config {
	h.t.Helper()
	if h.ca == nil {
		ca, err := pki.New("the provider's authority")
		if err != nil {
			h.t.Fatal(err)
		}
		h.ca = ca
		h.write("ca.pem", string(ca.PEM()))
	}
	config, err := h.ca.Config(f, names...)
	if err != nil {
		h.t.Fatal(err)
	}
	return config
}

// server starts an ACS; the caller closes it, unless it is the house's own.
func (h *house) server(addr string, o acs.Options) *acs.Server {
	h.t.Helper()
	o.Dial = h.net.From(acsIP).Dial
	s := acs.New(o)
	l, err := h.net.Listen("tcp", addr)
	if err != nil {
		h.t.Fatal(err)
	}
	go s.Serve(l)
	return s
}

func (h *house) cfg() app.Config {
	var mu sync.Mutex
	r := rand.New(rand.NewPCG(1, 2))
	return app.Config{
		Platform:   h.router.Platform(),
		Version:    "1.2.3",
		ConfigFile: filepath.Join(h.dir, "gatehouse"),
		State:      "/state", StateFS: h.state,
		Run: "/run", RunFS: h.ram, Spool: filepath.Join(h.dir, "spool"),
		ResolvConf: "/nonexistent/resolv.conf",
		Hosts:      filepath.Join(h.dir, "hosts"),
		Dial: func(ctx context.Context, network, addr string) (net.Conn, error) {
			return h.net.From(h.wan).Dial(ctx, network, addr)
		},
		Listen: func(_ context.Context, network, addr string) (net.Listener, error) {
			if network == "unix" {
				return h.net.Listen("tcp", "192.0.2.1:1")
			}
			return h.net.Listen(network, addr)
		},
		Who:  func(net.Conn) api.Caller { return root },
		Rand: func(n int64) int64 { mu.Lock(); defer mu.Unlock(); return r.Int64N(n) },
		Dump: func(_ bool, envelope string) { h.dumped.Write([]byte(envelope + "\n")) },
		Log:  slog.New(slog.NewTextHandler(h.log, &slog.HandlerOptions{Level: slog.LevelDebug})),
	}
}

// start starts the agent and returns when it is up.
func (h *house) start() {
	h.t.Helper()
	ready := make(chan *app.Agent, 16)
	c := h.cfg()
	c.Ready = func(a *app.Agent) { ready <- a }
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- app.Run(ctx, c) }()
	select {
	case h.agent = <-ready:
		h.stop, h.done = stop, done
	case err := <-done:
		stop()
		h.t.Fatalf("the agent does not start: %v", err)
	}
}

// end stops the agent as SIGTERM does.
func (h *house) end() {
	h.t.Helper()
	h.stop()
	h.stop = nil
	if err := <-h.done; err != nil {
		h.t.Errorf("the agent ends with %v", err)
	}
}

// boot restarts the device: the process and what lay in memory are gone.
func (h *house) boot() {
	h.t.Helper()
	if h.stop != nil {
		h.end()
	}
	h.ram = storetest.New()
	h.start()
}

// session waits for the n-th finished session.
func (h *house) session(n int) *acs.Session {
	h.t.Helper()
	return h.sessionOf(h.acs, n)
}

func (h *house) sessionOf(s *acs.Server, n int) *acs.Session {
	h.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 24*time.Hour)
	defer cancel()
	got, err := s.WaitSession(ctx, func(s *acs.Session) bool { return s.Number == n })
	if err != nil {
		h.t.Fatalf("no session %d: %v", n, err)
	}
	synctest.Wait()
	return got
}

// good waits for the n-th session, which must end as it should.
func (h *house) good(n int) *acs.Session {
	h.t.Helper()
	s := h.session(n)
	if s.Err != nil {
		h.t.Fatalf("session %d: %v", s.Number, s.Err)
	}
	return s
}

// none fails the test if more than n sessions come within a while.
func (h *house) none(n int, within time.Duration) {
	h.t.Helper()
	time.Sleep(within)
	synctest.Wait()
	if all := h.acs.Sessions(); len(all) != n {
		h.t.Fatalf("%d sessions, want %d", len(all), n)
	}
}

func events(s *acs.Session) string {
	var out []string
	for _, e := range s.Inform.Events {
		text := e.Code
		if e.CommandKey != "" {
			text += " [" + e.CommandKey + "]"
		}
		out = append(out, text)
	}
	return strings.Join(out, ", ")
}

func (h *house) wantEvents(s *acs.Session, want ...string) {
	h.t.Helper()
	if got := events(s); got != strings.Join(want, ", ") {
		h.t.Errorf("session %d: events %q, want %q", s.Number, got, want)
	}
}

// status is what `gatehouse status` shows.
func (h *house) status() api.Status {
	h.t.Helper()
	st, err := h.agent.API().Status(root)
	if err != nil {
		h.t.Fatal(err)
	}
	return st
}

// get reads one parameter at the vendor's door.
func (h *house) get(path string) string {
	h.t.Helper()
	for v, err := range h.agent.API().Get(context.Background(), root, []string{path}) {
		if err != nil {
			h.t.Fatal(err)
		}
		return v.Value
	}
	h.t.Fatalf("%s: no value", path)
	return ""
}

// talk lets the ACS do something in the next session, which it calls for. The
// script's error ends the test.
func (h *house) talk(f acs.Script) *acs.Session {
	h.t.Helper()
	h.acs.Queue("", f)
	n := len(h.acs.Sessions())
	h.knock()
	s := h.session(n + 1)
	if s.Err != nil {
		h.t.Fatalf("session %d: %v", s.Number, s.Err)
	}
	return s
}

// knock sends a connection request in the manner of GenieACS.
func (h *house) knock() acs.Reached {
	h.t.Helper()
	r, err := h.acs.ConnectionRequest(context.Background(), cpe, crUser, crPass)
	if err != nil {
		h.t.Fatalf("connection request: %v", err)
	}
	return r
}

// logbook keeps what somebody writes.
type logbook struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *logbook) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

func (l *logbook) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}

func (l *logbook) has(text string) bool { return strings.Contains(l.String(), text) }

func (l *logbook) tail() string {
	const most = 20_000
	text := l.String()
	if len(text) > most {
		text = "…" + text[len(text)-most:]
	}
	return text
}
