package uciconf

// The time and the names: system, and dnsmasq as the relay of name requests.

import (
	"fmt"
	"slices"
	"strings"

	"gatehouse/internal/uci"
	"gatehouse/platform"
)

// named finds the first section of a type; with a name, the one with that name.
func named(p *uci.Package, typ, name string) *uci.Section {
	for _, s := range p.Sections {
		if s.Type == typ && (name == "" || s.Name == name) {
			return s
		}
	}
	return &uci.Section{}
}

// Timing is how the time is kept: one row.
func (c *Conf) Timing() platform.Table[platform.TimeConfig] {
	return kind[platform.TimeConfig]{
		pkg: "system", types: []string{"system"}, only: "system",
		read: func(v *view, s *uci.Section) platform.TimeConfig {
			ntp := named(v.beside("system"), "timeserver", "ntp")
			return platform.TimeConfig{
				Enabled: isSet(ntp, "enabled", true) && ntp.Name != "",
				Zone:    s.Get("timezone"), Name: s.Get("zonename"),
				Servers: list(ntp, "server"), Serves: isSet(ntp, "enable_server", false),
			}
		},
		write: writeTiming,
	}.table(c)
}

func writeTiming(e *edit, p *uci.Package, s *uci.Section, old, r *platform.TimeConfig) error {
	ntp := named(p, "timeserver", "ntp")
	if ntp.Name == "" && (old.Enabled != r.Enabled || old.Serves != r.Serves || !slices.Equal(old.Servers, r.Servers)) {
		ntp = e.add(p, "timeserver", "ntp")
		old.Enabled = true
	}
	e.flag(ntp, "enabled", old.Enabled, r.Enabled, true)
	e.flag(ntp, "enable_server", old.Serves, r.Serves, false)
	for _, server := range r.Servers {
		if server == "" || strings.ContainsAny(server, " ") {
			return fmt.Errorf("time server %q", server)
		}
	}
	e.list(ntp, "server", old.Servers, r.Servers)
	e.str(s, "timezone", old.Zone, r.Zone)
	if old.Zone != r.Zone && old.Name == r.Name {
		e.set(s, "zonename", "") // it was the name of the other one
	}
	if old.Name != r.Name {
		e.set(s, "zonename", r.Name)
	}
	return nil
}

// Naming is the device's own name, and its relay of name requests: one row. The
// device itself asks its relay; there is no switch for that.
func (c *Conf) Naming() platform.Table[platform.DNSConfig] {
	return kind[platform.DNSConfig]{
		pkg: "system", types: []string{"system"}, only: "dns",
		read: func(v *view, s *uci.Section) platform.DNSConfig {
			relay := mainDNS(v.beside("dhcp"))
			return platform.DNSConfig{ClientEnabled: true, RelayEnabled: relay != nil && relay.Get("port") != "0", HostName: s.Get("hostname")}
		},
		write: func(e *edit, _ *uci.Package, s *uci.Section, old, r *platform.DNSConfig) error {
			fixed(e, "the resolver", old.ClientEnabled, r.ClientEnabled)
			if strings.ContainsAny(r.HostName, " ") {
				return fmt.Errorf("host name %q", r.HostName)
			}
			e.str(s, "hostname", old.HostName, r.HostName)
			if old.RelayEnabled == r.RelayEnabled {
				return nil
			}
			p, err := e.open("dhcp")
			if err != nil {
				return err
			}
			relay, err := e.relay(p)
			if err != nil {
				return err
			}
			port := "0"
			if r.RelayEnabled {
				port = ""
			}
			e.set(relay, "port", port)
			return nil
		},
	}.table(c)
}

// relay is the device's own dnsmasq, to be changed.
func (e *edit) relay(p *uci.Package) (*uci.Section, error) {
	s := mainDNS(p)
	switch {
	case s != nil:
		return s, nil
	case e.conf.o.Dir.Create:
		return e.add(p, "dnsmasq", "dnsmasq"), nil
	}
	return nil, fmt.Errorf("there is no relay: %w", platform.ErrUnsupported)
}

// mainDNS is the device's own dnsmasq.
func mainDNS(p *uci.Package) *uci.Section {
	for _, s := range p.Sections {
		if s.Type == "dnsmasq" && isMain(s) {
			return s
		}
	}
	return nil
}
