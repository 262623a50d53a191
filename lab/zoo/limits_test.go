package zoo

import (
	"strings"
	"testing"

	"gatehouse/lab/acs"
)

// limits: the last value that is allowed is stored, the first that is not is
// refused, and characters are counted, not bytes.
var limits = within(func(t *testing.T, h *house, c *acs.Conversation) error {
	for _, row := range []struct {
		name, typ string
		good, bad []string
	}{
		{ms + "PeriodicInformInterval", "unsignedInt", []string{"1", "4294967295"}, []string{"0", "-1", "4294967296", "1.0", "", "0x10"}},
		{ms + "CWMPRetryMinimumWaitInterval", "unsignedInt", []string{"1", "65535"}, []string{"0", "65536"}},
		{ms + "CWMPRetryIntervalMultiplier", "unsignedInt", []string{"1000", "65535"}, []string{"999", "65536"}},
		{ms + "Username", "string", []string{"", strings.Repeat("ä", 256)}, []string{strings.Repeat("a", 257)}},
		{di + "ProvisioningCode", "string", []string{strings.Repeat("€", 64), ""}, []string{strings.Repeat("€", 65)}},
		{ms + "InstanceMode", "string", []string{"InstanceAlias", "InstanceNumber"}, []string{"instancenumber", " InstanceNumber", ""}},
	} {
		for _, v := range row.good {
			if _, err := c.SetParameterValues("", acs.P(row.name, "xsd:"+row.typ, v)); err != nil {
				t.Errorf("%s = %.20q: %v", row.name, v, err)
				continue
			}
			got, err := c.GetParameterValues(row.name)
			if err != nil || got[0].Value != v {
				t.Errorf("%s = %.20q is read as %.20q, %v", row.name, v, got, err)
			}
		}
		for _, v := range row.bad {
			_, err := c.SetParameterValues("", acs.P(row.name, "xsd:"+row.typ, v))
			wantParam(t, err, 9006, 9007)
		}
	}
	key := strings.Repeat("€", 32)
	if _, err := c.SetParameterValues(key); err != nil {
		t.Errorf("ParameterKey of 32 characters: %v", err)
	}
	_, err := c.SetParameterValues(key + "x")
	wantFault(t, "ParameterKey of 33 characters", err, 9003)
	return nil
})
