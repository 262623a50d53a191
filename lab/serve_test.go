package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"gatehouse/lab/acs"
	"gatehouse/lab/pipe"
)

// page is a screen's writer that can be read while it is written.
type page struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (t *page) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.b.Write(p)
}

func (t *page) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.b.String()
}

// A device that bootstraps is given the credentials for connection requests.
func TestServeProvisions(t *testing.T) {
	for user, want := range map[string]int{"acs": 1, "": 0} {
		_, asked, _ := serveWith(t, []string{"--connreq-user", user}, "0 BOOTSTRAP", "", map[string]string{"SetParameterValues": "<Status>0</Status>"})
		if len(asked) != want {
			t.Errorf("user %q: asked %q", user, asked)
		}
	}
}

// device answers an ACS by a table of method → answer.
type device struct {
	conn    net.Conn
	rd      *bufio.Reader
	cookie  string
	answers map[string]string
	asked   []string
}

const envelope = `<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/" xmlns:e="http://schemas.xmlsoap.org/soap/encoding/" ` +
	`xmlns:xsd="http://www.w3.org/2001/XMLSchema" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xmlns:cwmp="urn:dslforum-org:cwmp-1-0">` +
	`<s:Header><cwmp:ID s:mustUnderstand="1">%s</cwmp:ID></s:Header><s:Body>%s</s:Body></s:Envelope>`

func (d *device) post(t *testing.T, body string) string {
	t.Helper()
	head := "POST / HTTP/1.1\r\nHost: acs\r\n"
	if d.cookie != "" {
		head += "Cookie: " + d.cookie + "\r\n"
	}
	if body != "" {
		head += "Content-Type: text/xml\r\nSOAPAction:\r\n"
	}
	fmt.Fprintf(d.conn, "%sContent-Length: %d\r\n\r\n%s", head, len(body), body)
	resp, err := http.ReadResponse(d.rd, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range resp.Cookies() {
		d.cookie = c.Name + "=" + c.Value
	}
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// session runs one session.
func (d *device) session(t *testing.T, event string) {
	t.Helper()
	var ps strings.Builder
	for i, name := range strings.Fields("RootDataModelVersion DeviceInfo.HardwareVersion DeviceInfo.SoftwareVersion DeviceInfo.ProvisioningCode " +
		"ManagementServer.ParameterKey ManagementServer.ConnectionRequestURL ManagementServer.AliasBasedAddressing") {
		fmt.Fprintf(&ps, `<ParameterValueStruct><Name>Device.%s</Name><Value xsi:type="xsd:string">%d</Value></ParameterValueStruct>`, name, i)
	}
	d.post(t, fmt.Sprintf(envelope, "1", `<cwmp:Inform><DeviceId><Manufacturer>M</Manufacturer><OUI>0011AA</OUI><ProductClass>P</ProductClass>`+
		`<SerialNumber>S</SerialNumber></DeviceId><Event e:arrayType="cwmp:EventStruct[1]"><EventStruct><EventCode>`+event+`</EventCode><CommandKey></CommandKey></EventStruct></Event>`+
		`<MaxEnvelopes>1</MaxEnvelopes><CurrentTime>2026-01-01T00:00:00Z</CurrentTime><RetryCount>0</RetryCount>`+
		`<ParameterList e:arrayType="cwmp:ParameterValueStruct[7]">`+ps.String()+`</ParameterList></cwmp:Inform>`))
	next := d.post(t, "")
	for next != "" {
		_, id, _ := strings.Cut(next, `<cwmp:ID soap-env:mustUnderstand="1">`)
		id, _, _ = strings.Cut(id, "<")
		_, method, _ := strings.Cut(next, "<soap-env:Body><cwmp:")
		method = method[:strings.IndexAny(method, "/> ")]
		d.asked = append(d.asked, next)
		next = d.post(t, fmt.Sprintf(envelope, id, "<cwmp:"+method+"Response>"+d.answers[method]+"</cwmp:"+method+"Response>"))
	}
}

// serveWith runs serve in a bubble against a device, with commands typed
// before its one session, which has one event.
func serveWith(t *testing.T, args []string, event, typed string, answers map[string]string) (story string, asked []string, broken int) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		n := pipe.New()
		l, err := n.Listen("tcp", "192.0.2.1:80")
		if err != nil {
			t.Fatal(err)
		}
		o, err := parseServe(append(args, "--sessions", "1"), io.Discard)
		if err != nil {
			t.Fatal(err)
		}
		paper := &page{}
		done := make(chan error, 1)
		go func() {
			var err error
			broken, err = serve(context.Background(), o, l, strings.NewReader(typed), &screen{w: paper, soap: o.soap})
			done <- err
		}()
		synctest.Wait()
		conn, err := n.Dial(t.Context(), "tcp", "192.0.2.1:80")
		if err != nil {
			t.Fatal(err)
		}
		d := &device{conn: conn, rd: bufio.NewReader(conn), answers: answers}
		d.session(t, event)
		if err := <-done; err != nil {
			t.Error(err)
		}
		conn.Close()
		story, asked = paper.String(), d.asked
	})
	return story, asked, broken
}

func value(name, typ, text string) string {
	return `<ParameterList e:arrayType="cwmp:ParameterValueStruct[1]"><ParameterValueStruct><Name>` + name + `</Name><Value xsi:type="xsd:` +
		typ + `">` + text + `</Value></ParameterValueStruct></ParameterList>`
}

