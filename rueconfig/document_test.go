package rueconfig

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// The three forms of the document that were ever deployed, each as its
// specification or client prints it.
const (
	draftForm = `{"version":1,"lifetime":86400,"display-name":"Ann Example","phone-number":"+12025550143","provider-domain":"prov-a.example.net",
 "outbound-proxies":["sip:p1.prov-a.example.net","sip:p2.prov-a.example.net"],"mwi":"sip:+12025550143@prov-a.example.net",
 "videomail":"sip:+12025550143@vm.prov-a.example.net","contacts":"https://prov-a.example.net/c/0f3c9a","sendLocationWithRegistration":false,
 "turn-servers":["stun:stun.example.com","turn:turn.prov-a.example.net:3478"],
 "credentials":[{"realm":"prov-a.example.net","username":"ann","password":"pw-one"},{"realm":"proxies.prov-a.example.net","username":"ann","password":"pw-two"}]}`
	rfcForm = `{"lifetime":86400,"displayName":"Ann Example","phoneNumber":"+12025550143","userName":"ann","providerDomain":"prov-a.example.net",
 "outboundProxies":["sip:p1.prov-a.example.net","sip:p2.prov-a.example.net"],"mwi":"sip:+12025550143@prov-a.example.net",
 "videomail":"sip:+12025550143@vm.prov-a.example.net","contacts":"https://prov-a.example.net:443/c/0f3c9a","carddav":"ann@prov-a.example.net",
 "sendLocationWithRegistration":false,"sipPassword":"pw-three","iceServers":[{"stun":"stun.prov-a.example.net:19302"},{"turn":"turn.prov-a.example.net:3478"}]}`
	firstForm = `{"version":1,"expiration_time":3600,"configuration_auth_password":"next","configuration_auth_expiration":"-1",
 "sip_registration_maximum_threshold":10,"sip_register_usernames":["+12025550143"],"sip_auth_username":"ann","sip_auth_password":"pw-four",
 "sip_register_domain":"prov-a.example.net","sip_register_port":5061,"sip_register_transport":"tls","enable_echo_cancellation":"true",
 "enable_video":"true","enable_rtt":true,"enable_adaptive_rate":"false","enable_stun":"false","stun_server":"stun.example.com",
 "enabled_codecs":["H.264","G.722","G.711"],"bwLimit":"high-fiber"}`
)

func TestForms(t *testing.T) {
	d, err := Parse(nil, []byte(draftForm))
	if err != nil {
		t.Fatal(err)
	}
	want := &Document{
		Version: 1, Lifetime: 24 * time.Hour, DisplayName: "Ann Example", PhoneNumber: "+12025550143", ProviderDomain: "prov-a.example.net",
		SIP: SIP{OutboundProxies: []string{"sip:p1.prov-a.example.net", "sip:p2.prov-a.example.net"}},
		MWI: "sip:+12025550143@prov-a.example.net", Videomail: "sip:+12025550143@vm.prov-a.example.net", Contacts: "https://prov-a.example.net/c/0f3c9a",
		ICEServers: []ICEServer{{"stun", "stun.example.com"}, {"turn", "turn.prov-a.example.net:3478"}},
		Credentials: []Credential{
			{"prov-a.example.net", "ann", "pw-one"}, {"proxies.prov-a.example.net", "ann", "pw-two"},
		},
	}
	if diff := cmp.Diff(want, d, cmpopts.IgnoreFields(Document{}, "Keys")); diff != "" {
		t.Error(diff)
	}

	d, err = Parse(nil, []byte(rfcForm))
	if err != nil {
		t.Fatal(err)
	}
	if d.DisplayName != want.DisplayName || d.UserName != "ann" || d.SIP.Password != "pw-three" || len(d.ICEServers) != 2 || d.ICEServers[1] != want.ICEServers[1] {
		t.Errorf("the form of RFC 9248: %+v", d)
	}

	if _, err := Parse(nil, []byte(firstForm)); err == nil || !strings.Contains(err.Error(), "bwLimit") {
		t.Errorf("a bandwidth in words: %v", err)
	}
	d, err = Parse(nil, []byte(strings.Replace(firstForm, `"high-fiber"`, `1500`, 1)))
	if err != nil {
		t.Fatal(err)
	}
	got := fmt.Sprint(d.Lifetime, d.ConfigPasswordExpires, d.SIP.Port, " ", d.SIP.Transport, " ", d.SIP.UserNames, d.Media.EchoCancellation, d.Media.UseSTUN, d.Media.ICE,
		d.Media.Codecs, d.ICEServers, d.Media.Bandwidth)
	if want := "1h0m0s -1 5061 TLS [+12025550143] 2 1 0 [H.264 G.722 G.711] [{stun stun.example.com}] 1500"; got != want {
		t.Errorf("the first form:\n%s\n%s", got, want)
	}
}

