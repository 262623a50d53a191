package uciconf

// Channels in the words of TR-181, for whoever reads what radios do.

import (
	"slices"
	"strconv"
	"strings"
)

// BandOf is the frequency band that a frequency in MHz is in, "" none.
func BandOf(mhz int64) string {
	switch {
	case mhz >= 2400 && mhz < 2500:
		return "2.4GHz"
	case mhz >= 4900 && mhz < 5925:
		return "5GHz"
	case mhz >= 5925 && mhz < 7200:
		return "6GHz"
	}
	return ""
}

// Ranges writes numbers as "1-13" or "36,40,44".
func Ranges(list []int) string {
	slices.Sort(list)
	list = slices.Compact(list)
	var parts []string
	for i := 0; i < len(list); {
		j := i
		for j+1 < len(list) && list[j+1] == list[j]+1 {
			j++
		}
		part := strconv.Itoa(list[i])
		if j > i {
			part += "-" + strconv.Itoa(list[j])
		}
		parts = append(parts, part)
		i = j + 1
	}
	return strings.Join(parts, ",")
}
