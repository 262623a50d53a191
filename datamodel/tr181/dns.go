// Device.DNS.: the system's resolver, read-only.

package tr181

import (
	"context"
	"iter"

	"gatehouse/datamodel"
)

// Device.DNS.: the record types that the system's resolver can ask for.
type dns struct{ recordTypes []string }

var dnsParams = []datamodel.Param[dns]{
	{Name: "SupportedRecordTypes", At: func(d *dns) any { return &d.recordTypes },
		Check: datamodel.List{Of: datamodel.Enum{"A", "AAAA", "SRV", "PTR"}}},
}

func (m *Model) dns() datamodel.Object {
	return datamodel.Define("Device.DNS.", dnsParams, datamodel.Source[dns]{
		Keys: datamodel.Always,
		Rows: datamodel.One(func(context.Context, []datamodel.Key) (dns, error) {
			return dns{[]string{"A", "AAAA", "SRV", "PTR"}}, nil
		}),
	})
}

// Device.DNS.Client.: the system's resolver. It is on as long as it has
// somebody to ask.
type dnsClient struct {
	enable bool
	status string
}

var dnsClientParams = []datamodel.Param[dnsClient]{
	{Name: "Enable", At: func(c *dnsClient) any { return &c.enable }},
	{Name: "Status", At: func(c *dnsClient) any { return &c.status }, Check: datamodel.Enum{"Disabled", "Enabled", "Error"}},
}

func (m *Model) dnsClient() datamodel.Object {
	return datamodel.Define("Device.DNS.Client.", dnsClientParams, datamodel.Source[dnsClient]{
		Topics: []datamodel.Topic{ResolverChanged},
		Keys:   datamodel.Always,
		Rows: datamodel.One(func(ctx context.Context, _ []datamodel.Key) (dnsClient, error) {
			d, err := m.readDNS(ctx)
			on := len(d.Servers) > 0
			return dnsClient{on, enabled(on)}, err
		}),
	})
}

// Device.DNS.Client.Server.{i}.: the name servers, as the resolver is told.
type dnsServer struct {
	enable bool
	status string
	alias  datamodel.Alias
	server string
	iface  datamodel.Ref
	origin string
}

var dnsServerParams = []datamodel.Param[dnsServer]{
	{Name: "Enable", At: func(s *dnsServer) any { return &s.enable }},
	{Name: "Status", At: func(s *dnsServer) any { return &s.status }, Check: datamodel.Enum{"Disabled", "Enabled", "Error"}},
	{Name: "Alias", At: func(s *dnsServer) any { return &s.alias }, Access: datamodel.ReadWrite, Check: datamodel.Len{Max: 64}},
	{Name: "DNSServer", At: func(s *dnsServer) any { return &s.server }, Check: datamodel.IPAddress{}},
	{Name: "Interface", At: func(s *dnsServer) any { return &s.iface }, Check: datamodel.Len{Max: 256}, Refs: []string{ipInterfacePath}},
	{Name: "Type", At: func(s *dnsServer) any { return &s.origin },
		Check: datamodel.Enum{"DHCPv4", "DHCPv6", "RouterAdvertisement", "IPCP", "3GPP-NAS", "Static"}},
}

func (m *Model) dnsServer() datamodel.Object {
	return datamodel.Define("Device.DNS.Client.Server.{i}.", dnsServerParams, datamodel.Source[dnsServer]{
		Topics: []datamodel.Topic{ResolverChanged, LinkChanged},
		Rows: func(ctx context.Context, _ []datamodel.Key) iter.Seq2[datamodel.Row[dnsServer], error] {
			return func(yield func(datamodel.Row[dnsServer], error) bool) {
				d, err := m.readDNS(ctx)
				if err != nil {
					yield(datamodel.Row[dnsServer]{}, err)
					return
				}
				seen := map[datamodel.Key]bool{}
				for _, s := range d.Servers {
					key := s.Addr.WithZone("").String() + "%" + s.Link
					if seen[key] {
						continue
					}
					seen[key] = true
					r := dnsServer{enable: true, status: "Enabled", server: s.Addr.WithZone("").String(), iface: ipInterfaceRef(s.Link), origin: s.Type}
					if r.origin == "" {
						r.origin = "Static"
					}
					if !yield(datamodel.Row[dnsServer]{Key: key, Value: r}, nil) {
						return
					}
				}
			}
		},
	})
}
