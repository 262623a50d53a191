package linuxconf

// The time: systemd-timedated keeps the zone and whether a time client runs
// (org.freedesktop.timedate1(5)), systemd-timesyncd is the client
// (timesyncd.conf(5)).

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"gatehouse/platform"
)

var timedated = daemon{"systemd-timedated", "org.freedesktop.timedate1", "/org/freedesktop/timedate1", "org.freedesktop.timedate1"}

const (
	timesyncd    = "systemd-timesyncd.service"
	timesyncFile = "/etc/systemd/timesyncd.conf.d/gatehouse.conf"
)

// clock implements area.
type clock struct {
	table    platform.Table[platform.TimeConfig] // as it is configured
	system   platform.Clock
	bus      system
	past     *past
	zoneinfo string // the folder
	servers  *part  // of timesyncd's configuration; nil: there is no timesyncd
}

func openClock(m *machine) (area, error) {
	switch {
	case !m.reachable(timedated):
		return nil, errors.New("systemd-timedated is not there")
	case !m.runs(manager):
		// The first who tells the kernel of a zone shifts its clock by it, when it
		// was not told at boot (settimeofday(2)), which is what systemd does.
		return nil, errors.New("systemd does not run, and its timedated might shift the clock")
	case m.p.Clock == nil:
		return nil, errors.New("the time cannot be read")
	}
	c := &clock{table: m.conf.Timing(), system: m.p.Clock, bus: m.bus, past: m.past, zoneinfo: m.at("/usr/share/zoneinfo")}
	ctx, stop := context.WithTimeout(context.Background(), patience)
	defer stop()
	if known, err := m.units.Present(ctx, timesyncd); err != nil || !known {
		m.Log.Info("time servers cannot be configured: there is no systemd-timesyncd", "err", err)
	} else {
		c.servers = &part{file: m.at(timesyncFile), unit: timesyncd, units: m.units}
	}
	m.p.Timing = strict[platform.TimeConfig]{timeTable{c.table, c}, c.check}
	return c, nil
}

// apply implements area.
func (c *clock) apply(ctx context.Context) error {
	row, err := only(ctx, c.table)
	if err != nil {
		return err
	}
	if !configured(row) {
		return c.forget(ctx)
	}
	zone, err := c.zoneOf(ctx, row)
	if err != nil {
		return err
	}
	text := ""
	if len(row.Servers) > 0 {
		// The first line takes back what timesyncd.conf says: these are all of them.
		text = "[Time]\nNTP=\nNTP=" + strings.Join(row.Servers, " ") + "\n"
	}
	return c.put(ctx, text, zone, strconv.FormatBool(row.Enabled))
}

// forget implements area.
func (c *clock) forget(ctx context.Context) error { return c.put(ctx, "", "", "") }

// put has the daemons take up the servers, the zone and the switch; what is "" goes
// back to what it was.
func (c *clock) put(ctx context.Context, servers, zone, enabled string) error {
	if c.servers != nil {
		if err := c.servers.put(ctx, servers); err != nil {
			return err
		}
	}
	if err := c.past.keep(ctx, c.zone(), zone); err != nil {
		return err
	}
	on := c.ntp()
	if err := c.past.keep(ctx, on, enabled); err != nil || c.servers == nil || !c.servers.due {
		return err
	}
	if now, err := on.get(ctx); err != nil || now != "true" {
		return err // it reads its servers when it is started
	}
	return c.servers.takeUp(ctx)
}

const zoneSetting = "time zone"

func (c *clock) zone() setting {
	return setting{
		name: zoneSetting,
		get: func(ctx context.Context) (zone string, err error) {
			err = c.bus.ask(ctx, func(l *line) error { return l.property(ctx, timedated, "Timezone", &zone) })
			return zone, err
		},
		set: func(ctx context.Context, zone string) error {
			return c.bus.ask(ctx, func(l *line) error { return l.call(ctx, timedated, "SetTimezone", []any{zone, false}) })
		},
	}
}

func (c *clock) ntp() setting {
	return setting{
		name: "time client",
		get: func(ctx context.Context) (string, error) {
			var on bool
			err := c.bus.ask(ctx, func(l *line) error { return l.property(ctx, timedated, "NTP", &on) })
			return strconv.FormatBool(on), err
		},
		set: func(ctx context.Context, on string) error {
			return c.bus.ask(ctx, func(l *line) error { return l.call(ctx, timedated, "SetNTP", []any{on == "true", false}) })
		},
	}
}

// check refuses what cannot be kept.
func (c *clock) check(ctx context.Context, _ string, row platform.TimeConfig) error {
	now, err := only(ctx, timeTable{c.table, c})
	if err != nil {
		return err
	}
	if row.Serves {
		return fmt.Errorf("serving the time to others: %w", platform.ErrUnsupported)
	}
	if row.Enabled && !now.Enabled {
		var can bool
		err := c.bus.ask(ctx, func(l *line) error { return l.property(ctx, timedated, "CanNTP", &can) })
		switch {
		case err != nil:
			return &platform.Unavailable{Source: "D-Bus", Err: err}
		case !can:
			return fmt.Errorf("systemd-timedated knows no time client to switch on: %w", platform.ErrUnsupported)
		}
	}
	if !slices.Equal(row.Servers, now.Servers) {
		if c.servers == nil {
			return fmt.Errorf("time servers are kept for systemd-timesyncd, which is not there: %w", platform.ErrUnsupported)
		}
		for _, s := range row.Servers {
			if !isServer(s) {
				return fmt.Errorf("time server %.80q", s)
			}
		}
	}
	_, err = c.zoneOf(ctx, row)
	return err
}

