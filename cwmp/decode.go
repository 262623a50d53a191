package cwmp

// This file makes typed requests of what an ACS sends (TR-069 A.3.2, A.4.1).

import (
	"strings"

	"github.com/beevik/etree"
)

// Longest texts (TR-069 A.3.2). Parameter names have no limit here: one that
// is too long does not exist, which is fault 9005 of the data model.
const (
	maxKey  = 32
	maxName = 1 << 20
	maxText = 256
)

// decodeRequest reads a request. The error is a *Fault: 9000 for a method that
// is not of this protocol, 9003 for arguments that are wrong.
func decodeRequest(e *envelope) (Request, error) {
	if !e.cwmp {
		return nil, Faultf(FaultMethodNotSupported, "%.80s", e.name())
	}
	a := &args{e: e.body}
	req := decodeParameters(e.name(), a)
	if req == nil {
		req = decodeDevice(e.name(), a)
	}
	if req == nil {
		req = decodeTransfer(e.name(), a)
	}
	switch {
	case req == nil:
		return nil, Faultf(FaultMethodNotSupported, "%.80s", e.name())
	case a.err != nil:
		return nil, a.err
	}
	return req, nil
}

// decodeParameters reads the methods on the data model.
func decodeParameters(method string, a *args) Request {
	switch method {
	case "SetParameterValues":
		return setParameterValues(a)
	case "GetParameterValues":
		return GetParameterValues{ParameterNames: a.names("ParameterNames")}
	case "GetParameterNames":
		return GetParameterNames{ParameterPath: a.word("ParameterPath", maxName), NextLevel: a.bool("NextLevel")}
	case "SetParameterAttributes":
		return setParameterAttributes(a)
	case "GetParameterAttributes":
		return GetParameterAttributes{ParameterNames: a.names("ParameterNames")}
	case "AddObject":
		return AddObject{ObjectName: a.word("ObjectName", maxName), ParameterKey: a.text("ParameterKey", maxKey)}
	case "DeleteObject":
		return DeleteObject{ObjectName: a.word("ObjectName", maxName), ParameterKey: a.text("ParameterKey", maxKey)}
	}
	return nil
}

// names reads an array of one name at least.
func (a *args) names(name string) []string {
	list := a.words(name)
	if len(list) == 0 {
		a.fail(name, "is empty")
	}
	return list
}

func setParameterValues(a *args) Request {
	var r SetParameterValues
	a.each("ParameterList", func(p *args) {
		v := ParameterValue{Name: p.word("Name", maxName)}
		if e := p.find("Value"); e != nil {
			v.Value, v.Type = p.simple("Value", e), xsiType(e)
		} else {
			p.fail("Value", "is missing")
		}
		r.ParameterList = append(r.ParameterList, v)
	})
	r.ParameterKey = a.text("ParameterKey", maxKey)
	return r
}

// setParameterAttributes reads the changes. What is not to change may be
// empty, or missing: servers send <Notification/> then.
func setParameterAttributes(a *args) Request {
	var r SetParameterAttributes
	a.each("ParameterList", func(p *args) {
		at := SetParameterAttribute{
			Name:               p.word("Name", maxName),
			NotificationChange: p.bool("NotificationChange"),
			AccessListChange:   p.bool("AccessListChange"),
		}
		if at.NotificationChange {
			at.Notification = int(p.int("Notification", 0, 6))
		}
		if at.AccessListChange {
			at.AccessList = p.words("AccessList")
		}
		r.ParameterList = append(r.ParameterList, at)
	})
	if len(r.ParameterList) == 0 {
		a.fail("ParameterList", "is empty")
	}
	return r
}

// decodeDevice reads the methods on the device and its agent.
func decodeDevice(method string, a *args) Request {
	switch method {
	case "GetRPCMethods":
		return GetRPCMethods{}
	case "Reboot":
		return Reboot{CommandKey: a.text("CommandKey", maxKey)}
	case "FactoryReset":
		return FactoryReset{}
	case "ScheduleInform":
		r := ScheduleInform{DelaySeconds: a.uint("DelaySeconds", true), CommandKey: a.text("CommandKey", maxKey)}
		if r.DelaySeconds == 0 {
			a.fail("DelaySeconds", "is 0")
		}
		return r
	case "CancelTransfer":
		return CancelTransfer{CommandKey: a.text("CommandKey", maxKey)}
	case "GetQueuedTransfers":
		return GetQueuedTransfers{}
	case "GetAllQueuedTransfers":
		return GetAllQueuedTransfers{}
	case "ChangeDUState":
		return changeDUState(a)
	}
	return nil
}

