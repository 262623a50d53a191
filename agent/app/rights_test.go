package app_test

import (
	"testing"

	"gatehouse/agent/api"
	"gatehouse/lab/acs"
)

// TestRules: the configuration gives rights to users beyond root, and a reload
// counts at once. One that cannot be understood gives nobody anything.
func TestRules(t *testing.T) {
	rules := "config api 'api'\n\tlist allow '4711 read Device.Time.'\n\tlist allow '@4712 read+write+register Device.X_ACME_'\n\tlist allow 'nobody-of-that-name read+write'\n"
	story(t, acs.Options{}, config(rules), func(t *testing.T, h *house) {
		h.start()
		who := h.agent.CallerAt
		if who(0, nil).Rights != api.Everything {
			t.Error("root may not do everything")
		}
		one := who(4711, []uint32{4711})
		if one.May(api.Read, "Device.Time.Enable") != nil || one.May(api.Read, "Device.IP.") == nil || one.May(api.Write, "Device.Time.Enable") == nil {
			t.Errorf("%+v", one)
		}
		other := who(5, []uint32{7, 4712})
		if other.May(api.Register, "Device.X_ACME_Led.{i}.") != nil || other.May(api.Register, "Device.X_B_") == nil || len(other.Grants) != 1 {
			t.Errorf("%+v", other)
		}
		write(t, h.conf, config())
		if _, err := h.agent.API().ReloadConfig(t.Context(), root); err != nil {
			t.Fatal(err)
		}
		if c := who(4711, nil); c.May(api.Read, "Device.Time.Enable") == nil {
			t.Error("a rule that was taken back still counts")
		}
	})
}
