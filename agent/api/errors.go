package api

import (
	"context"
	"errors"
	"io/fs"
	"syscall"

	"gatehouse/agent/core"
	"gatehouse/agent/notify"
	"gatehouse/datamodel"
)

// The names of errors, the same at every door. D-Bus puts
// "org.gatehouse1.Error." before them.
const (
	InvalidName      = "InvalidName"      // nothing is called so
	InvalidType      = "InvalidType"      // the value is of another type
	InvalidValue     = "InvalidValue"     // out of its limits
	InvalidArguments = "InvalidArguments" // the call itself makes no sense
	NotWritable      = "NotWritable"      // this parameter can only be read
	NotPermitted     = "NotPermitted"     // the caller has not the right
	Denied           = "Denied"           // this device does not do that, whoever asks
	Busy             = "Busy"             // try again; or a call from within one's own callback
	Full             = "Full"             // a table, a queue or the disk is
	Unavailable      = "Unavailable"      // a source of information does not answer
	Stopping         = "Stopping"         // the agent is about to end
	Failed           = "Failed"           // anything else; the log has more
)

// A Problem is one thing that was wrong.
type Problem struct {
	Name    string `json:"name"`           // one of the names above
	Path    string `json:"path,omitempty"` // the parameter or object to blame
	Message string `json:"message"`
}

// An Error is why a call was refused. It holds at least one Problem, and all
// that were found.
type Error struct {
	Problems []Problem `json:"problems"`
}

func (e *Error) Error() string {
	text := ""
	for i, p := range e.Problems {
		if i > 0 {
			text += "\n"
		}
		if p.Path != "" {
			text += p.Path + ": "
		}
		text += p.Message
	}
	return text
}

// Refuse makes an error of one problem.
func Refuse(name, path, text string) *Error {
	return &Error{Problems: []Problem{{Name: name, Path: path, Message: text}}}
}

// Name is the name of the first problem.
func (e *Error) Name() string { return e.Problems[0].Name }

// named gives an error of the layers below its name.
func named(err error) error {
	if err == nil {
		return nil
	}
	var ours *Error
	if errors.As(err, &ours) {
		return ours
	}
	var several datamodel.Errors
	if errors.As(err, &several) {
		e := &Error{}
		for _, p := range several {
			e.Problems = append(e.Problems, problem(p))
		}
		return e
	}
	return &Error{Problems: []Problem{problem(err)}}
}

func problem(err error) Problem {
	p := Problem{Name: name(err), Message: err.Error()}
	var blamed *datamodel.ParamError
	if errors.As(err, &blamed) {
		p.Path, p.Message = blamed.Path, blamed.Err.Error()
	}
	return p
}

func name(err error) string {
	var missing *datamodel.Unavailable
	switch {
	case errors.Is(err, datamodel.ErrNoName), errors.Is(err, datamodel.ErrGone):
		return InvalidName
	case errors.Is(err, datamodel.ErrReadOnly):
		return NotWritable
	case errors.Is(err, datamodel.ErrType):
		return InvalidType
	case errors.Is(err, datamodel.ErrArguments), errors.Is(err, core.ErrRange):
		return InvalidArguments
	case errors.Is(err, datamodel.ErrResources), errors.Is(err, core.ErrFull),
		errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		return Full
	case errors.Is(err, datamodel.ErrBusy):
		return Busy
	case errors.Is(err, datamodel.ErrDenied), errors.Is(err, core.ErrUnsupported), errors.Is(err, notify.ErrRejected):
		return Denied
	case errors.Is(err, core.ErrStopped), errors.Is(err, notify.ErrStopped), errors.Is(err, context.Canceled):
		return Stopping
	case errors.As(err, &missing), errors.Is(err, fs.ErrPermission), errors.Is(err, syscall.EROFS),
		errors.Is(err, context.DeadlineExceeded):
		return Unavailable
	case errors.Is(err, datamodel.ErrValue):
		return InvalidValue
	}
	return Failed
}
