package openwrt_test

import (
	"bytes"
	"context"
	"errors"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"gatehouse/platform"
)

// commit changes tables as a transaction does, and returns what has to reload.
func (b *bench) commit(ask func(platform.ConfigBatch)) (reloads []string, undo []byte) {
	b.Helper()
	batch, err := b.platform.Config.Begin(b.Context())
	b.must(err)
	ask(batch)
	b.must(batch.Prepare(b.Context()))
	reloads, undo = batch.Reloads(), batch.Undo()
	_, err = batch.Commit(b.Context())
	b.must(err)
	return reloads, undo
}

func row[T any](b *bench, t platform.Table[T], key string) T {
	b.Helper()
	for _, e := range all(b, t.Rows(b.Context())) {
		if e.Key == key {
			return e.Value
		}
	}
	b.Fatalf("there is no row %s", key)
	panic("unreachable")
}

// TestSetReloadReadBack: what is set is what the daemons say after the reload.
func TestSetReloadReadBack(t *testing.T) {
	b := newBench(t)
	p := b.platform
	reloads, undo := b.commit(func(batch platform.ConfigBatch) {
		s := row(b, p.WiFi.SSIDs, "default_radio0")
		s.Name = "caf\xe9"
		p.WiFi.SSIDs.Put(batch, "default_radio0", s)
		r := row(b, p.WiFi.Radios, "radio1")
		r.Enabled = false
		p.WiFi.Radios.Put(batch, "radio1", r)
		lan := row(b, p.Interfaces.Table, "lan")
		lan.Addrs[0].Prefix = netip.MustParsePrefix("192.168.7.1/24")
		p.Interfaces.Table.Put(batch, "lan", lan)
	})
	same(t, "reloads", reloads, []string{"network", "wireless"})
	state := func() (ssid string, radio1 bool, lan string) {
		out, code := b.command("call", "hostapd.phy0-ap0", "get_status")
		if code != 0 {
			t.Fatal(out)
		}
		for _, l := range strings.Split(out, "\n") {
			if _, v, ok := strings.Cut(l, `"ssid": "`); ok {
				ssid = v
			}
		}
		for _, r := range all(t, p.WiFi.State.Radios(t.Context())) {
			radio1 = radio1 || r.Key == "radio1" && r.Up
		}
		for _, s := range all(t, p.Interfaces.State.InterfaceStates(t.Context())) {
			if s.Key == "lan" {
				lan = s.Addrs[0].Prefix.String()
			}
		}
		return ssid, radio1, lan
	}
	if ssid, up, lan := state(); !strings.HasPrefix(ssid, "OpenWrt") || !up || lan != "192.168.1.1/24" {
		t.Errorf("before the reload: %q %v %v", ssid, up, lan)
	}
	b.must(p.Config.Reload(t.Context(), reloads))
	if ssid, up, lan := state(); !strings.HasPrefix(ssid, "caf") || up || lan != "192.168.7.1/24" {
		t.Errorf("after the reload: %q %v %v", ssid, up, lan)
	}
	if s := row(b, p.WiFi.SSIDs, "default_radio0"); s.Name != "caf\xe9" {
		t.Errorf("read back %q", s.Name)
	}
	again, err := p.Config.Undo(t.Context(), undo)
	b.must(err)
	b.must(p.Config.Reload(t.Context(), again))
	if ssid, up, lan := state(); !strings.HasPrefix(ssid, "OpenWrt") || !up || lan != "192.168.1.1/24" {
		t.Errorf("taken back: %q %v %v", ssid, up, lan)
	}
	for _, pkg := range []string{"network", "wireless"} {
		if n := b.router.Reloads(pkg); n != 2 {
			t.Errorf("%s was reloaded %d times", pkg, n)
		}
	}
}

// TestReloadFails: a service that does not come back is named, with what it
// says; the others of the same reload are not.
func TestReloadFails(t *testing.T) {
	for pkg, c := range map[string]struct {
		old, new, says string
	}{
		"network":  {"192.168.1.1'", "192.168.7.1'", "lan: DEVICE_CLAIM_FAILED"},
		"wireless": {"'OpenWrt'", "'other'", "radio0: its setup failed; radio1: its setup failed"},
		"dhcp":     {"'12h'", "'1h'", "dnsmasq: it ended with exit code 1; odhcpd: it ended with exit code 1"},
		"system":   {"'OpenWrt'", "'other'", "log: it ended with exit code 1; sysntpd: it ended with exit code 1"},
	} {
		t.Run(pkg, func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			b.router.FailReload(pkg, true)
			b.edit("etc/config/"+pkg, c.old, c.new)
			err := b.platform.Config.Reload(t.Context(), []string{pkg, "firewall"})
			var se *platform.ServiceError
			if !errors.As(err, &se) || se.Service != pkg || se.Err.Error() != c.says {
				t.Fatalf("%v", err)
			}
			if strings.Contains(err.Error(), "firewall") {
				t.Errorf("%v", err)
			}
			// What failed before is not blamed on the next change.
			b.must(b.platform.Config.Reload(t.Context(), []string{"firewall"}))
			b.router.FailReload(pkg, false)
			b.edit("etc/config/"+pkg, c.new, c.old)
			b.must(b.platform.Config.Reload(t.Context(), []string{pkg}))
		})
	}
}

