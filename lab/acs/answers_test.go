package acs

import (
	"strings"
	"testing"
)

// answerBreaks are answers to one request, and what is wrong with them ("" for
// good ones).
var answerBreaks = []struct {
	name   string
	script Script
	answer string
	rule   Rule
	part   string // of the violation's text
}{
	{"values", askValues, gpv(paramList(param("Device.A.B", "int", "-1"), param("Device.A.C", "hexBinary", "0aFF"))), "", ""},
	{"values: none", askValues, gpv(paramList()), "", ""},
	{"values: not asked", askValues, gpv(paramList(param("Device.B.C", "int", "1"))), RuleResponse, "not asked for"},
	{"values: twice", askValues, gpv(paramList(param("Device.A.B", "int", "1"), param("Device.A.B", "int", "1"))), RuleResponse, "twice"},
	{"values: count", askValues, gpv(strings.Replace(paramList(), "[0]", "[1]", 1)), RuleResponse, "0 members"},
	{"values: member", askValues, gpv(`<ParameterList e:arrayType="cwmp:ParameterValueStruct[1]"><x/></ParameterList>`), RuleResponse, "x in ParameterList"},
	{"values: int", askValues, gpv(paramList(param("Device.A.B", "int", "2147483648"))), RuleType, "int"},
	{"values: unsignedInt", askValues, gpv(paramList(param("Device.A.B", "unsignedInt", "-1"))), RuleType, "unsignedInt"},
	{"values: unsignedLong", askValues, gpv(paramList(param("Device.A.B", "unsignedLong", "1.5"))), RuleType, "unsignedLong"},
	{"values: long", askValues, gpv(paramList(param("Device.A.B", "long", ""))), RuleType, "long"},
	{"values: base64", askValues, gpv(paramList(param("Device.A.B", "base64Binary", "a"))), RuleType, "base64"},
	{"values: hex", askValues, gpv(paramList(param("Device.A.B", "hexBinary", "abc"))), RuleType, "hex"},
	{"values: dateTime", askValues, gpv(paramList(param("Device.A.B", "dateTime", "2026-02-30T00:00:00Z"))), RuleType, "dateTime"},
	{"values: dateTime unknown", askValues, gpv(paramList(param("Device.A.B", "dateTime", "0001-01-01T00:00:00Z"))), "", ""},
	{"values: dateTime of a zone", askValues, gpv(paramList(param("Device.A.B", "dateTime", "2026-02-03T00:00:00.123+02:00"))), "", ""},

	{"names", names(false), gpn("Device.A.|0", "Device.A.B|1", "Device.A.1.|1", "Device.A.1.C|0"), "", ""},
	{"names: next level", names(true), gpn("Device.A.B|1", "Device.A.1.|1"), "", ""},
	{"names: not below", names(false), gpn("Device.A.|0", "Device.B|1"), RuleResponse, "not below"},
	{"names: too deep", names(true), gpn("Device.A.1.C|0"), RuleResponse, "more than one level"},
	{"names: itself", names(true), gpn("Device.A.|0"), RuleResponse, "itself"},
	{"names: object missing", names(false), gpn("Device.A.|0", "Device.A.1.C|0"), RuleResponse, "not its object Device.A.1."}, // genieacs f9e96fe
	{"names: twice", names(false), gpn("Device.A.|0", "Device.A.|0"), RuleResponse, "twice"},
	{"names: Writable", names(false), gpn("Device.A.|yes"), RuleResponse, "Writable"},
	{"names: trailing tab", names(true), gpn("Device.A.B\t|0"), RuleResponse, "not a name"}, // genieacs#230

	{"set: Status 2", set, "<cwmp:SetParameterValuesResponse><Status>2</Status></cwmp:SetParameterValuesResponse>", RuleResponse, "Status"},
	{"set: no Status", set, "<cwmp:SetParameterValuesResponse/>", RuleResponse, "lacks Status"},
	{"add: instance 0", add, "<cwmp:AddObjectResponse><InstanceNumber>0</InstanceNumber><Status>0</Status></cwmp:AddObjectResponse>", RuleResponse, "instance number 0"},
	{"add: order", add, "<cwmp:AddObjectResponse><Status>0</Status><InstanceNumber>1</InstanceNumber></cwmp:AddObjectResponse>", RuleResponse, "order"},
	{"download: times", download, "<cwmp:DownloadResponse><Status>1</Status><StartTime>2026-01-01T00:00:00Z</StartTime>" +
		"<CompleteTime>0001-01-01T00:00:00Z</CompleteTime></cwmp:DownloadResponse>", RuleResponse, "unknown time"},
	{"methods", methods, methodList(required...), "", ""},
	{"methods: one missing", methods, methodList(required[1:]...), RuleResponse, "GetRPCMethods, which is required"},
	{"methods: twice", methods, methodList(append([]string{"Reboot"}, required...)...), RuleResponse, "twice"},
	{"attributes", attrs, attribute("Device.A.B", "2"), "", ""},
	{"attributes: notification 7", attrs, attribute("Device.A.B", "7"), RuleResponse, "Notification"},

	{"fault", set, soapFault("Client", "9003", "Device.A.B"), "", ""},
	{"fault: blame", set, soapFault("Server", "9003", "Device.A.B"), RuleFault, "faultcode Server"},
	{"fault: of an ACS", set, soapFault("Client", "8003", ""), RuleFault, "8003"},
	{"fault: list where none belongs", askValues, soapFault("Client", "9003", "Device.A.B"), RuleFault, "list of parameters"},
	{"fault: no detail", set, "<s:Fault><faultcode>Client</faultcode><faultstring>CWMP fault</faultstring></s:Fault>", RuleFault, "detail"},
	{"fault: string", set, strings.Replace(soapFault("Client", "9003", "Device.A.B"), "CWMP fault", "oops", 1), RuleFault, "faultstring"},
}