// isServer says whether s is an address or a name, and nothing that means more in a
// line of timesyncd.conf.
func isServer(s string) bool {
	if a, err := netip.ParseAddr(s); err == nil {
		return a.Zone() == ""
	}
	return s != "" && strings.Trim(strings.ToLower(s), "abcdefghijklmnopqrstuvwxyz0123456789-._") == ""
}

// zoneOf is the IANA name of the zone of a row. An ACS says a rule (POSIX TZ) and
// no place: any place that has the rule will do, the one that is set first.
func (c *clock) zoneOf(ctx context.Context, row platform.TimeConfig) (name string, err error) {
	if row.Name != "" {
		if !filepath.IsLocal(row.Name) || c.rule(row.Name) == "" {
			return "", fmt.Errorf("there is no time zone %.80q in %s", row.Name, c.zoneinfo)
		}
		return row.Name, nil
	}
	now, err := c.system.Time(ctx)
	if err != nil {
		return "", err
	}
	want := plainRule(row.Zone)
	if now.Zone != "" && plainRule(now.POSIX) == want {
		return now.Zone, nil
	}
	for _, name := range c.places() {
		if plainRule(c.rule(name)) == want {
			return name, nil
		}
	}
	return "", fmt.Errorf("no time zone in %s follows the rule %.80q, and systemd-timedated takes no other: %w", c.zoneinfo, row.Zone, platform.ErrUnsupported)
}

// places are the zones of tzdata: those of a place first, then those of an offset.
func (c *clock) places() (names []string) {
	names = []string{"UTC"}
	table, err := os.ReadFile(filepath.Join(c.zoneinfo, "zone1970.tab"))
	if errors.Is(err, fs.ErrNotExist) {
		table, err = os.ReadFile(filepath.Join(c.zoneinfo, "zone.tab"))
	}
	for row := range strings.Lines(string(table)) {
		if f := strings.Split(strings.TrimSpace(row), "\t"); err == nil && len(f) > 2 && !strings.HasPrefix(row, "#") && filepath.IsLocal(f[2]) {
			names = append(names, f[2])
		}
	}
	for _, dir := range []string{".", "Etc"} { // EST5EDT, Etc/GMT+5
		files, err := os.ReadDir(filepath.Join(c.zoneinfo, dir))
		if err != nil {
			continue
		}
		for _, f := range files {
			if f.Type().IsRegular() {
				names = append(names, filepath.Join(dir, f.Name()))
			}
		}
	}
	return names
}

// rule is the POSIX TZ string at the end of a zone's file (RFC 8536 §3.3), "" where
// there is none.
func (c *clock) rule(name string) string {
	b, err := readable{}.ReadFile(filepath.Join(c.zoneinfo, name), maxFile)
	if err != nil || !strings.HasPrefix(string(b), "TZif") {
		return ""
	}
	_, rule, _ := strings.Cut(reverse(string(b)), "\n")
	rule, _, _ = strings.Cut(rule, "\n")
	return reverse(rule)
}

func reverse(s string) string {
	b := []byte(s)
	slices.Reverse(b)
	return string(b)
}

// plainRule is a rule without what it may leave out: minutes and seconds that are
// none, and 02:00, which is when clocks change unless it says otherwise (IEEE 1003.1
// §8.3).
func plainRule(rule string) string {
	parts := strings.Split(rule, ",")
	for i, p := range parts[1:] {
		day, at, _ := strings.Cut(p, "/")
		for strings.HasSuffix(at, ":00") {
			at = strings.TrimSuffix(at, ":00")
		}
		if len(at) == 2 {
			at = strings.TrimPrefix(at, "0")
		}
		if at == "" || at == "2" {
			parts[1+i] = day
		} else {
			parts[1+i] = day + "/" + at
		}
	}
	return strings.Join(parts, ",")
}

// configured says whether the time is: a row always has a zone then.
func configured(row platform.TimeConfig) bool { return row.Zone != "" || row.Name != "" }

// also implements teller.
func (c *clock) also(w platform.Write) (platform.Write, bool) {
	switch w.Place {
	case "ntp.server":
		w.File, w.Place, w.Service = timesyncFile, "Time.NTP", timesyncd
	case "system.timezone":
		w.File, w.Place, w.Service = "/etc/localtime", "", "systemd-timedated"
	case "ntp.enabled":
		w.File, w.Place, w.Service = "/etc/systemd/system/sysinit.target.wants/"+timesyncd, "", "systemd-timedated"
	default:
		return w, false
	}
	return w, true
}

// timeTable tells how the time is kept while nothing is configured, and the zone
// that somebody has set since.
type timeTable struct {
	platform.Table[platform.TimeConfig]
	c *clock
}

// Rows implements platform.Table.
func (t timeTable) Rows(ctx context.Context) iter.Seq2[platform.Entry[platform.TimeConfig], error] {
	return func(yield func(platform.Entry[platform.TimeConfig], error) bool) {
		for e, err := range t.Table.Rows(ctx) {
			if err == nil {
				err = t.complete(ctx, &e.Value)
			}
			if !yield(e, err) || err != nil {
				return
			}
		}
	}
}

func (t timeTable) complete(ctx context.Context, row *platform.TimeConfig) error {
	now, err := t.c.system.Time(ctx)
	switch {
	case err != nil:
		return err
	case !configured(*row):
		*row = platform.TimeConfig{Enabled: now.NTP, Zone: now.POSIX, Name: now.Zone, Servers: now.Servers}
	case row.Name != "" && t.c.past.moved(zoneSetting, row.Name, now.Zone):
		row.Zone, row.Name = now.POSIX, now.Zone
	}
	return nil
}
