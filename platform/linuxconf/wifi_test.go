package linuxconf

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"gatehouse/internal/nl80211"
	"gatehouse/platform"
	"gatehouse/platform/platformtest"
)

// TestWiFiSuite runs the suite of the wireless side that every backend passes.
func TestWiFiSuite(t *testing.T) {
	platformtest.WiFi(t, func(t *testing.T) platform.Platform {
		v := newVilla(t, router)
		reload(t, &v.p, v.offer(routerKey, "wifi1", "ap1", "Home", nil))
		return v.p
	})
}

// TestRadiosBeforeAnythingIsWritten: the rows are there, off, and nothing is
// written for them until something is.
func TestRadiosBeforeAnythingIsWritten(t *testing.T) {
	v := newVilla(t, pi, router)
	got := v.radio(piKey)
	want := platform.Radio{Band: "2.4GHz", Standards: "g,n", Width: "Auto", Extension: "Auto", Guard: "Auto", MCS: -1, TxPower: -1, DFS: true}
	if got != want {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
	b, err := v.p.Config.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	v.p.WiFi.Radios.Put(b, piKey, got)
	if services := v.commit(b); len(services) != 0 || len(b.Writes()) != 0 {
		t.Errorf("nothing changes, and %v are told of %v", services, b.Writes())
	}
	if _, err := os.Stat(filepath.Join(v.root, "config", "wireless")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a file of nothing: %v", err)
	}
	if err := v.p.Config.Reload(t.Context(), []string{"wireless"}); err != nil || v.units.orders() != nil {
		t.Errorf("something was started (%v)", err)
	}
	v.set(piKey, func(r *platform.Radio) { r.Country = "DE" })
	v.start() // both were written, and one has gone
	v.kernel.Do(func() { v.kernel.Wiphys = v.kernel.Wiphys[:1] })
	v.p.WiFi.State.(*wifi).hint()
	if v.radio(routerKey); v.radio(piKey).Country != "DE" {
		t.Error("what was written is not there")
	}
	for s, err := range v.p.WiFi.State.Radios(t.Context()) {
		if err != nil || s.Key != piKey {
			t.Errorf("%+v (%v)", s, err)
		}
	}
}

// TestLifeOfANetwork: from the first row to the last.
func TestLifeOfANetwork(t *testing.T) {
	v := newVilla(t, pi, router)
	reload(t, &v.p, v.offer(routerKey, "wifi1", "ap1", "Home", nil))
	path := filepath.Join(v.root, "etc/hostapd/wlan1.conf")
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Fatalf("%v (%v)", info, err)
	}
	if got := v.units.orders(); !slices.Equal(got, []string{"restart hostapd@wlan1.service"}) || v.kernel.Power[1] != -1 {
		t.Errorf("%v, power %v", got, v.kernel.Power)
	}
	reload(t, &v.p, []string{"wireless"})
	v.start()
	reload(t, &v.p, []string{"wireless"})
	if got := v.units.orders(); got != nil {
		t.Errorf("it serves, and %v", got)
	}
	reload(t, &v.p, v.set(routerKey, func(r *platform.Radio) { r.TxPower = 50 }))
	if got := v.units.orders(); got != nil || v.kernel.Power[1] != 1999 {
		t.Errorf("half of 23 dBm is %d; %v", v.kernel.Power[1], got)
	}
	// A second one, with stations of its own choice.
	reload(t, &v.p, v.offer(routerKey, "wifi2", "ap2", "Guests", func(a *platform.AccessPoint) {
		a.MACFilter, a.AllowedMAC = true, []string{"02:00:00:00:00:0a"}
	}))
	text := v.file("wlan1.conf")
	if !strings.Contains(text, "bss=wifi2\nbssid=06:00:00:00:01:00\n") || !strings.Contains(v.file("gatehouse-wifi2.accept"), "\n02:00:00:00:00:0a\n") {
		t.Errorf("the second network:\n%s\n%s", text, v.file("gatehouse-wifi2.accept"))
	}
	if got := v.units.orders(); len(got) != 1 {
		t.Errorf("%v", got)
	}
	os.Remove(filepath.Join(v.root, "run/hostapd/wlan1")) // it was killed
	reload(t, &v.p, []string{"wireless"})
	if got := v.units.orders(); len(got) != 1 {
		t.Errorf("a dead hostapd is left dead: %v", got)
	}
	reload(t, &v.p, v.set(routerKey, func(r *platform.Radio) { r.Enabled = false }))
	if got := v.units.orders(); !slices.Equal(got, []string{"stop hostapd@wlan1.service"}) || v.file("wlan1.conf")+v.file("gatehouse-wifi2.accept") != "" {
		t.Errorf("off: %v, and\n%s", got, v.file("wlan1.conf"))
	}
}

