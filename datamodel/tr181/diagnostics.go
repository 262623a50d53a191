// Device.IP.Diagnostics.: tests that an ACS asks for. The agent runs them after
// the session; here is what they are told and what they found.

package tr181

import (
	"context"
	"errors"
	"iter"
	"net/url"
	"strconv"
	"time"

	"gatehouse/datamodel"
)

// A TestKind is one of the tests.
type TestKind uint8

// The tests.
const (
	IPPing TestKind = iota
	TraceRoute
	DownloadTest
	UploadTest
	TestKinds = 4 // how many there are
)

// String is the name of its object.
func (k TestKind) String() string {
	return [TestKinds]string{"IPPing", "TraceRoute", "DownloadDiagnostics", "UploadDiagnostics"}[k]
}

// States of a test that its own kind does not know, too.
const (
	TestNone      = "None"
	TestRequested = "Requested"
	TestComplete  = "Complete"
	testCanceled  = "Canceled"
)

// A Test is a test with its settings and its results. Kinds use what they need
// of it.
type Test struct {
	State    string
	Link     datamodel.Ref // Interface; nothing: as the routes say
	Device   string        // of Link, as the system calls it; "" without one
	Protocol string        // "Any", "IPv4", "IPv6"
	Target   string        // Host or URL
	Count    uint32        // NumberOfRepetitions, NumberOfTries
	Timeout  uint32        // milliseconds
	Size     uint32        // DataBlockSize, octets
	DSCP     uint32
	Priority uint32 // of Ethernet
	MaxHops  uint32
	Length   uint64 // TestFileLength, octets

	Result TestResult
}

// A TestResult is what a test found. Times are zero while they are not known.
type TestResult struct {
	Address                   string // that was used
	Success, Failure          uint32
	Average, Minimum, Maximum time.Duration
	ResponseTime              time.Duration
	Hops                      []Hop
	Opened, Accepted          time.Time // TCP
	Request, Begin, End       time.Time // ROMTime, BOMTime, EOMTime
	TestBytes                 uint64
	TotalReceived, TotalSent  uint64
}

// A Hop is a router on the way. From is "" for a silent one.
type Hop struct {
	From  string
	Code  uint32 // of the ICMP message
	Times []time.Duration
}

// Diagnostics keeps the tests and runs them.
type Diagnostics interface {
	Test(k TestKind) Test
	// SetTest replaces settings and state, and ends what runs of the test. With
	// the state Requested it is run, after the session.
	SetTest(k TestKind, t Test)
	// CanProbe says whether the device can send echo requests.
	CanProbe() bool
}

// FreshTest is a test as it is after the start of the agent.
func FreshTest(k TestKind) Test {
	t := Test{State: TestNone, Protocol: "Any", Count: 4, Timeout: 1000, Size: 64}
	if k == TraceRoute {
		t.Count, t.Timeout, t.Size, t.MaxHops = 3, 5000, 38, 30
	}
	return t
}

var (
	readStates = datamodel.Enum{"None", "Requested", "Canceled", "Complete", "Error", "Error_CannotResolveHostName", "Error_NoRouteToHost",
		"Error_Internal", "Error_Other"}
	writeStates = datamodel.Enum{TestRequested, testCanceled}
	protocols   = datamodel.Enum{"Any", "IPv4", "IPv6"}
)

// stateOf is the check of a DiagnosticsState with further errors. They stand
// where the standard has them.
func stateOf(more ...string) datamodel.Check {
	return datamodel.Written{Read: append(append(datamodel.Enum{}, readStates...), more...), Write: writeStates}
}

// Device.IP.Diagnostics.: what can be tested. There is no test of a family that
// the stack lacks, and it says so when it is asked for.
type ipDiagnostics struct{ probe, web [2]bool } // by IPv4, IPv6

var ipDiagnosticsParams = []datamodel.Param[ipDiagnostics]{
	{Name: "IPv4PingSupported", At: func(d *ipDiagnostics) any { return &d.probe[0] }},
	{Name: "IPv6PingSupported", At: func(d *ipDiagnostics) any { return &d.probe[1] }},
	{Name: "IPv4TraceRouteSupported", At: func(d *ipDiagnostics) any { return &d.probe[0] }},
	{Name: "IPv6TraceRouteSupported", At: func(d *ipDiagnostics) any { return &d.probe[1] }},
	{Name: "IPv4DownloadDiagnosticsSupported", At: func(d *ipDiagnostics) any { return &d.web[0] }},
	{Name: "IPv6DownloadDiagnosticsSupported", At: func(d *ipDiagnostics) any { return &d.web[1] }},
	{Name: "IPv4UploadDiagnosticsSupported", At: func(d *ipDiagnostics) any { return &d.web[0] }},
	{Name: "IPv6UploadDiagnosticsSupported", At: func(d *ipDiagnostics) any { return &d.web[1] }},
}

func (m *Model) ipDiagnostics() datamodel.Object {
	return datamodel.Define("Device.IP.Diagnostics.", ipDiagnosticsParams, datamodel.Source[ipDiagnostics]{
		Keys: datamodel.Always,
		Rows: datamodel.One(func(ctx context.Context, _ []datamodel.Key) (d ipDiagnostics, err error) {
			d.web = [2]bool{true, true}
			if m.p.IPv6 != nil {
				for i := range d.web {
					f, err := m.readFamily(ctx, i == 1)
					if err != nil {
						return d, err
					}
					d.web[i] = f.capable
				}
			}
			if m.a.Diagnostics.CanProbe() {
				d.probe = d.web
			}
			return d, nil
		}),
	})
}

