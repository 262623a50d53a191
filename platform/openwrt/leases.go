// Who has been given an address: dnsmasq's file and, where odhcpd serves IPv4,
// what it says on the bus.

package openwrt

import (
	"context"
	"iter"
	"slices"
	"strconv"
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
	now := time.Now()
	all := dnsmasqLeases(small(b.paths.leases), now)
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
			x := odhcpdLease(l, now)
			known := slices.ContainsFunc(all, func(o platform.Lease) bool { return o.Addr == x.Addr })
			if x.Addr.Is4() && !known && len(all) < maxLeases {
				all = append(all, x)
			}
		}
	}
	return all, nil
}

// dnsmasqLeases reads "expiry mac ip name client-id". A name or an identifier
// that is not there is a star.
func dnsmasqLeases(file []byte, now time.Time) (all []platform.Lease) {
	given := func(s string) string { return strings.TrimPrefix(s, "*") }
	for l := range strings.Lines(string(file)) {
		f := strings.Fields(l)
		if len(f) < 4 || len(all) >= maxLeases {
			continue
		}
		ends, err := strconv.ParseInt(f[0], 10, 64)
		x := platform.Lease{MAC: hardware(f[1]), Addr: address(f[2]), Name: given(f[3])}
		if err != nil || !x.Addr.Is4() {
			continue // what follows "duid" is of DHCPv6
		}
		if i := strings.IndexByte(x.MAC, '-'); i >= 0 { // "06-aa:bb…": hardware type first
			x.MAC = x.MAC[i+1:]
		}
		if len(f) > 4 {
			x.ClientID = given(f[4])
		}
		if ends > 0 {
			if x.Ends = time.Unix(ends, 0); !x.Ends.After(now) {
				continue
			}
		}
		all = append(all, x)
	}
	return all
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
