// Device.WiFi.Radio.

package tr181

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strconv"
	"strings"

	"gatehouse/datamodel"
	"gatehouse/platform"
)

// Device.WiFi.Radio.{i}.: the radios, which can be configured, but neither
// added nor deleted. Channel is the one in use while it is chosen
// automatically, and the one that was written otherwise.
type wifiRadio struct {
	platform.Radio // as configured; what differs in TR-181 has a field below
	can            platform.RadioState

	alias           datamodel.Alias
	status          string
	lowerLayers     []datamodel.Ref // always empty: nothing is below a radio
	upstream        bool
	standards       []string
	possible, inUse []string
	channel         uint32
	autoSupported   bool
	auto            bool
	powers          []string
	domain          string
	beacon, dtim    uint32
}

var wifiRadioParams = []datamodel.Param[wifiRadio]{
	{Name: "Enable", At: func(r *wifiRadio) any { return &r.Enabled }, Access: datamodel.ReadWrite},
	{Name: "Status", At: func(r *wifiRadio) any { return &r.status }, Check: statuses},
	{Name: "Alias", At: func(r *wifiRadio) any { return &r.alias }, Access: datamodel.ReadWrite, Check: datamodel.Len{Max: 64}},
	{Name: "Name", At: func(r *wifiRadio) any { return &r.can.Name }, Check: datamodel.Len{Max: 64}},
	{Name: "LowerLayers", At: func(r *wifiRadio) any { return &r.lowerLayers }, Check: datamodel.List{MaxLen: 1024}},
	{Name: "MaxBitRate", At: func(r *wifiRadio) any { return &r.can.MaxBitRate }},
	{Name: "Upstream", At: func(r *wifiRadio) any { return &r.upstream }},
	{Name: "SupportedFrequencyBands", At: func(r *wifiRadio) any { return &r.can.Bands },
		Check: datamodel.List{Of: datamodel.Enum{"2.4GHz", "5GHz", "6GHz"}}},
	{Name: "OperatingFrequencyBand", At: func(r *wifiRadio) any { return &r.Band }, Access: datamodel.ReadWrite},
	{Name: "SupportedStandards", At: func(r *wifiRadio) any { return &r.can.Standards },
		Check: datamodel.List{Of: datamodel.Enum{"a", "b", "g", "n", "ac", "ax", "be"}}},
	{Name: "OperatingStandards", At: func(r *wifiRadio) any { return &r.standards }, Access: datamodel.ReadWrite},
	{Name: "PossibleChannels", At: func(r *wifiRadio) any { return &r.possible }, Check: datamodel.List{MaxLen: 1024}},
	{Name: "ChannelsInUse", At: func(r *wifiRadio) any { return &r.inUse }, Check: datamodel.List{MaxLen: 1024}, Notify: datamodel.NotifyNever},
	{Name: "Channel", At: func(r *wifiRadio) any { return &r.channel }, Access: datamodel.ReadWrite, Check: datamodel.Range{Min: 1, Max: 255}},
	{Name: "AutoChannelSupported", At: func(r *wifiRadio) any { return &r.autoSupported }},
	{Name: "AutoChannelEnable", At: func(r *wifiRadio) any { return &r.auto }, Access: datamodel.ReadWrite},
	{Name: "SupportedOperatingChannelBandwidths", At: func(r *wifiRadio) any { return &r.can.Widths },
		Check: datamodel.List{Of: datamodel.Enum{"20MHz", "40MHz", "80MHz", "160MHz", "80+80MHz", "320MHz-1", "320MHz-2", "Auto"}}},
	{Name: "OperatingChannelBandwidth", At: func(r *wifiRadio) any { return &r.Width }, Access: datamodel.ReadWrite},
	{Name: "CurrentOperatingChannelBandwidth", At: func(r *wifiRadio) any { return &r.can.Width },
		Check: datamodel.Enum{"20MHz", "40MHz", "80MHz", "160MHz", "80+80MHz", "320MHz-1", "320MHz-2"}},
	{Name: "ExtensionChannel", At: func(r *wifiRadio) any { return &r.Extension }, Access: datamodel.ReadWrite,
		Check: datamodel.Enum{"AboveControlChannel", "BelowControlChannel", "Auto"}},
	{Name: "GuardInterval", At: func(r *wifiRadio) any { return &r.Guard }, Access: datamodel.ReadWrite,
		Check: datamodel.Enum{"400nsec", "800nsec", "Auto"}},
	{Name: "MCS", At: func(r *wifiRadio) any { return &r.MCS }, Access: datamodel.ReadWrite,
		Check: datamodel.Spans{{Min: -1, Max: 15}, {Min: 16, Max: 31}}},
	{Name: "TransmitPowerSupported", At: func(r *wifiRadio) any { return &r.powers },
		Check: datamodel.List{Of: datamodel.Range{Min: -1, Max: 100}, MaxLen: 64}},
	{Name: "TransmitPower", At: func(r *wifiRadio) any { return &r.TxPower }, Access: datamodel.ReadWrite, Check: datamodel.Range{Min: -1, Max: 100}},
	{Name: "IEEE80211hSupported", At: func(r *wifiRadio) any { return &r.can.DFS }},
	{Name: "IEEE80211hEnabled", At: func(r *wifiRadio) any { return &r.DFS }, Access: datamodel.ReadWrite},
	{Name: "RegulatoryDomain", At: func(r *wifiRadio) any { return &r.domain }, Access: datamodel.ReadWrite,
		Check: datamodel.All{datamodel.Len{Min: 3, Max: 3}, datamodel.Pattern{"[A-Z][A-Z][ OI]"}}},
	{Name: "BeaconPeriod", At: func(r *wifiRadio) any { return &r.beacon }, Access: datamodel.ReadWrite},
	{Name: "DTIMPeriod", At: func(r *wifiRadio) any { return &r.dtim }, Access: datamodel.ReadWrite},
}

