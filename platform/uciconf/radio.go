package uciconf

// Radios: the wifi-device sections of wireless.

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"gatehouse/internal/uci"
	"gatehouse/platform"
)

// Radios are the sections that the system made for its hardware.
func (c *Conf) Radios() platform.Table[platform.Radio] {
	return kind[platform.Radio]{pkg: "wireless", types: []string{"wifi-device"}, fixed: true, read: readRadio, write: writeRadio}.table(c)
}

// generations of 802.11 that an htmode stands for, in the order in which they
// came. Each of them goes with those before it.
var generations = []struct{ standard, htmode string }{
	{"n", "HT"}, {"ac", "VHT"}, {"ax", "HE"}, {"be", "EHT"},
}

// widths are the numbers in an htmode.
var widths = []struct{ width, number string }{
	{"20MHz", "20"}, {"40MHz", "40"}, {"80MHz", "80"}, {"160MHz", "160"}, {"80+80MHz", "80+80"}, {"320MHz-1", "320"},
}

var bands = []struct{ uci, band string }{{"2g", "2.4GHz"}, {"5g", "5GHz"}, {"6g", "6GHz"}}

func readRadio(v *view, s *uci.Section) platform.Radio {
	r := platform.Radio{
		Enabled:     !isSet(s, "disabled", false),
		Channel:     number(s, "channel"), // "auto" is 0
		Extension:   "Auto",
		Guard:       "Auto",
		MCS:         -1,
		TxPower:     v.conf.readPower(v.key(v.beside("wireless"), s), s),
		Country:     s.Get("country"),
		DFS:         isSet(s, "doth", true),
		BeaconEvery: number(s, "beacon_int"),
	}
	r.Band = band(s)
	r.Standards, r.Width = readMode(s, r.Band)
	if !isSet(s, "short_gi_20", true) && !isSet(s, "short_gi_40", true) {
		r.Guard = "800nsec"
	}
	switch mode := s.Get("htmode"); {
	case strings.HasSuffix(mode, "40+"):
		r.Extension = "AboveControlChannel"
	case strings.HasSuffix(mode, "40-"):
		r.Extension = "BelowControlChannel"
	}
	for _, i := range v.beside("wireless").Sections {
		if i.Type == "wifi-iface" && first(i, "device") == s.Name {
			r.DTIMPeriod = number(i, "dtim_period")
			break
		}
	}
	return r
}

func band(s *uci.Section) string {
	for _, b := range bands {
		if s.Get("band") == b.uci {
			return b.band
		}
	}
	switch s.Get("hwmode") { // before 21.02
	case "11a":
		return "5GHz"
	case "11b", "11g":
		return "2.4GHz"
	}
	return ""
}

// splitMode takes an htmode apart: how many generations it stands for, and the
// width. NOHT, or none, is none of them.
func splitMode(mode string) (generation int, number string) {
	for i, g := range slices.Backward(generations) {
		if number, ok := strings.CutPrefix(mode, g.htmode); ok && mode != "NOHT" {
			return i + 1, strings.TrimRight(number, "+-")
		}
	}
	return 0, "20"
}

// readMode is OperatingStandards and OperatingChannelBandwidth.
func readMode(s *uci.Section, band string) (standards, width string) {
	mode := s.Get("htmode")
	generation, number := splitMode(mode)
	width = "20MHz"
	for _, w := range widths {
		if w.number == number {
			width = w.width
		}
	}
	if mode == "" || s.Get(own+"auto_width") == mode {
		width = "Auto"
	}
	return spoken(band, generation, isSet(s, "legacy_rates", false), s.Get("require_mode")), width
}

// spoken lists the standards that a radio speaks: those up to a generation, from
// the one that stations must have.
func spoken(band string, generation int, legacy bool, require string) string {
	var names []string
	switch band {
	case "2.4GHz":
		if legacy {
			names = append(names, "b")
		}
		names = append(names, "g")
	case "5GHz":
		names = append(names, "a")
	}
	for _, g := range generations[:generation] {
		switch {
		case g.standard == "ac" && (band == "2.4GHz" || band == "6GHz"):
		case g.standard == "n" && band == "6GHz": // 802.11ax is the first there
		default:
			names = append(names, g.standard)
		}
	}
	if at := slices.Index(names, require); at >= 0 {
		names = names[at:]
	}
	return strings.Join(names, ",")
}

func writeRadio(e *edit, p *uci.Package, s *uci.Section, old, r *platform.Radio) error {
	e.flag(s, "disabled", !old.Enabled, !r.Enabled, false)
	if old.Channel != r.Channel {
		e.set(s, "channel", "auto")
		if r.Channel != 0 {
			e.set(s, "channel", strconv.FormatUint(uint64(r.Channel), 10))
		}
	}
	if old.Band != r.Band {
		if err := e.writeBand(s, r.Band); err != nil {
			return err
		}
		// The same htmode speaks other standards there.
		was := old.Standards
		if old.Standards, _ = readMode(s, r.Band); r.Standards == was {
			r.Standards = old.Standards
		}
	}
	if old.Standards != r.Standards || old.Width != r.Width || old.Extension != r.Extension {
		if err := e.writeMode(s, old, r); err != nil {
			return err
		}
	}
	if old.Guard != r.Guard {
		if r.Guard != "Auto" && r.Guard != "800nsec" {
			return fmt.Errorf("guard interval %s: %w", r.Guard, platform.ErrUnsupported)
		}
		for _, option := range []string{"short_gi_20", "short_gi_40", "short_gi_80", "short_gi_160"} {
			e.flag(s, option, r.Guard != "Auto", r.Guard == "Auto", true)
		}
	}
	fixed(e, "MCS", old.MCS, r.MCS)
	if old.TxPower != r.TxPower {
		e.writePower(s, r.TxPower)
	}
	if old.Country != r.Country {
		// Another word, also one in small letters, hostapd takes for an error, and
		// starts no network of the radio.
		if n := len(r.Country); n != 0 && (n != 2 || strings.Trim(r.Country, "ABCDEFGHIJKLMNOPQRSTUVWXYZ") != "") {
			return fmt.Errorf("country %q", r.Country)
		}
		e.set(s, "country", r.Country)
	}
	e.flag(s, "doth", old.DFS, r.DFS, true)
	e.num(s, "beacon_int", old.BeaconEvery, r.BeaconEvery)
	for _, i := range p.Sections { // hostapd takes it with each network
		if i.Type == "wifi-iface" && first(i, "device") == s.Name {
			e.num(i, "dtim_period", old.DTIMPeriod, r.DTIMPeriod)
		}
	}
	return nil
}

