// Package openwrt is a vanilla OpenWrt router, 24.10 or 25.12: what package
// linux reads of the kernel, with what the system's daemons say on ubus. It
// starts no shell; the two commands that it needs are run in run.go.
//
// What ubus tells is asked for when it is wanted, and kept no longer than the
// reading of one request may take (see bus). A source that does not answer is
// an [platform.Unavailable]; an object that this image does not have (iwinfo,
// odhcpd) is no error: what it would have said is not known.
package openwrt

import (
	"context"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"sync"
	"time"

	"gatehouse/internal/ubus"
	"gatehouse/platform"
	"gatehouse/platform/linux"
)

// Options says where the system is. The zero value is the machine itself.
type Options struct {
	Root  string   // the folder that everything is below
	NetNS *os.File // as linux.Options has it
	// Dial opens ubusd's socket; nil: the real one.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
	// Run runs a command; nil: os/exec.
	Run func(ctx context.Context, argv ...string) error
	// Settle is how long a reload may be quiet before it counts as done;
	// 0: longer than procd waits before it begins.
	Settle time.Duration
	Log    *slog.Logger
}

// paths are the files of OpenWrt that the backend reads: the only place that
// knows them.
type paths struct {
	root                       string
	fw4                        string
	release, deviceInfo, board string
	sysModel, sysBoard         string
	leases, mounts, socket     string
	config, override           string
	deltas                     []string
	packages                   []string // what is installed: opkg's folder, and apk's
}

func layout(root string) paths {
	if root == "" {
		root = "/"
	}
	at := func(p string) string { return filepath.Join(root, p) }
	return paths{
		root: root, fw4: at("/sbin/fw4"),
		release: at("/etc/openwrt_release"), deviceInfo: at("/etc/device_info"), board: at("/etc/board.json"),
		sysModel: at("/tmp/sysinfo/model"), sysBoard: at("/tmp/sysinfo/board_name"),
		leases: at("/tmp/dhcp.leases"), mounts: at("/proc/mounts"), socket: at(ubus.Socket),
		config: at("/etc/config"), override: at("/var/run/uci"),
		deltas:   []string{at("/tmp/.uci"), at("/var/run/rpcd/uci-*")},
		packages: []string{at("/usr/lib/opkg/info"), at("/lib/apk/packages")},
	}
}

// Detect says whether the system below root is an OpenWrt.
func Detect(root string) bool {
	_, err := os.Stat(layout(root).release)
	return err == nil
}

// backend has the roles that ubus answers.
type backend struct {
	paths  paths
	bus    *bus
	log    *slog.Logger
	run    func(ctx context.Context, argv ...string) error
	settle time.Duration
	kernel platform.Platform // as package linux has it
	system linux.Options     // where that is
	fw4    bool              // it is what loads the firewall's rules

	config  config
	written sync.Mutex
	wrote   map[string]os.FileInfo // packages as we have left them; written guards it
}

// New returns the roles of an OpenWrt router. ubusd need not be there yet.
func New(o Options) (platform.Platform, error) {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Run == nil {
		o.Run = run
	}
	if o.Dial == nil {
		o.Dial = new(net.Dialer).DialContext
	}
	if o.Settle == 0 {
		o.Settle = settle
	}
	system := linux.Options{Root: o.Root, NetNS: o.NetNS, Run: o.Run, Log: o.Log}
	p, err := linux.New(system)
	if err != nil {
		return platform.Platform{}, err
	}
	b := &backend{paths: layout(o.Root), log: o.Log, run: o.Run, settle: o.Settle, kernel: p, system: system, wrote: map[string]os.FileInfo{}}
	b.bus = newBus(b.paths.socket, o.Dial, o.Log)
	p.Name = "openwrt"
	b.configure(&p)
	p.Identity = b
	p.Resolver = b
	p.Logs = logs{b}
	p.Clock = clock{b}
	p.Firmware = firmware{b}
	p.Power = b
	p.Interfaces.State, p.Interfaces.Restart, p.Interfaces.Renew = b, b, b
	p.WiFi.State = wifi{b}
	p.DHCP.Leases, p.DHCP.Applied = b, pools{b}
	if _, err := os.Stat(b.paths.fw4); err == nil { // iptables tell nobody what a rule was made of
		b.fw4, p.NAT.Applied = true, nat{b}
	}
	p.Events = b
	return p, nil
}
