package tr181_test

// Address translation: who is translated, what is let in, and for how long.

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"gatehouse/datamodel"
	"gatehouse/platform"
)

const mappings = "Device.NAT.PortMapping."

func TestNATInterface(t *testing.T) {
	h := build(t)
	h.values("Device.NAT.")
	lan := strings.TrimSuffix(h.find("Device.IP.Interface.", "Name", "br-lan"), ".")
	n := h.add("Device.NAT.InterfaceSetting.")
	h.set(n, "Enable=true")
	h.want(n, "Status=Error_Misconfigured", "Interface=")
	h.set(n, "Interface="+lan, "Alias=odd")
	h.want(n, "Status=Disabled")
	h.reload("firewall")
	h.want("Device.NAT.InterfaceSetting.[odd].", "Status=Enabled", "Interface="+lan)
	blames(t, h.trySet("Device.NAT.InterfaceSetting.1.", "Interface="+lan), datamodel.ErrValue, "Device.NAT.InterfaceSetting.1.Interface")
	blames(t, h.trySet(n, "Interface=Device.NAT"), datamodel.ErrValue, n+"Interface")
	h.router.RemoveLink("br-lan")
	h.want(n, "Status=Error_Misconfigured", "Interface=") // it points to nothing
	h.delete(n)
	if got := keys(h, h.platform.NAT.Interfaces); !slices.Equal(got, []string{"wan"}) {
		t.Errorf("%q are left", got)
	}
}

