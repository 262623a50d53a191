package cwmp

// This file holds what we ask of an ACS (TR-069 A.3.3, A.4.2) and what it
// answers.

import (
	"context"
	"iter"
	"time"
)

// A Call is a method that we call on the ACS.
type Call interface {
	// Method returns the name on the wire, such as "TransferComplete".
	Method() string

	write(ctx context.Context, w *writer) error
}

// An Answer is what the ACS answers to a Call.
type Answer interface {
	// Method returns the name on the wire, such as "TransferCompleteResponse".
	Method() string
}

// An Event is one entry of the Event list, such as {"1 BOOT", ""} or
// {"M Reboot", key}.
type Event struct{ EventCode, CommandKey string }

// A DeviceID says who the device is.
type DeviceID struct {
	Manufacturer string
	OUI          string // six upper-case hexadecimal digits
	ProductClass string
	SerialNumber string
}

// Inform opens a session. Parameters is called once when the session begins;
// an error in it ends the session before anything is sent. When the ACS asks
// for a repetition it gets the same bytes. CurrentTime must be "now" (or
// UnknownTime, or a year below 1000 for time since boot, TR-106 3.2).
type Inform struct {
	DeviceID    DeviceID
	Events      []Event
	CurrentTime time.Time
	RetryCount  uint32
	Parameters  func(ctx context.Context) iter.Seq2[ParameterValue, error]
}

// Calls other than Inform. GetRPCMethods is one too.
type (
	// TransferComplete reports the end of a transfer that the ACS ordered.
	TransferComplete struct {
		CommandKey              string
		Fault                   *Fault // nil: success
		StartTime, CompleteTime time.Time
	}
	// AutonomousTransferComplete reports a transfer that it did not order.
	AutonomousTransferComplete struct {
		AnnounceURL, TransferURL string
		IsDownload               bool
		FileType                 string
		FileSize                 uint32
		TargetFileName           string
		Fault                    *Fault
		StartTime, CompleteTime  time.Time
	}
	// RequestDownload asks the ACS to order a download.
	RequestDownload struct {
		FileType    string
		FileTypeArg []Arg
	}
	// Arg is one argument of RequestDownload.
	Arg struct{ Name, Value string }
	// DUStateChangeComplete reports what became of a ChangeDUState.
	DUStateChangeComplete struct {
		Results    []DUResult
		CommandKey string
	}
	// AutonomousDUStateChangeComplete reports changes that it did not order.
	AutonomousDUStateChangeComplete struct{ Results []DUResult }
	// DUResult is the end of one operation on a deployment unit.
	DUResult struct {
		UUID, DeploymentUnitRef, Version string
		CurrentState                     string // "Installed", "Uninstalled" or "Failed"
		Resolved                         bool
		ExecutionUnitRefList             string
		StartTime, CompleteTime          time.Time
		Fault                            *Fault
		OperationPerformed               string // autonomous ones only
	}
)

// Answers of an ACS. GetRPCMethodsResponse is one too.
type (
	InformResponse                          struct{ MaxEnvelopes uint32 } // the Inform has arrived
	TransferCompleteResponse                struct{}                      // the report has arrived
	AutonomousTransferCompleteResponse      struct{}                      // the report has arrived
	RequestDownloadResponse                 struct{}                      // a Download may follow
	DUStateChangeCompleteResponse           struct{}                      // the report has arrived
	AutonomousDUStateChangeCompleteResponse struct{}                      // the report has arrived
)

// Method returns "Inform".
func (*Inform) Method() string { return "Inform" }

// Method returns "TransferComplete".
func (TransferComplete) Method() string { return "TransferComplete" }

// Method returns "AutonomousTransferComplete".
func (AutonomousTransferComplete) Method() string { return "AutonomousTransferComplete" }

// Method returns "RequestDownload".
func (RequestDownload) Method() string { return "RequestDownload" }

// Method returns "DUStateChangeComplete".
func (DUStateChangeComplete) Method() string { return "DUStateChangeComplete" }

// Method returns "AutonomousDUStateChangeComplete".
func (AutonomousDUStateChangeComplete) Method() string { return "AutonomousDUStateChangeComplete" }

// Method returns "InformResponse".
func (InformResponse) Method() string { return "InformResponse" }

// Method returns "TransferCompleteResponse".
func (TransferCompleteResponse) Method() string { return "TransferCompleteResponse" }

