package tr181_test

// Device.WiFi.AccessPoint.{i}.Security.: what a mode needs, in any order, and
// secrets that stay.

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"gatehouse/datamodel"
	"gatehouse/platform"
)

func TestWiFiSecurity(t *testing.T) {
	const (
		mode, pass, psk, sae = "Security.ModeEnabled=", "Security.KeyPassphrase=", "Security.PreSharedKey=", "Security.SAEPassphrase="
		wep, mfp, radius     = "Security.WEPKey=", "Security.MFPConfig=", "Security.RadiusServerIPAddr="
		key                  = "000102030405060708090A0B0C0D0E0F101112131415161718191A1B1C1D1E1F"
	)
	for name, test := range map[string]struct {
		set   []string
		blame string // "" is fine
		mfp   string // MFPConfig afterwards
	}{
		"open":                        {set: []string{mode + "None"}, mfp: "Disabled"},
		"mode before passphrase":      {set: []string{mode + "WPA2-Personal", pass + "twelve monkeys"}, mfp: "Disabled"},
		"passphrase before mode":      {set: []string{pass + "twelve monkeys", mode + "WPA2-Personal"}, mfp: "Disabled"},
		"key":                         {set: []string{mode + "WPA2-Personal", psk + key}},
		"key in small letters":        {set: []string{mode + "WPA2-Personal", psk + strings.ToLower(key)}},
		"no key":                      {set: []string{mode + "WPA2-Personal"}, blame: "Security.ModeEnabled"},
		"empty key":                   {set: []string{psk, mode + "WPA2-Personal"}, blame: "Security.ModeEnabled"},
		"half a key":                  {set: []string{mode + "WPA2-Personal", psk + key[:32]}, blame: "Security.PreSharedKey"},
		"key of letters":              {set: []string{mode + "WPA2-Personal", psk + strings.Repeat("xy", 32)}, blame: "Security.PreSharedKey"},
		"short passphrase":            {set: []string{mode + "WPA2-Personal", pass + "1234567"}, blame: "Security.KeyPassphrase"},
		"longest passphrase":          {set: []string{mode + "WPA2-Personal", pass + strings.Repeat("x", 63)}},
		"too long a passphrase":       {set: []string{mode + "WPA2-Personal", pass + key}, blame: "Security.KeyPassphrase"},
		"empty passphrase":            {set: []string{pass}, blame: "Security.KeyPassphrase"},
		"umlauts":                     {set: []string{mode + "WPA2-Personal", pass + "zwölf Affen"}, blame: "Security.KeyPassphrase"},
		"a line in a passphrase":      {set: []string{mode + "WPA2-Personal", pass + "twelve\nwpa=0"}, blame: "Security.KeyPassphrase"},
		"WPA3":                        {set: []string{mode + "WPA3-Personal", pass + "twelve monkeys"}, mfp: "Required"},
		"WPA3 of its own":             {set: []string{mode + "WPA3-Personal", sae + "ä"}, mfp: "Required"},
		"WPA3 with a key":             {set: []string{mode + "WPA3-Personal", psk + key}, blame: "Security.ModeEnabled"},
		"WPA3 without protection":     {set: []string{mode + "WPA3-Personal", pass + "twelve monkeys", mfp + "Optional"}, blame: "Security.MFPConfig"},
		"a line in WPA3's passphrase": {set: []string{sae + "a\nb"}, blame: "Security.SAEPassphrase"},
		"transition":                  {set: []string{mode + "WPA3-Personal-Transition", pass + "twelve monkeys"}, mfp: "Optional"},
		"transition with both":        {set: []string{mode + "WPA3-Personal-Transition", psk + key, sae + "other"}, mfp: "Optional"},
		"transition with half":        {set: []string{mode + "WPA3-Personal-Transition", sae + "other"}, blame: "Security.ModeEnabled"},
		"enterprise":                  {set: []string{radius + "2001:db8::1", mode + "WPA2-Enterprise", "Security.RadiusSecret=s3"}},
		"enterprise, no server":       {set: []string{mode + "WPA2-Enterprise"}, blame: "Security.ModeEnabled"},
		"enterprise, any server":      {set: []string{mode + "WPA2-Enterprise", radius + "0.0.0.0"}, blame: "Security.ModeEnabled"},
		"no server":                   {set: []string{radius + "radius.example"}, blame: "Security.RadiusServerIPAddr"},
		"no port":                     {set: []string{"Security.RadiusServerPort=0"}, blame: "Security.RadiusServerPort"},
		"too high a port":             {set: []string{"Security.RadiusServerPort=65536"}, blame: "Security.RadiusServerPort"},
		"a line in a secret":          {set: []string{"Security.RadiusSecret=a\nb"}, blame: "Security.RadiusSecret"},
		"OWE":                         {set: []string{mode + "OWE"}, mfp: "Required"},
		"a mode of other radios":      {set: []string{mode + "WEP-64", wep + "0102030405"}, blame: "Security.ModeEnabled"},
		"no such mode":                {set: []string{mode + "wpa2"}, blame: "Security.ModeEnabled"},
		"WEP of six":                  {set: []string{wep + "010203040506"}, blame: "Security.WEPKey"},
		"WPS by NFC":                  {set: []string{"WPS.ConfigMethodsEnabled=PushButton,NFCInterface"}, blame: "WPS.ConfigMethodsEnabled"},
		"WPS by button":               {set: []string{"WPS.ConfigMethodsEnabled=PushButton", "WPS.Enable=1"}},
	} {
		t.Run(name, func(t *testing.T) {
			h := build(t)
			ap := h.add(wifi + "AccessPoint.")
			before := h.values(wifi)
			err := h.trySet(ap, test.set...)
			if test.blame == "" {
				if err != nil {
					t.Fatal(err)
				}
				if test.mfp != "" {
					h.want(ap, "Security.MFPConfig="+test.mfp)
				}
				return
			}
			blames(t, err, datamodel.ErrValue, ap+test.blame)
			if after := h.values(wifi); !maps.Equal(before, after) {
				t.Error("what was refused has left traces")
			}
		})
	}
}

