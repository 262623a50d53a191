package peers

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"text/template"
	"time"

	"gatehouse/agent/app"
	"gatehouse/lab/acs"
	"gatehouse/platform/fake"
)

// freePort is one that nobody listens on at this moment.
func freePort(t *testing.T, network string) string {
	t.Helper()
	if network == "udp" {
		c, err := net.ListenPacket("udp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		_, port, _ := net.SplitHostPort(c.LocalAddr().String())
		return port
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	_, port, _ := net.SplitHostPort(l.Addr().String())
	return port
}

// fill writes a configuration file made of a template.
func fill(t *testing.T, path, text string, data any) string {
	t.Helper()
	var b bytes.Buffer
	if err := template.Must(template.New("").Parse(text)).Execute(&b, data); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, b.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

// run starts a peer in the foreground and waits until it listens. It ends with
// the test, or when it is killed.
func run(t *testing.T, ready string, name string, args ...string) (kill func()) {
	t.Helper()
	cmd := exec.Command(name, args...)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // it may have children
	cmd.WaitDelay = time.Second
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	gone := make(chan error, 1)
	go func() { gone <- cmd.Wait() }()
	kill = sync.OnceFunc(func() {
		syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
		<-gone
	})
	t.Cleanup(kill)
	deadline := time.Now().Add(10 * time.Second)
	for {
		c, err := net.DialTimeout("tcp", ready, time.Second)
		if err == nil {
			c.Close()
			return kill
		}
		select {
		case err := <-gone:
			gone <- err
			t.Fatalf("%s ended: %v\n%s", name, err, out.String())
		default:
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s does not listen on %s: %v\n%s", name, ready, err, out.String())
		}
	}
}

// startACS runs the lab's ACS on loopback.
func startACS(t *testing.T, o acs.Options) (s *acs.Server, addr string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s = acs.New(o)
	go s.Serve(l)
	t.Cleanup(func() { s.Close() })
	return s, l.Addr().String()
}

// logged keeps an agent's log for when the test fails.
type logged struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logged) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

// startAgent runs an agent on the router in memory and real sockets.
func startAgent(t *testing.T, config string, edit func(*app.Config)) {
	t.Helper()
	dir := t.TempDir()
	path := filepath.Join(dir, "gatehouse")
	if err := os.WriteFile(path, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	log := &logged{}
	cfg := app.Config{
		Platform: fake.New().Platform(), Version: "test",
		ConfigFile: path, State: filepath.Join(dir, "state"), Run: filepath.Join(dir, "run"),
		Log: slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug})),
	}
	if edit != nil {
		edit(&cfg)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- app.Run(ctx, cfg) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("the agent: %v", err)
		}
		if t.Failed() {
			t.Log(log.b.String())
		}
	})
}

// config is the configuration of an agent that goes to url.
func config(url, user, password, port string, more ...string) string {
	return fmt.Sprintf(`config acs 'acs'
	option url '%s'
	option userid '%s'
	option passwd '%s'
	option allow_http '1'

config cpe 'cpe'
	option userid 'knock'
	option passwd 'who is there'
	option port '%s'
%s`, url, user, password, port, strings.Join(more, "\n"))
}

// waitFor returns the first session with the event.
func waitFor(t *testing.T, s *acs.Server, event string) *acs.Session {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	got, err := s.WaitSession(ctx, acs.WithEvent(event))
	if err != nil {
		t.Fatalf("no session with %q: %v", event, err)
	}
	if got.Err != nil {
		t.Fatalf("session with %q: %v", event, got.Err)
	}
	return got
}
