package nl80211

import (
	"testing"

	"github.com/vishvananda/netlink/nl"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"
)

// TestAsker asks a family that every kernel has, which is the one that tells of
// families (GENL_ID_CTRL): the socket, the headers and the end of a dump are
// those of nl80211.
func TestAsker(t *testing.T) {
	ask := asker(netns.None(), unix.GENL_ID_CTRL)
	names := map[string]bool{}
	if err := ask(t.Context(), unix.CTRL_CMD_GETFAMILY, unix.NLM_F_DUMP, nil, func(attrs []byte) {
		for kind, v := range attributes(attrs) {
			if kind == unix.CTRL_ATTR_FAMILY_NAME {
				names[unix.ByteSliceToString(v)] = true
			}
		}
	}); err != nil || !names["nlctrl"] {
		t.Errorf("%v (%v)", names, err)
	}
	err := ask(t.Context(), unix.CTRL_CMD_GETFAMILY, 0, []*nl.RtAttr{nl.NewRtAttr(unix.CTRL_ATTR_FAMILY_NAME, nl.ZeroTerminated("nosuch"))}, func([]byte) {
		t.Error("a family of that name")
	})
	if err != unix.ENOENT {
		t.Errorf("no such family: %v", err)
	}
}

// FuzzAttributes: whatever the bytes, decoders neither panic nor run away, and
// keep what they keep bounded.
func FuzzAttributes(f *testing.F) {
	freq := nl.NewRtAttr(unix.NL80211_ATTR_WIPHY_BANDS, nil)
	freq.AddRtAttr(0, nil).AddRtAttr(unix.NL80211_BAND_ATTR_FREQS, nil).AddRtAttr(0, nil).AddRtAttr(unix.NL80211_FREQUENCY_ATTR_FREQ, nl.Uint32Attr(2412))
	f.Add(append(nl.NewRtAttr(unix.NL80211_ATTR_WIPHY, nl.Uint32Attr(0)).Serialize(), freq.Serialize()...))
	f.Add(nl.NewRtAttr(unix.NL80211_ATTR_MAC, []byte{2, 0, 0, 0, 0, 1}).Serialize())
	f.Add([]byte{3, 0, 1, 0})
	f.Fuzz(func(t *testing.T, b []byte) {
		var all wiphys
		for range 3 {
			all.message(b)
		}
		if len(all) > most {
			t.Errorf("%d radios", len(all))
		}
		for _, w := range all {
			for _, band := range w.Bands {
				if len(band.Channels) > most || band.Streams > 8 {
					t.Errorf("%d channels, %d streams", len(band.Channels), band.Streams)
				}
			}
			if w.MaxAPs > most {
				t.Errorf("%d access points", w.MaxAPs)
			}
		}
		if i, ok := decodeInterface(b); ok && (i.Name == "" || len(i.SSID) > 32) {
			t.Errorf("%+v", i)
		}
		if s, ok := decodeStation(b); ok && len(s.MAC) != 17 {
			t.Errorf("%+v", s)
		}
		decodeSurvey(b)
	})
}
