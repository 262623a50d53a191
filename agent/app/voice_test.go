//go:build !no_rue

package app_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"gatehouse/agent/app"
	"gatehouse/lab/acs"
	"gatehouse/lab/provider"
	"gatehouse/platform"
)

const (
	voiceNetwork = "Device.Services.VoiceService.1.SIP.Network.1."
	voiceClient  = "Device.Services.VoiceService.1.SIP.Client.1."
	voiceFile    = "voice.json"
)

// phone is what the provider says of Zoë's telephone, with changes.
func phone(more map[string]any) map[string]any {
	own := map[string]any{
		"cwmp":         map[string]any{"acs-url": acsURL, "username": "cpe", "password": "secret"},
		"display-name": "Zoë", "phone-number": "+12025550143", "provider-domain": "p.example.net",
		"outbound-proxies": []string{"sip:p1.p.example.net:5061;transport=tls", "sip:p2.p.example.net"},
		"credentials": []map[string]any{
			{"realm": "p.example.net", "username": "zoe", "password": "pw-registrar"},
			{"realm": "proxies.p.example.net", "username": "zoe", "password": "pw-proxies"},
		},
		"ice-servers":    []map[string]any{{"stun": "stun.p.example.net:19302"}, {"turn": "turn.p.example.net:3478"}},
		"enabled_codecs": []string{"G.722", "G.711"}, "enable_video": true,
	}
	for k, v := range more {
		own[k] = v
	}
	return own
}

// fetch has the provider's document fetched now, and everything settle.
func (h *providerHouse) fetch() {
	h.t.Helper()
	if _, err := h.agent.API().ProviderCall(h.t.Context(), root, "fetch"); err != nil {
		h.t.Fatal(err)
	}
	h.settle()
}

func (h *providerHouse) settle() {
	h.t.Helper()
	time.Sleep(time.Second)
	synctest.Wait()
}

// told is what our file tells a voice stack; nil: there is none.
func (h *providerHouse) told() (all struct {
	Version     int
	SIPNetwork  []map[string]any `json:"sip_network"`
	SIPClient   []map[string]any `json:"sip_client"`
	Codec       []map[string]any
	Media       []map[string]any
	Credentials []map[string]any `json:"sip_credential"`
}, ok bool,
) {
	h.t.Helper()
	text, ok := h.ram.Files("/run")[voiceFile]
	if ok {
		if err := json.Unmarshal([]byte(text), &all); err != nil {
			h.t.Fatalf("%v: %s", err, text)
		}
	}
	return all, ok
}

// enabled are the formats of the codecs that a voice stack may use.
func (h *providerHouse) enabled() (formats []string) {
	h.t.Helper()
	file, _ := h.told()
	for _, c := range file.Codec {
		if c["enable"] == true {
			formats = append(formats, c["format"].(string))
		}
	}
	return formats
}

