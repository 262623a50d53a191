package tr181_test

import (
	"net/netip"
	"testing"

	"gatehouse/platform"
)

// BenchmarkRead reads 20,000 parameters, most of them routes. The budget of the
// house is 15 ms of CPU.
func BenchmarkRead(b *testing.B) {
	h := build(b)
	routes := make([]platform.Route, 1740)
	for i := range routes {
		dest := netip.AddrFrom4([4]byte{10, byte(i >> 8), byte(i), 0})
		routes[i] = platform.Route{Dest: netip.PrefixFrom(dest, 24), Gateway: netip.MustParseAddr("203.0.113.1"), Link: "eth0", Protocol: "bgp"}
	}
	h.router.AddRoute(routes...)
	b.ReportAllocs()
	n := 0
	for b.Loop() {
		n = 0
		for _, err := range h.tree.Values(b.Context(), "Device.") {
			if err != nil {
				b.Fatal(err)
			}
			n++
		}
	}
	b.ReportMetric(float64(n), "parameters")
}
