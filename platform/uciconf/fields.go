package uciconf

// Options as the fields of rows: how each kind of value is read, and how one
// that differs from what was there is written.

import (
	"encoding/hex"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"gatehouse/internal/uci"
	"gatehouse/platform"
)

// isSet reads a boolean as OpenWrt's services do; what is none of its words
// counts as def.
func isSet(s *uci.Section, option string, def bool) bool {
	switch s.Get(option) {
	case "1", "on", "true", "yes", "enabled":
		return true
	case "0", "off", "false", "no", "disabled":
		return false
	}
	return def
}

// number reads a number; what is none counts as 0.
func number(s *uci.Section, option string) uint32 {
	n, err := strconv.ParseUint(s.Get(option), 10, 32)
	if err != nil {
		return 0
	}
	return uint32(n)
}

// list reads a list, or an option with several words in it: services that take
// the one take the other.
func list(s *uci.Section, option string) []string {
	o := s.Option(option)
	switch {
	case o == nil:
		return nil
	case o.List:
		return slices.Clone(o.Values)
	}
	return strings.Fields(o.Values[0])
}

// first is the first word of a list.
func first(s *uci.Section, option string) string {
	if all := list(s, option); len(all) > 0 {
		return all[0]
	}
	return ""
}

// addrs reads a list of addresses; words that are none are left out.
func addrs(words []string) []netip.Addr {
	var all []netip.Addr
	for _, w := range words {
		if a, err := netip.ParseAddr(w); err == nil {
			all = append(all, a)
		}
	}
	return all
}

func texts(all []netip.Addr) []string {
	var words []string
	for _, a := range all {
		words = append(words, a.String())
	}
	return words
}

func text(a netip.Addr) string {
	if !a.IsValid() {
		return ""
	}
	return a.String()
}

// set gives an option a value; "" takes it out.
func (e *edit) set(s *uci.Section, option, value string) {
	e.plain(option, value)
	if err := s.Set(option, value); err != nil {
		e.fail(err)
	}
	e.own(s, option)
}

func (e *edit) setList(s *uci.Section, option string, values []string) {
	e.plain(option, values...)
	if err := s.SetList(option, values...); err != nil {
		e.fail(err)
	}
	e.own(s, option)
}

// plain refuses control characters but the tab. UCI can hold some, but hostapd and dnsmasq
// get files that are made of these values line by line: a newline in a
// passphrase would be a setting of the sender's choice.
func (e *edit) plain(option string, values ...string) {
	for _, v := range values {
		for _, c := range []byte(v) {
			if c < ' ' && c != '\t' || c == 0x7f {
				e.fail(fmt.Errorf("option %s: control character in value", option))
				return
			}
		}
	}
}

// str writes a text that differs.
func (e *edit) str(s *uci.Section, option, old, now string) {
	if old != now {
		e.set(s, option, now)
	}
}

// num writes a number that differs; 0 is the default, and absent.
func (e *edit) num(s *uci.Section, option string, old, now uint32) {
	if old == now {
		return
	}
	value := ""
	if now != 0 {
		value = strconv.FormatUint(uint64(now), 10)
	}
	e.set(s, option, value)
}

// flag writes a boolean that differs; its default is absent.
func (e *edit) flag(s *uci.Section, option string, old, now, def bool) {
	if old == now {
		return
	}
	value := ""
	if now != def {
		value = "0"
		if now {
			value = "1"
		}
	}
	e.set(s, option, value)
}

// list writes a list that differs. One that is written as an option with several
// words stays so.
func (e *edit) list(s *uci.Section, option string, old, now []string) {
	if slices.Equal(old, now) {
		return
	}
	spaced := slices.ContainsFunc(now, func(v string) bool { return v == "" || strings.Contains(v, " ") })
	if o := s.Option(option); o != nil && !o.List && len(now) > 0 && !spaced {
		e.set(s, option, strings.Join(now, " "))
		return
	}
	e.setList(s, option, now)
}

// wished marks a row that is enabled and cannot be yet, because something is
// missing: TR-181 lets one say so, and calls it misconfigured. What OpenWrt
// reads of it is off.
const wished = own + "enabled"

func (e *edit) wish(s *uci.Section, on bool) {
	e.flag(s, wished, isSet(s, wished, false), on, false)
}

// fixed refuses to change what a platform cannot.
func fixed[T comparable](e *edit, name string, old, now T) {
	if old != now {
		e.fail(fmt.Errorf("%s cannot be changed: %w", name, platform.ErrUnsupported))
	}
}

// isMAC says whether s is a MAC address as hostapd and dnsmasq read one: of
// other forms the one starts no network of the radio, the other not at all.
func isMAC(s string) bool {
	mac, err := net.ParseMAC(s)
	return err == nil && len(mac) == 6 && strings.Count(s, ":") == 5
}

// isHex says whether s is n hexadecimal digits.
func isHex(s string, n int) bool {
	_, err := hex.DecodeString(s)
	return err == nil && len(s) == n
}
