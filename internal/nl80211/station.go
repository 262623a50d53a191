package nl80211

// Who has joined an interface.
//
//	GET_STATION, a dump of one interface: MAC 6 bytes, STA_INFO {
//	    INACTIVE_TIME u32 ms, CONNECTED_TIME u32 s, SIGNAL u8 dBm,
//	    RX_BYTES64, TX_BYTES64 u64, RX_BYTES, TX_BYTES u32 (they wrap),
//	    RX_PACKETS, TX_PACKETS, TX_RETRIES, TX_FAILED u32,
//	    TX_BITRATE, RX_BITRATE {BITRATE32 u32, BITRATE u16 100 kbit/s,
//	        MCS, VHT_MCS, HE_MCS, EHT_MCS u8: of which generation the rate is},
//	    STA_FLAGS struct nl80211_sta_flag_update {mask, set u32}}
//
// What the kernel receives is what the station sends.

import (
	"context"
	"slices"
	"time"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// A Station is one that has joined.
type Station struct {
	MAC                  string
	Authorized           bool // it has proved itself, where that is asked for
	Inactive             time.Duration
	Connected            time.Duration // 0: not known
	Signal               int           // dBm; 0: not known
	RxBytes, TxBytes     uint64
	RxPackets, TxPackets uint32
	Retries, Failed      uint32 // of what was sent to it
	RxKbit, TxKbit       uint32 // kbit/s of the last frames
	Generation           string // of 802.11, by its rates: "n" "ac" "ax" "be"; "": older
}

// generations are those that have rates of their own, in the order in which they
// came.
var generations = []string{"n", "ac", "ax", "be"}

// maxStations bounds an answer: 802.11 has numbers for that many.
const maxStations = 2007

// Stations lists who has joined an interface.
func (c Client) Stations(ctx context.Context, index uint32) ([]Station, error) {
	var all []Station
	err := c.dump(ctx, unix.NL80211_CMD_GET_STATION, []*nl.RtAttr{nl.NewRtAttr(unix.NL80211_ATTR_IFINDEX, nl.Uint32Attr(index))},
		func() { all = nil }, func(attrs []byte) {
			if s, ok := decodeStation(attrs); ok && len(all) < maxStations {
				all = append(all, s)
			}
		})
	return all, err
}

func decodeStation(attrs []byte) (s Station, ok bool) {
	for kind, v := range attributes(attrs) {
		switch kind {
		case unix.NL80211_ATTR_MAC:
			s.MAC = mac(v)
		case unix.NL80211_ATTR_STA_INFO:
			for kind, v := range attributes(v) {
				s.take(kind, v)
			}
		}
	}
	return s, s.MAC != ""
}

func (s *Station) take(kind uint16, v []byte) {
	switch kind {
	case unix.NL80211_STA_INFO_INACTIVE_TIME:
		s.Inactive = time.Duration(u32(v)) * time.Millisecond
	case unix.NL80211_STA_INFO_CONNECTED_TIME:
		s.Connected = time.Duration(u32(v)) * time.Second
	case unix.NL80211_STA_INFO_SIGNAL:
		s.Signal = int(int8(u8(v)))
	case unix.NL80211_STA_INFO_RX_BYTES64:
		s.RxBytes = u64(v)
	case unix.NL80211_STA_INFO_TX_BYTES64:
		s.TxBytes = u64(v)
	case unix.NL80211_STA_INFO_RX_BYTES:
		if s.RxBytes == 0 {
			s.RxBytes = uint64(u32(v))
		}
	case unix.NL80211_STA_INFO_TX_BYTES:
		if s.TxBytes == 0 {
			s.TxBytes = uint64(u32(v))
		}
	case unix.NL80211_STA_INFO_RX_PACKETS:
		s.RxPackets = u32(v)
	case unix.NL80211_STA_INFO_TX_PACKETS:
		s.TxPackets = u32(v)
	case unix.NL80211_STA_INFO_TX_RETRIES:
		s.Retries = u32(v)
	case unix.NL80211_STA_INFO_TX_FAILED:
		s.Failed = u32(v)
	case unix.NL80211_STA_INFO_TX_BITRATE:
		s.TxKbit = s.rate(v)
	case unix.NL80211_STA_INFO_RX_BITRATE:
		s.RxKbit = s.rate(v)
	case unix.NL80211_STA_INFO_STA_FLAGS:
		const authorized = 1 << unix.NL80211_STA_FLAG_AUTHORIZED
		s.Authorized = len(v) >= 8 && u32(v)&u32(v[4:])&authorized != 0
	}
}

// rate reads a rate, and learns from it what the station speaks.
func (s *Station) rate(attrs []byte) (kbit uint32) {
	for kind, v := range attributes(attrs) {
		generation := ""
		switch kind {
		case unix.NL80211_RATE_INFO_BITRATE32:
			kbit = min(u32(v), 1<<24) * 100
		case unix.NL80211_RATE_INFO_BITRATE:
			if kbit == 0 {
				kbit = uint32(u16(v)) * 100
			}
		case unix.NL80211_RATE_INFO_MCS:
			generation = "n"
		case unix.NL80211_RATE_INFO_VHT_MCS:
			generation = "ac"
		case unix.NL80211_RATE_INFO_HE_MCS:
			generation = "ax"
		case unix.NL80211_RATE_INFO_EHT_MCS:
			generation = "be"
		}
		if slices.Index(generations, generation) > slices.Index(generations, s.Generation) {
			s.Generation = generation
		}
	}
	return kbit
}
