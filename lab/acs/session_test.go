package acs

import (
	"context"
	"errors"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// A whole session: Inform, one request of the CPE, one empty POST, two of ours.
func TestSession(t *testing.T) {
	var notes []Note
	o := Options{Observe: func(n Note) { notes = append(notes, n) }}
	bench(t, o, func(t *testing.T, s *Server, c *cpe) {
		var got Values
		var fault *Fault
		s.Script(func(c *Conversation) error {
			var err error
			if got, err = c.GetParameterValues("Device.DeviceInfo."); err != nil {
				return err
			}
			_, err = c.SetParameterValues("k1", P("Device.X.Password", "xsd:string", "geheim"))
			fault = FaultOf(err)
			return nil
		})
		if text := c.want(200, goodInform().String()); !strings.Contains(text, "<cwmp:InformResponse><MaxEnvelopes>1<") || idOf(t, text) != "1" {
			t.Errorf("InformResponse: %s", text)
		}
		text := c.want(200, soap("2", `<cwmp:TransferComplete><CommandKey>a</CommandKey><FaultStruct><FaultCode>0</FaultCode>`+
			`<FaultString></FaultString></FaultStruct><StartTime>0001-01-01T00:00:00Z</StartTime><CompleteTime>0001-01-01T00:00:00Z</CompleteTime></cwmp:TransferComplete>`))
		if !strings.Contains(text, "TransferCompleteResponse") {
			t.Errorf("answer to TransferComplete: %s", text)
		}
		text = c.want(200, "")
		if !strings.Contains(text, "<cwmp:GetParameterValues><ParameterNames soap-enc:arrayType=\"xsd:string[1]\"><string>Device.DeviceInfo.<") {
			t.Errorf("request: %s", text)
		}
		text = c.want(200, soap(idOf(t, text), "<cwmp:GetParameterValuesResponse>"+
			paramList(param("Device.DeviceInfo.UpTime", "unsignedInt", "77"))+"</cwmp:GetParameterValuesResponse>"))
		c.want(204, soap(idOf(t, text), spvFault))
		c.bye()

		session, err := s.WaitSession(t.Context(), Any)
		if err != nil || session.Err != nil {
			t.Fatal(err, session)
		}
		clean(t, s)
		if v, _ := got.Get("Device.DeviceInfo.UpTime"); v != "77" {
			t.Errorf("values: %v", got)
		}
		if fault == nil || fault.Code != 9003 || len(fault.Parameters) != 1 || fault.Parameters[0].Code != 9008 {
			t.Errorf("fault: %v", fault)
		}
		checkRecord(t, session)
	})
	for _, n := range notes {
		if strings.Contains(n.XML+n.Summary, "geheim") {
			t.Errorf("the observer was told a secret: %q %s", n.Summary, n.XML)
		}
	}
	if last := notes[len(notes)-1]; last.Ended == nil {
		t.Errorf("the last note does not end the session: %+v", last)
	}
}

const spvFault = `<s:Fault><faultcode>Client</faultcode><faultstring>CWMP fault</faultstring><detail><cwmp:Fault>` +
	`<FaultCode>9003</FaultCode><FaultString>Invalid arguments</FaultString><SetParameterValuesFault>` +
	`<ParameterName>Device.X.Password</ParameterName><FaultCode>9008</FaultCode><FaultString>read only</FaultString>` +
	`</SetParameterValuesFault></cwmp:Fault></detail></s:Fault>`

func checkRecord(t *testing.T, s *Session) {
	t.Helper()
	var methods []string
	for _, r := range s.RPCs {
		methods = append(methods, r.Method)
		if strings.Contains(r.Summary, "geheim") {
			t.Errorf("the record keeps a secret: %s", r.Summary)
		}
	}
	if got := strings.Join(methods, " "); got != "TransferComplete GetParameterValues SetParameterValues" {
		t.Errorf("RPCs: %s", got)
	}
	if len(s.Exchanges) != 5 || s.Sockets != 1 || s.Number != 1 || s.Device.Key() != "0011AA-SN1" {
		t.Errorf("record: %d exchanges, %d sockets, number %d, device %s", len(s.Exchanges), s.Sockets, s.Number, s.Device.Key())
	}
	if !s.Inform.Has("1 BOOT") || len(s.Inform.Parameters) != 7 {
		t.Errorf("inform: %+v", s.Inform)
	}
}

// A Server is an http.Handler, too; sockets are then known by address only.
func TestHandler(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := New(Options{})
		cookie := ""
		for i, body := range []string{goodInform().String(), ""} {
			r := httptest.NewRequest("POST", "/acs", strings.NewReader(body))
			r.Header["Content-Length"] = []string{strconv.Itoa(len(body))}
			if body != "" {
				r.Header.Set("Content-Type", "text/xml")
				r.Header["Soapaction"] = []string{""}
			}
			r.Header.Set("Cookie", cookie)
			w := httptest.NewRecorder()
			s.ServeHTTP(w, r)
			if want := []int{200, 204}[i]; w.Code != want {
				t.Errorf("status %d instead of %d", w.Code, want)
			}
			cookie = strings.TrimSuffix(w.Header().Get("Set-Cookie"), ";")
		}
		clean(t, s)
		s.Close()
	})
}

