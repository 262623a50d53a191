//go:build !no_dbus

package app_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"gatehouse/agent/api"
	"gatehouse/agent/app"
	"gatehouse/lab/acs"
	"gatehouse/lab/rooms"
	"gatehouse/platform/fake"
)

// ofSystem is a system bus, as system.conf of Debian and OpenWrt has it, with
// the shipped policy.
const ofSystem = `<busconfig>
  <type>system</type><listen>unix:path=%s/bus</listen><auth>EXTERNAL</auth>
  <policy context="default">
    <allow user="*"/><deny own="*"/><deny send_type="method_call"/><allow send_type="signal"/>
    <allow send_requested_reply="true" send_type="method_return"/><allow send_requested_reply="true" send_type="error"/>
    <allow receive_type="method_call"/><allow receive_type="method_return"/><allow receive_type="error"/><allow receive_type="signal"/>
    <allow send_destination="org.freedesktop.DBus" send_interface="org.freedesktop.DBus"/>
    <allow send_destination="org.freedesktop.DBus" send_interface="org.freedesktop.DBus.Introspectable"/>
  </policy>
  <include>%s</include>
</busconfig>
`

func systemBus(t *testing.T) (address string, restart func()) {
	t.Helper()
	rooms.Need(t, "dbus-daemon")
	if os.Geteuid() != 0 {
		t.Skip("the shipped policy lets only root have the name")
	}
	dir, err := os.MkdirTemp("", "gh-bus") // a short path: it is a socket's
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil { // vendors are others
		t.Fatal(err)
	}
	policy, err := filepath.Abs("../../openwrt/dbus/org.gatehouse1.conf")
	if err != nil {
		t.Fatal(err)
	}
	write(t, dir+"/system.conf", fmt.Sprintf(ofSystem, dir, policy))
	var cmd *exec.Cmd
	stop := func() { cmd.Process.Kill(); cmd.Wait() }
	start := func() {
		os.Remove(dir + "/bus")
		cmd = exec.Command("dbus-daemon", "--config-file="+dir+"/system.conf", "--nofork", "--nopidfile", "--print-address=1")
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		if _, err := bufio.NewReader(out).ReadString('\n'); err != nil {
			t.Fatal("dbus-daemon does not start: ", err)
		}
		if err := os.Chmod(dir+"/bus", 0o777); err != nil {
			t.Fatal(err)
		}
	}
	start()
	t.Cleanup(func() { stop() })
	return "unix:path=" + dir + "/bus", func() { stop(); start() }
}

// examples are the vendors of docs/examples: how each is made, and run.
var examples = map[string]func(t *testing.T, dir string) *exec.Cmd{
	"C": func(t *testing.T, dir string) *exec.Cmd {
		flags, err := exec.Command("pkg-config", "--cflags", "--libs", "libsystemd").Output()
		if err != nil {
			rooms.Lacking(t, "needs libsystemd-dev: make check-peers, as root, installs it: %v", err)
		}
		args := append([]string{"-Wall", "-Wextra", "-Werror", "-Wno-unused-parameter", "-o", dir + "/acme", "../../docs/examples/c/acme-led.c"}, strings.Fields(string(flags))...)
		if out, err := exec.Command("cc", args...).CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		return exec.Command(dir + "/acme")
	},
	"PY": func(t *testing.T, dir string) *exec.Cmd {
		if err := exec.Command("/usr/bin/python3", "-c", "import dbus, gi").Run(); err != nil {
			rooms.Lacking(t, "needs python3-dbus and python3-gi: make check-peers, as root, installs them: %v", err)
		}
		return exec.Command("/usr/bin/python3", "-B", "../../docs/examples/python/acme_led.py")
	},
	"GO": func(t *testing.T, dir string) *exec.Cmd {
		if out, err := exec.Command("go", "build", "-o", dir+"/acme", "gatehouse/docs/examples/go").CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		return exec.Command(dir + "/acme")
	},
}

// vendorUID is bin, of whom the configuration knows what it may do.
const vendorUID = 2

