package tape

import (
	"io"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"
	"time"

	"gatehouse/lab/acs"
)

const (
	head = `<e:Envelope xmlns:e="http://schemas.xmlsoap.org/soap/envelope/" xmlns:n="http://schemas.xmlsoap.org/soap/encoding/" xmlns:xsd="http://www.w3.org/2001/XMLSchema" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xmlns:cwmp="urn:dslforum-org:cwmp-1-2"><e:Header><cwmp:ID e:mustUnderstand="1">`
	mid  = `</cwmp:ID></e:Header><e:Body>`
	tail = `</e:Body></e:Envelope>`
)

// example is a session with everything that is hard to print.
func example() *Tape {
	value := func(name, typ, v string) string {
		return `<ParameterValueStruct><Name>` + name + `</Name><Value xsi:type="xsd:` + typ + `">` + v + `</Value></ParameterValueStruct>`
	}
	post := func(body string, h http.Header) Exchange {
		return Exchange{Target: "/acs", Header: h, Body: body, Status: 200, Reply: http.Header{}, Connection: 1}
	}
	inform := post(head+"17"+mid+`<cwmp:Inform><Event><EventStruct><EventCode>1 BOOT</EventCode></EventStruct></Event><CurrentTime>2026-01-01T00:00:00Z</CurrentTime></cwmp:Inform>`+tail,
		http.Header{"Content-Type": {`text/xml; charset="utf-8"`}, "Authorization": {"Digest ***"}, "SOAPAction": {""}})
	inform.Reply["Set-Cookie"] = []string{"a=***; Path=/", "b=***"}
	inform.ReplyBody = "\ufeff" + head + "17" + mid + "<cwmp:InformResponse/>" + tail + "\r\n\x00"
	empty := post("", http.Header{"Cookie": {"a=***; b=***"}})
	empty.ReplyBody = head + "x1" + mid + "<cwmp:GetParameterValues/>" + tail
	values := post(head+"x1"+mid+"<cwmp:GetParameterValuesResponse><ParameterList>"+value("Device.A", "string", "one")+"\n \t\n"+value("Device.Odd", "string", "a\n\n  \ttrailing \n\u0085")+
		value("Device.B", "unsignedInt", "2")+value("Device.Password", "string", "***")+"</ParameterList></cwmp:GetParameterValuesResponse>"+tail+"\n\n", http.Header{"Cookie": {"a=***; b=***"}})
	values.At, values.Status, values.Connection = 1500*time.Millisecond, 204, 2
	return &Tape{Session: 3, Device: "0011AA-x y", Began: time.Date(2026, 1, 1, 0, 0, 0, 5000, time.UTC), Ended: "well", Exchanges: []Exchange{inform, empty, values}}
}

func TestRoundTrip(t *testing.T) {
	want := example()
	var b strings.Builder
	if _, err := want.WriteTo(&b); err != nil {
		t.Fatal(err)
	}
	got, err := Read(strings.NewReader(b.String()))
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%v\n%s\nread back as %+v", err, b.String(), got)
	}
	edited := "# a remark\r\n" // people edit tapes with all sorts of editors
	text := strings.Replace(b.String(), "\n", "\n"+edited, 1)
	if got, err := Read(strings.NewReader(text)); err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("with a remark: %v", err)
	}
	for _, bad := range []string{"", "hello", "gatehouse-lab session x", "gatehouse-lab session 1\n", "gatehouse-lab session 1\n> POST /\n< x", "gatehouse-lab session 1\n> a: b", "gatehouse-lab session 1\n> POST /\n~ x"} {
		if _, err := Read(strings.NewReader(bad)); err == nil {
			t.Errorf("%q is a tape", bad)
		}
	}
}

