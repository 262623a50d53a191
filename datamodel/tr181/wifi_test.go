package tr181_test

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"

	"gatehouse/datamodel"
	"gatehouse/datamodel/dmtest"
	"gatehouse/platform"
	"gatehouse/platform/fake"
)

const wifi = "Device.WiFi."

// takeUp is what happens after a session: the service reads its configuration.
func (h *house) takeUp() {
	h.Helper()
	if err := h.platform.Config.Reload(h.Context(), []string{"wireless"}); err != nil {
		h.Fatal(err)
	}
}

// guest adds a network on the first radio, with an access point, and takes it up.
func (h *house) guest() (ssid, ap string) {
	h.Helper()
	ssid, ap = h.add(wifi+"SSID."), h.add(wifi+"AccessPoint.")
	h.set("", ssid+"LowerLayers="+wifi+"Radio.1", ssid+"SSID=Guests", ssid+"Enable=1",
		ap+"SSIDReference="+strings.TrimSuffix(ssid, "."), ap+"Security.ModeEnabled=WPA2-Personal",
		ap+"Security.KeyPassphrase=twelve monkeys", ap+"Enable=1")
	h.takeUp()
	return ssid, ap
}

// kept reads the row of a table by its key, as the platform keeps it.
func kept[T any](h *house, t platform.Table[T], key string) T {
	h.Helper()
	for _, e := range rows(h.TB, t.Rows(h.Context())) {
		if e.Key == key {
			return e.Value
		}
	}
	h.Fatalf("no row %q", key)
	panic("unreachable")
}

// lastKept reads the row that was added last.
func lastKept[T any](h *house, t platform.Table[T]) T {
	h.Helper()
	all := rows(h.TB, t.Rows(h.Context()))
	return all[len(all)-1].Value
}

func TestWiFiNetworkLife(t *testing.T) {
	h := build(t)
	ssid, ap := h.add(wifi+"SSID."), h.add(wifi+"AccessPoint.")
	h.want(ssid, "Enable=false", "Status=Down", "LowerLayers=", "SSID=", "BSSID=", "MLDUnit=-1")
	h.want(ap, "Enable=false", "Status=Disabled", "SSIDReference=", "Security.ModeEnabled=None", "Security.RekeyingInterval=3600",
		"Security.RadiusServerPort=1812", "Security.MFPConfig=Disabled", "AssociatedDeviceNumberOfEntries=0")

	h.set(ap, "Enable=1") // before there is anything to serve
	h.want(ap, "Status=Error_Misconfigured")
	h.set("", ap+"SSIDReference="+ssid, ap+"Security.KeyPassphrase=twelve monkeys", ap+"Security.ModeEnabled=WPA2-Personal",
		ssid+"LowerLayers="+wifi+"Radio.2.", ssid+"SSID=Guests", ssid+"Enable=1")
	// What was written is read at once; what came of it after the reload.
	h.want(ssid, "SSID=Guests", "LowerLayers="+wifi+"Radio.2", "Status=LowerLayerDown", "Enable=true")
	h.want(ap, "SSIDReference="+strings.TrimSuffix(ssid, "."), "Status=Disabled", "Security.KeyPassphrase=")
	h.takeUp()
	h.want(ssid, "Status=Up", "Name=wlan1")
	h.want(ap, "Status=Enabled")
	h.want(wifi+"Radio.2.", "Status=Up", "ChannelsInUse=36")
	if got := lastKept(h, h.platform.WiFi.AccessPoints).Security.Passphrase; got != "twelve monkeys" {
		t.Errorf("the platform keeps %q", got)
	}
	port := h.find("Device.Bridging.Bridge.1.Port.", "Name", "wlan1")
	h.want(port, "LowerLayers="+strings.TrimSuffix(ssid, "."))
	h.find("Device.InterfaceStack.", "HigherLayer", strings.TrimSuffix(ssid, "."))

	h.delete(ap)
	h.delete(ssid)
	h.takeUp()
	h.want(wifi, "SSIDNumberOfEntries=2", "AccessPointNumberOfEntries=2")
	if h.lookup("Device.Bridging.Bridge.1.Port.", "Name", "wlan1") != "" {
		t.Error("its interface is still a port of the bridge")
	}
}

