package tr181_test

import (
	"maps"
	"slices"
	"testing"

	"gatehouse/datamodel"
	"gatehouse/platform"

	"github.com/google/go-cmp/cmp"
)

// described is what a house tells of each parameter besides its value.
func (h *house) described() map[string]string {
	h.Helper()
	all := map[string]string{}
	for name := range h.values("Device.") {
		info, err := h.tree.Describe(h.Context(), name)
		if err != nil {
			h.Fatal(err)
		}
		all[name] = info.Type.XSD()
		if info.Writable {
			all[name] += " writable"
		}
	}
	return all
}

// Routers that differ in what they have and what can be written share schemas as
// far as they are alike: each declares what it would alone.
func TestSchemasOfDifferentRouters(t *testing.T) {
	variants := map[string]func(*platform.Platform){
		"all":          func(*platform.Platform) {},
		"unprivileged": func(p *platform.Platform) { p.Network, p.Config = nil, nil },
		"no NAT":       func(p *platform.Platform) { p.NAT = platform.NAT{} },
		"no radios":    func(p *platform.Platform) { p.WiFi = platform.WiFi{} },
		"no host":      func(p *platform.Platform) { p.Host = nil }, // another access to HostName, and nothing else
	}
	var shared datamodel.Schemas
	for range 2 { // the second time all of them are known
		for kind, router := range both {
			for _, name := range slices.Sorted(maps.Keys(variants)) {
				alone, among := buildOn(t, router()), buildOn(t, router())
				for _, h := range []*house{alone, among} {
					variants[name](&h.platform)
				}
				among.schemas = &shared
				alone.start()
				among.start()
				if d := cmp.Diff(alone.described(), among.described()); d != "" {
					t.Errorf("%s, %s: alone and among others:\n%s", kind, name, d)
				}
			}
		}
	}
}
