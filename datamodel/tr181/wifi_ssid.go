// Device.WiFi.SSID.

package tr181

import (
	"context"
	"errors"
	"iter"
	"strings"
	"unicode/utf8"

	"gatehouse/datamodel"
	"gatehouse/platform"
)

// Device.WiFi.SSID.{i}.: the networks, each on one radio. A name is octets
// (IEEE 802.11-2020, 9.4.2.2): one of the system that is not UTF-8 is shown
// with U+FFFD for what is none, and stays as it is until SSID is written.
type wifiSSID struct {
	platform.SSID // as configured

	alias       datamodel.Alias
	status      string
	name        string
	lowerLayers []datamodel.Ref
	upstream    bool
	bssid       string
	text        string // of the network's name
	mldUnit     int32
}

var wifiSSIDParams = []datamodel.Param[wifiSSID]{
	{Name: "Enable", At: func(s *wifiSSID) any { return &s.Enabled }, Access: datamodel.ReadWrite},
	{Name: "Status", At: func(s *wifiSSID) any { return &s.status }, Check: statuses},
	{Name: "Alias", At: func(s *wifiSSID) any { return &s.alias }, Access: datamodel.ReadWrite, Check: datamodel.Len{Max: 64}},
	{Name: "Name", At: func(s *wifiSSID) any { return &s.name }, Check: datamodel.Len{Max: 64}},
	{Name: "LowerLayers", At: func(s *wifiSSID) any { return &s.lowerLayers }, Access: datamodel.ReadWrite, Refs: []string{wifiRadioPath}},
	{Name: "Upstream", At: func(s *wifiSSID) any { return &s.upstream }},
	{Name: "BSSID", At: func(s *wifiSSID) any { return &s.bssid }, Check: datamodel.MACAddress{}},
	{Name: "MACAddress", At: func(s *wifiSSID) any { return &s.bssid }, Check: datamodel.MACAddress{}},
	{Name: "SSID", At: func(s *wifiSSID) any { return &s.text }, Access: datamodel.ReadWrite, Check: datamodel.Len{Max: 32}},
	{Name: "MLDUnit", At: func(s *wifiSSID) any { return &s.mldUnit }, Access: datamodel.ReadWrite,
		Check: datamodel.Spans{{Min: -1, Max: -1}, {Min: 0, Max: 24}}},
}

// noMLD as MLDUnit: the network takes no part in a multi-link device.
const noMLD = -1

// wifiSSID declares no unique key but Alias: BSSID, the other one that can be
// touched, is the hardware's, and is "" in all rows that were not taken up yet.
func (m *Model) wifiSSID() datamodel.Object {
	return datamodel.Define(wifiSSIDPath, wifiSSIDParams, datamodel.Source[wifiSSID]{
		Topics: []datamodel.Topic{WiFiChanged, ConfigChanged},
		Rows:   m.wifiSSIDRows,
		Check:  checkWiFiSSID,
		New: func(ctx context.Context, _ []datamodel.Key) (datamodel.Key, *wifiSSID, error) {
			key, s, err := m.p.WiFi.SSIDs.Fresh(ctx)
			s.Enabled, s.Radio = false, "" // as the BBF table has it
			return key, &wifiSSID{SSID: s, status: "Down", name: key, text: shown(s.Name), mldUnit: noMLD}, lacking(err)
		},
		Stage: func(ctx context.Context, tx *datamodel.Tx, at []datamodel.Key, c datamodel.Change[wifiSSID]) error {
			if c.New == nil {
				return deleteRow(ctx, m, tx, m.p.WiFi.SSIDs, at[0])
			}
			return putRow(ctx, m, tx, m.p.WiFi.SSIDs, at[0], c.New.config(c), firstSet(wifiSSIDParams, c))
		},
	})
}

func (m *Model) wifiSSIDStats() datamodel.Object {
	return datamodel.Define(wifiSSIDPath+"Stats.", linkStatsParams, datamodel.Source[linkStats]{
		Without: []string{"Noise"},
		Keys:    datamodel.Always,
		Rows: datamodel.One(func(ctx context.Context, at []datamodel.Key) (linkStats, error) {
			states, err := m.ssidStates(ctx)
			return countersOf(ssidState(states, at[0]).Stats), err
		}),
	})
}

