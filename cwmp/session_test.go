package cwmp

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"gatehouse/internal/digest"
)

// TestFirstContact tells the whole story of a first session, as the founding
// description does, and looks at every byte that matters on the way.
func TestFirstContact(t *testing.T) {
	challenge := status(401, "WWW-Authenticate", `Digest realm="acs", nonce="N1", qop="auth,auth-int", algorithm=MD5, opaque="O1"`, "Set-Cookie", "lb=3")
	inform := func(w http.ResponseWriter, p post) {
		w.Header().Add("Set-Cookie", "session=abc; Path=/")
		informed(w, p)
	}
	a, srv := newACS(t,
		challenge, // S002-06: 401 with a Digest challenge
		inform,    // S002-08: InformResponse and a cookie
		ask("11", `<c:GetParameterValues><ParameterNames><string>Device.DeviceInfo.UpTime</string></ParameterNames></c:GetParameterValues>`), // S002-10
		ask("12", `<c:SetParameterValues><ParameterList><s><Name>Device.A</Name><Value i:type="xs:int">1</Value></s></ParameterList><ParameterKey>k1</ParameterKey></c:SetParameterValues>`),
		noContent, // S002-12: 204 ends the session
	)
	s, _, handled := testSession(srv.URL + "/acs?x=1")
	delivered := 0
	s.Informed = func() { delivered++ }
	report, err := s.Run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if want := (Report{ID: "f00dcafe", Informed: true, Version: "1.2", Requests: 2}); delivered != 1 || !report.Informed ||
		report.Version != want.Version || report.Requests != 2 || report.Calls != 0 || report.ID != want.ID {
		t.Errorf("delivered %d times, report %+v", delivered, report)
	}
	p := a.seen()
	if len(p) != 5 {
		t.Fatalf("%d POSTs", len(p))
	}
	checkHeaders(t, p)
	// S002-07: the same Inform again, with the response. S002-03: both events in it.
	if p[0].body != p[1].body || !strings.Contains(p[0].body, "<EventCode>0 BOOTSTRAP<") || !strings.Contains(p[0].body, "<EventCode>1 BOOT<") {
		t.Errorf("Informs:\n%s\n%s", p[0].body, p[1].body)
	}
	// S002-09: the empty POST has Content-Length: 0.
	if p[2].body != "" || p[2].header.Get("Content-Length") != "0" {
		t.Errorf("empty POST: %+v", p[2])
	}
	// S002-08: cookies go back, the one of the 401 too, from the next POST on.
	if got := p[0].header.Get("Cookie"); got != "" {
		t.Errorf("first POST has cookies: %s", got)
	}
	if got := p[1].header.Get("Cookie"); got != "lb=3" {
		t.Errorf("second POST: Cookie %q", got)
	}
	if got := p[4].header.Get("Cookie"); got != "lb=3; session=abc" {
		t.Errorf("last POST: Cookie %q", got)
	}
	// S002-11: responses carry the ID of their request.
	if p[3].id() != "11" || !strings.Contains(p[3].body, ">77</Value>") || p[4].id() != "12" || !strings.Contains(p[4].body, "<Status>0</Status>") {
		t.Errorf("responses:\n%s\n%s", p[3].body, p[4].body)
	}
	if want := "Device.A (xsd:int)"; len(handled.requests) != 2 || handled.requests[1].(SetParameterValues).ParameterList[0].String() != want {
		t.Errorf("handled %v", handled.requests)
	}
	checkDigest(t, p)
}

// checkHeaders looks at what every POST must have, and the empty one (the
// third) must not.
func checkHeaders(t *testing.T, p []post) {
	t.Helper()
	for i := range p {
		// S002-01: HTTP/1.1; S002-05: POST to the path of the ACS. One connection for all, also for the answer to the 401.
		if p[i].proto != "HTTP/1.1" || p[i].path != "/acs?x=1" || p[i].remote != p[0].remote || p[i].te != nil || p[i].length != int64(len(p[i].body)) {
			t.Errorf("POST %d: %+v", i, p[i])
		}
		if h := p[i].header; h.Get("Expect") != "" || h.Get("X-Idempotency-Key") != "" || h.Get("User-Agent") != "gatehouse-test" {
			t.Errorf("POST %d: header %v", i, h)
		}
		if v, ok := p[i].header["Soapaction"]; (i == 2) == ok || ok && v[0] != "" {
			t.Errorf("POST %d: SOAPAction %q", i, v)
		}
		if v := p[i].header.Get("Content-Type"); (i == 2) != (v == "") {
			t.Errorf("POST %d: Content-Type %q", i, v)
		}
	}
}

