package uciconf

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"gatehouse/platform"
)

// Each field of a radio comes back as it was written, and what it was before
// comes back, too.
func TestRadioFields(t *testing.T) {
	type radio = platform.Radio
	for _, f := range []struct {
		name string
		edit func(*radio)
		want string // in the file
	}{
		{"Enabled", func(r *radio) { r.Enabled = true }, ""},
		{"Channel", func(r *radio) { r.Channel = 44 }, "option channel '44'"},
		{"Channel automatic", func(r *radio) { r.Channel = 0 }, "option channel 'auto'"},
		{"Standards be", func(r *radio) { r.Standards = "a,n,ac,ax,be" }, "option htmode 'EHT80'"},
		{"Standards without a", func(r *radio) { r.Standards = "n,ac,ax" }, "option require_mode 'n'"},
		{"Standards ac", func(r *radio) { r.Standards = "a,n,ac" }, "option htmode 'VHT80'"},
		{"Standards a", func(r *radio) { r.Standards, r.Width = "a", "20MHz" }, "option htmode 'NOHT'"},
		{"Width", func(r *radio) { r.Width = "160MHz" }, "option htmode 'HE160'"},
		{"Width automatic", func(r *radio) { r.Width = "Auto" }, "option gh_auto_width 'HE80'"},
		{"Width 320", func(r *radio) { r.Standards, r.Width = "a,n,ac,ax,be", "320MHz-1" }, "option htmode 'EHT320'"},
		{"Extension", func(r *radio) { r.Standards, r.Width, r.Extension = "a,n", "40MHz", "BelowControlChannel" }, "option htmode 'HT40-'"},
		{"Guard", func(r *radio) { r.Guard = "800nsec" }, "option short_gi_40 '0'"},
		{"TxPower", func(r *radio) { r.TxPower = 50 }, "option txpower '17'"},
		{"Country", func(r *radio) { r.Country = "DE" }, "option country 'DE'"},
		{"DFS", func(r *radio) { r.DFS = false }, "option doth '0'"},
		{"BeaconEvery", func(r *radio) { r.BeaconEvery = 200 }, "option beacon_int '200'"},
		{"DTIMPeriod", func(r *radio) { r.DTIMPeriod = 3 }, "option dtim_period '3'"},
		{"Band", func(r *radio) { r.Band, r.Standards, r.Width, r.Channel = "2.4GHz", "g,n,ax", "20MHz", 6 }, "option band '2g'"},
	} {
		t.Run(f.name, func(t *testing.T) {
			c := vanilla(t)
			before, text := row(t, c.Radios(), "radio1"), text1(t, c, "wireless")
			change(t, c, c.Radios(), "radio1", f.edit)
			after := text1(t, c, "wireless")
			if !strings.Contains(after, f.want) || after == text {
				t.Errorf("no %s in\n%s", f.want, after)
			}
			if a, b, _ := strings.Cut(after, "config wifi-device 'radio1'"); !strings.HasPrefix(text, a) {
				t.Errorf("the other radio changed: %s%s", a, b)
			}
			change(t, c, c.Radios(), "radio1", func(r *radio) { *r = before })
		})
	}
}

func TestRadioRefusals(t *testing.T) {
	type radio = platform.Radio
	c := vanilla(t)
	for _, f := range []func(*radio){
		func(r *radio) { r.Standards = "a,ax" },
		func(r *radio) { r.Standards = "be" },
		func(r *radio) { r.Standards = "x" },
		func(r *radio) { r.Standards = "" },
		func(r *radio) { r.Standards = "a" }, // 80 MHz stays
		func(r *radio) { r.Width = "320MHz-1" },
		func(r *radio) { r.Width = "80+80MHz" },
		func(r *radio) { r.Extension = "AboveControlChannel" },
		func(r *radio) { r.Guard = "400nsec" },
		func(r *radio) { r.MCS = 7 },
		func(r *radio) { r.Band = "60GHz" },
	} {
		if err := refused(t, c, c.Radios(), "radio1", f); !errors.Is(err, platform.ErrUnsupported) {
			t.Errorf("%v", err)
		}
	}
	if _, _, err := c.Radios().Fresh(t.Context()); !errors.Is(err, platform.ErrUnsupported) {
		t.Errorf("%v", err)
	}
	if _, err := do(t, c, func(b platform.ConfigBatch) { c.Radios().Delete(b, "radio1") }); !errors.Is(err, platform.ErrUnsupported) {
		t.Errorf("%v", err)
	}
	if _, err := do(t, c, func(b platform.ConfigBatch) { c.Radios().Put(b, "radio7", platform.Radio{}) }); !errors.Is(err, platform.ErrGone) {
		t.Errorf("%v", err)
	}
}

