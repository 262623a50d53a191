package rpc

// This file holds the methods that order transfers (TR-069 A.3.2.8, A.4.1.5,
// A.4.1.7 to A.4.1.9), and the calls that tell how they went (A.3.3.2).

import (
	"context"
	"errors"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"gatehouse/agent/core"
	"gatehouse/agent/transfer"
	"gatehouse/cwmp"
)

// Transfers is what the methods on transfers work with.
type Transfers struct {
	Queue *transfer.Queue
	// Downloads lists the kinds of files that the device can be given. Without
	// any, it knows neither Download nor ScheduleDownload.
	Downloads []transfer.Kind
	// Uploads lists those that it can send.
	Uploads []transfer.Kind
	// Room is how many bytes a file may have now.
	Room func(ctx context.Context, k transfer.Kind) int64
	// LogName finds the log behind an instance of VendorLogFile.
	LogName func(ctx context.Context, instance uint32) (string, error)
	// CheckURL says why a URL is not to be used.
	CheckURL func(url string) error
}

// methods lists what GetRPCMethods tells of them.
func (t *Transfers) methods() (list []string) {
	if t == nil {
		return nil
	}
	if len(t.Downloads) > 0 {
		list = append(list, "Download", "ScheduleDownload")
	}
	return append(list, "Upload", "CancelTransfer", "GetQueuedTransfers", "GetAllQueuedTransfers")
}

// transfer carries out the methods on transfers.
func (m *Methods) transfer(ctx context.Context, req cwmp.Request) (cwmp.Response, error) {
	t := m.Transfers
	if !slices.Contains(t.methods(), req.Method()) {
		return nil, cwmp.Faultf(cwmp.FaultMethodNotSupported, "%s", req.Method())
	}
	switch r := req.(type) {
	case cwmp.Download:
		return cwmp.DownloadResponse{Status: cwmp.StatusCommitted}, t.download(ctx, r)
	case cwmp.ScheduleDownload:
		return cwmp.ScheduleDownloadResponse{}, t.schedule(ctx, r)
	case cwmp.Upload:
		return cwmp.UploadResponse{Status: cwmp.StatusCommitted}, t.upload(ctx, r)
	case cwmp.CancelTransfer:
		return cwmp.CancelTransferResponse{}, transferFault(t.Queue.Cancel(r.CommandKey))
	case cwmp.GetQueuedTransfers:
		return cwmp.GetQueuedTransfersResponse{TransferList: t.list()}, nil
	case cwmp.GetAllQueuedTransfers:
		return cwmp.GetAllQueuedTransfersResponse{TransferList: t.list()}, nil
	}
	return nil, cwmp.Faultf(cwmp.FaultMethodNotSupported, "%s", req.Method())
}

// download: SuccessURL and FailureURL are for the browser of a user who asked
// for the file (A.3.2.8), and nobody does here.
func (t *Transfers) download(ctx context.Context, r cwmp.Download) error {
	return t.add(ctx, transfer.Order{
		Method: transfer.Download, CommandKey: r.CommandKey, FileType: r.FileType, URL: r.URL,
		Username: r.Username, Password: transfer.Secret(r.Password),
		FileSize: r.FileSize, TargetName: r.TargetFileName, Delay: time.Duration(r.DelaySeconds) * time.Second,
	})
}

func (t *Transfers) upload(ctx context.Context, r cwmp.Upload) error {
	return t.add(ctx, transfer.Order{
		Method: transfer.Upload, CommandKey: r.CommandKey, FileType: r.FileType, URL: r.URL,
		Username: r.Username, Password: transfer.Secret(r.Password), Delay: time.Duration(r.DelaySeconds) * time.Second,
	})
}

// schedule: a router is never known to be idle, and has no screen on which
// somebody could confirm (A.4.1.8).
func (t *Transfers) schedule(ctx context.Context, r cwmp.ScheduleDownload) error {
	o := transfer.Order{
		Method: transfer.ScheduleDownload, CommandKey: r.CommandKey, FileType: r.FileType, URL: r.URL,
		Username: r.Username, Password: transfer.Secret(r.Password), FileSize: r.FileSize, TargetName: r.TargetFileName,
	}
	for _, w := range r.TimeWindowList {
		if w.WindowMode != "1 At Any Time" && w.WindowMode != "2 Immediately" {
			return cwmp.Faultf(cwmp.FaultInvalidArguments, "WindowMode %.40q: this device knows \"1 At Any Time\" and \"2 Immediately\"", w.WindowMode)
		}
		o.Windows = append(o.Windows, transfer.Window{
			Start: time.Duration(w.WindowStart) * time.Second, End: time.Duration(w.WindowEnd) * time.Second,
			AnyTime: w.WindowMode == "1 At Any Time", Retries: int(w.MaxRetries),
		})
	}
	return t.add(ctx, o)
}

