package cwmp

// This file holds our answers to an ACS: one struct per method, and how each
// one is written.

import (
	"context"
	"iter"
	"time"
)

// A Response is our answer to a Request.
type Response interface {
	// Method returns the name on the wire, such as "GetParameterValuesResponse".
	Method() string

	write(ctx context.Context, w *writer) error
}

// Status of SetParameterValues, AddObject, DeleteObject, Download and Upload.
const (
	// StatusApplied says that everything was done before the answer.
	StatusApplied = 0
	// StatusCommitted says that it is accepted and takes effect later.
	StatusCommitted = 1
)

// Times with a meaning of their own (TR-106 3.2). Year 1 in UTC is the zero
// time.Time, so a time that was never set goes out as "unknown".
var (
	// UnknownTime is "not known" or "does not apply".
	UnknownTime = time.Time{}
	// InfiniteTime is "never".
	InfiniteTime = time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC)
)

// Answers that carry something. Lists that can be long are sequences: they are
// read once, before the first byte of the answer leaves; an error ends them
// and turns the answer into a Fault.
type (
	// GetRPCMethodsResponse lists the methods we know; from an ACS it is an
	// [Answer] with those that the ACS knows.
	GetRPCMethodsResponse struct{ MethodList []string }
	// GetParameterValuesResponse gives names, types and values.
	GetParameterValuesResponse struct {
		ParameterList iter.Seq2[ParameterValue, error]
	}
	// GetParameterNamesResponse gives names and whether they may be written.
	GetParameterNamesResponse struct {
		ParameterList iter.Seq2[ParameterInfo, error]
	}
	// GetParameterAttributesResponse gives notification and access lists.
	GetParameterAttributesResponse struct {
		ParameterList iter.Seq2[ParameterAttribute, error]
	}
	// SetParameterValuesResponse says that all was set.
	SetParameterValuesResponse struct{ Status int }
	// AddObjectResponse gives the number of the new instance (1 and up).
	AddObjectResponse struct {
		InstanceNumber uint32
		Status         int
	}
	// DeleteObjectResponse says that the instance is gone.
	DeleteObjectResponse struct{ Status int }
	// DownloadResponse: with StatusApplied both times are real, with
	// StatusCommitted leave them zero (TR-069 A.3.2.8).
	DownloadResponse struct {
		Status                  int
		StartTime, CompleteTime time.Time
	}
	// UploadResponse is to Upload what DownloadResponse is to Download.
	UploadResponse DownloadResponse
	// GetQueuedTransfersResponse lists transfers that have a CommandKey.
	GetQueuedTransfersResponse struct{ TransferList []QueuedTransfer }
	// GetAllQueuedTransfersResponse lists every queued transfer.
	GetAllQueuedTransfersResponse struct{ TransferList []QueuedTransfer }
)

// Answers that only say "done".
type (
	SetParameterAttributesResponse struct{} // all attributes are set
	RebootResponse                 struct{} // the reboot follows the session
	FactoryResetResponse           struct{} // the reset follows the session
	ScheduleInformResponse         struct{} // the Inform is scheduled
	ScheduleDownloadResponse       struct{} // the download is scheduled
	CancelTransferResponse         struct{} // no such transfer is queued any more
	ChangeDUStateResponse          struct{} // the operations are queued
)

// ParameterInfo is one line of GetParameterNames; objects end with a dot.
type ParameterInfo struct {
	Name     string
	Writable bool
}

// ParameterAttribute is one line of GetParameterAttributes.
type ParameterAttribute struct {
	Name         string
	Notification int
	AccessList   []string
}

// QueuedTransfer is one line of Get[All]QueuedTransfers; the first form takes
// CommandKey and State only. State: 1 not started, 2 in progress, 3 completed.
type QueuedTransfer struct {
	CommandKey     string
	State          int
	IsDownload     bool
	FileType       string
	FileSize       uint32
	TargetFileName string
}

// Method returns "GetRPCMethodsResponse".
func (GetRPCMethodsResponse) Method() string { return "GetRPCMethodsResponse" }

// Method returns "GetParameterValuesResponse".
func (GetParameterValuesResponse) Method() string { return "GetParameterValuesResponse" }

// Method returns "GetParameterNamesResponse".
func (GetParameterNamesResponse) Method() string { return "GetParameterNamesResponse" }

// Method returns "GetParameterAttributesResponse".
func (GetParameterAttributesResponse) Method() string { return "GetParameterAttributesResponse" }

// Method returns "SetParameterValuesResponse".
func (SetParameterValuesResponse) Method() string { return "SetParameterValuesResponse" }

// Method returns "AddObjectResponse".
func (AddObjectResponse) Method() string { return "AddObjectResponse" }

// Method returns "DeleteObjectResponse".
func (DeleteObjectResponse) Method() string { return "DeleteObjectResponse" }

// Method returns "DownloadResponse".
func (DownloadResponse) Method() string { return "DownloadResponse" }

// Method returns "UploadResponse".
func (UploadResponse) Method() string { return "UploadResponse" }

