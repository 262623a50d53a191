package acs

import (
	"regexp"
	"strings"
)

// checkID looks at the cwmp:ID of an answer (TR-069 3.5).
func (r *run) checkID(m *Message, a *ask) {
	switch {
	case a.id == "":
	case !m.HasID:
		r.s.fault(r, RuleSOAP, "TR-069 3.5", "%s: header ID is missing, %q expected", m.Method, a.id)
	case m.ID != a.id:
		r.s.fault(r, RuleSOAP, "TR-069 3.5", "%s: header ID %q instead of %q", m.Method, m.ID, a.id)
	}
}

// responses are the elements of each response, in order (cwmp-1-2.xsd).
var responses = map[string][]string{
	"GetRPCMethodsResponse":          {"MethodList"},
	"GetParameterNamesResponse":      {"ParameterList"},
	"GetParameterValuesResponse":     {"ParameterList"},
	"SetParameterValuesResponse":     {"Status"},
	"GetParameterAttributesResponse": {"ParameterList"},
	"SetParameterAttributesResponse": {},
	"AddObjectResponse":              {"InstanceNumber", "Status"},
	"DeleteObjectResponse":           {"Status"},
	"DownloadResponse":               {"Status", "StartTime", "CompleteTime"},
	"UploadResponse":                 {"Status", "StartTime", "CompleteTime"},
	"RebootResponse":                 {},
	"FactoryResetResponse":           {},
	"ScheduleInformResponse":         {},
	"ScheduleDownloadResponse":       {},
	"CancelTransferResponse":         {},
	"GetQueuedTransfersResponse":     {"TransferList"},
	"GetAllQueuedTransfersResponse":  {"TransferList"},
	"ChangeDUStateResponse":          {},
}

// checkResponse looks at the content of an answer.
func (r *run) checkResponse(a *ask, m *Message) {
	k := r.checker(m)
	if m.Method == "Fault" {
		k.fault(a, m)
		return
	}
	if names, known := responses[m.Method]; known && !k.sequence(RuleResponse, m.Body, names...) {
		return
	}
	list := m.Body.Child("ParameterList")
	switch m.Method {
	case "GetRPCMethodsResponse":
		k.methods(m.Body.Child("MethodList"))
	case "GetParameterNamesResponse":
		k.names(a, list)
	case "GetParameterValuesResponse":
		k.values(RuleResponse, list)
		k.within(a.asked, list)
	case "GetParameterAttributesResponse":
		k.attributes(list)
	case "AddObjectResponse":
		k.is(RuleResponse, m.Body.Child("InstanceNumber"), "unsignedInt")
		if m.Body.Child("InstanceNumber").String() == "0" {
			k.bad(RuleResponse, "TR-069 A.3.2.6", "instance number 0")
		}
	case "DownloadResponse", "UploadResponse":
		k.transfer(m.Body)
	}
	if s := m.Body.Child("Status"); s != nil && s.Text != "0" && s.Text != "1" {
		k.bad(RuleResponse, "cwmp-1-2.xsd", "Status %q", s.Text)
	}
}

// within checks that an answer holds nothing that was not asked for.
func (k *checker) within(asked []string, list *Node) {
	if len(asked) == 0 {
		return
	}
	for _, m := range list.members() {
		name := m.Child("Name").String()
		if !covered(asked, name) {
			k.bad(RuleResponse, "TR-069 A.3.2.2", "%s was not asked for", name)
			return
		}
	}
}

func covered(asked []string, name string) bool {
	for _, a := range asked {
		switch {
		case a == name, a == "", strings.HasSuffix(a, ".") && strings.HasPrefix(name, a):
			return true
		case strings.ContainsAny(a, "*["): // the answer names instances by number
			return true
		}
	}
	return false
}

