package uciconf

// Networks: the wifi-iface sections of wireless. A section is an SSID and the
// access point that points to it; here is how the two share it, and the SSID's
// part.
//
// The access point of a section is known by the section's name, or by what the
// option gh_ap says: the key of the one that was made to point here, or "-" for
// none. An access point that points nowhere is a section of type
// gh_accesspoint, whose key is told in the same way. Only what both halves want is on the air, so disabled is set
// while one of them is off, and gh_on names the other. It names both where something
// is missing that hostapd cannot start without (a passphrase): it would take the
// other networks of the radio along.

import (
	"fmt"
	"slices"
	"strings"

	"gatehouse/internal/uci"
	"gatehouse/platform"
)

const (
	wifiIface   = "wifi-iface"
	accessPoint = own + "accesspoint" // one that points nowhere
	apOption    = own + "ap"          // the key of a section's access point
	noAP        = "-"
	onOption    = own + "on" // "ssid", "ap" or both: enabled, and yet not on the air
)

// SSIDs are networks that this device offers, or joins.
func (c *Conf) SSIDs() platform.Table[platform.SSID] {
	return kind[platform.SSID]{
		pkg: "wireless", types: []string{wifiIface}, prefix: "wifi",
		shows: func(s *uci.Section) bool {
			mode := s.Get("mode")
			return mode == "" || mode == "ap" || mode == "sta"
		},
		read: readSSID, write: writeSSID,
		// The access point stays, and points nowhere.
		gone: func(e *edit, p *uci.Package, s *uci.Section) error {
			if key := apKey(&e.view, p, s); key != "" {
				e.detach(p, s, key)
			}
			e.delete(p, s)
			return nil
		},
	}.table(c)
}

// hasAP says whether a section is one that stations join.
func hasAP(s *uci.Section) bool {
	mode := s.Get("mode")
	return s.Type == wifiIface && (mode == "" || mode == "ap")
}

// apKey is the key of the access point of a section, "" when it has none.
func apKey(v *view, p *uci.Package, s *uci.Section) string {
	if s.Type != accessPoint && !hasAP(s) || s.Get(apOption) == noAP {
		return ""
	}
	if key := s.Get(apOption); key != "" {
		return key
	}
	return v.key(p, s)
}

// halves says which of the two is enabled.
func halves(s *uci.Section) (ssid, ap bool) {
	if !isSet(s, "disabled", false) {
		return true, true
	}
	on := list(s, onOption)
	return slices.Contains(on, "ssid"), slices.Contains(on, "ap")
}

func (e *edit) setHalves(s *uci.Section, ssid, ap bool) {
	if !hasAP(s) { // a station: there is no other half
		e.flag(s, "disabled", isSet(s, "disabled", false), !ssid, false)
		return
	}
	ap = ap && s.Get(apOption) != noAP
	air := ssid && ap && joinable(s)
	var on []string
	if ssid && !air {
		on = append(on, "ssid")
	}
	if ap && !air {
		on = append(on, "ap")
	}
	e.flag(s, "disabled", isSet(s, "disabled", false), !air, false)
	e.str(s, onOption, s.Get(onOption), strings.Join(on, " "))
}

func readSSID(v *view, s *uci.Section) platform.SSID {
	on, _ := halves(s)
	return platform.SSID{Enabled: on, Radio: radioKey(v, s), Name: s.Get("ssid")}
}

// radioKey is the key of the radio of a section: the option has its name, or the
// one that libuci makes up.
func radioKey(v *view, s *uci.Section) string {
	p := v.beside("wireless")
	if r := p.Section(first(s, "device")); r != nil {
		return v.key(p, r)
	}
	return first(s, "device")
}

func writeSSID(e *edit, p *uci.Package, s *uci.Section, old, row *platform.SSID) error {
	if e.isNew(s) { // a new one, with nobody to serve it yet
		e.set(s, "mode", "ap")
		e.set(s, apOption, noAP)
		old.Enabled = false
		e.setHalves(s, false, false)
	}
	if old.Radio != row.Radio {
		if r := p.Section(row.Radio); row.Radio != "" && (r == nil || r.Type != "wifi-device") {
			return fmt.Errorf("there is no radio %q", row.Radio)
		}
		e.set(s, "device", row.Radio)
	}
	if old.Name != row.Name {
		if len(row.Name) > 32 {
			return fmt.Errorf("network name of %d bytes: 32 are the most", len(row.Name))
		}
		e.set(s, "ssid", row.Name)
	}
	if old.Enabled != row.Enabled || (old.Name == "") != (row.Name == "") {
		_, ap := halves(s)
		e.setHalves(s, row.Enabled, ap)
	}
	return nil
}
