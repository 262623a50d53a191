// Device.ManagementServer.: STUN and UDP connection requests.

package tr181

import (
	"context"

	"gatehouse/datamodel"
)

// Device.ManagementServer.: how the agent stays in reach behind NAT (TR-069
// Annex G).
type managementServerSTUN struct {
	udpConnectionRequestAddress string
	stunEnable                  bool
	stunServerAddress           string // "": the host of the ACS URL
	stunServerPort              uint32
	stunUsername, stunPassword  string
	stunMaximumKeepAlivePeriod  int32  // seconds; -1: no maximum
	stunMinimumKeepAlivePeriod  uint32 // seconds
	natDetected                 bool
}

var managementServerSTUNParams = []datamodel.Param[managementServerSTUN]{
	{Name: "UDPConnectionRequestAddress", At: func(s *managementServerSTUN) any { return &s.udpConnectionRequestAddress }, Check: datamodel.Len{Max: 256}},
	{Name: "STUNEnable", At: func(s *managementServerSTUN) any { return &s.stunEnable }, Access: datamodel.ReadWrite},
	{Name: "STUNServerAddress", At: func(s *managementServerSTUN) any { return &s.stunServerAddress }, Access: datamodel.ReadWrite,
		Check: datamodel.Len{Max: 256}},
	{Name: "STUNServerPort", At: func(s *managementServerSTUN) any { return &s.stunServerPort }, Access: datamodel.ReadWrite,
		Check: datamodel.Range{Max: 65535}},
	{Name: "STUNUsername", At: func(s *managementServerSTUN) any { return &s.stunUsername }, Access: datamodel.ReadWrite,
		Check: datamodel.Len{Max: 256}},
	{Name: "STUNPassword", At: func(s *managementServerSTUN) any { return &s.stunPassword }, Access: datamodel.ReadWrite,
		Check: datamodel.Len{Max: 256}, Hidden: true},
	{Name: "STUNMaximumKeepAlivePeriod", At: func(s *managementServerSTUN) any { return &s.stunMaximumKeepAlivePeriod }, Access: datamodel.ReadWrite,
		Check: datamodel.AtLeast(-1)},
	{Name: "STUNMinimumKeepAlivePeriod", At: func(s *managementServerSTUN) any { return &s.stunMinimumKeepAlivePeriod }, Access: datamodel.ReadWrite},
	{Name: "NATDetected", At: func(s *managementServerSTUN) any { return &s.natDetected }},
}

func (m *Model) managementServerSTUN() datamodel.Object {
	return datamodel.Define("Device."+managementServerName, managementServerSTUNParams, datamodel.Source[managementServerSTUN]{
		Extends: true,
		Topics:  []datamodel.Topic{SettingsChanged, ReachChanged},
		Rows: datamodel.One(func(context.Context, []datamodel.Key) (managementServerSTUN, error) {
			var s managementServerSTUN
			fillSettings(m, managementServerSTUNParams, &s)
			s.natDetected, s.udpConnectionRequestAddress = m.a.NAT.UDPAddress()
			return s, nil
		}),
		Stage: func(_ context.Context, tx *datamodel.Tx, _ []datamodel.Key, c datamodel.Change[managementServerSTUN]) error {
			return stageSettings(m, managementServerSTUNParams, tx, c)
		},
	})
}
