// Device.Time.: the clock; its client is in time_client.go.

package tr181

import (
	"context"
	"errors"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"gatehouse/datamodel"
	"gatehouse/platform"
)

// Device.Time.: the clock. NTPServer1 to 5 are deleted from the standard since
// Time.Client is there, and still used by many: they are the first five of its
// Servers. An empty one among them closes up: a list has no holes.
type timeStatus struct {
	enable        bool
	status        string
	ntpServer     [5]string
	current       time.Time
	localTimeZone string // POSIX TZ
}

var timeParams = []datamodel.Param[timeStatus]{
	{Name: "Enable", At: func(t *timeStatus) any { return &t.enable }, Access: datamodel.ReadWrite},
	{Name: "Status", At: func(t *timeStatus) any { return &t.status },
		Check: datamodel.Enum{"Disabled", "Unsynchronized", "Synchronized", "Error"}},
	{Name: "NTPServer1", At: func(t *timeStatus) any { return &t.ntpServer[0] }, Access: datamodel.ReadWrite, Check: datamodel.Len{Max: 64}},
	{Name: "NTPServer2", At: func(t *timeStatus) any { return &t.ntpServer[1] }, Access: datamodel.ReadWrite, Check: datamodel.Len{Max: 64}},
	{Name: "NTPServer3", At: func(t *timeStatus) any { return &t.ntpServer[2] }, Access: datamodel.ReadWrite, Check: datamodel.Len{Max: 64}},
	{Name: "NTPServer4", At: func(t *timeStatus) any { return &t.ntpServer[3] }, Access: datamodel.ReadWrite, Check: datamodel.Len{Max: 64}},
	{Name: "NTPServer5", At: func(t *timeStatus) any { return &t.ntpServer[4] }, Access: datamodel.ReadWrite, Check: datamodel.Len{Max: 64}},
	{Name: "CurrentLocalTime", At: func(t *timeStatus) any { return &t.current }, Notify: datamodel.NotifyNever},
	{Name: "LocalTimeZone", At: func(t *timeStatus) any { return &t.localTimeZone }, Access: datamodel.ReadWrite, Check: datamodel.Len{Max: 256}},
}

func (m *Model) time() datamodel.Object {
	src := datamodel.Source[timeStatus]{
		Topics: []datamodel.Topic{ClockStepped, ConfigChanged},
		Keys:   datamodel.Always,
		Rows: datamodel.One(func(ctx context.Context, _ []datamodel.Key) (timeStatus, error) {
			s, c, err := m.readTiming(ctx)
			if err != nil {
				return timeStatus{}, err
			}
			t := timeStatus{enable: c.Enabled, status: syncStatus(s), localTimeZone: limit(c.Zone, 256)}
			for i := range min(len(t.ntpServer), len(c.Servers)) {
				t.ntpServer[i] = limit(c.Servers[i], 64)
			}
			if s.Set {
				t.current = m.p.Clock.Now().In(Zone(s)).Truncate(time.Second)
			}
			return t, nil
		}),
		Check: checkTime,
		Stage: m.stageTime,
	}
	if m.p.Timing == nil {
		src.ReadOnly = []string{"Enable", "NTPServer1", "NTPServer2", "NTPServer3", "NTPServer4", "NTPServer5", "LocalTimeZone"}
		src.Stage = nil
	}
	return datamodel.Define("Device.Time.", timeParams, src)
}

// readTiming reads what the system knows of the time, and what it is told to
// do about it; where that is not kept, what it does.
func (m *Model) readTiming(ctx context.Context) (platform.TimeStatus, platform.TimeConfig, error) {
	s, err := m.readTime(ctx)
	c := platform.TimeConfig{Enabled: s.NTP, Zone: s.POSIX, Name: s.Zone, Servers: s.Servers}
	if err != nil || m.p.Timing == nil {
		return s, c, err
	}
	_, kept, err := m.timeConfig(ctx)
	return s, kept, err
}

// timeConfig is the one row of the time client's configuration.
func (m *Model) timeConfig(ctx context.Context) (key string, c platform.TimeConfig, err error) {
	rows, err := configured(ctx, m, "timing", m.p.Timing)
	if err != nil {
		return "", platform.TimeConfig{}, err
	}
	if len(rows) == 0 {
		return "", platform.TimeConfig{}, datamodel.ErrGone
	}
	return rows[0].Key, rows[0].Value, nil
}