// TestUndoAndFactoryReset: what was taken back is off the air, and after a reset
// nothing of ours is left.
func TestUndoAndFactoryReset(t *testing.T) {
	v := newVilla(t, router)
	b, err := v.p.Config.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	r := v.radio(routerKey)
	r.Enabled, r.Country = true, "DE"
	v.p.WiFi.Radios.Put(b, routerKey, r)
	reload(t, &v.p, v.commit(b))
	undo := b.Undo()
	services, err := v.p.Config.Undo(t.Context(), undo)
	if err != nil || v.radio(routerKey).Enabled {
		t.Errorf("%v (%v)", services, err)
	}
	reload(t, &v.p, v.offer(routerKey, "wifi1", "ap1", "Home", nil))
	if err := v.p.Power.FactoryReset(t.Context()); err != nil || v.power != 1 {
		t.Errorf("%d restarts (%v)", v.power, err)
	}
	if v.units.runs("hostapd@wlan0.service") || v.file("wlan0.conf") != "" {
		t.Error("the network goes on")
	}
	if _, err := os.Stat(filepath.Join(v.root, "config")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the folder: %v", err)
	}
}

// TestNotOurs: what is somebody else's is left alone, and named.
func TestNotOurs(t *testing.T) {
	for name, c := range map[string]struct {
		world func(v *villa)
		want  string
	}{
		"file":         {func(v *villa) { v.write("etc/hostapd/wlan0.conf", "interface=wlan0\n") }, "etc/hostapd/wlan0.conf is not ours"},
		"access point": {func(v *villa) { v.kernel.Interfaces[0].AP, v.kernel.Interfaces[0].Station = true, false }, "wlan0 is an access point already"},
		"way out":      {func(v *villa) { v.kernel.Interfaces[0].SSID, v.kernel.Interfaces[0].MHz = "Cafe", 2412 }, "wlan0 has joined a network"},
		"no interface": {func(v *villa) { v.kernel.Interfaces = nil }, "no network interface"},
		"switched off": {func(v *villa) {
			v.mkdir("sys/class/ieee80211/phy0/rfkill0")
			v.write("sys/class/ieee80211/phy0/rfkill0/hard", "0\n")
			v.write("sys/class/ieee80211/phy0/rfkill0/soft", "1\n")
		}, "rfkill unblock wifi"},
		"a poor driver": {func(v *villa) { v.kernel.Wiphys[0].AP = false }, "cannot offer networks"},
	} {
		t.Run(name, func(t *testing.T) {
			v := newVilla(t, pi)
			services := v.offer(piKey, "wifi1", "ap1", "Home", nil)
			v.kernel.Do(func() { c.world(v) })
			before := v.file("wlan0.conf")
			err := v.p.Config.Reload(t.Context(), services)
			var failed *platform.ServiceError
			if !errors.As(err, &failed) || failed.Service != "wireless" || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %q", err, c.want)
			}
			if got := v.units.orders(); got != nil || v.file("wlan0.conf") != before {
				t.Errorf("%v, and it is\n%s", got, v.file("wlan0.conf"))
			}
		})
	}
}

