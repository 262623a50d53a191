// The wireless side of the router in memory: two radios, their networks and
// access points as configuration, and what came of it at the last reload.

package fake

import (
	"context"
	"fmt"
	"iter"
	"maps"
	"slices"
	"strconv"
	"time"

	"gatehouse/platform"
)

// Sources of the wireless side. The tables are "config radio", "config ssid"
// and "config accesspoint"; stations are counted by network.
const (
	WiFiRadios Source = "wifi radios"
	WiFiSSIDs  Source = "wifi ssids"
)

// WiFiStations is the source of the stations of one network.
func WiFiStations(ssid string) Source { return Source("wifi stations " + ssid) }

// wireless is the service, and the package, of all of it.
const wireless = "wireless"

// wifi is how the wireless side is doing.
type wifi struct {
	radios   []platform.RadioState // what is there, by key
	ssids    []platform.SSIDState  // what was taken up
	stations map[string][]platform.Station
}

// homeWiFi gives the tables their home rows, and takes them up.
func (r *Router) homeWiFi() {
	radios := table[platform.Radio]{r: r, name: "radio", service: wireless}
	ssids := table[platform.SSID]{r: r, name: "ssid", service: wireless}
	aps := table[platform.AccessPoint]{r: r, name: "accesspoint", service: wireless, fresh: freshAccessPoint(), clone: cloneAccessPoint}
	radio := platform.Radio{
		Enabled: true, Band: "2.4GHz", Standards: "b,g,n,ax", Width: "20MHz", Extension: "Auto", Guard: "Auto", MCS: -1, TxPower: -1, Country: "DE",
	}
	fast := radio
	fast.Band, fast.Channel, fast.Standards, fast.Width, fast.DFS = "5GHz", 36, "a,n,ac,ax", "80MHz", true
	ap := freshAccessPoint()
	ap.Enabled, ap.SSID = true, "default_radio0"
	ap.Security.Mode, ap.Security.Passphrase, ap.Security.MFP = "WPA2-Personal", "correct horse battery", "Optional"
	off := cloneAccessPoint(ap)
	off.SSID = "default_radio1"
	r.tables.WiFi = platform.WiFi{
		Radios: seed(radios, true, platform.Entry[platform.Radio]{Key: "radio0", Value: radio}, platform.Entry[platform.Radio]{Key: "radio1", Value: fast}),
		SSIDs: seed(ssids, false,
			platform.Entry[platform.SSID]{Key: "default_radio0", Value: platform.SSID{Enabled: true, Radio: "radio0", Name: "Home"}},
			platform.Entry[platform.SSID]{Key: "default_radio1", Value: platform.SSID{Radio: "radio1", Name: "Home 5"}}),
		AccessPoints: seed(aps, false,
			platform.Entry[platform.AccessPoint]{Key: "default_radio0", Value: ap},
			platform.Entry[platform.AccessPoint]{Key: "default_radio1", Value: off}),
		State: backend{r},
	}
	r.state.wifi = wifi{radios: homeRadios()}
	radios.takenUp(r.wirelessUp)
	r.wirelessUp()
	r.state.wifi.stations = map[string][]platform.Station{"default_radio0": homeStations()}
}

func freshAccessPoint() platform.AccessPoint {
	return platform.AccessPoint{Advertised: true, WMM: true,
		Security: platform.WiFiSecurity{Mode: "None", Rekey: time.Hour, MFP: "Disabled", RadiusPort: 1812}}
}

func cloneAccessPoint(a platform.AccessPoint) platform.AccessPoint {
	a.AllowedMAC, a.WPSMethods = slices.Clone(a.AllowedMAC), slices.Clone(a.WPSMethods)
	a.Security.WEPKey, a.Security.PSK = slices.Clone(a.Security.WEPKey), slices.Clone(a.Security.PSK)
	return a
}

func homeRadios() []platform.RadioState {
	radio := func(n int, band string, standards ...string) platform.RadioState {
		return platform.RadioState{
			Key: "radio" + strconv.Itoa(n), Name: "phy" + strconv.Itoa(n), Bands: []string{band}, Standards: standards,
			TxPowers: []int32{-1, 25, 50, 75, 100}, Noise: -95, BeaconEvery: 100, DTIM: 2,
			Modes: []string{"None", "WPA2-Personal", "WPA3-Personal", "WPA3-Personal-Transition", "WPA-WPA2-Personal",
				"WPA2-Enterprise", "WPA3-Enterprise", "OWE"},
			WPSMethods: []string{"PushButton", "PIN"}, WMM: true, UAPSD: true,
		}
	}
	slow, fast := radio(0, "2.4GHz", "b", "g", "n", "ax"), radio(1, "5GHz", "a", "n", "ac", "ax")
	slow.Channels, slow.MaxBitRate, slow.Widths = "1-13", 574, []string{"20MHz", "40MHz", "Auto"}
	fast.Channels, fast.MaxBitRate, fast.Widths = "36,40,44,48,52,56,60,64,100-140", 2402, []string{"20MHz", "40MHz", "80MHz", "160MHz", "Auto"}
	fast.DFS = true
	return []platform.RadioState{slow, fast}
}

