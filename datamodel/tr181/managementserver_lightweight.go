// Device.ManagementServer.: lightweight notifications.

package tr181

import (
	"context"
	"time"

	"gatehouse/datamodel"
)

// Device.ManagementServer.: how the ACS is told of changes without a session
// (TR-069 Annex M).
type managementServerLightweight struct {
	supported, used []string // protocols; none used: no notifications
	triggerInterval uint32   // seconds between passive ones; 0: they go with active ones only
	triggerTime     time.Time
	host            string // "": that of the ACS URL
	port            uint32
}

var lightweightProtocols = []string{"UDP"}

var managementServerLightweightParams = []datamodel.Param[managementServerLightweight]{
	{Name: "LightweightNotificationProtocolsSupported", At: func(s *managementServerLightweight) any { return &s.supported },
		Check: datamodel.List{Of: datamodel.Enum{"UDP"}}},
	{Name: "LightweightNotificationProtocolsUsed", At: func(s *managementServerLightweight) any { return &s.used }, Access: datamodel.ReadWrite,
		Check: datamodel.List{Of: datamodel.Enum{"UDP"}}},
	{Name: "LightweightNotificationTriggerInterval", At: func(s *managementServerLightweight) any { return &s.triggerInterval }, Access: datamodel.ReadWrite},
	{Name: "LightweightNotificationTriggerTime", At: func(s *managementServerLightweight) any { return &s.triggerTime }, Access: datamodel.ReadWrite},
	{Name: "UDPLightweightNotificationHost", At: func(s *managementServerLightweight) any { return &s.host }, Access: datamodel.ReadWrite,
		Check: datamodel.Len{Max: 256}},
	{Name: "UDPLightweightNotificationPort", At: func(s *managementServerLightweight) any { return &s.port }, Access: datamodel.ReadWrite},
}

func (m *Model) managementServerLightweight() datamodel.Object {
	return datamodel.Define("Device."+managementServerName, managementServerLightweightParams, datamodel.Source[managementServerLightweight]{
		Extends: true,
		Topics:  []datamodel.Topic{SettingsChanged},
		Rows: datamodel.One(func(context.Context, []datamodel.Key) (managementServerLightweight, error) {
			s := managementServerLightweight{}
			fillSettings(m, managementServerLightweightParams, &s)
			s.supported = lightweightProtocols
			return s, nil
		}),
		Stage: func(_ context.Context, tx *datamodel.Tx, _ []datamodel.Key, c datamodel.Change[managementServerLightweight]) error {
			return stageSettings(m, managementServerLightweightParams, tx, c)
		},
	})
}
