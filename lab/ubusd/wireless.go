package ubusd

// The wireless side: radios and their networks, as the package wireless has
// them; hostapd's objects, and what rpcd's iwinfo says.

import (
	"fmt"
	"reflect"
	"strconv"
	"strings"
)

type radio struct {
	name, phy string
	off       bool
	up        bool
	failed    bool
	config    section
	channel   int
	nets      []*wnet
}

// A wnet is a network on a radio.
type wnet struct {
	section, ifname, ssid, mode string
	config                      section
}

func (x *radio) same(o *radio) bool {
	return o != nil && x.off == o.off && x.up == o.up && reflect.DeepEqual(x.config, o.config) && reflect.DeepEqual(x.nets, o.nets)
}

// readWireless reads the package. mu is held.
func (r *Router) readWireless(fails func() bool) {
	r.radios = nil
	all := load(r.Root, "wireless")
	for _, s := range all {
		if s.typ != "wifi-device" {
			continue
		}
		x := &radio{name: s.name, phy: fmt.Sprintf("phy%d", len(r.radios)), off: on(s.get("disabled")), config: s}
		x.up = !x.off
		if x.channel, _ = strconv.Atoi(s.get("channel")); x.channel == 0 {
			x.channel = map[string]int{"2g": 6, "5g": 36, "6g": 5}[s.get("band")]
		}
		for _, n := range all {
			if n.typ != "wifi-iface" || n.get("device") != s.name || on(n.get("disabled")) || x.off {
				continue
			}
			w := &wnet{section: n.name, ssid: n.get("ssid"), mode: n.get("mode"), config: n}
			w.ifname = fmt.Sprintf("%s-%s%d", x.phy, map[string]string{"sta": "sta"}[w.mode]+map[bool]string{true: "ap"}[w.mode != "sta"], len(x.nets))
			x.nets = append(x.nets, w)
		}
		if fails != nil && fails() && !x.off {
			x.up, x.failed = false, true
			for _, w := range x.nets {
				w.ifname = ""
			}
		}
		r.radios = append(r.radios, x)
	}
}

// up lists the interfaces that hostapd serves. mu is held.
func (r *Router) up() (names []string) {
	for _, x := range r.radios {
		for _, w := range x.nets {
			if w.ifname != "" && w.mode == "ap" {
				names = append(names, w.ifname)
			}
		}
	}
	return names
}

// reloadWireless sets up the radios whose configuration has changed.
func (r *Router) reloadWireless(b *life) {
	r.mu.Lock()
	old, was := r.radios, r.up()
	r.readWireless(func() bool { return r.fails("wireless") })
	changed := map[string]bool{}
	for i, x := range r.radios {
		if i >= len(old) || !x.same(old[i]) {
			changed[x.phy] = true
		}
	}
	now := r.up()
	r.mu.Unlock()
	touched := func(ifname string) bool { phy, _, _ := strings.Cut(ifname, "-"); return changed[phy] }
	for _, name := range was {
		if touched(name) {
			b.hostapd.withdraw("hostapd." + name)
		}
	}
	for _, name := range now {
		if touched(name) {
			r.offerNetwork(b, name)
		}
	}
}

func (r *Router) offerNetwork(b *life, ifname string) {
	methods := []method{
		{"get_clients", nil, func(Table) (Table, int) { return r.clients(ifname) }},
		{"get_status", nil, func(Table) (Table, int) { return r.hostapdStatus(ifname) }},
		{"del_client", map[string]int{"addr": 3, "reason": 5, "deauth": 7, "ban_time": 5}, func(args Table) (Table, int) {
			if args.str("addr") == "" {
				return nil, invalidArgument
			}
			return nil, ok
		}},
	}
	if r.WPS {
		methods = append(methods, method{"wps_start", nil, func(Table) (Table, int) { return nil, ok }})
	}
	r.offer(b.hostapd, "hostapd."+ifname, methods...)
}

