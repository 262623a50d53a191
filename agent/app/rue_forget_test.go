//go:build !no_rue

package app_test

import (
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"gatehouse/lab/acs"
	"gatehouse/lab/provider"
)

// secretsOfZoe stand in her document, and nowhere else.
var secretsOfZoe = []string{"pw-registrar", "pw-proxies", "pw-acs", "pw-jabber"}

// known is a house whose agent has taken up all that a document can say: where
// the ACS is, an XMPP connection, telephony. The provider is down after it.
func (h *providerHouse) known() {
	h.t.Helper()
	h.says(phone(map[string]any{"cwmp": map[string]any{"acs-url": acsURL, "username": "cpe", "password": "pw-acs", "xmpp": map[string]any{
		"domain": "xmpp.example.net", "username": "cpe1", "password": "pw-jabber", "allowed-jabber-ids": []string{"acs@xmpp.example.net"},
	}}}))
	h.start()
	h.session(1)
	h.settle()
	if _, ok := h.told(); !ok || h.get(ms+"URL") != acsURL || h.get(ms+"ConnReqXMPPConnection") != "Device.XMPP.Connection.1" || h.state.Files("/state")["provider"] == "" {
		h.t.Fatal("the document was not taken up")
	}
	h.provider.Break(provider.Fault{Name: "status", Arg: "503", All: true})
}

// nothing fails the test if anything is left of the document.
func (h *providerHouse) nothing(alsoOnDisk bool) {
	h.t.Helper()
	for path, want := range map[string]string{
		ms + "URL": "", ms + "Username": "", ms + "ConnReqXMPPConnection": "", ms + "ConnReqAllowedJabberIDs": "",
		"Device.XMPP.ConnectionNumberOfEntries": "0", "Device.Services.VoiceServiceNumberOfEntries": "0",
		rueModel + "Source": "", rueModel + "KeyNumberOfEntries": "0",
	} {
		if got := h.get(path); got != want {
			h.t.Errorf("%s is still %q", path, got)
		}
	}
	if _, ok := h.told(); ok {
		h.t.Error("the voice stack's file is still there")
	}
	files := map[string]string{}
	for name, text := range h.ram.Files("/run") {
		files["/run/"+name] = text
	}
	for name, text := range h.state.Files("/state") {
		if alsoOnDisk || name != "provider" {
			files["/state/"+name] = text
		}
	}
	for name, text := range files {
		for _, s := range secretsOfZoe {
			if strings.Contains(text, s) {
				h.t.Errorf("%s still has %s", name, s)
			}
		}
	}
}

// `gatehouse rue reset`, a switch that is turned off, and the settings of
// another subscriber take back all that a document did to the agent. The copy
// of whoever is no longer configured is of no use to anybody else, and stays
// for the day that the settings are what they were.
func TestProviderForgotten(t *testing.T) {
	for name, row := range map[string]struct {
		how  func(h *providerHouse) error
		disk bool // nothing is left there either
	}{
		"reset": {func(h *providerHouse) error {
			_, err := h.agent.API().ProviderCall(h.t.Context(), root, "reset")
			return err
		}, true},
		"switched off":       {func(h *providerHouse) error { return h.rewrite("option enable '1'", "option enable '0'") }, false},
		"another subscriber": {func(h *providerHouse) error { return h.rewrite("option username 'zoe'", "option username 'eve'") }, false},
		"another provider":   {func(h *providerHouse) error { return h.rewrite("domain 'p.example.net'", "domain 'q.example.net'") }, false},
		"may not configure":  {func(h *providerHouse) error { return h.rewrite("agent '1'", "agent '0'\n\toption username 'eve'") }, false},
	} {
		t.Run(name, func(t *testing.T) {
			providerStory(t, "", func(t *testing.T, h *providerHouse) {
				h.known()
				if err := row.how(h); err != nil {
					t.Fatal(err)
				}
				h.settle()
				h.nothing(row.disk)
				h.boot()
				h.settle()
				h.nothing(row.disk)
			})
		})
	}
}

// rewrite changes the administrator's file, and has it read.
func (h *providerHouse) rewrite(old, now string) error {
	text, err := os.ReadFile(h.conf)
	if err != nil {
		return err
	}
	if !strings.Contains(string(text), old) {
		return errors.New("no " + old)
	}
	write(h.t, h.conf, strings.Replace(string(text), old, now, 1))
	h.reload <- struct{}{}
	return nil
}

// A factory reset leaves nothing of the document, neither in what the platform
// restarts nor where it cannot restart; the provider is then asked anew.
func TestProviderAfterFactoryReset(t *testing.T) {
	for name, power := range map[string]error{"restarts": nil, "cannot restart": errors.New("no power")} {
		t.Run(name, func(t *testing.T) {
			providerStory(t, "", func(t *testing.T, h *providerHouse) {
				h.known()
				h.router.FailPower(power)
				h.acs.Queue("", func(c *acs.Conversation) error { return c.FactoryReset() })
				if err := h.agent.API().Inform(t.Context(), root, ""); err != nil {
					t.Fatal(err)
				}
				h.session(2)
				h.settle()
				if power == nil {
					h.boot()
				}
				h.settle()
				h.nothing(true)
				h.provider.Mend()
				began := time.Now()
				h.wantEvents(h.good(2), map[bool]string{true: "0 BOOTSTRAP, 1 BOOT", false: "0 BOOTSTRAP"}[power == nil])
				if after := time.Since(began); after > time.Minute {
					t.Errorf("the provider is asked after %v", after)
				}
				h.settle()
				if file, ok := h.told(); !ok || len(file.SIPClient) != 1 {
					t.Error("the provider is not asked anew")
				}
			})
		})
	}
}
