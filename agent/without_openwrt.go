//go:build no_ubus

package main

import (
	"log/slog"

	"gatehouse/platform"
)

// openPlatform takes every system for a plain Linux.
func openPlatform(root, state string, log *slog.Logger) (platform.Platform, error) {
	return openLinux(root, state, log)
}
