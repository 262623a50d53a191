// Where everything is: the only place that knows a path of the system.

package linux

import (
	"io"
	"os"
	"path/filepath"
)

// paths are the files and folders that the backend reads. Of
// them only the switch of a link's IPv6 is written.
type paths struct {
	root string

	uptime, bootID, hostname, meminfo, stat, proc string

	dmi, deviceTree string
	osRelease       []string

	thermal, hwmon, class string
	clocksource, rtc      string

	ipv4, ipv6Conf, ipv6Neigh string

	resolvConf, resolvedConf string
	resolvAuto               []string // of dnsmasq on OpenWrt
	networkdLeases           string
	dhclientLeases           []string // glob patterns
	dhcpcdLeases             string
	dhcpAnswers              string // what our hook of udhcpc and odhcp6c keeps

	dnsmasqLeases, odhcpdLeases, dhcpdLeases []string

	timezone, localtime, tz, zoneinfo string
	timesyncRun, timesyncDone         string
	timesyncConf                      []string // glob patterns, the later win
	chronyConf, ntpConf               []string
	timePIDs                          []string

	logs    []string
	systemd string
	tmp     string // too busy to be watched
}

// layout places everything below a root folder.
func layout(root string) paths {
	if root == "" {
		root = "/"
	}
	at := func(p string) string { return filepath.Join(root, p) }
	all := func(ps ...string) []string {
		for i, p := range ps {
			ps[i] = at(p)
		}
		return ps
	}
	return paths{
		root:           root,
		uptime:         at("/proc/uptime"),
		bootID:         at("/proc/sys/kernel/random/boot_id"),
		hostname:       at("/proc/sys/kernel/hostname"),
		meminfo:        at("/proc/meminfo"),
		stat:           at("/proc/stat"),
		proc:           at("/proc"),
		dmi:            at("/sys/class/dmi/id"),
		deviceTree:     at("/proc/device-tree"),
		osRelease:      all("/etc/os-release", "/usr/lib/os-release"),
		thermal:        at("/sys/class/thermal"),
		hwmon:          at("/sys/class/hwmon"),
		class:          at("/sys/class/net"),
		clocksource:    at("/sys/devices/system/clocksource/clocksource0/current_clocksource"),
		rtc:            at("/sys/class/rtc"),
		ipv4:           at("/proc/sys/net/ipv4"),
		ipv6Conf:       at("/proc/sys/net/ipv6/conf"),
		ipv6Neigh:      at("/proc/sys/net/ipv6/neigh"),
		resolvConf:     at("/etc/resolv.conf"),
		resolvedConf:   at("/run/systemd/resolve/resolv.conf"),
		resolvAuto:     all("/tmp/resolv.conf.d/resolv.conf.auto", "/tmp/resolv.conf.auto"),
		networkdLeases: at("/run/systemd/netif/leases"),
		dhclientLeases: all("/var/lib/dhcp/dhclient*.leases", "/var/lib/dhclient/dhclient*.leases"),
		dhcpcdLeases:   at("/var/lib/dhcpcd"),
		dhcpAnswers:    at("/var/run/gatehouse-dhcp"),
		dnsmasqLeases:  all("/var/lib/misc/dnsmasq.leases", "/var/lib/dnsmasq/dnsmasq.leases", "/tmp/dhcp.leases"),
		odhcpdLeases:   all("/tmp/hosts/odhcpd", "/tmp/odhcpd.leases"),
		dhcpdLeases:    all("/var/lib/dhcp/dhcpd.leases", "/var/lib/dhcpd/dhcpd.leases"),
		timezone:       at("/etc/timezone"),
		localtime:      at("/etc/localtime"),
		tz:             at("/etc/TZ"),
		zoneinfo:       at("/usr/share/zoneinfo"),
		timesyncRun:    at("/run/systemd/timesync"),
		timesyncDone:   at("/run/systemd/timesync/synchronized"),
		timesyncConf:   all("/etc/systemd/timesyncd.conf", "/etc/systemd/timesyncd.conf.d/*.conf"),
		chronyConf:     all("/etc/chrony/chrony.conf", "/etc/chrony.conf", "/etc/chrony/conf.d/*.conf", "/etc/chrony/sources.d/*.sources"),
		ntpConf:        all("/etc/ntpsec/ntp.conf", "/etc/ntp.conf", "/etc/openntpd/ntpd.conf", "/etc/ntpd.conf"),
		timePIDs: all("/run/chrony/chronyd.pid", "/run/chronyd.pid", "/run/ntpd.pid", "/run/openntpd.pid",
			"/var/run/ntpd.pid"),
		logs: all("/var/log/messages", "/var/log/syslog", "/var/log/daemon.log", "/var/log/kern.log",
			"/var/log/dmesg", "/var/log/boot.log"),
		systemd: at("/run/systemd/system"),
		tmp:     at("/tmp"),
	}
}

// fileLimit bounds what is read of any file.
const fileLimit = 1 << 20

// readFile reads a small file, and no more than limit bytes of it: files of
// /proc have no size, and a lease file may have grown without bounds.
func readFile(name string, limit int64) ([]byte, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, limit))
}

// expand lists the files that patterns name, in order.
func expand(patterns []string) (files []string) {
	for _, p := range patterns {
		found, err := filepath.Glob(p)
		if err == nil { // ErrBadPattern cannot be: they are ours
			files = append(files, found...)
		}
	}
	return files
}