// An ACS names rows before they are there (TR-069 A.3.2.1.4), all in one request.
func TestWiFiNetworkInOneRequest(t *testing.T) {
	h := build(t)
	a := func(path, value string) datamodel.Assignment {
		return datamodel.Assignment{Path: wifi + path, Value: value}
	}
	if err := h.try(func(tx *datamodel.Tx) error {
		tx.AutoCreate = true
		return tx.Set(t.Context(), a("SSID.[guest].SSID", "Guests"), a("SSID.[guest].LowerLayers", wifi+"Radio.1"), a("SSID.[guest].Enable", "1"),
			a("AccessPoint.[guest].SSIDReference", wifi+"SSID.[guest]"), a("AccessPoint.[guest].Security.ModeEnabled", "OWE"),
			a("AccessPoint.[guest].Enable", "1"))
	}); err != nil {
		t.Fatal(err)
	}
	h.takeUp()
	h.want(h.find(wifi+"SSID.", "Alias", "guest"), "Status=Up")
	h.want(h.find(wifi+"AccessPoint.", "Alias", "guest"), "Status=Enabled", "Security.MFPConfig=Required")
}

// The SSID goes first, and leaves its access point behind.
func TestWiFiDanglingReference(t *testing.T) {
	h := build(t)
	ssid, ap := h.guest()
	h.delete(ssid)
	h.want(ap, "SSIDReference=", "Status=Error_Misconfigured", "Enable=true")
	h.set(ap, "IsolationEnable=1") // it can still be written
	h.takeUp()
	h.want(ap, "SSIDReference=", "Status=Error_Misconfigured", "AssociatedDeviceNumberOfEntries=0")
	again := h.add(wifi + "SSID.")
	h.set("", again+"LowerLayers="+wifi+"Radio.1", again+"SSID=Guests", again+"Enable=1", ap+"SSIDReference="+again)
	h.takeUp()
	h.want(ap, "Status=Enabled", "IsolationEnable=true")
}

// Two enabled access points have two SSIDs (the unique key of the BBF table);
// one that is switched off may be prepared.
func TestWiFiOneAccessPointForAnSSID(t *testing.T) {
	h := build(t)
	h.want(wifi, "AccessPointNumberOfEntries=2", "SSID.1.SSID=Home") // they have their numbers
	ap := h.add(wifi + "AccessPoint.")
	h.set(ap, "SSIDReference="+wifi+"SSID.1")
	blames(t, h.trySet(ap, "Enable=1"), datamodel.ErrValue, ap+"Enable")
	h.set("", wifi+"AccessPoint.1.Enable=0", ap+"Enable=1")
	blames(t, h.trySet("", wifi+"AccessPoint.1.Enable=1", wifi+"AccessPoint.1.SSIDReference="+wifi+"SSID.1"), datamodel.ErrValue,
		wifi+"AccessPoint.1.SSIDReference")
}

