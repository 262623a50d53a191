package ubus

// The object tr069, as scripts know it from icwmpd: its answers have a status
// and an info, and its times are texts.

import (
	"time"

	"gatehouse/agent/api"
	"gatehouse/agent/core"
	"gatehouse/internal/ubus"
)

func (d *door) legacy() []method {
	return []method{
		{"command", []ubus.Arg{{Name: "command", Type: ubus.TypeString}}, d.command},
		{"status", nil, d.oldStatus},
		{"inform", []ubus.Arg{{Name: "GetRPCMethods", Type: ubus.TypeBool}, {Name: "event", Type: ubus.TypeString}}, d.oldInform},
	}
}

func info(status int, text string) ubus.Table {
	return ubus.Table{{Name: "status", Value: status}, {Name: "info", Value: text}}
}

// outcome is what a script reads of an order to icwmpd: of one that failed, too.
func outcome(status int, text string, err error) (ubus.Table, error) {
	if err != nil {
		return info(-1, clean(err.Error())), err
	}
	return info(status, text), nil
}

func (d *door) command(c *call) (ubus.Table, error) {
	switch name := arg[string](c, "command"); name {
	case "":
		return ubus.Table{{Name: "SupportedCommands", Value: ubus.Array{ubus.Table{
			{Name: "command", Value: "reload"}, {Name: "description", Value: "Read the configuration anew"}}}}}, nil
	case "reload":
		_, err := d.cfg.API.ReloadConfig(c.ctx, c.who)
		return outcome(0, "configuration reloaded", err)
	default:
		return outcome(0, "", refuse(api.Denied, "%q is not supported", clean(name)))
	}
}

// oldInform asks for a session. The events of the standard are the agent's own
// to report: of them only those can be asked for that say no more than that
// there is to be a session.
func (d *door) oldInform(c *call) (ubus.Table, error) {
	if arg[bool](c, "GetRPCMethods") {
		return outcome(0, "", refuse(api.Denied, "the agent does not ask the ACS for its methods"))
	}
	st, err := d.cfg.API.Status(api.Caller{Name: c.who.Name, Rights: api.Read})
	if err != nil {
		return outcome(0, "", err)
	}
	switch event := arg[string](c, "event"); event {
	case "", "2", "2 PERIODIC":
		err = d.cfg.API.Inform(c.ctx, c.who, "")
	case "6", "6 CONNECTION REQUEST":
		err = d.request(c, st)
	default:
		err = d.cfg.API.Inform(c.ctx, c.who, event)
	}
	if st.State == string(core.InSession) {
		return outcome(1, "Session already running, event will be sent at the end of the session", err)
	}
	return outcome(1, "Session started", err)
}

func (d *door) request(c *call, st api.Status) error {
	if err := c.who.May(api.Act); err != nil {
		return err
	}
	if st.State == string(core.Disabled) || st.ACS == "" {
		return refuse(api.Unavailable, "there will be no session: no ACS is set, or CWMP is disabled")
	}
	return d.cfg.Request(c.ctx)
}

const never = "N/A"

func when(t time.Time) string {
	if t.IsZero() {
		return never
	}
	return t.UTC().Format(time.RFC3339)
}

func (d *door) oldStatus(c *call) (ubus.Table, error) {
	st, err := d.cfg.API.Status(c.who)
	if err != nil {
		return nil, err
	}
	last := never
	switch {
	case st.State == string(core.InSession):
		last = "running"
	case st.Ended.IsZero():
	case st.LastError != "":
		last = "failure"
	default:
		last = "success"
	}
	return ubus.Table{
		{Name: "cwmp", Value: ubus.Table{{Name: "status", Value: "up"}, {Name: "start_time", Value: when(d.cfg.Start)}, {Name: "acs_url", Value: clean(st.ACS)}}},
		{Name: "last_session", Value: ubus.Table{{Name: "status", Value: last}, {Name: "start_time", Value: when(st.Started)}, {Name: "end_time", Value: when(st.Ended)}}},
		{Name: "next_session", Value: ubus.Table{{Name: "status", Value: "waiting"}, {Name: "start_time", Value: when(st.NextAttempt)}, {Name: "end_time", Value: never}}},
		{Name: "statistics", Value: ubus.Table{
			{Name: "success_sessions", Value: number(int64(st.Sessions - st.Failures))},
			{Name: "failure_sessions", Value: number(int64(st.Failures))},
			{Name: "total_sessions", Value: number(int64(st.Sessions))}}},
	}, nil
}
