package bus

// org.gatehouse1.DataModel: the tree.

import (
	"slices"

	"github.com/godbus/dbus/v5"

	"gatehouse/agent/api"
	"gatehouse/datamodel"
)

const (
	// maxPaths bounds what one call may name.
	maxPaths = 4096
	// maxAnswer bounds the parameters of one answer: all of them are in memory
	// at once, and again as a message.
	maxAnswer = 20_000
)

func (d *Door) dataModel() iface {
	opts := arg{"options", "a{sv}"}
	paths, values := arg{"paths", "as"}, arg{"values", "a{sv}"}
	watch := arg{"watch", "u"}
	return iface{name: ifaceModel,
		methods: []method{
			{"GetValues", []arg{paths, opts}, []arg{values, {"unavailable", "a{ss}"}}, d.getValues},
			{"SetValues", []arg{values, opts}, []arg{{"deferred", "b"}}, d.setValues},
			{"DryRun", []arg{values, opts}, nil, d.dryRun},
			{"GetNames", []arg{{"path", "s"}, {"nextLevel", "b"}, opts}, []arg{{"names", "a(ssb)"}}, d.getNames},
			{"GetAttributes", []arg{paths, opts}, []arg{{"attributes", "a(sias)"}}, d.getAttributes},
			{"SetAttributes", []arg{paths, {"attributes", "a{sv}"}, opts}, nil, d.setAttributes},
			{"AddObject", []arg{{"table", "s"}, values, opts}, []arg{{"path", "s"}}, d.addObject},
			{"DeleteObject", []arg{paths, opts}, nil, d.deleteObject},
			{"Watch", []arg{paths, opts}, []arg{watch, values}, d.watch},
			{"Unwatch", []arg{watch}, nil, d.unwatch},
		},
		signals: []signal{
			{"ValuesChanged", []arg{watch, values}},
			{"InstanceAdded", []arg{watch, {"path", "s"}}},
			{"InstanceRemoved", []arg{watch, {"path", "s"}}},
			{"WatchEnded", []arg{watch, {"error", "s"}, {"message", "s"}}},
		},
	}
}

// pathsOf takes an argument of type as.
func pathsOf(v any) ([]string, error) {
	paths, _ := v.([]string)
	if len(paths) == 0 || len(paths) > maxPaths {
		return nil, refuse(api.InvalidArguments, "", "1 to %d paths can be named, not %d", maxPaths, len(paths))
	}
	return paths, nil
}

func (d *Door) getValues(c *call) ([]any, error) {
	paths, err := pathsOf(c.args[0])
	if err != nil {
		return nil, err
	}
	if _, err := options(c.args[1]); err != nil {
		return nil, err
	}
	values, out := make(map[string]dbus.Variant, len(paths)), map[string]string{}
	for v, err := range d.cfg.API.Get(c.ctx, c.who, paths) {
		switch {
		case err != nil:
			return nil, d.outcome(c, err)
		case v.LeftOut != "":
			out[v.Name] = valid(v.LeftOut)
		case len(values) >= maxAnswer:
			return nil, refuse(api.Full, v.Name, "more than %d parameters: ask for less at a time", maxAnswer)
		default:
			values[v.Name] = variant(v.Type, v.Value)
		}
	}
	return []any{values, out}, nil
}

func (d *Door) setValues(c *call) ([]any, error) {
	if _, err := options(c.args[1]); err != nil {
		return nil, err
	}
	deferred, err := d.set(c, false)
	return []any{deferred}, err
}

func (d *Door) dryRun(c *call) ([]any, error) {
	if _, err := options(c.args[1]); err != nil {
		return nil, err
	}
	_, err := d.set(c, true)
	return nil, err
}

func (d *Door) set(c *call, dryRun bool) (deferred bool, err error) {
	as, err := d.assignments(c, c.args[0], "")
	if err != nil {
		return false, err
	}
	err = d.writing(c, func() error {
		deferred, err = d.cfg.API.Set(c.ctx, c.who, as, dryRun)
		return err
	})
	return deferred, err
}

// assignments takes an argument of type a{sv}; the names in it are what is
// after prefix. Values that are no strings must be of the kind that the
// parameter is; of one that nobody knows they are left to the tree to refuse.
func (d *Door) assignments(c *call, v any, prefix string) ([]api.Assignment, error) {
	values, _ := v.(map[string]dbus.Variant)
	if len(values) > maxPaths {
		return nil, refuse(api.InvalidArguments, "", "%d parameters can be set at once, not %d", maxPaths, len(values))
	}
	names := make([]string, 0, len(values))
	for n := range values {
		names = append(names, n)
	}
	slices.Sort(names)
	var wrong api.Error
	as := make([]api.Assignment, len(names))
	for i, n := range names {
		as[i].Name = n
		switch v := values[n].Value().(type) {
		case string:
			as[i].Value = v
		default:
			typ := d.typeOf(c, prefix, n)
			text, ok := plain(typ, v)
			if !ok && typ != "" {
				wrong.Problems = append(wrong.Problems, api.Problem{Name: api.InvalidType, Path: prefix + n,
					Message: "is a " + typ + ", and was given as " + values[n].Signature().String()})
			}
			as[i].Value = text
		}
	}
	if wrong.Problems != nil {
		return nil, &wrong
	}
	return as, nil
}

