package linuxconf

// hostapd's configuration file (hostapd.conf of its documentation). It is read
// line by line, and knows no quoting: whatever is in a value up to the end of
// the line belongs to it. So a value with a control character is refused, and a
// network's name, which is octets, is written in hexadecimal digits.

import (
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"gatehouse/platform"
)

// A wlan is an SSID with its access point, as one radio is to offer it.
type wlan struct {
	key    string // of its SSID
	link   string // its network interface
	bssid  string // "": that of the radio
	bridge string // that its stations join; "": none
	accept string // path of the file with the only stations that may join; "": all may
	ssid   platform.SSID
	ap     platform.AccessPoint
}

// lines writes a file. The first value that cannot be written ends it.
type lines struct {
	text []byte
	err  error
}

// longestLine is less than hostapd reads at once: it takes the rest of a longer line
// for the next one.
const longestLine = 4000

// set writes a line. No message has the value: it may be a secret.
func (l *lines) set(name, value string) {
	if l.err == nil && len(name)+len(value) > longestLine {
		l.err = fmt.Errorf("%s: %d bytes are more than hostapd takes in a line", name, len(value))
	}
	if l.err == nil && strings.ContainsFunc(value, func(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f }) {
		l.err = fmt.Errorf("%s: a control character has no place in hostapd's configuration", name)
	}
	l.text = append(append(append(append(l.text, name...), '='), value...), '\n')
}

func (l *lines) num(name string, n int) { l.set(name, strconv.Itoa(n)) }

// flag writes a switch that hostapd has off when nobody says.
func (l *lines) flag(name string, on bool) {
	if on {
		l.set(name, "1")
	}
}

// render makes the file of a radio that offers at least one network.
func (c *cell) render(run string) ([]byte, error) {
	l := &lines{text: []byte(hostapdHeading)}
	l.set("interface", c.link)
	l.set("driver", "nl80211")
	if err := c.air(l); err != nil {
		return nil, err
	}
	for i, n := range c.nets {
		if i > 0 {
			l.set("bss", n.link)
			l.set("bssid", n.bssid)
		}
		l.set("ctrl_interface", run)
		n.render(l, c)
	}
	return l.text, l.err
}

// render writes one network.
func (n *wlan) render(l *lines, c *cell) {
	if n.bridge != "" {
		l.set("bridge", n.bridge)
	}
	l.set("ssid2", hex.EncodeToString([]byte(n.ssid.Name)))
	l.flag("utf8_ssid", utf8.ValidString(n.ssid.Name))
	l.flag("ignore_broadcast_ssid", !n.ap.Advertised)
	l.flag("ap_isolate", n.ap.Isolated)
	l.num("wmm_enabled", count(n.ap.WMM))
	l.flag("uapsd_advertisement_enabled", n.ap.WMM && n.ap.UAPSD && c.radio.UAPSD)
	if n.ap.MaxDevices > 0 {
		l.num("max_num_sta", int(n.ap.MaxDevices))
	}
	if c.conf.DTIMPeriod > 0 {
		l.num("dtim_period", int(c.conf.DTIMPeriod))
	}
	if n.accept != "" {
		l.set("macaddr_acl", "1")
		l.set("accept_mac_file", n.accept)
	}
	n.security(l, c)
}

func count(on bool) int {
	if on {
		return 1
	}
	return 0
}

// A suite is what hostapd is told for a mode: versions (1 WPA, 2 RSN), how a
// station proves itself, also where management frames are protected, and the
// least protection.
type suite struct {
	wpa          int
	keys, sha256 string
	mfp          int
}

var suites = map[string]suite{
	"WPA-Personal":             {1, "WPA-PSK", "", 0},
	"WPA2-Personal":            {2, "WPA-PSK", "WPA-PSK-SHA256", 0},
	"WPA-WPA2-Personal":        {3, "WPA-PSK", "WPA-PSK-SHA256", 0},
	"WPA3-Personal":            {2, "SAE", "", 2},
	"WPA3-Personal-Transition": {2, "WPA-PSK SAE", "WPA-PSK-SHA256", 1},
	"WPA-Enterprise":           {1, "WPA-EAP", "", 0},
	"WPA2-Enterprise":          {2, "WPA-EAP", "WPA-EAP-SHA256", 0},
	"WPA-WPA2-Enterprise":      {3, "WPA-EAP", "WPA-EAP-SHA256", 0},
	"WPA3-Enterprise":          {2, "WPA-EAP-SHA256", "", 1},
	"OWE":                      {2, "OWE", "", 2},
}

// protection are the words of ieee80211w.
var protection = map[string]int{"Disabled": 0, "Optional": 1, "Required": 2}

