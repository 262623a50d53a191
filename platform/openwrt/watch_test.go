package openwrt_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"gatehouse/lab/ubusd"
	"gatehouse/platform"
)

// watch starts Watch, and returns when ubus is heard.
func (b *bench) watch() (events chan platform.Event) {
	b.Helper()
	events = make(chan platform.Event, 1<<12)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- b.platform.Events.Watch(ctx, func(e platform.Event) { events <- e }) }()
	b.Cleanup(func() {
		cancel()
		if err := <-done; !errors.Is(err, context.Canceled) {
			b.Errorf("Watch ended with %v", err)
		}
	})
	for range 2 { // the kernel is listened to, and ubus
		b.saw(events, platform.Event{Topic: platform.Resync})
	}
	return events
}

// saw waits for a hint.
func (b *bench) saw(events chan platform.Event, want platform.Event) {
	b.Helper()
	timeout := time.NewTimer(20 * time.Second)
	defer timeout.Stop()
	for {
		select {
		case e := <-events:
			if e == want {
				return
			}
		case <-timeout.C:
			b.Fatalf("no hint %+v", want)
		}
	}
}

// changed tells procd that a package has changed, as reload_config does.
func (b *bench) changed(pkg string) {
	b.Helper()
	if out, code := b.command("call", "service", "event", `{"type":"config.change","data":{"package":"`+pkg+`"}}`); code != 0 {
		b.Fatal(out)
	}
}

func TestWatch(t *testing.T) {
	b := newBench(t)
	events := b.watch()

	b.edit("etc/config/network", "192.168.1.1'", "192.168.7.1'")
	b.saw(events, platform.Event{Topic: platform.ConfigChanged, Key: "network"})
	b.changed("network")
	b.saw(events, platform.Event{Topic: platform.InterfaceChanged, Key: "lan"})
	for _, s := range all(t, b.platform.Interfaces.State.InterfaceStates(t.Context())) {
		if s.Key == "lan" && s.Addrs[0].Prefix.String() != "192.168.7.1/24" {
			t.Errorf("after the hint it is %v", s.Addrs)
		}
	}

	b.edit("etc/config/wireless", "'radio0'\n\toption network 'lan'", "'radio0'\n\toption disabled '1'\n\toption network 'lan'")
	b.changed("wireless")
	b.saw(events, platform.Event{Topic: platform.WiFiChanged, Key: "phy0-ap0"})

	b.router.Join("phy1-ap0", ubusd.Station{MAC: "02:00:00:00:00:aa"})
	b.saw(events, platform.Event{Topic: platform.StationChanged})

	f, err := os.OpenFile(filepath.Join(b.root, "tmp/dhcp.leases"), os.O_APPEND|os.O_WRONLY, 0)
	b.must(err)
	f.WriteString("4102444800 02:00:00:00:00:ff 192.168.1.199 new *\n")
	f.Close()
	b.saw(events, platform.Event{Topic: platform.LeaseChanged})

	b.must(os.MkdirAll(filepath.Join(b.root, "var/run/gatehouse-dhcp"), 0o700))
	b.write("var/run/gatehouse-dhcp/wan", "device=wan\nopt43=0102\nopt125=\n") // as the hook does
	if out, code := b.command("send", "cwmp.dhcp", `{"interface":"wan"}`); code != 0 {
		t.Fatal(out)
	}
	b.saw(events, platform.Event{Topic: platform.DHCPAnswered})
	for _, a := range all(t, b.platform.DHCPClient.DHCPAnswers(t.Context())) {
		if a.Interface != "wan" || a.Link != "wan" || string(a.Vendor) != "\x01\x02" {
			t.Errorf("answered: %+v", a)
		}
	}

	b.stop()
	b.begin()
	b.saw(events, platform.Event{Topic: platform.Resync})
	b.router.Join("phy1-ap0", ubusd.Station{MAC: "02:00:00:00:00:bb"})
	b.saw(events, platform.Event{Topic: platform.StationChanged})
}

// TestLeaseFileAppears: dnsmasq was not there yet when we came.
func TestLeaseFileAppears(t *testing.T) {
	b := newBench(t)
	leases := filepath.Join(b.root, "tmp/dhcp.leases")
	b.must(os.Remove(leases))
	events := b.watch()
	b.write("tmp/dhcp.leases", "")
	b.changed("dhcp") // dnsmasq is started again, and has the file
	for heard := false; !heard; {
		b.must(os.WriteFile(leases, []byte("4102444800 02:00:00:00:00:ff 192.168.1.199 new *\n"), 0o600))
		select {
		case e := <-events:
			heard = e.Topic == platform.LeaseChanged
		case <-time.After(50 * time.Millisecond):
		}
		if t.Context().Err() != nil {
			t.Fatal("not heard")
		}
	}
}
