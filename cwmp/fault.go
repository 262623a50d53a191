package cwmp

// This file holds faults: the codes of TR-069 A.5 and how they print.

import (
	"fmt"
	"strconv"
)

// Fault codes of a CPE (TR-069 A.5.1).
const (
	FaultMethodNotSupported   = 9000
	FaultRequestDenied        = 9001
	FaultInternalError        = 9002
	FaultInvalidArguments     = 9003
	FaultResourcesExceeded    = 9004
	FaultInvalidName          = 9005
	FaultInvalidType          = 9006
	FaultInvalidValue         = 9007
	FaultNotWritable          = 9008
	FaultNotificationRejected = 9009
	FaultTransfer             = 9010
	FaultUpload               = 9011
	FaultTransferAuth         = 9012
	FaultTransferProtocol     = 9013
	FaultMulticast            = 9014
	FaultFileServer           = 9015
	FaultFileAccess           = 9016
	FaultDownloadIncomplete   = 9017
	FaultFileCorrupted        = 9018
	FaultFileAuthentication   = 9019
	FaultTimeWindows          = 9020
	FaultCancelNotPermitted   = 9021
)

// Fault codes of an ACS (TR-069 A.5.2).
const (
	FaultACSMethodNotSupported = 8000
	FaultACSRequestDenied      = 8001
	FaultACSInternalError      = 8002
	FaultACSInvalidArguments   = 8003
	FaultACSResourcesExceeded  = 8004
	FaultACSRetryRequest       = 8005
	FaultACSVersion            = 8006
)

// A Fault is a refusal in CWMP's own words: one of ours (9000 to 9899) on its
// way to the ACS, or one that the ACS sent (8000 to 8899). Message is its
// FaultString; when empty, ours go out with the standard text of the code.
type Fault struct {
	Code       int
	Message    string
	Parameters []ParameterFault // only in answer to SetParameterValues
}

// A ParameterFault blames one parameter of a SetParameterValues.
type ParameterFault struct {
	Name    string
	Code    int
	Message string
}

// Faultf makes a fault whose text is the standard one followed by the detail.
func Faultf(code int, format string, args ...any) *Fault {
	return &Fault{Code: code, Message: FaultText(code) + ": " + fmt.Sprintf(format, args...)}
}

// Error returns "fault 9005: Invalid parameter name".
func (f *Fault) Error() string {
	s := "fault " + strconv.Itoa(f.Code) + ": " + f.text()
	if len(f.Parameters) > 0 {
		p := f.Parameters[0]
		s += fmt.Sprintf(" (%s: %d", p.Name, p.Code)
		if n := len(f.Parameters) - 1; n > 0 {
			s += fmt.Sprintf(" and %d more", n)
		}
		s += ")"
	}
	return s
}

// Is reports whether target is a fault of the same code, so that
// errors.Is(err, &Fault{Code: 9005}) works.
func (f *Fault) Is(target error) bool {
	t, ok := target.(*Fault)
	return ok && t.Code == f.Code
}

func (f *Fault) text() string {
	if f.Message != "" {
		return f.Message
	}
	return FaultText(f.Code)
}

// client reports whether SOAP's faultcode is Client, that is whether the
// originator of the request is to blame (TR-069 A.5.1).
func (f *Fault) client() bool {
	switch f.Code {
	case FaultInvalidArguments, FaultInvalidName, FaultInvalidType, FaultInvalidValue,
		FaultNotWritable, FaultTimeWindows, FaultCancelNotPermitted:
		return true
	}
	return false
}

// FaultText returns the standard text of a fault code.
func FaultText(code int) string {
	switch code {
	case 9000, 8000:
		return "Method not supported"
	case 9001, 8001:
		return "Request denied"
	case 9002, 8002:
		return "Internal error"
	case 9003, 8003:
		return "Invalid arguments"
	case 9004, 8004:
		return "Resources exceeded"
	case 9005:
		return "Invalid parameter name"
	case 9006:
		return "Invalid parameter type"
	case 9007:
		return "Invalid parameter value"
	case 9008:
		return "Attempt to set a non-writable parameter"
	case 9009:
		return "Notification request rejected"
	case 8005:
		return "Retry request"
	case 8006:
		return "ACS version incompatible with CPE"
	}
	return transferFaultText(code)
}

func transferFaultText(code int) string {
	switch code {
	case 9010:
		return "File transfer failure"
	case 9011:
		return "Upload failure"
	case 9012:
		return "File transfer server authentication failure"
	case 9013:
		return "Unsupported protocol for file transfer"
	case 9014:
		return "File transfer failure: unable to join multicast group"
	case 9015:
		return "File transfer failure: unable to contact file server"
	case 9016:
		return "File transfer failure: unable to access file"
	case 9017:
		return "File transfer failure: unable to complete download"
	case 9018:
		return "File transfer failure: file corrupted"
	case 9019:
		return "File transfer failure: file authentication failure"
	case 9020:
		return "File transfer failure: unable to complete download within specified time windows"
	case 9021:
		return "Cancelation of file transfer not permitted in current transfer state"
	}
	return "Fault " + strconv.Itoa(code)
}
