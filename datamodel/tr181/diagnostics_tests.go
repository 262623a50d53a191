// The parameters of each test below Device.IP.Diagnostics.

package tr181

import (
	"time"

	"gatehouse/datamodel"
)

const traceRoutePath = "Device.IP.Diagnostics.TraceRoute."

var ipPingParams = []datamodel.Param[Test]{
	{Name: "DiagnosticsState", At: func(t *Test) any { return &t.State }, Access: datamodel.ReadWrite, Check: stateOf()},
	{Name: "Interface", At: func(t *Test) any { return &t.Link }, Access: datamodel.ReadWrite, Check: datamodel.Len{Max: 256}, Refs: []string{ipInterfacePath}},
	{Name: "ProtocolVersion", At: func(t *Test) any { return &t.Protocol }, Access: datamodel.ReadWrite, Check: protocols},
	{Name: "Host", At: func(t *Test) any { return &t.Target }, Access: datamodel.ReadWrite, Check: datamodel.Len{Max: 256}},
	{Name: "NumberOfRepetitions", At: func(t *Test) any { return &t.Count }, Access: datamodel.ReadWrite, Check: datamodel.AtLeast(1)},
	{Name: "Timeout", At: func(t *Test) any { return &t.Timeout }, Access: datamodel.ReadWrite, Check: datamodel.AtLeast(1)},
	{Name: "DataBlockSize", At: func(t *Test) any { return &t.Size }, Access: datamodel.ReadWrite, Check: datamodel.Range{Min: 1, Max: 65535}},
	{Name: "DSCP", At: func(t *Test) any { return &t.DSCP }, Access: datamodel.ReadWrite, Check: datamodel.Range{Max: 63}},
	{Name: "IPAddressUsed", At: func(t *Test) any { return &t.Result.Address }, Check: datamodel.All{datamodel.Len{Max: 45}, datamodel.IPAddress{}}},
	{Name: "SuccessCount", At: func(t *Test) any { return &t.Result.Success }},
	{Name: "FailureCount", At: func(t *Test) any { return &t.Result.Failure }},
	{Name: "AverageResponseTime", At: in(time.Millisecond, func(t *Test) *time.Duration { return &t.Result.Average })},
	{Name: "MinimumResponseTime", At: in(time.Millisecond, func(t *Test) *time.Duration { return &t.Result.Minimum })},
	{Name: "MaximumResponseTime", At: in(time.Millisecond, func(t *Test) *time.Duration { return &t.Result.Maximum })},
	{Name: "AverageResponseTimeDetailed", At: in(time.Microsecond, func(t *Test) *time.Duration { return &t.Result.Average })},
	{Name: "MinimumResponseTimeDetailed", At: in(time.Microsecond, func(t *Test) *time.Duration { return &t.Result.Minimum })},
	{Name: "MaximumResponseTimeDetailed", At: in(time.Microsecond, func(t *Test) *time.Duration { return &t.Result.Maximum })},
}

// in reads a time in units, rounded up. It is not written.
func in(unit time.Duration, field func(*Test) *time.Duration) func(*Test) any {
	return func(t *Test) any {
		n := uint32((*field(t) + unit - 1) / unit)
		return &n
	}
}

var traceRouteParams = []datamodel.Param[Test]{
	{Name: "DiagnosticsState", At: func(t *Test) any { return &t.State }, Access: datamodel.ReadWrite, Check: stateOf("Error_MaxHopCountExceeded")},
	{Name: "Interface", At: func(t *Test) any { return &t.Link }, Access: datamodel.ReadWrite, Check: datamodel.Len{Max: 256}, Refs: []string{ipInterfacePath}},
	{Name: "ProtocolVersion", At: func(t *Test) any { return &t.Protocol }, Access: datamodel.ReadWrite, Check: protocols},
	{Name: "Host", At: func(t *Test) any { return &t.Target }, Access: datamodel.ReadWrite, Check: datamodel.Len{Max: 256}},
	{Name: "NumberOfTries", At: func(t *Test) any { return &t.Count }, Access: datamodel.ReadWrite, Check: datamodel.Range{Min: 1, Max: 3}},
	{Name: "Timeout", At: func(t *Test) any { return &t.Timeout }, Access: datamodel.ReadWrite, Check: datamodel.AtLeast(1)},
	{Name: "DataBlockSize", At: func(t *Test) any { return &t.Size }, Access: datamodel.ReadWrite, Check: datamodel.Range{Min: 1, Max: 65535}},
	{Name: "DSCP", At: func(t *Test) any { return &t.DSCP }, Access: datamodel.ReadWrite, Check: datamodel.Range{Max: 63}},
	{Name: "MaxHopCount", At: func(t *Test) any { return &t.MaxHops }, Access: datamodel.ReadWrite, Check: datamodel.Range{Min: 1, Max: 64}},
	{Name: "IPAddressUsed", At: func(t *Test) any { return &t.Result.Address }, Check: datamodel.All{datamodel.Len{Max: 45}, datamodel.IPAddress{}}},
	{Name: "ResponseTime", At: in(time.Millisecond, func(t *Test) *time.Duration { return &t.Result.ResponseTime })},
}

// webStates are the further errors of both tests over HTTP.
var webStates = []string{"Error_InitConnectionFailed", "Error_NoResponse", "Error_PasswordRequestFailed", "Error_LoginFailed",
	"Error_NoTransferMode", "Error_NoPASV", "Error_Timeout"}