// S000-16, S000-17: one merged document; the subscriber's keys count.
func TestMerge(t *testing.T) {
	d, err := Parse([]byte(`{"provider-domain":"p.example","mwi":"sip:all@p.example","lifetime":60,"videomail":"sip:vm@p.example","colour":"red","outbound-proxies":["sip:a","sip:b"]}`),
		[]byte(`{"outboundProxies":["sip:own@p.example"],"LIFETIME":7200,"videomail":null,"token":"t0ken"}`))
	if err != nil {
		t.Fatal(err)
	}
	if d.Lifetime != 2*time.Hour || len(d.SIP.OutboundProxies) != 1 || d.Videomail != "" || d.MWI != "sip:all@p.example" {
		t.Errorf("merged: %+v", d)
	}
	want := []Key{
		{"provider-domain", `"p.example"`, Provider, true},
		{"mwi", `"sip:all@p.example"`, Provider, true},
		{"colour", `"red"`, Provider, false},
		{"outboundProxies", `["sip:own@p.example"]`, Subscriber, true},
		{"LIFETIME", `7200`, Subscriber, true},
		{"token", `"***"`, Subscriber, false},
	}
	if diff := cmp.Diff(want, d.Keys); diff != "" {
		t.Error(diff)
	}
}

func TestAgentSection(t *testing.T) {
	d, err := Parse(nil, []byte(`{"cwmp":{"acs-url":"https://acs.example/","username":"u","password":"p","periodicInformInterval":300,
		"stun":{"enable":true,"server":"stun.example"},"xmpp":{"domain":"x.example","username":"cpe","password":"pp","allowed_jabber_ids":["acs@x.example"]}}}`))
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, s := range d.Agent.Settings {
		got = append(got, s.Name+"="+string(s.Value))
	}
	want := "ManagementServer.URL=https://acs.example/ ManagementServer.Username=u ManagementServer.Password=p " +
		"ManagementServer.PeriodicInformInterval=300 ManagementServer.STUNEnable=true ManagementServer.STUNServerAddress=stun.example"
	if strings.Join(got, " ") != want {
		t.Errorf("settings: %q", got)
	}
	if x := d.Agent.XMPP; x.Domain != "x.example" || x.UserName != "cpe" || x.Password != "pp" || len(x.AllowedJabberIDs) != 1 {
		t.Errorf("XMPP: %+v", x)
	}
}

