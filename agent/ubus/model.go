package ubus

// The object gatehouse.

import (
	"gatehouse/agent/api"
	"gatehouse/internal/ubus"
)

func (d *door) methods() []method {
	path, paths := ubus.Arg{Name: "path", Type: ubus.TypeString}, ubus.Arg{Name: "paths", Type: ubus.TypeArray}
	values := ubus.Arg{Name: "values", Type: ubus.TypeTable}
	watch := ubus.Arg{Name: "watch", Type: ubus.TypeInt32}
	return []method{
		{"get", []ubus.Arg{path, paths}, d.get},
		{"set", []ubus.Arg{values}, func(c *call) (ubus.Table, error) { return d.set(c, false) }},
		{"dryrun", []ubus.Arg{values}, func(c *call) (ubus.Table, error) { return d.set(c, true) }},
		{"names", []ubus.Arg{path, {Name: "next", Type: ubus.TypeBool}}, d.names},
		{"add", []ubus.Arg{{Name: "table", Type: ubus.TypeString}, values}, d.add},
		{"delete", []ubus.Arg{path, paths}, d.delete},
		{"attributes", []ubus.Arg{path, paths}, d.attributes},
		{"notify", []ubus.Arg{path, paths, {Name: "notification", Type: ubus.TypeInt32}}, d.notify},
		{"watch", []ubus.Arg{path, paths}, d.watch},
		{"unwatch", []ubus.Arg{watch}, d.unwatch},
		{"status", nil, d.status},
		{"log", []ubus.Arg{{Name: "sessions", Type: ubus.TypeInt32}}, d.log},
		{"inform", []ubus.Arg{{Name: "event", Type: ubus.TypeString}}, d.inform},
		{"reload", nil, d.reload},
		{"provider", []ubus.Arg{{Name: "call", Type: ubus.TypeString}}, d.provider},
	}
}

// maxAnswer bounds an answer, in bytes as they are sent. ubusd drops what a
// slow caller lets grow beyond 1 MB.
const maxAnswer = 448 << 10

// A room is what is left of an answer.
type room int

// take reports whether a name and a text still fit.
func (r *room) take(name, text string) error {
	if *r -= room(len(name) + len(text) + 64); *r < 0 {
		return api.Refuse(api.Full, name, "is where the answer gets longer than a message can be: ask for less at a time")
	}
	return nil
}

func (d *door) get(c *call) (ubus.Table, error) {
	paths, err := c.paths()
	if err != nil {
		return nil, err
	}
	values, out := ubus.Table{}, ubus.Table{}
	left := room(maxAnswer)
	for v, err := range d.cfg.API.Get(c.ctx, c.who, paths) {
		if err == nil {
			err = left.take(v.Name, v.Value+v.LeftOut)
		}
		switch {
		case err != nil:
			return nil, err
		case v.LeftOut != "":
			out = append(out, ubus.Field{Name: v.Name, Value: clean(v.LeftOut)})
		default:
			values = append(values, ubus.Field{Name: v.Name, Value: typed(v.Type, v.Value)})
		}
	}
	if len(out) == 0 {
		return ubus.Table{{Name: "values", Value: values}}, nil
	}
	return ubus.Table{{Name: "values", Value: values}, {Name: "unavailable", Value: out}}, nil
}

// assignments takes the argument values.
func (c *call) assignments() ([]api.Assignment, error) {
	values := arg[ubus.Table](c, "values")
	if len(values) > maxPaths {
		return nil, refuse(api.InvalidArguments, "%d parameters can be set at once, not %d", maxPaths, len(values))
	}
	var wrong api.Error
	as := make([]api.Assignment, len(values))
	for i, f := range values {
		text, ok := plain(f.Value)
		if !ok {
			wrong.Problems = append(wrong.Problems, api.Problem{Name: api.InvalidType, Path: f.Name, Message: "is neither a text, a number, a truth value nor a list of them"})
		}
		as[i] = api.Assignment{Name: f.Name, Value: text}
	}
	if wrong.Problems != nil {
		return nil, &wrong
	}
	return as, nil
}

func (d *door) set(c *call, dryRun bool) (ubus.Table, error) {
	as, err := c.assignments()
	if err == nil && len(as) == 0 {
		err = refuse(api.InvalidArguments, "nothing is to be set: values is a table of names and values")
	}
	if err != nil {
		return nil, err
	}
	deferred, err := d.cfg.API.Set(c.ctx, c.who, as, dryRun)
	if err != nil || dryRun {
		return nil, err
	}
	return ubus.Table{{Name: "deferred", Value: deferred}}, nil
}

