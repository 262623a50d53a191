package cwmp

// What ACSes have been seen to send, what they should not, and what they must
// not get away with.

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// soap wraps a body as some other implementation would: other prefixes than
// ours, a declaration over lines.
func soap(header, body string) string {
	return `<?xml
  version = "1.0"
  encoding="UTF-8" ?>
<SOAP-ENV:Envelope xmlns:SOAP-ENV="http://schemas.xmlsoap.org/soap/envelope/"
  xmlns:enc="http://schemas.xmlsoap.org/soap/encoding/" xmlns:xs="http://www.w3.org/2001/XMLSchema"
  xmlns:i="http://www.w3.org/2001/XMLSchema-instance" xmlns:c="urn:dslforum-org:cwmp-1-2">
 <SOAP-ENV:Header>` + header + `</SOAP-ENV:Header>
 <SOAP-ENV:Body>` + body + `</SOAP-ENV:Body>
</SOAP-ENV:Envelope>`
}

func acsID(id string) string { return `<c:ID SOAP-ENV:mustUnderstand="1">` + id + `</c:ID>` }

// TestReadable is the zoo of envelopes that are odd but must be understood.
func TestReadable(t *testing.T) {
	const informResponse = "<c:InformResponse><MaxEnvelopes>1</MaxEnvelopes></c:InformResponse>"
	plain := soap(acsID("7"), informResponse)
	bare := func(decl, envelope string) string {
		return decl + fmt.Sprintf(envelope, nsEnvelope, "urn:dslforum-org:cwmp-1-0")
	}
	tests := map[string]struct {
		data  string
		id    string
		minor int
	}{
		"usual":                  {plain, "7", 2},
		"byte_order_mark":        {"\xef\xbb\xbf" + plain, "7", 2},
		"leading_blank_lines":    {"\r\n \t" + plain, "7", 2},
		"trailing_nul":           {plain + "\n\x00\x00", "7", 2},
		"comments_and_pi":        {soap("<!-- <x> -->"+acsID("<!--a-->7<?php?>"), "<!-- - --><?pi?>"+informResponse), "7", 2},
		"cdata_id":               {soap(acsID("<![CDATA[7]]>"), informResponse), "7", 2},
		"id_keeps_blanks":        {soap(acsID(" 7 "), informResponse), " 7 ", 2},
		"numeric_reference":      {soap(acsID("&#x37;"), informResponse), "7", 2},
		"no_id":                  {soap("", informResponse), "", 2},
		"no_header":              {bare("", `<e:Envelope xmlns:e="%s"><e:Body><w:InformResponse xmlns:w="%s"/></e:Body></e:Envelope>`), "", 0},
		"default_namespaces":     {bare("", `<Envelope xmlns="%s"><Body><InformResponse xmlns="%s"><MaxEnvelopes>1</MaxEnvelopes></InformResponse></Body></Envelope>`), "", 0},
		"single_quotes":          {bare("<?xml version='1.0' encoding='utf-8'?>", `<e:Envelope xmlns:e='%s'><e:Body><w:InformResponse xmlns:w='%s'></w:InformResponse></e:Body></e:Envelope>`), "", 0},
		"latin1":                 {bare("<?xml version='1.0' encoding='ISO-8859-1'?><!-- \xe9 -->", `<e:Envelope xmlns:e='%s'><e:Body><w:InformResponse xmlns:w='%s'></w:InformResponse></e:Body></e:Envelope>`), "", 0},
		"namespace_of_genieacs":  {strings.ReplaceAll(plain, "cwmp-1-2", "cwmp-1-3"), "7", 3},
		"optional_header":        {soap(acsID("7")+`<c:SessionTimeout>30</c:SessionTimeout><x:Y xmlns:x="z" SOAP-ENV:mustUnderstand="0"/>`, informResponse), "7", 2},
		"no_more_requests":       {soap(acsID("7")+`<c:NoMoreRequests SOAP-ENV:mustUnderstand="1">0</c:NoMoreRequests>`, informResponse), "7", 2},
		"header_for_others":      {soap(acsID("7")+`<x:Y xmlns:x="z" SOAP-ENV:mustUnderstand="1" SOAP-ENV:actor="http://proxy"/>`, informResponse), "7", 2},
		"multiref_after_message": {soap(acsID("7"), informResponse+`<multiRef id="id0"/>`), "7", 2},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			e, err := readEnvelope([]byte(tt.data), Limits{})
			if err != nil {
				t.Fatal(err)
			}
			if e.name() != "InformResponse" || !e.cwmp || e.minor != tt.minor || e.id != tt.id || e.unknown != "" || e.fault {
				t.Errorf("read as %+v", e)
			}
		})
	}
}

