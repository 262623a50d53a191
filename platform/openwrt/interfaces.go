// Logical interfaces, as netifd knows them, and the name servers that came with
// them.

package openwrt

import (
	"context"
	"iter"
	"net/netip"
	"strings"
	"time"

	"gatehouse/internal/ubus"
	"gatehouse/platform"
)

// InterfaceStates implements platform.InterfaceStates.
func (b *backend) InterfaceStates(ctx context.Context) iter.Seq2[platform.InterfaceState, error] {
	return func(yield func(platform.InterfaceState, error) bool) {
		all, err := b.interfaces(ctx)
		if err != nil {
			yield(platform.InterfaceState{}, err)
			return
		}
		now := time.Now()
		for _, t := range all {
			if ctx.Err() != nil {
				yield(platform.InterfaceState{}, ctx.Err())
				return
			}
			if !yield(interfaceState(t, now), nil) {
				return
			}
		}
	}
}

// interfaces is the one dump that says all of netifd's interfaces.
func (b *backend) interfaces(ctx context.Context) ([]ubus.Table, error) {
	t, err := b.bus.ask(ctx, "network.interface", "dump", "")
	if err != nil {
		return nil, err
	}
	return tables(t, "interface"), nil
}

func interfaceState(t ubus.Table, now time.Time) platform.InterfaceState {
	s := platform.InterfaceState{
		Key: text(t, "interface"), Up: flag(t, "up"), Pending: flag(t, "pending"), Device: text(t, "l3_device"),
	}
	if s.Device == "" {
		s.Device = text(t, "device")
	}
	if s.Up {
		s.Since = now.Add(-time.Duration(unsigned(t, "uptime")) * time.Second).Truncate(time.Second)
	}
	s.Addrs = stateAddresses(t, s.Device)
	for _, d := range texts(t, "dns-server") {
		if a := address(d); a.IsValid() {
			s.DNS = append(s.DNS, a)
		}
	}
	if search := texts(t, "dns-search"); len(search) > 0 {
		s.Domain = strings.ToValidUTF8(search[0], "?") // of the provider: anything
	}
	for _, r := range tables(t, "route") {
		if hop := address(text(r, "nexthop")); number(r, "mask") == 0 && hop.IsValid() && !hop.IsUnspecified() {
			s.Routers = append(s.Routers, hop)
		}
	}
	data := table(t, "data")
	s.Server = address(text(data, "dhcpserver"))
	if lease := unsigned(data, "leasetime"); s.Up && lease > 0 && lease < 1<<31 {
		// netifd tells how long the lease is and since when it is up. Renewals
		// begin it anew, mostly at its half.
		since := now.Sub(s.Since)
		whole := time.Duration(lease) * time.Second
		s.LeaseEnds = now.Add(whole - since%max(whole/2, time.Second))
	}
	for _, e := range tables(t, "errors") {
		s.Error = strings.ToValidUTF8(text(e, "code"), "?")
	}
	return s
}

// stateAddresses are the addresses of an interface, and those that it has of
// prefixes that were delegated to another one.
func stateAddresses(t ubus.Table, device string) (all []platform.Address) {
	proto := text(t, "proto")
	add := func(e ubus.Table, auto bool) {
		a := address(text(e, "address"))
		p := netip.PrefixFrom(a, int(number(e, "mask")))
		if !p.IsValid() {
			return
		}
		x := platform.Address{Link: device, Prefix: p, Preferred: lifetime(e, "preferred"), Valid: lifetime(e, "valid")}
		switch {
		case proto == "static" && !auto:
			x.Permanent = true
		case a.Is4() || proto == "dhcpv6" && p.IsSingleIP():
			x.Dynamic = true
		default:
			x.Auto = true
		}
		all = append(all, x)
	}
	for _, list := range []string{"ipv4-address", "ipv6-address"} {
		for _, e := range tables(t, list) {
			add(e, false)
		}
	}
	for _, e := range tables(t, "ipv6-prefix-assignment") {
		add(table(e, "local-address"), true)
	}
	return all
}

func lifetime(t ubus.Table, name string) time.Duration {
	if _, told := t.Get(name); !told {
		return -1
	}
	return time.Duration(unsigned(t, name)) * time.Second
}

// DNS implements platform.Resolver: the servers of interfaces that are up, in
// netifd's order, which is that of the file that dnsmasq is given.
func (b *backend) DNS(ctx context.Context) (platform.DNS, error) {
	host, err := b.kernel.System.Hostname(ctx)
	if err != nil {
		return platform.DNS{}, err
	}
	d := platform.DNS{HostName: host}
	all, err := b.interfaces(ctx)
	if err != nil {
		return d, err
	}
	now := time.Now()
	for _, t := range all {
		s := interfaceState(t, now)
		if !s.Up {
			continue
		}
		for _, a := range s.DNS {
			d.Servers = append(d.Servers, platform.DNSServer{Addr: a, Link: s.Device, Type: originOf(text(t, "proto"), a)})
		}
		if d.Domain == "" {
			d.Domain = s.Domain
		}
	}
	return d, nil
}

// originOf names where a server comes from, in the words of TR-181.
func originOf(proto string, a netip.Addr) string {
	switch proto {
	case "dhcp":
		return "DHCPv4"
	case "dhcpv6":
		return "DHCPv6"
	case "pppoe", "pppoa", "ppp", "l2tp", "pptp":
		return "IPCP"
	case "qmi", "ncm", "mbim", "wwan", "modemmanager":
		return "3GPP-NAS"
	}
	return "Static"
}
