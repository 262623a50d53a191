package openwrt_test

// The whole agent on an OpenWrt router: what is set is what the daemons say.

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"gatehouse/agent/api"
	"gatehouse/agent/app"
	"gatehouse/internal/uci"
	"gatehouse/lab/acs"
	"gatehouse/lab/ubusd"
)

// A house is a router with the agent on it. Nobody answers at the ACS's
// address: what there is to see is seen at the agent's own doors.
type house struct {
	*bench
	api *api.Service
}

var root = api.Caller{Name: "test", Rights: api.Everything}

func newHouse(t *testing.T, conf ...string) *house {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root to make a network namespace")
	}
	b := newBench(t)
	h := &house{bench: b}
	for _, c := range conf {
		b.write("etc/config/gatehouse", c)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ready, done := make(chan *app.Agent, 1), make(chan error, 1)
	go func() {
		done <- app.Run(ctx, app.Config{
			Platform: b.platform, Version: "1.2.3",
			ConfigFile: filepath.Join(b.root, "etc/config/gatehouse"), FactoryFile: filepath.Join(b.root, "usr/share/gatehouse/factory"),
			State: filepath.Join(b.root, "etc/gatehouse/state"), Run: filepath.Join(b.root, "var/run/gatehouse"),
			ResolvConf: filepath.Join(b.root, "etc/resolv.conf"), Hosts: filepath.Join(b.root, "etc/hosts"),
			Ready: func(a *app.Agent) { ready <- a }, Log: b.options.Log,
		})
	}()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("the agent ended with %v", err)
		}
	})
	select {
	case a := <-ready:
		h.api = a.API()
	case err := <-done:
		t.Fatal(err)
	}
	h.settled()
	return h
}

// settled waits until the agent has named what has no name: the last thing that
// it does to files by itself.
func (h *house) settled() {
	h.Helper()
	for {
		text, err := os.ReadFile(filepath.Join(h.root, "etc/config/rpcd")) // the last of them
		h.must(err)
		if strings.Contains(string(text), "config login 'gh_") {
			return
		}
		time.Sleep(5 * time.Millisecond) // it is a file
	}
}

func (h *house) get(path string) map[string]string {
	h.Helper()
	got := map[string]string{}
	for v, err := range h.api.Get(h.Context(), root, []string{path}) {
		if err != nil {
			h.Fatalf("%s: %v", path, err)
		}
		got[v.Name] = v.Value
	}
	return got
}

func (h *house) one(path string) string {
	h.Helper()
	return h.get(path)[path]
}

// add adds a row, and returns its path.
func (h *house) add(table string, pairs ...string) string {
	h.Helper()
	path, err := h.api.Add(h.Context(), root, table, assign(pairs))
	if err != nil {
		h.Fatalf("%s %v: %v", table, pairs, err)
	}
	return path
}

// file is what a package says.
func (h *house) file(pkg string) string {
	h.Helper()
	text, err := os.ReadFile(filepath.Join(h.root, "etc/config", pkg))
	h.must(err)
	return string(text)
}

// find returns the row of a table in which a parameter has a value.
func (h *house) find(table, param, value string) string {
	h.Helper()
	for path, v := range h.get(table) {
		if row, ok := strings.CutSuffix(path, "."+param); ok && v == value && strings.Count(row, ".") == strings.Count(table, ".") {
			return row + "."
		}
	}
	h.Fatalf("no row of %s has %s %q", table, param, value)
	return ""
}

func (h *house) set(assignments ...string) {
	h.Helper()
	if _, err := h.api.Set(h.Context(), root, assign(assignments), false); err != nil {
		h.Fatalf("%v: %v", assignments, err)
	}
}

func assign(pairs []string) (as []api.Assignment) {
	for i := 0; i+1 < len(pairs); i += 2 {
		as = append(as, api.Assignment{Name: pairs[i], Value: pairs[i+1]})
	}
	return as
}

// until waits for what the agent does after a session.
func (h *house) until(what string, done func() bool) {
	h.Helper()
	for end := time.Now().Add(20 * time.Second); !done(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			h.Fatalf("%s: in vain", what)
		}
	}
}

// packages is a sum of all that is in /etc/config.
func (h *house) packages() string {
	sum := sha256.New()
	h.must(filepath.WalkDir(filepath.Join(h.root, "etc/config"), func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		text, err := os.ReadFile(path)
		fmt.Fprintf(sum, "%s %d\n%s", path, len(text), text)
		return err
	}))
	return fmt.Sprintf("%x", sum.Sum(nil))
}

