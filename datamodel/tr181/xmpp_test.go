package tr181_test

import (
	"slices"
	"testing"
)

// TestXMPPAccount: the reference is kept by the row's key, decides which row is
// the account for connection requests, and ends with the row.
func TestXMPPAccount(t *testing.T) {
	const ms, row = "Device.ManagementServer.", "Device.XMPP.Connection.2."
	h := build(t)
	h.add("Device.XMPP.Connection.")
	h.add("Device.XMPP.Connection.")
	h.add(row + "Server.")
	h.set(row, "Username=cpe", "Domain=example.com", "Password=secret", "Enable=true",
		"Server.1.ServerAddress=xmpp.example.com", "Server.1.Enable=true")
	h.set(ms, "ConnReqXMPPConnection=Device.XMPP.Connection.2", "ConnReqAllowedJabberIDs=acs@example.com,noc@example.com/desk")

	h.start() // as a restart does
	a, ok := h.model.XMPPAccount(t.Context())
	if !ok || a.Username != "cpe" || a.Password != "secret" || len(a.Servers) != 1 || a.Servers[0].Port != 5222 {
		t.Fatalf("account %+v, %v", a, ok)
	}
	if got := h.model.AllowedJabberIDs(); !slices.Equal(got, []string{"acs@example.com", "noc@example.com/desk"}) {
		t.Errorf("allowed %q", got)
	}
	h.xmpp = a.Key
	for name, want := range map[string]string{
		ms + "ConnReqXMPPConnection": "Device.XMPP.Connection.2", ms + "ConnReqJabberID": "cpe@example.com/cwmp",
		row + "Status": "Enabled", row + "Password": "", row + "Stats.ReceivedMessages": "3",
		"Device.XMPP.Connection.1.Status": "Disabled",
	} {
		if got := h.values("Device.")[name]; got != want {
			t.Errorf("%s = %q, want %q", name, got, want)
		}
	}
	h.set(row, "Enable=false")
	if got := h.values(ms)[ms+"ConnReqJabberID"]; got != "" {
		t.Errorf("ConnReqJabberID %q of a connection that is switched off", got)
	}
	h.delete(row)
	if got := h.values(ms)[ms+"ConnReqXMPPConnection"]; got != "" {
		t.Errorf("the reference outlives its row: %q", got)
	}
	if _, ok := h.model.XMPPAccount(t.Context()); ok {
		t.Error("an account without a row")
	}
}