// The telephony of the document is seen by the ACS and told to a voice stack;
// what the ACS overrides stays over the next document, and the rest follows it.
func TestVoiceStory(t *testing.T) {
	providerStory(t, "", func(t *testing.T, h *providerHouse) {
		h.says(phone(nil))
		h.start()
		h.session(1)
		h.settle()
		file, _ := h.told()
		if file.Version != 1 || len(file.SIPClient) != 1 || len(file.SIPNetwork) != 1 || len(file.Media) != 1 || len(file.Credentials) != 1 {
			t.Fatalf("the voice stack is told %+v", file)
		}
		want := map[string]any{
			"name": "gatehouse_client_1", "enable": true, "auth_user_name": "zoe", "auth_password": "pw-registrar",
			"register_uri": "sip:+12025550143@p.example.net", "display_name": "Zoë", "network": "gatehouse_network",
		}
		if diff := cmp.Diff(want, file.SIPClient[0]); diff != "" {
			t.Errorf("the account:\n%s", diff)
		}
		want = map[string]any{
			"name": "gatehouse_network", "enable": true, "proxy_server": "p.example.net", "registrar_server": "p.example.net",
			"proxy_server_transport": "TLS", "registrar_server_transport": "TLS", "user_agent_domain": "p.example.net",
			"outbound_proxy": "p1.p.example.net", "outbound_proxy_port": 5061., "more_outbound_proxies": []any{"sip:p2.p.example.net"},
			"stun_enable": true, "stun_server": "stun.p.example.net:19302", "registration_period": 3600., "realm": "p.example.net",
			"ice_servers": []any{"stun:stun.p.example.net:19302", "turn:turn.p.example.net:3478"}, "send_location": false,
		}
		if diff := cmp.Diff(want, file.SIPNetwork[0]); diff != "" {
			t.Errorf("the network:\n%s", diff)
		}
		if diff := cmp.Diff([]string{"g722", "ulaw", "alaw"}, h.enabled()); diff != "" {
			t.Errorf("codecs:\n%s", diff)
		}

		const profile = "Device.Services.VoiceService.1.CodecProfile.1."
		h.acs.Queue("", func(c *acs.Conversation) error {
			if _, err := c.SetParameterValues("", acs.P(voiceNetwork+"RegistrarServer", "string", "acs.example.net"),
				acs.P(profile+"Enable", "boolean", "false")); err != nil {
				return err
			}
			return c.SetParameterAttributes(acs.Notify(voiceNetwork+"ProxyServer", 2))
		})
		if err := h.agent.API().Inform(t.Context(), root, ""); err != nil {
			t.Fatal(err)
		}
		if s := h.session(2); s.Err != nil {
			t.Fatal(s.Err)
		}
		h.settle()
		if diff := cmp.Diff([]string{"ulaw", "alaw"}, h.enabled()); diff != "" {
			t.Errorf("codecs after the ACS:\n%s", diff)
		}
		h.says(phone(map[string]any{"sip_register_domain": "new.example.net", "enabled_codecs": []string{"G.722", "iLBC"}}))
		h.fetch()
		file, _ = h.told()
		if n := file.SIPNetwork[0]; n["registrar_server"] != "acs.example.net" || n["proxy_server"] != "new.example.net" {
			t.Errorf("the next document: registrar %v, proxy %v", n["registrar_server"], n["proxy_server"])
		}
		if s := h.session(3); !strings.Contains(events(s), "4 VALUE CHANGE") {
			t.Errorf("the ACS, which wants to know of the proxy, gets %s", events(s))
		}
		if diff := cmp.Diff([]string{"ilbc"}, h.enabled()); diff != "" {
			t.Errorf("codecs of the next document:\n%s", diff)
		}
	})
}

// Passwords are not read at any door, and not logged.
func TestVoiceSecretsStayHidden(t *testing.T) {
	providerStory(t, "", func(t *testing.T, h *providerHouse) {
		h.says(phone(nil))
		h.start()
		h.session(1)
		h.set(voiceClient+"AuthPassword", "pw-override")
		h.settle()
		if file, _ := h.told(); file.SIPClient[0]["auth_password"] != "pw-override" {
			t.Errorf("the voice stack is told %v", file.SIPClient[0]["auth_password"])
		}
		for v, err := range h.agent.API().Get(t.Context(), root, []string{"Device."}) {
			if err != nil {
				t.Fatal(err)
			}
			if strings.Contains(v.Value, "pw-") {
				t.Errorf("%s reads %s", v.Name, v.Value)
			}
		}
		if strings.Contains(h.log.String(), "pw-") {
			t.Error("a password is in the log")
		}
	})
}