// TestWholeRead reads all of the model: every source once, no file changed.
func TestWholeRead(t *testing.T) {
	h := newHouse(t)
	h.router.Join("phy1-ap0", ubusd.Station{MAC: "02:00:00:00:00:aa", Signal: -40, Generation: "vht", Rx: 866700, Tx: 780000, Seconds: 60})
	before := h.packages()
	time.Sleep(600 * time.Millisecond) // what the start has asked is forgotten
	h.router.Calls()
	all := h.get("Device.")
	calls := h.router.Calls()
	if len(calls) == 0 {
		t.Fatal("nothing was asked")
	}
	for call, n := range calls {
		if most := map[string]int{"iwinfo info": 2, "iwinfo freqlist": 2, "iwinfo txpowerlist": 2, "iwinfo assoclist": 2}[call]; n > max(1, most) {
			t.Errorf("%s was asked %d times", call, n)
		}
	}
	if h.packages() != before {
		t.Error("reading has changed the configuration")
	}
	for path, want := range map[string]string{
		"Device.DeviceInfo.ModelName":             "Cudy WR1300 v1",
		"Device.DeviceInfo.SoftwareVersion":       "24.10.4-r28959-29397011cc",
		"Device.WiFi.RadioNumberOfEntries":        "2",
		"Device.WiFi.AccessPointNumberOfEntries":  "2",
		"Device.DNS.Client.ServerNumberOfEntries": "2",
	} {
		if all[path] != want {
			t.Errorf("%s is %q, not %q", path, all[path], want)
		}
	}
	for path, v := range all {
		if strings.Contains(v, "changeme123") {
			t.Errorf("%s shows a passphrase", path)
		}
	}
	t.Logf("%d parameters, %v", len(all), calls)
}

// TestSetWiFi: ten sets reload the radios once, and the daemons say what was
// set.
func TestSetWiFi(t *testing.T) {
	h := newHouse(t)
	ssid := h.find("Device.WiFi.SSID.", "SSID", "OpenWrt")
	ap := h.find("Device.WiFi.AccessPoint.", "SSIDReference", strings.TrimSuffix(ssid, "."))
	h.set(ssid+"SSID", "caf\u00e9", ap+"Security.KeyPassphrase", "correct horse")
	if got := h.one(ssid + "SSID"); got != "caf\u00e9" {
		t.Errorf("read back at once: %q", got)
	}
	h.until("the radios reload", func() bool { return h.router.Reloads("wireless") == 1 })
	h.until("hostapd has it", func() bool {
		out, _ := h.command("call", "network.wireless", "status")
		return strings.Contains(out, `"ssid": "caf`) && strings.Contains(out, `"key": "correct horse"`)
	})
	if got := h.one(ap + "Security.KeyPassphrase"); got != "" {
		t.Errorf("the passphrase is told: %q", got)
	}
	h.until("it is up", func() bool { return h.one(ssid+"Status") == "Up" })
}

// TestTenSets: an ACS sets ten times in one session. Each is answered with
// Status 1 and read back at once; the radios are reloaded once, after it.
func TestTenSets(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := acs.New(acs.Options{})
	server.Script(func(c *acs.Conversation) error {
		for i := range 10 {
			path, name := fmt.Sprintf("Device.WiFi.SSID.%d.SSID", 1+i%2), fmt.Sprintf("net %d", i)
			status, err := c.SetParameterValues("key", acs.P(path, "xsd:string", name))
			if err != nil || status != 1 {
				t.Errorf("set %d: Status %d, %v", i, status, err)
			}
			got, err := c.GetParameterValues(path)
			if err != nil || len(got) != 1 || got[0].Value != name {
				t.Errorf("read back %d: %v, %v", i, got, err)
			}
		}
		return nil
	})
	go server.Serve(l)
	defer server.Close()
	h := newHouse(t, "config acs 'acs'\n\toption url 'http://"+l.Addr().String()+"/'\n\toption allow_http '1'\n")
	if _, err := server.WaitSession(t.Context(), acs.Any); err != nil {
		t.Fatal(err)
	}
	h.until("the radios reload", func() bool { return h.router.Reloads("wireless") > 0 })
	h.until("hostapd has it", func() bool {
		out, _ := h.command("call", "network.wireless", "status")
		return strings.Contains(out, `"ssid": "net 8"`) && strings.Contains(out, `"ssid": "net 9"`)
	})
	if n := h.router.Reloads("wireless"); n != 1 {
		t.Errorf("the radios were reloaded %d times", n)
	}
	for _, v := range server.Violations() {
		t.Errorf("the ACS complains: %v", v)
	}
}