// typeOf is the type of a parameter; "" when it is not known. prefix is ""
// or the table in which a row is about to be made.
func (d *Door) typeOf(c *call, prefix, name string) string {
	if prefix == "" {
		info, err := d.cfg.Tree.Describe(c.ctx, name)
		return typeName(info, err)
	}
	for o := range d.cfg.Tree.Objects() {
		for info := range o.Params() {
			if sameTemplate(info.Path, prefix+"{i}."+name) {
				return typeName(info, nil)
			}
		}
	}
	return ""
}

func typeName(info datamodel.Info, err error) string {
	switch {
	case err != nil || info.Object:
		return ""
	case info.List:
		return "list"
	}
	return info.Type.String()
}

func (d *Door) getNames(c *call) ([]any, error) {
	path, _ := c.args[0].(string)
	next, _ := c.args[1].(bool)
	if _, err := options(c.args[2]); err != nil {
		return nil, err
	}
	names := []api.Name{}
	for n, err := range d.cfg.API.Names(c.ctx, c.who, path, next) {
		if err != nil {
			return nil, d.outcome(c, err)
		}
		if len(names) >= maxAnswer {
			return nil, refuse(api.Full, n.Name, "more than %d names: ask for less at a time", maxAnswer)
		}
		names = append(names, n)
	}
	return []any{names}, nil
}

// An attribute is a line of GetAttributes.
type attribute struct {
	Name         string
	Notification int32
	AccessList   []string
}

func (d *Door) getAttributes(c *call) ([]any, error) {
	paths, err := pathsOf(c.args[0])
	if err != nil {
		return nil, err
	}
	if _, err := options(c.args[1]); err != nil {
		return nil, err
	}
	all := []attribute{}
	for a, err := range d.cfg.API.GetAttributes(c.ctx, c.who, paths) {
		if err != nil {
			return nil, d.outcome(c, err)
		}
		if len(all) >= maxAnswer {
			return nil, refuse(api.Full, a.Name, "more than %d parameters: ask for less at a time", maxAnswer)
		}
		all = append(all, attribute{a.Name, int32(a.Notification), a.AccessList})
	}
	return []any{all}, nil
}

func (d *Door) setAttributes(c *call) ([]any, error) {
	paths, err := pathsOf(c.args[0])
	if err != nil {
		return nil, err
	}
	if _, err := options(c.args[2]); err != nil {
		return nil, err
	}
	attrs, err := options(c.args[1], "Notification")
	if err != nil {
		return nil, err
	}
	v, ok := attrs["Notification"]
	if !ok {
		return nil, refuse(api.InvalidArguments, "", "Notification is what can be set")
	}
	n := -1
	for i := range 7 {
		if text, ok := integer(v.Value()); ok && text == string(rune('0'+i)) {
			n = i
		}
	}
	if n < 0 {
		return nil, refuse(api.InvalidArguments, "", "Notification is a number from 0 to 6")
	}
	return nil, d.outcome(c, d.cfg.API.SetNotification(c.ctx, c.who, paths, n))
}

func (d *Door) addObject(c *call) ([]any, error) {
	table, _ := c.args[0].(string)
	if _, err := options(c.args[2]); err != nil {
		return nil, err
	}
	as, err := d.assignments(c, c.args[1], table)
	if err != nil {
		return nil, err
	}
	path := ""
	err = d.writing(c, func() error {
		path, err = d.cfg.API.Add(c.ctx, c.who, table, as)
		return err
	})
	return []any{path}, err
}

func (d *Door) deleteObject(c *call) ([]any, error) {
	paths, err := pathsOf(c.args[0])
	if err != nil {
		return nil, err
	}
	if _, err := options(c.args[1]); err != nil {
		return nil, err
	}
	return nil, d.writing(c, func() error { return d.cfg.API.Delete(c.ctx, c.who, paths) })
}

// writing runs a write of a sender that may be a vendor: it gets Busy when the
// transaction under way needs that vendor, which may be waiting for us.
func (d *Door) writing(c *call, write func() error) error {
	ctx, end, err := d.vendors.writes(c.ctx, c.sender)
	if err != nil {
		return err
	}
	defer end()
	c.ctx = ctx
	return d.outcome(c, write())
}

// outcome is the error of a call, with the reason why its time was cut short.
func (d *Door) outcome(c *call, err error) error {
	if err == nil {
		return nil
	}
	return d.vendors.reason(c.ctx, err)
}