// add checks an order as far as can be done at once, and queues it.
func (t *Transfers) add(ctx context.Context, o transfer.Order) error {
	if err := checkKey("CommandKey", o.CommandKey); err != nil {
		return err
	}
	if err := t.fileType(ctx, &o); err != nil {
		return err
	}
	if err := t.checkURL(o.URL); err != nil {
		return err
	}
	if o.FileSize > 0 && t.Room != nil {
		if room := t.Room(ctx, o.Kind); int64(o.FileSize) > room {
			return cwmp.Faultf(cwmp.FaultResourcesExceeded, "a file of %d bytes; there is room for %d", o.FileSize, max(room, 0))
		}
	}
	return transferFault(t.Queue.Add(o))
}

// Types of files. Those of Upload that end in a number name an instance.
var (
	downloads = map[string]transfer.Kind{
		"1 Firmware Upgrade Image": transfer.Firmware, "3 Vendor Configuration File": transfer.Config,
	}
	uploads = map[string]transfer.Kind{
		"1 Vendor Configuration File": transfer.Config, "2 Vendor Log File": transfer.Log,
		"3 Vendor Configuration File": transfer.Config, "4 Vendor Log File": transfer.Log,
	}
)

// fileType finds out what the file is. What this device cannot take or send is
// an invalid argument, whichever type it is.
func (t *Transfers) fileType(ctx context.Context, o *transfer.Order) error {
	known, able, name := downloads, t.Downloads, o.FileType
	if o.Method == transfer.Upload {
		known, able = uploads, t.Uploads
		if strings.HasPrefix(name, "3 ") || strings.HasPrefix(name, "4 ") {
			var err error
			if name, o.Instance, err = instanceOf(name); err != nil {
				return err
			}
		}
	}
	o.Kind = known[name]
	if !slices.Contains(able, o.Kind) {
		var list []string
		for name, k := range known {
			if slices.Contains(able, k) {
				list = append(list, strconv.Quote(name))
			}
		}
		slices.Sort(list)
		return cwmp.Faultf(cwmp.FaultInvalidArguments, "FileType %.64q; this device knows %s", o.FileType, strings.Join(list, ", "))
	}
	switch {
	case o.Kind == transfer.Config && o.Instance > 1:
		return cwmp.Faultf(cwmp.FaultInvalidArguments, "FileType %.64q: there is one VendorConfigFile", o.FileType)
	case o.Kind == transfer.Log && o.Instance > 0:
		if _, err := t.LogName(ctx, o.Instance); err != nil {
			return cwmp.Faultf(cwmp.FaultInvalidArguments, "FileType %.64q: there is no such VendorLogFile", o.FileType)
		}
	}
	return nil
}

// instanceOf takes the number off a type like "4 Vendor Log File 2".
func instanceOf(name string) (string, uint32, error) {
	i := strings.LastIndexByte(name, ' ')
	n, err := strconv.ParseUint(name[i+1:], 10, 32)
	if err != nil || n == 0 {
		return "", 0, cwmp.Faultf(cwmp.FaultInvalidArguments, "FileType %.64q: the number of an instance is missing", name)
	}
	return name[:i], uint32(n), nil
}

func (t *Transfers) checkURL(s string) error {
	u, err := url.Parse(s)
	switch {
	case err != nil:
		return cwmp.Faultf(cwmp.FaultInvalidArguments, "URL is not one")
	case u.Scheme != "http" && u.Scheme != "https":
		return cwmp.Faultf(cwmp.FaultTransferProtocol, "%.20q; this device knows http and https", u.Scheme)
	case u.Hostname() == "":
		return cwmp.Faultf(cwmp.FaultInvalidArguments, "URL has no host")
	case u.User != nil:
		return cwmp.Faultf(cwmp.FaultInvalidArguments, "URL holds credentials; Username and Password are for them")
	}
	if err := t.CheckURL(s); err != nil {
		return cwmp.Faultf(cwmp.FaultRequestDenied, "URL %s", err)
	}
	return nil
}

// transferFault is the fault of a queue that refuses.
func transferFault(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, transfer.ErrFull):
		return cwmp.Faultf(cwmp.FaultResourcesExceeded, "%s", err)
	case errors.Is(err, transfer.ErrBegun):
		return cwmp.Faultf(cwmp.FaultCancelNotPermitted, "%s", err)
	case errors.Is(err, transfer.ErrWindows):
		return cwmp.Faultf(cwmp.FaultInvalidArguments, "TimeWindowList: %s", err)
	}
	return err
}

// list is the queue as A.4.1.7 has it.
func (t *Transfers) list() []cwmp.QueuedTransfer {
	var out []cwmp.QueuedTransfer
	for _, x := range t.Queue.List() {
		q := cwmp.QueuedTransfer{
			CommandKey: x.CommandKey, State: 2, IsDownload: x.Method != transfer.Upload,
			FileType: x.FileType, FileSize: x.FileSize, TargetFileName: x.TargetName,
		}
		switch x.State {
		case transfer.Waiting:
			q.State = 1
		case transfer.Done:
			q.State = 3
		}
		out = append(out, q)
	}
	return out
}

