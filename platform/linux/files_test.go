// What is read from files: parsers over their texts, and whole machines as
// folders that stand for the root.

package linux

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"gatehouse/platform"
)

// tree makes a root folder; a text that begins with "-> " is a symbolic link.
func tree(t *testing.T, files map[string]string) string {
	t.Helper()
	root := t.TempDir()
	for name, text := range files {
		at := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(at), 0o755); err != nil {
			t.Fatal(err)
		}
		var err error
		if target, ok := strings.CutPrefix(text, "-> "); ok {
			err = os.Symlink(target, at)
		} else {
			err = os.WriteFile(at, []byte(text), 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return root
}

// offline is a backend on a folder, with these links instead of a kernel's.
func offline(t *testing.T, files map[string]string, links ...[]byte) *backend {
	t.Helper()
	b := &backend{paths: layout(tree(t, files)), track: newTracker()}
	b.dump = func(_ context.Context, ask uint16, _ []byte, f func(uint16, []byte) bool) error {
		for _, m := range links {
			f(16, m) // RTM_NEWLINK
		}
		return nil
	}
	return b
}

func TestIdentity(t *testing.T) {
	eth := linkMessage(1, 2, running, "eth0", attr(1, 0, 0, 0x5e, 0, 0x53, 0xab), attr(56, []byte("0000:01:00.0\x00")...))
	made := linkMessage(1, 1, running, "usb0", attr(1, 2, 0, 0x5e, 0, 0x53, 1), attr(56, []byte("1-1:1.0\x00")...))
	veth := linkMessage(1, 3, running, "veth0", attr(1, 0, 0, 0x5e, 0, 0x53, 3), info("veth"))
	radio := linkMessage(1, 1, running, "wlan0", attr(1, 0, 0, 0x5e, 0, 0x53, 4), attr(56, []byte("phy\x00")...))
	for _, c := range []struct {
		name  string
		files map[string]string
		links [][]byte
		want  platform.ID
	}{
		{"a PC", map[string]string{
			"sys/class/dmi/id/sys_vendor": "PC Engines\n", "sys/class/dmi/id/product_name": "apu4\n",
			"sys/class/dmi/id/product_serial": "1234567\n", "sys/class/dmi/id/product_version": "1.0\n",
			"etc/os-release": "PRETTY_NAME=\"Debian GNU/Linux 12 (bookworm)\"\nVERSION_ID=\"12\"\n",
		}, [][]byte{eth}, platform.ID{Manufacturer: "PC Engines", OUI: "00005E", ProductClass: "apu4", SerialNumber: "1234567",
			ModelName: "apu4", Description: "Debian GNU/Linux 12 (bookworm)", HardwareVersion: "1.0", SoftwareVersion: "12"}},
		{"a PC whose vendor filled in nothing", map[string]string{
			"sys/class/dmi/id/sys_vendor": "To Be Filled By O.E.M.\n", "sys/class/dmi/id/product_name": "System Product Name\n",
			"sys/class/dmi/id/product_serial": "Default string\n",
		}, [][]byte{made, eth, veth}, platform.ID{OUI: "00005E", SerialNumber: "00005E0053AB"}},
		{"a Raspberry Pi", map[string]string{
			"proc/device-tree/model": "Raspberry Pi 4 Model B Rev 1.4\x00", "proc/device-tree/serial-number": "10000000abcdef01\x00",
			"proc/device-tree/compatible":       "raspberrypi,4-model-b\x00brcm,bcm2711\x00",
			"usr/lib/os-release":                "VERSION_ID=12\nBUILD_ID=2026-01\n",
			"sys/class/net/wlan0/phy80211/name": "phy0\n",
		}, [][]byte{radio, made}, platform.ID{Manufacturer: "raspberrypi", OUI: "02005E", ProductClass: "Raspberry Pi 4 Model B Rev 1.4",
			SerialNumber: "10000000abcdef01", ModelName: "Raspberry Pi 4 Model B Rev 1.4",
			Description: "raspberrypi Raspberry Pi 4 Model B Rev 1.4", SoftwareVersion: "12-2026-01"}},
		{"a container", nil, [][]byte{veth}, platform.ID{}},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := identity{offline(t, c.files, c.links...)}.ID(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(c.want, got); d != "" {
				t.Error(d)
			}
		})
	}
}

func TestParseProcess(t *testing.T) {
	const rest = " 1 512 512 0 -1 4194560 100 0 5 0 130 70 0 0 20 0 1 0 12345 9000000 600 18446744073709551615 1 1"
	for _, c := range []struct {
		stat string
		want platform.Process
	}{
		{"512 (dnsmasq) S" + rest, platform.Process{Command: "[dnsmasq]", State: "Sleeping", CPUTime: 2 * time.Second, Size: 600 * 4096, Priority: 85}},
		{"7 (evil) R ) Z (x) D" + rest, platform.Process{Command: "[evil) R ) Z (x]", State: "Uninterruptible", CPUTime: 2 * time.Second, Size: 600 * 4096, Priority: 85}},
		{"9 (rcu) I" + strings.Replace(rest, " 20 0 1", " -100 0 1", 1), platform.Process{Command: "[rcu]", State: "Idle", CPUTime: 2 * time.Second, Size: 600 * 4096}},
		{"9 (nice) R" + strings.Replace(rest, " 20 0 1", " 39 19 1", 1), platform.Process{Command: "[nice]", State: "Running", CPUTime: 2 * time.Second, Size: 600 * 4096, Priority: 99}},
		{"9 (z) Z" + rest, platform.Process{Command: "[z]", State: "Zombie", CPUTime: 2 * time.Second, Size: 600 * 4096, Priority: 85}},
		{"9 (t) t" + rest, platform.Process{Command: "[t]", State: "Stopped", CPUTime: 2 * time.Second, Size: 600 * 4096, Priority: 85}},
	} {
		got, err := parseProcess(c.stat, 4096)
		if err != nil || got != c.want {
			t.Errorf("%s:\n%+v\n%+v, %v", c.stat, got, c.want, err)
		}
	}
	for _, bad := range []string{"", "512 dnsmasq S 1", "512 (dnsmasq) S 1 2", "9 (x) S" + strings.Replace(rest, " 130", " many", 1)} {
		if p, err := parseProcess(bad, 4096); err == nil {
			t.Errorf("%q is %+v", bad, p)
		}
	}
	if _, err := parseProcess("9 (x) X"+rest, 4096); !errors.Is(err, errEnded) {
		t.Errorf("a dead process: %v", err)
	}
}

func TestCPUUsage(t *testing.T) {
	root := tree(t, map[string]string{"proc/stat": "cpu 100 0 100 700 100 0 0 0 0 0\ncpu0 1 1 1 1\n"})
	p := &processes{paths: layout(root)}
	for i, c := range []struct {
		stat string
		want uint32
	}{
		{"cpu 100 0 100 700 100 0 0 0 50 50\n", 20},    // since the boot
		{"cpu 175 0 125 790 110 0 0 0 50 50\n", 50},    // of 200 ticks 100
		{"cpu 175 0 125 790 110 0 0 0 50 50\n", 50},    // no time has passed
		{"cpu 100 0 100 700 100 0 0 0 50 50\n", 50},    // counters went back
		{"cpu 100 0 100 1700 100 0 0 0 50 50\n", 0},    // idle
		{"cpu 1100 0 100 1700 100 0 0 0 50 50\n", 100}, // busy
	} {
		if err := os.WriteFile(p.paths.stat, []byte(c.stat), 0o644); err != nil {
			t.Fatal(err)
		}
		if got, err := p.CPUUsage(t.Context()); err != nil || got != c.want {
			t.Errorf("%d: %d, %v, want %d", i, got, err, c.want)
		}
	}
}

func TestMemoryAndUptime(t *testing.T) {
	s := system{layout(tree(t, map[string]string{
		"proc/uptime":  "350735.47 234388.90\n",
		"proc/meminfo": "MemTotal:         123456 kB\nMemFree:           45678 kB\nMemAvailable:      56789 kB\n",
	}))}
	if d, err := s.Uptime(t.Context()); err != nil || d != 350735470*time.Millisecond {
		t.Errorf("Uptime: %v, %v", d, err)
	}
	if m, err := s.Memory(t.Context()); err != nil || m != (platform.Memory{Total: 123456 << 10, Free: 45678 << 10, Available: 56789 << 10}) {
		t.Errorf("Memory: %+v, %v", m, err)
	}
	var un *platform.Unavailable
	if _, err := s.BootID(t.Context()); !errors.As(err, &un) || !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("BootID: %v", err)
	}
	for _, bad := range []string{"", "MemTotal:\n", "MemTotal: lots kB\n"} {
		if m, err := parseMemory([]byte(bad)); err == nil {
			t.Errorf("%q is %+v", bad, m)
		}
	}
}