// homeStations: the phone is on the radio, the other hosts are on cables.
func homeStations() []platform.Station {
	return []platform.Station{{
		MAC: "00:00:5e:00:53:21", Authorized: true, Downlink: 286_800, Uplink: 240_000, Signal: -52, Noise: -95, Active: true, Standard: "ax",
		Retransmissions: 3, Associated: time.Now().Round(0).Add(-time.Hour), BytesSent: 70_000_000, BytesReceived: 4_000_000,
		PacketsSent: 60_000, PacketsRecvd: 21_000,
	}}
}

// rowsOf reads a table as it is committed. The lock is held.
func rowsOf[T any](r *Router, name string) map[string]T {
	rows := map[string]T{}
	for _, e := range r.config.committed[name] {
		rows[e.key] = e.value.(T)
	}
	return rows
}

// wirelessUp works out, from the configuration, which radios and networks are
// on the air. The lock is held, or nobody knows the router yet.
func (r *Router) wirelessUp() {
	w := &r.state.wifi
	radios := rowsOf[platform.Radio](r, "radio")
	served := map[string]bool{}
	for _, a := range rowsOf[platform.AccessPoint](r, "accesspoint") {
		served[a.SSID] = served[a.SSID] || a.Enabled
	}
	old, up := w.ssids, map[string]bool{}
	w.ssids = nil
	for _, e := range r.config.committed["ssid"] {
		s := e.value.(platform.SSID)
		there := slices.ContainsFunc(w.radios, func(c platform.RadioState) bool { return c.Key == s.Radio })
		if !s.Enabled || !served[e.key] || !radios[s.Radio].Enabled || !there {
			continue
		}
		up[s.Radio] = true
		now := platform.SSIDState{Key: e.key, Up: true}
		if i := slices.IndexFunc(old, func(o platform.SSIDState) bool { return o.Key == e.key }); i >= 0 {
			now.Link, now.BSSID = old[i].Link, old[i].BSSID
		} else {
			now.Link = r.freeLink(append(slices.Clone(old), w.ssids...))
			now.BSSID = r.wifiLink(now.Link)
		}
		w.ssids = append(w.ssids, now)
	}
	r.dropLinks(old, w.ssids)
	w.radios = slices.Clone(w.radios)
	for i := range w.radios {
		tuned(&w.radios[i], radios[w.radios[i].Key], up[w.radios[i].Key])
	}
	r.tell(platform.Event{Topic: platform.WiFiChanged}, platform.Event{Topic: platform.StationChanged})
}

// tuned puts a radio on the air, or takes it off. The automatic choice takes
// the lowest channel.
func tuned(s *platform.RadioState, r platform.Radio, up bool) {
	s.Up, s.Channel, s.InUse, s.Width = up, 0, "", ""
	if !up {
		return
	}
	if s.Channel = r.Channel; s.Channel == 0 {
		s.Channel = 1
		if r.Band == "5GHz" {
			s.Channel = 36
		}
	}
	s.InUse = strconv.Itoa(int(s.Channel))
	if s.Width = r.Width; s.Width == "Auto" {
		s.Width = "20MHz"
	}
}

// freeLink names the interface of a network that comes up.
func (r *Router) freeLink(taken []platform.SSIDState) string {
	for n := 0; ; n++ {
		name := "wlan" + strconv.Itoa(n)
		if !slices.ContainsFunc(taken, func(s platform.SSIDState) bool { return s.Link == name }) {
			return name
		}
	}
}

// wifiLink makes the interface of a network, a port of the bridge, and returns
// its MAC address.
func (r *Router) wifiLink(name string) string {
	s := &r.state
	next := 1
	for _, l := range s.links {
		if l.Name == name {
			return l.MAC
		}
		next = max(next, l.Index+1)
	}
	mac := fmt.Sprintf("00:00:5e:00:53:%02x", 0x80+next&0x7f)
	s.links = append(slices.Clone(s.links), platform.Link{
		Name: name, Index: next, Kind: platform.LinkWiFi, MAC: mac, MTU: 1500, Master: "br-lan", Enabled: true,
	})
	s.carrier = maps.Clone(s.carrier)
	s.carrier[name] = true
	return mac // settle tells of the link
}

// dropLinks takes out the interfaces, and the stations, of networks that went.
func (r *Router) dropLinks(old, now []platform.SSIDState) {
	s := &r.state
	s.wifi.stations = maps.Clone(s.wifi.stations)
	for _, o := range old {
		if slices.ContainsFunc(now, func(n platform.SSIDState) bool { return n.Key == o.Key }) {
			continue
		}
		s.links = replaced(s.links, func(l platform.Link) bool { return l.Name == o.Link })
		delete(s.wifi.stations, o.Key)
		r.tell(platform.Event{Topic: platform.LinkChanged, Key: o.Link})
	}
}

