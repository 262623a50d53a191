package openwrt_test

import (
	"context"
	"errors"
	"iter"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"gatehouse/lab/ubusd"
	"gatehouse/platform"
	"gatehouse/platform/openwrt"
)

func all[T any](t testing.TB, seq iter.Seq2[T, error]) (rows []T) {
	t.Helper()
	for row, err := range seq {
		if err != nil {
			t.Fatal(err)
		}
		rows = append(rows, row)
	}
	return rows
}

func same(t *testing.T, what string, got, want any) {
	t.Helper()
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%s:\n got %+v\nwant %+v", what, got, want)
	}
}

func TestDetect(t *testing.T) {
	if !openwrt.Detect("testdata/root") || openwrt.Detect("testdata") {
		t.Error("an OpenWrt is what has /etc/openwrt_release")
	}
}

func TestIdentity(t *testing.T) {
	want := platform.ID{
		Manufacturer: "Cudy", OUI: "00005E", ProductClass: "Cudy WR1300 v1", SerialNumber: "00005E005301", ModelName: "Cudy WR1300 v1",
		Description: "OpenWrt 24.10.4 r28959-29397011cc", HardwareVersion: "cudy,wr1300-v1", SoftwareVersion: "24.10.4-r28959-29397011cc",
	}
	t.Run("from procd", func(t *testing.T) {
		b := newBench(t)
		got, err := b.platform.Identity.ID(t.Context())
		b.must(err)
		same(t, "identity", got, want)
	})
	t.Run("the same without ubusd", func(t *testing.T) {
		b := newBench(t)
		b.stop()
		got, err := b.platform.Identity.ID(t.Context())
		b.must(err)
		same(t, "identity", got, want)
	})
	t.Run("the vendor has said", func(t *testing.T) {
		b := newBench(t)
		b.write("etc/device_info", "DEVICE_MANUFACTURER='Example Networks'\nDEVICE_PRODUCT='EX-1'\nDEVICE_REVISION='C'\n")
		got, err := b.platform.Identity.ID(t.Context())
		b.must(err)
		want := want
		want.Manufacturer, want.ProductClass, want.HardwareVersion = "Example Networks", "EX-1", "C"
		same(t, "identity", got, want)
	})
}

func TestInterfaces(t *testing.T) {
	b := newBench(t)
	rows := map[string]platform.InterfaceState{}
	for _, s := range all(t, b.platform.Interfaces.State.InterfaceStates(t.Context())) {
		rows[s.Key] = s
	}
	wan := rows["wan"]
	if wan.Since.IsZero() || time.Until(wan.LeaseEnds) <= 0 || time.Until(wan.LeaseEnds) > time.Hour {
		t.Errorf("up since %v, leased until %v", wan.Since, wan.LeaseEnds)
	}
	wan.Since, wan.LeaseEnds = time.Time{}, time.Time{}
	same(t, "wan", wan, platform.InterfaceState{
		Key: "wan", Up: true, Device: "wan", DNS: offer.DNS, Domain: "provider.example",
		Addrs:   []platform.Address{{Link: "wan", Prefix: offer.Addr, Dynamic: true, Preferred: -1, Valid: -1}},
		Routers: []netip.Addr{offer.Gateway}, Server: offer.Gateway,
	})
	lan := rows["lan"]
	lan.Since = time.Time{}
	same(t, "lan", lan, platform.InterfaceState{
		Key: "lan", Up: true, Device: "br-lan",
		Addrs: []platform.Address{{Link: "br-lan", Prefix: netip.MustParsePrefix("192.168.1.1/24"), Permanent: true, Preferred: -1, Valid: -1}},
	})
	same(t, "wan6", rows["wan6"], platform.InterfaceState{Key: "wan6", Pending: true, Device: "wan"})

	d, err := b.platform.Resolver.DNS(t.Context())
	b.must(err)
	same(t, "resolver", d, platform.DNS{HostName: "OpenWrt", Domain: "provider.example", Servers: []platform.DNSServer{
		{Addr: offer.DNS[0], Link: "wan", Type: "DHCPv4"}, {Addr: offer.DNS[1], Link: "wan", Type: "DHCPv4"}}})
}

