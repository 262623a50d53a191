package metrics_test

import (
	"bufio"
	"bytes"
	"context"
	"flag"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"gatehouse/agent/api"
	"gatehouse/agent/metrics"
)

var update = flag.Bool("update", false, "write the golden file anew")

func status() api.Status {
	at := time.Unix(1_700_000_000, 500_000_000).UTC()
	return api.Status{
		State: "waiting", Sessions: 9, Failures: 4, RetryCount: 2, Succeeded: at, NextAttempt: at.Add(time.Minute),
		Channels: []api.Channel{
			{Name: "cwmp", Up: true, LastOK: at},
			{Name: "rue", Servers: []api.Server{{Name: "a.example", Address: "192.0.2.1:443", BlockedUntil: at}, {Name: "b.example", Address: "192.0.2.2:443"}}},
		},
		Pending: []string{"1 BOOT", "4 VALUE CHANGE"}, Version: `1.2 "x\` + "\n", Platform: "linux\xff", FlashWrites: 7,
		Counters: api.Counters{
			Failures: map[api.Kind]uint64{api.FailedDNS: 1, api.FailedTLS: 3}, Retries: 3,
			ConnectionRequests: map[string]api.Requests{"udp": {Accepted: 1}, "http": {Accepted: 1 << 40, Limited: 2, Refused: 3}},
			Watched:            12, Changed: 1, FlashBytes: 4096,
			Blocked: []api.Endpoint{{Address: "[2001:db8::1]:443", Until: at}},
		},
	}
}

// TestText against a file that a person can read.
func TestText(t *testing.T) {
	const golden = "testdata/metrics.txt"
	st := status()
	var b bytes.Buffer
	if err := metrics.Write(&b, &st); err != nil {
		t.Fatal(err)
	}
	if *update {
		if err := os.WriteFile(golden, b.Bytes(), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if b.String() != string(want) {
		t.Errorf("write it anew with -update if this is right:\n%s", &b)
	}
}

// TestFormat: what the text format asks for, whatever the numbers are: every
// sample under a head of its own name, and no name twice.
func TestFormat(t *testing.T) {
	for _, st := range []api.Status{{}, status()} {
		var b bytes.Buffer
		if err := metrics.Write(&b, &st); err != nil {
			t.Fatal(err)
		}
		seen, name := map[string]bool{}, ""
		for line := range strings.Lines(b.String()) {
			words := strings.Fields(line)
			switch {
			case strings.HasPrefix(line, "# HELP "):
				if name = words[2]; seen[name] {
					t.Errorf("%s is there twice", name)
				}
				seen[name] = true
			case strings.HasPrefix(line, "# TYPE "):
				if words[2] != name || strings.HasSuffix(name, "_total") != (words[3] == "counter") {
					t.Errorf("%q after %s", line, name)
				}
			default:
				if end := line[len(name)]; !strings.HasPrefix(line, name) || end != ' ' && end != '{' {
					t.Errorf("%q under %s", line, name)
				}
			}
		}
	}
}

// A door is a server on pipes.
type door struct {
	conns  chan net.Conn
	closed chan struct{}
}

func (d *door) Accept() (net.Conn, error) {
	select {
	case c := <-d.conns:
		return c, nil
	case <-d.closed:
		return nil, net.ErrClosed
	}
}
func (d *door) Close() error {
	select {
	case <-d.closed:
	default:
		close(d.closed)
	}
	return nil
}
func (d *door) Addr() net.Addr { return &net.UnixAddr{} }

func open(t *testing.T, port bool) (dial func() net.Conn) {
	d := &door{conns: make(chan net.Conn), closed: make(chan struct{})}
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	s := &metrics.Server{Status: status, Port: port}
	go func() { done <- s.Serve(ctx, d) }()
	t.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return func() net.Conn {
		ours, theirs := net.Pipe()
		d.conns <- theirs
		t.Cleanup(func() { ours.Close() })
		return ours
	}
}

func TestRequests(t *testing.T) {
	tests := []struct {
		port    bool
		request string
		status  int
	}{
		{false, "GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n", 200},
		{false, "GET /metrics?a=b HTTP/1.0\n\n", 200},
		{false, "HEAD /metrics HTTP/1.1\r\nHost: x\r\n\r\n", 200},
		{false, "POST /metrics HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n", 405},
		{false, "GET / HTTP/1.1\r\nHost: x\r\n\r\n", 404},
		{false, "GET /metrics\r\n\r\n", 400},
		{false, "GET /metrics HTTP/2\r\n\r\n", 400},
		{false, "GET /metrics HTTP/1.1\r\nnonsense\r\n\r\n", 400},
		{false, "GET /metrics HTTP/1.1\r\nX: " + strings.Repeat("a", 9<<10) + "\r\n\r\n", 400},
		{true, "GET /metrics HTTP/1.1\r\nHost: 127.0.0.1:9100\r\n\r\n", 200},
		{true, "GET /metrics HTTP/1.1\r\nhost: [::1]:9100\r\n\r\n", 200},
		{true, "GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n", 200},
		{true, "GET /metrics HTTP/1.1\r\nHost: rebound.example:9100\r\n\r\n", 403}, // a web page that was rebound
	}
	for _, tt := range tests {
		conn := open(t, tt.port)()
		go conn.Write([]byte(tt.request))
		method, _, _ := strings.Cut(tt.request, " ")
		resp, err := http.ReadResponse(bufio.NewReader(conn), &http.Request{Method: method})
		if err != nil {
			t.Errorf("%.60q: %v", tt.request, err)
			continue
		}
		body, err := io.ReadAll(resp.Body)
		if resp.StatusCode != tt.status || err != nil || !resp.Close || (method == "HEAD") != (len(body) == 0) {
			t.Errorf("%.60q: %s, %q, %v; want %d", tt.request, resp.Status, body, err, tt.status)
		}
		if tt.status == 200 && (resp.Header.Get("Content-Type") != metrics.ContentType || resp.ContentLength < 1000) {
			t.Errorf("%.60q: %v", tt.request, resp.Header)
		}
	}
}

// TestSilentCallers keep the door shut for five seconds at most.
func TestSilentCallers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dial := open(t, false)
		for range 4 {
			dial()
		}
		began := time.Now()
		conn := dial() // waits for a slot
		go conn.Write([]byte("GET /metrics HTTP/1.1\r\n\r\n"))
		if _, err := io.ReadAll(conn); err != nil {
			t.Error(err)
		}
		if d := time.Since(began); d > 6*time.Second {
			t.Errorf("waited %v", d)
		}
	})
}

// FuzzRequest: whatever somebody says gets one HTTP answer, or none.
func FuzzRequest(f *testing.F) {
	for _, seed := range []string{"GET /metrics HTTP/1.1\r\n\r\n", "GET", "\r\n", "A  HTTP/1.1\n\n", "HEAD /metrics HTTP/1.1\nHost:\n\n"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, request string) {
		conn := open(t, true)()
		go func() {
			conn.Write([]byte(request + "\r\n\r\n"))
		}()
		method, _, _ := strings.Cut(request, " ")
		resp, err := http.ReadResponse(bufio.NewReader(conn), &http.Request{Method: method})
		if err != nil {
			t.Fatalf("%q: %v", request, err)
		}
		resp.Body.Close()
	})
}
