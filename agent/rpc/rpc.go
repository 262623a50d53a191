// Package rpc carries out the methods of an ACS on the data model. It is the
// one place where errors become fault codes (fault.go).
package rpc

import (
	"context"
	"iter"
	"log/slog"
	"slices"
	"time"
	"unicode/utf8"

	"gatehouse/agent/core"
	"gatehouse/agent/notify"
	"gatehouse/cwmp"
	"gatehouse/datamodel"
)

// Attributes keeps the notification attributes of parameters.
type Attributes interface {
	Attributes(ctx context.Context, paths []string) iter.Seq2[notify.Attribute, error]
	SetAttributes(ctx context.Context, changes []notify.Change) error
	// Told says that the ACS knows the present values below these paths: it
	// wrote them itself.
	Told(ctx context.Context, paths ...string) error
}

// Core is asked for what happens after the session.
type Core interface {
	Ask(ctx context.Context, m core.Message) error
	Post(ctx context.Context, m core.Message) error
}

// Addressing is how the ACS wants instances named (TR-069 3.6.1).
type Addressing struct {
	Aliases    bool // InstanceMode is InstanceAlias
	AutoCreate bool // SetParameterValues makes the rows of unknown aliases
}

// Config is what New needs; every field must be given that is not said to be optional.
type Config struct {
	Tree         *datamodel.Tree
	Attributes   Attributes
	Core         Core
	ParameterKey func(tx *datamodel.Tx, key string) error // stages it in the transaction
	Addressing   func() Addressing
	Written      func(ctx context.Context, paths []string) // hint: these have changed; may be nil
	Transfers    *Transfers                                // nil: none
	Log          *slog.Logger
}

// Methods answers the requests of one ACS.
type Methods struct {
	Config
}

// New returns what answers by c.
func New(c Config) *Methods { return &Methods{Config: c} }

// maxKey is the length of a ParameterKey and of a CommandKey in characters
// (TR-069 A.3.2.1, A.3.2.9).
const maxKey = 32

// supported is what GetRPCMethods tells (TR-069 A.3.1.1), besides the methods
// on transfers; exactly what Handle knows.
var supported = []string{
	"GetRPCMethods",
	"SetParameterValues",
	"GetParameterValues",
	"GetParameterNames",
	"SetParameterAttributes",
	"GetParameterAttributes",
	"AddObject",
	"DeleteObject",
	"Reboot",
	"FactoryReset",
	"ScheduleInform",
}

// Handle implements [cwmp.Handler]. Every error it returns is a *cwmp.Fault.
func (m *Methods) Handle(ctx context.Context, req cwmp.Request) (cwmp.Response, error) {
	resp, err := m.handle(m.Tree.WithMemo(ctx), req)
	if err != nil {
		f := fault(err)
		m.Log.Warn("refused", "method", req.Method(), "fault", f.Code, "err", err)
		return nil, f
	}
	return resp, nil
}

func (m *Methods) handle(ctx context.Context, req cwmp.Request) (cwmp.Response, error) {
	switch r := req.(type) {
	case cwmp.GetRPCMethods:
		return cwmp.GetRPCMethodsResponse{MethodList: slices.Concat(supported, m.Transfers.methods())}, nil
	case cwmp.GetParameterValues:
		return cwmp.GetParameterValuesResponse{ParameterList: m.values(ctx, r.ParameterNames)}, nil
	case cwmp.GetParameterNames:
		return cwmp.GetParameterNamesResponse{ParameterList: m.names(ctx, r)}, nil
	case cwmp.SetParameterValues:
		return m.setValues(ctx, r)
	case cwmp.GetParameterAttributes:
		return cwmp.GetParameterAttributesResponse{ParameterList: m.attributes(ctx, r)}, nil
	case cwmp.SetParameterAttributes:
		return m.setAttributes(ctx, r)
	case cwmp.AddObject:
		return m.addObject(ctx, r)
	case cwmp.DeleteObject:
		return m.deleteObject(ctx, r)
	case cwmp.Reboot:
		if err := checkKey("CommandKey", r.CommandKey); err != nil {
			return nil, err
		}
		return cwmp.RebootResponse{}, m.Core.Ask(ctx, core.Reboot{CommandKey: r.CommandKey})
	case cwmp.FactoryReset:
		return cwmp.FactoryResetResponse{}, m.Core.Ask(ctx, core.FactoryReset{})
	case cwmp.ScheduleInform:
		return m.scheduleInform(ctx, r)
	}
	return m.transfer(ctx, req)
}

// setAttributes is all or nothing, in the order of the list (TR-069 A.3.2.4).
func (m *Methods) setAttributes(ctx context.Context, r cwmp.SetParameterAttributes) (cwmp.Response, error) {
	changes := make([]notify.Change, len(r.ParameterList))
	for i, a := range r.ParameterList {
		changes[i] = notify.Change(a)
	}
	// Attributes go by instance numbers: those must not be lost before them.
	if err := m.Tree.Sync(); err != nil {
		return nil, err
	}
	if err := m.Attributes.SetAttributes(ctx, changes); err != nil {
		return nil, err
	}
	m.sync()
	return cwmp.SetParameterAttributesResponse{}, nil
}

// scheduleInform: a delay of 0 is no delay (TR-069 A.4.1.3).
func (m *Methods) scheduleInform(ctx context.Context, r cwmp.ScheduleInform) (cwmp.Response, error) {
	if r.DelaySeconds == 0 {
		return nil, cwmp.Faultf(cwmp.FaultInvalidArguments, "DelaySeconds must be greater than 0")
	}
	if err := checkKey("CommandKey", r.CommandKey); err != nil {
		return nil, err
	}
	delay := time.Duration(r.DelaySeconds) * time.Second
	return cwmp.ScheduleInformResponse{}, m.Core.Ask(ctx, core.ScheduleInform{Delay: delay, CommandKey: r.CommandKey})
}

func checkKey(name, key string) error {
	if n := utf8.RuneCountInString(key); n > maxKey {
		return cwmp.Faultf(cwmp.FaultInvalidArguments, "%s has %d characters, at most %d are allowed", name, n, maxKey)
	}
	return nil
}
