package linuxconf

import (
	"bytes"
	"context"
	"errors"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"gatehouse/internal/nl80211"
	"gatehouse/lab/rooms"
	"gatehouse/platform"
)

// A hostapdFile is a radio and what hostapd is to be told of it.
type hostapdFile struct {
	wiphy  nl80211.Wiphy
	radio  func(*platform.Radio)
	points []func(*wlan) // each changes a network with WPA2; nil: one as it is
	deaf   bool          // the driver cannot measure
	want   []string      // lines
	not    []string      // words
	fails  string        // what it cannot, instead
}

func mode(name string, change func(*platform.WiFiSecurity)) func(*wlan) {
	return func(n *wlan) {
		n.ap.Security.Mode = name
		if change != nil {
			change(&n.ap.Security)
		}
	}
}

func radius(s *platform.WiFiSecurity) {
	s.RadiusServer, s.RadiusPort, s.RadiusSecret = netip.MustParseAddr("192.0.2.9"), 1645, `s 3 \'"#`
}

func at(band, standards, width string, channel uint32) func(*platform.Radio) {
	return func(r *platform.Radio) {
		r.Band, r.Standards, r.Width, r.Channel, r.Country = band, standards, width, channel, "DE"
	}
}

var hostapdFiles = map[string]hostapdFile{
	"plain": {wiphy: pi, want: []string{"interface=wlan7", "driver=nl80211", "hw_mode=g", "channel=acs_survey", "ieee80211n=1", "ht_capab=[DSSS_CCK-40][SHORT-GI-20]", "ssid2=486f6d65",
		"wpa=2", "wpa_key_mgmt=WPA-PSK", "rsn_pairwise=CCMP", "wpa_passphrase=twelve monkeys", "ieee80211w=0", "wmm_enabled=1", "auth_algs=1"},
		not: []string{"country_code", "ieee80211ac", "ieee80211ax", "bridge", "uapsd"}},
	"cannot measure":       {wiphy: pi, deaf: true, want: []string{"channel=1"}},
	"5 GHz cannot measure": {wiphy: router, deaf: true, radio: at("5GHz", "a,n,ac", "20MHz", 0), want: []string{"channel=36"}},
	"fixed":                {wiphy: pi, radio: func(r *platform.Radio) { r.Channel, r.BeaconEvery, r.DTIMPeriod = 11, 200, 3 }, want: []string{"channel=11", "beacon_int=200", "dtim_period=3"}},
	"b as well":            {wiphy: pi, radio: func(r *platform.Radio) { r.Standards = "b,g,n" }, not: []string{"supported_rates"}},
	"no g":                 {wiphy: pi, radio: func(r *platform.Radio) { r.Standards = "n" }, want: []string{"require_ht=1"}},
	"no n":                 {wiphy: pi, radio: func(r *platform.Radio) { r.Standards = "g" }, not: []string{"ieee80211n", "ht_capab"}},
	"long guard":           {wiphy: pi, radio: func(r *platform.Radio) { r.Guard = "800nsec" }, not: []string{"SHORT-GI"}},

	"2.4 GHz above": {wiphy: router, radio: at("2.4GHz", "g,n,ax", "40MHz", 6), want: []string{"country_code=DE", "ieee80211d=1", "ieee80211ax=1",
		"ht_capab=[LDPC][TX-STBC][MAX-AMSDU-7935][DSSS_CCK-40][HT40+][SHORT-GI-20][SHORT-GI-40][RX-STBC1]"}, not: []string{"ieee80211h", "he_oper"}},
	"2.4 GHz below": {wiphy: router, radio: at("2.4GHz", "g,n", "40MHz", 11), want: []string{"ht_capab=[LDPC][TX-STBC][MAX-AMSDU-7935][DSSS_CCK-40][HT40-][SHORT-GI-20][SHORT-GI-40][RX-STBC1]"}},
	"by itself":     {wiphy: router, radio: at("2.4GHz", "g,n", "Auto", 6), not: []string{"HT40"}},
	"80 MHz": {wiphy: router, radio: at("5GHz", "a,n,ac,ax", "80MHz", 44), want: []string{"hw_mode=a", "channel=44", "ieee80211h=1", "ieee80211ac=1", "vht_oper_chwidth=1",
		"vht_oper_centr_freq_seg0_idx=42", "he_oper_chwidth=1", "he_oper_centr_freq_seg0_idx=42", "vht_capab=[RXLDPC][TX-STBC-2BY1][SHORT-GI-80][SHORT-GI-160][MAX-MPDU-11454][RX-STBC-1][MAX-A-MPDU-LEN-EXP7]"}},
	"160 MHz": {wiphy: router, radio: at("5GHz", "a,n,ac,ax", "160MHz", 100), want: []string{"vht_oper_chwidth=2", "vht_oper_centr_freq_seg0_idx=114",
		"vht_capab=[RXLDPC][TX-STBC-2BY1][SHORT-GI-80][SHORT-GI-160][VHT160][MAX-MPDU-11454][RX-STBC-1][MAX-A-MPDU-LEN-EXP7]"}},
	"40 MHz":           {wiphy: router, radio: at("5GHz", "n,ac", "40MHz", 153), want: []string{"require_ht=1", "vht_oper_chwidth=0", "vht_oper_centr_freq_seg0_idx=151"}},
	"the last channel": {wiphy: router, radio: at("5GHz", "a,n,ac", "Auto", 165), want: []string{"vht_oper_chwidth=0"}, not: []string{"seg0_idx", "HT40"}},
	"only ac":          {wiphy: router, radio: at("5GHz", "ac,ax", "80MHz", 0), want: []string{"require_vht=1", "channel=acs_survey", "vht_oper_chwidth=1"}, not: []string{"seg0_idx", "acs_exclude_dfs"}},
	"no radars":        {wiphy: router, radio: func(r *platform.Radio) { at("5GHz", "a,n,ac", "80MHz", 0)(r); r.DFS = false }, want: []string{"acs_exclude_dfs=1"}, not: []string{"ieee80211h"}},
	"6 GHz":            {wiphy: router, radio: at("6GHz", "ax", "160MHz", 37), points: []func(*wlan){mode("WPA3-Personal", nil)}, want: []string{"op_class=134", "he_oper_chwidth=2", "he_oper_centr_freq_seg0_idx=47", "sae_pwe=1", "ieee80211w=2"}, not: []string{"ieee80211n", "ieee80211ac"}},
	"6 GHz, 20 MHz":    {wiphy: router, radio: at("6GHz", "ax", "20MHz", 5), points: []func(*wlan){mode("OWE", nil)}, want: []string{"op_class=131", "he_oper_centr_freq_seg0_idx=5"}},
	"6 GHz, automatic": {wiphy: router, radio: at("6GHz", "ax", "Auto", 0), points: []func(*wlan){mode("OWE", nil)}, want: []string{"op_class=133", "channel=acs_survey"}},
	"no such channel":  {wiphy: pi, radio: at("2.4GHz", "g,n", "20MHz", 36), fails: "channel 36 is none of its 2.4GHz band"},
	"no such band":     {wiphy: pi, radio: at("5GHz", "a,n", "20MHz", 36), fails: `no band "5GHz"`},
	"too wide":         {wiphy: pi, radio: at("2.4GHz", "g,n", "40MHz", 1), fails: "it can do 20 MHz, not 40"},
	"wide at the edge": {wiphy: router, radio: at("5GHz", "a,n,ac", "80MHz", 165), fails: "channel 165 cannot be 80 MHz wide"},
	"two halves":       {wiphy: router, radio: at("5GHz", "a,n,ac", "80+80MHz", 36), fails: "80+80MHz"},
	"wrong side":       {wiphy: router, radio: func(r *platform.Radio) { at("5GHz", "a,n", "40MHz", 36)(r); r.Extension = "BelowControlChannel" }, fails: "channel 36 cannot be 40 MHz wide"},
	"only ax":          {wiphy: router, radio: at("5GHz", "ax", "80MHz", 36), fails: "do not speak 802.11ax"},
	"not without law":  {wiphy: nl80211.Wiphy{Bands: []nl80211.Band{{ID: 0, Channels: []nl80211.Channel{{MHz: 2412, NoIR: true}}}}}, deaf: true, fails: "without a country"},

	"open":      {wiphy: pi, points: []func(*wlan){mode("None", nil)}, want: []string{"auth_algs=1"}, not: []string{"wpa"}},
	"WPA":       {wiphy: pi, points: []func(*wlan){mode("WPA-Personal", nil)}, radio: func(r *platform.Radio) { r.Standards = "g" }, want: []string{"wpa=1", "wpa_pairwise=TKIP"}, not: []string{"rsn_", "ieee80211w"}},
	"WPA, WPA2": {wiphy: pi, points: []func(*wlan){mode("WPA-WPA2-Personal", nil)}, want: []string{"wpa=3", "wpa_pairwise=TKIP", "rsn_pairwise=CCMP"}},
	"a key": {wiphy: pi, points: []func(*wlan){mode("WPA2-Personal", func(s *platform.WiFiSecurity) { s.Passphrase, s.PSK = "", bytes.Repeat([]byte{0xa5}, 32) })},
		want: []string{"wpa_psk=" + strings.Repeat("a5", 32)}, not: []string{"wpa_passphrase"}},
	"protected": {wiphy: router, points: []func(*wlan){mode("WPA2-Personal", func(s *platform.WiFiSecurity) { s.MFP, s.Rekey = "Optional", 2*time.Hour })},
		want: []string{"wpa_key_mgmt=WPA-PSK WPA-PSK-SHA256", "ieee80211w=1", "wpa_group_rekey=7200"}},
	"WPA3":       {wiphy: router, points: []func(*wlan){mode("WPA3-Personal", func(s *platform.WiFiSecurity) { s.SAE = "x|mac=1|id=2" })}, want: []string{"wpa_key_mgmt=SAE", "ieee80211w=2", "sae_require_mfp=1", "sae_pwe=2", "wpa_passphrase=x|mac=1|id=2"}},
	"transition": {wiphy: router, points: []func(*wlan){mode("WPA3-Personal-Transition", nil)}, want: []string{"wpa_key_mgmt=WPA-PSK SAE WPA-PSK-SHA256", "ieee80211w=1"}},
	"OWE":        {wiphy: router, points: []func(*wlan){mode("OWE", nil)}, want: []string{"wpa_key_mgmt=OWE", "ieee80211w=2"}, not: []string{"wpa_passphrase"}},
	"enterprise": {wiphy: router, points: []func(*wlan){mode("WPA2-Enterprise", radius)}, want: []string{"ieee8021x=1", "wpa_key_mgmt=WPA-EAP", "auth_server_addr=192.0.2.9",
		"auth_server_port=1645", `auth_server_shared_secret=s 3 \'"#`, "nas_identifier=020000000100-wlan7"}, not: []string{"wpa_passphrase"}},
	"WPA3 enterprise": {wiphy: router, points: []func(*wlan){mode("WPA3-Enterprise", func(s *platform.WiFiSecurity) { radius(s); s.MFP = "Required" })}, want: []string{"wpa_key_mgmt=WPA-EAP-SHA256", "ieee80211w=2"}},
	"by IPv6": {wiphy: router, points: []func(*wlan){mode("WPA2-Enterprise", func(s *platform.WiFiSecurity) { radius(s); s.RadiusServer = netip.MustParseAddr("2001:db8::9") })},
		want: []string{"auth_server_addr=2001:db8::9"}},
	"WPS":                 {wiphy: router, points: []func(*wlan){func(n *wlan) { n.ap.WPS = true }}, want: []string{"eap_server=1", "wps_state=2", "config_methods=push_button"}},
	"WPS of a hidden one": {wiphy: router, points: []func(*wlan){func(n *wlan) { n.ap.WPS, n.ap.Advertised = true, false }}, want: []string{"ignore_broadcast_ssid=1"}, not: []string{"wps_"}},
	"everything": {wiphy: router, points: []func(*wlan){func(n *wlan) {
		n.ap.Isolated, n.ap.UAPSD, n.ap.MaxDevices, n.bridge, n.ap.AllowedMAC = true, true, 2007, "br0", []string{"02:00:00:00:00:01", "02:00:00:00:00:02"}
		n.ssid.Name = "caf\xe9 \n\"'#=\x00"
	}}, want: []string{"ap_isolate=1", "uapsd_advertisement_enabled=1", "max_num_sta=2007", "bridge=br0", "macaddr_acl=1", "ssid2=636166e9200a2227233d00"}, not: []string{"utf8"}},
	"no WMM": {wiphy: pi, points: []func(*wlan){func(n *wlan) { n.ap.WMM, n.ap.UAPSD = false, true }}, radio: func(r *platform.Radio) { r.Standards = "g" }, want: []string{"wmm_enabled=0"}, not: []string{"uapsd"}},
	"four": {wiphy: router, points: []func(*wlan){nil, mode("None", nil), mode("OWE", nil), mode("WPA2-Enterprise", radius)},
		want: []string{"bss=wifi2", "bssid=06:00:00:00:01:00", "bss=wifi3", "bssid=0a:00:00:00:01:00", "bss=wifi4", "bssid=0e:00:00:00:01:00"}},

	"a line of its own": {wiphy: pi, points: []func(*wlan){mode("WPA2-Personal", func(s *platform.WiFiSecurity) { s.Passphrase = "12345678\nignore_broadcast_ssid=1" })}, fails: "wpa_passphrase: a control character"},
	"a line of RADIUS":  {wiphy: pi, points: []func(*wlan){mode("WPA2-Enterprise", func(s *platform.WiFiSecurity) { radius(s); s.RadiusSecret = "a\rb" })}, fails: "auth_server_shared_secret: a control character"},
}