// TestLeases: dnsmasq's file and odhcpd's word; names are anything.
func TestLeases(t *testing.T) {
	b := newBench(t)
	b.stop()
	b.router.Odhcpd = []ubusd.Lease{
		{Link: "br-lan", MAC: "0200000000ee", Name: "tablet", Addr: netip.MustParseAddr("192.168.1.130"), Seconds: -1},
		{Link: "br-lan", MAC: "0200000000aa", Name: "twice", Addr: netip.MustParseAddr("192.168.1.120"), Seconds: 60},
	}
	b.begin()
	ends := time.Unix(4102444800, 0)
	same(t, "leases", all(t, b.platform.DHCP.Leases.Leases(t.Context())), []platform.Lease{
		{MAC: "02:00:00:00:00:aa", Addr: netip.MustParseAddr("192.168.1.120"), Name: "laptop", ClientID: "01:02:00:00:00:00:aa", Ends: ends},
		{MAC: "02:00:00:00:00:bb", Addr: netip.MustParseAddr("192.168.1.121"), Ends: ends},
		{MAC: "02:00:00:00:00:dd", Addr: netip.MustParseAddr("192.168.1.123"), Name: "caf\xe9<script>", ClientID: "ff:00", Ends: ends},
		{MAC: "02:00:00:00:00:ee", Addr: netip.MustParseAddr("192.168.1.130"), Name: "tablet"},
	})
}

func TestWiFi(t *testing.T) {
	b := newBench(t)
	b.router.Join("phy1-ap0", ubusd.Station{MAC: "02:00:00:00:00:aa", Signal: -48, Rx: 866700, Tx: 780000, RxBytes: 1 << 40, TxBytes: 7, Seconds: 3600, Generation: "vht"})
	radios := all(t, b.platform.WiFi.State.Radios(t.Context()))
	if len(radios) != 2 {
		t.Fatalf("%d radios", len(radios))
	}
	radios[1].Stats = platform.LinkStats{}
	same(t, "radio1", radios[1], platform.RadioState{
		Key: "radio1", Name: "phy1", Up: true, Bands: []string{"5GHz"}, Standards: []string{"a", "n", "ac", "ax"},
		Channels: "36,40,44,48,52,56,60,64,100,104,108,112", InUse: "36", Channel: 36, Width: "80MHz",
		TxPowers: []int32{1, 10, 25, 50, 100}, DFS: true, Noise: -92, BeaconEvery: 100,
		Widths: []string{"20MHz", "40MHz", "80MHz", "Auto"}, WMM: true, UAPSD: true,
	})
	if radios[0].Channels != "1-13" || radios[0].DFS {
		t.Errorf("radio0: %+v", radios[0])
	}
	ssids := all(t, b.platform.WiFi.State.SSIDs(t.Context()))
	if len(ssids) != 2 || ssids[1].Key != "default_radio1" || ssids[1].Link != "phy1-ap0" || !ssids[1].Up || len(ssids[1].BSSID) != 17 {
		t.Errorf("networks: %+v", ssids)
	}
	stations := all(t, b.platform.WiFi.State.Stations(t.Context(), "default_radio1"))
	if len(stations) != 1 || time.Since(stations[0].Associated) < 59*time.Minute {
		t.Fatalf("stations: %+v", stations)
	}
	stations[0].Associated = time.Time{}
	same(t, "station", stations[0], platform.Station{
		MAC: "02:00:00:00:00:aa", Authorized: true, Downlink: 780000, Uplink: 866700, Signal: -48, Noise: -92, Retransmissions: 17,
		Active: true, Standard: "ac", BytesSent: 7, BytesReceived: 1 << 40, PacketsSent: 200, PacketsRecvd: 100, ErrorsSent: 3,
	})
	if n := all(t, b.platform.WiFi.State.Stations(t.Context(), "default_radio0")); n != nil {
		t.Errorf("nobody is there, but %v", n)
	}
}