// checkDigest does the sums of RFC 7616 by itself for every POST after the 401.
func checkDigest(t *testing.T, posts []post) {
	t.Helper()
	if got := posts[0].header.Get("Authorization"); got != "" {
		t.Errorf("credentials before the challenge: %s", got)
	}
	for i, p := range posts[1:] {
		auth := p.header.Get("Authorization")
		get := func(name string) string {
			for part := range strings.SplitSeq(strings.TrimPrefix(auth, "Digest "), ",") {
				if k, v, _ := strings.Cut(strings.TrimSpace(part), "="); k == name {
					return strings.Trim(v, `"`)
				}
			}
			return ""
		}
		// S002-13: realm, qop, nonce, cnonce, uri, nc, algorithm, response, and opaque given back. S002-14: realm.
		for name, want := range map[string]string{
			"username": "cpe", "realm": "acs", "qop": "auth", "nonce": "N1", "uri": "/acs?x=1", "algorithm": "MD5", "opaque": "O1",
			// S002-16: one up for each POST; the first use of a nonce is 00000001.
			"nc": fmt.Sprintf("%08x", i+1),
		} {
			if got := get(name); got != want {
				t.Errorf("POST %d: %s is %q, want %q", i+1, name, got, want)
			}
		}
		// S002-17: HA1, HA2, response.
		ha1, ha2 := md5sum("cpe:acs:secret"), md5sum("POST:/acs?x=1")
		if want := md5sum(strings.Join([]string{ha1, "N1", get("nc"), get("cnonce"), "auth", ha2}, ":")); get("cnonce") == "" || get("response") != want {
			t.Errorf("POST %d: response %q, want %q", i+1, get("response"), want)
		}
	}
}

// script is an Exchanger without HTTP: one reply after the other. %ID% in a
// reply is the ID of what was sent.
type script struct {
	t       testing.TB
	replies []string
	sent    []string
	closed  int
}

func (s *script) Exchange(ctx context.Context, b *Body) ([]byte, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	s.sent = append(s.sent, "")
	if b != nil {
		s.sent[len(s.sent)-1] = read(s.t, b)
	}
	if len(s.replies) == 0 {
		return nil, errors.New("the script has ended")
	}
	r := s.replies[0]
	s.replies = s.replies[1:]
	return []byte(strings.ReplaceAll(r, "%ID%", post{body: s.sent[len(s.sent)-1]}.id())), nil
}

func (s *script) Close() error { s.closed++; return nil }

const (
	rInformed = "<c:InformResponse><MaxEnvelopes>1</MaxEnvelopes></c:InformResponse>"
	rReboot   = "<c:Reboot><CommandKey>k</CommandKey></c:Reboot>"
	rGenieACS = `<?xml version="1.0" encoding="UTF-8"?><soap-env:Envelope xmlns:soap-env="http://schemas.xmlsoap.org/soap/envelope/"><soap-env:Body><soap-env:Body:Fault><faultcode>Server</faultcode></soap-env:Body:Fault></soap-env:Body></soap-env:Envelope>`
)

func mine(body string) string   { return soap(acsID("%ID%"), body) }
func theirs(body string) string { return soap(acsID("42"), body) }
func held(id, body, v string) string {
	return soap(acsID(id)+"<c:HoldRequests SOAP-ENV:mustUnderstand='1'>"+v+"</c:HoldRequests>", body)
}
func fault(code int) string {
	return mine(fmt.Sprintf("<SOAP-ENV:Fault><faultcode>Server</faultcode><faultstring>CWMP fault</faultstring><detail><c:Fault><FaultCode>%d</FaultCode></c:Fault></detail></SOAP-ENV:Fault>", code))
}

