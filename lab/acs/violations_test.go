package acs

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
)

// informBreaks are changes that each break one thing of a good Inform.
var informBreaks = []struct {
	name   string
	change func(string) string
	rule   Rule
	part   string // of the violation's text
}{
	{"OUI in lower case", sub("0011AA", "0011aa"), RuleInform, "OUI"},
	{"OUI too long", sub("0011AA", "0011AA0"), RuleInform, "OUI"},
	{"manufacturer too long", sub("ExampleCo", long), RuleInform, "65 characters"},
	{"no serial number", sub("<SerialNumber>SN1", "<SerialNumber>"), RuleInform, "SerialNumber"},
	{"product class missing", sub("<ProductClass>HomeGW</ProductClass>", ""), RuleInform, "lacks ProductClass"},
	{"elements in another order", sub("<MaxEnvelopes>1</MaxEnvelopes><CurrentTime>2026-11-21T23:00:00+00:00</CurrentTime>",
		"<CurrentTime>2026-11-21T23:00:00+00:00</CurrentTime><MaxEnvelopes>1</MaxEnvelopes>"), RuleInform, "order"},
	{"MaxEnvelopes 2", sub("<MaxEnvelopes>1", "<MaxEnvelopes>2"), RuleInform, "MaxEnvelopes"},
	{"time", sub("2026-11-21T23:00:00+00:00", "2026-11-21 23:00"), RuleInform, "CurrentTime"},
	{"RetryCount negative", sub("<RetryCount>0", "<RetryCount>-1"), RuleInform, "RetryCount"},
	{"forced parameter missing", sub(param("Device.RootDataModelVersion", "string", "x"), param("Device.Other", "string", "x")), RuleInform, "RootDataModelVersion is missing"},
	{"parameter twice", sub("[7]", "[8]"), RuleInform, "[8]"},
	{"count too small", sub("ParameterValueStruct[7]", "ParameterValueStruct[6]"), RuleInform, "7 members"},
	{"arrayType without a prefix", sub("cwmp:ParameterValueStruct[7]", "ParameterValueStruct[7]"), RuleInform, "arrayType"},
	{"arrayType missing", sub(` e:arrayType="cwmp:EventStruct[2]"`, ""), RuleEvent, "arrayType"},
	{"xsi:type missing", sub(` xsi:type="xsd:string"`, ""), RuleType, "xsi:type"},
	{"xsi:type of another namespace", sub(`xsi:type="xsd:string"`, `xsi:type="e:string"`), RuleType, "xsi:type"},
	{"boolean", sub(`"xsd:boolean">0`, `"xsd:boolean">no`), RuleType, "no boolean"},
	{"type that CWMP lacks", sub("xsd:boolean", "xsd:float"), RuleType, "float"},
	{"Value missing", sub(`<Value xsi:type="xsd:boolean">0</Value>`, ""), RuleInform, "lacks Value"},
	{"name with a tab", sub("<Name>Device.DeviceInfo.HardwareVersion<", "<Name>Device.DeviceInfo.HardwareVersion&#9;<"), RuleInform, "not a name"},
	{"no event", sub(eventList("0 BOOTSTRAP", "1 BOOT"), eventList()), RuleEvent, "no event"},
	{"unknown event", sub("1 BOOT<", "1 BOOTED<"), RuleEvent, "1 BOOTED"},
	{"event twice", sub(eventList("0 BOOTSTRAP", "1 BOOT"), eventList("1 BOOT", "1 BOOT")), RuleEvent, "twice"},
	{"command key on a numbered event", sub(eventList("0 BOOTSTRAP", "1 BOOT"), eventList("1 BOOT|k")), RuleEvent, "command key"},
	{"command key too long", sub(eventList("0 BOOTSTRAP", "1 BOOT"), eventList("1 BOOT", "M Reboot|"+long)), RuleEvent, "CommandKey has 65"},
	{"M Reboot alone", sub(eventList("0 BOOTSTRAP", "1 BOOT"), eventList("M Reboot|k")), RuleEvent, "without \"1 BOOT\""},
	{"PERIODIC beside BOOTSTRAP", sub(eventList("0 BOOTSTRAP", "1 BOOT"), eventList("0 BOOTSTRAP", "2 PERIODIC")), RuleEvent, "discards"},
	{"SCHEDULED alone", sub(eventList("0 BOOTSTRAP", "1 BOOT"), eventList("3 SCHEDULED")), RuleEvent, "without M ScheduleInform"},
	{"transfer without its method", sub(eventList("0 BOOTSTRAP", "1 BOOT"), eventList("7 TRANSFER COMPLETE")), RuleEvent, "without its M"},
	{"65 events", sub(eventList("0 BOOTSTRAP", "1 BOOT"), manyEvents(65)), RuleEvent, "at most 64"},
	{"ID without mustUnderstand", sub(` s:mustUnderstand="1"`, ""), RuleSOAP, "mustUnderstand"},
	{"ID too long", sub(">1</cwmp:ID>", ">"+long+"</cwmp:ID>"), RuleSOAP, "header ID has 65"},
	{"header of the ACS", sub("</s:Header>", "<cwmp:HoldRequests>0</cwmp:HoldRequests></s:Header>"), RuleSOAP, "not for a CPE"},
	{"SessionTimeout too short", sub("</s:Header>", "<cwmp:SessionTimeout>5</cwmp:SessionTimeout></s:Header>"), RuleSOAP, "SessionTimeout"},
	{"namespace of nobody", sub("cwmp-1-2", "cwmp-1-4"), RuleSOAP, "cwmp-1-4"},
	{"qualified element", sub("<RetryCount>0</RetryCount>", "<cwmp:RetryCount>0</cwmp:RetryCount>"), RuleSOAP, "carries a namespace"},
	{"two elements in the body", sub("</s:Body>", "<x/></s:Body>"), RuleSOAP, "2 elements"},
	{"byte not escaped", sub("ExampleCo", "Exämple"), RuleXML, "not escaped"},
	{"prefix not declared", sub(` xmlns:e="http://schemas.xmlsoap.org/soap/encoding/"`, ""), RuleXML, "not declared"},
	{"attribute twice", sub(` s:mustUnderstand="1"`, ` s:mustUnderstand="1" s:mustUnderstand="1"`), RuleXML, "twice"},
	{"element not closed", sub("</s:Envelope>", ""), RuleXML, "cannot be read"},
	{"document type", sub("<s:Envelope", "<!DOCTYPE x><s:Envelope"), RuleXML, "document type"},
	{"entity", sub("ExampleCo", "&company;"), RuleXML, "entity"},
	{"SOAP 1.2", sub("http://schemas.xmlsoap.org/soap/envelope/", "http://www.w3.org/2003/05/soap-envelope"), RuleXML, "SOAP 1.1"},
}

