package nl80211

// The network interfaces that stand on radios, and how noisy their channels are.
//
//	GET_INTERFACE, a dump: IFINDEX u32, IFNAME string, WIPHY u32, IFTYPE u32,
//	MAC 6 bytes, SSID up to 32 bytes, WIPHY_FREQ u32 MHz, CHANNEL_WIDTH u32,
//	WIPHY_TX_POWER_LEVEL u32 mBm
//
//	GET_SURVEY, a dump of one interface: SURVEY_INFO {FREQUENCY u32 MHz,
//	NOISE u8 dBm, IN_USE flag}

import (
	"context"
	"slices"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// An Interface is a network interface of a radio.
type Interface struct {
	Index   uint32
	Name    string
	Wiphy   uint32 // index of the radio
	AP      bool   // of an access point
	Station bool   // of somebody else's
	MAC     string
	SSID    string // that it offers or has joined
	MHz     uint32 // of its channel; 0: it has none
	Width   string // of its channel, as TR-181 has it: "80MHz"; "": not known
}

// Channel is the number of its channel; 0: it has none.
func (i Interface) Channel() int { return number(int(i.MHz)) }

// Interfaces lists the interfaces of all radios, by their indices.
func (c Client) Interfaces(ctx context.Context) ([]Interface, error) {
	var all []Interface
	err := c.dump(ctx, unix.NL80211_CMD_GET_INTERFACE, nil, func() { all = nil }, func(attrs []byte) {
		if i, ok := decodeInterface(attrs); ok {
			all = append(all, i)
		}
	})
	slices.SortFunc(all, func(a, b Interface) int { return int(a.Index) - int(b.Index) })
	return all, err
}

// decodeInterface reads one; ok is false for what has no name, a device for
// peers (NL80211_IFTYPE_P2P_DEVICE).
func decodeInterface(attrs []byte) (i Interface, ok bool) {
	for kind, v := range attributes(attrs) {
		switch kind {
		case unix.NL80211_ATTR_IFINDEX:
			i.Index = u32(v)
		case unix.NL80211_ATTR_IFNAME:
			i.Name = unix.ByteSliceToString(v)
		case unix.NL80211_ATTR_WIPHY:
			i.Wiphy = u32(v)
		case unix.NL80211_ATTR_IFTYPE:
			i.AP, i.Station = u32(v) == unix.NL80211_IFTYPE_AP, u32(v) == unix.NL80211_IFTYPE_STATION
		case unix.NL80211_ATTR_MAC:
			i.MAC = mac(v)
		case unix.NL80211_ATTR_SSID:
			if len(v) <= 32 {
				i.SSID = string(v)
			}
		case unix.NL80211_ATTR_WIPHY_FREQ:
			i.MHz = u32(v)
		case unix.NL80211_ATTR_CHANNEL_WIDTH:
			i.Width = width(u32(v))
		}
	}
	return i, i.Name != "" && i.Index != 0
}

// width names an enum nl80211_chan_width. Of 320 MHz the kernel does not tell
// the two layouts apart.
func width(w uint32) string {
	switch w {
	case unix.NL80211_CHAN_WIDTH_20_NOHT, unix.NL80211_CHAN_WIDTH_20:
		return "20MHz"
	case unix.NL80211_CHAN_WIDTH_40:
		return "40MHz"
	case unix.NL80211_CHAN_WIDTH_80:
		return "80MHz"
	case unix.NL80211_CHAN_WIDTH_80P80:
		return "80+80MHz"
	case unix.NL80211_CHAN_WIDTH_160:
		return "160MHz"
	case unix.NL80211_CHAN_WIDTH_320:
		return "320MHz-1"
	}
	return ""
}

// Noise is that of the channel of an interface, in dBm; 0: not known. can says
// whether its driver looks at channels at all, which the automatic choice of one
// is made by.
func (c Client) Noise(ctx context.Context, index uint32) (noise int, can bool, err error) {
	err = c.dump(ctx, unix.NL80211_CMD_GET_SURVEY, []*nl.RtAttr{nl.NewRtAttr(unix.NL80211_ATTR_IFINDEX, nl.Uint32Attr(index))},
		func() { noise = 0 }, func(attrs []byte) {
			if n, used := decodeSurvey(attrs); used {
				noise = n
			}
		})
	if IsUnsupported(err) {
		return 0, false, nil
	}
	return noise, true, err
}

func decodeSurvey(attrs []byte) (noise int, used bool) {
	for kind, v := range attributes(attrs) {
		if kind != unix.NL80211_ATTR_SURVEY_INFO {
			continue
		}
		for kind, v := range attributes(v) {
			switch kind {
			case unix.NL80211_SURVEY_INFO_NOISE:
				noise = int(int8(u8(v)))
			case unix.NL80211_SURVEY_INFO_IN_USE:
				used = true
			}
		}
	}
	return noise, used
}

// SetPower bounds what a radio sends with, in mBm; negative: as it likes.
func (c Client) SetPower(ctx context.Context, wiphy uint32, mBm int) error {
	attrs := []*nl.RtAttr{
		nl.NewRtAttr(unix.NL80211_ATTR_WIPHY, nl.Uint32Attr(wiphy)),
		nl.NewRtAttr(unix.NL80211_ATTR_WIPHY_TX_POWER_SETTING, nl.Uint32Attr(unix.NL80211_TX_POWER_AUTOMATIC)),
	}
	if mBm >= 0 {
		attrs[1] = nl.NewRtAttr(unix.NL80211_ATTR_WIPHY_TX_POWER_SETTING, nl.Uint32Attr(unix.NL80211_TX_POWER_LIMITED))
		attrs = append(attrs, nl.NewRtAttr(unix.NL80211_ATTR_WIPHY_TX_POWER_LEVEL, nl.Uint32Attr(uint32(mBm))))
	}
	return c.ask(ctx, unix.NL80211_CMD_SET_WIPHY, unix.NLM_F_ACK, attrs, func([]byte) {})
}
