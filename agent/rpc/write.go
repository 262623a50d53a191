package rpc

import (
	"context"
	"errors"
	"strings"

	"gatehouse/agent/core"
	"gatehouse/cwmp"
	"gatehouse/datamodel"
)

// setValues sets all parameters or none (TR-069 A.3.2.1). ParameterKey is part
// of the same transaction: it is never newer or older than the values.
func (m *Methods) setValues(ctx context.Context, r cwmp.SetParameterValues) (cwmp.Response, error) {
	if err := checkKey("ParameterKey", r.ParameterKey); err != nil {
		return nil, err
	}
	as := make([]datamodel.Assignment, len(r.ParameterList))
	paths := make([]string, len(r.ParameterList))
	for i, p := range r.ParameterList {
		as[i] = datamodel.Assignment{Path: p.Name, Value: p.Value, Type: p.Type}
		paths[i] = p.Name
	}
	paths = m.numbered(ctx, paths) // before: an alias may be what is set; after: it may make a row
	status, err := m.write(ctx, r.ParameterKey, func(tx *datamodel.Tx) error {
		tx.AutoCreate = m.Addressing().AutoCreate
		return tx.Set(ctx, as...)
	}, func() []string { return m.numbered(ctx, paths) })
	if err != nil {
		return nil, setFault(err)
	}
	return cwmp.SetParameterValuesResponse{Status: status}, nil
}

// addObject makes a row (TR-069 A.3.2.6). Its number is on disk before it is
// told.
func (m *Methods) addObject(ctx context.Context, r cwmp.AddObject) (cwmp.Response, error) {
	if err := checkObject(r.ObjectName, r.ParameterKey); err != nil {
		return nil, err
	}
	var added datamodel.Added
	status, err := m.write(ctx, r.ParameterKey, func(tx *datamodel.Tx) (err error) {
		added, err = tx.Add(ctx, r.ObjectName)
		return err
	}, func() []string { return []string{added.Path} })
	if err != nil {
		return nil, objectFault(err)
	}
	return cwmp.AddObjectResponse{InstanceNumber: added.Number, Status: status}, nil
}

// deleteObject removes a row and all that is below it (TR-069 A.3.2.7).
func (m *Methods) deleteObject(ctx context.Context, r cwmp.DeleteObject) (cwmp.Response, error) {
	if err := checkObject(r.ObjectName, r.ParameterKey); err != nil {
		return nil, err
	}
	if !instance(r.ObjectName) {
		return nil, cwmp.Faultf(cwmp.FaultInvalidName, "%.80s: an instance is named by its number or [alias]", r.ObjectName)
	}
	gone := m.numbered(ctx, []string{r.ObjectName}) // it has no number afterwards
	status, err := m.write(ctx, r.ParameterKey, func(tx *datamodel.Tx) error {
		return tx.Delete(ctx, r.ObjectName)
	}, func() []string { return gone })
	if err != nil {
		return nil, objectFault(err)
	}
	return cwmp.DeleteObjectResponse{Status: status}, nil
}

func checkObject(name, key string) error {
	if !strings.HasSuffix(name, ".") {
		return cwmp.Faultf(cwmp.FaultInvalidName, "%.80s: the path of an object ends in a dot", name)
	}
	return checkKey("ParameterKey", key)
}

// instance reports whether path, which ends in a dot, names one instance.
func instance(path string) bool {
	path = strings.TrimSuffix(path, ".")
	last := path[strings.LastIndexByte(path, '.')+1:]
	return strings.HasSuffix(last, "]") || last != "" && last[0] >= '0' && last[0] <= '9'
}

// objectFault is fault for AddObject and DeleteObject, which know no fault
// about a value or its type: such a refusal is 9001.
func objectFault(err error) *cwmp.Fault {
	f := fault(err)
	switch f.Code {
	case cwmp.FaultNotWritable, cwmp.FaultInvalidType, cwmp.FaultInvalidValue:
		return cwmp.Faultf(cwmp.FaultRequestDenied, "%s", err)
	}
	return f
}

// parameterKey is what every method that writes sets besides (TR-181
// ManagementServer.ParameterKey): no news to an ACS that watches it.
const parameterKey = "Device.ManagementServer.ParameterKey"

// write runs one transaction and stages the key with it. changed says, after
// the commit, which paths the ACS now knows.
func (m *Methods) write(ctx context.Context, key string, edit func(*datamodel.Tx) error, changed func() []string) (status int, err error) {
	tx, err := m.Tree.Begin(ctx)
	if err != nil {
		return 0, err
	}
	defer tx.Abort()
	if err := edit(tx); err != nil {
		return 0, err
	}
	if err := m.ParameterKey(tx, key); err != nil {
		return 0, err
	}
	result, err := tx.Commit(ctx)
	if err != nil {
		return 0, err
	}
	m.after(context.WithoutCancel(ctx), result, append(changed(), parameterKey))
	if result.Deferred {
		return cwmp.StatusCommitted, nil
	}
	return cwmp.StatusApplied, nil
}

// after does what follows a commit. It is done by now, so nothing of this can
// refuse it.
func (m *Methods) after(ctx context.Context, result datamodel.Result, paths []string) {
	if len(result.After) > 0 {
		if err := m.Core.Post(ctx, core.After{}); err != nil && !errors.Is(err, core.ErrStopped) {
			m.Log.Error("work for after the session is lost", "err", err)
		}
	}
	if m.Written != nil {
		m.Written(ctx, paths)
	}
	if err := m.Attributes.Told(ctx, paths...); err != nil {
		m.Log.Warn("the ACS may be told again of what it wrote itself", "err", err)
	}
}
