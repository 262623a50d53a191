package acs

import (
	"encoding/xml"
	"fmt"
	"strconv"
	"strings"
)

// header holds what an outgoing envelope's header says.
type header struct {
	namespace  string // cwmp namespace of the session
	id         string // cwmp:ID, left out when ""
	hold       bool   // HoldRequests
	useVersion string // UseCWMPVersion, left out when ""
}

// envelope wraps body, which is already XML.
func envelope(h header, body string) string {
	var b strings.Builder
	b.WriteString(declaration)
	b.WriteString(`<soap-env:Envelope xmlns:soap-env="` + nsEnvelope + `" xmlns:soap-enc="` + nsEncoding + `"`)
	b.WriteString(` xmlns:xsd="` + nsXSD + `" xmlns:xsi="` + nsXSI + `" xmlns:cwmp="` + h.namespace + `">`)
	b.WriteString("<soap-env:Header>")
	if h.id != "" {
		b.WriteString(`<cwmp:ID soap-env:mustUnderstand="1">` + esc(h.id) + `</cwmp:ID>`)
	}
	if h.hold {
		b.WriteString(`<cwmp:HoldRequests soap-env:mustUnderstand="1">1</cwmp:HoldRequests>`)
	}
	if h.useVersion != "" {
		b.WriteString(`<cwmp:UseCWMPVersion soap-env:mustUnderstand="1">` + esc(h.useVersion) + `</cwmp:UseCWMPVersion>`)
	}
	b.WriteString("</soap-env:Header><soap-env:Body>" + body + "</soap-env:Body></soap-env:Envelope>\n")
	return b.String()
}

// esc escapes text so that every white space and mark arrives as it was.
func esc(s string) string {
	if plainText(s) { // values of many megabytes are, as a rule
		return s
	}
	var b strings.Builder
	if err := xml.EscapeText(&b, []byte(s)); err != nil {
		return "" // a strings.Builder never fails
	}
	return b.String()
}

// plainText tells whether nothing of s has to be escaped.
func plainText(s string) bool {
	for i := range len(s) {
		switch c := s[i]; {
		case c < ' ', c > '~', c == '&', c == '<', c == '>', c == '"', c == '\'':
			return false
		}
	}
	return true
}

// el is one element without a namespace.
func el(name, text string) string { return "<" + name + ">" + esc(text) + "</" + name + ">" }

func bit(b bool) string {
	if b {
		return "1"
	}
	return "0"
}

// call is the body element of an ACS's request.
func call(method, args string) string {
	return "<cwmp:" + method + ">" + args + "</cwmp:" + method + ">"
}

// array is a SOAP array of members that are already XML.
func array(name, of string, members []string) string {
	return "<" + name + ` soap-enc:arrayType="` + of + "[" + strconv.Itoa(len(members)) + `]">` +
		strings.Join(members, "") + "</" + name + ">"
}

// stringArray is an array of xsd:string.
func stringArray(name string, values []string) string {
	members := make([]string, len(values))
	for i, v := range values {
		members[i] = el("string", v)
	}
	return array(name, "xsd:string", members)
}

func setValuesArgs(key string, ps []Parameter) string {
	members := make([]string, len(ps))
	for i, p := range ps {
		members[i] = "<ParameterValueStruct>" + el("Name", p.Name) +
			`<Value xsi:type="` + esc(p.Type) + `">` + esc(p.Value) + "</Value></ParameterValueStruct>"
	}
	return array("ParameterList", "cwmp:ParameterValueStruct", members) + el("ParameterKey", key)
}

// setAttributesArgs prints an unchanged notification as 0. GenieACS leaves it
// empty, which a CPE must read too: send that with Raw.
func setAttributesArgs(as []SetAttribute) string {
	members := make([]string, len(as))
	for i, a := range as {
		notification, access := 0, []string(nil)
		if a.Notification != nil {
			notification = *a.Notification
		}
		if a.AccessList != nil {
			access = *a.AccessList
		}
		members[i] = "<SetParameterAttributesStruct>" + el("Name", a.Name) +
			el("NotificationChange", bit(a.Notification != nil)) +
			el("Notification", strconv.Itoa(notification)) +
			el("AccessListChange", bit(a.AccessList != nil)) +
			stringArray("AccessList", access) + "</SetParameterAttributesStruct>"
	}
	return array("ParameterList", "cwmp:SetParameterAttributesStruct", members)
}

func downloadArgs(d Download) string {
	return el("CommandKey", d.CommandKey) + el("FileType", d.FileType) + el("URL", d.URL) +
		el("Username", d.Username) + el("Password", d.Password) +
		el("FileSize", number(d.FileSize)) + el("TargetFileName", d.TargetFileName) +
		el("DelaySeconds", number(d.DelaySeconds)) + el("SuccessURL", d.SuccessURL) + el("FailureURL", d.FailureURL)
}

func uploadArgs(u Upload) string {
	return el("CommandKey", u.CommandKey) + el("FileType", u.FileType) + el("URL", u.URL) +
		el("Username", u.Username) + el("Password", u.Password) + el("DelaySeconds", number(u.DelaySeconds))
}

func number(n uint32) string { return strconv.FormatUint(uint64(n), 10) }

// faultBody is a SOAP fault with a CWMP fault in its detail (TR-069 3.5).
func faultBody(f Fault) string {
	code := f.SOAPCode
	if code == "" {
		code = "Server"
	}
	text := f.Text
	if text == "" {
		text = acsFaults[f.Code]
	}
	return fmt.Sprintf("<soap-env:Fault><faultcode>%s</faultcode><faultstring>CWMP fault</faultstring>"+
		"<detail><cwmp:Fault><FaultCode>%d</FaultCode><FaultString>%s</FaultString></cwmp:Fault></detail></soap-env:Fault>",
		esc(code), f.Code, esc(text))
}

// acsFaults are the faults an ACS may answer with (cwmp-1-2.xsd).
var acsFaults = map[int]string{
	8000: "Method not supported",
	8001: "Request denied",
	8002: "Internal error",
	8003: "Invalid arguments",
	8004: "Resources exceeded",
	8005: "Retry request",
	8006: "CWMP version incompatible with ACS",
}
