package ubus

// Errors: a status, which is what scripts see, and a table, which says all.

import (
	"errors"

	"gatehouse/agent/api"
	"gatehouse/internal/ubus"
)

var statuses = map[string]ubus.Status{
	api.InvalidName:      ubus.NotFound,
	api.InvalidType:      ubus.InvalidArgument,
	api.InvalidValue:     ubus.InvalidArgument,
	api.InvalidArguments: ubus.InvalidArgument,
	api.NotWritable:      ubus.PermissionDenied,
	api.NotPermitted:     ubus.PermissionDenied,
	api.Denied:           ubus.NotSupported,
	api.Busy:             ubus.Timeout,
	api.Full:             ubus.NoMemory,
	api.Unavailable:      ubus.NoData,
	api.Stopping:         ubus.ConnectionFailed,
	api.Failed:           ubus.UnknownError,
}

func named(err error) *api.Error {
	var e *api.Error
	if !errors.As(err, &e) {
		e = api.Refuse(api.Failed, "", err.Error())
	}
	return e
}

func status(err error) ubus.Status {
	if s, ok := statuses[named(err).Name()]; ok {
		return s
	}
	return ubus.UnknownError
}

// maxProblems bounds those that are listed; the rest is counted.
const maxProblems = 256

// problems is the error of a reply.
func problems(err error) ubus.Table {
	e := named(err)
	var list ubus.Array
	for i, p := range e.Problems {
		if i == maxProblems {
			break
		}
		one := ubus.Table{{Name: "name", Value: p.Name}}
		if p.Path != "" {
			one = append(one, ubus.Field{Name: "path", Value: clean(p.Path)})
		}
		list = append(list, append(one, ubus.Field{Name: "message", Value: clean(p.Message)}))
	}
	out := ubus.Table{{Name: "name", Value: e.Name()}, {Name: "problems", Value: list}}
	if n := len(e.Problems) - len(list); n > 0 {
		out = append(out, ubus.Field{Name: "more", Value: n})
	}
	return ubus.Table{{Name: "error", Value: out}}
}
