// Device.DNS.: the system's resolver; the relay is in dns_relay.go.

package tr181

import (
	"context"
	"errors"
	"iter"
	"net/netip"
	"slices"

	"gatehouse/datamodel"
	"gatehouse/platform"
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
// somebody to ask, and cannot be switched off: without it the device would not
// find its ACS to hear otherwise.
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

// Device.DNS.Client.Server.{i}. and Device.DNS.Relay.Forwarding.{i}.: name
// servers. Those that the platform is configured with have its key and can be
// written; those that the resolver was told by the network have their address
// and link for a key.
type dnsServer struct {
	enable bool
	status string
	alias  datamodel.Alias
	server string
	iface  datamodel.Ref
	origin string
	kept   bool
}

var dnsServerParams = []datamodel.Param[dnsServer]{
	{Name: "Enable", At: func(s *dnsServer) any { return &s.enable }, Access: datamodel.ReadWrite},
	{Name: "Status", At: func(s *dnsServer) any { return &s.status }, Check: datamodel.Enum{"Disabled", "Enabled", "Error"}},
	{Name: "Alias", At: func(s *dnsServer) any { return &s.alias }, Access: datamodel.ReadWrite, Check: datamodel.Len{Max: 64}},
	{Name: "DNSServer", At: func(s *dnsServer) any { return &s.server }, Access: datamodel.ReadWrite, Check: datamodel.IPAddress{}},
	{Name: "Interface", At: func(s *dnsServer) any { return &s.iface }, Access: datamodel.ReadWrite,
		Check: datamodel.Len{Max: 256}, Refs: []string{ipInterfacePath}},
	{Name: "Type", At: func(s *dnsServer) any { return &s.origin },
		Check: datamodel.Enum{"DHCPv4", "DHCPv6", "RouterAdvertisement", "IPCP", "3GPP-NAS", "Static"}},
}

func (m *Model) dnsServer() datamodel.Object {
	return datamodel.Define("Device.DNS.Client.Server.{i}.", dnsServerParams, m.nameServers(false, ""))
}

// nameServers is the source of the servers of the relay or of the client.
func (m *Model) nameServers(relay bool, count string) datamodel.Source[dnsServer] {
	src := datamodel.Source[dnsServer]{
		Topics: []datamodel.Topic{ResolverChanged, LinkChanged, InterfaceChanged, ConfigChanged},
		Rows: func(ctx context.Context, _ []datamodel.Key) iter.Seq2[datamodel.Row[dnsServer], error] {
			return func(yield func(datamodel.Row[dnsServer], error) bool) { m.eachNameServer(ctx, relay, yield) }
		},
		Unique: [][]string{{"DNSServer"}},
		Rename: count,
	}
	if m.p.Config == nil || m.p.Forwards == nil || m.p.RelayOnly && !relay {
		src.ReadOnly = []string{"Enable", "DNSServer", "Interface"}
		return src
	}
	src.New = func(ctx context.Context, _ []datamodel.Key) (datamodel.Key, *dnsServer, error) {
		key, _, err := m.p.Forwards.Fresh(ctx)
		return key, &dnsServer{status: "Disabled", origin: "Static", kept: true}, lacking(err)
	}
	src.Check = checkNameServer
	src.Stage = func(ctx context.Context, tx *datamodel.Tx, at []datamodel.Key, c datamodel.Change[dnsServer]) error {
		switch {
		case c.Old != nil && !c.Old.kept:
			return ofTheSystem(dnsServerParams, c)
		case c.New == nil:
			return deleteRow(ctx, m, tx, m.p.Forwards, at[0])
		}
		f := platform.DNSForward{Enabled: c.New.enable, Server: addrOf(c.New.server), Interface: linkOf(c.New.iface), Relay: relay}
		if f.Interface == "" && !relay {
			var err error
			if f.Interface, err = m.upstreamInterface(ctx); err != nil {
				return err
			}
		}
		return putRow(ctx, m, tx, m.p.Forwards, at[0], f, "DNSServer")
	}
	return src
}

// upstreamInterface is where a server of the client belongs when nobody says:
// the logical interface that leads out. Links do not have servers of their own.
func (m *Model) upstreamInterface(ctx context.Context) (key string, err error) {
	if !m.logical() {
		return "", nil
	}
	t, err := m.dumpInterfaces(ctx)
	if err != nil {
		return "", err
	}
	for _, r := range t.rows[:t.own] {
		if key == "" && !r.Value.Loopback || len(t.states[r.Key].Routers) > 0 {
			key = r.Key
		}
		if len(t.states[r.Key].Routers) > 0 {
			break
		}
	}
	return key, nil
}

var errNoServer = errors.New("a name server needs an address")

func checkNameServer(c datamodel.Change[dnsServer]) error {
	if c.New == nil || !c.New.enable || !c.New.kept || addrOf(c.New.server).IsValid() {
		return nil
	}
	return &datamodel.FieldError{Name: "DNSServer", Err: errNoServer}
}

func (m *Model) eachNameServer(ctx context.Context, relay bool, yield func(datamodel.Row[dnsServer], error) bool) {
	d, err := m.readDNS(ctx)
	if err != nil {
		yield(datamodel.Row[dnsServer]{}, err)
		return
	}
	ref, err := m.ipInterfaceRefs(ctx)
	if err != nil {
		yield(datamodel.Row[dnsServer]{}, err)
		return
	}
	ours, err := m.forwards(ctx)
	if err != nil {
		yield(datamodel.Row[dnsServer]{}, err)
		return
	}
	seen := map[netip.Addr]bool{} // by a row of ours
	for _, e := range ours {
		f := e.Value
		if f.Relay != relay {
			continue
		}
		r := dnsServer{enable: f.Enabled, status: forwardStatus(f, d), iface: ipInterfaceRef(f.Interface), origin: "Static", kept: true}
		if f.Server.IsValid() {
			r.server = f.Server.WithZone("").String()
		}
		if f.Enabled {
			seen[f.Server] = true
		}
		if !yield(datamodel.Row[dnsServer]{Key: e.Key, Value: &r}, nil) {
			return
		}
	}
	met := map[datamodel.Key]bool{}
	for _, s := range d.Servers {
		addr := s.Addr.WithZone("")
		key := addr.String() + "%" + s.Link
		if met[key] || seen[addr] {
			continue
		}
		met[key] = true
		r := dnsServer{enable: true, status: "Enabled", server: addr.String(), iface: ref(s.Link, addr.Is6()), origin: s.Type}
		if r.origin == "" {
			r.origin = "Static"
		}
		if !yield(datamodel.Row[dnsServer]{Key: key, Value: &r}, nil) {
			return
		}
	}
}

// forwards are the name servers that the platform is configured with.
func (m *Model) forwards(ctx context.Context) ([]platform.Entry[platform.DNSForward], error) {
	if m.p.Config == nil || m.p.Forwards == nil {
		return nil, nil
	}
	return configured(ctx, m, "forwards", m.p.Forwards)
}

// forwardStatus says how a configured server is doing. The relay does not tell
// whom it asks; the resolver does.
func forwardStatus(f platform.DNSForward, d platform.DNS) string {
	switch {
	case !f.Enabled:
		return "Disabled"
	case !f.Server.IsValid():
		return "Error"
	case f.Relay, slices.ContainsFunc(d.Servers, func(s platform.DNSServer) bool { return s.Addr.WithZone("") == f.Server.WithZone("") }):
		return "Enabled"
	}
	return "Error"
}