func TestSensors(t *testing.T) {
	s := sensors{layout(tree(t, map[string]string{
		"sys/class/thermal/thermal_zone0/type":   "cpu-thermal\n",
		"sys/class/thermal/thermal_zone0/temp":   "48312\n",
		"sys/class/thermal/thermal_zone10/temp":  "-10500\n",
		"sys/class/thermal/thermal_zone2/type":   "modem\n",
		"sys/class/thermal/thermal_zone2/temp":   "-274000\n",
		"sys/class/thermal/cooling_device0/type": "fan\n",
		"sys/class/hwmon/hwmon0/name":            "cpu_thermal\n",
		"sys/class/hwmon/hwmon0/device":          "-> ../../thermal/thermal_zone0",
		"sys/class/hwmon/hwmon0/temp1_input":     "48312\n",
		"sys/class/hwmon/hwmon1/name":            "nvme\n",
		"sys/class/hwmon/hwmon1/temp1_input":     "39850\n",
		"sys/class/hwmon/hwmon1/temp1_label":     "Composite\n",
		"sys/class/hwmon/hwmon2/name":            "nvme\n",
		"sys/class/hwmon/hwmon2/temp2_input":     "40499\n",
	}))}
	want := []platform.Sensor{
		{ID: "thermal_zone0", Name: "cpu-thermal", Celsius: 48, OK: true},
		{ID: "thermal_zone2", Name: "modem"},
		{ID: "thermal_zone10", Name: "thermal_zone10", Celsius: -11, OK: true},
		{ID: "hwmon/nvme/temp1", Name: "Composite", Celsius: 40, OK: true},
		{ID: "hwmon/nvme.2/temp2", Name: "nvme.2 temp2", Celsius: 40, OK: true},
	}
	var got []platform.Sensor
	for row, err := range s.Sensors(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, row)
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	if (sensors{layout(t.TempDir())}).any() {
		t.Error("an empty machine has a thermometer")
	}
}

