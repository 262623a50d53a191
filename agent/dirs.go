package main

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"

	"gatehouse/agent/app"
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

// maxSocket is how long the path of a unix socket may be, in bytes (unix(7)).
const maxSocket = 107

// socket is where the agent is asked.
func (d *dirs) socket() (string, error) {
	d.fill()
	path := filepath.Join(d.run, app.SocketName)
	if len(path) > maxSocket {
		return "", usageError(fmt.Sprintf("--run %s is too long: with /%s, a socket's path has at most %d bytes", d.run, app.SocketName, maxSocket))
	}
	return path, nil
}
