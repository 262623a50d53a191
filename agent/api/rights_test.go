package api_test

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"gatehouse/agent/api"
)

type book map[string]int64

func (b book) User(name string) (int64, error)  { return b.find(name) }
func (b book) Group(name string) (int64, error) { return b.find("@" + name) }
func (b book) find(name string) (int64, error) {
	if n, ok := b[name]; ok {
		return n, nil
	}
	return 0, errors.New("no such name")
}

func TestParseRule(t *testing.T) {
	who := book{"acme": 1001, "@leds": 2001}
	for text, want := range map[string]api.Rule{
		"acme read":                           {Grant: api.Grant{Rights: api.Read, Path: "Device."}, UID: 1001, GID: -1},
		"@leds read+write Device.X_ACME_":     {Grant: api.Grant{Rights: api.Read | api.Write, Path: "Device.X_ACME_"}, UID: -1, GID: 2001},
		"7 register+act+secrets Device.X_B_C": {Grant: api.Grant{Rights: api.Register | api.Act | api.Secrets, Path: "Device.X_B_C"}, UID: 7, GID: -1},
		"* read Device.Time.":                 {Grant: api.Grant{Rights: api.Read, Path: "Device.Time."}, UID: -1, GID: -1},
	} {
		if r, err := api.ParseRule(text, who); err != nil || r != want {
			t.Errorf("%s: %+v, %v", text, r, err)
		}
	}
	for _, text := range []string{"", "acme", "acme fly", "nobody read", "@none read", "acme read Internet.", "acme read Device. more", "-1 read"} {
		if r, err := api.ParseRule(text, who); err == nil {
			t.Errorf("%q is taken as %+v", text, r)
		}
	}
	r, _ := api.ParseRule("@leds read", who)
	if !r.For(5, []uint32{1, 2001}) || r.For(2001, []uint32{1}) {
		t.Error("a group is not asked about groups")
	}
}

// TestGrants: a grant reaches where its path does, and no further.
func TestGrants(t *testing.T) {
	for _, tt := range []struct {
		grant, path string
		want        bool
	}{
		{"Device.", "Device.Time.Enable", true},
		{"Device.", "", false},
		{"Device.X_ACME_", "Device.X_ACME_Led.1.Enable", true},
		{"Device.X_ACME_", "Device.X_ACMEE", false},
		{"Device.X_ACME_", "Device.", false},
		{"Device.IP.Interface.*.X_ACME_", "Device.IP.Interface.2.X_ACME_Colour", true},
		{"Device.IP.Interface.{i}.X_ACME_", "Device.IP.Interface.[a.b].X_ACME_Colour", true},
		{"Device.IP.Interface.*.X_ACME_", "Device.IP.Interface.2.Enable", false},
		{"Device.IP.Interface.*.X_ACME_", "Device.IP.Interface.", false},
		{"Device.IP.Interface.1.", "Device.IP.Interface.10.Enable", false},
		{"Device.IP.Interface.1.", "Device.IP.Interface.*.Enable", false},
		{"Device.IP.Interface.1.", "Device.IP.Interface.[cpe-1].Enable", false},
		{"Device.IP.Interface.*", "Device.IP.Interface.3.Enable", true},
		{"Device.Time.Enable", "Device.Time.Enable", true},
	} {
		c := api.Caller{Grants: []api.Grant{{Rights: api.Write, Path: tt.grant}}}
		if got := c.May(api.Write, tt.path) == nil; got != tt.want {
			t.Errorf("%s at %q: %v", tt.grant, tt.path, got)
		}
		if c.May(api.Read, tt.path) == nil {
			t.Errorf("%s: a right was given that is not in it", tt.grant)
		}
	}
}

// TestPartialRights: whoever may read something sees that, and nothing else.
func TestPartialRights(t *testing.T) {
	h := build(t)
	ctx := h.Context()
	some := api.Caller{Grants: []api.Grant{
		{Rights: api.Read, Path: wan + "Status"}, {Rights: api.Read | api.Write, Path: "Device.IP.Interface.*.IPv4Address."}}}
	all, err := collect(h.api.Get(ctx, some, []string{wan}))
	if err != nil || len(all) == 0 {
		t.Fatal(all, err)
	}
	for _, v := range all {
		if v.Name != wan+"Status" && !strings.HasPrefix(v.Name, wan+"IPv4Address.") {
			t.Errorf("may read %s", v.Name)
		}
	}
	if all, err := collect(h.api.Get(ctx, some, []string{""})); err != nil || len(all) == 0 {
		t.Error("the whole tree, as far as it may be seen: ", all, err)
	}
	names, err := collect(h.api.Names(ctx, some, "Device.", true))
	if err != nil || !slices.ContainsFunc(names, func(n api.Name) bool { return n.Name == "Device.IP." }) || len(names) != 1 {
		t.Error(names, err)
	}
	_, err = collect(h.api.Get(ctx, some, []string{"Device.DeviceInfo."}))
	h.named(err, api.NotPermitted, "Device.DeviceInfo.")
	path, err := h.api.Add(ctx, some, wan+"IPv4Address.", nil)
	if err != nil {
		t.Fatal(err)
	}
	_, err = h.api.Set(ctx, some, assign(path+"Enable", "false", wan+"Enable", "false"), false)
	h.named(err, api.NotPermitted, wan+"Enable")
	h.named(h.api.Delete(ctx, some, []string{wan}), api.NotPermitted, wan)
	if err := h.api.Delete(ctx, some, []string{path}); err != nil {
		t.Error(err)
	}
	_, err = h.api.Status(some)
	h.named(err, api.NotPermitted, "Device.ManagementServer.")
}

// TestWatchLooks: what one look finds comes in one piece, the first even when
// it is empty.
func TestWatchLooks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := build(t)
		for us, err := range h.api.WatchLooks(t.Context(), reader, []string{wan + "Status", wan + "Name"}) {
			if err != nil || len(us) != 2 || us[0].Type != "string" {
				t.Errorf("%+v, %v", us, err)
			}
			break
		}
	})
}