func (m *Model) wifiRadio() datamodel.Object {
	return datamodel.Define(wifiRadioPath, wifiRadioParams, datamodel.Source[wifiRadio]{
		Topics:   []datamodel.Topic{WiFiChanged, ConfigChanged},
		Rows:     m.wifiRadioRows,
		Check:    checkWiFiRadio,
		ReadOnly: []string{"LowerLayers"},
		Stage: func(ctx context.Context, tx *datamodel.Tx, at []datamodel.Key, c datamodel.Change[wifiRadio]) error {
			return putRow(ctx, m, tx, m.p.WiFi.Radios, at[0], c.New.config(c), firstSet(wifiRadioParams, c))
		},
	})
}

func (m *Model) wifiRadioStats() datamodel.Object {
	return datamodel.Define(wifiRadioPath+"Stats.", linkStatsParams, datamodel.Source[linkStats]{
		Without: []string{"MulticastPacketsReceived"},
		Keys:    datamodel.Always,
		Rows: datamodel.One(func(ctx context.Context, at []datamodel.Key) (linkStats, error) {
			states, err := m.radioStates(ctx)
			r, _ := radioState(states, at[0])
			s := countersOf(r.Stats)
			s.noise = r.Noise
			return s, err
		}),
	})
}

func (m *Model) wifiRadioRows(ctx context.Context, _ []datamodel.Key) iter.Seq2[datamodel.Row[wifiRadio], error] {
	return func(yield func(datamodel.Row[wifiRadio], error) bool) {
		radios, err := m.radios(ctx)
		var states []platform.RadioState
		if err == nil {
			states, err = m.radioStates(ctx)
		}
		if err != nil {
			yield(datamodel.Row[wifiRadio]{}, err)
			return
		}
		for _, e := range radios {
			s, there := radioState(states, e.Key)
			if !yield(datamodel.Row[wifiRadio]{Key: e.Key, Value: new(newWiFiRadio(e.Value, s, there))}, nil) {
				return
			}
		}
	}
}

func newWiFiRadio(r platform.Radio, s platform.RadioState, there bool) wifiRadio {
	w := wifiRadio{
		Radio: r, can: s, status: "Down", standards: commas(r.Standards), possible: commas(s.Channels), inUse: commas(s.InUse),
		channel: r.Channel, autoSupported: true, auto: r.Channel == 0, domain: domainOf(r.Country),
		beacon: r.BeaconEvery, dtim: r.DTIMPeriod,
	}
	if s.Name == "" {
		w.can.Name = s.Key
	}
	switch {
	case !there:
		w.status = "NotPresent"
	case r.Enabled && s.Up:
		w.status = "Up"
	}
	if w.auto {
		w.channel = s.Channel
	}
	if w.channel == 0 { // it has chosen none yet, and TR-181 has no word for that
		w.channel = firstChannel(s.Channels)
	}
	if w.beacon == 0 {
		w.beacon = s.BeaconEvery
	}
	if w.dtim == 0 {
		w.dtim = s.DTIM
	}
	if s.Width == "" { // it sends nothing, and TR-181 has no word for that
		if w.can.Width = r.Width; r.Width == "" || r.Width == "Auto" {
			w.can.Width = "20MHz"
		}
	}
	for _, p := range s.TxPowers {
		w.powers = append(w.powers, strconv.Itoa(int(p)))
	}
	return w
}

// config is the row as the platform keeps it. Writing Channel ends the
// automatic choice; ending that otherwise stays on the channel that it chose.
func (w wifiRadio) config(c datamodel.Change[wifiRadio]) platform.Radio {
	r := w.Radio
	if c.Set("OperatingStandards") {
		r.Standards = strings.Join(w.standards, ",")
	}
	if c.Set("RegulatoryDomain") {
		r.Country = countryOf(w.domain)
	}
	switch {
	case c.Set("AutoChannelEnable") && w.auto:
		r.Channel = 0
	case c.Set("Channel"), c.Set("AutoChannelEnable") && r.Channel == 0:
		r.Channel = w.channel
	case c.Old != nil && w.Band != c.Old.Band:
		r.Channel = 0 // the old one is not in this band
	}
	if c.Old != nil && w.beacon != c.Old.beacon {
		r.BeaconEvery = w.beacon
	}
	if c.Old != nil && w.dtim != c.Old.dtim {
		r.DTIMPeriod = w.dtim
	}
	return r
}

