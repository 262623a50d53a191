package uciconf_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"gatehouse/internal/uci"
	"gatehouse/platform"
	"gatehouse/platform/uciconf"
)

func section(typ, name string, options ...any) platform.VoiceSection {
	s := platform.VoiceSection{Type: typ, Name: name}
	for i := 0; i < len(options); i += 2 {
		s.Options = append(s.Options, platform.VoiceOption{Name: options[i].(string), Value: options[i+1]})
	}
	return s
}

// Our sections of package asterisk are what was asked for, those of others
// stay byte for byte, and what is already there is not written again.
func TestVoice(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "asterisk")
	const theirs = "# the administrator's\nconfig asterisk 'general'\n\toption enabled '1'   # yes\n\nconfig sip_client 'mine'\n\toption password 'p'\n"
	var reloads []string
	c := uciconf.New(uciconf.Options{
		Dir:    uci.Dir{Config: dir, Override: filepath.Join(dir, "run")},
		Reload: func(_ context.Context, s []string) error { reloads = append(reloads, s...); return nil },
	}).Voice()
	put := func(want bool, sections ...platform.VoiceSection) {
		t.Helper()
		if changed, err := c.Put(t.Context(), sections); err != nil || changed != want {
			t.Fatalf("changed %v, %v", changed, err)
		}
	}
	if _, err := c.Put(t.Context(), nil); !errors.Is(err, platform.ErrNoVoice) {
		t.Fatalf("without the package: %v", err)
	}
	if err := os.WriteFile(path, []byte(theirs), 0o600); err != nil {
		t.Fatal(err)
	}
	put(false)
	network := section("sip_network", "gatehouse_network", "enable", true, "stun_enable", false, "registrar_server_port", uint32(5061),
		"ice_servers", []string{"stun:a", "turn:b"}, "realm", "it's")
	codec := section("codec", "gatehouse_codec_1", "format", "g722")
	put(true, network, codec)
	const first = theirs + `
config sip_network 'gatehouse_network'
	option enable '1'
	option stun_enable '0'
	option registrar_server_port '5061'
	list ice_servers 'stun:a'
	list ice_servers 'turn:b'
	option realm 'it'\''s'

config codec 'gatehouse_codec_1'
	option format 'g722'
`
	same := func(want string) {
		t.Helper()
		got, err := os.ReadFile(path)
		if diff := cmp.Diff(want, string(got)); err != nil || diff != "" {
			t.Errorf("%v\n%s", err, diff)
		}
	}
	same(first)
	long := time.Unix(1, 0)
	if err := os.Chtimes(path, long, long); err != nil {
		t.Fatal(err)
	}
	put(false, network, codec)
	if info, err := os.Stat(path); err != nil || !info.ModTime().Equal(long) {
		t.Errorf("written again: %v, %v", info.ModTime(), err)
	}
	put(true, section("sip_network", "gatehouse_network", "enable", true))
	same(theirs + "\nconfig sip_network 'gatehouse_network'\n\toption enable '1'\n")
	put(true)
	if want := []string{"asterisk", "asterisk", "asterisk"}; !cmp.Equal(reloads, want) {
		t.Errorf("reloads %q, want %q", reloads, want)
	}
	same(theirs)
	if changed, err := c.Put(t.Context(), []platform.VoiceSection{section("sip_client", "mine", "password", "q")}); err == nil || changed {
		t.Error("somebody else's section is written")
	}
	same(theirs)
	put(true, codec) // nothing is left locked
}