// outline names what was sent: the RPC, "-" for the empty POST, and the code
// of a Fault.
func outline(sent []string) string {
	var out []string
	for _, s := range sent {
		_, body, _ := strings.Cut(s, "<soap-env:Body>")
		switch {
		case s == "":
			out = append(out, "-")
		case strings.HasPrefix(body, "<soap-env:Fault>"):
			code := between(body, "<FaultCode>", "<")
			if code == "" {
				code = between(body, "<faultcode>", "<")
			}
			out = append(out, code)
		default:
			out = append(out, between(body, "<cwmp:", ">"))
		}
	}
	return strings.Join(out, " ")
}

// sessions of every shape. The calls are TransferComplete and RequestDownload
// when two are wanted, the first of them when one is.
var sessions = map[string]struct {
	calls   int
	replies []string
	sent    string // see outline
	told    string // what Answered heard
	err     error  // by errors.Is
	word    string // in the error
}{
	"nothing_to_do":               {0, []string{mine(rInformed), ""}, "Inform -", "", nil, ""},
	"white_space_is_empty":        {0, []string{mine(rInformed), " \r\n\x00"}, "Inform -", "", nil, ""},
	"no_id_anywhere":              {0, []string{soap("", rInformed), soap("", rReboot), ""}, "Inform - RebootResponse", "", nil, ""},
	"calls_come_first":            {2, []string{mine(rInformed), mine("<c:TransferCompleteResponse/>"), mine("<c:RequestDownloadResponse/>"), theirs(rReboot), ""}, "Inform TransferComplete RequestDownload - RebootResponse", "TransferCompleteResponse RequestDownloadResponse", nil, ""},
	"inform_repeated_on_8005":     {0, []string{fault(8005), fault(8005), mine(rInformed), ""}, "Inform Inform Inform -", "", nil, ""},
	"8005_without_end":            {0, []string{fault(8005), fault(8005), fault(8005), fault(8005), fault(8005), fault(8005)}, "Inform Inform Inform Inform Inform", "", ErrRetries, ""},
	"call_repeated_on_8005":       {1, []string{mine(rInformed), fault(8005), mine("<c:TransferCompleteResponse/>"), ""}, "Inform TransferComplete TransferComplete -", "TransferCompleteResponse", nil, ""},
	"inform_refused":              {0, []string{fault(8003)}, "Inform", "", &Fault{Code: 8003}, ""},
	"no_common_version":           {0, []string{fault(8006)}, "Inform", "", &Fault{Code: 8006}, ""},
	"call_refused":                {2, []string{mine(rInformed), fault(8001), mine("<c:RequestDownloadResponse/>"), ""}, "Inform TransferComplete RequestDownload -", "8001 RequestDownloadResponse", nil, ""},
	"call_unknown_to_genieacs":    {2, []string{mine(rInformed), mine("<c:TransferCompleteResponse/>"), rGenieACS, ""}, "Inform TransferComplete RequestDownload -", "TransferCompleteResponse 8000", nil, ""},
	"transfer_complete_unread":    {1, []string{mine(rInformed), rGenieACS}, "Inform TransferComplete", "", nil, "unreadable envelope"},
	"empty_answer_to_inform":      {0, []string{""}, "Inform", "", ErrNoAnswer, "Inform"},
	"empty_answer_to_call":        {1, []string{mine(rInformed), ""}, "Inform TransferComplete", "", ErrNoAnswer, "TransferComplete"},
	"html_answer_to_inform":       {0, []string{"<html/>"}, "Inform", "", nil, "not a SOAP envelope"},
	"request_instead_of_answer":   {0, []string{theirs(rReboot)}, "Inform", "", ErrUnexpected, "Reboot"},
	"request_without_id_instead":  {0, []string{soap("", rReboot)}, "Inform", "", ErrUnexpected, "Reboot in answer to Inform"},
	"wrong_id":                    {0, []string{theirs(rInformed)}, "Inform", "", ErrUnexpected, `ID "42"`},
	"wrong_response_freeacs_289":  {1, []string{mine(rInformed), mine("<c:AutonomousTransferCompleteResponse/>")}, "Inform TransferComplete", "", ErrUnexpected, "AutonomousTransferCompleteResponse in answer to TransferComplete"},
	"response_in_other_namespace": {0, []string{mine(`<c:InformResponse xmlns:c="urn:x"/>`)}, "Inform", "", ErrUnexpected, "InformResponse"},
	"response_out_of_turn":        {0, []string{mine(rInformed), mine(rInformed)}, "Inform -", "", ErrUnexpected, "nothing was asked"},
	"fault_out_of_turn":           {0, []string{mine(rInformed), theirs(rReboot), fault(8002)}, "Inform - RebootResponse", "", ErrUnexpected, "8002"},
	"unknown_method":              {0, []string{mine(rInformed), theirs("<c:Kick/>"), ""}, "Inform - 9000", "", nil, ""},
	"not_of_cwmp":                 {0, []string{mine(rInformed), theirs("<x/>"), ""}, "Inform - 9000", "", nil, ""},
	"unsupported_method":          {0, []string{mine(rInformed), theirs("<c:FactoryReset/>"), ""}, "Inform - 9000", "", nil, ""},
	"wrong_argument":              {0, []string{mine(rInformed), theirs("<c:Reboot/>"), ""}, "Inform - 9003", "", nil, ""},
	"goes_on_after_fault":         {0, []string{mine(rInformed), theirs("<c:Reboot/>"), theirs(rReboot), ""}, "Inform - 9003 RebootResponse", "", nil, ""},
	"unread_request":              {0, []string{mine(rInformed), theirs("<c:Reboot>")}, "Inform -", "", nil, "unreadable envelope"},
	"request_beyond_limits":       {0, []string{mine(rInformed), theirs("<c:SetParameterValues>" + strings.Repeat("<a/>", 30_000) + "</c:SetParameterValues>"), theirs(rReboot), ""}, "Inform - 9004 RebootResponse", "", nil, ""},
	"answer_beyond_limits":        {0, []string{mine("<c:InformResponse>" + strings.Repeat("<a/>", 30_000) + "</c:InformResponse>")}, "Inform", "", nil, "more than 20000 elements"},
	"must_understand":             {0, []string{mine(rInformed), soap(acsID("42")+`<w:S xmlns:w="w" SOAP-ENV:mustUnderstand="1"/>`, rReboot), ""}, "Inform - soap-env:MustUnderstand", "", nil, ""},
	"empty_body_is_empty":         {0, []string{mine(rInformed), theirs("")}, "Inform -", "", nil, ""},
	"held":                        {2, []string{held("%ID%", rInformed, "1"), held("42", rReboot, "1"), "", mine("<c:TransferCompleteResponse/>"), mine("<c:RequestDownloadResponse/>"), ""}, "Inform - RebootResponse TransferComplete RequestDownload -", "TransferCompleteResponse RequestDownloadResponse", nil, ""},
	"held_between_calls":          {2, []string{mine(rInformed), held("%ID%", "<c:TransferCompleteResponse/>", "true"), theirs(rReboot), "", mine("<c:RequestDownloadResponse/>"), theirs(rReboot), ""}, "Inform TransferComplete - RebootResponse RequestDownload - RebootResponse", "TransferCompleteResponse RequestDownloadResponse", nil, ""},
	"held_for_nothing":            {0, []string{held("%ID%", rInformed, "1"), ""}, "Inform -", "", nil, ""},
	"not_held":                    {1, []string{held("%ID%", rInformed, "0"), mine("<c:TransferCompleteResponse/>"), ""}, "Inform TransferComplete -", "TransferCompleteResponse", nil, ""},
}

