// Package airtest is a kernel with radios, for tests: it answers as nl80211 does,
// in messages that netlink's own encoders make.
package airtest

import (
	"bytes"
	"context"
	"net"
	"sync"
	"time"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"

	"gatehouse/internal/nl80211"
)

// A Kernel answers questions. Its knobs may be turned while Do holds it.
type Kernel struct {
	Wiphys     []nl80211.Wiphy
	Interfaces []nl80211.Interface
	Stations   map[uint32][]nl80211.Station // by interface; nil: no driver lists them
	Noise      map[uint32]int               // by interface; nil: no driver looks at channels
	Fail       map[uint8]error              // by command
	Interrupt  int                          // so many dumps see a table that changes

	Power map[uint32]int // that was asked for, by radio; -1: as it likes
	Asked int            // questions

	mu sync.Mutex
}

// Do changes the kernel.
func (k *Kernel) Do(f func()) {
	k.mu.Lock()
	defer k.mu.Unlock()
	f()
}

// Client asks the kernel.
func (k *Kernel) Client() *nl80211.Client {
	c := nl80211.New(k.ask)
	return &c
}

// ask is a nl80211.Asker.
func (k *Kernel) ask(ctx context.Context, command uint8, flags int, attrs []*nl.RtAttr, f func([]byte)) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return err
	}
	k.Asked++
	if err := k.Fail[command]; err != nil {
		return err
	}
	asked := map[uint16][]byte{}
	for _, a := range attrs {
		asked[a.Type] = a.Data
	}
	answer, err := k.answer(command, asked)
	if err != nil {
		return err
	}
	for _, m := range answer {
		f(m)
	}
	if flags&unix.NLM_F_DUMP == unix.NLM_F_DUMP && k.Interrupt > 0 {
		k.Interrupt--
		return netlink.ErrDumpInterrupted
	}
	return nil
}

func (k *Kernel) answer(command uint8, asked map[uint16][]byte) (all [][]byte, err error) {
	number := func(kind uint16) uint32 {
		if b := asked[kind]; len(b) == 4 {
			return nl.NativeEndian().Uint32(b)
		}
		return 0
	}
	at := number(unix.NL80211_ATTR_IFINDEX)
	switch command {
	case unix.NL80211_CMD_GET_WIPHY:
		if _, split := asked[unix.NL80211_ATTR_SPLIT_WIPHY_DUMP]; !split {
			return nil, unix.ENOBUFS // it does not fit
		}
		for _, w := range k.Wiphys {
			all = append(all, wiphy(w)...)
		}
	case unix.NL80211_CMD_GET_INTERFACE:
		for _, i := range k.Interfaces {
			all = append(all, link(i))
		}
	case unix.NL80211_CMD_GET_STATION:
		if k.Stations == nil {
			return nil, unix.EOPNOTSUPP
		}
		for _, s := range k.Stations[at] {
			all = append(all, station(s))
		}
	case unix.NL80211_CMD_GET_SURVEY:
		if k.Noise == nil {
			return nil, unix.EOPNOTSUPP
		}
		noise := byte(int8(k.Noise[at]))
		all = append(all,
			message(nest(unix.NL80211_ATTR_SURVEY_INFO, u32(unix.NL80211_SURVEY_INFO_FREQUENCY, 2412), attr(unix.NL80211_SURVEY_INFO_NOISE, []byte{0x80}))),
			message(nest(unix.NL80211_ATTR_SURVEY_INFO, u32(unix.NL80211_SURVEY_INFO_FREQUENCY, 2437), attr(unix.NL80211_SURVEY_INFO_NOISE, []byte{noise}),
				attr(unix.NL80211_SURVEY_INFO_IN_USE, nil))))
	case unix.NL80211_CMD_SET_WIPHY:
		if k.Power == nil {
			k.Power = map[uint32]int{}
		}
		k.Power[number(unix.NL80211_ATTR_WIPHY)] = -1
		if number(unix.NL80211_ATTR_WIPHY_TX_POWER_SETTING) == unix.NL80211_TX_POWER_LIMITED {
			k.Power[number(unix.NL80211_ATTR_WIPHY)] = int(number(unix.NL80211_ATTR_WIPHY_TX_POWER_LEVEL))
		}
	default:
		return nil, unix.EOPNOTSUPP
	}
	return all, nil
}

func attr(kind int, data []byte) *nl.RtAttr { return nl.NewRtAttr(kind, data) }

func u32(kind int, n uint32) *nl.RtAttr { return nl.NewRtAttr(kind, nl.Uint32Attr(n)) }

func nest(kind int, attrs ...*nl.RtAttr) *nl.RtAttr {
	a := nl.NewRtAttr(kind|unix.NLA_F_NESTED, nil)
	for _, x := range attrs {
		a.AddChild(x)
	}
	return a
}

