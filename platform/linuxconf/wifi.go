package linuxconf

// WiFi: the rows of Device.WiFi. become one file of hostapd for each radio that
// offers a network, /etc/hostapd/LINK.conf, and systemd's hostapd@LINK.service,
// which reads it, is started or stopped. A file there that does not begin as ours
// do belongs to somebody else, and so does an interface that has joined a network
// or is an access point already: they are left alone, and said to be.

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"gatehouse/internal/nl80211"
	"gatehouse/internal/store"
	"gatehouse/platform"
)

// wireless is the package.
const wireless = "wireless"

// hostapdHeading begins every file of ours. hostapd takes it for a comment.
const hostapdHeading = ours

// wifi implements area, listener and platform.WiFiState.
type wifi struct {
	radios   platform.Table[platform.Radio]
	ssids    platform.Table[platform.SSID]
	points   platform.Table[platform.AccessPoint]
	pools    platform.Table[platform.DHCPPool]
	readOnly bool // without hostapd

	air   nl80211.Client
	units units
	links platform.Links
	sys   string // /sys/class/ieee80211
	etc   string // of hostapd: /etc/hostapd
	run   string // its control sockets: /run/hostapd
	log   *slog.Logger

	survey survey

	mu      sync.Mutex      // held while something is put into effect
	took    map[string]bool // by link: its files are those that we have started hostapd with
	offered []string        // the interfaces of our networks
	changed chan struct{}
}

// openWiFi opens the area. What refuses is a machine without radios; one without
// hostapd tells how its radios are doing, and that is all.
func openWiFi(m *machine) (area, error) {
	if m.air == nil {
		return nil, errors.New("the kernel knows no radio (nl80211)")
	}
	w := &wifi{
		radios: m.conf.Radios(), ssids: m.conf.SSIDs(), points: m.conf.AccessPoints(), pools: m.conf.DHCPPools(),
		air: *m.air, units: m.units, links: m.p.Links, sys: m.at("sys/class/ieee80211"), etc: m.at("etc/hostapd"), run: m.at("run/hostapd"),
		log: m.Log, took: map[string]bool{}, changed: make(chan struct{}, 1),
	}
	ctx, stop := context.WithTimeout(context.Background(), patience)
	defer stop()
	radios, err := w.hardware(ctx)
	if err != nil {
		return nil, err
	}
	if len(radios) == 0 {
		return nil, errors.New("this machine has no radio")
	}
	m.p.WiFi = platform.WiFi{Radios: w.radios, SSIDs: w.ssids, AccessPoints: w.points, State: w}
	if why := w.incapable(ctx, m, radios); why != nil {
		m.Log.Info("WiFi can only be read", "err", why)
		w.readOnly = true
		m.p.WiFi = platform.WiFi{
			Radios:       table[platform.Radio]{w.radioRows, why},
			SSIDs:        table[platform.SSID]{w.joinedRows, why},
			AccessPoints: table[platform.AccessPoint]{nil, why},
			State:        w,
		}
		return w, nil
	}
	m.wifi = w
	return w, nil
}

// incapable says why nothing can be configured; nil: it can.
func (w *wifi) incapable(ctx context.Context, m *machine, radios []radio) error {
	if m.kernel == nil {
		return errors.New("CAP_NET_ADMIN is missing")
	}
	link := "wlan0"
	if i := slices.IndexFunc(radios, func(r radio) bool { return len(r.links) > 0 }); i >= 0 {
		link = radios[i].links[0].Name
	}
	there, err := w.units.Present(ctx, unitOf(link))
	if err == nil && !there {
		err = errors.New("systemd has no hostapd@.service: hostapd is not installed")
	}
	return err
}

// instanceOf is a link's name as systemd has it in the name of a unit
// (systemd.unit(5), "String Escaping for Inclusion in Unit Names"), and as
// hostapd@.service has it in that of its file.
func instanceOf(link string) string {
	var b strings.Builder
	for i, c := range []byte(link) {
		switch {
		case c >= '0' && c <= '9', c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c == '_', c == ':', c == '.' && i > 0:
			b.WriteByte(c)
		default:
			fmt.Fprintf(&b, `\x%02x`, c)
		}
	}
	return b.String()
}

func unitOf(link string) string { return "hostapd@" + instanceOf(link) + ".service" }

func (w *wifi) fileOf(link string) string {
	return filepath.Join(w.etc, instanceOf(link)+".conf")
}

// apply implements area. A radio that fails keeps none of the others from it.
func (w *wifi) apply(ctx context.Context) error {
	if w.readOnly {
		return nil
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.lookAgain()
	cells, err := w.plan(ctx)
	if err != nil {
		return err
	}
	var failed []error
	keep := map[string]bool{}
	w.offered = nil
	for _, c := range cells {
		for _, l := range c.left {
			w.log.Info("a network is not offered", "ssid", l.key, "err", l.why)
		}
		if len(c.nets) == 0 {
			continue
		}
		keep[w.fileOf(c.link)] = true
		for _, n := range c.nets {
			keep[n.accept] = true
			w.offered = append(w.offered, n.link)
		}
		if err := w.serve(ctx, &c); err != nil {
			failed = append(failed, fmt.Errorf("radio %s: %w", c.radio.Name, err))
		}
	}
	failed = append(failed, w.clear(ctx, keep))
	w.hint()
	return errors.Join(failed...)
}

// forget implements area. Files with passphrases may be left of a time when there
// was a hostapd.
func (w *wifi) forget(ctx context.Context) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.offered = nil
	w.hint()
	return w.clear(ctx, nil)
}

