// How the wireless side is doing: netifd says which radios and networks are up
// and under which names, iwinfo what a radio can and does, hostapd who is there.
// iwinfo is part of rpcd, and need not be installed.

package openwrt

import (
	"context"
	"iter"
	"strconv"

	"gatehouse/internal/ubus"
	"gatehouse/platform"
)

// wifi is the wireless side.
type wifi struct{ *backend }

// A wifiRadio is an entry of `network.wireless status`.
type wifiRadio struct {
	key      string
	up       bool
	config   ubus.Table
	networks []wifiNetwork
	name     string // netifd's and iwinfo's
}

// A wifiNetwork is one of its interfaces.
type wifiNetwork struct {
	key, link string // link "" while it has none
	station   bool   // of somebody else's access point
}

// radios is the one status of netifd for all radios.
func (w wifi) radios(ctx context.Context) (all []wifiRadio, err error) {
	t, err := w.bus.ask(ctx, "network.wireless", "status", "")
	if err != nil {
		return nil, err
	}
	for _, f := range t {
		r, ok := f.Value.(ubus.Table)
		if !ok {
			continue
		}
		x := wifiRadio{key: keyOf(f.Name), up: flag(r, "up"), config: table(r, "config"), name: f.Name}
		for _, n := range tables(r, "interfaces") {
			x.networks = append(x.networks, wifiNetwork{keyOf(text(n, "section")), text(n, "ifname"), text(table(n, "config"), "mode") == "sta"})
		}
		all = append(all, x)
	}
	return all, nil
}

// device is what iwinfo knows a radio by: one of its interfaces, else its name.
func (r *wifiRadio) device() string {
	for _, n := range r.networks {
		if n.link != "" {
			return n.link
		}
	}
	return r.name
}

// optional asks what need not be there; what is not, says nothing.
func (w wifi) optional(ctx context.Context, object, method, device string) (ubus.Table, error) {
	t, err := w.bus.ask(ctx, object, method, device)
	if isAbsent(err) {
		return nil, nil
	}
	return t, err
}

// links is the kernel's view, one dump of it.
func (w wifi) links(ctx context.Context) (map[string]platform.Link, error) {
	v, err := w.bus.once(ctx, question{object: "netlink"}, func(ctx context.Context) (any, error) {
		all := map[string]platform.Link{}
		for l, err := range w.kernel.Links.Links(ctx) {
			if err != nil {
				return nil, err
			}
			all[l.Name] = l
		}
		return all, nil
	})
	all, _ := v.(map[string]platform.Link)
	return all, err
}

// Radios implements platform.WiFiState.
func (w wifi) Radios(ctx context.Context) iter.Seq2[platform.RadioState, error] {
	return each(ctx, w.radios, func(r wifiRadio) ([]platform.RadioState, error) {
		s, err := w.radio(ctx, &r)
		return []platform.RadioState{s}, err
	})
}

// SSIDs implements platform.WiFiState.
func (w wifi) SSIDs(ctx context.Context) iter.Seq2[platform.SSIDState, error] {
	return each(ctx, w.radios, func(r wifiRadio) (all []platform.SSIDState, err error) {
		for _, n := range r.networks {
			s, err := w.network(ctx, &r, n)
			if err != nil {
				return nil, err
			}
			all = append(all, s)
		}
		return all, nil
	})
}

// each yields what make makes of what list lists, until one of them fails or
// ctx ends.
func each[S, T any](ctx context.Context, list func(context.Context) ([]S, error), make func(S) ([]T, error)) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		var none T
		all, err := list(ctx)
		if err != nil {
			yield(none, err)
			return
		}
		for _, x := range all {
			made, err := make(x)
			if err != nil {
				yield(none, err)
				return
			}
			for _, m := range made {
				if ctx.Err() != nil {
					yield(none, ctx.Err())
					return
				}
				if !yield(m, nil) {
					return
				}
			}
		}
	}
}

func (w wifi) radio(ctx context.Context, r *wifiRadio) (s platform.RadioState, err error) {
	s = platform.RadioState{
		Key: r.key, Up: r.up, BeaconEvery: uint32(unsigned(r.config, "beacon_int")), DTIM: uint32(unsigned(r.config, "dtim_period")),
	}
	info, err := w.optional(ctx, "iwinfo", "info", r.device())
	if err != nil {
		return s, err
	}
	describe(&s, info)
	freqs, err := w.optional(ctx, "iwinfo", "freqlist", r.device())
	if err != nil {
		return s, err
	}
	possible(&s, tables(freqs, "results"), text(r.config, "band"))
	powers, err := w.optional(ctx, "iwinfo", "txpowerlist", r.device())
	if err != nil {
		return s, err
	}
	if s.Modes, err = w.modes(ctx); err != nil {
		return s, err
	}
	s.TxPowers = percents(tables(powers, "results"))
	links, err := w.links(ctx)
	if err != nil {
		return s, err
	}
	for _, n := range r.networks {
		if n.link == "" {
			continue
		}
		s.Stats.Add(links[n.link].Stats)
		if n.station {
			continue
		}
		if s.WPSMethods, err = w.wps(ctx, n.link); err != nil {
			return s, err
		}
		if s.Channel != 0 && s.BeaconEvery != 0 {
			continue
		}
		status, err := w.optional(ctx, "hostapd."+n.link, "get_status", "")
		if err != nil {
			return s, err
		}
		if s.Channel == 0 {
			s.Channel = uint32(unsigned(status, "channel"))
		}
		if s.BeaconEvery == 0 {
			s.BeaconEvery = uint32(unsigned(status, "beacon_interval"))
		}
	}
	if s.Up && s.Channel != 0 {
		s.InUse = strconv.Itoa(int(s.Channel))
	}
	return s, nil
}

// wps says how stations may be let in by WPS: hostapd has the method where it
// was built with it, as wpad-basic is not.
func (w wifi) wps(ctx context.Context, link string) ([]string, error) {
	can, err := w.bus.has(ctx, "hostapd."+link, "wps_start")
	if err != nil || !can {
		return nil, err
	}
	return []string{"PushButton"}, nil
}

// network says how a network is doing. An access point is up when hostapd says
// so: while it listens for radars its link is there already.
func (w wifi) network(ctx context.Context, r *wifiRadio, n wifiNetwork) (s platform.SSIDState, err error) {
	s = platform.SSIDState{Key: n.key, Link: n.link}
	if n.link == "" {
		return s, nil
	}
	links, err := w.links(ctx)
	if err != nil {
		return s, err
	}
	l, there := links[n.link]
	s.Stats, s.BSSID, s.Up = l.Stats, l.MAC, r.up && there && l.Running
	if n.station {
		info, err := w.optional(ctx, "iwinfo", "info", n.link)
		s.BSSID = hardware(text(info, "bssid"))
		return s, err
	}
	status, err := w.optional(ctx, "hostapd."+n.link, "get_status", "")
	if err == nil && status != nil {
		s.Up, s.BSSID = r.up && text(status, "status") == "ENABLED", hardware(text(status, "bssid"))
	}
	return s, err
}