// play posts bodies to a player of the example, and returns what it tells.
func play(t *testing.T, bodies ...string) (told []Difference, replies []string, complete int) {
	t.Helper()
	p := example().NewPlayer(func(d Difference) { told = append(told, d) }, func(whole bool) {
		if whole {
			complete++
		}
	})
	for i, b := range bodies {
		r := httptest.NewRequest(http.MethodPost, "/acs", strings.NewReader(b))
		r.Header.Set("Authorization", "Digest x")
		if i > 0 {
			r.Header.Set("Cookie", "a=***")
		}
		w := httptest.NewRecorder()
		p.ServeHTTP(w, r)
		text, _ := io.ReadAll(w.Result().Body)
		replies = append(replies, string(text))
	}
	return told, replies, complete
}

// What is as it was is not told of; the ID and the time of the agent are its own.
func TestPlay(t *testing.T) {
	x := example().Exchanges
	inform := strings.NewReplacer(">17<", ">my.1<", "2026-01-01", "2031-01-01").Replace(x[0].Body)
	told, replies, complete := play(t, inform, x[1].Body, x[2].Body)
	if len(told) != 0 || complete != 1 {
		t.Errorf("%d whole sessions, told %v", complete, told)
	}
	if !strings.Contains(replies[0], ">my.1<") || !strings.Contains(replies[1], ">x1<") || replies[2] != "" {
		t.Errorf("replies %q", replies)
	}
}

// Each way of answering otherwise is told, with what was recorded.
func TestDifferences(t *testing.T) {
	x := example().Exchanges
	swap := func(old, now string) string { return strings.Replace(x[2].Body, old, now, 1) }
	for _, row := range []struct {
		last, want string
		grave      bool
	}{
		{swap(">one<", ">two<"), `Device.A: Value is "two", recorded "one"`, false},
		{swap("Device.B", "Device.C"), "Device.B is missing", true},
		{swap("xsd:unsignedInt", "xsd:int"), "Device.B is of type xsd:int, recorded xsd:unsignedInt", true},
		{"", "an empty POST, recorded GetParameterValuesResponse", true},
		{"<", "cannot be read", true},
		{head + "x1" + mid + "<e:Fault><faultcode>Client</faultcode><detail><cwmp:Fault><FaultCode>9005</FaultCode></cwmp:Fault></detail></e:Fault>" + tail, "9005", true},
		{x[0].Body, "a new session before the end", true},
	} {
		told, _, _ := play(t, x[0].Body, x[1].Body, row.last)
		if len(told) == 0 || !strings.Contains(told[0].Text, row.want) || told[0].Grave != row.grave || told[0].Exchange != 3 {
			t.Errorf("want %q, told %v", row.want, told)
		}
	}
}

// What is recorded holds no secret.
func TestMask(t *testing.T) {
	s := &acs.Session{Exchanges: []acs.Exchange{{
		Header: http.Header{"Authorization": {`Digest username="u", response="hush"`}, "Cookie": {"a=hush; b=hush"}},
		Body:   []byte(`<Name>Device.ManagementServer.Password</Name><Value>hush</Value>`), Status: 200,
		ReplyHeader: http.Header{"Set-Cookie": {"a=hush; Path=/"}, "Authentication-Info": {`rspauth="hush"`}},
		Reply:       []byte(`<Password>hush</Password>`),
	}}}
	var b strings.Builder
	Of(s).WriteTo(&b)
	if strings.Contains(b.String(), "hush") || !strings.Contains(b.String(), "; Path=/") {
		t.Error(b.String())
	}
}

func FuzzRead(f *testing.F) {
	var b strings.Builder
	example().WriteTo(&b)
	f.Add(b.String())
	f.Add("gatehouse-lab session 1\n> POST /\n| a\n\\\n< 200\n~ \"\\x00\"\n")
	f.Fuzz(func(t *testing.T, text string) {
		tape, err := Read(strings.NewReader(text))
		if err != nil {
			return
		}
		var b strings.Builder
		tape.WriteTo(&b)
		again, err := Read(strings.NewReader(b.String()))
		if err != nil {
			t.Fatalf("%v\n%s", err, b.String())
		}
		for i, x := range tape.Exchanges {
			if y := again.Exchanges[i]; x.Body != y.Body || x.ReplyBody != y.ReplyBody {
				t.Fatalf("%q is read back as %q", x.Body, y.Body)
			}
		}
	})
}