func TestHeaders(t *testing.T) {
	e, err := readEnvelope([]byte(soap(`<c:HoldRequests SOAP-ENV:mustUnderstand="1">TRUE</c:HoldRequests>`+
		`<c:UseCWMPVersion SOAP-ENV:mustUnderstand="1"> 1.3 </c:UseCWMPVersion>`+
		`<w:Security xmlns:w="urn:w" SOAP-ENV:mustUnderstand="1"/>`, "")), Limits{})
	if err != nil {
		t.Fatal(err)
	}
	if !e.hold || e.useVersion != "1.3" || e.unknown != "Security" || e.body != nil {
		t.Errorf("read as %+v", e)
	}
}

// TestUnreadable lists what is refused, each with a word of the reason.
func TestUnreadable(t *testing.T) {
	request := soap(acsID("1"), "<c:Reboot><CommandKey>k</CommandKey></c:Reboot>")
	with := func(doctype, text string) string {
		return doctype + strings.Replace(request[strings.Index(request, "<SOAP"):], ">k<", ">"+text+"<", 1)
	}
	laughs := `<!DOCTYPE l [<!ENTITY a "ha">`
	for c := 'b'; c <= 'z'; c++ {
		laughs += fmt.Sprintf(`<!ENTITY %c "%s">`, c, strings.Repeat(fmt.Sprintf("&%c;", c-1), 10))
	}
	tests := map[string]struct{ data, word string }{
		"truncated":          {request[:len(request)-30], "well-formed"},
		"truncated_in_tag":   {request[:100], "well-formed"},
		"billion_laughs":     {with(laughs+"]>", "&z;"), "document type"},
		"external_entity":    {with(`<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/shadow">]>`, "&e;"), "document type"},
		"external_dtd":       {with(`<!DOCTYPE x SYSTEM "http://evil.example/x.dtd">`, "k"), "document type"},
		"html_entity":        {with("", "&nbsp;"), "entity"},
		"nul_reference":      {with("", "&#0;"), "character code"},
		"control_byte":       {with("", "\x02"), "character"},
		"invalid_utf8":       {with("", "\xff"), "UTF-8"},
		"bare_ampersand":     {with("", "a & b"), "well-formed"},
		"utf16":              {"\xff\xfe<\x00a\x00/\x00>\x00", "well-formed"},
		"unknown_charset":    {strings.Replace(request, "UTF-8", "EBCDIC-US", 1), "EBCDIC-US"},
		"two_roots":          {request[strings.Index(request, "<SOAP"):] + "<a/>", "2 root elements"},
		"text_after":         {request + "ok", "outside"},
		"html":               {"<html><body>login</body></html>", "not a SOAP envelope"},
		"json":               {`{"a":1}`, "outside"},
		"soap_1.2":           {strings.Replace(request, nsEnvelope, "http://www.w3.org/2003/05/soap-envelope", 1), "SOAP 1.1"},
		"no_body":            {strings.ReplaceAll(request, ":Body", ":Bodies"), "no Body"},
		"double_colon":       {soap("", "<SOAP-ENV:Body:Fault><faultcode>x</faultcode></SOAP-ENV:Body:Fault>"), "well-formed"},
		"deep":               {soap("", strings.Repeat("<a>", 5000)+strings.Repeat("</a>", 5000)), "levels"},
		"many_elements":      {soap("", strings.Repeat("<a/>", 30_000)), "elements"},
		"many_comments":      {soap("", strings.Repeat("<!---->", 120_000)), "elements"},
		"many_attributes":    {soap("", "<a"+manyAttributes(50_000)+"/>"), "attributes"},
		"oversized":          {soap("", "<a>"+strings.Repeat("x", 1<<20)+"</a>"), "longer than 1048576"},
		"end_tag_missing":    {soap("", "<a>"), "well-formed"},
		"unquoted_attribute": {soap("", "<a b=c/>"), "well-formed"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			e, err := readEnvelope([]byte(tt.data), Limits{})
			var ee *EnvelopeError
			if !errors.As(err, &ee) || !strings.Contains(err.Error(), tt.word) {
				t.Errorf("read as %+v with %v, want a word of %q", e, err, tt.word)
			}
		})
	}
}

