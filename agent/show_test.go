package main

import (
	"bufio"
	"bytes"
	"testing"
	"time"

	"gatehouse/agent/api"
)

// TestShowSession: one line for each step, and control bytes of an ACS do not
// reach the terminal.
func TestShowSession(t *testing.T) {
	began := time.Date(2026, 1, 31, 3, 0, 0, 0, time.Local)
	s := &api.SessionLog{
		ID: "0a0b", ACS: "https://acs.example/", Address: "192.0.2.1:443", Started: began, Ended: began.Add(1250 * time.Millisecond),
		RetryCount: 2, Kind: api.FailedHTTP, Error: "the ACS answers 500", LeftOut: 4,
		Steps: []api.SessionStep{
			{From: "cpe", Method: "Inform", About: "1 BOOT", Bytes: 2000, Waited: 20},
			{From: "cpe", At: 25},
			{From: "acs", At: 30, Method: "GetParameterValues", About: "Device.\x1b[2J", Fault: "9005: Invalid parameter name", Took: 3, Bytes: 400, Waited: 7},
		},
	}
	want := `session 0a0b of 2026-01-31 03:00:00 with https://acs.example/ at 192.0.2.1:443, retry 2
  0.000	we	Inform 1 BOOT		0 ms, 2000 B, ACS 20 ms
  …		4 steps are left out		
  0.025	we	nothing more to ask		0 ms, 0 B, ACS 0 ms
  0.030	ACS	GetParameterValues Device.\x1b[2J	fault 9005: Invalid parameter name	3 ms, 400 B, ACS 7 ms
  failed after 1.25s (http): the ACS answers 500
`
	var b bytes.Buffer
	c := &invocation{out: &screen{out: bufio.NewWriter(&b)}}
	show := func(want string) {
		t.Helper()
		b.Reset()
		c.showSession(s)
		if err := c.out.flush(); err != nil || b.String() != want {
			t.Errorf("%v\n%s\nwant\n%s", err, &b, want)
		}
	}
	show(want)
	s.Steps, s.Error, s.Kind = nil, "", ""
	head := want[:bytes.IndexByte([]byte(want), '\n')+1]
	show(head + "  went well, 1.25s\n")
	s.Ended = time.Time{}
	show(head + "  it is still running\n")
}

// S001-39, S001-40: each channel is green or red, and red says what does not
// work without it.
func TestChannelLine(t *testing.T) {
	now := time.Now()
	ago, later := when(now.Add(-time.Hour), now), when(now.Add(time.Minute), now)
	for _, row := range []struct {
		channel api.Channel
		want    string
	}{
		{api.Channel{}, "not used yet"},
		{api.Channel{Up: true, LastOK: now.Add(-time.Hour), LastError: "of last week", Selected: "a (192.0.2.1:443)"}, "green, answered " + ago + "; stays with a (192.0.2.1:443)"},
		{api.Channel{LastOK: now.Add(-time.Hour), LastError: "refused", Without: "news"}, "red, answered " + ago + ": refused; until then no news"},
		{api.Channel{LastError: "refused", Servers: []api.Server{{Name: "a", Address: "192.0.2.1:443", BlockedUntil: now.Add(time.Minute)}, {Name: "b", Address: "192.0.2.2:443"}}},
			"red: refused; passes over a 192.0.2.1:443, to be tried again " + later},
	} {
		if got := channel(&row.channel, now); got != row.want {
			t.Errorf("%s\nwant %s", got, row.want)
		}
	}
}

// TestCounterRows tell what has happened, and nothing else.
func TestCounterRows(t *testing.T) {
	now := time.Now()
	if rows := counterRows(&api.Counters{}, now); rows != nil {
		t.Errorf("nothing has happened: %q", rows)
	}
	rows := counterRows(&api.Counters{
		Failures:           map[api.Kind]uint64{api.FailedTLS: 2, api.FailedDNS: 1},
		ConnectionRequests: map[string]api.Requests{"udp": {Refused: 3}, "http": {Accepted: 1, Limited: 2}},
		Blocked:            []api.Endpoint{{Address: "192.0.2.1:443", Until: now.Add(time.Minute)}},
	}, now)
	var b bytes.Buffer
	s := &screen{out: bufio.NewWriter(&b)}
	s.table(rows)
	want := "failed by\tdns 1, tls 2\n" +
		"requests by http\t1 accepted, 2 too fast, 0 with wrong credentials\n" +
		"requests by udp\t0 accepted, 0 too fast, 3 with wrong credentials\n" +
		"passed over\t192.0.2.1:443, to be tried again " + when(now.Add(time.Minute), now) + "\n"
	if err := s.flush(); err != nil || b.String() != want {
		t.Errorf("%v %q\nwant %q", err, &b, want)
	}
}