// Somebody at the command line deletes a row that a transaction is changing: it
// does not come back, and nothing else of the transaction is done.
func TestRowGoneUnderATransaction(t *testing.T) {
	h := build(t)
	p := h.add(mappings)
	h.set(p, "InternalClient=camera.lan")
	key := keys(h, h.platform.NAT.Mappings)[1]
	nat := h.find("Device.NAT.InterfaceSetting.", "Enable", "true")
	err := h.try(func(tx *datamodel.Tx) error {
		err := tx.Set(t.Context(), datamodel.Assignment{Path: p + "ExternalPort", Value: "8080"}, datamodel.Assignment{Path: nat + "Enable", Value: "false"})
		if err != nil {
			return err
		}
		b, err := h.platform.Config.Begin(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		h.platform.NAT.Mappings.Delete(b, key)
		if err := b.Prepare(t.Context()); err != nil {
			t.Fatal(err)
		}
		if _, err := b.Commit(t.Context()); err != nil {
			t.Fatal(err)
		}
		return nil
	})
	blames(t, err, datamodel.ErrDenied, p+"InternalClient")
	h.want(nat, "Enable=true")
	if got := keys(h, h.platform.NAT.Mappings); len(got) != 1 {
		t.Errorf("%q are there", got)
	}
}

func TestPortMappingLife(t *testing.T) {
	h := build(t)
	h.values("Device.NAT.")
	wan := strings.TrimSuffix(h.find("Device.IP.Interface.", "Name", "eth0"), ".")
	p := h.add(mappings)
	h.want(p, "Enable=false", "Status=Disabled", "Protocol=TCP", "LeaseDuration=0", "ExternalPort=0", "AllInterfaces=false")
	h.set(p, "InternalClient=camera.lan", "ExternalPortEndRange=8010", "Enable=true", "Description=door \"camera\" \\ ä", "Protocol=UDP",
		"ExternalPort=8000", "RemoteHost=198.51.100.7", "InternalPort=9000", "Interface="+wan)
	h.want(p, "Status=Disabled", "RemoteHost=198.51.100.7", "InternalClient=camera.lan", "Description=door \"camera\" \\ ä", "Interface="+wan)
	h.reload("firewall")
	h.want(p, "Status=Enabled")
	want := platform.PortMapping{
		Enabled: true, Interface: "eth0", RemoteHost: netip.MustParsePrefix("198.51.100.7/32"), ExternalPort: 8000, ExternalPortLast: 8010,
		InternalPort: 9000, Protocol: "UDP", InternalClient: "camera.lan", Description: "door \"camera\" \\ ä",
	}
	key := keys(h, h.platform.NAT.Mappings)[1]
	if got := entry(h, h.platform.NAT.Mappings, key); got != want {
		t.Errorf("the platform keeps\n%+v, want\n%+v", got, want)
	}
	h.set(p, "AllInterfaces=true")
	if got := entry(h, h.platform.NAT.Mappings, key); !got.AllInterfaces || got.Interface != "" {
		t.Errorf("the platform keeps %+v", got)
	}
	h.want(p, "Interface=", "Status=Enabled")
	h.set(p, "InternalPort=0")
	h.want(p, "Status=Error_Misconfigured")
	h.set(p, "ExternalPort=0") // to every port: InternalPort and the range are ignored
	h.want(p, "Status=Enabled")
	h.set(p, "InternalClient=")
	h.want(p, "Status=Error_Misconfigured")
	h.delete(p)
	h.want("Device.NAT.", "PortMappingNumberOfEntries=1")
}

func TestPortMappingChecks(t *testing.T) {
	h := build(t)
	p := mappings + "1." // the printer's: TCP 6310 to 631
	h.want(p, "ExternalPort=6310")
	for _, c := range []struct {
		set   []string
		blame []string
	}{
		{[]string{"ExternalPortEndRange=6309"}, []string{"ExternalPortEndRange"}},
		{[]string{"ExternalPort=65536"}, []string{"ExternalPort"}},
		{[]string{"Protocol=SCTP"}, []string{"Protocol"}},
		{[]string{"RemoteHost=camera.lan"}, []string{"RemoteHost"}},
		{[]string{"RemoteHost=198.51.100.7/24"}, []string{"RemoteHost"}}, // bits below the mask
		{[]string{"RemoteHost=0.0.0.0"}, []string{"RemoteHost"}},
		{[]string{"RemoteHost=2001:db8::1"}, []string{"RemoteHost"}},
		{[]string{"InternalClient=127.0.0.1"}, []string{"InternalClient"}},
		{[]string{"InternalClient=224.0.0.1"}, []string{"InternalClient"}},
		{[]string{"InternalClient=192.168.1.300"}, []string{"InternalClient"}},
		{[]string{"InternalClient=192.168.1.1; reboot"}, []string{"InternalClient"}},
		{[]string{"InternalClient=$(reboot)"}, []string{"InternalClient"}},
		{[]string{"InternalClient=" + strings.Repeat("a", 64) + ".lan"}, []string{"InternalClient"}},
		{[]string{"InternalClient=fd00:db8::2"}, []string{"InternalClient"}},
		{[]string{"InternalClient=255.255.255.255"}, []string{"InternalClient"}},
		{[]string{"Description=a\nb"}, []string{"Description"}},
		{[]string{"ExternalPortEndRange=1", "RemoteHost=x", "Description=\x7f"}, []string{"ExternalPortEndRange", "RemoteHost", "Description"}},
	} {
		var paths []string
		for _, b := range c.blame {
			paths = append(paths, p+b)
		}
		blames(t, h.trySet(p, c.set...), datamodel.ErrValue, paths...)
	}
	h.set(p, "Protocol=UDP", "InternalClient=255.255.255.255")
	blames(t, h.trySet(p, "Protocol=TCP"), datamodel.ErrValue, p+"Protocol")
	h.set(p, "RemoteHost=198.51.100.0/24")
	h.want(p, "RemoteHost=198.51.100.0/24")
	h.set(p, "ExternalPortEndRange=6320")
	blames(t, h.trySet(p, "ExternalPort=6321"), datamodel.ErrValue, p+"ExternalPort")

	// Unique: RemoteHost, ExternalPort and Protocol together, of those that are on.
	q := h.add(mappings)
	h.set(q, "Protocol=UDP", "RemoteHost=198.51.100.0/24", "ExternalPort=6310")
	blames(t, h.trySet(q, "Enable=true"), datamodel.ErrValue, q+"Enable")
	h.set("", q+"Enable=true", p+"Enable=false")
	h.set("", q+"RemoteHost=", p+"Enable=true")
}

// What the ACS asks for sessions by is not given away.
func TestPortMappingSparesTheAgent(t *testing.T) {
	h := build(t) // it listens at 203.0.113.17:7547, which is eth0's
	p := mappings + "1."
	h.want(p, "ExternalPort=6310")
	for _, set := range [][]string{
		{"ExternalPort=7547"},
		{"ExternalPort=7000", "ExternalPortEndRange=8000"},
		{"ExternalPort=0"},
		{"ExternalPort=7547", "AllInterfaces=true"},
	} {
		blames(t, h.trySet(p, set...), datamodel.ErrValue, p+"ExternalPort")
	}
	lan := strings.TrimSuffix(h.find("Device.IP.Interface.", "Name", "br-lan"), ".")
	for _, set := range [][]string{
		{"ExternalPort=7547", "RemoteHost=198.51.100.7"}, // from there the ACS does not come
		{"RemoteHost=", "Protocol=UDP"},
		{"Protocol=TCP", "Interface=" + lan}, // another interface
		{"Enable=false", "AllInterfaces=true"},
	} {
		h.set(p, set...)
	}
	blames(t, h.trySet(p, "Enable=true"), datamodel.ErrValue, p+"ExternalPort")
	h.set(p, "Description=still there")
}

func TestPortMappingsFull(t *testing.T) {
	h := build(t)
	h.want("Device.NAT.", "MaxNumberOfPortMappings=256")
	h.config(func(b platform.ConfigBatch) {
		for i := range 255 {
			h.platform.NAT.Mappings.Put(b, fmt.Sprint(i), platform.PortMapping{ExternalPort: uint16(i)})
		}
	})
	err := h.try(func(tx *datamodel.Tx) error { _, err := tx.Add(t.Context(), mappings); return err })
	if !errors.Is(err, datamodel.ErrResources) {
		t.Errorf("the 257th mapping: %v", err)
	}
}

// expire has the model delete what is over, and returns when to look again.
func (h *house) expire() time.Duration {
	h.Helper()
	next, reloads, err := h.model.ExpireMappings(h.Context(), h.tree)
	if err != nil {
		h.Fatal(err)
	}
	for _, s := range reloads {
		h.reload(s)
	}
	return next
}

func TestPortMappingLease(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := build(t)
		h.values("Device.NAT.")
		p := h.add(mappings)
		h.set(p, "Enable=true", "AllInterfaces=true", "ExternalPort=80", "InternalPort=80", "InternalClient=192.168.1.101", "LeaseDuration=3600")
		h.want(p, "LeaseDuration=3600", "RemainingLeaseTime=3600")
		if next := h.expire(); next != time.Hour {
			t.Errorf("it looks again in %v", next)
		}
		time.Sleep(20*time.Minute + 300*time.Millisecond)
		h.want(p, "LeaseDuration=2400", "RemainingLeaseTime=2400")
		h.set(p, "Description=other things do not renew it")
		h.want(p, "LeaseDuration=2400")
		h.start() // nor does a restart of the agent, or of the device
		h.want(p, "LeaseDuration=2400")
		h.router.Step(-time.Hour) // or a clock that goes back
		h.want(p, "LeaseDuration=3600")
		h.router.Step(time.Hour)
		h.set(p, "LeaseDuration=60")
		h.want(p, "LeaseDuration=60")

		reloads := h.router.Reloads("firewall")
		time.Sleep(h.expire())
		h.want("Device.NAT.", "PortMappingNumberOfEntries=1") // at once, whatever the firewall says
		if next := h.expire(); next != 0 {
			t.Errorf("it looks again in %v, and there is nothing to see", next)
		}
		if got := keys(h, h.platform.NAT.Mappings); !slices.Equal(got, []string{"printer"}) || h.router.Reloads("firewall") != reloads+1 {
			t.Errorf("%q are left after %d reloads", got, h.router.Reloads("firewall")-reloads)
		}
		if q := h.add(mappings); q == p {
			t.Errorf("its number was given again")
		}
	})
}