// What a radio says in words that a row does not have stays, and so does what
// was set in dBm.
func TestRadioForeignWords(t *testing.T) {
	c := vanilla(t)
	write(t, c, "wireless", "config wifi-device 'radio0'\n\toption hwmode '11g'\n\toption htmode 'HT40+'\n\toption noscan '1'\n\toption txpower '14'\n\toption country 'US'\n")
	r := row(t, c.Radios(), "radio0")
	if r.Band != "2.4GHz" || r.Standards != "g,n" || r.Width != "40MHz" || r.Extension != "AboveControlChannel" || r.TxPower != 25 || r.Channel != 0 || !r.Enabled {
		t.Errorf("%+v", r)
	}
	change(t, c, c.Radios(), "radio0", func(r *platform.Radio) { r.Country = "DE" })
	if got, want := text1(t, c, "wireless"), "config wifi-device 'radio0'\n\toption hwmode '11g'\n\toption htmode 'HT40+'\n\toption noscan '1'\n\toption txpower '14'\n\toption country 'DE'\n"; got != want {
		t.Errorf("%s", got)
	}
}

func TestSSIDFields(t *testing.T) {
	c := vanilla(t)
	for _, name := range []string{"Home", "it's $(reboot) `id` \"x\"", "caf\xe9 \xff", strings.Repeat("x", 32), "#1; a"} {
		change(t, c, c.SSIDs(), "default_radio0", func(s *platform.SSID) { s.Name = name })
	}
	change(t, c, c.SSIDs(), "default_radio0", func(s *platform.SSID) { s.Radio = "radio1" })
	for _, bad := range []string{strings.Repeat("x", 33), "a\nb", "a\x01", "a\x7f"} {
		refused(t, c, c.SSIDs(), "default_radio0", func(s *platform.SSID) { s.Name = bad })
	}
	refused(t, c, c.SSIDs(), "default_radio0", func(s *platform.SSID) { s.Radio = "lan" })
}

func TestAccessPointFields(t *testing.T) {
	type ap = platform.AccessPoint
	for _, f := range []struct {
		name string
		edit func(*ap)
		want string
	}{
		{"Advertised", func(a *ap) { a.Advertised = false }, "option hidden '1'"},
		{"Isolated", func(a *ap) { a.Isolated = true }, "option isolate '1'"},
		{"WMM", func(a *ap) { a.WMM = false }, "option wmm '0'"},
		{"UAPSD", func(a *ap) { a.UAPSD = true }, "option uapsd '1'"},
		{"MaxDevices", func(a *ap) { a.MaxDevices = 12 }, "option maxassoc '12'"},
		{"MACFilter", func(a *ap) { a.MACFilter, a.AllowedMAC = true, []string{"02:00:00:00:00:01", "02:00:00:00:00:02"} }, "option macfilter 'allow'"},
		{"WPS", func(a *ap) { a.WPS, a.WPSMethods = true, []string{"PushButton", "Label"} }, "option wps_label '1'"},
		{"WPS methods, off", func(a *ap) { a.WPSMethods = []string{"Label"} }, "option gh_wps 'Label'"},
		{"Network", func(a *ap) { a.Network = "guest" }, "option network 'guest'"},
		{"Enabled", func(a *ap) { a.Enabled = false }, "option gh_on 'ssid'"},
		{"WPA2", func(a *ap) { a.Security.Mode, a.Security.Passphrase = "WPA2-Personal", "pass\xc3\xa9'\"$(x)" }, "option encryption 'psk2'"},
		{"PSK", func(a *ap) {
			a.Security.Mode, a.Security.PSK = "WPA2-Personal", []byte(strings.Repeat("\x01\xfe", 16))
		}, "option key '01fe"},
		{"WPA3", func(a *ap) {
			a.Security.Mode, a.Security.Passphrase, a.Security.MFP = "WPA3-Personal", "passphrase", "Required"
		}, "option encryption 'sae'"},
		{"WPA3 with two", func(a *ap) {
			a.Security.Mode, a.Security.Passphrase, a.Security.SAE, a.Security.MFP = "WPA3-Personal", "passphrase", "other one", "Required"
		}, "option key 'other one'"},
		{"WPA2 with two", func(a *ap) {
			a.Security.Mode, a.Security.Passphrase, a.Security.SAE = "WPA2-Personal", "passphrase", "other one"
		}, "option key 'passphrase'"},
		{"transition", func(a *ap) {
			a.Security.Mode, a.Security.Passphrase, a.Security.MFP = "WPA3-Personal-Transition", "passphrase", "Optional"
		}, "option encryption 'sae-mixed'"},
		{"OWE", func(a *ap) { a.Security.Mode, a.Security.MFP = "OWE", "Required" }, "option encryption 'owe'"},
		{"WEP", func(a *ap) { a.Security.Mode, a.Security.WEPKey = "WEP-64", []byte("\x01\x02\x03\x04\x05") }, "option key1 '0102030405'"},
		{"WEP-128", func(a *ap) { a.Security.Mode, a.Security.WEPKey = "WEP-128", []byte("1234567890123") }, "option encryption 'wep-open'"},
		{"Enterprise", func(a *ap) {
			a.Security.Mode, a.Security.RadiusServer, a.Security.RadiusPort, a.Security.RadiusSecret = "WPA2-Enterprise", addr("192.0.2.7"), 1645, "s3cret"
		}, "option auth_secret 's3cret'"},
		{"Enterprise 3", func(a *ap) {
			a.Security.Mode, a.Security.RadiusServer, a.Security.MFP = "WPA3-Enterprise", addr("2001:db8::7"), "Required"
		}, "option encryption 'wpa3'"},
		{"Rekey", func(a *ap) { a.Security.Rekey = time.Hour }, "option wpa_group_rekey '3600'"},
		{"MFP", func(a *ap) { a.Security.MFP = "Optional" }, "option ieee80211w '1'"},
	} {
		t.Run(f.name, func(t *testing.T) {
			c := vanilla(t)
			before, text := row(t, c.AccessPoints(), "default_radio1"), text1(t, c, "wireless")
			change(t, c, c.AccessPoints(), "default_radio1", f.edit)
			after := text1(t, c, "wireless")
			if !strings.Contains(after, f.want) || after == text {
				t.Errorf("no %s in\n%s", f.want, after)
			}
			change(t, c, c.AccessPoints(), "default_radio1", func(r *ap) { *r = before })
			if back := text1(t, c, "wireless"); back != text {
				t.Errorf("not as before:\n%s", back)
			}
		})
	}
}

