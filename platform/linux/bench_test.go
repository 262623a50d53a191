// What reading costs.

package linux

import (
	"fmt"
	"net/netip"
	"runtime"
	"testing"

	"gatehouse/platform"
)

// BenchmarkRoutes reads a table of ten thousand routes and reports the peak of
// live memory over what was there before, in KiB. (vishvananda/netlink's
// RouteList: 14.7 MB.)
func BenchmarkRoutes(b *testing.B) {
	bench := newBench(b)
	var routes []platform.Route
	for i := range 10_000 {
		routes = append(routes, platform.Route{
			Dest: netip.MustParsePrefix(fmt.Sprintf("10.%d.%d.0/24", i/250, i%250)), Gateway: netip.MustParseAddr("192.0.2.1"), Link: "wan0",
		})
	}
	bench.knobs().AddRoutes(routes...)
	routes = nil
	p := bench.platform()
	heap := func() uint64 {
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	var most uint64
	for b.Loop() {
		b.StopTimer()
		runtime.GC()
		before, n := heap(), 0
		b.StartTimer()
		for _, err := range p.Routes.Routes(b.Context(), false) {
			if err != nil {
				b.Fatal(err)
			}
			if n++; n%1000 == 0 {
				b.StopTimer()
				if now := heap(); now > before {
					most = max(most, now-before)
				}
				b.StartTimer()
			}
		}
		if n < 10_000 {
			b.Fatalf("%d routes", n)
		}
	}
	b.ReportMetric(float64(most>>10), "KiB-peak")
}

func BenchmarkLinks(b *testing.B) {
	p := newBench(b).platform()
	b.ReportAllocs()
	for b.Loop() {
		for _, err := range p.Links.Links(b.Context()) {
			if err != nil {
				b.Fatal(err)
			}
		}
	}
}

func BenchmarkProcesses(b *testing.B) {
	p, err := New(Options{})
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		for _, err := range p.Processes.Processes(b.Context()) {
			if err != nil {
				b.Fatal(err)
			}
		}
	}
}