// Without the provider everything stays as it is, and nothing is written;
// reset takes out what the provider said.
func TestVoiceWithoutProvider(t *testing.T) {
	providerStory(t, "", func(t *testing.T, h *providerHouse) {
		h.says(phone(nil))
		h.start()
		h.session(1)
		h.settle()
		h.provider.Break(provider.Fault{Name: "status", Arg: "503", All: true})
		h.boot()
		h.session(2)
		h.settle()
		if file, _ := h.told(); len(file.SIPClient) != 1 {
			t.Fatal("after a boot without the provider nobody is told of an account")
		}
		before, calls := h.status().FlashWrites, len(h.ram.Calls())
		time.Sleep(24 * time.Hour)
		if n := h.status().FlashWrites; n != before {
			t.Errorf("%d flash writes on a day without the provider", n-before)
		}
		for _, c := range h.ram.Calls()[calls:] {
			if strings.Contains(c, voiceFile) {
				t.Errorf("on a day without the provider: %s", c)
			}
		}
		if _, err := h.agent.API().ProviderCall(t.Context(), root, "reset"); err != nil {
			t.Fatal(err)
		}
		h.settle()
		if _, ok := h.told(); ok {
			t.Error("after a reset the account is still there")
		}
		if got := h.get("Device.Services.VoiceServiceNumberOfEntries"); got != "0" {
			t.Errorf("%s voice services", got)
		}
	})
}

// Documents of all forms, and what becomes of them.
func TestVoiceForms(t *testing.T) {
	const uri = "sip:+12025550143@p.example.net"
	providerStory(t, "", func(t *testing.T, h *providerHouse) {
		h.start()
		h.session(1)
		for _, tt := range []struct {
			name     string
			document map[string]any
			clients  []string // "URI name password"
			network  map[string]any
		}{
			{"nothing of telephony", map[string]any{"display-name": "Zoë"}, nil, nil},
			{"a number, and the password of the configuration", map[string]any{"phoneNumber": "+12025550143"},
				[]string{uri + " +12025550143 subscriber"}, map[string]any{"registrar_server": "p.example.net", "registrar_server_transport": "DNS", "stun_enable": false}},
			{"a password of its own", map[string]any{"phoneNumber": "+12025550143", "userName": "zoe", "sipPassword": "pw"},
				[]string{uri + " zoe pw"}, nil},
			{"credentials of this number among others", map[string]any{"phone-number": "+12025550143", "credentials": []map[string]any{
				{"realm": "P.example.net", "username": "a", "password": "pw-a"}, {"realm": "p.example.net", "username": "+12025550143", "password": "pw-b"},
			}}, []string{uri + " +12025550143 pw-b"}, map[string]any{"realm": "p.example.net"}},
			{"two accounts of 2015, one twice", map[string]any{
				"sip_register_usernames": []string{"zoe", "sip:ann@other.example.net", "zoe"}, "sip_auth_username": "za", "sip_auth_password": "pw",
				"sip_register_domain": "sip.example.net", "sip_register_port": 5060, "sip_register_transport": "tcp",
				"enable_stun": "false", "stun_server": "stun.example.net", "sip_registration_maximum_threshold": 300,
			}, []string{"sip:zoe@sip.example.net za pw", "sip:ann@other.example.net za pw"}, map[string]any{
				"registrar_server": "sip.example.net", "registrar_server_port": 5060., "registrar_server_transport": "TCP",
				"stun_enable": false, "stun_server": "stun.example.net", "registration_period": 300.,
			}},
			{"proxies", map[string]any{"outbound-proxies": []string{"sips:zoe@[2001:db8::1]:5071;lr?x=y"}}, nil,
				map[string]any{"outbound_proxy": "2001:db8::1", "outbound_proxy_port": 5071., "registrar_server_transport": "TLS"}},
			{"a proxy without a port", map[string]any{"outbound-proxies": []string{"sip:[2001:db8::1];transport=pigeon"}}, nil,
				map[string]any{"outbound_proxy": "2001:db8::1", "outbound_proxy_port": nil, "registrar_server_transport": "DNS"}},
			{"codecs alone", map[string]any{"enabled_codecs": []string{"opus"}}, nil, map[string]any{"registrar_server": "p.example.net"}},
		} {
			h.says(tt.document)
			h.fetch()
			file, ok := h.told()
			if ok != (tt.clients != nil || tt.network != nil) {
				t.Errorf("%s: a voice stack is told: %v", tt.name, ok)
				continue
			}
			var clients []string
			for _, c := range file.SIPClient {
				clients = append(clients, fmt.Sprint(c["register_uri"], " ", c["auth_user_name"], " ", c["auth_password"]))
			}
			if diff := cmp.Diff(tt.clients, clients); diff != "" {
				t.Errorf("%s:\n%s", tt.name, diff)
			}
			for name, want := range tt.network {
				if got := file.SIPNetwork[0][name]; got != want {
					t.Errorf("%s: %s is %v, want %v", tt.name, name, got, want)
				}
			}
		}
	})
}

