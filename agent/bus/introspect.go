package bus

// Introspection: the table of interfaces as XML.

import (
	"fmt"
	"strings"

	"github.com/godbus/dbus/v5"
)

const doctype = `<!DOCTYPE node PUBLIC "-//freedesktop//DTD D-BUS Object Introspection 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/introspect.dtd">
`

// interfaces is what /org/gatehouse1 implements.
func (d *Door) interfaces() []iface {
	return []iface{d.dataModel(), d.agentInterface(), d.providerInterface(), d.registryInterface(), d.propertiesInterface(),
		{name: ifaceIntrospect, methods: []method{{"Introspect", nil, []arg{{"xml", "s"}},
			func(*call) ([]any, error) { return []any{describe(d.ifaces)}, nil }}}},
		{name: ifacePeer, methods: []method{ // the library answers these
			{"Ping", nil, nil, nil}, {"GetMachineId", nil, []arg{{"machine_uuid", "s"}}, nil}}},
	}
}

func describe(ifaces []iface) string {
	var b strings.Builder
	b.WriteString(doctype + "<node>\n")
	for _, i := range ifaces {
		i.write(&b)
	}
	b.WriteString("</node>\n")
	return b.String()
}

func (i iface) write(b *strings.Builder) {
	fmt.Fprintf(b, "  <interface name=%q>\n", i.name)
	for _, m := range i.methods {
		element(b, "method", m.name, len(m.in)+len(m.out), func() {
			args(b, m.in, ` direction="in"`)
			args(b, m.out, ` direction="out"`)
		})
	}
	for _, s := range i.signals {
		element(b, "signal", s.name, len(s.args), func() { args(b, s.args, "") })
	}
	for _, p := range i.properties {
		fmt.Fprintf(b, "    <property name=%q type=%q access=\"read\">\n"+
			"      <annotation name=\"org.freedesktop.DBus.Property.EmitsChangedSignal\" value=%q/>\n    </property>\n", p.name, p.sig, p.emits)
	}
	b.WriteString("  </interface>\n")
}

func element(b *strings.Builder, kind, name string, children int, inside func()) {
	if children == 0 {
		fmt.Fprintf(b, "    <%s name=%q/>\n", kind, name)
		return
	}
	fmt.Fprintf(b, "    <%s name=%q>\n", kind, name)
	inside()
	fmt.Fprintf(b, "    </%s>\n", kind)
}

func args(b *strings.Builder, list []arg, direction string) {
	for _, a := range list {
		fmt.Fprintf(b, "      <arg name=%q type=%q%s/>\n", a.name, a.sig, direction)
	}
}

// introspectAbove describes a path above ours: it has one child.
func introspectAbove(path dbus.ObjectPath) string {
	below := strings.TrimPrefix(strings.TrimPrefix(string(Path), string(path)), "/")
	child, _, _ := strings.Cut(below, "/")
	return doctype + fmt.Sprintf("<node>\n  <node name=%q/>\n</node>\n", child)
}