func TestWiFiSSIDNames(t *testing.T) {
	for name, test := range map[string]struct {
		write string
		ok    bool
	}{
		"blanks (field.md 11)":    {"  a  b\t", true},
		"32 octets":               {strings.Repeat("ä", 16), true},
		"33 octets, 17 letters":   {strings.Repeat("ä", 16) + "x", false},
		"33 characters":           {strings.Repeat("x", 33), false},
		"what shells like":        {"`cd /tmp;reboot`$(x)'\"\\&<>]]>", true},
		"a line of hostapd":       {"x\nwpa=0", false},
		"a carriage return":       {"x\r", false},
		"NUL":                     {"x\x00y", false},
		"not UTF-8":               {"x\xff", false},
		"nothing, while it is on": {"", false},
	} {
		t.Run(name, func(t *testing.T) {
			h := build(t)
			err := h.trySet(wifi+"SSID.1.", "SSID="+test.write)
			if !test.ok {
				blames(t, err, datamodel.ErrValue, wifi+"SSID.1.SSID")
				h.want(wifi+"SSID.1.", "SSID=Home")
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			h.want(wifi+"SSID.1.", "SSID="+test.write)
			if got := kept(h, h.platform.WiFi.SSIDs, "default_radio0").Name; got != test.write {
				t.Errorf("kept as %q", got)
			}
		})
	}
}

// Octets that no ACS could write are shown safely, and survive whatever else is
// written of the row, also the name as it was shown.
func TestWiFiHostileSSID(t *testing.T) {
	for octets, shown := range map[string]string{
		"caf\xe9":                     "caf\ufffd",
		"\xff\xfe\xfd":                "\ufffd\ufffd\ufffd",
		"\x00\x01\x1b[2J":             "\ufffd\ufffd\ufffd[2J",
		"]]><Name>&amp;":              "]]><Name>&amp;",
		"\xed\xa0\x80 \uffff\ufffe":   "\ufffd\ufffd\ufffd \ufffd\ufffd",
		strings.Repeat("\xff", 32):    strings.Repeat("\ufffd", 32),
		"  a  b\t\r\n":                "  a  b\t\r\n",
		"emoji \U0001f4f6 and \u202e": "emoji \U0001f4f6 and \u202e",
	} {
		h := build(t)
		h.router.EditSSID("default_radio0", func(s *platform.SSID) { s.Name = octets })
		h.want(wifi+"SSID.1.", "SSID="+shown)
		h.set(wifi+"SSID.1.", "Enable=0")
		h.set(wifi+"SSID.1.", "Enable=1", "LowerLayers="+wifi+"Radio.2", "SSID="+shown)
		if got := kept(h, h.platform.WiFi.SSIDs, "default_radio0").Name; got != octets {
			t.Errorf("%q became %q", octets, got)
		}
	}
}

func TestWiFiSSIDRefusals(t *testing.T) {
	h := build(t)
	s := wifi + "SSID.1."
	for _, test := range []struct{ set, blame string }{
		{"LowerLayers=" + wifi + "Radio.1," + wifi + "Radio.2", "LowerLayers"},
		{"LowerLayers=" + wifi + "Radio.3", "LowerLayers"},
		{"LowerLayers=Device.Ethernet.Interface.1", "LowerLayers"},
		{"MLDUnit=0", "MLDUnit"},
		{"MLDUnit=25", "MLDUnit"},
	} {
		blames(t, h.trySet(s, test.set), datamodel.ErrValue, s+test.blame)
	}
	fresh := h.add(wifi + "SSID.")
	blames(t, h.trySet(fresh, "Enable=1"), datamodel.ErrValue, fresh+"SSID")
	if err := h.tryDelete(wifi + "Radio.1."); !errors.Is(err, datamodel.ErrDenied) {
		t.Errorf("a radio was deleted: %v", err)
	}
}

func TestWiFiRadio(t *testing.T) {
	const r = wifi + "Radio.2." // 5 GHz, fixed to 36
	for name, test := range map[string]struct {
		set   []string
		blame string
		then  []string
		kept  func(platform.Radio) bool
	}{
		"channel":                  {[]string{"Channel=44"}, "", []string{"Channel=44", "AutoChannelEnable=false"}, func(r platform.Radio) bool { return r.Channel == 44 }},
		"impossible channel":       {[]string{"Channel=13"}, "Channel", nil, nil},
		"channel of a range":       {[]string{"Channel=112"}, "", []string{"Channel=112"}, nil},
		"automatic":                {[]string{"AutoChannelEnable=1"}, "", []string{"AutoChannelEnable=true"}, func(r platform.Radio) bool { return r.Channel == 0 }},
		"automatic, and a channel": {[]string{"Channel=44", "AutoChannelEnable=1"}, "", []string{"AutoChannelEnable=true"}, nil},
		"a channel, not automatic": {[]string{"AutoChannelEnable=0", "Channel=44"}, "", []string{"AutoChannelEnable=false", "Channel=44"}, nil},
		"not automatic, as it was": {[]string{"AutoChannelEnable=0"}, "", []string{"Channel=36"}, nil},
		"band":                     {[]string{"OperatingFrequencyBand=2.4GHz"}, "OperatingFrequencyBand", nil, nil},
		"the same band":            {[]string{"OperatingFrequencyBand=5GHz"}, "", []string{"Channel=36"}, nil},
		"standards":                {[]string{"OperatingStandards=n,ac"}, "", []string{"OperatingStandards=n,ac"}, func(r platform.Radio) bool { return r.Standards == "n,ac" }},
		"standards it has not":     {[]string{"OperatingStandards=n,be"}, "OperatingStandards", nil, nil},
		"no standards":             {[]string{"OperatingStandards="}, "OperatingStandards", nil, nil},
		"width":                    {[]string{"OperatingChannelBandwidth=160MHz"}, "", []string{"OperatingChannelBandwidth=160MHz"}, nil},
		"width it has not":         {[]string{"OperatingChannelBandwidth=320MHz-1"}, "OperatingChannelBandwidth", nil, nil},
		"power":                    {[]string{"TransmitPower=25"}, "", []string{"TransmitPower=25"}, nil},
		"power between steps":      {[]string{"TransmitPower=30"}, "TransmitPower", nil, nil},
		"Austria":                  {[]string{"RegulatoryDomain=AT "}, "", []string{"RegulatoryDomain=AT "}, func(r platform.Radio) bool { return r.Country == "AT" }},
		"two letters":              {[]string{"RegulatoryDomain=AT"}, "RegulatoryDomain", nil, nil},
		"indoors only":             {[]string{"RegulatoryDomain=ATI"}, "RegulatoryDomain", nil, nil},
		"no country":               {[]string{"RegulatoryDomain=XX "}, "", []string{"RegulatoryDomain=XX "}, func(r platform.Radio) bool { return r.Country == "" }},
		"beacons":                  {[]string{"BeaconPeriod=200", "DTIMPeriod=3"}, "", []string{"BeaconPeriod=200", "DTIMPeriod=3"}, func(r platform.Radio) bool { return r.BeaconEvery == 200 && r.DTIMPeriod == 3 }},
		"beacons too often":        {[]string{"BeaconPeriod=14"}, "BeaconPeriod", nil, nil},
		"DTIM never":               {[]string{"DTIMPeriod=0"}, "DTIMPeriod", nil, nil},
		"no radar detection":       {[]string{"IEEE80211hEnabled=0"}, "", []string{"IEEE80211hEnabled=false"}, nil},
		"switched off":             {[]string{"Enable=0"}, "", []string{"Status=Down", "Enable=false"}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			h := build(t)
			was := kept(h, h.platform.WiFi.Radios, "radio1")
			err := h.trySet(r, test.set...)
			if test.blame != "" {
				blames(t, err, datamodel.ErrValue, r+test.blame)
			} else if err != nil {
				t.Fatal(err)
			}
			if test.then != nil {
				h.want(r, test.then...)
			}
			now := kept(h, h.platform.WiFi.Radios, "radio1")
			switch {
			case test.kept != nil && !test.kept(now):
				t.Errorf("kept as %+v", now)
			case test.blame != "" && now != was:
				t.Errorf("refused, and kept as %+v", now)
			}
			if !slices.Contains(test.set, "BeaconPeriod=200") && now.BeaconEvery != 0 {
				t.Error("a default was written down that nobody wrote")
			}
		})
	}
}

