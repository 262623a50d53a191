//go:build !no_linuxconf

package main

import (
	"log/slog"
	"path/filepath"

	"gatehouse/agent/app"
	"gatehouse/platform"
	"gatehouse/platform/linux"
	"gatehouse/platform/linuxconf"
)

// openLinux opens a plain Linux, with what can be configured there. A build with
// the tag no_linuxconf leaves that out: on OpenWrt nobody needs it.
func openLinux(root, state string, log *slog.Logger) (platform.Platform, error) {
	p, err := linux.New(linux.Options{Root: root, Log: log})
	if err == nil {
		linuxconf.Attach(&p, linuxconf.Options{Root: root, Dir: filepath.Join(state, app.PlatformDir), Log: log})
	}
	return p, err
}