var long = strings.Repeat("x", 65)

// sub replaces text that must be there.
func sub(old, with string) func(string) string {
	return func(s string) string {
		if !strings.Contains(s, old) {
			panic("nothing to replace: " + old)
		}
		return strings.Replace(s, old, with, 1)
	}
}

func TestInformViolations(t *testing.T) {
	for _, row := range informBreaks {
		t.Run(row.name, func(t *testing.T) {
			bench(t, Options{}, func(t *testing.T, s *Server, c *cpe) {
				c.post(row.change(goodInform().String()))
				among(t, s, row.rule, row.part)
			})
		})
	}
}

func manyEvents(n int) string {
	codes := make([]string, n)
	for i := range codes {
		codes[i] = fmt.Sprintf("M X_EXAMPLE_%d", i)
	}
	return eventList(codes...)
}

// Names that come twice are told apart from a wrong count.
func TestInformParameterTwice(t *testing.T) {
	bench(t, Options{}, func(t *testing.T, s *Server, c *cpe) {
		p := goodInform()
		one := param(forcedDevice2[0], "string", "x")
		p.params = strings.Replace(strings.Replace(p.params, one, one+one, 1), "[7]", "[8]", 1)
		c.want(200, p.String())
		caught(t, s, RuleInform, "twice")
	})
}

