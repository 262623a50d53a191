package tr181_test

import (
	"strings"
	"testing"

	"gatehouse/datamodel/tr181"
)

// TestGatewayInfo: what a DHCP server says of itself may be anything, and must
// still be what the data model allows.
func TestGatewayInfo(t *testing.T) {
	h := build(t)
	for gateway, want := range map[tr181.Gateway]tr181.Gateway{
		{}: {},
		{OUI: "00005e", SerialNumber: "S 1", ProductClass: "box"}:    {OUI: "00005E", SerialNumber: "S 1", ProductClass: "box"},
		{OUI: "00:00:5e", SerialNumber: strings.Repeat("ä", 65)}:     {SerialNumber: strings.Repeat("ä", 64)},
		{OUI: "$(x)", SerialNumber: "\xff\xfe", ProductClass: "]]>"}: {SerialNumber: "?", ProductClass: "]]>"},
	} {
		h.gateway = gateway
		const path = "Device.GatewayInfo."
		got := tr181.Gateway{OUI: h.get(path + "ManufacturerOUI"), SerialNumber: h.get(path + "SerialNumber"), ProductClass: h.get(path + "ProductClass")}
		if got != want {
			t.Errorf("%q is shown as %q, want %q", gateway, got, want)
		}
	}
}