// Two bands on one radio: what goes with the old one does not stay.
func TestWiFiBandChanges(t *testing.T) {
	h := build(t)
	h.router.EditRadio("radio1", func(s *platform.RadioState) { s.Bands = []string{"2.4GHz", "5GHz"} })
	r := wifi + "Radio.2."
	blames(t, h.trySet(r, "OperatingFrequencyBand=2.4GHz", "Channel=36"), datamodel.ErrValue, r+"Channel")
	h.set(r, "OperatingFrequencyBand=2.4GHz", "Channel=11")
	h.want(r, "Channel=11", "AutoChannelEnable=false")
	h.set(r, "OperatingFrequencyBand=5GHz")
	h.want(r, "AutoChannelEnable=true")
}

func TestWiFiAbilities(t *testing.T) {
	h := build(t)
	h.router.EditRadio("radio0", func(s *platform.RadioState) {
		s.Modes, s.WPSMethods, s.UAPSD, s.FixedStandards = []string{"WPA2-Personal", "None"}, nil, false, true
	})
	ap := wifi + "AccessPoint.1."
	h.want(ap, "Security.ModesSupported=None,WPA2-Personal", "WPS.ConfigMethodsSupported=", "UAPSDCapability=false", "WMMCapability=true")
	blames(t, h.trySet(ap, "WPS.Enable=1", "UAPSDEnable=1", "Security.ModeEnabled=OWE"), datamodel.ErrValue,
		ap+"UAPSDEnable", ap+"WPS.Enable", ap+"Security.ModeEnabled")
	r := wifi + "Radio.1."
	blames(t, h.trySet(r, "OperatingStandards=n", "IEEE80211hEnabled=1"), datamodel.ErrValue, r+"OperatingStandards", r+"IEEE80211hEnabled")
	h.set(r, "OperatingStandards=b,g,n,ax") // as they are
	// A mode that is configured, though the radio has none of it any more, stays writable as it is.
	h.router.EditAccessPoint("default_radio0", func(a *platform.AccessPoint) { a.Security.Mode = "WPA-Personal" })
	h.set(ap, "Security.ModeEnabled=WPA-Personal", "IsolationEnable=1")
}