// TestTooMuch: a radio that cannot do what is asked says so, and the other one
// goes on.
func TestTooMuch(t *testing.T) {
	v := newVilla(t, pi, router)
	v.offer(piKey, "wifi1", "ap1", "Home", nil)
	v.offer(routerKey, "wifi3", "ap3", "Else", nil)
	services := v.offer(piKey, "wifi2", "ap2", "Guests", nil)
	if err := v.p.Config.Reload(t.Context(), services); err == nil || !strings.Contains(err.Error(), "2 networks: its driver can offer 1") {
		t.Errorf("%v", err)
	}
	if !v.units.runs("hostapd@wlan1.service") || v.units.runs("hostapd@wlan0.service") {
		t.Error("the wrong one runs")
	}
}

// TestHostapdFails: by systemd, at once; by its own state, later.
func TestHostapdFails(t *testing.T) {
	v := newVilla(t, pi)
	v.units.comes = "DISABLED"
	services := v.offer(piKey, "wifi1", "ap1", "Home", nil)
	if err := v.p.Config.Reload(t.Context(), services); err == nil || !strings.Contains(err.Error(), "DISABLED") {
		t.Errorf("%v", err)
	}
	v.units.comes = "DFS" // it listens for a minute
	reload(t, &v.p, services)
	v.units.fail = map[string]error{"hostapd@wlan0.service": errors.New("the job has ended as \"failed\"")}
	services = v.set(piKey, func(r *platform.Radio) { r.Channel = 6 })
	if err := v.p.Config.Reload(t.Context(), services); err == nil || !strings.Contains(err.Error(), "hostapd@wlan0.service: the job") {
		t.Errorf("%v", err)
	}
	if strings.Contains(v.log.String(), "monkeys") {
		t.Errorf("a secret in the log:\n%s", v.log.String())
	}
}