// TestReloadSlow: procd begins late, and setting up takes its time.
func TestReloadSlow(t *testing.T) {
	b := newBench(t)
	b.router.Delay = 60 * time.Millisecond // shorter than Settle, as in the field
	b.edit("etc/config/network", "192.168.1.1'", "192.168.7.1'")
	b.must(b.platform.Config.Reload(t.Context(), []string{"network"}))
	for _, s := range all(t, b.platform.Interfaces.State.InterfaceStates(t.Context())) {
		if s.Key == "lan" && s.Addrs[0].Prefix.String() != "192.168.7.1/24" {
			t.Errorf("Reload returned before: %v", s.Addrs)
		}
	}
}

// TestReloadUnknown: a package that nobody reads (rpcd is not installed) is
// taken up by nobody.
func TestReloadUnknown(t *testing.T) {
	b := newBench(t)
	began := time.Now()
	b.must(b.platform.Config.Reload(t.Context(), []string{"rpcd"}))
	if d := time.Since(began); d > 50*time.Millisecond {
		t.Errorf("it waited %v for nobody", d)
	}
}

func TestReloadWithoutBus(t *testing.T) {
	for name, breaks := range map[string]func(*bench){
		"not there":           func(b *bench) { b.stop() },
		"goes in mid-call":    func(b *bench) { b.router.VanishAt("service") },
		"goes while it looks": func(b *bench) { b.router.VanishAt("network.wireless") },
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t)
			breaks(b)
			err := b.platform.Config.Reload(t.Context(), []string{"wireless"})
			var un *platform.Unavailable
			var se *platform.ServiceError
			if !errors.As(err, &un) || errors.As(err, &se) {
				t.Errorf("%v", err)
			}
		})
	}
	t.Run("cancelled", func(t *testing.T) {
		b := newBench(t)
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if err := b.platform.Config.Reload(ctx, []string{"wireless"}); !errors.Is(err, context.Canceled) {
			t.Errorf("%v", err)
		}
	})
}

// TestOwnChanges: a package that we have written is no news.
func TestOwnChanges(t *testing.T) {
	b := newBench(t)
	events := b.watch()
	b.commit(func(batch platform.ConfigBatch) {
		s := row(b, b.platform.WiFi.SSIDs, "default_radio0")
		s.Name = "ours"
		b.platform.WiFi.SSIDs.Put(batch, "default_radio0", s)
	})
	b.edit("etc/config/system", "'128'", "'64'")
	for {
		e := <-events
		if e.Topic == platform.ConfigChanged && e.Key == "system" {
			break
		}
	}
	b.edit("etc/config/wireless", "'ours'", "'theirs'")
	b.saw(events, platform.Event{Topic: platform.ConfigChanged, Key: "wireless"})
}

// TestNames: sections without a name get one where the daemon runs, and
// netifd's name for them leads to the same row before and after.
func TestNames(t *testing.T) {
	b := newBench(t)
	b.edit("etc/config/wireless", "config wifi-iface 'default_radio0'", "config wifi-iface")
	b.edit("etc/config/wireless", "config wifi-device 'radio1'", "config wifi-device 'radio1'") // as it was
	b.changed("wireless")
	b.must(b.platform.Config.Reload(t.Context(), []string{"wireless"}))
	keys := func() (config, state []string) {
		for _, e := range all(t, b.platform.WiFi.SSIDs.Rows(t.Context())) {
			config = append(config, e.Key)
		}
		for _, s := range all(t, b.platform.WiFi.State.SSIDs(t.Context())) {
			state = append(state, s.Key)
		}
		return config, state
	}
	config, state := keys()
	if !slices.Equal(config, state) {
		t.Errorf("configured are %v, told are %v", config, state)
	}
	events := b.watch()
	for {
		text, err := os.ReadFile(filepath.Join(b.root, "etc/config/wireless"))
		b.must(err)
		if bytes.Contains(text, []byte("'"+config[0]+"'")) {
			break
		}
		select {
		case <-events:
		case <-time.After(10 * time.Millisecond):
		}
	}
	for _, reload := range []bool{false, true} {
		if reload {
			b.must(b.platform.Config.Reload(t.Context(), []string{"wireless"}))
		}
		now, told := keys()
		if !slices.Equal(now, config) || !slices.Equal(told, config) {
			t.Errorf("named, reloaded %v: configured are %v, told are %v, once %v", reload, now, told, config)
		}
	}
}
