// Device.DHCPv4.Server.

package tr181

import (
	"context"

	"gatehouse/datamodel"
	"gatehouse/platform"
)

// Device.DHCPv4. has only counts, which the engine adds.
type dhcpv4 struct{}

func (m *Model) dhcpv4() datamodel.Object {
	return datamodel.Define("Device.DHCPv4.", nil, datamodel.Source[dhcpv4]{
		Keys: datamodel.Always,
		Rows: datamodel.One(func(context.Context, []datamodel.Key) (dhcpv4, error) { return dhcpv4{}, nil }),
	})
}

// Device.DHCPv4.Server.: the server as a whole.
type dhcpServer struct {
	enable bool

	key string
	row platform.DHCPServer
}

var dhcpServerParams = []datamodel.Param[dhcpServer]{
	{Name: "Enable", At: func(s *dhcpServer) any { return &s.enable }, Access: datamodel.ReadWrite},
}

func (m *Model) dhcpServer() datamodel.Object {
	src := datamodel.Source[dhcpServer]{
		Topics: []datamodel.Topic{ConfigChanged},
		Keys:   datamodel.Always,
		Rows: datamodel.One(func(ctx context.Context, _ []datamodel.Key) (dhcpServer, error) {
			return m.readDHCPServer(ctx)
		}),
		Stage: func(ctx context.Context, tx *datamodel.Tx, _ []datamodel.Key, c datamodel.Change[dhcpServer]) error {
			row := c.New.row
			row.Enabled = c.New.enable
			return putRow(ctx, m, tx, m.p.DHCP.Server, c.New.key, row, "Enable")
		},
	}
	if m.p.DHCP.Server == nil {
		src.Stage, src.Without = nil, []string{"Enable"}
	}
	return datamodel.Define("Device.DHCPv4.Server.", dhcpServerParams, src)
}

// readDHCPServer reads the one row of the server. Where the platform has none it
// is on: its pools decide.
func (m *Model) readDHCPServer(ctx context.Context) (dhcpServer, error) {
	if m.p.DHCP.Server == nil {
		return dhcpServer{enable: true}, nil
	}
	rows, err := configured(ctx, m, "DHCP server", m.p.DHCP.Server)
	if err != nil || len(rows) == 0 {
		return dhcpServer{}, err
	}
	return dhcpServer{enable: rows[0].Value.Enabled, key: rows[0].Key, row: rows[0].Value}, nil
}
