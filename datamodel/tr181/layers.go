// The interface stack (TR-181 §4.2): which objects stand for a link of the
// system, and what each stands on. Objects give their LowerLayers from here,
// InterfaceStack gives all of them as pairs; so the two cannot disagree.

package tr181

import (
	"gatehouse/datamodel"
	"gatehouse/platform"
)

// Tables of interface objects. The key of a row is the name of its link; that
// of a bridge port is preceded by the name of its bridge.
const (
	ethernetInterfacePath = "Device.Ethernet.Interface.{i}."
	ethernetLinkPath      = "Device.Ethernet.Link.{i}."
	vlanTerminationPath   = "Device.Ethernet.VLANTermination.{i}."
	bridgePath            = "Device.Bridging.Bridge.{i}."
	bridgePortPath        = "Device.Bridging.Bridge.{i}.Port.{i}."
	ipInterfacePath       = "Device.IP.Interface.{i}."
)

// hasEthernetInterface: a physical port.
func hasEthernetInterface(l platform.Link) bool { return l.Kind == platform.LinkEthernet }

// hasEthernetLink: something that carries Ethernet frames for the layer
// above. A port of a bridge does not; its bridge does.
func hasEthernetLink(l platform.Link) bool {
	switch l.Kind {
	case platform.LinkEthernet, platform.LinkBridge, platform.LinkWiFi:
		return l.Master == ""
	}
	return false
}

// hasVLANTermination: a VLAN that ends in this device.
func hasVLANTermination(l platform.Link) bool {
	return l.Kind == platform.LinkVLAN && l.Master == ""
}

// hasIPInterface: whatever can have addresses.
func hasIPInterface(l platform.Link) bool { return l.Master == "" }

func ethernetInterfaceRef(link string) datamodel.Ref {
	return datamodel.Ref{Table: ethernetInterfacePath, At: []datamodel.Key{link}}
}

func ethernetLinkRef(link string) datamodel.Ref {
	return datamodel.Ref{Table: ethernetLinkPath, At: []datamodel.Key{link}}
}

func bridgePortRef(bridge, port string) datamodel.Ref {
	return datamodel.Ref{Table: bridgePortPath, At: []datamodel.Key{bridge, port}}
}

// ipInterfaceRef refers to an IP interface by its key, as configuration does;
// who has a link goes by [Model.ipInterfaceRefs].
func ipInterfaceRef(key string) datamodel.Ref {
	if key == "" {
		return datamodel.Ref{}
	}
	return datamodel.Ref{Table: ipInterfacePath, At: []datamodel.Key{key}}
}

// underIPInterface is what the IP interface of l stands on: a VLAN
// termination, an Ethernet link, or nothing that has an object.
func underIPInterface(l platform.Link) []datamodel.Ref {
	switch {
	case hasVLANTermination(l):
		return []datamodel.Ref{{Table: vlanTerminationPath, At: []datamodel.Key{l.Name}}}
	case hasEthernetLink(l):
		return []datamodel.Ref{ethernetLinkRef(l.Name)}
	}
	return nil
}

// underVLANTermination is the Ethernet link that the VLAN stands on; when its
// parent is a VLAN itself, that one.
func underVLANTermination(l platform.Link, t *linkTable) []datamodel.Ref {
	parent, ok := t.get(l.Parent)
	switch {
	case ok && hasVLANTermination(parent):
		return []datamodel.Ref{{Table: vlanTerminationPath, At: []datamodel.Key{parent.Name}}}
	case ok && hasEthernetLink(parent):
		return []datamodel.Ref{ethernetLinkRef(parent.Name)}
	}
	return nil
}

// underEthernetLink is the port itself, the network that the radio sends, or
// the management port of the bridge.
func underEthernetLink(l platform.Link, t *linkTable) []datamodel.Ref {
	switch l.Kind {
	case platform.LinkWiFi:
		return t.underWiFi(l)
	case platform.LinkEthernet:
		return []datamodel.Ref{ethernetInterfaceRef(l.Name)}
	case platform.LinkBridge:
		return []datamodel.Ref{bridgePortRef(l.Name, l.Name)}
	}
	return nil
}

// underBridgePort is, for the management port, all other ports of the bridge,
// and for the others the interface that is the port.
func underBridgePort(l platform.Link, t *linkTable) []datamodel.Ref {
	if l.Kind == platform.LinkBridge {
		var refs []datamodel.Ref
		for i := range t.all {
			if t.all[i].Master == l.Name {
				refs = append(refs, bridgePortRef(l.Name, t.all[i].Name))
			}
		}
		return refs
	}
	switch l.Kind {
	case platform.LinkEthernet:
		return []datamodel.Ref{ethernetInterfaceRef(l.Name)}
	case platform.LinkWiFi:
		return t.underWiFi(l)
	}
	return nil
}

// underWiFi is the SSID that has the link for its interface.
func (t *linkTable) underWiFi(l platform.Link) []datamodel.Ref {
	if ssid, ok := t.wifi()[l.Name]; ok {
		return []datamodel.Ref{wifiRef(wifiSSIDPath, ssid)}
	}
	return nil
}

// layers calls f for every interface object that is a link, and for the
// logical interfaces in ip (nil where links are the IP interfaces), highest
// layer first, with what it stands on; it returns false when f did.
func (t *linkTable) layers(ip *interfaceTable, f func(higher datamodel.Ref, lower []datamodel.Ref) bool) bool {
	ref := func(table string, at ...datamodel.Key) datamodel.Ref { return datamodel.Ref{Table: table, At: at} }
	for i := 0; ip != nil && i < len(ip.rows); i++ {
		if key := ip.rows[i].Key; !f(ipInterfaceRef(key), ip.under(key, t)) {
			return false
		}
	}
	for i := range t.all {
		l := t.all[i]
		more := (ip != nil || !hasIPInterface(l) || f(ipInterfaceRef(l.Name), underIPInterface(l))) &&
			(!hasVLANTermination(l) || f(ref(vlanTerminationPath, l.Name), underVLANTermination(l, t))) &&
			(!hasEthernetLink(l) || f(ethernetLinkRef(l.Name), underEthernetLink(l, t))) &&
			(l.Kind != platform.LinkBridge || f(bridgePortRef(l.Name, l.Name), underBridgePort(l, t))) &&
			(l.Master == "" || f(bridgePortRef(l.Master, l.Name), underBridgePort(l, t)))
		if !more {
			return false
		}
	}
	return true
}