// render makes the cell of a hostapdFile, with the files that it wants in a folder.
func (x hostapdFile) render(t *testing.T, dir string) (text []byte, err error) {
	t.Helper()
	mac := map[string]string{"phy0": "b8:27:eb:00:00:01"}[x.wiphy.Name]
	if mac == "" {
		mac = "02:00:00:00:01:00"
	}
	c := cell{link: "wlan7", survey: !x.deaf, radio: radio{Wiphy: x.wiphy, mac: mac, key: radioPrefix + strings.ReplaceAll(mac, ":", "")},
		conf: platform.Radio{Enabled: true, Band: "2.4GHz", Standards: "g,n", Width: "Auto", Extension: "Auto", Guard: "Auto", MCS: -1, TxPower: -1, DFS: true}}
	if x.radio != nil {
		x.radio(&c.conf)
	}
	if x.points == nil {
		x.points = []func(*wlan){nil}
	}
	for i, change := range x.points {
		n := wlan{key: "wifi" + string(rune('1'+i)), link: "wlan7", ssid: platform.SSID{Enabled: true, Name: "Home"},
			ap: platform.AccessPoint{Enabled: true, Advertised: true, WMM: true, Security: platform.WiFiSecurity{Mode: "WPA2-Personal", Passphrase: "twelve monkeys", MFP: "Disabled"}}}
		if i > 0 {
			n.link, n.bssid = n.key, c.radio.bssid(i)
		}
		if change != nil {
			change(&n)
		}
		if n.ap.AllowedMAC != nil {
			n.accept = filepath.Join(dir, "gatehouse-"+n.key+".accept")
			if err := os.WriteFile(n.accept, acceptFile(n.ap.AllowedMAC), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if err := n.lacks(c.conf.Band); err != nil && x.fails == "" {
			t.Fatalf("it would not be offered: %v", err)
		}
		c.nets = append(c.nets, n)
	}
	return c.render(filepath.Join(dir, "run"))
}

func TestHostapdFiles(t *testing.T) {
	for name, x := range hostapdFiles {
		t.Run(name, func(t *testing.T) {
			text, err := x.render(t, t.TempDir())
			if x.fails != "" {
				if err == nil || !strings.Contains(err.Error(), x.fails) {
					t.Errorf("got %v, want %q", err, x.fails)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			lines := strings.Split(string(text), "\n")
			for _, want := range x.want {
				if !slices.Contains(lines, want) {
					t.Errorf("%q is missing", want)
				}
			}
			for _, not := range x.not {
				if strings.Contains(string(text), "\n"+not) || strings.Contains(string(text), "["+not) || strings.Contains(string(text), "_"+not) {
					t.Errorf("%q is in it", not)
				}
			}
			if t.Failed() {
				t.Logf("it is\n%s", text)
			}
		})
	}
}

// TestPeerHostapdParses: the real hostapd reads every file that we make. It reads
// all of it, and says what it does not like, before it looks for the radio, which
// is not there.
func TestPeerHostapdParses(t *testing.T) {
	rooms.Need(t, "hostapd")
	said := func(t *testing.T, text []byte, dir string) string {
		t.Helper()
		file := filepath.Join(dir, "wlan7.conf")
		if err := os.WriteFile(file, text, 0o600); err != nil {
			t.Fatal(err)
		}
		ctx, stop := context.WithTimeout(t.Context(), 30*time.Second)
		defer stop()
		out, err := exec.CommandContext(ctx, "hostapd", file).CombinedOutput()
		var exit *exec.ExitError
		if !errors.As(err, &exit) || !exit.Exited() {
			t.Fatalf("it has not ended by itself: %v\n%s", err, out)
		}
		return string(out)
	}
	for name, x := range hostapdFiles {
		if x.fails != "" {
			continue
		}
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			text, err := x.render(t, dir)
			if err != nil {
				t.Fatal(err)
			}
			out := said(t, text, dir)
			for _, bad := range []string{"Line ", "errors found", "disabling", "forced", "invalid", "Invalid", "Cannot", "not supported"} {
				if strings.Contains(out, bad) {
					t.Errorf("it says %q:\n%s\nof\n%s", bad, out, text)
				}
			}
			if !strings.Contains(out, "nl80211") { // then it came as far as the radio
				t.Errorf("it has not looked for the radio:\n%s", out)
			}
		})
	}
	// The judge can say no.
	if out := said(t, []byte("interface=wlan7\ndriver=nl80211\nht_capab=1\nnonsense=1\nssid2=zz\n"), t.TempDir()); !strings.Contains(out, "Line 4") || !strings.Contains(out, "errors found") {
		t.Errorf("it likes nonsense:\n%s", out)
	}
}

// runHostapd runs the real one on the loopback interface, where it needs no radio
// because it only serves RADIUS, and returns the folder of its control sockets.
func runHostapd(t *testing.T) (run string, cmd *exec.Cmd) {
	t.Helper()
	rooms.Need(t, "hostapd")
	dir, err := os.MkdirTemp("", "hostapd")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	file, run := filepath.Join(dir, "lo.conf"), filepath.Join(dir, "run")
	if err := os.WriteFile(file, []byte("interface=lo\ndriver=none\nctrl_interface="+run+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd = exec.Command("hostapd", file)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() }) // it may have ended
	buf := make([]byte, 4096)
	for said := ""; !strings.Contains(said, "AP-ENABLED"); {
		n, err := out.Read(buf)
		if err != nil {
			t.Fatalf("%v; it said %q", err, said)
		}
		said += string(buf[:n])
	}
	return run, cmd
}

func dialLoopback(t *testing.T, run string) *control {
	t.Helper()
	h, err := dialControl(run, "lo")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { h.Close() })
	return h
}

// TestPeerHostapdAnswers: the control interface of the real hostapd.
func TestPeerHostapdAnswers(t *testing.T) {
	run, _ := runHostapd(t)
	h := dialLoopback(t, run)
	if answer, err := h.ask(t.Context(), "PING"); answer != "PONG\n" || err != nil {
		t.Errorf("%q (%v)", answer, err)
	}
	s, err := h.state(t.Context())
	if err != nil || s.state != "ENABLED" || s.beaconEvery != 100 || s.dtim != 2 || len(s.nets) != 1 || s.nets[0].link != "lo" {
		t.Errorf("%+v (%v)", s, err)
	}
	if all, err := h.stations(t.Context()); len(all) != 0 || err != nil {
		t.Errorf("%+v (%v)", all, err)
	}
	if err := h.await(t.Context()); err != nil {
		t.Error(err)
	}
	if _, err := h.ask(t.Context(), "NONSENSE secret"); err == nil || strings.Contains(err.Error(), "secret") {
		t.Errorf("%v", err)
	}
}

// TestPeerHostapdEvents: it is heard when it goes on and off the air, and when it
// ends.
func TestPeerHostapdEvents(t *testing.T) {
	run, cmd := runHostapd(t)
	h, ear := dialLoopback(t, run), dialLoopback(t, run)
	topics, ended := make(chan platform.Topic, 1), make(chan error, 1)
	go func() {
		ended <- ear.hear(t.Context(), func(x platform.Topic) {
			select {
			case topics <- x:
			default:
			}
		})
	}()
	for deadline := time.Now().Add(20 * time.Second); len(topics) == 0; { // until it has attached
		for _, request := range []string{"DISABLE", "ENABLE"} {
			if _, err := h.ask(t.Context(), request); err != nil {
				t.Fatal(err)
			}
		}
		if time.Now().After(deadline) {
			t.Fatal("it is not heard")
		}
	}
	if x := <-topics; x != platform.WiFiChanged {
		t.Errorf("topic %d", x)
	}
	if err := cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	if err := <-ended; err != nil {
		t.Errorf("it left, and %v", err)
	}
	if _, err := cmd.Process.Wait(); err != nil {
		t.Fatal(err)
	}
	if err := h.poke(); err == nil {
		t.Error("nobody is there, and nobody says so")
	}
}

// TestAwaitEnds: a radio that finds no channel, and one that has nobody to answer.
func TestAwaitEnds(t *testing.T) {
	dir, err := os.MkdirTemp("", "hostapd")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	if _, err := dialControl(dir, "wlan0"); err == nil || !strings.Contains(err.Error(), "hostapd on wlan0") {
		t.Errorf("nobody is there: %v", err)
	}
	s, err := listenAs(dir, "wlan0", "state=ACS\n")
	if err != nil {
		t.Fatal(err)
	}
	defer s.end()
	dial := func() *control {
		h, err := dialControl(dir, "wlan0")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { h.Close() })
		return h
	}
	ended, end := context.WithCancel(t.Context())
	told := make(chan error)
	h := dial()
	go func() { told <- h.await(ended) }()
	s.wait(t, "STATUS")
	end() // the agent is to end: it has less time than a radio
	if err := <-told; !errors.Is(err, context.Canceled) {
		t.Errorf("it waits on: %v", err)
	}
	ctx, stop := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer stop()
	if err := dial().await(ctx); err == nil {
		t.Error("it looks for a channel for ever, and that will do")
	}
	s.become("DISABLED", "<3>ACS-FAILED ")
	if err := dial().await(t.Context()); err == nil || !strings.Contains(err.Error(), "DISABLED") {
		t.Errorf("%v", err)
	}
	gone, stop := context.WithCancel(t.Context())
	stop()
	if _, err := dial().ask(gone, "PING"); !errors.Is(err, context.Canceled) {
		t.Errorf("it asks on: %v", err)
	}
}