// Of a radio that says nothing of itself all is left to the platform to refuse,
// and what was read can be written.
func TestWiFiRadioThatSaysNothing(t *testing.T) {
	h := build(t)
	for _, key := range []string{"radio0", "radio1"} {
		h.router.EditRadio(key, func(s *platform.RadioState) { *s = platform.RadioState{Key: key, Up: s.Up} })
	}
	h.want(wifi+"Radio.2.", "SupportedStandards=", "PossibleChannels=", "TransmitPowerSupported=", "Channel=36", "Name=radio1")
	h.set(wifi+"Radio.2.", "Channel=44", "OperatingStandards=n,be", "TransmitPower=30", "OperatingChannelBandwidth=320MHz-2")
	h.set(wifi+"AccessPoint.2.", "Security.ModeEnabled=WPA-Personal")
	blames(t, h.trySet(wifi+"AccessPoint.2.", "Security.ModeEnabled=psk2"), datamodel.ErrValue, wifi+"AccessPoint.2.Security.ModeEnabled")
	dmtest.RoundTrip(t, h.tree)
}

func TestWiFiStatus(t *testing.T) {
	for name, test := range map[string]struct {
		world                func(*house)
		radio, ssid, serving string
	}{
		"on the air":       {func(*house) {}, "Up", "Up", "Enabled"},
		"radio off":        {func(h *house) { h.set(wifi, "Radio.1.Enable=0"); h.takeUp() }, "Down", "LowerLayerDown", "Disabled"},
		"radio pulled":     {func(h *house) { h.router.RemoveRadio("radio0") }, "NotPresent", "NotPresent", "Disabled"},
		"waits for radar":  {func(h *house) { h.router.EditSSIDState("default_radio0", func(s *platform.SSIDState) { s.Up = false }) }, "Up", "Dormant", "Disabled"},
		"network off":      {func(h *house) { h.set(wifi, "SSID.1.Enable=0"); h.takeUp() }, "Down", "Down", "Disabled"},
		"access point off": {func(h *house) { h.set(wifi, "AccessPoint.1.Enable=0"); h.takeUp() }, "Down", "LowerLayerDown", "Disabled"},
		"on no radio":      {func(h *house) { h.set(wifi, "SSID.1.LowerLayers="); h.takeUp() }, "Down", "LowerLayerDown", "Disabled"},
		"no key": {func(h *house) {
			h.router.EditAccessPoint("default_radio0", func(a *platform.AccessPoint) { a.Security.Passphrase = "" })
		}, "Up", "Up", "Error_Misconfigured"},
		"not yet reloaded": {func(h *house) { h.set(wifi, "SSID.1.SSID=x") }, "Up", "Up", "Enabled"},
	} {
		t.Run(name, func(t *testing.T) {
			h := build(t)
			test.world(h)
			h.want(wifi+"Radio.1.", "Status="+test.radio)
			h.want(wifi+"SSID.1.", "Status="+test.ssid)
			h.want(wifi+"AccessPoint.1.", "Status="+test.serving)
		})
	}
}

