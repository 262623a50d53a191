package nl80211_test

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"reflect"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"gatehouse/internal/nl80211"
	"gatehouse/internal/nl80211/airtest"
)

var dual = nl80211.Wiphy{
	Index: 3, Name: "phy3", AP: true, UAPSD: true, MaxAPs: 8, Ciphers: []uint32{0x000fac04, nl80211.CipherCMAC},
	Bands: []nl80211.Band{
		{ID: unix.NL80211_BAND_2GHZ, HT: true, HTCapa: 0x19ef, Streams: 2, Channels: []nl80211.Channel{
			{MHz: 2412, MaxPower: 2000}, {MHz: 2472, NoIR: true, MaxPower: 2000}, {MHz: 2484, Disabled: true},
		}},
		{ID: unix.NL80211_BAND_5GHZ, HT: true, HTCapa: 0x9ef, VHT: true, VHTCapa: 0x339071b2, HEPhy: []byte{0x0c, 0x20, 0xce, 0x12, 0x6f, 0x51, 0, 0, 0, 0, 0}, Streams: 4,
			Channels: []nl80211.Channel{{MHz: 5180, MaxPower: 2300}, {MHz: 5260, Radar: true, NoIR: true, MaxPower: 2000}}},
		{ID: unix.NL80211_BAND_6GHZ, HEPhy: []byte{0x0c}, Streams: 2, Channels: []nl80211.Channel{{MHz: 5955, MaxPower: 1300}}},
	},
}

func TestWiphys(t *testing.T) {
	single := nl80211.Wiphy{Index: 1, Name: "phy1", Bands: []nl80211.Band{{ID: 0, Channels: []nl80211.Channel{{MHz: 2437, MaxPower: 1500}}}}}
	k := &airtest.Kernel{Wiphys: []nl80211.Wiphy{dual, single}, Interrupt: 2}
	got, err := k.Client().Wiphys(t.Context())
	if want := []nl80211.Wiphy{single, dual}; err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v (%v)", got, want, err)
	}
	if k.Asked != 3 {
		t.Errorf("asked %d times: two dumps were of a table that changed", k.Asked)
	}
	k.Interrupt = 100
	if _, err := k.Client().Wiphys(t.Context()); err == nil {
		t.Error("a table that never stands still was read")
	}
}

func TestNumbers(t *testing.T) {
	for mhz, want := range map[uint32]int{2412: 1, 2472: 13, 2484: 14, 5180: 36, 5825: 165, 5885: 177, 5935: 2, 5955: 1, 7115: 233, 900: 0, 60480: 0} {
		if got := (nl80211.Channel{MHz: mhz}).Number(); got != want {
			t.Errorf("%d MHz is channel %d, want %d", mhz, got, want)
		}
	}
}

func TestInterfaces(t *testing.T) {
	ap := nl80211.Interface{Index: 4, Name: "wlan0", Wiphy: 3, AP: true, MAC: "02:00:00:00:00:03", SSID: "caf\xe9\x00", MHz: 5180, Width: "80MHz"}
	sta := nl80211.Interface{Index: 7, Name: "wlan1", Wiphy: 1, Station: true, MAC: "02:00:00:00:00:01", SSID: "Home", MHz: 2437, Width: "20MHz"}
	peer := nl80211.Interface{Wiphy: 1, MAC: "02:00:00:00:00:09"} // NL80211_IFTYPE_P2P_DEVICE: no interface at all
	k := &airtest.Kernel{Interfaces: []nl80211.Interface{sta, peer, ap}}
	got, err := k.Client().Interfaces(t.Context())
	if want := []nl80211.Interface{ap, sta}; err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v (%v)", got, want, err)
	}
	if got[0].Channel() != 36 {
		t.Errorf("channel %d", got[0].Channel())
	}
}

func TestStations(t *testing.T) {
	want := nl80211.Station{
		MAC: "02:00:00:00:00:aa", Authorized: true, Inactive: 1500 * time.Millisecond, Connected: time.Hour, Signal: -61,
		RxBytes: 5 << 32, TxBytes: 7 << 32, RxPackets: 100, TxPackets: 200, Retries: 10, Failed: 3, RxKbit: 866700, TxKbit: 9607800, Generation: "ax",
	}
	old := nl80211.Station{MAC: "02:00:00:00:00:bb", RxKbit: 54000, TxKbit: 54000}
	k := &airtest.Kernel{Stations: map[uint32][]nl80211.Station{4: {want, old}}}
	got, err := k.Client().Stations(t.Context(), 4)
	if err != nil || len(got) != 2 {
		t.Fatalf("%+v (%v)", got, err)
	}
	for i, want := range []nl80211.Station{want, old} {
		if got[i] != want {
			t.Errorf("got  %+v\nwant %+v", got[i], want)
		}
	}
	k.Stations = nil
	if _, err := k.Client().Stations(t.Context(), 4); !nl80211.IsUnsupported(err) {
		t.Errorf("a driver without the question: %v", err)
	}
}

func TestNoiseAndPower(t *testing.T) {
	k := &airtest.Kernel{Noise: map[uint32]int{4: -95}}
	c := k.Client()
	if n, can, err := c.Noise(t.Context(), 4); n != -95 || !can || err != nil {
		t.Errorf("noise %d, %v (%v)", n, can, err)
	}
	k.Noise = nil
	if _, can, err := c.Noise(t.Context(), 4); can || err != nil {
		t.Errorf("a driver that does not look: %v (%v)", can, err)
	}
	if err := c.SetPower(t.Context(), 3, 1700); err != nil || k.Power[3] != 1700 {
		t.Errorf("power %v (%v)", k.Power, err)
	}
	if err := c.SetPower(t.Context(), 3, -1); err != nil || k.Power[3] != -1 {
		t.Errorf("power %v (%v)", k.Power, err)
	}
	k.Fail = map[uint8]error{unix.NL80211_CMD_SET_WIPHY: unix.EPERM}
	if err := c.SetPower(t.Context(), 3, -1); !errors.Is(err, unix.EPERM) {
		t.Errorf("refused: %v", err)
	}
}

// TestOpen asks the real kernel: a machine without 802.11 says so, one with it
// lists what it has.
func TestOpen(t *testing.T) {
	c, err := nl80211.Open(nil)
	if _, there := os.Stat("/sys/class/ieee80211"); there != nil {
		if !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("no 802.11, and %v", err)
		}
		return
	}
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Wiphys(t.Context()); err != nil {
		t.Error(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := c.Interfaces(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("it asks on: %v", err)
	}
}
