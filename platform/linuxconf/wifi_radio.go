package linuxconf

// The radios of this machine: by which keys they are known, what they can in the
// words of TR-181, and the sections that they have before anything is written.

import (
	"context"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"gatehouse/internal/nl80211"
	"gatehouse/internal/uci"
	"gatehouse/platform"
	"gatehouse/platform/uciconf"
)

// A radio is one of the kernel's, with its network interfaces. Its key is made
// of the address that its hardware has: the kernel's name for it, and its place
// on a bus, are others after it was plugged in elsewhere.
type radio struct {
	nl80211.Wiphy
	key   string
	mac   string
	links []nl80211.Interface
}

// radioPrefix begins the keys of radios.
const radioPrefix = "radio_"

// fresh is how long what the kernel has said of its radios is good for, so that
// the rows of one request are read from one answer.
const fresh = time.Second / 2

// A survey is what the kernel has said, and when.
type survey struct {
	mu     sync.Mutex
	radios []radio
	at     time.Time
}

// hardware lists the radios.
func (w *wifi) hardware(ctx context.Context) ([]radio, error) {
	w.survey.mu.Lock()
	defer w.survey.mu.Unlock()
	if !w.survey.at.IsZero() && time.Since(w.survey.at) < fresh {
		return w.survey.radios, nil
	}
	radios, err := w.look(ctx)
	if err == nil {
		w.survey.radios, w.survey.at = radios, time.Now()
	}
	return radios, err
}

// lookAgain forgets what the kernel has said.
func (w *wifi) lookAgain() {
	w.survey.mu.Lock()
	defer w.survey.mu.Unlock()
	w.survey.at = time.Time{}
}

func (w *wifi) look(ctx context.Context) ([]radio, error) {
	wiphys, err := w.air.Wiphys(ctx)
	if err != nil {
		return nil, radiosUnavailable(ctx, err)
	}
	links, err := w.air.Interfaces(ctx)
	if err != nil {
		return nil, radiosUnavailable(ctx, err)
	}
	var all []radio
	for _, x := range wiphys {
		r := radio{Wiphy: x}
		for _, l := range links {
			if l.Wiphy == x.Index {
				r.links = append(r.links, l)
			}
		}
		if r.mac = w.address(&r); r.mac == "" {
			continue // it is just going
		}
		base := radioPrefix + strings.ReplaceAll(r.mac, ":", "")
		r.key = base
		for n := 2; slices.ContainsFunc(all, func(o radio) bool { return o.key == r.key }); n++ { // two on one chip
			r.key = base + "_" + strconv.Itoa(n)
		}
		all = append(all, r)
	}
	return all, nil
}

// radiosUnavailable says that the kernel did not tell.
func radiosUnavailable(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return &platform.Unavailable{Source: "netlink nl80211", Err: err}
}

// address is that of the hardware, whatever its interfaces go by at the moment.
func (w *wifi) address(r *radio) string {
	text, err := os.ReadFile(filepath.Join(w.sys, filepath.Base(r.Name), "macaddress"))
	if err == nil {
		return hardware(strings.TrimSpace(string(text)))
	}
	for _, l := range r.links { // another namespace's radio is not in our /sys
		if l.MAC != "" {
			return l.MAC
		}
	}
	return ""
}

// band is what the radio can in a band; nil: it has none of that name.
func (r *radio) band(name string) *nl80211.Band {
	id, ok := bandIDs[name]
	i := slices.IndexFunc(r.Bands, func(b nl80211.Band) bool { return b.ID == id })
	if !ok || i < 0 {
		return nil
	}
	return &r.Bands[i]
}

// bands are those that the law leaves anything of.
func (r *radio) bands() (names []string) {
	for _, name := range []string{"2.4GHz", "5GHz", "6GHz"} {
		if b := r.band(name); b != nil && slices.ContainsFunc(b.Channels, func(c nl80211.Channel) bool { return !c.Disabled }) {
			names = append(names, name)
		}
	}
	return names
}

// section is what the radio has before somebody configures it: off, and left to
// itself.
func (r *radio) section() (*uci.Section, error) {
	names := r.bands()
	if len(names) == 0 {
		return nil, fmt.Errorf("%s has no band", r.Name)
	}
	b := r.band(names[0])
	mode := "NOHT"
	if n := speaks(generations, b); n > 0 {
		width := 20
		if names[0] != "2.4GHz" {
			width = min(widest(names[0], b, n), 80)
		}
		mode = []string{"HT", "VHT", "HE"}[n-1] + strconv.Itoa(width)
	}
	s := &uci.Section{Type: "wifi-device", Name: r.key}
	for _, o := range [][2]string{{"band", map[string]string{"2.4GHz": "2g", "5GHz": "5g", "6GHz": "6g"}[names[0]]}, {"channel", "auto"},
		{"htmode", mode}, {"gh_auto_width", mode}, {"disabled", "1"}} {
		if err := s.Set(o[0], o[1]); err != nil {
			return nil, err
		}
	}
	return s, nil
}