// A watch hears of the next document.
func TestVoiceWatch(t *testing.T) {
	providerStory(t, "", func(t *testing.T, h *providerHouse) {
		h.says(phone(nil))
		h.start()
		h.session(1)
		h.settle()
		ctx, stop := context.WithCancel(t.Context())
		defer stop()
		heard := make(chan string, 8)
		go func() {
			defer close(heard)
			for v, err := range h.agent.API().Watch(ctx, root, []string{voiceClient}) {
				if err == nil && strings.HasSuffix(v.Name, "DisplayName") {
					heard <- v.Value
				}
			}
		}()
		if got := <-heard; got != "Zoë" {
			t.Errorf("at first %q", got)
		}
		h.says(phone(map[string]any{"display-name": "Zoe"}))
		h.fetch()
		if got := <-heard; got != "Zoe" {
			t.Errorf("then %q", got)
		}
	})
}

// stack is a voice stack that the platform configures; it fails with err.
type stack struct {
	mu   sync.Mutex
	last []platform.VoiceSection
	err  error
}

func (s *stack) Put(_ context.Context, sections []platform.VoiceSection) (bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.last = sections
	return s.err == nil, s.err
}

func (s *stack) fail(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.err = err
}

// clients is how many accounts it was told of.
func (s *stack) clients() (n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, one := range s.last {
		if one.Type == "sip_client" {
			n++
		}
	}
	return n
}

// The platform's own voice stack is told instead, and again when it could not
// be; where none is installed there is the file, whose place is a setting.
func TestVoiceStack(t *testing.T) {
	providerStory(t, "", func(t *testing.T, h *providerHouse) {
		s := &stack{err: errors.New("asterisk is ill")}
		network := h.edit
		h.edit = func(c *app.Config) { network(c); c.Platform.Voice = s }
		h.says(phone(nil))
		h.start()
		h.session(1)
		h.settle()
		if got := h.get(voiceClient + "Status"); got != "Error_Misconfigured" {
			t.Errorf("status %s", got)
		}
		s.fail(nil)
		time.Sleep(11 * time.Minute)
		if got := h.get(voiceClient + "Status"); got != "X_GATEHOUSE_Configured" || s.clients() != 1 {
			t.Errorf("status %s, %d accounts", got, s.clients())
		}
		if _, ok := h.told(); ok {
			t.Error("there is a file, too")
		}
		s.fail(platform.ErrNoVoice)
		h.says(phone(map[string]any{"display-name": "Zoe"}))
		h.fetch()
		if file, ok := h.told(); !ok || file.SIPClient[0]["display_name"] != "Zoe" {
			t.Error("without a voice stack there is no file")
		}
		text, err := os.ReadFile(h.conf)
		if err != nil {
			t.Fatal(err)
		}
		write(t, h.conf, string(text)+"\toption voice_file '/run/phone.json'\n")
		h.reload <- struct{}{}
		h.settle()
		if _, ok := h.told(); ok {
			t.Error("the file is still in the old place, with its passwords")
		}
		if files := h.ram.Files("/run"); !strings.Contains(files["phone.json"], "pw-registrar") {
			t.Error("the file is not in its new place")
		}
	})
}
