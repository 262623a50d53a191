package app_test

import (
	"bytes"
	"context"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"gatehouse/lab/acs"
)

// forced is what every Inform of a Device:2 carries.
var forced = []string{
	"Device.RootDataModelVersion",
	"Device.DeviceInfo.HardwareVersion",
	"Device.DeviceInfo.SoftwareVersion",
	"Device.DeviceInfo.ProvisioningCode",
	ms + "ParameterKey",
	ms + "ConnectionRequestURL",
	ms + "AliasBasedAddressing",
}

// TestFirstContact is the story of seed S002, step by step: a router that
// nobody knows comes to its ACS for the first time.
func TestFirstContact(t *testing.T) {
	o := acs.Options{
		Path: "/cwmp", Auth: acs.AuthDigest, Username: "cpe", Password: "secret",
		Digest: acs.Digest{Opaque: "0p4que"}, SetCookie: []string{"session={id}", "lb=a; Path=/"},
	}
	story(t, o, config(), func(t *testing.T, h *house) {
		h.acs.Script(func(c *acs.Conversation) error {
			if _, err := c.GetParameterValues("Device.DeviceInfo.ModelName"); err != nil {
				return err
			}
			_, err := c.SetParameterValues("key 1", acs.P(ms+"PeriodicInformInterval", "xsd:unsignedInt", "300"))
			return err
		})
		h.start()
		s := h.session(1)
		if s.Err != nil {
			t.Fatal(s.Err)
		}
		h.wantEvents(s, "0 BOOTSTRAP", "1 BOOT") // S002-03
		if s.Device.SerialNumber != "00005E005301" || s.Inform.RetryCount != 0 {
			t.Errorf("Inform of %+v, retry %d", s.Device, s.Inform.RetryCount)
		}
		for _, name := range forced {
			if _, ok := s.Inform.Parameters.Get(name); !ok {
				t.Errorf("%s is not in the Inform", name)
			}
		}
		firstContactOnTheWire(t, s)

		// Both were done in the session that the CPE had opened: S002-04.
		if !s.Called("GetParameterValues") || !s.Called("SetParameterValues") || h.get(ms+"PeriodicInformInterval") != "300" {
			t.Errorf("calls %v, interval %s", s.RPCs, h.get(ms+"PeriodicInformInterval"))
		}
		if got := h.get(ms + "ParameterKey"); got != "key 1" {
			t.Errorf("ParameterKey %q", got)
		}
		// Nothing is left open, and nothing calls again by itself: S002-02.
		h.none(1, time.Hour)
	})
}

// firstContactOnTheWire looks at each HTTP exchange of the first contact.
func firstContactOnTheWire(t *testing.T, s *acs.Session) {
	t.Helper()
	if len(s.Exchanges) != 5 {
		t.Fatalf("%d exchanges, want 401, Inform, empty, answer, answer", len(s.Exchanges))
	}
	for i, e := range s.Exchanges {
		if e.Method != http.MethodPost || e.Target != "/cwmp" { // S002-05
			t.Errorf("exchange %d: %s %s", i, e.Method, e.Target)
		}
		if e.Socket != s.Exchanges[0].Socket {
			t.Errorf("exchange %d is on another connection", i)
		}
	}
	first, inform, empty := s.Exchanges[0], s.Exchanges[1], s.Exchanges[2]
	if first.Status != 401 || first.Header.Get("Authorization") != "" { // S002-06
		t.Errorf("first POST: %d, Authorization %q", first.Status, first.Header.Get("Authorization"))
	}
	if inform.Status != 200 || !bytes.Equal(inform.Body, first.Body) { // S002-07
		t.Errorf("the Inform was not repeated as it was (%d)", inform.Status)
	}
	auth := inform.Header.Get("Authorization")
	for _, field := range []string{"Digest ", `realm="gatehouse lab"`, "qop=auth", "nonce=", "cnonce=", `uri="/cwmp"`, "nc=00000001", "response=", `opaque="0p4que"`} {
		if !strings.Contains(auth, field) { // S002-13, S002-14
			t.Errorf("no %s in %q", field, auth)
		}
	}
	cookie := inform.ReplyHeader.Get("Set-Cookie")
	cookie, _, _ = strings.Cut(cookie, ";")
	for i, e := range s.Exchanges[2:] { // S002-08
		if got := e.Header.Get("Cookie"); !strings.Contains(got, cookie) || !strings.Contains(got, "lb=a") {
			t.Errorf("exchange %d: cookie %q, want %q", i+2, got, cookie)
		}
		if want := []string{"nc=00000002", "nc=00000003", "nc=00000004"}[i]; !strings.Contains(e.Header.Get("Authorization"), want) { // S002-16
			t.Errorf("exchange %d: no %s in %q", i+2, want, e.Header.Get("Authorization"))
		}
	}
	if len(empty.Body) != 0 || empty.Header.Get("Content-Length") != "0" && !slices.Contains(empty.Header["Content-Length"], "0") { // S002-09
		t.Errorf("empty POST with %q and %d bytes", empty.Header["Content-Length"], len(empty.Body))
	}
	if !bytes.Contains(empty.Reply, []byte("GetParameterValues")) { // S002-10
		t.Errorf("answer to the empty POST: %s", empty.Reply)
	}
	if !bytes.Contains(s.Exchanges[3].Body, []byte("GetParameterValuesResponse")) ||
		!bytes.Contains(s.Exchanges[4].Body, []byte("SetParameterValuesResponse")) { // S002-11
		t.Error("the answers were not posted one by one")
	}
	if s.Exchanges[4].Status != 204 { // S002-12
		t.Errorf("the last answer is a %d", s.Exchanges[4].Status)
	}
}

