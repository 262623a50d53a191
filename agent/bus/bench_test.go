package bus_test

import (
	"fmt"
	"syscall"
	"testing"
	"time"
)

// cpu is the time that this process has had: the door and the client together,
// which is more than the door's own.
func cpu() time.Duration {
	var r syscall.Rusage
	syscall.Getrusage(syscall.RUSAGE_SELF, &r)
	return time.Duration(r.Utime.Nano() + r.Stime.Nano())
}

// BenchmarkGetValues: at most 150 µs of CPU for one parameter and 10 ms for
// 1,000.
func BenchmarkGetValues(b *testing.B) {
	h := build(b)
	c := h.dial()
	var names []struct {
		Name, Type string
		Writable   bool
	}
	c.must("DataModel.GetNames", []any{"Device.", false, options{}}, &names)
	all := []string{}
	for len(all) < 1000 {
		for _, n := range names {
			if n.Type != "object" && len(all) < 1000 {
				all = append(all, n.Name)
			}
		}
	}
	for _, n := range []int{1, 1000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			var values options
			var out map[string]string
			before := cpu()
			for b.Loop() {
				c.must("DataModel.GetValues", []any{all[:n], options{}}, &values, &out)
			}
			b.ReportMetric(float64((cpu()-before).Microseconds())/float64(b.N), "cpu-µs/op")
		})
	}
	b.Run("Device.", func(b *testing.B) {
		var values options
		var out map[string]string
		before := cpu()
		for b.Loop() {
			c.must("DataModel.GetValues", []any{[]string{"Device."}, options{}}, &values, &out)
		}
		b.ReportMetric(float64(len(values)), "parameters")
		b.ReportMetric(float64((cpu()-before).Microseconds())/float64(b.N), "cpu-µs/op")
	})
}