func (k *checker) methods(list *Node) {
	k.array(RuleResponse, list, nsXSD, "string", 0)
	seen := map[string]bool{}
	for _, m := range list.members() {
		if seen[m.Text] {
			k.bad(RuleResponse, "TR-069 A.3.1.1", "method %s twice", m.Text)
		}
		seen[m.Text] = true
		k.longest(RuleResponse, m, 64)
	}
	for _, must := range []string{
		"GetRPCMethods", "SetParameterValues", "GetParameterValues", "GetParameterNames",
		"SetParameterAttributes", "GetParameterAttributes", "AddObject", "DeleteObject", "Reboot",
	} {
		if !seen[must] {
			k.bad(RuleResponse, "TR-069 3.6", "%s, which is required, is not listed", must)
		}
	}
}

// names checks a GetParameterNamesResponse (TR-069 A.3.2.3).
func (k *checker) names(a *ask, list *Node) {
	k.array(RuleResponse, list, k.ns, "ParameterInfoStruct", 0)
	seen := map[string]bool{}
	for _, m := range list.members() {
		if !k.sequence(RuleResponse, m, "Name", "Writable") {
			continue
		}
		name := m.Child("Name").Text
		k.name(RuleResponse, name)
		k.is(RuleResponse, m.Child("Writable"), "boolean")
		if seen[name] {
			k.bad(RuleResponse, "TR-069 A.3.2.3", "%s twice", name)
		}
		seen[name] = true
		k.asked(a, name)
	}
	k.chain(a, seen)
}

// asked checks that a name belongs to the answer.
func (k *checker) asked(a *ask, name string) {
	rest, below := strings.CutPrefix(name, a.path)
	switch {
	case strings.ContainsAny(a.path, "*["):
	case !below:
		k.bad(RuleResponse, "TR-069 A.3.2.3", "%s is not below %q", name, a.path)
	case !a.nextLevel:
	case rest == "":
		k.bad(RuleResponse, "TR-069 A.3.2.3", "%s itself is listed although NextLevel is true", name)
	case strings.Contains(strings.TrimSuffix(rest, "."), "."):
		k.bad(RuleResponse, "TR-069 A.3.2.3", "%s is more than one level below %q", name, a.path)
	}
}

// chain checks that every object on the way to a name is listed too.
func (k *checker) chain(a *ask, seen map[string]bool) {
	if a.nextLevel || strings.ContainsAny(a.path, "*[") {
		return
	}
	for name := range seen {
		up := name[:strings.LastIndexByte(strings.TrimSuffix(name, "."), '.')+1]
		if up != "" && strings.HasPrefix(up, a.path) && len(up) >= len(a.path) && !seen[up] {
			k.bad(RuleResponse, "TR-069 A.3.2.3", "%s is listed but not its object %s", name, up)
			return
		}
	}
}

func (k *checker) attributes(list *Node) {
	k.array(RuleResponse, list, k.ns, "ParameterAttributeStruct", 0)
	for _, m := range list.members() {
		if !k.sequence(RuleResponse, m, "Name", "Notification", "AccessList") {
			continue
		}
		k.name(RuleResponse, m.Child("Name").Text)
		if n := m.Child("Notification").Text; len(n) != 1 || n < "0" || n > "6" {
			k.bad(RuleResponse, "cwmp-1-2.xsd", "%s: Notification %q", m.Child("Name").Text, n)
		}
		k.array(RuleResponse, m.Child("AccessList"), nsXSD, "string", 0)
	}
}

func (k *checker) transfer(b *Node) {
	k.is(RuleResponse, b.Child("StartTime"), "dateTime")
	k.is(RuleResponse, b.Child("CompleteTime"), "dateTime")
	const unknown = "0001-01-01T00:00:00Z"
	if b.Child("Status").String() == "1" && (b.Child("StartTime").String() != unknown || b.Child("CompleteTime").String() != unknown) {
		k.bad(RuleResponse, "TR-069 A.3.2.8", "Status 1 with times other than the unknown time")
	}
}

// cpeFaults are the fault codes of a CPE and who is to blame by them: the
// client, which is us, or the server (TR-069 A.5.1).
var cpeFaults = map[int]string{
	9000: "Server", 9001: "Server", 9002: "Server", 9003: "Client", 9004: "Server", 9005: "Client", 9006: "Client",
	9007: "Client", 9008: "Client", 9009: "Server", 9010: "Server", 9011: "Server", 9012: "Server", 9013: "Server",
	9014: "Server", 9015: "Server", 9016: "Server", 9017: "Server", 9018: "Server", 9019: "Server", 9020: "Client",
	9021: "Client",
}