func (m *Model) wifiSSIDRows(ctx context.Context, _ []datamodel.Key) iter.Seq2[datamodel.Row[wifiSSID], error] {
	return func(yield func(datamodel.Row[wifiSSID], error) bool) {
		w, err := m.readWireless(ctx)
		if err != nil {
			yield(datamodel.Row[wifiSSID]{}, err)
			return
		}
		for _, e := range w.ssids {
			s := ssidState(w.up, e.Key)
			row := wifiSSID{
				SSID: e.Value, status: w.ssidStatus(e.Value, s), name: s.Link, bssid: upMAC(s.BSSID),
				text: shown(e.Value.Name), mldUnit: noMLD,
			}
			if row.name == "" {
				row.name = e.Key
			}
			if e.Value.Radio != "" {
				row.lowerLayers = []datamodel.Ref{wifiRef(wifiRadioPath, e.Value.Radio)}
			}
			if !yield(datamodel.Row[wifiSSID]{Key: e.Key, Value: &row}, nil) {
				return
			}
		}
	}
}

// wireless is all that SSIDs and access points are made of.
type wireless struct {
	radios []platform.Entry[platform.Radio]
	ssids  []platform.Entry[platform.SSID]
	can    []platform.RadioState
	up     []platform.SSIDState
}

func (m *Model) readWireless(ctx context.Context) (w wireless, err error) {
	if w.radios, err = m.radios(ctx); err != nil {
		return w, err
	}
	if w.ssids, err = m.ssids(ctx); err != nil {
		return w, err
	}
	if w.can, err = m.radioStates(ctx); err != nil {
		return w, err
	}
	w.up, err = m.ssidStates(ctx)
	return w, err
}

// ssidStatus is the Status of a network, by what it stands on. One that has its
// interface and does not send yet waits: for radar to stay away, for instance.
func (w *wireless) ssidStatus(s platform.SSID, state platform.SSIDState) string {
	radio, there := radioState(w.can, s.Radio)
	configured := entry(w.radios, s.Radio)
	switch {
	case !s.Enabled:
		return "Down"
	case configured != nil && !there:
		return "NotPresent"
	case configured == nil || !configured.Enabled || !radio.Up:
		return "LowerLayerDown"
	case state.Up:
		return "Up"
	case state.Link != "":
		return "Dormant"
	}
	return "Down"
}

// renamed says whether the network gets another name. One that is written as
// it was shown is meant to stay: its octets may be others.
func (s *wifiSSID) renamed(c datamodel.Change[wifiSSID]) bool {
	return c.Set("SSID") && s.text != shown(s.SSID.Name)
}

// config is the row as the platform keeps it.
func (s wifiSSID) config(c datamodel.Change[wifiSSID]) platform.SSID {
	n := s.SSID
	if s.renamed(c) {
		n.Name = s.text
	}
	if c.Set("LowerLayers") {
		n.Radio = ""
		if len(s.lowerLayers) > 0 {
			n.Radio = keyOf(s.lowerLayers[0])
		}
	}
	return n
}

var (
	errSSIDBytes = errors.New("more than 32 octets in UTF-8")
	errNoSSID    = errors.New("a network without a name cannot be enabled")
	errOneRadio  = errors.New("a network is on one radio")
	errNoMLD     = errors.New("this device has no multi-link devices")
)

func checkWiFiSSID(c datamodel.Change[wifiSSID]) error {
	if c.New == nil {
		return nil
	}
	s, bad := c.New, refusals{}
	switch {
	case !s.renamed(c):
	case len(s.text) > 32:
		bad.blame("SSID", errSSIDBytes)
	case control(s.text):
		bad.blame("SSID", errControl)
	}
	if s.Enabled && s.text == "" && (c.Set("SSID") || c.Set("Enable")) {
		bad.blame("SSID", errNoSSID)
	}
	if c.Set("LowerLayers") && len(s.lowerLayers) > 1 {
		bad.blame("LowerLayers", errOneRadio)
	}
	if c.Set("MLDUnit") && s.mldUnit != noMLD {
		bad.blame("MLDUnit", errNoMLD)
	}
	return bad.err()
}

// control reports characters that have no place in the line of a configuration
// file: hostapd's knows no quoting. A tab is a blank.
func control(s string) bool {
	return strings.ContainsFunc(s, func(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f })
}

// shown is what an ACS sees of octets: what is not UTF-8, or cannot be told in
// XML, becomes U+FFFD.
func shown(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' && r != '\t' && r != '\n' && r != '\r' || r == 0xfffe || r == 0xffff {
			return utf8.RuneError
		}
		return r
	}, s)
}