var (
	errNoBand      = errors.New("not one of SupportedFrequencyBands")
	errStandard    = errors.New("not one of SupportedStandards")
	errNoStandard  = errors.New("at least one standard is needed")
	errStandards   = errors.New("the standards of this radio cannot be changed")
	errNoWidth     = errors.New("not one of SupportedOperatingChannelBandwidths")
	errNoChannel   = errors.New("not one of PossibleChannels")
	errPower       = errors.New("not one of TransmitPowerSupported")
	errNo80211h    = errors.New("this radio does not support 802.11h")
	errEnvironment = errors.New("a domain for indoors or outdoors only cannot be set here: the third character is a blank")
	errBeacon      = errors.New("a beacon interval is 15 to 65535 ms")
	errDTIM        = errors.New("a DTIM period is 1 to 255 beacons")
)

// checkWiFiRadio holds what is changed against what the radio can do. What is
// not known of it, because it is not there or says nothing, is left to the
// platform to refuse.
func checkWiFiRadio(c datamodel.Change[wifiRadio]) error {
	w, old, bad := c.New, c.Old, refusals{}
	if w.Band != old.Band && w.can.Bands != nil && !slices.Contains(w.can.Bands, w.Band) {
		bad.blame("OperatingFrequencyBand", errNoBand)
	}
	if !slices.Equal(w.standards, old.standards) {
		if err := w.checkStandards(); err != nil {
			bad.blame("OperatingStandards", err)
		}
	}
	if w.Width != old.Width && w.can.Widths != nil && !slices.Contains(w.can.Widths, w.Width) {
		bad.blame("OperatingChannelBandwidth", errNoWidth)
	}
	if c.Set("Channel") && (w.channel != old.channel || w.Band != old.Band) && !w.possibleChannel(w.Band == old.Band) {
		bad.blame("Channel", errNoChannel)
	}
	if w.TxPower != old.TxPower && w.can.TxPowers != nil && !slices.Contains(w.can.TxPowers, w.TxPower) {
		bad.blame("TransmitPower", errPower)
	}
	if w.DFS && !old.DFS && !w.can.DFS && w.status != "NotPresent" {
		bad.blame("IEEE80211hEnabled", errNo80211h)
	}
	if w.domain != old.domain && w.domain[2] != ' ' {
		bad.blame("RegulatoryDomain", errEnvironment)
	}
	if w.beacon != old.beacon && (w.beacon < 15 || w.beacon > 65535) {
		bad.blame("BeaconPeriod", errBeacon)
	}
	if w.dtim != old.dtim && (w.dtim < 1 || w.dtim > 255) {
		bad.blame("DTIMPeriod", errDTIM)
	}
	return bad.err()
}

func (w *wifiRadio) checkStandards() error {
	if len(w.standards) == 0 {
		return errNoStandard
	}
	if w.can.FixedStandards {
		return errStandards
	}
	for _, s := range w.standards {
		if w.can.Standards != nil && !slices.Contains(w.can.Standards, s) {
			return fmt.Errorf("%q: %w", limit(s, 32), errStandard)
		}
	}
	return nil
}

// possibleChannel says whether Channel is one that the radio can use: in its
// present band the radio says which, of another the band does.
func (w *wifiRadio) possibleChannel(sameBand bool) bool {
	if sameBand && len(w.possible) > 0 {
		return slices.ContainsFunc(w.possible, func(s string) bool {
			from, to, ok := channelSpan(s)
			return ok && from <= w.channel && w.channel <= to
		})
	}
	switch w.Band {
	case "2.4GHz":
		return w.channel <= 14
	case "5GHz":
		return 32 <= w.channel && w.channel <= 177
	}
	return w.channel <= 233
}

// channelSpan reads one item of PossibleChannels: "6" or "1-13".
func channelSpan(s string) (from, to uint32, ok bool) {
	a, b, isRange := strings.Cut(s, "-")
	if !isRange {
		b = a
	}
	lo, err := strconv.ParseUint(a, 10, 8)
	hi, err2 := strconv.ParseUint(b, 10, 8)
	return uint32(lo), uint32(hi), err == nil && err2 == nil
}

func firstChannel(list string) uint32 {
	for _, s := range commas(list) {
		if from, _, ok := channelSpan(s); ok && from > 0 {
			return from
		}
	}
	return 1
}

// commas takes a list of the platform apart; "" is an empty one.
func commas(s string) []string {
	if s == "" {
		return nil
	}
	return strings.Split(s, ",")
}

// noCountry is what 802.11 has for a domain that belongs to no country (IEEE
// 802.11-2020, dot11CountryString): here, none that was set.
const noCountry = "XX "

// domainOf and countryOf turn two letters into the three characters of TR-181,
// the last of which says that the domain is for all environments.
func domainOf(country string) string {
	if len(country) != 2 || country[0] < 'A' || country[0] > 'Z' || country[1] < 'A' || country[1] > 'Z' {
		return noCountry
	}
	return country + " "
}

func countryOf(domain string) string {
	if domain == noCountry {
		return ""
	}
	return domain[:2]
}
