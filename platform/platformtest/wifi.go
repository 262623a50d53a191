// The tables of the wireless side: what is written is read back, all of it or
// none; what a backend cannot keep it refuses, and does not drop.

package platformtest

import (
	"bytes"
	"context"
	"errors"
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"gatehouse/platform"
)

// WiFi runs the suite of the wireless side alone. start makes a fresh router
// with at least one radio, and on it one network with its access point.
func WiFi(t *testing.T, start func(t *testing.T) platform.Platform) {
	testWiFi(t, world{Platform: start(t)})
}

func testWiFi(t *testing.T, w world) {
	if w.Config == nil || w.WiFi.Radios == nil {
		t.Skip("this platform has no radios")
	}
	for _, c := range []struct {
		name string
		test func(*testing.T, world)
	}{
		{"radios", testRadios},
		{"networks", testNetworks},
		{"access points", testAccessPoints},
		{"secrets are not told", testSecrets},
		{"all or nothing", testWiFiAtomic},
		{"nothing changes", testWiFiUnchanged},
		{"an access point without a network", testLoneAccessPoint},
		{"state", testWiFiState},
	} {
		t.Run(c.name, func(t *testing.T) { c.test(t, w) })
	}
}

// A change is one that a row of a table has to survive.
type change[T any] struct {
	name string
	edit func(*T)
}

func testRadios(t *testing.T, w world) {
	fields(t, w, w.WiFi.Radios, firstKey(t, w.WiFi.Radios), []change[platform.Radio]{
		{"Enabled", func(r *platform.Radio) { r.Enabled = !r.Enabled }},
		{"Channel", func(r *platform.Radio) { r.Channel = 0 }},
		{"Country", func(r *platform.Radio) { r.Country = "AT" }},
		{"DFS", func(r *platform.Radio) { r.DFS = !r.DFS }},
		{"TxPower", func(r *platform.Radio) { r.TxPower = 50 }},
		{"TxPower as it likes", func(r *platform.Radio) { r.TxPower = -1 }},
		{"Width", func(r *platform.Radio) { r.Width = "40MHz" }},
		{"Width as it likes", func(r *platform.Radio) { r.Width = "Auto" }},
		{"Extension", func(r *platform.Radio) { r.Width, r.Extension = "40MHz", "AboveControlChannel" }},
		{"Guard", func(r *platform.Radio) { r.Guard = "800nsec" }},
		{"MCS", func(r *platform.Radio) { r.MCS = 7 }},
		{"BeaconEvery", func(r *platform.Radio) { r.BeaconEvery = 200 }},
		{"DTIMPeriod", func(r *platform.Radio) { r.DTIMPeriod = 3 }},
	})
	for _, e := range all(t, w.WiFi.Radios.Rows(t.Context())) {
		if !e.Fixed {
			t.Errorf("radio %s is not fixed", e.Key)
		}
		refused(t, w, platform.ErrUnsupported, func(b platform.ConfigBatch) int { return w.WiFi.Radios.Delete(b, e.Key) })
	}
	refused(t, w, nil, func(b platform.ConfigBatch) int { return w.WiFi.Radios.Put(b, "nosuch", platform.Radio{Band: "5GHz"}) })
}

func testNetworks(t *testing.T, w world) {
	radio := firstKey(t, w.WiFi.Radios)
	key := life(t, w, w.WiFi.SSIDs, func(s *platform.SSID) { s.Name, s.Radio, s.Enabled = "Guests", radio, true })
	fields(t, w, w.WiFi.SSIDs, key, []change[platform.SSID]{
		{"Enabled", func(s *platform.SSID) { s.Enabled = !s.Enabled }},
		{"no radio", func(s *platform.SSID) { s.Radio = "" }},
		{"blanks", func(s *platform.SSID) { s.Name = "  a  b\t" }},
		{"quotes", func(s *platform.SSID) { s.Name = `'"\$(x)` + "`y`#" }},
		{"not UTF-8", func(s *platform.SSID) { s.Name = "\xff\xfe caf\xe9" }},
		{"32 octets", func(s *platform.SSID) { s.Name = strings.Repeat("ä", 16) }},
	})
}

