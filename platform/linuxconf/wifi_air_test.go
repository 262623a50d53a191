package linuxconf

// A house with radios: a kernel, systemd and hostapd in memory, on a folder.

import (
	"context"
	"fmt"
	"iter"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"gatehouse/internal/nl80211"
	"gatehouse/internal/nl80211/airtest"
	"gatehouse/platform"
)

// The radios: one of a small computer, which lists neither noise nor more than
// one network, and one of a router.
var (
	channels2 = []nl80211.Channel{{MHz: 2412, MaxPower: 2000}, {MHz: 2417, MaxPower: 2000}, {MHz: 2422, MaxPower: 2000}, {MHz: 2427, MaxPower: 2000}, {MHz: 2432, MaxPower: 2000},
		{MHz: 2437, MaxPower: 2000}, {MHz: 2442, MaxPower: 2000}, {MHz: 2447, MaxPower: 2000}, {MHz: 2452, MaxPower: 2000}, {MHz: 2457, MaxPower: 2000}, {MHz: 2462, MaxPower: 2000},
		{MHz: 2467, NoIR: true, MaxPower: 2000}, {MHz: 2472, NoIR: true, MaxPower: 2000}, {MHz: 2484, Disabled: true}}
	pi = nl80211.Wiphy{Index: 0, Name: "phy0", AP: true, MaxAPs: 1, Ciphers: []uint32{0x000fac04}, Bands: []nl80211.Band{
		{ID: unix.NL80211_BAND_2GHZ, HT: true, HTCapa: 0x1020, Streams: 1, Channels: channels2},
	}}
	router = nl80211.Wiphy{Index: 1, Name: "phy1", AP: true, UAPSD: true, MaxAPs: 4, Ciphers: []uint32{0x000fac04, nl80211.CipherCMAC}, Bands: []nl80211.Band{
		{ID: unix.NL80211_BAND_2GHZ, HT: true, HTCapa: 0x19ef, HEPhy: []byte{0x02}, Streams: 2, Channels: channels2},
		{ID: unix.NL80211_BAND_5GHZ, HT: true, HTCapa: 0x9ef, VHT: true, VHTCapa: 0x338001f6, HEPhy: []byte{0x0c}, Streams: 4, Channels: five()},
		{ID: unix.NL80211_BAND_6GHZ, HEPhy: []byte{0x0c}, Streams: 4, Channels: six()},
	}}
)

const (
	piKey     = "radio_b827eb000001"
	routerKey = "radio_020000000100"
)

func five() (all []nl80211.Channel) {
	for n := 36; n <= 165; n += 4 {
		if n == 68 {
			n = 100
		}
		if n == 148 {
			n = 149
		}
		all = append(all, nl80211.Channel{MHz: uint32(5000 + 5*n), MaxPower: 2300, Radar: n >= 52 && n <= 144})
	}
	return all
}

func six() (all []nl80211.Channel) {
	for n := 1; n <= 93; n += 4 {
		all = append(all, nl80211.Channel{MHz: uint32(5950 + 5*n), MaxPower: 1300})
	}
	return all
}

// links are network interfaces in memory.
type linkList []platform.Link

func (l linkList) Links(context.Context) iter.Seq2[platform.Link, error] {
	return func(yield func(platform.Link, error) bool) {
		for _, x := range l {
			if !yield(x, nil) {
				return
			}
		}
	}
}

// villa is such a house.
type villa struct {
	t      *testing.T
	root   string
	kernel *airtest.Kernel
	units  *hostapds
	p      platform.Platform
	log    strings.Builder
	power  restarts
	hints  street
}

func newVilla(t *testing.T, radios ...nl80211.Wiphy) *villa {
	root, err := os.MkdirTemp("", "villa") // short: a socket's path has 108 bytes
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(root) })
	v := &villa{t: t, root: root, hints: make(street), kernel: &airtest.Kernel{Wiphys: radios, Noise: map[uint32]int{}, Stations: map[uint32][]nl80211.Station{}}}
	for _, dir := range []string{"etc/hostapd", "run/hostapd"} {
		v.mkdir(dir)
	}
	v.units = &hostapds{services: services{}, t: t, etc: filepath.Join(root, "etc/hostapd"), run: filepath.Join(root, "run/hostapd"), kernel: v.kernel, comes: "ENABLED"}
	for i, r := range radios {
		mac := map[string]string{"phy0": "b8:27:eb:00:00:01", "phy1": "02:00:00:00:01:00"}[r.Name]
		v.mkdir("sys/class/ieee80211/" + r.Name)
		v.write("sys/class/ieee80211/"+r.Name+"/macaddress", mac+"\n")
		name := fmt.Sprintf("wlan%d", i)
		v.kernel.Interfaces = append(v.kernel.Interfaces, nl80211.Interface{Index: uint32(10 + i), Name: name, Wiphy: r.Index, Station: true, MAC: "02:aa:00:00:00:00"})
		v.units.known = append(v.units.known, unitOf(name))
	}
	t.Cleanup(v.units.end)
	v.start()
	return v
}