func (r *Router) wireless(args Table) (Table, int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	all := Table{}
	for _, x := range r.radios {
		nets := List{}
		for _, w := range x.nets {
			t := T("section", w.section)
			if w.ifname != "" {
				t = append(t, Pair{"ifname", w.ifname})
			}
			config := T("mode", w.mode, "ssid", w.ssid, "encryption", w.config.get("encryption"))
			if key := w.config.get("key"); key != "" {
				config = append(config, Pair{"key", key})
			}
			network := List{}
			for _, n := range w.config.options["network"] {
				network = append(network, n)
			}
			nets = append(nets, append(t, Pair{"config", append(config, Pair{"network", network})}, Pair{"vlans", List{}}, Pair{"stations", List{}}))
		}
		all = append(all, Pair{x.name, T("up", x.up, "pending", false, "autostart", true, "disabled", x.off, "retry_setup_failed", x.failed,
			"config", T("channel", x.config.get("channel"), "band", x.config.get("band"), "htmode", x.config.get("htmode"), "disabled", x.off),
			"interfaces", nets)})
	}
	if only, given := args.Get("device").(string); given {
		t, found := all.Get(only).(Table)
		if !found {
			return nil, notFound
		}
		return Table{{only, t}}, ok
	}
	return all, ok
}

// on finds an interface and its radio. mu is held.
func (r *Router) at(ifname string) (*radio, *wnet) {
	for _, x := range r.radios {
		for _, w := range x.nets {
			if w.ifname == ifname {
				return x, w
			}
		}
		if x.phy == ifname || x.name == ifname {
			return x, nil
		}
	}
	return nil, nil
}

func (x *radio) mhz() int {
	switch x.config.get("band") {
	case "5g":
		return 5000 + 5*x.channel
	case "6g":
		return 5950 + 5*x.channel
	}
	return 2407 + 5*x.channel
}

func (r *Router) clients(ifname string) (Table, int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	x, w := r.at(ifname)
	if w == nil {
		return nil, notFound
	}
	list := Table{}
	for _, s := range r.stations[ifname] {
		list = append(list, Pair{s.MAC, T("auth", true, "assoc", true, "authorized", !s.Unknown, "preauth", false, "wds", false, "wmm", true,
			"ht", s.Generation != "", "vht", s.Generation == "vht", "he", s.Generation == "he", "wps", false, "mfp", false,
			"rrm", List{0, 0, 0, 0, 0}, "extended_capabilities", List{4, 0, 8}, "aid", 1,
			"bytes", T("rx", s.RxBytes, "tx", s.TxBytes), "airtime", T("rx", int64(0), "tx", int64(0)),
			"packets", T("rx", 100, "tx", 200), "rate", T("rx", s.Rx, "tx", s.Tx), "signal", s.Signal, "capabilities", Table{})})
	}
	return T("freq", x.mhz(), "clients", list), ok
}

func (r *Router) hostapdStatus(ifname string) (Table, int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	x, w := r.at(ifname)
	if w == nil {
		return nil, notFound
	}
	return T("driver", "nl80211", "status", "ENABLED", "bssid", mac(ifname), "ssid", w.ssid, "freq", x.mhz(), "channel", x.channel,
		"op_class", 81, "beacon_interval", 100, "phy", ifname, "rrm", T("neighbor_report_tx", int64(0)),
		"airtime", T("time", int64(0), "time_busy", int64(0), "utilization", int16(0)),
		"dfs", T("cac_seconds", 0, "cac_active", false, "cac_seconds_left", 0)), ok
}

