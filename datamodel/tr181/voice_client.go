// Device.Services.VoiceService.{i}.SIP.Client.{i}.: the subscriber's accounts.

package tr181

import (
	"context"

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

type sipClient struct {
	alias          datamodel.Alias
	status, origin string
	network        datamodel.Ref
	VoiceClient
}

var sipClientParams = []datamodel.Param[sipClient]{
	{Name: "Enable", At: func(c *sipClient) any { return &c.Enable }, Access: datamodel.ReadWrite},
	{Name: "Status", At: func(c *sipClient) any { return &c.status }, Check: datamodel.Enum{"Disabled", "Error_Misconfigured", handedOver}},
	{Name: "Alias", At: func(c *sipClient) any { return &c.alias }, Access: datamodel.ReadWrite, Check: datamodel.Len{Max: 64}},
	{Name: "Origin", At: func(c *sipClient) any { return &c.origin }, Check: datamodel.Enum{"AutoConfigured"}},
	{Name: "AuthUserName", At: func(c *sipClient) any { return &c.AuthUserName }, Access: datamodel.ReadWrite, Check: datamodel.Len{Max: 128}},
	{Name: "AuthPassword", At: func(c *sipClient) any { return &c.AuthPassword }, Access: datamodel.ReadWrite, Check: datamodel.Len{Max: 128}, Hidden: true},
	{Name: "Network", At: func(c *sipClient) any { return &c.network }, Refs: []string{sipNetworkPath}},
	{Name: "RegisterURI", At: func(c *sipClient) any { return &c.RegisterURI }, Access: datamodel.ReadWrite, Check: datamodel.Len{Max: 389}},
	{Name: ours + "DisplayName", At: func(c *sipClient) any { return &c.DisplayName }, Access: datamodel.ReadWrite, Check: datamodel.Len{Max: 256}},
	{Name: ours + "MWI", At: func(c *sipClient) any { return &c.MWI }, Access: datamodel.ReadWrite, Check: datamodel.Len{Max: 389}},
	{Name: ours + "Videomail", At: func(c *sipClient) any { return &c.Videomail }, Access: datamodel.ReadWrite, Check: datamodel.Len{Max: 389}},
}

func (m *Model) sipClient() datamodel.Object {
	return datamodel.Define(voiceServicePath+"SIP.Client.{i}.", sipClientParams, datamodel.Source[sipClient]{
		Topics: voiceTopics,
		Rows: voiceRows(m, func(ctx context.Context, s *VoiceSettings, yield func(datamodel.Row[sipClient]) bool) {
			for _, c := range s.Clients {
				if !yield(datamodel.Row[sipClient]{Key: c.Key, Value: m.client(ctx, s, c)}) {
					return
				}
			}
		}),
		Stage: stageOverrides(m, "client", sipClientParams),
	})
}

// client is an account as it counts.
func (m *Model) client(ctx context.Context, s *VoiceSettings, c VoiceClient) sipClient {
	r := sipClient{VoiceClient: c, origin: "AutoConfigured", network: datamodel.Ref{Table: sipNetworkPath, At: []datamodel.Key{voiceServiceKey, sipNetworkKey}}}
	overlay(ctx, m, sipClientParams, &r, "client", c.Key)
	r.status = s.status(r.Enable, "Error_Misconfigured")
	return r
}
