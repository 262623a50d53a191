// Device.Hosts.: the hosts of the local network and their addresses.

package tr181

import (
	"context"
	"iter"
	"slices"
	"strings"

	"gatehouse/datamodel"
	"gatehouse/platform"
)

// Device.Hosts.Host.{i}.: the hosts of the local network, one per MAC address,
// from the neighbour table and the leases. What is upstream of us is the
// provider's and no host of ours.
type host struct {
	physAddress   string
	ipAddress     string
	dhcpClient    []datamodel.Ref
	associated    datamodel.Ref
	layer1        datamodel.Ref
	layer3        datamodel.Ref
	interfaceType string
	hostName      string
	active        bool

	addrs []string // of both families, as the table has them
}

var hostParams = []datamodel.Param[host]{
	{Name: "PhysAddress", At: func(h *host) any { return &h.physAddress }, Check: datamodel.Len{Max: 64}},
	{Name: "IPAddress", At: func(h *host) any { return &h.ipAddress }, Check: datamodel.IPAddress{}},
	{Name: "DHCPClient", At: func(h *host) any { return &h.dhcpClient }, Check: datamodel.List{MaxItems: 2}, Refs: []string{leaseClientPath}},
	{Name: "AssociatedDevice", At: func(h *host) any { return &h.associated }, Check: datamodel.Len{Max: 256}, Refs: []string{wifiStationPath}},
	{Name: "Layer1Interface", At: func(h *host) any { return &h.layer1 }, Check: datamodel.Len{Max: 256}},
	{Name: "Layer3Interface", At: func(h *host) any { return &h.layer3 }, Check: datamodel.Len{Max: 256}, Refs: []string{ipInterfacePath}},
	{Name: "InterfaceType", At: func(h *host) any { return &h.interfaceType },
		Check: datamodel.Enum{"Ethernet", "G.hn", "HPNA", "HomePlug", "MoCA", "UPA", "Wi-Fi", "Other"}},
	{Name: "HostName", At: func(h *host) any { return &h.hostName }, Check: datamodel.Len{Max: 64}},
	{Name: "Active", At: func(h *host) any { return &h.active }},
}

const hostPath = "Device.Hosts.Host.{i}."

func (m *Model) host() datamodel.Object {
	var without []string
	if !m.hasWiFi() {
		without = append(without, "AssociatedDevice")
	}
	if !m.hasLeases() {
		without = append(without, "DHCPClient")
	}
	return datamodel.Define(hostPath, hostParams, datamodel.Source[host]{
		Volatile: true,
		Topics:   []datamodel.Topic{NeighborChanged, LinkChanged, StationChanged, LeaseChanged},
		Without:  without,
		Rows: func(ctx context.Context, _ []datamodel.Key) iter.Seq2[datamodel.Row[host], error] {
			return func(yield func(datamodel.Row[host], error) bool) {
				all, err := m.hostTable(ctx)
				if err != nil {
					yield(datamodel.Row[host]{}, err)
					return
				}
				for _, mac := range all.order {
					if !yield(datamodel.Row[host]{Key: mac, Value: all.by[mac]}, nil) {
						return
					}
				}
			}
		},
	})
}

// hasLeases says whether we know the leases of a server that we show.
func (m *Model) hasLeases() bool { return m.servesDHCP() && m.p.DHCP.Leases != nil }

// Device.Hosts.Host.{i}.IPv4Address.{i}. and IPv6Address.{i}.
type hostAddress struct{ address string }

var hostIPv4Params = []datamodel.Param[hostAddress]{
	{Name: "IPAddress", At: func(h *hostAddress) any { return &h.address }, Check: datamodel.IPv4Address{}},
}

var hostIPv6Params = []datamodel.Param[hostAddress]{
	{Name: "IPAddress", At: func(h *hostAddress) any { return &h.address }, Check: datamodel.IPv6Address{}},
}

func (m *Model) hostIPv4() datamodel.Object {
	return m.hostAddresses(hostPath+"IPv4Address.{i}.", hostIPv4Params, func(a string) bool { return !strings.Contains(a, ":") })
}

func (m *Model) hostIPv6() datamodel.Object {
	return m.hostAddresses(hostPath+"IPv6Address.{i}.", hostIPv6Params, func(a string) bool { return strings.Contains(a, ":") })
}