// Radios, SSIDs and Stations make the backend a platform.WiFiState.
func (b backend) Radios(ctx context.Context) iter.Seq2[platform.RadioState, error] {
	return stream(ctx, b, WiFiRadios, func(s state) []platform.RadioState { return s.wifi.radios }, nil)
}

func (b backend) SSIDs(ctx context.Context) iter.Seq2[platform.SSIDState, error] {
	return stream(ctx, b, WiFiSSIDs, func(s state) []platform.SSIDState {
		ssids := slices.Clone(s.wifi.ssids)
		for i := range ssids {
			for _, l := range s.links {
				if l.Name == ssids[i].Link {
					ssids[i].Stats = l.Stats
				}
			}
		}
		return ssids
	}, nil)
}

func (b backend) Stations(ctx context.Context, ssid string) iter.Seq2[platform.Station, error] {
	return stream(ctx, b, WiFiStations(ssid), func(s state) []platform.Station { return s.wifi.stations[ssid] }, nil)
}

// EditRadio changes what a radio can and how it is doing; one that is not
// there is plugged in.
func (r *Router) EditRadio(key string, edit func(*platform.RadioState)) {
	r.change(func(s *state) {
		s.wifi.radios = slices.Clone(s.wifi.radios)
		i := slices.IndexFunc(s.wifi.radios, func(c platform.RadioState) bool { return c.Key == key })
		if i < 0 {
			i = len(s.wifi.radios)
			s.wifi.radios = append(s.wifi.radios, platform.RadioState{Key: key})
		}
		edit(&s.wifi.radios[i])
	}, platform.Event{Topic: platform.WiFiChanged})
}

// RemoveRadio pulls a radio, and takes its networks off the air. Its
// configuration stays.
func (r *Router) RemoveRadio(key string) {
	r.change(func(s *state) {
		s.wifi.radios = replaced(s.wifi.radios, func(c platform.RadioState) bool { return c.Key == key })
		r.wirelessUp()
	})
}

// EditSSIDState changes how a network is doing: one that waits for radar to
// stay away is not Up.
func (r *Router) EditSSIDState(key string, edit func(*platform.SSIDState)) {
	r.change(func(s *state) {
		s.wifi.ssids = slices.Clone(s.wifi.ssids)
		for i := range s.wifi.ssids {
			if s.wifi.ssids[i].Key == key {
				edit(&s.wifi.ssids[i])
			}
		}
	}, platform.Event{Topic: platform.WiFiChanged})
}

// Join lets stations join a network, or go on there with other values.
func (r *Router) Join(ssid string, ss ...platform.Station) {
	r.change(func(s *state) {
		s.wifi.stations = maps.Clone(s.wifi.stations)
		for _, one := range ss {
			s.wifi.leave(one.MAC)
			s.wifi.stations[ssid] = append(slices.Clone(s.wifi.stations[ssid]), one)
		}
	}, platform.Event{Topic: platform.StationChanged})
}

// Leave lets a station go, wherever it is.
func (r *Router) Leave(mac string) {
	r.change(func(s *state) {
		s.wifi.stations = maps.Clone(s.wifi.stations)
		s.wifi.leave(mac)
	}, platform.Event{Topic: platform.StationChanged})
}

func (w *wifi) leave(mac string) {
	for key, all := range w.stations {
		w.stations[key] = replaced(all, func(s platform.Station) bool { return s.MAC == mac })
	}
}

// EditSSID changes the configuration of a network as somebody else would, at
// once and with octets that no ACS could write; one that is not there is added.
func (r *Router) EditSSID(key string, edit func(*platform.SSID)) {
	editRow(r, "ssid", key, func(s platform.SSID) platform.SSID { edit(&s); return s })
}

// EditAccessPoint does the same for an access point.
func (r *Router) EditAccessPoint(key string, edit func(*platform.AccessPoint)) {
	editRow(r, "accesspoint", key, func(a platform.AccessPoint) platform.AccessPoint {
		a = cloneAccessPoint(a)
		edit(&a)
		return a
	})
}

// editRow changes a row of the wireless configuration, and takes it up.
func editRow[T any](r *Router, name, key string, edit func(T) T) {
	r.change(func(*state) {
		rows := slices.Clone(r.config.committed[name])
		i := slices.IndexFunc(rows, func(e entry) bool { return e.key == key })
		if i < 0 {
			var none T
			i = len(rows)
			rows = append(rows, entry{key: key, value: none})
		}
		rows[i].value = edit(rows[i].value.(T))
		r.config.committed[name] = rows
		r.wirelessUp()
	}, platform.Event{Topic: platform.ConfigChanged, Key: wireless})
}
