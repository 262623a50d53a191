package uciconf

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"gatehouse/internal/uci"
	"gatehouse/platform"
)

// A change over four files: what it would write, who has to take it up, and
// that all of it goes back.
func TestBatchTells(t *testing.T) {
	c := vanilla(t)
	was := sums(t, c)
	ap, wan, lan := row(t, c.AccessPoints(), "default_radio0"), row(t, c.Interfaces(), "wan"), row(t, c.DHCPPools(), "lan")
	ap.Security.Mode, ap.Security.Passphrase = "WPA2-Personal", "passphrase"
	wan.MTU, lan.LeaseTime = 1400, 3600e9
	key, m, err := c.PortMappings().Fresh(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	m.Interface, m.Expires = "wan", time.Unix(978307200, 0)
	b, err := do(t, c, func(b platform.ConfigBatch) {
		c.AccessPoints().Put(b, "default_radio0", ap)
		c.Interfaces().Put(b, "wan", wan)
		c.DHCPPools().Put(b, "lan", lan)
		c.PortMappings().Put(b, key, m)
	})
	if err != nil {
		t.Fatal(err)
	}
	if got := b.Reloads(); !slices.Equal(got, []string{"network", "wireless", "dhcp", "firewall"}) {
		t.Errorf("%v", got)
	}
	told := map[string]platform.Write{}
	for _, w := range b.Writes() {
		told[filepath.Base(w.File)+"."+w.Place] = w
	}
	path := func(pkg string) string { return c.o.Dir.Path(pkg) }
	for place, want := range map[string]platform.Write{
		"wireless.default_radio0.encryption": {Item: 0, File: path("wireless"), Place: "default_radio0.encryption", Old: "none", New: "psk2", Service: "wireless"},
		"wireless.default_radio0.key":        {Item: 0, File: path("wireless"), Place: "default_radio0.key", New: "***", Service: "wireless"},
		"network.wan.mtu":                    {Item: 1, File: path("network"), Place: "wan.mtu", New: "1400", Service: "network", Uplink: true},
		"dhcp.lan.leasetime":                 {Item: 2, File: path("dhcp"), Place: "lan.leasetime", Old: "12h", New: "1h", Service: "dhcp"},
		"firewall." + key:                    {Item: 3, File: path("firewall"), Place: key, New: "redirect " + key, Service: "firewall"},
		"firewall." + key + ".gh_expires":    {Item: 3, File: path("firewall"), Place: key + ".gh_expires", New: "978307200"},
	} {
		if told[place] != want {
			t.Errorf("%s: %+v, want %+v", place, told[place], want)
		}
	}
	if len(told) != 4+1+5+2 { // the zones were named, too
		t.Errorf("%d writes: %v", len(told), slices.Sorted(maps.Keys(told)))
	}
	record := b.Undo()
	if err := b.Rollback(t.Context()); err != nil {
		t.Fatal(err)
	}
	if now := sums(t, c); !maps.Equal(was, now) {
		t.Errorf("%v became %v", was, now)
	}
	if services, err := c.Undo(t.Context(), record); err != nil || len(services) != 0 {
		t.Errorf("%v %v", services, err)
	}
}

// A row that goes is told as such, and laid to the item that asked for it.
func TestDeletionIsTold(t *testing.T) {
	c := vanilla(t)
	r := row(t, c.SSIDs(), "default_radio0")
	r.Name = "x"
	b, err := do(t, c, func(b platform.ConfigBatch) {
		c.SSIDs().Put(b, "default_radio0", r)
		c.DHCPPools().Delete(b, "wan")
	})
	if err != nil {
		t.Fatal(err)
	}
	var told []string
	for _, w := range b.Writes() {
		told = append(told, fmt.Sprint(w.Item, " ", w.Place, " ", w.Old, ">", w.New))
	}
	if want := []string{"0 default_radio0.ssid OpenWrt>x", "1 wan dhcp wan>", "1 wan.interface wan>", "1 wan.ignore 1>"}; !slices.Equal(told, want) {
		t.Errorf("%q", told)
	}
}

// What is put aside of a secret, and what goes with a section that is not ours,
// is as secret as the rest.
func TestSecretsAreNotTold(t *testing.T) {
	c := vanilla(t)
	write(t, c, "network", text1(t, c, "network")+"\nconfig interface 'wg0'\n\toption proto 'wireguard'\n\toption private_key 'hush'\n\toption password 'hush'\n\toption pincode 'hush'\n")
	change(t, c, c.AccessPoints(), "default_radio0", func(a *platform.AccessPoint) { a.Security.Mode, a.Security.Passphrase = "WPA2-Personal", "hush hush" })
	ap := row(t, c.AccessPoints(), "default_radio0")
	ap.Security.Mode, ap.Security.SAE, ap.Security.MFP = "WPA3-Personal", "hush hush hush", "Required"
	b, err := do(t, c, func(b platform.ConfigBatch) {
		c.AccessPoints().Put(b, "default_radio0", ap)
		c.Interfaces().Delete(b, "wg0")
	})
	if err != nil {
		t.Fatal(err)
	}
	hidden := 0
	for _, w := range b.Writes() {
		if strings.Contains(w.Old+w.New, "hush") {
			t.Errorf("%+v", w)
		}
		if w.Old == "***" || w.New == "***" {
			hidden++
		}
	}
	if hidden != 5 { // key, gh_passphrase; three of wg0
		t.Errorf("%d secrets are told as such", hidden)
	}
}

// What an item refers to may be another's to create, in any order.
func TestItemsWaitForEachOther(t *testing.T) {
	c := vanilla(t)
	ssid, s, err := c.SSIDs().Fresh(t.Context())
	ap, a, err2 := c.AccessPoints().Fresh(t.Context())
	if err := errors.Join(err, err2); err != nil {
		t.Fatal(err)
	}
	a.SSID, s.Name = ssid, "new"
	_, err = do(t, c, func(b platform.ConfigBatch) {
		c.AccessPoints().Put(b, ap, a)
		c.SSIDs().Put(b, ssid, s)
	})
	if err != nil || row(t, c.AccessPoints(), ap).SSID != ssid {
		t.Errorf("%v", err)
	}
}

// What only we read needs no reload.
func TestOurOwnOptionsReloadNothing(t *testing.T) {
	c := vanilla(t)
	if b := change(t, c, c.DHCPPools(), "lan", func(p *platform.DHCPPool) { p.Order = 9 }); len(b.Reloads()) != 0 {
		t.Errorf("%v", b.Writes())
	}
	key, r, err := c.AccessPoints().Fresh(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	b, err := do(t, c, func(b platform.ConfigBatch) { c.AccessPoints().Put(b, key, r) })
	if err != nil || len(b.Reloads()) != 0 || len(b.Writes()) == 0 {
		t.Errorf("%v %v", b.Writes(), err)
	}
	if b, err = do(t, c, func(platform.ConfigBatch) {}); err != nil || len(b.Reloads())+len(b.Writes())+len(b.Undo()) != 0 {
		t.Errorf("an empty batch: %v %v", b.Writes(), err)
	}
}

// One refusal refuses all, and says which item it is about.
func TestOneRefusalRefusesAll(t *testing.T) {
	c := vanilla(t)
	was := sums(t, c)
	pool, mapping := row(t, c.DHCPPools(), "lan"), platform.PortMapping{Enabled: true, Protocol: "SCTP"}
	pool.LeaseTime = 3600e9
	_, err := do(t, c, func(b platform.ConfigBatch) {
		c.DHCPPools().Put(b, "lan", pool)
		c.PortMappings().Put(b, "mapx", mapping)
		c.DHCPPools().Put(b, "lan", pool)
	})
	var item *platform.ItemError
	if !errors.As(err, &item) || item.Item != 1 {
		t.Errorf("%v", err)
	}
	if now := sums(t, c); !maps.Equal(was, now) {
		t.Errorf("%v became %v", was, now)
	}
}

// The journal's record takes back what a crash has left, and leaves what
// somebody else has done since.
func TestUndoAfterACrash(t *testing.T) {
	c := vanilla(t)
	b := change(t, c, c.AccessPoints(), "default_radio0", func(a *platform.AccessPoint) {
		a.Security.Mode, a.Security.Passphrase, a.Isolated = "WPA2-Personal", "passphrase", true
	})
	record := b.Undo()
	again := New(c.o) // another process
	change(t, again, again.AccessPoints(), "default_radio0", func(a *platform.AccessPoint) { a.Security.Passphrase = "somebody else's" })
	services, err := again.Undo(t.Context(), record)
	if err != nil || !slices.Equal(services, []string{"wireless"}) {
		t.Errorf("%v %v", services, err)
	}
	if a := row(t, again.AccessPoints(), "default_radio0"); a.Isolated || a.Security.Mode != "None" || a.Security.Passphrase != "somebody else's" {
		t.Errorf("%+v", a)
	}
}

// Two writers at once: the other one is waited for, and then the error says so.
func TestLockHeldByAnother(t *testing.T) {
	c := vanilla(t)
	unlock, err := uci.OS{}.Lock(c.o.Dir.Path("wireless"))
	if err != nil {
		t.Fatal(err)
	}
	defer unlock()
	r := row(t, c.SSIDs(), "default_radio0")
	r.Name = "x"
	synctest.Test(t, func(t *testing.T) {
		_, err := do(t, c, func(b platform.ConfigBatch) { c.SSIDs().Put(b, "default_radio0", r) })
		var item *platform.ItemError
		var un *platform.Unavailable // it is not for what the row says
		if !errors.Is(err, uci.ErrLocked) || !errors.As(err, &item) || !errors.As(err, &un) || !strings.Contains(err.Error(), "wireless: locked by another process") {
			t.Errorf("%v", err)
		}
	})
}

// deadFS is the real file system when nothing can be written to it any more.
type deadFS struct {
	uci.OS
	err error
}

func (f deadFS) Create(path, _ string) (uci.Writer, error) {
	return nil, &os.PathError{Op: "open", Path: path, Err: f.err}
}

// A disk that is full or read-only: everything can be read, rows without a name
// keep their keys, and a write is refused before anything has changed.
func TestDiskRefuses(t *testing.T) {
	for _, errno := range []error{syscall.ENOSPC, syscall.EROFS, syscall.EACCES} {
		c := vanilla(t)
		c.o.Dir.FS = deadFS{err: errno}
		before, was := slices.Sorted(maps.Keys(rows(t, c.NATInterfaces()))), sums(t, c)
		if err := c.Name(t.Context()); !errors.Is(err, errno) {
			t.Errorf("%v", err)
		}
		if after := slices.Sorted(maps.Keys(rows(t, c.NATInterfaces()))); !slices.Equal(before, after) || len(after) != 2 {
			t.Errorf("%v became %v", before, after)
		}
		if err := refused(t, c, c.NATInterfaces(), before[0], func(n *platform.NATInterface) { n.Enabled = !n.Enabled }); !errors.Is(err, errno) {
			t.Errorf("%v", err)
		}
		if now := sums(t, c); !maps.Equal(was, now) {
			t.Errorf("%v became %v", was, now)
		}
	}
}

// Naming keeps the keys that rows have been known by, touches nothing else, and
// does nothing twice.
func TestNaming(t *testing.T) {
	c := vanilla(t)
	const redirects = "\nconfig redirect\n\toption name 'one' # first\n\toption src 'wan'\n\nconfig redirect\n\toption name 'two'\n"
	write(t, c, "firewall", text1(t, c, "firewall")+redirects)
	before, zones := rows(t, c.PortMappings()), rows(t, c.NATInterfaces())
	text, was := text1(t, c, "firewall"), sums(t, c)
	if err := c.Name(t.Context()); err != nil {
		t.Fatal(err)
	}
	if after := rows(t, c.PortMappings()); len(after) != 2 || !maps.EqualFunc(before, after, func(a, b platform.PortMapping) bool { return a == b }) {
		t.Errorf("%v became %v", before, after)
	}
	if after := rows(t, c.NATInterfaces()); !maps.Equal(zones, after) {
		t.Errorf("%v became %v", zones, after)
	}
	named := text1(t, c, "firewall")
	for key := range before {
		named = strings.Replace(named, "config redirect '"+key+"'", "config redirect", 1)
	}
	for key := range zones {
		named = strings.Replace(named, "config zone '"+key+"'", "config zone", 1)
	}
	if named != text {
		t.Errorf("%s", named)
	}
	now := sums(t, c)
	for pkg := range was {
		if changed := was[pkg] != now[pkg]; changed != (pkg == "firewall" || pkg == "rpcd") {
			t.Errorf("%s changed: %v", pkg, changed)
		}
	}
	if err := c.Name(t.Context()); err != nil || !maps.Equal(now, sums(t, c)) {
		t.Errorf("%v, or named twice", err)
	}
	// Somebody deletes the first and adds one: keys do not move, and the new one
	// gets none that another has.
	text = text1(t, c, "firewall")
	from, to := strings.Index(text, "\nconfig redirect"), strings.LastIndex(text, "\nconfig redirect")
	write(t, c, "firewall", text[:from]+text[to:]+"\nconfig redirect\n\toption name 'three'\n")
	after := rows(t, c.PortMappings())
	if len(after) != 2 {
		t.Fatalf("%v", after)
	}
	for key, m := range after {
		if _, known := before[key]; known != (m.Description == "two") || known && before[key].Description != "two" {
			t.Errorf("%s is %s now", key, m.Description)
		}
	}
}

// Somebody in the middle of a web form calls sections by the names that libuci
// makes up: they are not renamed under his hands.
func TestNamingWaitsForOthers(t *testing.T) {
	c := vanilla(t)
	c.o.Dir.Deltas = []string{t.TempDir()}
	delta := filepath.Join(c.o.Dir.Deltas[0], "firewall")
	if err := os.WriteFile(delta, []byte("firewall.cfg02dc81.masq='1'\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	was := sums(t, c)
	if err := c.Name(t.Context()); err != nil {
		t.Fatal(err)
	}
	if now := sums(t, c); now["firewall"] != was["firewall"] || now["rpcd"] == was["rpcd"] {
		t.Errorf("%v became %v", was, now)
	}
	if got := c.Pending(); !slices.Equal(got, []string{"firewall"}) {
		t.Errorf("%v", got)
	}
}

// A key of a section without a name is as good as the file it was read from. A
// batch that finds another file refuses it: the section may be another one.
func TestKeysOfNamelessSectionsAreNotTrustedForLong(t *testing.T) {
	c := vanilla(t)
	const redirects = "config redirect\n\toption name 'one'\n\nconfig redirect\n\toption name 'two'\n"
	write(t, c, "firewall", redirects)
	var key string
	var r platform.PortMapping
	for k, m := range rows(t, c.PortMappings()) {
		if m.Description == "one" {
			key, r = k, m
		}
	}
	r.Description = "changed"
	write(t, c, "firewall", strings.Replace(redirects, "one", "zero", 1))
	was := sums(t, c)
	if _, err := do(t, c, func(b platform.ConfigBatch) { c.PortMappings().Put(b, key, r) }); !errors.Is(err, platform.ErrGone) {
		t.Errorf("%v", err)
	}
	if now := sums(t, c); !maps.Equal(was, now) {
		t.Errorf("%v became %v", was, now)
	}
	rows(t, c.PortMappings()) // somebody looks again
	if _, err := do(t, c, func(b platform.ConfigBatch) { c.PortMappings().Put(b, key, r) }); err != nil {
		t.Errorf("%v", err)
	}
	if text := text1(t, c, "firewall"); !strings.Contains(text, "config redirect '"+key+"'\n\toption name 'changed'\n") {
		t.Errorf("%s", text)
	}
}

// On a plain Linux there is no package yet: the first row makes it.
func TestEmptyFolder(t *testing.T) {
	c := New(Options{Dir: uci.Dir{Config: t.TempDir(), Create: true}})
	if n := readAll(t, c); n != 4 {
		t.Errorf("%d rows of nothing: the server, the time, the name and the relay are there", n)
	}
	change(t, c, c.DHCPServer(), "dnsmasq", func(s *platform.DHCPServer) { s.Enabled = false })
	change(t, c, c.Timing(), "system", func(r *platform.TimeConfig) { r.Enabled, r.Servers = true, []string{"ntp.example"} })
	change(t, c, c.Host(), "host", func(r *platform.HostConfig) { r.Name = "pi" })
	create(t, c, c.Forwards(), func(f *platform.DNSForward) { f.Enabled, f.Server = true, addr("192.0.2.1") })
	create(t, c, c.Forwards(), func(f *platform.DNSForward) { f.Enabled, f.Server, f.Relay = true, addr("192.0.2.1"), true })
	create(t, c, c.PortMappings(), func(m *platform.PortMapping) { m.Enabled, m.Interface, m.InternalClient = true, "eth0", "192.0.2.9" })
	create(t, c, c.DHCPPools(), func(p *platform.DHCPPool) {
		p.Enabled, p.Interface, p.Min, p.Max, p.Order = true, "eth1", addr("192.0.2.1"), addr("192.0.2.9"), 1
	})
	create(t, c, c.Routes(), func(r *platform.StaticRoute) { r.Enabled, r.Dest = true, netip.MustParsePrefix("10.0.0.0/8") })
	if info, err := os.Stat(c.o.Dir.Path("network")); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v %v", info, err)
	}
	c.o.Dir.Create = false
	if _, _, err := c.SSIDs().Fresh(t.Context()); !errors.Is(err, os.ErrNotExist) || c.Has("wireless") || !c.Has("network") {
		t.Errorf("%v", err)
	}
}

// A backend may wrap the batch.
type wrapped struct{ platform.ConfigBatch }

func (w wrapped) Unwrap() platform.ConfigBatch { return w.ConfigBatch }

func TestWrappedBatchAndReload(t *testing.T) {
	var asked []string
	c := vanilla(t)
	c.o.Reload = func(_ context.Context, services []string) error { asked = append(asked, services...); return nil }
	r := row(t, c.SSIDs(), "default_radio0")
	r.Name = "wrapped"
	if _, err := do(t, c, func(b platform.ConfigBatch) { c.SSIDs().Put(wrapped{b}, "default_radio0", r) }); err != nil {
		t.Fatal(err)
	}
	if got := row(t, c.SSIDs(), "default_radio0"); got != r {
		t.Errorf("%+v", got)
	}
	if err := errors.Join(c.Reload(t.Context(), nil), c.Reload(t.Context(), []string{"wireless"})); err != nil || !slices.Equal(asked, []string{"wireless"}) {
		t.Errorf("%v %v", asked, err)
	}
	var p platform.Platform
	if c.Fill(&p); p.Config == nil || p.WiFi.SSIDs == nil || p.Users == nil || p.DHCP.Options == nil || p.Interfaces.Table == nil {
		t.Errorf("%+v", p)
	}
}

// 20 parameters over four files; what is measured is all but the disk.
func BenchmarkSetOf20(b *testing.B) {
	c := vanilla(b)
	c.o.Dir.FS = noSync{}
	mapping := create(b, c, c.PortMappings(), func(m *platform.PortMapping) { m.Interface, m.InternalClient = "wan", "192.168.1.7" })
	ap, ssid, radio := row(b, c.AccessPoints(), "default_radio0"), row(b, c.SSIDs(), "default_radio0"), row(b, c.Radios(), "radio0")
	lan, pool, m := row(b, c.Interfaces(), "lan"), row(b, c.DHCPPools(), "lan"), row(b, c.PortMappings(), mapping)
	began := cpu(b)
	for i := 0; b.Loop(); i++ {
		odd := i%2 == 0
		ssid.Name, ap.Security.Passphrase = "a", "passphrase"
		if odd {
			ssid.Name, ap.Security.Passphrase = "b", "another one"
		}
		ap.Isolated, ap.Advertised, ap.WMM, ap.Security.Mode = odd, odd, odd, "WPA2-Personal"
		radio.Enabled, radio.DFS, radio.Channel, radio.BeaconEvery = odd, odd, 1+uint32(i%2), 100+uint32(i%2)
		lan.MTU, lan.PeerDNS, lan.Gateway = 1400+uint32(i%2), odd, addr("192.168.1.7")
		pool.Order, pool.Domain = 1+uint32(i%2), ssid.Name
		m.ExternalPort, m.InternalPort, m.Enabled, m.Description = 80+uint16(i%2), 80+uint16(i%2), odd, ssid.Name
		if _, err := do(b, c, func(batch platform.ConfigBatch) {
			c.AccessPoints().Put(batch, "default_radio0", ap)
			c.SSIDs().Put(batch, "default_radio0", ssid)
			c.Radios().Put(batch, "radio0", radio)
			c.Interfaces().Put(batch, "lan", lan)
			c.DHCPPools().Put(batch, "lan", pool)
			c.PortMappings().Put(batch, mapping, m)
		}); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64((cpu(b)-began).Microseconds())/float64(b.N)/1000, "cpu-ms/op")
}

// cpu is what the process has used so far.
func cpu(b *testing.B) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// noSync is the real file system without waiting for the disk.
type noSync struct{ uci.OS }

type noSyncWriter struct{ uci.Writer }

func (noSyncWriter) Sync() error { return nil }

func (noSync) SyncDir(string) error { return nil }

func (f noSync) Create(path, old string) (uci.Writer, error) {
	w, err := f.OS.Create(path, old)
	return noSyncWriter{w}, err
}
