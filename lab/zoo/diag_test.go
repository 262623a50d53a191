package zoo

import (
	"context"
	"net/netip"
	"strconv"
	"testing"
	"time"

	"gatehouse/lab/acs"
	"gatehouse/lab/files"
	"gatehouse/platform"
	"gatehouse/platform/fake"
)

const ipd = "Device.IP.Diagnostics."

func diagnostics() []exhibit {
	return []exhibit{
		{38, "diagnostics_leave_requested", everyTest},
		{38, "ispagents_host_and_station_tables_are_filled", tables},
		{38, "the_way_is_found_hop_by_hop", tracedRoute},
		{39, "easycwmp_179_ping_to_a_bad_host", badHost},
		{39, "tp_181_5_12_periodic_inform_during_a_ping", periodicDuringPing},
		{39, "a_test_that_is_changed_is_ended", changedTest},
	}
}

// request asks for a test, with settings, and returns when the ACS is done.
func (h *house) request(object string, settings ...acs.Parameter) *acs.Session {
	h.t.Helper()
	return h.talk(func(c *acs.Conversation) error {
		for i := range settings {
			settings[i].Name = ipd + object + "." + settings[i].Name
		}
		_, err := c.SetParameterValues("", append(settings, acs.P(ipd+object+".DiagnosticsState", "xsd:string", "Requested"))...)
		return err
	})
}

func str(name, value string) acs.Parameter { return acs.P(name, "xsd:string", value) }
func num(name string, n int64) acs.Parameter {
	return acs.P(name, "xsd:unsignedInt", strconv.FormatInt(n, 10))
}

// results reads an object in a session of its own.
func (h *house) results(object string) func(name string) string {
	h.t.Helper()
	var all acs.Values
	h.talk(func(c *acs.Conversation) (err error) {
		all, err = c.GetParameterValues(ipd + object + ".")
		return err
	})
	return func(name string) string {
		v, ok := all.Get(ipd + object + "." + name)
		if !ok {
			h.t.Errorf("%s.%s is not there", object, name)
		}
		return v
	}
}

// wantResults compares results.
func (h *house) wantResults(object string, want map[string]string) {
	h.t.Helper()
	get := h.results(object)
	for name, value := range want {
		if got := get(name); got != value {
			h.t.Errorf("%s.%s is %q, want %q", object, name, got, value)
		}
	}
}

var target = netip.MustParseAddr("192.0.2.77")

// everyTest: each of the four is run after the session, ends, is told, and has
// results that can be read.
func everyTest(t *testing.T) {
	story(t, plan{}, func(t *testing.T, h *house) {
		depot := h.depot(t)
		depot.Put("/100k", files.File{Data: files.Some(100_000), Pace: 250 * time.Millisecond})
		h.router.SetWay(target, fake.Hop{Addr: target, RTT: 1500 * time.Microsecond})
		h.start()
		h.good(1)
		probes := 0
		h.router.OnProbe(func(n int, p platform.Probe) {
			probes = n
			if p.Link != "eth0" || p.Size != 100 || p.DSCP != 46 || p.Timeout != 2*time.Second {
				t.Errorf("probe %d: %+v", n, p)
			}
		})
		wan := h.find("Device.IP.Interface.", "Name", "eth0")
		s := h.request("IPPing", str("Host", target.String()), num("NumberOfRepetitions", 3), num("DataBlockSize", 100),
			num("DSCP", 46), num("Timeout", 2000), str("Interface", wan))
		if s.Inform.Has("8 DIAGNOSTICS COMPLETE") {
			t.Error("told before it was asked for")
		}
		h.wantEvents(h.good(s.Number+1), "8 DIAGNOSTICS COMPLETE")
		if probes != 3 {
			t.Errorf("%d probes", probes)
		}
		h.wantResults("IPPing", map[string]string{
			"DiagnosticsState": "Complete", "SuccessCount": "3", "FailureCount": "0", "AverageResponseTime": "2",
			"MinimumResponseTime": "2", "MaximumResponseTime": "2", "AverageResponseTimeDetailed": "1500", "IPAddressUsed": target.String(),
			"Interface": wan, "Host": target.String(),
		})
		h.router.OnProbe(nil)
		s = h.request("DownloadDiagnostics", str("DownloadURL", fileURL("/100k")))
		h.wantEvents(h.good(s.Number+1), "8 DIAGNOSTICS COMPLETE")
		get := h.results("DownloadDiagnostics")
		if n, _ := strconv.Atoi(get("TestBytesReceived")); get("DiagnosticsState") != "Complete" || n < 100_000 || n > 101_000 || get("IPAddressUsed") != filesIP {
			t.Errorf("download: %s, %d bytes from %s", get("DiagnosticsState"), n, get("IPAddressUsed"))
		}
		begin, _ := time.Parse(time.RFC3339Nano, get("BOMTime"))
		end, _ := time.Parse(time.RFC3339Nano, get("EOMTime"))
		if end.Sub(begin) != 250*time.Millisecond {
			t.Errorf("from %s to %s", get("BOMTime"), get("EOMTime"))
		}
		s = h.request("UploadDiagnostics", str("UploadURL", fileURL("/up/test")), acs.P("TestFileLength", "xsd:unsignedLong", "200000"))
		h.wantEvents(h.good(s.Number+1), "8 DIAGNOSTICS COMPLETE")
		if b, _ := depot.Upload("/up/test"); len(b) != 200_000 {
			t.Errorf("%d bytes were uploaded", len(b))
		}
		get = h.results("UploadDiagnostics")
		if n, _ := strconv.Atoi(get("TestBytesSent")); get("DiagnosticsState") != "Complete" || n < 200_000 || n > 201_000 {
			t.Errorf("upload: %s, %d bytes", get("DiagnosticsState"), n)
		}
		h.none(len(h.acs.Sessions()), 24*time.Hour)
	})
}

