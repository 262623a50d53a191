// Device.GatewayInfo.: the gateway that this device is behind, as it has said
// with the lease (TR-069 Annex F).

package tr181

import (
	"context"
	"strings"

	"gatehouse/datamodel"
)

// A Gateway is who the device that gave us our lease says it is; empty: it has
// not said.
type Gateway struct{ OUI, SerialNumber, ProductClass string }

var gatewayInfoParams = []datamodel.Param[Gateway]{
	{Name: "ManufacturerOUI", At: func(g *Gateway) any { return &g.OUI }, Notify: datamodel.NotifyDefaultOn,
		Check: datamodel.All{datamodel.Len{Max: 6}, datamodel.Pattern{"", `[0-9A-F]{6}`}}},
	{Name: "ProductClass", At: func(g *Gateway) any { return &g.ProductClass }, Check: datamodel.Len{Max: 64}, Notify: datamodel.NotifyDefaultOn},
	{Name: "SerialNumber", At: func(g *Gateway) any { return &g.SerialNumber }, Check: datamodel.Len{Max: 64}, Notify: datamodel.NotifyDefaultOn},
}

func (m *Model) gatewayInfo() datamodel.Object {
	return datamodel.Define("Device.GatewayInfo.", gatewayInfoParams, datamodel.Source[Gateway]{
		Topics: []datamodel.Topic{GatewayChanged},
		Keys:   datamodel.Always,
		Rows: datamodel.One(func(context.Context, []datamodel.Key) (Gateway, error) {
			g := m.a.Gateway()
			g.OUI = strings.ToUpper(g.OUI)
			if len(g.OUI) != 6 || strings.Trim(g.OUI, "0123456789ABCDEF") != "" {
				g.OUI = ""
			}
			for _, s := range []*string{&g.ProductClass, &g.SerialNumber} {
				*s = limit(strings.ToValidUTF8(*s, "?"), 64) // of the network: anything
			}
			return g, nil
		}),
	})
}
