package uciconf

// The time and the device's name: system; and dnsmasq as the relay of name requests.

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

// Host is the device's own name: one row.
func (c *Conf) Host() platform.Table[platform.HostConfig] {
	return kind[platform.HostConfig]{
		pkg: "system", types: []string{"system"}, only: "host",
		read: func(_ *view, s *uci.Section) platform.HostConfig {
			return platform.HostConfig{Name: s.Get("hostname")}
		},
		write: func(e *edit, _ *uci.Package, s *uci.Section, old, r *platform.HostConfig) error {
			if old.Name != r.Name && !isHostName(r.Name) {
				return fmt.Errorf("%.80q is no host name: words of letters, digits and '-' with dots between them, %d at most", r.Name, longestHostName)
			}
			e.str(s, "hostname", old.Name, r.Name)
			return nil
		},
	}.table(c)
}

// longestHostName is the kernel's HOST_NAME_MAX.
const longestHostName = 64

// isHostName says whether the kernel and the network take s for a host's name (RFC
// 1123 §2.1).
func isHostName(s string) bool {
	for word := range strings.SplitSeq(s, ".") {
		if word == "" || word[0] == '-' || word[len(word)-1] == '-' {
			return false
		}
		for _, c := range []byte(word) {
			if c != '-' && (c < '0' || c > '9') && (c|0x20 < 'a' || c|0x20 > 'z') {
				return false
			}
		}
	}
	return len(s) <= longestHostName
}

// Naming is the resolver, and the relay of name requests: one row. The device
// itself asks its relay; there is no switch for that.
func (c *Conf) Naming() platform.Table[platform.DNSConfig] {
	return kind[platform.DNSConfig]{
		pkg: "system", types: []string{"system"}, only: "dns",
		read: func(v *view, s *uci.Section) platform.DNSConfig {
			return platform.DNSConfig{ClientEnabled: true, RelayEnabled: relays(v)}
		},
		write: func(e *edit, _ *uci.Package, _ *uci.Section, old, r *platform.DNSConfig) error {
			fixed(e, "the resolver", old.ClientEnabled, r.ClientEnabled)
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

// relays says whether there is a relay, and it is on. One of which our own folder
// says nothing is as dnsmasq is by itself.
func relays(v *view) bool {
	relay := mainDNS(v.beside("dhcp"))
	if relay == nil {
		return v.conf.o.Dir.Create
	}
	return relay.Get("port") != "0"
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