func TestWiFiStations(t *testing.T) {
	h := build(t)
	a := wifi + "AccessPoint.1."
	h.want(a, "AssociatedDeviceNumberOfEntries=1", "AssociatedDevice.1.MACAddress=00:00:5E:00:53:21", "AssociatedDevice.1.SNR=43",
		"AssociatedDevice.1.Stats.BytesSent=70000000")
	phone := h.find("Device.Hosts.Host.", "HostName", "phone")
	h.want(phone, "AssociatedDevice="+a+"AssociatedDevice.1", "Layer1Interface="+wifi+"Radio.1", "InterfaceType=Wi-Fi")
	// One that has sent nothing yet, and hardware that says what cannot be.
	h.router.Join("default_radio0", platform.Station{MAC: "00:00:5e:00:53:20", Signal: 7, Noise: -300, Retransmissions: 4000})
	two := h.find(a+"AssociatedDevice.", "MACAddress", "00:00:5E:00:53:20")
	h.want(two, "SignalStrength=0", "Noise=-200", "LastDataDownlinkRate=1000", "Retransmissions=100", "AssociationTime="+datamodel.UnknownTime)
	h.router.Leave("00:00:5e:00:53:21")
	h.want(a, "AssociatedDeviceNumberOfEntries=1")
	h.want(phone, "AssociatedDevice=", "Layer1Interface=", "InterfaceType=Other")
}

// What does not answer is left out by itself, and named when it is asked for;
// bridges and hosts live on.
func TestWiFiUnavailable(t *testing.T) {
	for _, source := range []fake.Source{fake.WiFiRadios, fake.WiFiSSIDs, "config radio", "config ssid", "config accesspoint"} {
		h := build(t)
		h.router.FailRead(source, errors.New("hostapd is gone"))
		rd := h.tree.Reader(datamodel.ReadOptions{})
		var un *datamodel.Unavailable
		found := false
		for _, name := range []string{"Radio.1.Status", "SSID.1.Status", "AccessPoint.1.Status"} {
			_, err := rd.Get(t.Context(), wifi+name)
			found = found || errors.As(err, &un) && un.Source == "fake "+string(source)
		}
		if !found {
			t.Errorf("%s: nobody says so", source)
		}
		h.find("Device.Bridging.Bridge.1.Port.", "Name", "wlan0")
		h.find("Device.Hosts.Host.", "HostName", "phone")
		if err := h.trySet(wifi+"AccessPoint.1.", "Enable=0"); err == nil {
			t.Errorf("%s: written blindly", source)
		}
	}
}

