package linuxconf

// The part of hostapd's configuration that is about the radio: channel, width,
// and what the hardware can. hostapd refuses to start a radio that is told more
// than its driver says.

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"gatehouse/internal/nl80211"
	"gatehouse/platform"
)

// A cell is a radio with the networks that it is to offer.
type cell struct {
	radio  radio
	conf   platform.Radio
	link   string // its network interface, after which hostapd's file is called
	survey bool   // it can measure its channels, and so choose one
	nets   []wlan
	left   []leftOut // networks that are on and could not be offered
}

// bandIDs are the kernel's numbers of the bands.
var bandIDs = map[string]uint16{"2.4GHz": unix.NL80211_BAND_2GHZ, "5GHz": unix.NL80211_BAND_5GHZ, "6GHz": unix.NL80211_BAND_6GHZ}

// generations of 802.11, in the order in which they came.
var generations = []string{"n", "ac", "ax"}

// air writes what concerns the radio as a whole.
func (c *cell) air(l *lines) error {
	band := c.radio.band(c.conf.Band)
	if band == nil {
		return fmt.Errorf("it has no band %q", c.conf.Band)
	}
	standards := strings.Split(c.conf.Standards, ",")
	country := c.conf.Country != ""
	if country {
		l.set("country_code", c.conf.Country)
		l.set("ieee80211d", "1")
		l.flag("ieee80211h", c.conf.DFS && c.conf.Band == "5GHz")
	}
	channel, err := c.channel(band)
	if err != nil {
		return err
	}
	mode := "a"
	if c.conf.Band == "2.4GHz" {
		mode = "g"
	}
	l.set("hw_mode", mode)
	if channel == 0 {
		l.set("channel", "acs_survey")
		l.flag("acs_exclude_dfs", !country || !c.conf.DFS)
	} else {
		l.num("channel", channel)
	}
	if c.conf.BeaconEvery > 0 {
		l.num("beacon_int", int(c.conf.BeaconEvery))
	}
	if mode == "g" && !slices.Contains(standards, "b") {
		l.set("supported_rates", "60 90 120 180 240 360 480 540")
		l.set("basic_rates", "60 120 240")
	}
	w, err := c.width(band, channel, speaks(standards, band))
	if err != nil {
		return err
	}
	switch standards[0] { // who speaks only what came before is not let in
	case "n":
		l.set("require_ht", "1")
	case "ac":
		l.set("require_vht", "1")
	case "ax":
		if c.conf.Band != "6GHz" {
			return errors.New("hostapd cannot keep out stations that do not speak 802.11ax")
		}
	}
	w.render(l, c, band)
	return nil
}

// speaks is how many generations a radio is to speak, and can.
func speaks(standards []string, b *nl80211.Band) (n int) {
	for i, can := range []bool{b.HT, b.VHT, b.HEPhy != nil} {
		if can && slices.Contains(standards, generations[i]) {
			n = i + 1
		}
	}
	return n
}

// channel is the one to be told; 0: hostapd chooses. A radio that cannot measure
// gets the first on which it may send without listening for radars.
func (c *cell) channel(b *nl80211.Band) (int, error) {
	if c.conf.Channel != 0 {
		n := int(c.conf.Channel)
		if !slices.ContainsFunc(b.Channels, func(x nl80211.Channel) bool { return x.Number() == n }) {
			return 0, fmt.Errorf("channel %d is none of its %s band", n, c.conf.Band)
		}
		return n, nil
	}
	if c.survey {
		return 0, nil
	}
	country := c.conf.Country != "" // hostapd sets it first, and that changes what is allowed
	for _, x := range b.Channels {
		if (usable(x) || country && !x.Disabled) && !x.Radar && x.Number() != 0 {
			return x.Number(), nil
		}
	}
	return 0, fmt.Errorf("it may use no channel of %s without a country being set", c.conf.Band)
}

// usable says whether an access point may send there.
func usable(c nl80211.Channel) bool { return !c.Disabled && !c.NoIR }

// A block is what a radio sends on: how wide, which generations, and of a channel
// that is not left to hostapd where the middle is.
type block struct {
	mhz        int
	generation int
	center     int // channel number of the middle; 0: hostapd finds it
	second     int // where the other half of 40 MHz is: 1 above, -1 below, 0 there is none
}

// width finds the block of a channel. One that was asked for is kept or refused;
// one that was not gets narrower until it fits.
func (c *cell) width(b *nl80211.Band, channel, generation int) (block, error) {
	can := widest(c.conf.Band, b, generation)
	mhz, auto := 20, c.conf.Width == "Auto"
	switch {
	case !auto:
		if _, err := fmt.Sscanf(c.conf.Width, "%dMHz", &mhz); err != nil || strings.Contains(c.conf.Width, "+") {
			return block{}, fmt.Errorf("hostapd is not told of channels of %s", c.conf.Width)
		}
		if mhz > can {
			return block{}, fmt.Errorf("with 802.11%s it can do %d MHz, not %d", strings.ReplaceAll(c.conf.Standards, ",", "/"), can, mhz)
		}
	case c.conf.Band != "2.4GHz": // on 2.4 GHz that would be the neighbours' as well
		mhz = min(can, 80)
	}
	for {
		s := block{mhz: mhz, generation: generation}
		if s.fit(c, b, channel) {
			return s, nil
		}
		if !auto || mhz == 20 {
			return block{}, fmt.Errorf("channel %d cannot be %d MHz wide there", channel, mhz)
		}
		mhz /= 2
	}
}

