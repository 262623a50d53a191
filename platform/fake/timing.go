// How the router in memory keeps the time, whom it asks for names, and who may
// log in to it.

package fake

import (
	"context"
	"iter"
	"net/netip"
	"slices"

	"gatehouse/platform"
)

// homeTiming keeps the time client's configuration in package "system".
func (r *Router) homeTiming() {
	t := seed(table[platform.TimeConfig]{r: r, name: "timing", service: "system", clone: cloneTime}, true,
		platform.Entry[platform.TimeConfig]{Key: "ntp", Value: platform.TimeConfig{
			Enabled: true, Zone: r.state.time.POSIX, Name: r.state.time.Zone, Servers: slices.Clone(r.state.time.Servers),
		}})
	t.takenUp(func() {
		for _, row := range t.committed() {
			c := cloneTime(row.Value)
			s := &r.state.time
			s.NTP, s.POSIX, s.Zone, s.Servers = c.Enabled, c.Zone, c.Name, c.Servers
			s.Synced = s.Synced && c.Enabled && len(c.Servers) > 0
		}
		r.tell(platform.Event{Topic: platform.ClockStepped})
	})
	r.tables.Timing = t
}

func cloneTime(c platform.TimeConfig) platform.TimeConfig {
	c.Servers = slices.Clone(c.Servers)
	return c
}

// homeNaming keeps the device's name in package "system", the resolver and the relay
// in package "dnsmasq". What a
// forwarder that was added says is what the resolver is told from then on.
func (r *Router) homeNaming() {
	host := seed(table[platform.HostConfig]{r: r, name: hostTable, service: "system"}, true, hostRow(r.state.hostname))
	host.takenUp(func() {
		r.state.hostname = host.committed()[0].Value.Name
		r.tell(platform.Event{Topic: platform.HostnameChanged})
	})
	r.tables.Host = host
	r.tables.Naming = seed(table[platform.DNSConfig]{r: r, name: "naming", service: "dnsmasq"}, true,
		platform.Entry[platform.DNSConfig]{Key: "dns", Value: platform.DNSConfig{ClientEnabled: true, RelayEnabled: true}})
	forwards := seed(table[platform.DNSForward]{r: r, name: "forwards", service: "dnsmasq"}, false,
		platform.Entry[platform.DNSForward]{Key: "forward0", Value: platform.DNSForward{
			Enabled: true, Relay: true, Server: netip.MustParseAddr("192.0.2.53"),
		}})
	var told []netip.Addr
	forwards.takenUp(func() {
		servers := slices.DeleteFunc(slices.Clone(r.state.dns.Servers), func(s platform.DNSServer) bool {
			return s.Type == "Static" && slices.Contains(told, s.Addr)
		})
		told = nil
		for _, row := range forwards.committed() {
			if f := row.Value; f.Enabled && !f.Relay && f.Server.IsValid() {
				servers = append(servers, platform.DNSServer{Addr: f.Server, Link: f.Interface, Type: "Static"})
				told = append(told, f.Server)
			}
		}
		r.state.dns.Servers = servers
		r.tell(platform.Event{Topic: platform.ResolverChanged})
	})
	r.tables.Forwards = forwards
}

const hostTable = "hostname"

func hostRow(name string) platform.Entry[platform.HostConfig] {
	return platform.Entry[platform.HostConfig]{Key: "host", Value: platform.HostConfig{Name: name}}
}

// homeUsers keeps accounts in package "users". A password is never read back.
func (r *Router) homeUsers() {
	r.tables.Users = users{seed(table[platform.User]{r: r, name: "users", service: "users", merge: keepPassword}, false,
		platform.Entry[platform.User]{Key: "admin", Value: platform.User{Enabled: true, Name: "admin", Password: "hunter2", Language: "en"}},
		platform.Entry[platform.User]{Key: "guest", Value: platform.User{Name: "guest"}})}
}

// users is the table of accounts, whose passwords cannot be seen.
type users struct{ table[platform.User] }

// Rows leaves the passwords out.
func (u users) Rows(ctx context.Context) iter.Seq2[platform.Entry[platform.User], error] {
	return func(yield func(platform.Entry[platform.User], error) bool) {
		for row, err := range u.table.Rows(ctx) {
			row.Value.Password = ""
			if !yield(row, err) {
				return
			}
		}
	}
}

func keepPassword(old, next platform.User) platform.User {
	if next.Password == "" {
		next.Password = old.Password
	}
	return next
}

// Password is what a user of that name logs in with, for tests.
func (r *Router) Password(name string) string {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, row := range r.tables.Users.(users).committed() {
		if row.Value.Name == name {
			return row.Value.Password
		}
	}
	return ""
}
