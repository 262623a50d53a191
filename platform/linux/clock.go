// The wall clock: whether it is set and kept, the time zone, the NTP servers.

package linux

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"gatehouse/platform"
)

type clock struct{ paths paths }

func (c clock) Now() time.Time { return time.Now() }

// Time tells what is known of the time. Nothing of it has to exist.
func (c clock) Time(ctx context.Context) (platform.TimeStatus, error) {
	if err := ctx.Err(); err != nil {
		return platform.TimeStatus{}, err
	}
	t := platform.TimeStatus{Synced: kernelSynced(), NTP: c.client()}
	t.Set = t.Synced || exists(c.paths.timesyncDone) || c.kept()
	t.Zone, t.POSIX = c.zone()
	t.Servers = c.servers()
	return t, nil
}

// kernelSynced says whether a time client keeps the kernel's clock (adjtimex).
func kernelSynced() bool {
	var tx unix.Timex
	state, err := unix.Adjtimex(&tx)
	return err == nil && state != timeError && tx.Status&unix.STA_UNSYNC == 0
}

// timeError is TIME_ERROR of adjtimex(2).
const timeError = 5

// earliest is a date that no working clock shows any more: a dead battery
// starts in 1970 or 2000.
var earliest = time.Date(2024, 1, 1, 0, 0, 0, 0, time.UTC)

// kept says whether the clock went on while the machine was off: the kernel
// has set it from a battery-backed clock, or a hypervisor did.
func (c clock) kept() bool {
	if time.Now().Before(earliest) {
		return false
	}
	for _, name := range numbered(c.paths.rtc, "rtc*") {
		if word(filepath.Join(name, "hctosys")) == "1" {
			return true
		}
	}
	switch word(c.paths.clocksource) {
	case "kvm-clock", "xen", "tsc", "hpet", "acpi_pm", "hyperv_clocksource_tsc_page", "hyperv_clocksource_msr":
		return true // a PC: the kernel reads the CMOS clock or the host's
	}
	return false
}

// client says whether a time client is running.
func (c clock) client() bool {
	if exists(c.paths.timesyncRun) { // systemd removes it with the service
		return true
	}
	for _, name := range c.paths.timePIDs {
		if pid, err := strconv.Atoi(word(name)); err == nil && pid > 0 && exists(filepath.Join(c.paths.proc, strconv.Itoa(pid))) {
			return true
		}
	}
	return false
}

// zone tells the IANA name and the POSIX rule of the local time. Where nothing
// is configured the time is UTC.
func (c clock) zone() (name, posix string) {
	name = word(c.paths.timezone)
	file := c.paths.localtime
	if target, err := os.Readlink(file); err == nil {
		if filepath.IsAbs(target) { // as seen from the root that we are given
			target = filepath.Join(c.paths.root, target)
		} else {
			target = filepath.Join(filepath.Dir(file), target)
		}
		file = target
		if rest, ok := strings.CutPrefix(target, c.paths.zoneinfo+"/"); ok {
			name = strings.TrimPrefix(strings.TrimPrefix(rest, "posix/"), "right/")
		}
	}
	b, err := readFile(file, fileLimit)
	if err != nil && name != "" {
		b, err = readFile(filepath.Join(c.paths.zoneinfo, filepath.Clean("/"+name)), fileLimit)
	}
	if err == nil {
		posix = footer(b)
	}
	if posix == "" { // uClibc and musl images have the rule alone
		posix = word(c.paths.tz)
	}
	if posix == "" && name == "" {
		posix = "UTC0"
	}
	return name, posix
}

// footer returns the POSIX TZ string at the end of a TZif file of version 2 or
// later (RFC 8536 §3.3), "" where there is none.
func footer(b []byte) string {
	if len(b) < 44 || !bytes.HasPrefix(b, []byte("TZif")) || b[4] < '2' || b[len(b)-1] != '\n' {
		return ""
	}
	b = b[:len(b)-1]
	at := bytes.LastIndexByte(b, '\n')
	rule := string(b[at+1:])
	for _, r := range rule {
		if r < ' ' || r > '~' {
			return ""
		}
	}
	return rule
}

// maxTimeServers bounds the list.
const maxTimeServers = 16

// servers lists the NTP servers of the client that is configured: timesyncd
// when it runs or nothing else does.
func (c clock) servers() []string {
	timesync := timesyncServers(c.paths.timesyncConf)
	if exists(c.paths.timesyncRun) && len(timesync) > 0 {
		return timesync
	}
	for _, patterns := range [][]string{c.paths.chronyConf, c.paths.ntpConf} {
		var list []string
		for _, name := range expand(patterns) {
			if b, err := readFile(name, fileLimit); err == nil {
				list = parseNTP(b, list)
			}
		}
		if len(list) > 0 {
			return list
		}
	}
	return timesync
}

// timesyncServers reads timesyncd.conf(5): NTP, and FallbackNTP where that is
// empty. An empty assignment resets the list.
func timesyncServers(patterns []string) []string {
	var list, fallback []string
	for _, name := range expand(patterns) {
		b, err := readFile(name, fileLimit)
		if err != nil {
			continue
		}
		for l := range strings.Lines(string(b)) {
			key, value, _ := strings.Cut(strings.TrimSpace(l), "=")
			to := &list
			switch strings.TrimSpace(key) {
			case "NTP":
			case "FallbackNTP":
				to = &fallback
			default:
				continue
			}
			if f := strings.Fields(value); len(f) > 0 {
				*to = append(*to, f...)
			} else {
				*to = nil
			}
		}
	}
	if len(list) == 0 {
		list = fallback
	}
	return list[:min(len(list), maxTimeServers)]
}

// parseNTP reads the server lines of chrony.conf(5), ntp.conf(5) and OpenNTPD's
// ntpd.conf(5).
func parseNTP(b []byte, list []string) []string {
	for l := range strings.Lines(string(b)) {
		f := strings.Fields(l)
		if len(f) < 2 || len(list) >= maxTimeServers {
			continue
		}
		switch f[0] {
		case "server", "servers", "pool", "peer":
			host := f[1]
			if strings.HasPrefix(host, "-") && len(f) > 2 { // ntp.conf: -4 or -6 before the name
				host = f[2]
			}
			if !strings.HasPrefix(host, "127.127.") { // ntpd's local clocks
				list = append(list, host)
			}
		}
	}
	return list
}
