// Device.ManagementServer.: XMPP connection requests.

package tr181

import (
	"context"
	"strings"

	"gatehouse/datamodel"
)

// Device.ManagementServer.: by which XMPP connection the ACS asks for sessions
// (TR-069 Annex K).
type managementServerXMPP struct {
	connection datamodel.Ref
	allowed    []string // JIDs; none: everybody
	connReqJID string
}

var managementServerXMPPParams = []datamodel.Param[managementServerXMPP]{
	{Name: connReqConnection, At: func(s *managementServerXMPP) any { return &s.connection }, Access: datamodel.ReadWrite,
		Refs: []string{xmppConnectionPath}},
	{Name: "ConnReqAllowedJabberIDs", At: func(s *managementServerXMPP) any { return &s.allowed }, Access: datamodel.ReadWrite,
		Check: datamodel.List{Of: datamodel.Len{Max: 256}, MaxItems: 32}},
	{Name: "ConnReqJabberID", At: func(s *managementServerXMPP) any { return &s.connReqJID }, Notify: datamodel.NotifyDefaultOn},
}

// connReqConnection is kept as the key of the row, which stays when numbers or
// aliases do not.
const connReqConnection = "ConnReqXMPPConnection"

func (m *Model) managementServerXMPP() datamodel.Object {
	return datamodel.Define("Device."+managementServerName, managementServerXMPPParams, datamodel.Source[managementServerXMPP]{
		Extends: true,
		Topics:  []datamodel.Topic{SettingsChanged, ReachChanged},
		Rows: datamodel.One(func(ctx context.Context, _ []datamodel.Key) (managementServerXMPP, error) {
			s := managementServerXMPP{allowed: m.AllowedJabberIDs()}
			if key := m.a.Settings.Get(managementServerName + connReqConnection); key != "" {
				s.connection = datamodel.Ref{Table: xmppConnectionPath, At: []datamodel.Key{key}}
				s.connReqJID = m.jabberID(ctx, key)
			}
			return s, nil
		}),
		Stage: func(_ context.Context, tx *datamodel.Tx, _ []datamodel.Key, c datamodel.Change[managementServerXMPP]) error {
			if err := stageSettings(m, managementServerXMPPParams, tx, c, connReqConnection); err != nil {
				return err
			}
			if !c.Set(connReqConnection) {
				return nil
			}
			key := strings.Join(c.New.connection.At, "")
			if err := m.a.Settings.Stage(tx, managementServerName+connReqConnection, key); err != nil {
				return &datamodel.FieldError{Name: connReqConnection, Err: err}
			}
			return nil
		},
	})
}

// AllowedJabberIDs are who may send XMPP connection requests; none: everybody.
func (m *Model) AllowedJabberIDs() []string {
	var s managementServerXMPP
	fillSettings(m, managementServerXMPPParams[1:2], &s)
	return s.allowed
}

// jabberID is the JID that the server gave: "" when the connection is gone or
// switched off, and unchanged while it is only lost (TR-181
// ManagementServer.ConnReqJabberID).
func (m *Model) jabberID(ctx context.Context, key datamodel.Key) string {
	row, err := m.xmppConnections.Load(ctx, []datamodel.Key{key})
	if err != nil || !row.enable {
		return ""
	}
	s, _ := m.a.XMPP.Connection(key)
	return s.JabberID
}