func TestDNS(t *testing.T) {
	server := func(addr, link, kind string) platform.DNSServer {
		return platform.DNSServer{Addr: netip.MustParseAddr(addr), Link: link, Type: kind}
	}
	for _, c := range []struct {
		name  string
		files map[string]string
		want  platform.DNS
	}{
		{"plain", map[string]string{"etc/resolv.conf": "# hello\nsearch lan example.com\nnameserver 192.0.2.1\nnameserver fe80::1%eth0\nnameserver nonsense\n"},
			platform.DNS{Domain: "lan", Servers: []platform.DNSServer{server("192.0.2.1", "", "Static"), server("fe80::1", "eth0", "Static")}}},
		{"systemd-resolved", map[string]string{
			"etc/resolv.conf":                      "-> ../run/systemd/resolve/stub-resolv.conf",
			"run/systemd/resolve/stub-resolv.conf": "nameserver 127.0.0.53\noptions edns0\nsearch .\n",
			"run/systemd/resolve/resolv.conf":      "nameserver 192.0.2.53\nsearch lan\n",
			"run/systemd/netif/leases/2":           "# private\nADDRESS=192.0.2.9\nDNS=192.0.2.53 192.0.2.54\n",
		}, platform.DNS{Domain: "lan", Servers: []platform.DNSServer{server("192.0.2.53", "", "DHCPv4")}}},
		{"dnsmasq on OpenWrt", map[string]string{
			"etc/resolv.conf":                    "search lan\nnameserver 127.0.0.1\nnameserver ::1\n",
			"tmp/resolv.conf.d/resolv.conf.auto": "# Interface wan\nnameserver 192.0.2.53\n",
		}, platform.DNS{Domain: "lan", Servers: []platform.DNSServer{server("192.0.2.53", "", "Static")}}},
		{"dhclient", map[string]string{
			"etc/resolv.conf":                   "nameserver 192.0.2.53\nnameserver 9.9.9.9\n",
			"var/lib/dhcp/dhclient.eth0.leases": "lease {\n  interface \"eth0\";\n  option domain-name-servers 192.0.2.53, 192.0.2.54;\n}\n",
		}, platform.DNS{Servers: []platform.DNSServer{server("192.0.2.53", "eth0", "DHCPv4"), server("9.9.9.9", "", "Static")}}},
		{"a daemon with nothing behind it", map[string]string{"etc/resolv.conf": "nameserver 127.0.0.1\n"},
			platform.DNS{Servers: []platform.DNSServer{server("127.0.0.1", "", "Static")}}},
		{"none", nil, platform.DNS{}},
	} {
		t.Run(c.name, func(t *testing.T) {
			if c.files == nil {
				c.files = map[string]string{}
			}
			c.files["proc/sys/kernel/hostname"] = "router\n"
			c.want.HostName = "router"
			got, err := resolver{layout(tree(t, c.files))}.DNS(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(c.want, got, compareAddrs); d != "" {
				t.Error(d)
			}
		})
	}
}

func TestTimeZoneAndServers(t *testing.T) {
	tzif := func(rule string) string {
		return "TZif2" + strings.Repeat("\x00", 39) + "body\x00\x01TZif2" + strings.Repeat("\x00", 39) + "\n" + rule + "\n"
	}
	for _, c := range []struct {
		name  string
		files map[string]string
		want  platform.TimeStatus
	}{
		{"Debian with timesyncd", map[string]string{
			"etc/localtime":                       "-> /usr/share/zoneinfo/Europe/Vienna",
			"usr/share/zoneinfo/Europe/Vienna":    tzif("CET-1CEST,M3.5.0,M10.5.0/3"),
			"etc/systemd/timesyncd.conf":          "[Time]\n#NTP=old\nNTP=a.example b.example\nFallbackNTP=c.example\n",
			"etc/systemd/timesyncd.conf.d/x.conf": "[Time]\nNTP=d.example\n",
			"run/systemd/timesync/synchronized":   "",
		}, platform.TimeStatus{Set: true, NTP: true, Zone: "Europe/Vienna", POSIX: "CET-1CEST,M3.5.0,M10.5.0/3",
			Servers: []string{"a.example", "b.example", "d.example"}}},
		{"chrony", map[string]string{
			"etc/timezone":               "Etc/UTC\n",
			"usr/share/zoneinfo/Etc/UTC": tzif("UTC0"),
			"etc/chrony/chrony.conf":     "pool 2.debian.pool.ntp.org iburst\nserver 192.0.2.1\nsourcedir /run/chrony-dhcp\n",
			"run/chrony/chronyd.pid":     "77\n",
			"proc/77/stat":               "",
			"sys/class/rtc/rtc0/hctosys": "1\n",
		}, platform.TimeStatus{Set: true, NTP: true, Zone: "Etc/UTC", POSIX: "UTC0", Servers: []string{"2.debian.pool.ntp.org", "192.0.2.1"}}},
		{"ntpd that has died", map[string]string{
			"etc/ntp.conf": "driftfile x\nserver -4 a.example iburst\nserver 127.127.1.0\n", "run/ntpd.pid": "78\n",
		}, platform.TimeStatus{POSIX: "UTC0", Servers: []string{"a.example"}}},
		{"a rule alone", map[string]string{"etc/TZ": "CET-1CEST,M3.5.0,M10.5.0/3\n"}, platform.TimeStatus{POSIX: "CET-1CEST,M3.5.0,M10.5.0/3"}},
		{"a zone file of version 1", map[string]string{"etc/localtime": "TZif\x00" + strings.Repeat("\x00", 40) + "\n"}, platform.TimeStatus{POSIX: "UTC0"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := clock{layout(tree(t, c.files))}.Time(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if got.Synced { // the kernel of the machine that tests
				c.want.Synced, c.want.Set = true, true
			}
			if d := cmp.Diff(c.want, got); d != "" {
				t.Error(d)
			}
		})
	}
}

func TestLeases(t *testing.T) {
	at := func(s int64) time.Time { return time.Unix(s, 0) }
	ip := netip.MustParseAddr
	for _, c := range []struct {
		name string
		got  []lease
		want []lease
	}{
		{"dnsmasq", dnsmasqHosts([]byte("1800000000 00:00:5E:00:53:20 192.168.1.101 laptop 01:00:00:5e:00:53:20\n" +
			"0 06-00:00:5e:00:53:21 192.168.1.102 * *\nduid 00:01\n1800000000 123 2001:db8::20 laptop 00:01:00\nbroken\n")),
			[]lease{{addr: ip("192.168.1.101"), mac: "00:00:5e:00:53:20", name: "laptop", ends: at(1800000000)},
				{addr: ip("192.168.1.102"), mac: "00:00:5e:00:53:21"},
				{addr: ip("2001:db8::20"), name: "laptop", ends: at(1800000000)}}},
		{"odhcpd", parseOdhcpd([]byte("# br-lan 00005e005320 ipv4 laptop 1800000000 65 32 192.168.1.101/32\n" +
			"# br-lan 000100012c 1 phone -1 5 128 2001:db8::21/128 2001:db8:5::/62\nfd00::1 phone.lan\n")),
			[]lease{{addr: ip("192.168.1.101"), mac: "00:00:5e:00:53:20", name: "laptop", link: "br-lan", ends: at(1800000000)},
				{addr: ip("2001:db8::21"), name: "phone", link: "br-lan"}}},
		{"ISC dhcpd", parseDhcpd([]byte("lease 192.168.1.5 {\n  ends 4 2027/01/15 08:00:00;\n  binding state active;\n  hardware ethernet 00:00:5e:00:53:05;\n  client-hostname \"tv\";\n}\n" +
			"lease 192.168.1.6 {\n  ends never;\n  hardware ethernet 00:00:5e:00:53:06;\n}\n" +
			"lease 192.168.1.5 {\n  binding state free;\n}\n")),
			[]lease{{addr: ip("192.168.1.6"), mac: "00:00:5e:00:53:06"}}},
	} {
		if d := cmp.Diff(c.want, c.got, cmp.AllowUnexported(lease{}), compareAddrs); d != "" {
			t.Errorf("%s: %s", c.name, d)
		}
	}
}

// TestGivenLeases: those of IPv4 that have not ended; names are anything.
func TestGivenLeases(t *testing.T) {
	root := t.TempDir()
	b := newBackend(Options{Root: root})
	if got := allLeases(t, b); len(got) != 0 {
		t.Errorf("without a file: %+v", got)
	}
	text := "4102444800 02:00:00:00:00:AA 192.168.1.120 laptop 01:02:00:00:00:00:aa\n" +
		"0 06-02:00:00:00:00:bb 192.168.1.121 * *\n" + // for ever
		"1000000000 02:00:00:00:00:cc 192.168.1.122 old *\n" + // ended
		"4102444800 02:00:00:00:00:dd 192.168.1.123 caf\xe9<script> ff:00\n" +
		"broken\nx y z\n4102444800 02:00:00:00:00:ee 192.168.1.256 tv *\nduid 00:01\n4102444800 1 2001:db8::1 laptop 00:01\n"
	for i := range 2 * maxLeases {
		text += fmt.Sprintf("4102444800 02:01:00:00:%02x:%02x 10.0.%d.%d * *\n", i>>8, i&255, i>>8, i&255)
	}
	name := filepath.Join(root, "var/lib/misc/dnsmasq.leases")
	if err := errors.Join(os.MkdirAll(filepath.Dir(name), 0o700), os.WriteFile(name, []byte(text), 0o600)); err != nil {
		t.Fatal(err)
	}
	got := allLeases(t, b)
	if len(got) != maxLeases {
		t.Fatalf("%d leases", len(got))
	}
	ends := time.Unix(4102444800, 0)
	want := []platform.Lease{
		{MAC: "02:00:00:00:00:aa", Addr: netip.MustParseAddr("192.168.1.120"), Name: "laptop", ClientID: "01:02:00:00:00:00:aa", Ends: ends},
		{MAC: "02:00:00:00:00:bb", Addr: netip.MustParseAddr("192.168.1.121")},
		{MAC: "02:00:00:00:00:dd", Addr: netip.MustParseAddr("192.168.1.123"), Name: "caf\xe9<script>", ClientID: "ff:00", Ends: ends},
	}
	if d := cmp.Diff(want, got[:3], compareAddrs); d != "" {
		t.Error(d)
	}
}

func allLeases(t *testing.T, b *backend) (all []platform.Lease) {
	t.Helper()
	for l, err := range b.Leases(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, l)
	}
	return all
}

func TestJoin(t *testing.T) {
	ip := netip.MustParseAddr
	ends := time.Unix(1800000000, 0)
	hosts := []platform.Neighbor{
		{Link: "br0", MAC: "00:00:5e:00:53:20", Addr: ip("192.168.1.101"), Active: true},
		{Link: "br0", MAC: "00:00:5e:00:53:20", Addr: ip("2001:db8::20"), Active: true},
		{Link: "br0", MAC: "00:00:5e:00:53:99", Addr: ip("192.168.1.103"), Active: true}, // took the address of another
	}
	got := join(hosts, []lease{
		{addr: ip("192.168.1.101"), mac: "00:00:5e:00:53:20", name: "laptop", ends: ends},
		{addr: ip("192.168.1.102"), mac: "00:00:5e:00:53:21", name: "printer", ends: ends},
		{addr: ip("192.168.1.103"), mac: "00:00:5e:00:53:22"},
		{addr: ip("10.0.0.1"), mac: "00:00:5e:00:53:23"}, // of no network of ours
	}, []platform.Address{{Link: "br0", Prefix: netip.MustParsePrefix("192.168.1.1/24")}})
	want := []platform.Neighbor{
		{Link: "br0", MAC: "00:00:5e:00:53:20", Addr: ip("192.168.1.101"), Active: true, Hostname: "laptop", Leased: true, LeaseEnds: ends},
		{Link: "br0", MAC: "00:00:5e:00:53:20", Addr: ip("2001:db8::20"), Active: true, Hostname: "laptop"},
		{Link: "br0", MAC: "00:00:5e:00:53:99", Addr: ip("192.168.1.103"), Active: true},
		{Link: "br0", MAC: "00:00:5e:00:53:21", Addr: ip("192.168.1.102"), Hostname: "printer", Leased: true, LeaseEnds: ends},
		{Link: "br0", MAC: "00:00:5e:00:53:22", Addr: ip("192.168.1.103"), Leased: true},
	}
	if d := cmp.Diff(want, got, compareAddrs); d != "" {
		t.Error(d)
	}
}

func TestIPv6Links(t *testing.T) {
	conf := func(name, key string) string { return "proc/sys/net/ipv6/conf/" + name + "/" + key }
	b := offline(t, map[string]string{
		conf("all", "disable_ipv6"): "0\n", conf("default", "disable_ipv6"): "0\n",
		conf("eth0", "disable_ipv6"): "0\n", conf("eth0", "accept_ra"): "1\n", conf("eth0", "forwarding"): "1\n",
		conf("eth0", "dad_transmits"): "1\n", conf("eth0", "router_solicitations"): "-1\n", conf("eth0", "router_solicitation_interval"): "4\n",
		"proc/sys/net/ipv6/neigh/eth0/retrans_time_ms": "1000\n",
		conf("eth1.5", "disable_ipv6"):                 "1\n", conf("eth1.5", "accept_ra"): "2\n", conf("eth1.5", "forwarding"): "1\n",
		conf("eth1.5", "router_solicitations"): "3\n",
		"proc/sys/net/ipv4/ip_forward":         "1\n",
	})
	var got []platform.IPv6Link
	for l, err := range b.IPv6Links(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, l)
	}
	want := []platform.IPv6Link{
		{Link: "eth0", Enabled: true, DADTransmits: 1, RetransTimer: time.Second, RouterSolicitations: 1<<32 - 1, SolicitationInterval: 4 * time.Second, NeighborUnreachable: true, Forwarding: true},
		{Link: "eth1.5", AcceptRA: true, RouterSolicitations: 3, NeighborUnreachable: true, Forwarding: true},
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	for _, ipv6 := range []bool{false, true} {
		if on, err := b.IPEnabled(t.Context(), ipv6); err != nil || !on {
			t.Errorf("IPv6 %v: %v, %v", ipv6, on, err)
		}
	}
	none := offline(t, nil)
	for l, err := range none.IPv6Links(t.Context()) {
		t.Errorf("a kernel without IPv6: %+v, %v", l, err)
	}
	if on, err := none.IPEnabled(t.Context(), true); err != nil || on {
		t.Errorf("a kernel without IPv6: %v, %v", on, err)
	}
}

func TestLogs(t *testing.T) {
	root := tree(t, map[string]string{"var/log/syslog": "x", "var/log/messages/not-a-file": "x"})
	var got []string
	for l, err := range (logs{layout(root)}).Logs(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, l.Name)
	}
	if d := cmp.Diff([]string{filepath.Join(root, "var/log/syslog")}, got); d != "" {
		t.Error(d)
	}
}

func TestPower(t *testing.T) {
	var ran []string
	record := func(_ context.Context, argv ...string) error {
		ran = append(ran, strings.Join(argv, " "))
		return nil
	}
	for _, files := range []map[string]string{{"run/systemd/system/x": ""}, nil} {
		p := power{layout(tree(t, files)), record}
		if err := errors.Join(p.Reboot(t.Context()), p.FactoryReset(t.Context())); err != nil {
			t.Fatal(err)
		}
	}
	if d := cmp.Diff([]string{"systemctl --no-ask-password reboot", "systemctl --no-ask-password reboot", "reboot", "reboot"}, ran); d != "" {
		t.Error(d)
	}
	err := run(t.Context(), "sh", "-c", "echo cannot do that; exit 3")
	if err == nil || !strings.Contains(err.Error(), "cannot do that") {
		t.Errorf("a failing command: %v", err)
	}
}