func (m *Model) hostAddresses(path string, params []datamodel.Param[hostAddress], family func(string) bool) datamodel.Object {
	return datamodel.Define(path, params, datamodel.Source[hostAddress]{
		Volatile: true,
		Topics:   []datamodel.Topic{NeighborChanged},
		Rows: func(ctx context.Context, parent []datamodel.Key) iter.Seq2[datamodel.Row[hostAddress], error] {
			return func(yield func(datamodel.Row[hostAddress], error) bool) {
				all, err := m.hostTable(ctx)
				if err != nil {
					yield(datamodel.Row[hostAddress]{}, err)
					return
				}
				h := all.by[parent[0]]
				if h == nil {
					return
				}
				for _, a := range h.addrs {
					if family(a) && !yield(datamodel.Row[hostAddress]{Key: a, Value: &hostAddress{a}}, nil) {
						return
					}
				}
			}
		},
	})
}

// A hostList is the neighbours by MAC address, in the order they were met.
type hostList struct {
	order []string
	by    map[string]*host
}

// hostTable makes hosts of the neighbours, once per request.
func (m *Model) hostTable(ctx context.Context) (*hostList, error) {
	return datamodel.Once(ctx, dumpKey{m, "hosts"},
		func(l *hostList) int { return len(l.order) * 512 },
		func(ctx context.Context) (*hostList, error) {
			links, err := m.dumpLinks(ctx)
			if err != nil {
				return nil, err
			}
			ref, err := m.ipInterfaceRefs(ctx)
			if err != nil {
				return nil, err
			}
			list := &hostList{by: map[string]*host{}}
			for n, err := range m.p.Neighbors.Neighbors(ctx) {
				if err != nil {
					return nil, lacking(err)
				}
				list.add(n, links, ref)
			}
			for mac, at := range m.wifiStations(ctx) {
				if h := list.by[mac]; h != nil {
					h.associated, h.layer1, h.interfaceType = at.station(mac), wifiRef(wifiRadioPath, at.radio), "Wi-Fi"
				}
			}
			return list, m.addLeases(ctx, list)
		})
}

func (t *hostList) add(n platform.Neighbor, links *linkTable, ref interfaceRef) {
	l, ok := links.get(n.Link)
	if n.MAC == "" || ok && l.Upstream || l.Kind == platform.LinkLoopback {
		return
	}
	mac := upMAC(n.MAC)
	h := t.by[mac]
	if h == nil {
		h = &host{physAddress: mac, interfaceType: "Other"}
		if ok {
			h.layer1, h.interfaceType = underHost(l)
			h.layer3 = ref(l.Name, n.Addr.Is6())
		}
		t.by[mac] = h
		t.order = append(t.order, mac)
	}
	h.active = h.active || n.Active
	if h.hostName == "" {
		h.hostName = limit(n.Hostname, 64)
	}
	a := n.Addr.WithZone("").String()
	if !n.Addr.IsValid() || slices.Contains(h.addrs, a) {
		return
	}
	h.addrs = append(h.addrs, a)
	if h.ipAddress == "" || n.Addr.Is4() && strings.Contains(h.ipAddress, ":") {
		h.ipAddress = a
	}
}

// addLeases says of the hosts which leases they have, and how those call
// themselves of which the neighbour table tells no name.
func (m *Model) addLeases(ctx context.Context, list *hostList) error {
	if !m.hasLeases() {
		return nil
	}
	t, err := m.leases(ctx)
	if err != nil {
		return err
	}
	for mac, h := range list.by {
		client, leases := t.clientOf(mac)
		if leases == nil {
			continue
		}
		h.dhcpClient = []datamodel.Ref{client}
		if h.hostName == "" {
			h.hostName = limit(leases[0].Name, 64)
		}
	}
	return nil
}

// underHost says by which interface a host on l is reached. Behind a bridge
// it is not known by which port, unless a radio knows it.
func underHost(l platform.Link) (layer1 datamodel.Ref, kind string) {
	switch l.Kind {
	case platform.LinkEthernet:
		layer1, kind = ethernetInterfaceRef(l.Name), "Ethernet"
	case platform.LinkWiFi:
		kind = "Wi-Fi"
	default:
		kind = "Other"
	}
	return layer1, kind
}
