package acs

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"

	"gatehouse/lab/pipe"
)

// cpe is a CPE made of raw strings: it sends exactly what a test writes, so
// that every kind of violation can be shown to be caught.
type cpe struct {
	t      *testing.T
	net    *pipe.Network
	dial   func() net.Conn
	conn   net.Conn
	rd     *bufio.Reader
	cookie string
	auth   func(body string) string // the Authorization of the next request
}

const acsAddr = "192.0.2.1:7547"

// bench runs f in a bubble with a server and a CPE.
func bench(t *testing.T, o Options, f func(t *testing.T, s *Server, c *cpe)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		inBubble(t, o, func(s *Server, c *cpe) { f(t, s, c) })
	})
}

// inBubble is bench for tests that have a bubble already.
func inBubble(t *testing.T, o Options, f func(s *Server, c *cpe)) {
	t.Helper()
	n := pipe.New()
	l, err := n.Listen("tcp", acsAddr)
	if err != nil {
		t.Fatal(err)
	}
	o.Dial = n.Dial
	s := New(o)
	go s.Serve(l)
	c := &cpe{t: t, net: n, dial: func() net.Conn {
		conn, err := n.Dial(context.Background(), "tcp", acsAddr)
		if err != nil {
			t.Fatal(err)
		}
		return conn
	}}
	f(s, c)
	c.hangUp()
	s.Close()
	synctest.Wait()
}

func (c *cpe) hangUp() {
	if c.conn != nil {
		c.conn.Close()
		c.conn = nil
	}
}

// raw sends text and reads one answer.
func (c *cpe) raw(text string) (*http.Response, string) {
	c.t.Helper()
	resp, body, err := c.try(text)
	if err != nil {
		c.t.Fatalf("no answer: %v", err)
	}
	return resp, body
}

// connect is the connection, made when there is none.
func (c *cpe) connect() net.Conn {
	if c.conn == nil {
		c.conn = c.dial()
		c.rd = bufio.NewReader(c.conn)
	}
	return c.conn
}

func (c *cpe) try(text string) (*http.Response, string, error) {
	c.connect()
	if _, err := io.WriteString(c.conn, text); err != nil {
		return nil, "", err
	}
	resp, err := http.ReadResponse(c.rd, &http.Request{Method: http.MethodPost})
	if err != nil {
		return nil, "", err
	}
	body, err := io.ReadAll(resp.Body)
	if resp.Close {
		c.hangUp()
	}
	for _, k := range resp.Cookies() {
		c.cookie = k.Name + "=" + k.Value
	}
	return resp, string(body), err
}

// text makes a well-behaved request around body.
func (c *cpe) text(body string) string {
	b := "POST /acs HTTP/1.1\r\nHost: acs\r\n"
	if c.cookie != "" {
		b += "Cookie: " + c.cookie + "\r\n"
	}
	if c.auth != nil {
		if a := c.auth(body); a != "" {
			b += "Authorization: " + a + "\r\n"
		}
	}
	if body != "" {
		b += "Content-Type: text/xml; charset=\"utf-8\"\r\nSOAPAction:\r\n"
	}
	return b + fmt.Sprintf("Content-Length: %d\r\n\r\n%s", len(body), body)
}

// post sends a well-behaved request.
func (c *cpe) post(body string) (*http.Response, string) {
	c.t.Helper()
	return c.raw(c.text(body))
}

// want posts and checks the status.
func (c *cpe) want(status int, body string) string {
	c.t.Helper()
	resp, text := c.post(body)
	if resp.StatusCode != status {
		c.t.Fatalf("status %d instead of %d: %s", resp.StatusCode, status, text)
	}
	return text
}

// bye forgets what belongs to a session.
func (c *cpe) bye() {
	c.cookie, c.auth = "", nil
	c.hangUp()
}

// soap is an envelope with a header ID.
func soap(id, body string) string {
	return `<?xml version="1.0" encoding="UTF-8"?>` +
		`<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/" xmlns:e="http://schemas.xmlsoap.org/soap/encoding/" ` +
		`xmlns:xsd="http://www.w3.org/2001/XMLSchema" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" ` +
		`xmlns:cwmp="urn:dslforum-org:cwmp-1-2"><s:Header><cwmp:ID s:mustUnderstand="1">` + id + `</cwmp:ID></s:Header>` +
		`<s:Body>` + body + `</s:Body></s:Envelope>`
}

// informParts are replaced one by one in the tests of Informs.
type informParts struct {
	device, events, middle, params string
}

func goodInform() informParts {
	p := informParts{
		device: `<DeviceId><Manufacturer>ExampleCo</Manufacturer><OUI>0011AA</OUI><ProductClass>HomeGW</ProductClass><SerialNumber>SN1</SerialNumber></DeviceId>`,
		events: eventList("0 BOOTSTRAP", "1 BOOT"),
		middle: `<MaxEnvelopes>1</MaxEnvelopes><CurrentTime>2026-11-21T23:00:00+00:00</CurrentTime><RetryCount>0</RetryCount>`,
	}
	var ps []string
	for _, name := range forcedDevice2 {
		ps = append(ps, param(name, "string", "x"))
	}
	ps[6] = param(forcedDevice2[6], "boolean", "0")
	p.params = paramList(ps...)
	return p
}

func (p informParts) String() string {
	return soap("1", "<cwmp:Inform>"+p.device+p.events+p.middle+p.params+"</cwmp:Inform>")
}

func eventList(codes ...string) string {
	var b strings.Builder
	for _, c := range codes {
		code, key, _ := strings.Cut(c, "|")
		b.WriteString("<EventStruct><EventCode>" + code + "</EventCode><CommandKey>" + key + "</CommandKey></EventStruct>")
	}
	return fmt.Sprintf(`<Event e:arrayType="cwmp:EventStruct[%d]">%s</Event>`, len(codes), b.String())
}

func param(name, typ, value string) string {
	return `<ParameterValueStruct><Name>` + name + `</Name><Value xsi:type="xsd:` + typ + `">` + value + `</Value></ParameterValueStruct>`
}

func paramList(ps ...string) string {
	return fmt.Sprintf(`<ParameterList e:arrayType="cwmp:ParameterValueStruct[%d]">%s</ParameterList>`, len(ps), strings.Join(ps, ""))
}

// idOf is the cwmp:ID of an envelope of the ACS.
func idOf(t *testing.T, xml string) string {
	t.Helper()
	m, err := readMessage([]byte(xml))
	if err != nil {
		t.Fatalf("%v in %s", err, xml)
	}
	return m.ID
}

// clean fails the test when there is a violation.
func clean(t *testing.T, s *Server) {
	t.Helper()
	synctest.Wait()
	for _, v := range s.Violations() {
		t.Errorf("violation: %v", v)
	}
}

// caught fails the test unless exactly this violation was recorded.
func caught(t *testing.T, s *Server, rule Rule, part string) {
	t.Helper()
	synctest.Wait()
	all := s.Violations()
	if len(all) != 1 || all[0].Rule != rule || !strings.Contains(all[0].Text, part) {
		t.Errorf("violations %v instead of one of %q with %q", all, rule, part)
	}
}

// among fails the test unless this violation is one of those recorded.
func among(t *testing.T, s *Server, rule Rule, part string) {
	t.Helper()
	synctest.Wait()
	for _, v := range s.Violations() {
		if v.Rule == rule && strings.Contains(v.Text, part) {
			return
		}
	}
	t.Errorf("not caught: %v", s.Violations())
}
