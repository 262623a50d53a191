package tr181_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"gatehouse/datamodel"
	"gatehouse/datamodel/tr181"
)

// voice is what a provider says; nil: it has no telephony.
type voice struct{ says *tr181.VoiceSettings }

func (v *voice) VoiceSettings() *tr181.VoiceSettings { return v.says }

// phone is a provider with one account.
func phone() *tr181.VoiceSettings {
	return &tr181.VoiceSettings{
		Clients: []tr181.VoiceClient{{
			Key: "+12025550143", Enable: true, AuthUserName: "ann", AuthPassword: "pw-one",
			RegisterURI: "sip:+12025550143@p.example.net", DisplayName: "Ann",
		}},
		Network: tr181.VoiceNetwork{
			Enable: true, ProxyServer: "p.example.net", RegistrarServer: "p.example.net", UserAgentDomain: "p.example.net",
			OutboundProxy: "p1.p.example.net", OutboundProxyPort: 5061, RegistrarServerTransport: "TLS", ProxyServerTransport: "TLS",
			MoreOutboundProxies: []string{"sip:p2.p.example.net", "sip:p3.p.example.net"},
			ICEServers:          []string{"stun:stun.p.example.net", "turn:turn.p.example.net:3478"},
			STUNEnable:          true, STUNServer: "stun.p.example.net",
		},
		Codecs:      []string{"H.264", "G.722", "G.711"},
		Media:       tr181.VoiceMedia{Video: "Enabled", EchoCancellation: "Disabled", Bandwidth: 1500},
		Credentials: []tr181.VoiceCredential{{Realm: "proxies.p.example.net", UserName: "ann", Password: "pw-two"}},
	}
}

const (
	voicePath   = "Device.Services.VoiceService.1."
	clientPath  = voicePath + "SIP.Client.1."
	networkPath = voicePath + "SIP.Network.1."
)

// option is one option of a section that a voice stack is told; "" when it is
// not there.
func (h *house) option(section, name string) string {
	h.Helper()
	for _, s := range h.model.VoiceSections(h.Context()) {
		for _, o := range s.Options {
			if s.Name == section && o.Name == name {
				return fmt.Sprint(o.Value)
			}
		}
	}
	return ""
}

// What was written goes before what the provider says, parameter by parameter,
// and stays over documents and restarts; the rest follows the provider.
func TestVoiceLayers(t *testing.T) {
	h := build(t)
	h.want(networkPath, "RegistrarServer=p.example.net", "RegistrarServerTransport=TLS", "RegistrarServerPort=0", "RegistrationPeriod=3600",
		"Status=X_GATEHOUSE_Configured")
	h.want(voicePath, "SIP.ClientNumberOfEntries=1", "CodecProfileNumberOfEntries=4", "Capabilities.CodecNumberOfEntries=4")
	h.want(clientPath, "Network="+strings.TrimSuffix(networkPath, "."), "AuthPassword=", "AuthUserName=ann")

	h.set(networkPath, "RegistrarServer=acs.example.net", "STUNEnable=false")
	h.set(h.codec("G.722"), "Enable=false")
	h.set(clientPath, "X_GATEHOUSE_DisplayName=Zoe")
	h.set(networkPath, "UserAgentDomain=p.example.net") // the provider's own value, and nevertheless written

	next := phone()
	next.Network.RegistrarServer, next.Network.ProxyServer, next.Network.UserAgentDomain = "new.example.net", "new.example.net", "new.example.net"
	next.Clients[0].AuthUserName = "zoe"
	h.voice.says = next
	for range 2 {
		h.want(networkPath, "RegistrarServer=acs.example.net", "STUNEnable=false", "ProxyServer=new.example.net", "UserAgentDomain=p.example.net")
		h.want(h.codec("G.722"), "Enable=false")
		h.want(clientPath, "X_GATEHOUSE_DisplayName=Zoe", "AuthUserName=zoe")
		h.start() // another life
	}

	h.voice.says = nil
	h.want("Device.Services.", "VoiceServiceNumberOfEntries=0")
	if s := h.model.VoiceSections(t.Context()); s != nil {
		t.Errorf("without a provider a voice stack is told of %v", s)
	}
	h.voice.says = phone()
	h.want(networkPath, "RegistrarServer=acs.example.net")
	h.file("voice").Delete() // as a factory reset leaves it
	h.start()
	h.want(networkPath, "RegistrarServer=p.example.net")
}

// codec is the path of a profile by the name of its codec.
func (h *house) codec(name string) string {
	h.Helper()
	for path, v := range h.values(voicePath + "Capabilities.Codec.") {
		if v == name && strings.HasSuffix(path, ".Codec") {
			return h.find(voicePath+"CodecProfile.", "Codec", strings.TrimSuffix(path, ".Codec"))
		}
	}
	h.Fatalf("there is no codec %s", name)
	return ""
}

