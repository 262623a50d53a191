// Who has been given an address: dnsmasq's file and, where odhcpd serves IPv4,
// what it says on the bus.

package openwrt

import (
	"context"
	"iter"
	"slices"
	"strings"
	"time"

	"gatehouse/internal/ubus"
	"gatehouse/platform"
)

// maxLeases bounds what a file may make us keep: any host of the network can
// ask for leases.
const maxLeases = 4096

// Leases implements platform.Leases.
func (b *backend) Leases(ctx context.Context) iter.Seq2[platform.Lease, error] {
	return each(ctx, b.leases, func(l platform.Lease) ([]platform.Lease, error) { return []platform.Lease{l}, nil })
}

func (b *backend) leases(ctx context.Context) ([]platform.Lease, error) {
	var all []platform.Lease
	for l, err := range b.kernel.DHCP.Leases.Leases(ctx) {
		if err != nil {
			return nil, err
		}
		all = append(all, l)
	}
	t, err := b.bus.ask(ctx, "dhcp", "ipv4leases", "")
	if isAbsent(err) {
		return all, nil // odhcpd is not there
	}
	if err != nil {
		return nil, err
	}
	for _, f := range table(t, "device") {
		device, _ := f.Value.(ubus.Table)
		for _, l := range tables(device, "leases") {
			x := odhcpdLease(l, time.Now())
			known := slices.ContainsFunc(all, func(o platform.Lease) bool { return o.Addr == x.Addr })
			if x.Addr.Is4() && !known && len(all) < maxLeases {
				all = append(all, x)
			}
		}
	}
	return all, nil
}

// odhcpdLease reads an entry of `dhcp ipv4leases`; valid is in seconds, -1 for
// ever.
func odhcpdLease(t ubus.Table, now time.Time) platform.Lease {
	x := platform.Lease{Addr: address(text(t, "ip")), Name: strings.TrimPrefix(text(t, "hostname"), "*")}
	if mac := hardware(text(t, "mac")); len(mac) == 12 {
		parts := make([]string, 0, 6)
		for i := 0; i < 12; i += 2 {
			parts = append(parts, mac[i:i+2])
		}
		x.MAC = strings.Join(parts, ":")
	}
	if n := number(t, "valid"); n >= 0 {
		x.Ends = now.Add(time.Duration(n) * time.Second).Truncate(time.Second)
	}
	return x
}