func (e *edit) writeBand(s *uci.Section, band string) error {
	for _, b := range bands {
		if b.band == band {
			e.set(s, "band", b.uci)
			e.set(s, "hwmode", "")
			return nil
		}
	}
	return fmt.Errorf("band %q: %w", band, platform.ErrUnsupported)
}

// writeMode writes the htmode of standards, width and extension channel.
func (e *edit) writeMode(s *uci.Section, old, r *platform.Radio) error {
	generation, _ := splitMode(s.Get("htmode"))
	if old.Standards != r.Standards {
		var err error
		if generation, err = e.writeStandards(s, r); err != nil {
			return err
		}
	}
	auto := r.Width == "Auto"
	number := "20"
	for _, w := range widths {
		switch {
		case w.width == r.Width:
			number = w.number
		case auto && r.Band == "5GHz" && generation > 1, auto && r.Band == "6GHz":
			number = "80"
		}
	}
	if r.Width == "80+80MHz" || number == "320" && generation < 4 || number != "20" && generation == 0 ||
		(number == "80" || number == "160") && generation < 2 {
		return fmt.Errorf("channels of %s with standards %q: %w", r.Width, r.Standards, platform.ErrUnsupported)
	}
	mode := "NOHT"
	if generation > 0 {
		mode = generations[generation-1].htmode + number
	}
	switch sign := map[string]string{"AboveControlChannel": "+", "BelowControlChannel": "-"}[r.Extension]; {
	case sign == "" && r.Extension == "Auto":
	case sign != "" && mode == "HT40":
		mode += sign
	default:
		return fmt.Errorf("extension channel %s with %s: %w", r.Extension, mode, platform.ErrUnsupported)
	}
	e.set(s, "htmode", mode)
	e.set(s, own+"auto_width", "")
	if auto { // UCI has no such word: a width that suits the band, and a note that it was not asked for
		e.set(s, own+"auto_width", mode)
	}
	return nil
}

// writeStandards writes who is let in, and returns how many generations the
// htmode has to stand for.
func (e *edit) writeStandards(s *uci.Section, r *platform.Radio) (int, error) {
	want := strings.Split(r.Standards, ",")
	generation := 0
	for i, g := range generations {
		if slices.Contains(want, g.standard) {
			generation = i + 1
		}
	}
	legacy := slices.Contains(want, "b")
	all := strings.Split(spoken(r.Band, generation, legacy, ""), ",")
	require := "" // everybody may join
	for len(all) > 0 && !slices.Contains(want, all[0]) {
		all = all[1:]
		if len(all) > 0 {
			require = all[0]
		}
	}
	got := spoken(r.Band, generation, legacy, require)
	slices.Sort(want)
	slices.Sort(all)
	if !slices.Equal(want, all) || require == "g" || require == "be" {
		return 0, fmt.Errorf("standards %q: what comes nearest is %q: %w", r.Standards, got, platform.ErrUnsupported)
	}
	e.str(s, "require_mode", s.Get("require_mode"), require)
	e.flag(s, "legacy_rates", isSet(s, "legacy_rates", false), legacy, false)
	return generation, nil
}

func (c *Conf) maxPower(radio string) float64 {
	if c.o.MaxPower != nil {
		if p := c.o.MaxPower(radio); p > 0 {
			return float64(p)
		}
	}
	return 20
}

// readPower is TransmitPower, in percent of what the radio may; UCI has dBm. The
// percents that were asked for are kept as long as nobody changes the other.
func (c *Conf) readPower(radio string, s *uci.Section) int32 {
	dBm := s.Get("txpower")
	if dBm == "" {
		return -1
	}
	if percent, of, ok := strings.Cut(s.Get(own+"txpower"), " "); ok && of == dBm {
		if n, err := strconv.ParseInt(percent, 10, 32); err == nil {
			return int32(n)
		}
	}
	n, err := strconv.ParseFloat(dBm, 64)
	if err != nil {
		return -1
	}
	return int32(min(100, math.Round(100*math.Pow(10, (n-c.maxPower(radio))/10))))
}

func (e *edit) writePower(s *uci.Section, percent int32) {
	e.set(s, "txpower", "")
	e.set(s, own+"txpower", "")
	if percent < 0 {
		return
	}
	dBm := math.Round(e.conf.maxPower(s.Name) + 10*math.Log10(max(1, float64(percent))/100))
	text := strconv.Itoa(int(max(0, dBm)))
	e.set(s, "txpower", text)
	e.set(s, own+"txpower", strconv.Itoa(int(percent))+" "+text)
}
