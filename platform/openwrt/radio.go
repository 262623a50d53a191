// What iwinfo says of a radio, in the words of TR-181.

package openwrt

import (
	"slices"
	"strings"

	"gatehouse/internal/ubus"
	"gatehouse/platform"
	"gatehouse/platform/uciconf"
)

// describe takes over `iwinfo info`.
func describe(s *platform.RadioState, info ubus.Table) {
	s.Name = text(info, "phy")
	s.Channel = uint32(unsigned(info, "channel"))
	s.Standards = texts(info, "hwmodes")
	s.Width = width(text(info, "htmode"))
	if n := number(info, "noise"); n < 0 {
		s.Noise = int32(n)
	}
	for _, mode := range texts(info, "htmodes") {
		if w := width(mode); w != "" && !slices.Contains(s.Widths, w) {
			s.Widths = append(s.Widths, w)
		}
	}
	if s.Widths != nil {
		s.Widths = append(s.Widths, "Auto")
	}
	s.WMM, s.UAPSD = true, true // mac80211 can do them with every radio that has access points
}

// width is the bandwidth that a mode ends with: HT20, VHT80, VHT80+80, HE160,
// EHT320.
func width(htmode string) string {
	mhz := strings.TrimLeft(htmode, "ABCDEFGHIJKLMNOPQRSTUVWXYZ")
	switch {
	case htmode == "NOHT":
		return "20MHz"
	case mhz == "320":
		return "320MHz-1" // iwinfo does not tell the two apart
	case mhz == "":
		return ""
	}
	return strings.TrimRight(mhz, "+-") + "MHz"
}

// possible takes over `iwinfo freqlist`: the bands that the radio can use, and
// the channels of the one that it is set to. Without a list, the band it is set
// to is all that is known.
func possible(s *platform.RadioState, freqs []ubus.Table, set string) {
	current := map[string]string{"2g": "2.4GHz", "5g": "5GHz", "6g": "6GHz"}[set]
	var channels []int
	for _, f := range freqs {
		mhz := number(f, "mhz")
		band := uciconf.BandOf(mhz)
		if band == "" || flag(f, "restricted") || slices.Contains(texts(f, "flags"), "NO_IR") {
			continue
		}
		if !slices.Contains(s.Bands, band) {
			s.Bands = append(s.Bands, band)
		}
		if band == current || current == "" {
			channels = append(channels, int(number(f, "channel")))
		}
		if mhz >= 5260 && mhz <= 5720 { // where radars are (ETSI EN 301 893)
			s.DFS = true
		}
	}
	if s.Bands == nil && current != "" {
		s.Bands = []string{current}
	}
	s.Channels = uciconf.Ranges(channels)
}

// percents are the powers that a radio can send with, of the largest.
func percents(powers []ubus.Table) (list []int32) {
	most := int64(0)
	for _, p := range powers {
		most = max(most, number(p, "mw"))
	}
	for _, p := range powers {
		if n := int32((100*number(p, "mw") + most/2) / max(most, 1)); n > 0 {
			list = append(list, n)
		}
	}
	slices.Sort(list)
	return slices.Compact(list)
}
