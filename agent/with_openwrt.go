//go:build !no_ubus

package main

import (
	"log/slog"

	"gatehouse/platform"
	"gatehouse/platform/linux"
	"gatehouse/platform/openwrt"
)

// openPlatform opens the system below root, as what it is. A build with the tag
// no_ubus takes an OpenWrt for any other Linux.
func openPlatform(root string, log *slog.Logger) (platform.Platform, error) {
	if openwrt.Detect(root) {
		return openwrt.New(openwrt.Options{Root: root, Log: log})
	}
	return linux.New(linux.Options{Root: root, Log: log})
}
