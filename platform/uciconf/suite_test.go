package uciconf_test

import (
	"os"
	"path/filepath"
	"testing"

	"gatehouse/internal/uci"
	"gatehouse/platform"
	"gatehouse/platform/platformtest"
	"gatehouse/platform/uciconf"
)

// fresh is what `wifi config` writes for a radio (OpenWrt 24.10).
const fresh = `
config wifi-device 'radio0'
	option type 'mac80211'
	option path 'platform/soc/18000000.wifi'
	option band '5g'
	option channel '36'
	option htmode 'HE80'

config wifi-iface 'default_radio0'
	option device 'radio0'
	option network 'lan'
	option mode 'ap'
	option ssid 'OpenWrt'
	option encryption 'none'
`

// TestWiFiSuite runs the suite of the wireless tables that every backend passes.
func TestWiFiSuite(t *testing.T) {
	platformtest.WiFi(t, func(t *testing.T) platform.Platform {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, "wireless"), []byte(fresh), 0o600); err != nil {
			t.Fatal(err)
		}
		var p platform.Platform
		c := uciconf.New(uciconf.Options{Dir: uci.Dir{Config: dir, Override: t.TempDir()}})
		c.Fill(&p)
		p.Config = c
		return p
	})
}
