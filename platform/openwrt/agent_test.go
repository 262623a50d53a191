package openwrt_test

// The whole agent on an OpenWrt router: what is set is what the daemons say.

import (
	"context"
	"crypto/sha256"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"gatehouse/agent/api"
	"gatehouse/agent/app"
	"gatehouse/lab/ubusd"
)

// A house is a router with the agent on it. Nobody answers at the ACS's
// address: what there is to see is seen at the agent's own doors.
type house struct {
	*bench
	api *api.Service
}

var root = api.Caller{Name: "test", Rights: api.Everything}

func newHouse(t *testing.T) *house {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root to make a network namespace")
	}
	b := newBench(t)
	h := &house{bench: b}
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
		text, err := os.ReadFile(filepath.Join(h.root, "etc/config/firewall"))
		h.must(err)
		if strings.Contains(string(text), "config zone 'gh_") {
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
