// The knobs that change what the router is like, as the world would: cables,
// leases, clocks.

package fake

import (
	"maps"
	"slices"
	"time"

	"gatehouse/platform"
)

// change edits the state under the lock, lets the consequences settle, and
// tells the watchers.
func (r *Router) change(edit func(*state), events ...platform.Event) {
	r.mu.Lock()
	defer r.mu.Unlock()
	edit(&r.state)
	r.tell(append(r.settle(), events...)...)
}

// SetLink puts a cable in or pulls it: the link stays enabled.
func (r *Router) SetLink(name string, up bool) {
	r.change(func(s *state) {
		s.carrier = maps.Clone(s.carrier)
		s.carrier[name] = up
	})
}

// EditLink changes anything of a link; a name that is not there is added.
// Running, State, Changed and Upstream follow from the rest.
func (r *Router) EditLink(name string, edit func(*platform.Link)) {
	r.change(func(s *state) {
		s.links = slices.Clone(s.links)
		i := slices.IndexFunc(s.links, func(l platform.Link) bool { return l.Name == name })
		if i < 0 {
			next := 1
			for _, l := range s.links {
				next = max(next, l.Index+1)
			}
			s.links = append(s.links, platform.Link{Name: name, Index: next, MTU: 1500, Enabled: true})
			s.carrier = maps.Clone(s.carrier)
			s.carrier[name] = true
			i = len(s.links) - 1
		}
		edit(&s.links[i])
	}, platform.Event{Topic: platform.LinkChanged, Key: name})
}

// RemoveLink takes a link out, with its addresses and routes.
func (r *Router) RemoveLink(name string) {
	r.change(func(s *state) {
		s.links = replaced(s.links, func(l platform.Link) bool { return l.Name == name })
		s.addresses = replaced(s.addresses, func(a platform.Address) bool { return a.Link == name })
		s.routes = replaced(s.routes, func(x platform.Route) bool { return x.Link == name })
		s.neighbors = replaced(s.neighbors, func(n platform.Neighbor) bool { return n.Link == name })
		s.ipv6 = replaced(s.ipv6, func(l platform.IPv6Link) bool { return l.Link == name })
	}, platform.Event{Topic: platform.LinkChanged, Key: name},
		platform.Event{Topic: platform.AddressChanged, Key: name}, platform.Event{Topic: platform.RouteChanged})
}

// SetAddress adds addresses or, where link and IP are there, replaces them.
func (r *Router) SetAddress(as ...platform.Address) {
	for _, a := range as {
		r.change(func(s *state) { s.addresses = replaced(s.addresses, sameAddress(a), a) },
			platform.Event{Topic: platform.AddressChanged, Key: a.Link})
	}
}

// RemoveAddress takes an address from a link.
func (r *Router) RemoveAddress(a platform.Address) {
	r.change(func(s *state) { s.addresses = replaced(s.addresses, sameAddress(a)) },
		platform.Event{Topic: platform.AddressChanged, Key: a.Link})
}

func sameAddress(a platform.Address) func(platform.Address) bool {
	return func(b platform.Address) bool { return a.Link == b.Link && a.Prefix.Addr() == b.Prefix.Addr() }
}

// AddRoute adds routes, as many as wanted, with one event.
func (r *Router) AddRoute(rs ...platform.Route) {
	r.change(func(s *state) { s.routes = append(slices.Clone(s.routes), rs...) },
		platform.Event{Topic: platform.RouteChanged})
}

// RemoveRoutes takes out the routes that match.
func (r *Router) RemoveRoutes(match func(platform.Route) bool) {
	r.change(func(s *state) { s.routes = replaced(s.routes, match) },
		platform.Event{Topic: platform.RouteChanged})
}

// SetNeighbor adds hosts or, where link, MAC and IP are there, replaces them.
func (r *Router) SetNeighbor(ns ...platform.Neighbor) {
	r.change(func(s *state) {
		for _, n := range ns {
			s.neighbors = replaced(s.neighbors, func(o platform.Neighbor) bool {
				return o.Link == n.Link && o.MAC == n.MAC && o.Addr == n.Addr
			}, n)
		}
	}, platform.Event{Topic: platform.NeighborChanged})
}

// RemoveNeighbor forgets a host.
func (r *Router) RemoveNeighbor(mac string) {
	r.change(func(s *state) {
		s.neighbors = replaced(s.neighbors, func(n platform.Neighbor) bool { return n.MAC == mac })
	}, platform.Event{Topic: platform.NeighborChanged})
}