// The story holds what was said on both sides, and the orders of the command
// line and of the console are carried out, set with the parameter's own type.
func TestServe(t *testing.T) {
	story, asked, broken := serveWith(t, []string{"--set", "Device.A.B=two words"}, "1 BOOT", "get Device.A.\nnonsense\nhelp\n", map[string]string{
		"GetParameterValues": value("Device.A.B", "base64", "YQ=="),
		"SetParameterValues": "<Status>1</Status>",
	})
	if broken != 0 {
		t.Errorf("%d violations", broken)
	}
	if len(asked) != 3 || !strings.Contains(asked[2], `<Value xsi:type="xsd:base64">two words</Value>`) {
		t.Errorf("asked: %q", asked)
	}
	for _, want := range []string{
		"> #1 Inform from 0011AA-S: 1 BOOT; 7 parameters",
		"< #1 200 GetParameterValues Device.A.",
		"  Device.A.B  base64  YQ==",
		"in force after the session",
		"< #1 204 nothing more",
		"= session 1 done: 3 RPCs",
		`! there is no "nonsense"`,
		"connection request: call",
		"1 sessions, 0 violations",
	} {
		if !strings.Contains(story, want) {
			t.Errorf("no %q in the story:\n%s", want, story)
		}
	}
	if strings.Contains(story, "\x1b") {
		t.Error("colour without a terminal")
	}
}

// --show soap prints envelopes, without secrets; what a CPE sends cannot steer
// the terminal; violations make the exit code.
func TestServeShows(t *testing.T) {
	story, _, broken := serveWith(t, []string{"--show", "soap", "--get", "Device.A."}, "1 BOOT", "", map[string]string{
		"GetParameterValues": value("Device.B.Password", "string", "geheim&#x9b;31m"),
	})
	if broken != 1 || !strings.Contains(story, "was not asked for") {
		t.Errorf("%d violations", broken)
	}
	if strings.Contains(story, "geheim") || strings.ContainsAny(story, "\x1b\u009b") {
		t.Errorf("the story:\n%s", story)
	}
	if !strings.Contains(story, "<cwmp:GetParameterValues>\n") {
		t.Errorf("no envelopes in the story:\n%s", story)
	}
}

// Every verb of the console asks for the right thing.
func TestOrders(t *testing.T) {
	for _, row := range []struct{ typed, answer, want string }{
		{"names", "", "<ParameterPath></ParameterPath><NextLevel>0<"},
		{"names Device. next", "", "<ParameterPath>Device.</ParameterPath><NextLevel>1<"},
		{"attrs Device.A", "", "<string>Device.A</string>"},
		{"notify Device.A 2", "", "<Name>Device.A</Name><NotificationChange>1</NotificationChange><Notification>2<"},
		{"add Device.T.", "<InstanceNumber>1</InstanceNumber><Status>0</Status>", "<cwmp:AddObject><ObjectName>Device.T.<"},
		{"del Device.T.1.", "<Status>0</Status>", "<cwmp:DeleteObject><ObjectName>Device.T.1.<"},
		{"methods", "", "<cwmp:GetRPCMethods>"},
		{`reboot "a  b"`, "", "<CommandKey>a  b</CommandKey>"},
		{"reset", "", "<cwmp:FactoryReset>"},
		{"schedule 60 k", "", "<DelaySeconds>60</DelaySeconds><CommandKey>k<"},
	} {
		t.Run(row.typed, func(t *testing.T) {
			_, asked, _ := serveWith(t, nil, "1 BOOT", row.typed+"\n", map[string]string{"AddObject": row.answer, "DeleteObject": row.answer})
			if len(asked) != 1 || !strings.Contains(asked[0], row.want) {
				t.Errorf("asked: %q", asked)
			}
		})
	}
}

func TestBadCommandLines(t *testing.T) {
	for _, args := range [][]string{
		{"extra"}, {"--auth", "ntlm"}, {"--show", "html"}, {"--set", "Device.A"}, {"--get", " "}, {"--nonsense"},
	} {
		if _, err := parseServe(args, io.Discard); err == nil {
			t.Errorf("%q was understood", args)
		}
	}
	for _, line := range []string{"get", "set A", "set =x", "names a b", "notify A", "notify A x", "add", "del", "schedule", "schedule soon", `get "x`} {
		if _, err := parseOrder(line); err == nil {
			t.Errorf("%q was understood", line)
		}
	}
}

func TestIndent(t *testing.T) {
	got := strings.Join(indent(`<?xml version="1.0"?><a><b>x</b><c/><d><e></e></d></a>`), "\n")
	const want = "<?xml version=\"1.0\"?>\n<a>\n  <b>x</b>\n  <c/>\n  <d>\n    <e></e>\n  </d>\n</a>"
	if got != want {
		t.Errorf("%s", got)
	}
}

// The knobs of --chaos reach the ACS, and a mistake is told.
func TestServeChaos(t *testing.T) {
	o, err := parseServe([]string{"--tls", "--chaos", "busy,cert=expired,times=2"}, io.Discard)
	if err != nil || o.chaos.cert != "expired" || o.chaos.knobs != "busy,times=2" {
		t.Errorf("%v: %+v", err, o.chaos)
	}
	for _, bad := range []string{"cert=expired", "nonsense", "cert=odd"} {
		if _, err := parseServe([]string{"--chaos", bad}, io.Discard); err == nil {
			t.Errorf("%s is taken", bad)
		}
	}
	var help strings.Builder
	if _, err := parseServe([]string{"--chaos", "help"}, &help); !errors.Is(err, flag.ErrHelp) {
		t.Error(err)
	}
	for _, k := range acs.Knobs() {
		if !strings.Contains(help.String(), "  "+k.Name) {
			t.Errorf("%s is not in the help", k.Name)
		}
	}
	story, _, _ := serveWith(t, []string{"--chaos", "nothing=200,chunked=7,bom"}, "1 BOOT", "", nil)
	if !strings.Contains(story, "session 1 done") {
		t.Errorf("the device did not cope:\n%s", story)
	}
}
