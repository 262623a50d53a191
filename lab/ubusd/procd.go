package ubusd

// procd: what the board is, which services run, and who reloads when a package
// has changed.

import (
	"os"
	"slices"
	"time"
)

// A service of procd. One without instances is a script that runs and ends.
type service struct {
	name     string
	packages []string // whose change reloads it
	instance string
	running  bool
	pid      int
	exit     int
}

func vanilla() []*service {
	return []*service{
		{name: "dnsmasq", packages: []string{"dhcp"}, instance: "cfg01411c", running: true, pid: 2101},
		{name: "firewall", packages: []string{"firewall"}},
		{name: "log", packages: []string{"system"}, instance: "instance1", running: true, pid: 1201},
		{name: "network", packages: []string{"network", "wireless"}, instance: "instance1", running: true, pid: 1601},
		{name: "odhcpd", packages: []string{"dhcp"}, instance: "instance1", running: true, pid: 2001},
		{name: "sysntpd", packages: []string{"system"}, instance: "instance1", running: true, pid: 2401},
	}
}

func (r *Router) system() []method {
	return []method{
		{"board", nil, r.board},
		{"info", nil, func(Table) (Table, int) {
			return T("localtime", int(time.Now().Unix()), "uptime", int(time.Since(r.began).Seconds())+100, "load", List{6553, 3276, 0},
				"memory", T("total", int64(126468096), "free", int64(63234048), "shared", int64(65536), "buffered", int64(0), "available", int64(71234048), "cached", int64(12345344))), ok
		}},
		{"reboot", nil, func(Table) (Table, int) {
			r.mu.Lock()
			defer r.mu.Unlock()
			r.rebooted++
			return nil, ok
		}},
		{"validate_firmware_image", map[string]int{"path": 3}, r.validate},
	}
}

func (r *Router) board(Table) (Table, int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	host := r.Hostname
	for _, s := range load(r.Root, "system") {
		if s.typ == "system" && s.get("hostname") != "" {
			host = s.get("hostname")
		}
	}
	return T("kernel", "6.6.119", "hostname", host, "system", "MediaTek MT7621 ver:1 eco:3", "model", r.Model, "board_name", r.BoardName,
		"rootfs_type", "squashfs", "release", T("distribution", "OpenWrt", "version", r.Version, "revision", r.Revision,
			"target", "ramips/mt7621", "description", "OpenWrt "+r.Version+" "+r.Revision, "builddate", "1760000000")), ok
}

// validate takes a file that begins with what every image of the lab does.
func (r *Router) validate(args Table) (Table, int) {
	path, given := args.Get("path").(string)
	if !given {
		return nil, invalidArgument
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, invalidArgument
	}
	valid := len(text) > 4 && string(text[:4]) == "LABF"
	return T("tests", T("fwtool_signature", true, "fwtool_device_match", valid), "valid", valid, "forceable", true, "allow_backup", true), ok
}

func (r *Router) service() []method {
	return []method{
		{"list", map[string]int{"name": 3, "verbose": 7}, r.list},
		{"event", map[string]int{"type": 3, "data": 2}, func(args Table) (Table, int) {
			typ, given := args.Get("type").(string)
			data, with := args.Get("data").(Table)
			if !given || !with {
				return nil, invalidArgument
			}
			if typ == "config.change" {
				r.change(data.str("package"))
			}
			return nil, ok
		}},
	}
}

func (r *Router) list(args Table) (Table, int) {
	verbose, _ := args.Get("verbose").(bool)
	r.mu.Lock()
	defer r.mu.Unlock()
	all := Table{}
	for _, s := range r.services {
		if only, given := args.Get("name").(string); given && only != s.name {
			continue
		}
		t := Table{}
		if s.instance != "" {
			i := T("running", s.running)
			if s.running {
				i = append(i, Pair{"pid", s.pid})
			}
			command := List{"/usr/sbin/" + s.name}
			if s.name == "dnsmasq" {
				command = append(command, "-C", dnsmasqFile, "-k", "-x", "/var/run/dnsmasq/dnsmasq.cfg01411c.pid")
			}
			i = append(i, Pair{"command", command})
			if !s.running {
				i = append(i, Pair{"exit_code", s.exit})
			}
			t = T("instances", Table{{s.instance, i}})
		}
		if verbose {
			triggers := List{}
			for _, p := range s.packages {
				triggers = append(triggers, List{"config.change",
					List{"if", List{"eq", "package", p}, List{"run_script", "/etc/init.d/" + s.name, "reload"}}, 1000})
			}
			t = append(t, Pair{"triggers", triggers})
		}
		all = append(all, Pair{s.name, t})
	}
	return all, ok
}

// change is config.change: after a while, the services of the package read it.
func (r *Router) change(pkg string) {
	r.mu.Lock()
	b := r.life
	known := slices.ContainsFunc(r.services, func(s *service) bool { return slices.Contains(s.packages, pkg) })
	r.mu.Unlock()
	if !known {
		return
	}
	b.all.Go(func() {
		if r.Delay > 0 {
			t := time.NewTimer(r.Delay)
			defer t.Stop()
			select {
			case <-t.C:
			case <-b.ctx.Done():
				return
			}
		}
		r.knobs.mu.Lock()
		if r.reloads == nil {
			r.reloads = map[string]int{}
		}
		r.reloads[pkg]++
		r.knobs.mu.Unlock()
		switch pkg {
		case "network":
			r.reloadNetwork(b)
		case "wireless":
			r.reloadWireless(b)
		default:
			r.restart(b, pkg)
		}
	})
}

// restart is what procd does to a service whose files have changed.
func (r *Router) restart(b *life, pkg string) {
	fails := r.fails(pkg)
	if pkg == "firewall" && !fails && r.Load != nil {
		r.Load(r.firewall())
	}
	r.mu.Lock()
	if pkg == "dhcp" {
		r.writeDnsmasq()
	}
	var told []service
	for _, s := range r.services {
		if slices.Contains(s.packages, pkg) && s.instance != "" {
			s.running, s.exit = !fails, 1
			s.pid++
			told = append(told, *s)
		}
	}
	r.mu.Unlock()
	for _, s := range told {
		t := T("service", s.name, "instance", s.instance)
		b.procd.notify("service", "instance.stop", t)
		if s.running {
			b.procd.notify("service", "instance.start", t)
		}
	}
}
