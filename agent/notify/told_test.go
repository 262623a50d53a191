package notify

import "testing"

// The vector of the paper's appendix A, and two of the reference table.
func TestSipHash(t *testing.T) {
	const k0, k1 = 0x0706050403020100, 0x0f0e0d0c0b0a0908
	in := ""
	for i := range 15 {
		in += string(rune(i))
	}
	for n, want := range map[int]uint64{15: 0xa129ca6149be45e5, 0: 0x726fdb47dd0e0e31, 8: 0x93f5f5799a932462} {
		if got := sipHash(k0, k1, in[:n]); got != want {
			t.Errorf("%d bytes: %016x, want %016x", n, got, want)
		}
	}
}
