package endpoint

import (
	"cmp"
	"slices"
	"sort"
)

// orderSRV returns the records in the order in which to try them (RFC 2782):
// priority by priority, and within one drawn at random by weight without
// putting back. Records of weight 0 come first among those drawn from, so that
// they have their small chance.
func orderSRV(in []SRV, pick func(n int) int) []SRV {
	out := slices.Clone(in)
	sort.SliceStable(out, func(i, j int) bool {
		return cmp.Or(cmp.Compare(out[i].Priority, out[j].Priority), cmp.Compare(out[i].Weight, out[j].Weight)) < 0
	})
	for start := 0; start < len(out); {
		end := start
		for end < len(out) && out[end].Priority == out[start].Priority {
			end++
		}
		draw(out[start:end], pick)
		start = end
	}
	return out
}

// draw orders one priority, which is sorted by weight.
func draw(group []SRV, pick func(n int) int) {
	if group[0].Weight == group[len(group)-1].Weight { // nothing to weigh
		for i := len(group) - 1; i > 0; i-- {
			j := pick(i + 1)
			group[i], group[j] = group[j], group[i]
		}
		return
	}
	for ; len(group) > 1; group = group[1:] {
		sum := 0
		for _, s := range group {
			sum += int(s.Weight)
		}
		at, chosen := pick(sum+1), 0
		for running := int(group[0].Weight); running < at; running += int(group[chosen].Weight) {
			chosen++
		}
		s := group[chosen]
		copy(group[1:chosen+1], group[:chosen]) // the rest keeps its order
		group[0] = s
	}
}