func manyAttributes(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, " a%d=''", i)
	}
	return b.String()
}

func TestBlank(t *testing.T) {
	for _, s := range []string{"", "\r\n\t ", "\x00", "\xef\xbb\xbf\n"} {
		if !blank([]byte(s)) {
			t.Errorf("%q is not blank", s)
		}
	}
	if blank([]byte("<")) {
		t.Error("a tag is blank")
	}
}

// decodeBodyOf reads an RPC as it stands in a body.
func decodeBodyOf(t *testing.T, body string) (Request, error) {
	t.Helper()
	e, err := readEnvelope([]byte(soap("", body)), Limits{})
	if err != nil {
		t.Fatal(err)
	}
	return decodeRequest(e)
}

// requests is one of each method, and what it is read as.
var requests = map[string]struct {
	body string
	want Request
}{
	"GetRPCMethods": {"<c:GetRPCMethods/>", GetRPCMethods{}},
	"SetParameterValues": {`<c:SetParameterValues><ParameterList enc:arrayType="c:ParameterValueStruct[0009]">
		<ParameterValueStruct><Name> Device.A
		</Name><Value i:type="xs:unsignedInt"> 300 </Value></ParameterValueStruct>
		<x><Value i:type="xs:string"><![CDATA[  a <b>]]> 	</Value><Name>Device.B</Name></x>
		<ParameterValueStruct><Name>Device.C</Name><Value i:type="enc:boolean">1</Value></ParameterValueStruct>
		<ParameterValueStruct><Name>Device.D</Name><Value/></ParameterValueStruct>
		<ParameterValueStruct><Name>Device.E</Name><Value i:type="vendor:odd">&#233;&lt;</Value></ParameterValueStruct>
		</ParameterList><ParameterKey> k </ParameterKey></c:SetParameterValues>`,
		SetParameterValues{ParameterList: []ParameterValue{
			{"Device.A", " 300 ", "xsd:unsignedInt"}, {"Device.B", "  a <b> \t", "xsd:string"}, {"Device.C", "1", "xsd:boolean"},
			{"Device.D", "", ""}, {"Device.E", "é<", "vendor:odd"}}, ParameterKey: " k "}},
	"SetParameterValues_empty": {`<c:SetParameterValues><ParameterList enc:arrayType="[]"/><ParameterKey/></c:SetParameterValues>`, SetParameterValues{}},
	"GetParameterValues": {`<c:GetParameterValues><ParameterNames><string>Device.</string><xs:string> Device.A </xs:string><string/></ParameterNames></c:GetParameterValues>`,
		GetParameterValues{ParameterNames: []string{"Device.", "Device.A", ""}}},
	"GetParameterNames":  {`<c:GetParameterNames><NextLevel>True</NextLevel><ParameterPath/></c:GetParameterNames>`, GetParameterNames{NextLevel: true}},
	"children_qualified": {`<c:GetParameterNames><c:ParameterPath>Device.</c:ParameterPath><c:NextLevel>0</c:NextLevel></c:GetParameterNames>`, GetParameterNames{ParameterPath: "Device."}},
	"SetParameterAttributes": {`<c:SetParameterAttributes><ParameterList>
		<s><Name>Device.A</Name><NotificationChange>true</NotificationChange><Notification>2</Notification><AccessListChange>0</AccessListChange><AccessList/></s>
		<s><Name>Device.B.</Name><NotificationChange>false</NotificationChange><Notification></Notification><AccessListChange>1</AccessListChange><AccessList><string>Subscriber</string></AccessList></s>
		</ParameterList></c:SetParameterAttributes>`,
		SetParameterAttributes{ParameterList: []SetParameterAttribute{
			{Name: "Device.A", NotificationChange: true, Notification: 2},
			{Name: "Device.B.", AccessListChange: true, AccessList: []string{"Subscriber"}}}}},
	"GetParameterAttributes": {`<c:GetParameterAttributes><ParameterNames><string>Device.A</string></ParameterNames></c:GetParameterAttributes>`, GetParameterAttributes{ParameterNames: []string{"Device.A"}}},
	"AddObject":              {`<c:AddObject><ObjectName>Device.T.</ObjectName><ParameterKey>k</ParameterKey></c:AddObject>`, AddObject{"Device.T.", "k"}},
	"DeleteObject":           {`<c:DeleteObject><ObjectName>Device.T.1.</ObjectName><ParameterKey></ParameterKey></c:DeleteObject>`, DeleteObject{"Device.T.1.", ""}},
	"Reboot":                 {`<c:Reboot><CommandKey>  two  blanks </CommandKey></c:Reboot>`, Reboot{"  two  blanks "}},
	"FactoryReset":           {`<c:FactoryReset/>`, FactoryReset{}},
	"ScheduleInform":         {`<c:ScheduleInform><DelaySeconds> 4294967295 </DelaySeconds><CommandKey/></c:ScheduleInform>`, ScheduleInform{DelaySeconds: 4294967295}},
	"Download": {`<c:Download><CommandKey>k</CommandKey><FileType>1 Firmware Upgrade Image</FileType><URL> http://f/x?a=1&amp;b=2 </URL><Username>u</Username><Password> p </Password>
		<FileSize>9</FileSize><TargetFileName>t</TargetFileName><DelaySeconds>5</DelaySeconds><SuccessURL>http://s</SuccessURL><FailureURL/></c:Download>`,
		Download{"k", "1 Firmware Upgrade Image", "http://f/x?a=1&b=2", "u", " p ", 9, "t", 5, "http://s", ""}},
	"Download_short": {`<c:Download><CommandKey/><FileType>2 Web Content</FileType><URL>http://f</URL></c:Download>`, Download{FileType: "2 Web Content", URL: "http://f"}},
	"Upload": {`<c:Upload><CommandKey>k</CommandKey><FileType>4 Vendor Log File 1</FileType><URL>http://f</URL><Username/><Password/><DelaySeconds/></c:Upload>`,
		Upload{CommandKey: "k", FileType: "4 Vendor Log File 1", URL: "http://f"}},
	"ScheduleDownload": {`<c:ScheduleDownload><CommandKey>k</CommandKey><FileType>1 Firmware Upgrade Image</FileType><URL>http://f</URL><Username/><Password/><FileSize>0</FileSize><TargetFileName/>
		<TimeWindowList><w><WindowStart>1</WindowStart><WindowEnd>2</WindowEnd><WindowMode>2 Immediately</WindowMode><UserMessage> m</UserMessage><MaxRetries>-1</MaxRetries></w></TimeWindowList></c:ScheduleDownload>`,
		ScheduleDownload{CommandKey: "k", FileType: "1 Firmware Upgrade Image", URL: "http://f", TimeWindowList: []TimeWindow{{1, 2, "2 Immediately", " m", -1}}}},
	"CancelTransfer":        {`<c:CancelTransfer><CommandKey>k</CommandKey></c:CancelTransfer>`, CancelTransfer{"k"}},
	"GetQueuedTransfers":    {`<c:GetQueuedTransfers/>`, GetQueuedTransfers{}},
	"GetAllQueuedTransfers": {`<c:GetAllQueuedTransfers/>`, GetAllQueuedTransfers{}},
	"ChangeDUState": {`<c:ChangeDUState><Operations i:type="c:InstallOpStruct"><URL>http://d</URL><Password>p</Password></Operations>
		<Operations i:type="c:UninstallOpStruct"><UUID>u</UUID><Version>1</Version></Operations><CommandKey>k</CommandKey></c:ChangeDUState>`,
		ChangeDUState{Operations: []DUOperation{{Kind: "Install", URL: "http://d", Password: "p"}, {Kind: "Uninstall", UUID: "u", Version: "1"}}, CommandKey: "k"}},
}