func (v *villa) mkdir(path string) {
	v.t.Helper()
	if err := os.MkdirAll(filepath.Join(v.root, path), 0o755); err != nil {
		v.t.Fatal(err)
	}
}

func (v *villa) write(path, text string) {
	v.t.Helper()
	if err := os.WriteFile(filepath.Join(v.root, path), []byte(text), 0o600); err != nil {
		v.t.Fatal(err)
	}
}

// file is a file of /etc/hostapd, "" when there is none.
func (v *villa) file(name string) string {
	text, err := os.ReadFile(filepath.Join(v.root, "etc/hostapd", name))
	if err != nil {
		return ""
	}
	return string(text)
}

// start is a new process.
func (v *villa) start() {
	v.log.Reset()
	v.p = platform.Platform{Power: &v.power, Events: v.hints, Links: linkList{
		{Name: "br0", Kind: platform.LinkBridge}, {Name: "docker0", Kind: platform.LinkBridge},
		{Name: "wlan0", Kind: platform.LinkWiFi, Running: true, Stats: platform.LinkStats{BytesSent: 1000}},
	}}
	attach(&machine{p: &v.p, kernel: &memory{}, units: v.units, air: v.kernel.Client(), Options: Options{
		Root: v.root, Dir: filepath.Join(v.root, "config"), Log: slog.New(slog.NewTextHandler(&v.log, nil)),
	}})
}

// offer puts a network on a radio, and returns what has to hear of it.
func (v *villa) offer(radio, ssid, ap, name string, change func(*platform.AccessPoint)) (services []string) {
	v.t.Helper()
	b, err := v.p.Config.Begin(v.t.Context())
	if err != nil {
		v.t.Fatal(err)
	}
	r := v.radio(radio)
	r.Enabled = true
	a := platform.AccessPoint{Enabled: true, SSID: ssid, Advertised: true, WMM: true, WPSMethods: []string{"PushButton"},
		Security: platform.WiFiSecurity{Mode: "WPA2-Personal", Passphrase: "twelve monkeys", MFP: "Disabled", RadiusPort: 1812}}
	if change != nil {
		change(&a)
	}
	v.p.WiFi.Radios.Put(b, radio, r)
	v.p.WiFi.SSIDs.Put(b, ssid, platform.SSID{Enabled: true, Radio: radio, Name: name})
	v.p.WiFi.AccessPoints.Put(b, ap, a)
	return v.commit(b)
}

func (v *villa) commit(b platform.ConfigBatch) []string {
	v.t.Helper()
	if err := b.Prepare(v.t.Context()); err != nil {
		v.t.Fatal(err)
	}
	if _, err := b.Commit(v.t.Context()); err != nil {
		v.t.Fatal(err)
	}
	return b.Reloads()
}

func (v *villa) radio(key string) platform.Radio {
	v.t.Helper()
	for e, err := range v.p.WiFi.Radios.Rows(v.t.Context()) {
		if err != nil {
			v.t.Fatal(err)
		}
		if e.Key == key {
			return e.Value
		}
	}
	v.t.Fatalf("there is no radio %s", key)
	return platform.Radio{}
}

// set changes a radio.
func (v *villa) set(key string, change func(*platform.Radio)) []string {
	v.t.Helper()
	r := v.radio(key)
	change(&r)
	return put(v.t, &v.p, v.p.WiFi.Radios, key, r)
}

// hostapds is systemd with hostapd's template unit: it reads the file, and opens
// the control sockets.
type hostapds struct {
	services
	t        *testing.T
	etc, run string
	kernel   *airtest.Kernel
	comes    string // the state that it comes up in

	mu    sync.Mutex
	socks map[string][]*daemonSocket // by unit
}

