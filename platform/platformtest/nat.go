// Address translation: its interfaces and its port mappings.

package platformtest

import (
	"testing"
	"time"

	"gatehouse/platform"
)

func testNATInterfaces(t *testing.T, w world) {
	runTable(t, w, tableSuite[platform.NATInterface]{
		table: w.NAT.Interfaces,
		whole: func(n *platform.NATInterface) {},
		edits: map[string]func(*platform.NATInterface){
			"Enabled": func(n *platform.NATInterface) { n.Enabled = !n.Enabled },
		},
	})
}

// mapping makes a port mapping complete.
func (w world) mapping(m *platform.PortMapping) {
	m.Interface, m.ExternalPort, m.InternalPort, m.InternalClient = w.outside(), 8443, 443, "192.168.1.50"
}

func testPortMappings(t *testing.T, w world) {
	runTable(t, w, tableSuite[platform.PortMapping]{
		table: w.NAT.Mappings,
		whole: w.mapping,
		edits: map[string]func(*platform.PortMapping){
			"Enabled":        func(m *platform.PortMapping) { m.Enabled = !m.Enabled },
			"AllInterfaces":  func(m *platform.PortMapping) { m.AllInterfaces, m.Interface = true, "" },
			"Expires":        func(m *platform.PortMapping) { m.Expires, m.Lease = time.Unix(4102444800, 0).UTC(), time.Hour },
			"RemoteHost":     func(m *platform.PortMapping) { m.RemoteHost = prefix("198.51.100.7/32") },
			"a network":      func(m *platform.PortMapping) { m.RemoteHost = prefix("198.51.100.0/24") },
			"ExternalPort":   func(m *platform.PortMapping) { m.ExternalPort, m.ExternalPortLast = 65535, 0 },
			"a range":        func(m *platform.PortMapping) { m.ExternalPort, m.ExternalPortLast = 8000, 8010 },
			"InternalPort":   func(m *platform.PortMapping) { m.InternalPort = 1 },
			"Protocol":       func(m *platform.PortMapping) { m.Protocol = "UDP" },
			"InternalClient": func(m *platform.PortMapping) { m.InternalClient = "192.168.1.51" },
			"Description":    func(m *platform.PortMapping) { m.Description = "The camera's" },
		},
		texts: map[string]func(*platform.PortMapping) any{
			"Description":    func(m *platform.PortMapping) any { return &m.Description },
			"InternalClient": func(m *platform.PortMapping) any { return &m.InternalClient },
		},
	})
}