// tracedRoute: the hops, a silent one among them; and a host that is too far.
func tracedRoute(t *testing.T) {
	story(t, plan{}, func(t *testing.T, h *house) {
		h.router.SetWay(target, fake.Hop{Addr: netip.MustParseAddr("203.0.113.1"), RTT: time.Millisecond}, fake.Hop{},
			fake.Hop{Addr: target, RTT: 7 * time.Millisecond})
		h.start()
		h.good(1)
		s := h.request("TraceRoute", str("Host", target.String()), num("NumberOfTries", 2))
		h.wantEvents(h.good(s.Number+1), "8 DIAGNOSTICS COMPLETE")
		h.wantResults("TraceRoute", map[string]string{
			"DiagnosticsState": "Complete", "ResponseTime": "7", "RouteHopsNumberOfEntries": "3",
			"RouteHops.1.HostAddress": "203.0.113.1", "RouteHops.1.RTTimes": "1,1",
			"RouteHops.2.HostAddress": "", "RouteHops.2.RTTimes": "0,0",
			"RouteHops.3.HostAddress": target.String(), "RouteHops.3.RTTimes": "7,7",
		})
		s = h.request("TraceRoute", num("MaxHopCount", 2))
		h.good(s.Number + 1)
		h.wantResults("TraceRoute", map[string]string{"DiagnosticsState": "Error_MaxHopCountExceeded", "RouteHopsNumberOfEntries": "2"})
	})
}

// badHost: every test that cannot succeed ends with the error that says why,
// and is told as well.
func badHost(t *testing.T) {
	story(t, plan{}, func(t *testing.T, h *house) {
		depot := h.depot(t)
		depot.Put("/cut", files.File{Data: files.Some(10_000), Cut: 5000})
		depot.Put("/401", files.File{Auth: files.Basic, Username: "u"})
		depot.Put("/up/403", files.File{Status: 507})
		depot.Put("/silent", files.File{Data: files.Some(10_000), Stall: 5000})
		h.start()
		h.good(1)
		for _, x := range []struct{ object, name, value, state string }{
			{"IPPing", "Host", "no.such.host.example.net", "Error_CannotResolveHostName"},
			{"IPPing", "Host", "", "Error_CannotResolveHostName"},
			{"TraceRoute", "Host", "no.such.host.example.net", "Error_CannotResolveHostName"},
			{"DownloadDiagnostics", "DownloadURL", "http://no.such.host.example.net/f", "Error_CannotResolveHostName"},
			{"DownloadDiagnostics", "DownloadURL", "http://files.example.net:81/f", "Error_InitConnectionFailed"},
			{"DownloadDiagnostics", "DownloadURL", fileURL("/nothing"), "Error_TransferFailed"},
			{"DownloadDiagnostics", "DownloadURL", fileURL("/401"), "Error_LoginFailed"},
			{"DownloadDiagnostics", "DownloadURL", fileURL("/cut"), "Error_TransferFailed"},
			{"DownloadDiagnostics", "DownloadURL", fileURL("/silent"), "Error_Timeout"},
			{"UploadDiagnostics", "UploadURL", fileURL("/up/403"), "Error_NoTransferComplete"},
		} {
			time.Sleep(10 * time.Minute) // connection requests are rationed
			s := h.request(x.object, str(x.name, x.value))
			h.wantEvents(h.good(s.Number+1), "8 DIAGNOSTICS COMPLETE")
			if got := h.results(x.object)("DiagnosticsState"); got != x.state {
				t.Errorf("%s of %q: %s, want %s", x.object, x.value, got, x.state)
			}
		}
		time.Sleep(10 * time.Minute)
		// Silence is no error of the test; no way out is one.
		s := h.request("IPPing", str("Host", target.String()), num("NumberOfRepetitions", 2))
		h.good(s.Number + 1)
		h.wantResults("IPPing", map[string]string{"DiagnosticsState": "Complete", "SuccessCount": "0", "FailureCount": "2"})
		h.talk(func(c *acs.Conversation) error {
			for _, p := range []acs.Parameter{
				str("IPPing.DiagnosticsState", "Complete"), str("IPPing.DiagnosticsState", "None"), num("IPPing.NumberOfRepetitions", 0),
				str("DownloadDiagnostics.DownloadURL", "ftp://files.example.net/f"), str("UploadDiagnostics.UploadURL", "file:///etc/passwd"),
			} {
				p.Name = ipd + p.Name
				_, err := c.SetParameterValues("", p)
				wantFault(t, p.Name+"="+p.Value, err, 9003)
			}
			return nil
		})
		// However often it was asked for, a test does not last for ever.
		s = h.request("IPPing", num("NumberOfRepetitions", 4_000_000_000))
		before := time.Now()
		h.good(s.Number + 1)
		if d := time.Since(before); d > 11*time.Minute {
			t.Errorf("it took %v", d)
		}
		h.wantResults("IPPing", map[string]string{"DiagnosticsState": "Error_Other"})
	})
}

