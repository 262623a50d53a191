package cwmp

// Every envelope that we can send, as one small golden file each, and checked
// against the schemas of the Broadband Forum where they are at hand.
// UPDATE=1 go test -run Golden rewrites the files.

import (
	"context"
	"errors"
	"io"
	"iter"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"gatehouse/lab/rooms"
)

func seq[T any](list ...T) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		for _, v := range list {
			if !yield(v, nil) {
				return
			}
		}
	}
}

var (
	at   = time.Date(2026, 11, 21, 23, 0, 0, 0, time.FixedZone("", 3600))
	late = at.Add(90 * time.Second)
)

func testInform() *Inform {
	return &Inform{
		DeviceID: DeviceID{"ExampleCo", "0011AA", "HomeGW", "SN1"},
		// S002-03
		Events:      []Event{{"0 BOOTSTRAP", ""}, {"1 BOOT", ""}, {"M Reboot", " my key "}},
		CurrentTime: at, RetryCount: 3,
		Parameters: func(context.Context) iter.Seq2[ParameterValue, error] {
			return seq(
				ParameterValue{"Device.RootDataModelVersion", "2.16", "xsd:string"},
				ParameterValue{"Device.ManagementServer.ParameterKey", "", "xsd:string"},
				ParameterValue{"Device.ManagementServer.AliasBasedAddressing", "false", "xsd:boolean"})
		},
	}
}

func testResult() DUResult {
	return DUResult{
		UUID: "0123abcd-0123-4567-89ab-0123456789ab", DeploymentUnitRef: "Device.SoftwareModules.DeploymentUnit.1",
		Version: "1.0", CurrentState: "Installed", Resolved: true, ExecutionUnitRefList: "Device.SoftwareModules.ExecutionUnit.2",
		StartTime: at, CompleteTime: late,
	}
}

// goldens is every message we send; since is the first CWMP version with it.
var goldens = []struct {
	file  string
	since int
	m     message
}{
	{"Inform", 0, testInform()},
	{"GetRPCMethods", 0, GetRPCMethods{}},
	{"TransferComplete", 0, TransferComplete{CommandKey: "k", StartTime: at, CompleteTime: late}},
	{"TransferComplete_failed", 0, TransferComplete{CommandKey: "k", Fault: &Fault{Code: 9016, Message: "404 Not Found"}}},
	{"AutonomousTransferComplete", 1, AutonomousTransferComplete{
		TransferURL: "http://files.example.net/a?b=c&d=e", IsDownload: true, FileType: "1 Firmware Upgrade Image",
		FileSize: 4_000_000_000, TargetFileName: "fw.bin", StartTime: at, CompleteTime: late,
	}},
	{"RequestDownload", 0, RequestDownload{FileType: "2 Web Content", FileTypeArg: []Arg{{"Version", "7"}}}},
	{"DUStateChangeComplete", 2, DUStateChangeComplete{Results: []DUResult{testResult()}, CommandKey: "k"}},
	{"AutonomousDUStateChangeComplete", 2, AutonomousDUStateChangeComplete{Results: []DUResult{func() DUResult {
		r := testResult()
		r.OperationPerformed, r.Fault = "Update", &Fault{Code: 9017}
		return r
	}()}}},
	{"GetRPCMethodsResponse", 0, GetRPCMethodsResponse{MethodList: []string{"GetRPCMethods", "Reboot"}}},
	{"GetParameterValuesResponse", 0, GetParameterValuesResponse{ParameterList: seq(
		ParameterValue{"Device.DeviceInfo.UpTime", "77", "xsd:unsignedInt"},
		ParameterValue{"Device.WiFi.SSID.1.SSID", "  a <b> & 'c' \"d\"\té\r\n]]> ", "xsd:string"},
		ParameterValue{"Device.DeviceInfo.X_bad", "\x00\x01\xff\ufffe", "xsd:string"},
		ParameterValue{"Device.DeviceInfo.Empty", "", ""})}},
	{"GetParameterValuesResponse_empty", 0, GetParameterValuesResponse{ParameterList: seq[ParameterValue]()}},
	{"GetParameterNamesResponse", 0, GetParameterNamesResponse{ParameterList: seq(
		ParameterInfo{"Device.", false}, ParameterInfo{"Device.IP.Interface.", true}, ParameterInfo{"Device.IP.Interface.1.Enable", true})}},
	{"GetParameterAttributesResponse", 0, GetParameterAttributesResponse{ParameterList: seq(
		ParameterAttribute{"Device.DeviceInfo.SoftwareVersion", 2, nil},
		ParameterAttribute{"Device.DeviceInfo.ProvisioningCode", 2, []string{"Subscriber"}})}},
	{"SetParameterValuesResponse", 0, SetParameterValuesResponse{Status: StatusCommitted}},
	{"SetParameterAttributesResponse", 0, SetParameterAttributesResponse{}},
	{"AddObjectResponse", 0, AddObjectResponse{InstanceNumber: 4294967295, Status: StatusApplied}},
	{"DeleteObjectResponse", 0, DeleteObjectResponse{}},
	{"RebootResponse", 0, RebootResponse{}},
	{"FactoryResetResponse", 0, FactoryResetResponse{}},
	{"ScheduleInformResponse", 0, ScheduleInformResponse{}},
	{"DownloadResponse", 0, DownloadResponse{Status: StatusCommitted}},
	{"UploadResponse", 0, UploadResponse{StartTime: at.UTC(), CompleteTime: InfiniteTime}},
	{"ScheduleDownloadResponse", 2, ScheduleDownloadResponse{}},
	{"CancelTransferResponse", 2, CancelTransferResponse{}},
	{"ChangeDUStateResponse", 2, ChangeDUStateResponse{}},
	{"GetQueuedTransfersResponse", 0, GetQueuedTransfersResponse{TransferList: []QueuedTransfer{{CommandKey: "k", State: 2}}}},
	{"GetAllQueuedTransfersResponse", 1, GetAllQueuedTransfersResponse{TransferList: []QueuedTransfer{{
		CommandKey: "k", State: 1, IsDownload: true, FileType: "1 Firmware Upgrade Image", FileSize: 9, TargetFileName: "f",
	}}}},
}

