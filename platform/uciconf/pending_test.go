package uciconf

// Somebody else in the middle of changes.

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"gatehouse/platform"
)

// A change of ours takes nothing away from somebody who has set some and not
// committed: neither by a name, nor by moving the sections behind one that goes.
func TestChangesWaitForOthers(t *testing.T) {
	c := vanilla(t)
	c.o.Dir.Deltas = []string{t.TempDir()}
	delta := filepath.Join(c.o.Dir.Deltas[0], "firewall")
	web := "config redirect 'web'\n\toption src 'wan'\n\toption dest_ip '192.168.1.7'\n\n"
	rule := "config rule\n\toption name 'ssh'\n"
	for _, f := range []struct {
		file      string
		put, gone bool // are waiting
	}{
		{web + "config redirect\n\toption src 'wan'\n", true, true},
		{web + rule, false, true},
		{rule + "\n" + web, false, false},
	} {
		for _, pending := range []bool{true, false} {
			write(t, c, "firewall", f.file)
			m := row(t, c.PortMappings(), "web")
			m.Description = "new"
			text := ""
			if pending {
				text = "firewall.cfg02dc81.name='his'\n"
			}
			if err := os.WriteFile(delta, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			var un *platform.Unavailable
			_, err := do(t, c, func(b platform.ConfigBatch) { c.PortMappings().Put(b, "web", m) })
			if waits := errors.As(err, &un); waits != (f.put && pending) || !waits && err != nil {
				t.Errorf("put, pending %v: %v in\n%s", pending, err, f.file)
			}
			_, err = do(t, c, func(b platform.ConfigBatch) { c.PortMappings().Delete(b, "web") })
			if waits := errors.As(err, &un); waits != (f.gone && pending) || !waits && err != nil {
				t.Errorf("delete, pending %v: %v in\n%s", pending, err, f.file)
			}
			if f.put && pending && text1(t, c, "firewall") != f.file {
				t.Errorf("%s", text1(t, c, "firewall"))
			}
		}
	}
}