func syncStatus(s platform.TimeStatus) string {
	switch {
	case !s.NTP:
		return "Disabled"
	case s.Synced:
		return "Synchronized"
	}
	return "Unsynchronized"
}

var (
	errTZ   = errors.New("not a POSIX time zone like CET-1CEST,M3.5.0,M10.5.0/3")
	errHost = errors.New("neither a host name nor an IP address")
)

func checkTime(c datamodel.Change[timeStatus]) error {
	var errs []error
	if c.Set("LocalTimeZone") && c.New.localTimeZone != c.Old.localTimeZone && !validTZ(c.New.localTimeZone) {
		errs = append(errs, &datamodel.FieldError{Name: "LocalTimeZone", Err: errTZ})
	}
	for i, s := range c.New.ntpServer {
		if s != "" && s != c.Old.ntpServer[i] && !validHost(s) {
			errs = append(errs, &datamodel.FieldError{Name: "NTPServer" + strconv.Itoa(i+1), Err: errHost})
		}
	}
	return errors.Join(errs...)
}

// validHost: names and addresses, and nothing that anybody who sees it later
// could take for more. An address has no zone here, for that could be any text.
func validHost(s string) bool {
	if a, err := netip.ParseAddr(s); err == nil {
		return a.Zone() == ""
	}
	if len(s) > 253 {
		return false
	}
	for label := range strings.SplitSeq(strings.TrimSuffix(s, "."), ".") {
		if label == "" || len(label) > 63 || label[0] == '-' || label[len(label)-1] == '-' {
			return false
		}
		for i := range len(label) {
			if c := label[i]; !isLetter(c) && (c < '0' || c > '9') && c != '-' && c != '_' {
				return false
			}
		}
	}
	return true
}

func (m *Model) stageTime(ctx context.Context, tx *datamodel.Tx, _ []datamodel.Key, c datamodel.Change[timeStatus]) error {
	t, err := m.shareTime(ctx, tx, "Enable")
	if err != nil {
		return err
	}
	if c.Set("Enable") {
		if err := t.say("Enable", strconv.FormatBool(c.New.enable), "Enable"); err != nil {
			return err
		}
		t.row.Enabled = c.New.enable
	}
	if c.Set("LocalTimeZone") && c.New.localTimeZone != c.Old.localTimeZone {
		t.row.Zone, t.row.Name = c.New.localTimeZone, "" // which place that is, nobody has said
		t.blame = tx.Path("LocalTimeZone")
	}
	var blame string
	for i := range c.New.ntpServer {
		if name := "NTPServer" + strconv.Itoa(i+1); c.Set(name) {
			blame = name
		}
	}
	if blame == "" || c.New.ntpServer == c.Old.ntpServer {
		return nil
	}
	_, now, err := m.timeConfig(ctx)
	if err != nil {
		return err
	}
	servers := append(slices.Clone(now.Servers), make([]string, max(0, len(c.New.ntpServer)-len(now.Servers)))...)
	for i, s := range c.New.ntpServer {
		if s != c.Old.ntpServer[i] {
			servers[i] = s
		}
	}
	t.blame = tx.Path(blame)
	return t.serve(servers, blame)
}

// A sharedTime is the time client's configuration in a transaction.
type sharedTime struct {
	*sharedRow[platform.TimeConfig]
}

func (m *Model) shareTime(ctx context.Context, tx *datamodel.Tx, blame string) (sharedTime, error) {
	key, _, err := m.timeConfig(ctx)
	if err != nil {
		return sharedTime{}, err
	}
	row, err := share(ctx, m, tx, m.p.Timing, "timing", key, blame, func() (platform.TimeConfig, error) {
		_, c, err := m.timeConfig(ctx)
		c.Servers = slices.Clone(c.Servers)
		return c, err
	})
	return sharedTime{row}, err
}

// serve sets the list of servers, without its holes.
func (t sharedTime) serve(servers []string, param string) error {
	servers = slices.DeleteFunc(servers, func(s string) bool { return s == "" })
	t.row.Servers = servers
	return t.say("Servers", strings.Join(servers, ","), param)
}
