package api_test

import "testing"

// BenchmarkGet: one parameter (150 µs of CPU are allowed), and the whole model.
func BenchmarkGet(b *testing.B) {
	for name, path := range map[string]string{"one": wan + "Status", "all": "Device."} {
		b.Run(name, func(b *testing.B) {
			h := build(b)
			n := 0
			for b.Loop() {
				n = 0
				for _, err := range h.api.Get(b.Context(), reader, []string{path}) {
					if err != nil {
						b.Fatal(err)
					}
					n++
				}
			}
			b.ReportMetric(float64(n), "parameters")
		})
	}
}