// TestPeerExamples: what a vendor copies from docs/examples works: the ACS
// reads, writes, adds and deletes its objects, through a whole agent and a real
// bus with the shipped policy, and the vendors need not be root.
func TestPeerExamples(t *testing.T) {
	address, restart := systemBus(t)
	server := acs.New(acs.Options{})
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go server.Serve(l)
	defer server.Close()
	agent := onBus(t, address, "http://"+l.Addr().String()+"/")
	if _, err := server.WaitSession(t.Context(), acs.Any); err != nil {
		t.Fatal(err)
	}
	for name, make := range examples {
		t.Run(name, func(t *testing.T) {
			dir, err := os.MkdirTemp("", "gh-acme")
			if err != nil {
				t.Fatal(err)
			}
			defer os.RemoveAll(dir)
			if err := os.Chmod(dir, 0o755); err != nil { // it runs as another user
				t.Fatal(err)
			}
			cmd := make(t, dir)
			cmd.Env = append(os.Environ(), "DBUS_SYSTEM_BUS_ADDRESS="+address)
			cmd.Stderr = os.Stderr
			cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: vendorUID, Gid: vendorUID}}
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			led, colour := "Device.X_ACME"+name+"_Led.", "Device.Ethernet.Interface.*.X_ACME"+name+"_Colour"
			comes(t, agent, led+"1.Enable", true)
			comes(t, agent, colour, true)
			s := session(t, server, agent, func(c *acs.Conversation) error { return drive(c, led, "X_ACME"+name+"_Colour") })
			if len(s.Violations) > 0 || s.Err != nil {
				t.Errorf("%v, %v", s.Err, s.Violations)
			}
			cmd.Process.Kill()
			cmd.Wait()
			comes(t, agent, led, false)
		})
	}
	t.Run("bus restarts", func(t *testing.T) { busRestarts(t, agent, address, restart) })
}

// busRestarts: the agent comes back with the bus, and so does a vendor that is
// started anew.
func busRestarts(t *testing.T, agent *app.Agent, address string, restart func()) {
	run := func() *exec.Cmd {
		cmd := examples["PY"](t, "")
		cmd.Env = append(os.Environ(), "DBUS_SYSTEM_BUS_ADDRESS="+address)
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		return cmd
	}
	const led = "Device.X_ACMEPY_Led.1.Enable"
	first := run()
	comes(t, agent, led, true)
	restart()
	comes(t, agent, led, false)
	first.Wait() // it ends with the bus
	second := run()
	defer func() { second.Process.Kill(); second.Wait() }()
	comes(t, agent, led, true)
}

// onBus is a whole agent on real files, a real bus, and a router in memory.
func onBus(t *testing.T, address, url string) *app.Agent {
	t.Helper()
	dir := t.TempDir()
	write(t, dir+"/gatehouse", "config acs 'acs'\n\toption url '"+url+"'\n\toption allow_http '1'\n\toption periodic_inform_enable '0'\n"+
		"config api 'api'\n\tlist allow 'bin register Device.X_ACME'\n\tlist allow 'bin register Device.Ethernet.Interface.*.X_ACME'\n"+
		"config cpe 'cpe'\n\toption http_connection_request '0'\nconfig dbus 'dbus'\n\toption address '"+address+"'\n")
	ready, done := make(chan *app.Agent, 1), make(chan error, 1)
	ctx, stop := context.WithCancel(context.Background())
	go func() {
		done <- app.Run(ctx, app.Config{
			Platform: fake.New().Platform(), Version: "test", ConfigFile: dir + "/gatehouse", State: dir + "/state", Run: dir + "/run",
			ResolvConf: "/nonexistent", Hosts: "/nonexistent", Ready: func(a *app.Agent) { ready <- a },
			Log: slog.New(slog.NewTextHandler(verbose(t), nil)),
		})
	}()
	t.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	select {
	case a := <-ready:
		return a
	case err := <-done:
		t.Fatal(err)
	}
	return nil
}

func verbose(t *testing.T) io.Writer {
	if os.Getenv("BUS_LOG") != "" {
		return os.Stderr
	}
	return io.Discard
}

