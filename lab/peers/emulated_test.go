package peers

// The binaries for the routers, under an emulator of their processors.

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"gatehouse/lab/acs"
	"gatehouse/lab/rooms"
)

// TestPeerEmulated: the binary of each target starts on the smallest processor
// that it is made for, and completes a session in which the ACS reads all there
// is and writes a value. qemu-user translates the kernel's interface, not all
// of it right: what netlink does not tell there is left out of the model, and
// that must not end the session.
func TestPeerEmulated(t *testing.T) {
	if !rooms.Must() {
		t.Skip("builds six binaries: make check-peers does it")
	}
	for _, target := range []struct{ name, command string }{
		{"mips", "qemu-mips -cpu 24Kc"},
		{"mipsle", "qemu-mipsel -cpu 24Kc"},
		// No floating point unit: an instruction of one is an illegal one.
		{"arm-soft", "qemu-arm -cpu cortex-a7,vfp=off,neon=off"},
		{"arm-vfp", "qemu-arm -cpu cortex-a7"},
		{"arm64", "qemu-aarch64 -cpu cortex-a53"},
		{"amd64", "qemu-x86_64 -cpu qemu64"},
	} {
		t.Run(target.name, func(t *testing.T) {
			command := strings.Fields(target.command)
			rooms.Need(t, "go", command[0])
			if out, err := exec.Command("../../scripts/cross", target.name).CombinedOutput(); err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
			emulate(t, append(command, "../../dist/gatehouse-"+target.name))
		})
	}
}

// emulate runs a binary until the ACS has had its first session, and ends it as
// procd does.
func emulate(t *testing.T, command []string) {
	server, addr := startACS(t, acs.Options{Auth: acs.AuthDigest, Username: "cpe", Password: "secret"})
	read := 0
	server.Script(func(c *acs.Conversation) error {
		all, err := c.GetParameterValues("Device.")
		if err != nil {
			return err
		}
		read = len(all)
		_, err = c.SetParameterValues("k", acs.P("Device.ManagementServer.PeriodicInformInterval", "xsd:unsignedInt", "7200"))
		return err
	})
	dir := t.TempDir()
	path := func(name string) string { return filepath.Join(dir, name) }
	text := config("http://"+addr+"/acs", "cpe", "secret", freePort(t, "tcp"), "\toption serial_number 'emulated'", "\toption manufacturer_oui '00005E'")
	if err := os.WriteFile(path("config"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(path("root"), 0o755); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"proc", "sys"} { // the rest of the root is empty: nothing of this machine is edited
		if err := os.Symlink("/"+name, filepath.Join(path("root"), name)); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.Command(command[0], append(command[1:], "run", "--config", path("config"), "--state", path("state"), "--run", path("run"), "--root", path("root"))...)
	log := &logged{}
	cmd.Stdout, cmd.Stderr = log, log
	cmd.WaitDelay = time.Second
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	said := func() string {
		log.mu.Lock()
		defer log.mu.Unlock()
		return log.b.String()
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	session, err := server.WaitSession(ctx, acs.WithEvent("0 BOOTSTRAP"))
	if err != nil {
		_ = cmd.Process.Kill()
		<-ended
		t.Fatalf("no session: %v\n%s", err, said())
	}
	if session.Err != nil || len(session.Violations) > 0 || session.Device.SerialNumber != "emulated" {
		t.Errorf("the session of %+v: %v, against the rules: %v", session.Device, session.Err, session.Violations)
	}
	if read < 100 {
		t.Errorf("the ACS has read %d parameters", read)
	}
	_ = cmd.Process.Signal(syscall.SIGTERM)
	select {
	case err := <-ended:
		if err != nil {
			t.Errorf("on SIGTERM it ends with %v", err)
		}
	case <-time.After(20 * time.Second): // term_timeout of the init script
		_ = cmd.Process.Kill()
		<-ended
		t.Error("it does not end within 20 s of SIGTERM")
	}
	state, err := os.ReadFile(filepath.Join(path("state"), "settings"))
	if err != nil || !strings.Contains(string(state), "7200") {
		t.Errorf("what the ACS wrote is not kept: %v", err)
	}
	if t.Failed() {
		t.Log(said())
	}
	t.Logf("%d parameters in a session of %s", read, session.End.Sub(session.Start).Round(time.Millisecond))
}
