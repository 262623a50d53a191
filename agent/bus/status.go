package bus

// org.gatehouse1.Agent: how the agent is doing, and what can be asked of it.
// Also org.freedesktop.DBus.Properties, which serves its properties.

import (
	"context"
	"reflect"
	"slices"
	"sync"
	"time"

	"github.com/godbus/dbus/v5"

	"gatehouse/agent/api"
)

// properties is what was last told of the agent.
type properties struct {
	mu   sync.Mutex
	told map[string]dbus.Variant
}

var agentProperties = []property{
	{"State", "s", "true"}, {"Reason", "s", "true"}, {"ACS", "s", "true"},
	{"Session", "s", "true"}, {"LastError", "s", "true"},
	{"LastStarted", "s", "true"}, {"LastEnded", "s", "true"}, {"LastSucceeded", "s", "true"}, {"NextInform", "s", "true"},
	{"RetryCount", "u", "true"}, {"Pending", "as", "true"}, {"Sessions", "t", "true"}, {"Failures", "t", "true"},
	{"StoreError", "s", "true"}, {"SafeMode", "b", "true"}, {"ConnectionRequestURL", "s", "true"},
	{"Version", "s", "const"}, {"FlashWrites", "t", "false"},
}

func propertiesOf(st api.Status) map[string]dbus.Variant {
	text := func(s string) dbus.Variant { return dbus.MakeVariant(valid(s)) }
	when := func(t time.Time) dbus.Variant {
		if t.IsZero() {
			return dbus.MakeVariant("")
		}
		return dbus.MakeVariant(t.UTC().Format(time.RFC3339))
	}
	pending := make([]string, len(st.Pending))
	for i, e := range st.Pending {
		pending[i] = valid(e)
	}
	return map[string]dbus.Variant{
		"State": text(st.State), "Reason": text(st.Reason), "ACS": text(st.ACS),
		"Session": text(st.Session), "LastError": text(st.LastError),
		"LastStarted": when(st.Started), "LastEnded": when(st.Ended), "LastSucceeded": when(st.Succeeded), "NextInform": when(st.NextAttempt),
		"RetryCount": dbus.MakeVariant(st.RetryCount), "Pending": dbus.MakeVariant(pending),
		"Sessions": dbus.MakeVariant(st.Sessions), "Failures": dbus.MakeVariant(st.Failures),
		"StoreError": text(st.StoreError), "SafeMode": dbus.MakeVariant(st.SafeMode), "ConnectionRequestURL": text(st.ConnectionRequestURL),
		"Version": text(st.Version), "FlashWrites": dbus.MakeVariant(st.FlashWrites),
	}
}

func (d *Door) agentInterface() iface {
	return iface{name: ifaceAgent,
		methods: []method{
			{"Inform", []arg{{"event", "s"}, {"options", "a{sv}"}}, nil, d.inform},
			{"Reload", []arg{{"options", "a{sv}"}}, []arg{{"changed", "as"}}, d.reload},
		},
		signals: []signal{
			{"SessionStarted", []arg{{"session", "s"}}},
			{"SessionEnded", []arg{{"session", "s"}, {"succeeded", "b"}, {"error", "s"}}},
		},
		properties: agentProperties,
	}
}

func (d *Door) inform(c *call) ([]any, error) {
	event, _ := c.args[0].(string)
	if _, err := options(c.args[1]); err != nil {
		return nil, err
	}
	return nil, d.outcome(c, d.cfg.API.Inform(c.ctx, c.who, event))
}

func (d *Door) reload(c *call) ([]any, error) {
	if _, err := options(c.args[0]); err != nil {
		return nil, err
	}
	changed, err := d.cfg.API.ReloadConfig(c.ctx, c.who)
	if changed == nil {
		changed = []string{}
	}
	return []any{changed}, d.outcome(c, err)
}