// TestStaticLease: an address that is kept for one client is a section of its
// own, and dnsmasq starts again with it.
func TestStaticLease(t *testing.T) {
	h := newHouse(t)
	pool := h.find("Device.DHCPv4.Server.Pool.", "Enable", "true")
	kept := h.add(pool+"StaticAddress.", "Enable", "true", "Chaddr", "02:00:00:00:00:AA", "Yiaddr", "192.168.1.150")
	h.until("dnsmasq starts again", func() bool { return h.router.Reloads("dhcp") == 1 })
	for _, want := range []string{"config host", "option mac '02:00:00:00:00:AA'", "option ip '192.168.1.150'"} {
		if !strings.Contains(strings.ToUpper(h.file("dhcp")), strings.ToUpper(want)) {
			t.Errorf("no %s in\n%s", want, h.file("dhcp"))
		}
	}
	if got := h.one(kept + "Yiaddr"); got != "192.168.1.150" {
		t.Errorf("read back %q", got)
	}
	h.must(h.api.Delete(t.Context(), root, []string{kept}))
	h.until("dnsmasq starts again", func() bool { return h.router.Reloads("dhcp") == 2 })
	if strings.Contains(h.file("dhcp"), "config host") {
		t.Errorf("it is still there:\n%s", h.file("dhcp"))
	}
}

// TestPortMapping: fw4 has no instance that runs; it is told, and that is all.
func TestPortMapping(t *testing.T) {
	h := newHouse(t)
	wan := h.find("Device.IP.Interface.", "Name", "wan")
	before := h.file("firewall")
	mapping := h.add("Device.NAT.PortMapping.", "Enable", "true", "Interface", strings.TrimSuffix(wan, "."), "Protocol", "TCP",
		"ExternalPort", "8080", "InternalPort", "80", "InternalClient", "192.168.1.50", "Description", "it's \"mine\"; $(reboot)")
	h.until("the firewall is told", func() bool { return h.router.Reloads("firewall") == 1 })
	added := strings.TrimPrefix(h.file("firewall"), before)
	for _, want := range []string{"config redirect", "option src 'wan'", "option src_dport '8080'", "option dest_ip '192.168.1.50'", "option dest_port '80'", "option target 'DNAT'"} {
		if !strings.Contains(added, want) {
			t.Errorf("no %s in\n%s", want, added)
		}
	}
	if !strings.HasPrefix(h.file("firewall"), before) {
		t.Errorf("what was there has changed:\n%s", h.file("firewall"))
	}
	if got := h.one(mapping + "Description"); got != "it's \"mine\"; $(reboot)" {
		t.Errorf("read back %q", got)
	}
}

// TestDryRunOfAdd: no value of a new row is laid to a parameter that has nothing
// to do with it.
func TestDryRunOfAdd(t *testing.T) {
	h := newHouse(t)
	pool := h.find("Device.DHCPv4.Server.Pool.", "Enable", "true")
	p, err := h.api.Plan(t.Context(), root, api.Edit{Add: pool + "StaticAddress.", Set: []api.Assignment{
		{Name: "Chaddr", Value: "00:00:5E:00:53:91"}, {Name: "Yiaddr", Value: "192.168.1.150"}, {Name: "Enable", Value: "true"},
	}})
	if err != nil || len(p.Writes) < 3 {
		t.Fatalf("%+v, %v", p, err)
	}
	for _, w := range p.Writes {
		if !strings.HasPrefix(w.Name, pool+"StaticAddress.") || !strings.HasSuffix(w.Name, ".") {
			t.Errorf("%+v", w)
		}
	}
}

