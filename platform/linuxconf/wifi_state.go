package linuxconf

// How the wireless side is doing: the kernel says what a radio can, and who is
// heard; hostapd says what it offers.

import (
	"context"
	"iter"
	"slices"
	"strconv"
	"sync"
	"time"

	"gatehouse/internal/nl80211"
	"gatehouse/platform"
	"gatehouse/platform/uciconf"
)

// lately is how long after its last frame a station counts as active.
const lately = 5 * time.Minute

// Radios implements platform.WiFiState.
func (w *wifi) Radios(ctx context.Context) iter.Seq2[platform.RadioState, error] {
	return each(ctx, w.radioStates)
}

// SSIDs implements platform.WiFiState.
func (w *wifi) SSIDs(ctx context.Context) iter.Seq2[platform.SSIDState, error] {
	return each(ctx, w.ssidStates)
}

// Stations implements platform.WiFiState.
func (w *wifi) Stations(ctx context.Context, ssid string) iter.Seq2[platform.Station, error] {
	return each(ctx, func(ctx context.Context) ([]platform.Station, error) { return w.stations(ctx, ssid) })
}

// each yields what list lists, until ctx ends.
func each[T any](ctx context.Context, list func(context.Context) ([]T, error)) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		var none T
		all, err := list(ctx)
		if err != nil {
			yield(none, err)
			return
		}
		for _, x := range all {
			if ctx.Err() != nil {
				yield(none, ctx.Err())
				return
			}
			if !yield(x, nil) {
				return
			}
		}
	}
}

// cells are the radios as they are configured; without hostapd, as they are.
func (w *wifi) cells(ctx context.Context) ([]cell, error) {
	if !w.readOnly {
		return w.plan(ctx)
	}
	radios, err := w.hardware(ctx)
	var all []cell
	for _, r := range radios {
		all = append(all, cell{radio: r, conf: r.seen()})
	}
	return all, err
}

// linkStats are the counters of links, and whether they run.
func (w *wifi) linkStats(ctx context.Context) (map[string]platform.Link, error) {
	all := map[string]platform.Link{}
	if w.links == nil {
		return all, nil
	}
	for l, err := range w.links.Links(ctx) {
		if err != nil {
			return nil, err
		}
		all[l.Name] = l
	}
	return all, nil
}

// ask asks hostapd about a radio. One that does not run says nothing.
func (w *wifi) ask(ctx context.Context, link string) status {
	h, err := dialControl(w.run, link)
	if err != nil {
		return status{}
	}
	defer h.Close()
	s, err := h.state(ctx)
	if err != nil {
		w.log.Debug("hostapd does not answer", "link", link, "err", err)
	}
	return s
}

func (w *wifi) radioStates(ctx context.Context) ([]platform.RadioState, error) {
	cells, err := w.cells(ctx)
	if err != nil {
		return nil, err
	}
	links, err := w.linkStats(ctx)
	if err != nil {
		return nil, err
	}
	var all []platform.RadioState
	for _, c := range cells {
		s := c.radio.describe(c.conf)
		for _, l := range c.radio.links {
			s.Stats.Add(links[l.Name].Stats)
			if l.MHz == 0 || s.Channel != 0 {
				continue
			}
			s.Channel, s.Width = uint32(l.Channel()), l.Width
			s.Up = links[l.Name].Running
			if n, _, err := w.air.Noise(ctx, l.Index); err == nil && n < 0 {
				s.Noise = int32(n)
			}
		}
		if len(c.nets) > 0 {
			h := w.ask(ctx, c.link)
			s.Up = h.state == "ENABLED"
			s.BeaconEvery, s.DTIM = h.beaconEvery, h.dtim
			if s.Channel == 0 {
				s.Channel = h.channel
			}
		}
		if s.Up = s.Up && s.Channel != 0; s.Up {
			s.InUse = strconv.Itoa(int(s.Channel))
		}
		all = append(all, s)
	}
	return all, ctx.Err()
}

func (w *wifi) ssidStates(ctx context.Context) ([]platform.SSIDState, error) {
	cells, err := w.cells(ctx)
	if err != nil {
		return nil, err
	}
	links, err := w.linkStats(ctx)
	if err != nil {
		return nil, err
	}
	var all []platform.SSIDState
	for _, c := range cells {
		if w.readOnly {
			for _, l := range c.radio.joined() {
				all = append(all, platform.SSIDState{Key: l.Name, Link: l.Name, Up: links[l.Name].Running, Stats: links[l.Name].Stats})
			}
			continue
		}
		if len(c.nets) == 0 {
			continue
		}
		h := w.ask(ctx, c.link)
		for _, n := range c.nets {
			i := slices.IndexFunc(h.nets, func(o offered) bool { return o.link == n.link })
			if i < 0 {
				continue // not taken up
			}
			all = append(all, platform.SSIDState{
				Key: n.key, Link: n.link, Up: h.state == "ENABLED", BSSID: h.nets[i].bssid, Stats: links[n.link].Stats,
			})
		}
	}
	return all, ctx.Err()
}