// http is all that DownloadTransports and UploadTransports have.
var httpTransport = func(*Test) any { return &[]string{"HTTP"} }

var downloadTestParams = []datamodel.Param[Test]{
	{Name: "DiagnosticsState", At: func(t *Test) any { return &t.State }, Access: datamodel.ReadWrite,
		Check: stateOf(append([]string{"Error_TransferFailed", "Error_IncorrectSize"}, webStates...)...)},
	{Name: "Interface", At: func(t *Test) any { return &t.Link }, Access: datamodel.ReadWrite, Check: datamodel.Len{Max: 256}, Refs: []string{ipInterfacePath}},
	{Name: "DownloadURL", At: func(t *Test) any { return &t.Target }, Access: datamodel.ReadWrite, Check: datamodel.Len{Max: 2048}},
	{Name: "DSCP", At: func(t *Test) any { return &t.DSCP }, Access: datamodel.ReadWrite, Check: datamodel.Range{Max: 63}},
	{Name: "EthernetPriority", At: func(t *Test) any { return &t.Priority }, Access: datamodel.ReadWrite, Check: datamodel.Range{Max: 7}},
	{Name: "ProtocolVersion", At: func(t *Test) any { return &t.Protocol }, Access: datamodel.ReadWrite, Check: protocols},
	{Name: "DownloadTransports", At: httpTransport, Check: datamodel.List{Of: datamodel.Enum{"HTTP", "FTP"}}},
	{Name: "IPAddressUsed", At: func(t *Test) any { return &t.Result.Address }, Check: datamodel.All{datamodel.Len{Max: 45}, datamodel.IPAddress{}}},
	{Name: "ROMTime", At: func(t *Test) any { return &t.Result.Request }},
	{Name: "BOMTime", At: func(t *Test) any { return &t.Result.Begin }},
	{Name: "EOMTime", At: func(t *Test) any { return &t.Result.End }},
	{Name: "TestBytesReceived", At: func(t *Test) any { return &t.Result.TestBytes }},
	{Name: "TotalBytesReceived", At: func(t *Test) any { return &t.Result.TotalReceived }},
	{Name: "TotalBytesSent", At: func(t *Test) any { return &t.Result.TotalSent }},
	{Name: "TCPOpenRequestTime", At: func(t *Test) any { return &t.Result.Opened }},
	{Name: "TCPOpenResponseTime", At: func(t *Test) any { return &t.Result.Accepted }},
}

var uploadTestParams = []datamodel.Param[Test]{
	{Name: "DiagnosticsState", At: func(t *Test) any { return &t.State }, Access: datamodel.ReadWrite,
		Check: stateOf(append([]string{"Error_NoCWD", "Error_NoSTOR", "Error_NoTransferComplete"}, webStates...)...)},
	{Name: "Interface", At: func(t *Test) any { return &t.Link }, Access: datamodel.ReadWrite, Check: datamodel.Len{Max: 256}, Refs: []string{ipInterfacePath}},
	{Name: "UploadURL", At: func(t *Test) any { return &t.Target }, Access: datamodel.ReadWrite, Check: datamodel.Len{Max: 2048}},
	{Name: "DSCP", At: func(t *Test) any { return &t.DSCP }, Access: datamodel.ReadWrite, Check: datamodel.Range{Max: 63}},
	{Name: "EthernetPriority", At: func(t *Test) any { return &t.Priority }, Access: datamodel.ReadWrite, Check: datamodel.Range{Max: 7}},
	{Name: "TestFileLength", At: func(t *Test) any { return &t.Length }, Access: datamodel.ReadWrite},
	{Name: "ProtocolVersion", At: func(t *Test) any { return &t.Protocol }, Access: datamodel.ReadWrite, Check: protocols},
	{Name: "UploadTransports", At: httpTransport, Check: datamodel.List{Of: datamodel.Enum{"HTTP", "FTP"}}},
	{Name: "IPAddressUsed", At: func(t *Test) any { return &t.Result.Address }, Check: datamodel.All{datamodel.Len{Max: 45}, datamodel.IPAddress{}}},
	{Name: "ROMTime", At: func(t *Test) any { return &t.Result.Request }},
	{Name: "BOMTime", At: func(t *Test) any { return &t.Result.Begin }},
	{Name: "EOMTime", At: func(t *Test) any { return &t.Result.End }},
	{Name: "TestBytesSent", At: func(t *Test) any { return &t.Result.TestBytes }},
	{Name: "TotalBytesReceived", At: func(t *Test) any { return &t.Result.TotalReceived }},
	{Name: "TotalBytesSent", At: func(t *Test) any { return &t.Result.TotalSent }},
	{Name: "TCPOpenRequestTime", At: func(t *Test) any { return &t.Result.Opened }},
	{Name: "TCPOpenResponseTime", At: func(t *Test) any { return &t.Result.Accepted }},
}

func (m *Model) ipPing() datamodel.Object {
	return m.test("Device.IP.Diagnostics.IPPing.", IPPing, ipPingParams)
}

func (m *Model) traceRoute() datamodel.Object {
	return m.test(traceRoutePath, TraceRoute, traceRouteParams)
}

func (m *Model) downloadTest() datamodel.Object {
	return m.test("Device.IP.Diagnostics.DownloadDiagnostics.", DownloadTest, downloadTestParams)
}

func (m *Model) uploadTest() datamodel.Object {
	return m.test("Device.IP.Diagnostics.UploadDiagnostics.", UploadTest, uploadTestParams)
}
