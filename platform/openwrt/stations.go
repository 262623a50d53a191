// Who has joined a network: hostapd knows them, iwinfo knows how they are heard.

package openwrt

import (
	"context"
	"iter"
	"time"

	"gatehouse/internal/ubus"
	"gatehouse/platform"
	"gatehouse/platform/uciconf"
)

// lately is how long after its last frame a station counts as active.
const lately = 5 * time.Minute

// Stations implements platform.WiFiState. A network that is down has none; an
// SSID that is not configured is ErrGone.
func (w wifi) Stations(ctx context.Context, ssid string) iter.Seq2[platform.Station, error] {
	return each(ctx, func(ctx context.Context) ([]platform.Station, error) { return w.stations(ctx, ssid) },
		func(s platform.Station) ([]platform.Station, error) { return []platform.Station{s}, nil })
}

func (w wifi) stations(ctx context.Context, ssid string) ([]platform.Station, error) {
	radios, err := w.radios(ctx)
	if err != nil {
		return nil, err
	}
	for _, r := range radios {
		for _, n := range r.networks {
			if n.key != ssid {
				continue
			}
			if n.link == "" || n.station {
				return nil, nil
			}
			return w.joined(ctx, n.link)
		}
	}
	return nil, nil // it is off: netifd knows nothing of it
}

func (w wifi) joined(ctx context.Context, link string) ([]platform.Station, error) {
	clients, herr := w.bus.ask(ctx, "hostapd."+link, "get_clients", "")
	if herr != nil && !isAbsent(herr) {
		return nil, herr
	}
	heard, ierr := w.bus.ask(ctx, "iwinfo", "assoclist", link)
	switch {
	case ierr != nil && !isAbsent(ierr):
		return nil, ierr
	case herr != nil && ierr != nil:
		return nil, herr // neither can say: that is not the same as nobody
	}
	now := time.Now()
	freq := number(clients, "freq")
	var all []platform.Station
	at := map[string]int{}
	for _, f := range table(clients, "clients") {
		if c, ok := f.Value.(ubus.Table); ok && (flag(c, "assoc") || flag(c, "authorized")) {
			at[hardware(f.Name)] = len(all)
			all = append(all, client(hardware(f.Name), c, freq))
		}
	}
	for _, h := range tables(heard, "results") {
		mac := hardware(text(h, "mac"))
		i, known := at[mac]
		if !known {
			if herr == nil {
				continue // it has left meanwhile
			}
			i = len(all)
			all = append(all, platform.Station{MAC: mac, Authorized: flag(h, "authorized")})
		}
		hear(&all[i], h, now)
	}
	return all, nil
}

// client is what hostapd knows of a station. What hostapd receives is what the
// station sends: uplink.
func client(mac string, c ubus.Table, freq int64) platform.Station {
	rate, bytes, packets := table(c, "rate"), table(c, "bytes"), table(c, "packets")
	return platform.Station{
		MAC: mac, Authorized: flag(c, "authorized"), Active: true,
		Downlink: uint32(unsigned(rate, "tx")), Uplink: uint32(unsigned(rate, "rx")),
		Signal:    int32(number(c, "signal")),
		Standard:  generation(c, freq),
		BytesSent: unsigned(bytes, "tx"), BytesReceived: unsigned(bytes, "rx"),
		PacketsSent: unsigned(packets, "tx"), PacketsRecvd: unsigned(packets, "rx"),
	}
}

// hear adds what iwinfo knows of a station.
func hear(s *platform.Station, h ubus.Table, now time.Time) {
	rx, tx := table(h, "rx"), table(h, "tx")
	s.Signal, s.Noise = int32(number(h, "signal")), int32(number(h, "noise"))
	s.Active = time.Duration(unsigned(h, "inactive"))*time.Millisecond < lately
	s.Retransmissions, s.ErrorsSent = uint32(unsigned(tx, "retries")), unsigned(tx, "failed")
	if n := unsigned(h, "connected_time"); n > 0 {
		s.Associated = now.Add(-time.Duration(n) * time.Second).Truncate(time.Second)
	}
	if s.Standard == "" {
		s.Standard = generation(tx, 0)
	}
	if s.BytesSent == 0 && s.BytesReceived == 0 {
		s.BytesSent, s.BytesReceived = unsigned(tx, "bytes"), unsigned(rx, "bytes")
		s.PacketsSent, s.PacketsRecvd = unsigned(tx, "packets"), unsigned(rx, "packets")
	}
	if s.Downlink == 0 && s.Uplink == 0 {
		s.Downlink, s.Uplink = uint32(unsigned(tx, "rate")), uint32(unsigned(rx, "rate"))
	}
}

// generation is the newest standard that a station has in common with us.
func generation(t ubus.Table, freq int64) string {
	for _, g := range [...][2]string{{"eht", "be"}, {"he", "ax"}, {"vht", "ac"}, {"ht", "n"}} {
		if flag(t, g[0]) {
			return g[1]
		}
	}
	switch uciconf.BandOf(freq) {
	case "2.4GHz":
		return "g"
	case "5GHz":
		return "a"
	}
	return ""
}