// stations are those of a network of ours. Where the driver does not list them,
// hostapd does.
func (w *wifi) stations(ctx context.Context, ssid string) ([]platform.Station, error) {
	cells, err := w.cells(ctx)
	if err != nil {
		return nil, err
	}
	for _, c := range cells {
		i := slices.IndexFunc(c.nets, func(n wlan) bool { return n.key == ssid })
		if i < 0 {
			continue
		}
		link := c.nets[i].link
		at := slices.IndexFunc(c.radio.links, func(l nl80211.Interface) bool { return l.Name == link && l.AP })
		if at < 0 {
			return nil, nil // it is off
		}
		l := c.radio.links[at]
		heard, err := w.air.Stations(ctx, l.Index)
		if nl80211.IsUnsupported(err) {
			return w.known(ctx, link)
		}
		if err != nil {
			return nil, radiosUnavailable(ctx, err)
		}
		noise, _, err := w.air.Noise(ctx, l.Index)
		if err != nil {
			noise = 0 // that is all that is missing
		}
		var all []platform.Station
		for _, s := range heard {
			all = append(all, station(s, l, noise, time.Now()))
		}
		return all, nil
	}
	return nil, nil
}

// known asks hostapd who has joined.
func (w *wifi) known(ctx context.Context, link string) ([]platform.Station, error) {
	h, err := dialControl(w.run, link)
	if err != nil {
		return nil, &platform.Unavailable{Source: "hostapd", Err: err}
	}
	defer h.Close()
	all, err := h.stations(ctx)
	if err != nil && ctx.Err() == nil {
		err = &platform.Unavailable{Source: "hostapd", Err: err}
	}
	return all, err
}

// station is what the kernel knows of one.
func station(s nl80211.Station, l nl80211.Interface, noise int, now time.Time) platform.Station {
	p := platform.Station{
		MAC: s.MAC, Authorized: s.Authorized, Active: s.Inactive < lately,
		Downlink: s.TxKbit, Uplink: s.RxKbit, Signal: int32(s.Signal), Noise: int32(noise),
		Standard:  s.Generation,
		BytesSent: s.TxBytes, BytesReceived: s.RxBytes, PacketsSent: uint64(s.TxPackets), PacketsRecvd: uint64(s.RxPackets),
		ErrorsSent: uint64(s.Failed),
	}
	if s.TxPackets > 0 { // of the last 100 packets, says TR-181: of all, says the driver
		p.Retransmissions = uint32(min(100, 100*uint64(s.Retries)/uint64(s.TxPackets)))
	}
	if s.Connected > 0 {
		p.Associated = now.Add(-s.Connected).Truncate(time.Second)
	}
	if p.Standard == "" {
		p.Standard = map[string]string{"2.4GHz": "g", "5GHz": "a"}[uciconf.BandOf(int64(l.MHz))]
	}
	return p
}

// hint implements listener: a radio or hostapd may have come, or gone.
func (w *wifi) hint() {
	w.lookAgain()
	select {
	case w.changed <- struct{}{}:
	default: // it is about to look anyway
	}
}

// listen implements listener: it hears the hostapd of each of our networks.
func (w *wifi) listen(ctx context.Context, report func(platform.Event)) {
	ears := map[string]*control{}
	// Each is tried once after a hint: whoever succeeds one that has gone gives
	// the next, which may come before the end of the other is known.
	hints, tried := 1, map[string]int{}
	ended := make(chan string)
	var hearing sync.WaitGroup
	defer hearing.Wait()
	for {
		for _, h := range ears { // those of networks that are no longer offered as well
			if err := h.poke(); err != nil {
				_ = h.Close() // a socket of one that has died: its ear ends
			}
		}
		for _, link := range w.ours() {
			if ears[link] != nil || tried[link] == hints {
				continue
			}
			tried[link] = hints
			h, err := dialControl(w.run, link)
			if err != nil {
				continue
			}
			ears[link] = h
			hearing.Go(func() { w.hear(ctx, h, link, report, ended) })
		}
		select {
		case <-ctx.Done():
			return
		case link := <-ended:
			delete(ears, link)
			report(platform.Event{Topic: platform.WiFiChanged, Key: link})
		case <-w.changed:
			hints++
		}
	}
}

// ours are the interfaces of the networks that are offered.
func (w *wifi) ours() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.offered)
}

// hear hears one hostapd.
func (w *wifi) hear(ctx context.Context, h *control, link string, report func(platform.Event), ended chan<- string) {
	err := h.hear(ctx, func(t platform.Topic) { report(platform.Event{Topic: t, Key: link}) })
	_ = h.Close()
	if err != nil && ctx.Err() == nil {
		w.log.Debug("hostapd is not heard any more", "link", link, "err", err)
	}
	select {
	case ended <- link:
	case <-ctx.Done():
	}
}
