package main

import (
	"context"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"gatehouse/lab/ubusd"
)

// TestBus: the router of a folder answers what its files say.
func TestBus(t *testing.T) {
	if _, err := parseBus([]string{"--root", t.TempDir()}, io.Discard); err == nil {
		t.Error("a folder without /etc/config is a router")
	}
	root, err := os.MkdirTemp("", "ghb") // a short path: a socket is below it
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(root) })
	if err := os.CopyFS(root, os.DirFS("../platform/openwrt/testdata/root")); err != nil {
		t.Fatal(err)
	}
	o, err := parseBus([]string{"--root", root}, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	said, tell := io.Pipe()
	go func() { done <- serveBus(ctx, o, tell) }()
	line := make([]byte, 200)
	if _, err := said.Read(line); err != nil {
		t.Fatal(err)
	}
	conn, err := net.DialTimeout("unix", filepath.Join(root, "var/run/ubus/ubus.sock"), 10*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	if out, code := ubusd.Command(conn, "call", "network.interface.lan", "status"); code != 0 || !strings.Contains(out, `"address": "192.168.1.1"`) {
		t.Errorf("%d %s", code, out)
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}