func testHeader(d dialect, m message) header {
	h := header{id: "f00dcafe.1"}
	if m.Method() == "Inform" {
		h.sessionTimeout, h.versions = time.Minute, true
	}
	return h
}

func encoded(t *testing.T, d dialect, m message) string {
	t.Helper()
	body, err := encode(t.Context(), d, testHeader(d, m), m, defaultMaxAnswer)
	if err != nil {
		t.Fatal(err)
	}
	return read(t, body)
}

// read returns a body's text, and checks that its size is exact and that it
// reads the same again.
func read(t testing.TB, body *Body) string {
	t.Helper()
	b, err := io.ReadAll(body.Open())
	if err != nil {
		t.Fatal(err)
	}
	if int64(len(b)) != body.Size() {
		t.Errorf("Size is %d, length is %d", body.Size(), len(b))
	}
	again, _ := io.ReadAll(body.Open())
	if string(again) != string(b) {
		t.Error("the second reading differs")
	}
	return string(b)
}

func testFaults(d dialect) map[string]*Body {
	return map[string]*Body{
		"Fault": encodeFault(d, "7", &Fault{Code: FaultInternalError}),
		"Fault_SetParameterValues": encodeFault(d, "", &Fault{Code: FaultInvalidArguments, Parameters: []ParameterFault{
			{"Device.X", 9005, ""}, {"Device.WiFi.SSID.1.SSID", 9007, "longer than 32 & more"},
		}}),
		"Fault_MustUnderstand": encodeMustUnderstand(d, "7", "Security"),
	}
}

