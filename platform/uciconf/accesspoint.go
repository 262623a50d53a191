package uciconf

// Access points: the half of a wifi-iface section that says how stations join.

import (
	"fmt"
	"slices"
	"strings"

	"gatehouse/internal/uci"
	"gatehouse/platform"
)

// AccessPoints are the ways to join networks.
func (c *Conf) AccessPoints() platform.Table[platform.AccessPoint] {
	return kind[platform.AccessPoint]{
		pkg: "wireless", types: []string{accessPoint, wifiIface}, prefix: "ap",
		blank: platform.AccessPoint{Advertised: true, WMM: true, WPSMethods: []string{"PushButton"}, Security: platform.WiFiSecurity{Mode: "None", MFP: "Disabled", RadiusPort: 1812}},
		shows: func(s *uci.Section) bool { return s.Type == accessPoint || hasAP(s) && s.Get(apOption) != noAP },
		key: func(v *view, p *uci.Package, s *uci.Section) string {
			return apKey(v, p, s)
		},
		read: readAP, write: writeAP,
		// The network stays, and is off the air.
		gone: func(e *edit, p *uci.Package, s *uci.Section) error {
			if s.Type == accessPoint {
				e.delete(p, s)
				return nil
			}
			on, _ := halves(s)
			e.moveAP(s, nil)
			e.set(s, apOption, noAP)
			e.setHalves(s, on, false)
			return nil
		},
	}.table(c)
}

// apOptions are the options of the access point's half.
var apOptions = slices.Concat([]string{
	"network", "hidden", "isolate", "wmm", "uapsd", "maxassoc", "macfilter", "maclist",
	"wps_pushbutton", "wps_label", own + "wps", autoNetwork,
}, securityOptions)

// maxAssoc is the most that hostapd takes (IEEE 802.11 has that many association
// IDs). A larger number is an error to it, and it starts none of the radio's
// networks.
const maxAssoc = 2007

// autoNetwork is the network that stations join because nobody said which.
const autoNetwork = own + "auto_network"

func readAP(v *view, s *uci.Section) platform.AccessPoint {
	r := platform.AccessPoint{
		Advertised: !isSet(s, "hidden", false),
		Isolated:   isSet(s, "isolate", false),
		WMM:        isSet(s, "wmm", true),
		UAPSD:      isSet(s, "uapsd", false),
		MaxDevices: number(s, "maxassoc"),
		MACFilter:  s.Get("macfilter") == "allow",
		Network:    first(s, "network"),
		Security:   readSecurity(s),
	}
	if r.Network == s.Get(autoNetwork) {
		r.Network = ""
	}
	if s.Get("macfilter") != "deny" { // then the list says who may not
		r.AllowedMAC = list(s, "maclist")
	}
	r.WPS, r.WPSMethods = readWPS(s)
	if s.Type == accessPoint {
		r.Enabled = isSet(s, "enabled", false)
		return r
	}
	_, r.Enabled = halves(s)
	r.SSID = v.key(v.beside("wireless"), s)
	return r
}

func writeAP(e *edit, p *uci.Package, s *uci.Section, old, r *platform.AccessPoint) error {
	if old.SSID != r.SSID {
		var err error
		if s, err = e.point(p, s, old, r.SSID); err != nil {
			return err
		}
	}
	e.flag(s, "hidden", !old.Advertised, !r.Advertised, false)
	e.flag(s, "isolate", old.Isolated, r.Isolated, false)
	e.flag(s, "wmm", old.WMM, r.WMM, true)
	e.flag(s, "uapsd", old.UAPSD, r.UAPSD, false)
	if old.MaxDevices != r.MaxDevices && r.MaxDevices > maxAssoc {
		return fmt.Errorf("%d stations: %d are the most", r.MaxDevices, maxAssoc)
	}
	e.num(s, "maxassoc", old.MaxDevices, r.MaxDevices)
	if old.MACFilter != r.MACFilter {
		e.set(s, "macfilter", "")
		if r.MACFilter {
			e.set(s, "macfilter", "allow")
		}
	}
	if !slices.Equal(old.AllowedMAC, r.AllowedMAC) {
		if s.Get("macfilter") == "deny" {
			return fmt.Errorf("the list of MAC addresses says who may not join: %w", platform.ErrUnsupported)
		}
		for _, mac := range r.AllowedMAC {
			if !isMAC(mac) {
				return fmt.Errorf("MAC address %q", mac)
			}
		}
		e.list(s, "maclist", old.AllowedMAC, r.AllowedMAC)
	}
	if old.Network != r.Network {
		if r.Network != "" && !uci.ValidName(r.Network) {
			return fmt.Errorf("interface %q", r.Network)
		}
		e.set(s, autoNetwork, "")
		e.set(s, "network", r.Network)
	}
	e.writeWPS(s, old, r)
	changed, err := e.writeSecurity(s, &old.Security, &r.Security)
	if err != nil {
		return err
	}
	if s.Type == accessPoint {
		e.flag(s, "enabled", isSet(s, "enabled", false), r.Enabled, false)
		return nil
	}
	if s.Get("network") == "" && (old.SSID != r.SSID || old.Network != r.Network) { // stations have to join something
		e.set(s, "network", "lan")
		e.set(s, autoNetwork, "lan")
	}
	ssid, ap := halves(s)
	if ap != r.Enabled || changed {
		e.setHalves(s, ssid, r.Enabled)
	}
	return nil
}

