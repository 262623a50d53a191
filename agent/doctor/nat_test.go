package doctor_test

import (
	"regexp"
	"strings"
	"testing"
	"time"

	"gatehouse/agent/api"
	"gatehouse/agent/doctor"
)

// TestNAT: what stands between the ACS and the agent, by what the STUN server
// sees.
func TestNAT(t *testing.T) {
	http := func(addr string) api.Transport {
		return api.Transport{Name: "http", State: "listening", Address: "http://" + addr + ":7547/x"}
	}
	udp := func(state, addr string) api.Transport {
		return api.Transport{Name: "udp", State: state, Address: addr, Server: "198.51.100.30:3478"}
	}
	xmpp := func(state, jid string) api.Transport { return api.Transport{Name: "xmpp", State: state, Address: jid} }
	failing := udp("failing", "192.0.2.50:7547")
	failing.Error = "no answer"
	refused := http("192.0.2.50")
	refused.LastRefused, refused.Refused = time.Now(), "wrong username or password"
	for name, test := range map[string]struct {
		transports []api.Transport
		want       []string // "check verdict: pattern"
	}{
		"all": {[]api.Transport{http("192.0.2.50"), udp("bound", "192.0.2.50:7547"), xmpp("Enabled", "cpe1@example.net/cwmp")},
			[]string{"stun ok: there is no NAT", "http ok: 192.0.2.50", "udp ok: 192.0.2.50:7547$", "xmpp ok: cpe1@", "reach ok: HTTP, UDP, XMPP"}},
		"behind NAT": {[]api.Transport{http("10.0.0.2"), udp("bound", "192.0.2.50:49152"), xmpp("Disabled", "")},
			[]string{"stun ok: sees us at 192.0.2.50:49152: there is a NAT", "http note: behind the NAT", "udp ok: of the STUN server", "xmpp note: ", "reach ok: by UDP$"}},
		"behind a carrier's NAT, without STUN": {[]api.Transport{http("100.64.3.4"), udp("off", "")},
			[]string{"stun warning: not seen from outside", "udp note: off", "reach wrong: behind NAT"}},
		"the STUN server is silent": {[]api.Transport{http("192.168.1.2"), failing, xmpp("Connecting", "")},
			[]string{"stun warning: no answer", "udp warning: ", "xmpp warning: Connecting", "reach wrong: "}},
		"without a build's STUN and XMPP": {[]api.Transport{refused},
			[]string{"stun note: ", "http ok: last refused at .*: wrong username", "udp note: ", "xmpp note: ", "reach ok: HTTP$"}},
		"nothing": {nil, []string{"reach wrong: no ACS"}},
	} {
		t.Run(name, func(t *testing.T) {
			found := map[string]doctor.Finding{}
			for f := range doctor.NAT(t.Context(), doctor.Config{Agent: &door{status: api.Status{State: "idle", Transports: test.transports}}}) {
				found[f.Check] = f
				if (f.Verdict == doctor.Wrong || f.Verdict == doctor.Warning) && f.Advice == "" {
					t.Errorf("%s: %s, and no advice", f.Check, f.Found)
				}
			}
			for _, want := range test.want {
				head, pattern, _ := strings.Cut(want, ": ")
				check, verdict, _ := strings.Cut(head, " ")
				f := found[check]
				text := strings.Join(append([]string{f.Found}, f.Details...), "\n")
				if string(f.Verdict) != verdict || !regexp.MustCompile(pattern).MatchString(text) {
					t.Errorf("%s: %s: %s\nwant %s", check, f.Verdict, text, want)
				}
			}
		})
	}
}