func (h *hostapds) Restart(ctx context.Context, unit string) error {
	h.close(unit)
	if err := h.services.Restart(ctx, unit); err != nil {
		return err
	}
	instance := strings.TrimSuffix(strings.TrimPrefix(unit, "hostapd@"), ".service")
	text, err := os.ReadFile(filepath.Join(h.etc, instance+".conf"))
	if err != nil || len(text) == 0 {
		return fmt.Errorf("%s: condition not met", unit) // ConditionFileNotEmpty
	}
	var names []string
	for line := range strings.SplitSeq(string(text), "\n") {
		if name, value, _ := strings.Cut(line, "="); name == "interface" || name == "bss" {
			names = append(names, value)
		}
	}
	status := "state=" + h.comes + "\nphy=phy0\nfreq=2437\nchannel=6\nbeacon_int=100\ndtim_period=2\n"
	for i, n := range names {
		status += fmt.Sprintf("bss[%d]=%s\nbssid[%d]=02:00:00:00:99:%02x\nssid[%d]=x\nnum_sta[%d]=0\n", i, n, i, i, i, i)
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, n := range names {
		s, err := listenAs(h.run, n, status)
		if err != nil {
			return err
		}
		if h.socks == nil {
			h.socks = map[string][]*daemonSocket{}
		}
		h.socks[unit] = append(h.socks[unit], s)
	}
	h.kernel.Do(func() {
		for i := range h.kernel.Interfaces {
			if k := &h.kernel.Interfaces[i]; k.Name == names[0] {
				k.Station, k.AP, k.MHz, k.Width = false, true, 2437, "20MHz"
			}
		}
	})
	return nil
}

func (h *hostapds) Stop(ctx context.Context, unit string) error {
	h.close(unit)
	return h.services.Stop(ctx, unit)
}

// socket is that of an interface; nil: hostapd does not serve it.
func (h *hostapds) socket(link string) *daemonSocket {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, all := range h.socks {
		for _, s := range all {
			if filepath.Base(s.path) == link {
				return s
			}
		}
	}
	return nil
}

func (h *hostapds) close(unit string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, s := range h.socks[unit] {
		s.emit("<3>CTRL-EVENT-TERMINATING ")
		s.end()
	}
	delete(h.socks, unit)
}

func (h *hostapds) end() {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, all := range h.socks {
		for _, s := range all {
			s.end()
		}
	}
}

// daemonSocket is a control socket of hostapd.
type daemonSocket struct {
	path string
	conn *net.UnixConn
	done chan struct{}

	mu       sync.Mutex
	status   string
	stations []string // answers of STA-FIRST and STA-NEXT
	attached []net.Addr
	heard    chan string // every request, where somebody listens
}

func listenAs(dir, link, status string) (*daemonSocket, error) {
	path := filepath.Join(dir, link)
	if err := os.Remove(path); err != nil && !os.IsNotExist(err) {
		return nil, err
	}
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		return nil, err
	}
	s := &daemonSocket{path: path, conn: conn, status: status, done: make(chan struct{}), heard: make(chan string, 100)}
	go s.serve()
	return s, nil
}

func (s *daemonSocket) serve() {
	defer close(s.done)
	buf := make([]byte, 4096)
	for {
		n, from, err := s.conn.ReadFrom(buf)
		if err != nil {
			return
		}
		request := string(buf[:n])
		s.mu.Lock()
		answer := s.answer(request, from)
		s.mu.Unlock()
		if _, err := s.conn.WriteTo([]byte(answer), from); err != nil && !strings.Contains(err.Error(), "refused") {
			return
		}
		s.heard <- request
	}
}

func (s *daemonSocket) answer(request string, from net.Addr) string {
	verb, of, _ := strings.Cut(request, " ")
	switch verb {
	case "PING":
		return "PONG\n"
	case "STATUS":
		return s.status
	case "ATTACH":
		s.attached = append(s.attached, from)
		return "OK\n"
	case "STA-FIRST":
		if len(s.stations) == 0 {
			return ""
		}
		return s.stations[0]
	case "STA-NEXT":
		for i, text := range s.stations[:max(0, len(s.stations)-1)] {
			if strings.HasPrefix(text, of) {
				return s.stations[i+1]
			}
		}
		return ""
	}
	return "UNKNOWN COMMAND\n"
}

// become changes the state, and tells who has attached.
func (s *daemonSocket) become(state, event string) {
	s.mu.Lock()
	_, rest, _ := strings.Cut(s.status, "\n")
	s.status = "state=" + state + "\n" + rest
	s.mu.Unlock()
	s.emit(event)
}

func (s *daemonSocket) emit(event string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, a := range s.attached {
		_, _ = s.conn.WriteTo([]byte(event), a) // who has gone hears nothing
	}
}

// wait waits for a request.
func (s *daemonSocket) wait(t *testing.T, request string) {
	t.Helper()
	for {
		select {
		case got := <-s.heard:
			if got == request {
				return
			}
		case <-time.After(20 * time.Second):
			t.Fatalf("nobody has asked for %s", request)
		}
	}
}

func (s *daemonSocket) end() {
	s.conn.Close()
	<-s.done
	os.Remove(s.path)
}