// White space between elements is nobody's business.
func TestWhiteSpace(t *testing.T) {
	bench(t, Options{}, func(t *testing.T, s *Server, c *cpe) {
		c.want(200, strings.ReplaceAll(goodInform().String(), "><", ">\n  <"))
		c.want(204, "")
		for _, v := range s.Violations() {
			if v.Rule != RuleEvent { // the empty CommandKey holds white space now
				t.Error(v)
			}
		}
	})
}

// Queued scripts run once, for their device, before the general one.
func TestQueue(t *testing.T) {
	bench(t, Options{}, func(t *testing.T, s *Server, c *cpe) {
		var order []string
		add := func(what string) Script {
			return func(*Conversation) error { order = append(order, what); return nil }
		}
		s.Script(add("always"))
		s.Queue("0011AA-SN1", add("mine"))
		s.Queue("0011AA-SN2", add("other"))
		s.Queue("", add("any"))
		for range 2 {
			c.want(200, goodInform().String())
			c.want(204, "")
			c.bye()
		}
		if got := strings.Join(order, " "); got != "mine any always always" {
			t.Errorf("order: %s", got)
		}
		clean(t, s)
	})
}

func TestSessionTimeout(t *testing.T) {
	bench(t, Options{}, func(t *testing.T, s *Server, c *cpe) {
		var lost error
		s.Script(func(c *Conversation) error {
			_, lost = c.GetRPCMethods()
			return lost
		})
		c.want(200, goodInform().String())
		c.want(200, "")
		session, err := s.WaitSession(t.Context(), Any)
		if err != nil || !errors.Is(session.Err, ErrTimeout) {
			t.Fatalf("%v, session ended with %v", err, session.Err)
		}
		if took := session.End.Sub(session.Start); took != 30*time.Second {
			t.Errorf("the session timed out after %v", took)
		}
		s.busy.Wait()
		c.want(400, soap("acs-1-1", "<cwmp:GetRPCMethodsResponse><MethodList/></cwmp:GetRPCMethodsResponse>"))
		caught(t, s, RuleCookie, "is over")
	})
}

// A CPE that closes its connection in mid-session loses it after the grace.
func TestSessionLeft(t *testing.T) {
	bench(t, Options{}, func(t *testing.T, s *Server, c *cpe) {
		c.want(200, goodInform().String())
		c.hangUp()
		session, err := s.WaitSession(t.Context(), Any)
		if err != nil || !errors.Is(session.Err, ErrLeft) {
			t.Errorf("%v, session ended with %v", err, session.Err)
		}
	})
}