func TestAccessPointRefusals(t *testing.T) {
	type ap = platform.AccessPoint
	c := vanilla(t)
	for _, f := range []func(*ap){
		func(a *ap) { a.Security.Mode, a.Security.Passphrase = "WPA2-Personal", "short" },
		func(a *ap) { a.Security.Mode, a.Security.Passphrase = "WPA2-Personal", "passphrase\nwpa=0" },
		func(a *ap) { a.Security.Mode = "WPA9" },
		func(a *ap) { a.Security.Mode, a.Security.WEPKey = "WEP-64", []byte("1234") },
		func(a *ap) { a.Security.PSK = []byte("1234") },
		func(a *ap) { a.Security.MFP = "" },
		func(a *ap) {
			a.Security.Mode, a.Security.Passphrase, a.Security.SAE = "WPA3-Personal-Transition", "passphrase", "other one"
		},
		func(a *ap) { a.WPS, a.WPSMethods = true, nil },
		func(a *ap) { a.WPSMethods = []string{"USBFlashDrive"} },
		func(a *ap) { a.SSID = "nowhere" },
		func(a *ap) { a.AllowedMAC = []string{"02:00:00:00:00:01 02:00:00:00:00:02"} },
		func(a *ap) { a.Network = "lan guest" },
		func(a *ap) { a.SSID = "default_radio0" }, // has an access point
		func(a *ap) { a.AllowedMAC = []string{"0200.0000.0001"} },
		func(a *ap) { a.MaxDevices = 2008 },
		func(a *ap) { a.Security.Mode, a.Security.SAE = "WPA3-Personal", strings.Repeat("x", 64) },
	} {
		refused(t, c, c.AccessPoints(), "default_radio1", f)
	}
}

// hostapd takes an empty name for an error, and starts no network of the radio:
// such a one is not on the air, and is again with a name.
func TestNetworkWithoutANameIsOffTheAir(t *testing.T) {
	c := vanilla(t)
	change(t, c, c.SSIDs(), "default_radio0", func(s *platform.SSID) { s.Enabled, s.Name = true, "x" })
	change(t, c, c.AccessPoints(), "default_radio0", func(a *platform.AccessPoint) { a.Enabled = true })
	on := text1(t, c, "wireless")
	change(t, c, c.SSIDs(), "default_radio0", func(s *platform.SSID) { s.Name = "" })
	if text := text1(t, c, "wireless"); strings.Count(text, "option disabled '1'") != strings.Count(on, "option disabled '1'")+1 {
		t.Errorf("%s", text)
	}
	change(t, c, c.SSIDs(), "default_radio0", func(s *platform.SSID) { s.Name = "x" })
	if text := text1(t, c, "wireless"); !slices.Equal(lines(text), lines(on)) {
		t.Errorf("%s", text)
	}
}