// message is the attributes of one, each padded.
func message(attrs ...*nl.RtAttr) []byte {
	var b bytes.Buffer
	for _, a := range attrs {
		b.Write(a.Serialize())
		for b.Len()%4 != 0 {
			b.WriteByte(0)
		}
	}
	return b.Bytes()
}

// wiphy is a radio in several messages, as the kernel splits it: each channel has
// one of its own.
func wiphy(w nl80211.Wiphy) [][]byte {
	index, name := u32(unix.NL80211_ATTR_WIPHY, w.Index), attr(unix.NL80211_ATTR_WIPHY_NAME, nl.ZeroTerminated(w.Name))
	types := []*nl.RtAttr{attr(unix.NL80211_IFTYPE_STATION, nil)}
	if w.AP {
		types = append(types, attr(unix.NL80211_IFTYPE_AP, nil))
	}
	var ciphers []byte
	for _, c := range w.Ciphers {
		ciphers = append(ciphers, nl.Uint32Attr(c)...)
	}
	first := []*nl.RtAttr{index, name, attr(unix.NL80211_ATTR_CIPHER_SUITES, ciphers)}
	if w.UAPSD {
		first = append(first, attr(unix.NL80211_ATTR_SUPPORT_AP_UAPSD, nil))
	}
	all := [][]byte{message(first...), message(index, name, nest(unix.NL80211_ATTR_SUPPORTED_IFTYPES, types...))}
	for _, b := range w.Bands {
		all = append(all, message(index, name, nest(unix.NL80211_ATTR_WIPHY_BANDS, band(b))))
		for n, c := range b.Channels {
			freqs := nest(unix.NL80211_BAND_ATTR_FREQS, channel(n, c))
			all = append(all, message(index, name, nest(unix.NL80211_ATTR_WIPHY_BANDS, nest(int(b.ID), freqs))))
		}
	}
	if w.MaxAPs > 0 {
		limit := func(n uint32, typ int) *nl.RtAttr {
			return nest(1, u32(unix.NL80211_IFACE_LIMIT_MAX, n), nest(unix.NL80211_IFACE_LIMIT_TYPES, attr(typ, nil)))
		}
		all = append(all, message(index, name, nest(unix.NL80211_ATTR_INTERFACE_COMBINATIONS, nest(1,
			nest(unix.NL80211_IFACE_COMB_LIMITS, limit(1, unix.NL80211_IFTYPE_STATION), limit(uint32(w.MaxAPs), unix.NL80211_IFTYPE_AP)),
			u32(unix.NL80211_IFACE_COMB_MAXNUM, uint32(w.MaxAPs)+1)))))
	}
	return all
}

// band is what a radio can in one, without its channels. The map of streams has
// two bits for each, 3 for one that is not there.
func band(b nl80211.Band) *nl.RtAttr {
	var attrs []*nl.RtAttr
	streams := uint16(0xffff) << (2 * b.Streams)
	set := []byte{byte(streams), byte(streams >> 8)}
	if b.HT {
		masks := make([]byte, 16)
		for i := range b.Streams {
			masks[i] = 0xff
		}
		attrs = append(attrs, attr(unix.NL80211_BAND_ATTR_HT_CAPA, nl.Uint16Attr(b.HTCapa)), attr(unix.NL80211_BAND_ATTR_HT_MCS_SET, masks))
	}
	if b.VHT {
		attrs = append(attrs, u32(unix.NL80211_BAND_ATTR_VHT_CAPA, b.VHTCapa), attr(unix.NL80211_BAND_ATTR_VHT_MCS_SET, append(set, make([]byte, 6)...)))
	}
	if b.HEPhy != nil {
		data := func(typ int, phy []byte) *nl.RtAttr {
			return nest(0, nest(unix.NL80211_BAND_IFTYPE_ATTR_IFTYPES, attr(typ, nil)), attr(unix.NL80211_BAND_IFTYPE_ATTR_HE_CAP_PHY, phy),
				attr(unix.NL80211_BAND_IFTYPE_ATTR_HE_CAP_MCS_SET, append(set, make([]byte, 10)...)))
		}
		// As a station it can something else, which is not to be taken for this.
		attrs = append(attrs, nest(unix.NL80211_BAND_ATTR_IFTYPE_DATA, data(unix.NL80211_IFTYPE_AP, b.HEPhy), data(unix.NL80211_IFTYPE_STATION, make([]byte, 11))))
	}
	return nest(int(b.ID), attrs...)
}