// Until the clock is set, a lease runs on the agent's own.
func TestPortMappingLeaseWithoutClock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := build(t)
		h.values("Device.NAT.")
		h.router.SetTime(platform.TimeStatus{})
		p := h.add(mappings)
		h.set(p, "LeaseDuration=3600")
		h.expire()
		key := keys(h, h.platform.NAT.Mappings)[1]
		kept := func() platform.PortMapping { return entry(h, h.platform.NAT.Mappings, key) }
		if got := kept(); got.Lease != time.Hour || !got.Expires.IsZero() {
			t.Errorf("a time that nobody knows was written: %+v", got)
		}
		time.Sleep(10 * time.Minute)
		h.want(p, "LeaseDuration=3000")
		h.set(p, "LeaseDuration=3600") // renewed with what it had
		h.expire()
		h.want(p, "LeaseDuration=3600")
		time.Sleep(10 * time.Minute)
		h.start() // it begins anew with the agent: nobody knows how long that was away
		h.expire()
		h.want(p, "LeaseDuration=3600")
		time.Sleep(10 * time.Minute)

		h.router.Step(26 * 365 * 24 * time.Hour)
		h.router.SetTime(platform.TimeStatus{Set: true})
		reloads := h.router.Reloads("firewall")
		if next := h.expire(); next != 50*time.Minute {
			t.Errorf("it looks again in %v", next)
		}
		h.want(p, "LeaseDuration=3000")
		if got, want := kept().Expires, h.platform.Clock.Now().Add(50*time.Minute); !got.Equal(want) || h.router.Reloads("firewall") != reloads {
			t.Errorf("it ends at %v, want %v", got, want)
		}

		// A boot without a clock: it is not over before that is set again.
		h.router.SetTime(platform.TimeStatus{})
		time.Sleep(2 * time.Hour)
		h.start()
		if next := h.expire(); next != 0 {
			t.Errorf("it looks again in %v", next)
		}
		h.want(p, "LeaseDuration=3600")
		h.router.SetTime(platform.TimeStatus{Set: true})
		h.expire()
		h.want("Device.NAT.", "PortMappingNumberOfEntries=1")
	})
}

