// What a platform with configuration of its own tells beside its tables: how
// logical interfaces, radios, networks and leases are doing.

package platformtest

import (
	"slices"
	"testing"

	"gatehouse/platform"
)

// States checks what is told of rows against the tables that have them. The
// router has several of each, and is left as it was.
func States(t *testing.T, p platform.Platform) {
	ctx := t.Context()
	if s := p.Interfaces.State; s != nil {
		stops(t, "interface states", s.InterfaceStates)
		keys := tableKeys(t, p.Interfaces.Table)
		for _, i := range known(t, "interface", all(t, s.InterfaceStates(ctx)), keys, func(i platform.InterfaceState) string { return i.Key }) {
			if i.Up && (i.Device == "" || i.Pending) {
				t.Errorf("interface %+v", i)
			}
			for _, a := range i.Addrs {
				if !a.Prefix.IsValid() || a.Link == "" {
					t.Errorf("address %+v of %s", a, i.Key)
				}
			}
		}
	}
	if s := p.WiFi.State; s != nil {
		stops(t, "radios", s.Radios)
		stops(t, "networks", s.SSIDs)
		for _, r := range known(t, "radio", all(t, s.Radios(ctx)), tableKeys(t, p.WiFi.Radios), func(r platform.RadioState) string { return r.Key }) {
			for _, b := range r.Bands {
				if !slices.Contains([]string{"2.4GHz", "5GHz", "6GHz"}, b) {
					t.Errorf("%s has the band %q", r.Key, b)
				}
			}
		}
		for _, n := range known(t, "network", all(t, s.SSIDs(ctx)), tableKeys(t, p.WiFi.SSIDs), func(n platform.SSIDState) string { return n.Key }) {
			if n.Up && (n.Link == "" || len(n.BSSID) != 17) {
				t.Errorf("network %+v", n)
			}
			for _, station := range all(t, s.Stations(ctx, n.Key)) {
				if len(station.MAC) != 17 {
					t.Errorf("station %+v", station)
				}
			}
		}
	}
	if p.DHCP.Leases != nil {
		stops(t, "leases", p.DHCP.Leases.Leases)
		for _, l := range all(t, p.DHCP.Leases.Leases(ctx)) {
			if !l.Addr.IsValid() || len(l.MAC) != 17 {
				t.Errorf("lease %+v", l)
			}
		}
	}
}

// tableKeys are the keys of a table; nil where there is none.
func tableKeys[T any](t *testing.T, table platform.Table[T]) (keys []string) {
	t.Helper()
	if table == nil {
		return nil
	}
	for _, e := range all(t, table.Rows(t.Context())) {
		if slices.Contains(keys, e.Key) {
			t.Errorf("two rows have the key %q", e.Key)
		}
		keys = append(keys, e.Key)
	}
	return keys
}

// known are the rows that are told of, each once and each of a row that is
// configured, where that is known.
func known[T any](t *testing.T, what string, rows []T, keys []string, key func(T) string) []T {
	t.Helper()
	seen := map[string]bool{}
	for _, r := range rows {
		if k := key(r); seen[k] || keys != nil && !slices.Contains(keys, k) {
			t.Errorf("%s %q is told of twice, or is not configured: %v", what, k, keys)
		} else {
			seen[k] = true
		}
	}
	return rows
}