// Small letters, which hostapd refuses.
func TestCountry(t *testing.T) {
	c := vanilla(t)
	refused(t, c, c.Radios(), "radio1", func(r *platform.Radio) { r.Country = "de" })
	change(t, c, c.Radios(), "radio1", func(r *platform.Radio) { r.Country = "DE" })
}

// What the section says in other words stays as it is while something else
// changes.
func TestAccessPointForeignWords(t *testing.T) {
	c := vanilla(t)
	const text = "config wifi-device 'radio0'\n\nconfig wifi-iface 'x'\n\tlist device 'radio0'\n\toption network 'lan guest'\n\toption ssid 'a'\n\toption encryption 'psk2+ccmp'\n" +
		"\toption key 'passphrase'\n\toption macfilter 'deny'\n\tlist maclist '02:00:00:00:00:09'\n\toption ieee80211r '1'\n"
	write(t, c, "wireless", text)
	a := row(t, c.AccessPoints(), "x")
	if a.Security.Mode != "WPA2-Personal" || a.MACFilter || a.AllowedMAC != nil || a.Network != "lan" || !a.Enabled || a.SSID != "x" {
		t.Errorf("%+v", a)
	}
	change(t, c, c.AccessPoints(), "x", func(a *platform.AccessPoint) { a.Isolated = true })
	change(t, c, c.AccessPoints(), "x", func(a *platform.AccessPoint) { a.Security.Passphrase = "another one" })
	if got, want := text1(t, c, "wireless"), strings.Replace(text, "passphrase", "another one", 1)+"\toption isolate '1'\n"; got != want {
		t.Errorf("%s", got)
	}
	refused(t, c, c.AccessPoints(), "x", func(a *platform.AccessPoint) { a.AllowedMAC = []string{"02:00:00:00:00:01"} })
}

