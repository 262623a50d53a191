package doctor_test

import (
	"errors"
	"testing"

	"gatehouse/agent/api"
	"gatehouse/agent/doctor"
	"gatehouse/platform"
	"gatehouse/platform/fake"
)

// TestDHCP: whoever asks why the router goes where it goes, or goes nowhere, hears
// what DHCP has to do with it.
func TestDHCP(t *testing.T) {
	const url = "https://" + host + "/cwmp"
	lease := func(link, option string) func(w *ward) {
		return func(w *ward) {
			w.url = ""
			w.router.SetDHCPAnswer(platform.DHCPAnswer{Link: link, Vendor: []byte(option)})
		}
	}
	for name, tt := range map[string]struct {
		change func(w *ward)
		want   string
	}{
		"nothing":      {func(w *ward) {}, "dhcp ok: no DHCP server"},
		"nothing, too": {func(w *ward) { w.url = "" }, "dhcp note: asks for option 43"},
		"named":        {lease("eth0", url), "dhcp ok: eth0: DHCP names " + url + ", which an agent that runs takes up"},
		"taken up": {func(w *ward) { lease("eth0", url)(w); w.agent = &door{status: api.Status{State: "idle", ACS: url}} },
			"dhcp ok: and that is where the agent goes"},
		"switched off": {func(w *ward) { lease("eth0", url)(w); w.conf = "\toption dhcp_discovery '0'\n" }, "dhcp ok: does not count: dhcp_discovery is off"},
		"written":      {func(w *ward) { lease("eth0", "https://other.example.net/")(w); w.url = url }, "dhcp ok: names https://other.example.net/, which does not count: there is another URL, by file"},
		"from the LAN": {lease("br-lan", url), "dhcp warning: br-lan: what DHCP says of the ACS is refused: came in by br-lan"},
		"plain http":   {lease("eth0", "http://secret.example.net/"), "dhcp warning: is plain http"},
		"both":         {func(w *ward) { lease("br-lan", url)(w); lease("eth0", url)(w) }, "dhcp warning: br-lan: (.|\n)*eth0: DHCP names"},
		"unreadable":   {func(w *ward) { w.router.FailRead(fake.Answers, errors.New("permission denied")) }, "dhcp note: permission denied"},
		"no client":    {func(w *ward) { w.edit = func(c *doctor.Config) { c.Offers = nil } }, "dhcp skipped: cannot be read"},
	} {
		t.Run(name, func(t *testing.T) {
			examine(t, func(w *ward) {
				tt.change(w)
				w.want(w.see(), tt.want)
			})
		})
	}
}
