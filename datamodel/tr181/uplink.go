// What of a change of the network concerns the way out, and what a dry run tells
// of it.

package tr181

import (
	"context"
	"slices"
	"strconv"

	"gatehouse/datamodel"
)

// A wayOut is the links that a default route leaves by, and those that they
// stand on; nil: nobody knows.
type wayOut map[string]bool

func (m *Model) wayOut(ctx context.Context) wayOut {
	links, err := m.dumpLinks(ctx)
	if err != nil {
		return nil
	}
	out := wayOut{}
	for range links.all { // a port of a bridge that a VLAN stands on: as deep as there are links
		before := len(out)
		for _, l := range links.all {
			if l.Upstream || l.Master != "" && out[l.Master] {
				out[l.Name] = true
			}
			if out[l.Name] && l.Parent != "" {
				out[l.Parent] = true
			}
		}
		if len(out) == before {
			break
		}
	}
	return out
}

// concerned reports whether a change touches the way out.
func (w wayOut) concerned(c change) bool {
	switch {
	case w == nil:
		return true
	case c.Route != nil:
		return c.Route.Dest.Bits() == 0 || w[c.Route.Link]
	case c.Address != nil:
		return w[c.Address.Link]
	}
	return w[c.Link]
}

// Uplink says whether the way out may be another one after the commit.
func (b *networkBatch) Uplink() bool {
	return slices.ContainsFunc(b.steps, func(s step) bool { return b.out.concerned(s.do) })
}

// Plan tells what Commit would change in the kernel.
func (b *networkBatch) Plan() (lines []datamodel.Line) {
	for _, s := range b.steps {
		l := datamodel.Line{Path: s.path, Where: "kernel", Uplink: b.out.concerned(s.do)}
		l.What, l.New = s.do.text()
		_, l.Old = s.undo.text()
		lines = append(lines, l)
	}
	return lines
}

// text says what is changed, and to what; "" where it goes.
func (c change) text() (what, value string) {
	switch {
	case c.Address != nil:
		what, value = "address of "+c.Address.Link, c.Address.Prefix.String()
	case c.Route != nil:
		what, value = "route to "+c.Route.Dest.String(), "by "+c.Route.Link
		if c.Route.Gateway.IsValid() {
			value += " and " + c.Route.Gateway.String()
		}
	case c.Enabled != nil && *c.Enabled:
		return "link " + c.Link, "up"
	case c.Enabled != nil:
		return "link " + c.Link, "down"
	case c.IPv6 != nil && *c.IPv6:
		return "IPv6 of " + c.Link, "on"
	case c.IPv6 != nil:
		return "IPv6 of " + c.Link, "off"
	default:
		return "MTU of " + c.Link, strconv.Itoa(int(c.MTU))
	}
	if c.Delete {
		value = ""
	}
	return what, value
}