// SetIPv6Link adds the IPv6 configuration of a link, or replaces it.
func (r *Router) SetIPv6Link(l platform.IPv6Link) {
	r.change(func(s *state) {
		s.ipv6 = replaced(s.ipv6, func(o platform.IPv6Link) bool { return o.Link == l.Link }, l)
	})
}

// SetIPEnabled switches a family on or off.
func (r *Router) SetIPEnabled(ipv6, on bool) {
	r.change(func(s *state) {
		if ipv6 {
			s.noFamily[1] = !on
		} else {
			s.noFamily[0] = !on
		}
	})
}

// SetDNS changes what the resolver is told.
func (r *Router) SetDNS(d platform.DNS) {
	d.Servers = slices.Clone(d.Servers)
	r.change(func(s *state) { s.dns = d }, platform.Event{Topic: platform.ResolverChanged})
}

// SetHostname renames the router: somebody else does, in its configuration.
func (r *Router) SetHostname(name string) {
	r.change(func(s *state) {
		s.hostname = name
		row := hostRow(name)
		r.config.committed[hostTable] = []entry{{row.Key, row.Value, true}}
	}, platform.Event{Topic: platform.HostnameChanged})
}

// SetID makes it another device.
func (r *Router) SetID(id platform.ID) { r.change(func(s *state) { s.id = id }) }

// SetMemory sets the memory counters.
func (r *Router) SetMemory(m platform.Memory) { r.change(func(s *state) { s.memory = m }) }

// SetCPUUsage sets the load, in percent.
func (r *Router) SetCPUUsage(percent uint32) { r.change(func(s *state) { s.cpu = percent }) }

// SetProcesses replaces the process table.
func (r *Router) SetProcesses(ps ...platform.Process) {
	ps = slices.Clone(ps)
	r.change(func(s *state) { s.processes = ps })
}

// SetSensors replaces the thermometers.
func (r *Router) SetSensors(ss ...platform.Sensor) {
	ss = slices.Clone(ss)
	r.change(func(s *state) { s.sensors = ss })
}

// SetLogs replaces the log files.
func (r *Router) SetLogs(ls ...platform.Log) {
	ls = slices.Clone(ls)
	r.change(func(s *state) { s.logs = ls })
}

// SetTime changes what the router knows of the time; the clock itself is
// moved by Step.
func (r *Router) SetTime(t platform.TimeStatus) {
	t.Servers = slices.Clone(t.Servers)
	r.change(func(s *state) { s.time = t })
}

// Step sets the wall clock forward or back, and reports it.
func (r *Router) Step(d time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.offset += d
	r.tell(platform.Event{Topic: platform.ClockStepped})
}

// settle works out what follows from the rest of the state: which links run,
// what their State is, by which the default routes leave. It returns the
// events of what changed.
func (r *Router) settle() (events []platform.Event) {
	s := &r.state
	links := slices.Clone(s.links)
	running := map[string]bool{}
	for _, l := range links {
		if l.Kind != platform.LinkBridge && l.Kind != platform.LinkVLAN {
			running[l.Name] = l.Enabled && s.carrier[l.Name]
		}
	}
	for _, l := range links { // a bridge runs while one of its ports does
		running[l.Master] = running[l.Master] || running[l.Name]
	}
	for _, l := range links {
		switch l.Kind {
		case platform.LinkBridge:
			running[l.Name] = running[l.Name] && l.Enabled
		case platform.LinkVLAN:
			running[l.Name] = running[l.Parent] && l.Enabled
		}
	}
	upstream := map[string]bool{}
	for _, x := range s.routes {
		if x.Dest.Bits() == 0 {
			upstream[x.Link] = true
		}
	}
	for i := range links {
		l := &links[i]
		old := *l
		l.Running, l.Upstream, l.State = running[l.Name], upstream[l.Name], linkState(*l, running[l.Name])
		if l.Master != "" {
			l.PortState = map[bool]string{true: "Forwarding", false: "Disabled"}[l.Running]
		}
		if l.State != old.State {
			l.Changed = r.now()
		}
		if *l != old {
			events = append(events, platform.Event{Topic: platform.LinkChanged, Key: l.Name})
		}
	}
	s.links = links
	return events
}

func linkState(l platform.Link, running bool) string {
	switch {
	case running:
		return "Up"
	case l.Enabled && l.Kind == platform.LinkVLAN:
		return "LowerLayerDown"
	}
	return "Down"
}