func TestPhases(t *testing.T) {
	for name, tt := range sessions {
		t.Run(name, func(t *testing.T) {
			x := &script{t: t, replies: tt.replies}
			calls := []Call{TransferComplete{CommandKey: "k"}, RequestDownload{FileType: "2 Web Content"}}[:tt.calls]
			var told []string
			s := &Session{Exchange: x, Handler: &noted{}, Inform: *testInform(), ID: "f00dcafe",
				Calls: func() (c Call, ok bool) {
					if len(calls) == 0 {
						return nil, false
					}
					c, calls = calls[0], calls[1:]
					return c, true
				},
				Answered: func(_ Call, a Answer, err error) {
					var f *Fault
					if errors.As(err, &f) {
						told = append(told, fmt.Sprint(f.Code))
					} else {
						told = append(told, a.Method())
					}
				},
			}
			report, err := s.Run(t.Context())
			if got := outline(x.sent); got != tt.sent {
				t.Errorf("sent %s\nwant %s", got, tt.sent)
			}
			if got := strings.Join(told, " "); got != tt.told {
				t.Errorf("told %q, want %q", got, tt.told)
			}
			if (err == nil) != (tt.err == nil && tt.word == "") || tt.err != nil && !errors.Is(err, tt.err) ||
				err != nil && !strings.Contains(err.Error(), tt.word) {
				t.Errorf("error: %v", err)
			}
			if x.closed != 1 {
				t.Errorf("closed %d times", x.closed)
			}
			if report.Informed != (len(x.sent) > 1 && slices.ContainsFunc(x.sent[1:], func(s string) bool { return !strings.Contains(s, "<cwmp:Inform>") })) {
				t.Errorf("report %+v", report)
			}
			checkIDs(t, x.sent)
		})
	}
}

