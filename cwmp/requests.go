package cwmp

// This file holds what an ACS may ask of a CPE: one struct per method, with
// the names of TR-069 Annex A.3.2 and A.4.1.

import "context"

// A Request is a method that the ACS calls on us. Requests are passed by
// value: a Handler switches on their type.
type Request interface {
	// Method returns the name on the wire, such as "GetParameterValues".
	Method() string
}

// A Handler carries out what the ACS asks.
type Handler interface {
	// Handle answers one request. An error that is (or wraps) a *Fault goes to
	// the ACS as it is; any other becomes fault 9002, its text goes to the log
	// only. The context ends when the session does. Lists in the response are
	// read before the next call of Handle, with the same context still alive.
	Handle(ctx context.Context, req Request) (Response, error)
}

// HandlerFunc makes a Handler of a function.
type HandlerFunc func(ctx context.Context, req Request) (Response, error)

// Handle calls f.
func (f HandlerFunc) Handle(ctx context.Context, req Request) (Response, error) { return f(ctx, req) }

// A Secret is a text that must not appear in logs: it prints as "***" under
// every verb. Convert it to a string to use it.
type Secret string

// String returns "***", or "" for an empty secret.
func (s Secret) String() string {
	if s == "" {
		return ""
	}
	return "***"
}

// GoString keeps the secret out of %#v.
func (s Secret) GoString() string { return `"` + s.String() + `"` }

// A ParameterValue is one parameter with its value as text. Type is its XSD
// type in the form "xsd:string"; in a request it is "" when the ACS named none.
type ParameterValue struct {
	Name, Value, Type string
}

// String leaves the value out: it may be a secret.
func (p ParameterValue) String() string { return p.Name + " (" + p.Type + ")" }

// SetParameterAttribute is one entry of SetParameterAttributes. Notification
// counts only with NotificationChange, AccessList only with AccessListChange.
type SetParameterAttribute struct {
	Name               string
	NotificationChange bool
	Notification       int // 0 to 6
	AccessListChange   bool
	AccessList         []string
}

// Methods that every CPE must know (TR-069 table 5).
type (
	// GetRPCMethods asks for the list of methods. It is a [Call] too: a CPE may
	// ask the same of its ACS.
	GetRPCMethods struct{}
	// SetParameterValues sets parameters, all or none of them.
	SetParameterValues struct {
		ParameterList []ParameterValue
		ParameterKey  string
	}
	// GetParameterValues reads parameters; names may be partial paths, and ""
	// is the whole tree.
	GetParameterValues struct{ ParameterNames []string }
	// GetParameterNames lists what is below a path.
	GetParameterNames struct {
		ParameterPath string
		NextLevel     bool
	}
	// SetParameterAttributes changes notification and access lists.
	SetParameterAttributes struct{ ParameterList []SetParameterAttribute }
	// GetParameterAttributes reads notification and access lists.
	GetParameterAttributes struct{ ParameterNames []string }
	// AddObject makes a new instance of a table; ObjectName ends with a dot.
	AddObject struct{ ObjectName, ParameterKey string }
	// DeleteObject removes one instance; ObjectName ends with a dot.
	DeleteObject struct{ ObjectName, ParameterKey string }
	// Reboot restarts the device after the session.
	Reboot struct{ CommandKey string }
	// FactoryReset restores the factory state after the session.
	FactoryReset struct{}
	// Download fetches a file. URLs may be longer than the 256 characters of
	// TR-069 A.3.2.8 (signed URLs of today are), up to 2048.
	Download struct {
		CommandKey     string
		FileType       string
		URL            string
		Username       string
		Password       Secret
		FileSize       uint32 // bytes; 0: not known
		TargetFileName string
		DelaySeconds   uint32
		SuccessURL     string
		FailureURL     string
	}
)

// Methods that a CPE may know (TR-069 A.4.1).
type (
	// ScheduleInform asks for a session in DelaySeconds (never 0).
	ScheduleInform struct {
		DelaySeconds uint32
		CommandKey   string
	}
	// Upload sends a file to a server.
	Upload struct {
		CommandKey   string
		FileType     string
		URL          string
		Username     string
		Password     Secret
		DelaySeconds uint32
	}
	// ScheduleDownload fetches a file within one or two windows of time.
	ScheduleDownload struct {
		CommandKey     string
		FileType       string
		URL            string
		Username       string
		Password       Secret
		FileSize       uint32
		TargetFileName string
		TimeWindowList []TimeWindow
	}
	// TimeWindow is one window of ScheduleDownload, in seconds from its receipt.
	TimeWindow struct {
		WindowStart, WindowEnd uint32
		WindowMode             string
		UserMessage            string
		MaxRetries             int32 // -1: the CPE decides
	}
	// CancelTransfer drops the queued transfers that have this key.
	CancelTransfer struct{ CommandKey string }
	// GetQueuedTransfers is deprecated; see GetAllQueuedTransfers.
	GetQueuedTransfers struct{}
	// GetAllQueuedTransfers lists the queued transfers.
	GetAllQueuedTransfers struct{}
	// ChangeDUState installs, updates and removes deployment units.
	ChangeDUState struct {
		Operations []DUOperation
		CommandKey string
	}
	// DUOperation is one operation of ChangeDUState. Kind is "Install",
	// "Update" or "Uninstall"; what the kind does not know stays empty.
	DUOperation struct {
		Kind, URL, UUID, Username string
		Password                  Secret
		ExecutionEnvRef, Version  string
	}
)

// Method returns "GetRPCMethods".
func (GetRPCMethods) Method() string { return "GetRPCMethods" }

// Method returns "SetParameterValues".
func (SetParameterValues) Method() string { return "SetParameterValues" }

// Method returns "GetParameterValues".
func (GetParameterValues) Method() string { return "GetParameterValues" }

// Method returns "GetParameterNames".
func (GetParameterNames) Method() string { return "GetParameterNames" }

// Method returns "SetParameterAttributes".
func (SetParameterAttributes) Method() string { return "SetParameterAttributes" }

// Method returns "GetParameterAttributes".
func (GetParameterAttributes) Method() string { return "GetParameterAttributes" }

// Method returns "AddObject".
func (AddObject) Method() string { return "AddObject" }

// Method returns "DeleteObject".
func (DeleteObject) Method() string { return "DeleteObject" }

// Method returns "Reboot".
func (Reboot) Method() string { return "Reboot" }

// Method returns "FactoryReset".
func (FactoryReset) Method() string { return "FactoryReset" }

// Method returns "Download".
func (Download) Method() string { return "Download" }

// Method returns "ScheduleInform".
func (ScheduleInform) Method() string { return "ScheduleInform" }

// Method returns "Upload".
func (Upload) Method() string { return "Upload" }

// Method returns "ScheduleDownload".
func (ScheduleDownload) Method() string { return "ScheduleDownload" }

// Method returns "CancelTransfer".
func (CancelTransfer) Method() string { return "CancelTransfer" }

// Method returns "GetQueuedTransfers".
func (GetQueuedTransfers) Method() string { return "GetQueuedTransfers" }

// Method returns "GetAllQueuedTransfers".
func (GetAllQueuedTransfers) Method() string { return "GetAllQueuedTransfers" }

// Method returns "ChangeDUState".
func (ChangeDUState) Method() string { return "ChangeDUState" }
