// Device.Services.VoiceService.{i}.SIP.Client.{i}.: the subscriber's accounts.

package tr181

import (
	"context"
	"iter"

	"gatehouse/datamodel"
)

// A VoiceClient is a SIP account as the provider has it.
type VoiceClient struct {
	Key          datamodel.Key // the user part of its URI
	Enable       bool
	AuthUserName string
	AuthPassword string // never read back
	RegisterURI  string
	DisplayName  string
	MWI          string // SIP URI of the message summary
	Videomail    string // SIP URI
}

var sipClientParams = []voiceParam{
	{Name: "Enable", At: func(r *voiceRow) any { return &r.client.Enable }, Access: datamodel.ReadWrite},
	{Name: "Status", At: func(r *voiceRow) any { return &r.status }, Check: datamodel.Enum{"Disabled", "Error_Misconfigured", handedOver}},
	{Name: "Alias", At: func(r *voiceRow) any { return &r.alias }, Access: datamodel.ReadWrite, Check: datamodel.Len{Max: 64}},
	{Name: "Origin", At: func(r *voiceRow) any { return &r.origin }, Check: datamodel.Enum{"AutoConfigured"}},
	{Name: "AuthUserName", At: func(r *voiceRow) any { return &r.client.AuthUserName }, Access: datamodel.ReadWrite, Check: datamodel.Len{Max: 128}},
	{Name: "AuthPassword", At: func(r *voiceRow) any { return &r.client.AuthPassword }, Access: datamodel.ReadWrite, Check: datamodel.Len{Max: 128}, Hidden: true},
	{Name: "Network", At: func(r *voiceRow) any { return &r.ref }, Refs: []string{sipNetworkPath}},
	{Name: "RegisterURI", At: func(r *voiceRow) any { return &r.client.RegisterURI }, Access: datamodel.ReadWrite, Check: datamodel.Len{Max: 389}},
	{Name: ours + "DisplayName", At: func(r *voiceRow) any { return &r.client.DisplayName }, Access: datamodel.ReadWrite, Check: datamodel.Len{Max: 256}},
	{Name: ours + "MWI", At: func(r *voiceRow) any { return &r.client.MWI }, Access: datamodel.ReadWrite, Check: datamodel.Len{Max: 389}},
	{Name: ours + "Videomail", At: func(r *voiceRow) any { return &r.client.Videomail }, Access: datamodel.ReadWrite, Check: datamodel.Len{Max: 389}},
}

func (m *Model) sipClient() datamodel.Object {
	return m.voiceTable(voiceServicePath+"SIP.Client.{i}.", "client", sipClientParams, func(ctx context.Context, s *VoiceSettings) iter.Seq2[datamodel.Key, voiceRow] {
		return func(yield func(datamodel.Key, voiceRow) bool) {
			for _, c := range s.Clients {
				if !yield(c.Key, m.client(ctx, s, c)) {
					return
				}
			}
		}
	})
}

// client is an account as it counts.
func (m *Model) client(ctx context.Context, s *VoiceSettings, c VoiceClient) voiceRow {
	r := voiceRow{client: c, origin: "AutoConfigured", ref: datamodel.Ref{Table: sipNetworkPath, At: []datamodel.Key{voiceServiceKey, sipNetworkKey}}}
	m.overlay(ctx, sipClientParams, &r, "client", c.Key)
	r.status = s.status(r.client.Enable, "Error_Misconfigured")
	return r
}
