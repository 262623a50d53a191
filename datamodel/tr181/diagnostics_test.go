package tr181_test

import (
	"strings"
	"testing"
	"time"

	"gatehouse/datamodel"
	"gatehouse/datamodel/tr181"
)

// transfers say when a configuration file came.
type transfers struct{}

func (transfers) ConfigApplied() time.Time { return time.Date(2026, 11, 22, 1, 2, 3, 0, time.UTC) }

// tests keep what they are given, and run nothing.
type tests struct {
	all [tr181.TestKinds]tr181.Test
	set int
}

func (t *tests) Test(k tr181.TestKind) tr181.Test {
	if t.all[k].State == "" {
		t.all[k] = tr181.FreshTest(k)
	}
	return t.all[k]
}

func (t *tests) SetTest(k tr181.TestKind, test tr181.Test) {
	t.all[k] = test
	t.set++
}

func (*tests) CanProbe() bool { return true }

// A test that is requested keeps its settings and loses its results; one whose
// settings are changed is none; and a transaction that fails changes nothing.
func TestDiagnosticsState(t *testing.T) {
	const ping = "Device.IP.Diagnostics.IPPing."
	h := build(t)
	h.want(ping, "DiagnosticsState=None", "NumberOfRepetitions=4", "Interface=", "SuccessCount=0", "ProtocolVersion=Any")
	wan := strings.TrimSuffix(h.find("Device.IP.Interface.", "Name", "eth0"), ".")
	h.set(ping, "Host=192.0.2.1", "Interface="+wan, "DiagnosticsState=Requested")
	if got := h.tests.all[tr181.IPPing]; got.State != tr181.TestRequested || got.Target != "192.0.2.1" || got.Device != "eth0" {
		t.Errorf("asked for %+v", got)
	}
	h.tests.all[tr181.IPPing].State = tr181.TestComplete
	h.tests.all[tr181.IPPing].Result = tr181.TestResult{Success: 4, Average: 1500 * time.Microsecond}
	h.want(ping, "DiagnosticsState=Complete", "SuccessCount=4", "AverageResponseTime=2", "AverageResponseTimeDetailed=1500")
	h.set(ping, "Timeout=9")
	h.want(ping, "DiagnosticsState=None", "SuccessCount=0", "Timeout=9", "Host=192.0.2.1")
	before := h.tests.set
	if h.trySet("Device.", "IP.Diagnostics.IPPing.DiagnosticsState=Requested", "DeviceInfo.UpTime=1") == nil || h.tests.set != before {
		t.Error("a transaction that failed requested a test")
	}
	for _, bad := range []string{ping + "DiagnosticsState=Complete", ping + "DiagnosticsState=None", ping + "DataBlockSize=0",
		"Device.IP.Diagnostics.DownloadDiagnostics.DownloadURL=ftp://example/f", "Device.IP.Diagnostics.UploadDiagnostics.UploadURL=http://u:p@example/"} {
		if h.trySet("", bad) == nil {
			t.Errorf("%s was taken", bad)
		}
	}
	h.set("Device.IP.Diagnostics.TraceRoute.", "DiagnosticsState=Canceled")
	h.want("Device.IP.Diagnostics.TraceRoute.", "DiagnosticsState=None")
}

// A way that was found, and when things happened, to the microsecond.
func TestDiagnosticsResults(t *testing.T) {
	h := build(t)
	h.tests.Test(tr181.TraceRoute)
	h.tests.all[tr181.TraceRoute].Result.Hops = []tr181.Hop{{From: "192.0.2.1", Times: []time.Duration{1, time.Millisecond}}, {Times: []time.Duration{0, 0}}}
	hops := "Device.IP.Diagnostics.TraceRoute.RouteHops."
	h.want("Device.IP.Diagnostics.TraceRoute.", "RouteHopsNumberOfEntries=2")
	h.want(hops+"1.", "HostAddress=192.0.2.1", "RTTimes=1,1")
	h.want(hops+"2.", "HostAddress=", "RTTimes=0,0")
	h.tests.Test(tr181.DownloadTest)
	h.tests.all[tr181.DownloadTest].Result.Begin = time.Date(2026, 11, 22, 1, 2, 3, 4000, time.UTC)
	h.want("Device.IP.Diagnostics.DownloadDiagnostics.", "BOMTime=2026-11-22T01:02:03.000004Z", "EOMTime="+datamodel.UnknownTime, "DownloadTransports=HTTP")
	h.want("Device.DeviceInfo.VendorConfigFile.1.", "Date=2026-11-22T01:02:03Z", "UseForBackupRestore=true")
}