func channel(n int, c nl80211.Channel) *nl.RtAttr {
	attrs := []*nl.RtAttr{u32(unix.NL80211_FREQUENCY_ATTR_FREQ, c.MHz), u32(unix.NL80211_FREQUENCY_ATTR_MAX_TX_POWER, uint32(c.MaxPower))}
	for kind, set := range map[int]bool{unix.NL80211_FREQUENCY_ATTR_DISABLED: c.Disabled, unix.NL80211_FREQUENCY_ATTR_NO_IR: c.NoIR, unix.NL80211_FREQUENCY_ATTR_RADAR: c.Radar} {
		if set {
			attrs = append(attrs, attr(kind, nil))
		}
	}
	return nest(n, attrs...)
}

func link(i nl80211.Interface) []byte {
	typ := uint32(unix.NL80211_IFTYPE_MONITOR)
	switch {
	case i.AP:
		typ = unix.NL80211_IFTYPE_AP
	case i.Station:
		typ = unix.NL80211_IFTYPE_STATION
	}
	attrs := []*nl.RtAttr{u32(unix.NL80211_ATTR_WIPHY, i.Wiphy), u32(unix.NL80211_ATTR_IFTYPE, typ), attr(unix.NL80211_ATTR_MAC, hardware(i.MAC))}
	if i.Name != "" {
		attrs = append(attrs, u32(unix.NL80211_ATTR_IFINDEX, i.Index), attr(unix.NL80211_ATTR_IFNAME, nl.ZeroTerminated(i.Name)))
	}
	if i.SSID != "" {
		attrs = append(attrs, attr(unix.NL80211_ATTR_SSID, []byte(i.SSID)))
	}
	if i.MHz != 0 {
		width := map[string]uint32{"20MHz": unix.NL80211_CHAN_WIDTH_20, "40MHz": unix.NL80211_CHAN_WIDTH_40, "80MHz": unix.NL80211_CHAN_WIDTH_80,
			"80+80MHz": unix.NL80211_CHAN_WIDTH_80P80, "160MHz": unix.NL80211_CHAN_WIDTH_160, "320MHz-1": unix.NL80211_CHAN_WIDTH_320}[i.Width]
		attrs = append(attrs, u32(unix.NL80211_ATTR_WIPHY_FREQ, i.MHz), u32(unix.NL80211_ATTR_CHANNEL_WIDTH, width))
	}
	return message(attrs...)
}

func hardware(mac string) []byte {
	b, err := net.ParseMAC(mac)
	if err != nil {
		panic(err) // of the test
	}
	return b
}

func station(s nl80211.Station) []byte {
	generation := map[string]int{"n": unix.NL80211_RATE_INFO_MCS, "ac": unix.NL80211_RATE_INFO_VHT_MCS, "ax": unix.NL80211_RATE_INFO_HE_MCS,
		"be": unix.NL80211_RATE_INFO_EHT_MCS}[s.Generation]
	rate := func(kind int, kbit uint32) *nl.RtAttr {
		attrs := []*nl.RtAttr{attr(unix.NL80211_RATE_INFO_BITRATE, nl.Uint16Attr(uint16(kbit/100))), u32(unix.NL80211_RATE_INFO_BITRATE32, kbit/100)}
		if generation != 0 {
			attrs = append(attrs, attr(generation, []byte{9}))
		}
		return nest(kind, attrs...)
	}
	flags := make([]byte, 8)
	const authorized = 1 << unix.NL80211_STA_FLAG_AUTHORIZED
	flags[0] = authorized
	if s.Authorized {
		flags[4] = authorized
	}
	return message(attr(unix.NL80211_ATTR_MAC, hardware(s.MAC)), nest(unix.NL80211_ATTR_STA_INFO,
		u32(unix.NL80211_STA_INFO_INACTIVE_TIME, uint32(s.Inactive/time.Millisecond)), u32(unix.NL80211_STA_INFO_CONNECTED_TIME, uint32(s.Connected/time.Second)),
		u32(unix.NL80211_STA_INFO_RX_BYTES, uint32(s.RxBytes)), u32(unix.NL80211_STA_INFO_TX_BYTES, uint32(s.TxBytes)),
		attr(unix.NL80211_STA_INFO_RX_BYTES64, nl.Uint64Attr(s.RxBytes)), attr(unix.NL80211_STA_INFO_TX_BYTES64, nl.Uint64Attr(s.TxBytes)),
		u32(unix.NL80211_STA_INFO_RX_PACKETS, s.RxPackets), u32(unix.NL80211_STA_INFO_TX_PACKETS, s.TxPackets),
		u32(unix.NL80211_STA_INFO_TX_RETRIES, s.Retries), u32(unix.NL80211_STA_INFO_TX_FAILED, s.Failed),
		attr(unix.NL80211_STA_INFO_SIGNAL, []byte{byte(int8(s.Signal))}), attr(unix.NL80211_STA_INFO_STA_FLAGS, flags),
		rate(unix.NL80211_STA_INFO_TX_BITRATE, s.TxKbit), rate(unix.NL80211_STA_INFO_RX_BITRATE, s.RxKbit)))
}
