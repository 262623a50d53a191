package rpc

import (
	"context"
	"errors"
	"io/fs"
	"strings"
	"syscall"

	"gatehouse/agent/core"
	"gatehouse/agent/notify"
	"gatehouse/cwmp"
	"gatehouse/datamodel"
)

// fault is the one place where an error becomes a fault code (TR-069 A.5.1).
// What an ACS can mend is told in full; of anything else it learns 9002 and
// the operator's log the rest.
func fault(err error) *cwmp.Fault {
	if err == nil {
		return nil
	}
	var f *cwmp.Fault
	if errors.As(err, &f) {
		return f
	}
	code := code(err)
	text := err.Error()
	if code == cwmp.FaultInternalError && !tellable(err) {
		text = "see the log of the device"
	}
	return cwmp.Faultf(code, "%s", text)
}

// code finds the fault code for one error.
func code(err error) int {
	switch {
	case errors.Is(err, datamodel.ErrNoName), errors.Is(err, datamodel.ErrGone):
		return cwmp.FaultInvalidName
	case errors.Is(err, notify.ErrRejected):
		return cwmp.FaultNotificationRejected
	case errors.Is(err, datamodel.ErrReadOnly):
		return cwmp.FaultNotWritable
	case errors.Is(err, datamodel.ErrType):
		return cwmp.FaultInvalidType
	case errors.Is(err, datamodel.ErrArguments), errors.Is(err, core.ErrRange):
		return cwmp.FaultInvalidArguments
	case errors.Is(err, datamodel.ErrResources), errors.Is(err, core.ErrFull),
		errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		return cwmp.FaultResourcesExceeded
	case errors.Is(err, datamodel.ErrDenied), errors.Is(err, datamodel.ErrBusy),
		errors.Is(err, core.ErrStopped), errors.Is(err, notify.ErrStopped), errors.Is(err, core.ErrUnsupported):
		return cwmp.FaultRequestDenied
	case errors.Is(err, datamodel.ErrValue):
		return cwmp.FaultInvalidValue
	}
	return cwmp.FaultInternalError
}

// tellable reports whether the text of an internal error helps who reads it
// at the ACS and gives nothing away: which source of information is missing,
// or that the disk cannot be written.
func tellable(err error) bool {
	var missing *datamodel.Unavailable
	return errors.As(err, &missing) || errors.Is(err, fs.ErrPermission) || errors.Is(err, syscall.EROFS) || errors.Is(err, syscall.EIO) ||
		errors.Is(err, context.DeadlineExceeded)
}

// setFault is fault for SetParameterValues: 9003 with an entry for every bad
// parameter (TR-069 A.3.2.1). A lack of resources is not the fault of a
// parameter: 9004 never stands in the list, and neither does what is to be
// blamed on an object as a whole.
func setFault(err error) *cwmp.Fault {
	f := &cwmp.Fault{Code: cwmp.FaultInvalidArguments}
	for _, e := range blamed(err) {
		c := code(e.Err)
		switch {
		case c == cwmp.FaultResourcesExceeded:
			return cwmp.Faultf(c, "%s", e)
		case e.Path == "" || strings.HasSuffix(e.Path, ".") && c != cwmp.FaultInvalidName:
			continue
		}
		text := cwmp.FaultText(c)
		if c != cwmp.FaultInternalError || tellable(e.Err) {
			text = e.Err.Error()
		}
		f.Parameters = append(f.Parameters, cwmp.ParameterFault{Name: e.Path, Code: c, Message: text})
	}
	if len(f.Parameters) == 0 {
		return fault(err)
	}
	return f
}

// blamed returns what in err is laid on single parameters.
func blamed(err error) datamodel.Errors {
	var errs datamodel.Errors
	if errors.As(err, &errs) {
		return errs
	}
	var one *datamodel.ParamError
	if errors.As(err, &one) {
		return datamodel.Errors{one}
	}
	return nil
}
