package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	"golang.org/x/sys/unix"

	"gatehouse/agent/app"
	"gatehouse/platform/fake"
)

// TestMain lets the scripts run this command as a process of its own.
func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"gatehouse": main})
}

// TestScripts runs testdata/script: the command line as a person types it, with
// an agent on an almost empty root. It needs no rights and changes nothing outside.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir: "testdata/script",
		Setup: func(e *testscript.Env) error {
			for name, text := range map[string]string{
				"conf":                                "config cpe 'cpe'\n\toption manufacturer_oui '0011AA'\n\toption serial_number 'S1'\n\toption http_connection_request '0'\n",
				"root/proc/uptime":                    "1000.00 900.00\n",
				"root/proc/meminfo":                   "MemTotal: 1000 kB\nMemFree: 500 kB\nMemAvailable: 600 kB\n",
				"root/proc/sys/kernel/hostname":       "router\n",
				"root/proc/sys/kernel/random/boot_id": "11111111-2222-3333-4444-555555555555\n",
			} {
				path := filepath.Join(e.WorkDir, name)
				if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o700), os.WriteFile(path, []byte(text), 0o600)); err != nil {
					return err
				}
			}
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			// answers waits until an agent of another process answers in the run
			// directory: nothing but its socket tells that.
			"answers": func(ts *testscript.TestScript, neg bool, args []string) {
				for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(time.Millisecond) {
					conn, err := net.Dial("unix", filepath.Join(ts.MkAbs(args[0]), app.SocketName))
					if err == nil {
						conn.Close()
						return
					}
					if time.Now().After(deadline) {
						ts.Fatalf("nobody answers: %v", err)
					}
				}
			},
		},
	})
}

// A house is an agent on a router in memory, in this process.
type house struct {
	*testing.T
	router *fake.Router
	run    string
}

func build(t *testing.T) *house {
	t.Helper()
	h := &house{T: t, router: fake.New(), run: filepath.Join(t.TempDir(), "run")}
	conf := filepath.Join(t.TempDir(), "conf")
	if err := os.WriteFile(conf, []byte("config cpe 'cpe'\n\toption http_connection_request '0'\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	up, done := make(chan struct{}), make(chan error, 1)
	cfg := app.Config{
		Platform: h.router.Platform(), Version: "test", ConfigFile: conf, State: filepath.Join(t.TempDir(), "state"), Run: h.run,
		Listen: func(ctx context.Context, network, address string) (net.Listener, error) {
			l, err := new(net.ListenConfig).Listen(ctx, network, address)
			if err == nil && network == "unix" {
				close(up)
			}
			return l, err
		},
		Log: slog.New(slog.DiscardHandler),
	}
	go func() { done <- app.Run(ctx, cfg) }()
	t.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	select {
	case <-up:
	case err := <-done:
		t.Fatal(err)
	}
	return h
}

// do is one command line with its output in a pipe or, with a terminal, on it.
func (h *house) do(ctx context.Context, terminal bool, args ...string) (code int, out, errs string) {
	h.Helper()
	r, w, err := os.Pipe()
	if terminal {
		r, w, err = pty()
	}
	if err != nil {
		h.Fatal(err)
	}
	defer r.Close()
	text := make(chan string)
	go func() {
		var b bytes.Buffer
		b.ReadFrom(r) // a terminal ends with EIO
		text <- b.String()
	}()
	var stderr bytes.Buffer
	code = execute(ctx, append(args[:1:1], append([]string{"--run", h.run}, args[1:]...)...), w, &stderr)
	w.Close()
	return code, strings.ReplaceAll(<-text, "\r\n", "\n"), stderr.String()
}

// pty opens a terminal of 80 columns.
func pty() (master, terminal *os.File, err error) {
	if master, err = os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0); err != nil {
		return nil, nil, err
	}
	fd := int(master.Fd())
	n, err := unix.IoctlGetUint32(fd, unix.TIOCGPTN)
	if err != nil {
		return nil, nil, err
	}
	if err := unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0); err != nil {
		return nil, nil, err
	}
	if err := unix.IoctlSetWinsize(fd, unix.TIOCSWINSZ, &unix.Winsize{Row: 24, Col: 80}); err != nil {
		return nil, nil, err
	}
	terminal, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|unix.O_NOCTTY, 0)
	return master, terminal, err
}

