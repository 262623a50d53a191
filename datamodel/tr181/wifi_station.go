// Device.WiFi.AccessPoint.{i}.AssociatedDevice.

package tr181

import (
	"context"
	"iter"
	"time"

	"gatehouse/datamodel"
	"gatehouse/platform"
)

// Device.WiFi.AccessPoint.{i}.AssociatedDevice.{i}.: who has joined, by MAC
// address.
type wifiStation struct {
	macAddress                   string
	operatingStandard            string
	authenticated                bool
	downlink, uplink             uint32 // kbit/s
	associated                   time.Time
	signal, noise                int32  // dBm
	snr                          uint32 // dB
	retransmissions              uint32 // of the last 100 packets
	active                       bool
	bytesSent, bytesReceived     uint64
	packetsSent, packetsReceived uint64
	errorsSent                   uint32
}

var wifiStationParams = []datamodel.Param[wifiStation]{
	{Name: "MACAddress", At: func(s *wifiStation) any { return &s.macAddress }, Check: datamodel.MACAddress{}},
	{Name: "OperatingStandard", At: func(s *wifiStation) any { return &s.operatingStandard }},
	{Name: "AuthenticationState", At: func(s *wifiStation) any { return &s.authenticated }},
	{Name: "LastDataDownlinkRate", At: func(s *wifiStation) any { return &s.downlink }, Check: datamodel.AtLeast(1000), Notify: datamodel.NotifyNever},
	{Name: "LastDataUplinkRate", At: func(s *wifiStation) any { return &s.uplink }, Check: datamodel.AtLeast(1000), Notify: datamodel.NotifyNever},
	{Name: "AssociationTime", At: func(s *wifiStation) any { return &s.associated }},
	{Name: "SignalStrength", At: func(s *wifiStation) any { return &s.signal }, Check: datamodel.Range{Min: -200, Max: 0}},
	{Name: "Noise", At: func(s *wifiStation) any { return &s.noise }, Check: datamodel.Range{Min: -200, Max: 0}},
	{Name: "SNR", At: func(s *wifiStation) any { return &s.snr }},
	{Name: "Retransmissions", At: func(s *wifiStation) any { return &s.retransmissions }, Check: datamodel.Range{Min: 0, Max: 100}},
	{Name: "Active", At: func(s *wifiStation) any { return &s.active }},
	{Name: "Stats.BytesSent", At: func(s *wifiStation) any { return &s.bytesSent }},
	{Name: "Stats.BytesReceived", At: func(s *wifiStation) any { return &s.bytesReceived }},
	{Name: "Stats.PacketsSent", At: func(s *wifiStation) any { return &s.packetsSent }},
	{Name: "Stats.PacketsReceived", At: func(s *wifiStation) any { return &s.packetsReceived }},
	{Name: "Stats.ErrorsSent", At: func(s *wifiStation) any { return &s.errorsSent }},
}

func (m *Model) wifiStation() datamodel.Object {
	return datamodel.Define(wifiStationPath, wifiStationParams, datamodel.Source[wifiStation]{
		Volatile: true,
		Topics:   []datamodel.Topic{StationChanged},
		Rows: func(ctx context.Context, parent []datamodel.Key) iter.Seq2[datamodel.Row[wifiStation], error] {
			return func(yield func(datamodel.Row[wifiStation], error) bool) {
				aps, err := m.accessPoints(ctx)
				var all []platform.Station
				if a := entry(aps, parent[0]); err == nil && a != nil && a.SSID != "" {
					all, err = m.stations(ctx, a.SSID)
				}
				if err != nil {
					yield(datamodel.Row[wifiStation]{}, err)
					return
				}
				for i := range all {
					if !yield(datamodel.Row[wifiStation]{Key: upMAC(all[i].MAC), Value: new(newWiFiStation(&all[i]))}, nil) {
						return
					}
				}
			}
		},
	})
}

// newWiFiStation keeps within what the BBF table admits: a rate below the
// lowest of 802.11, which only means that nothing was sent yet, is the lowest.
func newWiFiStation(s *platform.Station) wifiStation {
	const lowest = 1000
	w := wifiStation{
		macAddress: upMAC(s.MAC), operatingStandard: s.Standard, authenticated: s.Authorized,
		downlink: max(s.Downlink, lowest), uplink: max(s.Uplink, lowest), associated: s.Associated,
		signal: min(max(s.Signal, -200), 0), noise: min(max(s.Noise, -200), 0),
		retransmissions: min(s.Retransmissions, 100), active: s.Active,
		bytesSent: s.BytesSent, bytesReceived: s.BytesReceived, packetsSent: s.PacketsSent, packetsReceived: s.PacketsRecvd,
		errorsSent: uint32(s.ErrorsSent),
	}
	if s.Signal != 0 && s.Noise != 0 {
		w.snr = uint32(max(w.signal-w.noise, 0))
	}
	return w
}

// A wifiPlace is where a station has joined.
type wifiPlace struct{ accessPoint, radio datamodel.Key }

func (p wifiPlace) station(mac string) datamodel.Ref {
	return datamodel.Ref{Table: wifiStationPath, At: []datamodel.Key{p.accessPoint, mac}}
}

// wifiStations says where each station has joined, by its MAC address. Of what
// does not answer nothing is known: its stations are hosts all the same.
func (m *Model) wifiStations(ctx context.Context) map[string]wifiPlace {
	if !m.hasWiFi() {
		return nil
	}
	aps, err := m.accessPoints(ctx)
	if err != nil {
		return nil
	}
	ssids, err := m.ssids(ctx)
	if err != nil {
		return nil
	}
	at := map[string]wifiPlace{}
	for _, a := range aps {
		ssid := entry(ssids, a.Value.SSID)
		if ssid == nil {
			continue
		}
		all, err := m.stations(ctx, a.Value.SSID)
		if err != nil {
			continue
		}
		for _, s := range all {
			at[upMAC(s.MAC)] = wifiPlace{a.Key, ssid.Radio}
		}
	}
	return at
}
