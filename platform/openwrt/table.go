// What others say on the bus, read without trust: a value that is missing or
// of another kind is not known.

package openwrt

import (
	"net/netip"
	"strings"

	"gatehouse/internal/ubus"
)

// text returns a string as it came: an SSID need not be UTF-8.
func text(t ubus.Table, name string) string {
	v, _ := t.Get(name)
	s, _ := v.(string)
	return s
}

// number returns a number of any width.
func number(t ubus.Table, name string) int64 {
	v, _ := t.Get(name)
	switch n := v.(type) {
	case int16:
		return int64(n)
	case int32:
		return int64(n)
	case int64:
		return n
	}
	return 0
}

// unsigned returns a number that cannot be negative. What has 32 bits on the
// wire is signed there.
func unsigned(t ubus.Table, name string) uint64 {
	v, _ := t.Get(name)
	if n, ok := v.(int32); ok {
		return uint64(uint32(n))
	}
	return uint64(max(0, number(t, name)))
}

func flag(t ubus.Table, name string) bool {
	v, _ := t.Get(name)
	b, _ := v.(bool)
	return b
}

func table(t ubus.Table, name string) ubus.Table {
	v, _ := t.Get(name)
	inner, _ := v.(ubus.Table)
	return inner
}

func array(t ubus.Table, name string) ubus.Array {
	v, _ := t.Get(name)
	a, _ := v.(ubus.Array)
	return a
}

// tables are the tables of an array.
func tables(t ubus.Table, name string) (all []ubus.Table) {
	for _, v := range array(t, name) {
		if inner, ok := v.(ubus.Table); ok {
			all = append(all, inner)
		}
	}
	return all
}

// texts are the strings of an array.
func texts(t ubus.Table, name string) (all []string) {
	for _, v := range array(t, name) {
		if s, ok := v.(string); ok {
			all = append(all, s)
		}
	}
	return all
}

func address(s string) netip.Addr {
	a, _ := netip.ParseAddr(s)
	return a
}

// hardware returns an address as the rest of the platform writes it.
func hardware(s string) string { return strings.ToLower(s) }
