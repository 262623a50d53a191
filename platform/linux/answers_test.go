package linux

import (
	"encoding/hex"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"gatehouse/platform"
)

// put writes a file below root.
func put(t *testing.T, root, name, text string) {
	t.Helper()
	path := filepath.Join(root, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// answers is what the backend tells.
func answers(t *testing.T, root string) (all []platform.DHCPAnswer, err error) {
	t.Helper()
	for a, err := range (dhcpClient{newBackend(Options{Root: root})}).DHCPAnswers(t.Context()) {
		if err != nil {
			return all, err
		}
		all = append(all, a)
	}
	return all, nil
}

const acs = "https://acs.example.net/"

// option43 names the ACS.
var option43 = "\x01" + string(rune(len(acs))) + acs

func TestHookAnswers(t *testing.T) {
	root := t.TempDir()
	if all, err := answers(t, root); err != nil || len(all) > 0 {
		t.Errorf("without any client: %v %v", all, err)
	}
	const dir = "var/run/gatehouse-dhcp/"
	put(t, root, dir+"wan", "device=eth0.2\nopt43="+hex.EncodeToString([]byte(option43))+"\nopt125=\nopt17=\n")
	put(t, root, dir+"wan6", "device=eth0.2\nopt17=00000DE9\n")
	put(t, root, dir+"vpn", "device=tun0\nopt43=12345\nopt125=$(reboot)\n") // the hook does not look at what it keeps
	put(t, root, dir+"broken", "opt43=12\n")
	put(t, root, dir+".wan.7", "device=eth0.2\nopt43=00\n")
	put(t, root, dir+"long", "device=eth9\nopt43="+strings.Repeat("00", maxAnswer))
	want := []platform.DHCPAnswer{
		{Link: "eth9", Interface: "long"},
		{Link: "tun0", Interface: "vpn"},
		{Link: "eth0.2", Interface: "wan", Vendor: []byte(option43)},
		{Link: "eth0.2", Interface: "wan6", Identified6: []byte("\x00\x00\x0d\xe9")},
	}
	all, err := answers(t, root)
	for i := range all {
		if all[i].Link == "eth9" && len(all[i].Vendor) <= maxAnswer/2 {
			all[i].Vendor = nil // cut
		}
	}
	if err != nil || !reflect.DeepEqual(all, want) {
		t.Errorf("%q %v\nwant %q", all, err, want)
	}
	if err := os.RemoveAll(filepath.Join(root, dir)); err != nil {
		t.Fatal(err)
	}
	put(t, root, strings.TrimSuffix(dir, "/"), "no folder")
	if _, err := answers(t, root); !errors.As(err, new(*platform.Unavailable)) {
		t.Errorf("a folder that cannot be read: %v", err)
	}
}