func (r *Router) iwinfo() []method {
	device := map[string]int{"device": 3}
	with := func(f func(x *radio, w *wnet) Table) func(Table) (Table, int) {
		return func(args Table) (Table, int) {
			name, given := args.Get("device").(string)
			if !given {
				return nil, invalidArgument
			}
			r.mu.Lock()
			defer r.mu.Unlock()
			x, w := r.at(name)
			if x == nil {
				return nil, notFound
			}
			return f(x, w), ok
		}
	}
	return []method{
		{"devices", nil, func(Table) (Table, int) {
			r.mu.Lock()
			defer r.mu.Unlock()
			list := List{}
			for _, n := range r.up() {
				list = append(list, n)
			}
			return T("devices", list), ok
		}},
		{"info", device, with(info)},
		{"freqlist", device, with(freqlist)},
		{"txpowerlist", device, with(func(*radio, *wnet) Table {
			list := List{}
			for i, dbm := range []int{0, 10, 14, 17, 20} {
				list = append(list, T("dbm", dbm, "mw", []int{1, 10, 25, 50, 100}[i], "active", dbm == 20))
			}
			return T("results", list)
		})},
		{"assoclist", map[string]int{"device": 3, "mac": 3}, with(r.assoclist)},
	}
}

func info(x *radio, w *wnet) Table {
	t := T("phy", x.phy)
	if w != nil {
		t = append(t, T("ssid", w.ssid, "bssid", strings.ToUpper(mac(w.ifname)), "mode", "Master")...)
	}
	modes, ht := List{"b", "g", "n", "ax"}, List{"HT20", "HT40", "HE20", "HE40"}
	if x.config.get("band") == "5g" {
		modes, ht = List{"a", "n", "ac", "ax"}, List{"HT20", "HT40", "VHT20", "VHT40", "VHT80", "HE20", "HE40", "HE80"}
	}
	t = append(t, T("country", "DE", "channel", x.channel, "center_chan1", x.channel, "frequency", x.mhz(), "frequency_offset", 0,
		"txpower", 20, "txpower_offset", 0, "quality", 60, "quality_max", 70, "signal", -50, "noise", -92, "bitrate", 286800,
		"encryption", T("enabled", false), "htmodes", ht, "hwmodes", modes, "hwmodes_text", "b/g/n/ax", "hwmode", "ax",
		"htmode", x.config.get("htmode"), "hardware", T("id", List{0x14c3, 0x7915, 0x14c3, 0x7915}, "name", "MediaTek MT7915E"))...)
	return t
}

func freqlist(x *radio, _ *wnet) Table {
	list := List{}
	add := func(channel, mhz int, flags ...any) {
		list = append(list, T("band", 2, "channel", channel, "mhz", mhz, "restricted", false, "flags", List(flags), "active", channel == x.channel))
	}
	if x.config.get("band") == "5g" {
		for _, c := range []int{36, 40, 44, 48} {
			add(c, 5000+5*c)
		}
		for _, c := range []int{52, 56, 60, 64, 100, 104, 108, 112} {
			add(c, 5000+5*c, "RADAR")
		}
	} else {
		for c := 1; c <= 13; c++ {
			add(c, 2407+5*c)
		}
	}
	return T("results", list)
}

func (r *Router) assoclist(x *radio, w *wnet) Table {
	list := List{}
	if w != nil {
		for _, s := range r.stations[w.ifname] {
			list = append(list, T("mac", strings.ToUpper(s.MAC), "signal", s.Signal, "signal_avg", s.Signal, "noise", -92, "inactive", 10,
				"connected_time", s.Seconds, "thr", 0, "authorized", !s.Unknown, "authenticated", true, "preamble", "short", "wme", true, "mfp", false, "tdls", false,
				"rx", T("drop_misc", int64(0), "packets", 100, "bytes", s.RxBytes, "ht", s.Generation == "ht", "vht", s.Generation == "vht", "he", s.Generation == "he", "eht", false, "mhz", 20, "rate", s.Rx),
				"tx", T("failed", 3, "retries", 17, "packets", 200, "bytes", s.TxBytes, "ht", s.Generation == "ht", "vht", s.Generation == "vht", "he", s.Generation == "he", "eht", false, "mhz", 20, "rate", s.Tx)))
		}
	}
	return T("results", list)
}