// Each row is a request head that a CPE must not send.
func TestHTTPViolations(t *testing.T) {
	const head = "POST /acs HTTP/1.1\r\nHost: acs\r\n"
	const soapHead = "Content-Type: text/xml\r\nSOAPAction:\r\n"
	inform := goodInform().String()
	length := fmt.Sprintf("Content-Length: %d\r\n", len(inform))
	for _, row := range []struct {
		name, text string
		rule       Rule
		part       string
	}{
		{"GET", "GET /acs HTTP/1.1\r\nHost: acs\r\nContent-Length: 0\r\n\r\n", RuleHTTP, "GET"},
		{"HTTP/1.0", "POST /acs HTTP/1.0\r\nHost: acs\r\nConnection: keep-alive\r\n" + soapHead + length + "\r\n" + inform, RuleHTTP, "HTTP/1.0"},
		{"Connection: close", head + "Connection: close\r\n" + soapHead + length + "\r\n" + inform, RuleConnection, "closes"},
		{"SOAPAction missing", head + "Content-Type: text/xml\r\n" + length + "\r\n" + inform, RuleHeader, "no SOAPAction"},
		{"SOAPAction with quotes", head + "Content-Type: text/xml\r\nSOAPAction: \"\"\r\n" + length + "\r\n" + inform, RuleHeader, "SOAPAction"},
		{"no Content-Type", head + "SOAPAction:\r\n" + length + "\r\n" + inform, RuleHeader, "0 Content-Type"},
		{"Content-Type of SOAP 1.2", head + "SOAPAction:\r\nContent-Type: application/soap+xml\r\n" + length + "\r\n" + inform, RuleHeader, "application/soap+xml"},
		{"charset", head + "SOAPAction:\r\nContent-Type: text/xml; charset=iso-8859-1\r\n" + length + "\r\n" + inform, RuleHeader, "charset"},
		{"chunked", head + soapHead + "Transfer-Encoding: chunked\r\n\r\n" + fmt.Sprintf("%x\r\n%s\r\n0\r\n\r\n", len(inform), inform), RuleHeader, "Content-Length"},
	} {
		t.Run(row.name, func(t *testing.T) {
			bench(t, Options{}, func(t *testing.T, s *Server, c *cpe) {
				c.raw(row.text)
				caught(t, s, row.rule, row.part)
			})
		})
	}
}

// `Expect: 100-continue` gets its 100 and is told of (easycwmp mantis 72).
func TestExpect(t *testing.T) {
	bench(t, Options{}, func(t *testing.T, s *Server, c *cpe) {
		inform := goodInform().String()
		resp, _ := c.raw("POST /acs HTTP/1.1\r\nHost: acs\r\nExpect: 100-continue\r\nContent-Type: text/xml\r\nSOAPAction:\r\n" +
			fmt.Sprintf("Content-Length: %d\r\n\r\n%s", len(inform), inform))
		if resp.StatusCode != 100 {
			t.Errorf("status %d", resp.StatusCode)
		}

		caught(t, s, RuleHTTP, "Expect")
	})
}

// The empty POST has neither SOAPAction nor Content-Type, but a length.
func TestEmptyPostViolations(t *testing.T) {
	for _, row := range []struct{ name, field, part string }{
		{"SOAPAction", "SOAPAction:\r\nContent-Length: 0\r\n", "SOAPAction"},
		{"Content-Type", "Content-Type: text/xml\r\nContent-Length: 0\r\n", "Content-Type"},
		{"no length", "", "no Content-Length"},
	} {
		t.Run(row.name, func(t *testing.T) {
			bench(t, Options{}, func(t *testing.T, s *Server, c *cpe) {
				c.want(200, goodInform().String())
				c.raw("POST /acs HTTP/1.1\r\nHost: acs\r\nCookie: " + c.cookie + "\r\n" + row.field + "\r\n")
				caught(t, s, RuleHeader, row.part)
			})
		})
	}
}

func TestPipelining(t *testing.T) {
	bench(t, Options{SetCookie: []string{}}, func(t *testing.T, s *Server, c *cpe) {
		c.raw(c.text(goodInform().String()) + c.text(""))
		synctest.Wait()
		caught(t, s, RuleHTTP, "pipelining")
	})
}

