package app_test

import (
	"bytes"
	"context"
	"fmt"
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
	"gatehouse/platform/fake"
)

// Where everybody lives (RFC 5737).
const (
	acsIP   = "198.51.100.10"
	otherIP = "198.51.100.20"
	wanIP   = "203.0.113.17" // of the router in memory
	cpe     = "00005E-00005E005301"
	acsURL  = "http://acs.example.net/cwmp"
)

// root may do everything.
var root = api.Caller{Name: "test", Rights: api.Everything}

// A house is a router with the agent on it, an ACS, and the network between
// them, all in memory.
type house struct {
	t      *testing.T
	net    *pipe.Network
	router *fake.Router
	state  *storetest.FS // of the flash
	ram    *storetest.FS // of the run directory
	acs    *acs.Server
	log    *logbook
	conf   string   // path of the configuration file
	broken []string // rules that the agent is expected to break

	edit   func(*app.Config) // last word on the agent's configuration
	wan    string            // where the agent dials from
	agent  *app.Agent
	ready  chan *app.Agent // says when it is up
	reload chan struct{}
	stop   context.CancelFunc
	done   chan error
}

// config is the configuration that most stories begin with; more is appended.
func config(more ...string) string {
	return `config acs 'acs'
	option url '` + acsURL + `'
	option allow_http '1'
	option userid 'cpe'
	option passwd 'secret'
	option periodic_inform_enable '0'
config cpe 'cpe'
	option userid 'acs'
	option passwd 'knock'
` + strings.Join(more, "\n") + "\n"
}

// story runs f in a bubble with a house whose agent is not started yet. The
// ACS must have had nothing to complain of.
func story(t *testing.T, o acs.Options, conf string, f func(t *testing.T, h *house)) {
	t.Helper()
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		h := &house{
			t: t, net: pipe.New(), router: fake.New(), state: storetest.New(), ram: storetest.New(),
			log: new(logbook), conf: filepath.Join(dir, "gatehouse"), wan: wanIP,
			reload: make(chan struct{}, 1),
		}
		h.net.Name("acs.example.net", acsIP)
		h.net.Name("other.example.net", otherIP)
		write(t, filepath.Join(dir, "hosts"), acsIP+" acs.example.net\n"+otherIP+" other.example.net\n")
		write(t, h.conf, conf)
		h.acs = h.server(acsIP+":80", o)
		defer func() {
			if h.stop != nil {
				h.end()
			}
			h.acs.Close()
			for _, v := range h.acs.Violations() {
				if !strings.Contains(strings.Join(h.broken, " "), string(v.Rule)) {
					t.Errorf("the ACS complains: %v", v)
				}
			}
			synctest.Wait()
			if t.Failed() {
				t.Logf("log of the agent:\n%s", h.log)
			}
		}()
		f(t, h)
	})
}

func write(t testing.TB, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
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

// cfg is what an agent is started with.
func (h *house) cfg() app.Config {
	var mu sync.Mutex
	r := rand.New(rand.NewPCG(1, 2))
	c := app.Config{
		Platform:   h.router.Platform(),
		Version:    "1.2.3",
		ConfigFile: h.conf,
		State:      "/state", StateFS: h.state,
		Run: "/run", RunFS: h.ram,
		ResolvConf: "/nonexistent/resolv.conf",
		Hosts:      filepath.Join(filepath.Dir(h.conf), "hosts"),
		Dial: func(ctx context.Context, network, addr string) (net.Conn, error) {
			return h.net.From(h.wan).Dial(ctx, network, addr)
		},
		Listen: func(_ context.Context, network, addr string) (net.Listener, error) {
			if network == "unix" {
				return h.net.Listen("tcp", "192.0.2.1:1")
			}
			return h.net.Listen(network, addr)
		},
		Who:    func(net.Conn) api.Caller { return root },
		Rand:   func(n int64) int64 { mu.Lock(); defer mu.Unlock(); return r.Int64N(n) },
		Reload: h.reload,
		Log:    slog.New(slog.NewTextHandler(h.log, &slog.HandlerOptions{Level: slog.LevelDebug})),
	}
	if h.edit != nil {
		h.edit(&c)
	}
	return c
}

// start starts the agent and returns when it is up.
func (h *house) start() {
	h.t.Helper()
	h.ready = make(chan *app.Agent, 16)
	c := h.cfg()
	c.Ready = func(a *app.Agent) { h.ready <- a }
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- app.Run(ctx, c) }()
	select {
	case h.agent = <-h.ready:
		h.stop, h.done = stop, done
		synctest.Wait() // nobody has anything to do now but to wait
	case err := <-done:
		stop()
		h.t.Fatalf("the agent does not start: %v", err)
	}
}

