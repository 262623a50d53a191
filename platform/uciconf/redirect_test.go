package uciconf

// Redirects as others write them.

import (
	"strings"
	"testing"

	"gatehouse/platform"
)

// A redirect of others that names no port inside leads to the one that was asked
// for, and goes on doing so after it was switched off and on.
func TestRedirectWithoutPortInside(t *testing.T) {
	type mapping = platform.PortMapping
	for _, f := range []struct {
		ports string
		want  uint16
	}{{"8080", 8080}, {"8000-8010", 8000}} {
		c := vanilla(t)
		text := "config zone\n\toption name 'wan'\n\tlist network 'wan'\n\nconfig redirect 'web'\n\toption src 'wan'\n\toption src_dport '" + f.ports + "'\n\toption dest_ip '192.168.1.7'\n\toption proto 'tcp'\n"
		write(t, c, "firewall", text)
		if m := row(t, c.PortMappings(), "web"); m.InternalPort != f.want {
			t.Errorf("InternalPort %d", m.InternalPort)
		}
		if err := c.Name(t.Context()); err != nil {
			t.Fatal(err)
		}
		was := text1(t, c, "firewall")
		change(t, c, c.PortMappings(), "web", func(m *mapping) { m.Enabled = false })
		change(t, c, c.PortMappings(), "web", func(m *mapping) { m.Enabled = true })
		if now := text1(t, c, "firewall"); now != was {
			t.Errorf("%s", now)
		}
		// The port inside stays when the one outside changes.
		change(t, c, c.PortMappings(), "web", func(m *mapping) { m.ExternalPort, m.ExternalPortLast = 81, 0 })
		// None is none, and not the one outside.
		change(t, c, c.PortMappings(), "web", func(m *mapping) { m.InternalPort = 0 })
		if now := text1(t, c, "firewall"); !strings.Contains(now, "option enabled '0'") {
			t.Errorf("%s", now)
		}
	}
}