// test declares one of the tests.
func (m *Model) test(path string, k TestKind, params []datamodel.Param[Test]) datamodel.Object {
	return datamodel.Define(path, params, datamodel.Source[Test]{
		Keys:   datamodel.Always,
		Topics: []datamodel.Topic{TestsChanged},
		Rows: datamodel.One(func(context.Context, []datamodel.Key) (Test, error) {
			return m.a.Diagnostics.Test(k), nil
		}),
		Check: checkTest,
		Stage: func(ctx context.Context, tx *datamodel.Tx, _ []datamodel.Key, c datamodel.Change[Test]) error {
			now := after(c)
			var err error
			if now.Device, err = m.deviceOf(ctx, now.Link); err != nil {
				return err
			}
			_, err = datamodel.Enlist(tx, k, func() (*testBatch, error) {
				return &testBatch{d: m.a.Diagnostics, kind: k, was: *c.Old, now: now}, nil
			})
			return err
		},
	})
}

// after is what a test becomes by a change: requested, or, since its results
// would not be those of its settings, back to None (TR-181).
func after(c datamodel.Change[Test]) Test {
	t := *c.New
	t.Result = TestResult{}
	if !c.Set("DiagnosticsState") || t.State == testCanceled {
		t.State = TestNone
	}
	return t
}

// deviceOf is the link that an IP interface sends by. One that has none now
// keeps its own name: a test by it fails, and does not go another way.
func (m *Model) deviceOf(ctx context.Context, r datamodel.Ref) (string, error) {
	if len(r.At) == 0 {
		return "", nil
	}
	if m.logical() {
		t, err := m.dumpInterfaces(ctx)
		if err != nil {
			return "", lacking(err)
		}
		if link := t.link(r.At[0]); link != "" {
			return link, nil
		}
	}
	return r.At[0], nil
}

var errTestURL = errors.New("not an http URL")

// checkTest refuses what DownloadTransports and UploadTransports do not have.
func checkTest(c datamodel.Change[Test]) error {
	for _, name := range []string{"DownloadURL", "UploadURL"} {
		if !c.Set(name) || c.New.Target == "" {
			continue
		}
		if u, err := url.Parse(c.New.Target); err != nil || u.Scheme != "http" || u.Hostname() == "" || u.User != nil {
			return &datamodel.FieldError{Name: name, Err: errTestURL}
		}
	}
	return nil
}

// A testBatch is the change of one test. It lives in RAM: nothing can refuse.
type testBatch struct {
	d        Diagnostics
	kind     TestKind
	was, now Test
	done     bool
}

// Prepare implements datamodel.Participant.
func (*testBatch) Prepare(context.Context) error { return nil }

// Commit implements datamodel.Participant.
func (b *testBatch) Commit(context.Context) (bool, error) {
	b.done = true
	b.d.SetTest(b.kind, b.now)
	return false, nil
}

// Rollback puts the test back; one that was running begins anew.
func (b *testBatch) Rollback(context.Context) error {
	if b.done {
		b.d.SetTest(b.kind, b.was)
	}
	return nil
}

// Device.IP.Diagnostics.TraceRoute.RouteHops.{i}.: the way as it was found.
type routeHop struct {
	host, address string
	code          uint32
	times         []string // milliseconds, 0 for a try without an answer
}

var routeHopParams = []datamodel.Param[routeHop]{
	{Name: "Host", At: func(h *routeHop) any { return &h.host }, Check: datamodel.Len{Max: 256}},
	{Name: "HostAddress", At: func(h *routeHop) any { return &h.address }},
	{Name: "ErrorCode", At: func(h *routeHop) any { return &h.code }},
	{Name: "RTTimes", At: func(h *routeHop) any { return &h.times }, Check: datamodel.List{MinItems: 1, MaxItems: 3, Of: datamodel.AtLeast(0)}},
}

func (m *Model) routeHop() datamodel.Object {
	return datamodel.Define(traceRoutePath+"RouteHops.{i}.", routeHopParams, datamodel.Source[routeHop]{
		Volatile: true,
		Topics:   []datamodel.Topic{TestsChanged},
		Rows: func(context.Context, []datamodel.Key) iter.Seq2[datamodel.Row[routeHop], error] {
			return func(yield func(datamodel.Row[routeHop], error) bool) {
				for i, h := range m.a.Diagnostics.Test(TraceRoute).Result.Hops {
					r := routeHop{host: h.From, address: h.From, code: h.Code}
					for _, t := range h.Times {
						r.times = append(r.times, strconv.FormatUint(uint64(millis(t)), 10))
					}
					if !yield(datamodel.Row[routeHop]{Key: strconv.Itoa(i + 1), Value: &r}, nil) {
						return
					}
				}
			}
		},
	})
}

// millis rounds up: what took time took at least one.
func millis(d time.Duration) uint32 {
	return uint32((d + time.Millisecond - 1) / time.Millisecond)
}