// end stops the agent as SIGTERM does.
func (h *house) end() {
	h.t.Helper()
	began := time.Now()
	h.stop()
	h.stop = nil
	if err := <-h.done; err != nil {
		h.t.Errorf("the agent ends with %v", err)
	}
	if d := time.Since(began); d > 20*time.Second {
		h.t.Errorf("the agent took %v to end", d)
	}
}

// kill is kill -9, or with another loss a power cut: nothing that the agent
// does from here on reaches a disk.
func (h *house) kill(loss storetest.Loss) {
	h.t.Helper()
	h.state, h.ram = h.state.Restart(loss), h.ram.Restart(loss)
	if loss != storetest.Kill {
		h.ram = storetest.New()
	}
	h.stop()
	h.stop = nil
	<-h.done // whatever it says: its disk is gone
}

// boot is what a restart of the device leaves: the agent's process and what lay
// in memory are gone.
func (h *house) boot() {
	h.t.Helper()
	if h.stop != nil {
		h.end()
	}
	h.ram = storetest.New()
	h.start()
}

// ms is the rest of the model that stories speak of.
const ms = "Device.ManagementServer."

// session waits for the n-th finished session.
func (h *house) session(n int) *acs.Session {
	h.t.Helper()
	return h.sessionAt(h.acs, n)
}

func (h *house) sessionAt(s *acs.Server, n int) *acs.Session {
	h.t.Helper()
	return h.wait(s, fmt.Sprintf("session %d", n), func(s *acs.Session) bool { return s.Number == n })
}

// good waits for the first session after the n-th that goes well.
func (h *house) good(n int) *acs.Session {
	h.t.Helper()
	return h.wait(h.acs, "good session", func(s *acs.Session) bool { return s.Number > n && s.Err == nil })
}

func (h *house) wait(s *acs.Server, what string, want func(*acs.Session) bool) *acs.Session {
	h.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 24*time.Hour)
	defer cancel()
	got, err := s.WaitSession(ctx, want)
	if err != nil {
		h.t.Fatalf("no %s: %v", what, err)
	}
	synctest.Wait()
	return got
}

// none fails the test if there are more sessions than n after a while.
func (h *house) none(n int, after time.Duration) {
	h.t.Helper()
	time.Sleep(after)
	synctest.Wait()
	if all := h.acs.Sessions(); len(all) != n {
		h.t.Fatalf("%d sessions, want %d; the last one with %v", len(all), n, events(all[len(all)-1]))
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

// wantEvents fails the test unless the Inform has exactly these events.
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

// set writes one parameter at the vendor's door.
func (h *house) set(path, value string) {
	h.t.Helper()
	if _, err := h.agent.API().Set(context.Background(), root, []api.Assignment{{Name: path, Value: value}}, false); err != nil {
		h.t.Fatal(err)
	}
}

// knock sends a connection request in the manner of GenieACS.
func (h *house) knock() acs.Reached {
	h.t.Helper()
	r, err := h.acs.ConnectionRequest(context.Background(), cpe, "acs", "knock")
	if err != nil {
		h.t.Fatalf("connection request: %v", err)
	}
	return r
}

// A logbook keeps what the agent logs.
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
	const most = 60_000
	text := l.buf.String()
	if len(text) > most {
		text = "…" + text[len(text)-most:]
	}
	return text
}

// has tells whether something was logged.
func (l *logbook) has(text string) bool { return strings.Contains(l.String(), text) }

type appConfig = app.Config