func TestDecodeRequest(t *testing.T) {
	for name, tt := range requests {
		t.Run(name, func(t *testing.T) {
			got, err := decodeBodyOf(t, tt.body)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// TestDecodeRequestWrong wants the code, and the element to blame by name.
func TestDecodeRequestWrong(t *testing.T) {
	spv := func(list string) string {
		return "<c:SetParameterValues><ParameterList>" + list + "</ParameterList><ParameterKey/></c:SetParameterValues>"
	}
	spa := func(s string) string {
		return "<c:SetParameterAttributes><ParameterList><s>" + s + "</s></ParameterList></c:SetParameterAttributes>"
	}
	tests := []struct {
		body string
		code int
		word string
	}{
		{"<c:SetVouchers/>", 9000, "SetVouchers"},
		{"<c:X_ACME_Dance/>", 9000, "X_ACME_Dance"},
		{"<Reboot><CommandKey/></Reboot>", 9000, "Reboot"}, // in no namespace
		{`<c:Reboot xmlns:c="urn:other"/>`, 9000, "Reboot"},
		{"<c:Reboot/>", 9003, "CommandKey is missing"},
		{"<c:Reboot><CommandKey/><CommandKey/></c:Reboot>", 9003, "CommandKey is there twice"},
		{"<c:Reboot><CommandKey><b>x</b></CommandKey></c:Reboot>", 9003, "CommandKey holds elements"},
		{"<c:Reboot><CommandKey>" + strings.Repeat("k", 33) + "</CommandKey></c:Reboot>", 9003, "CommandKey is longer than 32"},
		{"<c:GetParameterValues/>", 9003, "ParameterNames is missing"},
		{"<c:GetParameterValues><ParameterNames/></c:GetParameterValues>", 9003, "ParameterNames is empty"},
		{"<c:GetParameterValues><ParameterNames><string><a/></string></ParameterNames></c:GetParameterValues>", 9003, "ParameterNames holds"},
		{"<c:GetParameterNames><ParameterPath/></c:GetParameterNames>", 9003, "NextLevel is missing"},
		{"<c:GetParameterNames><ParameterPath/><NextLevel>yes</NextLevel></c:GetParameterNames>", 9003, `NextLevel is not a boolean: "yes"`},
		{"<c:GetParameterNames><NextLevel>1</NextLevel></c:GetParameterNames>", 9003, "ParameterPath is missing"},
		{"<c:SetParameterValues><ParameterKey/></c:SetParameterValues>", 9003, "ParameterList is missing"},
		{"<c:SetParameterValues><ParameterList/></c:SetParameterValues>", 9003, "ParameterKey is missing"},
		{spv("<s><Name>a</Name><Value/></s><s><Value/></s>"), 9003, "ParameterList[2].Name is missing"},
		{spv("<s><Name>a</Name></s>"), 9003, "ParameterList[1].Value is missing"},
		{spv("<s><Name>a</Name><Value><b/></Value></s>"), 9003, "ParameterList[1].Value holds"},
		{spa(""), 9003, "Name is missing"},
		{spa("<Name/><NotificationChange>1</NotificationChange><Notification/><AccessListChange>0</AccessListChange>"), 9003, "Notification is not a number"},
		{spa("<Name/><NotificationChange>1</NotificationChange><Notification>7</Notification><AccessListChange>0</AccessListChange>"), 9003, "Notification is 7, not 0 to 6"},
		{spa("<Name/><NotificationChange>0</NotificationChange><AccessListChange>1</AccessListChange>"), 9003, "AccessList is missing"},
		{"<c:SetParameterAttributes><ParameterList/></c:SetParameterAttributes>", 9003, "ParameterList is empty"},
		{"<c:AddObject><ObjectName>Device.T.</ObjectName></c:AddObject>", 9003, "ParameterKey is missing"},
		{"<c:ScheduleInform><DelaySeconds>0</DelaySeconds><CommandKey/></c:ScheduleInform>", 9003, "DelaySeconds is 0"},
		{"<c:ScheduleInform><CommandKey/></c:ScheduleInform>", 9003, "DelaySeconds is missing"},
		{"<c:ScheduleInform><DelaySeconds>-1</DelaySeconds><CommandKey/></c:ScheduleInform>", 9003, "DelaySeconds is -1"},
		{"<c:ScheduleInform><DelaySeconds>4294967296</DelaySeconds><CommandKey/></c:ScheduleInform>", 9003, "DelaySeconds is 4294967296"},
		{"<c:ScheduleInform><DelaySeconds>1e3</DelaySeconds><CommandKey/></c:ScheduleInform>", 9003, "DelaySeconds is not a number"},
		{"<c:Download><CommandKey/><FileType>1 x</FileType><URL/></c:Download>", 9003, "URL is empty"},
		{"<c:Download><CommandKey/><URL>u</URL></c:Download>", 9003, "FileType is missing"},
		{"<c:Download><CommandKey/><FileType>1 x</FileType><URL>u</URL><FileSize>big</FileSize></c:Download>", 9003, "FileSize is not a number"},
		{"<c:ScheduleDownload><CommandKey/><FileType>1 x</FileType><URL>u</URL><TimeWindowList/></c:ScheduleDownload>", 9003, "TimeWindowList has 0 windows"},
		{"<c:ScheduleDownload><CommandKey/><FileType>1 x</FileType><URL>u</URL><TimeWindowList><w/></TimeWindowList></c:ScheduleDownload>", 9003, "TimeWindowList[1].WindowStart is missing"},
		{"<c:ChangeDUState/>", 9003, "Operations is missing"},
		{"<c:ChangeDUState><Operations/></c:ChangeDUState>", 9003, "xsi:type"},
	}
	for _, tt := range tests {
		req, err := decodeBodyOf(t, tt.body)
		var f *Fault
		if !errors.As(err, &f) || f.Code != tt.code || !strings.Contains(f.Message, tt.word) {
			t.Errorf("%s:\n got %v, %v\nwant %d with %q", tt.body, req, err, tt.code, tt.word)
		}
	}
}

func TestDecodeFault(t *testing.T) {
	tests := []struct {
		body string
		want Fault
	}{
		{"<SOAP-ENV:Fault><faultcode>Server</faultcode><faultstring>CWMP fault</faultstring><detail><c:Fault><FaultCode>8005</FaultCode><FaultString>again</FaultString></c:Fault></detail></SOAP-ENV:Fault>", Fault{Code: 8005, Message: "again"}},
		{"<SOAP-ENV:Fault><faultcode>Client</faultcode><faultstring> no idea </faultstring></SOAP-ENV:Fault>", Fault{Code: 8002, Message: "no idea"}},
		{"<SOAP-ENV:Fault><detail><c:Fault><FaultCode>x</FaultCode></c:Fault></detail></SOAP-ENV:Fault>", Fault{Code: 8002}},
		{"<SOAP-ENV:Fault/>", Fault{Code: 8002}},
	}
	for _, tt := range tests {
		e, err := readEnvelope([]byte(soap("", tt.body)), Limits{})
		if err != nil || !e.fault {
			t.Fatalf("%v, %+v", err, e)
		}
		if diff := cmp.Diff(&tt.want, decodeFault(e)); diff != "" {
			t.Error(diff)
		}
	}
}

// TestXSITypeIsNormalised: what a prefix means counts, not how it is spelled.
func TestXSITypeIsNormalised(t *testing.T) {
	for sent, want := range map[string]string{
		"xs:int": "xsd:int", "enc:string": "xsd:string", "xsd:int": "xsd:int", "int": "int", " xs:int ": "xsd:int", "": "",
	} {
		req, err := decodeBodyOf(t, `<c:SetParameterValues><ParameterList><s><Name/><Value i:type="`+sent+`"/></s></ParameterList><ParameterKey/></c:SetParameterValues>`)
		if err != nil {
			t.Fatal(err)
		}
		if got := req.(SetParameterValues).ParameterList[0].Type; got != want {
			t.Errorf("type %q became %q, want %q", sent, got, want)
		}
	}
}

// FuzzEnvelope: whatever an ACS sends, reading it ends, and ends well.
func FuzzEnvelope(f *testing.F) {
	files, _ := filepath.Glob("testdata/*.xml")
	for _, name := range files {
		if b, err := os.ReadFile(name); err == nil {
			f.Add(b)
		}
	}
	f.Add([]byte(soap(acsID("1"), `<c:SetParameterAttributes><ParameterList><s><Name/></s></ParameterList></c:SetParameterAttributes>`)))
	f.Add([]byte(soap(acsID("1"), `<c:ChangeDUState><Operations i:type="c:InstallOpStruct"/></c:ChangeDUState>`)))
	f.Add([]byte(`<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>`))
	f.Fuzz(func(t *testing.T, data []byte) {
		mask(string(data), func(string) bool { return true })
		e, err := readEnvelope(data, Limits{Elements: 500})
		if err != nil {
			var ee *EnvelopeError
			if !errors.As(err, &ee) {
				t.Fatalf("error of type %T", err)
			}
			return
		}
		if e.body == nil {
			return
		}
		decodeFault(e)
		decodeAnswer(e)
		req, err := decodeRequest(e)
		var fault *Fault
		if err != nil && !errors.As(err, &fault) || (req == nil) == (err == nil) {
			t.Fatalf("request %v, error %v", req, err)
		}
		if fault != nil {
			// What we say about their mistake must be readable in its turn.
			if _, err := readEnvelope([]byte(read(t, encodeFault(dialect{4}, e.id, fault))), Limits{Bytes: 1 << 24}); err != nil {
				t.Fatal(err)
			}
		}
	})
}

// FuzzEscape: whatever a value holds, the envelope is well formed and the
// value comes back, but for what XML cannot carry.
func FuzzEscape(f *testing.F) {
	for _, s := range []string{"", " a\tb\n\r", "<&>\"'", "]]>", "\x00\x1f\x7f", "é€😀", "\xff\xc3", "\ufffe\uffff\ufffd", "\u0085\u2028"} {
		f.Add(s, s)
	}
	f.Fuzz(func(t *testing.T, name, value string) {
		body, err := encode(t.Context(), dialect{4}, header{id: value}, GetParameterValuesResponse{seq(ParameterValue{name, value, "xsd:string"})}, 0)
		if err != nil {
			t.Fatal(err)
		}
		s := read(t, body)
		for i := range len(s) {
			if c := s[i]; c != '\n' && c != '\t' && (c < ' ' || c > '~') {
				t.Fatalf("byte %#x in the envelope", c)
			}
		}
		e, err := readEnvelope([]byte(s), Limits{Bytes: 1 << 24})
		if err != nil {
			t.Fatal(err)
		}
		want := strings.Map(func(r rune) rune { // invalid bytes come as U+FFFD
			if r < ' ' && r != '\t' && r != '\n' && r != '\r' || r == 0xfffe || r == 0xffff {
				return 0xfffd
			}
			return r
		}, value)
		if got := text(e.body.FindElement("ParameterList/ParameterValueStruct/Value")); got != want {
			t.Fatalf("%q came back as %q", value, got)
		}
	})
}