// TestRefusedDevice: an ACS may look at Manufacturer and OUI and answer 403.
func TestRefusedDevice(t *testing.T) {
	o := acs.Options{Accept: func(i *acs.Inform) int {
		if i.Device.OUI == "00005E" {
			return http.StatusForbidden // S002-18
		}
		return 0
	}}
	story(t, o, config(), func(t *testing.T, h *house) {
		h.start()
		h.session(2)
		if st := h.status(); !strings.Contains(st.LastError, "403") || st.RetryCount == 0 || len(st.Pending) != 2 {
			t.Errorf("status %+v", st)
		}
	})
}

// TestSetRejected: one bad parameter, and nothing of the call happens.
func TestSetRejected(t *testing.T) {
	story(t, acs.Options{}, config(), func(t *testing.T, h *house) {
		var fault *acs.Fault
		h.acs.Script(func(c *acs.Conversation) error {
			if _, err := c.SetParameterValues("before"); err != nil {
				return err
			}
			_, err := c.SetParameterValues("after",
				acs.P(ms+"PeriodicInformInterval", "xsd:unsignedInt", "300"),
				acs.P(ms+"Nonsense", "xsd:string", "x"),
				acs.P(ms+"PeriodicInformEnable", "xsd:boolean", "maybe"),
				acs.P("Device.DeviceInfo.UpTime", "xsd:unsignedInt", "1"))
			fault = acs.FaultOf(err)
			return nil
		})
		h.start()
		h.session(1)
		if fault == nil || fault.Code != 9003 {
			t.Fatalf("fault %+v", fault)
		}
		codes := map[string]int{}
		for _, p := range fault.Parameters {
			codes[p.Name] = p.Code
		}
		if len(codes) != 3 || codes[ms+"Nonsense"] != 9005 || codes["Device.DeviceInfo.UpTime"] != 9008 ||
			codes[ms+"PeriodicInformEnable"] != 9006 && codes[ms+"PeriodicInformEnable"] != 9007 {
			t.Errorf("per parameter: %v", codes)
		}
		if got := h.get(ms + "PeriodicInformInterval"); got != "1800" {
			t.Errorf("the good one was set all the same: %s", got)
		}
		if got := h.get(ms + "ParameterKey"); got != "before" {
			t.Errorf("ParameterKey %q", got)
		}
	})
}

// TestWholeTree: what GetParameterNames lists GetParameterValues reads, and
// reading changes nothing on flash but the numbers of rows.
func TestWholeTree(t *testing.T) {
	story(t, acs.Options{}, config(), func(t *testing.T, h *house) {
		var names, values int
		h.acs.Script(func(c *acs.Conversation) error {
			infos, err := c.GetParameterNames("", false)
			if err != nil {
				return err
			}
			var leaves []string
			for _, i := range infos {
				if !strings.HasSuffix(i.Name, ".") {
					leaves = append(leaves, i.Name)
				}
			}
			names = len(leaves)
			v, err := c.GetParameterValues(leaves...)
			values = len(v)
			return err
		})
		h.start()
		if s := h.session(1); s.Err != nil || names != values || names < 300 {
			t.Errorf("%v: %d names, %d values", s.Err, names, values)
		}
	})
}

// TestInformParameter: what an ACS wants to find in its Informs.
func TestInformParameter(t *testing.T) {
	story(t, acs.Options{}, config(), func(t *testing.T, h *house) {
		const table = ms + "InformParameter."
		h.acs.Queue("", func(c *acs.Conversation) error {
			n, _, err := c.AddObject(table, "")
			if err != nil {
				return err
			}
			row := table + itoa(n) + "."
			_, err = c.SetParameterValues("",
				acs.P(row+"ParameterName", "xsd:string", "Device.Ethernet.Interface.*.Status"),
				acs.P(row+"EventList", "xsd:string", "6 CONNECTION REQUEST"),
				acs.P(row+"Enable", "xsd:boolean", "true"))
			return err
		})
		h.start()
		if s := h.session(1); s.Err != nil {
			t.Fatal(s.Err)
		}
		h.knock()
		s := h.session(2)
		if v, ok := s.Inform.Parameters.Get("Device.Ethernet.Interface.1.Status"); !ok || v != "Up" {
			t.Errorf("not in the Inform: %v", s.Inform.Parameters)
		}
		if err := h.agent.API().Inform(context.Background(), root, ""); err != nil {
			t.Fatal(err)
		}
		if s := h.session(3); len(s.Inform.Parameters) != len(forced) {
			t.Errorf("in the Inform of another event: %v", s.Inform.Parameters)
		}
	})
}