func (d *door) names(c *call) (ubus.Table, error) {
	list, left := ubus.Array{}, room(maxAnswer)
	for n, err := range d.cfg.API.Names(c.ctx, c.who, arg[string](c, "path"), arg[bool](c, "next")) {
		if err == nil {
			err = left.take(n.Name, n.Type)
		}
		if err != nil {
			return nil, err
		}
		list = append(list, ubus.Table{{Name: "name", Value: n.Name}, {Name: "type", Value: n.Type}, {Name: "writable", Value: n.Writable}})
	}
	return ubus.Table{{Name: "names", Value: list}}, nil
}

func (d *door) add(c *call) (ubus.Table, error) {
	as, err := c.assignments()
	if err != nil {
		return nil, err
	}
	path, err := d.cfg.API.Add(c.ctx, c.who, arg[string](c, "table"), as)
	if err != nil {
		return nil, err
	}
	return ubus.Table{{Name: "path", Value: path}}, nil
}

func (d *door) delete(c *call) (ubus.Table, error) {
	paths, err := c.paths()
	if err != nil {
		return nil, err
	}
	return nil, d.cfg.API.Delete(c.ctx, c.who, paths)
}

func (d *door) attributes(c *call) (ubus.Table, error) {
	paths, err := c.paths()
	if err != nil {
		return nil, err
	}
	all, left := ubus.Table{}, room(maxAnswer)
	for a, err := range d.cfg.API.GetAttributes(c.ctx, c.who, paths) {
		if err == nil {
			err = left.take(a.Name, "")
		}
		if err != nil {
			return nil, err
		}
		all = append(all, ubus.Field{Name: a.Name, Value: ubus.Table{
			{Name: "notification", Value: a.Notification}, {Name: "accessList", Value: texts(a.AccessList)}}})
	}
	return ubus.Table{{Name: "attributes", Value: all}}, nil
}

func (d *door) notify(c *call) (ubus.Table, error) {
	paths, err := c.paths()
	if err != nil {
		return nil, err
	}
	v, ok := c.args.Get("notification")
	if !ok {
		return nil, refuse(api.InvalidArguments, "notify takes a notification, 0 to 6")
	}
	n, _ := v.(int32)
	return nil, d.cfg.API.SetNotification(c.ctx, c.who, paths, int(n))
}

func (d *door) status(c *call) (ubus.Table, error) {
	st, err := d.cfg.API.Status(c.who)
	if err != nil {
		return nil, err
	}
	return table(st)
}

func (d *door) log(c *call) (ubus.Table, error) {
	n := arg[int32](c, "sessions")
	if n < 0 {
		return nil, refuse(api.InvalidArguments, "sessions is how many, from 0 for all")
	}
	all, err := d.cfg.API.Sessions(c.who, int(n))
	if err != nil {
		return nil, err
	}
	return table(struct {
		Sessions []api.SessionLog `json:"sessions"`
	}{all})
}

func (d *door) inform(c *call) (ubus.Table, error) {
	return nil, d.cfg.API.Inform(c.ctx, c.who, arg[string](c, "event"))
}

func (d *door) reload(c *call) (ubus.Table, error) {
	changed, err := d.cfg.API.ReloadConfig(c.ctx, c.who)
	if err != nil && changed == nil {
		return nil, err
	}
	return ubus.Table{{Name: "changed", Value: texts(changed)}}, err
}

// provider carries out fetch, reset or reload of the provider's configuration,
// and tells, with or without such a call, how that is doing.
func (d *door) provider(c *call) (ubus.Table, error) {
	out := ubus.Table{}
	if name := arg[string](c, "call"); name != "" {
		changed, err := d.cfg.API.ProviderCall(c.ctx, c.who, name)
		if err != nil {
			return nil, err
		}
		out = append(out, ubus.Field{Name: "changed", Value: changed})
	}
	st, err := d.cfg.API.ProviderState(c.ctx, c.who)
	if err != nil {
		return nil, err
	}
	return append(out, ubus.Field{Name: "status", Value: clean(st.Status)}, ubus.Field{Name: "source", Value: clean(st.Source)},
		ubus.Field{Name: "lastError", Value: clean(st.LastError)}), nil
}