func testAccessPoints(t *testing.T, w world) {
	key := life(t, w, w.WiFi.AccessPoints, func(*platform.AccessPoint) {})
	sec := func(edit func(*platform.WiFiSecurity)) func(*platform.AccessPoint) {
		return func(a *platform.AccessPoint) { edit(&a.Security) }
	}
	fields(t, w, w.WiFi.AccessPoints, key, []change[platform.AccessPoint]{
		{"Enabled", func(a *platform.AccessPoint) { a.Enabled = !a.Enabled }},
		{"Advertised", func(a *platform.AccessPoint) { a.Advertised = !a.Advertised }},
		{"Isolated", func(a *platform.AccessPoint) { a.Isolated = !a.Isolated }},
		{"WMM", func(a *platform.AccessPoint) { a.WMM = !a.WMM }},
		{"UAPSD", func(a *platform.AccessPoint) { a.UAPSD = !a.UAPSD }},
		{"MaxDevices", func(a *platform.AccessPoint) { a.MaxDevices = 10 }},
		{"AllowedMAC", func(a *platform.AccessPoint) {
			a.MACFilter, a.AllowedMAC = true, []string{"02:00:00:00:00:01", "02:00:00:00:00:02"}
		}},
		{"WPS", func(a *platform.AccessPoint) { a.WPS, a.WPSMethods = true, []string{"PushButton"} }},
		{"a passphrase", sec(func(s *platform.WiFiSecurity) { s.Mode, s.Passphrase = "WPA2-Personal", `it's "safe" \ $here #1` })},
		{"a key", sec(func(s *platform.WiFiSecurity) { s.Mode, s.PSK = "WPA2-Personal", bytes.Repeat([]byte{0xa5}, 32) })},
		{"a protected passphrase", sec(func(s *platform.WiFiSecurity) {
			s.Mode, s.Passphrase, s.MFP = "WPA3-Personal", "twelve monkeys", "Required"
		})},
		{"two passphrases", sec(func(s *platform.WiFiSecurity) {
			s.Mode, s.Passphrase, s.SAE, s.MFP = "WPA3-Personal", "twelve monkeys", "another one", "Required"
		})},
		{"a WEP key", sec(func(s *platform.WiFiSecurity) { s.Mode, s.WEPKey = "WEP-64", []byte("\x00\x01abc") })},
		{"a server", sec(func(s *platform.WiFiSecurity) {
			s.Mode, s.RadiusServer, s.RadiusPort, s.RadiusSecret = "WPA2-Enterprise", netip.MustParseAddr("192.0.2.9"), 1645, "s 3 \\'"
		})},
		{"Rekey", sec(func(s *platform.WiFiSecurity) { s.Rekey = 2 * time.Hour })},
		{"MFP", sec(func(s *platform.WiFiSecurity) { s.MFP = "Optional" })},
	})
}

// testSecrets: a dry run shows what would be written, but for secrets.
func testSecrets(t *testing.T, w world) {
	const secret = "Xyzzy-plugh"
	aps := w.WiFi.AccessPoints
	e := all(t, aps.Rows(t.Context()))[0]
	e.Value.Security.Mode, e.Value.Security.Passphrase = "WPA2-Personal", secret
	e.Value.Security.RadiusSecret, e.Value.Security.SAE = secret+"2", secret+"3"
	b := begin(t, w)
	aps.Put(b, e.Key, e.Value)
	if err := b.Prepare(t.Context()); err != nil {
		t.Fatal(err)
	}
	if len(b.Writes()) == 0 {
		t.Error("nothing would be written")
	}
	for _, x := range b.Writes() {
		if strings.Contains(x.Old+x.New+x.Place, secret) {
			t.Errorf("%s of %s tells a secret", x.Place, x.File)
		}
	}
	if err := b.Rollback(t.Context()); err != nil {
		t.Error(err)
	}
}

// wifiTables is all that can be set of the WiFi.
func wifiTables(t *testing.T, w world) []any {
	t.Helper()
	return []any{all(t, w.WiFi.Radios.Rows(t.Context())), all(t, w.WiFi.SSIDs.Rows(t.Context())), all(t, w.WiFi.AccessPoints.Rows(t.Context()))}
}