func TestParseStatus(t *testing.T) {
	s := parseStatus("state=ENABLED\nchannel=36\nbeacon_int=x\ndtim_period=3\nbss[0]=wlan0\nbssid[0]=02:00:00:00:00:01\nssid[0]=state=DISABLED\nnum_sta[0]=1\n" +
		"bss[1]=wifi2\nbssid[1]=nonsense\nbss[7]=far\nbss[-1]=low\nbss[=odd\n")
	if s.state != "ENABLED" || s.channel != 36 || s.beaconEvery != 0 || s.dtim != 3 || !slices.Equal(s.nets, []offered{{"wlan0", "02:00:00:00:00:01"}, {"wifi2", ""}}) {
		t.Errorf("%+v", s)
	}
}

func TestHintOf(t *testing.T) {
	for event, want := range map[string]platform.Topic{
		"<3>AP-STA-CONNECTED 02:00:00:00:00:01": platform.StationChanged, "<3>AP-ENABLED ": platform.WiFiChanged, "<3>DFS-RADAR-DETECTED freq=5500": platform.WiFiChanged,
		"AP-ENABLED": 0, "PONG": 0, "": 0, "<": 0, "<3>CTRL-EVENT-EAP-STARTED x": 0,
	} {
		if got := hintOf(event); got != want {
			t.Errorf("%q hints at %d, want %d", event, got, want)
		}
	}
}

