package bus

// org.gatehouse1.Provider: the provider's configuration, fetched, forgotten or
// read anew when somebody asks for it.

import (
	"github.com/godbus/dbus/v5"
)

func (d *Door) providerInterface() iface {
	return iface{name: ifaceProvider,
		methods: []method{
			{"Fetch", []arg{{"options", "a{sv}"}}, []arg{{"changed", "b"}}, d.providerCall("fetch")},
			{"Reset", []arg{{"options", "a{sv}"}}, nil, d.providerCall("reset")},
			{"Reload", []arg{{"options", "a{sv}"}}, nil, d.providerCall("reload")},
		},
		// Whoever wants to be told of changes watches the parameters.
		properties: []property{{"Status", "s", "false"}, {"Source", "s", "false"}, {"LastError", "s", "false"}},
	}
}

// providerCall serves a method. Of a fetch it is told whether it has brought
// anything new.
func (d *Door) providerCall(name string) func(*call) ([]any, error) {
	return func(c *call) ([]any, error) {
		if _, err := options(c.args[0]); err != nil {
			return nil, err
		}
		changed, err := d.cfg.API.ProviderCall(c.ctx, c.who, name)
		if err != nil {
			return nil, d.outcome(c, err)
		}
		if name == "fetch" {
			return []any{changed}, nil
		}
		return nil, nil
	}
}

func (d *Door) providerProperties(c *call) (map[string]dbus.Variant, error) {
	st, err := d.cfg.API.ProviderState(c.ctx, c.who)
	if err != nil {
		return nil, d.outcome(c, err)
	}
	return map[string]dbus.Variant{
		"Status": dbus.MakeVariant(valid(st.Status)), "Source": dbus.MakeVariant(valid(st.Source)), "LastError": dbus.MakeVariant(valid(st.LastError)),
	}, nil
}