// decodeTransfer reads the methods that order a transfer. The arguments behind
// the URL may be missing: many servers leave out what they do not use.
func decodeTransfer(method string, a *args) Request {
	switch method {
	case "Download":
		return Download{
			CommandKey: a.text("CommandKey", maxKey), FileType: a.word("FileType", 64), URL: a.url("URL"),
			Username: a.optional("Username", maxText), Password: Secret(a.optional("Password", maxText)),
			FileSize: a.uint("FileSize", false), TargetFileName: a.optional("TargetFileName", maxText),
			DelaySeconds: a.uint("DelaySeconds", false),
			SuccessURL:   strings.TrimSpace(a.optional("SuccessURL", maxURL)),
			FailureURL:   strings.TrimSpace(a.optional("FailureURL", maxURL)),
		}
	case "Upload":
		return Upload{
			CommandKey: a.text("CommandKey", maxKey), FileType: a.word("FileType", 64), URL: a.url("URL"),
			Username: a.optional("Username", maxText), Password: Secret(a.optional("Password", maxText)),
			DelaySeconds: a.uint("DelaySeconds", false),
		}
	case "ScheduleDownload":
		r := ScheduleDownload{
			CommandKey: a.text("CommandKey", maxKey), FileType: a.word("FileType", 64), URL: a.url("URL"),
			Username: a.optional("Username", maxText), Password: Secret(a.optional("Password", maxText)),
			FileSize: a.uint("FileSize", false), TargetFileName: a.optional("TargetFileName", maxText),
		}
		r.TimeWindowList = a.windows("TimeWindowList")
		return r
	}
	return nil
}

// url reads a required URL.
func (a *args) url(name string) string {
	u := a.word(name, maxURL)
	if u == "" {
		a.fail(name, "is empty")
	}
	return u
}

func (a *args) windows(name string) []TimeWindow {
	var list []TimeWindow
	a.each(name, func(p *args) {
		list = append(list, TimeWindow{
			WindowStart: p.uint("WindowStart", true), WindowEnd: p.uint("WindowEnd", true),
			WindowMode: p.word("WindowMode", 64), UserMessage: p.optional("UserMessage", maxText),
			MaxRetries: int32(p.int("MaxRetries", -1<<31, 1<<31-1)),
		})
	})
	if len(list) < 1 || len(list) > 2 {
		a.fail(name, "has %d windows, not 1 or 2", len(list))
	}
	return list
}

// changeDUState reads operations; their kind is in xsi:type (TR-069 A.4.1.10).
func changeDUState(a *args) Request {
	var r ChangeDUState
	for _, t := range a.e.Child {
		e, ok := t.(*etree.Element)
		if !ok || e.Tag != "Operations" {
			continue
		}
		p := &args{e: e, path: "Operations."}
		kind := xsiType(e)
		op := DUOperation{
			Kind: strings.TrimSuffix(kind[strings.IndexByte(kind, ':')+1:], "OpStruct"),
			URL:  strings.TrimSpace(p.optional("URL", maxURL)), UUID: strings.TrimSpace(p.optional("UUID", 64)),
			Username: p.optional("Username", maxText), Password: Secret(p.optional("Password", maxText)),
			ExecutionEnvRef: strings.TrimSpace(p.optional("ExecutionEnvRef", maxText)),
			Version:         p.optional("Version", 32),
		}
		switch op.Kind {
		case "Install", "Update", "Uninstall":
		default:
			p.fail("xsi:type", "is %.40q, not an operation", kind)
		}
		if p.err != nil && a.err == nil {
			a.err = p.err
		}
		r.Operations = append(r.Operations, op)
	}
	if len(r.Operations) == 0 {
		a.fail("Operations", "is missing")
	}
	r.CommandKey = a.optional("CommandKey", maxKey)
	return r
}

// decodeAnswer reads what an ACS answers to a call of that name. An answer
// that cannot be told from success is success: it says little anyway.
func decodeAnswer(e *envelope) Answer {
	a := &args{e: e.body}
	switch e.name() {
	case "InformResponse":
		return InformResponse{MaxEnvelopes: a.uint("MaxEnvelopes", false)}
	case "GetRPCMethodsResponse":
		return GetRPCMethodsResponse{MethodList: a.words("MethodList")}
	case "TransferCompleteResponse":
		return TransferCompleteResponse{}
	case "AutonomousTransferCompleteResponse":
		return AutonomousTransferCompleteResponse{}
	case "RequestDownloadResponse":
		return RequestDownloadResponse{}
	case "DUStateChangeCompleteResponse":
		return DUStateChangeCompleteResponse{}
	case "AutonomousDUStateChangeCompleteResponse":
		return AutonomousDUStateChangeCompleteResponse{}
	}
	return nil
}

// decodeFault reads a SOAP Fault of the ACS. Without CWMP's detail it counts
// as an internal error (8002) with SOAP's words.
func decodeFault(e *envelope) *Fault {
	a := &args{e: e.body}
	f := &Fault{Code: FaultACSInternalError, Message: strings.TrimSpace(a.optional("faultstring", maxName))}
	if detail := a.find("detail"); detail != nil {
		if in := (&args{e: detail}).find("Fault"); in != nil {
			c := &args{e: in}
			if code := c.uint("FaultCode", true); c.err == nil && code < 1e6 {
				f.Code = int(code)
			}
			f.Message = strings.TrimSpace(c.optional("FaultString", maxName))
		}
	}
	f.Message = truncate(f.Message, 512)
	return f
}
