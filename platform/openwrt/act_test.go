package openwrt_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"gatehouse/platform"
)

// netifd takes an interface down for good: whoever restarts one says up, too.
func TestRestartAndRenew(t *testing.T) {
	b := newBench(t)
	p := b.platform.Interfaces
	up := func(key string) (up bool) {
		for s, err := range p.State.InterfaceStates(b.Context()) {
			b.must(err)
			if s.Key == key {
				up = s.Up
			}
		}
		return up
	}
	b.must(p.Restart.RestartInterface(b.Context(), "wan"))
	b.must(p.Renew.Renew(b.Context(), "wan"))
	calls := b.router.Calls()
	for _, method := range []string{"down", "up", "renew"} {
		if n := calls["network.interface.wan "+method]; n != 1 {
			t.Errorf("%s was called %d times", method, n)
		}
	}
	if !up("wan") {
		t.Error("wan stays down")
	}
	// Who asked is gone in the middle.
	gone, cancel := context.WithCancel(b.Context())
	cancel()
	b.must(p.Restart.RestartInterface(gone, "wan"))
	if !up("wan") {
		t.Error("wan stays down")
	}
	for _, err := range []error{p.Restart.RestartInterface(b.Context(), "nope"), p.Renew.Renew(b.Context(), "nope")} {
		var u *platform.Unavailable
		if !errors.As(err, &u) {
			t.Errorf("%v", err)
		}
	}
	// That it was down in between is what the lab sees to.
	if _, code := b.command("call", "network.interface.wan", "down"); code != 0 || up("wan") {
		t.Error("the router of the lab does not take it down")
	}
}

func TestPower(t *testing.T) {
	b := newBench(t)
	b.must(b.platform.Power.Reboot(t.Context()))
	if n := b.router.Rebooted(); n != 1 {
		t.Errorf("procd was asked %d times", n)
	}
	b.must(b.platform.Power.FactoryReset(t.Context()))
	same(t, "commands", b.ran, [][]string{{"firstboot", "-r", "-y"}})
	b.write("proc/mounts", "/dev/root / ext4 rw,noatime 0 0\n")
	if err := b.platform.Power.FactoryReset(t.Context()); !errors.Is(err, platform.ErrUnsupported) || len(b.ran) != 1 {
		t.Errorf("without an overlay: %v, %v", err, b.ran)
	}
}

// chunk is what fwtool appends to an image.
func chunk(kind byte, data []byte) []byte {
	b := append([]byte{}, data...)
	size := uint32(len(data) + 16)
	b = binary.BigEndian.AppendUint32(b, 0x46577830)
	b = binary.BigEndian.AppendUint32(b, 0)
	b = append(b, kind, 0, 0, 0)
	return binary.BigEndian.AppendUint32(b, size)
}

func TestFirmware(t *testing.T) {
	b := newBench(t)
	info := chunk(1, append(make([]byte, 8), `{"metadata_version":"1.1","supported_devices":["cudy,wr1300-v1"],"version":{"dist":"OpenWrt","version":"24.10.5","revision":"r29000-abcdef","board":"ramips"}}`...))
	for _, c := range []struct {
		name, version string
		image         []byte
		err           error
	}{
		{"signed", "24.10.5-r29000-abcdef", slicesConcat([]byte("LABF an image"), info, chunk(0, []byte("signature"))), nil},
		{"unsigned", "24.10.5-r29000-abcdef", slicesConcat([]byte("LABF an image"), info), nil},
		{"silent", "", []byte("LABF an image"), nil},
		{"cut", "", slicesConcat([]byte("LABF"), info[len(info)-20:]), nil},
		{"lies of its size", "", slicesConcat([]byte("LABF"), []byte("FWx0\x00\x00\x00\x00\x01\x00\x00\x00\xff\xff\xff\xff")), nil},
		{"of another device", "", []byte("something else"), platform.ErrCorrupt},
	} {
		path := filepath.Join(b.root, "tmp/image")
		b.must(os.WriteFile(path, c.image, 0o600))
		image, err := b.platform.Firmware.Validate(t.Context(), path)
		if !errors.Is(err, c.err) || image.Version != c.version {
			t.Errorf("%s: %+v, %v", c.name, image, err)
		}
	}
	if _, err := b.platform.Firmware.Validate(t.Context(), filepath.Join(b.root, "tmp/nothing")); !errors.Is(err, platform.ErrCorrupt) {
		t.Errorf("a file that is not there: %v", err)
	}
	b.must(b.platform.Firmware.Apply(t.Context(), "/tmp/image", true))
	b.must(b.platform.Firmware.Apply(t.Context(), "/tmp/image", false))
	same(t, "commands", b.ran, [][]string{{"/sbin/sysupgrade", "-q", "/tmp/image"}, {"/sbin/sysupgrade", "-q", "-n", "/tmp/image"}})
}

func slicesConcat(parts ...[]byte) []byte { return bytes.Join(parts, nil) }

func TestLog(t *testing.T) {
	b := newBench(t)
	b.router.Write("dnsmasq[1]: DHCPACK(br-lan) 192.168.1.120 caf\xe9")
	logs := all(t, b.platform.Logs.Logs(t.Context()))
	if len(logs) != 1 || logs[0].Name != "ubus:log" || logs[0].MaximumSize != 128<<10 || logs[0].Persistent {
		t.Errorf("%+v", logs)
	}
	files := b.platform.Logs.(platform.LogFiles)
	r, err := files.OpenLog(t.Context(), "ubus:log")
	b.must(err)
	text, err := io.ReadAll(r)
	b.must(err)
	if !strings.HasSuffix(string(text), "Z daemon.info dnsmasq[1]: DHCPACK(br-lan) 192.168.1.120 caf\xe9\n") {
		t.Errorf("%q", text)
	}
	for _, name := range []string{"/etc/shadow", "/etc/config/wireless", ""} {
		if _, err := files.OpenLog(t.Context(), name); !errors.Is(err, platform.ErrGone) {
			t.Errorf("%q: %v", name, err)
		}
	}
}

func TestClock(t *testing.T) {
	b := newBench(t)
	want := []string{"0.openwrt.pool.ntp.org", "1.openwrt.pool.ntp.org", "2.openwrt.pool.ntp.org", "3.openwrt.pool.ntp.org"}
	for _, there := range []bool{true, false} {
		if !there {
			b.stop() // the clock is needed too much to depend on procd
		}
		got, err := b.platform.Clock.Time(t.Context())
		b.must(err)
		if got.Zone != "Europe/Berlin" || got.POSIX != "CET-1CEST,M3.5.0,M10.5.0/3" || !reflect.DeepEqual(got.Servers, want) || there && !got.NTP {
			t.Errorf("%+v", got)
		}
	}
}
