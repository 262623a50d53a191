package main

import (
	"flag"
	"os"
	"path/filepath"
)

// dirs is where the agent's files are. Whoever is not root, on a laptop, gets
// a place of their own, so that trying it out needs no flags.
type dirs struct {
	root, config, factory, state, run string
}

func (d *dirs) flags(f *flag.FlagSet) {
	f.StringVar(&d.root, "root", "/", "the `directory` that is the root of the system: /proc, /sys and /etc are read below it")
	f.StringVar(&d.config, "config", "", "the configuration `file` (default /etc/config/gatehouse on OpenWrt, else /etc/gatehouse/gatehouse)")
	f.StringVar(&d.factory, "factory", "", "the factory `file` of the image (default /usr/share/gatehouse/factory)")
	f.StringVar(&d.state, "state", "", "the `directory` of the state (default /etc/gatehouse/state)")
	f.StringVar(&d.run, "run", "", "the `directory` in RAM, where the socket is (default /var/run/gatehouse)")
}

// fill puts the defaults where nothing was said.
func (d *dirs) fill() {
	at := func(path string) string { return filepath.Join(d.root, path) }
	own := func(env, home string) string {
		if base := os.Getenv(env); base != "" {
			return filepath.Join(base, "gatehouse")
		}
		base, err := os.UserHomeDir()
		if err != nil {
			base = os.TempDir()
		}
		return filepath.Join(base, home, "gatehouse")
	}
	root := os.Geteuid() == 0 || d.root != "/"
	if d.config == "" {
		d.config = at("/etc/gatehouse/gatehouse")
		if _, err := os.Stat(at("/etc/config")); err == nil {
			d.config = at("/etc/config/gatehouse")
		}
		if !root {
			d.config = filepath.Join(own("XDG_CONFIG_HOME", ".config"), "gatehouse")
		}
	}
	if d.factory == "" {
		d.factory = at("/usr/share/gatehouse/factory")
	}
	if d.state == "" {
		d.state = at("/etc/gatehouse/state")
		if !root {
			d.state = filepath.Join(own("XDG_STATE_HOME", ".local/state"), "state")
		}
	}
	if d.run == "" {
		d.run = at("/var/run/gatehouse")
		if !root {
			d.run = own("XDG_RUNTIME_DIR", ".cache")
		}
	}
}

func (d *dirs) socket() string {
	d.fill()
	return filepath.Join(d.run, "control")
}
