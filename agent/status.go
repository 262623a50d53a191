package main

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"gatehouse/agent/api"
	"gatehouse/agent/control"
)

func status(ctx context.Context, c *invocation) error {
	if len(c.args) > 0 {
		return usageError("status takes no arguments")
	}
	return c.call(ctx, control.Request{Call: "status"}, func(l control.Line) error {
		switch {
		case l.Status == nil:
			return nil
		case c.out.json:
			return c.out.object(l.Status)
		}
		c.out.table(statusRows(c.out, l.Status, time.Now()), faint)
		return nil
	})
}

// statusRows is the status as a person reads it: always the state, the last
// session and its error, the next attempt and the retry count.
func statusRows(s *screen, st *api.Status, now time.Time) [][]string {
	state := st.State
	if st.Reason != "" {
		state += ": " + st.Reason
	}
	rows := [][]string{
		{"state", state},
		{"ACS", dash(st.ACS)},
		{"last session", lastSession(st, now)},
		{"last error", dash(st.LastError)},
		{"next attempt", when(st.NextAttempt, now)},
		{"retry count", fmt.Sprint(st.RetryCount)},
		{"pending events", dash(strings.Join(st.Pending, ", "))},
		{"sessions", fmt.Sprintf("%d since the start, %d of them failed", st.Sessions, st.Failures)},
	}
	for _, t := range st.Transports {
		rows = append(rows, []string{"by " + t.Name, transport(t, now)})
	}
	for i := range st.Channels {
		rows = append(rows, []string{"channel " + st.Channels[i].Name, channel(&st.Channels[i], now)})
	}
	rows = append(rows, counterRows(&st.Counters, now)...)
	if st.SafeMode {
		rows = append(rows, []string{"safe mode", "on: the agent ended badly three times within ten minutes of its start"})
	}
	if st.StoreError != "" {
		rows = append(rows, []string{"state files", st.StoreError})
	}
	if st.TakenBack != "" {
		rows = append(rows, []string{"taken back", st.TakenBack})
	}
	if len(st.Absent) > 0 {
		rows = append(rows, []string{"not served here", strings.Join(st.Absent, ", ")})
	}
	var device []string
	for _, part := range []string{"Manufacturer", "OUI", "ProductClass", "SerialNumber"} {
		if v := st.Device[part]; v != "" {
			device = append(device, v)
		}
	}
	rows = append(rows,
		[]string{"device", dash(strings.Join(device, " "))},
		[]string{"version", st.Version + " on " + st.Platform},
	)
	return rows
}

// counterRows tells of the counters what has happened at all.
func counterRows(c *api.Counters, now time.Time) (rows [][]string) {
	var list []string
	for _, k := range api.Kinds() {
		if n := c.Failures[k]; n > 0 {
			list = append(list, fmt.Sprintf("%s %d", k, n))
		}
	}
	if list != nil {
		rows = append(rows, []string{"failed by", strings.Join(list, ", ")})
	}
	for _, transport := range slices.Sorted(maps.Keys(c.ConnectionRequests)) {
		n := c.ConnectionRequests[transport]
		rows = append(rows, []string{"requests by " + transport,
			fmt.Sprintf("%d accepted, %d too fast, %d with wrong credentials", n.Accepted, n.Limited, n.Refused)})
	}
	for _, e := range c.Blocked {
		rows = append(rows, []string{"passed over", e.Address + ", to be tried again " + when(e.Until, now)})
	}
	return rows
}

func dash(text string) string {
	if text == "" {
		return "-"
	}
	return text
}

func lastSession(st *api.Status, now time.Time) string {
	switch {
	case st.Started.IsZero():
		return "none yet"
	case st.Ended.Before(st.Started):
		return "running since " + when(st.Started, now)
	case st.LastError != "":
		return "failed " + when(st.Ended, now)
	}
	return "went well " + when(st.Ended, now)
}

// when tells a time the way a person asks for it: how far it is from now.
func when(t, now time.Time) string {
	if t.IsZero() {
		return "-"
	}
	d := t.Sub(now).Round(time.Second)
	clock := t.Local().Format("2006-01-02 15:04:05")
	if d >= 0 {
		return fmt.Sprintf("in %v (%s)", d, clock)
	}
	return fmt.Sprintf("%v ago (%s)", -d, clock)
}

// transport tells in one line how the ACS can ask for a session this way.
func transport(t api.Transport, now time.Time) string {
	text := t.State
	if t.Address != "" {
		text += ", " + t.Address
	}
	if t.Server != "" {
		text += ", by way of " + t.Server
	}
	if !t.LastRequest.IsZero() {
		text += "; asked " + when(t.LastRequest, now)
	}
	if !t.LastRefused.IsZero() {
		text += "; refused " + when(t.LastRefused, now)
		if t.Refused != "" {
			text += ", " + t.Refused
		}
	}
	if t.Error != "" {
		text += "; " + t.Error
	}
	return text
}

// channel tells in one line how a conversation with servers is doing: green
// while one of them answers, red when none does, and what then does not work.
func channel(c *api.Channel, now time.Time) string {
	text := "red"
	switch {
	case c.Up:
		text = "green"
	case c.LastOK.IsZero() && c.LastError == "":
		text = "not used yet"
	}
	if !c.LastOK.IsZero() {
		text += ", answered " + when(c.LastOK, now)
	}
	if !c.Up && c.LastError != "" {
		text += ": " + c.LastError
		if c.Without != "" {
			text += "; until then no " + c.Without
		}
	}
	if c.Selected != "" {
		text += "; stays with " + c.Selected
	}
	for _, s := range c.Servers {
		if !s.BlockedUntil.IsZero() {
			text += "; passes over " + strings.TrimSpace(s.Name+" "+s.Address) + ", to be tried again " + when(s.BlockedUntil, now)
		}
	}
	return text
}