// TestCommands on a router in memory: what each prints in a pipe, and its exit
// code. Each line builds on the ones before.
func TestCommands(t *testing.T) {
	h := build(t)
	const a = "Device.IP.Interface.2.IPv4Address."
	tests := []struct {
		args      string
		code      int
		out, errs string // regular expressions for all of it
	}{
		{"get Device.IP.Interface.2.Name", 0, "eth0\n", ""},
		{"get Device.IP.Interface.*.Name", 0, "(Device.IP.Interface.[0-9].Name\t[a-z0-9-]+\n){3}", ""},
		{"get Device.IP.Interface.2.Name Device.IP.Interface.2.Type", 0, "Device.IP.Interface.2.Name\teth0\nDevice.IP.Interface.2.Type\tNormal\n", ""},
		{"get --json Device.IP.Interface.2.Name", 0, `{"name":"Device.IP.Interface.2.Name","value":"eth0","type":"string","writable":false}` + "\n", ""},
		{"get --origin Device.DeviceInfo.ProvisioningCode", 0, "Device.DeviceInfo.ProvisioningCode\t\tdefault\n", ""},
		{"get", 2, "", "gatehouse get: which PATH.*--help.*\n"},
		{"get Device.IP", 1, "", "gatehouse get: Device.IP: .*`gatehouse names --next Device.` lists.*\n"},
		{"names --next Device.DNS.", 0, "Device.DNS.SupportedRecordTypes\tr\tstring\nDevice.DNS.Client.\tr\tobject\nDevice.DNS.Relay.\tr\tobject\n", ""},
		{"add " + a + " IPAddress=192.0.2.9 SubnetMask=255.255.255.0 Alias=mine", 0, a + "1.\n", ""},
		{"get " + a + "[mine].IPAddress", 0, "192.0.2.9\n", ""},
		{"set --dry-run " + a + "1.Enable=true", 0,
			"(?s)" + a + "1.Enable\t.*kept-ipv4-addresses .* Enable\tfalse → true\n.*kernel address of eth0\t→ 192.0.2.9/24\n" +
				"no service would be reloaded; the way to the ACS would be interrupted; nothing was changed\n", ""},
		{"set --dry-run --json " + a + "1.Enable=true", 0, `\{"writes":\[\{"name":"` + a + `1.Enable",.*"reloads":\[\],"uplink":true\}` + "\n", ""},
		{"get " + a + "1.Status", 0, "Disabled\n", ""},
		{"set --dry-run " + a + "1.Enable=maybe", 1, "", "gatehouse set: " + a + "1.Enable: invalid parameter value.*\n"},
		{"set " + a + "1.Enable=true", 0, "set\n", ""},
		{"get " + a + "1.Status", 0, "Enabled\n", ""},
		{"set Device.IP.Interface.2.Name=x Device.Nope=1 " + a + "1.IPAddress=x", 1, "",
			"gatehouse set: Device.IP.Interface.2.Name: .*read-only.*\ngatehouse set: Device.Nope: .*\ngatehouse set: " + a + "1.IPAddress: .*\n"},
		{"set " + a + "1.IPAddress", 2, "", `gatehouse set: ".*" is not NAME=VALUE .*` + "\n"},
		{"set --dryrun " + a + "1.Enable=false", 2, "", ".*dryrun.*\n"},
		{"del " + a + "1", 0, "deleted\n", ""},
		{"del " + a + "1", 1, "", "gatehouse del: .*\n"},
		{"add Device.Ethernet.Interface", 1, "", "gatehouse add: .*denied.*\n"},
		{"attrs Device.DeviceInfo.SoftwareVersion", 0, "Device.DeviceInfo.SoftwareVersion\t2\tactive\tSubscriber\n", ""},
		{"attrs --notify 1 Device.DeviceInfo.UpTime", 0, "set\n", ""},
		{"attrs Device.DeviceInfo.UpTime", 0, "Device.DeviceInfo.UpTime\t1\tpassive\tSubscriber\n", ""},
		{"attrs --notify 9 Device.DeviceInfo.UpTime", 1, "", "gatehouse attrs: .*\n"},
		{"set Device.ManagementServer.Password=top-secret", 0, "set\n", ""},
		{"get Device.ManagementServer.Password", 0, "\n", ""},
		{"set Device.DeviceInfo.ProvisioningCode=", 0, "set\n", ""},
		{"inform", 1, "", "gatehouse inform: .*Device.ManagementServer.URL is not set\n"},
		{"status", 0, "state\tidle.*\nACS\t-\nlast session\tnone yet\n(.*\n)*retry count\t0\n(.*\n)*", ""},
		{"status --json", 0, `{"state":"idle",.*}` + "\n", ""},
		{"reload", 0, "read; nothing has changed\n", ""},
		{"status now", 2, "", ".*takes no arguments.*\n"},
		{"dance", 2, "", "gatehouse: there is no command \"dance\".*\n"},
		{"get --run /nonexistent Device.", 3, "", "gatehouse get: no agent answers at /nonexistent/control;.*\n"},
	}
	for _, tt := range tests {
		code, out, errs := h.do(t.Context(), false, strings.Fields(tt.args)...)
		if code != tt.code || !match(tt.out, out) || !match(tt.errs, errs) {
			t.Errorf("gatehouse %s: exit %d, want %d\nout %q\nwant %q\nerr %q\nwant %q", tt.args, code, tt.code, out, tt.out, errs, tt.errs)
		}
	}
}

