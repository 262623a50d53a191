// Device.DNS.Relay.: the server that answers the local network, and whom it
// asks itself.

package tr181

import (
	"context"

	"gatehouse/datamodel"
	"gatehouse/platform"
)

// Device.DNS.Relay.: the relay as a whole.
type dnsRelay struct {
	enable bool
	status string
}

var dnsRelayParams = []datamodel.Param[dnsRelay]{
	{Name: "Enable", At: func(r *dnsRelay) any { return &r.enable }, Access: datamodel.ReadWrite},
	{Name: "Status", At: func(r *dnsRelay) any { return &r.status }, Check: datamodel.Enum{"Disabled", "Enabled", "Error"}},
}

func (m *Model) dnsRelay() datamodel.Object {
	return datamodel.Define("Device.DNS.Relay.", dnsRelayParams, datamodel.Source[dnsRelay]{
		Topics: []datamodel.Topic{ConfigChanged},
		Keys:   datamodel.Always,
		Rows: datamodel.One(func(ctx context.Context, _ []datamodel.Key) (dnsRelay, error) {
			_, c, err := m.naming(ctx)
			return dnsRelay{c.RelayEnabled, enabled(c.RelayEnabled)}, err
		}),
		Stage: func(ctx context.Context, tx *datamodel.Tx, _ []datamodel.Key, c datamodel.Change[dnsRelay]) error {
			key, row, err := m.naming(ctx)
			if err != nil {
				return err
			}
			row.RelayEnabled = c.New.enable
			return putRow(ctx, m, tx, m.p.Naming, key, row, "Enable")
		},
	})
}

// naming is the one row of the configuration of resolver and relay.
func (m *Model) naming(ctx context.Context) (key string, c platform.DNSConfig, err error) {
	rows, err := configured(ctx, m, "naming", m.p.Naming)
	if err != nil {
		return "", platform.DNSConfig{}, err
	}
	if len(rows) == 0 {
		return "", platform.DNSConfig{}, datamodel.ErrGone
	}
	return rows[0].Key, rows[0].Value, nil
}

func (m *Model) dnsForwarding() datamodel.Object {
	return datamodel.Define("Device.DNS.Relay.Forwarding.{i}.", dnsServerParams, m.nameServers(true, "ForwardNumberOfEntries"))
}