// The requests that the answers belong to.
var (
	askValues Script = func(c *Conversation) error { _, err := c.GetParameterValues("Device.A."); return err }
	add       Script = func(c *Conversation) error { _, _, err := c.AddObject("Device.A.", ""); return err }
	download  Script = func(c *Conversation) error { _, err := c.Download(Download{}); return err }
	methods   Script = func(c *Conversation) error { _, err := c.GetRPCMethods(); return err }
	attrs     Script = func(c *Conversation) error { _, err := c.GetParameterAttributes("Device.A."); return err }
	set       Script = func(c *Conversation) error {
		_, err := c.SetParameterValues("", P("Device.A.B", "xsd:string", ""))
		return err
	}
)

func names(next bool) Script {
	return func(c *Conversation) error { _, err := c.GetParameterNames("Device.A.", next); return err }
}

// required are the methods that every CPE has.
var required = []string{"GetRPCMethods", "SetParameterValues", "GetParameterValues", "GetParameterNames",
	"SetParameterAttributes", "GetParameterAttributes", "AddObject", "DeleteObject", "Reboot"}

func TestAnswerViolations(t *testing.T) {
	for _, row := range answerBreaks {
		t.Run(row.name, func(t *testing.T) {
			bench(t, Options{}, func(t *testing.T, s *Server, c *cpe) {
				s.Script(row.script)
				c.want(200, goodInform().String())
				c.want(204, soap(idOf(t, c.want(200, "")), row.answer))
				if row.rule == "" {
					clean(t, s)
				} else {
					among(t, s, row.rule, row.part)
				}
			})
		})
	}
}

func gpv(list string) string {
	return "<cwmp:GetParameterValuesResponse>" + list + "</cwmp:GetParameterValuesResponse>"
}

func gpn(entries ...string) string {
	var b strings.Builder
	for _, e := range entries {
		name, writable, _ := strings.Cut(e, "|")
		b.WriteString("<ParameterInfoStruct><Name>" + name + "</Name><Writable>" + writable + "</Writable></ParameterInfoStruct>")
	}
	return "<cwmp:GetParameterNamesResponse>" + list("ParameterList", "cwmp:ParameterInfoStruct", len(entries), b.String()) + "</cwmp:GetParameterNamesResponse>"
}

func methodList(names ...string) string {
	var b strings.Builder
	for _, n := range names {
		b.WriteString("<string>" + n + "</string>")
	}
	return "<cwmp:GetRPCMethodsResponse>" + list("MethodList", "xsd:string", len(names), b.String()) + "</cwmp:GetRPCMethodsResponse>"
}

func attribute(name, notification string) string {
	return "<cwmp:GetParameterAttributesResponse>" + list("ParameterList", "cwmp:ParameterAttributeStruct", 1,
		"<ParameterAttributeStruct><Name>"+name+"</Name><Notification>"+notification+"</Notification>"+
			list("AccessList", "xsd:string", 1, "<string>Subscriber</string>")+"</ParameterAttributeStruct>") + "</cwmp:GetParameterAttributesResponse>"
}

func list(name, of string, n int, members string) string {
	return "<" + name + ` e:arrayType="` + of + "[" + string(rune('0'+n%10)) + `]">` + members + "</" + name + ">"
}

func soapFault(blame, code, parameter string) string {
	f := "<s:Fault><faultcode>" + blame + "</faultcode><faultstring>CWMP fault</faultstring><detail><cwmp:Fault><FaultCode>" +
		code + "</FaultCode><FaultString>x</FaultString>"
	if parameter != "" {
		f += "<SetParameterValuesFault><ParameterName>" + parameter + "</ParameterName><FaultCode>9005</FaultCode><FaultString>x</FaultString></SetParameterValuesFault>"
	}
	return f + "</cwmp:Fault></detail></s:Fault>"
}