// Method returns "GetQueuedTransfersResponse".
func (GetQueuedTransfersResponse) Method() string { return "GetQueuedTransfersResponse" }

// Method returns "GetAllQueuedTransfersResponse".
func (GetAllQueuedTransfersResponse) Method() string { return "GetAllQueuedTransfersResponse" }

// Method returns "SetParameterAttributesResponse".
func (SetParameterAttributesResponse) Method() string { return "SetParameterAttributesResponse" }

// Method returns "RebootResponse".
func (RebootResponse) Method() string { return "RebootResponse" }

// Method returns "FactoryResetResponse".
func (FactoryResetResponse) Method() string { return "FactoryResetResponse" }

// Method returns "ScheduleInformResponse".
func (ScheduleInformResponse) Method() string { return "ScheduleInformResponse" }

// Method returns "ScheduleDownloadResponse".
func (ScheduleDownloadResponse) Method() string { return "ScheduleDownloadResponse" }

// Method returns "CancelTransferResponse".
func (CancelTransferResponse) Method() string { return "CancelTransferResponse" }

// Method returns "ChangeDUStateResponse".
func (ChangeDUStateResponse) Method() string { return "ChangeDUStateResponse" }

func (r GetRPCMethodsResponse) write(_ context.Context, w *writer) error {
	w.strings("MethodList", r.MethodList)
	return nil
}

func (r GetParameterValuesResponse) write(ctx context.Context, w *writer) error {
	return w.values(ctx, r.ParameterList)
}

func (r GetParameterNamesResponse) write(ctx context.Context, w *writer) error {
	return spoolList(ctx, w, "ParameterInfoStruct", "", r.ParameterList, func(s *spool, p ParameterInfo) error {
		s.scratch = append(s.scratch[:0], "</Name><Writable>0</Writable>"...)
		if p.Writable {
			s.scratch[len("</Name><Writable>")] = '1'
		}
		return s.add(p.Name, "", s.scratch)
	})
}

func (r GetParameterAttributesResponse) write(ctx context.Context, w *writer) error {
	return spoolList(ctx, w, "ParameterAttributeStruct", "", r.ParameterList, func(s *spool, p ParameterAttribute) error {
		t := writer{b: append(s.scratch[:0], "</Name>"...)}
		t.int("Notification", int64(p.Notification))
		t.strings("AccessList", p.AccessList)
		s.scratch = t.b
		return s.add(p.Name, "", t.b)
	})
}

func (r SetParameterValuesResponse) write(_ context.Context, w *writer) error {
	w.int("Status", int64(r.Status))
	return nil
}

func (r AddObjectResponse) write(_ context.Context, w *writer) error {
	w.int("InstanceNumber", int64(r.InstanceNumber))
	w.int("Status", int64(r.Status))
	return nil
}

func (r DeleteObjectResponse) write(_ context.Context, w *writer) error {
	w.int("Status", int64(r.Status))
	return nil
}

func (r DownloadResponse) write(_ context.Context, w *writer) error {
	w.int("Status", int64(r.Status))
	w.time("StartTime", r.StartTime)
	w.time("CompleteTime", r.CompleteTime)
	return nil
}

func (r UploadResponse) write(ctx context.Context, w *writer) error {
	return DownloadResponse(r).write(ctx, w)
}

func (r GetQueuedTransfersResponse) write(_ context.Context, w *writer) error {
	w.array("TransferList", "cwmp:QueuedTransferStruct", len(r.TransferList))
	for _, t := range r.TransferList {
		w.open("QueuedTransferStruct")
		w.text("CommandKey", t.CommandKey)
		w.int("State", int64(t.State))
		w.close("QueuedTransferStruct")
	}
	w.close("TransferList")
	return nil
}

func (r GetAllQueuedTransfersResponse) write(_ context.Context, w *writer) error {
	w.array("TransferList", "cwmp:AllQueuedTransferStruct", len(r.TransferList))
	for _, t := range r.TransferList {
		w.open("AllQueuedTransferStruct")
		w.text("CommandKey", t.CommandKey)
		w.int("State", int64(t.State))
		w.bool("IsDownload", t.IsDownload)
		w.text("FileType", t.FileType)
		w.int("FileSize", int64(t.FileSize))
		w.text("TargetFileName", t.TargetFileName)
		w.close("AllQueuedTransferStruct")
	}
	w.close("TransferList")
	return nil
}

func (SetParameterAttributesResponse) write(context.Context, *writer) error { return nil }
func (RebootResponse) write(context.Context, *writer) error                 { return nil }
func (FactoryResetResponse) write(context.Context, *writer) error           { return nil }
func (ScheduleInformResponse) write(context.Context, *writer) error         { return nil }
func (ScheduleDownloadResponse) write(context.Context, *writer) error       { return nil }
func (CancelTransferResponse) write(context.Context, *writer) error         { return nil }
func (ChangeDUStateResponse) write(context.Context, *writer) error          { return nil }