// A voice stack is told what counts, with passwords, by TR-104's names.
func TestVoiceSections(t *testing.T) {
	h := build(t)
	h.set(clientPath, "AuthPassword=secret of the ACS")
	h.set(h.codec("G.711ALaw"), "Enable=false")
	for _, tt := range [][3]string{
		{"gatehouse_client_1", "register_uri", "sip:+12025550143@p.example.net"},
		{"gatehouse_client_1", "auth_password", "secret of the ACS"},
		{"gatehouse_client_1", "network", "gatehouse_network"},
		{"gatehouse_client_1", "enable", "true"},
		{"gatehouse_client_1", "mwi", ""},
		{"gatehouse_network", "registrar_server_transport", "TLS"},
		{"gatehouse_network", "stun_server", "stun.p.example.net"},
		{"gatehouse_network", "registrar_server_port", ""},
		{"gatehouse_network", "outbound_proxy_port", "5061"},
		{"gatehouse_network", "more_outbound_proxies", "[sip:p2.p.example.net sip:p3.p.example.net]"},
		{"gatehouse_network", "ice_servers", "[stun:stun.p.example.net turn:turn.p.example.net:3478]"},
		{"gatehouse_media", "echo_cancellation", "Disabled"},
		{"gatehouse_media", "real_time_text", ""},
		{"gatehouse_codec_1", "codec", "H.264"},
		{"gatehouse_codec_1", "format", "h264"},
		{"gatehouse_codec_3", "format", "ulaw"},
		{"gatehouse_codec_4", "codec", "G.711ALaw"},
		{"gatehouse_codec_4", "enable", "false"},
		{"gatehouse_credential_1", "auth_password", "pw-two"},
	} {
		if got := h.option(tt[0], tt[1]); got != tt[2] {
			t.Errorf("%s.%s is %q, want %q", tt[0], tt[1], got, tt[2])
		}
	}
	sections := h.model.VoiceSections(t.Context())
	if text := fmt.Sprintf("%v %+v", sections, sections[0].Options); strings.Contains(text, "secret") || strings.Contains(text, "pw-") {
		t.Errorf("printed, they show a password: %s", text)
	}
	h.voice.says.Network.RegistrarServerTransport = ""
	if got := h.option("gatehouse_network", "registrar_server_transport"); got != "DNS" {
		t.Errorf("a transport that nobody has said is %q", got)
	}
	h.voice.says.Failed = true
	h.want(clientPath, "Status=Error_Misconfigured")
	h.want(networkPath, "Status=Error_Other")
	h.set(clientPath, "Enable=false")
	h.want(clientPath, "Status=Disabled")
}

// What is refused is not kept; what is kept and damaged does not count.
func TestVoiceRefuses(t *testing.T) {
	h := build(t)
	before := h.file("voice").Text()
	err := h.trySet(networkPath, "RegistrarServerPort=70000")
	blames(t, err, datamodel.ErrValue, networkPath+"RegistrarServerPort")
	err = h.trySet(networkPath, "RegistrarServerTransport=PIGEON", "ProxyServer=x")
	blames(t, err, datamodel.ErrValue, networkPath+"RegistrarServerTransport")
	if err := h.trySet(clientPath, "Network="+networkPath); !errors.Is(err, datamodel.ErrReadOnly) {
		t.Errorf("the network: %v", err)
	}
	if got := h.file("voice").Text(); got != before {
		t.Errorf("kept: %s", got)
	}
	h.file("voice").Write("row network provider RegistrarServerPort\n  Value many\nrow network provider Nope\n  Value 1\n" +
		"row network provider STUNServer\n  Value stun.example\n")
	h.start()
	h.want(networkPath, "RegistrarServerPort=0", "STUNServer=stun.example")
	h.file("voice").Delete()
	h.file("voice").Refuse(errors.New("the disk is full"))
	h.start()
	if err := h.trySet(networkPath, "STUNServer=x"); err == nil {
		t.Error("a full disk is no error")
	}
	h.want(networkPath, "STUNServer=stun.p.example.net")
}

// Providers spell codecs in many ways.
func TestVoiceCodecs(t *testing.T) {
	h := build(t)
	h.voice.says = &tr181.VoiceSettings{Codecs: []string{"PCMU", "g711u", "g.722", "--", "VP8", "G.729a", "VP8", "AMR-WB"}}
	var got []string
	for _, s := range h.model.VoiceSections(t.Context()) {
		if s.Type == "codec" {
			got = append(got, h.option(s.Name, "format"))
		}
	}
	if want := []string{"ulaw", "g722", "vp8", "g729", "amrwb"}; !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}
