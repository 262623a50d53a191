package linuxconf

// One radio and its hostapd: whether the radio is there for us, the files that it is
// to be served by, and a restart where these, or hostapd, are others.

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"gatehouse/internal/nl80211"
)

// serve has hostapd serve a radio as its networks ask for. One that does so is
// left alone: a restart throws every station out.
func (w *wifi) serve(ctx context.Context, c *cell) error {
	if err := w.free(ctx, c); err != nil {
		return err
	}
	text, err := c.render(w.run)
	if err != nil {
		return err
	}
	files := map[string][]byte{w.fileOf(c.link): text}
	for _, n := range c.nets {
		if n.accept != "" {
			files[n.accept] = acceptFile(n.ap.AllowedMAC)
		}
	}
	all := true
	for path, text := range files {
		same, err := replace(path, text)
		if err != nil {
			return err
		}
		all = all && same
	}
	if all {
		if all, err = w.taken(ctx, c, files); err != nil {
			return err
		}
	}
	if !all || !w.serves(ctx, c) {
		if err := w.restart(ctx, c); err != nil {
			return err
		}
	}
	return w.setPower(ctx, c)
}

// taken says whether the hostapd of a radio runs with these files: whoever wrote
// them may have ended before it was told.
func (w *wifi) taken(ctx context.Context, c *cell, files map[string][]byte) (bool, error) {
	if w.took[c.link] {
		return true, nil
	}
	since, err := w.units.Since(ctx, unitOf(c.link))
	if err != nil {
		return false, err
	}
	for path := range files {
		info, err := os.Stat(path)
		if err != nil {
			return false, err
		}
		if !since.After(info.ModTime()) {
			return false, nil
		}
	}
	w.took[c.link] = true
	return true, nil
}

// restart starts the hostapd of a radio, and waits until it offers its networks.
func (w *wifi) restart(ctx context.Context, c *cell) error {
	w.log.Info("hostapd is started", "link", c.link, "networks", len(c.nets))
	w.took[c.link] = false
	if err := w.units.Restart(ctx, unitOf(c.link)); err != nil {
		return err
	}
	w.took[c.link] = true
	h, err := dialControl(w.run, c.link)
	if err != nil {
		return err
	}
	defer h.Close()
	return h.await(ctx)
}

// acceptFile is the list of the only stations that may join.
func acceptFile(macs []string) []byte {
	return []byte(hostapdHeading + strings.Join(append(slices.Clone(macs), ""), "\n"))
}

// free sees that the radio is there for us, and has room for the networks.
func (w *wifi) free(ctx context.Context, c *cell) error {
	i := slices.IndexFunc(c.radio.links, func(l nl80211.Interface) bool { return l.Name == c.link })
	switch {
	case i < 0:
		return errors.New("it has no network interface")
	case !c.radio.AP:
		return errors.New("its driver cannot offer networks")
	case w.blocked(c.radio.Name):
		return errors.New("it is blocked (rfkill list), as on a Raspberry Pi before a country was set: rfkill unblock wifi, or its switch")
	case len(c.nets) > max(1, c.radio.MaxAPs):
		return fmt.Errorf("%d networks: its driver can offer %d", len(c.nets), max(1, c.radio.MaxAPs))
	}
	for _, n := range c.nets[1:] {
		if len(n.link) > 15 { // IFNAMSIZ
			return fmt.Errorf("network %s: no interface can have so long a name", n.key)
		}
	}
	link := c.radio.links[i]
	ours, err := isOurs(w.fileOf(c.link))
	switch {
	case err != nil:
		return err
	case link.Station && (link.SSID != "" || link.MHz != 0):
		return fmt.Errorf("%s has joined a network: it cannot offer one before it is freed (NetworkManager, wpa_supplicant)", c.link)
	case link.AP && !ours:
		return fmt.Errorf("%s is an access point already, which is not ours", c.link)
	}
	// Whether channels can be measured is asked of the driver. One that does not
	// answer is believed to.
	_, can, err := w.air.Noise(ctx, link.Index)
	c.survey = can || err != nil
	return nil
}

// blocked says whether somebody has switched a radio off (Documentation of the
// kernel, driver-api/rfkill). To switch it on again is the administrator's.
func (w *wifi) blocked(name string) bool {
	for _, kind := range []string{"soft", "hard"} {
		paths, err := filepath.Glob(filepath.Join(w.sys, filepath.Base(name), "rfkill*", kind))
		if err != nil {
			return false // ErrBadPattern cannot be: the kernel names its radios phy0
		}
		for _, path := range paths {
			if text, err := os.ReadFile(path); err == nil && strings.TrimSpace(string(text)) == "1" {
				return true
			}
		}
	}
	return false
}

// serves says whether hostapd runs, and offers these networks.
func (w *wifi) serves(ctx context.Context, c *cell) bool {
	h, err := dialControl(w.run, c.link)
	if err != nil {
		return false
	}
	defer h.Close()
	s, err := h.state(ctx)
	return err == nil && (s.state == "ENABLED" || s.state == "DFS") && len(s.nets) == len(c.nets)
}

// setPower bounds what the radio sends with. hostapd has no word for it.
func (w *wifi) setPower(ctx context.Context, c *cell) error {
	mBm := -1
	if c.conf.TxPower >= 0 {
		mBm = c.radio.power(c.conf.TxPower)
	}
	err := w.air.SetPower(ctx, c.radio.Index, mBm)
	if err != nil && mBm >= 0 {
		return fmt.Errorf("its power cannot be set: %w", err)
	}
	return nil
}