// The switch of the network and that of the access point are one option, and
// still two rows.
func TestHalves(t *testing.T) {
	c := vanilla(t)
	on := func() string {
		text := text1(t, c, "wireless")
		_, text, _ = strings.Cut(text, "config wifi-iface 'default_radio0'")
		text, _, _ = strings.Cut(text, "config")
		return fmt.Sprint(row(t, c.SSIDs(), "default_radio0").Enabled, row(t, c.AccessPoints(), "default_radio0").Enabled, !strings.Contains(text, "disabled '1'"))
	}
	set := func(ssid, ap bool) {
		change(t, c, c.SSIDs(), "default_radio0", func(s *platform.SSID) { s.Enabled = ssid })
		change(t, c, c.AccessPoints(), "default_radio0", func(a *platform.AccessPoint) { a.Enabled = ap })
	}
	for _, want := range []string{"true true true", "false true false", "false false false", "true false false", "true true true"} {
		var ssid, ap, air bool
		if _, err := fmt.Sscan(want, &ssid, &ap, &air); err != nil {
			t.Fatal(err)
		}
		set(ssid, ap)
		if got := on(); got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
	// hostapd would not start: it waits for what is missing.
	for _, mode := range []string{"WPA2-Personal", "WPA2-Enterprise", "WEP-64"} {
		change(t, c, c.AccessPoints(), "default_radio0", func(a *platform.AccessPoint) { a.Security.Mode = mode })
		if got := on(); got != "true true false" {
			t.Errorf("%s: %s", mode, got)
		}
	}
	change(t, c, c.AccessPoints(), "default_radio0", func(a *platform.AccessPoint) { a.Security.Mode, a.Security.Passphrase = "WPA2-Personal", "passphrase" })
	if got := on(); got != "true true true" {
		t.Errorf("%s", got)
	}
	// Somebody else switches it off, and on again.
	write(t, c, "wireless", strings.Replace(text1(t, c, "wireless"), "option ssid 'OpenWrt'\n", "option ssid 'OpenWrt'\n\toption disabled '1'\n", 1))
	if got := on(); got != "false false false" {
		t.Errorf("%s", got)
	}
}

// A network is added, then the access point that offers it: they share a
// section from the moment that the one refers to the other.
func TestSSIDAndAccessPointMeet(t *testing.T) {
	c := vanilla(t)
	before := text1(t, c, "wireless")
	ssid := create(t, c, c.SSIDs(), func(s *platform.SSID) { s.Enabled, s.Name, s.Radio = true, "Guest", "radio0" })
	if n := len(rows(t, c.AccessPoints())); n != 2 {
		t.Errorf("%d access points: a new network has none", n)
	}
	ap := create(t, c, c.AccessPoints(), func(a *platform.AccessPoint) {
		a.Enabled, a.Isolated, a.Security.Mode, a.Security.Passphrase = true, true, "WPA2-Personal", "passphrase"
	})
	off := text1(t, c, "wireless")
	want := before[:len(before)-1] + "\nconfig wifi-iface '" + ssid + "'\n\toption mode 'ap'\n\toption gh_ap '-'\n\toption disabled '1'\n\toption device 'radio0'\n\toption ssid 'Guest'\n\toption gh_on 'ssid'\n" +
		"\nconfig gh_accesspoint '" + ap + "'\n\toption isolate '1'\n\toption encryption 'psk2'\n\toption key 'passphrase'\n\toption enabled '1'\n\n"
	if off != want {
		t.Errorf("%s\nwant\n%s", off, want)
	}
	r := row(t, c.AccessPoints(), ap)
	r.SSID = ssid
	if _, err := do(t, c, func(b platform.ConfigBatch) { c.AccessPoints().Put(b, ap, r) }); err != nil {
		t.Fatal(err)
	}
	if got := row(t, c.AccessPoints(), ap); fmt.Sprint(got) != fmt.Sprint(r) {
		t.Errorf("%+v", got)
	}
	want = before[:len(before)-1] + "\nconfig wifi-iface '" + ssid + "'\n\toption mode 'ap'\n\toption gh_ap '" + ap + "'\n\toption device 'radio0'\n\toption ssid 'Guest'\n" +
		"\toption isolate '1'\n\toption encryption 'psk2'\n\toption key 'passphrase'\n\toption network 'lan'\n\toption gh_auto_network 'lan'\n\n"
	if got := text1(t, c, "wireless"); got != want {
		t.Errorf("%s\nwant\n%s", got, want)
	}
	change(t, c, c.AccessPoints(), ap, func(a *platform.AccessPoint) { a.SSID = "" })
	if !row(t, c.SSIDs(), ssid).Enabled || !strings.Contains(text1(t, c, "wireless"), "disabled '1'") {
		t.Error("a network without access point is on the air, or switched off as a row")
	}
	change(t, c, c.AccessPoints(), ap, func(a *platform.AccessPoint) { a.SSID = ssid })
	remove(t, c, c.SSIDs(), ssid)
	if got := row(t, c.AccessPoints(), ap); got.SSID != "" || !got.Enabled || got.Security.Passphrase != "passphrase" {
		t.Errorf("%+v", got)
	}
	remove(t, c, c.AccessPoints(), ap)
	if got := text1(t, c, "wireless"); got != before {
		t.Errorf("left over:\n%s", got)
	}
}

// The access point that came with the router moves to another network, and its
// key goes with it.
func TestVanillaAccessPointMoves(t *testing.T) {
	c := vanilla(t)
	ssid := create(t, c, c.SSIDs(), func(s *platform.SSID) { s.Name, s.Radio = "Other", "radio0" })
	change(t, c, c.AccessPoints(), "default_radio0", func(a *platform.AccessPoint) { a.SSID = "" })
	change(t, c, c.AccessPoints(), "default_radio0", func(a *platform.AccessPoint) { a.SSID = ssid })
	if _, both := rows(t, c.SSIDs())["default_radio0"]; !both {
		t.Error("the network went with its access point")
	}
	change(t, c, c.AccessPoints(), "default_radio0", func(a *platform.AccessPoint) { a.SSID = "default_radio0" })
	if text := text1(t, c, "wireless"); strings.Contains(text, "gh_ap 'default_radio0'") {
		t.Errorf("a mark that says what is so anyway:\n%s", text)
	}
	remove(t, c, c.AccessPoints(), "default_radio0")
	if got := row(t, c.SSIDs(), "default_radio0"); !got.Enabled || got.Name != "OpenWrt" {
		t.Errorf("%+v", got)
	}
	if !strings.Contains(text1(t, c, "wireless"), "option disabled '1'\n\toption gh_on 'ssid'") {
		t.Errorf("nobody serves it, and it is on the air:\n%s", text1(t, c, "wireless"))
	}
}