// Method returns "AutonomousTransferCompleteResponse".
func (AutonomousTransferCompleteResponse) Method() string {
	return "AutonomousTransferCompleteResponse"
}

// Method returns "RequestDownloadResponse".
func (RequestDownloadResponse) Method() string { return "RequestDownloadResponse" }

// Method returns "DUStateChangeCompleteResponse".
func (DUStateChangeCompleteResponse) Method() string { return "DUStateChangeCompleteResponse" }

// Method returns "AutonomousDUStateChangeCompleteResponse".
func (AutonomousDUStateChangeCompleteResponse) Method() string {
	return "AutonomousDUStateChangeCompleteResponse"
}

// MaxEvents is the room in an Event list (TR-069 A.3.3.1). Events beyond it are
// not sent: whoever fills in an Inform must keep them for the next one.
const MaxEvents = 64

func (i *Inform) write(ctx context.Context, w *writer) error {
	w.open("DeviceId")
	w.text("Manufacturer", i.DeviceID.Manufacturer)
	w.text("OUI", i.DeviceID.OUI)
	w.text("ProductClass", i.DeviceID.ProductClass)
	w.text("SerialNumber", i.DeviceID.SerialNumber)
	w.close("DeviceId")
	events := i.Events[:min(len(i.Events), MaxEvents)]
	w.array("Event", "cwmp:EventStruct", len(events))
	for _, e := range events {
		w.open("EventStruct")
		w.text("EventCode", e.EventCode)
		w.text("CommandKey", e.CommandKey)
		w.close("EventStruct")
	}
	w.close("Event")
	w.int("MaxEnvelopes", 1)
	w.time("CurrentTime", i.CurrentTime)
	w.int("RetryCount", int64(i.RetryCount))
	var list iter.Seq2[ParameterValue, error]
	if i.Parameters != nil {
		list = i.Parameters(ctx)
	}
	return w.values(ctx, list)
}

func (GetRPCMethods) write(context.Context, *writer) error { return nil }

func (c TransferComplete) write(_ context.Context, w *writer) error {
	w.text("CommandKey", c.CommandKey)
	w.transferFault(c.Fault)
	w.time("StartTime", c.StartTime)
	w.time("CompleteTime", c.CompleteTime)
	return nil
}

func (c AutonomousTransferComplete) write(_ context.Context, w *writer) error {
	w.text("AnnounceURL", c.AnnounceURL)
	w.text("TransferURL", c.TransferURL)
	w.bool("IsDownload", c.IsDownload)
	w.text("FileType", c.FileType)
	w.int("FileSize", int64(c.FileSize))
	w.text("TargetFileName", c.TargetFileName)
	w.transferFault(c.Fault)
	w.time("StartTime", c.StartTime)
	w.time("CompleteTime", c.CompleteTime)
	return nil
}

func (c RequestDownload) write(_ context.Context, w *writer) error {
	w.text("FileType", c.FileType)
	w.array("FileTypeArg", "cwmp:ArgStruct", len(c.FileTypeArg))
	for _, a := range c.FileTypeArg {
		w.open("ArgStruct")
		w.text("Name", a.Name)
		w.text("Value", a.Value)
		w.close("ArgStruct")
	}
	w.close("FileTypeArg")
	return nil
}

func (c DUStateChangeComplete) write(_ context.Context, w *writer) error {
	for i := range c.Results {
		w.result(&c.Results[i], false)
	}
	w.text("CommandKey", c.CommandKey)
	return nil
}

func (c AutonomousDUStateChangeComplete) write(_ context.Context, w *writer) error {
	for i := range c.Results {
		w.result(&c.Results[i], true)
	}
	return nil
}

func (w *writer) result(r *DUResult, autonomous bool) {
	w.open("Results")
	w.text("UUID", r.UUID)
	w.text("DeploymentUnitRef", r.DeploymentUnitRef)
	w.text("Version", r.Version)
	w.text("CurrentState", r.CurrentState)
	w.bool("Resolved", r.Resolved)
	w.text("ExecutionUnitRefList", r.ExecutionUnitRefList)
	w.time("StartTime", r.StartTime)
	w.time("CompleteTime", r.CompleteTime)
	w.faultStruct("Fault", r.Fault)
	if autonomous {
		w.text("OperationPerformed", r.OperationPerformed)
	}
	w.close("Results")
}
