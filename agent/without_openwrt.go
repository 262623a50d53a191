//go:build no_ubus

package main

import (
	"log/slog"

	"gatehouse/platform"
	"gatehouse/platform/linux"
)

// openPlatform takes every system for a plain Linux.
func openPlatform(root string, log *slog.Logger) (platform.Platform, error) {
	return linux.New(linux.Options{Root: root, Log: log})
}
