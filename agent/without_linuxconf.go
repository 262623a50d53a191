//go:build no_linuxconf

package main

import (
	"log/slog"

	"gatehouse/platform"
	"gatehouse/platform/linux"
)

// openLinux opens a plain Linux. Its address translation is not ours.
func openLinux(root, _ string, log *slog.Logger) (platform.Platform, error) {
	return linux.New(linux.Options{Root: root, Log: log})
}
