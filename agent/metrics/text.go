// Package metrics tells the counters of the agent in the text format that
// Prometheus reads, on a unix socket or a loopback port. It is off unless the
// settings name one.
//
// Both the format and the little HTTP that carries it are written by hand: the
// library of Prometheus and a general HTTP server would cost more flash than
// the rest of the agent's doors together.
package metrics

import (
	"bufio"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"gatehouse/agent/api"
)

// ContentType is that of the text format, version 0.0.4.
const ContentType = "text/plain; version=0.0.4; charset=utf-8"

// states are what the agent can be doing; one of them has the value 1.
var states = []string{"disabled", "idle", "waiting", "in session", "rebooting"}

// A text is being written; the first error of its writer shows in flush.
type text struct{ *bufio.Writer }

// Write writes the status as metrics. Names follow the conventions of
// Prometheus: base units, and _total for what only grows.
func Write(w io.Writer, st *api.Status) error {
	t := text{bufio.NewWriter(w)}
	c := &st.Counters
	t.metric("gatehouse_info", "gauge", "The agent; always 1.")
	t.sample("gatehouse_info", 1, "version", st.Version, "platform", st.Platform)
	t.metric("gatehouse_state", "gauge", "What the agent is doing: 1 for one of the states.")
	for _, s := range states {
		t.sample("gatehouse_state", number(s == st.State), "state", s)
	}
	t.one("gatehouse_safe_mode", "gauge", "1 while the agent serves the least only, after bad ends.", number(st.SafeMode))
	t.one("gatehouse_state_files_failing", "gauge", "1 while the state cannot be saved.", number(st.StoreError != ""))
	t.one("gatehouse_sessions_total", "counter", "Sessions with the ACS that were begun.", float64(st.Sessions))
	t.metric("gatehouse_session_failures_total", "counter", "Sessions that failed, by kind.")
	for _, k := range api.Kinds() {
		t.sample("gatehouse_session_failures_total", float64(c.Failures[k]), "kind", string(k))
	}
	t.one("gatehouse_session_retries_total", "counter", "Sessions that repeated a failed one.", float64(c.Retries))
	t.one("gatehouse_retry_count", "gauge", "Failures in a row; 0 after a session that went well.", float64(st.RetryCount))
	t.one("gatehouse_last_success_timestamp_seconds", "gauge", "When a session last went well; 0: never.", seconds(st.Succeeded))
	t.one("gatehouse_next_attempt_timestamp_seconds", "gauge", "When the next session is planned; 0: none is.", seconds(st.NextAttempt))
	t.one("gatehouse_pending_events", "gauge", "Events that are not yet delivered.", float64(len(st.Pending)))
	t.requests(c.ConnectionRequests)
	t.one("gatehouse_watched_parameters", "gauge", "Parameters, and columns of them, that are compared with what the ACS was told.", float64(c.Watched))
	t.one("gatehouse_changed_parameters", "gauge", "Of them, those whose change is waiting to be told.", float64(c.Changed))
	t.one("gatehouse_flash_writes_total", "counter", "State files replaced or removed on flash.", float64(st.FlashWrites))
	t.one("gatehouse_flash_written_bytes_total", "counter", "Bytes written to flash.", float64(c.FlashBytes))
	t.metric("gatehouse_endpoint_blocked_until_timestamp_seconds", "gauge", "Addresses of the ACS that are passed over, and until when.")
	for _, e := range c.Blocked {
		t.sample("gatehouse_endpoint_blocked_until_timestamp_seconds", seconds(e.Until), "address", e.Address)
	}
	t.channels(st.Channels)
	return t.Flush()
}

// channels are the conversations with servers (S001-39).
func (t text) channels(all []api.Channel) {
	const up, ok, blocked = "gatehouse_channel_up", "gatehouse_channel_last_ok_timestamp_seconds", "gatehouse_channel_blocked_until_timestamp_seconds"
	t.metric(up, "gauge", "1 while a server of the channel answers.")
	for _, c := range all {
		t.sample(up, number(c.Up), "channel", c.Name)
	}
	t.metric(ok, "gauge", "When a server of the channel last answered; 0: never.")
	for _, c := range all {
		t.sample(ok, seconds(c.LastOK), "channel", c.Name)
	}
	t.metric(blocked, "gauge", "Servers of the channel that are passed over, and until when.")
	for _, c := range all {
		for _, s := range c.Servers {
			if !s.BlockedUntil.IsZero() {
				t.sample(blocked, seconds(s.BlockedUntil), "channel", c.Name, "server", s.Name, "address", s.Address)
			}
		}
	}
}

func (t text) requests(all map[string]api.Requests) {
	const name = "gatehouse_connection_requests_total"
	t.metric(name, "counter", "Connection requests by transport and by what became of them.")
	for _, transport := range slices.Sorted(maps.Keys(all)) {
		n := all[transport]
		t.sample(name, float64(n.Accepted), "transport", transport, "result", "accepted")
		t.sample(name, float64(n.Limited), "transport", transport, "result", "too_fast")
		t.sample(name, float64(n.Refused), "transport", transport, "result", "wrong_credentials")
	}
}

// metric writes the head of one.
func (t text) metric(name, kind, help string) {
	fmt.Fprintf(t, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, kind)
}

// one writes a metric without labels.
func (t text) one(name, kind, help string, value float64) {
	t.metric(name, kind, help)
	t.sample(name, value)
}

// escape is what the format asks for in the value of a label.
var escape = strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`)

// sample writes one value; labels are names and values in turn.
func (t text) sample(name string, value float64, labels ...string) {
	t.WriteString(name)
	for i := 0; i+1 < len(labels); i += 2 {
		t.WriteByte("{,"[min(i, 1)])
		t.WriteString(labels[i] + `="` + escape.Replace(strings.ToValidUTF8(labels[i+1], "?")) + `"`)
	}
	if len(labels) > 0 {
		t.WriteByte('}')
	}
	t.WriteByte(' ')
	t.WriteString(strconv.FormatFloat(value, 'f', -1, 64))
	t.WriteByte('\n')
}

func number(yes bool) float64 {
	if yes {
		return 1
	}
	return 0
}

func seconds(t time.Time) float64 {
	if t.IsZero() {
		return 0
	}
	return float64(t.UnixMilli()) / 1000
}