// The last who spoke of the key is heard; a passphrase and a key do not stay
// beside each other.
func TestWiFiKeysReplaceEachOther(t *testing.T) {
	h := build(t)
	_, ap := h.guest()
	key := strings.Repeat("A5", 32)
	last := func() platform.WiFiSecurity { return lastKept(h, h.platform.WiFi.AccessPoints).Security }
	h.set(ap, "Security.PreSharedKey="+key)
	if s := last(); len(s.PSK) != 32 || s.Passphrase != "" {
		t.Errorf("after a key: %d octets and %q", len(s.PSK), s.Passphrase)
	}
	blames(t, h.trySet(ap, "Security.PreSharedKey="), datamodel.ErrValue, ap+"Security.PreSharedKey") // it would be open
	h.set(ap, "Security.KeyPassphrase=another one")
	if s := last(); s.PSK != nil || s.Passphrase != "another one" {
		t.Errorf("after a passphrase: %d octets and %q", len(s.PSK), s.Passphrase)
	}
	h.set(ap, "Security.PreSharedKey=") // as it is read: nothing changes
	if s := last(); s.Passphrase != "another one" {
		t.Errorf("after an empty key: %q", s.Passphrase)
	}
	h.set(ap, "Security.ModeEnabled=WPA3-Personal")
	h.set(ap, "Security.ModeEnabled=WPA2-Personal") // and management frames are no longer protected against old stations
	if s := last(); s.MFP != "Disabled" {
		t.Errorf("back from WPA3: MFP %q", s.MFP)
	}
	h.set(ap, "Security.SAEPassphrase=sae")
	h.set(ap, "Security.SAEPassphrase=") // the other passphrase counts again
	if s := last(); s.SAE != "" || s.Passphrase != "another one" {
		t.Errorf("after an empty one: %q and %q", s.SAE, s.Passphrase)
	}
}

// A row of the system that was incomplete before can be written, but not
// switched on.
func TestWiFiIncompleteBefore(t *testing.T) {
	h := build(t)
	h.router.EditAccessPoint("default_radio1", func(a *platform.AccessPoint) { a.Enabled, a.Security.Passphrase = false, "" })
	ap := wifi + "AccessPoint.2."
	h.set(ap, "SSIDAdvertisementEnabled=0")
	blames(t, h.trySet(ap, "Enable=1"), datamodel.ErrValue, ap+"Enable")
}

// Secrets are told nowhere: not when they are read, in no transaction, in no
// error.
func TestWiFiSecretsStay(t *testing.T) {
	h := build(t)
	_, ap := h.guest()
	const secret = "Xyzzy-plugh"
	names := map[string]string{
		"KeyPassphrase": secret, "SAEPassphrase": secret, "RadiusSecret": secret,
		"PreSharedKey": strings.Repeat("5859", 16), "WEPKey": "5859585958",
	}
	for name, value := range names {
		path := ap + "Security." + name
		h.set(path, "="+value)
		tx, err := h.tree.Begin(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if err := tx.Set(t.Context(), datamodel.Assignment{Path: path, Value: value}); err != nil {
			t.Fatal(err)
		}
		for item, err := range tx.Values(t.Context(), wifi) {
			if err != nil || strings.Contains(item.Value, value) {
				t.Errorf("in a transaction %s reads %q, %v", item.Name, item.Value, err)
			}
		}
		tx.Abort()
		err = h.trySet(ap, "Security."+name+"="+value+"\x01zz", "Enable=maybe")
		if err == nil || strings.Contains(err.Error(), value) {
			t.Errorf("%s: the error tells: %v", name, err)
		}
	}
	for name, value := range h.values("Device.") {
		for _, s := range append(slices.Collect(maps.Values(names)), "correct horse battery", "twelve monkeys") {
			if strings.Contains(value, s) {
				t.Errorf("%s tells %q", name, value)
			}
		}
	}
}