// comes waits until a path is there, or is not.
func comes(t *testing.T, a *app.Agent, path string, want bool) {
	t.Helper()
	ctx, stop := context.WithTimeout(t.Context(), 20*time.Second)
	defer stop()
	for {
		there := false
		for v, err := range a.API().Get(ctx, root, []string{path}) {
			there = there || err == nil && v.LeftOut == ""
		}
		if there == want {
			return
		}
		wait, enough := context.WithTimeout(ctx, 10*time.Millisecond)
		<-wait.Done()
		enough()
		if ctx.Err() != nil {
			t.Fatalf("%s: never %v", path, want)
		}
	}
}

func session(t *testing.T, server *acs.Server, a *app.Agent, script acs.Script) *acs.Session {
	t.Helper()
	before := len(server.Sessions())
	server.Script(script)
	if err := a.API().Inform(t.Context(), api.Caller{Name: "test", Rights: api.Everything}, ""); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithTimeout(t.Context(), 20*time.Second)
	defer stop()
	s, err := server.WaitSession(ctx, func(*acs.Session) bool { return len(server.Sessions()) > before })
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// drive is what the ACS does with an example.
func drive(c *acs.Conversation, led, colour string) error {
	ports, err := c.GetParameterValues("Device.Ethernet.Interface.")
	if err != nil {
		return err
	}
	for _, p := range ports {
		if strings.HasSuffix(p.Name, "."+colour) {
			colour = p.Name
		}
	}
	if _, err := c.SetParameterValues("k1", acs.P(led+"1.Brightness", "xsd:unsignedInt", "7"), acs.P(colour, "xsd:string", "blue")); err != nil {
		return err
	}
	if err := holds(c, led+"1.Brightness", "7"); err != nil {
		return err
	}
	if err := holds(c, colour, "blue"); err != nil {
		return err
	}
	_, err = c.SetParameterValues("k2", acs.P(led+"1.Brightness", "xsd:unsignedInt", "13"), acs.P(colour, "xsd:string", "red"))
	var fault *acs.Fault
	if !errors.As(err, &fault) || !strings.Contains(fmt.Sprintf("%+v", *fault), "unlucky") {
		return fmt.Errorf("13 was to be refused by name: %v", err)
	}
	if err := holds(c, colour, "blue"); err != nil {
		return err
	}
	n, _, err := c.AddObject(led, "k3")
	if err != nil {
		return err
	}
	row := fmt.Sprintf("%s%d.", led, n)
	if _, err := c.SetParameterValues("k4", acs.P(row+"Enable", "xsd:boolean", "1")); err != nil {
		return err
	}
	if err := holds(c, row+"Enable", "true"); err != nil {
		return err
	}
	if _, err := c.DeleteObject(row, "k5"); err != nil {
		return err
	}
	return holds(c, strings.TrimSuffix(led, ".")+"NumberOfEntries", "2")
}

func holds(c *acs.Conversation, name, want string) error {
	vs, err := c.GetParameterValues(name)
	if err != nil {
		return err
	}
	if len(vs) != 1 || vs[0].Value != want && !(want == "true" && vs[0].Value == "1") {
		return fmt.Errorf("%s is %v, want %s", name, vs, want)
	}
	return nil
}

// TestNoBus: without one the agent says so once, and looks for it less and
// less often.
func TestNoBus(t *testing.T) {
	story(t, acs.Options{}, config(), func(t *testing.T, h *house) {
		h.start()
		time.Sleep(time.Minute)
		if n := strings.Count(h.log.String(), "no D-Bus here"); n != 1 {
			t.Errorf("it was said %d times", n)
		}
		before := strings.Count(h.log.String(), "still no D-Bus")
		time.Sleep(10 * time.Hour)
		if n := strings.Count(h.log.String(), "still no D-Bus") - before; n > 10*12+5 || strings.Count(h.log.String(), "no D-Bus here") > 1 {
			t.Errorf("it was looked for %d times in ten hours", n)
		}
	})
}