var faultcode = regexp.MustCompile(`^([A-Za-z_][\w.-]*:)?(Client|Server)$`)

// fault checks a fault that answers our request (TR-069 3.5).
func (k *checker) fault(a *ask, m *Message) {
	k.sequence(RuleFault, m.Body, "faultcode", "faultstring", "faultactor?", "detail")
	if code := m.Body.Child("faultcode").String(); !faultcode.MatchString(code) {
		k.bad(RuleFault, "SOAP 1.1 4.4.1", "faultcode %q", code)
	}
	if s := m.Body.Child("faultstring").String(); s != "CWMP fault" {
		k.bad(RuleFault, "TR-069 3.5", "faultstring %q", s)
	}
	d := m.Body.Child("detail").Child("Fault")
	if d == nil || !cwmpSpaces[d.Space] {
		k.bad(RuleFault, "TR-069 3.5", "no cwmp:Fault in its detail")
		return
	}
	k.sequence(RuleFault, d, "FaultCode", "FaultString?", "SetParameterValuesFault*")
	f := m.Fault
	blame, known := cpeFaults[f.Code]
	switch {
	case !known && (f.Code < 9022 || f.Code > 9032) && (f.Code < 9800 || f.Code > 9899):
		k.bad(RuleFault, "TR-069 A.5.1", "fault code %d is not one of a CPE", f.Code)
	case known && f.SOAPCode != blame:
		k.bad(RuleFault, "TR-069 A.5.1", "faultcode %s with fault %d", f.SOAPCode, f.Code)
	}
	if len(f.Parameters) > 0 && (a.method != "SetParameterValues" || f.Code != 9003) {
		k.bad(RuleFault, "TR-069 A.3.2.1", "a list of parameters in fault %d of %s", f.Code, a.method)
	}
	for _, p := range d.Children {
		if p.Local == "SetParameterValuesFault" {
			k.sequence(RuleFault, p, "ParameterName", "FaultCode", "FaultString?")
		}
	}
}

// calls are the elements of a CPE's own requests.
var calls = map[string][]string{
	"GetRPCMethods":                   {},
	"TransferComplete":                {"CommandKey", "FaultStruct", "StartTime", "CompleteTime"},
	"AutonomousTransferComplete":      {"AnnounceURL", "TransferURL", "IsDownload", "FileType", "FileSize", "TargetFileName", "FaultStruct", "StartTime", "CompleteTime"},
	"RequestDownload":                 {"FileType", "FileTypeArg"},
	"Kicked":                          {"Command", "Referer", "Arg", "Next"},
	"DUStateChangeComplete":           {"Results*", "CommandKey?"},
	"AutonomousDUStateChangeComplete": {"Results*"},
}

// checkCall looks at the content of a CPE's own request.
func (r *run) checkCall(m *Message) {
	k := r.checker(m)
	if names, known := calls[m.Method]; known {
		k.sequence(RuleResponse, m.Body, names...)
	}
	if m.Method != "TransferComplete" && m.Method != "AutonomousTransferComplete" {
		return
	}
	k.is(RuleResponse, m.Body.Child("StartTime"), "dateTime")
	k.is(RuleResponse, m.Body.Child("CompleteTime"), "dateTime")
	f := m.Body.Child("FaultStruct")
	if f == nil || !k.sequence(RuleResponse, f, "FaultCode", "FaultString") {
		return
	}
	code := integer(f.Child("FaultCode"))
	if code == 0 && f.Child("FaultString").String() != "" {
		k.bad(RuleResponse, "TR-069 A.3.3.2", "FaultString %q without a fault", f.Child("FaultString").String())
	}
	if code != 0 && (code < 9001 || code > 9899 || code == 9013 || code > 9002 && code < 9010) {
		k.bad(RuleResponse, "cwmp-1-2.xsd", "FaultCode %d", code)
	}
}