// periodicDuringPing: the event of the test is not lost by a session that runs
// meanwhile, nor told by it.
func periodicDuringPing(t *testing.T) {
	story(t, plan{}, func(t *testing.T, h *house) {
		h.router.SetWay(target, fake.Hop{Addr: target, RTT: time.Millisecond})
		h.start()
		h.good(1)
		s := h.request("IPPing", str("Host", target.String()), num("NumberOfRepetitions", 60))
		time.Sleep(20 * time.Second)
		h.talk(func(c *acs.Conversation) error {
			_, err := c.SetParameterValues("", acs.P(ms+"PeriodicInformInterval", "xsd:unsignedInt", "10"),
				acs.P(ms+"PeriodicInformEnable", "xsd:boolean", "1"))
			return err
		})
		told := 0
		for n := s.Number + 2; told == 0 && n < s.Number+12; n++ {
			x := h.good(n)
			if x.Inform.Has("8 DIAGNOSTICS COMPLETE") {
				told = n
			} else if state := h.get(ipd + "IPPing.DiagnosticsState"); x.Start.Sub(s.Start) < 55*time.Second && state != "Requested" {
				t.Errorf("session %d: the test is %s", n, state)
			}
		}
		if told < s.Number+4 {
			t.Errorf("told in session %d, after %d", told, s.Number)
		}
		if got := h.get(ipd + "IPPing.SuccessCount"); got != "60" {
			t.Errorf("%s of 60", got)
		}
		// At the very end of a test a session is running: the next one tells.
		h.talk(func(c *acs.Conversation) error {
			_, err := c.SetParameterValues("", acs.P(ms+"PeriodicInformEnable", "xsd:boolean", "0"))
			return err
		})
		s = h.request("IPPing", num("NumberOfRepetitions", 5))
		x := h.talk(func(c *acs.Conversation) error {
			time.Sleep(20 * time.Second) // longer than the test takes
			return nil
		})
		if x.Inform.Has("8 DIAGNOSTICS COMPLETE") || x.Number != s.Number+1 {
			t.Errorf("session %d: %s", x.Number, events(x))
		}
		h.wantEvents(h.good(x.Number+1), "8 DIAGNOSTICS COMPLETE")
	})
}

// changedTest: writing a setting ends the test, and nothing is told of it;
// asking once more begins anew.
func changedTest(t *testing.T) {
	story(t, plan{}, func(t *testing.T, h *house) {
		h.router.SetWay(target, fake.Hop{Addr: target, RTT: time.Millisecond})
		h.start()
		h.good(1)
		h.request("IPPing", str("Host", target.String()), num("NumberOfRepetitions", 100))
		time.Sleep(10 * time.Second)
		s := h.talk(func(c *acs.Conversation) error {
			_, err := c.SetParameterValues("", num(ipd+"IPPing.Timeout", 500))
			return err
		})
		h.none(s.Number, time.Hour)
		h.wantResults("IPPing", map[string]string{"DiagnosticsState": "None", "SuccessCount": "0", "Timeout": "500"})
		h.request("IPPing", num("NumberOfRepetitions", 100))
		time.Sleep(10 * time.Second)
		again := h.request("IPPing", num("NumberOfRepetitions", 3))
		h.wantEvents(h.good(again.Number+1), "8 DIAGNOSTICS COMPLETE")
		h.wantResults("IPPing", map[string]string{"DiagnosticsState": "Complete", "SuccessCount": "3"})
		h.request("IPPing", num("NumberOfRepetitions", 100))
		s = h.talk(func(c *acs.Conversation) error {
			_, err := c.SetParameterValues("", str(ipd+"IPPing.DiagnosticsState", "Canceled"))
			return err
		})
		h.none(s.Number, time.Hour)
		h.wantResults("IPPing", map[string]string{"DiagnosticsState": "None"})
	})
}

// find is the path, without its last dot, of the row in which a parameter has
// this value.
func (h *house) find(table, name, value string) string {
	h.t.Helper()
	for i := 1; i < 20; i++ {
		row := table + strconv.Itoa(i)
		if h.peek(row+"."+name) == value {
			return row
		}
	}
	h.t.Fatalf("no row of %s has %s", table, value)
	return ""
}

// peek reads one parameter that may not be there.
func (h *house) peek(path string) string {
	for v, err := range h.agent.API().Get(context.Background(), root, []string{path}) {
		if err != nil {
			return ""
		}
		return v.Value
	}
	return ""
}