// checkIDs: repetitions are the same to the byte, other calls have IDs of
// their own, answers the ID that they were asked under.
func checkIDs(t *testing.T, sent []string) {
	seen := map[string]string{}
	for _, s := range sent {
		id, name := post{body: s}.id(), outline([]string{s})
		switch {
		case strings.HasPrefix(name, "9") && id != "42":
			t.Errorf("%s under the ID %q", name, id)
		case name == "-", id == "":
		case id == "42":
			if !strings.HasSuffix(name, "Response") && !strings.HasPrefix(name, "9") && name != "soap-env:MustUnderstand" {
				t.Errorf("%s under their ID", name)
			}
		case seen[id] != "" && seen[id] != s:
			t.Errorf("ID %s twice for different messages", id)
		default:
			seen[id] = s
		}
	}
}

func TestHandlerErrors(t *testing.T) {
	broken := errors.New("no such socket: password hunter2")
	tests := map[string]struct {
		handler Handler
		sent    string
	}{
		"fault_as_it_is": {HandlerFunc(func(context.Context, Request) (Response, error) {
			return nil, fmt.Errorf("wrapped: %w", Faultf(FaultResourcesExceeded, "full"))
		}), "9004"},
		"other_errors_stay_here": {HandlerFunc(func(context.Context, Request) (Response, error) { return nil, broken }), "9002"},
		"no_response":            {HandlerFunc(func(context.Context, Request) (Response, error) { return nil, nil }), "9002"},
		"other_response": {HandlerFunc(func(context.Context, Request) (Response, error) {
			return FactoryResetResponse{}, nil
		}), "9002"},
		"no_handler": {nil, "9000"},
		"late_error_in_list": {HandlerFunc(func(context.Context, Request) (Response, error) {
			return GetParameterValuesResponse{func(yield func(ParameterValue, error) bool) {
				_ = yield(ParameterValue{"Device.A", "1", "xsd:int"}, nil) && yield(ParameterValue{}, &Fault{Code: FaultInvalidName})
			}}, nil
		}), "9005"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			x := &script{t: t, replies: []string{mine(rInformed), theirs("<c:GetParameterValues><ParameterNames><string/></ParameterNames></c:GetParameterValues>"), ""}}
			s := &Session{Exchange: x, Handler: tt.handler, Inform: *testInform()}
			if _, err := s.Run(t.Context()); err != nil {
				t.Fatal(err)
			}
			if got := outline(x.sent); got != "Inform - "+tt.sent {
				t.Errorf("sent %s", got)
			}
			if strings.Contains(x.sent[2], "hunter2") {
				t.Error("the ACS was told an inner error")
			}
		})
	}
}

