package nl80211

// What a radio can. The kernel has long had more to say about one than fits a
// message: with the attribute SPLIT_WIPHY_DUMP an answer is several messages for
// each radio, told apart by WIPHY (its index), and lists go on where the one
// before has ended.
//
//	WIPHY u32, WIPHY_NAME string
//	SUPPORTED_IFTYPES {type: flag}
//	WIPHY_BANDS {band: {
//	    FREQS {n: {FREQ u32 MHz, DISABLED, NO_IR, RADAR flags, MAX_TX_POWER u32 mBm}},
//	    HT_CAPA u16, HT_MCS_SET 16 bytes, VHT_CAPA u32, VHT_MCS_SET 8 bytes,
//	    IFTYPE_DATA {n: {IFTYPES {type: flag}, HE_CAP_PHY 11 bytes, HE_CAP_MCS_SET 12 bytes}}}}
//	INTERFACE_COMBINATIONS {n: {LIMITS {n: {MAX u32, TYPES {type: flag}}}, MAXNUM u32}}
//	CIPHER_SUITES u32[]
//	SUPPORT_AP_UAPSD flag

import (
	"cmp"
	"context"
	"slices"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// A Wiphy is what a radio can.
type Wiphy struct {
	Index   uint32
	Name    string // "phy0"
	Bands   []Band
	AP      bool     // stations can join it
	UAPSD   bool     // and sleep meanwhile
	MaxAPs  int      // how many networks it can offer at once; 0: one
	Ciphers []uint32 // suites (IEEE 802.11-2020, table 9-149): 0x000fac04
}

// CipherCMAC protects management frames (BIP-CMAC-128), without which there is
// no WPA3.
const CipherCMAC = 0x000fac06

// A Band is what a radio can in one frequency band.
type Band struct {
	ID       uint16 // unix.NL80211_BAND_2GHZ …
	Channels []Channel

	HTCapa  uint16 // IEEE 802.11-2020, 9.4.2.55.2
	HT      bool
	VHTCapa uint32 // 9.4.2.157.2
	VHT     bool
	HEPhy   []byte // IEEE 802.11ax-2021, 9.4.2.248.3, as an access point; nil: none
	Streams int    // at once; 0: not known
}

// A Channel is one that the hardware knows.
type Channel struct {
	MHz      uint32
	Disabled bool // the law, or the hardware, forbids it
	NoIR     bool // nobody may be the first to send there: no access point
	Radar    bool
	MaxPower int // mBm
}

// Number is that of the channel (IEEE 802.11-2020, annex E); 0: it has none.
func (c Channel) Number() int { return number(int(c.MHz)) }

func number(mhz int) int {
	switch {
	case mhz == 2484:
		return 14
	case mhz >= 2412 && mhz <= 2472:
		return (mhz - 2407) / 5
	case mhz >= 5950 && mhz <= 7115:
		return (mhz - 5950) / 5
	case mhz == 5935:
		return 2 // of 6 GHz, by itself
	case mhz >= 5005 && mhz < 5950:
		return (mhz - 5000) / 5
	}
	return 0
}

// Wiphys lists the radios, by their indices.
func (c Client) Wiphys(ctx context.Context) ([]Wiphy, error) {
	var all wiphys
	err := c.dump(ctx, unix.NL80211_CMD_GET_WIPHY, []*nl.RtAttr{nl.NewRtAttr(unix.NL80211_ATTR_SPLIT_WIPHY_DUMP, nil)},
		func() { all = nil }, all.message)
	slices.SortFunc(all, func(a, b Wiphy) int { return cmp.Compare(a.Index, b.Index) })
	return all, err
}

type wiphys []Wiphy

// most bounds the lists of an answer: the kernel has less than half of it.
const most = 256

// message takes over one of the messages that describe a radio.
func (all *wiphys) message(attrs []byte) {
	at := -1
	for kind, v := range attributes(attrs) {
		if kind != unix.NL80211_ATTR_WIPHY || len(v) < 4 {
			continue
		}
		if at = slices.IndexFunc(*all, func(w Wiphy) bool { return w.Index == u32(v) }); at < 0 && len(*all) < most {
			at = len(*all)
			*all = append(*all, Wiphy{Index: u32(v)})
		}
	}
	if at < 0 {
		return
	}
	w := &(*all)[at]
	for kind, v := range attributes(attrs) {
		switch kind {
		case unix.NL80211_ATTR_WIPHY_NAME:
			w.Name = unix.ByteSliceToString(v)
		case unix.NL80211_ATTR_SUPPORTED_IFTYPES:
			w.AP = w.AP || hasType(v, unix.NL80211_IFTYPE_AP)
		case unix.NL80211_ATTR_WIPHY_BANDS:
			for id, b := range attributes(v) {
				w.band(id).take(b)
			}
		case unix.NL80211_ATTR_INTERFACE_COMBINATIONS:
			for _, combination := range attributes(v) {
				w.MaxAPs = max(w.MaxAPs, maxAPs(combination))
			}
		case unix.NL80211_ATTR_CIPHER_SUITES:
			for ; len(v) >= 4 && len(w.Ciphers) < most; v = v[4:] {
				w.Ciphers = append(w.Ciphers, u32(v))
			}
		case unix.NL80211_ATTR_SUPPORT_AP_UAPSD:
			w.UAPSD = true
		}
	}
}

// hasType says whether a set of types of interfaces, which are flags, has one.
func hasType(set []byte, typ uint16) bool {
	for kind := range attributes(set) {
		if kind == typ {
			return true
		}
	}
	return false
}

// band returns the band with an id, and makes it when it is new.
func (w *Wiphy) band(id uint16) *Band {
	i := slices.IndexFunc(w.Bands, func(b Band) bool { return b.ID == id })
	if i < 0 {
		i = len(w.Bands)
		w.Bands = append(w.Bands, Band{ID: id})
	}
	return &w.Bands[i]
}

// take takes over what one message says of a band.
func (b *Band) take(attrs []byte) {
	for kind, v := range attributes(attrs) {
		switch kind {
		case unix.NL80211_BAND_ATTR_FREQS:
			for _, f := range attributes(v) {
				if c := channel(f); c.MHz != 0 && len(b.Channels) < most {
					b.Channels = append(b.Channels, c)
				}
			}
		case unix.NL80211_BAND_ATTR_HT_CAPA:
			b.HTCapa, b.HT = u16(v), true
		case unix.NL80211_BAND_ATTR_HT_MCS_SET: // a byte of the mask for each stream
			for i := 0; i < min(4, len(v)); i++ {
				if v[i] != 0 {
					b.Streams = max(b.Streams, i+1)
				}
			}
		case unix.NL80211_BAND_ATTR_VHT_CAPA:
			b.VHTCapa, b.VHT = u32(v), true
		case unix.NL80211_BAND_ATTR_VHT_MCS_SET:
			b.Streams = max(b.Streams, streams(v))
		case unix.NL80211_BAND_ATTR_IFTYPE_DATA:
			for _, data := range attributes(v) {
				b.highEfficiency(data)
			}
		}
	}
}

// streams reads a map of two bits for each stream, 3 for one that is not there
// (9.4.2.157.3); it is little-endian, as all that goes over the air.
func streams(set []byte) (n int) {
	if len(set) < 2 {
		return 0
	}
	for i := range 8 {
		if binary16(set)>>(2*i)&3 != 3 {
			n = i + 1
		}
	}
	return n
}

func binary16(b []byte) uint16 { return uint16(b[0]) | uint16(b[1])<<8 }

// highEfficiency takes over what the radio can as an access point.
func (b *Band) highEfficiency(attrs []byte) {
	var phy, set []byte
	ap := false
	for kind, v := range attributes(attrs) {
		switch kind {
		case unix.NL80211_BAND_IFTYPE_ATTR_IFTYPES:
			ap = hasType(v, unix.NL80211_IFTYPE_AP)
		case unix.NL80211_BAND_IFTYPE_ATTR_HE_CAP_PHY:
			phy = v
		case unix.NL80211_BAND_IFTYPE_ATTR_HE_CAP_MCS_SET:
			set = v
		}
	}
	if ap && len(phy) > 0 {
		b.HEPhy = slices.Clone(phy) // the message is the reader's
		b.Streams = max(b.Streams, streams(set))
	}
}

func channel(attrs []byte) (c Channel) {
	for kind, v := range attributes(attrs) {
		switch kind {
		case unix.NL80211_FREQUENCY_ATTR_FREQ:
			c.MHz = u32(v)
		case unix.NL80211_FREQUENCY_ATTR_DISABLED:
			c.Disabled = true
		case unix.NL80211_FREQUENCY_ATTR_NO_IR:
			c.NoIR = true
		case unix.NL80211_FREQUENCY_ATTR_RADAR:
			c.Radar = true
		case unix.NL80211_FREQUENCY_ATTR_MAX_TX_POWER:
			c.MaxPower = int(int32(u32(v)))
		}
	}
	return c
}

// maxAPs is how many access points a combination of interfaces admits.
func maxAPs(attrs []byte) int {
	total, aps := 0, 0
	for kind, v := range attributes(attrs) {
		switch kind {
		case unix.NL80211_IFACE_COMB_MAXNUM:
			total = int(min(u32(v), most))
		case unix.NL80211_IFACE_COMB_LIMITS:
			for _, limit := range attributes(v) {
				n, ap := 0, false
				for kind, v := range attributes(limit) {
					switch kind {
					case unix.NL80211_IFACE_LIMIT_MAX:
						n = int(min(u32(v), most))
					case unix.NL80211_IFACE_LIMIT_TYPES:
						ap = hasType(v, unix.NL80211_IFTYPE_AP)
					}
				}
				if ap {
					aps = max(aps, n)
				}
			}
		}
	}
	return min(total, aps)
}
