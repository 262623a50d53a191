// Device.Time.: the clock and the time client, read-only.

package tr181

import (
	"context"
	"iter"
	"time"

	"gatehouse/datamodel"
	"gatehouse/platform"
)

// Device.Time.: the clock. NTPServer1 to 5 are deleted from the standard since
// Time.Client is there, and still asked for by many; they are read-only.
type timeStatus struct {
	enable        bool
	status        string
	ntpServer     [5]string
	current       time.Time
	localTimeZone string // POSIX TZ
}

var timeParams = []datamodel.Param[timeStatus]{
	{Name: "Enable", At: func(t *timeStatus) any { return &t.enable }},
	{Name: "Status", At: func(t *timeStatus) any { return &t.status },
		Check: datamodel.Enum{"Disabled", "Unsynchronized", "Synchronized", "Error"}},
	{Name: "NTPServer1", At: func(t *timeStatus) any { return &t.ntpServer[0] }, Check: datamodel.Len{Max: 64}},
	{Name: "NTPServer2", At: func(t *timeStatus) any { return &t.ntpServer[1] }, Check: datamodel.Len{Max: 64}},
	{Name: "NTPServer3", At: func(t *timeStatus) any { return &t.ntpServer[2] }, Check: datamodel.Len{Max: 64}},
	{Name: "NTPServer4", At: func(t *timeStatus) any { return &t.ntpServer[3] }, Check: datamodel.Len{Max: 64}},
	{Name: "NTPServer5", At: func(t *timeStatus) any { return &t.ntpServer[4] }, Check: datamodel.Len{Max: 64}},
	{Name: "CurrentLocalTime", At: func(t *timeStatus) any { return &t.current }, Notify: datamodel.NotifyNever},
	{Name: "LocalTimeZone", At: func(t *timeStatus) any { return &t.localTimeZone }, Check: datamodel.Len{Max: 256}},
}

func (m *Model) time() datamodel.Object {
	return datamodel.Define("Device.Time.", timeParams, datamodel.Source[timeStatus]{
		Topics: []datamodel.Topic{ClockStepped},
		Keys:   datamodel.Always,
		Rows: datamodel.One(func(ctx context.Context, _ []datamodel.Key) (timeStatus, error) {
			s, err := m.readTime(ctx)
			if err != nil {
				return timeStatus{}, err
			}
			t := timeStatus{enable: s.NTP, status: syncStatus(s), localTimeZone: limit(s.POSIX, 256)}
			for i := range min(len(t.ntpServer), len(s.Servers)) {
				t.ntpServer[i] = limit(s.Servers[i], 64)
			}
			if s.Set {
				t.current = m.p.Clock.Now().In(zone(s)).Truncate(time.Second)
			}
			return t, nil
		}),
	})
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

// Device.Time.Client.{i}.: the time client of the system, with the servers
// that it was told.
type timeClient struct {
	enable  bool
	status  string
	alias   datamodel.Alias
	servers []string
}

var timeClientParams = []datamodel.Param[timeClient]{
	{Name: "Enable", At: func(c *timeClient) any { return &c.enable }},
	{Name: "Status", At: func(c *timeClient) any { return &c.status },
		Check: datamodel.Enum{"Disabled", "Unsynchronized", "Synchronized", "Error_FailedToSynchronize", "Error"}},
	{Name: "Alias", At: func(c *timeClient) any { return &c.alias }, Access: datamodel.ReadWrite, Check: datamodel.Len{Max: 64}},
	{Name: "Servers", At: func(c *timeClient) any { return &c.servers }},
}

func (m *Model) timeClient() datamodel.Object {
	return datamodel.Define("Device.Time.Client.{i}.", timeClientParams, datamodel.Source[timeClient]{
		Topics: []datamodel.Topic{ClockStepped},
		Rows: func(ctx context.Context, _ []datamodel.Key) iter.Seq2[datamodel.Row[timeClient], error] {
			return func(yield func(datamodel.Row[timeClient], error) bool) {
				s, err := m.readTime(ctx)
				if err == nil && !s.NTP && len(s.Servers) == 0 {
					return
				}
				yield(datamodel.Row[timeClient]{Key: "system", Value: timeClient{
					enable: s.NTP, status: syncStatus(s), servers: s.Servers,
				}}, err)
			}
		},
	})
}

// zone is where the device is: Go's reading of its POSIX TZ string, for Go
// itself takes such a TZ for UTC; else the IANA zone; else UTC.
func zone(s platform.TimeStatus) *time.Location {
	if s.POSIX != "" {
		if l, err := posixZone(s.POSIX); err == nil {
			return l
		}
	}
	if s.Zone != "" {
		if l, err := time.LoadLocation(s.Zone); err == nil {
			return l
		}
	}
	return time.UTC
}

// posixZone is the zone of a POSIX TZ string. It writes the string as the
// footer of an otherwise empty zone file (RFC 8536 §3.3), which Go can read:
// one type, and one transition far back, from which on the footer rules.
func posixZone(tz string) (*time.Location, error) {
	const (
		head1 = "TZif2\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00" // magic, version, 15 reserved
		// counts: isutc, isstd, leap, transitions, types, characters
		none  = "\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"
		one   = "\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01\x00\x00\x00\x01\x00\x00\x00\x04"
		start = "\xff\xff\xff\xff\x00\x00\x00\x00" // 1833
		kind  = "\x00" + "\x00\x00\x00\x00\x00\x00" + "UTC\x00"
	)
	return time.LoadLocationFromTZData(tz, []byte(head1+none+head1+one+start+kind+"\n"+tz+"\n"))
}