func TestVersions(t *testing.T) {
	tests := map[string]struct {
		offer, reply, ns, report string
	}{
		"silent_acs":         {"", mine(rInformed), "1-2", "1.2"},
		"old_acs":            {"", strings.ReplaceAll(mine(rInformed), "cwmp-1-2", "cwmp-1-0"), "1-0", "1.0"},
		"genieacs_namespace": {"", strings.ReplaceAll(mine(rInformed), "cwmp-1-2", "cwmp-1-3"), "1-2", "1.3"},
		"chosen":             {"", soap(acsID("%ID%")+`<c:UseCWMPVersion SOAP-ENV:mustUnderstand="1">1.1</c:UseCWMPVersion>`, rInformed), "1-1", "1.1"},
		"chosen_1.4":         {"", soap(acsID("%ID%")+`<c:UseCWMPVersion SOAP-ENV:mustUnderstand="1">1.4</c:UseCWMPVersion>`, rInformed), "1-2", "1.4"},
		"beyond_our_offer":   {"1.0", soap(acsID("%ID%")+`<c:UseCWMPVersion SOAP-ENV:mustUnderstand="1">1.4</c:UseCWMPVersion>`, rInformed), "1-0", "1.0"},
		"we_offer_less":      {"1.0", mine(rInformed), "1-0", "1.0"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			x := &script{t: t, replies: []string{tt.reply, theirs(rReboot), ""}}
			s := &Session{Exchange: x, Handler: &noted{}, Inform: *testInform(), Version: tt.offer}
			report, err := s.Run(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if report.Version != tt.report || !strings.Contains(x.sent[2], `"urn:dslforum-org:cwmp-`+tt.ns+`"`) {
				t.Errorf("version %s, sent %s", report.Version, x.sent[2])
			}
			if strings.Contains(x.sent[0], "SupportedCWMPVersions") != (tt.offer == "") {
				t.Errorf("offered: %s", x.sent[0])
			}
		})
	}
	if _, err := (&Session{Exchange: &script{t: t}, Version: "2.0"}).Run(t.Context()); err == nil {
		t.Error("version 2.0 was taken")
	}
}

// S003-12: an ACS that knows another version of the protocol is spoken to in that.
func TestTryOlder(t *testing.T) {
	for err, want := range map[error]bool{
		&HTTPError{Status: 500}: true, &HTTPError{Status: 400}: true, &HTTPError{Status: 503}: false, &HTTPError{Status: 401}: false,
		&Fault{Code: 8003}: true, &EnvelopeError{}: true, ErrNoAnswer: false, digest.ErrRefused: false,
	} {
		if got := older(fmt.Errorf("Inform: %w", err)); got != want {
			t.Errorf("%v: %t", err, got)
		}
	}
}

// TestInformFails: nothing is sent when the Inform cannot be built.
func TestInformFails(t *testing.T) {
	x := &script{t: t}
	s := &Session{Exchange: x, Inform: *testInform()}
	broken := errors.New("no identity")
	s.Inform.Parameters = func(context.Context) iter.Seq2[ParameterValue, error] {
		return func(yield func(ParameterValue, error) bool) { yield(ParameterValue{}, broken) }
	}
	if _, err := s.Run(t.Context()); !errors.Is(err, broken) || len(x.sent) != 0 {
		t.Errorf("error %v, sent %v", err, x.sent)
	}
}

// TestCancel: the session ends at once when it is told to, with the reason,
// also while a request of the ACS is being carried out.
func TestCancel(t *testing.T) {
	ctx, cancel := context.WithCancelCause(t.Context())
	stop := errors.New("shutting down")
	x := &script{t: t, replies: []string{mine(rInformed), theirs(rReboot), ""}}
	s := &Session{Exchange: x, Inform: *testInform(), Handler: HandlerFunc(func(ctx context.Context, _ Request) (Response, error) {
		cancel(stop)
		return nil, ctx.Err()
	})}
	if _, err := s.Run(ctx); !errors.Is(err, stop) || outline(x.sent) != "Inform -" || x.closed != 1 {
		t.Errorf("error %v, sent %s", err, outline(x.sent))
	}
}

// TestConnectionEndsWithTheSession (S002-02): links are short, none is kept.
func TestConnectionEndsWithTheSession(t *testing.T) {
	a := &acs{t: t, steps: []step{informed, noContent}}
	srv := httptest.NewUnstartedServer(a)
	closed := make(chan struct{}, 1)
	srv.Config.ConnState = func(_ net.Conn, s http.ConnState) {
		if s == http.StateClosed {
			closed <- struct{}{}
		}
	}
	srv.Start()
	defer srv.Close()
	s, _, _ := testSession(srv.URL)
	if _, err := s.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	<-closed // before the server is
}

// TestReportOfAFailure: what Run tells when an old ACS does not understand us.
func TestReportOfAFailure(t *testing.T) {
	_, srv := newACS(t, status(500))
	s, _, _ := testSession(srv.URL)
	report, err := s.Run(t.Context())
	var he *HTTPError
	if !errors.As(err, &he) || !report.TryOlder || report.Informed || report.ID != "f00dcafe" || !strings.HasPrefix(err.Error(), "Inform: the ACS answers 500") {
		t.Errorf("%+v, %v", report, err)
	}
}
