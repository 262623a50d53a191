package peers

// The ACS found by DHCP: dnsmasq says where it is, busybox's udhcpc asks, our hook
// keeps the answer, the built agent believes it.

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"gatehouse/lab/acs"
	"gatehouse/lab/rooms"
)

// udhcpcScript stands in for netifd's dhcp.script: it sets the interface up, and
// sources what is in udhcpc.user.d.
const udhcpcScript = `#!/bin/sh
INTERFACE=wan
case "$1" in
bound | renew)
	ip addr replace "$ip/24" dev "$interface"
	ip route replace default via "$router" dev "$interface"
	;;
esac
ubus() { echo "$@" >>HEARD; }
(. HOOK "$@")
exit 0
`

// A wire is a router's WAN, with a provider at its other end.
type wire struct {
	*cell
	isp rooms.Room
}

// newWire connects a router with the agent that was built.
func newWire(t *testing.T, built *cell) *wire {
	t.Helper()
	w := &wire{cell: &cell{t: t, room: rooms.New(t), dir: t.TempDir()}, isp: rooms.New(t)}
	rooms.Cable(rooms.End{Room: w.room, Name: "wan0"}, rooms.End{Room: w.isp, Name: "isp0", Addr: "192.0.2.1/24"})
	if err := os.Link(built.path("gatehouse"), w.path("gatehouse")); err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Join(w.root(), "var/run/gatehouse-dhcp"), 0o700); err != nil {
		t.Fatal(err)
	}
	config := "config acs acs\n\toption allow_http 1\nconfig cpe cpe\n\toption serial_number wire\n\toption manufacturer_oui 00005E\n"
	if err := os.WriteFile(w.path("config"), []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	w.start(nil)
	return w
}

// server runs an ACS at the provider's.
func (w *wire) server(port int) *acs.Server {
	w.t.Helper()
	var l net.Listener
	err := w.isp.Within(func() (err error) { l, err = net.Listen("tcp", fmt.Sprintf("192.0.2.1:%d", port)); return err })
	if err != nil {
		w.t.Fatal(err)
	}
	s := acs.New(acs.Options{})
	go s.Serve(l)
	w.t.Cleanup(func() { s.Close() })
	return s
}

// program runs in a room until the test ends; what it says is told when it fails.
func (w *wire) program(room rooms.Room, name string, args ...string) *exec.Cmd {
	w.t.Helper()
	cmd := exec.Command(name, args...)
	log := &logged{}
	cmd.Stdout, cmd.Stderr = log, log
	w.t.Cleanup(func() {
		if w.t.Failed() {
			w.t.Logf("%s\n%s", cmd, log.b.String())
		}
	})
	room.Start(cmd)
	return cmd
}

// dnsmasq gives leases with these options.
func (w *wire) dnsmasq(options ...string) *exec.Cmd {
	w.t.Helper()
	args := strings.Fields("--keep-in-foreground --conf-file=/dev/null --log-facility=- --port=0 --interface=isp0 --bind-interfaces --user=root" +
		" --dhcp-range=192.0.2.50,192.0.2.60,120 --dhcp-authoritative --log-dhcp")
	args = append(args, "--dhcp-leasefile="+w.path("leases"), "--pid-file="+w.path("dnsmasq.pid"))
	for _, o := range options {
		args = append(args, "--dhcp-option="+o)
	}
	return w.program(w.isp, "dnsmasq", args...)
}

// udhcpc asks as OpenWrt does, with our hook, and sees as /var/run that of the
// agent's root.
func (w *wire) udhcpc() *exec.Cmd {
	w.t.Helper()
	hook, err := filepath.Abs("../../openwrt/files/etc/udhcpc.user.d/gatehouse")
	if err != nil {
		w.t.Fatal(err)
	}
	script := strings.NewReplacer("HEARD", w.path("heard"), "HOOK", hook).Replace(udhcpcScript)
	if err := os.WriteFile(w.path("dhcp.script"), []byte(script), 0o700); err != nil {
		w.t.Fatal(err)
	}
	return w.program(w.room, "unshare", "-m", "sh", "-c", "mount --bind "+filepath.Join(w.root(), "var/run")+" /var/run/ && "+
		"exec busybox udhcpc -f -t 20 -T 1 -A 1 -i wan0 -s "+w.path("dhcp.script")+" -V dslforum.org -O 43 -O 125")
}

// TestPeerDHCP: the router knows no ACS; its lease says where one is, in option
// 43 or 125, and after a renewal that it is another one.
func TestPeerDHCP(t *testing.T) {
	rooms.Need(t, "go", "ip", "dnsmasq", "busybox", "unshare", "mount")
	built := &cell{t: t, dir: t.TempDir()}
	built.build()
	for name, options := range map[string]func(url string) []string{
		"option 43": func(url string) []string {
			return []string{"vendor:dslforum.org,1," + url, "vendor:dslforum.org,2,home-7"}
		},
		"option 125": func(url string) []string {
			return []string{"vi-encap:9,1,other", "vi-encap:3561,11," + url, "vi-encap:3561,12,home-7"}
		},
		"bare URL": func(url string) []string { return []string{"43," + url} },
	} {
		t.Run(name, func(t *testing.T) {
			w := newWire(t, built)
			first, second := w.server(80), w.server(8080)
			server := w.dnsmasq(options("http://192.0.2.1/acs")...)
			client := w.udhcpc()
			s := waitFor(t, first, "0 BOOTSTRAP")
			if code, _ := s.Inform.Parameters.Get("Device.DeviceInfo.ProvisioningCode"); (code == "home-7") != (name != "bare URL") {
				t.Errorf("ProvisioningCode %q", code)
			}
			_ = server.Process.Kill()
			_ = server.Wait()
			w.dnsmasq(options("http://192.0.2.1:8080/acs")...)
			if err := client.Process.Signal(syscall.SIGUSR1); err != nil { // as `ubus call network.interface.wan renew` has netifd do
				t.Fatal(err)
			}
			waitFor(t, second, "0 BOOTSTRAP")
			if heard, err := os.ReadFile(w.path("heard")); err != nil || !strings.HasPrefix(string(heard), `send cwmp.dhcp {"interface":"wan"}`+"\n") {
				t.Errorf("the event is %q, %v", heard, err)
			}
		})
	}
}
