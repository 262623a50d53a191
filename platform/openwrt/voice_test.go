package openwrt_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"gatehouse/platform"
)

// Where asterisk is installed its package gets our sections, and procd is told;
// elsewhere there is no voice stack.
func TestVoice(t *testing.T) {
	b := newBench(t)
	account := []platform.VoiceSection{{Type: "sip_client", Name: "gatehouse_client_1", Options: []platform.VoiceOption{{Name: "enable", Value: true}}}}
	if _, err := b.platform.Voice.Put(t.Context(), account); !errors.Is(err, platform.ErrNoVoice) {
		t.Fatalf("without asterisk: %v", err)
	}
	b.write("etc/config/asterisk", "config asterisk 'general'\n\toption enabled '1'\n")
	for n, want := range []bool{true, false} {
		if changed, err := b.platform.Voice.Put(t.Context(), account); err != nil || changed != want {
			t.Errorf("put %d: changed %v, %v", n, changed, err)
		}
	}
	text, err := os.ReadFile(filepath.Join(b.root, "etc/config/asterisk"))
	b.must(err)
	if want := "\nconfig sip_client 'gatehouse_client_1'\n\toption enable '1'\n"; !strings.HasSuffix(string(text), want) {
		t.Errorf("the package reads %s", text)
	}
	if n := b.router.Calls()["service event"]; n != 1 {
		t.Errorf("procd was told %d times", n)
	}
}