func TestWaitSessionGivesUp(t *testing.T) {
	bench(t, Options{}, func(t *testing.T, s *Server, c *cpe) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if _, err := s.WaitSession(ctx, Any); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("error %v", err)
		}
	})
}

// HoldRequests keeps the CPE's own requests back until we let go.
func TestHoldRequests(t *testing.T) {
	bench(t, Options{HoldRequests: true}, func(t *testing.T, s *Server, c *cpe) {
		var held *Message
		s.Script(func(c *Conversation) error {
			c.HoldRequests(false)
			if err := c.Reboot("r"); err != nil {
				return err
			}
			var err error
			if held, err = c.Empty(); err != nil {
				return err
			}
			_, err = c.Respond("")
			return err
		})
		if text := c.want(200, goodInform().String()); !strings.Contains(text, "HoldRequests") {
			t.Errorf("no HoldRequests in %s", text)
		}
		text := c.want(200, "")
		if strings.Contains(text, "HoldRequests") {
			t.Errorf("HoldRequests still in %s", text)
		}
		c.want(204, soap(idOf(t, text), "<cwmp:RebootResponse/>"))
		c.want(200, soap("7", "<cwmp:GetRPCMethods/>"))
		c.want(204, "")
		if held == nil || held.Method != "GetRPCMethods" {
			t.Errorf("held request: %v", held)
		}
		clean(t, s)
	})
}

// The CPE may ask what we can do, and learns what we cannot.
func TestOwnRequests(t *testing.T) {
	bench(t, Options{}, func(t *testing.T, s *Server, c *cpe) {
		c.want(200, goodInform().String())
		if text := c.want(200, soap("2", "<cwmp:GetRPCMethods/>")); !strings.Contains(text, "<string>TransferComplete</string>") {
			t.Errorf("methods: %s", text)
		}
		if text := c.want(200, soap("3", "<cwmp:X_EXAMPLE_Do/>")); !strings.Contains(text, "<FaultCode>8000</FaultCode>") {
			t.Errorf("unknown method: %s", text)
		}
		c.want(204, "")
		clean(t, s)
	})
}

// Several devices at once are told apart by OUI and serial number.
func TestDevices(t *testing.T) {
	bench(t, Options{}, func(t *testing.T, s *Server, c *cpe) {
		second := &cpe{t: t, dial: c.dial}
		defer second.hangUp()
		c.want(200, goodInform().String())
		second.want(200, strings.ReplaceAll(goodInform().String(), "SN1", "SN2"))
		c.want(204, "")
		second.want(204, "")
		clean(t, s)
		if d := s.Devices(); len(d) != 2 || d["0011AA-SN2"].Informs != 1 {
			t.Errorf("devices: %v", d)
		}
	})
}

func TestAccept(t *testing.T) {
	o := Options{Accept: func(i *Inform) int {
		if i.Device.OUI == "0011AA" {
			return 403
		}
		return 0
	}}
	bench(t, o, func(t *testing.T, s *Server, c *cpe) {
		c.want(403, goodInform().String()) // S002-18
		session, err := s.WaitSession(t.Context(), Any)
		if err != nil || !errors.Is(session.Err, ErrAccept) {
			t.Errorf("%v, session ended with %v", err, session.Err)
		}
		clean(t, s)
	})
}

// UseCWMPVersion names the best version of those that the CPE announced.
func TestUseVersion(t *testing.T) {
	bench(t, Options{}, func(t *testing.T, s *Server, c *cpe) {
		i := strings.Replace(goodInform().String(), "</s:Header>",
			`<cwmp:SupportedCWMPVersions s:mustUnderstand="0">1.0,1.1,1.2,1.3</cwmp:SupportedCWMPVersions></s:Header>`, 1)
		if text := c.want(200, i); !strings.Contains(text, `<cwmp:UseCWMPVersion soap-env:mustUnderstand="1">1.3<`) {
			t.Errorf("no version in %s", text)
		}
		clean(t, s)
	})
}