// FuzzControl: whatever hostapd, or somebody in its place, sends.
func FuzzControl(f *testing.F) {
	f.Add("state=ENABLED\nbss[0]=wlan0\nbssid[0]=02:00:00:00:00:01\n")
	f.Add("02:00:00:00:00:01\nflags=[AUTHORIZED]\nrx_bytes=18446744073709551615\ninactive_msec=9999999999999\nconnected_time=9\nsignal=-1\n")
	f.Add("<3>AP-STA-CONNECTED 02")
	f.Fuzz(func(t *testing.T, text string) {
		if s := parseStatus(text); len(s.nets) > mostNetworks {
			t.Errorf("%d networks", len(s.nets))
		}
		if s, ok := parseStation(text, time.Unix(1800000000, 0)); ok && hardware(s.MAC) != s.MAC {
			t.Errorf("%+v", s)
		}
		hintOf(text)
	})
}

// FuzzHostapdFile: no value gets a line of its own.
func FuzzHostapdFile(f *testing.F) {
	f.Add("Home", "twelve monkeys", "secret", "wlan0")
	f.Add("\n", "\r\n", "\x00", "x\ny")
	f.Fuzz(func(t *testing.T, name, pass, secret, link string) {
		for _, m := range []string{"WPA2-Personal", "WPA3-Personal", "WPA2-Enterprise"} {
			x := hostapdFiles["plain"]
			x.points = []func(*wlan){func(n *wlan) {
				n.ssid.Name, n.bridge = name, link
				n.ap.Security.Mode, n.ap.Security.Passphrase, n.ap.Security.RadiusSecret = m, pass, secret
				n.ap.Security.RadiusServer = netip.MustParseAddr("192.0.2.9")
			}}
			x.fails = "it may"
			plain, err := hostapdFiles["plain"].render(t, "")
			if err != nil {
				t.Fatal(err)
			}
			text, err := x.render(t, "")
			if err != nil {
				if strings.Contains(err.Error(), pass) && len(pass) > 8 {
					t.Errorf("the secret is told: %v", err)
				}
				continue
			}
			if n := bytes.Count(text, []byte("\n")); n > bytes.Count(plain, []byte("\n"))+8 || bytes.ContainsAny(text, "\r\x00") {
				t.Errorf("%d lines:\n%q", n, text)
			}
		}
	})
}
