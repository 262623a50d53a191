// The forwarding tables where they are large or odd.

package tr181

import (
	"fmt"
	"iter"
	"net/netip"
	"testing"

	"gatehouse/datamodel"
	"gatehouse/platform"
)

// An IPv4 route may have a gateway of the other family (RFC 8950); a parameter
// that holds IPv4 addresses cannot say so.
func TestIPv4RouteWithIPv6Gateway(t *testing.T) {
	row := systemIPv4Route(platform.Route{Dest: netip.MustParsePrefix("192.0.2.0/24"), Gateway: netip.MustParseAddr("fe80::1"), Link: "wan"}, linkRef)
	if row.gateway != "" {
		t.Errorf("GatewayIPAddress is %q", row.gateway)
	}
}

// Kept rows among many of the system: each is read once, not once per route.
func TestManyRoutesReadKeptRowsOnce(t *testing.T) {
	const ours, theirs = 100, 1000
	has := func(yield func(platform.Route, error) bool) {
		for i := range theirs {
			p := netip.PrefixFrom(netip.AddrFrom4([4]byte{100, 64 + byte(i>>8), byte(i), 0}), 24)
			if !yield(platform.Route{Dest: p, Link: "wan", Gateway: netip.MustParseAddr("192.0.2.1")}, nil) {
				return
			}
		}
	}
	kept := func(yield func(datamodel.Row[ipv4Route], error) bool) {
		for i := range ours {
			row := ipv4Route{enable: true, dest: fmt.Sprintf("100.64.%d.0", 2*i), mask: "255.255.255.0", gateway: "192.0.2.1", metric: -1}
			if !yield(datamodel.Row[ipv4Route]{Key: fmt.Sprint(i), Value: &row}, nil) {
				return
			}
		}
	}
	read, rows, enabled := 0, 0, 0
	var all iter.Seq2[datamodel.Row[ipv4Route], error] = mergedRoutes(has, kept,
		func(r *ipv4Route) (platform.Route, bool) { read++; return r.route(), r.enable },
		func(r *ipv4Route) *string { return &r.status },
		func(r platform.Route) ipv4Route { return systemIPv4Route(r, linkRef) })
	for row, err := range all {
		if err != nil {
			t.Fatal(err)
		}
		rows++
		if row.Value.mask == "255.255.255.0" && len(row.Key) < 4 && row.Value.status == "Enabled" {
			enabled++
		}
	}
	if rows != theirs || enabled != ours || read > ours {
		t.Errorf("%d rows, %d of ours enabled, ours were read %d times", rows, enabled, read)
	}
}