// Messages out of order are refused as GenieACS does, and end the session.
func TestOrderViolations(t *testing.T) {
	inform := goodInform().String()
	methods := soap("2", "<cwmp:GetRPCMethods/>")
	reboot := "<cwmp:RebootResponse/>"
	for _, row := range []struct {
		name  string
		posts []string // all but the last are well; {id} is the ID of the request before
		rule  Rule
		part  string
	}{
		{"not an Inform first", []string{methods}, RuleOrder, "must be an Inform"},
		{"empty POST first", []string{""}, RuleOrder, "must be an Inform"},
		{"Inform within a session", []string{inform, inform}, RuleOrder, "an Inform within"},
		{"answer to nothing", []string{inform, soap("2", reboot)}, RuleOrder, "nothing was asked"},
		{"request after the empty POST", []string{inform, "", methods}, RuleOrder, "GetRPCMethods instead of"},
		{"second empty POST", []string{inform, "", ""}, RuleOrder, "instead of the answer"},
		{"another answer", []string{inform, "", soap("{id}", "<cwmp:FactoryResetResponse/>")}, RuleOrder, "not the answer to Reboot"},
		{"another ID", []string{inform, "", soap("zzz", reboot)}, RuleSOAP, `"zzz" instead of`},
		{"after the end", []string{inform, "", soap("{id}", reboot), ""}, RuleCookie, "is over"},
	} {
		t.Run(row.name, func(t *testing.T) {
			bench(t, Options{}, func(t *testing.T, s *Server, c *cpe) {
				s.Script(func(c *Conversation) error { return c.Reboot("") })
				id := ""
				for i, text := range row.posts {
					resp, answer := c.post(strings.ReplaceAll(text, "{id}", id))
					if strings.HasPrefix(answer, "<") {
						id = idOf(t, answer)
					}
					if last := i == len(row.posts)-1; !last && resp.StatusCode >= 400 {
						t.Fatalf("post %d refused: %s", i, answer)
					}
				}
				caught(t, s, row.rule, row.part)
			})
		})
	}
}

// Session cookies: missing, never set, of an earlier session, one of two.
func TestCookieViolations(t *testing.T) {
	t.Run("missing", func(t *testing.T) {
		bench(t, Options{}, func(t *testing.T, s *Server, c *cpe) {
			c.want(200, goodInform().String())
			c.cookie = ""
			c.want(400, "")
			caught(t, s, RuleCookie, "missing")
		})
	})
	t.Run("old one on the next Inform", func(t *testing.T) { // genieacs ca83704
		bench(t, Options{}, func(t *testing.T, s *Server, c *cpe) {
			c.want(200, goodInform().String())
			c.want(204, "")
			c.hangUp()
			c.want(400, goodInform().String())
			caught(t, s, RuleCookie, "is over")
		})
	})
	t.Run("invented", func(t *testing.T) {
		bench(t, Options{}, func(t *testing.T, s *Server, c *cpe) {
			c.cookie = "session=4711"
			c.want(400, goodInform().String())
			caught(t, s, RuleCookie, "never set")
		})
	})
	t.Run("one of two", func(t *testing.T) {
		o := Options{SetCookie: []string{"session={id}; Path=/", "lb=node7; HttpOnly"}}
		bench(t, o, func(t *testing.T, s *Server, c *cpe) {
			resp, _ := c.post(goodInform().String())
			c.cookie = resp.Cookies()[0].Name + "=" + resp.Cookies()[0].Value
			c.want(400, "")
			caught(t, s, RuleCookie, "lb")
		})
	})
}

// Without cookies the session hangs on its connection.
func TestNoCookies(t *testing.T) {
	bench(t, Options{SetCookie: []string{}}, func(t *testing.T, s *Server, c *cpe) {
		resp, _ := c.post(goodInform().String())
		if len(resp.Cookies()) > 0 {
			t.Errorf("cookies %v", resp.Cookies())
		}
		c.want(204, "")
		clean(t, s)
	})
}

// A session stays on its connection, and there is one at a time.
func TestConnectionViolations(t *testing.T) {
	t.Run("moved", func(t *testing.T) {
		bench(t, Options{}, func(t *testing.T, s *Server, c *cpe) {
			c.want(200, goodInform().String())
			old := c.conn
			c.conn = nil
			c.want(204, "")
			old.Close()
			caught(t, s, RuleConnection, "moved")
		})
	})
	t.Run("closed in mid-session", func(t *testing.T) {
		bench(t, Options{}, func(t *testing.T, s *Server, c *cpe) {
			c.want(200, goodInform().String())
			c.hangUp()
			synctest.Wait()
			c.want(204, "")
			caught(t, s, RuleConnection, "closed its connection")
		})
	})
	t.Run("two sessions", func(t *testing.T) {
		bench(t, Options{}, func(t *testing.T, s *Server, c *cpe) {
			c.want(200, goodInform().String())
			old := c.conn
			c.conn, c.cookie = nil, ""
			c.want(200, goodInform().String())
			old.Close()
			caught(t, s, RuleOrder, "while this session is open")
		})
	})
}