// found are the sections of the radios that are there.
func (m *machine) found(pkg string) []*uci.Section {
	if pkg != wireless || m.wifi == nil {
		return nil
	}
	radios, err := m.wifi.hardware(context.Background())
	if err != nil {
		m.Log.Warn("the radios are not known", "err", err)
		return nil
	}
	var all []*uci.Section
	for _, r := range radios {
		if s, err := r.section(); err == nil { // without a band there is nothing to configure
			all = append(all, s)
		}
	}
	return all
}

// maxPower is what a radio may send with at most, in dBm; 0: not known.
func (m *machine) maxPower(key string) int {
	if m.wifi == nil {
		return 0
	}
	radios, err := m.wifi.hardware(context.Background())
	i := slices.IndexFunc(radios, func(r radio) bool { return r.key == key })
	if err != nil || i < 0 {
		return 0
	}
	return radios[i].maxPower() / 100
}

// maxPower is in mBm.
func (r *radio) maxPower() (most int) {
	for _, b := range r.Bands {
		for _, c := range b.Channels {
			if usable(c) {
				most = max(most, c.MaxPower)
			}
		}
	}
	return most
}

// power is a share of what the radio may send with, in percent, as mBm.
func (r *radio) power(percent int32) int {
	return max(0, r.maxPower()+int(math.Round(1000*math.Log10(max(1, float64(percent))/100))))
}

// describe tells what the radio can, of the band that it is set to.
func (r *radio) describe(conf platform.Radio) platform.RadioState {
	s := platform.RadioState{
		Key: r.key, Name: r.Name, Bands: r.bands(), WMM: true, UAPSD: r.UAPSD,
		Modes: r.modes(), TxPowers: []int32{-1, 12, 25, 50, 100},
	}
	if r.AP {
		s.WPSMethods = []string{"PushButton"}
	}
	can := map[string]bool{}
	for _, name := range s.Bands {
		b := r.band(name)
		five := name == "5GHz"
		can["a"], can["b"], can["g"] = can["a"] || five, can["b"] || name == "2.4GHz", can["g"] || name == "2.4GHz"
		can["n"], can["ac"], can["ax"] = can["n"] || b.HT, can["ac"] || b.VHT && five, can["ax"] || b.HEPhy != nil
		s.DFS = s.DFS || slices.ContainsFunc(b.Channels, func(c nl80211.Channel) bool { return c.Radar && !c.Disabled })
	}
	for _, name := range []string{"a", "b", "g", "n", "ac", "ax"} {
		if can[name] {
			s.Standards = append(s.Standards, name)
		}
	}
	b := r.band(conf.Band)
	if b == nil {
		return s
	}
	var channels []int
	for _, c := range b.Channels {
		if usable(c) && c.Number() > 0 {
			channels = append(channels, c.Number())
		}
	}
	s.Channels = uciconf.Ranges(channels)
	most := widest(conf.Band, b, speaks(generations, b))
	for mhz := 20; mhz <= most; mhz *= 2 {
		s.Widths = append(s.Widths, strconv.Itoa(mhz)+"MHz")
	}
	s.Widths = append(s.Widths, "Auto")
	s.MaxBitRate = bitRate(speaks(generations, b), most, max(1, b.Streams))
	return s
}

// modes are the ModeEnabled that can be asked for. WPA3 and OWE want management
// frames protected, which is the driver's. hostapd is built without WEP.
func (r *radio) modes() []string {
	all := []string{"None", "WPA-Personal", "WPA2-Personal", "WPA-WPA2-Personal", "WPA-Enterprise", "WPA2-Enterprise", "WPA-WPA2-Enterprise"}
	if slices.Contains(r.Ciphers, nl80211.CipherCMAC) {
		all = append(all, "WPA3-Personal", "WPA3-Personal-Transition", "WPA3-Enterprise", "OWE")
	}
	return all
}

// bitRate is the highest rate of a generation in Mbit/s: that of one stream at
// the shortest guard interval (IEEE 802.11-2020, 19.5 and 21.5; IEEE
// 802.11ax-2021, 27.5), times the streams.
func bitRate(generation, mhz, streams int) uint32 {
	one := [][]float64{{54, 54, 54, 54}, {72.2, 150, 150, 150}, {86.7, 200, 433.3, 866.7}, {143.4, 286.8, 600.5, 1201}}
	if generation == 0 {
		streams = 1
	}
	at := map[int]int{40: 1, 80: 2, 160: 3}[mhz]
	return uint32(one[generation][at] * float64(streams))
}