// S003-35: what is wrong is refused whole, with the place named.
func TestRefused(t *testing.T) {
	for _, c := range []struct{ name, in, want string }{
		{"empty", "", "empty"},
		{"blank", " \n", "empty"},
		{"cut", `{"version":1,`, "breaks off"},
		{"no object", `["version"]`, "an array, not an object"},
		{"null", `null`, "null, not an object"},
		{"two", `{"version":1}{"version":2}`, "something follows"},
		{"rubbish behind", `{"version":1} x`, "something follows"},
		{"HTML", `<html>`, "not JSON"},
		{"comment", `{"version":1 /* one */}`, "not JSON"},
		{"trailing comma", `{"version":1,}`, "not JSON"},
		{"no comma", `{"version":1 "lifetime":2}`, "not JSON"},
		{"single quotes", `{'version':1}`, "not JSON"},
		{"leading zero", `{"version":01}`, "not JSON"},
		{"NaN", `{"version":NaN}`, "not JSON"},
		{"control byte", "{\"display-name\":\"a\x01b\"}", "not JSON"},
		{"escaped control byte", `{"display-name":"a\u0001b"}`, "display-name: a control character"},
		{"UTF-16", "\xff\xfe{\x00}\x00", "not UTF-8 (byte 0)"},
		{"Latin-1", "{\"display-name\":\"J\xf6rg\"}", "not UTF-8 (byte 18)"},
		{"half a surrogate", `{"display-name":"\ud83d"}`, "display-name: a damaged character"},
		{"twice", `{"version":1,"version":1}`, "version: stands there twice"},
		{"twice inside", `{"x":[{"a":1,"a":2}]}`, "x[0].a: stands there twice"},
		{"two spellings", `{"display-name":"a","displayName":"b"}`, "displayName: stands there as display-name"},
		{"deep", strings.Repeat(`{"a":`, 40) + "1" + strings.Repeat("}", 40), "nested deeper"},
		{"many", `{"a":[` + strings.Repeat("1,", maxValues) + `1]}`, "more than 4096 values"},
		{"large", `{"a":"` + strings.Repeat("x", MaxSize) + `"}`, "bytes, and 262144 are allowed"},
		{"number for a text", `{"display-name":7}`, "display-name: a text was expected, not a number"},
		{"text for a number", `{"lifetime":"soon"}`, "lifetime: a whole number was expected"},
		{"fraction", `{"lifetime":1.5}`, "lifetime: a whole number was expected"},
		{"negative", `{"lifetime":-1}`, "lifetime"},
		{"huge", `{"lifetime":99999999999999999999}`, "lifetime"},
		{"boolean in words", `{"enable_video":"yes"}`, "enable_video: true or false"},
		{"phone", `{"phone-number":"+1 202"}`, "phone-number: not a telephone number"},
		{"domain", `{"provider-domain":"a b"}`, "provider-domain: not a domain name"},
		{"address for a domain", `{"provider-domain":"192.0.2.1"}`, "provider-domain: not a domain name"},
		{"contacts in the clear", `{"contacts":"http://p.example/"}`, "contacts: a URI was expected (https)"},
		{"script", `{"mwi":"javascript:alert(1)"}`, "mwi: a URI was expected"},
		{"proxy", `{"outbound-proxies":["sip:a@b","http://x"]}`, "outbound-proxies[1]: a URI"},
		{"credential", `{"credentials":[{"realm":"r","username":"u"}]}`, "credentials[0].password: missing"},
		{"credentials", `{"credentials":["u:p"]}`, "credentials[0]: an object was expected"},
		{"ICE", `{"iceServers":[{"turn":"a/b"}]}`, "iceServers[0].turn: not a STUN or TURN URI"},
		{"agent", `{"cwmp":{"acs-ulr":"x"}}`, "cwmp.acs-ulr: not a setting of the agent"},
		{"agent twice", `{"cwmp":{"acs-url":"x","acsURL":"y"}}`, "stands there as"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := Parse(nil, []byte(c.in))
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%.60q: %v; want %q in it", c.in, err, c.want)
			}
			if _, err := Parse([]byte(c.in), nil); err == nil {
				t.Error("accepted from the provider")
			}
		})
	}
}

func TestSecretsDoNotShow(t *testing.T) {
	d, err := Parse([]byte(`{"cwmp":{"password":"hunter2"},"vendor":{"nested":[{"api-key":"hunter2"}]}}`),
		[]byte(strings.ReplaceAll(draftForm, "pw-one", "hunter2")))
	if err != nil {
		t.Fatal(err)
	}
	for _, verb := range []string{"%v", "%+v", "%#v", "%q", "%x"} {
		if s := fmt.Sprintf(verb, *d); strings.Contains(s, "hunter2") || strings.Contains(s, "pw-two") || strings.Contains(s, "68756e74657232") {
			t.Errorf("%s shows a secret: %s", verb, s)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{draftForm, rfcForm, firstForm, `{"cwmp":{"stun":{"enable":true}},"a":[{"b":null}]}`, "\ufeff{}"} {
		f.Add([]byte(s), []byte(s))
	}
	f.Fuzz(func(t *testing.T, provider, subscriber []byte) {
		d, err := Parse(provider, subscriber)
		if err != nil {
			return
		}
		again, err := Parse(provider, subscriber)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(d, again); diff != "" {
			t.Fatal(diff)
		}
		for _, k := range d.Keys {
			if v := []byte(`{"k":` + k.Value + `}`); k.Value != stars {
				if _, err := parse(v); err != nil && len(v) <= MaxSize {
					t.Fatalf("%s is shown as %s: %v", k.Name, k.Value, err)
				}
			}
		}
	})
}

func BenchmarkParse(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Parse([]byte(draftForm), []byte(rfcForm)); err != nil {
			b.Fatal(err)
		}
	}
}