// A refusal of the platform is laid on what was written, and a failure in the
// middle leaves nothing of the other rows.
func TestWiFiAllOrNothing(t *testing.T) {
	for name, fail := range map[string][2]error{
		"prepare": {&platform.Unavailable{Source: "uci wireless", Err: errors.New("line 7")}, nil},
		"commit":  {nil, errors.New("the disk is full")},
	} {
		t.Run(name, func(t *testing.T) {
			h := build(t)
			before := h.values(wifi)
			h.router.FailConfig(fail[0], fail[1])
			if err := h.trySet(wifi, "Radio.1.Channel=6", "SSID.1.SSID=x", "AccessPoint.1.IsolationEnable=1"); err == nil {
				t.Fatal("no error")
			}
			if err := h.try(func(tx *datamodel.Tx) error { _, err := tx.Add(t.Context(), wifi+"SSID."); return err }); err == nil {
				t.Fatal("no error")
			}
			h.router.FailConfig(nil, nil)
			if after := h.values(wifi); !maps.Equal(before, after) {
				t.Error("something has changed")
			}
		})
	}
}

// Two radios, eight networks and sixty stations cost one dump of each source,
// whatever asks for them.
func TestWiFiDumps(t *testing.T) {
	h := build(t)
	for i := range 6 {
		key := fmt.Sprintf("extra%d", i)
		h.router.EditSSID(key, func(s *platform.SSID) {
			*s = platform.SSID{Enabled: true, Radio: fmt.Sprintf("radio%d", i%2), Name: key}
		})
		h.router.EditAccessPoint(key, func(a *platform.AccessPoint) { *a = platform.AccessPoint{Enabled: true, SSID: key} })
	}
	for i := range 60 {
		h.router.Join(fmt.Sprintf("extra%d", i%6), platform.Station{MAC: fmt.Sprintf("02:00:00:00:00:%02x", i)})
	}
	h.router.ResetDumps()
	all := h.values("Device.")
	if all[wifi+"SSIDNumberOfEntries"] != "8" || all[wifi+"AccessPoint.3.AssociatedDeviceNumberOfEntries"] != "10" {
		t.Errorf("%s networks, %s stations", all[wifi+"SSIDNumberOfEntries"], all[wifi+"AccessPoint.3.AssociatedDeviceNumberOfEntries"])
	}
	sources := []fake.Source{"config radio", "config ssid", "config accesspoint", fake.WiFiRadios, fake.WiFiSSIDs, fake.WiFiStations("default_radio0")}
	for i := range 6 {
		sources = append(sources, fake.WiFiStations(fmt.Sprintf("extra%d", i)))
	}
	for _, s := range sources {
		if n := h.router.Dumps(s); n != 1 {
			t.Errorf("%s was read %d times", s, n)
		}
	}
}

// A platform without radios has nothing of them, in the hosts neither.
func TestNoWiFi(t *testing.T) {
	h := build(t)
	h.platform.WiFi = platform.WiFi{}
	h.start()
	for name := range h.values("Device.") {
		if strings.HasPrefix(name, wifi) || strings.HasSuffix(name, ".AssociatedDevice") {
			t.Error(name)
		}
	}
}

// The page that shows how an object is added shows this one as it is.
func TestAddingAnObject(t *testing.T) {
	page, err := os.ReadFile("../../docs/adding-an-object.md")
	if err != nil {
		t.Fatal(err)
	}
	var code string
	for _, name := range []string{"wifi_ssid.go", "tr181.go"} {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		code += string(text)
	}
	shown := 0
	for line := range strings.Lines(string(page)) {
		if text, ok := strings.CutPrefix(line, "    "); ok {
			if shown++; !strings.Contains(code, text) {
				t.Errorf("nobody writes %q", text)
			}
		}
	}
	if shown < 15 {
		t.Errorf("%d lines are shown", shown)
	}
}