// point moves an access point to the section of another network, or to one of
// its own when it is to point nowhere, and returns where it is then.
func (e *edit) point(p *uci.Package, s *uci.Section, old *platform.AccessPoint, ssid string) (*uci.Section, error) {
	key := apKey(&e.view, p, s)
	if ssid == "" {
		return e.detach(p, s, key), nil
	}
	target := p.Section(ssid)
	if target == nil || !hasAP(target) {
		return nil, notYet{fmt.Errorf("there is no network %q to offer", ssid)}
	}
	if other := apKey(&e.view, p, target); other != "" {
		return nil, notYet{fmt.Errorf("network %q has an access point already, %q", ssid, other)}
	}
	on, _ := halves(target)
	e.moveAP(s, target)
	if s.Type == accessPoint {
		e.delete(p, s)
	} else {
		left, _ := halves(s)
		e.set(s, apOption, noAP)
		e.setHalves(s, left, false)
	}
	mark := key
	if key == target.Name {
		mark = ""
	}
	e.set(target, apOption, mark)
	e.setHalves(target, on, old.Enabled)
	return target, nil
}

// detach makes the access point of a network one that points nowhere.
func (e *edit) detach(p *uci.Package, s *uci.Section, key string) *uci.Section {
	ssid, ap := halves(s)
	name := key
	for p.Section(name) != nil { // the network keeps its name
		name += "_ap"
	}
	free := e.add(p, accessPoint, name)
	if name != key {
		e.set(free, apOption, key)
	}
	e.moveAP(s, free)
	e.flag(free, "enabled", false, ap, false)
	e.set(s, apOption, noAP)
	e.setHalves(s, ssid, false)
	return free
}

// moveAP moves the access point's half of a section; to nil: it is dropped.
func (e *edit) moveAP(from, to *uci.Section) {
	for _, name := range apOptions {
		o := from.Option(name)
		if to != nil {
			switch {
			case o == nil:
				e.str(to, name, to.Get(name), "")
			case o.List:
				e.setList(to, name, o.Values)
			default:
				e.set(to, name, o.Value())
			}
		}
		if o != nil {
			e.set(from, name, "")
		}
	}
}

func readWPS(s *uci.Section) (on bool, methods []string) {
	if isSet(s, "wps_pushbutton", false) {
		methods = append(methods, "PushButton")
	}
	if isSet(s, "wps_label", false) {
		methods = append(methods, "Label")
	}
	if len(methods) > 0 {
		return true, methods
	}
	if kept := list(s, own+"wps"); len(kept) > 0 {
		return false, kept
	}
	return false, []string{"PushButton"}
}

func (e *edit) writeWPS(s *uci.Section, old, r *platform.AccessPoint) {
	if old.WPS == r.WPS && slices.Equal(old.WPSMethods, r.WPSMethods) {
		return
	}
	for _, m := range r.WPSMethods {
		if m != "PushButton" && m != "Label" {
			e.fail(fmt.Errorf("WPS method %s: %w", m, platform.ErrUnsupported))
		}
	}
	if r.WPS && len(r.WPSMethods) == 0 {
		e.fail(fmt.Errorf("WPS needs a method"))
	}
	push, label := slices.Contains(r.WPSMethods, "PushButton"), slices.Contains(r.WPSMethods, "Label")
	e.flag(s, "wps_pushbutton", isSet(s, "wps_pushbutton", false), r.WPS && push, false)
	e.flag(s, "wps_label", isSet(s, "wps_label", false), r.WPS && label, false)
	kept := ""
	if !r.WPS && !slices.Equal(r.WPSMethods, []string{"PushButton"}) {
		kept = strings.Join(r.WPSMethods, " ")
	}
	e.str(s, own+"wps", s.Get(own+"wps"), kept)
}