func (d *Door) propertiesInterface() iface {
	return iface{name: ifaceProperties,
		methods: []method{
			{"Get", []arg{{"interface_name", "s"}, {"property_name", "s"}}, []arg{{"value", "v"}}, d.getProperty},
			{"GetAll", []arg{{"interface_name", "s"}}, []arg{{"properties", "a{sv}"}}, d.getAllProperties},
			{"Set", []arg{{"interface_name", "s"}, {"property_name", "s"}, {"value", "v"}}, nil, func(c *call) ([]any, error) {
				return nil, dbus.Error{Name: theBus + ".Error.PropertyReadOnly", Body: []any{"no property can be set"}}
			}},
		},
		signals: []signal{{"PropertiesChanged", []arg{{"interface_name", "s"}, {"changed_properties", "a{sv}"}, {"invalidated_properties", "as"}}}},
	}
}

func (d *Door) allProperties(c *call) (map[string]dbus.Variant, error) {
	name, _ := c.args[0].(string)
	if name == ifaceProvider {
		return d.providerProperties(c)
	}
	if name != ifaceAgent && name != "" {
		if slices.ContainsFunc(d.ifaces, func(i iface) bool { return i.name == name }) {
			return map[string]dbus.Variant{}, nil
		}
		return nil, dbus.Error{Name: theBus + ".Error.UnknownInterface", Body: []any{"there is no interface " + valid(name)}}
	}
	st, err := d.cfg.API.Status(c.who)
	if err != nil {
		return nil, err
	}
	return propertiesOf(st), nil
}

func (d *Door) getProperty(c *call) ([]any, error) {
	all, err := d.allProperties(c)
	if err != nil {
		return nil, err
	}
	name, _ := c.args[1].(string)
	v, ok := all[name]
	if !ok {
		return nil, dbus.Error{Name: theBus + ".Error.UnknownProperty", Body: []any{"there is no property " + valid(name)}}
	}
	return []any{v}, nil
}

func (d *Door) getAllProperties(c *call) ([]any, error) {
	all, err := d.allProperties(c)
	return []any{all}, err
}

// followStatus tells everybody on the bus whom the policy lets listen what has
// changed.
func (d *Door) followStatus(ctx context.Context) {
	self := api.Caller{Name: "dbus", Rights: api.Read}
	was, first := api.Status{}, true
	for st, err := range d.cfg.API.Statuses(ctx, self) {
		if err != nil {
			d.log.Error("the status cannot be followed", "err", err)
			return
		}
		if !first {
			d.tellSession(was, st)
		}
		d.tellProperties(propertiesOf(st), first)
		was, first = st, false
	}
}

func (d *Door) tellSession(was, is api.Status) {
	started := is.Session != was.Session && is.Session != ""
	if started {
		d.emit(ifaceAgent+".SessionStarted", valid(is.Session))
	}
	if is.Session != "" && !is.Ended.IsZero() && (is.Ended != was.Ended || is.Sessions != was.Sessions) && !is.Ended.Before(is.Started) {
		d.emit(ifaceAgent+".SessionEnded", valid(is.Session), is.LastError == "", valid(is.LastError))
	}
}

func (d *Door) tellProperties(now map[string]dbus.Variant, silent bool) {
	d.agent.mu.Lock()
	changed := map[string]dbus.Variant{}
	for _, p := range agentProperties {
		if p.emits == "true" && !reflect.DeepEqual(d.agent.told[p.name].Value(), now[p.name].Value()) {
			changed[p.name] = now[p.name]
		}
	}
	d.agent.told = now
	d.agent.mu.Unlock()
	if !silent && len(changed) > 0 {
		d.emit(ifaceProperties+".PropertiesChanged", ifaceAgent, changed, []string{})
	}
}

func (d *Door) emit(name string, body ...any) {
	if err := d.conn.Emit(Path, name, body...); err != nil {
		d.log.Debug("a signal is not sent", "signal", name, "err", err)
	}
}
