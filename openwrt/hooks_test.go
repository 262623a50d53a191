package openwrt_test

import (
	"bytes"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// answered runs the hook of a DHCP client as netifd does, and returns what it has
// kept, and sent.
func answered(t *testing.T, shell []string, hook, env string, args ...string) (kept map[string]string, sent string) {
	t.Helper()
	root := t.TempDir()
	text, err := os.ReadFile(hook)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(root, "hook")
	if err := os.WriteFile(file, bytes.ReplaceAll(text, []byte("/var/run/"), []byte(root+"/")), 0o600); err != nil {
		t.Fatal(err)
	}
	script := env + "\nubus() { echo \"$@\"; }\nset -- " + strings.Join(args, " ") + "\n(. " + file + " \"$@\")\n"
	out, err := exec.Command(shell[0], append(shell[1:], "-u", "-c", script)...).CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	kept = map[string]string{}
	entries, err := os.ReadDir(filepath.Join(root, "gatehouse-dhcp"))
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	for _, e := range entries {
		text, err := os.ReadFile(filepath.Join(root, "gatehouse-dhcp", e.Name()))
		if err != nil {
			t.Fatal(err)
		}
		kept[e.Name()] = string(text)
		if info, err := e.Info(); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v %v", e.Name(), info.Mode(), err)
		}
	}
	return kept, string(out)
}

func TestHooks(t *testing.T) {
	const v4, v6 = "files/etc/udhcpc.user.d/gatehouse", "files/etc/odhcp6c.user.d/gatehouse"
	const event = `send cwmp.dhcp {"interface":"NAME"}` + "\n"
	each(t, func(t *testing.T, shell []string) {
		for name, c := range map[string]struct {
			hook, env  string
			args       []string
			file, want string
		}{
			"bound":     {v4, "INTERFACE=wan interface=eth0.2 opt43=0102 opt125=00000de9", []string{"bound"}, "wan", "device=eth0.2\nopt43=0102\nopt125=00000de9\n"},
			"renew":     {v4, "INTERFACE=wan interface=eth0.2", []string{"renew"}, "wan", "device=eth0.2\nopt43=\nopt125=\n"},
			"hostile":   {v4, "INTERFACE=wan interface=eth0; opt43='$(reboot)%s\\n`x`'", []string{"bound"}, "wan", "device=eth0\nopt43=$(reboot)%s\\n`x`\nopt125=\n"},
			"no netifd": {v4, "interface=eth0 opt43=01", []string{"bound"}, "eth0", "device=eth0\nopt43=01\nopt125=\n"},
			"deconfig":  {v4, "INTERFACE=wan interface=eth0.2", []string{"deconfig"}, "", ""},
			"v6":        {v6, "INTERFACE=wan6 OPTION_17=00000DE9", []string{"eth0.2", "bound"}, "wan6", "device=eth0.2\nopt17=00000DE9\n"},
			"v6, none":  {v6, "INTERFACE=wan6", []string{"eth0.2", "updated"}, "wan6", "device=eth0.2\nopt17=\n"},
			"v6, gone":  {v6, "INTERFACE=wan6", []string{"eth0.2", "unbound"}, "", ""},
		} {
			kept, sent := answered(t, shell, c.hook, c.env, c.args...)
			want, wantSent := map[string]string{}, ""
			if c.file != "" {
				want[c.file], wantSent = c.want, strings.Replace(event, "NAME", c.file, 1)
			}
			if !maps.Equal(kept, want) || sent != wantSent {
				t.Errorf("%s: kept %q, sent %q; want %q, %q", name, kept, sent, want, wantSent)
			}
		}
	})
}