// TestLANAddress: a dry run changes nothing; the set is what netifd has.
func TestLANAddress(t *testing.T) {
	h := newHouse(t)
	lan := h.find("Device.IP.Interface.", "Name", "lan")
	path := lan + "IPv4Address.1.IPAddress"
	before := h.packages()
	if _, err := h.api.Set(t.Context(), root, assign([]string{path, "192.168.7.1"}), true); err != nil {
		t.Fatal(err)
	}
	if _, err := h.api.Set(t.Context(), root, assign([]string{path, "192.168.1.1.5"}), true); err == nil {
		t.Error("a dry run takes what is no address")
	}
	if h.packages() != before || h.router.Reloads("network") != 0 {
		t.Error("a dry run has changed something")
	}
	h.set(path, "192.168.7.1")
	if got := h.one(path); got != "192.168.7.1" {
		t.Errorf("read back at once: %q", got)
	}
	h.until("netifd has it", func() bool {
		out, _ := h.command("call", "network.interface.lan", "status")
		return strings.Contains(out, `"address": "192.168.7.1"`)
	})
	if n := h.router.Reloads("network"); n != 1 {
		t.Errorf("%d reloads", n)
	}
}

// TestTakenBack: a service that does not take its configuration up gets the
// last one that it did.
func TestTakenBack(t *testing.T) {
	h := newHouse(t)
	ssid := h.find("Device.WiFi.SSID.", "SSID", "OpenWrt")
	before := h.file("wireless")
	h.router.FailReload("wireless", true)
	h.set(ssid+"SSID", "other")
	h.until("it is taken back", func() bool { return h.file("wireless") == before })
	if got := h.one(ssid + "SSID"); got != "OpenWrt" {
		t.Errorf("read back %q", got)
	}
	s, err := h.api.Status(root)
	h.must(err)
	t.Logf("%+v", s)
}

// TestBrokenPackage: a file that does not parse takes only its own rows away,
// and is not written.
func TestBrokenPackage(t *testing.T) {
	h := newHouse(t)
	broken := strings.Replace(h.file("wireless"), "option ssid 'OpenWrt'", "option ssid 'Open", 1)
	ssid := h.find("Device.WiFi.SSID.", "SSID", "OpenWrt")
	h.write("etc/config/wireless", broken)
	if got := h.one(h.find("Device.IP.Interface.", "Name", "lan") + "IPv4Address.1.IPAddress"); got != "192.168.1.1" {
		t.Errorf("the rest does not live: %q", got)
	}
	if _, err := h.api.Set(t.Context(), root, assign([]string{ssid + "SSID", "other"}), false); err == nil || !strings.Contains(err.Error(), "wireless") {
		t.Errorf("set into a broken file: %v", err)
	}
	if h.file("wireless") != broken {
		t.Error("it was written")
	}
	// The quotation mark that closes nothing is the last one of the file.
	line := fmt.Sprintf("etc/config/wireless:%d: ", 1+strings.Count(broken[:strings.LastIndexByte(broken, '\'')], "\n"))
	h.until("the log says where: "+line, func() bool { return h.log.has(line) })
}

// TestTwoWriters: an ACS and somebody at the command line write the same file at
// the same time, each under libuci's lock: nothing of either is lost.
func TestTwoWriters(t *testing.T) {
	h := newHouse(t)
	const times = 20
	cli := uci.Dir{Config: filepath.Join(h.root, "etc/config")}
	ended := make(chan error, 1)
	go func() {
		var failed error
		for i := range times {
			c := cli.Begin()
			p, err := c.Package(t.Context(), "wireless")
			if err == nil {
				err = p.Section("radio1").Set("legacy_rates", fmt.Sprint(i))
			}
			if err == nil {
				var s *uci.Section
				if s, err = p.Add("wifi-vlan", fmt.Sprintf("cli%d", i)); err == nil {
					err = s.Set("vid", fmt.Sprint(i))
				}
			}
			if err == nil {
				err = c.Prepare()
			}
			if err == nil {
				err = c.Commit()
			}
			failed = errors.Join(failed, err)
		}
		ended <- failed
	}()
	ssid := h.find("Device.WiFi.SSID.", "SSID", "OpenWrt")
	for i := range times {
		h.set(ssid+"SSID", fmt.Sprintf("acs %d", i))
	}
	h.must(<-ended)
	p, err := cli.Read("wireless")
	h.must(err)
	for i := range times {
		if s := p.Section(fmt.Sprintf("cli%d", i)); s == nil || s.Get("vid") != fmt.Sprint(i) {
			t.Errorf("what was written at the command line is lost: %d", i)
		}
	}
	if got := p.Section("radio1").Get("legacy_rates"); got != fmt.Sprint(times-1) || h.one(ssid+"SSID") != fmt.Sprintf("acs %d", times-1) {
		t.Errorf("the last are %q and %q", got, h.one(ssid+"SSID"))
	}
}