// testWiFiAtomic: one item that is refused takes the others along, and is the
// one to blame; what was committed can be taken back, more than once.
func testWiFiAtomic(t *testing.T, w world) {
	radio, ssid := all(t, w.WiFi.Radios.Rows(t.Context()))[0], all(t, w.WiFi.SSIDs.Rows(t.Context()))[0]
	was := wifiTables(t, w)
	same := func(when string) {
		t.Helper()
		if now := wifiTables(t, w); !reflect.DeepEqual(was, now) {
			t.Errorf("%s: %+v\nwas %+v", when, now, was)
		}
	}
	radio.Value.Country, ssid.Value.Name = "AT", "changed"
	ask := func(b platform.ConfigBatch) {
		w.WiFi.Radios.Put(b, radio.Key, radio.Value)
		w.WiFi.SSIDs.Put(b, ssid.Key, ssid.Value)
	}
	refused(t, w, platform.ErrGone, func(b platform.ConfigBatch) int {
		ask(b)
		return w.WiFi.AccessPoints.Delete(b, "nosuch")
	})
	same("refused")

	b := begin(t, w)
	ask(b)
	same("asked for")
	if err := b.Prepare(t.Context()); err != nil {
		t.Fatal(err)
	}
	same("prepared")
	if r := b.Reloads(); len(r) != 1 {
		t.Errorf("it would reload %q", r)
	}
	undo := b.Undo()
	if _, err := b.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := row(t, w.WiFi.SSIDs, ssid.Key); got.Name != "changed" {
		t.Errorf("committed, and read as %+v", got)
	}
	for range 2 {
		if _, err := w.Config.Undo(t.Context(), undo); err != nil {
			t.Fatal(err)
		}
		same("undone")
	}

	b = begin(t, w)
	ask(b)
	if err := b.Prepare(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := b.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := b.Rollback(t.Context()); err != nil {
		t.Fatal(err)
	}
	same("rolled back")
}

// testWiFiUnchanged: to write what is there already reloads nothing.
func testWiFiUnchanged(t *testing.T, w world) {
	radio := firstKey(t, w.WiFi.Radios)
	b := begin(t, w)
	w.WiFi.Radios.Put(b, radio, row(t, w.WiFi.Radios, radio))
	if err := b.Prepare(t.Context()); err != nil || len(b.Reloads()) != 0 {
		t.Errorf("nothing changes: %v, and %q would reload", err, b.Reloads())
	}
	if err := b.Rollback(t.Context()); err != nil {
		t.Error(err)
	}
}

// testLoneAccessPoint: it may wait for its network, be pointed to it, and lose
// it; it stays the same row.
func testLoneAccessPoint(t *testing.T, w world) {
	ssids, aps := w.WiFi.SSIDs, w.WiFi.AccessPoints
	radio := firstKey(t, w.WiFi.Radios)
	sKey, s, err := ssids.Fresh(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	aKey, a, err := aps.Fresh(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	a.Enabled, a.Security.Mode, a.Security.Passphrase, a.Isolated = true, "WPA2-Personal", "twelve monkeys", true
	write(t, w, func(b platform.ConfigBatch) { aps.Put(b, aKey, a) })
	if got := row(t, aps, aKey); got.SSID != "" || got.Security.Passphrase != a.Security.Passphrase {
		t.Errorf("alone: %+v", got)
	}
	s.Enabled, s.Name, s.Radio = true, "Guests", radio
	a = row(t, aps, aKey)
	a.SSID = sKey
	write(t, w, func(b platform.ConfigBatch) { // both at once
		ssids.Put(b, sKey, s)
		aps.Put(b, aKey, a)
	})
	if got := row(t, aps, aKey); !reflect.DeepEqual(got, a) {
		t.Errorf("with its network: %+v, want %+v", got, a)
	}
	write(t, w, func(b platform.ConfigBatch) { ssids.Delete(b, sKey) })
	got := row(t, aps, aKey)
	if _, there := find(t, ssids, got.SSID); there {
		t.Errorf("it points to %q, which was deleted", got.SSID)
	}
	if got.SSID = a.SSID; !reflect.DeepEqual(got, a) {
		t.Errorf("without its network: %+v, want %+v", got, a)
	}
	write(t, w, func(b platform.ConfigBatch) { aps.Delete(b, aKey) })
	if _, there := find(t, aps, aKey); there {
		t.Error("deleted, and still there")
	}
}

func testWiFiState(t *testing.T, w world) {
	if w.WiFi.State == nil {
		t.Skip("this part of a platform has no state")
	}
	if w.WiFi.State == nil {
		t.Skip("tables without a system")
	}
	for _, s := range all(t, w.WiFi.State.Radios(t.Context())) {
		if _, there := find(t, w.WiFi.Radios, s.Key); !there {
			t.Errorf("radio %q is not configured", s.Key)
		}
		if s.Up && s.Channel == 0 {
			t.Errorf("radio %s is up on no channel", s.Key)
		}
	}
	for _, s := range all(t, w.WiFi.State.SSIDs(t.Context())) {
		if _, there := find(t, w.WiFi.SSIDs, s.Key); !there {
			t.Errorf("network %q is not configured", s.Key)
		}
		if s.Up && s.Link == "" {
			t.Errorf("network %s is up without an interface", s.Key)
		}
		all(t, w.WiFi.State.Stations(t.Context(), s.Key))
	}
	for x, err := range w.WiFi.State.Stations(t.Context(), "nosuch") {
		if !errors.Is(err, platform.ErrGone) {
			t.Errorf("a station of no network: %+v, %v", x, err)
		}
	}
}

// fields makes changes of one row, each by itself, and takes each back. What is
// refused as not supported is fine; what is taken is read back as it was
// written, and nothing else of the table has changed.
func fields[T any](t *testing.T, w world, tab platform.Table[T], key string, changes []change[T]) {
	t.Helper()
	kept := 0
	for _, c := range changes {
		before := all(t, tab.Rows(t.Context()))
		next := row(t, tab, key)
		c.edit(&next)
		b := begin(t, w)
		tab.Put(b, key, next)
		err := b.Prepare(t.Context())
		if errors.Is(err, platform.ErrUnsupported) {
			var item *platform.ItemError
			if !errors.As(err, &item) {
				t.Errorf("%s: nobody is blamed: %v", c.name, err)
			}
			t.Logf("%s: %v", c.name, err)
		} else if err != nil {
			t.Fatalf("%s: %v", c.name, err)
		} else {
			if _, err := b.Commit(t.Context()); err != nil {
				t.Fatalf("%s: %v", c.name, err)
			}
			if got := row(t, tab, key); !reflect.DeepEqual(got, next) {
				t.Errorf("%s: wrote %+v\nread %+v", c.name, next, got)
			}
			kept++
		}
		if err := b.Rollback(t.Context()); err != nil {
			t.Fatalf("%s: %v", c.name, err)
		}
		if after := all(t, tab.Rows(t.Context())); !reflect.DeepEqual(before, after) {
			t.Fatalf("%s: taken back, the table is %+v\nwas %+v", c.name, after, before)
		}
	}
	if kept*2 < len(changes) {
		t.Errorf("%d of %d changes were taken", kept, len(changes))
	}
}

// life makes a row, deletes it, and makes another one, whose key it returns.
func life[T any](t *testing.T, w world, tab platform.Table[T], edit func(*T)) string {
	t.Helper()
	before := all(t, tab.Rows(t.Context()))
	var keys []string
	for range 2 {
		key, fresh, err := tab.Fresh(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if _, there := find(t, tab, key); there || slices.Contains(keys, key) {
			t.Errorf("a fresh key is %q, which is taken", key)
		}
		keys = append(keys, key)
		edit(&fresh)
		write(t, w, func(b platform.ConfigBatch) { tab.Put(b, key, fresh) })
		if got := row(t, tab, key); !reflect.DeepEqual(got, fresh) {
			t.Errorf("a new row: wrote %+v\nread %+v", fresh, got)
		}
		if len(keys) == 1 {
			write(t, w, func(b platform.ConfigBatch) { tab.Delete(b, key) })
			if after := all(t, tab.Rows(t.Context())); !reflect.DeepEqual(before, after) {
				t.Errorf("deleted, the table is %+v\nwas %+v", after, before)
			}
			refused(t, w, platform.ErrGone, func(b platform.ConfigBatch) int { return tab.Delete(b, key) })
		}
	}
	return keys[1]
}

func begin(t *testing.T, w world) platform.ConfigBatch {
	t.Helper()
	b, err := w.Config.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// write commits what ask asks for.
func write(t *testing.T, w world, ask func(platform.ConfigBatch)) {
	t.Helper()
	b := begin(t, w)
	ask(b)
	if err := b.Prepare(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := b.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// refused checks that Prepare refuses the item that ask returns.
func refused(t *testing.T, w world, want error, ask func(platform.ConfigBatch) int) {
	t.Helper()
	b := begin(t, w)
	item := ask(b)
	err := b.Prepare(t.Context())
	var blamed *platform.ItemError
	switch {
	case err == nil || want != nil && !errors.Is(err, want):
		t.Errorf("got %v, want %v", err, want)
	case !errors.As(err, &blamed) || blamed.Item != item:
		t.Errorf("%v does not blame item %d", err, item)
	}
	if err := b.Rollback(context.WithoutCancel(t.Context())); err != nil {
		t.Error(err)
	}
}

func find[T any](t *testing.T, tab platform.Table[T], key string) (value T, there bool) {
	t.Helper()
	for _, e := range all(t, tab.Rows(t.Context())) {
		if e.Key == key {
			return e.Value, true
		}
	}
	return value, false
}

func row[T any](t *testing.T, tab platform.Table[T], key string) T {
	t.Helper()
	v, there := find(t, tab, key)
	if !there {
		t.Fatalf("row %q is missing", key)
	}
	return v
}

func firstKey[T any](t *testing.T, tab platform.Table[T]) string {
	t.Helper()
	rows := all(t, tab.Rows(t.Context()))
	if len(rows) == 0 {
		t.Fatal("the table is empty")
	}
	return rows[0].Key
}