// TestAwaitsTheChannel: hostapd looks for a channel before it sends.
func TestAwaitsTheChannel(t *testing.T) {
	v := newVilla(t, pi)
	v.units.comes = "ACS"
	services := v.offer(piKey, "wifi1", "ap1", "Home", nil)
	done := make(chan error)
	go func() { done <- v.p.Config.Reload(context.WithoutCancel(t.Context()), services) }()
	var s *daemonSocket
	for s == nil {
		s = v.units.socket("wlan0")
	}
	s.wait(t, "STATUS")
	s.become("ENABLED", "<3>AP-ENABLED ")
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// TestIncompleteNetworks: hostapd would start none of the radio's networks if it
// were told of one of these.
func TestIncompleteNetworks(t *testing.T) {
	for name, change := range map[string]func(*platform.WiFiSecurity){
		"no passphrase": func(s *platform.WiFiSecurity) { s.Passphrase = "" },
		"no server":     func(s *platform.WiFiSecurity) { s.Mode, s.RadiusSecret = "WPA2-Enterprise", "x" },
		"long secret": func(s *platform.WiFiSecurity) { // hostapd would read its end as a line
			s.Mode, s.RadiusServer, s.RadiusSecret = "WPA2-Enterprise", ip("192.0.2.1"), strings.Repeat("x", 4069)+"interface=eth0"
		},
		"WEP": func(s *platform.WiFiSecurity) { s.Mode, s.WEPKey = "WEP-64", []byte("12345") },
		"WPA3 by a key": func(s *platform.WiFiSecurity) {
			s.Mode, s.Passphrase, s.PSK, s.MFP = "WPA3-Personal", "", []byte(strings.Repeat("k", 32)), "Required"
		},
	} {
		t.Run(name, func(t *testing.T) {
			v := newVilla(t, router)
			v.offer(routerKey, "wifi1", "ap1", "Home", nil)
			reload(t, &v.p, v.offer(routerKey, "wifi2", "ap2", "Guests", func(a *platform.AccessPoint) { change(&a.Security) }))
			text := v.file("wlan0.conf")
			if strings.Contains(text, "bss=") || !strings.Contains(text, "wpa_passphrase=twelve monkeys\n") {
				t.Errorf("it is\n%s", text)
			}
			if !strings.Contains(v.log.String(), "a network is not offered") {
				t.Error("and nobody is told why")
			}
		})
	}
}

// TestState: radios, networks and stations, while they are on and when hostapd
// has gone.
func TestState(t *testing.T) {
	v := newVilla(t, pi)
	v.kernel.Do(func() { v.kernel.Noise[10] = -95 })
	reload(t, &v.p, v.offer(piKey, "wifi1", "ap1", "Home", nil))
	v.kernel.Do(func() {
		v.kernel.Stations[10] = []nl80211.Station{{MAC: "02:00:00:00:00:aa", Authorized: true, Inactive: time.Second, Connected: time.Minute, Signal: -60,
			RxBytes: 1, TxBytes: 2, RxPackets: 3, TxPackets: 40, Retries: 10, Failed: 5, RxKbit: 6000, TxKbit: 65000, Generation: "n"},
			{MAC: "02:00:00:00:00:bb", Inactive: time.Hour}}
	})
	radio := first(t, v.p.WiFi.State.Radios(t.Context()))
	want := platform.RadioState{
		Key: piKey, Name: "phy0", Up: true, Bands: []string{"2.4GHz"}, Standards: []string{"b", "g", "n"}, Channels: "1-11", InUse: "6", Channel: 6, Width: "20MHz",
		MaxBitRate: 72, TxPowers: []int32{-1, 12, 25, 50, 100}, Noise: -95, BeaconEvery: 100, DTIM: 2, Stats: platform.LinkStats{BytesSent: 1000},
		Widths: []string{"20MHz", "Auto"}, WMM: true, WPSMethods: []string{"PushButton"},
		Modes: []string{"None", "WPA-Personal", "WPA2-Personal", "WPA-WPA2-Personal", "WPA-Enterprise", "WPA2-Enterprise", "WPA-WPA2-Enterprise"},
	}
	if !reflect.DeepEqual(radio, want) {
		t.Errorf("got  %+v\nwant %+v", radio, want)
	}
	net := first(t, v.p.WiFi.State.SSIDs(t.Context()))
	if want := (platform.SSIDState{Key: "wifi1", Link: "wlan0", Up: true, BSSID: "02:00:00:00:99:00", Stats: platform.LinkStats{BytesSent: 1000}}); net != want {
		t.Errorf("%+v", net)
	}
	s := first(t, v.p.WiFi.State.Stations(t.Context(), "wifi1"))
	if time.Since(s.Associated) < 50*time.Second || time.Since(s.Associated) > 10*time.Minute {
		t.Errorf("since %v", s.Associated)
	}
	s.Associated = time.Time{}
	if want := (platform.Station{MAC: "02:00:00:00:00:aa", Authorized: true, Active: true, Downlink: 65000, Uplink: 6000, Signal: -60, Noise: -95, Retransmissions: 25, Standard: "n",
		BytesSent: 2, BytesReceived: 1, PacketsSent: 40, PacketsRecvd: 3, ErrorsSent: 5}); s != want {
		t.Errorf("got  %+v\nwant %+v", s, want)
	}
}

// TestStateWithoutAnswers: a driver that lists nobody, and hostapd, which does;
// then neither, and last not even the kernel.
func TestStateWithoutAnswers(t *testing.T) {
	v := newVilla(t, pi)
	reload(t, &v.p, v.offer(piKey, "wifi1", "ap1", "Home", nil))
	v.kernel.Do(func() { v.kernel.Stations = nil })
	sock := v.units.socket("wlan0")
	sock.mu.Lock()
	sock.stations = []string{"02:00:00:00:00:aa\nflags=[AUTH][ASSOC][AUTHORIZED]\nrx_bytes=7\n", "02:00:00:00:00:bb\nflags=[AUTH]\n"}
	sock.mu.Unlock()
	n := 0
	for s, err := range v.p.WiFi.State.Stations(t.Context(), "wifi1") {
		if n++; err != nil || s.Authorized != (n == 1) {
			t.Errorf("%+v (%v)", s, err)
		}
	}
	if n != 2 {
		t.Errorf("%d stations", n)
	}
	v.units.close("hostapd@wlan0.service")
	if first(t, v.p.WiFi.State.Radios(t.Context())).Up {
		t.Error("without hostapd it is up")
	}
	for s := range v.p.WiFi.State.SSIDs(t.Context()) {
		t.Errorf("without hostapd there is %+v", s)
	}
	v.kernel.Do(func() { v.kernel.Fail = map[uint8]error{unix.NL80211_CMD_GET_WIPHY: unix.EIO} })
	v.p.WiFi.State.(*wifi).hint()
	var gone *platform.Unavailable
	for _, err := range v.p.WiFi.State.Radios(t.Context()) {
		if !errors.As(err, &gone) {
			t.Errorf("%v", err)
		}
	}
}

func first[T any](t *testing.T, seq func(func(T, error) bool)) (x T) {
	t.Helper()
	for x, err := range seq {
		if err != nil {
			t.Fatal(err)
		}
		return x
	}
	t.Fatal("there is none")
	return x
}

// TestReadOnly: without hostapd the radios are told of, and refuse.
func TestReadOnly(t *testing.T) {
	v := newVilla(t, pi)
	v.units.known = nil
	v.kernel.Do(func() {
		v.kernel.Interfaces[0].SSID, v.kernel.Interfaces[0].MHz, v.kernel.Interfaces[0].Width = "Cafe", 2462, "20MHz"
	})
	v.start()
	if !strings.Contains(v.log.String(), "WiFi can only be read") || !strings.Contains(v.log.String(), "hostapd is not installed") {
		t.Errorf("the log:\n%s", v.log.String())
	}
	if r := v.radio(piKey); !r.Enabled || r.Channel != 11 || r.Band != "2.4GHz" {
		t.Errorf("%+v", r)
	}
	if s := first(t, v.p.WiFi.State.Radios(t.Context())); !s.Up || s.Channel != 11 {
		t.Errorf("%+v", s)
	}
	e := first(t, v.p.WiFi.SSIDs.Rows(t.Context()))
	if e.Key != "wlan0" || e.Value.Name != "Cafe" || !e.Fixed || first(t, v.p.WiFi.State.SSIDs(t.Context())).Key != e.Key {
		t.Errorf("%+v", e)
	}
	for range v.p.WiFi.AccessPoints.Rows(t.Context()) {
		t.Error("an access point of whom?")
	}
	if _, _, err := v.p.WiFi.SSIDs.Fresh(t.Context()); !errors.Is(err, platform.ErrUnsupported) {
		t.Errorf("a new one: %v", err)
	}
	b, err := v.p.Config.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	item := v.p.WiFi.Radios.Put(b, piKey, platform.Radio{Enabled: true})
	var blame *platform.ItemError
	if err := b.Prepare(t.Context()); !errors.As(err, &blame) || blame.Item != item || !errors.Is(err, platform.ErrUnsupported) {
		t.Errorf("%v", err)
	}
	if err := v.p.Config.Reload(t.Context(), []string{"wireless"}); err != nil {
		t.Error(err)
	}
}

// TestNoRadio: the roles stay nil, and the log has one line about it.
func TestNoRadio(t *testing.T) {
	v := newVilla(t)
	if v.p.WiFi.Radios != nil || v.p.WiFi.State != nil || strings.Count(v.log.String(), "WiFi cannot be configured") != 1 {
		t.Errorf("%+v, and the log:\n%s", v.p.WiFi, v.log.String())
	}
}

// TestHints: hostapd's events are hints, and one that comes later is heard.
func TestHints(t *testing.T) {
	v := newVilla(t, pi)
	services := v.offer(piKey, "wifi1", "ap1", "Home", nil)
	ctx, stop := context.WithCancel(t.Context())
	got, ended := make(chan platform.Event, 100), make(chan error)
	go func() { ended <- v.p.Events.Watch(ctx, func(e platform.Event) { got <- e }) }()
	expect := func(topic platform.Topic) {
		t.Helper()
		for {
			select {
			case e := <-got:
				if e == (platform.Event{Topic: topic, Key: "wlan0"}) {
					return
				}
			case <-time.After(20 * time.Second):
				t.Fatalf("no hint %d", topic)
			}
		}
	}
	attached := func() *daemonSocket {
		t.Helper()
		var s *daemonSocket
		for deadline := time.Now().Add(20 * time.Second); s == nil && time.Now().Before(deadline); time.Sleep(time.Millisecond) {
			s = v.units.socket("wlan0")
		}
		if s == nil {
			t.Fatal("hostapd does not run")
		}
		s.wait(t, "ATTACH") // of who waits for the channel
		s.wait(t, "ATTACH")
		return s
	}
	s := attached() // Watch has put it into effect
	s.emit("<3>AP-STA-CONNECTED 02:00:00:00:00:aa")
	expect(platform.StationChanged)
	s.emit("<3>AP-DISABLED ")
	expect(platform.WiFiChanged)
	// It is replaced, says so, and its successor is heard.
	v.units.close("hostapd@wlan0.service")
	expect(platform.WiFiChanged)
	if err := v.p.Config.Reload(t.Context(), services); err != nil {
		t.Fatal(err)
	}
	s = attached()
	s.emit("<3>AP-STA-DISCONNECTED 02:00:00:00:00:aa")
	expect(platform.StationChanged)
	// It is killed: nothing says so but its link. Whether its network is still to be
	// offered makes no difference to who hears it.
	w := v.p.WiFi.State.(*wifi)
	w.mu.Lock()
	w.offered = nil
	w.mu.Unlock()
	s.conn.Close()
	v.hints <- platform.Event{Topic: platform.LinkChanged, Key: "wlan0"}
	expect(platform.WiFiChanged)
	stop()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

// TestLAN: stations join the bridge that has a DHCP server of ours, or the one
// that was named; a bridge of containers is nobody's.
func TestLAN(t *testing.T) {
	v := newVilla(t, pi)
	services := v.offer(piKey, "wifi1", "ap1", "Home", nil)
	reload(t, &v.p, services)
	if strings.Contains(v.file("wlan0.conf"), "bridge=") {
		t.Errorf("it is in a bridge:\n%s", v.file("wlan0.conf"))
	}
	v.write("config/dhcp", "config dhcp 'lan'\n\toption interface 'br0'\n\toption start '100'\n\toption limit '50'\n")
	reload(t, &v.p, services)
	if !strings.Contains(v.file("wlan0.conf"), "\nbridge=br0\n") {
		t.Errorf("it is not in the LAN:\n%s", v.file("wlan0.conf"))
	}
	reload(t, &v.p, v.offer(piKey, "wifi1", "ap1", "Home", func(a *platform.AccessPoint) { a.Network = "wlan0" }))
	if strings.Contains(v.file("wlan0.conf"), "bridge=") {
		t.Errorf("it is in a bridge:\n%s", v.file("wlan0.conf"))
	}
}

func TestInstances(t *testing.T) {
	for link, want := range map[string]string{"wlan0": "wlan0", "wl-guest": `wl\x2dguest`, "a.b": "a.b", ".x": `\x2ex`, "wlp3s0": "wlp3s0"} {
		if got := instanceOf(link); got != want {
			t.Errorf("%s is %s, want %s", link, got, want)
		}
	}
}