// security writes how stations prove themselves.
func (n *wlan) security(l *lines, c *cell) {
	l.set("auth_algs", "1") // open system; no shared key of WEP
	s := &n.ap.Security
	if s.Mode == "None" {
		return
	}
	x := suites[s.Mode]
	mfp := max(x.mfp, protection[s.MFP])
	if c.conf.Band == "6GHz" {
		mfp = 2 // IEEE 802.11ax-2021, 12.12.2
	}
	keys := x.keys
	if mfp > 0 && x.wpa != 1 && x.sha256 != "" {
		keys += " " + x.sha256
	}
	l.num("wpa", x.wpa)
	l.set("wpa_key_mgmt", keys)
	if x.wpa != 2 {
		l.set("wpa_pairwise", "TKIP")
	}
	if x.wpa != 1 {
		l.set("rsn_pairwise", "CCMP")
		l.num("ieee80211w", mfp)
	}
	if s.Rekey > 0 {
		l.num("wpa_group_rekey", int(s.Rekey/time.Second))
	}
	switch {
	case strings.HasSuffix(s.Mode, "-Enterprise"):
		l.set("ieee8021x", "1")
		l.set("nas_identifier", strings.TrimPrefix(c.radio.key, radioPrefix)+"-"+n.link)
		l.set("auth_server_addr", s.RadiusServer.String())
		l.num("auth_server_port", int(s.RadiusPort))
		l.set("auth_server_shared_secret", s.RadiusSecret)
	case strings.Contains(x.keys, "SAE"):
		// Hash to element, and the older way beside it; on 6 GHz there is none
		// (WPA3 specification v3.1, 2.4).
		l.set("sae_pwe", map[bool]string{true: "1", false: "2"}[c.conf.Band == "6GHz"])
		l.flag("sae_require_mfp", mfp > 0)
	}
	n.personal(l, x)
}

// personal writes the secret that all stations share, and WPS, which tells it.
func (n *wlan) personal(l *lines, x suite) {
	s := &n.ap.Security
	psk := strings.Contains(x.keys, "PSK")
	switch pass := passphrase(s); {
	case !psk && !strings.Contains(x.keys, "SAE"):
		return
	case pass != "":
		// SAE takes it as well. sae_password would not do: what follows "|mac="
		// in one is something else.
		l.set("wpa_passphrase", pass)
	default:
		l.set("wpa_psk", hex.EncodeToString(s.PSK))
	}
	if n.ap.WPS && psk && x.wpa != 1 && n.ap.Advertised {
		l.set("eap_server", "1")
		l.set("wps_state", "2")
		l.set("wps_independent", "1")
		l.set("ap_setup_locked", "1")
		l.set("config_methods", "push_button")
	}
}

// passphrase is the one that counts in the mode.
func passphrase(s *platform.WiFiSecurity) string {
	if s.Mode == "WPA3-Personal" && s.SAE != "" {
		return s.SAE
	}
	return s.Passphrase
}

// longestSecret is of RADIUS, in bytes; RFC 2865 §3 wants 16 at least and names no
// bound. With its name it fits a line.
const longestSecret = 1024

// What keeps a network off the air, although it is on.
var (
	errNameless  = errors.New("it has no name")
	errNoSecret  = errors.New("its mode needs a passphrase of 8 to 63 characters, or a key where it is not WPA3")
	errNoServer  = errors.New("its mode needs a RADIUS server, and a secret of it")
	errSecret    = errors.New("its RADIUS secret is longer than hostapd takes")
	errNoHostapd = errors.New("hostapd does not have its mode")
	errOld6GHz   = errors.New("on 6 GHz there is WPA3 and OWE only")
)

// lacks says why hostapd could not offer the network; nil: it can. One such would
// take the others of its radio along, so it is left out.
func (n *wlan) lacks(band string) error {
	s := &n.ap.Security
	x, known := suites[s.Mode]
	pass := passphrase(s)
	switch {
	case n.ssid.Name == "":
		return errNameless
	case band == "6GHz" && (!known || x.mfp == 0):
		return errOld6GHz
	case s.Mode == "None":
		return nil
	case !known: // WEP
		return errNoHostapd
	case strings.HasSuffix(s.Mode, "-Enterprise"):
		if !s.RadiusServer.IsValid() || s.RadiusServer.IsUnspecified() || s.RadiusServer.Zone() != "" || s.RadiusSecret == "" {
			return errNoServer
		}
		if len(s.RadiusSecret) > longestSecret {
			return errSecret
		}
	case strings.HasSuffix(s.Mode, "-Personal"), strings.HasSuffix(s.Mode, "-Transition"):
		if (len(pass) < 8 || len(pass) > 63) && (pass != "" || len(s.PSK) != 32 || strings.Contains(x.keys, "SAE")) {
			return errNoSecret
		}
	}
	return nil
}
