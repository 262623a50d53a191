// Package transfer keeps the queue of file transfers that an ACS orders
// (Download, Upload, ScheduleDownload of TR-069) and carries them out, one at a
// time, between sessions.
//
// A [Queue] is what survives: an order is on disk before it is answered, its
// result before it is told, and it leaves when the ACS has acknowledged that.
// A [Runner] is the task that carries out what the queue says is due. Neither
// knows SOAP or a fault code: a result is a [Failure], and agent/rpc gives it
// its number.
package transfer

import (
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"time"
)

// Limits of the queue.
const (
	// maxQueue is how many transfers are kept, those included whose result the
	// ACS has not acknowledged: the list of GetAllQueuedTransfers has room for
	// 16 (TR-069 A.4.1.7).
	maxQueue = 16
	// maxBegun is how often a transfer is begun that a crash or a power cut has
	// interrupted: a file that brings the device down must not do so for ever.
	maxBegun = 3
	// maxWindowTries is how often one window of ScheduleDownload is used when
	// the ACS leaves that to us (MaxRetries -1).
	maxWindowTries = 4
)

// A Kind is what a file holds.
type Kind uint8

// Kinds of files.
const (
	Firmware Kind = iota + 1
	Config
	Log
)

// A Method is what ordered a transfer.
type Method string

// Methods, as they are called in TR-069.
const (
	Download         Method = "Download"
	Upload           Method = "Upload"
	ScheduleDownload Method = "ScheduleDownload"
)

// A Secret is a password: it prints as *** whatever the verb.
type Secret string

// String hides the text.
func (s Secret) String() string {
	if s == "" {
		return ""
	}
	return "***"
}

// Format hides the text from every verb of fmt.
func (s Secret) Format(f fmt.State, _ rune) { fmt.Fprint(f, s.String()) }

// LogValue hides the text from slog.
func (s Secret) LogValue() slog.Value { return slog.StringValue(s.String()) }

// WithoutSecrets is a URL for a log: without what may be a secret in it, a user
// and a query. It is "?" for what is no URL.
func WithoutSecrets(text string) string {
	u, err := url.Parse(text)
	if err != nil {
		return "?"
	}
	u.User, u.Fragment, u.RawFragment = nil, "", ""
	if u.RawQuery != "" {
		u.RawQuery = "…"
	}
	return u.String()
}

// An Order is one transfer as the ACS wants it.
type Order struct {
	Method     Method
	CommandKey string
	Kind       Kind
	FileType   string // as the ACS spelled it
	Instance   uint32 // of the log or configuration file to upload; 0: not said
	URL        string
	Username   string // "": the file server wants nobody's name
	Password   Secret
	FileSize   uint32 // bytes, a hint; 0: not known
	TargetName string // told again, and never used as a path
	Delay      time.Duration
	Windows    []Window // of a ScheduleDownload: one or two, in order
}

// A Window is a span of time in which a download may be done.
type Window struct {
	Start, End time.Duration // from the receipt of the order
	AnyTime    bool          // at any time in it; else at its start
	Retries    int           // after a failure; negative: as we like
}

// A State is how far a transfer has come.
type State uint8

// States.
const (
	Waiting  State = iota + 1 // until it is due
	Running                   // the file is on its way
	Applying                  // an image is being written; only a later start knows how that went
	Done                      // the ACS has not acknowledged the result yet
)

var stateNames = [...]string{Waiting: "waiting", Running: "running", Applying: "applying", Done: "done"}

// A Failure says why a transfer failed, in the terms of TR-069's fault codes.
type Failure uint8

// Failures.
const (
	NoFailure  Failure = iota
	Internal           // the device could not do what it should
	Failed             // none of the others
	Auth               // the file server does not accept us
	Contact            // it cannot be reached
	Access             // it does not give, or take, the file
	Incomplete         // the file did not arrive whole
	Corrupted          // the file is not what it should be
	Unsigned           // nor signed by whom we trust
	Missed             // not done within the windows
)

var failureNames = [...]string{
	NoFailure: "success", Internal: "internal", Failed: "failed", Auth: "auth", Contact: "contact", Access: "access",
	Incomplete: "incomplete", Corrupted: "corrupted", Unsigned: "unsigned", Missed: "missed",
}

// String is the name of the failure.
func (f Failure) String() string { return failureNames[f] }

// A Transfer is an order on its way, or its result.
type Transfer struct {
	Order
	ID    uint32 // of this queue, never 0
	State State
	Asked time.Time // by the wall clock; zero while it is not set

	Begun  int // how often it was begun, in this window where it has windows
	Window int // which of them is, or comes, next

	// The result. Zero times are not known: the clock was not set.
	Started, Completed time.Time
	Failure            Failure
	Text               string // one sentence; "" for success

	// While an image is being applied: under which boot and version, and what
	// the image says that its version is.
	Boot, Version, Image string

	base time.Time // Asked by the monotonic clock
	due  time.Time // of a Waiting one, by the monotonic clock
}

// A Fault is a failure with its cause.
type Fault struct {
	Failure Failure
	Err     error
}

// Error is the text of the cause.
func (f *Fault) Error() string { return f.Err.Error() }

// Unwrap returns the cause.
func (f *Fault) Unwrap() error { return f.Err }

func failed(f Failure, format string, args ...any) error {
	return &Fault{f, fmt.Errorf(format, args...)}
}

// failureOf is what an error stands for.
func failureOf(err error) Failure {
	var f *Fault
	switch {
	case err == nil:
		return NoFailure
	case errors.As(err, &f):
		return f.Failure
	}
	return Failed
}

// Errors of a Queue.
var (
	ErrFull    = errors.New("the queue of transfers is full")
	ErrBegun   = errors.New("the transfer has begun")
	ErrWindows = errors.New("a window is empty, over, or overlaps another")
)