func TestGolden(t *testing.T) {
	check := func(name, got string) {
		file := filepath.Join("testdata", name+".xml")
		if os.Getenv("UPDATE") == "1" {
			if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(file)
		if err != nil {
			t.Error(err)
		} else if got != string(want) {
			t.Errorf("%s:\n%s\nwant\n%s", name, got, want)
		}
	}
	for _, g := range goldens {
		check(g.file, encoded(t, dialect{4}, g.m))
	}
	for name, body := range testFaults(dialect{4}) {
		check(name, read(t, body))
	}
}

// TestSchemas validates what we send against the schema of each version.
func TestSchemas(t *testing.T) {
	rooms.Need(t, "xmllint")
	schemas := schemaCopy(t)
	for minor := range 5 {
		d := dialect{minor}
		dir := t.TempDir()
		var files []string
		write := func(name, text string) {
			files = append(files, filepath.Join(dir, name+".xml"))
			if err := os.WriteFile(files[len(files)-1], []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		for _, g := range goldens {
			if minor >= g.since {
				write(g.file, encoded(t, d, g.m))
			}
		}
		for name, body := range testFaults(d) {
			write(name, read(t, body))
		}
		args := append([]string{"--noout", "--nonet", "--schema", filepath.Join(schemas, "all-1-"+d.String()[2:]+".xsd")}, files...)
		if out, err := exec.CommandContext(t.Context(), "xmllint", args...).CombinedOutput(); err != nil {
			t.Errorf("version %s: %v\n%s", d, err, out)
		}
	}
}

// schemaCopy copies the schemas to where they include each other from the same
// folder: those of 1.3 and 1.4 name the Forum's server.
func schemaCopy(t *testing.T) string {
	t.Helper()
	spec := os.Getenv("SPEC")
	if spec == "" {
		spec = "../shared/spec"
	}
	if !filepath.IsAbs(spec) {
		spec = filepath.Join("..", spec) // as seen from the root of the module
	}
	from, err := filepath.Glob(filepath.Join(spec, "xsd", "*.xsd"))
	if err != nil || len(from) == 0 {
		t.Skipf("no schemas in %s/xsd (set SPEC)", spec)
	}
	dir := t.TempDir()
	for _, f := range from {
		b, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		s := strings.ReplaceAll(string(b), "http://www.broadband-forum.org/cwmp/", "")
		if strings.HasPrefix(filepath.Base(f), "all-") { // 1.3 and 1.4 share the namespace of 1.2
			s = strings.NewReplacer(`"urn:dslforum-org:cwmp-1-3"`, `"urn:dslforum-org:cwmp-1-2"`,
				`"urn:dslforum-org:cwmp-1-4"`, `"urn:dslforum-org:cwmp-1-2"`).Replace(s)
		}
		if err := os.WriteFile(filepath.Join(dir, filepath.Base(f)), []byte(s), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestSpoolLateErrorAndLimit(t *testing.T) {
	broken := errors.New("netlink broke")
	list := func(yield func(ParameterValue, error) bool) {
		_ = yield(ParameterValue{"Device.A", "1", "xsd:int"}, nil) && yield(ParameterValue{}, broken)
	}
	if _, err := encode(t.Context(), dialect{4}, header{}, GetParameterValuesResponse{list}, 1<<20); !errors.Is(err, broken) {
		t.Errorf("late error: %v", err)
	}
	endless := func(yield func(ParameterValue, error) bool) {
		for yield(ParameterValue{"Device.A", strings.Repeat("x", 1000), "xsd:string"}, nil) {
		}
	}
	_, err := encode(t.Context(), dialect{4}, header{}, GetParameterValuesResponse{endless}, 1<<20)
	if !errors.Is(err, &Fault{Code: FaultResourcesExceeded}) {
		t.Errorf("endless answer: %v", err)
	}
	many := func(yield func(ParameterValue, error) bool) {
		for i := 0; yield(ParameterValue{"Device.A", "", strings.Repeat("t", i)}, nil); i++ {
		}
	}
	if _, err = encode(t.Context(), dialect{4}, header{}, GetParameterValuesResponse{many}, 1<<30); !errors.Is(err, &Fault{Code: FaultResourcesExceeded}) {
		t.Errorf("endless types: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err = encode(ctx, dialect{4}, header{}, GetParameterValuesResponse{endless}, 0); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}

// TestSpoolSmallReads reads through every boundary: records, chunks, parts.
func TestSpoolSmallReads(t *testing.T) {
	var values []ParameterValue
	for i := range 300 {
		values = append(values, ParameterValue{"Device.Hosts.Host." + strings.Repeat("é", i%7) + ".Name", strings.Repeat("v&", i*3), "xsd:string"})
	}
	values = append(values, ParameterValue{"Device.Big", strings.Repeat("<", 3*chunkSize), "xsd:string"}, ParameterValue{"Z", "", "xsd:string"})
	body, err := encode(t.Context(), dialect{2}, header{id: "1"}, GetParameterValuesResponse{seq(values...)}, 1<<24)
	if err != nil {
		t.Fatal(err)
	}
	want := read(t, body)
	for _, size := range []int{1, 7, 4096, 100_000} {
		var got strings.Builder
		r, buf := body.Open(), make([]byte, size)
		for {
			n, err := r.Read(buf)
			got.Write(buf[:n])
			if err != nil {
				break
			}
		}
		if got.String() != want {
			t.Fatalf("reads of %d bytes differ", size)
		}
	}
	e, err := readEnvelope([]byte(want), Limits{Bytes: 1 << 24})
	if err != nil {
		t.Fatal(err)
	}
	list := e.body.FindElement("ParameterList").ChildElements()
	for i, v := range values {
		if name, value := text(list[i].FindElement("Name")), text(list[i].FindElement("Value")); name != v.Name || value != v.Value {
			t.Fatalf("parameter %d came back as %q", i, name)
		}
	}
}
