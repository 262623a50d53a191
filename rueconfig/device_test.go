package rueconfig

import (
	"slices"
	"strings"
	"testing"

	"gatehouse/lab/provider"
)

// S001-18, S001-50, S001-51, S001-68, S001-69, S001-70: the device's document, from the first
// address of its host; a token first and, if that fails for any reason, the
// device's name and password.
func TestDevice(t *testing.T) {
	for _, row := range []struct {
		name, token string
		faults      []provider.Fault
		want        []string // schemes of authorization
		doc         string
	}{
		{"token", "t0ken", nil, []string{"Bearer"}, "all"},
		{"no token", "", nil, []string{"", "Digest"}, "own"},
		{"old token", "old", nil, []string{"Bearer", "", "Digest"}, "own"},
		{"404 for the token", "t0ken", []provider.Fault{{Name: "status", Arg: "404"}}, []string{"Bearer", "", "Digest"}, "own"},
		{"500 for the token", "t0ken", []provider.Fault{{Name: "status", Arg: "500"}, {Name: "status", Arg: "500"}, {Name: "status", Arg: "500"}},
			[]string{"Bearer", "Bearer", "Bearer", "", "Digest"}, "own"},
	} {
		t.Run(row.name, func(t *testing.T) {
			house(t, func(t *testing.T, r *rig) {
				r.provider = provider.New(provider.Options{Token: "t0ken"}, map[string]any{"display-name": "all"})
				r.provider.Subscribe(user, provider.Subscriber{Password: password, Settings: map[string]any{"display-name": "own"}})
				r.provider.Break(row.faults...)
				r.cfg.Form, r.cfg.URL, r.cfg.Domain = Device, "https://xsp-dms.example.com/dms/device.json", ""
				r.cfg.Token = func() Secret { return Secret(row.token) }
				if err := r.dns.Set("xsp-dms.example.com 300 A 198.51.100.48", "xsp-dms.example.com 300 A 198.51.100.49"); err != nil {
					t.Fatal(err)
				}
				r.serve("198.51.100.48:443", "", "xsp-dms.example.com")
				r.serve("198.51.100.49:443", "", "xsp-dms.example.com")
				c, err := r.fetch()
				if err != nil {
					t.Fatal(err)
				}
				var got []string
				for _, q := range r.provider.Requests() {
					scheme, _, _ := strings.Cut(q.Authorization, " ")
					got = append(got, scheme)
				}
				if !slices.Equal(got, row.want) || c.State().Document.DisplayName != row.doc {
					t.Errorf("got %q, %s", got, c.State().Document.DisplayName)
				}
				if asked := r.dns.Asked(); slices.ContainsFunc(asked, func(s string) bool { return strings.HasPrefix(s, "SRV") }) {
					t.Errorf("asked for SRV: %v", asked)
				}
			})
		})
	}
}