// TestNoIwinfo: rpcd is optional. What only it knows is not told.
func TestNoIwinfo(t *testing.T) {
	b := newBench(t)
	b.stop()
	b.router.Absent("iwinfo")
	b.begin()
	b.router.Join("phy0-ap0", ubusd.Station{MAC: "02:00:00:00:00:aa", Signal: -48, Rx: 1, Tx: 2, Generation: "he"})
	r := all(t, b.platform.WiFi.State.Radios(t.Context()))[0]
	if r.Channel != 1 || r.BeaconEvery != 100 || !reflect.DeepEqual(r.Bands, []string{"2.4GHz"}) || r.Channels != "" {
		t.Errorf("%+v", r)
	}
	s := all(t, b.platform.WiFi.State.Stations(t.Context(), "default_radio0"))
	if len(s) != 1 || s[0].Standard != "ax" || s[0].Signal != -48 || s[0].Uplink != 1 {
		t.Errorf("%+v", s)
	}
	b.stop()
	b.router.Absent("iwinfo", "hostapd.phy0-ap0")
	b.begin()
	p, err := openwrt.New(b.options) // one that remembers nothing
	b.must(err)
	var un *platform.Unavailable
	for _, err := range p.WiFi.State.Stations(t.Context(), "default_radio0") {
		if !errors.As(err, &un) || un.Source != "ubus hostapd.phy0-ap0" {
			t.Errorf("nobody can say who is there, and %v", err)
		}
	}
	if un == nil {
		t.Error("nobody can say who is there, and nobody is told to be")
	}
}

// TestWPS: hostapd of wpad-basic has none.
func TestWPS(t *testing.T) {
	b := newBench(t)
	b.stop()
	b.router.WPS = true
	b.begin()
	for _, r := range all(t, b.platform.WiFi.State.Radios(t.Context())) {
		same(t, r.Key, r.WPSMethods, []string{"PushButton"})
	}
}

// TestModes: hostapd starts no network of a radio for one that asks for what it
// was built without.
func TestModes(t *testing.T) {
	b := newBench(t)
	for _, r := range all(t, b.platform.WiFi.State.Radios(t.Context())) {
		if r.Modes != nil {
			t.Errorf("nothing is known, and yet %q", r.Modes)
		}
	}
	for _, f := range []struct {
		folder, pkg string
		has, lacks  []string
	}{
		{"usr/lib/opkg/info", "wpad-mini.list", []string{"WPA2-Personal"}, []string{"WPA3-Personal", "WPA2-Enterprise"}},
		{"usr/lib/opkg/info", "wpad-basic-mbedtls.list", []string{"None", "WPA3-Personal", "OWE"}, []string{"WEP-64", "WPA2-Enterprise"}},
		{"usr/lib/opkg/info", "wpad.list", []string{"WPA2-Enterprise"}, []string{"WPA3-Personal", "WPA3-Enterprise"}},
		{"lib/apk/packages", "wpad-openssl.list", []string{"WPA3-Enterprise", "WPA3-Personal-Transition"}, []string{"WEP-128"}},
		{"lib/apk/packages", "hostapd-common.list", nil, []string{"None"}},
	} {
		b := newBench(t)
		b.must(os.MkdirAll(filepath.Join(b.root, f.folder), 0o755))
		b.must(os.WriteFile(filepath.Join(b.root, f.folder, f.pkg), nil, 0o644))
		for _, r := range all(t, b.platform.WiFi.State.Radios(t.Context())) {
			for _, m := range f.has {
				if !slices.Contains(r.Modes, m) {
					t.Errorf("%s: %s lacks %s: %q", f.pkg, r.Key, m, r.Modes)
				}
			}
			for _, m := range f.lacks {
				if slices.Contains(r.Modes, m) {
					t.Errorf("%s: %s has %s", f.pkg, r.Key, m)
				}
			}
		}
	}
}

// TestSSIDBytes: a network's name is bytes, not text, and reaches no key.
func TestSSIDBytes(t *testing.T) {
	b := newBench(t)
	b.edit("etc/config/wireless", "'OpenWrt'", "'caf\xe9\"<>'")
	b.must(b.platform.Config.Reload(t.Context(), []string{"wireless"})) // hostapd's objects go and come
	for _, s := range all(t, b.platform.WiFi.State.SSIDs(t.Context())) {
		if !strings.HasPrefix(s.Key, "default_radio") {
			t.Errorf("%+v", s)
		}
	}
}

