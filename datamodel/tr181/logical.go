// IP interfaces on platforms that have logical ones ("lan", "wan"), kept in
// configuration apart from the links below them; and, for whoever refers to an
// IP interface, which one stands for a link in either case.

package tr181

import (
	"context"
	"slices"
	"strings"

	"gatehouse/datamodel"
	"gatehouse/platform"
)

// logical says whether the platform has logical interfaces. Where it has none,
// links are the interfaces.
func (m *Model) logical() bool { return m.p.Config != nil && m.p.Interfaces.Table != nil }

// An interfaceTable is the logical interfaces and how they are doing.
type interfaceTable struct {
	rows   []platform.Entry[platform.Interface]
	own    int // how many of them are configured; those behind were made by a protocol
	states map[string]platform.InterfaceState
	by     map[string]int       // key: place in rows
	byLink [2]map[string]string // link: the key of the interface on it that does IPv4, IPv6
}

// dumpInterfaces reads the logical interfaces once per request. Those that a
// protocol made by itself (the IPv6 half of a modem's) come last.
func (m *Model) dumpInterfaces(ctx context.Context) (*interfaceTable, error) {
	return datamodel.Once(ctx, dumpKey{m, "interfaces"},
		func(t *interfaceTable) int { return 1024 * (1 + len(t.rows)) },
		func(ctx context.Context) (*interfaceTable, error) {
			rows, err := collect(m.p.Interfaces.Table.Rows(ctx))
			if err != nil {
				return nil, err
			}
			states, err := collect(m.p.Interfaces.State.InterfaceStates(ctx))
			if err != nil {
				return nil, err
			}
			t := &interfaceTable{rows: rows, own: len(rows), states: map[string]platform.InterfaceState{}, by: map[string]int{}, byLink: [2]map[string]string{{}, {}}}
			for i, r := range rows {
				t.by[r.Key] = i
			}
			for _, s := range states {
				t.states[s.Key] = s
				if _, ok := t.by[s.Key]; !ok {
					t.by[s.Key] = len(t.rows)
					t.rows = append(t.rows, platform.Entry[platform.Interface]{Key: s.Key,
						Value: platform.Interface{Enabled: true, Device: s.Device, IPv4: true, IPv6: true}})
				}
			}
			t.placeOnLinks()
			return t, nil
		})
}

// placeOnLinks finds out which interface stands for a link: of several ("wan"
// and "wan6") the first that has an address of the family, else the first.
func (t *interfaceTable) placeOnLinks() {
	for i, by := range t.byLink {
		for _, has := range []bool{true, false} {
			for _, r := range t.rows {
				link := t.link(r.Key)
				if link == "" || by[link] != "" {
					continue
				}
				if !has || slices.ContainsFunc(t.states[r.Key].Addrs, func(a platform.Address) bool { return a.Prefix.Addr().Is6() == (i == 1) }) {
					by[link] = r.Key
				}
			}
		}
	}
}

// link is the link that carries the addresses of the interface called key, ""
// when there is none.
func (t *interfaceTable) link(key string) string {
	if s := t.states[key]; s.Device != "" {
		return s.Device
	}
	i, ok := t.by[key]
	if !ok || strings.HasPrefix(t.rows[i].Value.Device, "@") { // an alias of another interface
		return ""
	}
	return t.rows[i].Value.Device
}

// lower is the link that the interface is configured to stand on: below
// "pppoe-wan" that is the port.
func (t *interfaceTable) lower(key string) string {
	i, ok := t.by[key]
	if !ok {
		return ""
	}
	if d := t.rows[i].Value.Device; d != "" && !strings.HasPrefix(d, "@") {
		return d
	}
	return t.link(key)
}

// An interfaceRef refers to the IP interface of that key or, where there is
// none, to the one that does IPv4 or IPv6 on the link of that name.
type interfaceRef func(name string, ipv6 bool) datamodel.Ref

func (t *interfaceTable) ref(name string, ipv6 bool) datamodel.Ref {
	if _, ok := t.by[name]; ok {
		return ipInterfaceRef(name)
	}
	if ipv6 {
		return ipInterfaceRef(t.byLink[1][name])
	}
	return ipInterfaceRef(t.byLink[0][name])
}

// ipInterfaceRefs returns how to refer to IP interfaces.
func (m *Model) ipInterfaceRefs(ctx context.Context) (interfaceRef, error) {
	if !m.logical() {
		return linkRef, nil
	}
	t, err := m.dumpInterfaces(ctx)
	if err != nil {
		return nil, err
	}
	return t.ref, nil
}

// linkRef is the reference where links are the interfaces.
func linkRef(name string, _ bool) datamodel.Ref { return ipInterfaceRef(name) }

// ipLinks returns how to find the link of an IP interface by its key.
func (m *Model) ipLinks(ctx context.Context) (func(key string) string, error) {
	if !m.logical() {
		return func(key string) string { return key }, nil
	}
	t, err := m.dumpInterfaces(ctx)
	if err != nil {
		return nil, err
	}
	return t.link, nil
}