func match(pattern, text string) bool {
	return regexp.MustCompile(`\A` + pattern + `\z`).MatchString(text)
}

// TestTerminal: columns and colour for a person, and a name that holds control
// bytes cannot drive the terminal.
func TestTerminal(t *testing.T) {
	h := build(t)
	t.Setenv("TERM", "xterm")
	t.Setenv("NO_COLOR", "")
	h.router.SetHostname("a\x1b[31mb")
	code, out, errs := h.do(t.Context(), true, "get", "Device.DeviceInfo.HostName", "Device.DeviceInfo.UpTime")
	want := "\x1b[36mDevice.DeviceInfo.HostName\x1b[0m  a\\x1b[31mb\n\x1b[36mDevice.DeviceInfo.UpTime\x1b[0m    "
	if code != 0 || !strings.HasPrefix(out, want) {
		t.Errorf("exit %d, %q, %s\nwant %q", code, out, errs, want)
	}
	t.Setenv("NO_COLOR", "1")
	_, out, _ = h.do(t.Context(), true, "names", "--next", "Device.DNS.")
	if out != "Device.DNS.SupportedRecordTypes  r  string\nDevice.DNS.Client.               r  object\nDevice.DNS.Relay.                r  object\n" {
		t.Errorf("%q", out)
	}
	t.Setenv("NO_COLOR", "")
	if _, out, _ = h.do(t.Context(), true, "get", "--json", "Device.DNS.SupportedRecordTypes"); strings.Contains(out, "\x1b") || !strings.HasPrefix(out, "{") {
		t.Errorf("JSON on a terminal: %q", out)
	}
}

// TestLeftOut: what a source did not tell is said, and the rest is there.
func TestLeftOut(t *testing.T) {
	h := build(t)
	h.router.FailRead(fake.Neighbors, errors.New("netlink is gone"))
	code, out, errs := h.do(t.Context(), false, "get", "Device.")
	if code != 0 || !strings.Contains(out, "Device.DeviceInfo.UpTime\t") || !match("(gatehouse get: Device\\..* is left out: .*netlink is gone\n)+", errs) {
		t.Errorf("exit %d, %d bytes, %q", code, len(out), errs)
	}
}

// TestWatchCommand tells what happens, line by line, until it is interrupted,
// which is no failure.
func TestWatchCommand(t *testing.T) {
	h := build(t)
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	ctx, interrupt := context.WithCancel(t.Context())
	done := make(chan int, 1)
	var stderr bytes.Buffer
	go func() {
		defer w.Close()
		done <- execute(ctx, []string{"watch", "--run", h.run, "Device.IP.Interface.*.Status"}, w, &stderr)
	}()
	line := func() string {
		var b []byte
		for one := make([]byte, 1); ; {
			if _, err := r.Read(one); err != nil {
				t.Fatalf("%v; %s", err, &stderr)
			}
			if one[0] == '\n' {
				return string(b)
			}
			b = append(b, one[0])
		}
	}
	for range 3 {
		line()
	}
	h.router.SetLink("eth0", false)
	if got := line(); got != "Device.IP.Interface.2.Status\tDown" {
		t.Errorf("told %q", got)
	}
	h.router.RemoveLink("eth0")
	if got := line(); got != "Device.IP.Interface.2.\tgone" {
		t.Errorf("told %q", got)
	}
	interrupt()
	if code := <-done; code != 0 {
		t.Errorf("exit %d: %s", code, &stderr)
	}
}

// TestInterrupted: a command that did not come to its end is no success.
func TestInterrupted(t *testing.T) {
	h := build(t)
	ctx, interrupt := context.WithCancel(t.Context())
	interrupt()
	if code, _, errs := h.do(ctx, false, "set", "Device.DeviceInfo.ProvisioningCode=x"); code != 1 || errs != "gatehouse set: interrupted\n" {
		t.Errorf("exit %d: %q", code, errs)
	}
}