// plan makes of the rows what each radio is to offer.
func (w *wifi) plan(ctx context.Context) ([]cell, error) {
	radios, err := w.hardware(ctx)
	if err != nil {
		return nil, err
	}
	confs, err := collect(ctx, w.radios)
	if err != nil {
		return nil, err
	}
	ssids, err := collect(ctx, w.ssids)
	if err != nil {
		return nil, err
	}
	points, err := collect(ctx, w.points)
	if err != nil {
		return nil, err
	}
	bridges, lan, err := w.bridges(ctx)
	if err != nil {
		return nil, err
	}
	var cells []cell
	for _, r := range radios {
		i := slices.IndexFunc(confs, func(e platform.Entry[platform.Radio]) bool { return e.Key == r.key })
		if i < 0 {
			continue
		}
		c := cell{radio: r, conf: confs[i].Value, link: w.primary(&r)}
		for _, s := range ssids {
			j := slices.IndexFunc(points, func(e platform.Entry[platform.AccessPoint]) bool { return e.Value.SSID == s.Key })
			if s.Value.Radio != r.key || j < 0 {
				continue
			}
			n := wlan{key: s.Key, ssid: s.Value, ap: points[j].Value, bridge: lan}
			if on := n.ap.Network; on != "" {
				n.bridge = ""
				if slices.Contains(bridges, on) {
					n.bridge = on
				}
			}
			c.add(w, n)
		}
		cells = append(cells, c)
	}
	return cells, nil
}

// collect reads a table.
func collect[T any](ctx context.Context, t platform.Table[T]) (all []platform.Entry[T], err error) {
	for e, err := range t.Rows(ctx) {
		if err != nil {
			return nil, err
		}
		all = append(all, e)
	}
	return all, nil
}

// add takes a network up, if it is on and complete. The first one is on the
// radio's own interface, the others get interfaces that are called after them.
func (c *cell) add(w *wifi, n wlan) {
	if !c.conf.Enabled || !n.ssid.Enabled || !n.ap.Enabled {
		return
	}
	if err := n.lacks(c.conf.Band); err != nil {
		c.left = append(c.left, leftOut{n.key, err})
		return
	}
	n.link = c.link
	if i := len(c.nets); i > 0 {
		n.link, n.bssid = n.key, c.radio.bssid(i)
	}
	if n.ap.MACFilter {
		n.accept = filepath.Join(w.etc, "gatehouse-"+n.key+".accept")
	}
	c.nets = append(c.nets, n)
}

// bssid is the address of a further network: that of the radio, locally
// administered (IEEE 802-2014, 8.4), with the number in the bits beside. hostapd
// would count up from the last byte, and refuse where that has no room.
func (r *radio) bssid(n int) string {
	mac := []byte(r.mac)
	var first byte
	if _, err := fmt.Sscanf(string(mac[:2]), "%02x", &first); err != nil {
		return "" // hardware has made sure that it is an address
	}
	first = first | 2
	return fmt.Sprintf("%02x%s", first^byte(n)<<2, mac[2:])
}

// primary is the network interface that hostapd is started for: the one that it
// was started for, or the radio's first.
func (w *wifi) primary(r *radio) string {
	for _, l := range r.links {
		if ours, _ := isOurs(w.fileOf(l.Name)); ours {
			return l.Name
		}
	}
	if len(r.links) == 0 {
		return ""
	}
	return r.links[0].Name
}

// bridges are those of the machine. lan is the one that stations join when nobody
// said which: the first that has a DHCP server of ours. "": there is none, and
// they join the radio's interface.
func (w *wifi) bridges(ctx context.Context) (all []string, lan string, err error) {
	if w.links == nil {
		return nil, "", nil
	}
	pools, err := collect(ctx, w.pools)
	if err != nil {
		return nil, "", err
	}
	for l, err := range w.links.Links(ctx) {
		if err != nil {
			return nil, "", err
		}
		if l.Kind != platform.LinkBridge {
			continue
		}
		all = append(all, l.Name)
		serves := func(p platform.Entry[platform.DHCPPool]) bool { return p.Value.Enabled && p.Value.Interface == l.Name }
		if lan == "" && slices.ContainsFunc(pools, serves) {
			lan = l.Name
		}
	}
	return all, lan, nil
}

// clear stops what is not to be kept, and removes its files.
func (w *wifi) clear(ctx context.Context, keep map[string]bool) error {
	var failed []error
	for _, pattern := range []string{"*.conf", "gatehouse-*.accept"} {
		paths, err := filepath.Glob(filepath.Join(w.etc, pattern))
		if err != nil {
			return err
		}
		for _, path := range paths {
			if ours, err := isOurs(path); keep[path] || !ours || err != nil {
				continue
			}
			if instance, conf := strings.CutSuffix(filepath.Base(path), ".conf"); conf {
				if err := w.units.Stop(ctx, "hostapd@"+instance+".service"); err != nil && !w.readOnly {
					failed = append(failed, err)
				}
			}
			failed = append(failed, os.Remove(path))
		}
	}
	return errors.Join(failed...)
}

// isOurs says whether a file is one of ours; one that is not there is not.
func isOurs(path string) (bool, error) {
	text, err := store.OS{}.ReadFile(path, len(ours))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return false, nil
	case err != nil:
		return false, err
	}
	return string(text) == ours, nil
}

// mostText bounds what is read of a file of ours.
const mostText = 1 << 20

// replace makes a file of ours hold text, and says whether it did before. A file
// of somebody else's is refused.
func replace(path string, text []byte) (same bool, err error) {
	old, err := store.OS{}.ReadFile(path, mostText)
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return false, err
	case bytes.Equal(old, text):
		return true, nil
	case !bytes.HasPrefix(old, []byte(ours)):
		return false, fmt.Errorf("%s is not ours: it is left alone", path)
	}
	return false, store.Replace(store.OS{}, path, text)
}
