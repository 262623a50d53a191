package app

import (
	"context"
	"iter"
	"slices"
	"strings"
	"time"

	"gatehouse/agent/core"
	"gatehouse/cwmp"
	"gatehouse/datamodel"
	"gatehouse/datamodel/tr181"
)

// inform is what a session opens with: who we are, what happened, the forced
// parameters, those that the ACS has asked for by InformParameter, and those
// whose change it is to be told.
//
// Whenever there are changes, whatever the session is for, 4 VALUE CHANGE says
// so (TR-069 3.7.1.5). Core knows of the active ones only; a passive one is
// found, and found again until it is delivered, while an Inform is made.
func (a *Agent) inform(ctx context.Context, o core.Order, changed []datamodel.Item) cwmp.Inform {
	events := o.Events
	if has := func(e core.Event) bool { return e.Code == core.ValueChanged }; len(changed) > 0 && len(events) < cwmp.MaxEvents && !slices.ContainsFunc(events, has) {
		events = append(slices.Clone(events), core.Event{Code: core.ValueChanged})
	}
	in := cwmp.Inform{
		DeviceID: cwmp.DeviceID{
			Manufacturer: a.id.Manufacturer, OUI: a.id.OUI,
			ProductClass: a.id.ProductClass, SerialNumber: a.id.SerialNumber,
		},
		CurrentTime: a.currentTime(ctx),
		RetryCount:  o.RetryCount,
	}
	for _, e := range events {
		in.Events = append(in.Events, cwmp.Event{EventCode: e.Code, CommandKey: e.CommandKey})
	}
	in.Parameters = func(ctx context.Context) iter.Seq2[cwmp.ParameterValue, error] {
		return a.informParameters(a.tree.WithMemo(ctx), events, changed)
	}
	return in
}

// currentTime is the wall clock with the offset of the local zone at that time
// (TR-069 A.3.3.1), or, while the clock was never set, the time since boot, which
// TR-106 3.2.2 puts into the year 1.
func (a *Agent) currentTime(ctx context.Context) time.Time {
	now, known := a.wall.Now()
	if known {
		if clock := a.cfg.Platform.Clock; clock != nil {
			if s, err := clock.Time(ctx); err == nil {
				now = now.In(tr181.Zone(s))
			}
		}
		return now
	}
	var up time.Duration
	if sys := a.cfg.Platform.System; sys != nil {
		up, _ = sys.Uptime(ctx)
	}
	return time.Time{}.Add(up)
}

// informParameters yields each parameter once, in that order.
func (a *Agent) informParameters(ctx context.Context, events []core.Event, changed []datamodel.Item) iter.Seq2[cwmp.ParameterValue, error] {
	return func(yield func(cwmp.ParameterValue, error) bool) {
		seen := map[string]bool{}
		add := func(it datamodel.Item) bool {
			if seen[it.Name] {
				return true
			}
			seen[it.Name] = true
			return yield(cwmp.ParameterValue{Name: it.Name, Value: it.Value, Type: it.Type.XSD()}, nil)
		}
		for it, err := range a.tree.Inform(ctx) {
			if err != nil {
				yield(cwmp.ParameterValue{}, err)
				return
			}
			if !add(it) {
				return
			}
		}
		for _, path := range a.wanted(ctx, events) {
			for it, err := range a.tree.Values(ctx, path) {
				if err != nil {
					a.log.Warn("InformParameter cannot be read", "path", path, "err", err)
					break
				}
				if !add(it) {
					return
				}
			}
		}
		for _, c := range changed {
			if !add(c) {
				return
			}
		}
		if err := a.tree.Sync(); err != nil {
			// A disk that cannot be written must not silence the agent.
			a.log.Warn("the instance numbers in this Inform may not survive a restart", "err", err)
		}
	}
}

const informParameterTable = "Device.ManagementServer.InformParameter."

// wanted lists the paths which ManagementServer.InformParameter adds to the
// Inform for these events: an empty EventList is every event but a
// 4 VALUE CHANGE alone (TR-181).
func (a *Agent) wanted(ctx context.Context, events []core.Event) (paths []string) {
	type row struct {
		enable     bool
		name, list string
	}
	rows := map[string]*row{}
	for it, err := range a.tree.Values(ctx, informParameterTable) {
		if err != nil {
			return nil // there is no such table here
		}
		instance, field, ok := strings.Cut(strings.TrimPrefix(it.Name, informParameterTable), ".")
		if !ok {
			continue
		}
		r := rows[instance]
		if r == nil {
			r = &row{}
			rows[instance] = r
		}
		switch field {
		case "Enable":
			r.enable = it.Value == "true" || it.Value == "1"
		case "ParameterName":
			r.name = it.Value
		case "EventList":
			r.list = it.Value
		}
	}
	for _, r := range rows {
		if r.enable && r.name != "" && matchesEvents(r.list, events) {
			paths = append(paths, r.name)
		}
	}
	slices.Sort(paths)
	return paths
}

func matchesEvents(list string, events []core.Event) bool {
	for _, e := range events {
		switch {
		case list == "" && e.Code != core.ValueChanged:
			return true
		case list == "":
		default:
			for item := range strings.SplitSeq(list, ",") {
				if strings.TrimSpace(item) == e.Code {
					return true
				}
			}
		}
	}
	return false
}
