// Device.Services.VoiceService.{i}.SIP.Network.{i}.: where the provider's SIP
// servers are.

package tr181

import (
	"context"

	"gatehouse/datamodel"
)

// VoiceNetwork is a SIP.Network as the provider has it. A port of 0 is left to
// DNS (RFC 3263).
type VoiceNetwork struct {
	Enable                               bool
	ProxyServer, RegistrarServer         string
	ProxyServerPort, RegistrarServerPort uint32
	ProxyServerTransport                 string // UDP TCP TLS SCTP, "" left to DNS
	RegistrarServerTransport             string
	UserAgentDomain, Realm               string
	OutboundProxy                        string
	OutboundProxyPort                    uint32
	MoreOutboundProxies                  []string // SIP URIs, best first
	STUNEnable                           bool
	STUNServer                           string
	ICEServers                           []string // URIs (RFC 7064, RFC 7065)
	RegistrationPeriod                   uint32   // seconds; 0: not said
	SendLocation                         bool     // with each registration
}

type sipNetwork struct {
	alias  datamodel.Alias
	status string
	VoiceNetwork
}

// byDNS is the transport that DNS names (RFC 3263 4.1): TR-104 has no word for
// it.
const byDNS = ours + "DNS"

// handedOver is the status of what a voice stack has been told: what becomes of
// it there is not known, and TR-104 has no word for that.
const handedOver = ours + "Configured"

// registrationPeriod is what RFC 3261 10.2 has where nobody says.
const registrationPeriod = 3600

var sipTransports = datamodel.Enum{"UDP", "TCP", "TLS", "SCTP", byDNS}

var sipNetworkParams = []datamodel.Param[sipNetwork]{
	{Name: "Enable", At: func(n *sipNetwork) any { return &n.Enable }, Access: datamodel.ReadWrite},
	{Name: "Status", At: func(n *sipNetwork) any { return &n.status }, Check: datamodel.Enum{"Disabled", "Error_Other", handedOver}},
	{Name: "Alias", At: func(n *sipNetwork) any { return &n.alias }, Access: datamodel.ReadWrite, Check: datamodel.Len{Max: 64}},
	{Name: "ProxyServer", At: func(n *sipNetwork) any { return &n.ProxyServer }, Access: datamodel.ReadWrite, Check: datamodel.Len{Max: 256}},
	{Name: "ProxyServerPort", At: func(n *sipNetwork) any { return &n.ProxyServerPort }, Access: datamodel.ReadWrite, Check: datamodel.Range{Max: 65535}},
	{Name: "ProxyServerTransport", At: func(n *sipNetwork) any { return &n.ProxyServerTransport }, Access: datamodel.ReadWrite, Check: sipTransports},
	{Name: "RegistrarServer", At: func(n *sipNetwork) any { return &n.RegistrarServer }, Access: datamodel.ReadWrite, Check: datamodel.Len{Max: 256}},
	{Name: "RegistrarServerPort", At: func(n *sipNetwork) any { return &n.RegistrarServerPort }, Access: datamodel.ReadWrite, Check: datamodel.Range{Max: 65535}},
	{Name: "RegistrarServerTransport", At: func(n *sipNetwork) any { return &n.RegistrarServerTransport }, Access: datamodel.ReadWrite, Check: sipTransports},
	{Name: "UserAgentDomain", At: func(n *sipNetwork) any { return &n.UserAgentDomain }, Access: datamodel.ReadWrite, Check: datamodel.Len{Max: 256}},
	{Name: "OutboundProxy", At: func(n *sipNetwork) any { return &n.OutboundProxy }, Access: datamodel.ReadWrite, Check: datamodel.Len{Max: 256}},
	{Name: "OutboundProxyPort", At: func(n *sipNetwork) any { return &n.OutboundProxyPort }, Access: datamodel.ReadWrite, Check: datamodel.Range{Max: 65535}},
	{Name: "STUNEnable", At: func(n *sipNetwork) any { return &n.STUNEnable }, Access: datamodel.ReadWrite},
	{Name: "STUNServer", At: func(n *sipNetwork) any { return &n.STUNServer }, Access: datamodel.ReadWrite, Check: datamodel.Len{Max: 256}},
	{Name: "RegistrationPeriod", At: func(n *sipNetwork) any { return &n.RegistrationPeriod }, Access: datamodel.ReadWrite, Check: datamodel.AtLeast(1)},
	{Name: "Realm", At: func(n *sipNetwork) any { return &n.Realm }, Access: datamodel.ReadWrite},
	{Name: ours + "MoreOutboundProxies", At: func(n *sipNetwork) any { return &n.MoreOutboundProxies }, Access: datamodel.ReadWrite, Check: datamodel.List{MaxLen: 2048}},
	{Name: ours + "ICEServers", At: func(n *sipNetwork) any { return &n.ICEServers }, Access: datamodel.ReadWrite, Check: datamodel.List{MaxLen: 2048}},
	{Name: ours + "SendLocation", At: func(n *sipNetwork) any { return &n.SendLocation }, Access: datamodel.ReadWrite},
}

const sipNetworkPath = voiceServicePath + "SIP.Network.{i}."

func (m *Model) sipNetwork() datamodel.Object {
	return datamodel.Define(sipNetworkPath, sipNetworkParams, datamodel.Source[sipNetwork]{
		Topics: voiceTopics,
		Rows: voiceRows(m, func(ctx context.Context, s *VoiceSettings, yield func(datamodel.Row[sipNetwork]) bool) {
			yield(datamodel.Row[sipNetwork]{Key: sipNetworkKey, Value: m.voiceNetwork(ctx, s)})
		}),
		Stage: stageOverrides(m, "network", sipNetworkParams),
	})
}

// voiceNetwork is the one network as it counts.
func (m *Model) voiceNetwork(ctx context.Context, s *VoiceSettings) sipNetwork {
	n := sipNetwork{VoiceNetwork: s.Network}
	for _, t := range [...]*string{&n.ProxyServerTransport, &n.RegistrarServerTransport} {
		if *t == "" {
			*t = byDNS
		}
	}
	if n.RegistrationPeriod == 0 {
		n.RegistrationPeriod = registrationPeriod
	}
	overlay(ctx, m, sipNetworkParams, &n, "network", sipNetworkKey)
	n.status = s.status(n.Enable, "Error_Other")
	return n
}

// status is how an account or a network is doing, as far as the agent knows.
func (s *VoiceSettings) status(enable bool, failed string) string {
	switch {
	case !enable:
		return "Disabled"
	case s.Failed:
		return failed
	}
	return handedOver
}
