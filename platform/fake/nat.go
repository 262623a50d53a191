// Address translation: who is translated, and what is let in from outside.

package fake

import (
	"gatehouse/platform"
)

// homeNAT translates what leaves by the WAN port, and leads a port to the
// printer.
func (r *Router) homeNAT() {
	const service = "firewall"
	r.tables.NAT = platform.NAT{
		Interfaces: seed(table[platform.NATInterface]{r: r, name: "nat", service: service}, false,
			platform.Entry[platform.NATInterface]{Key: "wan", Value: platform.NATInterface{Enabled: true, Interface: "eth0"}}),
		Mappings: seed(table[platform.PortMapping]{r: r, name: "mapping", service: service, fresh: platform.PortMapping{Protocol: "TCP"}}, false,
			platform.Entry[platform.PortMapping]{Key: "printer", Value: platform.PortMapping{
				Enabled: true, Interface: "eth0", ExternalPort: 6310, InternalPort: 631, Protocol: "TCP",
				InternalClient: "192.168.1.103", Description: "Printing from afar",
			}}),
	}
	r.tables.NAT.Applied = r.applied(service, "nat", "mapping") // of what is there by now
}
