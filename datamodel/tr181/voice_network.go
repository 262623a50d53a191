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

// byDNS is the transport that DNS names (RFC 3263 4.1): TR-104 has no word for
// it.
const byDNS = ours + "DNS"

// handedOver is the status of what a voice stack has been told: what becomes of
// it there is not known, and TR-104 has no word for that.
const handedOver = ours + "Configured"

// registrationPeriod is what RFC 3261 10.2 has where nobody says.
const registrationPeriod = 3600

var sipTransports = datamodel.Enum{"UDP", "TCP", "TLS", "SCTP", byDNS}

var sipNetworkParams = []voiceParam{
	{Name: "Enable", At: func(r *voiceRow) any { return &r.network.Enable }, Access: datamodel.ReadWrite},
	{Name: "Status", At: func(r *voiceRow) any { return &r.status }, Check: datamodel.Enum{"Disabled", "Error_Other", handedOver}},
	{Name: "Alias", At: func(r *voiceRow) any { return &r.alias }, Access: datamodel.ReadWrite, Check: datamodel.Len{Max: 64}},
	{Name: "ProxyServer", At: func(r *voiceRow) any { return &r.network.ProxyServer }, Access: datamodel.ReadWrite, Check: datamodel.Len{Max: 256}},
	{Name: "ProxyServerPort", At: func(r *voiceRow) any { return &r.network.ProxyServerPort }, Access: datamodel.ReadWrite, Check: datamodel.Range{Max: 65535}},
	{Name: "ProxyServerTransport", At: func(r *voiceRow) any { return &r.network.ProxyServerTransport }, Access: datamodel.ReadWrite, Check: sipTransports},
	{Name: "RegistrarServer", At: func(r *voiceRow) any { return &r.network.RegistrarServer }, Access: datamodel.ReadWrite, Check: datamodel.Len{Max: 256}},
	{Name: "RegistrarServerPort", At: func(r *voiceRow) any { return &r.network.RegistrarServerPort }, Access: datamodel.ReadWrite, Check: datamodel.Range{Max: 65535}},
	{Name: "RegistrarServerTransport", At: func(r *voiceRow) any { return &r.network.RegistrarServerTransport }, Access: datamodel.ReadWrite, Check: sipTransports},
	{Name: "UserAgentDomain", At: func(r *voiceRow) any { return &r.network.UserAgentDomain }, Access: datamodel.ReadWrite, Check: datamodel.Len{Max: 256}},
	{Name: "OutboundProxy", At: func(r *voiceRow) any { return &r.network.OutboundProxy }, Access: datamodel.ReadWrite, Check: datamodel.Len{Max: 256}},
	{Name: "OutboundProxyPort", At: func(r *voiceRow) any { return &r.network.OutboundProxyPort }, Access: datamodel.ReadWrite, Check: datamodel.Range{Max: 65535}},
	{Name: "STUNEnable", At: func(r *voiceRow) any { return &r.network.STUNEnable }, Access: datamodel.ReadWrite},
	{Name: "STUNServer", At: func(r *voiceRow) any { return &r.network.STUNServer }, Access: datamodel.ReadWrite, Check: datamodel.Len{Max: 256}},
	{Name: "RegistrationPeriod", At: func(r *voiceRow) any { return &r.network.RegistrationPeriod }, Access: datamodel.ReadWrite, Check: datamodel.AtLeast(1)},
	{Name: "Realm", At: func(r *voiceRow) any { return &r.network.Realm }, Access: datamodel.ReadWrite},
	{Name: ours + "MoreOutboundProxies", At: func(r *voiceRow) any { return &r.network.MoreOutboundProxies }, Access: datamodel.ReadWrite, Check: datamodel.List{MaxLen: 2048}},
	{Name: ours + "ICEServers", At: func(r *voiceRow) any { return &r.network.ICEServers }, Access: datamodel.ReadWrite, Check: datamodel.List{MaxLen: 2048}},
	{Name: ours + "SendLocation", At: func(r *voiceRow) any { return &r.network.SendLocation }, Access: datamodel.ReadWrite},
}

const sipNetworkPath = voiceServicePath + "SIP.Network.{i}."

func (m *Model) sipNetwork() datamodel.Object {
	return m.voiceTable(sipNetworkPath, "network", sipNetworkParams, oneVoiceRow(sipNetworkKey, m.voiceNetwork))
}

// voiceNetwork is the one network as it counts.
func (m *Model) voiceNetwork(ctx context.Context, s *VoiceSettings) voiceRow {
	r := voiceRow{network: s.Network}
	n := &r.network
	for _, t := range [...]*string{&n.ProxyServerTransport, &n.RegistrarServerTransport} {
		if *t == "" {
			*t = byDNS
		}
	}
	if n.RegistrationPeriod == 0 {
		n.RegistrationPeriod = registrationPeriod
	}
	m.overlay(ctx, sipNetworkParams, &r, "network", sipNetworkKey)
	r.status = s.status(n.Enable, "Error_Other")
	return r
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