// TestOneQuestionPerSource: all that a request wants of one source is asked for
// once, and the next request asks anew once a hint has come.
func TestOneQuestionPerSource(t *testing.T) {
	b := newBench(t)
	b.router.Join("phy1-ap0", ubusd.Station{MAC: "02:00:00:00:00:aa"})
	b.router.Calls()
	read := func() {
		p, ctx := b.platform, t.Context()
		p.Identity.ID(ctx)
		p.Resolver.DNS(ctx)
		all(t, p.Interfaces.State.InterfaceStates(ctx))
		all(t, p.DHCP.Leases.Leases(ctx))
		all(t, p.WiFi.State.Radios(ctx))
		for _, s := range all(t, p.WiFi.State.SSIDs(ctx)) {
			all(t, p.WiFi.State.Stations(ctx, s.Key))
		}
	}
	read()
	calls := b.router.Calls()
	for _, once := range []string{"network.interface dump", "network.wireless status", "system board"} {
		if calls[once] != 1 {
			t.Errorf("%s was asked %d times", once, calls[once])
		}
	}
	most := map[string]int{"iwinfo info": 2, "iwinfo freqlist": 2, "iwinfo txpowerlist": 2, "iwinfo assoclist": 2} // one for each radio
	for call, n := range calls {
		if n > max(1, most[call]) {
			t.Errorf("%s was asked %d times", call, n)
		}
	}
}

// TestUnavailable: a source that does not answer is named, within a bound, and
// is there again when it is back.
func TestUnavailable(t *testing.T) {
	for name, breaks := range map[string]func(b *bench){
		"ubusd is not there":   func(b *bench) { b.stop() },
		"netifd is not there":  func(b *bench) { b.stop(); b.router.Absent("network.interface"); b.begin() },
		"it goes in mid-call":  func(b *bench) { b.router.VanishAt("network.interface") },
		"it greets and sleeps": func(b *bench) { b.stop(); b.mute() },
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t)
			all(t, b.platform.DHCP.Leases.Leases(t.Context())) // the connection is open
			breaks(b)
			began := time.Now()
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			var un *platform.Unavailable
			for _, err := range b.platform.Interfaces.State.InterfaceStates(ctx) {
				if name == "it greets and sleeps" && errors.Is(err, context.DeadlineExceeded) {
					un = &platform.Unavailable{Source: "ubus network.interface"}
					continue
				}
				if !errors.As(err, &un) {
					t.Fatalf("%v", err)
				}
			}
			if un == nil || un.Source != "ubus network.interface" {
				t.Errorf("%v is not available", un)
			}
			if d := time.Since(began); d > 5*time.Second {
				t.Errorf("it took %v", d)
			}
			b.stop()
			os.Remove(filepath.Join(b.root, "var/run/ubus/ubus.sock"))
			b.router.Absent()
			b.begin()
			if rows := all(t, b.platform.Interfaces.State.InterfaceStates(t.Context())); len(rows) != 4 {
				t.Errorf("%d interfaces when it is back", len(rows))
			}
		})
	}
}

// TestHostapdDies: a network whose daemon dies while it is asked can be read,
// and before the ACS hangs up: what the link says is good for it.
func TestHostapdDies(t *testing.T) {
	b := newBench(t)
	b.router.LoseAt("hostapd.phy0-ap0")
	began := time.Now()
	if n := len(all(t, b.platform.WiFi.State.SSIDs(t.Context()))); n != 2 {
		t.Errorf("%d networks", n)
	}
	if d := time.Since(began); d > 4*time.Second {
		t.Errorf("it took %v", d)
	}
}

// TestRestarted: ubusd is another one between two questions.
func TestRestarted(t *testing.T) {
	b := newBench(t)
	for range 3 {
		if rows := all(t, b.platform.Interfaces.State.InterfaceStates(t.Context())); len(rows) != 4 {
			t.Errorf("%d interfaces", len(rows))
		}
		b.stop()
		b.begin()
	}
}
