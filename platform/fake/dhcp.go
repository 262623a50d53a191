// A DHCP server: its configuration, and the leases that it has given.

package fake

import (
	"context"
	"fmt"
	"iter"
	"maps"
	"net/netip"
	"slices"
	"time"

	"gatehouse/platform"
)

// Leases is the source of the DHCP server's leases.
const Leases Source = "leases"

// homeDHCP serves the bridge, keeps an address for the printer and tells the
// clients of a time server.
func (r *Router) homeDHCP() {
	const service = "dhcp"
	pools := table[platform.DHCPPool]{r: r, name: "pool", service: service, clone: clonePool,
		fresh: platform.DHCPPool{LeaseTime: 24 * time.Hour}}
	options := table[platform.DHCPOption]{r: r, name: "option", service: service, fresh: platform.DHCPOption{Tag: 1},
		clone: func(o platform.DHCPOption) platform.DHCPOption { o.Value = slices.Clone(o.Value); return o }}
	ip := netip.MustParseAddr
	r.tables.DHCP = platform.DHCP{
		Server: seed(table[platform.DHCPServer]{r: r, name: "dhcp server", service: service}, true,
			platform.Entry[platform.DHCPServer]{Key: "server", Value: platform.DHCPServer{Enabled: true}}),
		Pools: seed(pools, false, platform.Entry[platform.DHCPPool]{Key: "lan", Value: platform.DHCPPool{
			Enabled: true, Interface: "br-lan", Min: ip("192.168.1.100"), Max: ip("192.168.1.249"), Mask: ip("255.255.255.0"),
			DNS: []netip.Addr{ip("192.168.1.1")}, Domain: "lan", Routers: []netip.Addr{ip("192.168.1.1")}, LeaseTime: 12 * time.Hour,
		}}),
		Hosts: seed(table[platform.DHCPHost]{r: r, name: "host", service: service}, false,
			platform.Entry[platform.DHCPHost]{Key: "printer", Value: platform.DHCPHost{
				Enabled: true, Pool: "lan", MAC: "00:00:5e:00:53:22", Addr: ip("192.168.1.103"), Name: "printer",
			}}),
		Options: seed(options, false, platform.Entry[platform.DHCPOption]{Key: "ntp", Value: platform.DHCPOption{
			Enabled: true, Pool: "lan", Tag: 42, Value: []byte{192, 168, 1, 1},
		}}),
		Leases: backend{r},
	}
	r.tables.DHCP.Applied = r.applied(service, "pool") // of what is there by now
	for i, name := range []string{"laptop", "phone", "printer"} {
		mac := fmt.Sprintf("00:00:5e:00:53:%02x", 0x20+i)
		r.state.leases = append(r.state.leases, platform.Lease{
			MAC: mac, Addr: netip.AddrFrom4([4]byte{192, 168, 1, byte(101 + i)}), Name: name, ClientID: "01:" + mac,
			Ends: time.Now().Round(0).Add(11 * time.Hour),
		})
	}
}

// standOn lets the home's rows of DHCP and NAT refer to other IP interfaces.
func (r *Router) standOn(lan, wan string) {
	is := func(key string) string { return map[string]string{"br-lan": lan, "eth0": wan}[key] }
	for _, name := range []string{"pool", "nat", "mapping"} {
		for i, e := range r.config.committed[name] {
			switch row := e.value.(type) {
			case platform.DHCPPool:
				row.Interface = is(row.Interface)
				e.value = row
			case platform.NATInterface:
				row.Interface = is(row.Interface)
				e.value = row
			case platform.PortMapping:
				row.Interface = is(row.Interface)
				e.value = row
			}
			r.config.committed[name][i] = e
		}
	}
}

func clonePool(p platform.DHCPPool) platform.DHCPPool {
	p.Reserved, p.DNS, p.Routers = slices.Clone(p.Reserved), slices.Clone(p.DNS), slices.Clone(p.Routers)
	return p
}

func (b backend) Leases(ctx context.Context) iter.Seq2[platform.Lease, error] {
	return stream(ctx, b, Leases, func(s state) []platform.Lease { return s.leases }, nil)
}

// SetLease gives addresses to clients or, where MAC and address are there,
// replaces the leases.
func (r *Router) SetLease(ls ...platform.Lease) {
	r.change(func(s *state) {
		for _, l := range ls {
			s.leases = replaced(s.leases, func(o platform.Lease) bool { return o.MAC == l.MAC && o.Addr == l.Addr }, l)
		}
	}, platform.Event{Topic: platform.LeaseChanged})
}

// RemoveLease takes a client's leases back.
func (r *Router) RemoveLease(mac string) {
	r.change(func(s *state) {
		s.leases = replaced(s.leases, func(l platform.Lease) bool { return l.MAC == mac })
	}, platform.Event{Topic: platform.LeaseChanged})
}

// DHCPAnswers implements platform.DHCPClient.
func (b backend) DHCPAnswers(ctx context.Context) iter.Seq2[platform.DHCPAnswer, error] {
	return stream(ctx, b, Answers, func(s state) []platform.DHCPAnswer { return s.answers }, nil)
}

// SetDHCPAnswer has a DHCP server answer on a link, in place of what it said
// before.
func (r *Router) SetDHCPAnswer(a platform.DHCPAnswer) {
	r.change(func(s *state) {
		s.answers = replaced(s.answers, func(o platform.DHCPAnswer) bool { return o.Link == a.Link }, a)
	}, platform.Event{Topic: platform.DHCPAnswered, Key: a.Link})
}

// Renewals returns how often the lease of an interface was renewed.
func (r *Router) Renewals(key string) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.network.renewals[key]
}

// Renew counts.
func (b backend) Renew(ctx context.Context, key string) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.network.renewals[key]++
	return ctx.Err()
}

// applied reads which rows of some tables a service has taken up.
type applied struct {
	r       *Router
	service string
	tables  []string
	took    store
}

// applied follows what a service takes up, from now on.
func (r *Router) applied(service string, tables ...string) *applied {
	a := &applied{r: r, service: service, tables: tables}
	take := func() { a.took = maps.Clone(r.config.committed) }
	take()
	r.config.takeUp[service] = append(r.config.takeUp[service], take)
	return a
}

// Applied implements platform.Applied.
func (a *applied) Applied(ctx context.Context) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		if _, err := (backend{a.r}).read(ctx, Source("applied "+a.service)); err != nil {
			yield("", err)
			return
		}
		a.r.mu.Lock()
		took := a.took
		a.r.mu.Unlock()
		for _, name := range a.tables {
			for _, e := range took[name] {
				if err := ctx.Err(); err != nil {
					yield("", err)
					return
				}
				if on(e.value) && !yield(e.key, nil) {
					return
				}
			}
		}
	}
}

// on says whether a row is switched on.
func on(row any) bool {
	switch row := row.(type) {
	case platform.DHCPPool:
		return row.Enabled
	case platform.NATInterface:
		return row.Enabled
	case platform.PortMapping:
		return row.Enabled
	}
	return true
}
