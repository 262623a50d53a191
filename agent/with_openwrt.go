//go:build !no_ubus

package main

import (
	"log/slog"

	"gatehouse/platform"
	"gatehouse/platform/openwrt"
)

// openPlatform opens the system below root, as what it is; state is where the
// agent keeps its own. A build with the tag
// no_ubus takes an OpenWrt for any other Linux.
func openPlatform(root, state string, log *slog.Logger) (platform.Platform, error) {
	if openwrt.Detect(root) {
		return openwrt.New(openwrt.Options{Root: root, Log: log})
	}
	return openLinux(root, state, log)
}