// Without a clock at all a lease ends all the same.
func TestPortMappingLeaseEndsWithoutClock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := build(t)
		h.values("Device.NAT.")
		h.router.SetTime(platform.TimeStatus{})
		h.set(h.add(mappings), "LeaseDuration=60")
		time.Sleep(h.expire())
		h.expire()
		h.want("Device.NAT.", "PortMappingNumberOfEntries=1")
	})
}

// What cannot be deleted now is tried again, and is not shown meanwhile.
func TestPortMappingLeaseOnABadDisk(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := build(t)
		h.values("Device.NAT.")
		h.set(h.add(mappings), "LeaseDuration=60")
		time.Sleep(time.Minute + time.Second)
		for _, fail := range []func(error){
			func(err error) { h.router.FailConfig(err, nil) },
			func(err error) { h.router.FailConfig(nil, err) },
			func(err error) { h.router.FailRead("config mapping", err) },
		} {
			fail(errors.New("input/output error"))
			if next, reloads, err := h.model.ExpireMappings(t.Context(), h.tree); err == nil || next != time.Minute || reloads != nil {
				t.Errorf("next %v, reloads %v, %v", next, reloads, err)
			}
			fail(nil)
			h.want("Device.NAT.", "PortMappingNumberOfEntries=1")
		}
		h.expire()
		if got := keys(h, h.platform.NAT.Mappings); !slices.Equal(got, []string{"printer"}) {
			t.Errorf("%q are left", got)
		}
	})
}
