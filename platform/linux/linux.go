// Package linux is the real router: netlink, /proc and /sys. A role is three
// things kept apart: reading (files below an injected root, netlink sockets in
// an injected namespace), parsing (pure, over bytes) and yielding rows.
//
// It reads without privileges. What needs them is nil when they are missing.
package linux

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"gatehouse/platform"
)

// Options says where the system is. The zero value is the machine itself.
type Options struct {
	// Root is the folder that /proc, /sys, /etc … are read below.
	Root string
	// NetNS is an open network namespace whose links are meant; nil: the one
	// of the process. What only /sys tells (which link is a radio) is not
	// known of another namespace.
	NetNS *os.File
	// Run runs a command for Power. Nil: os/exec.
	Run func(ctx context.Context, argv ...string) error
	Log *slog.Logger
}

// backend has the roles of the network. Those without state of their own are
// small types beside it.
type backend struct {
	paths paths
	ns    *os.File
	log   *slog.Logger
	track *tracker
	dump  dumpFunc      // seam: recorded messages in tests
	deaf  time.Duration // see deafness
}

func newBackend(o Options) *backend {
	b := &backend{paths: layout(o.Root), ns: o.NetNS, log: o.Log, track: newTracker(), deaf: deafness}
	b.dump = b.dumpKernel
	return b
}

// New returns the roles that this system and our privileges allow.
func New(o Options) (platform.Platform, error) {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Run == nil {
		o.Run = run
	}
	b := newBackend(o)
	p := platform.Platform{
		Name:      "linux",
		Identity:  identity{b},
		System:    system{b.paths},
		TCP:       system{b.paths},
		Processes: &processes{paths: b.paths},
		Logs:      logs{b.paths},
		Links:     b,
		Addresses: b,
		Routes:    b,
		Neighbors: b,
		IPv6:      b,
		Resolver:  resolver{b.paths},
		Clock:     clock{b.paths},
		Events:    b,
		Prober:    newProber(),
		DHCP:      platform.DHCP{Leases: b},

		DHCPClient: dhcpClient{b},
	}
	if s := (sensors{b.paths}); s.any() {
		p.Sensors = s
	}
	if capable(unix.CAP_NET_ADMIN) {
		p.Network = b
	}
	if exists(b.paths.systemd) || capable(unix.CAP_SYS_BOOT) {
		p.Power = power{b.paths, o.Run}
	}
	// One small question finds out now whether netlink is there at all.
	if _, err := b.linkNames(context.Background()); err != nil {
		return platform.Platform{}, err
	}
	return p, nil
}

func exists(name string) bool {
	_, err := os.Stat(name)
	return err == nil
}

// capable says whether the process has a capability (capabilities(7)).
func capable(c int) bool {
	hdr := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData
	if err := unix.Capget(&hdr, &data[0]); err != nil {
		return os.Geteuid() == 0
	}
	return data[c/32].Effective&(1<<(c%32)) != 0
}

// any says whether there is a thermometer.
func (s sensors) any() bool {
	for _, pattern := range []string{"thermal_zone*", "hwmon*"} {
		for _, dir := range []string{s.paths.thermal, s.paths.hwmon} {
			if found, _ := filepath.Glob(filepath.Join(dir, pattern)); len(found) > 0 {
				return true
			}
		}
	}
	return false
}

// ticks converts the kernel's USER_HZ, which is 100 on every architecture that
// Go runs on.
func ticks(n uint64) time.Duration { return time.Duration(n) * (time.Second / 100) }