// Owed lists the events of the results that the ACS has not acknowledged.
func (t *Transfers) Owed() (owed []core.Event) {
	for _, x := range t.Queue.Results() {
		owed = append(owed, core.Event{Code: core.TransferComplete}, EventOf(x))
	}
	return owed
}

// EventOf is the event that a TransferComplete goes with.
func EventOf(t transfer.Transfer) core.Event {
	return core.Event{Code: "M " + string(t.Method), CommandKey: t.CommandKey}
}

// A Delivery is the TransferCompletes of one session.
type Delivery struct {
	queue   *transfer.Queue
	core    Core
	left    []transfer.Transfer // not yet called
	asked   transfer.Transfer   // under way
	refused []transfer.Transfer // their events are not delivered
}

// Deliver begins a session with these events. It returns them without those
// whose call nobody knows, and has core forget them, too. With 0 BOOTSTRAP
// another ACS begins: nothing that the last one ordered is told to it.
func (t *Transfers) Deliver(ctx context.Context, c Core, events []core.Event) (*Delivery, []core.Event) {
	if slices.ContainsFunc(events, func(e core.Event) bool { return e.Code == core.Bootstrap }) {
		t.Queue.Forget()
	}
	d := &Delivery{queue: t.Queue, core: c}
	for _, x := range t.Queue.Results() {
		if slices.Contains(events, EventOf(x)) {
			d.left = append(d.left, x)
		}
	}
	var orphans []core.Event
	events = slices.DeleteFunc(slices.Clone(events), func(e core.Event) bool {
		orphan := isTransfer(e) && !d.has(e)
		if orphan {
			orphans = append(orphans, e)
		}
		return orphan
	})
	if orphans != nil {
		_ = c.Post(ctx, core.Delivered{Events: orphans}) // fails only when core ends
	}
	return d, events
}

func isTransfer(e core.Event) bool {
	switch e.Code {
	case core.TransferComplete, core.MDownload, core.MUpload, core.MScheduleDownload:
		return true
	}
	return false
}

func (d *Delivery) has(e core.Event) bool {
	is := func(x transfer.Transfer) bool { return e.Code == core.TransferComplete || EventOf(x) == e }
	return slices.ContainsFunc(d.left, is) || slices.ContainsFunc(d.refused, is)
}

// Next is [cwmp.Session.Calls].
func (d *Delivery) Next() (cwmp.Call, bool) {
	if len(d.left) == 0 {
		return nil, false
	}
	d.asked, d.left = d.left[0], d.left[1:]
	return cwmp.TransferComplete{
		CommandKey: d.asked.CommandKey, Fault: resultFault(d.asked),
		StartTime: d.asked.Started, CompleteTime: d.asked.Completed,
	}, true
}

// Answered is [cwmp.Session.Answered]. What the ACS refuses is not delivered:
// it stays, and the retry policy says when it is told again (TR-069 3.7.1.5:
// never discard).
func (d *Delivery) Answered(ctx context.Context, err error) {
	if err != nil {
		d.refused = append(d.refused, d.asked)
		return
	}
	d.queue.Acknowledge(d.asked.ID)
	event := EventOf(d.asked)
	var events []core.Event
	if !d.has(event) {
		events = append(events, event)
	}
	if len(d.left) == 0 && d.refused == nil {
		events = append(events, core.Event{Code: core.TransferComplete})
	}
	if events != nil {
		_ = d.core.Post(ctx, core.Delivered{Events: events}) // fails only when core ends
	}
}

// resultFault is the FaultStruct of a result; nil for success.
func resultFault(t transfer.Transfer) *cwmp.Fault {
	code := cwmp.FaultTransfer
	if t.Method == transfer.Upload {
		code = cwmp.FaultUpload
	}
	switch t.Failure {
	case transfer.NoFailure:
		return nil
	case transfer.Internal:
		code = cwmp.FaultInternalError
	case transfer.Auth:
		code = cwmp.FaultTransferAuth
	case transfer.Contact:
		code = cwmp.FaultFileServer
	case transfer.Access:
		code = cwmp.FaultFileAccess
	case transfer.Incomplete:
		code = cwmp.FaultDownloadIncomplete
	case transfer.Corrupted:
		code = cwmp.FaultFileCorrupted
	case transfer.Unsigned:
		code = cwmp.FaultFileAuthentication
	case transfer.Missed:
		code = cwmp.FaultTimeWindows
	}
	if t.Method == transfer.Upload && (code == cwmp.FaultDownloadIncomplete || code == cwmp.FaultFileAccess) {
		code = cwmp.FaultUpload
	}
	return cwmp.Faultf(code, "%s", t.Text)
}