// widest is the most that a band can with so many generations, in MHz.
func widest(name string, b *nl80211.Band, generation int) int {
	he := func(bit byte) bool { return generation >= 3 && len(b.HEPhy) > 0 && b.HEPhy[0]&bit != 0 }
	switch {
	case generation == 0:
		return 20
	case name == "2.4GHz":
		if b.HTCapa&htWide != 0 {
			return 40
		}
		return 20
	case he(0x08), generation >= 2 && b.VHT && b.VHTCapa>>2&3 != 0:
		return 160
	case he(0x04), generation >= 2 && b.VHT:
		return 80
	case b.HTCapa&htWide != 0:
		return 40
	}
	return 20
}

// fit finds the place of a channel among those that are as wide (IEEE
// 802.11-2020, tables E-1 to E-4).
func (s *block) fit(c *cell, b *nl80211.Band, channel int) bool {
	s.second, s.center = 0, channel
	switch {
	case s.mhz == 20:
		return true
	case channel == 0: // hostapd finds the rest
		s.second, s.center = 1, 0
		if c.conf.Extension == "BelowControlChannel" {
			s.second = -1
		}
		return true
	case c.conf.Band == "2.4GHz":
		s.second = 1
		if c.conf.Extension == "BelowControlChannel" || c.conf.Extension != "AboveControlChannel" && channel > 7 {
			s.second = -1
		}
		s.center = channel + 2*s.second
		return known(b, channel+4*s.second)
	}
	first := 1 // of 6 GHz
	if c.conf.Band == "5GHz" {
		for _, n := range []int{36, 100, 149} {
			if channel >= n {
				first = n
			}
		}
	}
	n := s.mhz / 20
	at := (channel - first) / 4
	start := first + at/n*n*4
	for i := range n {
		if !known(b, start+4*i) {
			return false
		}
	}
	s.center = start + 2*(n-1)
	s.second = 1 - 2*(at%2)
	other := map[string]int{"AboveControlChannel": -1, "BelowControlChannel": 1}[c.conf.Extension]
	return s.mhz > 40 || s.second != other
}

func known(b *nl80211.Band, channel int) bool {
	return slices.ContainsFunc(b.Channels, func(x nl80211.Channel) bool { return x.Number() == channel && !x.Disabled })
}

// Bits of the HT and VHT capabilities (IEEE 802.11-2020, 9.4.2.55.2 and
// 9.4.2.157.2).
const (
	htWide    = 1 << 1
	htShort20 = 1 << 5
	htShort40 = 1 << 6
)

// A capability is a bit, and hostapd's word for it.
type capability struct {
	bit  uint32
	word string
}

var htWords = []capability{{1 << 0, "[LDPC]"}, {1 << 7, "[TX-STBC]"}, {1 << 11, "[MAX-AMSDU-7935]"}, {1 << 12, "[DSSS_CCK-40]"}}

var vhtWords = []capability{{1 << 4, "[RXLDPC]"}, {1 << 7, "[TX-STBC-2BY1]"}}

func words(capa uint32, all []capability) (text string) {
	for _, w := range all {
		if capa&w.bit != 0 {
			text += w.word
		}
	}
	return text
}

// render writes width and generations, with what the radio can in them.
func (s *block) render(l *lines, c *cell, b *nl80211.Band) {
	short := c.conf.Guard != "800nsec"
	chwidth := map[int]int{80: 1, 160: 2}[s.mhz] // 0 for 20 and 40
	six := c.conf.Band == "6GHz"
	if six {
		l.num("op_class", map[int]int{20: 131, 40: 132, 80: 133, 160: 134}[s.mhz])
	}
	if s.generation >= 1 && !six {
		l.set("ieee80211n", "1")
		if text := s.ht(uint32(b.HTCapa), short); text != "" {
			l.set("ht_capab", text)
		}
	}
	if s.generation >= 2 && b.VHT && c.conf.Band == "5GHz" {
		l.set("ieee80211ac", "1")
		l.num("vht_oper_chwidth", chwidth)
		if s.center != 0 && s.mhz > 20 {
			l.num("vht_oper_centr_freq_seg0_idx", s.center)
		}
		if text := s.vht(b.VHTCapa, short); text != "" {
			l.set("vht_capab", text)
		}
	}
	if s.generation >= 3 {
		l.set("ieee80211ax", "1")
		if c.conf.Band != "2.4GHz" {
			l.num("he_oper_chwidth", chwidth)
			if s.center != 0 && (s.mhz > 20 || six) {
				l.num("he_oper_centr_freq_seg0_idx", s.center)
			}
		}
	}
}

func (s *block) ht(capa uint32, short bool) string {
	text := words(capa, htWords)
	switch s.second {
	case 1:
		text += "[HT40+]"
	case -1:
		text += "[HT40-]"
	}
	if short {
		text += words(capa, []capability{{htShort20, "[SHORT-GI-20]"}, {htShort40, "[SHORT-GI-40]"}})
	}
	if n := capa >> 8 & 3; n > 0 {
		text += []string{"", "[RX-STBC1]", "[RX-STBC12]", "[RX-STBC123]"}[n]
	}
	return text
}

func (s *block) vht(capa uint32, short bool) string {
	text := words(capa, vhtWords)
	if short {
		text += words(capa, []capability{{1 << 5, "[SHORT-GI-80]"}, {1 << 6, "[SHORT-GI-160]"}})
	}
	if s.mhz == 160 && capa>>2&3 != 0 {
		text += "[VHT160]"
	}
	text += []string{"", "[MAX-MPDU-7991]", "[MAX-MPDU-11454]", ""}[capa&3]
	if n := capa >> 8 & 7; n > 0 && n <= 4 {
		text += []string{"", "[RX-STBC-1]", "[RX-STBC-12]", "[RX-STBC-123]", "[RX-STBC-1234]"}[n]
	}
	if n := capa >> 23 & 7; n > 0 {
		text += fmt.Sprintf("[MAX-A-MPDU-LEN-EXP%d]", n)
	}
	return text
}
